"""Servers that a lecture starts and always stops again, for this machine only."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import mlflow

from course_utils import store
from course_utils._plumbing import class_server
from course_utils._plumbing.processes import (
    HOST,
    answers,
    end_by_closing_input,
    tracking_server_environment,
    unused_port,
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


def _listener() -> socket.socket:
    """Return a socket that listens on a free port of this machine.

    Its protocol is named: asyncio answers at once (``TCP_NODELAY``) only on sockets that say they are TCP, and
    ``socket.create_server`` leaves that open, which costs 40 ms an answer (Python 3.11).
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.bind((HOST, 0))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


@contextmanager
def app_server(app: Any) -> Iterator[str]:
    """Serve an ASGI application, such as one of FastAPI, from this process while the block runs; yield its address.

    Parameters
    ----------
    app
        The application. It runs in a thread, so it sees the models that the notebook has loaded.
    """
    import uvicorn

    with _listener() as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=3))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


#: Runs the words behind it, in a session of their own, until they end or standard input closes, as it does when the
#: notebook's kernel is gone. Python without any import of ours: it starts in 20 ms.
_KEEPER = """
import os, signal, subprocess, sys, threading
new = {"start_new_session": True} if os.name == "posix" else {}
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, **new)
def stop():
    sys.stdin.read()
    if os.name == "posix":
        os.killpg(child.pid, signal.SIGTERM)
    else:
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(child.pid)], capture_output=True)
threading.Thread(target=stop, daemon=True).start()
code = child.wait()
os._exit(code if code >= 0 else 0)
"""


class ModelServer:
    """``mlflow models serve`` for one model: started at once, in the background, and always stopped.

    It answers after 7 to 20 seconds: start it early, do something else, and `wait` where the first request is sent.
    It is stopped by `stop`, at the end of a ``with`` block, when Python ends, and when Python is killed.

    Parameters
    ----------
    model_uri
        For example ``"models:/churn@champion"``; read from the current tracking URI, once, when the server starts.

    Attributes
    ----------
    address
        ``http://127.0.0.1:<port>``.
    command
        The command that this is, as a person types it.
    """

    def __init__(self, model_uri: str) -> None:
        self._port = unused_port()
        words = ["models", "serve", "-m", model_uri, "--env-manager", "local", "--port", str(self._port)]
        self.address = f"http://{HOST}:{self._port}"
        self.command = " ".join(["mlflow", *words[:-1], "5002"])
        environment = {**os.environ, "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()}
        # The command starts `uvicorn` by its bare name, which a kernel started by full path does not find.
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        self._log, self._said = tempfile.TemporaryFile(), "nothing"
        self._process = subprocess.Popen(
            [sys.executable, "-c", _KEEPER, sys.executable, "-m", "mlflow", *words, "--host", HOST],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        atexit.register(self.stop)

    def wait(self, timeout: float = 120.0) -> str:
        """Wait until the server answers, and return its address.

        Raises
        ------
        CourseError
            When it ends or does not answer in time; the message ends with what it said.
        """
        end = time.monotonic() + timeout
        while self._process.poll() is None and time.monotonic() < end:
            if answers(f"{self.address}/ping"):
                return self.address
            time.sleep(0.2)
        ended = self._process.poll() is not None
        self.stop()
        raise CourseError(
            f"The model server {'ended' if ended else f'did not answer within {timeout:g} s'}. Does the model's "
            f"address exist in the store, and is the machine very busy? The server said: {self._said}"
        )

    def stop(self) -> None:
        """Stop the server and return when nobody listens any more; safe to call again."""
        atexit.unregister(self.stop)
        end_by_closing_input(self._process, 15)
        if not self._log.closed:
            self._log.seek(0)
            self._said = self._log.read().decode(errors="replace").strip()[-1500:] or "nothing"
            self._log.close()
        end = time.monotonic() + 5
        while time.monotonic() < end:  # the command ends before the uvicorn that it started
            try:
                socket.create_connection((HOST, self._port), timeout=1).close()
            except OSError:
                return
            time.sleep(0.05)

    def __enter__(self) -> ModelServer:
        self.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


if __name__ == "__main__":
    _serve()
