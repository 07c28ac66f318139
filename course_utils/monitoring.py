"""Drift measures and windows: is this week's data still what the model was trained on, and since when not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from .errors import CourseError

#: Smallest share of a bin: an empty bin would make the logarithm infinite.
_FLOOR = 1e-4


def _column(rows: pd.DataFrame, name: str, what: str) -> pd.Series:
    """Return a column, or raise when it is not there or holds nothing to compare."""
    if name not in rows.columns:
        have = ", ".join(map(str, rows.columns))
        raise CourseError(f"The {what} has no column {name!r}, so its drift cannot be measured; it has {have}.")
    values = rows[name]
    if values.empty:
        raise CourseError(f"The {what} has no rows. Leave this window out, or make it longer.")
    if values.isna().all():
        raise CourseError(f"{name!r} has only missing values in the {what}. Mend the feed before you look for drift.")
    return values


def _numeric(values: pd.Series) -> bool:
    """Tell whether a feature is measured (many distinct numbers) and not a category."""
    return bool(pd.api.types.is_numeric_dtype(values)) and values.nunique() > 2


def _pair(reference: pd.Series, current: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return both as series with at least one value and a reference that varies, or raise."""
    name = str(reference.name or "feature")
    first = _column(pd.DataFrame({name: reference}), name, "reference")
    second = _column(pd.DataFrame({name: current}), name, "window")
    if first.nunique(dropna=False) < 2:
        raise CourseError(
            f"{name!r} has one value, {first.iloc[0]}, in all {len(first)} reference rows: nothing can be said about "
            "how it usually varies. Leave this feature out."
        )
    return first, second


def shares(reference: pd.Series, current: pd.Series, bins: int = 10) -> pd.DataFrame:
    """Return how the rows fall into bins, in the reference and now.

    Parameters
    ----------
    reference, current
        One feature, shapes (n_reference,) and (n_current,). A feature with more than two distinct numbers is cut at
        the quantiles of the *reference*; of any other, each value is a bin. Missing values are a bin of their own.
    bins
        Number of quantile bins; fewer when quantiles coincide.

    Returns
    -------
    DataFrame, shape (n_bins, 2)
        ``reference`` and ``current``: shares of the rows, each column sums to 1.

    Raises
    ------
    CourseError
        When one of the two is empty or all missing, or the reference has one value only.
    """
    first, second = _pair(reference, current)
    codes, names = _binned(first, second, bins)
    split = len(first)
    counts = [np.bincount(part, minlength=len(names)) / len(part) for part in (codes[:split], codes[split:])]
    return pd.DataFrame({"reference": counts[0], "current": counts[1]}, index=pd.Index(names, name="bin"))


def _binned(first: pd.Series, second: pd.Series, bins: int) -> tuple[np.ndarray, list[str]]:
    """Return the bin number of each row of both series, one after the other, and the names of the bins."""
    values = pd.concat([first, second], ignore_index=True)
    if not _numeric(first):
        codes, found = pd.factorize(values.astype(object), sort=False)
        names = [str(value) for value in found]
    elif not pd.api.types.is_numeric_dtype(second):
        raise CourseError(
            f"{first.name!r} holds numbers in the reference and {second.dtype} in the window. Convert the window's "
            "column."
        )
    else:
        edges = np.unique(np.nanquantile(first.to_numpy(float), np.linspace(0, 1, bins + 1)[1:-1]))
        codes = np.searchsorted(edges, values.to_numpy(float), side="left")
        names = [f"<= {edge:g}" for edge in edges] + [f"> {edges[-1]:g}"]
    gaps = values.isna().to_numpy()
    return np.where(gaps, len(names), codes), [*names, "missing"]


def psi(reference: pd.Series, current: pd.Series, bins: int = 10) -> float:
    r"""Return the population stability index of one feature: 0 when nothing moved.

    ``sum((q - p) * ln(q / p))`` over the bins, with the shares p in the reference and q now. By a rule of thumb of
    credit scoring, below 0.1 is stable and above 0.25 has shifted (Siddiqi 2006, "Credit Risk Scorecards"). It is
    the symmetric divergence of Jeffreys (1946, "An invariant form for the prior probability in estimation
    problems"). Of two samples from *one* distribution it is about ``(bins - 1) * (1/n + 1/m)``, so a small window
    drifts by chance (Yurdakul and Naranjo 2020, "Statistical properties of the population stability index").

    Parameters and errors as in `shares`; shares are at least 0.0001, because an empty bin would give infinity.
    """
    p, q = (np.maximum(column, _FLOOR) for _, column in shares(reference, current, bins).items())
    return float(((q - p) * np.log(q / p)).sum())


def ks(reference: pd.Series, current: pd.Series) -> tuple[float, float]:
    """Return the Kolmogorov-Smirnov distance of one numeric feature, and its p-value.

    The distance is the largest gap between the two cumulative distributions, 0 to 1 (Hodges 1958, "The significance
    probability of the Smirnov two-sample test"). Missing values are left out.

    Parameters and errors as in `shares`; also when the feature holds no numbers.
    """
    first, second = _pair(reference, current)
    if not all(pd.api.types.is_numeric_dtype(v) for v in (first, second)):
        raise CourseError(
            f"{first.name!r} holds {first.dtype}, and KS compares numbers. Use chi_square for categories."
        )
    found = stats.ks_2samp(first.dropna(), second.dropna())
    return float(found.statistic), float(found.pvalue)


def chi_square(reference: pd.Series, current: pd.Series) -> tuple[float, float]:
    """Return Cramér's V of one categorical feature, and the p-value of the chi-square test.

    The test asks whether the categories are as frequent now as in the reference (Pearson 1900). V scales its
    statistic to 0 … 1, so that windows of different size can be compared (Cramér 1946, "Mathematical Methods of
    Statistics"); with two samples it is ``sqrt(chi2 / n)``. Missing values are a category of their own.

    Parameters and errors as in `shares`.
    """
    first, second = _pair(reference, current)
    codes, names = _binned(first.astype(object), second.astype(object), bins=10)
    table = np.stack([np.bincount(part, minlength=len(names)) for part in (codes[: len(first)], codes[len(first) :])])
    table = table[:, table.sum(axis=0) > 0]
    found = stats.chi2_contingency(table, correction=False)
    return float(np.sqrt(found.statistic / table.sum())), float(found.pvalue)


def drift(reference: pd.DataFrame, current: pd.DataFrame, features: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the drift of each feature between reference and one window.

    Parameters
    ----------
    reference, current
        Rows that the model was trained on, and rows of the window; columns are features.
    features
        Columns to compare; all columns of the reference when not given.

    Returns
    -------
    DataFrame, indexed by feature
        ``psi``; ``test`` ("KS" for numbers, "chi-square" for categories and features with two values); ``distance``
        (KS distance or Cramér's V, 0 to 1); ``p``.

    Raises
    ------
    CourseError
        When a column is missing, a window is empty, or a feature does not vary in the reference.
    """
    rows = []
    for name in features if features is not None else reference.columns:
        first, second = _column(reference, name, "reference"), _column(current, name, "window")
        test = "KS" if _numeric(first) else "chi-square"
        distance, p = (ks if test == "KS" else chi_square)(first, second)
        rows.append({"feature": name, "psi": psi(first, second), "test": test, "distance": distance, "p": p})
    if not rows:
        raise CourseError("There is no feature to compare. Name at least one column.")
    return pd.DataFrame(rows).set_index("feature")


def by_window(
    reference: pd.DataFrame, stream: pd.DataFrame, window: str = "week", features: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return the drift of each feature in each window; ``by_window(…)["psi"].unstack(sort=False)`` is a heat map.

    Parameters
    ----------
    reference, features
        As in `drift`; without `features`, the columns that the reference shares with the stream are compared.
    stream
        Rows of all windows, with the column `window`.
    window
        Column that says which window a row belongs to.

    Returns
    -------
    DataFrame, indexed by feature and window, shape (n_features * n_windows, 4)
        The columns of `drift`; windows in ascending order.

    Raises
    ------
    CourseError
        As in `drift`; also when the stream has no rows or no column `window`.
    """
    _column(stream, window, "stream")
    if features is None:
        features = [c for c in reference.columns if c in stream.columns and c != window]
    found = {number: drift(reference, rows, features) for number, rows in stream.groupby(window, sort=True)}
    return pd.concat(found, names=[window]).swaplevel()


def first_alert(values: pd.Series, limit: float, in_a_row: int = 2, above: bool = True) -> object | None:
    """Return the window in which an alert rule fires first, or None.

    The rule: `in_a_row` consecutive windows beyond the limit. One window alone may be chance; a drift stays.

    Parameters
    ----------
    values
        One value a window, indexed by window in ascending order; missing values (labels not there yet) break a row.
    limit
        A value beyond it counts.
    in_a_row
        Consecutive windows that are needed.
    above
        Whether *high* values alarm (drift) or low ones (a score).

    Raises
    ------
    CourseError
        When there are no values or `in_a_row` is not positive.
    """
    if values.empty or in_a_row < 1:
        raise CourseError(f"There are {len(values)} windows and in_a_row is {in_a_row}; an alert needs one of each.")
    count = 0
    for window, value in values.items():
        count = count + 1 if (value > limit if above else value < limit) else 0
        if count == in_a_row:
            return window
    return None
