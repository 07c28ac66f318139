"""Execute a recorded run once more in a fresh process, and say metric by metric whether it gives the same numbers."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

from course_runner.batch import provenance
from course_utils._plumbing.places import sqlite_uri
from course_utils.errors import CourseError

if TYPE_CHECKING:
    from course_runner.batch.pool import OnProgress

#: Metrics that measure the machine: they differ in every run and prove nothing.
MEASURED = re.compile(
    r"seconds|duration|latency|runtime|elapsed|(^|_)time(_|$)|(^|_)ms(_|$)|per_second|^system/|memory|cpu", re.I
)
#: How the experiments begin in which the runner keeps its own records: course-batches, course-sweeps.
RECORDS = "course-"


@dataclass(frozen=True)
class Row:
    """One metric: which run of the code it belongs to, and its value then and now (None: not there)."""

    run: str
    metric: str
    recorded: float | None
    again: float | None
    same: bool


@dataclass
class Verdict:
    """What a second execution has shown.

    Attributes
    ----------
    what
        What was executed again.
    rows
        One per metric, those that differ first.
    skipped
        Names of metrics that measure the machine and were not compared.
    reasons
        What differs between then and now apart from the metrics.
    error
        How the second execution failed, if it did.
    """

    what: str
    rows: list[Row]
    skipped: list[str]
    reasons: list[str]
    error: str = ""

    @property
    def same(self) -> bool:
        """Whether every metric is the same."""
        return not self.error and all(row.same for row in self.rows)


class CannotVerify(CourseError):
    """The run does not hold what it takes to execute it again."""


def verify(
    run_id: str,
    uri: str,
    root: Path,
    *,
    tolerance: float = 0.0,
    ignore: str | None = None,
    cold: bool = False,
    on_progress: OnProgress | None = None,
) -> Verdict:
    """Execute what a run recorded, with its parameters and seeds, in a scratch store, and compare.

    Parameters
    ----------
    run_id
        A notebook's run in a batch, a point of a sweep, a run of ``course workflow``, a run that such a notebook
        logged itself, or ``models:/name/version``: the run that the version came from.
    uri
        Tracking URI of the store that holds it.
    root
        The checkout.
    tolerance
        Largest difference that counts as the same, relative to the recorded value; 0: every bit.
    ignore
        Regular expression: metrics not to compare, besides those that measure time and memory.
    cold
        Start an ordinary kernel.
    on_progress
        Told of the cells of a notebook.

    Raises
    ------
    CannotVerify
        When there is no such run, or it does not hold what it takes.
    """
    from mlflow import MlflowClient

    from course_utils import store

    if not 0 <= tolerance < math.inf:
        raise CourseError(f"--tolerance is {tolerance}; it must be a number from 0 on.")
    try:
        skip = re.compile(ignore) if ignore else None
    except re.error as error:
        raise CourseError(f"--ignore {ignore!r} is not a regular expression: {error}.") from None
    store.connect(uri)
    client = MlflowClient(uri, uri)
    run = _find(client, run_id, uri)
    tags = run.data.tags
    if tags.get(provenance.VERB_TAG) == "workflow":
        recorded = _workflow_rows(client, run)
        again, error = _workflow_again(run)
        what = f"course workflow, run {run.info.run_name}"
        missing: list[str] = []
    else:
        run = _record_of(client, run)
        recorded, parameters, text = _kept(client, run)
        again, error = _notebook_again(run, parameters, text, root, cold, on_progress)
        given = ", ".join(f"{k}={v!r}" for k, v in parameters.items())
        what = f"{run.data.tags['course.notebook']}{f' with {given}' if given else ''}"
        missing = []
    rows, skipped = ([], []) if error else compare(recorded, again, tolerance, skip)
    if not rows and not error:
        raise CannotVerify(
            f"{what} has no metric to compare{' but ' + ', '.join(skipped) if skipped else ''}: its notebook logs none, "
            "and its last cell prints no JSON object with one."
        )
    reasons = differences(client, run, root) + missing + _data(recorded, again if not error else [])
    return Verdict(what, rows, skipped, reasons, error)


def _find(client: Any, run_id: str, uri: str) -> Any:
    """Return the run, or that of a registered model's version."""
    from mlflow.exceptions import MlflowException

    try:
        if run_id.startswith("models:/"):
            name, _, version = run_id.removeprefix("models:/").partition("/")
            name, at, alias = name.partition("@")
            found = client.get_model_version_by_alias(name, alias) if at else client.get_model_version(name, version)
            if not found.run_id:
                raise CannotVerify(f"{run_id} was registered without a run, so nothing says how it was made.")
            run_id = found.run_id
        return client.get_run(run_id)
    except MlflowException as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise CannotVerify(
            f"The store {uri} has no {run_id!r}: {reason}. Copy the run id from the UI; the runs of a batch or a sweep are "
            "in its folder: course verify RUN_ID --home runs/…"
        ) from None


def _record_of(client: Any, run: Any) -> Any:
    """Return the runner's own run of the notebook that `run` belongs to."""
    tags = run.data.tags
    if "course.notebook" in tags:
        if tags.get("status", "ok") != "ok":
            raise CannotVerify(f"{run.info.run_name} did not run to its end ({tags['status']}); nothing compares.")
        return run
    job = tags.get(provenance.JOB_TAG)
    if not job and (parent := tags.get("mlflow.parentRunId")):
        job = client.get_run(parent).data.tags.get(provenance.JOB_TAG)
    if job:
        places = [e.experiment_id for e in client.search_experiments() if e.name.startswith(RECORDS)]
        safe = job.replace("'", "")
        if found := provenance.search(client, f"tags.`course.job` = '{safe}'", places):
            return found[0]
        raise CannotVerify(
            f"The run {run.info.run_name!r} was logged by a notebook whose own run is not in this store. For a sweep, "
            "give the id of the point's run, which is in the store of the sweep's folder."
        )
    children = provenance.search(client, f"tags.`mlflow.parentRunId` = '{run.info.run_id}'", [run.info.experiment_id])
    if children and "course.notebook" in children[0].data.tags:
        raise CannotVerify(
            f"{run.info.run_name!r} is the parent of {len(children)} notebooks' runs. Verify one of them, for example: "
            f"course verify {children[0].info.run_id}"
        )
    raise CannotVerify(
        f"The run {run.info.run_name!r} does not hold the code that made it: it was not made by `course run`, "
        "`course sweep` or `course workflow`. Run its notebook with `course run`, then verify that run."
    )


# --------------------------------------------------------------------------------------------------------- notebooks


def _kept(client: Any, run: Any) -> tuple[list[dict[str, Any]], dict[str, Any], str]:
    """Return what a notebook logged, its parameters, and its text without outputs."""
    run_id = run.info.run_id
    with tempfile.TemporaryDirectory(prefix="course-verify-") as folder:
        paths = [a.path for a in client.list_artifacts(run_id, provenance.EXECUTED)]
        names = {a.path for a in client.list_artifacts(run_id)}
        if not paths or provenance.LOGGED not in names:
            raise CannotVerify(
                f"The run {run.info.run_name!r} holds no executed notebook, or not what it logged: an older version of the "
                "course made it. Run the notebook again with `course run`."
            )
        nb = nbformat.read(client.download_artifacts(run_id, paths[0], folder), as_version=4)
        text = Path(client.download_artifacts(run_id, provenance.LOGGED, folder)).read_text(encoding="utf8")
    logged = json.loads(text)
    if provenance.notebook_hash(nb) != run.data.tags.get("course.notebook_sha256"):
        raise CannotVerify(f"The notebook kept in {run.info.run_name!r} is not the one that ran: its hash differs.")
    parameters = {k: provenance.unliteral(v) for k, v in logged["parameters"].items()}
    return _with_printed(logged["runs"], logged["printed"]), parameters, nbformat.writes(provenance.strip(nb))


def _with_printed(runs: list[dict[str, Any]], numbers: dict[str, float]) -> list[dict[str, Any]]:
    """Return the runs, with what the last cell printed as one more."""
    if not numbers:
        return runs
    return [*runs, {"run_id": "", "experiment": "", "name": "last cell", "parent": "", "metrics": numbers, "data": []}]


def _notebook_again(
    run: Any, parameters: dict[str, Any], text: str, root: Path, cold: bool, on_progress: OnProgress | None
) -> tuple[list[dict[str, Any]], str]:
    """Execute a notebook in a scratch folder; return what it logs, or how it failed."""
    from course_runner.batch.job import Job
    from course_runner.batch.pool import run_jobs

    seed = run.data.tags.get("course.seed")
    with tempfile.TemporaryDirectory(prefix="course-verify-", ignore_cleanup_errors=True) as scratch:
        home = Path(scratch) / "home"
        source = Path(scratch) / "notebook.ipynb"
        source.write_text(text, encoding="utf8")
        uri = sqlite_uri(home / "mlflow.db")
        environment = provenance.logging_environment(uri, "verify") | ({"COURSE_SEED": seed} if seed else {})
        name = Path(run.data.tags["course.notebook"]).name
        job = Job(name, source, Path(scratch) / name, home, home / "work", parameters, environment)
        outcome, nb = run_jobs([job], 1, on_progress, root=root, cold=cold, store_uri=uri)[0]
        if outcome.status == "interrupted":
            raise KeyboardInterrupt
        if not outcome.ok:
            cell = f", cell {outcome.cell}" if outcome.cell else ""
            return [], f"this time it did not run to its end: {outcome.status}{cell}: {outcome.error}"
        numbers = provenance.printed(nbformat.writes(nb) if nb is not None else None)
        return _with_printed(provenance.in_store(home / "mlflow.db"), numbers), ""


# ---------------------------------------------------------------------------------------------------------- workflow


def _workflow_rows(client: Any, run: Any) -> list[dict[str, Any]]:
    children = provenance.search(client, f"tags.`mlflow.parentRunId` = '{run.info.run_id}'", [run.info.experiment_id])
    if run.info.status != "FINISHED":
        raise CannotVerify(
            f"The workflow {run.info.run_name!r} is {run.info.status}; only a finished one can be compared."
        )
    return provenance.rows(client, [run, *sorted(children, key=lambda r: r.info.start_time)])


def _workflow_again(run: Any) -> tuple[list[dict[str, Any]], str]:
    """Run the workflow of `run` in a process and a store of its own."""
    from course_runner.workflow import WorkflowConfig
    from course_utils._plumbing.tables import Wishes

    params, config = run.data.params, {}
    for name in WorkflowConfig().params():
        if name not in params:
            if name == "task":  # before there was a choice, all had two classes
                config[name] = "binary"
                continue
            raise CannotVerify(
                f"The workflow {run.info.run_name!r} has no parameter {name!r}: an older version made it."
            )
        text = params[name]
        default = {f.name: f.default for f in fields(WorkflowConfig)}[name]
        # A target may be called 1 or "house price": names are texts, whatever they look like.
        texts = isinstance(default, str) or name in ("target", "model", "scoring")
        config[name] = text if texts else provenance.unliteral(text)
    for field_ in fields(Wishes):  # what was said about a file, if anything
        if field_.name in params:
            text = params[field_.name]
            config[field_.name] = text if field_.name == "positive" else provenance.unliteral(text)
    # pandas and JSON know no None for a text; MLflow wrote the word.
    config |= {name: None for name in ("target", "n_rows") if params[name] == "None"}
    if file := run.data.tags.get("course.data_file"):
        if not Path(file).is_file():
            raise CannotVerify(f"The data of this run was {file}, which is not there any more. Put it back.")
        config["data"] = file
    with tempfile.TemporaryDirectory(prefix="course-verify-", ignore_cleanup_errors=True) as scratch:
        environment = {**os.environ, "COURSE_HOME": scratch, "MLFLOW_TRACKING_URI": sqlite_uri(f"{scratch}/mlflow.db")}
        command = [sys.executable, "-m", "course_runner.verify.verify", json.dumps(config)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            return [], f"this time it did not run to its end: {lines[-1] if lines else f'exit code {done.returncode}'}"
        return provenance.in_store(Path(scratch) / "mlflow.db"), ""


def _run_workflow(config: dict[str, Any]) -> None:
    from course_runner.workflow import WorkflowConfig, run_workflow
    from course_utils import store

    store.connect()
    try:
        run_workflow(WorkflowConfig(**config))
    except CourseError as error:
        raise SystemExit(f"Error: {error}") from error


# --------------------------------------------------------------------------------------------------------- comparing


def compare(
    recorded: list[dict[str, Any]], again: list[dict[str, Any]], tolerance: float = 0.0, skip: re.Pattern | None = None
) -> tuple[list[Row], list[str]]:
    """Return one row per metric, those that differ first, and the names of those that were not compared.

    Runs are paired by experiment and name, in the order in which they began; what is left (MLflow gives a run without
    a name a random one), by experiment and order alone. The metrics of a run without a partner differ.
    """
    rows, skipped = [], {}
    for first, second in _pair(recorded, again):
        label = (first or second)["name"]
        old, new = (first or {"metrics": {}})["metrics"], (second or {"metrics": {}})["metrics"]
        for metric in sorted(old | new):
            if MEASURED.search(metric) or (skip and skip.search(metric)):
                skipped[metric] = None
                continue
            a, b = old.get(metric), new.get(metric)
            rows.append(Row(label, metric, a, b, _equal(a, b, tolerance)))
    return sorted(rows, key=lambda row: row.same), list(skipped)


def _equal(a: float | None, b: float | None, tolerance: float) -> bool:
    if a is None or b is None:
        return False
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or (tolerance > 0 and math.isfinite(a) and math.isfinite(b) and abs(a - b) <= tolerance * abs(a))


def _pair(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    pairs, left, right = [], list(first), list(second)
    for key in (lambda r: (r["experiment"], r["name"]), lambda r: r["experiment"]):
        for run in list(left):
            partner = next((other for other in right if key(other) == key(run)), None)
            if partner is not None:
                pairs.append((run, partner))
                left.remove(run)
                right.remove(partner)
    order = [id(run) for run in first]
    pairs.sort(key=lambda pair: order.index(id(pair[0])))
    return [*pairs, *((run, None) for run in left), *((None, run) for run in right)]


def differences(client: Any, run: Any, root: Path) -> list[str]:
    """Return what differs between the machine that made a run and this one, as sentences."""
    tags, now, found = run.data.tags, provenance.tags(root), []
    if tags.get("course.lock_sha256") not in (None, now.get("course.lock_sha256")):
        found.append("requirements.lock is another one")
    found += _packages(client, run)
    then, commit = tags.get("course.git_commit"), now.get("course.git_commit")
    if then and commit and then != commit:
        found.append(f"the course is at commit {commit[:8]}, it was at {then[:8]}")
    if tags.get("course.git_dirty") == "true":
        found.append("the checkout had changes that no commit holds")
    for name, value in tags.items():
        if name.startswith("course.file_sha256."):
            parameter = name.removeprefix("course.file_sha256.")
            path = tags.get("course.data_file") if parameter == "data" else None
            path = path or run.data.params.get(parameter, "")
            if provenance.file_hash(Path(path)) != value:
                found.append(f"the file {path} has other content")
    return found


def _packages(client: Any, run: Any) -> list[str]:
    """Return the packages whose versions differ, when the run or its parent kept them."""
    for run_id in filter(None, (run.info.run_id, run.data.tags.get("mlflow.parentRunId"))):
        if any(a.path == provenance.ENVIRONMENT for a in client.list_artifacts(run_id)):
            with tempfile.TemporaryDirectory(prefix="course-verify-") as folder:
                path = client.download_artifacts(run_id, provenance.ENVIRONMENT, folder)
                then = json.loads(Path(path).read_text(encoding="utf8"))
            now = provenance.environment()
            found = [
                f"{name} is {here}, it was {then[name]}"
                for name in ("python", "system")
                if (here := now[name]) != then[name]
            ]
            old, new = then["packages"], now["packages"]
            changed = [n for n in sorted(old | new) if n != "course-utils" and old.get(n) != new.get(n)]
            found += [f"{n} is {new.get(n, 'missing')}, it was {old.get(n, 'missing')}" for n in changed[:8]]
            return found + ([f"{len(changed) - 8} more packages differ"] if len(changed) > 8 else [])
    return []


def _data(recorded: Iterable[dict[str, Any]], again: Iterable[dict[str, Any]]) -> list[str]:
    """Say when the logged data sets have other digests."""
    old = sorted(d for run in recorded for d in run["data"])
    new = sorted(d for run in again for d in run["data"])
    return ["the logged data sets have other digests"] if new and old != new else []


if __name__ == "__main__":
    _run_workflow(json.loads(sys.argv[1]))
