"""The tracking server that a lecture starts and always stops again, for this machine only."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from course_utils import store
from course_utils._plumbing import class_server
from course_utils._plumbing.processes import (
    HOST,
    answers,
    end_by_closing_input,
    tracking_server_environment,
)

from .errors import CourseError


@contextmanager
def tracking_server(uri: str | None = None, timeout: float = 120.0) -> Iterator[str]:
    """Serve a store over HTTP while the block runs, and yield the server's address, ``http://127.0.0.1:<port>``.

    It is the application that ``mlflow server --workers 1`` runs: REST, UI, host check, artifacts through the server.
    Started without that command's supervisor it is up in 3 s instead of 12 s. The current tracking URI does not
    change: give the address to ``mlflow.set_tracking_uri`` or ``MlflowClient``, or send requests yourself.

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
    uri = uri or store.default_uri()
    if class_server.is_remote(uri):
        raise CourseError(f"{uri} is a server already. Ask it, or name a store: store.connect(own=True) returns yours.")
    store.create(uri)
    environment = tracking_server_environment(
        # What `mlflow server` hands to its worker in MLflow 3.17; there is no public way to skip its supervisor.
        _MLFLOW_SERVER_FILE_STORE=uri,
        _MLFLOW_SERVER_ARTIFACT_ROOT="mlflow-artifacts:/",
        _MLFLOW_SERVER_ARTIFACT_DESTINATION=store.artifact_root(uri) or str(store.home() / "mlartifacts"),
        _MLFLOW_SERVER_SERVE_ARTIFACTS="true",
    )
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            env=environment,
            cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            yield _answering(process, timeout, log)
        finally:
            _stop(process)


def _answering(process: subprocess.Popen[str], timeout: float, log: IO[bytes]) -> str:
    """Return the address of a server as soon as it answers."""
    assert process.stdout is not None
    reason = "it ended at once"
    if port := process.stdout.readline().strip():
        address = f"http://{HOST}:{port}"
        if answers(f"{address}/health", timeout):
            return address
        reason = "its port is open, no answer came"
    _stop(process)
    log.seek(0)
    said = log.read().decode(errors="replace").strip()[-1500:] or "nothing"
    raise CourseError(
        f"The tracking server did not answer within {timeout:g} s ({reason}). Is the machine very busy, or was the "
        f"store made by another version of MLflow? `course doctor` looks at both. The server said: {said}"
    )


def _stop(process: subprocess.Popen[str]) -> None:
    """End the server by closing its standard input; kill it when it does not listen."""
    end_by_closing_input(process, 10)
    if process.stdout is not None:
        process.stdout.close()


def _serve() -> None:
    """Run the server in this process until standard input closes, as it does when the notebook's kernel dies.

    The socket listens before the slow imports, so that the first request waits for its answer and nobody has to poll.
    """
    with socket.create_server((HOST, 0)) as listener:
        print(listener.getsockname()[1], flush=True)

        import uvicorn
        from mlflow.server.fastapi_app import app

        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3))

        def watch() -> None:
            sys.stdin.read()
            server.should_exit = True

        threading.Thread(target=watch, daemon=True).start()
        server.run(sockets=[listener])


if __name__ == "__main__":
    _serve()
