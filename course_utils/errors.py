"""The one exception that stands for a user's mistake: its message is all that a user sees."""

from __future__ import annotations


class CourseError(Exception):
    """Bad input, told in one message: what was seen, why it is wrong, what to do.

    The command line prints the message and exits with 2; a notebook shows the message without a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        """Show only the message in IPython (its documented hook for custom tracebacks)."""
        return [f"{type(self).__name__}: {self}"]
