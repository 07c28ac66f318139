"""Each sentence of a lecture that states a result holds, under further seeds and the changes that the lecture suggests.

`course test --claims` runs these and nothing else.
"""

from __future__ import annotations

import pytest

from course_runner.build.source import make_notebook
from course_runner.compare import proof
from course_utils.errors import CourseError
from tests.command import course
from tests.lectures import LECTURES, PAGES, ROOT, failure, run, variants

CASES = [
    pytest.param(page, change, id=f"{page.step.name}-{name}", marks=[pytest.mark.long] if change else [])
    for page in LECTURES
    for name, change in variants(page).items()
]


@pytest.mark.parametrize(("page", "change"), CASES)
def test_claims_hold(page, change):
    outcome, nb = run(page, make_notebook(page, PAGES, behind=True), change)
    if not outcome.ok:
        pytest.fail(failure(page, outcome, nb), pytrace=False)


def test_the_command_chooses_lectures_by_name():
    assert proof.claims(ROOT, ["mlflow_basics", "-x"])[-2:] == ["[mlflow_basics-", "-x"]
    with pytest.raises(CourseError, match="No notebook of the course is called 'nothing'"):
        proof.claims(ROOT, ["nothing"])


def test_the_command_without_a_name_tries_every_lecture():
    done = course("test", "--claims", "--collect-only")
    assert done.returncode == 0, done.stderr
    assert [page.step.name for page in LECTURES if f"test_claims_hold[{page.step.name}-" not in done.stdout] == []
