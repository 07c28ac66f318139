"""The part of a sweep that runs on a Dask worker: one point, in a scratch folder of that machine."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import socket
import tempfile
import threading
import uuid
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import nbformat

from . import provenance
from .execute import Job, Outcome, execute
from .warm import warm_kernels

#: Packages that must agree between the sweep and its workers, or the points do not belong together.
AGREE = ("distributed", "mlflow", "numpy", "pandas", "papermill", "scikit-learn", "scipy")

_lock = threading.Lock()
_warm: dict[str, contextlib.ExitStack] = {}


@cache
def fingerprint() -> dict[str, str]:
    """Return the versions that must be the same on each machine of a sweep."""
    found = {"Python": platform.python_version()}
    for name in AGREE:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    code = hashlib.sha256()
    for file in ("execute.py", "provenance.py", "sweep_task.py", "timed_client.py"):
        code.update((Path(__file__).parent / file).read_bytes())
    return {**found, "course_utils": code.hexdigest()[:8]}


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


@contextlib.contextmanager
def _kernels(session: str) -> Iterator[None]:
    """Keep warm kernels on this worker for the length of a sweep; `release` ends them."""
    with _lock:
        if session not in _warm:
            stack = contextlib.ExitStack()
            if not _warm:  # two sweeps at once share what the first has started
                root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="course-", dir=_scratch())))
                stack.enter_context(warm_kernels(root))
            _warm[session] = stack
    yield


def release(session: str) -> None:
    """End the warm kernels of a sweep, and with them whatever still runs in one."""
    stack = _warm.pop(session, None)
    if stack is None:
        return
    if _warm:  # another sweep goes on with them
        next(iter(_warm.values())).push(stack.pop_all().__exit__)
    stack.close()


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
        with _kernels(task["session"]):
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
                point_environment(task["uri"] or f"sqlite:///{database}", f"{task['job']}/{attempt}"),
                task["cell_timeout"],
                task["notebook_timeout"],
                mark=attempt,
            )
            if not task["uri"]:
                give_store(database, task["notebook"], Path(os.environ.get("COURSE_STORE_TEMPLATE", "")))
            outcome, nb = execute(job)
            outcome.output = ""
            result["runs"] = None if task["uri"] else provenance.in_store(database)
            result["notebook"] = None if nb is None else nbformat.writes(nb)
        return result | {"outcome": outcome}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def point_environment(uri: str, job: str) -> dict[str, str]:
    """Return the variables of a point's kernel: its store, and the tag of its runs."""
    return {"MLFLOW_TRACKING_URI": uri, **provenance.context(job)}


def give_store(database: Path, notebook: str, template: Path) -> None:
    """Copy the empty store to where a point will log, when its notebook may log; making one takes MLflow seconds."""
    if "mlflow" in notebook and template.is_file() and not database.exists():
        database.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(template, database)


def differing(here: dict[str, str], there: dict[str, str]) -> str:
    """Return what differs between two fingerprints as words, or an empty string."""
    return ", ".join(
        f"{name} {there.get(name, 'missing')} instead of {version}"
        if name != "course_utils"
        else "another version of the course"
        for name, version in here.items()
        if there.get(name) != version
    )
