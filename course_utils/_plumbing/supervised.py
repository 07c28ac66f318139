"""Programs that end with the process that started them, whatever ends it: a supervisor of their own looks after each."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from course_utils._plumbing.files import ROOT
from course_utils._plumbing.processes import end_by_closing_input, end_family
from course_utils.errors import CourseError

_POSIX = os.name == "posix"


@contextmanager
def work_folder(folder: str | Path | None) -> Iterator[Path]:
    """Yield the folder, made when missing; a temporary one, removed at the end, when none is given."""
    if folder is not None:
        path = Path(folder).absolute()
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CourseError(f"The folder {path} cannot be made: {error}. Choose another.") from error
        yield path
        return
    path = Path(tempfile.mkdtemp(prefix="mlflow-course-"))
    path.chmod(0o711)  # root's PostgreSQL works as another user, who must be able to pass
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def supervised(
    command: Sequence[str | Path],
    log: Path | None,
    *,
    cwd: Path,
    environment: dict[str, str] | None = None,
    user: str = "",
    stop: signal.Signals = signal.SIGTERM,
    temporary: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program under a supervisor that stops it when the block ends or this process dies.

    What it prints goes to the file `log`, or, without one, where this process prints. The supervisor then removes the
    folder `temporary`, which a process that died cannot do itself.
    """
    words = [user, str(int(stop)), str(cwd), str(temporary or ""), *map(str, command)]
    with log.open("wb") if log else contextlib.nullcontext() as out:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", __name__, *words],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT if out else None,
            # A kernel that is shut down ends the processes of its own group, this one before it could stop the program.
            start_new_session=_POSIX,
        )
    try:
        yield supervisor
    finally:
        end_by_closing_input(supervisor, 30)


def wait_until(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, name: str, timeout: float
) -> None:
    """Wait until `ready` is true; raise `CourseError` when the process ends or the time is over."""
    end = time.monotonic() + timeout
    while process.poll() is None and time.monotonic() < end:
        if ready():
            return
        time.sleep(0.05)
    why = "ended at once" if process.poll() is not None else f"did not answer within {timeout:g} s"
    said = log.read_text(encoding="utf8", errors="replace").strip()[-1500:] or "nothing"
    raise CourseError(f"{name} {why}. Is another program in its way, or the machine very busy? It said: {said}")


def _supervise(user: str, stop: str, cwd: str, temporary: str, command: Sequence[str]) -> int:
    """Run a program until it ends or standard input closes, which also happens when our starter is killed."""
    closed = threading.Event()
    process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, start_new_session=_POSIX, **as_user(user))

    def send(number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number) if _POSIX else end_family(process.pid)

    def watch() -> None:
        while os.read(0, 4096):  # not sys.stdin: Python may end while this thread holds it
            pass
        closed.set()
        send(int(stop))
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            send(signal.SIGKILL if _POSIX else signal.SIGTERM)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the starter, who then closes our input
    threading.Thread(target=watch, daemon=True).start()
    code = process.wait()
    if temporary and closed.is_set():  # a program that ended by itself leaves its log to the starter, who tells why
        shutil.rmtree(temporary, ignore_errors=True)
    return code


def as_user(user: str) -> dict[str, Any]:
    """Return the arguments with which subprocess starts a program as `user` (empty: as we are)."""
    if not user:
        return {}
    import pwd

    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


if __name__ == "__main__":
    sys.exit(_supervise(*sys.argv[1:5], sys.argv[5:]))
