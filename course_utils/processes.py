"""Servers that the course starts as processes of their own: what they inherit from a notebook, and how they end."""

from __future__ import annotations

import os
import subprocess
from typing import Any

#: What a client was told about its own server; a server must not take it for itself.
_FROM_CLIENT = (
    *("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID", "MLFLOW_WORKSPACE"),
    *("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"),
)


def tracking_server_environment(**settings: str) -> dict[str, str]:
    """Return the environment of a tracking server: this process's own, without its server, and with `settings`."""
    return {k: v for k, v in os.environ.items() if k not in _FROM_CLIENT} | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # 10 processes and 1.5 GB less
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **settings,
    }


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
