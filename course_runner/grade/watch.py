"""Watching a limited process: what it uses, what it prints, and its end with everything below it."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil


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
    disk, files
        Bytes of all files together, and their number.
    processes
        Processes at once.
    """

    wall: int = 120
    cpu: int = 120
    memory: int = 4 << 30
    file: int = 200 << 20
    disk: int = 1 << 30
    files: int = 20_000
    processes: int = 200

    def of_each_process(self) -> dict[str, int]:
        """Return the limits that the system keeps, by their names in `resource`."""
        return {
            "RLIMIT_CPU": self.cpu,
            "RLIMIT_FSIZE": self.file,
            "RLIMIT_AS": self.memory,
            "RLIMIT_CORE": 0,
            "RLIMIT_NOFILE": 4096,
        }


@dataclass(frozen=True)
class Ended:
    """How a step ended: its exit code (None when it was stopped), what it printed, and why it was stopped."""

    code: int | None
    output: bytes
    stopped: str = ""


#: Bytes that a step may print: it prints one line, but a notebook can write to the same pipe.
OUTPUT_LIMIT = 1 << 20


class Watch:
    """Says when a step has used more than it may."""

    def __init__(self, pid: int, home: Path, limits: Limits, stop: threading.Event | None) -> None:
        self.pid, self.home, self.limits, self.stop = pid, home, limits, stop
        self.end, self._look, self._tasks = time.monotonic() + limits.wall, 0.0, _tasks()

    def __call__(self) -> str:
        """Return why the step must stop, or an empty string."""
        now = time.monotonic()
        if self.stop is not None and self.stop.is_set():
            return "stopped"
        if now > self.end:
            return "wall time"
        # A fork bomb makes thousands of processes between two looks, and the system has no limit for them when root grades.
        if now < self._look and _tasks() - self._tasks < self.limits.processes:
            return ""
        below = _below(self.pid)
        if len(below) > self.limits.processes:
            return "too many processes"
        self._tasks = _tasks()
        if _memory(below, self.limits.memory) > self.limits.memory:
            return "too much memory"
        if reason := self.files():
            return reason
        self._look = time.monotonic() + max(0.2, 5 * (time.monotonic() - now))
        return ""

    def files(self) -> str:
        """Return why there are too many files, or an empty string; also asked when the step has ended by itself."""
        return "" if fits(self.home, self.limits.disk, self.limits.files) else "too many files"


def _tasks() -> int:
    """Return the number of tasks on this machine, or 0 where it cannot be had cheaply."""
    try:
        return int(Path("/proc/loadavg").read_text().split()[3].split("/")[1])
    except (OSError, ValueError, IndexError):
        return 0


def _below(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).children(recursive=True)
    return []


def _memory(below: Sequence[psutil.Process], most: int) -> int:
    """Return the bytes of memory that processes hold together, or more of them; 0 where the system does not tell.

    Memory files (``memfd_create``) that are only written to are mapped nowhere; they are found among the open files. What is
    mapped is counted fully first, which is quick. Only when that is more than `most`, each process counts its part (PSS) of
    a page that several share: the system looks at every page for it.
    """
    if not Path("/proc/self/smaps_rollup").exists():
        return 0
    files = {process.pid: _memory_files(process.pid) for process in below}
    open_files = dict(item for own in files.values() for item in own.items())
    whole = sum(map(_resident, files)) + sum(open_files.values())
    if whole <= most:
        return whole
    memory, unmapped = 0, {}
    for pid, own in files.items():
        with contextlib.suppress(OSError, ValueError, IndexError, KeyError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
            found = {name: int(value.split()[0]) * 1024 for name, value in (line.split(":", 1) for line in lines)}
            memory += found["Pss"]
            if sum(own.values()) > found["Pss_Shmem"]:  # what is mapped has been counted
                unmapped |= own
    return memory + sum(unmapped.values())


def _resident(pid: int) -> int:
    """Return the bytes that a process has mapped, shared or not."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _memory_files(pid: int) -> dict[tuple[int, int], int]:
    """Return device and number of the memory files that a process holds open, with their bytes."""
    found = {}
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if os.readlink(descriptor).startswith("/memfd:"):
                    file = descriptor.stat()
                    found[file.st_dev, file.st_ino] = file.st_blocks * 512
    return found


def fits(folder: Path, most: int, entries: int) -> bool:
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


def follow(reader: int, ended: Callable[[], int | None], watch: Watch, one_line: bool = False) -> Ended:
    """Read what a step prints until it has ended (or, with `one_line`, has printed a line) or must stop."""
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
            if one_line and output.endswith(b"\n"):
                return Ended(0, output)
        elif code is not None:
            reason = watch.files()
            return Ended(None if reason else code, output, reason)
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


def end(process: subprocess.Popen) -> None:
    """Kill a process and everything below it, in any session."""
    below = _below(process.pid)
    process.kill()  # with bubblewrap, all that is in its namespaces goes at once
    for member in below:
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            member.kill()
    process.wait()
    psutil.wait_procs(below, timeout=5)
    process.stdout.close()


def sweep(home: Path) -> None:
    """Kill what was started in `home` and got away from its parent; it is known by its environment."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get("COURSE_HOME") == str(home):
                process.kill()
