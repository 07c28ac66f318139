"""What a lecture shows besides its code: quizzes with feedback, and the errors it makes on purpose."""

from __future__ import annotations

import json
import random
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

from ._plumbing import steps
from .errors import CourseError

#: jupyterquiz colours with at least 4.5:1 contrast (WCAG AA) against the text on them.
_COLORS = {
    "--jq-multiple-choice-bg": "#1f3a5f",
    "--jq-many-choice-bg": "#1f3a5f",
    "--jq-numeric-bg": "#1f3a5f",
    "--jq-incorrect-color": "#a01818",
    "--jq-correct-color": "#0b6b1f",
}


def questions(step: str, kind: str = "quiz") -> list[dict]:
    """Return the questions of a lecture, in jupyterquiz's format.

    Parameters
    ----------
    step
        Name of the lecture's step, for example ``"mlflow_basics"``.
    kind
        ``"recall"`` (one question on an earlier lecture, at the start) or ``"quiz"`` (at the end).
    """
    file = steps.find(step).folder / "quiz.json"
    if not file.is_file():
        raise CourseError(f"There is no quiz for lecture {step!r}: {file} is missing.")
    return json.loads(steps.fill(file.read_text(encoding="utf8")))[kind]


def quiz(step: str, kind: str = "quiz") -> None:
    """Show the questions of a lecture; each answer, right or wrong, gives its own feedback when it is clicked.

    The page element gets an id derived from lecture and kind instead of a random one, so that a notebook that runs
    again gives the same output.
    """
    import jupyterquiz

    state = random.getstate()
    random.seed(f"{step}-{kind}")
    try:
        jupyterquiz.display_quiz(questions(step, kind), colors=_COLORS, shuffle_answers=False)
    finally:
        random.setstate(state)


@contextmanager
def expect_error(*types: type[BaseException], code: str = "", width: int = 110) -> Iterator[None]:
    """Run a block that must fail, and print the error as one wrapped paragraph instead of a traceback.

    The lectures of the first edition taught it, so notebooks that are handed in may call it. A block that does *not*
    fail is an error.

    Parameters
    ----------
    *types
        Exception types to expect; any exception when none is given.
    code
        Mistake code of the homework checks that stands for this pitfall; printed in front.
    width
        Characters per line.
    """
    expected = types or (Exception,)
    try:
        yield
    except expected as error:
        label = f"[{code}] " if code else ""
        said = re.sub(
            r"\. Did you mean '\w+'\?$", "", " ".join(str(error).split())
        )  # Python 3.13 adds it, 3.11 does not
        print(textwrap.fill(f"{label}{type(error).__name__}: {said}", width))
    else:
        raise AssertionError("This block was expected to fail, but it ran to its end.")


def turn(solved: bool, hint: str) -> None:
    """Say whether the learner's own line did what was asked; `hint` says what is still missing."""
    print("Correct." if solved else f"Not yet: {hint}")
