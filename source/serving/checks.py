"""Homework: bodies for a model server, a batch as Parquet, a service with rules, latency."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_utils import data
from course_utils._judge.evidence import Evidence, close, listing
from course_utils._judge.mistake import Mistake
from course_utils._judge.reading import json_of, need_columns, numbers_of, parquet_of, text_of, visible, words_of
from course_utils.homework.question import Task

_NAME, _C = "hw-serving-churn", (0.001, 1.0, 0.01)
_FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")


@cache
def _probabilities(seed: int) -> list[dict[str, np.ndarray]]:
    """Return for each registered version the probabilities of tonight's customers and of the test rows."""
    split = data.churn_split(800, seed, numeric=True)
    tonight = data.churn(500, seed + 1).drop(columns="churned").select_dtypes("number")
    found = []
    for C in _C:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=C)).fit(split.X_train, split.y_train)
        found.append(
            {"tonight": model.predict_proba(tonight)[:, 1], "test": model.predict_proba(split.X_test.head(1))[:, 1]}
        )
    return found


def _champion(evidence: Evidence) -> int:
    """Return the number of the champion's version."""
    version = int(evidence.alias(_NAME, "champion").version)
    if version > len(_C):
        raise Mistake(
            "other-version",
            f"`@champion` is version {version}, which the given cell has not made. Run the given cell again, and leave the "
            "alias where it is.",
        )
    return version


def _json(path: Path) -> Any:
    """Return the content of a JSON file of the learner."""
    return json_of(path)


def _judge_table(name: str, got: pd.DataFrame) -> None:
    """Compare a table that a body stands for with the measurements of the three tumours."""
    tumours = data.bundled("breast_cancer")
    right = tumours.sample(3, random_state=data.course_seed()).drop(columns="target")
    if extra := set(got.columns.astype(str)) - set(right.columns):
        raise Mistake(
            "extra-column",
            f"`{name}` sends {listing(extra)}, which the model does not know. Neither the index of the table nor the label is a "
            "feature.",
        )
    if missing := set(right.columns) - set(got.columns):
        raise Mistake("column-missing", f"`{name}` lacks {listing(missing)}, so the server answers 400.")
    if len(got) != len(right):
        raise Mistake("row-count", f"`{name}` has {len(got)} rows; the task asks for three.")
    values = np.column_stack([numbers_of(got, column, name) for column in right.columns])
    if not np.allclose(*(rows[np.lexsort(rows.T)] for rows in (values, right.to_numpy(dtype=float)))):
        ours, theirs = (np.sort(rows, axis=0) for rows in (right.to_numpy(dtype=float), values))
        if any(np.allclose(ours.round(digits), theirs) for digits in range(4)):
            raise Mistake("rounded", f"The values in `{name}` are rounded, so the model is asked about other tumours.")
        raise Mistake("other-rows", f"`{name}` holds other tumours than `three`, or their values in other columns.")


def _form(name: str, body: Any, wanted: str) -> Any:
    """Return what a body says under its form, when it is the wanted one."""
    if isinstance(body, dict) and set(body) == {wanted}:
        return body[wanted]
    if isinstance(body, dict) and set(body) & set(_FORMS):
        raise Mistake("form-wrong", f"`{name}` has the form {listing(body)}; the task asks for `{wanted}`.")
    raise Mistake(
        "form-missing",
        f"`{name}` does not name its form: a body is a dictionary with one key, here `{wanted}`. Without it a server "
        "since MLflow 2 answers 400.",
    )


def bodies(evidence: Evidence) -> None:
    """Task 1: the same table in three forms."""
    split_json = _form("split.json", _json(evidence.file("hw-serving", "split.json")), "dataframe_split")
    if isinstance(split_json, dict) and "index" in split_json:
        raise Mistake(
            "index-sent",
            "`split.json` sends the index of the table, too, and the numbers of its rows are nobody's business but ours. The help of "
            "`to_dict` names an argument that leaves it out.",
        )
    try:
        by_split = pd.DataFrame(split_json["data"], columns=split_json["columns"])
    except (TypeError, KeyError, ValueError, AttributeError, IndexError):
        raise Mistake(
            "split-shape",
            "Under `dataframe_split` the server wants `columns` (the names, once) and `data` (a list of rows). pandas "
            "writes that: look at the values of `orient` in the help of `to_dict`.",
        ) from None
    _judge_table("split.json", by_split)
    inputs = _form("inputs.json", _json(evidence.file("hw-serving", "inputs.json")), "inputs")
    by_row = isinstance(inputs, list) and all(isinstance(row, dict) for row in inputs)
    if not by_row and not (isinstance(inputs, dict) and all(isinstance(values, list) for values in inputs.values())):
        raise Mistake(
            "inputs-shape",
            "Under `inputs` the server reads one list for each *column*, or one dictionary for each row, each with the names "
            "of the columns; a dictionary of indices, or rows without names, it cannot tell apart. pandas writes them: look "
            "at the values of `orient` in the help of `to_dict`.",
        )
    try:
        by_column = pd.DataFrame(inputs)
    except (ValueError, TypeError, AttributeError):
        raise Mistake(
            "row-count",
            "The lists in `inputs.json` have different lengths, so they are not rows of one table. Write them from "
            "the DataFrame.",
        ) from None
    _judge_table("inputs.json", by_column)
    rows = evidence.file("hw-serving", "rows.csv")
    if "," not in (header := text_of(rows).partition("\n")[0]) and (";" in header or "\t" in header):
        raise Mistake(
            "csv-separator",
            "The columns of `rows.csv` are not separated by commas. The server reads plain CSV, and takes such a line for "
            "one column with a long name.",
        )
    _judge_table("rows.csv", evidence.table("hw-serving", "rows.csv", ()))


def batch(evidence: Evidence) -> None:
    """Task 2: the scores of tonight, with the version that made them."""
    champion = _champion(evidence)
    found = parquet_of(evidence.file("hw-serving", "scores.parquet"))
    need_columns(found, ("customer_id", "probability", "version"), "scores.parquet")
    references = _probabilities(data.course_seed())
    right = references[champion - 1]["tonight"]
    ids = numbers_of(found, "customer_id", "scores.parquet", "customer-ids")
    if sorted(ids) != list(range(len(right))):
        raise Mistake(
            "customer-ids",
            f"`customer_id` does not name each of the {len(right)} customers of `tonight` once. Tom calls by this id.",
        )
    got = numbers_of(found, "probability", "scores.parquet")
    expected = ids.astype(int)
    _judge_scores(got, expected, references, champion)
    versions = set(words_of(found, "version"))
    if not all(word.isdigit() for word in versions):
        raise Mistake(
            "version-form",
            f"`version` is {listing(versions)}, which is not the number of a version alone. By an alias, nobody knows later "
            "which version that was, and by anything else nobody finds it: write the number.",
        )
    if versions != {str(champion)}:
        raise Mistake(
            "version-wrong",
            f"`version` is {listing(versions)}, but the alias points at another one. The file must say who made it: "
            "`get_model_version_by_alias`.",
        )


def _judge_scores(got: np.ndarray, ids: np.ndarray, references: list[dict[str, np.ndarray]], champion: int) -> None:
    """Compare scores with those of the champion, and with those of plausible mistakes."""
    right = references[champion - 1]["tonight"]

    def same(values: np.ndarray) -> bool:
        return bool(np.allclose(got, values, atol=1e-6))

    if same(right[ids]):
        return
    if set(got) <= {0.0, 1.0}:
        raise Mistake(
            "labels-not-probabilities",
            "`probability` holds only 0 and 1: predicted labels. Tom calls the riskiest first, so he needs probabilities.",
        )
    if same(100 * right[ids]):
        raise Mistake("percent-not-share", "The probabilities are in percent. A probability lies between 0 and 1.")
    cut = any(np.allclose(got, right[ids].round(digits), atol=1e-9) for digits in range(1, 7))
    if cut or np.allclose(got, right[ids], atol=0.006):
        raise Mistake(
            "rounded", "The probabilities are rounded, so the order of customers is lost. Write full precision."
        )
    if same(1 - right[ids]):
        raise Mistake(
            "wrong-class", "That is the probability to *stay*. Column 1 of `predict_proba` is the class 1, churn."
        )
    for number, reference in enumerate(references, 1):
        if same(reference["tonight"][ids]):
            raise Mistake(
                "stale-version",
                f"These are the scores of version {number}, which is not the champion. Address the model by its alias.",
            )
    if np.allclose(np.sort(got), np.sort(right), atol=1e-6):
        raise Mistake(
            "rows-shuffled",
            "The scores are right, but they stand beside the wrong customers. `tonight` is not sorted: the id of a "
            "row is its index, not its position.",
        )
    raise Mistake(
        "probability-wrong",
        "The probabilities are not those of the champion for `tonight`. Load the model by its alias, and give it "
        "the rows as they are.",
    )


def service(evidence: Evidence) -> None:
    """Task 3: what a service answered to nine requests, and to one after the alias had moved."""
    champion = _champion(evidence)
    run = evidence.latest_run("hw-serving-service", "probe")
    answers = _json(evidence.artifact(run, "answers.json"))
    bad = {"negative": "a negative `tenure_months`"}
    bad |= {
        f"no {name}": f"a customer without `{name}`" for name in data.churn_split(800, 0, numeric=True).X_test.columns
    }
    try:
        status = {name: int(answers[name]["status"]) for name in ("good", "new", *bad)}
        text = str(answers["good"]["text"])
    except (KeyError, TypeError, ValueError):
        raise Mistake(
            "not-probed",
            "`answers.json` does not look as `probe` writes it. Hand your application to the given `probe`.",
        ) from None
    if status["good"] == 404:
        raise Mistake("no-address", "`POST /score` is answered with 404: the application has no such address.")
    if status["good"] == 405:
        raise Mistake(
            "wrong-method", "`/score` exists, but not for POST (405). A customer comes in the body of a POST."
        )
    if status["good"] != 200:
        raise Mistake(
            "good-refused",
            f"The good request is answered with {status['good']}. 422 means that your class asks for something else "
            "than the six columns; 500 that your function raised an error.",
        )
    if status["new"] != 200:
        raise Mistake(
            "zero-refused",
            f"A customer who came today, with 0 months, is answered with {status['new']}. The task refuses "
            "*negative* months only.",
        )
    for name, what in bad.items():
        if status[name] == 200:
            raise Mistake(
                "bad-accepted",
                f"The service answers {what} with 200. A wrong answer looks like a right one: refuse what cannot be.",
            )
        if status[name] >= 500:
            raise Mistake(
                "server-error",
                f"The service answers {what} with {status[name]}, as if it were broken. It is the client's mistake, so "
                "4xx: let the class of the request say what is allowed.",
            )
    try:
        got = float(json.loads(text)["probability"])
    except (ValueError, KeyError, TypeError, OverflowError):
        raise Mistake(
            "answer-shape",
            f"The answer is `{visible(text)}`; the task asks for a dictionary with `probability`, a number, and `version`.",
        ) from None
    _judge_version(text, champion)
    references = _probabilities(data.course_seed())
    wrong = {
        "wrong-class": (
            1 - references[champion - 1]["test"][0],
            "That is the probability to *stay*, so Tom would call the wrong customers. Column 1 is the class 1, churn.",
        )
    }
    for number, reference in enumerate(references, 1):
        if number != champion:
            message = f"That is the answer of version {number}, not of the champion. Load the alias."
            wrong.setdefault(f"stale-version-{number}", (reference["test"][0], message))
    for code, (value, message) in wrong.items():
        if close(got, value) and code != "wrong-class":
            raise Mistake("stale-version", f"`probability` is {got:.4g}. {message}")
    if got in (0.0, 1.0):
        raise Mistake(
            "label-not-probability",
            f"`probability` is {got:g}: a predicted label, cut at 0.5. Tom calls the riskiest first, so the service must "
            "answer with `predict_proba`.",
        )
    Evidence.judge_number(
        "probability", got, references[champion - 1]["test"][0], {"wrong-class": wrong["wrong-class"]}
    )
    _judge_later(answers, references)


def _judge_version(text: str, champion: int) -> None:
    """Tell when an answer does not say which version made it, or names another."""
    said = json.loads(text).get("version")
    if said is None:
        raise Mistake(
            "version-missing",
            "The answer has no `version`. When the alias has moved and the service was not restarted, nobody could tell. "
            "Ask the registry once, when the service starts, and put it into each answer.",
        )
    if not str(said).strip().isdigit():
        raise Mistake(
            "version-form",
            f"The answer says `version` is `{visible(str(said), 40)}`, which is not the number of a version alone. By an alias, "
            "nobody knows later which version answered, and by anything else nobody finds it: answer with the number that the "
            "registry gave you.",
        )
    if str(said).strip() != str(champion):
        raise Mistake(
            "version-wrong",
            f"The answer says `version` is `{visible(str(said), 40)}`, but the alias points at another one. Resolve the "
            "alias, and load the version that you found.",
        )


def _judge_later(answers: dict[str, Any], references: list[dict[str, np.ndarray]]) -> None:
    """Tell when, after the alias has moved, a version is named that did not compute the answer."""
    try:
        status, text = int(answers["later"]["status"]), str(answers["later"]["text"])
    except (KeyError, TypeError, ValueError):
        raise Mistake(
            "not-probed",
            "`answers.json` has no answer from after the alias had moved. Run the given cells again, and hand your "
            "application to `probe`.",
        ) from None
    try:
        said, got = int(json.loads(text)["version"]), float(json.loads(text)["probability"])
    except (ValueError, KeyError, TypeError, OverflowError):
        raise Mistake(
            "late-refused",
            f"After the alias had moved, the good request was answered with {status} and `{visible(text)}`. A promotion must "
            "not take a service down: let it answer, by whichever version it has loaded.",
        ) from None
    if not 1 <= said <= len(references) or not close(got, references[said - 1]["test"][0]):
        raise Mistake(
            "version-late",
            f"After the alias had moved, the answer named version {said}, and another one had computed it. Whoever audits this "
            "answer looks at the wrong model. The number and the model must come from one look at the alias.",
        )


def latency(evidence: Evidence) -> None:
    """Stretch: percentiles that follow from the kept times."""
    run = evidence.latest_run("hw-serving-latency", "python-call")
    count = evidence.number_param(run, "n_requests")
    metrics = {name: evidence.metric(run, name) for name in ("p50_ms", "p95_ms", "p99_ms")}
    times = _json(evidence.artifact(run, "times.json"))
    if not isinstance(times, list) or not all(isinstance(t, int | float) and np.isfinite(t) for t in times):
        raise Mistake(
            "times-shape",
            "`times.json` is not a list of numbers, so no percentile can be taken from it. Write one number per call.",
        )
    if len(times) != 50 or count != len(times):
        raise Mistake(
            "times-count", f"There are {len(times)} times and `n_requests` is {count:g}. The task asks for 50 calls."
        )
    if max(times) < 0.2:
        raise Mistake(
            "unit",
            f"The longest time is {max(times):.2g}. A call of the model takes milliseconds; these look like seconds.",
        )
    if min(times) <= 0 or np.all(np.diff(times) > 0):
        raise Mistake(
            "not-single-times",
            "The times are not those of single calls: they grow from call to call. Start the clock anew for each.",
        )
    if len(set(times)) == 1:
        raise Mistake(
            "times-averaged",
            "All times are the same, so they are a mean that was written down often. The slow calls are lost in it: measure "
            "each call on its own.",
        )
    for name, value in metrics.items():
        if _is_percentile(times, name, value):
            continue
        if close(value, float(np.mean(times))):
            raise Mistake("mean-not-percentile", f"`{name}` is the mean of the times, which hides the slow ones.")
        if other := next((other for other in metrics if _is_percentile(times, other, value)), None):
            raise Mistake(
                "percentiles-exchanged", f"`{name}` is what `{other}` should be. Compare which number is which."
            )
        raise Mistake("percentile-wrong", f"`{name}` does not follow from the times that you kept.")


def _is_percentile(times: list[float], name: str, value: float) -> bool:
    """Tell whether a value is the percentile of its name, however it is taken between two times."""
    right, low, high = (
        float(np.percentile(times, int(name[1:3]), method=way)) for way in ("linear", "lower", "higher")
    )
    return low <= value <= high or abs(value - right) < 0.05 * right


TASKS = (
    Task(
        "one table, three bodies",
        2,
        bodies,
        (
            "What is the one key of each body, and what stands under it: rows or columns?",
            "`DataFrame.to_dict` has an argument `orient`, and two of its values give the two shapes; `json.dumps` makes text "
            "of them. A CSV for a model has no index.",
            "Write `json.dumps({form: table})` into each JSON file, where `form` is the key from the task.",
        ),
        "A server makes the same table of all three.",
        level="transfer",
    ),
    Task(
        "a nightly batch",
        2,
        batch,
        (
            "Which address stays the same when Aisha promotes another version?",
            "`client.get_model_version_by_alias` says which version it is; `models:/hw-serving-churn/{version}` loads it. "
            "Column 1 of the prediction is churn.",
            '`pd.DataFrame({"customer_id": tonight.index, "probability": champion.predict(tonight)[:, 1]})`',
        ),
        "Every score stands beside its customer and its version.",
    ),
    Task(
        "a service with rules",
        2,
        service,
        (
            "Which line of the lecture's service decides what a customer must look like?",
            "A `BaseModel` with one `float` a column; `Field(ge=0)` allows zero and more. The function takes it as "
            "its argument.",
            '`@app.post("/score")` above `def score(customer: Customer):`, then `probe(app)`.',
        ),
        "Wrong requests never reach the model, and each answer names the version that computed it.",
    ),
    Task(
        "how long one answer takes",
        0,
        latency,
        (
            "Where does the clock start, and where does it stop: inside or outside the loop?",
            "`time.perf_counter()` gives seconds; `np.percentile(times, [50, 95, 99])` gives all three.",
        ),
        "You know what one in a hundred users feels.",
    ),
)
