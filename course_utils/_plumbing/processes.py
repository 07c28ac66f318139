"""Servers that the course starts as processes of their own: their port, what they inherit, when they answer, their end."""

from __future__ import annotations

import http.client
import os
import random
import socket
import subprocess
import urllib.request
from typing import Any

from course_utils.errors import CourseError

HOST = "127.0.0.1"
#: Ports that no system hands out by itself: Linux begins at 32768, the others at 49152. `course lab` and the UI have
#: lower ones.
_PORTS = range(20_000, 32_768)

#: What a client was told about its own server; a server must not take it for itself.
_FROM_CLIENT = (
    *("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID", "MLFLOW_WORKSPACE"),
    *("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"),
)
#: What would open a server wider than it was started, or move its paths, when it was left in a shell.
_OPENS = (
    *("MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE", "MLFLOW_ENABLE_REMOTE_ASSISTANT", "FORWARDED_ALLOW_IPS"),
    *("MLFLOW_STATIC_PREFIX", "_MLFLOW_STATIC_PREFIX", "MLFLOW_SERVER_ALLOWED_HOSTS"),
)


def tracking_server_environment(**settings: str) -> dict[str, str]:
    """Return the environment of a tracking server: this process's own, without its server, and with `settings`."""
    return {k: v for k, v in os.environ.items() if k not in (*_FROM_CLIENT, *_OPENS)} | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # 10 processes and 1.5 GB less
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **settings,
    }


def unused_port() -> int:
    """Return a port of this machine that nobody uses, for a server that will open it by its number in a moment.

    The system's own choice (port 0) would not do: what it has chosen once, it may give to another program, such as a
    kernel with its five ports, before the server is there.

    Raises
    ------
    CourseError
        When none of a hundred ports is free.
    """
    for port in random.SystemRandom().sample(
        _PORTS, min(100, len(_PORTS))
    ):  # the notebook's own random numbers stay as they are
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise CourseError(
        f"None of a hundred ports from {_PORTS.start} to {_PORTS.stop - 1} is free on this machine. Close some servers."
    )


def answers(url: str, timeout: float = 5.0) -> bool:
    """Tell whether a server of this machine answers a GET request within so many seconds; no proxy is asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout):
            return True
    except (OSError, http.client.HTTPException):  # nobody is there yet, or something that does not speak HTTP
        return False


def end_family(pid: int) -> None:
    """End a process of Windows and all below it, which has no process groups to send a signal to."""
    subprocess.run(["taskkill", "/F", "/T", "/PID", str(pid)], capture_output=True)


def end_by_closing_input(process: subprocess.Popen[Any], seconds: float) -> None:
    """End a process that stops when its standard input closes; kill it when it has not ended after `seconds`.

    Closing is safe to repeat, and it also happens by itself when the process that holds the other end is gone.
    """
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
