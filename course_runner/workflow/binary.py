"""Two classes: probabilities that are calibrated, a threshold that is chosen out of fold, four panels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import precision_recall_curve, roc_auc_score
from sklearn.model_selection import FixedThresholdClassifier, cross_val_predict

from course_runner.workflow.config import CALIBRATIONS, Settled, WorkflowConfig
from course_runner.workflow.models import folds_of
from course_utils import data, plots
from course_utils.scores import scores as two_class_scores


def out_of_fold(model: Any, X: pd.DataFrame, y: pd.Series, folds: int = 5, seed: int = 42) -> np.ndarray:
    """Return for each training row the probability of class 1, shape (n_rows,), from a model that has not seen it."""
    return cross_val_predict(model, X, y, cv=folds_of(folds, seed), method="predict_proba")[:, 1]


def best_f1_threshold(y: ArrayLike, probability: ArrayLike) -> tuple[float, float]:
    """Return the threshold with the highest F1, the lowest of several, and this F1.

    Give out-of-fold probabilities, never those of the test rows: a threshold that was chosen on the rows that judge it
    makes the score look better than it is (Lipton, Elkan and Narayanaswamy 2014, "Thresholding classifiers to maximize
    F1 score").
    """
    precision, recall, thresholds = precision_recall_curve(y, probability)
    # The curve's last point (precision 1, recall 0) belongs to no threshold.
    precision, recall = precision[:-1], recall[:-1]
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    best = int(np.argmax(f1))
    return float(thresholds[best]), float(f1[best])


@dataclass(frozen=True)
class Calibration:
    """Three variants of one estimator, judged on rows that they have not seen.

    Attributes
    ----------
    models
        ``none``, ``sigmoid`` and ``isotonic``: not fitted.
    probabilities
        Out-of-fold probabilities of class 1 of each, shape (n_train,).
    table
        ``brier`` of each, 0 is best.
    """

    models: dict[str, Any]
    probabilities: dict[str, np.ndarray]
    table: pd.DataFrame

    @property
    def best(self) -> str:
        """Name of the variant with the lowest Brier score, the first of several."""
        return str(self.table["brier"].idxmin())


def calibrate(estimator: Any, split: data.Split, folds: int = 5, seed: int = 42) -> Calibration:
    """Step 4: compare an estimator with two calibrated versions of it, on out-of-fold rows of the training part."""
    models = {"none": clone(estimator)}
    models |= {m: CalibratedClassifierCV(clone(estimator), method=m, cv=folds) for m in CALIBRATIONS[1:]}
    found = {n: out_of_fold(m, split.X_train, split.y_train, folds, seed) for n, m in models.items()}
    rows = {name: {"brier": two_class_scores(split.y_train, p)["brier"]} for name, p in found.items()}
    return Calibration(models, found, pd.DataFrame.from_dict(rows, orient="index"))


def evaluate(model: FixedThresholdClassifier, split: data.Split) -> tuple[dict[str, float], Figure]:
    """Step 8: scores and the four-panel figure of a fitted model on the test set, at the threshold inside it."""
    probability = model.predict_proba(split.X_test)[:, 1]
    figure = plots.evaluation_panels(split.y_test, probability, model.threshold, classes=split.classes)
    return two_class_scores(split.y_test, probability, model.threshold), figure


def settle(estimator: Any, split: data.Split, config: WorkflowConfig, folder: Path) -> Settled:
    """Step 4: choose calibration and threshold out of fold, and fit the model that holds both; log what was chosen."""
    calibration = calibrate(estimator, split, config.folds, config.seed)
    mlflow.log_metrics({f"oof_brier_{name}": brier for name, brier in calibration.table["brier"].items()})
    plots.save(plots.calibration_comparison(split.y_train, calibration.probabilities), folder / "calibration.png")
    method = calibration.best if config.calibration == "auto" else config.calibration
    threshold, oof_f1 = best_f1_threshold(split.y_train, calibration.probabilities[method])
    mlflow.log_params({"calibration_method": method, "calibration_folds": config.folds})
    mlflow.log_metrics({"optimal_threshold": threshold, "oof_f1": oof_f1})
    parts = folds_of(config.folds, config.seed).split(split.X_train, split.y_train)
    unseen, y = calibration.probabilities[method], split.y_train
    # Each fold has a model of its own, and their probabilities have no common scale: rank within a fold, then average.
    folds_auc = [roc_auc_score(y.iloc[rows], unseen[rows]) for _, rows in parts]
    # The threshold is part of the model: whoever loads it and asks for predictions gets what is reported.
    model = FixedThresholdClassifier(calibration.models[method], threshold=threshold)
    return Settled(
        model.fit(split.X_train, split.y_train),
        {"roc_auc": float(np.mean(folds_auc))},
        {"positive_class": str(split.classes[1]), "threshold": threshold, "calibration_method": method},
        {"calibration": calibration.table, "calibration_method": method, "threshold": threshold},
    )


def on_test_set(model: FixedThresholdClassifier, split: data.Split, folder: Path) -> dict[str, float]:
    """Step 8: scores on the test set; they go to the active run, and the four panels to the folder."""
    scores, figure = evaluate(model, split)
    mlflow.log_metrics({f"test_{k}": v for k, v in scores.items()})
    plots.save(figure, folder / "test_evaluation.png")
    return scores
