"""Homework 09: versions and aliases, a promotion gate, a rollback with a record, a copy for production."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from course_utils import data
from course_utils.homework.evidence import Evidence
from course_utils.homework.mistake import Mistake, NotStarted
from course_utils.homework.question import Task
from course_utils.homework.reading import instead, visible
from course_utils.homework.slips import auc_slips

#: Kinds of the versions of ``hw-model-registry-gate``, as the given cell registers them.
_KINDS = {1: "tree", 2: "deep", 3: "logistic"}


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
            "loaded. Run the given cell again, and register its addresses.",
        ) from None


def register(evidence: Evidence) -> None:
    """Task 1: two versions, description, tag and alias on the right one."""
    name = "hw-model-registry-churn"
    model, kinds = evidence.registered(name), {}
    for version in evidence.versions(name):
        kinds.setdefault(_kind(evidence, version), version)
    for kind in ("tree", "logistic"):
        if kind not in kinds:
            raise Mistake(
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
    if min(int(v.version) for v in evidence.versions(name) if _kind(evidence, v) == "tree") > int(champion.version):
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


def gate(evidence: Evidence) -> None:
    """Task 2: two contests on test rows, their records, and the alias where it belongs."""
    scores = _scores(data.course_seed())
    evidence.registered("hw-model-registry-gate")
    champion = 1
    for version in (2, 3):
        run = evidence.latest_run("hw-model-registry-gate", f"gate-v{version}")
        better = scores[_KINDS[version]]["right"] > scores[_KINDS[champion]]["right"]
        _judge_contest(evidence, run, scores, version, champion)
        _judge_decision(evidence, run, "promoted" if better else "refused")
        champion = version if better else champion
    serving = int(evidence.alias("hw-model-registry-gate", "champion").version)
    if serving == champion:
        return
    if serving not in _KINDS:
        raise Mistake(
            "other-version",
            f"`@champion` is version {serving}, which no gate has judged. Only the versions of the given cell compete.",
        )
    if scores[_KINDS[serving]]["right"] < scores[_KINDS[champion]]["right"] and serving != 1:
        raise Mistake(
            "worse-promoted",
            f"`@champion` is version {serving}, which your own gate refused. The alias must move only when the "
            "decision is `promoted`.",
        )
    raise Mistake(
        "alias-not-moved",
        f"The gate promoted version {champion}, but `@champion` is still version {serving}, so the service never sees "
        "the better model. Set the alias after the decision.",
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
            f"`{run.info.run_name}` says `{word}`, but its two metrics say otherwise. Higher ROC-AUC is better, and a "
            "challenger must be better than the champion.",
        )


def roll_back(evidence: Evidence) -> None:
    """Task 3: alias back, the version kept and marked, a signed record."""
    name = "hw-model-registry-rollback"
    have = {int(version.version): version for version in evidence.versions(name)}
    if 2 not in have:
        raise Mistake(
            "version-deleted",
            "Version 2 is gone. With it went its alias and the evidence of what served on Friday, and the service "
            "found no champion. Run the given lines again, and move the alias instead.",
        )
    serving = int(evidence.alias(name, "champion").version)
    try:
        run = evidence.latest_run(name, "rollback")
    except NotStarted:
        if serving == 2 and "status" not in have[2].tags:
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
    if "status" not in have[2].tags and "status" in have[1].tags:
        raise Mistake(
            "wrong-version",
            "The tag `status` stands on version 1, which serves again. Version 2 was rolled back: tag that one.",
        )
    _version_tag(have[2], "status", "rolled back")
    for tag, value in (("from_version", "2"), ("to_version", "1")):
        seen = evidence.tag(run, tag)
        if seen != value:
            raise Mistake(
                "record-value",
                f"The record's `{tag}` is `{visible(seen, 40)}`, but that is not what happened. Write the version's number.",
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
            "Who is the champion when version 3 is judged, and how do you load *whoever is champion*?",
            "`models:/hw-model-registry-gate/2` is a version, `models:/hw-model-registry-gate@champion` is the alias. Load both with "
            "`mlflow.sklearn.load_model`, score both on the test rows.",
            'Inside a loop over `(2, 3)`: `decision = "promoted" if challenger_auc > champion_auc else "refused"`, log '
            "it "
            'in the run, and set the alias only `if decision == "promoted"`.',
        ),
        "Your gate refuses what is worse and lets through what is better, and can prove it.",
    ),
    Task(
        "roll back, with a record",
        2,
        roll_back,
        (
            "Which single thing decides what the service loads? What would be lost if you deleted version 2?",
            "`set_registered_model_alias` moves the alias; `set_model_version_tag` marks the version; a run keeps "
            "by and why as tags.",
            '`with mlflow.start_run(run_name="rollback"): mlflow.set_tags({"from_version": 2, …})`',
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
