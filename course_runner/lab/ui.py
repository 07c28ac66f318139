"""Programs that a learner looks at: how one is started and stopped, and the MLflow UI, on this machine only."""

from __future__ import annotations

import json
import signal
import socket
import sys
from pathlib import Path

from course_utils._plumbing.places import sqlite_uri
from course_utils._plumbing.processes import tracking_server_environment
from course_utils._plumbing.supervised import supervised
from course_utils.errors import CourseError


def free_port(first: int, tries: int = 50) -> int:
    """Return the first free port on the loopback interface from `first` on.

    Raises
    ------
    CourseError
        When none of `tries` ports is free.
    """
    for port in range(first, min(first + tries, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise CourseError(
        f"No free port from {first} to {first + tries - 1} on this machine. Close a server, or give --port."
    )


def run_server(command: list[str], environment: dict[str, str], cwd: Path) -> int:
    """Run a server in the foreground; Ctrl-C stops it and everything that it started, as does the end of this process."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        with supervised(command, None, cwd=cwd, environment=environment) as process:
            return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, previous)


def ui_server(uri: str, port: int) -> tuple[list[str], dict[str, str]]:
    """Return command and environment of an MLflow server on a store, for this machine only.

    One worker and no job runner: MLflow's default starts 13 processes with 2 GB for the same pages.
    """
    from course_utils._plumbing import course_store

    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    if root := course_store.artifact_root(uri):
        command += ["--default-artifact-root", root]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    return command, tracking_server_environment()


def _server_of_batch(folder: Path) -> str:
    """Return the server that a batch sent its runs to, or nothing."""
    try:
        return str(json.loads((folder / "batch.json").read_text(encoding="utf8")).get("server", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def serve_ui(home: Path | None, port: int) -> int:
    """Serve the MLflow UI until it is stopped, and return its exit code.

    Raises
    ------
    CourseError
        When `home` holds no store, the store's schema is of another MLflow, or no port is free.
    """
    from course_utils._plumbing import class_server, course_store

    if home is not None:
        if not (home / "mlflow.db").is_file():
            if server := _server_of_batch(home):
                print(f"The runs of this batch are on a server: open {server} and sign in.")
                return 0
            raise CourseError(f"{home} holds no store: there is no mlflow.db. Batches are in runs/.")
        uri = sqlite_uri(home.absolute() / "mlflow.db")
    else:
        uri = course_store.default_uri()
    course_store.create(uri)
    if class_server.is_remote(uri):
        print(f"Your runs are on a server: open {uri} and sign in (your own store again: {course_store.leaving(uri)}).")
        return 0
    chosen = free_port(port)
    if chosen != port:
        print(f"Port {port} is taken by another program, so the UI is on {chosen}.")
    print(f"MLflow UI on {uri}\nopen http://127.0.0.1:{chosen}  (Ctrl-C stops it)", flush=True)
    command, environment = ui_server(uri, chosen)
    return run_server(command, environment, course_store.home())
