"""Numbers judged: the right one, or the slip that leads to exactly the number that was given."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
    median_absolute_error,
    r2_score,
    roc_auc_score,
)
from sklearn.pipeline import Pipeline

from .mistake import Mistake

#: Code → (value of a wrong answer, message for it).
Wrong = Mapping[str, tuple[float, str]]
#: Settings that change a number only by chance or by the time it takes.
_FREE = ("random_state", "n_jobs", "verbose", "max_iter", "memory", "steps", "copy_X", "warm_start")


def close(a: float, b: float, tolerance: float = 1e-6) -> bool:
    """Tell whether two numbers agree within a relative tolerance (absolute below 1)."""
    return math.isfinite(a) and math.isfinite(b) and abs(a - b) <= tolerance * max(1.0, abs(b))


def judge_number(
    name: str,
    got: float,
    right: float,
    wrong: Wrong,
    unit: str = "",
    slips: Callable[[], Iterator[tuple[str, float, str]]] | None = None,
) -> None:
    """Compare a value with its recomputed reference; name the plausible wrong answer that it equals.

    Parameters
    ----------
    name
        What the value is called.
    got, right
        Seen and recomputed value.
    wrong
        Code → (value of a wrong answer, message for it).
    unit
        Added after the value in the message.
    slips
        Gives more wrong answers as (code, value, message); it is asked only when the value is not right.

    Raises
    ------
    Mistake
        With the code of the wrong answer, or of what was done to the right number; ``value-wrong`` when none fits.
    """
    if close(got, right):
        return
    if not math.isfinite(got):
        raise Mistake(
            "not-finite",
            f"`{name}` is {got}, so something was divided by nothing, or computed from a gap. No comparison can use it: "
            "look at the values that went in.",
        )
    for code, (value, message) in wrong.items():
        if close(got, float(value)):
            raise Mistake(code, f"`{name}` is {got:.4g}{unit}. {message}")
    for code, value, message in (*(slips() if slips else ()), *_bent(right)):
        if close(got, float(value)):
            raise Mistake(code, f"`{name}` is {got:.4g}{unit}. {message}")
    if is_rounded(got, right):
        raise Mistake(
            "rounded",
            f"`{name}` is rounded. A rounded number cannot be compared exactly later: write full precision, round "
            "when you print.",
        )
    raise Mistake(
        "value-wrong",
        f"`{name}` is {got:.4g}{unit}. Recomputed as the task says, it is another number. Was it typed in, or "
        "computed with other rows or another model than the task asks for?",
    )


def is_rounded(got: float, right: float) -> bool:
    """Tell whether a number is the right one with fewer digits.

    Two digits that count must be left, or two behind the point: 0.02 for 0.0163 is a rounding, 1 for 0.9 is none.
    """
    if not right or not got or not math.isfinite(right):
        return False
    before_point = math.floor(math.log10(abs(right))) + 1
    digits = range(min(2, max(0, 2 - before_point)), 9)
    return any(close(got, change(right, d), 1e-12) for d in digits for change in (round, _cut))


def _cut(value: float, digits: int) -> float:
    return math.trunc(value * 10**digits) / 10**digits


def _bent(right: float) -> Iterator[tuple[str, float, str]]:
    """Yield what is often done to a right number."""
    yield (
        "sign",
        -right,
        "The value is negated, as scikit-learn's `neg_*` scorers do. A reader takes the number as it stands: record "
        "the value itself.",
    )
    percent = "That is in percent. A share lies between 0 and 1, and metrics are compared as they are logged."
    for digits in (0, 1, 2, 3, 15):
        yield "percent-not-share", round(100 * right, digits), percent
    yield (
        "share-not-unit",
        right / 100,
        "That is a hundredth of the value: it was divided by 100 as if it were a percentage.",
    )
    if 0 < right < 1:
        yield (
            "one-minus",
            1 - right,
            "That is one minus the value: the other class, or the opposite of what is asked, was measured.",
        )
    yield "squared", right**2, "That is the square of the value: a root is missing, or one square too many was taken."
    if right > 0:
        yield "root", math.sqrt(right), "That is the root of the value: one root too many was taken."


# ---- what goes wrong when a model is fitted and scored ------------------------------------------------------------------


def settings_forgotten(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield (name, unfitted model) for each setting of a model put back to its default, and each step left out."""
    made = {id(part): part for part in (model, *(step for _, step in getattr(model, "steps", ())))}
    defaults = {}
    for part in made.values():
        if not isinstance(part, Pipeline):
            try:
                defaults[id(part)] = type(part)().get_params(deep=False)
            except TypeError:  # a part that cannot be made without arguments has no default
                continue
    parts = model.named_steps.items() if isinstance(model, Pipeline) else [("", model)]
    for step, part in parts:
        for name, default in defaults.get(id(part), {}).items():
            if name not in _FREE and repr(getattr(part, name)) != repr(default):
                yield name, clone(model).set_params(**{f"{step}__{name}" if step else name: default})
    if isinstance(model, Pipeline):
        for step, part in list(model.named_steps.items())[:-1]:
            yield type(part).__name__, clone(model).set_params(**{step: "passthrough"})


def fit_slips(
    model: Any,
    split: Any,
    measure: Callable[[Any, Any, Any], float],
    others: Callable[[Any, Any, Any], Iterator[tuple[str, float, str]]] | None = None,
    rows: str = "test",
) -> Iterator[tuple[str, float, str]]:
    """Yield the numbers that come out when a model is fitted or scored on other rows, or without a setting.

    Parameters
    ----------
    model
        The right model; it is cloned, never changed.
    split
        Rows to fit and rows to score: `data.Split` or `Rows`.
    measure
        ``(model, X, y)`` → number, of a fitted model.
    others
        Numbers that are confused with it, of the right model on the right rows.
    rows
        What the rows that judge are called.
    """

    def fit(some: Any, X: Any, y: Any) -> Any:
        return clone(some).fit(X, y)

    X_train, X_test, y_train, y_test = split.X_train, split.X_test, split.y_train, split.y_test

    X_all, y_all = _stack(X_train, X_test), _stack(y_train, y_test)
    right = fit(model, X_train, y_train)
    yield (
        "train-not-test",
        measure(right, X_train, y_train),
        f"That is the value on the *training* rows, which the model has seen. Use the {rows} rows.",
    )
    if others:
        yield from others(right, X_test, y_test)
    everybody = fit(model, X_all, y_all)
    yield (
        "fitted-on-all",
        measure(everybody, X_test, y_test),
        f"The model was fitted on *all* rows, the {rows} rows among them, so it has seen what should judge it. Fit on the "
        "training rows only.",
    )
    yield (
        "scored-on-all",
        measure(right, X_all, y_all),
        f"That is the value on *all* rows. Judge on the {rows} rows only.",
    )
    yield (
        "fitted-on-all",
        measure(everybody, X_all, y_all),
        f"The model was fitted and judged on *all* rows. Fit on the training rows, judge on the {rows} rows.",
    )
    judge = fit(model, X_test, y_test)
    message = f"The model was fitted on the {rows} rows, which should judge it. Fit on the training rows."
    yield "fitted-on-test", measure(judge, X_test, y_test), message
    yield (
        "rows-swapped",
        measure(judge, X_train, y_train),
        f"The {rows} rows trained and the training rows judged: swap them.",
    )
    for name, forgotten in settings_forgotten(model):
        other = fit(forgotten, X_train, y_train)
        message = (
            f"That is what a model gives without `{name}`, which the task names. Was it forgotten, or set elsewhere?"
        )
        yield "setting-forgotten", measure(other, X_test, y_test), message


def _stack(a: Any, b: Any) -> Any:
    import pandas as pd

    return pd.concat([a, b]) if hasattr(a, "iloc") else np.concatenate([a, b])


class Rows(NamedTuple):
    """Rows to fit and rows to judge, where a check has no `data.Split`."""

    X_train: Any
    X_test: Any
    y_train: Any
    y_test: Any


def auc_slips(model: Any, split: Any, rows: str = "test") -> Iterator[tuple[str, float, str]]:
    """Yield the numbers that are given for the ROC-AUC of a classifier by mistake."""

    def auc(some: Any, X: Any, y: Any) -> float:
        return float(roc_auc_score(y, some.predict_proba(X)[:, 1]))

    yield from fit_slips(model, split, auc, confused_with_auc, rows)


def confused_with_auc(model: Any, X: Any, y: Any) -> Iterator[tuple[str, float, str]]:
    """Yield the numbers that a fitted classifier gives on these rows instead of its ROC-AUC."""
    p, labels = model.predict_proba(X)[:, 1], model.predict(X)
    yield (
        "labels-not-probabilities",
        roc_auc_score(y, labels),
        "That is ROC-AUC of the predicted labels. It ranks rows, so it needs probabilities: `predict_proba`.",
    )
    yield (
        "accuracy-not-auc",
        accuracy_score(y, labels),
        "That is the accuracy at one threshold. ROC-AUC judges the order of all rows: give it the probabilities.",
    )
    yield (
        "wrong-class",
        1 - roc_auc_score(y, p),
        "That ranks by the probability of class *0*. ROC-AUC asks for that of class 1: which column of `predict_proba` is it?",
    )
    if len(set(labels)) > 1:
        swapped = "The arguments are exchanged: the true labels come first, what the model says second."
        yield "arguments-swapped", roc_auc_score(labels, y), swapped
        yield (
            "arguments-swapped",
            roc_auc_score(labels, p),
            "The model was judged by its own labels, not by the true ones.",
        )
    other = "That is {}, another measure. A reader compares by the name: log the ROC-AUC under this one."
    yield "other-measure", average_precision_score(y, p), other.format("the average precision")
    yield "other-measure", f1_score(y, labels), other.format("F1")
    yield "other-measure", log_loss(y, p), other.format("the log loss")
    yield "other-measure", brier_score_loss(y, p), other.format("the Brier score")
    yield "other-measure", 2 * roc_auc_score(y, p) - 1, other.format("the Gini coefficient, twice the ROC-AUC less one")


def error_slips(model: Any, split: Any, measure: Callable[[Any, Any], float]) -> Iterator[tuple[str, float, str]]:
    """Yield the numbers that are given for an error of a regression (``measure(y, predicted)``) by mistake."""

    def others(some: Any, X: Any, y: Any) -> Iterator[tuple[str, float, str]]:
        predicted = some.predict(X)
        mse = mean_squared_error(y, predicted)
        name = (
            "That is {}, another measure of the same predictions. A reader compares by the name: use the one asked for."
        )
        yield "other-measure", mse, name.format("the mean squared error")
        yield "other-measure", math.sqrt(mse), name.format("the root mean squared error")
        yield "other-measure", mean_absolute_error(y, predicted), name.format("the mean absolute error")
        yield "other-measure", median_absolute_error(y, predicted), name.format("the median absolute error")
        yield "other-measure", r2_score(y, predicted), name.format("R²")
        swapped = "The arguments are exchanged: the true values come first, the predicted ones second."
        yield "arguments-swapped", r2_score(predicted, y), swapped

    def error(some: Any, X: Any, y: Any) -> float:
        return float(measure(y, some.predict(X)))

    yield from fit_slips(model, split, error, others)
