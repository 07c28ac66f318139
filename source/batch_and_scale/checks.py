"""Homework 15: a prepared batch, a batch read back, an exact reproduction, the learner's own attempts, a project."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path

from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from course_utils import data
from course_utils.homework import practice
from course_utils.homework.evidence import Evidence, close, listing
from course_utils.homework.mistake import Mistake, NotStarted
from course_utils.homework.question import Task
from course_utils.homework.reading import numbers_of, text_of, visible

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
    if not there:
        if others:
            raise Mistake(
                "file-name",
                f"`outputs/hw-batch-and-scale` has {listing(others)}; the task asks for names like `north-0.1.ipynb`. Who collects "
                "the results finds them by name.",
            )
        raise NotStarted("There is no prepared notebook in `outputs/hw-batch-and-scale` yet.")
    if missing := [name for name in _POINTS if name not in there]:
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
                    f"The run `{name}` FAILED and still has a `cv_auc`: an earlier cell printed it, about the training rows. "
                    "A notebook that failed has no result, and a search would rank this one: log none.",
                )
        else:
            evidence.finished(run)
            score = 0.7 + ((n + data.course_seed()) % 7) / 50
            evidence.judge_number(
                "cv_auc",
                evidence.metric(run, "cv_auc"),
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


@cache
def _spring(seed: int, model_seed: int = 11) -> float:
    """Return the ROC-AUC of task 3, or that of another seed of the model."""
    split = data.churn_split(640, seed + 5, numeric=True)
    forest = RandomForestClassifier(15, max_depth=3, random_state=model_seed).fit(split.X_train, split.y_train)
    return roc_auc_score(split.y_test, forest.predict_proba(split.X_test)[:, 1])


def again(evidence: Evidence) -> None:
    """Task 3: the same metric to the last bit, with proof of the data and a link to the old run."""
    run = evidence.latest_run("hw-batch-and-scale-again", "spring-again")
    springs = [r for r in evidence.runs("hw-batch-and-scale-spring") if r.info.run_name == "spring"]
    # The given cell made the stored value, maybe on another machine: there the last bits may differ from ours.
    seed = data.course_seed()
    originals = [r for r in springs if close(r.data.metrics.get("test_auc", -1.0), _spring(seed))]
    if not originals:
        raise NotStarted("The run `spring` is not in the store: run the given cell again.")
    source = evidence.tag(run, "reproduces").strip()
    original = next((r for r in originals if r.info.run_id == source), None)
    if original is None:
        raise Mistake(
            "wrong-original",
            "The tag `reproduces` is not the id of a run `spring`. A name is not enough: two runs may share it. The "
            "id is `spring.info.run_id`.",
        )
    evidence.metric(run, "test_auc")
    wanted, got = original.data.metrics["test_auc"], run.data.metrics["test_auc"]
    digest = original.data.tags.get("data_digest", "")
    if evidence.tag(run, "data_digest") != digest:
        raise Mistake(
            "wrong-data",
            "`data_digest` differs from that of the old run: you trained on other rows, or typed something else. The "
            "digest proves that the data are the same; take it from the data that you trained with.",
        )
    if got != wanted:
        if close(got, wanted):
            raise Mistake(
                "rounded",
                "`test_auc` agrees in its first digits only. Log full precision: the proof is `==`, bit by bit.",
            )
        if close(got, _spring(seed, model_seed=0)):
            raise Mistake(
                "not-exact",
                "`test_auc` is what the forest gives with the seed 0. The stored run has a seed of its own: take "
                "all parameters from the store.",
            )
        raise Mistake(
            "not-exact",
            f"`test_auc` is {got:.6f}, which is not the stored value. Something differs: rows, seed of the data, depth "
            "or seed of the model. Take all four from the stored run's parameters; they are text there, so turn "
            "them into numbers.",
        )


def myself(evidence: Evidence) -> None:
    """Task 4: the learner's own mistakes, counted."""
    table = evidence.table("hw-batch-and-scale", "mistakes.csv", ("mistake", "attempts"))
    uri = practice.attempts_uri(evidence.home, fill=False)
    everything = [r.data.tags for r in practice.runs(uri)]
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


def project(evidence: Evidence) -> None:
    """Stretch: a folder that `mlflow run` can start; nothing is executed here."""
    import yaml

    file = evidence.file("hw-batch-and-scale/project", "MLproject")
    try:
        main = yaml.safe_load(text_of(file))["entry_points"]["main"]
        command, declared = str(main["command"]), dict(main.get("parameters") or {})
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError):
        raise Mistake(
            "no-entry-point",
            "`MLproject` has no entry point `main` with a `command`, so `mlflow run` would not know what to start. It "
            "is YAML: `entry_points:`, below it `main:`, below that `parameters:` and `command:`, each further in.",
        ) from None
    used = set(re.findall(r"{(\w+)}", command))
    if "C" not in declared:
        raise Mistake("param-undeclared", f"`main` declares {listing(declared) or 'no parameter'}, but not `C`.")
    about = declared["C"] if isinstance(declared["C"], dict) else {"type": declared["C"]}
    if about.get("type") != "float" or not isinstance(about.get("default"), int | float):
        raise Mistake(
            "param-type",
            "`C` needs the type float and a default, so that a wrong value is refused and the project runs without "
            "one: `C: {type: float, default: 1.0}`.",
        )
    if "C" not in used:
        raise Mistake(
            "param-unused",
            f"The command `{visible(command)}` never uses `{{C}}`, so the value that somebody passes is lost on the way.",
        )
    script = next((word for word in command.split() if word.endswith(".py")), "")
    path = file.parent / script if re.fullmatch(r"[\w-]+\.py", script) else None
    if path is None or not path.is_file():
        raise Mistake(
            "script-missing", f"The command names `{script or 'no script'}`, which is not in the project's folder."
        )
    text = text_of(path, "script-broken")
    try:
        ast.parse(text)
    except SyntaxError as error:
        raise Mistake("script-broken", f"`{script}` is not valid Python: {error.msg} in line {error.lineno}.") from None
    except ValueError:
        raise Mistake("script-broken", f"`{script}` holds a character that no Python file may hold.") from None
    if "argv" not in text and "argparse" not in text and "click" not in text and "typer" not in text:
        raise Mistake(
            "param-unread",
            f"`{script}` never reads its arguments, so `C` reaches it and is ignored. `sys.argv[1]` is the first one.",
        )
    if "mlflow" not in text:
        raise Mistake(
            "nothing-logged", f"`{script}` does not use MLflow, so its run would be empty. Log a parameter or metric."
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
        "the same number again",
        2,
        again,
        (
            "Which of the four (code, data, environment, seed) do you have to fetch, and from where?",
            "`mlflow.get_run(spring.info.run_id).data.params` holds all settings, as text: `int(value)`.",
            "`train(**{name: int(value) for name, value in kept.params.items()})` returns score and digest; log both, "
            "and the id of the old run as a tag.",
        ),
        "Every bit agrees, and the store says what was reproduced.",
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
        "a project of your own",
        0,
        project,
        (
            "What are the three things that `mlflow run` must find in the file `MLproject`?",
            "An entry point `main` with `parameters` and a `command` like `python train.py {C}`; beside it "
            "`train.py`, which reads `sys.argv[1]`.",
        ),
        "Anyone can start your training with one line.",
        level="transfer",
    ),
)
