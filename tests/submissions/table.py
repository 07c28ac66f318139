"""The kill table: what each task's check has been tried with.

``python -m tests.submissions.table`` writes README.md, judges all answers of the homeworks that have changed, and
records that they have been judged.
"""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

from course_utils.homework.question import load_tasks

from . import judged
from .tools import mutants, solution

FILE = Path(__file__).with_name("README.md")
HEAD = """# What the checks have been tried with

Written by `python -m tests.submissions.table`, which judges every answer counted here; a test fails when this page is old.
The verdicts depend on files only, so `make test` judges the mutants and the second seed again for a homework when any of
its files has changed since (`judged.json`), and our solution and all right and wrong answers under one seed always.
`make test ARGS=--all-answers` judges everything; the weekly run does.

- **right**: answers in another style than ours; each passes, under both data seeds.
- **wrong**: answers with a typical mistake; each is rejected *for its own reason*, under both data seeds.
- **mutants**: our solution with one change (a constant, a dropped statement, a swapped name, a dropped keyword); each is
  rejected, except those that are right answers too. These are listed below with the reason.

To add one: `RIGHT`, `WRONG` and `EQUIVALENT` in `hwNN.py`; the text fills the gap of the task, `swap(old, new, …)` is our
solution with something replaced, `append(lines)` our solution with something added.

| homework | task | right | wrong | mistakes told apart | mutants | rejected | equivalent |
|---|---|---|---|---|---|---|---|
"""


UNSEEN = """## What a check cannot see

A check reads what is in the store and in `outputs/`, never the notebook. These wrong answers leave the same there as a right
one, and pass; an instructor who wants to know looks at the notebook."""


def text(numbers: list[str]) -> str:
    """Return the page."""
    rows, reasons = [], []
    totals = [0] * 5
    for number in numbers:
        module = import_module(f"tests.submissions.hw{number}")
        for task in range(1, len(load_tasks(number)) + 1):
            changed = [what for what, _ in mutants(solution(number, task), getattr(module, "SWAPS", None))]
            listed = getattr(module, "EQUIVALENT", {}).get(task, {})
            same = [(what, why) for what in changed for start, why in listed.items() if what.startswith(start)]
            wrong = module.WRONG[task]
            counts = [len(module.RIGHT[task]), len(wrong), len(changed), len(changed) - len(same), len(same)]
            totals = [a + b for a, b in zip(totals, counts, strict=True)]
            codes = len({code for code, _ in wrong})
            rows.append(
                f"| {number} | {task} | {counts[0]} | {counts[1]} | {codes} | {' | '.join(map(str, counts[2:]))} |"
            )
            reasons += [f"- {number}, task {task}, `{what.replace('`', '')}`: {why}" for what, why in same]
    rows.append(f"| all | | {totals[0]} | {totals[1]} | | {' | '.join(map(str, totals[2:]))} |")
    unseen = [
        f"- {number}, task {task}: {what}"
        for number in numbers
        for task, answers in getattr(import_module(f"tests.submissions.hw{number}"), "UNSEEN", {}).items()
        for what, _ in answers
    ]
    parts = ("\n".join(rows), UNSEEN, "\n".join(unseen), "## Mutants that are right answers", "\n".join(reasons))
    return HEAD + "\n\n".join(parts) + "\n"


def numbers() -> list[str]:
    """Return the homeworks that there are."""
    return sorted(p.stem[2:] for p in FILE.parent.glob("hw*.py"))


def main() -> int:
    """Write the page, judge what has changed, and return pytest's exit code."""
    FILE.write_text(text(numbers()), encoding="utf8")
    files = ("tests/test_homework.py", "tests/test_judge.py")
    words = [sys.executable, "-m", "course_utils.cli", "test", "-q", *files, *sys.argv[1:]]
    code = subprocess.run(words, cwd=judged.ROOT).returncode
    if code == 0:
        judged.record(numbers())
        print(f"{judged.RECORD.relative_to(judged.ROOT)} says that all answers have been judged; commit it.")
    return code


if __name__ == "__main__":
    sys.exit(main())
