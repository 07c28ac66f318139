"""What a lecture's *Look at the UI* names is what its walk uses; whether MLflow has it, tests/browser/test_walks.py finds out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from tests.browser import walks


class Rehearsal(walks.UI):
    """A walk on a page that has everything: only the words that it uses are kept."""

    def __init__(self) -> None:
        everything = MagicMock()
        super().__init__(tab=everything, page=everything, folder=Path(), step="")

    def gone(self, name: str, role: str = "") -> None:
        self.used.add(name)

    def columns(self, *names: str, unfold: str = "") -> None:
        self.used |= {"Columns", unfold, *names}

    def picture(self, *_: object, **__: object) -> None:
        pass


def left_out(page) -> set[str]:
    ui = Rehearsal()
    walks.walk(page, ui, Path())
    return walks.marked(page) - ui.used


EACH = pytest.mark.parametrize("page", walks.WALKED, ids=lambda page: page.step.name)


@EACH
def test_a_walk_uses_every_name_that_its_lecture_marks(page):
    assert not left_out(page)


@EACH
def test_a_button_of_another_name_in_the_instruction_fails_the_walk(page, tmp_path):
    for name in ("lecture.py", "ui.py"):
        (tmp_path / name).write_bytes(page.source.with_name(name).read_bytes())
    copy = replace(page, step=replace(page.step, folder=tmp_path))
    head, instruction = copy.source.read_text(encoding="utf8").split("## Look at the UI", 1)
    word = min(walks.marked(page))
    pattern = r"(?<=[*`])" + re.escape(word).replace(r"\ ", r"\s+(?:\#\s+)?") + r"(?=[*`])"
    changed = re.sub(pattern, "Another name", instruction)
    assert changed != instruction
    copy.source.write_text(f"{head}## Look at the UI{changed}", encoding="utf8")
    assert left_out(copy) == {"Another name"}
