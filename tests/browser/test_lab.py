"""JupyterLab as a learner meets it: a lecture, the MLflow UI beside it, a homework that is judged, both themes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from . import driver

LECTURE, HOMEWORK = "notebooks/03_mlflow_basics.ipynb", "exercises/03_mlflow_basics.ipynb"
#: Task 1 of homework 03, with the rows on which the score is taken left open.
ANSWER = """\
mlflow.set_experiment("hw03-forest")
with mlflow.start_run(run_name="forest"):
    forest = RandomForestClassifier(n_estimators=60, max_depth=4, random_state=0)
    forest.fit(split.X_train, split.y_train)
    auc = roc_auc_score(split.y_{rows}, forest.predict_proba(split.X_{rows})[:, 1])
    mlflow.log_param("n_estimators", 60)
    mlflow.log_metric("test_auc", auc)
"""


@pytest.fixture(scope="module", autouse=True)
def _patience() -> Iterator[None]:
    expect.set_options(timeout=driver.PATIENCE)
    yield
    expect.set_options(timeout=5000)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, store_template: Path) -> Iterator[driver.Lab]:
    settings = {"COURSE_STORE_TEMPLATE": str(store_template)}
    with driver.lab(tmp_path_factory.mktemp("lab") / "place", settings=settings) as running:
        yield running


@pytest.fixture
def front(lab: driver.Lab, page: Page, request: pytest.FixtureRequest) -> driver.LabPage:
    """JupyterLab in a workspace of this test; `page.goto` is left to the test."""
    return driver.LabPage(page)


def errors(front: driver.LabPage) -> list[str]:
    """Return what the notebook in front shows in red."""
    kinds = ("application/vnd.jupyter.error", "application/vnd.jupyter.stderr")
    return front.notebook.locator(", ".join(f'[data-mime-type="{kind}"]' for kind in kinds)).all_inner_texts()


def test_a_lecture_runs_cell_by_cell_and_its_run_is_in_the_mlflow_tab(lab, front):
    front.open(lab.page(LECTURE, "lecture"))
    expect(front.page.locator("#table-of-contents")).to_be_visible()
    front.wait_for_kernel()
    cells = front.cells()
    cells.first.locator(".jp-InputArea-prompt").click()
    for _ in range(cells.count()):
        front.page.keyboard.press("Shift+Enter")
        front.wait_until_done()
    assert not errors(front)
    expect(front.notebook.locator(".jp-RenderedImage img")).to_have_attribute("alt", re.compile("has the best ROC-AUC"))

    front.notebook.get_by_role("link", name="MLflow UI").first.click()
    front.mlflow.get_by_role("link", name="churn-forest").click()
    front.mlflow.get_by_role("link", name="100-trees").click()
    expect(front.mlflow.get_by_text("n_estimators").first).to_be_visible()

    front.page.get_by_role("tab", name="03_mlflow_basics.ipynb").click()
    front.follow("Homework", "Homework 03")
    front.follow("Solution", "(solution)")


def test_a_homework_runs_whole_as_shipped_then_says_what_is_wrong_and_then_passes(lab, front):
    front.open(lab.page(HOMEWORK, "homework"))
    front.wait_for_kernel()
    front.run_all()
    assert not errors(front)
    expect(front.notebook.get_by_role("status")).to_have_count(4)
    expect(front.notebook.get_by_role("status").first).to_contain_text("Task 1: not started")

    task, check = front.code_cell("YOUR CODE HERE").first, front.code_cell("hw.check(1)")
    answers = {}
    for rows in ("train", "test"):
        front.write(task, ANSWER.format(rows=rows))
        task = front.code_cell('set_experiment("hw03-forest")')
        front.run(task)
        front.run(check)
        answers[rows] = check.get_by_role("status").inner_text()
    assert "Task 1: not yet" in answers["train"] and "train-not-test" in answers["train"], answers
    assert "the test rows" in answers["train"], "the message says what to do"
    assert "Task 1: passed" in answers["test"], answers


def test_the_tile_opens_the_ui_which_may_change_runs_only_for_this_page(lab, front):
    front.open(lab.page(LECTURE, "tile"))
    front.launcher()
    front.page.locator(".jp-LauncherCard", has_text="MLflow").click()
    front.mlflow.get_by_role("link", name="Default").wait_for()

    def create(name: str, origin: str) -> int:
        url = f"{lab.base}mlflow/ajax-api/2.0/mlflow/experiments/create"
        headers = {"Origin": origin, "Content-Type": "application/json"}
        return front.page.request.post(url, data=json.dumps({"name": name}), headers=headers).status

    assert create("from-this-page", lab.base.rstrip("/")) == 200
    assert create("from-elsewhere", "https://example.org") == 403
    front.mlflow.get_by_role("link", name="Default").click()
    front.mlflow.get_by_role("link", name="Experiments").first.click()
    expect(front.mlflow.get_by_role("link", name="from-this-page")).to_be_visible()
    stranger = front.page.context.browser.new_context()
    assert "/login" in stranger.request.get(f"{lab.base}mlflow/").url, "without the token nobody is let in"
    stranger.close()


@pytest.mark.parametrize("notebook", ["notebooks/03_mlflow_basics.ipynb", "solutions/03_mlflow_basics.ipynb"])
def test_what_we_draw_is_accessible_in_both_themes(lab, front, notebook):
    front.open(lab.page(notebook, "contrast"))
    front.wait_for_kernel()
    if notebook.startswith("notebooks"):
        expect(front.notebook.locator(".jp-RenderedImage img[alt]")).to_have_count(1)
    ours = {"include": [[".jp-NotebookPanel:not(.lm-mod-hidden) .jp-OutputArea-output"]]}
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
    for theme in ("Dark", "Light"):
        front.theme(theme)
        found = Axe().run(front.page, context=ours, options=rules).response
        broken = {v["id"]: [n["html"][:200] for n in v["nodes"]] for v in found["violations"]}
        assert found["passes"] and not broken, f"{theme}: {broken}"
