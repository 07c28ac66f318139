"""Execute notebooks several at once, each in a worker process that the others do not depend on."""

from __future__ import annotations

import contextlib
import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

import nbformat
import psutil
from nbformat import NotebookNode

from course_runner.batch.execute import execute
from course_runner.batch.job import Job, Outcome
from course_runner.batch.leftovers import end_leftovers
from course_runner.kernels.child import PR_SET_PDEATHSIG, prctl
from course_runner.kernels.warm import warm_kernels
from course_utils._plumbing import files
from course_utils.errors import CourseError

#: Seconds a worker may be silent past its notebook's limit before it is killed.
GRACE = 30


@dataclass(frozen=True)
class Progress:
    """What one worker is at: notebook, cell (from 1) and number of cells."""

    name: str
    cell: int
    total: int


#: Called with the workers' states and, when a notebook has just ended, its outcome.
OnProgress = Callable[[list[Progress], Outcome | None], None]


def default_workers() -> int:
    """Return the number of notebooks to run at once: one per core that this process may use, eight at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, 8))


def _work(pipe: Connection) -> None:
    """Worker process: execute the jobs that come through the pipe until None comes."""
    for name in ("SIGINT", "SIGHUP"):  # the parent decides; the process group gets Ctrl-C
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if sys.platform.startswith("linux"):
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a killed runner takes its workers along

    def stop(*_: object) -> None:
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # nbclient leaves the cell's task behind, and it fails
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    with contextlib.suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        # Later workers inherit this pipe's other end, so its closing alone would not be seen.
        while (job := pipe.recv()) is not None:
            outcome, nb = execute(job, lambda index, total: pipe.send(("cell", index, total)))
            if job.view and nb is not None:
                from course_runner.batch import view

                view.write(nb, job, outcome)
            pipe.send(("done", outcome, None if nb is None else nbformat.writes(nb)))


@dataclass
class _Worker:
    process: multiprocessing.Process
    pipe: Connection
    job: Job | None = None
    started: float = 0.0
    progress: Progress | None = None

    @property
    def overdue(self) -> bool:
        return self.job is not None and time.monotonic() > self.started + self.job.notebook_timeout + GRACE

    def kill(self) -> None:
        """Kill the worker and every process below it; kernels live in sessions of their own."""
        with contextlib.suppress(psutil.Error):
            family = [*psutil.Process(self.process.pid).children(recursive=True), psutil.Process(self.process.pid)]
            for process in family:
                with contextlib.suppress(psutil.Error):
                    process.kill()
        self.process.join(5)
        self.pipe.close()


def _context() -> multiprocessing.context.BaseContext:
    """Fork where that is safe (Linux): a forked worker has papermill imported already."""
    return multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def _start(context: multiprocessing.context.BaseContext) -> _Worker:
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), daemon=False)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def run_jobs(
    jobs: Iterable[Job],
    workers: int,
    on_progress: OnProgress | None = None,
    *,
    root: Path,
    cold: bool = False,
    store_uri: str | None = None,
    scratch: Path | None = None,
) -> list[tuple[Outcome, NotebookNode | None]]:
    """Execute all jobs, with warm kernels where they can be had, and return their outcomes in the order of the jobs.

    Parameters
    ----------
    jobs
        Notebooks, in the order in which they start.
    workers
        How many run at once.
    on_progress
        Told what the workers do.
    root
        The checkout.
    cold
        Use ordinary kernels.
    store_uri
        Store that all jobs share; created before the first one starts.
    scratch
        Folder to remove when this process is killed; the caller removes it otherwise.
    """
    jobs = list(jobs)
    if not jobs:
        return []
    with _termination_as_interrupt(), warm_kernels(root, cold, scratch) as warmth:
        if warmth.note:
            print(warmth.note, file=sys.stderr)
        if store_uri:
            from course_utils._plumbing import course_store

            course_store.create(store_uri)
        return _run_jobs(jobs, workers, on_progress)


@contextlib.contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let a request to end (a cancelled CI job, a closed terminal) do what Ctrl-C does: stop and report."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {n: signal.signal(n, stop) for n in numbers if signal.getsignal(n) == signal.SIG_DFL}  # not under nohup
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run_jobs(
    jobs: list[Job], workers: int, on_progress: OnProgress | None = None
) -> list[tuple[Outcome, NotebookNode | None]]:
    """Execute all jobs and return their outcomes in the order of the jobs.

    A job whose worker dies or hangs gets an outcome of its own; the others continue. Ctrl-C lets running notebooks stop
    (their partial outputs are kept), marks the rest as ``interrupted`` and returns; a second Ctrl-C kills everything
    and raises.
    """
    waiting = list(enumerate(jobs))[::-1]
    results: dict[int, tuple[Outcome, NotebookNode | None]] = {}
    order = {id(job): index for index, job in waiting}
    names = {index: job.name for index, job in waiting}
    context = _context()
    crew = [_start(context) for _ in range(max(1, min(workers, len(waiting))))]
    stopping = False

    def report(outcome: Outcome | None = None) -> None:
        if on_progress:
            on_progress([w.progress for w in crew if w.progress], outcome)

    def finish(worker: _Worker, outcome: Outcome, text: str | None) -> None:
        nb = nbformat.reads(text, as_version=4) if text else None
        results[order[id(worker.job)]] = (outcome, nb)
        worker.job = worker.progress = None
        report(outcome)

    def renew(worker: _Worker) -> _Worker:
        worker.kill()
        crew[crew.index(worker)] = fresh = _start(context)
        return fresh

    def replace(worker: _Worker, outcome: Outcome) -> None:
        fresh = renew(worker)
        end_leftovers(worker.job.mark)
        fresh.job, worker.job = worker.job, None
        finish(fresh, outcome, None)

    def turn() -> None:
        for worker in list(crew):
            if worker.job is None and waiting and not stopping:
                if not worker.process.is_alive():  # killed while it had nothing to do
                    worker = renew(worker)
                _, worker.job = waiting.pop()
                worker.started = time.monotonic()
                worker.progress = Progress(worker.job.name, 0, 1)
                with contextlib.suppress(OSError):  # the loop below finds a worker that has just died
                    worker.pipe.send(worker.job)
        busy = [w for w in crew if w.job is not None]
        for pipe in wait([w.pipe for w in busy], timeout=0.2):
            worker = next(w for w in busy if w.pipe is pipe)
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                worker.process.join(5)  # its pipe is closed, so it is ending
                code = worker.process.exitcode
                lost = ("stopped by Ctrl-C", "interrupted") if stopping else (_end_of_worker(code),)
                replace(worker, _lost(worker, *lost))
                continue
            if message[0] == "cell":
                worker.progress = Progress(worker.job.name, message[1] + 1, message[2])
            else:
                finish(worker, message[1], message[2])
        for worker in crew:
            if worker.overdue:
                replace(worker, _lost(worker, f"no sign of life {GRACE} s after its time limit", "timeout"))
        report()

    try:
        while waiting and not stopping or any(w.job for w in crew):
            try:
                turn()
            except KeyboardInterrupt:
                if stopping:
                    raise
                stopping = True
                for worker in crew:
                    if worker.job is not None:
                        worker.process.terminate()
    finally:
        for worker in crew:
            if worker.job is None:
                with contextlib.suppress(OSError):
                    worker.pipe.send(None)
        for worker in crew:
            if worker.job is None:
                worker.process.join(3)
            if worker.process.is_alive():
                worker.kill()
    for index, name in names.items():
        results.setdefault(index, (Outcome(name, "interrupted", error="not started"), None))
    return [results[index] for index in sorted(results)]


def _end_of_worker(code: int | None) -> str:
    """Say how a worker process ended."""
    if code is not None and code < 0:
        hint = "; the system does so when memory runs out" if code == -9 else ""
        return f"the process that ran it was killed by {signal.Signals(-code).name}{hint}"
    return f"the process that ran it ended with exit code {code}"


def _lost(worker: _Worker, reason: str, status: str = "failed") -> Outcome:
    seconds = round(time.monotonic() - worker.started, 3)
    cell = worker.progress.cell if worker.progress else None
    partial = worker.job.partial
    return Outcome(worker.job.name, status, seconds, cell, reason, str(partial) if partial.exists() else "")


def longest_first(jobs: list[Job], times: dict[str, float]) -> list[Job]:
    """Return the jobs so that the longest starts first; one without a known time counts as long."""
    return sorted(jobs, key=lambda job: -times.get(job.name, float("inf")))


def load_times(path: Path) -> dict[str, float]:
    """Return the seconds that each notebook took last time; empty when nothing is known."""
    try:
        return {str(k): float(v) for k, v in json.loads(path.read_text()).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def save_times(path: Path, outcomes: Iterable[Outcome]) -> None:
    """Remember the seconds of the notebooks that ran to their end."""
    times = load_times(path) | {o.name: o.seconds for o in outcomes if o.ok}
    with contextlib.suppress(CourseError):  # a lost record costs speed, nothing else
        files.write(path, json.dumps(times, indent=1, sort_keys=True))
