"""Homework: versions and aliases, a promotion gate, a rollback with a record, a copy for production."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from course_utils import data
from course_utils._judge.evidence import Evidence
from course_utils._judge.mistake import Mistake, NotStarted
from course_utils._judge.reading import instead, visible
from course_utils._judge.slips import auc_slips
from course_utils.homework.question import Task

#: Kinds of the versions of ``hw-model-registry-gate``, as the given cell registers them.
_KINDS = {1: "tree", 2: "logistic", 3: "deep"}


def _model(kind: str) -> Any:
    """Return a model of the given cells, not fitted yet."""
    if kind == "logistic":
        return make_pipeline(StandardScaler(), LogisticRegression())
    return DecisionTreeClassifier(max_depth=2 if kind == "tree" else None, random_state=0)


def _split() -> data.Split:
    return data.churn_split(900, data.course_seed(), numeric=True)


@cache
def _scores(seed: int) -> dict[str, dict[str, float]]:
    """Return the ROC-AUC of each given model: on test rows, on training rows, and of predicted labels."""
    split = data.churn_split(900, seed, numeric=True)
    found = {}
    for kind in _KINDS.values():
        model = _model(kind)
        model.fit(split.X_train, split.y_train)
        found[kind] = {
            "right": roc_auc_score(split.y_test, model.predict_proba(split.X_test)[:, 1]),
            "train": roc_auc_score(split.y_train, model.predict_proba(split.X_train)[:, 1]),
            "labels": roc_auc_score(split.y_test, model.predict(split.X_test)),
            "accuracy": model.score(split.X_test, split.y_test),
        }
    return found


def _model_id(evidence: Evidence, version: Any) -> str:
    """Return the id of the logged model behind a version, also of a copied one; the model is not loaded."""
    location = evidence.client.get_model_version_download_uri(version.name, version.version)
    found = re.search(r"m-[0-9a-f]{32}", location)
    if found is None:
        raise Mistake(
            "version-source",
            f"Version {version.version} of `{version.name}` points at a folder, not at a logged model: when the folder "
            "is moved, the version is lost, and nobody sees which run made it. Register the address `models:/m-…`.",
        )
    return found[0]


def _kind(evidence: Evidence, version: Any) -> str:
    """Return the name of the logged model behind a version."""
    try:
        return evidence.client.get_logged_model(_model_id(evidence, version)).name
    except MlflowException:
        raise Mistake(
            "model-deleted",
            f"The logged model behind version {version.version} of `{version.name}` is gone, so the version can no longer be "
            "loaded. Run the given cell again, and register its addresses as new versions.",
        ) from None


def register(evidence: Evidence) -> None:
    """Task 1: two versions, description, tag and alias on the right one."""
    name = "hw-model-registry-churn"
    model, numbers, broken = evidence.registered(name), {}, None
    for version in evidence.versions(name):
        try:
            numbers.setdefault(_kind(evidence, version), []).append(int(version.version))
        except Mistake as mistake:  # a version cannot be mended: one of an earlier try does no harm
            broken = broken or mistake
    for kind in ("tree", "logistic"):
        if kind not in numbers:
            raise broken or Mistake(
                "version-missing",
                f"`{name}` has no version with the {kind} model. A registry is the list of all candidates: register "
                "both addresses under the same name.",
            )
    champion = evidence.alias(name, "champion")
    if _kind(evidence, champion) != "logistic":
        raise Mistake(
            "alias-version",
            f"`@champion` is version {champion.version}, and that is not the logistic model. A service would load the "
            "wrong one: set the alias on the version that `register_model` returned for it.",
        )
    if min(numbers["tree"]) > int(champion.version):
        raise Mistake(
            "order-of-versions",
            f"The logistic model is version {champion.version}, and the tree came after it. Version numbers are the order of "
            "registration, and a reader takes the higher one for the newer: register the tree first.",
        )
    words = (champion.description or "").split()
    if not words and model.description:
        raise Mistake(
            "description-on-model",
            f"The description stands on the model `{name}`, so it speaks about all versions. Put it on the one "
            "version: `update_model_version`.",
        )
    if len(words) < 3:
        raise Mistake(
            "description-short",
            f"Version {champion.version} is described with {len(words)} words. Who reads the list next month needs "
            "three at least: what is special about this version?",
        )
    if "validated_by" not in champion.tags and "validated_by" in model.tags:
        raise Mistake(
            "tag-on-model",
            "The tag `validated_by` stands on the model, as if every version had been validated. Set it on the "
            "version: `set_model_version_tag`.",
        )
    _version_tag(champion, "validated_by", "Mira")


def _version_tag(version: Any, name: str, value: str) -> None:
    if name not in version.tags:
        seen = ", ".join(f"`{tag}`" for tag in sorted(version.tags)) or "none"
        raise Mistake(
            "version-tag-missing",
            f"Version {version.version} of `{version.name}` has no tag `{name}` (its tags: {seen}). A reader of the "
            "registry cannot see this state: set it with `set_model_version_tag`.",
        )
    if version.tags[name] != value:
        raise Mistake(
            "version-tag-value",
            f"The tag `{name}` of version {version.version} is {instead(version.tags[name], value)} Searches compare letter "
            "by letter.",
        )


@cache
def _contest(seed: int, version: int, champion: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the labels of the test rows, and what challenger and champion say of them."""
    split = data.churn_split(900, seed, numeric=True)
    ours, theirs = (
        _model(_KINDS[v]).fit(split.X_train, split.y_train).predict_proba(split.X_test)[:, 1]
        for v in (version, champion)
    )
    return split.y_test.to_numpy(), ours, theirs


def _gains(seed: int, version: int, champion: int, paired: bool = True, draws: int = 200, skip: int = 0) -> np.ndarray:
    """Return the gains of the bootstrap of the task, or of one that draws otherwise."""
    y, ours, theirs = _contest(seed, version, champion)
    rng, found = np.random.default_rng(0), []
    rng.integers(0, len(y), (skip, len(y)))
    for _ in range(draws):
        rows = rng.integers(0, len(y), len(y))
        others = rows if paired else rng.integers(0, len(y), len(y))
        found.append(roc_auc_score(y[rows], ours[rows]) - roc_auc_score(y[others], theirs[others]))
    return np.array(found)


@cache
def _gain_lows(seed: int, version: int, champion: int) -> dict[str, float]:
    """Return the lower end of the gain's interval in the bootstrap of the task, and what plausible slips give."""
    gains = _gains(seed, version, champion)
    return {
        "right": float(np.percentile(gains, 2.5)),
        "interval-end": float(np.percentile(gains, 97.5)),
        "gain-sign": float(np.percentile(-gains, 2.5)),
        "one-sided": float(np.percentile(gains, 5)),
        "percent-as-share": float(np.percentile(gains, 0.025)),
        "not-paired": float(np.percentile(_gains(seed, version, champion, paired=False), 2.5)),
        "mean-not-low": float(np.mean(gains)),
    }


def _draw_slips(seed: int, version: int, champion: int) -> Iterator[tuple[str, float, str]]:
    """Yield lower ends of bootstraps that go on with an old generator, or draw more or less often."""
    yield (
        "draws-go-on",
        float(np.percentile(_gains(seed, version, champion, skip=200), 2.5)),
        "These draws go on where those for version 2 ended, so the number depends on what was judged before. Make the "
        "generator anew for each version.",
    )
    many = _gains(seed, version, champion, draws=1000)
    for n in (100, 300, 500, 1000):
        yield (
            "other-draws",
            float(np.percentile(many[:n], 2.5)),
            f"That comes from {n} draws. More draws are no mistake, but two gates can be compared only when both draw alike: "
            "take as many as the task names.",
        )


_GAIN_SLIPS = {
    "interval-end": "That is the upper end of the interval. A gate must ask for the worst that chance allows: the lower.",
    "gain-sign": "That comes from champion minus challenger. A gain is what the *challenger* adds.",
    "one-sided": "That is the 5th percentile. The middle 95 % leave 2.5 % on each side.",
    "percent-as-share": "That is the percentile 0.025. `np.percentile` counts in percent, from 0 to 100.",
    "not-paired": "Each model was scored on a draw of its own, so what is hard for both does not cancel out. Use one draw "
    "for both.",
    "mean-not-low": "That is the mean of the gains. It says how much better on average, and nothing about chance.",
}


def gate(evidence: Evidence) -> None:
    """Task 2: two contests on test rows, their records, and the alias where it belongs."""
    seed = data.course_seed()
    scores = _scores(seed)
    evidence.registered("hw-model-registry-gate")
    champion = 1
    for version in (2, 3):
        run = evidence.latest_run("hw-model-registry-gate", f"gate-v{version}")
        _judge_contest(evidence, run, scores, version, champion)
        lows = _gain_lows(seed, version, champion)
        wrong = {code: (lows[code], message) for code, message in _GAIN_SLIPS.items()}
        evidence.judge_number(
            "gain_low",
            evidence.metric(run, "gain_low"),
            lows["right"],
            wrong,
            slips=lambda version=version, champion=champion: _draw_slips(seed, version, champion),
        )
        better = lows["right"] > 0
        _judge_decision(evidence, run, "promoted" if better else "refused")
        before = evidence.tag(run, "before").strip()
        if not before.isdigit():
            raise Mistake(
                "version-form",
                f"`before` of `{run.info.run_name}` is `{visible(before, 40)}`, which is not the number of a version alone. A "
                "trail is searched by its values: write the number as the registry gives it, without anything around it.",
            )
        if before != str(champion):
            raise Mistake(
                "record-value",
                f"`before` of `{run.info.run_name}` is `{visible(before, 40)}`, but another version was the champion when "
                "this one was judged. Read it from the registry before you decide.",
            )
        if better:
            if int(evidence.alias("hw-model-registry-gate", "champion").version) == champion:
                raise Mistake(
                    "alias-not-moved",
                    f"`gate-v{version}` says `promoted`, but `@champion` is still version {champion}, so the service never sees "
                    "the better model, and the next challenger meets the old one. A decision counts when the alias has moved.",
                )
            champion = version
    serving = int(evidence.alias("hw-model-registry-gate", "champion").version)
    if serving == champion:
        return
    if serving not in _KINDS:
        raise Mistake(
            "other-version",
            f"`@champion` is version {serving}, which no gate has judged. Only the versions of the given cell compete.",
        )
    raise Mistake(
        "worse-promoted",
        f"`@champion` is version {serving}, which your own gate refused. The alias must move only when the "
        "decision is `promoted`.",
    )


def _judge_contest(evidence: Evidence, run: Run, scores: dict, version: int, champion: int) -> None:
    """Compare both logged metrics with the recomputed ones; tell when the wrong version stood as the champion."""
    for metric, number in (("challenger_auc", version), ("champion_auc", champion)):
        mine = scores[_KINDS[number]]
        wrong = {
            "train-not-test": (
                mine["train"],
                "That is the value on the *training* rows. A model that learned them by heart would win every "
                "contest. Use the test rows, for both.",
            ),
            "labels-not-probabilities": (
                mine["labels"],
                "That is ROC-AUC of the predicted labels. It ranks customers, so it needs `predict_proba`.",
            ),
            "accuracy-not-auc": (
                mine["accuracy"],
                "That is the accuracy at one threshold. ROC-AUC judges the order of all rows: give it the probabilities.",
            ),
        }
        got = evidence.metric(run, metric)
        for other in set(_KINDS) - {number}:
            wrong.setdefault(
                "wrong-version",
                (
                    scores[_KINDS[other]]["right"],
                    f"That is the score of another version than the one that stands there in `{run.info.run_name}`. "
                    "The champion is whoever holds the alias *at that moment*; the challenger has the run's number.",
                ),
            )
            if abs(got - scores[_KINDS[other]]["right"]) < 1e-9:
                wrong["wrong-version"] = (got, wrong["wrong-version"][1])
        evidence.judge_number(
            metric, got, mine["right"], wrong, slips=lambda number=number: auc_slips(_model(_KINDS[number]), _split())
        )


def _judge_decision(evidence: Evidence, run: Run, right: str) -> None:
    word = evidence.tag(run, "decision")
    if word not in ("promoted", "refused"):
        raise Mistake(
            "decision-word",
            f"`decision` is `{visible(word, 40)}`. The trail is searched by its words: use `promoted` or `refused`, nothing "
            "else.",
        )
    if word != right:
        raise Mistake(
            "decision-wrong",
            f"`{run.info.run_name}` says `{word}`, but its `gain_low` says otherwise. Above zero, chance alone does not "
            "explain the lead; at zero or below it may.",
        )


def roll_back(evidence: Evidence) -> None:
    """Task 3: alias back, the version kept and marked, a signed record."""
    name = "hw-model-registry-rollback"
    have = {int(version.version): version for version in evidence.versions(name)}
    served = 2 + data.course_seed() // 2 % 2
    if served not in have:
        raise Mistake(
            "version-deleted",
            f"Version {served} is gone. With it went its alias and the evidence of what served on Friday, and the service "
            "found no champion. Run the given lines again, and move the alias instead.",
        )
    serving = int(evidence.alias(name, "champion").version)
    try:
        run = evidence.latest_run(name, "rollback")
    except NotStarted:
        if serving == served and "status" not in have[served].tags:
            raise
        raise Mistake(
            "record-missing",
            "The registry has changed, but there is no run that says who did it and why. MLflow keeps no history of "
            f"aliases: leave a run `rollback` in the experiment `{name}`.",
        ) from None
    if serving != 1:
        raise Mistake(
            "alias-not-moved",
            f"`@champion` is still version {serving}. The record says rollback, the service says otherwise: set the "
            "alias.",
        )
    if 1 not in have:
        raise Mistake(
            "version-deleted", "Version 1 is gone, so there is nothing to go back to. Run the given lines again."
        )
    tagged = [number for number, version in have.items() if "status" in version.tags]
    if tagged and served not in tagged:
        raise Mistake(
            "wrong-version",
            f"The tag `status` stands on version {tagged[0]}, which was not the champion that you took back. Tag the "
            "version that had the alias when the given lines had run.",
        )
    _version_tag(have[served], "status", "rolled back")
    for tag, value in (("from_version", str(served)), ("to_version", "1")):
        seen = evidence.tag(run, tag)
        if seen != value:
            raise Mistake(
                "record-value",
                f"The record's `{tag}` is `{visible(seen, 40)}`, but that is not what happened. Ask the "
                "registry which version the alias means, before you move it.",
            )
    if not evidence.tag(run, "by").strip():
        raise Mistake("record-unsigned", "The record's `by` is empty. A decision that nobody signs cannot be audited.")
    if len(evidence.tag(run, "why").split()) < 3:
        raise Mistake(
            "reason-short", "The record's `why` has fewer than three words. Ines will ask: what was seen, and by whom?"
        )


def copy(evidence: Evidence) -> None:
    """Stretch: the champion, copied to the registered model of production."""
    champion = evidence.alias("hw-model-registry-copy", "champion")
    there = evidence.alias("hw-model-registry-production", "champion")
    wanted, seen = _model_id(evidence, champion), _model_id(evidence, there)
    if seen == wanted:
        return
    newest = evidence.versions("hw-model-registry-copy")[0]
    if seen == _model_id(evidence, newest):
        raise Mistake(
            "latest-not-champion",
            "Production got the *newest* version of `hw-model-registry-copy`, which is not its champion. Address it by the "
            "alias: `models:/name@champion`.",
        )
    raise Mistake(
        "stale-copy",
        "`hw-model-registry-production@champion` is another model than `hw-model-registry-copy@champion` is now: it was copied before the given "
        "lines ran again, or from elsewhere. Copy once more, and set the alias on the new version.",
    )


TASKS = (
    Task(
        "register two versions",
        2,
        register,
        (
            "What does `register_model` return, and which of its fields do the later calls need?",
            "Description, tag and alias belong to one *version*: `update_model_version`, `set_model_version_tag` (or "
            "`tags=` when registering), `set_registered_model_alias`.",
            '`best = mlflow.register_model(logistic_uri, "hw-model-registry-churn", tags={"validated_by": "Mira"})`, then use '
            "`best.version`.",
        ),
        "Two candidates, and everyone can see which one serves and who vouches for it.",
        level="warm-up",
    ),
    Task(
        "a gate",
        3,
        gate,
        (
            "Who is the champion when version 3 is judged, and how do you ask the registry for it?",
            "`client.get_model_version_by_alias(…)` gives the champion of that moment; score both models' probabilities on "
            "the *same* drawn rows, and take the difference.",
            "Inside the loop over `(2, 3)`: read `before`, make `rng` anew, collect 200 differences in a list, and take "
            "`np.percentile(…, 2.5)` of it; then the run, and in it the alias, only `if` the decision is `promoted`.",
        ),
        "Your gate lets through what is better than chance, refuses the rest, and can prove it.",
    ),
    Task(
        "roll back, with a record",
        2,
        roll_back,
        (
            "Which single thing decides what the service loads? What does the registry forget once you move it?",
            "`set_registered_model_alias` moves the alias; `set_model_version_tag` marks the version; a run keeps "
            "by and why as tags.",
            "`before = client.get_model_version_by_alias(…).version` comes first, then the run; in it its tags, the alias and "
            "the version's tag. So a record of what failed says FAILED.",
        ),
        "The service is back, nothing is lost, and Ines has her record.",
        level="transfer",
    ),
    Task(
        "to production",
        0,
        copy,
        (
            "Which address means the champion, whatever its number? Does an alias travel with a copy?",
            '`client.copy_model_version("models:/hw-model-registry-copy@champion", "hw-model-registry-production")` returns the new version; the '
            "alias is yours to set.",
        ),
        "Production has a registry of its own, with the same model in it.",
        level="warm-up",
    ),
)
