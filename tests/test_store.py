"""The course store: made once and whole, found from any folder, told in one message when it cannot be had."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from course_utils import data, store
from course_utils.errors import CourseError


def test_home_is_the_checkout_from_any_folder_below_it(monkeypatch, tmp_path):
    monkeypatch.delenv("COURSE_HOME", raising=False)
    root = Path(__file__).resolve().parents[1]
    for folder in (root, root / "notebooks", tmp_path):
        monkeypatch.chdir(folder)
        assert store.home() == root
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    assert store.home() == tmp_path


def test_runs_and_artifacts_go_home_from_whatever_folder(course_home):
    uri = store.connect()
    assert uri == f"sqlite:///{course_home}/mlflow.db" == mlflow.get_tracking_uri() == mlflow.get_registry_uri()
    mlflow.set_experiment("where")
    with mlflow.start_run() as run:
        mlflow.log_text("hello", "note.txt")
    assert Path(run.info.artifact_uri).is_relative_to(course_home / "mlartifacts")
    assert not list(Path.cwd().iterdir()), "nothing is left in the notebook's own folder"
    assert "_MLFLOW_SERVER_ARTIFACT_ROOT" not in os.environ


def test_connecting_again_comes_back_from_another_store(course_home, tmp_path):
    mine = store.connect()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/other.db")
    assert store.connect() == mine == mlflow.get_tracking_uri()


def test_several_processes_that_start_together_lose_nothing(tmp_path):
    code = (
        "import mlflow\nfrom course_utils import store\nstore.connect()\n"
        "mlflow.set_experiment('together')\nfor _ in range(3):\n    with mlflow.start_run(): mlflow.log_metric('m', 1)"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("MLFLOW_TRACKING_URI", "COURSE_STORE_TEMPLATE")}
    environment["COURSE_HOME"] = str(tmp_path)
    started = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    errors = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], errors
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    assert len(client.search_runs([client.get_experiment_by_name("together").experiment_id])) == 9


def test_a_place_that_cannot_be_written_is_one_message(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CourseError, match="cannot be made.*COURSE_HOME"):
        store.create(f"sqlite:///{tmp_path}/file/mlflow.db")


def test_a_file_that_is_no_database_is_not_touched(tmp_path):
    path = tmp_path / "mlflow.db"
    path.write_text("my thesis, do not lose")
    with pytest.raises(CourseError, match="not a SQLite database"):
        store.create(f"sqlite:///{path}")
    assert path.read_text() == "my thesis, do not lose"


def test_the_ui_command_names_the_store_as_seen_from_home(course_home):
    store.connect()
    assert store.ui_command() == "mlflow server --backend-store-uri sqlite:///mlflow.db --port 5001"


def test_runs_is_a_tidy_table(course_home):
    store.connect()
    mlflow.set_experiment("tidy")
    for trees, auc in ((10, 0.7), (20, 0.8)):
        with mlflow.start_run(run_name=f"{trees}-trees"):
            mlflow.log_param("trees", trees)
            mlflow.log_metric("auc", auc)
    table = store.runs("tidy", order_by=["metrics.auc DESC"])
    assert list(table.index) == ["20-trees", "10-trees"] and set(table.columns) == {"trees", "auc"}
    assert store.runs("tidy", columns=["auc", "status"]).loc["10-trees"].tolist() == [0.7, "FINISHED"]
    with pytest.raises(CourseError, match="no experiment named 'tydi'.*tidy"):
        store.runs("tydi")
    with pytest.raises(CourseError, match="No run of tidy has 'f1'"):
        store.runs("tidy", columns=["f1"])
    assert store.runs("tidy", "metrics.auc > 2").empty


def test_a_name_that_is_parameter_and_metric_keeps_both(course_home):
    store.connect()
    mlflow.set_experiment("twice")
    with mlflow.start_run(run_name="r"):
        mlflow.log_param("size", "small")
        mlflow.log_metric("size", 3.0)
    assert store.runs("twice").loc["r"].to_dict() == {"params.size": "small", "metrics.size": 3.0}


def test_a_logged_forest_is_safe_to_load_and_predicts_the_same(course_home, recwarn, capfd):
    store.connect()
    mlflow.set_experiment("models")
    split = data.churn_split(200, numeric=True)
    forest = RandomForestClassifier(5, random_state=0).fit(split.X_train, split.y_train)
    with mlflow.start_run():
        info = store.log_model(forest, "forest", split.X_train)
    loaded = mlflow.pyfunc.load_model(info.model_uri)
    assert (loaded.predict(split.X_test) == forest.predict(split.X_test)).all()
    assert info.flavors["sklearn"]["serialization_format"] == "skops" and info.signature is not None
    assert not [w for w in recwarn if "integer column" in str(w.message)] and not capfd.readouterr().err


def test_outputs_are_kept_at_home(course_home):
    folder = store.outputs("03_mlflow_basics")
    pd.DataFrame({"a": [1]}).to_csv(folder / "a.csv")
    assert (course_home / "outputs/03_mlflow_basics/a.csv").exists() and store.outputs("03_mlflow_basics") == folder
