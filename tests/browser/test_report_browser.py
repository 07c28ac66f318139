"""The batch's report as a person reads it: at a desk and on a phone, light and dark, from the failure to its cell."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_output
from playwright.sync_api import Browser, expect

from course_runner.batch import batch, report, view
from course_runner.batch.job import Job, Outcome
from course_runner.build.source import pages

from . import driver

ROOT = Path(__file__).resolve().parents[2]
CODE = "an_argument_with_a_long_name = another_name_that_is_long(" + "of_many_letters, " * 5 + ")"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a batch of one built lecture that passed and one that failed in its last cell."""
    home = tmp_path_factory.mktemp("batch")
    outcomes = []
    for page in [page for page in pages(ROOT) if page.kind == "notebooks"][:2]:
        nb = nbformat.read(page.path, 4)
        outcome = Outcome(page.label, seconds=61.2, output=str(home / page.label))
        if outcomes:
            last = ["\x1b[0;31mKeyError\x1b[0m  Traceback", "File /x/site-packages/y.py", "KeyError: 'a'"]
            nb.cells.append(new_code_cell(CODE, outputs=[new_output("error", ename="", evalue="", traceback=last)]))
            outcome.status, outcome.cell, outcome.error = "failed", len(nb.cells), "KeyError: 'a'"
            outcome.output = str(home / "notebooks/partial" / page.path.name)
        Path(outcome.output).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, outcome.output)
        view.write(nb, Job(page.label, page.path, home / page.label, home, home), outcome)
        outcomes.append(outcome)
    job = batch.Batch(home, {o.name: ROOT / o.name for o in outcomes}, {"n_rows": "500"})
    given = {o.name: {"n_rows": 500} for o in outcomes}
    (home / "index.html").write_text(report.render(job, outcomes, given, 122.4, job.again(ROOT)), encoding="utf8")
    return home


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_and_its_pages_read_well(browser: Browser, folder: Path, scheme: str, width: int) -> None:
    complaints: list[str] = []
    with browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme) as context:
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: said.type in ("error", "warning") and complaints.append(said.text))
        page.on("request", lambda asked: asked.url.startswith(("file:", "data:")) or complaints.append(asked.url))

        def well(what: str) -> None:
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{what} scrolls sideways"
            driver.assert_accessible(page, f"{what}, {scheme}, {width}")

        page.goto((folder / "index.html").as_uri())
        expect(page.locator("h1")).to_have_text("1 of 2 notebooks passed")
        row = page.locator("tr.good")
        assert row.bounding_box()["height"] < (70 if width < 500 else 45), "no word of a row is broken"
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        assert dark == (scheme == "dark")
        well("the report")

        page.locator("section a").click()  # from a failure to its cell
        failed = page.locator(".code_cell").last
        expect(failed).to_be_in_viewport()
        expect(failed).to_contain_text("an_argument_with_a_long_name")
        well("the page of the failed notebook")

        page.get_by_role("link", name="The batch's report").click()
        row.get_by_role("link").click()
        answer = page.locator(".Quiz .MCButton").first
        answer.click()
        expect(answer).to_have_class(re.compile("orrectButton"))
        assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth && i.alt)")
        well("the page of a lecture")
    assert not complaints
