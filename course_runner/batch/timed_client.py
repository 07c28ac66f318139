"""papermill's notebook client, which also reports each cell, ends a notebook in time and says how a kernel died."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import psutil
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from traitlets import Any as AnyTrait
from traitlets import Float, Int, default


def running_below(kernel: int) -> dict[psutil.Process, str]:
    """Return the processes that cells have left running below a kernel, given by its pid, with their command lines."""
    found = {}
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(kernel).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                end = time.monotonic() + 1
                # Linux tells `Popen` that a program has started a moment before the program has its command line.
                while not (words := " ".join(child.cmdline())) and time.monotonic() < end:
                    time.sleep(0.005)
                # Pools of joblib and multiprocessing keep their helpers until the interpreter ends.
                if words and not any(w in words for w in ("multiprocessing", "loky", "warm_server")):
                    found[child] = words
    return found


class TimedNotebookClient(PapermillNotebookClient):
    """Execute the cells of a papermill notebook under two limits: seconds per cell, and a deadline for all.

    Attributes
    ----------
    deadline
        ``time.monotonic()`` value at which the notebook must be done.
    on_cell
        Called with (index, number of cells) when a cell starts.
    memory_limit
        Bytes of address space for the kernel (Linux); 0 for none.
    output_limit
        Characters that one cell may store; 0 for no limit.
    """

    deadline = Float(float("inf"))
    on_cell = AnyTrait(None, allow_none=True)
    memory_limit = Int(0)
    output_limit = Int(0)
    kernel_pid: int | None = None
    note = ""
    #: Bytes of address space to which a cell that failed has limited the kernel itself; 0 when it has not.
    own_limit = 0
    started: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.left_running: dict[psutil.Process, str] = {}

    def start_new_kernel(self, **kwargs: Any) -> None:
        """Start the kernel, remember its process and limit its address space."""
        super().start_new_kernel(**kwargs)
        self.kernel_pid = getattr(self.km.provisioner, "pid", None)
        self.started = self.km  # nbclient forgets it with the kernel's end
        if self.memory_limit and self.kernel_pid and hasattr(psutil.Process, "rlimit"):
            with contextlib.suppress(psutil.Error, ValueError):
                psutil.Process(self.kernel_pid).rlimit(psutil.RLIMIT_AS, (self.memory_limit, self.memory_limit))

    def output(self, outs: list, msg: dict, display_id: str, cell_index: int) -> Any:
        """Store an output, up to the limit; an endless one would fill the memory of this process."""
        if self.output_limit:
            if cell_index != self._counted_cell:
                self._counted_cell, self._counted = cell_index, 0
            content = msg["content"]
            self._counted += len(content.get("text", "")) + sum(len(str(v)) for v in content.get("data", {}).values())
            if self._counted > self.output_limit:
                if not self.note:
                    self.note = f"cell {cell_index + 1} wrote more than {self.output_limit} characters; the rest is cut"
                return None
        output = super().output(outs, msg, display_id, cell_index)
        if output is not None and output.output_type == "stream":
            before = outs[-2] if len(outs) > 1 else {}
            if before.get("output_type") == "stream" and before["name"] == output.name:
                before["text"] += outs.pop()["text"]  # the kernel cuts a stream where it pleases
        return output

    _counted, _counted_cell = 0, -1
    _asked_to_exit = False

    @default("on_cell_executed")
    def _note_exit(self) -> Any:
        def look(cell: Any, cell_index: int, execute_reply: dict) -> None:
            # `quit()` only asks the front end to stop the kernel; nbclient 0.11 does not hear it and goes on.
            payload = execute_reply["content"].get("payload", [])
            self._asked_to_exit = any(p.get("source") == "ask_exit" for p in payload)

        return look

    def papermill_execute_cells(self) -> None:
        """Execute each cell with what is left of the time."""
        limit = self.timeout
        total = len(self.nb.cells)
        for index, cell in enumerate(self.nb.cells):
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise CellTimeoutError("the notebook used up its time limit")
            self.timeout = max(1, int(min(limit, left)))
            if self.on_cell:
                self.on_cell(index, total)
            if not self._execute_one(cell, index) or self._asked_to_exit:
                break
        if self.kernel_pid is not None:
            self.left_running |= running_below(self.kernel_pid)

    def _execute_one(self, cell: Any, index: int) -> bool:
        """Execute one cell with papermill's bookkeeping; False when it raised."""
        from nbclient.exceptions import CellExecutionError

        try:
            self.nb_man.cell_start(cell, index)
            self.execute_cell(cell, index)
        except CellExecutionError as error:
            with contextlib.suppress(psutil.Error, AttributeError):  # rlimit is Linux's
                limit = psutil.Process(self.kernel_pid).rlimit(psutil.RLIMIT_AS)[0]
                self.own_limit = limit if 0 < limit < self.memory_limit else 0
            self.nb_man.cell_exception(self.nb.cells[index], cell_index=index, exception=error)
            return False
        except (DeadKernelError, CellTimeoutError) as error:
            self.nb_man.cell_exception(self.nb.cells[index], cell_index=index, exception=error)
            process = getattr(getattr(self.km, "provisioner", None), "process", None)
            error.exit_code = process.poll() if process is not None else None
            raise
        self.nb_man.cell_complete(self.nb.cells[index], cell_index=index)
        return True
