"""Execute one notebook with papermill in a folder of its own, and say in one line how it went."""

from __future__ import annotations

import ast
import contextlib
import json
import logging
import math
import os
import sys
import time
import uuid
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import psutil
from nbformat import NotebookNode

from course_runner.kernels.warm import KERNEL_SETTINGS
from course_utils.errors import CourseError

#: Environment variable by which a process that a notebook started is known.
MARK = "COURSE_JOB"
#: Seconds that one cell and one whole notebook may take before they are stopped.
CELL_TIMEOUT, NOTEBOOK_TIMEOUT = 120, 600
#: Bytes of address space of one kernel, where the system can limit it (Linux).
MEMORY_LIMIT = 8 << 30
#: Characters of output that one cell may store; what comes after is cut.
OUTPUT_LIMIT = 1_000_000
KERNEL = "python3"
PARAMETERS_TAG = "parameters"
#: Tags of cells whose exception is expected, and that are not run: nbclient's own words, which nbval shares or is told.
RAISES_TAG, SKIP_TAG = "raises-exception", "skip-execution"
#: What Python raises for text that it cannot read: NUL characters, unhashable keys, too many brackets, …
_UNREADABLE = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError)
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
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def partial(self) -> Path:
        """Where the output goes while it is not whole, and stays when the notebook fails."""
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


class BadNotebook(CourseError):
    """The file is not a notebook that can be executed."""


class BadParameter(CourseError):
    """A parameter that the notebook does not have, or a value that does not fit."""


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


def parameter_defaults(nb: NotebookNode) -> dict[str, Any]:
    """Return the assignments in the cell tagged ``parameters``; a default that is no literal is returned as None.

    Raises
    ------
    BadNotebook
        When that cell is not Python with IPython's magics.
    """
    from IPython.core.inputtransformer2 import TransformerManager

    for number, cell in enumerate(nb.cells, 1):
        if cell.cell_type == "code" and has_tag(cell, PARAMETERS_TAG):
            source = cell.source.lstrip()
            if source.startswith("%%"):  # what a cell magic (%%time) gets is Python too
                source = source.partition("\n")[2]
            try:
                body = ast.parse(TransformerManager().transform_cell(source)).body
            except _UNREADABLE as error:
                raise BadNotebook(f"Cell {number}, tagged 'parameters', is not Python: {error}.") from None
            defaults = {}
            for node in body:
                targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
                for target in targets:
                    if isinstance(target, ast.Name) and getattr(node, "value", None) is not None:
                        try:
                            defaults[target.id] = ast.literal_eval(node.value)
                        except _UNREADABLE:
                            defaults[target.id] = None
            return defaults
    return {}


def convert_parameters(nb: NotebookNode, given: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the given values in the types of the notebook's defaults.

    Raises
    ------
    BadParameter
        For a name that is no identifier, that the notebook does not have, or a value of another type.
    """
    if not given:
        return {}
    from difflib import get_close_matches

    defaults = parameter_defaults(nb)
    converted = {}
    for key, value in given.items():
        if not key.isidentifier():
            raise BadParameter(f"{key!r} is not a Python name, so it cannot be a parameter.")
        if not defaults:
            raise BadParameter(f"{name} has no cell tagged 'parameters', so {key}={value!r} has nowhere to go.")
        if key not in defaults:
            near = get_close_matches(key, defaults, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise BadParameter(f"{name} has no parameter {key!r}; it has {', '.join(defaults)}.{hint}")
        converted[key] = _convert(value, defaults[key], key)
    return converted


def literal(value: Any) -> str:
    """Return a value as Python text.

    papermill 2.7 turns tuples, sets and the keys of dicts into strings.

    Raises
    ------
    BadParameter
        When it is no number, text or None, nor a list, tuple, set or dict of these.
    """
    if isinstance(value, float):
        return float.__repr__(value) if math.isfinite(value) else f"float('{float.__repr__(value)}')"
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, (str, bytes)):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple, set)):
        inside = ", ".join(map(literal, value))
        if isinstance(value, list):
            return f"[{inside}]"
        if isinstance(value, tuple):
            return f"({inside}{',' if len(value) == 1 else ''})"
        return f"{{{inside}}}" if value else "set()"
    raise BadParameter(
        f"{value!r} is {type(value).__name__}; a parameter is a number, text, None, or a list, tuple, set or dict of these."
    )


class _Code(str):
    """Python text of a value that JSON has no word for: papermill notes the parameters in the notebook's metadata."""


def _storable(value: Any) -> Any:
    """Return the value, or its Python text when a notebook file cannot hold it."""
    try:
        json.dumps(value, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError):
        return _Code(literal(value))
    return _Code(literal(value)) if isinstance(value, tuple) else value


def _convert(value: Any, default: Any, key: str) -> Any:
    """Return `value` in the type of `default`; text is parsed as a Python literal first."""
    wanted = type(default)
    literal(value)
    if isinstance(value, str) and wanted is not str:
        text = {"true": "True", "false": "False", "null": "None"}.get(value.lower(), value)
        try:
            value = float(text) if wanted is float else ast.literal_eval(text)
        except _UNREADABLE:
            if default is None:
                return value
            raise BadParameter(f"{key}={value!r} is text; the default is {default!r} ({wanted.__name__}).") from None
    if default is None or value is None or isinstance(value, bool) is not (wanted is bool):
        if default is None or value is None:
            return value
        raise BadParameter(
            f"{key}={value!r} is {type(value).__name__}; the default is {default!r} ({wanted.__name__})."
        )
    if wanted is float and isinstance(value, int):
        return float(value)
    if wanted is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if wanted in (list, tuple) and isinstance(value, (list, tuple)):
        return wanted(value)
    if not isinstance(value, wanted):
        raise BadParameter(
            f"{key}={value!r} is {type(value).__name__}; the default is {default!r} ({wanted.__name__})."
        )
    return value


def kernel_environment(job: Job) -> dict[str, str]:
    """Return the environment of the job's kernel: ours, the job's own, and one home for everything it writes."""
    environment = {**os.environ, **KERNEL_SETTINGS, "COURSE_HOME": str(job.home), MARK: job.mark, **job.environment}
    environment.pop("PYTEST_CURRENT_TEST", None)  # with it, ipykernel 7.4 leaves out what child processes print
    if "MLFLOW_TRACKING_URI" not in job.environment:
        environment.pop("MLFLOW_TRACKING_URI", None)
    return environment


def execute(job: Job, on_cell: OnCell | None = None) -> tuple[Outcome, NotebookNode | None]:
    """Execute one notebook; never raises for what the notebook does.

    The output is written aside and moved to ``job.output`` only when it is whole.

    Returns
    -------
    Outcome
        How it went.
    NotebookNode or None
        The notebook with its outputs as far as they came; None when it could not be read.
    """
    start = time.perf_counter()
    outcome = Outcome(job.name, output=str(job.output))
    nb: NotebookNode | None = None
    try:
        nb = read_notebook(job.source)
        parameters = convert_parameters(nb, job.parameters, job.name)
        for folder in (job.home, job.cwd, job.partial.parent):
            folder.mkdir(parents=True, exist_ok=True)
        job.output.unlink(missing_ok=True)
        nb = _run(nb, job, parameters, on_cell, outcome)
        _judge(nb, outcome)
    except BadNotebook as error:
        outcome.status, outcome.error, outcome.output = "bad notebook", str(error), ""
    except BadParameter as error:
        outcome.status, outcome.error, outcome.output = "bad parameter", str(error), ""
    except KeyboardInterrupt:
        outcome.status, outcome.error = "interrupted", "stopped by Ctrl-C"
    except Exception as error:  # papermill and nbclient raise many unrelated types
        _diagnose(error, nb, outcome, job)
    if nb is not None and outcome.status not in ("bad notebook", "bad parameter"):
        _write(nb, job, outcome)
    outcome.seconds = round(time.perf_counter() - start, 3)
    return outcome, nb


def _run(
    nb: NotebookNode, job: Job, parameters: dict[str, Any], on_cell: OnCell | None, outcome: Outcome
) -> NotebookNode:
    """Hand the notebook to papermill with our engine."""
    import papermill
    from papermill.engines import NBClientEngine, papermill_engines
    from papermill.translators import PythonTranslator, papermill_translators

    from course_runner.batch.timed_client import TimedNotebookClient
    from course_runner.kernels.sockets import SocketKernelManager

    logging.getLogger("papermill").setLevel(logging.CRITICAL)

    class Engine(NBClientEngine):
        """papermill's own engine, with a client that reports cells and stops a notebook in time."""

        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **options):
            # papermill executes a copy; a caller that catches an exception needs what has run so far.
            holder["nb"] = nb_man.nb
            client = TimedNotebookClient(
                nb_man,
                kernel_name=kernel_name,
                kernel_manager_class=SocketKernelManager,
                timeout=job.cell_timeout,
                startup_timeout=60,
                deadline=time.monotonic() + job.notebook_timeout,
                on_cell=on_cell,
                memory_limit=job.memory_limit,
                output_limit=OUTPUT_LIMIT,
                resources={"metadata": {"path": str(job.cwd)}},
            )
            try:
                with job.kernel_log.open("w") as log:
                    return client.execute(env=kernel_environment(job), stdout=log, stderr=log)
            finally:
                for cell in nb_man.nb.cells:  # papermill 2.7 takes an error for a failure whatever the cell's tags say
                    if has_tag(cell, RAISES_TAG):
                        expected.append((cell, cell.outputs))
                        cell.outputs = [output for output in cell.outputs if output.output_type != "error"]
                if isinstance(client.km, SocketKernelManager):  # only when the kernel did not even start
                    client.km.remove_folder()
                holder["own limit"] = client.own_limit
                left = end_leftovers(job.mark, client.kernel_pid, client.left_running)
                ended_well = sys.exc_info()[0] is None
                if not left and ended_well and getattr(client.started, "had_to_be_ended", False):
                    left = ["its kernel, in which a thread or an exit function was still at work"]
                skipped = [str(n) for n, cell in enumerate(nb_man.nb.cells, 1) if has_tag(cell, SKIP_TAG)]
                notes = [
                    client.note,
                    f"did not run, as its tag says: cell {', '.join(skipped)}" if skipped else "",
                    f"ended what it left running: {', '.join(left)}" if left else "",
                ]
                outcome.note = "; ".join(filter(None, notes))

    class Translator(PythonTranslator):
        """Writes every parameter as Python text."""

        @classmethod
        def translate(cls, val):
            return str(val) if isinstance(val, _Code) else literal(val)

    holder, expected = {"nb": nb}, []
    papermill_translators.register("python", Translator)
    engine = f"course-{job.mark}"  # a Dask worker executes notebooks in several threads, and the registry is global
    papermill_engines.register(engine, Engine)
    kernel = nb.metadata.get("kernelspec", {}).get("name") or KERNEL
    # papermill reads a notebook from a file; the one read above may have been upgraded.
    job.partial.write_text(nbformat.writes(nb), encoding="utf8")
    try:
        return papermill.execute_notebook(
            str(job.partial).replace("{", "{{").replace("}", "}}"),  # papermill fills in parameters there
            None,
            parameters={name: _storable(value) for name, value in parameters.items()},
            engine_name=engine,
            kernel_name=kernel,
            language="python",
            progress_bar=False,
        )
    except Exception as error:
        error.own_limit = holder.get("own limit")  # type: ignore[attr-defined]
        nb.cells, nb.metadata = holder["nb"].cells, holder["nb"].metadata
        raise
    finally:
        papermill_engines._engines.pop(engine, None)
        for cell, outputs in expected:
            cell.outputs = outputs


def end_leftovers(mark: str, kernel_pid: int | None = None, seen: dict[psutil.Process, str] | None = None) -> list[str]:
    """Kill every process that the kernel started and left running, and return their command lines.

    They are those that were `seen` below it (the kernel itself may have ended them since), or are known by the mark in
    their environment or, when only forked, by the kernel's session.
    """
    left = dict.fromkeys(seen.values()) if seen else {}
    known = {process.pid for process in seen or () if process.is_running()}  # a pid may have been used again
    for process in psutil.process_iter(["pid", "cmdline"]):
        try:
            pid = process.info["pid"]
            mine = pid in known or process.environ().get(MARK) == mark
            if not mine and kernel_pid is not None and hasattr(os, "getsid"):
                mine = os.getsid(pid) == kernel_pid
            if mine and pid not in (os.getpid(), kernel_pid):
                command = " ".join(process.info["cmdline"] or [str(pid)])
                process.kill()
                left["a forked copy of the kernel" if "warm_server" in command else command] = None
        except (psutil.Error, OSError):
            continue
    return [command[:80] for command in left]


def _judge(nb: NotebookNode, outcome: Outcome) -> None:
    """Find out whether the notebook stopped quietly (``sys.exit(0)``, ``quit()``): then it is not whole."""
    last_run = 1
    for index, cell in enumerate(nb.cells):
        if cell.cell_type != "code" or not cell.source.strip() or has_tag(cell, SKIP_TAG):
            continue
        if cell.get("execution_count") is None:
            outcome.status, outcome.cell = "failed", last_run
            outcome.error = "the cell ended the session (exit or quit); the cells after it did not run"
            return
        last_run = index + 1


def _diagnose(error: Exception, nb: NotebookNode | None, outcome: Outcome, job: Job) -> None:
    """Turn an exception of papermill, nbclient or jupyter_client into status, cell and one sentence."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    text = " ".join(f"{type(error).__name__}: {error}".split())
    outcome.cell = next(
        (
            i + 1
            for i, cell in enumerate(nb.cells if nb is not None else [])
            if cell.metadata.get("papermill", {}).get("status") in ("running", "failed")
        ),
        None,
    )
    if isinstance(error, PapermillExecutionError):
        outcome.status, outcome.error = "failed", " ".join(f"{error.ename}: {error.evalue}".split())
        if error.ename == "CellExecutionError":  # a magic that IPython refuses says so on stderr only
            outcome.error = _last_stderr(nb) or outcome.error
        elif error.ename == "StdinNotImplementedError":
            outcome.error = "the cell asks for input(), and nobody is there to type in a batch; use a parameter"
        elif error.ename == "MemoryError":
            limit = f"a kernel may use {job.memory_limit / 2**30:g} GB, --memory changes that"
            if own := getattr(error, "own_limit", 0):
                limit = f"the notebook has set itself a limit of {own / 2**30:.3g} GB"
            outcome.error = f"{outcome.error.rstrip(': ')} ({limit})"
        # papermill puts markers in front of the failed cell; count without them.
        outcome.cell = error.cell_index + 1
    elif isinstance(error, CellTimeoutError):
        outcome.status = "timeout"
        whole = "used up its time" in str(error)
        outcome.error = (
            f"the notebook ran longer than {job.notebook_timeout} s"
            if whole
            else f"the cell ran longer than {job.cell_timeout} s"
        )
    elif isinstance(error, DeadKernelError):
        outcome.status, outcome.error = "dead kernel", _death(error)
    elif isinstance(error, RuntimeError) and "Kernel died before" in str(error) or isinstance(error, FileNotFoundError):
        outcome.status = "dead kernel"
        outcome.error = f"its kernel did not start: {_last_line(job.kernel_log) or text[:500]}"
    elif isinstance(error, OSError):
        outcome.status = "failed"
        outcome.error = f"it cannot run in {job.output.parent}: {error.strerror or error}"
    elif isinstance(error, NoSuchKernel):
        known = ", ".join(sorted(KernelSpecManager().find_kernel_specs()))
        outcome.status = "bad notebook"
        outcome.error = f"it wants the kernel {error.name!r}, which is not installed; there is {known}"
        outcome.output = ""
        for file in (job.partial, job.kernel_log):
            file.unlink(missing_ok=True)
    else:
        outcome.status, outcome.error = "failed", text[:500]


def _last_stderr(nb: NotebookNode | None) -> str:
    """Return the last line that the notebook wrote to stderr, or an empty string."""
    outputs = [output for cell in nb.cells for output in cell.get("outputs", [])] if nb is not None else []
    texts = [output.text for output in outputs if output.get("name") == "stderr"]
    return texts[-1].strip().split("\n")[-1][:500] if texts else ""


def _last_line(log: Path) -> str:
    """Return the last line that a kernel wrote to its log, or an empty string."""
    try:
        lines = log.read_text(encoding="utf8", errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


def _death(error: Exception) -> str:
    """Say how the kernel died, when the provisioner knows."""
    import signal

    code = getattr(error, "exit_code", None)
    if code is None:
        return "the kernel died"
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        hint = "; the system does so when memory runs out" if code == -9 else ""
        return f"the kernel was killed by {name}{hint}"
    return f"the kernel left with exit code {code} in the middle of a cell"


def _write(nb: NotebookNode, job: Job, outcome: Outcome) -> None:
    """Write the notebook: to its place when it is whole, else to the folder of partial ones."""
    try:
        text = nbformat.writes(nb)
        job.partial.write_text(text, encoding="utf8")
        if outcome.ok:
            os.replace(job.partial, job.output)
            job.kernel_log.unlink(missing_ok=True)
        else:
            outcome.output = str(job.partial)
    except OSError as error:
        reason = f"the executed notebook cannot be written to {job.output.parent}: {error.strerror or error}"
        outcome.error = (
            f"{outcome.error}; {reason}" if outcome.error and "cannot run in" not in outcome.error else reason
        )
        outcome.status, outcome.output = "failed", ""
        with contextlib.suppress(OSError):  # a piece of a notebook is of no use
            job.partial.unlink()
    except (TypeError, ValueError) as error:
        outcome.status, outcome.output = "failed", ""
        outcome.error = f"the executed notebook cannot be stored: {' '.join(str(error).split())[:300]}"
