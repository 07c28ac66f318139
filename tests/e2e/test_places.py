"""Where a batch goes and what the shell has left behind: it works, or one sentence says why not before anything runs."""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from course_runner import doctor
from course_runner.batch import batch
from course_utils import store
from course_utils._plumbing import course_store, places
from course_utils.errors import CourseError
from tests.notebooks import ROOT, course_here, notebook

LOGS = ROOT / "tests/cases/question_mark_in_folder/logs.ipynb"
#: Every character that a shell, SQL, HTML or an address takes for something else, and that a store can live with.
ODD = "out #1 & it's; $HOME `x` ä\\n [b] *{c} %zz <d>|+,=@~"


def runs_in(folder: Path) -> int:
    with closing(sqlite3.connect(f"{(folder / 'mlflow.db').as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute("select count(*) from runs").fetchone()[0]


def test_a_batch_in_a_folder_with_odd_characters_is_whole_and_its_command_pastes(tmp_path):
    """Case printed_command_not_quoted."""
    done = course_here("run", LOGS, "-o", tmp_path / ODD)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in tmp_path.iterdir()] == [ODD], "no stray file beside it"
    assert runs_in(tmp_path / ODD) == 3, "the notebook's run, the batch's and its child"
    assert list((tmp_path / ODD / "mlartifacts").rglob("executed/logs.ipynb"))
    line = next(line for line in done.stdout.splitlines() if line.startswith("its runs in the UI: "))
    words = shlex.split(line.removeprefix("its runs in the UI: "))
    assert words == ["course", "ui", "--home", str(tmp_path / ODD)]


@pytest.mark.parametrize("name", ["out what?", "50%20off", "both ' and \"", "two\nlines", "bell\x07"])
def test_a_folder_that_an_address_cannot_hold_is_refused_before_anything_runs(tmp_path, name):
    """Case question_mark_in_folder."""
    done = course_here("run", LOGS, "-o", tmp_path / name)
    assert done.returncode == 2 and "cannot hold runs" in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and not list(tmp_path.iterdir())


def test_an_address_is_refused_where_it_is_made_and_where_it_is_used(tmp_path, monkeypatch):
    with pytest.raises(CourseError, match="holds '\\?'"):
        places.sqlite_uri(tmp_path / "a?b" / "mlflow.db")
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "a%41b"))
    with pytest.raises(CourseError, match="holds '%'"):
        store.connect()
    assert not list(tmp_path.iterdir())
    with pytest.raises(CourseError, match="holds '\\?'"):
        course_store.check(f"sqlite:///{tmp_path}/mlflow.db?timeout=3")


def test_a_checkout_with_an_unusable_name_says_so_at_once(tmp_path, monkeypatch):
    checkout = tmp_path / "course?"
    (checkout / "source").mkdir(parents=True)
    (checkout / "source" / "course.toml").touch()
    (checkout / "course_utils").mkdir()
    from course_runner.cli import common

    monkeypatch.chdir(checkout)
    with pytest.raises(CourseError, match="course\\?.* holds '\\?'"):
        common.find_root()


def test_printed_commands_of_the_store_paste(course_home, monkeypatch):
    odd = course_home / "a b?c"
    assert shlex.split(places.command("course", "ui", "--home", odd)) == ["course", "ui", "--home", str(odd)]
    fine = course_home / "x #1"
    store.create(places.sqlite_uri(fine / "mlflow.db"))
    import mlflow

    mlflow.set_tracking_uri(places.sqlite_uri(fine / "mlflow.db"))
    assert shlex.split(store.ui_command())[3] == "sqlite:///x #1/mlflow.db"


def test_batches_that_begin_in_the_same_second_get_folders_of_their_own(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        folders = list(threads.map(lambda _: batch.new_folder(tmp_path), range(16)))
    assert len(set(folders)) == 16 and all(folder.is_dir() for folder in folders)


def test_of_two_batches_in_one_folder_one_is_refused(tmp_path):
    def claim(_):
        try:
            batch._claim(tmp_path / "out")
        except CourseError as error:
            return str(error)
        return "mine"

    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(claim, range(8)))
    assert said.count("mine") == 1 and all("is not empty" in text for text in said if text != "mine")


def test_resume_honours_new_limits(tmp_path):
    nb = notebook(tmp_path / "a.ipynb", "import threading\nthreading.Event().wait(2.5)\nprint('through')")
    first = course_here("run", nb, "-o", tmp_path / "out", "--cell-timeout", 1)
    assert first.returncode == 1 and "longer than 1 s" in first.stderr
    second = course_here("run", "--resume", "-o", tmp_path / "out", "--cell-timeout", 30, "--memory", 4)
    assert second.returncode == 0, second.stderr
    kept = batch.load(tmp_path / "out")
    assert (kept.cell_timeout, kept.notebook_timeout, kept.memory_limit) == (30, 600, 4 << 30), "and the next one too"


STALE = {"MLFLOW_RUN_ID": "0123456789abcdef0123456789abcdef", "MLFLOW_EXPERIMENT_ID": "77", "PYTHONWARNINGS": "error"}


def test_what_an_earlier_shell_left_does_not_reach_a_batch(tmp_path):
    """Case stale_run_id."""
    done = course_here("run", LOGS, "-o", tmp_path / "out", **STALE, MLFLOW_REGISTRY_URI="foo://x")
    assert done.returncode == 0 and runs_in(tmp_path / "out") == 3, done.stderr


def test_what_an_earlier_shell_left_does_not_reach_the_workflow(course_home):
    """Case stale_run_id."""
    done = course_here("workflow", "--fast", "--output", course_home / "files", **STALE)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr


def test_the_doctor_names_it(monkeypatch):
    for name, value in STALE.items():
        monkeypatch.setenv(name, value)
    left = places.forget_stale()
    assert not set(STALE) & set(os.environ)
    finding = doctor._shell(left)
    assert not finding.ok and "MLFLOW_RUN_ID, MLFLOW_EXPERIMENT_ID, PYTHONWARNINGS" in finding.detail
    assert "unset MLFLOW_RUN_ID" in finding.detail and doctor._shell({}).ok


@pytest.mark.parametrize("uri", ["foo://host/x", "nonsense", "file:///tmp/runs", "./mlruns"])
def test_an_address_that_no_store_has_is_refused_before_anything_runs(tmp_path, uri):
    done = course_here("run", LOGS, "-o", tmp_path / "out", MLFLOW_TRACKING_URI=uri)
    assert done.returncode == 2 and f"MLFLOW_TRACKING_URI is {uri!r}" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_relative_address_means_the_same_store_for_every_notebook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///here.db")
    assert batch.Batch(tmp_path / "out", {}).uri == f"sqlite:///{tmp_path}/here.db"


def test_an_output_that_is_a_file_is_refused(tmp_path):
    nb = shutil.copy(LOGS, tmp_path / "a.ipynb")
    done = course_here("run", nb, "-o", nb)
    assert done.returncode == 2 and "is a file; a batch needs a folder" in done.stderr
    under = course_here("run", nb, "-o", Path(nb) / "x")
    assert under.returncode == 2 and "Name a folder that you may write to" in under.stderr
    assert Path(nb).read_bytes() == LOGS.read_bytes()


def test_a_full_or_closed_output_is_no_traceback(tmp_path):
    command = [sys.executable, "-m", "course_runner.cli"]
    with open("/dev/full", "w") as full:
        done = subprocess.run([*command, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert done.returncode == 2 and "Traceback" not in done.stderr and "cannot be written: No space" in done.stderr
    words = shlex.join([*command, "run", str(LOGS), "-o", str(tmp_path / "out")])
    done = subprocess.run(["sh", "-c", f"{words} >&-"], stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert runs_in(tmp_path / "out") == 3, "no file of the run was opened under the number of the output"


def test_a_name_cannot_give_the_terminal_orders(tmp_path):
    nb = notebook(tmp_path / "=1+1\x1b[31m\x1b]0;title\x07.ipynb", "1 / 0")
    done = course_here("run", nb, "-o", tmp_path / "out")
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr
    missing = course_here("run", tmp_path / "no\x1b[31m.ipynb")
    assert missing.returncode == 2 and "There is no notebook" in missing.stderr
    for text in (done.stdout, done.stderr, missing.stderr):
        assert not set(text) & {"\x1b", "\x07"}
