"""Tables of one's own: nothing is guessed silently, whatever a spreadsheet has written."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, seed, settings

from course_utils import data
from course_utils._plumbing import tables
from course_utils._plumbing.tables import Wishes
from course_utils.errors import CourseError
from tests.notebooks import course_here
from tests.odd_tables import OddTable, judge, odd_tables

CASE = Path(__file__).parents[1] / "cases/decimal_comma_column"


@pytest.fixture
def write(tmp_path):
    """Write a table of 60 rows with two harmless columns, and with those that are given."""

    def write(encoding: str = "utf-8", separator: str = ",", target: object = None, **columns: object) -> Path:
        rng = np.random.default_rng(4)
        table = pd.DataFrame({"visits": rng.integers(0, 9, 60), "town": rng.choice(["Köln", "Brno"], 60)})
        table = table.assign(
            **columns, left=["yes" if v % 3 == 0 else "no" for v in range(60)] if target is None else target
        )
        path = tmp_path / "mine.csv"
        table.to_csv(path, index=False, sep=separator, encoding=encoding)
        return path

    return write


def load(path: Path, **wishes: object) -> tuple[data.Split, dict[str, tables.Column]]:
    split = data.load_and_split_data(path, "left", wishes=Wishes(**wishes))
    return split, {column.name: column for column in split.columns}


@seed(20261128)
@settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(odd_tables())
def test_of_generated_tables_none_is_read_wrong_without_a_word(table: OddTable):
    with tempfile.TemporaryDirectory() as folder:
        verdict = judge(table, Path(folder))
    assert not verdict.startswith("WRONG"), f"{verdict}\n{table.kinds}"


def test_the_decimal_comma_gives_the_same_table_as_the_point():
    """Case decimal_comma_column."""
    (comma, told), (point, _) = (load(CASE / f"{name}.csv") for name in ("decimal_comma", "plain"))
    pd.testing.assert_frame_equal(comma.X_train, point.X_train)
    assert told["fee"] == tables.Column("fee", "numeric", 0, "decimal comma")


def test_the_command_says_how_it_read_each_column_and_keeps_it_with_the_run(course_home):
    """Case decimal_comma_column."""
    path = shutil.copy(CASE / "decimal_comma.csv", course_home / "stay or go.csv")
    words = ["--data", path, "--target", "left", "--positive", "ja", "--fast", "--output", course_home / "files"]
    done = course_here("workflow", *words)
    assert done.returncode == 0, done.stderr
    assert "How stay or go was read" in done.stdout and "decimal comma" in done.stdout
    assert "Class to find: 'ja'" in done.stdout
    assert "calibrated_logistic_regression_stay_or_go, version 1" in " ".join(done.stdout.split())
    mlflow.set_tracking_uri(f"sqlite:///{course_home / 'mlflow.db'}")
    (run,) = mlflow.search_runs(experiment_names=["ml_workflow_demo"], filter_string="tags.positive_class = 'ja'")[
        "run_id"
    ]
    kept = mlflow.artifacts.load_text(f"runs:/{run}/columns.csv")
    assert "fee,numeric,0,decimal comma" in kept and "left,target" in kept
    named = course_here("workflow", *words, "--name", "leavers")
    assert named.returncode == 0 and "leavers, version 1" in " ".join(named.stdout.split())
    wrong = course_here("workflow", *words, "--name", "a/b")
    assert wrong.returncode == 2 and "name is 'a/b'" in wrong.stderr


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_separators_and_encodings_are_recognised_and_told(write, separator, encoding):
    split, _ = load(write(encoding, separator))
    assert set(split.X_train["town"]) == {"Köln", "Brno"}
    words = " ".join(split.notes)
    assert ("separator" in words) == (separator != ",") and ("Windows-1252" in words) == (encoding == "cp1252")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a;b,left\n1;2,yes\n3;4,no\n", "without a guess: every line splits evenly at each comma or semicolon"),
        ("a,a,left\n1,2,yes\n", "more than one column named 'a'"),
        ("a,left\n1,yes,3\n", "line 2 has 3 values"),
        ("a,left\n1\n", "line 2 has 1 values"),
        ('a,left\n"1,yes\n', "cannot be read as CSV"),
        ("left\nyes\nno\n", "nothing to predict it from"),
    ],
)
def test_a_file_that_could_be_read_in_two_ways_is_refused(tmp_path, content, message):
    path = tmp_path / "odd.csv"
    path.write_text(content)
    with pytest.raises(CourseError, match=message):
        data.load_and_split_data(path, "left")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (lambda i: f"{i + 1},{i * 7 % 1000:03d}", "comma may stand for thousands or for decimals"),
        (lambda i: f"{i % 12 + 1}/{i % 11 + 1}/2024", "day and month cannot be told apart"),
        (lambda i: f"3{i % 2}.02.2024", "one that no calendar has"),
        (lambda i: f"{i % 28 + 1}/03/24", "read in more than one way"),
        (lambda i: f"{i * 3} %", "a sign or a unit"),
        (lambda i: "unknown" if i % 20 == 0 else str(i % 7), "numbers in 57 of 60 rows, and 'unknown' in the others"),
        (lambda i: f"{i}.5" if i % 2 else f"{i},5", "some|decimal points and others with commas"),
    ],
)
def test_a_column_in_doubt_is_refused_by_name_until_somebody_decides(write, cells, message):
    path = write(odd=[cells(i) for i in range(60)])
    with pytest.raises(CourseError, match=message) as told:
        load(path)
    assert "'odd'" in str(told.value) and "--drop 'odd'" in str(told.value) and "\n" not in str(told.value)
    assert "odd" not in load(path, drop=("odd",))[0].X_train
    assert load(path, category=("odd",))[1]["odd"].kind == "category"


def test_ids_constants_and_codes_are_told_apart_from_measurements(write):
    rows = range(60)
    path = write(
        row=list(rows),
        client_id=[i % 30 * 1000 for i in rows],
        branch_id=[i % 4 for i in rows],
        key=[f"k{i * 7919 % 6007}" for i in rows],
        currency="EUR",
        zip=[f"0{1000 + i % 5}" for i in rows],
        amount=[i * 37 % 1000 * 3 for i in rows],
    )
    split, told = load(path)
    kinds = {name: column.kind for name, column in told.items()}
    assert kinds == {
        **{"visits": "numeric", "town": "category", "row": "id", "client_id": "id", "branch_id": "category"},
        **{"key": "id", "currency": "dropped", "zip": "category", "amount": "numeric", "left": "target"},
    }
    assert set(split.X_train) == {"visits", "town", "branch_id", "zip", "amount"}
    assert "if it is an id, leave it out with --drop" in told["amount"].note and "codes" in told["zip"].note
    again, told = load(path, numeric=("row", "zip"), category=("key",))
    assert again.X_train["row"].dtype == again.X_train["zip"].dtype == float and told["key"].kind == "category"
    with pytest.raises(CourseError, match="--numeric names 'key', but 60 values"):
        load(path, numeric=("key",))
    with pytest.raises(CourseError, match="--drop names 'kee', which is no column"):
        load(path, drop=("kee",))


@pytest.mark.parametrize(
    "leak",
    [
        lambda left: ["churn" if v == "yes" else "stay" for v in left],
        lambda left: [i / 100 + (v == "yes") for i, v in enumerate(left)],
        lambda left: ["2024-05-01" if v == "yes" else "" for v in left],
        lambda left: [f"2024-05-{i % 28 + 1:02d}" if v == "yes" else "" for i, v in enumerate(left)],
    ],
    ids=["a copy", "a score", "a date that only leavers have", "dates that only leavers have"],
)
def test_a_column_that_alone_tells_the_target_is_refused_by_name(write, leak):
    left = ["yes" if v % 3 == 0 else "no" for v in range(60)]
    path = write(after=leak(left))
    try:
        _, told = load(path)
        assert told["after"].kind == "dropped", "one value and gaps"
    except CourseError as error:
        assert "'after' alone tells 'left' in every row" in str(error)
        assert load(path, allow_leak=("after",))[1]["after"].kind == "leaking"
        assert "after" not in load(path, drop=("after",))[0].X_train


def test_a_number_that_nearly_tells_the_target_is_pointed_out(write):
    left = ["yes" if v % 3 == 0 else "no" for v in range(200)]
    score = [i / 1000 + (v == "yes") for i, v in enumerate(left)]
    score[0] = 0.0005  # one row that the limit gets wrong
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"visits": rng.integers(0, 9, 200), "score": score, "left": left})
    path = write()
    frame.to_csv(path, index=False)
    told = load(path)[1]
    assert "alone it tells 99.5% of the rows' 'left'" in told["score"].note and not told["visits"].note


def test_the_rarer_class_is_the_one_to_find_and_another_can_be_chosen(write):
    path = write(target=["away" if v % 4 == 0 else "zone" for v in range(60)])
    split, _ = load(path)
    assert split.classes == ("zone", "away") and split.y_train.mean() == pytest.approx(0.25)
    assert load(path, positive="zone")[0].classes == ("away", "zone")
    with pytest.raises(CourseError, match="--positive 'gone' is no class of 'left' in mine; those are away, zone"):
        load(path, positive="gone")
    even = write(target=["away" if v % 2 else "zone" for v in range(60)])
    with pytest.raises(CourseError, match="equally many rows.*--positive 'zone'"):
        load(even)
    assert load(write(target=["no" if v % 2 else "yes" for v in range(60)]))[0].classes == ("no", "yes")
    assert data.load_and_split_data("breast_cancer", wishes=Wishes(positive="benign")).classes == (
        "malignant",
        "benign",
    )


def test_rows_without_a_label_go_only_when_asked(write):
    path = write(target=["NA" if v < 5 else "yes" if v % 3 == 0 else "no" for v in range(60)])
    with pytest.raises(CourseError, match="missing in 5 of 60 rows.*--drop-missing-target"):
        load(path)
    split, _ = load(path, drop_missing_target=True)
    assert len(split.X_train) + len(split.X_test) == 55
    assert split.notes == ("missing values: cells that hold NA count as empty",)


def test_classes_that_differ_in_capital_letters_only_are_no_two_classes(write):
    with pytest.raises(CourseError, match="differ only in capital letters"):
        load(write(target=["Yes" if v % 3 else "yes" for v in range(60)]))


@pytest.mark.parametrize("decimal", [".", ","])
def test_a_target_of_measurements_is_named_as_such_and_not_as_hundreds_of_classes(write, decimal):
    with pytest.raises(CourseError, match="holds 30 different numbers, from 0.5 to 29.5: a measurement"):
        load(write(target=[f"{i % 30}{decimal}5" for i in range(60)]))
    with pytest.raises(CourseError, match="has 30 classes"):
        load(write(target=[f"k{i % 30}" for i in range(60)]))


def test_parquet_has_types_and_the_same_questions_are_asked(tmp_path):
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "fee": [f"{v:.2f}".replace(".", ",") for v in rng.gamma(2, 20, 80)],
            "since": pd.date_range("2024-01-01", periods=80, tz="UTC"),
            "open": pd.to_timedelta(rng.integers(1, 9, 80), unit="h"),
            "town": pd.Categorical(rng.choice(["a", "b"], 80)),
            "count": pd.array([None, *rng.integers(0, 9, 79)], dtype="Int64"),
            "left": rng.random(80) < 0.3,
        }
    )
    table.to_parquet(tmp_path / "t.parquet")
    split, told = load(tmp_path / "t.parquet")
    assert Counter(column.kind for column in told.values()) == {"numeric": 3, "date": 1, "category": 1, "target": 1}
    assert split.classes == (False, True) and split.X_train["open"].between(3600, 8 * 3600).all()
    table.assign(pairs=[[1, 2]] * 80).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(CourseError, match="'pairs' of t holds lists or records"):
        load(tmp_path / "t.parquet")
