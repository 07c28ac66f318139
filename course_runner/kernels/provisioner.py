"""Ask the warm server for a process; and the Jupyter kernel provisioner that gets its kernels there.

Where there is no server, the provisioner starts a kernel itself, as jupyter_client does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner

#: Environment variable with the path of the warm server's socket.
SOCKET = "COURSE_WARM_SOCKET"
NAME = "course-warm-provisioner"
_DEVNULL = -3  # subprocess.DEVNULL


class ForkedProcess:
    """A process that the warm server forked, with the part of `subprocess.Popen` that jupyter_client uses.

    It is not our child: a pidfd names it (a pid may be used again), and the server reports its exit code.
    """

    stdin = stdout = stderr = None

    def __init__(self, pid: int, connection: socket.socket, told: bytes = b"") -> None:
        self.pid, self._connection, self._told = pid, connection, told
        self.returncode: int | None = None
        self._pidfd: int | None = None
        with contextlib.suppress(ProcessLookupError):  # it may have ended already
            self._pidfd = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """Return the exit code (negative: the signal), or None while the kernel runs."""
        if self.returncode is None and (self._told or select.select([self._connection], [], [], 0)[0]):
            try:
                line = self._told or self._connection.recv(4096)
            except OSError:
                line = b""
            # A server that is gone has taken its kernels with it.
            self.returncode = json.loads(line)["exit"] if line else -signal.SIGKILL
            self._connection.close()
            if self._pidfd is not None:
                os.close(self._pidfd)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the end and return the exit code; None when the time is over first."""
        if self.poll() is None:
            select.select([self._connection], [], [], timeout)
        return self.poll()

    def send_signal(self, number: int) -> None:
        """Send a signal to the kernel, if it still runs."""
        if self.poll() is None and self._pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """End the kernel now."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask the kernel to end."""
        self.send_signal(signal.SIGTERM)


def fork(
    command: list[str], env: dict[str, str], cwd: str, descriptors: list[int], server: str = ""
) -> ForkedProcess | None:
    """Let the warm server start a command; None where there is none, or where it cannot stand for a new interpreter.

    Parameters
    ----------
    command
        The command; ``python -m MODULE`` with a module that the server knows is forked, everything else is executed.
    env, cwd
        The environment of the process, and its working directory.
    descriptors
        What becomes its standard input, output and error.
    server
        The server's socket; by default the one that the environment names.
    """
    connection = _connection(server or os.environ.get(SOCKET, ""))
    if connection is None:
        return None
    body = json.dumps({"command": command, "env": env, "cwd": cwd}).encode()
    message = len(body).to_bytes(4, "big") + body
    sent = socket.send_fds(connection, [message], descriptors)
    if sent < len(message):  # otherwise it may have answered and hung up, and even sending nothing would fail
        connection.sendall(message[sent:])
    answer = b""
    while b"\n" not in answer:
        more = connection.recv(4096)
        if not more:
            raise RuntimeError("the warm-kernel server ended while it started a process")
        answer += more
    first, _, told = answer.partition(b"\n")  # a process that ended at once has its exit code told in the same breath
    pid = json.loads(first)["pid"]
    if pid is None:
        connection.close()
        return None
    return ForkedProcess(pid, connection, told)


def _connection(path: str) -> socket.socket | None:
    """Return a connection to the server at that path, if it answers."""
    if not path:
        return None
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        return None
    return connection


class WarmProvisioner(LocalProvisioner):
    """Lets the warm server start and watch over every kernel; without a server it does as `LocalProvisioner` does."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Launch a kernel: by the server when one answers, else as a child of this process."""
        wanted = self._scrub_kwargs(kwargs.copy())
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            streams = [_descriptor(wanted.get(n), d, nothing) for n, d in (("stdout", 1), ("stderr", 2))]
            environment = dict(wanted.get("env") or os.environ)
            asked = (cmd, environment, str(wanted.get("cwd") or os.getcwd()), [nothing, *streams])
            # JupyterLab asks in a thread: while the server still imports, it has other things to answer. Nobody else:
            # a worker that was forked after such a thread would wait for it, and threads do not survive a fork.
            lab = sys.modules.get("jupyter_server.serverapp")
            in_lab = lab is not None and lab.ServerApp.initialized()
            process = await asyncio.to_thread(fork, *asked) if in_lab else fork(*asked)
        finally:
            os.close(nothing)
        if process is None:
            return await super().launch_kernel(cmd, **kwargs)
        self.process = process
        self.pid = self.pgid = process.pid  # the child leads a session of its own
        self.cwd = kwargs.get("cwd")
        return self.connection_info

    async def wait(self) -> int | None:
        """Wait for the kernel's end; a forked one is looked at every 10 ms instead of 100."""
        if not isinstance(self.process, ForkedProcess):
            return await super().wait()
        while self.process.poll() is None:
            await asyncio.sleep(0.01)
        code, self.process = self.process.returncode, None
        return code


def _descriptor(stream: Any, default: int, nothing: int) -> int:
    """Return the file descriptor that a Popen argument stands for."""
    if stream is None:
        return default
    if stream == _DEVNULL:
        return nothing
    return stream if isinstance(stream, int) else stream.fileno()
