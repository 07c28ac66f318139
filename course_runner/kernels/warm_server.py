"""A process that has imported the course's libraries once, and forks an ipykernel from itself for each request.

It has one thread when it forks (threads do not survive a fork), watches over everything that its kernels start, ends a
kernel when the process that asked for it is gone, and ends all of it when the runner ends, whatever ends the runner. With
``--guard`` it imports nothing and starts ordinary kernels, which it watches over in the same way.

A program that a notebook starts (a server, a script, a Dask worker) is forked as well: see `programs`.
A runner inside a runner (a batch that a lecture starts, a command in `course test`) gets a server of its own, forked
from the outer one: the libraries are imported once for all of them. Run as
``python -m course_runner.kernels.warm_server SOCKET --runner PID [--guard] [--remove FOLDER] [--also MODULE …]``. Linux only.
"""

# ruff: noqa: E402  (what is imported from here on is recorded)
from __future__ import annotations

from course_runner.kernels.hidden import Libraries

#: The libraries that this process has imported for its forks.
LIBRARIES = Libraries()
if __name__ == "__main__":
    LIBRARIES.record()

import asyncio
import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import struct
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.machinery import PathFinder
from typing import Any

from course_runner.kernels import programs

#: What the lectures import; the order is theirs.
PRELOAD = (
    "numpy",
    "pandas",
    "pyarrow",
    "scipy.stats",
    "matplotlib.pyplot",
    "seaborn",
    "sklearn.calibration",
    "sklearn.compose",
    "sklearn.datasets",
    "sklearn.ensemble",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.neural_network",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "sklearn.tree",
    "skops.io",
    "mlflow",
    "mlflow.data",
    "mlflow.pyfunc",
    "mlflow.sklearn",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "alembic.command",
    "jupyterquiz",
    "course_utils.data",
    "course_utils.homework",
    "course_utils.lesson",
    "course_utils.store",
)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
#: Module that a kernel specification of ipykernel runs; other kernels are started as their specification says.
LAUNCHER = "ipykernel_launcher"
#: Modules that ``python -m`` runs in a fork, besides the kernel.
SERVER, COMMAND = "course_runner.kernels.warm_server", "course_runner.cli"
#: A new interpreter would do otherwise where one of these differs from what this process was started with.
READ_ON_IMPORT = ("PYTHON", "OPENBLAS", "OMP_", "MKL_", "NPY_", "LD_", "MPL", "LC_", "LANG", "HOME", "XDG_")

#: Signals that end the server and all below it. (Windows has no SIGUSR1, and imports this file for `prctl` alone.)
ENDING = (signal.SIGTERM, getattr(signal, "SIGUSR1", signal.SIGTERM))
#: ``PYTHONHASHSEED`` that Dask gives to its workers, so that all hash alike. The forks of one server do so anyway.
SAME_HASHES = "6640"


def prctl(option: int, value: int) -> None:
    """Call Linux's ``prctl`` with one argument."""
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


class _StandInShell:
    """Answers ``get_ipython()`` during the preload: pandas, tqdm and others look for a notebook while imported."""

    kernel = object()
    config = {"IPKernelApp": {}}

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def _pretend_notebook() -> Callable[[], None]:
    """Let libraries find a notebook, and return a function that puts the truth back everywhere."""
    import builtins

    import IPython
    import IPython.core.getipython as module

    shell = _StandInShell()

    def stand_in() -> _StandInShell:
        return shell

    real = module.get_ipython
    builtins.get_ipython = module.get_ipython = IPython.get_ipython = stand_in  # type: ignore[attr-defined]

    def undo() -> None:
        del builtins.get_ipython  # type: ignore[attr-defined]
        module.get_ipython = IPython.get_ipython = real
        for loaded in list(sys.modules.values()):  # copies made by `from IPython import get_ipython`
            names = getattr(loaded, "__dict__", None)
            if names and names.get("get_ipython") is stand_in:
                names["get_ipython"] = real

    return undo


def preload(also: Sequence[str] = ()) -> list[str]:
    """Import everything; return what an ordinary kernel would have shown on stderr meanwhile (it must be nothing)."""
    shown: list[str] = []

    def note(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
        shown.append(f"{category.__name__}: {message}")

    importlib.import_module("ipykernel.kernelapp")
    importlib.import_module("ipykernel.ipkernel")
    undo = _pretend_notebook()
    before = warnings.showwarning
    warnings.showwarning = note  # type: ignore[assignment]
    try:
        for name in (*PRELOAD, *also):
            importlib.import_module(name)
        if shutil.which("git"):  # MLflow imports it in a notebook's first run; it fails where there is no git
            importlib.import_module("git")
        os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # a warning for people who debug Python's own modules
        importlib.import_module("ipykernel.debugger")
        del os.environ["PYDEVD_DISABLE_FILE_VALIDATION"]
        from mlflow.utils import requirements_utils

        requirements_utils._init_modules_to_packages_map()
    finally:
        warnings.showwarning = before
        undo()
    return shown


def threads() -> int:
    """Return the number of threads of this process."""
    return len(os.listdir("/proc/self/task"))


def _fresh_state(request: dict[str, Any], descriptors: list[int]) -> None:
    """Make the forked child look like a process that has just started."""
    program = request.get("program")
    programs.place_files(descriptors, program["files"] if program else (0, 1, 2))
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.chdir(request["cwd"])
    if program:
        programs.inherit(program)


def _fresh_modules() -> None:
    """Give the preloaded libraries of a forked child what a process that has just started would have."""
    random, tempfile, numpy, store = map(LIBRARIES.peek, ("random", "tempfile", "numpy.random", "course_utils.store"))
    tempfile.tempdir = None  # TMPDIR may be another
    os.environ.pop("_MLFLOW_TELEMETRY_SESSION_ID", None)  # as MLflow's import does where its telemetry is off
    store._ENVIRONMENT_URI = os.environ.get("MLFLOW_TRACKING_URI")  # read on import, for the runner and not for us
    random.seed()
    numpy.seed(None)


def _fresh_libraries(module: str, arguments: list[str]) -> None:
    """Reset library state, then set the standard streams and argv of ``python -m module``."""
    _fresh_modules()
    programs.open_streams()
    sys.argv = [_origin(module), *arguments]


def _origin(module: str) -> str:
    """Return the path of a module's file, which ``python -m`` shows as the first word of ``sys.argv``."""
    spec = PathFinder.find_spec(module)
    return spec.origin if spec and spec.origin else f"{module}.py"


def _become(request: dict[str, Any], descriptors: list[int], warm: bool) -> None:
    """Turn this forked child into the process that was asked for; never returns."""
    parent = os.getppid()
    os.setsid()
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a kernel dies with its server, whatever happens
    if os.getppid() != parent:
        os._exit(1)
    code = 1
    try:
        _fresh_state(request, descriptors)
        command = request["command"]
        module = _module(command)
        program = "program" in request
        if not program and (
            not warm or module not in (LAUNCHER, SERVER, COMMAND) or module == LAUNCHER and LIBRARIES.shadowed(["."])
        ):
            os.environ["JPY_PARENT_PID"] = str(parent)  # the kernel ends itself when this process is gone
            _execute(command)
        if program:
            _fresh_modules()
            code = programs.run(command[1:])
        else:
            sys.orig_argv = command
            os.environ["JPY_PARENT_PID"] = str(parent)
            _fresh_libraries(module, command[command.index(module) + 1 :])
            {LAUNCHER: _kernel, SERVER: main, COMMAND: _command}[module]()
            code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        _leave(code)


def _module(command: list[str]) -> str:
    """Return the module that ``python -m`` runs, or an empty string."""
    return command[command.index("-m") + 1] if "-m" in command[:-1] else ""


def _stands_for(request: dict[str, Any], connection: socket.socket) -> bool:
    """Tell whether a fork of this process is like a new interpreter that the process behind the connection starts."""

    def read(env: Any) -> dict[str, str | None]:
        found = {name: value for name, value in env.items() if name.startswith(READ_ON_IMPORT)}
        if program and found.get("PYTHONHASHSEED") == SAME_HASHES and "PYTHONHASHSEED" not in _environment:
            del found["PYTHONHASHSEED"]
        return found | {"PYTHONPATH": programs.without_site(env.get("PYTHONPATH"))}

    def inherited(pid: int) -> list[Any]:
        names = ("Uid", "Gid", "CapEff", *(() if program else ("Umask", "Cpus_allowed:")))  # a program takes these over
        with open(f"/proc/{pid}/status") as status:
            seen: list[Any] = [line for line in status if line.startswith(names)]
        seen += [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("mnt", "net", "pid", "user")]
        if not program:
            with open(f"/proc/{pid}/limits") as limits:
                seen += [limits.read(), os.getpriority(0, pid)]
        return seen

    program = request.get("program")
    here, there = os.path.join(request["cwd"], "course_utils"), LIBRARIES.peek("course_utils").__path__[0]
    peer = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    try:
        return (
            request["command"][0] == sys.executable
            and read(request["env"]) == read(_environment)
            and (not os.path.isdir(here) or os.path.samefile(here, there))
            and inherited(peer) == inherited(os.getpid())
            and (not program or programs.can_be_set(program["limits"]))
        )
    except OSError:  # who asked is gone, or may not be looked at
        return False


def _kernel() -> None:
    programs.below(os.environ)
    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance(parent_handle=os.getppid())
    app.initialize(sys.argv[1:])
    _end_tracker_before(app.kernel)
    app.start()


def _end_tracker_before(kernel: Any) -> None:
    """Let the resource tracker of ``multiprocessing`` end before a kernel ends its children.

    ipykernel 7.4 sends SIGTERM to each child until it is gone, for seconds. The tracker, which Dask's workers bring
    along, ignores that signal; it ends when its pipe is closed, as it is at the end of any other process.
    """
    at_shutdown = kernel._at_shutdown

    async def close_its_pipe() -> None:
        module = sys.modules.get("multiprocessing.resource_tracker")
        tracker = module._resource_tracker if module else None  # type: ignore[attr-defined]
        if tracker and tracker._fd is not None:
            os.close(tracker._fd)
            pid, tracker._fd, tracker._pid = tracker._pid, None, None
            for _ in range(50):  # workers that still run hold the pipe too
                try:
                    if os.waitpid(pid, os.WNOHANG)[0]:
                        break
                except ChildProcessError:
                    break
                await asyncio.sleep(0.01)
        await at_shutdown()

    kernel._at_shutdown = close_its_pipe


def _command() -> None:
    import runpy

    sys.path.insert(0, os.getcwd())  # as for "-m"
    runpy.run_module(COMMAND, run_name="__main__", alter_sys=True)  # by name: nothing here depends on the verbs


def _execute(command: list[str]) -> None:
    """Replace this forked child by the command; never returns."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and what is ignored stays so
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, os.environ)
    except OSError as error:
        os.write(2, f"{command[0]} cannot be run: {error.strerror}\n".encode())
    finally:
        os._exit(127)  # as a shell does


def _leave(code: int) -> None:
    """End the kernel as an interpreter ends, without tearing down memory that the server shares."""
    import atexit
    import threading

    kernelapp = sys.modules.get("ipykernel.kernelapp")
    app = kernelapp.IPKernelApp.instance() if kernelapp and kernelapp.IPKernelApp.initialized() else None
    try:
        if app:  # ipykernel 7.4: close() can stall for 10 s in a race for the last flush
            atexit.unregister(app.close)
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        if app:
            with contextlib.suppress(Exception):
                app.cleanup_connection_file()
            app.reset_io()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Read one request: four bytes of length, JSON, and its open files: standard input, output and error, or more."""
    data, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 253)
    length = int.from_bytes(data[:4], "big")
    while len(data) - 4 < length:
        more = connection.recv(1 << 20)
        if not more:
            raise ConnectionError("the request ended early")
        data += more
    return json.loads(data[4 : 4 + length]), descriptors


def _descendants() -> list[int]:
    """Return all processes below this one; orphans too, because this process adopts them."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError), open(f"/proc/{entry}/stat") as stat:
                parents.setdefault(int(stat.read().rsplit(")", 1)[1].split()[1]), []).append(int(entry))
    found, rest = [], [os.getpid()]
    while rest:
        children = parents.get(rest.pop(), [])
        found += children
        rest += children
    return found


def _end(*_: Any) -> None:
    """End everything below this process; when the runner is gone, remove what it cannot; then end this process."""
    for _attempt in range(20):
        below = _descendants()
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not below:
            break
        time.sleep(0.02)
    for folder in _folders if _gone() else ():
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _orphaned(*_: Any) -> None:
    """Do so when the parent's thread that started this process has ended: the rest of it may need a moment more."""
    if _runner is not None:
        select.select([_runner], [], [], 2)
    _end()


def _gone() -> bool:
    """Tell whether the runner has ended."""
    if _runner is None:
        return os.getppid() != _parent
    return bool(select.select([_runner], [], [], 0)[0])


#: What this process was started with.
_environment = dict(os.environ)
#: The process that this one works for, as a pidfd when it is not the parent, and what it cannot remove when it is killed.
_parent = os.getppid()
_runner: int | None = None
_folders: list[str] = []


class Server:
    """Listens on a Unix socket, forks a kernel per request, and reports each kernel's exit code on its connection."""

    def __init__(self, path: str, warm: bool) -> None:
        self.warm = warm
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        self.wakeup, self._wake = os.pipe()
        os.set_blocking(self.wakeup, False)
        os.set_blocking(self._wake, False)
        self.kernels: dict[int, socket.socket] = {}
        self.servers: set[int] = set()

    def serve(self) -> None:
        """Serve until the process is ended."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        while True:
            poll = select.poll()  # select() ends at descriptor 1023
            runner = () if _runner is None else (_runner,)
            for readable in (self.listener, self.wakeup, *runner, *self.kernels.values()):
                poll.register(readable, select.POLLIN)
            ready = {descriptor for descriptor, _ in poll.poll()}
            if _runner in ready:
                _end()
            if self.wakeup in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.wakeup, 4096)
            self._reap()
            for pid, connection in list(self.kernels.items()):
                if connection.fileno() in ready:  # nothing is sent after the request: the other side is gone
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        # A server ends all that it has started first.
                        os.kill(pid, signal.SIGTERM) if pid in self.servers else os.killpg(pid, signal.SIGKILL)
            if self.listener.fileno() in ready:
                self._answer()

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                connection = self.kernels.pop(pid, None)
                self.servers.discard(pid)
                if connection is not None:
                    with contextlib.suppress(OSError):
                        connection.sendall(json.dumps({"exit": os.waitstatus_to_exitcode(status)}).encode() + b"\n")
                    connection.close()

    def become(self, request: dict[str, Any], descriptors: list[int]) -> None:
        """Turn this forked child into what was asked for; never returns."""
        _become(request, descriptors, self.warm)

    def _answer(self) -> None:
        connection, _ = self.listener.accept()
        try:
            request, descriptors = _receive(connection)
        except (OSError, ValueError, ConnectionError) as error:
            print(f"warm kernels: bad request: {error}", file=sys.stderr)
            connection.close()
            return
        module = _module(request.get("command", []))
        asks_for_interpreter = module in (SERVER, COMMAND) or "program" in request
        if asks_for_interpreter and not (self.warm and _stands_for(request, connection)):
            for descriptor in descriptors:
                os.close(descriptor)
            with contextlib.suppress(OSError):
                connection.sendall(json.dumps({"pid": None}).encode() + b"\n")
            connection.close()
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # the child must not do what they ask of the server
        pid = os.fork()
        if pid == 0:
            for number in ENDING:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
            signal.set_wakeup_fd(-1)
            for other in (self.listener, connection, *self.kernels.values()):
                other.close()
            if _runner is not None:
                os.close(_runner)
            os.close(self.wakeup)
            os.close(self._wake)
            self.become(request, descriptors)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        for descriptor in descriptors:
            os.close(descriptor)
        self.kernels[pid] = connection
        if module == SERVER:
            self.servers.add(pid)
        with contextlib.suppress(OSError):  # who asked may be gone already; then `serve` ends the kernel
            connection.sendall(json.dumps({"pid": pid}).encode() + b"\n")


def main() -> None:
    """Preload (unless ``--guard``), say that it is ready on stdout as one JSON line, and serve."""
    global _runner
    path, guard, new = sys.argv[1], "--guard" in sys.argv, _runner is None
    _folders[:] = [os.path.dirname(path)]
    if "--remove" in sys.argv:
        _folders.append(sys.argv[sys.argv.index("--remove") + 1])
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    for number in (signal.SIGINT, signal.SIGHUP):  # Ctrl-C and a closed terminal are the runner's to handle
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGUSR1, _orphaned)
    prctl(PR_SET_PDEATHSIG, signal.SIGUSR1)
    try:
        _runner = os.pidfd_open(int(sys.argv[sys.argv.index("--runner") + 1]))
    except ProcessLookupError:
        os._exit(1)
    if new and not guard and sys.path[0] in ("", os.getcwd()):
        del sys.path[0]  # from "-m"; an entry of PYTHONPATH stays, as in a new kernel
    start = time.perf_counter()
    problem = ""
    if not guard:
        try:
            LIBRARIES.record()  # a server that is forked from another one imports more
            gc.disable()  # there is nothing to collect among modules, and looking for it takes a fifth of the time
            if shown := preload(sys.argv[sys.argv.index("--also") + 1 :] if "--also" in sys.argv else ()):
                problem = f"importing the libraries shows {shown[0][:200]}"
            elif threads() > 1:
                problem = f"a library has started {threads() - 1} threads while it was imported"
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
    _template()
    if not guard:
        LIBRARIES.hide()
    gc.enable()
    gc.collect()
    gc.freeze()
    server = Server(path, warm=not (guard or problem))
    answer = {"pid": os.getpid(), "seconds": round(time.perf_counter() - start, 2), "problem": problem}
    print(json.dumps(answer), flush=True)
    server.serve()


def _template() -> None:
    """Make the empty store that every notebook's store is copied from, when it is not there yet (in a child)."""
    path = os.environ.get("COURSE_STORE_TEMPLATE")
    if not path or os.path.exists(path):
        return
    pid = os.fork()
    if pid == 0:
        from course_utils import store
        from course_utils._plumbing import places

        del os.environ["COURSE_STORE_TEMPLATE"]
        try:
            store.create(places.sqlite_uri(path))
        except Exception as error:
            print(f"warm kernels: the empty store could not be made: {error}", file=sys.stderr)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
