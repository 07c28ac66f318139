"""Tables of one's own: what each column was taken for, and which of them a model may see."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course_utils._plumbing import leaks, targets
from course_utils._plumbing.cells import COMMA, ISO_DATE, LEADING_ZERO, NUMBER, Ambiguous, all_like, listing, numbers_of
from course_utils._plumbing.table_files import MAX_COLUMNS, too_wide
from course_utils.errors import CourseError

_WITH_UNIT = re.compile(r"[€$£¥]?\s?[+-]?\d[\d.,' ]*\s?[^\d\s]{0,4}")
_DATE = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})")
_SHORT_DATE = re.compile(r"(\d{1,2}[./-]){2}\d{2}|\d{1,2}[. -][A-Za-z]{3,9}[. -]\d{2,4}")
_NAMED_ID = re.compile(r"(?:^|[\W_])(?:id|uuid|guid|key|index)s?$|[a-z](?:ID|Id)$", re.IGNORECASE)
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
    """A table that is ready for a model.

    Attributes
    ----------
    features
        Floats and texts, shape (n_rows, n_features).
    target
        The task, and the labels as they were in the file.
    classes
        Of two labels the one to find last, else as they sort; none of a regression.
    columns
        What each column of the file was taken for.
    """

    features: pd.DataFrame
    target: targets.Target
    classes: tuple
    columns: list[Column]


def columns_table(columns: Iterable[Column]) -> pd.DataFrame:
    """Return a row for each column: ``read as``, ``missing``, ``note``, indexed by its name."""
    rows = {c.name: {"read as": c.kind, "missing": c.missing, "note": c.note} for c in columns}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["read as", "missing", "note"]).rename_axis("column")


def interpret(table: pd.DataFrame, target: str, name: str, wishes: Wishes | None = None, task: str = "binary") -> Table:
    """Return what a model can learn from, with what each column was taken for; see `targets.read` for tasks.

    Raises
    ------
    CourseError
        With the first thing that is wrong with the table, or that could be read in two ways.
    """
    wishes = wishes or Wishes()
    table, found = check(table, target, name, wishes, task)
    labels = found.labels
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
                allowed = column in wishes.allow_leak
                kind, note = leaks.judge(read, labels, column, target, kind, note, allowed, found.task)
                features[column] = read
            columns.append(Column(column, kind, gaps, note))
    if not features:
        why = ", ".join(f"{c.name} ({c.kind})" for c in columns if c.kind != "target")
        raise CourseError(
            f"{name} has nothing to predict {target!r} from: no column is left of {why}. "
            "--numeric COLUMN or --category COLUMN keeps one that was taken for an id."
        )
    classes = targets.classes(labels, target, name, wishes.positive, found.task)
    return Table(pd.DataFrame(features), found, classes, columns)


def _is_plain(value: object) -> bool:
    return not isinstance(value, list | dict | tuple | set | np.ndarray)


def plain(table: pd.DataFrame, target: str, wishes: Wishes) -> pd.DataFrame:
    """Return a table of the course's own as floats and texts, without the columns to drop; nothing is looked for."""
    features = {}
    for column in table.columns.drop([target, *wishes.drop]):
        numeric = pd.api.types.is_numeric_dtype(table[column]) and column not in wishes.category
        features[column] = _floats(table[column]) if numeric else _texts(table[column])
    return pd.DataFrame({**features, target: table[target]})


def check(
    table: pd.DataFrame, target: str, name: str, wishes: Wishes | None = None, task: str = "binary"
) -> tuple[pd.DataFrame, targets.Target]:
    """Return a table without a column that cannot be used, and its target; or raise with the first thing that is wrong."""
    wishes = wishes or Wishes()
    table = table.rename(columns=str)
    if table.shape[1] > MAX_COLUMNS:
        raise CourseError(too_wide(name, table.shape[1]))
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
    found = targets.read(table[target], target, name, task)
    return table.assign(**{target: found.labels}), found


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

    def doubt(what: str, advice: str) -> CourseError:
        some = listing(map(repr, different[:3]))
        return CourseError(
            f"The column {column!r} of {name} {what} (such as {some}). {advice}, leave the column out with "
            f"--drop {column!r}, or take its values as names with --category {column!r}."
        )

    if all_like(NUMBER, different) and any(LEADING_ZERO.fullmatch(text) for text in different):
        return _categories(texts, column, "numbers with leading zeros are codes, not measurements")
    if all(text.casefold() in ("true", "false") for text in different):
        truth = texts.map(lambda v: float(v.casefold() == "true"), na_action="ignore")
        return "numeric", "true is 1, false is 0", truth
    try:
        found = numbers_of(texts)
    except Ambiguous as two:
        raise doubt(two.what, two.advice) from None
    if found and found[1]:
        return "numeric", found[1], _floats(found[0])
    if found:
        return _numbers(_floats(found[0]), column)
    if all_like(ISO_DATE, different):
        dates = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
        if dates[texts.notna()].isna().any():
            raise doubt("looks like dates, but holds one that no calendar has", "Correct it")
        return "date", _EPOCH, _seconds(dates)
    if all_like(_DATE, different):
        return _european_or_american(texts, different, doubt)
    if all_like(_SHORT_DATE, different):
        raise doubt("looks like dates that can be read in more than one way", "Write them as 2026-11-28")
    numbers = known.map(lambda text: bool(NUMBER.fullmatch(text) or COMMA.fullmatch(text)))
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
