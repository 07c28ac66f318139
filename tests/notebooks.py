"""Notebooks that a test writes, and commands called in this process, which has imported what they need."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from course_runner.batch import pool
from course_runner.cli import app as cli

ROOT = Path(__file__).resolve().parents[1]


def notebook(path: Path, *cells: str, parameters: str = "") -> Path:
    """Write a notebook of code cells; `parameters` is the text of its cell with that tag."""
    nb = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    if parameters:
        nb.cells.insert(0, new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nb, path)
    return path


def course_here(*words: object, **environment: str) -> subprocess.CompletedProcess:
    """Do what the command does, without a process that first imports for seconds."""
    shown, errors = io.StringIO(), io.StringIO()
    command = ["course", *map(str, words)]
    with (
        mock.patch.dict(os.environ, {"COLUMNS": "160", **environment}),  # MLflow's setters write there
        mock.patch.object(sys, "argv", command),
        contextlib.chdir(ROOT),
        contextlib.redirect_stdout(shown),
        contextlib.redirect_stderr(errors),
        pytest.raises(SystemExit) as ended,
    ):
        cli.main()
    return subprocess.CompletedProcess(command, ended.value.code or 0, shown.getvalue(), errors.getvalue())


def begin(module: str, *words: object, log: Path = Path(os.devnull), **environment: str) -> multiprocessing.Process:
    """Start ``python -m MODULE WORDS`` as a terminal does, in a process group of its own, forked where that is safe."""
    process = pool._context().Process(target=_there, args=(module, list(map(str, words)), log, environment))
    process.start()
    return process


def _there(module: str, words: list[str], log: Path, environment: dict[str, str]) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(environment)
    os.chdir(ROOT)
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    sys.argv = [module, *words]
    sys.modules.pop(module, None)  # runpy warns of a module that is there
    runpy.run_module(module, run_name="__main__")
