"""How long until a learner can work: JupyterLab's first usable screen, and the MLflow UI's first screen in it.

Run from the checkout: ``python benchmarks/lab_start.py [ROUNDS]`` (five unless told). It writes lab_start.md beside this file.
Usable means: lecture 00 is drawn and its kernel is idle. The UI's first screen means: the list of experiments is there.
Each round starts a new JupyterLab with an empty store and a browser that remembers nothing.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, sync_playwright  # noqa: E402

from tests.browser import driver  # noqa: E402

STEPS = (
    "`course lab`: the address is printed",
    "lecture 00 is drawn",
    "its kernel is idle: the first usable screen",
    "*MLflow UI* clicked: the tab says that it starts",
    "the list of experiments is there: the UI's first screen",
)


def one_round(browser: Browser, folder: Path) -> list[float]:
    """Return the seconds of each step: the first three from the command on, the last two from the click on."""
    start = time.perf_counter()
    seconds = []
    with driver.lab(folder) as lab, browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        seconds.append(time.perf_counter() - start)
        front = driver.LabPage(context.new_page())
        front.open(lab.url)
        seconds.append(time.perf_counter() - start)
        front.wait_for_kernel()
        seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        front.notebook.get_by_role("link", name="MLflow UI").first.click()
        front.mlflow.locator("h1, h2, h3").first.wait_for()
        seconds.append(time.perf_counter() - start)
        front.mlflow.get_by_role("link", name="Default").wait_for()
        seconds.append(time.perf_counter() - start)
    return seconds


def main(rounds: int) -> None:
    """Measure and write the table."""
    results = []
    with sync_playwright() as playwright, tempfile.TemporaryDirectory(prefix="mlflow-course-") as folder:
        browser = driver.launch(playwright)
        for number in range(rounds):
            results.append(one_round(browser, Path(folder) / str(number)))
            print(f"round {number + 1} of {rounds}: {', '.join(f'{s:.1f} s' for s in results[-1])}", flush=True)
        chrome = browser.version
        browser.close()
    lines = [
        "# JupyterLab's and the MLflow UI's first screens",
        "",
        f"`python benchmarks/lab_start.py {rounds}`: seconds, median of {rounds} (smallest to largest).",
        "",
        "| step | seconds | from, to |",
        "|---|---|---|",
    ]
    for step, values in zip(STEPS, zip(*results, strict=True), strict=True):
        lines.append(f"| {step} | {statistics.median(values):.1f} | {min(values):.1f}, {max(values):.1f} |")
    packages = ", ".join(f"{name} {version(name)}" for name in ("jupyterlab", "mlflow", "jupyter-server-proxy"))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    lines += [
        "",
        f"{packages}, Python {platform.python_version()}, Chromium {chrome}; {platform.system()}, {os.cpu_count()} cores, "
        f"load {load:.1f} at the end. The first three rows count from the command, the last two from the click.",
    ]
    text = "\n".join(lines) + "\n"
    (ROOT / "benchmarks" / "lab_start.md").write_text(text, encoding="utf8")
    print(text)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
