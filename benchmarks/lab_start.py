"""How long until a learner can work: JupyterLab's first usable screen, the first imports, the MLflow UI's first screen.

Run from the checkout: ``python benchmarks/lab_start.py [ROUNDS]`` (five unless told). It writes lab_start.md beside this file.
Usable means: lecture 00 is drawn and its kernel is idle. The UI's first screen means: the list of experiments is there.
Each round starts a new JupyterLab with an empty store and a browser that remembers nothing: one of the first edition,
one of this checkout, and one without anything of the course on the same lecture, with the same packages. A machine that
does other things as well slows down all three.
"""

from __future__ import annotations

import io
import itertools
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as at home: what was compiled once is kept

from playwright.sync_api import Browser, sync_playwright  # noqa: E402

from tests.browser import driver  # noqa: E402

#: The first edition's commit.
FIRST = "da2d91f"
STEPS = (
    "`course lab`: the address is printed",
    "lecture 00 is drawn",
    "its kernel is idle: the first usable screen",
    "imports of a lecture, in the first cell that is run",
    "*MLflow UI* clicked: the UI's first screen",
)
#: Goals in seconds.
GOALS = ("", "", "5", "0.5", "3")
IMPORTS = """\
import matplotlib.pyplot as plt
import mlflow
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
"""


def first_edition(folder: Path) -> dict[str, str]:
    """Unpack the first edition into `folder`, and return the environment in which Python takes it for the installed one."""
    packed = subprocess.run(["git", "archive", "--format=zip", FIRST], cwd=ROOT, check=True, capture_output=True).stdout
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(folder)
    installed = folder / "course_utils.egg-info"
    installed.mkdir()
    (installed / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: course-utils\nVersion: 0.1.0\n")
    (installed / "entry_points.txt").write_text(
        "[jupyter_client.kernel_provisioners]\ncourse-warm-provisioner = course_utils.runner.provisioner:WarmProvisioner\n"
        "[jupyter_serverproxy_servers]\nmlflow = course_utils.runner.lab:tile\n"
    )
    return {"PYTHONPATH": str(folder)}


def one_round(browser: Browser, folder: Path, **edition: object) -> list[float]:
    """Return the seconds of each step: the first three from the command on, the last two from the click on."""
    start = time.perf_counter()
    seconds = []

    def note() -> None:
        seconds.append(time.perf_counter() - start)

    with driver.lab(folder, **edition) as lab, browser.new_context(viewport={"width": 1366, "height": 768}) as context:
        note()
        front = driver.LabPage(context.new_page())
        front.open(lab.url)
        note()
        front.wait_for_kernel()
        note()
        if edition.get("alone"):
            return seconds
        cell = front.notebook.locator(".jp-CodeCell").first
        front.write(cell, IMPORTS)
        start = time.perf_counter()
        front.run(cell)
        note()
        link = front.notebook.get_by_role("link", name="MLflow UI").first
        link.scroll_into_view_if_needed()
        start = time.perf_counter()
        link.click()
        front.mlflow.get_by_role("link", name="Default").wait_for()
        note()
    return seconds


def main(rounds: int) -> None:
    """Measure and write the table."""
    results: dict[str, list[list[float]]] = {"first edition": [], "now": [], "JupyterLab alone": []}
    with sync_playwright() as playwright, tempfile.TemporaryDirectory(prefix="mlflow-course-") as folder:
        before = Path(folder) / "first"
        editions = {
            "first edition": {"root": before, "command": "course_utils.cli", "settings": first_edition(before)},
            "now": {},
            "JupyterLab alone": {"alone": True},
        }
        browser = driver.launch(playwright)
        load = []
        for number in range(rounds):
            for name, edition in editions.items():
                load += [os.getloadavg()[0]] if hasattr(os, "getloadavg") else []
                seconds = one_round(browser, Path(folder) / f"{name} {number}".replace(" ", "-"), **edition)
                results[name].append(seconds)
                print(f"round {number + 1}, {name}: {', '.join(f'{s:.1f} s' for s in seconds)}", flush=True)
        chrome = browser.version
        browser.close()
    text = report(results, rounds, load, chrome)
    (ROOT / "benchmarks" / "lab_start.md").write_text(text, encoding="utf8")
    print(text)


def report(results: dict[str, list[list[float]]], rounds: int, load: list[float], chrome: str) -> str:
    """Return the page with the medians."""
    columns = [list(zip(*results[name], strict=True)) for name in ("first edition", "now")]
    alone = [f"{statistics.median(v):.1f}" for v in zip(*results["JupyterLab alone"], strict=True)]
    lines = [
        "# JupyterLab's and the MLflow UI's first screens",
        "",
        f"`python benchmarks/lab_start.py {rounds}`: seconds, median of {rounds} (smallest to largest), the programs in turn"
        f" ({FIRST} is the first). The ratio is the median over the rounds of *now* divided by *first edition*.",
        "",
        "| step | first edition | now | ratio | goal | JupyterLab alone |",
        "|---|---|---|---|---|---|",
    ]
    for step, before, now, goal, least in itertools.zip_longest(STEPS, *columns, GOALS, alone, fillvalue=""):
        ratio = statistics.median(n / b for n, b in zip(now, before, strict=True))
        shown = [f"{statistics.median(v):.1f} ({min(v):.1f} to {max(v):.1f})" for v in (before, now)]
        lines.append(f"| {step} | {' | '.join(shown)} | {ratio:.2f} | {goal} | {least} |")
    packages = ", ".join(f"{name} {version(name)}" for name in ("jupyterlab", "mlflow", "jupyter-server-proxy"))
    lines += [
        "",
        "The first three rows count from the command, the others from Shift+Enter and from the click. In the first edition"
        " the click also starts the UI's server; now JupyterLab's page asks for it as soon as the first kernel is ready."
        " *JupyterLab alone* is the same page and an ordinary kernel without anything of the course: what no course can be"
        " faster than on this machine.",
        "",
        f"{packages}, Python {platform.python_version()}, Chromium {chrome}; {platform.system()}, {os.cpu_count()} cores. "
        f"Load average before each start: {min(load, default=0):.1f} to {max(load, default=0):.1f}"
        f" (above {os.cpu_count()}: other programs took part of the machine).",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
