"""Stored outputs: masked where two honest runs differ, refused where a learner would trip over them."""

from __future__ import annotations

import configparser
import hashlib
import json
import re
from collections.abc import Iterable
from functools import cache

from nbformat import NotebookNode

from course_utils._plumbing.files import ROOT

#: Mimetypes that are pictures: compared by their presence, not byte by byte (fonts differ between machines).
PICTURES = ("image/png", "image/jpeg", "image/svg+xml")
#: Tag of a cell whose output shows measured seconds: a rebuild keeps the stored picture while the code is the same.
MEASURED = "measured"


@cache
def masks() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return the pairs of pattern and replacement in ``sanitize.cfg``, the file that nbval reads too."""
    parser = configparser.RawConfigParser()
    parser.read_string((ROOT / "sanitize.cfg").read_text(encoding="utf8"))
    return tuple((re.compile(parser[s]["regex"]), parser[s]["replace"]) for s in parser.sections())


def mask(text: str) -> str:
    """Return the text with run ids, times, durations, ports and scratch folders replaced."""
    for pattern, replacement in masks():
        text = pattern.sub(replacement, text)
    return text


def _mask_page(text: str) -> str:
    """Return HTML with its texts masked and its style sheets as they are: a quiz's ``transition: 0.6s`` is not a duration."""
    parts = re.split(r"(<style\b.*?</style>)", text, flags=re.S)
    return "".join(part if part.startswith("<style") else mask(part) for part in parts)


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)


def normalize(outputs: Iterable[NotebookNode]) -> list[NotebookNode]:
    """Return outputs as they are stored: streams joined (the kernel cuts them at random), texts masked.

    A progress line rewritten with a carriage return keeps its last state.
    """
    result: list[NotebookNode] = []
    for output in outputs:
        output = NotebookNode(output)
        if output.output_type == "stream":
            text = _text(output.text)
            if result and result[-1].output_type == "stream" and result[-1].name == output.name:
                result[-1].text += text
                continue
            output.text = text
        result.append(output)
    for output in result:
        if output.output_type == "stream":
            output.text = mask(re.sub(r"^.*\r(?!\n)", "", output.text, flags=re.M))
        elif "data" in output:
            output.metadata = NotebookNode(output.get("metadata", {}))
            for mimetype, value in output.data.items():
                if mimetype.startswith("text/"):
                    output.data[mimetype] = (_mask_page if mimetype == "text/html" else mask)(_text(value))
    return result


def keep_measured(cell: NotebookNode, old: NotebookNode | None) -> None:
    """Put the stored pictures back into a cell of measured times when code and everything but pictures agree."""
    if MEASURED not in cell.metadata.get("tags", []) or old is None or old.source != cell.source:
        return
    if [_without_pictures(o) for o in cell.outputs] == [_without_pictures(o) for o in old.outputs]:
        cell.outputs = old.outputs


def _without_pictures(output: NotebookNode) -> dict:
    kept = {k: v for k, v in output.items() if k not in ("execution_count", "metadata")}
    if "data" in kept:
        kept["data"] = {k: "picture" if k in PICTURES else _text(v) for k, v in kept["data"].items()}
    return kept


def fingerprint(nb: NotebookNode) -> str:
    """Return a hash of all stored outputs, by which a hand-edited output is found without executing anything."""
    stored = [cell.get("outputs", []) for cell in nb.cells if cell.cell_type == "code"]
    return hashlib.sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()[:16]


def objections(nb: NotebookNode) -> list[str]:
    """Return what a learner would trip over in the stored outputs: errors, stderr, warnings, machine paths."""
    found = []
    for index, cell in enumerate(nb.cells):
        for output in cell.get("outputs", []):
            texts = [_text(output.get("text", ""))]
            texts += [_text(v) for k, v in output.get("data", {}).items() if k.startswith("text/")]
            text = "\n".join(texts)
            where = f"cell {index + 1}"
            if output.output_type == "error":
                found.append(f"{where} stores the error {output.ename}: {output.evalue}")
            elif output.get("name") == "stderr":
                found.append(f"{where} writes to stderr: {' '.join(text.split())[:300]}")
            elif path := re.search(r"(?<![\w.])/(?:home|root|tmp|work|Users|usr|var|opt)/[\w./-]+", text):
                found.append(f"{where} shows a path of this machine: {path[0]}")
    return found
