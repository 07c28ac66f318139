"""The verb ``course workflow``: the eight steps of the lecture `full_workflow` without Jupyter."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from course_runner.workflow import OnStep, WorkflowConfig, WorkflowResult


#: Rows of the table that says how each column was read; all of them are in the run.
SHOWN = 60


def workflow_command(
    data: Annotated[
        str,
        typer.Option(
            "--data",
            help="synthetic, churn, breast_cancer, iris, wine, digits, diabetes, or a .csv or .parquet file of your own.",
        ),
    ] = "synthetic",
    target: Annotated[
        str | None, typer.Option("--target", help="Column to predict; a file needs it.", show_default=False)
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            metavar="TASK",
            help="binary (two classes), multiclass (more) or regression (an amount).",
            show_default="told from the target",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="logistic_regression (ridge for a regression) or random_forest.",
            show_default="the first",
        ),
    ] = None,
    scoring: Annotated[
        str | None,
        typer.Option(
            "--scoring",
            help="Score that the search maximises.",
            show_default="roc_auc, f1_macro or r2, by task",
        ),
    ] = None,
    polynomial: Annotated[
        bool, typer.Option("--polynomial", help="Add squares and products of the numeric columns.")
    ] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="At most 1,000 rows, 3 folds and 4 settings: a few seconds.")
    ] = False,
    positive: Annotated[
        str | None, typer.Option("--positive", help="Class of two to find.", show_default="the rarer one of a file")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option("--drop", help="Column to leave out; repeat for more.")] = None,
    category: Annotated[
        list[str] | None, typer.Option("--category", help="Column whose values are names, whatever they look like.")
    ] = None,
    numeric: Annotated[
        list[str] | None, typer.Option("--numeric", help="Column of numbers, even when they look like ids or codes.")
    ] = None,
    allow_leak: Annotated[
        list[str] | None, typer.Option("--allow-leak", help="Column that may predict the target in every row.")
    ] = None,
    drop_missing_target: Annotated[
        bool, typer.Option("--drop-missing-target", help="Leave out the rows that have no label.")
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="Name of the registered model.", show_default="TASK_MODEL_DATA, or calibrated_MODEL_DATA"
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same numbers.")] = 42,
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder for the files.", show_default="outputs/workflow")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler", metavar="ADDRESS", help="Send the fits of the search to the workers of this Dask scheduler."
        ),
    ] = None,
) -> None:
    """Run the eight-step workflow: from a table to a registered, tested model of two classes, of more, or of an amount.

    Example: [cyan]course workflow --data customers.csv --target churned[/cyan] leaves figures, tables and the model
    in outputs/workflow, and every setting it tried in the MLflow store.

    The target tells the task, and the report says which it was. Where few different numbers could be classes or amounts,
    nothing is guessed: [cyan]--task multiclass[/cyan] or [cyan]--task regression[/cyan] decides.

    For a file of your own it prints how each column was read. It stops when a column can be read in two ways, or when
    one column alone predicts the target; --drop, --category, --numeric and --allow-leak decide.
    """
    from course_runner.workflow import WorkflowConfig, run_workflow
    from course_utils import store

    size = {"n_rows": 1000, "folds": 3, "small": True} if fast else {}
    config = WorkflowConfig(
        data=data,
        target=target,
        task=task or "auto",
        model=model,
        scoring=scoring,
        polynomial=polynomial,
        seed=seed,
        output=output,
        positive=positive,
        drop=tuple(drop or ()),
        category=tuple(category or ()),
        numeric=tuple(numeric or ()),
        allow_leak=tuple(allow_leak or ()),
        drop_missing_target=drop_missing_target,
        name=name,
        **size,
    )
    config.check()
    with _searching(scheduler) as searching:
        store.connect()
        with _Bar() as on_step:
            result = run_workflow(config, on_step, searching)
    _record_origin(result, config)
    _report(result)


@contextlib.contextmanager
def _searching(scheduler: str | None) -> Iterator[Callable[[], AbstractContextManager[Any]]]:
    """Give the context of the search's fits: this process, or the cluster at an address."""
    if scheduler is None:
        yield contextlib.nullcontext
        return
    import joblib

    from course_runner.batch import cluster

    with cluster.connect(scheduler):
        yield lambda: joblib.parallel_config(backend="dask")


def _record_origin(result: WorkflowResult, config: WorkflowConfig) -> None:
    """Add to the run what `course verify` needs to execute it again."""
    from mlflow import MlflowClient

    from course_runner.batch import provenance

    root = Path(__file__).resolve().parents[2]
    tags = {**provenance.tags(root), provenance.VERB_TAG: "workflow"}
    if Path(config.data).is_file():
        tags |= {
            "course.data_file": str(Path(config.data).resolve()),
            **provenance.file_tags({"data": str(config.data)}),
        }
    client = MlflowClient()
    for name, value in tags.items():
        client.set_tag(result.run_id, name, value)
    client.log_dict(result.run_id, provenance.environment(), provenance.ENVIRONMENT)


class _Bar:
    """A progress bar over the steps on stderr; one plain line per step when nobody watches a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        from course_runner.workflow import STEPS

        self.console = Console(stderr=True)
        self.total = len(STEPS)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("", total=self.total)

    def __enter__(self) -> OnStep:
        self.bar.start()
        return self.show

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def show(self, number: int, title: str, seconds: float | None) -> None:
        """Show a step that begins, and one that has ended with its seconds."""
        if seconds is None:
            self.bar.update(self.task, description=title)
            return
        self.bar.update(self.task, completed=number)
        self.console.print(f"[{number}/{self.total}] {title}: {seconds:.1f} s", highlight=False, markup=False)


def _report_reading(result: WorkflowResult) -> None:
    """Print which class is to be found, and what each column of a file was taken for."""
    from rich.table import Table

    from course_runner.batch.console import show
    from course_utils.errors import printable

    split = result.split
    if split is None:
        return
    if split.columns:
        table = Table(title=f"How {printable(split.name)} was read", title_justify="left")
        for head in ("column", "read as", "missing", "note"):
            table.add_column(head, overflow="fold")
        for column in split.columns[:SHOWN]:
            table.add_row(printable(column.name), column.kind, str(column.missing or ""), printable(column.note))
        show(table)
        if len(split.columns) > SHOWN:
            typer.echo(f"… and {len(split.columns) - SHOWN} more columns; all are in columns.csv of the run.")
        for note in split.notes:
            typer.echo(printable(note))
    if split.columns or result.task != "binary":
        typer.echo(printable(split.told))
    if result.task != "binary":
        return
    other, positive = split.classes
    share = float(split.y_train.mean())
    typer.echo(
        printable(f"Class to find: {positive!r} ({share:.0%} of the rows); the other: {other!r}. --positive chooses.")
    )


def _two_classes(result: WorkflowResult) -> dict[str, str]:
    """Return the rows of the report that two classes have."""
    briers = ", ".join(f"{name} {row['brier']:.4f}" for name, row in result.calibration.iterrows())
    return {
        "Brier score, out of fold": f"{briers}; registered: {result.calibration_method}",
        "threshold, out of fold": f"{result.threshold:.3f}",
        "test ROC-AUC": f"{result.scores['roc_auc']:.3f}",
        "test PR-AUC": f"{result.scores['pr_auc']:.3f}",
        "test F1 at the threshold": f"{result.scores['f1']:.3f}",
        "F1 as the registered model answers": f"{result.served:.3f}",
    }


#: Scores of several classes and of amounts, as the report calls them.
WORDS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1_macro": "macro F1",
    "log_loss": "log loss",
    "roc_auc_ovr": "one-vs-rest ROC-AUC",
    "mae": "MAE",
    "rmse": "RMSE",
    "r2": "R²",
}


def _others(result: WorkflowResult) -> dict[str, str]:
    """Return the rows of the report that several classes and amounts have, the baseline among them."""
    from course_runner.workflow import KINDS
    from course_runner.workflow.panels import amount

    kind = KINDS[result.task]
    ranked, words, _ = kind.ranked
    runtime = result.runtime[f"cv_{ranked}"]

    def said(value: float) -> str:
        return amount(value) if result.task == "regression" else f"{value:.3f}"

    models = ", ".join(f"{name} {said(value)}" for name, value in runtime.drop("registered").items())
    return {
        f"{words}, out of fold": f"{models}; registered: {said(runtime['registered'])}",
        **{f"test {WORDS[name]}": said(value) for name, value in result.scores.items()},
        f"{WORDS[kind.main]} as the registered model answers": said(result.served),
    }


def _say_what_is_better(result: WorkflowResult) -> None:
    """Say when over the folds another model does better than the registered one, or when nothing was learned."""
    from course_runner.workflow import KINDS

    kind = KINDS[result.task]
    ranked, words, lower = kind.ranked
    scores = result.runtime[f"cv_{ranked}"] * (-1 if lower else 1)
    if result.task == "binary" or scores.drop("registered").max() <= scores["registered"]:
        return
    best = str(scores.idxmax())
    if best == kind.baseline:
        typer.echo(
            f"Nothing was learned: over the folds the baseline ({best.replace('_', ' ')}) has the better {words}. "
            "Look for columns that say more about the target."
        )
    else:
        typer.echo(f"Over the folds {best} has the better {words}, without a search: try --model {best}.")


def _report(result: WorkflowResult) -> None:
    """Print what was found, where the files are, and the command that shows the runs."""
    from rich.table import Table

    from course_runner.batch.console import show
    from course_utils import store

    _report_reading(result)
    table = Table(title=f"{result.run_name}: {result.model_name}, version {result.model_version}", title_justify="left")
    table.add_column("result")
    table.add_column("value", overflow="fold")
    settings = ", ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in result.best_params.items())
    registered = result.runtime.loc["registered"]
    rows = {
        "best setting": settings,
        "its score over the folds": f"{result.cv_score:.3f}"
        if abs(result.cv_score) < 100
        else f"{result.cv_score:,.0f}",
        **(_two_classes(result) if result.task == "binary" else _others(result)),
        "one row, registered model": f"{registered['one_row_ms']:.1f} ms ({registered['per_sample_ms']:.3f} ms in a batch)",
        "seconds": f"{sum(result.seconds.values()):.1f} s",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    show(table)
    _say_what_is_better(result)
    typer.echo(f"Files in {result.folder}:")
    for file in result.files:
        typer.echo(f"  {file.name}{'/' if file.is_dir() else ''}")
    typer.echo(f"See all runs: {store.ui_command()}")
