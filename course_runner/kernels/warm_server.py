"""A process that has imported the course's libraries once, and forks an ipykernel from itself for each request.

It has one thread when it forks (threads do not survive a fork), watches over everything that its kernels start, ends a
kernel when the process that asked for it is gone, and ends all of it when the runner ends, for whatever reason. With
``--guard`` it imports nothing and starts ordinary kernels, which it watches over in the same way.

A program that a notebook starts (a server, a script, a Dask worker) is forked as well: see `programs`.
A runner inside a runner (a batch that a lecture starts, a command in `course test`) gets a server of its own, forked
from the outer one: the libraries are imported once for all of them. Run as
``python -m course_runner.kernels.warm_server SOCKET --runner PID [--guard] [--remove FOLDER] [--also MODULE …]``. Linux only.
"""

# ruff: noqa: E402  (what is imported from here on is recorded)
from __future__ import annotations

from course_runner.kernels.hidden import LIBRARIES

if __name__ == "__main__":
    LIBRARIES.record()

import contextlib
import gc
import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from typing import Any

from course_runner.kernels.child import (
    COMMAND,
    PR_SET_CHILD_SUBREAPER,
    PR_SET_PDEATHSIG,
    SERVER,
    TILE,
    become,
    module_of,
    prctl,
    stands_for,
)
from course_runner.kernels.preload import preload

#: Signals that end the server and all below it. (Windows has no SIGUSR1.)
ENDING = (signal.SIGTERM, getattr(signal, "SIGUSR1", signal.SIGTERM))


def threads() -> int:
    """Return the number of threads of this process."""
    return len(os.listdir("/proc/self/task"))


def _receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Read one request: four bytes of length, JSON, and its open files: standard input, output and error, or more."""
    data, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 253)
    length = int.from_bytes(data[:4], "big")
    while len(data) - 4 < length:
        more = connection.recv(1 << 20)
        if not more:
            raise ConnectionError("the request ended early")
        data += more
    return json.loads(data[4 : 4 + length]), descriptors


def _descendants() -> list[int]:
    """Return all processes below this one; orphans too, because this process adopts them."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError), open(f"/proc/{entry}/stat") as stat:
                parents.setdefault(int(stat.read().rsplit(")", 1)[1].split()[1]), []).append(int(entry))
    found, rest = [], [os.getpid()]
    while rest:
        children = parents.get(rest.pop(), [])
        found += children
        rest += children
    return found


def _end(*_: Any) -> None:
    """End everything below this process; when the runner is gone, remove what it cannot; then end this process."""
    for _attempt in range(20):
        below = _descendants()
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not below:
            break
        time.sleep(0.02)
    for folder in _folders if _gone() else ():
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _orphaned(*_: Any) -> None:
    """Wait briefly for the runner, whose thread that started this process has ended, then end everything."""
    if _runner is not None:
        select.select([_runner], [], [], 2)
    _end()


def _gone() -> bool:
    """Tell whether the runner has ended."""
    if _runner is None:
        return os.getppid() != _parent
    return bool(select.select([_runner], [], [], 0)[0])


#: The process that this one works for, as a pidfd when it is not the parent, and what it cannot remove when it is killed.
_parent = os.getppid()
_runner: int | None = None
_folders: list[str] = []


class Server:
    """Listens on a Unix socket, forks a kernel per request, and reports each kernel's exit code on its connection."""

    def __init__(self, listener: socket.socket, warm: bool) -> None:
        self.listener, self.warm = listener, warm
        self.wakeup, self._wake = os.pipe()
        os.set_blocking(self.wakeup, False)
        os.set_blocking(self._wake, False)
        self.kernels: dict[int, socket.socket] = {}
        self.servers: set[int] = set()

    def serve(self) -> None:
        """Serve until the process is ended."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        while True:
            poll = select.poll()  # select() ends at descriptor 1023
            runner = () if _runner is None else (_runner,)
            for readable in (self.listener, self.wakeup, *runner, *self.kernels.values()):
                poll.register(readable, select.POLLIN)
            ready = {descriptor for descriptor, _ in poll.poll()}
            if _runner in ready:
                _end()
            if self.wakeup in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.wakeup, 4096)
            self._reap()
            for pid, connection in list(self.kernels.items()):
                if connection.fileno() in ready:  # nothing is sent after the request: the other side is gone
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        # A server ends all that it has started first.
                        os.kill(pid, signal.SIGTERM) if pid in self.servers else os.killpg(pid, signal.SIGKILL)
            if self.listener.fileno() in ready:
                self._answer()

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                connection = self.kernels.pop(pid, None)
                self.servers.discard(pid)
                if connection is not None:
                    with contextlib.suppress(OSError):
                        connection.sendall(json.dumps({"exit": os.waitstatus_to_exitcode(status)}).encode() + b"\n")
                    connection.close()

    def become(self, request: dict[str, Any], descriptors: list[int]) -> None:
        """Turn this forked child into what was asked for; never returns."""
        become(request, descriptors, self.warm, main)

    def _answer(self) -> None:
        connection, _ = self.listener.accept()
        try:
            request, descriptors = _receive(connection)
        except (OSError, ValueError, ConnectionError) as error:
            print(f"warm kernels: bad request: {error}", file=sys.stderr)
            connection.close()
            return
        module = module_of(request.get("command", []))
        asks_for_interpreter = module in (SERVER, COMMAND, TILE) or "program" in request
        if asks_for_interpreter and not (self.warm and stands_for(request, connection)):
            for descriptor in descriptors:
                os.close(descriptor)
            with contextlib.suppress(OSError):
                connection.sendall(json.dumps({"pid": None}).encode() + b"\n")
            connection.close()
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # the child must not do what they ask of the server
        pid = os.fork()
        if pid == 0:
            for number in ENDING:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
            signal.set_wakeup_fd(-1)
            for other in (self.listener, connection, *self.kernels.values()):
                other.close()
            if _runner is not None:
                os.close(_runner)
            os.close(self.wakeup)
            os.close(self._wake)
            self.become(request, descriptors)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        for descriptor in descriptors:
            os.close(descriptor)
        self.kernels[pid] = connection
        if module == SERVER:
            self.servers.add(pid)
        with contextlib.suppress(OSError):  # who asked may be gone already; then `serve` ends the kernel
            connection.sendall(json.dumps({"pid": pid}).encode() + b"\n")


def main() -> None:
    """Preload (unless ``--guard``), say that it is ready on stdout as one JSON line, and serve."""
    global _runner
    path, guard, new = sys.argv[1], "--guard" in sys.argv, _runner is None
    _folders[:] = [os.path.dirname(path)]
    if "--remove" in sys.argv:
        _folders.append(sys.argv[sys.argv.index("--remove") + 1])
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    for number in (signal.SIGINT, signal.SIGHUP):  # Ctrl-C and a closed terminal are the runner's to handle
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGUSR1, _orphaned)
    prctl(PR_SET_PDEATHSIG, signal.SIGUSR1)
    try:
        _runner = os.pidfd_open(int(sys.argv[sys.argv.index("--runner") + 1]))
    except ProcessLookupError:
        os._exit(1)
    if new and not guard and sys.path[0] in ("", os.getcwd()):
        del sys.path[0]  # from "-m"; an entry of PYTHONPATH stays, as in a new kernel
    listener = socket.socket(socket.AF_UNIX)  # from here on, who asks waits for an answer: JupyterLab's first kernel
    listener.bind(path)
    listener.listen(64)
    start = time.perf_counter()
    problem = ""
    if not guard:
        try:
            LIBRARIES.record()  # a server that is forked from another one imports more
            gc.disable()  # there is nothing to collect among modules, and looking for it takes a fifth of the time
            if shown := preload(sys.argv[sys.argv.index("--also") + 1 :] if "--also" in sys.argv else ()):
                problem = f"importing the libraries shows {shown[0][:200]}"
            elif threads() > 1:
                problem = f"a library has started {threads() - 1} threads while it was imported"
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
    _template()
    if not guard:
        LIBRARIES.hide()
    gc.freeze()  # no collection looks at the modules again; a collection before it would take 0.4 s and find little
    gc.enable()
    server = Server(listener, warm=not (guard or problem))
    answer = {"pid": os.getpid(), "seconds": round(time.perf_counter() - start, 2), "problem": problem}
    print(json.dumps(answer), flush=True)
    server.serve()


def _template() -> None:
    """Make the empty store that every notebook's store is copied from, when it is not there yet (in a child)."""
    path = os.environ.get("COURSE_STORE_TEMPLATE")
    if not path or os.path.exists(path):
        return
    pid = os.fork()
    if pid == 0:
        from course_utils import store
        from course_utils._plumbing import places

        del os.environ["COURSE_STORE_TEMPLATE"]
        try:
            store.create(places.sqlite_uri(path))
        except Exception as error:
            print(f"warm kernels: the empty store could not be made: {error}", file=sys.stderr)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
