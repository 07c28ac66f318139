"""Leave out an end-to-end test that passed here with every file that it depends on as it is now.

Starting servers, clusters, browsers and batches, and judging a thousand homework answers, takes minutes; who edits one
lecture needs none of it again. The record lies in ``.course/passed.json``: a fresh clone has none, so continuous
integration repeats everything. Unit tests and the comparison of every notebook are never left out. A plugin of
`course test`; ``--everything`` leaves out nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
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
    "tests/test_grading.py": ("exercises/*", "solutions/*"),
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
def digest(file: str) -> str:
    """Return a digest of the files that the tests of this test file depend on, and of Python's version."""
    patterns = ("course_utils/**/*", "tests/*.py", "tests/browser/*.py", "requirements.lock", "pyproject.toml")
    found = {path for pattern in (*patterns, *END_TO_END[file]) for path in ROOT.glob(pattern)}
    total = hashlib.sha256(sys.version.encode())
    for path in sorted(found):
        name = path.relative_to(ROOT).as_posix()
        another_test = path.name.startswith("test_") and name != file
        if path.is_file() and not another_test and "__pycache__" not in name and "_build/" not in name:
            total.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def _inputs(item: pytest.Item) -> str:
    """Return the digest of what a test depends on; empty for one that is never left out."""
    file = item.nodeid.partition("::")[0]
    if file == "tests/test_homework.py" and "number" in getattr(getattr(item, "callspec", None), "params", {}):
        return judged.digest(item.callspec.params["number"])
    return digest(file) if file in END_TO_END else ""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--everything``."""
    parser.addoption("--everything", action="store_true", help="repeat end-to-end tests whose files are unchanged, too")


def _read() -> dict[str, str]:
    try:
        return json.loads(RECORD.read_text(encoding="utf8"))
    except (OSError, ValueError):
        return {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what passed with the same inputs, and let the others' reports carry theirs."""
    everything = config.option.everything or any("::" in str(word) for word in config.args)
    passed = {} if everything else _read()
    left_out = []
    for item in list(items):
        if inputs := _inputs(item):
            item.user_properties.append((INPUTS, inputs))
            if passed.get(item.nodeid) == inputs:
                left_out.append(item)
                items.remove(item)
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
                f"{left_out} end-to-end tests passed here before with the same files and were left out; "
                "make test ARGS=--everything repeats them"
            )


def pytest_configure(config: pytest.Config) -> None:
    """Keep the record in the main process only."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Record(config), "passed-before")
