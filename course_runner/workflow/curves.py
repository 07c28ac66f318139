"""Steps 5 and 6: scores over the number of rows, and over one setting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import learning_curve, validation_curve

from course_runner.workflow.config import WorkflowConfig
from course_runner.workflow.models import folds_of
from course_utils import data


@dataclass(frozen=True)
class Curve:
    """Scores over training rows or over one hyperparameter.

    Attributes
    ----------
    name
        What varies: ``"rows"`` or a hyperparameter.
    values
        Its values, shape (n_values,).
    train, validation
        Scores of shape (n_values, n_folds); higher is better.
    """

    name: str
    values: np.ndarray
    train: np.ndarray
    validation: np.ndarray

    @property
    def best(self) -> float:
        """Value with the best mean validation score, the first of several."""
        return float(self.values[self.validation.mean(axis=1).argmax()])

    def scaled(self, unit: float) -> Curve:
        """Return the same curve with its scores in another unit."""
        return Curve(self.name, self.values, self.train / unit, self.validation / unit)

    def table(self) -> pd.DataFrame:
        """Return mean scores, their spread over the folds, and the gap between training and validation."""
        train, validation = self.train.mean(axis=1), self.validation.mean(axis=1)
        return pd.DataFrame(
            {
                self.name: self.values,
                "train": train,
                "validation": validation,
                "validation_std": self.validation.std(axis=1),
                "gap": train - validation,
            }
        )


def learning_sizes(y: pd.Series, folds: int = 5, seed: int = 42, n_sizes: int = 6, task: str = "binary") -> np.ndarray:
    """Return numbers of training rows, from a tenth to all, each with all classes in every fold.

    ``sklearn.model_selection.learning_curve`` takes the *first* rows of each training fold; where a class is rare,
    few rows lack one, and the fit fails or learns another task.
    """
    labels = y.to_numpy()
    classes = [] if task == "regression" else np.unique(labels)
    firsts, totals = [], []
    for train, _ in folds_of(folds, seed, task).split(labels, labels):
        totals.append(len(train))
        firsts += [int(np.argmax(labels[train] == c)) + 1 for c in classes]
    total = min(totals)
    return np.unique(np.linspace(max(total // 10, *firsts, 2), total, n_sizes).astype(int))


def learn(
    estimator: Any, split: data.Split, scoring: str = "roc_auc", folds: int = 5, seed: int = 42, n_sizes: int = 6
) -> Curve:
    """Step 5: scores over the number of training rows."""
    sizes, train, validation = learning_curve(
        estimator,
        split.X_train,
        split.y_train,
        train_sizes=learning_sizes(split.y_train, folds, seed, n_sizes, split.task),
        scoring=scoring,
        cv=folds_of(folds, seed, split.task),
    )
    return Curve("rows", sizes, train, validation)


def reading_table(curve: Curve, wide: float = 0.05, rising: float = 0.005, low: float = 0.1) -> pd.DataFrame:
    """Return how to read a learning curve, with an arrow at the row that describes this one.

    Parameters
    ----------
    curve
        From `learn`.
    wide
        The gap between training and validation score at the last size counts as wide from here on.
    rising
        The validation score still rises when it gains at least so much over the last third of the sizes.
    low
        A score counts as low when it misses the best possible one (1, or 0 of a negative score) by more than this.
    """
    scores = curve.table()
    end, last = scores["gap"].iloc[-1], scores["validation"].iloc[-1]
    gain = last - scores["validation"].iloc[-1 - max(1, len(scores) // 3)]
    missing = (1 if last >= 0 else 0) - last
    rows = {
        "variance": ("a wide gap at the end", "high variance: overfitting", "more rows; stronger regularisation"),
        "rising": ("curves meet, validation still rises", "still learning", "more rows"),
        "good": ("curves meet, high and flat", "good fit", "nothing: keep it"),
        "bias": ("curves meet, low and flat", "high bias: underfitting", "new features; a more flexible model"),
    }
    here = "variance" if end >= wide else "rising" if gain >= rising else "good" if missing <= low else "bias"
    table = pd.DataFrame(list(rows.values()), columns=["pattern", "diagnosis", "what helps"])
    table.insert(0, "here", ["→" if name == here else "" for name in rows])
    return table


def varied(model: str = "logistic_regression", small: bool = False, task: str = "binary") -> tuple[str, np.ndarray]:
    """Return the hyperparameter of the validation curve and its values: finer, or wider, than those of the search."""
    if model == "random_forest":
        last = "regressor" if task == "regression" else "classifier"
        return f"{last}__max_depth", np.array([1, 2, 4, 8, 16, 32])
    if model == "ridge":
        return "regressor__alpha", np.logspace(-3, 5, 9)
    return "classifier__C", np.logspace(-4, 3, 8)


def vary(estimator: Any, split: data.Split, config: WorkflowConfig) -> Curve:
    """Step 6: scores over the strength of regularisation (``C``, ``alpha``) or the depth of the trees."""
    config = config.settled(split)
    name, values = varied(config.model, config.small, config.task)
    train, validation = validation_curve(
        estimator,
        split.X_train,
        split.y_train,
        param_name=name,
        param_range=values,
        scoring=config.scoring,
        cv=folds_of(config.folds, config.seed, config.task),
    )
    return Curve(name.split("__")[1], values, train, validation)
