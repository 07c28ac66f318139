"""The figures of a whole workflow: how a classifier decides, how it learns, what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike
from sklearn.metrics import confusion_matrix as count_confusion
from sklearn.metrics import precision_recall_curve, roc_curve

from . import scores
from ._plumbing.figure import (
    BLUE,
    COLORS,
    GREEN,
    GREY,
    MARKERS,
    ORANGE,
    SKY,
    VERMILION,
    describe,
    finish,
    in_words,
    needs,
    new_figure,
    styled,
    wrap,
)
from .errors import CourseError

# --------------------------------------------------------------------------------------- evaluation of a model


@styled
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
    ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.3, label="guessing")
    chosen = p >= threshold
    _mark_threshold(ax, chosen[y == 0].mean(), chosen[y == 1].mean())
    labels = {"xlabel": "false positive rate (share of class 0)", "ylabel": "true positive rate (share of class 1)"}
    ax.set(title=f"ROC-AUC {area:.3f}", **labels)
    ax.legend(loc="lower right")


def _precision_recall_panel(
    ax: Any, y: np.ndarray, p: np.ndarray, threshold: float, area: float, prevalence: float
) -> None:
    precision, recall, _ = precision_recall_curve(y, p)
    ax.plot(recall, precision, color=BLUE, drawstyle="steps-post", label="model")
    ax.axhline(prevalence, color=GREY, linestyle="--", linewidth=1.3, label=f"guessing: prevalence {prevalence:.2f}")
    chosen = p >= threshold
    if chosen.any():
        _mark_threshold(ax, chosen[y == 1].mean(), y[chosen].mean())
    labels = {"xlabel": "recall (share of class 1 found)", "ylabel": "precision (share of alarms that are right)"}
    ax.set(title=f"Average precision {area:.3f}", ylim=(0, 1.03), **labels)
    ax.legend(loc="lower left")


def _mark_threshold(ax: Any, x: float, y: float) -> None:
    ax.plot(x, y, "o", color=VERMILION, markersize=9, label="threshold")


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
    ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.3, label="perfect")
    for index, (name, p) in enumerate(models.items()):
        table = scores.reliability(y, p, n_bins)
        later = len(models) - 1 - index  # later lines are thinner, so that two models that agree are both seen
        size = {"linewidth": min(4, 1.6 + 1.2 * later), "markersize": min(9, 5 + 2 * later)}
        look = {"color": COLORS[index], "marker": MARKERS[index], "label": name}
        ax.plot(table["predicted"], table["observed"], **look, **size)
    ax.set(
        xlabel="predicted probability of class 1 (mean of bin)",
        ylabel="observed share of class 1",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
    )
    ax.legend(loc="upper left")


@styled
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
    words = f"Right answers by class: {in_words(dict(zip(classes, np.diag(counts), strict=True)), 0)}."
    if wrong.any():
        words += f" The most frequent error: {wrong.max()} rows of {classes[true]} are taken for {classes[found_as]}."
    return finish(fig, ax, title, "predicted class", "true class (shares of its rows)", words)


@styled
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
    top.set_title(wrap(title, 7.5))
    return describe(
        fig,
        f"{title}. Reliability curves near the diagonal are good. Brier scores: {in_words(briers, 4)}. "
        "Below: how often each probability is given.",
    )


# ------------------------------------------------------------------------------- learning and validation curve


def _folds(ax: Any, x: np.ndarray, train: np.ndarray, validation: np.ndarray) -> None:
    """Draw the mean score over the folds, with a band of one standard deviation to each side."""
    for found, color, marker, label in ((train, VERMILION, "s", "training"), (validation, BLUE, "o", "validation")):
        mean, spread = found.mean(axis=1), found.std(axis=1)
        ax.plot(x, mean, color=color, marker=marker, label=f"{label} folds")
        ax.fill_between(x, mean - spread, mean + spread, color=color, alpha=0.18, linewidth=0)


@styled
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
    _folds(ax, sizes, train, validation)
    ax.legend()
    title = f"With {sizes[-1]} rows the gap between training and validation is {gap:.3f}"
    return finish(
        fig,
        ax,
        title,
        "training rows",
        f"{scoring} (band: ± 1 standard deviation)",
        f"From {sizes[0]} to {sizes[-1]} rows the training score goes from {train[0].mean():.3f} to "
        f"{train[-1].mean():.3f}, the validation score from {validation[0].mean():.3f} to "
        f"{validation[-1].mean():.3f}.",
    )


@styled
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
    _folds(ax, values, train, validation)
    ax.axvline(values[best], color=GREEN, linestyle="--", label=f"sweet spot {values[best]:.3g}")
    if chosen is not None:
        ax.axvline(chosen, color=ORANGE, linestyle=":", linewidth=3, label=f"search chose {chosen:.3g}")
    ax.legend()
    title = f"The sweet spot is {name} = {values[best]:.3g}: validation {scoring} {validation[best].mean():.3f}"
    agree = "" if chosen is None else f" The search chose {chosen:.3g}."
    return finish(
        fig,
        ax,
        title,
        f"{name}{' (logarithmic axis)' if log else ''}",
        f"{scoring} (band: ± 1 standard deviation)",
        f"At the smallest value, {values[0]:g}, the validation score is {validation[0].mean():.3f}, at the largest, "
        f"{values[-1]:g}, it is {validation[-1].mean():.3f}, and the training score {train[-1].mean():.3f}.{agree}",
    )


@styled
def runtime_comparison(
    table: pd.DataFrame, *, score: str = "cv_roc_auc", label: str = "ROC-AUC", lower: bool = False
) -> Figure:
    """Return the score of several models over the folds, beside what they cost: fit, one row, a row of a batch.

    Parameters
    ----------
    table
        Indexed by model, with the score, ``fit_seconds`` (missing where it was not measured), ``one_row_ms`` and
        ``per_sample_ms``.
    score, label
        Column of the score over the folds, and its name.
    lower
        Whether a lower score is better.

    Raises
    ------
    CourseError
        When a column is missing.
    """
    needs(table, score)
    digits = "{:,.0f}" if table[score].max() >= 1000 else "{:.3g}" if lower else "{:.3f}"
    panels = (
        (score, f"{label} over the folds", digits),
        ("fit_seconds", "fit (s)", "{:.3g} s"),
        ("one_row_ms", "one row alone (ms)", "{:.2g} ms"),
        ("per_sample_ms", "a row of a batch (ms)", "{:.2g} ms"),
    )
    needs(table, *(column for column, _, _ in panels))
    best, fastest = table[score].idxmin() if lower else table[score].idxmax(), table["one_row_ms"].idxmin()
    lead = digits.format((table[score].drop(best) - table.loc[best, score]).abs().min()) if len(table) > 1 else ""
    lead = "less than 0.001" if lead == "0.000" else lead
    fig, axes = new_figure(1, 4, 11, 1.6 + 0.6 * len(table))
    for ax, (column, what, form) in zip(axes, panels, strict=True):
        values = table[column]
        winner = best if column == score else values.idxmin()
        colors = [BLUE if name == winner else SKY for name in values.index]
        drawn = ax.barh(range(len(values)), values.fillna(0), color=colors)
        ax.bar_label(drawn, ["" if pd.isna(v) else form.format(v) for v in values], padding=3)
        names = [str(name).replace("_", " ") for name in values.index]
        ax.set_yticks(range(len(values)), names if ax is axes[0] else [""] * len(values))
        ax.invert_yaxis()
        ax.set_xlim(0, 1.45 * values.max())
        ahead = f"is best{lead and f', by {lead}'}" if column == score else "is fastest"
        ax.set_title(f"{str(winner).replace('_', ' ')}\n{ahead}", fontsize=10)
        ax.set_xlabel(what)
        ax.grid(axis="y", visible=False)
        ax.xaxis.set_major_locator(MaxNLocator(3))
    words = "; ".join(
        f"{name}: {label} over the folds {digits.format(row[score])}, one row takes {row['one_row_ms']:.2g} ms alone and "
        f"{row['per_sample_ms']:.2g} ms in a batch"
        for name, row in table.iterrows()
    )
    ahead = f"has the best score{lead and f', by {lead}'}"
    return describe(fig, f"{best} {ahead}; {fastest} answers one row fastest. {words}.")
