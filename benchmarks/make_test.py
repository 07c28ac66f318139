"""Time `make test` and `make test-all` in a fresh clone of the last commit, with the twenty slowest tests.

    python benchmarks/make_test.py            # writes benchmarks/make_test.md (not with --dry); half an hour
    python benchmarks/make_test.py --quick    # `make test` only

The clone lies in a temporary folder, which is removed afterwards. Exit code 1 when a test fails.
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
PAGE = ROOT / "benchmarks/make_test.md"


def timed(folder: Path, *words: str) -> tuple[float, str]:
    """Run a command in the clone and return its seconds and what it said; a failure ends everything."""
    print("$", *words, flush=True)
    start = time.perf_counter()
    done = subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout[-8000:]}{done.stderr[-8000:]}")
    print(f"  {seconds:.0f} s", *done.stdout.strip().splitlines()[-1:])
    return seconds, done.stdout


def slowest(said: str) -> list[str]:
    """Return pytest's list of the slowest tests as rows of a table."""
    found = re.findall(r"^([\d.]+)s (call|setup|teardown) +(\S.*)$", said, re.M)
    return [f"| {float(seconds):.1f} | {phase} | `{name.replace('|', ' ')}` |" for seconds, phase, name in found]


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry", action="store_true", help="print only")
    parser.add_argument("--quick", action="store_true", help="make test only")
    words = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    rows, profiles = [], []
    with tempfile.TemporaryDirectory(prefix="mlflow-course-") as temporary:
        clone = Path(temporary) / "clone"
        timed(ROOT, "git", "clone", "--quiet", str(ROOT), str(clone))
        rows.append(f"| `make setup`, packages cached | {timed(clone, 'make', 'setup')[0]:.0f} | |")
        for target in ("test",) if words.quick else ("test", "test-all"):
            seconds, said = timed(clone, "make", target, "ARGS=--durations=20")
            passed = re.search(r"(\d+) passed", said)
            rows.append(f"| `make {target}` | {seconds:.0f} | {passed[1] if passed else '?'} |")
            head = f"## The twenty slowest of `make {target}`\n\n| seconds | phase | test |\n|---:|---|---|\n"
            profiles.append(head + "\n".join(slowest(said)))
    command = " ".join(["python benchmarks/make_test.py", *sys.argv[1:]])
    page = f"""# How long the tests take

`{command}`: Python {platform.python_version()}, {cores} cores, {platform.machine()}, a fresh clone

| command | seconds | tests passed |
|---|---:|---:|
{chr(10).join(rows)}

`make test` compares every notebook with a fresh run and runs all tests but those marked `long`; `make test-all` runs every
test. Neither leaves anything out because of an earlier run.

{(chr(10) * 2).join(profiles)}
"""
    print(page)
    if not words.dry:
        PAGE.write_text(page, encoding="utf8")


if __name__ == "__main__":
    main()
