"""What a team's tracking server stands on: a real PostgreSQL, and programs that end with the notebook."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ._plumbing.files import secret
from ._plumbing.postgresql import find_postgres, make_cluster, reachable
from ._plumbing.processes import HOST, unused_port
from ._plumbing.supervised import supervised, wait_until, work_folder
from .errors import CourseError

__all__ = ["Postgres", "postgres", "supervised"]

_POSIX = os.name == "posix"
#: PostgreSQL refuses to run as root; root lends it to this user, who owns nothing.
_UNPRIVILEGED = "nobody"


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
        programs, data, port = reachable(find_postgres(), home, user), home / "postgres", unused_port()
        password = secret(home / "postgres.password")
        if not (data / "PG_VERSION").exists():
            make_cluster(programs, data, home, user)
        settings = [f"listen_addresses={HOST}", "unix_socket_directories="]
        if folder is None:  # nothing outlives the block, so nothing needs to survive a power cut
            settings += ["fsync=off", "full_page_writes=off", "synchronous_commit=off"]
        # PostgreSQL's own words: SIGINT is the fast shutdown, which saves everything, SIGQUIT the immediate one.
        stop = signal.SIGINT if folder is not None or not _POSIX else signal.SIGQUIT
        command = [programs / "postgres", "-D", data, "-p", str(port), *(w for s in settings for w in ("-c", s))]
        log = home / "postgres.log"
        ours = home if folder is None else None
        with supervised(command, log, cwd=data, user=user, stop=stop, temporary=ours) as process:
            server = Postgres(programs, port, "mlflow", password)
            wait_until(server.answers, process, log, "PostgreSQL", 60)
            yield server
