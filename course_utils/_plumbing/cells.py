"""What the cells of a text file may stand for: numbers as people write them, and what is in doubt about them."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
COMMA = re.compile(r"[+-]?\d+(,\d+)?([eE][+-]?\d+)?")
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?")
#: 007 is a code.
LEADING_ZERO = re.compile(r"0\d+")
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})*(\.\d+)?")  # 1,234.5
_GROUPED_COMMA = re.compile(r"[+-]?\d{1,3}(\.\d{3})*(,\d+)?")  # 1.234,5


class Ambiguous(Exception):
    """Texts can be read in two ways: ``what`` was seen, and the ``advice`` that ends the doubt."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.what, self.advice = what, advice


def listing(names: Iterable[object], most: int = 12) -> str:
    """Return names as one line, cut after `most`."""
    names = [str(n) for n in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def all_like(pattern: re.Pattern[str], texts: Iterable[str]) -> bool:
    """Return whether the whole of each text has this form."""
    return all(pattern.fullmatch(text) for text in texts)


def numbers_of(texts: pd.Series) -> tuple[pd.Series, str] | None:
    """Return texts as floats, and how they are written where that is not with a decimal point; None for no numbers.

    Raises
    ------
    Ambiguous
        When a comma may stand for thousands or for decimals, or points and commas are mixed.
    """
    different = texts.dropna().unique()
    if all_like(NUMBER, different):
        return texts.astype(float), ""
    commas = [text for text in different if "," in text]
    if not commas:
        return None
    if all_like(COMMA, different):
        if all(re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", text) for text in commas):
            raise Ambiguous(
                "holds numbers whose comma may stand for thousands or for decimals", "Write them with a point"
            )
        return texts.str.replace(",", ".", regex=False).astype(float), "decimal comma"
    if all_like(_GROUPED, different):
        return texts.str.replace(",", "", regex=False).astype(float), "commas between thousands"
    if all_like(_GROUPED_COMMA, different):
        plain = texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
        return plain.astype(float), "points between thousands, decimal comma"
    if all(NUMBER.fullmatch(text) or COMMA.fullmatch(text) for text in different):
        raise Ambiguous("holds numbers with decimal points and others with commas", "Write all in one way")
    return None
