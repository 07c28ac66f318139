"""A limited process for a stranger's code: CPU, memory, file size and wall time; with bubblewrap, no network and no files."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from .. import store


@dataclass(frozen=True)
class Limits:
    """What one process may use.

    Attributes
    ----------
    wall
        Seconds of wall time.
    cpu
        Seconds of CPU time.
    memory
        Bytes of address space of each process.
    file
        Bytes of one file.
    """

    wall: int = 120
    cpu: int = 120
    memory: int = 4 << 30
    file: int = 200 << 20


@dataclass(frozen=True)
class Ended:
    """How the process ended: its exit code (None when it was stopped at the wall limit) and what it printed."""

    code: int | None
    output: bytes


def bubblewrap() -> str | None:
    """Return the path of a bubblewrap that works here, or None."""
    program = shutil.which("bwrap")
    if program is None:
        return None
    tried = subprocess.run([program, "--ro-bind", "/", "/", "--unshare-all", "true"], capture_output=True)
    return program if tried.returncode == 0 else None


def describe(program: str | None) -> str:
    """Say in one sentence what is isolated and what is not."""
    if program:
        return (
            "Isolation: bubblewrap. A submission has no network, sees no file of yours, and writes in its own folder only; "
            "CPU, memory, file size and time are limited."
        )
    return (
        "Isolation: separate processes with limits on CPU, memory, file size and time ONLY. Bubblewrap does not work here, so a "
        "submission can read and write what you can, and reach the network. Install bubblewrap (Linux), or use --store-only."
    )


def environment(home: Path, seed: int) -> dict[str, str]:
    """Return the whole environment of a limited process; nothing of ours is in it but the path of Python."""
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "LANG": "C.UTF-8",
        "COURSE_HOME": str(home),
        "COURSE_SEED": str(seed),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
    }


def _wrap(program: str, home: Path) -> list[str]:
    """Return the bubblewrap command: Python and system read-only, one writable folder, nothing else."""
    import course_utils

    package = Path(course_utils.__file__).resolve().parent
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
    places |= {sys.prefix, sys.base_prefix, str(package)}
    words = [program, "--die-with-parent", "--unshare-all", "--new-session", "--proc", "/proc", "--dev", "/dev"]
    words += ["--tmpfs", "/tmp"]
    for place in sorted(places):  # a folder comes before what lies in it
        words += ["--ro-bind-try", place, place]
    return [*words, "--bind", str(home), str(home), "--chdir", str(home)]


def run(command: Sequence[str], home: Path, seed: int, limits: Limits, program: str | None) -> Ended:
    """Run a command with limits in `home` and return how it ended; nothing that it started outlives the call.

    Parameters
    ----------
    command
        Program and arguments.
    home
        The only folder it may write to (with bubblewrap).
    seed
        ``COURSE_SEED`` for the process.
    limits
        What it may use.
    program
        Bubblewrap's path, or None to run without.
    """
    (home / "tmp").mkdir(exist_ok=True)
    settings = environment(home, seed)
    if template := os.environ.get("COURSE_STORE_TEMPLATE"):
        local = home / "tmp" / "empty-store.db"
        with contextlib.suppress(OSError):
            shutil.copyfile(template, local)
            settings["COURSE_STORE_TEMPLATE"] = str(local)
    wrapped = [*(_wrap(program, home) if program else []), *command]

    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu, limits.cpu + 5))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file, limits.file))
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    process = subprocess.Popen(
        wrapped,
        cwd=home,
        env=settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=limit if os.name == "posix" else None,
    )
    try:
        output, _ = process.communicate(timeout=limits.wall)
        return Ended(process.returncode, output[-1_000_000:])
    except subprocess.TimeoutExpired:
        _end(process)
        return Ended(None, b"")
    except BaseException:
        _end(process)
        raise
    finally:
        _sweep(home)


def _end(process: subprocess.Popen) -> None:
    """Kill a process and everything below it, whatever session it is in."""
    family = [process]
    with contextlib.suppress(psutil.Error):
        family += psutil.Process(process.pid).children(recursive=True)
    for member in family:
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            member.send_signal(signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=10)


def _sweep(home: Path) -> None:
    """Kill what was started in `home` and got away from its parent; it is known by its environment."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get("COURSE_HOME") == str(home):
                process.kill()


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
    store.create(f"sqlite:///{home / 'mlflow.db'}")
