"""Data sets and splits: the churn company's customers, synthetic and bundled real sets, and a learner's own file."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import datasets as sklearn_datasets
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

from course_utils._plumbing import table_files, tables, targets
from course_utils._plumbing.cells import listing
from course_utils._plumbing.tables import Column, Wishes

from .errors import CourseError

#: Name of the label column of the churn data: 1.0 for a customer who left within the next month, else 0.0.
CHURN_TARGET = "churned"
#: Real data sets that come with scikit-learn, so nothing is downloaded.
BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "wine")
#: What the targets of the course's own sets ask for, where scikit-learn's numbers alone would leave it in doubt.
_TASKS = {"diabetes": "regression", "digits": "multiclass", "iris": "multiclass", "wine": "multiclass"}

_CONTRACTS = ("month-to-month", "one-year", "two-year")
_INTERNET = ("fiber", "dsl", "none")
_PAYMENT = ("card", "transfer", "check")


@dataclass(frozen=True)
class Split:
    """Training and test rows of one data set.

    Attributes
    ----------
    X_train, X_test
        Features, shapes (n_train, n_features) and (n_test, n_features).
    y_train, y_test
        Labels 0 and 1; of more than two classes their names; numbers for a regression set.
    name
        Name of the data set.
    classes
        The labels as they were in the source; empty for regression. Of two classes the second is label 1, the one to
        find.
    digest
        `digest` of all rows before the split.
    columns, notes
        What each column of a file was taken for, and the file as a whole; empty for other sets.
    task
        ``"binary"``, ``"multiclass"`` or ``"regression"``.
    told
        How the target was read, and how that is changed, as a sentence.
    """

    X_train: pd.DataFrame
    X_test: pd.DataFrame
    y_train: pd.Series
    y_test: pd.Series
    name: str
    classes: tuple
    digest: str
    columns: tuple[Column, ...] = ()
    notes: tuple[str, ...] = ()
    task: str = "binary"
    told: str = ""


def course_seed(default: int = 0) -> int:
    """Return the data seed of homework: ``COURSE_SEED`` when set (a grader sets another), else `default`.

    Raises
    ------
    CourseError
        When ``COURSE_SEED`` is not a whole number.
    """
    text = os.environ.get("COURSE_SEED", str(default))
    try:
        return int(text)
    except ValueError:
        raise CourseError(f"COURSE_SEED is {text!r}, which is not a whole number. Unset it, or give it one.") from None


def digest(table: pd.DataFrame) -> str:
    """Return the first 16 hex digits of the SHA-256 of *all* cells, column names and row order.

    MLflow's own data set digest looks at a sample of at most 10,000 rows, so it can miss a change.
    """
    rows = pd.util.hash_pandas_object(table, index=False).to_numpy()
    head = "\x1f".join(map(str, table.columns)).encode()
    return hashlib.sha256(head + rows.tobytes()).hexdigest()[:16]


def churn(n_rows: int = 2000, seed: int = 0, missing: float = 0.0) -> pd.DataFrame:
    """Return customers of a telecom company that does not exist, drawn from a fixed model.

    Parameters
    ----------
    n_rows
        Number of customers.
    seed
        Seed of the draw; the same seed gives the same table.
    missing
        Share (0 to 1) of the values in ``tenure_months``, ``monthly_charges`` and ``data_gb`` that is missing.

    Returns
    -------
    DataFrame, shape (n_rows, 10)
        ``tenure_months`` (months), ``monthly_charges`` (euro), ``support_calls`` (in the last quarter),
        ``data_gb`` (GB a month), ``senior`` (0.0/1.0), ``paperless`` (0.0/1.0), ``contract``, ``internet``,
        ``payment`` (text) and the label ``churned`` (0.0/1.0). About one customer in four churns. Numbers are
        floats, because an integer column cannot hold a missing value in MLflow's schema.
    """
    return _churn(np.random.default_rng(seed), n_rows, missing)


def _churn(
    rng: np.random.Generator,
    n_rows: int,
    missing: float = 0.0,
    charges_shift: float = 0.0,
    fiber_share: float = 0.45,
    calls_effect: float = 0.55,
    contract_effect: float = 1.0,
) -> pd.DataFrame:
    """Draw customers; the last four arguments move the data (drift) or the rule behind the label (concept drift)."""
    contract = rng.choice(_CONTRACTS, n_rows, p=(0.55, 0.25, 0.20))
    internet = rng.choice(_INTERNET, n_rows, p=(fiber_share, 0.80 - fiber_share, 0.20))
    payment = rng.choice(_PAYMENT, n_rows, p=(0.40, 0.35, 0.25))
    senior = (rng.random(n_rows) < 0.16).astype(float)
    paperless = (rng.random(n_rows) < 0.6).astype(float)
    tenure = np.clip(rng.gamma(1.6, 16.0, n_rows) + 8.0 * (contract == "two-year"), 1, 72).round()
    base = np.select([internet == "fiber", internet == "dsl"], [75.0, 50.0], 22.0)
    charges = np.clip(base + rng.normal(0, 9, n_rows) + charges_shift, 15, 160).round(2)
    calls = rng.poisson(1.1 + 0.6 * (internet == "fiber"), n_rows).astype(float)
    data_gb = np.where(internet == "none", 0.0, rng.gamma(3.0, 9.0, n_rows)).round(1)
    score = (
        -1.55
        + contract_effect * (1.35 * (contract == "month-to-month") - 0.9 * (contract == "two-year"))
        - 0.035 * tenure
        + 0.021 * (charges - 55)
        + calls_effect * (calls - 1.3)
        + 0.35 * (payment == "check")
        + 0.30 * senior
    )
    churned = (rng.random(n_rows) < 1 / (1 + np.exp(-score))).astype(float)
    table = pd.DataFrame(
        {
            "tenure_months": tenure,
            "monthly_charges": charges,
            "support_calls": calls,
            "data_gb": data_gb,
            "senior": senior,
            "paperless": paperless,
            "contract": contract,
            "internet": internet,
            "payment": payment,
            CHURN_TARGET: churned,
        }
    )
    if missing:
        for column in ("tenure_months", "monthly_charges", "data_gb"):
            table.loc[rng.random(n_rows) < missing, column] = np.nan
    return table


def churn_split(n_rows: int = 2000, seed: int = 0, missing: float = 0.0, numeric: bool = False) -> Split:
    """Return the churn customers split 75/25, stratified by label.

    Parameters
    ----------
    n_rows, seed, missing
        As in `churn`; the seed also splits.
    numeric
        Keep only the six numeric columns, for lectures that do not encode categories.
    """
    table = churn(n_rows, seed, missing)
    if numeric:
        table = table.select_dtypes("number")
    return _split(table, CHURN_TARGET, "churn", test_size=0.25, seed=seed)


def churn_stream(
    n_weeks: int = 10, rows_per_week: int = 400, drift_week: int = 6, kind: str = "data", seed: int = 0
) -> pd.DataFrame:
    """Return weekly batches of customers in which something changes for good from `drift_week` on.

    Parameters
    ----------
    n_weeks, rows_per_week
        Number of weeks (numbered from 1) and customers in each.
    drift_week
        First week after the change; past `n_weeks` means no change.
    kind
        ``"data"``: prices rise by 14 euro and fiber spreads, the rule behind churn stays (data drift).
        ``"concept"``: the inputs stay, but what calls to support and contracts do to churn turns round (concept drift).
        ``"none"``: nothing changes.
    seed
        Seed of the draw.

    Returns
    -------
    DataFrame, shape (n_weeks * rows_per_week, 11)
        The columns of `churn` and ``week``.
    """
    changes = {
        "none": {},
        "data": {"charges_shift": 14.0, "fiber_share": 0.65},
        "concept": {"calls_effect": -0.35, "contract_effect": -0.5},
    }
    if kind not in changes:
        raise CourseError(f"kind is {kind!r}, which no stream has; use one of {', '.join(map(repr, changes))}.")
    weeks = []
    for week in range(1, n_weeks + 1):
        rng = np.random.default_rng([seed, week])
        batch = _churn(rng, rows_per_week, **(changes[kind] if week >= drift_week else {}))
        weeks.append(batch.assign(week=week))
    return pd.concat(weeks, ignore_index=True)


def synthetic(
    n_rows: int = 5000, n_features: int = 20, missing: float = 0.05, label_noise: float = 0.05, seed: int = 42
) -> pd.DataFrame:
    """Return a two-class table of numbers with missing values and wrong labels, as the complete workflow wants it.

    The same rows as those of ``load_and_split_data`` in ``ml_workflow_with_mlflow.py``. About one label in five is 1.

    Parameters
    ----------
    n_rows, n_features
        Size; half of the features carry information, a quarter are combinations of them, the rest is noise.
    missing
        Share of all feature values that is missing.
    label_noise
        Share of labels that is drawn at random (``flip_y`` of ``sklearn.datasets.make_classification``).
    seed
        Seed of the draw.

    Returns
    -------
    DataFrame, shape (n_rows, n_features + 1)
        ``feature_00`` … and the label ``target`` (0 or 1).
    """
    X, y = make_classification(
        n_samples=n_rows,
        n_features=n_features,
        n_informative=max(2, n_features // 2),
        n_redundant=n_features // 4,
        n_clusters_per_class=1,
        weights=[0.8],
        flip_y=label_noise,
        random_state=seed,
    )
    rng = np.random.default_rng(seed)
    X[rng.random(X.shape) < missing] = np.nan
    table = pd.DataFrame(X, columns=[f"feature_{i:02d}" for i in range(n_features)])
    return table.assign(target=y)


def bundled(name: str) -> pd.DataFrame:
    """Return a real data set that comes with scikit-learn; the label column is ``target``.

    Parameters
    ----------
    name
        One of `BUNDLED`. ``breast_cancer`` has two classes, ``diabetes`` is a regression set.
    """
    if name not in BUNDLED:
        raise CourseError(f"There is no bundled data set {name!r}; choose one of {', '.join(BUNDLED)}.")
    frame = getattr(sklearn_datasets, f"load_{name}")(as_frame=True).frame
    return frame.rename(columns=lambda c: c.replace(" ", "_"))


def load_and_split_data(
    source: str | Path = "synthetic",
    target: str | None = None,
    *,
    n_rows: int = 5000,
    n_features: int = 20,
    missing: float = 0.05,
    label_noise: float = 0.05,
    test_size: float = 0.2,
    seed: int = 42,
    wishes: Wishes | None = None,
    task: str = "binary",
) -> Split:
    """Load a data set, check it, and split it; with the same share of each class in both parts, where there are classes.

    Parameters
    ----------
    source
        ``"synthetic"``, ``"churn"``, one of `BUNDLED`, or the path of a CSV or Parquet file.
    target
        Column to predict; needed for a file, ``"target"`` for the others.
    n_rows, n_features, missing, label_noise
        For ``"synthetic"`` (all four) and ``"churn"`` (rows and missing).
    test_size
        Share of the rows in the test part.
    seed
        Seed of draw and split.
    wishes
        What should not be guessed about a file.
    task
        ``"binary"``, ``"multiclass"`` or ``"regression"``; ``"auto"`` tells it from the target, or asks.

    Returns
    -------
    Split
        Of two classes labels as 0 and 1. In a file the rarer class is 1, or ``wishes.positive``; in the other sets the
        one that sorts last. See ``Split.classes``.

    Raises
    ------
    CourseError
        For a missing file or column, a target that does not fit the task or could be meant in two ways, and a column
        without a single value, that can be read in two ways, or that alone tells the target.
    """
    wishes, told = wishes or Wishes(), ""
    if source == "synthetic":
        table, name, target = synthetic(n_rows, n_features, missing, label_noise, seed), "synthetic", target or "target"
    elif source == "churn":
        table, name, target = churn(n_rows, seed, missing), "churn", target or CHURN_TARGET
    elif source in BUNDLED:
        table, name = bundled(str(source)), str(source)
        if source in ("breast_cancer", "iris", "wine"):  # scikit-learn has numbers for them
            table["target"] = table["target"].map(dict(enumerate(_class_names(name))))
        if target in (None, "target") and task == "auto":
            task, told = _TASKS.get(name, "binary"), "known of this set"
        target = target or "target"
    else:
        path = Path(source).expanduser()
        if not path.suffix and not path.exists():
            raise CourseError(
                f"There is no data set {str(source)!r}; use 'synthetic', 'churn', one of {', '.join(BUNDLED)}, "
                "or the path of a .csv or .parquet file."
            )
        (table, notes), name = table_files.read_table(path), path.stem
        if target is None:
            raise CourseError(
                f"{path.name} has {table.shape[1]} columns and none is named as the target. "
                f"Name it (target=…, --target …): {listing(table.columns)}."
            )
        found = tables.interpret(table, target, name, wishes, task)
        whole = found.features.assign(**{target: found.target.labels})
        split = _split(whole, target, name, test_size, seed, found.classes, found.target.task)
        return replace(split, columns=tuple(found.columns), notes=tuple(notes), told=found.target.told)
    table, read = tables.check(table, target, name, wishes, task)
    classes = None
    if wishes.positive is not None:
        classes = targets.classes(read.labels, target, name, wishes.positive, read.task)
    split = _split(tables.plain(table, target, wishes), target, name, test_size, seed, classes, read.task)
    return replace(split, told=read.told.replace("as asked", told or "as asked"))


def _class_names(name: str) -> list[str]:
    return getattr(sklearn_datasets, f"load_{name}")().target_names.tolist()


def _split(
    table: pd.DataFrame,
    target: str,
    name: str,
    test_size: float,
    seed: int,
    classes: tuple | None = None,
    task: str = "binary",
) -> Split:
    """Split a checked table; two labels become 0 and 1, in the order of `classes` or else as they sort."""
    features, labels = table.drop(columns=target), table[target]
    if not 0 < test_size < 1:
        raise CourseError(f"test_size is {test_size}; it is a share of the rows, between 0 and 1. Try 0.2.")
    if task == "regression":
        classes = ()
    else:
        classes = classes or tuple(sorted(labels.unique().tolist(), key=lambda v: (str(type(v)), v)))
    if task == "binary":
        labels = labels.map({value: code for code, value in enumerate(classes)}).astype(int)
    try:
        X_train, X_test, y_train, y_test = train_test_split(
            features, labels, test_size=test_size, stratify=labels if classes else None, random_state=seed
        )
    except ValueError as error:
        raise CourseError(
            f"{name} has {len(table)} rows, too few to split {test_size:.0%} off for the test: {error} Use more rows."
        ) from error
    return Split(X_train, X_test, y_train, y_test, name, classes, digest(table), task=task)
