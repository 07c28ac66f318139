"""`course sweep`: each point once, whatever happens to the runner or to a worker, and all of them below one parent."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
from mlflow import MlflowClient

from course_runner import workflow
from course_runner.batch import batch, pool, provenance
from course_runner.batch.job import Outcome
from course_runner.cli import workflow as cli_workflow
from course_runner.kernels import child
from course_runner.lab.ui import ui_server
from course_runner.sweep import plan as sweep_plan
from course_runner.sweep import record as sweep_record
from course_runner.sweep import report as sweep_report
from course_runner.sweep import sweep
from course_utils import store
from course_utils._plumbing import course_store
from course_utils._plumbing.processes import answers, unused_port
from course_utils.errors import CourseError
from tests.notebooks import ROOT, begin, course_here, notebook

SWEEP = ("course_runner.cli", "sweep")


def wait_for(what: str, condition: Callable[[], object], seconds: float = 240) -> object:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    pytest.fail(f"{what}: not within {seconds} s")


def points_in(uri: str) -> list:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(sweep_record.EXPERIMENT).experiment_id
    return [r for r in provenance.search(client, "", [experiment]) if sweep_record.POINT_TAG in r.data.tags]


# -------------------------------------------------------------------------------------------- what is asked for


@pytest.fixture(scope="module")
def nb(tmp_path_factory) -> nbformat.NotebookNode:
    path = tmp_path_factory.mktemp("nb") / "n.ipynb"
    return nbformat.read(notebook(path, parameters="C = 1.0\nn_rows = 100\nkind = 'a'\nsizes = [1]\n"), as_version=4)


@pytest.mark.parametrize(
    ("grid", "fixed", "options", "words"),
    [
        (["n_row=1,2"], {}, {}, "Did you mean 'n_rows'?"),
        (["n_rows=1,many"], {}, {}, "'many' is text; the default is 100"),
        (["n_rows=1.5"], {}, {}, "float"),
        ([], {}, {}, "Nothing varies"),
        (["C="], {}, {}, "no value"),
        (["C=1,,2"], {}, {}, "empty value"),
        (["C"], {}, {}, "names no values"),
        (["C=1", "C=2"], {}, {}, "twice"),
        (["C=1,2"], {"C": "3"}, {}, "not both"),
        (["C=1,2"], {"m": "3"}, {}, "no parameter 'm'"),
        (["C=1,2"], {}, {"draw": 3}, "more points than the grid has: 2"),
        ([f"n_rows={','.join(map(str, range(1001)))}"], {}, {}, "1,001 points"),
        (["n; import os=1"], {}, {}, "not a Python name"),
    ],
)
def test_bad_input_is_one_sentence_before_anything_runs(nb, grid, fixed, options, words):
    with pytest.raises(CourseError) as caught:
        sweep_plan.plan(nb, "n.ipynb", sweep_plan.parse_grid(grid), fixed, **options)
    assert words in str(caught.value)


def test_a_notebook_without_parameters_cannot_vary(tmp_path):
    bare = nbformat.read(notebook(tmp_path / "bare.ipynb", "1"), as_version=4)
    with pytest.raises(CourseError, match="no cell tagged 'parameters'"):
        sweep_plan.plan(bare, "bare.ipynb", {"C": ["1"]})


def test_a_grid_gives_each_combination_once_in_the_types_of_the_notebook(nb, capsys):
    grid = sweep_plan.parse_grid(["C=1,1.0,10", "kind=a,'b, c'", "sizes=[1, 2],[3]"])
    points = sweep_plan.plan(nb, "n", grid, {"n_rows": "50"})
    settings = [tuple(map(repr, p.parameters.values())) for p in points]
    assert len(points) == len(set(settings)) == len({p.key for p in points}) == len({p.name for p in points}) == 8
    assert points[0].parameters == {"C": 1.0, "kind": "a", "sizes": [1, 2], "n_rows": 50}
    assert points[-1].parameters == {"C": 10.0, "kind": "b, c", "sizes": [3], "n_rows": 50}
    assert "each point runs once" in capsys.readouterr().err
    assert not any(set(p.name) & set("/\\ ,'") for p in points)


def test_random_points_are_different_ones_and_the_same_for_a_seed(nb):
    grid = {"n_rows": [str(i) for i in range(1, 100)], "C": [str(i) for i in range(1, 100)]}
    draws = [[p.key for p in sweep_plan.plan(nb, "n", grid, draw=30, seed=seed)] for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    assert len(set(draws[0])) == 30


def test_the_key_of_a_point_stands_for_cells_and_parameters(nb):
    code = provenance.notebook_hash(nb)
    other = nbformat.from_dict({**nb, "cells": [*nb.cells, nbformat.v4.new_code_cell("1")]})
    keys = {
        sweep_plan.point_key(code, {"C": 1.0}),
        sweep_plan.point_key(code, {"C": 1}),
        sweep_plan.point_key(provenance.notebook_hash(other), {"C": 1.0}),
    }
    assert len(keys) == 3
    assert sweep_plan.point_key(code, {"C": 1.0, "n": 1}) == sweep_plan.point_key(code, {"n": 1, "C": 1.0})


def test_a_line_of_the_journal_that_a_kill_cut_off_is_no_result(tmp_path):
    for key in ("one", "two"):
        sweep_record.append(tmp_path, sweep_record.Result(key, Outcome(key), printed={"score": float("inf")}))
    path = tmp_path / sweep_record.JOURNAL
    path.write_text(path.read_text()[:-20])
    assert list(sweep_record.journal(tmp_path)) == ["one"]
    sweep_record.append(tmp_path, sweep_record.Result("two", Outcome("two")))
    assert list(sweep_record.journal(tmp_path)) == ["one", "two"]


# ------------------------------------------------------------------------------------------------- on this machine

LOGS = """import mlflow
from course_utils import store
store.connect()  # as the lectures do
mlflow.set_experiment("mine")
assert len(mlflow.search_runs()) == 0, "another point's runs are here"
with mlflow.start_run(run_name="fit"):
    mlflow.log_metric("loss", (C - 2) ** 2)
if C == bad:
    raise ValueError("this point fails")"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    folder = tmp_path_factory.mktemp("swept")
    path = notebook(folder / "train.ipynb", LOGS, parameters="C = 1.0\nbad = 4.0")
    out = folder / "out"
    return out, course_here("sweep", path, "--grid", "C=1,3,2,4", "--metric", "loss", "--minimize", "-o", out, "-j", 2)


def test_a_run_on_other_data_says_nothing_about_the_point(nb):
    def run(number: str, parent: str, params: dict[str, str], score: float) -> dict:
        return {"run_id": number, "parent": parent, "params": params, "metrics": {"score": score}}

    point = sweep_plan.plan(nb, "n", {"C": ["0.1"]})[0]
    one = sweep_plan.Sweep(Path(), "n", [point], ["C"], "", nbformat.writes(nb))
    mine = [run("a", "", {"C": "0.1", "n_rows": "100"}, 0.7), run("b", "a", {"depth": "3"}, 0.6)]
    other = [run("c", "", {"C": "0.1", "kind": "real"}, 0.9), run("d", "c", {"depth": "3"}, 0.95)]
    result = sweep_record.Result(
        "", Outcome("n"), [*mine, *other], counted=sweep_record.about(one, point, mine + other)
    )
    assert result.values("score") == [0.7, 0.6] and result.metrics() == {"score": 0.7}
    result.counted = sweep_record.about(one, point, other)  # when nothing else is known, everything counts
    assert result.metrics() == {"score": 0.9}


def _in_a_fork(answer: multiprocessing.SimpleQueue) -> None:
    os.environ["MLFLOW_TRACKING_URI"] = "sqlite:////point/mlflow.db"
    child._fresh_libraries("kernel", [])
    answer.put(store.default_uri())


def test_a_kernel_forked_by_a_runner_that_has_a_store_uses_its_own(monkeypatch):
    monkeypatch.setattr(course_store, "ENVIRONMENT_URI", "sqlite:////runner/mlflow.db")
    context = pool._context()
    answer = context.SimpleQueue()
    kernel = context.Process(target=_in_a_fork, args=(answer,))
    kernel.start()
    kernel.join(60)
    assert answer.get() == "sqlite:////point/mlflow.db"


def test_a_failing_point_has_its_row_and_the_others_are_ranked(swept):
    out, done = swept
    assert done.returncode == 1, done.stderr
    assert "3 of 4 points done" in done.stdout
    assert "ValueError: this point fails" in done.stderr
    rows = (out / sweep_report.TABLE).read_text().splitlines()
    assert [row.split(",")[1] for row in rows] == ["C", "2.0", "1.0", "3.0", "4.0"]
    assert "failed" in rows[-1]
    assert f"best loss, 0: course run {out.parent / 'train.ipynb'} -p C 2.0" in done.stdout


def test_all_points_are_child_runs_of_one_parent(swept):
    out, _ = swept
    uri = f"sqlite:///{out / 'mlflow.db'}"
    runs = points_in(uri)
    parents = {r.data.tags["mlflow.parentRunId"] for r in runs}
    assert len(runs) == 4 and len(parents) == 1
    assert sorted((r.data.params["C"], r.info.status) for r in runs) == [
        ("1.0", "FINISHED"),
        ("2.0", "FINISHED"),
        ("3.0", "FINISHED"),
        ("4.0", "FAILED"),
    ]
    assert {r.data.params["C"]: r.data.metrics["loss"] for r in runs if r.info.status == "FINISHED"} == {
        "1.0": 1.0,
        "2.0": 0.0,
        "3.0": 1.0,
    }
    client = MlflowClient(uri)
    parent = client.get_run(parents.pop())
    assert parent.info.status == "FAILED" and parent.data.metrics["best_loss"] == 0
    assert {sweep_report.PICTURE, sweep_report.TABLE} <= {a.path for a in client.list_artifacts(parent.info.run_id)}
    kept = [a.path for run in runs for a in client.list_artifacts(run.info.run_id, provenance.EXECUTED)]
    assert len(kept) == 4


def test_the_figure_comes_with_its_words(swept):
    out, done = swept
    assert (out / sweep_report.PICTURE).read_bytes().startswith(b"\x89PNG")
    words = (out / sweep_report.WORDS).read_text().strip()
    assert "C 2 has the lowest loss" in words and words in done.stdout


def test_resume_runs_what_failed_and_nothing_else(swept):
    out, _ = swept
    whole = {p: p.stat().st_mtime_ns for p in (out / "points").glob("*.ipynb")}
    done = course_here("sweep", "--resume", "-o", out, "--metric", "los")
    assert done.returncode == 1
    assert "3 of 4 points are done; 1 to run" in done.stderr
    assert "Did you mean 'loss'?" in done.stderr
    assert {p: p.stat().st_mtime_ns for p in (out / "points").glob("*.ipynb")} == whole
    assert len(points_in(f"sqlite:///{out / 'mlflow.db'}")) == 4


def test_a_folder_that_is_not_empty_is_refused(swept, tmp_path):
    out, _ = swept
    with pytest.raises(CourseError, match="is not empty.*--resume -o"):
        sweep_plan.start(out, out / sweep_plan.NOTEBOOK, "n", [], [], 1, 1)
    (tmp_path / "file").write_text("")
    with pytest.raises(CourseError, match="is a file"):
        sweep_plan.start(tmp_path / "file", out / sweep_plan.NOTEBOOK, "n", [], [], 1, 1)


def test_a_stopped_sweep_goes_on_and_runs_no_point_twice(tmp_path):
    log, gate, out = tmp_path / "log.txt", tmp_path / "gate", tmp_path / "out"
    cell = "import os, time\nwith open(log, 'a') as f: f.write(f'{x}\\n')\n"
    cell += "while x > 1 and not os.path.exists(f'{gate}{x}'): time.sleep(0.05)\nprint({'x': x})"
    path = notebook(tmp_path / "slow.ipynb", cell, parameters=f"x = 1\nlog = {str(log)!r}\ngate = {str(gate)!r}")
    first = begin(*SWEEP, path, "--grid", "x=1,2,3", "-o", out, "-j", 1)
    wait_for("the second point begins", lambda: log.exists() and "2\n" in log.read_text())
    os.killpg(first.pid, signal.SIGINT)
    first.join(60)
    assert first.exitcode == 130
    Path(f"{gate}2").touch()
    second = begin(*SWEEP, "--resume", "-o", out, "-j", 1)
    wait_for("the third point begins", lambda: "3\n" in log.read_text())
    with pytest.raises(CourseError, match="Another `course sweep` is at work"):
        sweep.run(sweep_plan.load(out), ROOT)
    second.kill()
    second.join(60)
    assert second.exitcode == -signal.SIGKILL
    Path(f"{gate}3").touch()
    done = course_here("sweep", "--resume", "-o", out)
    assert done.returncode == 0, done.stderr
    assert "2 of 3 points are done; 1 to run" in done.stderr
    assert sorted(log.read_text().split()) == ["1", "2", "2", "3", "3"]
    runs = points_in(f"sqlite:///{out / 'mlflow.db'}")
    assert sorted((r.data.params["x"], r.info.status) for r in runs) == [(str(x), "FINISHED") for x in (1, 2, 3)]
    client = MlflowClient(f"sqlite:///{out / 'mlflow.db'}")
    assert client.get_run(runs[0].data.tags["mlflow.parentRunId"]).info.status == "FINISHED"


@pytest.mark.parametrize(("damage", "words"), [("without", "has no 'id': another version"), ("list", "holds no sweep")])
def test_a_plan_of_another_version_says_so(swept, tmp_path, damage, words):
    kept = json.loads((swept[0] / sweep_plan.PLAN).read_text())
    del kept["id"]
    (tmp_path / sweep_plan.PLAN).write_text(json.dumps(kept if damage == "without" else [kept]))
    (tmp_path / sweep_plan.NOTEBOOK).write_bytes((swept[0] / sweep_plan.NOTEBOOK).read_bytes())
    done = course_here("sweep", "--resume", "-o", tmp_path)
    assert done.returncode == 2 and words in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_batch_of_another_version_says_so(tmp_path):
    kept = {"notebooks": {}, "parameters": {}, "cell_timeout": 1, "notebook_timeout": 1, "memory_limit": 1}
    (tmp_path / batch.PLAN).write_text(json.dumps(kept))
    done = course_here("run", "--resume", "-o", tmp_path)
    assert done.returncode == 2 and f"{batch.PLAN} has no 'key': another version" in done.stderr
    assert "Start a new batch with `course run`" in done.stderr and len(done.stderr.splitlines()) == 1


# ----------------------------------------------------------------------------------------------------- on a cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[tuple[str, list[multiprocessing.Process]]]:
    """A scheduler and two workers, in processes of their own, as on three machines."""
    folder = tmp_path_factory.mktemp("cluster")
    file = folder / "scheduler.json"
    options = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", file]
    more = ["--nthreads", 1, "--no-nanny", "--local-directory", folder]
    with contextlib.ExitStack() as stack:

        def dask(kind: str, *words: object) -> multiprocessing.Process:
            process = begin(f"distributed.cli.dask_{kind}", *words, *options, log=folder / "log.txt")
            stack.callback(process.join)
            stack.callback(process.kill)
            return process

        dask("scheduler", "--port", 0)
        wait_for("the scheduler's address", lambda: file.exists() and file.read_text().strip())
        yield json.loads(file.read_text())["address"], [dask("worker", *more) for _ in range(2)]


@pytest.fixture(scope="module")
def server(tmp_path_factory, store_template) -> Iterator[str]:
    """A tracking server with a store of its own."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "mlflow.db").write_bytes(store_template.read_bytes())
    port = unused_port()
    command, environment = ui_server(f"sqlite:///{folder / 'mlflow.db'}", port)
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)

    try:
        wait_for("the tracking server", lambda: answers(f"http://127.0.0.1:{port}/health"))
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_the_fits_of_the_workflow_are_the_same_on_the_cluster(cluster):
    config = workflow.WorkflowConfig(n_rows=120)
    split = workflow.load(config)
    pipeline = workflow.build_pipeline(split.X_train)
    here = workflow.search(pipeline, split, config)
    with cli_workflow._searching(cluster[0]) as searching, searching():
        there = workflow.search(pipeline, split, config)
    assert len(here.cv_results_["params"]) * here.n_splits_ == 80
    assert here.best_params_ == there.best_params_
    scores = [key for key in here.cv_results_ if "test_score" in key]
    assert len(scores) == 8 and all(np.array_equal(here.cv_results_[k], there.cv_results_[k]) for k in scores)
    assert np.array_equal(here.predict_proba(split.X_test), there.predict_proba(split.X_test))


def family(workers: list[multiprocessing.Process]) -> set[psutil.Process]:
    """Return the processes below Dask's workers."""
    return {child for worker in workers for child in psutil.Process(worker.pid).children(recursive=True)}


def test_ctrl_c_leaves_nothing_on_a_cluster_and_the_other_sweep_on_it_ends(cluster, server, tmp_path):
    address, workers = cluster
    before = family(workers)
    log, gate = tmp_path / "log.txt", tmp_path / "gate"
    cell = "import mlflow, os, time\nmlflow.set_experiment('gated')\nwith mlflow.start_run():\n"
    cell += "    with open(log, 'a') as f: f.write(f'{x}\\n')\n"
    cell += "    while x > 1 and not os.path.exists(gate): time.sleep(0.05)\n    mlflow.log_metric('x', x)"
    path = notebook(tmp_path / "work.ipynb", cell, parameters=f"x = 1\nlog = {str(log)!r}\ngate = {str(gate)!r}")
    out, other = tmp_path / "out", tmp_path / "other"
    first = begin(*SWEEP, path, "--grid", "x=1,2,3", "-o", out, "--scheduler", address, MLFLOW_TRACKING_URI=server)
    wait_for("both workers are busy", lambda: log.exists() and set(log.read_text().split()) == {"1", "2", "3"})
    second = begin(*SWEEP, path, "--grid", "x=0,1", "-o", other, "--scheduler", address, MLFLOW_TRACKING_URI=server)
    wait_for("the other sweep has begun", lambda: (other / sweep_plan.PLAN).exists() and sweep_plan.load(other).parent)
    os.killpg(first.pid, signal.SIGINT)
    first.join(60)
    assert first.exitcode == 130
    gone = sweep_plan.load(out)
    client = MlflowClient(server)
    runs = [client.get_run(gone.parent), *_of(client, gone)]
    assert sorted(r.info.status for r in runs) == ["FINISHED", "KILLED", "KILLED", "KILLED"]
    second.join(100)
    assert second.exitcode == 0
    wait_for("the workers are as they were", lambda: family(workers) <= before)
    gate.touch()
    done = course_here("sweep", "--resume", "-o", out, "--scheduler", address)
    assert done.returncode == 0 and "1 of 3 points are done; 2 to run" in done.stderr, done.stderr
    assert sorted(log.read_text().split()) == ["0", "1", "1", "2", "2", "3", "3"]
    kept = [r for r in points_in(server) if r.data.tags["mlflow.parentRunId"] == gone.parent]
    assert sorted((r.data.params["x"], r.info.status) for r in kept) == [(x, "FINISHED") for x in "123"]
    assert [r.info.status for r in _of(client, gone)] == ["FINISHED"] * 3  # none of the attempts that were stopped


def _of(client: MlflowClient, one: sweep_plan.Sweep) -> list:
    """Return the runs that the notebooks of a sweep have logged themselves."""
    return [run for job in provenance.on_server(client, f"{one.id}/").values() for run in job]


def test_a_worker_lost_in_the_middle_loses_no_point_and_repeats_none(cluster, server, tmp_path):
    address, workers = cluster
    log = tmp_path / "log.txt"
    cells = (
        "import mlflow, time\nwith open(log, 'a') as f: f.write(f'{x} {y}\\n')\nmlflow.set_experiment('shared')",
        "with mlflow.start_run(run_name=f'{x} {y}'):\n    time.sleep(0.5)\n    mlflow.log_metric('score', 10 * x + y)",
    )
    path = notebook(tmp_path / "work.ipynb", *cells, parameters=f"x = 0\ny = 0\nlog = {str(log)!r}")
    out = tmp_path / "out"

    def lose() -> None:
        wait_for("three points", lambda: len(sweep_record.journal(out)) >= 3)
        workers[0].kill()

    killer = threading.Thread(target=lose)
    killer.start()
    grid = ["--grid", "x=0,1,2,3", "--grid", "y=0,1"]
    done = course_here("sweep", path, *grid, "-o", out, "--scheduler", address, MLFLOW_TRACKING_URI=server)
    killer.join()
    assert done.returncode == 0, done.stderr
    assert "8 of 8 points done" in done.stdout and "best score, 31:" in done.stdout
    parent = sweep_plan.load(out).parent
    runs = [r for r in points_in(server) if r.data.tags["mlflow.parentRunId"] == parent]
    assert sorted((r.data.params["x"], r.data.params["y"]) for r in runs) == [
        (str(x), str(y)) for x in range(4) for y in range(2)
    ]
    assert {r.info.status for r in runs} == {"FINISHED"}
    assert all(r.data.metrics["score"] == 10 * int(r.data.params["x"]) + int(r.data.params["y"]) for r in runs)
    # What the notebooks logged themselves hangs below the points: one run each, none of an attempt that was cut off.
    client = MlflowClient(server)
    own = provenance.search(client, "", [client.get_experiment_by_name("shared").experiment_id])
    assert sorted(r.data.tags["mlflow.parentRunId"] for r in own) == sorted(r.info.run_id for r in runs)
    assert {r.info.status for r in own} == {"FINISHED"}
    assert 8 <= len(log.read_text().splitlines()) <= 10  # a point or two began on the worker that was killed


def test_the_experiments_that_a_notebook_names_are_there_before_its_points_begin(server, tmp_path):
    cells = (
        "import mlflow\nLATER = 'by-constant'",
        "%time\nmlflow.set_experiment('in a cell with a magic')",
        "mlflow.set_experiment('in-quotes')\nmlflow.set_experiment(experiment_name=LATER)\nmlflow.set_experiment(where)",
        "raise SystemExit(mlflow.set_experiment(f'{where}-{x}'))",
    )
    path = notebook(tmp_path / "n.ipynb", *cells, parameters="x = 1\nwhere = 'by-parameter'")
    nb = nbformat.read(path, as_version=4)
    points = sweep_plan.plan(nb, "n", {"x": ["1", "2"], "where": ["a", "b"]})
    one = sweep_plan.Sweep(tmp_path, "n", points, ["x", "where"], server, nbformat.writes(nb))
    expected = ["a", "b", "by-constant", "in a cell with a magic", "in-quotes"]  # no point takes the default of `where`
    assert sweep_record.experiments(one) == expected
    some = sweep_plan.Sweep(
        tmp_path, "n", sweep_plan.plan(nb, "n", {"x": ["1", "2"]}), ["x"], server, nbformat.writes(nb)
    )
    assert "by-parameter" in sweep_record.experiments(some)
    (tmp_path / sweep_plan.NOTEBOOK).write_text(one.notebook)
    sweep_record.Record(one, tmp_path)
    there = {e.name for e in MlflowClient(server).search_experiments()}
    assert there >= {*expected, sweep_record.EXPERIMENT} and "by-parameter" not in there


def test_a_scheduler_that_nobody_answers_at_is_one_message_at_once(tmp_path):
    with socket.socket() as held:  # bound, not listening: nobody else can answer there
        held.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{held.getsockname()[1]}"
        path = notebook(tmp_path / "n.ipynb", "x", parameters="x = 1")
        done = course_here("sweep", path, "--grid", "x=1,2", "--scheduler", address, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: No Dask scheduler answers at '{address}' (Connection refused)")
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
