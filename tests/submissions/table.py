"""The kill table: what each task's check has been tried with.

``python -m tests.submissions.table`` writes README.md.
"""

from __future__ import annotations

from pathlib import Path

from course_utils._judge.task import load_tasks
from course_utils._plumbing import steps

from .tools import answers, mutants, solution

FILE = Path(__file__).with_name("README.md")
HEAD = """# What the checks have been tried with

Written by `python -m tests.submissions.table`; a test fails when this page is old. `make test` judges our solutions, one right
answer per task and one wrong per mistake under one data seed; `make test-all` adds the rest, a second seed and the mutants.

- **right**: answers in another style than ours; each passes, under both data seeds.
- **wrong**: answers with a typical mistake; each is rejected *for its own reason*, under both data seeds.
- **mutants**: our solution with one change (a constant, a dropped statement, a swapped name, a dropped keyword); each is
  rejected, except those that are right answers too. These are listed below with the reason.

To add one: `RIGHT`, `WRONG` and `EQUIVALENT` in the step's `answers.py`; the text fills the gap of the task,
`swap(old, new, …)` is our solution with something replaced, `append(lines)` our solution with something added.

| homework | task | right | wrong | mistakes told apart | mutants | rejected | equivalent |
|---|---|---|---|---|---|---|---|
"""


UNSEEN = """## What a check cannot see

A check reads what is in the store and in `outputs/`, never the notebook. These wrong answers leave the same there as a right
one, and pass; an instructor who wants to know looks at the notebook."""


def text(names: list[str]) -> str:
    """Return the page."""
    rows, reasons = [], []
    totals = [0] * 5
    for step in names:
        module = answers(step)
        for task in range(1, len(load_tasks(step)) + 1):
            changed = [what for what, _ in mutants(solution(step, task), getattr(module, "SWAPS", None))]
            listed = getattr(module, "EQUIVALENT", {}).get(task, {})
            same = [(what, why) for what in changed for start, why in listed.items() if what.startswith(start)]
            wrong = module.WRONG[task]
            counts = [len(module.RIGHT[task]), len(wrong), len(changed), len(changed) - len(same), len(same)]
            totals = [a + b for a, b in zip(totals, counts, strict=True)]
            codes = len({code for code, _ in wrong})
            rows.append(
                f"| {step} | {task} | {counts[0]} | {counts[1]} | {codes} | {' | '.join(map(str, counts[2:]))} |"
            )
            reasons += [f"- {step}, task {task}, `{what.replace('`', '')}`: {why}" for what, why in same]
    rows.append(f"| all | | {totals[0]} | {totals[1]} | | {' | '.join(map(str, totals[2:]))} |")
    unseen = [
        f"- {step}, task {task}: {what}"
        for step in names
        for task, given in getattr(answers(step), "UNSEEN", {}).items()
        for what, _ in given
    ]
    parts = ("\n".join(rows), UNSEEN, "\n".join(unseen), "## Mutants that are right answers", "\n".join(reasons))
    return HEAD + "\n\n".join(parts) + "\n"


def main() -> None:
    """Write the page."""
    FILE.write_text(text([step.name for step in steps.steps()]), encoding="utf8")


if __name__ == "__main__":
    main()
