"""Data sets and splits: what is wrong with a table is told before anything is learned from it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from course_utils import data
from course_utils.errors import CourseError


@pytest.fixture
def customers() -> pd.DataFrame:
    """Numbers with gaps and infinity, text, booleans, a date, and a label in words."""
    rng = np.random.default_rng(0)
    n = 60
    table = pd.DataFrame(
        {
            "calls": rng.integers(0, 5, n),
            "price": rng.normal(50, 10, n),
            "senior": rng.random(n) < 0.3,
            "contract": rng.choice(["month", "year"], n),
            "since": pd.date_range("2024-01-01", periods=n),
            "churned": np.where(rng.random(n) < 0.4, "yes", "no"),
        }
    )
    table.loc[0, "price"] = np.nan
    table.loc[1, "price"] = np.inf
    table.loc[2, "contract"] = None
    return table


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_of_ones_own_becomes_numbers_text_and_two_classes(customers, tmp_path, ending):
    path = tmp_path / f"customers.{ending}"
    customers.to_csv(path, index=False) if ending == "csv" else customers.to_parquet(path)
    split = data.load_and_split_data(path, "churned", seed=1)
    assert split.classes == ("no", "yes") and set(split.y_train) == {0, 1}
    assert (len(split.X_train), len(split.X_test)) == (48, 12)
    both = pd.concat([split.X_train, split.X_test])
    assert both[["calls", "price", "senior"]].dtypes.eq(float).all()
    assert both["price"].isna().sum() == 2, "a gap stays a gap, and infinity is none of our numbers"
    assert set(both["contract"].dropna()) == {"month", "year"} and both["contract"].isna().sum() == 1
    labels = pd.concat([split.y_train, split.y_test]).sort_index()
    assert labels.tolist() == (customers["churned"] == "yes").astype(int).tolist()


def test_both_parts_have_the_same_share_of_each_class():
    split = data.load_and_split_data("synthetic", n_rows=500, seed=3)
    assert split.X_train.shape == (400, 20) and split.X_test.shape == (100, 20)
    assert split.y_train.mean() == pytest.approx(split.y_test.mean(), abs=0.01)
    assert not set(split.X_train.index) & set(split.X_test.index)


def test_the_synthetic_set_has_its_share_of_gaps_and_a_seed():
    table = data.synthetic(2000, 20, missing=0.05, seed=7)
    assert table.drop(columns="target").isna().mean().mean() == pytest.approx(0.05, abs=0.005)
    pd.testing.assert_frame_equal(table, data.synthetic(2000, 20, missing=0.05, seed=7))
    assert not table.equals(data.synthetic(2000, 20, missing=0.05, seed=8))


def test_churn_of_the_same_seed_is_the_same_and_about_one_in_four_leaves():
    pd.testing.assert_frame_equal(data.churn(300, seed=2), data.churn(300, seed=2))
    assert 0.2 < data.churn(4000)[data.CHURN_TARGET].mean() < 0.32
    gaps = data.churn(1000, missing=0.1).isna().mean()
    assert gaps["tenure_months"] == pytest.approx(0.1, abs=0.03) and gaps["contract"] == 0


def test_the_stream_changes_only_from_its_week_on():
    calm, drifted = (data.churn_stream(6, 200, drift_week=4, kind=kind) for kind in ("none", "data"))
    early = calm["week"] < 4
    pd.testing.assert_frame_equal(calm[early], drifted[early])
    assert drifted[~early]["monthly_charges"].mean() > calm[~early]["monthly_charges"].mean() + 8
    with pytest.raises(CourseError, match="'data', 'concept'"):
        data.churn_stream(kind="sudden")


def test_the_digest_notices_one_cell_in_the_last_row_a_new_name_and_a_new_order():
    table = pd.DataFrame({"a": np.arange(20_000.0), "b": "x"})
    changed = table.copy()
    changed.loc[19_999, "a"] = 0.5
    digests = [data.digest(t) for t in (table, changed, table.rename(columns={"a": "c"}), table.iloc[::-1])]
    assert len(set(digests)) == 4 and data.digest(table.copy()) == digests[0]


def change(**columns):
    """Return a function that replaces columns of a table."""
    return lambda table: table.assign(**columns)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.drop(columns="churned"), r"has no column 'churned' to predict; it has calls, price"),
        (lambda t: t[["churned"]], "nothing to predict it from"),
        (change(churned="no"), r"has one value, 'no', in all 60 rows"),
        (change(churned=range(60)), "a different value in each of its 60 rows"),
        (change(churned=[i % 3 for i in range(60)]), r"has 3 classes \(0, 1, 2\)"),
        (change(churned=["yes", *["no"] * 59]), "The class 'yes' of 'churned' has one row"),
        (change(churned=[None, *["yes", "no"] * 29, "yes"]), "missing in 1 of 60 rows"),
        (change(price=np.nan), "column 'price' of customers holds only missing values"),
        (change(contract=None), "column 'contract' of customers holds only missing values"),
        (lambda t: t.head(0), "no rows"),
    ],
)
def test_a_table_that_cannot_work_is_refused_with_one_message(customers, tmp_path, spoil, message):
    path = tmp_path / "customers.csv"
    spoil(customers).to_csv(path, index=False)
    with pytest.raises(CourseError, match=message) as caught:
        data.load_and_split_data(path, "churned")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("gone.csv", None, "There is no file"),
        ("table.xlsx", "a,b", r"the course reads \.csv and \.parquet"),
        ("empty.csv", "", "cannot be read as CSV"),
        ("ragged.csv", "a,b\n1,2\n1,2,3,4\n", "cannot be read as CSV"),
        ("fake.parquet", "no parquet", "cannot be read as PARQUET"),
        ("two.csv", "a,y\n1,no\n2,yes\n3,no\n4,yes\n", None),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, text, message):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    if message is None:
        assert data.load_and_split_data(path, "y", test_size=0.5).classes == ("no", "yes")
        with pytest.raises(CourseError, match="too few to split 20% off"):
            data.load_and_split_data(path, "y")
        return
    with pytest.raises(CourseError, match=message):
        data.load_and_split_data(path, "y")


def test_names_that_do_not_exist_are_answered_with_those_that_do(tmp_path):
    with pytest.raises(CourseError, match="use 'synthetic', 'churn', one of breast_cancer"):
        data.load_and_split_data("titanic")
    with pytest.raises(CourseError, match="choose one of breast_cancer, diabetes"):
        data.bundled("boston")
    path = tmp_path / "a.csv"
    path.write_text("a,y\n1,no\n")
    with pytest.raises(CourseError, match=r"none is named as the target.*: a, y\."):
        data.load_and_split_data(path)
    with pytest.raises(CourseError, match="between 0 and 1"):
        data.load_and_split_data("breast_cancer", test_size=20)


def test_a_real_set_comes_with_names_that_mlflow_takes():
    split = data.load_and_split_data("breast_cancer")
    assert split.X_train.shape == (455, 30) and "mean_radius" in split.X_train
    with pytest.raises(CourseError, match="has 3 classes"):
        data.load_and_split_data("wine")


def test_the_seed_of_homework_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv("COURSE_SEED", raising=False)
    assert data.course_seed(3) == 3
    monkeypatch.setenv("COURSE_SEED", "11")
    assert data.course_seed() == 11
    monkeypatch.setenv("COURSE_SEED", "eleven")
    with pytest.raises(CourseError, match="not a whole number"):
        data.course_seed()
