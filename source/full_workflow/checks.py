"""Homework of the full workflow: a grid as a family of runs, a threshold, a calibration, a served model, a rerun."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    f1_score,
    precision_recall_curve,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from course_utils import data
from course_utils._judge.evidence import Evidence, close
from course_utils._judge.mistake import Mistake, NotStarted
from course_utils._judge.reading import csv_of, visible
from course_utils._judge.slips import Rows, auc_slips, fit_slips, is_rounded, settings_forgotten
from course_utils.homework.question import Task

_CANDIDATES = (0.001, 0.01, 0.1, 1.0)


def _model() -> object:
    return make_pipeline(StandardScaler(), LogisticRegression())


def _out_of_fold(model: Any, X: pd.DataFrame, y: pd.Series, folds: int) -> np.ndarray:
    cv = StratifiedKFold(folds, shuffle=True, random_state=0)
    return cross_val_predict(model, X, y, cv=cv, method="predict_proba")[:, 1]


def _best_f1_threshold(y: Any, probability: np.ndarray) -> tuple[float, float]:
    """Return the threshold with the best F1, and this F1."""
    precision, recall, thresholds = precision_recall_curve(y, probability)
    f1 = (2 * precision * recall / np.maximum(precision + recall, 1e-12))[:-1]
    return float(thresholds[f1.argmax()]), float(f1.max())


@cache
def _split(seed: int) -> data.Split:
    return data.churn_split(400, seed, numeric=True)


@cache
def _grid(seed: int) -> tuple[dict[float, float], float, pd.DataFrame]:
    """Return C → mean score, the best C, and all results by C."""
    s = _split(seed)
    grid = {"logisticregression__C": list(_CANDIDATES)}
    search = GridSearchCV(_model(), grid, cv=3, scoring="roc_auc").fit(s.X_train, s.y_train)
    scores = dict(zip(_CANDIDATES, search.cv_results_["mean_test_score"], strict=True))
    return scores, search.best_params_["logisticregression__C"], pd.DataFrame(search.cv_results_, index=_CANDIDATES)


def _best_slips(model: Any, split: data.Split) -> Iterator[tuple[str, float, str]]:
    """Yield numbers that are given for the best score of the search by mistake."""
    test = roc_auc_score(split.y_test, model.fit(split.X_train, split.y_train).predict_proba(split.X_test)[:, 1])
    told = (
        "That is the best candidate on the *test* rows. The name says `cv`: log the score by which the search chose it."
    )
    yield "test-not-cv", float(test), told
    yield from auc_slips(model, split)


def _judge_child(c: float, got: float, scores: dict[float, float], results: pd.DataFrame) -> None:
    """Tell which other column or row of the results a child's score was taken from."""
    if close(got, scores[c]):
        return
    row, start = results.loc[c], f"The child with C = {c:g} says `cv_auc` {got:.4g}. "
    if close(got, row["std_test_score"]):
        raise Mistake("spread-not-mean", f"{start}That is how far the folds lie apart. Log their mean.")
    if any(close(got, row[f"split{fold}_test_score"]) for fold in range(3)):
        raise Mistake(
            "one-fold", f"{start}That is the score of a single fold, which chance may have favoured. Log the mean."
        )
    if close(got, row["rank_test_score"]):
        raise Mistake("rank-not-score", f"{start}That is its rank. Log the score that made the rank.")
    if any(close(got, other) for other in scores.values()):
        raise Mistake(
            "child-shifted",
            f"{start}That is the score of another candidate. Take parameter and score from the same row of the results.",
        )
    if is_rounded(got, scores[c]):
        raise Mistake(
            "rounded",
            f"{start}That is rounded, so close candidates become equal and nobody can rank them later. Log full precision, "
            "round when you print.",
        )
    raise Mistake(
        "child-value",
        f"{start}That is not this candidate's mean score. Take parameter and score from the same row of the results.",
    )


def grid_family(evidence: Evidence) -> None:
    """Task 1: a parent with the best candidate and all results, a child per candidate."""
    parent = evidence.latest_run("hw-full-workflow-grid", "grid")
    scores, best, results = _grid(data.course_seed())
    if not close(evidence.number_param(parent, "best_C"), best):
        raise Mistake(
            "not-the-best",
            f"`best_C` is {parent.data.params['best_C']}, and another candidate has the higher mean score. The search knows "
            "its best setting: ask it, instead of reading it off the table.",
        )
    evidence.judge_number(
        "best_cv_auc",
        evidence.metric(parent, "best_cv_auc"),
        scores[best],
        {
            "mean-of-all": (
                sum(scores.values()) / len(scores),
                "That is the mean over all candidates. The parent tells what the best one reached: ask the search for it.",
            )
        },
        slips=lambda: _best_slips(_model().set_params(logisticregression__C=best), _split(data.course_seed())),
    )
    children = evidence.children(parent)
    if not children:
        raise Mistake(
            "children-missing",
            "The run `grid` has no child runs, so nobody can see what the other candidates scored. Start each candidate's run "
            "inside the parent's block, with `nested=True`.",
        )
    seen, missing = {}, list(_CANDIDATES)
    for child in sorted(children, key=lambda run: run.info.status != "FINISHED"):  # whole ones first, then the newest
        if not missing:
            break  # what is left is of an older try
        evidence.finished(child)
        c = evidence.number_param(child, "C")
        seen.setdefault(c, evidence.metric(child, "cv_auc"))
        missing = [other for other in missing if not close(other, c)]
    if missing:
        raise Mistake(
            "candidates-missing",
            f"{len(missing)} of {len(_CANDIDATES)} candidates have no child run. A search is comparable only when "
            "all that was tried is kept, the losers too.",
        )
    for c in scores:
        _judge_child(c, next(v for other, v in seen.items() if close(c, other)), scores, results)
    table = csv_of(evidence.artifact(parent, "cv_results.csv"), "results-column")
    rows = len(table)
    if "mean_test_score" not in table.columns:
        raise Mistake(
            "results-column",
            "`cv_results.csv` has no column `mean_test_score` that can be read. Who asks next month needs the whole table "
            "of the search: write all of `results`, with its header.",
        )
    if rows != len(_CANDIDATES):
        raise Mistake(
            "results-incomplete",
            f"`cv_results.csv` has {rows} rows that can be read; the search tried {len(_CANDIDATES)} candidates.",
        )


@cache
def _probabilities(seed: int) -> dict[str, np.ndarray]:
    """Return probabilities of class 1: out of fold, and of the fitted model on training and test rows."""
    s = _split(seed)
    fitted = _model().fit(s.X_train, s.y_train)
    return {
        "folds": _out_of_fold(_model(), s.X_train, s.y_train, 5),
        "train": fitted.predict_proba(s.X_train)[:, 1],
        "test": fitted.predict_proba(s.X_test)[:, 1],
    }


def _same_calls(seed: int, threshold: float) -> bool:
    """Tell whether a threshold has the best F1: between two neighbouring probabilities all make the same calls."""
    y, folds = _split(seed).y_train, _probabilities(seed)["folds"]
    return close(f1_score(y, folds >= threshold), _best_f1_threshold(y, folds)[1])


def _test_f1(seed: int, threshold: float) -> float:
    """Return the F1 on the test rows at a threshold."""
    return float(f1_score(_split(seed).y_test, _probabilities(seed)["test"] >= threshold))


@cache
def _thresholds(seed: int) -> dict[str, tuple[float, float]]:
    """Return way of choosing → (threshold, test F1 at it)."""
    s, p = _split(seed), _probabilities(seed)
    test, train, folds = p["test"], p["train"], p["folds"]
    chosen = {
        "right": _best_f1_threshold(s.y_train, folds)[0],
        "test": _best_f1_threshold(s.y_test, test)[0],
        "train": _best_f1_threshold(s.y_train, train)[0],
        "half": 0.5,
    }
    return {way: (t, f1_score(s.y_test, test >= t)) for way, t in chosen.items()}


def _threshold_slips(got: float) -> Iterator[tuple[str, float, str]]:
    """Yield a threshold that was found with other folds, or by trying round numbers."""
    s, p = _split(data.course_seed()), _probabilities(data.course_seed())
    for folds in (2, 3, 4, 10):
        yield (
            "other-folds",
            _best_f1_threshold(s.y_train, _out_of_fold(_model(), s.X_train, s.y_train, folds))[0],
            f"That is the threshold of {folds} folds. The task names another number, and a reader who follows it must come to "
            "yours.",
        )
    for step in (0.1, 0.05, 0.025, 0.02, 0.01, 0.005):
        grid = np.arange(step, 1, step)
        best = max(f1_score(s.y_train, p["folds"] >= t) for t in grid)
        on_grid = min(abs(grid - got)) < 1e-9 and close(f1_score(s.y_train, p["folds"] >= got), best)
        yield (
            "threshold-on-a-grid",
            got if on_grid else -1.0,
            "That is the best of the round numbers, and a threshold between two of them does better: F1 changes at the "
            "probabilities themselves, so try those. The task names a function that does.",
        )


def _f1_slips(seed: int, threshold: float) -> Iterator[tuple[str, float, str]]:
    """Yield numbers that are given for the test F1 by mistake."""
    s, p = _split(seed), _probabilities(seed)
    said = p["test"] >= threshold
    yield (
        "oof-not-test",
        f1_score(s.y_train, p["folds"] >= threshold),
        "That is the F1 that chose the threshold, on out-of-fold rows. Judge it on the test rows.",
    )
    told = "That is the F1 on the *training* rows, which the model has seen. Judge on the test rows."
    yield "train-not-test", f1_score(s.y_train, p["train"] >= threshold), told
    yield (
        "accuracy-not-f1",
        accuracy_score(s.y_test, said),
        "That is the accuracy. Few customers leave, so it is high anyway.",
    )
    yield "part-of-f1", precision_score(s.y_test, said), "That is the precision, one half of F1. The task asks for F1."
    yield "part-of-f1", recall_score(s.y_test, said), "That is the recall, one half of F1. The task asks for F1."
    for average in ("macro", "weighted", "micro"):
        told = f"That is F1 averaged over both classes (`{average}`). The task asks for the class of those who leave."
        yield "other-average", f1_score(s.y_test, said, average=average), told
    told = "That counts the customers *below* the threshold as leavers: a probability at or above it means churn."
    yield "wrong-side", f1_score(s.y_test, ~said), told
    told = (
        "That compares the probability to *stay* with the threshold. Column 1 of `predict_proba` is the class 1, churn."
    )
    yield "wrong-class", f1_score(s.y_test, 1 - p["test"] >= threshold), told


def threshold(evidence: Evidence) -> None:
    """Task 2: a threshold from out-of-fold probabilities, and the test F1 at it."""
    run = evidence.latest_run("hw-full-workflow-threshold", "threshold")
    ways = _thresholds(data.course_seed())
    got = evidence.metric(run, "threshold")
    if not _same_calls(data.course_seed(), got):
        evidence.judge_number(
            "threshold",
            got,
            ways["right"][0],
            {
                "threshold-on-test": (
                    ways["test"][0],
                    "That is the best threshold *for the test rows*. Chosen there, F1 looks better than it will ever be: "
                    "choose it on out-of-fold probabilities of the training rows.",
                ),
                "threshold-on-train": (
                    ways["train"][0],
                    "That comes from training rows that the model has seen, where it is too sure of itself. Use `out_of_fold`.",
                ),
                "threshold-default": (0.5, "That is the threshold of `predict`, which nobody has chosen for F1."),
                "f1-not-threshold": (
                    ways["right"][1],
                    "That is an F1, not a threshold. Log what `best_f1_threshold` returns.",
                ),
            },
            slips=lambda: _threshold_slips(got),
        )
    evidence.judge_number(
        "test_f1",
        evidence.metric(run, "test_f1"),
        _test_f1(data.course_seed(), got),
        {
            "f1-at-half": (
                ways["half"][1],
                "That is F1 at 0.5, as `predict` gives it. Compare the probabilities with yours.",
            )
        },
        slips=lambda: _f1_slips(data.course_seed(), got),
    )


_METHODS = ("sigmoid", "isotonic")


@cache
def _briers(seed: int) -> dict[str, dict[str, float]]:
    """Return method → Brier scores: out of fold, on training and test rows, and those of the usual mistakes."""
    s = _split(seed)
    plain = RandomForestClassifier(15, random_state=0).fit(s.X_train, s.y_train)
    found = {}
    for method in _METHODS:
        model = CalibratedClassifierCV(RandomForestClassifier(15, random_state=0), method=method, cv=3)
        folds = _out_of_fold(model, s.X_train, s.y_train, 3)
        test = model.fit(s.X_train, s.y_train).predict_proba(s.X_test)[:, 1]
        known = CalibratedClassifierCV(FrozenEstimator(plain), method=method).fit(s.X_train, s.y_train)
        found[method] = {
            "folds": brier_score_loss(s.y_train, folds),
            "train": brier_score_loss(s.y_train, model.predict_proba(s.X_train)[:, 1]),
            "test": brier_score_loss(s.y_test, test),
            "known": brier_score_loss(s.y_test, known.predict_proba(s.X_test)[:, 1]),
            "plain": brier_score_loss(s.y_test, plain.predict_proba(s.X_test)[:, 1]),
            "auc": roc_auc_score(s.y_test, test),
            "labels": brier_score_loss(s.y_test, test >= 0.5),
            "other_class": brier_score_loss(s.y_test, 1 - test),
            "fold_labels": brier_score_loss(s.y_train, folds >= 0.5),
        }
    return found


def calibration(evidence: Evidence) -> None:
    """Task 3: a calibration chosen by its out-of-fold Brier score, and judged on the test rows."""
    run = evidence.latest_run("hw-full-workflow-calibration", "calibrated")
    method = evidence.param(run, "method")
    if method not in _METHODS:
        raise Mistake(
            "method-other",
            f"`method` is `{visible(method, 40)}`; the task names two others. Log the word that scikit-learn knows the "
            "method by, so that anybody can use it again.",
        )
    briers = _briers(data.course_seed())
    b = briers[method]
    right = min(_METHODS, key=lambda m: briers[m]["folds"])
    decided = evidence.metric(run, "oof_brier")
    if method != right and close(decided, b["folds"]):
        raise Mistake(
            "not-the-lower",
            "`oof_brier` belongs to your method, but the other method does better. The Brier score is an error: "
            "compute it for both, and take the lower one.",
        )
    evidence.judge_number(
        "oof_brier",
        decided,
        b["folds"],
        {
            "chosen-on-test": (
                b["test"],
                "That is the score on the test rows. Who chooses there has no rows left that can judge the choice: compare "
                "the methods on out-of-fold probabilities of the training rows.",
            ),
            "chosen-on-train": (
                b["train"],
                "That is the score on rows that the model was fitted on, where every method looks good. Use `out_of_fold`.",
            ),
            "labels-not-probabilities": (
                b["fold_labels"],
                "That is the Brier score of labels. It judges probabilities.",
            ),
        },
        slips=lambda: _brier_slips(method),
    )
    evidence.judge_number(
        "test_brier",
        evidence.metric(run, "test_brier"),
        b["test"],
        {
            "calibrated-on-train": (
                b["known"],
                "The correction was learned from rows that trained the forest, where it is always right. Let "
                "`CalibratedClassifierCV` split: give it the unfitted forest and `cv`.",
            ),
            "not-calibrated": (
                b["plain"],
                "That is the forest without calibration. Fit the calibrated model, and take its probabilities.",
            ),
            "method-mixed": (
                next(other["test"] for name, other in briers.items() if name != method),
                f"That is the other method's score; the run says `{method}`. Log parameter and score of the same model.",
            ),
            "train-not-test": (b["train"], "That is the score on the training rows. Judge on the test rows."),
            "oof-not-test": (
                b["folds"],
                "That is the number that chose the method. Judge the choice on the test rows.",
            ),
            "labels-not-probabilities": (
                b["labels"],
                "That is the Brier score of predicted labels. It judges probabilities: take column 1 of `predict_proba`.",
            ),
            "wrong-class": (b["other_class"], "That judges the probability to *stay*. Column 1 is the class 1, churn."),
            "auc-not-brier": (b["auc"], "That is ROC-AUC, which calibration hardly moves. Take the Brier score."),
        },
        slips=lambda: _brier_slips(method),
    )


def _brier_slips(method: str) -> Iterator[tuple[str, float, str]]:
    """Yield the Brier scores of other numbers of folds: in the calibration, or out of fold."""
    s, forest = _split(data.course_seed()), RandomForestClassifier(15, random_state=0)
    shuffled = StratifiedKFold(3, shuffle=True, random_state=0)
    for inside, outside in ((5, 3), (3, 5), (5, 5), (shuffled, 3)):
        model = CalibratedClassifierCV(forest, method=method, cv=inside)
        if inside != 3:
            told = (
                "The calibration was made in five folds, scikit-learn's choice when nobody says. The task names another."
                if inside == 5
                else "The calibration shuffled the rows before it made its folds. The task gives `cv` a plain number."
            )
            p = model.fit(s.X_train, s.y_train).predict_proba(s.X_test)[:, 1]
            yield "calibration-folds", brier_score_loss(s.y_test, p), told
        else:
            told = "That comes from five folds of out-of-fold probabilities. The task names another number."
        code = "other-folds" if inside == 3 else "calibration-folds"
        yield code, brier_score_loss(s.y_train, _out_of_fold(model, s.X_train, s.y_train, outside)), told


def _tree() -> DecisionTreeClassifier:
    return DecisionTreeClassifier(random_state=0)


@cache
def _folds(seed: int) -> dict[int, tuple[float, float]]:
    """Return for three and five folds the mean ROC-AUC on the rows left out, and on those trained on."""
    s, found = _split(seed), {}
    for k in (3, 5):
        scores = cross_validate(_tree(), s.X_train, s.y_train, cv=k, scoring="roc_auc", return_train_score=True)
        found[k] = scores["test_score"].mean(), scores["train_score"].mean()
    return found


def _fold_slips() -> Iterator[tuple[str, float, str]]:
    """Yield numbers that are given for the mean ROC-AUC of five folds by mistake."""
    s = _split(data.course_seed())
    other = "That is the mean {} of five folds, scikit-learn's choice when `scoring` is not the ROC-AUC."
    for name in ("accuracy", "f1"):
        yield (
            "other-measure",
            cross_val_score(_tree(), s.X_train, s.y_train, cv=5, scoring=name).mean(),
            other.format(name),
        )
    folds = cross_val_score(_tree(), s.X_train, s.y_train, cv=5, scoring="roc_auc")
    yield "median-not-mean", float(np.median(folds)), "That is the median of the folds. The task asks for the mean."
    for fold in folds:
        yield "one-fold", fold, "That is one fold alone, which may be an easy one. Take the mean of all."
    told = "That comes from the *test* rows, which should judge the model later. Cross-validate the training rows."
    yield "folds-of-test", cross_val_score(_tree(), s.X_test, s.y_test, cv=5, scoring="roc_auc").mean(), told
    everybody, labels = pd.concat([s.X_train, s.X_test]), np.concatenate([s.y_train, s.y_test])
    told = "The folds were made of *all* rows, the test rows among them. Cross-validate the training rows."
    yield "folds-of-all", cross_val_score(_tree(), everybody, labels, cv=5, scoring="roc_auc").mean(), told
    yield from auc_slips(_tree(), s)


def rerun(evidence: Evidence) -> None:
    """Stretch: another setting in a run of its own, the old run untouched."""
    runs = evidence.runs("hw-full-workflow-rerun")
    if not runs:
        raise NotStarted("The experiment `hw-full-workflow-rerun` has no run yet: run the given cell first.")
    monday = [r for r in runs if r.info.run_name == "monday"]
    if any(r.info.status != "FINISHED" or r.data.params.get("folds") != "3" for r in monday):
        raise Mistake(
            "param-changed",
            "The run `monday` was opened again to log another setting. A parameter says what made a result, so MLflow refuses "
            "to change it, and the block that failed marked the run. Set its status back "
            "(`MlflowClient().set_terminated(run_id)`), and log the new setting in a run of its own.",
        )
    right = _folds(data.course_seed())
    if any(not close(r.data.metrics.get("cv_auc", -1.0), right[3][0]) for r in monday):
        raise Mistake(
            "metric-overwritten",
            "`cv_auc` of `monday` is no longer the mean of its three folds. MLflow protects a parameter, not a metric: the "
            "last value logged is shown, and now the run has a score that its parameters do not explain. Log what it had "
            "before, and put the new score into a run of its own.",
        )
    if {r.info.run_name for r in runs} == {"monday"}:
        raise NotStarted("There is only `monday` so far.")
    run = evidence.latest_run("hw-full-workflow-rerun", "tuesday")
    folds = evidence.number_param(run, "folds")
    if folds != 5:
        raise Mistake("param-value", f"`folds` is {folds:g}; Tuesday's run uses another number of folds.")
    evidence.judge_number(
        "cv_auc",
        evidence.metric(run, "cv_auc"),
        right[5][0],
        {
            "folds-not-changed": (
                right[3][0],
                "That is the mean of three folds: the parameter changed, the computation did not.",
            )
        },
        slips=_fold_slips,
    )
    (valid, train), told = (
        right[5],
        "`train_val_gap` is {}. Subtract `cv_auc` from the score on the rows of the training.",
    )
    evidence.judge_number(
        "train_val_gap",
        evidence.metric(run, "train_val_gap"),
        train - valid,
        {
            "gap-turned": (valid - train, told.format("negative, so validation would be the better of the two")),
            "gap-not-difference": (train, told.format("the score on the rows of the training alone")),
        },
    )
    said = str(run.data.params.get("diagnosis", "")).lower()
    if not said:
        raise Mistake("param-missing", "The run has no parameter `diagnosis`, so nobody learns what the gap means.")
    if not re.search(r"\bvariance\b", said):
        raise Mistake(
            "diagnosis",
            f"`diagnosis` is `{visible(said, 40)}`. Look at both ends: how good is the tree on rows that it was trained on, and "
            "how wide is the gap? Then read the lecture's table of patterns.",
        )


@cache
def _clinic_rows(seed: int) -> Rows:
    """Return the tumours of the given cell, split."""
    X = data.bundled("breast_cancer")
    y = (X.pop("target") == 0).astype(int)
    rows = np.random.default_rng(seed).permutation(len(X))
    return Rows(X.iloc[rows[200:]], X.iloc[rows[:200]], y.iloc[rows[200:]], y.iloc[rows[:200]])


def _clinic_model() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01))


@cache
def _clinic(seed: int) -> tuple[np.ndarray, pd.Series, np.ndarray, pd.Series, np.ndarray]:
    """Return out-of-fold probabilities and labels, test probabilities and labels, and those of the training rows."""
    s, model = _clinic_rows(seed), _clinic_model()
    folds = _out_of_fold(model, s.X_train, s.y_train, 5)
    test, train = (model.fit(s.X_train, s.y_train).predict_proba(X)[:, 1] for X in (s.X_test, s.X_train))
    return folds, s.y_train, test, s.y_test, train


def _clinic_thresholds() -> Iterator[tuple[str, float, str]]:
    """Yield thresholds of another pipeline, or of other folds."""
    s = _clinic_rows(data.course_seed())
    for name, model in settings_forgotten(_clinic_model()):
        told = f"That is the threshold of a pipeline without `{name}`. Choose it for the pipeline that will be served."
        yield "setting-forgotten", _best_f1_threshold(s.y_train, _out_of_fold(model, s.X_train, s.y_train, 5))[0], told
    for folds in (2, 3, 4, 10):
        p = _out_of_fold(_clinic_model(), s.X_train, s.y_train, folds)
        told = f"That is the threshold of {folds} folds. The task names another number."
        yield "other-folds", _best_f1_threshold(s.y_train, p)[0], told


def _clinic_f1(threshold: float) -> Iterator[tuple[str, float, str]]:
    """Yield numbers that are given for the F1 of the served model by mistake."""
    s, p = _clinic_rows(data.course_seed()), _clinic(data.course_seed())[2]
    told = "The threshold was held against the probability of class 0. The clinic wants class 1, the malignant tumours."
    yield "wrong-class", f1_score(s.y_test, 1 - p < threshold), told
    told = "That is F1 of the *benign* tumours, or of both classes. The clinic wants class 1, the malignant ones."
    yield "wrong-class", f1_score(s.y_test, p >= threshold, pos_label=0), told
    for average in ("macro", "weighted"):
        yield "wrong-class", f1_score(s.y_test, p >= threshold, average=average), told

    def f1(model: Any, X: pd.DataFrame, y: pd.Series) -> float:
        return float(f1_score(y, model.predict_proba(X)[:, 1] >= threshold))

    yield from fit_slips(_clinic_model(), s, f1)


def _threshold_inside(evidence: Evidence, model: Any) -> float:
    """Return the threshold inside a stored `FixedThresholdClassifier`, without loading it."""
    flavor = evidence.mlmodel(model)["flavors"].get("sklearn", {})
    if flavor.get("serialization_format") != "skops":
        raise Mistake(
            "pickle-format",
            "The model is stored in a format that can run any code when it is loaded. Let `store.log_model` choose the "
            "format: it trusts the types of your own model, and nothing else.",
        )
    file = evidence.local(model.artifact_location) / str(flavor.get("pickled_model", "model.skops"))
    try:
        with zipfile.ZipFile(file) as archive:
            schema = json.loads(archive.read("schema.json"))
            kind, stored = schema["__class__"], dict(schema["content"]["content"]).get("threshold", {})
            numpy_s = np.load(io.BytesIO(archive.read(stored["file"]))) if stored.get("type") == "numpy" else None
    except Exception:  # zipfile raises several unrelated types, and a file may hold anything
        raise Mistake(
            "model-files",
            "The file of the model is not where the store says, or not whole, so nobody can load it. Log the model again.",
        ) from None
    if kind != "FixedThresholdClassifier":
        raise Mistake(
            "threshold-lost",
            f"The stored model is a `{visible(kind)}`, not a `FixedThresholdClassifier`. A bare pipeline answers as if nobody "
            "had chosen a threshold, and one deeper inside is not where a reader looks for it. Wrap the whole pipeline together "
            "with the threshold, and log the wrapper.",
        )
    try:
        return float(json.loads(stored["content"]) if numpy_s is None else numpy_s)
    except (KeyError, TypeError, ValueError):
        raise Mistake(
            "threshold-lost",
            "The threshold inside the stored model is not a number (`auto`, which it is when nobody sets one, means 0.5), so it "
            "cannot be the one in your record. Give the wrapper the number that you logged.",
        ) from None


def serve(evidence: Evidence) -> None:
    """Task 4: a threshold from out-of-fold rows, inside the stored model, and the F1 of what that model answers."""
    run = evidence.latest_run("hw-full-workflow-serve", "clinic")
    folds, y, p, y_test, p_train = _clinic(data.course_seed())
    right, best = _best_f1_threshold(y, folds)
    got = evidence.metric(run, "threshold")
    if not close(f1_score(y, folds >= got), best):
        evidence.judge_number(
            "threshold",
            got,
            right,
            {
                "threshold-on-test": (
                    _best_f1_threshold(y_test, p)[0],
                    "That is Jonas's threshold: the best one *for the test rows*. Choose it on out-of-fold probabilities of "
                    "the training rows, so that the test rows can judge it.",
                ),
                "threshold-on-train": (
                    _best_f1_threshold(y, p_train)[0],
                    "That comes from training rows that the model has seen. Use out-of-fold probabilities.",
                ),
                "threshold-default": (0.5, "That is the threshold of every `predict`, which nobody has chosen for F1."),
            },
            slips=_clinic_thresholds,
        )
    model = evidence.models(run)[-1]
    if model.name != "clinic":
        raise Mistake(
            "model-name",
            f"The model is called `{visible(model.name, 40)}`; the task asks for `clinic`. Whoever loads it asks by name.",
        )
    inside = _threshold_inside(evidence, model)
    if not close(inside, got):
        raise Mistake(
            "threshold-differs",
            f"The run says {got:.4g}, the model holds {inside:.4g}: what would be served is not what is reported. Give the "
            "wrapper the number that you log.",
        )
    told_half = "That is F1 at 0.5, so the model that answered was one without your threshold. Load the one you logged."
    told_train = "That is the F1 on the training rows, which the model has seen. Judge on the test rows."
    told_oof = "That is the F1 that chose the threshold, on out-of-fold rows. Ask the loaded model about the test rows."
    evidence.judge_number(
        "served_f1",
        evidence.metric(run, "served_f1"),
        f1_score(y_test, p >= got),
        {
            "f1-at-half": (f1_score(y_test, p >= 0.5), told_half),
            "train-not-test": (f1_score(y, p_train >= got), told_train),
            "oof-not-test": (best, told_oof),
            "accuracy-not-f1": (
                accuracy_score(y_test, p >= got),
                "That is the accuracy. The task asks for F1, which does not count the benign ones that were left alone.",
            ),
        },
        slips=lambda: _clinic_f1(got),
    )


TASKS = (
    Task(
        "a grid as a family",
        2,
        grid_family,
        (
            "Which object knows the best setting, its score, and all the others?",
            "`search.best_params_`, `search.best_score_` and `results` (one row a candidate). Children start inside the "
            "parent's block with `nested=True`.",
            "`for _, row in results.iterrows(): with mlflow.start_run(run_name=…, nested=True): …`",
        ),
        "One parent, every candidate below it, and the whole table as a file.",
    ),
    Task(
        "a threshold that has not seen the test",
        2,
        threshold,
        (
            "Which rows may help to choose, and which may only judge?",
            "`best_f1_threshold(y, probabilities)` with out-of-fold probabilities of the *training* rows.",
            "`predicted = model.fit(X, y).predict_proba(X_test)[:, 1] >= threshold`",
        ),
        "The test rows judged a threshold that they did not choose.",
    ),
    Task(
        "choose a calibration without the test",
        2,
        calibration,
        (
            "Who may teach the correction, and who may choose between two: rows that the forest knows, or rows it has not seen?",
            "Give the *unfitted* forest to `CalibratedClassifierCV`, once per method, and each of the two to "
            "`out_of_fold`. Which of the two Brier scores is better, the higher or the lower?",
            "Twice, with `model = CalibratedClassifierCV(forest, method=…, cv=3)`: "
            "`brier_score_loss(y, out_of_fold(model, X, y, folds=3))`.",
        ),
        "Rows that no forest had seen taught the correction and chose it, so the test rows could judge.",
        level="transfer",
    ),
    Task(
        "serve what you report",
        2,
        serve,
        (
            "Which of Jonas's two numbers was chosen by rows that also judge it? And what does `predict` of his model use?",
            "`best_f1_threshold` with out-of-fold probabilities; then `FixedThresholdClassifier(clinic, threshold=…)`, fitted.",
            "`mlflow.pyfunc.load_model(info.model_uri).predict(X_c_test)`, where `info` is what `store.log_model` returned.",
        ),
        "The model that answers is the model whose score you reported.",
        level="transfer",
    ),
    Task(
        "another setting, another run",
        0,
        rerun,
        (
            "Can a parameter of a finished run change? What would a reader of the old number think?",
            '`with mlflow.start_run(run_name="tuesday"):` and `cross_validate(model, X, y, cv=5, scoring="roc_auc", '
            "return_train_score=True)`, which holds `test_score` and `train_score`.",
        ),
        "Two settings, two runs, both true; and the gap says what is wrong with the tree.",
        level="warm-up",
    ),
)
