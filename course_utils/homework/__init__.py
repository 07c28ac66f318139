"""Homework that checks itself: the judge is the learner's MLflow store, not a variable in the notebook."""

from .._judge.evidence import Evidence
from .question import Homework, Mistake, NotStarted, Result, Task, run_check

__all__ = ["Evidence", "Homework", "Mistake", "NotStarted", "Result", "Task", "run_check"]
