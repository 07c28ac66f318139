"""Each lecture's *Look at the UI* is done in a browser, on the runs that the lecture has just made: once, and twice."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Error, expect

from . import driver, walks

WALKED = pytest.mark.parametrize("page", walks.WALKED, ids=lambda page: page.step.name)
#: The Lab's tab shows the store of the notebooks: a lecture that starts a server of its own sends its reader to a window.
IN_THE_LAB = pytest.mark.parametrize(
    "page", [page for page in walks.WALKED if not walks.sign_in(page)], ids=lambda page: page.step.name
)


@pytest.fixture(scope="module", autouse=True)
def _patience() -> Iterator[None]:
    expect.set_options(timeout=walks.PATIENCE)
    yield
    expect.set_options(timeout=5000)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[driver.Lab]:
    """JupyterLab, whose store all lectures of this file share."""
    with driver.lab(tmp_path_factory.mktemp("walks") / "place") as running:
        yield running


@pytest.fixture(scope="module")
def address(lab: driver.Lab) -> Iterator[str]:
    """MLflow's UI on the same store, outside JupyterLab."""
    with walks.serving(lab.home) as running:
        yield running


@WALKED
def test_the_ui_is_as_the_lecture_says(page, lab, address, browser: Browser, tmp_path: Path):
    if not walks.sign_in(page):
        walks.run(page, lab.home)
    with walks.opened(page, browser, lab.home, address, tmp_path) as ui:
        walks.walk(page, ui, tmp_path)
    unused = walks.marked(page) - ui.used
    assert not unused, f"source/{page.step.name}/ui.py neither presses, sees, types nor sets aside: {sorted(unused)}"
    shown = walks.pictures(page)
    for path in tmp_path.glob("*.png"):
        assert len(shown.get(path.name, "")) > 20, (
            f"The lecture does not show {path.name} with a text for who cannot see it"
        )
        with Image.open(path) as taken, Image.open(walks.STATIC / path.name) as stored:
            assert taken.size == pytest.approx(stored.size, abs=40), f"Take {path.name} again: make screenshots"
    assert {path.name for path in tmp_path.glob("*.png")} == set(shown)


@IN_THE_LAB
def test_a_lecture_run_again_shows_the_same_in_the_lab(page, lab, browser: Browser, tmp_path: Path):
    walks.run(page, lab.home)
    with browser.new_context(viewport=walks.SIZE, color_scheme="light") as context:
        front = driver.LabPage(context.new_page())
        front.page.goto(f"{lab.base}lab/workspaces/{page.step.name}?token={lab.token}")
        front.page.locator(".jp-LauncherCard", has_text="MLflow").locator("visible=true").first.click()
        front.page.set_default_timeout(walks.PATIENCE)
        walks.walk(page, walks.UI(front.page, front.mlflow, tmp_path, page.step.name), tmp_path)


#: Buttons of MLflow's page, and what keeps a person from pressing one.
BUTTONS = {
    "there": "<button>Compare</button>",
    "renamed": "<button>Contrast</button>",
    "no button": "<p>Compare</p>",
    "disabled": "<button disabled>Compare</button>",
    "invisible": "<button style='visibility: hidden'>Compare</button>",
    "covered": "<button>Compare</button><dialog style='position: fixed; inset: 0; width: 100%; height: 100%' open></dialog>",
}


@pytest.mark.parametrize("case", BUTTONS)
def test_a_walk_stops_at_a_button_that_nobody_can_press(case, page, tmp_path):
    page.set_default_timeout(1000)
    page.set_content(BUTTONS[case])
    ui = walks.UI(page, page, tmp_path, "")
    with contextlib.nullcontext() if case == "there" else pytest.raises(Error, match="Timeout"):
        ui.press("Compare", "button")
