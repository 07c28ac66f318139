"""How long a class of 150 takes: `course grade` on submissions of one homework, two at once.

Each submission is our solution with a comment of its own, so no two are the same; every tenth is as handed out, and every
tenth stops at a SyntaxError. With fewer than 150, the page says what 150 would take at that pace.

On a busy machine the wall time tells more about the others: what the work itself costs is its CPU time. It is read from a
control group where one can be made (root, control groups of the first version), because a bubblewrap sandbox takes the times
of its processes with it when it ends. Elsewhere it is what all cores have done meanwhile, for whomever: the page says so.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import nbformat
import psutil

ROOT = Path(__file__).resolve().parents[1]
CLASS, WORKERS = 150, 2


def hand_in(folder: Path, count: int, homework: str) -> None:
    """Write the submissions."""
    (path,) = (ROOT / "solutions").glob(f"*_{homework}.ipynb")
    solution, exercise = (nbformat.read(ROOT / kind / path.name, as_version=4) for kind in ("solutions", "exercises"))
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
        nbformat.write(notebook, place / path.name)


def in_use() -> float:
    """Return the seconds that all cores have worked since the machine started, for whomever."""
    times = psutil.cpu_times()
    return times.user + times.nice + times.system


class Group:
    """A control group that counts the CPU time of all that is started in it, also when nobody waits for it."""

    def __init__(self) -> None:
        self.folder = Path(f"/sys/fs/cgroup/cpuacct/course-benchmark-{os.getpid()}")
        with contextlib.suppress(OSError):
            self.folder.mkdir()
        self.counts = (self.folder / "cpuacct.usage").is_file()

    def words(self) -> list[str]:
        """Return what starts a command in the group."""
        return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.folder / "cgroup.procs")] if self.counts else []

    def seconds(self) -> float:
        """Return the CPU time so far; without a group, that of the whole machine."""
        return int((self.folder / "cpuacct.usage").read_text()) / 1e9 if self.counts else in_use()


@contextlib.contextmanager
def group() -> Iterator[Group]:
    """Make a control group, and remove it."""
    made = Group()
    try:
        yield made
    finally:
        if made.counts:
            made.folder.rmdir()


def measure(count: int, homework: str) -> str:
    """Grade so many submissions and return the page."""
    with tempfile.TemporaryDirectory() as folder, group() as meter:
        hand_in(Path(folder) / "in", count, homework)
        words = [*meter.words(), sys.executable, "-m", "course_runner.cli", "grade", f"{folder}/in", "-j", str(WORKERS)]
        words += ["-o", f"{folder}/grades.csv"]
        cpu, busy, start = meter.seconds(), in_use(), time.perf_counter()
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
        wall, cpu, busy = time.perf_counter() - start, meter.seconds() - cpu, in_use() - busy
        if done.returncode:
            sys.exit(done.stderr)
        again = time.perf_counter()
        subprocess.run(words, cwd=ROOT, capture_output=True, check=True)
        again = time.perf_counter() - again
    isolation = "with bubblewrap" if "bubblewrap." in done.stderr else "without bubblewrap"
    counted = (
        f"CPU time is counted by a control group; other programs used {max(0, busy - cpu) / wall:.1f} cores meanwhile: the "
        "less is left, the more the wall time, and somewhat the CPU time, are too long."
        if meter.counts
        else "CPU time is that of the whole machine, other programs included: no control group could be made."
    )
    rows = [
        f"| {count} submissions, wall | {wall:.0f} s | {wall / count:.1f} s |",
        f"| {count} submissions, CPU | {cpu:.0f} s | {cpu / count:.1f} s |",
        f"| the same call again, nothing changed | {again:.0f} s | {again / count:.2f} s |",
        f"| {CLASS} at this pace, wall | {wall / count * CLASS / 60:.1f} min | |",
        f"| {CLASS} on {WORKERS} cores that do nothing else (CPU / {WORKERS}) | {cpu / count * CLASS / WORKERS / 60:.1f} min | |",
    ]
    return (
        f"# Grading a class of {CLASS}\n\n"
        f"`python benchmarks/grade_150.py {count} --homework {homework}`, {WORKERS} at once, {isolation}. {counted}\n\n"
        "| what | in all | for one |\n|---|---|---|\n" + "\n".join(rows) + "\n\n"
        f"mlflow {version('mlflow')}, Python {platform.python_version()}; {platform.system()}, {os.cpu_count()} cores.\n"
    )


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        epilog="Example: python benchmarks/grade_150.py 20 --homework serving --output /tmp/serving.md",
    )
    parser.add_argument("count", nargs="?", type=int, default=CLASS, help=f"submissions (default {CLASS})")
    parser.add_argument("--homework", default="mlflow_basics", help="name of the step (default mlflow_basics)")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).with_suffix(".md"),
        help="page to write (default: beside this file)",
    )
    words = parser.parse_args()
    if words.count < 1:
        parser.error("at least one submission is needed")
    if not list((ROOT / "solutions").glob(f"*_{words.homework}.ipynb")):
        parser.error(
            f"there is no homework {words.homework!r}: no notebook in solutions/ is called …_{words.homework}.ipynb"
        )
    text = measure(words.count, words.homework)
    words.output.write_text(text, encoding="utf8")
    print(text)


if __name__ == "__main__":
    main()
