"""Tell apart what was handed in: each file becomes a submission, or a line that says why not."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from course_runner.grade import names
from course_runner.grade.names import Content, Handed
from course_runner.grade.roster import Owners
from course_runner.grade.unpack import File, Skipped, Walk, shown, unreadable
from course_utils.errors import CourseError

_ARCHIVES = (".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz")
#: Endings that a browser or an editor gives to a notebook.
_MAYBE = ("", ".json", ".txt", ".download", ".text", ".jupyter", ".nb")


@dataclass(frozen=True)
class Submission:
    """What one learner handed in.

    Attributes
    ----------
    name
        Path below the submissions folder, without the notebook's ending; an archive counts as a folder.
    homework
        Two digits.
    notebook
        The notebook, or None when only a store was handed in.
    store
        A folder with ``mlflow.db`` (and ``outputs``, ``mlartifacts``), or None.
    handed
        Who handed it in, and when.
    flags
        What an instructor should know: ``our solution``, ``untouched`` and the like.
    code
        Source of each code cell.
    problem
        Why it is not run, although a homework and perhaps a learner are known.
    """

    name: str
    homework: str
    notebook: Path | None
    store: Path | None
    handed: Handed = Handed()
    flags: tuple[str, ...] = ()
    code: tuple[str, ...] = field(default=(), repr=False)
    problem: str = ""

    @property
    def path(self) -> Path:
        """The file that is judged."""
        return self.notebook if self.notebook is not None else self.store / "mlflow.db"

    def unreadable(self) -> str:
        """Return why the file is not read, or an empty string; a link or a pipe is not even opened."""
        return unreadable(self.path) or self.problem

    @property
    def sha256(self) -> str:
        """First 16 hex digits of the hash of what is judged; empty when it is not read."""
        return "" if self.unreadable() else hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]


@dataclass
class Inbox:
    """What a folder holds: submissions, and what is none."""

    submissions: list[Submission] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def find(folder: Path, homework: str | None, store_only: bool, scratch: Path, output: Path | None = None) -> Inbox:
    """Return what a folder, or a zip, holds.

    Parameters
    ----------
    folder
        Folder or zip with what was handed in.
    homework
        Number or name of the homework of those notebooks that do not tell theirs.
    store_only
        Each folder that holds an ``mlflow.db`` is a submission; notebooks only tell its homework.
    scratch
        Folder to unpack archives in; it must live as long as the submissions.
    output
        The table of an earlier call: it, and what stands beside it, was not handed in.

    Raises
    ------
    CourseError
        When the folder is missing or empty, or there is no homework of the name `homework`.
    """
    number = names.resolve(homework) if homework else None
    if homework and number is None:
        known = names.homeworks()
        raise CourseError(
            f"There is no homework {homework!r}; they are numbered from '{min(known)}' to '{max(known)}', or named, "
            "for example mlflow_basics."
        )
    walk = Walk(scratch, output)
    if folder.is_file() and zipfile.is_zipfile(folder):
        files = list(walk.archive(File(folder, ()), 1))
    elif folder.is_file():
        raise CourseError(f"{folder} is a file. Give the folder that holds it, and each submission in it gets a row.")
    elif not folder.is_dir():
        raise CourseError(f"There is no folder {folder}. Give the folder that holds the submissions.")
    else:
        files = list(walk.folder(File(folder, ()), 0))
    sorting = _Sorting(number, scratch, walk.skipped)
    box = sorting.stores(files) if store_only else sorting.notebooks(files)
    if not box.submissions and not any(s.weight == "look" for s in box.skipped):
        wanted = "mlflow.db" if store_only else ".ipynb file"
        raise CourseError(f"{folder} holds no {wanted}, so there is nothing to grade.")
    return box


@dataclass(frozen=True)
class Found:
    """A file that is, or should be, a notebook; `path` is what is run."""

    file: File
    path: Path
    content: Content = Content()
    problem: str = ""
    homeworks: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


class _Sorting:
    """Sorts the files of one call."""

    def __init__(self, number: str | None, scratch: Path, skipped: list[Skipped]) -> None:
        self.number, self.scratch, self.skipped = number, scratch, skipped

    def skip(self, file: File, why: str, weight: str = "look") -> None:
        self.skipped.append(Skipped(file.name, why, weight))

    def notebooks(self, files: list[File]) -> Inbox:
        """Return the notebooks as submissions."""
        found = [f for file in files if (f := self._notebook(file))]
        owners = Owners(found)
        submissions, taken, homes = [], set(), []
        for f in found:
            handed, home = owners.of(f)
            homes.append(home)
            name = re.sub(r"(?i)\.ipynb$", "", f.file.name)
            for number in f.homeworks:
                if (name, number) in taken:
                    name = f.file.name
                taken.add((name, number))
                submissions.append(Submission(name, number, f.path, None, handed, f.flags, f.content.code, f.problem))
        return Inbox(submissions, [self._weighed(s, homes) for s in self.skipped])

    def stores(self, files: list[File]) -> Inbox:
        """Return the folders with an ``mlflow.db`` as submissions; notebooks below them tell the homework."""
        found = [f for file in files if (f := self._notebook(file))]
        owners = Owners([])
        submissions, homes = [], []
        for file in files:
            if file.path.name != "mlflow.db":
                continue
            home = file.parts[:-1]
            below = [f for f in found if f.file.parts[: len(home)] == home]
            told = {n for f in below for n in f.homeworks if not f.flags} if self.number is None else {self.number}
            if not told:
                self.skip(file, "which homework is it? No notebook beside it says so: name it with --homework")
                continue
            for number in sorted(told):
                content = next((f.content for f in below), Content())
                handed, _ = owners.of(Found(file, file.path, content))
                name = shown("/".join(home)) or "."
                submissions.append(Submission(name, number, None, file.path.parent, handed))
            homes.append(home)
        for f in found:
            self.skip(f.file, "a notebook without its store; --store-only reads mlflow.db files only")
        # What lies beside a store belongs to it.
        beside = tuple("".join(f"{shown(part)}/" for part in home) for home in homes)
        kept = [s for s in self.skipped if s.weight == "leftover" or not s.name.startswith(beside)]
        return Inbox(submissions, [self._weighed(s, homes) for s in kept])

    @staticmethod
    def _weighed(skipped: Skipped, homes: list[tuple[str, ...]]) -> Skipped:
        """Return the line; what is beside the homework is only worth a look where its learner has no row at all."""
        place = tuple(skipped.name.split("/")[:-1])
        shown_homes = [tuple(shown(part) for part in home) for home in homes]
        covered = any(place[: len(h)] == h or h[: len(place)] == place for h in shown_homes)
        return replace(skipped, weight="look") if skipped.weight == "aside" and not covered else skipped

    def _notebook(self, file: File) -> Found | None:
        """Return a file that is meant as a notebook; note any other."""
        lower = file.path.name.lower()
        suffix = Path(lower).suffix
        meant = ".ipynb" in lower
        problem = unreadable(file.path)
        if not meant and suffix not in (*_MAYBE, ".py"):
            why = {".html": "a page made from a notebook, which cannot be run; ask for the .ipynb file"}
            why[".htm"] = why[".html"]
            why[".pdf"] = "a PDF, which cannot be run; ask for the .ipynb file"
            why |= dict.fromkeys(_ARCHIVES, "an archive that is not read; unpack it here, or ask for a .zip")
            self.skip(file, why.get(suffix, "not a notebook"), "look" if suffix in why else "aside")
            return None
        if problem:
            return self._told(Found(file, file.path, problem=problem)) if meant else self.skip(file, problem)
        raw = file.path.read_bytes()
        if suffix == ".py":
            return self._script(file, raw)
        try:
            notebook = names.parse(raw)
        except ValueError as error:
            if meant:
                return self._told(Found(file, file.path, problem=f"not a notebook ({error})"))
            return self.skip(file, f"not a notebook: {error}", "aside")
        path = file.path
        if raw[:1] in (b"\xef", b"\xff", b"\xfe"):  # saved by an editor that marks the encoding, which nbformat refuses
            path = self._keep(notebook)
        return self._told(Found(file, path, names.read(notebook)))

    def _script(self, file: File, raw: bytes) -> Found | None:
        """Return a script that was exported from a notebook as a notebook again."""
        text = raw.decode("utf-8-sig", "replace")
        if "Homework(" not in text:
            return self.skip(file, "a Python script that asks for no homework; ask for the .ipynb file")
        import jupytext

        text = re.sub(r"^# In\[[ \d]*\]:?\s*$", "# %%", text, flags=re.M)
        try:
            notebook = jupytext.reads(text, fmt="py:percent" if "# %%" in text else "py:light")
        except Exception as error:  # a stranger's text: jupytext raises what its parsers raise
            return self.skip(file, f"a Python script that cannot be read as a notebook ({type(error).__name__})")
        return self._told(Found(file, self._keep(notebook), names.read(notebook), flags=("a script",)))

    def _keep(self, notebook: dict) -> Path:
        path = Path(tempfile.mkdtemp(dir=self.scratch)) / "notebook.ipynb"
        path.write_text(json.dumps(notebook), encoding="utf8")
        return path

    def _told(self, found: Found) -> Found | None:
        """Add which homework it is, and what it has in common with ours; note one of which nobody knows the homework."""
        file, content = found.file, found.content
        by_name = next((n for part in reversed(file.parts) if (n := names.homework_in_name(Path(part).stem))), None)
        numbers, flags = content.homeworks, list(found.flags)
        if len(numbers) > 1 and by_name in numbers:
            numbers = (by_name,)
        if not numbers and content.lecture:
            return self.skip(file, f"lecture {content.lecture}, not its homework", "aside" if file.checkout else "look")
        if not numbers and not content.code and not found.problem:
            return self.skip(file, "a notebook without a code cell")
        if not numbers and (number := by_name or self.number):
            numbers = (number,)
            if content.unknown:
                flags.append(f"asks for homework {shown(content.unknown)}")
        if not numbers:
            asks = f"there is no homework {shown(content.unknown)!r}" if content.unknown else "it calls no Homework(…)"
            problem = f"{found.problem}; " if found.problem else ""
            return self.skip(
                file, f"{problem}which homework is it? {asks}, its name tells none: name it with --homework"
            )
        if self.number and self.number not in numbers:
            flags.append(f"is homework {numbers[0]}, not {self.number}")
        plain = normal(content.code)
        inside = file.parts[file.checkout - 1] if file.checkout else ""
        for folder, flag in (("solutions", "our solution"), ("exercises", "untouched")):
            shipped = normal(tuple(source for kind, source in names.ours(folder, numbers[0]) if kind == "code"))
            if shipped and plain == shipped:
                if inside:
                    why = {"our solution": "our own solution", "untouched": "an exercise as it was handed out"}[flag]
                    return self.skip(file, f"{why}, homework {numbers[0]}, in a checkout", "aside")
                flags.append(flag)
        return replace(found, homeworks=numbers, flags=tuple(flags))


def normal(code: tuple[str, ...]) -> tuple[str, ...]:
    """Return the lines of all code cells without blank lines, comments and spaces at the ends."""
    lines = (line.strip() for source in code for line in source.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))
