"""What a learner calls in a homework: check, hint, solution, progress."""

from __future__ import annotations

import time
from typing import Any

import mlflow

from .. import store
from .._judge.evidence import Evidence
from .._judge.task import Result, Task, load_tasks, run_check
from .._plumbing import class_server, steps
from .._plumbing.files import ROOT
from ..errors import CourseError
from . import attempts

__all__ = ["Homework", "Task"]


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
        self._uri = mlflow.get_tracking_uri()  # a cell that points MLflow elsewhere shall not move the judge

    def _task(self, n: int) -> Task:
        if n not in self._hints:
            raise CourseError(f"Homework {self.step} has the tasks 1 to {len(self.tasks)}, not {n!r}.")
        return self.tasks[n - 1]

    def check(self, n: int) -> Result:
        """Judge what is in the store for task `n`, and remember the attempt."""
        task = self._task(n)
        self._opened = min(self._opened, attempts.first_opened(self.step) or self._opened)
        result = run_check(n, task, Evidence(self._uri, since=self._opened))
        if (run := mlflow.active_run()) is not None and result.code != "run-open":
            result.more = f"The run `{run.info.run_name}` is still open in this notebook: `mlflow.end_run()`. "
        if result.passed:
            result.more += f"Compare with ours: `hw.solution({n})`."
        elif self._hints[n] < len(task.hints):
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
            points = f"{seen.points:g} of {task.points}"
            counted = {"points": points, "attempts": seen.attempts, "hints": seen.hints, "state": seen.state}
            rows.append({"task": n, "title": task.title, "level": task.level, **counted})
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
