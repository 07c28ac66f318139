"""Homework of the life cycle: stages, roles, a spreadsheet to check against a record, parts of MLflow, a week of change."""

from __future__ import annotations

import hashlib
import random
from functools import cache
from typing import Any

import pandas as pd
from mlflow.entities import Run
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

from course_utils import data
from course_utils._judge.evidence import Evidence, close, listing
from course_utils._judge.mistake import Mistake
from course_utils._judge.reading import visible
from course_utils._judge.slips import Rows, auc_slips
from course_utils.homework.question import Task

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


# ---- the record -------------------------------------------------------------------------------------------------------

#: Row of the sheet → (max_depth, min_samples_leaf).
_SHEET = {1: (2, 40), 2: (3, 20), 3: (4, 10), 4: (6, 3)}


@cache
def _clinic(seed: int) -> tuple[str, tuple[Any, Any, Any, Any]]:
    """Return the fingerprint of the clinic's table, and its rows as the given cell splits them."""
    table = data.bundled("breast_cancer")
    digest = hashlib.sha256(table.to_csv(index=False, lineterminator="\n").encode()).hexdigest()[:12]
    y = (table["target"] == 0).astype(float)
    X = table.drop(columns="target")
    return digest, tuple(train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed))


def _tree(row: int) -> DecisionTreeClassifier:
    """Return the unfitted tree of a row of the sheet."""
    depth, leaf = _SHEET[row]
    return DecisionTreeClassifier(max_depth=depth, min_samples_leaf=leaf, random_state=0)


@cache
def _tree_auc(seed: int, row: int) -> float:
    """Return the validation ROC-AUC of the tree of a row of the sheet."""
    X_train, X_valid, y_train, y_valid = _clinic(seed)[1]
    return float(roc_auc_score(y_valid, _tree(row).fit(X_train, y_train).predict_proba(X_valid)[:, 1]))


def record(evidence: Evidence) -> None:
    """Task 3: four runs, each with settings, data and result, and what the sheet is worth."""
    seed = data.course_seed()
    slip = random.Random(seed).randrange(4) + 1
    runs = {row: evidence.latest_run("hw-ml-workflow-record", f"row-{row}") for row in _SHEET}
    for row, run in runs.items():
        _judge_row(evidence, run, row)
    for row, run in runs.items():
        tag = evidence.tag(run, "sheet").strip().lower()
        if tag not in ("ok", "wrong"):
            raise Mistake(
                "word-unknown",
                f"The tag `sheet` of `row-{row}` is `{visible(tag)}`; the task has the words `ok` and `wrong`. A search for "
                "one of them should find all such runs.",
            )
        if row == slip and tag == "ok":
            raise Mistake(
                "sheet-believed",
                "One of the four runs has the tag `ok`, but its `valid_auc` is not what stands in the sheet. Compare the two "
                "numbers of every row, to two digits.",
            )
        if row != slip and tag == "wrong":
            raise Mistake(
                "rounding-as-error",
                "A run has the tag `wrong`, though the sheet's number is its `valid_auc` to two digits. Rounding makes a number "
                "less exact, not wrong: round yours before you compare, and look which of the two words goes with which case.",
            )


def _judge_row(evidence: Evidence, run: Run, row: int) -> None:
    """Look at settings, data and result of the run for one row of the sheet."""
    depth, leaf = _SHEET[row]
    settings = {"max_depth": depth, "min_samples_leaf": leaf, "random_state": 0, "split_seed": data.course_seed()}
    for name, wanted in settings.items():
        if (value := evidence.number_param(run, name)) != wanted:
            raise Mistake(
                "param-value",
                f"The run `row-{row}` says `{name}` {value:g}, and it was {wanted}. Who repeats the run gets another "
                "tree, or other rows: record what was used.",
            )
    digest, rows = _clinic(data.course_seed())
    if "data_digest" not in run.data.params:
        raise Mistake(
            "data-not-recorded",
            f"The run `row-{row}` has its settings, but no parameter `data_digest`. On another table the same settings give "
            "another score, so without it nobody can say what was measured: record the fingerprint.",
        )
    if evidence.param(run, "data_digest").strip() != digest:
        raise Mistake(
            "other-data",
            f"The run `row-{row}` has the `data_digest` `{visible(run.data.params['data_digest'], 20)}`, which is not that of "
            "the clinic's table. Record the value of the variable `digest`.",
        )
    got, right = evidence.metric(run, "valid_auc"), _tree_auc(data.course_seed(), row)
    if not close(got, right) and any(close(got, _tree_auc(data.course_seed(), other)) for other in _SHEET):
        raise Mistake(
            "row-mixed",
            f"`valid_auc` of the run `row-{row}` is that of another row's tree. Fit, parameters and metric belong into one turn "
            "of the loop.",
        )
    slips = {
        "from-the-sheet": (round(right, 2) - 0.04, "That is the sheet's number. Record what your own tree reaches.")
    }
    name = f"valid_auc of row-{row}"
    evidence.judge_number(name, got, right, slips, slips=lambda: auc_slips(_tree(row), Rows(*rows), "validation"))


# ---- parts and tools --------------------------------------------------------------------------------------------------

_PARTS = {
    "A": "projects",
    "B": "genai",
    "C": "tracking",
    "D": "registry",
    "E": "dvc",
    "F": "serving",
    "G": "models",
}
#: (wish, part that was given) → (code, message) of the confusions that people really have.
_MIXED = {
    ("D", "models"): (
        "models-not-registry",
        "Wish D is about *which* version counts today. A format for models does not know that. Which part keeps versions "
        "and decisions?",
    ),
    ("D", "serving"): (
        "serving-not-registry",
        "In wish D the program that serves is not touched. What does it ask to learn which version it should use?",
    ),
    ("E", "tracking"): (
        "tracking-not-dvc",
        "For wish E somebody wants 40 GB *back*. A run records which data were used; it does not bring them back for a commit.",
    ),
    ("B", "tracking"): (
        "tracking-not-genai",
        "In wish B nothing was trained: it is about single requests to a language model, step by step. Which part records "
        "those?",
    ),
    ("G", "registry"): (
        "registry-not-models",
        "Wish G is about the *form* in which a model is kept, whichever library made it. Which part is that form?",
    ),
    ("A", "serving"): (
        "serving-not-projects",
        "In wish A a *training* is started, not a model asked. Which part repeats a training elsewhere?",
    ),
}


def parts(evidence: Evidence) -> None:
    """Task 4: seven wishes, seven parts or tools."""
    table = evidence.table("hw-ml-workflow", "parts.csv", ("wish", "part"))
    given = _answers(table, "wish", "part", _PARTS, "parts.csv")
    for (wish, part), (code, message) in _MIXED.items():
        if given[wish] == part:
            raise Mistake(code, message)
    wrong = [wish for wish, part in _PARTS.items() if given[wish] != part]
    if wrong:
        raise Mistake(
            "part-wrong",
            f"{len(_PARTS) - len(wrong)} of {len(_PARTS)} are right. Look again at wish {wrong[0]}: `{given[wrong[0]]}` is for "
            "something else (Round 3 and Round 4 of the lecture have a paragraph on each).",
        )


# ---- a week of change -------------------------------------------------------------------------------------------------


@cache
def _curve(seed: int) -> dict[int, float]:
    """Return week → ROC-AUC of the forest of the given cell."""
    changed = random.Random(seed).randint(5, 8)
    stream = data.churn_stream(10, 600, changed, kind="concept", seed=seed)
    X, left, week = (
        pd.get_dummies(stream.drop(columns=["churned", "week"]), dtype=float),
        stream["churned"],
        stream["week"],
    )
    forest = RandomForestClassifier(30, min_samples_leaf=10, random_state=0).fit(X[week <= 3], left[week <= 3])
    return {w: float(roc_auc_score(left[week == w], forest.predict_proba(X[week == w])[:, 1])) for w in range(4, 11)}


def watch(evidence: Evidence) -> None:
    """Stretch: a curve over the weeks, and the first bad one."""
    run = evidence.latest_run("hw-ml-workflow-watch", "watch")
    evidence.metric(run, "week_auc")
    right = _curve(data.course_seed())
    seen = {m.step: m.value for m in evidence.client.get_metric_history(run.info.run_id, "week_auc")}
    if missing := [w for w in right if w not in seen]:
        raise Mistake(
            "step-missing",
            f"`week_auc` has the steps {listing(seen, 10)}, but none for week {missing[0]}. Without its week a value cannot be "
            "placed on a curve: log one value for each week from 4 to 10, with `step=` the week.",
        )
    for w, value in right.items():
        if not close(seen[w], value) and any(close(seen[w], other) for other in right.values()):
            raise Mistake(
                "step-shifted",
                f"The value at step {w} is that of another week. The step of a value is its week, not its place in a list.",
            )
        evidence.judge_number(f"week_auc at step {w}", seen[w], value, {})
    first, got = min(w for w in right if right[w] < 0.6), evidence.number_param(run, "first_bad_week")
    if got != first:
        raise Mistake(
            "week-wrong",
            f"`first_bad_week` is {got:g}. In your own curve, look for the earliest week with a value below 0.6.",
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
        "a spreadsheet that nobody can check",
        2,
        record,
        (
            "What does a stranger need to repeat one row of the sheet? What of it does the sheet not say?",
            "Go through the rows with `for number, depth, leaf, noted in sheet.itertuples(index=False):`. One dictionary builds "
            "the tree and is recorded.",
            '`mlflow.log_params(settings | {"data_digest": digest, "split_seed": data.course_seed()})`; the tag is `ok` when `abs(auc - noted)` is smaller than '
            "0.006.",
        ),
        "Four numbers that anybody can repeat, and one slip found.",
        level="transfer",
    ),
    Task(
        "which part, which tool?",
        2,
        parts,
        (
            "Is the wish about a training, a model, a decision, a request, or data?",
            "Each word is used once: begin with those you are sure of. Which tool is named in Round 4 and not in Round 3?",
        ),
        "You know where to look for what.",
    ),
    Task(
        "when did the world change?",
        0,
        watch,
        (
            "How did the lecture's first pitfall record a value for each week?",
            '`for w in range(4, 11): mlflow.log_metric("week_auc", week_auc(w), step=w)`; then take the first week below 0.6.',
        ),
        "One run holds the whole curve, and the week in which somebody had to look.",
        level="transfer",
    ),
)
