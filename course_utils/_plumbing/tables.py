"""Tables of one's own: a CSV or Parquet file, what each column was taken for, and which of them a model may see."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
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
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
_COMMA = re.compile(r"[+-]?\d+(,\d+)?([eE][+-]?\d+)?")
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})*(\.\d+)?")  # 1,234.5
_GROUPED_COMMA = re.compile(r"[+-]?\d{1,3}(\.\d{3})*(,\d+)?")  # 1.234,5
_WITH_UNIT = re.compile(r"[€$£¥]?\s?[+-]?\d[\d.,' ]*\s?[^\d\s]{0,4}")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?")
_DATE = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})")
_SHORT_DATE = re.compile(r"(\d{1,2}[./-]){2}\d{2}|\d{1,2}[. -][A-Za-z]{3,9}[. -]\d{2,4}")
_NAMED_ID = re.compile(r"(?:^|[\W_])(?:id|uuid|guid|key|index)s?$|[a-z](?:ID|Id)$", re.IGNORECASE)
_POSITIVE = ("1", "1.0", "true", "yes", "y", "ja", "oui", "si", "sí")
#: Different texts that may become columns of their own, see `workflow.build_pipeline`.
_MANY = 20


@dataclass(frozen=True)
class Wishes:
    """What a user says about a table of their own, where nothing should be guessed.

    Attributes
    ----------
    positive
        The class to find: label 1. The rarer one when not given.
    drop
        Columns to leave out.
    category, numeric
        Columns whose values are names, even when they look like numbers, dates or ids; columns that are numbers, even
        when they look like ids or codes.
    allow_leak
        Columns that may predict the target perfectly.
    drop_missing_target
        Leave out the rows that have no label.
    """

    positive: str | None = None
    drop: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    allow_leak: tuple[str, ...] = ()
    drop_missing_target: bool = False


@dataclass(frozen=True)
class Column:
    """What a column was taken for: ``numeric``, ``category``, ``date``, ``id``, ``dropped``, ``leaking`` or ``target``.

    A model sees numeric columns, categories, dates, and those that leak when that is allowed.
    """

    name: str
    kind: str
    missing: int = 0
    note: str = ""


@dataclass
class Table:
    """A table that is ready for a two-class model.

    Attributes
    ----------
    features
        Floats and texts, shape (n_rows, n_features).
    labels
        As they were in the file, shape (n_rows,).
    classes
        The two labels: the other one, and the one to find.
    columns
        What each column of the file was taken for.
    notes
        What was found out about the file as a whole.
    """

    features: pd.DataFrame
    labels: pd.Series
    classes: tuple
    columns: list[Column]
    notes: list[str] = field(default_factory=list)


def columns_table(columns: Iterable[Column]) -> pd.DataFrame:
    """Return a row for each column: ``read as``, ``missing``, ``note``, indexed by its name."""
    rows = {c.name: {"read as": c.kind, "missing": c.missing, "note": c.note} for c in columns}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["read as", "missing", "note"]).rename_axis("column")


# ----------------------------------------------------------------------------------------------------- the file


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
        raise CourseError(_too_wide(path.name, columns))


def _too_wide(name: str, columns: int) -> str:
    return (
        f"{name} has {columns:,} columns, and the course works with {MAX_COLUMNS:,} at most. Are rows and columns "
        "the wrong way round, or line ends missing? Else choose the columns that you need."
    )


def listing(names: Iterable[object], most: int = 12) -> str:
    """Return names as one line, cut after `most`."""
    names = [str(n) for n in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


# -------------------------------------------------------------------------------------------------- the columns


def interpret(table: pd.DataFrame, target: str, name: str, wishes: Wishes | None = None) -> Table:
    """Return what a two-class model can learn from, with what each column was taken for.

    Raises
    ------
    CourseError
        With the first thing that is wrong with the table, or that could be read in two ways.
    """
    wishes = wishes or Wishes()
    table = check(table, target, name, wishes)
    labels = table[target]
    features: dict[str, pd.Series] = {}
    columns = []
    for column in table.columns:
        values, gaps = table[column], int(table[column].isna().sum())
        if values.dtype == object and not values.map(_is_plain).all():
            raise CourseError(
                f"The column {column!r} of {name} holds lists or records, which are no features. Spread them over columns "
                f"of their own, or leave it out: --drop {column!r}"
            )
        if column == target:
            columns.append(Column(column, "target"))
        elif column in wishes.drop:
            columns.append(Column(column, "dropped", gaps, "as asked"))
        elif values.nunique() < 2:
            columns.append(Column(column, "dropped", gaps, f"the same value in every row: {values.dropna().iloc[0]!r}"))
        else:
            kind, note, read = _read_column(values, column, name, wishes)
            if read is not None:
                kind, note = _judge_leak(read, labels, column, target, kind, note, wishes)
                features[column] = read
            columns.append(Column(column, kind, gaps, note))
    if not features:
        why = ", ".join(f"{c.name} ({c.kind})" for c in columns if c.kind != "target")
        raise CourseError(
            f"{name} has nothing to predict {target!r} from: no column is left of {why}. "
            "--numeric COLUMN or --category COLUMN keeps one that was taken for an id."
        )
    return Table(pd.DataFrame(features), labels, classes(labels, target, name, wishes.positive), columns)


def _is_plain(value: object) -> bool:
    return not isinstance(value, list | dict | tuple | set | np.ndarray)


def plain(table: pd.DataFrame, target: str, wishes: Wishes) -> pd.DataFrame:
    """Return a table of the course's own as floats and texts, without the columns to drop; nothing is looked for."""
    features = {}
    for column in table.columns.drop([target, *wishes.drop]):
        numeric = pd.api.types.is_numeric_dtype(table[column]) and column not in wishes.category
        features[column] = _floats(table[column]) if numeric else _texts(table[column])
    return pd.DataFrame({**features, target: table[target]})


def check(table: pd.DataFrame, target: str, name: str, wishes: Wishes | None = None) -> pd.DataFrame:
    """Return a table with two classes and no column that cannot be used, or raise with the first thing that is wrong."""
    wishes = wishes or Wishes()
    table = table.rename(columns=str)
    if table.shape[1] > MAX_COLUMNS:
        raise CourseError(_too_wide(name, table.shape[1]))
    if bad := [c for c in table.columns if not c.isprintable() or not 0 < len(c) <= 200]:
        raise CourseError(
            f"The column {bad[0][:40]!r}{' …' if len(bad[0]) > 40 else ''} of {name} has a name that cannot be kept: names "
            "have 1 to 200 characters, none of them a line break or another control character. Rename it."
        )
    if duplicates := sorted(set(table.columns[table.columns.duplicated()])):
        raise CourseError(f"{name} has more than one column named {duplicates[0]!r}. Give each column its own name.")
    if target not in table.columns:
        raise CourseError(f"{name} has no column {target!r} to predict; it has {listing(table.columns)}.")
    named = {
        "--drop": wishes.drop,
        "--category": wishes.category,
        "--numeric": wishes.numeric,
        "--allow-leak": wishes.allow_leak,
    }
    for option, wanted in named.items():
        if unknown := [c for c in wanted if c not in table.columns or c == target]:
            raise CourseError(
                f"{option} names {unknown[0]!r}, which is no column to predict from in {name}; "
                f"those are {listing(c for c in table.columns if c != target)}."
            )
    if table.shape[1] < 2:
        raise CourseError(f"{name} has only the column {target!r}: there is nothing to predict it from.")
    if empty := [c for c in table.columns if table[c].isna().all() and c not in wishes.drop]:
        raise CourseError(
            f"The column {empty[0]!r} of {name} holds only missing values, so no imputer can fill it. "
            f"Remove the column, or leave it out: --drop {empty[0]!r}"
        )
    if gaps := int(table[target].isna().sum()):
        if not wishes.drop_missing_target:
            raise CourseError(
                f"The target {target!r} of {name} is missing in {gaps} of {len(table)} rows. A row without a label cannot "
                "teach or test a model: label these rows, or leave them out: --drop-missing-target"
            )
        table = table[table[target].notna()].reset_index(drop=True)
    labels = table[target] = _plain_labels(table[target])
    n_classes = labels.nunique()
    if n_classes == 1:
        rows = f"all {len(table)} rows" if len(table) > 1 else "its only row"
        raise CourseError(
            f"The target {target!r} of {name} has one value, {labels.iloc[0]!r}, in {rows}. "
            "A classifier needs two classes. Is this the right column?"
        )
    if n_classes == len(table):
        raise CourseError(
            f"The target {target!r} of {name} has a different value in each of its {len(table)} rows, like an id or a "
            "measurement, not two classes. Name the column that holds the class."
        )
    if len({str(v).casefold() for v in labels.unique()}) < n_classes:
        same = sorted(map(str, labels.unique()), key=str.casefold)
        raise CourseError(
            f"The target {target!r} of {name} has classes that differ only in capital letters ({listing(same, 6)}). "
            "Write each class in one way."
        )
    if n_classes > _MOST_CLASSES and (numbers := _measured(labels)) is not None:
        raise CourseError(
            f"The target {target!r} of {name} holds {n_classes} different numbers, from {numbers.min():g} to "
            f"{numbers.max():g}: a measurement, which takes a regression. This workflow predicts two classes: make them "
            "of a limit (above it or not), or name another column."
        )
    if n_classes > 2:
        raise CourseError(
            f"The target {target!r} of {name} has {n_classes} classes ({listing(sorted(labels.unique(), key=str), 6)}). "
            "This workflow predicts two: merge classes, or name another column."
        )
    smallest = labels.value_counts()
    if smallest.iloc[-1] < 2:
        raise CourseError(
            f"The class {smallest.index[-1]!r} of {target!r} has one row in {name}. "
            "Training and test rows need at least one each; collect more rows of it."
        )
    return table


#: A target with more different numbers than this is a measurement.
_MOST_CLASSES = 20


def _measured(labels: pd.Series) -> pd.Series | None:
    """Return labels as numbers, with a decimal comma too; None when one of them is no number."""
    texts = labels.map(str).str.replace(r"^([+-]?\d+),(\d+)$", r"\1.\2", regex=True)
    numbers = pd.to_numeric(texts, errors="coerce")
    return None if numbers.isna().any() else numbers


def _plain_labels(labels: pd.Series) -> pd.Series:
    """Return labels that are numbers as numbers: whole ones where all are whole."""
    if labels.dtype != object and not isinstance(labels.dtype, pd.CategoricalDtype | pd.StringDtype):
        return labels
    if not all(isinstance(v, str) for v in labels):
        return labels.astype(object)
    if not all(_NUMBER.fullmatch(v) and not re.match(r"[+-]?(0\d|inf)", v.lower()) for v in labels.unique()):
        return labels.astype(object)
    numbers = labels.map(float)
    return numbers.astype(int) if (numbers % 1 == 0).all() and numbers.abs().max() < 2**53 else numbers


def classes(labels: pd.Series, target: str, name: str, positive: str | None) -> tuple:
    """Return the two labels: the other one, and the one that a model is to find."""
    counts = labels.value_counts()
    values = sorted(counts.index.tolist(), key=lambda value: (str(type(value)), value))
    if positive is not None:
        found = [value for value in values if str(value).casefold() in (positive.casefold(), f"{positive}.0")]
        if not found:
            raise CourseError(
                f"--positive {positive!r} is no class of {target!r} in {name}; those are {listing(values)}."
            )
        chosen = found[0]
    elif counts.iloc[0] != counts.iloc[1]:
        chosen = counts.index[-1]
    elif telling := [value for value in values if str(value).casefold() in _POSITIVE]:
        chosen = telling[0]
    else:
        raise CourseError(
            f"The classes {listing(values)} of {target!r} in {name} have equally many rows, so neither is the rare one that "
            f"a model should find. Name it: --positive {str(values[-1])!r}"
        )
    return (next(value for value in values if value != chosen), chosen)


def _read_column(values: pd.Series, column: str, name: str, wishes: Wishes) -> tuple[str, str, pd.Series | None]:
    """Return what a column is, what there is to say about it, and its values for a model; None when it has none."""
    if column in wishes.category:
        return "category", "as asked", _texts(values)
    if column in wishes.numeric:
        numbers = pd.to_numeric(values, errors="coerce")
        if odd := values[numbers.isna() & values.notna()].tolist():
            raise CourseError(
                f"--numeric names {column!r}, but {len(odd)} values of it in {name} are no numbers ({listing(odd, 3)}). "
                "Write them as numbers with a point, or leave these cells empty."
            )
        return "numeric", "as asked", _floats(numbers)
    if pd.api.types.is_bool_dtype(values) or set(map(type, values.dropna())) == {bool}:
        return "numeric", "true is 1, false is 0", _floats(values)
    if pd.api.types.is_datetime64_any_dtype(values):
        return "date", _EPOCH, _seconds(values)
    if pd.api.types.is_timedelta64_dtype(values):
        return "numeric", "in seconds", values / pd.Timedelta(seconds=1)
    if pd.api.types.is_numeric_dtype(values):
        return _numbers(_floats(values), column)
    return _read_texts(_texts(values), column, name)


_EPOCH = "as seconds since 1970"


def _floats(values: pd.Series) -> pd.Series:
    """Return numbers that can hold a missing value; infinity is no measurement."""
    return values.astype(float).replace([np.inf, -np.inf], np.nan)


def _texts(values: pd.Series) -> pd.Series:
    return values.astype(object).where(values.notna(), np.nan).map(str, na_action="ignore")


def _seconds(dates: pd.Series) -> pd.Series:
    return (dates - pd.Timestamp(0, tz=dates.dt.tz)) / pd.Timedelta(seconds=1)


def _numbers(numbers: pd.Series, column: str) -> tuple[str, str, pd.Series | None]:
    """Tell a measurement from a number that only names its row."""
    known = numbers.dropna()
    whole = bool((known % 1 == 0).all())
    if whole and known.between(19_000_101, 21_001_231).all():
        dates = pd.to_datetime(known.astype(int).astype(str), format="%Y%m%d", errors="coerce")
        if dates.notna().all():
            return "date", f"written YYYYMMDD, {_EPOCH}", _seconds(dates).reindex(numbers.index)
    if whole and len(known) and known.nunique() == len(known) >= 20:
        if known.max() - known.min() + 1 == len(known):
            return "id", "counts the rows, so it says nothing about new ones; left out", None
        if _NAMED_ID.search(column):
            return "id", "another value in every row; left out", None
        return "numeric", "another whole number in every row: if it is an id, leave it out with --drop", numbers
    if whole and _NAMED_ID.search(column):
        if known.nunique() > _MANY:
            return "id", f"its name says so, and it has {known.nunique()} values; left out", None
        named = numbers.map(lambda v: str(int(v)), na_action="ignore").astype(object)
        return "category", "its name says that its numbers are names", named
    return "numeric", "", numbers


def _read_texts(texts: pd.Series, column: str, name: str) -> tuple[str, str, pd.Series | None]:
    """Find out what the texts of a column stand for; raise when that could be two things."""
    known = texts.dropna()
    different = known.unique()

    def all_like(pattern: re.Pattern[str]) -> bool:
        return all(pattern.fullmatch(text) for text in different)

    def doubt(what: str, advice: str) -> CourseError:
        some = listing(map(repr, different[:3]))
        return CourseError(
            f"The column {column!r} of {name} {what} (such as {some}). {advice}, leave the column out with "
            f"--drop {column!r}, or take its values as names with --category {column!r}."
        )

    if all_like(_NUMBER):
        if any(re.fullmatch(r"0\d+", text) for text in different):
            return _categories(texts, column, "numbers with leading zeros are codes, not measurements")
        return _numbers(_floats(texts), column)
    if all(text.casefold() in ("true", "false") for text in different):
        return (
            "numeric",
            "true is 1, false is 0",
            texts.map(lambda v: float(v.casefold() == "true"), na_action="ignore"),
        )
    if all_like(_COMMA) and any("," in text for text in different):
        thousands = [re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", text) for text in different if "," in text]
        if all(thousands):
            raise doubt("holds numbers whose comma may stand for thousands or for decimals", "Write them with a point")
        return "numeric", "decimal comma", _floats(texts.str.replace(",", ".", regex=False))
    if all_like(_GROUPED) and any("," in text for text in different):
        return "numeric", "commas between thousands", _floats(texts.str.replace(",", "", regex=False))
    if all_like(_GROUPED_COMMA) and any("," in text for text in different):
        plain = texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
        return "numeric", "points between thousands, decimal comma", _floats(plain)
    if all_like(_ISO_DATE):
        dates = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
        if dates[texts.notna()].isna().any():
            raise doubt("looks like dates, but holds one that no calendar has", "Correct it")
        return "date", _EPOCH, _seconds(dates)
    if all_like(_DATE):
        return _european_or_american(texts, different, doubt)
    if all_like(_SHORT_DATE):
        raise doubt("looks like dates that can be read in more than one way", "Write them as 2026-11-28")
    numbers = known.map(lambda text: bool(_NUMBER.fullmatch(text) or _COMMA.fullmatch(text)))
    if numbers.all():
        raise doubt("holds numbers with decimal points and others with commas", "Write all in one way")
    if numbers.mean() >= 0.5:
        words = listing(map(repr, known[~numbers].unique()), 3)
        raise doubt(
            f"holds numbers in {int(numbers.sum())} of {len(known)} rows, and {words} in the others",
            "Write each as a number, or leave the cells empty that are missing",
        )
    if len(different) > _MANY and known.map(lambda text: bool(_WITH_UNIT.fullmatch(text))).mean() >= 0.9:
        raise doubt("looks like numbers with a sign or a unit", "Write the numbers alone")
    return _categories(texts, column, "")


def _european_or_american(
    texts: pd.Series, different: np.ndarray, doubt: Callable[[str, str], CourseError]
) -> tuple[str, str, pd.Series]:
    """Read 28.11.2026, 28/11/2026 or 11/28/2026 where only one of day and month can come first."""
    parts = [_DATE.fullmatch(text) for text in different]
    firsts, seconds = ({int(p[place]) for p in parts if p} for place in (1, 3))
    signs = {p[2] for p in parts if p}
    day_first = max(firsts) > 12 or signs == {"."}
    if day_first == (max(seconds) > 12) or len(signs) > 1:
        raise doubt("looks like dates, but day and month cannot be told apart", "Write them as 2026-11-28")
    sign = signs.pop()
    form = sign.join(("%d", "%m", "%Y") if day_first else ("%m", "%d", "%Y"))
    dates = pd.to_datetime(texts, format=form, errors="coerce")
    if dates[texts.notna()].isna().any():
        raise doubt("looks like dates, but holds one that no calendar has", "Correct it")
    return "date", f"the {'day' if day_first else 'month'} first, {_EPOCH}", _seconds(dates)


def _categories(texts: pd.Series, column: str, note: str) -> tuple[str, str, pd.Series | None]:
    """Tell categories from texts that only name their row."""
    known = texts.dropna()
    count = known.nunique()
    if len(known) >= 20 and count > 0.9 * len(known):
        return "id", f"{count} different texts in {len(known)} rows: names or free text; left out", None
    if _NAMED_ID.search(column) and count > _MANY:
        return "id", f"its name says so, and it has {count} values; left out", None
    many = f"{count} different texts: the {_MANY - 1} most frequent count, the others are one" if count > _MANY else ""
    return "category", "; ".join(filter(None, (note, many))), texts


def _judge_leak(
    values: pd.Series, labels: pd.Series, column: str, target: str, kind: str, note: str, wishes: Wishes
) -> tuple[str, str]:
    """Return kind and note of a feature; raise when it alone tells the target in every row."""
    positive = (labels == labels.iloc[0]).to_numpy()
    share = _alone(values, positive)
    if share < 0.99:
        return kind, note
    if share < 1:
        told = f"alone it tells {share:.1%} of the rows' {target!r}: was it known before the target?"
        return kind, "; ".join(filter(None, (note, told)))
    if column not in wishes.allow_leak:
        raise CourseError(
            f"The column {column!r} alone tells {target!r} in every row: a copy of it, or something that was known only "
            f"afterwards. A model would learn nothing else. Leave it out with --drop {column!r}, or keep it with "
            f"--allow-leak {column!r}."
        )
    return "leaking", f"alone it tells {target!r} in every row; kept as asked"


def _by_one_limit(numbers: np.ndarray, positive: np.ndarray) -> float:
    """Return the share of the rows that the best single limit tells: one class below it, the other above."""
    order = np.argsort(numbers, kind="stable")
    values, mine = numbers[order], positive[order].astype(int)
    cuts = np.flatnonzero(np.diff(values)) + 1  # a limit lies between two different numbers
    if not len(cuts):
        return 0.0
    below = np.cumsum(mine)[cuts - 1]
    right = below + (len(mine) - cuts) - (mine.sum() - below)  # the positive class below, the other above
    return float(np.maximum(right, len(mine) - right).max() / len(mine))


def _alone(values: pd.Series, positive: np.ndarray) -> float:
    """Return the share of the rows (20 or more) that one column tells: by its values, or by one limit among numbers.

    Only values that come in several rows count, since any column of different values could be learned by heart.
    """
    if len(values) < 20:
        return 0.0
    rows = pd.DataFrame({"value": values.astype(object).where(values.notna(), "\0missing"), "positive": positive})
    groups = rows.groupby("value", sort=False)["positive"].agg(["sum", "size"])
    gaps = values.isna().to_numpy()
    best = 1.0 if gaps.any() and len({*zip(gaps.tolist(), positive.tolist(), strict=True)}) == 2 else 0.0
    base = max(positive.mean(), 1 - positive.mean())
    telling = base + (1 - base) * 0.9  # a rare class makes any column look good
    if not best and len(groups) <= len(rows) / 4:
        best = float(np.maximum(groups["sum"], groups["size"] - groups["sum"]).sum() / len(rows))
        best = best if best > telling else 0.0
    if values.dtype.kind == "f":
        known = values.notna().to_numpy()
        numbers, mine = values.to_numpy()[known], positive[known]
        if known.mean() > 0.9 and 0 < mine.sum() < len(mine):
            share = _by_one_limit(numbers, mine)
            best = max(best, share if share > telling else 0.0)
    return best
