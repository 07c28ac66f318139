"""The folder of a class server: one server at a time, which one that is, and the room on its disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from course_utils.errors import CourseError

if TYPE_CHECKING:
    pass


#: Bytes that a server leaves free on its disk: PostgreSQL without room for its log ends at once.
RESERVE = 100_000_000
#: Bytes without which PostgreSQL does not start: two files of that log.
LEAST = 35_000_000


@dataclass
class Running:
    """Who runs a folder's server (``running.json``)."""

    pid: int
    address: str
    since: str
    postgres_port: int = 0
    ready: bool = False
    new_admin: bool = False


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Hold the folder while the block runs.

    Raises
    ------
    CourseError
        When a server runs there, or another command works on it; the message names process and address.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(folder / "server.lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise CourseError(busy(folder, what)) from None
    except OSError as error:
        raise CourseError(f"The folder {folder} cannot be used: {error}. Choose another with --folder.") from error
    try:
        yield
    finally:
        lock.release()


def busy(folder: Path, what: str) -> str:
    """Return the message that `what` has to wait for the server of the folder."""
    holder = running(folder)
    who = f"A server runs on {folder}: process {holder.pid}, {holder.address}." if holder else f"{folder} is in use."
    return f"{who} {what} has to wait until it is stopped: course server stop --folder {folder}"


def running(folder: Path) -> Running | None:
    """Return who runs the folder's server now, or None; what a killed server left behind does not count."""
    if not (folder / "server.lock").exists():
        return None
    try:
        FileLock(folder / "server.lock", timeout=0).acquire().lock.release()
        return None
    except Timeout:
        pass
    try:
        return Running(**json.loads((folder / "running.json").read_text(encoding="utf8")))
    except (OSError, ValueError, TypeError):
        return None


def room_left(folder: Path) -> int:
    """Return the bytes that are free on the disk of a folder."""
    return shutil.disk_usage(folder).free


def disk(folder: Path) -> tuple[bool, str]:
    """Return whether a server still takes runs, and how much room its disk has, as a text."""
    space = shutil.disk_usage(folder)
    words = f"{space.free / 1e6:,.0f} MB free of {space.total / 1e6:,.0f}"
    if space.free >= RESERVE:
        return True, words
    return False, f"full: {words}"
