"""Walk through a folder of hand-ins and the archives in it, within limits, and note what is not opened and why."""

from __future__ import annotations

import os
import re
import stat
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

#: Bytes that a file which is handed in may have.
LARGEST = 100 << 20
#: Bytes and files that one archive may unpack to, and how deeply archives may lie in each other.
UNPACKED, FILES, DEPTH = 500 << 20, 20_000, 3
_LEFTOVER = re.compile(r"\._.*|\.DS_Store|Thumbs\.db|desktop\.ini|~\$.*|\.~lock.*|\.gitkeep", re.I)
_LEFTOVER_FOLDERS = {"__MACOSX", ".ipynb_checkpoints"}
_CLOSED_FOLDERS = {".git", ".venv", "venv", "__pycache__", "node_modules", ".course", ".idea", ".vscode"}


@dataclass(frozen=True)
class Skipped:
    """A file that is not graded.

    Attributes
    ----------
    name
        Path below the submissions folder.
    why
        The reason, and what to do.
    weight
        ``look`` when somebody's work may be in it, ``aside`` for what belongs to no homework, ``leftover`` for what a
        system has left behind.
    """

    name: str
    why: str
    weight: str = "look"


@dataclass(frozen=True)
class File:
    """A file below the submissions folder; `parts` is its path, archives as folders, `checkout` how many lead to a checkout."""

    path: Path
    parts: tuple[str, ...]
    archived: bool = False
    checkout: int = 0

    @property
    def name(self) -> str:
        """The path as text."""
        return shown("/".join(self.parts))


def shown(text: str) -> str:
    """Return a name as text: bytes that are no UTF-8, and characters that a terminal would obey, are replaced."""
    text = os.fsencode(text).decode("utf8", "replace")
    return "".join(c if c.isprintable() else "�" for c in text)


def unreadable(path: Path) -> str:
    """Return why a file is not read, or an empty string; a link or a pipe is not even opened."""
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            return "a link or a device, not a file"
        if found.st_size > LARGEST:
            return f"larger than {LARGEST >> 20} MB"
        path.open("rb").close()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return ""


class Walk:
    """Gives the files below a folder and in archives, and notes what is not opened."""

    def __init__(self, scratch: Path, output: Path | None = None) -> None:
        self.scratch, self.output = scratch, output.absolute() if output else None
        self.skipped: list[Skipped] = []

    def skip(self, file: File, why: str, weight: str = "look") -> None:
        """Note a file that is not graded."""
        self.skipped.append(Skipped(file.name, why, weight))

    def folder(self, at: File, depth: int) -> Iterator[File]:
        """Walk a folder in the order of names."""
        try:
            entries = sorted(os.scandir(at.path), key=lambda e: e.name)
        except OSError as error:
            self.skip(at, f"the folder cannot be opened ({error.strerror})")
            return
        inside = {e.name for e in entries if e.is_dir(follow_symlinks=False)}
        checkout = at.checkout
        if not checkout and {"exercises", "notebooks"} <= inside and inside & {"source", "course_utils", "solutions"}:
            checkout = len(at.parts) + 1
        for entry in entries:
            file = File(Path(entry.path), (*at.parts, entry.name), at.archived, checkout)
            if self._ours(file.path):
                continue
            if _LEFTOVER.fullmatch(entry.name) or entry.name in _LEFTOVER_FOLDERS:
                self.skip(file, "left behind by the system or by Jupyter", "leftover")
            elif entry.is_dir(follow_symlinks=False):
                below = len(at.parts) + 1 == checkout and entry.name not in ("exercises", "notebooks", "solutions")
                if entry.name in _CLOSED_FOLDERS or below:
                    why = "a folder of the course's checkout" if below else "a folder of tools"
                    self.skip(replace(file, parts=(*file.parts, "")), f"{why}, which holds no homework", "aside")
                else:
                    yield from self.folder(file, depth)
            elif entry.is_symlink() and not entry.name.lower().endswith(".ipynb"):
                self.skip(file, "a link, which is not followed")
            elif entry.name.lower().endswith(".zip") and entry.is_file(follow_symlinks=False):
                yield from self.archive(file, depth + 1)
            else:
                yield file

    def _ours(self, path: Path) -> bool:
        """Tell whether an earlier call has written this file: the table, or what stands beside it."""
        if self.output is None or path.parent.absolute() != self.output.parent or path.suffix.lower() == ".ipynb":
            return False
        return path.name.startswith((self.output.name, f".{self.output.name}", f"{self.output.stem}_"))

    def archive(self, file: File, depth: int) -> Iterator[File]:
        """Unpack a zip and walk what was in it."""
        if depth > DEPTH:
            self.skip(file, f"an archive in an archive, more than {DEPTH} deep; it is not opened")
            return
        target = Path(tempfile.mkdtemp(dir=self.scratch))
        try:
            with zipfile.ZipFile(file.path) as archive:
                self._unpack(archive, file, target)
        except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError, EOFError) as error:
            self.skip(file, f"the archive cannot be opened ({error}); ask for it again")
        yield from self.folder(File(target, file.parts, archived=True), depth)

    def _unpack(self, archive: zipfile.ZipFile, file: File, target: Path) -> None:
        """Write the regular files of an archive below `target`, notebooks first, as long as they fit."""
        left, closed = UNPACKED, set()
        entries = sorted(archive.infolist(), key=lambda e: (not e.filename.lower().endswith(".ipynb"), e.filename))
        for number, entry in enumerate(entries):
            path = PurePosixPath(_entry_name(entry))
            inner = replace(file, parts=(*file.parts, *path.parts))
            if entry.is_dir():
                continue
            if number >= FILES:
                self.skip(file, f"the archive holds more than {FILES:,} files; the rest is not read")
                return
            if folder := next((i for i, part in enumerate(path.parts) if part in _CLOSED_FOLDERS), None):
                if (place := path.parts[: folder + 1]) not in closed:
                    closed.add(place)
                    tools = replace(file, parts=(*file.parts, *place, ""))
                    self.skip(tools, "a folder of tools, which holds no homework", "aside")
                continue
            if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in str(path) or ":" in path.parts[0]:
                self.skip(inner, "its path leads out of the archive, so it is not unpacked")
            elif stat.S_ISLNK(entry.external_attr >> 16):
                self.skip(inner, "a link, which is not followed")
            elif entry.flag_bits & 1:
                self.skip(inner, "it is locked with a password; ask for it without one")
            else:
                try:
                    used = _write(archive, entry, target / path, min(left, LARGEST))
                except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
                    self.skip(inner, f"it cannot be unpacked ({error}); ask for it again")
                    continue
                if used is None:
                    self.skip(inner, f"too large: a file may have {LARGEST >> 20} MB, an archive {UNPACKED >> 20} MB")
                else:
                    left -= used


def _entry_name(entry: zipfile.ZipInfo) -> str:
    """Return the name of an entry; one that macOS wrote as UTF-8 without saying so is read as such."""
    name = entry.filename
    if not entry.flag_bits & 0x800:
        try:
            name = name.encode("cp437").decode("utf8")
        except UnicodeError:
            pass
    return name.replace("\\", "/")


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, most: int) -> int | None:
    """Write one entry and return its bytes; None when they are more than `most`, regardless of what the archive claims."""
    target.parent.mkdir(parents=True, exist_ok=True)
    number = 2
    while target.exists():  # two entries of one name
        target = target.with_name(f"{target.stem} ({number}){target.suffix}")
        number += 1
    used = 0
    with archive.open(entry) as source, target.open("xb") as copy:
        while piece := source.read(1 << 20):
            used += len(piece)
            if used > most:
                break
            copy.write(piece)
    if used > most:
        target.unlink()
        return None
    try:
        stamp = time.mktime((*entry.date_time, 0, 0, -1))
        os.utime(target, (stamp, stamp))
    except (ValueError, OverflowError, OSError):
        pass
    return used
