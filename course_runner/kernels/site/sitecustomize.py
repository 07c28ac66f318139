"""Runs when Python starts below a warm kernel: lets the warm server fork this program instead of importing everything.

A notebook that starts `mlflow server`, a script or a Dask worker waits three seconds for each to import what the warm
server has imported already. The kernel puts this folder on ``PYTHONPATH``; Python imports this file before the program.
It hands command, environment and open files to the server, passes signals on, and ends as the program ends. A program
that it does not know, or a server that does not answer, starts as always. Only the standard library, and little of it:
everything here is paid at each start.
"""

import os
import sys

SOCKET = "COURSE_WARM_SOCKET"
#: Modules that ``python -m`` may run in a fork (the last one is a process of joblib), and scripts of this environment.
MODULES = ("mlflow", "uvicorn", "joblib.externals.loky.backend.popen_loky_posix")
SCRIPTS = ("mlflow", "uvicorn")
#: What the code behind ``-c`` names: how multiprocessing starts a process, as Dask does, or a library that loads slowly.
SLOW = ("from multiprocessing.spawn import spawn_main", "mlflow")
#: Options of Python that change nothing for a program in a fork: the server has the same environment.
HARMLESS = ("-B", "-Xfrozen_modules=off")


def program() -> list[str]:
    """Return the program's part of the command line when a fork can run it; else an empty list."""
    words = sys.orig_argv[1:]
    while words and words[0] in HARMLESS:
        words = words[1:]
    if words[:1] == ["-m"]:
        return words if words[1] in MODULES else []
    if words[:1] == ["-c"]:
        return words if any(name in words[1] for name in SLOW) else []
    if not words or words[0].startswith("-"):
        return []
    folder, name = os.path.split(os.path.abspath(words[0]))
    if folder == os.path.dirname(sys.executable):
        return words if name in SCRIPTS else []
    own = name.endswith(".py") and not folder.startswith((sys.prefix, sys.base_prefix, os.path.dirname(os.__file__)))
    return words if own and os.access(words[0], os.R_OK) else []


def open_files() -> list[int]:
    """Return the numbers of all open files."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            os.fstat(int(name))
            found.append(int(name))
        except OSError:  # the folder's own
            pass
    return sorted(found)


def hand_over(words: list[str]) -> None:
    """Let the server fork the program, and end with it; return when it cannot."""
    import json
    import resource
    import signal
    import socket

    files = open_files()
    if len(files) > 250:  # Linux sends 253 at once
        return
    umask = os.umask(0)
    os.umask(umask)
    limits = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
    request = {
        "command": [sys.executable, *words],
        "program": {
            "files": files,
            "limits": [[number, *resource.getrlimit(number)] for number in limits],
            "umask": umask,
            "nice": os.getpriority(os.PRIO_PROCESS, 0),
            "cores": sorted(os.sched_getaffinity(0)),
            "ignored": [
                n for n in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM) if signal.getsignal(n) == signal.SIG_IGN
            ],
        },
        "env": dict(os.environ),
        "cwd": os.getcwd(),
    }
    body = json.dumps(request).encode()
    message = len(body).to_bytes(4, "big") + body
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ[SOCKET])
        sent = socket.send_fds(connection, [message], files)
        while sent < len(message):
            sent += connection.send(message[sent:])
        answers = connection.makefile("rb")
        pid = json.loads(answers.readline() or b"{}").get("pid")
        if pid is None:
            return
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:  # it has ended already
            handle = -1

        def forward(number: int, _: object) -> None:
            try:
                signal.pidfd_send_signal(handle, number)
            except OSError:
                pass

        passed = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT)
        for number in passed:
            signal.signal(number, forward)
        code = json.loads(answers.readline() or b'{"exit": -9}')["exit"]
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _next() -> None:
    """Take this folder off the path, and import the `sitecustomize` that it stands before, if there is one."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry != here]
    this = sys.modules.pop("sitecustomize")
    try:
        import sitecustomize  # noqa: F401
    except ImportError:
        sys.modules["sitecustomize"] = this


if SOCKET in os.environ and (_words := program()):
    try:
        hand_over(_words)
    except (OSError, ValueError):
        pass
_next()
