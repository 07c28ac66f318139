"""The door of a class server: every request passes here before MLflow sees it. It runs in the server's process.

MLflow starts it by the entry point ``mlflow.app`` in ``pyproject.toml`` (`create_app`).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from cachetools import TTLCache
from mlflow import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_EXHAUSTED
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from course_runner.classroom import allowed_routes
from course_runner.classroom.folder import LEAST, RESERVE, room_left
from course_utils.errors import printable

if TYPE_CHECKING:
    from mlflow.server.auth.entities import User
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Wrong passwords within `SECONDS` after which sign-in is refused for the rest of that time: for one name from one address,
#: for one name from all addresses, and from one address for all names.
MOST_AT_ONE_PLACE, MOST_FOR_A_NAME, MOST_FROM_AN_ADDRESS = 10, 30, 100
SECONDS = 60
#: Seconds for which a name that has signed in from an address is not refused there for what others get wrong.
_REMEMBERED = 12 * 3600
#: Requests that only read, make room or end a run, and files, which `_while_there_is_room` looks after.
_HARMLESS = re.compile(r"search|get-|/delete|graphql|runs/update$|/mlflow-artifacts/artifacts/")
FULL = "The disk of this server is full. Ask whoever runs it; what was logged is kept."
#: Headers that decide who asks for what: sent twice, MLflow's two frameworks would read them differently.
_ONCE = (b"authorization", b"x-mlflow-workspace", b"host")


#: The pages ask here which language models the server may call, and show an error when they are not let in. There are
#: none: so says MLflow, too, where no gateway is configured. Here MLflow is not asked, since it would pass requests on.
GATEWAY = "/ajax-api/2.0/mlflow/gateway-proxy"


class Answered(Exception):
    """The answer to a request that MLflow does not get to see."""

    def __init__(self, status: int, body: dict[str, Any], **headers: str) -> None:
        super().__init__(body)
        self.status, self.headers = status, headers
        self.body = json.dumps(body).encode()


class Refused(Answered):
    """A request that is not for whoever sends it, or not now."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(status, {"error_code": code, "message": message}, **headers)


class Guesses:
    """Counts wrong passwords by name and by address, and says when sign-in has to wait."""

    def __init__(self) -> None:
        self._wrong: TTLCache[tuple[str, str], list[float]] = TTLCache(maxsize=300_000, ttl=SECONDS)
        self._known: TTLCache[tuple[str, str], bool] = TTLCache(maxsize=100_000, ttl=_REMEMBERED)
        self._lock = threading.Lock()

    def wait(self, name: str, address: str) -> int:
        """Return the seconds for which this name may not sign in from this address."""
        limits = {(name, address): MOST_AT_ONE_PLACE}
        with self._lock:
            if (name, address) not in self._known:
                # Guesses of a stranger, or of a neighbour behind the same router, must not lock out who was here before.
                limits |= {(name, "*"): MOST_FOR_A_NAME, ("*", address): MOST_FROM_AN_ADDRESS}
            since = [self._wrong[key][1] for key, most in limits.items() if self._wrong.get(key, [0])[0] >= most]
        return max(0, *(int(SECONDS - (time.monotonic() - s)) + 1 for s in since)) if since else 0

    def note(self, name: str, address: str, right: bool) -> None:
        """Remember how a sign-in ended."""
        with self._lock:
            if right:
                self._known[name, address] = True
                self._wrong.pop((name, address), None)
                return
            for key in ((name, address), (name, "*"), ("*", address)):
                # The time of the first wrong one stays, or a client that tries for ever would lock its neighbours for ever.
                if key in self._wrong:
                    self._wrong[key][0] += 1
                else:
                    self._wrong[key] = [1, time.monotonic()]


class Door:
    """Lets a request through to MLflow when its path, who sends it, and the disk allow it.

    Parameters
    ----------
    app
        MLflow's application, with its own sign-in and permissions.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app, self._guesses = app, Guesses()
        # One password of a name is tried at a time, else many guesses at once would all be counted too late.
        self._turns = [threading.Lock() for _ in range(64)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        else:
            try:
                headers = await self._check(scope)
            except Answered as answered:
                await _answer(answered, receive, send)
            else:
                await self._app({**scope, "headers": headers}, receive, send)

    async def _check(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """Return the headers with which MLflow gets the request, or raise `Answered`."""
        method, path = scope["method"], scope["path"]
        asked = f"{method} {printable(path, 120)}"
        names = [name for name, _ in scope["headers"]]
        if any(names.count(name) > 1 for name in _ONCE):
            raise Refused(403, "PERMISSION_DENIED", "This server does not answer a request with the same header twice.")
        role = (
            allowed_routes.role_for(method, path) if allowed_routes.plain(path, scope.get("raw_path") or b"") else None
        )
        if role is None:
            raise Refused(403, "PERMISSION_DENIED", f"This server is for a class: {asked} is closed to everybody.")
        others = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
        if role != "anyone":
            name, password = _credentials(dict(scope["headers"]).get(b"authorization", b""))
            address = _address(scope)
            user = await anyio.to_thread.run_sync(self._sign_in, name, password, address)
            if role == "admin" and not user.is_admin:
                raise Refused(403, "PERMISSION_DENIED", f"Only the admin of this server may send {asked}.")
            # Written anew, so that MLflow cannot read another name in it than was checked here.
            secret = base64.b64encode(f"{name}:{password}".encode())
            others.append((b"authorization", b"Basic " + secret))
        if path == GATEWAY:
            raise Answered(200, {"endpoints": []})
        if not _has_room(method, path):
            raise Refused(507, "RESOURCE_EXHAUSTED", FULL)
        return others

    def _sign_in(self, name: str, password: str, address: str) -> User:
        """Return who it is, or raise `Refused`."""
        from mlflow.server.auth import _authenticate_cached

        with self._turns[hash(name) % len(self._turns)]:
            if wait := self._guesses.wait(name, address):
                message = f"Too many wrong passwords for {printable(name, 60)}: wait {wait} s."
                raise Refused(429, "REQUEST_LIMIT_EXCEEDED", message, **{"Retry-After": str(wait)})
            try:
                user = _authenticate_cached(name, password)
            except MlflowException:  # no name that a user could have
                user = None
            self._guesses.note(name, address, user is not None)
        if user is None:
            raise _unknown("Wrong name or password.")
        return user


def create_app() -> Door:
    """Return the application that ``mlflow server --app-name course-class`` runs."""
    from mlflow.server.auth import create_app as mlflows_own

    return Door(mlflows_own())


def _unknown(message: str) -> Refused:
    return Refused(401, "UNAUTHENTICATED", message, **{"WWW-Authenticate": 'Basic realm="mlflow"'})


def _credentials(header: bytes) -> tuple[str, str]:
    """Return name and password, or raise `Refused`."""
    scheme, _, encoded = header.strip().partition(b" ")
    try:
        if scheme.lower() != b"basic":
            raise ValueError("another scheme")
        # MLflow 3.17 reads ASCII only where it serves files, so nothing else is a name or password anywhere.
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode("ascii").partition(":")
    except (ValueError, binascii.Error):
        name, colon, password = "", "", ""
    if not (name and colon and password):
        raise _unknown("This server asks for a name and a password.")
    return name, password


def _address(scope: Scope) -> str:
    """Return where a request comes from; a network of IPv6 is one place, since each of its machines has 2**64 addresses.

    Uvicorn has put the address there that a trusted proxy has sent (`Settings.proxies`), and nobody else's.
    """
    text = (scope.get("client") or ("",))[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    return str(ipaddress.ip_network((text, 64), strict=False)) if address.version == 6 else text


async def _answer(answered: Answered, receive: Receive, send: Send) -> None:
    """Send the answer, after a body of ordinary size: who is still writing would not read it."""
    left = 1 << 20
    message: Message = {"more_body": True}
    while message.get("more_body") and left > 0:
        message = await receive()
        left -= len(message.get("body", b"")) + 1
    headers = {"Content-Type": "application/json", "Content-Length": str(len(answered.body)), **answered.headers}
    encoded = [(name.lower().encode(), value.encode("latin1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answered.status, "headers": encoded})
    await send({"type": "http.response.body", "body": answered.body})


# ---- a full disk ---------------------------------------------------------------------------------------------------


def _has_room(method: str, path: str) -> bool:
    """Whether the disk has room for the request, before the database needs the last of it and ends."""
    writes = method in ("POST", "PUT", "PATCH") and not _HARMLESS.search(path)
    return _room_beyond(RESERVE if writes else LEAST)


def _room_beyond(kept: int) -> bool:
    return room_left(Path.cwd()) >= kept


class _Full(MlflowException):
    """A full disk. MLflow alone would answer 429, after which its client tries again for minutes."""

    def get_http_status_code(self) -> int:
        return 507


async def _while_there_is_room(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Pass the parts of a file on while the disk has room, and read the rest, else the client never sees the answer."""
    full = False
    async for chunk in chunks:
        full = full or not _room_beyond(RESERVE)
        if not full:
            yield chunk
    if full:
        raise _Full(FULL, RESOURCE_EXHAUSTED)


def _watch_files() -> None:
    """Let files end before the disk does; MLflow 3.17 has no place to say so, so its method is wrapped."""
    write = LocalArtifactRepository.log_artifact_from_async_stream

    async def log(repository: LocalArtifactRepository, chunks: AsyncIterator[bytes], *words: Any, **named: Any) -> None:
        await write(repository, _while_there_is_room(chunks), *words, **named)

    LocalArtifactRepository.log_artifact_from_async_stream = log


_watch_files()
