"""Step 1: load, check and split the data, and say in the run what they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import mlflow
import pandas as pd
from sklearn.model_selection import train_test_split

from course_runner.workflow.config import TEST_SIZE, WorkflowConfig
from course_runner.workflow.runtimes import hardware
from course_utils import data
from course_utils._plumbing.cells import listing
from course_utils.errors import CourseError


def load(config: WorkflowConfig) -> data.Split:
    """Step 1: load, check and split, 80 % to train on and 20 % to test, with the same share of each class.

    A task that was to be told is in the split, see `WorkflowConfig.settled`.

    Raises
    ------
    CourseError
        As in `WorkflowConfig.check` and `data.load_and_split_data`, and when a class has too few rows for the folds.
    """
    config.check()
    split = data.load_and_split_data(
        config.data,
        config.target,
        n_rows=config.n_rows or 5000,
        test_size=TEST_SIZE,
        seed=config.seed,
        wishes=config.wishes,
        task=config.task,
    )
    config.settled(split)
    if config.n_rows:
        split = _at_most(split, config.n_rows, config.seed)
    _check_folds(split, config.folds)
    return split


def _check_folds(split: data.Split, folds: int) -> None:
    """Raise when a fold would hold no row of a class, or too few rows of a regression."""
    if split.task == "regression":
        if (rows := len(split.y_train)) < 2 * folds:
            raise CourseError(
                f"{split.name} has {rows} training rows, too few for {folds} folds of two or more. "
                "Use fewer folds or collect more rows."
            )
        return
    counts = split.y_train.value_counts()
    rows, smallest = int(counts.iloc[-1]), counts.index[-1]
    if split.task == "binary":
        # Calibration splits again inside each training fold, so one fold less must still hold a row for every fold.
        if rows - -(-rows // folds) < folds:
            raise CourseError(
                f"The class {split.classes[smallest]!r} of {split.y_train.name!r} in {split.name} has {rows} training "
                f"rows, too few for {folds} folds inside {folds} folds. "
                "Use fewer folds or collect more rows of this class."
            )
        return
    tests = split.y_test.value_counts()
    if few := [name for name in split.classes if counts.get(name, 0) < folds or not tests.get(name, 0)]:
        raise CourseError(
            f"{len(few)} of {len(split.classes)} classes of {split.y_train.name!r} in {split.name} have too few rows "
            f"({listing(few, 6)}): {folds} to train on, one for each fold, and one to test on. Collect more rows of them, "
            "merge small classes into one, or use fewer folds."
        )


def _at_most(split: data.Split, n_rows: int, seed: int) -> data.Split:
    """Return a sample of a split that has more than `n_rows` rows, stratified where there are classes, with its digest."""
    total = len(split.X_train) + len(split.X_test)
    if total <= n_rows:
        return split
    parts: list[Any] = []
    for X, y in ((split.X_train, split.y_train), (split.X_test, split.y_test)):
        keep = max(2, round(n_rows * len(X) / total))
        try:
            classes = y if split.classes else None
            X, _, y, _ = train_test_split(X, y, train_size=keep, stratify=classes, random_state=seed)
        except ValueError as error:
            raise CourseError(f"{split.name} cannot be cut down to {n_rows} rows: {error} Use more rows.") from error
        parts += [X, y]
    X_train, y_train, X_test, y_test = parts
    rows = pd.concat([X_train.assign(_label=y_train), X_test.assign(_label=y_test)])
    return replace(split, X_train=X_train, X_test=X_test, y_train=y_train, y_test=y_test, digest=data.digest(rows))


def describe(config: WorkflowConfig, split: data.Split) -> dict[str, Any]:
    """Return what the data are, for ``mlflow.log_params``: sizes, shares, the class to find, and the machine."""
    drawn = config.data == "synthetic"
    return {
        "n_samples": len(split.X_train) + len(split.X_test),
        "n_features": split.X_train.shape[1],
        "test_size": TEST_SIZE,
        "n_train": len(split.X_train),
        "n_test": len(split.X_test),
        "missing_share": 0.05 if drawn else round(float(split.X_train.isna().mean().mean()), 4),
        "label_noise": 0.05 if drawn else "unknown",
        **({"positive_class": str(split.classes[1])} if split.task == "binary" else {}),
        **({"n_classes": len(split.classes)} if split.task == "multiclass" else {}),
        "hardware": hardware(),
    }


def log_data(split: data.Split) -> None:
    """Log both parts as data sets of the active run, each with a digest of all of its rows."""
    for part, X, y in (("train", split.X_train, split.y_train), ("test", split.X_test, split.y_test)):
        table = X.assign(**{str(y.name): y if split.task == "multiclass" else y.astype(float)})
        logged = mlflow.data.from_pandas(
            table, targets=str(y.name), name=f"{split.name}-{part}", digest=data.digest(table)
        )
        mlflow.log_input(logged, context=part)
