"""How long a class of 150 takes: `course grade` on submissions of one homework, two at once.

Run from the checkout: ``python benchmarks/grade_150.py [SUBMISSIONS]`` (150 unless told). It writes grade_150.md beside this
file. Each submission is our solution of mlflow_basics with a comment of its own, so no two are the same; every tenth is
as handed out, every tenth stops at a SyntaxError. With fewer than 150, the page says what 150 would take at that pace. On a
busy machine the wall time says more about the others: the CPU time, halved for two cores, is what the work itself costs.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import nbformat
import psutil

ROOT = Path(__file__).resolve().parents[1]
CLASS, WORKERS = 150, 2


def hand_in(folder: Path, count: int) -> None:
    """Write the submissions."""
    solution, exercise = (
        nbformat.read(next((ROOT / kind).glob("*_mlflow_basics.ipynb")), as_version=4)
        for kind in ("solutions", "exercises")
    )
    for n in range(count):
        notebook = nbformat.from_dict(exercise if n % 10 == 4 else solution)
        notebook = nbformat.reads(nbformat.writes(notebook), as_version=4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        if n % 10 != 4:
            code[1].source += f"\n# learner {n}"
        if n % 10 == 7:
            code[1].source += "\nprint("
        place = folder / f"Learner Number{n}_{1000 + n}_assignsubmission_file_"
        place.mkdir(parents=True)
        nbformat.write(notebook, place / "05_mlflow_basics.ipynb")


def in_use() -> float:
    """Return the seconds that all cores have worked since the machine started, for whomever."""
    times = psutil.cpu_times()
    return times.user + times.nice + times.system


def main() -> None:
    """Measure and write the page."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else CLASS
    with tempfile.TemporaryDirectory() as folder:
        hand_in(Path(folder) / "in", count)
        words = [sys.executable, "-m", "course_runner.cli", "grade", f"{folder}/in", "-o", f"{folder}/grades.csv"]
        before, busy, start = resource.getrusage(resource.RUSAGE_CHILDREN), in_use(), time.perf_counter()
        done = subprocess.run([*words, "-j", str(WORKERS)], cwd=ROOT, capture_output=True, text=True)
        wall, after, busy = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN), in_use() - busy
        if done.returncode:
            sys.exit(done.stderr)
        again = time.perf_counter()
        subprocess.run([*words, "-j", str(WORKERS)], cwd=ROOT, capture_output=True, check=True)
        again = time.perf_counter() - again
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    isolation = "with bubblewrap" if "bubblewrap." in done.stderr else "without bubblewrap"
    rows = [
        f"| {count} submissions, wall | {wall:.0f} s | {wall / count:.1f} s |",
        f"| {count} submissions, CPU | {cpu:.0f} s | {cpu / count:.1f} s |",
        f"| the same call again, nothing changed | {again:.0f} s | {again / count:.2f} s |",
        f"| {CLASS} at this pace, wall | {wall / count * CLASS / 60:.1f} min | |",
        f"| {CLASS} on {WORKERS} cores that do nothing else (CPU / {WORKERS}) | {cpu / count * CLASS / WORKERS / 60:.1f} min | |",
    ]
    text = (
        f"# Grading a class of {CLASS}\n\n"
        f"`python benchmarks/grade_150.py {count}`, homework mlflow_basics, {WORKERS} at once, {isolation}.\n\n"
        "| what | in all | for one |\n|---|---|---|\n" + "\n".join(rows) + "\n\n"
        f"mlflow {version('mlflow')}, Python {platform.python_version()}; {platform.system()}, {os.cpu_count()} cores, "
        f"of which other programs used {max(0, busy - cpu) / wall:.1f} meanwhile: the less is left, the more the wall time, and "
        "somewhat the CPU time, are too long.\n"
    )
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf8")
    print(text)


if __name__ == "__main__":
    main()
