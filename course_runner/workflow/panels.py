"""The test set in pictures: classes that are taken for one another, curves of one class against the rest, residuals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import ArrayLike
from sklearn.metrics import confusion_matrix, mean_absolute_error, r2_score, roc_curve, root_mean_squared_error

from course_utils import plots
from course_utils._plumbing.figure import BLUE, COLORS, GREY, VERMILION, finish, new_figure, styled
from course_utils.plots import describe

#: Classes whose counts still fit into the cells of a matrix.
_WRITTEN = 12
#: Classes that a picture with a line or a row for each can show.
_SHOWN = 20


def amount(value: float) -> str:
    """Return a number as people write it, without an exponent where that can be."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e12 else f"{value:.4g}"


def _short(name: object, most: int = 18) -> str:
    text = str(name).replace("$", r"\$")  # no formula
    return text if len(text) <= most else text[: most - 1] + "…"


def confusion(y: ArrayLike, probability: np.ndarray, classes: Sequence[Any]) -> Figure:
    """Return the confusion matrix: with counts up to twelve classes, in colours alone above.

    Parameters
    ----------
    y, probability, classes
        As in `judging.metrics`.
    """
    y = np.asarray(y)
    codes = pd.Index(classes).get_indexer(pd.Index(y))
    found = probability.argmax(axis=1)
    if len(classes) <= _WRITTEN:
        return plots.confusion_matrix(codes, found, [_short(name) for name in classes])
    return _colours(codes, found, classes)


@styled
def _colours(codes: np.ndarray, found: np.ndarray, classes: Sequence[Any]) -> Figure:
    counts = confusion_matrix(codes, found, labels=range(len(classes)))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = float(np.clip(0.2 * len(classes) + 2.5, 6, 14))
    fig, ax = new_figure(width=size + 1, height=size)
    drawn = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    fig.colorbar(drawn, ax=ax, label="share of the true class's rows", shrink=0.7)
    ticks = range(0, len(classes), 1 if len(classes) <= 60 else 2)
    ax.set_xticks(ticks, [_short(classes[i]) for i in ticks], rotation=90, fontsize=7)
    ax.set_yticks(ticks, [_short(classes[i]) for i in ticks], fontsize=7)
    ax.grid(False)
    wrong = counts - np.diag(np.diag(counts))
    true, other = np.unravel_index(wrong.argmax(), wrong.shape)
    words = f"Confusion matrix of {len(classes)} classes, as shares of each true class's rows."
    if wrong.any():
        words += f" The most frequent error: {wrong.max()} rows of {classes[true]} are taken for {classes[other]}."
    title = f"{np.trace(counts)} of {counts.sum()} rows are classified right"
    return finish(fig, ax, title, "predicted class", "true class", words)


@styled
def one_against_the_rest(y: ArrayLike, probability: np.ndarray, classes: Sequence[Any], table: pd.DataFrame) -> Figure:
    """Return ROC curves of each class against the rest, and precision and recall of each class.

    Parameters
    ----------
    y, probability, classes
        As in `judging.metrics`.
    table
        `judging.per_class` of the three. Of many classes the curves are grey but for the lowest areas, and only the
        lowest F1 scores are shown.
    """
    y = np.asarray(y)
    lowest = table["f1"].sort_values(kind="stable").index[:_SHOWN]
    shown = table if len(table) <= _SHOWN else table.loc[lowest]
    fig, (left, right) = new_figure(1, 2, 11, max(4.6, 1.8 + 0.27 * len(shown)))
    named = table["roc_auc"].sort_values(kind="stable").index[: 6 if len(table) <= 6 else 3]
    if len(table) <= 6:
        named = table.index
    colors = dict(zip(named, COLORS, strict=False))
    for place, (name, row) in enumerate(table.iterrows()):
        if pd.isna(row["roc_auc"]):
            continue
        fall_out, recall, _ = roc_curve(y == classes[place], probability[:, place])
        if name in colors:
            # Later lines are thinner, so that two that agree are both seen.
            at = list(colors).index(name)
            style = {"color": colors[name], "linewidth": 1.5 + (len(colors) - 1 - at), "zorder": 3 + at}
            left.plot(fall_out, recall, label=f"{_short(name)} {row['roc_auc']:.3f}", **style)
        else:
            left.plot(fall_out, recall, color="#bdbdbd", linewidth=1)
    left.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.3, label="guessing 0.5")
    left.set(
        title=f"One-vs-rest ROC-AUC, mean of the classes {table['roc_auc'].mean():.3f}",
        xlabel="false positive rate (share of the other classes)",
        ylabel="true positive rate (share of the class)",
    )
    left.set_aspect("equal", anchor="N")
    left.legend(loc="lower right", title="" if len(table) <= 6 else "the three lowest areas", fontsize=9)
    places = range(len(shown))
    for at, (_, row) in zip(places, shown.iterrows(), strict=True):
        right.plot([row["precision"], row["recall"]], [at, at], color="#cccccc", linewidth=2, zorder=1)
    hollow = {"markersize": 11, "markerfacecolor": "none", "markeredgewidth": 2}  # an equal recall is seen inside
    right.plot(shown["precision"], places, "o", color=BLUE, label="precision: right among those predicted", **hollow)
    right.plot(shown["recall"], places, "D", color=VERMILION, markersize=5, label="recall: found among those there are")
    right.set_yticks(places, [f"{_short(name)} ({row['rows']:.0f})" for name, row in shown.iterrows()])
    right.invert_yaxis()
    right.margins(y=0.08)
    some = "" if len(shown) == len(table) else f"\nthe {len(shown)} lowest of {len(table)} classes"
    right.set(
        title=f"Macro F1 {table['f1'].mean():.3f}{some}",
        xlabel="share of rows",
        ylabel="class (test rows)",
        xlim=(-0.03, 1.03),
    )
    fig.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=2, fontsize=9)
    worst = table["f1"].idxmin()
    return describe(
        fig,
        f"{len(y)} test rows of {len(table)} classes. ROC curves of one class against the rest: mean area "
        f"{table['roc_auc'].mean():.3f}, lowest {table['roc_auc'].min():.3f} ({table['roc_auc'].idxmin()}). Precision and "
        f"recall by class: mean F1 {table['f1'].mean():.3f}, lowest {table['f1'].min():.3f} ({worst}: precision "
        f"{table.loc[worst, 'precision']:.3f}, recall {table.loc[worst, 'recall']:.3f}).",
    )


@styled
def amounts(y: ArrayLike, predicted: ArrayLike, *, name: str) -> Figure:
    """Return three panels of a regression: predicted against actual, residuals against predicted, residuals counted.

    Parameters
    ----------
    y, predicted
        Amounts of shape (n_rows,).
    name
        Of the target, for the axes.
    """
    y, p = np.asarray(y, float), np.asarray(predicted, float)
    residual = y - p
    rmse, mae, r2 = root_mean_squared_error(y, p), mean_absolute_error(y, p), r2_score(y, p)
    name = _short(name, 40)
    fig, (first, second, third) = new_figure(1, 3, 12.5, 4.4)
    dots = {"color": BLUE, "s": 18, "alpha": float(np.clip(60 / np.sqrt(len(y)) / 6, 0.15, 0.7)), "linewidths": 0}
    ends = [min(y.min(), p.min()), max(y.max(), p.max())]
    first.scatter(y, p, **dots)
    first.plot(ends, ends, color=GREY, linestyle="--", linewidth=1.3, label="perfect")
    first.set(title=f"R² {r2:.3f}: 1 is best, the mean has 0", xlabel=f"{name}, actual", ylabel=f"{name}, predicted")
    first.legend(loc="upper left")
    second.scatter(p, residual, **dots)
    second.axhline(0, color=GREY, linestyle="--", linewidth=1.3)
    second.set(title=f"RMSE {amount(rmse)}", xlabel=f"{name}, predicted", ylabel="residual (actual − predicted)")
    third.hist(residual, bins=min(40, max(8, int(np.sqrt(len(y))))), color=BLUE, edgecolor="white")
    third.axvline(0, color=GREY, linestyle="--", linewidth=1.3)
    third.set(title=f"MAE {amount(mae)}", xlabel="residual (actual − predicted)", ylabel="test rows")
    for axis in (first.xaxis, first.yaxis, second.xaxis, second.yaxis, third.xaxis):
        axis.set_major_locator(MaxNLocator(5))
        if max(abs(end) for end in ends) >= 10_000:
            axis.set_major_formatter(EngFormatter(sep=""))  # 200k
    return describe(
        fig,
        f"Three panels on {len(y)} test rows. Predicted against actual {name}: R² {r2:.3f}. Residuals against predicted: RMSE "
        f"{amount(rmse)}; where they fan out or bend, the model misses something. Residuals counted: MAE {amount(mae)}, half "
        f"of them between {amount(np.quantile(residual, 0.25))} and {amount(np.quantile(residual, 0.75))}.",
    )
