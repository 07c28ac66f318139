"""The verb ``course sweep``: one notebook, many settings."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from course_runner.cli.common import find_root, jobs_option, remove_when_empty, workers
from course_utils._plumbing.places import command
from course_utils.errors import CourseError

if TYPE_CHECKING:
    import pandas as pd

    from course_runner.sweep.plan import Point, Sweep
    from course_runner.sweep.record import Report

app = typer.Typer()

#: Rows of the table on the terminal; all of them are in the file.
SHOWN = 20
#: Numeric columns of the table on the terminal.
WIDE = 4


@app.command("sweep")
def sweep_command(
    notebook: Annotated[
        str | None, typer.Argument(help="Number of a lecture (11), a name, or the path of any notebook.")
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option("--grid", "-g", metavar="NAME=V1,V2,…", help="Values of one parameter; repeat for more."),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", metavar="NAME VALUE", help="A parameter with one value for all points."),
    ] = None,
    draw: Annotated[
        int | None, typer.Option("--random", min=1, help="Run only this many points of the grid, drawn at random.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of --random: the same seed draws the same points.")] = 0,
    metric: Annotated[
        str | None,
        typer.Option("--metric", help="Metric that ranks the points: one that the notebook logs, or prints as JSON."),
    ] = None,
    minimize: Annotated[bool, typer.Option("--minimize", help="The lowest value of the metric is best.")] = False,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", metavar="ADDRESS", help="Run on the workers of this Dask scheduler instead."),
    ] = None,
    jobs: Annotated[int | None, jobs_option("one per core", "Points at once.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the sweep (default: runs/TIME).")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Run what is missing or failed in the newest sweep, or in --output.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Run more than 1,000 points.")] = False,
    cell_timeout: Annotated[
        int | None, typer.Option(min=1, show_default="120", help="Seconds that one cell may take.")
    ] = None,
    timeout: Annotated[
        int | None, typer.Option(min=1, show_default="600", help="Seconds that one point may take.")
    ] = None,
    cold: Annotated[bool, typer.Option("--cold", help="Start each kernel as an ordinary process (slower).")] = False,
) -> None:
    """Run a notebook for every setting of a grid, here or on a Dask cluster, and rank the settings.

    Example: [cyan]course sweep 11 --grid model=logistic_regression,random_forest --grid n_rows=500,1000 -p folds 3
    --metric test_roc_auc[/cyan]

    All points are child runs of one parent in the experiment course-sweeps. A point that is done never runs twice:
    after a stop, [cyan]course sweep --resume[/cyan] continues, and with another --metric it ranks again.

    On a cluster: [cyan]dask scheduler --host 127.0.0.1[/cyan], on each machine [cyan]dask worker ADDRESS[/cyan], then
    [cyan]--scheduler ADDRESS[/cyan]. Whoever reaches a scheduler can run code on its workers; keep it in a network
    that you trust.
    """
    from course_runner.batch import batch
    from course_runner.batch.console import Ticker
    from course_runner.batch.job import CELL_TIMEOUT, NOTEBOOK_TIMEOUT
    from course_runner.sweep import plan as sweep_plan
    from course_runner.sweep import record as sweep_record
    from course_runner.sweep import sweep as sweeps

    root = find_root()
    if scheduler and (jobs or cold):
        raise CourseError(
            "-j and --cold apply to this machine. On a cluster, start more workers instead: dask worker ADDRESS"
        )
    if resume and (notebook or grid or parameter or draw):
        raise CourseError("--resume takes the notebook and its points from the sweep itself; leave them out.")
    with contextlib.ExitStack() as stack:
        ready = _prepare(root, notebook, grid or [], parameter or [], draw, seed, yes) if not resume else None
        client = stack.enter_context(_cluster(scheduler)) if scheduler else None
        if ready is None:
            sweep = sweep_plan.load(output.absolute() if output else sweep_plan.latest_folder(root))
            _note_change(root, sweep)
            if cell_timeout or timeout:
                sweep.cell_timeout = cell_timeout or sweep.cell_timeout
                sweep.notebook_timeout = timeout or sweep.notebook_timeout
                sweep.save()
        else:
            folder = output.absolute() if output else batch.new_folder(root)
            stack.callback(remove_when_empty, folder)
            sweep = sweep_plan.start(folder, *ready, cell_timeout or CELL_TIMEOUT, timeout or NOTEBOOK_TIMEOUT)
        done = {key for key, result in sweep_record.journal(sweep.folder).items() if result.outcome.ok}
        left = sum(point.key not in done for point in sweep.points)
        if resume:
            typer.echo(f"{len(sweep.points) - left} of {len(sweep.points)} points are done; {left} to run.", err=True)
        stack.enter_context(_stoppable())
        ticker = stack.enter_context(Ticker(left, "Sweeping"))
        report = sweeps.run(sweep, root, workers=workers(jobs), client=client, cold=cold, on_progress=ticker)
    _show(report, metric, minimize)


def _prepare(
    root: Path, notebook: str | None, grid: list[str], parameter: list[str], draw: int | None, seed: int, yes: bool
) -> tuple[Path, str, list[Point], list[str]]:
    """Check everything that was asked for before there is a folder; return what `sweep_plan.start` takes after it."""
    from course_runner.batch.job import read_notebook
    from course_runner.cli.common import read_parameters
    from course_runner.sweep import plan as sweep_plan

    if notebook is None:
        raise CourseError("Which notebook? For example: course sweep 11 --grid seed=1,2,3 --metric test_roc_auc")
    title, path = _find(root, notebook)
    values = sweep_plan.parse_grid(grid)
    points = sweep_plan.plan(read_notebook(path), title, values, read_parameters(parameter), draw, seed, yes)
    return path, title, points, list(values)


def _cluster(address: str) -> AbstractContextManager[Any]:
    from course_runner.batch import cluster

    return cluster.connect(address)


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM stop a sweep as Ctrl-C does."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _find(root: Path, notebook: str) -> tuple[str, Path]:
    """Return the name to show and the file of one notebook; a number means the lecture, not its homework."""
    from course_runner.cli.common import find_notebooks

    found = find_notebooks(root, [notebook])
    lectures = {label: path for label, path in found.items() if label.startswith("notebooks/")}
    found = lectures or found
    if len(found) != 1:
        names = ", ".join(list(found)[:3])
        raise CourseError(f"{notebook!r} names {len(found)} notebooks ({names} …); a sweep runs one. Name one of them.")
    label, path = next(iter(found.items()))
    if label.startswith("other/"):
        label = str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
    return label, path


def _note_change(root: Path, sweep: Sweep) -> None:
    """Say when the notebook differs from what the sweep runs."""
    import nbformat

    from course_runner.batch import provenance
    from course_runner.batch.job import read_notebook

    try:
        _, path = _find(root, sweep.title)
        now = provenance.notebook_hash(read_notebook(path))
    except CourseError:
        return  # it has moved; the sweep has a copy
    if now != provenance.notebook_hash(nbformat.reads(sweep.notebook, as_version=4)):
        typer.echo(
            f"{sweep.title} has changed since this sweep began; the rest runs the text of then, so that all points "
            "compare. To sweep the new text, start again in another folder.",
            err=True,
        )


def _show(report: Report, metric: str | None, minimize: bool) -> None:
    """Print table, failures, figure and the best point's command; exit with 0 only when every point is done."""
    from course_runner.batch.console import show_failures
    from course_runner.batch.parameters import BadParameter
    from course_runner.sweep import report as sweep_report
    from course_runner.sweep.record import EXPERIMENT

    folder = report.sweep.folder
    trouble = ""
    try:
        chosen = sweep_report.choose_metric(report.whole, metric)
    except BadParameter as error:
        chosen, trouble = None, str(error)
    table = sweep_report.frame(report, chosen, minimize)
    figure = sweep_report.draw(report, table, chosen, minimize) if chosen else None
    sweep_report.keep(report, table, chosen, minimize)
    _table(report, table, chosen)
    show_failures([r.outcome for r in report.results if r.outcome.status != "interrupted"])
    where = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    typer.echo(f"all points: {where / sweep_report.TABLE}")
    if figure:
        typer.echo(f"figure: {where / figure[0].name}\n  {figure[1]}")
    own = report.sweep.uri.endswith(f"{folder}/mlflow.db")
    home = command("course", "ui", "--home", where) if own else report.sweep.uri
    typer.echo(f"its runs in the UI, experiment {EXPERIMENT}: {home}")
    again = command("course", "sweep", "--resume", "-o", where)
    if chosen and report.whole:
        best = report.sweep.points[[p.name for p in report.sweep.points].index(table["point"][0])]
        value = table[sweep_report.metric_column(report, chosen)][0]
        lost = table["point"][table["error"].str.endswith(sweep_report.DIVERGED) & (table["status"] == "ok")].tolist()
        if lost:
            typer.echo(f"not ranked, {chosen} {sweep_report.DIVERGED}: {', '.join(lost)}")
        typer.echo(f"best {chosen}, {value:.6g}: {sweep_report.command(report.sweep.title, best.parameters)}")
    elif trouble:
        typer.echo(f"Error: {trouble} Rank without running again: {again} --metric NAME", err=True)
    elif report.whole:
        names = sorted({name for r in report.whole for name in r.metrics()})
        if names:
            typer.echo(
                f"Not ranked. The points have {', '.join(names)}. Rank by one: {again} {command('--metric', names[0])}"
            )
        else:
            typer.echo("Not ranked: the notebook logs no metric, and its last cell prints no JSON object with one.")
    if report.stopped:
        typer.echo(f"{report.stopped[:1].upper()}{report.stopped[1:]}. Continue with: {again}", err=True)
        raise typer.Exit(130 if report.interrupted else 1)
    if trouble or len(report.whole) < len(report.results):
        raise typer.Exit(1)


def _table(report: Report, table: pd.DataFrame, metric: str | None) -> None:
    """Print the first rows of the table, with as many metrics as fit."""
    from rich.table import Table

    from course_runner.batch.console import show
    from course_runner.sweep.report import metric_column

    ok = len(report.whole)
    column = metric_column(report, metric)
    first = ["point", *report.sweep.points[0].parameters, "seconds", "status", "error"]
    others = [c for c in table if c not in first and c != column]

    def shown(metrics: int) -> Table:
        columns = [*report.sweep.swept, *([column] if column else []), *others[:metrics], "seconds", "status"]
        shown = Table(title=f"{ok} of {len(report.results)} points done", title_justify="left")
        for name in columns:
            shown.add_column(name, justify="right" if table[name].dtype.kind in "if" else "left", overflow="fold")
        for _, row in table.head(SHOWN).iterrows():
            shown.add_row(*(_cell(row[name], name) for name in columns))
        return shown

    show(*map(shown, range(WIDE - bool(column), -1, -1)))
    if len(table) > SHOWN:
        typer.echo(f"… and {len(table) - SHOWN} more points")


def _cell(value: Any, name: str) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.1f}" if name == "seconds" else f"{value:.5g}"
    return str(value)
