"""Time `make test` as a maintainer meets it: in a fresh clone, after an edit of one lecture, and as the gate runs it.

    python benchmarks/make_test.py            # a quarter of an hour; writes benchmarks/make_test.md (not with --dry)

Works in a clone of the last commit in a temporary folder, which is removed afterwards. Exit code 1 when a test fails.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LECTURE = "source/mlflow_basics/lecture.py"


def timed(folder: Path, *words: str, gate: bool = False) -> tuple[float, str]:
    """Run a command in the clone and return its seconds and what it said; a failure ends everything."""
    print("$", *words, flush=True)
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | ({"CI": "true"} if gate else {})
    start = time.perf_counter()
    done = subprocess.run(words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    print(f"  {seconds:.0f} s", *done.stdout.strip().splitlines()[-1:])
    return seconds, done.stdout


def row(what: str, folder: Path, gate: bool = False) -> str:
    """Run `make test` and return a row of the table."""
    seconds, said = timed(folder, "make", "test", gate=gate)
    passed = re.search(r"(\d+) passed", said)
    left_out = re.search(r"(\d+) end-to-end tests were left out", said)
    return f"| {what} | {seconds:.0f} | {passed[1] if passed else '?'} | {left_out[1] if left_out else 0} |"


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry", action="store_true", help="print only")
    words = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with tempfile.TemporaryDirectory(prefix="mlflow-course-") as temporary:
        clone = Path(temporary) / "clone"
        timed(ROOT, "git", "clone", "--quiet", str(ROOT), str(clone))
        timed(clone, "make", "setup")
        rows = [row("a fresh clone of `main`", clone), row("the same, once more", clone)]
        text = (clone / LECTURE).read_text(encoding="utf8")
        (clone / LECTURE).write_text(
            text.replace("\nimport mlflow\n", "\nimport mlflow  # edited\n", 1), encoding="utf8"
        )
        build, _ = timed(clone, ".venv/bin/course", "build")
        rows.append(row("after an edit of lecture 03", clone))
        timed(clone, "git", "checkout", "--quiet", ".")
        rows.append(row("the gate (`CI` is set)", clone, gate=True))
    page = f"""# How long `make test` takes

`python benchmarks/make_test.py`: Python {platform.python_version()}, {cores} cores, {platform.machine()}

| `make test` in | seconds | tests passed | end-to-end tests left out |
|---|---|---|---|
{chr(10).join(rows)}

Every run compares all notebooks and runs all unit tests. An end-to-end test (a server, a browser, a batch, an answer to
homework) is left out while every file that it depends on is as on `main`, or as when it passed in this clone; the gate
and `make test ARGS=--everything` leave out none. After the edit, `course build` took {build:.0f} s.
"""
    print(page)
    if not words.dry:
        (ROOT / "benchmarks/make_test.md").write_text(page, encoding="utf8")


if __name__ == "__main__":
    main()
