"""Run notebooks again and again and look for what a run leaves behind: processes, sockets, temporary files.

    python benchmarks/twenty_runs.py                    # the whole series, twenty times
    python benchmarks/twenty_runs.py 01 03 --runs 3     # two lectures, three times

Each run has a temporary folder of its own, which must be empty afterwards. Exit code 1 when a notebook fails or anything
is left. --write puts the table into benchmarks/twenty_runs.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
MEMORY = Path("/dev/shm")
SUPERVISORS = 30  # seconds; a supervisor of PostgreSQL or a server ends itself when its kernel has ended


def shared() -> set[str]:
    """Return the files in shared memory; those of other programs on the machine too."""
    return {str(path) for path in MEMORY.iterdir()} if MEMORY.is_dir() else set()


def processes(folder: Path) -> list[str]:
    """Return the command lines of processes that know the folder by command line, environment or current folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(folder) in " ".join([*process.cmdline(), *process.environ().values(), process.cwd()]):
                found.append(" ".join(process.cmdline())[:100])
        except psutil.Error:
            continue
    return found


def sockets(folder: Path) -> list[str]:
    """Return the Unix sockets that are open below the folder (Linux)."""
    table = Path("/proc/net/unix")
    lines = table.read_text().splitlines() if table.exists() else []
    return [line.split()[-1] for line in lines if str(folder) in line]


def left(folder: Path) -> list[str]:
    """Return the processes that are still there when the supervisors of a lecture's servers had time to end."""
    end = time.monotonic() + SUPERVISORS
    while (found := processes(folder)) and time.monotonic() < end:
        time.sleep(0.5)
    return found


def once(words: list[str]) -> dict:
    """Run the notebooks once and return what was seen."""
    folder = Path(tempfile.mkdtemp(prefix="mlflow-course-"))
    folder.chmod(0o755)  # as the usual temporary folder: lecture 13's PostgreSQL runs as another user under root
    (folder / "tmp").mkdir()
    before = shared()
    environment = {**os.environ, "TMPDIR": str(folder / "tmp"), "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = [sys.executable, "-m", "course_runner.cli", "run", *words, "-o", str(folder / "out"), "--json"]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    events = [json.loads(line) for line in done.stdout.splitlines()]
    failed = [f"{e['name']}: {e['error']}" for e in events if e["event"] == "outcome" and e["status"] != "ok"]
    if done.returncode and not failed:
        failed = [f"exit code {done.returncode}: {done.stderr.strip()[-300:]}"]
    seen = {
        "seconds": f"{seconds:.1f}",
        "passed": str(sum(e["event"] == "outcome" and e["status"] == "ok" for e in events)),
        "failed": failed,
        "processes": left(folder),
        "sockets": sockets(folder),
        "temporary files": [str(path) for path in (folder / "tmp").rglob("*")],
        "kernel files": [str(path) for path in (folder / "runtime").rglob("*")],
        "shared memory": sorted(shared() - before),
        "messages": done.stderr.strip().splitlines(),
    }
    shutil.rmtree(folder, ignore_errors=True)
    return seen


def main() -> None:
    """Run, look, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", help="as for `course run`; the whole series when left out")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--cold", action="store_true", help="with ordinary kernels")
    parser.add_argument("--write", action="store_true", help="write benchmarks/twenty_runs.md")
    words = parser.parse_args()
    rows, found = [], []
    for turn in range(1, words.runs + 1):
        seen = once([*words.notebooks, *(["--cold"] if words.cold else [])])
        cells = [str(len(value)) if isinstance(value, list) else value for value in seen.values()]
        rows.append(f"| {turn} | {' | '.join(cells)} |")
        found += [
            f"- run {turn}, {name}: {item}" for name, value in seen.items() if isinstance(value, list) for item in value
        ]
        if turn == 1:
            header = ["| run | " + " | ".join(seen) + " |", "|---" * (len(seen) + 1) + "|"]
            print("\n".join(header), file=sys.stderr)
        print(rows[-1], file=sys.stderr, flush=True)
    page = "\n".join(
        [
            f"# {words.runs} runs in a row: {len(found)} things failed or were left behind",
            "",
            f"`{' '.join(['python benchmarks/twenty_runs.py', *sys.argv[1:]])}`",
            "",
            *header,
            *rows,
            "",
            *found,
        ]
    )
    print(page)
    if words.write:
        (ROOT / "benchmarks/twenty_runs.md").write_text(page.rstrip() + "\n", encoding="utf8")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
