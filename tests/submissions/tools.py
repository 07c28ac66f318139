"""Answers to homework as tests write them: text for the gap, or our solution with something swapped."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import io
import os
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from course_runner.build.source import read_source
from course_utils._judge.task import Result, load_tasks, run_check
from course_utils._plumbing import steps

_BLOCK = re.compile(r"^([ \t]*)### BEGIN SOLUTION[ \t]*\n(.*?)^[ \t]*### END SOLUTION[ \t]*$", re.S | re.M)
_CHECK = re.compile(r"^\s*hw\.(check|hint|solution|progress)\(", re.M)


@dataclass(frozen=True)
class swap:
    """Our solution with `old` replaced by `new` (every pair given); an `old` that is not there fails the test."""

    pairs: tuple[tuple[str, str], ...]

    def __init__(self, *pairs: str) -> None:
        if not pairs or len(pairs) % 2:
            raise ValueError("swap takes old, new, old, new, …")
        object.__setattr__(self, "pairs", tuple(zip(pairs[::2], pairs[1::2], strict=True)))

    def apply(self, solution: str) -> str:
        for old, new in self.pairs:
            assert old in solution, f"swap: {old!r} is not in our solution"
            solution = solution.replace(old, new)
        return solution


@dataclass(frozen=True)
class append:
    """Our solution with lines added at its end, indented as they are written."""

    lines: str

    def apply(self, solution: str) -> str:
        return solution.rstrip() + "\n" + self.lines.strip("\n")


@cache
def _cells(step: str) -> tuple[tuple[str, tuple[str, ...], int], ...]:
    """Return text, tags and section of each code cell; section 0 is set-up, n is task n (the stretch comes last)."""
    found, section = [], 0
    for cell in read_source(steps.find(step).folder / "homework.py").cells:
        if cell.cell_type == "code":
            found.append((cell.source, tuple(cell.metadata.get("tags", [])), section))
        else:
            section += len(re.findall(r"^## (?:Task \d|Stretch)", cell.source, re.M))
    return tuple(found)


def solution(step: str, task: int) -> str:
    """Return the text between the markers of a task (its blocks joined)."""
    texts = [
        textwrap.dedent(m[2])
        for source, tags, _ in _cells(step)
        if f"task-{task}" in tags
        for m in _BLOCK.finditer(source)
    ]
    assert texts, f"homework {step} has no solution block in a cell tagged task-{task}"
    assert len(texts) == 1, f"homework {step} task {task}: keep the solution in one block"
    return texts[0]


def script(step: str, task: int, answer: str) -> list[str]:
    """Return the cells to run for one task: set-up, the task's given cells, and its own with the gap filled.

    A task that needed another task's cells would fail here: tasks are independent.
    """
    cells = []
    for source, tags, section in _cells(step):
        if _CHECK.search(source) or section not in (0, task):
            continue
        tasks = [t for t in tags if t.startswith("task-")]
        if not tasks:
            cells.append(source)
        elif f"task-{task}" in tasks:
            cells.append(_BLOCK.sub(lambda m: textwrap.indent(textwrap.dedent(answer).strip("\n"), m[1]), source))
    return cells


def notebook(step: str, answers: dict[int, str]) -> list[str]:
    """Return the cells of the whole notebook, as Run All runs them, with an answer in the gaps of some tasks."""

    def filled(source: str, tags: tuple[str, ...]) -> str:
        for tag in tags:
            if tag.startswith("task-"):
                text = textwrap.dedent(answers.get(int(tag[5:]), "...")).strip("\n")
                return _BLOCK.sub(lambda m, text=text: textwrap.indent(text, m[1]), source)
        return source

    return [filled(source, tags) for source, tags, _ in _cells(step) if not _CHECK.search(source)]


def run(cells: list[str]) -> None:
    """Run cells as a learner would: errors are shown, and the rest goes on."""
    from course_utils import store

    namespace: dict = {"__name__": "__main__"}
    here = os.getcwd()
    for cell in cells:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            with contextlib.suppress(Exception):
                exec(compile(cell, "<submission>", "exec"), namespace)
    os.chdir(here)
    store.connect()


def answer_text(step: str, task: int, answer: str | swap | append) -> str:
    """Return the text of an answer."""
    return answer if isinstance(answer, str) else answer.apply(solution(step, task))


def attempt(step: str, task: int, answer: str | swap | append) -> Result:
    """Run an answer as a learner would (errors shown, the rest goes on), then check the task."""
    import mlflow

    from course_utils._judge.evidence import Evidence

    run(script(step, task, answer_text(step, task, answer)))
    try:
        return run_check(task, load_tasks(step)[task - 1], Evidence())
    finally:
        while mlflow.active_run():
            mlflow.end_run()


@cache
def answers(step: str) -> ModuleType:
    """Return the right and wrong answers to a homework: ``answers.py`` of its step, as a module."""
    spec = importlib.util.spec_from_file_location(f"answers_{step}", steps.find(step).folder / "answers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- mutants ----------------------------------------------------------------------------------------------------------

SWAPS = {
    "X_train": "X_test",
    "X_test": "X_train",
    "y_train": "y_test",
    "y_test": "y_train",
}


class _Mutation(ast.NodeTransformer):
    """Make the n-th possible change: constant changed, statement dropped, name swapped, keyword dropped."""

    def __init__(self, n: int, swaps: dict[str, str]) -> None:
        self.n, self.seen, self.what, self.swaps = n, -1, "", {**SWAPS, **swaps}

    def _hit(self, node: ast.AST, what: str) -> bool:
        self.seen += 1
        if self.seen == self.n:
            self.what = f"line {node.lineno}: {what}"
            return True
        return False

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        value = node.value
        if isinstance(value, bool):
            return (
                ast.copy_location(ast.Constant(not value), node) if self._hit(node, f"{value} → {not value}") else node
            )
        if isinstance(value, (int, float)) and self._hit(node, f"{value!r} → {value * 2 + 1!r}"):
            return ast.copy_location(ast.Constant(value * 2 + 1), node)
        if isinstance(value, str) and self._hit(node, f"{value!r} → {value + '_x'!r}"):
            return ast.copy_location(ast.Constant(value + "_x"), node)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        if self._hit(node, f"dropped {ast.unparse(node)[:60]}"):
            return ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        other = self.swaps.get(node.id)
        if other and isinstance(node.ctx, ast.Load) and self._hit(node, f"{node.id} → {other}"):
            return ast.copy_location(ast.Name(other, node.ctx), node)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        other = self.swaps.get(node.attr)
        if other and isinstance(node.ctx, ast.Load) and self._hit(node, f".{node.attr} → .{other}"):
            return ast.copy_location(ast.Attribute(node.value, other, node.ctx), node)
        return self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST | None:
        if self._hit(node.value, f"dropped {node.arg}=") if node.arg else False:
            return None
        return self.generic_visit(node)


def mutants(text: str, swaps: dict[str, str] | None = None) -> Iterator[tuple[str, str]]:
    """Yield (what was changed, changed text) for every single change of the text."""
    n = 0
    while True:
        mutation = _Mutation(n, swaps or {})
        tree = ast.fix_missing_locations(mutation.visit(ast.parse(text)))
        if not mutation.what:
            return
        yield mutation.what, ast.unparse(tree)
        n += 1
