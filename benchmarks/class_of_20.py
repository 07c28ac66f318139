"""A class on one machine: learners' kernels log to the class server, somebody watches the UI, a batch runs beside them.

    python benchmarks/class_of_20.py                               # 20 learners, 20 minutes
    python benchmarks/class_of_20.py --learners 3 --minutes 1      # a look
    python benchmarks/class_of_20.py --write                       # the table also goes into benchmarks/class_of_20.md

Each learner has an ordinary Jupyter kernel, a name and a password. A cell trains a small model and logs it as a run with a
file, again and again, with pauses of reading. At the end every run that a kernel was told of is counted back through its
learner's own sign-in, with parameters, steps of the metric, and file. Exit code 1 when a run is missing, a cell or a batch
failed, or the server's memory grew by more than a quarter after the first fifth of the time.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import mlflow
import psutil
import requests
from jupyter_client.manager import KernelManager

ROOT = Path(__file__).resolve().parents[1]
PAGE = Path(__file__).with_suffix(".md")
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"  # while the runs are counted back
STEPS = 5

FIRST_CELL = """
import mlflow, mlflow.sklearn
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from course_utils import store
store.quiet()
X, y = load_breast_cancer(return_X_y=True)
X = StandardScaler().fit_transform(X)
mlflow.set_experiment("class-of-20")
"""
CELL = """
with mlflow.start_run(run_name="C-{number}") as run:
    model = LogisticRegression(C=1.5 ** -{number} + 0.01).fit(X, y)
    mlflow.log_param("number", {number})
    for step in range({steps}):
        mlflow.log_metric("accuracy", model.score(X[step::{steps}], y[step::{steps}]), step=step)
    mlflow.log_text("number {number}", "note.txt")
print(run.info.run_id)
"""


@dataclass
class Learner:
    """One learner: how to sign in, what the kernel was told, what went wrong."""

    name: str
    password: str
    address: str
    told: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    longest: float = 0.0

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which MLflow signs in."""
        return {
            "MLFLOW_TRACKING_URI": self.address,
            "MLFLOW_TRACKING_USERNAME": self.name,
            "MLFLOW_TRACKING_PASSWORD": self.password,
            "MLFLOW_WORKSPACE": self.name,
        }

    def work(self, folder: Path, until: float, seed: int) -> None:
        """Run cells in a kernel of one's own until a time."""
        pause, manager = random.Random(seed), KernelManager(kernel_name="python3")
        folder.mkdir()
        manager.start_kernel(env={**os.environ, **self.environment, "COURSE_HOME": str(folder)}, cwd=str(folder))
        client = manager.blocking_client()
        try:
            client.start_channels()
            client.wait_for_ready(timeout=300)
            self._run(client, FIRST_CELL)
            while time.time() < until:
                number, begin = len(self.told), time.perf_counter()
                said = self._run(client, CELL.format(number=number, steps=STEPS))
                self.longest = max(self.longest, time.perf_counter() - begin)
                if re.fullmatch(r"[0-9a-f]{32}", said):
                    self.told[said] = number
                else:
                    self.wrong.append(f"{self.name}, run {number}: {said[-200:]}")
                time.sleep(pause.uniform(3, 12))
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)

    def _run(self, client: object, code: str) -> str:
        said: list[str] = []

        def hook(message: dict) -> None:
            content = message["content"]
            if message["msg_type"] == "stream" and content["name"] == "stdout":
                said.append(content["text"])
            elif message["msg_type"] == "error":
                said.append(f"{content['ename']}: {content['evalue']}")

        client.execute_interactive(code, output_hook=hook, timeout=300)
        return "".join(said).strip().splitlines()[-1] if said else ""


def count_back(learner: Learner) -> list[str]:
    """Return what is missing or wrong of a learner's runs, asked for with the learner's own name; in this process."""
    os.environ.update(learner.environment)
    mlflow.set_tracking_uri(learner.address)
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("class-of-20")
    found, token, wrong = {}, None, []
    while experiment:
        page = client.search_runs([experiment.experiment_id], max_results=500, page_token=token)
        found.update({run.info.run_id: run for run in page})
        if not (token := page.token):
            break
    for run_id, number in learner.told.items():
        run = found.pop(run_id, None)
        if run is None:
            wrong.append(f"{learner.name}: run {number} is missing")
        elif run.info.status != "FINISHED" or run.data.params != {"number": str(number)}:
            wrong.append(f"{learner.name}: run {number} is {run.info.status} with {run.data.params}")
        elif [m.step for m in client.get_metric_history(run_id, "accuracy")] != list(range(STEPS)):
            wrong.append(f"{learner.name}: run {number} lacks steps of its metric")
        elif mlflow.artifacts.load_text(f"{run.info.artifact_uri}/note.txt") != f"number {number}":
            wrong.append(f"{learner.name}: run {number} has another file")
    finished = [run_id for run_id, run in found.items() if run.info.status == "FINISHED"]
    return wrong + [f"{learner.name}: {len(finished)} more runs than the kernel was told"] * bool(finished)


def memory(pid: int) -> float:
    """Return the megabytes of a process and all below it; shared pages are counted once (PSS), where the system says."""
    total = 0.0
    with contextlib.suppress(psutil.Error):
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                info = process.memory_full_info()
                total += getattr(info, "pss", info.uss) / 1e6
    return total


def course(*words: str, **more: object) -> subprocess.CompletedProcess:
    """Run the course's command."""
    command = [sys.executable, "-m", "course_runner.cli", *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, **more)


def server_pid(port: int) -> int:
    """Return the outermost process of the server that listens on a port."""
    (listening,) = {c.pid for c in psutil.net_connections("tcp") if c.laddr.port == port and c.status == "LISTEN"}
    process = psutil.Process(listening)
    while (parent := process.parent()) and "course_runner" in " ".join(parent.cmdline()):
        process = parent
    return process.pid


def main() -> None:
    """Let the class work, then count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--learners", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--write", action="store_true", help="store the table in benchmarks/class_of_20.md")
    arguments = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, names = f"http://127.0.0.1:{port}", [f"learner{n:02}" for n in range(arguments.learners)]
    with tempfile.TemporaryDirectory(prefix="class-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        folder.chmod(0o711)  # root's PostgreSQL works as another user, who must be able to pass
        started = course("server", "start", "--folder", str(folder / "server"), "--port", str(port), "--detach")
        if started.returncode:
            sys.exit(started.stdout + started.stderr)
        try:
            rows = work(folder, address, names, port, arguments.minutes * 60)
        finally:
            course("server", "stop", "--folder", str(folder / "server"))
    print(rows[0])
    if arguments.write:
        PAGE.write_text(rows[0], encoding="utf8")
    sys.exit(bool(rows[1]))


def work(folder: Path, address: str, names: list[str], port: int, seconds: float) -> tuple[str, list[str]]:
    """Let everybody work for a time, and return the page about it and what was wrong."""
    made = course("server", "add-user", "--folder", str(folder / "server"), *names)
    passwords = dict(re.findall(r"^(learner\d\d) +(\S+)", made.stdout, re.M))
    if set(passwords) != set(names):
        sys.exit(f"add-user printed no password for everybody:\n{made.stdout}{made.stderr}")
    learners = [Learner(name, passwords[name], address) for name in names]
    begin = time.time()
    until = begin + seconds
    threads = [
        threading.Thread(target=learner.work, args=(folder / learner.name, until, number))
        for number, learner in enumerate(learners)
    ]
    for thread in threads:
        thread.start()
    pid, sizes, wrong, batches, pages = server_pid(port), [], [], 0, 0
    watcher = {"auth": (names[0], passwords[names[0]]), "headers": {"X-MLFLOW-WORKSPACE": names[0]}}
    batch: subprocess.Popen | None = None
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    while time.time() < until or any(thread.is_alive() for thread in threads) or batch:
        if batch is None and time.time() < until:
            words = ["run", "mlflow_basics", "-o", str(folder / f"batch-{batches}")]
            command = [sys.executable, "-m", "course_runner.cli", *words]
            with (folder / "batch.log").open("w") as log:
                batch = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        elif batch is not None and batch.poll() is not None:
            batches += 1
            if batch.returncode:
                wrong.append(
                    f"batch {batches}: exit code {batch.returncode}: {(folder / 'batch.log').read_text()[-300:]}"
                )
            batch = None
        # Without a connection that is kept: the server closes an idle one after the five seconds that we wait.
        answer = requests.post(
            f"{address}/ajax-api/2.0/mlflow/experiments/search", json={"max_results": 50}, timeout=120, **watcher
        )
        pages += 1
        if answer.status_code != 200:
            wrong.append(f"the UI's list of experiments: {answer.status_code} {answer.text[:100]}")
        if time.time() < until:
            sizes.append((time.time() - begin, memory(pid)))
        time.sleep(5)
        print(
            f"\r{time.time() - begin:6.0f} s  {sum(len(one.told) for one in learners)} runs  ", end="", file=sys.stderr
        )
    for learner in learners:
        wrong += learner.wrong + count_back(learner)
    first = max(size for when, size in sizes if when <= max(seconds / 5, sizes[0][0]))
    last = max(size for when, size in sizes if when >= seconds * 4 / 5 or (when, size) == sizes[-1])
    if last > 1.25 * first:
        wrong.append(f"the server's memory grew from {first:.0f} to {last:.0f} MB")
    runs = sum(len(learner.told) for learner in learners)
    lines = [
        "# A class on one machine",
        "",
        f"`python benchmarks/class_of_20.py`, Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{psutil.virtual_memory().total / 2**30:.0f} GB.",
        "",
        "| what | count |",
        "|---|---:|",
        f"| learners, each with a kernel | {len(learners)} |",
        f"| minutes | {seconds / 60:.0f} |",
        f"| runs that a kernel was told of | {runs} |",
        f"| of these missing, changed or doubled on the server | {sum('run' in text for text in wrong)} |",
        f"| longest cell of a learner, seconds | {max(learner.longest for learner in learners):.1f} |",
        f"| the UI's list of experiments asked for | {pages} |",
        f"| batches run beside them (`course run mlflow_basics`) | {batches} |",
        f"| server's memory in the first fifth, MB (most) | {first:.0f} |",
        f"| server's memory in the last fifth, MB (most) | {last:.0f} |",
        f"| anything wrong | {len(wrong)} |",
        "",
        *(f"- {text}" for text in wrong[:20]),
    ]
    return "\n".join(lines).rstrip() + "\n", wrong


if __name__ == "__main__":
    main()
