"""What a sweep keeps of each point: a line in its journal, and a run in MLflow below that of the sweep."""

from __future__ import annotations

import ast
import contextlib
import json
import math
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import nbformat

from course_runner.batch import provenance
from course_runner.batch.job import Outcome, has_tag
from course_runner.batch.parameters import PARAMETERS_TAG, parameter_defaults, without_magics
from course_runner.batch.record import close_open_runs
from course_runner.sweep.plan import NOTEBOOK, Point, Sweep, check_server, short
from course_utils.errors import CourseError

JOURNAL = "journal.jsonl"
EXPERIMENT = "course-sweeps"
#: Tag that names a point: notebook and parameters. The same point has the same key in every sweep.
POINT_TAG = "course.point"


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
    counted
        Ids of the runs whose metrics are the point's, from `about`; empty: all of them.
    """

    key: str
    outcome: Outcome
    runs: list[dict[str, Any]] = field(default_factory=list)
    printed: dict[str, float] = field(default_factory=dict)
    run_id: str = ""
    attempt: str = ""
    counted: list[str] = field(default_factory=list)

    def _counted(self) -> list[dict[str, Any]]:
        return [run for run in self.runs if not self.counted or run["run_id"] in self.counted]

    def values(self, metric: str) -> list[float]:
        """Return all values that the point has for a metric; NaN and infinity are none."""
        found = [run["metrics"][metric] for run in self._counted() if metric in run["metrics"]]
        found += [self.printed[metric]] if metric in self.printed else []
        return [v for v in map(_stored, found) if math.isfinite(v)]

    def metrics(self) -> dict[str, float]:
        """Return each metric with the value of the last run that has it, parents before their children."""
        found: dict[str, float] = {}
        for run in sorted(self._counted(), key=lambda r: not r["parent"]):
            found |= run["metrics"]
        return {name: _stored(value) for name, value in (found | self.printed).items()}


def _stored(value: float) -> float:
    """Return a metric as it was logged: MLflow 3.17 stores infinity as the largest float."""
    return math.copysign(math.inf, value) if abs(value) >= sys.float_info.max else value


def about(sweep: Sweep, point: Point, runs: list[dict[str, Any]]) -> list[str]:
    """Return the ids of the runs that are about the point.

    The full workflow trains on the data of its parameters and then on another set: a run that has logged another value for one
    of the notebook's parameters, or is a child of such a run, says nothing about the setting.
    """
    setting = parameter_defaults(nbformat.reads(sweep.notebook, as_version=4)) | point.parameters
    other = {
        run["run_id"]
        for run in runs
        if any(value != str(setting[name]) for name, value in run["params"].items() if name in setting)
    }
    return [run["run_id"] for run in runs if not other & {run["run_id"], run["parent"]}]


@dataclass
class Report:
    """How a sweep went: a result per point in the order of the points, and why it stopped early, if it did."""

    sweep: Sweep
    results: list[Result]
    stopped: str = ""
    interrupted: bool = False

    @property
    def whole(self) -> list[Result]:
        """Points that ran to their end."""
        return [r for r in self.results if r.outcome.ok]


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
    """Return the newest result of each key; a line that was cut off by a kill does not count."""
    found: dict[str, Result] = {}
    with contextlib.suppress(OSError):
        for line in (folder / JOURNAL).read_text(encoding="utf8").splitlines():
            with contextlib.suppress(ValueError, TypeError, KeyError):
                entry = json.loads(line)
                found[entry["key"]] = Result(**entry | {"outcome": Outcome(**entry["outcome"])})
    return found


def experiments(sweep: Sweep) -> list[str]:
    """Return the experiments that the notebook names: in quotes, or by a parameter or another name that is set to a text.

    They are made before the points begin: of two processes that create an experiment at the same moment, MLflow 3.17's
    ``set_experiment`` activates it in one only, and the other's runs land in the experiment *Default*.
    """
    nb = nbformat.reads(sweep.notebook, as_version=4)
    given = set.intersection(*(set(point.parameters) for point in sweep.points))  # no point takes the default of these
    texts: dict[str, set[str]] = {}
    called: list[ast.expr] = []
    for cell in nb.cells:
        tree = ast.Module([], [])
        with contextlib.suppress(SyntaxError):  # another language below a cell magic; it rarely names an experiment
            tree = ast.parse(without_magics(cell.source) if cell.cell_type == "code" else "")
        replaced = given if has_tag(cell, PARAMETERS_TAG) else ()
        for node in ast.walk(tree):
            value = getattr(node, "value", None)
            if isinstance(node, ast.Assign) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                for name in {getattr(target, "id", "") for target in node.targets} - set(replaced):
                    texts.setdefault(name, set()).add(value.value)
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("set_experiment"):
                called += [*node.args[:1], *(word.value for word in node.keywords if word.arg == "experiment_name")]
    for point in sweep.points:
        for name, value in point.parameters.items():
            if isinstance(value, str):
                texts.setdefault(name, set()).add(value)
    found = {word.value for word in called if isinstance(word, ast.Constant) and isinstance(word.value, str)}
    found |= {text for word in called for text in texts.get(getattr(word, "id", ""), ())}
    return sorted(name for name in found if name.strip())


class Record:
    """The sweep in MLflow: a parent run, and a child run for each point, written when the point ends."""

    def __init__(self, sweep: Sweep, root: Path) -> None:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        from course_utils import store

        self.sweep = sweep
        self.tags = provenance.tags(root)
        check_server(sweep.server)
        try:
            store.connect(sweep.uri)
            self.client = MlflowClient(sweep.uri, sweep.uri)
            self.experiment = self._experiment(EXPERIMENT)
            for name in experiments(sweep) if sweep.server else ():
                self._experiment(name)
            self._open_parent()
        except MlflowException as error:
            raise CourseError(f"The run store {sweep.uri} refuses the sweep: {error}") from error

    def _experiment(self, name: str) -> str:
        """Return the id of an experiment, made where there is none."""
        from mlflow.exceptions import MlflowException

        if found := self.client.get_experiment_by_name(name):
            return found.experiment_id
        try:
            return self.client.create_experiment(name)
        except MlflowException:  # another sweep on this server has been faster
            if found := self.client.get_experiment_by_name(name):
                return found.experiment_id
            raise

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
        axes = {n: ", ".join(dict.fromkeys(short(p.parameters[n]) for p in sweep.points)) for n in sweep.swept}
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
        self.end("KILLED" if report.stopped else "FINISHED" if len(report.whole) == len(report.results) else "FAILED")

    def end(self, status: str) -> None:
        """Give the parent run its status; runs that stopped points have left open on a server are closed."""
        if self.sweep.server and status == "KILLED":
            close_open_runs(self.client, f"{self.sweep.id}/")
        self.client.set_terminated(self.sweep.parent, status)
