"""Homework 01: stages of the life cycle, roles, a t-test, a chi-square test, and many tests at once."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from course_utils import data
from course_utils.homework.evidence import Evidence, close, listing
from course_utils.homework.mistake import Mistake
from course_utils.homework.question import Task
from course_utils.homework.reading import json_of, number

_STAGES = {
    "A": "preparation",
    "B": "monitoring",
    "C": "collection",
    "D": "evaluation",
    "E": "features",
    "F": "retraining",
    "G": "exploration",
    "H": "deployment",
    "I": "training",
}
#: (note, stage that was given) → (code, message) of the confusions that people really have.
_CONFUSED = {
    ("B", "evaluation"): (
        "evaluation-not-monitoring",
        "Note B compares predictions with what happened, as evaluation does. But when: before the model is used, or "
        "while?",
    ),
    ("D", "monitoring"): (
        "monitoring-not-evaluation",
        "Note D measures the model, as monitoring does. But when: before anybody uses it, or while?",
    ),
    ("A", "features"): (
        "features-not-preparation",
        "Note A changes the table, as feature engineering does. But does the model see a new fact afterwards, or the "
        "old facts mended?",
    ),
    ("E", "preparation"): (
        "preparation-not-features",
        "Note E changes the table, as preparation does. But is something mended, or is a new fact made for the model?",
    ),
    ("F", "training"): (
        "training-not-retraining",
        "In note F a model is trained. But there is one in use already: what sets this work off, and what must the "
        "result do?",
    ),
    ("G", "evaluation"): (
        "evaluation-not-exploration",
        "Note G tests something. But is it a model that is tested, or the data?",
    ),
}
_ROLES = {
    "1": "ML engineer",
    "2": "governance officer",
    "3": "data engineer",
    "4": "data scientist",
    "5": "ML engineer",
    "6": "data engineer",
}
_ASKS = {
    "1": "Is it the model that is wrong, or the service around it?",
    "2": "Who answers for what the company is *allowed* to do?",
    "3": "Who answers for tables that arrive, complete and on time?",
    "4": "Who answers for the measure by which a model is good?",
    "5": "Who can change what is running tonight?",
    "6": "Who answers for the format of a table between two departments?",
}


def _answers(table: Any, key: str, value: str, wanted: dict[str, str], file: str) -> dict[str, str]:
    """Return key → answer in lower case, or tell what is missing, double or unknown."""
    given = [
        (str(k).strip().removesuffix(".0"), str(v).strip().lower())
        for k, v in zip(table[key], table[value], strict=True)
    ]
    keys = [k for k, _ in given]
    if missing := sorted(set(wanted) - {k.upper() for k in keys}):
        raise Mistake(
            "row-missing", f"`{file}` has no row for {key} {listing(missing, 9)}. Each {key} needs an answer."
        )
    if len(keys) != len(wanted):
        raise Mistake("row-extra", f"`{file}` has {len(keys)} rows for {len(wanted)} {key}s. Give one row each.")
    known = {w.lower() for w in wanted.values()}
    if unknown := sorted({v for _, v in given} - known):
        raise Mistake(
            "word-unknown",
            f"{listing(unknown, 4)} in `{file}` is not one of the words that the task gives for {value}: "
            "use them letter by letter, so that a table of the whole team can be sorted by them.",
        )
    return {k.upper(): v for k, v in given}


def stages(evidence: Evidence) -> None:
    """Task 1: nine notes, nine stages."""
    table = evidence.table("hw-ml-workflow", "stages.csv", ("note", "stage"))
    given = _answers(table, "note", "stage", _STAGES, "stages.csv")
    for (note, stage), (code, message) in _CONFUSED.items():
        if given[note] == stage:
            raise Mistake(code, message)
    wrong = [note for note, stage in _STAGES.items() if given[note] != stage]
    if wrong:
        raise Mistake(
            "stage-wrong",
            f"{len(_STAGES) - len(wrong)} of {len(_STAGES)} are right. Look again at note {wrong[0]}: "
            f"`{given[wrong[0]]}` asks another question (the table in the lecture's first round has all nine).",
        )


def roles(evidence: Evidence) -> None:
    """Task 2: six tickets, four roles."""
    table = evidence.table("hw-ml-workflow", "roles.csv", ("ticket", "role"))
    given = _answers(table, "ticket", "role", _ROLES, "roles.csv")
    if len(set(given.values())) == 1:
        raise Mistake(
            "one-role-for-all",
            f"One person, the {given['1']}, takes all six tickets. That is how small teams start, and why nobody "
            "knows who is asked first when something fails. The task has four roles.",
        )
    wrong = [ticket for ticket, role in _ROLES.items() if given[ticket] != role.lower()]
    if wrong:
        raise Mistake(
            "role-wrong",
            f"{len(_ROLES) - len(wrong)} of {len(_ROLES)} are right. Look again at ticket {wrong[0]}: "
            f"{_ASKS[wrong[0]]}",
        )


# ---- tests ------------------------------------------------------------------------------------------------------------

_NUMERIC = ("tenure_months", "monthly_charges", "paperless")
_WORDS = ("contract", "internet", "payment")


@cache
def _groups(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return all customers, those who left and those who stayed."""
    customers = data.churn(1500, seed)
    return customers, customers[customers["churned"] == 1], customers[customers["churned"] == 0]


def _rows(table: Any, features: tuple[str, ...], file: str) -> dict[str, Any]:
    """Return feature → row, or tell that features are missing or double."""
    found = [str(f).strip() for f in table["feature"]]
    if sorted(found) != sorted(features):
        raise Mistake(
            "wrong-features",
            f"`{file}` has rows for {listing(found)}; the task asks for {listing(features)}, one row each.",
        )
    return dict(zip(found, (row for _, row in table.iterrows()), strict=True))


def _number(row: Any, column: str, file: str) -> float:
    """Return a cell as a number."""
    return number(row[column], f"`{column}` of `{row['feature']}` in `{file}`")


@cache
def _t_test(seed: int, feature: str) -> dict[str, float]:
    """Return Welch's test of a feature, Cohen's d, and the plausible wrong numbers."""
    _, left, stayed = _groups(seed)
    a, b = left[feature], stayed[feature]
    welch, student = stats.ttest_ind(a, b, equal_var=False), stats.ttest_ind(a, b)
    difference = a.mean() - b.mean()
    pooled = np.sqrt(((len(a) - 1) * a.var() + (len(b) - 1) * b.var()) / (len(a) + len(b) - 2))
    return {
        "t": welch.statistic,
        "p": welch.pvalue,
        "d": difference / np.sqrt((a.var() + b.var()) / 2),
        "student_t": student.statistic,
        "student_p": student.pvalue,
        "half_p": welch.pvalue / 2,
        "whole_d": difference / pd.concat([a, b]).std(),
        "stayed_d": difference / b.std(),
        "rough_d": difference / np.sqrt((a.var(ddof=0) + b.var(ddof=0)) / 2),
        "pooled_d": difference / pooled,
        "difference": difference,
    }


def t_tests(evidence: Evidence) -> None:
    """Task 3: Welch's t-test, Cohen's d and a verdict for three features."""
    file = "t_tests.csv"
    table = evidence.table("hw-ml-workflow", file, ("feature", "t", "p", "d", "verdict"))
    found = _rows(table, _NUMERIC, file)
    for feature in _NUMERIC:
        row, reference = found[feature], _t_test(data.course_seed(), feature)
        student = (
            "That is Student's test, which takes both groups to be equally spread. Leavers and stayers are not: use "
            "Welch's, `equal_var=False`."
        )
        t, p, d = (_number(row, column, file) for column in ("t", "p", "d"))
        if close(t, -reference["t"]) or close(d, -reference["d"]):
            raise Mistake(
                "groups-swapped",
                f"`{'t' if close(t, -reference['t']) else 'd'}` of `{feature}` has the other sign: the groups went in as "
                "stayed, left. The sign says who has "
                "more, so the order is part of the result.",
            )
        evidence.judge_number(
            f"t of {feature}",
            t,
            reference["t"],
            {
                "equal-variance": (reference["student_t"], student),
                "columns-swapped": (reference["p"], "That is the p-value: `t` and `p` are exchanged."),
            },
        )
        evidence.judge_number(
            f"p of {feature}",
            p,
            reference["p"],
            {
                "one-sided": (
                    reference["half_p"],
                    "That is one-sided. The question is whether they differ, either way.",
                ),
                "equal-variance-p": (reference["student_p"], student),
            },
        )
        evidence.judge_number(
            f"d of {feature}",
            d,
            reference["d"],
            {
                "statistic-as-effect": (
                    reference["t"],
                    "That is the t statistic. It grows with the number of customers; the size of the difference does "
                    "not. Divide the difference of means by a standard deviation.",
                ),
                "not-standardised": (
                    reference["difference"],
                    "That is the difference in the feature's own unit. Divided by a standard deviation, features can "
                    "be compared.",
                ),
                "other-spread": (
                    reference["pooled_d"],
                    "That divides by the pooled deviation, where the larger group counts more. It is in use, too; "
                    "the task asks for the root of the mean of both variances.",
                ),
                "spread-of-all": (
                    reference["whole_d"],
                    "That divides by the deviation of *all* customers, which holds the difference itself. The task asks for "
                    "the root of the mean of both variances.",
                ),
                "spread-of-one": (
                    reference["stayed_d"],
                    "That divides by the deviation of those who stayed alone. The task asks for both groups.",
                ),
                "spread-by-n": (
                    reference["rough_d"],
                    "NumPy's `var` divides by n, pandas' by n - 1. Groups are samples: take n - 1 (`ddof=1`).",
                ),
            },
        )
        _verdict(str(row["verdict"]).strip().lower(), feature, reference)


def _verdict(verdict: str, feature: str, reference: dict[str, float]) -> None:
    """Judge what was concluded from t and p."""
    right = "not shown" if reference["p"] >= 0.05 else "more" if reference["t"] > 0 else "less"
    if verdict == right:
        return
    if verdict not in ("more", "less", "not shown"):
        raise Mistake(
            "word-unknown",
            f"The verdict on `{feature}` is `{verdict[:30]}`; the words are `more`, `less`, `not shown`.",
        )
    if right == "not shown":
        raise Mistake(
            "chance-as-effect",
            f"The verdict on `{feature}` is `{verdict}`, but p is {reference['p']:.2g}: chance alone parts the "
            "groups this far in many samples.",
        )
    if verdict == "not shown":
        raise Mistake(
            "effect-missed",
            f"The verdict on `{feature}` is `not shown`, but p is {reference['p']:.1g}, far below 0.05.",
        )
    raise Mistake(
        "wrong-direction",
        f"The verdict on `{feature}` is `{verdict}`. Look at the sign of t: is it those who left, or those who "
        "stayed, who have more?",
    )


@cache
def _chi_square(seed: int, feature: str) -> dict[str, float]:
    """Return the chi-square test of a feature, Cramér's V, and the plausible wrong numbers."""
    customers = _groups(seed)[0]
    counts = pd.crosstab(customers[feature], customers["churned"])
    shares = pd.crosstab(customers[feature], customers["churned"], normalize="index")
    totals = pd.crosstab(customers[feature], customers["churned"], margins=True)
    test = stats.chi2_contingency(counts)
    return {
        "chi2": test.statistic,
        "p": test.pvalue,
        "V": stats.contingency.association(counts, method="cramer"),
        "shares": stats.chi2_contingency(shares).statistic,
        "percentages": stats.chi2_contingency(shares * 100).statistic,
        "of_all": stats.chi2_contingency(counts / counts.to_numpy().sum()).statistic,
        "totals_p": stats.chi2_contingency(totals).pvalue,
        "g": stats.chi2_contingency(counts, lambda_="log-likelihood").statistic,
        "phi2": test.statistic / len(customers),
        "pearson": stats.contingency.association(counts, method="pearson"),
        "tschuprow": stats.contingency.association(counts, method="tschuprow"),
    }


def chi_square(evidence: Evidence) -> None:
    """Task 4: chi-square and Cramér's V of three features, and the strongest of them."""
    file = "chi_square.csv"
    table = evidence.table("hw-ml-workflow", file, ("feature", "chi2", "p", "V", "strongest"))
    found = _rows(table, _WORDS, file)
    effects = {feature: _chi_square(data.course_seed(), feature)["V"] for feature in _WORDS}
    for feature in _WORDS:
        row, reference = found[feature], _chi_square(data.course_seed(), feature)
        chi2, p, effect = (_number(row, column, file) for column in ("chi2", "p", "V"))
        if any(close(chi2, reference[wrong]) for wrong in ("shares", "percentages", "of_all")):
            raise Mistake(
                "shares-not-counts",
                f"`chi2` of `{feature}` is {chi2:.3g}: that is the test of a table of shares. It must know how many "
                "customers stand behind a share. Give it counts.",
            )
        evidence.judge_number(
            f"chi2 of {feature}",
            chi2,
            reference["chi2"],
            {
                "likelihood-not-chi2": (
                    reference["g"],
                    "That is the likelihood-ratio statistic G. The task asks for Pearson's chi-square.",
                ),
                "p-not-chi2": (reference["p"], "That is the p-value: two columns are exchanged."),
            },
        )
        evidence.judge_number(
            f"p of {feature}",
            p,
            reference["p"],
            {
                "totals-included": (
                    reference["totals_p"],
                    "The table had its totals in it (`margins=True`), so the test counted every customer twice.",
                )
            },
        )
        other = (
            "That is another measure of association. Cramér's V is the root of chi-square divided by rows times the "
        )
        other += "smaller side of the table less one."
        evidence.judge_number(
            f"V of {feature}",
            effect,
            reference["V"],
            {
                "statistic-as-effect": (
                    reference["chi2"],
                    "That is the chi-square statistic, which grows with the number of customers. V does not.",
                ),
                "root-missing": (reference["phi2"], "That is V squared: the root is missing."),
                "other-effect": (reference["pearson"], other),
                "other-association": (reference["tschuprow"], other),
            },
        )
    _strongest({f: str(found[f]["strongest"]).strip().lower() for f in _WORDS}, max(effects, key=effects.__getitem__))


def _strongest(marks: dict[str, str], right: str) -> None:
    """Judge which feature was marked as the strongest."""
    yes = {f for f, mark in marks.items() if mark in ("yes", "true", "1", "1.0")}
    no = {f for f, mark in marks.items() if mark in ("no", "false", "0", "0.0")}
    if yes | no != set(marks):
        raise Mistake("word-unknown", f"`strongest` holds {listing(marks.values())}; the words are `yes` and `no`.")
    if yes != {right}:
        raise Mistake(
            "not-strongest",
            f"Marked as strongest: {listing(yes) or 'none'}. One feature has the largest effect; compare the column "
            "that does not depend on the number of customers.",
        )


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
    """Stretch: the columns that survive a correction for a hundred tests."""
    found = json_of(evidence.file("hw-ml-workflow", "survivors.json"), "file-broken")
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise Mistake("not-a-list", "`survivors.json` should hold a list of column names.")
    p = _candidates(data.course_seed())
    ordered = sorted(p, key=p.__getitem__)
    bonferroni = {name for name in p if p[name] < 0.05 / len(p)}
    # Holm's procedure: as strict about false alarms, and a little stronger.
    holm: set[str] = set()
    for rank, name in enumerate(ordered):
        if p[name] >= 0.05 / (len(p) - rank):
            break
        holm.add(name)
    if set(found) in (bonferroni, holm):
        return
    if set(found) == {name for name in p if p[name] < 0.05}:
        raise Mistake(
            "no-correction",
            f"{len(found)} columns are below 0.05, noise among them. With a hundred questions about five come out by "
            "chance: the limit must be stricter.",
        )
    if unknown := set(found) - set(p):
        raise Mistake("column-unknown", f"{listing(unknown, 4)} is no column of `candidates`.")
    raise Mistake(
        "wrong-survivors",
        f"{len(found)} columns are listed, and they are not those whose p is below the corrected limit.",
    )


TASKS = (
    Task(
        "name the stage",
        2,
        stages,
        (
            "What question does each note answer? The lecture's first table has one question for each stage.",
            "Each stage is used once, so begin with those you are sure of. Before use or during use tells two of "
            "them apart.",
            'Write a dict such as `{"A": "…", "B": "…"}`; '
            '`pd.Series(stages, name="stage").rename_axis("note").to_csv(folder / "stages.csv")` makes the file.',
        ),
        "You know where in the loop you are.",
        level="warm-up",
    ),
    Task(
        "who takes it?",
        2,
        roles,
        (
            "What does each role answer for? The second table of the lecture says it in one line each.",
            "Is it about a table, a model, something that runs, or what is allowed?",
        ),
        "The right person is asked first.",
        level="warm-up",
    ),
    Task(
        "a t-test, and what it means",
        2,
        t_tests,
        (
            "Which of the columns answers “is it chance?”, and which “how much is it?”",
            "`stats.ttest_ind(left[feature], stayed[feature], equal_var=False)` has `statistic` and `pvalue`; the "
            "sign of t says who has more.",
            "`d = (left[feature].mean() - stayed[feature].mean()) / np.sqrt((left[feature].var() + "
            "stayed[feature].var()) / 2)`",
        ),
        "Chance and size, told apart.",
    ),
    Task(
        "chi-square, and which feature weighs most",
        2,
        chi_square,
        (
            "What must a table hold so that a test can know how many customers there were?",
            '`pd.crosstab(customers[feature], customers["churned"])` counts; `stats.chi2_contingency` tests; '
            "`stats.contingency.association` gives V.",
        ),
        "Compared by effect, not by p.",
    ),
    Task(
        "a hundred questions",
        0,
        survivors,
        (
            "How many of a hundred columns of noise are below 0.05, on average?",
            "Divide 0.05 by the number of tests. `ttest_ind` takes whole tables and returns a p for each column.",
        ),
        "What is left is worth a closer look.",
        level="transfer",
    ),
)
