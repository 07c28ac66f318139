"""Run notebooks with `course run` / `course test` and with every other way there is, in turn, and print ratios.

    python benchmarks/run_vs_peers.py            # six lectures, three rounds
    python benchmarks/run_vs_peers.py --all      # the whole series
    python benchmarks/run_vs_peers.py --growth   # 1 to 64 copies of one small notebook, warm and cold

Each program gets a fresh folder and a fresh store per round; the rounds alternate, so that a busy machine hits all alike.
The table goes to stdout and, with --write, into benchmarks/run_vs_peers.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SIX = ("03", "04", "05", "06", "08", "09")
PYTHON = sys.executable
SCRIPTS = Path(PYTHON).parent
SANITIZE = ROOT / "course_utils/runner/sanitize.cfg"
PLUGIN = ["-p", "course_utils.runner.pytest_plugin"]

API = """
import sys, papermill
for path in sys.argv[2:]:
    papermill.execute_notebook(path, sys.argv[1] + "/" + path.rsplit("/", 2)[1] + "-" + path.rsplit("/", 1)[1],
                               progress_bar=False, kernel_name="python3", cwd=sys.argv[1])
"""
TWO = """
import sys
from concurrent.futures import ProcessPoolExecutor
def one(path):
    import papermill
    papermill.execute_notebook(path, sys.argv[1] + "/" + path.rsplit("/", 2)[1] + "-" + path.rsplit("/", 1)[1],
                               progress_bar=False, kernel_name="python3", cwd=sys.argv[1])
if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(one, sys.argv[2:]))
"""
FLOOR = """
import os, sys
from course_utils.runner import warm, warm_server
from course_utils.runner.pool import load_times
os.environ.update(warm.KERNEL_SETTINGS)
warm_server.preload()
import nbformat
from pathlib import Path
times = load_times(Path(sys.argv[2]))
paths = sorted(sys.argv[3:], key=lambda p: -times.get("/".join(p.rsplit("/", 2)[1:]), 99))
def run(path):
    os.environ["COURSE_HOME"] = home = sys.argv[1] + "/" + path.replace("/", "_")
    os.makedirs(home); os.chdir(home)
    for fd in (1, 2): os.dup2(os.open(os.devnull, os.O_WRONLY), fd)
    from IPython.core.interactiveshell import InteractiveShell
    shell = InteractiveShell.instance()
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "code" and not shell.run_cell(cell.source, silent=False).success: os._exit(1)
    os._exit(0)
running, bad = set(), 0
for path in paths:
    if len(running) == 2:
        pid, status = os.wait(); running.remove(pid); bad += status != 0
    pid = os.fork()
    if pid == 0: run(path)
    running.add(pid)
while running:
    pid, status = os.wait(); running.remove(pid); bad += status != 0
sys.exit(bad)
"""


def programs(paths: list[str], out: Path) -> dict[str, list[list[str]]]:
    """Return name → commands, one after another."""
    nbval = [PYTHON, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", f"--nbval-sanitize-with={SANITIZE}"]
    return {
        "course run": [[PYTHON, "-m", "course_utils.cli", "run", *paths, "-o", str(out / "batch"), "-j", "2"]],
        "course test": [[PYTHON, "-m", "course_utils.cli", "test", *paths, "-q", "-j", "2"]],
        "papermill, API": [[PYTHON, "-c", API, str(out), *paths]],
        "papermill, command": [
            [str(SCRIPTS / "papermill"), p, str(out / Path(p).name), "--cwd", str(out), "--no-progress-bar"]
            for p in paths
        ],
        "papermill, 2 processes": [[PYTHON, "-c", TWO, str(out), *paths]],
        "jupyter execute": [[str(SCRIPTS / "jupyter"), "execute", *paths, f"--output={out}/{{notebook_name}}"]],
        "nbconvert --execute": [
            [str(SCRIPTS / "jupyter"), "nbconvert", "--execute", "--to", "notebook", "--output-dir", str(out), *paths]
        ],
        "nbmake -n 2": [[PYTHON, "-m", "pytest", "-q", "--nbmake", "-n", "2", *paths]],
        "nbval -n 2": [[*nbval, "-n", "2", "--dist", "loadfile", *paths]],
        "floor": [[PYTHON, "-c", FLOOR, str(out), str(ROOT / ".course/times.json"), *paths]],
    }


def once(commands: list[list[str]], out: Path) -> tuple[float, bool]:
    """Run the commands and return seconds and whether all went well."""
    environment = {**os.environ, "COURSE_HOME": str(out), "TMPDIR": str(out)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    start = time.perf_counter()
    good = True
    for command in commands:
        with (out / "log").open("a") as log:
            good &= subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=log).returncode == 0
    return time.perf_counter() - start, good


def compare(paths: list[str], rounds: int, only: list[str]) -> str:
    """Return the table."""
    names = [n for n in programs(paths, Path()) if not only or n in only]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    failures: dict[str, str] = {}
    for turn in range(rounds):
        for name in names:
            out = Path(tempfile.mkdtemp(prefix="mlflow-course-"))
            took, good = once(programs(paths, out)[name], out)
            print(f"round {turn + 1}: {name} {took:.1f} s{'' if good else ' FAILED'}", file=sys.stderr, flush=True)
            if not good:
                failures[name] = (out / "log").read_text(errors="replace")[-300:].replace("\n", " ").replace("|", "/")
            seconds[name].append(took)
            shutil.rmtree(out, ignore_errors=True)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    lines = ["| program | median s | rounds | `course run` is faster by |", "|---|---|---|---|"]
    for name in sorted(median, key=median.get):
        ratio = f"{median[name] / median['course run']:.2f} ×" if "course run" in median else ""
        note = f" (failed: {failures[name][-120:]})" if name in failures else ""
        lines.append(
            f"| {name}{note} | {median[name]:.1f} | {', '.join(f'{s:.1f}' for s in seconds[name])} | {ratio} |"
        )
    return "\n".join(lines)


def growth() -> str:
    """Return seconds of `course run` for 1 to 64 copies of one small notebook."""
    import nbformat

    lines = ["| notebooks | warm s | cold s |", "|---|---|---|"]
    cell = "import mlflow, pandas, sklearn.ensemble\nfrom course_utils import store\nstore.connect()\nmlflow.set_experiment('x')"
    for count in (1, 2, 4, 8, 16, 32, 64):
        row = []
        for words in ([], ["--cold"]):
            out = Path(tempfile.mkdtemp(prefix="mlflow-course-"))
            paths = []
            for i in range(count):
                nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
                paths.append(str(out / f"n{i:02d}.ipynb"))
                Path(paths[-1]).write_text(nbformat.writes(nb))
            command = [PYTHON, "-m", "course_utils.cli", "run", *paths, "-o", str(out / "batch"), "-j", "2", *words]
            took, good = once([command], out)
            row.append(f"{took:.1f}{'' if good else ' failed'}")
            shutil.rmtree(out, ignore_errors=True)
        lines.append(f"| {count} | {row[0]} | {row[1]} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def versions() -> str:
    """Return the versions of everything that was measured."""
    found = [f"Python {platform.python_version()}", f"{os.cpu_count()} cores", platform.machine()]
    for name in ("papermill", "nbclient", "nbval", "nbmake", "nbconvert", "jupyter-client", "ipykernel", "mlflow"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed (pip install {name})")
    return ", ".join(found)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="the whole series instead of six lectures")
    parser.add_argument("--growth", action="store_true", help="1 to 64 small notebooks")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only", action="append", default=[], metavar="PROGRAM", help="measure this one; repeat for more"
    )
    parser.add_argument("--write", action="store_true", help="append the table to benchmarks/run_vs_peers.md")
    words = parser.parse_args()
    if words.growth:
        table, what = growth(), "Growth: copies of one small notebook"
    else:
        kinds = ("notebooks", "solutions") if words.all else ("notebooks",)
        paths = [
            p.relative_to(ROOT).as_posix()
            for kind in kinds
            for p in sorted((ROOT / kind).glob("*.ipynb"))
            if words.all or p.name[:2] in SIX
        ]
        table, what = compare([str(ROOT / p) for p in paths], words.rounds, words.only), f"{len(paths)} notebooks"
    page = (
        f"## {what}\n\n`python {' '.join(['benchmarks/run_vs_peers.py', *sys.argv[1:]])}`\n\n{table}\n\n{versions()}\n"
    )
    print(page)
    if words.write:
        with (ROOT / "benchmarks/run_vs_peers.md").open("a", encoding="utf8") as file:
            file.write(page + "\n")


if __name__ == "__main__":
    main()
