"""``course test``: one pytest run over the tests and, through nbval, over every stored output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from course_runner.build.source import pages, read_source, select, tagged
from course_utils.errors import CourseError


def claims(root: Path, words: list[str]) -> list[str]:
    """Return the arguments for pytest that try the claims of some lectures in every way, one row each.

    Parameters
    ----------
    root
        The checkout.
    words
        Steps, all when none is named, and options for pytest.

    Raises
    ------
    CourseError
        When a step is not known, or one that was named has no claims.
    """
    named = [word for word in words if not word.startswith("-")]
    options = [word for word in words if word.startswith("-")]
    lectures = [page for page in select(pages(root), named) if page.kind == "notebooks"]
    without = [page.step.name for page in lectures if not tagged(read_source(page.source).cells, "claims")]
    if named and without:
        raise CourseError(
            f"{', '.join(without)}: no cell of this lecture is tagged 'claims', so there is nothing to try."
        )
    chosen = " or ".join(f"[{page.step.name}-" for page in lectures if page.step.name not in without)
    return ["tests/e2e/test_claims.py", "--all", "-v", "-k", chosen, *options]


def run_tests(root: Path, words: list[str], workers: int) -> int:
    """Run pytest in place of this process, so that what ends the command ends the tests; return its exit code on Windows.

    Parameters
    ----------
    root
        The checkout.
    words
        Paths and options for pytest; everything when no path is among them.
    workers
        Processes.
    """
    # `Path.exists` of Python 3.11 raises for a word that is too long for a name, such as what follows -k.
    paths = [w for w in words if not w.startswith("-") and os.path.exists(root / w.split("::")[0])]
    notebooks = [str(page.path.relative_to(root)) for page in pages(root) if page.executed and page.path.exists()]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "course_runner.compare.pytest_plugin",
        "--nbval",
        "--nbval-current-env",
        "--continue-on-collection-errors",  # one unreadable notebook must not keep the others from being compared
        f"--nbval-sanitize-with={root / 'sanitize.cfg'}",
        *(["-n", str(workers), "--dist", "loadscope"] if workers > 1 else []),
        *words,
        *([] if paths else ["tests", *notebooks]),
    ]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    if sys.platform == "win32":  # its exec returns to the shell at once
        return subprocess.run(command, cwd=root, env=environment).returncode
    # Behind `&` or nohup it is ignored, and some tests send Ctrl-C to what they start.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.chdir(root)
    sys.stdout.flush()
    os.execve(sys.executable, command, environment)
