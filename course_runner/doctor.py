"""Is this machine ready for the course? One finding per thing that has gone wrong for somebody."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from course_runner.environment import compare_with_lock, pythons
from course_runner.lab.ui import free_port
from course_utils import store
from course_utils._plumbing.places import database_path, stale_variables
from course_utils.errors import CourseError


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, whether it is well, and what was seen or what to do."""

    what: str
    ok: bool
    detail: str


def examine(root: Path, left: Mapping[str, str] | None = None) -> list[Finding]:
    """Return the findings, in the order in which they should be fixed.

    Parameters
    ----------
    root
        The checkout.
    left
        Variables of the shell that the command has put aside (`places.forget_stale`); looked for when not given.
    """
    left = stale_variables() if left is None else left
    return [_python(), _packages(root), _shell(left), _kernel(), _store(), _port(), _notebooks(root)]


def _python() -> Finding:
    version = platform.python_version()
    ok = pythons().contains(version, prereleases=True)
    advice = f"{version}; the course needs {pythons()}: remove .venv, then `make setup PYTHON=/path/to/python3.13`"
    return Finding("Python", ok, version if ok else advice)


def _packages(root: Path) -> Finding:
    try:
        wrong = compare_with_lock(root / "requirements.lock")
    except CourseError as error:
        return Finding("packages", False, str(error))
    if not wrong:
        return Finding("packages", True, "every one as in requirements.lock")
    some = "; ".join(map(str, wrong[:4])) + (f" and {len(wrong) - 4} more" if len(wrong) > 4 else "")
    return Finding("packages", False, f"{some}. Run `make setup`.")


def _shell(left: Mapping[str, str]) -> Finding:
    if not left:
        return Finding("shell", True, "no variable that sends runs elsewhere")
    names = ", ".join(left)
    return Finding(
        "shell",
        False,
        f"{names} set from earlier work: `course` ignores {'them' if len(left) > 1 else 'it'}, a notebook that you open "
        f"does not. unset {' '.join(left)}",
    )


def _kernel() -> Finding:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        return Finding("kernel", False, "no kernel 'python3'; run `make setup`")
    code = "import course_utils, ipykernel, mlflow; print(mlflow.__version__)"
    tried = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    if tried.returncode:
        return Finding(
            "kernel", False, f"{spec.display_name}: {tried.stderr.strip().splitlines()[-1]}; run `make setup`"
        )
    return Finding("kernel", True, f"{spec.display_name}, MLflow {tried.stdout.strip()}")


def _store() -> Finding:
    import mlflow

    try:
        uri = store.connect()
        count = len(mlflow.MlflowClient().search_experiments())
    except CourseError as error:
        return Finding("store", False, str(error))
    except Exception as error:  # the database may be of another MLflow, locked, or out of reach
        reason = " ".join(str(error).split())
        return Finding("store", False, f"{reason[:300]}")
    database = database_path(uri)
    if database is not None:
        import os

        if not os.access(database, os.W_OK) or not os.access(database.parent, os.W_OK):
            return Finding("store", False, f"{database} cannot be written; set COURSE_HOME to a folder of yours")
    return Finding("store", True, f"{uri}, {count} experiments")


def _port() -> Finding:
    try:
        port = free_port(store.UI_PORT)
    except CourseError as error:
        return Finding("port", False, str(error))
    taken = "" if port == store.UI_PORT else f" ({store.UI_PORT} is taken, so `course ui` takes the next)"
    return Finding("port", True, f"{port} is free for the MLflow UI{taken}")


def _notebooks(root: Path) -> Finding:
    if (root / "RELEASE.md").is_file():  # written by `course release`, without what notebooks are built from
        return Finding("notebooks", True, "a release for a class, where nothing is built")
    from course_runner.build.build import find_stale
    from course_runner.build.source import pages

    everything = pages(root)
    stale = [
        item for item in find_stale(everything, everything) if not item.answers
    ]  # your own answers are not a fault
    if stale:
        return Finding("notebooks", False, f"{stale[0].page.label} {stale[0].reason}; run `course build`")
    return Finding("notebooks", True, f"{len(everything)}, each what its source builds")
