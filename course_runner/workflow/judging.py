"""Several classes, or amounts: what models answer out of fold and on the test set, in metrics and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    log_loss,
    mean_absolute_error,
    precision_recall_fscore_support,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)
from sklearn.model_selection import cross_val_predict

from course_runner.workflow import panels
from course_runner.workflow.config import Settled, WorkflowConfig
from course_runner.workflow.models import folds_of
from course_utils import data, plots


def answers(model: Any, X: pd.DataFrame) -> np.ndarray:
    """Return probabilities, shape (n_rows, n_classes), or amounts, shape (n_rows,), of a fitted model."""
    return (model.predict_proba if hasattr(model, "predict_proba") else model.predict)(X)


def out_of_fold(model: Any, split: data.Split, folds: int = 5, seed: int = 42) -> np.ndarray:
    """Return `answers` for each training row, from a model that has not seen it."""
    method = "predict_proba" if split.task == "multiclass" else "predict"
    cv = folds_of(folds, seed, split.task)
    return cross_val_predict(clone(model), split.X_train, split.y_train, cv=cv, method=method)


def metrics(y: ArrayLike, answered: np.ndarray, classes: Sequence[Any] = ()) -> dict[str, float]:
    """Return the scores of `answers`: of several classes, or of amounts when there are no classes.

    Parameters
    ----------
    y
        Names of classes or amounts, shape (n_rows,).
    answered
        Probabilities in the order of `classes`, or amounts.
    classes
        Names of all classes, sorted.

    Returns
    -------
    dict
        ``accuracy``; ``balanced_accuracy``, the mean recall of the classes; ``f1_macro``, the mean F1 of the classes;
        ``log_loss``, 0 is best; ``roc_auc_ovr``, the mean over the classes of the area under the ROC curve of one class
        against all others (Hand and Till 2001, "A simple generalisation of the area under the ROC curve"). Of amounts
        ``mae`` and ``rmse`` in the target's own unit, and ``r2``: 1 is best, 0 is no better than the mean.
    """
    y = np.asarray(y)
    if not classes:
        return {
            "mae": float(mean_absolute_error(y, answered)),
            "rmse": float(root_mean_squared_error(y, answered)),
            "r2": float(r2_score(y, answered)),
        }
    names = np.asarray(classes, dtype=y.dtype)
    predicted = names[answered.argmax(axis=1)]
    table = per_class(y, answered, classes)
    return {
        "accuracy": float(accuracy_score(y, predicted)),
        "balanced_accuracy": float(table.loc[table["rows"] > 0, "recall"].mean()),
        "f1_macro": main_score(y, predicted, classes),
        "log_loss": float(log_loss(y, answered, labels=names)),
        "roc_auc_ovr": float(table["roc_auc"].mean()),
    }


def main_score(y: ArrayLike, predicted: ArrayLike, classes: Sequence[Any] = ()) -> float:
    """Return `Kind.main` of predicted classes or amounts: what a loaded model must give again."""
    if not classes:
        return float(root_mean_squared_error(y, predicted))
    return float(f1_score(y, predicted, labels=list(classes), average="macro", zero_division=0.0))


def per_class(y: ArrayLike, probability: np.ndarray, classes: Sequence[Any]) -> pd.DataFrame:
    """Return ``precision``, ``recall``, ``f1``, one-vs-rest ``roc_auc`` and ``rows``, indexed by class.

    The area is missing for a class that all or none of the rows belong to.
    """
    y = np.asarray(y)
    names = np.asarray(classes, dtype=y.dtype)
    found = precision_recall_fscore_support(
        y, names[probability.argmax(axis=1)], labels=names, average=None, zero_division=0.0
    )
    table = pd.DataFrame(dict(zip(("precision", "recall", "f1", "rows"), found, strict=True)))
    mine = [y == name for name in names]
    areas = [roc_auc_score(m, p) if 0 < m.sum() < len(m) else np.nan for m, p in zip(mine, probability.T, strict=True)]
    table.insert(3, "roc_auc", areas)
    return table.set_index(pd.Index([str(name) for name in names], name="class"))


def settle(estimator: Any, split: data.Split, config: WorkflowConfig, folder: Path) -> Settled:
    """Step 4: judge the best setting on rows that it has not seen; it is the model, as the search has fitted it."""
    del folder  # nothing is drawn here
    scores = metrics(split.y_train, out_of_fold(estimator, split, config.folds, config.seed), split.classes)
    mlflow.log_metrics({f"oof_{name}": value for name, value in scores.items()})
    return Settled(estimator, scores, {"classes": ", ".join(map(str, split.classes))[:5000]} if split.classes else {})


def on_test_set(model: Any, split: data.Split, folder: Path) -> dict[str, float]:
    """Step 8: scores of a fitted model on the test set; its pictures and tables go to the folder and the active run."""
    answered = answers(model, split.X_test)
    scores = metrics(split.y_test, answered, split.classes)
    if split.task == "regression":
        figure = panels.amounts(split.y_test, answered, name=str(split.y_test.name))
    else:
        table = per_class(split.y_test, answered, split.classes)
        table.to_csv(folder / "per_class.csv")
        figure = panels.one_against_the_rest(split.y_test, answered, split.classes, table)
        matrix = panels.confusion(split.y_test, answered, split.classes)
        plots.save(matrix, folder / "confusion_matrix.png")
    plots.save(figure, folder / "test_evaluation.png")
    mlflow.log_metrics({f"test_{name}": value for name, value in scores.items()})
    return scores
