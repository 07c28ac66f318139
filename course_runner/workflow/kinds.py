"""The three kinds of task: what can be searched, compared, drawn and left for each. The table `KINDS` is all there is."""

from __future__ import annotations

from dataclasses import dataclass

from course_utils._plumbing.targets import TASKS

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
#: Of the two other kinds: there is no threshold to choose.
_OTHER_STEPS = (*STEPS[:3], "Predict every training row out of fold", *STEPS[4:])
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
_OTHER_FILES = tuple(name for name in FILES if name != "calibration.png")


@dataclass(frozen=True)
class Kind:
    """What a task needs.

    Attributes
    ----------
    models
        That can be searched; the first when none is named.
    scorings
        That the search can maximise, with the name on an axis; the first when none is named.
    main
        Metric that the registered model must give again when it is loaded as a service loads it.
    ranked
        Metric that models are compared by over the folds, its name on an axis, and whether lower is better.
    baseline
        Model that learns nothing from the features: a comparison without it says little.
    steps, files
        Titles of the eight steps, and what is left in the folder.
    """

    models: tuple[str, ...]
    scorings: dict[str, str]
    main: str
    ranked: tuple[str, str, bool]
    baseline: str = ""
    steps: tuple[str, ...] = _OTHER_STEPS
    files: tuple[str, ...] = _OTHER_FILES


KINDS = {
    "binary": Kind(
        models=("logistic_regression", "random_forest"),
        scorings={
            "roc_auc": "ROC-AUC",
            "average_precision": "average precision",
            "f1": "F1",
            "accuracy": "accuracy",
            "balanced_accuracy": "balanced accuracy",
            "neg_brier_score": "negative Brier score",
            "neg_log_loss": "negative log loss",
        },
        main="f1",
        ranked=("roc_auc", "ROC-AUC", False),
        steps=STEPS,
        files=FILES,
    ),
    "multiclass": Kind(
        models=("logistic_regression", "random_forest"),
        scorings={
            "f1_macro": "macro F1",
            "accuracy": "accuracy",
            "balanced_accuracy": "balanced accuracy",
            "roc_auc_ovr": "one-vs-rest ROC-AUC",
            "neg_log_loss": "negative log loss",
        },
        main="f1_macro",
        ranked=("f1_macro", "macro F1", False),
        baseline="most_frequent_class",
        files=(*_OTHER_FILES, "confusion_matrix.png", "per_class.csv"),
    ),
    "regression": Kind(
        models=("ridge", "random_forest"),
        scorings={
            "r2": "R²",
            "neg_root_mean_squared_error": "negative RMSE",
            "neg_mean_absolute_error": "negative MAE",
        },
        main="rmse",
        ranked=("rmse", "RMSE", True),
        baseline="mean",
    ),
}
assert tuple(KINDS) == TASKS
#: Files of any kind: what may be replaced in an output folder.
ALL_FILES = frozenset(name for kind in KINDS.values() for name in kind.files)
