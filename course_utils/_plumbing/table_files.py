"""The file of a table of one's own: CSV, whose encoding and separator are found out, or Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from course_utils.errors import CourseError

#: Columns of the widest file that is read.
MAX_COLUMNS = 5_000
#: What stands for a missing value in a text file; pandas reads the same words as missing.
_MISSING = frozenset(
    (
        "",
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-NaN",
        "-nan",
        "<NA>",
        "N/A",
        "NA",
        "NULL",
        "NaN",
        "NaT",
        "None",
        "n/a",
        "nan",
        "null",
    )
)
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


def read_table(path: str | Path) -> tuple[pd.DataFrame, list[str]]:
    """Read a CSV file, every cell as text, or a Parquet file with the types that it has.

    Returns
    -------
    DataFrame
        All rows; missing cells are None.
    list of str
        What had to be found out: separator and encoding where they are not comma and UTF-8.

    Raises
    ------
    CourseError
        When the file is missing, is neither CSV nor Parquet, cannot be parsed, or has no rows.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise CourseError(f"There is no file {path}. Check the path; a relative one starts at {Path.cwd()}.")
    readers: dict[str, Callable[[Path], tuple[pd.DataFrame, list[str]]]] = {
        ".csv": _read_csv,
        ".parquet": lambda path: (pd.read_parquet(path), []),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise CourseError(
            f"{path.name} ends in {path.suffix or 'nothing'!r}; the course reads .csv and .parquet files."
        )
    try:
        table, notes = reader(path)
    except CourseError:
        raise
    except Exception as error:  # the parsers raise a dozen unrelated types
        reason = " ".join(str(error).split())[:300]
        raise CourseError(
            f"{path.name} cannot be read as {path.suffix[1:].upper()}: {reason}. Check that the file is whole."
        ) from error
    if table.empty:
        raise CourseError(f"{path.name} has {table.shape[1]} columns and no rows, so nothing can be learned from it.")
    return table, notes


def _read_csv(path: Path) -> tuple[pd.DataFrame, list[str]]:
    _check_head(path)
    content = path.read_bytes()
    notes = []
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError as error:
            raise CourseError(
                f"{path.name} is neither UTF-8 nor Windows text (byte {error.start}). Save it as CSV in UTF-8."
            ) from None
        notes.append("encoding: not UTF-8, so read as Windows-1252; look whether letters such as ä and é are right")
    separator = _separator(text, path.name)
    if separator != ",":
        notes.append(f"separator: {_SEPARATORS[separator]}")
    csv.field_size_limit(max(csv.field_size_limit(), 10_000_000))
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header = next(lines, None)
    if not header:
        raise CourseError(f"{path.name} cannot be read as CSV: it has no line with the names of its columns.")
    names = [name.strip() or f"column {place}, without a name" for place, name in enumerate(header, 1)]
    rows: list[list[str | None]] = []
    words = set()
    for row in lines:
        if row and len(row) != len(names):
            raise CourseError(
                f"{path.name} cannot be read as CSV: line {lines.line_num} has {len(row)} values, and the first line names "
                f"{len(names)} columns. Put values that hold the separator ({_SEPARATORS[separator]}) in double quotes."
            )
        if row:
            cells = [cell.strip() for cell in row]
            words |= _MISSING.intersection(cells)
            rows.append([None if cell in _MISSING else cell for cell in cells])
    if told := sorted(words - {""}):
        notes.append(f"missing values: cells that hold {', '.join(told)} count as empty")
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    table = pd.DataFrame({place: pd.Series(list(values), dtype=object) for place, values in enumerate(columns)})
    table.columns = pd.Index(names)
    return table, notes


def _separator(text: str, name: str) -> str:
    """Return what stands between the columns: the sign that splits the first lines into equally many, two or more."""
    lines = text.splitlines(keepends=True)[:200]
    counts: dict[str, set[int]] = {}
    for sign in _SEPARATORS:
        try:
            counts[sign] = {len(row) for row in csv.reader(lines, delimiter=sign) if row}
        except csv.Error:
            counts[sign] = set()
    heads = {sign: lines[0].count(sign) if lines else 0 for sign in _SEPARATORS}
    able = [sign for sign in _SEPARATORS if len(counts[sign]) == 1 and max(counts[sign]) > 1]
    if len(able) > 1:
        both = " or ".join(_SEPARATORS[sign] for sign in able)
        raise CourseError(
            f"{name} cannot be read without a guess: every line splits evenly at each {both}. "
            "Put values that hold a separator in double quotes, or save the file again with another one."
        )
    return able[0] if able else max(heads, key=lambda sign: heads[sign])


def _check_head(path: Path) -> None:
    """Look at the first line of a CSV file before anything reads the rest of it."""
    with path.open("rb") as file:
        head = file.readline(10_000_000)
    if b"\0" in head:
        raise CourseError(
            f"{path.name} holds zero bytes, so it is no CSV file: a program's own format, or text in UTF-16. "
            "Save it as CSV in UTF-8."
        )
    if (columns := max(head.count(sign.encode()) for sign in _SEPARATORS) + 1) > MAX_COLUMNS:
        raise CourseError(too_wide(path.name, columns))


def too_wide(name: str, columns: int) -> str:
    """Return what to say about a table with more columns than `MAX_COLUMNS`."""
    return (
        f"{name} has {columns:,} columns, and the course works with {MAX_COLUMNS:,} at most. Are rows and columns "
        "the wrong way round, or line ends missing? Else choose the columns that you need."
    )
