"""The course store: made once and whole, found from any folder, told in one message when it cannot be had."""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from course_utils import data, store
from course_utils._plumbing import course_store, schema
from course_utils.errors import CourseError


def test_home_is_the_checkout_from_any_folder_below_it(monkeypatch, tmp_path):
    monkeypatch.delenv("COURSE_HOME", raising=False)
    root = Path(__file__).resolve().parents[2]
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


@pytest.mark.parametrize("moment", ["complete", "still empty"])
def test_a_store_that_mlflow_makes_meanwhile_is_not_replaced(tmp_path, monkeypatch, moment):
    database, made, seen = tmp_path / "mlflow.db", schema.make, []

    def slowly(aside):
        made(aside)
        database.touch()  # a notebook's first call, while the UI's server makes the learner's store
        seen.append(database.stat().st_ino)
        later = threading.Timer(0.5 if moment == "still empty" else 0, made, [database])
        later.start()
        if moment == "complete":
            later.join()

    monkeypatch.setattr(schema, "make", slowly)
    store.create(f"sqlite:///{database}")
    assert seen == [database.stat().st_ino] and not list(tmp_path.glob(".mlflow.db.*"))
    assert schema.is_complete(database)


def test_a_store_that_was_opened_and_holds_nothing_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(course_store, "_PATIENCE", 0.2)
    (tmp_path / "mlflow.db").touch()
    store.create(f"sqlite:///{tmp_path}/mlflow.db")
    assert schema.is_database(tmp_path / "mlflow.db")


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


def test_the_card_of_a_model_that_answers_with_probabilities_promises_them(course_home):
    store.connect()
    split = data.churn_split(200, numeric=True)
    forest = RandomForestClassifier(5, random_state=0).fit(split.X_train, split.y_train)
    mlflow.set_experiment("models")
    with mlflow.start_run():
        info = store.log_model(forest, "forest", split.X_train, pyfunc_predict_fn="predict_proba")
    (promised,) = info.signature.outputs.to_dict()
    assert promised["tensor-spec"] == {"dtype": "float64", "shape": (-1, 2)}
    assert mlflow.pyfunc.load_model(info.model_uri).predict(split.X_test).shape == (len(split.X_test), 2)


def test_outputs_are_kept_at_home(course_home):
    folder = store.outputs("03_mlflow_basics")
    pd.DataFrame({"a": [1]}).to_csv(folder / "a.csv")
    assert (course_home / "outputs/03_mlflow_basics/a.csv").exists() and store.outputs("03_mlflow_basics") == folder


# ---- stores of another MLflow, and what is no store --------------------------------------------------------------


@pytest.fixture
def old_store(store_template, tmp_path) -> Path:
    """A store as the MLflow before the last schema change left it, with one run."""
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine

    path = tmp_path / "my runs" / "mlflow.db"
    path.parent.mkdir()
    shutil.copyfile(store_template, path)
    engine = create_sqlalchemy_engine(f"sqlite:///{path}")
    config = _get_alembic_config(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "-1")
    engine.dispose()
    return path


def test_a_store_of_an_older_mlflow_is_not_touched_and_the_commands_that_are_told_mend_it(old_store):
    before = old_store.read_bytes()
    with pytest.raises(CourseError, match="older MLflow") as told:
        store.connect(f"sqlite:///{old_store}")
    assert old_store.read_bytes() == before
    copy, upgrade = [shlex.split(line) for line in str(told.value).splitlines() if line.startswith("  ")]
    assert copy[0] == "cp" and copy[1] == str(old_store) and upgrade[:3] == ["mlflow", "db", "upgrade"]
    schema.upgrade(upgrade[3])
    assert course_store.check(f"sqlite:///{old_store}")


def test_every_verb_that_opens_an_older_store_says_so(old_store, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from course_runner.cli.app import app

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{old_store}")
    monkeypatch.setattr(course_store, "ENVIRONMENT_URI", f"sqlite:///{old_store}")
    verbs = (
        ["ui", "--home", str(old_store.parent)],
        ["ui"],
        ["run", "00", "-o", str(tmp_path / "batch")],
        ["workflow", "--fast"],
    )
    for words in verbs:
        result = CliRunner().invoke(app, words)
        assert isinstance(result.exception, CourseError) and "mlflow db upgrade" in str(result.exception), words
    assert not (tmp_path / "batch").exists()


def test_a_store_of_a_newer_mlflow_is_told(store_template, tmp_path):
    path = tmp_path / "mlflow.db"
    shutil.copyfile(store_template, path)
    with sqlite3.connect(path) as connection:
        connection.execute("update alembic_version set version_num = 'ffffffffffff'")
    with pytest.raises(CourseError, match="newer MLflow.*cannot go back"):
        store.connect(f"sqlite:///{path}")


def test_a_database_of_another_program_gets_no_tables_of_ours(tmp_path):
    path = tmp_path / "mlflow.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table recipes (id int)")
    with pytest.raises(CourseError, match="another program.*recipes"):
        store.connect(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        assert connection.execute("select count(*) from sqlite_master").fetchone() == (1,)


def test_a_damaged_store_is_one_message(store_template, tmp_path):
    path = tmp_path / "mlflow.db"
    path.write_bytes(store_template.read_bytes()[:3000] + b"\xff" * 60_000)
    with pytest.raises(CourseError, match="cannot be read.*copy"):
        store.connect(f"sqlite:///{path}")


def test_a_store_that_has_grown_gets_statistics_so_that_sorting_by_a_metric_does_not_compare_all_with_all(course_home):
    store.connect()
    database = course_home / "mlflow.db"
    with sqlite3.connect(database) as connection:
        columns = "run_uuid, name, status, lifecycle_stage, experiment_id, start_time, artifact_uri, user_id"
        runs = [(f"{i:032x}", f"r{i}", "FINISHED", "active", 0, i, "", "mira") for i in range(schema._MANY_RUNS)]
        connection.executemany(f"insert into runs ({columns}) values (?, ?, ?, ?, ?, ?, ?, ?)", runs)
        columns = "run_uuid, key, value, timestamp, step, is_nan"
        values = [(run[0], "auc", run[5], 0, 0, False) for run in runs]
        connection.executemany(f"insert into latest_metrics ({columns}) values (?, ?, ?, ?, ?, ?)", values)
    by_auc = (
        "explain query plan select * from runs left join (select * from latest_metrics where key = 'auc') as m "
        "on runs.run_uuid = m.run_uuid where experiment_id in (0) order by m.value"
    )

    def plan() -> str:
        with sqlite3.connect(database) as connection:
            return " ".join(row[3] for row in connection.execute(by_auc))

    course_store.check(f"sqlite:///{database}")
    with sqlite3.connect(database) as connection:
        assert connection.execute("select stat from sqlite_stat1 where tbl = 'runs'").fetchone()[0].startswith("500")
    assert "SEARCH" in plan() and "SCAN m" not in plan()
    assert mlflow.search_runs(["0"], order_by=["metrics.auc DESC"], max_results=1)["metrics.auc"].tolist() == [499]


# ---- runs that a killed batch left open --------------------------------------------------------------------------


def test_a_resumed_batch_closes_its_own_open_runs_and_those_below_them_only(course_home):
    from course_runner.batch.provenance import JOB_TAG
    from course_runner.batch.record import close_open_runs

    client = mlflow.MlflowClient(store.connect())
    experiment = client.create_experiment("shared")
    mine = client.create_run(experiment, tags={JOB_TAG: "batch-1 notebooks/03.ipynb"}).info.run_id
    child = client.create_run(experiment, tags={"mlflow.parentRunId": mine}).info.run_id
    done = client.create_run(experiment, tags={JOB_TAG: "batch-1 notebooks/04.ipynb"}).info.run_id
    client.set_terminated(done)
    others = client.create_run(experiment, tags={JOB_TAG: "batch-2 notebooks/03.ipynb"}).info.run_id
    assert close_open_runs(client, "batch-1 ") == 2
    assert {i: client.get_run(i).info.status for i in (mine, child, done, others)} == {
        mine: "KILLED",
        child: "KILLED",
        done: "FINISHED",
        others: "RUNNING",
    }
    assert close_open_runs(client) == 1 and client.get_run(others).info.status == "KILLED"
