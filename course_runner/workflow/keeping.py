"""What stays: the registered model, proof that it is the one that was measured, and the folder of files."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from sklearn.metrics import f1_score

from course_runner.workflow.judging import answers, main_score
from course_runner.workflow.kinds import ALL_FILES, KINDS
from course_utils import data
from course_utils.errors import CourseError


def register(model_uri: str, name: str, run_id: str, X: pd.DataFrame) -> int:
    """Register a logged model and return its version, after proof that it predicts the same from run and registry.

    Parameters
    ----------
    model_uri
        ``models:/m-…`` of the logged model.
    name
        Name in the registry.
    run_id
        Run that logged the model under the name ``model``.
    X
        Rows to compare predictions on, shape (n_rows, n_features).

    Raises
    ------
    CourseError
        When the two loaded models disagree.
    """
    client = mlflow.MlflowClient()
    if not client.search_registered_models(filter_string=f"name = '{name}'"):
        client.create_registered_model(name)
    model_id = model_uri.removeprefix("models:/")  # a server asks for it
    version = int(client.create_model_version(name, model_uri, run_id, model_id=model_id).version)
    by_run, by_registry = (
        answers(mlflow.sklearn.load_model(uri), X) for uri in (f"runs:/{run_id}/model", f"models:/{name}/{version}")
    )
    if not np.array_equal(by_run, by_registry):
        raise CourseError(
            f"Version {version} of {name!r} predicts other values than run {run_id}: the registry holds another model. "
            "Look at the source of this version in the UI, and delete the version."
        )
    return version


def served(service: Any, split: data.Split, reported: float) -> float:
    """Return F1, macro F1 or RMSE of what a loaded model answers on the test set, after proof that it is as reported.

    Raises
    ------
    CourseError
        When the two differ.
    """
    answered = np.asarray(service.predict(split.X_test))
    if split.task == "binary":
        found = float(f1_score(split.y_test, answered, zero_division=0.0))
    else:
        found = main_score(split.y_test, answered, split.classes)
    name = {"f1": "F1", "f1_macro": "macro F1", "rmse": "RMSE"}[KINDS[split.task].main]
    if not np.isclose(found, reported, rtol=1e-6, atol=0.0):
        raise CourseError(
            f"The registered model has a {name} of {found:.4g} on the test set, and {reported:.4g} was measured before: "
            "what would be served is not what is reported. Please report this, with the run."
        )
    return found


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder beside `target`; it takes the place of `target` when the block ends well, else it goes.

    Raises
    ------
    CourseError
        When the folder cannot be written, or `target` holds files that the workflow did not make.
    """
    target = target.expanduser().absolute()
    if target.exists() and not target.is_dir():
        raise CourseError(f"{target} is a file; the workflow leaves a folder. Name another output.")
    if foreign := sorted(p.name for p in target.iterdir() if p.name not in ALL_FILES) if target.is_dir() else []:
        raise CourseError(
            f"The folder {target} holds {foreign[0]!r}, which is not of the workflow, and would be replaced with "
            "all the rest. Name a new or empty folder as output."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise CourseError(
            f"The folder {target} cannot be made: {error}. Name an output folder that you may write to."
        ) from error
    old = aside.with_name(f"{aside.name}.old")
    try:
        aside.chmod(0o755)  # mkdtemp makes it private
        yield aside
        if target.is_dir():
            os.replace(target, old)
        os.replace(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _experiment_id(name: str) -> str:
    """Return the id of an experiment, made when it is new; the notebook's own experiment stays as it is."""
    found = mlflow.get_experiment_by_name(name)
    if found is None:
        return mlflow.create_experiment(name)
    if found.lifecycle_stage != "active":
        raise CourseError(
            f"The experiment {name!r} is in the trash, so no run can go there. Restore it in the UI, or name another."
        )
    return found.experiment_id
