"""Generated notebook files, run as one batch: each has a row with a reason, and none ends the batch.

python benchmarks/odd_notebooks.py 500
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.odd_notebooks import write  # noqa: E402


def main(count: int) -> int:
    """Run so many files of a fixed seed and print the statuses; return how many have no row or no reason."""
    with tempfile.TemporaryDirectory() as folder:
        files = write(Path(folder) / "odd", count)
        begin = time.perf_counter()
        command = [sys.executable, "-W", "ignore", "-m", "course_runner.cli", "run", *map(str, files)]
        command += ["-o", f"{folder}/out", "--json", "--cell-timeout", "10"]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        seconds = time.perf_counter() - begin
    events = [json.loads(line) for line in done.stdout.splitlines()]
    rows = [event for event in events if event["event"] == "outcome"]
    ended = not events or events[-1]["event"] != "end" or done.returncode not in (0, 1)
    silent = sum(row["status"] != "ok" and not row["error"].strip() for row in rows)
    print(f"{len(files)} files, {seconds:.0f} s, exit code {done.returncode}, batches ended: {int(ended)}")
    for status, number in Counter(row["status"] for row in rows).most_common():
        print(f"{number:5} {status}")
    print(f"{len(files) - len(rows):5} without a row\n{silent:5} without a reason")
    return int(ended) + silent + len(files) - len(rows)


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)))
