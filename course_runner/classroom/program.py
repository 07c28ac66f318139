"""MLflow's server as a program of the class server: how it is started, when it answers, and the rows that it keeps."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils._plumbing.files import secret
from course_utils._plumbing.places import sqlite_uri
from course_utils._plumbing.processes import HOST, answers, tracking_server_environment, unused_port
from course_utils._plumbing.supervised import supervised, wait_until, work_folder

if TYPE_CHECKING:
    import pandas as pd


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
                "MLFLOW_FLASK_SERVER_SECRET_KEY": secret(home / "flask.secret"),
            }
        command += options
        log = home / "mlflow.log"
        with supervised([sys.executable, "-m", *command], log, cwd=home, environment=environment) as process:
            yield Server(f"http://{HOST}:{port}", " ".join(command), log, process)
