"""The verb ``course verify``: the same numbers again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from course_utils._plumbing.places import sqlite_uri
from course_utils.errors import CourseError

if TYPE_CHECKING:
    from course_runner.verify.verify import Verdict

app = typer.Typer()

#: Rows of the table; all metrics are compared.
MOST = 60


@app.command("verify")
def verify_command(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="A run's id, or models:/NAME/VERSION.")],
    home: Annotated[Path | None, typer.Option(help="Folder of another store: that of a batch or a sweep.")] = None,
    tolerance: Annotated[
        float, typer.Option(help="Largest relative difference that counts as the same; 0: every bit.")
    ] = 0.0,
    ignore: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Metrics not to compare; those of time and memory never are.")
    ] = None,
    cold: Annotated[bool, typer.Option("--cold", help="Start an ordinary kernel (slower).")] = False,
) -> None:
    """Execute a recorded run once more, in a fresh process and a scratch store, and compare every metric.

    Example: [cyan]course verify 4f0c… --home runs/2026-11-21_101500[/cyan]

    Takes a notebook's run in a batch, a point of a sweep, a run of course workflow, or a run that such a notebook
    logged. Exits with 0 when every metric is the same, with 1 when one differs, with 2 when the run cannot be verified.
    """
    from course_runner.batch.console import Ticker
    from course_runner.cli.common import find_root
    from course_runner.verify.verify import verify
    from course_utils import store

    if home is not None and not (home / "mlflow.db").is_file():
        raise CourseError(f"{home} holds no store: there is no mlflow.db. Batches and sweeps are in runs/.")
    uri = sqlite_uri(home.absolute() / "mlflow.db") if home else store.default_uri()
    with Ticker(1, "Verifying") as ticker:
        verdict = verify(run_id, uri, find_root(), tolerance=tolerance, ignore=ignore, cold=cold, on_progress=ticker)
    _show_verdict(verdict)


def _show_verdict(verdict: Verdict) -> None:
    """Print the metrics, and where the difference may come from; exit with 1 when there is one."""
    from rich.table import Table

    from course_runner.batch.console import show

    typer.echo(verdict.what)
    if verdict.rows:
        table = Table()
        for name in ("run", "metric", "recorded", "again", ""):
            table.add_column(name, justify="right" if name in ("recorded", "again") else "left", overflow="fold")
        for row in verdict.rows[:MOST]:
            values = ("missing" if v is None else repr(v) for v in (row.recorded, row.again))
            table.add_row(row.run, row.metric, *values, "same" if row.same else "different")
        show(table)
        if len(verdict.rows) > MOST:
            typer.echo(f"… and {len(verdict.rows) - MOST} more")
    if verdict.skipped:
        typer.echo(f"not compared (time and memory, or --ignore): {', '.join(verdict.skipped)}")
    differ = sum(not row.same for row in verdict.rows)
    if verdict.same:
        count = len(verdict.rows)
        typer.echo(f"Same: {count} metrics, all equal." if count > 1 else "Same: the one metric is equal.")
        for reason in verdict.reasons:
            typer.echo(f"  although {reason}")
        return
    typer.echo(
        f"Different: {verdict.error}" if verdict.error else f"Different: {differ} of {len(verdict.rows)} metrics."
    )
    for reason in verdict.reasons:
        typer.echo(f"  possible reason: {reason}")
    if not verdict.reasons:
        typer.echo(
            "  Code, packages and data have not changed. Look for a random draw without a seed (lecture Reproducing)."
        )
    raise typer.Exit(1)
