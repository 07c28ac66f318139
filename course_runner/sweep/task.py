"""The part of a sweep that runs on a Dask worker: one point, in a scratch folder of that machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from course_runner.batch import provenance
from course_runner.batch.cluster import differing, fingerprint
from course_runner.batch.execute import execute
from course_runner.batch.job import Job, Outcome
from course_runner.kernels.warm import warm_kernels
from course_utils._plumbing.places import sqlite_uri

#: Seconds after its last point until a sweep that has not said goodbye (it was killed) gives its kernels up.
IDLE = 60


def reaches(uri: str) -> str:
    """Return why this machine cannot reach a tracking server, or an empty string."""
    from urllib.error import HTTPError
    from urllib.request import urlopen

    try:
        with urlopen(f"{uri.rstrip('/')}/health", timeout=10):
            return ""
    except HTTPError:
        return ""  # it answers; what it asks for is MLflow's to tell
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))


def _scratch() -> Path:
    """Return a folder that Dask clears when a worker has been killed."""
    from distributed import get_worker

    try:
        return Path(get_worker().local_directory)
    except ValueError:
        return Path(tempfile.gettempdir())


class _Kernels:
    """The warm kernels of this worker: all its sweeps share them, and they end with the last one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.server = contextlib.ExitStack()
        self.running: dict[str, int] = {}  # session of a sweep: its points at work here
        self.timers: dict[str, threading.Timer] = {}
        self.ended: set[str] = set()

    @contextlib.contextmanager
    def of(self, session: str) -> Iterator[None]:
        """Have warm kernels for a point of a sweep."""
        with self.lock:
            if session in self.ended:
                raise RuntimeError("its sweep has been stopped")
            if not self.running:
                root = Path(self.server.enter_context(tempfile.TemporaryDirectory(prefix="course-", dir=_scratch())))
                self.server.enter_context(warm_kernels(root))
            if timer := self.timers.pop(session, None):
                timer.cancel()
            self.running[session] = self.running.get(session, 0) + 1
        try:
            yield
        finally:
            with self.lock:
                if session in self.running:
                    self.running[session] -= 1
                    self.timers[session] = timer = threading.Timer(IDLE, self.forget, [session])
                    timer.daemon = True
                    timer.start()

    def forget(self, session: str, now: bool = False) -> None:
        """Let a sweep go that has no point here (or `now`); with the last one end the kernels, and what runs in one."""
        with self.lock:
            if now:
                self.ended.add(session)
            if session in self.running and (now or not self.running[session]):
                del self.running[session]
                if not self.running:
                    self.server.close()


_kernels = _Kernels()


async def release(session: str) -> None:
    """End a sweep on this worker: its points, and the warm kernels unless another sweep has them too."""
    await asyncio.to_thread(_kernels.forget, session, now=True)  # which waits for kernels that are just starting


def run_point(task: dict[str, Any]) -> dict[str, Any]:
    """Execute one point and return what came of it; its folder is removed.

    Parameters
    ----------
    task
        ``session``, ``name``, ``notebook`` (text), ``parameters``, ``job`` (tag of its runs), ``uri`` (of the tracking
        server, or empty: a store of its own), ``cell_timeout``, ``notebook_timeout``, ``versions`` (a `fingerprint`).

    Returns
    -------
    dict
        ``outcome``, ``notebook`` (text or None), ``runs`` (as `provenance.in_store`; None when they are on the
        server), ``attempt`` and ``where``.
    """
    attempt = uuid.uuid4().hex
    result: dict[str, Any] = {"notebook": None, "runs": [], "attempt": attempt, "where": socket.gethostname()}
    if wrong := differing(task["versions"], fingerprint()):
        error = f"the worker on {result['where']} has {wrong}; start it in the same environment"
        return result | {"outcome": Outcome(task["name"], "failed", error=error)}
    folder = Path(tempfile.mkdtemp(prefix="point-", dir=_scratch()))
    try:
        with _kernels.of(task["session"]):
            source = folder / "notebook.ipynb"
            source.write_text(task["notebook"], encoding="utf8")
            home = folder / "home"
            database = home / "mlflow.db"
            job = Job(
                task["name"],
                source,
                folder / "done.ipynb",
                home,
                home / "work",
                task["parameters"],
                provenance.logging_environment(task["uri"] or sqlite_uri(database), f"{task['job']}/{attempt}"),
                task["cell_timeout"],
                task["notebook_timeout"],
                mark=attempt,
            )
            if not task["uri"]:
                give_store(database, task["notebook"], Path(os.environ.get("COURSE_STORE_TEMPLATE", "")))
            outcome, nb = execute(job, lambda *_: _go_on(task["session"]))
            outcome.output = ""
            result["runs"] = None if task["uri"] else provenance.in_store(database)
            result["notebook"] = None if nb is None else nbformat.writes(nb)
        return result | {"outcome": outcome}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _go_on(session: str) -> None:
    """Stop a notebook at its next cell when its sweep has been stopped and another one keeps the kernels alive."""
    if session in _kernels.ended:
        raise RuntimeError("its sweep has been stopped")


def give_store(database: Path, notebook: str, template: Path) -> None:
    """Copy the empty store to where a point will log, when its notebook may log; making one takes MLflow seconds."""
    if "mlflow" in notebook and template.is_file() and not database.exists():
        database.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(template, database)
