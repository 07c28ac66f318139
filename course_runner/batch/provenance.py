"""What a recorded run needs to be executed again: where its code, environment and data came from, and what it logged."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import platform
import re
import sqlite3
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

#: Tag on every run that a notebook logs, with which the runner finds it again. MLflow's UI hides tags of this prefix.
JOB_TAG = "mlflow.courseJob"
#: Tag that names the verb of a run that is no notebook's.
VERB_TAG = "course.verb"
#: Artifacts of a recorded notebook: the executed copy's folder, what it logged, and the packages it ran with.
EXECUTED, LOGGED, ENVIRONMENT = "executed", "logged_runs.json", "environment.json"
_INFINITE = re.compile(r"float\('-?(inf|nan)'\)")
#: What these libraries compute decides most numbers; the others are in ENVIRONMENT.
_TELLING = ("mlflow", "scikit-learn", "numpy", "pandas", "scipy")


def logging_environment(uri: str, job: str) -> dict[str, str]:
    """Return the variables of a notebook's kernel: its store, and the tag of its runs."""
    return {"MLFLOW_TRACKING_URI": uri, **context(job)}


def context(job: str) -> dict[str, str]:
    """Return the environment that makes MLflow tag each run that a kernel starts with `job`."""
    return {"MLFLOW_RUN_CONTEXT": json.dumps({JOB_TAG: job})}


def strip(nb: NotebookNode) -> NotebookNode:
    """Remove what an execution has put into a notebook: outputs, papermill's cells and its metadata."""
    added = {"injected-parameters", "papermill-error-cell-tag"}
    nb.cells = [cell for cell in nb.cells if not added & set(cell.metadata.get("tags", []))]
    nb.metadata.pop("papermill", None)
    for cell in nb.cells:
        cell.metadata.pop("papermill", None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nb


def notebook_hash(nb: NotebookNode) -> str:
    """Return 16 hex digits that stand for the cells of a notebook as its author wrote them."""
    added = {"injected-parameters", "papermill-error-cell-tag"}
    cells = [
        (c.cell_type, c.source, "parameters" in c.metadata.get("tags", []))
        for c in nb.cells
        if not added & set(c.metadata.get("tags", []))
    ]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]


def file_hash(path: Path) -> str:
    """Return the first 16 hex digits of a file's SHA-256, or an empty string when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError:
        return ""


def unliteral(text: str) -> Any:
    """Return the value that `execute.literal` has written as Python text."""
    try:
        return ast.literal_eval(text)
    except ValueError:
        return float(text[7:-2]) if _INFINITE.fullmatch(text) else text


def _git(root: Path, *words: str) -> str:
    try:
        command = ["git", "-C", str(root), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def commit(root: Path) -> str:
    """Return the commit of a checkout in short, with ``-dirty`` when tracked files differ; empty outside of git."""
    return _git(root, "describe", "--always", "--dirty", "--exclude=*")


def tags(root: Path) -> dict[str, str]:
    """Return the tags that say which code and which packages a run is made with.

    ``course.git_commit`` and ``course.git_dirty`` (whether tracked files differ from the commit; both only in a git
    checkout), ``course.lock_sha256``, ``course.python`` and ``course.packages``.
    """
    found = {
        "course.lock_sha256": file_hash(root / "requirements.lock"),
        "course.python": platform.python_version(),
        "course.packages": ", ".join(f"{name} {metadata.version(name)}" for name in _TELLING),
    }
    if commit := _git(root, "rev-parse", "HEAD"):
        found["course.git_commit"] = commit
        found["course.git_dirty"] = str(bool(_git(root, "status", "--porcelain", "-uno"))).lower()
    if seed := os.environ.get("COURSE_SEED"):
        found["course.seed"] = seed
    return {name: value for name, value in found.items() if value}


def file_tags(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return a tag ``course.file_sha256.NAME`` for each parameter that names a file."""
    found = {}
    for name, value in parameters.items():
        # A long text is not a path, and asking the system about one raises.
        if isinstance(value, str) and 0 < len(value) < 1000 and "\0" not in value and Path(value).is_file():
            found[f"course.file_sha256.{name}"] = file_hash(Path(value))
    return found


def keep(
    client: Any,
    run_id: str,
    output: str,
    parameters: Mapping[str, Any],
    runs: list[dict[str, Any]],
    printed: Mapping[str, float],
) -> None:
    """Log what ``course verify`` needs into the run of a notebook: the executed copy and what came of it.

    Parameters
    ----------
    client, run_id
        Where to log.
    output
        The executed notebook; nothing is logged of one that is not there.
    parameters
        What it was given.
    runs, printed
        As `in_store` and `printed`.
    """
    from course_runner.batch.parameters import literal

    if output and Path(output).is_file():
        client.log_artifact(run_id, output, EXECUTED)
    given = {name: literal(value) for name, value in parameters.items()}
    client.log_dict(run_id, {"parameters": given, "runs": runs, "printed": dict(printed)}, LOGGED)


def environment() -> dict[str, Any]:
    """Return Python, system and the version of every installed package."""
    packages = {d.name.lower().replace("_", "-"): d.version for d in metadata.distributions() if d.name}
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": dict(sorted(packages.items())),
    }


# ------------------------------------------------------------------------------------- what a notebook has logged


def printed(text: str | None) -> dict[str, float]:
    """Return the numbers of a JSON object that the last code cell of an executed notebook prints (lecture Reproducing)."""
    try:
        cells = [c for c in json.loads(text or "{}").get("cells", []) if c["cell_type"] == "code" and c["outputs"]]
        lines = "".join(
            "".join(o["text"]) for o in cells[-1]["outputs"] if o["output_type"] == "stream" and o["name"] == "stdout"
        )
        found = json.loads(lines.strip().splitlines()[-1])
    except (ValueError, KeyError, IndexError, TypeError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(k): float(v) for k, v in found.items() if isinstance(v, int | float) and not isinstance(v, bool)}


def _row(**values: Any) -> dict[str, Any]:
    return {key: values[key] for key in ("run_id", "experiment", "name", "parent", "params", "metrics", "data")}


def in_store(path: Path) -> list[dict[str, Any]]:
    """Return all runs of a SQLite store that one notebook had for itself, in the order in which they began.

    A run that a dead kernel left open is closed. Reads the tables themselves: a client of MLflow's costs a tenth of
    a second and an open connection for each of a hundred stores.

    Returns
    -------
    list of dict
        ``run_id``, ``experiment``, ``name``, ``parent`` (run id or empty), ``params``, ``metrics``, ``data`` (digests
        of the data sets).
    """
    if not path.is_file():
        return []
    with closing(sqlite3.connect(path, timeout=30)) as db:
        try:
            with db:
                db.execute(
                    "UPDATE runs SET status = 'KILLED', end_time = ? WHERE status = 'RUNNING'",
                    (int(time.time() * 1000),),
                )
            runs = db.execute(
                "SELECT r.run_uuid, e.name, r.name FROM runs r JOIN experiments e USING (experiment_id) "
                "WHERE r.lifecycle_stage = 'active' ORDER BY r.start_time, r.rowid"
            ).fetchall()
            metrics, params, parents, data = _pairs(db), {}, {}, {}
            for run, key, value in db.execute("SELECT run_uuid, key, value FROM params"):
                params.setdefault(run, {})[key] = value
            for run, value in db.execute("SELECT run_uuid, value FROM tags WHERE key = 'mlflow.parentRunId'"):
                parents[run] = value
            for run, digest in db.execute(
                "SELECT i.destination_id, d.digest FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id "
                "WHERE i.destination_type = 'RUN'"
            ):
                data.setdefault(run, []).append(digest)
        except sqlite3.Error:
            return []  # not a store of this MLflow; the notebook made it
    return [
        _row(
            run_id=run,
            experiment=experiment,
            name=name or "",
            parent=parents.get(run, ""),
            params=params.get(run, {}),
            metrics=metrics.get(run, {}),
            data=sorted(data.get(run, [])),
        )
        for run, experiment, name in runs
    ]


def _pairs(db: sqlite3.Connection) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for run, key, value, is_nan in db.execute("SELECT run_uuid, key, value, is_nan FROM latest_metrics"):
        found.setdefault(run, {})[key] = float("nan") if is_nan else value
    return found


def search(client: Any, filter_string: str, experiments: Iterable[str] | None = None) -> list[Any]:
    """Return all runs of a store that match, however many pages that takes."""
    ids = list(experiments) if experiments is not None else [e.experiment_id for e in client.search_experiments()]
    found, token = [], None
    while ids:
        page = client.search_runs(ids, filter_string, max_results=1000, page_token=token)
        found += page
        token = page.token
        if not token:
            break
    return found


def on_server(client: Any, prefix: str, everything: bool = False) -> dict[str, list[Any]]:
    """Return the runs in a shared store by their job, each job's in the order in which they began.

    Parameters
    ----------
    client
        An ``MlflowClient``.
    prefix
        What the jobs of interest begin with.
    everything
        Look through all runs for children without a tag of their own (``MlflowClient.create_run`` sets none), instead
        of asking for the children of each run found: faster in a small store, endless in that of a team.
    """
    jobs: dict[str, str] = {}
    if everything:
        pool = search(client, "")
        jobs = {r.info.run_id: r.data.tags[JOB_TAG] for r in pool if r.data.tags.get(JOB_TAG, "").startswith(prefix)}
    else:
        safe = prefix.replace("'", "")
        pool = search(client, f"tags.`{JOB_TAG}` LIKE '{safe}%'")
        jobs = {r.info.run_id: r.data.tags[JOB_TAG] for r in pool}
        rest = list(pool)
        while rest:
            run = rest.pop()
            below = search(client, f"tags.`mlflow.parentRunId` = '{run.info.run_id}'", [run.info.experiment_id])
            fresh = [child for child in below if child.info.run_id not in jobs]
            jobs |= {child.info.run_id: jobs[run.info.run_id] for child in fresh}
            pool += fresh
            rest += fresh
    for _ in range(5):  # children before their parents in the list
        for run in pool:
            parent = run.data.tags.get("mlflow.parentRunId")
            if run.info.run_id not in jobs and parent in jobs:
                jobs[run.info.run_id] = jobs[parent]
    by_job: dict[str, list[Any]] = {}
    for run in sorted(pool, key=lambda r: r.info.start_time):
        if run.info.run_id in jobs:
            by_job.setdefault(jobs[run.info.run_id], []).append(run)
    return by_job


def rows(client: Any, runs: Iterable[Any]) -> list[dict[str, Any]]:
    """Return runs of a server in the form of `in_store`."""
    names: dict[str, str] = {}
    found = []
    for run in runs:
        experiment = run.info.experiment_id
        if experiment not in names:
            names[experiment] = client.get_experiment(experiment).name
        inputs = run.inputs.dataset_inputs if run.inputs else []
        found.append(
            _row(
                run_id=run.info.run_id,
                experiment=names[experiment],
                name=run.info.run_name or "",
                parent=run.data.tags.get("mlflow.parentRunId", ""),
                params=dict(run.data.params),
                metrics=dict(run.data.metrics),
                data=sorted(i.dataset.digest for i in inputs),
            )
        )
    return found
