"""What a class hands in is told apart, whatever it is called and packed in; no file is lost without a word."""

from __future__ import annotations

import io
import json
import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from course_runner.grade import inbox, names, release, unpack
from course_utils._plumbing import steps
from course_utils.errors import CourseError

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests/cases"
#: The cases call the homework by its number in the first edition, ``Homework("03")``; it is told by today's.
BASICS, LOGGING = (steps.find(name).number for name in ("mlflow_basics", "logging"))


def notebook(*code: str, title: str = "") -> bytes:
    cells = [{"cell_type": "markdown", "metadata": {}, "source": title}] if title else []
    cells += [
        {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
        for source in code
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def homework(name: str = "03", more: str = "x = 1") -> bytes:
    return notebook(f'from course_utils.homework import Homework\nhw = Homework("{name}")', more)


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def find(tmp_path):
    """`inbox.find` on a folder, or on files to make first."""
    count = iter(range(99))

    def call(files: Path | dict[str, bytes], homework: str | None = None, store_only: bool = False) -> inbox.Inbox:
        folder = files if isinstance(files, Path) else put(tmp_path / f"in{next(count)}", files)
        scratch = tmp_path / f"scratch{next(count)}"
        scratch.mkdir()
        return inbox.find(folder, homework, store_only, scratch)

    return call


def told(box: inbox.Inbox) -> dict[str, tuple[str, str]]:
    return {s.name: (s.handed.label, s.homework) for s in box.submissions}


def lines(box: inbox.Inbox, weight: str = "look") -> dict[str, str]:
    return {s.name: s.why for s in box.skipped if s.weight == weight}


# ---- the cases that were found ------------------------------------------------------------------------------------------


def test_names_that_canvas_makes(find):
    box = find(CASES / "canvas_names/submissions")
    assert {(s.handed.label, s.homework, s.handed.late, s.handed.order) for s in box.submissions} == {
        ("bergben", BASICS, True, 1),
        ("doezoe", BASICS, False, 0),
    }


def test_what_macos_and_jupyter_leave_behind_is_nobodys_submission(find):
    for number in (None, BASICS):
        box = find(CASES / "mac_zip_leftovers/submissions", number)
        assert told(box) == {"anna/03_mlflow_basics": ("anna", BASICS)} and not lines(box)
        assert set(lines(box, "leftover")) == {"__MACOSX", "anna/.ipynb_checkpoints"}


def test_a_list_number_in_front_is_not_the_homework(find):
    box = find(CASES / "student_number_first/submissions")
    assert set(told(box).values()) == {("07_lee", BASICS), ("10_smith", BASICS)}


def test_seven_learners_are_six_submissions_and_a_line(find):
    box = find(CASES / "submissions_nobody_sees/submissions")
    assert set(told(box).values()) == {(who, BASICS) for who in ("anna", "ben", "cleo", "dan", "fay", "Gül Öz")}
    assert list(lines(box)) == ["eva/03_mlflow_basics.py"]


# ---- an inbox of thirty odd names ---------------------------------------------------------------------------------------

ODD = {
    "Surname First_123_assignsubmission_file_/03_mlflow_basics.ipynb": homework(),
    "Gül Öz_124_assignsubmission_file_.zip": zipped({"03_mlflow_basics.ipynb": homework()}),
    "Name With-Hyphen_125_assignsubmission_file_my notebook.ipynb": homework("mlflow_basics"),
    "curieMarie_123_456_03_mlflow_basics-2.ipynb": homework(),
    "bergben_LATE_4712_9913_homework.ipynb": homework(),
    "1234-567 - Jane Doe - Nov 3, 2026 1123 PM/03_mlflow_basics.ipynb": homework(),
    "Homework 3_jdoe_attempt_2026-11-03-11-23-45_work.ipynb": homework(),
    "homework-3-octocat/exercises/03_mlflow_basics.ipynb": homework(),
    "mlflow-basics-hubot/03_mlflow_basics.ipynb": homework(),
    "anna/my final version (2).ipynb": homework(),
    "ben/03_mlflow_basics.ipynb.txt": homework(),
    "cleo/03_mlflow_basics.json": homework(),
    "dan/03_mlflow_basics.IPYNB": homework(),
    "eva/03_mlflow_basics.py": b'from course_utils.homework import Homework\n\n# %%\nhw = Homework("03")\n\n# %%\nhw.check(1)\n',
    "fay/all.zip": zipped({"inner/more.zip": zipped({"deep/03_mlflow_basics.ipynb": homework()})}),
    "gus/03_mlflow_basics.html": b"<html>exported</html>",
    "hal/homework.pdf": b"%PDF-1.7",
    "ida/homework.rar": b"Rar!",
    "jan/03_mlflow_basics.ipynb": b"",
    "kim/03_mlflow_basics.ipynb": b"{not a notebook",
    "lee_hw3.ipynb": homework(),
    "12345_03_mlflow_basics.ipynb": homework(),
    "Copy of 03_mlflow_basics.ipynb": homework(),
    "homework3 final.ipynb": homework(),
    "mia/Untitled.ipynb": notebook("x = 1", title=f"# Homework {BASICS}: your first experiments"),
    "noa/notes.ipynb": notebook("x = 1"),
    "ola/04_logging.ipynb": homework("03"),
    "pia/homework-99.ipynb": homework("99"),
    "quy/bom.ipynb": b"\xef\xbb\xbf" + homework(),
    "rob/wide.ipynb": homework().decode().encode("utf-16"),
    "sue/broken.zip": b"PK\x03\x04 cut off",
    "\x1b[31mtom/=cmd.ipynb": homework(),
}


def test_an_inbox_of_thirty_odd_names_loses_nothing(find):
    assert len(ODD) >= 30
    box = find(ODD)
    rows, said = told(box), {s.name for s in box.skipped}
    for name in ODD:
        shown = unpack.shown(name)
        stem = shown.removesuffix(".ipynb").removesuffix(".IPYNB")
        assert any(row in (shown, stem) or row.startswith(f"{shown}/") for row in rows) != (shown in said), name
    assert {number for _, number in rows.values()} == {BASICS}
    assert {label for label, _ in rows.values()} == {
        *(
            "Surname First",
            "Gül Öz",
            "Name With-Hyphen",
            "curieMarie",
            "bergben",
            "Jane Doe",
            "jdoe",
            "octocat",
            "hubot",
        ),
        *("anna", "ben", "cleo", "dan", "eva", "fay", "jan", "kim", "lee", "12345", "", "mia", "ola", "quy", "rob"),
        "�[31mtom",
    }
    assert lines(box).keys() == {
        *(
            "gus/03_mlflow_basics.html",
            "hal/homework.pdf",
            "ida/homework.rar",
            "noa/notes.ipynb",
            "pia/homework-99.ipynb",
        ),
        "sue/broken.zip",
    }


def test_what_cannot_be_read_says_why(find):
    box = find(ODD)
    problems = {s.name: s.unreadable() for s in box.submissions if s.unreadable()}
    assert problems.keys() == {"jan/03_mlflow_basics", "kim/03_mlflow_basics"}
    assert "the file is empty" in problems["jan/03_mlflow_basics"]
    why = lines(box)
    assert "ask for the .ipynb file" in why["hal/homework.pdf"] and "--homework" in why["noa/notes.ipynb"]
    assert "there is no homework '99'" in why["pia/homework-99.ipynb"]


# ---- which homework, and whose ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        BASICS,
        str(int(BASICS)),
        "mlflow_basics",
        "MLflow-Basics",
        f"{BASICS}_mlflow_basics",
        "03_mlflow_basics",  # its number in the first edition
        f"hw{BASICS}",
        "hw-mlflow-basics",
        f"homework-{int(BASICS)}",
        f"Homework {int(BASICS)}",
    ],
)
def test_a_homework_has_a_name_and_a_number(text):
    assert names.resolve(text) == BASICS


@pytest.mark.parametrize("text", ["77", "", "mlflow", "anna", "103"])
def test_what_is_no_homework_is_none(text):
    assert names.resolve(text) is None


def test_the_notebook_is_believed_before_its_name_and_the_option(find):
    box = find({"a/04_logging.ipynb": homework("03"), "b/x.ipynb": homework("mlflow_basics")}, LOGGING)
    assert set(told(box).values()) == {("a", BASICS), ("b", BASICS)}
    assert all(f"is homework {BASICS}, not {LOGGING}" in s.flags for s in box.submissions)


def test_a_commented_call_does_not_count_and_a_renamed_class_does(find):
    files = {"a/x.ipynb": notebook('# Homework("04")\nhw = Homework(\n    number="03",\n)')}
    assert told(find(files)) == {"a/x": ("a", BASICS)}


def test_two_homeworks_in_one_notebook_are_two_submissions(find):
    box = find({"a/all.ipynb": notebook('Homework("03")', 'Homework("04")')})
    assert [(s.homework, s.handed.label) for s in box.submissions] == [(BASICS, "a"), (LOGGING, "a")]


def test_a_notebook_may_name_its_learner_and_a_contradiction_is_said(find):
    named = notebook("# Name: Anna Smith", 'Homework("03")')
    box = find({"x/03.ipynb": named, "Ben Berg_9_assignsubmission_file_/03.ipynb": named, "anna.ipynb": named})
    found = {s.name.partition("/")[0]: s.handed for s in box.submissions}
    assert (found["x"].label, found["x"].system) == ("Anna Smith", "notebook")
    assert found["Ben Berg_9_assignsubmission_file_"].label == "Ben Berg"
    assert found["Ben Berg_9_assignsubmission_file_"].remark == "the notebook names Anna Smith"
    assert found["anna"].remark == ""


def test_a_section_of_the_class_is_not_a_learner(find):
    box = find({f"section A/{who}/03.ipynb": homework() for who in ("anna", "ben")} | {"zoe/03.ipynb": homework()})
    assert {s.handed.label for s in box.submissions} == {"anna", "ben", "zoe"}


def test_a_lecture_is_not_taken_for_its_homework(find):
    lecture = (ROOT / f"notebooks/{BASICS}_mlflow_basics.ipynb").read_bytes()
    box = find({"anna/03_mlflow_basics.ipynb": lecture, "ben/03_mlflow_basics.ipynb": homework()})
    assert (
        set(told(box)) == {"ben/03_mlflow_basics"} and f"lecture {BASICS}" in lines(box)["anna/03_mlflow_basics.ipynb"]
    )


def test_a_checkout_gives_the_exercises_that_were_worked_on(find, tmp_path):
    checkout = tmp_path / "class" / "homework-3-octocat"
    for folder in ("notebooks", "exercises", "solutions"):
        shutil.copytree(ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("[!03]*", "*1*"))
    for part in (".git/config", "course_utils/data.py", ".venv/lib/x.ipynb", "runs/1/03_mlflow_basics.ipynb"):
        put(checkout, {part: b"x"})
    text = (checkout / f"exercises/{BASICS}_mlflow_basics.ipynb").read_text()
    (checkout / f"exercises/{BASICS}_mlflow_basics.ipynb").write_text(text.replace("# YOUR CODE HERE", "answer = 1", 1))
    box = find(checkout.parent)
    assert told(box) == {f"homework-3-octocat/exercises/{BASICS}_mlflow_basics": ("octocat", BASICS)}
    aside = lines(box, "aside")
    assert "our own solution" in aside[f"homework-3-octocat/solutions/{BASICS}_mlflow_basics.ipynb"]
    assert f"lecture {BASICS}" in aside[f"homework-3-octocat/notebooks/{BASICS}_mlflow_basics.ipynb"]
    assert "homework-3-octocat/.git/" in aside and "homework-3-octocat/runs/" in aside and not lines(box)


def test_our_solution_and_an_untouched_exercise_are_flagged(find):
    ours = {kind: (ROOT / kind / f"{BASICS}_mlflow_basics.ipynb").read_bytes() for kind in ("solutions", "exercises")}
    box = find({"a/x.ipynb": ours["solutions"], "b/x.ipynb": ours["exercises"]})
    assert [s.flags for s in box.submissions] == [("our solution",), ("untouched",)]


def test_stores_are_found_in_zips_and_a_notebook_without_one_is_a_line(find):
    store = zipped({"work/mlflow.db": b"x", "work/03_mlflow_basics.ipynb": homework()})
    files = {"anna.zip": store, "ben/03_mlflow_basics.ipynb": homework(), "cleo/x.pdf": b"%PDF", "dan/mlflow.db": b"x"}
    box = find(files, store_only=True)
    assert told(box) == {"anna.zip/work": ("anna", BASICS)} and box.submissions[0].store.is_dir()
    why = lines(box)
    assert "without its store" in why["ben/03_mlflow_basics.ipynb"] and "which homework" in why["dan/mlflow.db"]
    assert "a PDF" in why["cleo/x.pdf"] and len(why) == 3


@pytest.mark.parametrize(
    "content",
    [
        {"cells": []},
        {"cells": [1, None, "x"]},
        {"cells": [{"cell_type": "code", "source": [1, 2]}]},
        {"cells": [{"cell_type": "code"}], "metadata": []},
        {"cells": [{"cell_type": "code", "source": 'Homework("03")'}], "metadata": {"authors": 5}},
        {"cells": {}, "worksheets": 3},
        {"worksheets": [{"cells": [{"cell_type": "code", "input": 'Homework("03")'}]}]},
        [1, 2],
        "text",
    ],
)
def test_a_mangled_notebook_is_a_row_or_a_line_and_harms_no_other(find, content):
    box = find({"eve/odd.ipynb": json.dumps(content).encode(), "ben/03.ipynb": homework()})
    names = {s.name for s in (*box.submissions, *box.skipped)}
    assert names in ({"ben/03", "eve/odd"}, {"ben/03", "eve/odd.ipynb"})


def test_a_name_that_is_no_text_is_shown(find, tmp_path):
    folder = put(tmp_path / "odd", {"ben/03.ipynb": homework()})
    with open(bytes(folder) + b"/caf\xe9.ipynb", "wb") as file:
        file.write(homework())
    assert {s.handed.label for s in find(folder).submissions} == {"ben", "caf�"}


# ---- archives that mean harm --------------------------------------------------------------------------------------------


def test_an_archive_writes_nowhere_else_and_its_links_are_not_followed(find, tmp_path):
    link = zipfile.ZipInfo("secret.ipynb")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../outside.ipynb", homework())
        archive.writestr("/tmp/absolute-mlflow-course.ipynb", homework())
        archive.writestr(link, "/etc/passwd")
        archive.writestr("good.ipynb", homework())
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("good.ipynb", homework(more="y = 2"))
    box = find({"eve.zip": buffer.getvalue()})
    assert len(box.submissions) == 2  # two entries of one name are two files
    assert len([why for why in lines(box).values() if "leads out" in why]) == 2
    assert "a link" in lines(box)["eve.zip/secret.ipynb"]
    assert not list(tmp_path.rglob("outside.ipynb")) and not Path("/tmp/absolute-mlflow-course.ipynb").exists()


def test_an_archive_that_unpacks_without_end_is_stopped_and_the_notebook_in_it_read(find, monkeypatch):
    monkeypatch.setattr(unpack, "UNPACKED", 200_000)
    box = find({"eve.zip": zipped({"a.txt": b"0" * 10_000_000, "z/03_mlflow_basics.ipynb": homework()})})
    assert [s.handed.label for s in box.submissions] == ["eve"]
    assert "too large" in {s.name: s.why for s in box.skipped}["eve.zip/a.txt"]


def test_archives_in_archives_end_somewhere(find):
    content = zipped({"03_mlflow_basics.ipynb": homework()})
    for _ in range(4):
        content = zipped({"in.zip": content})
    box = find({"eve.zip": content, "ben/03.ipynb": homework()})
    assert set(told(box).values()) == {("ben", BASICS)} and "more than 3 deep" in "".join(lines(box).values())


def test_a_whole_download_may_be_one_zip(find, tmp_path):
    place = tmp_path / "download.zip"
    place.write_bytes(zipped({"Ann B_7_assignsubmission_file_/03.ipynb": homework()}))
    assert set(told(find(place)).values()) == {("Ann B", BASICS)}


def test_what_an_earlier_call_has_written_was_not_handed_in(tmp_path):
    put(
        tmp_path,
        {"anna.ipynb": homework(), "grades.csv": b"x", "grades_feedback/a.html": b"x", "grades.csv.rows.jsonl": b""},
    )
    box = inbox.find(tmp_path, None, False, tmp_path, tmp_path / "grades.csv")
    assert len(box.submissions) == 1 and not box.skipped


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda p: p.mkdir(), "holds no .ipynb file"),
        (lambda p: p.touch(), "is a file. Give the folder"),
        (lambda p: None, "There is no folder"),
    ],
)
def test_a_folder_without_submissions_is_one_message(tmp_path, prepare, message):
    prepare(tmp_path / "in")
    with pytest.raises(CourseError, match=message):
        inbox.find(tmp_path / "in", None, False, tmp_path)


# ---- the release --------------------------------------------------------------------------------------------------------


def test_a_release_holds_lectures_exercises_and_checks_but_no_answer(tmp_path):
    written = release.write(ROOT, tmp_path / "class")
    there = {p.relative_to(tmp_path / "class").as_posix() for p in (tmp_path / "class").rglob("*") if p.is_file()}
    assert {
        f"notebooks/{BASICS}_mlflow_basics.ipynb",
        f"exercises/{BASICS}_mlflow_basics.ipynb",
        "Makefile",
        "RELEASE.md",
    } <= there
    assert not [name for name in there if name.startswith(("solutions/", "source/homework/", "tests/"))]
    assert written.leaks == () and written.files + 1 == len(there)
    text = (tmp_path / f"class/exercises/{BASICS}_mlflow_basics.ipynb").read_text(encoding="utf8")
    assert "YOUR CODE HERE" in text and "../solutions/" not in text
    with pytest.raises(CourseError, match="not empty"):
        release.write(ROOT, tmp_path / "class")


def test_a_release_tells_of_an_answer_that_still_stands_somewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(release, "LEFT_OUT", ("solutions/*",))
    written = release.write(ROOT, tmp_path / "class")
    assert any(leak.startswith("source/mlflow_basics/homework.py") for leak in written.leaks)


def test_an_argument_of_a_call_is_nobodys_name(find):
    call = 'mlflow.sklearn.log_model(\n    model,\n    name="boosting",\n)'
    assert told(find({f"{who}.ipynb": homework("mlflow_basics", call) for who in ("anna", "ben")})) == {
        "anna": ("anna", BASICS),
        "ben": ("ben", BASICS),
    }
