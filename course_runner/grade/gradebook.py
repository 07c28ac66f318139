"""Turn verdicts into grades: whose, which attempt counts, late or not, and what was changed by hand."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from course_runner.grade.grading import Grade, ours_to_fix
from course_runner.grade.inbox import Submission
from course_runner.grade.names import Handed
from course_runner.grade.roster import Person, Roster, fold
from course_runner.grade.rules import Change, Rule

#: Status of a learner on the roster without a submission; and of one whose points were only entered by hand.
NOTHING, BY_HAND = "nothing handed in", "by hand"
#: Platforms that put a learner's own number into each name.
_NUMBERED = {"Moodle", "Canvas", "Brightspace"}


@dataclass
class Entry:
    """One line of the gradebook: an attempt, or a learner who has handed in nothing (then `submission` is None)."""

    grade: Grade
    submission: Submission | None
    person: Person | None
    learner: str
    joined: str = ""
    problem: str = ""
    attempt: int = 1
    counts: bool = True
    tasks: list[dict[str, Any]] = field(default_factory=list)
    judged: float = 0.0
    points: float = 0.0
    late_days: int = 0
    late: str = ""
    penalty: float = 0.0
    remarks: list[str] = field(default_factory=list)

    @property
    def homework(self) -> str:
        """Two digits."""
        return self.grade.homework

    @property
    def graded(self) -> bool:
        """Whether the points say something about the work."""
        return self.grade.status == BY_HAND or any(task["code"] != "not-graded" for task in self.tasks)

    @property
    def handed(self) -> Handed:
        """Who handed it in, and when."""
        return self.submission.handed if self.submission else Handed(self.learner)


@dataclass
class Gradebook:
    """All lines, and what somebody has to look at."""

    entries: list[Entry]
    problems: list[str] = field(default_factory=list)

    def counting(self) -> list[Entry]:
        """Return the lines that count: one a learner and homework, without those who handed in nothing."""
        return [e for e in self.entries if e.counts and e.grade.status != NOTHING]

    def missing(self) -> list[Entry]:
        """Return the lines of those who handed in nothing."""
        return [e for e in self.entries if e.grade.status == NOTHING]


def fill(
    submissions: list[Submission],
    grades: list[Grade],
    roster: Roster | None = None,
    changes: Iterable[Change] = (),
    rule: Rule | None = None,
) -> Gradebook:
    """Return the gradebook of a class.

    Parameters
    ----------
    submissions, grades
        What was handed in, and the verdict on each, in the same order.
    roster
        The class; without one, learners are called as their files are.
    changes
        Changes by hand, which win over what checks and rules say.
    rule
        Which attempt counts, and what late days cost.
    """
    rule = rule or Rule()
    book = Gradebook([])
    unsure = _unpacked_at_once(submissions) if rule.due else set()
    if unsure:
        book.problems.append(
            f"{len(unsure)} files have nearly the same time, that of their unpacking: they say nothing about who was late, so "
            "nobody's points are cut for that. Give the platform's own zip instead of a folder."
        )
    for submission, grade in zip(submissions, grades, strict=True):
        handed = submission.handed
        person, joined, problem = roster.join(handed) if roster else (None, "", "")
        learner = person.name if person else handed.label
        entry = Entry(grade, submission, person, learner, joined, problem)
        entry.tasks = [dict(task) for task in grade.tasks]
        entry.judged = entry.points = grade.points
        entry.remarks = [handed.remark] if handed.remark else []
        _late(entry, rule, submission in unsure)
        if problem:
            book.problems.append(f"{submission.name}: whose is it? {problem}")
        book.entries.append(entry)
    _change(book, list(changes), roster, rule)
    _choose(book, rule)
    if roster:
        _add_missing(book, roster)
    book.problems += [f"{e.grade.submission}: {e.grade.status}" for e in book.entries if e.submission and not e.graded]
    return book


def _unpacked_at_once(submissions: list[Submission]) -> set[Submission]:
    """Return the submissions whose file times are those of one unpacking or cloning, not of handing in."""
    told = [s for s in submissions if s.handed.time_from == "file" and s.handed.time and s.handed.system != "Canvas"]
    times = sorted(s.handed.time for s in told)
    return set(told) if len(times) > 2 and times[-1] - times[0] < 600 else set()


def _late(entry: Entry, rule: Rule, unsure: bool) -> None:
    handed = entry.submission.handed
    days = 0
    if rule.due is not None and handed.time is not None and not unsure:
        days = max(0, math.ceil((handed.time - rule.due.timestamp()) / 86_400))
    if handed.system == "Canvas":  # its own mark is right; the file's time may be that of the download
        days = max(1, days) if handed.late else 0
    if not days:
        return
    source = "Canvas's mark" if handed.late else {"file": "the file's time", "archive": "the time in the archive"}
    source = source if isinstance(source, str) else source.get(handed.time_from, handed.time_from)
    entry.late_days = days
    entry.late = f"{days} day{'s' * (days > 1)} ({source})" if rule.due else f"marked late ({source})"
    if rule.due is not None:
        entry.penalty = rule.penalty(entry.points, days)
        entry.points = round(entry.points - entry.penalty, 2)


def _change(book: Gradebook, changes: list[Change], roster: Roster | None, rule: Rule) -> None:
    """Enter what was changed by hand."""
    for change in changes:
        person = roster.join(Handed(change.learner, (change.learner,)))[0] if roster else None
        meant = [
            e
            for e in book.entries
            if e.homework == change.homework
            and (
                change.learner in (e.grade.submission, e.learner)
                or (person is not None and e.person == person)
                or (fold(change.learner) and fold(change.learner) == fold(e.learner))
            )
        ]
        if not meant and person is not None:  # shown in class, or on paper
            grade = Grade("", change.homework, 0, _of(book, change.homework), BY_HAND, 0.0, "")
            meant = [Entry(grade, None, person, person.name, "roster")]
            book.entries += meant
        if not meant:
            book.problems.append(
                f"change in line {change.line}: no submission of homework {change.homework} is {change.learner!r}'s"
            )
        for entry in meant:
            said = f"changed by hand: {change.remark}" if change.remark else "changed by hand"
            if change.task is None:
                entry.points, entry.penalty = change.points, 0.0
                entry.remarks.append(said)
                continue
            task = next((t for t in entry.tasks if t["task"] == change.task), None)
            if task is None:
                if entry.submission is not None:
                    book.problems.append(
                        f"change in line {change.line}: homework {change.homework} has no task {change.task}"
                    )
                    continue
                entry.points += change.points
            else:
                task["points"] = change.points
                task["changed"] = change.remark or "changed by hand"
                reached = sum(t["points"] for t in entry.tasks)
                entry.penalty = rule.penalty(reached, entry.late_days) if rule.due else 0.0
                entry.points = round(reached - entry.penalty, 2)
            entry.remarks.append(f"task {change.task} {said}")


def _of(book: Gradebook, homework: str) -> float:
    return next((e.grade.of for e in book.entries if e.homework == homework), 0)


def _choose(book: Gradebook, rule: Rule) -> None:
    """Put each learner's attempts in the order of time, and say which one counts."""
    attempts = defaultdict(list)
    for entry in book.entries:
        # Two of one name are two learners when the platform gives them two numbers.
        number = entry.handed.ids if entry.handed.system in _NUMBERED else ()
        who = entry.person or (fold(entry.learner), number) if entry.learner else entry.grade.submission
        attempts[entry.homework, who].append(entry)
    for found in attempts.values():
        if len(found) == 1:
            continue
        numbers = {(e.handed.system, e.handed.ids) for e in found if e.handed.system in _NUMBERED}
        if len(numbers) > len({system for system, _ in numbers}):
            book.problems.append(
                f"{found[0].learner}: {' and '.join(e.grade.submission for e in found)} have two numbers on the platform, "
                "but fit one name on the roster; one of them may be somebody else's"
            )

        def when(e: Entry) -> tuple:
            return e.handed.order, round(e.handed.time or 0)

        found.sort(key=lambda e: (*when(e), e.grade.submission))
        for number, entry in enumerate(found, 1):
            entry.attempt, entry.counts = number, False
        sound = [e for e in found if not ours_to_fix(e.grade)] or found
        chosen = sound[-1] if rule.attempt == "latest" else max(sound, key=lambda e: (e.points, e.attempt))
        chosen.counts = True
        if (
            rule.attempt == "latest"
            and len({when(e) for e in found}) < len(found)
            and len({e.points for e in found}) > 1
        ):
            book.problems.append(
                f"{chosen.learner or chosen.grade.submission}: {len(found)} attempts at homework {chosen.homework} have one "
                f"time; {chosen.grade.submission} was taken as the latest"
            )


def _add_missing(book: Gradebook, roster: Roster) -> None:
    """Add a line for each learner on the roster who has handed in nothing."""
    for homework in sorted({e.homework for e in book.entries}):
        there = {e.person for e in book.entries if e.homework == homework}
        for person in roster.people:
            if person not in there:
                grade = Grade("", homework, 0, _of(book, homework), NOTHING, 0.0, "")
                book.entries.append(Entry(grade, None, person, person.name, "roster"))
