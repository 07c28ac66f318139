"""What a sweep is to run: the points of a grid, kept in a folder from which the sweep can continue."""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import re
import sys
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from course_runner.batch import batch, provenance
from course_runner.batch.job import CELL_TIMEOUT, NOTEBOOK_TIMEOUT, read_notebook
from course_runner.batch.parameters import convert_parameters, literal, parameter_defaults
from course_runner.sweep.task import reaches
from course_utils._plumbing import files
from course_utils._plumbing.places import command, sqlite_uri, tracking_uri
from course_utils.errors import CourseError

PLAN, NOTEBOOK = "sweep.json", "notebook.ipynb"
#: So many points need a yes.
MANY = 1000
#: What to do when a file of a sweep cannot be written.
GO_ON = "Name a folder with space that you may write to: -o. Once a sweep has begun, --resume continues it from here."


@dataclass(frozen=True)
class Point:
    """One setting: where its files are called `name`, and `key`, which stands for notebook and parameters."""

    name: str
    key: str
    parameters: dict[str, Any]

    @property
    def label(self) -> str:
        """The setting as people read it."""
        return ", ".join(f"{k}={short(v)}" for k, v in self.parameters.items())


@dataclass
class Sweep:
    """What a sweep runs and where it leaves it.

    Attributes
    ----------
    folder
        Home of the sweep: plan, journal, executed notebooks, table, figure and (without a server) its store.
    title
        The notebook as a user names it to ``course run``.
    points
        Every point, in the order of the grid.
    swept
        Names of the parameters that vary.
    uri
        Tracking URI for the sweep's own record.
    id
        Part of the tag on all runs that its notebooks log.
    """

    folder: Path
    title: str
    points: list[Point]
    swept: list[str]
    uri: str
    notebook: str = ""
    parent: str = ""
    cell_timeout: int = CELL_TIMEOUT
    notebook_timeout: int = NOTEBOOK_TIMEOUT
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    @property
    def server(self) -> str:
        """URI of the tracking server that notebooks log to from wherever they run; empty when there is none."""
        return self.uri if self.uri.startswith(("http://", "https://")) else ""

    def output(self, point: Point) -> Path:
        """Return where a point's executed notebook goes."""
        return self.folder / "points" / f"{point.name}.ipynb"

    def save(self) -> None:
        """Write the plan, from which ``--resume`` continues."""
        plan = {
            "id": self.id,
            "title": self.title,
            "points": [
                {"name": p.name, "parameters": {k: literal(v) for k, v in p.parameters.items()}} for p in self.points
            ],
            "swept": self.swept,
            "uri": "" if self.uri == _own(self.folder) else self.uri,
            "parent": self.parent,
            "cell_timeout": self.cell_timeout,
            "notebook_timeout": self.notebook_timeout,
        }
        files.write(self.folder / PLAN, json.dumps(plan, indent=1), GO_ON)


def _own(folder: Path) -> str:
    return sqlite_uri(folder / "mlflow.db")


def short(value: Any) -> str:
    """Return a value as people read it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _split(text: str) -> list[str]:
    """Split at commas that stand outside brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and depth <= 0:
            parts.append("")
            continue
        parts[-1] += letter
    return [part.strip() for part in parts]


def parse_grid(texts: Iterable[str]) -> dict[str, list[str]]:
    """Return name → values of ``name=v1,v2,…`` texts; commas inside brackets or quotes belong to a value.

    Raises
    ------
    CourseError
        For a text without ``=``, a name twice, or a value that is empty.
    """
    grid: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise CourseError(
                f"--grid {text!r} names no values. Write --grid name=v1,v2, for example --grid seed=1,2,3."
            )
        if name in grid:
            raise CourseError(f"--grid names {name!r} twice. Write all its values in one: --grid {name}=v1,v2,v3.")
        found = _split(values)
        if not all(found):
            what = "no value" if len(found) == 1 else "an empty value between two commas"
            raise CourseError(f"--grid {text!r} has {what}. Write --grid {name}=v1,v2.")
        quoted = re.compile(r"""^(['"])(.*)\1$""")
        grid[name] = [inside[2] if (inside := quoted.match(value)) else value for value in found]
    return grid


def plan(
    nb: NotebookNode,
    title: str,
    grid: dict[str, list[str]],
    fixed: dict[str, Any] | None = None,
    draw: int | None = None,
    seed: int = 0,
    yes: bool = False,
) -> list[Point]:
    """Return the points of a grid, or `draw` different ones of them.

    Parameters
    ----------
    nb
        The notebook; its parameters cell says what may vary and of which type.
    title
        Name of the notebook for messages.
    grid
        From `parse_grid`.
    fixed
        Parameters with one value for all points.
    draw, seed
        Points to draw without replacement, and the seed of the draw.
    yes
        Allow more than `MANY` points.

    Raises
    ------
    CourseError
        For an unknown parameter, a value of another type, an empty grid, or too many points.
    """
    fixed = fixed or {}
    try:
        defaults = parameter_defaults(nb)
    except CourseError as error:
        raise CourseError(f"{title}: {error}") from None
    except Exception as error:  # Python's parser has several for what is no Python
        raise CourseError(
            f"The cell tagged 'parameters' of {title} is not plain Python ({' '.join(str(error).split())}), so nothing is "
            "known about what may vary. Keep only assignments in it."
        ) from error
    if not grid:
        known = ", ".join(f"{k}={v!r}" for k, v in defaults.items()) or "none: no cell is tagged 'parameters'"
        raise CourseError(f"Nothing varies. Name values with --grid name=v1,v2. The parameters of {title} are {known}.")
    if both := [name for name in grid if name in fixed]:
        raise CourseError(f"{both[0]!r} is given to --grid and to -p. A sweep varies it or fixes it, not both.")
    fixed = convert_parameters(nb, fixed, title)
    axes: dict[str, list[Any]] = {}
    for name, values in grid.items():
        converted = [convert_parameters(nb, {name: value}, title)[name] for value in values]
        axes[name] = list({repr(value): value for value in converted}.values())
        if len(axes[name]) < len(converted):
            print(f"{name} has a value twice; each point runs once.", file=sys.stderr)
    total = math.prod(map(len, axes.values()))
    if draw is not None and draw > total:
        raise CourseError(
            f"--random {draw} asks for more points than the grid has: {total}. Ask for fewer, or add values."
        )
    count = draw if draw is not None else total
    if count > MANY and not yes:
        raise CourseError(
            f"This grid has {count:,} points, and each is a complete run of {title}. "
            "Draw some of them with --random 200, or add --yes when you mean it."
        )
    chosen = range(total) if draw is None else sorted(random.Random(seed).sample(range(total), draw))
    code = provenance.notebook_hash(nb)
    return [
        _point(place, _decode(number, axes) | fixed, code, len(str(count)), axes) for place, number in enumerate(chosen)
    ]


def _decode(number: int, axes: dict[str, list[Any]]) -> dict[str, Any]:
    """Return the setting with this number; the last axis varies fastest."""
    setting = {}
    for name, values in reversed(axes.items()):
        number, index = divmod(number, len(values))
        setting[name] = values[index]
    return {name: setting[name] for name in axes}


def _point(place: int, parameters: dict[str, Any], code: str, width: int, swept: Iterable[str]) -> Point:
    words = "_".join(f"{k}={short(parameters[k])}" for k in swept)
    name = f"{place + 1:0{max(width, 2)}d}_" + re.sub(r"[^A-Za-z0-9.=-]+", "_", words)[:80].rstrip("._")
    return Point(name, point_key(code, parameters), parameters)


def point_key(code: str, parameters: dict[str, Any]) -> str:
    """Return 16 hex digits for a notebook (its `provenance.notebook_hash`) with some parameters."""
    text = json.dumps([code, sorted((k, repr(v)) for k, v in parameters.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def start(
    folder: Path,
    source: Path,
    title: str,
    points: list[Point],
    swept: list[str],
    cell_timeout: int,
    notebook_timeout: int,
) -> Sweep:
    """Return a new sweep in an empty folder, with its plan and a copy of the notebook written.

    Raises
    ------
    CourseError
        When the folder holds something, or cannot be written.
    """
    if folder.is_file():
        raise CourseError(f"{folder} is a file; a sweep needs a folder. Name another with -o.")
    if folder.exists() and any(folder.iterdir()):
        go_on = command("course", "sweep", "--resume", "-o", folder)
        again = f" It holds a sweep; continue it with: {go_on}" if (folder / PLAN).exists() else ""
        raise CourseError(f"{folder} is not empty. A sweep starts in a folder of its own; name another with -o.{again}")
    text = nbformat.writes(provenance.strip(read_notebook(source)))
    chosen = os.environ.get("MLFLOW_TRACKING_URI")
    uri = tracking_uri(chosen) if chosen else _own(folder)
    sweep = Sweep(folder, title, points, swept, uri, text, "", cell_timeout, notebook_timeout)
    check_server(sweep.server)
    files.write(folder / NOTEBOOK, text, GO_ON)
    sweep.save()
    return sweep


def check_server(uri: str) -> None:
    """Raise at once when a tracking server does not answer; MLflow would try for minutes."""
    if uri and (reason := reaches(uri)):
        raise CourseError(
            f"The tracking server {uri} does not answer: {reason}. Start it, or unset MLFLOW_TRACKING_URI to keep the "
            "sweep's runs in its own folder."
        )


def latest_folder(root: Path) -> Path:
    """Return the newest sweep's folder; raises `CourseError` when there is none."""
    return batch.latest_folder(root, PLAN, "sweep", "course sweep")


def load(folder: Path) -> Sweep:
    """Read an earlier sweep.

    Raises
    ------
    CourseError
        When the folder holds none.
    """
    try:
        kept = json.loads((folder / PLAN).read_text(encoding="utf8"))
        nb = read_notebook(folder / NOTEBOOK)
        code = provenance.notebook_hash(nb)
        points = []
        for entry in kept["points"]:
            parameters = {k: provenance.unliteral(v) for k, v in entry["parameters"].items()}
            points.append(Point(entry["name"], point_key(code, parameters), parameters))
        return Sweep(
            folder,
            kept["title"],
            points,
            kept["swept"],
            kept["uri"] or _own(folder),
            nbformat.writes(nb),
            kept["parent"],
            kept["cell_timeout"],
            kept["notebook_timeout"],
            kept["id"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SyntaxError, CourseError) as error:
        raise batch.no_resume(folder, error, PLAN, "sweep", "course sweep") from error
