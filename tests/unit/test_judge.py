"""The judge of the homework: it changes nothing, never fails, and accuses nobody of a task that is not begun."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import mlflow
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.utils.autologging_utils import AUTOLOGGING_INTEGRATIONS

from course_utils import store
from course_utils._judge.evidence import Evidence
from course_utils._judge.task import LEVELS, load_tasks, run_check
from course_utils._plumbing import steps
from course_utils.homework import Homework
from tests.conftest import _forget
from tests.submissions.corruption import corrupt
from tests.submissions.tools import notebook, run, solution

STEPS = [step.name for step in steps.steps()]
#: Odd stores per homework; more of them, with `COURSE_ODD_STORES`, when a check has changed.
EXAMPLES = int(os.environ.get("COURSE_ODD_STORES", "25"))
TASKS = [
    pytest.param(step, task, id=f"{step}-{task}") for step in STEPS for task in range(1, len(load_tasks(step)) + 1)
]

#: One homework in `make test`; all of them in `make test-all`.
EACH = [pytest.param(step, marks=[] if step == "mlflow_basics" else pytest.mark.long) for step in STEPS]


def everything(home: Path) -> dict[str, str]:
    """Return what a store and its folder hold: every row of every table, every file."""
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        rows = "\n".join(database.iterdump())
    files = {
        p.relative_to(home).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in home.rglob("*")
        if p.is_file() and not p.name.startswith((".course_progress.db", "mlflow.db"))
    }
    return {**files, "rows": rows}


def state() -> dict:
    """Return what a check could change in the learner's kernel."""
    active = mlflow.active_run()
    return {
        "run": active.info.run_id if active else None,
        "last": last.info.run_id if (last := mlflow.last_active_run()) else None,
        "experiment": mlflow.tracking.fluent._active_experiment_id,
        "autolog": {name: dict(config) for name, config in AUTOLOGGING_INTEGRATIONS.items()},
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "random": (random.getstate(), np.random.get_state()[1].tolist()),
    }


def forget(step: str) -> None:
    """Let the checks of a homework compute their references again."""
    load_tasks(step)
    for value in vars(sys.modules[f"course_checks.{step}"]).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()


@pytest.mark.parametrize("step", EACH)
def test_a_check_changes_neither_store_nor_kernel(course_home, monkeypatch, step):
    monkeypatch.setenv("COURSE_SEED", "0")
    tasks = range(1, len(load_tasks(step)) + 1)
    run(notebook(step, {task: solution(step, task) for task in tasks}))
    while mlflow.active_run():
        mlflow.end_run()
    hw = Homework(step)
    mlflow.autolog(silent=True)
    mlflow.sklearn.autolog(silent=True)  # where a homework has called it, `mlflow.autolog` changes nothing
    try:
        mlflow.set_experiment("mine")
        with mlflow.start_run():
            forget(step)
            kernel, before = state(), everything(course_home)
            for task in (*tasks, *tasks):
                result = hw.check(task)
                assert result.passed, result
                assert state() == kernel, f"task {task}: the kernel is not as it was"
            after = everything(course_home)
            assert {name for name in before | after if before.get(name) != after.get(name)} == set()
    finally:
        mlflow.autolog(disable=True, silent=True)


@pytest.mark.long
@pytest.mark.parametrize(("step", "solved"), TASKS)
def test_only_the_solved_task_is_judged(course_home, monkeypatch, step, solved):
    monkeypatch.setenv("COURSE_SEED", "0")
    run(notebook(step, {solved: solution(step, solved)}))
    while mlflow.active_run():
        mlflow.end_run()
    for n, task in enumerate(load_tasks(step), 1):
        result = run_check(n, task, Evidence())
        assert result.state == ("passed" if n == solved else "not started"), result


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
def test_no_evidence_is_too_odd_for_a_check(course_home, monkeypatch, tmp_path, step):
    """One piece of a right store at a time is replaced; each verdict is a mistake with a message, or a pass."""
    monkeypatch.setenv("COURSE_SEED", "0")
    tasks = load_tasks(step)
    run(notebook(step, {n: solution(step, n) for n in range(1, len(tasks) + 1)}))
    while mlflow.active_run():
        mlflow.end_run()
    kept = tmp_path / "kept"
    shutil.copytree(course_home, kept)

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.data())
    def judge(data: st.DataObject) -> None:
        for name in ("mlartifacts", "outputs"):
            shutil.rmtree(course_home / name, ignore_errors=True)
            if (kept / name).is_dir():
                shutil.copytree(kept / name, course_home / name)
        _forget(f"sqlite:///{course_home / 'mlflow.db'}")
        shutil.copyfile(kept / "mlflow.db", course_home / "mlflow.db")
        done = corrupt(course_home, step, lambda choices: data.draw(st.sampled_from(choices)))
        for n, task in enumerate(tasks, 1):
            result = run_check(n, task, Evidence())
            assert result.code != "checker-error", f"{done}: {result}"
            assert result.passed or len(result.message) > 20, f"{done}: {result}"
            assert "Traceback" not in result.message and "\n" not in result.message, f"{done}: {result}"

    judge()


@pytest.mark.parametrize("step", STEPS)
def test_every_homework_has_tasks_of_more_than_one_level(step):
    levels = [task.level for task in load_tasks(step)]
    assert set(levels) <= set(LEVELS) and len(set(levels)) > 1


#: Files whose order of rows is part of the task, or which must hold nothing more.
ORDERED = {"top3.csv", "calls.csv", "proof.csv", "mistakes.csv"}
EXACT = {"rows.csv", "cv_results.csv", "tumours.csv"}


@pytest.mark.parametrize("step", EACH)
def test_what_the_task_does_not_mention_does_no_harm(course_home, monkeypatch, step):
    """More parameters, metrics, tags and files; rows in another order, one more column, a BOM, blanks after commas."""
    import pandas as pd

    monkeypatch.setenv("COURSE_SEED", "0")
    tasks = load_tasks(step)
    run(notebook(step, {n: solution(step, n) for n in range(1, len(tasks) + 1)}))
    while mlflow.active_run():
        mlflow.end_run()
    client = mlflow.MlflowClient()
    for experiment in client.search_experiments(filter_string="name LIKE 'hw-%'"):
        for one in client.search_runs([experiment.experiment_id]):
            client.log_param(one.info.run_id, "mood", "fine")
            client.log_metric(one.info.run_id, "seconds_waited", 1.5)
            client.set_tag(one.info.run_id, "place", "kitchen table")
    files = [p for p in (course_home / "outputs").rglob("*.csv") if p.name not in EXACT]
    for file in files:
        rows = pd.read_csv(file)
        if file.name not in ORDERED:
            rows = rows.iloc[::-1]
        rows = rows.assign(remark="none, yet")[["remark", *rows.columns]]
        file.write_text(
            rows.to_csv(index=False).replace(",", ", ").replace("none,  yet", "none, yet"), encoding="utf-8-sig"
        )
        file.with_name("notes.txt").write_text("mine")
    for file in course_home.rglob("mlartifacts/**/*.json"):
        if isinstance(content := json.loads(file.read_text(encoding="utf8")), dict) and set(content) == {
            "columns",
            "data",
        }:
            content["data"].reverse()
            if file.name != "input_example.json":
                file.write_text(json.dumps(content, indent=2), encoding="utf8")
    for n, task in enumerate(tasks, 1):
        result = run_check(n, task, Evidence())
        assert result.passed, result


def test_a_restarted_kernel_does_not_hide_a_misspelt_experiment(course_home, monkeypatch):
    first = Homework("mlflow_basics")
    mlflow.set_experiment("hw_basics_Tumours")
    assert first.check(1).code == "experiment-name"
    assert Homework("mlflow_basics").check(1).code == "experiment-name"


def test_runs_in_a_store_beside_the_notebook_do_not_pass(course_home):
    store.connect()
    homework = Homework("start_here")
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("hw-start-here-first")
    with mlflow.start_run(run_name="hello"):
        mlflow.log_metric("churn_rate", 0.2)
    assert homework.check(1).code == "other-store"


def test_a_lecture_that_is_run_again_beside_the_homework_answers_nothing(course_home):
    mlflow.set_experiment("models-of-a-lecture")
    time.sleep(0.01)
    homework = Homework("features_and_models")
    mlflow.set_experiment("models-of-a-lecture")
    with mlflow.start_run(run_name="ridge"):
        pass
    assert homework.check(3).state == "not started"
    mlflow.set_experiment("hw-features-tracking")
    begun = homework.check(3)
    assert begun.state == "not started" and "`models-of-a-lecture` has a run of this name" in begun.message
    with mlflow.start_run(run_name="Ridge"):
        pass
    assert homework.check(3).code == "run-name"
    mlflow.set_experiment("models-of-mine")
    with mlflow.start_run(run_name="ridge"):
        pass
    assert homework.check(3).code == "wrong-experiment"


def test_an_answer_in_the_experiment_of_the_lecture_is_named_and_not_only_called_not_started(course_home):
    store.connect()
    mlflow.set_experiment("first-steps")
    time.sleep(0.01)
    homework = Homework("start_here")
    with mlflow.start_run(run_name="hello"):
        pass
    begun = homework.check(1)
    assert begun.state == "not started" and "`first-steps` has a run of this name" in begun.message


def test_a_check_that_passes_names_a_run_that_was_left_open(course_home, monkeypatch):
    monkeypatch.setenv("COURSE_SEED", "0")
    homework = Homework("pipelines")
    run(notebook("pipelines", {1: solution("pipelines", 1)}))
    mlflow.set_experiment("mine")
    mlflow.start_run(run_name="forgotten")
    try:
        passed = homework.check(1)
    finally:
        mlflow.end_run()
    assert passed.passed and "`forgotten` is still open" in passed.more and "hw.solution(1)" in passed.more
