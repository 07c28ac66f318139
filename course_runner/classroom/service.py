"""Start and stop of a class server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from course_runner.classroom import program
from course_runner.classroom.database import check_schema, opened
from course_runner.classroom.folder import Running, busy, disk, locked, running
from course_runner.classroom.members import has_users, new_password
from course_runner.classroom.settings import ELSEWHERE, LOOPBACK, Settings, address, is_exposed, names
from course_utils._plumbing import files
from course_utils.errors import CourseError

if TYPE_CHECKING:
    pass


#: Entry point of `door.create_app`.
_APP = "course-class"


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
        state = Running(os.getpid(), address(settings), datetime.now().isoformat(" ", "seconds"))
        room.callback((folder / "running.json").unlink, missing_ok=True)
        _tell(folder, state)
        settings.write(folder)
        (folder / "artifacts").mkdir(mode=0o700, exist_ok=True)
        on_step("starting the database")
        there = room.enter_context(opened(folder, settings))
        check_schema(there.uri, folder)
        state.new_admin = not has_users(there.uri)
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
            program.mlflow_server(
                there.uri,
                folder,
                admin_password=password,
                auth_uri=there.uri.replace("%", "%%"),  # an ini file
                app=_APP,
                options=options,
                port=settings.port,
            )
        )
        local = settings.host if settings.host not in ("0.0.0.0", "::") else LOOPBACK
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


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=10):
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
                    f"The server in {folder} has ended by itself. Look at the end of mlflow.log and postgres.log there; "
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
