"""What lectures show: quizzes that do not change, errors that must happen, a turn that answers."""

from __future__ import annotations

import random

import pytest

from course_utils import lesson
from course_utils.errors import CourseError


def shown(monkeypatch, *words):
    displayed = []
    monkeypatch.setattr("jupyterquiz.dynamic.display.display", displayed.append)
    lesson.quiz(*words)
    return [block.data for block in displayed]


def test_a_quiz_gives_the_same_output_each_time_and_leaves_random_numbers_alone(monkeypatch):
    random.seed(5)
    expected = random.random()
    random.seed(5)
    first = shown(monkeypatch, "03", "recall")
    assert random.random() == expected
    assert first == shown(monkeypatch, "03", "recall") != shown(monkeypatch, "03")


def test_a_quiz_of_no_step_is_one_message():
    with pytest.raises(CourseError, match="no step '77'"):
        lesson.questions("77")


def test_an_expected_error_is_printed_with_its_code_and_nothing_else_passes(capsys):
    with lesson.expect_error(ValueError, code="run-open"):
        raise ValueError("two\n  lines")
    assert capsys.readouterr().out == "[run-open] ValueError: two lines\n"
    with lesson.expect_error(TypeError):  # as Python 3.13 says it; its guess is left out, as 3.11 does
        raise TypeError("evaluate() got an unexpected keyword argument 'metric'. Did you mean 'metrics'?")
    assert capsys.readouterr().out == "TypeError: evaluate() got an unexpected keyword argument 'metric'\n"
    with pytest.raises(KeyError), lesson.expect_error(ValueError):
        raise KeyError("other")
    with pytest.raises(AssertionError, match="expected to fail"), lesson.expect_error(ValueError):
        pass


def test_a_turn_says_correct_or_what_is_missing(capsys):
    lesson.turn(True, "hint")
    lesson.turn(False, "log the parameter")
    assert capsys.readouterr().out == "Correct.\nNot yet: log the parameter\n"


def test_a_users_mistake_shows_no_traceback_in_a_notebook():
    assert CourseError("one sentence")._render_traceback_() == ["CourseError: one sentence"]
