"""The tracking server that a lecture starts and always stops again, for this machine only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ._plumbing import class_server, course_store
from ._plumbing.files import ROOT
from ._plumbing.processes import HOST, answers, tracking_server_environment, unused_port
from ._plumbing.supervised import supervised, wait_until, work_folder
from .errors import CourseError


@contextmanager
def tracking_server(uri: str | None = None, timeout: float = 120.0) -> Iterator[str]:
    """Serve a store over HTTP while the block runs, and yield the server's address, ``http://127.0.0.1:<port>``.

    It is the application that ``mlflow server --workers 1`` runs: REST, UI, host check, artifacts through the server.
    Started without that command's supervisor it is up in 3 s instead of 12 s. The current tracking URI does not
    change: give the address to ``mlflow.set_tracking_uri`` or ``MlflowClient``, or send requests yourself. The server
    ends with the block, and also when this Python process is killed.

    Parameters
    ----------
    uri
        Store to serve; the course store (`store.default_uri`) when not given. A SQLite file is made when missing.
    timeout
        Seconds to wait for the first answer.

    Raises
    ------
    CourseError
        When the store is on a server already, or the new one does not answer in time; the message ends with what it said.
    """
    uri = uri or course_store.default_uri()
    if class_server.is_remote(uri):
        raise CourseError(f"{uri} is a server already. Ask it, or name a store: store.connect(own=True) returns yours.")
    course_store.create(uri)
    environment = tracking_server_environment(**course_store.served(uri))
    port = unused_port()
    command = [sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app", "--log-level", "warning"]
    command += ["--host", HOST, "--port", str(port), "--timeout-graceful-shutdown", "3"]
    address = f"http://{HOST}:{port}"
    with work_folder(None) as folder:
        log = folder / "server.log"
        with supervised(command, log, cwd=ROOT, environment=environment, temporary=folder) as process:
            wait_until(lambda: answers(f"{address}/health"), process, log, "The tracking server", timeout)
            yield address
