"""The pinned environment: what the lock says, how the installed packages differ, and environment.yml from it.

``python -m course_runner.environment`` writes environment.yml again; ``make lock`` calls it.
"""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from course_utils._plumbing.files import ROOT
from course_utils.errors import CourseError

CONDA_NAME = "mlflow-course"
LOCK = ROOT / "requirements.lock"

_HASH = re.compile(r"\s--hash=(\S+)")

_HEADER = f"""\
# Made from requirements.lock by `make lock`; do not edit. For conda, mamba and Binder:
#     conda env create -f environment.yml && conda activate {CONDA_NAME}
# Every package comes from the pip section, at the lock's version: conda users run what pip users run.
# The last line installs course_utils; the pins above it meet all that it asks for, so it adds nothing. pip itself adds
# rfc3987-syntax and lark, which the lock leaves out (pyproject.toml says why).
"""


@dataclass(frozen=True)
class LockedPackage:
    """One entry of requirements.lock.

    Attributes
    ----------
    name : str
        Normalised name (lower case, hyphens).
    version : str
        The exact version.
    marker : str
        Environment marker, for example ``sys_platform == 'win32'``; empty when it is for every platform.
    hashes : tuple of str
        The hashes that pip accepts, each as ``algorithm:digest``.
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def pin(self) -> str:
        """The requirement without its hashes, as pip and environment.yml write it."""
        pin = f"{self.name}=={self.version}"
        return f"{pin} ; {self.marker}" if self.marker else pin

    @property
    def for_this_platform(self) -> bool:
        """Whether the marker holds for the running Python and system."""
        return not self.marker or Marker(self.marker).evaluate()


@dataclass(frozen=True)
class Mismatch:
    """A package whose installed version is not the locked one; ``str()`` of it is a sentence.

    Attributes
    ----------
    name : str
        Normalised name of the package.
    locked : str
        The version in requirements.lock.
    installed : str or None
        The installed version, or None when the package is not installed.
    """

    name: str
    locked: str
    installed: str | None

    def __str__(self) -> str:
        """Say what is installed and what the lock pins."""
        seen = f"{self.installed} is installed" if self.installed else "is not installed"
        return f"{self.name} {seen}, requirements.lock pins {self.locked}"


def project() -> dict[str, Any]:
    """Return the table ``[project]`` of pyproject.toml: the one statement of Python, packages and addresses."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pythons() -> SpecifierSet:
    """Return the versions of Python that the course runs on."""
    return SpecifierSet(project()["requires-python"])


def repository() -> str:
    """Return the address of the repository, or an empty string while pyproject.toml states none."""
    return project().get("urls", {}).get("Repository", "")


def read_lock(lock_path: Path | str = LOCK) -> list[LockedPackage]:
    """Read every entry of a lock file, in the file's order.

    Parameters
    ----------
    lock_path : Path or str
        A requirements file as ``make lock`` writes it: ``name==version [; marker] --hash=…``, where a
        backslash at the end of a line joins it to the next.

    Returns
    -------
    list of LockedPackage
        All entries, also those for other platforms.

    Raises
    ------
    CourseError
        When the file cannot be read or has a line that is not a pin.
    """
    path = Path(lock_path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise CourseError(
            f"Cannot read the lock file {path.name} ({reason}): get it back with `git checkout {path.name}`."
        ) from error
    packages = []
    for line in text.replace("\\\n", " ").splitlines():
        entry = line.split(" #")[0].strip()
        if not entry or entry.startswith("#"):
            continue
        packages.append(_parse_entry(entry, path.name))
    return packages


def _parse_entry(entry: str, file_name: str) -> LockedPackage:
    pin = _HASH.sub("", entry).strip()
    try:
        requirement = Requirement(pin)
        (specifier,) = requirement.specifier
        if specifier.operator != "==" or specifier.version.endswith(".*"):
            raise ValueError(specifier)
    except (InvalidRequirement, ValueError) as error:
        raise CourseError(
            f"{file_name} has the entry {pin!r}, which is not of the form name==version: "
            "make the file again with `make lock`."
        ) from error
    return LockedPackage(
        name=canonicalize_name(requirement.name),
        version=specifier.version,
        marker=str(requirement.marker or "").replace('"', "'"),
        hashes=tuple(_HASH.findall(entry)),
    )


def compare_with_lock(lock_path: Path | str = LOCK) -> list[Mismatch]:
    """Compare the packages of the running Python with the lock.

    Packages that are installed but not in the lock do not count: you may add your own.

    Parameters
    ----------
    lock_path : Path or str
        The lock file.

    Returns
    -------
    list of Mismatch
        One for each locked package that is missing or has another version, in the lock's order.

    Raises
    ------
    CourseError
        When the lock file cannot be read.
    """
    here = [package for package in read_lock(lock_path) if package.for_this_platform]
    found = ((package.name, package.version, _installed_version(package.name)) for package in here)
    return [Mismatch(name, locked, seen) for name, locked, seen in found if not _same_version(locked, seen)]


def _installed_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _same_version(locked: str, installed: str | None) -> bool:
    if installed is None:
        return False
    try:
        return Version(locked) == Version(installed)
    except InvalidVersion:
        return locked == installed


def installed_alone() -> set[str]:
    """Return the packages that are installed without what they declare: the extra ``genai`` of pyproject.toml."""
    return {canonicalize_name(Requirement(line).name) for line in project()["optional-dependencies"]["genai"]}


def render_environment_yml(packages: Sequence[LockedPackage]) -> str:
    """Write the text of environment.yml for these packages.

    conda hands the pip section to one ``pip install -r`` in the folder of environment.yml, where ``-e .``
    finds the package. Hashes stay in the lock: pip refuses ``-e`` beside them. Packages that are `installed_alone` are
    left out, because pip takes no ``--no-deps`` from a file.

    Parameters
    ----------
    packages : sequence of LockedPackage
        Every entry of the lock, for every platform.

    Returns
    -------
    str
        YAML text that ends with a newline.
    """
    alone = installed_alone()
    pins = "".join(f"      - {_yaml_string(package.pin)}\n" for package in packages if package.name not in alone)
    left = " ".join(package.pin for package in packages if package.name in alone)
    without = "# Left out, because pip would compile packages that it declares and nobody needs. By hand, afterwards:\n"
    without = f"{without}#     pip install --no-deps {left}\n" if left else ""
    return (
        f"{_HEADER}{without}name: {CONDA_NAME}\nchannels:\n  - conda-forge\n  - nodefaults\n"
        f"dependencies:\n  - python{project()['requires-python']}\n  - pip\n  - pip:\n{pins}      - -e .\n"
    )


def _yaml_string(pin: str) -> str:
    # A marker holds quotes and spaces; a JSON string is a YAML string.
    return json.dumps(pin) if " " in pin else pin


def write_environment_yml(lock_path: Path | str = LOCK, target: Path | str | None = None) -> Path:
    """Write environment.yml from the lock.

    Parameters
    ----------
    lock_path : Path or str
        The lock file.
    target : Path or str, optional
        The file to write; ``environment.yml`` beside the lock when left out.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    CourseError
        When the lock file cannot be read.
    """
    target = Path(target) if target else Path(lock_path).with_name("environment.yml")
    target.write_text(render_environment_yml(read_lock(lock_path)), encoding="utf-8", newline="\n")
    return target


def main(argv: Sequence[str] | None = None) -> int:
    """Write environment.yml from the lock; the exit code is 1 when the lock cannot be read.

    Parameters
    ----------
    argv : sequence of str, optional
        Command-line arguments without the program's name; those of the process when left out.

    Returns
    -------
    int
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m course_runner.environment",
        description="Write environment.yml from requirements.lock.",
    )
    parser.add_argument("--lock", type=Path, default=LOCK, help="the lock file (default: the course's own)")
    arguments = parser.parse_args(argv)
    try:
        target = write_environment_yml(arguments.lock)
    except CourseError as error:
        parser.exit(1, f"{error}\n")
    print(f"{target.name}: {len(read_lock(arguments.lock))} pins from {arguments.lock.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
