"""Homework of evaluation: scores on slices, a ranking with a trap, a report with a limit, a lead, a table of answers."""

from __future__ import annotations

from functools import cache
from typing import Any

import mlflow
import numpy as np
from mlflow.entities import LoggedModel, Metric
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, precision_score, recall_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_utils import data
from course_utils._judge.evidence import Evidence, close, listing, nearest
from course_utils._judge.mistake import Mistake, NotStarted
from course_utils._judge.reading import instead, visible
from course_utils._judge.slips import is_rounded
from course_utils.homework.question import Task

_RUNS = ("hw-evaluation-report", "hw-evaluation-lead")


@cache
def _rows(seed: int) -> tuple[Any, Any, Any, Any]:
    """Return training and validation rows as the homework's set-up cell makes them."""
    X = data.bundled("breast_cancer")
    y = X["target"] == 0
    X = X[["mean_texture", "mean_smoothness", "mean_area"]]
    return tuple(train_test_split(X, y, test_size=0.4, stratify=y, random_state=seed))


def _fitted(kind: Any) -> Any:
    X_train, _, y_train, _ = _rows(data.course_seed())
    return make_pipeline(StandardScaler(), kind).fit(X_train, y_train)


def _valid_digest() -> str:
    """Return the digest of the validation rows, as the set-up cell describes them."""
    _, X, _, y = _rows(data.course_seed())
    return mlflow.data.from_pandas(X.assign(malignant=y), targets="malignant", name="tumours-valid").digest


def _model(evidence: Evidence, experiment: str, name: str) -> LoggedModel:
    """Return the newest logged model of that name."""
    number = evidence.experiment_id(experiment)
    found = [m for m in evidence.client.search_logged_models([number]) if m.name == name]
    if not found:
        raise NotStarted(f"The experiment `{experiment}` has no model `{name}` yet: run the given cell first.")
    return max(found, key=lambda m: m.creation_timestamp)


def _on_model(evidence: Evidence, experiment: str, model: LoggedModel, name: str, rows: str) -> Metric:
    """Return the newest value of a metric of a model on a data set, or tell where it hangs instead."""
    kept = [m for m in model.metrics or () if m.key == name]
    found = [m for m in kept if m.dataset_name == rows]
    if found:
        return max(found, key=lambda m: m.timestamp)
    if not kept:
        runs = evidence.runs(experiment)
        if any(name in {**r.data.metrics, **r.data.params, **r.data.tags} for r in runs):
            raise Mistake(
                "not-on-model",
                f"A run has `{name}`, but the model `{model.name}` does not, so nobody who finds the model sees it. Say "
                "which model the number is about.",
            )
        keys = {m.key for m in model.metrics or ()}
        if near := nearest(name, keys) or next((key for key in sorted(keys) if name in key.lower()), None):
            raise Mistake(
                "metric-name",
                f"The model has the metric {instead(near, name)} Log it under that name; the data set says about which rows.",
            )
        raise NotStarted(f"The model `{model.name}` has no metric `{name}` yet.")
    others = {m.dataset_name for m in kept if m.dataset_name}
    if not others:
        raise Mistake(
            "data-set-missing",
            f"The model has `{name}`, but without a data set, so nobody can say on which rows it was measured. Log it again "
            "and say so.",
        )
    if rows != "tumours-train" and others == {"tumours-train"}:
        raise Mistake(
            "train-not-valid",
            f"The model has `{name}` on the *training* rows alone, which it knows. Judge it on the validation rows.",
        )
    raise Mistake(
        "data-set-name",
        f"The model has `{name}` on {listing(others)}, and on no data set that is called `{rows}`. A query finds rows by "
        "their name. Was it misspelt, or are these rows still to be measured?",
    )


def slices(evidence: Evidence) -> None:
    """Task 1: the recall of the stored model on two parts of the validation rows."""
    experiment = "hw-evaluation-slices"
    model = _model(evidence, experiment, "screening")
    X_train, X_valid, y_train, y_valid = _rows(data.course_seed())
    logistic = _fitted(LogisticRegression())

    def recall(X: Any, y: Any) -> float:
        return recall_score(y, logistic.predict(X))

    small, small_train = X_valid["mean_area"] < 700, X_train["mean_area"] < 700
    parts = {"tumours-small": (small, small_train), "tumours-large": (~small, ~small_train)}
    for rows, (part, part_train) in parts.items():
        X, y = X_valid[part], y_valid[part]
        found = _on_model(evidence, experiment, model, "recall", rows)
        if found.run_id and (run := evidence.client.get_run(found.run_id)).info.status == "RUNNING":
            evidence.finished(run)  # the given cells of the other tasks could not start theirs
        evidence.judge_number(
            f"recall on {rows}",
            found.value,
            recall(X, y),
            {
                "slices-swapped": (
                    recall(X_valid[~part], y_valid[~part]),
                    "That is the recall of the *other* slice. Compare the condition with the name of the data set.",
                ),
                "whole-not-slice": (
                    recall(X_valid, y_valid),
                    "That is the recall over *all* validation rows. Choose the rows of the slice, of features and labels.",
                ),
                "train-not-valid": (
                    recall(X_train[part_train], y_train[part_train]),
                    "That is the recall on *training* rows, which the model knows. Use the validation rows.",
                ),
                "arguments-swapped": (
                    precision_score(y, logistic.predict(X)),
                    "That is the precision. `recall_score` takes the truth first and what the model says second.",
                ),
                "accuracy-not-recall": (
                    accuracy_score(y, logistic.predict(X)),
                    "That is the accuracy, which counts the benign tumours as well. The task asks for recall.",
                ),
                "wrong-class": (
                    recall_score(~y, ~logistic.predict(X)),
                    "That is the recall of the *benign* tumours. The clinic asks about the malignant ones.",
                ),
            },
        )
        wrong = set()
        for features, labels in ((X_valid, y_valid), (X_valid[~part], y_valid[~part])):
            wrong.add(mlflow.data.from_pandas(features).digest)
            table = features.assign(malignant=labels)
            wrong.add(mlflow.data.from_pandas(table, targets="malignant").digest)
        if found.dataset_digest in wrong:
            raise Mistake(
                "same-name-other-rows",
                f"The value is right, but the data set `{rows}` holds other rows than this slice. Describe those that you "
                "measured: `as_dataset` of the chosen features and labels.",
            )


def ranking(evidence: Evidence) -> None:
    """Task 2: the model that is best on the validation rows, by name and digest, has the tag."""
    number = evidence.experiment_id("hw-evaluation-ranking")
    models = evidence.client.search_logged_models([number])
    if len(models) < 4:
        raise NotStarted(
            "The experiment `hw-evaluation-ranking` does not hold the four models: run the given cell first."
        )
    tagged = [m for m in models if m.tags.get("chosen", "").strip().lower() == "yes"]
    if not tagged:
        others = {k for m in models for k in m.tags if not k.startswith("mlflow.")}
        if near := nearest("chosen", others):
            if near != "chosen":
                raise Mistake("tag-name", f"A model has the tag {instead(near, 'chosen')} A query asks for that name.")
            raise Mistake(
                "tag-value",
                "A model has the tag `chosen`, but its value is not `yes`, so a query for it finds nothing.",
            )
        runs = evidence.runs("hw-evaluation-ranking")
        if any("chosen" in {**r.data.tags, **r.data.params} for r in runs):
            raise Mistake(
                "not-on-model",
                "`chosen` hangs on a run. The task asks for a tag of the *model*, since a run can have several.",
            )
        raise NotStarted("No model of `hw-evaluation-ranking` has the tag `chosen` yet.")
    if len(tagged) > 1:
        raise Mistake(
            "two-chosen",
            f"{listing(m.name for m in tagged)} are all chosen. One is asked for: set the tag of the others to `no`.",
        )
    digest = _valid_digest()

    def first(rows: Any) -> LoggedModel:
        scores = {m.model_id: [x.value for x in m.metrics if x.key == "roc_auc" and rows(x)] for m in models}
        return max(models, key=lambda m: max(scores[m.model_id], default=-1.0))

    (chosen,) = tagged
    if chosen.model_id == first(lambda x: x.dataset_digest == digest).model_id:
        return
    name = visible(chosen.name)
    if chosen.model_id == first(lambda x: x.dataset_name == "tumours-train").model_id:
        raise Mistake(
            "ranked-without-rows",
            f"`{name}` is first on the *training* rows, which it has learned. Unless a query names the rows, the value that "
            "was logged last decides, and that was theirs. Rank on the validation rows.",
        )
    if chosen.model_id == first(lambda x: x.dataset_name == "tumours-valid").model_id:
        raise Mistake(
            "same-name-other-rows",
            f"`{name}` is first on the rows that Jonas picked, which have the same name. What tells his data set from ours? If "
            "you asked for ours: in which direction did you sort?",
        )
    raise Mistake(
        "not-first",
        f"`{name}` is not the first on our validation rows. Which direction does the order have by default?",
    )


def report(evidence: Evidence) -> None:
    """Task 3: the stored model evaluated on a named data set, with a metric of one's own and a verdict."""
    experiment = "hw-evaluation-report"
    model = _model(evidence, experiment, "to-judge")
    if {r.info.run_name for r in evidence.runs(experiment)} == {"training"}:
        raise NotStarted(f"The experiment `{experiment}` holds the run of the given cell, and no `report` yet.")
    run = evidence.latest_run(experiment, "report", others=_RUNS)
    if "missed" not in run.data.metrics and "recall_score" in run.data.metrics:
        keys = set(run.data.metrics)
        if near := nearest("missed", keys) or next((key for key in sorted(keys) if "missed" in key.lower()), None):
            raise Mistake("metric-name", f"The report has the metric {instead(near, 'missed')} Give it that name.")
        raise Mistake(
            "own-metric-missing",
            "The report has MLflow's metrics and none that is called `missed`. Make it with `make_metric`, under this name "
            "(without `name=` it is called like its function), and pass it as one of the extra metrics. MLflow also leaves "
            "out a metric whose function returns no number, as happens when its arguments are not `predictions` and "
            "`targets`, in this order.",
        )
    found = _on_model(evidence, experiment, model, "missed", "tumours-valid")
    if not any(path.endswith(".png") for path in evidence.artifacts(run)):
        raise Mistake(
            "not-evaluated",
            "The run `report` has no pictures, which `mlflow.models.evaluate` always makes for a classifier. Let it do "
            "the work, inside this run.",
        )
    if found.dataset_digest != _valid_digest():
        raise Mistake(
            "same-name-other-rows",
            "The report is about a data set called `tumours-valid`, but with other rows than `valid_rows`. Hand over "
            "`valid_rows` itself.",
        )
    _, X, _, y = _rows(data.course_seed())
    says = _fitted(LogisticRegression()).predict(X)
    evidence.judge_number(
        "missed",
        found.value,
        float((y & ~says).sum()),
        {
            "alarms-not-missed": (
                float((~y & says).sum()),
                "So many *benign* tumours are called malignant. Missed are the malignant ones that are called benign.",
            ),
            "caught-not-missed": (
                float((y & says).sum()),
                "So many malignant tumours are *found*. The task asks for the others.",
            ),
            "share-not-count": (
                float((y & ~says).sum() / y.sum()),
                "That is a share of the malignant tumours. The task asks how *many* there are.",
            ),
            "argument-names": (
                0.0,
                "That would be a model without a fault. MLflow hands over answers and truth only to `predictions` and "
                "`targets`, by these names and in this order; otherwise the function may get a table and a dictionary. If "
                "both are so: which values do you compare the labels with?",
            ),
            "all-errors": (
                float((y != says).sum()),
                "These are all errors, of both kinds. Missed are the malignant tumours that are called benign.",
            ),
        },
    )
    recall = recall_score(y, says)
    _verdict(evidence, run, {"passed": recall >= 0.85, "refused": recall < 0.85}, f"the recall is {recall:.3f}")


def _verdict(evidence: Evidence, run: Any, right: dict[str, bool], why: str) -> None:
    """Judge the tag ``verdict`` of a run against the word that holds."""
    if "verdict" not in run.data.tags:
        if "verdict" in run.data.params:
            raise Mistake("tag-as-param", "`verdict` was logged as a parameter. The task asks for a tag: `set_tag`.")
        raise Mistake(
            "verdict-missing",
            f"The run `{run.info.run_name}` has no tag `verdict`, so a reader has to decide alone. Set it in this run.",
        )
    given = run.data.tags["verdict"].strip().lower()
    if given not in right:
        raise Mistake("verdict-unknown", f"`verdict` is `{visible(given)}`; the task knows {listing(right)}.")
    if not right[given]:
        raise Mistake("verdict-wrong", f"`verdict` is `{given}`, but {why}. Compare it with the rule in the task.")


@cache
def _leads(seed: int, paired: bool) -> tuple[float, float, float]:
    """Return the lead, and the ends of its interval, from a paired bootstrap or from one that draws twice.

    A draw is how often it takes each row. The area is the share of pairs that are in order, so that thousands of draws are one
    product of matrices, and no chance is left in the reference.
    """
    truth = _rows(seed)[3].to_numpy()
    rng, n = np.random.default_rng(1), len(truth)
    drawn, apart = (rng.multinomial(n, np.full(n, 1 / n), 5000).astype(float) for _ in range(2))

    def areas(kind: Any, draws: np.ndarray) -> np.ndarray:
        p = _fitted(kind).predict_proba(_rows(seed)[1])[:, 1]
        above = p[truth][:, None] - p[~truth]
        ones, zeros = draws[:, truth], draws[:, ~truth]
        return ((ones @ ((np.sign(above) + 1) / 2)) * zeros).sum(1) / (ones.sum(1) * zeros.sum(1))

    once = np.ones((1, n))
    right = areas(LogisticRegression(), once)[0] - areas(GaussianNB(), once)[0]
    found = areas(LogisticRegression(), drawn) - areas(GaussianNB(), drawn if paired else apart)
    low, high = np.percentile(found, [2.5, 97.5])
    return float(right), float(low), float(high)


def _lead_of_labels() -> float:
    _, X, _, y = _rows(data.course_seed())
    new, old = (roc_auc_score(y, _fitted(kind).predict(X)) for kind in (LogisticRegression(), GaussianNB()))
    return new - old


def lead(evidence: Evidence) -> None:
    """Task 4: a lead, the interval of a paired bootstrap, and what follows from it."""
    run = evidence.latest_run("hw-evaluation-lead", "lead", others=_RUNS)
    right, low, high = _leads(data.course_seed(), True)
    width, given = high - low, evidence.metric(run, "lead")
    if not close(given, right) and not is_rounded(given, right) and abs(given - right) < 0.1 * width:
        raise Mistake(
            "lead-of-draws",
            f"`lead` is {given:.4g}, near to the right number and not equal, as the mean of the draws is. The lead itself is "
            "computed once, on all rows as they are; the draws say how far it can be trusted.",
        )
    evidence.judge_number(
        "lead",
        given,
        right,
        {
            "lead-reversed": (-right, "That is old minus new. The task asks for the new model minus the old one."),
            "labels-not-probabilities": (
                _lead_of_labels(),
                "That is the lead of the predicted *labels*. ROC-AUC judges an order: give it the probabilities.",
            ),
        },
    )
    got = evidence.metric(run, "low"), evidence.metric(run, "high")
    seen = got[1] - got[0]
    if seen < 0:
        raise Mistake("ends-swapped", "`low` is above `high`: the two ends are exchanged.")
    _, low_apart, high_apart = _leads(data.course_seed(), False)
    if abs(got[0] - low) > 0.14 * width or abs(got[1] - high) > 0.14 * width or seen < 0.87 * width:
        if close(got[0] + got[1], -(low + high), 0.17 * width) and abs(seen - width) < 0.3 * width:
            raise Mistake("lead-reversed", "The interval is that of old minus new, while `lead` is new minus old.")
        if abs(seen - (high_apart - low_apart)) < 0.3 * (high_apart - low_apart):
            raise Mistake(
                "not-paired",
                f"The interval is {seen / width:.1f} times as wide as it should be, as when each model gets rows of its own. "
                "Draw the rows once in each round, as many as there are, and score both models on them.",
            )
        if seen < 0.87 * width:
            raise Mistake(
                "interval-narrow",
                f"The interval is {seen / width:.0%} as wide as that of many draws. Are the percentiles those of a 95 % "
                "interval, and does each draw repeat rows, as many as there are? If both are so, take more draws.",
            )
        raise Mistake(
            "interval-wrong",
            f"The interval {got[0]:.4f} to {got[1]:.4f} is not that of the leads on rows drawn with repetition, as many as "
            "there are. Are `low` and `high` the percentiles 2.5 and 97.5 of the differences?",
        )
    words = {"better": got[0] > 0, "worse": got[1] < 0, "undecided": got[0] <= 0 <= got[1]}
    _verdict(evidence, run, words, f"the interval is {got[0]:.4f} to {got[1]:.4f}")


def supplier(evidence: Evidence) -> None:
    """Stretch: the metrics of a table of answers hang on the model that gave them."""
    experiment = "hw-evaluation-supplier"
    model = _model(evidence, experiment, "supplier")
    found = _on_model(evidence, experiment, model, "recall_score", "supplier-answers")
    _, X, _, y = _rows(data.course_seed())
    says = X["mean_area"] > 650
    evidence.judge_number(
        "recall_score",
        found.value,
        recall_score(y, says),
        {
            "arguments-swapped": (
                precision_score(y, says),
                "That is the precision: truth and answers are exchanged. Which column is the target?",
            )
        },
    )


TASKS = (
    Task(
        "small tumours and large ones",
        2,
        slices,
        (
            "What does a score have to say besides its value, so that somebody can find it by the model and by the rows?",
            "A slice is a data set with a name of its own. Choose the rows of features *and* labels by the same condition, then "
            "describe them with `as_dataset`.",
            'Inside `with mlflow.start_run():`, `mlflow.log_metric("recall", …, model_id=model_id, dataset=as_dataset(X, y, '
            '"tumours-small"))`, and once more for `~small`.',
        ),
        "Whoever finds this model now sees for which tumours it is weaker.",
        level="core",
    ),
    Task(
        "the best of four",
        2,
        ranking,
        (
            "Two data sets have the same name. What is different about them?",
            "`order_by` takes a list of dictionaries, with `field_name`, `ascending`, `dataset_name` and `dataset_digest`.",
            "The digest is `valid_rows.digest`. Take the first of the models that `search_logged_models` returns with "
            '`output_format="list"`, and tag it by its `model_id`.',
        ),
        "You ranked by rows, not by a name that anybody can use.",
        level="transfer",
    ),
    Task(
        "a report with a limit",
        2,
        report,
        (
            "Which three things does `evaluate` need: whose predictions, on which rows, and for what kind of problem?",
            "`make_metric(eval_fn=…, greater_is_better=…, name=…)`, with a function of predictions and targets. Then "
            "`validate_evaluation_results` raises an error, or does not.",
            "`try:` … `except mlflow.MlflowException:` around the validation, with `mlflow.set_tag` in both branches, inside "
            "the run.",
        ),
        "The report hangs on the model, and the limit was judged by a program.",
        level="core",
    ),
    Task(
        "is the lead real?",
        2,
        lead,
        (
            "Which rows does each of the two models get in one round of the bootstrap?",
            "In each round: draw row numbers with repetition, as many as there are, compute both areas on them, keep the "
            "difference.",
            "`rows = rng.integers(0, len(truth), len(truth))`, and at the end `np.percentile(leads, [2.5, 97.5])`.",
        ),
        "A reader of this run knows the lead, and how far it can be trusted.",
        level="transfer",
    ),
    Task(
        "somebody else's model",
        0,
        supplier,
        (
            "What did the lecture add to `evaluate` when there was a table and no model?",
            "`mlflow.data.from_pandas(…, targets=…, predictions=…, name=…)`, then `evaluate(data=…, model_id=…)`.",
        ),
        "The answers have an owner now.",
    ),
)
