"""JupyterLab as a learner meets it: a lecture, the MLflow UI beside it, a homework that is judged, both themes."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from . import driver

LECTURE, HOMEWORK = "notebooks/05_mlflow_basics.ipynb", "exercises/05_mlflow_basics.ipynb"
SOLUTION = "solutions/05_mlflow_basics.ipynb"
#: Task 1 of the homework, with what the model is built from left open, and the two ways to fill it.
ANSWER = """\
mlflow.set_experiment("hw-basics-tumours")
settings = {{"n_estimators": 50, "max_depth": 2, "learning_rate": 0.2, "random_state": 7}}
with mlflow.start_run(run_name="boosting"):
    model = GradientBoostingClassifier({given}).fit(X_train, y_train)
    mlflow.log_params(settings)
    mlflow.log_metric("valid_auc", roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1]))
    mlflow.sklearn.log_model(
        model, name="boosting", skops_trusted_types=["sklearn.tree._tree.Tree"], pip_requirements=["scikit-learn", "skops"]
    )
"""
GIVEN = {"wrong": "random_state=7", "right": "**settings"}
#: Logs the figure that the lecture has drawn.
FIGURE = """\
mlflow.set_experiment("churn-forest")
with mlflow.start_run(run_name="drawn"):
    mlflow.log_figure(plots.bars(auc_by_run, title=title, xlabel=label, baseline=0.5), "scores.png")
"""
#: Leaves one trace in an experiment of its own.
TRACE = """\
import mlflow
mlflow.set_experiment("answers")
mlflow.trace(lambda question: "42", name="answer")("?")
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


@pytest.fixture(scope="module")
def front(lab: driver.Lab, browser: Browser) -> Iterator[driver.LabPage]:
    """JupyterLab in one tab of a browser for all tests of this file, with a lecture and its table of contents."""
    with browser.new_context(viewport={"width": 1400, "height": 900}) as context:
        opened = driver.LabPage(context.new_page())
        # The page itself asks for the UI's server, before anybody clicks.
        with opened.page.expect_response(re.compile(r"/mlflow/health$")) as asked:
            opened.open(lab.page(LECTURE, "tests"))
        assert asked.value.ok
        # Here, since the menu's Open from Path, with which the tests go on, brings the file browser back to the front.
        expect(opened.page.locator("#table-of-contents")).to_be_visible()
        yield opened


def errors(front: driver.LabPage) -> list[str]:
    """Return what the notebook in front shows in red."""
    kinds = ("application/vnd.jupyter.error", "application/vnd.jupyter.stderr")
    return front.notebook.locator(", ".join(f'[data-mime-type="{kind}"]' for kind in kinds)).all_text_contents()


def test_looking_at_a_lecture_leaves_it_unchanged_and_writing_does_not(front):
    front.show(LECTURE)
    front.wait_for_kernel()
    changed = front.page.locator(".lm-TabBar-tab.jp-mod-dirty")
    expect(changed).to_have_count(0)
    front.write(front.code_cell('prediction = "?"').first, 'prediction = "a forest"')
    expect(changed).to_have_count(1)


def test_a_section_that_can_wait_is_folded_and_a_click_opens_it(front):
    front.show("notebooks/05_mlflow_basics.ipynb")
    heading = front.notebook.locator(".jp-MarkdownCell", has_text="If you have an old folder")
    for _ in range(200):  # a long notebook is drawn where it is looked at
        if heading.count():
            break
        front.notebook.locator(".jp-WindowedPanel-outer").evaluate("panel => panel.scrollBy(0, 300)")
        front.page.wait_for_timeout(50)
    heading.scroll_into_view_if_needed()
    hidden = front.notebook.locator(".jp-MarkdownCell", has_text="MLflow brings a command that copies")
    expect(hidden).not_to_be_visible()
    heading.get_by_text("cells hidden").click()
    expect(hidden).to_be_visible()
    front.page.reload()  # the lecture as it was
    front.notebook.locator(".jp-RenderedMarkdown h1").wait_for()


def test_a_kernel_comes_with_its_libraries_and_can_be_interrupted_and_restarted(front):
    front.show(LECTURE)
    front.wait_for_kernel()
    cell = front.notebook.locator(".jp-CodeCell").first
    for _ in range(2):
        front.write(cell, "import psutil\nprint('parent:', *psutil.Process().parent().cmdline())")
        front.run(cell)
        parent = "warm_server" if sys.platform == "linux" else "jupyterlab"
        expect(cell.locator(".jp-OutputArea")).to_contain_text(re.compile(f"parent: .*{parent}"))
        front.menu("Kernel", "Restart Kernel")
        front.page.locator(".jp-Dialog button", has_text="Restart").click()
        front.wait_for_kernel()
    front.write(cell, "import time\nprint('begun')\ntime.sleep(600)")
    cell.locator(".jp-InputArea-prompt").first.click()
    front.page.keyboard.press("Shift+Enter")
    expect(cell.locator(".jp-OutputArea")).to_contain_text("begun")
    front.menu("Kernel", "Interrupt Kernel")
    expect(cell.locator(".jp-OutputArea")).to_contain_text("KeyboardInterrupt")
    front.page.reload()  # the lecture as it was
    front.notebook.locator(".jp-RenderedMarkdown h1").wait_for()


def test_a_lecture_runs_cell_by_cell_and_its_run_and_a_figure_are_in_the_mlflow_tab(front):
    front.show(LECTURE)
    front.wait_for_kernel()
    front.cells().first.locator(".jp-InputArea-prompt").click()
    for _ in json.loads((driver.ROOT / LECTURE).read_text(encoding="utf8"))["cells"]:  # the page draws them bit by bit
        front.page.keyboard.press("Shift+Enter")
        front.wait_until_done()
    assert not errors(front)
    figures = front.notebook.locator(".jp-RenderedImage img")
    expect(figures.first).to_have_attribute("alt", re.compile("^Your code writes to two places"))
    expect(figures.last).to_have_attribute("alt", re.compile(r"-\w+ is ahead by 0\.\d+\. Bars: "))
    last = front.notebook.locator(".jp-CodeCell").last
    front.write(last, FIGURE)
    front.run(last)
    assert not errors(front)

    front.notebook.get_by_role("link", name="MLflow UI").first.click()
    front.mlflow.get_by_role("link", name="churn-forest").click()
    front.mlflow.get_by_role("link", name="forest-depth-3").click()
    expect(front.mlflow.get_by_text("n_estimators").first).to_be_visible()
    front.mlflow.get_by_role("link", name="Runs").last.click()
    front.mlflow.get_by_role("link", name="drawn").click()
    front.mlflow.get_by_role("tab", name="Artifacts").click()
    front.mlflow.get_by_text("scores.png").first.click()
    picture = front.mlflow.locator("img[src*='scores.png'], img[src^='blob:']").first
    expect(picture).to_be_visible()
    assert picture.evaluate("async e => { await e.decode(); return e.naturalWidth }") > 300

    front.show(LECTURE)  # and back: deep inside a run, the link leads to the list again
    front.notebook.get_by_role("link", name="MLflow UI").first.click()
    expect(front.mlflow.get_by_test_id("experiment-list-item-link").filter(has_text="churn-forest")).to_be_visible()

    front.close("MLflow")
    front.follow("Homework", "Homework: MLflow basics")
    front.follow("Solution", "(solution)")


def test_a_homework_runs_whole_as_shipped_then_says_what_is_wrong_and_then_passes(front):
    front.show(HOMEWORK)
    front.wait_for_kernel()
    front.run_all()
    assert not errors(front)
    expect(front.notebook.get_by_role("status")).to_have_count(5)
    expect(front.notebook.get_by_role("status").first).to_contain_text("Task 1: not started")

    task, check = front.code_cell("YOUR CODE HERE").first, front.code_cell("hw.check(1)")
    answers = {}
    for answer, given in GIVEN.items():
        front.write(task, ANSWER.format(given=given))
        task = front.code_cell('set_experiment("hw-basics-tumours")')
        front.run(task)
        front.run(check)
        answers[answer] = check.get_by_role("status").inner_text()
    assert "Task 1: not yet" in answers["wrong"] and "settings-not-used" in answers["wrong"], answers
    assert "Build the model from the dictionary" in answers["wrong"], "the message says what to do"
    assert "Task 1: passed" in answers["right"], answers


def test_the_tile_opens_the_ui_which_may_change_runs_only_for_this_page(lab, front):
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
    front.close("MLflow")


def test_no_window_covers_the_traces(front):
    front.show(HOMEWORK)
    front.wait_for_kernel()
    front.write(front.code_cell("YOUR CODE HERE").first, TRACE)
    front.run(front.code_cell('set_experiment("answers")'))
    front.launcher()
    front.page.locator(".jp-LauncherCard", has_text="MLflow").click()
    front.mlflow.get_by_role("link", name="answers").click()
    front.mlflow.get_by_role("link", name="Traces").last.click()
    expect(front.mlflow.get_by_role("button", name="Detect issues in traces")).to_be_visible()
    expect(front.mlflow.get_by_text("Detect Issues in Your Traces")).to_have_count(0)
    expect(front.mlflow.get_by_role("dialog")).to_have_count(0)
    front.close("MLflow")


def test_what_we_draw_is_accessible_in_both_themes(front):
    ours = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-OutputArea-output"
    # axe judges no colour of what is out of sight, and takes JupyterLab for out of sight: its <body> has no height.
    front.page.set_viewport_size({"width": 1400, "height": 8000})
    front.page.add_style_tag(content="body { overflow: visible !important }")
    for theme in ("Dark", "Light"):
        front.theme(theme)
        for notebook in (LECTURE, SOLUTION):
            front.show(notebook)
            if notebook == LECTURE:
                figures = front.notebook.locator(".jp-RenderedImage img[alt]")
                expect(figures).to_have_count(2)
                expect(figures.first).to_have_css("filter", "brightness(0.85)" if theme == "Dark" else "none")
            driver.assert_accessible(front.page, f"{notebook}, {theme}", inside=ours, in_colour_only=theme == "Light")
