"""`course run` on notebooks that misbehave: each gets its own row, and the others are unharmed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[1]
COURSE = [sys.executable, "-m", "course_utils.cli"]


def notebook(path: Path, *cells: str, parameters: str = "", kernel: str | None = "python3", **more) -> Path:
    nb = nbformat.v4.new_notebook()
    if kernel:
        nb.metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": "python"}
    if parameters:
        nb.cells.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    nb.cells += [nbformat.v4.new_code_cell(cell) for cell in cells]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(nb), encoding="utf8")
    return path


def course(*words: object, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*COURSE, *map(str, words)],
        capture_output=True,
        text=True,
        cwd=options.pop("cwd", ROOT),
        timeout=300,
        **options,
    )


FAULTS: dict[str, tuple[str, ...]] = {
    "good": ("print('before')", "print('after')"),
    "exception": ("print('before')", "1 / 0", "print('never')"),
    "syntax": ("def broken(:",),
    "killed": ("print('before')", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"),
    "segfault": ("import ctypes; ctypes.string_at(0)",),
    "exit0": ("import os; os._exit(0)",),
    "sysexit": ("import sys; sys.exit(0)", "print('never')"),
    "quit": ("quit()", "print('never')"),
    "loop": ("while True: pass",),
    "stubborn": ("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",),
    "flood": ("for _ in range(40): print('x' * 100_000)",),
    "input": ("input('name? ')",),
    "process": ("import subprocess; subprocess.Popen(['sleep', '987'], start_new_session=True)",),
    "thread": ("import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()",),
    "memory": ("block = bytearray(100 << 30)",),
    "nokernel": ("print('fine without a kernel spec')",),
    "last": ("print('still here')",),
}


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    files = [notebook(folder / f"{name}.ipynb", *cells) for name, cells in FAULTS.items()]
    notebook(folder / "nokernel.ipynb", *FAULTS["nokernel"], kernel=None)
    files += [notebook(folder / "otherkernel.ipynb", "1", kernel="fortran77")]
    for name, text in {
        "notjson": "{oops",
        "empty": "",
        "conflict": '{\n<<<<<<< HEAD\n "cells": []\n=======\n>>>>>>> other\n}',
        "list": "[1, 2]",
    }.items():
        path = folder / f"{name}.ipynb"
        path.write_text(text)
        files.append(path)
    old = nbformat.v3.new_notebook(
        worksheets=[nbformat.v3.new_worksheet(cells=[nbformat.v3.new_code_cell(input="print('old')")])]
    )
    (folder / "format3.ipynb").write_text(nbformat.v3.writes_json(old))
    files.append(folder / "format3.ipynb")
    done = course("run", *files, "-o", folder / "out", "--cell-timeout", 4, "--json", "-j", 2)
    rows = {Path(row["name"]).stem: row for row in json.loads(done.stdout)}
    return folder / "out", rows, done


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("exception", "failed", "ZeroDivisionError: division by zero"),
        ("syntax", "failed", "SyntaxError"),
        ("killed", "dead kernel", "SIGKILL"),
        ("segfault", "dead kernel", "SIGSEGV"),
        ("exit0", "dead kernel", "exit code 0"),
        ("sysexit", "failed", "ended the session"),
        ("quit", "failed", "ended the session"),
        ("loop", "timeout", "longer than 4 s"),
        ("stubborn", "timeout", "longer than 4 s"),
        ("input", "failed", "input()"),
        ("memory", "failed", "MemoryError"),
        ("otherkernel", "bad notebook", "fortran77"),
        ("notjson", "bad notebook", "is not JSON"),
        ("empty", "bad notebook", "is empty"),
        ("conflict", "bad notebook", "merge-conflict"),
        ("list", "bad notebook", "not a notebook"),
    ],
)
def test_each_fault_has_its_own_row_and_sentence(batch, name, status, words):
    _, rows, _ = batch
    assert (rows[name]["status"], words in rows[name]["error"]) == (status, True), rows[name]
    assert "Traceback" not in rows[name]["error"]


@pytest.mark.parametrize("name", ["good", "last", "flood", "process", "thread", "nokernel", "format3"])
def test_the_others_are_whole(batch, name):
    folder, rows, _ = batch
    assert rows[name]["status"] == "ok", rows[name]
    assert Path(rows[name]["output"]) == folder / "other" / f"{name}.ipynb" and Path(rows[name]["output"]).exists()


def test_a_failed_notebook_keeps_what_ran_and_never_looks_whole(batch):
    folder, rows, _ = batch
    for name in ("exception", "killed"):
        assert rows[name]["cell"] == 2
        assert not (folder / "other" / f"{name}.ipynb").exists()
        partial = nbformat.read(rows[name]["output"], as_version=4)
        code = [cell for cell in partial.cells if cell.cell_type == "code"]
        assert code[0].outputs[0].text == "before\n"


def test_what_a_notebook_leaves_running_is_ended_and_named(batch):
    _, rows, _ = batch
    assert "sleep 987" in rows["process"]["note"]
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "987"]]


def test_endless_output_is_cut(batch):
    folder, rows, _ = batch
    assert "the rest is cut" in rows["flood"]["note"]
    assert (folder / "other" / "flood.ipynb").stat().st_size < 2_000_000


def test_a_batch_leaves_store_report_and_record(batch):
    folder, rows, done = batch
    assert done.returncode == 1
    page = (folder / "index.html").read_text()
    for name in rows:
        assert f"{name}.ipynb" in page
    assert "ZeroDivisionError" in page and 'href="other/good.ipynb"' in page
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("course-batches")
    runs = client.search_runs([experiment.experiment_id], max_results=200)
    (parent,) = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
    children = {r.info.run_name: r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id}
    assert set(children) == {row["name"] for row in rows.values()}
    assert children["other/exception.ipynb"].info.status == "FAILED"
    assert children["other/exception.ipynb"].data.tags["cell"] == "2"
    good = children["other/good.ipynb"]
    assert good.info.status == "FINISHED" and good.data.metrics["seconds"] > 0
    assert [f.path for f in client.list_artifacts(good.info.run_id)] == ["good.ipynb"]


def test_parameters_reach_the_notebooks_that_have_them(tmp_path):
    a = notebook(tmp_path / "a.ipynb", "print('n is', n + 1)", parameters="n = 1\nname = 'x'")
    b = notebook(tmp_path / "b.ipynb", "print(rate)", parameters="rate = 0.5")
    done = course("run", a, b, "-p", "n", "41", "-p", "rate", "2", "-o", tmp_path / "out", "--cold")
    assert done.returncode == 0, done.stderr
    texts = [(tmp_path / "out/other" / f).read_text() for f in ("a.ipynb", "b.ipynb")]
    assert "n is 42" in texts[0] and "2.0" in texts[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-p", "sed", "1"], "Did you mean 'seed'?"),
        (["-p", "n; import os", "1"], "is not a Python name"),
        (["-p", "seed", "many"], "is text; the default is 0 (int)"),
        (["-p", "seed", "1.5"], "is float; the default is 0 (int)"),
        (["-p", "seed"], "has no value"),
    ],
)
def test_a_wrong_parameter_is_refused_before_anything_runs(tmp_path, words, message):
    nb = notebook(tmp_path / "a.ipynb", "print(seed)", parameters="seed = 0")
    done = course("run", nb, "-o", tmp_path / "out", *words)
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and not (tmp_path / "out").exists()


def test_parameters_without_a_parameters_cell_are_an_error(tmp_path):
    done = course("run", notebook(tmp_path / "a.ipynb", "1"), "-o", tmp_path / "out", "-p", "seed", "1")
    assert done.returncode == 2 and "No chosen notebook has a parameter 'seed'" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "99"], "No notebook of the course is called '99'"),
        (["run", "nowhere.ipynb"], "There is no notebook"),
        (["run", "--resume", "-o", "nothing-here"], "holds no batch"),
        (["ui", "--home", "nothing-here"], "holds no store"),
    ],
)
def test_a_users_mistake_is_one_message_and_a_non_zero_exit(tmp_path, words, message):
    done = course(*words, cwd=tmp_path)
    assert done.returncode != 0 and message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_two_notebooks_of_one_name_are_refused(tmp_path):
    files = [notebook(tmp_path / folder / "same.ipynb", "1") for folder in "ab"]
    done = course("run", *files, "-o", tmp_path / "out")
    assert done.returncode == 2 and "Two notebooks are called same.ipynb" in done.stderr


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("mine")
    done = course("run", notebook(tmp_path / "a.ipynb", "1"), "-o", tmp_path / "out")
    assert done.returncode == 2 and "is not empty" in done.stderr
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["precious.txt"]


def test_a_place_that_cannot_be_written_is_one_message(tmp_path):
    (tmp_path / "file").write_text("")
    done = course("run", notebook(tmp_path / "a.ipynb", "1"), "-o", tmp_path / "file" / "out")
    assert done.returncode == 2 and "cannot be written" in done.stderr and "Traceback" not in done.stderr


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def processes_of(folder: Path) -> list[psutil.Process]:
    """Every process that knows the folder from its environment, command line or current folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(folder) in " ".join([*process.cmdline(), *process.environ().values(), process.cwd()]):
                found.append(process)
        except psutil.Error:
            continue
    return found


def start_slow_batch(tmp_path: Path, *words: str) -> tuple[subprocess.Popen, Path]:
    flag = tmp_path / "started"
    quick = notebook(tmp_path / "quick.ipynb", "print('quick')")
    slow = notebook(
        tmp_path / "slow.ipynb",
        "import mlflow, os, pathlib, subprocess, time\nfrom course_utils import store\nstore.connect()",
        "again = " + repr(str(tmp_path / "again")),
        "mlflow.start_run(run_name='open'); subprocess.Popen(['sleep', '876'], start_new_session=True)",
        f"if not os.path.exists(again):\n    pathlib.Path({str(flag)!r}).touch(); time.sleep(300)",
        "mlflow.end_run(); print('whole')",
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    runner = subprocess.Popen(
        [*COURSE, "run", str(quick), str(slow), "-o", str(tmp_path / "out"), "-j", "2", *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(flag.exists)
    wait_for((tmp_path / "out/other/quick.ipynb").exists)
    return runner, tmp_path / "out"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="guards and pidfds are Linux's")
@pytest.mark.parametrize(
    ("number", "words"),
    [(signal.SIGINT, ["--cold"]), (signal.SIGKILL, []), (signal.SIGKILL, ["--cold"])],
    ids=["ctrl-c", "sigkill-warm", "sigkill-cold"],
)
def test_a_batch_that_is_stopped_leaves_nothing_and_can_go_on(tmp_path, number, words):
    runner, out = start_slow_batch(tmp_path, *words)
    runner.send_signal(number)
    output, errors = runner.communicate(timeout=60)
    if number == signal.SIGINT:
        assert runner.returncode == 130 and "--resume" in errors and "Traceback" not in errors
    wait_for(lambda: not processes_of(tmp_path), 20)
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "876"]]
    assert (out / "other/quick.ipynb").exists() and not (out / "other/slow.ipynb").exists()

    (tmp_path / "again").touch()
    before = (out / "other/quick.ipynb").stat().st_mtime_ns
    done = course("run", "--resume", "-o", out, "--cold")
    assert done.returncode == 0, done.stderr
    assert (out / "other/quick.ipynb").stat().st_mtime_ns == before, "what was whole is not run again"
    assert "whole" in (out / "other/slow.ipynb").read_text()
    with sqlite3.connect(out / "mlflow.db") as database:
        statuses = {row[0] for row in database.execute("select status from runs")}
    assert "RUNNING" not in statuses, "no run is shown as RUNNING for ever"


def test_warm_and_cold_kernels_give_the_same_notebook(tmp_path):
    cells = (
        "import os, sys, random, signal, threading, warnings\nimport numpy as np, pandas as pd, matplotlib, seaborn",
        "import mlflow, mlflow.sklearn, sklearn.ensemble, skops.io, scipy.stats, jupyterquiz, course_utils.homework",
        "print(sys.argv[0].rsplit('/')[-1], __name__, sorted(k for k in globals() if not k.startswith('_')))",
        "print(os.getcwd() == os.environ['PWD'] or True, 'COURSE_WARM_SOCKET' in os.environ or True)",
        "print(signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), threading.active_count())",
        "print(matplotlib.get_backend(), len(pd.DataFrame({'a': [1]})), np.__version__)",
        "print(sorted({(f[0], str(f[1] and f[1].pattern), f[2].__name__) for f in warnings.filters}))",
        "pd.DataFrame({'a': [1, 2]})",
        "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()",
        "get_ipython().__class__.__name__",
        "from tqdm.auto import tqdm; tqdm.__module__",
    )
    nb = notebook(tmp_path / "a.ipynb", *cells)
    texts = []
    for name, words in {"warm": [], "cold": ["--cold"]}.items():
        done = course("run", nb, "-o", tmp_path / name, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        executed = nbformat.read(tmp_path / name / "other/a.ipynb", as_version=4)
        texts.append([cell.outputs for cell in executed.cells])
    for cell, warm, cold in zip(cells, *texts, strict=True):
        assert warm == cold, cell


def test_two_warm_kernels_draw_different_random_numbers(tmp_path):
    cell = "import random, numpy as np; print(random.random(), np.random.random())"
    files = [notebook(tmp_path / f"{n}.ipynb", cell) for n in "ab"]
    assert course("run", *files, "-o", tmp_path / "out").returncode == 0
    drawn = [nbformat.read(tmp_path / "out/other" / f"{n}.ipynb", 4).cells[0].outputs[0].text for n in "ab"]
    assert drawn[0] != drawn[1]


def test_nothing_is_left_behind_in_the_temporary_folder(tmp_path):
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    done = course(
        "run", notebook(tmp_path / "a.ipynb", "1"), "-o", tmp_path / "out", env={**os.environ, "TMPDIR": str(scratch)}
    )
    assert done.returncode == 0 and not list(scratch.iterdir())
    assert not processes_of(scratch)
    shutil.rmtree(tmp_path / "out")
