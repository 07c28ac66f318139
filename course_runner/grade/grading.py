"""Grade a folder of submissions: run each in a limited process under another data seed, judge the store it leaves."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from course_runner.grade import names, sandbox, watch
from course_runner.grade import submission as submission_steps
from course_runner.grade.inbox import Submission
from course_utils._judge.task import load_tasks
from course_utils._plumbing import steps
from course_utils._plumbing.files import ROOT
from course_utils.errors import CourseError

#: Prefix of the folders in which submissions run.
SCRATCH = "mlflow-course-"
#: Status when no cell ran because there was no kernel: not the learner's doing.
NO_KERNEL = "no kernel could be started"


@dataclass
class Grade:
    """What the run and the checks say about one submission."""

    submission: str
    homework: str
    points: float
    of: float
    status: str
    seconds: float
    sha256: str
    tasks: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Means:
    """What the submissions of one call are graded with: the arguments of `grade`, and what runs the steps."""

    scratch: str
    seed: int
    cell_timeout: int
    limits: sandbox.Limits
    program: str | None
    judges: list[sandbox.Judge]
    desk: str
    stop: threading.Event

    def do(self, home: Path, *step: str) -> sandbox.Ended:
        """Do a step in the sandbox of `home`."""
        return sandbox.run(step, home, self.seed, self.limits, self.program, self.stop)

    def check(self, home: Path, homework: str) -> sandbox.Ended:
        """Judge the store in `home`, a folder on the desk."""
        try:
            judge = self.judges.pop()
        except IndexError:  # as many judges as submissions at once, and only when they are needed
            judge = sandbox.Judge(Path(self.desk), self.seed, self.limits, self.program)
        try:
            return judge.check(home, homework, self.stop)
        finally:
            self.judges.append(judge)


def grade_one(submission: Submission, means: Means) -> Grade:
    """Grade one submission; the result is always a row."""
    start = time.perf_counter()
    code, message = "not-graded", "This task was not graded."
    digest, status = "", submission.unreadable()
    if not status and "untouched" in submission.flags:
        digest, status, code, message = submission.sha256, "blank", "not-started", "Nothing is filled in yet."
    tasks = [
        {"task": n, "title": task.title, "points": 0, "of": task.points, "code": code, "message": message}
        for n, task in enumerate(load_tasks(names.step(submission.homework)), 1)
    ]
    if not status:
        try:
            digest = submission.sha256
            status, judged = _grade(submission, means)
            tasks = judged or tasks
            if status == "ok" and all(task["code"] == "not-started" for task in tasks):
                status = "no task started"
        except OSError as error:
            status = f"cannot be graded ({error.strerror or error})"
        except Exception as error:  # a defect of ours; the others' rows do not depend on it
            status = f"cannot be graded ({type(error).__name__}: {error})"
    return Grade(
        submission.name,
        submission.homework,
        sum(t["points"] for t in tasks),
        sum(t["of"] for t in tasks),
        status,
        round(time.perf_counter() - start, 1),
        digest,
        tasks,
    )


def _grade(submission: Submission, means: Means) -> tuple[str, list[dict] | None]:
    home, copy = Path(tempfile.mkdtemp(dir=means.scratch)), Path(tempfile.mkdtemp(dir=means.desk))
    try:
        status = "store only"
        if submission.notebook is not None:
            sandbox.prepare(home)
            (home / "cells.json").write_text(json.dumps(submission.code), encoding="utf8")
            status = _status(means.do(home, "run", str(home), str(means.cell_timeout)))
        source = submission.store or home
        kept = True
        # A process that was killed while it wrote leaves a journal, without which the database is incomplete.
        for name in ("mlflow.db", "mlflow.db-journal", "mlflow.db-wal", "outputs", "mlartifacts"):
            part = source / name
            if part.is_symlink():  # to where the learner may not look
                continue
            if part.is_dir():
                kept &= sandbox.copy_regular(part, copy / name)
            elif part.is_file():
                shutil.copyfile(part, copy / name)
        if not kept:
            return f"{status}; more than 500 MB of files", None
        if not (copy / "mlflow.db").is_file():
            return f"{status}; no store", None
        ended = means.check(copy, names.step(submission.homework))
        try:
            answer = json.loads(ended.output.splitlines()[-1])
        except (ValueError, IndexError):
            answer = ended.stopped or f"exit {ended.code}"
        if isinstance(answer, str):
            return f"{status}; the store cannot be judged ({answer})", None
        return status, answer
    finally:
        for folder in (home, copy):
            shutil.rmtree(folder, ignore_errors=True)


def _status(ended: sandbox.Ended) -> str:
    """Return the last status that the notebook's process has told: first that it died, then how it ended."""
    if ended.stopped:
        return ended.stopped
    for line in reversed(ended.output.splitlines()):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            status = json.loads(line)["status"]
            if re.fullmatch(r"[A-Za-z][\w .()-]{0,79}", status):  # a notebook can write to the same pipe
                return status
    return f"{NO_KERNEL} (exit {ended.code})"


def grade(
    submissions: list[Submission],
    target: Path,
    *,
    seed: int,
    workers: int,
    limits: sandbox.Limits | None = None,
    cell_timeout: int = 30,
    fresh: bool = False,
    on_row: Callable[[Grade], None] | None = None,
) -> list[Grade]:
    """Grade all submissions, several at once; continue where an earlier call stopped.

    Parameters
    ----------
    submissions
        As `inbox.find` returns them.
    target
        The table that will be written. ``<target>.rows.jsonl`` beside it keeps each row as soon as it is known; a
        submission with the same hash, homework, seed and checks is not run again.
    seed
        Data seed under which notebooks run; another than the learners had.
    workers
        Submissions at once.
    limits, cell_timeout
        What one submission may use, and seconds for one cell.
    fresh
        Forget earlier rows.
    on_row
        Called with each new row.
    """
    state = target.with_name(f"{target.name}.rows.jsonl")
    program = sandbox.bubblewrap()
    if target.is_dir():
        raise CourseError(
            f"{target} is a folder; the grades are one file. Name it, for example -o {target / 'grades.csv'}."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if fresh:
            state.unlink(missing_ok=True)
        known = _known(state)
        keep = state.open("a", encoding="utf8")
    except OSError as error:
        raise CourseError(f"{target} cannot be written ({error.strerror}). Choose another file with -o.") from error
    rows: dict[Submission, Grade] = {}
    todo = []
    digests = {number: checks_digest(number) for number in {s.homework for s in submissions}}
    for submission in submissions:
        key = _key(submission, seed, digests[submission.homework], cell_timeout, limits or sandbox.Limits())
        if key in known:
            rows[submission] = known[key]
        else:
            todo.append((submission, key))
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        stack.enter_context(keep)
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix=SCRATCH, ignore_cleanup_errors=True))
        scratch = os.path.realpath(scratch)
        judges: list[sandbox.Judge] = []
        stack.callback(lambda: [judge.close() for judge in judges])
        crew = stack.enter_context(ThreadPoolExecutor(max(1, workers)))
        desk = tempfile.mkdtemp(dir=scratch)
        means = Means(scratch, seed, cell_timeout, limits or sandbox.Limits(), program, judges, desk, stop)
        running = {crew.submit(grade_one, s, means): (s, key) for s, key in todo}
        try:
            for future in as_completed(running):
                submission, key = running[future]
                row = rows[submission] = future.result()
                if key and not ours_to_fix(row):
                    keep.write(json.dumps({"key": key, **vars(row)}) + "\n")
                    keep.flush()
                if on_row:
                    on_row(row)
        except BaseException:
            stop.set()
            crew.shutdown(wait=False, cancel_futures=True)
            raise
    return [rows[s] for s in submissions]


def ours_to_fix(row: Grade) -> bool:
    """Tell whether a row says nothing about the learner's work: the machine, not the notebook, has stopped it."""
    return row.status.startswith((NO_KERNEL, "stopped", "cannot be graded"))


def checks_digest(number: str) -> str:
    """Return 16 hex digits that change with what decides a verdict: the checks, the helpers and the libraries."""
    files = {*(Path(m.__file__) for m in (submission_steps, sandbox, watch)), *(ROOT / "course_utils").rglob("*.py")}
    files.add(steps.find(names.step(number)).folder / "checks.py")
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + path.read_bytes())
    for library in ("mlflow", "scikit-learn", "numpy", "pandas"):
        digest.update(version(library).encode())
    return digest.hexdigest()[:16]


def _key(submission: Submission, seed: int, checks: str, cell_timeout: int, limits: sandbox.Limits) -> str:
    """Return what names a row that need not be made again; empty when the submission could not be read."""
    kind = "store" if submission.notebook is None else f"run {limits.wall} {cell_timeout}"
    digest = submission.sha256
    return f"{submission.name}|{digest}|{submission.homework}|{seed}|{kind}|{checks}" if digest else ""


def _known(state: Path) -> dict[str, Grade]:
    rows = {}
    if state.is_file():
        for line in state.read_text(encoding="utf8").splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):  # a line cut by a stop
                entry = json.loads(line)
                key = entry.pop("key")
                rows[key] = Grade(**entry)
    return rows
