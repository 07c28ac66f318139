"""pytest plugin: nbval compares each notebook in a home of its own, and keeps a notebook's cells together."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from course_runner.batch.execute import Outcome
from course_runner.batch.pool import load_times, save_times
from course_runner.build.build import SCRATCH, TIMES
from course_runner.kernels.sockets import scratch_parent
from course_runner.kernels.warm import KERNEL_SETTINGS, warm_kernels


def _notebook(item: pytest.Item) -> Path | None:
    """Return the notebook that an nbval item belongs to."""
    return item.path if type(item).__name__ == "IPyNbCell" else None


class _Together(LoadScopeScheduling):
    """Share out whole notebooks, and one homework's tests or one test file at a time: unknown ones, then the longest.

    xdist 3.8's own ``loadgroup`` does nothing under pytest 9.2, and its other ways split a notebook's cells over two
    kernels or leave all homework to one process.
    """

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        super().__init__(config, log)
        self.times = load_times(config.rootpath / TIMES)

    def _split_scope(self, nodeid: str) -> str:
        file, _, rest = nodeid.partition("::")
        if file.endswith(("test_claims.py", "test_lectures.py")):  # each of them runs a lecture
            return nodeid
        step = re.search(r"\[(?:seed\d+-)?([a-z_]+)\b", rest)
        return f"{file} {step[1]}" if step and file.endswith("test_homework.py") else file

    def _assign_work_unit(self, node: object) -> None:
        longest = max(self.workqueue, key=lambda scope: self.times.get(scope, float("inf")))
        self.workqueue.move_to_end(longest, last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _Together:
    """Tell xdist to share the work out as above."""
    return _Together(config, log)


class _Times:
    """In the process that reports: how long each notebook and each group of tests took, for the next run."""

    def __init__(self, config: pytest.Config) -> None:
        self.path = config.rootpath / TIMES
        self.seconds: dict[str, float] = {}
        self.scope = _Together._split_scope

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        scope = self.scope(None, report.nodeid)  # type: ignore[arg-type]
        self.seconds[scope] = self.seconds.get(scope, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        if self.seconds:
            save_times(self.path, [Outcome(scope, seconds=round(t, 2)) for scope, t in self.seconds.items()])


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--cold``."""
    parser.addoption("--cold", action="store_true", help="course: start each notebook's kernel as an ordinary process")


_stack = contextlib.ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    """In the main process only: measure, and start the server of warm kernels, which workers reach by environment."""
    if hasattr(config, "workerinput"):
        return
    config.pluginmanager.register(_Times(config), "course-times")
    if not config.option.collectonly:
        homes = _stack.enter_context(
            tempfile.TemporaryDirectory(prefix=f"{SCRATCH}test-", dir=scratch_parent(), ignore_cleanup_errors=True)
        )
        os.environ[HOMES] = homes
        warmth = _stack.enter_context(warm_kernels(config.rootpath, config.option.cold, Path(homes)))
        if warmth.note:
            print(warmth.note)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server of warm kernels."""
    if not hasattr(config, "workerinput"):
        _stack.close()


#: Environment variable with the folder of all homes: the server of warm kernels removes it when pytest is killed.
HOMES = "COURSE_TEST_HOMES"


class _Homes:
    """The scratch home of the notebook that is being compared in this process."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self.folder: Path | None = None
        self.before: dict[str, str | None] = {}

    def enter(self, path: Path) -> None:
        if path == self.path:
            return
        self.leave()
        self.path, self.folder = path, Path(tempfile.mkdtemp(prefix=SCRATCH, dir=os.environ.get(HOMES)))
        settings = {
            "COURSE_HOME": str(self.folder),
            # MLflow writes these into the environment of the tests that ran before.
            **dict.fromkeys(("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID")),
            **KERNEL_SETTINGS,
        }
        self.before = {name: os.environ.get(name) for name in settings}
        _set(settings)

    def leave(self) -> None:
        _set(self.before)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.path, self.folder, self.before = None, None, {}


def _set(settings: dict[str, str | None]) -> None:
    for name, value in settings.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


_homes = _Homes()


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Give the notebook its home before nbval starts the kernel, and take it away after its last cell."""
    path = _notebook(item)
    if path is not None:
        _homes.enter(path)
    yield
    if path is not None and (nextitem is None or _notebook(nextitem) != path):
        _homes.leave()
