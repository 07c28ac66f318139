"""Drift measures: they are silent when nothing moves, speak when something does, and refuse what cannot be compared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from course_utils import data, monitoring
from course_utils.errors import CourseError


def numbers(n: int = 500, shift: float = 0.0, seed: int = 0) -> pd.Series:
    return pd.Series(np.random.default_rng(seed).normal(shift, 1.0, n), name="charges")


def words(*shares: float, n: int = 300) -> pd.Series:
    return pd.Series(np.repeat(["a", "b", "c"][: len(shares)], [round(n * s) for s in shares]), name="contract")


def test_psi_of_the_same_rows_is_zero_and_grows_with_the_shift():
    found = [monitoring.psi(numbers(), numbers(shift=s, seed=1)) for s in (0.0, 0.5, 1.0, 2.0)]
    assert monitoring.psi(numbers(), numbers()) == pytest.approx(0.0)
    assert found[0] < 0.1 < found[1] < found[2] < found[3]


def test_psi_is_the_published_sum():
    then, now = words(0.5, 0.3, 0.2), words(0.2, 0.3, 0.5)
    assert monitoring.psi(then, now) == pytest.approx(2 * (0.5 - 0.2) * np.log(0.5 / 0.2))


def test_psi_stays_finite_for_a_category_that_is_new_or_gone():
    assert 1 < monitoring.psi(words(0.5, 0.5), words(0.4, 0.3, 0.3)) < 10
    assert 1 < monitoring.psi(words(0.4, 0.3, 0.3), words(0.5, 0.5)) < 10


def test_a_feed_that_loses_values_drifts():
    holes = numbers().where(np.arange(500) % 3 > 0)
    assert monitoring.psi(numbers(), holes) > 0.25
    assert monitoring.shares(numbers(), holes)["current"].sum() == pytest.approx(1.0)
    assert monitoring.shares(numbers(), holes).loc["missing", "current"] == pytest.approx(167 / 500)


def test_ks_is_the_largest_gap_between_the_distributions():
    distance, p = monitoring.ks(numbers(), numbers(shift=1.0, seed=1))
    assert distance == pytest.approx(stats.ks_2samp(numbers(), numbers(shift=1.0, seed=1)).statistic)
    assert distance > 0.3 and p < 1e-6


def test_cramers_v_does_not_grow_with_the_number_of_rows():
    small = monitoring.chi_square(words(0.5, 0.5), words(0.3, 0.7))
    large = monitoring.chi_square(words(0.5, 0.5, n=3000), words(0.3, 0.7, n=3000))
    assert small[0] == pytest.approx(large[0]) and large[1] < small[1]
    assert monitoring.chi_square(words(0.5, 0.5), words(0.5, 0.5)) == pytest.approx((0.0, 1.0))


def test_categories_given_as_numbers_are_compared_as_categories():
    then, now = (pd.Series(v, name="plan") for v in ([1, 2, 3] * 50, [1, 1, 3] * 50))
    distance, _ = monitoring.chi_square(then, now)
    assert distance > 0.3


def test_data_drift_shows_where_it_is_and_concept_drift_nowhere():
    spring = data.churn_split(1200).X_train
    for kind, moved in (("data", {"monthly_charges", "internet"}), ("concept", set()), ("none", set())):
        found = monitoring.by_window(spring, data.churn_stream(5, 300, drift_week=4, kind=kind, seed=3))
        psi = found["psi"].unstack(sort=False)
        assert list(psi.columns) == [1, 2, 3, 4, 5] and list(psi.index) == list(spring.columns)
        assert set(psi.index[(psi[[4, 5]] > 0.1).all(axis=1)]) == moved, kind
        assert (psi[[1, 2, 3]] < 0.1).all(axis=None)


def test_the_test_fits_the_kind_of_feature():
    spring = data.churn_split(400).X_train
    tests = monitoring.drift(spring, spring)["test"]
    assert tests["tenure_months"] == "KS" and tests["contract"] == "chi-square" and tests["senior"] == "chi-square"


@pytest.mark.parametrize(
    ("values", "options", "fires"),
    [
        ([0.1, 0.9, 0.1, 0.9, 0.9, 0.9], {}, 5),
        ([0.1, 0.9, 0.1, 0.9], {}, None),
        ([0.9, 0.1, 0.1], {"above": False}, 3),
        ([0.1, 0.9], {"in_a_row": 1}, 2),
        ([0.9, float("nan"), 0.9], {}, None),
    ],
)
def test_an_alert_needs_windows_in_a_row(values, options, fires):
    week = pd.Series(values, index=range(1, len(values) + 1))
    assert monitoring.first_alert(week, 0.5, **options) == fires


def test_a_missing_column_is_named_with_what_is_there():
    table = pd.DataFrame({"charges": numbers()})
    with pytest.raises(CourseError, match="window has no column 'charges'.*it has price"):
        monitoring.drift(table, table.rename(columns={"charges": "price"}))
    with pytest.raises(CourseError, match="stream has no column 'week'"):
        monitoring.by_window(table, table)


@pytest.mark.parametrize("measure", [monitoring.psi, monitoring.ks, monitoring.chi_square, monitoring.shares])
def test_an_empty_window_is_refused(measure):
    with pytest.raises(CourseError, match="'charges'|window has no rows"):
        measure(numbers(), numbers()[:0])
    with pytest.raises(CourseError, match="only missing values in the window"):
        measure(numbers(), numbers() * np.nan)


@pytest.mark.parametrize("measure", [monitoring.psi, monitoring.ks, monitoring.chi_square])
def test_a_constant_reference_is_refused(measure):
    with pytest.raises(CourseError, match="'charges' has one value, 7.0, in all 20 reference rows"):
        measure(pd.Series([7.0] * 20, name="charges"), numbers())


def test_numbers_and_text_are_not_compared():
    with pytest.raises(CourseError, match="KS compares numbers"):
        monitoring.ks(words(0.5, 0.5), words(0.5, 0.5))
    with pytest.raises(CourseError, match="holds numbers in the reference"):
        monitoring.psi(numbers(), numbers().astype(str))


def test_no_feature_and_no_window_are_refused():
    table = pd.DataFrame({"charges": numbers(), "week": 1})
    with pytest.raises(CourseError, match="no feature to compare"):
        monitoring.drift(table, table, features=[])
    with pytest.raises(CourseError, match="stream has no rows"):
        monitoring.by_window(table[["charges"]], table[:0])
    with pytest.raises(CourseError, match="0 windows"):
        monitoring.first_alert(pd.Series(dtype=float), 0.5)
