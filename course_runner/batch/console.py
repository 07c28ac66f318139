"""What the runner shows: a bar on a terminal, plain lines elsewhere, JSON for machines, tables at the end."""

from __future__ import annotations

import json
import re
import sys
import time
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from course_runner.batch.job import Outcome
from course_runner.batch.pool import Progress as WorkerState
from course_utils.errors import printable


def _short(label: str) -> str:
    """Return ``solutions/03`` for ``solutions/03_mlflow_basics.ipynb``; other names without their ending."""
    label = label.removesuffix(".ipynb")
    return re.sub(r"^(\w+/\d\d)_.*", r"\1", label)


class Ticker:
    """A progress bar with the cell each worker is at; one plain line per notebook when nobody watches a terminal.

    Parameters
    ----------
    total
        How many notebooks run.
    verb
        What happens to them, for example ``Running``.
    """

    def __init__(self, total: int, verb: str) -> None:
        self.console = Console(stderr=True)
        self.total, self.verb, self.done = total, verb, 0
        self._last = 0.0
        # No refresh thread: the worker processes are forked from this one.
        self._bar = Progress(
            TextColumn(verb),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
            auto_refresh=False,
            speed_estimate_period=600,  # seconds: a notebook may take as long
        )
        self._task = self._bar.add_task("", total=total)
        self._workers = Text("loading the libraries", no_wrap=True, overflow="ellipsis")
        self._live = Live(Group(self._bar, self._workers), console=self.console, auto_refresh=False, transient=True)

    def __enter__(self) -> Ticker:
        if self.total and self.console.is_terminal:
            self._live.start(refresh=True)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.total and self.console.is_terminal:
            self._live.stop()

    def __call__(self, workers: list[WorkerState], outcome: Outcome | None) -> None:
        """Show the workers' states, and a notebook that has just ended."""
        if outcome is not None:
            self.done += 1
            line = f"[{self.done}/{self.total}] {printable(outcome.name)} {outcome.status} {outcome.seconds:.1f} s"
            if not self.console.is_terminal:
                self.console.print(line, highlight=False, markup=False, soft_wrap=True)
        if self.console.is_terminal and (outcome is not None or time.monotonic() - self._last > 0.2):
            self._last = time.monotonic()
            begun = sum(w.cell / w.total for w in workers if w.total)
            self._bar.update(self._task, completed=self.done + begun)
            texts = [f"{_short(w.name)} {f'cell {w.cell}/{w.total}' if w.cell else 'starting'}" for w in workers]
            self._workers.plain = printable("  ".join(texts))
            self._live.refresh()


class JsonLines:
    """One JSON object a line on stdout: ``batch``, then ``start``, ``cell`` and ``outcome`` of each notebook, ``end``."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self._at: dict[str, WorkerState] = {}

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    @staticmethod
    def write(event: str, **values: Any) -> None:
        """Write one line."""
        print(json.dumps({"event": event, **values}), flush=True)

    def __call__(self, workers: list[WorkerState], outcome: Outcome | None) -> None:
        """Write what has changed."""
        for worker in workers:
            if worker.name not in self._at:
                self.write("start", name=worker.name)
            if worker.cell and self._at.get(worker.name) != worker:
                self.write("cell", name=worker.name, cell=worker.cell, cells=worker.total)
            self._at[worker.name] = worker
        if outcome is not None:
            self.outcome(outcome)

    def outcome(self, outcome: Outcome) -> None:
        """Write how one notebook went."""
        self.done += 1
        self.write("outcome", **outcome.as_dict(), done=self.done, notebooks=self.total)


def failures_table(outcomes: list[Outcome]) -> None:
    """Print what failed: notebook, status, cell, error, and where the partial output is."""
    failed = [o for o in outcomes if not o.ok]
    if not failed:
        return
    table = Table(title=f"{len(failed)} failed", show_lines=True)
    for column in ("notebook", "status", "cell", "error", "output so far"):
        table.add_column(column, overflow="fold")
    for o in failed:
        table.add_row(*map(_plain, (o.name, o.status, str(o.cell or ""), o.error, o.output)))
    _console(sys.stderr).print(table)


def outcome_table(outcomes: list[Outcome]) -> None:
    """Print one row per notebook and a sum; a note says what a notebook left behind."""
    table = Table(title=f"{sum(o.ok for o in outcomes)} of {len(outcomes)} notebooks passed")
    notes = any(o.note for o in outcomes)
    for column in ("notebook", "status", "seconds", *(["note"] if notes else [])):
        table.add_column(column, justify="right" if column == "seconds" else "left", overflow="fold")
    for o in outcomes:
        seconds = f"{o.seconds:.1f}" if o.seconds or not o.ok else "done before"
        table.add_row(_plain(o.name), o.status, seconds, *([_plain(o.note)] if notes else []))
    _console(sys.stdout).print(table)


def _plain(text: str) -> str:
    """Return a notebook's text without markup of Rich, and without control characters, which a terminal would obey."""
    from rich.markup import escape

    return escape(printable(" ".join(text.splitlines())))


def _console(stream: Any) -> Console:
    """Return a console that does not cut tables to 80 columns when nobody looks."""
    return Console(file=stream, width=None if stream.isatty() else 160)
