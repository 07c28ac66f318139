"""Prove that warm kernels change nothing: run notebooks with warm and with ordinary kernels and compare every output.

    python benchmarks/warm_is_cold.py                 # the whole series
    python benchmarks/warm_is_cold.py 03 04 --write   # two lectures; the table goes into benchmarks/warm_is_cold.md too

Outputs are compared as they are stored, byte for byte, pictures too: run ids, times and temporary folders are masked by
sanitize.cfg, the file that the build and nbval use. Exit code 1 when any output differs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from course_runner.build.outputs import MEASURED, PICTURES, normalize

ROOT = Path(__file__).resolve().parents[1]


def run(words: list[str], folder: Path) -> float:
    """Run the notebooks into the folder and return the seconds it took; some outputs name the folder of their batch."""
    start = time.perf_counter()
    batch = folder.with_name("batch")
    command = [sys.executable, "-m", "course_runner.cli", "run", *words, "-o", str(batch)]
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(f"course run ended with exit code {done.returncode}: mend that first ({batch / 'index.html'})")
    seconds = time.perf_counter() - start
    batch.rename(folder)
    return seconds


def stored(cell: nbformat.NotebookNode) -> list[dict]:
    """Return a cell's outputs as they are compared; pictures of measured seconds, and their words, are left out."""
    outputs = [dict(output) for output in normalize(cell.get("outputs", []))]
    if MEASURED in cell.metadata.get("tags", []):
        outputs = [
            {**o, "data": {k: v for k, v in o.get("data", {}).items() if k not in PICTURES}, "metadata": {}}
            for o in outputs
        ]
    return outputs


def compare(warm: Path, cold: Path) -> tuple[list[str], int, int]:
    """Return the table's rows, the number of outputs and the number of cells that differ."""
    rows, total, wrong = [], 0, 0
    for one in sorted(path for path in warm.glob("*/*.ipynb")):
        label = one.relative_to(warm)
        books = [nbformat.read(path, 4).cells for path in (one, cold / label)]
        different = [n for n, (a, b) in enumerate(zip(*books, strict=True), 1) if stored(a) != stored(b)]
        outputs = sum(len(stored(cell)) for cell in books[0])
        total, wrong = total + outputs, wrong + len(different)
        rows.append(f"| {label} | {outputs} | {'cells ' + ', '.join(map(str, different)) if different else 'none'} |")
    return rows, total, wrong


def main() -> None:
    """Run both ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", help="as for `course run`; the whole series when left out")
    parser.add_argument("--write", action="store_true", help="write benchmarks/warm_is_cold.md")
    parser.add_argument("--keep", action="store_true", help="keep the two batches and say where they are")
    words = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mlflow-course-"))
    try:
        warm = run(words.notebooks, folder / "warm")
        cold = run([*words.notebooks, "--cold"], folder / "cold")
        rows, total, wrong = compare(folder / "warm", folder / "cold")
    finally:
        if words.keep:
            print(folder, file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    page = "\n".join(
        [
            f"# Warm kernels against ordinary ones: {total - wrong} of {total} outputs are the same",
            "",
            f"`{' '.join(['python benchmarks/warm_is_cold.py', *sys.argv[1:]])}`: {warm:.0f} s warm, {cold:.0f} s cold",
            "",
            "| notebook | outputs | that differ |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )
    print(page)
    if words.write:
        (ROOT / "benchmarks/warm_is_cold.md").write_text(page, encoding="utf8")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
