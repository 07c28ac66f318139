"""The build: the same bytes from the same text, only what changed, and no solution that leaks."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import nbformat
import pytest

from course_runner import doctor
from course_runner.build import build, origin, outputs
from course_runner.build.source import blank, make_notebook, pages, select
from course_runner.kernels import warm
from course_utils.errors import CourseError
from tests import lectures

ROOT = Path(__file__).resolve().parents[2]
LECTURE = """# %% [markdown]
# # Tiny lecture
#
# **What is built?**
#
# **Time:** 1 min to read · 1 min to do
#
# <!-- links -->

# %% tags=["parameters"]
n = 2

# %%
import time, uuid
print(n, uuid.uuid4().hex, f"{time.perf_counter():.2f} s")
n * 21
"""
HOMEWORK = """# %% [markdown]
# # Homework 00: tiny
#
# <!-- links -->

# %% tags=["task-1"]
given = 1
### BEGIN SOLUTION
secret = 41
print(given + secret)
### END SOLUTION

# %% [markdown] tags=["solution"]
# Why it works.
"""


LOCK = """mlflow==3.17.2 \\
    --hash=sha256:0
    # via course-utils (pyproject.toml)
numpy==2.4.1 \\
    --hash=sha256:0
    # via
    #   mlflow
ruff==0.16.0 \\
    --hash=sha256:0
    # via course-utils (pyproject.toml)
"""


@pytest.fixture
def checkout(tmp_path, store_template):
    for folder in ("source/tiny", "course_utils", "course_runner", ".course"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "source/course.toml").write_text('[[part]]\ntitle = "One"\nsteps = [{ name = "tiny" }]\n')
    (tmp_path / "source/tiny/lecture.py").write_text(LECTURE)
    (tmp_path / "source/tiny/homework.py").write_text(HOMEWORK)
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["mlflow==3"]\n')
    (tmp_path / "requirements.lock").write_text(LOCK)
    shutil.copyfile(store_template, warm.template(tmp_path))
    return tmp_path


def run_build(root, *wanted, **options):
    return build.build(root, select(pages(root), list(wanted)), workers=1, **options)


def test_a_build_writes_three_notebooks_and_the_same_bytes_again(checkout):
    done = run_build(checkout)
    written = done.written
    assert not done.failed and {p.label for p in written} == {
        "notebooks/00_tiny.ipynb",
        "solutions/00_tiny.ipynb",
        "exercises/00_tiny.ipynb",
    }
    first = {p.label: p.path.read_bytes() for p in written}
    assert run_build(checkout) == build.Built(), "nothing is stale"
    written = run_build(checkout, force=True).written
    assert {p.label: p.path.read_bytes() for p in written} == first
    lecture = nbformat.read(checkout / "notebooks/00_tiny.ipynb", 4)
    out = lecture.cells[2].outputs
    assert out[0].text == "2 ‹id› ‹n› s\n" and out[1].data["text/plain"] == "42"
    assert "papermill" not in first["notebooks/00_tiny.ipynb"].decode()
    assert [c.id for c in lecture.cells] == ["tiny-00", "tiny-01", "tiny-02"]
    assert "[Homework](../exercises/00_tiny.ipynb)" in lecture.cells[0].source

    exercise = (checkout / "exercises/00_tiny.ipynb").read_text()
    assert "secret" not in exercise and "Why it works" not in exercise and "# YOUR CODE HERE" in exercise
    solution = nbformat.read(checkout / "solutions/00_tiny.ipynb", 4)
    assert solution.cells[1].outputs[0].text == "42\n" and "SOLUTION" not in solution.cells[1].source

    # a change of text alone keeps the outputs; a hand-edited output is found
    source = checkout / "source/tiny/lecture.py"
    source.write_text(source.read_text().replace("# # Tiny lecture", "# # Small lecture"))
    (stale,) = build.find_stale([p for p in pages(checkout) if p.kind == "notebooks"], pages(checkout))
    assert not stale.needs_run
    run_build(checkout)
    path = checkout / "notebooks/00_tiny.ipynb"
    assert "# Small lecture" in path.read_text()
    path.write_text(path.read_text().replace('"42"', '"43"'))
    (stale,) = build.find_stale([p for p in pages(checkout) if p.kind == "notebooks"], pages(checkout))
    assert stale.reason == "has outputs that the build did not write" and stale.needs_run


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("import sys; print('noise', file=sys.stderr)", "writes to stderr: noise"),
        ("import warnings; warnings.warn('old')", "writes to stderr"),
        ("print('/home/somebody/data.csv')", "shows a path of this machine"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_what_a_learner_would_trip_over_is_not_stored(checkout, cell, words):
    run_build(checkout)
    before = (checkout / "notebooks/00_tiny.ipynb").read_bytes()
    source = checkout / "source/tiny/lecture.py"
    source.write_text(f"{LECTURE}\n# %%\n{cell}\n")
    done = run_build(checkout)
    assert not done.written and words in done.failed[0].error
    assert (checkout / "notebooks/00_tiny.ipynb").read_bytes() == before, "the old notebook stays as it was"


@pytest.mark.parametrize(
    "marker", ["### BEGIN SOLUTON", "### begin solution", "# BEGIN SOLUTION", "### END SOLUTION\n### BEGIN SOLUTION"]
)
def test_a_misspelt_or_unbalanced_marker_stops_the_build(checkout, marker):
    source = checkout / "source/tiny/homework.py"
    source.write_text(HOMEWORK.replace("### BEGIN SOLUTION", marker))
    with pytest.raises(CourseError, match=r"tiny/homework.py cell 2"):
        run_build(checkout)
    assert not (checkout / "exercises").exists()


def test_a_step_with_a_wrong_name_is_refused(checkout):
    (checkout / "source/course.toml").write_text('[[part]]\ntitle = "One"\nsteps = [{ name = "Draft 2" }]\n')
    with pytest.raises(CourseError, match="lower-case words"):
        pages(checkout)


NEW_SHAPE = """
# %% tags=["hide-input"] jupyter={"source_hidden": true}
draw = 1

# %% tags=["claims"]
CHANGES = [{"n": 3}]
assert n == 2

# %% tags=["your-turn"]
...

# %% tags=["your-turn-solution"]
answer = 42

# %% tags=["own-project"]
print("``` alone")
"""


def test_a_lecture_hides_its_proof_and_folds_drawings_and_script(checkout):
    source = checkout / "source/tiny/lecture.py"
    source.write_text(LECTURE + NEW_SHAPE)
    page, *_ = everything = pages(checkout)
    nb = make_notebook(page, everything)
    assert [cell.id for cell in nb.cells] == [f"tiny-0{n}" for n in range(6)]
    drawing, turn, script = nb.cells[3:]
    assert drawing.metadata.jupyter == {"source_hidden": True} and turn.source == "..."
    assert script.cell_type == "markdown", "a script is shown, and never runs"
    assert script.source == (
        '<details><summary>Show the script</summary>\n\n````python\nprint("``` alone")\n````\n\n</details>'
    )
    whole = make_notebook(page, everything, behind=True)
    shown = [cell for cell in whole.cells if "behind" not in cell.id]
    assert len(whole.cells) == 8 and [cell.id for cell in shown] == [cell.id for cell in nb.cells]


def test_a_claim_that_fails_is_named_by_file_line_and_text(checkout):
    source = checkout / "source/tiny/lecture.py"
    source.write_text(LECTURE + NEW_SHAPE)
    page, *_ = everything = pages(checkout)
    nb = make_notebook(page, everything, behind=True)
    assert lectures.variants(page) == {"stored": {}, "n=3": {"n": 3}}
    assert lectures.run(page, nb)[0].ok
    line = source.read_text().splitlines().index("assert n == 2") + 1
    failed = lectures.failure(page, *lectures.run(page, nb, {"n": 3}))
    assert failed == f"source/tiny/lecture.py:{line}: assert n == 2 (AssertionError)"


def test_a_gap_keeps_its_indentation():
    source = "with run:\n    ### BEGIN SOLUTION\n    log(1)\n    ### END SOLUTION\nafter()"
    assert blank(source) == "with run:\n    # YOUR CODE HERE\n    pass\nafter()"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("run 0123456789abcdef0123456789abcdef ok", "run ‹id› ok"),
        ("models:/m-0123456789abcdef0123456789abcdef", "models:/m-‹id›"),
        ("2026-11-21 07:15:01.123 and 2026-11-21T07:15:01Z", "‹time› and ‹time›"),
        ("took 0.37 s, 12 ms", "took ‹n› s, ‹n› ms"),
        ("3 steps, 5 scores, v2.0 s1", "3 steps, 5 scores, v2.0 s1"),
        ("/tmp/x/mlflow-course-ab_1/mlflow.db", "‹course›/mlflow.db"),
        ("http://127.0.0.1:53211/ping", "http://127.0.0.1:‹port›/ping"),
        ("ROC-AUC 0.769 of 500 rows", "ROC-AUC 0.769 of 500 rows"),
    ],
)
def test_masks_hide_what_differs_and_nothing_else(text, masked):
    assert outputs.mask(text) == masked
    assert outputs.mask(masked) == masked, "a masked text stays as it is"


def test_streams_are_joined_and_a_progress_line_keeps_its_end():
    parts = [nbformat.v4.new_output("stream", name="stdout", text=t) for t in ("a\n10%\r", "100%\n", "b")]
    (joined,) = outputs.normalize(parts)
    assert joined.text == "a\n100%\nb"


def test_a_style_sheet_is_stored_as_it_is():
    page = "<style>a { transition: 0.6s }</style><p>done in 0.6 s</p>"
    (stored,) = outputs.normalize([nbformat.v4.new_output("display_data", {"text/html": page})])
    assert stored.data["text/html"] == "<style>a { transition: 0.6s }</style><p>done in ‹n› s</p>"


def test_a_measured_picture_is_kept_while_code_and_text_are_the_same():
    def cell(picture, text="‹n› s"):
        output = nbformat.v4.new_output("display_data", {"image/png": picture, "text/plain": text})
        return nbformat.v4.new_code_cell("plot()", outputs=[output], metadata={"tags": ["measured"]})

    new, old = cell("new"), cell("old")
    outputs.keep_measured(new, old)
    assert new.outputs[0].data["image/png"] == "old"
    other = cell("new", "another finding")
    outputs.keep_measured(other, old)
    assert other.outputs[0].data["image/png"] == "new"


def test_pages_are_chosen_by_number_name_kind_and_path():
    everything = pages(ROOT)
    assert {p.label for p in select(everything, ["5"])} == {
        f"{kind}/05_mlflow_basics.ipynb" for kind in ("notebooks", "solutions", "exercises")
    }
    assert [p.label for p in select(everything, ["notebooks/05_mlflow_basics.ipynb"])] == [
        "notebooks/05_mlflow_basics.ipynb"
    ]
    assert {p.kind for p in select(everything, ["solutions"])} == {"solutions"}
    with pytest.raises(CourseError, match="No notebook of the course is called '44'"):
        select(everything, ["44"])


# ---- what is stale, and what is not -----------------------------------------------------------------------------------


@pytest.fixture
def two_steps(checkout):
    """Two steps that import different helpers, as a build would have left them; nothing is executed."""
    files = {
        "source/course.toml": '[[part]]\ntitle = "One"\nsteps = [{ name = "tiny" }, { name = "other" }]\n',
        "source/tiny/lecture.py": LECTURE
        + '\n# %%\nfrom course_utils import lesson, plots\n\nask = lambda: lesson.quiz("tiny")\n',
        "source/tiny/quiz.json": '{"recall": [], "quiz": []}',
        "source/tiny/homework.py": HOMEWORK + '\n# %%\nhw = lambda: Homework("tiny")\n',
        "source/tiny/checks.py": "TASKS = (1,)\n",
        "source/other/lecture.py": LECTURE.replace("Tiny", "Other")
        + "\n# %%\nfrom course_utils import data\n\nprint(data.__name__)\n",
        "source/other/homework.py": HOMEWORK.replace("tiny", "other"),
        "course_utils/__init__.py": "",
        "course_utils/lesson.py": "quiz = 1\n",
        "course_utils/plots.py": "colour = 'blue'\n",
        "course_utils/data.py": "churn = 0.3\n",
        "course_runner/batch/execute.py": '"""Runs a notebook."""\n\nlimit = 120\n',
    }
    for name, text in files.items():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(text)
    everything = pages(checkout)
    for item in build.find_stale(everything, everything):
        build._write(item, item.nb)
    assert not build.find_stale(everything, everything)
    return checkout


EXECUTED = [f"{kind}/{name}.ipynb" for kind in ("notebooks", "solutions") for name in ("00_tiny", "01_other")]


@pytest.mark.parametrize(
    ("file", "old", "new", "stale", "what"),
    [
        ("source/tiny/quiz.json", '"quiz": []', '"quiz": [1]', ["notebooks/00_tiny.ipynb"], "its quiz"),
        ("source/tiny/checks.py", "1", "2", ["solutions/00_tiny.ipynb"], "the homework's checks"),
        ("course_utils/plots.py", "blue", "red", ["notebooks/00_tiny.ipynb"], "helper code that it imports"),
        ("course_utils/data.py", "0.3", "0.4", ["notebooks/01_other.ipynb"], "helper code that it imports"),
        ("course_runner/batch/execute.py", "120", "60", EXECUTED, "the code that runs notebooks"),
        ("course_runner/batch/execute.py", "Runs a", "Executes one", [], ""),
        ("requirements.lock", "mlflow==3.17.2", "mlflow==3.18.0", EXECUTED, "the locked packages"),
        ("requirements.lock", "numpy==2.4.1", "numpy==2.4.2", EXECUTED, "the locked packages"),
        ("requirements.lock", "ruff==0.16.0", "ruff==0.17.0", [], ""),
    ],
)
def test_an_edit_makes_exactly_what_depends_on_it_stale(two_steps, file, old, new, stale, what):
    text = (two_steps / file).read_text()
    assert old in text
    (two_steps / file).write_text(text.replace(old, new))
    everything = pages(two_steps)
    found = build.find_stale(everything, everything)
    assert [item.page.label for item in found] == stale
    assert {item.reason for item in found} <= {f"was built before {what} changed"}
    finding = doctor._notebooks(two_steps)
    assert finding.ok is not bool(stale) and what in finding.detail


def test_a_build_mends_what_is_stale_without_force(two_steps):
    (two_steps / "source/tiny/quiz.json").write_text('{"recall": [], "quiz": [2]}')
    assert [page.label for page in run_build(two_steps).written] == ["notebooks/00_tiny.ipynb"]
    assert doctor._notebooks(two_steps).ok


def test_a_quiz_that_is_not_json_is_named_with_its_place(two_steps):
    (two_steps / "source/tiny/quiz.json").write_text('{"recall": [],\n "quiz": flase}')
    with pytest.raises(
        CourseError, match=r"source/tiny/quiz\.json is not JSON: .* in line 2, column 10\. Nothing was built"
    ):
        run_build(two_steps)


# ---- files that somebody has worked in ----------------------------------------------------------------------------------


def answer(path):
    """Do a task of an exercise as a learner does, and save it."""
    nb = nbformat.read(path, 4)
    gap = next(cell for cell in nb.cells if "# YOUR CODE HERE" in cell.source)
    gap.source = "my = 'answer'"
    nbformat.write(nb, path)


def test_an_exercise_with_answers_is_left_until_force(two_steps):
    path = two_steps / "exercises/00_tiny.ipynb"
    answer(path)
    source = two_steps / "source/tiny/homework.py"
    source.write_text(source.read_text().replace("given = 1", "given = 2"))
    assert doctor._notebooks(two_steps).detail.startswith("solutions/00_tiny.ipynb"), "answers are no fault"
    mine = [page for page in pages(two_steps) if page.path == path]
    done = build.build(two_steps, mine, workers=1)
    assert done == build.Built(left=[path]) and "my = 'answer'" in path.read_text()
    assert build.build(two_steps, mine, workers=1, force=True).written == mine
    assert "given = 2" in path.read_text() and "answer" not in path.read_text()


def test_new_numbers_keep_outputs_and_answers_and_remove_old_files(two_steps):
    answer(two_steps / "exercises/01_other.ipynb")
    own = two_steps / "notebooks/07_my_notes.ipynb"
    nbformat.write(nbformat.v4.new_notebook(), own)
    order = two_steps / "source/course.toml"
    order.write_text(
        order.read_text().replace('{ name = "tiny" }, { name = "other" }', '{ name = "other" }, { name = "tiny" }')
    )
    everything = pages(two_steps)
    stale = build.find_stale(everything, everything)
    assert len(stale) == 6 and not any(item.needs_run for item in stale), "the same code has the same outputs"
    done = run_build(two_steps)
    assert done.left == [two_steps / "exercises/01_other.ipynb"] and len(done.removed) == 5
    left = {str(path.relative_to(two_steps)) for path in two_steps.glob("*/*.ipynb")}
    new = {
        f"{kind}/{name}.ipynb" for kind in ("notebooks", "solutions", "exercises") for name in ("00_other", "01_tiny")
    }
    assert left == new | {"exercises/01_other.ipynb", "notebooks/07_my_notes.ipynb"}
    first = nbformat.read(two_steps / "notebooks/00_other.ipynb", 4).cells[0].source
    assert "[Homework](../exercises/00_other.ipynb)" in first and "[Tiny lecture →](01_tiny.ipynb)" in first
    assert run_build(two_steps) == build.Built(left=[two_steps / "exercises/01_other.ipynb"])


def test_a_slow_lecture_is_named(two_steps, monkeypatch):
    monkeypatch.setattr(build, "LECTURE_SECONDS", 0)
    monkeypatch.setattr(build, "CELL_SECONDS", 0)
    lecture = [page for page in pages(two_steps) if page.label == "notebooks/01_other.ipynb"]
    done = build.build(two_steps, lecture, workers=1, force=True)
    assert "a lecture should stay under 0 s" in done.slow[0] and "the cell “import time, uuid”" in "".join(
        done.slow[1:]
    )


def test_the_digest_of_code_is_the_same_in_every_python():
    """Python 3.12 and 3.13 each write syntax trees in their own way; all notebooks looked stale there."""
    code = "def f(x, *, w=3):\n    return f'{x:<{w}} {x!r} \"{w}\"'"
    assert origin._same_in_every_python(ast.parse(code)) == (
        "Module(body=[FunctionDef(name='f',args=arguments(args=[arg(arg='x')],kwonlyargs=[arg(arg='w')],"
        "kw_defaults=[Constant(value=3)]),body=[Return(value=JoinedStr(values=[FormattedValue(value=Name(id='x',"
        "ctx=Load()),conversion=-1,format_spec=JoinedStr(values=[Constant(value='<'),FormattedValue(value=Name(id='w',"
        "ctx=Load()),conversion=-1)])),Constant(value=' '),FormattedValue(value=Name(id='x',ctx=Load()),conversion=114),"
        "Constant(value=' \"'),FormattedValue(value=Name(id='w',ctx=Load()),conversion=-1),Constant(value='\"')]))])])"
    )
    changed = [origin._same_in_every_python(ast.parse(code)) for code in ("f()", "f('')", "f(['', 1])", "f([1])")]
    assert len(set(changed)) == 4, "an empty text is a part of the code"
