"""Lectures of the second edition's shape, as tests need them: their parts by tag, run with changes, a failure's line."""

from __future__ import annotations

import ast
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from course_runner.batch.execute import execute
from course_runner.batch.job import Outcome
from course_runner.batch.parameters import parameter_defaults
from course_runner.build.build import SCRATCH, make_job
from course_runner.build.source import Page, make_notebook, pages, read_source, tagged
from course_runner.kernels.sockets import scratch_parent

ROOT = Path(__file__).resolve().parents[1]
PAGES = pages(ROOT)
LECTURES = [page for page in PAGES if page.kind == "notebooks"]
SEEDS = (0, 1, 2)


def cells(page: Page, tag: str) -> list[str]:
    """Return the texts of a source's cells that have a tag."""
    return [cell.source for cell in tagged(read_source(page.source).cells, tag)]


def python_in_the_text(page: Page) -> list[str]:
    """Return the blocks of Python that a reader may paste from a page's text."""
    text = "\n".join(cell.source for cell in make_notebook(page, PAGES).cells if cell.cell_type == "markdown")
    return re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)


def changes(page: Page) -> list[dict[str, Any]] | None:
    """Return ``CHANGES`` of a lecture's first claims cell, without running it; None when it is not there."""
    for node in ast.parse(next(iter(cells(page, "claims")), "")).body:
        if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "CHANGES" for t in node.targets):
            return ast.literal_eval(node.value)
    return None


def variants(page: Page) -> dict[str, dict[str, Any]]:
    """Return name → parameters of every way in which the claims of a lecture must hold; the first is as it is stored."""
    defaults = parameter_defaults(read_source(page.source))
    found = {"stored": {}}
    seeds = [{"seed": seed} for seed in SEEDS if defaults.get("seed", seed) != seed]
    for change in (*seeds, *(changes(page) or ())):
        found[",".join(f"{key}={value}" for key, value in change.items())] = change
    return found


def can_wait(nb: NotebookNode) -> list[set[str]]:
    """Return the ids of the cells that JupyterLab hides at first, for each heading with *(can wait)*."""
    found: list[set[str]] = []
    level = 0  # of the heading that is folded; 0: none
    for cell in nb.cells:
        text = re.sub(r"^```.*?^```", "", cell.source, flags=re.M | re.S) if cell.cell_type == "markdown" else ""
        heads = [len(signs) for signs in re.findall(r"^(#{1,6}) ", text, re.M)]
        if heads and min(heads) <= level:
            level = 0
        if level:
            found[-1].add(cell.id)
        elif cell.metadata.get("jp-MarkdownHeadingCollapsed"):
            level = min(heads)
            found.append(set())
    return found


def run(page: Page, nb: NotebookNode, parameters: dict[str, Any] | None = None) -> tuple[Outcome, NotebookNode]:
    """Execute a notebook of a lecture in a home and with a store of its own."""
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=scratch_parent(), ignore_cleanup_errors=True) as folder:
        return execute(replace(make_job(page, Path(folder), nb), parameters=parameters or {}))


def failure(page: Page, outcome: Outcome, nb: NotebookNode) -> str:
    """Return file, line and text of the statement that failed, and its error."""
    where, shown = str(page.source.relative_to(page.root)), outcome.error
    text = page.source.read_text(encoding="utf8")
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error" and cell.source in text:
                trace = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(output.traceback))
                if found := re.search(r"^-+> *(\d+) ?(.*)$", trace, re.M):
                    line = text[: text.index(cell.source)].count("\n") + int(found[1])
                    return f"{where}:{line}: {found[2].strip()} ({shown.rstrip(': ')})"
    return f"{where}: {shown}"
