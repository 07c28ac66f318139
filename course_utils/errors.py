"""The one exception that stands for a user's mistake: its message is all that a user sees."""

from __future__ import annotations


def printable(text: object, most: int = 0) -> str:
    """Return a stranger's text, such as a file name, as it may be shown.

    Control characters would reach the terminal as commands, and direction marks (U+202E and its kind) would let a name
    read as another; each is shown as ``\N{REPLACEMENT CHARACTER}``. Text longer than `most` characters is cut.
    """
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))
    return clean if not most or len(clean) <= most else clean[: most - 1] + "…"


class CourseError(Exception):
    """Bad input, explained in one message: what was seen, why it is wrong, what to do.

    The command line prints the message and exits with 2; a notebook shows the message without a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        """Show only the message in IPython (its documented hook for custom tracebacks)."""
        return [f"{type(self).__name__}: {self}"]
