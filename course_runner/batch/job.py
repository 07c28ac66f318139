"""A notebook to execute: the `Job`, its `Execution`, the `Outcome`, and the file that is read."""

from __future__ import annotations

import json
import os
import uuid
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from course_runner.kernels.warm import KERNEL_SETTINGS
from course_utils.errors import CourseError

#: Environment variable by which a process that a notebook started is known.
MARK = "COURSE_JOB"
#: Seconds that one cell and one notebook may take before they are stopped.
CELL_TIMEOUT, NOTEBOOK_TIMEOUT = 120, 600
#: Bytes of address space of one kernel, where the system can limit it (Linux).
MEMORY_LIMIT = 8 << 30
#: Tags of cells whose exception is expected, and that are not run: nbclient's names (nbval shares the first).
RAISES_TAG, SKIP_TAG = "raises-exception", "skip-execution"
#: Called with (index of the cell, number of cells) when a cell starts.
OnCell = Callable[[int, int], None]


@dataclass
class Job:
    """One notebook to execute.

    Attributes
    ----------
    name
        Label for people and reports.
    source
        Notebook file to read.
    output
        Where the executed notebook goes when all went well.
    home
        ``COURSE_HOME`` of the kernel: store, outputs.
    cwd
        Folder the kernel runs in.
    parameters
        Values for the cell tagged ``parameters``.
    environment
        Further environment variables of the kernel.
    view
        Whether the executed notebook also becomes an HTML page, for a report in `home`.
    """

    name: str
    source: Path
    output: Path
    home: Path
    cwd: Path
    parameters: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    cell_timeout: int = CELL_TIMEOUT
    notebook_timeout: int = NOTEBOOK_TIMEOUT
    memory_limit: int = MEMORY_LIMIT
    view: bool = False
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def partial(self) -> Path:
        """Where the output goes while it is incomplete, and stays when the notebook fails."""
        return self.output.parent / "partial" / self.output.name

    @property
    def kernel_log(self) -> Path:
        """What the kernel process itself wrote; kept only when the notebook fails."""
        return self.partial.with_suffix(".log")


@dataclass
class Outcome:
    """How one notebook went.

    ``note`` names what the notebook left behind and the runner ended. ``status`` is ``ok``, ``failed`` (an exception),
    ``dead kernel``, ``timeout``, ``bad notebook``, ``bad parameter``
    or ``interrupted``; ``cell`` counts code and text cells from 1.
    """

    name: str
    status: str = "ok"
    seconds: float = 0.0
    cell: int | None = None
    error: str = ""
    output: str = ""
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether every cell ran to its end."""
        return self.status == "ok"

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as a plain dict."""
        return asdict(self)


@dataclass
class Execution:
    """One job on its way through papermill, and what the engine finds out about it.

    Attributes
    ----------
    job, on_cell
        What to execute, and who wants to know of each cell.
    nb
        The notebook as far as it has run; papermill executes a copy, and returns none when it raises.
    cell
        Index of the cell that runs or ran last; None before the first.
    out_of_time
        Whether the time limit of the notebook, not that of a cell, has ended it.
    own_limit
        Bytes of address space to which a cell that failed has limited the kernel itself; 0 when it has not.
    exit_code
        Of a kernel that died, when it is known.
    note
        What the notebook left behind, and what was cut or skipped.
    expected
        Cells that may raise, with their outputs.
    """

    job: Job
    nb: NotebookNode
    on_cell: OnCell | None = None
    cell: int | None = None
    out_of_time: bool = False
    own_limit: int = 0
    exit_code: int | None = None
    note: str = ""
    expected: list[tuple[NotebookNode, list]] = field(default_factory=list)


class BadNotebook(CourseError):
    """The file is not a notebook that can be executed."""


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook of format 4 (older ones are upgraded).

    Raises
    ------
    BadNotebook
        When the file is missing, empty, not JSON or not a notebook.
    """
    try:
        text = path.read_text(encoding="utf8")
    except FileNotFoundError:
        raise BadNotebook(f"There is no notebook {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadNotebook(f"{path.name} cannot be read: {error}.") from error
    if not text.strip():
        raise BadNotebook(f"{path.name} is empty. Restore it: `git checkout {path.name}` or `course build`.")
    if "<<<<<<< " in text and ">>>>>>> " in text:
        raise BadNotebook(
            f"{path.name} holds merge-conflict marks. Solve the conflict in source/ and run `course build`."
        )
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadNotebook(f"{path.name} is not JSON ({error}), so it is not a notebook. Restore it.") from error
    if not isinstance(raw, dict) or "nbformat" not in raw:
        raise BadNotebook(f"{path.name} is JSON, but not a notebook: it has no 'nbformat'.")
    try:
        with warnings.catch_warnings(action="ignore"):  # two cells with one id: nbformat gives one of them another
            nb = nbformat.reads(text, as_version=4)
            nbformat.validate(nb)
    except Exception as error:  # nbformat raises half a dozen types for a broken structure
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BadNotebook(f"{path.name} is not a valid notebook: {reason}.") from error
    return nb


def has_tag(cell: NotebookNode, tag: str) -> bool:
    """Tell whether a cell has a tag."""
    return tag in cell.metadata.get("tags", [])


def kernel_environment(job: Job) -> dict[str, str]:
    """Return the environment of the job's kernel: ours, the job's own, and one home for everything it writes."""
    environment = {**os.environ, **KERNEL_SETTINGS, "COURSE_HOME": str(job.home), MARK: job.mark, **job.environment}
    environment.pop("PYTEST_CURRENT_TEST", None)  # with it, ipykernel 7.4 leaves out what child processes print
    if "MLFLOW_TRACKING_URI" not in job.environment:
        environment.pop("MLFLOW_TRACKING_URI", None)
    return environment
