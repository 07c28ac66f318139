"""Every notebook has the shape that source/README.md promises, and its stored outputs show nothing to trip over."""

from __future__ import annotations

import ast
import itertools
import json
import math
import re

import pytest

from course_runner.batch.parameters import parameter_defaults
from course_runner.build import build, contents, outputs
from course_runner.build.source import BEGIN, END, SCRIPT, make_notebook, read_source
from course_utils._judge.task import load_tasks
from course_utils.lesson import questions
from tests.lectures import LECTURES, PAGES, ROOT, can_wait, cells, changes, python_in_the_text

HOMEWORK = [p for p in PAGES if p.kind != "notebooks"]
EXECUTED = [p for p in PAGES if p.executed]
#: Cells whose output is not compared: at most one in twenty, each with its reason in the cell before or in a comment.
IGNORED = {"nbval-ignore-output", "nbval-skip"}
WEASEL = re.compile(r"\b(simply|just|easy|easily|obviously|of course)\b", re.I)
HOST = re.compile(r"p[y]pi\.org|python[h]osted|regist[r]y\.npmjs|deb\.deb[i]an")


def each(chosen):
    return pytest.mark.parametrize("page", chosen, ids=lambda p: p.label)


def markdown(nb):
    return [cell.source for cell in nb.cells if cell.cell_type == "markdown"]


def code(nb):
    return [cell for cell in nb.cells if cell.cell_type == "code"]


@each(PAGES)
def test_a_notebook_is_what_its_source_builds(page):
    stale = build.find_stale([page], PAGES)
    assert not stale, f"{page.label} {stale[0].reason}; run `course build {page.number}`"


@each(PAGES)
def test_there_is_one_title_and_headings_do_not_skip_a_level(page):
    text = "\n".join(markdown(make_notebook(page, PAGES)))
    text = re.sub(r"```.*?```", "", text, flags=re.S)
    levels = [len(mark) for mark in re.findall(r"^(#{1,6}) ", text, re.M)]
    assert levels.count(1) == 1 and levels[0] == 1, "one H1, at the top"
    assert all(b <= a + 1 for a, b in zip(levels, levels[1:], strict=False)), f"heading levels {levels}"


@each(PAGES)
def test_the_link_bar_leads_to_notebooks_that_exist(page):
    first = make_notebook(page, PAGES).cells[0].source
    assert "<!-- links -->" not in first and "<!-- links -->" in read_source(page.source).cells[0].source
    everything = "\n".join(markdown(make_notebook(page, PAGES)))
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", everything):
        if not re.match(r"https?:|mailto:", target):
            assert (page.path.parent / target).resolve().exists(), f"dead link {target}; is `course build` done?"


@each(LECTURES)
def test_a_lecture_has_the_shape(page):
    nb = make_notebook(page, PAGES)
    head = nb.cells[0].source
    verbs = re.findall(r"^- (?:.*?)\*\*(\w[\w -]*)\*\*", head, re.M)
    assert "We will " in head and "Afterwards you can" in head and 2 <= len(verbs) <= 5, head
    assert re.search(r"\*\*You need:\*\*", head)
    assert re.search(r"\*\*Time:\*\* \d+ min to read · \d+ min to do", head)
    headings = re.findall(r"^## (.+)$", "\n".join(markdown(nb)), re.M)
    for wanted in ("Setup", "Look at the UI", "Your turn", "Pitfalls", "Quiz", "Key points", "Next steps"):
        assert any(h.startswith(wanted) for h in headings), f"no section “{wanted}” among {headings}"
    text = "\n".join(markdown(nb))
    assert text.count("**Predict") >= 2, "predictions before runs"
    assert "You should see" in text
    pitfalls = text.split("## Pitfalls", 1)[1]
    assert len(set(re.findall(r"\*\*`([a-z]+(?:-[a-z]+)*)`", pitfalls))) >= 3, "three pitfalls with their codes"


def test_every_lecture_has_its_script():
    assert not [page.step.name for page in LECTURES if not cells(page, SCRIPT)]


@each(LECTURES)
def test_a_lecture_of_the_new_shape_has_its_parts(page):
    text = "\n".join(markdown(make_notebook(page, PAGES)))
    headings = re.findall(r"^## (.+)$", text, re.M)
    for wanted in ("Recall", "The problem", "In your own project"):
        assert wanted in headings, f"no section “{wanted}” among {headings}"
    script, gap, solution = (cells(page, tag) for tag in (SCRIPT, "your-turn", "your-turn-solution"))
    assert len(script) == len(gap) == len(solution) == 1
    assert 10 <= sum(bool(line.strip()) for line in script[0].splitlines()) <= 35, "the script: 10 to 35 lines of code"
    assert re.search(r"^\s*\.\.\.$|= \.\.\.", gap[0], re.M) and "..." not in solution[0]
    assert "<details><summary>Show the script" in text
    known = parameter_defaults(make_notebook(page, PAGES))
    suggested = changes(page)
    assert suggested is not None, "the first cell of claims says CHANGES = [{…}], what the text suggests to change"
    assert all(set(change) <= set(known) for change in suggested), f"a change names no parameter among {list(known)}"


@each(LECTURES)
def test_a_section_that_can_wait_is_folded_as_a_whole(page):
    nb = make_notebook(page, PAGES)
    later = set().union(*can_wait(nb))
    for cell, after in itertools.pairwise(nb.cells):
        if cell.cell_type == "markdown" and "(can wait)" in "".join(re.findall("^#.*$", cell.source, re.M)):
            assert re.fullmatch(r"#{2,3} .+ \(can wait\)\n\n.+", cell.source), "heading and one paragraph, in one cell"
            assert after.id in later, "JupyterLab would hide nothing"
        if cell.id in later and after.id not in later:
            assert after.cell_type == "markdown" and after.source.startswith("#"), (
                "the next section begins with its heading, in a cell of its own"
            )


@each(LECTURES)
def test_no_cell_needs_a_name_from_a_section_that_can_wait(page):
    nb = make_notebook(page, PAGES)
    sections = can_wait(nb)
    for later in sections:  # none of them is inside another
        made, bound, needed = set(), set(), set()
        for cell in code(nb):
            names = {(type(n.ctx), n.id) for n in ast.walk(_parsed(cell.source)) if isinstance(n, ast.Name)}
            stored = {name for kind, name in names if kind is ast.Store} | _defined(cell.source)
            if cell.id in later:
                made |= stored
            elif not any(cell.id in other for other in sections):
                bound |= stored
                needed |= {name for kind, name in names if kind is ast.Load}
        lost = sorted((made - bound) & needed)
        assert not lost, "JupyterLab runs no cell of a folded section one by one"


def _parsed(source: str) -> ast.Module:
    return ast.parse(re.sub(r"^[%!].*$", "pass", source, flags=re.M))


def _defined(source: str) -> set[str]:
    """Return the names that imports, functions, their parameters and classes bind."""
    found = set()
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
    return found


@each(LECTURES)
def test_the_cells_of_a_lecture_are_short(page):
    shown = [c for c in code(make_notebook(page, PAGES)) if "hide-input" not in c.metadata.get("tags", [])]
    lengths = sorted(len(cell.source.splitlines()) for cell in shown)
    assert lengths[-1] <= 22 and sum(n <= 15 for n in lengths) >= 0.9 * len(lengths), lengths


@each([page for page in PAGES if page.kind != "exercises"])
def test_no_line_of_code_must_be_scrolled(page):
    text = page.source.read_text(encoding="utf8").splitlines()
    most = 88 if page.kind == "notebooks" else 100  # a homework is worked in, not read beside something
    for cell in read_source(page.source).cells:
        if cell.cell_type == "code" and "claims" not in cell.metadata.get("tags", []):  # no reader sees those
            wide = {text.index(line) + 1: len(line) for line in cell.source.splitlines() if len(line) > most}
            assert not wide, f"{page.source.relative_to(ROOT)}: line and columns {wide}"


@each(PAGES)
def test_python_in_the_text_can_be_pasted(page):
    for block in python_in_the_text(page):
        compile(block, page.label, "exec")


@each(HOMEWORK)
def test_a_homework_has_the_shape(page):
    nb = make_notebook(page, PAGES)
    text = "\n".join(markdown(nb))
    assert len(nb.cells) < 30
    points = re.findall(r"^## (?:Task \d|Stretch).*\((\d+|no) points?\)", text, re.M)
    tasks = load_tasks(page.step.name)
    assert [0 if p == "no" else int(p) for p in points] == [t.points for t in tasks], "points as in the checks"
    total = sum(t.points for t in tasks)
    assert tasks[-1].points == 0, "the last task of TASKS is the stretch, without points"
    wanted = rf"\d+ minutes · {len(tasks) - 1} tasks? and a stretch · {total} points"
    assert re.search(wanted, nb.cells[0].source), f"the first cell must say “{wanted}”"
    source = "\n".join(cell.source for cell in code(nb))
    for n in range(1, len(tasks) + 1):
        assert f"hw.check({n})" in source, f"task {n} is not checked"
    assert "hw.progress()" in source
    assert BEGIN not in source and END not in source


@each([p for p in HOMEWORK if p.kind == "exercises"])
def test_an_exercise_has_a_gap_per_task_and_no_outputs(page):
    nb = build.stored(page)
    gaps = [cell for cell in code(nb) if "# YOUR CODE HERE" in cell.source]
    assert len(gaps) >= len(load_tasks(page.step.name))
    assert not any(cell.outputs or cell.execution_count for cell in code(nb))


@each(PAGES)
def test_prose_is_kind_and_names_no_host_or_run_id(page):
    text = "\n".join(cell.source for cell in make_notebook(page, PAGES).cells)
    plain = re.sub(r"```.*?```|`[^`]*`", "", "\n".join(markdown(make_notebook(page, PAGES))), flags=re.S)
    assert not (found := WEASEL.search(plain)), f"“{found[0]}” tells a stuck reader that it is their fault"
    assert not HOST.search(text)
    assert not re.search(r"\b[0-9a-f]{32}\b", text), "a typed run id is somebody else's run"
    assert not re.search(r"!\[\]\(", text), "a picture without alt text"


@each(LECTURES)
def test_details_are_folded_so_that_jupyterlab_and_the_site_show_them(page):
    for text in markdown(make_notebook(page, PAGES)):
        bodies = re.findall(
            r"^<details(?: class=\"more\")?><summary>[^\n]+</summary>\n\n(.+?)\n\n</details>$", text, re.M | re.S
        )
        assert len(bodies) == text.count("<details") == text.count("</details>"), (
            f"an empty line is missing in {text[:80]}"
        )
        assert not any("<details" in body for body in bodies)
        for title in re.findall(r'class="more"><summary>(.*?)</summary>', text):
            assert title.startswith("More: ") and len(title) > 12, f"“{title}” does not say what is inside"


@each(LECTURES)
def test_no_paragraph_that_everybody_reads_is_a_wall_of_words(page):
    for text in markdown(make_notebook(page, PAGES)):
        shown = re.sub(r"(?s)<details.*?</details>|```.*?```", "", text)
        for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.|\|) )", shown):
            assert len(paragraph.split()) <= 90, f"more than 90 words: {paragraph[:90]}"


@each(EXECUTED)
def test_stored_outputs_show_nothing_to_trip_over(page):
    nb = build.stored(page)
    assert not outputs.objections(nb)
    for cell in code(nb):
        for output in cell.outputs:
            for mimetype in outputs.PICTURES:
                if mimetype in output.get("data", {}):
                    alt = output.metadata.get(mimetype, {}).get("alt", "")
                    assert len(alt) > 20, "a picture without alt text: show it with plots.show"


@each(LECTURES)
def test_a_lecture_shows_a_picture(page):
    shown = [key for cell in code(build.stored(page)) for o in cell.outputs for key in o.get("data", {})]
    assert any(key in outputs.PICTURES for key in shown)


def test_at_most_one_code_cell_in_twenty_is_not_compared():
    cells = [(page, cell) for page in EXECUTED for cell in code(make_notebook(page, PAGES))]
    ignored = [(p, c) for p, c in cells if IGNORED & set(c.metadata.get("tags", []))]
    assert len(ignored) <= 0.05 * len(cells)
    for page, cell in ignored:
        assert re.search(r"# not compared: \w+", cell.source), f"{page.label}: say why the output is not compared"


@each([p for p in EXECUTED])
def test_code_that_is_shown_is_valid_and_uses_what_it_imports(page):
    source = "\n".join(cell.source for cell in code(make_notebook(page, PAGES)))
    tree = ast.parse(source)
    imported = {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not imported - used, f"imported and not used: {sorted(imported - used)}"


@pytest.mark.parametrize("lecture", [p.step.name for p in LECTURES])
def test_a_quiz_has_one_right_answer_and_feedback_on_each(lecture):
    recall, quiz = questions(lecture, "recall"), questions(lecture, "quiz")
    assert len(recall) == 1 and 3 <= len(quiz) <= 5, "quiz.json: one question in recall, three to five in quiz"
    for question in recall + quiz:
        assert question["type"] == "multiple_choice" and len(question["question"]) > 15
        answers = question["answers"]
        assert len(answers) >= 3 and sum(a["correct"] is True for a in answers) == 1
        texts = [a["answer"] for a in answers]
        assert len(set(texts)) == len(texts)
        for answer in answers:
            assert set(answer) <= {"answer", "code", "correct", "feedback"}
            assert len(answer["feedback"]) >= 20, f"feedback for {answer['answer']!r}"
        feedback = [a["feedback"] for a in answers]
        assert len(set(feedback)) == len(feedback), "each answer has its own feedback"


@pytest.mark.parametrize("lecture", [p.step.name for p in LECTURES])
def test_the_right_answers_of_a_quiz_do_not_stand_at_one_place(lecture):
    asked = [*questions(lecture, "recall"), *questions(lecture, "quiz")]
    places = {[answer["correct"] for answer in question["answers"]].index(True) for question in asked}
    assert len(places) > 1


def guessable(lecture):
    """Say of each question whether its right answer is the longest, and how likely that is by chance."""
    for question in [*questions(lecture, "recall"), *questions(lecture, "quiz")]:
        lengths = {len(answer["answer"]): answer["correct"] for answer in question["answers"]}
        yield lengths[max(lengths)], 1 / len(question["answers"])


@pytest.mark.parametrize("lecture", [p.step.name for p in LECTURES])
def test_a_quiz_cannot_be_guessed_by_the_length_of_its_answers(lecture):
    longest, _ = zip(*guessable(lecture), strict=True)
    assert sum(longest) <= 0.4 * len(longest), (
        f"the right answer is the longest in questions {longest}, the first: recall"
    )


def test_right_answers_are_the_longest_no_more_often_than_chance_allows():
    longest, chance = zip(*(row for page in LECTURES for row in guessable(page.step.name)), strict=True)
    spread = math.sqrt(sum(p * (1 - p) for p in chance))
    assert sum(longest) <= sum(chance) + 2 * spread, f"{sum(longest)} of {len(longest)}, by chance {sum(chance):.0f}"


def test_every_lecture_has_a_homework_of_its_name():
    assert {p.name for p in HOMEWORK} == {p.name for p in LECTURES}


def test_notebook_folders_hold_nothing_else():
    for kind in ("notebooks", "solutions", "exercises"):
        have = {p.stem for p in (ROOT / kind).glob("*.ipynb")}
        assert have == {p.name for p in PAGES if p.kind == kind}, kind


def test_the_mistake_codes_of_pitfalls_are_codes_of_checks():
    checks = [*(ROOT / "course_utils/_judge").rglob("*.py"), *(ROOT / "source").glob("*/checks.py")]
    known = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', "\n".join(p.read_text(encoding="utf8") for p in checks)))
    for page in LECTURES:
        text = "\n".join(markdown(make_notebook(page, PAGES)))
        codes = set(re.findall(r"\*\*`([a-z]+(?:-[a-z]+)*)`", text.split("## Pitfalls", 1)[-1]))
        assert codes <= known, f"{page.label}: {sorted(codes - known)} is in no check"


def test_quizzes_are_readable_json():
    for path in (ROOT / "source").glob("*/quiz.json"):
        assert set(json.loads(path.read_text(encoding="utf8"))) == {"recall", "quiz"}, path


def test_contents_and_topics_are_what_the_lectures_say():
    assert not contents.stale_pages(ROOT), "run `course build` and commit README.md and notebooks/README.md"


def test_every_topic_stands_in_its_lecture_and_its_task_exists():
    found = contents.topics(ROOT)
    texts = {p.step.name: p.source.read_text(encoding="utf8") for p in LECTURES}
    wrapped = {name: re.sub(r"\s*\n# ", " ", text) for name, text in texts.items()}
    for topic in found:
        assert topic.evidence in texts[topic.lecture] or topic.evidence in wrapped[topic.lecture], topic
        assert not topic.task or 1 <= int(topic.task) <= len(load_tasks(topic.lecture)), topic
    practised = {(t.lecture, int(t.task)) for t in found if t.task}
    for page in LECTURES:
        points = [n for n, task in enumerate(load_tasks(page.step.name), 1) if task.points]
        assert {n for lecture, n in practised if lecture == page.step.name} >= set(points), (
            f"{page.name}: a task without topic"
        )
