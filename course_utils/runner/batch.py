"""Run the series as a papermill batch: one store, one report, each notebook's failure kept to itself."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import CourseError
from . import pool, record, report
from .build import TIMES
from .execute import (
    CELL_TIMEOUT,
    NOTEBOOK_TIMEOUT,
    BadNotebook,
    BadParameter,
    Job,
    Outcome,
    convert_parameters,
    parameter_defaults,
    read_notebook,
)

PLAN = "batch.json"


@dataclass
class Batch:
    """What a batch runs and where it leaves it.

    Attributes
    ----------
    folder
        Home of the batch: executed notebooks, store, outputs, report.
    notebooks
        Label (``notebooks/03_mlflow_basics.ipynb``) → file.
    parameters
        Values for every notebook that has a parameter of that name.
    """

    folder: Path
    notebooks: dict[str, Path]
    parameters: dict[str, Any] = field(default_factory=dict)
    cell_timeout: int = CELL_TIMEOUT
    notebook_timeout: int = NOTEBOOK_TIMEOUT

    @property
    def uri(self) -> str:
        """Tracking URI of the batch's store."""
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.folder / 'mlflow.db'}"

    def output(self, label: str) -> Path:
        """Return where an executed notebook goes."""
        return self.folder / label

    def save(self) -> None:
        """Write the plan, from which ``--resume`` goes on."""
        plan = {
            "notebooks": {label: str(path) for label, path in self.notebooks.items()},
            "parameters": self.parameters,
            "cell_timeout": self.cell_timeout,
            "notebook_timeout": self.notebook_timeout,
        }
        _write(self.folder / PLAN, json.dumps(plan, indent=1))


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(text, encoding="utf8")
        os.replace(aside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise CourseError(
            f"{path} cannot be written: {error}. Nothing was run. Choose a folder with space that you may write to (-o)."
        ) from error


def new_folder(root: Path) -> Path:
    """Return a folder for a new batch, named by the time."""
    return root / "runs" / datetime.now().strftime("%Y-%m-%d_%H%M%S")


def latest_folder(root: Path) -> Path:
    """Return the newest batch folder.

    Raises
    ------
    CourseError
        When there is none.
    """
    found = sorted(p.parent for p in (root / "runs").glob(f"*/{PLAN}"))
    if not found:
        raise CourseError("There is no batch to resume: runs/ holds none. Start one with `course run`.")
    return found[-1]


def load(folder: Path) -> Batch:
    """Read the plan of an earlier batch.

    Raises
    ------
    CourseError
        When the folder holds none.
    """
    try:
        plan = json.loads((folder / PLAN).read_text(encoding="utf8"))
        return Batch(
            folder,
            {label: Path(path) for label, path in plan["notebooks"].items()},
            plan["parameters"],
            plan["cell_timeout"],
            plan["notebook_timeout"],
        )
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise CourseError(f"{folder} holds no batch that can be resumed ({PLAN}: {error}).") from error


def check_parameters(batch: Batch) -> dict[str, dict[str, Any]]:
    """Return each notebook's own parameters, before anything runs.

    A value goes to every chosen notebook that has a parameter of that name.

    Raises
    ------
    BadParameter
        When no chosen notebook has it, or a value does not fit.
    """
    own: dict[str, dict[str, Any]] = {}
    known: dict[str, set[str]] = {}
    for label, path in batch.notebooks.items():
        try:
            nb = read_notebook(path)
        except BadNotebook:
            continue  # reported as a row of its own
        defaults = parameter_defaults(nb)
        known[label] = set(defaults)
        mine = {k: v for k, v in batch.parameters.items() if k in defaults}
        own[label] = convert_parameters(nb, mine, label)
    for name, value in batch.parameters.items():
        if not name.isidentifier():
            raise BadParameter(f"{name!r} is not a Python name, so it cannot be a parameter.")
        if not any(name in names for names in known.values()):
            from difflib import get_close_matches

            everything = sorted(set().union(*known.values()))
            near = get_close_matches(name, everything, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            listing = ", ".join(everything) or "none"
            raise BadParameter(
                f"No chosen notebook has a parameter {name!r} (given {value!r}); they have: {listing}.{hint}"
            )
    return own


def run(
    batch: Batch,
    root: Path,
    *,
    workers: int,
    resume: bool = False,
    cold: bool = False,
    on_progress: pool.OnProgress | None = None,
) -> list[Outcome]:
    """Run the notebooks of a batch that are not whole yet, and leave report and record.

    Returns
    -------
    list of Outcome
        One per notebook of the batch, in its order; those that were whole before have the status ``ok`` and 0 seconds.
    """
    parameters = check_parameters(batch)
    if not resume and batch.folder.exists() and any(batch.folder.iterdir()):
        raise CourseError(
            f"{batch.folder} is not empty. A batch starts in an empty folder, so that nothing old looks like its result. "
            "Name another with -o, or go on with --resume."
        )
    batch.save()
    done = {label for label in batch.notebooks if resume and batch.output(label).exists()}
    recorder = record.Recorder(batch.uri, batch.folder, batch.parameters)
    jobs = [
        Job(
            label,
            path,
            batch.output(label),
            batch.folder,
            batch.folder / "work" / Path(label).with_suffix(""),
            parameters.get(label, {}),
            {"MLFLOW_TRACKING_URI": batch.uri},
            batch.cell_timeout,
            batch.notebook_timeout,
        )
        for label, path in batch.notebooks.items()
        if label not in done
    ]
    jobs = pool.longest_first(jobs, pool.load_times(root / TIMES))
    outcomes = {
        o.name: o for o, _ in pool.run_jobs(jobs, workers, on_progress, root=root, cold=cold, store_uri=batch.uri)
    }
    pool.save_times(root / TIMES, outcomes.values())
    everything = [
        outcomes.get(label) or Outcome(label, seconds=0.0, output=str(batch.output(label))) for label in batch.notebooks
    ]
    tidy(batch.folder)
    recorder.finish([outcomes[j.name] for j in jobs if j.name in outcomes], parameters)
    _write(batch.folder / "report.json", json.dumps([o.as_dict() for o in everything], indent=1))
    _write(batch.folder / "index.html", report.render(batch, everything, parameters))
    return everything


def tidy(folder: Path) -> None:
    """Remove what only the running batch needed: scratch folders without files, partial notebooks that became whole."""
    work = folder / "work"
    if work.is_dir() and not any(p.is_file() for p in work.rglob("*")):
        shutil.rmtree(work, ignore_errors=True)
    for partial in folder.glob("*/partial"):
        if not any(partial.iterdir()):
            partial.rmdir()


def failed(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the outcomes that are not ``ok``."""
    return [o for o in outcomes if not o.ok]
