"""Homework of Nested runs: a loop with a parent, a grid's candidates, a winner to find, threads to mend, a study."""

from __future__ import annotations

from functools import cache
from typing import Any

import pandas as pd
from mlflow.entities import Run
from sklearn.base import ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_validate, train_test_split
from sklearn.tree import DecisionTreeClassifier

from course_utils import data
from course_utils._judge.evidence import Evidence, close, listing
from course_utils._judge.mistake import Mistake, NotStarted
from course_utils.homework.question import Task

_FOREST_DEPTHS = (1, 2, 5)
_DEPTHS = {"shallow": 1, "middle": 3, "deep": 6}


@cache
def _rows(seed: int) -> tuple[Any, Any, Any, Any]:
    """Return training and validation rows as the homework's set-up cell makes them."""
    X = data.bundled("breast_cancer")
    y = (X.pop("target") == 0).astype(float)
    return tuple(train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed))


def _scores(model: ClassifierMixin, seed: int) -> dict[str, float]:
    """Return the right validation ROC-AUC of an unfitted model, and the plausible wrong ones."""
    X_train, X_valid, y_train, y_valid = _rows(seed)
    X, y = (pd.concat(parts).sort_index() for parts in ((X_train, X_valid), (y_train, y_valid)))  # in the file's order
    everybody = clone(model).fit(X, y)
    model = clone(model).fit(X_train, y_train)
    return {
        "right": roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1]),
        "train": roc_auc_score(y_train, model.predict_proba(X_train)[:, 1]),
        "labels": roc_auc_score(y_valid, model.predict(X_valid)),
        "accuracy": accuracy_score(y_valid, model.predict(X_valid)),
        "everybody": roc_auc_score(y_valid, everybody.predict_proba(X_valid)[:, 1]),
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
    X_train, _, y_train, _ = _rows(seed)
    grid = {"max_depth": [1, 2, 4], "min_samples_leaf": [5, 40]}
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), grid, cv=3, scoring="roc_auc", refit=False)
    return pd.DataFrame(search.fit(X_train, y_train).cv_results_)


@cache
def _churn(seed: int) -> data.Split:
    """Return the rows of the stretch."""
    return data.churn_split(900, seed, numeric=True)


@cache
def _cross_validated(max_depth: int, min_samples_leaf: int, seed: int) -> dict[str, float]:
    """Return what a tree of the stretch reaches: cross-validated ROC-AUC and accuracy, and ROC-AUC on the test rows."""
    tree = DecisionTreeClassifier(max_depth=max_depth, min_samples_leaf=min_samples_leaf, random_state=0)
    split = _churn(seed)
    found = cross_validate(tree, split.X_train, split.y_train, scoring=("roc_auc", "accuracy"))
    fitted = tree.fit(split.X_train, split.y_train)
    return {
        "auc": found["test_roc_auc"].mean(),
        "accuracy": found["test_accuracy"].mean(),
        "test": roc_auc_score(split.y_test, fitted.predict_proba(split.X_test)[:, 1]),
    }


def _family(evidence: Evidence, experiment: str, name: str) -> tuple[Run, list[Run]]:
    """Return the newest parent of that name and its children, newest first, all of them ended."""
    parent = evidence.latest_run(experiment, name)
    above = parent.data.tags.get("mlflow.parentRunId")  # a child may have its parent's name
    parent = next((r for r in evidence.runs(experiment) if r.info.run_id == above and r.info.run_name == name), parent)
    children = evidence.children(parent)
    if not children:
        others = [r for r in evidence.runs(experiment) if r.info.run_id != parent.info.run_id]
        apart = [r for r in others if "mlflow.parentRunId" not in r.data.tags and r.info.run_name != name]
        if apart:
            raise Mistake(
                "no-children",
                f"The parent `{name}` has no children, but {listing(r.info.run_name for r in apart)} stand beside it "
                "without a parent. In the UI they are one flat list. A run becomes a child only when MLflow learns of "
                "its parent: from the open run, which belongs to one thread, or from an id that it is given.",
            )
        raise Mistake(
            "childless",
            f"The run `{name}` has no children. A search keeps every candidate as a run of its own, so that nothing that "
            "was tried is lost: start one inside the parent for each candidate.",
        )
    for child in children:
        if child.info.status == "FAILED":
            raise Mistake(
                "run-failed",
                f"The child `{child.info.run_name}` ended FAILED: an exception left its `with` block, so what it logged may "
                "not be whole. You saw none? A thread keeps it until somebody asks for its result, and Optuna takes that of "
                "a pruned trial as news: such a run has to be ended, as KILLED, before.",
            )
        if child.info.status != "KILLED":
            evidence.finished(child)
    return parent, children


def _judge_auc(evidence: Evidence, run: Run, scores: dict[str, float], others: dict[int, float]) -> None:
    """Judge ``valid_auc`` of a child; `others` are the scores of the other children, by depth."""
    got, right = evidence.metric(run, "valid_auc"), scores["right"]
    for depth, value in others.items():
        if close(got, value) and not close(value, right):
            raise Mistake(
                "score-of-another",
                f"`valid_auc` of the child `{run.info.run_name}` is {got:.4g}, the score of a model with the depth {depth}, "
                "so the record says something untrue. Let each child fit and score a model of its own.",
            )
    evidence.judge_number(
        "valid_auc",
        got,
        right,
        {
            "train-not-valid": (
                scores["train"],
                "That is the value on the *training* rows, which the model has seen. Use the validation rows.",
            ),
            "fitted-on-all": (
                scores["everybody"],
                "The model was fitted on *all* rows, the validation rows among them, so it has seen what should judge it. "
                "Fit on the training rows only.",
            ),
            "labels-not-probabilities": (
                scores["labels"],
                "That is ROC-AUC of the predicted labels. It ranks rows, so it needs probabilities, not labels.",
            ),
            "accuracy-not-auc": (
                scores["accuracy"],
                "That is the accuracy, not the ROC-AUC. The given function computes the right one.",
            ),
        },
    )


def _promoted(evidence: Evidence, parent: Run, scores: dict[int, float]) -> None:
    """Judge ``best_auc`` of the parent; `scores` are those of the children, by depth."""
    got, best = evidence.metric(parent, "best_auc"), max(scores.values())
    for depth, value in scores.items():
        if close(got, value) and not close(value, best):
            worst = " It is the worst of all." if value == min(scores.values()) else ""
            raise Mistake(
                "not-the-best",
                f"`best_auc` is {got:.4g}, the score of the child with the depth {depth}, and another child has more."
                f"{worst} A parent that names the wrong winner is worse than one that names none: for ROC-AUC, more is "
                "better.",
            )
    evidence.judge_number("best_auc", got, best, {})


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
    scores = {depth: _forest(depth, seed)["right"] for depth in _FOREST_DEPTHS}
    for depth in _FOREST_DEPTHS:
        others = {d: score for d, score in scores.items() if d != depth}
        _judge_auc(evidence, newest[depth], _forest(depth, seed), others)
    _promoted(evidence, parent, scores)
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
    seed = data.course_seed()
    results = _grid(seed)
    newest: dict[tuple[float, float], Run] = {}
    for child in children:
        settings = (evidence.number_param(child, "max_depth"), evidence.number_param(child, "min_samples_leaf"))
        newest.setdefault(settings, child)
    for _, row in results.iterrows():
        depth, leaf = row["params"]["max_depth"], row["params"]["min_samples_leaf"]
        if (depth, leaf) not in newest:
            kept = sum((p["max_depth"], p["min_samples_leaf"]) in newest for p in results["params"])
            strange = len(newest) - kept
            more = f" Besides, there are {strange} settings that the grid does not have." if strange else ""
            raise Mistake(
                "child-missing",
                f"{kept} of {len(results)} candidates have a child; the one with `max_depth` {depth} and "
                f"`min_samples_leaf` {leaf} has none.{more} What was tried and not kept will be tried again.",
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
                "valid-not-folds": (
                    _scores(DecisionTreeClassifier(random_state=0, **row["params"]), seed)["right"],
                    "That is the score on the *validation* rows. This search chose by the folds of the training rows, and "
                    "its record must say what it saw.",
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
        parent = evidence.latest_run("hw-nested-runs-family", "search", others=("churn-search",))
    except NotStarted:
        raise NotStarted(
            "The experiment `hw-nested-runs-family` has no search yet: run the given cell first."
        ) from None
    children = [c for c in evidence.children(parent) if "cv_auc" in c.data.metrics]
    # By the given cell's name, not by the status: a run that is opened again to set a tag ends as FINISHED.
    killed = "candidate-2"
    finished = [c for c in children if c.info.run_name != killed]
    if not finished:
        raise NotStarted("The newest `search` has no finished children: run the given cell again.")
    best = max(finished, key=lambda c: c.data.metrics["cv_auc"])
    since = [r for r in evidence.runs("hw-nested-runs-family") if r.info.start_time >= parent.info.start_time]
    if parent.data.tags.get("winner"):
        raise Mistake(
            "parent-as-best",
            "You marked the *parent*. It carries a promoted score, but was never trained. Ask for the runs that name this "
            "parent; the parent does not name itself. Run the given cell again for a fresh family.",
        )
    if any(r.data.tags.get("winner") for r in since if "mlflow.parentRunId" not in r.data.tags):
        raise Mistake(
            "stray-as-best",
            "You marked a run that is not a child of this search. The highest score of the *experiment* may belong to "
            "another search. Ask for the children of `parent_id` only. Run the given cell again for a fresh family.",
        )
    marked = [c for c in children if c.data.tags.get("winner")]
    if any(c.info.run_name == killed for c in marked):
        raise Mistake(
            "killed-as-best",
            "You marked a child that was KILLED. Its score is from the folds it got to, so it cannot be compared with "
            "those that went the whole way. (If you opened it with `start_run`, it now says FINISHED.) Add the status to the "
            "query, and run the given cell again for a fresh family.",
        )
    for child in marked:
        if child.info.status == "RUNNING":
            evidence.finished(child)
    if len(marked) > 1:
        raise Mistake(
            "many-winners",
            f"{len(marked)} children of this search are marked as winner. Whoever asks for the winner must get one "
            "run: mark the first row of the sorted query. Run the given cell again for a fresh family.",
        )
    if marked and marked[0].info.run_id != best.info.run_id:
        raise Mistake(
            "not-best",
            f"`{marked[0].info.run_name}` finished, but another child finished with a higher `cv_auc`. In which direction "
            "is the query sorted? Run the given cell again for a fresh family.",
        )
    strange = {k for k in best.data.tags if not k.startswith("mlflow.")} | set(best.data.params)
    if not marked and not strange:
        raise NotStarted("No child of the newest `search` is marked as winner yet.")
    value = evidence.tag(best, "winner")
    if value.strip().lower() != "yes":
        raise Mistake(
            "tag-value",
            f"The tag `winner` is `{value[:40]}`; the task asks for `yes`, so that a filter finds it.",
        )


def threads(evidence: Evidence) -> None:
    """Task 4: a colleague's threads, mended."""
    _, children = _family(evidence, "hw-nested-runs-threads", "parallel")
    seed = data.course_seed()
    newest: dict[str, Run] = {}
    for child in children:
        newest.setdefault(child.info.run_name, child)
    if missing := [name for name in _DEPTHS if name not in newest]:
        raise Mistake(
            "child-missing",
            f"The parent `parallel` has no child `{missing[0]}`; it has {listing(newest)}. Is each child named after its "
            "entry? If so, its thread may have failed, and a thread fails silently until somebody asks for its result.",
        )
    for name, depth in _DEPTHS.items():
        child = newest[name]
        logged = evidence.number_param(child, "max_depth")
        if logged != depth:
            raise Mistake(
                "param-value",
                f"The child `{name}` says `max_depth` {logged:g}, which is not the depth of its entry. Threads that share a "
                "variable overwrite it for each other: pass the value to the function.",
            )
        others = {d: _tree(d, seed)["right"] for d in _DEPTHS.values() if d != depth}
        _judge_auc(evidence, child, _tree(depth, seed), others)


def study(evidence: Evidence) -> None:
    """Stretch: an Optuna study with pruned children."""
    parent, children = _family(evidence, "hw-nested-runs-optuna", "study")
    if len(children) < 10:
        raise Mistake("few-trials", f"The study has {len(children)} children; the task asks for ten or more.")
    for child in children:
        for name, most in (("max_depth", 12), ("min_samples_leaf", 100)):
            value = evidence.number_param(child, name)
            if not 1 <= value <= most or value != int(value):
                raise Mistake(
                    "out-of-range",
                    f"A child has `{name}` {value:g}, outside the range of the task. A study only "
                    "knows the ranges you give it, and a fair comparison needs the same ones.",
                )
        evidence.metric(child, "cv_auc")
    finished = [c for c in children if c.info.status == "FINISHED"]
    if len(finished) == len(children):
        raise Mistake(
            "nothing-pruned",
            "All children FINISHED: nothing was pruned, so nothing was saved. Report the score after each fold, ask "
            "the trial whether it should stop, and end the run of one that does as KILLED.",
        )
    if not finished:
        raise Mistake(
            "all-pruned",
            "Every child was KILLED, so there is no score to trust. Let some trials go through to the end.",
        )
    top = max(finished, key=lambda c: c.data.metrics["cv_auc"])
    best = top.data.metrics["cv_auc"]
    depth, leaf = (int(evidence.number_param(top, name)) for name in ("max_depth", "min_samples_leaf"))
    scores = _cross_validated(depth, leaf, data.course_seed())
    if close(best, scores["test"]) and not close(best, scores["auc"]):
        raise Mistake(
            "test-not-folds",
            f"The best `cv_auc` is {best:.3f}, the score on the *test* rows. A search that looks at them has no honest "
            "rows left: score each candidate by folds of the training rows.",
        )
    # Folds and random_state are the learner's choice, so the score may differ a little.
    if abs(best - scores["auc"]) > 0.04:
        if abs(best - scores["accuracy"]) < 0.04:
            raise Mistake(
                "accuracy-not-auc",
                f"The best `cv_auc` is {best:.3f}, which is an accuracy. `cross_val_score` computes the accuracy of a "
                "classifier unless it is told what to compute.",
            )
        raise Mistake(
            "not-a-mean",
            f"The best `cv_auc` is {best:.3f}; with these settings the mean over the folds is another number, so it cannot "
            "be compared between children that did more folds or fewer. Is it the mean of the folds done so far?",
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
        "find the winner among strangers",
        2,
        winner,
        (
            "Which tag makes a run a child? Which attribute says that it was not stopped early?",
            "One filter with both conditions, joined by AND; sort by the metric, descending; take the first row.",
            "`filter_string=f\"tags.mlflow.parentRunId = '{parent_id}' AND attributes.status = 'FINISHED'\"`",
        ),
        "Neither the parent, nor the killed child, nor the neighbour could fool your query.",
    ),
    Task(
        "a colleague's threads",
        2,
        threads,
        (
            "Is a run open in the thread that trains? How many trees are there for three threads? And who would notice an "
            "error in a thread?",
            "Hand the parent's id to the function, make the tree inside it, and ask each job for its `result()` while the "
            "parent is open: then you see what is wrong with the third depth, and the parent does not end as if all went well.",
            "`with mlflow.start_run(run_name=name, parent_run_id=parallel.info.run_id):` inside the function, and "
            "`int(depths[name])` for the depth.",
        ),
        "Three threads, three children, none lost, and no score in the wrong run.",
        level="transfer",
    ),
    Task(
        "a study that prunes",
        0,
        study,
        (
            "What does the objective of the lecture's section *Stop weak trials early* do between two folds?",
            "`trial.report(mean, step)`, then `if trial.should_prune():` end the run as KILLED and "
            "`raise optuna.TrialPruned()`. The run is a child because the study runs inside the parent's block.",
        ),
        "You paid only for candidates that were worth it.",
    ),
)
