"""The verbs for a class's homework: ``course grade`` and ``course release``."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from course_runner.cli.common import Jobs
from course_utils.errors import CourseError


def grade_command(
    submissions: Annotated[
        Path, typer.Argument(help="Folder, or zip, with the notebooks (or stores) that learners handed in.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="CSV to write; everything else goes beside it.")
    ] = Path("grades.csv"),
    homework: Annotated[
        str | None, typer.Option(help="Number or name, for notebooks that do not say which homework they are.")
    ] = None,
    roster: Annotated[
        Path | None, typer.Option(help="CSV with id, name and e-mail of the class; shows who handed in nothing.")
    ] = None,
    attempt: Annotated[str, typer.Option(help="Which of several attempts counts: latest or best.")] = "latest",
    due: Annotated[str | None, typer.Option(metavar="TIME", help="For example 2026-11-30T23:59.")] = None,
    late_per_day: Annotated[
        str | None,
        typer.Option(
            metavar="COST",
            help="Cost of each day late, once begun: 10% of the points reached, or 0.5 points.",
        ),
    ] = None,
    changes: Annotated[
        Path | None,
        typer.Option(
            "--changes",
            "--overrides",
            help="CSV with learner,homework,task,points,remark that overrides the checks (default: OUTPUT_changes.csv).",
        ),
    ] = None,
    store_only: Annotated[
        bool, typer.Option("--store-only", help="Read submitted mlflow.db files; run nobody's code.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(help="Data seed (default: 4242; with --store-only 0, the learners').")
    ] = None,
    jobs: Jobs = None,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds that one submission may take.")] = 120,
    cell_timeout: Annotated[int, typer.Option(min=1, help="Seconds that one cell may take.")] = 30,
    fresh: Annotated[bool, typer.Option("--fresh", help="Grade again what an earlier call has graded.")] = False,
) -> None:
    """Grade what a class handed in, each notebook in a limited process under another data seed.

    Example: [cyan]course grade handed-in/ -o grades.csv --roster class.csv --due 2026-11-30T23:59 --late-per-day 10%[/cyan]

    Accepts folders and zips as Moodle, Canvas, Brightspace, Blackboard and GitHub Classroom hand them out, and any other
    folder. Each notebook itself names its homework. Only new or changed notebooks, and those whose checks have changed,
    are run.

    Writes grades.csv; for upload, grades_moodle_03.csv, grades_moodle_feedback_03.zip and grades_canvas.csv;
    grades_feedback/, a page for each learner; grades_report.html, the class report; grades_similar.html, pairs of
    similar hand-ins; grades_not_graded.csv, each file without a grade and the reason.

    Exit codes: 0 everything is graded, 1 something needs your attention (it is listed), 2 wrong arguments, 130 stopped.
    """
    from course_runner.batch.pool import default_workers
    from course_runner.grade import exports, feedback, gradebook, grading, inbox, report, rules, sandbox
    from course_runner.grade.roster import Roster

    rule = rules.Rule.read(attempt, due, late_per_day)
    members = Roster.read(roster) if roster else None
    edited = changes or exports.beside(output, "_changes.csv")
    by_hand = rules.read_changes(edited) if changes or edited.is_file() else []
    limits = sandbox.Limits(wall=timeout, cpu=timeout)
    chosen = seed if seed is not None else (0 if store_only else 4242)
    with tempfile.TemporaryDirectory(prefix="mlflow-course-inbox-", ignore_cleanup_errors=True) as scratch:
        box = inbox.find(submissions, homework, store_only, Path(scratch), output)
        if not store_only:
            typer.echo(sandbox.describe(sandbox.bubblewrap()), err=True)
        with _store_template(), _Shown(len(box.submissions)) as tell:
            try:
                grades = grading.grade(
                    box.submissions,
                    output,
                    seed=chosen,
                    workers=jobs or default_workers(),
                    limits=limits,
                    cell_timeout=cell_timeout,
                    fresh=fresh,
                    on_row=tell,
                )
            except KeyboardInterrupt:
                again = shlex.join(["course", *(word for word in sys.argv[1:] if word != "--fresh")])
                typer.echo(f"Stopped. What is graded is kept; continue with: {again}", err=True)
                raise typer.Exit(130) from None
        book = gradebook.fill(box.submissions, grades, members, by_hand, rule)
    try:
        aside = _keep_edited(output)
        written = [path for export in exports.EXPORTS.values() for path in export.write(book, members, output)]
        written.append(exports.write_skipped(output, box.skipped))
        pages = feedback.write(exports.beside(output, "_feedback"), book)
        written += feedback.moodle_zips(output, book, pages)
        written += report.write(output, book, box.skipped, chosen)
        _remember(output)
    except OSError as error:
        raise CourseError(
            f"{error.filename} cannot be written ({error.strerror}). Choose another place with -o."
        ) from error
    look = [f"{s.name}: {s.why}" for s in box.skipped if s.weight == "look"] + book.problems
    for line in look[:40]:
        typer.echo(f"Look at: {line}", err=True)
    if len(look) > 40:
        typer.echo(f"… and {len(look) - 40} more: {exports.beside(output, '_report.html')}", err=True)
    if aside:
        typer.echo(
            f"{output} was edited since the last call; that version is now {aside}. Changes that should last belong in "
            f"{exports.beside(output, '_changes.csv')} (learner,homework,task,points,remark).",
            err=True,
        )
    ignored = sum(s.weight == "leftover" for s in box.skipped)
    aside_count = sum(s.weight == "aside" for s in box.skipped)
    typer.echo(f"{len(grades)} submissions graded, data seed {chosen}: {', '.join(map(str, written))}")
    typer.echo(
        f"{len(pages)} feedback pages in {exports.beside(output, '_feedback')}. Not graded: {len(look) - len(book.problems)} "
        f"to look at, {aside_count} that are not homework, {ignored} left behind by a system."
    )
    if members:
        typer.echo(f"{len({e.person for e in book.missing()})} of {len(members.people)} on the roster lack a homework.")
    if look:
        raise typer.Exit(1)


class _Shown:
    """Shows each row as it is known."""

    def __init__(self, total: int) -> None:
        from course_runner.batch.console import Ticker

        self.ticker = Ticker(total, "Grading")

    def __enter__(self) -> _Shown:
        self.ticker.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.ticker.__exit__(*error)

    def __call__(self, row: object) -> None:
        from course_runner.batch.job import Outcome

        self.ticker([], Outcome(row.submission, f"{row.points:g} of {row.of:g} ({row.status})", row.seconds))


@contextlib.contextmanager
def _store_template() -> Iterator[None]:
    """Make the empty store that each submission gets a copy of."""
    from course_runner.cli.common import find_root
    from course_runner.kernels.warm import template
    from course_utils import store
    from course_utils._plumbing.places import sqlite_uri

    path = template(find_root())
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        store.create(sqlite_uri(path))
    os.environ["COURSE_STORE_TEMPLATE"] = str(path)
    try:
        yield
    finally:
        os.environ.pop("COURSE_STORE_TEMPLATE", None)


def _written(output: Path) -> Path:
    return output.with_name(f"{output.name}.written.json")


def _remember(output: Path) -> None:
    """Note what the table is now, so that the next call sees whether somebody has edited it."""
    _written(output).write_text(
        json.dumps({"sha256": hashlib.sha256(output.read_bytes()).hexdigest()}), encoding="utf8"
    )


def _keep_edited(output: Path) -> Path | None:
    """Put a table that was edited by hand aside, and return where it is."""
    try:
        known = json.loads(_written(output).read_text(encoding="utf8"))["sha256"]
        if hashlib.sha256(output.read_bytes()).hexdigest() == known:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    number = 1
    while (aside := output.with_name(f"{output.stem}.edited-{number}{output.suffix}")).exists():
        number += 1
    shutil.copyfile(output, aside)
    return aside


def release_command(
    folder: Annotated[Path, typer.Argument(help="New folder for the class, outside of this checkout.")],
) -> None:
    """Write a checkout without solutions, for a class whose homework counts.

    Example: [cyan]course release ../mlflow-course-class[/cyan]

    It holds lectures, exercises with checks and hints, and the set-up, but no solutions, none of the texts and answers that
    they are made from, no tests and no web site; `hw.solution(n)` says there that it has none. Publish it as a repository
    of its own, because the history of this one holds the solutions. Exit code 1 when an answer is still in it.
    """
    from course_runner.cli.common import find_root
    from course_runner.grade import release

    written = release.write(find_root(), folder)
    for leak in written.leaks:
        typer.echo(f"An answer is still in {leak}", err=True)
    for name in written.spelled:
        typer.echo(
            f"Note: {name} spells out the right answers of a task, because it judges them; anyone who reads it finds them."
        )
    here = shlex.quote(str(folder))
    typer.echo(
        f"{written.files} files in {folder}, {len(written.left_out)} left out. To publish: cd {here} && git init && git add ."
    )
    if written.leaks:
        raise typer.Exit(1)
