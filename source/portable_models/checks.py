"""Homework of portable models: an inbox read before loading, a module that travels, a proof, a changed file found."""

from __future__ import annotations

import json
import re
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_utils import data
from course_utils._judge.evidence import Evidence, listing, read_card
from course_utils._judge.mistake import Mistake, NotStarted
from course_utils._judge.reading import number, text_of, visible
from course_utils.homework.question import Task

_FOLDER = "hw-portable"
_ALLOWED = {"numpy.dtype", "sklearn.tree._tree.Tree"}


def inbox(evidence: Evidence) -> None:
    """Task 1: kind, names and verdict of six models, from their cards."""
    found = evidence.table(_FOLDER, "inbox.csv", ("model", "kind", "names", "load"))
    truth = {}
    for file in (evidence.home / "outputs" / _FOLDER / "inbox").glob("*/MLmodel"):
        flavors = read_card(file.parent, file.parent.name)["flavors"]
        truth[file.parent.name] = (*_kind(flavors), any(flavor.get("code") for flavor in flavors.values()))
    if not truth:
        raise NotStarted("The inbox is empty: run the given cell first.")
    found["model"] = found["model"].astype(str).str.strip()
    if sorted(found["model"]) != sorted(truth):
        raise Mistake(
            "inbox-rows",
            f"`inbox.csv` has the models {listing(found['model'])}; the inbox has {listing(truth)}, one row each.",
        )
    for _, row in found.iterrows():
        name = str(row["model"])
        kind, names, brings_code = truth[name]
        said = str(row["kind"]).strip().lower()
        if said != kind:
            raise Mistake(
                "kind-wrong",
                f"`{name}` is not of the kind `{visible(said)}`. `MLmodel` tells it: by `serialization_format` of the flavor "
                "`sklearn`, or by `model_code_path` of the flavor `python_function`. The words are `skops`, `pickle`, `code`.",
            )
        got = number(row["names"], f"`names` of `{name}`", "names-wrong")
        if got != len(names):
            raise Mistake(
                "names-wrong",
                f"`{name}` does not ask for {got:g} names. Ask its skops file; a model of another kind has none to ask for.",
            )
        _judge_load(name, str(row["load"]).strip().lower(), kind, names, brings_code)


def _kind(flavors: dict[str, Any]) -> tuple[str, list[str]]:
    """Return the kind of a model, and the names that it wants to have trusted."""
    flavor = flavors.get("sklearn")
    if flavor is None:
        return "code", []
    if flavor.get("serialization_format") != "skops":
        return "pickle", []
    return "skops", list(flavor.get("skops_trusted_types") or [])


def _judge_load(name: str, said: str, kind: str, names: list[str], brings_code: bool) -> None:
    """Compare the verdict on one model with Ines's rule."""
    if said not in ("yes", "no", "true", "false"):
        raise Mistake("load-word", f"`load` of `{name}` is `{visible(said)}`; the task asks for `yes` or `no`.")
    loads = said in ("yes", "true")
    may = kind == "skops" and set(names) <= _ALLOWED and not brings_code
    if loads and kind == "pickle":
        raise Mistake(
            "pickle-format",
            f"You would load `{name}`, a pickle. Loading it does whatever its author wrote, before you can look at anything.",
        )
    if loads and kind == "code":
        raise Mistake(
            "code-runs",
            f"You would load `{name}`, which is a file of Python that runs from top to bottom on load. Ines's rule wants no code.",
        )
    if loads and brings_code:
        raise Mistake(
            "brings-code",
            f"You would load `{name}`. Its file is skops, but a module lies beside it: `MLmodel` names its folder by `code`, in one "
            "flavor or in several, and a module runs when it is imported. Ines's rule wants no code.",
        )
    if loads and not may:
        raise Mistake(
            "trusted-unread",
            f"You would load `{name}`. Its list holds a name that Ines does not allow: count is not enough, read the names.",
        )
    if may and not loads:
        raise Mistake(
            "too-strict",
            f"By Ines's rule `{name}` may be loaded: it is skops and brings no code. Compare the names that it asks for, if "
            "any, with the two that she allows.",
        )


def travel(evidence: Evidence) -> None:
    """Task 2: a pipeline with a step of its own, complete in its folder."""
    run = evidence.latest_run("hw-portable-diabetes", "travel")
    model = evidence.models(run)[-1]
    if model.name != "progression":
        raise Mistake(
            "model-name",
            f"The model is called `{visible(model.name)}`; the task asks for `progression`. Whoever looks for it looks by name.",
        )
    card = evidence.mlmodel(model)
    flavor = card["flavors"].get("sklearn", {})
    if flavor.get("serialization_format") != "skops":
        raise Mistake(
            "pickle-format",
            f"The model's format is `{visible(flavor.get('serialization_format', 'not from scikit-learn'))}`, which may run any "
            "code when it is loaded. Leave the format out (on Databricks, write `skops`), and name the types "
            "that you trust.",
        )
    if "clinic_steps.Log" not in (flavor.get("skops_trusted_types") or []):
        raise Mistake(
            "other-model",
            "The stored model does not hold the clinic's step `Log`, so it is not the pipeline `progression`. Log the whole "
            "pipeline that the given cell has fitted.",
        )
    here = evidence.local(model.artifact_location)
    modules = sorted(path.name for path in (here / "code").rglob("*.py")) if (here / "code").is_dir() else []
    if "clinic_steps.py" not in modules:
        raise Mistake(
            "module-missing",
            f"The model's folder holds {'the modules ' + listing(modules) if modules else 'no module'}, so elsewhere loading ends "
            "with `No module named 'clinic_steps'`. It works here only because the file is on this machine.",
        )
    if not (here / "code" / "clinic_steps.py").is_file():
        raise Mistake(
            "module-place",
            "`clinic_steps.py` is in a folder inside `code`, so `import clinic_steps` does not find it there. Give the "
            "path of the file, not of the folder around it.",
        )
    _pinned(here / "requirements.txt", {"scikit-learn": flavor.get("sklearn_version"), "skops": _skops_version(here)})
    if not card.get("saved_input_example_info"):
        raise Mistake(
            "no-example",
            "The model has no input example. Whoever calls it has to guess how a row looks. Give `input_example=`.",
        )
    if not card.get("signature"):
        raise Mistake(
            "example-refused",
            "The model has an example and no signature. MLflow makes the signature by sending the example through the model; "
            "when that fails, it only warns, and whoever copies the example gets an error. Read the warning, and give rows "
            "with the columns that the model was fitted on.",
        )


def _skops_version(here: Path) -> str | None:
    """Return the version of skops that wrote the file of a model, read and not loaded."""
    try:
        with zipfile.ZipFile(here / "model.skops") as packed:
            return json.loads(packed.read("schema.json"))["_skops_version"]
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None


def _pinned(path: Path, used: dict[str, Any]) -> None:
    """Tell what is wrong with a list of requirements, beside the versions that made the model."""
    text = text_of(path) if path.is_file() else ""
    lines = [line.split("#")[0].split(";")[0].replace(" ", "") for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("-")]
    ours = {name: line for line in lines for name in ("scikit-learn", "skops") if line.lower().startswith(name)}
    if absent := {"scikit-learn", "skops"} - set(ours):
        raise Mistake(
            "requirements-missing",
            f"`requirements.txt` does not name {listing(sorted(absent))}. Elsewhere the model cannot be loaded without it.",
        )
    if loose := [line for line in ours.values() if "==" not in line or "*" in line]:
        raise Mistake(
            "requirements-open",
            f"{listing(loose)} in `requirements.txt` has no exact version. Next year another one is installed, and nobody is "
            "warned.",
        )
    for name, version in used.items():
        pinned = re.search(r"==(\d[\w.!+]*)", ours[name])
        if version and (not pinned or pinned[1] != version):
            raise Mistake(
                "requirements-other",
                f"`{ours[name]}` is not the version that made this model, {visible(version)}. Another version may load it and "
                "answer otherwise: name the one that you use.",
            )


@cache
def _probabilities(seed: int) -> dict[str, np.ndarray]:
    """Return the given churn model's probabilities for the first five rows asked, and for others taken by mistake."""
    split = data.churn_split(800, seed, numeric=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(split.X_train, split.y_train)
    return {
        "right": model.predict_proba(split.X_test.head(5)),
        "train-rows": model.predict_proba(split.X_train.head(5)),
        "last-rows": model.predict_proba(split.X_test.tail(5)),
    }


def shipped(evidence: Evidence) -> None:
    """Task 3: the answer of ``mlflow.models.predict``, kept with the address of the model."""
    run = evidence.latest_run("hw-portable-check", "check")
    address = evidence.tag(run, "checked_model")
    given = {
        f"models:/{output.model_id}"
        for other in evidence.runs("hw-portable-given")
        for output in (other.outputs.model_outputs if other.outputs else [])
    }
    if address not in given:
        raise Mistake(
            "other-model",
            f"`checked_model` is `{visible(address)}`, which is not the address of a model that the given cell has logged. "
            "A proof names what it proves: use `churn_uri`.",
        )
    path = evidence.artifact(run, "answers.json")
    try:
        answers = np.asarray(json.loads(text_of(path))["predictions"], dtype=float)
    except (ValueError, KeyError, TypeError, OverflowError):
        raise Mistake(
            "answers-format",
            '`answers.json` is not what `mlflow.models.predict` writes, `{"predictions": [...]}`. Give it the file\'s '
            "path as `output_path=`.",
        ) from None
    known = _probabilities(data.course_seed())
    if answers.ndim != 2 or answers.shape[1] != 2:
        raise Mistake(
            "not-probabilities",
            "`answers.json` does not hold two probabilities for each customer, as the model at `churn_uri` gives them. Let "
            "`mlflow.models.predict` ask *that* model, not the one in memory.",
        )
    if len(answers) != 5:
        raise Mistake(
            "row-count", f"`answers.json` holds the answers for {len(answers)} rows. The task asks for the first five."
        )

    def answers_of(rows: str) -> bool:
        return np.allclose(answers, known[rows], atol=1e-3)

    if answers_of("right"):
        return
    if answers_of("train-rows"):
        raise Mistake(
            "train-rows",
            "Those are answers for *training* rows, which the model knows. Send the first five of `asked`.",
        )
    if answers_of("last-rows"):
        raise Mistake("last-rows", "Those are answers for the *last* five rows of `asked`. Send the first five.")
    raise Mistake(
        "other-rows", "Those are answers for other customers. Send the first five rows of `asked`, as they are."
    )


def changed(evidence: Evidence) -> None:
    """Stretch: the one file that differs between two folders."""
    home = evidence.home / "outputs" / _FOLDER
    checked, arrived = home / "checked", home / "arrived"
    if not (checked / "MLmodel").is_file() or not (arrived / "MLmodel").is_file():
        raise NotStarted("The two folders are not there yet: run the given cell first.")
    said = text_of(evidence.file(_FOLDER, "changed.txt")).strip().strip("`'\"")
    if not said:
        raise NotStarted("`changed.txt` is empty.")
    name = re.split(r"[/\\]", said)[-1]
    if name != said and (checked / name).is_file():
        raise Mistake(
            "path-not-name",
            f"`changed.txt` says `{visible(said)}`, a path. Write the name of the file and nothing else.",
        )
    if len(said.split()) > 1 or not (checked / name).is_file():
        raise Mistake(
            "no-such-file",
            f"`changed.txt` says `{visible(said)}`, which is not the name of one file in `checked`. Write the name and nothing "
            "else.",
        )
    if (checked / name).read_bytes() == (arrived / name).read_bytes():
        raise Mistake(
            "file-same",
            f"`{name}` is the same in both folders, to the last byte. Compare the contents and not the times, file by file.",
        )


TASKS = (
    Task(
        "an inbox to read",
        3,
        inbox,
        (
            "Which two calls of the lecture load nothing? Which words of `MLmodel` tell the three kinds?",
            "`mlflow.models.get_model_info(path).flavors` has the flavor `sklearn` with its `serialization_format`, or only "
            "`python_function`; a step without `predict` has no `python_function`, so use `.get`. "
            "`skops.io.get_untrusted_types(file=…)` reads the names.",
            '`skops.io.get_untrusted_types(file=mail / "model.skops")`, then compare as sets: `set(names) <= allowed`.',
        ),
        "Six parcels, none of them opened, and you know which two may be.",
        level="transfer",
    ),
    Task(
        "a module that must travel",
        2,
        travel,
        (
            "What did `alone` lack in the lecture, and which argument gave it to `together`?",
            "`code_paths` takes a list of paths. `skops_trusted_types` takes the names that you have read.",
            "`code_paths=[str(steps_file)]` and "
            "`pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=True)`",
        ),
        "The clinic's step, its packages and an example are all in the folder.",
        level="transfer",
    ),
    Task(
        "check before you ship",
        2,
        shipped,
        (
            "Which environment does `mlflow.models.predict` use when you do not say?",
            '`env_manager="local"` takes the present environment, `output_path=` names the file. Keep the file '
            "with `log_artifact`.",
            '`mlflow.models.predict(churn_uri, asked.head(5), env_manager="local", output_path=str(proof))`',
        ),
        "The proof is in the store, with the address of what it proves.",
        level="warm-up",
    ),
    Task(
        "what was changed on the way?",
        0,
        changed,
        (
            "A fingerprint of a folder tells that something changed. Of what would a fingerprint tell you which file?",
            "`path.read_bytes()` gives the content of one file; both folders have files of the same names.",
        ),
        "One file, found by its bytes.",
        level="transfer",
    ),
)
