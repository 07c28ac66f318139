"""The tasks of a homework, their checks, and what came of one."""

from __future__ import annotations

import html
import importlib.util
import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import mlflow

from .._plumbing import steps
from ..errors import CourseError
from .evidence import Evidence
from .mistake import Mistake, NotStarted
from .undisturbed import undisturbed

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
        """Return one small block in the theme's colours; its state is a word and a sign, not only a colour."""
        color = {
            "passed": "var(--jp-success-color1, #2e7d32)",
            "not yet": "var(--jp-warn-color1, #b26a00)",
            "not started": "var(--jp-info-color1, #1565c0)",
        }.get(self.state, "var(--jp-error-color1, #b71c1c)")
        sign = {"passed": "✔", "not yet": "✘", "not started": "…"}.get(self.state, "!")
        code = "" if self.code in ("ok", "not-started") else f" <code>{html.escape(self.code)}</code>"
        more = f"<div>{html_of(self.more)}</div>" if self.more else ""
        return (
            f'<div role="status" style="border-left: 4px solid {color}; padding: .4em .8em">'
            f"<strong>{sign} Task {self.task}: {self.state}</strong>{code}"
            f"<div>{html_of(self.message)}</div>{more}</div>"
        )


def html_of(text: str) -> str:
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
#: that cells which ask for a check still run.
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
