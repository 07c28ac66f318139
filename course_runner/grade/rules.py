"""What an instructor decides: which attempt counts, what late days cost, and what is changed by hand."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from course_runner.grade import names
from course_runner.grade.roster import fold_header, read_table
from course_utils.errors import CourseError


@dataclass(frozen=True)
class Rule:
    """How attempts and late work count.

    Attributes
    ----------
    attempt
        ``latest`` or ``best``.
    due
        When it had to be handed in; None when that is never too late.
    per_day
        What each started day costs: a share of the points reached, or points.
    share
        Whether `per_day` is a share.
    """

    attempt: str = "latest"
    due: datetime | None = None
    per_day: float = 0.0
    share: bool = True

    @classmethod
    def read(cls, attempt: str, due: str | None, per_day: str | None) -> Rule:
        """Return the rule that the command's options mean.

        Raises
        ------
        CourseError
            When one of them cannot be read.
        """
        if attempt not in ("latest", "best"):
            raise CourseError(f"--attempt {attempt!r} is unknown. Write latest or best.")
        when = None
        if due is not None:
            try:
                when = datetime.fromisoformat(due.strip())
            except ValueError:
                raise CourseError(f"--due {due!r} is not a time. Write for example 2026-11-30T23:59.") from None
            if re.fullmatch(r"\d{4}-\d\d-\d\d", due.strip()):
                when = when.replace(hour=23, minute=59, second=59)
            when = when.astimezone()
        cost, share = 0.0, True
        if per_day is not None:
            found = re.fullmatch(r"(\d+(?:[.,]\d+)?)\s*(%?)", per_day.strip())
            if not found or (found[2] and float(found[1].replace(",", ".")) > 100):
                raise CourseError(
                    f"--late-per-day {per_day!r} is unclear. Write 10% of the points reached, or points: 0.5."
                )
            share = bool(found[2])
            cost = float(found[1].replace(",", ".")) / (100 if share else 1)
        return cls(attempt, when, cost, share)

    def penalty(self, points: float, days: int) -> float:
        """Return the points that so many started days cost."""
        return round(min(points, points * self.per_day * days if self.share else self.per_day * days), 2)


@dataclass(frozen=True)
class Change:
    """A change by hand: points of one task (or of all, without one) of a learner's homework."""

    learner: str
    homework: str
    task: int | None
    points: float
    remark: str
    line: int


def read_changes(path: Path) -> list[Change]:
    """Read a CSV with the columns learner, homework, task, points, remark.

    Raises
    ------
    CourseError
        When a column is missing, or a line names no homework, task or number of points.
    """
    rows, columns = read_table(path, "the table of changes")
    plain = {"".join(fold_header(c)): c for c in columns}
    if missing := [name for name in ("learner", "homework", "points") if name not in plain]:
        raise CourseError(f"{path} has no column {missing[0]}. Its header is: learner,homework,task,points,remark")
    changes = []
    for line, row in enumerate(rows, 2):
        where = f"{path}, line {line}: "
        number = names.resolve(row[plain["homework"]])
        if number is None:
            raise CourseError(f"{where}there is no homework {row[plain['homework']]!r}.")
        task = row[plain["task"]] if "task" in plain else ""
        if task and not re.fullmatch(r"(?i)(?:task)?\s*\d{1,2}", task):
            raise CourseError(f"{where}the task {task!r} is not a number. Leave it empty for the whole homework.")
        try:
            points = float(row[plain["points"]].replace(",", "."))
        except ValueError:
            points = math.nan
        if not 0 <= points < 10_000:
            raise CourseError(f"{where}{row[plain['points']]!r} is not a number of points.")
        remark = row[plain["remark"]] if "remark" in plain else ""
        whole = int(re.sub(r"\D", "", task)) if task else None
        changes.append(Change(row[plain["learner"]], number, whole, points, remark, line))
    return changes
