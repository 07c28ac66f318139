"""The web site, built once for all tests, and its pages as a reader's program sees them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "site/build.py"


def run_build(to: Path, script: Path = BUILD) -> subprocess.CompletedProcess[str]:
    """Build the site from a folder that is not the checkout, with every way to the network closed."""
    nowhere = "http://127.0.0.1:9"
    environment = {**os.environ, "http_proxy": nowhere, "https_proxy": nowhere, "NO_COLOR": "1"}
    command = [sys.executable, str(script), "--to", str(to)]
    return subprocess.run(command, cwd=to.parent, env=environment, capture_output=True, text=True)


def built(factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site; the first process that asks builds it, the others wait."""
    shared = factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else factory.getbasetemp()
    with FileLock(shared / "site.lock"):
        said = shared / "site.txt"
        if not said.exists():
            done = run_build(shared / "site")
            said.write_text(f"{done.returncode}\n{done.stdout}{done.stderr}", encoding="utf8")
    code, _, words = said.read_text(encoding="utf8").partition("\n")
    assert code == "0", words
    return shared / "site/html"


@dataclass
class Page(HTMLParser):
    """What stands on a page: addresses, ids, pictures, headings of the article, and each piece of text with its elements."""

    path: Path
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    pictures: list[dict[str, str | None]] = field(default_factory=list)
    headings: list[int] = field(default_factory=list)
    texts: list[tuple[tuple[str, ...], str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(self.path.read_text(encoding="utf8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if "id" in values:
            self.ids.add(values["id"] or "")
        if tag == "a" and values.get("href"):
            self.links.append(values["href"] or "")
        elif tag == "link" and values.get("rel") in ("stylesheet", "preload", "icon", "shortcut icon"):
            self.loads.append(values["href"] or "")
        elif tag in ("script", "img", "iframe", "source", "video") and values.get("src"):
            self.loads.append(values["src"] or "")
        if tag == "img":
            self.pictures.append(values)
        if "article" in self.open and len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            self.headings.append(int(tag[1]))
        if tag not in ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"):
            # A closed fold and the article are told apart from others, and a link carries its address.
            mark = {"a": f"a:{values.get('href')}", "details": "details" if "open" not in values else "details-open"}
            if tag == "div" and "cell_output" in (values.get("class") or "").split():
                mark["div"] = "div:output"
            self.open.append(mark.get(tag, tag))

    def handle_endtag(self, tag: str) -> None:
        names = [name.split(":")[0].removesuffix("-open") for name in self.open]
        if tag in names:
            del self.open[len(names) - 1 - names[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        if data.strip() and "script" not in self.open and "style" not in self.open:
            self.texts.append((tuple(self.open), data))
