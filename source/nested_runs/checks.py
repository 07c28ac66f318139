"""Homework 07: a loop with a parent, a grid's candidates, the winner of a family, children from threads, a study."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pandas as pd
from mlflow.entities import Run
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.tree import DecisionTreeClassifier

from course_utils import data
from course_utils.homework.evidence import Evidence, close, listing
from course_utils.homework.mistake import Mistake, NotStarted
from course_utils.homework.question import Task
from course_utils.homework.reading import visible
from course_utils.homework.slips import auc_slips

_FOREST_DEPTHS = (2, 6, 16)
_DEPTHS = {"shallow": 1, "middle": 3, "deep": 6}


@cache
def _split(seed: int) -> data.Split:
    """Return the rows of this homework."""
    return data.churn_split(900, seed, numeric=True)


def _scores(model: object, seed: int) -> dict[str, float]:
    """Return the right test ROC-AUC of a model and the plausible wrong ones."""
    split = _split(seed)
    model.fit(split.X_train, split.y_train)
    return {
        "right": roc_auc_score(split.y_test, model.predict_proba(split.X_test)[:, 1]),
        "train": roc_auc_score(split.y_train, model.predict_proba(split.X_train)[:, 1]),
        "accuracy": accuracy_score(split.y_test, model.predict(split.X_test)),
    }


@cache
def _forest(max_depth: int, seed: int) -> dict[str, float]:
    """Return the scores of a forest of task 1."""
    return _scores(RandomForestClassifier(n_estimators=15, max_depth=max_depth, random_state=0), seed)


@cache
def _tree(max_depth: int, seed: int) -> dict[str, float]:
    """Return the scores of a tree of task 4."""
    return _scores(DecisionTreeClassifier(max_depth=max_depth, random_state=0), seed)


@cache
def _grid(seed: int) -> pd.DataFrame:
    """Return the results of the grid search of task 2."""
    grid = {"max_depth": [2, 4, 8], "min_samples_leaf": [5, 40]}
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), grid, cv=3, scoring="roc_auc", refit=False)
    split = _split(seed)
    return pd.DataFrame(search.fit(split.X_train, split.y_train).cv_results_)


@cache
def _cross_validated(max_depth: int, min_samples_leaf: int, seed: int) -> tuple[float, float]:
    """Return cross-validated ROC-AUC and accuracy of a tree of the stretch."""
    tree = DecisionTreeClassifier(max_depth=max_depth, min_samples_leaf=min_samples_leaf, random_state=0)
    found = cross_validate(tree, _split(seed).X_train, _split(seed).y_train, scoring=("roc_auc", "accuracy"))
    return found["test_roc_auc"].mean(), found["test_accuracy"].mean()


def _family(evidence: Evidence, experiment: str, name: str) -> tuple[Run, list[Run]]:
    """Return the newest parent of that name and its children, newest first, all of them ended."""
    parent = evidence.latest_run(experiment, name)
    children = evidence.children(parent)
    if not children:
        others = [r for r in evidence.runs(experiment) if r.info.run_id != parent.info.run_id]
        apart = [r for r in others if "mlflow.parentRunId" not in r.data.tags and r.info.run_name != name]
        if apart:
            raise Mistake(
                "no-children",
                f"The parent `{name}` has no children, but {listing(r.info.run_name for r in apart)} stand beside it "
                "without a parent. In the UI they are one flat list. Open each child inside the parent's block with "
                "`nested=True`; a thread must be told the parent's id, because the open run belongs to one thread.",
            )
        raise Mistake(
            "childless",
            f"The run `{name}` has no children. A search keeps every candidate as a run of its own: start one inside "
            "the parent's block with `nested=True`, for each candidate.",
        )
    for child in children:
        if child.info.status != "KILLED":
            evidence.finished(child)
    return parent, children


def _judge_auc(
    evidence: Evidence, run: Run, reference: dict[str, float], model: object, others: dict[int, float]
) -> None:
    """Judge ``test_auc`` of a child; `others` are the scores of the other children."""

    def slips() -> Iterator[tuple[str, float, str]]:
        for depth, value in others.items():
            told = f"That is the score of the child with the depth {depth}. Fit, score and log in the same turn of the loop."
            yield "score-of-another", value, told
        yield from auc_slips(model, _split(data.course_seed()))

    evidence.judge_number(
        "test_auc",
        evidence.metric(run, "test_auc"),
        reference["right"],
        {
            "train-not-test": (
                reference["train"],
                "That is the value on the *training* rows, which the model has seen. Use the test rows.",
            ),
            "accuracy-not-auc": (
                reference["accuracy"],
                "That is the accuracy, not the ROC-AUC. The given function `test_auc` computes the right one.",
            ),
        },
        slips=slips,
    )


def _promoted(evidence: Evidence, parent: Run, scores: dict[str, float], name: str) -> None:
    """Judge the metric on the parent that repeats the best child's."""
    worst, best = min(scores.values()), max(scores.values())
    evidence.judge_number(
        name,
        evidence.metric(parent, name),
        best,
        {
            "worst-as-best": (
                worst,
                "That is the score of the *worst* child. For ROC-AUC, more is better: take the largest.",
            )
        },
        slips=lambda: (
            (
                "not-the-best",
                value,
                f"That is the score of the child with the depth {depth}, and another child has more.",
            )
            for depth, value in scores.items()
        ),
    )


def loop(evidence: Evidence) -> None:
    """Task 1: three children by hand, the best promoted."""
    parent, children = _family(evidence, "hw-nested-runs-depth", "depth")
    seed = data.course_seed()
    newest: dict[float, Run] = {}
    for child in children:
        newest.setdefault(evidence.number_param(child, "max_depth"), child)
    if missing := [depth for depth in _FOREST_DEPTHS if depth not in newest]:
        raise Mistake(
            "child-missing",
            f"No child of `depth` has `max_depth` {missing[0]}; I see {listing(f'{n:g}' for n in newest)}. "
            "Each candidate of the task needs a run of its own.",
        )
    for depth in _FOREST_DEPTHS:
        model = RandomForestClassifier(n_estimators=15, max_depth=depth, random_state=0)
        others = {d: _forest(d, seed)["right"] for d in _FOREST_DEPTHS if d != depth}
        _judge_auc(evidence, newest[depth], _forest(depth, seed), model, others)
    scores = {depth: _forest(depth, seed)["right"] for depth in _FOREST_DEPTHS}
    _promoted(evidence, parent, scores, "best_auc")
    promoted = evidence.number_param(parent, "best_max_depth")
    if not close(scores.get(promoted, -1.0), max(scores.values())):
        raise Mistake(
            "wrong-settings",
            f"The parent says that a depth of {promoted:g} is the best, but `best_auc` belongs to another child. "
            "Settings and score must come from the same run, or nobody can rebuild the winner.",
        )


def grid(evidence: Evidence) -> None:
    """Task 2: six candidates of a grid search as children."""
    _, children = _family(evidence, "hw-nested-runs-grid", "grid")
    results = _grid(data.course_seed())
    newest: dict[tuple[float, float], Run] = {}
    for child in children:
        settings = (evidence.number_param(child, "max_depth"), evidence.number_param(child, "min_samples_leaf"))
        newest.setdefault(settings, child)
    for _, row in results.iterrows():
        depth, leaf = row["params"]["max_depth"], row["params"]["min_samples_leaf"]
        if (depth, leaf) not in newest:
            raise Mistake(
                "child-missing",
                f"{len(newest)} of {len(results)} candidates have a child; the one with `max_depth` {depth} and "
                f"`min_samples_leaf` {leaf} has none. What was tried and not kept will be tried again.",
            )
        child = newest[depth, leaf]
        evidence.judge_number(
            "cv_auc",
            evidence.metric(child, "cv_auc"),
            row["mean_test_score"],
            {
                "spread-not-mean": (
                    row["std_test_score"],
                    "That is the *standard deviation* over the folds. The score of a candidate is the mean.",
                ),
                "one-fold": (
                    row["split0_test_score"],
                    "That is the score of the first fold alone. One fold may be an easy one: take the mean.",
                ),
                "rank-not-score": (
                    row["rank_test_score"],
                    "That is the *rank*. It changes with every candidate you add; the score does not.",
                ),
                "test-not-folds": (
                    _scores(DecisionTreeClassifier(random_state=0, **row["params"]), data.course_seed())["right"],
                    "That is the score on the *test* rows. A search chooses by the folds of the training rows.",
                ),
                "one-score-for-all": (
                    results["mean_test_score"].max(),
                    "That is the best score of the whole search. Each child needs the score of its own candidate.",
                ),
            },
        )


def winner(evidence: Evidence) -> None:
    """Task 3: the best finished child of one parent, found by query and tagged."""
    try:
        parent = evidence.latest_run("hw-nested-runs-family", "search")
    except NotStarted:
        raise NotStarted(
            "The experiment `hw-nested-runs-family` has no search yet: run the given cell first."
        ) from None
    children = [c for c in evidence.children(parent) if "cv_auc" in c.data.metrics]
    finished = [c for c in children if c.info.status == "FINISHED"]
    if not finished:
        raise NotStarted("The newest `search` has no finished children: run the given cell again.")
    best = max(finished, key=lambda c: c.data.metrics["cv_auc"])
    since = [r for r in evidence.runs("hw-nested-runs-family") if r.info.start_time >= parent.info.start_time]
    if parent.data.tags.get("winner"):
        raise Mistake(
            "parent-as-best",
            "You marked the *parent*. It carries a promoted score, but was never trained. Ask for runs whose tag "
            "`mlflow.parentRunId` is the parent's id: the parent itself does not have it.",
        )
    if any(r.data.tags.get("winner") for r in since if "mlflow.parentRunId" not in r.data.tags):
        raise Mistake(
            "stray-as-best",
            "You marked a run that is not a child of this search. The highest score of the *experiment* may belong to "
            "another search. Ask for the children of `parent_id` only.",
        )
    marked = [c for c in children if c.data.tags.get("winner")]
    if any(c.info.status == "KILLED" for c in marked):
        raise Mistake(
            "killed-as-best",
            "You marked a child that was KILLED. Its score is from the folds it got to, so it cannot be compared with "
            "those that went the whole way. Add the status to the query.",
        )
    if len(marked) > 1:
        raise Mistake(
            "many-winners",
            f"{len(marked)} children of this search are marked as winner. Whoever asks for the winner must get one "
            "run: mark the first row of the sorted query. Run the given cell again for a fresh family.",
        )
    if marked and marked[0].info.run_id != best.info.run_id:
        raise Mistake(
            "not-best",
            f"`{marked[0].info.run_name}` finished, but another child finished with a higher `cv_auc`. Sort the query: "
            "the order is ascending unless you say DESC.",
        )
    strange = {k for k in best.data.tags if not k.startswith("mlflow.")} | set(best.data.params)
    if not marked and not strange:
        raise NotStarted("No child of the newest `search` is marked as winner yet.")
    value = evidence.tag(best, "winner")
    if value.strip().lower() != "yes":
        raise Mistake(
            "tag-value",
            f"The tag `winner` is `{visible(value, 40)}`; the task asks for `yes`, so that a filter finds it.",
        )


def threads(evidence: Evidence) -> None:
    """Task 4: three children made in threads."""
    _, children = _family(evidence, "hw-nested-runs-threads", "parallel")
    seed = data.course_seed()
    newest: dict[str, Run] = {}
    for child in children:
        newest.setdefault(child.info.run_name, child)
    if missing := [name for name in _DEPTHS if name not in newest]:
        raise Mistake(
            "child-missing",
            f"The parent `parallel` has no child `{missing[0]}`; it has {listing(newest)}. Name each child after its "
            "entry. An error inside a thread stays silent until you read the results: `list(pool.map(…))`.",
        )
    for name, depth in _DEPTHS.items():
        child = newest[name]
        logged = evidence.number_param(child, "max_depth")
        if logged != depth:
            raise Mistake(
                "param-value",
                f"The child `{name}` says `max_depth` {logged:g}, which is not that of its entry. Threads that share a "
                "variable overwrite it for each other: pass the value to the function.",
            )
        model = DecisionTreeClassifier(max_depth=depth, random_state=0)
        others = {d: _tree(d, seed)["right"] for d in _DEPTHS.values() if d != depth}
        _judge_auc(evidence, child, _tree(depth, seed), model, others)


def study(evidence: Evidence) -> None:
    """Stretch: an Optuna study with pruned children."""
    parent, children = _family(evidence, "hw-nested-runs-optuna", "study")
    if len(children) < 10:
        raise Mistake("few-trials", f"The study has {len(children)} children; the task asks for ten or more.")
    for child in children:
        for name, most in (("max_depth", 12), ("min_samples_leaf", 100)):
            if not 1 <= evidence.number_param(child, name) <= most:
                raise Mistake(
                    "out-of-range",
                    f"A child has `{name}` {child.data.params[name]}, outside the range of the task. A study only "
                    "knows the ranges you give it, and a fair comparison needs the same ones.",
                )
        evidence.metric(child, "cv_auc")
    finished = [c for c in children if c.info.status == "FINISHED"]
    if len(finished) == len(children):
        raise Mistake(
            "nothing-pruned",
            "All children FINISHED: nothing was pruned, so nothing was saved. Report the score after each fold, ask "
            "`trial.should_prune()`, and end the run with the status KILLED.",
        )
    if not finished:
        raise Mistake(
            "all-pruned",
            "Every child was KILLED, so there is no score to trust. Let some trials go through to the end.",
        )
    top = max(finished, key=lambda c: c.data.metrics["cv_auc"])
    best = top.data.metrics["cv_auc"]
    depth, leaf = (int(evidence.number_param(top, name)) for name in ("max_depth", "min_samples_leaf"))
    auc, accuracy = _cross_validated(depth, leaf, data.course_seed())
    # Folds and random_state are the learner's choice, so the score may differ a little.
    if abs(best - auc) > 0.04:
        if abs(best - accuracy) < 0.04:
            raise Mistake(
                "accuracy-not-auc",
                f"The best `cv_auc` is {best:.3f}, which is an accuracy. `cross_val_score` computes the accuracy of a "
                "classifier unless you pass `scoring`.",
            )
        tree = DecisionTreeClassifier(max_depth=depth, min_samples_leaf=leaf, random_state=0)
        if close(best, _scores(tree, data.course_seed())["right"]):
            raise Mistake(
                "test-not-folds",
                f"The best `cv_auc` is {best:.3f}, the score on the *test* rows. A search that looks at them has no honest "
                "rows left: score each candidate by folds of the training rows.",
            )
        raise Mistake(
            "not-a-mean",
            f"The best `cv_auc` is {best:.3f}; with these settings the mean over the folds is another number. Divide "
            "the sum by the number of folds done.",
        )
    killed = max(c.data.metrics["cv_auc"] for c in children if c.info.status == "KILLED")
    evidence.judge_number(
        "best_auc",
        evidence.metric(parent, "best_auc"),
        best,
        {"killed-as-best": (killed, "That score belongs to a child that was pruned. Only finished children compete.")},
    )


TASKS = (
    Task(
        "a loop with a parent",
        2,
        loop,
        (
            "Which of the two `with` blocks must be inside the other, and what tells MLflow that this is meant?",
            "Open the parent once, before the loop; inside the loop `mlflow.start_run(nested=True)`. Behind the loop, "
            "but still inside the parent's block, log what is promoted.",
            '`best = max(scores, key=scores.get)`, then `mlflow.log_param("best_max_depth", best)` and '
            '`mlflow.log_metric("best_auc", scores[best])`.',
        ),
        "One row tells how the search ended, three more how it got there.",
        level="warm-up",
    ),
    Task(
        "every candidate of a grid",
        2,
        grid,
        (
            "What does `search.cv_results_` hold for each candidate? Print its keys.",
            "`params` is a list of dicts, `mean_test_score` an array in the same order: `zip` them.",
            '`with mlflow.start_run(nested=True): mlflow.log_params(settings)` and `mlflow.log_metric("cv_auc", '
            "score)`.",
        ),
        "Six candidates kept, not only the one that won.",
    ),
    Task(
        "find the winner",
        2,
        winner,
        (
            "Which tag makes a run a child? Which attribute says that it was not stopped early?",
            "One filter with both conditions, joined by AND; sort by the metric, descending; take the first row.",
            "`filter_string=f\"tags.mlflow.parentRunId = '{parent_id}' AND attributes.status = 'FINISHED'\"`",
        ),
        "Neither the parent, nor the killed child, nor the neighbour could fool your query.",
        level="transfer",
    ),
    Task(
        "children from threads",
        2,
        threads,
        (
            "Is a run open in the thread that trains? What would MLflow need to know there?",
            "Pass the parent's id to the thread: `start_run(..., parent_run_id=…)`, or the client with the tag "
            "`mlflow.parentRunId`.",
            "`with mlflow.start_run(run_name=name, nested=True, parent_run_id=parallel.info.run_id):` inside the "
            "function that the pool calls.",
        ),
        "Three threads, three children, none lost.",
    ),
    Task(
        "a study that prunes",
        0,
        study,
        (
            "What does the objective of the lecture do between two folds?",
            "`trial.report(mean, step)`, then `if trial.should_prune():` end the run as KILLED and "
            "`raise optuna.TrialPruned()`. The run is a child because the study runs inside the parent's block.",
        ),
        "You paid only for candidates that were worth it.",
        level="transfer",
    ),
)
