"""The tables of a store: is a file one of MLflow's, of which version, made new, upgraded, quick to search."""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow

from ..errors import CourseError
from .noise import quiet
from .places import command, sqlite_uri

#: Runs from which on SQLite needs statistics to find its way.
_MANY_RUNS = 500


def is_database(path: Path) -> bool:
    """Tell whether the file holds an MLflow schema; raise when it holds something else."""
    try:
        if not path.exists() or path.stat().st_size == 0:
            return False
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise CourseError(
            f"The run store {path} cannot be read: {error}. Choose another with COURSE_HOME or MLFLOW_TRACKING_URI."
        ) from error
    if head != b"SQLite format 3\0":
        raise CourseError(
            f"{path} is not a SQLite database (it starts with {head[:8]!r}), so it cannot hold runs. "
            "Move it away, or name another file in MLFLOW_TRACKING_URI."
        )
    return True


def check(path: Path) -> None:
    """Raise `CourseError` when the tables of a file are those of another MLflow, or of another program.

    MLflow 3.17 alone changes an older file at first sight, without a copy, or ends in a traceback.
    """
    try:
        found = _revision(path)
    except sqlite3.Error as error:
        raise CourseError(
            f"The run store {path} cannot be read: {error}. Close other programs that use it; if it is damaged, "
            "put a copy of yours in its place, or move it away and a new one is made."
        ) from error
    if found is None or (how := age(found)) == "same":
        return
    if how == "newer":
        raise CourseError(newer(str(path), found))
    copy, file = shlex.quote(f"{path}.before-{mlflow.__version__}"), shlex.quote(str(path))
    raise CourseError(
        f"The run store {path} was made by an older MLflow (schema {found}); MLflow {mlflow.__version__} needs "
        f"{_newest_revision()}. Stop what uses it, copy it, then upgrade it; no run is lost:\n"
        f"  cp {file} {copy}\n  {command('mlflow', 'db', 'upgrade', sqlite_uri(path))}"
    )


def is_complete(path: Path) -> bool:
    """Tell whether a file has the tables of this MLflow: not while it is being made."""
    with contextlib.suppress(sqlite3.Error, CourseError):
        found = _revision(path)
        return found is not None and age(found) == "same"
    return False


def _revision(path: Path) -> str | None:
    """Return the schema revision of a SQLite file; None when it has no tables."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=20)) as connection:
        tables = {str(row[0]) for row in connection.execute("select name from sqlite_master where type = 'table'")}
        if "alembic_version" in tables:
            row = connection.execute("select version_num from alembic_version").fetchone()
            return str(row[0]) if row else None
    if tables - {"alembic_version_auth"}:
        raise CourseError(
            f"{path} is a database of another program (tables {', '.join(sorted(tables)[:3])}), so it cannot hold runs. "
            "Move it away, or name another file in MLFLOW_TRACKING_URI."
        )
    return None


def refresh_statistics(path: Path) -> None:
    """Let SQLite count its rows anew when the store has grown a lot, in a few milliseconds.

    Without statistics SQLite compares every run with every value of a metric to sort by it: 23 s for the best five of
    10,000 runs, and a hundred times that for ten times as many (MLflow 3.17, SQLite 3.40; benchmarks/many_runs.py).
    """
    with contextlib.suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=1)) as connection:
        rows = connection.execute("select max(rowid) from runs").fetchone()[0] or 0
        if rows < _MANY_RUNS:
            return
        known = 0
        if connection.execute("select 1 from sqlite_master where name = 'sqlite_stat1'").fetchone():
            found = connection.execute("select stat from sqlite_stat1 where tbl = 'runs'").fetchone()
            known = int(str(found[0]).split()[0]) if found else 0
        if known < rows / 2:
            connection.execute("pragma analysis_limit = 1000")
            connection.execute("analyze")
            connection.commit()


@functools.cache
def _newest_revision() -> str:
    """Return the schema revision that this MLflow makes."""
    template = os.environ.get("COURSE_STORE_TEMPLATE")
    if template and Path(template).is_file() and (found := _revision(Path(template))):
        return found  # made by this MLflow; asking Alembic takes 0.1 s in every kernel
    from mlflow.store.db.utils import _get_latest_schema_revision

    return str(_get_latest_schema_revision())


def age(found: str) -> str:
    """Return how a schema revision stands to this MLflow: ``same``, ``older`` or ``newer`` (unknown to it)."""
    if found == _newest_revision():
        return "same"
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config

    known = {r.revision for r in ScriptDirectory.from_config(_get_alembic_config("")).walk_revisions()}
    return "older" if found in known else "newer"


def newer(where: str, found: str) -> str:
    """Return the message for a store whose schema this MLflow does not know."""
    return (
        f"The run store {where} was made by a newer MLflow (schema {found}, unknown to MLflow {mlflow.__version__}), "
        "and MLflow cannot go back. Use the environment that made it, or name another store in MLFLOW_TRACKING_URI."
    )


def upgrade(uri: str) -> None:
    """Bring a database to this MLflow's schema, as ``mlflow db upgrade`` does; make a backup first."""
    from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine

    quiet()
    engine = create_sqlalchemy_engine(uri)
    try:
        _upgrade_db(engine)
    finally:
        engine.dispose()


def make(path: Path) -> None:
    """Write MLflow's schema into a new SQLite file, from the ready template of the batch when there is one."""
    template = os.environ.get("COURSE_STORE_TEMPLATE")
    if template and Path(template).is_file():
        path.write_bytes(Path(template).read_bytes())
        return
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    quiet()
    engine = create_sqlalchemy_engine(sqlite_uri(path))
    try:
        _initialize_tables(engine)
    finally:
        engine.dispose()


def do_not_wait_for_the_disk() -> None:
    """Let this process's commits to SQLite return before they are on the disk: a power cut may lose them, a kill not."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    if not event.contains(Engine, "connect", _no_sync):
        event.listen(Engine, "connect", _no_sync)


def _no_sync(connection: object, _record: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")
