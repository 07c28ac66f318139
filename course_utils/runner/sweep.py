"""Run one notebook for many settings, here or on a Dask cluster: each point once, all of them below one parent run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import queue
import random
import re
import shlex
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbformat import NotebookNode

from ..errors import CourseError
from . import batch, pool, provenance
from .execute import (
    CELL_TIMEOUT,
    NOTEBOOK_TIMEOUT,
    BadParameter,
    Job,
    Outcome,
    convert_parameters,
    literal,
    parameter_defaults,
    read_notebook,
)
from .sweep_task import fingerprint, give_store, point_environment, reaches, run_point
from .warm import template

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

PLAN, JOURNAL, NOTEBOOK = "sweep.json", "journal.jsonl", "notebook.ipynb"
TABLE, PICTURE, WORDS = "results.csv", "parallel_coordinates.png", "parallel_coordinates.txt"
EXPERIMENT = "course-sweeps"
#: Tag that names a point: notebook and parameters. The same point has the same key in every sweep.
POINT_TAG = "course.point"
#: So many points need a yes.
MANY = 1000
#: Seconds that a sweep waits for a new worker when none is left.
NO_WORKERS = 60
#: Told of each point that ends, and now and then (None) of the state of the workers.
OnProgress = Callable[[list[pool.Progress], Outcome | None], None]


@dataclass(frozen=True)
class Point:
    """One setting: where its files are called `name`, and `key`, which stands for notebook and parameters."""

    name: str
    key: str
    parameters: dict[str, Any]

    @property
    def label(self) -> str:
        """The setting as people read it."""
        return ", ".join(f"{k}={_short(v)}" for k, v in self.parameters.items())


@dataclass
class Result:
    """What came of a point.

    Attributes
    ----------
    runs
        What the notebook logged, as `provenance.in_store`.
    printed
        Numbers of the JSON object that its last cell prints.
    run_id
        The point's own run, a child of the sweep's; empty until it is written.
    attempt
        Which execution this is; a lost worker's point has had another before.
    """

    key: str
    outcome: Outcome
    runs: list[dict[str, Any]] = field(default_factory=list)
    printed: dict[str, float] = field(default_factory=dict)
    run_id: str = ""
    attempt: str = ""

    def values(self, metric: str) -> list[float]:
        """Return all values that the point has for a metric; NaN is none."""
        found = [run["metrics"][metric] for run in self.runs if metric in run["metrics"]]
        found += [self.printed[metric]] if metric in self.printed else []
        return [v for v in found if not math.isnan(v)]

    def metrics(self) -> dict[str, float]:
        """Return each metric with the value of the last run that has it, parents before their children."""
        found: dict[str, float] = {}
        for run in sorted(self.runs, key=lambda r: not r["parent"]):
            found |= run["metrics"]
        return found | self.printed


@dataclass
class Sweep:
    """What a sweep runs and where it leaves it.

    Attributes
    ----------
    folder
        Home of the sweep: plan, journal, executed notebooks, table, figure and (without a server) its store.
    title
        The notebook as a user names it to ``course run``.
    points
        Every point, in the order of the grid.
    swept
        Names of the parameters that vary.
    uri
        Tracking URI for the sweep's own record.
    id
        Part of the tag on all runs that its notebooks log.
    """

    folder: Path
    title: str
    points: list[Point]
    swept: list[str]
    uri: str
    notebook: str = ""
    parent: str = ""
    cell_timeout: int = CELL_TIMEOUT
    notebook_timeout: int = NOTEBOOK_TIMEOUT
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    @property
    def server(self) -> str:
        """URI of the tracking server that notebooks log to from wherever they run; empty when there is none."""
        return self.uri if self.uri.startswith(("http://", "https://")) else ""

    def output(self, point: Point) -> Path:
        """Return where a point's executed notebook goes."""
        return self.folder / "points" / f"{point.name}.ipynb"

    def save(self) -> None:
        """Write the plan, from which ``--resume`` goes on."""
        plan = {
            "id": self.id,
            "title": self.title,
            "points": [
                {"name": p.name, "parameters": {k: literal(v) for k, v in p.parameters.items()}} for p in self.points
            ],
            "swept": self.swept,
            "uri": "" if self.uri == _own(self.folder) else self.uri,
            "parent": self.parent,
            "cell_timeout": self.cell_timeout,
            "notebook_timeout": self.notebook_timeout,
        }
        write_file(self.folder / PLAN, json.dumps(plan, indent=1))


@dataclass
class Report:
    """How a sweep went: a result per point in the order of the points, and why it stopped early, if it did."""

    sweep: Sweep
    results: list[Result]
    stopped: str = ""
    interrupted: bool = False
    executed: int = 0

    @property
    def whole(self) -> list[Result]:
        """Points that ran to their end."""
        return [r for r in self.results if r.outcome.ok]


def write_file(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    CourseError
        When it cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(text, encoding="utf8")
        os.replace(aside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise CourseError(
            f"{path} cannot be written: {error.strerror or error}. Name a folder with space that you may write to: -o. "
            "A sweep that has begun goes on from here with --resume."
        ) from error


def _own(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


# ------------------------------------------------------------------------------------------------ what is to be run


def _split(text: str) -> list[str]:
    """Split at commas that stand outside brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and depth <= 0:
            parts.append("")
            continue
        parts[-1] += letter
    return [part.strip() for part in parts]


def parse_grid(texts: Iterable[str]) -> dict[str, list[str]]:
    """Return name → values of ``name=v1,v2,…`` texts; commas inside brackets or quotes belong to a value.

    Raises
    ------
    CourseError
        For a text without ``=``, a name twice, or a value that is empty.
    """
    grid: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise CourseError(
                f"--grid {text!r} names no values. Write --grid name=v1,v2, for example --grid seed=1,2,3."
            )
        if name in grid:
            raise CourseError(f"--grid names {name!r} twice. Write all its values in one: --grid {name}=v1,v2,v3.")
        found = _split(values)
        if not all(found):
            what = "no value" if len(found) == 1 else "an empty value between two commas"
            raise CourseError(f"--grid {text!r} has {what}. Write --grid {name}=v1,v2.")
        quoted = re.compile(r"""^(['"])(.*)\1$""")
        grid[name] = [inside[2] if (inside := quoted.match(value)) else value for value in found]
    return grid


def plan(
    nb: NotebookNode,
    title: str,
    grid: dict[str, list[str]],
    fixed: dict[str, Any] | None = None,
    draw: int | None = None,
    seed: int = 0,
    yes: bool = False,
) -> list[Point]:
    """Return the points of a grid, or `draw` different ones of them.

    Parameters
    ----------
    nb
        The notebook; its parameters cell says what may vary and of which type.
    title
        Name of the notebook for messages.
    grid
        From `parse_grid`.
    fixed
        Parameters with one value for all points.
    draw, seed
        Points to draw without replacement, and the seed of the draw.
    yes
        Allow more than `MANY` points.

    Raises
    ------
    CourseError
        For an unknown parameter, a value of another type, an empty grid, or too many points.
    """
    fixed = fixed or {}
    if not grid:
        known = (
            ", ".join(f"{k}={v!r}" for k, v in parameter_defaults(nb).items()) or "none: no cell is tagged 'parameters'"
        )
        raise CourseError(f"Nothing varies. Name values with --grid name=v1,v2. The parameters of {title} are {known}.")
    if both := [name for name in grid if name in fixed]:
        raise CourseError(f"{both[0]!r} is given to --grid and to -p. A sweep varies it or fixes it, not both.")
    fixed = convert_parameters(nb, fixed, title)
    axes: dict[str, list[Any]] = {}
    for name, values in grid.items():
        converted = [convert_parameters(nb, {name: value}, title)[name] for value in values]
        axes[name] = list({repr(value): value for value in converted}.values())
        if len(axes[name]) < len(converted):
            print(f"{name} has a value twice; each point runs once.", file=sys.stderr)
    total = math.prod(map(len, axes.values()))
    if draw is not None and draw > total:
        raise CourseError(
            f"--random {draw} asks for more points than the grid has: {total}. Ask for fewer, or add values."
        )
    count = draw if draw is not None else total
    if count > MANY and not yes:
        raise CourseError(
            f"This grid has {count:,} points, and each is a whole run of {title}. "
            "Draw some of them with --random 200, or add --yes when you mean it."
        )
    chosen = range(total) if draw is None else sorted(random.Random(seed).sample(range(total), draw))
    code = provenance.notebook_hash(nb)
    return [
        _point(place, _decode(number, axes) | fixed, code, len(str(count)), axes) for place, number in enumerate(chosen)
    ]


def _decode(number: int, axes: dict[str, list[Any]]) -> dict[str, Any]:
    """Return the setting with this number; the last axis varies fastest."""
    setting = {}
    for name, values in reversed(axes.items()):
        number, index = divmod(number, len(values))
        setting[name] = values[index]
    return {name: setting[name] for name in axes}


def _point(place: int, parameters: dict[str, Any], code: str, width: int, swept: Iterable[str]) -> Point:
    words = "_".join(f"{k}={_short(parameters[k])}" for k in swept)
    name = f"{place + 1:0{max(width, 2)}d}_" + re.sub(r"[^A-Za-z0-9.=-]+", "_", words)[:80].rstrip("._")
    return Point(name, point_key(code, parameters), parameters)


def point_key(code: str, parameters: dict[str, Any]) -> str:
    """Return 16 hex digits for a notebook (its `provenance.notebook_hash`) with some parameters."""
    text = json.dumps([code, sorted((k, repr(v)) for k, v in parameters.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def start(
    folder: Path,
    source: Path,
    title: str,
    points: list[Point],
    swept: list[str],
    cell_timeout: int,
    notebook_timeout: int,
) -> Sweep:
    """Return a new sweep in an empty folder, with its plan and a copy of the notebook written.

    Raises
    ------
    CourseError
        When the folder holds something, or cannot be written.
    """
    if folder.is_file():
        raise CourseError(f"{folder} is a file; a sweep needs a folder. Name another with -o.")
    if folder.exists() and any(folder.iterdir()):
        again = (
            f" It holds a sweep; go on with it: course sweep --resume -o {folder}" if (folder / PLAN).exists() else ""
        )
        raise CourseError(f"{folder} is not empty. A sweep starts in a folder of its own; name another with -o.{again}")
    text = nbformat.writes(provenance.strip(read_notebook(source)))
    uri = os.environ.get("MLFLOW_TRACKING_URI") or _own(folder)
    sweep = Sweep(folder, title, points, swept, uri, text, "", cell_timeout, notebook_timeout)
    _check_server(sweep.server)
    write_file(folder / NOTEBOOK, text)
    sweep.save()
    return sweep


def _check_server(uri: str) -> None:
    """Raise at once when a tracking server does not answer; MLflow would try for minutes."""
    if uri and (reason := reaches(uri)):
        raise CourseError(
            f"The tracking server {uri} does not answer: {reason}. Start it, or unset MLFLOW_TRACKING_URI to keep the "
            "sweep's runs in its own folder."
        )


def latest_folder(root: Path) -> Path:
    """Return the newest sweep's folder; raises `CourseError` when there is none."""
    return batch.latest_folder(root, PLAN, "sweep", "course sweep")


def load(folder: Path) -> Sweep:
    """Read an earlier sweep.

    Raises
    ------
    CourseError
        When the folder holds none.
    """
    try:
        kept = json.loads((folder / PLAN).read_text(encoding="utf8"))
        nb = read_notebook(folder / NOTEBOOK)
        code = provenance.notebook_hash(nb)
        points = []
        for entry in kept["points"]:
            parameters = {k: provenance.unliteral(v) for k, v in entry["parameters"].items()}
            points.append(Point(entry["name"], point_key(code, parameters), parameters))
        return Sweep(
            folder,
            kept["title"],
            points,
            kept["swept"],
            kept["uri"] or _own(folder),
            nbformat.writes(nb),
            kept["parent"],
            kept["cell_timeout"],
            kept["notebook_timeout"],
            kept["id"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SyntaxError, CourseError) as error:
        raise CourseError(f"{folder} holds no sweep that can be resumed ({PLAN}: {error}).") from error


# ------------------------------------------------------------------------------------------------------ the journal


def append(folder: Path, result: Result) -> None:
    """Write one result to the journal, through to the disk: after it, the point is not run again."""
    line = json.dumps(asdict(result)) + "\n"
    with (folder / JOURNAL).open("a+", encoding="utf8") as file:
        file.seek(0, os.SEEK_END)
        if end := file.tell():
            file.seek(end - 1)
            if file.read(1) != "\n":  # a line that was cut when the runner was killed
                file.write("\n")
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def journal(folder: Path) -> dict[str, Result]:
    """Return the newest result of each key; a line that was cut off by a kill is no result."""
    found: dict[str, Result] = {}
    with contextlib.suppress(OSError):
        for line in (folder / JOURNAL).read_text(encoding="utf8").splitlines():
            with contextlib.suppress(ValueError, TypeError, KeyError):
                entry = json.loads(line)
                found[entry["key"]] = Result(**entry | {"outcome": Outcome(**entry["outcome"])})
    return found


# ------------------------------------------------------------------------------------------------- the sweep's runs


class Record:
    """The sweep in MLflow: a parent run, and a child run for each point, written when the point ends."""

    def __init__(self, sweep: Sweep, root: Path) -> None:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        from .. import store

        self.sweep = sweep
        self.tags = provenance.tags(root)
        _check_server(sweep.server)
        try:
            store.connect(sweep.uri)
            self.client = MlflowClient(sweep.uri, sweep.uri)
            found = self.client.get_experiment_by_name(EXPERIMENT)
            self.experiment = found.experiment_id if found else self.client.create_experiment(EXPERIMENT)
            self._open_parent()
        except MlflowException as error:
            raise CourseError(f"The run store {sweep.uri} refuses the sweep: {error}") from error

    def _open_parent(self) -> None:
        from mlflow.entities import Param, RunTag

        sweep = self.sweep
        if sweep.parent:
            self.client.update_run(sweep.parent, status="RUNNING")
            return
        run = self.client.create_run(
            self.experiment, run_name=f"sweep of {Path(sweep.title).stem}, {sweep.folder.name}"
        )
        sweep.parent = run.info.run_id
        sweep.save()
        axes = {n: ", ".join(dict.fromkeys(_short(p.parameters[n]) for p in sweep.points)) for n in sweep.swept}
        fixed = {k: v for k, v in sweep.points[0].parameters.items() if k not in sweep.swept}
        self.client.log_batch(
            sweep.parent,
            params=[Param(k, str(v)[:6000]) for k, v in {**axes, **fixed}.items()],
            tags=[RunTag(k, v) for k, v in {**self.tags, "notebook": sweep.title}.items()],
        )
        self.client.log_dict(sweep.parent, provenance.environment(), provenance.ENVIRONMENT)
        self.client.log_artifact(sweep.parent, str(sweep.folder / NOTEBOOK))

    def earlier(self) -> dict[str, tuple[str, str]]:
        """Return key → (run id, status) of the points' runs; one that a kill left half-written goes to the trash."""
        found = {}
        below = f"tags.`mlflow.parentRunId` = '{self.sweep.parent}'"
        for run in provenance.search(self.client, below, [self.experiment]):
            if POINT_TAG not in run.data.tags:
                continue
            if run.info.status == "RUNNING":
                self.client.delete_run(run.info.run_id)
            else:
                found[run.data.tags[POINT_TAG]] = (run.info.run_id, run.info.status)
        return found

    def collect(self, result: Result) -> None:
        """Fetch what a point has logged to the server; runs of an attempt that a lost worker began go to the trash."""
        jobs = provenance.on_server(self.client, f"{self.sweep.id}/{result.key}/")
        for job, runs in jobs.items():
            for run in runs:
                if not job.endswith(f"/{result.attempt}"):
                    self.client.delete_run(run.info.run_id)
                elif run.info.status == "RUNNING":
                    self.client.set_terminated(run.info.run_id, "KILLED")
        mine = [run for job, runs in jobs.items() if job.endswith(f"/{result.attempt}") for run in runs]
        result.runs = provenance.rows(self.client, mine)

    def write(self, point: Point, result: Result) -> None:
        """Write the child run of a point."""
        now, outcome = int(time.time() * 1000), result.outcome
        if result.run_id:
            return
        tags = {
            **self.tags,
            **provenance.file_tags(point.parameters),
            "mlflow.parentRunId": self.sweep.parent,
            POINT_TAG: point.key,
            "course.job": f"{self.sweep.id}/{point.key}/{result.attempt}",
            "course.notebook": self.sweep.title,
            "course.notebook_sha256": provenance.notebook_hash(nbformat.reads(self.sweep.notebook, as_version=4)),
            "status": outcome.status,
            "error": outcome.error[:500],
        }
        run_id = self.client.create_run(
            self.experiment, now - int(outcome.seconds * 1000), {k: v for k, v in tags.items() if v}, point.label[:250]
        ).info.run_id
        try:
            self._fill(run_id, point, result, now)
        except BaseException:
            with contextlib.suppress(Exception):
                self.client.delete_run(run_id)
            raise
        result.run_id = run_id

    def _fill(self, run_id: str, point: Point, result: Result, now: int) -> None:
        from mlflow.entities import Metric, Param

        outcome = result.outcome
        metrics = result.metrics() | {"seconds": outcome.seconds}
        self.client.log_batch(
            run_id,
            metrics=[Metric(k, v, now, 0) for k, v in metrics.items()],
            params=[Param(k, str(v)[:6000]) for k, v in point.parameters.items()],
        )
        provenance.keep(self.client, run_id, outcome.output, point.parameters, result.runs, result.printed)
        if self.sweep.server:
            for run in result.runs:
                if not run["parent"]:
                    self.client.set_tag(run["run_id"], "mlflow.parentRunId", run_id)
        self.client.set_terminated(run_id, "FINISHED" if outcome.ok else "FAILED", now)

    def forget(self, run_id: str) -> None:
        """Put the run of a point that failed before into the trash: its next attempt gets a new one."""
        with contextlib.suppress(Exception):  # somebody has deleted it already
            self.client.delete_run(run_id)

    def close(self, report: Report) -> None:
        """End the parent run."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        counts = {
            "points": len(report.results),
            "whole": len(report.whole),
            "failed": sum(not r.outcome.ok and r.outcome.status != "interrupted" for r in report.results),
        }
        self.client.log_batch(self.sweep.parent, metrics=[Metric(k, float(v), now, 0) for k, v in counts.items()])
        status = "KILLED" if report.stopped else "FINISHED" if len(report.whole) == len(report.results) else "FAILED"
        self.client.set_terminated(self.sweep.parent, status)


# ------------------------------------------------------------------------------------------------------ the running


def run(
    sweep: Sweep,
    root: Path,
    *,
    workers: int = 1,
    client: Client | None = None,
    cold: bool = False,
    on_progress: OnProgress | None = None,
) -> Report:
    """Run the points that are not whole yet, each once, and write every result as soon as it is there.

    Parameters
    ----------
    sweep
        From `start` or `load`.
    root
        The checkout.
    workers
        Points at once on this machine.
    client
        From `cluster.connect`: its workers run the points instead.
    cold
        Start ordinary kernels.
    on_progress
        Told of each point that ends.

    Raises
    ------
    CourseError
        When the tracking server does not answer.
    """
    before = journal(sweep.folder)
    record = Record(sweep, root)
    done: dict[str, Result] = {}
    written = record.earlier()
    for key, result in before.items():
        if result.outcome.ok:
            run_id, status = written.get(key, ("", ""))
            result.run_id = run_id if status == "FINISHED" else ""
            done[key] = result
    waiting = [p for p in sweep.points if p.key not in done]
    by_name = {p.name: p for p in waiting}
    outcomes: dict[str, Outcome] = {}
    total = len(waiting)

    def finish(result: Result) -> None:
        """Journal and record one point; the journal decides what a resume runs."""
        point = next(p for p in waiting if p.key == result.key)
        if sweep.server:
            record.collect(result)
        if result.key in written:
            record.forget(written[result.key][0])
        append(sweep.folder, result)
        done[result.key] = result
        record.write(point, result)

    try:
        for key, result in done.items():
            record.write(next(p for p in sweep.points if p.key == key), result)
        if client is not None:
            stopped, interrupted = _on_cluster(sweep, waiting, client, finish, outcomes, on_progress)
        else:
            stopped, interrupted = _here(sweep, by_name, root, workers, cold, finish, outcomes, on_progress)
    except BaseException:
        with contextlib.suppress(Exception):
            record.client.set_terminated(sweep.parent, "KILLED")
        raise
    missing = {
        p.key: Result(p.key, outcomes.get(p.name) or Outcome(p.name, "interrupted", error="not started"))
        for p in sweep.points
        if p.key not in done
    }
    report = Report(sweep, [done.get(p.key) or missing[p.key] for p in sweep.points], stopped, interrupted)
    report.executed = total - len(missing)
    record.close(report)
    return report


def _here(
    sweep: Sweep,
    points: dict[str, Point],
    root: Path,
    workers: int,
    cold: bool,
    finish: Callable[[Result], None],
    outcomes: dict[str, Outcome],
    on_progress: OnProgress | None,
) -> tuple[str, bool]:
    """Run points in worker processes of this machine; return why it stopped early, and whether Ctrl-C did it."""
    attempts = {name: uuid.uuid4().hex for name in points}
    if points and not sweep.server:
        _ready_template(root)
    jobs = []
    for name, point in points.items():
        home = sweep.folder / "points" / name
        uri = sweep.server or f"sqlite:///{home / 'mlflow.db'}"
        if not sweep.server:
            (home / "mlflow.db").unlink(missing_ok=True)  # of an attempt that did not end
            give_store(home / "mlflow.db", sweep.notebook, template(root))
        jobs.append(
            Job(
                name,
                sweep.folder / NOTEBOOK,
                sweep.output(point),
                home,
                home / "work",
                point.parameters,
                point_environment(uri, f"{sweep.id}/{point.key}/{attempts[name]}"),
                sweep.cell_timeout,
                sweep.notebook_timeout,
                mark=attempts[name],
            )
        )

    def result_of(outcome: Outcome) -> Result:
        point = points[outcome.name]
        home = sweep.folder / "points" / point.name
        runs = [] if sweep.server else provenance.in_store(home / "mlflow.db")
        if not runs:
            (home / "mlflow.db").unlink(missing_ok=True)
        _prune(home)
        text = ""
        with contextlib.suppress(OSError):
            text = Path(outcome.output).read_text(encoding="utf8") if outcome.output else ""
        return Result(point.key, outcome, runs, provenance.printed(text), attempt=attempts[point.name])

    seen = set()

    def tell(states: list[pool.Progress], outcome: Outcome | None) -> None:
        if outcome is not None and outcome.status != "interrupted":
            finish(result_of(outcome))
            seen.add(outcome.name)
        if on_progress:
            on_progress(states, outcome)

    ended = pool.run_jobs(jobs, workers, tell, root=root, cold=cold)
    for outcome, _ in ended:
        outcomes[outcome.name] = outcome
        if outcome.name not in seen and outcome.status != "interrupted":
            finish(result_of(outcome))  # Ctrl-C came while its result was being written
    stopped = any(o.status == "interrupted" for o, _ in ended)
    return ("stopped by Ctrl-C" if stopped else ""), stopped


def _ready_template(root: Path) -> None:
    """Make the empty store that each point gets a copy of, when it is not there yet."""
    from .. import store

    path = template(root)
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        store.create(f"sqlite:///{path}")


def _prune(folder: Path) -> None:
    """Remove empty folders, from the leaves on."""
    for path in sorted((p for p in [folder, *folder.rglob("*")] if p.is_dir()), reverse=True):
        with contextlib.suppress(OSError):
            path.rmdir()


def _on_cluster(
    sweep: Sweep,
    points: list[Point],
    client: Client,
    finish: Callable[[Result], None],
    outcomes: dict[str, Outcome],
    on_progress: OnProgress | None,
) -> tuple[str, bool]:
    """Run points on the workers of a Dask cluster; return why it stopped early, and whether Ctrl-C did it."""
    if not points:
        return "", False
    session = uuid.uuid4().hex[:8]
    if sweep.server:
        for worker, reason in client.run(reaches, sweep.server).items():
            if reason:
                raise CourseError(
                    f"The worker {worker} cannot reach the tracking server {sweep.server} ({reason}), so its runs "
                    "could not come back. Give MLFLOW_TRACKING_URI an address that all machines can reach."
                )
    elif "mlflow" in sweep.notebook:
        print(
            "Metrics and executed notebooks come back to this machine; models and files that the notebook logs stay "
            "on the workers and go. To keep those, set MLFLOW_TRACKING_URI to a server that the workers can reach.",
            file=sys.stderr,
        )
    ready: queue.SimpleQueue = queue.SimpleQueue()
    futures = {}
    for point in points:
        task = {
            "session": session,
            "name": point.name,
            "notebook": sweep.notebook,
            "parameters": point.parameters,
            "job": f"{sweep.id}/{point.key}",
            "uri": sweep.server,
            "cell_timeout": sweep.cell_timeout,
            "notebook_timeout": sweep.notebook_timeout,
            "versions": fingerprint(),
        }
        future = client.submit(run_point, task, pure=False, key=f"point-{session}-{point.name}")
        futures[future.key] = (future, point)
        future.add_done_callback(ready.put)
    try:
        stopped = _gather(sweep, client, futures, ready, finish, outcomes, on_progress)
        interrupted = False
    except KeyboardInterrupt:
        stopped, interrupted = "stopped by Ctrl-C", True
    with contextlib.suppress(Exception):  # the scheduler may be gone
        client.cancel([future for future, _ in futures.values()])
        _release(client, session)
    return stopped, interrupted


def _release(client: Any, session: str) -> None:
    from .sweep_task import release

    client.run(release, session, on_error="ignore")


def _gather(
    sweep: Sweep,
    client: Any,
    futures: dict[str, tuple[Any, Point]],
    ready: queue.SimpleQueue,
    finish: Callable[[Result], None],
    outcomes: dict[str, Outcome],
    on_progress: OnProgress | None,
) -> str:
    """Take results as they come; return why not all of them came, or an empty string."""
    from . import cluster

    known = set(cluster.workers(client) or [])
    looked = alone_since = 0.0
    while futures:
        try:
            future = ready.get(timeout=0.5)
        except queue.Empty:
            future = None
        if future is not None and future.key in futures:
            if future.status == "cancelled":
                return "the connection to the scheduler was lost"
            if future.status not in ("finished", "error"):
                # Its result died with a worker before it came here; the scheduler gives the point to another one.
                future.add_done_callback(ready.put)
                continue
            _, point = futures.pop(future.key)
            result = _result(sweep, future, point)
            outcomes[point.name] = result.outcome
            finish(result)
            if on_progress:
                on_progress([], result.outcome)
        if client.status != "running":
            return "the connection to the scheduler was lost"
        if time.monotonic() - looked < 2:
            continue
        looked = time.monotonic()
        if (seen := cluster.workers(client)) is None:
            continue
        now = set(seen)
        for worker in sorted(known - now):
            print(f"The worker {worker} is gone; its points go to the others.", file=sys.stderr)
        known = now
        if now:
            alone_since = 0.0
        elif not alone_since:
            alone_since = looked
            print(f"No worker is left. Waiting {NO_WORKERS} s for one: dask worker ADDRESS", file=sys.stderr)
        elif looked - alone_since > NO_WORKERS:
            return f"no worker was left for {NO_WORKERS} s"
    return ""


def _result(sweep: Sweep, future: Any, point: Point) -> Result:
    """Turn what a worker has sent into files and a result."""
    from distributed.scheduler import KilledWorker

    try:
        answer = future.result()
    except KilledWorker:
        error = "each worker that ran it was killed (out of memory?)"
        return Result(point.key, Outcome(point.name, "lost", error=error))
    except Exception as error:  # whatever the worker's Python raised outside the notebook
        text = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        return Result(point.key, Outcome(point.name, "failed", error=f"the worker could not run it: {text}"))
    finally:
        future.release()
    outcome: Outcome = answer["outcome"]
    text = answer["notebook"]
    if text is not None and outcome.status not in ("bad notebook", "bad parameter"):
        whole = sweep.output(point)
        path = whole if outcome.ok else whole.parent / "partial" / whole.name
        write_file(path, text)
        outcome.output = str(path)
    return Result(point.key, outcome, answer["runs"] or [], provenance.printed(text), attempt=answer["attempt"])


# ---------------------------------------------------------------------------------------------------- what came of it


def choose_metric(results: Iterable[Result], wanted: str | None) -> str | None:
    """Return the metric to rank by: `wanted`, or the only one that the points have; None when there are several.

    Raises
    ------
    BadParameter
        When no point has the wanted one, or none has any.
    """
    names: dict[str, None] = {}
    for result in results:
        names |= dict.fromkeys(name for name in result.metrics() if result.values(name))
    if wanted is None:
        return next(iter(names)) if len(names) == 1 else None
    if wanted not in names:
        near = get_close_matches(wanted, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        have = ", ".join(sorted(names)) or "none (log one, or print a JSON object in the last cell)"
        raise BadParameter(f"No point has a metric {wanted!r}; they have: {have}.{hint}")
    return wanted


def frame(report: Report, metric: str | None, minimize: bool) -> pd.DataFrame:
    """Return one row a point: parameters, the ranking metric (its best value), the other metrics, seconds, status.

    With a metric the best whole point comes first; points that failed come last.
    """
    import pandas as pd

    rows = []
    for point, result in zip(report.sweep.points, report.results, strict=True):
        metrics = result.metrics()
        if metric and (values := result.values(metric)):
            metrics = {metric: min(values) if minimize else max(values)} | {
                k: v for k, v in metrics.items() if k != metric
            }
        rows.append(
            {"point": point.name}
            | {
                k: v if isinstance(v, int | float | str) and not isinstance(v, bool) else str(v)
                for k, v in point.parameters.items()
            }
            | {(f"metric {k}" if k in point.parameters else k): v for k, v in metrics.items()}
            | {"seconds": result.outcome.seconds, "status": result.outcome.status, "error": result.outcome.error}
        )
    table = pd.DataFrame(rows)
    shown = metric_column(report, metric)
    if shown and shown in table:
        table = table.sort_values(shown, ascending=minimize, kind="stable", na_position="last")
        table = table.sort_values("status", key=lambda status: status != "ok", kind="stable")
    return table.reset_index(drop=True)


def metric_column(report: Report, metric: str | None) -> str | None:
    """Return the column of a metric in `frame`: a metric that is called like a parameter gets a prefix."""
    return f"metric {metric}" if metric in report.sweep.points[0].parameters else metric


def draw(report: Report, table: pd.DataFrame, metric: str, minimize: bool) -> tuple[Path, str] | None:
    """Write the parallel-coordinates plot and its words; return path and words, or None with fewer than two points."""
    from .. import plots

    column = metric_column(report, metric)
    ranked = table[(table["status"] == "ok") & table[column].notna()].reset_index(drop=True)
    if len(ranked) < 2:
        return None
    best = ranked.iloc[0]
    setting = ", ".join(f"{n} {_short(best[n])}" for n in report.sweep.swept)
    title = (
        f"{setting} has the {'lowest' if minimize else 'highest'} {column}, {best[column]:.4g}, of {len(ranked)} points"
    )
    figure = plots.parallel_coordinates(ranked, report.sweep.swept, column, title=title)
    words = plots.alt_text(figure)
    path = plots.save(figure, report.sweep.folder / PICTURE)
    write_file(report.sweep.folder / WORDS, words + "\n")
    return path, words


def keep(report: Report, table: pd.DataFrame, metric: str | None, minimize: bool) -> None:
    """Write the table, and put table and figure into the parent run with the best value."""
    from mlflow import MlflowClient

    sweep = report.sweep
    write_file(sweep.folder / TABLE, table.to_csv(index=False))
    client = MlflowClient(sweep.uri, sweep.uri)
    for name in (TABLE, PICTURE, WORDS):
        if (sweep.folder / name).is_file():
            client.log_artifact(sweep.parent, str(sweep.folder / name))
    column = metric_column(report, metric)
    if column and column in table and table[column].notna().any():
        client.log_metric(sweep.parent, f"best_{metric}", float(table[column].iloc[0]))
        client.set_tag(sweep.parent, "ranked_by", f"{metric}, {'lowest' if minimize else 'highest'} first")


def command(title: str, parameters: dict[str, Any]) -> str:
    """Return the shell line that runs one point again."""
    words = ["course", "run", title]
    for name, value in parameters.items():
        words += ["-p", name, value if isinstance(value, str) else repr(value)]
    return shlex.join(words)
