"""The column to predict: which task it sets, how that was told, and what is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd

from course_utils._plumbing.cells import COMMA, ISO_DATE, LEADING_ZERO, NUMBER, Ambiguous, all_like, listing, numbers_of
from course_utils.errors import CourseError

#: What a target may ask for: one of two classes, one of several, or an amount.
TASKS = ("binary", "multiclass", "regression")
#: A target with more different numbers than this is a measurement.
MOST_NUMBERS = 20
#: More classes than this are no picture, and no model for a table of one's own.
MOST_CLASSES = 100
_POSITIVE = ("1", "1.0", "true", "yes", "y", "ja", "oui", "si", "sí")


@dataclass(frozen=True)
class Target:
    """A column to predict, checked.

    Attributes
    ----------
    task
        One of `TASKS`.
    labels
        Classes as they were in the file, or floats for a regression, shape (n_rows,).
    told
        How it was read and how that is changed, as a sentence.
    """

    task: str
    labels: pd.Series
    told: str = ""


def read(labels: pd.Series, target: str, name: str, task: str = "binary") -> Target:
    """Check a target without missing values for a task, which ``"auto"`` tells from its values.

    Raises
    ------
    CourseError
        When the values do not fit the task, or could be meant in two ways.
    """
    if task not in ("auto", *TASKS):
        raise CourseError(f"--task is {task!r}; it is one of {', '.join(TASKS)}, or is told from the target.")
    labels = _plain_labels(labels)
    if labels.nunique() == 1:
        rows = f"all {len(labels)} rows" if len(labels) > 1 else "its only row"
        needs = "A regression needs different ones." if task == "regression" else "A classifier needs two classes."
        raise CourseError(
            f"The target {target!r} of {name} has one value, {labels.unique().tolist()[0]!r}, in {rows}. {needs} "
            "Is this the right column?"
        )
    told = task == "auto"
    task = _tell(labels, target, name) if told else task
    if task == "regression":
        labels, note = _amounts(labels, target, name)
        return Target(task, labels, _reading(labels, target, note, told))
    labels = _named(labels, target, name, task)
    kind = f"{labels.nunique()} classes ({listing(_sorted(labels), 6)})"
    how = "told from its values" if told else "as asked"
    return Target(task, labels, f"Target {target!r}: {kind}, so the task is {task} ({how}); --task changes it.")


def _reading(amounts: pd.Series, target: str, note: str, told: bool) -> str:
    whole = bool((amounts % 1 == 0).all())
    what = (
        f"{amounts.nunique()} different {'whole ' if whole else ''}numbers from {amounts.min():g} to {amounts.max():g}"
    )
    how = "told from its values" if told else "as asked"
    names = " If these numbers are names of classes: --task multiclass." if whole and told else " --task changes it."
    return f"Target {target!r}: {what}{f', {note}' if note else ''}, so the task is regression ({how}).{names}"


def classes(labels: pd.Series, target: str, name: str, positive: str | None, task: str = "binary") -> tuple:
    """Return the classes: of two, the one that a model is to find last; none of a regression."""
    if task != "binary" and positive is not None:
        has = "a regression has none" if task == "regression" else f"this task has {labels.nunique()} to tell apart"
        raise CourseError(
            f"--positive names the one of two classes that a model should find, and {has} ({target!r} of {name}). "
            "Leave it out."
        )
    if task == "regression":
        return ()
    values = _sorted(labels)
    if task == "multiclass":
        return tuple(values)
    counts = labels.value_counts()
    if positive is not None:
        found = [value for value in values if str(value).casefold() in (positive.casefold(), f"{positive}.0")]
        if not found:
            raise CourseError(
                f"--positive {positive!r} is no class of {target!r} in {name}; those are {listing(values)}."
            )
        chosen = found[0]
    elif counts.iloc[0] != counts.iloc[1]:
        chosen = counts.index[-1]
    elif telling := [value for value in values if str(value).casefold() in _POSITIVE]:
        chosen = telling[0]
    else:
        raise CourseError(
            f"The classes {listing(values)} of {target!r} in {name} have equally many rows, so neither is the rare one that "
            f"a model should find. Name it: --positive {str(values[-1])!r}"
        )
    return (next(value for value in values if value != chosen), chosen)


def _sorted(labels: pd.Series) -> list:
    return sorted(labels.unique().tolist(), key=lambda value: (str(type(value)), value))


def _plain_labels(labels: pd.Series) -> pd.Series:
    """Return labels that are numbers as numbers: whole ones where all are whole."""
    if labels.dtype != object and not isinstance(labels.dtype, pd.CategoricalDtype | pd.StringDtype):
        return labels
    if not all(isinstance(v, str) for v in labels):
        return labels.astype(object)
    if not all(NUMBER.fullmatch(v) and not re.match(r"[+-]?(0\d|inf)", v.lower()) for v in labels.unique()):
        return labels.astype(object)
    numbers = labels.map(float)
    return numbers.astype(int) if (numbers % 1 == 0).all() and numbers.abs().max() < 2**53 else numbers


def _numbers(labels: pd.Series) -> tuple[pd.Series, str] | None:
    """Return labels as floats with a word on how they are written; None when one of them is no number, or a code."""
    if pd.api.types.is_bool_dtype(labels) or pd.api.types.is_complex_dtype(labels):
        return None
    if pd.api.types.is_numeric_dtype(labels):
        return labels.astype(float), ""
    if all(isinstance(v, str) for v in labels):
        return None if any(LEADING_ZERO.fullmatch(v) for v in labels.unique()) else numbers_of(labels)
    if all(isinstance(v, int | float | Decimal | np.number) and not isinstance(v, bool) for v in labels):
        return labels.astype(float), ""
    return None


# ------------------------------------------------------------------------------------------------- which task


def _tell(labels: pd.Series, target: str, name: str) -> str:
    """Return the task that a target sets; raise when two are possible."""
    different = labels.nunique()
    if different == 2:
        return "binary"
    found = _certain_numbers(labels, target, name)
    if found is None:
        _refuse_what_is_no_class(labels, target, name)
        return "multiclass"
    numbers = found[0]
    if different <= MOST_NUMBERS:
        raise CourseError(
            f"The target {target!r} of {name} holds {different} different numbers ({listing(_sorted(labels), 6)}), which may "
            "be names of classes or amounts. Say which: --task multiclass, or --task regression."
        )
    if different == len(labels) == numbers.max() - numbers.min() + 1 and (numbers % 1 == 0).all():
        raise CourseError(
            f"The target {target!r} of {name} counts the rows, like an id. Name the column to predict; if this is the one: "
            "--task regression"
        )
    return "regression"


def _certain_numbers(labels: pd.Series, target: str, name: str) -> tuple[pd.Series, str] | None:
    """Return labels as `_numbers` does, and a doubt about their commas as an error."""
    try:
        return _numbers(labels)
    except Ambiguous as doubt:
        some = listing(map(repr, labels.unique()[:3]))
        raise CourseError(f"The target {target!r} of {name} {doubt.what} (such as {some}). {doubt.advice}.") from None


def _refuse_what_is_no_class(labels: pd.Series, target: str, name: str) -> None:
    """Raise for dates, and for many numbers with words among them: both look like hundreds of classes."""
    if _dated(labels):
        raise CourseError(_no_dates(target, name))
    texts = labels.map(str)
    numbers = texts.map(lambda text: bool(NUMBER.fullmatch(text) or COMMA.fullmatch(text)))
    if numbers.mean() >= 0.5 and texts[numbers].nunique() > MOST_NUMBERS and not numbers.all():
        raise CourseError(_words_among_numbers(labels, ~numbers, target, name))


def _dated(labels: pd.Series) -> bool:
    if pd.api.types.is_datetime64_any_dtype(labels) or pd.api.types.is_timedelta64_dtype(labels):
        return True
    return labels.dtype == object and all(isinstance(v, str) for v in labels) and all_like(ISO_DATE, labels.unique())


def _no_dates(target: str, name: str) -> str:
    return (
        f"The target {target!r} of {name} holds dates or durations. Write what is to be predicted as a number, such as days "
        "from a fixed day on, or as a class."
    )


def _words_among_numbers(labels: pd.Series, words: pd.Series, target: str, name: str) -> str:
    some = listing(map(repr, labels[words].unique().tolist()), 3)
    return (
        f"The target {target!r} of {name} is no number in {int(words.sum())} of {len(labels)} rows ({some}), and a regression "
        "predicts numbers. Correct them, or leave these cells empty and add --drop-missing-target. For names of classes: "
        "--task multiclass"
    )


# ----------------------------------------------------------------------------------------------- what is wrong


def _amounts(labels: pd.Series, target: str, name: str) -> tuple[pd.Series, str]:
    """Return labels as floats and how they are written, or raise with what is no number."""
    if _dated(labels):
        raise CourseError(_no_dates(target, name))
    found = _certain_numbers(labels, target, name)
    if found is None:
        numeric = labels.map(lambda v: not isinstance(v, bool) and bool(NUMBER.fullmatch(str(v))))
        codes = labels.map(lambda v: bool(LEADING_ZERO.fullmatch(str(v))))
        raise CourseError(_words_among_numbers(labels, ~numeric | codes, target, name))
    numbers, note = found
    if infinite := int(np.isinf(numbers).sum()):
        raise CourseError(
            f"The target {target!r} of {name} is infinite in {infinite} of {len(numbers)} rows, which no model can predict. "
            "Correct them, or leave these cells empty and add --drop-missing-target."
        )
    if numbers.abs().max() > 1e100:
        raise CourseError(
            f"The target {target!r} of {name} goes up to {numbers.abs().max():g}, whose square is no number any more. "
            "Use another unit, or a logarithm."
        )
    return numbers, note


def _named(labels: pd.Series, target: str, name: str, task: str) -> pd.Series:
    """Return labels of two classes, or of several, or raise with the first thing that is wrong with them."""
    different = labels.nunique()
    if different == len(labels):
        what = "two classes" if task == "binary" else "classes"
        raise CourseError(
            f"The target {target!r} of {name} has a different value in each of its {len(labels)} rows, like an id or a "
            f"measurement, not {what}. Name the column that holds the class, or predict an amount: --task regression"
        )
    if len({str(v).casefold() for v in labels.unique()}) < different:
        same = sorted(map(str, labels.unique()), key=str.casefold)
        raise CourseError(
            f"The target {target!r} of {name} has classes that differ only in capital letters ({listing(same, 6)}). "
            "Write each class in one way."
        )
    if different > MOST_NUMBERS and (numbers := _surely(labels)) is not None:
        spread = f"holds {different} different numbers, from {numbers.min():g} to {numbers.max():g}"
        if task == "binary":
            raise CourseError(
                f"The target {target!r} of {name} {spread}: a measurement, which takes a regression: --task regression. For "
                "two classes make them of a limit (above it or not), or name another column."
            )
        if (numbers % 1 != 0).any():
            raise CourseError(
                f"The target {target!r} of {name} {spread}, with decimals: amounts, not names of classes. Predict them as "
                "such: --task regression"
            )
    if task == "binary" and different > 2:
        raise CourseError(
            f"The target {target!r} of {name} has {different} classes ({listing(sorted(labels.unique(), key=str), 6)}). "
            "The task binary has two: --task multiclass tells all of them apart; else merge classes, or name another column."
        )
    if task == "multiclass":
        labels = _several(labels, target, name)
    counts = labels.value_counts()
    if counts.iloc[-1] < 2:
        single = counts.index[counts == 1]
        more = f" (as have {len(single) - 1} more)" if len(single) > 1 else ""
        raise CourseError(
            f"The class {counts.index.tolist()[-1]!r} of {target!r} has one row in {name}{more}. "
            "Training and test rows need at least one each; collect more rows of it"
            + (", or merge small classes into one." if task == "multiclass" else ".")
        )
    return labels


def _surely(labels: pd.Series) -> pd.Series | None:
    """Return labels that are numbers, whichever way their commas are meant."""
    try:
        found = _numbers(labels)
    except Ambiguous:
        return labels.str.replace(",", ".", regex=False).astype(float)
    return found and found[0]


def _several(labels: pd.Series, target: str, name: str) -> pd.Series:
    """Return the names of several classes: whole numbers, or texts."""
    different = labels.nunique()
    if different == 2:
        raise CourseError(
            f"The target {target!r} of {name} has two classes ({listing(_sorted(labels))}), and --task multiclass is for three "
            "or more. Leave it out: two have a workflow of their own, with a threshold and calibration."
        )
    if different > MOST_CLASSES:
        raise CourseError(
            f"The target {target!r} of {name} has {different} classes, and the workflow tells {MOST_CLASSES} apart at most. "
            "Merge the rare ones into one class, or name another column."
        )
    if pd.api.types.is_numeric_dtype(labels) and (labels % 1 == 0).all():
        return labels.astype(int)
    return labels.map(str).astype(object)
