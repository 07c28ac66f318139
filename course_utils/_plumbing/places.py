"""Addresses of stores, what the shell has left behind about them, and commands that a person can paste."""

from __future__ import annotations

import os
import re
import shlex
import sys
import warnings
from pathlib import Path

from course_utils.errors import CourseError, printable

#: Port for the MLflow UI. Not 5000, which macOS gives to AirPlay.
UI_PORT = 5001
_SQLITE = "sqlite:///"
#: What MLflow 3.17 and SQLAlchemy 2.1 cannot carry in the address of a file, or of the artifacts beside it: each of
#: these ends in another file than the one that was meant, or in an SQL error (both kinds of quotes in one path).
_UNUSABLE = (
    (re.compile(r"\?"), "a question mark ends the path in the address of a store"),
    (re.compile(r"%[0-9a-fA-F]{2}"), "a percent sign with two such digits stands for another character in an address"),
    (re.compile(r"'.*\"|\".*'", re.DOTALL), "MLflow cannot store a path that holds both kinds of quotes"),
    (re.compile(r"[\x00-\x1f\x7f]"), "line breaks and other control characters cannot be shown or pasted"),
)
#: Variables that tell MLflow where a run belongs. A shell keeps them after the work that they were set for; the course
#: says itself where its runs go. (MLFLOW_TRACKING_URI is asked for, so it counts.)
STALE = (
    *("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_REGISTRY_URI"),
    *("MLFLOW_ACTIVE_MODEL_ID", "_MLFLOW_ACTIVE_MODEL_ID", "MLFLOW_TRACING_DESTINATION"),
    *("_MLFLOW_SERVER_ARTIFACT_ROOT", "_MLFLOW_SERVER_ARTIFACT_DESTINATION", "MLFLOW_TRACKING_DIR"),
    *("MLFLOW_REGISTRY_DIR", "PYTHONWARNINGS"),
)
#: Kinds of stores that can hold runs; MLflow 3.17 refuses folders of files.
_KINDS = ("sqlite", "http", "https", "postgresql", "mysql", "mssql", "databricks")


def usable(path: Path) -> Path:
    """Return a path that can hold a store, as it is.

    Raises
    ------
    CourseError
        When a character in it means something else in the address of a store.
    """
    for pattern, why in _UNUSABLE:
        if found := pattern.search(str(path)):
            raise CourseError(
                f"The path {str(path)!r} holds {found[0][:1]!r}, so it cannot hold runs: {why}. "
                "Choose a folder without it, or rename this one."
            )
    return path


def sqlite_uri(path: Path | str) -> str:
    """Return the address of a SQLite store: every other place of the course asks here.

    Raises
    ------
    CourseError
        See `usable`.
    """
    return f"{_SQLITE}{usable(Path(path))}"


def database_path(uri: str) -> Path | None:
    """Return the file behind a SQLite address, or None for any other kind of store."""
    return Path(uri.removeprefix(_SQLITE)).absolute() if uri.startswith(_SQLITE) else None


def tracking_uri(text: str) -> str:
    """Return an address from MLFLOW_TRACKING_URI in a form that means the same in every folder.

    Raises
    ------
    CourseError
        When no store that MLflow can use has such an address.
    """
    kind, colon, _ = text.partition(":")
    if not colon or kind.partition("+")[0] not in _KINDS:
        raise CourseError(
            f"MLFLOW_TRACKING_URI is {text!r}, which is not the address of a store that can hold runs. Unset it, or write "
            f"sqlite:////path/mlflow.db or the http address of a server."
        )
    database = database_path(text)
    return text if database is None else sqlite_uri(database)


def command(*words: object) -> str:
    """Return a shell command, quoted so that it does what it says when somebody pastes it."""
    return shlex.join(map(str, words))


def no_formula(text: str) -> str:
    """Return a text for a cell of a table that a spreadsheet may open: it must not be taken for a formula."""
    text = printable(" ".join(text.splitlines()))
    return f"'{text}" if text.lstrip()[:1] in tuple("=+-@|%＝＋－＠") else text


def stale_variables() -> dict[str, str]:
    """Return what the shell has set of `STALE`; warnings matter only when they have become errors."""
    found = {name: os.environ[name] for name in STALE if os.environ.get(name)}
    if "error" not in found.get("PYTHONWARNINGS", ""):
        found.pop("PYTHONWARNINGS", None)
    return found


def forget_stale() -> dict[str, str]:
    """Remove them from this process, and so from everything that it starts; return what they were."""
    found = stale_variables()
    for name in found:
        del os.environ[name]
    if "PYTHONWARNINGS" in found:  # Python has obeyed already
        sys.warnoptions.clear()
        warnings.resetwarnings()
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)  # as Python does by itself
    return found
