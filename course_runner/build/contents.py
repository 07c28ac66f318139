"""The contents of the series, read from the lectures' own headers: for lecture 00, the README and notebooks/README.md."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from course_runner.environment import repository
from course_utils._plumbing.steps import Step, steps
from course_utils.errors import CourseError

BEGIN, END = "<!-- contents:begin -->", "<!-- contents:end -->"
BADGES = re.compile("(?<=<!-- badges:begin -->\n).*(?=<!-- badges:end -->)", re.S)


@dataclass(frozen=True)
class Entry:
    """One lecture as its header describes it.

    Attributes
    ----------
    step
        Its place in the series.
    title
        H1.
    question
        The bold question under the title.
    read, do
        Minutes.
    """

    step: Step
    title: str
    question: str
    read: int
    do: int

    @property
    def number(self) -> str:
        """Two digits."""
        return self.step.number

    @property
    def name(self) -> str:
        """File name of its notebooks without the ending."""
        return self.step.stem

    @property
    def needs(self) -> str:
        """Numbers of the lectures that it builds on, for example ``"02, 04"``."""
        numbers = {step.name: step.number for step in steps(self.step.folder.parents[1])}
        return ", ".join(sorted(numbers[name] for name in self.step.needs))


def entry(step: Step) -> Entry:
    """Read the header of a lecture's source.

    Raises
    ------
    CourseError
        When title, question or minutes are missing.
    """
    source = step.folder / "lecture.py"
    return _entry(step, source, source.stat().st_mtime_ns)


@cache
def _entry(step: Step, source: Path, _modified: int) -> Entry:
    text = re.sub(r"^# ?", "", source.read_text(encoding="utf8").split("\n# %%\n", 1)[0], flags=re.M)
    head = text.split("links -->", 1)[0]
    title = re.search(r"^# (.+)$", head, re.M)
    question = re.search(r"^\*\*(.+?\?)\*\*", head, re.M | re.S)
    minutes = re.search(r"\*\*Time:\*\* (\d+) min to read · (\d+) min to do", head)
    if not (title and question and minutes):
        missing = "title" if not title else "question in bold" if not question else "**Time:** line"
        raise CourseError(
            f"source/{step.name}/{source.name}: the first cell has no {missing}. source/README.md shows the shape."
        )
    question_text = " ".join(question[1].split())
    return Entry(step, title[1], question_text, int(minutes[1]), int(minutes[2]))


def entries(root: Path) -> list[Entry]:
    """Return the entries of all lectures in order."""
    return [entry(step) for step in steps(root)]


def table(root: Path, prefix: str) -> str:
    """Return the contents as a Markdown table.

    Parameters
    ----------
    root
        The checkout.
    prefix
        Put before each notebook's file name in its link, for example ``"notebooks/"``.
    """
    lines = ["| lecture | the question it answers | minutes | needs |", "|---|---|---|---|"]
    total = 0
    part = ""
    for item in entries(root):
        if item.step.part != part:
            part = item.step.part
            lines.append(f"| **{part}** | | | |")
        total += item.read + item.do
        link = f"[{item.number} {item.title}]({prefix}{item.name}.ipynb)"
        lines.append(f"| {link} | {item.question} | {item.read + item.do} | {item.needs} |")
    lines.append(f"| all {len(entries(root))} | | {total} | |")
    return "\n".join(lines)


def fill(text: str, root: Path, prefix: str) -> str:
    """Return the text with the contents between its two markers replaced; unchanged when it has none."""
    if BEGIN not in text:
        return text
    before, rest = text.split(BEGIN, 1)
    if END not in rest:
        raise CourseError(f"A text has {BEGIN} and no {END}. Put the second marker where the contents end.")
    return f"{before}{BEGIN}\n\n{table(root, prefix)}\n\n{END}{rest.split(END, 1)[1]}"


def badges(address: str) -> str:
    """Return the badges that open the course in a browser; nothing when no service can know the repository's address.

    Parameters
    ----------
    address
        The repository's page, for example ``"https://github.com/somebody/mlflow-course"``; may be empty.
    """
    found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?", address)
    if not found:
        return ""
    binder = f"https://mybinder.org/v2/gh/{found[1]}/HEAD?urlpath=lab/tree/notebooks/00_start_here.ipynb"
    return (
        f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({binder})\n"
        "[![Open in Codespaces](https://img.shields.io/badge/open_in-Codespaces-24292f)]"
        f"(https://codespaces.new/{found[1]})\n"
    )


@dataclass(frozen=True)
class Topic:
    """A topic of the curriculum, where it is taught (a text that stands in the lecture) and which task practises it."""

    topic: str
    lecture: str
    evidence: str
    task: str


def topics(root: Path) -> list[Topic]:
    """Read ``source/topics.csv``."""
    with (root / "source/topics.csv").open(encoding="utf8", newline="") as file:
        return [Topic(**row) for row in csv.DictReader(file)]


def topic_page(root: Path) -> str:
    """Return ``notebooks/README.md``: topic → lecture → homework task."""
    names = {item.step.name: item for item in entries(root)}
    lines = [
        "# What is taught where",
        "",
        "Written by `course build` from `source/topics.csv`; a test checks that each topic stands in its lecture and that each",
        "task exists.",
        "",
        "| topic | lecture | homework |",
        "|---|---|---|",
    ]
    for t in topics(root):
        lecture = names[t.lecture]
        homework = f"[task {t.task}](../exercises/{lecture.name}.ipynb)" if t.task else ""
        lines.append(f"| {t.topic} | [{lecture.number} {lecture.title}]({lecture.name}.ipynb) | {homework} |")
    return "\n".join(lines) + "\n"


def pages_to_write(root: Path) -> dict[Path, str]:
    """Return path → text of every page that is derived from the lectures' headers and topics."""
    readme = root / "README.md"
    text = BADGES.sub(lambda _: badges(repository()), readme.read_text(encoding="utf8"))
    pages = {readme: fill(text, root, "notebooks/")}
    if (root / "source/topics.csv").is_file():
        pages[root / "notebooks/README.md"] = topic_page(root)
    return pages


def stale_pages(root: Path) -> list[Path]:
    """Return the derived pages that are not what they should be."""
    return [
        path
        for path, text in pages_to_write(root).items()
        if not path.exists() or path.read_text(encoding="utf8") != text
    ]


def write_pages(root: Path) -> list[Path]:
    """Write the derived pages that are stale, and return them."""
    stale = stale_pages(root)
    for path in stale:
        path.write_text(pages_to_write(root)[path], encoding="utf8")
    return stale
