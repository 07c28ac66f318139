"""Homework of models: a model by hand, one with cleaning and threshold inside, three folders read, a rule with hints."""

from __future__ import annotations

import ast
import json
from collections.abc import Collection
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from course_utils import data
from course_utils._judge.evidence import Evidence, listing, read_card
from course_utils._judge.mistake import Mistake, NotStarted
from course_utils._judge.reading import frame_of, guarded, json_of, labels_of, number, numbers_of, text_of, visible
from course_utils.homework.question import Task

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
    if card["saved_input_example_info"].get("params") and isinstance(example, dict):  # rows and parameters
        example = example.get("inputs")
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
            f"The input example has {rows} rows; the task asks for {'three' if wanted == (3,) else 'one to five'}. These are "
            "customers, and the example travels with the model to everyone: as many as asked, and no more.",
        )
    lines = _requirements(here / "requirements.txt")
    names = {line.split("==")[0].split(">")[0].split("<")[0].split("~")[0].lower() for line in lines}
    if absent := {"scikit-learn", "skops"} - names:
        raise Mistake(
            "requirements-missing",
            f"`requirements.txt` does not name {listing(absent)}. Elsewhere the file cannot be read without it.",
        )
    if loose := [line for line in lines if "==" not in line or "*" in line]:
        raise Mistake(
            "requirements-open",
            f"{listing(loose)} in `requirements.txt` has no exact version. Next year another one is installed, and the "
            "file may not load. Write `==`.",
        )
    made_with = {f"{name}=={metadata.version(name)}" for name in ("scikit-learn", "skops")}
    if other := sorted(
        line for line in lines if line.lower().startswith(("scikit-learn", "skops")) and line not in made_with
    ):
        raise Mistake(
            "requirements-other",
            f"{listing(other)} is not the version that wrote the file: {listing(sorted(made_with))}. Elsewhere the file may not "
            "load.",
        )
    if extra := names - _NEEDED:
        raise Mistake(
            "requirements-extra",
            f"`requirements.txt` names {listing(extra, 4)}, which the task does not ask for. Each package goes wherever the "
            "model goes, and can be the one that does not install there. Did MLflow find the list by itself (which also costs "
            "seconds at each call), or did you add it? Name in `pip_requirements=` what the model needs, and no more.",
        )


def _requirements(path: Path) -> list[str]:
    """Return the packages of a requirements file, without comments, blanks and options."""
    if not path.is_file():
        raise Mistake("requirements-missing", "The model has no `requirements.txt`, so nobody knows what it needs.")
    lines = (line.split("#")[0].split(";")[0].replace(" ", "") for line in text_of(path).splitlines())
    return [line for line in lines if line and not line.startswith("-")]


def _code(evidence: Evidence, model: Any, flavor: dict[str, Any]) -> tuple[str, ast.AST]:
    """Return the name of the model's file of code, and what stands in it; it is not run."""
    name = Path(str(flavor["model_code_path"])).name
    try:
        return name, ast.parse(text_of(evidence.local(model.artifact_location) / name))
    except (SyntaxError, ValueError):
        raise Mistake(
            "code-broken", f"`{visible(name)}` in the model is no valid Python. Log the model again."
        ) from None


def _judge_code(evidence: Evidence, model: Any, flavor: dict[str, Any]) -> None:
    """Look whether the code of the model reads the threshold and cleans the names; it is not run."""
    name, tree = _code(evidence, model, flavor)
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
            "not-cleaned-inside",
            f"`{name}` does nothing to the contract names, wherever else they may be cleaned. The next caller sends them as the "
            "call centre writes them, and gets wrong probabilities without an error. Clean inside `predict`.",
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
    _judge_calls(evidence.table("hw-models", "calls.csv", ("probability", "call"), others=("cards.csv",)))


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


def folders(evidence: Evidence) -> None:
    """Task 3: what three signatures demand and what three models answer, from their cards."""
    found = evidence.table("hw-models", "cards.csv", ("model", "must_have", "answers"), others=("calls.csv",))
    cards = {}
    for file in (evidence.home / "outputs/hw-models/inbox").glob("*/MLmodel"):
        cards[file.parent.name] = read_card(file.parent, file.parent.name)
    if not cards:
        raise NotStarted("The inbox is empty: run the given cell first.")
    found["model"] = found["model"].astype(str).str.strip()
    if sorted(found["model"]) != sorted(cards):
        raise Mistake(
            "inbox-rows",
            f"`cards.csv` has the models {listing(found['model'])}; the inbox has {listing(cards)}, one row each.",
        )
    for _, row in found.iterrows():
        name, card = str(row["model"]), cards[str(row["model"])]
        columns = json.loads(card["signature"]["inputs"]) if card.get("signature") else []
        _judge_count(name, number(row["must_have"], f"`must_have` of `{name}`", "must-have-wrong"), columns)
        said = str(row["answers"]).strip().lower()
        if said not in ("labels", "probabilities"):
            raise Mistake(
                "answers-word",
                f"`answers` of `{name}` is `{visible(said)}`; the task asks for one of the words `labels` and `probabilities`.",
            )
        function = card["flavors"]["python_function"]["predict_fn"]
        if (said == "probabilities") != (function == "predict_proba"):
            raise Mistake(
                "labels-not-probabilities",
                f"Loaded as pyfunc, `{name}` does not answer with {said}. The flavor `python_function` in `MLmodel` names "
                "the method that is called.",
            )


def _judge_count(name: str, got: float, columns: list[dict[str, Any]]) -> None:
    """Compare the number of columns that a model is said to demand with its signature."""
    demanded = sum(column["required"] for column in columns)
    if got == demanded:
        return
    if not columns:
        raise Mistake(
            "no-signature",
            f"`{name}` has no signature, so it demands nothing, and `must_have` is not {got:g}. What its pipeline was "
            "trained on is another question.",
        )
    if got == 0:
        raise Mistake(
            "signature-overlooked",
            f"`{name}` does have a signature, and it demands columns. Read `signature` in its `MLmodel`.",
        )
    if got == len(columns):
        raise Mistake(
            "optional-counted",
            f"The signature of `{name}` *names* {got:g} columns, but not all of them must be there: look at `required` of each.",
        )
    if got == len(columns) - demanded:
        raise Mistake(
            "optional-counted",
            f"So many columns of `{name}` may be *left out*. The task asks how many must be there.",
        )
    raise Mistake(
        "must-have-wrong",
        f"`must_have` of `{name}` is {got:g}, which is not the number of columns that its signature demands. Count them in "
        "its own `MLmodel`.",
    )


def rule(evidence: Evidence) -> None:
    """Stretch: a signature that comes from the type hints of ``predict``."""
    run = evidence.latest_run("hw-models-rule", "rule")
    model, card = _named(evidence, run, "rule")
    flavor = card["flavors"].get("python_function", {})
    if "model_code_path" not in flavor:
        raise Mistake(
            "not-from-code",
            "The model was not made from a file of code. Give `mlflow.pyfunc.log_model` the path as `python_model=`.",
        )
    if not (card.get("signature") or {}).get("inputs"):
        raise Mistake(
            "no-signature",
            "The model has no signature, so the hints of `predict` do not say enough. MLflow understands a list of a class "
            "that names its fields with their types.",
        )
    if not card.get("is_signature_from_type_hint"):
        raise Mistake(
            "signature-from-example",
            "The signature comes from an example or was given by hand. Here it shall come from the type hints of "
            "`predict` alone: leave the two arguments out.",
        )
    inputs = guarded(lambda: json.loads(card["signature"]["inputs"]), "no-signature", "The signature cannot be read.")
    fields = inputs[0].get("properties", {}) if inputs and isinstance(inputs[0], dict) else {}
    if "mean_radius" not in fields:
        raise Mistake(
            "signature-columns",
            f"The signature names {listing(fields) or 'no fields'}; a caller of this rule sends `mean_radius`.",
        )
    if fields["mean_radius"].get("type") in ("long", "integer"):
        raise Mistake(
            "integer-column",
            "The signature calls `mean_radius` an integer, so a radius of 14.5 is refused. It is a decimal number.",
        )
    answers = str(card["signature"].get("outputs") or "any")  # a hint on the answer is not asked for
    if "boolean" not in answers and "any" not in answers:
        raise Mistake(
            "answers-not-true",
            "The signature promises other answers than true and false, which the task asks for. Mend the hint of what "
            "`predict` returns, and what it returns.",
        )
    _judge_rule(_code(evidence, model, flavor)[1])


def _judge_rule(tree: ast.AST) -> None:
    """Look at a comparison with 15 that is itself the answer; what is written in another way is not judged."""
    for node in ast.walk(tree):
        answer = getattr(node, "elt", None)
        if not isinstance(answer, ast.Compare) or len(answer.ops) != 1:
            continue
        op, right = type(answer.ops[0]), answer.comparators[0]
        if isinstance(right, ast.Constant) and right.value == 15 and op is not ast.GtE:
            raise Mistake(
                "rule-other",
                "The comparison in the file is another one than the task's rule: whom does it look at again, and does the "
                "tumour on the limit belong to them?",
            )


TASKS = (
    Task(
        "a model by hand",
        2,
        by_hand,
        (
            "Which arguments did `log_model` get in the lecture's first round, and what is each for? Which pitfall is about labels?",
            "The signature comes from what you show MLflow: an example of floats gives a signature of floats. The "
            "types come from `skops.io.get_untrusted_types(data=skops.io.dumps(forest))`.",
            "`pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=True)`",
        ),
        "Everything that a stranger needs to run your model is in its folder.",
    ),
    Task(
        "cleaning and threshold inside",
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
        "three folders from the clinic",
        2,
        folders,
        (
            "Which file of a model folder is its table of contents? How did the lecture read it without loading the model?",
            "`mlflow.models.get_model_info(path)` has `flavors` and `signature`; a signature that is not there is `None`. Each of "
            "`signature.inputs.inputs` knows whether it is `required`.",
            '`card.flavors["python_function"]["predict_fn"]` and '
            "`sum(column.required for column in card.signature.inputs.inputs)`",
        ),
        "You know how to ask three models, and have loaded none.",
        level="transfer",
    ),
    Task(
        "a signature without an example",
        0,
        rule,
        (
            "Where did the lecture's `TomsRule` get its signature from?",
            "A class that inherits from `pydantic.BaseModel` names the field with its type; `predict` takes a list of it.",
        ),
        "The hints in the code are the contract, and MLflow checks them at each call.",
        level="transfer",
    ),
)
