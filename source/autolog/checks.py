"""Homework of autolog: an automatic run and a score of one's own, a search, a clean cross-validation, a recall, a score."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pandas as pd
from mlflow.entities import Run
from sklearn.metrics import (
    f1_score,
    mean_absolute_error,
    mean_squared_error,
    precision_score,
    r2_score,
    recall_score,
    root_mean_squared_error,
)
from sklearn.model_selection import GridSearchCV, KFold, train_test_split
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from course_utils import data
from course_utils._judge.evidence import Evidence, close
from course_utils._judge.mistake import Mistake
from course_utils._judge.reading import json_of, number, visible
from course_utils._judge.slips import Rows, error_slips, fit_slips
from course_utils.homework.question import Task

_DEPTHS = (2, 3, 4, 5, 6, 8)


@cache
def _rows(seed: int) -> list[Any]:
    """Return the split of the homework: training and test features, training and test labels."""
    patients = data.bundled("diabetes")
    return train_test_split(patients.drop(columns="target"), patients["target"], test_size=0.25, random_state=seed)


def _fold_errors(X: Any, y: Any) -> list[float]:
    """Return the errors whose mean the given function returns."""
    folds = []
    for fit, valid in KFold(3).split(X):
        model = _unfitted().fit(X.iloc[fit], y.iloc[fit])
        folds.append(root_mean_squared_error(y.iloc[valid], model.predict(X.iloc[valid])))
    return folds


@cache
def _tree(seed: int) -> dict[str, float]:
    """Return all scores of the tree of tasks 1, 3 and 4: right ones and plausible wrong ones."""
    X_train, X_test, y_train, y_test = _rows(seed)
    folds = _fold_errors(X_train, y_train)
    tree = DecisionTreeRegressor(max_depth=4, random_state=0).fit(X_train, y_train)
    guess = tree.predict(X_test)
    return {
        "test_rmse": root_mean_squared_error(y_test, guess),
        "train_rmse": root_mean_squared_error(y_train, tree.predict(X_train)),
        "test_mse": mean_squared_error(y_test, guess),
        "test_mae": mean_absolute_error(y_test, guess),
        "test_r2": r2_score(y_test, guess),
        "train_r2": tree.score(X_train, y_train),
        "cv_rmse": sum(folds) / 3,
        "last_fold": folds[-1],
    }


def _unfitted() -> DecisionTreeRegressor:
    return DecisionTreeRegressor(max_depth=4, random_state=0)


def _score(model: Any, X: Any, y: Any) -> float:
    return float(model.score(X, y))


@cache
def _search(seed: int, scoring: str) -> tuple[float, int]:
    """Return the best cross-validated score and depth of task 2."""
    X_train, _, y_train, _ = _rows(seed)
    model = DecisionTreeRegressor(random_state=0)
    search = GridSearchCV(model, {"max_depth": list(_DEPTHS)}, scoring=scoring, cv=3).fit(X_train, y_train)
    return float(search.best_score_), int(search.best_params_["max_depth"])


def _automatic(evidence: Evidence, run: Run) -> None:
    """Tell when a run was not filled by exactly one autologged fit, or holds a model."""
    if "estimator_class" not in run.data.tags or "training_score" not in run.data.metrics:
        raise Mistake(
            "not-autologged",
            f"The run `{run.info.run_name}` holds nothing that autologging writes. It must be on *before* `fit`, and "
            "`fit` must happen inside the run. Where `mlflow.sklearn.autolog` was called, `mlflow.autolog` changes "
            "nothing.",
        )
    if len(evidence.history(run, "training_score")) > 1:
        raise Mistake(
            "two-fits-one-run",
            f"More than one model was fitted inside `{run.info.run_name}`. Its parameters come from the first and its "
            "metrics from the last, so the run describes a model that never was. One run, one fit.",
        )
    if run.outputs and run.outputs.model_outputs:
        raise Mistake(
            "model-logged",
            f"The run `{run.info.run_name}` logged its model too, which took most of the time. Leave models out while "
            "you explore; log the one that you keep.",
        )


def _same_tree(evidence: Evidence, run: Run, depth: int = 4) -> None:
    """Tell when the tree of a run is not the one that the task describes."""
    for name, wanted in (("max_depth", str(depth)), ("random_state", "0")):
        if (got := evidence.param(run, name)) != wanted:
            raise Mistake(
                "param-value",
                f"`{name}` is {got}; the task asks for another value. Autologging wrote down what you really used.",
            )


def both(evidence: Evidence) -> None:
    """Task 1: an autologged fit and a score on test rows."""
    run = evidence.latest_run("hw-autolog-auto", "tree", others=("hw-autolog-clean",))
    _automatic(evidence, run)
    _same_tree(evidence, run)
    found = _tree(data.course_seed())
    evidence.judge_number(
        "test_rmse",
        evidence.metric(run, "test_rmse"),
        found["test_rmse"],
        {
            "training-not-test": (
                found["train_rmse"],
                "That is the value on the *training* rows, which autologging has logged already. Add what it cannot "
                "know.",
            ),
            "mse-not-rmse": (
                found["test_mse"],
                "That is the *mean squared* error, in squared units. Take the square root.",
            ),
            "mae-not-rmse": (found["test_mae"], "That is the mean absolute error, which weighs large errors less."),
            "r2-not-rmse": (found["test_r2"], "That is R², which `score` of a regressor returns, not an error."),
        },
        slips=lambda: error_slips(_unfitted(), Rows(*_rows(data.course_seed())), root_mean_squared_error),
    )


def search(evidence: Evidence) -> None:
    """Task 2: a search whose candidates are all child runs."""
    run = evidence.latest_run("hw-autolog-search", "search")
    _automatic(evidence, run)
    evidence.artifact(run, "cv_results.csv")
    right, depth = _search(data.course_seed(), "neg_root_mean_squared_error")
    r2, _ = _search(data.course_seed(), "r2")
    evidence.judge_number(
        "best_cv_score",
        evidence.metric(run, "best_cv_score"),
        right,
        {
            "r2-not-rmse": (r2, "That is R², which a search uses when `scoring` is not given."),
            "squared-not-root": (
                _search(data.course_seed(), "neg_mean_squared_error")[0],
                "That is the mean *squared* error. Use the scorer that takes the root.",
            ),
            "absolute-not-root": (
                _search(data.course_seed(), "neg_mean_absolute_error")[0],
                "That is the mean absolute error. The task asks for the root mean squared one.",
            ),
        },
        slips=_search_slips,
    )
    if evidence.number_param(run, "best_max_depth") != depth:
        raise Mistake("param-value", "The search chose another depth than the six candidates allow. Use `depths`.")
    children = evidence.children(run)
    if not children:
        raise Mistake(
            "children-missing",
            "The search has no child runs, so nobody sees what the losers scored. Which option says how many candidates get one?",
        )
    tried = {child.data.params.get("max_depth") for child in children}
    if missing := [str(d) for d in _DEPTHS if str(d) not in tried]:
        raise Mistake(
            "children-omitted",
            f"{len(tried)} of 6 candidates have a child run; depth {missing[0]} has none. By default only the best few "
            "are kept: change `max_tuning_runs`.",
        )
    if {child.data.params.get("random_state") for child in children} != {"0"}:
        raise Mistake("param-value", "The trees of the search have another `random_state` than the task asks for.")


def _search_slips() -> Iterator[tuple[str, float, str]]:
    """Yield the best score of a search over other rows, or with other folds."""
    X_train, X_test, y_train, y_test = _rows(data.course_seed())

    def best(X: Any, y: Any, folds: int = 3) -> float:
        model, scoring = DecisionTreeRegressor(random_state=0), "neg_root_mean_squared_error"
        return float(GridSearchCV(model, {"max_depth": list(_DEPTHS)}, scoring=scoring, cv=folds).fit(X, y).best_score_)

    told = "The search saw *all* patients, the test rows among them. Fit it on the training rows."
    yield "fitted-on-all", best(*_patients()), told
    yield (
        "fitted-on-test",
        best(X_test, y_test),
        "The search saw the test rows, which should judge it. Use the training rows.",
    )
    for folds in (2, 4, 5, 10):
        told = f"That comes from {folds} folds" + (", scikit-learn's choice when nobody says. " if folds == 5 else ". ")
        yield "other-folds", best(X_train, y_train, folds), f"{told}The task names another number."


def _clean_slips() -> Iterator[tuple[str, float, str]]:
    """Yield what the function of task 3 returns for other rows."""
    _, X_test, _, y_test = _rows(data.course_seed())
    for code, X, y, name in (
        ("fitted-on-test", X_test, y_test, "the *test* rows"),
        ("fitted-on-all", *_patients(), "*all* rows"),
    ):
        yield code, sum(_fold_errors(X, y)) / 3, f"The function was given {name}. The task names the training rows."


def _patients() -> tuple[Any, Any]:
    X = data.bundled("diabetes")
    return X.drop(columns="target"), X["target"]


def _newest_call(evidence: Evidence) -> float:
    """Return when the given `cv_rmse` was called last, in milliseconds; 0 when it has not noted that.

    Strays that are older come from a look at them, as the task suggests, and not from the learner's answer.
    """
    try:
        path = evidence.file("hw-autolog", "cv_rmse.json")
    except Mistake:
        return 0.0
    noted = json_of(path)
    return number(noted.get("called") if isinstance(noted, dict) else noted, "`called` in `cv_rmse.json`") * 1000


def clean(evidence: Evidence) -> None:
    """Task 3: a cross-validation that leaves one run."""
    run = evidence.latest_run("hw-autolog-clean", "tree", others=("hw-autolog-auto",))
    _automatic(evidence, run)
    _same_tree(evidence, run)
    runs = evidence.runs("hw-autolog-clean")
    trees = [r for r in runs if r.info.run_name == "tree"]
    # Strays of earlier attempts and of a look at them do not count: those are older than the last call of `cv_rmse`.
    since = _newest_call(evidence) or (trees[1].info.start_time if len(trees) > 1 else 0)
    strays = [r for r in runs if r.info.run_name != "tree" and (r.info.end_time or r.info.start_time) > since]
    if strays:
        raise Mistake(
            "stray-runs",
            f"Since `cv_rmse` was called last, `{visible(strays[0].info.run_name)}` was made beside `tree`, so a reader cannot "
            "tell what belongs to your work. Was autologging on in the cross-validation? Then every `fit` outside a run "
            "opened one: switch it off with the call that switched it on (`mlflow.autolog` changes nothing that "
            "`mlflow.sklearn.autolog` has set), and run the cell *that calls `cv_rmse`* again, then the one with the run. A "
            "run that you opened yourself: `mlflow.delete_run`.",
        )
    found = _tree(data.course_seed())
    evidence.judge_number(
        "cv_rmse",
        evidence.metric(run, "cv_rmse"),
        found["cv_rmse"],
        {
            "training-not-test": (
                found["train_rmse"],
                "That is the value on the training rows of the final fit. `cv_rmse` is what the function returns.",
            ),
            "last-fold": (
                found["last_fold"],
                "That is the last fold alone. The function returns the mean of all three.",
            ),
        },
        slips=_clean_slips,
    )
    rmse = evidence.metric(run, "training_root_mean_squared_error")
    evidence.judge_number("training_root_mean_squared_error", rmse, found["train_rmse"], {}, slips=_own_error)


def _own_error() -> Iterator[tuple[str, float, str]]:
    """Yield the training error of a tree that was fitted on other rows."""
    _, X_test, _, y_test = _rows(data.course_seed())
    for code, (X, y), name in (
        ("fitted-on-all", _patients(), "*all* patients, the test rows among them"),
        ("fitted-on-test", (X_test, y_test), "the *test* rows"),
    ):
        error = root_mean_squared_error(y, _unfitted().fit(X, y).predict(X))
        yield code, error, f"The tree was fitted on {name}. The task asks for all *training* rows."


@cache
def _tumours(seed: int) -> tuple[Any, Any, Any, Any]:
    """Return true and predicted classes of task 4: of the training rows, then of the test rows."""
    X_train, X_test, y_train, y_test = _tumour_rows(seed)
    tree = _tumour_tree().fit(X_train, y_train)
    return y_train, tree.predict(X_train), y_test, tree.predict(X_test)


def _tumour_tree() -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=2, random_state=0)


def _tumour_rows(seed: int) -> Rows:
    """Return the tumours of task 4, split."""
    X = data.bundled("breast_cancer")
    y = (X.pop("target") == 0).astype(float)
    return Rows(*train_test_split(X, y, test_size=0.25, stratify=y, random_state=seed))


def _judge_class(evidence: Evidence, run: Run, name: str, measure: Callable[..., float], true: Any, said: Any) -> None:
    """Judge a score of class 1 by its name; the other averages of the same score are named."""
    averaged = (
        "It is an average over both classes, in which the many benign tumours hide what becomes of the malignant."
    )
    other = "That is the score of the *benign* tumours. Class 1 is malignant."

    def slips() -> Iterator[tuple[str, float, str]]:
        yield "averaged-not-class", measure(true, said, average="weighted"), averaged
        yield "averaged-not-class", measure(true, said, average="macro"), averaged
        yield "wrong-class", measure(true, said, pos_label=0), other
        if measure is recall_score:
            text = "That is precision: how many of those found are malignant. Recall asks how many of the malignant are found."
            yield "precision-not-recall", precision_score(true, said), text
        rows, wide = (
            _tumour_rows(data.course_seed()),
            "The tree was fitted on *all* tumours. Fit on the training tumours.",
        )
        X, y = pd.concat([rows.X_train, rows.X_test]), pd.concat([rows.y_train, rows.y_test])
        everybody = _tumour_tree().fit(X, y)
        yield "fitted-on-all", measure(y, everybody.predict(X)), wide
        if name == "test_recall":
            yield "fitted-on-all", measure(rows.y_test, everybody.predict(rows.X_test)), wide
            y_train, known, _, _ = _tumours(data.course_seed())
            text = "That is the recall on the *training* tumours, which the tree has seen. Use the test tumours."
            yield "training-not-test", measure(y_train, known), text

    evidence.judge_number(name, evidence.metric(run, name), measure(true, said), {}, slips=slips)


def recall(evidence: Evidence) -> None:
    """Task 4: automatic scores of one class, and its recall on test rows."""
    run = evidence.latest_run("hw-autolog-recall", "tumours")
    _automatic(evidence, run)
    _same_tree(evidence, run, depth=2)
    y_train, known, y_test, guess = _tumours(data.course_seed())
    measures = {"recall": recall_score, "precision": precision_score, "f1": f1_score}
    for word, measure in measures.items():
        _judge_class(evidence, run, f"training_{word}_score", measure, y_train, known)
        if len(evidence.history(run, f"training_{word}_score")) > 1:
            raise Mistake(
                "written-over",
                f"`training_{word}_score` has two points: autologging's, and one written over it. The next fit is averaged "
                "again. Let autologging compute the score of the class itself: one of its options says which class is meant.",
            )
    _judge_class(evidence, run, "test_recall", recall_score, y_test, guess)


def scored(evidence: Evidence) -> None:
    """Stretch: a post-training metric."""
    run = evidence.latest_run("hw-autolog-scored", "scored", others=("churn-autolog",))
    _automatic(evidence, run)
    _same_tree(evidence, run)
    if "metric_info.json" not in evidence.artifacts(run):
        raise Mistake(
            "artifact-missing",
            "After `fit`, autologging has recorded no score in the run `scored`. A number that `log_metric` wrote is one that "
            "you vouch for; here MLflow should see the call itself. Which calls did the lecture's Round 3 say it sees?",
        )
    calls = json_of(evidence.artifact(run, "metric_info.json"))
    values = [run.data.metrics[name] for name in run.data.metrics if isinstance(calls, dict) and name in calls]
    found = _tree(data.course_seed())
    if any(close(value, found["test_r2"]) for value in values):
        return
    evidence.judge_number(
        "The score",
        values[0] if values else float("nan"),
        found["test_r2"],
        {
            "training-not-test": (
                found["train_r2"],
                "That is R² on the *training* rows, which the tree has seen. Score the test rows.",
            ),
            "error-not-score": (found["test_rmse"], "That is the RMSE of the test rows. `score` of a regressor is R²."),
        },
        slips=lambda: fit_slips(_unfitted(), Rows(*_rows(data.course_seed())), _score),
    )


TASKS = (
    Task(
        "the best of both",
        2,
        both,
        (
            "What must be switched on before `fit`, and which option keeps the model out?",
            "`mlflow.sklearn.autolog(…)` once, then a `with` block with `fit` and one `log_metric`. "
            "`root_mean_squared_error` takes the true numbers and `tree.predict(X_test)`.",
            '`mlflow.sklearn.autolog(log_models=False)`, and `mlflow.log_metric("test_rmse", rmse)` inside the run.',
        ),
        "All settings by themselves, and the one number that matters by you.",
        level="warm-up",
    ),
    Task(
        "a search with all its children",
        2,
        search,
        (
            "How many child runs did the lecture's search have at first, and what changed that?",
            "`max_tuning_runs` says how many of the best candidates get a run. `None` means all.",
            "`mlflow.sklearn.autolog(**quick, max_tuning_runs=None)`, then the search's `fit` inside the run.",
        ),
        "Every candidate is a run that can be found, compared and plotted.",
    ),
    Task(
        "cross-validation without strays",
        2,
        clean,
        (
            "Which of the two steps shall be logged automatically, and which shall not?",
            "Switch autologging off, call `cv_rmse`, switch it on again; then one run with one `fit` and one "
            "`log_metric`.",
            "`mlflow.sklearn.autolog(**quick, disable=True)` before the call, `mlflow.sklearn.autolog(**quick)` "
            "after it.",
        ),
        "One run that says it all, and nothing beside it.",
        level="transfer",
    ),
    Task(
        "whose recall is it?",
        2,
        recall,
        (
            "In the lecture Tom read a recall that was none. Which number was it, and what made MLflow give the other?",
            "`pos_label` names the class whose precision, recall and F1 autologging computes. The metric that you add yourself "
            "needs true and predicted classes of the test tumours.",
            "`mlflow.sklearn.autolog(**quick, pos_label=…)` before the run, and inside it "
            '`mlflow.log_metric("test_recall", recall_score(…, model.predict(T_test)))`.',
        ),
        "The number under this name is now what a reader takes it for.",
        level="transfer",
    ),
    Task(
        "a score that logs itself",
        0,
        scored,
        (
            "Which call in the lecture's Round 3 made a metric whose name ended in `X_valid`?",
            "Call `score(X_test, y_test)` of the fitted tree; its run may be open, or ended already.",
        ),
        "The metric's name tells which rows it comes from, and `metric_info.json` which call.",
    ),
)
