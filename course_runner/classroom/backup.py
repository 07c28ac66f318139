"""Backup, restore and upgrade of a tracking server: one folder with a manifest of every row and file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from course_runner.classroom import program
from course_runner.classroom.database import opened, reachable, schema_of
from course_runner.classroom.folder import busy, locked, running
from course_runner.classroom.settings import ELSEWHERE, Settings, parse
from course_utils._plumbing import schema
from course_utils._plumbing.files import write
from course_utils._plumbing.places import database_path, sqlite_uri
from course_utils._plumbing.postgresql import find_postgres
from course_utils.errors import CourseError

_FORMAT = 1
#: Kind of database → its file in a backup.
_FILES = {"sqlite": "mlflow.db", "postgresql": "mlflow.dump"}


def _pg(programs: Path, uri: str, program: str, *words: str | Path) -> None:
    url = parse(uri)
    where = ["-h", url.host or "localhost", "-p", str(url.port or 5432), "-U", url.username or "", "-w"]
    done = subprocess.run(
        [programs / program, *where, "-d", url.database or "", *words],
        env={**os.environ, "PGPASSWORD": str(url.password or "")},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise CourseError(f"{program} failed: {done.stderr.strip()[-800:]}")


def _dump(uri: str, target: Path) -> dict[str, int]:
    """Write one moment of a database into `target` and return its rows by table at that moment."""
    from sqlalchemy import MetaData, Table, create_engine, func, inspect, select, text

    if (file := database_path(uri)) is not None:
        with contextlib.closing(sqlite3.connect(file)) as old, contextlib.closing(sqlite3.connect(target)) as new:
            old.backup(new)
        return {name: int(rows) for name, rows in program.count_rows(sqlite_uri(target)).items()}
    if parse(uri).get_backend_name() != "postgresql":
        raise CourseError("A backup needs PostgreSQL or SQLite; for another database use its own program.")
    engine = create_engine(uri, isolation_level="REPEATABLE READ")
    try:
        with engine.connect() as connection:
            # The counts and the dump look at the same moment, while others continue to write.
            moment = connection.execute(text("select pg_export_snapshot()")).scalar()
            tables = inspect(connection).get_table_names()
            rows = {
                name: int(
                    connection.scalar(
                        select(func.count()).select_from(Table(name, MetaData(), autoload_with=connection))
                    )
                    or 0
                )
                for name in sorted(tables)
            }
            _pg(find_postgres(), uri, "pg_dump", "--format=custom", f"--snapshot={moment}", "--file", target)
        return rows
    finally:
        engine.dispose()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())


def backup(folder: Path, target: Path | None = None, on_step: Callable[[str], None] = lambda _: None) -> Path:
    """Copy databases and artifacts of a server, running or not, into a new folder with a manifest.

    Returns
    -------
    Path
        The folder; ``manifest.json`` in it has the rows of every table and the SHA-256 of every file.
    """
    Settings.read(folder)
    target = (target or folder / "backups" / datetime.now().strftime("%Y-%m-%d_%H%M%S")).absolute()
    _need_empty(target, "A backup")
    made = not target.exists()
    try:
        target.mkdir(parents=True, exist_ok=True)
        target.chmod(0o700)
        with reachable(folder) as there:
            kind = "sqlite" if database_path(there.uri) else "postgresql"
            on_step("the database")
            rows = _dump(there.uri, target / _FILES[kind])
            schema = schema_of(there.uri)
        # Files after rows: every row of the backup then finds its file.
        on_step("the artifacts")
        if (folder / "artifacts").is_dir():
            shutil.copytree(folder / "artifacts", target / "artifacts", symlinks=True)
        on_step("the checksums")
        files = {
            p.relative_to(target).as_posix(): {"sha256": sha256(p), "bytes": p.stat().st_size} for p in _files(target)
        }
        manifest = {
            "format": _FORMAT,
            "made": datetime.now().isoformat(" ", "seconds"),
            "mlflow": _mlflow_version(),
            "kind": kind,
            "schema": schema,
            "rows": rows,
            "files": files,
        }
        write(target / "manifest.json", json.dumps(manifest, indent=1), ELSEWHERE, private=True)
    except BaseException as error:
        if made:
            shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, (OSError, sqlite3.Error)):
            raise CourseError(f"The backup in {target} is incomplete and was removed: {error}.") from error
        raise
    return target


def _mlflow_version() -> str:
    from importlib.metadata import version

    return version("mlflow")


def _need_empty(folder: Path, what: str) -> None:
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise CourseError(
                f"{folder} is not an empty folder. {what} overwrites nothing; name an empty or new folder."
            )
    except OSError as error:
        raise CourseError(f"{folder} cannot be read: {error}.") from error


def read_manifest(source: Path) -> dict[str, Any]:
    """Return the manifest of a backup after checking every file against it.

    Raises
    ------
    CourseError
        When it is not a backup, a file is missing, changed or unknown, or a name leads out of the folder.
    """
    try:
        manifest = json.loads((source / "manifest.json").read_text(encoding="utf8"))
        files, rows = manifest["files"], manifest["rows"]
        wanted = {str(name): str(entry["sha256"]) for name, entry in files.items()}
        if manifest["format"] != _FORMAT or manifest["kind"] not in _FILES:
            raise ValueError(f"format {manifest['format']!r}")
        if not all(isinstance(n, int) for n in rows.values()) or _FILES[manifest["kind"]] not in wanted:
            raise ValueError("no database")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CourseError(f"{source} holds no backup that can be read (manifest.json: {error}).") from error
    there = {p.relative_to(source).as_posix() for p in _files(source)} - {"manifest.json"}
    links = [p for p in source.rglob("*") if p.is_symlink()]
    problems = [f"{name} is missing" for name in sorted(set(wanted) - there)]
    problems += [f"{name} is not in the manifest" for name in sorted(there - set(wanted))]
    problems += [f"{p.relative_to(source)} is a link" for p in links]
    problems += [f"{name} has changed" for name in sorted(there & set(wanted)) if sha256(source / name) != wanted[name]]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise CourseError(
            f"The backup {source} is not as it was made: {'; '.join(problems[:3])}{more}. Nothing was restored."
        )
    return manifest


def restore(
    source: Path,
    folder: Path,
    database: str | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> dict[str, int]:
    """Make a server's folder from a backup and return the rows of each table, counted after the restore.

    Raises
    ------
    CourseError
        When the backup is damaged, the folder is not empty, or the counts differ; then the folder is as before.
    """
    _need_empty(folder, "A restore")
    on_step("checking the backup")
    manifest = read_manifest(source)
    kind = manifest["kind"]
    settings = Settings(database=database or kind)
    is_own = settings.database in ("postgresql", "sqlite")
    if kind != ("sqlite" if settings.database == "sqlite" else "postgresql"):
        raise CourseError(f"The backup is of {kind}, so it cannot be restored into {settings.database}.")
    made = not folder.exists()
    try:
        with locked(folder, "A restore"):
            on_step("the database")
            dump = source / _FILES[kind]
            if kind == "sqlite":
                shutil.copyfile(dump, folder / "mlflow.db")
                (folder / "mlflow.db").chmod(0o600)
            with opened(folder, settings) as there:
                if kind == "postgresql":
                    if not is_own and schema_of(there.uri) is not None:
                        raise CourseError("The database is not empty. A restore overwrites nothing; name an empty one.")
                    words = ("--no-owner", "--exit-on-error", "--single-transaction", dump)
                    _pg(find_postgres(), there.uri, "pg_restore", *words)
                counted = {table: int(rows) for table, rows in program.count_rows(there.uri).items()}
            if counted != manifest["rows"]:
                raise CourseError("The restored tables have other numbers of rows than the backup. Nothing was kept.")
            on_step("the artifacts")
            if (source / "artifacts").is_dir():
                shutil.copytree(source / "artifacts", folder / "artifacts")
            for path in _files(folder / "artifacts") if (folder / "artifacts").is_dir() else []:
                name = path.relative_to(folder).as_posix()
                if sha256(path) != manifest["files"][name]["sha256"]:
                    raise CourseError(f"{path} was only written in part. Is the disk full?")
            settings.write(folder)
    except BaseException as error:
        for entry in folder.iterdir() if folder.is_dir() else ():
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)
        if made:
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise CourseError(f"The backup cannot be restored in {folder}: {error}. Nothing was kept.") from error
        raise
    return counted


def upgrade(
    folder: Path, on_step: Callable[[str], None] = lambda _: None
) -> tuple[str | None, str | None, Path | None]:
    """Bring a stopped server's database to this MLflow's schema, after a backup.

    Returns
    -------
    before, after
        Schema revisions.
    Path or None
        The backup; None when there was nothing to do.
    """
    settings = Settings.read(folder)
    if running(folder) is not None:
        raise CourseError(busy(folder, "An upgrade"))
    with reachable(folder) as there:
        before = schema_of(there.uri)
    age = schema.age(before) if before else "older"
    if age == "newer":
        raise CourseError(schema.newer(str(folder), str(before)))
    if age == "same":
        return before, before, None
    on_step("the backup")
    kept = backup(folder)
    with locked(folder, "An upgrade"), opened(folder, settings) as there:
        on_step("the schema")
        schema.upgrade(there.uri)
        return before, schema_of(there.uri), kept
