"""Fixtures that every test file may use."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from course_runner.kernels.warm import ONE_THREAD

# Before NumPy is loaded, and before pytest's workers start: the tests keep every core busy already, and threads that
# wait for each other make the homework's answers take half as long again.
os.environ.update(ONE_THREAD)

ROOT = Path(__file__).resolve().parents[1]
_COUNTER = itertools.count()
#: Notebooks that tests hand to the course: no tests of their own.
collect_ignore = ["cases"]


_TEMPORARY = pytest.StashKey[tempfile.TemporaryDirectory]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep all temporary files of a session in one folder: MLflow forgets some in processes that are ended hard."""
    if hasattr(config, "workerinput"):
        return
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())  # what pytest keeps for a look stays there
    config.stash[_TEMPORARY] = folder = tempfile.TemporaryDirectory(prefix="mlflow-tests-", ignore_cleanup_errors=True)
    os.chmod(folder.name, 0o711)  # root's PostgreSQL works as another user, who must be able to pass
    os.environ["TMPDIR"], tempfile.tempdir = folder.name, None


#: What a learner makes in a checkout: the tests leave all of it as it is.
LEARNERS = (
    "mlflow.db*",
    "mlartifacts/**/*",
    "mlruns/**/*",
    "outputs/**/*",
    "runs/**/*",
    ".course_progress.db*",
    ".course/*",
)
_BEFORE = pytest.StashKey[dict[str, tuple[int, int]]]()
_CHANGED = pytest.StashKey[list[str]]()


def _learners() -> dict[str, tuple[int, int]]:
    found = (path for pattern in LEARNERS for path in ROOT.glob(pattern) if path.is_file())
    ours = ("times.json", "empty-store-*", "*-wal", "*-shm", "*-journal")  # made again when they are missing
    kept = (path for path in found if not any(path.match(pattern) for pattern in ours))
    return {str(path.relative_to(ROOT)): (path.stat().st_size, path.stat().st_mtime_ns) for path in kept}


def pytest_sessionstart(session: pytest.Session) -> None:
    """Note what a learner has made in this checkout."""
    if not hasattr(session.config, "workerinput"):
        session.config.stash[_BEFORE] = _learners()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail when a test has changed any of it."""
    if hasattr(session.config, "workerinput") or _BEFORE not in session.config.stash:
        return
    before, now = session.config.stash[_BEFORE], _learners()
    if changed := sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        session.config.stash[_CHANGED] = changed


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove it."""
    if folder := config.stash.get(_TEMPORARY, None):
        folder.cleanup()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--all``."""
    parser.addoption("--all", action="store_true", help="course: run the long tests, too (make test-all)")


_LEFT_OUT = pytest.StashKey[dict[str, int]]()
#: Programs that some tests need, with what cannot be tested without them.
PROGRAMS = {"chromium": "what a browser shows", "bwrap": "grading without network and files"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests to ``--all``, or to somebody who names one; count them by file."""
    config.stash[_LEFT_OUT] = counts = {}
    if config.option.all or any("::" in str(word) for word in config.args):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    for item in long:
        file = item.nodeid.partition("::")[0]
        counts[file] = counts.get(file, 0) + 1
    config.hook.pytest_deselected(items=long)
    left = set(map(id, long))
    items[:] = [item for item in items if id(item) not in left]
    if hasattr(config, "workeroutput"):
        config.workeroutput["left_out"] = counts


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Take over what a worker counted."""
    node.config.stash[_LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was not run, by name, and why; last, where the eye rests, what the tests should have left alone."""
    if counts := config.stash.get(_LEFT_OUT, {}):
        terminalreporter.section("not run", sep="-")
        for file, count in sorted(counts.items()):
            terminalreporter.write_line(f"{file}: {count} long tests; `make test-all` runs them")
    for name, what in PROGRAMS.items():
        if shutil.which(name) is None:
            terminalreporter.write_line(
                f"{name} is not installed: {what} was not tested; the skips above name the tests"
            )
    if changed := config.stash.get(_CHANGED, []):
        terminalreporter.section("failed: the tests changed what belongs to the learner in this checkout", red=True)
        for name in changed[:10]:
            terminalreporter.write_line(name)


@pytest.fixture(scope="session")
def store_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database, made once: making one takes seconds, copying it milliseconds."""
    from course_utils import store

    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    store.create(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def _shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory where the system has one: a store waits for the disk at every commit."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path_factory.mktemp("home")
        return
    folder = Path(tempfile.mkdtemp(prefix="mlflow-course-", dir=memory))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _forget(uri: str) -> None:
    """Close MLflow's cached connections to a store, so that its file can be replaced."""
    from mlflow.tracking._model_registry.utils import _get_store as registry_store
    from mlflow.tracking._tracking_service.utils import _get_store as tracking_store

    from course_utils._plumbing.course_store import fix_artifact_root

    fix_artifact_root(uri)  # where nobody has connected yet, the next lines would make it, with another artifact root
    for get in (tracking_store, registry_store):
        get(uri).engine.dispose()


@pytest.fixture
def course_home(store_template: Path, _shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with an empty store; a new folder inside it is the current folder, like that of a notebook.

    The path is the same for every test: MLflow keeps one engine per address, and making one costs more than a test.
    MLflow's process-wide state is put back afterwards.
    """
    import mlflow
    import mlflow.tracking.fluent as fluent
    from mlflow.utils.autologging_utils import autologging_is_disabled

    home = _shared_home
    here = home / f"exercises-{next(_COUNTER)}"  # MLflow caches stores by address: a stray one must be new
    for entry in home.iterdir():
        shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)
    here.mkdir()
    monkeypatch.setenv("COURSE_HOME", str(home))
    monkeypatch.setenv("COURSE_STORE_TEMPLATE", str(store_template))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)
    monkeypatch.chdir(here)
    shutil.copyfile(store_template, home / "mlflow.db")
    fluent._active_experiment_id = None
    yield home
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.flush_trace_async_logging()  # what a thread still holds would go to the store of whoever comes next
    fluent._active_experiment_id = None
    if not autologging_is_disabled("sklearn"):
        mlflow.sklearn.autolog(disable=True)
    for name in ("mlflow.db", ".course_progress.db"):
        if (home / name).exists():
            _forget(f"sqlite:///{home / name}")
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_ID"):
        os.environ.pop(name, None)  # MLflow's setters write them


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """No test hands the next one, or a process that it starts, the variables that MLflow's setters write."""
    names = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_ID")
    for name in names:
        os.environ.pop(name, None)
    here, runs = ROOT / "mlflow.db", _when(ROOT / "mlflow.db")
    yield
    for name in names:
        os.environ.pop(name, None)
    assert _when(here) == runs, f"{here} was written while this test ran: it belongs to the learner"


def _when(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0
