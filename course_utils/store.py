"""Where runs are kept: one MLflow store per checkout, the command that shows it, and tidy tables of its runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pandas as pd

from ._plumbing import class_server, schema
from ._plumbing.course_store import create, default_uri, fix_artifact_root, home, own_uri
from ._plumbing.noise import quiet
from ._plumbing.places import UI_PORT, command, database_path, sqlite_uri
from .errors import CourseError

if TYPE_CHECKING:
    from mlflow.models.model import ModelInfo

__all__ = ["UI_PORT", "connect", "create", "default_uri", "home", "log_model", "outputs", "quiet", "runs", "ui_command"]


def connect(uri: str | None = None, *, own: bool = False) -> str:
    """Point MLflow at the course store and return its URI.

    Creates the store when it is not there, sends artifacts to ``mlartifacts`` beside it (MLflow alone would use the
    current folder), sets tracking and registry URI, and keeps MLflow's progress lines out of the notebook.

    Parameters
    ----------
    uri
        Tracking URI; the course store (`default_uri`) when not given.
    own
        Keep away from a team's server, and say so when there is one: for a lecture that starts a server on
        its store, and for homework.

    Raises
    ------
    CourseError
        When the store cannot be created or read, belongs to another MLflow, or its server refuses us.
    """
    uri = uri or default_uri()
    if own and class_server.is_remote(uri):
        print(f"This notebook uses a store of your own, {home() / 'mlflow.db'}, not the server {uri}.")
        uri = own_uri()
    quiet()
    class_server.sign_in(uri, home())
    if os.environ.get("COURSE_STORE_SYNC") == "off":  # the runner's notebooks can be run again
        schema.do_not_wait_for_the_disk()
    create(uri)
    fix_artifact_root(uri)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return uri


def ui_command(port: int = UI_PORT) -> str:
    """Return the exact shell command that opens the MLflow UI on the current store, from the course's folder.

    A SQLite store inside `home` is named relative to it, so that the line can be shared. A server has its own UI, which
    a browser opens.
    """
    uri = mlflow.get_tracking_uri()
    if class_server.is_remote(uri):
        return command("python", "-m", "webbrowser", uri)
    database = database_path(uri)
    if database is not None and database.is_relative_to(home()):
        uri = sqlite_uri(database.relative_to(home()).as_posix())
    return command("mlflow", "server", "--backend-store-uri", uri, "--port", port)


def outputs(name: str) -> Path:
    """Return ``outputs/<name>`` in `home`, made when missing: where a lecture or homework leaves its files."""
    folder = home() / "outputs" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CourseError(
            f"The folder {folder} cannot be made: {error}. Set COURSE_HOME to a folder that you may write to."
        ) from error
    return folder


def runs(
    experiment: str | Sequence[str],
    filter_string: str = "",
    order_by: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    max_results: int = 1000,
) -> pd.DataFrame:
    """Return runs as a tidy table: one row a run, indexed by run name, with bare parameter and metric names.

    Parameters
    ----------
    experiment
        Name of the experiment, or several.
    filter_string, order_by, max_results
        As in ``mlflow.search_runs``.
    columns
        Columns to keep, in this order; all parameters and metrics when not given. ``run_id``, ``status``,
        ``start_time``, ``tags.*`` may be asked for too.

    Raises
    ------
    CourseError
        When an experiment does not exist or a column is in none of its runs.
    """
    names = [experiment] if isinstance(experiment, str) else list(experiment)
    known = {e.name for e in mlflow.search_experiments()}
    if missing := [name for name in names if name not in known]:
        raise CourseError(
            f"There is no experiment named {missing[0]!r} in {mlflow.get_tracking_uri()}; "
            f"it has {', '.join(sorted(known))}. Run the cells that log to it first."
        )
    found = mlflow.search_runs(
        experiment_names=names, filter_string=filter_string, order_by=order_by, max_results=max_results
    )
    found = found.rename(columns={"tags.mlflow.runName": "run_name"})
    values = [c for c in found.columns if c.startswith(("params.", "metrics."))]
    bare = {c: c.split(".", 1)[1] for c in values}
    # A name that is both a parameter and a metric keeps its prefix.
    twice = {name for name in bare.values() if list(bare.values()).count(name) > 1}
    found = found.rename(columns={c: name for c, name in bare.items() if name not in twice})
    keep = list(columns) if columns else [bare[c] if bare[c] not in twice else c for c in values]
    if unknown := [c for c in keep if c not in found.columns]:
        if found.empty:
            return pd.DataFrame(columns=keep)
        raise CourseError(
            f"No run of {', '.join(names)} has {unknown[0]!r}; the runs have {', '.join(sorted(set(found.columns)))}."
        )
    return found.set_index("run_name")[keep] if "run_name" in found else found[keep]


def log_model(model: Any, name: str, X: pd.DataFrame, **kwargs: Any) -> ModelInfo:
    """Log a fitted scikit-learn model to the active run: skops format, signature, example, fixed requirements.

    MLflow's own call refuses most models in skops format until the types inside are named, and looks for requirements
    in a subprocess for 7 s. The lecture on MLflow basics does each step by hand.

    Parameters
    ----------
    model
        Fitted estimator or pipeline **of your own**: its types are trusted because you made it.
    name
        Name of the logged model, without ``/ : . % " '``.
    X
        Features, shape (n_rows, n_features); the first three rows become the input example.
    **kwargs
        Passed to ``mlflow.sklearn.log_model``.
    """
    import skops.io

    trusted = skops.io.get_untrusted_types(data=skops.io.dumps(model))
    example = X.head(3)
    # From an example alone, MLflow 3.17 describes the answers of `predict`, whatever pyfunc calls.
    if answers := kwargs.get("pyfunc_predict_fn"):
        kwargs.setdefault("signature", mlflow.models.infer_signature(example, getattr(model, answers)(example)))
    return mlflow.sklearn.log_model(
        model,
        name=name,
        input_example=example,
        skops_trusted_types=trusted,
        pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=True),
        **kwargs,
    )
