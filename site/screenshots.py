"""Takes the pictures of README and lecture 00, and lays all pictures on one sheet: `make screenshots`.

It does what the pictures show, in Chromium, on a scratch copy: a lecture run, a homework done wrong and right, the MLflow
UI. `python site/screenshots.py lab`, `site` or `sheet` does one part; `site` needs `make site` first. The pictures of a
lecture's *Look at the UI* come from `python -m tests.browser.walks`; the sheet has them, too.
"""

from __future__ import annotations

import io
import math
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from PIL import Image, ImageDraw  # noqa: E402
from playwright.sync_api import Browser, Locator, Page, sync_playwright  # noqa: E402

from tests.browser import driver  # noqa: E402
from tests.browser.test_lab import ANSWER, GIVEN, HOMEWORK, LECTURE, errors  # noqa: E402

STATIC = ROOT / "site" / "_static"
SIZE = {"width": 1280, "height": 800}
#: No picture may weigh more, in bytes.
LIMIT = 150_000
#: All pictures, small, with their names: for whoever looks whether one is cut, empty or covered. No page shows it.
SHEET, SHEET_LIMIT = ROOT / "site" / "contact_sheet.png", 400_000
#: Pictures in a row of the sheet, and width and height of one there, in pixels.
COLUMNS, TILE = 5, (400, 260)


def keep(page: Page, name: str) -> None:
    """Write what the page shows as a PNG of at most 128 colours."""
    page.mouse.move(640, 795)  # no button under the mouse, so no tooltip
    page.wait_for_timeout(700)  # transitions of the MLflow UI
    with Image.open(io.BytesIO(page.screenshot(animations="disabled"))) as picture:
        small = picture.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    path = STATIC / f"{name}.png"
    small.save(path, optimize=True)
    if path.stat().st_size > LIMIT:
        raise SystemExit(f"{path} has {path.stat().st_size:,} bytes, more than {LIMIT:,}. Show less, or fewer colours.")
    print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1000:.0f} kB")


def lab_pictures(browser: Browser, folder: Path) -> None:
    """Take the pictures of JupyterLab."""
    with driver.lab(folder) as lab:
        page = browser.new_page(viewport=SIZE)
        front = driver.LabPage(page)
        front.open(lab.page(LECTURE, "pictures"))
        front.wait_for_kernel()
        front.run_all()
        if said := errors(front):
            raise SystemExit(f"{LECTURE} fails, and its pictures would show that: {said}")
        front.notebook.locator(".jp-RenderedImage img").last.scroll_into_view_if_needed()
        keep(page, "lab_lecture")

        front.launcher()
        keep(page, "lab_launcher")
        page.locator(".jp-LauncherCard", has_text="MLflow").click()
        front.menu("View", "Appearance", "Show Left Sidebar")  # hide it: the table of contents has nothing to show
        front.mlflow.get_by_role("link", name="Experiments").first.click()
        front.mlflow.get_by_test_id("experiment-list-item-link").filter(has_text="churn-forest").click()
        run = front.mlflow.get_by_role("link", name="forest-depth-3")
        run.wait_for()
        keep(page, "lab_mlflow")
        run.click()
        front.mlflow.get_by_text("n_estimators").first.wait_for()
        front.mlflow.get_by_text("Metrics (").first.evaluate("e => e.scrollIntoView()")
        keep(page, "lab_run")
        front.menu("View", "Appearance", "Show Left Sidebar")

        front.open(lab.page(HOMEWORK, "homework-pictures"))
        front.wait_for_kernel()
        front.run_all()
        task, check = front.code_cell("YOUR CODE HERE").first, front.code_cell("hw.check(1)")
        for answer, given in GIVEN.items():
            front.write(task, ANSWER.format(given=given))
            task = front.code_cell('set_experiment("hw-basics-tumours")')
            front.run(task)
            front.run(check)
            keep(page, f"homework_{answer}")
        page.close()


def site_pictures(browser: Browser) -> None:
    """Take the pictures of the built web site: first page, search, an answered quiz, the dark theme, a solution."""
    html = ROOT / "site" / "_build" / "html"
    if not (html / "index.html").is_file():
        raise SystemExit("site/_build/html has no index.html. Run `make site` first.")
    with driver.served(html) as address, browser.new_context(viewport=SIZE, color_scheme="light") as context:
        page = context.new_page()
        page.goto(address)
        keep(page, "site_start")

        page.locator("button.search-button-field:visible").click()
        page.keyboard.type("threshold")
        page.keyboard.press("Enter")
        page.locator("#search-results .context").nth(4).wait_for()  # the words around it come one page after another
        keep(page, "site_search")

        page.goto(address + "notebooks/05_mlflow_basics.html")
        quiz = page.locator("#quiz .Quiz").first
        for answer in quiz.locator("label").all():  # until one is right, so the picture shows the last
            answer.click()
            if quiz.get_by_role("status").inner_text().startswith("Right"):
                break
        to_top(page, page.locator("#quiz h2"))
        keep(page, "site_quiz")

        page.get_by_role("button", name="Color mode").click()
        page.get_by_role("button", name="Dark").click()
        page.goto(f"{address}notebooks/05_mlflow_basics.html")
        to_top(page, page.locator("article h2", has_text="Round 2"))
        page.locator(".bd-toc a.active", has_text="Round 2").wait_for()
        to_top(page, page.locator("article .cell", has=page.locator("img[alt*='is ahead by']")))
        keep(page, "site_dark")

        page.goto(address + "exercises/05_mlflow_basics.html")
        page.get_by_role("button", name="Color mode").click()
        page.get_by_role("button", name="Light").click()
        page.get_by_text("Show a solution of task 1").click()
        to_top(page, page.locator("h2", has_text="Task 1"))
        keep(page, "site_solution")


def to_top(page: Page, element: Locator) -> None:
    """Scroll until the element stands below the bar at the top of the page."""
    element.evaluate("e => window.scrollTo({ top: e.getBoundingClientRect().top + scrollY - 90, behavior: 'instant' })")


def contact_sheet(pictures: list[Path], path: Path) -> None:
    """Write one PNG with all pictures, each with its name above it."""
    (width, height), name = TILE, 16  # pixels for the name
    sheet = Image.new("RGB", (COLUMNS * width, math.ceil(len(pictures) / COLUMNS) * (height + name)), "#ccc")
    write = ImageDraw.Draw(sheet)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, COLUMNS)
        x, y = column * width, row * (height + name)
        with Image.open(picture) as image:
            small = image.convert("RGB")
        small.thumbnail((width - 6, height - 6))
        sheet.paste(small, (x, y + name))
        write.text((x + 2, y + 2), picture.stem, "#000")
    sheet.quantize(64, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size > SHEET_LIMIT:
        raise SystemExit(f"{path} has {path.stat().st_size:,} bytes, more than {SHEET_LIMIT:,}. Make TILE smaller.")
    print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1000:.0f} kB, {len(pictures)} pictures")


def main(wanted: list[str]) -> None:
    """Do the parts named: ``lab``, ``site``, ``sheet``; all without a name."""
    if not wanted or set(wanted) & {"lab", "site"}:
        take(wanted)
    contact_sheet(sorted(STATIC.glob("*.png")), SHEET)


def take(wanted: list[str]) -> None:
    """Take the pictures of ``lab``, ``site`` or both."""
    if driver.chromium() is None:
        raise SystemExit("Chromium is not installed, and the pictures are taken in it.")
    STATIC.mkdir(exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory(prefix="mlflow-course-") as folder:
        browser = driver.launch(playwright)
        if not wanted or "lab" in wanted:
            lab_pictures(browser, Path(folder) / "lab")
        if not wanted or "site" in wanted:
            site_pictures(browser)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
