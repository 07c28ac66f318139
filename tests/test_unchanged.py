"""What `make test` leaves out: nothing whose files differ from what the gate has passed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from . import unchanged
from .submissions import judged

FILE = "tests/test_sweep.py"


def git(folder: Path, *words: str) -> None:
    person = {f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, env=os.environ | person)


def forget() -> None:
    """Let the files be looked at again."""
    for function in (unchanged.files, unchanged.digest, unchanged.differs_from_main):
        function.cache_clear()


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh clone of a course with one module, one lecture and one end-to-end test."""
    origin, here = tmp_path / "origin", tmp_path / "clone"
    for name in ("course_utils/store.py", "notebooks/11_full_workflow.ipynb", "notebooks/03_basics.ipynb", FILE):
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        (origin / name).write_text("as the gate has passed it")
    git(origin, "init", "-b", "main")
    git(origin, "add", ".")
    git(origin, "commit", "-m", "one")
    git(tmp_path, "clone", str(origin), str(here))
    monkeypatch.setattr(unchanged, "ROOT", here)
    monkeypatch.setattr(unchanged, "RECORD", here / ".course/passed.json")
    monkeypatch.delenv("CI", raising=False)
    forget()
    yield here
    forget()


def runs() -> bool:
    """Tell whether pytest would run the end-to-end test."""
    item = SimpleNamespace(nodeid=f"{FILE}::test_one", user_properties=[])
    unit_test = SimpleNamespace(nodeid="tests/test_data.py::test_two", user_properties=[])
    config = SimpleNamespace(
        option=SimpleNamespace(everything=False),
        args=[],
        getoption=lambda *_: False,
        hook=SimpleNamespace(pytest_deselected=lambda items: None),
        stash={},
    )
    items = [unit_test, item]
    unchanged.pytest_collection_modifyitems(config, items)
    assert unit_test in items
    return item in items


def test_a_fresh_clone_of_main_leaves_end_to_end_tests_out(clone):
    assert unchanged.differs_from_main() == frozenset()
    assert not runs()


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize(
    "name", ["course_utils/store.py", "course_utils/new.py", "notebooks/11_full_workflow.ipynb", FILE]
)
def test_a_change_to_what_a_test_depends_on_runs_it_committed_or_not(clone, name, committed):
    (clone / name).write_text("changed")
    if committed:
        git(clone, "checkout", "-b", "mine")
        git(clone, "add", ".")
        git(clone, "commit", "-m", "two")
    assert runs()


def test_continuous_integration_leaves_out_nothing(clone, monkeypatch):
    assert not runs()
    monkeypatch.setenv("CI", "true")
    assert runs()


def test_what_passed_here_is_left_out_until_a_file_changes(clone):
    git(clone, "remote", "remove", "origin")
    assert runs()
    unchanged.RECORD.parent.mkdir()
    unchanged.RECORD.write_text(json.dumps({f"{FILE}::test_one": unchanged.digest(FILE)}))
    assert not runs()
    (clone / "course_utils/store.py").write_text("changed")
    forget()
    assert runs()


def test_a_change_to_another_lecture_does_not(clone):
    (clone / "notebooks/03_basics.ipynb").write_text("changed")
    assert unchanged.differs_from_main() == {clone / "notebooks/03_basics.ipynb"}
    assert not runs()


def test_after_a_removal_or_without_an_origin_nothing_is_left_out(clone):
    (clone / "course_utils/store.py").unlink()
    assert runs()
    forget()
    git(clone, "checkout", ".")
    git(clone, "remote", "remove", "origin")
    assert runs()


def test_every_rule_names_files_that_are_there():
    for file, patterns in unchanged.END_TO_END.items():
        assert (unchanged.ROOT / file).exists(), file
        for pattern in patterns:
            assert any(unchanged.ROOT.glob(pattern)), f"{file}: {pattern}"
    assert any(path.name == "hw03.py" for path in judged.files("03"))
