"""Who and what a class server lets in: limits on wrong passwords and on a full disk. It runs in the server's process."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from cachetools import TTLCache
from flask import Response, after_this_request, request
from mlflow import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_EXHAUSTED
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from werkzeug.datastructures import Authorization

from course_runner.classroom import server

#: So many wrong passwords for one name from one address, each within `SECONDS` of the one before, and …
MOST = 10
#: … nobody signs in by that name from that address for so long.
SECONDS = 60
#: Requests that only read, make room or end a run, and files, which `_while_there_is_room` looks after.
_HARMLESS = re.compile(r"search|get-|/delete|graphql|runs/update$|/mlflow-artifacts/artifacts/")
FULL = "The disk of this server is full. Ask whoever runs it; what was logged is kept."

_wrong: TTLCache[tuple[str, str], int] = TTLCache(maxsize=100_000, ttl=SECONDS)
_lock = threading.Lock()


def authenticate() -> Authorization | Response:
    """Let a request in, or return the answer that refuses it: MLflow's 401, 429 or 507.

    MLflow calls it by the name in ``auth.ini``. After too many wrong passwords the right one, too, is refused for a while
    (429), else guessing would go on. For files MLflow 3.17 does not hand the address over; those count by name alone.
    """
    from mlflow.server.auth import authenticate_request_basic_auth

    if not _has_room():
        return _refusal(507, "RESOURCE_EXHAUSTED", FULL)
    given = request.authorization
    who = (given.username or "" if given else "", request.remote_addr or "")
    with _lock:
        if given and _wrong.get(who, 0) >= MOST:
            return _refusal(429, "REQUEST_LIMIT_EXCEEDED", f"Too many wrong passwords for {who[0]}: wait {SECONDS} s.")
    answer = authenticate_request_basic_auth()
    if given and isinstance(answer, Response):
        with _lock:
            _wrong[who] = _wrong.get(who, 0) + 1
    if request.path.endswith("/users/current"):
        after_this_request(_as_mlflows_own)
    return answer


def _has_room() -> bool:
    """Whether the disk has room for the request, before the database needs the last of it and ends."""
    writes = request.method in ("POST", "PUT", "PATCH") and not _HARMLESS.search(request.path)
    return _room_beyond(server.RESERVE if writes else server.LEAST)


def _room_beyond(kept: int) -> bool:
    return server.room_left(Path.cwd()) >= kept


def _refusal(status: int, code: str, message: str) -> Response:
    """Return an answer that MLflow's client shows as it is; it tries again after a 429 only."""
    words = json.dumps({"error_code": code, "message": message})
    return Response(words, status, {"Retry-After": str(SECONDS)} if status == 429 else {}, mimetype="application/json")


def _as_mlflows_own(response: Response) -> Response:
    """Say that names and passwords are used: MLflow 3.17 shows sign-out and a new password for its own function only."""
    response.set_data(response.get_data().replace(b'"is_basic_auth":false', b'"is_basic_auth":true'))
    return response


class _Full(MlflowException):
    """A full disk. MLflow alone would answer 429, after which its client tries again for minutes."""

    def get_http_status_code(self) -> int:
        return 507


async def _while_there_is_room(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Pass the parts of a file on while the disk has room, and read the rest, else the client never sees the answer."""
    full = False
    async for chunk in chunks:
        full = full or not _room_beyond(server.RESERVE)
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
