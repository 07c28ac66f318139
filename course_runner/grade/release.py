"""Write a checkout of the course for a class whose homework counts: without solutions, answers and what was tried with them."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from course_runner.grade import names
from course_utils.errors import CourseError

#: What a learner does not get: our solutions, their text, the answers that checks are tested with, and what needs these.
LEFT_OUT = (
    "solutions/*",
    "source/*/homework.py",
    "source/*/answers.py",
    "course_runner/build/template/*",
    "tests/*",
    ".ci/*",
    ".github/*",
    "site/*",
    "benchmarks/*",
)
_MARKERS = ("### BEGIN SOLUTION", "### END SOLUTION")
#: The file that says that a checkout is a release.
NOTE = "RELEASE.md"
_TEXT = """# A release for a class

This checkout was written by `course release`. Solutions, the texts they are made from, tests and the web site are left out,
so `hw.solution(n)`, `course build` and `course test` have nothing to work with here. Lectures, exercises, checks, hints and
`course grade` are complete.
"""
#: So many lines of a solution in a row are an answer; fewer are what a hint may say.
_RUN = 3


@dataclass(frozen=True)
class Release:
    """What was written: number of files, what was left out, where an answer still stands, and checks that spell theirs out."""

    files: int
    left_out: tuple[str, ...]
    leaks: tuple[str, ...]
    spelled: tuple[str, ...]


def _tracked(root: Path) -> list[str]:
    """Return the files that belong to the checkout; without git, all but what the course itself writes."""
    found = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True)
    if found.returncode == 0 and found.stdout:
        return sorted(name for name in found.stdout.decode("utf8", "replace").split("\0") if name)
    aside = {
        ".git",
        ".venv",
        "runs",
        "outputs",
        "mlruns",
        "mlartifacts",
        ".course",
        "__pycache__",
        ".ipynb_checkpoints",
    }
    aside |= {"build", ".pytest_cache", ".ruff_cache"}
    paths = (p.relative_to(root) for p in root.rglob("*") if p.is_file() and not p.is_symlink())
    return sorted(p.as_posix() for p in paths if not aside & set(p.parts) and ".db" not in p.name)


def write(root: Path, target: Path) -> Release:
    """Write the checkout in `root` to the folder `target`, without what must not reach a learner.

    Raises
    ------
    CourseError
        When `target` holds anything, lies in a place that cannot be written, or `root` has no solutions to leave out.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CourseError(f"{target} is not empty. Name a new folder: files of an earlier release must not stay in it.")
    if target.resolve().is_relative_to(root.resolve()):
        raise CourseError(f"{target} lies in the checkout itself. Name a folder outside of {root}.")
    answers = _answers()
    if not answers:
        raise CourseError(f"{root} has no solutions, so it is a release already. Copy it as it is.")
    left_out, kept = [], 0
    try:
        for name in _tracked(root):
            source = root / name
            if not source.is_file() or source.is_symlink():
                continue
            if any(fnmatch(name, pattern) for pattern in LEFT_OUT):
                left_out.append(name)
                continue
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
            if name.startswith("exercises/") and name.endswith(".ipynb"):
                _without_link(copy)
            kept += 1
        (target / NOTE).write_text(_TEXT, encoding="utf8")
    except OSError as error:
        raise CourseError(f"{error.filename} cannot be written ({error.strerror}). Choose another folder.") from error
    leaks = _leaks(target, answers)
    # A check must know what is right; where it is a text and not a computed number, it spells that out.
    spelled = dict.fromkeys(name for name, _ in leaks if re.search(r"/checks(/|\.py$)", name))
    others = [f"{name}: {what}" for name, what in leaks if name not in spelled]
    return Release(kept, tuple(left_out), tuple(others), tuple(spelled))


def _without_link(path: Path) -> None:
    """Take the link to the solution out of an exercise."""
    text = path.read_text(encoding="utf8")
    path.write_text(re.sub(r" · \[Solution\]\(\.\./solutions/[^)]*\)", "", text), encoding="utf8")


def _answers() -> dict[str, set[tuple[str, ...]]]:
    """Return homework → each run of lines in our solution that the exercise does not have."""
    answers = {}
    for number in names.homeworks():
        given = {line.strip() for _, source in names.ours("exercises", number) for line in source.splitlines()}
        runs = set()
        for kind, source in names.ours("solutions", number):
            lines = [line.strip() for line in source.splitlines()] if kind == "code" else []
            lines = [line for line in lines if len(line) > 3 and not line.startswith("#")]
            for n in range(len(lines) - _RUN + 1):
                run = tuple(lines[n : n + _RUN])
                if not given & set(run):
                    runs.add(run)
        if runs:
            answers[number] = runs
    return answers


def _leaks(target: Path, answers: dict[str, set[tuple[str, ...]]]) -> list[tuple[str, str]]:
    """Return where an answer still stands; a lecture may teach the very lines that its homework asks for."""
    runs = {run: number for number, found in answers.items() for run in found}
    leaks = []
    for path in sorted(p for p in target.rglob("*") if p.is_file()):
        name = path.relative_to(target).as_posix()
        if name.startswith(("notebooks/", "source/lectures/")) or re.fullmatch(r"source/[^/]+/lecture\.py", name):
            continue
        try:
            text = path.read_text(encoding="utf8")
        except (UnicodeDecodeError, OSError):
            continue
        if path.suffix == ".ipynb":
            with contextlib.suppress(ValueError):
                text = "\n".join(source for _, source in names.cells(names.parse(text.encode())))
        if path.suffix == ".py" and any(f"\n{marker}" in text for marker in _MARKERS):
            leaks.append((name, "a marked solution"))
        lines = [line for line in (line.strip() for line in text.splitlines()) if len(line) > 3 and line[0] != "#"]
        for n in range(len(lines) - _RUN + 1):
            if number := runs.get(tuple(lines[n : n + _RUN])):
                leaks.append((name, f"lines of the solution of homework {number}: {lines[n][:60]!r}"))
    return leaks
