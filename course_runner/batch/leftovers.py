"""Processes that a notebook leaves running, which the runner finds and ends."""

from __future__ import annotations

import contextlib
import os
import time
from itertools import takewhile

import psutil

from course_runner.batch.job import MARK

#: The supervisor of a lecture's servers, which ends with the kernel by itself: it stops them and removes their folder.
SUPERVISOR = "course_utils._plumbing.supervised"


def running_below(kernel: int) -> dict[psutil.Process, str]:
    """Return the processes that cells have left running below a kernel, given by its pid, with their command lines."""
    found = {}
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(kernel).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                end = time.monotonic() + 1
                # Linux tells `Popen` that a program has started a moment before the program has its command line.
                while not (words := " ".join(child.cmdline())) and time.monotonic() < end:
                    time.sleep(0.005)
                above = takewhile(lambda process: process.pid != kernel, child.parents())
                served = any(SUPERVISOR in process.cmdline() for process in above)
                # Pools of joblib and multiprocessing keep their helpers until the interpreter ends.
                if (
                    words
                    and not served
                    and not any(w in words for w in ("multiprocessing", "loky", "warm_server", SUPERVISOR))
                ):
                    found[child] = words
    return found


def end_leftovers(mark: str, kernel_pid: int | None = None, seen: dict[psutil.Process, str] | None = None) -> list[str]:
    """Kill every process that the kernel started and left running, and return their command lines.

    They are those that were `seen` below it (the kernel itself may have ended them since), or are known by the mark in
    their environment or, when only forked, by the kernel's session. Supervisors of servers get the time to stop them.
    """
    known = {process.pid for process in seen or () if process.is_running()}  # a pid may have been used again
    mine: dict[psutil.Process, str] = {}
    for process in psutil.process_iter(["pid", "cmdline"]):
        pid = process.info["pid"]
        with contextlib.suppress(psutil.Error, OSError):
            marked = pid in known or process.environ().get(MARK) == mark
            if not marked and kernel_pid is not None and hasattr(os, "getsid"):
                marked = os.getsid(pid) == kernel_pid
            if marked and pid not in (os.getpid(), kernel_pid):
                mine[process] = " ".join(process.info["cmdline"] or [str(pid)])
    psutil.wait_procs([process for process, command in mine.items() if SUPERVISOR in command], timeout=20)
    left = dict.fromkeys(seen.values()) if seen else {}
    for process, command in mine.items():
        with contextlib.suppress(psutil.Error):
            process.kill()
            left["a forked copy of the kernel" if "warm_server" in command else command] = None
    return [command[:80] for command in left]
