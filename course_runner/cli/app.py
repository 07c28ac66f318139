"""The ``course`` command: one thin function per verb."""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from course_runner.cli.common import (
    Cold,
    Jobs,
    Notebooks,
    find_notebooks,
    find_root,
    jobs_option,
    read_parameters,
    remove_when_empty,
    workers,
)
from course_runner.cli.grade import grade_command, release_command
from course_runner.cli.workflow import workflow_command
from course_utils._plumbing.places import UI_PORT, forget_stale
from course_utils.errors import CourseError, printable

#: What `main` has put aside, for `course doctor`.
_left_by_the_shell: dict[str, str] = {}

app = typer.Typer(
    name="course",
    help="Build, run and test the MLflow course. `course VERB --help` shows an example for each verb.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback()
def course() -> None:
    """Build, run and test the MLflow course."""


@app.command()
def build(
    notebooks: Notebooks = None,
    check: Annotated[
        bool, typer.Option("--check", help="Execute nothing; name what is stale and exit with 1.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Rebuild even what is up to date, and exercises that hold answers.")
    ] = False,
    jobs: Jobs = None,
    cold: Cold = False,
) -> None:
    """Build notebooks, solutions and exercises from [bold]source/[/bold].

    Example: [cyan]course build mlflow_basics[/cyan] executes that lecture and its homework when their text has changed.
    """
    from course_runner.batch.console import Ticker, show_failures
    from course_runner.build import build as builder
    from course_runner.build import contents
    from course_runner.build.source import pages, select

    root = find_root()
    everything = pages(root)
    chosen = select(everything, notebooks or [])
    if check:
        stale = builder.find_stale(chosen, everything)
        lines = [f"{item.page.label} {item.reason}" for item in stale]
        lines += [f"{path.relative_to(root)} does not match the lectures" for path in contents.stale_pages(root)]
        old = [path for path, step in builder.superseded(root).items() if step]
        lines += [f"{path.relative_to(root)} has a number that its step no longer has" for path in old]
        for line in lines:
            typer.echo(line)
        if lines:
            typer.echo(f"{len(lines)} stale, of {len(chosen)} notebooks. Run `course build` and commit the result.")
            raise typer.Exit(1)
        typer.echo(f"{len(chosen)} notebooks are what their sources build.")
        return
    stale = builder.find_stale(chosen, everything, force)
    with Ticker(sum(item.needs_run for item in stale), "Building") as ticker:
        built = builder.build(root, chosen, workers=workers(jobs), force=force, cold=cold, on_progress=ticker)
    for page in built.written:
        typer.echo(f"built {page.label}")
    for path in built.removed:
        typer.echo(f"removed {path.relative_to(root)}: its step has another number now, or is gone")
    for path in built.left:
        typer.echo(f"left {path.relative_to(root)} as it is: somebody has worked in it")
    for line in built.slow:
        typer.echo(line)
    for path in contents.write_pages(root):
        typer.echo(f"wrote {path.relative_to(root)}")
    show_failures(built.failed)
    done, failed = len(built.written), len(built.failed)
    left = sum(page.path in built.left for page in chosen)
    typer.echo(f"{done} built, {failed} failed, {len(chosen) - done - failed - left} up to date.")
    if failed:
        raise typer.Exit(1)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the step: lower-case words joined by _.")],
    after: Annotated[str, typer.Option(metavar="STEP", help="The step that it follows.")],
) -> None:
    """Make a new step, lecture and homework, that builds and passes; later steps get the next number.

    Example: [cyan]course new fair_models --after evaluation[/cyan]
    """
    from course_runner.build.new import make_step

    step = make_step(find_root(), name, after)
    typer.echo(f"made source/{name}/, step {step.number} of the series. Its text is an example: replace it with yours,")
    typer.echo(
        "in its five files and in its last rows of source/topics.csv. source/WRITING.md says what each must hold: for"
    )
    typer.echo("example three to five quiz questions, and one task or more with a stretch. While you write:")
    typer.echo(f"  course build {name}")
    typer.echo(f"  course test --claims {name}")
    typer.echo("At the end:")
    typer.echo("  course build    # gives later notebooks their new numbers")
    typer.echo("  python -m tests.submissions.table")
    typer.echo(f"  course test tests/unit/test_content.py tests/unit/test_homework.py -k {name}")
    typer.echo(
        f"Not wanted? Delete source/{name}/, its line in source/course.toml and its rows in topics.csv; then as at the end."
    )


@app.command()
def run(
    context: typer.Context,
    notebooks: Notebooks = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "-p", "--parameter", metavar="NAME VALUE", help="Value of a papermill parameter; repeat for more."
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        jobs_option("cores + 1", "Notebooks at once; one more than cores, because some wait for a server."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the batch (default: runs/TIME).")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the newest batch, or the one in --output.")
    ] = False,
    cell_timeout: Annotated[
        int | None, typer.Option(min=1, show_default="120", help="Seconds that one cell may take.")
    ] = None,
    timeout: Annotated[
        int | None, typer.Option(min=1, show_default="600", help="Seconds that one notebook may take.")
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(min=1, metavar="GB", show_default="8", help="Memory that one kernel may use (Linux)."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Machine-readable: one JSON object per line on stdout.")
    ] = False,
    cold: Cold = False,
) -> None:
    """Run lectures and solutions as one papermill batch, several at once, with a report.

    Example: [cyan]course run 03 11 -p n_rows 500 -j 2[/cyan]

    A failing notebook does not stop the others. Ctrl-C stops the notebooks that are running, keeps the finished ones and
    says how to continue; a second Ctrl-C stops at once. Exit codes: 0 all passed, 1 some failed, 2 wrong arguments or
    nowhere to write, 130 stopped.

    With --json, each line of stdout is an [bold]event[/bold]: [bold]batch[/bold] (folder, notebooks, workers), then for
    each notebook [bold]start[/bold] (name), [bold]cell[/bold] (name, cell, cells) and [bold]outcome[/bold] (name, status,
    seconds, cell, error, output, note), and finally [bold]end[/bold] (ok, failed, interrupted, report, problem).
    """
    from course_runner.kernels.warm import soon_warm

    root = find_root()
    context.with_resource(soon_warm(root, cold))  # before our own imports, which take as long
    from course_runner.batch import batch as batches
    from course_runner.batch.console import JsonLines, Ticker, show_failures, show_outcomes

    parameters = read_parameters(parameter or [])
    if resume:
        folder = output.absolute() if output else batches.latest_folder(root)
        if notebooks or parameters:
            raise CourseError("--resume takes notebooks and parameters from the batch itself; leave them out.")
        job = batches.load(folder)
    else:
        chosen = find_notebooks(root, notebooks or [])
        folder = output.absolute() if output else batches.new_folder(root)
        job = batches.Batch(folder, chosen, parameters)
        context.call_on_close(lambda: remove_when_empty(folder))
    job.cell_timeout, job.notebook_timeout = cell_timeout or job.cell_timeout, timeout or job.notebook_timeout
    job.memory_limit = int(memory * 2**30) if memory else job.memory_limit
    count = len(batches.to_run(job, resume))
    lines = JsonLines(count) if as_json else None
    problem, at_once = "", workers(jobs, more=1)
    with lines or Ticker(count, "Running") as shown_progress:
        if lines:
            lines.write("batch", folder=str(folder), notebooks=count, workers=at_once)
        try:
            outcomes = batches.run(job, root, workers=at_once, resume=resume, cold=cold, on_progress=shown_progress)
        except batches.Unreported as error:
            outcomes, problem = error.outcomes, str(error)
    failed = batches.failed(outcomes)
    interrupted = [o for o in failed if o.status == "interrupted"]
    if lines:
        for outcome in interrupted:
            if outcome.error == "not started":
                lines.outcome(outcome)
        counts = {"ok": len(outcomes) - len(failed), "failed": len(failed) - len(interrupted)}
        report = folder / "index.html"
        lines.write("end", **counts, interrupted=len(interrupted), report=str(report), problem=problem)
    else:
        show_outcomes(outcomes)
        show_failures(failed)
        shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
        if not problem:
            typer.echo(f"report: {printable(shown / 'index.html')}")
            typer.echo(f"its runs in the UI: {job.ui(shown)}")
    if problem:
        raise CourseError(problem)
    if interrupted:
        typer.echo(f"Stopped. Continue with: {job.go_on}", err=True)
        raise typer.Exit(130)
    if failed:
        raise typer.Exit(1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(
    context: typer.Context,
    claims: Annotated[
        bool,
        typer.Option("--claims", help="Only test what lectures claim: further seeds, each change that they suggest."),
    ] = False,
    jobs: Jobs = None,
) -> None:
    """Run every test and compare every notebook's outputs with a fresh run; further arguments go to pytest.

    Example: [cyan]course test notebooks/05_mlflow_basics.ipynb[/cyan] compares one lecture,
    [cyan]course test --claims mlflow_basics[/cyan] tests the claims of one lecture (without a name: of all).
    """
    from course_runner.compare import proof

    root = find_root()
    words = proof.claims(root, context.args) if claims else context.args
    raise typer.Exit(proof.run_tests(root, words, workers(jobs)))


@app.command()
def ui(
    home: Annotated[Path | None, typer.Option(help="Folder of another store, for example that of a batch.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="First port to try.")] = UI_PORT,
) -> None:
    """Open the MLflow UI on the course store, on this machine only; Ctrl-C stops it.

    Example: [cyan]course ui --home runs/2026-11-21_101500[/cyan]
    """
    from course_runner.lab.ui import serve_ui

    raise typer.Exit(serve_ui(home, port))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=1, max=65535, help="First port to try.")] = 8888,
) -> None:
    """Open JupyterLab on lecture 00, with the MLflow UI in its launcher; further arguments go to JupyterLab.

    Example: [cyan]course lab --no-browser[/cyan]
    """
    from course_runner.lab.lab import serve_lab

    raise typer.Exit(serve_lab(find_root(), context.args, port))


@app.command()
def doctor() -> None:
    """Check this machine: one line each for Python, packages, kernel, store, port and notebooks.

    Example: [cyan]course doctor[/cyan]
    """
    from course_runner.doctor import examine

    findings = examine(find_root(), _left_by_the_shell)
    for finding in findings:
        typer.echo(f"{'OK  ' if finding.ok else 'FAIL'} {finding.what}: {finding.detail}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@app.command()
def progress() -> None:
    """Show your homework: attempts, hints and points of each task you have tried.

    Example: [cyan]course progress[/cyan]
    """
    from course_runner.progress import progress_table

    typer.echo(progress_table())


app.command("grade")(grade_command)
app.command("release")(release_command)
app.command("workflow")(workflow_command)
for _room in ("sweep", "verify", "classroom"):  # rooms that may be deleted bring their verbs themselves
    if (Path(__file__).parents[1] / _room / "verbs.py").is_file():
        app.add_typer(importlib.import_module(f"course_runner.{_room}.verbs").app)


def _join_parameters(words: list[str]) -> list[str]:
    """Turn ``-p NAME VALUE`` into ``-p NAME=VALUE``."""
    joined, rest = [], list(words)
    while rest:
        word = rest.pop(0)
        joined.append(word)
        if word in ("-p", "--parameter") and len(rest) >= 2 and "=" not in rest[0]:
            joined.append(f"{rest.pop(0)}={rest.pop(0)}")
    return joined


def _open_streams() -> None:
    """Open standard streams that are closed on the null device: the next file to be opened would get their number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


def main() -> None:
    """Run the command; a user's mistake is one message on stderr and exit code 2."""
    _open_streams()
    _left_by_the_shell.update(forget_stale())
    warnings.filterwarnings("ignore", module="nbformat")  # cells with the same id get others when they are read
    words = sys.argv[1:]
    try:
        try:
            app(args=_join_parameters(words) if words[:1] in (["run"], ["sweep"]) else words)
        finally:
            sys.stdout.flush()
    except CourseError as error:
        # A message may quote the name of a stranger's file.
        typer.echo("Error: " + "\n".join(map(printable, str(error).split("\n"))), err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        sys.exit(130)
    except OSError as error:
        if not _is_of_stdout(error):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python complains once more as it ends
        with contextlib.suppress(OSError):
            typer.echo(f"Error: what the command shows cannot be written: {error.strerror}.", err=True)
        sys.exit(2)
    finally:
        gc.freeze()  # or Python would look through all modules as it ends: half a second once MLflow is among them


def _is_of_stdout(error: OSError) -> bool:
    """Tell whether an error came from writing to the standard output, as far as one can see: it still does."""
    if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EBADF):
        return False
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        return True
    return False


if __name__ == "__main__":
    main()
