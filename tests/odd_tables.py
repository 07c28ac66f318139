"""Tables as people bring them, made by hypothesis, each with what a model may see of it: nothing else is a right answer."""

from __future__ import annotations

import csv
import io
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from course_utils import data
from course_utils.errors import CourseError

TOWNS = ["Köln", "Genève", "Málaga", "Brno", "none"]
LABELS = [("nein", "ja"), ("0", "1"), ("stays", "gone"), ("A", "B"), ("True", "False")]


@dataclass
class OddTable:
    """The bytes of a file, and what is true of it.

    ``seen`` maps a column to the values that a model may see (None: none at all); ``refused`` names the columns that
    nobody can read without a guess, or that leak.
    """

    content: bytes
    labels: list[str]
    positive: str
    kinds: dict[str, str]
    seen: dict[str, list[Any] | None] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


def _column(kind: str, n: int, rng: np.random.Generator, positive: np.ndarray) -> tuple[list[str], Any]:
    """Return the cells of a column and what a model may see of it: values, None, or the word ``refused``."""
    numbers = rng.gamma(2, 900, n).round(2) + 0.01
    whole = rng.integers(0, 30, n)
    days = pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 1500, n), unit="D")
    seconds = [(day - pd.Timestamp(0)).total_seconds() for day in days]
    towns = rng.choice(TOWNS, n)
    comma = [f"{v:.2f}".replace(".", ",") for v in numbers]
    match kind:
        case "numbers":
            return [repr(float(v)) for v in numbers], numbers.tolist()
        case "counts":
            return [str(v) for v in whole], whole.astype(float).tolist()
        case "decimal comma":
            return comma, numbers.tolist()
        case "thousands":
            return [f"{v:,.2f}" for v in numbers], numbers.tolist()
        case "thousands and decimal comma":
            return [f"{v:,.2f}".translate(str.maketrans(",.", ".,")) for v in numbers], numbers.tolist()
        case "comma in doubt":
            return [f"{v + 1},{w:03d}" for v, w in zip(whole, rng.integers(0, 1000, n), strict=True)], "refused"
        case "points and commas":
            return [
                a if i % 2 else repr(float(v)) for i, (a, v) in enumerate(zip(comma, numbers, strict=True))
            ], "refused"
        case "unit":
            return [f"{v:.2f} kg" for v in numbers], "refused"
        case "words among numbers":
            return ["unknown" if i % 17 == 3 else str(v) for i, v in enumerate(whole)], "refused"
        case "codes":
            codes = [f"0{v + 100}" for v in whole]
            return codes, codes
        case "towns":
            return towns.tolist(), towns.tolist()
        case "true or false":
            return [str(v % 2 == 0) for v in whole], [float(v % 2 == 0) for v in whole]
        case "ISO dates":
            return [f"{day:%Y-%m-%d}" for day in days], seconds
        case "German dates":
            return [f"{day:%d.%m.%Y}" for day in days], seconds
        case "American dates":
            return [f"{day:%m/%d/%Y}" for day in days], seconds
        case "short dates":
            return [f"{day:%d/%m/%y}" for day in days], "refused"
        case "dates in doubt":
            return [f"{day.day % 12 + 1}/{day.month}/{day.year}" for day in days], "refused"
        case "compact dates":
            return [f"{day:%Y%m%d}" for day in days], seconds
        case "row numbers":
            return [str(v) for v in rng.permutation(n) + 1000], None
        case "keys":
            return [str(uuid.UUID(bytes=rng.bytes(16))) for _ in range(n)], None
        case "constant":
            return ["EUR"] * n, None
        case "copy of the target":
            return ["gone" if p else "here" for p in positive], "refused"
        case "known afterwards":
            return [f"{day:%Y-%m-%d}" if p else "" for day, p in zip(days, positive, strict=True)], "refused"
        case "target in disguise":
            return [repr(float(p + rng.uniform(0, 0.5))) for p in positive], "refused"
    raise AssertionError(kind)


KINDS = [
    *(
        "numbers",
        "counts",
        "decimal comma",
        "thousands",
        "thousands and decimal comma",
        "comma in doubt",
        "unit",
        "codes",
    ),
    *("points and commas", "words among numbers", "towns", "true or false", "ISO dates", "German dates", "keys"),
    *("American dates", "short dates", "dates in doubt", "compact dates", "row numbers", "constant"),
    *("copy of the target", "known afterwards", "target in disguise"),
]
HARMLESS = [
    kind for kind in KINDS if not isinstance(_column(kind, 60, np.random.default_rng(0), np.arange(60) < 20)[1], str)
]


@st.composite
def odd_tables(draw: st.DrawFn) -> OddTable:
    """Draw a table: kinds of columns, separator, encoding, line ends, and what stands for a missing value."""
    n = draw(st.integers(60, 140))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    # Most tables have at most one column that must be refused, so that the others are looked at as well.
    kinds = draw(st.lists(st.sampled_from(HARMLESS), min_size=1, max_size=5))
    kinds += draw(st.lists(st.sampled_from(KINDS), max_size=1))
    positive = np.arange(n) < draw(st.integers(n // 5, n // 2 - 3))
    positive = rng.permutation(positive)
    pair = draw(st.permutations(draw(st.sampled_from(LABELS))))
    labels = [pair[1] if p else pair[0] for p in positive]
    gap, gaps = draw(st.sampled_from(["", "NA", "null"])), draw(st.sampled_from([0.0, 0.05]))
    separator, encoding = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(["utf-8", "utf-8-sig", "cp1252"]))
    table = OddTable(b"", labels, pair[1], {})
    cells = {}
    for place, kind in enumerate(kinds):
        name = f"{kind} {place}"
        texts, seen = _column(kind, n, rng, positive)
        empty = rng.random(n) < gaps if seen is not None and kind in HARMLESS else np.zeros(n, bool)
        cells[name] = [gap if e else text for text, e in zip(texts, empty, strict=True)]
        table.kinds[name] = kind
        if isinstance(seen, str):
            table.refused.append(name)
        else:
            table.seen[name] = seen and [None if e else value for value, e in zip(seen, empty, strict=True)]
    cells["left"] = labels
    order = draw(st.permutations(list(cells)))
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator=draw(st.sampled_from(["\n", "\r\n"])))
    writer.writerow(order)
    writer.writerows(zip(*(cells[name] for name in order), strict=True))
    table.content = out.getvalue().encode(encoding)
    return table


def judge(table: OddTable, folder: Path) -> str:
    """Load a table and say how that went; an answer that begins with ``WRONG`` is one that nobody was warned of."""
    path = folder / "odd.csv"
    path.write_bytes(table.content)
    visible = [name for name, values in table.seen.items() if values is not None]
    try:
        split = data.load_and_split_data(path, "left")
    except CourseError as error:
        message = str(error)
        if "\n" in message:
            return f"WRONG: more than one line: {message}"
        if table.refused:
            named = any(repr(name) in message for name in table.refused) or "without a guess" in message
            return "refused, as it must be" if named else f"WRONG: refused for another reason: {message}"
        return "refused: nothing to learn from" if not visible else f"WRONG: needlessly refused: {message}"
    if table.refused:
        return f"WRONG: {table.refused[0]!r} was taken without a word"
    X = pd.concat([split.X_train, split.X_test]).sort_index()
    y = pd.concat([split.y_train, split.y_test]).sort_index()
    if str(split.classes[1]) != table.positive or y.tolist() != [int(v == table.positive) for v in table.labels]:
        return f"WRONG: the class to find is {split.classes[1]!r}, not {table.positive!r}"
    if set(X.columns) != set(visible):
        return f"WRONG: the model sees {sorted(X.columns)}, not {sorted(visible)}"
    for name in visible:
        truth = pd.Series(table.seen[name], index=X.index, dtype=X[name].dtype)
        if X[name].dtype.kind == "f" and not np.allclose(X[name], truth, rtol=1e-12, equal_nan=True):
            return f"WRONG: the numbers of {name!r}"
        if X[name].dtype.kind != "f" and [None if pd.isna(v) else v for v in X[name]] != table.seen[name]:
            return f"WRONG: the texts of {name!r}"
    told = {column.name: column for column in split.columns}
    if set(told) != {*table.kinds, "left"}:
        return "WRONG: not every column is in the report"
    return "read right"
