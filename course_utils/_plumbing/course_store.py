"""The course's store: where it is, how it is made so that no process harms another, and whether it can be used."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path

from filelock import FileLock, Timeout

from course_utils._plumbing import class_server, schema
from course_utils._plumbing.files import checkout
from course_utils._plumbing.places import database_path, sqlite_uri, tracking_uri
from course_utils.errors import CourseError

#: Seconds after which an empty or unfinished file is one that somebody left, and not one that MLflow is making.
_PATIENCE = 10.0
#: What the environment asked for when Python started: ``mlflow.set_tracking_uri`` overwrites the variable.
ENVIRONMENT_URI = os.environ.get("MLFLOW_TRACKING_URI")


def home() -> Path:
    """Return the folder that holds the store and all outputs.

    ``COURSE_HOME`` when it is set (a batch, a test, a grader), else the checkout that the current folder or this
    package lies in, else the current folder.
    """
    if folder := os.environ.get("COURSE_HOME"):
        return Path(folder).absolute()
    return checkout() or Path.cwd()


def default_uri() -> str:
    """Return the tracking URI of the course store.

    ``MLFLOW_TRACKING_URI`` as it was set when Python started, else the server that the checkout has joined, else
    ``mlflow.db`` in `home`.
    """
    if ENVIRONMENT_URI:
        return tracking_uri(ENVIRONMENT_URI)
    server = class_server.joined(home())
    return server.url if server else own_uri()


def own_uri() -> str:
    """Return the tracking URI of the store in `home`, whatever server is in use."""
    return sqlite_uri(home() / "mlflow.db")


def leaving(uri: str) -> str:
    """Return what a person does to go from a server back to the store in `home`."""
    return "unset MLFLOW_TRACKING_URI" if uri == ENVIRONMENT_URI else "course server leave"


def artifact_root(uri: str) -> str | None:
    """Return the folder that new experiments of a SQLite store keep artifacts in (``mlartifacts`` beside the file)."""
    database = database_path(uri)
    return str(database.parent / "mlartifacts") if database else None


def served(uri: str) -> dict[str, str]:
    """Return what ``mlflow server`` hands to its worker in MLflow 3.17; there is no public way to skip its supervisor."""
    return {
        "_MLFLOW_SERVER_FILE_STORE": uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": artifact_root(uri) or str(home() / "mlartifacts"),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    }


def create(uri: str) -> None:
    """Create the database of a SQLite store when it is not there yet, and check any store before it is used.

    Two processes that let MLflow create the same file at once destroy it, so the file is made aside, under a lock,
    and moved into place when it is complete.

    Raises
    ------
    CourseError
        When the folder cannot be written, the file is not a database or belongs to another MLflow, or no server answers.
    """
    database = database_path(uri)
    if check(uri) or database is None:
        return
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{database}.lock", timeout=120):
            if schema.is_database(database):
                return
            aside = database.with_name(f".{database.name}.{os.getpid()}")
            try:
                schema.make(aside)
                _place(aside, database)
            finally:
                aside.unlink(missing_ok=True)
        Path(f"{database}.lock").unlink(missing_ok=True)
    except (OSError, Timeout, sqlite3.Error) as error:
        raise CourseError(
            f"The run store {database} cannot be made: {error}. Runs have nowhere to go. "
            "Choose a folder that you may write to: set COURSE_HOME, or MLFLOW_TRACKING_URI=sqlite:////path/mlflow.db."
        ) from error


def _place(complete: Path, database: Path) -> None:
    """Put a complete file where none is, never in the place of one that MLflow itself is making there.

    A notebook that points MLflow at the file makes it, empty at first; when ours took its place at that moment, the
    notebook's next line ended in "attempt to write a readonly database".
    """
    with contextlib.suppress(OSError):  # no file system without hard links has two names for a file
        os.link(complete, database)
        return
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and database.exists() and not schema.is_complete(database):
        time.sleep(0.05)
    if not (database.exists() and database.stat().st_size):  # nobody was making it: it was left empty
        os.replace(complete, database)


def check(uri: str) -> bool:
    """Return whether a store is there, after making sure that it can be used.

    Raises
    ------
    CourseError
        When a file is not a database or belongs to another MLflow; when a server does not answer as MLflow, or refuses us.
    """
    database = database_path(tracking_uri(uri))
    if database is not None:
        if there := schema.is_database(database):
            schema.check(database)
            schema.refresh_statistics(database)
        return there
    if class_server.is_remote(uri):
        class_server.sign_in(uri, home())
        class_server.check(uri, advice=f"For runs in your own store: {leaving(uri)}.")
    return True


def fix_artifact_root(uri: str) -> None:
    """Build MLflow's store object for `uri` with our artifact root.

    MLflow 3.17 has no client setting for the artifact root of a local database: it takes ``./mlruns`` of the folder
    that the notebook runs in, or the variable below, which it reads once, when it builds the (cached) store object.
    The variable also marks a process as a server, so it does not stay set.
    """
    root = artifact_root(uri)
    if root is None:
        return
    from mlflow.tracking._tracking_service.utils import _get_store

    name = "_MLFLOW_SERVER_ARTIFACT_ROOT"
    before = os.environ.get(name)
    os.environ[name] = root
    try:
        _get_store(uri)
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before
