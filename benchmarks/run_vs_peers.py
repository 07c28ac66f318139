"""Run notebooks with `course run` / `course test` and with every other way there is, in turn, and print ratios.

    python benchmarks/run_vs_peers.py --nbmake FOLDER                  # six lectures, growth, kernels, record: 25 min
    python benchmarks/run_vs_peers.py --parts series --rounds 1        # the whole series: another 20 min
    python benchmarks/run_vs_peers.py --parts six --rounds 1 --only "course run" --only floor

nbmake is not among the course's packages; make a folder with it: pip install --no-deps --target FOLDER nbmake
Each program gets a fresh folder and a fresh store per round; the rounds alternate, so that a busy machine hits all alike.
Each part that was measured replaces its section of benchmarks/run_vs_peers.md (not with --dry).
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "benchmarks/run_vs_peers.md"
SIX = ("03", "04", "05", "06", "08", "09")
PYTHON = sys.executable
SCRIPTS = Path(PYTHON).parent
SANITIZE = ROOT / "sanitize.cfg"
PARTS = ("six", "series", "growth", "kernel", "record")

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
from pathlib import Path
from course_runner.kernels import preload, warm
from course_runner.batch.pool import load_times
os.environ.update(warm.KERNEL_SETTINGS)
os.environ["COURSE_STORE_TEMPLATE"] = str(warm.template(Path(sys.argv[2]).parents[1]))
preload.preload()
import nbformat
times = load_times(Path(sys.argv[2]))
paths = sorted(sys.argv[3:], key=lambda p: -times.get("/".join(p.rsplit("/", 2)[1:]), 99))
def run(path):
    os.environ["COURSE_HOME"] = home = sys.argv[1] + "/" + path.replace("/", "_")
    os.makedirs(home); os.chdir(home)
    for fd in (1, 2): os.dup2(os.open(os.devnull, os.O_WRONLY), fd)
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
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


#: Starts one kernel in each way, several times: seconds to the first output, proportional memory of the process.
KERNEL = """
import json, os, statistics, sys, tempfile, time
from pathlib import Path
from nbclient import NotebookClient
import nbformat
from course_runner.kernels import warm
from course_runner.batch.job import Job, kernel_environment
from course_runner.kernels.sockets import SocketKernelManager
imports = ("import mlflow, mlflow.sklearn, pandas, sklearn.ensemble, matplotlib.pyplot, seaborn\\n"
           "from course_utils import data, store\\n")
found = {"first": [], "mlflow": [], "pss": [], "own": []}
def memory(pid):
    rows = dict(line.split(":", 1) for line in open(f"/proc/{pid}/smaps_rollup") if ":" in line[:20])
    own = int(rows["Private_Dirty"].split()[0]) + int(rows["Private_Clean"].split()[0])
    return int(rows["Pss"].split()[0]) / 1024, own / 1024
with warm.warm_kernels(Path(sys.argv[1]), cold=sys.argv[2] == "cold") as warmth, tempfile.TemporaryDirectory() as folder:
    job = Job("x", Path(folder), Path(folder) / "x", Path(folder), Path(folder))
    for turn in range(int(sys.argv[3])):
        for kind, code in (("first", "print(1)"), ("mlflow", imports + "print(mlflow.__version__)")):
            cell = nbformat.v4.new_code_cell(code)
            client = NotebookClient(nbformat.v4.new_notebook(cells=[cell]), kernel_name="python3",
                                    kernel_manager_class=SocketKernelManager)
            start = time.perf_counter()
            with client.setup_kernel(env=kernel_environment(job), cwd=folder):
                client.execute_cell(cell, 0)
                found[kind].append(time.perf_counter() - start)
                if kind == "mlflow" and sys.platform == "linux":
                    pss, own = memory(client.km.provisioner.pid)
                    found["pss"].append(pss); found["own"].append(own)
print(json.dumps({k: statistics.median(v) if v else None for k, v in found.items()} | {"server": warmth.seconds}))
"""


def programs(paths: list[str], out: Path, nbmake: Path | None) -> dict[str, list[list[str]]]:
    """Return name → commands, one after another."""
    pytest = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    nbval = [*pytest, "--nbval", "--nbval-current-env", f"--nbval-sanitize-with={SANITIZE}"]
    found = {
        "course run": [[PYTHON, "-m", "course_runner.cli", "run", *paths, "-o", str(out / "batch")]],
        "course test": [[PYTHON, "-m", "course_runner.cli", "test", "-j", "2", *paths, "-q"]],
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
        "nbmake -n 2": [[*pytest, "--nbmake", "-n", "2", *paths]],
        "nbval -n 2": [[*nbval, "-n", "2", "--dist", "loadfile", *paths]],
        "floor": [[PYTHON, "-c", FLOOR, str(out), str(ROOT / ".course/times.json"), *paths]],
    }
    if nbmake is None:
        del found["nbmake -n 2"]
    return found


def once(commands: list[list[str]], out: Path, nbmake: Path | None = None) -> tuple[float, bool]:
    """Run the commands and return seconds and whether all went well."""
    environment = {**os.environ, "COURSE_HOME": str(out), "TMPDIR": str(out)}
    for name in ("MLFLOW_TRACKING_URI", "PYTHONDONTWRITEBYTECODE"):  # as at home: what was compiled once is kept
        environment.pop(name, None)
    environment["PATH"] = f"{SCRIPTS}{os.pathsep}{environment['PATH']}"
    if nbmake is not None and "--nbmake" in commands[0]:
        environment["PYTHONPATH"] = str(nbmake.resolve())
    start = time.perf_counter()
    good = True
    for command in commands:
        with (out / "log").open("a") as log:
            good &= subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=log).returncode == 0
    return time.perf_counter() - start, good


def compare(paths: list[str], rounds: int, only: list[str], nbmake: Path | None) -> str:
    """Return the table of all programs on these notebooks."""
    names = [name for name in programs(paths, Path(), nbmake) if not only or name in only]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    failures: dict[str, str] = {}
    for turn in range(rounds):
        for name in names:
            out = Path(tempfile.mkdtemp(prefix="mlflow-course-"))
            out.chmod(0o755)  # as the usual temporary folder: lecture 13's PostgreSQL runs as another user under root
            took, good = once(programs(paths, out, nbmake)[name], out, nbmake)
            print(f"round {turn + 1}: {name} {took:.1f} s{'' if good else ' FAILED'}", file=sys.stderr, flush=True)
            if not good:
                log = (out / "log").read_text(errors="replace")
                print(log[-3000:], file=sys.stderr)
                failures[name] = log.strip().splitlines()[-1][:120].replace("|", "/") if log.strip() else "no message"
            seconds[name].append(took)
            shutil.rmtree(out, ignore_errors=True)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    lines = [
        "| program | median s | rounds | `course run` is faster by | `course test` is faster by |",
        "|---|---|---|---|---|",
    ]
    for name in sorted(median, key=median.__getitem__):
        ratios = [f"{median[name] / median[of]:.2f} ×" if of in median else "" for of in ("course run", "course test")]
        note = f" (failed: {failures[name]})" if name in failures else ""
        lines.append(
            f"| {name}{note} | {median[name]:.1f} | {', '.join(f'{s:.1f}' for s in seconds[name])} | {' | '.join(ratios)} |"
        )
    if not only and nbmake is None:
        lines += ["", "nbmake was not measured: --nbmake was not given."]
    return "\n".join(lines)


def notebooks(everything: bool) -> list[str]:
    """Return the paths of the six lectures, or of the whole series."""
    kinds = ("notebooks", "solutions") if everything else ("notebooks",)
    found = [path for kind in kinds for path in sorted((ROOT / kind).glob("*.ipynb"))]
    return [str(path) for path in found if everything or path.name[:2] in SIX]


def growth() -> str:
    """Return seconds of `course run` for 1 to 64 copies of one small notebook; cold ones up to 16."""
    import nbformat

    lines = ["| notebooks | warm s | cold s |", "|---|---|---|"]
    cell = "import mlflow, pandas, sklearn.ensemble\nfrom course_utils import store\nstore.connect()\nmlflow.set_experiment('x')"
    for count in (1, 2, 4, 8, 16, 32, 64):
        row = []
        for words in ([], ["--cold"]):
            if words and count > 16:
                row.append("")
                continue
            out = Path(tempfile.mkdtemp(prefix="mlflow-course-"))
            paths = []
            for i in range(count):
                nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
                paths.append(str(out / f"n{i:02d}.ipynb"))
                Path(paths[-1]).write_text(nbformat.writes(nb))
            command = [PYTHON, "-m", "course_runner.cli", "run", *paths, "-o", str(out / "batch"), "-j", "2", *words]
            took, good = once([command], out)
            row.append(f"{took:.1f}{'' if good else ' failed'}")
            shutil.rmtree(out, ignore_errors=True)
        lines.append(f"| {count} | {row[0]} | {row[1]} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def kernel(rounds: int) -> str:
    """Return seconds to the first output and memory of a kernel, warm and cold."""
    import json

    lines = [
        "| kernel | first output s | with MLflow and the course's libraries s | PSS MB | own MB |",
        "|---|---|---|---|---|",
    ]
    note = ""
    for way in ("warm", "cold"):
        command = [PYTHON, "-c", KERNEL, str(ROOT), way, str(max(3, rounds))]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            lines.append(f"| {way} (failed: {done.stderr.strip().splitlines()[-1][:120]}) | | | | |")
            continue
        seen = json.loads(done.stdout.splitlines()[-1])
        memory = [f"{seen[k]:.0f}" if seen[k] is not None else "" for k in ("pss", "own")]
        lines.append(f"| {way} | {seen['first']:.2f} | {seen['mlflow']:.2f} | {' | '.join(memory)} |")
        if way == "warm":
            note = f"\nOnce per batch, the server of warm kernels imports everything in {seen['server']:.1f} s."
    note += " PSS counts memory that processes share in parts; “own” is what no other process has."
    return "\n".join(lines) + "\n" + note


def record() -> str:
    """Return the seconds that a batch's own record in MLflow takes for 1 and 32 notebooks."""
    from course_runner.batch.job import Outcome
    from course_runner.batch.record import Recorder
    from course_utils import store

    lines = ["| notebooks | record s |", "|---|---|"]
    files = notebooks(everything=True)
    for count in (1, len(files)):
        out = Path(tempfile.mkdtemp(prefix="mlflow-course-"))
        uri = f"sqlite:///{out / 'mlflow.db'}"
        store.create(uri)
        outcomes = []
        for path in files[:count]:
            copy = out / Path(path).parent.name / Path(path).name
            copy.parent.mkdir(exist_ok=True)
            outcomes.append(Outcome(f"{copy.parent.name}/{copy.name}", seconds=1.0, output=shutil.copy(path, copy)))
        start = time.perf_counter()
        Recorder(uri, out, {"seed": "1"}).finish(outcomes, {o.name: {"seed": 1} for o in outcomes})
        lines.append(f"| {count} | {time.perf_counter() - start:.2f} |")
        shutil.rmtree(out, ignore_errors=True)
    return "\n".join(lines)


def versions(nbmake: Path | None) -> str:
    """Return the versions of everything that was measured."""
    found = [f"Python {platform.python_version()}", f"{os.cpu_count()} cores", platform.machine()]
    for name in ("papermill", "nbclient", "nbval", "nbconvert", "jupyter-client", "ipykernel", "mlflow"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    for metadata in nbmake.glob("nbmake-*.dist-info") if nbmake else ():
        found.append(metadata.name.removesuffix(".dist-info").replace("-", " "))
    return ", ".join(found)


TITLES = {
    "six": "Six lectures",
    "series": "The whole series: all lectures and solutions",
    "growth": "Growth: copies of one small notebook",
    "kernel": "One kernel",
    "record": "The batch's own record in MLflow",
}


def write(sections: dict[str, str]) -> None:
    """Put the sections into the page; those that were not measured stay."""
    old = PAGE.read_text(encoding="utf8") if PAGE.exists() else ""
    kept = {}
    for part in re.split(r"^(?=## )", old, flags=re.M)[1:]:
        kept[part.splitlines()[0][3:]] = part.rstrip() + "\n"
    for name, text in sections.items():
        kept[TITLES[name]] = f"## {TITLES[name]}\n\n{text.rstrip()}\n"
    body = "\n".join(kept[title] for title in TITLES.values() if title in kept)
    PAGE.write_text(
        f"# The runner against its peers\n\nWritten by benchmarks/run_vs_peers.py.\n\n{body}", encoding="utf8"
    )


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--parts", default="six,growth,kernel,record", help=f"of {','.join(PARTS)}; the default: all but series"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", default=[], metavar="PROGRAM", help="this one; repeat for more")
    parser.add_argument("--notebook", action="append", default=[], metavar="FILE", help="in place of the six; repeat")
    parser.add_argument("--nbmake", type=Path, metavar="FOLDER", help="where nbmake is installed")
    parser.add_argument("--dry", action="store_true", help="print only")
    words = parser.parse_args()
    parts = words.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no part is called {', '.join(unknown)}; there are {', '.join(PARTS)}")
    measure = {
        "six": lambda: compare(
            [str(Path(n).resolve()) for n in words.notebook] or notebooks(False), words.rounds, words.only, words.nbmake
        ),
        "series": lambda: compare(notebooks(True), words.rounds, words.only, words.nbmake),
        "growth": growth,
        "kernel": lambda: kernel(words.rounds),
        "record": record,
    }
    command = f"`{' '.join(['python benchmarks/run_vs_peers.py', *sys.argv[1:]])}`"
    if words.nbmake:
        command = command.replace(str(words.nbmake), "FOLDER")
    for name in (part for part in PARTS if part in parts):
        section = f"{command}: {versions(words.nbmake)}\n\n{measure[name]()}"
        print(f"## {TITLES[name]}\n\n{section}\n", flush=True)
        if not words.dry:
            write({name: section})


if __name__ == "__main__":
    main()
