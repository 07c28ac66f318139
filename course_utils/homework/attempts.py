"""A learner's attempts: each is a run in a store of its own, so the learner's runs and settings stay untouched."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import Metric, Run

from .. import store
from .._plumbing import steps
from .._plumbing.noise import quiet
from .._plumbing.places import database_path, sqlite_uri
from ..errors import CourseError

EXPERIMENT = "homework-attempts"


def uri() -> str:
    """Return the tracking URI of the progress store: ``COURSE_PROGRESS_URI``, or ``.course_progress.db`` at home."""
    return os.environ.get("COURSE_PROGRESS_URI") or sqlite_uri(store.home() / ".course_progress.db")


def runs(place: str, query: str = "") -> list[Run]:
    """Return the attempts in a store, newest first; none when there is no such file or nothing was tried."""
    path = database_path(place)
    if path is not None and not path.is_file():
        return []
    quiet()
    client = MlflowClient(tracking_uri=place, registry_uri=place)  # the fluent API's state is not touched
    found = client.get_experiment_by_name(EXPERIMENT)
    return list(client.search_runs([found.experiment_id], query, max_results=50_000)) if found else []


def record(
    homework: str,
    task: int,
    code: str,
    points: float,
    hints: int,
    seconds: float,
    opened: float | None = None,
    place: str | None = None,
) -> str | None:
    """Keep one attempt in the store at `place`; return its run id, or None: a check never fails because it cannot be kept."""
    with contextlib.suppress(Exception):
        quiet()
        store.create(place := place or uri())
        client = MlflowClient(tracking_uri=place, registry_uri=place)
        found = client.get_experiment_by_name(EXPERIMENT)
        tags = {
            "homework": homework,
            "task": str(task),
            "outcome": "passed" if code == "ok" else "not yet",
            "mistake": code,
            **({"opened": str(opened)} if opened else {}),
        }
        experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT)
        run = client.create_run(experiment, run_name=f"{homework} task {task}", tags=tags)
        values, now = {"points": points, "hints": hints, "check_seconds": seconds}, int(time.time() * 1000)
        client.log_batch(run.info.run_id, metrics=[Metric(k, float(v), now, 0) for k, v in values.items()])
        client.set_terminated(run.info.run_id, "FINISHED" if code == "ok" else "FAILED")
        return run.info.run_id
    return None


def first_opened(homework: str, hours: float = 12) -> float | None:
    """Return when a learner who sits at a homework opened it, also before a restart of the kernel; None when unknown."""
    with contextlib.suppress(Exception):
        after = time.time() - hours * 3600
        query = f"tags.homework = '{homework}' AND attributes.start_time > {int(after * 1000)}"
        times = [float(run.data.tags.get("opened", "inf")) for run in runs(uri(), query)]
        return min((moment for moment in times if moment > after and moment != float("inf")), default=None)
    return None


@dataclass
class TaskProgress:
    """Attempts at one task so far."""

    attempts: int = 0
    points: float = 0.0
    hints: int = 0
    state: str = "not started"


def _today(homework: str) -> str:
    """Return the name of a homework; attempts of the first edition are kept under its number."""
    try:
        return steps.find(homework).name
    except CourseError:
        return homework


def summary() -> dict[str, dict[int, TaskProgress]]:
    """Return homework → task → progress, over all attempts; empty when nothing was tried or kept."""
    result: dict[str, dict[int, TaskProgress]] = {}
    with contextlib.suppress(Exception):
        for run in runs(uri()):
            tags, metrics = run.data.tags, run.data.metrics
            task = result.setdefault(_today(tags["homework"]), {}).setdefault(int(tags["task"]), TaskProgress())
            task.hints = max(task.hints, int(metrics.get("hints", 0)))  # a hint counts before the first attempt
            if tags["mistake"] == "not-started":
                continue
            task.attempts += 1
            task.points = max(task.points, metrics.get("points", 0.0))
            if tags["mistake"] == "ok":
                task.state = "passed"
            elif task.state != "passed":
                task.state = "not yet"
    return result
