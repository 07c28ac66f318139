"""A Dask cluster that somebody else has started: connect to it, and say in one sentence when that cannot work."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import platform
import socket
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils.errors import CourseError

if TYPE_CHECKING:
    from distributed import Client

#: Packages that must agree between the sweep and its workers, or the points do not belong together.
AGREE = ("distributed", "mlflow", "numpy", "pandas", "papermill", "scikit-learn", "scipy")
#: Modules of this room that a worker runs; a change of the others, such as the report, does not concern it.
RUNS = ("job", "parameters", "leftovers", "engine", "execute", "provenance")
#: Seconds to wait for the scheduler's answer, and for a first worker.
PATIENCE = 10
HOW = "Start one in the course's environment: `dask scheduler --host 127.0.0.1`, then `dask worker ADDRESS`"


@contextlib.contextmanager
def connect(address: str) -> Iterator[Client]:
    """Give a client of the scheduler at `address` whose workers can run the course.

    Raises
    ------
    CourseError
        When the address is not usable, nobody answers there, there is no worker, or a worker has other versions.
    """
    from distributed import Client
    from distributed.comm.addressing import parse_host_port

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what it would say is said below
    try:
        if address.partition("://")[0] in ("tcp", "tls"):  # Dask would try for all its time where nobody listens
            socket.create_connection(parse_host_port(address.partition("://")[2]), PATIENCE).close()
        client = Client(address, timeout=PATIENCE, set_as_default=True, name="course")
    except (OSError, ValueError, TypeError, ImportError, RuntimeError) as error:
        reason = " ".join((getattr(error, "strerror", None) or str(error)).split())[:200]
        raise CourseError(
            f"No Dask scheduler answers at {address!r} ({reason}). The address is the one that `dask scheduler` prints, "
            f"for example tcp://127.0.0.1:8786. {HOW}."
        ) from None
    try:
        _check(client, address)
        yield client
    finally:
        with contextlib.suppress(Exception):  # a scheduler that is gone cannot say goodbye
            client.close(timeout=5)


def workers(client: Client) -> list[str] | None:
    """Return the addresses of the workers that the scheduler knows; None when it does not answer just now."""
    try:
        return sorted(client.scheduler_info(n_workers=-1)["workers"])
    except Exception:  # distributed raises many types when the other side is busy or gone
        return None


def _check(client: Client, address: str) -> None:
    """Raise when there is no worker, or one that cannot run what we would send."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise CourseError(
            f"The scheduler at {address} has no workers, so nothing would ever run. Start one on each machine, in the "
            f"course's environment: dask worker {address}"
        ) from None
    here = fingerprint()
    try:
        answers = client.run(fingerprint, on_error="return")
    except Exception as error:  # a scheduler of another version fails in many ways
        raise CourseError(
            f"The cluster at {address} does not understand this version of Dask ({type(error).__name__}: "
            f"{str(error)[:200]}). Start scheduler and workers in the course's environment."
        ) from None
    for worker, answer in answers.items():
        if isinstance(answer, BaseException):
            raise CourseError(
                f"The worker {worker} cannot run the course ({type(answer).__name__}: {str(answer)[:200]}). "
                f"Start it in an environment made by `make setup`: dask worker {address}"
            )
        if wrong := differing(here, answer):
            raise CourseError(
                f"The worker {worker} has {wrong}. Its results would not belong to yours. "
                f"Start it again, in the environment that requirements.lock describes: dask worker {address}"
            )


@cache
def fingerprint() -> dict[str, str]:
    """Return the versions that must be the same on each machine of a sweep."""
    found = {"Python": platform.python_version()}
    for name in AGREE:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    code = hashlib.sha256()
    package = Path(__file__).resolve().parents[1]
    for file in (*(package / "batch" / f"{name}.py" for name in RUNS), *(package / "sweep").glob("task.py")):
        code.update(file.read_bytes())
    return {**found, "course_utils": code.hexdigest()[:8]}


def differing(here: dict[str, str], there: dict[str, str]) -> str:
    """Return what differs between two fingerprints as words, or an empty string."""
    return ", ".join(
        f"{name} {there.get(name, 'missing')} instead of {version}"
        if name != "course_utils"
        else "another version of the course"
        for name, version in here.items()
        if there.get(name) != version
    )
