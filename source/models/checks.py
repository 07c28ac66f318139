"""Homework 08: a model by hand, one with its own threshold, a check before shipping, cards read before loading."""

from __future__ import annotations

import ast
import json
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from course_utils import data
from course_utils.homework.evidence import Evidence, listing, read_card
from course_utils.homework.mistake import Mistake, NotStarted
from course_utils.homework.question import Task
from course_utils.homework.reading import frame_of, guarded, json_of, labels_of, number, numbers_of, text_of, visible

_WORDS = ["contract", "internet", "payment"]
_THRESHOLD = 0.4
#: What a scikit-learn model in skops format may need; a guessed list holds much more.
_CLEANING = {
    "contract",
    "strip",
    "lower",
    "casefold",
    "capitalize",
    "title",
    "replace",
    "map",
    "applymap",
    "apply",
    "sub",
}
_NEEDED = {"mlflow", "scikit-learn", "skops", "numpy", "pandas", "scipy"}


@cache
def _probabilities(seed: int) -> dict[str, np.ndarray]:
    """Return the churn probabilities of the test rows: from clean and from messy contract names."""
    split = data.churn_split(800, seed)
    numbers = list(split.X_train.select_dtypes("number"))
    prepare = make_column_transformer((StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), _WORDS))
    model = make_pipeline(prepare, LogisticRegression(max_iter=500)).fit(split.X_train, split.y_train)
    messy = split.X_test.assign(contract=split.X_test["contract"].str.upper() + " ")
    return {"clean": model.predict_proba(split.X_test)[:, 1], "messy": model.predict_proba(messy)[:, 1]}


def _same(a: Any, b: np.ndarray) -> bool:
    """Tell whether two columns of probabilities agree."""
    return len(a) == len(b) and bool(np.allclose(a, b, atol=1e-3))


def _named(evidence: Evidence, run: Any, name: str) -> tuple[Any, dict[str, Any]]:
    """Return the newest model of a run and its ``MLmodel``, when it has the right name."""
    model = evidence.models(run)[-1]
    if model.name != name:
        raise Mistake(
            "model-name",
            f"The model is called `{visible(model.name)}`; the task asks for `{name}`. Whoever looks for it looks by name.",
        )
    return model, evidence.mlmodel(model)


def _inputs(card: dict[str, Any]) -> dict[str, str]:
    """Return the input columns of a signature with their types."""
    signature = card.get("signature")
    if not signature or not signature.get("inputs"):
        raise Mistake(
            "no-signature",
            "The model has no signature, so it takes any table, wrong columns included, and fails late or not at all. "
            "Give `input_example=`, or `signature=` from `infer_signature`.",
        )
    return guarded(
        lambda: {str(column.get("name", "")): str(column["type"]) for column in json.loads(signature["inputs"])},
        "no-signature",
        "The signature does not name columns with types, so it cannot refuse a wrong table. Make it from rows of the table.",
    )


def by_hand(evidence: Evidence) -> None:
    """Task 1: format, signature, example and requirements of one model."""
    run = evidence.latest_run("hw-models-models", "by-hand")
    model, card = _named(evidence, run, "churn_forest")
    flavor = card["flavors"].get("sklearn", {})
    if flavor.get("serialization_format") != "skops":
        raise Mistake(
            "pickle-format",
            f"The model's format is `{flavor.get('serialization_format', 'not from scikit-learn')}`, which may run "
            "code when it is loaded. Leave `serialization_format` out and name the types that you trust.",
        )
    inputs = _inputs(card)
    if integers := [name for name, kind in inputs.items() if kind in ("long", "integer")]:
        raise Mistake(
            "integer-column",
            f"The signature calls {listing(integers)} an integer. One missing value makes such a column a float, which "
            "the model would then refuse. Turn the table that MLflow sees into floats.",
        )
    split = data.churn_split(800, data.course_seed(), numeric=True)
    if set(inputs) != set(split.X_train.columns):
        raise Mistake(
            "signature-columns",
            f"The signature names {listing(inputs)}, which are not the columns that the forest was trained on. "
            "Show MLflow rows of `table`.",
        )
    _example_and_requirements(evidence, model, card, wanted=(3,))
    if card["flavors"].get("python_function", {}).get("predict_fn") != "predict_proba":
        raise Mistake(
            "labels-not-probabilities",
            "As pyfunc, the model does not answer with the probabilities of `predict_proba`, but with labels cut at "
            "0.5, or not at all. The task asks for probabilities.",
        )


def _example_and_requirements(evidence: Evidence, model: Any, card: dict[str, Any], wanted: Collection[int]) -> None:
    """Tell what is wrong with the example rows and the requirements of a model."""
    here = evidence.local(model.artifact_location)
    if not card.get("saved_input_example_info") or not (here / "input_example.json").is_file():
        raise Mistake(
            "no-example",
            "The model has no input example. Whoever calls it has to guess how a row looks. Give `input_example=`.",
        )
    example = json_of(here / "input_example.json", "no-example")
    rows = len(
        guarded(
            lambda: frame_of(example),
            "example-shape",
            "The input example is not a table of rows and columns. Whoever reads it cannot see how a request looks: give "
            "rows of the table.",
        )
    )
    if rows not in wanted:
        raise Mistake(
            "example-rows",
            f"The input example has {rows} rows; the task asks for three. These are customers, and the example travels with "
            "the model to everyone: as many as asked, and no more.",
        )
    lines = _requirements(here / "requirements.txt")
    names = {line.split("==")[0].split(">")[0].split("<")[0].split("~")[0].lower() for line in lines}
    if absent := {"scikit-learn", "skops"} - names:
        raise Mistake(
            "requirements-missing",
            f"`requirements.txt` does not name {listing(absent)}. Elsewhere the file cannot be read without it.",
        )
    if loose := [line for line in lines if "==" not in line]:
        raise Mistake(
            "requirements-open",
            f"{listing(loose)} in `requirements.txt` has no exact version. Next year another one is installed, and the "
            "file may not load. Write `==`.",
        )
    if extra := names - _NEEDED:
        raise Mistake(
            "requirements-guessed",
            f"`requirements.txt` names {listing(extra, 4)}, which a forest does not need. Guessed requirements cost "
            "seconds at each call, and megabytes wherever the model goes. Give `pip_requirements=`.",
        )


def _requirements(path: Path) -> list[str]:
    """Return the packages of a requirements file, without comments, blanks and options."""
    if not path.is_file():
        raise Mistake("requirements-missing", "The model has no `requirements.txt`, so nobody knows what it needs.")
    lines = (line.split("#")[0].split(";")[0].replace(" ", "") for line in text_of(path).splitlines())
    return [line for line in lines if line and not line.startswith("-")]


def _judge_code(evidence: Evidence, model: Any, flavor: dict[str, Any]) -> None:
    """Look whether the code of the model reads the threshold and cleans the names; it is not run."""
    name = Path(str(flavor["model_code_path"])).name
    try:
        tree = ast.parse(text_of(evidence.local(model.artifact_location) / name))
    except (SyntaxError, ValueError):
        raise Mistake(
            "code-broken", f"`{visible(name)}` in the model is no valid Python. Log the model again."
        ) from None
    words = {
        getattr(node, field) for node in ast.walk(tree) for field in ("id", "attr", "name") if hasattr(node, field)
    }
    words |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    if not words & {"model_config", "ModelConfig"}:
        raise Mistake(
            "threshold-in-code",
            f"`{name}` never reads `model_config`, so the threshold that `MLmodel` shows is not the one that decides: who "
            "overrules it changes nothing. Take it from the context.",
        )
    if not words & _CLEANING:
        raise Mistake(
            "cleaned-outside",
            f"`{name}` does nothing to the contract names: you cleaned them before the call. The next caller sends them as "
            "they are, and gets wrong probabilities without an error. Clean inside `predict`.",
        )


def caller(evidence: Evidence) -> None:
    """Task 2: a pyfunc from code, with pipeline and threshold inside, and its answers."""
    run = evidence.latest_run("hw-models-caller", "caller")
    model, card = _named(evidence, run, "caller")
    flavor = card["flavors"].get("python_function", {})
    if "python_model" in flavor:
        raise Mistake(
            "object-pickled",
            "The model is a pickled Python object. It runs code when it is loaded, and breaks with another version of "
            "Python. Pass the path of the file as `python_model=`; the file ends with `mlflow.models.set_model(...)`.",
        )
    if "model_code_path" not in flavor:
        raise Mistake(
            "not-from-code",
            "The model was not made from a file of code. Give `mlflow.pyfunc.log_model` the path as `python_model=`.",
        )
    if "pipeline" not in (flavor.get("artifacts") or {}):
        raise Mistake(
            "pipeline-outside",
            f"The model holds no artifact `pipeline` (it has {listing(flavor.get('artifacts') or ()) or 'none'}). "
            "It works here, where it finds the pipeline elsewhere, and nowhere else. Give it as `artifacts=`.",
        )
    config = flavor.get("config") or {}
    if not isinstance(config, dict) or "threshold" not in config:
        raise Mistake(
            "threshold-outside",
            "`MLmodel` says nothing of a `threshold`, so nobody can read or overrule it. Give it as `model_config=`.",
        )
    if config["threshold"] != _THRESHOLD:
        seen = visible(config["threshold"], 40)
        kind = ", a word and no number" if isinstance(config["threshold"], str) else ""
        raise Mistake("threshold-value", f"The model's threshold is `{seen}`{kind}. Where does Tom begin?")
    _judge_code(evidence, model, flavor)
    _inputs(card)
    _example_and_requirements(evidence, model, card, wanted=range(1, 6))
    _judge_calls(evidence.table("hw-models", "calls.csv", ("probability", "call")))


def _judge_calls(found: pd.DataFrame) -> None:
    """Compare the written answers with ours, and with those of plausible mistakes."""
    reference = _probabilities(data.course_seed())
    right = reference["clean"]
    if len(found) != len(right):
        raise Mistake(
            "row-count", f"`calls.csv` has {len(found)} rows, `messy` has {len(right)}. Predict every customer once."
        )
    got = numbers_of(found, "probability", "calls.csv")
    if _same(got, reference["messy"]):
        raise Mistake(
            "not-cleaned",
            "These are the probabilities of customers with *no known contract*: the encoder ignores names that it has "
            "not seen, without an error. Clean the names before the pipeline sees them: case and blanks.",
        )
    if _same(got, 1 - right):
        raise Mistake(
            "wrong-class", "That is the probability to *stay*. Column 1 of `predict_proba` is the class 1, churn."
        )
    if set(got) <= {0.0, 1.0}:
        raise Mistake(
            "labels-not-probabilities",
            "`probability` holds only 0 and 1: predicted labels, cut at 0.5. Ask the pipeline for probabilities.",
        )
    if not _same(got, right) and _same(np.sort(got), np.sort(right)):
        raise Mistake(
            "rows-shuffled",
            "The probabilities are right, but not in the order of `messy`: Tom would call the wrong people.",
        )
    if not _same(got, right):
        raise Mistake(
            "probability-wrong",
            "The probabilities are not those of the given pipeline for `messy`. Are the rows in the order of `messy`?",
        )
    call = labels_of(found, "call", {0: ["false", "no"], 1: ["true", "yes"]}, "calls.csv").astype(bool)
    if (call == (right >= 0.5)).all():
        raise Mistake("threshold-default", "`call` is cut at 0.5, nobody's decision. Use the model's threshold.")
    if not (call == (right >= _THRESHOLD)).all():
        raise Mistake("call-wrong", "`call` does not say which probabilities reach the threshold. Compare them.")


def shipped(evidence: Evidence) -> None:
    """Task 3: the answer of ``mlflow.models.predict``, kept with the address of the model."""
    run = evidence.latest_run("hw-models-check", "check")
    address = evidence.tag(run, "checked_model")
    given = {
        f"models:/{output.model_id}"
        for other in evidence.runs("hw-models-given")
        for output in (other.outputs.model_outputs if other.outputs else [])
    }
    if address not in given:
        raise Mistake(
            "other-model",
            f"`checked_model` is `{visible(address)}`, which is not the address of a model that the given cell has logged. "
            "A proof names what it proves: use `pipeline_uri`.",
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
    right = _probabilities(data.course_seed())["clean"][:5]
    if answers.shape != (5, 2) or not _same(answers[:, 1], right):
        raise Mistake(
            "other-rows",
            f"The answers have the shape {answers.shape} or are for other customers. Send the first five rows of "
            "`split.X_test`, as they are.",
        )


def inbox(evidence: Evidence) -> None:
    """Stretch: format and trusted types of three models, from their cards."""
    found = evidence.table("hw-models", "inbox.csv", ("model", "format", "trusted"))
    cards = {}
    for file in (evidence.home / "outputs/hw-models/inbox").glob("*/MLmodel"):
        cards[file.parent.name] = read_card(file.parent, file.parent.name)["flavors"].get("sklearn", {})
    if not cards:
        raise NotStarted("The inbox is empty: run the given cell first.")
    found["model"] = found["model"].astype(str).str.strip()
    if sorted(found["model"]) != sorted(cards):
        raise Mistake(
            "inbox-rows",
            f"`inbox.csv` has the models {listing(found['model'])}; the inbox has {listing(cards)}, one row each.",
        )
    for _, row in found.iterrows():
        flavor = cards[str(row["model"])]
        if str(row["format"]).strip() != flavor.get("serialization_format"):
            raise Mistake(
                "format-wrong",
                f"The format of `{row['model']}` is not `{visible(row['format'])}`. It stands in `MLmodel`, in the flavor "
                "`sklearn`, as `serialization_format`.",
            )
        trusted = number(row["trusted"], f"`trusted` of `{row['model']}`", "trusted-wrong")
        if trusted != len(flavor.get("skops_trusted_types") or []):
            raise Mistake(
                "trusted-wrong",
                f"`{row['model']}` does not ask for {trusted:g} types. Count `skops_trusted_types`.",
            )


TASKS = (
    Task(
        "a model by hand",
        2,
        by_hand,
        (
            "Which four steps did the lecture's first round take? Which argument of `log_model` belongs to each?",
            "The signature comes from what you show MLflow: an example of floats gives a signature of floats. The "
            "types come from `skops.io.get_untrusted_types(data=skops.io.dumps(forest))`.",
            "`pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=True)`",
        ),
        "Everything that a stranger needs to run your model is in its folder.",
    ),
    Task(
        "preprocessing and threshold inside",
        3,
        caller,
        (
            "Which two methods did the lecture's class have, and what is each for?",
            "`load_context` takes the pipeline from `context.artifacts` and the threshold from `context.model_config`; "
            "`predict` cleans, asks the pipeline, compares.",
            '`mlflow.pyfunc.log_model(name="caller", python_model=folder / "caller.py", artifacts={"pipeline": '
            "pipeline_uri}, model_config={...}, input_example=messy.head(3), ...)`",
        ),
        "No message beside the model is needed any more.",
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
            '`mlflow.models.predict(pipeline_uri, split.X_test.head(5), env_manager="local", output_path=str(proof))`',
        ),
        "A check that is not kept is a rumour; yours is in the store.",
        level="warm-up",
    ),
    Task(
        "read before you load",
        0,
        inbox,
        (
            "Which file of a model folder is its table of contents?",
            '`mlflow.models.get_model_info(path).flavors["sklearn"]` is a dictionary, and nothing has been loaded.',
        ),
        "You know what is in three parcels without opening one.",
        level="transfer",
    ),
)
