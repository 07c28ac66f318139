"""Homework of MLflow basics: a run to repeat, the model behind a slide, a cell to mend, tidying in the UI, a crash."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
from mlflow.entities import Run
from sklearn.base import ClassifierMixin
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from course_utils import data
from course_utils._judge.evidence import Evidence, close, listing
from course_utils._judge.mistake import Mistake, NotStarted
from course_utils._judge.reading import visible
from course_utils._judge.slips import Rows, auc_slips
from course_utils.homework.question import Task

#: The runs that the given cell of task 2 makes, with the depth of their trees; one more, "final-final", failed.
_WEEK = {"final": 1, "new": 2, "final-2": 3, "really-final": 5}


@cache
def _rows(seed: int) -> tuple[Any, Any, Any, Any]:
    """Return training and validation rows as the homework's set-up cell makes them."""
    X = data.bundled("breast_cancer")
    y = (X.pop("target") == 0).astype(float)
    return tuple(train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed))


def _auc(model: ClassifierMixin) -> float:
    """Return the right validation ROC-AUC of an unfitted model."""
    X_train, X_valid, y_train, y_valid = _rows(data.course_seed())
    return roc_auc_score(y_valid, model.fit(X_train, y_train).predict_proba(X_valid)[:, 1])


def _judge_auc(evidence: Evidence, run: Run, model: ClassifierMixin, unused: tuple[Callable[[], float], str]) -> None:
    """Compare ``valid_auc`` of a run with that of a model; `unused` is the answer of one that ignores the record."""

    def slips() -> Iterator[tuple[str, float, str]]:
        value, message = unused
        yield "settings-not-used", value(), message
        yield from auc_slips(model, Rows(*_rows(data.course_seed())), "validation")

    evidence.judge_number("valid_auc", evidence.metric(run, "valid_auc"), _auc(model), {}, slips=slips)


def _setting(evidence: Evidence, run: Run, name: str, low: float, high: float, whole: bool = True) -> float:
    """Return a recorded setting as a number in its range."""
    value = evidence.number_param(run, name)
    if not low <= value <= high or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise Mistake(
            "param-value",
            f"`{name}` is {value:g}; it should be {kind} from {low:g} to {high:g}. The task sets this range, so that the "
            "check stays quick: choose one in it, and run the cell again.",
        )
    return int(value) if whole else value


def repeatable(evidence: Evidence) -> None:
    """Task 1: settings, result and model of one run; the settings lead to the result."""
    run = evidence.latest_run("hw-basics-tumours", "boosting")
    if run.data.params.get("random_state") == "None":
        raise Mistake(
            "seed-missing",
            "`random_state` is recorded as `None`, so each training may end in another model and the number cannot be "
            "repeated. Choose a whole number, use it in the model, and record it.",
        )
    settings = {
        "n_estimators": _setting(evidence, run, "n_estimators", 1, 200),
        "max_depth": _setting(evidence, run, "max_depth", 1, 32),
        "learning_rate": _setting(evidence, run, "learning_rate", 1e-6, 10, whole=False),
        "random_state": _setting(evidence, run, "random_state", 0, 2**32 - 1),
    }
    scored = GradientBoostingClassifier(**settings)
    _judge_auc(  # fits it
        evidence,
        run,
        scored,
        (
            lambda: _auc(GradientBoostingClassifier(random_state=settings["random_state"])),
            "That is the value of a model with scikit-learn's default settings, while your record names others. Build the "
            "model from the dictionary that you record.",
        ),
    )
    model = evidence.models(run)[-1]
    if model.name != "boosting":
        raise Mistake(
            "model-name",
            f"The model is called `{visible(model.name)}`; the task asks for `boosting`. Whoever loads it asks for it by name.",
        )
    _stored_safely(evidence, model, settings, scored.train_score_)


def _stored_safely(evidence: Evidence, model: Any, settings: dict[str, float], right: np.ndarray) -> None:
    """Look at format, class, settings and training losses (`right`) of the stored model without loading it."""
    flavor = evidence.mlmodel(model)["flavors"].get("sklearn", {})
    if flavor.get("serialization_format") != "skops":
        raise Mistake(
            "pickle-format",
            f"The model is stored as `{visible(flavor.get('serialization_format', 'something else'))}`, a format that can run any "
            "code when it is loaded. Leave the format to `log_model`, and tell it which types you trust.",
        )
    file = evidence.local(model.artifact_location) / str(flavor.get("pickled_model", "model.skops"))
    try:
        with zipfile.ZipFile(file) as archive:
            schema = json.loads(archive.read("schema.json"))
            kind, stored = schema["__class__"], dict(schema["content"]["content"])
            losses = None  # of each tree on the rows that it was fitted to; an unfitted model has none
            if "train_score_" in stored:
                losses = np.load(io.BytesIO(archive.read(stored["train_score_"]["file"])), allow_pickle=False)
    except Exception:  # zipfile raises several unrelated types, and a file may hold anything
        raise Mistake(
            "model-files",
            "The file of the model is not where the store says, or not whole, so nobody can load it. Was it moved or "
            "deleted? Log the model again.",
        ) from None
    if kind != "GradientBoostingClassifier":
        raise Mistake(
            "other-model",
            f"The stored model is a `{visible(kind)}`, not a `GradientBoostingClassifier`, so it is not what the "
            "run describes. Log the model that was scored.",
        )
    for name, value in settings.items():
        try:
            kept = float(json.loads(stored[name]["content"]))
        except (KeyError, TypeError, ValueError):
            continue  # a number of another type is kept in another form; the score has been compared already
        if not close(kept, value):
            raise Mistake(
                "other-model",
                f"The stored model has `{name}` = {kept:g}, the record says {value:g}. Whoever loads it gets another model "
                "than the one that was scored. Log the model of this run.",
            )
    if losses is None or losses.shape != right.shape or not np.allclose(losses, right):
        raise Mistake(
            "other-model",
            "The stored model was not fitted to the training rows, so it is not the model that was scored. Log the one that "
            "you measured, without fitting it again.",
        )


def slide(evidence: Evidence) -> None:
    """Task 2: the right run found, its model loaded and used, the result recorded there."""
    runs = evidence.runs("hw-basics-slide")
    week = {
        name: next((r for r in reversed(runs) if r.info.run_name == name), None) for name in (*_WEEK, "final-final")
    }
    if not all(week.values()):
        raise NotStarted(
            "The experiment `hw-basics-slide` does not hold the week's five runs: run the given cell first. If it was "
            "interrupted, delete all runs of this experiment before, in the UI or with "
            '`for run_id in mlflow.search_runs(experiment_names=["hw-basics-slide"]).run_id: mlflow.delete_run(run_id)`.'
        )
    right = sorted((week[name] for name in _WEEK), key=lambda run: evidence.metric(run, "valid_auc"))[2]
    if "flagged" not in {**right.data.metrics, **right.data.params, **right.data.tags}:
        _flagged_elsewhere(runs, week)
        raise NotStarted("No run of `hw-basics-slide` has a metric `flagged` yet.")
    X_train, X_valid, y_train, y_valid = _rows(data.course_seed())
    forest = RandomForestClassifier(n_estimators=15, max_depth=_WEEK[right.info.run_name], random_state=1)
    forest.fit(X_train, y_train)
    p = forest.predict_proba(X_valid)[:, 1]
    count = float((p > 0.5).sum())
    evidence.judge_number(
        "flagged",
        evidence.metric(right, "flagged"),
        count,
        {
            "train-not-valid": (
                float((forest.predict_proba(X_train)[:, 1] > 0.5).sum()),
                "That is the count over the *training* rows. The task asks for the validation rows.",
            ),
            "share-not-count": (count / len(p), "That is a share of the rows. The task asks how *many* there are."),
            "wrong-class": (
                float((p < 0.5).sum()),
                "These are the rows with a high probability of being *benign*. Class 1 is malignant.",
            ),
            "labels-not-model": (
                float(y_valid.sum()),
                "So many rows *are* malignant. The task asks what the *model* says about them: load it and predict.",
            ),
        },
    )


def _flagged_elsewhere(runs: list[Run], week: dict[str, Any]) -> None:
    """Name the run that has the count instead of the right one."""
    for run in runs:
        if "flagged" not in {**run.data.metrics, **run.data.params, **run.data.tags}:
            continue
        name = visible(run.info.run_name)
        if run.info.run_id == week["final-final"].info.run_id:
            raise Mistake(
                "run-failed",
                f"`flagged` is in the run `{name}`. It has the number of the slide, but it ended FAILED and kept no model, "
                "so nothing can be loaded from it. Is there a second run with this number?",
            )
        if run.info.run_id in {r.info.run_id for r in week.values()}:
            raise Mistake(
                "wrong-run",
                f"`flagged` is in the run `{name}`, whose `valid_auc` is {run.data.metrics['valid_auc']:.4f}. Compare it with "
                "the number on the slide, and look for the run that has that one.",
            )
        raise Mistake(
            "new-run",
            f"`flagged` is in a run of its own, `{name}`. Whoever looks at the slide's run does not find it there. Record it "
            "in the run that it belongs to, by that run's id.",
        )


def neighbors(evidence: Evidence) -> None:
    """Task 3: two finished runs, each with its own model's score as a metric."""
    for k in (5, 15):
        run = evidence.latest_run("hw-basics-neighbors", f"neighbors-{k}")
        recorded = evidence.number_param(run, "n_neighbors")
        if recorded != k:
            raise Mistake(
                "param-value",
                f"The run `neighbors-{k}` says `n_neighbors` = {recorded:g}. Name and parameter of a run should tell the same "
                "story: record what the model used.",
            )
        _judge_auc(
            evidence,
            run,
            KNeighborsClassifier(n_neighbors=k),
            (
                lambda k=k: _auc(KNeighborsClassifier(n_neighbors=20 - k)),
                f"That is the value of a model with {20 - k} neighbours, while the run says {k}. Look at the line that builds "
                "the model.",
            ),
        )


def tidy(evidence: Evidence) -> None:
    """Task 4: a run renamed, with a description."""
    runs = evidence.runs("hw-basics-tidy")
    if not runs:
        raise NotStarted("The experiment `hw-basics-tidy` has no run yet: run the given cell first.")
    run = runs[-1]  # the given cell fills an empty experiment, so its run is the oldest
    name = run.info.run_name
    copies = [r for r in runs[:-1] if r.info.run_name in ("draft", "baseline")]  # runs of other cells are no copies
    if name == "draft" and not copies and not run.data.tags.get("mlflow.note.content"):
        raise NotStarted("The run is still called `draft`, and has no description.")
    if copies or not close(run.data.metrics.get("valid_auc", -1.0), 0.5):
        raise Mistake(
            "copied-not-renamed",
            f"The experiment holds {listing(r.info.run_name for r in runs)}, and the newest `baseline` is not the run that "
            "the given cell made, or not alone. Renaming keeps the run and all it holds: delete what you added and "
            "rename the draft.",
        )
    if name != "baseline":
        raise Mistake(
            "run-name",
            f"The run that the given cell made is called `{visible(name)}`; the task asks for `baseline`. A name is how "
            "people find a run. Rename this run, in the UI or by its id: a new one would not hold what it holds.",
        )
    evidence.finished(run)
    note = run.data.tags.get("mlflow.note.content", "")
    if not note.strip():
        raise Mistake(
            "note-missing",
            "The run `baseline` has no description. A name says which run it is; a description says why it exists. In the "
            "UI it stands at the top of the run's page; in code it is the tag `mlflow.note.content`.",
        )
    if len(note.split()) < 3:
        raise Mistake(
            "note-short",
            f"The description is `{visible(note, 40)}`, too short to help a reader. Say in three words or more what the "
            "run is.",
        )


def crash(evidence: Evidence) -> None:
    """Stretch: a failed run that is kept."""
    run = evidence.latest_run("hw-basics-crash", "crash", finished=False, others=("churn-forest",))
    if run.info.status == "RUNNING":
        evidence.finished(run)
    if run.info.status != "FAILED":
        raise Mistake(
            "did-not-fail",
            f"The run `crash` ended {run.info.status}: the error came after the block, was caught inside it, or never came. Let it "
            "leave the `with` block, and catch it outside.",
        )
    evidence.param(run, "n_estimators")


TASKS = (
    Task(
        "a run that can be repeated",
        2,
        repeatable,
        (
            "Which parts of the lecture's Round 1 and Round 2 do you need? What would a stranger need to train your model "
            "again?",
            "Put the four settings into one dictionary. Build the model from it (`**settings`) and record it "
            "(`log_params`). `log_model` wants the names that you trust; `skops.io.get_untrusted_types` shows which ones it asks about.",
            "`print(skops.io.get_untrusted_types(data=skops.io.dumps(model)))`, and read it. Write the names that you know "
            "into a list `trusted`, as Round 2 does, and give it to `log_model` as `skops_trusted_types=`, all inside "
            '`with mlflow.start_run(run_name="boosting"):`.',
        ),
        "From your record alone we trained a model and got your number.",
        level="warm-up",
    ),
    Task(
        "the model behind the slide",
        2,
        slide,
        (
            "What does `search_runs` return, and which column holds the number? Do all of its rows have a model?",
            "Keep the runs whose status is FINISHED, then the one whose `metrics.valid_auc` rounds to the number on the slide. "
            "Its model's id is in `mlflow.get_run(…).outputs`.",
            '`mlflow.sklearn.load_model(f"models:/{model_id}")`, then '
            '`mlflow.log_metric("flagged", …, run_id=…)` with the id of the run that you found.',
        ),
        "You found the run, had its model back, and left the result where the next person looks for it.",
        level="transfer",
    ),
    Task(
        "three mistakes in a colleague's cell",
        2,
        neighbors,
        (
            "Three lines are wrong. What does the error message say about the first? Which line never uses `k`? Which of the "
            "two recorded things is a result?",
            "A `with` block ends each run. The model must be built with `k`. Text cannot be sorted, a metric can.",
            "`with mlflow.start_run(run_name=…):`, `KNeighborsClassifier(n_neighbors=k)`, `mlflow.log_metric(…)`; and name "
            "the experiment before the loop.",
        ),
        "Two runs, both closed, both true, and ready to be compared.",
        level="transfer",
    ),
    Task(
        "tidy up in the UI",
        2,
        tidy,
        (
            "Where in the UI do you see the name of a run, and what does the menu beside it offer?",
            "Name and description are tags of the run. In code: `MlflowClient().update_run(run_id, name=…)` and "
            '`set_tag(run_id, "mlflow.note.content", …)`.',
        ),
        "The run kept its id and its metric; only its tags changed.",
        level="warm-up",
    ),
    Task(
        "a run that fails, and stays",
        0,
        crash,
        (
            "Which line must come first, so that it is kept: the log call or the error?",
            "The error has to leave the `with` block, so `try:` stands outside of it.",
        ),
        "A failed run is evidence, too.",
    ),
)
