"""A file is written completely or not at all."""

from __future__ import annotations

import os
import sys

import pytest

from course_utils._plumbing import files
from course_utils.errors import CourseError


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "new folder" / "plan.json"
    files.write(path, "old")

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(CourseError, match=r"plan\.json cannot be written: No space left on device\. Free some\."):
        files.write(path, "new", "Free some.")
    assert path.read_text() == "old" and list(path.parent.iterdir()) == [path]


def test_a_private_file_is_for_its_owner_only(tmp_path):
    path = tmp_path / "secret"
    files.write(path, "zwölf\r\n", private=True)
    assert path.read_bytes() == "zwölf\r\n".encode()
    assert sys.platform == "win32" or path.stat().st_mode & 0o777 == 0o600
