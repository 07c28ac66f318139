"""Tell from a notebook and from its path which homework it is and who handed it in."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from course_utils._plumbing import steps
from course_utils._plumbing.files import ROOT

_HOMEWORK_WORDS = r"homework|home[ _-]work|assignment|exercises?|hw|ex|task|lab|week|hausaufgabe|übung|devoir|tarea"
_NOISE = re.compile(
    r"\b(?:copy of|kopie von|copie de|copia de|copy|kopie|final|finished|done|last|latest|new|old|my|the|version|v\d+"
    r"|draft|mine|attempts?|try|retry|resubmission|submissions?|submitted|hand(?:ed)?[ -]?in|upload|notebooks?"
    r"|solutions?|answers?|untitled\d*|checkpoint|corrected|fixed|main|master|ipynb|of|on)\b|\(\d*\)|(?<!\w)\d{1,2}(?!\w)",
    re.I,
)


@cache
def homeworks() -> dict[str, str]:
    """Return number → name of each homework of this checkout, for example ``03`` → ``mlflow_basics``."""
    return {step.number: step.name for step in steps.steps()}


def step(number: str) -> str:
    """Return the name of the step with this number."""
    return homeworks()[number]


def called(text: str) -> str | None:
    """Return the number of the homework that a notebook calls; two digits are a number of the first edition."""
    if re.fullmatch(r"\d\d", text):
        return next((step.number for step in steps.steps() if step.was == text), None)
    return resolve(text)


def resolve(text: str) -> str | None:
    """Return the number of the homework that a number or a name means, in any usual spelling; None when there is none.

    ``03``, ``3``, ``mlflow_basics``, ``mlflow-basics``, ``03_mlflow_basics``, ``hw03`` and ``hw-mlflow-basics``, as its
    experiment is called, are one homework.
    """
    plain = re.sub(r"[\W_]+", "_", text.strip().lower()).strip("_")
    known = homeworks()
    for number, name in known.items():
        if re.fullmatch(rf"(?:hw_|\d+_)?{name}", plain):  # the number may be that of another edition
            return number
    found = re.fullmatch(rf"(?:(?:{_HOMEWORK_WORDS})_?)?0*(\d{{1,2}})", plain)
    number = f"{int(found[1]):02d}" if found else ""
    return number if number in known else None


def homework_in_name(name: str) -> str | None:
    """Return the number of the homework that a file's or folder's name tells; a number alone in front is not enough.

    ``07_lee_03_mlflow_basics`` is homework 03: 07 may be a list number, so only a number beside a word counts.
    """
    plain = re.sub(r"[\W_]+", "_", unicodedata.normalize("NFC", name).lower())
    found = [number for number, title in homeworks().items() if re.search(rf"(?<![a-z]){title}(?![a-z])", plain)]
    longest = max(found, key=lambda number: len(homeworks()[number]), default="")  # portable_models holds models
    if found and all(homeworks()[number] in homeworks()[longest] for number in found):
        return longest
    told = [resolve(f"hw{n}") for n in re.findall(rf"(?<![a-z])(?:{_HOMEWORK_WORDS})_?0*(\d{{1,2}})(?!\d)", plain)]
    if not told and (first := re.match(r"(\d\d)(?!\d)", plain)) and not leftover(plain[2:]):
        told = [resolve(first[1])]
    return told[0] if len(set(told)) == 1 else None


def leftover(name: str) -> str:
    """Return what a name holds beside the homework and words such as ``final``: the learner, or nothing."""
    text = re.sub(r"(?i)(\.ipynb|\.json|\.txt|\.py|\.zip)+$", "", unicodedata.normalize("NFC", name))
    for title in sorted(homeworks().values(), key=len, reverse=True):  # portable_models before models
        spelled = title.replace("_", "[ _-]*")  # behind any number: it may be that of another edition
        text = re.sub(rf"(?i)(?:(?<!\d)\d{{1,2}}[ _-]*)?(?<![^\W_]){spelled}(?![^\W\d_])(?:-\d+)?", " ", text)
    text = re.sub(rf"(?i)(?<![^\W_])(?:{_HOMEWORK_WORDS})[ _-]*\d*(?![^\W_])", " ", text)
    kept = _NOISE.sub(" ", re.sub(r"_", " ", text))
    if not re.search(r"[^\W_]", kept):
        number = re.search(r"(?<!\d)\d{3,}(?!\d)", text)
        return number[0] if number else ""
    text = re.sub(r"\s+", " ", text).strip(" _-.")
    return re.sub(r"(?i)(?:[ _-]+(?:v\d+|final|copy|draft|new|\(\d+\)))+$", "", text).strip(" _-.")


@dataclass(frozen=True)
class Handed:
    """Who handed something in, and when, as far as its path and its content tell.

    Attributes
    ----------
    label
        The learner as named there; empty when nothing names one.
    ids
        Ids and account names that stand there, beside the label.
    system
        ``Moodle``, ``Canvas``, ``Brightspace``, ``Blackboard``, ``GitHub Classroom``, ``notebook`` or ``path``.
    late
        Whether the system itself has marked it late.
    time, time_from
        Seconds since 1970 at which it was handed in, and who says so: the system, ``archive`` or ``file``.
    order
        Number of the attempt, when the name has one.
    remark
        What does not fit together.
    """

    label: str = ""
    ids: tuple[str, ...] = ()
    system: str = ""
    late: bool = False
    time: float | None = None
    time_from: str = ""
    order: int = 0
    remark: str = ""


_WHEN = r"(?P<when>(?:\w{3,9}\.? \d{1,2}|\d{1,2} \w{3,9}\.?),? \d{4} \d{1,2}[:.]?\d\d ?(?:[AP]M)?)"
_SYSTEMS = (
    ("Moodle", re.compile(r"(?P<name>.+?)_(?P<ident>\d+)_assignsubmission_[a-z]+(?:_(?P<file>.*))?")),
    # Two numbers alone may be a list number and the homework's: Canvas's second one, the submission's, is longer.
    ("Canvas", re.compile(r"(?P<name>[^_/]+)_(?P<late>LATE_)?(?P<ident>\d{2,})_(?P<sub>\d{3,})_(?P<file>.+)")),
    ("Brightspace", re.compile(rf"(?:(?P<ident>\d+(?:-\d+)?) ?- ?)?(?P<name>.+?) ?- ?{_WHEN}", re.I)),
    (
        "Blackboard",
        re.compile(r"(?P<file>.+?)_(?P<ident>[^_]+)_attempt_(?P<when>\d{4}(?:-\d\d){5})(?:_(?P<rest>.+))?"),
    ),
)
_TIMES = ("%b %d %Y %I%M %p", "%B %d %Y %I%M %p", "%d %b %Y %I%M %p", "%d %B %Y %I%M %p", "%Y-%m-%d-%H-%M-%S")


def _time(text: str) -> float | None:
    plain = re.sub(r"\s+", " ", re.sub(r"[,.:]", "", re.sub(r"(?i)(\d)([ap]m)", r"\1 \2", text))).strip()
    for form in (*_TIMES, *(f.replace("%I%M %p", "%H%M") for f in _TIMES[:4])):
        try:
            return datetime.strptime(plain, form).timestamp()
        except ValueError:
            continue
    return None


def by_system(part: str) -> Handed | None:
    """Return what the name of a file or folder says when a learning platform has made it."""
    stem = re.sub(r"(?i)(\.ipynb|\.json|\.txt|\.py|\.zip|\.html|\.pdf)+$", "", unicodedata.normalize("NFC", part))
    for system, pattern in _SYSTEMS:
        found = pattern.fullmatch(stem)
        if found is None:
            continue
        parts = found.groupdict(default="")
        when = _time(parts["when"]) if parts.get("when") else None
        again = re.search(r"-(\d{1,2})$", parts.get("file", ""))
        name, ident = parts.get("name", ""), parts.get("ident", "")
        return Handed(
            label=" ".join(name.split()) or ident,
            ids=(ident,) if ident else (),
            system=system,
            late=bool(parts.get("late")),
            time=when,
            time_from=system if when else "",
            order=int(again[1]) if again and system == "Canvas" else 0,
        )
    titles = "|".join(title.replace("_", "[-_]") for title in homeworks().values())
    found = re.fullmatch(
        rf"(?i)(?:(?:{_HOMEWORK_WORDS})[-_]?\d{{1,2}}(?:[-_](?:{titles}))?|(?:\d\d[-_])?(?:{titles}))-(.+)", stem
    )
    if found:
        account = re.sub(r"-(?:main|master)$", "", found[1])
        if re.fullmatch(r"[A-Za-z\d]+(?:-[A-Za-z\d]+)*", account) and leftover(account) and not account.isdigit():
            return Handed(label=account, ids=(account,), system="GitHub Classroom")
    return None


@dataclass(frozen=True)
class Content:
    """What stands in a notebook.

    Attributes
    ----------
    code
        Source of each code cell.
    homeworks
        Numbers of the homework whose checks it calls, or whose title it bears.
    unknown
        What it names as its homework, and is none.
    lecture
        Number of the lecture whose title it bears.
    label, ids
        The learner that it names, with e-mail or id.
    """

    code: tuple[str, ...] = ()
    homeworks: tuple[str, ...] = ()
    unknown: str = ""
    lecture: str = ""
    label: str = ""
    ids: tuple[str, ...] = ()


_CALL = re.compile(r"\bHomework\(\s*(?:\w+\s*=\s*)?(?:[rRfFuU]?(['\"])(.*?)\1|(\d+))\s*[,)]", re.S)
_NAMED = re.compile(
    r"^[\W_]*(?:(?:full |your |student |learner )?names?|authors?|student|learner)[\s*_]*[:=][\s*_\"']*"
    r"(.{2,60}?)[\s*_\"']*$",
    re.I,
)
_ID = re.compile(
    r"^[\W_]*(?:(?:student|learner|matriculation|registration)[ -]?)?(?:id|number|no\.?)[\s*_]*[:=]"
    r"[\s*_\"']*(\w{3,20})\b",
    re.I,
)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


def cells(notebook: Any) -> list[tuple[str, str]]:
    """Return kind and source of each cell of a notebook that was read as JSON, in any version of the format."""
    found = notebook.get("cells")
    if found is None:
        found = [cell for sheet in notebook.get("worksheets", []) for cell in sheet.get("cells", [])]
    result = []
    for cell in found:
        source = cell.get("source", cell.get("input", ""))
        result.append((str(cell.get("cell_type")), "".join(source) if isinstance(source, list) else str(source)))
    return result


def parse(raw: bytes) -> dict[str, Any]:
    """Return a notebook's JSON.

    Raises
    ------
    ValueError
        When it is not a notebook; the message says what is wrong with it.
    """
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    if not raw.strip():
        raise ValueError("the file is empty")
    try:
        notebook = json.loads(raw.decode(encoding))
    except UnicodeDecodeError:
        raise ValueError("it is not text") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error})") from None
    if not isinstance(notebook, dict) or not any(isinstance(notebook.get(k), list) for k in ("cells", "worksheets")):
        raise ValueError("it is JSON, but has no cells")
    return notebook


def title(kind_and_source: Iterable[tuple[str, str]]) -> str:
    """Return the first heading of the first level, without a number in front."""
    for kind, source in kind_and_source:
        if kind == "markdown" and (found := re.search(r"^# +(.+)$", source, re.M)):
            return re.sub(r"\s*\(solution\)$", "", found[1].strip())
    return ""


@cache
def ours(folder: str, number: str) -> tuple[tuple[str, str], ...]:
    """Return the cells of our notebook in ``exercises``, ``solutions`` or ``notebooks``; none when it is not here."""
    for path in sorted((ROOT / folder).glob(f"{number}_*.ipynb")):
        return tuple(cells(parse(path.read_bytes())))
    return ()


@cache
def _titles(folder: str) -> dict[str, str]:
    return {heading: n for n in homeworks() if (heading := title(ours(folder, n)))}


def read(notebook: dict[str, Any]) -> Content:
    """Return what stands in a notebook."""
    try:
        all_cells = cells(notebook)
        metadata = notebook.get("metadata") or {}
        people = [str(a.get("name", "")) for a in metadata.get("authors", []) if isinstance(a, dict)]
    except (AttributeError, TypeError):
        return Content()
    code = tuple(source for kind, source in all_cells if kind == "code")
    plain = "\n".join(re.sub(r"^\s*#.*$", "", source, flags=re.M) for source in code)
    named = list(dict.fromkeys(text or number for _, text, number in _CALL.findall(plain)))
    numbers = tuple(dict.fromkeys(n for n in map(called, named) if n))
    unknown = next((text for text in named if not called(text)), "")
    heading, lecture = title(all_cells), ""
    if not numbers and heading:
        if (
            told := _titles("exercises").get(heading)
            or (found := re.match(r"Homework\s+(\d{1,2}|\w+)\b", heading, re.I))
            and resolve(found[1])
        ):
            numbers = (told,)
        elif heading in _titles("notebooks"):
            lecture = _titles("notebooks")[heading]
    label, ids = "", []
    shipped = {line for n in numbers for _, source in ours("exercises", n) for line in source.splitlines()}
    for kind, source in all_cells[:6]:
        for line in source.splitlines()[:40]:
            # An argument in a call, such as `name="boosting",` of log_model, is nobody's name.
            if line in shipped or kind == "code" and (line[:1].isspace() or line.rstrip().endswith(",")):
                continue
            if (
                not label
                and (found := _NAMED.match(line))
                and not re.search(r"your name|\.\.\.|…|[(){}\[\]]", found[1])
            ):
                label = _MAIL.sub("", found[1]).strip(" <>,;")
            if found := _ID.match(line):
                ids.append(found[1])
            if _NAMED.match(line) or re.match(r"^[\W_]*e-?mail\W", line, re.I):
                ids += _MAIL.findall(line)
    return Content(code, numbers, unknown, lecture, label or next(filter(None, people), ""), tuple(ids))
