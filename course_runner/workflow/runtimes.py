"""Step 7: what models cost, by the clock of this machine."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import sklearn
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from course_runner.workflow.models import folds_of
from course_utils import data


def hardware() -> str:
    """Return one line on the machine and libraries that seconds were measured with."""
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"scikit-learn {sklearn.__version__}"
    )


def compare_runtimes(
    models: Mapping[str, Any],
    split: data.Split,
    folds: int = 5,
    seed: int = 42,
    repeats: int = 3,
    judge: Callable[[Any], dict[str, float]] | None = None,
) -> pd.DataFrame:
    """Step 7: scores over the folds, seconds to fit, and `predict_times` of each model, on training rows only.

    Parameters
    ----------
    models
        Name to estimator, not fitted.
    split, folds, seed
        Training rows and the folds that they are judged in.
    repeats
        Measurements, of which the median counts.
    judge
        Returns the scores of an estimator over the folds; ROC-AUC when not given.

    Returns
    -------
    DataFrame, shape (n_models, 5)
        ``cv_roc_auc`` (or ``cv_`` with the names that `judge` gives), ``fit_seconds``,
        ``predict_seconds``, ``per_sample_ms``, ``one_row_ms``, indexed by model.
    """
    X, y, rows = split.X_train, split.y_train, {}
    for name, model in models.items():
        if judge:
            scores = judge(model)
        else:
            scores = {"roc_auc": cross_val_score(model, X, y, scoring="roc_auc", cv=folds_of(folds, seed)).mean()}
        fitted = clone(model)
        fit_seconds = _median_seconds(lambda fitted=fitted: fitted.fit(X, y), repeats)
        answer = getattr(fitted, "predict_proba", fitted.predict)
        measured = {f"cv_{key}": value for key, value in scores.items()}
        rows[name] = {**measured, "fit_seconds": fit_seconds, **predict_times(answer, X, repeats)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def predict_times(predict: Callable[[pd.DataFrame], Any], X: pd.DataFrame, repeats: int = 3) -> dict[str, float]:
    """Return seconds for all rows at once, the share of one row in that, and milliseconds for one row alone.

    One row alone costs far more than its share of a batch: most of a call's time does not depend on the number of rows.
    """
    one_row = X.head(1)
    predict(one_row)  # the first call may load things
    batch = _median_seconds(lambda: predict(X), repeats)
    one = _median_seconds(lambda: predict(one_row), 5 * repeats)
    return {"predict_seconds": batch, "per_sample_ms": 1000 * batch / len(X), "one_row_ms": 1000 * one}


def _median_seconds(call: Callable[[], Any], repeats: int) -> float:
    """Return the median seconds of a call; the median forgives one repeat that another program disturbed."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))
