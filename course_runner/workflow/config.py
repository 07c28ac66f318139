"""What may be changed about the workflow, what it found, and the names that both use."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from course_utils import data
from course_utils._plumbing.tables import Wishes
from course_utils.errors import CourseError

#: Titles of the eight steps, as a progress bar shows them. The test set is opened last, when nothing is left to choose.
STEPS = (
    "Load, check and split the data",
    "Build the pipeline",
    "Search the settings",
    "Calibrate the probabilities, choose the threshold",
    "Draw the learning curve",
    "Draw the validation curve",
    "Compare models and runtimes",
    "Evaluate on the test set, register",
)
#: Scores that the search can maximise, with the name on an axis.
SCORINGS = {
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "f1": "F1",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "neg_brier_score": "negative Brier score",
    "neg_log_loss": "negative log loss",
}
MODELS = ("logistic_regression", "random_forest")
TEST_SIZE = 0.2
#: What may be done to the probabilities; `"auto"` takes the one with the lowest Brier score, out of fold.
CALIBRATIONS = ("none", "sigmoid", "isotonic")
#: What the workflow leaves in its folder.
FILES = (
    "test_evaluation.png",
    "calibration.png",
    "learning_curve.png",
    "validation_curve.png",
    "runtime_comparison.png",
    "runtime_comparison.csv",
    "cv_results.csv",
    "model",
)
#: Called with (number of the step, its title, None when it begins or the seconds it took when it ends).
OnStep = Callable[[int, str, float | None], None]


@dataclass(frozen=True)
class WorkflowConfig:
    """What may be changed about the workflow; the defaults are the lecture `full_workflow`.

    Attributes
    ----------
    data
        ``"synthetic"`` (20 features, 5 % missing values, 5 % label noise), ``"churn"``, ``"breast_cancer"``, or the
        path of a CSV or Parquet file.
    target
        Column to predict; needed for a file.
    model
        ``"logistic_regression"`` or ``"random_forest"``.
    polynomial
        Add squares and products of the numeric columns.
    scoring
        One of `SCORINGS`; what the search maximises.
    n_rows
        Rows to draw; of a file or a bundled set at most so many are used. None: 5,000 drawn, all of a file.
    folds
        Folds of every cross-validation.
    small
        Search 4 settings instead of 16 (of 27 for a forest), with fewer points on both curves.
    calibration
        Method of the registered model: one of `CALIBRATIONS`, or ``"auto"`` for the lowest Brier score out of fold.
    seed
        Of draw, split, folds and forest: the same configuration gives the same numbers.
    experiment
        MLflow experiment that the runs go to.
    output
        Folder for the files; ``outputs/workflow`` in the course's home when None. It is replaced as a whole.
    positive, drop, category, numeric, allow_leak, drop_missing_target
        What should not be guessed about a file: see `tables.Wishes`.
    name
        Name of the registered model; ``calibrated_<model>`` when None, followed by the data set unless it is synthetic.
    """

    data: str | Path = "synthetic"
    target: str | None = None
    model: str = "logistic_regression"
    polynomial: bool = False
    scoring: str = "roc_auc"
    n_rows: int | None = None
    folds: int = 5
    small: bool = False
    calibration: str = "auto"
    seed: int = 42
    experiment: str = "ml_workflow_demo"
    output: Path | None = None
    positive: str | None = None
    drop: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    allow_leak: tuple[str, ...] = ()
    drop_missing_target: bool = False
    name: str | None = None

    @property
    def wishes(self) -> Wishes:
        """What was said about a file."""
        return Wishes(*(getattr(self, f.name) for f in fields(Wishes)))

    @property
    def registered_name(self) -> str:
        """Name of the model in the registry."""
        source = re.sub(r"[^\w.-]+", "_", Path(str(self.data)).stem)[:100]
        return self.name or f"calibrated_{self.model}{f'_{source}' if self.data != 'synthetic' else ''}"

    def params(self) -> dict[str, Any]:
        """Return what determines the numbers, for ``mlflow.log_params``: all but where runs, files and model go.

        What was said about a file is among them when something was said.
        """
        unsaid = {f.name for f in fields(Wishes) if getattr(self, f.name) == f.default}
        return {k: v for k, v in asdict(self).items() if k not in ("experiment", "output", "name", *unsaid)}

    def check(self) -> None:
        """Raise a `CourseError` for the first value that cannot work."""
        for name, known in (("model", MODELS), ("scoring", tuple(SCORINGS)), ("calibration", ("auto", *CALIBRATIONS))):
            if getattr(self, name) not in known:
                raise CourseError(
                    f"{name} is {getattr(self, name)!r}, which this workflow does not know. "
                    f"Choose one of {', '.join(known)}."
                )
        for name, least in (("folds", 2), ("n_rows", 20), ("seed", 0)):
            value = getattr(self, name)
            if value is None and name == "n_rows":
                continue
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
                raise CourseError(f"{name} is {value!r}; it must be a whole number from {least} on.")
        if self.name is not None and not re.fullmatch(r"[\w .-]{1,200}", self.name):
            raise CourseError(
                f"name is {self.name!r}; a registered model is called by letters, digits, spaces and _ . - (200 at most)."
            )


@dataclass
class WorkflowResult:
    """What the workflow found; all of it is in the MLflow run, too.

    Attributes
    ----------
    run_id, run_name, experiment
        The parent run.
    best_params
        Setting that the search chose, without prefixes.
    cv_score
        Its mean score over the folds.
    candidates
        All settings, the best first.
    calibration
        Out-of-fold Brier score of the three variants.
    calibration_method
        The one that was registered.
    threshold
        Where class 1 begins; chosen on out-of-fold rows, and kept inside the registered model.
    scores
        Of the registered model on the test set, see `scores.scores`.
    served_f1
        F1 of what the registered model answers when it is loaded as a service loads it.
    reading
        `reading_table` of the learning curve.
    sweet_spot
        Value of the validation curve's parameter with the best mean validation score.
    runtime
        `compare_runtimes`.
    model_name, model_version, model_uri
        Where the model is: in the registry and as a logged model.
    folder, files
        Folder with the files, and their paths.
    seconds
        Of each step.
    split
        The data: its classes, and for a file what each column was taken for.
    """

    run_id: str
    run_name: str
    experiment: str
    best_params: dict[str, Any]
    cv_score: float
    candidates: pd.DataFrame
    calibration: pd.DataFrame
    calibration_method: str
    threshold: float
    scores: dict[str, float]
    served_f1: float
    reading: pd.DataFrame
    sweet_spot: float
    runtime: pd.DataFrame
    model_name: str
    model_version: int
    model_uri: str
    folder: Path
    files: list[Path]
    seconds: dict[str, float] = field(default_factory=dict)
    split: data.Split | None = None
