"""Figures of the lectures: each shows one finding, in colours that everybody can tell apart, and says it in words, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from ._plumbing.figure import (
    BLUE,
    COLORS,
    GREY,
    MARKERS,
    ORANGE,
    SKY,
    VERMILION,
    alt_text,
    describe,
    finish,
    in_words,
    needs,
    new_figure,
    png,
    save,
    show,
    styled,
    wrap,
)
from .errors import CourseError
from .panels import (
    calibration_comparison,
    confusion_matrix,
    evaluation_panels,
    learning_curve,
    runtime_comparison,
    validation_curve,
)

__all__ = [
    "alt_text",
    "bars",
    "BLUE",
    "calibration_comparison",
    "COLORS",
    "confusion_matrix",
    "describe",
    "diagram",
    "evaluation_panels",
    "heat_map",
    "learning_curve",
    "new_figure",
    "ORANGE",
    "parallel_coordinates",
    "png",
    "runs_line",
    "runtime_comparison",
    "save",
    "show",
    "SKY",
    "validation_curve",
    "VERMILION",
]


@styled
def bars(
    values: pd.Series, *, title: str, xlabel: str, baseline: float = 0.0, highlight: Any = None, digits: int = 3
) -> Figure:
    """Return horizontal bars with their values, one bar a row.

    Parameters
    ----------
    values
        Numbers, indexed by the name of each bar; drawn from top to bottom.
    title
        The finding, computed by the caller.
    xlabel
        What is measured, with its unit.
    baseline
        Where the bars begin: 0, or the score of guessing (0.5 for ROC-AUC), which is marked then.
    highlight
        Name of the bar to stress; the longest when not given.
    digits
        Decimals of the printed values.
    """
    values = values.dropna()
    if values.empty:
        raise CourseError("There is no value to draw a bar for. Run the cells that log the runs first.")
    highlight = (values - baseline).abs().idxmax() if highlight is None else highlight
    fig, ax = new_figure(height=1.5 + 0.42 * len(values))
    colors = [BLUE if name == highlight else SKY for name in values.index]
    drawn = ax.barh(range(len(values)), values - baseline, left=baseline, color=colors)
    ax.bar_label(drawn, [f"{v:.{digits}f}" for v in values], padding=4)
    ax.set_yticks(range(len(values)), [str(name) for name in values.index])
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.margins(x=0.12)
    if baseline:
        ax.axvline(baseline, color=GREY, linestyle="--", linewidth=1.3)
        xlabel = f"{xlabel} (bars begin at {baseline:g})"
    return finish(fig, ax, title, xlabel, values.index.name or "", f"Bars: {in_words(values, digits)}.")


@styled
def runs_line(
    table: pd.DataFrame,
    x: str,
    y: str | Sequence[str],
    *,
    title: str,
    xlabel: str = "",
    ylabel: str = "",
    log: str = "",
) -> Figure:
    """Return one or several columns of a table of runs as lines over another column.

    Parameters
    ----------
    table
        One row a run (`store.runs`) or a step. Parameters, which MLflow keeps as text, become numbers.
    x, y
        Column on the horizontal axis; one or several columns to draw (at most six).
    title
        The finding, computed by the caller.
    xlabel, ylabel
        Labels with units; the column names when not given.
    log
        Axes that are logarithmic: ``""``, ``"x"``, ``"y"`` or ``"xy"``.

    Raises
    ------
    CourseError
        When a column is missing or there are no rows.
    """
    columns = [y] if isinstance(y, str) else list(y)
    needs(table, x, *columns)
    table = table[[x, *columns]].apply(pd.to_numeric, errors="coerce").dropna(subset=[x]).sort_values(x)
    fig, ax = new_figure()
    for column, color, marker in zip(columns, COLORS, MARKERS, strict=False):
        ax.plot(table[x], table[column], color=color, marker=marker, label=column)
    _scale(ax, log)
    if len(columns) > 1:
        ax.legend()
    ends = "; ".join(
        f"{c} goes from {table[c].iloc[0]:.4g} to {table[c].iloc[-1]:.4g}, highest {table[c].max():.4g}"
        for c in columns
    )
    words = f"Over {x} from {table[x].iloc[0]:g} to {table[x].iloc[-1]:g}: {ends}."
    return finish(fig, ax, title, xlabel or x, ylabel or " / ".join(columns), words)


def _scale(ax: Any, log: str) -> None:
    """Make the named axes logarithmic."""
    if set(log) - {"x", "y"}:
        raise CourseError(f"log is {log!r}; name the logarithmic axes: '', 'x', 'y' or 'xy'.")
    for name, axis, setter in (("x", ax.xaxis, ax.set_xscale), ("y", ax.yaxis, ax.set_yscale)):
        if name in log:
            setter("log")
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())


@styled
def parallel_coordinates(table: pd.DataFrame, columns: Sequence[str], color: str, *, title: str) -> Figure:
    """Return one line a run across several vertical axes; darker lines have a higher value of `color`.

    Parameters
    ----------
    table
        One row a run. Parameters, which MLflow keeps as text, become numbers where they can; other text takes
        evenly spaced places on its axis.
    columns
        Columns for the axes, from left to right.
    color
        Column whose value colours the line, usually the metric; also the last axis.
    title
        The finding, computed by the caller.

    Raises
    ------
    CourseError
        When a column is missing or there are no rows.
    """
    needs(table, *columns, color)
    names = [*(c for c in columns if c != color), color]
    shades = matplotlib.colormaps["cividis_r"]
    fig, ax = new_figure(width=max(7.5, 1.6 * len(names)), height=4.6)
    places = pd.DataFrame(index=range(len(table)))
    ticks: dict[str, list[tuple[float, str]]] = {}
    for name in names:
        places[name], ticks[name] = _axis(table[name].reset_index(drop=True))
    for _, row in places.sort_values(color).iterrows():
        ax.plot(range(len(names)), row, color=shades(0.15 + 0.85 * row[color]), alpha=0.85, linewidth=1.6)
    for index, name in enumerate(names):
        ax.axvline(index, color=GREY, linewidth=1)
        for place, text in ticks[name]:
            ax.annotate(
                text,
                (index, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
            )
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks([])
    ax.set_xlim(-0.15, len(names) - 0.55)
    ax.grid(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    best = table.iloc[int(pd.to_numeric(table[color], errors="coerce").reset_index(drop=True).idxmax())]
    words = (
        f"{len(table)} runs as lines across {', '.join(names)}; darker lines have a higher {color}. "
        f"The highest {color}, {float(best[color]):.3f}, has {', '.join(f'{n} {best[n]}' for n in names[:-1])}."
    )
    return finish(fig, ax, title, f"one line a run; darker: higher {color}", "", words)


def _axis(values: pd.Series) -> tuple[pd.Series, list[tuple[float, str]]]:
    """Return the places (0 to 1) of the values on a vertical axis, and its tick labels."""
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().all():
        low, high = numbers.min(), numbers.max()
        if low == high:
            return pd.Series(0.5, index=values.index), [(0.5, f"{low:g}")]
        # Values over more than two decades stand on a logarithmic axis, or all but the largest fall together.
        if low > 0 and high / low > 100:
            scaled = (np.log(numbers) - np.log(low)) / (np.log(high) - np.log(low))
        else:
            scaled = (numbers - low) / (high - low)
        distinct = sorted(set(zip(scaled, numbers, strict=True)))
        if len(distinct) > 6:
            distinct = [distinct[0], distinct[-1]]
        return scaled, [(place, f"{number:.4g}") for place, number in distinct]
    texts = values.astype(str)
    levels = sorted(texts.unique())
    place = {text: (i / (len(levels) - 1) if len(levels) > 1 else 0.5) for i, text in enumerate(levels)}
    return texts.map(place).astype(float), [(place[text], text) for text in levels]


@styled
def heat_map(
    table: pd.DataFrame,
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    value: str,
    limit: float | None = None,
    digits: int = 2,
) -> Figure:
    """Return a table of numbers as a heat map with the numbers in it, for example drift by feature and week.

    Parameters
    ----------
    table
        Numbers of shape (n_rows, n_columns); index and columns name the cells.
    title
        The finding, computed by the caller.
    xlabel, ylabel, value
        What columns, rows and colours stand for, with units.
    limit
        Cells above it are framed, for example the level of an alert.
    digits
        Decimals of the printed numbers.
    """
    import seaborn
    from matplotlib.patches import Rectangle

    if table.empty:
        raise CourseError("The table has no cells to draw. Compute it on at least one row and one column.")
    numbers = table.astype(float)
    fig, ax = new_figure(width=max(6.5, 2.6 + 0.62 * numbers.shape[1]), height=1.7 + 0.42 * len(numbers))
    seaborn.heatmap(
        numbers,
        annot=True,
        fmt=f".{digits}f",
        cmap="Blues",
        vmin=min(0.0, float(numbers.min().min())),
        linewidths=0.5,
        linecolor="white",
        cbar_kws={"label": value},
        annot_kws={"fontsize": 9},
        ax=ax,
    )
    ax.grid(False)
    ax.tick_params(axis="y", rotation=0)
    if limit is not None:
        for row, column in np.argwhere(numbers.to_numpy() > limit):
            ax.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor=VERMILION, linewidth=2.4))
    stacked = numbers.stack()
    row, column = stacked.idxmax()
    above = "" if limit is None else f" {int((stacked > limit).sum())} cells are above {limit:g} (framed)."
    words = (
        f"Heat map of {value}, {len(numbers)} rows by {numbers.shape[1]} columns; the highest value, "
        f"{stacked.max():.{digits}f}, is at {row}, {column}.{above}"
    )
    return finish(fig, ax, title, xlabel, ylabel, words)


@styled
def diagram(
    boxes: Mapping[str, tuple[float, float, str]],
    arrows: Sequence[tuple[str, str, str]],
    *,
    title: str,
    width: float = 7.5,
    height: float = 3.2,
) -> Figure:
    """Return boxes joined by arrows, for things that stand in a relation.

    Parameters
    ----------
    boxes
        Key → (x, y, text) of the middle of a box, in units of one line's height and two to three letters' width;
        the first line of the text is its name and stands out.
    arrows
        (from, to, label) by the keys of the boxes.
    title
        What the picture says.
    width, height
        Inches.
    """
    fig, ax = new_figure(width=width, height=height)
    ax.set_axis_off()
    drawn = {}
    for key, (x, y, text) in boxes.items():
        name, _, rest = text.partition("\n")
        label = f"$\\bf{{{name.replace(' ', chr(92) + ' ')}}}$" + (f"\n{rest}" if rest else "")
        drawn[key] = ax.text(
            x,
            y,
            label,
            ha="center",
            va="center",
            linespacing=1.35,
            bbox={"boxstyle": "round,pad=0.6", "facecolor": "#eef4fa", "edgecolor": BLUE, "linewidth": 1.5},
        )
    for start, end, label in arrows:
        (x0, y0, _), (x1, y1, _) = boxes[start], boxes[end]
        ax.annotate(
            "",
            (x1, y1),
            (x0, y0),
            arrowprops={
                "arrowstyle": "-|>",
                "color": GREY,
                "linewidth": 1.5,
                "mutation_scale": 16,
                "patchA": drawn[start].get_bbox_patch(),
                "patchB": drawn[end].get_bbox_patch(),
                "shrinkA": 2,
                "shrinkB": 3,
            },
        )
        ax.text(
            (x0 + x1) / 2,
            (y0 + y1) / 2,
            label,
            ha="center",
            va="center",
            color=GREY,
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )
    xs, ys = [b[0] for b in boxes.values()], [b[1] for b in boxes.values()]
    ax.set_xlim(min(xs) - 1.2, max(xs) + 1.2)
    ax.set_ylim(min(ys) - 0.8, max(ys) + 0.8)
    names = {key: text.partition("\n")[0] for key, (_, _, text) in boxes.items()}
    ax.set_title(wrap(title, width))
    parts = [" ".join(text.replace("\n", ": ", 1).split()) for _, _, text in boxes.values()]
    ways = [f"{names[a]} to {names[b]}{f' ({chr(32).join(label.split())})' if label else ''}" for a, b, label in arrows]
    return describe(fig, f"{title}. Boxes: {'; '.join(parts)}. Arrows: {'; '.join(ways)}.")
