"""Homework 03: a run, tidying in the UI, a downloaded model, a run that fails."""

from __future__ import annotations

import contextlib
import zipfile
from functools import cache
from typing import Any

from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, roc_auc_score

from ... import data
from ..evidence import Evidence, close, listing
from ..mistake import Mistake, NotStarted
from ..question import Task
from ..reading import visible
from ..slips import auc_slips


@cache
def _reference(seed: int) -> dict[str, float]:
    """Return the right test ROC-AUC of task 1 and the plausible wrong ones."""
    split = data.churn_split(1200, seed, numeric=True)
    forest = RandomForestClassifier(n_estimators=60, max_depth=4, random_state=0).fit(split.X_train, split.y_train)
    return {
        "right": roc_auc_score(split.y_test, forest.predict_proba(split.X_test)[:, 1]),
        "train": roc_auc_score(split.y_train, forest.predict_proba(split.X_train)[:, 1]),
        "labels": roc_auc_score(split.y_test, forest.predict(split.X_test)),
        "accuracy": accuracy_score(split.y_test, forest.predict(split.X_test)),
        "other_class": roc_auc_score(split.y_test, forest.predict_proba(split.X_test)[:, 0]),
    }


def _nothing_but(evidence: Evidence, other: str, wanted: str) -> None:
    """Tell that a task is not started when the experiment, which tasks 1 and 4 share, holds the other task's run only."""
    if {r.info.run_name for r in evidence.runs("hw03-forest")} == {other}:
        raise NotStarted(f"The experiment `hw03-forest` has no run `{wanted}` yet.")


def one_run(evidence: Evidence) -> None:
    """Task 1: parameter and test ROC-AUC of one forest."""
    if evidence.client.get_experiment_by_name("hw03-forest"):
        _nothing_but(evidence, "crash", "forest")
    run = evidence.latest_run("hw03-forest", "forest")
    trees = evidence.number_param(run, "n_estimators")
    if trees != 60:
        raise Mistake(
            "param-value",
            f"`n_estimators` is {trees:g}; the task asks for another number of trees. A parameter must say what the "
            "model really used.",
        )
    auc, reference = evidence.metric(run, "test_auc"), _reference(data.course_seed())
    evidence.judge_number(
        "test_auc",
        auc,
        reference["right"],
        {
            "train-not-test": (
                reference["train"],
                "That is the value on the *training* rows, which the model has seen. Use the test rows.",
            ),
            "labels-not-probabilities": (
                reference["labels"],
                "That is ROC-AUC of the predicted labels. It ranks customers, so it needs probabilities: `predict_proba`.",
            ),
            "accuracy-not-auc": (
                reference["accuracy"],
                "That is the accuracy at one threshold. ROC-AUC judges the order of all rows: give it the probabilities.",
            ),
            "wrong-class": (
                reference["other_class"],
                "That ranks by the probability to *stay*. Column 1 of `predict_proba` is the class 1, churn.",
            ),
        },
        slips=lambda: auc_slips(
            RandomForestClassifier(n_estimators=60, max_depth=4, random_state=0),
            data.churn_split(1200, data.course_seed(), numeric=True),
        ),
    )


def tidy(evidence: Evidence) -> None:
    """Task 2: a run renamed, with a description."""
    runs = evidence.runs("hw03-tidy")
    if not runs:
        raise NotStarted("The experiment `hw03-tidy` has no run yet: run the given cell first.")
    if [r.info.run_name for r in runs] == ["draft"] and not runs[0].data.tags.get("mlflow.note.content"):
        raise NotStarted("The run is still called `draft`, and has no description.")
    run = evidence.latest_run("hw03-tidy", "baseline")
    if not close(run.data.metrics.get("test_auc", -1.0), 0.5):
        raise Mistake(
            "copied-not-renamed",
            "`baseline` is not the run that the given cell made. Renaming keeps the run and all it holds: rename the "
            "draft instead of making a new run.",
        )
    note = run.data.tags.get("mlflow.note.content", "")
    if not note.strip():
        raise Mistake(
            "note-missing",
            "The run `baseline` has no description. A name says which run it is; a description says why it exists. In the "
            "UI it stands at the top of the run's page; in code it is the tag `mlflow.note.content`.",
        )
    if len(note.split()) < 3:
        raise Mistake(
            "note-short", f"The description is `{visible(note, 40)}`. Say in three words or more what the run is."
        )


def _whole_network(evidence: Evidence, model: Any) -> None:
    """Tell when the logged model is not the given pipeline; it is read as bytes, never loaded."""
    evidence.mlmodel(model)
    content = b""
    for path in evidence.local(model.artifact_location).rglob("*"):
        if zipfile.is_zipfile(path):
            with contextlib.suppress(OSError, zipfile.BadZipFile, KeyError), zipfile.ZipFile(path) as archive:
                if archive.getinfo("schema.json").file_size < 20_000_000:
                    content += archive.read("schema.json")
        elif path.suffix in (".pkl", ".skops"):
            content += path.read_bytes()
    if b"MLPClassifier" not in content:
        raise Mistake(
            "other-model",
            "The files of `churn_network` hold no network: another model was logged under its name, and whoever loads it "
            "gets other answers. Log the given `network`.",
        )
    if b"StandardScaler" not in content:
        raise Mistake(
            "steps-not-saved",
            "`churn_network` is the last step of the pipeline only, without the scaler. Who loads it would give it unscaled "
            "rows, and get wrong answers without an error. Log the whole `network`.",
        )


def download(evidence: Evidence) -> None:
    """Task 3: a logged model, and its files downloaded."""
    run = evidence.latest_run("hw03-network", "network")
    model = evidence.models(run)[-1]
    if model.name != "churn_network":
        raise Mistake(
            "model-name",
            f"The model is called `{visible(model.name)}`; the task asks for `churn_network`. Whoever looks for it looks "
            "by name.",
        )
    _whole_network(evidence, model)
    here = evidence.home / "outputs" / "hw03" / "downloaded"
    found = sorted(here.rglob("MLmodel")) if here.is_dir() else []
    if not found:
        raise Mistake(
            "not-downloaded",
            "The model is in the store, but `outputs/hw03/downloaded` holds no `MLmodel`. Download the *model's* URI, "
            "`models:/m-…`: models are no longer among the files of the run.",
        )
    if not any(model.model_id in file.read_text(encoding="utf8", errors="replace") for file in found):
        raise Mistake(
            "stale-download",
            "The downloaded files belong to another model than the newest one in the store. Download it again.",
        )
    wanted = evidence.local(model.artifact_location)
    there = next(file.parent for file in found if model.model_id in file.read_text(encoding="utf8", errors="replace"))
    names = [p.relative_to(wanted).as_posix() for p in wanted.rglob("*") if p.is_file()]
    if absent := [name for name in names if not (there / name).is_file()]:
        raise Mistake(
            "download-incomplete",
            f"`MLmodel` is there, but {listing(absent, 4)} is not. `MLmodel` is the table of contents: without the other "
            "files nobody can load the model. Bring all of them.",
        )


def crash(evidence: Evidence) -> None:
    """Stretch: a failed run that is kept."""
    if evidence.client.get_experiment_by_name("hw03-forest"):
        _nothing_but(evidence, "forest", "crash")
    run = evidence.latest_run("hw03-forest", "crash", finished=False)
    if run.info.status == "RUNNING":
        evidence.finished(run)
    if run.info.status != "FAILED":
        raise Mistake(
            "did-not-fail",
            f"The run `crash` ended {run.info.status}. The error must happen *inside* the `with` block.",
        )
    evidence.param(run, "n_estimators")


TASKS = (
    Task(
        "log one run",
        2,
        one_run,
        (
            "What does the lecture's first round do, line by line? Which line chooses the experiment?",
            "A *choice* is a parameter, a *result* is a metric. ROC-AUC needs the probability of class 1 on the test rows.",
            '`mlflow.set_experiment("hw03-forest")`, then `with mlflow.start_run(run_name="forest"):` with `log_param` '
            "and `log_metric` inside.",
        ),
        "One run, one choice, one result, on rows the model has not seen.",
        level="warm-up",
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
        "download a model",
        2,
        download,
        (
            "`store.log_model` returns an object. Which of its fields is an address?",
            "`info.model_uri` looks like `models:/m-…`. That is what `download_artifacts` wants as `artifact_uri`.",
            "`mlflow.artifacts.download_artifacts(artifact_uri=info.model_uri, dst_path=str(target))`",
        ),
        "The files on your disk are the model in the store.",
    ),
    Task(
        "a run that fails, and stays",
        0,
        crash,
        (
            "Which line must come first, so that it is kept: the log call or the error?",
            'Raise inside the `with mlflow.start_run(run_name="crash"):` block, after `log_param`.',
        ),
        "A failed run is evidence too.",
    ),
)
