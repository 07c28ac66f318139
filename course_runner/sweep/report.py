"""What came of a sweep: the table, the figure, and the command of the best point."""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_runner.batch.parameters import BadParameter
from course_runner.sweep.plan import GO_ON, short
from course_runner.sweep.record import Report, Result
from course_utils._plumbing import files
from course_utils._plumbing.places import command as command_line
from course_utils._plumbing.places import no_formula

if TYPE_CHECKING:
    import pandas as pd

#: What is said of a point whose metric is infinite or not a number; such a point is not ranked.
DIVERGED = "is not finite"
TABLE, PICTURE, WORDS = "results.csv", "parallel_coordinates.png", "parallel_coordinates.txt"


def choose_metric(results: Iterable[Result], wanted: str | None) -> str | None:
    """Return the metric to rank by: `wanted`, or the only one that the points have; None when there are several.

    Raises
    ------
    BadParameter
        When no point has the wanted one, or none has any.
    """
    results = list(results)
    names: dict[str, None] = {}
    for result in results:
        names |= dict.fromkeys(name for name in result.metrics() if result.values(name))
    if wanted is None:
        return next(iter(names)) if len(names) == 1 else None
    if wanted not in names and any(wanted in result.metrics() for result in results):
        raise BadParameter(f"{wanted!r} is infinite or not a number at every point, so there is nothing to rank.")
    if wanted not in names:
        near = get_close_matches(wanted, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        have = ", ".join(sorted(names)) or "none (log one, or print a JSON object in the last cell)"
        raise BadParameter(f"No point has a metric {wanted!r}; they have: {have}.{hint}")
    return wanted


def frame(report: Report, metric: str | None, minimize: bool) -> pd.DataFrame:
    """Return one row a point: parameters, the ranking metric (its best value), the other metrics, seconds, status.

    With a metric the best completed point comes first; points that failed come last.
    """
    import pandas as pd

    rows = []
    for point, result in zip(report.sweep.points, report.results, strict=True):
        metrics = result.metrics()
        error = result.outcome.error
        if metric and metric in metrics:
            values = result.values(metric)
            best = (min if minimize else max)(values, default=math.nan)
            metrics = {metric: best} | {k: v for k, v in metrics.items() if k != metric}
            error = error if values else "; ".join(filter(None, (error, f"{metric} {DIVERGED}")))
        rows.append(
            {"point": point.name}
            | {
                k: v if isinstance(v, int | float | str) and not isinstance(v, bool) else str(v)
                for k, v in point.parameters.items()
            }
            | {(f"metric {k}" if k in point.parameters else k): v for k, v in metrics.items()}
            | {"seconds": result.outcome.seconds, "status": result.outcome.status, "error": error}
        )
    table = pd.DataFrame(rows)
    shown = metric_column(report, metric)
    if shown and shown in table:
        table = table.sort_values(shown, ascending=minimize, kind="stable", na_position="last")
        table = table.sort_values("status", key=lambda status: status != "ok", kind="stable")
    return table.reset_index(drop=True)


def metric_column(report: Report, metric: str | None) -> str | None:
    """Return the column of a metric in `frame`: a metric that is called like a parameter gets a prefix."""
    return f"metric {metric}" if metric in report.sweep.points[0].parameters else metric


def draw(report: Report, table: pd.DataFrame, metric: str, minimize: bool) -> tuple[Path, str] | None:
    """Write the parallel-coordinates plot and its words; return path and words, or None with fewer than two points."""
    from course_utils import plots

    column = metric_column(report, metric)
    ranked = table[(table["status"] == "ok") & table[column].notna()].reset_index(drop=True)
    if len(ranked) < 2:
        return None
    best = ranked.iloc[0]
    setting = ", ".join(f"{n} {short(best[n])}" for n in report.sweep.swept)
    title = (
        f"{setting} has the {'lowest' if minimize else 'highest'} {column}, {best[column]:.4g}, of {len(ranked)} points"
    )
    figure = plots.parallel_coordinates(ranked, report.sweep.swept, column, title=title)
    words = plots.alt_text(figure)
    path = plots.save(figure, report.sweep.folder / PICTURE)
    files.write(report.sweep.folder / WORDS, words + "\n", GO_ON)
    return path, words


def keep(report: Report, table: pd.DataFrame, metric: str | None, minimize: bool) -> None:
    """Write the table, and put table and figure into the parent run with the best value."""
    from mlflow import MlflowClient

    sweep = report.sweep
    safe = table.map(lambda cell: no_formula(cell) if isinstance(cell, str) else cell).rename(columns=no_formula)
    files.write(sweep.folder / TABLE, safe.to_csv(index=False), GO_ON)
    client = MlflowClient(sweep.uri, sweep.uri)
    for name in (TABLE, PICTURE, WORDS):
        if (sweep.folder / name).is_file():
            client.log_artifact(sweep.parent, str(sweep.folder / name))
    column = metric_column(report, metric)
    if column and column in table and table[column].notna().any():
        client.log_metric(sweep.parent, f"best_{metric}", float(table[column].iloc[0]))
        client.set_tag(sweep.parent, "ranked_by", f"{metric}, {'lowest' if minimize else 'highest'} first")


def command(title: str, parameters: dict[str, Any]) -> str:
    """Return the shell line that runs one point again."""
    words = ["course", "run", title]
    for name, value in parameters.items():
        words += ["-p", name, value if isinstance(value, str) else repr(value)]
    return command_line(*words)
