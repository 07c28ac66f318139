"""The column to predict: the task is told, or asked for in one sentence, and a copy of the target is found in each."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from sklearn import datasets

from course_utils import data
from course_utils._plumbing import leaks, targets
from course_utils._plumbing.tables import Wishes
from course_utils.errors import CourseError

ROWS = 120


def told(values: list, task: str = "auto") -> targets.Target:
    return targets.read(pd.Series(values), "y", "mine", task)


def cycle(*values: object, rows: int = ROWS) -> list:
    return [values[place % len(values)] for place in range(rows)]


@pytest.mark.parametrize(
    ("values", "task", "words"),
    [
        (cycle("yes", "no"), "binary", "2 classes (no, yes)"),
        (cycle("0", "1"), "binary", "2 classes (0, 1)"),
        (cycle("a", "b", "c"), "multiclass", "3 classes (a, b, c)"),
        (cycle(*[f"k{i}" for i in range(60)]), "multiclass", "60 classes (k0, k1,"),
        (cycle("01", "02", "10"), "multiclass", "3 classes (01, 02, 10)"),
        (cycle("1", "2", "3+"), "multiclass", "3 classes (1, 2, 3+)"),
        ([str(i * 7 % 120 * 2) for i in range(ROWS)], "regression", "120 different whole numbers from 0 to 238"),
        ([f"{i / 8:.3f}" for i in range(ROWS)], "regression", "120 different numbers from 0 to 14.875"),
        ([f"{i},25" for i in range(ROWS)], "regression", "decimal comma"),
        ([f"{i}.{i % 900 + 100},5" for i in range(1, ROWS)], "regression", "points between thousands, decimal comma"),
        ([Decimal(i) / 4 for i in range(ROWS)], "regression", "from 0 to 29.75"),
    ],
)
def test_the_task_is_told_from_the_target_and_the_sentence_says_how_to_change_it(values, task, words):
    found = told(values)
    assert found.task == task
    assert (
        words in found.told and task in found.told and "told from its values" in found.told and "--task" in found.told
    )
    if task == "regression":
        assert found.labels.dtype == float


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            cycle("1", "2", "3", "4", "5"),
            r"holds 5 different numbers \(1, 2, 3, 4, 5\), which may be names of classes",
        ),
        (cycle(0.5, 1.0, 1.5), "holds 3 different numbers"),
        ([str(i) for i in range(ROWS)], "counts the rows, like an id"),
        (["unknown" if i % 9 == 0 else str(i * 3) for i in range(ROWS)], "is no number in 14 of 120 rows .'unknown'"),
        ([f"{i % 7 + 1},{i * 7 % 1000:03d}" for i in range(ROWS)], "comma may stand for thousands or for decimals"),
        ([f"2024-{i % 12 + 1:02d}-{i % 28 + 1:02d}" for i in range(ROWS)], "holds dates"),
        (["inf" if i == 3 else str(i * 3) for i in range(ROWS)], "is infinite in 1 of 120 rows"),
        (cycle("x"), "has one value, 'x', in all 120 rows"),
        ([f"name {i}" for i in range(ROWS)], "a different value in each of its 120 rows"),
        (cycle("Yes", "yes", "no"), "differ only in capital letters"),
        ([*cycle("a", "b", rows=119), "c"], "The class 'c' of 'y' has one row in mine"),
        ([f"k{i % 118}" for i in range(2 * 118)], "has 118 classes, and the workflow tells 100 apart at most"),
    ],
)
def test_what_is_in_doubt_or_cannot_work_is_one_sentence(values, message):
    with pytest.raises(CourseError, match=message) as caught:
        told(values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        (cycle("a", "b", "c"), "binary", "has 3 classes .a, b, c.*--task multiclass"),
        ([i / 4 for i in range(ROWS - 60)] * 2, "binary", "a measurement, which takes a regression: --task regression"),
        (cycle("a", "b"), "multiclass", "has two classes .a, b., and --task multiclass is for three or more"),
        ([i / 4 for i in range(ROWS - 60)] * 2, "multiclass", "with decimals: amounts.*--task regression"),
        (cycle("a", "b", "c"), "regression", "is no number in 120 of 120 rows.*--task multiclass"),
        (cycle("01", "02", "10"), "regression", "is no number in 80 of 120 rows"),
        (cycle(True, False), "regression", "is no number in 120 of 120 rows"),
        (cycle(7), "regression", "has one value, 7, in all 120 rows. A regression needs different ones"),
        ([np.inf, *range(1, ROWS)], "regression", "is infinite in 1 of 120 rows"),
        ([1e300, *range(1, ROWS)], "regression", "whose square is no number any more"),
        (cycle("a", "b"), "ranking", "--task is 'ranking'; it is one of binary, multiclass, regression"),
    ],
)
def test_a_task_that_does_not_fit_is_refused_with_the_one_that_does(values, task, message):
    with pytest.raises(CourseError, match=message):
        told(values, task)


def test_what_was_in_doubt_is_settled_by_the_task():
    rating = cycle("1", "2", "3", "4", "5")
    assert told(rating, "multiclass").labels.tolist()[:5] == [1, 2, 3, 4, 5]
    assert told(rating, "regression").labels.dtype == float
    assert told([str(i) for i in range(ROWS)], "regression").task == "regression"
    assert "as asked" in told(rating, "multiclass").told


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_the_option_for_two_classes_is_refused_for_the_others(tmp_path, task):
    path = tmp_path / "mine.csv"
    pd.DataFrame({"x": [v * 37 % 101 for v in range(100)], "y": [v % 5 for v in range(100)]}).to_csv(path, index=False)
    with pytest.raises(CourseError, match="--positive names the one of two classes"):
        data.load_and_split_data(path, "y", task=task, wishes=Wishes(positive="1"))


def test_the_course_knows_what_its_own_sets_ask_for():
    tasks = {name: data.load_and_split_data(name, task="auto").task for name in (*data.BUNDLED, "churn", "synthetic")}
    assert tasks == {
        **dict.fromkeys(("breast_cancer", "churn", "synthetic"), "binary"),
        **dict.fromkeys(("digits", "iris", "wine"), "multiclass"),
        "diabetes": "regression",
    }
    assert data.load_and_split_data("iris", task="auto").classes == ("setosa", "versicolor", "virginica")
    assert data.load_and_split_data("iris", "sepal_length_(cm)", task="auto").task == "regression"


def test_classes_are_split_with_their_shares_and_amounts_plainly(tmp_path):
    split = data.load_and_split_data("wine", task="auto")
    shares = [y.value_counts(normalize=True).sort_index() for y in (split.y_train, split.y_test)]
    assert np.allclose(*shares, atol=0.02) and set(split.y_train) == set(split.classes)
    path = tmp_path / "amounts.csv"
    frame = datasets.load_diabetes(as_frame=True).frame
    frame.loc[::50, "target"] = np.nan
    frame.to_csv(path, index=False, sep=";", decimal=",")
    with pytest.raises(CourseError, match="missing in 9 of 442 rows.*--drop-missing-target"):
        data.load_and_split_data(path, "target", task="auto")
    split = data.load_and_split_data(path, "target", task="auto", wishes=Wishes(drop_missing_target=True))
    assert len(split.y_train) + len(split.y_test) == 433 and split.classes == ()
    assert sorted([*split.y_train, *split.y_test]) == sorted(frame["target"].dropna())


CELLS = st.one_of(
    st.sampled_from(
        ["yes", "No", "0", "1", "007", "1,5", "1.5", "1,234", "1.234,5", "inf", "-inf", "1e308", "2024-02-30", "ä"]
    ),
    st.integers(-9, 9).map(str),
    st.floats(-1e6, 1e6).map(lambda v: f"{v:.3f}"),
    st.text(st.characters(exclude_categories=("C",)), min_size=1, max_size=4),
)
TYPED = st.one_of(
    st.lists(CELLS, min_size=1, max_size=60),
    st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=60),
    st.lists(st.floats(allow_nan=False), min_size=1, max_size=60),
    st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=60),
    st.lists(st.booleans(), min_size=1, max_size=60),
    st.lists(
        st.one_of(st.booleans(), st.integers(0, 3), st.sampled_from(["a", "b"]), st.dates()), min_size=1, max_size=60
    ),
    st.lists(st.datetimes().map(pd.Timestamp), min_size=1, max_size=60),
    st.lists(st.decimals(-100, 100, places=2), min_size=1, max_size=60),
)


@seed(20261129)
@settings(max_examples=300, deadline=None, database=None)
@given(TYPED, st.sampled_from(["auto", *targets.TASKS]))
def test_whatever_a_target_holds_it_is_read_or_refused_in_one_line(values, task):
    try:
        found = targets.read(pd.Series(values), "y", "mine", task)
    except CourseError as error:
        assert "\n" not in str(error) and "np." not in str(error)
        return
    assert task in ("auto", found.task) and len(found.labels) == len(values) and found.labels.notna().all()
    different = found.labels.nunique()
    if found.task == "regression":
        assert found.labels.dtype == float and np.isfinite(found.labels).all() and different > 1
    else:
        assert (different == 2) == (found.task == "binary") and found.labels.value_counts().min() > 1
        if task == "auto" and found.task == "multiclass":
            assert not pd.api.types.is_numeric_dtype(found.labels), "numbers could be amounts"


# ------------------------------------------------------------------------------------------------------- leaks


RNG = np.random.default_rng(3)
PRICE = pd.Series(RNG.gamma(3, 100_000, ROWS).round(-2))
KIND = pd.Series(RNG.choice(["a", "b", "c"], ROWS))
NOISE = pd.Series(RNG.normal(size=ROWS))


def judge(values: pd.Series, labels: pd.Series, task: str, allowed: bool = False) -> tuple[str, str]:
    return leaks.judge(values, labels, "col", "y", "numeric", "", allowed, task)


@pytest.mark.parametrize(
    ("values", "labels", "task"),
    [
        (PRICE * 1.19, PRICE, "regression"),
        (-PRICE + 7, PRICE, "regression"),
        (np.log(PRICE), PRICE, "regression"),
        (PRICE.round(-3), PRICE, "regression"),
        ((PRICE * 2).where(NOISE < 1), PRICE, "regression"),
        ((PRICE // 90_000).map(lambda v: f"band {v:.0f}"), PRICE // 90_000, "regression"),
        ((PRICE // 90_000 * 7 % 11).astype(float), PRICE // 90_000, "regression"),
        (KIND.map({"a": "x", "b": "y", "c": "z"}), KIND, "multiclass"),
        (KIND.map({"a": 2.0, "b": 1.0, "c": 3.0}), KIND, "multiclass"),
        (KIND.map({"a": 20.0, "b": 10.0, "c": 30.0}) + NOISE.clip(-3, 3), KIND, "multiclass"),
        (KIND.map({"a": "x", "b": "y"}), KIND, "multiclass"),
    ],
    ids=[
        *("in another unit", "turned round", "its logarithm", "rounded", "with gaps", "as bands", "as codes"),
        *("a copy in words", "a copy in numbers", "ranges of a score", "one class by its gaps"),
    ],
)
def test_a_copy_of_the_target_is_refused_by_name_for_each_task(values, labels, task):
    with pytest.raises(CourseError, match="'col' alone .*tells 'y'.*--drop 'col', or keep it with --allow-leak 'col'"):
        judge(values, labels, task)
    kind, note = judge(values, labels, task, allowed=True)
    assert kind == "leaking" and note.endswith("kept as asked")


def test_one_outlier_and_columns_of_many_values_are_no_leak():
    outlier, amounts = NOISE.copy(), pd.Series(RNG.normal(size=ROWS))
    outlier[5] = amounts[5] = 1e9
    many = pd.Series(RNG.integers(0, 40, ROWS)).map(str)
    for values in (outlier, NOISE, many, pd.Series(np.arange(ROWS, dtype=float)), NOISE.where(NOISE > 0)):
        assert judge(values, amounts, "regression") == ("numeric", "")
        assert judge(values, KIND, "multiclass") == ("numeric", "")


def test_what_nearly_tells_the_target_is_pointed_out():
    nearly = PRICE * (1 + 0.08 * NOISE.clip(-1, 1))
    assert "alone it explains 9" in judge(nearly, PRICE, "regression")[1]
    labels = pd.Series(cycle("a", "b", "c", rows=300))
    score = labels.map({"a": 0.0, "b": 1.0, "c": 2.0}) + pd.Series(RNG.random(300)) / 2
    score[0] = 1.7
    assert "alone it tells 99.7% of the rows' 'y'" in judge(score, labels, "multiclass")[1]
    only = pd.Series(RNG.normal(size=ROWS)).where(KIND == "b")
    assert "it is filled in the rows of 'b' and in no other" in judge(only, KIND, "multiclass")[1]


@pytest.mark.parametrize("name", ["iris", "wine", "diabetes", "digits"])
def test_no_column_of_a_real_set_is_taken_for_a_leak(name, tmp_path):
    path = tmp_path / f"{name}.csv"
    data.bundled(name).to_csv(path, index=False)
    split = data.load_and_split_data(path, "target", task="regression" if name == "diabetes" else "multiclass")
    assert not [column for column in split.columns if "alone" in column.note]
