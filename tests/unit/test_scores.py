"""Scores and reliability, each against a case that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils import scores
from course_utils.errors import CourseError

Y = np.array([0, 0, 1, 1])
P = np.array([0.1, 0.4, 0.35, 0.8])


def test_scores_of_a_case_worked_out_by_hand():
    found = scores.scores(Y, P, threshold=0.5)
    assert found == {
        "roc_auc": pytest.approx(3 / 4),  # three of the four pairs stand in the right order
        "pr_auc": pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3),
        "f1": pytest.approx(2 / 3),  # one of two found, no false alarm
        "accuracy": pytest.approx(3 / 4),
        "brier": pytest.approx((0.1**2 + 0.4**2 + 0.65**2 + 0.2**2) / 4),
    }


def test_a_threshold_above_every_probability_gives_zero_and_no_warning():
    assert scores.scores(Y, P, threshold=0.99)["f1"] == 0.0


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
    for measure in (scores.scores, scores.reliability):
        with pytest.raises(CourseError, match=message):
            measure(y, p)


def test_reliability_leaves_out_empty_bins_and_counts_every_row():
    table = scores.reliability([0, 1, 1, 1], [0.05, 0.06, 0.94, 1.0], n_bins=10)
    assert table["rows"].tolist() == [2, 2]
    assert table["predicted"].tolist() == pytest.approx([0.055, 0.97])
    assert table["observed"].tolist() == pytest.approx([0.5, 1.0])
