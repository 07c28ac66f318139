"""How good a two-class model is: scores, and what a reliability diagram shows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    roc_auc_score,
)

from .errors import CourseError


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
