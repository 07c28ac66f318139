"""The two ways in which a task is not solved: a diagnosed mistake, or nothing there yet."""

from __future__ import annotations


class Mistake(Exception):
    """A diagnosed mistake in an answer.

    Parameters
    ----------
    code
        Name of the misconception, for example ``metric-as-param``; lectures, tests and class statistics use it.
    message
        What was seen, why it matters, what to do; never the answer. Backticks mark code.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class NotStarted(Mistake):
    """There is nothing to judge yet."""

    def __init__(self, message: str) -> None:
        super().__init__("not-started", message)
