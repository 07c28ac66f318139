"""Attempts to look at in a homework: the learner's own, or a practice store for those who have made no mistake yet."""

from __future__ import annotations

from pathlib import Path

from mlflow.entities import Run

from .. import data, store
from .._plumbing.places import sqlite_uri
from . import attempts

#: Homework whose attempts do not count: it is still under way while its own task is solved.
UNDER_WAY = "batch_and_scale"
#: Homeworks in which the invented attempts were made.
_OTHERS = ("mlflow_basics", "logging", "comparing_runs", "autolog")
_CODES = ("train-not-test", "metric-as-param", "run-open")


def counted(uri: str) -> list[Run]:
    """Return the attempts that this homework asks about: without its own and without tasks that were not started."""
    return [
        r
        for r in attempts.runs(uri)
        if r.data.tags["homework"] != UNDER_WAY and r.data.tags["mistake"] != "not-started"
    ]


def attempts_uri(home: Path | None = None, fill: bool = True) -> str:
    """Return the tracking URI of the attempts to analyse.

    The learner's own progress store when it holds a mistake in another homework, else a practice store in
    ``outputs/hw-batch-and-scale``, filled with invented attempts; the learner's own progress is not touched.

    Parameters
    ----------
    home
        Folder with the stores; `store.home` when not given.
    fill
        Make the practice store when it is missing.
    """
    here = home or store.home()
    own = attempts.uri() if here == store.home() else sqlite_uri(here / ".course_progress.db")
    if any(r.data.tags["mistake"] != "ok" for r in counted(own)):
        return own
    practice = here / "outputs" / "hw-batch-and-scale" / "practice.db"
    address = sqlite_uri(practice)
    if fill and not practice.is_file():
        _invent(address)
    return address


def _invent(address: str) -> None:
    """Fill a new practice store; which mistake is the most frequent depends on the course's seed."""
    from mlflow.tracking._tracking_service.utils import _get_store

    store.create(address)
    _get_store(address).engine.dispose()  # MLflow 3.17 may still hold a file of this name that was deleted
    first = data.course_seed() % len(_CODES)
    often, sometimes, once = (_CODES[(first + n) % len(_CODES)] for n in range(3))
    codes = [often, often, often, sometimes, sometimes, once, "ok", "ok", "not-started"]
    for number, code in enumerate(codes):
        attempts.record(_OTHERS[number % len(_OTHERS)], 1, code, 2.0 * (code == "ok"), 0, 0.1, place=address)
    for _ in range(4):
        attempts.record(UNDER_WAY, 1, once, 0.0, 0, 0.1, place=address)
