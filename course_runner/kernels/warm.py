"""Start and stop the warm-kernel server around a batch, and say when kernels are ordinary instead."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import IO

from course_runner.kernels.provisioner import NAME, SOCKET, ForkedProcess, fork
from course_runner.kernels.sockets import short_temporary_folder

#: One BLAS thread in each kernel: two notebooks on two cores fight otherwise, and a fork needs a single thread.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
#: What every kernel of the runner gets, warm or ordinary, before any library is imported.
KERNEL_SETTINGS = {
    **ONE_THREAD,
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    # pyarrow's allocator starts a thread on import, and a process with two threads cannot be forked safely.
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    # As `noise.quiet` has it, but before MLflow is imported: its session would be the same one in every fork.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "COURSE_STORE_SYNC": "off",  # SQLite does not wait for the disk at each commit: see `store.connect`
}
#: Seconds that the preload may take.
PATIENCE = 120
Server = subprocess.Popen | ForkedProcess


def template(root: Path) -> Path:
    """Return where the empty store of this MLflow version is kept."""
    return root / ".course" / f"empty-store-{version('mlflow')}.db"


def _why_not() -> str:
    """Return why a warm kernel cannot be had on this system, or an empty string."""
    if not sys.platform.startswith("linux"):
        return f"forking a loaded process is not safe on {sys.platform}"
    if not hasattr(os, "pidfd_open"):
        return "this Python has no pidfd"
    if not any(entry.name == NAME for entry in entry_points(group="jupyter_client.kernel_provisioners")):
        return "the provisioner is not installed (run `make setup`)"
    return ""


class Warmth:
    """The server of warm kernels from its start on, and what `wait` found out about it.

    Attributes
    ----------
    note
        The line to show when kernels are ordinary.
    seconds
        How long the server's imports took.
    pid
        Process number of the server.
    """

    def __init__(self, root: Path, cold: bool, scratch: Path | None, make_template: bool = True) -> None:
        self.note, self.seconds, self.pid = "", 0.0, None
        self._before: dict[str, str | None] = {}
        self._settings: dict[str, str] = {}
        self._waiting = True
        self._server: Server | None = None
        impossible = _why_not()
        self._reason = impossible or ("asked for (--cold)" if cold else "")
        if make_template or template(root).is_file():
            with contextlib.suppress(OSError):  # a checkout that cannot be written: each store is made anew
                (root / ".course").mkdir(exist_ok=True)
                self._settings["COURSE_STORE_TEMPLATE"] = str(template(root))
        self._folder = tempfile.mkdtemp(prefix="mlck-", dir=short_temporary_folder())
        self._path = os.path.join(self._folder, "warm")
        try:
            if not impossible:
                words = ["--guard"] if self._reason else []
                self._server = _start(self._path, self._settings, words, scratch)
        except BaseException:
            self.close()
            raise

    def wait(self) -> None:
        """Wait until the server has imported everything, and let this process and its children find it."""
        if not self._waiting:
            return
        self._waiting = False
        if self._server is not None:
            answer = _answer(self._server)
            self._reason = self._reason or answer.get("problem", "")
            self.seconds, self.pid = answer.get("seconds", 0.0), self._server.pid
            if self._server.poll() is None:
                self._settings |= {SOCKET: self._path, "JUPYTER_DEFAULT_PROVISIONER_NAME": NAME}
        self.note = f"ordinary kernels, slower to start: {self._reason}" if self._reason else ""
        self._before = {name: os.environ.get(name) for name in self._settings}
        os.environ.update(self._settings)

    def environment(self) -> dict[str, str]:
        """Return what lets another program find the server, without waiting: its kernels then wait, if they must."""
        return self._settings | ({} if self._reason else {SOCKET: self._path, "JUPYTER_DEFAULT_PROVISIONER_NAME": NAME})

    def close(self) -> None:
        """End the server and everything below it, and forget it."""
        for name, value in self._before.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
        if self._server is not None:
            _stop(self._server)
        shutil.rmtree(self._folder, ignore_errors=True)


#: The server that `soon_warm` has started, for the `warm_kernels` below it.
_coming: Warmth | None = None


@contextlib.contextmanager
def soon_warm(root: Path, cold: bool = False) -> Iterator[None]:
    """Start the server of a `warm_kernels` inside the block now: its imports run beside ours, on another core."""
    global _coming
    with contextlib.closing(Warmth(root, cold, None)) as _coming:
        try:
            yield
        finally:
            _coming = None


@contextlib.contextmanager
def warm_kernels(root: Path, cold: bool = False, scratch: Path | None = None) -> Iterator[Warmth]:
    """Let every kernel that is started inside the block be forked from a process with the libraries loaded.

    Also sets ``COURSE_STORE_TEMPLATE``, so that a notebook's store is a copy of an empty one. Outside Linux, with `cold`,
    or when a library misbehaves on import, kernels are ordinary and ``Warmth.note`` says so.

    Parameters
    ----------
    root
        The checkout, whose ``.course`` folder keeps the empty store.
    cold
        Start ordinary kernels; on Linux the server still starts them, and ends them all when the runner is killed.
    scratch
        Folder that the server removes when the runner is killed.
    """
    mine = contextlib.nullcontext(_coming) if _coming else contextlib.closing(Warmth(root, cold, scratch))
    with mine as warmth:
        import papermill  # noqa: F401  (this process needs it next; import it while the server imports the rest)

        warmth.wait()
        yield warmth


def _start(path: str, settings: dict[str, str], words: list[str], scratch: Path | None) -> Server:
    """Start the server: a fork of the one that this runner was started under, or else a new process."""
    words = ["--runner", str(os.getpid()), *words]
    if scratch is not None:
        words += ["--remove", str(scratch)]
    command = [sys.executable, "-m", "course_runner.kernels.warm_server", path, *words]
    environment = {**os.environ, **KERNEL_SETTINGS, **settings}
    if "--guard" not in words:
        reading, writing = os.pipe()
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            server = fork(command, environment, os.getcwd(), [nothing, writing, 2])
        finally:
            os.close(writing)
            os.close(nothing)
        if server is not None:
            server.stdout = open(reading, "rb")
            return server
        os.close(reading)
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)


def _answer(server: Server) -> dict:
    """Return the server's ready line, or what was wrong."""
    import select

    stream: IO[bytes] = server.stdout  # type: ignore[assignment]
    if not select.select([stream], [], [], PATIENCE)[0]:
        return {"problem": f"the libraries were not imported within {PATIENCE} s"}
    line = stream.readline()
    try:
        return json.loads(line)
    except ValueError:
        return {"problem": "the server that imports the libraries ended"}


def _stop(server: Server) -> None:
    """End the server and everything below it."""
    with contextlib.suppress(ProcessLookupError):
        server.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(5)
    if server.poll() is None:
        server.kill()
        server.wait()
    if server.stdout:
        server.stdout.close()
