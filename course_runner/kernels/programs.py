"""Run a Python program in a fork of the warm server as a new interpreter would run it.

What it is asked for comes from ``site/sitecustomize.py``, which runs in the place of the program.
"""

from __future__ import annotations

import builtins
import io
import linecache
import os
import runpy
import signal
import sys
import types
from collections.abc import MutableMapping, Sequence
from importlib.machinery import BuiltinImporter
from typing import Any, TextIO

#: Folder on the ``PYTHONPATH`` of warm kernels.
SITE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "site")


def below(environment: MutableMapping[str, str]) -> None:
    """Let programs that start below this environment ask the warm server for a fork."""
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [SITE, without_site(environment.get("PYTHONPATH"))]))


def without_site(value: str | None) -> str | None:
    """Return a ``PYTHONPATH`` without our folder; None when nothing else is on it."""
    return os.pathsep.join(entry for entry in (value or "").split(os.pathsep) if entry != SITE) or None


def can_be_set(limits: Sequence[Sequence[int]]) -> bool:
    """Tell whether a process of ours may have these limits: rows of number, soft and hard limit."""
    import resource

    def height(value: int) -> float:
        return float("inf") if value == resource.RLIM_INFINITY else value

    return all(height(hard) <= height(resource.getrlimit(number)[1]) for number, _, hard in limits)


def place_files(received: list[int], wanted: Sequence[int]) -> None:
    """Give the received open files the numbers that they have in the process that sent them."""
    import fcntl

    above = max([2, *wanted, *received]) + 1
    moved = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, above) for number in received]
    for number in received:
        os.close(number)
    for source, target in zip(moved, wanted, strict=True):
        os.dup2(source, target)
        os.close(source)


def inherit(wanted: dict[str, Any]) -> None:
    """Take over what a new process inherits from the one that starts it."""
    import resource

    for number, soft, hard in wanted["limits"]:
        if resource.getrlimit(number) != (soft, hard):
            resource.setrlimit(number, (soft, hard))
    os.umask(wanted["umask"])
    os.setpriority(os.PRIO_PROCESS, 0, wanted["nice"])
    os.sched_setaffinity(0, wanted["cores"])
    for number in wanted["ignored"]:
        signal.signal(number, signal.SIG_IGN)


def open_streams() -> None:
    """Open standard input, output and error on descriptors 0, 1 and 2, as a new interpreter does.

    ipykernel watches the descriptors that ``sys.stdout`` and ``sys.stderr`` have: on copies of them, it would miss what
    child processes and C libraries write to 1 and 2.
    """
    errors = sys.__stdin__.errors or "strict"  # type: ignore[union-attr]
    sys.stdin, sys.stdout, sys.stderr = (  # type: ignore[assignment]
        _stream(0, "r", "<stdin>", errors),
        _stream(1, "w", "<stdout>", errors),
        _stream(2, "w", "<stderr>", "backslashreplace", True),
    )
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]


def _stream(number: int, mode: str, name: str, errors: str, line_buffering: bool = False) -> TextIO | None:
    """Return standard input, output or error as a new interpreter opens it; None when it is closed."""
    try:
        raw = io.FileIO(number, mode, closefd=False)
    except OSError:
        return None
    raw.name = name
    through = bool(os.environ.get("PYTHONUNBUFFERED"))
    buffer = io.BufferedReader(raw) if mode == "r" else raw if through else io.BufferedWriter(raw)
    lines = not through and (line_buffering or raw.isatty())
    encoding = sys.__stdin__.encoding  # type: ignore[union-attr]
    file = io.TextIOWrapper(buffer, encoding, errors, line_buffering=lines, write_through=through)  # type: ignore[type-var]
    file.mode = mode  # type: ignore[misc]
    return file


def run(words: list[str]) -> int:
    """Run ``-m MODULE …``, ``-c CODE …`` or ``SCRIPT …`` as the main program, and return the exit code."""
    open_streams()
    sys.orig_argv = [sys.executable, *words]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__dict__.update(__builtins__=builtins, __loader__=BuiltinImporter)
    try:
        _execute(words, main)
        return 0
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        print(error.code, file=sys.stderr)
        return 1
    except BaseException as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:  # not in a new interpreter's trace
            trace = trace.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        if isinstance(error, KeyboardInterrupt):
            for stream in filter(
                None, (sys.stdout, sys.stderr)
            ):  # the hook of Python 3.13 leaves its words in the buffer
                stream.flush()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        return 1


def _execute(words: list[str], main: types.ModuleType) -> None:
    if words[0] == "-m":
        sys.argv = ["-m", *words[2:]]
        sys.path.insert(0, os.getcwd())
        runpy._run_module_as_main(words[1])  # type: ignore[attr-defined]
    elif words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        sys.path.insert(0, "")
        if sys.version_info >= (3, 13):  # whose tracebacks show the lines of `-c`
            linecache.cache["<string>"] = (
                len(words[1]),
                None,
                [f"{line}\n" for line in words[1].splitlines()],
                "<string>",
            )
        exec(compile(words[1], "<string>", "exec"), main.__dict__)
    else:
        sys.argv = words
        sys.path.insert(0, os.path.dirname(os.path.realpath(words[0])))
        path = os.path.join(os.getcwd(), words[0])
        with open(path, "rb") as file:
            code = compile(file.read(), path, "exec")
        main.__dict__.update(__file__=path, __cached__=None)
        exec(code, main.__dict__)
