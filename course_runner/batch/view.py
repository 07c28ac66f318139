"""An executed notebook as a page of its own, which asks no other machine for anything."""

from __future__ import annotations

import base64
import contextlib
import mimetypes
import os
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote, unquote

from jinja2 import Environment, StrictUndefined, Template
from nbconvert.exporters.html import HTMLExporter
from nbconvert.filters.highlight import Highlight2HTML
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from pygments.formatters.html import HtmlFormatter
from traitlets.config import Config

from course_runner.batch.job import Job, Outcome
from course_utils._plumbing.files import write as write_file

#: What is shown of an output, the best first: nbconvert's order without what needs a library from the network.
_SHOWN = "application/javascript text/html text/markdown image/svg+xml image/png image/jpeg text/plain"


@cache
def page(template: str) -> Template:
    """Return a template of this package; every text in it is escaped unless it says otherwise."""
    text = (files("course_runner.batch") / "templates" / template).read_text(encoding="utf8")
    return Environment(autoescape=True, undefined=StrictUndefined).from_string(text)


@cache
def _exporter() -> HTMLExporter:
    # Half of nbconvert's time goes into cleaning code that pygments has just escaped; its preprocessors do nothing here.
    filters = {"clean_html": lambda html: html, "highlight_code": Highlight2HTML(pygments_lexer="ipython3")}
    config = Config(NbConvertBase={"display_data_priority": _SHOWN.split()})
    return HTMLExporter(
        config, template_name="basic", exclude_anchor_links=True, filters=filters, default_preprocessors=[]
    )


def prepare() -> None:
    """Load templates and lexers, once for all workers that are forked afterwards."""
    _body(new_notebook(cells=[new_code_cell("1"), new_markdown_cell("text")]))
    page("notebook.html")


def _body(nb: NotebookNode) -> str:
    # HTMLExporter's own method parses the whole page once more, to give pictures a text.
    return super(HTMLExporter, _exporter()).from_notebook_node(nb, {})[0]


def write(nb: NotebookNode, job: Job, outcome: Outcome) -> None:
    """Write the page beside the executed notebook; without it, the report leads to the notebook itself."""
    if not outcome.output:
        return
    file = Path(outcome.output)
    with contextlib.suppress(Exception, KeyboardInterrupt):  # what the notebook has computed is whole without it
        body = re.sub(r'(<img src=")(?!\w+:)([^"]+)', lambda found: found[1] + _picture(job, found[2]), _body(nb))
        body = re.sub(r'(<a href="(?!\w+:)[^"]*)\.ipynb(?=["#])', r"\1.html", body)  # pages of the same batch
        body = re.sub(r"<img(?![^>]*\balt=)", '<img alt="A picture without a description"', body)
        body = body.replace('class="output_area"', 'class="output_area" tabindex="0"')  # wide ones scroll by keyboard
        body = body.replace("<th></th>", "<td></td>")  # the corner of a table of pandas heads nothing
        styles = [HtmlFormatter(style=name).get_style_defs(".highlight") for name in ("default", "github-dark")]
        text = page("notebook.html").render(
            title=job.name,
            body=body,
            styles=styles,
            notebook=quote(file.name),
            report=quote(os.path.relpath(job.home / "index.html", file.parent).replace(os.sep, "/")),
        )
        write_file(file.with_suffix(".html"), text)


def _picture(job: Job, address: str) -> str:
    """Return a picture that the notebook shows from a file as a part of the page, which may be read elsewhere."""
    file, kind = job.source.parent / unquote(address), mimetypes.guess_type(address)[0] or ""
    if not kind.startswith("image/") or not file.is_file():
        return address
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"
