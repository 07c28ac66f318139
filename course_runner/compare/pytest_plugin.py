"""pytest plugin: nbval compares each notebook in a home of its own, and keeps a notebook's cells together."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from course_runner.batch.job import SKIP_TAG, Outcome
from course_runner.batch.pool import load_times, save_times
from course_runner.build.build import SCRATCH, TIMES
from course_runner.kernels.sockets import scratch_parent
from course_runner.kernels.warm import KERNEL_SETTINGS, warm_kernels


def _notebook(item: pytest.Item) -> Path | None:
    """Return the notebook that an nbval item belongs to."""
    return item.path if type(item).__name__ == "IPyNbCell" else None


class _Together(LoadScopeScheduling):
    """Share out complete notebooks, and one homework's tests or one test file at a time: unknown ones, then the longest.

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
    _teach_nbval()
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


class _Displays:
    """What displays that are updated or cleared do to the outputs of a cell, as nbclient stores it."""

    def __init__(self) -> None:
        self.places: dict[str, list[tuple[list, int]]] = {}  # display id → list of outputs and index in it
        self.clear = False

    def take(self, message: dict[str, Any], outputs: list) -> bool:
        """Do what a message asks for; False when it is an output, or nothing that concerns displays."""
        kind, content = message["msg_type"], message["content"]
        if kind == "clear_output":
            self.clear = content["wait"]
            if not self.clear:
                self._empty(outputs)
            return True
        name = content.get("transient", {}).get("display_id")
        if kind == "update_display_data":
            for found, index in self.places.get(name, ()):
                found[index].update(data=content["data"], metadata=content["metadata"])
            return True
        if kind in ("stream", "display_data", "execute_result", "error"):
            if self.clear:
                self.clear = False
                self._empty(outputs)
            if name:
                self.places.setdefault(name, []).append((outputs, len(outputs)))
        return False

    def _empty(self, outputs: list) -> None:
        outputs.clear()
        for places in self.places.values():
            places[:] = [place for place in places if place[0] is not outputs]


def _teach_nbval() -> None:
    """Let nbval 0.11 compare what a run stores: updated displays, what children print, no cell that its tag skips."""
    from nbval import plugin

    setup, get_message = plugin.IPyNbFile.setup, plugin.IPyNbFile.get_kernel_message
    test = plugin.IPyNbCell.runtest

    def set_up(file: Any) -> None:
        os.environ.pop("PYTEST_CURRENT_TEST", None)  # with it, ipykernel 7.4 leaves out what child processes print
        file.displays = _Displays()
        setup(file)

    def get_kernel_message(file: Any, timeout: float | None = None, stream: str = "iopub") -> dict[str, Any]:
        while file.displays.take(message := get_message(file, timeout, stream), file.cell.test_outputs):
            pass
        return message

    def run_test(cell: Any) -> None:
        cell.parent.cell = cell
        test(cell)

    plugin.IPyNbFile.setup, plugin.IPyNbFile.get_kernel_message = set_up, get_kernel_message
    plugin.IPyNbCell.runtest = run_test
    plugin.metadata_tags[SKIP_TAG] = "skip"


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Give the notebook its home before nbval starts the kernel, and take it away after its last cell."""
    path = _notebook(item)
    if path is not None:
        _homes.enter(path)
    yield
    if path is not None and (nextitem is None or _notebook(nextitem) != path):
        _homes.leave()
