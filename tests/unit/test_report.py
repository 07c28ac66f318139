"""The batch's report and what the terminal shows, on notebooks that need not be executed for it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from rich.table import Table

from course_runner.batch import batch, console, report, view
from course_runner.batch.job import Job, Outcome
from course_runner.build.source import pages

ROOT = Path(__file__).resolve().parents[2]
LONG = "/home/somebody/a folder/" + "deep/" * 15 + "partial/03_x.ipynb"


def lecture_page(folder: Path, name: str = "start_here") -> str:
    """Return the page of a built lecture, as a batch in `folder` writes it."""
    (source,) = (page.path for page in pages(ROOT) if page.kind == "notebooks" and page.step.name == name)
    output = folder / "notebooks" / source.name
    output.parent.mkdir()
    job = Job(f"notebooks/{source.name}", source, output, folder, folder)
    view.write(nbformat.read(source, 4), job, Outcome(job.name, output=str(output)))
    return output.with_suffix(".html").read_text(encoding="utf8")


def test_the_page_of_a_lecture_has_its_pictures_and_quizzes_and_leads_to_its_neighbours(tmp_path):
    page = lecture_page(tmp_path)
    assert 'href="../index.html"' in page and 'href="00_start_here.ipynb"' in page
    assert re.search(r'href="\d\d_ml_workflow\.html"', page), "a lecture of the same batch, not its JSON"
    assert page.count("<img") > 2 and not re.search(r'<img src="(?!data:image/)', page)
    assert not re.findall(r"<img(?![^>]*\balt=)[^>]*>", page)
    assert "show_questions(" in page and "const $" in page
    assert not re.search(r'<(script|iframe|img|source)\b[^>]*\bsrc="(?!data:)|<link\b', page)


def test_a_page_holds_no_file_that_is_not_a_picture(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "x.png").write_bytes(b"picture")
    cell = new_markdown_cell("![a](secret.txt) ![b](x.png) ![c](https://example.org/y.png) ![d](gone.png)")
    job = Job("other/n.ipynb", tmp_path / "n.ipynb", tmp_path / "n.ipynb", tmp_path, tmp_path)
    view.write(new_notebook(cells=[cell]), job, Outcome(job.name, output=str(job.output)))
    assert re.findall(r'<img src="([^"]*)"', (tmp_path / "n.html").read_text()) == [
        "secret.txt",
        "data:image/png;base64,cGljdHVyZQ==",
        "https://example.org/y.png",  # which the page's policy does not load
        "gone.png",
    ]


def test_a_figure_without_words_is_announced_as_a_picture(tmp_path):
    figure = new_output("display_data", data={"image/png": "cGljdHVyZQ=="})
    job = Job("other/n.ipynb", tmp_path / "n.ipynb", tmp_path / "n.ipynb", tmp_path, tmp_path)
    view.write(new_notebook(cells=[new_code_cell("1", outputs=[figure])]), job, Outcome("", output=str(job.output)))
    assert '<img alt="A picture without a description" src="data:image/png' in (tmp_path / "n.html").read_text()


def test_a_notebook_that_cannot_become_a_page_does_no_harm(tmp_path):
    bad = new_notebook(cells=[new_markdown_cell("![x](attachment:gone.png)")])
    job = Job("other/n.ipynb", tmp_path / "n.ipynb", tmp_path / "n.ipynb", tmp_path, tmp_path)
    view.write(bad, job, Outcome(job.name, output=str(job.output)))
    assert not list(tmp_path.glob("*.html"))


def test_a_batch_of_before_still_has_its_links_and_what_was_done_then_has_no_time(tmp_path):
    file = tmp_path / "other" / "n.ipynb"
    file.parent.mkdir()
    error = new_output("error", ename="E", evalue="e", traceback=["\x1b[0;31mE\x1b[0m: e <b>"])
    nbformat.write(new_notebook(cells=[new_code_cell("raise E('e')", outputs=[error])]), file)
    outcomes = [Outcome("other/n.ipynb", output=str(file)), Outcome("other/n.ipynb", "failed", 2.0, 1, "E", str(file))]
    shown = report.render(batch.Batch(tmp_path, {}), outcomes, {}, took=134.6)
    assert shown.count('href="other/n.ipynb"') == 3 and "done before" in shown and "after 2 min 15 s." in shown
    assert '<pre class="last">E: e &lt;b&gt;</pre>' in shown


@pytest.fixture
def terminal(monkeypatch, capsys):
    """Eighty columns that somebody looks at; call it for the lines that were shown."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda stream: True)

    def lines() -> list[str]:
        seen = capsys.readouterr()
        return re.sub(r"\x1b\[[\d;]*m", "", seen.out + seen.err).splitlines()

    return lines


def test_the_path_of_a_failure_has_a_line_of_its_own(terminal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = "ValueError: [red]no markup[/] \x1b[2J in " + "a-word " * 20
    near = tmp_path / "runs/1/partial/n.ipynb"
    console.show_failures(
        [
            Outcome("ok.ipynb", output="ok.ipynb"),
            Outcome("notebooks/03_x.ipynb", "failed", 1.0, 4, error, LONG),
            Outcome("n.ipynb", "timeout", 1.0, None, "too long", str(near)),
            Outcome("bad.ipynb", "bad notebook", error="is empty"),
        ]
    )
    lines = terminal()
    assert lines[:2] == ["3 failed", "notebooks/03_x.ipynb: failed in cell 4"]
    assert f"  {LONG}" in lines and "  runs/1/partial/n.ipynb" in lines and lines[-1] == "  is empty"
    assert all(len(line) <= 80 for line in lines if LONG not in line)
    assert " ".join(" ".join(lines[2 : lines.index(f"  {LONG}")]).split()) == error.strip().replace("\x1b", "�")


def test_no_name_is_broken_in_the_table_of_a_batch(terminal):
    labels = [page.label for page in pages(ROOT)]
    noted = Outcome("other/" + "long_" * 20 + ".ipynb", note="ended what it left running: sleep 987")
    console.show_outcomes([Outcome(label, seconds=123.4) for label in labels])
    lines = terminal()
    assert all(any(f" {label} " in line for line in lines) for label in labels)
    assert max(map(len, lines)) <= 80
    console.show_outcomes([noted, *(Outcome(label, "dead kernel", 1.0) for label in labels[:1])])
    lines = terminal()
    assert any(f" {noted.name} " in line for line in lines) and f"{noted.name}: {noted.note}" in lines


def test_a_wide_table_loses_columns_before_it_breaks_a_word(terminal):
    def table(columns: int) -> Table:
        made = Table(*(f"a_metric_{n}" for n in range(columns)), "note")
        made.add_row(*["0.123456789"] * columns, "some words that wrap between words only")
        return made

    console.show(*map(table, range(8, 0, -1)))
    lines = terminal()
    assert max(map(len, lines)) <= 80 and "a_metric_3" in lines[1] and "a_metric_4" not in lines[1]
    cells = " ".join(re.findall(r"│ ([a-z ]+?) *│$", "\n".join(lines), re.MULTILINE))
    assert cells == "some words that wrap between words only"
