"""How good a two-class model is: scores, the threshold, calibration and seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    precision_recall_curve,
    roc_auc_score,
)
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from .errors import CourseError


@dataclass(frozen=True)
class Timing:
    """Seconds that a model takes, each the median of several repeats.

    Attributes
    ----------
    fit_seconds
        To fit on all training rows.
    predict_seconds
        To predict all test rows at once.
    per_sample_ms
        ``predict_seconds`` divided by the number of test rows, in milliseconds. One row alone costs more:
        most of a call's time does not depend on the number of rows.
    probability
        Of class 1 for each test row, shape (n_test,), so that nobody fits again to score the timed model.
    """

    fit_seconds: float
    predict_seconds: float
    per_sample_ms: float
    probability: np.ndarray


def _checked(y_true: ArrayLike, probability: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return both as arrays, or raise with what does not fit."""
    y, p = np.asarray(y_true), np.asarray(probability, dtype=float)
    if p.ndim != 1 or y.ndim != 1:
        raise CourseError(
            f"Labels have shape {y.shape} and probabilities {p.shape}; each must be one column. "
            "Of predict_proba take the column of class 1: predict_proba(X)[:, 1]."
        )
    if len(y) != len(p):
        raise CourseError(f"There are {len(y)} labels and {len(p)} probabilities. Give one of each a row.")
    if not np.isin(y, (0, 1)).all():
        seen = sorted(set(y.tolist()), key=str)[:5]
        raise CourseError(f"Labels are {seen}; these measures need 0 and 1. Encode them.")
    if len(np.unique(y)) < 2:
        raise CourseError(
            f"All {len(y)} labels are {y[0] if len(y) else 'absent'}: ROC-AUC and F1 need both classes. Use more rows."
        )
    if not ((p >= 0) & (p <= 1)).all():
        raise CourseError(
            f"Probabilities lie between {np.min(p):.3g} and {np.max(p):.3g}; they must be between 0 and 1. "
            "Use predict_proba, not decision_function."
        )
    return y.astype(int), p


def folds_of(n_splits: int, seed: int) -> StratifiedKFold:
    """Return the splitter of the course: shuffled by `seed`, the same share of each class in every fold."""
    return StratifiedKFold(n_splits=n_splits, shuffle=True, random_state=seed)


def out_of_fold(model: Any, X: pd.DataFrame, y: pd.Series, folds: int = 5, seed: int = 42) -> np.ndarray:
    """Return for each training row the probability of class 1, from a model that has not seen this row.

    Thresholds and calibration methods are chosen on these, so that the test set stays unseen.

    Parameters
    ----------
    model
        Unfitted (or fitted, it is cloned) classifier with ``predict_proba``.
    X, y
        Training features, shape (n_rows, n_features), and labels 0 and 1, shape (n_rows,).
    folds, seed
        Number of folds, and the seed that shuffles the rows into them.

    Returns
    -------
    ndarray, shape (n_rows,)
        Probabilities between 0 and 1.
    """
    return cross_val_predict(model, X, y, cv=folds_of(folds, seed), method="predict_proba")[:, 1]


def scores(y_true: ArrayLike, probability: ArrayLike, threshold: float = 0.5) -> dict[str, float]:
    """Return five scores of a two-class model, ready for ``mlflow.log_metrics``.

    Parameters
    ----------
    y_true, probability
        Labels 0 and 1, and probabilities of class 1; both shape (n_rows,).
    threshold
        A row counts as class 1 from this probability on; concerns ``f1`` and ``accuracy``.

    Returns
    -------
    dict
        ``roc_auc``: area under the ROC curve, 0.5 for guessing (Fawcett 2006, "An introduction to ROC
        analysis").
        ``pr_auc``: average precision, the sum over recall steps of precision; for guessing it is the share of
        class 1 (Davis and Goadrich 2006, "The relationship between precision-recall and ROC curves").
        ``f1``: harmonic mean of precision and recall. ``accuracy``: share of right answers.
        ``brier``: mean squared distance of probability and label, 0 is best (Brier 1950, "Verification of
        forecasts expressed in terms of probability").

    Raises
    ------
    CourseError
        When the two do not fit together, labels are not 0 and 1, or only one class is there.
    """
    y, p = _checked(y_true, probability)
    predicted = (p >= threshold).astype(int)
    return {
        "roc_auc": float(roc_auc_score(y, p)),
        "pr_auc": float(average_precision_score(y, p)),
        "f1": float(f1_score(y, predicted, zero_division=0.0)),
        "accuracy": float(accuracy_score(y, predicted)),
        "brier": float(brier_score_loss(y, p)),
    }


def best_f1_threshold(y_true: ArrayLike, probability: ArrayLike) -> tuple[float, float]:
    """Return the threshold with the highest F1 score, and this score.

    Give out-of-fold probabilities (`out_of_fold`) or those of a validation set, **never of the test set**: a
    threshold chosen on the rows that judge it makes the score look better than it is (Lipton, Elkan and
    Narayanaswamy 2014, "Thresholding classifiers to maximize F1 score").

    Parameters
    ----------
    y_true, probability
        Labels 0 and 1, and probabilities of class 1; both shape (n_rows,).

    Returns
    -------
    threshold
        One of the given probabilities; the lowest when several do equally well.
    f1
        F1 score on the given rows when class 1 starts at the threshold.

    Raises
    ------
    CourseError
        As in `scores`.
    """
    y, p = _checked(y_true, probability)
    precision, recall, thresholds = precision_recall_curve(y, p)
    # The curve's last point (precision 1, recall 0) belongs to no threshold.
    precision, recall = precision[:-1], recall[:-1]
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    best = int(np.argmax(f1))
    return float(thresholds[best]), float(f1[best])


def reliability(y_true: ArrayLike, probability: ArrayLike, n_bins: int = 10) -> pd.DataFrame:
    """Return what a reliability diagram shows: predicted and observed share of class 1, bin by bin.

    Parameters
    ----------
    y_true, probability
        Labels 0 and 1, and probabilities of class 1; both shape (n_rows,).
    n_bins
        Number of bins of equal width between 0 and 1; empty ones are left out.

    Returns
    -------
    DataFrame, shape (at most n_bins, 3)
        ``predicted`` (mean probability in the bin), ``observed`` (share of class 1) and ``rows``; a
        calibrated model has ``predicted == observed`` (DeGroot and Fienberg 1983, "The comparison and evaluation of
        forecasters").

    Raises
    ------
    CourseError
        As in `scores`.
    """
    y, p = _checked(y_true, probability)
    bins = np.minimum((p * n_bins).astype(int), n_bins - 1)
    table = pd.DataFrame({"bin": bins, "predicted": p, "observed": y, "rows": 1}).groupby("bin")
    return table.agg({"predicted": "mean", "observed": "mean", "rows": "sum"}).reset_index(drop=True)


def calibration_error(y_true: ArrayLike, probability: ArrayLike, n_bins: int = 10) -> float:
    """Return the expected calibration error: mean distance of predicted and observed share, weighted by rows.

    0 is best (Naeini, Cooper and Hauskrecht 2015, "Obtaining well calibrated probabilities using Bayesian
    binning"). Parameters and errors as in `reliability`.
    """
    table = reliability(y_true, probability, n_bins)
    distance = (table["predicted"] - table["observed"]).abs()
    return float((distance * table["rows"]).sum() / table["rows"].sum())


def _median_seconds(call: Callable[[], Any], repeats: int) -> float:
    """Return the median seconds of a call; the median forgives one repeat that another program disturbed."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def time_model(model: Any, X_train: pd.DataFrame, y_train: pd.Series, X_test: pd.DataFrame, repeats: int = 3) -> Timing:
    """Measure how long a model takes to fit and to predict.

    Parameters
    ----------
    model
        Classifier with ``predict_proba``; it is cloned, and stays as it was.
    X_train, y_train
        Rows to fit on, shapes (n_train, n_features) and (n_train,).
    X_test
        Rows to predict in one call, shape (n_test, n_features).
    repeats
        How often each is measured; the median counts.

    Raises
    ------
    CourseError
        When `repeats` is not positive.
    """
    if repeats < 1:
        raise CourseError(f"repeats is {repeats}: nothing would be measured. Use 1 or more.")
    fitted = clone(model)
    fit_seconds = _median_seconds(lambda: fitted.fit(X_train, y_train), repeats)
    predict_seconds = _median_seconds(lambda: fitted.predict_proba(X_test), repeats)
    probability = fitted.predict_proba(X_test)[:, 1]
    return Timing(fit_seconds, predict_seconds, 1000 * predict_seconds / len(X_test), probability)
