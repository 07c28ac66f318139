"""Every figure of the course: fixed size, colour-blind-safe, a title that says what is seen, alt text."""

from __future__ import annotations

import html
import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike
from sklearn.metrics import confusion_matrix as count_confusion
from sklearn.metrics import precision_recall_curve, roc_curve

from . import scores
from .errors import CourseError

P = ParamSpec("P")
#: Okabe and Ito's palette (2008, "Color universal design"): told apart with every kind of colour blindness.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
)
#: The colours in the order in which lines and groups take them; yellow is too pale for a line on white.
COLORS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
_MARKERS = ("o", "s", "^", "D", "v", "P")
_GREY = "#595959"
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


def _styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Let a drawing function work in the style of the course, without changing anyone else's."""

    @wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return styled


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


def _wrap(text: str, width: float) -> str:
    """Break a title so that it fits a panel of `width` inches at the title's font size."""
    return "\n".join(textwrap.wrap(text, int(width * 10.5)))


def _finish(fig: Figure, ax: Any, title: str, xlabel: str, ylabel: str, words: str) -> Figure:
    """Give a figure with one panel its title, labels and alt text."""
    ax.set_title(_wrap(title, fig.get_figwidth()))
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    return describe(fig, f"{title}. {words}")


def _values(values: Mapping[Any, float] | pd.Series, digits: int = 3) -> str:
    """Return names with values as one phrase."""
    return ", ".join(f"{name} {value:.{digits}f}" for name, value in values.items())


def _needs(table: pd.DataFrame, *columns: str) -> None:
    """Raise when the table lacks a column or has no rows."""
    if missing := [c for c in columns if c not in table.columns]:
        raise CourseError(
            f"The table has no column {missing[0]!r} to plot; it has {', '.join(map(str, table.columns))}."
        )
    if table.empty:
        raise CourseError("The table has no rows to plot. Run the cells that log the runs first.")


# --------------------------------------------------------------------------------------- evaluation of a model


@_styled
def evaluation_panels(
    y_true: ArrayLike, probability: ArrayLike, threshold: float, *, classes: Sequence[Any] = (0, 1), n_bins: int = 10
) -> Figure:
    """Return four panels: ROC curve, precision-recall, confusion matrix at the threshold, calibration.

    Parameters
    ----------
    y_true, probability
        Labels 0 and 1, and probabilities of class 1; both shape (n_rows,).
    threshold
        Where class 1 begins; chosen on other rows than these.
    classes
        Names of class 0 and class 1.
    n_bins
        Bins of the calibration panel.

    Raises
    ------
    CourseError
        As in `scores.scores`.
    """
    y, p = np.asarray(y_true), np.asarray(probability)
    found = scores.scores(y, p, threshold)
    prevalence = float(y.mean())
    fig, axes = new_figure(2, 2, 10, 8.4)
    _roc_panel(axes[0, 0], y, p, threshold, found["roc_auc"])
    _precision_recall_panel(axes[0, 1], y, p, threshold, found["pr_auc"], prevalence)
    counts = _confusion_panel(axes[1, 0], y, p >= threshold, classes)
    axes[1, 0].set_title(f"F1 {found['f1']:.3f} at the threshold {threshold:.3f}")
    _reliability_panel(axes[1, 1], y, {"model": p}, n_bins)
    axes[1, 1].get_legend().remove()
    axes[1, 1].set_title(f"Brier score {found['brier']:.3f}: 0 is best")
    (tn, fp), (fn, tp) = counts
    return describe(
        fig,
        f"Four panels on {len(y)} test rows. ROC curve: area {found['roc_auc']:.3f}, guessing has 0.5. "
        f"Precision-recall curve: average precision {found['pr_auc']:.3f}, guessing has {prevalence:.3f}. "
        f"Confusion matrix at the threshold {threshold:.3f}: {tn} and {tp} rows of class {classes[0]} and "
        f"{classes[1]} are right, {fp} and {fn} are wrong; F1 {found['f1']:.3f}. "
        f"Calibration: Brier score {found['brier']:.3f}.",
    )


def _roc_panel(ax: Any, y: np.ndarray, p: np.ndarray, threshold: float, area: float) -> None:
    fall_out, recall, _ = roc_curve(y, p)
    ax.plot(fall_out, recall, color=BLUE, label="model")
    ax.plot([0, 1], [0, 1], color=_GREY, linestyle="--", linewidth=1.3, label="guessing")
    chosen = p >= threshold
    ax.plot(chosen[y == 0].mean(), chosen[y == 1].mean(), "o", color=VERMILION, markersize=9, label="threshold")
    ax.set(
        title=f"ROC-AUC {area:.3f}",
        xlabel="false positive rate (share of class 0)",
        ylabel="true positive rate (share of class 1)",
    )
    ax.legend(loc="lower right")


def _precision_recall_panel(
    ax: Any, y: np.ndarray, p: np.ndarray, threshold: float, area: float, prevalence: float
) -> None:
    precision, recall, _ = precision_recall_curve(y, p)
    ax.plot(recall, precision, color=BLUE, drawstyle="steps-post", label="model")
    ax.axhline(prevalence, color=_GREY, linestyle="--", linewidth=1.3, label=f"guessing: prevalence {prevalence:.2f}")
    chosen = p >= threshold
    if chosen.any():
        ax.plot(chosen[y == 1].mean(), y[chosen].mean(), "o", color=VERMILION, markersize=9, label="threshold")
    ax.set(
        title=f"Average precision {area:.3f}",
        xlabel="recall (share of class 1 found)",
        ylabel="precision (share of alarms that are right)",
        ylim=(0, 1.03),
    )
    ax.legend(loc="lower left")


def _confusion_panel(ax: Any, y: np.ndarray, predicted: np.ndarray, classes: Sequence[Any]) -> np.ndarray:
    """Draw counts and shares of each true class; return the counts."""
    import seaborn

    counts = count_confusion(y, np.asarray(predicted).astype(int), labels=range(len(classes)))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    texts = np.array(
        [[f"{n}\n{share:.0%}" for n, share in zip(*row, strict=True)] for row in zip(counts, shares, strict=True)]
    )
    seaborn.heatmap(
        shares,
        annot=texts,
        fmt="",
        cmap="Blues",
        vmin=0,
        vmax=1,
        cbar=False,
        square=len(classes) > 2,
        linewidths=1,
        linecolor="white",
        xticklabels=list(classes),
        yticklabels=list(classes),
        ax=ax,
    )
    ax.set(xlabel="predicted class", ylabel="true class (shares of its rows)")
    ax.grid(False)
    return counts


def _reliability_panel(ax: Any, y: np.ndarray, models: Mapping[str, np.ndarray], n_bins: int) -> None:
    ax.plot([0, 1], [0, 1], color=_GREY, linestyle="--", linewidth=1.3, label="perfect")
    # Later lines are thinner, so that two models that agree are both seen.
    for index, (name, p) in enumerate(models.items()):
        table = scores.reliability(y, p, n_bins)
        style = {
            "color": COLORS[index],
            "marker": _MARKERS[index],
            "linewidth": min(4, 1.6 + 1.2 * (len(models) - 1 - index)),
        }
        ax.plot(
            table["predicted"],
            table["observed"],
            label=name,
            markersize=min(9, 5 + 2 * (len(models) - 1 - index)),
            **style,
        )
    ax.set(
        xlabel="predicted probability of class 1 (mean of bin)",
        ylabel="observed share of class 1",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
    )
    ax.legend(loc="upper left")


@_styled
def confusion_matrix(
    y_true: ArrayLike, predicted: ArrayLike, classes: Sequence[Any] = (0, 1), *, title: str = ""
) -> Figure:
    """Return the confusion matrix as a heat map: counts, and shares of each true class.

    Parameters
    ----------
    y_true, predicted
        Class numbers 0, 1, … of shape (n_rows,).
    classes
        Names of the classes, in the order of their numbers.
    title
        The finding; the share of right answers when not given.
    """
    y, found = np.asarray(y_true).astype(int), np.asarray(predicted).astype(int)
    if y.shape != found.shape:
        raise CourseError(f"There are {y.shape} labels and {found.shape} predictions. Give one of each a row.")
    size = 4.2 + 0.35 * max(0, len(classes) - 3)
    fig, ax = new_figure(width=size + 1, height=size)
    counts = _confusion_panel(ax, y, found, classes)
    right = int(np.trace(counts))
    title = title or f"{right} of {counts.sum()} rows are classified right"
    wrong = counts - np.diag(np.diag(counts))
    true, found_as = np.unravel_index(wrong.argmax(), wrong.shape)
    words = f"Right answers by class: {_values(dict(zip(classes, np.diag(counts), strict=True)), 0)}."
    if wrong.any():
        words += f" The most frequent error: {wrong.max()} rows of {classes[true]} are taken for {classes[found_as]}."
    return _finish(fig, ax, title, "predicted class", "true class (shares of its rows)", words)


@_styled
def calibration_comparison(
    y_true: ArrayLike, models: Mapping[str, ArrayLike], *, n_bins: int = 10, rows: str = "out-of-fold rows"
) -> Figure:
    """Return reliability curves of several models, and below them how often each probability is given.

    Parameters
    ----------
    y_true
        Labels 0 and 1, shape (n_rows,).
    models
        Name of a model to its probabilities of class 1, each shape (n_rows,); at most six.
    n_bins
        Bins between 0 and 1.
    rows
        What the rows are, for the title.

    Raises
    ------
    CourseError
        As in `scores.scores`.
    """
    y = np.asarray(y_true)
    found = {name: np.asarray(p) for name, p in models.items()}
    if len(found) > len(COLORS):
        raise CourseError(f"{len(found)} models are too many: {len(COLORS)} colours can be told apart.")
    briers = pd.Series({name: scores.scores(y, p)["brier"] for name, p in found.items()})
    fig, (top, bottom) = new_figure(2, 1, 7.5, 6, height_ratios=(3, 1), sharex=True)
    _reliability_panel(top, y, found, n_bins)
    top.set_xlabel("")
    for (name, p), color in zip(found.items(), COLORS, strict=False):
        bottom.hist(p, bins=np.linspace(0, 1, 2 * n_bins + 1), histtype="step", color=color, label=name, linewidth=1.6)
    bottom.set(xlabel="predicted probability of class 1", ylabel="rows")
    best = briers.idxmin()
    title = f"{best} has the lowest Brier score on {rows}: {briers[best]:.4f}"
    top.set_title(_wrap(title, 7.5))
    return describe(
        fig,
        f"{title}. Reliability curves near the diagonal are good. Brier scores: {_values(briers, 4)}. "
        "Below: how often each probability is given.",
    )


# ------------------------------------------------------------------------------- learning and validation curve


def _band(ax: Any, x: ArrayLike, scores: np.ndarray, color: str, marker: str, label: str) -> None:
    """Draw the mean over folds with a band of one standard deviation to each side."""
    mean, spread = scores.mean(axis=1), scores.std(axis=1)
    ax.plot(x, mean, color=color, marker=marker, label=label)
    ax.fill_between(x, mean - spread, mean + spread, color=color, alpha=0.18, linewidth=0)


@_styled
def learning_curve(
    sizes: ArrayLike, train_scores: ArrayLike, validation_scores: ArrayLike, *, scoring: str = "ROC-AUC"
) -> Figure:
    """Return scores over the number of training rows; the band is one standard deviation over the folds.

    Parameters
    ----------
    sizes
        Training rows, shape (n_sizes,).
    train_scores, validation_scores
        Shape (n_sizes, n_folds), as from ``sklearn.model_selection.learning_curve``; higher is better.
    scoring
        Name of the score, for the axis.
    """
    sizes, train, validation = (np.asarray(v) for v in (sizes, train_scores, validation_scores))
    gap = train[-1].mean() - validation[-1].mean()
    fig, ax = new_figure()
    _band(ax, sizes, train, VERMILION, "s", "training folds")
    _band(ax, sizes, validation, BLUE, "o", "validation folds")
    ax.legend()
    title = f"With {sizes[-1]} rows the gap between training and validation is {gap:.3f}"
    return _finish(
        fig,
        ax,
        title,
        "training rows",
        f"{scoring} (band: ± 1 standard deviation)",
        f"From {sizes[0]} to {sizes[-1]} rows the training score goes from {train[0].mean():.3f} to "
        f"{train[-1].mean():.3f}, the validation score from {validation[0].mean():.3f} to "
        f"{validation[-1].mean():.3f}.",
    )


@_styled
def validation_curve(
    values: ArrayLike,
    train_scores: ArrayLike,
    validation_scores: ArrayLike,
    *,
    name: str = "C",
    scoring: str = "ROC-AUC",
    chosen: float | None = None,
    log: bool = True,
) -> Figure:
    """Return scores over one hyperparameter, with the sweet spot and the value that a search chose.

    Parameters
    ----------
    values
        Values of the hyperparameter, shape (n_values,), ascending.
    train_scores, validation_scores
        Shape (n_values, n_folds), as from ``sklearn.model_selection.validation_curve``; higher is better.
    name, scoring
        Names of hyperparameter and score, for the axes.
    chosen
        Value that a search chose; marked when given.
    log
        Whether the values stand on a logarithmic axis.
    """
    values, train, validation = (np.asarray(v) for v in (values, train_scores, validation_scores))
    best = int(validation.mean(axis=1).argmax())
    fig, ax = new_figure()
    if log:
        ax.set_xscale("log")
    _band(ax, values, train, VERMILION, "s", "training folds")
    _band(ax, values, validation, BLUE, "o", "validation folds")
    ax.axvline(values[best], color=GREEN, linestyle="--", label=f"sweet spot {values[best]:.3g}")
    if chosen is not None:
        ax.axvline(chosen, color=ORANGE, linestyle=":", linewidth=3, label=f"search chose {chosen:.3g}")
    ax.legend()
    title = f"The sweet spot is {name} = {values[best]:.3g}: validation {scoring} {validation[best].mean():.3f}"
    agree = "" if chosen is None else f" The search chose {chosen:.3g}."
    return _finish(
        fig,
        ax,
        title,
        f"{name}{' (logarithmic axis)' if log else ''}",
        f"{scoring} (band: ± 1 standard deviation)",
        f"At the smallest value, {values[0]:g}, the validation score is {validation[0].mean():.3f}, at the largest, "
        f"{values[-1]:g}, it is {validation[-1].mean():.3f}, and the training score {train[-1].mean():.3f}.{agree}",
    )


# ---------------------------------------------------------------------------------------------- tables of runs


@_styled
def runtime_comparison(table: pd.DataFrame) -> Figure:
    """Return the score of several models over the folds, beside what they cost: fit, one row, a row of a batch.

    Parameters
    ----------
    table
        Indexed by model, with ``cv_roc_auc``, ``fit_seconds`` (missing where it was not measured), ``one_row_ms`` and
        ``per_sample_ms``.

    Raises
    ------
    CourseError
        When a column is missing.
    """
    panels = (
        ("cv_roc_auc", "ROC-AUC over the folds", "{:.3f}"),
        ("fit_seconds", "fit (s)", "{:.3g} s"),
        ("one_row_ms", "one row alone (ms)", "{:.2g} ms"),
        ("per_sample_ms", "a row of a batch (ms)", "{:.2g} ms"),
    )
    _needs(table, *(column for column, _, _ in panels))
    fig, axes = new_figure(1, 4, 11, 1.6 + 0.6 * len(table))
    for ax, (column, label, form) in zip(axes, panels, strict=True):
        values = table[column]
        winner = values.idxmax() if column == "cv_roc_auc" else values.idxmin()
        colors = [BLUE if name == winner else SKY for name in values.index]
        drawn = ax.barh(range(len(values)), values.fillna(0), color=colors)
        ax.bar_label(drawn, ["" if pd.isna(v) else form.format(v) for v in values], padding=3)
        names = [str(name).replace("_", " ") for name in values.index]
        ax.set_yticks(range(len(values)), names if ax is axes[0] else [""] * len(values))
        ax.invert_yaxis()
        ax.set_xlim(0, 1.45 * values.max())
        ax.set_title(
            f"{str(winner).replace('_', ' ')}\nis {'best' if column == 'cv_roc_auc' else 'fastest'}", fontsize=10
        )
        ax.set_xlabel(label)
        ax.grid(axis="y", visible=False)
        ax.xaxis.set_major_locator(MaxNLocator(3))
    words = "; ".join(
        f"{name}: ROC-AUC over the folds {row['cv_roc_auc']:.3f}, one row takes {row['one_row_ms']:.2g} ms alone and "
        f"{row['per_sample_ms']:.2g} ms in a batch"
        for name, row in table.iterrows()
    )
    best, fastest = table["cv_roc_auc"].idxmax(), table["one_row_ms"].idxmin()
    return describe(fig, f"{best} has the best score, {fastest} answers one row fastest. {words}.")


@_styled
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
        ax.axvline(baseline, color=_GREY, linestyle="--", linewidth=1.3)
        xlabel = f"{xlabel} (bars begin at {baseline:g})"
    return _finish(fig, ax, title, xlabel, values.index.name or "", f"Bars: {_values(values, digits)}.")


@_styled
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
    _needs(table, x, *columns)
    table = table[[x, *columns]].apply(pd.to_numeric, errors="coerce").dropna(subset=[x]).sort_values(x)
    fig, ax = new_figure()
    for column, color, marker in zip(columns, COLORS, _MARKERS, strict=False):
        ax.plot(table[x], table[column], color=color, marker=marker, label=column)
    _scale(ax, log)
    if len(columns) > 1:
        ax.legend()
    ends = "; ".join(
        f"{c} goes from {table[c].iloc[0]:.4g} to {table[c].iloc[-1]:.4g}, highest {table[c].max():.4g}"
        for c in columns
    )
    words = f"Over {x} from {table[x].iloc[0]:g} to {table[x].iloc[-1]:g}: {ends}."
    return _finish(fig, ax, title, xlabel or x, ylabel or " / ".join(columns), words)


@_styled
def _scale(ax: Any, log: str) -> None:
    """Make the named axes logarithmic."""
    if set(log) - {"x", "y"}:
        raise CourseError(f"log is {log!r}; name the logarithmic axes: '', 'x', 'y' or 'xy'.")
    for name, axis, setter in (("x", ax.xaxis, ax.set_xscale), ("y", ax.yaxis, ax.set_yscale)):
        if name in log:
            setter("log")
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())


@_styled
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
    _needs(table, *columns, color)
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
        ax.axvline(index, color=_GREY, linewidth=1)
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
    return _finish(fig, ax, title, f"one line a run; darker: higher {color}", "", words)


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


@_styled
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
    return _finish(fig, ax, title, xlabel, ylabel, words)


@_styled
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
                "color": _GREY,
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
            color=_GREY,
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )
    xs, ys = [b[0] for b in boxes.values()], [b[1] for b in boxes.values()]
    ax.set_xlim(min(xs) - 1.2, max(xs) + 1.2)
    ax.set_ylim(min(ys) - 0.8, max(ys) + 0.8)
    names = {key: text.partition("\n")[0] for key, (_, _, text) in boxes.items()}
    ax.set_title(_wrap(title, width))
    parts = [" ".join(text.replace("\n", ": ", 1).split()) for _, _, text in boxes.values()]
    ways = [f"{names[a]} to {names[b]}{f' ({chr(32).join(label.split())})' if label else ''}" for a, b, label in arrows]
    return describe(fig, f"{title}. Boxes: {'; '.join(parts)}. Arrows: {'; '.join(ways)}.")
