"""Turns a notebook into the text of its page: pictures get their words, a homework gets its solution, folded away."""

from __future__ import annotations

import json
import re
from pathlib import Path

_SOLUTION_LINK = re.compile(r" · \[[^]]*\]\(\.\./solutions/[^)]*\)")


def page(text: str, solution: Path | None = None) -> str:
    """Return the notebook as its page shows it. The notebook's file stays as it is, and so does its download.

    Parameters
    ----------
    text
        The notebook, as JSON.
    solution
        For a homework: the notebook with the solution, which is folded in under each task.
    """
    notebook = json.loads(text)
    if solution is not None:
        notebook["cells"] = _folded(notebook["cells"], json.loads(solution.read_text(encoding="utf8"))["cells"])
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = _links("".join(cell["source"]))
        _describe(cell)
        _tables(cell)
    return json.dumps(notebook)


def _links(source: str) -> str:
    """Point links at pages: pictures of the site have another address, and a solution has no page of its own."""
    return _SOLUTION_LINK.sub("", source)


def _describe(cell: dict) -> None:
    """Hand the words of a picture to myst-nb, which reads them only from the cell (myst-nb 1.4)."""
    for output in cell.get("outputs", []):
        if alt := output.get("metadata", {}).get("image/png", {}).get("alt"):
            cell["metadata"].setdefault("mystnb", {}).setdefault("image", {})["alt"] = alt


def _tables(cell: dict) -> None:
    """Let the empty corners of pandas' tables be cells: a heading without words is read aloud as one (pandas 2 and 3)."""
    for output in cell.get("outputs", []):
        if table := output.get("data", {}).get("text/html"):
            output["data"]["text/html"] = "".join(table).replace("<th></th>", "<td></td>")


def _folded(exercise: list[dict], solved: list[dict]) -> list[dict]:
    """Return the exercise's cells, each with what the solution has to say folded under it."""
    remarks = [cell for cell in solved if "solution" in cell["metadata"].get("tags", [])]
    answers = [cell for cell in solved if cell not in remarks]
    cells: list[dict] = []
    for asked, answer in zip(exercise, answers, strict=True):
        cells.append(asked)
        if asked["cell_type"] != "code":
            continue
        task = next((tag for tag in asked["metadata"].get("tags", []) if tag.startswith("task-")), "")
        if task and "".join(asked["source"]) != "".join(answer["source"]):
            number = task.removeprefix("task-")
            cells.append(_fold(answer, "hide-cell", f"Show a solution of task {number}", "Hide the solution"))
        elif answer["outputs"]:
            solved_before = any("hide-cell" in cell["metadata"].get("tags", []) for cell in cells)
            checks = "".join(answer["source"]).startswith("hw.")
            show = "Show what this answers to the solution" if checks else "Show the output"
            cells[-1] = _fold(answer, "hide-output", show, "Hide the output") if solved_before else answer
    if cells[0]["cell_type"] == "markdown":
        cells[0] = {**cells[0], "source": "".join(cells[0]["source"]) + _NOTE}
    for remark in remarks:
        text = "".join(remark["source"])
        folded = f"<details><summary>Notes on the solution</summary>\n\n{text}\n\n</details>"
        cells.append({**remark, "source": folded})
    return cells


_NOTE = """

To do this homework, run `make lab` in your copy of the course and open it there: on this page nothing runs. Under each
task, a solution and what its check answers are folded away.
"""


def _fold(cell: dict, tag: str, show: str, hide: str) -> dict:
    """Return the cell with its input or output behind a line to unfold."""
    prompts = {"code_prompt_show": show, "code_prompt_hide": hide}
    return {**cell, "id": f"{cell['id']}-{tag}", "metadata": {"tags": [tag], "mystnb": prompts}}
