"""Which homeworks have had every answer judged, for exactly the files that are here now.

Judging all answers takes minutes, and their verdicts depend on files only. ``judged.json`` holds a digest of these files
for each homework; ``python -m tests.submissions.table`` writes it after a run in which every verdict was right. Where the
digest still fits, `make test` leaves out the mutants and the second seed; ``--all-answers`` leaves out nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECORD = Path(__file__).with_name("judged.json")
#: Parts of the package that no verdict depends on.
ASIDE = ("runner/", "cli", "homework/grading.py", "homework/sandbox.py", "homework/submission.py", "homework/checks/hw")


@cache
def _shared() -> tuple[Path, ...]:
    """Return the files that the verdicts of every homework depend on."""
    package = ROOT / "course_utils"
    rooms = [p for p in package.rglob("*.py") if not p.relative_to(package).as_posix().startswith(ASIDE)]
    return (
        *sorted(rooms),
        package / "runner/source.py",
        ROOT / "requirements.lock",
        ROOT / "tests/conftest.py",
        ROOT / "tests/test_homework.py",
        ROOT / "tests/test_judge.py",
        ROOT / "tests/submissions/tools.py",
    )


@cache
def files(number: str) -> tuple[Path, ...]:
    """Return all files that the verdicts of a homework depend on."""
    own = {number}
    for name in (f"course_utils/homework/checks/hw{number}.py", f"tests/submissions/hw{number}.py"):
        own |= set(re.findall(r"\bhw(\d\d)\b", (ROOT / name).read_text(encoding="utf8")))
    found = list(_shared())
    for other in sorted(own):
        found += sorted((ROOT / "source/homework").glob(f"{other}_*.py"))
        found += [ROOT / f"course_utils/homework/checks/hw{other}.py", ROOT / f"tests/submissions/hw{other}.py"]
    return tuple(path for path in found if path.exists())


@cache
def digest(number: str) -> str:
    """Return a digest of these files, and of Python's version."""
    total = hashlib.sha256(f"{sys.version_info[:2]}".encode())
    for path in files(number):
        total.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def is_judged(number: str) -> bool:
    """Return whether every answer of a homework has been judged with the files as they are."""
    try:
        return json.loads(RECORD.read_text(encoding="utf8")).get(number) == digest(number)
    except (OSError, ValueError):
        return False


def record(numbers: list[str]) -> None:
    """Remember that every answer of these homeworks has been judged with the files as they are."""
    RECORD.write_text(json.dumps({number: digest(number) for number in numbers}, indent=1) + "\n", encoding="utf8")
