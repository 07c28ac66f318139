"""The web site: built offline from stored outputs, every link leads somewhere, nothing is told twice or left out."""

from __future__ import annotations

import ast
import json
import re
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from course_runner.build import contents
from course_utils._plumbing import steps
from course_utils.errors import CourseError
from tests.built_site import ROOT, Page, built, run_build

sys.path.insert(0, str(ROOT / "site"))
from course_site import glossary, pages  # noqa: E402

NAMES = [step.stem for step in steps.steps()]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the built site."""
    return built(tmp_path_factory)


@pytest.fixture(scope="session")
def read(site: Path) -> dict[str, Page]:
    """Address within the site → page."""
    paths = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]  # the theme's templates
    return {path.relative_to(site).as_posix(): Page(path) for path in paths}


def test_building_says_nothing_but_where_the_site_is(site: Path) -> None:
    said = (site.parents[1] / "site.txt").read_text(encoding="utf8")
    assert said == f"0\nOpen {site / 'index.html'} in a browser.\n"


@pytest.mark.parametrize("kind", ["notebooks", "exercises"])
def test_every_notebook_has_a_page_and_can_be_downloaded_unchanged(
    site: Path, read: dict[str, Page], kind: str
) -> None:
    for name in NAMES:
        page, notebook = read[f"{kind}/{name}.html"], ROOT / kind / f"{name}.ipynb"
        title = json.loads(notebook.read_text(encoding="utf8"))["cells"][0]["source"][0]
        shown = "".join(text for open_, text in page.texts if "h1" in open_)
        assert shown.startswith(title.removeprefix("# ").strip().replace("'", "’"))
        download = f"../_sources/{kind}/{name}.ipynb"
        assert download in page.links
        assert (page.path.parent / download).read_bytes() == notebook.read_bytes()


def test_every_internal_link_leads_somewhere(site: Path, read: dict[str, Page]) -> None:
    broken = []
    for address, page in read.items():
        for link in {*page.links, *page.loads}:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "mailto", "javascript", "data"):
                continue
            target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
            name = target.relative_to(site.resolve()).as_posix() if target.is_relative_to(site.resolve()) else ""
            if not target.is_file() or not name:
                broken.append(f"{address}: {link}: no such file")
            elif parts.fragment and name in read and unquote(parts.fragment) not in read[name].ids:
                broken.append(f"{address}: {link}: no such place on the page")
    assert not broken, "\n".join(broken)


def test_no_page_loads_anything_from_elsewhere(site: Path, read: dict[str, Page]) -> None:
    assert sum(len(page.loads) for page in read.values()) > 100
    away = {load for page in read.values() for load in page.loads if re.match(r"(https?:)?//", load)}
    assert not away
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf8")
        assert not re.search(r"(url\(|@import )[\"']?(https?:)?//", text), style


def test_every_picture_has_its_words(read: dict[str, Page]) -> None:
    for address, page in read.items():
        for picture in page.pictures:
            assert (picture.get("alt") or "").strip(), f"{address}: {picture.get('src')}"
            assert not (picture["alt"] or "").endswith(".png"), address
    for name in NAMES:
        cells = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf8"))["cells"]
        stored = [o for cell in cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
        words = [output["metadata"]["image/png"]["alt"] for output in stored]
        drawn = [p["alt"] for p in read[f"notebooks/{name}.html"].pictures if "/_images/" in (p["src"] or "")]
        assert [text for text in drawn if text in words] == words, name


def test_headings_go_down_one_level_at_a_time(read: dict[str, Page]) -> None:
    for address, page in read.items():
        if address in ("genindex.html", "py-modindex.html", "search.html"):
            continue  # Sphinx's own
        assert page.headings.count(1) == 1, address
        for above, below in zip(page.headings, page.headings[1:], strict=False):
            assert below <= above + 1, f"{address}: h{below} under h{above}"


@pytest.mark.parametrize("name", NAMES)
def test_each_solution_is_folded_under_its_task(read: dict[str, Page], name: str) -> None:
    page = read[f"exercises/{name}.html"]
    folded = _code(text for open_, text in page.texts if "details" in open_)
    in_sight = _code(text for open_, text in page.texts if "details" not in open_)
    labels = " ".join(text for open_, text in page.texts if "summary" in open_)
    solved, asked = (
        {cell["id"]: cell for cell in json.loads((ROOT / kind / f"{name}.ipynb").read_text(encoding="utf8"))["cells"]}
        for kind in ("solutions", "exercises")
    )
    for identity, cell in solved.items():
        task = next((tag for tag in cell["metadata"].get("tags", []) if tag.startswith("task-")), "")
        if task and cell["source"] != asked[identity]["source"]:
            assert f"Show a solution of task {task.removeprefix('task-')}" in labels
            assert _code(cell["source"]) in folded
            assert _code(cell["source"]) not in in_sight


def _code(pieces: object) -> str:
    return re.sub(r"\s+", "", "".join(pieces))  # type: ignore[call-overload]


# What no prose stands in; `p` and `li` would not do, because a table holds prose as well.
_NOT_PROSE = {"code", "pre", "h1", "h2", "h3", "nav", "title", "summary", "footer", "button", "script", "div:output"}


@pytest.mark.parametrize("name", NAMES)
def test_the_first_mention_of_each_term_links_to_the_glossary(read: dict[str, Page], name: str) -> None:
    terms = glossary.parse((ROOT / "site/glossary.md").read_text(encoding="utf8"))
    mentions = [
        (open_, text)
        for open_, text in read[f"notebooks/{name}.html"].texts
        if "article" in open_ and not _NOT_PROSE & set(open_)
    ]
    assert mentions
    for term in terms:
        target = f"a:../glossary.html#term-{re.sub('[^A-Za-z0-9]+', '-', term.name)}"
        linked = [place for place, (open_, _) in enumerate(mentions) if target in open_]
        plain = [
            place
            for place, (open_, text) in enumerate(mentions)
            if not any(o.startswith("a:") for o in open_) and "table" not in open_ and term.pattern.search(text)
        ]
        assert len(linked) <= 1, f"{term.name} is linked {len(linked)} times"
        assert not plain or linked, f"{term.name} has no link: {mentions[plain[0]][1].strip()}"
        assert not plain or linked[0] < plain[0], f"{term.name} is linked only after {mentions[plain[0]][1].strip()}"


def test_terms_are_used_and_stand_in_the_order_of_the_alphabet(read: dict[str, Page]) -> None:
    terms = [term.name for term in glossary.parse((ROOT / "site/glossary.md").read_text(encoding="utf8"))]
    assert terms == sorted(terms, key=str.lower)
    links = {link for name in NAMES for link in read[f"notebooks/{name}.html"].links if "glossary.html#" in link}
    unused = [t for t in terms if f"../glossary.html#term-{re.sub('[^A-Za-z0-9]+', '-', t)}" not in links]
    assert not unused


def test_a_pattern_marks_the_part_that_becomes_the_link() -> None:
    (term,) = glossary.parse("```{glossary}\n.. found as: (?:a|the) (?P<term>runs?)\nrun\n  One execution.\n```\n")
    assert term.name == "run"
    assert term.pattern.search("You run it, and the run ends")["term"] == "run"
    assert not term.pattern.search("You run it")
    with pytest.raises(ValueError, match="glossary"):
        glossary.parse("# No glossary here\n")


def test_the_old_to_new_table_has_each_change_with_the_place_that_runs_it(read: dict[str, Page]) -> None:
    topics = [topic for topic in contents.topics(ROOT) if re.match("(Changed|Moved|Removed): ", topic.topic)]
    assert len(topics) >= 10
    page = read["notebooks/changes.html"]
    rows = [link for link in page.links if re.match(r"\d\d_\w+\.html#", link)]
    assert [link[:2] for link in rows] == [steps.find(topic.lecture).number for topic in topics]
    assert "client.list_run_infos" in (ROOT / "README.md").read_text(encoding="utf8")
    assert any("list_run_infos" in text for _, text in page.texts), "the calls that are gone are on the page, too"


def test_the_topics_are_those_of_the_course(read: dict[str, Page]) -> None:
    cells = {text.strip() for open_, text in read["notebooks/README.html"].texts if "td" in open_}
    shown = re.sub(r"\W", "", "".join(cells))
    missing = [t.topic for t in contents.topics(ROOT) if re.sub(r"\W", "", t.topic) not in shown]
    assert not missing


def test_the_helper_package_is_documented_function_by_function(read: dict[str, Page]) -> None:
    rooms = pages.rooms(ROOT)
    assert {"data", "store", "plots", "homework"} <= set(rooms)
    for room in rooms:
        path = ROOT / "course_utils" / f"{room}.py"
        if path.is_file():
            nodes = ast.parse(path.read_text(encoding="utf8")).body
            public = {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name[0] != "_"}
            assert {f"course_utils.{room}.{name}" for name in public} <= read[f"api/{room}.html"].ids
    assert "course_utils.homework.Homework.check" in read["api/homework.html"].ids


def test_the_state_is_counted(read: dict[str, Page]) -> None:
    cells = [text.strip() for open_, text in read["state.html"].texts if "td" in open_]
    facts = dict(zip(cells[::2], cells[1::2], strict=False))
    assert facts["MLflow"] == "3.17.2"
    assert facts["lectures"] == str(len(NAMES))
    entries = contents.entries(ROOT)
    last = cells[cells.index("all") + 1 :]
    assert last[:2] == [str(sum(e.read for e in entries)), str(sum(e.do for e in entries))]


def test_the_date_is_that_of_the_last_change_and_never_the_clock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert pages.commit_date(ROOT) == "14 November 2023"
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert pages.commit_date(tmp_path) == "unknown"


def test_the_home_page_quotes_the_readme_and_says_which_heading_is_missing(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("## One\nRead [CONTRIBUTING.md](CONTRIBUTING.md), [03](notebooks/03.ipynb).\n")
    quoted = pages.quote_readme("<!-- readme section: One -->", tmp_path)
    assert quoted == "Read `CONTRIBUTING.md`, [03](notebooks/03.ipynb)."
    with pytest.raises(CourseError, match="'Two'.*no such heading"):
        pages.quote_readme("<!-- readme section: Two -->", tmp_path)


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years")
    done = run_build(folder)
    assert done.returncode == 2
    assert "not empty" in done.stderr and "Traceback" not in done.stderr
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_a_dead_link_in_a_lecture_fails_the_build_and_is_named(tmp_path: Path) -> None:
    checkout = tmp_path / "course"
    shutil.copytree(ROOT / "site", checkout / "site", ignore=shutil.ignore_patterns("_build", "*.png"))
    (checkout / "source").mkdir()
    (checkout / "source/course.toml").write_text("part = []\n")
    (checkout / "source/topics.csv").write_text("topic,lecture,evidence,task\n")
    for name in ("pyproject.toml", "requirements.lock", "README.md"):
        shutil.copy(ROOT / name, checkout / name)
    (checkout / "site/index.md").write_text("# Home\n\n[Somewhere](nowhere.md)\n")
    done = run_build(tmp_path / "out", checkout / "site/build.py")
    assert done.returncode == 1
    assert "nowhere.md" in done.stderr and "a warning is an error" in done.stderr
