"""Run the series as a papermill batch: one store, one report, each notebook's failure kept to itself."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import AcquireReturnProxy, FileLock, Timeout

from course_runner.batch import pool, record, report, view
from course_runner.batch.job import (
    CELL_TIMEOUT,
    MEMORY_LIMIT,
    NOTEBOOK_TIMEOUT,
    SKIP_TAG,
    Job,
    Outcome,
    has_tag,
    read_notebook,
)
from course_runner.batch.parameters import BadParameter, convert_parameters, literal, parameter_defaults
from course_runner.build.build import TIMES
from course_runner.build.source import pages
from course_utils._plumbing import class_server, files
from course_utils._plumbing.places import command, sqlite_uri, tracking_uri
from course_utils.errors import CourseError

PLAN = "batch.json"
#: What to do when the folder of a batch cannot be written.
ELSEWHERE = "Nothing was run. Name a folder that you may write to: -o"


@dataclass
class Batch:
    """What a batch runs and where it leaves it.

    Attributes
    ----------
    folder
        Home of the batch: executed notebooks, store, outputs, report.
    notebooks
        Label (``notebooks/03_mlflow_basics.ipynb``) → file.
    parameters
        Values for every notebook that has a parameter of that name.
    memory_limit
        Bytes that one kernel may use.
    key
        By which its runs are known among those of other people on a server.
    """

    folder: Path
    notebooks: dict[str, Path]
    parameters: dict[str, Any] = field(default_factory=dict)
    cell_timeout: int = CELL_TIMEOUT
    notebook_timeout: int = NOTEBOOK_TIMEOUT
    memory_limit: int = MEMORY_LIMIT
    key: str = field(default_factory=lambda: f"batch-{uuid.uuid4().hex[:12]}")

    @property
    def uri(self) -> str:
        """Tracking URI of the batch's store."""
        chosen = os.environ.get("MLFLOW_TRACKING_URI")
        return tracking_uri(chosen) if chosen else sqlite_uri(self.folder / "mlflow.db")

    @property
    def server(self) -> str:
        """Address of the tracking server that has its runs, without a password; empty when they are in a database."""
        return class_server.without_password(self.uri) if class_server.is_remote(self.uri) else ""

    def ui(self, shown: Path | None = None) -> str:
        """Return how a person sees its runs: a command, or an address to open; `shown` stands for the folder."""
        own = ["--home", shown or self.folder] if self.uri.endswith(f"{self.folder}/mlflow.db") else []
        return self.server or command("course", "ui", *own)

    @property
    def go_on(self) -> str:
        """The command that continues it."""
        return command("course", "run", "--resume", "-o", self.folder)

    def again(self, root: Path) -> str:
        """Return the command that runs the same into a new folder, wherever in the checkout it is pasted."""
        words = [str(p) if n.startswith("other/") else n.removesuffix(".ipynb") for n, p in self.notebooks.items()]
        if list(self.notebooks) == [page.label for page in pages(root) if page.executed]:
            words = []
        given = [word for name, value in self.parameters.items() for word in ("-p", f"{name}={value}")]
        limits = {
            "--cell-timeout": (self.cell_timeout, CELL_TIMEOUT),
            "--timeout": (self.notebook_timeout, NOTEBOOK_TIMEOUT),
        }
        limits["--memory"] = (self.memory_limit / 2**30, MEMORY_LIMIT / 2**30)
        own = [word for name, (mine, usual) in limits.items() if mine != usual for word in (name, f"{mine:g}")]
        return command("course", "run", *words, *given, *own)

    def output(self, label: str) -> Path:
        """Return where an executed notebook goes."""
        return self.folder / label

    def save(self) -> None:
        """Write the plan, from which ``--resume`` continues."""
        plan = {
            "notebooks": {label: str(path) for label, path in self.notebooks.items()},
            "parameters": self.parameters,
            "cell_timeout": self.cell_timeout,
            "notebook_timeout": self.notebook_timeout,
            "memory_limit": self.memory_limit,
            "key": self.key,
            "server": self.server,
        }
        files.write(self.folder / PLAN, json.dumps(plan, indent=1, default=literal), ELSEWHERE)


def new_folder(root: Path) -> Path:
    """Make a folder for a new batch, named by the time, which no other batch can have taken.

    Raises
    ------
    CourseError
        When the checkout cannot be written.
    """
    name = datetime.now().strftime("%Y-%m-%d_%H%M%S")
    for number in itertools.count():
        folder = root / "runs" / f"{name}{f'-{number}' if number else ''}"
        try:
            folder.parent.mkdir(exist_ok=True)
            folder.mkdir()  # two batches may begin in the same second
            return folder
        except FileExistsError:
            if folder.parent.is_dir():
                continue
            raise CourseError(f"{folder.parent} is a file, so no batch can go there. Name a folder with -o.") from None
        except OSError as error:
            raise CourseError(f"{folder} cannot be made: {error.strerror}. {ELSEWHERE}") from error
    raise AssertionError


def latest_folder(root: Path, plan: str = PLAN, what: str = "batch", command: str = "course run") -> Path:
    """Return the newest folder of a batch, or of another work that keeps its `plan` in a folder of ``runs/``.

    Raises
    ------
    CourseError
        When there is none; it names `what` was looked for and the `command` that starts one.
    """
    found = sorted(p.parent for p in (root / "runs").glob(f"*/{plan}"))
    if not found:
        raise CourseError(f"There is no {what} to resume: runs/ holds none. Start one with `{command}`.")
    return found[-1]


def load(folder: Path) -> Batch:
    """Read the plan of an earlier batch.

    Raises
    ------
    CourseError
        When the folder holds none.
    """
    try:
        plan = json.loads((folder / PLAN).read_text(encoding="utf8"))
        return Batch(
            folder,
            {label: Path(path) for label, path in plan["notebooks"].items()},
            plan["parameters"],
            plan["cell_timeout"],
            plan["notebook_timeout"],
            plan["memory_limit"],
            plan["key"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise no_resume(folder, error) from error


def no_resume(
    folder: Path, error: Exception, plan: str = PLAN, what: str = "batch", command: str = "course run"
) -> CourseError:
    """Return the message for a plan that cannot be read, of a batch or of other work in a folder of ``runs/``."""
    if isinstance(error, KeyError):
        return CourseError(
            f"{folder / plan} has no {error}: another version of the course made this {what}, so this one cannot continue "
            f"with it. What has run is still in {folder}. Start a new {what} with `{command}`."
        )
    return CourseError(f"{folder} holds no {what} that can be resumed ({plan}: {error}).")


def check_parameters(batch: Batch) -> dict[str, dict[str, Any]]:
    """Return each notebook's own parameters, before anything runs.

    A value goes to every chosen notebook that has a parameter of that name.

    Raises
    ------
    BadParameter
        When no chosen notebook has it, or a value does not fit.
    """
    own: dict[str, dict[str, Any]] = {}
    known: dict[str, set[str]] = {}
    for label, path in batch.notebooks.items():
        try:
            nb = read_notebook(path)
        except Exception:  # any error: its own row reports it
            continue
        try:
            defaults = parameter_defaults(nb)
        except Exception:  # whatever its cell holds: a row of its own, or IPython's to understand
            defaults = {}
        known[label] = set(defaults)
        mine = {k: v for k, v in batch.parameters.items() if k in defaults}
        own[label] = convert_parameters(nb, mine, label)
    for name, value in batch.parameters.items():
        if not name.isidentifier():
            raise BadParameter(f"{name!r} is not a Python name, so it cannot be a parameter.")
        if not any(name in names for names in known.values()):
            from difflib import get_close_matches

            everything = sorted(set().union(*known.values()))
            near = get_close_matches(name, everything, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            listing = ", ".join(everything) or "none"
            raise BadParameter(
                f"No chosen notebook has a parameter {name!r} (given {value!r}); they have: {listing}.{hint}"
            )
    return own


class Unreported(CourseError):
    """The notebooks have run, but report or record could not be written; ``outcomes`` says how they went."""

    def __init__(self, message: str, outcomes: list[Outcome]) -> None:
        super().__init__(message)
        self.outcomes = outcomes


def lock(folder: Path, command: str = "course run") -> AcquireReturnProxy:
    """Keep other runners out of a folder until the lock that is returned is released, or this process ends.

    Raises
    ------
    CourseError
        When another runner is at work there (it names the `command`), or the folder cannot be written.
    """
    try:
        return FileLock(folder / ".lock", timeout=0).acquire()
    except Timeout:
        raise CourseError(
            f"Another `{command}` is at work in {folder}. Wait for it, or stop it, then continue with --resume."
        ) from None
    except OSError as error:
        raise CourseError(f"{folder} cannot be written: {error.strerror or error}. Name another folder: -o") from error


def to_run(batch: Batch, resume: bool) -> list[str]:
    """Return the labels of the notebooks that are to run; with `resume`, those whose output is incomplete."""
    return [label for label in batch.notebooks if not (resume and _whole(batch.output(label)))]


def _whole(path: Path) -> bool:
    """Tell whether a notebook was executed to its end; a complete output may have been damaged since."""
    try:
        cells = [cell for cell in read_notebook(path).cells if cell.cell_type == "code" and cell.source.strip()]
    except Exception:  # any error: it is damaged
        return False
    return all(cell.get("execution_count") is not None or has_tag(cell, SKIP_TAG) for cell in cells)


def run(
    batch: Batch,
    root: Path,
    *,
    workers: int,
    resume: bool = False,
    cold: bool = False,
    on_progress: pool.OnProgress | None = None,
) -> list[Outcome]:
    """Run the notebooks of a batch that are not done yet, and leave report and record.

    Returns
    -------
    list of Outcome
        One per notebook of the batch, in its order; those that were done before have the status ``ok`` and 0 seconds.
    """
    from course_runner.batch import provenance
    from course_utils._plumbing import course_store

    parameters = check_parameters(batch)
    course_store.check(batch.uri)
    if not resume:
        _claim(batch.folder)
    locked = lock(batch.folder)
    batch.save()  # its limits may be new
    done = set(batch.notebooks) - set(to_run(batch, resume))
    recorder = record.Recorder(batch.uri, batch.folder, batch.parameters, batch.key, root)
    jobs = [
        Job(
            label,
            path,
            batch.output(label),
            batch.folder,
            batch.folder / "work" / Path(label).with_suffix(""),
            parameters.get(label, {}),
            {"MLFLOW_TRACKING_URI": batch.uri, **provenance.context(f"{batch.key} {label}")},
            batch.cell_timeout,
            batch.notebook_timeout,
            batch.memory_limit,
            view=True,
        )
        for label, path in batch.notebooks.items()
        if label not in done
    ]
    recorder.prepare()
    view.prepare()
    jobs = pool.longest_first(jobs, pool.load_times(root / TIMES))
    outcomes = {
        o.name: o for o, _ in pool.run_jobs(jobs, workers, on_progress, root=root, cold=cold, store_uri=batch.uri)
    }
    pool.save_times(root / TIMES, [o for o in outcomes.values() if not o.name.startswith("other/")])
    everything = [
        outcomes.get(label) or Outcome(label, seconds=0.0, output=str(batch.output(label))) for label in batch.notebooks
    ]
    tidy(batch.folder)
    whole = f"{sum(o.ok for o in everything)} of {len(everything)} notebooks passed"
    try:
        advice = f"When there is space, continue: {batch.go_on}"
        files.write(batch.folder / "report.json", json.dumps([o.as_dict() for o in everything], indent=1), advice)
        took = time.time() - recorder.started / 1000
        page = report.render(batch, everything, parameters, took, batch.again(root), provenance.commit(root))
        files.write(batch.folder / "index.html", page, advice)
    except CourseError as error:
        raise Unreported(f"{whole}, but {error}", everything) from error
    try:
        recorder.finish([outcomes[j.name] for j in jobs if j.name in outcomes], parameters)
    except Exception as error:  # always report the notebooks that have run
        raise Unreported(
            f"{whole}, and the report is in {batch.folder / 'index.html'}, but the "
            f"store did not take the record of the batch: {str(error).strip().splitlines()[0][:500]} When it works again "
            f"(a server that runs, a disk with space): {batch.go_on}",
            everything,
        ) from error
    finally:
        locked.lock.release()
    return everything


def _claim(folder: Path) -> None:
    """Make the folder of a new batch ours, and nobody else's who begins at the same moment."""
    taken = CourseError(
        f"{folder} is not empty. A batch starts in an empty folder, so that nothing old looks like its result. "
        "Name another with -o, or continue with --resume."
    )
    try:
        if folder.exists() and not folder.is_dir():
            raise CourseError(f"{folder} is a file; a batch needs a folder. Name another with -o.")
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise taken
        (folder / PLAN).touch(exist_ok=False)
    except FileExistsError:
        raise taken from None
    except OSError as error:
        raise CourseError(f"{folder} cannot be written: {error.strerror or error}. {ELSEWHERE}") from error


def tidy(folder: Path) -> None:
    """Remove what only the running batch needed: scratch folders without files, partial notebooks that were completed."""
    work = folder / "work"
    if work.is_dir() and not any(p.is_file() for p in work.rglob("*")):
        shutil.rmtree(work, ignore_errors=True)
    for partial in folder.glob("*/partial"):
        if not any(partial.iterdir()):
            partial.rmdir()


def failed(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the outcomes that are not ``ok``."""
    return [o for o in outcomes if not o.ok]
