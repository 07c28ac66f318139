"""A tracking server for a class or a team, kept in one folder: settings, start, stop and users."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from course_utils import store, team
from course_utils._plumbing import files
from course_utils._plumbing.noise import quiet
from course_utils._plumbing.places import sqlite_uri
from course_utils.errors import CourseError

if TYPE_CHECKING:
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy.engine import URL

#: Port of the server when none is named; the learner's own UI has 5001.
PORT = 5002
_LOOPBACK = "127.0.0.1"
#: A name of a user is also the name of a workspace, and MLflow allows no more than this there.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,58}[a-z0-9])?")
#: What a member may do in a workspace. MANAGE of the workspace itself would let them make users, and the gateway
#: would let them make the server call addresses of their choice.
_MEMBER = {
    "workspace": "USE",
    "experiment": "MANAGE",
    "registered_model": "MANAGE",
    "prompt": "MANAGE",
    "scorer": "MANAGE",
}
#: What to do when a file of the server cannot be written.
ELSEWHERE = "Choose a folder with space that is yours."
#: Bytes that a server leaves free on its disk: PostgreSQL without room for its log ends at once.
RESERVE = 100_000_000
#: Bytes without which PostgreSQL does not start: two files of that log.
LEAST = 35_000_000
#: Entry point of `door.create_app`.
_APP = "course-class"
#: The database of our own PostgreSQL.
_DATABASE = "mlflow"


@dataclass
class Settings:
    """What a server's folder remembers from one start to the next (``server.json``, readable by its owner only).

    Attributes
    ----------
    database
        ``postgresql`` (our own, in the folder), ``sqlite``, or the URI of a database elsewhere.
    port, host, allowed_hosts
        Where it listens, and the names by which it may be called.
    proxies
        Addresses or networks of proxies in front of it, whose ``X-Forwarded-For`` is believed.
    """

    database: str = "postgresql"
    port: int = PORT
    host: str = _LOOPBACK
    allowed_hosts: list[str] = field(default_factory=list)
    proxies: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> Settings:
        """Read the settings of a folder.

        Raises
        ------
        CourseError
            When it holds no server.
        """
        try:
            return cls(**json.loads((folder / "server.json").read_text(encoding="utf8")))
        except FileNotFoundError:
            raise CourseError(
                f"There is no server in {folder}. Make one with `course server start`, or name its folder with --folder."
            ) from None
        except (OSError, ValueError, TypeError) as error:
            raise CourseError(f"The settings {folder / 'server.json'} cannot be read: {error}.") from error

    def write(self, folder: Path) -> None:
        """Write the settings; they may hold the password of a database."""
        files.write(folder / "server.json", json.dumps(asdict(self), indent=1), ELSEWHERE, private=True)


@dataclass
class Running:
    """Who runs a folder's server (``running.json``)."""

    pid: int
    address: str
    since: str
    postgres_port: int = 0
    ready: bool = False
    new_admin: bool = False


@dataclass
class Database:
    """Where a server keeps runs, models, users and permissions; the address may hold a password.

    MLflow's tables of users have other names and a schema version of their own, so one database holds all.
    """

    uri: str
    postgres: team.Postgres | None = None


def default_folder() -> Path:
    """Return the folder of the server when none is named."""
    return store.home() / ".course" / "server"


# ---- one server a folder -----------------------------------------------------------------------------------------


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Hold the folder while the block runs.

    Raises
    ------
    CourseError
        When a server runs there, or another command works on it; the message names process and address.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(folder / "server.lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise CourseError(busy(folder, what)) from None
    except OSError as error:
        raise CourseError(f"The folder {folder} cannot be used: {error}. Choose another with --folder.") from error
    try:
        yield
    finally:
        lock.release()


def busy(folder: Path, what: str) -> str:
    """Return the message that `what` has to wait for the server of the folder."""
    holder = running(folder)
    who = f"A server runs on {folder}: process {holder.pid}, {holder.address}." if holder else f"{folder} is in use."
    return f"{who} {what} has to wait until it is stopped: course server stop --folder {folder}"


def running(folder: Path) -> Running | None:
    """Return who runs the folder's server now, or None; what a killed server left behind does not count."""
    if not (folder / "server.lock").exists():
        return None
    try:
        FileLock(folder / "server.lock", timeout=0).acquire().lock.release()
        return None
    except Timeout:
        pass
    try:
        return Running(**json.loads((folder / "running.json").read_text(encoding="utf8")))
    except (OSError, ValueError, TypeError):
        return None


def room_left(folder: Path) -> int:
    """Return the bytes that are free on the disk of a folder."""
    return shutil.disk_usage(folder).free


def disk(folder: Path) -> tuple[bool, str]:
    """Return whether a server still takes runs, and how much room its disk has, in words."""
    space = shutil.disk_usage(folder)
    words = f"{space.free / 1e6:,.0f} MB free of {space.total / 1e6:,.0f}"
    if space.free >= RESERVE:
        return True, words
    return False, f"full: {words}"


# ---- the database --------------------------------------------------------------------------------------------------


def parse(uri: str) -> URL:
    """Return the address of a database with the driver that the course has, or raise `CourseError`."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.get_backend_name() not in ("postgresql", "sqlite", "mysql"):
        raise CourseError(
            "The database is none that the server can use. Write postgresql, sqlite, or a URI such as "
            "postgresql+psycopg2://user:password@host:5432/name (in COURSE_DATABASE, so that nobody sees the password)."
        )
    # SQLAlchemy 2.1 takes psycopg (3) when no driver is named, and the course has psycopg2.
    return url.set(drivername="postgresql+psycopg2") if url.drivername == "postgresql" else url


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
        postgres = team.Postgres(team.find_postgres(), holder.postgres_port, "mlflow", password)
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


def _check_schema(uri: str, folder: Path) -> None:
    found = schema_of(uri)
    if found is None:
        return
    age = store.schema_age(found)
    if age == "older":
        raise CourseError(
            f"The store in {folder} was made by an older MLflow (schema {found}). "
            f"Upgrade it, which makes a backup first: course server upgrade --folder {folder}"
        )
    if age == "newer":
        raise CourseError(store.newer_schema(_shown(uri), found))


# ---- start and stop ----------------------------------------------------------------------------------------------


def prepare(
    folder: Path,
    *,
    database: str | None = None,
    host: str | None = None,
    port: int | None = None,
    allowed_hosts: Sequence[str] = (),
    proxies: Sequence[str] = (),
) -> Settings:
    """Return the settings for a start: what is asked for now, else what the folder remembers.

    Raises
    ------
    CourseError
        When the folder already has another database, the port is taken, or the host is not of this machine.
    """
    known = (folder / "server.json").exists()
    settings = Settings.read(folder) if known else Settings()
    if database is not None:
        if database not in ("postgresql", "sqlite"):
            parse(database)
        if known and database != settings.database:
            raise CourseError(
                f"The server in {folder} keeps its runs in another database than the one you name. "
                "Leave --database out, or name another folder."
            )
        settings.database = database
    settings = replace(settings, port=port or settings.port, host=host or settings.host)
    if allowed_hosts:
        settings.allowed_hosts = list(allowed_hosts)
    if proxies:
        settings.proxies = [_proxy(text) for text in proxies]
    if bad := [h for h in settings.allowed_hosts if not re.fullmatch(r"[A-Za-z0-9.\-*:\[\]]+", h) or h == "*"]:
        raise CourseError(
            f"{bad[0]!r} is no host name for --allowed-hosts. Write names as in the address bar, for example "
            "mlflow.example.org or mlflow.example.org:5002; '*' would switch the check off."
        )
    _check_port(settings)
    return settings


def _proxy(text: str) -> str:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        network = None
    if network is None or network.prefixlen == 0:
        raise CourseError(
            f"{text!r} is no address for --proxy. Write the proxy's own address or network as this machine sees it, for "
            "example 10.0.0.5 or 10.0.0.0/24; a name, '*' or everybody's network would let anyone choose their address."
        )
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _check_port(settings: Settings) -> None:
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.host, settings.port))
    except OSError as error:
        raise CourseError(
            f"The server cannot listen on {settings.host}, port {settings.port}: {error.strerror or error}. "
            "Another program has that port, or the address is not of this machine. Name others with --port and --host."
        ) from error


def is_exposed(settings: Settings) -> bool:
    """Whether other machines can reach the server."""
    return settings.host not in (_LOOPBACK, "localhost", "::1")


def names(settings: Settings) -> list[str]:
    """Return the names, with port, by which the server may be called."""
    own = {_LOOPBACK, "localhost"}
    if is_exposed(settings):
        own |= {socket.gethostname(), socket.getfqdn()} if settings.host in ("0.0.0.0", "::") else {settings.host}
    chosen = [*settings.allowed_hosts, *sorted(own)]
    return [name if re.search(r":(\d+|\*)$", name) else f"{name}:{settings.port}" for name in chosen]


def warning(settings: Settings) -> str:
    """Return what an exposed server gives away."""
    return (
        f"Warning: every machine that reaches {settings.host}:{settings.port} sees the sign-in. Passwords, data and models "
        "travel readable (HTTP). A user can read and change all runs of their workspace, fill this disk, and log models "
        "that run code where they are loaded. Use it on a network that you trust, or behind a proxy with HTTPS."
    )


@contextmanager
def serve(folder: Path, settings: Settings, on_step: Callable[[str], None]) -> Iterator[tuple[Running, str | None]]:
    """Run database and server while the block runs.

    Yields
    ------
    Running
        Process and address.
    str or None
        The password of the user ``admin`` when it was made now; nothing keeps it.
    """
    if not entry_points(group="mlflow.app", name=_APP):
        raise CourseError(
            "This environment was made by an older course, so the server lacks its door. Run `make` once."
        )
    with locked(folder, "A second server"), ExitStack() as room:
        state = Running(os.getpid(), _address(settings), datetime.now().isoformat(" ", "seconds"))
        room.callback((folder / "running.json").unlink, missing_ok=True)
        _tell(folder, state)
        settings.write(folder)
        (folder / "artifacts").mkdir(mode=0o700, exist_ok=True)
        on_step("starting the database")
        there = room.enter_context(opened(folder, settings))
        _check_schema(there.uri, folder)
        state.new_admin = not _has_users(there.uri)
        password = os.environ.pop("COURSE_SERVER_ADMIN_PASSWORD", None) or new_password()
        options = ["--enable-workspaces", "--allowed-hosts", ",".join(names(settings)), "--host", settings.host]
        if is_exposed(settings):
            # Without it the UI's own requests are refused: MLflow 3.17 knows only localhost as its own origin.
            options += ["--cors-allowed-origins", ",".join(f"http://{name}" for name in names(settings))]
        # Uvicorn believes whoever calls from this machine; a member there could choose a new address for each guess.
        behind = ["--forwarded-allow-ips", ",".join(settings.proxies)] if settings.proxies else ["--no-proxy-headers"]
        options += ["--uvicorn-opts", " ".join(behind)]
        on_step("starting the tracking server")
        server = room.enter_context(
            team.mlflow_server(
                there.uri,
                folder,
                admin_password=password,
                auth_uri=there.uri.replace("%", "%%"),  # an ini file
                app=_APP,
                options=options,
                port=settings.port,
            )
        )
        local = settings.host if settings.host not in ("0.0.0.0", "::") else _LOOPBACK
        replace(server, address=f"http://{local}:{settings.port}").wait()
        state.postgres_port = there.postgres.port if there.postgres else 0
        state.ready = True
        _tell(folder, state)
        watched[folder] = lambda: server.running and (there.postgres is None or _answers(there.postgres.port))
        room.callback(watched.pop, folder, None)
        yield state, password if state.new_admin else None


#: Folder → function that tells whether everything of its server still runs.
watched: dict[Path, Callable[[], bool]] = {}


def _tell(folder: Path, state: Running) -> None:
    files.write(folder / "running.json", json.dumps(asdict(state)), ELSEWHERE, private=True)


def _address(settings: Settings) -> str:
    shown = _LOOPBACK
    if is_exposed(settings):
        shown = settings.allowed_hosts[0] if settings.allowed_hosts else names(settings)[0]
    shown = re.sub(r":(\d+|\*)$", "", shown)
    return f"http://{shown}:{settings.port}"


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((_LOOPBACK, port), timeout=10):
            return True
    except OSError:
        return False


def wait(folder: Path) -> None:
    """Wait until SIGINT, SIGTERM or SIGHUP, or until a part of the server ends.

    Raises
    ------
    CourseError
        When database or server ended by themselves.
    """
    over = threading.Event()
    signals = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.signal(number, lambda *_: over.set()) for number in signals}
    try:
        while not over.wait(1.0):
            if not watched[folder]():
                if not disk(folder)[0]:
                    raise CourseError(f"The server in {folder} has ended by itself; its disk is {disk(folder)[1]}.")
                raise CourseError(
                    f"The server in {folder} has ended by itself. Its last words are in mlflow.log and postgres.log there; "
                    "too little memory is the usual cause. Then start it again."
                )
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def detach(folder: Path, words: Sequence[str], timeout: float = 180.0) -> tuple[Running, str | None]:
    """Start the server in a process of its own and return when it answers, with the password of a new ``admin``."""
    if running(folder) is not None:
        raise CourseError(busy(folder, "A second server"))
    password = new_password()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = folder / "start.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "course_runner.cli", "server", "start", "--folder", str(folder), *words],
            env={**os.environ, "COURSE_SERVER_ADMIN_PASSWORD": password, "COURSE_SERVER_QUIET": "1"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    end = time.monotonic() + timeout
    try:
        while process.poll() is None and time.monotonic() < end:
            state = running(folder)
            if state is not None and state.ready:
                return state, password if state.new_admin else None
            time.sleep(0.2)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    if process.poll() is None:
        process.terminate()
        process.wait()
    said = log.read_text(encoding="utf8", errors="replace").strip().removeprefix("Error: ")
    raise CourseError(said or f"The server did not start within {timeout:g} s; see {folder / 'mlflow.log'}.")


def stop(folder: Path, timeout: float = 60.0) -> Running | None:
    """Stop the folder's server and return what ran, or None when nothing did."""
    Settings.read(folder)
    state = running(folder)
    if state is None:
        return None
    try:
        os.kill(state.pid, signal.SIGTERM)
    except ProcessLookupError:
        return state
    except OSError as error:
        raise CourseError(f"Process {state.pid} cannot be stopped: {error}. Whoever started it has to.") from error
    end = time.monotonic() + timeout
    while running(folder) is not None:
        if time.monotonic() > end:
            raise CourseError(
                f"Process {state.pid} has not ended within {timeout:g} s. Look at {folder / 'mlflow.log'}."
            )
        time.sleep(0.1)
    return state


# ---- users -------------------------------------------------------------------------------------------------------


def new_password() -> str:
    """Return a password of 96 random bits."""
    return secrets.token_urlsafe(12)


def _has_users(uri: str) -> bool:
    from sqlalchemy import create_engine, inspect, text

    engine = create_engine(uri)
    try:
        if not inspect(engine).has_table("users"):
            return False
        with engine.connect() as connection:
            return bool(connection.execute(text("select 1 from users where username = 'admin'")).scalar())
    finally:
        engine.dispose()


@contextmanager
def _auth_store(uri: str) -> Iterator[SqlAlchemyStore]:
    """Yield MLflow's own store of users."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow 3.17 imports a Starlette module that is to go
        from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

        quiet()
        users = SqlAlchemyStore()
        users.init_db(uri)
    try:
        yield users
    finally:
        users.engine.dispose()


def check_name(name: str) -> str:
    """Return the name of a user or workspace, or raise `CourseError` when MLflow would not take it."""
    if not _NAME.fullmatch(name):
        raise CourseError(
            f"{name!r} cannot be a user: a name has 1 to 60 small letters, digits and hyphens, for example anna-m. "
            "(It also names the workspace, and MLflow allows no other characters there.)"
        )
    return name


def add_users(folder: Path, new: Sequence[str], workspace: str | None = None) -> dict[str, str]:
    """Make users, each in a workspace of their own, or all in one that they share, and return their passwords.

    Raises
    ------
    CourseError
        When a name is not allowed or taken; then nobody is added.
    """
    for name in (*new, *([workspace] if workspace else [])):
        check_name(name)
    if twice := {name for name in new if list(new).count(name) > 1}:
        raise CourseError(f"{sorted(twice)[0]} is named twice. A user has one name, and a name one user.")
    passwords = {name: new_password() for name in new}
    with reachable(folder) as there, _auth_store(there.uri) as users:
        taken = [name for name in new if users.has_user(name)]
        if taken:
            raise CourseError(
                f"There is a user {taken[0]} already; nobody was added. "
                f"A new password for them: course server password {taken[0]}"
            )
        for name, password in passwords.items():
            place = workspace or name
            _make_workspace(there.uri, place)
            users.create_user(name, password)
            role = next((r for r in users.list_roles([place]) if r.name == "member"), None)
            if role is None:
                role = users.create_role("member", place)
                for kind, permission in _MEMBER.items():
                    users.add_role_permission(role.id, kind, "*", permission)
            users.assign_role_to_user(users.get_user(name).id, role.id)
    return passwords


def _make_workspace(uri: str, name: str) -> None:
    from mlflow.entities import Workspace
    from mlflow.store.workspace.sqlalchemy_store import SqlAlchemyStore as WorkspaceStore

    workspaces = WorkspaceStore(uri)
    try:
        if name not in {w.name for w in workspaces.list_workspaces()}:
            workspaces.create_workspace(Workspace(name=name))
    finally:
        workspaces._engine.dispose()


def set_password(folder: Path, name: str) -> str:
    """Give a user, or ``admin``, a new password and return it."""
    password = new_password()
    with reachable(folder) as there, _auth_store(there.uri) as users:
        if not users.has_user(name):
            raise CourseError(f"There is no user {name!r} on this server. Make one: course server add-user NAME")
        users.update_user(name, password=password)
    return password
