"""Execute one notebook with papermill in a folder of its own, and say in one line how it went."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from course_runner.batch.job import SKIP_TAG, BadNotebook, Execution, Job, OnCell, Outcome, has_tag, read_notebook
from course_runner.batch.parameters import BadParameter, convert_parameters, storable

KERNEL = "python3"


def execute(job: Job, on_cell: OnCell | None = None) -> tuple[Outcome, NotebookNode | None]:
    """Execute one notebook; never raises for what the notebook does.

    The output is written aside and moved to ``job.output`` only when it is complete.

    Returns
    -------
    Outcome
        How it went.
    NotebookNode or None
        The notebook with its outputs as far as they came; None when it could not be read.
    """
    start = time.perf_counter()
    outcome = Outcome(job.name, output=str(job.output))
    try:
        execution = Execution(job, read_notebook(job.source), on_cell)
    except BadNotebook as error:
        outcome.status, outcome.error, outcome.output = "bad notebook", str(error), ""
        return outcome, None
    try:
        parameters = convert_parameters(execution.nb, job.parameters, job.name)
        for folder in (job.home, job.cwd, job.partial.parent):
            folder.mkdir(parents=True, exist_ok=True)
        job.output.unlink(missing_ok=True)
        execution.nb = _run(execution, parameters)
        _judge(execution.nb, outcome)
    except BadNotebook as error:
        outcome.status, outcome.error, outcome.output = "bad notebook", str(error), ""
    except BadParameter as error:
        outcome.status, outcome.error, outcome.output = "bad parameter", str(error), ""
    except KeyboardInterrupt:
        outcome.status, outcome.error = "interrupted", "stopped by Ctrl-C"
    except Exception as error:  # papermill and nbclient raise many unrelated types
        _diagnose(error, execution, outcome)
    outcome.note = execution.note
    if outcome.status not in ("bad notebook", "bad parameter"):
        _write(execution.nb, job, outcome)
    outcome.seconds = round(time.perf_counter() - start, 3)
    return outcome, execution.nb


def _run(execution: Execution, parameters: dict[str, Any]) -> NotebookNode:
    """Hand the notebook to papermill with our engine."""
    import papermill

    from course_runner.batch.engine import NAME

    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    job, nb = execution.job, execution.nb
    # papermill reads a notebook from a file; the one that was read before may have been upgraded.
    job.partial.write_text(nbformat.writes(nb), encoding="utf8")
    try:
        return papermill.execute_notebook(
            str(job.partial).replace("{", "{{").replace("}", "}}"),  # papermill fills in parameters there
            None,
            parameters={name: storable(value) for name, value in parameters.items()},
            engine_name=NAME,
            kernel_name=nb.metadata.get("kernelspec", {}).get("name") or KERNEL,
            language="python",
            progress_bar=False,
            execution=execution,
        )
    finally:
        for cell, outputs in execution.expected:
            cell.outputs = outputs


def _judge(nb: NotebookNode, outcome: Outcome) -> None:
    """Find out whether the notebook stopped quietly (``sys.exit(0)``, ``quit()``): then it is incomplete."""
    last_run = 1
    for index, cell in enumerate(nb.cells):
        if cell.cell_type != "code" or not cell.source.strip() or has_tag(cell, SKIP_TAG):
            continue
        if cell.get("execution_count") is None:
            outcome.status, outcome.cell = "failed", last_run
            outcome.error = "the cell ended the session (exit or quit); the cells after it did not run"
            return
        last_run = index + 1


def _diagnose(error: Exception, execution: Execution, outcome: Outcome) -> None:
    """Turn an exception of papermill, nbclient or jupyter_client into status, cell and one sentence."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    job = execution.job
    text = " ".join(f"{type(error).__name__}: {error}".split())
    if execution.cell is not None:
        outcome.cell = execution.cell + 1
    if isinstance(error, PapermillExecutionError):
        outcome.status, outcome.error = "failed", " ".join(f"{error.ename}: {error.evalue}".split())
        if error.ename == "CellExecutionError":  # a magic that IPython refuses says so on stderr only
            outcome.error = _last_stderr(execution) or outcome.error
        elif error.ename == "StdinNotImplementedError":
            outcome.error = "the cell asks for input(), and nobody is there to type in a batch; use a parameter"
        elif error.ename == "MemoryError":
            limit = f"a kernel may use {job.memory_limit / 2**30:g} GB, --memory changes that"
            if execution.own_limit:
                limit = f"the notebook has set itself a limit of {execution.own_limit / 2**30:.3g} GB"
            outcome.error = f"{outcome.error.rstrip(': ')} ({limit})"
        # papermill puts markers in front of the failed cell; count without them.
        outcome.cell = error.cell_index + 1
    elif isinstance(error, CellTimeoutError):
        outcome.status = "timeout"
        outcome.error = (
            f"the notebook ran longer than {job.notebook_timeout} s"
            if execution.out_of_time
            else f"the cell ran longer than {job.cell_timeout} s"
        )
    elif isinstance(error, DeadKernelError):
        outcome.status, outcome.error = "dead kernel", _death(execution)
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


def _last_stderr(execution: Execution) -> str:
    """Return the last line that the notebook wrote to stderr, or an empty string."""
    outputs = [output for cell in execution.nb.cells for output in cell.get("outputs", [])]
    texts = [output.text for output in outputs if output.get("name") == "stderr"]
    return texts[-1].strip().split("\n")[-1][:500] if texts else ""


def _last_line(log: Path) -> str:
    """Return the last line that a kernel wrote to its log, or an empty string."""
    try:
        lines = log.read_text(encoding="utf8", errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


def _death(execution: Execution) -> str:
    """Say how the kernel died, when the provisioner knows."""
    import signal

    code = execution.exit_code
    if code is None:
        return "the kernel died"
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        hint = "; the system does so when memory runs out" if code == -9 else ""
        return f"the kernel was killed by {name}{hint}"
    return f"the kernel left with exit code {code} in the middle of a cell"


def _write(nb: NotebookNode, job: Job, outcome: Outcome) -> None:
    """Write the notebook: to its place when it is complete, else to the folder of partial ones."""
    try:
        text = nbformat.writes(nb)
        job.partial.write_text(text, encoding="utf8")
        if outcome.ok:
            os.replace(job.partial, job.output)
            for old in (job.kernel_log, job.partial.with_suffix(".html")):
                old.unlink(missing_ok=True)
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
