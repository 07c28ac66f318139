"""Whatever a notebook file holds, it has a row with a reason, and the others run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from course_runner.batch.job import Outcome
from course_runner.build import build, source
from course_runner.sweep import record as sweep_record
from tests.command import course
from tests.notebooks import ROOT, course_here, notebook
from tests.odd_notebooks import write

CASES = Path(__file__).parents[1] / "cases"
PARAMETERS = CASES / "params_cell_magic"


@pytest.fixture(scope="module")
def odd(tmp_path_factory) -> list[Path]:
    """A share of what benchmarks/odd_notebooks.py runs."""
    return write(tmp_path_factory.mktemp("odd"), 40)


def test_forty_generated_files_have_forty_rows(odd, tmp_path):
    fine = notebook(tmp_path / "fine.ipynb", "print('fine')")
    done = course_here("run", *odd, fine, "-o", tmp_path / "out", "--json", "--cell-timeout", 10)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    rows = {Path(event["name"]).name: event for event in events if event["event"] == "outcome"}
    assert events[-1]["event"] == "end" and set(rows) == {path.name for path in [*odd, fine]}
    assert rows["fine.ipynb"]["status"] == "ok"
    assert not [row for row in rows.values() if row["status"] != "ok" and not row["error"].strip()]
    assert {"ok", "failed", "bad notebook"} <= {row["status"] for row in rows.values()}
    assert len(json.loads((tmp_path / "out" / "report.json").read_text())) == 41


def test_build_check_says_of_each_that_it_is_stale(odd, monkeypatch):
    everything = source.pages(ROOT)
    for file in odd:
        monkeypatch.setattr(source.Page, "path", property(lambda page, file=file: file))
        (stale,) = build.find_stale(everything[:1], everything)
        assert stale.reason


def test_an_unreadable_notebook_does_not_keep_the_others_from_being_compared(odd, tmp_path):
    fine = notebook(tmp_path / "fine.ipynb", "1")
    (tmp_path / "broken.ipynb").write_text("[" * 100_000)
    done = course("test", fine, tmp_path / "broken.ipynb", "-q", "-p", "no:cacheprovider", "-j", 1)
    assert done.returncode != 0 and "broken.ipynb" in done.stdout, done.stdout + done.stderr
    assert "1 passed" in done.stdout or "1 failed" in done.stdout, "the other one was run"


def test_a_parameters_cell_that_is_no_python_has_a_row_of_its_own(tmp_path):
    """Case params_cell_magic."""
    names = ("ok", "param_magic", "param_syntax")
    done = course_here("run", *(PARAMETERS / f"{name}.ipynb" for name in names), "-o", tmp_path / "out", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    rows = {Path(e["name"]).stem: (e["status"], e["error"]) for e in events if e["event"] == "outcome"}
    assert rows["ok"] == rows["param_magic"] == ("ok", "")
    assert rows["param_syntax"][0] != "ok" and rows["param_syntax"][1] and done.returncode == 1


@pytest.mark.parametrize("name", ["param_magic", "param_syntax"])
def test_a_sweep_over_such_a_cell_runs_or_is_one_sentence(tmp_path, name):
    """Case params_cell_magic."""
    done = course_here("sweep", PARAMETERS / f"{name}.ipynb", "--grid", "n=1,2", "-o", tmp_path / "out")
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1 and name in done.stderr
        assert not (tmp_path / "out").exists()
    else:
        assert name == "param_magic" and "2 of 2 points done" in done.stdout


@pytest.mark.parametrize("file", ["inf", "printinf"])
def test_an_infinite_metric_never_wins_a_sweep(tmp_path, file):
    """Case sweep_infinite_metric."""
    nb = shutil.copy(CASES / "sweep_infinite_metric" / f"{file}.ipynb", tmp_path)
    done = course_here("sweep", nb, "--grid", "k=1,2,3", "--metric", "gain", "-o", tmp_path / "out 1")
    assert done.returncode == 0, done.stderr
    assert "best gain, 2: " in done.stdout and "-p k 2" in done.stdout
    assert "not ranked, gain is not finite: 03_k=3" in done.stdout
    table = pd.read_csv(tmp_path / "out 1" / "results.csv")
    assert table["point"].tolist() == ["02_k=2", "01_k=1", "03_k=3"] and pd.isna(table["gain"].iloc[-1])
    assert table["error"].iloc[-1] == "gain is not finite"
    words = (tmp_path / "out 1" / "parallel_coordinates.txt").read_text()
    assert len(max(words.split(), key=len)) < 40, "no number of 309 digits"
    again = course_here("sweep", "--resume", "-o", tmp_path / "out 1", "--metric", "gain", "--minimize")
    assert "best gain, 1: " in again.stdout


def test_infinity_comes_back_from_the_store_as_infinity():
    largest = 1.7976931348623157e308
    result = sweep_record.Result("key", Outcome("a"), printed={"up": largest, "down": -largest, "big": 1e300})
    assert result.metrics() == {"up": float("inf"), "down": float("-inf"), "big": 1e300}
    assert result.values("up") == [] and result.values("big") == [1e300]
