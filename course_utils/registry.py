"""The registry of models: a clean start, a tidy table of versions, the promotion gate and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from numpy.typing import ArrayLike

from . import evaluation
from .errors import CourseError

#: Alias of the version that serves; `promote` and `roll_back` move it.
CHAMPION = "champion"


@dataclass(frozen=True)
class Decision:
    """What the gate decided, and on which numbers.

    Attributes
    ----------
    promoted
        Whether the alias moved.
    version, before
        The version that was judged, and the champion before (None when there was none).
    auc, to_beat
        ROC-AUC on the held-out rows, and the value that it had to exceed.
    run_id
        The run that keeps the decision.
    """

    promoted: bool
    version: int
    before: int | None
    auc: float
    to_beat: float
    run_id: str

    def __str__(self) -> str:
        """Return the decision as one line."""
        word = "promoted" if self.promoted else "refused"
        return f"version {self.version} {word}: ROC-AUC {self.auc:.3f} on held-out rows, {self.to_beat:.3f} to beat"


def _client() -> mlflow.MlflowClient:
    return mlflow.MlflowClient()


def _aliases(name: str) -> dict[str, int]:
    """Return alias to version, or raise when the model is not registered.

    ``search_model_versions`` of a local database (MLflow 3.17) returns versions without their aliases, so they are
    read from the model.
    """
    try:
        return {alias: int(version) for alias, version in _client().get_registered_model(name).aliases.items()}
    except MlflowException as error:
        known = ", ".join(sorted(m.name for m in _client().search_registered_models())) or "none"
        raise CourseError(
            f"No model is registered as {name!r} in {mlflow.get_registry_uri()}; it has {known}. "
            "Register one first: mlflow.register_model(model_uri, name)."
        ) from error


def fresh(*names: str) -> None:
    """Remove registered models, so that their versions start at 1 again; logged models and runs stay.

    A lecture that prints version numbers starts with it. Never call it on a model that somebody serves.
    """
    for name in names:
        try:
            _client().delete_registered_model(name)
        except MlflowException as error:
            # A server with sign-in answers 403 for a model that is not there (MLflow 3.17).
            missing = error.error_code == "RESOURCE_DOES_NOT_EXIST"
            if not missing and _client().search_registered_models(f"name = '{name}'"):
                raise


def versions(name: str, *tags: str) -> pd.DataFrame:
    """Return the versions of a registered model, oldest first, indexed by version.

    Parameters
    ----------
    name
        Name of the registered model.
    *tags
        Version tags to show as columns; empty text where a version lacks one.

    Returns
    -------
    DataFrame
        ``aliases`` (joined by a comma), one column a tag, and ``description``.

    Raises
    ------
    CourseError
        When no model is registered under the name.
    """
    aliases = _aliases(name)
    rows = []
    for found in sorted(_client().search_model_versions(f"name = '{name}'"), key=lambda v: int(v.version)):
        number = int(found.version)
        mine = ", ".join(sorted(alias for alias, version in aliases.items() if version == number))
        values = {tag: found.tags.get(tag, "") for tag in tags}
        rows.append({"version": number, "aliases": mine, **values, "description": found.description or ""})
    return pd.DataFrame(rows, columns=["version", "aliases", *tags, "description"]).set_index("version")


def held_out_auc(uri: str, X: pd.DataFrame, y: ArrayLike) -> float:
    """Return the ROC-AUC of a registered scikit-learn model on rows that it has not seen.

    Parameters
    ----------
    uri
        Address of a version **of your own**, for example ``models:/churn@champion``: the model is loaded.
    X, y
        Features, shape (n_rows, n_features), and labels 0 and 1, shape (n_rows,).

    Raises
    ------
    CourseError
        When there is no such version, or the labels hold one class only.
    """
    try:
        model = mlflow.sklearn.load_model(uri)
    except MlflowException as error:
        reason = str(error).rstrip(".")
        raise CourseError(f"{uri} cannot be loaded: {reason}. Check name, version and alias.") from error
    return evaluation.scores(y, model.predict_proba(X)[:, 1])["roc_auc"]


def promote(
    name: str, version: int | str, X: pd.DataFrame, y: ArrayLike, *, by: str, why: str, margin: float = 0.005
) -> Decision:
    """Give ``@champion`` to a version if it beats the champion on held-out rows; keep a record either way.

    The record is a run in the current experiment (``gate-v3``: both scores as metrics; ``model``, ``version``,
    ``before``, ``decision``, ``by`` and ``why`` as tags) and the tag ``gate`` on the version. Lecture 09 builds the
    same function line by line.

    Parameters
    ----------
    name, version
        Registered model and the version to judge.
    X, y
        Held-out rows: no version was trained on them. Shapes (n_rows, n_features) and (n_rows,).
    by, why
        Who decides, and for which reason; neither may be empty.
    margin
        Gain in ROC-AUC that is worth a change; a smaller one may be chance. The first champion needs more than 0.5.

    Raises
    ------
    CourseError
        When name, version or labels are unusable, `by` or `why` is empty, or the version is the champion already.
    """
    version, before = int(version), _aliases(name).get(CHAMPION)
    _signed(by, why)
    if version == before:
        raise CourseError(f"Version {version} of {name} is the champion already. Give the version of a challenger.")
    auc = held_out_auc(f"models:/{name}/{version}", X, y)
    to_beat = held_out_auc(f"models:/{name}/{before}", X, y) + margin if before else 0.5
    decision = "promoted" if auc > to_beat else "refused"
    with mlflow.start_run(run_name=f"gate-v{version}", nested=True) as run:
        mlflow.log_metrics({"auc": auc, "to_beat": to_beat})
        mlflow.set_tags(_record(name, version, before, decision, by, why))
    _client().set_model_version_tag(name, str(version), "gate", decision)
    if decision == "promoted":
        _client().set_registered_model_alias(name, CHAMPION, str(version))
    return Decision(decision == "promoted", version, before, auc, to_beat, run.info.run_id)


def roll_back(name: str, to_version: int | str, *, by: str, why: str) -> None:
    """Give ``@champion`` back to an earlier version, without a contest, and keep a run as the record.

    Parameters
    ----------
    name, to_version
        Registered model, and the version that shall serve again.
    by, why
        Who decides, and for which reason.

    Raises
    ------
    CourseError
        When model or version does not exist, or `by` or `why` is empty.
    """
    before = _aliases(name).get(CHAMPION)
    _signed(by, why)
    try:
        _client().set_registered_model_alias(name, CHAMPION, str(to_version))
    except MlflowException as error:
        have = ", ".join(map(str, versions(name).index))
        raise CourseError(f"{name} has no version {to_version}; it has {have}. Nothing was changed.") from error
    with mlflow.start_run(run_name=f"rollback-v{to_version}", nested=True):
        mlflow.set_tags(_record(name, int(to_version), before, "rolled back", by, why))


def _signed(by: str, why: str) -> None:
    """Raise when a decision has no name or no reason."""
    if not by.strip() or not why.strip():
        raise CourseError(
            f"by is {by!r} and why is {why!r}: a decision that nobody signs cannot be audited. Give both."
        )


def _record(name: str, version: int, before: int | None, decision: str, by: str, why: str) -> dict[str, str]:
    """Return the tags that a decision leaves on its run."""
    return {
        "model": name,
        "version": str(version),
        "before": str(before or "none"),
        "decision": decision,
        "by": by,
        "why": why,
    }
