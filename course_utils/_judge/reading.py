"""What a learner wrote, read as what a check needs: a number, a text, JSON, a table; anything else is a named mistake."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from .mistake import Mistake

_MOST_BYTES = 50_000_000
_SIGNS = {"\n": "⏎", "\t": "⇥", "\r": "⏎"}


def fail(code: str, message: str) -> NoReturn:
    """Raise a `Mistake`; for use in expressions."""
    raise Mistake(code, message)


def visible(text: object, most: int = 60) -> str:
    """Return a text as a message can show it: cut, and with signs for what nobody would see, as a blank at its end."""
    text = str(text)
    inner = text.strip()
    start = text.index(inner) if inner else len(text)
    shown = "␣" * start + inner + "␣" * (len(text) - start - len(inner))
    shown = "".join(_SIGNS.get(c) or (c if _is_seen(c) else f"[U+{ord(c):04X}]") for c in shown)
    return (shown if len(shown) <= most else shown[: most - 1] + "…").replace("`", "'")


def _is_seen(char: str) -> bool:
    return char == " " or unicodedata.category(char) not in ("Cc", "Cf", "Zs", "Zl", "Zp", "Cs")


def instead(seen: str, wanted: str) -> str:
    """Return the beginning of a message about a name that is nearly the wanted one."""

    def plain(text: str) -> str:
        return "".join(c for c in unicodedata.normalize("NFKC", text) if c.strip() and _is_seen(c))

    hidden = (
        " They differ in what nobody sees, as a blank at the end (shown as ␣)." if plain(seen) == plain(wanted) else ""
    )
    return f"`{visible(seen)}`; the task asks for `{wanted}`.{hidden}"


def listing(names: Iterable[object], most: int = 8) -> str:
    """Return names as code, cut after `most`."""
    names = sorted({visible(n) for n in names})
    text = ", ".join(f"`{n}`" for n in names[:most])
    return text + (f" and {len(names) - most} more" if len(names) > most else "")


def number(value: object, what: str, code: str = "not-a-number") -> float:
    """Return a value as a finite number; code ``not-a-number``.

    Parameters
    ----------
    value
        What the learner wrote; a decimal comma and blanks around it do no harm.
    what
        How a message calls it.
    code
        Name of the mistake.
    """
    try:
        found = float(value.strip().replace(",", ".") if isinstance(value, str) else value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise Mistake(
            code,
            f"{what} is `{visible(value, 40)}`, which is not a number to calculate with, so nobody can compare it. "
            "Write the number alone, without a unit or a word.",
        )
    return found


def text_of(path: Path, code: str = "file-broken") -> str:
    """Return the text of a file. Code: ``file-broken`` when it is no text, or far too long."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        raise Mistake(
            code,
            f'`{visible(path.name)}` cannot be read as text (UTF-8). Write it again, with `encoding="utf8"`, and open '
            "it once to see that it is whole.",
        ) from None


def json_of(path: Path, code: str = "not-json") -> Any:
    """Return the content of a JSON file. Code: ``not-json``."""
    try:
        return json.loads(text_of(path, code))
    except (ValueError, RecursionError) as error:
        raise Mistake(
            code,
            f"`{visible(path.name)}` is not JSON ({visible(error)}), so no program can read it. `str` of a "
            "dictionary is Python; `json.dumps` writes JSON.",
        ) from None


def rows_of(path: Path, code: str = "not-a-table") -> Any:
    """Return a table in JSON as a DataFrame, in any form that pandas or ``log_table`` writes. Code: ``not-a-table``."""
    import pandas as pd

    content = json_of(path, code)
    try:
        return frame_of(content)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, pd.errors.ParserError):
        raise Mistake(
            code,
            f"`{visible(path.name)}` is a file, but not in the form that `log_table` writes, so neither the UI nor "
            "`load_table` can show it as a table. Hand the DataFrame to `log_table`.",
        ) from None


def frame_of(content: Any) -> Any:
    """Return the table that a JSON value stands for: split, records, lists or dicts by column; else raise ValueError."""
    import pandas as pd

    if isinstance(content, dict) and isinstance(content.get("data"), list) and isinstance(content.get("columns"), list):
        return pd.DataFrame(content["data"], columns=content["columns"])
    if isinstance(content, dict) and content and all(isinstance(v, list) for v in content.values()):
        return pd.DataFrame(content)
    if isinstance(content, dict) and content and all(isinstance(v, dict) for v in content.values()):
        found = pd.DataFrame(content)
        return found.sort_index(key=lambda index: [float(i) for i in index]) if len(found) else found
    if isinstance(content, list) and content and all(isinstance(v, dict) for v in content):
        return pd.DataFrame(content)
    raise ValueError("no table")


def csv_of(path: Path, code: str = "file-broken") -> Any:
    """Return a CSV file as a DataFrame; blanks around names, a BOM, semicolons or tabs do no harm. Code: ``file-broken``."""
    import pandas as pd

    try:
        found = pd.read_csv(path, encoding="utf-8-sig", skipinitialspace=True)
        if found.shape[1] == 1 and (sign := re.search(r"[;\t]", str(found.columns[0]))):
            found = pd.read_csv(path, encoding="utf-8-sig", sep=sign[0], skipinitialspace=True)
    except Exception as error:  # pandas' parser raises several unrelated types
        raise Mistake(
            code,
            f"`{visible(path.name)}` cannot be read as CSV: {visible(error, 120)}. Write it with `to_csv`, then open it "
            "once to see that it is whole.",
        ) from None
    return named(found)


def parquet_of(path: Path) -> Any:
    """Return a Parquet file as a DataFrame; a named index is a column like the others. Code: ``not-parquet``."""
    import pandas as pd

    try:
        found = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises several unrelated types
        raise Mistake(
            "not-parquet",
            f"`{visible(path.name)}` cannot be read as Parquet: {visible(error, 80)}. Write it with `to_parquet`.",
        ) from None
    return named(found)


def named(table: Any) -> Any:
    """Return a table whose named index is among the columns, and whose columns are texts without blanks around them."""
    levels = [name for name in table.index.names if name is not None and name not in table.columns]
    if levels:
        table = table.reset_index(level=levels)
    table.columns = [str(name).strip() for name in table.columns]
    return table.loc[:, ~table.columns.duplicated()]


def need_columns(table: Any, columns: Sequence[str], file: str, why: str = "") -> None:
    """Tell which column a table lacks. Code: ``column-missing``."""
    for column in columns:
        if column not in table.columns:
            raise Mistake(
                "column-missing",
                f"`{file}` has no column `{column}`; it has {listing(table.columns) or 'none'}. "
                f"{why or 'Columns are read by name, an index without a name is none: write a column under that name.'}",
            )


def numbers_of(table: Any, column: str, file: str, code: str = "not-a-number") -> Any:
    """Return a column as finite numbers. Code: ``not-a-number``, with the first value that is none."""
    import numpy as np
    import pandas as pd

    values = pd.to_numeric(table[column].map(_plain), errors="coerce").to_numpy(dtype=float)
    broken = ~np.isfinite(values)
    if broken.any():
        first = table[column].iloc[int(broken.argmax())]
        raise Mistake(
            code,
            f"The column `{column}` of `{file}` holds `{visible(first, 40)}`, which is not a number to calculate with. "
            "Write numbers alone, without units or gaps.",
        )
    return values


def _plain(value: object) -> object:
    """Return a cell as something that `to_numeric` takes: lists and dicts are texts."""
    return value if isinstance(value, int | float | str) or value is None else str(value)


def words_of(table: Any, column: str) -> list[str]:
    """Return a column as words: without blanks around them, in lower case, and whole numbers without ``.0``."""
    return [re.sub(r"^(-?\d+)\.0$", r"\1", str(value).strip().lower()) for value in table[column]]


def labels_of(table: Any, column: str, names: dict[int, Sequence[str]], file: str) -> Any:
    """Return a column of class labels as integers, given as numbers, booleans or words. Code: ``label-unknown``.

    Parameters
    ----------
    table, column, file
        Where they are.
    names
        Label → further words for it, in lower case.
    """
    import numpy as np

    known = {word: label for label, words in names.items() for word in (str(label), *words)}
    found = words_of(table, column)
    if unknown := sorted(set(found) - set(known)):
        raise Mistake(
            "label-unknown",
            f"The column `{column}` of `{file}` holds {listing(unknown, 3)}, which names no class. Write the labels as "
            "the data have them, 0 and 1, or one word for each.",
        )
    return np.array([known[word] for word in found])


def guarded(read: Callable[[], Any], code: str, message: str) -> Any:
    """Return what `read` returns; when the learner's data have another shape than it expects, raise the mistake."""
    try:
        return read()
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError):
        raise Mistake(code, message) from None


def read_card(folder: Path, name: str) -> dict[str, Any]:
    """Return the ``MLmodel`` of a folder as a dict. Code: ``model-files`` when nobody could load the model."""
    import yaml

    try:
        card = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf8"))
        if not isinstance(card["flavors"], dict) or not all(isinstance(f, dict) for f in card["flavors"].values()):
            raise TypeError("no flavors")
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        raise Mistake(
            "model-files",
            f"The files of the model `{visible(name)}` are not where the store says, or not whole, so nobody can load it. "
            "Were they moved or deleted? Log the model again.",
        ) from None
    return card
