"""Notebooks that a test writes, and the `course` command called in this process."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from course_utils import cli

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
