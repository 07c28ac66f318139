"""What a forked child of the warm server becomes: a kernel, a program, a command, or a server of its own."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.machinery import PathFinder
from typing import Any

from course_runner.kernels import programs
from course_runner.kernels.hidden import LIBRARIES

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
#: Module that a kernel specification of ipykernel runs; other kernels are started as their specification says.
LAUNCHER = "ipykernel_launcher"
#: Modules that ``python -m`` runs in a fork, besides the kernel.
SERVER, COMMAND, TILE = "course_runner.kernels.warm_server", "course_runner.cli", "course_runner.lab.lab"
#: A new interpreter would do otherwise where one of these differs from what this process was started with.
READ_ON_IMPORT = ("PYTHON", "OPENBLAS", "OMP_", "MKL_", "NPY_", "LD_", "MPL", "LC_", "LANG", "HOME", "XDG_")
#: ``PYTHONHASHSEED`` that Dask gives to its workers, so that all hash alike. The forks of one server do so anyway.
SAME_HASHES = "6640"
#: What this process was started with.
_environment = dict(os.environ)


def prctl(option: int, value: int) -> None:
    """Call Linux's ``prctl`` with one argument."""
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


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
    names = ("random", "tempfile", "numpy.random", "course_utils._plumbing.course_store")
    random, tempfile, numpy, course_store = map(LIBRARIES.peek, names)
    tempfile.tempdir = None  # TMPDIR may be another
    os.environ.pop("_MLFLOW_TELEMETRY_SESSION_ID", None)  # as MLflow's import does where its telemetry is off
    course_store.ENVIRONMENT_URI = os.environ.get(
        "MLFLOW_TRACKING_URI"
    )  # read on import, for the runner and not for us
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


def become(request: dict[str, Any], descriptors: list[int], warm: bool, serve: Callable[[], None]) -> None:
    """Turn this forked child into the process that was asked for; never returns."""
    parent = os.getppid()
    os.setsid()
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a kernel dies with its server in any case
    if os.getppid() != parent:
        os._exit(1)
    code = 1
    try:
        _fresh_state(request, descriptors)
        command = request["command"]
        module = module_of(command)
        program = "program" in request
        known = module in (LAUNCHER, SERVER, COMMAND, TILE)
        if not program and (not warm or not known or module == LAUNCHER and LIBRARIES.shadowed(["."])):
            os.environ["JPY_PARENT_PID"] = str(parent)  # the kernel ends itself when this process is gone
            _execute(command)
        if program:
            _fresh_modules()
            code = programs.run(command[1:])
        else:
            sys.orig_argv = command
            os.environ["JPY_PARENT_PID"] = str(parent)
            _fresh_libraries(module, command[command.index(module) + 1 :])
            {LAUNCHER: _kernel, SERVER: serve}.get(module, partial(_module, module))()
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


def module_of(command: list[str]) -> str:
    """Return the module that ``python -m`` runs, or an empty string."""
    return command[command.index("-m") + 1] if "-m" in command[:-1] else ""


def stands_for(request: dict[str, Any], connection: socket.socket) -> bool:
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

    drain = _drained_pipes()
    app = IPKernelApp.instance(parent_handle=os.getppid())
    app.initialize(sys.argv[1:])
    app.shell.events.register("post_run_cell", drain)
    _end_helpers_before(app.kernel)
    app.start()


def _drained_pipes() -> Callable[..., None]:
    """Return what waits until all that children and C libraries have printed so far belongs to the present cell.

    ipykernel 7.4 reads it from a pipe in a thread; when the cell ends first, the line comes after the cell and is lost.
    """
    import fcntl
    import select
    import termios
    import threading

    from ipykernel.iostream import PIPE_BUFFER_SIZE, OutStream

    reading, pipes = threading.Lock(), set()

    @functools.wraps(OutStream._watch_pipe_fd)  # its thread is called after it
    def watch(stream: Any) -> None:
        pipe = stream._fid
        if pipe is None:
            return
        pipes.add(pipe)
        ready = select.poll()
        ready.register(pipe, select.POLLIN)
        with contextlib.suppress(OSError, ValueError):  # the stream is closed
            while stream._should_watch and ready.poll():
                with reading:
                    printed = os.read(pipe, PIPE_BUFFER_SIZE)
                    if not printed:
                        return
                    stream.write(printed.decode(errors="replace"))
                os.write(stream._original_stdstream_copy, printed)

    def drain(*_: object) -> None:
        for pipe in pipes:
            waiting = bytearray(4)
            for _ in range(1000):  # a child that goes on printing is not waited for
                with reading, contextlib.suppress(OSError):
                    fcntl.ioctl(pipe, termios.FIONREAD, waiting)
                if not any(waiting):
                    break
                time.sleep(0.001)

    OutStream._watch_pipe_fd = watch
    return drain


def _end_helpers_before(kernel: Any) -> None:
    """Let joblib's processes and the resource trackers of ``multiprocessing`` end before a kernel ends its children.

    ipykernel 7.4 sends SIGTERM to each child until it is gone, for seconds. A tracker, which Dask's workers and joblib
    bring along, ignores that signal; it ends when its pipe is closed, as it is at the end of any other process.
    """
    at_shutdown = kernel._at_shutdown
    joblib = "joblib.externals.loky"

    async def end_them() -> None:
        pool = sys.modules.get(f"{joblib}.reusable_executor")
        if pool and pool._executor:  # type: ignore[attr-defined]
            pool._executor.shutdown(wait=True, kill_workers=False)  # type: ignore[attr-defined]
        for name in (f"{joblib}.backend.resource_tracker", "multiprocessing.resource_tracker"):
            module = sys.modules.get(name)
            tracker = module._resource_tracker if module else None  # type: ignore[attr-defined]
            if not tracker or tracker._fd is None:
                continue
            os.close(tracker._fd)
            pid, tracker._fd, tracker._pid = tracker._pid, None, None
            tracker._send = lambda *_: None  # what is freed from here on would start another one
            for _ in range(50):  # workers that still run hold the pipe too
                try:
                    if os.waitpid(pid, os.WNOHANG)[0]:
                        break
                except ChildProcessError:
                    break
                await asyncio.sleep(0.01)
        await at_shutdown()

    kernel._at_shutdown = end_them


def _module(name: str) -> None:
    import runpy

    sys.path.insert(0, os.getcwd())  # as for "-m"
    runpy.run_module(name, run_name="__main__", alter_sys=True)  # by name: nothing here depends on what it does


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
