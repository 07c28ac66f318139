"""The steps of the series: their order, folders, titles, and the names that texts use for them (``source/course.toml``)."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ..errors import CourseError
from .files import ROOT

_REFERENCE = re.compile(r"\{step:(\w+)\}")
_TARGET = re.compile(r"\]\(\{(step|homework):(\w+)\}")


@dataclass(frozen=True)
class Step:
    """One step: a lecture and the homework of the same name.

    Attributes
    ----------
    name
        Its folder below ``source/``; never a number.
    number
        Two digits: its place in ``course.toml``.
    part
        Title of the part that it belongs to.
    needs
        Names of the steps that it builds on.
    was
        Its number in the first edition; empty for a newer step.
    folder
        Where its texts are.
    """

    name: str
    number: str
    part: str
    needs: tuple[str, ...] = ()
    was: str = ""
    folder: Path = field(default=Path(), compare=False)

    @property
    def stem(self) -> str:
        """Name of its notebooks without the ending, for example ``"03_mlflow_basics"``."""
        return f"{self.number}_{self.name}"

    @property
    def slug(self) -> str:
        """Its name as experiments and models are called, for example ``"mlflow-basics"``."""
        return self.name.replace("_", "-")

    @property
    def title(self) -> str:
        """The title of its lecture, up to a colon."""
        return _title(self.folder / "lecture.py").partition(":")[0]


def _title(lecture: Path) -> str:
    found = re.search(r"^# # (.+)$", lecture.read_text(encoding="utf8"), re.M) if lecture.is_file() else None
    return found[1].strip() if found else lecture.parent.name


def steps(root: Path = ROOT) -> tuple[Step, ...]:
    """Return all steps in order.

    Raises
    ------
    CourseError
        When ``source/course.toml`` is missing or does not say what it should.
    """
    file = root / "source" / "course.toml"
    try:
        return _read(file, file.stat().st_mtime_ns)
    except OSError as error:
        raise CourseError(
            f"{file} cannot be read ({error.strerror}). Is this a whole checkout of the course?"
        ) from None


@cache
def _read(file: Path, _modified: int) -> tuple[Step, ...]:
    try:
        parts = tomllib.loads(file.read_text(encoding="utf8"))["part"]
        rows = [(part["title"], step) for part in parts for step in part["steps"]]
        found = tuple(
            Step(
                step["name"],
                f"{number:02d}",
                title,
                tuple(step.get("needs", ())),
                step.get("was", ""),
                file.parent / step["name"],
            )
            for number, (title, step) in enumerate(rows)
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise CourseError(f"{file.name}: {error}. Each [[part]] has a title and steps; each step has a name.") from None
    names = [step.name for step in found]
    for place, step in enumerate(found):
        if not re.fullmatch(r"[a-z][a-z0-9_]*", step.name):
            raise CourseError(f"{file.name}: {step.name!r} is no name of a step. Use lower-case words joined by _.")
        if step.name in names[:place]:
            raise CourseError(f"{file.name} lists the step {step.name!r} twice. Remove one of them.")
        if missing := [need for need in step.needs if need not in names[:place]]:
            raise CourseError(
                f"{file.name}: {step.name!r} needs {missing[0]!r}, which is no earlier step. Move it, or mend the name."
            )
    return found


def find(name: str, root: Path = ROOT) -> Step:
    """Return the step that is called `name`; two digits mean the first edition's number of a step.

    Raises
    ------
    CourseError
        When there is no such step.
    """
    found = steps(root)
    for step in found:
        if name in (step.name, step.was or step.name):
            return step
    raise CourseError(
        f"There is no step {name!r} in the course. Its steps are {', '.join(step.name for step in found)}."
    )


def fill(text: str, root: Path = ROOT) -> str:
    """Return a plain text (a quiz answer, a hint, code) with ``{step:NAME}`` replaced by number and title."""
    return _REFERENCE.sub(lambda m: "{0.number} {0.title}".format(find(m[1], root)), text) if "{step:" in text else text


def fill_markdown(text: str, root: Path = ROOT, folder: str = "notebooks") -> str:
    """Return Markdown with the names of steps replaced.

    As the target of a link, ``{step:NAME}`` is the lecture's file and ``{homework:NAME}`` the exercise's; elsewhere
    ``{step:NAME}`` becomes a link with number and title.

    Parameters
    ----------
    text
        Markdown.
    root
        The checkout.
    folder
        The folder in which the text is shown.
    """
    if "{step:" not in text and "{homework:" not in text:
        return text

    def file(kind: str, name: str) -> str:
        other = "notebooks" if kind == "step" else "exercises"
        return f"{'' if other == folder else f'../{other}/'}{find(name, root).stem}.ipynb"

    text = _TARGET.sub(lambda m: f"]({file(m[1], m[2])}", text)
    text = re.sub(r"\[[^\][]*\{step:[^\][]*\](?=\()", lambda m: fill(m[0], root), text)  # no link inside a link

    def link(match: re.Match[str]) -> str:
        step = find(match[1], root)
        return f"[{step.number} {step.title}]({file('step', step.name)})"

    return _REFERENCE.sub(link, text)
