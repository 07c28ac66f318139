"""A limited process for a stranger's code: CPU, memory, file size and wall time; with bubblewrap, no network and no files."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from course_utils import store
from course_utils._plumbing.places import sqlite_uri

if TYPE_CHECKING:
    from course_runner.grade.forked import Forks


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Attributes
    ----------
    wall
        Seconds of wall time.
    cpu
        Seconds of CPU time of each process.
    memory
        Bytes of address space of each process, and of memory of all of them together.
    file
        Bytes of one file.
    disk
        Bytes of all files together.
    processes
        Processes at once.
    """

    wall: int = 120
    cpu: int = 120
    memory: int = 4 << 30
    file: int = 200 << 20
    disk: int = 1 << 30
    processes: int = 200

    def of_each_process(self) -> dict[str, int]:
        """Return the limits that the system keeps, by their names in `resource`."""
        return {
            "RLIMIT_CPU": self.cpu,
            "RLIMIT_FSIZE": self.file,
            "RLIMIT_AS": self.memory,
            "RLIMIT_CORE": 0,
        }


@dataclass(frozen=True)
class Ended:
    """How a step ended: its exit code (None when it was stopped), what it printed, and why it was stopped."""

    code: int | None
    output: bytes
    stopped: str = ""


#: Bytes that a step may print: it prints one line, but a notebook can write to the same pipe.
OUTPUT_LIMIT = 1 << 20


def bubblewrap() -> str | None:
    """Return the path of a bubblewrap that works here, or None."""
    program = shutil.which("bwrap")
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tmp").mkdir()
        tried = subprocess.run([*_walls(program, Path(folder)), "true"], capture_output=True)
    return program if tried.returncode == 0 else None


def describe(program: str | None) -> str:
    """Say in one sentence what is isolated and what is not."""
    if program:
        return (
            "Isolation: bubblewrap. A submission has no network, sees no file of yours, and writes in its own folder only; "
            "CPU, memory, disk, processes and time are limited."
        )
    return (
        "Isolation: separate processes with limits on CPU, memory, disk and time ONLY. Bubblewrap does not work here, so a "
        "submission can read and write what you can, and reach the network. Install bubblewrap (Linux), or use --store-only."
    )


def environment(home: Path, seed: int, loads_models: bool) -> dict[str, str]:
    """Return the whole environment of a limited process; nothing of ours is in it but the path of Python.

    `loads_models`: whether MLflow may load a model. A learner's notebook loads its own, inside the walls; the step that
    judges loads none.
    """
    system = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}  # no Python on Windows without
    return {
        **system,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
        **dict.fromkeys(("HOME", "USERPROFILE"), str(home)),
        **dict.fromkeys(("TMPDIR", "TEMP"), str(home / "tmp")),
        "LANG": "C.UTF-8",
        "COURSE_HOME": str(home),
        "COURSE_SEED": str(seed),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": str(loads_models).lower(),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
    }


def _walls(program: str, home: Path) -> list[str]:
    """Return the bubblewrap command: Python and system read-only, one writable folder, nothing else.

    Every capability goes: root, which keeps them otherwise, could mount a read-only folder writable again.
    """
    import course_utils

    package = Path(course_utils.__file__).resolve().parent
    places = {
        "/usr",
        "/bin",
        "/sbin",
        "/lib",
        "/lib64",
        "/etc/ssl",
        "/etc/fonts",
        "/etc/ld.so.cache",
        "/etc/alternatives",
    }
    places |= {sys.prefix, sys.base_prefix, str(package)}
    words = [program, "--die-with-parent", "--unshare-all", "--new-session", "--cap-drop", "ALL"]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for shared in ("/tmp", "/dev/shm"):  # in the submission's folder, where its size is seen; never in memory
        words += ["--bind", str(home / "tmp"), shared]
    for place in sorted(places):  # a folder comes before what lies in it
        words += ["--ro-bind-try", place, place]
    return [*words, "--bind", str(home), str(home), "--remount-ro", "/", "--remount-ro", "/dev", "--chdir", str(home)]


def run(
    step: Sequence[str],
    home: Path,
    seed: int,
    limits: Limits,
    program: str | None,
    forks: Forks | None = None,
    stop: threading.Event | None = None,
) -> Ended:
    """Do a step of grading with limits in `home` and return how it ended; nothing that it started outlives the call.

    Parameters
    ----------
    step
        Words for `submission.main`.
    home
        The only folder it may write to (with bubblewrap).
    seed
        ``COURSE_SEED`` for the step.
    limits
        What it may use.
    program
        Bubblewrap's path, or None to run without.
    forks
        Server that forks steps (used with bubblewrap); without one, the step is a new process.
    stop
        Ends the step early when it is set.
    """
    if stop is not None and stop.is_set():
        return Ended(None, b"", "stopped")
    (home / "tmp").mkdir(exist_ok=True)
    settings = environment(home, seed, loads_models=step[0] == "run")
    if template := os.environ.get("COURSE_STORE_TEMPLATE"):
        local = home / "tmp" / "empty-store.db"
        with contextlib.suppress(OSError):
            shutil.copyfile(template, local)
            settings["COURSE_STORE_TEMPLATE"] = str(local)
    if program and forks:
        return _run_forked(step, home, settings, limits, program, forks, stop)
    return _run_new(step, home, settings, limits, program, stop)


def _run_new(
    step: Sequence[str],
    home: Path,
    settings: dict[str, str],
    limits: Limits,
    program: str | None,
    stop: threading.Event | None,
) -> Ended:
    """Do a step in a new process."""
    # The limits are set by the new process: code between fork and exec is not safe beside other threads.
    inner = [sys.executable, "-I", "-m", f"{__package__}.submission", *step, json.dumps(limits.of_each_process())]
    process = _start([*(_walls(program, home) if program else []), *inner], home, settings, stdin=subprocess.DEVNULL)
    try:
        return _follow(process.stdout.fileno(), process.poll, _Watch(process.pid, home, limits, stop))
    finally:
        _end(process)
        if not program:
            _sweep(home)


def _run_forked(
    step: Sequence[str],
    home: Path,
    settings: dict[str, str],
    limits: Limits,
    program: str,
    forks: Forks,
    stop: threading.Event | None,
) -> Ended:
    """Do a step in a fork of the process with the libraries loaded, inside a sandbox that bubblewrap keeps open."""
    with _opened(program, home, settings) as (keeper, inside):
        reader, writer = os.pipe()
        try:
            connection = forks.start(list(step), home, settings, limits.of_each_process(), inside, writer)
        finally:
            os.close(writer)
        told = b""

        def ended() -> int | None:
            nonlocal told
            if not select.select([connection], [], [], 0)[0]:
                return None
            more = connection.recv(4096)
            told += more
            if b"exit" in told and told.endswith(b"\n"):
                return json.loads(told.splitlines()[-1])["exit"]
            return None if more else -signal.SIGKILL  # the server of steps is gone, and its steps with it

        with connection:
            try:
                return _follow(reader, ended, _Watch(keeper.pid, home, limits, stop, inside))
            finally:
                os.close(reader)


def _start(words: list[str], home: Path, settings: dict[str, str], **more: Any) -> subprocess.Popen:
    return subprocess.Popen(
        words,
        cwd=home,
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        **more,
    )


@contextlib.contextmanager
def _opened(program: str, home: Path, settings: dict[str, str]) -> Iterator[tuple[subprocess.Popen, int]]:
    """Keep a sandbox open; give bubblewrap's process and the pid of the first process inside, whose end ends all others."""
    reader, writer = os.pipe()
    words = [*_walls(program, home), "--info-fd", str(writer), "/bin/sh", "-c", "echo; exec cat"]
    keeper = _start(words, home, settings, stdin=subprocess.PIPE, pass_fds=[writer])
    try:
        os.close(writer)
        with open(reader, encoding="utf8") as info:
            inside = json.load(info)["child-pid"]
        if keeper.stdout.readline() != b"\n":  # the walls stand when the program inside speaks
            raise OSError("bubblewrap has ended")
        yield keeper, inside
    except ValueError as error:
        raise OSError("bubblewrap has ended") from error
    finally:
        keeper.kill()  # its first child goes with it (--die-with-parent), and with that one everything inside
        keeper.communicate()


class _Watch:
    """Says when a step has used more than it may."""

    def __init__(self, pid: int, home: Path, limits: Limits, stop: threading.Event | None, inside: int = 0) -> None:
        self.pid, self.home, self.limits, self.stop, self.inside = pid, home, limits, stop, inside
        self.end, self._look = time.monotonic() + limits.wall, 0.0

    def __call__(self) -> str:
        """Return why the step must stop, or an empty string."""
        now = time.monotonic()
        if self.stop is not None and self.stop.is_set():
            return "stopped"
        if now > self.end:
            return "wall time"
        if now < self._look:
            return ""
        processes, memory = self._use()
        if processes > self.limits.processes:
            return "too many processes"
        if memory > self.limits.memory:
            return "too much memory"
        if not fits(self.home, self.limits.disk):
            return "too many files"
        self._look = time.monotonic() + max(0.2, 5 * (time.monotonic() - now))
        return ""

    def _use(self) -> tuple[int, int]:
        """Return the number of processes and the bytes of memory that they alone hold."""
        folders: list[Path] = []
        with contextlib.suppress(psutil.Error, OSError):
            if self.inside:  # the sandbox has a /proc of its own
                folders = [p for p in Path("/proc", str(self.inside), "root", "proc").iterdir() if p.name.isdigit()]
            elif Path("/proc/self/statm").exists():
                below = psutil.Process(self.pid).children(recursive=True)
                folders = [Path(f"/proc/{process.pid}") for process in below]
        pages = 0
        for folder in folders:
            with contextlib.suppress(OSError, ValueError, IndexError):
                _, resident, shared = (folder / "statm").read_text().split()[:3]
                pages += int(resident) - int(shared)
        return len(folders), pages * mmap.PAGESIZE


def fits(folder: Path, most: int, entries: int = 50_000) -> bool:
    """Tell whether a folder holds at most `most` bytes and `entries` files; links are not followed."""
    left, todo = most, [str(folder)]
    while todo:
        with contextlib.suppress(OSError), os.scandir(todo.pop()) as found:
            for entry in found:
                entries -= 1
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
                    else:
                        size = entry.stat(follow_symlinks=False)
                        left -= size.st_blocks * 512 if hasattr(size, "st_blocks") else size.st_size
                if left < 0 or entries < 0:
                    return False
    return True


def _follow(reader: int, ended: Callable[[], int | None], watch: _Watch) -> Ended:
    """Read what a step prints until it has ended or must stop."""
    output = b""
    open_ = True
    while True:
        code = ended()
        ready = open_ and _can_be_read(reader, 0.02 if code is None else 0)
        if ready:
            piece = os.read(reader, 1 << 16)
            open_ = bool(piece)
            output += piece
            if len(output) > OUTPUT_LIMIT:
                return Ended(None, b"", "too much output")
        elif code is not None:
            return Ended(code, output)
        elif not open_:
            time.sleep(0.02)
        if reason := watch():
            return Ended(None, b"", reason)


def _can_be_read(reader: int, seconds: float) -> bool:
    """Tell whether a pipe has something to read, or has ended, within so many seconds."""
    if sys.platform != "win32":
        return bool(select.select([reader], [], [], seconds)[0])
    import _winapi
    import msvcrt

    try:  # Windows cannot wait for a pipe and a clock at once, but a pipe can be asked
        if _winapi.PeekNamedPipe(msvcrt.get_osfhandle(reader), 0)[0]:
            return True
    except BrokenPipeError:
        return True
    time.sleep(seconds)
    return False


def _end(process: subprocess.Popen) -> None:
    """Kill a process and everything below it, whatever session it is in."""
    family = [process]
    with contextlib.suppress(psutil.Error):
        family += psutil.Process(process.pid).children(recursive=True)
    for member in family:
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            member.kill()
    process.wait()
    process.stdout.close()


def _sweep(home: Path) -> None:
    """Kill what was started in `home` and got away from its parent; it is known by its environment."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get("COURSE_HOME") == str(home):
                process.kill()


def copy_regular(source: Path, target: Path, most: int = 500 << 20) -> bool:
    """Copy regular files only (no link, pipe or device), up to `most` bytes; return whether all fitted."""
    left = most
    for folder, names, files in os.walk(source, followlinks=False):
        names[:] = [n for n in names if not os.path.islink(os.path.join(folder, n))]
        for name in files:
            path = Path(folder, name)
            if path.is_symlink() or not path.is_file():
                continue
            left -= path.stat().st_size
            if left < 0:
                return False
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    return True


def prepare(home: Path) -> None:
    """Make the store of a submission before its code runs, as `store.connect` would."""
    store.create(sqlite_uri(home / "mlflow.db"))
