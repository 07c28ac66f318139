"""Homework of Start here: a first run, a tag, a table read back into a file, and a run that says something untrue."""

from __future__ import annotations

from functools import cache
from typing import Any

from mlflow.entities import Run
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

from course_utils import data
from course_utils._judge.evidence import Evidence, close, listing
from course_utils._judge.mistake import Mistake, NotStarted
from course_utils._judge.reading import csv_of, need_columns, number
from course_utils._judge.slips import Rows, auc_slips
from course_utils.homework.question import Task

N_ROWS = 800
#: Depths of the trees that the given cell of task 3 logs, and among which Jonas's in task 4 is.
_LOGGED, _POSSIBLE = (1, 2, 5), range(1, 6)


@cache
def _churned(seed: int) -> float:
    """Return the share of customers who left."""
    return float(data.churn(N_ROWS, seed)[data.CHURN_TARGET].mean())


@cache
def _rows(seed: int) -> tuple[Any, Any, Any, Any]:
    """Return training and validation rows of the clinic as the homework's cells make them."""
    X = data.bundled("breast_cancer")
    y = (X.pop("target") == 0).astype(float)
    return tuple(train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed))


@cache
def _auc(seed: int, depth: int) -> float:
    """Return the validation ROC-AUC of a tree of that depth."""
    X_train, X_valid, y_train, y_valid = _rows(seed)
    tree = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(X_train, y_train)
    return float(roc_auc_score(y_valid, tree.predict_proba(X_valid)[:, 1]))


def _judge_tree(evidence: Evidence, run: Run, depth: int) -> None:
    """Compare ``valid_auc`` of a run with that of a tree of a depth from 1 to 8."""
    seed, name = data.course_seed(), f"valid_auc of {run.info.run_name}"
    got, right = evidence.metric(run, "valid_auc"), _auc(seed, depth)
    if not close(got, right) and any(close(got, _auc(seed, other)) for other in range(1, 9)):
        raise Mistake(
            "stale-value",
            f"The run `{run.info.run_name}` says `max_depth` {depth:g}, but its score belongs to a tree of another depth. "
            "Fit, parameter and metric belong into one cell; ask the tree for its depth: `get_params()`.",
        )
    tree = DecisionTreeClassifier(max_depth=depth, random_state=0)
    evidence.judge_number(name, got, right, {}, slips=lambda: auc_slips(tree, Rows(*_rows(seed)), "validation"))


def first_run(evidence: Evidence) -> None:
    """Task 1: one parameter, one metric."""
    run = evidence.latest_run("hw-start-here-first", "hello", others=("first-steps",))
    count = evidence.number_param(run, "n_customers")
    if count != N_ROWS:
        raise Mistake(
            "param-value",
            f"`n_customers` is {count:g}, which is not the number of rows of `customers`. Let Python count, so that "
            "the number stays true when the table changes.",
        )
    right = _churned(data.course_seed())
    evidence.judge_number(
        "churn_rate",
        evidence.metric(run, "churn_rate"),
        right,
        {
            "wrong-class": (
                1 - right,
                "That is the share of customers who *stayed*. Churn is the class 1: count those.",
            ),
            "count-not-share": (
                right * N_ROWS,
                "That is the number of customers who left. A share is between 0 and 1.",
            ),
            "percent-not-share": (
                right * 100,
                "That is a percentage. A share is between 0 and 1; show percent when you print.",
            ),
        },
    )


def named(evidence: Evidence) -> None:
    """Task 2: a tag on the given run."""
    run = evidence.latest_run("hw-start-here-name", "mine")
    if "lectures" not in run.data.metrics:
        raise Mistake(
            "new-not-given",
            "The newest run `mine` is not the one that the given cell made. A tag can be added to a run that has ended: "
            "tag that one, and delete the new run.",
        )
    if not run.data.params and all(name.startswith("mlflow.") for name in run.data.tags):
        if other := [r.info.run_name for r in evidence.runs("hw-start-here-name") if "learner" in r.data.tags]:
            raise Mistake(
                "new-not-given",
                f"The tag `learner` is on {listing(other)}, not on `mine`. `start_run`, and `mlflow.set_tag` when no run is "
                "open, make a new run. Tag the run `mine` by its own id, and delete the new one.",
            )
        raise NotStarted("The run `mine` has no tag of your own yet.")
    name = evidence.tag(run, "learner").strip(" .?…")
    if not name or name.lower() in ("your name", "name", "value", "learner"):
        raise Mistake(
            "tag-placeholder", "The tag `learner` is there, but it holds no name. Any name will do, yours is best."
        )


def read_back(evidence: Evidence) -> None:
    """Task 3: the table of three runs as a CSV file."""
    if not evidence.runs("hw-start-here-trees"):
        raise NotStarted("The experiment `hw-start-here-trees` has no runs yet: run the given cell first.")
    folder = evidence.home / "outputs" / "hw-start-here"
    if not (folder / "runs.csv").is_file() and (evidence.here / "runs.csv").is_file():
        raise Mistake(
            "file-place",
            "There is a `runs.csv` beside your notebook, but the task wants it in `outputs/hw-start-here`, where other "
            "notebooks and this check look. `store.outputs` gives that folder.",
        )
    table = csv_of(evidence.file("hw-start-here", "runs.csv"))
    # Whoever gives the columns shorter names says the same.
    full = {"run_name": "tags.mlflow.runName", "max_depth": "params.max_depth", "valid_auc": "metrics.valid_auc"}
    table = table.rename(columns={short: name for short, name in full.items() if name not in table})
    need_columns(table, tuple(full.values()), "runs.csv")
    for depth in _LOGGED:
        rows = table[table["tags.mlflow.runName"].astype(str).str.strip() == f"depth-{depth}"]
        if rows.empty:
            raise Mistake(
                "rows-missing",
                f"`runs.csv` has {listing(table['tags.mlflow.runName']) or 'no rows'}, but not `depth-{depth}`, so a reader "
                "compares only some of the runs. Write all runs of the experiment.",
            )
        _judge_row(evidence, rows.iloc[0], depth)


def _judge_row(evidence: Evidence, row: Any, depth: int) -> None:
    """Compare one row of the table with the tree that the given cell has logged."""
    if number(row["params.max_depth"], f"In `runs.csv` the `params.max_depth` of `depth-{depth}`") != depth:
        raise Mistake(
            "column-wrong",
            f"In `runs.csv` the run `depth-{depth}` has the `params.max_depth` {row['params.max_depth']}. The columns seem "
            "mixed up: write the table as `search_runs` returns it.",
        )
    auc = number(row["metrics.valid_auc"], f"In `runs.csv` the `metrics.valid_auc` of `depth-{depth}`")
    right = {d: _auc(data.course_seed(), d) for d in _LOGGED}
    if not close(auc, right[depth]) and any(close(auc, value) for value in right.values()):
        raise Mistake(
            "row-mixed",
            f"In `runs.csv` the run `depth-{depth}` has the score of another depth. Keep rows whole when you sort or join "
            "them.",
        )
    evidence.judge_number(f"metrics.valid_auc of depth-{depth}", auc, right[depth], {})


def corrected(evidence: Evidence) -> None:
    """Task 4: the depth that belongs to Jonas's score, in a run that tells the truth."""
    runs = evidence.runs("hw-start-here-clinic")
    jonas = next((run for run in runs if run.info.run_name == "jonas"), None)
    if jonas is None:
        raise NotStarted("The experiment `hw-start-here-clinic` has no run `jonas` yet: run the given cell first.")
    seed, seen = data.course_seed(), jonas.data.metrics.get("valid_auc", 0.0)
    if not any(close(seen, _auc(seed, depth)) for depth in _POSSIBLE):
        raise Mistake(
            "given-changed",
            "The newest run `jonas` no longer has the score that the given cell logs, so there is nothing to compare with. "
            "Run the given cell again, and log your finding in a run called `corrected`.",
        )
    try:
        run = evidence.latest_run("hw-start-here-clinic", "corrected")
    except Mistake as mistake:
        if mistake.code == "run-name" and all(r.info.run_name == "jonas" for r in runs):
            raise NotStarted("There is no run `corrected` yet.") from None
        raise
    depth = evidence.number_param(run, "max_depth")
    if depth == 6:
        raise Mistake(
            "untrue-depth",
            "`max_depth` is 6, which is what Jonas's run says, and it is not true. Fit a tree of each depth from 1 to 5, and "
            "see which of them has his score.",
        )
    if depth not in _POSSIBLE:
        raise Mistake("param-value", f"`max_depth` is {depth:g}; Jonas's tree has a depth from 1 to 5.")
    _judge_tree(evidence, run, int(depth))
    if not close(_auc(seed, int(depth)), seen):
        raise Mistake(
            "other-tree",
            f"Depth {depth:g} and its score belong together, but the score is not that of Jonas's run, so this is not the "
            "tree that he used. Compare the score of each depth with his.",
        )


def winner(evidence: Evidence) -> None:
    """Stretch: eight trees, and a tag on the best."""
    seed, best = data.course_seed(), []
    for depth in range(1, 9):
        run = evidence.latest_run(
            "hw-start-here-best",
            f"depth-{depth}",
            others=("hw-start-here-trees", "first-steps"),
            asked=[f"depth-{d}" for d in range(1, 9)],
        )
        if evidence.number_param(run, "max_depth") != depth:
            raise Mistake(
                "name-not-param",
                f"The run `depth-{depth}` says `max_depth` {run.data.params['max_depth']}. Name and parameter of a run should "
                "tell the same story: make both from the same variable.",
            )
        _judge_tree(evidence, run, depth)
        if "best" in run.data.tags:
            best.append((depth, evidence.tag(run, "best").strip().lower()))
    if not best:
        raise Mistake(
            "tag-missing",
            "Eight runs, and none has the tag `best`, so a reader must compare them once more. Set the tag on the winner.",
        )
    if len(best) > 1 or best[0][1] != "yes":
        raise Mistake(
            "not-one-winner",
            f"The tag `best` stands on {len(best)} of the eight runs, first with the value `{best[0][1]}`. One run has it, "
            "with the value `yes`: then a search for it finds the winner alone.",
        )
    if not close(_auc(seed, best[0][0]), max(_auc(seed, depth) for depth in range(1, 9))):
        raise Mistake(
            "not-the-best",
            f"The tag stands on `depth-{best[0][0]}`, but another run has a higher `valid_auc`. Sort the table by that column.",
        )


TASKS = (
    Task(
        "a first run",
        2,
        first_run,
        (
            "Which of the two was there before, and which comes out of the data? Which call fits each?",
            "`len(customers)` counts rows. The mean of a column of zeros and ones is the share of ones.",
            '`mlflow.set_experiment("hw-start-here-first")`, then `with mlflow.start_run(run_name="hello"):` with `log_param` '
            "and `log_metric` inside.",
        ),
        "MLflow works on your machine, and you have your first run.",
        level="warm-up",
    ),
    Task(
        "a tag with your name",
        1,
        named,
        (
            "How do you say *which* run gets the tag? By its name, or by its id?",
            '`mlflow.search_runs(experiment_names=["hw-start-here-name"], filter_string=…)` with a filter for the name `mine` '
            'gives a table, and its `["run_id"][0]` is the id.',
            '`mlflow.MlflowClient().set_tag(run_id, "learner", "…")` with your name.',
        ),
        "A finished run can still learn something new about itself.",
        level="warm-up",
    ),
    Task(
        "read back into a file",
        2,
        read_back,
        (
            "Which call gives a table of the runs of an experiment? Which of its columns does the task name?",
            '`mlflow.search_runs(experiment_names=["hw-start-here-trees"])` is the table; `table[[…]]` keeps some columns.',
            '`table.to_csv(store.outputs("hw-start-here") / "runs.csv", index=False)`',
        ),
        "What is in the store can leave it, for any tool that reads a table.",
    ),
    Task(
        "a run that is not true",
        2,
        corrected,
        (
            "What do you know for sure about Jonas's tree, and what is the one thing that you do not know?",
            "Fit a tree for each depth from 1 to 5 and print its score beside his.",
            'His score: `mlflow.search_runs(filter_string="attributes.run_name = \'jonas\'")["metrics.valid_auc"][0]`. When one '
            'of yours is the same, `with mlflow.start_run(run_name="corrected"):` log both.',
        ),
        "The score led back to the depth, and the new run tells the truth.",
        level="transfer",
    ),
    Task(
        "eight trees and a winner",
        0,
        winner,
        (
            "How did the lecture log three trees? What changes for eight?",
            '`table["metrics.valid_auc"].idxmax()` is the row of the highest score; `set_tag` wants that row\'s `run_id`.',
        ),
        "Eight runs, and a search for one tag finds the best of them.",
    ),
)
