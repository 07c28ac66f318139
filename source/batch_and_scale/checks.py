"""Homework of batch and scale: a prepared batch, a batch read back, a sweep, the learner's own attempts, retries."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path

from mlflow.entities import Run
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_utils import data
from course_utils._judge.evidence import Evidence, close, listing
from course_utils._judge.mistake import Mistake, NotStarted
from course_utils._judge.reading import number, numbers_of, visible
from course_utils.homework import attempts, practice
from course_utils.homework.question import Task

_POINTS = {f"{region}-{C}.ipynb": {"region": region, "C": C} for region in ("north", "south") for C in (0.1, 1.0)}
_TEMPLATE = {"region": "west", "C": 10.0, "seed": 0}
_REGIONS = ("north", "south", "east", "west")
_FAILED = "east"


def _notebook(path: Path) -> dict:
    """Return a notebook as a dict. Code: ``file-broken``."""
    try:
        nb = json.loads(path.read_text(encoding="utf8"))
        assert isinstance(nb["cells"], list) and isinstance(nb["metadata"], dict)
    except (OSError, ValueError, AssertionError, KeyError, TypeError, RecursionError):
        raise Mistake(
            "file-broken", f"`{path.name}` is not a notebook that can be read. Write it with papermill."
        ) from None
    return nb


def prepared(evidence: Evidence) -> None:
    """Task 1: four notebooks with their parameters injected."""
    folder = evidence.home / "outputs" / "hw-batch-and-scale"
    there = [name for name in _POINTS if (folder / name).is_file()]
    others = sorted(p.name for p in folder.glob("*.ipynb") if p.name not in (*_POINTS, "template.ipynb"))
    if missing := [name for name in _POINTS if name not in there]:
        if others:
            raise Mistake(
                "file-name",
                f"`outputs/hw-batch-and-scale` has no `{missing[0]}`; I see {listing(others)}. Who collects the results finds them "
                "by name: write each under the name that the task gives.",
            )
        if not there:
            raise NotStarted("There is no prepared notebook in `outputs/hw-batch-and-scale` yet.")
        raise Mistake(
            "point-missing",
            f"{len(there)} of {len(_POINTS)} notebooks are there; `{missing[0]}` is not. A grid has every combination: "
            "two loops, one inside the other.",
        )
    for name, wanted in _POINTS.items():
        about = _notebook(folder / name)["metadata"].get("papermill")
        if not isinstance(about, dict) or not isinstance(about.get("parameters"), dict):
            raise Mistake(
                "no-parameters",
                f"`{name}` was not made by papermill: its metadata names no parameters. A copied or edited notebook "
                "does not say which values it ran with. Use `papermill.execute_notebook`.",
            )
        given = about["parameters"]
        if unknown := sorted(set(given) - set(_TEMPLATE)):
            raise Mistake(
                "unknown-parameter",
                f"`{name}` got the parameter `{unknown[0]}`, which the template does not have, so no cell reads it. "
                "papermill only says so in its log: compare your names with `papermill.inspect_notebook`.",
            )
        for key, value in wanted.items():
            if key not in given:
                raise Mistake(
                    "default-kept",
                    f"`{name}` has no value for `{key}`, so it would run with the template's default and still be "
                    f"called `{name}`. Give every parameter that the name promises.",
                )
            if given[key] != value:
                raise Mistake(
                    "param-value",
                    f"`{name}` would run with `{key}` = {given[key]!r}. Name and parameters must agree, or the "
                    "result goes to the wrong row.",
                )


def read_back(evidence: Evidence) -> None:
    """Task 2: one run for each executed notebook, the failed one as FAILED."""
    exists = evidence.client.get_experiment_by_name("hw-batch-and-scale-batch") is not None
    seen = {r.info.run_name for r in evidence.runs("hw-batch-and-scale-batch")} if exists else set()
    for n, region in enumerate(_REGIONS):
        name = f"region-{region}"
        if name not in seen and any(f"region-{other}" in seen for other in _REGIONS):
            if region != _FAILED:
                raise Mistake(
                    "point-missing",
                    f"There is no run `{name}`; I see {listing(seen)}. Log one run for each notebook, or the "
                    "comparison misses a region without saying so.",
                )
            raise Mistake(
                "failed-point",
                f"There is no run `{name}`: its notebook failed, and the store does not say so. A batch that "
                "forgets its failures looks better than it was. Log the run, and end it with the status FAILED.",
            )
        run = evidence.latest_run("hw-batch-and-scale-batch", name, finished=False)
        if run.info.status == "RUNNING":
            evidence.finished(run)
        if region == _FAILED:
            if run.info.status != "FAILED":
                raise Mistake(
                    "failed-point",
                    f"The run `{name}` ended {run.info.status}, but its notebook failed. Whoever counts the finished "
                    "runs counts it too. A run can be ended with another status than FINISHED.",
                )
            if "cv_auc" in run.data.metrics:
                raise Mistake(
                    "failed-with-score",
                    f"The run `{name}` FAILED and still has a `cv_auc`. Its last cell printed none: a number from an earlier cell is "
                    "about the training rows, and one that fills a gap is made up. A search would rank this run: log none.",
                )
        else:
            evidence.finished(run)
            score = 0.7 + ((n + data.course_seed()) % 7) / 50
            got = evidence.metric(run, "cv_auc")
            if not close(got, score) and close(got, round(score, 1)):
                raise Mistake(
                    "rounded",
                    f"`cv_auc` of `{name}` is rounded, so regions that differ look the same. Log what the cell printed.",
                )
            evidence.judge_number(
                "cv_auc",
                got,
                score,
                {
                    "train-not-test": (
                        score + 0.1,
                        "That is the *training* score, which an earlier cell printed. Read the last cell's output.",
                    )
                },
            )
        strength = evidence.number_param(run, "C")
        if not close(strength, (0.1, 1.0)[n % 2]):
            raise Mistake(
                "param-value",
                f"The run `{name}` says `C` {strength:g}; its notebook ran with another value. papermill keeps what it "
                "used in the notebook's metadata: `metadata.papermill.parameters`.",
            )


_WINES = (0.001, 0.01, -1.0, 0.1)
_BAD_VALUE = ("InvalidParameterError", "ValueError")


@cache
def _wine(C: float, training: bool = False) -> float:
    """Return the accuracy that the given cell computes, or that of the training rows."""
    X, y = load_wine(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=C))
    if training:
        return float(model.fit(X, y).score(X, y))
    return float(cross_val_score(model, X, y).mean())


def _ended_failed(evidence: Evidence, run: Run, metric: str, errors: tuple[str, ...]) -> None:
    """Judge a run of a failed attempt: ended FAILED, says why, has no result."""
    name = run.info.run_name
    if run.info.status == "RUNNING":
        evidence.finished(run)
    if run.info.status != "FAILED":
        raise Mistake(
            "failed-point",
            f"The run `{name}` ended {run.info.status}, although its call raised an error. Whoever counts finished "
            "runs counts it as well. End it with the status that says what happened.",
        )
    if metric in run.data.metrics:
        raise Mistake(
            "failed-with-score",
            f"The run `{name}` FAILED and still has `{metric}`. Its call returned nothing, so this number belongs to "
            "another one, or was made up.",
        )
    said = evidence.tag(run, "error").strip()
    if said not in errors:
        raise Mistake(
            "error-name",
            f"The tag `error` of `{name}` is `{visible(said)}`, which is not the name of the class of the error that "
            "its call raises. A name can be counted and searched; read it from the error that you caught.",
        )


def wines(evidence: Evidence) -> None:
    """Task 3: four values, each with its own score or its own failure."""
    experiment = "hw-batch-and-scale-wines"
    exists = evidence.client.get_experiment_by_name(experiment) is not None
    seen = {r.info.run_name for r in evidence.runs(experiment)} if exists else set()
    names = [f"wine-{C}" for C in _WINES]
    there = [name for name in names if name in seen]
    if there and len(there) < len(names):
        lost = next(name for name in names if name not in seen)
        raise Mistake(
            "failed-point" if lost == "wine--1.0" else "point-missing",
            f"There is no run `{lost}`; I see {listing(there)}. A value that was tried and left no run looks as if it "
            "had never been tried. Log each value, the failed one, too.",
        )
    for C, name in zip(_WINES, names, strict=True):
        run = evidence.latest_run(experiment, name, finished=False)
        got, others = run.data.metrics.get("cv_accuracy"), [other for other in _WINES if other > 0 and other != C]
        if run.info.status == "FINISHED" and got is not None and any(close(got, _wine(other)) for other in others):
            raise Mistake(
                "mixed-up",
                f"`cv_accuracy` of `{name}` is {got:.4f}, which is the score of another value of `C`. Results came "
                "back in another order than the calls went out: keep each value together with its own future.",
            )
        if C < 0:
            _ended_failed(evidence, run, "cv_accuracy", _BAD_VALUE)
        else:
            if run.info.status == "FAILED" and run.data.tags.get("error") in _BAD_VALUE:
                raise Mistake(
                    "mixed-up",
                    f"The run `{name}` ended FAILED with an error that only a bad value of `C` raises, and {C} is a good one: this "
                    "failure belongs to another run. Results came back in another order than the calls went out: keep each value "
                    "together with its own future.",
                )
            evidence.finished(run)
            got = evidence.metric(run, "cv_accuracy")
            slips = {"train-not-test": (_wine(C, True), "That is the accuracy on the rows that trained the model.")}
            evidence.judge_number("cv_accuracy", got, _wine(C), slips)
        logged = number(evidence.param(run, "C"), f"The parameter `C` of `{name}`", "param-value")
        if not close(logged, C):
            raise Mistake(
                "param-value",
                f"The run `{name}` has `C` = {logged:g}. Name and parameter must agree, or nobody knows which of them "
                "made the score.",
            )


def _one_pass(runs: list[Run]) -> None:
    """Tell when the newest pass of the loop begins before attempt 1, or goes on after the one that worked."""
    started: dict[str | None, list[int]] = {}
    for run in runs:  # newest first
        started.setdefault(run.info.run_name, []).append(run.info.start_time)
    first, third = started.get("attempt-1", []), started.get("attempt-3", [])
    before = first[1] if len(first) > 1 else 0
    if third and max(started.get("attempt-4", [0])) >= third[0]:
        raise Mistake(
            "goes-on",
            "There is a run `attempt-4`, and the third attempt had worked. An orchestrator stops at the first success, or the "
            "work is done twice: leave the loop there.",
        )
    if first and before < max(started.get("attempt-0", [0])):
        raise Mistake(
            "counts-from-zero",
            "There is a run `attempt-0`. The task counts the attempts from 1: 1, 2, 3, … Is it from an earlier try? Then run "
            "the cell once more.",
        )


def retries(evidence: Evidence) -> None:
    """Stretch: two failed attempts and one that worked."""
    experiment = "hw-batch-and-scale-retries"
    exists = evidence.client.get_experiment_by_name(experiment) is not None
    seen = {r.info.run_name for r in evidence.runs(experiment)} if exists else set()
    names = ["attempt-1", "attempt-2", "attempt-3"]
    there = [name for name in names if name in seen]
    if there and len(there) < len(names):
        lost = next(name for name in names if name not in seen)
        raise Mistake(
            "attempt-missing",
            f"There is no run `{lost}`; I see {listing(there)}. Every attempt leaves a run, and the loop goes on until "
            "one of them works.",
        )
    _one_pass(evidence.runs(experiment))
    for attempt, name in enumerate(names, start=1):
        run = evidence.latest_run(experiment, name, finished=False)
        if attempt < 3:
            _ended_failed(evidence, run, "rows", ("ConnectionError",))
        else:
            evidence.finished(run)
            evidence.judge_number("rows", evidence.metric(run, "rows"), 400.0 + data.course_seed(), {})
        logged = number(evidence.param(run, "attempt"), f"The parameter `attempt` of `{name}`", "param-value")
        if logged != attempt:
            raise Mistake(
                "param-value",
                f"The run `{name}` has `attempt` = {logged:g}. Name and parameter must agree, and count from 1.",
            )


def myself(evidence: Evidence) -> None:
    """Task 4: the learner's own mistakes, counted."""
    table = evidence.table("hw-batch-and-scale", "mistakes.csv", ("mistake", "attempts"))
    uri = practice.attempts_uri(evidence.home, fill=False)
    everything = [r.data.tags for r in attempts.runs(uri)]
    tags = [r.data.tags for r in practice.counted(uri)]
    if not tags:
        raise NotStarted("The store of attempts is not there: run the cell with `practice.attempts_uri()` first.")
    right = Counter(t["mistake"] for t in tags if t["mistake"] != "ok")
    counts = numbers_of(table, "attempts", "mistakes.csv", "not-a-count")
    if any(count != int(count) for count in counts):
        raise Mistake("not-a-count", "The column `attempts` of `mistakes.csv` must hold whole numbers.")
    got = {str(m).strip(): int(n) for m, n in zip(table["mistake"], counts, strict=True)}
    if "ok" in got or "not-started" in got:
        raise Mistake(
            "ok-counted",
            "`mistakes.csv` lists `ok` or `not-started`. Neither is a mistake; leave both out before you count.",
        )
    if got != dict(right):
        if got == dict(Counter(t["mistake"] for t in everything if t["mistake"] not in ("ok", "not-started"))):
            raise Mistake(
                "under-way-counted",
                "Your counts include this homework, `batch_and_scale`, which grows with every check, this one too. Leave it out: "
                "`tags.homework != 'batch_and_scale'`.",
            )
        raise Mistake(
            "wrong-count",
            f"`mistakes.csv` has {len(got)} mistakes in {sum(got.values())} attempts; the store has other numbers. "
            "Count the tag `mistake` of all attempts. Have you made new attempts since? Then run the cell again.",
        )
    if list(counts) != sorted(counts, reverse=True):
        raise Mistake("not-sorted", "`mistakes.csv` is not sorted: the most frequent mistake comes first.")
    run = evidence.latest_run("hw-batch-and-scale-me", "my-attempts")
    passed = sum(t["mistake"] == "ok" for t in tags)
    evidence.judge_number(
        "attempts",
        evidence.metric(run, "attempts"),
        float(len(tags)),
        {
            "passed-not-counted": (
                float(len(tags) - passed),
                "These are the mistakes alone. An attempt that passed is an attempt, too.",
            )
        },
    )
    evidence.judge_number(
        "share_passed",
        evidence.metric(run, "share_passed"),
        passed / len(tags),
        {
            "share-of-mistakes": (
                1 - passed / len(tags),
                "That is the share of attempts that did *not* pass. Count those that did.",
            ),
            "percent-not-share": (
                100 * passed / len(tags),
                "That is in percent. A share lies between 0 and 1, and metrics are compared as they are logged.",
            ),
        },
    )
    top = evidence.tag(run, "top_mistake")
    if right.get(top) != max(right.values()):
        raise Mistake(
            "not-the-top",
            f"`top_mistake` is `{visible(top, 40)}`, which is not the most frequent code of your table. Take the first row.",
        )


TASKS = (
    Task(
        "prepare a batch",
        2,
        prepared,
        (
            "How many combinations do two regions and two values of C make? Which function writes one of them?",
            "Two loops around `papermill.execute_notebook(template, output, parameters={…}, prepare_only=True)`.",
            'The output is `folder / f"{region}-{C}.ipynb"`, the parameters are `{"region": region, "C": C}`.',
        ),
        "Four notebooks, ready for any machine, each saying with which values it will run.",
        level="warm-up",
    ),
    Task(
        "read a batch back",
        2,
        read_back,
        (
            "Where does papermill keep the parameters it used? Print `done.metadata` of one notebook.",
            "`nbformat.read(file, as_version=4)`; the parameters are in `done.metadata.papermill.parameters`, the "
            "result in `done.cells[-1].outputs[0]`, whose `output_type` tells a result from an error.",
            'In the run: `mlflow.end_run("FAILED")` for an error, else `json.loads(output.text)["cv_auc"]`.',
        ),
        "Results and failures of the batch are in the store, where they can be compared.",
    ),
    Task(
        "Jonas's sweep",
        2,
        wines,
        (
            "In which order does `as_completed` give futures back, and what does Jonas pair them with?",
            "Pair `values` with `jobs`, not with `as_completed(jobs)`. A future's `exception()` returns the error of its "
            "call, or None.",
            'In the run: `if error := job.exception():`, then the tag and `mlflow.end_run("FAILED")`, else `log_metric`.',
        ),
        "Each value stands beside its own score, and the bad one says why it has none.",
        level="transfer",
    ),
    Task(
        "which mistake did you make most?",
        2,
        myself,
        (
            "Which tags does an attempt have? Print `run.data.tags` of one.",
            "A client with the address `where`, `search_runs` with the filter "
            "`tags.homework != 'batch_and_scale' AND tags.mistake != 'not-started'`, then `value_counts` of the tag `mistake`.",
            '`mistakes = codes[codes != "ok"].value_counts().rename_axis("mistake").reset_index(name="attempts")`',
        ),
        "You have looked at your own learning as data.",
        level="transfer",
    ),
    Task(
        "a second and a third chance",
        0,
        retries,
        (
            "Which block must hold the call, so that its error is seen while the run is still open?",
            "A loop over attempts, a run for each, `try` inside it: `break` when it worked, tag and "
            '`mlflow.end_run("FAILED")` when it did not.',
        ),
        "Nobody had to be awake for the second attempt, and the store shows the first.",
    ),
)
