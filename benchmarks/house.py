"""Count the lines of Python of the first edition and of a later commit, room by room.

    python benchmarks/house.py            # prints the tables of house.md for the commit that is checked out

Lines are those of the files as git has them, with comments, docstrings and blank lines.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: The last commit of the first edition.
FIRST = "da2d91f"
GRADING = ("grading", "sandbox", "submission", "forked")


def room(path: str) -> str:
    """Return the room that a file of either edition counts for."""
    parts = path.split("/")
    name = parts[-1].removesuffix(".py")
    if parts[0] in ("tests", "benchmarks", "site"):
        return parts[0]
    if parts[0] == "source":
        kind = parts[1] if parts[1] in ("lectures", "homework") else name
        return "checks and answers" if kind in ("checks", "answers") else "lectures and homework, as text"
    if parts[:2] == ["course_utils", "homework"] and len(parts) > 2:
        if parts[2] == "checks":
            return "checks and answers"
        return "runner: grade" if name in GRADING else "helpers: homework"
    if parts[0] == "course_utils":
        if parts[1] == "runner" or name.startswith("cli") or name == "workflow":
            return (
                f"runner: {'batch, build, kernels and the rest' if parts[1] == 'runner' else 'command line, workflow'}"
            )
        return f"helpers: {parts[1]}" if len(parts) > 2 else "helpers: what lectures import"
    if parts[0] == "course_runner":
        return f"runner: {parts[1] if len(parts) > 2 else name}"
    return "other"


def count(commit: str) -> Counter[str]:
    """Return room → lines of Python in a commit."""
    listed = subprocess.run(["git", "ls-tree", "-r", "--name-only", commit], cwd=ROOT, capture_output=True, text=True)
    found: Counter[str] = Counter()
    for path in listed.stdout.splitlines():
        if path.endswith(".py"):
            text = subprocess.run(["git", "show", f"{commit}:{path}"], cwd=ROOT, capture_output=True).stdout
            found[room(path)] += text.count(b"\n")
    return found


if __name__ == "__main__":
    for commit in (FIRST, *(sys.argv[1:] or ["HEAD"])):
        lines = count(commit)
        print(f"\n{commit}\n\n| room | lines |\n|---|---:|")
        for name in sorted(lines):
            print(f"| {name} | {lines[name]:,} |")
        for label, kinds in (
            ("helpers", ("helpers",)),
            ("runner", ("runner",)),
            ("helpers and runner", ("helpers", "runner")),
        ):
            print(f"| **{label}** | **{sum(n for name, n in lines.items() if name.startswith(kinds)):,}** |")
        aside = ("tests", "checks and answers")
        print(f"| **all but tests and checks** | **{sum(n for name, n in lines.items() if name not in aside):,}** |")
