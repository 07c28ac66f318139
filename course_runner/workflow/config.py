"""What may be changed about the workflow, what it found, and the names that both use."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from course_runner.workflow.kinds import KINDS, Kind
from course_utils import data
from course_utils._plumbing.tables import Wishes
from course_utils.errors import CourseError

#: Of two classes; see `kinds.KINDS` for the others.
SCORINGS, MODELS = KINDS["binary"].scorings, KINDS["binary"].models
TEST_SIZE = 0.2
#: What may be done to the probabilities; `"auto"` takes the one with the lowest Brier score, out of fold.
CALIBRATIONS = ("none", "sigmoid", "isotonic")
#: Called with (number of the step, its title, None when it begins or the seconds it took when it ends).
OnStep = Callable[[int, str, float | None], None]


@dataclass(frozen=True)
class WorkflowConfig:
    """What may be changed about the workflow; the defaults are the lecture `full_workflow`.

    Attributes
    ----------
    data
        ``"synthetic"`` (20 features, 5 % missing values, 5 % label noise), ``"churn"``, one of `data.BUNDLED`, or the
        path of a CSV or Parquet file.
    target
        Column to predict; needed for a file.
    task
        ``"binary"``, ``"multiclass"`` or ``"regression"``; ``"auto"`` tells it from the target, or asks.
    model
        One of the task's: ``"logistic_regression"``, ``"ridge"`` for a regression, or ``"random_forest"``.
    polynomial
        Add squares and products of the numeric columns.
    scoring
        What the search maximises, see `kinds.KINDS`: ROC-AUC, of several classes macro F1, of a regression R².
    n_rows
        Rows to draw; of a file or a bundled set at most so many are used. None: 5,000 drawn, all of a file.
    folds
        Folds of every cross-validation.
    small
        Search 4 settings instead of 16 (of 27 for a forest), with fewer points on both curves.
    calibration
        Method of the registered model of two classes: one of `CALIBRATIONS`, or ``"auto"`` for the lowest Brier score out
        of fold.
    seed
        Of draw, split, folds and forest: the same configuration gives the same numbers.
    experiment
        MLflow experiment that the runs go to.
    output
        Folder for the files; ``outputs/workflow`` in the course's home when None. It is replaced as a whole.
    positive, drop, category, numeric, allow_leak, drop_missing_target
        What should not be guessed about a file: see `tables.Wishes`.
    name
        Name of the registered model; ``calibrated_<model>`` when None (``multiclass_…``, ``regression_…``), followed by
        the data set unless it is synthetic.
    """

    data: str | Path = "synthetic"
    target: str | None = None
    task: str = "auto"
    model: str | None = None
    polynomial: bool = False
    scoring: str | None = None
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
        first = self.task if self.task in ("multiclass", "regression") else "calibrated"
        model = self.model or self.kind.models[0]
        return self.name or f"{first}_{model}{f'_{source}' if self.data != 'synthetic' else ''}"

    @property
    def kind(self) -> Kind:
        """What the task needs; that of two classes while it is not told."""
        return KINDS.get(self.task, KINDS["binary"])

    def settled(self, split: data.Split) -> WorkflowConfig:
        """Return the configuration with the split's task, and its model and scoring where none was named.

        Raises
        ------
        CourseError
            When what was named does not fit the task.
        """
        known = replace(self, task=split.task)
        known.check()
        kind = known.kind
        return replace(known, model=self.model or kind.models[0], scoring=self.scoring or next(iter(kind.scorings)))

    def params(self) -> dict[str, Any]:
        """Return what determines the numbers, for ``mlflow.log_params``: all but where runs, files and model go.

        What was said about a file is among them when something was said.
        """
        unsaid = {f.name for f in fields(Wishes) if getattr(self, f.name) == f.default}
        return {k: v for k, v in asdict(self).items() if k not in ("experiment", "output", "name", *unsaid)}

    def check(self) -> None:
        """Raise a `CourseError` for the first value that cannot work."""
        if self.task not in ("auto", *KINDS):
            raise CourseError(f"--task is {self.task!r}; it is one of {', '.join(KINDS)}, or is told from the target.")
        kinds = KINDS.values() if self.task == "auto" else [self.kind]
        able = {
            "model": dict.fromkeys(name for kind in kinds for name in kind.models),
            "scoring": dict.fromkeys(name for kind in kinds for name in kind.scorings),
            "calibration": ("auto", *CALIBRATIONS),
        }
        where = "this workflow" if self.task == "auto" else f"this workflow's task {self.task}"
        for name, known in able.items():
            if getattr(self, name) not in (*known, *([None] if name != "calibration" else [])):
                raise CourseError(
                    f"{name} is {getattr(self, name)!r}, which {where} does not know. Choose one of {', '.join(known)}."
                )
        if self.calibration != "auto" and self.task in ("multiclass", "regression"):
            raise CourseError(
                f"calibration is {self.calibration!r}, and only the probabilities of two classes are calibrated here. "
                f"Leave it out for the task {self.task}."
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


@dataclass(frozen=True)
class Settled:
    """What step 4 has settled, without a look at the test set.

    Attributes
    ----------
    model
        Fitted on all training rows: what is tested, registered and served.
    scores
        Over the folds, with the names of the runtime table's columns behind ``cv_``.
    tags
        For the registered version.
    result
        Fields of the `WorkflowResult`.
    """

    model: Any
    scores: dict[str, float]
    tags: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)


@dataclass
class WorkflowResult:
    """What the workflow found; all of it is in the MLflow run, too.

    Attributes
    ----------
    run_id, run_name, experiment
        The parent run.
    task
        ``"binary"``, ``"multiclass"`` or ``"regression"``.
    best_params
        Setting that the search chose, without prefixes.
    cv_score
        Its mean score over the folds.
    candidates
        All settings, the best first.
    scores
        Of the registered model on the test set, see `scores.scores` and `judging.metrics`.
    served
        The task's main score (`Kind.main`: F1, macro F1, RMSE) of what the registered model answers when it is loaded
        as a service loads it.
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
    calibration, calibration_method
        Of two classes: out-of-fold Brier score of the three variants, and the one that was registered.
    threshold
        Where class 1 begins; chosen on out-of-fold rows, and kept inside the registered model.
    """

    run_id: str
    run_name: str
    experiment: str
    task: str
    best_params: dict[str, Any]
    cv_score: float
    candidates: pd.DataFrame
    scores: dict[str, float]
    served: float
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
    calibration: pd.DataFrame | None = None
    calibration_method: str | None = None
    threshold: float | None = None
