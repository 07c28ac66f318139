"""What a learner calls in a homework: check, hint, solution, progress."""

from __future__ import annotations

import html
import importlib.util
import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlflow

from course_utils import store
from course_utils._plumbing import class_server, steps
from course_utils._plumbing.files import ROOT

from .._judge.evidence import Evidence
from .._judge.mistake import Mistake, NotStarted
from .._judge.undisturbed import undisturbed
from ..errors import CourseError
from . import attempts

__all__ = ["Homework", "Mistake", "NotStarted", "Result", "Task", "run_check"]


#: Level of a task → its weight.
LEVELS = {"warm-up": 1, "core": 2, "transfer": 3}


@dataclass(frozen=True)
class Task:
    """One task of a homework.

    Attributes
    ----------
    title
        As in the notebook's heading.
    points
        Points for a passed task; 0 for the stretch.
    check
        Reads the evidence and returns nothing, or raises `Mistake`.
    hints
        At least two, from a question to the line of code. Markdown.
    praise
        One sentence shown after a pass: what the learner has proven.
    level
        ``warm-up`` (a step of the lecture once more), ``core``, or ``transfer`` (something that no lecture has shown).
    """

    title: str
    points: int
    check: Callable[[Evidence], None]
    hints: tuple[str, ...]
    praise: str = ""
    level: str = "core"

    @property
    def weight(self) -> int:
        """How much the task counts where homeworks are compared by level: 1, 2 or 3."""
        return LEVELS[self.level]


@dataclass
class Result:
    """Outcome of one check: ``passed``, ``not yet``, ``not started`` or ``checker error``."""

    task: int
    code: str
    message: str
    points: int
    seconds: float = 0.0
    more: str = ""

    @property
    def passed(self) -> bool:
        """Whether the task is solved."""
        return self.code == "ok"

    @property
    def state(self) -> str:
        """The outcome in words."""
        return {"ok": "passed", "not-started": "not started", "checker-error": "checker error"}.get(
            self.code, "not yet"
        )

    def __repr__(self) -> str:
        """Return the plain-text form, for terminals and nbconvert."""
        code = "" if self.code in ("ok", "not-started") else f" [{self.code}]"
        return f"Task {self.task}: {self.state}{code}. {self.message}{' ' + self.more if self.more else ''}"

    def _repr_html_(self) -> str:
        """Return one small block in the theme's colours; state is told by word and sign, not by colour alone."""
        color = {
            "passed": "var(--jp-success-color1, #2e7d32)",
            "not yet": "var(--jp-warn-color1, #b26a00)",
            "not started": "var(--jp-info-color1, #1565c0)",
        }.get(self.state, "var(--jp-error-color1, #b71c1c)")
        sign = {"passed": "✔", "not yet": "✘", "not started": "…"}.get(self.state, "!")
        code = "" if self.code in ("ok", "not-started") else f" <code>{html.escape(self.code)}</code>"
        more = f"<div>{_code(self.more)}</div>" if self.more else ""
        return (
            f'<div role="status" style="border-left: 4px solid {color}; padding: .4em .8em">'
            f"<strong>{sign} Task {self.task}: {self.state}</strong>{code}"
            f"<div>{_code(self.message)}</div>{more}</div>"
        )


def _code(text: str) -> str:
    """Escape text for HTML and turn backticks into code, and asterisks outside of code into emphasis."""
    parts = re.split(r"`([^`]+)`", html.escape(text))
    emphasis = re.compile(r"\*([^*\s][^*]*)\*")
    return "".join(f"<code>{p}</code>" if i % 2 else emphasis.sub(r"<em>\1</em>", p) for i, p in enumerate(parts))


def run_check(number: int, task: Task, evidence: Evidence) -> Result:
    """Run the check of a task; a defect of the checker never looks like the learner's mistake."""
    start = time.perf_counter()
    try:
        mlflow.flush_trace_async_logging()  # traces of the cells above may still wait in a thread
        with undisturbed():
            task.check(evidence)
        result = Result(number, "ok", task.praise or "Right.", task.points)
    except Mistake as mistake:
        result = Result(number, mistake.code, mistake.message, 0)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        result = Result(
            number,
            "checker-error",
            f"The checker itself failed ({reason}). This is our defect, not your mistake: please report it.",
            0,
        )
    result.seconds = time.perf_counter() - start
    return result


def _withheld(evidence: Evidence) -> None:
    raise NotStarted("This notebook is being graded: the checks run afterwards, on what it leaves in the store.")


#: What a notebook sees while `course grade` executes it, where the checks are not (see `sandbox`): tasks without answers, so
#: that cells which ask for a check go on.
WITHHELD = (Task("(being graded)", 0, _withheld, ("There are no hints while a notebook is graded.",) * 2),) * 9


#: `course grade` asks in several threads; one of them must not see checks that another has half loaded.
_LOADING = threading.RLock()


def load_tasks(step: str) -> tuple[Task, ...]:
    """Return the tasks of a homework, from the ``checks.py`` of its step.

    Parameters
    ----------
    step
        The step's name, for example ``"mlflow_basics"``; two digits mean a number of the first edition.

    Raises
    ------
    CourseError
        When there is no such homework.
    """
    found = steps.find(step)
    name, file = f"course_checks.{found.name}", found.folder / "checks.py"
    with _LOADING:
        if name not in sys.modules:
            if not any((other.folder / "checks.py").is_file() for other in steps.steps()):
                return WITHHELD
            if not file.is_file():
                raise CourseError(f"The checks of homework {found.name!r} are not here: {file} is missing.")
            spec = importlib.util.spec_from_file_location(name, file)
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module  # before it runs: dataclasses look their module up
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[name]
                raise
    return sys.modules[name].TASKS


class Homework:
    """The tasks of one homework, as the notebook uses them.

    It keeps to a store of the learner's own when they have joined a team's server: checks read its files.

    Parameters
    ----------
    step
        The step's name, for example ``"mlflow_basics"``; two digits, as notebooks of the first edition have them, work too.
    """

    def __init__(self, step: str) -> None:
        self.step, self.tasks = steps.find(step).name, load_tasks(step)
        self._hints = dict.fromkeys(range(1, len(self.tasks) + 1), 0)
        self._opened = time.time()
        if class_server.is_remote(mlflow.get_tracking_uri()):
            store.connect(own=True)

    def _task(self, n: int) -> Task:
        if n not in self._hints:
            raise CourseError(f"Homework {self.step} has the tasks 1 to {len(self.tasks)}, not {n!r}.")
        return self.tasks[n - 1]

    def check(self, n: int) -> Result:
        """Judge what is in the store for task `n`, and remember the attempt."""
        task = self._task(n)
        self._opened = min(self._opened, attempts.first_opened(self.step) or self._opened)
        result = run_check(n, task, Evidence(since=self._opened))
        if result.passed:
            result.more = f"Compare with ours: `hw.solution({n})`."
        else:
            if (run := mlflow.active_run()) is not None and result.code != "run-open":
                result.more = f"The run `{run.info.run_name}` is still open in this notebook: `mlflow.end_run()`. "
            if self._hints[n] < len(task.hints):
                result.more += f"Stuck? `hw.hint({n})`"
        attempts.record(self.step, n, result.code, result.points, self._hints[n], result.seconds, self._opened)
        return result

    def hint(self, n: int) -> Any:
        """Return the next hint of task `n`: first a question, then the idea, then the line."""
        from IPython.display import Markdown

        hints = self._task(n).hints
        self._hints[n] = level = min(self._hints[n] + 1, len(hints))
        attempts.record(self.step, n, "not-started", 0, level, 0.0)  # no attempt, but the hint counts
        return Markdown(f"**Hint {level} of {len(hints)}.** {hints[level - 1]}")

    def solution(self, n: int) -> Any:
        """Return our solution of task `n`, read from the solution notebook."""
        from IPython.display import Markdown

        self._task(n)
        return Markdown(f"**One solution of task {n}**\n\n```python\n{solution_code(self.step, n)}\n```")

    def progress(self) -> Any:
        """Return a table of the tasks: level, points, attempts, hints and state, from the progress store."""
        import pandas as pd

        rows = []
        done = attempts.summary().get(self.step, {})
        for n, task in enumerate(self.tasks, 1):
            seen = done.get(n, attempts.TaskProgress())
            rows.append(
                {
                    "task": n,
                    "title": task.title,
                    "level": task.level,
                    "points": f"{seen.points:g} of {task.points}",
                    "attempts": seen.attempts,
                    "hints": seen.hints,
                    "state": seen.state,
                }
            )
        return pd.DataFrame(rows).set_index("task")


def solution_code(step: str, n: int) -> str:
    """Return the code of task `n` from the solution notebook's cells tagged ``task-n``.

    Raises
    ------
    CourseError
        When the solution notebook is not there.
    """
    import nbformat

    for root in dict.fromkeys((store.home(), ROOT)):
        for path in sorted((root / "solutions").glob(f"*_{step}.ipynb")):
            nb = nbformat.read(path, as_version=4)
            cells = [c.source for c in nb.cells if f"task-{n}" in c.metadata.get("tags", [])]
            if cells:
                return "\n\n".join(cells)
    raise CourseError(
        f"The solution of homework {step}, task {n}, is not here: no notebook in solutions/ is called …_{step}.ipynb."
    )
