"""Homework 00: a first run, a tag, a table read back into a file; they prove that the set-up works."""

from __future__ import annotations

from functools import cache

from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from course_utils import data
from course_utils.homework.evidence import Evidence, close, listing
from course_utils.homework.mistake import Mistake, NotStarted
from course_utils.homework.question import Task
from course_utils.homework.reading import number
from course_utils.homework.slips import auc_slips

N_ROWS = 800
DEPTHS = (1, 3, 9)


@cache
def _churned(seed: int) -> float:
    """Return the share of customers who left."""
    return float(data.churn(N_ROWS, seed)[data.CHURN_TARGET].mean())


@cache
def _tree(seed: int, depth: int) -> dict[str, float]:
    """Return the scores of a tree of that depth: the right one and the plausible wrong ones."""
    split = data.churn_split(N_ROWS, seed, numeric=True)
    tree = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(split.X_train, split.y_train)
    test = tree.predict_proba(split.X_test)[:, 1]
    return {
        "right": roc_auc_score(split.y_test, test),
        "train": roc_auc_score(split.y_train, tree.predict_proba(split.X_train)[:, 1]),
        "labels": roc_auc_score(split.y_test, tree.predict(split.X_test)),
        "accuracy": accuracy_score(split.y_test, tree.predict(split.X_test)),
    }


def first_run(evidence: Evidence) -> None:
    """Task 1: one parameter, one metric."""
    run = evidence.latest_run("hw-start-here-first", "hello")
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
            "`mine` is not the run that the given cell made. A tag can be added to a run that has ended: tag that "
            "one instead of making a new run.",
        )
    if not run.data.params and all(name.startswith("mlflow.") for name in run.data.tags):
        raise NotStarted("The run `mine` has no tag of your own yet.")
    name = evidence.tag(run, "learner").strip(" .?")
    if not name or name.lower() in ("your name", "name", "value", "learner"):
        raise Mistake(
            "tag-placeholder", "The tag `learner` is there, but it holds no name. Any name will do, yours is best."
        )


def read_back(evidence: Evidence) -> None:
    """Task 3: the table of three runs as a CSV file."""
    if not evidence.runs("hw-start-here-trees"):
        raise NotStarted("The experiment `hw-start-here-trees` has no runs yet: run the cell above.")
    if (
        not (evidence.home / "outputs" / "hw-start-here" / "runs.csv").is_file()
        and (evidence.here / "runs.csv").is_file()
    ):
        raise Mistake(
            "file-place",
            "There is a `runs.csv` beside your notebook, but the task wants it in `outputs/hw-start-here`, where other "
            "notebooks and "
            "this check look. The helper `store.outputs` gives that folder.",
        )
    table = evidence.table("hw-start-here", "runs.csv", ("run_name", "max_depth", "test_auc"))
    seed = data.course_seed()
    for depth in DEPTHS:
        rows = table[table["run_name"].astype(str).str.strip() == f"depth-{depth}"]
        if rows.empty:
            raise Mistake(
                "rows-missing",
                f"`runs.csv` has {listing(table['run_name'])}, but not `depth-{depth}`. Write all runs of the "
                "experiment.",
            )
        newest = rows.iloc[0]
        if number(newest["max_depth"], f"In `runs.csv` the `max_depth` of `depth-{depth}`") != depth:
            raise Mistake(
                "column-wrong",
                f"In `runs.csv` the run `depth-{depth}` has the `max_depth` {newest['max_depth']}. The columns seem "
                "mixed up.",
            )
        auc = number(newest["test_auc"], f"In `runs.csv` the `test_auc` of `depth-{depth}`")
        if any(close(auc, _tree(seed, d)["right"]) for d in DEPTHS) and not close(auc, _tree(seed, depth)["right"]):
            raise Mistake(
                "row-mixed",
                f"In `runs.csv` the run `depth-{depth}` has the score of another depth. Keep rows whole when you sort or "
                "join them.",
            )
        evidence.judge_number(f"test_auc of depth-{depth}", auc, _tree(seed, depth)["right"], {})


def deeper(evidence: Evidence) -> None:
    """Stretch: parameter and metric that belong together."""
    run = evidence.latest_run("hw-start-here-deeper", "deeper")
    depth, auc, seed = evidence.number_param(run, "max_depth"), evidence.metric(run, "test_auc"), data.course_seed()
    if depth not in range(4, 9):
        raise Mistake("param-value", f"`max_depth` is {depth:g}; the task asks for a depth from 4 to 8.")
    found = _tree(seed, int(depth))
    others = [d for d in range(1, 21) if d != depth and close(auc, _tree(seed, d)["right"])]
    if others and not close(auc, found["right"]):
        raise Mistake(
            "stale-value",
            f"The run says `max_depth` {depth:g}, but its score belongs to a tree of another depth. A variable was "
            "changed and the tree was not fitted again. Ask the tree: `tree.get_params()`.",
        )
    evidence.judge_number(
        "test_auc",
        auc,
        found["right"],
        {
            "train-not-test": (found["train"], "That is the value on the *training* rows, which the tree has seen."),
            "labels-not-probabilities": (
                found["labels"],
                "That ranks by predicted labels, which know only two ranks. Use `predict_proba`.",
            ),
            "accuracy-not-auc": (
                found["accuracy"],
                "That is the accuracy at one threshold. ROC-AUC judges the order of all rows: give it the probabilities.",
            ),
        },
        slips=lambda: auc_slips(
            DecisionTreeClassifier(max_depth=int(depth), random_state=0), data.churn_split(N_ROWS, seed, numeric=True)
        ),
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
            '`mlflow.search_runs(experiment_names=[…], output_format="list")[0].info.run_id` is the id.',
            '`mlflow.MlflowClient().set_tag(mine.info.run_id, "learner", "…")` with your name.',
        ),
        "A finished run can still learn something new about itself.",
        level="warm-up",
    ),
    Task(
        "read back into a file",
        2,
        read_back,
        (
            "What did the lecture's table have as its index, and does `to_csv` write the index?",
            '`store.runs("hw-start-here-trees", columns=["max_depth", "test_auc"])` is the table.',
            '`table.to_csv(store.outputs("hw-start-here") / "runs.csv")`',
        ),
        "What is in the store can leave it, for any tool that reads a table.",
    ),
    Task(
        "a deeper tree",
        0,
        deeper,
        (
            "If you change the depth, which lines must run again?",
            'Keep fit, parameter and metric in one cell, and log `tree.get_params()["max_depth"]`.',
        ),
        "The parameter says what the model really used.",
    ),
)
