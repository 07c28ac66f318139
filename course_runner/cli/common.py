"""What several verbs share: the checkout, the number of workers, parameters and notebooks as they are typed."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer

from course_utils._plumbing.files import checkout
from course_utils._plumbing.places import usable
from course_utils.errors import CourseError

Notebooks = Annotated[
    list[str] | None,
    typer.Argument(
        help="Steps (mlflow_basics), numbers (5), notebooks (05_mlflow_basics), kinds (solutions) or paths."
    ),
]


def jobs_option(default: str, words: str) -> Any:
    """Return the option that says how many of something are at work at once."""
    return typer.Option("--jobs", "-j", min=1, show_default=default, help=words)


Jobs = Annotated[int | None, jobs_option("one per core", "Notebooks at once.")]
Cold = Annotated[bool, typer.Option("--cold", help="Start each kernel as an ordinary process (slower).")]


def find_root() -> Path:
    """Return the checkout that the current folder or this package lies in."""
    if root := checkout():
        return usable(root)
    raise CourseError(
        "No checkout of the course is here: there is no source/course.toml. Go to the folder of your clone."
    )


def workers(jobs: int | None, more: int = 0) -> int:
    """Return how many notebooks run at once: `jobs`, or one per core and `more`."""
    from course_runner.batch.pool import default_workers

    return jobs or default_workers() + more


def read_parameters(given: list[str]) -> dict[str, str]:
    """Split NAME=VALUE (`main` joins NAME VALUE, papermill's form, which Typer cannot read)."""
    parameters = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise CourseError(f"-p {text!r} has no value. Write -p NAME VALUE, for example -p seed 7.")
        # Notebooks run in a folder of their own; a file is meant as seen from here.
        parameters[name.strip()] = str(Path(value).absolute()) if Path(value).is_file() else value
    return parameters


def find_notebooks(root: Path, wanted: list[str]) -> dict[str, Path]:
    """Return label → file: pages of the series, or any other notebook file that `wanted` names."""
    from course_runner.build.source import pages, select

    series = [page for page in pages(root) if page.executed]
    others = [
        Path(entry)
        for entry in wanted
        if entry.endswith(".ipynb") and not any(Path(entry).resolve() == page.path.resolve() for page in pages(root))
    ]
    named = [entry for entry in wanted if Path(entry) not in others]
    chosen = {page.label: page.path for page in (select(series, named) if named or not others else [])}
    for path in others:
        if not path.is_file():
            raise CourseError(f"There is no notebook {path}. A relative path starts at {Path.cwd()}.")
        label = f"other/{path.name}"
        if label in chosen:
            raise CourseError(
                f"Two notebooks are called {path.name}; their outputs would overwrite each other. Rename one of them."
            )
        chosen[label] = path.absolute()
    return chosen


def remove_when_empty(folder: Path) -> None:
    """Remove the folder of a batch that was refused before it left anything."""
    with contextlib.suppress(OSError):
        folder.rmdir()
