"""The two steps of grading, forked from one process that has the libraries loaded, each led into a sandbox first.

To start Python and import MLflow takes most of the time of a short submission. A forked child shares what its parent has
imported; the question is whether it can be confined as well as a process that bubblewrap starts. It can, with three rules:

- bubblewrap still builds the walls. It starts a process that only waits (`sandbox.opened`), and the child enters *its*
  namespaces (user, mount, process, network, IPC, host name, cgroup) in one call, ``setns``, before it reads one byte of the
  submission. It then forks, so that it lives in the new process namespace, drops every capability, and can gain none back.
- Nothing comes along. The parent's environment is minimal and holds no secret, its descriptors are closed, it has one thread.
- When the waiting process ends, the kernel ends everything in its namespace; the grader holds that process by a pipe.

Inside, the child forks once more: a warm-kernel server like that of `course run`, so the notebook's kernel starts warm too.
Without bubblewrap, or outside Linux, each step is an ordinary process (`sandbox.run`).

Run as ``python -I -m course_runner.grade.forked SOCKET SCRATCH NUMBERS``. Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from course_runner.grade import submission
from course_runner.kernels import provisioner, warm, warm_server
from course_utils.homework.question import load_tasks

_NAMESPACES = 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000 | 0x00020000
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38


def _libc() -> ctypes.CDLL:
    """Return the C library; Windows, which imports this file, has none of this name."""
    return ctypes.CDLL(None, use_errno=True)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def _call(result: int, what: str) -> None:
    """Raise when a system call has failed: a child that is not confined must not go on."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def enter(pid: int) -> None:
    """Move this process (one thread) into all namespaces of `pid`; a child forked after that lives there."""
    descriptor = os.pidfd_open(pid)
    _call(_libc().setns(descriptor, _NAMESPACES), "setns")
    os.close(descriptor)


def drop_capabilities() -> None:
    """Give up every capability for good, also over ``exec``."""
    number = 0
    while _libc().prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) == 0:  # fails behind the last one that this system knows
        number += 1
    if number < 30:
        raise OSError("the capabilities could not be dropped")
    header = _CapabilityHeader(0x20080522, 0)
    _call(_libc().capset(ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)())), "capset")
    _call(_libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


class _Steps(warm_server.Server):
    """Forks a step of grading per request."""

    def become(self, request: dict[str, Any], descriptors: list[int]) -> None:
        """Enter the sandbox that the request names, and do the step; never returns."""
        code = 70
        try:
            os.setsid()
            warm_server.prctl(warm_server.PR_SET_PDEATHSIG, signal.SIGKILL)
            os.umask(0o077)
            submission.limit(request["limits"])
            enter(request["sandbox"])
            child = os.fork()
            if child == 0:
                drop_capabilities()
                _step(request, descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            _, status = os.waitpid(child, 0)
            code = os.waitstatus_to_exitcode(status) & 255
        except ProcessLookupError:
            pass  # the grader has closed the sandbox already: it was stopped
        except BaseException as error:
            print(f"grading: {type(error).__name__}: {error}", file=sys.stderr)
        finally:
            os._exit(code)


def _step(request: dict[str, Any], descriptors: list[int]) -> None:
    """Do one step of grading as a process that has just started would; never returns."""
    code = 71
    try:
        warm_server._fresh_state(request, descriptors)
        warm_server._fresh_libraries(__name__, [])
        if request["step"][0] == "run":
            _serve_kernels(Path(request["cwd"]) / "tmp" / "kernels")
        submission.main(request["step"])
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _serve_kernels(path: Path) -> None:
    """Fork a warm-kernel server inside the sandbox, and name it to jupyter_client."""
    server = warm_server.Server(str(path), warm=True)
    if os.fork() == 0:
        try:
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(nothing, descriptor)
            server.serve()
        finally:
            os._exit(1)
    server.listener.close()
    os.environ[provisioner.SOCKET] = str(path)
    os.environ["JUPYTER_DEFAULT_PROVISIONER_NAME"] = provisioner.NAME


# ---- the grader's side --------------------------------------------------------------------------------------------------


class Forks:
    """A server of steps that runs, as the grader knows it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def start(
        self, step: list[str], home: Path, env: dict[str, str], limits: dict[str, int], sandbox: int, output: int
    ) -> socket.socket:
        """Start a step inside the sandbox of process `sandbox`; the connection tells when it has ended, and how."""
        request = {"step": step, "cwd": str(home), "env": env, "limits": limits, "sandbox": sandbox}
        body = json.dumps(request).encode()
        message = len(body).to_bytes(4, "big") + body
        connection = socket.socket(socket.AF_UNIX)
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            connection.connect(self._path)
            sent = socket.send_fds(connection, [message], [nothing, output, nothing])
            connection.sendall(message[sent:])
        except BaseException:
            connection.close()
            raise
        finally:
            os.close(nothing)
        return connection


@contextlib.contextmanager
def forks(numbers: Iterable[str], scratch: str) -> Iterator[Forks | None]:
    """Start the server of steps, with the checks of these homeworks loaded, and end it with the block.

    Gives None where a warm process cannot be forked; steps are ordinary processes then. When the grader is killed, the
    server ends what runs and removes the folder `scratch`.
    """
    if warm._why_not():
        yield None
        return
    folder = tempfile.mkdtemp(prefix="mlcg-")
    path = os.path.join(folder, "steps")
    # Nothing of the instructor's environment: a submission could read it in the memory it shares.
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    server = subprocess.Popen(
        [sys.executable, "-I", "-m", __name__, path, scratch, *sorted(set(numbers))],
        env={**keep, **warm.KERNEL_SETTINGS, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        answer = warm._answer(server)
        yield None if answer.get("problem") else Forks(path)
    finally:
        warm._stop(server)
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Load the libraries and the checks, say that it is ready on stdout as one JSON line, and serve."""
    import gc
    import importlib

    path, scratch, *numbers = sys.argv[1:]
    warm_server._folders[:] = [os.path.dirname(path), scratch]
    parent = os.getppid()
    warm_server.prctl(warm_server.PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, warm_server._end)
    warm_server.prctl(warm_server.PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
    problem = ""
    try:
        shown = warm_server.preload()
        for name in ("nbclient", "resource", "jupyter_client.asynchronous", f"{__package__}.evidence"):
            importlib.import_module(name)
        for number in numbers:
            load_tasks(number)
        if shown or warm_server.threads() > 1:
            problem = "the libraries cannot be loaded once for all"
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    gc.collect()
    gc.freeze()
    server = _Steps(path, warm=True)
    print(json.dumps({"pid": os.getpid(), "problem": problem}), flush=True)
    server.serve()


if __name__ == "__main__":
    main()
