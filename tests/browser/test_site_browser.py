"""The web site as its readers use it: search, quizzes, themes, folded solutions, by mouse, keyboard and phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.built_site import built

from . import driver
from .driver import PATIENCE

LECTURE, HOMEWORK = "notebooks/05_mlflow_basics.html", "exercises/05_mlflow_basics.html"
PAGES = ["index.html", LECTURE, HOMEWORK, "glossary.html"]
#: More kinds of pages: tables of pandas, a long table, code with its words, numbers, the search itself.
FURTHER = ["notebooks/20_genai.html", "notebooks/changes.html", "api/plots.html", "state.html", "search.html"]
#: What readers ask for, and the page that must come first: a lecture, or the glossary for one of its terms.
QUERIES = {
    "how do I log a model": "notebooks/models",
    "run left open": "notebooks/mlflow_basics",
    "confusion matrix": "notebooks/logging",
    "register": "notebooks/model_registry",
    "drift": "notebooks/monitoring",
    "compare runs": "notebooks/comparing_runs",
    "search of hyperparameters": "notebooks/nested_runs",
    "serve a model": "notebooks/serving",
    "cross-validation": "notebooks/pipelines",
    "missing values": "notebooks/pipelines",
    "outliers": "notebooks/exploring_data",
    "random seed": "notebooks/reproducing",
    "papermill": "notebooks/batch_and_scale",
    "calibration": "notebooks/full_workflow",
    "how do I share my runs with my team": "notebooks/tracking_server",
    "autolog": "notebooks/autolog",
    "which metric is logged over steps?": "notebooks/logging",
    "alias": "glossary#term-alias",
    "artifacts": "glossary#term-artifact",
    "what is a trace?": "glossary#term-trace",
}


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the built site."""
    return built(tmp_path_factory)


@pytest.fixture(scope="package")
def address(folder: Path) -> Iterator[str]:
    """Address of the site on a server."""
    with driver.served(folder) as address:
        yield address


@pytest.fixture
def reader(page: Page) -> Iterator[Page]:
    """A page that must neither complain nor ask any other machine for anything."""
    complaints: list[str] = []
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda said: said.type in ("error", "warning") and complaints.append(f"{said.text} ({said.location['url']})"),
    )
    page.on("request", lambda asked: _local(asked.url) or complaints.append(f"asked for {asked.url}"))
    yield page
    assert not complaints


def _local(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "file:", "data:", "blob:"))


def _contrast(element: Locator) -> float:
    """Return the contrast between an element's text and what is painted behind it, as WCAG 2.1 computes it."""
    return element.evaluate(
        """e => {
            const numbers = c => c.match(/[\\d.]+/g).map(Number);
            const light = c => numbers(c).slice(0, 3).map(v => v / 255)
                .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
                .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
            let behind = e;
            while (behind.parentElement && numbers(getComputedStyle(behind).backgroundColor)[3] === 0)
                behind = behind.parentElement;
            const pair = [light(getComputedStyle(e).color), light(getComputedStyle(behind).backgroundColor)];
            return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
        }"""
    )


def open_result(page: Page, title: str) -> None:
    """Click a search result when all are there: the list moves until then, and a click may miss."""
    expect(page.locator(".search-summary")).to_contain_text("finished")
    page.locator("#search-results li a", has_text=title).first.click()
    expect(page.locator("h1").first).to_contain_text(title)


@pytest.mark.parametrize(("query", "wanted"), QUERIES.items())
def test_the_first_hit_is_the_page_that_teaches_it(reader: Page, address: str, query: str, wanted: str) -> None:
    reader.goto(f"{address}search.html?{urlencode({'q': query})}")
    first = reader.locator("#search-results li a").first.get_attribute("href")
    path, _, anchor = re.sub(r"\d\d_", "", first).partition("#")
    assert wanted in (path.removesuffix(".html"), f"{path.removesuffix('.html')}#{anchor}"), first


def test_search_finds_the_lecture(reader: Page, address: str) -> None:
    reader.goto(address)
    reader.locator("button.search-button-field:visible").click()
    reader.keyboard.type("autolog")
    reader.keyboard.press("Enter")
    open_result(reader, "Autologging")


def test_search_works_in_files_that_nobody_serves(page: Page, folder: Path) -> None:
    page.goto(f"file://{folder}/search.html?q=autolog")  # without excerpts: a page may not read another file
    open_result(page, "Autologging")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_quiz_answers_to_the_keyboard_in_both_themes(browser: Browser, address: str, theme: str) -> None:
    with browser.new_context(color_scheme=theme) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(address + LECTURE)
        quiz = page.locator("#quiz .Quiz").first
        answers, feedback = quiz.get_by_role("radio"), quiz.get_by_role("status")
        expect(quiz.get_by_role("radiogroup")).to_have_accessible_name(quiz.locator("[id^=quizQn]").inner_text())
        said = []
        answers.first.focus()
        page.keyboard.press("Space")
        for _ in range(answers.count()):
            expect(feedback).not_to_be_empty()
            said.append(feedback.inner_text())
            chosen = quiz.locator("label:has(input:checked)")
            assert _contrast(chosen) >= 4.5 and _contrast(feedback) >= 4.5
            assert chosen.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"  # where the keyboard is
            page.keyboard.press("ArrowDown")
        assert len(set(said)) == answers.count()
        assert sum(words.startswith("Right") for words in said) == 1


def test_the_theme_is_chosen_and_kept(reader: Page, address: str) -> None:
    reader.emulate_media(color_scheme="light")
    reader.goto(address)
    page = reader.locator("html")
    expect(page).to_have_attribute("data-theme", "light")
    reader.get_by_role("button", name="Color mode").click()
    reader.get_by_role("button", name="Dark").click()
    expect(page).to_have_attribute("data-theme", "dark")
    reader.goto(address + LECTURE)
    expect(page).to_have_attribute("data-theme", "dark")


def test_a_solution_unfolds_by_keyboard(reader: Page, address: str) -> None:
    reader.goto(address + HOMEWORK)
    label = reader.get_by_text("Show a solution of task 1")
    solution = reader.locator("details", has=label).locator("pre").first
    expect(solution).to_be_hidden()
    reader.locator("summary", has=label).focus()
    reader.keyboard.press("Enter")
    expect(solution).to_be_visible()
    expect(solution).to_contain_text('mlflow.set_experiment("hw-basics-tumours")')


def test_a_button_says_what_it_does_and_copies(reader: Page, address: str) -> None:
    reader.goto(address + LECTURE)
    reader.get_by_role("button", name="Color mode").hover()
    expect(reader.get_by_role("tooltip")).to_have_text("Color mode")
    code = reader.locator("div.cell_input:visible").nth(1)
    code.hover()
    code.locator("button.copybtn").click()
    expect(code.locator("button.copybtn")).to_have_attribute("data-tooltip", "Copied!")
    reader.locator("button.search-button-field:visible").click()
    reader.keyboard.press("Control+v")
    pasted = reader.locator("input[type=search]:visible").input_value()
    assert pasted and pasted.split()[0] in code.inner_text()


def test_no_line_of_a_lectures_code_is_cut_or_broken(reader: Page, address: str, folder: Path) -> None:
    reader.set_viewport_size({"width": 1440, "height": 900})
    for lecture in sorted(folder.glob("notebooks/[0-9]*.html")):
        reader.goto(f"{address}notebooks/{lecture.name}")
        reader.add_style_tag(content=".cell_input pre { white-space: pre !important }")
        wide = reader.locator("div.cell_input pre").evaluate_all(
            "all => all.filter(e => e.scrollWidth > e.clientWidth).map(e => e.innerText)"
        )
        assert not wide, f"{lecture.name}: {wide[0]}"
    assert lecture.name.startswith("21_")
    reader.goto(address + "notebooks/11_models.html")  # its output has lines of 140 letters
    assert reader.evaluate("[...document.querySelectorAll('article pre')].every(e => e.scrollWidth <= e.clientWidth)")


def test_paper_has_the_text_alone_in_the_light_theme(browser: Browser, address: str) -> None:
    with browser.new_context(color_scheme="light", viewport={"width": 720, "height": 1000}) as context:
        page = context.new_page()
        page.goto(address + LECTURE)
        page.evaluate("localStorage.setItem('mode', 'dark')")
        page.reload()
        html = page.locator("html")
        expect(html).to_have_attribute("data-theme", "dark")
        page.emulate_media(media="print")
        expect(html).to_have_attribute("data-theme", "light")
        for gone in ("#pst-primary-sidebar", "#pst-secondary-sidebar", ".prev-next-footer", ".bd-header-article"):
            expect(page.locator(gone)).to_be_hidden()
        expect(page.locator("button.copybtn:visible")).to_have_count(0)
        expect(page.locator("article h1")).to_be_visible()
        cut = "[...document.querySelectorAll('article pre, article img')].filter(e => e.scrollWidth > e.clientWidth)"
        assert page.evaluate(f"{cut}.length") == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 720
        folded = "[...document.querySelectorAll('details.more')].map(d => d.lastElementChild.checkVisibility())"
        assert set(page.evaluate(folded)) == {True}, "what is folded on the screen is read on paper"
        assert page.pdf().startswith(b"%PDF")
        page.emulate_media(media="screen")
        assert set(page.evaluate(folded)) == {False}
        expect(html).to_have_attribute("data-theme", "dark")


def test_the_start_page_remembers_in_the_browser_what_was_read_until_it_is_told_to_forget(
    reader: Page, address: str
) -> None:
    reader.goto(address)
    expect(reader.locator(".read-so-far")).to_have_count(0)
    reader.goto(address + LECTURE)
    reader.wait_for_load_state()
    assert not reader.evaluate("localStorage.getItem('mlflow-course-read')"), "opened is not read"
    reader.locator(".prev-next-footer").scroll_into_view_if_needed()
    reader.wait_for_function("localStorage.getItem('mlflow-course-read')")
    reader.goto(address)
    line = reader.locator(".read-so-far")
    expect(line).to_contain_text("You have read 1 of 22 lectures")
    expect(line.get_by_role("link")).to_contain_text("06 ")
    expect(reader.get_by_role("cell", name="05 MLflow basics")).to_contain_text("✓ read")
    driver.assert_accessible(reader, "what was read", every_rule=True)
    line.get_by_role("button", name="Forget it").click()
    expect(reader.locator(".read, .read-so-far")).to_have_count(0)
    reader.reload()
    expect(reader.locator(".read, .read-so-far")).to_have_count(0)


def test_links_lead_through_the_course(reader: Page, address: str) -> None:
    reader.goto(address)
    reader.get_by_role("link", name="lecture 00").click()
    reader.goto(address + LECTURE)
    article = reader.locator("article.bd-article")
    article.get_by_role("link", name="Homework").first.click()
    expect(reader.locator("h1").first).to_contain_text("Homework: MLflow basics")
    article.get_by_role("link", name="Lecture 05").click()
    article.get_by_role("link", name="experiments", exact=True).first.click()
    expect(reader.locator("dt:target, dt:has(:target)").first).to_contain_text("experiment")


def test_a_phone_shows_every_kind_of_page_without_scrolling_sideways(reader: Page, address: str) -> None:
    reader.set_viewport_size({"width": 390, "height": 800})
    for path in [*PAGES, "notebooks/16_monitoring.html", "notebooks/changes.html", "api/store.html", "state.html"]:
        reader.goto(address + path)
        assert reader.evaluate("document.documentElement.scrollWidth") <= 390, path
    reader.locator("button.primary-toggle:visible").click()
    expect(reader.get_by_role("link", name="05 MLflow basics").first).to_be_visible()


@pytest.mark.parametrize("path", [*PAGES, *FURTHER])
def test_axe_finds_nothing_in_either_theme(browser: Browser, address: str, path: str) -> None:
    # So tall that the side bar does not scroll: axe judges no colour of what is out of sight.
    with browser.new_context(color_scheme="light", viewport={"width": 1280, "height": 3000}) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(address + path)
        page.evaluate("document.querySelectorAll('article details').forEach(fold => fold.open = true)")
        for number, answers in enumerate(page.locator(".Answer").all()):
            answers.locator("label").nth(number % 2).click()
        # A fold that is opening is half transparent: axe would judge colours that nobody sees for longer.
        page.add_style_tag(content="*, *::before, *::after { animation: none !important; transition: none !important }")
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            expect(page.locator("html")).to_have_attribute("data-theme", theme)
            driver.assert_accessible(page, theme, every_rule=True)
