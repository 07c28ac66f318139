"""The checkers are tested: right answers pass, each wrong one is rejected for its own reason, mutants are rejected."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path
from typing import Any

import nbformat
import pytest

from course_runner.build.source import make_notebook, pages, read_source, solution_lines
from course_utils._judge.evidence import Evidence
from course_utils._judge.mistake import Mistake
from course_utils._judge.task import load_tasks
from tests.submissions import table
from tests.submissions.tools import answer_text, answers, attempt, mutants, solution

ROOT = Path(__file__).resolve().parents[2]
PAGES = pages(ROOT)
STEPS = [page.step.name for page in PAGES if page.kind == "exercises"]
SEEDS = (0, 4242)
SHARED = {  # codes that `Evidence` gives to every homework are shown once, by any homework
    code
    for module in ("evidence", "reading", "slips")
    for code in re.findall(
        r'(?:(?:Mistake|fail)\(|yield|yield \()\s*"([\w-]+)"',
        (ROOT / f"course_utils/_judge/{module}.py").read_text(encoding="utf8"),
    )
}


def cases(kind: str) -> list:
    """Return all answers of a kind."""
    return [
        pytest.param(step, task, answer, id=f"{step}-{task}-{answer[0] if kind == 'WRONG' else 'right'}-{index}")
        for step in STEPS
        for task, given in getattr(answers(step), kind).items()
        for index, answer in enumerate(given)
    ]


@pytest.fixture(
    params=[SEEDS[0], *(pytest.param(seed, marks=pytest.mark.long) for seed in SEEDS[1:])],
    ids=lambda seed: f"seed{seed}",
)
def seed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("COURSE_SEED", str(request.param))
    return request.param


TASKS = [
    pytest.param(step, task, id=f"{step}-{task}") for step in STEPS for task in range(1, len(load_tasks(step)) + 1)
]


@pytest.mark.parametrize(("step", "task"), TASKS)
def test_our_solution_passes(course_home, seed, step, task):
    result = attempt(step, task, solution(step, task))
    assert result.passed, result


@pytest.mark.parametrize(("step", "task"), TASKS)
def test_the_exercise_as_shipped_is_not_started(course_home, seed, step, task):
    result = attempt(step, task, "...")
    assert result.state == "not started", result


@pytest.mark.parametrize(("step", "task", "answer"), cases("RIGHT"))
def test_a_right_answer_in_another_style_passes(course_home, seed, step, task, answer):
    result = attempt(step, task, answer)
    assert result.passed, result


@pytest.mark.parametrize(("step", "task", "answer"), cases("WRONG"))
def test_a_wrong_answer_is_rejected_for_its_own_reason(course_home, seed, monkeypatch, step, task, answer):
    code, text = answer
    if seed != SEEDS[0]:  # two mistakes, or a mistake and none, can give the same number
        code = getattr(answers(step), "AT_SECOND_SEED", {}).get((task, code), code)
    right: list[tuple[float, float]] = []
    judge = Evidence.judge_number

    def noted(name: str, got: float, wanted: float, *others: Any, **more: Any) -> None:
        right.append((got, wanted))
        judge(name, got, wanted, *others, **more)

    monkeypatch.setattr(Evidence, "judge_number", staticmethod(noted))
    result = attempt(step, task, text)
    assert result.code == code, result
    assert len(result.message) > 20 and "Traceback" not in result.message
    _holds_no_answer(result.message, solution(step, task), right[-1:])


def _holds_no_answer(message: str, ours: str, judged: list[tuple[float, float]]) -> None:
    """Fail when a message holds a call of our solution with its arguments, or the step that was asked for."""
    known = "".join(ours.split()).replace("'", '"')
    for code in re.findall(r"`([^`]+)`", message):
        plain = "".join(code.split()).replace("'", '"')
        call = re.search(r"\w\(.*[^(].*\)", plain)
        assert not call or plain.startswith("mlflow.set_experiment(") or plain not in known, (
            f"{code} is the answer: {message}"
        )
    for got, wanted in judged:
        asked = f"{wanted:.4g}"
        told = re.search(rf"(?<![\d.]){re.escape(asked)}(?!\d)", message)
        assert not told or len(asked) < 4 or f"{abs(wanted):.4g}" == f"{abs(got):.4g}", message


#: Codes that say only that something is another value than the right one.
GENERIC = {
    "value-wrong", "wrong-rows", "report-value", "probability-wrong", "other-predictions", "other-rows", "not-exact",
    "wrong-count", "wrong-survivors", "rights-wrong", "feedback-wrong", "child-value", "percentile-wrong", "wrong-runs",
}  # fmt: skip


def test_hardly_a_wrong_answer_is_told_only_that_it_is_another_one():
    codes = Counter(code for name in STEPS for given in answers(name).WRONG.values() for code, _ in given)
    assert sum(codes[code] for code in GENERIC) <= 0.1 * sum(codes.values())


@pytest.mark.parametrize(
    ("step", "task", "answer"),
    [
        pytest.param(step, task, text, id=f"{step}-{task}-{index}")
        for step in STEPS
        for task, given in getattr(answers(step), "UNSEEN", {}).items()
        for index, (_, text) in enumerate(given)
    ],
)
def test_a_mistake_that_is_listed_as_unseen_cannot_be_seen(course_home, monkeypatch, step, task, answer):
    monkeypatch.setenv("COURSE_SEED", str(SEEDS[0]))
    assert attempt(step, task, answer).passed, "the check sees it now: list the answer as wrong"


def mutant_cases() -> list:
    found = []
    for step in STEPS:
        module = answers(step)
        for task in range(1, len(load_tasks(step)) + 1):
            for what, text in mutants(solution(step, task), getattr(module, "SWAPS", None)):
                found.append(pytest.param(step, task, what, text, id=f"{step}-{task}-{what}"))
    return found


@pytest.mark.long
@pytest.mark.parametrize(("step", "task", "what", "text"), mutant_cases())
def test_a_mutant_of_our_solution_is_rejected(course_home, monkeypatch, step, task, what, text):
    monkeypatch.setenv("COURSE_SEED", str(SEEDS[1]))
    listed = getattr(answers(step), "EQUIVALENT", {}).get(task, {})
    reason = next((why for start, why in listed.items() if what.startswith(start)), None)
    result = attempt(step, task, text)
    assert result.code != "checker-error", result
    if reason and reason.startswith("by chance"):
        return  # right or wrong as a random step falls; both verdicts are honest
    if reason is None:
        assert not result.passed, f"accepted: {what}"
    else:
        assert result.passed, f"{what} is listed as equivalent ({reason}) but is rejected: {result}"


@pytest.mark.parametrize("step", STEPS)
def test_every_mistake_code_is_shown_by_a_wrong_answer(step):
    source = (ROOT / f"source/{step}/checks.py").read_text(encoding="utf8")
    own = set(re.findall(r'(?:Mistake|fail)\(\s*"([\w-]+)"', source))
    own |= set(re.findall(r'^\s*"([a-z]+(?:-[a-z]+)+)": \(\s*$', source, re.M))
    shown = {code for given in answers(step).WRONG.values() for code, _ in given}
    assert not own - shown, f"no wrong answer shows {sorted(own - shown)}"


def test_every_shared_mistake_code_is_shown_by_a_wrong_answer_somewhere():
    shown = {code for name in STEPS for given in answers(name).WRONG.values() for code, _ in given}
    assert not SHARED - shown, f"no wrong answer in any homework shows {sorted(SHARED - shown)}"


@pytest.mark.parametrize("step", STEPS)
def test_a_homework_has_its_parts(step):
    tasks, module = load_tasks(step), answers(step)
    assert 4 <= len(tasks) <= 5 and sum(t.points == 0 for t in tasks) == 1, "three or four tasks and a stretch"
    for n, task in enumerate(tasks, 1):
        assert len(task.hints) >= 2 and task.praise, f"task {n}: two hints and a word of praise"
        assert len(module.WRONG.get(n, [])) >= 4, f"task {n}: at least four wrong answers"
        assert len(module.RIGHT.get(n, [])) >= 2, f"task {n}: at least two right answers in another style"
        for answer in (*module.RIGHT[n], *(text for _, text in module.WRONG[n])):
            ast.parse(
                answer_text(step, n, answer).strip() and __import__("textwrap").dedent(answer_text(step, n, answer))
            )


@pytest.mark.parametrize("page", [p for p in PAGES if p.kind == "exercises"], ids=lambda p: p.step.name)
def test_no_line_of_a_solution_is_in_the_exercise(page):
    cells = [cell.source for cell in read_source(page.source).cells if cell.cell_type == "code"]
    exercise = "\n".join(cell.source for cell in make_notebook(page, PAGES).cells if cell.cell_type == "code")
    stored = "\n".join(c.source for c in nbformat.read(page.path, 4).cells if c.cell_type == "code")
    # What stands outside the markers is given; a line may stand on both sides of a marker.
    outside = re.sub(r"### BEGIN SOLUTION.*?### END SOLUTION", "", "\n".join(cells), flags=re.S)
    given = Counter(line.strip() for line in outside.splitlines())
    for text in (exercise, stored):
        shown = Counter(line.strip() for line in text.splitlines())
        leaked = [line for cell in cells for line in solution_lines(cell) if shown[line] > given[line]]
        assert not leaked, f"{page.label} shows {leaked}"


def test_the_published_kill_table_is_up_to_date():
    assert table.FILE.read_text(encoding="utf8") == table.text(STEPS), "run `python -m tests.submissions.table`"


@pytest.mark.parametrize("step", STEPS)
def test_every_listed_equivalent_is_a_mutant(step):
    module = answers(step)
    for task, listed in getattr(module, "EQUIVALENT", {}).items():
        changed = [what for what, _ in mutants(solution(step, task), getattr(module, "SWAPS", None))]
        for start in listed:
            assert any(what.startswith(start) for what in changed), f"task {task}: no mutant {start!r}"


def test_a_wrong_answer_that_is_costly_to_compute_is_computed_for_a_wrong_value_only():
    asked = []

    def slips():
        yield "other", asked.append(1) or 2.0, "That is the other one."

    Evidence.judge_number("valid_auc", 1.0, 1.0, {}, slips=slips)
    assert not asked
    with pytest.raises(Mistake) as mistake:
        Evidence.judge_number("valid_auc", 2.0, 1.0, {}, slips=slips)
    assert mistake.value.code == "other" and asked
