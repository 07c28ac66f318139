"""Homework of a new step: one number for each of three data sets, and a stretch."""

from __future__ import annotations

from functools import partial

from course_utils import data
from course_utils._judge.evidence import Evidence, close
from course_utils._judge.mistake import Mistake
from course_utils.homework.question import Task

#: Experiment → data set. A run called `share` may be in any of them.
_EXPERIMENTS = {
    "hw-new-step-tumours": "breast_cancer",
    "hw-new-step-wines": "wine",
    "hw-new-step-digits": "digits",
    "hw-new-step-again": "wine",
}


def share(evidence: Evidence, experiment: str) -> None:
    """Judge one run: the number of rows, and the share of label 1."""
    run = evidence.latest_run(experiment, "share", others=_EXPERIMENTS)
    label = data.bundled(_EXPERIMENTS[experiment])["target"]
    rows = evidence.number_param(run, "n_rows")
    if not close(rows, len(label)):
        raise Mistake(
            "rows-not-counted",
            f"`n_rows` is {rows:g}, and the table has another number of rows. Record how many rows were used.",
        )
    evidence.judge_number(
        "share",
        evidence.metric(run, "share"),
        float((label == 1).mean()),
        {
            "wrong-class": (float((label == 0).mean()), "That is the share of label 0. The task asks for label 1."),
            "count-not-share": (float((label == 1).sum()), "That is how *many* rows there are. Divide by all of them."),
        },
    )


_HINTS = (
    "Which of the two is a choice, and which is a result?",
    '`mlflow.log_param("n_rows", …)` and `mlflow.log_metric("share", …)`, inside `with mlflow.start_run(run_name="share"):`.',
)
TASKS = tuple(
    Task(title, points, partial(share, experiment=experiment), _HINTS, "The run says which rows its number is about.")
    for title, points, experiment in zip(
        ("tumours", "wines", "digits", "wines again"), (2, 2, 2, 0), _EXPERIMENTS, strict=True
    )
)
