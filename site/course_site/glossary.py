"""Links the first mention of each glossary term on a lecture's page to its entry, without a mark in the lecture."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from course_utils._plumbing.steps import steps

#: Text in these is not prose: a link, code, a heading, a caption, raw HTML.
_NOT_PROSE = (
    nodes.reference,
    nodes.literal,
    nodes.literal_block,
    nodes.title,
    nodes.raw,
    nodes.image,
    nodes.comment,
    addnodes.pending_xref,
)


@dataclass(frozen=True)
class Term:
    """A term of the glossary, and the pattern that finds it in prose."""

    name: str
    pattern: re.Pattern[str]


def parse(text: str) -> list[Term]:
    """Read the terms from the source of the glossary page.

    A term is found as itself, or with an s at its end. Where that would find another sense of the word ("to run"), a
    comment line in front of the term, ``.. found as: …``, gives a regular expression.

    Raises
    ------
    ValueError
        When the page has no glossary.
    """
    found = re.search(r"^```\{glossary\}\n(.*?)^```$", text, re.M | re.S)
    if not found:
        raise ValueError("site/glossary.md has no ```{glossary} block")
    terms, special = [], ""
    for line in found[1].splitlines():
        if line.startswith(".. found as: "):
            special = line.removeprefix(".. found as: ").strip()
        elif line and not line[0].isspace() and not line.startswith((":", "..")):
            pattern = special or rf"{re.escape(line)}s?"
            terms.append(Term(line, re.compile(rf"(?<![\w@/.-])(?:{pattern})(?![\w/-])", re.I)))
            special = ""
    return terms


def with_lectures(text: str) -> str:
    """Return the glossary with a link in place of each ``{lecture:NAME}``.

    Raises
    ------
    KeyError
        When the course has no such lecture.
    """
    known = {step.name: step for step in steps()}

    def link(found: re.Match[str]) -> str:
        step = known[found[1]]
        return f"[Lecture {step.number}](notebooks/{step.stem}.ipynb)"

    return re.sub(r"\{lecture:(\w+)\}", link, text)


@cache
def _terms(file: Path) -> tuple[Term, ...]:
    return tuple(parse(file.read_text(encoding="utf8")))


def _prose(document: nodes.document) -> list[nodes.Text]:
    """Return the texts of a page's paragraphs, lists and tables, in the order of reading."""
    texts = []
    for text in document.findall(nodes.Text):
        parent = text.parent
        while parent is not None and not isinstance(parent, _NOT_PROSE):
            parent = parent.parent
        if parent is None:
            texts.append(text)
    return texts


def link_terms(document: nodes.document, terms: tuple[Term, ...], page: str) -> list[str]:
    """Turn the first mention of each term into a link, and return the terms that were found."""
    linked = []
    # Longer names first: "parent run" is not the first mention of "run".
    for term in sorted(terms, key=lambda term: (-len(term.name.split()), -len(term.name))):
        for text in _prose(document):
            if match := term.pattern.search(text):
                _split(text, match, term.name, page)
                linked.append(term.name)
                break
    return linked


def _split(text: nodes.Text, match: re.Match[str], term: str, page: str) -> None:
    """Replace what was found in a text, or the group that the pattern names in it, by a reference to the term."""
    part = next((name for name, found in match.groupdict().items() if found), 0)
    start, end, words = match.start(part), match.end(part), match[part]
    reference = addnodes.pending_xref(
        "",
        nodes.inline(words, words, classes=["xref", "std", "std-term"]),
        reftype="term",
        refdomain="std",
        reftarget=term,
        refexplicit=True,
        refwarn=True,
        refdoc=page,
    )
    parts = [nodes.Text(text[:start]), reference, nodes.Text(text[end:])]
    text.parent.replace(text, [part for part in parts if not isinstance(part, nodes.Text) or part])


def on_doctree_read(app: Sphinx, document: nodes.document) -> None:
    """Link the terms of a lecture."""
    page = app.env.current_document.docname
    if page.startswith("notebooks/") and page.removeprefix("notebooks/")[:2].isdigit():
        link_terms(document, _terms(Path(app.confdir) / "glossary.md"), page)
