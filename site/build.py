"""Builds the web site from the stored notebooks, without running them and without the network: `make site`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

SITE = Path(__file__).resolve().parent
sys.path[:0] = [str(SITE), str(SITE.parent)]


#: Marks a folder as one that this command may write to and remove from.
MARK = ".course-site"


def build(folder: Path) -> int:
    """Build the site under ``folder/html`` and return the exit code: 1 when there was a warning, 2 for bad input.

    Parameters
    ----------
    folder
        Gets ``source`` (the assembled pages), ``doctrees`` (what Sphinx has read) and ``html``. An earlier build there
        is renewed: only pages that changed are read again.
    """
    from course_site import stage
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from sphinx.application import Sphinx
    from sphinx.errors import SphinxError
    from sphinx.util.console import nocolor
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    from course_utils.errors import CourseError

    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / MARK).exists())):
        print(f"{folder} is not empty and holds no site of this course: name a new folder.", file=sys.stderr)
        return 2
    console = Console(stderr=True)
    if not console.is_terminal:
        nocolor()
    source = folder / "source"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).touch()
        pages = stage.assemble(source)
    except (CourseError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console, transient=True,
        disable=not console.is_terminal,
    )  # fmt: skip
    with bar, patch_docutils(str(SITE)), docutils_namespace():
        try:
            app = Sphinx(
                source,
                SITE,
                folder / "html",
                folder / "doctrees",
                "html",
                status=None,
                warning=sys.stderr,
                warningiserror=True,
            )
            reading, writing = bar.add_task("reading", total=len(pages)), bar.add_task("writing", total=len(pages))
            app.connect("source-read", lambda *_: bar.advance(reading))
            app.connect("html-page-context", lambda *_: bar.advance(writing))
            app.build()
            stage.remove_stale(folder / "html", app.env.found_docs)
        except SphinxError as error:
            print(f"The site cannot be built. {error.category}: {error}", file=sys.stderr)
            return 2
    if app.statuscode:
        print(
            "The site has the warnings above, and a warning is an error here. A page notebooks/NN_… comes from"
            " source/<step>/lecture.py, a page exercises/NN_… from its homework.py, api/… from the docstrings in course_utils.",
            file=sys.stderr,
        )
    return app.statuscode


def main() -> None:
    """Read the command line, build, say where the site is."""
    parser = argparse.ArgumentParser(
        prog="site/build.py", description=__doc__, epilog="Example: make site ARGS='--to ../course-site'"
    )
    parser.add_argument("--to", type=Path, default=SITE / "_build", metavar="FOLDER", help="default: site/_build")
    options = parser.parse_args()
    folder = options.to.resolve()
    try:
        code = build(folder)
    except KeyboardInterrupt:
        sys.exit(130)
    if code == 0:
        print(f"Open {folder / 'html' / 'index.html'} in a browser.")
    sys.exit(code)


if __name__ == "__main__":
    main()
