"""The batch's report: one HTML page that links each notebook's own page, and shows for a failure where and why."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nbconvert.filters.ansi import strip_ansi

from course_runner.batch.job import BadNotebook, Outcome, has_tag, read_notebook
from course_runner.batch.view import page

if TYPE_CHECKING:
    from course_runner.batch.batch import Batch

#: Lines of an error that are shown, from its end.
LINES = 12


def render(
    batch: Batch,
    outcomes: Sequence[Outcome],
    parameters: dict[str, dict[str, Any]],
    took: float = 0.0,
    again: str = "",
    commit: str = "",
) -> str:
    """Return the page; every text in it is escaped.

    Parameters
    ----------
    batch
        The batch.
    outcomes
        One per notebook, in the order of the page.
    parameters
        Label → parameters that the notebook was given.
    took
        Seconds that the batch took, from its start.
    again
        The command that runs the same notebooks into a new folder.
    commit
        Of the course, when it is known.
    """
    rows = []
    for o in outcomes:
        code, cell_id, last = ("", "", "") if o.ok else _failure(o, batch.folder)
        link = _relative(o.output, batch.folder)
        rows.append(
            {
                **o.as_dict(),
                "ok": o.ok,
                "seconds": f"{o.seconds:.1f} s" if o.seconds or not o.ok else "done before",
                "parameters": ", ".join(f"{k}={v!r}" for k, v in parameters.get(o.name, {}).items()),
                "link": link + (f"#cell-id={quote(cell_id)}" if cell_id and link.endswith(".html") else ""),
                "code": code,
                "last": last,
            }
        )
    return page("report.html").render(
        rows=rows,
        failed=[row for row in rows if not row["ok"]],
        total=len(rows),
        given=any(row["parameters"] for row in rows),
        finished=datetime.now().strftime("%Y-%m-%d %H:%M"),
        took=f"{took // 60:.0f} min {took % 60:.0f} s" if took >= 60 else f"{took:.1f} s",
        folder=batch.folder.name,
        ui=batch.ui(),
        go_on=batch.go_on,
        again=again,
        versions={
            "Python": platform.python_version(),
            **{name: version(name) for name in ("mlflow", "papermill", "scikit-learn")},
            "the course": version("course-utils") + (f", commit {commit}" if commit else ""),
            "on": f"{platform.system()} {platform.machine()}",
        },
    )


def _failure(outcome: Outcome, folder: Path) -> tuple[str, str, str]:
    """Return code and id of the cell that failed, and the last lines of its error, as far as they are known."""
    file = Path(outcome.output)
    try:
        cells = [c for c in read_notebook(file).cells if not has_tag(c, "papermill-error-cell-tag")]
        cell = cells[(outcome.cell or 0) - 1] if outcome.cell else {}
    except (BadNotebook, IndexError):
        return "", "", ""
    text = "\n".join("\n".join(o.traceback) for o in cell.get("outputs", []) if o.output_type == "error")
    log = file.with_suffix(".log")
    if not text and log.is_file():  # a kernel that died, for example
        text = log.read_text(encoding="utf8", errors="replace")
    text = re.sub(r"[^\s\"'(]*/site-packages/", "", strip_ansi(text))
    for path, short in ((folder, "."), (Path.home(), "~")):
        text = text.replace(f"{path}/", f"{short}/")
    return cell.get("source", ""), cell.get("id", ""), "\n".join(text.strip().splitlines()[-LINES:])


def _relative(path: str, folder: Path) -> str:
    if not path or not Path(path).exists():
        return ""
    view = Path(path).with_suffix(".html")  # batches of before have none
    shown = view if view.exists() else Path(path)
    if not shown.is_relative_to(folder):
        return shown.as_uri()
    return quote(shown.relative_to(folder).as_posix())  # a name may hold # or ?
