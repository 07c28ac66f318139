"""A limited process for a stranger's code: CPU, memory, file size and wall time; with bubblewrap, no network and no files."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course_runner.grade.watch import Ended, Limits, Watch, end, follow, sweep
from course_utils import store
from course_utils._plumbing.files import ROOT
from course_utils._plumbing.places import sqlite_uri


def bubblewrap() -> str | None:
    """Return the path of a bubblewrap that works here, or None."""
    program = shutil.which("bwrap")
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tmp").mkdir()
        tried = subprocess.run([*_walls(program, Path(folder)), "true"], capture_output=True)
    return program if tried.returncode == 0 else None


@functools.cache
def _can_close_namespaces(program: str) -> bool:
    """Whether this bubblewrap knows ``--disable-userns``, as 0.8 and later do."""
    return "--disable-userns" in subprocess.run([program, "--help"], capture_output=True, text=True).stdout


@functools.cache
def _font_list() -> Path | None:
    """Return Matplotlib's list of the system's fonts, which every sandbox would make anew in a second."""
    from matplotlib import font_manager, get_cachedir  # this import makes the list when there is none

    file = Path(get_cachedir(), f"fontlist-v{font_manager.FontManager.__version__}.json")
    return file if file.is_file() else None


@functools.cache
def _packages() -> str:
    """Return the package of each module as JSON: a notebook that logs a model would look for it 0.3 s in every sandbox."""
    code = "import importlib_metadata, json; print(json.dumps(importlib_metadata.packages_distributions()))"
    return subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True).stdout


def describe(program: str | None) -> str:
    """Say in one sentence what is isolated and what is not."""
    if program:
        return (
            "Isolation: bubblewrap. A submission has no network, sees no file of yours, and writes in its own folder only; "
            "CPU, memory, disk, processes and time are limited."
        )
    return (
        "Isolation: separate processes with limits on CPU, memory, disk and time ONLY. Bubblewrap does not work here, so a "
        "submission can read and write what you can, and reach the network. Install bubblewrap (Linux), or use --store-only."
    )


def environment(home: Path, seed: int, loads_models: bool) -> dict[str, str]:
    """Return the environment of a limited process; nothing of ours is in it but the path of Python.

    `loads_models`: whether MLflow may load a model. A learner's notebook loads its own, inside the walls; the step that
    judges loads none.
    """
    system = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}  # no Python on Windows without
    return {
        **system,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
        **dict.fromkeys(("HOME", "USERPROFILE"), str(home)),
        **dict.fromkeys(("TMPDIR", "TEMP"), str(home / "tmp")),
        "LANG": "C.UTF-8",
        "COURSE_HOME": str(home),
        "COURSE_SEED": str(seed),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MPLCONFIGDIR": str(home / "tmp"),
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": str(loads_models).lower(),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "COURSE_STORE_SYNC": "off",  # the store is judged and thrown away
        # pyarrow's allocator would start a thread on import, and the judge forks.
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
    }


def _walls(program: str, home: Path, checks: bool = False) -> list[str]:
    """Return the bubblewrap command: Python and system read-only, one writable folder, nothing else.

    The checks are there only for the process that judges (`checks`). A notebook that could import them would ask them for
    the right numbers and log those.

    Every capability goes: root, which keeps them otherwise, could mount a read-only folder writable again.
    """
    source = ROOT / "source"
    places = {
        "/usr",
        "/bin",
        "/sbin",
        "/lib",
        "/lib64",
        "/etc/ssl",
        "/etc/fonts",
        "/etc/ld.so.cache",
        "/etc/alternatives",
    }
    places |= {
        sys.prefix,
        sys.base_prefix,
        *(str(ROOT / package) for package in ("course_utils", "course_runner")),
    }
    places |= {str(source if checks else source / "course.toml")}
    # The grader must get its turn while a fork bomb goes off.
    words = ["nice", "-n", "15", program, "--die-with-parent", "--unshare-all", "--new-session", "--cap-drop", "ALL"]
    if _can_close_namespaces(program):
        # In a user namespace of its own, a notebook would be root again: it could mount memory that no limit counts.
        words += ["--unshare-user", "--disable-userns"]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for shared in ("/tmp", "/dev/shm"):  # in the submission's folder, where its size is seen; never in memory
        words += ["--bind", str(home / "tmp"), shared]
    read_only = ["/", "/dev"]
    if not checks:  # a checkout below /tmp would else have a folder there into which a notebook could write checks
        words += ["--tmpfs", str(source)]
        read_only.append(str(source))
    for place in sorted(places):  # a folder comes before what lies in it
        words += ["--ro-bind-try", place, place]
    words += ["--bind", str(home), str(home)]
    return [*words, *(word for place in read_only for word in ("--remount-ro", place)), "--chdir", str(home)]


def run(
    step: Sequence[str],
    home: Path,
    seed: int,
    limits: Limits,
    program: str | None,
    stop: threading.Event | None = None,
) -> Ended:
    """Do a step of grading with limits in `home` and return how it ended; nothing that it started outlives the call.

    Parameters
    ----------
    step
        Words for `submission.main`.
    home
        The only folder it may write to (with bubblewrap).
    seed
        ``COURSE_SEED`` for the step.
    limits
        What it may use.
    program
        Bubblewrap's path, or None to run without.
    stop
        Ends the step early when it is set.
    """
    if stop is not None and stop.is_set():
        return Ended(None, b"", "stopped")
    (home / "tmp").mkdir(exist_ok=True)
    settings = environment(home, seed, loads_models=step[0] == "run")
    if template := os.environ.get("COURSE_STORE_TEMPLATE"):
        local = home / "tmp" / "empty-store.db"
        with contextlib.suppress(OSError):
            shutil.copyfile(template, local)
            settings["COURSE_STORE_TEMPLATE"] = str(local)
    if fonts := _font_list():
        shutil.copy(fonts, home / "tmp")
    (home / "tmp" / "packages.json").write_text(_packages(), encoding="utf8")
    # The limits are set by the new process: code between fork and exec is not safe when there are other threads.
    # As a file, not as a module: its package would import MLflow, which this process does not need.
    file = Path(__file__).with_name("submission.py")
    inner = [sys.executable, "-I", str(file), *step, json.dumps(limits.of_each_process())]
    return confine(inner, home, settings, limits, program, stop)


def confine(
    command: Sequence[str],
    home: Path,
    settings: dict[str, str],
    limits: Limits,
    program: str | None,
    stop: threading.Event | None = None,
) -> Ended:
    """Run a command in the sandbox of `home` with an environment of `settings`; see `run` for the rest."""
    walls = _walls(program, home) if program else []
    crowd = _crowd(limits.processes)
    if crowd is not None:
        walls = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(crowd), *walls]
    process = _start([*walls, *command], home, settings, stdin=subprocess.DEVNULL)
    try:
        return follow(process.stdout.fileno(), process.poll, Watch(process.pid, home, limits, stop))
    finally:
        end(process)
        if not program:
            sweep(home)
        for _ in range(100 if crowd is not None else 0):  # a process that has just ended is in it for a moment
            with contextlib.suppress(OSError):
                crowd.rmdir()
                break
            time.sleep(0.02)


def _crowd(processes: int) -> Path | None:
    """Return a new control group that holds so many processes of ten threads each, or None where we may not make one.

    A fork bomb makes thousands of processes before the grader has its turn. Root may make control groups.
    """
    for parent in (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")):
        folder = parent / f"course-{os.getpid()}-{time.monotonic_ns()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / "pids.max").write_text(str(10 * processes))
            return folder
        except OSError:
            folder.rmdir()
    return None


def _start(words: list[str], home: Path, settings: dict[str, str], **more: Any) -> subprocess.Popen:
    return subprocess.Popen(
        words,
        cwd=home,
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        **more,
    )


class Judge:
    """One process that judges the stores of many submissions, each in a fork of its own: the libraries are imported once.

    It never runs a learner's code. Threads use it one at a time.

    Parameters
    ----------
    desk
        Folder that holds the stores, the only one that it may write to (with bubblewrap).
    seed, limits, program
        As for `run`; the limits hold for each store.
    """

    def __init__(self, desk: Path, seed: int, limits: Limits, program: str | None) -> None:
        self._desk, self._seed, self._limits, self._program = desk, seed, limits, program
        self._process: subprocess.Popen | None = None
        self._turn = threading.Lock()

    def check(self, home: Path, homework: str, stop: threading.Event | None = None) -> Ended:
        """Judge the store in `home`, a folder on the desk, and return what the step printed."""
        with self._turn:
            if stop is not None and stop.is_set():
                return Ended(None, b"", "stopped")
            (home / "tmp").mkdir(exist_ok=True)
            if self._process is None:
                self._process = self._begin()
            watch = Watch(self._process.pid, home, self._limits, stop)
            request = {"home": str(home), "homework": homework, "limits": self._limits.of_each_process()}
            try:
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                self._process.stdin.flush()
                ended = follow(self._process.stdout.fileno(), self._process.poll, watch, one_line=True)
            except BrokenPipeError:
                ended = Ended(self._process.poll(), b"")
            if ended.code != 0:  # the next store gets a new one
                self.close()
            return ended

    def _begin(self) -> subprocess.Popen:
        (self._desk / "tmp").mkdir(exist_ok=True)
        settings = environment(self._desk, self._seed, loads_models=False)
        walls = _walls(self._program, self._desk, checks=True) if self._program else []
        command = [*walls, sys.executable, "-I", "-m", f"{__package__}.submission", "judge"]
        return _start(command, self._desk, settings, stdin=subprocess.PIPE)

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            end(self._process)
            self._process.stdin.close()
            self._process = None


def copy_regular(source: Path, target: Path, most: int = 500 << 20) -> bool:
    """Copy regular files only (no link, pipe or device), up to `most` bytes; return whether all fitted."""
    left = most
    for folder, names, files in os.walk(source, followlinks=False):
        names[:] = [n for n in names if not os.path.islink(os.path.join(folder, n))]
        for name in files:
            path = Path(folder, name)
            if path.is_symlink() or not path.is_file():
                continue
            left -= path.stat().st_size
            if left < 0:
                return False
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    return True


def prepare(home: Path) -> None:
    """Make the store of a submission before its code runs, as `store.connect` would."""
    store.create(sqlite_uri(home / "mlflow.db"))
