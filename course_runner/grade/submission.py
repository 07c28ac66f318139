"""The two steps of grading that run in a process of their own: execute a stranger's notebook, read a stranger's store.

``python -I -m course_runner.grade.submission run FOLDER CELL_TIMEOUT LIMITS`` executes ``FOLDER/submission.ipynb`` and
prints one JSON line. ``… judge`` reads one JSON line for each store on stdin, and judges it in a fork of its own; for each it
prints one JSON line. Neither loads a model.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

#: Characters of output that are kept per cell, so that endless printing does not fill the memory.
OUTPUT_LIMIT = 100_000
#: Status when no cell ran because there was no kernel: not the learner's doing.
NO_KERNEL = "no kernel could be started"
#: Characters of a check's message that are kept.
MESSAGE = 3000


def run(folder: Path, cell_timeout: int) -> dict[str, Any]:
    """Execute ``submission.ipynb`` in `folder`, errors and all; its outputs decide nothing.

    Returns
    -------
    dict
        ``status``: ``ok``, ``kernel died``, ``timeout`` (cells after it still ran), or the first error and its cell, for
        example ``SyntaxError (code cell 4)``, ``asks for input (code cell 4)``, ``missing package xgboost (code cell 4)``;
        and ``errors``, the number of cells that raised.
    """
    # jsonschema imports it when it is installed, to check addresses; it builds a grammar for a second, and nbformat has none.
    sys.modules["rfc3987_syntax"] = None
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import DeadKernelError

    class Client(NotebookClient):
        """nbclient that notes interrupted cells and cuts long outputs."""

        timeouts = 0
        _seen: dict[int, int] = {}

        async def _async_handle_timeout(self, timeout: int, cell: Any = None) -> Any:
            self.timeouts += 1
            return await super()._async_handle_timeout(timeout, cell)

        def output(self, outs: list, msg: dict, display_id: str, cell_index: int) -> Any:
            content = msg["content"]
            size = len(content.get("text", "")) + sum(len(str(v)) for v in content.get("data", {}).values())
            self._seen[cell_index] = self._seen.get(cell_index, 0) + size
            return super().output(outs, msg, display_id, cell_index) if self._seen[cell_index] < OUTPUT_LIMIT else None

    try:
        nb = nbformat.read(folder / "submission.ipynb", as_version=4)
    except Exception as error:  # nbformat raises half a dozen types
        return {"status": f"not a notebook ({type(error).__name__})", "errors": 0}
    nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    devnull = open(os.devnull, "w")  # noqa: SIM115  (the kernel keeps it for its life)
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    for cell in code:
        cell.outputs, cell.execution_count = [], None
    for _ in range(3):
        client = Client(
            nb,
            timeout=cell_timeout,
            interrupt_on_timeout=True,
            allow_errors=True,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
        )
        status = "ok"
        try:
            client.execute(stdout=devnull, stderr=devnull)
        except DeadKernelError:
            status = "kernel died"
        except Exception as error:
            status = f"{type(error).__name__}"
            if getattr(client, "code_cells_executed", 0) == 0:  # two kernels that start at once may take the same port
                status = NO_KERNEL
                continue
        break
    if status == "ok":
        status = "timeout" if client.timeouts else _first_error(code)
    errors = sum(any(o.output_type == "error" for o in cell.get("outputs", [])) for cell in code)
    return {"status": status, "errors": errors}


def _first_error(code: list[Any]) -> str:
    """Return what the first cell that raised has raised, in words, or ``ok``."""
    for number, cell in enumerate(code, 1):
        for output in cell.get("outputs", []):
            if output.output_type != "error":
                continue
            name, text = str(output.get("ename")), str(output.get("evalue"))
            missing = re.search(r"No module named '([\w.-]{1,40})'", text) if name == "ModuleNotFoundError" else None
            if missing:
                what = f"missing package {missing[1]}"
            elif name == "StdinNotImplementedError":
                what = "asks for input"
            elif (
                name == "_IncompleteInputError"
            ):  # Python 3.13's own kind of SyntaxError, for code that stops too early
                what = "SyntaxError"
            else:
                what = name if re.fullmatch(r"\w{1,40}", name) else "error"
            return f"{what} (code cell {number})"
    return "ok"


def check(home: Path, number: str) -> list[dict[str, Any]] | str:
    """Judge every task of a homework by the store and the files in `home`; a word on the store when nobody can read it."""
    from course_utils._judge.evidence import Evidence
    from course_utils._judge.task import load_tasks, run_check
    from course_utils._plumbing.noise import quiet
    from course_utils._plumbing.places import sqlite_uri

    quiet()
    try:
        evidence = Evidence(sqlite_uri(home / "mlflow.db"), home, confined=True)
        evidence.client.search_experiments()
    except Exception as error:  # a stranger's file: anything may be wrong with it
        return type(error).__name__
    rows = []
    for n, task in enumerate(load_tasks(number), 1):
        result = run_check(n, task, evidence)
        rows.append(
            {
                "task": n,
                "title": task.title,
                "points": result.points,
                "of": task.points,
                "code": result.code,
                "message": result.message[:MESSAGE],
            }
        )
    return rows


def judge() -> None:
    """Judge one store after another, as lines on stdin name them, until stdin is closed.

    The libraries are imported once. Each store is read in a fork, with limits and a state of its own: what one store does
    to the process that reads it does not reach the next.
    """
    import importlib

    # What the checks use, in the order in which it is cheapest to import; a fork inherits it.
    for name in ("pandas", "sklearn.ensemble", "mlflow.sklearn", "mlflow.store.model_registry.sqlalchemy_store"):
        importlib.import_module(name)
    from course_utils._judge import evidence  # noqa: F401
    from course_utils._judge.task import load_tasks

    for line in sys.stdin:
        request = json.loads(line)
        with contextlib.suppress(Exception):  # the fork says what is wrong with it
            load_tasks(request["homework"])
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.dup2(os.open(os.devnull, os.O_RDWR), 1)
                home = Path(request["home"])
                limit(request["limits"])
                os.environ |= {"HOME": str(home), "COURSE_HOME": str(home), "TMPDIR": str(home / "tmp")}
                os.chdir(home)
                with open(writer, "w", encoding="utf8") as file:
                    json.dump(check(home, request["homework"]), file)
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader, encoding="utf8", errors="replace") as file:
            answer = file.read()
        _, status = os.waitpid(child, 0)
        try:
            json.loads(answer)
        except ValueError:
            answer = json.dumps(f"exit {os.waitstatus_to_exitcode(status)}")
        print(answer, flush=True)


def main(step: list[str]) -> None:
    """Execute a notebook, print how that went as one JSON line, and end the process."""
    answer = run(Path(step[1]), int(step[2]))
    print(json.dumps(answer), flush=True)
    os._exit(0)  # what a notebook left in this process does not run at exit


def limit(limits: dict[str, int]) -> None:
    """Limit this process and all that it starts; where the system knows no limits, as on Windows, do nothing."""
    with contextlib.suppress(ImportError):
        import resource

        for name, most in limits.items():
            resource.setrlimit(getattr(resource, name), (most, most))


if __name__ == "__main__":
    if sys.argv[1] == "judge":
        judge()
    else:
        limit(json.loads(sys.argv[4]))
        main(sys.argv[1:4])
