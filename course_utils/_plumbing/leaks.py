"""Columns that tell the target alone: copies of it, and what was known only afterwards."""

from __future__ import annotations

import numpy as np
import pandas as pd

from course_utils.errors import CourseError

#: Rows below which a perfect fit may be luck.
_FEWEST = 20
#: A column leaks from the first share on, and is pointed out from the second: of rows told, or of variance explained.
_CLASSES, _AMOUNTS = (1.0, 0.99), (0.999, 0.95)


def judge(
    values: pd.Series,
    labels: pd.Series,
    column: str,
    target: str,
    kind: str,
    note: str,
    allowed: bool,
    task: str = "binary",
) -> tuple[str, str]:
    """Return kind and note of a feature; raise when it alone tells the target, and that is not allowed."""
    if len(values) < _FEWEST:
        return kind, note
    if task == "regression":
        share, (leaks, doubtful) = _explained(values, labels), _AMOUNTS
        told, all_of_it = f"explains {share:.2%} of {target!r}", f"tells {target!r} (it explains {share:.2%} of it)"
    else:
        share = (
            _alone(values, (labels == labels.iloc[0]).to_numpy()) if task == "binary" else _among_many(values, labels)
        )
        leaks, doubtful = _CLASSES
        told, all_of_it = f"tells {share:.1%} of the rows' {target!r}", f"tells {target!r} in every row"
    if share >= leaks:
        if allowed:
            return "leaking", f"alone it {all_of_it}; kept as asked"
        raise CourseError(
            f"The column {column!r} alone {all_of_it}: a copy of it, or something that was known only "
            f"afterwards. A model would learn nothing else. Leave it out with --drop {column!r}, or keep it with "
            f"--allow-leak {column!r}."
        )
    notes = [note]
    if share >= doubtful:
        notes.append(f"alone it {told}: was it known before the target?")
    elif task == "multiclass" and (only := _gaps_of_one_class(values, labels)):
        notes.append(f"{only}: was it known before the target?")
    return kind, "; ".join(filter(None, notes))


# ------------------------------------------------------------------------------------------------- two classes


def _by_one_limit(numbers: np.ndarray, positive: np.ndarray) -> float:
    """Return the share of the rows that the best single limit tells: one class below it, the other above."""
    order = np.argsort(numbers, kind="stable")
    values, mine = numbers[order], positive[order].astype(int)
    cuts = np.flatnonzero(np.diff(values)) + 1  # a limit lies between two different numbers
    if not len(cuts):
        return 0.0
    below = np.cumsum(mine)[cuts - 1]
    right = below + (len(mine) - cuts) - (mine.sum() - below)  # the positive class below, the other above
    return float(np.maximum(right, len(mine) - right).max() / len(mine))


def _alone(values: pd.Series, positive: np.ndarray) -> float:
    """Return the share of the rows that one column tells: by its values, or by one limit among numbers.

    Only values that come in several rows count, since any column of different values could be learned by heart.
    """
    rows = pd.DataFrame({"value": _with_gaps(values), "positive": positive})
    groups = rows.groupby("value", sort=False)["positive"].agg(["sum", "size"])
    gaps = values.isna().to_numpy()
    best = 1.0 if gaps.any() and len({*zip(gaps.tolist(), positive.tolist(), strict=True)}) == 2 else 0.0
    base = max(positive.mean(), 1 - positive.mean())
    telling = base + (1 - base) * 0.9  # a rare class makes any column look good
    if not best and len(groups) <= len(rows) / 4:
        best = float(np.maximum(groups["sum"], groups["size"] - groups["sum"]).sum() / len(rows))
        best = best if best > telling else 0.0
    if values.dtype.kind == "f":
        known = values.notna().to_numpy()
        numbers, mine = values.to_numpy()[known], positive[known]
        if known.mean() > 0.9 and 0 < mine.sum() < len(mine):
            share = _by_one_limit(numbers, mine)
            best = max(best, share if share > telling else 0.0)
    return best


def _with_gaps(values: pd.Series) -> pd.Series:
    """Return values with a missing one as a value of its own."""
    return values.astype(object).where(values.notna(), "\0missing")


# --------------------------------------------------------------------------------------------- several classes


def _among_many(values: pd.Series, labels: pd.Series) -> float:
    """Return the share of the rows that one column tells: by its values, or by a range of numbers for each class."""
    codes = pd.factorize(labels)[0]
    counts = np.bincount(codes)
    base = counts.max() / len(codes)
    telling = base + (1 - base) * 0.9
    best = 0.0
    groups, different = pd.factorize(values, use_na_sentinel=False)
    if len(different) <= len(codes) / 4:
        together = np.bincount(groups * len(counts) + codes, minlength=len(different) * len(counts))
        best = float(together.reshape(-1, len(counts)).max(axis=1).sum() / len(codes))
    known = values.notna().to_numpy()
    if values.dtype.kind == "f" and known.mean() > 0.9:
        from sklearn.tree import DecisionTreeClassifier

        # As many leaves as classes: where each class is one range of numbers, such a tree finds all limits, because the
        # best cut always lies between two classes (Fayyad and Irani 1992).
        tree = DecisionTreeClassifier(max_leaf_nodes=len(counts), random_state=0)
        numbers = _in_the_middle(values.to_numpy()[known])
        best = max(best, float(tree.fit(numbers, codes[known]).score(numbers, codes[known])))
    return best if best > telling else 0.0


def _in_the_middle(numbers: np.ndarray) -> np.ndarray:
    """Return the ranks of numbers as a column: trees take 32 bits, in which large numbers fall together."""
    return np.unique(numbers, return_inverse=True)[1].reshape(-1, 1)


def _gaps_of_one_class(values: pd.Series, labels: pd.Series) -> str:
    """Say when a column is empty, or filled, in all rows of one class and in no other."""
    gaps = values.isna()
    for rows, word in ((gaps, "empty"), (~gaps, "filled")):
        found = labels[rows].unique().tolist()
        if gaps.any() and len(found) == 1 and int((labels == found[0]).sum()) == int(rows.sum()):
            return f"it is {word} in the rows of {found[0]!r} and in no other"
    return ""


# ---------------------------------------------------------------------------------------------------- amounts


def _explained(values: pd.Series, amounts: pd.Series) -> float:
    """Return the share of a target's variance that one column explains, 0 to 1: by a curve, or by its values.

    Ranks, not the numbers: they see a copy through a logarithm or a root, and a single outlier moves nothing (Spearman
    1904, "The proof and measurement of association between two things"). A copy with rounding counts by its numbers too.
    """
    best = _by_values(values, amounts)
    known = values.notna()
    if values.dtype.kind == "f" and known.sum() >= _FEWEST:
        x, y = values[known], amounts[known]
        by_rank = _square_of_correlation(x.rank(), y.rank())
        best = max(best, by_rank, _square_of_correlation(x, y) if by_rank > 0.9 else 0.0)
    return best


def _square_of_correlation(x: pd.Series, y: pd.Series) -> float:
    x, y = (v.to_numpy(float) / max(float(np.abs(v).max()), np.finfo(float).tiny) for v in (x, y))
    if not (x.std() > 0 and y.std() > 0):
        return 0.0
    return float(min(1.0, np.corrcoef(x, y)[0, 1] ** 2))


def _by_values(values: pd.Series, amounts: pd.Series) -> float:
    """Return how much less the ranks of the target vary among rows of the same value, as a share.

    Only values that come in several rows count, and only when most rows are such; each value costs a degree of
    freedom, so that a column of many values does not look good by chance (Kelley 1935, "An unbiased correlation ratio").
    """
    groups = pd.DataFrame({"value": _with_gaps(values), "rank": amounts.rank().to_numpy()})
    groups = groups[groups.groupby("value")["rank"].transform("size") > 1]
    rest = len(groups) - groups["value"].nunique()
    if len(groups) < len(values) / 2 or rest < 10 or not (total := float(groups["rank"].var())):
        return 0.0
    within = float(((groups["rank"] - groups.groupby("value")["rank"].transform("mean")) ** 2).sum() / rest)
    return max(0.0, 1 - within / total)
