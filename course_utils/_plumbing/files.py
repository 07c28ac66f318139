"""The checkout, and files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from course_utils.errors import CourseError

#: The checkout that this package belongs to: sources, quizzes and checks lie beside it.
ROOT = Path(__file__).resolve().parents[2]


def checkout() -> Path | None:
    """Return the checkout that the current folder lies in, else the one of this package, or None without either."""
    for start in (Path.cwd(), ROOT):
        for folder in (start, *start.parents):
            if (folder / "course_utils").is_dir() and (folder / "source" / "course.toml").is_file():
                return folder
    return None


def write(path: Path, content: str, advice: str = "", *, private: bool = False) -> None:
    """Write a text file completely or not at all: into a file beside it first, which then takes its place.

    Parameters
    ----------
    path
        The file; its folder is made when it is missing.
    content
        The text; it is stored as UTF-8, line ends as they are.
    advice
        What to do when it cannot be written: the end of the error message.
    private
        Whether only the owner may read the file.

    Raises
    ------
    CourseError
        When it cannot be written. A file that was there before is untouched.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(os.open(aside, flags, 0o600 if private else 0o666), "w", encoding="utf8", newline="") as file:
            file.write(content)
        os.replace(aside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise CourseError(f"{path} cannot be written: {error.strerror or error}. {advice}".rstrip()) from error


def secret(file: Path) -> str:
    """Return the password kept in a file that only its owner can read, made on the first call."""
    if not file.exists():
        with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf8") as new:
            new.write(secrets.token_hex(16))
    return file.read_text(encoding="utf8")
