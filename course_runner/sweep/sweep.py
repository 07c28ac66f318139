"""Run one notebook for many settings, here or on a Dask cluster: each point once, all of them below one parent run."""

from __future__ import annotations

import contextlib
import queue
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_runner.batch import batch, pool, provenance
from course_runner.batch.cluster import fingerprint
from course_runner.batch.job import Job, Outcome
from course_runner.kernels.warm import template
from course_runner.sweep.plan import GO_ON, NOTEBOOK, Point, Sweep
from course_runner.sweep.record import Record, Report, Result, about, append, journal
from course_runner.sweep.task import give_store, reaches, release, run_point
from course_utils._plumbing import files
from course_utils._plumbing.places import sqlite_uri
from course_utils.errors import CourseError

if TYPE_CHECKING:
    from distributed import Client

#: Seconds that a sweep waits for a new worker when none is left.
NO_WORKERS = 60
#: Told of each point that ends, and now and then (None) of the state of the workers.
OnProgress = Callable[[list[pool.Progress], Outcome | None], None]


def run(
    sweep: Sweep,
    root: Path,
    *,
    workers: int = 1,
    client: Client | None = None,
    cold: bool = False,
    on_progress: OnProgress | None = None,
) -> Report:
    """Run the points that are not done yet, each once, and write every result as soon as it is there.

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
        When the tracking server does not answer, or another process works in the sweep's folder.
    """
    with batch.lock(sweep.folder, "course sweep"):
        return _run(sweep, Record(sweep, root), root, workers, client, cold, on_progress)


def _run(
    sweep: Sweep,
    record: Record,
    root: Path,
    workers: int,
    client: Client | None,
    cold: bool,
    on_progress: OnProgress | None,
) -> Report:
    """Run what the journal does not hold yet."""
    written = record.earlier()
    done = {key: result for key, result in journal(sweep.folder).items() if result.outcome.ok}
    waiting = [point for point in sweep.points if point.key not in done]
    cut_off: dict[str, Outcome] = {}

    def finish(point: Point, result: Result) -> None:
        """Journal and record one point, unless that is done; the journal decides what a resume runs."""
        if (before := done.get(point.key)) and before.run_id:
            return
        if sweep.server:
            record.collect(result)
        result.counted = about(sweep, point, result.runs)
        if result.key in written:
            record.forget(written[result.key][0])
        append(sweep.folder, result)
        done[result.key] = result
        record.write(point, result)

    try:
        for point in sweep.points:
            if result := done.get(point.key):
                run_id, status = written.get(point.key, ("", ""))
                result.run_id = run_id if status == "FINISHED" else ""
                record.write(point, result)
        if client is not None:
            stopped, interrupted = _on_cluster(sweep, waiting, client, finish, on_progress)
        else:
            cut_off = _here(sweep, waiting, root, workers, cold, finish, on_progress)
            stopped, interrupted = ("stopped by Ctrl-C" if cut_off else ""), bool(cut_off)
    except BaseException:
        with contextlib.suppress(Exception):
            record.end("KILLED")
        raise
    for point in waiting:
        if point.key not in done:
            not_run = cut_off.get(point.name) or Outcome(point.name, "interrupted", error="not started")
            done[point.key] = Result(point.key, not_run)
    report = Report(sweep, [done[point.key] for point in sweep.points], stopped, interrupted)
    record.close(report)
    return report


def _here(
    sweep: Sweep,
    waiting: list[Point],
    root: Path,
    workers: int,
    cold: bool,
    finish: Callable[[Point, Result], None],
    on_progress: OnProgress | None,
) -> dict[str, Outcome]:
    """Run points in worker processes of this machine; return the outcomes of those that Ctrl-C stopped, by name."""
    points = {point.name: point for point in waiting}
    attempts = {name: uuid.uuid4().hex for name in points}
    if points and not sweep.server:
        _ready_template(root)
    jobs = []
    for name, point in points.items():
        home = sweep.folder / "points" / name
        uri = sweep.server or sqlite_uri(home / "mlflow.db")
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
                provenance.logging_environment(uri, f"{sweep.id}/{point.key}/{attempts[name]}"),
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
            finish(points[outcome.name], result_of(outcome))
            seen.add(outcome.name)
        if on_progress:
            on_progress(states, outcome)

    ended = pool.run_jobs(jobs, workers, tell, root=root, cold=cold)
    for outcome, _ in ended:
        if outcome.name not in seen and outcome.status != "interrupted":
            finish(points[outcome.name], result_of(outcome))  # Ctrl-C came while its result was being written
    return {outcome.name: outcome for outcome, _ in ended if outcome.status == "interrupted"}


def _ready_template(root: Path) -> None:
    """Make the empty store that each point gets a copy of, when it is not there yet."""
    from course_utils import store

    path = template(root)
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        store.create(sqlite_uri(path))


def _prune(folder: Path) -> None:
    """Remove empty folders, from the leaves on."""
    for path in sorted((p for p in [folder, *folder.rglob("*")] if p.is_dir()), reverse=True):
        with contextlib.suppress(OSError):
            path.rmdir()


def _on_cluster(
    sweep: Sweep,
    points: list[Point],
    client: Client,
    finish: Callable[[Point, Result], None],
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
    futures: dict[str, tuple[Any, Point]] = {}
    stopped, interrupted = "", False
    try:
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
        stopped = _gather(sweep, client, futures, ready, finish, on_progress)
    except KeyboardInterrupt:
        stopped, interrupted = "stopped by Ctrl-C", True
        for future, point in futures.values():  # what is complete is kept
            if future.status == "finished":
                finish(point, _result(sweep, future, point))
    finally:
        with contextlib.suppress(Exception):  # the scheduler may be gone
            client.cancel([future for future, _ in futures.values()])
            client.run(release, session, on_error="ignore")
    return stopped, interrupted


def _gather(
    sweep: Sweep,
    client: Any,
    futures: dict[str, tuple[Any, Point]],
    ready: queue.SimpleQueue,
    finish: Callable[[Point, Result], None],
    on_progress: OnProgress | None,
) -> str:
    """Take results as they come; return why not all of them came, or an empty string."""
    from course_runner.batch import cluster

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
            _, point = futures[future.key]
            result = _result(sweep, future, point)
            finish(point, result)
            del futures[future.key]  # only now: Ctrl-C may come while the result is being written
            future.release()
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
    except Exception as error:  # any error that the worker's Python raised outside the notebook
        text = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        return Result(point.key, Outcome(point.name, "failed", error=f"the worker could not run it: {text}"))
    outcome: Outcome = answer["outcome"]
    text = answer["notebook"]
    if text is not None and outcome.status not in ("bad notebook", "bad parameter"):
        whole = sweep.output(point)
        path = whole if outcome.ok else whole.parent / "partial" / whole.name
        files.write(path, text, GO_ON)
        outcome.output = str(path)
    return Result(point.key, outcome, answer["runs"] or [], provenance.printed(text), attempt=answer["attempt"])
