"""A batch's own record in MLflow: one parent run, one child run per notebook."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat

from course_runner.batch.job import Outcome
from course_utils._plumbing.places import database_path

EXPERIMENT = "course-batches"


class Recorder:
    """Write the record of a batch after its notebooks have run.

    Parameters
    ----------
    uri
        Store of the batch.
    folder
        Home of the batch.
    parameters
        Parameters given to the batch.
    key
        What the tag of each of the batch's runs begins with.
    root
        The checkout, whose commit and lock file are recorded.
    """

    def __init__(
        self, uri: str, folder: Path, parameters: dict[str, Any], key: str = "", root: Path | None = None
    ) -> None:
        self.uri, self.folder, self.parameters, self.key, self.root = uri, folder, parameters, key, root
        self.started = int(time.time() * 1000)

    def prepare(self) -> None:
        """Load what `finish` needs, while the server of warm kernels loads its libraries; write nothing."""
        if database_path(self.uri) is not None:
            import mlflow.store.model_registry.sqlalchemy_store  # noqa: F401
            import mlflow.store.tracking.sqlalchemy_store  # noqa: F401

    def finish(self, outcomes: Iterable[Outcome], own: dict[str, dict[str, Any]]) -> str:
        """Close runs that dead kernels left open, then write parent and children; return the parent's run id."""
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param, RunTag

        from course_runner.batch import provenance
        from course_utils import store
        from course_utils._plumbing import schema

        database = database_path(self.uri)
        own_store = database is not None
        if own_store:  # a third of the seconds here would be waiting, four times for each notebook
            schema.do_not_wait_for_the_disk()
        store.connect(self.uri)
        client = MlflowClient(self.uri, self.uri)
        origin = provenance.tags(self.root) if self.root else {}
        logged = provenance.on_server(client, self.key, everything=own_store) if self.key else {}
        # A server holds other people's runs too; ours are known by their tag.
        close_open_runs(client, "" if own_store else self.key)
        outcomes = list(outcomes)
        found = client.get_experiment_by_name(EXPERIMENT)
        experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT)
        parent = client.create_run(experiment, self.started, run_name=self.folder.name)
        now = int(time.time() * 1000)
        client.log_batch(
            parent.info.run_id,
            metrics=[
                Metric("notebooks", float(len(outcomes)), now, 0),
                Metric("failed", float(sum(not o.ok for o in outcomes)), now, 0),
                Metric("seconds", (now - self.started) / 1000, now, 0),
            ],
            params=[Param(k, str(v)) for k, v in self.parameters.items()],
            tags=[RunTag(k, v) for k, v in origin.items()],
        )
        client.log_dict(parent.info.run_id, provenance.environment(), provenance.ENVIRONMENT)
        for outcome in outcomes:
            child = client.create_run(
                experiment,
                now - int(outcome.seconds * 1000),
                run_name=outcome.name,
                tags={"mlflow.parentRunId": parent.info.run_id},
            )
            child_id = child.info.run_id
            tags = {"status": outcome.status, "error": outcome.error[:500]}
            if outcome.cell:
                tags["cell"] = str(outcome.cell)
            parameters, job = own.get(outcome.name, {}), f"{self.key} {outcome.name}"
            text = Path(outcome.output).read_text(encoding="utf8") if Path(outcome.output).is_file() else ""
            tags |= {**origin, **provenance.file_tags(parameters), "course.notebook": outcome.name, "course.job": job}
            if outcome.ok and text:
                tags["course.notebook_sha256"] = provenance.notebook_hash(nbformat.reads(text, as_version=4))
            client.log_batch(
                child_id,
                metrics=[Metric("seconds", outcome.seconds, now, 0)],
                params=[Param(k, str(v)[:6000]) for k, v in parameters.items()],
                tags=[RunTag(k, v) for k, v in tags.items() if v],
            )
            mine = [r for r in logged.get(job, []) if r.info.start_time >= self.started]  # not those before a resume
            provenance.keep(
                client, child_id, outcome.output, parameters, provenance.rows(client, mine), provenance.printed(text)
            )
            client.set_terminated(child_id, "FINISHED" if outcome.ok else "FAILED", now)
        client.set_terminated(parent.info.run_id, "FINISHED" if all(o.ok for o in outcomes) else "FAILED")
        if database is not None:
            with database.open("rb+") as file:
                os.fsync(file)
        return parent.info.run_id


def close_open_runs(client: Any, key: str = "") -> int:
    """Mark runs that are still RUNNING as KILLED and return how many there were; their kernels have ended.

    Parameters
    ----------
    client
        An ``MlflowClient``.
    key
        Only the runs of the batch with this key, and what hangs below them; all of the store when empty.
    """
    from course_runner.batch.provenance import on_server, search

    if key:
        runs = [run for job in on_server(client, key).values() for run in job if run.info.status == "RUNNING"]
    else:
        runs = search(client, "attributes.status = 'RUNNING'")
    for run in runs:
        client.set_terminated(run.info.run_id, "KILLED")
    return len(runs)
