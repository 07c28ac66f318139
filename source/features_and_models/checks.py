"""Homework of features and models: steps on wines, a rare class, a tracked regression, a tree chosen by folds, groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    mean_absolute_error,
    mean_squared_error,
    precision_score,
    recall_score,
    root_mean_squared_error,
    silhouette_score,
)
from sklearn.model_selection import KFold, StratifiedKFold, cross_validate, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from course_utils import data
from course_utils._judge.evidence import Evidence, listing
from course_utils._judge.mistake import Mistake
from course_utils._judge.reading import numbers_of, words_of
from course_utils._judge.slips import Rows, error_slips
from course_utils.homework.question import Task

DEPTHS = (1, 2, 3, 5, 8, 20)


# ---- task 1 ----------------------------------------------------------------------------------------------------------


@cache
def _wine(seed: int, name: str) -> dict[str, Any]:
    """Return the right accuracy of a step, that of each fold, and the plausible wrong numbers."""
    wines = data.bundled("wine")
    kinds = wines.pop("target")
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    step = {"pca": PCA(2), "lda": LinearDiscriminantAnalysis(n_components=2), "best": SelectKBest(k=2)}[name]

    def scores(*steps: Any, X: Any = wines, cv: Any = folds, scoring: str = "accuracy", rows: str = "test") -> Any:
        model = make_pipeline(*steps, LogisticRegression())
        return cross_validate(model, X, kinds, cv=cv, scoring=scoring, return_train_score=True)[f"{rows}_score"]

    scaler = StandardScaler()
    before = step.fit_transform(scaler.fit_transform(wines), kinds)
    folded, whole = scores(scaler, step), scores(scaler)
    means = {
        "right": folded,
        "leaked-rows": scores(X=before),
        "not-scaled": scores(step),
        "no-step": whole,
        "train-not-test": scores(scaler, step, rows="train"),
        "fitted-on-all": make_pipeline(scaler, step, LogisticRegression()).fit(wines, kinds).score(wines, kinds),
        "other-folds": scores(scaler, step, cv=5),
        "other-metric": scores(scaler, step, scoring="f1_macro"),
        "median-not-mean": np.median(folded),
    }
    counts = {
        "ahead": folded > whole,
        "ties-counted": folded >= whole,
        "folds-behind": folded < whole,
        "fold-against-mean": folded > whole.mean(),
    }
    means |= {code: np.sum(value) for code, value in counts.items()} | {"share-not-count": counts["ahead"]}
    return {"folds": folded} | {code: float(np.mean(value)) for code, value in means.items()}


def steps(evidence: Evidence) -> None:
    """Task 1: cross-validated accuracy of three ways to two columns, and the folds in which each is ahead."""
    table = evidence.table("hw-features", "steps.csv", ("step", "accuracy", "ahead"))
    names = words_of(table, "step")
    values = numbers_of(table, "accuracy", "steps.csv")
    if sorted(names) != ["best", "lda", "pca"]:
        raise Mistake(
            "step-names",
            f"`steps.csv` has the steps {listing(names)}; the task wants one row each for `pca`, `lda` and `best`.",
        )
    messages = {
        "leaked-rows": "The two columns were made from *all* rows before the folds were. The step has seen the rows that "
        "judge; put it into the pipeline.",
        "not-scaled": "That comes out without the scaler. A column with large numbers then counts more than the others.",
        "no-step": "That comes out with all 13 columns. The task asks for two, made by the step.",
        "train-not-test": "That is the accuracy on the rows that were fitted on. Each fold judges rows that the pipeline "
        "has not seen.",
        "other-folds": "Those are other folds: `cv=5` does not shuffle. Steps are compared on the same folds, `wine_folds`.",
        "other-metric": "That is F1, averaged over the kinds. The task asks for the accuracy.",
        "fitted-on-all": "That is the accuracy on the rows that the pipeline was fitted on, all of them. Cross-validate it: "
        "each fold judges rows that the pipeline has not seen.",
        "median-not-mean": "That is the median of the folds. The task asks for their mean.",
    }

    def slips(name: str) -> Iterator[tuple[str, float, str]]:
        for other in {"pca", "lda", "best"} - {name}:
            message = "That is the accuracy of another one of the three. Keep each name together with its own step."
            yield "steps-swapped", _wine(data.course_seed(), other)["right"], message
        for one in _wine(data.course_seed(), name)["folds"]:
            yield "one-fold", one, "That is the accuracy of one fold alone. The task asks for the mean over all five."

    for name, value in zip(names, values, strict=True):
        reference = _wine(data.course_seed(), name)
        wrong = {code: (reference[code], message) for code, message in messages.items()}
        evidence.judge_number(
            f"accuracy of {name}", value, reference["right"], wrong, slips=lambda name=name: slips(name)
        )
    of_counts = {
        "ties-counted": "That counts the ties, too. In a fold where both are equally good, nobody is ahead.",
        "folds-behind": "That counts the folds in which the step is behind. Which of the two accuracies is the larger?",
        "fold-against-mean": "That compares each fold with the *mean* of all 13 columns. A fold with hard wines is hard for "
        "both, so compare it with the same fold.",
        "share-not-count": "That is a share. The task asks for the number of folds, from 0 to 5.",
    }
    for name, value in zip(names, numbers_of(table, "ahead", "steps.csv"), strict=True):
        reference = _wine(data.course_seed(), name)
        wrong = {code: (reference[code], message) for code, message in of_counts.items()}
        evidence.judge_number(f"`ahead` of {name}", value, reference["ahead"], wrong)


# ---- task 2 ----------------------------------------------------------------------------------------------------------

_MEASURES = {"precision": precision_score, "recall": recall_score, "f1": f1_score}


@cache
def _eights(seed: int) -> dict[str, tuple[Any, Any]]:
    """Return (true, predicted) of validation and training rows, and of models that have seen the validation rows."""
    digits = data.bundled("digits")
    is_other = (digits.pop("target") != 8).astype(int)
    X_train, X_valid, y_train, y_valid = train_test_split(
        digits, is_other, test_size=0.5, stratify=is_other, random_state=seed
    )
    model = make_pipeline(StandardScaler(), PCA(10, random_state=0), LogisticRegression()).fit(X_train, y_train)
    found = {"valid": (y_valid, model.predict(X_valid)), "train": (y_train, model.predict(X_train))}
    found["again"] = (y_valid, model.fit(X_valid, y_valid).predict(X_valid))
    found["all"] = (y_valid, model.fit(digits, is_other).predict(X_valid))
    return found


def eights(evidence: Evidence) -> None:
    """Task 2: precision, recall and F1 of the rare class, which has the code 0."""
    run = evidence.latest_run("hw-features-eights", "eights")
    rows = _eights(data.course_seed())
    true, said = rows["valid"]
    values = {name: measure(true, said, pos_label=0) for name, measure in _MEASURES.items()}
    for name, measure in _MEASURES.items():
        other = "precision" if name == "recall" else "recall"
        average = "That is an average over both classes, and the many other digits hide the eights. Name the one class."
        wrong = {
            "wrong-class": (
                measure(true, said, pos_label=1),
                "That speaks of the *other* digits, which have the code 1. The post office looks for the eights: say "
                "which class is the positive one.",
            ),
            "averaged": (measure(true, said, average="weighted"), average),
            "averaged-plainly": (measure(true, said, average="macro"), average),
            "accuracy-not-asked": (
                accuracy_score(true, said),
                "That is the accuracy. Nine digits in ten are no eights, so it is high for whoever finds none.",
            ),
            "train-not-test": (
                measure(*rows["train"], pos_label=0),
                "That is the value on the *training* rows. Use the validation rows.",
            ),
            "fitted-on-valid": (
                measure(*rows["again"], pos_label=0),
                "That comes from a model that was fitted on the validation rows, which should judge it. `predicted` holds "
                "what the given model says.",
            ),
            "fitted-on-all": (
                measure(*rows["all"], pos_label=0),
                "That comes from a model that was fitted on all rows, those that judge among them. `predicted` holds what "
                "the given model says.",
            ),
            "plain-mean": (
                (values["precision"] + values["recall"]) / 2,
                "That is the plain mean of precision and recall. F1 is their *harmonic* mean, which is low when one of the "
                "two is low.",
            ),
            "metrics-swapped": (
                values[other],
                f"That is the value of `{other}`. Precision asks about the alarms, recall about the cases. Were the names "
                "exchanged, or the two arguments of the function? The true labels come first, what the model says second.",
            ),
        }
        evidence.judge_number(name, evidence.metric(run, name), values[name], wrong)


# ---- tasks 3 and 4: the patients -------------------------------------------------------------------------------------


@cache
def _patients(seed: int) -> Rows:
    X = data.bundled("diabetes")
    y = X.pop("target")
    return Rows(*train_test_split(X, y, random_state=seed))


def tracked(evidence: Evidence) -> None:
    """Task 3: one run with alpha, test RMSE and test MAE."""
    run = evidence.latest_run("hw-features-tracking", "ridge", others=("diabetes-models",))
    alpha = evidence.number_param(run, "alpha")
    if not 0 < alpha < 1e9:
        raise Mistake("param-value", f"`alpha` is {alpha:g}. Choose a number above 0: 0 would be an ordinary line.")
    rows = _patients(data.course_seed())
    model = make_pipeline(StandardScaler(), Ridge(alpha=alpha))
    said = model.fit(rows.X_train, rows.y_train).predict(rows.X_test)
    bare = Ridge(alpha=alpha).fit(rows.X_train, rows.y_train).predict(rows.X_test)
    values = {"rmse": root_mean_squared_error(rows.y_test, said), "mae": mean_absolute_error(rows.y_test, said)}
    for name, measure in {"rmse": root_mean_squared_error, "mae": mean_absolute_error}.items():
        wrong = {
            "squared-not-root": (
                mean_squared_error(rows.y_test, said),
                "That is the mean *squared* error, in points². Take the root.",
            ),
            "metrics-swapped": (
                values["mae" if name == "rmse" else "rmse"],
                "That is the value of the other metric. RMSE and MAE answer different questions.",
            ),
            "not-scaled": (
                measure(rows.y_test, bare),
                "That comes from a ridge without the scaler. Its brake treats all columns alike, so they need one scale.",
            ),
        }
        evidence.judge_number(
            f"test_{name}",
            evidence.metric(run, f"test_{name}"),
            values[name],
            wrong,
            " points",
            slips=lambda measure=measure: _ridge_slips(alpha, rows, measure),
        )


def _ridge_slips(alpha: float, rows: Rows, measure: Callable[[Any, Any], float]) -> Iterator[tuple[str, float, str]]:
    """Yield the numbers that another model or other rows give."""
    yield from error_slips(make_pipeline(StandardScaler(), Ridge(alpha=alpha)), rows, measure)
    for other in (Lasso(alpha=alpha), LinearRegression()):
        said = make_pipeline(StandardScaler(), other).fit(rows.X_train, rows.y_train).predict(rows.X_test)
        name = type(other).__name__
        yield "other-model", measure(rows.y_test, said), f"That comes from `{name}`. The task asks for `Ridge`."


def _everybody() -> tuple[Any, Any]:
    X = data.bundled("diabetes")
    return X.drop(columns="target"), X["target"]


@cache
def _trees(seed: int) -> dict[int, dict[str, float]]:
    """Return depth → errors of a tree on judging and fitted rows, and what is confused with them."""
    rows = _patients(seed)
    folds = KFold(5, shuffle=True, random_state=seed)
    scoring = {"rmse": "neg_root_mean_squared_error", "mse": "neg_mean_squared_error", "mae": "neg_mean_absolute_error"}
    found = {}
    for depth in DEPTHS:
        tree = DecisionTreeRegressor(max_depth=depth, random_state=0)
        more = {"scoring": scoring, "return_train_score": True}
        result = cross_validate(tree, rows.X_train, rows.y_train, cv=folds, **more)
        found[depth] = {key: -value.mean() for key, value in result.items() if key.startswith(("test_", "train_"))}
        other = cross_validate(tree, rows.X_train, rows.y_train, cv=5, scoring="neg_root_mean_squared_error")
        found[depth]["other_folds"] = -other["test_score"].mean()
        found[depth] |= {f"{rows}_median": -np.median(result[f"{rows}_rmse"]) for rows in ("test", "train")}
        everybody = cross_validate(tree, *_everybody(), cv=folds, **more)
        found[depth] |= {f"{rows}_all": -everybody[f"{rows}_rmse"].mean() for rows in ("test", "train")}
        fitted = tree.fit(rows.X_train, rows.y_train)
        found[depth]["all_train"] = root_mean_squared_error(rows.y_train, fitted.predict(rows.X_train))
        found[depth]["test_rows"] = root_mean_squared_error(rows.y_test, fitted.predict(rows.X_test))
    return found


def depth(evidence: Evidence) -> None:
    """Task 4: the depth that the folds prefer, with its two errors."""
    run = evidence.latest_run("hw-features-depth", "tree")
    chosen = evidence.number_param(run, "max_depth")
    trees = _trees(data.course_seed())
    if chosen not in trees:
        raise Mistake(
            "param-value",
            f"`max_depth` is {chosen:g}, which is none of the depths that the task compares: {listing(DEPTHS)}.",
        )
    best = min(trees, key=lambda d: trees[d]["test_rmse"])
    if chosen == min(trees, key=lambda d: trees[d]["train_rmse"]):
        raise Mistake(
            "chosen-by-training",
            f"Depth {chosen:g} has the smallest error on the rows that were *fitted on*, as the deepest tree always has. "
            "Let the judging folds choose, and mind their sign: scikit-learn's errors are negated, so the largest is the best.",
        )
    if chosen != best:
        raise Mistake(
            "wrong-depth",
            f"Depth {chosen:g} is not the one with the smallest mean RMSE on the judging folds. Compare all six, on "
            "`tree_folds` and with the same `random_state`.",
        )
    errors = trees[best]
    for name, right, other in (("cv_rmse", "test", "train"), ("train_rmse", "train", "test")):
        wrong = {
            "metrics-swapped": (
                errors[f"{other}_rmse"],
                "That is the other error of the two: one is of the judging folds, one of the rows that were fitted on.",
            ),
            "squared-not-root": (
                errors[f"{right}_mse"],
                "That is the mean *squared* error. Take the scorer of the root.",
            ),
            "root-of-mean": (
                errors[f"{right}_mse"] ** 0.5,
                "That is the root of the mean MSE. The task asks for the mean over the folds of the RMSE.",
            ),
            "other-metric": (errors[f"{right}_mae"], "That is the mean *absolute* error, not the RMSE."),
            "rows-all": (
                errors[f"{right}_all"],
                "That comes from folds over *all* patients. The test rows wait: cross-validate on the training rows.",
            ),
            "median-not-mean": (
                errors[f"{right}_median"],
                "That is the median of the folds. The task asks for their mean.",
            ),
            "other-folds": (errors["other_folds"], "Those are other folds: `cv=5` does not shuffle. Use `tree_folds`."),
            "one-fit": (
                errors["all_train"],
                "That is the error of one tree on all training rows. The task asks for the mean over the folds.",
            ),
            "test-rows": (
                errors["test_rows"],
                "That comes from the test rows, which wait until the choice has been made.",
            ),
        }
        evidence.judge_number(name, evidence.metric(run, name), errors[f"{right}_rmse"], wrong, " points")


# ---- stretch ---------------------------------------------------------------------------------------------------------


@cache
def _groups() -> dict[tuple[str, str], dict[int, float]]:
    """Return the silhouettes by number of groups, for each table that is grouped and each that is judged on."""
    raw = data.bundled("iris").drop(columns="target")
    tables = {"scaled": StandardScaler().fit_transform(raw), "raw": raw}
    shapes: dict[tuple[str, str], dict[int, float]] = {}
    for grouped, table in tables.items():
        for k in range(2, 7):
            group = KMeans(k, n_init=10, random_state=0).fit_predict(table)
            for judged, other in tables.items():
                shapes.setdefault((grouped, judged), {})[k] = float(silhouette_score(other, group))
    return shapes


def groups(evidence: Evidence) -> None:
    """Stretch: the number of groups that the silhouette prefers."""
    run = evidence.latest_run("hw-features-groups", "k-means")
    k = evidence.number_param(run, "n_clusters")
    shapes = _groups()
    shape = shapes["scaled", "scaled"]
    best = max(shape, key=shape.get)
    if k not in shape:
        raise Mistake("param-value", f"`n_clusters` is {k:g}; the task compares 2, 3, 4, 5 and 6 groups.")
    if k == 3 != best:
        raise Mistake(
            "labels-known",
            "Three is the number of species, and nobody told k-means about them. Report the number that the silhouette "
            "prefers, even if you know better.",
        )
    if k != best:
        raise Mistake("wrong-number", f"Another number of groups has a higher silhouette than {k:g} groups.")
    wrong = {
        "not-scaled": (
            shapes["raw", "raw"][best],
            "That is the silhouette of the raw table. Scale first: k-means measures distances.",
        ),
        "judged-on-raw": (
            shapes["scaled", "raw"][best],
            "The groups come from the scaled table, but the silhouette was computed on the raw one. Give both the same table.",
        ),
        "grouped-on-raw": (
            shapes["raw", "scaled"][best],
            "The silhouette was computed on the scaled table, but the groups come from the raw one. Give both the same table.",
        ),
    }
    evidence.judge_number("silhouette", evidence.metric(run, "silhouette"), shape[best], wrong)


TASKS = (
    Task(
        "two columns are enough?",
        2,
        steps,
        (
            "What must happen in each fold before the model sees two columns, and which object makes sure of it?",
            "Three pipelines that differ in the middle step, and one without it. `cross_val_score` takes the pipeline and "
            "the raw `wines`, and returns five accuracies.",
            "`cross_val_score(make_pipeline(StandardScaler(), step, LogisticRegression()), wines, kinds, cv=wine_folds)` "
            "for each step; then `(scores > all_13).sum()`, where `all_13` are the five without a step.",
        ),
        "Three steps, each held against all 13 columns, fold by fold.",
        level="transfer",
    ),
    Task(
        "find the eights",
        2,
        eights,
        (
            "Which code do the eights have, and which one does scikit-learn take as positive if you say nothing?",
            "Either exchange 0 and 1 in both arrays, or use the argument of the metric that names the positive class.",
            "`recall_score(other_valid, predicted, pos_label=…)`, and the same for the other two.",
        ),
        "Your numbers speak of the eights.",
        level="transfer",
    ),
    Task(
        "track a small regression",
        2,
        tracked,
        (
            "Which of the three numbers is a choice, and which two are results?",
            "`log_param` for the choice, `log_metric` for each result, inside `with "
            'mlflow.start_run(run_name="ridge"):`.',
            '`mlflow.log_metric("test_rmse", root_mean_squared_error(points_test, guess))`',
        ),
        "A number, and the choice that made it, in one place.",
        level="warm-up",
    ),
    Task(
        "the tree that Jonas chose",
        2,
        depth,
        (
            "Which of the two scores that `cross_validate` returns may choose, and what is the other one good for?",
            "Loop over `depths`, with `return_train_score=True`. The scorers are negated; turn the sign back.",
            "`result = cross_validate(tree, D_train, d_train, cv=tree_folds, "
            'scoring="neg_root_mean_squared_error", return_train_score=True)`, then look at `result["test_score"]`.',
        ),
        "The folds have chosen, and the gap between the two errors shows how much this tree still overfits.",
    ),
    Task(
        "how many groups?",
        0,
        groups,
        (
            "Which number can you compute without knowing a species, and on which table?",
            "`silhouette_score(scaled, KMeans(k, n_init=10, random_state=0).fit_predict(scaled))` for each k.",
        ),
        "You reported what the metric says, and not what you knew.",
        level="transfer",
    ),
)
