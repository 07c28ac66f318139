"""Walks through MLflow's UI: what a lecture's *Look at the UI* says, done in a browser on the runs of that lecture.

A step's folder holds ``ui.py`` with ``walk(ui)``. Each word that the lecture marks there (*italic*, **bold**, `code`) must be
pressed, seen, typed or set aside by the walk, so neither the text nor MLflow can change a name alone.
``python -m tests.browser.walks STEP...`` takes the pictures that the lectures show, into site/_static.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

from nbclient import NotebookClient
from PIL import Image
from playwright.sync_api import Browser, FrameLocator, Locator, TimeoutError, expect, sync_playwright
from playwright.sync_api import Page as Tab

from course_runner.batch.execute import execute
from course_runner.batch.job import kernel_environment
from course_runner.build.build import make_job
from course_runner.build.source import Page, make_notebook, read_source
from course_runner.lab.ui import ui_server
from course_utils._plumbing.places import sqlite_uri
from course_utils._plumbing.processes import answers, unused_port
from course_utils._plumbing.supervised import supervised, wait_until
from tests.lectures import LECTURES, PAGES, ROOT

from . import driver

STATIC = ROOT / "site" / "_static"
#: A window of a small laptop.
SIZE = {"width": 1366, "height": 768}
#: Milliseconds that one step may take on a machine that does other things.
PATIENCE = 30_000
#: No picture of a walk may weigh more, in bytes.
LIMIT = 60_000
#: Writes the same time, duration and id wherever MLflow shows one, so that a picture changes only with what it shows.
STILL = r"""async () => {
  await document.fonts.ready;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const text = node.data
      .replace(/\d+ (second|minute|hour)s? ago|just now|a few seconds ago/g, "1 minute ago")
      .replace(/^\d+(\.\d+)?(ms|s|min)$/, "1.0s")
      .replace(/\/\S*\/mlartifacts\//, "mlartifacts/")
      .replace(/\b[0-9a-f]{32}\b/g, "3f8a1c09d2e74b5f9a6c0d1e8b7f2a34")
      .replace(/\d\d?\/\d\d?\/\d{4}, \d\d?:\d\d:\d\d [AP]M/g, "12/01/2026, 09:00:00 AM")
      .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, "2026-12-01 09:00:00");
    if (text !== node.data) node.data = text;
  }
}"""
#: Marked words of the instructions that are not in MLflow's pages: they lead to them.
OUTSIDE = {"Setup", "Run All", "Your turn", "MLflow", "MLflow UI", "course ui"}
WALKED = [page for page in LECTURES if "## Look at the UI" in page.source.read_text(encoding="utf8")]


def instructions(page: Page) -> str:
    """Return the text below *Look at the UI* in a lecture, its code cells left out."""
    text = "\n\n".join(cell.source for cell in read_source(page.source).cells if cell.cell_type == "markdown")
    return re.search(r"^## Look at the UI$(.*?)(?=^## |\Z)", text, re.M | re.S)[1]


def pictures(page: Page) -> dict[str, str]:
    """Return file → alt text of what a lecture shows below *Look at the UI*."""
    return {name: alt for alt, name in re.findall(r"!\[([^]]*)\]\(\S*_static/([^)]+)\)", instructions(page))}


def marked(page: Page) -> set[str]:
    """Return the marked words of the instructions; bold words that end with a dot are headings."""
    text = re.sub(r"^\s*```.*?```|!\[[^]]*\]\([^)]*\)|<[^>]+>", "", instructions(page), flags=re.M | re.S)
    quoted = re.findall(r"`([^`]+)`", text)
    words = re.findall(r"(?<!\*)\*{1,2}([^*]+?)\*{1,2}(?!\*)", re.sub(r"`[^`]+`", "", text))
    return {" ".join(word.split()) for word in (*quoted, *words) if not word.endswith(".")} - OUTSIDE


@dataclass
class UI:
    """MLflow's pages, with what a person does there.

    Attributes
    ----------
    tab
        The browser's tab: its keyboard and mouse.
    page
        MLflow's page: the tab itself, or a frame of JupyterLab in it.
    folder
        Where the picture goes.
    step
        The lecture's name, with which the picture's name begins.
    used
        The words that the walk has used so far.
    """

    tab: Tab
    page: Tab | FrameLocator
    folder: Path
    step: str
    used: set[str] = field(default_factory=set)

    @property
    def in_the_lab(self) -> bool:
        """Whether the page is in JupyterLab's tab, where `course lab` keeps MLflow's greetings away."""
        return self.page is not self.tab

    def start(self, area: str = "Model training") -> None:
        """Close MLflow's assistant and choose an area at the top left."""
        self.used |= {"MLflow Assistant", area}
        self.find(area).wait_for()
        closes = self.find("Close", "button")
        # The assistant is open in a new window, and only a round button at the bottom in JupyterLab.
        closes.or_(self.page.locator(".assistant-fab-label")).first.wait_for(state="attached")
        if closes.is_visible():
            closes.click()
        self.press(area)

    def find(self, name: str, role: str = "", within: Locator | None = None) -> Locator:
        """Return what bears exactly this name, of this role when one is given; the first that can be seen.

        A number in brackets may follow: "Metrics (3)". A heading may also hold a button.
        """
        self.used.add(name)
        inside = within or self.page
        whole = re.compile(rf"^\s*{re.escape(name)}" + ("" if role == "heading" else r"(\s*\(\d+\))?\s*$"))
        found = inside.get_by_role(role, name=whole) if role else inside.get_by_text(whole)
        return found.locator("visible=true").first

    def press(self, name: str, role: str = "", within: Locator | None = None) -> None:
        """Click it; fails when it is not there, is disabled, or something lies over it."""
        self.find(name, role, within).click()

    def see(self, name: str, role: str = "", within: Locator | None = None) -> Locator:
        """Scroll to it and point at it; fails when it is not there, or something lies over it."""
        found = self.find(name, role, within)
        found.hover()
        return found

    def gone(self, name: str, role: str = "") -> None:
        """Wait until nothing of this name can be seen."""
        expect(self.find(name, role)).to_have_count(0)

    def contains(self, words: str) -> None:
        """Wait until a longer text that can be seen holds these words."""
        self.used.add(words)
        self.page.get_by_text(words).locator("visible=true").first.wait_for()

    def search(self, words: str, placeholder: str = 'metrics.rmse < 1 and params.model = "tree"') -> None:
        """Type into the field above a table, and press Enter; the runs table shows `placeholder` unless told."""
        self.used.add(words)
        box = self.page.get_by_placeholder(placeholder)
        box.fill(words)
        box.press("Enter")

    def clear_search(self) -> None:
        """Click the cross in the field above the runs table."""
        self.page.get_by_test_id("clear-button").click()
        self.tab.keyboard.press("Escape")

    def row(self, name: str) -> Locator:
        """Return the row of the runs table with this name."""
        link = self.find(name, "link")
        return link.locator("xpath=ancestor::*[@role='row'][1]")

    def tick(self, *names: str) -> None:
        """Tick the boxes of runs."""
        for name in names:
            self.row(name).get_by_role("checkbox").first.check()

    def unfold(self, name: str) -> None:
        """Click the small + before a run's name."""
        self.used.add("+")
        self.row(name).get_by_role("button").first.click()

    def to_top(self, name: str) -> None:
        """Scroll the runs table until this run is its first row."""
        self.row(name).evaluate(
            """row => {
                const table = row.closest(".ag-body-viewport");
                table.scrollTop += row.getBoundingClientRect().top - table.getBoundingClientRect().top;
            }"""
        )

    def experiment(self, name: str) -> None:
        """Click *Experiments* on the left, then this experiment, and wait for its page."""
        self.press("Experiments", "link")
        self.choose(name)

    def registered(self, name: str) -> None:
        """Click *Model registry* on the left, close the window that praises the new registry if one does, and open a model."""
        self.press("Model registry", "link")
        if not self.in_the_lab:
            self.page.get_by_role("dialog").get_by_role("button", name="Close", exact=True).click()
        self.press(name, "link")

    def choose(self, name: str) -> None:
        """Click an experiment in the list of experiments, and wait for its page; search it in a list of several pages."""
        listed = self.page.get_by_text("Time created", exact=True)  # the start page has a list of them, too
        listed.wait_for()
        self.used.add(name)
        self.page.get_by_test_id("experiment-list-item-link").first.wait_for()
        if self.page.get_by_role("button", name="Next", exact=True).is_enabled():
            box = self.page.get_by_placeholder("Search experiments")
            box.fill(name)
            box.press("Enter")
        self.page.get_by_title(name, exact=True).click()
        listed.wait_for(state="hidden")

    def back_to_the_list(self, experiment: str) -> None:
        """Click the arrow beside the experiment's name at the left: it leads to the list of experiments."""
        self.press(experiment, "link")  # the arrow and the name are one link
        self.page.get_by_text("Time created", exact=True).wait_for()

    def back(self, to: str) -> None:
        """Press the browser's back button, and wait for the page that shows `to`."""
        self.tab.evaluate("history.back()")  # Playwright's own waits for the tab to load, which a frame in it does not
        self.page.get_by_text(to, exact=True).locator("visible=true").first.wait_for()

    def columns(self, *names: str, unfold: str = "") -> None:
        """Tick or untick columns of the runs table; a long group of them is folded at first."""
        self.press("Columns", "button")
        box = self.page.get_by_role("dialog")
        if unfold:
            self.used.add(unfold)
            group = box.locator("[class*=tree-treenode]", has_text=re.compile(f"^{unfold}"))
            with contextlib.suppress(TimeoutError):
                self.find(names[-1], within=box).wait_for(timeout=5000)
            if not self.find(names[-1], within=box).is_visible():
                group.locator("[class*=tree-switcher]").first.click()
        for name in names:
            if self.in_the_lab:  # its tab is low: the foot of a long list lies below it
                box.get_by_placeholder("Search columns").fill(name)
            self.press(name, within=box)
        self.tab.keyboard.press("Escape")
        expect(self.page.get_by_role("dialog")).to_have_count(0)

    def aside(self, *words: str, why: str) -> None:
        """Set aside marked words which this walk cannot show; `why` is for the reader."""
        assert why
        self.used |= set(words)

    def picture(self, where: Locator | None = None, *, height: int | None = None, mask: list[Locator] = ()) -> None:
        """Take the picture of the lecture: an element, or the window down to `height` pixels; `mask` greys what changes."""
        self.tab.mouse.move(5, SIZE["height"] - 8)  # no button under the mouse, so no tooltip
        self.tab.evaluate(STILL)
        options = {"animations": "disabled", "caret": "hide", "mask": list(mask), "mask_color": "#e8ebed"}
        clip = {"x": 0, "y": 0, "width": SIZE["width"], "height": height or SIZE["height"]}
        shot = where.screenshot(**options) if where else self.tab.screenshot(clip=clip, **options)
        path = self.folder / f"{self.step}_ui.png"
        with Image.open(io.BytesIO(shot)) as image:
            image.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
        assert path.stat().st_size <= LIMIT, f"{path.name} has {path.stat().st_size:,} bytes. Show less of the page."


def run(page: Page, home: Path) -> None:
    """Run a lecture with its runs in `home`, as a learner does, who has one store for all lectures."""
    with tempfile.TemporaryDirectory() as folder:
        job = make_job(page, Path(folder), make_notebook(page, PAGES))
        outcome, _ = execute(replace(job, home=home, cwd=home / page.kind))
    assert outcome.ok, outcome.error


@contextlib.contextmanager
def live(page: Page, home: Path) -> Iterator[str]:
    """Run a lecture that starts servers, keep its kernel until the walk is done, and give what its cells printed."""
    with tempfile.TemporaryDirectory() as folder:
        job = replace(make_job(page, Path(folder)), home=home, cwd=home / page.kind)
        job.cwd.mkdir(parents=True, exist_ok=True)
        client = NotebookClient(make_notebook(page, PAGES), kernel_name="python3", timeout=600)
        with client.setup_kernel(cwd=str(job.cwd), env=kernel_environment(job)):
            cells = client.nb.cells
            for number, cell in enumerate(cells):
                client.execute_cell(cell, number)
            yield "".join(out.get("text", "") for cell in cells for out in cell.get("outputs", ()))


@contextlib.contextmanager
def serving(home: Path) -> Iterator[str]:
    """Run MLflow's UI as `course ui` does on the store in `home`, and give its address."""
    address = f"http://127.0.0.1:{(port := unused_port())}"
    command, environment = ui_server(sqlite_uri(home / "mlflow.db"), port)
    log = home / "ui.log"
    with supervised(command, log, cwd=home, environment=environment) as process:
        wait_until(lambda: answers(f"{address}/health"), process, log, "MLflow", 120)
        yield address


@contextlib.contextmanager
def window(
    browser: Browser, address: str, page: Page, folder: Path, sign_in: tuple[str, str] | None = None
) -> Iterator[UI]:
    """Open MLflow's pages in a new window without memory; `sign_in` is the name and password that it is asked for."""
    asked = {"http_credentials": dict(zip(("username", "password"), sign_in, strict=True))} if sign_in else {}
    with browser.new_context(viewport=SIZE, color_scheme="light", **asked) as context:
        tab = context.new_page()
        tab.set_default_timeout(PATIENCE)
        tab.goto(address)
        yield UI(tab, tab, folder, page.step.name)


def walk(page: Page, ui: UI, shots: Path) -> None:
    """Do what the ``ui.py`` of a lecture does; when a step fails, a picture of the page then is put in the folder `shots`."""
    try:
        _steps(page).walk(ui)
    except Exception as stopped:
        ui.tab.screenshot(path=(seen := shots / f"{page.step.name}_stopped.png"))
        line = stopped.__traceback__.tb_next.tb_lineno
        stopped.add_note(f"source/{page.step.name}/ui.py, line {line}; the page then: {seen}")
        raise


def _steps(page: Page) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ui_{page.step.name}", page.source.with_name("ui.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sign_in(page: Page) -> str:
    """Return the pattern by which a lecture prints address, name and password of a server of its own, or an empty string."""
    return getattr(_steps(page), "SIGN_IN", "")


@contextlib.contextmanager
def opened(page: Page, browser: Browser, home: Path, address: str, folder: Path) -> Iterator[UI]:
    """Open the pages that a lecture speaks of: those at `address`, or those of the server that it starts when it is run."""
    if pattern := sign_in(page):
        with live(page, home) as printed:
            its_own, *who = re.search(pattern, printed).groups()
            with window(browser, its_own, page, folder, (who[0], who[1])) as ui:
                yield ui
    else:
        with window(browser, address, page, folder) as ui:
            yield ui


def main(names: list[str]) -> None:
    """Walk the lectures named, or all, and keep their pictures in site/_static."""
    chosen = [page for page in WALKED if not names or page.step.name in names]
    os.environ["LOGNAME"] = "learner"  # MLflow names a run's author; the pictures shall not depend on who takes them
    expect.set_options(timeout=PATIENCE)
    with tempfile.TemporaryDirectory(prefix="mlflow-course-") as folder, sync_playwright() as playwright:
        home, browser = Path(folder), driver.launch(playwright)
        for page in chosen:
            if not sign_in(page):
                print(f"{page.step.name}: the lecture runs", flush=True)
                run(page, home)
        with serving(home) as address:
            for page in chosen:
                print(f"{page.step.name}: the walk", flush=True)
                with opened(page, browser, home, address, STATIC) as ui:
                    try:
                        walk(page, ui, Path(tempfile.gettempdir()))
                    except Exception as stopped:
                        raise SystemExit("\n".join((str(stopped), *stopped.__notes__))) from None
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
