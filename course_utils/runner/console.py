"""What the runner shows on a terminal: a bar while it works, a table of what failed."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .execute import Outcome
from .pool import Progress as WorkerState


class Ticker:
    """A progress bar with the cell each worker is at; one plain line per notebook when nobody watches a terminal."""

    def __init__(self, total: int, verb: str) -> None:
        self.console = Console(stderr=True)
        self.total, self.verb, self.done = total, verb, 0
        self._last = 0.0
        # No refresh thread: the worker processes are forked from this one.
        self._bar = Progress(
            TextColumn(f"{verb} {{task.description}}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            auto_refresh=False,
            transient=True,
        )
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Ticker:
        if self.total and self.console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.total and self.console.is_terminal:
            self._bar.stop()

    def __call__(self, workers: list[WorkerState], outcome: Outcome | None) -> None:
        """Show the workers' states, and a notebook that has just ended."""
        if outcome is not None:
            self.done += 1
            line = f"[{self.done}/{self.total}] {outcome.name} {outcome.status} {outcome.seconds:.1f} s"
            if not self.console.is_terminal:
                self.console.print(line, highlight=False, markup=False)
        if self.console.is_terminal and (outcome is not None or time.monotonic() - self._last > 0.2):
            self._last = time.monotonic()
            text = "  ".join(f"{w.name} {w.cell}/{w.total}" for w in workers)
            self._bar.update(self._task, completed=self.done, description=text)
            self._bar.refresh()


def failures_table(outcomes: list[Outcome]) -> None:
    """Print what failed: notebook, status, cell, error, and where the partial output is."""
    failed = [o for o in outcomes if not o.ok]
    if not failed:
        return
    console = Console(stderr=True)
    table = Table(title=f"{len(failed)} failed", show_lines=True)
    for column in ("notebook", "status", "cell", "error", "output so far"):
        table.add_column(column, overflow="fold")
    for o in failed:
        table.add_row(o.name, o.status, str(o.cell or ""), o.error, o.output)
    console.print(table, markup=False)


def outcome_table(outcomes: list[Outcome]) -> None:
    """Print one row per notebook and a sum."""
    console = Console()
    table = Table(title=f"{sum(o.ok for o in outcomes)} of {len(outcomes)} notebooks whole")
    for column in ("notebook", "status", "seconds"):
        table.add_column(column, justify="right" if column == "seconds" else "left", overflow="fold")
    for o in outcomes:
        table.add_row(o.name, o.status, f"{o.seconds:.1f}" if o.seconds or not o.ok else "whole before")
    console.print(table)
