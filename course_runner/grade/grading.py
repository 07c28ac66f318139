"""Grade a folder of submissions: run each in a limited process under another data seed, judge the store it leaves."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_runner.grade import sandbox
from course_utils.errors import CourseError, printable
from course_utils.homework.question import load_tasks

#: Prefix of the folders in which submissions run.
SCRATCH = "mlflow-course-"
#: Bytes that a file which is handed in may have.
LARGEST = 100 << 20


@dataclass(frozen=True)
class Submission:
    """What one learner handed in.

    Attributes
    ----------
    name
        Path below the submissions folder, without the notebook's ending.
    homework
        Two digits.
    notebook
        The notebook, or None when only a store was handed in.
    store
        A folder with ``mlflow.db`` (and ``outputs``, ``mlartifacts``), or None.
    """

    name: str
    homework: str
    notebook: Path | None
    store: Path | None

    @property
    def path(self) -> Path:
        """The file that is judged."""
        return self.notebook if self.notebook is not None else self.store / "mlflow.db"

    def unreadable(self) -> str:
        """Return why the file is not read, or an empty string; a link or a pipe is not even opened."""
        try:
            found = self.path.lstat()
            if not stat.S_ISREG(found.st_mode):
                return "a link or a device, not a file"
            if found.st_size > LARGEST:
                return f"larger than {LARGEST >> 20} MB"
            self.path.open("rb").close()
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        return ""

    @property
    def sha256(self) -> str:
        """First 16 hex digits of the hash of what is judged; empty when it is not read."""
        return "" if self.unreadable() else hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]


@dataclass
class Grade:
    """One row of the table."""

    submission: str
    homework: str
    points: float
    of: float
    status: str
    seconds: float
    sha256: str
    tasks: list[dict[str, Any]] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """Return the row as columns; a name that a spreadsheet would take for a formula gets a quote in front."""
        safe = f"'{self.submission}" if self.submission[:1] in "=+-@\t" else self.submission
        columns = {
            "submission": safe,
            "homework": self.homework,
            "points": self.points,
            "of": self.of,
            "status": self.status,
            "seconds": self.seconds,
            "sha256": self.sha256,
        }
        for task in self.tasks:
            columns[f"task{task['task']}"] = task["points"]
            columns[f"task{task['task']}_code"] = task["code"]
        return columns


def find(folder: Path, homework: str | None, store_only: bool) -> list[Submission]:
    """Return the submissions in a folder.

    A notebook is one submission; its homework is told by its name (``03_mlflow_basics.ipynb``), else by `homework`. With
    `store_only`, every folder that holds an ``mlflow.db`` is one.

    Raises
    ------
    CourseError
        When the folder is missing or empty, or a submission's homework is not told.
    """
    if folder.is_file():
        raise CourseError(f"{folder} is a file. Give the folder that holds it, and each submission in it gets a row.")
    if not folder.is_dir():
        raise CourseError(f"There is no folder {folder}. Give the folder that holds the submissions.")
    found = []
    if store_only:
        for database in sorted(folder.rglob("mlflow.db")):
            place = database.parent
            notebooks = sorted(place.rglob("*.ipynb"))
            number = homework or next((n for n in map(_number, notebooks) if n), None)
            found.append((_name(place, folder), number, None, place))
    else:
        for notebook in sorted(folder.rglob("*.ipynb")):
            if ".ipynb_checkpoints" in notebook.parts or (notebook.is_dir() and not notebook.is_symlink()):
                continue
            name = _name(notebook.with_suffix(""), folder)
            found.append((name, homework or _number(notebook), notebook, None))
    if not found:
        wanted = "mlflow.db" if store_only else ".ipynb file"
        raise CourseError(f"{folder} holds no {wanted}, so there is nothing to grade.")
    for name, number, _, _ in found:
        if number is None:
            raise CourseError(
                f"Which homework is {name!r}? Its name does not begin with two digits. Name it with --homework, for "
                "example --homework 03."
            )
        load_tasks(number)
    return [Submission(*entry) for entry in found]


def _name(path: Path, folder: Path) -> str:
    """Return the path below `folder`; what cannot be shown is a replacement character."""
    return printable(os.fsencode(path.relative_to(folder).as_posix()).decode("utf8", "replace"))


def _number(path: Path) -> str | None:
    found = re.match(r"(\d\d)_", path.name)
    return found[1] if found else None


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
    """Grade one submission; whatever it does, the result is a row."""
    start = time.perf_counter()
    tasks = [
        {"task": n, "points": 0, "of": task.points, "code": "not-graded"}
        for n, task in enumerate(load_tasks(submission.homework), 1)
    ]
    digest, status = "", submission.unreadable()
    if not status:
        try:
            digest = submission.sha256
            status, judged = _grade(submission, means)
            tasks = judged or tasks
        except OSError as error:
            status = f"cannot be graded ({error.strerror or error})"
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
            shutil.copyfile(submission.notebook, home / "submission.ipynb")
            status = _status(means.do(home, "run", str(home), str(means.cell_timeout)))
        source = submission.store or home
        kept = True
        # A process that was killed while it wrote leaves a journal, without which the database is not whole.
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
        ended = means.check(copy, submission.homework)
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
    if ended.stopped:
        return ended.stopped
    try:
        status = json.loads(ended.output.splitlines()[-1])["status"]
        if re.fullmatch(r"[A-Za-z][\w ()]{0,79}", status):  # a notebook can write to the same pipe
            return status
    except (ValueError, IndexError, KeyError, TypeError):
        pass
    return "killed its own runner" if ended.code in (-9, 247) else f"runner ended with {ended.code}"


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
    """Grade all submissions, several at once, and write the tables; go on where an earlier call stopped.

    Parameters
    ----------
    submissions
        As `find` returns them.
    target
        CSV to write. ``<target>.rows.jsonl`` beside it keeps each row as soon as it is known; a submission with the same
        hash, homework and seed is not run again.
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
    for submission in submissions:
        key = _key(submission, seed)
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
                if key:
                    keep.write(json.dumps({"key": key, **vars(row)}) + "\n")
                    keep.flush()
                if on_row:
                    on_row(row)
        except BaseException:
            stop.set()
            crew.shutdown(wait=False, cancel_futures=True)
            raise
    ordered = [rows[s] for s in submissions]
    write_csv(target, [g.row() for g in ordered])
    return ordered


def _key(submission: Submission, seed: int) -> str:
    """Return what names a row that need not be made again; empty when the submission could not be read."""
    kind = "store" if submission.notebook is None else "run"
    digest = submission.sha256
    return f"{submission.name}|{digest}|{submission.homework}|{seed}|{kind}" if digest else ""


def _known(state: Path) -> dict[str, Grade]:
    rows = {}
    if state.is_file():
        for line in state.read_text(encoding="utf8").splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):  # a line cut by a stop
                entry = json.loads(line)
                key = entry.pop("key")
                rows[key] = Grade(**entry)
    return rows


def write_csv(target: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows of unequal columns as one CSV, aside first."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    with aside.open("w", newline="", encoding="utf8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(aside, target)


def count_mistakes(grades: Iterable[Grade]) -> list[dict[str, Any]]:
    """Return how many learners of the class made each mistake, most frequent first."""
    counts = Counter(
        (g.homework, t["task"], t["code"]) for g in grades for t in g.tasks if t["code"] not in ("ok", "not-graded")
    )
    return [
        {"homework": homework, "task": task, "mistake": code, "learners": n}
        for (homework, task, code), n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


def write_mistakes(target: Path, grades: list[Grade]) -> list[Path]:
    """Write the table of mistakes and its picture beside the grades, and return their paths."""
    import pandas as pd

    from course_utils import plots

    counted = count_mistakes(grades)
    table = target.with_name(f"{target.stem}_mistakes.csv")
    write_csv(table, counted or [{"homework": "", "task": "", "mistake": "none", "learners": 0}])
    if not counted:
        return [table]
    shown = pd.Series({f"{c['homework']}.{c['task']} {c['mistake']}": float(c["learners"]) for c in counted[:15]})
    first = counted[0]
    fig = plots.bars(
        shown,
        title=f"Most frequent: {first['mistake']} in homework {first['homework']}, task {first['task']}",
        xlabel="learners",
        digits=0,
    )
    picture = target.with_name(f"{target.stem}_mistakes.png")
    plots.save(fig, picture)
    return [table, picture]
