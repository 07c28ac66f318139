"""The course's papermill engine: two time limits, a memory limit, and what the runner tells about each notebook.

Engine and translator register themselves when this module is imported. An entry point would be loaded with every
``import papermill``, also in the notebooks of learners, who want papermill as it is.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

import psutil
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.translators import PythonTranslator, papermill_translators
from traitlets import Instance

from course_runner.batch.job import RAISES_TAG, SKIP_TAG, Execution, has_tag, kernel_environment
from course_runner.batch.leftovers import end_leftovers, running_below
from course_runner.batch.parameters import Code, literal
from course_runner.kernels.sockets import SocketKernelManager

NAME = "course"
#: Characters of output that one cell may store; what comes after is cut.
OUTPUT_LIMIT = 1_000_000


class CourseEngine(NBClientEngine):
    """papermill's own engine, with a client that reports cells and stops a notebook in time."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, execution: Execution, **_: Any) -> NotebookNode:
        """Execute the notebook of an `Execution`, and end what it has left running."""
        job, nb = execution.job, nb_man.nb
        execution.nb = nb
        client = CourseClient(
            nb_man,
            execution=execution,
            kernel_name=kernel_name,
            kernel_manager_class=SocketKernelManager,
            startup_timeout=60,
            resources={"metadata": {"path": str(job.cwd)}},
        )
        try:
            with job.kernel_log.open("w") as log:
                return client.execute(env=kernel_environment(job), stdout=log, stderr=log)
        except _SessionEnded:  # the kernel may be gone before it can answer what papermill asks at the end
            return nb
        finally:
            for cell in nb.cells:  # papermill 2.7 takes every error for a failure and ignores the cell's tags
                if has_tag(cell, RAISES_TAG):
                    execution.expected.append((cell, cell.outputs))
                    cell.outputs = [output for output in cell.outputs if output.output_type != "error"]
            if isinstance(client.km, SocketKernelManager):  # only when the kernel did not even start
                client.km.remove_folder()
            left = end_leftovers(job.mark, client.kernel_pid, client.left_running)
            ended_well = sys.exc_info()[0] is None
            if not left and ended_well and getattr(client.started, "had_to_be_ended", False):
                left = ["its kernel, in which a thread or an exit function was still at work"]
            skipped = [str(n) for n, cell in enumerate(nb.cells, 1) if has_tag(cell, SKIP_TAG)]
            notes = [
                execution.note,
                f"did not run, as its tag says: cell {', '.join(skipped)}" if skipped else "",
                f"ended what it left running: {', '.join(left)}" if left else "",
            ]
            execution.note = "; ".join(filter(None, notes))


class CourseTranslator(PythonTranslator):
    """Writes every parameter as Python text."""

    @classmethod
    def translate(cls, val: Any) -> str:
        """Return the value as Python text."""
        return str(val) if isinstance(val, Code) else literal(val)


papermill_engines.register(NAME, CourseEngine)
papermill_translators.register("python", CourseTranslator)


class _SessionEnded(Exception):
    """A cell has called ``quit()`` or ``exit()``."""


class CourseClient(PapermillNotebookClient):
    """papermill's notebook client under the limits of a job; nbclient's hooks keep its `Execution` up to date."""

    execution = Instance(Execution)
    kernel_pid: int | None = None
    started: Any = None
    _counted, _counted_cell = 0, -1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        hooks = {
            "timeout_func": self._seconds_for,
            "on_cell_start": self._begin,
            "on_cell_executed": self._look_for_exit,
            "on_cell_error": self._look_for_limit,
        }
        super().__init__(*args, **kwargs, **hooks)
        self.left_running: dict[psutil.Process, str] = {}
        self._deadline = time.monotonic() + self.execution.job.notebook_timeout

    def start_new_kernel(self, **kwargs: Any) -> None:
        """Start the kernel, remember its process and limit its address space."""
        super().start_new_kernel(**kwargs)
        self.kernel_pid = getattr(self.km.provisioner, "pid", None)
        self.started = self.km  # nbclient forgets it with the kernel's end
        limit = self.execution.job.memory_limit
        if limit and self.kernel_pid and hasattr(psutil.Process, "rlimit"):
            with contextlib.suppress(psutil.Error, ValueError):
                psutil.Process(self.kernel_pid).rlimit(psutil.RLIMIT_AS, (limit, limit))

    def papermill_execute_cells(self) -> None:
        """Execute the cells as papermill does; note what a kernel died of, and what the cells leave running."""
        try:
            super().papermill_execute_cells()
        except (DeadKernelError, CellTimeoutError) as error:
            index = self.execution.cell
            self.nb_man.cell_exception(self.nb.cells[index], cell_index=index, exception=error)
            process = getattr(getattr(self.km, "provisioner", None), "process", None)
            self.execution.exit_code = process.poll() if process is not None else None
            raise
        except _SessionEnded:
            self._look_for_programs()
            raise
        self._look_for_programs()

    def _look_for_programs(self) -> None:
        if self.kernel_pid is not None:
            self.left_running |= running_below(self.kernel_pid)

    def _begin(self, cell: NotebookNode, cell_index: int) -> None:
        self.execution.cell = cell_index
        if time.monotonic() >= self._deadline:
            self.execution.out_of_time = True
            raise CellTimeoutError("the notebook used up its time limit")
        if self.execution.on_cell:
            self.execution.on_cell(cell_index, len(self.nb.cells))

    def _seconds_for(self, cell: NotebookNode) -> int:
        left, limit = self._deadline - time.monotonic(), self.execution.job.cell_timeout
        self.execution.out_of_time = left < limit  # should this cell run out of it
        return max(1, int(min(limit, left)))

    def _look_for_exit(self, cell: NotebookNode, cell_index: int, execute_reply: dict) -> None:
        # `quit()` only asks the front end to stop the kernel; nbclient 0.11 does not hear it and continues.
        payload = execute_reply["content"].get("payload", [])
        if any(entry.get("source") == "ask_exit" for entry in payload):
            raise _SessionEnded

    def _look_for_limit(self, cell: NotebookNode, cell_index: int, execute_reply: dict) -> None:
        with contextlib.suppress(psutil.Error, AttributeError):  # rlimit is Linux's
            limit = psutil.Process(self.kernel_pid).rlimit(psutil.RLIMIT_AS)[0]
            self.execution.own_limit = limit if 0 < limit < self.execution.job.memory_limit else 0

    def output(self, outs: list, msg: dict, display_id: str, cell_index: int) -> Any:
        """Store an output, up to the limit; an endless one would fill the memory of this process."""
        if cell_index != self._counted_cell:
            self._counted_cell, self._counted = cell_index, 0
        content = msg["content"]
        self._counted += len(content.get("text", "")) + sum(len(str(v)) for v in content.get("data", {}).values())
        if self._counted > OUTPUT_LIMIT:
            if not self.execution.note:
                self.execution.note = (
                    f"cell {cell_index + 1} wrote more than {OUTPUT_LIMIT} characters; the rest is cut"
                )
            return None
        output = super().output(outs, msg, display_id, cell_index)
        if output is not None and output.output_type == "stream":
            before = outs[-2] if len(outs) > 1 else {}
            if before.get("output_type") == "stream" and before["name"] == output.name:
                before["text"] += outs.pop()["text"]  # the kernel cuts a stream where it pleases
        return output
