"""Homework of exploring data: a dirty delivery, tests by meaning, a hundred questions, a drift, the strongest of thirty."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from course_utils import data
from course_utils._judge.evidence import Evidence, close, listing
from course_utils._judge.mistake import Mistake
from course_utils._judge.reading import json_of, need_columns, number, visible, words_of
from course_utils.homework.question import Task

_FOLDER = "hw-exploring-data"
_TESTS = {"data_gb": "welch", "support_calls": "mann-whitney", "paperless": "chi-square"}
_AMOUNTS = ("tenure_months", "monthly_charges", "data_gb")


# ---- task 1 -----------------------------------------------------------------------------------------------------------


@cache
def _delivery(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the wines as they should be, by bottle, and which of their cells were dirty."""
    rng = np.random.default_rng(seed)
    wines = data.bundled("wine").rename(columns={"target": "kind"})
    wines.index = pd.Index(np.arange(1, len(wines) + 1), name="bottle")
    dirty = pd.DataFrame(False, index=wines.index, columns=["alcohol", "malic_acid"])
    dirty.iloc[rng.choice(len(wines), 8, replace=False), 0] = True
    dirty.iloc[rng.choice(len(wines), 12, replace=False), 1] = True
    wines.loc[dirty["malic_acid"], "malic_acid"] = np.nan
    return wines, dirty


def clean(evidence: Evidence) -> None:
    """Task 1: every bottle once, one unit, gaps left alone."""
    file = "clean.csv"
    right, dirty = _delivery(data.course_seed())
    table = evidence.table(_FOLDER, file, ("bottle", "alcohol", "malic_acid"))
    need_columns(table, list(right.columns), file)
    bottles = [number(value, f"`bottle` in `{file}`") for value in table["bottle"]]
    if len(set(bottles)) < len(bottles):
        raise Mistake(
            "duplicates-left",
            f"`{file}` has {len(bottles)} rows and {len(set(bottles))} different bottles. Some count twice: keep each "
            "bottle once.",
        )
    if unknown := set(bottles) - set(right.index):
        raise Mistake("rows-unknown", f"`{file}` has bottles that were not delivered, such as {min(unknown):g}.")
    lost = set(right.index) - set(bottles)
    if lost:
        gaps, per_mille = (set(dirty.index[dirty[name]]) for name in ("malic_acid", "alcohol"))
        if lost <= gaps:
            raise Mistake(
                "gaps-dropped",
                f"{len(lost)} bottles are gone, each of which had a gap. Their other values are good: leave the gaps.",
            )
        if lost <= gaps | per_mille:
            raise Mistake(
                "outliers-dropped",
                f"{len(lost)} bottles are gone, those in per mille among them. A wrong unit is no reason to lose a row: "
                "convert it.",
            )
        raise Mistake("rows-lost", f"{len(lost)} bottles are gone, such as {min(lost):g}. Keep every bottle once.")
    table = table.set_index(pd.Index(bottles, name="bottle")).loc[right.index, right.columns]
    table = table.apply(pd.to_numeric, errors="coerce")
    if (table["alcohol"] > 50).any():
        raise Mistake(
            "unit-left",
            f"{(table['alcohol'] > 50).sum()} values of `alcohol` are still in per mille. Wine has 11 to 15 percent.",
        )
    if (table["alcohol"] < 5).any():
        raise Mistake(
            "converted-too-much", "Some values of `alcohol` are below 5 percent: rows were converted that were right."
        )
    filled = table["malic_acid"].notna() & dirty["malic_acid"]
    if filled.any():
        raise Mistake(
            "gaps-filled",
            f"{filled.sum()} gaps in `malic_acid` were filled. Filling learns from other rows, so it belongs into the "
            "pipeline, on training rows only. Leave the gaps.",
        )
    for name in right.columns:
        same = np.isclose(table[name], right[name], equal_nan=True)
        if not same.all():
            raise Mistake(
                "value-changed",
                f"{(~same).sum()} values of `{name}` are not those of the delivery. Change only what is dirty.",
            )


# ---- tests ------------------------------------------------------------------------------------------------------------


def _d(a: Any, b: Any) -> float:
    """Return Cohen's d, with the root of the mean of both variances."""
    return float((a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2))


def _other_d(a: Any, b: Any) -> dict[str, tuple[float, str]]:
    """Return what is given for Cohen's d by mistake."""
    pooled = np.sqrt(((len(a) - 1) * a.var() + (len(b) - 1) * b.var()) / (len(a) + len(b) - 2))
    spread = "The task asks for the root of the mean of both variances, so that others get the same number."
    difference = a.mean() - b.mean()
    return {
        "groups-swapped": (-_d(a, b), "It has the other sign: the groups went in in the other order."),
        "statistic-as-effect": (
            float(stats.ttest_ind(a, b, equal_var=False).statistic),
            "That is the t statistic, which grows with the number of rows. An effect size does not.",
        ),
        "not-standardised": (difference, "That is the difference in the column's own unit, not divided by a spread."),
        "other-spread": (difference / pooled, f"That divides by the pooled spread. {spread}"),
        "spread-of-all": (difference / pd.concat([a, b]).std(), f"That divides by the spread of *all* rows. {spread}"),
        "spread-of-one": (difference / b.std(), f"That divides by the spread of one group. {spread}"),
        "spread-by-n": (
            difference / np.sqrt((a.var(ddof=0) + b.var(ddof=0)) / 2),
            "NumPy's `var` divides by n, pandas' by n - 1. Groups are samples: take n - 1 (`ddof=1`).",
        ),
    }


@cache
def _groups(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return all customers, those who left and those who stayed."""
    customers = data.churn(1500, seed)
    return customers, customers[customers["churned"] == 1], customers[customers["churned"] == 0]


def tests(evidence: Evidence) -> None:
    """Task 2: one test for an amount, one for a count, one for a kind."""
    file = "tests.csv"
    table = evidence.table(_FOLDER, file, ("column", "test", "p", "effect"))
    columns = words_of(table, "column")
    if sorted(columns) != sorted(_TESTS):
        raise Mistake(
            "wrong-columns",
            f"`{file}` has rows for {listing(columns)}; the task asks for {listing(_TESTS)}, one row each.",
        )
    given = dict(zip(columns, words_of(table, "test"), strict=True))
    for name, right in _TESTS.items():
        word = given[name].replace("_", "-").replace(" ", "-").replace("–", "-")
        if word not in _TESTS.values():
            raise Mistake(
                "word-unknown", f"The test of `{name}` is `{visible(word)}`; the words are {listing(_TESTS.values())}."
            )
        if word != right:
            _wrong_test(name, word)
    for name in _TESTS:
        row = table.iloc[columns.index(name)]
        p, effect = (number(row[key], f"`{key}` of `{name}` in `{file}`") for key in ("p", "effect"))
        _JUDGES[name](evidence, p, effect)


def _wrong_test(name: str, word: str) -> None:
    """Say why a test does not fit the meaning of a column."""
    if name == "paperless":
        raise Mistake(
            "dtype-not-meaning",
            f"`paperless` was tested with `{word}`. It is stored as 0 and 1, but it means yes or no, so customers are counted.",
        )
    if word == "chi-square":
        raise Mistake(
            "counted-not-compared",
            f"`{name}` was tested with chi-square, which takes each value for a kind of its own and forgets their order.",
        )
    if name == "support_calls":
        raise Mistake(
            "mean-of-count",
            "`support_calls` was tested by its mean. Most customers have 0 to 2, a few have many: compare ranks.",
        )
    raise Mistake("ranks-of-amount", f"`{name}` is an amount; the lecture compares means there, with Welch's test.")


def _judge_p(name: str, p: float, right: tuple[float, ...], wrong: dict[str, tuple[float, str]]) -> None:
    """Judge a *p* by its ratio to the right one: `judge_number` takes every p below 1e-6 for 2e-20."""
    if any(math.isclose(p, value, rel_tol=1e-6) for value in right):
        return
    for code, (value, message) in wrong.items():
        if math.isclose(p, value, rel_tol=1e-6):
            raise Mistake(code, f"`{name}` is {p:.4g}. {message}")
    raise Mistake(
        "value-wrong",
        f"`{name}` is {p:.4g}, which is not the *p* of this test. Write it as SciPy gives it, not rounded.",
    )


def _amount(evidence: Evidence, p: float, effect: float) -> None:
    _, left, stayed = _groups(data.course_seed())
    a, b = left["data_gb"], stayed["data_gb"]
    right = float(stats.ttest_ind(a, b, equal_var=False).pvalue)
    _judge_p(
        "p of data_gb",
        p,
        (right,),
        {
            "equal-variance": (
                float(stats.ttest_ind(a, b).pvalue),
                "That is Student's test, which takes both groups to be equally spread. Welch's has `equal_var=False`.",
            ),
            "one-sided": (
                right / 2,
                "That is for one direction only. The question is whether they differ, either way.",
            ),
        },
    )
    evidence.judge_number("effect of data_gb", effect, _d(a, b), _other_d(a, b))


def _count(evidence: Evidence, p: float, effect: float) -> None:
    _, left, stayed = _groups(data.course_seed())
    a, b = left["support_calls"], stayed["support_calls"]
    found = stats.mannwhitneyu(a, b)
    _judge_p(
        "p of support_calls",
        p,
        (float(found.pvalue), float(stats.mannwhitneyu(a, b, use_continuity=False).pvalue)),
        {
            "one-sided": (
                float(found.pvalue) / 2,
                "That is for one direction only. The question is whether they differ.",
            ),
            "mean-of-count": (
                float(stats.ttest_ind(a, b, equal_var=False).pvalue),
                "That is the *p* of Welch's test, while the row says `mann-whitney`.",
            ),
        },
    )
    share = float(found.statistic) / (len(a) * len(b))
    evidence.judge_number(
        "effect of support_calls",
        effect,
        share,
        {
            "groups-swapped": (1 - share, "That is the share of pairs in which the *stayer* has more."),
            "statistic-as-effect": (
                float(found.statistic),
                "That is the number of pairs, which grows with the customers. Divide it by the number of all pairs.",
            ),
            "ties-left-out": (
                float((a.to_numpy()[:, None] > b.to_numpy()).mean()),
                "Ties were left out. The task counts each of them half.",
            ),
        },
    )


def _kind(evidence: Evidence, p: float, effect: float) -> None:
    customers = _groups(data.course_seed())[0]
    counts = pd.crosstab(customers["paperless"], customers["churned"])
    right = float(stats.chi2_contingency(counts).pvalue)
    plain = float(stats.chi2_contingency(counts, correction=False).pvalue)
    if not (close(p, right) or close(p, plain)):  # for a table of two by two, both ways are usual
        for normalize in ("index", "columns", "all"):
            shares = pd.crosstab(customers["paperless"], customers["churned"], normalize=normalize)
            for table in (shares, 100 * shares):
                if any(
                    close(p, float(stats.chi2_contingency(table, correction=c).pvalue), 1e-9) for c in (True, False)
                ):
                    raise Mistake(
                        "shares-not-counts",
                        f"`p` of `paperless` is {p:.3g}: that is the test of a table of shares. It must know how many "
                        "customers stand behind a share. Give it counts.",
                    )
        totals = pd.crosstab(customers["paperless"], customers["churned"], margins=True)
        evidence.judge_number(
            "p of paperless",
            p,
            right,
            {
                "totals-included": (
                    float(stats.chi2_contingency(totals).pvalue),
                    "The table had its totals in it (`margins=True`), so every customer was counted twice.",
                ),
                "dtype-not-meaning": (
                    float(
                        stats.ttest_ind(
                            *(customers["paperless"][customers["churned"] == k] for k in (1, 0)), equal_var=False
                        ).pvalue
                    ),
                    "That is the *p* of Welch's test, while the row says `chi-square`.",
                ),
            },
        )
    V = float(stats.contingency.association(counts, method="cramer"))
    evidence.judge_number(
        "effect of paperless",
        effect,
        V,
        {
            "statistic-as-effect": (
                float(stats.chi2_contingency(counts).statistic),
                "That is the chi-square statistic, which grows with the customers. Cramér's V does not.",
            ),
            "yates-in-effect": (
                float(np.sqrt(stats.chi2_contingency(counts).statistic / counts.to_numpy().sum())),
                "That is V with Yates's correction in it. V is computed without: `correction=False`.",
            ),
            "root-missing": (V**2, "That is V squared: the root is missing."),
        },
    )


_JUDGES = {"data_gb": _amount, "support_calls": _count, "paperless": _kind}


@cache
def _candidates(seed: int) -> dict[str, float]:
    """Return column → p of the hundred candidates."""
    customers = _groups(seed)[0]
    names = ["tenure_months", "monthly_charges", "support_calls", "data_gb"]
    noise = np.random.default_rng(seed).normal(size=(len(customers), 96))
    table = pd.concat([customers[names], pd.DataFrame(noise).add_prefix("noise_")], axis=1)
    leaver = customers["churned"] == 1
    test = stats.ttest_ind(table[leaver], table[~leaver], equal_var=False)
    return dict(zip(table.columns, test.pvalue, strict=True))


def survivors(evidence: Evidence) -> None:
    """Task 3: the columns that survive a correction for a hundred tests."""
    found = json_of(evidence.file(_FOLDER, "survivors.json"), "file-broken")
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        seen = "an object with keys" if isinstance(found, dict) else "something else"
        raise Mistake(
            "not-a-list",
            f"`survivors.json` holds {seen}, and not a list of column names, which is what a program reads in a loop. "
            "`json.dumps` of a Python list of texts writes one.",
        )
    p = _candidates(data.course_seed())
    if unknown := set(found) - set(p):
        raise Mistake("column-unknown", f"{listing(unknown, 4)} is no column of `candidates`.")
    right = {name for name in p if p[name] < 0.05 / len(p)}
    if set(found) == right:
        return
    if set(found) == {name for name in p if p[name] < 0.05}:
        raise Mistake(
            "no-correction",
            f"{len(found)} columns are below 0.05, noise among them. With a hundred questions about five come out by "
            "chance: the limit must be stricter.",
        )
    if set(found) == set(p) - right:
        raise Mistake("losers-listed", "These are the columns that do *not* survive.")
    if set(found) == {name for name in p if p[name] < 0.05 / 4}:
        raise Mistake(
            "few-questions", "The limit was divided by four. A hundred questions were asked, not only the real ones."
        )
    raise Mistake(
        "wrong-survivors",
        f"{len(found)} columns are listed, and they are not those whose *p* is below the corrected limit.",
    )


# ---- runs -------------------------------------------------------------------------------------------------------------


@cache
def _drifts(seed: int) -> dict[str, tuple[pd.Series, pd.Series]]:
    """Return amount → its values after and before the change."""
    stream = data.churn_stream(n_weeks=8, rows_per_week=500, drift_week=5, kind="data", seed=seed)
    late, early = stream[stream["week"] >= 5], stream[stream["week"] < 5]
    return {name: (late[name], early[name]) for name in _AMOUNTS}


@cache
def _tumours() -> dict[str, tuple[pd.Series, pd.Series]]:
    """Return measurement → its values of malignant and of benign tumours."""
    table = data.bundled("breast_cancer")
    malignant = table.pop("target") == 0
    return {name: (table[name][malignant], table[name][~malignant]) for name in table}


def _largest(evidence: Evidence, experiment: str, name: str, groups: dict[str, tuple[pd.Series, pd.Series]]) -> None:
    """Judge a run that names the column with the largest d, and this d."""
    run = evidence.latest_run(experiment, name)
    column = evidence.param(run, "column").strip()
    if column not in groups:
        raise Mistake("column-unknown", f"`column` is `{visible(column)}`; the task asks for one of {listing(groups)}.")
    sizes = {key: abs(_d(*pair)) for key, pair in groups.items()}
    if column != max(sizes, key=sizes.__getitem__):
        differences = {key: abs(a.mean() - b.mean()) for key, (a, b) in groups.items()}
        if column == max(differences, key=differences.__getitem__):
            raise Mistake(
                "not-standardised",
                f"`{column}` has the largest difference in its own unit. Columns in different units can be compared only after "
                "dividing by a spread: compare the effect sizes.",
            )
        raise Mistake(
            "column-wrong",
            f"`column` is `{column}`, and another one has a larger Cohen's d. Compute d for each, and compare their sizes "
            "without the sign.",
        )
    a, b = groups[column]
    evidence.judge_number("d", evidence.metric(run, "d"), _d(a, b), _other_d(a, b))


def drift(evidence: Evidence) -> None:
    """Task 4: the amount that has moved most, and how far."""
    _largest(evidence, "hw-exploring-data-drift", "drift", _drifts(data.course_seed()))


def strongest(evidence: Evidence) -> None:
    """Stretch: the measurement that tells malignant from benign best."""
    _largest(evidence, "hw-exploring-data-tumours", "strongest", _tumours())


TASKS = (
    Task(
        "a dirty delivery",
        2,
        clean,
        (
            "Three kinds of dirt: which of them costs a row, which a conversion, and which stays?",
            "`drop_duplicates` takes the name of a column. Which values of `alcohol` can no wine have?",
            '`clean.loc[clean["alcohol"] > 50, "alcohol"] /= 10`, then `clean.to_csv(folder / "clean.csv", index=False)`.',
        ),
        "No bottle was lost, none counts twice, and nothing was made up.",
        level="transfer",
    ),
    Task(
        "three columns, three tests",
        2,
        tests,
        (
            "What does each column mean: an amount, a count, or a kind?",
            "`stats.ttest_ind(…, equal_var=False)`, `stats.mannwhitneyu(…)`, `stats.chi2_contingency(counts)`. Each has a "
            "`pvalue`.",
            "The effect sizes: d as in the task; `statistic / (len(a) * len(b))`; "
            '`stats.contingency.association(counts, method="cramer")`.',
        ),
        "Each test fits the meaning of its column, and each says how large the difference is.",
        level="core",
    ),
    Task(
        "a hundred questions",
        2,
        survivors,
        (
            "How many of a hundred columns of noise are below 0.05 on average?",
            "Divide 0.05 by the number of tests. `ttest_ind` takes whole tables and returns a p for each column.",
            "A list `found` of Python (`.tolist()` makes one of an index) is written by `json.dumps(found)`.",
        ),
        "Few columns are left, and you can stand by them.",
        level="core",
    ),
    Task(
        "what has drifted?",
        2,
        drift,
        (
            "Which two groups are compared here, and which of them comes first?",
            "Compute Cohen's d for each of the three amounts in a loop, and take the one with the largest `abs`.",
            '`with mlflow.start_run(run_name="drift"):`, then `mlflow.log_param("column", …)` and `mlflow.log_metric("d", …)`.',
        ),
        "You found what moved, and by how much in units that can be compared.",
        level="transfer",
    ),
    Task(
        "the strongest of thirty",
        0,
        strongest,
        (
            "Means and variances of whole tables can be computed at once. What is left then?",
            "`(a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2)` is a Series, with `abs()` and `idxmax()`.",
        ),
        "Thirty effect sizes, one winner, kept in a run.",
    ),
)
