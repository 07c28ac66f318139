"""Homework `capstone`: a project of one's own, judged by what its store holds and how the parts hang together."""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from course_utils._judge.evidence import Evidence, close, listing, nearest
from course_utils._judge.mistake import Mistake, NotStarted
from course_utils._judge.reading import csv_of, fail, json_of, need_columns, number, numbers_of, text_of, visible
from course_utils.homework.question import Task

_PROJECT = "hw-capstone-project"
_MODEL = "hw-capstone-model"
_STAND_IN = "hw-capstone-stand-in"
_MIN_CHILDREN = 6
_MIN_WINDOWS = 3
_MIN_WORDS = 120
_HEADINGS = ("Question", "Data", "Result", "Limits")


def _walk(parts: Iterable[tuple[str, Callable[[], None]]]) -> None:
    """Check one part after another; the first that fails is told together with what is there and what is still to come."""
    parts, there = list(parts), []
    for label, check in parts:
        try:
            check()
        except Mistake as mistake:
            if isinstance(mistake, NotStarted) and not there:
                raise
            code = "part-missing" if isinstance(mistake, NotStarted) else mistake.code
            rest = [name for name, _ in parts[len(there) + 1 :]]
            after = f" Not looked at yet: {', '.join(rest)}." if rest else ""
            fail(code, f"There: {', '.join(there) or 'nothing yet'}. Not there yet: {label}. {mistake}{after}")
        there.append(label)


def _run(evidence: Evidence, name: str) -> Run:
    """Return the newest run of that name; runs of other stations in the same experiment are no misspelling of it."""
    try:
        return evidence.latest_run(_PROJECT, name, others=("churn-project",))  # the lecture's runs have the same names
    except Mistake as mistake:
        names = {run.info.run_name for run in evidence.runs(_PROJECT)} if mistake.code == "run-name" else {name}
        if nearest(name, names):
            raise
    raise NotStarted(f"No run is called `{name}` yet.")


def _unit(value: float, name: str) -> float:
    """Return a number that must lie between 0 and 1."""
    if not 0 <= value <= 1:
        fail(
            "share-not-unit",
            f"`{name}` is {value:g}. A share or an area lies between 0 and 1, so this is something else.",
        )
    return value


def _digests(run: Run, context: str) -> set[str]:
    """Return the digests of the data sets that a run used in a context."""
    inputs = run.inputs.dataset_inputs if run.inputs else []
    return {
        i.dataset.digest for i in inputs if any(t.key == "mlflow.data.context" and t.value == context for t in i.tags)
    }


def _stand_ins(evidence: Evidence) -> set[str]:
    """Return the ids of the runs that the given cell of task 4 has made."""
    given = evidence.client.get_experiment_by_name(_STAND_IN)
    return {run.info.run_id for run in evidence.runs(_STAND_IN)} if given else set()


def _version(evidence: Evidence, stand_ins: set[str]) -> Any:
    """Return the champion or, when there is none or only the stand-in, the newest version that the gate has refused."""
    aliases = evidence.registered(_MODEL).aliases
    if "champion" not in aliases or evidence.alias(_MODEL, "champion").run_id in stand_ins:
        for version in evidence.versions(_MODEL):
            if version.tags.get("gate") == "refused":
                return version
    return evidence.alias(_MODEL, "champion")


# ---- task 1 ---------------------------------------------------------------------------------------------------------


def start(evidence: Evidence) -> None:
    """Task 1: question, data and baseline."""

    def run() -> Run:
        return _run(evidence, "exploration")

    def question() -> None:
        text = evidence.tag(run(), "question")
        if len(text.split()) < 6 or "?" not in text:
            fail(
                "question-short",
                f"The tag `question` is `{visible(text)}`. Six words or more and a question mark: a project without a question "
                "cannot say at the end whether it was answered.",
            )

    def data_set() -> None:
        if not (run().inputs and run().inputs.dataset_inputs):
            fail(
                "dataset-missing",
                "The run `exploration` names no data set. Without its digest nobody can tell later whether the rows have "
                "changed: `mlflow.log_input(mlflow.data.from_pandas(…), context=…)`.",
            )
        if evidence.number_param(run(), "n_rows") < 50:
            fail("rows-few", "With fewer than 50 rows every score is noise. Choose a larger table.")
        share = _unit(evidence.metric(run(), "positive_share"), "positive_share")
        if share in (0, 1):
            fail("one-class", f"`positive_share` is {share:g}: all rows have one class, so there is nothing to learn.")

    def picture() -> None:
        if not evidence.artifacts(run()):
            fail(
                "artifact-missing",
                "The run `exploration` holds no file. Keep what you looked at, a table or a figure: a reader wants to see "
                "it before the scores.",
            )

    def baseline() -> None:
        first = _run(evidence, "baseline")
        evidence.param(first, "model")
        _unit(evidence.metric(first, "valid_auc"), "valid_auc")
        if not _digests(first, "validation"):
            fail(
                "rows-unnamed",
                'The run `baseline` does not say on which rows it was scored. Log them with `context="validation"`: '
                "scores on different rows cannot be compared.",
            )

    _walk(
        [
            ("run exploration", run),
            ("question", question),
            ("data set", data_set),
            ("file", picture),
            ("baseline", baseline),
        ]
    )


# ---- task 2 ---------------------------------------------------------------------------------------------------------


def search(evidence: Evidence) -> None:
    """Task 2: a search whose attempts are children of one run."""

    def parent() -> Run:
        return _run(evidence, "search")

    def finished() -> list[Run]:
        return [child for child in evidence.children(parent()) if child.info.status == "FINISHED"]

    def children() -> None:
        if len(finished()) < _MIN_CHILDREN:
            fail(
                "children-few",
                f"The run `search` has {len(finished())} finished child runs; the task asks for {_MIN_CHILDREN} or more. "
                "Attempts that are not recorded cannot be compared: `start_run(nested=True)` inside the parent.",
            )
        for child in finished():
            _unit(evidence.metric(child, "valid_auc"), "valid_auc")
        if len({json.dumps(child.data.params, sort_keys=True) for child in finished()}) < len(finished()):
            fail(
                "children-alike",
                "Two children have the same parameters, so nobody can say what was tried in them. Record each setting that "
                "differs, and start no attempt twice.",
            )

    def same_rows() -> None:
        rows = [_digests(child, "validation") for child in finished()]
        if not all(rows):
            fail(
                "rows-unnamed",
                'A child does not say on which rows it was scored: `log_input(…, context="validation")`.',
            )
        if len(set.union(*rows)) > 1:
            fail("other-rows", "The children were scored on different rows, so the best may have had the easiest ones.")

    def budget() -> None:
        said = evidence.number_param(parent(), "n_trials")
        if said != len(finished()):
            fail(
                "budget-differs",
                f"`n_trials` says {said:g}, and {len(finished())} children have finished. The best of 50 is luckier than the best "
                "of 5, so the number must be true.",
            )

    def best() -> None:
        top = max(evidence.metric(child, "valid_auc") for child in finished())
        said = evidence.metric(parent(), "best_valid_auc")
        if not close(said, top):
            fail(
                "best-not-best",
                f"`best_valid_auc` is {said:.4f}, and no child or another one has it: the best child has another score. Read "
                "it from the children in the store.",
            )

    def winner() -> None:
        marked = [child for child in finished() if child.data.tags.get("winner") == "yes"]
        if len(marked) != 1:
            fail(
                "winner-count",
                f"{len(marked)} children have the tag `winner` = `yes`; it should be one, so that a reader finds the choice.",
            )
        if not close(evidence.metric(marked[0], "valid_auc"), max(evidence.metric(c, "valid_auc") for c in finished())):
            fail("winner-wrong", "The child with the tag `winner` is not the one with the highest `valid_auc`.")

    parts = {"run search": parent, "children": children, "same rows": same_rows, "budget": budget, "best": best}
    _walk([*parts.items(), ("winner", winner)])


# ---- task 3 ---------------------------------------------------------------------------------------------------------


def _classes(evidence: Evidence, model: Any) -> dict[str, Any]:
    """Return the schema of a stored scikit-learn model, without loading it; empty when it is a pyfunc of one's own."""
    flavors = evidence.mlmodel(model)["flavors"]
    if "sklearn" not in flavors:
        return {}
    if flavors["sklearn"].get("serialization_format") != "skops":
        fail(
            "pickle-format",
            "The model is stored in a format that can run any code when it is loaded. Leave the format to `log_model`, and tell "
            "it which types you trust.",
        )
    file = evidence.local(model.artifact_location) / str(flavors["sklearn"].get("pickled_model", "model.skops"))
    try:
        with zipfile.ZipFile(file) as archive:
            found = json.loads(archive.read("schema.json"))
            while found["__class__"] == "Pipeline":  # its last step decides
                found = found["content"]["content"]["steps"]["content"][-1]["content"][1]
            if found["__class__"] == "FixedThresholdClassifier":
                kept = found["content"]["content"]["threshold"]
                if "file" in kept:  # a NumPy number is kept in a file of its own
                    value = np.load(io.BytesIO(archive.read(kept["file"])), allow_pickle=False)
                    kept["content"] = json.dumps(float(value))
        return dict(found)
    except Exception:  # zipfile raises several unrelated types, and a file may hold anything
        fail("model-files", "The file of the model is not where the store says, or not whole. Log the model again.")


def live(evidence: Evidence) -> None:
    """Task 3: a model with its threshold, measured on a data set, let through a gate."""
    stand_ins = _stand_ins(evidence)

    @cache  # every part asks for it
    def version() -> Any:
        newest = evidence.versions(_MODEL)[:1]
        # While the gate says no, an older version or the stand-in of task 4 may stay the champion.
        if newest and newest[0].tags.get("gate") == "refused":
            return newest[0]
        found = _version(evidence, stand_ins)
        return newest[0] if found.run_id in stand_ins else found

    def registered() -> None:
        if version().run_id in stand_ins:
            raise NotStarted("So far only the stand-in of task 4 is registered.")

    def run() -> Run:
        try:
            found = evidence.client.get_run(version().run_id or "none")
        except MlflowException:
            fail(
                "other-run",
                f"The store does not have the run that made version {version().version}. Register the model that `final` "
                "logged.",
            )
        if found.info.run_name != "final":
            fail(
                "other-run",
                f"Version {version().version} comes from the run `{visible(found.info.run_name)}`, not from `final`. What goes "
                "live must be what the report describes.",
            )
        evidence.finished(found)
        return found

    def model() -> Any:
        logged = evidence.models(run())  # a run may log others beside the one that is registered
        return next((m for m in logged if m.model_id in str(version().source)), logged[-1])

    def decision() -> None:
        threshold = evidence.number_param(run(), "threshold")
        if not 0 < threshold < 1:
            fail(
                "threshold-value", f"`threshold` is {threshold:g}. A threshold for a probability lies between 0 and 1."
            )
        evidence.param(run(), "calibration")
        schema = _classes(evidence, model())
        if schema and "ThresholdClassifier" not in str(schema.get("__class__")):
            fail(
                "threshold-outside",
                f"The stored model is a `{visible(schema.get('__class__'))}`: its `predict` decides at 0.5, whatever the record "
                "says. Whoever serves it serves another model than you measured. Put the threshold inside.",
            )
        if schema.get("__class__") == "FixedThresholdClassifier":
            try:
                kept = json.loads(schema["content"]["content"]["threshold"]["content"])
                inside = 0.5 if kept == "auto" else float(kept)  # what the class does when nobody says
            except (KeyError, TypeError, ValueError):
                fail("model-files", "The stored model has no threshold that can be read. Log the model again.")
            if not close(inside, threshold):
                fail("threshold-differs", f"The record says {threshold:g}, and the stored model decides at {inside:g}.")

    def measured() -> None:
        on_data = {m.key for m in model().metrics or [] if m.dataset_digest}
        for name in ("test_auc", "test_f1"):
            _unit(evidence.metric(run(), name), name)
            if name not in on_data:
                fail(
                    "metric-without-dataset",
                    f"`{name}` belongs to no model and data set. A score without its rows cannot be compared with the next "
                    "model: pass `model_id=` and `dataset=` to `log_metric`.",
                )

        if evidence.metric(run(), "test_f1") == 0:
            fail(
                "calls-nobody",
                "`test_f1` is 0: at this threshold the model finds nobody of the class that you look for, so nobody would act on "
                "anything. ROC-AUC does not see that. Choose the threshold on the validation rows.",
            )

    def gate() -> None:
        tags = version().tags
        missing = [name for name in ("gate", "gate_low", "signed_by") if name not in tags]
        if missing:
            fail(
                "gate-missing",
                f"The version has no tag {listing(missing)}. Six weeks later somebody will ask why this model was let through, "
                "and by whom.",
            )
        low = number(tags["gate_low"], "The tag `gate_low`", "gate-number")
        if tags["gate"] != ("passed" if low > 0 else "refused"):
            fail(
                "gate-not-passed",
                f"The tag `gate` is `{visible(tags['gate'])}` and the lower end of the lead is {low:g}. Only a model whose whole "
                "interval lies above 0 is known to be better than the baseline: then write `passed`, else `refused`.",
            )
        champion = evidence.registered(_MODEL).aliases.get("champion")
        if low > 0 and champion != version().version:
            fail(
                "alias-missing",
                f"Version {version().version} has passed, and `champion` still points at version {champion}, the stand-in of task 4: "
                "whoever asks for the champion gets another model than yours. Set the alias on the version that has passed.",
            )
        if not low > 0 and champion == version().version:
            fail(
                "gate-ignored",
                "The gate has refused this version, and it is the champion all the same. Take the alias away; a refusal that "
                "stands in the store is a result, too.",
            )

    _walk(
        [
            ("version", registered),
            ("run final", run),
            ("decision", decision),
            ("scores on data", measured),
            ("gate", gate),
        ]
    )


# ---- task 4 ---------------------------------------------------------------------------------------------------------


def account(evidence: Evidence) -> None:
    """Task 4: a served answer, a monitoring window, a reproduced run and a report, all about one version."""

    @cache
    def version() -> Any:
        return _version(evidence, _stand_ins(evidence))

    def final() -> Run:
        try:
            return evidence.client.get_run(version().run_id or "none")
        except MlflowException:
            fail(
                "other-run",
                f"The store does not have the run that made version {version().version}. Register a model that a run logged.",
            )

    def served() -> None:
        answer = json_of(evidence.artifact(_run(evidence, "served"), "answer.json"))
        if not isinstance(answer, dict) or not {"version", "predictions"} <= set(answer):
            fail("answer-shape", "`answer.json` needs the keys `version` and `predictions`.")
        if str(answer["version"]) != str(version().version):
            fail(
                "version-differs",
                f"The answer comes from version {visible(answer['version'])}, and your version is {version().version}. An answer "
                "that cannot be traced to its model cannot be explained.",
            )
        given = answer["predictions"]
        if not isinstance(given, list) or len(given) < 3 or any(p not in (0, 1) for p in given):
            fail("answer-shape", "`predictions` should be a list of at least three classes, each 0 or 1.")

    def window() -> None:
        run = _run(evidence, "window")
        points = evidence.history(run, "drift")
        if len({p.step for p in points}) < _MIN_WINDOWS:
            fail(
                "steps-few",
                f"`drift` has {len({p.step for p in points})} steps, and {_MIN_WINDOWS} windows were asked for. One point shows "
                "no change: log each window with its own `step=`.",
            )
        if any(not math.isfinite(p.value) or p.value < 0 for p in points):
            fail("drift-value", "A drift measure such as PSI is a finite number of 0 or more.")
        limit = evidence.number_param(run, "limit")
        alert, high = evidence.tag(run, "alert"), max(p.value for p in points) > limit
        if alert != ("yes" if high else "no"):
            fail(
                "alert-wrong",
                f"The tag `alert` is `{visible(alert)}`, and the largest drift is {'above' if high else 'not above'} the limit. "
                "An alert that does not follow its own rule is soon ignored. Write `yes` or `no` by the rule.",
            )

    def again() -> None:
        run = _run(evidence, "again")
        if evidence.tag(run, "reproduces") != final().info.run_id:
            fail(
                "reproduces-wrong",
                "The tag `reproduces` is not the id of the run that logged your version, so nobody can tell what was repeated.",
            )
        if not close(evidence.metric(run, "test_auc"), evidence.metric(final(), "test_auc"), 1e-9):
            fail(
                "not-reproduced",
                "The second training gave another `test_auc`. Same rows, same settings, same seeds give the same number; which of "
                "them is not in the record of `final`?",
            )

    def report() -> None:
        text = text_of(evidence.artifact(_run(evidence, "report"), "report.md"))
        if len(text.split()) < _MIN_WORDS:
            fail("report-short", f"The report has {len(text.split())} words; write {_MIN_WORDS} or more.")
        found = {h.lower() for h in re.findall(r"^#+\s*(?:\d+[.)]\s*)?[*_]*(\w+)", text, re.M)}
        if absent := [h for h in _HEADINGS if h.lower() not in found]:
            fail("report-part", f"The report has no heading {listing(absent)}. A reader looks for each of the four.")
        for name in ("test_auc", "test_f1"):
            if f"{evidence.metric(final(), name):.3f}" not in text:
                fail(
                    "report-number",
                    f"The report does not have `{name}` as the store has it, with three decimals. Numbers that are typed go out "
                    "of date; read them from the run.",
                )
        number_of_it = rf"version[\s:*_`#(]*(?:number\s*)?[*_`]*{version().version}(?![\d.]\d|\d)"
        if not re.search(number_of_it, text, re.I):
            fail("report-version", "The report does not say which version of the model it is about.")

    version()  # the given cell makes one, so it is no part of what you did here
    parts = {"served answer": served, "monitoring window": window, "reproduced run": again}
    _walk([*parts.items(), ("report", report)])


# ---- stretch --------------------------------------------------------------------------------------------------------


def slices(evidence: Evidence) -> None:
    """Stretch: where does the model do worse?"""
    file = evidence.artifact(_run(evidence, "slices"), "slices.csv")
    table = csv_of(file)
    need_columns(table, ("slice", "n", "auc"), "slices.csv")
    if len(table) < 2 or table["slice"].nunique() < len(table):
        fail("slices-few", "A slice says something beside another one: two or more rows, each with its own name.")
    if (numbers_of(table, "n", "slices.csv") < 10).any():
        fail("slice-small", "A slice of fewer than ten rows shows chance. Cut the rows into larger groups.")
    for value in numbers_of(table, "auc", "slices.csv"):
        _unit(float(value), "auc")


TASKS = (
    Task(
        "question, data, baseline",
        2,
        start,
        (
            "Which of these is known before anything is trained, and which is a result?",
            "`mlflow.set_tag`, `log_param`, `log_metric`, `log_input`, `log_figure` or `log_table`, all inside one run.",
            'For the baseline: `DummyClassifier().fit(…)`, `log_input(rows, context="validation")`, `valid_auc`.',
        ),
        "A reader knows what you ask, of which rows, and what no thinking at all would reach.",
        level="core",
    ),
    Task(
        "a search with children",
        2,
        search,
        (
            "Where does the parent's best score come from: from a variable, or from the children?",
            "`with mlflow.start_run(run_name=…, nested=True):` for each attempt; collect `(score, run_id)` pairs.",
            '`mlflow.MlflowClient().set_tag(best_id, "winner", "yes")` after the loop.',
        ),
        "The choice can be checked: every attempt, its rows, and how many there were.",
        level="transfer",
    ),
    Task(
        "the model that goes live",
        2,
        live,
        (
            "What does `predict` of your stored model do at a probability of 0.4?",
            "`FixedThresholdClassifier(CalibratedClassifierCV(…), threshold=…)` decides where you decided.",
            'For a score on rows: `mlflow.log_metric("test_auc", …, model_id=info.model_id, dataset=rows)`.',
        ),
        "What is served is what was measured, and somebody signed it.",
        level="transfer",
    ),
    Task(
        "alive and accounted for",
        2,
        account,
        (
            "For each number of the report: from which run could a program read it?",
            "`client.get_model_version_by_alias(name, 'champion')` knows version and run; all else follows from them. A refused "
            "version is found by `client.get_model_version(name, number)`.",
            '`mlflow.log_metric("drift", value, step=window)` in a loop, `mlflow.log_text(report, "report.md")`.',
        ),
        "The project can be explained, watched and repeated without you.",
        level="transfer",
    ),
    Task(
        "where it does worse",
        0,
        slices,
        (
            "Which groups of rows would somebody ask about? Try below and above the median of one column.",
            'Write the table with pandas, then `mlflow.log_artifact("slices.csv")`.',
        ),
        "An average hides groups; yours is cut open.",
        level="transfer",
    ),
)
