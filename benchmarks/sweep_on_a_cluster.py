"""Sweep 200 points on four Dask workers, kill one worker in the middle, and count every result back.

    python benchmarks/sweep_on_a_cluster.py                 # prints the table
    python benchmarks/sweep_on_a_cluster.py --write         # and keeps it in benchmarks/sweep_on_a_cluster.md

Scheduler and workers are processes of their own, as on several machines; the workers have no nanny, so the killed one
stays dead. Each point works for 0.3 s and writes a line when it starts and when it ends, which is how points that were
started twice are known.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
COURSE = [sys.executable, "-m", "course_runner.cli"]
WORK = """import os, time, json
def note(word):
    with open(log, "a") as file:
        file.write(f"{word} {x} {y}\\n")
note("start")
end = time.perf_counter() + 0.3
while time.perf_counter() < end:
    pass
note("end")
print(json.dumps({"score": -(x - 7) ** 2 - (y - 3) ** 2}))"""


def notebook(path: Path, log: Path) -> Path:
    """Write the notebook of the sweep."""
    new = nbformat.v4
    given = new.new_code_cell(f"x = 0\ny = 0\nlog = {str(log)!r}", metadata={"tags": ["parameters"]})
    nb = new.new_notebook(cells=[given, new.new_code_cell(WORK)])
    nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nb, path)
    return path


def cluster(folder: Path, workers: int) -> tuple[str, list[subprocess.Popen]]:
    """Start a scheduler and workers; return its address and all processes, the scheduler first."""
    file = folder / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    dask = [str(Path(sys.executable).with_name("dask"))]
    scheduler = [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file]
    worker = [*dask, "worker", "--scheduler-file", file, "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard"]
    worker += ["--no-nanny", "--local-directory", folder]
    processes = [subprocess.Popen(scheduler, **quiet)]
    while not file.exists() or not file.read_text().strip():
        time.sleep(0.2)
    processes += [subprocess.Popen(worker, **quiet) for _ in range(workers)]
    return json.loads(file.read_text())["address"], processes


def lines(path: Path) -> list[str]:
    """Return the lines of a file that may not be there yet."""
    return path.read_text().splitlines() if path.exists() else []


def measure(side: tuple[int, int], workers: int, kill_at: int) -> dict[str, object]:
    """Run the sweep and return what was counted."""
    with tempfile.TemporaryDirectory(prefix="sweep-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        log, out = folder / "log.txt", folder / "out"
        path = notebook(folder / "work.ipynb", log)
        address, processes = cluster(folder, workers)
        try:
            grid = [f"{axis}={','.join(map(str, range(n)))}" for axis, n in zip("xy", side, strict=True)]
            command = [*COURSE, "sweep", path, "--scheduler", address, "--metric", "score", "-o", out]
            start = time.perf_counter()
            sweep = subprocess.Popen([*map(str, command), "--grid", grid[0], "--grid", grid[1]], cwd=ROOT)
            while len(lines(out / "journal.jsonl")) < kill_at and sweep.poll() is None:
                time.sleep(0.1)
            at_kill = len(lines(out / "journal.jsonl"))
            os.kill(processes[1].pid, signal.SIGKILL)
            code = sweep.wait()
            seconds = time.perf_counter() - start
        finally:
            for process in processes:
                process.kill()
                process.wait()
        results = [json.loads(line) for line in lines(out / "journal.jsonl")]
        whole = [r for r in results if r["outcome"]["status"] == "ok"]
        starts = Counter(line.split(" ", 1)[1] for line in lines(log) if line.startswith("start"))
        ends = Counter(line.split(" ", 1)[1] for line in lines(log) if line.startswith("end"))
        from mlflow import MlflowClient

        client = MlflowClient(f"sqlite:///{out / 'mlflow.db'}")
        experiment = client.get_experiment_by_name("course-sweeps").experiment_id
        runs = client.search_runs([experiment], "tags.`course.point` != ''", max_results=5000)
        right = sum(r["printed"]["score"] == _score(r["outcome"]["name"]) for r in whole)
        return {
            "points": side[0] * side[1],
            "workers": workers,
            "results when one worker was killed": at_kill,
            "exit code": code,
            "results": len(whole),
            "different points among them": len({r["key"] for r in whole}),
            "results with the right score": right,
            "executed notebooks": len(list((out / "points").glob("*.ipynb"))),
            "FINISHED child runs": sum(r.info.status == "FINISHED" for r in runs),
            "child runs in any other state": sum(r.info.status != "FINISHED" for r in runs),
            "points that ended": len(ends),
            "points started twice (cut off by the kill)": sum(n > 1 for n in starts.values()),
            "points executed twice (their result died with the worker)": sum(n > 1 for n in ends.values()),
            "seconds": round(seconds, 1),
        }


def _score(name: str) -> float:
    x, y = (int(part.partition("=")[2]) for part in name.split("_")[1:])
    return float(-((x - 7) ** 2) - (y - 3) ** 2)


def main() -> None:
    """Measure, print, and keep the table when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the table beside this script")
    parser.add_argument("--small", action="store_true", help="12 points on two workers")
    options = parser.parse_args()
    found = measure((4, 3), 2, 4) if options.small else measure((20, 10), 4, 60)
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    table = "\n".join(["| what | counted |", "|---|---|", *(f"| {k} | {v} |" for k, v in found.items())])
    text = f"# A sweep on a cluster that loses a worker\n\n`python benchmarks/sweep_on_a_cluster.py`, {machine}.\n\n{table}\n"
    print(text)
    if options.write:
        Path(__file__).with_suffix(".md").write_text(text, encoding="utf8")
    good = found["results"] == found["points"] == found["FINISHED child runs"] == found["results with the right score"]
    sys.exit(0 if good and not found["child runs in any other state"] else 1)


if __name__ == "__main__":
    main()
