"""The settings of a class server: what a start asks for, and what its folder remembers."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils import store
from course_utils._plumbing import files
from course_utils.errors import CourseError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL


#: Port of the server when none is named; the learner's own UI has 5001.
PORT = 5002
LOOPBACK = "127.0.0.1"
#: What to do when a file of the server cannot be written.
ELSEWHERE = "Choose a folder with space that is yours."


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
    host: str = LOOPBACK
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


def default_folder() -> Path:
    """Return the folder of the server when none is named."""
    return store.home() / ".course" / "server"


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
            "Unsupported database. Write postgresql, sqlite, or a URI such as "
            "postgresql+psycopg2://user:password@host:5432/name (in COURSE_DATABASE, so that nobody sees the password)."
        )
    # SQLAlchemy 2.1 takes psycopg (3) when no driver is named, and the course has psycopg2.
    return url.set(drivername="postgresql+psycopg2") if url.drivername == "postgresql" else url


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
            f"{bad[0]!r} is not a host name for --allowed-hosts. Write names as they stand in the address bar, for example "
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
            f"{text!r} is not an address for --proxy. Write the proxy's own address or network as this machine sees it, for "
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
    return settings.host not in (LOOPBACK, "localhost", "::1")


def names(settings: Settings) -> list[str]:
    """Return the names, with port, by which the server may be called."""
    own = {LOOPBACK, "localhost"}
    if is_exposed(settings):
        own |= {socket.gethostname(), socket.getfqdn()} if settings.host in ("0.0.0.0", "::") else {settings.host}
    chosen = [*settings.allowed_hosts, *sorted(own)]
    return [name if re.search(r":(\d+|\*)$", name) else f"{name}:{settings.port}" for name in chosen]


def address(settings: Settings) -> str:
    """Return the URL that people type."""
    shown = LOOPBACK
    if is_exposed(settings):
        shown = settings.allowed_hosts[0] if settings.allowed_hosts else names(settings)[0]
    shown = re.sub(r":(\d+|\*)$", "", shown)
    return f"http://{shown}:{settings.port}"


def warning(settings: Settings) -> str:
    """Return what an exposed server gives away."""
    return (
        f"Warning: every machine that reaches {settings.host}:{settings.port} sees the sign-in. Passwords, data and models "
        "travel readable (HTTP). A user can read and change all runs of their workspace, fill this disk, and log models "
        "that run code where they are loaded. Use it on a network that you trust, or behind a proxy with HTTPS."
    )
