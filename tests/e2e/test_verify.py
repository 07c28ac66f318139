"""`course verify`: the same numbers again, or which differ and why, or why that cannot be told."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from mlflow import MlflowClient

from course_runner import workflow
from course_runner.batch import provenance
from course_runner.cli import workflow as cli_workflow
from course_runner.verify import verify
from course_utils import data, store
from course_utils.errors import CourseError
from tests.notebooks import ROOT, course_here, notebook

SEEDED = """import mlflow, random
from course_utils import data, store
store.connect()
split = data.churn_split(n_rows, seed, numeric=True)
mlflow.set_experiment("fits")
for place in range(2):
    with mlflow.start_run():
        mlflow.log_metrics({"mean": split.X_train.to_numpy().mean() + place, "fit_seconds": random.random()})"""
UNSEEDED = """import json, random
print("a line before")
print(json.dumps({"lucky": random.random(), "always": 1.5, "name": "text"}))"""


@pytest.fixture(scope="module")
def batch(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """A batch of a notebook with seeds and one without, and the ids of its runs by name."""
    folder = tmp_path_factory.mktemp("verify")
    seeded = notebook(folder / "seeded.ipynb", SEEDED, parameters="n_rows = 100\nseed = 0")
    unseeded = notebook(folder / "unseeded.ipynb", UNSEEDED, parameters="n_rows = 100")
    done = course_here("run", seeded, unseeded, "-p", "n_rows", 60, "-o", folder / "out", "-j", 2)
    assert done.returncode == 0, done.stderr
    client = MlflowClient(f"sqlite:///{folder / 'out' / 'mlflow.db'}")
    runs = provenance.search(client, "")
    names = {r.info.run_name: r.info.run_id for r in runs}
    own = next(r.info.run_id for r in runs if "mean" in r.data.metrics)
    return folder / "out", {**names, "own": own}


def test_a_notebook_with_seeds_gives_the_same_numbers(batch):
    out, ids = batch
    done = course_here("verify", ids["other/seeded.ipynb"], "--home", out)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "other/seeded.ipynb with n_rows=60" in done.stdout
    assert "Same: 2 metrics, all equal." in done.stdout
    assert "not compared" in done.stdout and "fit_seconds" in done.stdout
    assert done.stdout.count("mean") == 2 and "different" not in done.stdout


def test_a_draw_without_a_seed_is_found_and_named(batch):
    out, ids = batch
    done = course_here("verify", ids["other/unseeded.ipynb"], "--home", out)
    assert done.returncode == 1, done.stderr
    assert "Different: 1 of 2 metrics." in done.stdout
    assert re.search(r"last cell\W+lucky\b.*different", done.stdout)
    assert re.search(r"last cell\W+always\b.*same", done.stdout)


def _here(run_id: str, out: Path, **options) -> verify.Verdict:
    return verify.verify(run_id, f"sqlite:///{out / 'mlflow.db'}", ROOT, **options)


@pytest.fixture
def again(monkeypatch):
    """Make the second execution a given answer: what comes of one is tested above."""

    def answer(rows: list[dict], error: str = "") -> None:
        monkeypatch.setattr(verify, "_notebook_again", lambda *_: (rows, error))

    return answer


def rows(*means: float, digest: str = "d") -> list[dict]:
    first = {"run_id": "", "experiment": "fits", "parent": "", "params": {}, "data": []}
    return [{**first, "name": f"random-{place}", "metrics": {"mean": mean}} for place, mean in enumerate(means)]


def test_a_run_that_the_notebook_logged_leads_to_its_notebook(batch, again):
    out, ids = batch
    again(rows(1.0))
    verdict = _here(ids["own"], out)
    assert verdict.what.startswith("other/seeded.ipynb")
    assert not verdict.same and [row.again for row in verdict.rows] == [1.0, None]


def test_what_differs_besides_the_numbers_is_named(batch, again):
    out, ids = batch
    client = MlflowClient(f"sqlite:///{out / 'mlflow.db'}")
    run = client.get_run(ids["other/seeded.ipynb"])
    parent = run.data.tags["mlflow.parentRunId"]
    environment = provenance.environment()
    environment["packages"] |= {"numpy": "1.0", "no-such-package": "2.0"}
    client.log_dict(parent, environment, provenance.ENVIRONMENT)
    for name, value in {"course.lock_sha256": "other", "course.git_commit": "0" * 40}.items():
        client.set_tag(run.info.run_id, name, value)
    again([], "this time it did not run to its end: failed, cell 2: ValueError: no")
    verdict = _here(run.info.run_id, out)
    assert not verdict.same and "cell 2" in verdict.error
    words = "; ".join(verdict.reasons)
    assert "requirements.lock is another one" in words
    assert f"numpy is {np.__version__}, it was 1.0" in words and "no-such-package is missing, it was 2.0" in words
    assert "it was at 00000000" in words


def test_what_cannot_be_verified_says_why(batch):
    out, ids = batch
    with pytest.raises(CourseError, match="no 'nonsense'.*--home"):
        _here("nonsense", out)
    with pytest.raises(CourseError, match="parent of 2 notebooks' runs.*course verify [0-9a-f]{32}"):
        _here(ids["out"], out)
    client = MlflowClient(f"sqlite:///{out / 'mlflow.db'}")
    stranger = client.create_run(client.create_experiment("by hand"), run_name="by hand").info.run_id
    with pytest.raises(CourseError, match="does not hold the code"):
        _here(stranger, out)
    with pytest.raises(CourseError, match="tolerance"):
        _here(ids["own"], out, tolerance=float("nan"))
    with pytest.raises(CourseError, match="regular expression"):
        _here(ids["own"], out, ignore="(")
    client.set_tag(ids["other/unseeded.ipynb"], "course.notebook_sha256", "0" * 16)
    with pytest.raises(CourseError, match="is not the one that ran"):
        _here(ids["other/unseeded.ipynb"], out)


@pytest.mark.parametrize(
    ("old", "new", "tolerance", "same"),
    [
        (0.1 + 0.2, 0.3, 0.0, False),
        (0.1 + 0.2, 0.3, 1e-12, True),
        (float("nan"), float("nan"), 0.0, True),
        (float("nan"), 1.0, 1.0, False),
        (float("inf"), float("inf"), 0.0, True),
        (float("inf"), 1.0, 0.5, False),
        (-2.0, -2.1, 0.06, True),
    ],
)
def test_every_bit_counts_unless_a_tolerance_is_given(old, new, tolerance, same):
    compared, _ = verify.compare(rows(old), rows(new), tolerance)
    assert [row.same for row in compared] == [same]


def test_runs_are_paired_by_name_then_by_order():
    named = [{**row, "name": name} for row, name in zip(rows(1, 2), ("b", "a"), strict=True)]
    assert all(row.same for row in verify.compare(named, named[::-1])[0])
    assert [row.same for row in verify.compare(rows(1, 2), rows(2, 1))[0]] == [False, False]
    compared, _ = verify.compare(rows(1, 2), rows(1))
    assert [(row.recorded, row.again, row.same) for row in compared] == [(2, None, False), (1, 1, True)]


def test_a_point_of_a_sweep_holds_all_that_it_takes(tmp_path):
    source = notebook(tmp_path / "n.ipynb", SEEDED, parameters="n_rows = 60\nseed = 0")
    done = course_here("sweep", source, "--grid", "seed=2", "-p", "n_rows", 60, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    client = MlflowClient(f"sqlite:///{tmp_path / 'out' / 'mlflow.db'}")
    run = provenance.search(client, "params.seed = '2'")[0]
    verdict = _here(run.info.run_id, tmp_path / "out")
    assert verdict.same and len(verdict.rows) == 2 and "seed=2" in verdict.what
    assert run.data.tags["course.notebook_sha256"] == provenance.notebook_hash(nbformat.read(source, as_version=4))


def test_a_workflow_on_a_file_of_ones_own_is_verified_and_a_changed_file_is_named(course_home, monkeypatch):
    store.connect()
    table = data.churn(160, seed=3).drop(columns=["contract", "internet", "payment"])
    table.to_csv(course_home / "mine.csv", index=False)
    config = workflow.WorkflowConfig(
        str(course_home / "mine.csv"), "churned", folds=2, small=True, output=course_home / "out"
    )
    result = workflow.run_workflow(config)
    cli_workflow._record_origin(result, config)
    uri = store.default_uri()
    verdict = verify.verify(result.run_id, uri, ROOT)
    assert verdict.same, verdict.error or [row for row in verdict.rows if not row.same]
    assert {"cv_score", "optimal_threshold", "test_roc_auc"} <= {row.metric for row in verdict.rows}
    assert len({row.run for row in verdict.rows}) == 5  # the parent and the four settings
    version = verify._find(MlflowClient(uri, uri), f"models:/{result.model_name}/1", uri)
    assert version.info.run_id == result.run_id
    table.assign(tenure_months=1.0).to_csv(course_home / "mine.csv", index=False)
    monkeypatch.setattr(verify, "_workflow_again", lambda run: (rows(1.0), ""))
    verdict = verify.verify(result.run_id, uri, ROOT)
    assert not verdict.same and any("mine.csv has other content" in reason for reason in verdict.reasons)
    (course_home / "mine.csv").unlink()
    monkeypatch.undo()
    with pytest.raises(CourseError, match="not there any more"):
        verify.verify(result.run_id, uri, ROOT)
