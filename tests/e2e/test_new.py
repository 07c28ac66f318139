"""`course new`: a step in the middle of a series builds, passes every test of a step, and renumbers what follows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from course_runner.build.new import make_step
from course_utils.errors import CourseError
from tests.e2e.test_build import HOMEWORK, LECTURE, answer

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "README.md": "<!-- contents:begin -->\n<!-- contents:end -->\n",
    "source/course.toml": '# The order.\n[[part]]\ntitle = "One"\nsteps = [\n    { name = "start_here" }  # first\n]\n',
    "source/topics.csv": "topic,lecture,evidence,task\n",
    "source/start_here/lecture.py": LECTURE,
    "source/start_here/homework.py": HOMEWORK,
    "source/start_here/checks.py": "TASKS = ()\n",
    "source/start_here/answers.py": "RIGHT = {}\nWRONG = {}\n",
    "source/start_here/quiz.json": '{"recall": [], "quiz": []}\n',
}


@pytest.fixture
def series(tmp_path):
    """A checkout of its own with a series of two steps."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    make_step(tmp_path, "last_one", "start_here")
    return tmp_path


def test_a_step_gets_a_line_behind_another_and_comments_stay(series):
    make_step(series, "fair_models", "start_here")
    assert (series / "source/course.toml").read_text() == (
        '# The order.\n[[part]]\ntitle = "One"\nsteps = [\n    { name = "start_here" },  # first\n'
        '    { name = "fair_models", needs = ["start_here"] },\n    { name = "last_one", needs = ["start_here"] },\n]\n'
    )
    assert "# # Fair models" in (series / "source/fair_models/lecture.py").read_text()


@pytest.mark.parametrize(
    ("name", "after", "words"),
    [
        ("Fair Models", "start_here", "Use lower-case words joined by _"),
        ("last_one", "start_here", "Choose another name"),
        ("fair_models", "nothing", "There is no step 'nothing'"),
    ],
)
def test_a_step_that_cannot_be_made_leaves_everything_as_it_is(series, name, after, words):
    before = {path: path.read_bytes() for path in series.rglob("*") if path.is_file()}
    with pytest.raises(CourseError, match=words):
        make_step(series, name, after)
    assert {path: path.read_bytes() for path in series.rglob("*") if path.is_file()} == before


@pytest.mark.long
def test_a_new_step_in_the_middle_builds_and_passes_what_every_step_must(series):
    for name in ("course_utils", "course_runner", "tests"):
        shutil.copytree(ROOT / name, series / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.lock", "sanitize.cfg"):
        if (ROOT / name).exists():
            shutil.copyfile(ROOT / name, series / name)
    environment = {**os.environ, "PYTHONPATH": str(series)}

    def course(*words: str) -> str:
        command = [sys.executable, "-m", "course_runner.cli", *words]
        done = subprocess.run(command, cwd=series, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    course("build", "-j", "2")
    answer(series / "exercises/01_last_one.ipynb")
    assert "step 01 of the series" in course("new", "fair_models", "--after", "start_here")
    built = course("build", "-j", "2")
    assert "left exercises/01_last_one.ipynb as it is" in built
    assert "removed notebooks/01_last_one.ipynb" in built and "removed solutions/01_last_one.ipynb" in built
    names = ["00_start_here.ipynb", "01_fair_models.ipynb", "02_last_one.ipynb"]
    for kind in ("notebooks", "solutions"):
        assert sorted(path.name for path in (series / kind).glob("*.ipynb")) == names
    assert sorted(path.name for path in (series / "exercises").glob("*.ipynb")) == [
        *names[:1],
        "01_fair_models.ipynb",
        "01_last_one.ipynb",
        names[2],
    ]
    for place, links in enumerate(
        [
            "[Fair models →](01_fair_models.ipynb)",
            "[Last one →](02_last_one.ipynb)",
            "[← Fair models](01_fair_models.ipynb)",
        ]
    ):
        assert links in nbformat.read(series / "notebooks" / names[place], 4).cells[0].source
    (series / "exercises/01_last_one.ipynb").unlink()
    files = [
        "tests/unit/test_content.py",
        "tests/unit/test_homework.py",
        "tests/e2e/test_claims.py",
        "tests/e2e/test_lectures.py",
    ]
    chosen = "(fair_models or topic or folders) and not mutant and not seed4242"
    passed = course("test", *files, "--all", "-k", chosen, "-j", "2")
    assert "failed" not in passed, passed
