"""What the stored outputs of a notebook were made from: quiz, helpers, checks, runner and packages, as digests.

A notebook is up to date when its text and these digests are as they were when it was executed. Two things they cannot
see: a module that is imported by a name computed at run time, and the system below Python.
"""

from __future__ import annotations

import ast
import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from course_runner.batch.parameters import without_magics
from course_runner.build.source import Page
from course_utils._plumbing import steps

#: What takes part in executing a notebook and storing its outputs. Comments and docstrings in it do not count.
RUNNER = (
    *("kernels/*.py", "kernels/site/*.py", "build/outputs.py"),
    *("batch/job.py", "batch/parameters.py", "batch/leftovers.py", "batch/engine.py", "batch/execute.py"),
)
PACKAGES = ("course_utils", "course_runner")
#: Part of the origin → how a person calls it.
NAMES = {
    "quiz": "its quiz",
    "helpers": "helper code that it imports",
    "checks": "the homework's checks",
    "runner": "the code that runs notebooks",
    "packages": "the locked packages",
}


def origin(page: Page, nb: NotebookNode) -> dict[str, str]:
    """Return part → digest of all that the outputs of a page depend on besides its own text."""
    code = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "code")
    found = {
        "helpers": _digest(modules(page.root, code)),
        "runner": _runner(page.root, _stamp(page.root / "course_runner", RUNNER)),
        "packages": _packages(page.root, *(_modified(page.root / n) for n in ("requirements.lock", "pyproject.toml"))),
    }
    if quizzes := sorted(set(re.findall(r"""lesson\.quiz\(\s*["'](\w+)["']""", code))):
        texts = [steps.find(name, page.root).folder / "quiz.json" for name in quizzes]
        found["quiz"] = _hash(*(steps.fill(_text(path), page.root).encode() for path in texts))
    if homework := sorted(set(re.findall(r"""Homework\(\s*["'](\w+)["']""", code))):
        checks = [steps.find(name, page.root).folder / "checks.py" for name in homework]
        used = {module for path in checks for module in modules(page.root, _text(path))}
        found["checks"] = _hash(*(_text(path).encode() for path in checks), _digest(used).encode())
    return found


def changed(before: dict[str, str], now: dict[str, str]) -> str:
    """Say what differs between two origins; empty when nothing does."""
    parts = [name for key, name in NAMES.items() if before.get(key) != now.get(key)]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def modules(root: Path, code: str) -> set[Path]:
    """Return the files of our packages that a code imports, and those that they import in turn, inside functions too."""
    found: set[Path] = set()
    waiting = list(_imports(root, without_magics(code), ()))
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported_by(root, path, _modified(path))
    return found


@cache
def _imported_by(root: Path, path: Path, _stamp: int) -> tuple[Path, ...]:
    package = path.relative_to(root).parent.parts
    return tuple(_imports(root, _text(path), package))


def _imports(root: Path, code: str, package: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files that the import statements of a code name; `package` is where relative imports start."""
    try:
        tree = ast.parse(code)
    except SyntaxError:  # a cell that shows one on purpose, or another cell language
        tree = ast.parse("\n".join(line for line in code.splitlines() if re.match(r"(from|import) ", line)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            start = (*base, *(node.module.split(".") if node.module else ()))
            names = [(*start, alias.name) for alias in node.names]
        else:
            continue
        for parts in names:
            if parts[:1] and parts[0] in PACKAGES:
                yield from _files(root, parts)


def _files(root: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    """Yield the package files and the module that a dotted name passes through."""
    for length in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:length])
        for path in (place / "__init__.py", place.with_suffix(".py")):
            if path.is_file():
                yield path


def _text(path: Path) -> str:
    return path.read_text(encoding="utf8").replace("\r\n", "\n")


def _hash(*parts: bytes) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:16]


def _digest(paths: Iterable[Path]) -> str:
    return _hash(*(_text(path).encode() for path in sorted(paths)))


def _modified(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0


def _stamp(folder: Path, patterns: Iterable[str]) -> tuple[tuple[Path, int], ...]:
    return tuple((path, _modified(path)) for pattern in patterns for path in sorted(folder.glob(pattern)))


def _same_in_every_python(node: Any) -> str:
    """Return a syntax tree as text; `ast.unparse` quotes f-strings, and `ast.dump` shows what is empty, as each Python likes."""
    if isinstance(node, list):
        return f"[{','.join(map(_same_in_every_python, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.JoinedStr):  # Python 3.12 ends some f-strings with an empty constant
        node.values = [part for part in node.values if not (isinstance(part, ast.Constant) and part.value == "")]
    fields = (
        f"{name}={_same_in_every_python(value)}" for name, value in ast.iter_fields(node) if value not in (None, [])
    )
    return f"{type(node).__name__}({','.join(fields)})"


@cache
def _runner(root: Path, stamped: tuple[tuple[Path, int], ...]) -> str:
    """Return a digest of the code that runs notebooks, without its comments and docstrings."""
    parts = []
    for path, _ in stamped:
        tree = ast.parse(_text(path))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
                if isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
                    body[0] = ast.Pass()
        parts.append(_same_in_every_python(tree).encode())
    return _hash(*parts, _text(root / "sanitize.cfg").encode() if (root / "sanitize.cfg").is_file() else b"")


@cache
def _packages(root: Path, *_stamps: int) -> str:
    """Return a digest of the locked versions of what the course itself needs: tools for tests and site do not count."""
    lock = _text(root / "requirements.lock")
    project = tomllib.loads(_text(root / "pyproject.toml"))["project"]

    def plain(name: str) -> str:
        return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", name.strip())[0]).lower()

    blocks = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.M)[1:]
    versions = {plain(block): block.split("\\")[0].split("#")[0].strip() for block in blocks}
    wanted_by = {
        plain(block): {plain(m) for m in re.findall(r"^ +#(?: via)? +([\w.-]+)", block, re.M)} for block in blocks
    }
    needed = {plain(name) for name in project["dependencies"]}
    while more := {name for name, users in wanted_by.items() if name not in needed and users & needed}:
        needed |= more
    return _hash(*(versions[name].encode() for name in sorted(needed & versions.keys())))
