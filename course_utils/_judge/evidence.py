"""What a learner left behind, read through MLflow's client, with the usual mistakes told apart."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Metric, Run, ViewType
from mlflow.exceptions import MlflowException

from .. import store
from .._plumbing.places import database_path
from ..errors import CourseError
from . import logged
from .logged import nearest
from .mistake import Mistake, NotStarted
from .reading import csv_of, fail, instead, listing, need_columns, read_card
from .slips import close, judge_number

__all__ = ["Evidence", "close", "fail", "listing", "nearest", "read_card"]


def _absolute(uri: str) -> str:
    """Return the address of a store that is meant from any folder: a check works in one of its own."""
    path = database_path(uri)
    return f"sqlite:///{path}" if path else uri


class Evidence:
    """A learner's store and output files, for reading only.

    Parameters
    ----------
    uri
        Tracking URI of the store to judge; the current one when not given.
    home
        Folder with ``outputs`` and ``mlartifacts``; the current `store.home` when not given.
    confined
        Read no artifact outside `home`: the store is a stranger's, and may name any path.
    since
        Seconds since the epoch at which the learner opened this homework; None for a store that holds nothing else. An
        older run, experiment or registered model under another name is a lecture's or another homework's, so it is no
        mistake.
    """

    def __init__(
        self, uri: str | None = None, home: Path | None = None, confined: bool = False, since: float | None = None
    ) -> None:
        self.confined, self.since = confined, since
        self.here = Path.cwd()
        self.uri = _absolute(uri or mlflow.get_tracking_uri())
        self.home = home or store.home()
        self.client = mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    # ---- experiments and runs -------------------------------------------------------------------------------------

    def experiment_id(self, name: str) -> str:
        """Return the id of an experiment, or tell that it is not there, misspelt or deleted."""
        found = self.client.get_experiment_by_name(name)
        if found is None:
            others = [e.name for e in self.client.search_experiments() if self._of_now(e.creation_time)]
            if near := nearest(name, others):
                raise Mistake(
                    "experiment-name",
                    f"There is an experiment {instead(near, name)} Names must agree letter by "
                    "letter, or your runs and those of your team end up in two places. Correct the name, run again.",
                )
            if stray := self._stray_store():
                raise Mistake(
                    "other-store",
                    f"The course store has no experiment `{name}`, but there is another store, `{stray}`, beside your "
                    "notebook: your runs went there. Call `store.connect()` before you log, and run the cell again.",
                )
            raise NotStarted(f"There is no experiment `{name}` yet. Fill in the cell above and run it.")
        if found.lifecycle_stage == "deleted":
            raise Mistake(
                "experiment-deleted",
                f"The experiment `{name}` is in the trash, so its runs cannot be found. Restore it: "
                f'`mlflow.MlflowClient().restore_experiment("{found.experiment_id}")`.',
            )
        return found.experiment_id

    def _stray_store(self) -> str | None:
        """Return the name of a database or old run folder in the notebook's folder that is not the course store."""
        if database_path(self.uri) != self.here / "mlflow.db" and (self.here / "mlflow.db").is_file():
            return "mlflow.db"
        return "mlruns" if any(self.here.glob("mlruns/*/meta.yaml")) else None

    def runs(self, experiment: str, filter_string: str = "", max_results: int = 500) -> list[Run]:
        """Return the runs of an experiment, newest first."""
        return list(
            self.client.search_runs(
                [self.experiment_id(experiment)],
                filter_string,
                order_by=["attributes.start_time DESC"],
                max_results=max_results,
            )
        )

    def latest_run(
        self,
        experiment: str,
        run_name: str,
        finished: bool = True,
        others: Collection[str] = (),
        asked: Collection[str] = (),
    ) -> Run:
        """Return the newest run of that name, or tell what is there instead.

        Parameters
        ----------
        experiment, run_name
            Where to look, and for what.
        finished
            Whether the run must have ended well.
        others
            Experiments in which a lecture makes, or another task asks for, a run of the same name.
        asked
            Further names that the task asks for: such a run is no misspelling of this one.

        Raises
        ------
        Mistake
            ``wrong-experiment``, ``run-name``, ``run-missing``, ``run-deleted``, ``run-open``, ``run-failed``.
        NotStarted
            When there is nothing yet.
        """
        if "'" in run_name:
            raise CourseError(f"A check asks for the run {run_name!r}; a quote cannot stand in a filter.")
        query = f"attributes.run_name = '{run_name}'"
        exists = self.client.get_experiment_by_name(experiment)
        active = exists is not None and exists.lifecycle_stage == "active"
        found = self.runs(experiment, query, 1) if active else []
        if found:
            if finished:
                self.finished(found[0])
            return found[0]
        if exists is None:
            with contextlib.suppress(NotStarted):
                self.experiment_id(experiment)  # a misspelt or other store is the likelier reason
        elsewhere = ""
        for other in self.client.search_experiments():
            if other.name == experiment or not self._since(other.experiment_id, query):
                continue
            if other.name not in others and (other.name == "Default" or self._of_now(other.creation_time)):
                raise Mistake(
                    "wrong-experiment",
                    f"Your run `{run_name}` is in the experiment `{other.name}`, not in `{experiment}`. Runs that are "
                    f'compared belong together: call `mlflow.set_experiment("{experiment}")` before the run starts.',
                )
            # One from before this homework was opened is a lecture's, which may have been run again: no mistake, but said.
            elsewhere = (
                f" (`{other.name}` has a run of this name. If it is your answer, call "
                f'`mlflow.set_experiment("{experiment}")` before the run starts.)'
            )
        try:
            number = self.experiment_id(experiment)
        except NotStarted as nothing:
            raise NotStarted(f"{nothing}{elsewhere}") from None
        gone = self.client.search_runs([number], query, run_view_type=ViewType.DELETED_ONLY, max_results=1)
        if gone:
            raise Mistake(
                "run-deleted",
                f"The run `{run_name}` is in the trash; a deleted run is in no search and no comparison. "
                "Restore it in the UI, or run the cell again.",
            )
        names = {r.info.run_name for r in self.client.search_runs([number], max_results=50)}
        if not names:
            raise NotStarted(f"The experiment `{experiment}` has no runs yet.{elsewhere}")
        strange = names - set(asked)
        if not strange:
            raise Mistake(
                "run-missing",
                f"`{experiment}` has {listing(names)}, and no run `{run_name}` yet. The task asks for all of them: what is "
                "missing can be neither compared nor found.",
            )
        near = nearest(run_name, strange)
        seen = instead(near, run_name) if near else f"{listing(strange)}."
        raise Mistake(
            "run-name",
            f"No run is called `{run_name}`; I see {seen} A name is how people find a run: "
            "pass `run_name=` to `start_run`, or rename it in the UI.",
        )

    def _since(self, experiment_id: str, query: str) -> bool:
        """Tell whether an experiment has a run that was started while the learner worked at this homework."""
        newest = self.client.search_runs([experiment_id], query, order_by=["attributes.start_time DESC"], max_results=1)
        return bool(newest) and self._of_now(newest[0].info.start_time)

    def _of_now(self, milliseconds: int) -> bool:
        """Tell whether something was made while the learner worked at this homework."""
        return self.since is None or milliseconds >= self.since * 1000

    @staticmethod
    def finished(run: Run) -> None:
        """Tell when a run is still open (``run-open``) or ended with an exception (``run-failed``)."""
        if run.info.status == "RUNNING":
            raise Mistake(
                "run-open",
                f"The run `{run.info.run_name}` is still RUNNING: nothing has ended it, so nobody knows whether its numbers "
                "are final. Put the work inside `with mlflow.start_run(...):`, which ends it for you; a run that a client made "
                "is ended by `set_terminated(run_id)`.",
            )
        if run.info.status != "FINISHED":
            raise Mistake(
                "run-failed",
                f"The run `{run.info.run_name}` ended {run.info.status}: the code inside the `with` block "
                "raised an error, so what it logged may not be whole. Read the error, mend it, run the cell again.",
            )

    def children(self, parent: Run) -> list[Run]:
        """Return the child runs of a parent, newest first."""
        return list(
            self.client.search_runs(
                [parent.info.experiment_id],
                f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'",
                order_by=["attributes.start_time DESC"],
                max_results=500,
            )
        )

    # ---- what a run holds -----------------------------------------------------------------------------------------

    param, number_param = staticmethod(logged.param), staticmethod(logged.number_param)
    metric, tag = staticmethod(logged.metric), staticmethod(logged.tag)

    def history(self, run: Run, name: str) -> list[Metric]:
        """Return all points of a metric in the order of their steps; codes as in `metric`."""
        self.metric(run, name)
        return sorted(self.client.get_metric_history(run.info.run_id, name), key=lambda m: (m.step, m.timestamp))

    def local(self, artifact_uri: str) -> Path:
        """Return the local folder of an artifact URI, found in `home` when the store was copied there.

        Artifact locations in the database are absolute, so a submitted copy still names the learner's folder.
        """
        path = artifact_uri.removeprefix("file://")
        marker = "/mlartifacts/"
        if marker in path:
            here = self.home / "mlartifacts" / path.split(marker, 1)[1]
            if self.confined or here.exists() or not Path(path).exists():
                return here
        return self.home / "mlartifacts" / "elsewhere" if self.confined else Path(path)

    def artifacts(self, run: Run) -> list[str]:
        """Return the relative paths of all artifact files of a run."""
        root = self.local(run.info.artifact_uri)
        return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()) if root.is_dir() else []

    def artifact(self, run: Run, path: str) -> Path:
        """Return an artifact as a local file. Code: ``artifact-missing``, ``artifact-name``."""
        files = self.artifacts(run)
        if path in files:
            return self._inside(self.local(run.info.artifact_uri), path)
        near = nearest(path, files) or next((f for f in files if os.path.basename(f) == os.path.basename(path)), None)
        if near:
            raise Mistake(
                "artifact-name",
                f"The run has the artifact {instead(near, path)} Code that reads it next asks for "
                "the exact path: log it under that one.",
            )
        seen = f"It has {listing(files)}." if files else "It has no artifacts."
        raise Mistake(
            "artifact-missing",
            f"The run `{run.info.run_name}` has no artifact `{path}`. {seen} A file beside the notebook is not in "
            "the record: log it inside the run.",
        )

    @staticmethod
    def _inside(root: Path, path: str) -> Path:
        """Return ``root/path``, refusing a link or name that leads out of `root`."""
        full = (root / path).resolve()
        if not full.is_relative_to(root.resolve()):
            raise Mistake(
                "artifact-outside",
                f"`{path}` is a link that leads out of its folder, so the file would not travel with the run. Put a "
                "copy of the file there.",
            )
        return full

    def models(self, run: Run) -> list[Any]:
        """Return the logged models of a run, oldest first. Code: ``model-missing`` when there is none."""
        outputs = run.outputs.model_outputs if run.outputs else []
        found = []
        for output in outputs:
            try:
                found.append(self.client.get_logged_model(output.model_id))
            except MlflowException:
                continue
        if not found:
            raise Mistake(
                "model-missing",
                f"The run `{run.info.run_name}` has logged no model, so nobody can use what it trained. Log it "
                "inside the run.",
            )
        return sorted(found, key=lambda m: m.creation_timestamp)

    def mlmodel(self, logged_model: Any) -> dict[str, Any]:
        """Return the ``MLmodel`` file of a logged model as a dict; the model itself is never loaded."""
        return read_card(self.local(logged_model.artifact_location), logged_model.name)

    # ---- registry -------------------------------------------------------------------------------------------------

    def registered(self, name: str) -> Any:
        """Return a registered model. Codes: ``registered-name``, not started."""
        try:
            return self.client.get_registered_model(name)
        except MlflowException:
            names = [m.name for m in self.client.search_registered_models() if self._of_now(m.creation_timestamp)]
            if near := nearest(name, names):
                raise Mistake(
                    "registered-name",
                    f"A model is registered as {instead(near, name)} A service loads a model by its "
                    "exact name: register it under that one.",
                ) from None
            raise NotStarted(f"No model is registered as `{name}` yet.") from None

    def versions(self, name: str) -> list[Any]:
        """Return the versions of a registered model, newest first."""
        self.registered(name)
        found = self.client.search_model_versions(f"name = '{name}'")
        return sorted(found, key=lambda v: -int(v.version))

    def alias(self, name: str, alias: str) -> Any:
        """Return the version that an alias points at. Codes: ``alias-case``, ``alias-missing``."""
        aliases = dict(self.registered(name).aliases)
        if alias in aliases:
            return self.client.get_model_version_by_alias(name, alias)
        if near := nearest(alias, aliases):
            raise Mistake(
                "alias-case",
                f"`{name}` has the alias {instead(near, alias)} Aliases are case-sensitive, so a "
                f"service that loads `@{alias}` finds nothing.",
            )
        raise Mistake(
            "alias-missing",
            f"`{name}` has no alias `{alias}` (it has {listing(aliases) or 'none'}). Set it on the version you mean.",
        )

    # ---- files ----------------------------------------------------------------------------------------------------

    def file(self, homework: str, name: str, others: Sequence[str] = ()) -> Path:
        """Return a file that a task wants in ``outputs/<homework>/``; `others` are those of other tasks.

        Codes: ``file-name``, not started.
        """
        folder = self.home / "outputs" / homework
        path = folder / name
        if path.is_file():
            return self._inside(folder, name)
        files = [p.name for p in folder.glob("*") if p.is_file()] if folder.is_dir() else []
        if near := nearest(name, [file for file in files if file not in others]):
            raise Mistake(
                "file-name",
                f"`outputs/{homework}` has {instead(near, name)} Whoever reads it next opens that "
                "name: write it under that one.",
            )
        raise NotStarted(f"There is no file `outputs/{homework}/{name}` yet.")

    def table(self, homework: str, name: str, columns: Sequence[str], others: Sequence[str] = ()) -> Any:
        """Return a CSV that a task wants as a DataFrame. Codes: ``file-broken``, ``column-missing``, those of `file`."""
        found = csv_of(self.file(homework, name, others))
        need_columns(found, columns, name)
        return found

    judge_number = staticmethod(judge_number)
