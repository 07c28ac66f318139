"""The table of faults names tests that exist."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def test_every_fault_has_tests_that_exist():
    table = (TESTS / "cases/FAULTS.md").read_text(encoding="utf8")
    rows = re.findall(r"^\| \d+ \|.*$", table, re.M)
    assert len(rows) == 15 and all("::" in row for row in rows)
    for file, name in re.findall(r"`([\w/]+\.py)::(\w+)`", table):
        tree = ast.parse((TESTS / file).read_text(encoding="utf8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file}::{name}"
