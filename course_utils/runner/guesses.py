"""How a class server signs people in: as MLflow does, with a limit on wrong passwords. It runs in the server's process."""

from __future__ import annotations

import threading

from cachetools import TTLCache
from flask import Response, after_this_request, request
from werkzeug.datastructures import Authorization

#: So many wrong passwords for one name from one address, each within `SECONDS` of the one before, and …
MOST = 10
#: … nobody signs in by that name from that address for so long.
SECONDS = 60

_wrong: TTLCache[tuple[str, str], int] = TTLCache(maxsize=100_000, ttl=SECONDS)
_lock = threading.Lock()


def authenticate() -> Authorization | Response:
    """Let a request in, or return the answer that refuses it: 401, or 429 after too many wrong passwords.

    MLflow calls it by the name in ``auth.ini``. The right password, too, is refused for a while, else guessing would go
    on. For files MLflow 3.17 does not hand the address over; those count by name alone.
    """
    from mlflow.server.auth import authenticate_request_basic_auth

    given = request.authorization
    who = (given.username or "" if given else "", request.remote_addr or "")
    with _lock:
        if given and _wrong.get(who, 0) >= MOST:
            text = f"Too many wrong passwords for {who[0]!r}. Wait {SECONDS} s."
            return Response(text, 429, {"Retry-After": str(SECONDS)}, mimetype="text/plain")
    answer = authenticate_request_basic_auth()
    if given and isinstance(answer, Response):
        with _lock:
            _wrong[who] = _wrong.get(who, 0) + 1
    if request.path.endswith("/users/current"):
        after_this_request(_as_mlflows_own)
    return answer


def _as_mlflows_own(response: Response) -> Response:
    """Say that names and passwords are used: MLflow 3.17 shows sign-out and a new password for its own function only."""
    response.set_data(response.get_data().replace(b'"is_basic_auth":false', b'"is_basic_auth":true'))
    return response
