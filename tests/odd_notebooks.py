"""Notebook files as nobody should write them, made by hypothesis: text for the file, whatever a runner makes of it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

#: Code that is over at once, runs or not.
CODE = [
    "1 + 1",
    "print('x')",
    "",
    "  \n",
    "1 / 0",
    "def broken(:",
    "%time 1",
    "!true",
    "x = ",
    "\x00",
    "raise SystemExit",
    "\ud7ff",
]
#: What may stand in a cell tagged ``parameters``.
PARAMETERS = [
    *(
        "n = 1",
        "n = 1\nrate = 0.5",
        "%matplotlib inline\nn = 1",
        "!true",
        "%%time\nn = 1",
        "n?",
        "n = ",
        "{[1]: 2}",
        "x\x00 = 1",
    ),
    *(
        "a = " + "(" * 300 + ")" * 300,
        "n = {[1]: 2}",
        "n: int",
        "n += 1",
        "n, m = 1, 2",
        "n = m = 1",
        "n = 10 ** 10",
    ),
    *(
        "n = -" * 2 + "1",
        "'just text'",
        "n = {**1}",
        "n = 1_000",
        "é = 1",
        "n = b'x'",
        "n = ...",
        "n = 1e999",
        "n = 0777",
    ),
    *(
        "n = " + "9" * 5000,
        "n = " + "-" * 3000 + "1",
        "# only a comment",
        "n = f'{1}'",
        "await n",
        "return 1",
        "\tn = 1",
    ),
]
_tag = st.one_of(
    st.sampled_from(["parameters", "raises-exception", "skip-execution", "injected-parameters", "a b"]),
    st.text(max_size=5),
)
_junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inside: st.one_of(st.lists(inside, max_size=3), st.dictionaries(st.text(max_size=5), inside, max_size=3)),
    max_leaves=5,
)


def _cell(draw: st.DrawFn, rng: random.Random) -> Any:
    """Draw a cell; two of three are as they should be, or odd only in what their parameters say."""
    kind = rng.choice(["code"] * 8 + ["markdown", "raw"])
    cell: dict[str, Any] = {
        "cell_type": kind,
        "metadata": {},
        "source": rng.choice(CODE),
        "id": f"c{rng.randrange(10**8)}",
    }
    if kind == "code":
        cell |= {"outputs": [], "execution_count": None}
    match rng.choice(["fine"] * 14 + ["parameters"] * 14 + ["tags"] * 6 + list(range(8))):
        case "parameters":
            cell |= {"metadata": {"tags": ["parameters"]}, "source": rng.choice(PARAMETERS)}
        case "tags":
            cell["metadata"]["tags"] = draw(st.lists(_tag, max_size=3, unique=True))
        case 0:
            cell["metadata"] = draw(_junk)
        case 1:
            cell["metadata"]["tags"] = draw(_junk)
        case 2:
            cell[rng.choice(list(cell))] = draw(_junk)
        case 3:
            cell.pop(rng.choice(list(cell)))
        case 4:
            cell["source"] = [rng.choice(CODE) for _ in range(rng.randint(0, 3))]
        case 5:
            cell["outputs"] = draw(st.one_of(_junk, st.just([{"output_type": "stream"}])))
        case 6:
            cell["id"] = rng.choice(["", "a" * 70, "same", "same", "ü", 7, None])
        case 7:
            cell["cell_type"] = rng.choice(["unknown", None, "heading"])
    return cell


@st.composite
def odd_notebooks(draw: st.DrawFn) -> bytes:
    """Draw the bytes of one file: most are notebooks with something odd in them, some are broken, some are none."""
    rng = random.Random(draw(st.integers(0, 2**64 - 1)))  # hypothesis alone likes extremes: nearly all would be invalid
    kernel = rng.choice(["python3"] * 40 + ["", "fortran77", "../x", "python3 ", None, 3])
    nb: Any = {
        "nbformat": rng.choice([4] * 60 + [3, 2, 1, 5, 99, "4", None, -1]),
        "nbformat_minor": rng.choice([5] * 60 + [4, 0, 2, 99, "5", None]),
        "metadata": {"kernelspec": {"name": kernel, "display_name": "k", "language": "python"}},
        "cells": [_cell(draw, rng) for _ in range(rng.randint(0, 4))],
    }
    if nb["nbformat"] == 3:
        nb["worksheets"] = [
            {"cells": [{"cell_type": "code", "input": "print(3)", "outputs": [], "language": "python"}]}
        ]
        nb.pop("cells")
    shape = rng.randint(0, 45)
    match shape:
        case 0:
            nb["metadata"] = draw(_junk)
        case 1:
            nb["metadata"]["kernelspec"] = draw(_junk)
        case 2:
            nb[rng.choice(list(nb))] = draw(_junk)
        case 3:
            nb.pop(rng.choice(list(nb)))
        case 4:
            nb = draw(_junk)
        case 5:
            nb["metadata"] |= {"language_info": draw(_junk), "papermill": draw(_junk), "widgets": draw(_junk)}
    content = json.dumps(nb, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    match shape:
        case 6:
            return content[: rng.randint(0, len(content))]
        case 7:
            place = rng.randrange(len(content))
            return content[:place] + draw(st.binary(max_size=4)) + content[place + 1 :]
        case 8:
            return draw(st.binary(max_size=60))
        case 9:
            return b"[" * 100_000
        case 10:
            return content.decode("utf-8", "replace").encode(rng.choice(["utf-16", "utf-8-sig", "cp037"]), "replace")
    return content


def write(folder: Path, count: int, start: int = 1) -> list[Path]:
    """Write so many files into a folder; the same numbers give the same files."""
    contents: list[bytes] = []

    @seed(start)
    @settings(max_examples=3 * count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(odd_notebooks())
    def draw(content: bytes) -> None:
        if content not in contents:
            contents.append(content)

    draw()
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, content in enumerate(contents[:count]):
        paths.append(folder / f"odd{number:03d}.ipynb")
        paths[-1].write_bytes(content)
    return paths
