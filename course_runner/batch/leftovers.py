"""Processes that a notebook leaves running, which the runner finds and ends."""

from __future__ import annotations

import contextlib
import os
import time

import psutil

from course_runner.batch.job import MARK


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
                # Pools of joblib and multiprocessing keep their helpers until the interpreter ends.
                if words and not any(w in words for w in ("multiprocessing", "loky", "warm_server")):
                    found[child] = words
    return found


def end_leftovers(mark: str, kernel_pid: int | None = None, seen: dict[psutil.Process, str] | None = None) -> list[str]:
    """Kill every process that the kernel started and left running, and return their command lines.

    They are those that were `seen` below it (the kernel itself may have ended them since), or are known by the mark in
    their environment or, when only forked, by the kernel's session.
    """
    left = dict.fromkeys(seen.values()) if seen else {}
    known = {process.pid for process in seen or () if process.is_running()}  # a pid may have been used again
    for process in psutil.process_iter(["pid", "cmdline"]):
        try:
            pid = process.info["pid"]
            mine = pid in known or process.environ().get(MARK) == mark
            if not mine and kernel_pid is not None and hasattr(os, "getsid"):
                mine = os.getsid(pid) == kernel_pid
            if mine and pid not in (os.getpid(), kernel_pid):
                command = " ".join(process.info["cmdline"] or [str(pid)])
                process.kill()
                left["a forked copy of the kernel" if "warm_server" in command else command] = None
        except (psutil.Error, OSError):
            continue
    return [command[:80] for command in left]
