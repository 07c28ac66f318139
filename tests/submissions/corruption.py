"""What learners may leave behind in place of a right answer: one piece of a right store, replaced by something odd."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

#: Texts in place of a value: words, None, NaN, lists, dicts, units, numbers beyond all bounds, invisible characters.
ODD_TEXTS = (
    "", " ", "left", "None", "nan", "inf", "-1", "0", "1e400", "[1, 2]", '{"a": 1}', "28.9 GB", "0.75 ", "\u200b",
    "99999999999999999999", "true", "50 %", "0,5", "`x`", "ä" * 300,
)  # fmt: skip
ODD_NUMBERS = (float("nan"), 1.7e308, -1.7e308, 0.0, -1.0, 1.0, 0.5, 1e-300, 100.0)
ODD_VALUES = (
    None,
    "left",
    "",
    "28.9 GB",
    float("nan"),
    float("inf"),
    -1,
    0.5,
    True,
    [],
    [1, 2],
    {},
    {"a": {"b": 1}},
    [[1]],
)
ODD_FILES = (
    b"", b"null", b"[]", b"{}", b"7", b'"text"', b"NaN", b"words only", b"\x00\xff\xfe\x80", b"PK\x03\x04",
    b"a,b\n", b"a;b\n1;2\n",
    b"[1, [2, {}]]", b'{"data": [], "columns": []}', b'{"data": [[1]], "columns": ["a"]}', b'[{"a": 1}, 5]',
    b"[" * 5000, b"- a\n- b\n",
    b"\n\n\n", b"\xef\xbb\xbfa,b\n1,2\n",
)  # fmt: skip

#: Table and column of the store → what a learner can make of it through MLflow.
COLUMNS: dict[tuple[str, str], tuple[Any, ...]] = {
    ("params", "value"): ODD_TEXTS,
    ("params", "key"): ("x", "C ", "max depth"),
    ("tags", "value"): ODD_TEXTS,
    ("tags", "key"): ("x", "owner ", "Winner"),
    ("latest_metrics", "value"): ODD_NUMBERS,
    ("latest_metrics", "key"): ("x", "AUC"),
    ("metrics", "value"): ODD_NUMBERS,
    ("metrics", "step"): (-5, 0, 10**15),
    ("metrics", "timestamp"): (0, 10**15),
    ("runs", "name"): ODD_TEXTS,
    ("runs", "status"): ("RUNNING", "FAILED", "KILLED", "SCHEDULED"),
    ("runs", "lifecycle_stage"): ("deleted",),
    ("runs", "start_time"): (0, 10**14),
    ("experiments", "lifecycle_stage"): ("deleted",),
    ("registered_model_aliases", "alias"): ("x", "Champion"),
    ("model_version_tags", "value"): ODD_TEXTS,
    ("model_versions", "description"): ODD_TEXTS,
    ("model_versions", "storage_location"): ("file:///nowhere", "models:/m-" + "0" * 32, "models:/x/1", "s3://a/b"),
    ("logged_models", "lifecycle_stage"): ("deleted",),
    ("logged_models", "name"): ("x", "left"),
    ("trace_info", "status"): ("ERROR", "IN_PROGRESS"),
    ("assessments", "value"): tuple(json.dumps(v) for v in ("left", None, 3, [1], {"a": 1}, True, "yes")),
    ("assessments", "name"): ("x", "Right"),
    ("assessments", "rationale"): ODD_TEXTS,
    ("datasets", "name"): ODD_TEXTS,
    ("datasets", "digest"): ODD_TEXTS,
    ("input_tags", "value"): ODD_TEXTS,
}
#: Tables from which a learner can delete a row.
ROWS = ("params", "tags", "latest_metrics", "registered_model_aliases", "model_version_tags", "assessments", "inputs")

Pick = Callable[[list[Any]], Any]


def corrupt(home: Path, number: str, pick: Pick) -> str:
    """Replace one piece of the store or of the files of a homework; return what was done.

    Parameters
    ----------
    home
        Folder with ``mlflow.db``, ``mlartifacts`` and ``outputs``.
    number
        The homework.
    pick
        Chooses one of a list.
    """
    files = sorted(p for p in (home / "mlartifacts").rglob("*") if p.is_file())
    files += sorted(p for p in (home / "outputs").rglob("*") if p.is_file())
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        logged = any(_filled(database, table) for table in ROWS)
    kinds = ["value", "value", "value", "row", "span"] * logged + ["file", "file", "part", "part", "part"] * bool(files)
    kind = pick(kinds)
    if kind in ("file", "part"):
        return _file(pick(files), kind, pick)
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        done = {"value": _value, "row": _row, "span": _span}[kind](database, pick)
        database.commit()
    return done


def _filled(database: sqlite3.Connection, table: str) -> list[int]:
    return [row for (row,) in database.execute(f"select rowid from {table}")]


def _value(database: sqlite3.Connection, pick: Pick) -> str:
    table, column = pick([place for place in COLUMNS if _filled(database, place[0])])
    row, value = pick(_filled(database, table)), pick(list(COLUMNS[table, column]))
    if table in ("metrics", "latest_metrics") and column == "value":
        broken = value != value
        database.execute(
            f"update or ignore {table} set value = ?, is_nan = ? where rowid = ?", (0 if broken else value, broken, row)
        )
    else:
        database.execute(f"update or ignore {table} set {column} = ? where rowid = ?", (value, row))
    return f"{table}.{column} of row {row} = {value!r}"


def _row(database: sqlite3.Connection, pick: Pick) -> str:
    table = pick([table for table in ROWS if _filled(database, table)])
    row = pick(_filled(database, table))
    database.execute(f"delete from {table} where rowid = ?", (row,))
    return f"row {row} of {table} deleted"


def _span(database: sqlite3.Connection, pick: Pick) -> str:
    rows = _filled(database, "spans")
    if not rows:
        return _value(database, pick)
    row, value = pick(rows), pick(list(ODD_VALUES))
    (text,) = database.execute("select content from spans where rowid = ?", (row,)).fetchone()
    content = json.loads(text)
    name = pick(["mlflow.spanInputs", "mlflow.spanOutputs", "mlflow.spanType"])
    content["attributes"][name] = json.dumps(value if name != "mlflow.spanType" else "left")
    database.execute("update spans set content = ? where rowid = ?", (json.dumps(content), row))
    return f"{name} of span {row} = {value!r}"


def _file(path: Path, kind: str, pick: Pick) -> str:
    if kind == "part" and path.suffix in (".csv", ".json", ".ipynb"):
        return _part(path, pick)
    content = pick([*ODD_FILES, path.read_bytes()[: path.stat().st_size // 2], None])
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    return f"{path.name} = {content if content is None else content[:40]!r}"


def _part(path: Path, pick: Pick) -> str:
    """Replace one cell, column or value of a file that was right."""
    import pandas as pd

    value = pick(list(ODD_VALUES))
    if path.suffix == ".csv":
        table = pd.read_csv(path).astype(object)
        what = pick(["cell", "column", "row", "rows", "name"])
        column = pick(list(range(table.shape[1])))
        if what == "cell" and len(table):
            table.iat[pick(list(range(len(table)))), column] = str(value)
        elif what == "column":
            table[table.columns[column]] = str(value)
        elif what == "row" and len(table):
            table = pd.concat([table, table.iloc[[pick(list(range(len(table))))]]])
        elif what == "rows":
            table = table.iloc[:0]
        else:
            table = table.rename(columns={table.columns[column]: "other"})
        table.to_csv(path, index=False)
        return f"{what} {column} of {path.name} = {value!r}"
    try:
        content = json.loads(path.read_text(encoding="utf8"))
    except ValueError:
        return "nothing"
    place, above, key = content, None, None
    for _ in range(pick([1, 2, 3, 4])):
        if not isinstance(place, dict | list) or not place:
            break
        above, key = place, pick(sorted(place) if isinstance(place, dict) else list(range(len(place))))
        place = place[key]
    if above is None:
        content = value
    elif pick([True, False]):
        above[key] = value
    else:
        del above[key]
    path.write_text(json.dumps(content), encoding="utf8")
    return f"{key!r} in {path.name} = {value!r}"
