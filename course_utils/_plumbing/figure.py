"""How a figure of the course looks and is kept: its style, its size, its words, its file."""

from __future__ import annotations

import html
import io
import textwrap
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..errors import CourseError

P = ParamSpec("P")
#: Okabe and Ito's palette (2008, "Color universal design") without its yellow, which is too pale for a line on white.
#: These colours differ for every kind of colour blindness.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
)
#: The colours in the order in which lines and groups take them.
COLORS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")
GREY = "#595959"
_DPI = 100
#: An opaque white face, so that dark text stays readable in a dark theme. DejaVu comes with matplotlib, so
#: pictures do not depend on the fonts of a machine.
_STYLE = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "legend.frameon": False,
    "lines.linewidth": 2,
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Let a drawing function work in the style of the course, without changing anyone else's."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


def new_figure(
    rows: int = 1, columns: int = 1, width: float = 7.5, height: float = 4.2, **subplots: Any
) -> tuple[Figure, Any]:
    """Return a figure and its axes in the style of the course, outside pyplot: nothing needs to be closed.

    Parameters
    ----------
    rows, columns
        Number of panels.
    width, height
        Inches, at 100 dots each.
    **subplots
        Passed to ``matplotlib.figure.Figure.subplots``.

    Returns
    -------
    Figure
    Axes, or ndarray of Axes
        As from ``subplots``.
    """
    with matplotlib.rc_context(_STYLE):
        fig = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
        FigureCanvasAgg(fig)
        return fig, fig.subplots(rows, columns, **subplots)


def describe(fig: Figure, text: str) -> Figure:
    """Attach the alt text to a figure and return the figure."""
    fig.alt_text = " ".join(text.split())  # type: ignore[attr-defined]
    return fig


def alt_text(fig: Figure) -> str:
    """Return what the figure shows, in words.

    Raises
    ------
    CourseError
        When the figure has no alt text; a figure of your own gets one with `describe`.
    """
    text = getattr(fig, "alt_text", "")
    if not text:
        raise CourseError(
            "This figure has no alt text, so it says nothing to a reader who cannot see it. "
            "Add one: plots.describe(fig, '…what it shows…')."
        )
    return text


def png(fig: Figure) -> bytes:
    """Return the figure as a PNG file without its maker's version; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        fig.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def save(fig: Figure, path: str | Path) -> Path:
    """Write the figure as a PNG file and return the path.

    Raises
    ------
    CourseError
        When the file cannot be written.
    """
    path = Path(path)
    try:
        path.write_bytes(png(fig))
    except OSError as error:
        raise CourseError(
            f"The figure {path} cannot be written: {error}. Choose a folder that you may write to."
        ) from error
    return path


def show(fig: Figure) -> None:
    """Show the figure in a notebook, with its alt text wherever a reader may be.

    The picture carries the alt text as metadata (nbconvert writes it into the page) and as text/plain
    (terminals, comparison of outputs). JupyterLab 4.6, GitHub and myst-nb give a stored picture no alternative
    text at all, so the words also follow as a line to unfold, which every screen reader can open.

    Raises
    ------
    CourseError
        When the figure has no alt text.
    """
    from IPython.display import display

    words = alt_text(fig)
    display({"image/png": png(fig), "text/plain": f"Figure: {words}"}, raw=True, metadata={"image/png": {"alt": words}})
    folded = f"<details><summary>Figure in words</summary><p>{html.escape(words)}</p></details>"
    display({"text/html": folded, "text/plain": ""}, raw=True)


def wrap(text: str, width: float) -> str:
    """Break a title so that it fits a panel of `width` inches at the title's font size."""
    return "\n".join(textwrap.wrap(text, int(width * 10.5)))


def finish(fig: Figure, ax: Any, title: str, xlabel: str, ylabel: str, words: str) -> Figure:
    """Give a figure with one panel its title, labels and alt text."""
    ax.set_title(wrap(title, fig.get_figwidth()))
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    return describe(fig, f"{title}. {words}")


def in_words(values: Mapping[Any, float] | pd.Series, digits: int = 3) -> str:
    """Return names with values as one phrase."""
    return ", ".join(f"{name} {value:.{digits}f}" for name, value in values.items())


def needs(table: pd.DataFrame, *columns: str) -> None:
    """Raise when the table lacks a column or has no rows."""
    if missing := [c for c in columns if c not in table.columns]:
        raise CourseError(
            f"The table has no column {missing[0]!r} to plot; it has {', '.join(map(str, table.columns))}."
        )
    if table.empty:
        raise CourseError("The table has no rows to plot. Run the cells that log the runs first.")
