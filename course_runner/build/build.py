"""Build notebooks from their sources: only what changed, the same bytes from the same text."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_runner.batch import pool
from course_runner.batch.job import BadNotebook, Job, Outcome, read_notebook
from course_runner.build import outputs
from course_runner.build.origin import changed, origin
from course_runner.build.source import KINDS, Page, make_notebook, pages
from course_runner.kernels.sockets import scratch_parent
from course_utils._plumbing import files
from course_utils._plumbing.steps import steps
from course_utils.errors import CourseError

#: Prefix of every scratch folder; the masks know it.
SCRATCH = "mlflow-course-"
TIMES = Path(".course") / "times.json"
#: Seconds that a lecture, and one cell of it, should stay under.
LECTURE_SECONDS, CELL_SECONDS = 30, 10


@dataclass
class Stale:
    """A notebook that is not what its source builds, and why.

    ``outputs_from`` is the notebook on disk when its code is the same and its outputs are the build's own; ``origin`` is
    what the outputs depend on as it was when this was found, so that an edit during the build is not taken for built.
    ``answers`` tells that somebody has done this exercise: the build leaves it as it is.
    """

    page: Page
    reason: str
    nb: NotebookNode
    outputs_from: NotebookNode | None = None
    origin: dict[str, str] = field(default_factory=dict)
    answers: bool = False

    @property
    def needs_run(self) -> bool:
        """Whether the code must be executed; a change of text alone keeps the outputs."""
        return self.page.executed and self.outputs_from is None


@dataclass
class Built:
    """What a build did.

    Attributes
    ----------
    written
        The pages that were written.
    failed
        The notebooks that did not execute, or whose outputs a learner must not see; their files are left as they were.
    removed
        Notebooks of an earlier order of the steps; nobody had changed them.
    left
        Notebooks that somebody has worked in: exercises with answers, and changed ones of an earlier order.
    slow
        One sentence for each lecture that takes longer than a learner waits.
    """

    written: list[Page] = field(default_factory=list)
    failed: list[Outcome] = field(default_factory=list)
    removed: list[Path] = field(default_factory=list)
    left: list[Path] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)


def _code(nb: NotebookNode) -> list[tuple]:
    return [
        (c.id, c.cell_type, c.source, tuple(c.metadata.get("tags", [])), c.metadata.get("jupyter")) for c in nb.cells
    ]


def _same_code(nb: NotebookNode, old: NotebookNode) -> bool:
    """Tell whether two notebooks have the same code cells in the same order."""
    code, before = (
        [(c.source, tuple(c.metadata.get("tags", []))) for c in book.cells if c.cell_type == "code"]
        for book in (nb, old)
    )
    return code == before


def _untouched(nb: NotebookNode) -> bool:
    """Tell whether the outputs are those that the build wrote."""
    return nb.metadata.get("course", {}).get("outputs") == outputs.fingerprint(nb)


def _cells(nb: NotebookNode) -> str:
    """Return a digest of all cells, by which the build knows a notebook as its own."""
    return hashlib.sha256(json.dumps([[c.cell_type, c.source] for c in nb.cells]).encode()).hexdigest()[:16]


def _worked_in(nb: NotebookNode) -> bool:
    """Tell whether somebody has written or run something in a notebook that a build wrote."""
    course = nb.metadata.get("course", {})
    ran = any(cell.get("outputs") or cell.get("execution_count") for cell in nb.cells)
    outputs_changed = not _untouched(nb) if "outputs" in course else ran
    return outputs_changed or course.get("cells", _cells(nb)) != _cells(nb)


def built_from(nb: NotebookNode) -> dict[str, str]:
    """Return the origin that the build stored in a notebook; empty when it stored none."""
    return dict(nb.metadata.get("course", {}).get("built_from", {}))


def _with_outputs(nb: NotebookNode, old: NotebookNode) -> NotebookNode:
    """Return `nb` with the outputs of the same code in `old`."""
    result = nbformat.from_dict(nb)
    cells = [[c for c in book.cells if c.cell_type == "code"] for book in (result, old)]
    for cell, before in zip(*cells, strict=True):
        cell.outputs, cell.execution_count = before.outputs, before.execution_count
    return result


def stored(page: Page) -> NotebookNode | None:
    """Return the notebook on disk, or None when it is missing or unreadable."""
    try:
        nb = read_notebook(page.path)
        _code(nb), _untouched(nb)  # a valid file may still have no cell ids, or metadata of another shape
    except Exception:  # any error: it is not what the build wrote
        return None
    return nb


def superseded(root: Path) -> dict[Path, str]:
    """Return file → step of the notebooks whose name has a number that the step no longer has; "" for no step."""
    now = {step.stem: step.name for step in steps(root)}
    found = {}
    for path in (path for kind in KINDS for path in sorted((root / kind).glob("[0-9][0-9]_*.ipynb"))):
        name = path.stem[3:]
        if path.stem not in now:
            found[path] = name if name in now.values() else ""
    return found


def _earlier(page: Page) -> Page | None:
    """Return the page as it was called before its step got another number; None when no such file is there."""
    for path, step in superseded(page.root).items():
        if step == page.step.name and path.parent.name == page.kind:
            return replace(page, step=replace(page.step, number=path.stem[:2]))
    return None


def _tidy(root: Path, built: Built) -> None:
    """Remove what the build wrote under an earlier order of the steps, when its successor is there and it is untouched."""
    current = {step.name: step.stem for step in steps(root)}
    for path, step in superseded(root).items():
        try:
            nb = read_notebook(path)
        except BadNotebook:
            continue
        known = "cells" in nb.metadata.get("course", {})
        if not step and not known:
            continue  # a notebook of somebody's own
        if not known or _worked_in(nb):
            built.left.append(path)
        elif not step or path.with_name(f"{current[step]}.ipynb").exists():
            path.unlink()
            built.removed.append(path)


def find_stale(chosen: list[Page], all_pages: list[Page], force: bool = False) -> list[Stale]:
    """Return the pages whose notebook is not what the source says, without executing anything."""
    stale = []
    for page in chosen:
        nb, old = make_notebook(page, all_pages), stored(page)
        missing = not page.path.exists()
        if missing and (earlier := _earlier(page)):
            old = stored(earlier)  # renumbered: its outputs are still good when nothing else has changed
        answers = page.kind == "exercises" and not missing and old is not None and _worked_in(old)
        now = origin(page, nb) if page.executed else {}
        reason = ""
        if missing:
            reason = "is missing"
        elif old is None:
            reason = "is not a readable notebook"
        elif answers:
            reason = "holds answers"
        elif _code(nb) != _code(old):
            reason = f"differs from {page.source.relative_to(page.root)}"
        elif page.executed and not _untouched(old):
            reason = "has outputs that the build did not write"
        elif page.executed and (what := changed(built_from(old), now)):
            reason = f"was built before {what} changed"
        elif force:
            reason = "is built again"
        elif render(page, old if page.executed else nb, now) != page.path.read_text(encoding="utf8"):
            reason = "is not written as the build writes it"
        if reason:
            keep = (
                not force
                and old is not None
                and page.executed
                and _same_code(nb, old)
                and _untouched(old)
                and built_from(old) == now
            )
            stale.append(Stale(page, reason, nb, old if keep else None, now, answers))
    return stale


def render(page: Page, nb: NotebookNode, built_from: dict[str, str]) -> str:
    """Return the text of the notebook file; `built_from` is what its outputs were made from."""
    nb = nbformat.from_dict(nb)
    nb.metadata["course"] = {"cells": _cells(nb)}
    if page.executed:
        nb.metadata["course"] |= {"built_from": built_from, "outputs": outputs.fingerprint(nb)}
    return nbformat.writes(nb, indent=1) + "\n"


def clean(nb: NotebookNode, plain: NotebookNode, old: NotebookNode | None) -> NotebookNode:
    """Return the executed notebook as it is stored: our metadata, masked outputs, counts from 1."""
    before = {cell.id: cell for cell in old.cells} if old is not None else {}
    executed = {cell.id: cell for cell in nb.cells}
    result = nbformat.from_dict(plain)
    count = 0
    for cell in result.cells:
        if cell.cell_type != "code":
            continue
        cell.outputs = outputs.normalize(executed[cell.id].outputs)
        if cell.source.strip():
            count += 1
            cell.execution_count = count
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = cell.execution_count
        outputs.keep_measured(cell, before.get(cell.id))
    return result


def make_job(page: Page, folder: Path, nb: NotebookNode | None = None) -> Job:
    """Return a job for a page in a home of its own below `folder`: an empty store, nothing from other notebooks."""
    home = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=folder))
    source = page.path
    if nb is not None:
        source = home / "source.ipynb"
        source.write_text(nbformat.writes(nb), encoding="utf8")
    cwd = home / page.kind
    return Job(page.label, source, home / "executed.ipynb", home, cwd)


def build(
    root: Path,
    chosen: list[Page],
    *,
    workers: int,
    force: bool = False,
    cold: bool = False,
    on_progress: pool.OnProgress | None = None,
) -> Built:
    """Build what is stale among the chosen pages; an exercise that holds answers is replaced with `force` only.

    Raises
    ------
    CourseError
        When the quiz of a lecture that must be executed is not JSON. Nothing has been written then.
    """
    everything = pages(root)
    stale = find_stale(chosen, everything, force)
    built = Built(left=[item.page.path for item in stale if item.answers and not force])
    stale = [item for item in stale if item.page.path not in built.left]
    _read_quizzes(stale)
    for item in stale:
        if not item.needs_run:
            _write(item, _with_outputs(item.nb, item.outputs_from) if item.outputs_from else item.nb)
            built.written.append(item.page)
    to_run = {item.page.label: item for item in stale if item.needs_run}
    if to_run:
        folder = Path(tempfile.mkdtemp(prefix=f"{SCRATCH}build-", dir=scratch_parent()))
        try:
            jobs = [make_job(item.page, folder, item.nb) for item in to_run.values()]
            jobs = pool.longest_first(jobs, pool.load_times(root / TIMES))
            results = pool.run_jobs(jobs, workers, on_progress, root=root, cold=cold, scratch=folder)
            for outcome, nb in results:
                item = to_run[outcome.name]
                if outcome.ok:
                    final = clean(nb, item.nb, stored(item.page))
                    if problems := outputs.objections(final):
                        outcome.status, outcome.error = "failed", "; ".join(problems)
                    else:
                        _write(item, final)
                        built.written.append(item.page)
                        built.slow += _slow(item.page, outcome, nb)
                if not outcome.ok:
                    outcome.output = _keep_partial(root, item.page, outcome)
                    built.failed.append(outcome)
            pool.save_times(root / TIMES, [outcome for outcome, _ in results])
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    _tidy(root, built)
    return built


def _read_quizzes(stale: list[Stale]) -> None:
    """Refuse a quiz that is not JSON: the lecture's own error would name a cell, and not the file that is wrong."""
    for page in (item.page for item in stale if item.needs_run and item.page.kind == "notebooks"):
        file = page.source.with_name("quiz.json")
        try:
            json.loads(file.read_text(encoding="utf8") if file.is_file() else "{}")
        except json.JSONDecodeError as error:
            raise CourseError(
                f"{file.relative_to(page.root)} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}. "
                "Nothing was built. Correct it, and build again."
            ) from error


def _slow(page: Page, outcome: Outcome, nb: NotebookNode) -> list[str]:
    """Say what of a lecture takes too long for a learner; other programs slow this down, so it is not an error."""
    if page.kind != "notebooks":
        return []
    found = []
    if outcome.seconds > LECTURE_SECONDS:
        found.append(f"{page.step.name} took {outcome.seconds:.0f} s; a lecture should stay under {LECTURE_SECONDS} s.")
    for cell in nb.cells:
        seconds = cell.metadata.get("papermill", {}).get("duration") or 0
        if cell.cell_type == "code" and seconds > CELL_SECONDS:
            first = cell.source.partition("\n")[0][:40]
            found.append(f"{page.step.name}: the cell “{first}” took {seconds:.0f} s; {CELL_SECONDS} s is the limit.")
    return found


def _write(item: Stale, nb: NotebookNode) -> None:
    files.write(item.page.path, render(item.page, nb, item.origin), "The old file is untouched.")


def _keep_partial(root: Path, page: Page, outcome: Outcome) -> str:
    """Keep what a failed notebook printed where the author can open it."""
    source = Path(outcome.output) if outcome.output else None
    if source is None or not source.is_file():
        return ""
    target = root / ".course" / "failed" / page.kind / page.path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return str(target.relative_to(root))
