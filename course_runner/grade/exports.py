"""Write the gradebook: our own table, and a file that a learning platform takes. A format is a class with one method."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from course_runner.grade import names
from course_runner.grade.gradebook import Entry, Gradebook
from course_runner.grade.roster import Roster
from course_runner.grade.unpack import Skipped
from course_utils._plumbing import files


def safe(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula and no terminal obeys; numbers stay as they are.

    A quote goes in front of what begins like a formula, also behind a delimiter: a spreadsheet set to semicolons splits there.
    """
    if not isinstance(value, str):
        return value
    text = "".join(c if c.isprintable() or c == "\n" else " " for c in value).replace("\n", " ")
    return re.sub(r"(^|[;,|])(\s*)(?=[=+\-@＝＋－＠])", r"\1\2'", text)


def write_csv(target: Path, rows: list[dict[str, Any]], columns: Iterable[str] = ()) -> Path:
    """Write rows of unequal columns as one CSV; the mark at its start tells Excel that it is UTF-8."""
    columns = list(columns) or list(dict.fromkeys(key for row in rows for key in row))
    table = io.StringIO("\ufeff", newline="")
    table.seek(0, io.SEEK_END)
    writer = csv.DictWriter(table, columns, restval="")
    writer.writerow({column: safe(column) for column in columns})
    writer.writerows({key: safe(value) for key, value in row.items()} for row in rows)
    files.write(target, table.getvalue(), "Choose another place with -o.")
    return target


def beside(target: Path, ending: str) -> Path:
    """Return the path of a file that belongs to the table: ``grades.csv`` and ``_report.html`` give one name."""
    return target.with_name(f"{target.stem}{ending}")


class Export(Protocol):
    """A format of the gradebook. To add one: a class with this method, and a line in `EXPORTS`."""

    def write(self, book: Gradebook, roster: Roster | None, target: Path) -> list[Path]:
        """Write the file or files beside `target`, and return their paths."""


class Table:
    """Every submission and every learner, with all that is known: for people."""

    def write(self, book: Gradebook, roster: Roster | None, target: Path) -> list[Path]:
        """Write the table itself."""
        head = [
            "submission",
            "learner",
            "id",
            "email",
            "homework",
            "attempt",
            "counts",
            "points",
            "of",
            "judged",
            "late",
        ]
        head += ["status", "flags", "remarks", "joined", "seconds", "sha256"]
        rows = [self._row(entry) for entry in book.entries]
        tasks = sorted(
            {key for row in rows for key in row} - set(head), key=lambda key: (int(re.search(r"\d+", key)[0]), key)
        )
        return [write_csv(target, rows, [*head, *tasks])]

    @staticmethod
    def _row(entry: Entry) -> dict[str, Any]:
        grade, person = entry.grade, entry.person
        row = {
            "submission": grade.submission,
            "learner": entry.learner,
            "id": person.id if person else "",
            "email": person.email if person else "",
            "homework": entry.homework,
            "attempt": entry.attempt if entry.submission else "",
            "counts": "yes" if entry.counts and entry.submission else "no" if entry.submission else "",
            "points": _number(entry.points),
            "of": _number(grade.of),
            "judged": _number(entry.judged),
            "late": entry.late,
            "status": grade.status,
            "flags": "; ".join(entry.submission.flags) if entry.submission else "",
            "remarks": "; ".join([*entry.remarks, *([entry.problem] if entry.problem else [])]),
            "joined": entry.joined,
            "seconds": grade.seconds,
            "sha256": grade.sha256,
        }
        for task in entry.tasks:
            row[f"task{task['task']}"] = _number(task["points"])
            row[f"task{task['task']}_code"] = task["code"]
        return row


class Moodle:
    """The grading worksheet of an assignment, one file a homework.

    Moodle's importer asks for *Identifier*, *Grade* and *Last modified (grade)*; the identifier stands in the names of files
    downloaded from it. Where it is not known, the same file goes to the gradebook: map *ID number* or *Email address*.
    """

    def write(self, book: Gradebook, roster: Roster | None, target: Path) -> list[Path]:
        """Write ``…_moodle_03.csv`` for each homework."""
        written = []
        for homework in sorted({e.homework for e in book.counting()}):
            rows = []
            for entry in _sure(book, homework):
                handed, person = entry.handed, entry.person
                listed = next((i for i in (person.row.values() if person else ()) if i.startswith("Participant ")), "")
                rows.append(
                    {
                        "Identifier": f"Participant {handed.ids[0]}" if handed.system == "Moodle" else listed,
                        "Full name": entry.learner,
                        "ID number": person.id if person else "",
                        "Email address": person.email if person else "",
                        "Grade": _number(entry.points),
                        "Maximum Grade": _number(entry.grade.of),
                        "Last modified (grade)": "",  # asked for by the importer; empty is never newer
                        "Feedback comments": _comment(entry),
                    }
                )
            if rows:
                written.append(write_csv(beside(target, f"_moodle_{homework}.csv"), rows))
        return written


class Canvas:
    """The gradebook import, one column a homework; a roster that Canvas exported lends ids and the names of its columns."""

    def write(self, book: Gradebook, roster: Roster | None, target: Path) -> list[Path]:
        """Write ``…_canvas.csv``."""
        homework = sorted({e.homework for e in book.counting()})
        titles = {number: self._title(number, roster) for number in homework}
        columns = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
        points: dict[str, Any] = dict.fromkeys(columns, "") | {"Student": "    Points Possible"}
        rows: dict[Any, dict[str, Any]] = {}
        for number in homework:
            for entry in _sure(book, number):
                handed, person = entry.handed, entry.person
                line = person.row if person else {}
                row = rows.setdefault(
                    person or entry.learner,
                    {
                        "Student": line.get("Student") or entry.learner,
                        "ID": line.get("ID") or (handed.ids[0] if handed.system == "Canvas" else ""),
                        "SIS User ID": line.get("SIS User ID") or (person.id if person else ""),
                        "SIS Login ID": line.get("SIS Login ID") or (person.email if person else ""),
                        "Section": line.get("Section", ""),
                    },
                )
                row[titles[number]] = _number(entry.points)
                points[titles[number]] = _number(entry.grade.of)
        if not rows:
            return []
        named = [titles[n] for n in homework if titles[n] in points]
        return [write_csv(beside(target, "_canvas.csv"), [points, *rows.values()], [*columns, *named])]

    @staticmethod
    def _title(number: str, roster: Roster | None) -> str:
        for column in roster.columns if roster else ():
            if re.search(r"\(\d+\)$", column) and names.homework_in_name(re.sub(r"\(\d+\)$", "", column)) == number:
                return column
        return f"Homework {number} {names.homeworks().get(number, '').replace('_', ' ')}".strip()


#: What `course grade` writes, in this order.
EXPORTS: dict[str, Export] = {"table": Table(), "moodle": Moodle(), "canvas": Canvas()}


def _sure(book: Gradebook, homework: str) -> list[Entry]:
    """Return the lines that a platform may take: graded, and of somebody who is known."""
    return [e for e in book.counting() if e.homework == homework and e.graded and e.learner and not e.problem]


def _number(value: float) -> float | int:
    return int(value) if float(value).is_integer() else round(float(value), 2)


def _comment(entry: Entry) -> str:
    said = [f"Task {t['task']}: {t['points']:g} of {t['of']:g}" for t in entry.tasks]
    return ". ".join([*said, *([f"Late: {entry.late}, -{entry.penalty:g} points"] if entry.penalty else [])])


def count_mistakes(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Return how many learners of the class made each mistake in the attempt that counts, most frequent first."""
    counts = Counter(
        (e.homework, t["task"], t["code"]) for e in entries for t in e.tasks if t["code"] not in ("ok", "not-graded")
    )
    return [
        {"homework": homework, "task": task, "mistake": code, "learners": n}
        for (homework, task, code), n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


def write_skipped(target: Path, skipped: list[Skipped]) -> Path:
    """Write the list of files that were handed in and not graded, with the reasons."""
    what = {"look": "look at it", "aside": "no homework", "leftover": "left behind"}
    rows = [{"file": s.name, "kind": what[s.weight], "why": s.why} for s in skipped]
    return write_csv(beside(target, "_not_graded.csv"), rows, ["file", "kind", "why"])
