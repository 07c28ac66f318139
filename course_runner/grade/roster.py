"""Say whose work a file is: from its path and content, and who that is on the class's roster."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from course_runner.grade import names
from course_runner.grade.names import Handed
from course_runner.grade.unpack import shown
from course_utils.errors import CourseError

if TYPE_CHECKING:
    from course_runner.grade.inbox import Found


class Owners:
    """Says whose a file is: by the platform's name for it, by the notebook, by the folder, by the file."""

    def __init__(self, found: list[Found]) -> None:
        children: dict[tuple, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for f in found:
            for depth, part in enumerate(f.file.parts):
                if names.leftover(part):
                    for number in f.homeworks:
                        children[f.file.parts[:depth]][number].add(part)
        # A folder in which several others hold the same homework is a section of the class, not a learner.
        self._sections = {place for place, by in children.items() if any(len(found) > 1 for found in by.values())}

    def of(self, found: Found) -> tuple[Handed, tuple[str, ...]]:
        """Return who handed a file in, and the folder in which that learner's files lie."""
        file, content = found.file, found.content
        parts = file.parts[: file.checkout - 1] if file.checkout else file.parts
        handed, home = next(
            ((h, file.parts[: i + 1]) for i, part in enumerate(parts) if (h := names.by_system(part))), (None, ())
        )
        if handed is None:
            handed, home = self._by_path(parts)
            if content.label:
                other = handed.label and not _share(handed.label, content.label)
                remark = f"the path says {shown(handed.label)}" if other else ""
                handed = replace(handed, label=content.label, ids=content.ids, system="notebook", remark=remark)
        elif content.label and not _share(handed.label, content.label):
            handed = replace(handed, remark=f"the notebook names {shown(content.label)}")
        label = " ".join(shown(handed.label).split())[:120]
        if handed.time is None:
            try:
                stamp = file.path.lstat().st_mtime
            except OSError:
                stamp = None
            handed = replace(handed, time=stamp, time_from="archive" if file.archived else "file")
        return replace(handed, label=label), home

    def _by_path(self, parts: tuple[str, ...]) -> tuple[Handed, tuple[str, ...]]:
        for depth, part in enumerate(parts):
            label = names.leftover(part)
            if label and parts[: depth + 1] not in self._sections:
                return Handed(label=label, system="path"), parts[: depth + 1]
        return Handed(system="path"), parts


def _share(one: str, other: str) -> bool:
    """Tell whether two names may be the same person's: one word is in both, or one is written in one word."""
    words = [set(re.findall(r"\w+", name.lower())) for name in (one, other)]
    joined = ["".join(sorted(re.sub(r"\W", "", name.lower()))) for name in (one, other)]
    return bool(words[0] & words[1]) or joined[0] == joined[1]


# ---- the roster ---------------------------------------------------------------------------------------------------------

_HEADERS = {
    "name": {"name", "fullname", "student", "studentname", "displayname", "learner", "nameofstudent", "vollername"},
    "first": {"first", "firstname", "givenname", "forename", "vorname", "prenom", "nombre"},
    "last": {"last", "lastname", "surname", "familyname", "nachname", "nom", "apellidos"},
    "email": {"email", "emailaddress", "mail", "mailaddress", "emailadresse"},
    "id": {
        *("id", "studentid", "studentnumber", "idnumber", "number", "matriculationnumber", "matrikelnummer"),
        *("orgdefinedid", "identifier", "sisuserid", "no", "matriculation", "learnerid", "nr"),
    },
    "account": {"login", "username", "sisloginid", "loginid", "github", "githubusername", "account", "githubid"},
}


@dataclass(frozen=True)
class Person:
    """A line of the roster; `ids` are all ids and account names, `row` is the line as it stands there."""

    id: str
    name: str
    email: str
    ids: frozenset[str] = frozenset()
    row: dict[str, str] = field(default_factory=dict, compare=False, repr=False)


def fold(text: str) -> tuple[str, ...]:
    """Return the words of a name in plain small letters, sorted: ``Öz, Gül`` and ``gul oz`` are the same."""
    text = unicodedata.normalize("NFKD", text.translate(str.maketrans("øØłŁđĐıæÆœŒ", "oOlLdDiaAoO")))
    text = "".join(c for c in text if not unicodedata.combining(c))
    return tuple(sorted(re.findall(r"[^\W_]+", text.casefold())))


def _spellings(name: str) -> set[tuple[str, ...]]:
    """Return the words of a name in each usual spelling: ``Müller`` is ``muller`` and ``mueller``."""
    german = re.sub("[äöüÄÖÜ]", lambda m: dict(zip("äöü", ("ae", "oe", "ue"), strict=True))[m[0].lower()], name)
    return {fold(name), fold(german)}


def _in_one_word(name: str) -> set[str]:
    """Return a name as platforms join it: ``Zoe Doe`` gives ``zoedoe`` and ``doezoe``."""
    joined = set()
    for spelled in (name, re.sub("[äöü]", lambda m: {"ä": "ae", "ö": "oe", "ü": "ue"}[m[0]], name.lower())):
        words = ["".join(fold(word)) for word in re.split(r"[\s,]+", spelled) if fold(word)]
        joined |= {"".join(words[n:] + words[:n]) for n in range(len(words))}
    return joined


def _id(text: str) -> str:
    return text.strip().lstrip("#").lower().lstrip("0")


class Roster:
    """The class.

    Parameters
    ----------
    people
        Its members.
    columns
        Headers of the file that it was read from.
    """

    def __init__(self, people: Iterable[Person] = (), columns: Iterable[str] = ()) -> None:
        self.people, self.columns = list(people), list(columns)

    @classmethod
    def read(cls, path: Path) -> Roster:
        """Read a CSV with id, name and e-mail, as Moodle, Canvas, Brightspace, GitHub Classroom or a spreadsheet saves it.

        Raises
        ------
        CourseError
            When it cannot be read, no column holds a name, or two lines have the same id.
        """
        rows, columns = read_table(path, "the roster")
        plain = {column: "".join(fold_header(column)) for column in columns}
        role = {r: [c for c in columns if plain[c] in known] for r, known in _HEADERS.items()}
        if not (role["name"] or role["last"] or role["first"]):
            raise CourseError(
                f"{path} has no column with names: I see {', '.join(columns)[:200]}. Its first line must name the columns, "
                "for example: id,name,email."
            )
        people, seen = [], {}
        for number, row in enumerate(rows, 2):
            first = " ".join(row[c] for c in (role["first"] + role["last"]) if row[c])
            name = next((row[c] for c in role["name"] if row[c]), "") or first
            if not name or "points possible" in name.lower() or name.lower().startswith("student, test"):
                continue  # Canvas's second line, and its test student
            if "," in name and not first:
                last, _, given = name.partition(",")
                name = f"{given.strip()} {last.strip()}"
            ids = [row[c] for c in role["id"] if row[c]]
            email = next((row[c] for c in role["email"] if row[c]), "")
            person = Person(
                ids[0].lstrip("#") if ids else "",
                name,
                email,
                frozenset(_id(text) for text in [*ids, *(row[c] for c in role["account"] if row[c])]),
                row,
            )
            if person.id and person.id in seen:
                raise CourseError(f"{path}: lines {seen[person.id]} and {number} have the same id {person.id}.")
            seen[person.id] = number
            people.append(person)
        return cls(people, columns)

    def join(self, handed: Handed) -> tuple[Person | None, str, str]:
        """Return who it was, by what that is known, and what stands against it; one who is not certain is nobody."""
        words = re.findall(r"[\w.+@#-]+", handed.label)
        if handed.system == "Moodle":  # the number in its names is that of a participant in one assignment
            asked = {f"participant {ident}" for ident in handed.ids}
        else:
            asked = {_id(text) for text in (*handed.ids, *words, *re.findall(r"\d+", handed.label)) if text} - {""}
        mails = {text.lower() for text in (*handed.ids, *words) if "@" in text}
        accounts = {text.lower() for text in handed.ids}
        by_id = [p for p in self.people if p.ids & asked]
        label = re.sub(r"[^\W_]*\d[^\W_]*", " ", handed.label)
        spelled, joined = _spellings(label) - {()}, "".join(fold(word)[0] for word in label.split() if fold(word))
        by_name = [
            p for p in self.people if spelled & _spellings(p.name) or (joined and joined in _in_one_word(p.name))
        ]
        by_part = [
            p
            for p in self.people
            if any(set(s) <= set(n) or set(n) <= set(s) for s in spelled for n in _spellings(p.name) if n)
        ]
        named = by_name or by_part
        accounts |= {handed.label.lower()} if len(named) < 2 else set()
        by_mail = [
            p for p in self.people if p.email and {p.email.lower(), p.email.lower().split("@")[0]} & (mails | accounts)
        ]
        for found, how in ((by_id, "id"), (by_mail, "e-mail"), (by_name, "name"), (by_part, "part of the name")):
            if not found:
                continue
            sure = [p for p in found if p in named] if how in ("id", "e-mail") and named else found
            if len(sure) == 1:
                return sure[0], how, ""
            if not sure:
                one, other = found[0], named[0]
                return None, "", f"the {how} is {one.name}'s, the name {other.name}'s"
            return None, "", f"{how} fits {len(sure)} on the roster: {', '.join(p.name for p in sure[:4])}"
        return (
            None,
            "",
            "nobody on the roster has this name or id" if handed.label else "no name in its path or its text",
        )


def fold_header(text: str) -> list[str]:
    """Return the words of a header in plain small letters, in their order."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.findall(r"[a-z]+", plain)


def read_table(path: Path, what: str) -> tuple[list[dict[str, str]], list[str]]:
    """Return lines and headers of a CSV in any usual encoding and with any usual delimiter.

    Raises
    ------
    CourseError
        When it cannot be read or has no line.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CourseError(f"{what.capitalize()} {path} cannot be read ({error.strerror}).") from error
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = raw.decode("utf-16", "replace")
    else:
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("cp1252", "replace")
    lines = text.splitlines()
    if lines and (said := re.fullmatch(r"sep=(.)", lines[0])):  # Excel's own line
        delimiter, text = said[1], "\n".join(lines[1:])
    else:
        delimiter = max(",;\t|", key=(lines[0] if lines else "").count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=delimiter)]
    rows = [row for row in rows if any(row)]
    if len(rows) < 2:
        raise CourseError(f"{what.capitalize()} {path} has no lines below its header.")
    columns = [name or f"column {n}" for n, name in enumerate(rows[0], 1)]
    return [dict(zip(columns, row + [""] * len(columns), strict=False)) for row in rows[1:]], columns
