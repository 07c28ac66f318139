"""Homework that checks itself: the judge is the learner's MLflow store, not a variable in the notebook."""

from .question import Homework

__all__ = ["Homework"]
