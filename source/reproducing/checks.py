"""Homework of reproducing: a complete record, a run that does not come again, a change that a digest misses, a project."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pandas as pd
import yaml
from mlflow.entities import Run
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from course_utils import data
from course_utils._judge.evidence import Evidence, close
from course_utils._judge.mistake import Mistake, NotStarted
from course_utils._judge.reading import text_of, visible
from course_utils.homework.question import Task

_DAYS = ("monday", "tuesday", "wednesday", "thursday")


def _forest_auc(X: pd.DataFrame, y: pd.Series, trees: int, depth: int, seed: int, **split: Any) -> float:
    """Return the validation score of a forest, split and drawn with one seed."""
    X, X_valid, y, y_valid = train_test_split(X, y, random_state=seed, **split)
    forest = RandomForestClassifier(trees, max_depth=depth, random_state=seed).fit(X, y)
    return float(roc_auc_score(y_valid, forest.predict_proba(X_valid)[:, 1]))


@cache
def _tumours(depth: int, seed: int) -> float:
    X = data.bundled("breast_cancer")
    y = X.pop("target")
    return _forest_auc(X, y, 20, depth, seed, stratify=y)


@cache
def _wine(depth: int, seed: int) -> float:
    table = data.bundled("wine")
    return _forest_auc(table.drop(columns="target"), table["target"] == 1, 4, depth, seed, test_size=0.5)


def _latest(evidence: Evidence, experiment: str, name: str) -> Run:
    """Return the newest run of that name; one among Jonas's runs has to go, because loops over his runs would meet it."""
    try:
        return evidence.latest_run(experiment, name)
    except Mistake as mistake:
        if mistake.code != "wrong-experiment":
            raise
        jonas = evidence.client.get_experiment_by_name("hw-reproducing-jonas")  # none before task 2 is begun
        if not jonas or not evidence.client.search_runs([jonas.experiment_id], f"attributes.run_name = '{name}'"):
            raise
        raise Mistake(
            "wrong-experiment",
            f"{mistake} And delete the `{name}` among Jonas's runs in the UI, because a loop over them would meet it.",
        ) from None


def recorded(evidence: Evidence) -> None:
    """Task 1: settings, score, digest of the data, packages and code, in one run."""
    run = _latest(evidence, "hw-reproducing-tumours", "forest")
    if run.data.params.get("seed") == "None":
        raise Mistake(
            "seed-missing", "`seed` is None, so each call draws anew, and nobody can repeat it. Choose a number."
        )
    depth, seed = (evidence.number_param(run, key) for key in ("depth", "seed"))
    if depth != int(depth) or not 1 <= depth <= 10 or seed != int(seed) or not 0 <= seed < 2**32:
        raise Mistake(
            "param-value",
            f"`depth` is {depth:g} and `seed` {seed:g}; depth is a whole number from 1 to 10, seed from 0 on.",
        )
    auc, right = evidence.metric(run, "valid_auc"), _tumours(int(depth), int(seed))
    short = abs(auc - right) > 1e-10 and any(auc == round(right, digits) for digits in range(2, 9))
    if short or (not close(auc, right) and abs(auc - right) <= 0.005 and close(auc, round(auc, 3), 1e-12)):
        raise Mistake(
            "score-rounded", "`valid_auc` was rounded, so a repetition can never be equal to it. Log the full number."
        )
    evidence.judge_number("valid_auc", auc, right, {}, slips=lambda: _other_settings(int(depth), int(seed)))
    digest = evidence.tag(run, "data_sha256").strip().lower()
    file = evidence.file("hw-reproducing", "tumours.csv")
    if re.fullmatch(r"[0-9a-f]{8}", digest):
        raise Mistake(
            "digest-blind",
            "`data_sha256` has 8 characters, as MLflow's own digest has, which does not cover every byte. Compute the sha256.",
        )
    if digest == hashlib.sha256(str(file).encode()).hexdigest():
        raise Mistake(
            "name-not-bytes", "That is the sha256 of the file's *name*. It stays the same when the data changes."
        )
    if digest != hashlib.sha256(file.read_bytes()).hexdigest():
        raise Mistake(
            "digest-wrong",
            f"`data_sha256` is `{visible(digest)}`, which is not the sha256 of the bytes of `tumours.csv`: all 64 characters, of "
            "what `read_bytes` gives.",
        )
    lines = text_of(evidence.artifact(run, "packages.txt")).splitlines()
    pinned = {line.split("==")[0].strip().lower().replace("_", "-") for line in lines if "==" in line}
    if missing := {"mlflow", "scikit-learn", "pandas", "numpy"} - pinned:
        raise Mistake(
            "packages-missing",
            f"`packages.txt` has no line with `==` for {', '.join(sorted(missing))}. Another version may give another score: list "
            "each installed package as `name==version`.",
        )
    if len(pinned) < 40:
        raise Mistake(
            "packages-few",
            f"`packages.txt` lists {len(pinned)} packages; MLflow alone needs more of them to run, and each can change a score. "
            "List *each* installed package.",
        )
    ran = text_of(evidence.file("hw-reproducing", "score.py"))
    if text_of(evidence.artifact(run, "score.py")).split() != ran.split():
        raise Mistake(
            "code-other",
            "`score.py` in the run is not the file that `score` came from, so nobody can execute what gave the score. Log the "
            "file itself.",
        )


def _other_settings(depth: int, seed: int) -> Iterator[tuple[str, float, str]]:
    """Yield the scores of exchanged arguments, and of settings that were tried and not recorded."""
    if 1 <= seed:
        message = "That is what `score` returns when depth and seed are exchanged. Pass them by name."
        yield "arguments-swapped", _tumours(seed, depth), message
    others = [(depth, other) for other in (*range(11), 42, 123, 1234)] + [(other, seed) for other in range(1, 11)]
    message = "That is what `score` returns with another depth or seed than the run records. Record what you passed."
    for other in others:
        if other != (depth, seed):
            yield "settings-other", _tumours(*other), message


def verdict(evidence: Evidence) -> None:
    """Task 2: the run of Jonas that does not come again, and by how much."""
    runs = {run.info.run_name: run for run in evidence.runs("hw-reproducing-jonas")}
    if not set(_DAYS) <= set(runs):
        raise NotStarted("Jonas's four runs are not there yet: run the given cell first.")
    again = {name: _wine(*(int(evidence.number_param(runs[name], key)) for key in ("depth", "seed"))) for name in _DAYS}
    scores = {name: evidence.metric(runs[name], "valid_auc") for name in _DAYS}
    gaps = {name: abs(again[name] - scores[name]) for name in _DAYS}
    false = max(gaps, key=gaps.__getitem__)
    run = _latest(evidence, "hw-reproducing-verdict", "verdict")
    said = evidence.tag(run, "not_reproduced").strip().lower()
    if said in {run.info.run_id for run in runs.values()}:
        raise Mistake(
            "id-not-name", "`not_reproduced` is the *id* of a run. The task asks for its name, which people can read."
        )
    if said not in gaps:
        raise Mistake(
            "no-such-run", f"`not_reproduced` is `{visible(said)}`; the four runs are called {', '.join(_DAYS)}."
        )
    if said != false:
        if said in (max(scores, key=scores.__getitem__), min(scores, key=scores.__getitem__)):
            raise Mistake(
                "extreme-not-false",
                f"`{said}` has the highest or the lowest score, but it comes again in every bit. A score can be extreme and true.",
            )
        raise Mistake(
            "comes-again", f"`{said}` comes again in every bit. Give `wine_score` the depth *and* the seed of each run."
        )
    got = evidence.metric(run, "difference")
    if got < 0 and close(-got, gaps[false]):
        raise Mistake("sign", "`difference` is negative. The task asks how far the two are apart: without a sign.")
    evidence.judge_number(
        "difference",
        got,
        gaps[false],
        {
            "score-not-difference": (again[false], "That is the score that you got. Subtract the recorded one."),
            "record-not-difference": (
                scores[false],
                "That is the score that the run has recorded. Compare it with the one that you get.",
            ),
            "relative": (
                gaps[false] / scores[false],
                "That is the difference as a share of the recorded score. The task asks for the difference itself.",
            ),
            "relative-to-yours": (
                gaps[false] / again[false],
                "That is the difference as a share of your score. The task asks for the difference itself.",
            ),
        },
    )


def delivered(evidence: Evidence) -> None:
    """Task 3: the column that MLflow's digest does not see."""
    seed = data.course_seed()
    right, count = ("smoker" if seed % 2 else "ward"), 7 + seed % 5
    run = _latest(evidence, "hw-reproducing-clinic", "deliveries")
    said = evidence.tag(run, "changed_column").strip().lower()
    if said not in ("age", "smoker", "visit", "ward"):
        raise Mistake(
            "no-such-column",
            f"`changed_column` is `{visible(said)}`, and no column has this name. Who reads the tag looks the column up: write its "
            "name alone, as it stands in the table.",
        )
    if said != right:
        raise Mistake(
            "other-column",
            f"In the column `{visible(said)}` both deliveries agree (two missing values are the same, too). Compare value by value.",
        )
    evidence.judge_number(
        "changed_rows",
        evidence.metric(run, "changed_rows"),
        count,
        {
            "gap-not-change": (
                count + 10,
                "You counted missing values as changed, because a missing value is not equal to itself in pandas.",
            ),
            "same-not-changed": (40 - count, "That is in how many rows the column is the *same*."),
            "both-counted": (
                2 * count,
                "Each change was counted twice, in the old and in the new table. Count the rows.",
            ),
            "all-rows": (40, "That is the number of all rows. Count those that differ."),
            "share-not-count": (count / 40, "That is the *share* of rows. The task asks how many there are."),
        },
    )


def packed(evidence: Evidence) -> None:
    """Stretch: an MLproject and its environment, read and never run."""
    folder = evidence.home / "outputs" / "hw-reproducing" / "project"
    if not (folder / "MLproject").is_file():
        raise NotStarted("There is no file `MLproject` in `project` yet.")
    project = _yaml(folder, "MLproject")
    points = project.get("entry_points")
    main = points.get("main") if isinstance(points, dict) else None
    if not isinstance(main, dict):
        raise Mistake(
            "no-entry-point", "`MLproject` has no entry point `main`, so `mlflow run .` does not know what to start."
        )
    declared = main.get("parameters")
    for key in ("depth", "seed"):
        about = declared.get(key) if isinstance(declared, dict) else None
        if about is None:
            raise Mistake("param-missing", f"`main` does not declare the parameter `{key}`.")
        if not isinstance(about, dict) or "default" not in about:
            raise Mistake("no-default", f"`{key}` has no default, so `mlflow run .` alone stops and asks for it.")
    command = " ".join(str(main.get("command", "")).split())
    if command != "python train.py {depth} {seed}":
        raise Mistake(
            "command-wrong",
            f"The command is `{visible(command)}`. It has to start `train.py` by `python` with depth and seed, in this order, "
            "each name in braces.",
        )
    if project.get("python_env") != "python_env.yaml":
        raise Mistake(
            "no-environment", "`MLproject` does not name `python_env.yaml` under `python_env`: nobody would read it."
        )
    if not (folder / "python_env.yaml").is_file():
        raise Mistake(
            "environment-missing", "`MLproject` names `python_env.yaml`, and there is no such file beside it."
        )
    lines = _yaml(folder, "python_env.yaml").get("dependencies")
    wanted = [str(line).replace(" ", "") for line in lines] if isinstance(lines, list) else []
    for name in ("mlflow", "scikit-learn"):
        if not any(re.fullmatch(rf"{name}(\[\w+\])?==\d[\w.]*", line) for line in wanted):
            raise Mistake(
                "requirements-open",
                f"`python_env.yaml` has no exact version of `{name}` (with `==`) in `dependencies`.",
            )


def _yaml(folder: Any, name: str) -> dict[str, Any]:
    """Return what a YAML file says."""
    try:
        content = yaml.safe_load(text_of(folder / name))
    except (yaml.YAMLError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise Mistake("file-broken", f"`{name}` is not YAML with keys. Compare the indents with the lecture's file.")
    return content


TASKS = (
    Task(
        "tumours on record",
        2,
        recorded,
        (
            "Which of the four things is a parameter, which a tag, which a file?",
            '`hashlib.sha256(tumours_file.read_bytes()).hexdigest()`, `mlflow.log_text(…, "packages.txt")`, and '
            "`log_artifact` for a file.",
        ),
        "With the file of tumours beside it, the run holds what somebody else needs to repeat it: keep the file, too.",
    ),
    Task(
        "one of Jonas's runs",
        3,
        verdict,
        (
            "What does `search_runs` give for a parameter: a number, or text?",
            'For each row: `wine_score(int(row["params.depth"]), int(row["params.seed"]))`, compared with `row["metrics.valid_auc"]`.',
        ),
        "You did not believe a record, but repeated it.",
        level="transfer",
    ),
    Task(
        "two deliveries",
        2,
        delivered,
        (
            "Which columns does MLflow's digest leave out?",
            "`first[c].compare(second[c])` has one row for each value that differs, and treats two gaps as equal.",
        ),
        "You found a change that the digest does not see.",
        level="transfer",
    ),
    Task(
        "a project for Ines",
        0,
        packed,
        (
            "Look at the two files of Round 5 of the lecture.",
            "Under `main` stand `parameters` and `command`; the names of parameters stand in braces in the command.",
        ),
        "Whoever gets this folder knows what to start, and with what.",
    ),
)
