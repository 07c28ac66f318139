"""Who may import whom, and how large the helper package may grow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from ruff import find_ruff_bin

ROOT = Path(__file__).resolve().parents[2]
#: Rooms that can be deleted, each without touching the rest: `course_runner.cli` takes their verbs when they are there.
DELETABLE = ("course_runner.classroom", "course_runner.sweep", "course_runner.verify")


@pytest.mark.parametrize("words", [["check"], ["format", "--check"]], ids=" ".join)
def test_the_style_is_that_of_make_lint(words):
    done = subprocess.run([find_ruff_bin(), *words, "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_contracts_of_pyproject_are_kept():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("course_utils", "course_runner", exclude_type_checking_imports=True, cache_dir=None)


def test_a_room_that_can_be_deleted_is_imported_by_nobody_else(graph):
    inside = {module: room for room in DELETABLE for module in graph.modules if f"{module}.".startswith(f"{room}.")}
    for module, room in inside.items():
        others = {name for name in graph.find_modules_that_directly_import(module) if inside.get(name) != room}
        assert not others, f"{module} is imported by {sorted(others)}"


def test_no_modules_import_each_other_in_a_circle(graph):
    waiting = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    while free := [module for module, needs in waiting.items() if not needs & waiting.keys()]:
        for module in free:
            del waiting[module]
    assert not waiting, f"in a circle, or on the way to one: {sorted(waiting)}"


def test_what_a_learner_may_read_of_the_helpers_is_read_in_an_hour():
    rooms = [p for p in (ROOT / "course_utils").rglob("*.py") if not p.parent.name.startswith("_")]
    lines = {p.relative_to(ROOT).as_posix(): len(p.read_text(encoding="utf8").splitlines()) for p in rooms}
    assert len(lines) > 10
    assert sum(lines.values()) <= 2_000, f"the helper package has {sum(lines.values())} lines besides its private rooms"
    assert not {name: n for name, n in lines.items() if n > 400}
