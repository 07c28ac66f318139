"""From reviewed text to notebooks that are not executed yet: lecture, homework solution and exercise."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import jupytext
import nbformat
from nbformat import NotebookNode

from course_runner.build.contents import fill as fill_contents
from course_utils._plumbing.steps import Step, fill, fill_markdown, steps
from course_utils.errors import CourseError

Kind = Literal["notebooks", "solutions", "exercises"]
KINDS: tuple[Kind, ...] = ("notebooks", "solutions", "exercises")

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
_BLOCK = re.compile(rf"^([ \t]*){BEGIN}[ \t]*\n.*?^[ \t]*{END}[ \t]*$", re.S | re.M)
_MARKER = re.compile(r"^[ \t]*#+\s*(BEGIN|END)\b.*$", re.M | re.I)
_MARKER_LINE = re.compile(rf"^[ \t]*({BEGIN}|{END})[ \t]*\n?", re.M)
LINKS = "<!-- links -->"
#: Tags of cells that stand behind a lecture, not in it: the proof of its sentences, and the solution of *Your turn*.
BEHIND = {"claims", "your-turn-solution"}
#: Tag of the script "In your own project": text to copy, never a cell that runs.
SCRIPT = "own-project"
#: Heading of a section that JupyterLab shows folded, with a button that opens it.
CAN_WAIT = re.compile(r"#{2,3} .+ \(can wait\)$", re.M)
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}


@dataclass(frozen=True)
class Page:
    """One notebook of the series: what it is called, where its text is, where it is written."""

    root: Path
    kind: Kind
    step: Step

    @property
    def name(self) -> str:
        """File name without the ending, for example ``"03_mlflow_basics"``."""
        return self.step.stem

    @property
    def number(self) -> str:
        """Two digits that lecture and homework share."""
        return self.step.number

    @property
    def source(self) -> Path:
        """The text that people edit."""
        return self.step.folder / ("lecture.py" if self.kind == "notebooks" else "homework.py")

    @property
    def path(self) -> Path:
        """The notebook that the build writes."""
        return self.root / self.kind / f"{self.name}.ipynb"

    @property
    def label(self) -> str:
        """Path relative to the root, as it is shown to people."""
        return f"{self.kind}/{self.name}.ipynb"

    @property
    def executed(self) -> bool:
        """Whether outputs are stored."""
        return self.kind != "exercises"


def pages(root: Path) -> list[Page]:
    """Return every page of the series: lectures, then solutions, then exercises, each in order."""
    every = steps(root)
    released = not any(
        (step.folder / "homework.py").exists() for step in every
    )  # by `course release`: without solutions
    for step in every:
        for name in ("lecture.py",) if released else ("lecture.py", "homework.py"):
            if not (step.folder / name).is_file():
                raise CourseError(
                    f"source/course.toml lists the step {step.name!r}, and source/{step.name}/{name} is missing. "
                    "Write it (`course new` makes a complete folder), or take the step out of the list."
                )
    return [Page(root, kind, step) for kind in (KINDS[:1] if released else KINDS) for step in every]


def select(all_pages: list[Page], wanted: list[str]) -> list[Page]:
    """Return the pages that `wanted` names: numbers (3, 03), names, kinds, or paths; all when it is empty.

    Raises
    ------
    CourseError
        When an entry names nothing.
    """
    if not wanted:
        return all_pages
    chosen: list[Page] = []
    for entry in wanted:
        text = entry.removesuffix("/")
        stem = Path(text).name.removesuffix(".ipynb").removesuffix(".py")
        folder = Path(text).parent.name
        hits = [
            page
            for page in all_pages
            if text == page.kind
            or (stem in (page.name, page.step.name) and folder in ("", ".", page.kind))
            or (folder == page.step.name and stem == page.source.stem)
            or (stem.isdigit() and len(stem) < 3 and stem.zfill(2) == page.number and folder in ("", page.kind))
        ]
        if not hits:
            known = ", ".join(dict.fromkeys(page.step.name for page in all_pages))
            raise CourseError(f"No notebook of the course is called {entry!r}. Give a number or a name: {known}.")
        chosen += [page for page in hits if page not in chosen]
    return chosen


def read_source(path: Path) -> NotebookNode:
    """Read a py:percent text as a notebook.

    Raises
    ------
    CourseError
        When the text cannot be read.
    """
    try:
        text = path.read_text(encoding="utf8")
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(f"{path} cannot be read as UTF-8 text: {error}.") from error
    return jupytext.reads(text, fmt="py:percent")


def title(cells: list[NotebookNode]) -> str:
    """Return the text of the first level-one heading, or an empty string."""
    for cell in cells:
        if cell.cell_type == "markdown" and (found := re.search(r"^# (.+)$", cell.source, re.M)):
            return found[1].strip()
    return ""


@cache
def _page_title(path: Path, _mtime: float) -> str:
    """Return a source's H1 without parsing the notebook."""
    found = re.search(r"^# # (.+)$", path.read_text(encoding="utf8"), re.M)
    return found[1].strip() if found else path.stem


def page_title(page: Page) -> str:
    """Return the title of a page from its source."""
    return _page_title(page.source, page.source.stat().st_mtime)


def link_bar(page: Page, all_pages: list[Page]) -> str:
    """Return the line of links under the title: previous, homework or lecture, MLflow UI, contents, next.

    The link to the MLflow UI leads to lecture 00, which says how to open it; in JupyterLab its title makes it open the UI
    itself (``runner/jupyter``).
    """

    def link(text: str, target: Page, title: str = "") -> str:
        here = "" if target.kind == page.kind else f"../{target.kind}/"
        return f"[{text}]({here}{target.name}.ipynb{title})"

    by = {(p.kind, p.name): p for p in all_pages}
    lectures = [p for p in all_pages if p.kind == "notebooks"]
    ui = link("MLflow UI", lectures[0], ' "Open the MLflow UI"')
    links = []
    if page.kind == "notebooks":
        place = lectures.index(page)
        if place > 0:
            links.append(link(f"← {page_title(lectures[place - 1])}", lectures[place - 1]))
        if exercise := by.get(("exercises", page.name)):
            links.append(link("Homework", exercise))
        links.append(ui)
        if place > 0:
            links.append(link("Contents", lectures[0]))
        if place + 1 < len(lectures):
            links.append(link(f"{page_title(lectures[place + 1])} →", lectures[place + 1]))
    else:
        if lecture := by.get(("notebooks", page.name)):
            links.append(link(f"Lecture {page.number}", lecture))
        other = by[("solutions" if page.kind == "exercises" else "exercises", page.name)]
        links.append(link("Solution" if page.kind == "exercises" else "Exercise", other))
        links += [ui, link("Contents", lectures[0])]
    return " · ".join(links)


def check_markers(cell: NotebookNode, where: str) -> None:
    """Raise when the solution markers of a cell are misspelled or not in pairs."""
    expected = BEGIN
    for found in _MARKER.finditer(cell.source):
        line = found[0].strip()
        if line not in (BEGIN, END):
            raise CourseError(f"{where}: {line!r} is not a marker; write {BEGIN!r} or {END!r}.")
        if line != expected:
            raise CourseError(f"{where}: {line!r} where {expected!r} should come. Put the markers in pairs.")
        expected = END if expected == BEGIN else BEGIN
    if expected == END:
        raise CourseError(f"{where}: {BEGIN!r} without {END!r}. The solution would reach the learner; close it.")


def blank(source: str) -> str:
    """Replace each solution block by a line that says where to write."""
    return _BLOCK.sub(lambda m: f"{m[1]}# YOUR CODE HERE\n{m[1]}pass", source)


def solution_lines(source: str) -> list[str]:
    """Return the lines inside the solution blocks of a cell, without indentation, comments and blank lines."""
    lines = [line.strip() for block in _BLOCK.finditer(source) for line in block[0].splitlines()[1:-1]]
    return [line for line in lines if line and not line.startswith("#")]


def tagged(cells: list[NotebookNode], tag: str) -> list[NotebookNode]:
    """Return the cells that have a tag."""
    return [cell for cell in cells if tag in cell.metadata.get("tags", [])]


def folded_script(source: str) -> str:
    """Return the script of a lecture as Markdown: folded, and in one block that can be copied."""
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", source)), default=0))
    return f"<details><summary>Show the script</summary>\n\n{fence}python\n{source}\n{fence}\n\n</details>"


def make_notebook(page: Page, all_pages: list[Page], behind: bool = False) -> NotebookNode:
    """Return the notebook of a page as its source says, without outputs; the same text gives the same notebook.

    Parameters
    ----------
    page
        What to make.
    all_pages
        The series, for the links.
    behind
        Keep the cells that stand behind a lecture (`BEHIND`), for a test that runs them.

    Raises
    ------
    CourseError
        When the text cannot be read or its solution markers are not in pairs.
    """
    parsed = read_source(page.source)
    nb = nbformat.v4.new_notebook(metadata=METADATA)
    shown = 0  # only cells that a reader sees are counted: a new claim does not rename them
    for index, cell in enumerate(parsed.cells):
        where = f"{page.source.relative_to(page.root)} cell {index + 1}"
        tags = list(cell.metadata.get("tags", []))
        hidden = bool(BEHIND.intersection(tags))
        if hidden and not behind:
            continue
        name = f"behind-{index:02d}" if hidden else f"{shown:02d}"
        shown += not hidden
        source = textwrap.dedent(cell.source) if cell.cell_type == "markdown" else cell.source
        if cell.cell_type == "code" and page.kind != "notebooks":
            check_markers(cell, where)
            source = blank(source) if page.kind == "exercises" else _MARKER_LINE.sub("", source)
        if page.kind == "exercises" and "solution" in tags:
            continue
        source = fill_contents(source.replace(LINKS, link_bar(page, all_pages)), page.root, "").rstrip()
        if cell.cell_type == "markdown":
            source = fill_markdown(source, page.root, page.kind)
        else:
            source = fill(source, page.root)
        if cell.cell_type == "markdown" and page.kind == "solutions" and index == 0:
            source = re.sub(r"^# (.+)$", r"# \1 (solution)", source, count=1, flags=re.M)
        text = cell.cell_type == "markdown" or SCRIPT in tags
        if SCRIPT in tags:
            source = folded_script(source)
        new = nbformat.v4.new_markdown_cell if text else nbformat.v4.new_code_cell
        node = new(source=source, id=f"{page.step.slug}-{name}")
        if tags:
            node.metadata["tags"] = tags
        if "hide-input" in tags:
            node.metadata["jupyter"] = {"source_hidden": True}
        if text and CAN_WAIT.match(source):
            node.metadata["jp-MarkdownHeadingCollapsed"] = True
        nb.cells.append(node)
    return nb
