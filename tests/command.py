"""The `course` command in a process of its own, which a warm server forks where one runs.

An ordinary start imports for three seconds before it does anything. Tests that look at the processes below the command
start it as a user does.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from course_runner.kernels import provisioner, warm

ROOT = Path(__file__).resolve().parents[1]
COURSE = [sys.executable, "-m", "course_runner.cli"]


def course(*words: object, cwd: Path = ROOT, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    """Run the command to its end; its output goes through files, which no process that it leaves can hold open."""
    command = [*COURSE, *map(str, words)]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err, open(os.devnull) as nothing:
        environment = {**(env or os.environ), **warm.KERNEL_SETTINGS}
        streams = [nothing.fileno(), out.fileno(), err.fileno()]
        process = _fork(command, environment, cwd, streams)
        if process is None:
            process = subprocess.Popen(command, env=env, cwd=cwd, stdin=nothing, stdout=out, stderr=err)
        try:
            process.wait(300)
            code = process.poll()
        finally:
            if process.poll() is None:
                process.kill()
        assert code is not None, f"{command} takes longer than five minutes"
        for stream in (out, err):
            stream.seek(0)
        return subprocess.CompletedProcess(command, code, out.read(), err.read())


def _fork(command: list[str], env: dict[str, str], cwd: Path, streams: list[int]) -> provisioner.ForkedProcess | None:
    path = _server()
    return provisioner.fork(command, env, str(cwd), streams, path) if path else None


@cache
def _server() -> str:
    """Start a server that also holds what the command imports, once for all tests of this process."""
    if provisioner.SOCKET not in os.environ:  # not under `course test`
        return ""
    folder = tempfile.TemporaryDirectory(prefix="mlct-")
    path = f"{folder.name}/warm"
    server = warm._start(path, {}, ["--also", "course_runner.batch.batch"], None)
    if not isinstance(server, provisioner.ForkedProcess) or warm._answer(server).get("problem"):
        path = ""
    atexit.register(folder.cleanup)
    atexit.register(warm._stop, server)
    return path
