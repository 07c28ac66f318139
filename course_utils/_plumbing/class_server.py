"""The team's tracking server as a learner's side sees it: join it, sign in, and make sure that it is one."""

from __future__ import annotations

import functools
import json
import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from course_utils._plumbing import files
from course_utils.errors import CourseError

#: Seconds after which a server that has not answered sensibly is given up.
TIME_LIMIT = 20.0
_MOST_BYTES = 1_000_000
_VARIABLES = {
    "user": "MLFLOW_TRACKING_USERNAME",
    "password": "MLFLOW_TRACKING_PASSWORD",
    "workspace": "MLFLOW_WORKSPACE",
}
#: What `sign_in` has set: variable → value before.
_set_by_us: dict[str, str | None] = {}


@dataclass(frozen=True)
class Joined:
    """The server that this checkout has joined (``.course/joined.json``, readable by its owner only)."""

    url: str
    user: str
    password: str
    workspace: str


def joined(home: Path) -> Joined | None:
    """Return the server that the checkout at `home` has joined, or None."""
    file = home / ".course" / "joined.json"
    try:
        return Joined(**json.loads(file.read_text(encoding="utf8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError) as error:
        raise CourseError(
            f"{file} cannot be read: {error}. Join again, or go back to your own store: course server leave"
        ) from error


def join(home: Path, url: str, user: str, password: str, workspace: str | None = None) -> Joined:
    """Remember a server after it has let `user` in; from then on the course's runs go there.

    Parameters
    ----------
    home
        The checkout.
    url
        Address, such as ``http://class.example:5002``.
    user, password
        As the server's admin gave them.
    workspace
        Where the runs go; the user's own when not given.

    Raises
    ------
    CourseError
        When it is not an address, no tracking server answers there, or the user is refused.
    """
    url = _address(url).rstrip("/")
    wanted = Joined(url, user, password, workspace or user)
    check(url, auth=(user, password), workspace=wanted.workspace)
    _check_workspace(wanted)
    files.write(home / ".course" / "joined.json", json.dumps(asdict(wanted)), private=True)
    return wanted


def _check_workspace(wanted: Joined) -> None:
    import requests

    places: list[str] = []
    try:
        endpoint = f"{wanted.url}/api/3.0/mlflow/workspaces"
        options: dict[str, Any] = {"timeout": TIME_LIMIT, "allow_redirects": False, "stream": True}
        with requests.get(endpoint, auth=(wanted.user, wanted.password), **options) as reply:
            if reply.status_code == 404 or reply.status_code == 501:
                return  # a server without workspaces: everybody's runs are in one place
            places = [str(w["name"]) for w in json.loads(_read(reply) or b"{}").get("workspaces", [])]
    except (requests.RequestException, ValueError, KeyError, TypeError, AttributeError):
        pass
    if wanted.workspace not in places:
        raise CourseError(
            f"{wanted.user} is not a member of the workspace {wanted.workspace!r} on {wanted.url}, but of "
            f"{', '.join(sorted(places)[:10]) or 'none'}. Name one with --workspace, or ask whoever runs the server."
        )


def leave(home: Path) -> Joined | None:
    """Forget the joined server and return it; None when there was none."""
    file = home / ".course" / "joined.json"
    try:
        before = joined(home)
    except CourseError:
        before = Joined("(unreadable)", "", "", "")
    file.unlink(missing_ok=True)
    return before


def sign_in(uri: str, home: Path) -> None:
    """Give MLflow the name and password of the joined server when `uri` is that server, else take them back.

    What the user has set in the environment stays.
    """
    for name, before in _set_by_us.items():
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before
    _set_by_us.clear()
    server = joined(home) if is_remote(uri) else None
    if server is None or server.url != uri.rstrip("/"):
        return
    for field, name in _VARIABLES.items():
        if not os.environ.get(name):
            _set_by_us[name] = os.environ.get(name)
            os.environ[name] = getattr(server, field)
    _behave_as_a_store_of_ones_own()


@functools.cache
def _behave_as_a_store_of_ones_own() -> None:
    """Let notebooks do on a server what they do in a store of one's own, in two things where MLflow 3.17 differs.

    A run without an experiment goes to the experiment with the id 0, which is in the workspace ``default``, closed to
    learners (403): send it to ``Default`` of their workspace. A trace is shown as a frame with the server's page, which
    asks for the password once more: leave it out.
    """
    import mlflow
    from mlflow.tracking.default_experiment import abstract_context, registry

    class OfWorkspace(abstract_context.DefaultExperimentProvider):
        def in_context(self) -> bool:
            return is_remote(mlflow.get_tracking_uri()) and os.environ.get("MLFLOW_WORKSPACE", "default") != "default"

        def get_experiment_id(self) -> str:
            known = mlflow.MlflowClient().get_experiment_by_name("Default")
            return str(known.experiment_id if known else mlflow.MlflowClient().create_experiment("Default"))

    mlflow.tracing.disable_notebook_display()
    # Entry points are the public way; they would need the course to be installed anew.
    registry._default_experiment_provider_registry.register(OfWorkspace)


def is_remote(uri: str) -> bool:
    """Whether a tracking URI names a server."""
    return uri.lower().startswith(("http://", "https://"))


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError("no http:// or https://, or no host")
    except ValueError as error:
        raise CourseError(
            f"{url!r} is not the address of a server ({error}). It looks like http://class.example:5002."
        ) from None
    if parts.username or parts.password or parts.query or parts.fragment or any(c.isspace() for c in url):
        raise CourseError(
            f"The address {parts.scheme}://{parts.hostname} comes with a name, password or query in it. Leave them out; "
            "--user takes the name, and the password is asked for."
        )
    return url


def check(
    url: str,
    auth: tuple[str, str] | None = None,
    workspace: str | None = None,
    time_limit: float | None = None,
    advice: str = "",
) -> None:
    """Ask a tracking server two cheap questions, and make sure that an MLflow server answers, in time.

    MLflow alone would try a dead or wrong server again for minutes, and end in a traceback.

    Parameters
    ----------
    url
        Its address.
    auth, workspace
        User and password, and the workspace; those in the environment when not given.
    time_limit
        Seconds for everything; `TIME_LIMIT` when not given.
    advice
        What to do without the server, for the end of the message.

    Raises
    ------
    CourseError
        When nothing answers, what answers is not an MLflow server, or it refuses us.
    """
    limit = time_limit or TIME_LIMIT
    found: list[str] = ["did not answer in full"]

    def ask() -> None:
        try:
            found[0] = _ask(url, auth, workspace, limit)
        except Exception as error:  # whatever breaks on a stranger's answer is reported
            found[0] = f"gave an answer that cannot be read ({type(error).__name__})"

    # In a thread: a server that sends one byte now and then keeps every other time limit from running out.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(limit)
    if thread.is_alive():
        found[0] = f"did not answer in full within {limit:g} s"
    if found[0]:
        raise CourseError(
            f"The tracking server {without_password(url)} {found[0]}. "
            f"Check the address, and ask whoever runs it. {advice}".rstrip()
        )


def _ask(url: str, auth: tuple[str, str] | None, workspace: str | None, limit: float) -> str:
    """Return what is wrong with the server, or nothing."""
    import requests

    if auth is None and os.environ.get("MLFLOW_TRACKING_USERNAME"):
        auth = (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ.get("MLFLOW_TRACKING_PASSWORD", ""))
    headers = {}
    if workspace := workspace or os.environ.get("MLFLOW_WORKSPACE"):
        headers["X-MLFLOW-WORKSPACE"] = workspace
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    base = url.rstrip("/")
    options: dict[str, Any] = {"timeout": (min(10.0, limit), limit), "allow_redirects": False, "stream": True}
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("1", "true"):
        options["verify"] = False
    try:
        with requests.get(f"{base}/health", **options) as reply:
            status, body = reply.status_code, _read(reply)
            if 300 <= status < 400:
                target = reply.headers.get("Location", "elsewhere")[:100]
                return f"sends us to {target!r}, and we do not take a password along"
        if status != 200 or body is None or body.strip() != b"OK":
            return f"is not an MLflow server: its /health says {_said(status, body)}"
        data = json.dumps({"max_results": 1, "view_type": "ALL"})
        headers["Content-Type"] = "application/json"
        endpoint = f"{base}/api/2.0/mlflow/experiments/search"
        with requests.post(endpoint, data=data, headers=headers, auth=auth, **options) as reply:
            status, body = reply.status_code, _read(reply)
    except requests.ConnectionError:
        return "cannot be reached: nothing answers there, or the name is unknown"
    except requests.Timeout:
        return f"did not answer within {limit:g} s"
    except requests.RequestException as error:
        return f"cannot be asked: {type(error).__name__}"
    if status == 401:
        return "does not let you in: wrong name or password" if auth else "asks for a name and a password"
    if status == 429:
        return "has had too many wrong passwords for this name; wait a minute"
    if status == 507:
        return "has no room left on its disk"
    if status == 403:
        return f"refuses: {_said(status, body)}"
    try:
        answer = json.loads(body) if body is not None else None
    except ValueError:
        answer = None
    if status != 200 or not isinstance(answer, dict) or not isinstance(answer.get("experiments", []), list):
        return f"does not answer as MLflow does: {_said(status, body)}"
    return ""


def _read(reply: Any) -> bytes | None:
    """Return the body, or None when it is larger than any honest answer to our questions."""
    body = b""
    for part in reply.iter_content(65536):
        body += part
        if len(body) > _MOST_BYTES:
            return None
    return body


def _said(status: int, body: bytes | None) -> str:
    if body is None:
        return f"code {status} and a body without end"
    text = " ".join(body[:400].decode("utf8", "replace").split())
    shown = "".join(c if c.isprintable() else "?" for c in text)[:80]
    return f"code {status}, {shown!r}"


def without_password(url: str) -> str:
    """Return an address without the name and password that may stand in it."""
    try:
        parts = urlsplit(url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    except ValueError:
        return repr(url[:80])
