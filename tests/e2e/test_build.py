"""The build: the same bytes from the same text, only what changed, and no solution that leaks."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

from course_runner.build import build, outputs
from course_runner.build.source import blank, pages, select
from course_runner.kernels import warm
from course_utils.errors import CourseError

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
    assert {p.label for p in select(everything, ["3"])} == {
        f"{kind}/03_mlflow_basics.ipynb" for kind in ("notebooks", "solutions", "exercises")
    }
    assert [p.label for p in select(everything, ["notebooks/03_mlflow_basics.ipynb"])] == [
        "notebooks/03_mlflow_basics.ipynb"
    ]
    assert {p.kind for p in select(everything, ["solutions"])} == {"solutions"}
    with pytest.raises(CourseError, match="No notebook of the course is called '44'"):
        select(everything, ["44"])
