"""Leave out an end-to-end test that has passed, here or on main, with every file that it depends on as it is now.

Starting servers, clusters, browsers and batches, and judging a thousand homework answers, takes minutes; who edits one
lecture needs none of it again. What passed here lies in ``.course/passed.json``. The origin's main branch holds only what
the gate has passed, and the gate (``CI`` is set) runs everything, as ``--everything`` does. Unit tests and the comparison
of every notebook are never left out. A plugin of `course test`.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from .submissions import judged

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / ".course/passed.json"
SITE = ("notebooks/*", "exercises/*", "solutions/*", "source/**/*", "site/**/*", "*.md")
#: Test file → what it reads besides the package, itself and the helpers beside it.
END_TO_END = {
    "tests/browser/test_lab.py": ("*/03_*.ipynb", "notebooks/00_*.ipynb"),
    "tests/browser/test_site_browser.py": SITE,
    "tests/test_build.py": (),
    "tests/test_grading.py": ("exercises/*", "solutions/*", "tests/cases/**/*"),
    "tests/test_lab.py": ("README.md",),
    "tests/test_model_server.py": (),
    "tests/test_runner.py": (),
    "tests/test_server.py": ("benchmarks/*.py",),
    "tests/test_serving.py": (),
    "tests/test_site.py": SITE,
    "tests/test_store.py": (),
    "tests/test_sweep.py": ("notebooks/11_*.ipynb",),
    "tests/test_team.py": (),
    "tests/test_verify.py": ("notebooks/11_*.ipynb",),
    "tests/test_workflow.py": (),
}
INPUTS = "inputs"


@cache
def files(file: str) -> tuple[Path, ...]:
    """Return the files that the tests of this test file depend on."""
    patterns = ("course_utils/**/*", "tests/*.py", "tests/browser/*.py", "requirements.lock", "pyproject.toml")
    found = {path for pattern in (*patterns, *END_TO_END[file]) for path in ROOT.glob(pattern)}

    def counts(path: Path) -> bool:
        name = path.relative_to(ROOT).as_posix()
        another_test = path.name.startswith("test_") and name != file
        return path.is_file() and not another_test and "__pycache__" not in name and "_build/" not in name

    return tuple(sorted(filter(counts, found)))


@cache
def digest(file: str) -> str:
    """Return a digest of these files, and of Python's version."""
    total = hashlib.sha256(sys.version.encode())
    for path in files(file):
        total.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


@cache
def differs_from_main() -> frozenset[Path] | None:
    """Return the files that are not as on the origin's main branch, where the gate has passed; None if unknown.

    Without an origin, as in a new repository or an archive, nothing is known; nor is it after a file was removed.
    """

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    try:
        base = git("merge-base", "HEAD", "origin/HEAD").strip()
        names = git("diff", "--name-only", "--no-renames", "-z", base)
        names += git("ls-files", "--others", "--exclude-standard", "-z")
    except (OSError, subprocess.CalledProcessError):
        return None
    found = frozenset(ROOT / name for name in names.split("\0") if name)
    return found if all(path.exists() for path in found) else None


def _depends_on(item: pytest.Item) -> tuple[str, tuple[Path, ...]]:
    """Return digest and files of what a test depends on; nothing for one that is never left out."""
    file = item.nodeid.partition("::")[0]
    if file == "tests/test_homework.py" and "number" in getattr(getattr(item, "callspec", None), "params", {}):
        number = item.callspec.params["number"]
        return judged.digest(number), judged.files(number)
    return (digest(file), files(file)) if file in END_TO_END else ("", ())


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--everything``."""
    parser.addoption("--everything", action="store_true", help="run end-to-end tests whose files are unchanged, too")


def _read() -> dict[str, str]:
    try:
        return json.loads(RECORD.read_text(encoding="utf8"))
    except (OSError, ValueError):
        return {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what passed with the same inputs, and let the others' reports carry theirs."""
    everything = (
        config.option.everything or bool(os.environ.get("CI")) or any("::" in str(word) for word in config.args)
    )
    all_answers = config.getoption("all_answers", False)
    passed, differs = ({}, None) if everything else (_read(), differs_from_main())
    left_out, stay = [], []
    for item in items:
        inputs, read = _depends_on(item)
        if inputs:
            item.user_properties.append((INPUTS, inputs))
        as_on_main = differs is not None and differs.isdisjoint(read)
        asked_for = all_answers and "test_homework" in item.nodeid
        known = inputs and not asked_for and (as_on_main or passed.get(item.nodeid) == inputs)
        (left_out if known else stay).append(item)
    items[:] = stay
    config.hook.pytest_deselected(items=left_out)
    if hasattr(config, "workeroutput"):
        config.workeroutput["left_out"] = len(left_out)
    else:
        config.stash[_LEFT_OUT] = len(left_out)


_LEFT_OUT = pytest.StashKey[int]()


class _Record:
    """In the process that reports: which tests passed, with which inputs."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.seen: dict[str, tuple[str, bool]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note an outcome; a test has passed when none of its phases failed or was skipped."""
        inputs = dict(report.user_properties).get(INPUTS, "")
        if inputs:
            before = self.seen.get(report.nodeid, ("", True))[1]
            self.seen[report.nodeid] = (inputs, before and report.passed)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Take over what a worker counted."""
        self.config.stash[_LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)

    def pytest_sessionfinish(self) -> None:
        """Write the record, aside and then in place."""
        if not self.seen:
            return
        record = _read() | {name: inputs if good else "" for name, (inputs, good) in self.seen.items()}
        RECORD.parent.mkdir(exist_ok=True)
        aside = RECORD.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps({k: v for k, v in record.items() if v}, indent=0, sort_keys=True), encoding="utf8")
        aside.replace(RECORD)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was left out."""
        if left_out := self.config.stash.get(_LEFT_OUT, 0):
            terminalreporter.write_line(
                f"{left_out} end-to-end tests were left out: they have passed with the same files, here or on main; "
                "make test ARGS=--everything runs them"
            )


def pytest_configure(config: pytest.Config) -> None:
    """Keep the record in the main process only."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Record(config), "passed-before")
