"""Each sentence of a lecture that states a result holds, under further seeds and the changes that the lecture suggests.

`course test --claims` runs these and nothing else.
"""

from __future__ import annotations

import pytest

from course_runner.build.source import make_notebook
from tests.lectures import NEW_SHAPE, PAGES, failure, run, variants

CASES = [
    pytest.param(page, change, id=f"{page.step.name}-{name}", marks=[pytest.mark.long] if change else [])
    for page in NEW_SHAPE
    for name, change in variants(page).items()
]


@pytest.mark.parametrize(("page", "change"), CASES)
def test_claims_hold(page, change):
    outcome, nb = run(page, make_notebook(page, PAGES, behind=True), change)
    if not outcome.ok:
        pytest.fail(failure(page, outcome, nb), pytrace=False)
