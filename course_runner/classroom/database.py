"""The database of a class server: our own PostgreSQL, a SQLite file, or one elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from course_runner.classroom.folder import LEAST, RESERVE, disk, locked, room_left, running
from course_runner.classroom.settings import Settings, parse
from course_utils import team
from course_utils._plumbing import schema
from course_utils._plumbing.places import sqlite_uri
from course_utils._plumbing.postgresql import find_postgres
from course_utils.errors import CourseError

if TYPE_CHECKING:
    pass


#: The database of our own PostgreSQL.
_DATABASE = "mlflow"


@dataclass
class Database:
    """Where a server keeps runs, models, users and permissions; the address may hold a password.

    MLflow's tables of users have other names and a schema version of their own, so one database holds all.
    """

    uri: str
    postgres: team.Postgres | None = None


@contextmanager
def opened(folder: Path, settings: Settings) -> Iterator[Database]:
    """Yield the database of a folder; our own PostgreSQL runs while the block does."""
    if room_left(folder) < LEAST:
        raise CourseError(
            f"The disk of {folder} is {disk(folder)[1]}. The database needs {LEAST / 1e6:.0f} MB to start, new runs "
            f"{RESERVE / 1e6:.0f}: free them, then give the command again. All logged runs are kept."
        )
    if settings.database == "sqlite":
        yield Database(sqlite_uri(folder / "mlflow.db"))
    elif settings.database == "postgresql":
        _passable(folder)
        with team.postgres(folder) as postgres:
            if (
                _DATABASE
                not in postgres.run("psql", "-d", "postgres", "-Atc", "select datname from pg_database").split()
            ):
                postgres.create(_DATABASE)
            yield Database(postgres.uri(_DATABASE), postgres)
    else:
        yield Database(parse(settings.database).render_as_string(hide_password=False))


@contextmanager
def reachable(folder: Path) -> Iterator[Database]:
    """Yield the database of a folder whether its server runs or not."""
    settings = Settings.read(folder)
    holder = running(folder)
    if holder is None:
        with locked(folder, "This"), opened(folder, settings) as there:
            yield there
    elif settings.database != "postgresql":
        with opened(folder, settings) as there:
            yield there
    else:
        password = (folder / "postgres.password").read_text(encoding="utf8")
        postgres = team.Postgres(find_postgres(), holder.postgres_port, "mlflow", password)
        yield Database(postgres.uri(_DATABASE), postgres)


def _passable(folder: Path) -> None:
    """Let the user ``nobody`` pass through the folder when we are root, and say so when one above is closed to it."""
    if os.name != "posix" or os.geteuid() != 0:
        return
    folder.chmod(0o711)
    closed = [p for p in folder.parents if p.exists() and not p.stat().st_mode & 0o001]
    if closed:
        raise CourseError(
            f"As root, PostgreSQL works as the user nobody, who may not enter {closed[-1]}. Start the server as an "
            "ordinary user, or choose a folder that everybody may pass, such as /srv/mlflow, with --folder."
        )


def schema_of(uri: str) -> str | None:
    """Return the schema revision of a database, or None when it is empty.

    Raises
    ------
    CourseError
        When it cannot be reached, or holds tables that are not MLflow's.
    """
    from sqlalchemy import create_engine, inspect, text
    from sqlalchemy.exc import SQLAlchemyError

    try:
        engine = create_engine(uri)
        try:
            tables = set(inspect(engine).get_table_names())
            if "alembic_version" in tables:
                with engine.connect() as connection:
                    return str(connection.execute(text("select version_num from alembic_version")).scalar())
        finally:
            engine.dispose()
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        raise CourseError(
            f"The database {_shown(uri)} cannot be used: {str(error).strip().splitlines()[0]}. "
            "Check that it runs, its address, name and password."
        ) from error
    if tables and "alembic_version_auth" not in tables:
        raise CourseError(
            f"The database {_shown(uri)} holds other tables ({', '.join(sorted(tables)[:3])} …). "
            "Give MLflow an empty database of its own."
        )
    return None


def _shown(uri: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(uri).render_as_string(hide_password=True)


def check_schema(uri: str, folder: Path) -> None:
    """Raise `CourseError` when another version of MLflow made the database."""
    found = schema_of(uri)
    if found is None:
        return
    age = schema.age(found)
    if age == "older":
        raise CourseError(
            f"The store in {folder} was made by an older MLflow (schema {found}). "
            f"Upgrade it, which makes a backup first: course server upgrade --folder {folder}"
        )
    if age == "newer":
        raise CourseError(schema.newer(_shown(uri), found))
