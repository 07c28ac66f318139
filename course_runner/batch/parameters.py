"""Parameters of a notebook: its own defaults, the values that a run is given, and their Python text."""

from __future__ import annotations

import ast
import json
import math
import re
from typing import Any

from nbformat import NotebookNode

from course_runner.batch.job import BadNotebook, has_tag
from course_utils.errors import CourseError

PARAMETERS_TAG = "parameters"
#: What Python raises for text that it cannot read: NUL characters, unhashable keys, too many brackets, …
_UNREADABLE = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError)


class BadParameter(CourseError):
    """A parameter that the notebook does not have, or a value that does not fit."""


def without_magics(code: str) -> str:
    """Return code in which a line that only IPython understands is one that does nothing."""
    return "\n".join(re.sub(r"^(\s*)[%!].*", r"\1pass", line) for line in code.splitlines())


def parameter_defaults(nb: NotebookNode) -> dict[str, Any]:
    """Return the assignments in the cell tagged ``parameters``; a default that is not a literal is returned as None.

    Raises
    ------
    BadNotebook
        When that cell is not Python with IPython's magics.
    """
    from IPython.core.inputtransformer2 import TransformerManager

    for number, cell in enumerate(nb.cells, 1):
        if cell.cell_type == "code" and has_tag(cell, PARAMETERS_TAG):
            source = cell.source.lstrip()
            if source.startswith("%%"):  # what a cell magic (%%time) gets is Python too
                source = source.partition("\n")[2]
            try:
                body = ast.parse(TransformerManager().transform_cell(source)).body
            except _UNREADABLE as error:
                raise BadNotebook(f"Cell {number}, tagged 'parameters', is not Python: {error}.") from None
            defaults = {}
            for node in body:
                targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
                for target in targets:
                    if isinstance(target, ast.Name) and getattr(node, "value", None) is not None:
                        try:
                            defaults[target.id] = ast.literal_eval(node.value)
                        except _UNREADABLE:
                            defaults[target.id] = None
            return defaults
    return {}


def convert_parameters(nb: NotebookNode, given: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the given values in the types of the notebook's defaults.

    Raises
    ------
    BadParameter
        For a name that is not an identifier, that the notebook does not have, or a value of another type.
    """
    if not given:
        return {}
    from difflib import get_close_matches

    defaults = parameter_defaults(nb)
    converted = {}
    for key, value in given.items():
        if not key.isidentifier():
            raise BadParameter(f"{key!r} is not a Python name, so it cannot be a parameter.")
        if not defaults:
            raise BadParameter(f"{name} has no cell tagged 'parameters', so {key}={value!r} has nowhere to go.")
        if key not in defaults:
            near = get_close_matches(key, defaults, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise BadParameter(f"{name} has no parameter {key!r}; it has {', '.join(defaults)}.{hint}")
        converted[key] = _convert(value, defaults[key], key)
    return converted


def _convert(value: Any, default: Any, key: str) -> Any:
    """Return `value` in the type of `default`; text is parsed as a Python literal first."""
    wanted = type(default)
    literal(value)
    if isinstance(value, str) and wanted is not str:
        text = {"true": "True", "false": "False", "null": "None"}.get(value.lower(), value)
        try:
            value = float(text) if wanted is float else ast.literal_eval(text)
        except _UNREADABLE:
            if default is None:
                return value
            raise BadParameter(f"{key}={value!r} is text; the default is {default!r} ({wanted.__name__}).") from None
    if default is None or value is None or isinstance(value, bool) is not (wanted is bool):
        if default is None or value is None:
            return value
        raise BadParameter(
            f"{key}={value!r} is {type(value).__name__}; the default is {default!r} ({wanted.__name__})."
        )
    if wanted is float and isinstance(value, int):
        return float(value)
    if wanted is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if wanted in (list, tuple) and isinstance(value, (list, tuple)):
        return wanted(value)
    if not isinstance(value, wanted):
        raise BadParameter(
            f"{key}={value!r} is {type(value).__name__}; the default is {default!r} ({wanted.__name__})."
        )
    return value


def literal(value: Any) -> str:
    """Return a value as Python text.

    papermill 2.7 turns tuples, sets and the keys of dicts into strings.

    Raises
    ------
    BadParameter
        When it is not a number, text or None, nor a list, tuple, set or dict of these.
    """
    if isinstance(value, float):
        return float.__repr__(value) if math.isfinite(value) else f"float('{float.__repr__(value)}')"
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, (str, bytes)):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple, set)):
        inside = ", ".join(map(literal, value))
        if isinstance(value, list):
            return f"[{inside}]"
        if isinstance(value, tuple):
            return f"({inside}{',' if len(value) == 1 else ''})"
        return f"{{{inside}}}" if value else "set()"
    raise BadParameter(
        f"{value!r} is {type(value).__name__}; a parameter is a number, text, None, or a list, tuple, set or dict of these."
    )


class Code(str):
    """Python text of a value that JSON has no word for: papermill notes the parameters in the notebook's metadata."""


def storable(value: Any) -> Any:
    """Return the value, or its Python text when a notebook file cannot hold it."""
    try:
        json.dumps(value, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError):
        return Code(literal(value))
    return Code(literal(value)) if isinstance(value, tuple) else value
