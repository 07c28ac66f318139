"""Homework of Logging: a run without a secret, a curve in one call, a clinic's report, the data behind a number."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from mlflow.entities import Run
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, precision_recall_fscore_support, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_utils import data
from course_utils._judge.evidence import Evidence, close, listing
from course_utils._judge.mistake import Mistake, NotStarted
from course_utils._judge.reading import (
    labels_of,
    named,
    need_columns,
    numbers_of,
    rows_of,
    text_of,
    visible,
    words_of,
)
from course_utils._judge.slips import auc_slips, fit_slips, is_rounded
from course_utils.homework.question import Task

SECRET, USER = "tulip-field-42", "churn-writer"
EPOCHS = 40


@cache
def _split(seed: int) -> data.Split:
    return data.churn_split(1200, seed, numeric=True)


@cache
def _model(seed: int) -> Any:
    split = _split(seed)
    return _unfitted().fit(split.X_train, split.y_train)


def _unfitted() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=500))


def _loss(model: Any, X: Any, y: Any) -> float:
    return float(log_loss(y, model.predict_proba(X)[:, 1]))


@cache
def _scores(seed: int) -> dict[str, float]:
    """Return the right numbers of task 1 and the plausible wrong ones."""
    split, model = _split(seed), _model(seed)
    test, train = model.predict_proba(split.X_test)[:, 1], model.predict_proba(split.X_train)[:, 1]
    labels = model.predict(split.X_test)
    return {
        "auc": roc_auc_score(split.y_test, test),
        "auc_train": roc_auc_score(split.y_train, train),
        "auc_labels": roc_auc_score(split.y_test, labels),
        "accuracy": accuracy_score(split.y_test, labels),
        "loss": log_loss(split.y_test, test),
        "loss_train": log_loss(split.y_train, train),
        "loss_labels": log_loss(split.y_test, labels),
    }


@cache
def _losses(seed: int) -> tuple[float, ...]:
    """Return the losses of task 2."""
    split = _split(seed)
    network = MLPClassifier((4,), learning_rate_init=0.05, random_state=0)
    losses = []
    for _ in range(EPOCHS):
        network.partial_fit(split.X_train / 50, split.y_train, classes=[0, 1])
        losses.append(float(network.loss_))
    return tuple(losses)


@cache
def _everyone(seed: int) -> dict[str, Any]:
    """Return digests and test statistics of task 4's customers."""
    import mlflow

    table = data.churn(11_000, seed)
    left, stayed = (table.loc[table["churned"] == label, "tenure_months"] for label in (1, 0))
    return {
        "sha256": data.digest(table),
        "mlflow": mlflow.data.from_pandas(table).digest,
        "welch": float(stats.ttest_ind(left, stayed, equal_var=False).statistic),
        "student": float(stats.ttest_ind(left, stayed).statistic),
        "p": float(stats.ttest_ind(left, stayed, equal_var=False).pvalue),
        "means": float(left.mean() - stayed.mean()),
    }


def _note(run: Run) -> None:
    note = run.data.tags.get("mlflow.note.content", "").strip()
    if not note:
        raise Mistake(
            "note-missing",
            f"The run `{run.info.run_name}` has no description. A name says which run it is, a description why it "
            "exists. `start_run` takes one; in the UI it stands at the top of the run's page.",
        )
    if len(note.split()) < 3:
        raise Mistake(
            "note-short", f"The description is `{visible(note, 40)}`. Say in three words or more what the run is for."
        )


def _no_secret(evidence: Evidence, run: Run) -> None:
    places = (("parameter", run.data.params), ("tag", run.data.tags))
    files = {path: evidence.artifact(run, path).read_bytes() for path in evidence.artifacts(run)}
    for kind, names in places:
        for name, value in names.items():
            if SECRET in value:
                raise Mistake(
                    "secret-as-param",
                    f"The {kind} `{name}` holds the password of the database. Everybody who can see the store can "
                    "read it, and a logged parameter cannot be removed. Name the settings that you log; change the "
                    "password.",
                )
    for path, content in files.items():
        if SECRET.encode() in content:
            raise Mistake(
                "secret-in-file",
                f"The artifact `{path}` holds the password of the database. A file is as readable as a parameter: "
                "log only what others may see.",
            )
    where = [f"The {kind} `{name}`" for kind, names in places for name, value in names.items() if USER in value]
    where += [f"The artifact `{path}`" for path, content in files.items() if USER.encode() in content]
    if where:
        raise Mistake(
            "too-much",
            f"{where[0]} holds the user of the database. It did not shape the model, and tells a stranger half of a login. "
            "Log the settings that made the result.",
        )


def one_run(evidence: Evidence) -> None:
    """Task 1: parameters, metrics, tag and note, and no secret."""
    run = evidence.latest_run("hw-log-password", "logistic", others=("churn-logging",))
    _no_secret(evidence, run)
    wanted = {"C": 0.3, "max_iter": 500, "data_seed": data.course_seed()}
    for name, value in wanted.items():
        if evidence.number_param(run, name) != value:
            raise Mistake(
                "param-value",
                f"`{name}` is {run.data.params[name]}, which is not what the given cells used. A parameter must say "
                "what the model was really trained with: take it from `settings`.",
            )
    found = _scores(data.course_seed())
    evidence.judge_number(
        "test_auc",
        evidence.metric(run, "test_auc"),
        found["auc"],
        {
            "train-not-test": (
                found["auc_train"],
                "That is the value on the *training* rows, which the model has seen. Use the test rows.",
            ),
            "labels-not-probabilities": (
                found["auc_labels"],
                "That is ROC-AUC of predicted labels. It ranks customers, so it needs probabilities: `predict_proba`.",
            ),
            "accuracy-not-auc": (
                found["accuracy"],
                "That is the accuracy at one threshold. ROC-AUC judges the order of all rows: give it the probabilities.",
            ),
            "metrics-swapped": (
                found["loss"],
                "That is the log loss. The two names are swapped: a reader would choose the worse model.",
            ),
        },
        slips=lambda: auc_slips(_unfitted(), _split(data.course_seed())),
    )
    evidence.judge_number(
        "test_loss",
        evidence.metric(run, "test_loss"),
        found["loss"],
        {
            "train-not-test": (
                found["loss_train"],
                "That is the value on the *training* rows, which the model has seen. Use the test rows.",
            ),
            "labels-not-probabilities": (
                found["loss_labels"],
                "That is the log loss of predicted labels. It judges probabilities: `predict_proba`.",
            ),
            "metrics-swapped": (
                found["auc"],
                "That is ROC-AUC. The two names are swapped: a reader would choose the worse model.",
            ),
        },
        slips=lambda: fit_slips(_unfitted(), _split(data.course_seed()), _loss),
    )
    if not evidence.tag(run, "owner").strip():
        raise Mistake("tag-empty", "The tag `owner` is empty. Ines wants to know whom to ask: give a name.")
    _note(run)


def curve(evidence: Evidence) -> None:
    """Task 2: all points of a curve, sent at once."""
    run = evidence.latest_run("hw-log-curve", "curve")
    points = evidence.history(run, "train_loss")
    right = _losses(data.course_seed())
    if len(points) == 1:
        raise Mistake(
            "one-point",
            "`train_loss` has one point. One number shows where training ended, not how it got there: log every epoch.",
        )
    if len({p.step for p in points}) == 1:
        raise Mistake(
            "steps-missing",
            f"All {len(points)} points of `train_loss` have the step {points[0].step}, so they make a heap, not a "
            "curve. Give each point the number of its epoch.",
        )
    steps = [p.step for p in points]
    if len(set(steps)) < len(steps):
        raise Mistake(
            "steps-twice",
            f"`train_loss` has {len(steps)} points for {len(set(steps))} steps. A second value does not replace the "
            "first. Log each epoch once, in a new run.",
        )
    if steps == list(range(1, len(right) + 1)):
        raise Mistake(
            "step-start", "Your steps begin at 1; the task counts epochs from 0, like every other curve here."
        )
    if steps != list(range(len(right))):
        raise Mistake(
            "points-missing",
            f"`train_loss` has {len(steps)} points, from step {steps[0]} to {steps[-1]}. There were {len(right)} "
            "epochs, and each needs its point.",
        )
    values = [p.value for p in points]
    if all(map(close, values, reversed(right))):
        raise Mistake("reversed", "Your curve runs backwards: step 0 is the first epoch, not the last.")
    if not all(map(close, values, right)):
        if all(close(a, b) or is_rounded(a, b) for a, b in zip(values, right, strict=True)):
            raise Mistake(
                "rounded",
                "The points of `train_loss` are rounded, so the end of the curve, where little changes, is a flat line. Log "
                "the values as they are, round when you print.",
            )
        raise Mistake("value-wrong", "The points are not the values of `losses`. Log them as they are, in their order.")
    if (moments := len({p.timestamp for p in points})) > 1:
        raise Mistake(
            "one-by-one",
            f"Your points carry {moments} different timestamps; the task asks for one call, and one timestamp for all its "
            "points. Separate calls leave such a trace, also calls that do not wait, and each is a transaction of its own: a "
            "thousand of them cost seconds, one batch almost nothing. If they were separate, collect the points first. If you "
            "did send one batch, take the time once, before you make its points.",
        )


class _Clinic(NamedTuple):
    """What the given cell of task 3 makes: `X` and `y` are the validation rows."""

    X: pd.DataFrame
    y: np.ndarray
    predicted: np.ndarray
    n_train: int


@cache
def _clinic(seed: int) -> _Clinic:
    X = data.bundled("breast_cancer")
    y = (X.pop("target") == 0).astype(int)
    X_train, X_valid, y_train, y_valid = train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)
    model = KNeighborsClassifier(n_neighbors=25).fit(X_train, y_train)
    return _Clinic(X_valid, y_valid.to_numpy(), model.predict(X_valid), len(X_train))


def _labels(table: pd.DataFrame, is_true: Callable[[np.ndarray], bool]) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns ``true`` and ``predicted`` as 0 and 1, whichever two words stand for the classes.

    Parameters
    ----------
    table
        What the learner logged.
    is_true
        Tells whether labels, in the order of the table's rows, are the true ones.
    """
    words = sorted({*words_of(table, "true"), *words_of(table, "predicted")})
    names: dict[int, list[str]] = {0: ["false", "no", "benign"], 1: ["true", "yes", "malignant"]}
    if len(words) == 2 and not set(words) & {w for label, known in names.items() for w in (str(label), *known)}:
        # Two words of the learner's own: the order in which the column `true` is right.
        names = {0: [words[0]], 1: [words[1]]}
        if not is_true(labels_of(table, "true", names, "wrong.json")):
            names = {0: [words[1]], 1: [words[0]]}
    known = {word: label for label, more in names.items() for word in (str(label), *more)}
    strange = [word for word in words if word not in known]
    if len(words) == 2 and len(strange) == 1 and not (sure := next(w for w in words if w in known)).isdigit():
        names[1 - known[sure]].append(strange[0])  # `benign` beside a word of the learner's own
    said, guessed = (labels_of(table, column, names, "wrong.json") for column in ("true", "predicted"))
    return said, guessed


def _wrong_tumours(path: Path, clinic: _Clinic) -> None:
    table, features = named(rows_of(path)), list(clinic.X.columns)
    need_columns(table, (*features, "true", "predicted"), "wrong.json")
    values = np.column_stack([numbers_of(table, name, "wrong.json") for name in features])
    missed = clinic.y != clinic.predicted
    expected, truth = clinic.X[missed].to_numpy(), clinic.y[missed]

    def is_true(labels: np.ndarray) -> bool:  # rows may stand in any order, so labels are tied to their measurements
        return close(float(labels @ values.sum(axis=1)), float(truth @ expected.sum(axis=1)))

    said, guessed = _labels(table, is_true)
    errors = int((said != guessed).sum())
    if len(table) == len(clinic.y):
        raise Mistake(
            "all-rows", "`wrong.json` holds all validation rows. Keep those where `true` and `predicted` differ."
        )
    if errors == 0:
        raise Mistake("right-rows", "In `wrong.json` the prediction is right in every row. Keep the other ones.")
    if len(table) == 2 * missed.sum():
        raise Mistake(
            "table-grew",
            f"`wrong.json` has {len(table)} rows, each twice: a table with the same name *grows*. Log it once, in a "
            "new run.",
        )
    same = len(table) == errors == missed.sum() and close(float(values.sum()), float(expected.sum()))
    if same and not is_true(said) and is_true(guessed):
        raise Mistake(
            "columns-swapped",
            "In each row, `true` and `predicted` are the other way round: either the two columns are exchanged, or the two "
            "words for the classes (1 is malignant). Look at one row beside `y_valid`. Whoever reads the table would take the "
            "malignant ones for benign.",
        )
    if not (same and is_true(said)):
        raise Mistake(
            "wrong-rows",
            f"`wrong.json` has {len(table)} rows, {errors} of them with a wrong prediction. These are not the "
            "validation rows that `neighbors` gets wrong, with their labels. Which rows did you filter?",
        )


def _numbers(text: str) -> list[float]:
    return [float(n) for n in re.findall(r"\d+(?:\.\d+)?", text)]


def _report(text: str, clinic: _Clinic) -> None:
    lower = text.lower()
    if not all(word in lower for word in ("precision", "recall", "support")):
        raise Mistake(
            "not-a-report",
            "`report.txt` has no table of precision, recall and support. `classification_report` returns it as text.",
        )
    numbers = _numbers(text)
    if clinic.n_train in numbers and len(clinic.y) not in numbers:
        raise Mistake(
            "train-not-valid",
            "The report counts the *training* rows, which the model has seen. Use the validation rows.",
        )
    scores = precision_recall_fscore_support(clinic.y, clinic.predicted, labels=[1])
    row = [float(score[0]) for score in scores]  # precision, recall, f1 and support of the class 1, as they are printed

    def fits(found: list[float]) -> bool:
        return len(found) == len(row) and all(abs(a - b) <= 0.0051 for a, b in zip(found, row, strict=True))

    of_benign = (line for line in lower.splitlines() if re.match(r"\s*(benign|0|0\.0)\s", line))
    if any(fits(_numbers(line)[-len(row) :]) for line in of_benign):
        raise Mistake(
            "classes-swapped",
            "In `report.txt`, the row of the benign tumours holds the numbers of the malignant ones, so a doctor reads the "
            "wrong recall. Names are given in the order of the labels, and here 1 is malignant.",
        )
    if not any(fits(numbers[i : i + len(row)]) for i in range(len(numbers))):
        raise Mistake(
            "report-value",
            "The report does not fit `predicted` on the validation rows. `classification_report` takes the true labels "
            "first.",
        )


def files(evidence: Evidence) -> None:
    """Task 3: a figure, a table and a text."""
    run = evidence.latest_run("hw-log-clinic", "report")
    figure = evidence.artifact(run, "confusion_matrix.png")
    table = evidence.artifact(run, "wrong.json")
    report = evidence.artifact(run, "report.txt")
    if figure.read_bytes()[:8] != b"\x89PNG\r\n\x1a\n":
        raise Mistake("not-a-picture", "`confusion_matrix.png` is not a PNG picture. Hand the figure to `log_figure`.")
    from matplotlib.image import imread

    try:
        spread = float(imread(figure).std())
    except (OSError, SyntaxError, ValueError):  # what Pillow raises for a picture that is cut off
        raise Mistake(
            "not-a-picture", "`confusion_matrix.png` cannot be read as a picture. Log the figure again."
        ) from None
    if spread < 0.01:
        raise Mistake("figure-empty", "`confusion_matrix.png` is a blank picture. Draw on the figure that you log.")
    clinic = _clinic(data.course_seed())
    _wrong_tumours(table, clinic)
    _report(text_of(report), clinic)


def origin(evidence: Evidence) -> None:
    """Task 4: a test statistic with seed, data set and digest."""
    run, right = evidence.latest_run("hw-log-origin", "tenure"), _everyone(data.course_seed())
    evidence.judge_number(
        "t",
        evidence.metric(run, "t"),
        right["welch"],
        {
            "groups-swapped": (-right["welch"], "The sign says that leavers stay longer: the groups are swapped."),
            "student-not-welch": (
                right["student"],
                "That is Student's t, which assumes equal variances. Welch's test does not: `equal_var`.",
            ),
            "p-not-t": (
                right["p"],
                "That is the p-value, which shrinks with every further customer. The task asks for the statistic `t`.",
            ),
            "difference-not-t": (
                right["means"],
                "That is the difference of the means, in months, not the t statistic.",
            ),
        },
    )
    if evidence.number_param(run, "data_seed") != data.course_seed():
        raise Mistake(
            "param-value",
            f"`data_seed` is {run.data.params['data_seed']}, but `data.course_seed()` made these customers.",
        )
    used = [(i.dataset, {t.key: t.value for t in i.tags}) for i in (run.inputs.dataset_inputs if run.inputs else [])]
    if not used:
        raise Mistake(
            "data-version-missing",
            "The run names no data set, so nobody can say which customers gave this number. Describe the table with "
            "`mlflow.data.from_pandas` and log it with `log_input`.",
        )
    named = [(d, tags) for d, tags in used if d.name == "customers"]
    if not named:
        raise Mistake(
            "dataset-name",
            f"The run has the data set {listing(d.name for d, _ in used)}; the task asks for `customers`. "
            "`from_pandas` takes a name.",
        )
    described, tags = named[-1]
    if described.digest != right["mlflow"]:
        raise Mistake(
            "wrong-data",
            f"The data set `customers` has the digest `{described.digest}`, which is not that of `everyone`. Log the "
            "table that the test was computed on, whole.",
        )
    if tags.get("mlflow.data.context") != "eda":
        raise Mistake(
            "context-wrong",
            "The data set was logged without the context `eda`. The context says what the rows were used for: "
            "training, test, or a look at the data.",
        )
    digest = evidence.tag(run, "data_sha256")
    if digest == right["mlflow"]:
        raise Mistake(
            "digest-of-mlflow",
            "`data_sha256` is MLflow's own digest, which sees the first 10,000 rows only. Use the one that reads "
            "all rows.",
        )
    if digest != right["sha256"]:
        raise Mistake(
            "digest-wrong", f"`data_sha256` is `{digest[:20]}`, which is not the digest of all rows of `everyone`."
        )


def correction(evidence: Evidence) -> None:
    """Stretch: a corrected run, and the old one that points to it."""
    runs = evidence.runs("hw-log-typo")
    if not runs:
        raise NotStarted("The experiment `hw-log-typo` has no run yet: run the given cell first.")
    names = {r.info.run_name for r in runs}
    if names == {"typo"} and "superseded_by" not in runs[0].data.tags:
        raise NotStarted("There is only the run `typo`, and it points nowhere yet.")
    new = evidence.latest_run("hw-log-typo", "corrected")
    if evidence.number_param(new, "C") != 0.3:
        raise Mistake(
            "param-value", f"`corrected` has `C` = {new.data.params['C']}; the model was trained with another value."
        )
    old = evidence.latest_run("hw-log-typo", "typo")
    if evidence.tag(old, "superseded_by") != new.info.run_id:
        raise Mistake(
            "wrong-link",
            "The tag `superseded_by` of `typo` is not the run id of the newest `corrected`. A name can be given "
            "twice, an id cannot: use `info.run_id`.",
        )


TASKS = (
    Task(
        "a run without the password",
        2,
        one_run,
        (
            "Which entries of `settings` would change the model, and which would not?",
            "`log_params` takes a dictionary: build one with three names. The description is an argument of "
            "`start_run`.",
            '`mlflow.log_params({name: settings[name] for name in ("C", "max_iter", "data_seed")})`, then `log_metric` '
            "twice and `set_tag`.",
        ),
        "Everything that made the number is there, and nothing that a stranger could use.",
    ),
    Task(
        "a curve in one call",
        2,
        curve,
        (
            "What three things does a point of a metric carry besides its name?",
            "Value, timestamp and step. `mlflow.entities.Metric(name, value, timestamp, step)` is a point; the "
            "client sends a list of them.",
            "`mlflow.MlflowClient().log_batch(run_id, metrics=points)`, with `points` made from `enumerate(losses)`.",
        ),
        "One transaction, and every epoch has its point.",
    ),
    Task(
        "a report for the clinic",
        2,
        files,
        (
            "Which three `log_…` calls of the lecture make a picture, a table and a text?",
            "`X_valid.assign(true=…, predicted=…)` adds the two columns; then keep the rows where they differ.",
            '`mlflow.log_figure(figure, "confusion_matrix.png")`, `mlflow.log_table(wrong, "wrong.json")` and '
            '`mlflow.log_text(classification_report(y_valid, predicted), "report.txt")`.',
        ),
        "The clinic can look at the very tumours that the model gets wrong.",
        level="transfer",
    ),
    Task(
        "where the number came from",
        2,
        origin,
        (
            "Which of the four things comes from `stats`, which from `mlflow.data`, which from `data`?",
            "`stats.ttest_ind(leavers, stayers, equal_var=False).statistic`; the description of the table goes to "
            "`log_input`.",
            '`mlflow.log_input(mlflow.data.from_pandas(everyone, name="customers"), context="eda")` and '
            '`mlflow.set_tag("data_sha256", data.digest(everyone))`.',
        ),
        "Ines can make this number again, and would notice one changed row.",
        level="transfer",
    ),
    Task(
        "a parameter that is wrong",
        0,
        correction,
        (
            "What of a finished run may still change: its parameters or its tags?",
            "Start a new run for the right value. `MlflowClient().set_tag(run_id, name, value)` reaches the old one.",
        ),
        "Nothing was erased, and nobody will be misled.",
    ),
)
