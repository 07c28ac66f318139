"""The batch's report: one HTML page with status, seconds, error and a link for each notebook."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined

from course_runner.batch.job import Outcome

if TYPE_CHECKING:
    from course_runner.batch.batch import Batch


def render(batch: Batch, outcomes: Sequence[Outcome], parameters: dict[str, dict[str, Any]]) -> str:
    """Return the page; every text in it is escaped.

    Parameters
    ----------
    batch
        The batch.
    outcomes
        One per notebook, in the order of the page.
    parameters
        Label → parameters that the notebook was given.
    """
    template = (files("course_runner.batch") / "templates" / "report.html").read_text(encoding="utf8")
    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(template)
    rows = [
        {
            "name": o.name,
            "status": o.status,
            "ok": o.ok,
            "seconds": f"{o.seconds:.1f}",
            "cell": o.cell or "",
            "error": o.error,
            "parameters": ", ".join(f"{k}={v!r}" for k, v in parameters.get(o.name, {}).items()),
            "link": _relative(o.output, batch.folder),
        }
        for o in outcomes
    ]
    return page.render(
        rows=rows,
        failed=sum(not o.ok for o in outcomes),
        total=len(rows),
        finished=datetime.now().strftime("%Y-%m-%d %H:%M"),
        folder=batch.folder.name,
        ui=batch.ui(),
        versions={
            "Python": platform.python_version(),
            **{name: version(name) for name in ("mlflow", "papermill", "scikit-learn")},
            "system": f"{platform.system()} {platform.machine()}",
            "platform": sys.platform,
        },
    )


def _relative(path: str, folder: Path) -> str:
    if not path or not Path(path).exists():
        return ""
    if not Path(path).is_relative_to(folder):
        return Path(path).as_uri()
    return quote(Path(path).relative_to(folder).as_posix())  # a name may hold # or ?
