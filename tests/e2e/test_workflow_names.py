"""The full workflow as lecture, script and command: the same names in the store, and they are those of the document."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from course_runner.batch.execute import execute
from course_runner.build.build import SCRATCH, make_job
from course_runner.build.source import make_notebook
from course_runner.kernels import warm
from course_runner.kernels.sockets import scratch_parent
from course_runner.workflow import WorkflowConfig, run_workflow
from course_utils import store
from tests.lectures import PAGES, ROOT

SCRIPT = ROOT / "source" / "full_workflow" / "ml_workflow_with_mlflow.py"
EXPERIMENT = "ml_workflow_demo"
MODEL = "calibrated_logistic_regression"
#: What the owner's workflow document names, step by step.
PARAMETERS = {
    *("n_samples", "n_features", "test_size", "missing_share", "label_noise", "n_train", "n_test"),
    *("imputation_strategy", "scaling", "classifier"),
    *("best_classifier__C", "best_classifier__solver", "best_classifier__class_weight"),
    *("calibration_method", "calibration_folds", "optimal_C", "hardware", "positive_class"),
}
METRICS = {
    *("best_cv_roc_auc", "oof_brier_none", "oof_brier_sigmoid", "oof_brier_isotonic"),
    *("test_roc_auc", "test_pr_auc", "test_f1", "optimal_threshold", "served_f1"),
    *("final_train_score", "final_val_score", "train_val_gap", "optimal_val_score"),
}
FILES = {
    "cv_results.csv",
    "test_evaluation.png",
    "learning_curve.png",
    "validation_curve.png",
    "runtime_comparison.csv",
}


@dataclass
class Logged:
    """What one of the three left in its store."""

    parent: mlflow.entities.Run
    children: list[mlflow.entities.Run]
    files: set[str]
    candidates: pd.DataFrame
    runtime: pd.DataFrame
    versions: list[str]
    pipeline: list[str]


def look(uri: str) -> Logged:
    """Read the only workflow of a store."""
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client = mlflow.MlflowClient()
    runs = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]

    def table(name: str) -> pd.DataFrame:
        return pd.read_csv(client.download_artifacts(parent.info.run_id, name))

    versions = client.search_model_versions(f"name = '{MODEL}'")
    model = mlflow.sklearn.load_model(f"models:/{MODEL}/1").estimator_
    plain = model.calibrated_classifiers_[0].estimator if hasattr(model, "calibrated_classifiers_") else model
    found = Logged(
        parent,
        [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id],
        {file.path for file in client.list_artifacts(parent.info.run_id)},
        table("cv_results.csv"),
        table("runtime_comparison.csv"),
        [version.run_id for version in versions],
        [name for name, _ in plain.steps],
    )
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)
    return found


@pytest.fixture(scope="module")
def lecture() -> Iterator[Logged]:
    """The notebook, on few rows."""
    (page,) = [p for p in PAGES if p.step.name == "full_workflow" and p.kind == "notebooks"]
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=scratch_parent(), ignore_cleanup_errors=True) as folder:
        job = make_job(page, Path(folder), make_notebook(page, PAGES))
        outcome, _ = execute(replace(job, parameters={"n_samples": 1000, "folds": 3}))
        assert outcome.ok, outcome.error
        yield look(f"sqlite:///{job.home / 'mlflow.db'}")


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    """The file alone, in an empty folder, where the course cannot be imported."""
    folder, hidden = tmp_path_factory.mktemp("empty"), tmp_path_factory.mktemp("hidden")
    for package in ("course_utils", "course_runner"):
        (hidden / f"{package}.py").write_text("raise ImportError('the course is not here')")
    shutil.copyfile(SCRIPT, folder / SCRIPT.name)
    environment = {**os.environ, **warm.KERNEL_SETTINGS, "PYTHONPATH": str(hidden)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = [sys.executable, SCRIPT.name, "--n-samples", "1000"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    noise = re.findall(r"^.*(?:\b(?:WARNING|ERROR)\b|Warning:).*$", done.stderr, re.M)
    assert not noise and "= reported F1" in done.stdout
    return look(f"sqlite:///{folder / 'mlflow.db'}")


@pytest.fixture(scope="module")
def command(store_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Logged:
    """`course workflow`, on few rows."""
    home = tmp_path_factory.mktemp("command")
    shutil.copyfile(store_template, home / "mlflow.db")
    uri = f"sqlite:///{home / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_HOME", str(home))
        store.connect(uri)
        run_workflow(WorkflowConfig(n_rows=1000))
    return look(uri)


@pytest.mark.long
@pytest.mark.parametrize("way", ["lecture", "script", "command"])
def test_the_names_are_those_of_the_document(way, request):
    found: Logged = request.getfixturevalue(way)
    assert not PARAMETERS - set(found.parent.data.params)
    assert not METRICS - set(found.parent.data.metrics)
    assert found.files >= FILES
    assert found.versions == [found.parent.info.run_id]
    assert found.pipeline == ["imputer", "scaler", "classifier"]
    assert len(found.candidates) == len(found.children) == 16
    for child in found.children:
        assert {"C", "solver", "class_weight"} <= set(child.data.params) and "cv_score" in child.data.metrics
    settings = {"param_classifier__C", "param_classifier__solver", "param_classifier__class_weight"}
    assert settings | {"mean_test_score"} <= set(found.candidates)
    assert set(found.runtime["model"]) == {"logistic_regression", "random_forest", "registered"}
    costs = {"cv_roc_auc", "fit_seconds", "predict_seconds", "per_sample_ms", "one_row_ms", "hardware"}
    assert costs <= set(found.runtime)
    assert found.parent.data.metrics["served_f1"] == pytest.approx(found.parent.data.metrics["test_f1"])


@pytest.mark.long
def test_script_and_command_find_the_same_with_the_same_rows(script, command):
    same = ("best_cv_roc_auc", "oof_brier_isotonic", "optimal_threshold", "test_roc_auc", "test_f1")
    for name in same:
        assert script.parent.data.metrics[name] == pytest.approx(command.parent.data.metrics[name]), name
    for name in ("best_classifier__C", "calibration_method", "n_train"):
        assert script.parent.data.params[name] == command.parent.data.params[name]
    by_fold = [found.runtime.set_index("model")["cv_roc_auc"].sort_index() for found in (script, command)]
    assert by_fold[0]["registered"] == pytest.approx(by_fold[1]["registered"])
    assert by_fold[0]["registered"] == pytest.approx(by_fold[0]["logistic_regression"], abs=0.01)
