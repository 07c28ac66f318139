"""What the runner shows: a bar on a terminal, plain lines elsewhere, JSON for machines, tables at the end."""

from __future__ import annotations

import json
import re
import sys
import textwrap
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.cells import cell_len
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


def show_failures(outcomes: list[Outcome]) -> None:
    """Print what failed, in which cell and why; the path of the partial output has a line of its own, to be copied."""
    failed = [o for o in outcomes if not o.ok]
    console = _console(sys.stderr)
    if failed:
        console.print(f"{len(failed)} failed", style="bold", highlight=False)
    for o in failed:
        lines = [f"{_plain(o.name)}: {o.status}{f' in cell {o.cell}' if o.cell else ''}"]
        lines += textwrap.wrap(_plain(o.error), console.width - 2, break_long_words=False, break_on_hyphens=False)
        if o.output:
            file = Path(o.output)
            lines.append(_plain(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file))
        console.print("\n  ".join(lines), markup=False, highlight=False, soft_wrap=True)


def show_outcomes(outcomes: list[Outcome]) -> None:
    """Print one row per notebook and a sum, then what notebooks left behind."""
    table = Table(title=f"{sum(o.ok for o in outcomes)} of {len(outcomes)} notebooks passed")
    for column in ("notebook", "status", "seconds"):
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for o in outcomes:
        table.add_row(_plain(o.name), o.status, f"{o.seconds:.1f}" if o.seconds or not o.ok else "done before")
    show(table)
    for o in outcomes:
        if o.note:
            print(f"{_plain(o.name)}: {_plain(o.note)}")


def show(*tables: Table) -> None:
    """Print the first table that fits the terminal without a broken word, or the last one, even if it is too wide.

    Rich narrows the widest column first, whatever stands in it.
    """
    console = _console(sys.stdout)
    for table in tables:
        texts = [[str(text) for text in (column.header, *column.cells)] for column in table.columns]
        least = [max((cell_len(word) for text in column for word in text.split()), default=0) for column in texts]
        room = console.width - 3 * len(texts) - 1 - sum(least)
        if room >= 0:
            break
    console.width -= min(room, 0)
    for column, text, low in zip(table.columns, texts, least, strict=True):
        column.width = min(max(map(cell_len, text)), low + max(room, 0))
        room -= column.width - low
    console.print(table, markup=False, highlight=False)


def _plain(text: object) -> str:
    """Return a notebook's text in one line, without control characters, which a terminal would obey."""
    return printable(" ".join(str(text).splitlines()))


def _console(stream: Any) -> Console:
    """Return a console that does not cut tables to 80 columns when nobody looks."""
    return Console(file=stream, width=None if stream.isatty() else 160)
