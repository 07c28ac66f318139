"""A learner's progress, in a notebook and as `course progress`: attempts, hints and points of each task."""

from __future__ import annotations

import re

from typer.testing import CliRunner

from course_runner.cli.app import app
from course_runner.progress import progress_table
from course_utils._plumbing import steps
from course_utils.homework import Homework, attempts


def test_the_command_shows_what_was_tried_under_either_name_of_a_homework(course_home):
    assert CliRunner().invoke(app, ["progress"]).output.startswith("No homework tried yet. Open exercises/")
    number, points = steps.find("mlflow_basics").number, Homework("mlflow_basics").tasks[0].points
    attempts.record("03", 1, "run-open", 0, 1, 0.1)  # of the first edition
    attempts.record("mlflow_basics", 1, "ok", points, 0, 0.1)
    done = CliRunner().invoke(app, ["progress"])
    assert done.exit_code == 0
    head, first, *_ = done.output.splitlines()
    assert head.split() == ["hw", "task", "level", "title", "points", "tries", "hints", "state"]
    assert re.match(rf" ?{number} +1  .*{points} of {points} +2 +1  passed$", first), first
    assert f"{points} of " in done.output.splitlines()[-2] and done.output.rstrip().endswith("%.")


def test_both_tables_of_progress_count_the_same(course_home):
    hw = Homework("mlflow_basics")
    hw.hint(2), hw.hint(2), hw.check(1)
    there, here = hw.progress(), attempts.summary()["mlflow_basics"]
    assert list(there["hints"]) == [0, 2, 0, 0, 0] == [here.get(n, attempts.TaskProgress()).hints for n in range(1, 6)]
    assert list(there["attempts"]) == [0, 0, 0, 0, 0], "neither a hint nor an empty cell is an attempt"
    text = progress_table()
    assert "warm-up" in text
    assert all(len(line) <= 80 for line in text.splitlines()), "a narrow terminal breaks longer lines inside words"


def test_the_notebook_and_the_terminal_count_hints_alike_without_a_check(course_home):
    homework = Homework("mlflow_basics")
    homework.hint(2), homework.hint(2), homework.hint(3)
    attempts.record("mlflow_basics", 3, "run-open", 0, 1, 0.1)
    attempts.record("mlflow_basics", 1, "ok", homework.tasks[0].points, 0, 0.1)
    shown = homework.progress()
    assert shown["hints"].tolist()[:3] == [0, 2, 1] and shown["attempts"].tolist()[:3] == [1, 0, 1]
    rows = [line for line in progress_table().splitlines() if re.match(r" *\d+  +\d", line)]
    for row, (task, told) in zip(rows, shown.iterrows(), strict=True):
        assert row.split()[1] == str(task)
        assert row.endswith(f"{told['attempts']:5}  {told['hints']:5}  {told['state']}") and told["points"] in row


def test_progress_fits_eighty_columns_in_every_homework(course_home):
    for step in steps.steps():
        if (step.folder / "checks.py").is_file():
            attempts.record(step.name, 1, "not-started", 0, 10, 0.1)
    lines = progress_table().splitlines()
    assert len(lines) > 60 and max(map(len, lines)) <= 80
