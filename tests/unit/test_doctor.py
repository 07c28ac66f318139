"""`course doctor`: a line for each thing that has gone wrong for somebody, with what to do about it."""

from __future__ import annotations

import socket
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from course_runner import doctor
from course_runner.build.new import make_step
from course_runner.cli.app import app
from course_runner.doctor import Finding

ROOT = Path(__file__).resolve().parents[2]


def test_all_that_is_well_is_one_line_each_and_success(monkeypatch):
    monkeypatch.setattr(
        doctor, "examine", lambda *_: [Finding("Python", True, "3.11.9"), Finding("port", True, "5001")]
    )
    done = CliRunner().invoke(app, ["doctor"])
    assert (done.exit_code, done.output) == (0, "OK   Python: 3.11.9\nOK   port: 5001\n")


def test_one_thing_that_is_wrong_is_named_and_the_command_fails(monkeypatch):
    found = [Finding("Python", True, "3.11.9"), Finding("store", False, "mlflow.db is not a database")]
    monkeypatch.setattr(doctor, "examine", lambda *_: found)
    done = CliRunner().invoke(app, ["doctor"])
    assert (done.exit_code, done.output) == (1, "OK   Python: 3.11.9\nFAIL store: mlflow.db is not a database\n")


def test_everything_is_looked_at_in_the_order_in_which_it_is_mended(course_home):
    found = doctor.examine(ROOT, {})
    assert [f.what for f in found] == ["Python", "packages", "shell", "kernel", "store", "port", "notebooks"]
    assert {f.what: f.ok for f in found}.items() >= {
        "Python": True,
        "shell": True,
        "kernel": True,
        "store": True,
    }.items()


def test_a_package_of_another_version_is_named_with_both(tmp_path):
    here = metadata.version("mlflow")
    (tmp_path / "requirements.lock").write_text(f"mlflow=={here}\n")
    assert doctor._packages(tmp_path).ok
    (tmp_path / "requirements.lock").write_text("mlflow==0.1.0\n")
    finding = doctor._packages(tmp_path)
    assert not finding.ok and "Run `make setup`." in finding.detail
    assert all(word in finding.detail for word in ("mlflow", here, "0.1.0"))


def test_a_lock_that_is_missing_is_a_finding_and_no_traceback(tmp_path):
    assert not doctor._packages(tmp_path).ok and "requirements.lock" in doctor._packages(tmp_path).detail


def test_a_store_that_is_no_database_is_named(course_home):
    assert doctor._store().ok
    (course_home / "mlflow.db").write_text("nothing of the kind, for many more bytes than a header has" * 20)
    finding = doctor._store()
    assert not finding.ok and "mlflow.db" in finding.detail


def test_a_port_that_is_taken_is_no_fault_and_the_next_is_named(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        monkeypatch.setattr(doctor.store, "UI_PORT", taken)
        finding = doctor._port()
    assert finding.ok and f"({taken} is taken" in finding.detail


def test_a_notebook_that_is_not_built_is_named_with_the_command(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source/course.toml").write_text(
        '[[part]]\ntitle = "One"\nsteps = [\n    { name = "start_here" },\n]\n'
    )
    (tmp_path / "source/topics.csv").write_text("topic,lecture,evidence,task\n")
    folder = tmp_path / "source" / "start_here"
    folder.mkdir()
    for file in (ROOT / "course_runner/build/template").iterdir():
        if file.is_file():
            text = file.read_text(encoding="utf8").replace("after_step", "start_here").replace("new_step", "start_here")
            (folder / file.name).write_text(text, encoding="utf8")
    make_step(tmp_path, "fair_models", "start_here")
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    finding = doctor._notebooks(tmp_path)
    assert not finding.ok and finding.detail.endswith("run `course build`")


def test_a_release_for_a_class_has_nothing_to_build(tmp_path):
    (tmp_path / "RELEASE.md").write_text("for the class")
    assert doctor._notebooks(tmp_path).ok


@pytest.mark.parametrize("name", ["MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"])
def test_what_the_shell_has_left_is_named_with_the_line_that_unsets_it(name):
    finding = doctor._shell({name: "1"})
    assert not finding.ok and finding.detail.endswith(f"unset {name}")
