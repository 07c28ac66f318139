"""Takes the pictures of README and lecture 00: `make screenshots`.

It does what the pictures show, in Chromium, on a scratch copy: a lecture run, a homework done wrong and right, the MLflow
UI. `python site/screenshots.py lab` or `site` takes one half; the second needs `make site` first.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402
from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402

from tests.browser import driver  # noqa: E402
from tests.browser.test_lab import ANSWER, HOMEWORK, LECTURE  # noqa: E402

STATIC = ROOT / "site" / "_static"
SIZE = {"width": 1280, "height": 800}
#: No picture may weigh more, in bytes.
LIMIT = 200_000


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
        front.notebook.locator(".jp-RenderedImage img").scroll_into_view_if_needed()
        keep(page, "lab_lecture")

        front.launcher()
        keep(page, "lab_launcher")
        page.locator(".jp-LauncherCard", has_text="MLflow").click()
        front.mlflow.get_by_role("link", name="churn-network").wait_for()
        keep(page, "lab_mlflow_experiments")
        front.mlflow.get_by_role("link", name="churn-forest").click()
        front.mlflow.get_by_role("link", name="100-trees").wait_for()
        keep(page, "lab_mlflow")

        front.open(lab.page(HOMEWORK, "homework-pictures"))
        front.wait_for_kernel()
        front.run_all()
        task, check = front.code_cell("YOUR CODE HERE").first, front.code_cell("hw.check(1)")
        for rows, name in (("train", "homework_wrong"), ("test", "homework_right")):
            front.write(task, ANSWER.format(rows=rows))
            task = front.code_cell('set_experiment("hw03-forest")')
            front.run(task)
            front.run(check)
            keep(page, name)
        page.close()


def site_pictures(browser: Browser) -> None:
    """Take the pictures of the built web site: the first page, a lecture with its quiz, the dark theme."""
    html = ROOT / "site" / "_build" / "html"
    if not (html / "index.html").is_file():
        raise SystemExit("site/_build/html has no index.html. Run `make site` first.")
    page = browser.new_page(viewport=SIZE)
    for name, path, theme in (
        ("site_start", "index.html", "light"),
        ("site_lecture", "notebooks/03_mlflow_basics.html", "light"),
        ("site_dark", "notebooks/03_mlflow_basics.html", "dark"),
    ):
        page.add_init_script(f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')")
        page.goto((html / path).as_uri())
        page.locator("h1").first.wait_for()
        keep(page, name)
    page.close()


def main(wanted: list[str]) -> None:
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
