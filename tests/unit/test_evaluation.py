"""Scores, thresholds, calibration and timing, each against a case that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from course_utils import evaluation
from course_utils.errors import CourseError

Y = np.array([0, 0, 1, 1])
P = np.array([0.1, 0.4, 0.35, 0.8])


def test_scores_of_a_case_worked_out_by_hand():
    found = evaluation.scores(Y, P, threshold=0.5)
    assert found == {
        "roc_auc": pytest.approx(3 / 4),  # three of the four pairs stand in the right order
        "pr_auc": pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3),
        "f1": pytest.approx(2 / 3),  # one of two found, no false alarm
        "accuracy": pytest.approx(3 / 4),
        "brier": pytest.approx((0.1**2 + 0.4**2 + 0.65**2 + 0.2**2) / 4),
    }


def test_a_threshold_above_every_probability_gives_zero_and_no_warning():
    assert evaluation.scores(Y, P, threshold=0.99)["f1"] == 0.0


def test_the_best_threshold_is_as_good_as_any_other():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    p = np.clip(0.3 * y + rng.normal(0.35, 0.2, 200), 0, 1)
    threshold, f1 = evaluation.best_f1_threshold(y, p)
    by_hand = {t: f1_score(y, p >= t) for t in np.unique(p)}
    assert f1 == pytest.approx(max(by_hand.values()))
    assert by_hand[threshold] == pytest.approx(f1)


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([0, 1], [[0.5, 0.5], [0.5, 0.5]], r"predict_proba\(X\)\[:, 1\]"),
        ([0, 1, 1], [0.5, 0.5], "3 labels and 2 probabilities"),
        (["no", "yes"], [0.5, 0.5], "these measures need 0 and 1"),
        ([1, 1], [0.5, 0.5], "need both classes"),
        ([0, 1], [-1.0, 2.0], "between -1 and 2"),
        ([0, 1], [0.5, np.nan], "must be between 0 and 1"),
    ],
)
def test_what_does_not_fit_together_is_told_in_one_message(y, p, message):
    for measure in (evaluation.scores, evaluation.best_f1_threshold, evaluation.reliability):
        with pytest.raises(CourseError, match=message):
            measure(y, p)


def test_reliability_leaves_out_empty_bins_and_counts_every_row():
    table = evaluation.reliability([0, 1, 1, 1], [0.05, 0.06, 0.94, 1.0], n_bins=10)
    assert table["rows"].tolist() == [2, 2]
    assert table["predicted"].tolist() == pytest.approx([0.055, 0.97])
    assert table["observed"].tolist() == pytest.approx([0.5, 1.0])
    assert evaluation.calibration_error([0, 1, 1, 1], [0.05, 0.06, 0.94, 1.0]) == pytest.approx(
        (2 * 0.445 + 2 * 0.03) / 4
    )


def test_out_of_fold_probabilities_come_from_models_that_have_not_seen_the_row():
    # A model that knows its rows by heart is right on all of them; out of fold it can only guess.
    from sklearn.tree import DecisionTreeClassifier

    rng = np.random.default_rng(1)
    X, y = pd.DataFrame({"noise": rng.random(300)}), pd.Series(rng.integers(0, 2, 300))
    tree = DecisionTreeClassifier(random_state=0)
    assert tree.fit(X, y).score(X, y) == 1.0
    unseen = evaluation.out_of_fold(tree, X, y, folds=5, seed=0)
    assert 0.4 < evaluation.scores(y, unseen)["accuracy"] < 0.6
    assert np.array_equal(unseen, evaluation.out_of_fold(tree, X, y, folds=5, seed=0))


def test_timing_leaves_the_model_as_it_was_and_gives_its_probabilities():
    X, y = pd.DataFrame({"x": np.arange(50.0)}), pd.Series([0, 1] * 25)
    model = LogisticRegression()
    timing = evaluation.time_model(model, X, y, X.head(10), repeats=2)
    assert not hasattr(model, "coef_")
    assert timing.fit_seconds > 0 and timing.predict_seconds > 0
    assert timing.per_sample_ms == pytest.approx(1000 * timing.predict_seconds / 10)
    assert np.allclose(timing.probability, LogisticRegression().fit(X, y).predict_proba(X.head(10))[:, 1])
    with pytest.raises(CourseError, match="nothing would be measured"):
        evaluation.time_model(DummyClassifier(), X, y, X, repeats=0)
