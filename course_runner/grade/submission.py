"""The two steps of grading that run in a process of their own: execute a stranger's notebook, read a stranger's store.

``python -I -m course_runner.grade.submission run FOLDER CELL_TIMEOUT LIMITS`` executes the cells in ``FOLDER/cells.json``, a
list of texts, and prints JSON lines, of which the last one counts. ``… judge`` reads one JSON line for each store on stdin,
and judges it in a fork of its own; for each it prints one JSON line. Neither loads a model.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Status of a notebook whose kernel has ended before its last cell.
DIED = "kernel died"
#: Characters of a check's message that are kept.
MESSAGE = 3000
#: Seconds that a notebook's exit handlers and threads may take.
PATIENCE = 5
#: New objects, and collections of the younger generation, between two garbage collections. Importing MLflow and scikit-learn
#: makes a million objects that stay: with Python's own numbers a fifth of the time goes into looking at them 900 times.
COLLECT_SELDOM = (200_000, 20, 100)


def run(folder: Path, cell_timeout: int) -> None:
    """Execute the notebook's cells in this process, errors and all, print its status, and end; its outputs decide nothing.

    This process is an ordinary IPython kernel, except that nobody sends it messages: it is handed one cell after the other.
    A front end of its own, in a second process, would cost as much time as the cells of a homework.

    The status is ``ok``, ``kernel died``, ``timeout`` (cells after it still ran), or the first error and its cell, for
    example ``SyntaxError (code cell 4)``, ``asks for input (code cell 4)``, ``missing package xgboost (code cell 4)``.
    """
    answer, nothing = os.dup(1), os.open(os.devnull, os.O_RDWR)
    for shown in (1, 2):
        os.dup2(nothing, shown)

    def tell(status: str) -> None:
        os.write(answer, json.dumps({"status": status}).encode() + b"\n")

    from ipykernel.kernelapp import IPKernelApp
    from tornado.ioloop import IOLoop

    cells = json.loads((folder / "cells.json").read_text(encoding="utf8"))
    app = IPKernelApp.instance()
    app.initialize(["-f", str(folder / "tmp" / "kernel.json"), "--HistoryManager.enabled=False"])
    app.shell.InteractiveTB.set_mode("Minimal")  # nobody reads the tracebacks
    _know_packages(folder / "tmp" / "packages.json")
    if any("skops" in cell or "log_model" in cell for cell in cells):
        _import_skops()
    tell(DIED)  # unless it says something else later
    try:
        tell(IOLoop.current().run_sync(lambda: _execute(app, cells, cell_timeout)))
    finally:
        _leave(app)


def _import_skops() -> None:
    """Import skops for a notebook that will need it, before MLflow is there: both together take a quarter less time.

    skops 0.16 looks for each of 800 functions in all modules that are loaded, and imports all of scikit-learn to list its
    estimators, with Dask and pytest, which the list is the same without.
    """
    unneeded = [name for name in ("dask", "pytest") if name not in sys.modules]
    sys.modules |= dict.fromkeys(unneeded)
    with contextlib.suppress(ImportError):  # the notebook is told of it by its own line
        import skops.io  # noqa: F401

        _write_compactly(sys.modules["skops.io._persist"])
    for name in unneeded:
        del sys.modules[name]


def _write_compactly(persist: Any) -> None:
    """Let skops write its JSON without line breaks and indents: Python's fast encoder knows none, and is ten times faster."""

    class Compact:
        @staticmethod
        def dumps(state: Any, **_: Any) -> str:
            return json.dumps(state)

    persist.json = Compact  # skops 0.16 uses nothing else of it there


def _know_packages(file: Path) -> None:
    """Answer what MLflow asks before it logs a model, the package of each module, from a file; see `sandbox`."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import importlib_metadata

        known = file.read_text(encoding="utf8")
        json.loads(known)
        importlib_metadata.packages_distributions = lambda: json.loads(known)


async def _execute(app: Any, cells: list[str], cell_timeout: int) -> str:
    """Execute cells as a kernel executes those that a front end sends; return the status."""
    import asyncio

    kernel, problems = app.kernel, []
    kernel.start()
    for number, source in enumerate(cells, 1):
        reply: dict[str, Any] = {}
        kernel.set_parent([], app.session.msg("execute_request", {"code": source}))
        kernel.pre_handler_hook()
        try:
            with _interrupted(cell_timeout) as timeouts:
                reply = await kernel.do_execute(source, silent=not source.strip())
        except (KeyboardInterrupt, asyncio.CancelledError):  # just before or after the cell's own code
            pass
        finally:
            kernel.post_handler_hook()
        if kernel.shell.exit_now:  # `quit()` only asks for it
            return DIED
        if timeouts:
            problems.insert(0, "timeout")
        elif reply.get("status") == "error":
            problems.append(f"{_in_words(str(reply.get('ename')), str(reply.get('evalue')))} (code cell {number})")
    return problems[0] if problems else "ok"


@contextlib.contextmanager
def _interrupted(seconds: int) -> Iterator[list[None]]:
    """Interrupt the main thread after so many seconds, and again and again; the list has an item for each time."""
    import asyncio

    times: list[None] = []
    done, loop = threading.Event(), asyncio.get_running_loop()

    def interrupt() -> None:
        while not done.wait(seconds):
            times.append(None)
            if hasattr(signal, "pthread_kill"):  # wakes a sleeping thread, too
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            else:
                signal.raise_signal(signal.SIGINT)
            loop.call_soon_threadsafe(lambda: None)  # what cancels an `await` is done between two events

    threading.Thread(target=interrupt, daemon=True).start()
    try:
        yield times
    finally:
        done.set()


def _in_words(name: str, text: str) -> str:
    """Return what a cell has raised, in words."""
    missing = re.search(r"No module named '([\w.-]{1,40})'", text) if name == "ModuleNotFoundError" else None
    if missing:
        return f"missing package {missing[1]}"
    if name == "StdinNotImplementedError":
        return "asks for input"
    if name == "_IncompleteInputError":  # Python 3.13's own kind of SyntaxError, for code that stops too early
        return "SyntaxError"
    return name if re.fullmatch(r"\w{1,40}", name) else "error"


def _leave(app: Any) -> None:
    """End this process as a kernel that is shut down: MLflow's exit handler ends a run that is still open."""
    import atexit

    end = threading.Timer(PATIENCE, os._exit, (0,))
    end.daemon = True
    end.start()
    atexit.unregister(app.close)  # ipykernel 7.4: it can stall for 10 s in a race for the last flush
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    os._exit(0)


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


def limit(limits: dict[str, int]) -> None:
    """Limit this process and all that it starts; where the system knows no limits, as on Windows, do nothing."""
    with contextlib.suppress(ImportError):
        import resource

        for name, most in limits.items():
            resource.setrlimit(getattr(resource, name), (most, most))


if __name__ == "__main__":
    gc.set_threshold(*COLLECT_SELDOM)
    if sys.argv[1] == "judge":
        judge()
    else:
        limit(json.loads(sys.argv[4]))
        run(Path(sys.argv[2]), int(sys.argv[3]))
