"""From verdicts to grades: roster, attempts, late days, changes by hand, upload files, feedback, report, what is alike."""

from __future__ import annotations

import csv
import os
import re
import sys
import zipfile
from datetime import datetime
from pathlib import Path

import pytest

from course_runner.cli import app as cli
from course_runner.grade import exports, feedback, gradebook, grading, report, similar
from course_runner.grade.grading import Grade
from course_runner.grade.inbox import Submission
from course_runner.grade.names import Handed
from course_runner.grade.roster import Roster
from course_runner.grade.rules import Rule, read_changes
from course_runner.grade.unpack import Skipped
from course_utils._judge.task import load_tasks
from course_utils.errors import CourseError
from tests.unit.test_inbox import BASICS, LOGGING, homework, put

DUE = "2026-11-30T23:59"
MOODLE = """\ufeffFirst name,Last name,ID number,Email address
Zoe,Doe,1001,zoe@uni.example
Gül,Öz,1002,gul@uni.example
Jörg,Müller,1003,jm@uni.example
Ann,Lee,7,al@uni.example
Bob,Lee,8,bl@uni.example
"""


def stamp(text: str) -> float:
    return datetime.fromisoformat(text).astimezone().timestamp()


def line(
    label: str,
    points: float = 6,
    *,
    name: str = "",
    homework: str = BASICS,
    code: str = "value-wrong",
    status="ok",
    **more,
) -> tuple[Submission, Grade]:
    """A submission and its verdict: tasks 1 to 3 have two points each, and the last ones are wrong."""
    source = more.pop("source", ())
    flags = more.pop("flags", ())
    name = name or f"{label}/03"
    tasks = [
        {
            "task": n,
            "title": f"title {n}",
            "points": 2 if 2 * n <= points else 0,
            "of": 2,
            "code": "ok" if 2 * n <= points else code,
            "message": "Right." if 2 * n <= points else f"`auc` is <b>not</b> right, {label}",
        }
        for n in (1, 2, 3)
    ]
    submission = Submission(name, homework, Path(name), None, Handed(label, **more), flags, source)
    return submission, Grade(name, homework, sum(t["points"] for t in tasks), 6, status, 1.0, "0" * 16, tasks)


def fill(*lines: tuple[Submission, Grade], **more) -> gradebook.Gradebook:
    return gradebook.fill([s for s, _ in lines], [g for _, g in lines], **more)


def read(path: Path) -> list[dict[str, str]]:
    assert path.read_bytes().startswith(b"\xef\xbb\xbf"), "a spreadsheet needs the mark to read UTF-8"
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def roster(tmp_path):
    (tmp_path / "class.csv").write_text(MOODLE, encoding="utf8")
    return Roster.read(tmp_path / "class.csv")


# ---- the roster ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("handed", "name", "how"),
    [
        (Handed("Oz Gul", ("123",), "Moodle"), "Gül Öz", "name"),
        (Handed("doezoe", ("4711",), "Canvas"), "Zoe Doe", "name"),
        (Handed("muellerjoerg", ("4712",), "Canvas"), "Jörg Müller", "name"),
        (Handed("Joerg Mueller"), "Jörg Müller", "name"),
        (Handed("07_lee"), "Ann Lee", "id"),
        (Handed("1002"), "Gül Öz", "id"),
        (Handed("zoe", ("zoe",), "GitHub Classroom"), "Zoe Doe", "e-mail"),
        (Handed("somebody", ("bl@uni.example",), "notebook"), "Bob Lee", "e-mail"),
        (Handed("müller"), "Jörg Müller", "part of the name"),
    ],
)
def test_a_learner_is_found_by_id_mail_or_name(roster, handed, name, how):
    person, joined, problem = roster.join(handed)
    assert (person.name, joined, problem) == (name, how, "")


@pytest.mark.parametrize(
    ("label", "problem"),
    [
        ("lee", "part of the name fits 2 on the roster: Ann Lee, Bob Lee"),
        ("1001_müller", "the id is Zoe Doe's, the name Jörg Müller's"),
        ("nobody", "nobody on the roster"),
        ("", "no name in its path"),
    ],
)
def test_who_is_not_certain_is_said_and_not_guessed(roster, label, problem):
    person, _, said = roster.join(Handed(label))
    assert person is None and problem in said
    book = fill(line(label, name="x/03"), roster=roster)
    assert any("x/03: whose is it?" in problem for problem in book.problems)


@pytest.mark.parametrize(
    "text",
    [
        "id;name;e-mail\n1;Zoe Doe;z@x.example\n",
        "sep=\t\nMatrikelnummer\tNachname\tVorname\tE-Mail\n1\tDoe\tZoe\tz@x.example\n",
        'Student,ID,SIS User ID,SIS Login ID,Section\n    Points Possible,,,,\n"Doe, Zoe",1,u1,z@x.example,A\n',
        "OrgDefinedId,Username,Last Name,First Name,Email\n#1,#zdoe,Doe,Zoe,z@x.example\n",
    ],
)
def test_rosters_of_many_makers_are_read(tmp_path, text):
    for encoding in ("utf-8-sig", "utf-16", "cp1252"):
        (tmp_path / "class.csv").write_bytes(text.encode(encoding))
        (person,) = Roster.read(tmp_path / "class.csv").people
        assert (person.id, person.name) == ("1", "Zoe Doe")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "no column with names: I see a, b"),
        ("id,name\n1,A\n1,B\n", "lines 2 and 3 have the same id 1"),
        ("", "no lines"),
    ],
)
def test_a_roster_that_cannot_be_used_is_one_message(tmp_path, text, message):
    (tmp_path / "class.csv").write_text(text)
    with pytest.raises(CourseError, match=message):
        Roster.read(tmp_path / "class.csv")


def test_who_handed_in_nothing_is_listed(roster, tmp_path):
    book = fill(line("Zoe Doe"), roster=roster)
    assert [e.learner for e in book.missing()] == ["Gül Öz", "Jörg Müller", "Ann Lee", "Bob Lee"]
    rows = read(exports.Table().write(book, roster, tmp_path / "g.csv")[0])
    assert [row["status"] for row in rows] == ["ok"] + ["nothing handed in"] * 4
    assert rows[0]["id"] == "1001" and rows[0]["email"] == "zoe@uni.example"


# ---- attempts and late days ---------------------------------------------------------------------------------------------


def two_attempts():
    early = line("zoe", 6, name="zoe/a", time=stamp("2026-11-29T10:00"), time_from="archive")
    late = line("zoe", 4, name="zoe/b", time=stamp("2026-12-02T10:00"), time_from="archive")
    return late, early


@pytest.mark.parametrize(("attempt", "counts", "points"), [("latest", "zoe/b", 4), ("best", "zoe/a", 6)])
def test_the_latest_or_the_best_attempt_counts_and_both_are_listed(attempt, counts, points):
    book = fill(*two_attempts(), rule=Rule(attempt))
    (chosen,) = book.counting()
    assert (chosen.grade.submission, chosen.points) == (counts, points)
    assert {e.grade.submission: e.attempt for e in book.entries} == {"zoe/a": 1, "zoe/b": 2}


def test_each_started_day_costs_its_share():
    book = fill(*two_attempts(), rule=Rule.read("latest", DUE, "10%"))
    (chosen,) = book.counting()
    assert (chosen.late_days, chosen.penalty, chosen.points) == (2, 0.8, 3.2)
    assert "2 days (the time in the archive)" in chosen.late
    (chosen,) = fill(*two_attempts(), rule=Rule.read("latest", DUE, "0.5")).counting()
    assert chosen.points == 3


def test_canvas_knows_who_was_late_whatever_the_file_says():
    downloaded = stamp("2026-12-10T08:00")
    marked = line("doezoe", system="Canvas", late=True, time=stamp("2026-12-01T08:00"), time_from="file")
    in_time = line("bergben", system="Canvas", time=downloaded, time_from="file")
    late, not_late = fill(marked, in_time, rule=Rule.read("latest", DUE, "10%")).entries
    assert (late.late_days, late.points) == (1, 5.4) and (not_late.late_days, not_late.points) == (0, 6)


def test_files_that_were_unpacked_at_once_make_nobody_late():
    lines = [line(who, time=stamp("2026-12-10T08:00") + n, time_from="file") for n, who in enumerate("abc")]
    book = fill(*lines, rule=Rule.read("latest", DUE, "10%"))
    assert {e.points for e in book.entries} == {6} and "that of their unpacking" in book.problems[0]


def test_an_attempt_that_our_machine_failed_to_run_does_not_count_before_one_that_ran():
    ran, failed = two_attempts()[1], line("zoe", 0, name="zoe/b", status="no kernel could be started", order=9)
    assert [e.grade.submission for e in fill(failed, ran).counting()] == ["zoe/a"]


def test_two_learners_of_one_name_are_not_one(roster):
    lines = [line("Doe Zoe", n, name=f"{n}/03", system="Moodle", ids=(str(n),)) for n in (2, 4)]
    assert len(fill(*lines).counting()) == 2
    book = fill(*lines, roster=roster)
    assert len(book.counting()) == 1 and "may be somebody else's" in book.problems[0]


@pytest.mark.parametrize(
    "words", [("newest", None, None), ("latest", "tomorrow", None), ("latest", DUE, "ten"), ("latest", DUE, "200%")]
)
def test_a_rule_that_cannot_be_read_is_one_message(words):
    with pytest.raises(CourseError, match="Write"):
        Rule.read(*words)


# ---- changes by hand ----------------------------------------------------------------------------------------------------


def changes(tmp_path: Path, *rows: str) -> list:
    (tmp_path / "c.csv").write_text("learner,homework,task,points,remark\n" + "\n".join(rows) + "\n", encoding="utf8")
    return read_changes(tmp_path / "c.csv")


def test_changes_by_hand_win_and_are_explained(roster, tmp_path):
    edited = changes(
        tmp_path,
        f"1001,{BASICS},3,1,half right",
        "Gül Öz,mlflow_basics,,5.5,talked about it",
        f"Ann Lee,hw{BASICS},,4,on paper",
    )
    book = fill(line("doezoe", 4, system="Canvas"), line("Gul Oz", 2), roster=roster, changes=edited)
    points = {e.learner: e.points for e in book.counting()}
    assert points == {"Zoe Doe": 5, "Gül Öz": 5.5, "Ann Lee": 4} and not book.problems
    assert "Ann Lee" not in [e.learner for e in book.missing()]
    page = feedback.write(tmp_path / "f", book)[feedback.slug(book.entries[0])].read_text(encoding="utf8")
    assert "half right" in page and "5 of 6 points" in page


def test_a_change_for_nobody_is_said(tmp_path):
    book = fill(line("zoe"), changes=changes(tmp_path, f"noone,{BASICS},1,2,", f"zoe,{BASICS},9,2,"))
    assert len(book.problems) == 2 and "line 2" in book.problems[0] and "no task 9" in book.problems[1]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("zoe,77,1,2,", "no homework '77'"),
        (f"zoe,{BASICS},one,2,", "not a number"),
        (f"zoe,{BASICS},1,nan,", "number of points"),
        (f"zoe,{BASICS},1,-1,", "points"),
    ],
)
def test_a_change_that_cannot_be_read_is_one_message(tmp_path, row, message):
    with pytest.raises(CourseError, match=message) as told:
        changes(tmp_path, row)
    assert "line 2" in str(told.value)


# ---- upload files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd()", "'=cmd()"),
        (" +1", " '+1"),
        ("\t=1", " '=1"),
        ("＝1", "'＝1"),
        ("a;=1", "a;'=1"),
        ("a\x1b[31mb", "a [31mb"),
        ("Jean-Luc", "Jean-Luc"),
        (4.5, 4.5),
    ],
)
def test_no_cell_is_a_formula_or_obeyed_by_a_terminal(text, cell):
    assert exports.safe(text) == cell


def test_every_file_that_a_spreadsheet_opens_is_safe(tmp_path):
    bad = "=HYPERLINK(1)"
    book = fill(line(bad, 4, name=f"{bad}/x", code="@code"), line("zoe"))
    files = [p for e in exports.EXPORTS.values() for p in e.write(book, None, tmp_path / "g.csv")]
    files += [exports.write_skipped(tmp_path / "g.csv", [Skipped(bad, bad)])]
    files += [p for p in report.write(tmp_path / "g.csv", book, [], 1) if p.suffix == ".csv"]
    assert len(files) == 5
    for path in files:
        assert not [c for row in read(path) for c in (*row, *row.values()) if re.match(r"\s*[=+\-@]", str(c))], path


def test_moodle_gets_its_worksheet(roster, tmp_path):
    lines = [line("Doe Zoe", 4, system="Moodle", ids=("123",)), line("lee", 6)]
    (path,) = exports.Moodle().write(fill(*lines, roster=roster), roster, tmp_path / "g.csv")
    (row,) = read(path)  # who is not certain is not uploaded
    assert path.name == f"g_moodle_{BASICS}.csv"
    assert (row["Identifier"], row["Full name"], row["Grade"]) == ("Participant 123", "Zoe Doe", "4")
    assert {"Last modified (grade)", "Maximum Grade", "Feedback comments"} <= row.keys()


def test_moodle_gets_the_feedback_back_under_its_own_names(tmp_path):
    name = "Doe Zoe_123_assignsubmission_file_.zip/03"
    book = fill(line("Doe Zoe", 4, name=name, system="Moodle", ids=("123",)), line("ben"))
    pages = feedback.write(tmp_path / "f", book)
    (path,) = feedback.moodle_zips(tmp_path / "g.csv", book, pages)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["Doe Zoe_123_assignsubmission_file_/feedback.html"]
        assert b"right, Doe Zoe" in archive.read(archive.namelist()[0])


def test_canvas_gets_its_ids_and_the_columns_of_its_own_export(tmp_path):
    head = f"Student,ID,SIS User ID,SIS Login ID,Section,Homework {int(BASICS)} (991)"
    own = f'{head}\n    Points Possible,,,,,6\n"Doe, Zoe",4711,u1,zdoe,A,\n'
    (tmp_path / "canvas.csv").write_text(own)
    roster = Roster.read(tmp_path / "canvas.csv")
    book = fill(line("doezoe", 4, system="Canvas", ids=("4711",)), roster=roster)
    (path,) = exports.Canvas().write(book, roster, tmp_path / "g.csv")
    possible, row = read(path)
    assert possible["Student"].strip() == "Points Possible" and possible[f"Homework {int(BASICS)} (991)"] == "6"
    assert row == {
        **{"Student": "Doe, Zoe", "ID": "4711", "SIS User ID": "u1", "SIS Login ID": "zdoe", "Section": "A"},
        f"Homework {int(BASICS)} (991)": "4",
    }


# ---- feedback and report ------------------------------------------------------------------------------------------------


def test_a_learner_gets_a_page_with_every_message_and_nobody_elses(tmp_path):
    book = fill(line("zoe", 2, name="zoe/<03>"), line("ben", 6))
    pages = feedback.write(tmp_path / "f", book)
    text = pages[feedback.slug(book.entries[0])].read_text(encoding="utf8")
    assert "title 2" in text and "<code>auc</code> is &lt;b&gt;not&lt;/b&gt; right, zoe" in text
    assert "<b>" not in text and "zoe/&lt;03&gt;" in text and "ben" not in text and len(pages) == 2


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("blank", "nothing is filled in"),
        ("SyntaxError (code cell 4)", "Code cell 4 is not valid Python"),
        ("asks for input (code cell 2)", "waits for somebody to type"),
        ("missing package xgboost (code cell 2)", "imports `xgboost`"),
        ("NameError (code cell 2)", "stopped with NameError"),
        ("not a notebook (the file is empty)", "could not be read"),
    ],
)
def test_a_status_is_explained(status, words):
    assert words in feedback.explain(status)


def test_the_report_counts_learners_not_attempts_and_its_picture_has_words(tmp_path):
    twice = [line("zoe", 4, name=f"zoe/{n}", order=n) for n in (1, 2)]
    book = fill(*twice, line("ben", 4))
    page, *others = report.write(tmp_path / "g.csv", book, [Skipped("eva/x.pdf", "a PDF")], 4242)
    (row,) = read(tmp_path / "g_mistakes.csv")
    assert (row["task"], row["mistake"], row["learners"]) == ("3", "value-wrong", "2")
    text = page.read_text(encoding="utf8")
    assert re.search(r'<img src="data:image/png;base64,[^"]+" alt="[^"]*value-wrong[^"]* 2', text)
    assert "eva/x.pdf" in text and "ben, zoe" in text or "zoe, ben" in text
    assert "g_feedback/zoe-" in text and tmp_path / "g_mistakes.png" in others


# ---- what is alike ------------------------------------------------------------------------------------------------------

ANSWER = """with mlflow.start_run(run_name="forest"):
    forest = RandomForestClassifier(n_estimators=60, max_depth=4, random_state=0)
    forest.fit(split.X_train, split.y_train)
    score = roc_auc_score(split.y_test, forest.predict_proba(split.X_test)[:, 1])
    mlflow.log_metric("test_auc", score)"""
OTHER = """import mlflow.sklearn as sk
features, labels = split.X_train.to_numpy(), split.y_train.to_numpy()
model = RandomForestClassifier(60, random_state=0, max_depth=4).fit(features, labels)
run = mlflow.start_run(run_name="forest")
chances = model.predict_proba(split.X_test.to_numpy())
mlflow.log_metrics({"test_auc": float(roc_auc_score(split.y_test, chances[:, 1]))})
mlflow.end_run()"""


def test_hand_ins_that_are_equal_or_renamed_stand_side_by_side():
    shipped = ("import mlflow", 'hw = Homework("mlflow_basics")')
    renamed = (
        ANSWER.replace("forest =", "model =")
        .replace("forest.", "model.")
        .replace("score", "s")
        .replace("roc_auc_s", "roc_auc_score")
    )
    lines = [
        line("ann", source=(*shipped, ANSWER)),
        line("ben", source=(*shipped, "# mine\n" + ANSWER + "\n\n")),
        line("cleo", source=(*shipped, renamed)),
        line("dan", source=(*shipped, OTHER)),
        line("eva", source=shipped),
        line("fay", source=shipped),
    ]
    pairs = similar.find(fill(*lines).entries)
    assert {(p.one, p.other, p.equal) for p in pairs if "our solution" not in (p.one, p.other)} == {
        ("ann", "ben", True),
        ("ann", "cleo", False),
        ("ben", "cleo", False),
    }
    shown = similar.side_by_side(next(p for p in pairs if not p.equal))
    assert "≠" in shown and "mlflow.log_metric(&quot;test_auc&quot;" in shown and "Homework" not in shown


# ---- the verb, with verdicts instead of runs ----------------------------------------------------------------------------


@pytest.fixture
def grade(tmp_path, monkeypatch, capsys):
    """`course grade` on files, without running a notebook: exit code, what was shown, and the notebooks that would have run."""
    ran: list[str] = []

    def verdict(submission, means):
        ran.append(submission.name)
        tasks = [
            {"task": n, "title": t.title, "points": t.points, "of": t.points, "code": "ok", "message": "Right."}
            for n, t in enumerate(load_tasks(submission.homework), 1)
        ]
        return "ok", tasks

    monkeypatch.setattr(grading, "_grade", verdict)

    def call(files: dict[str, bytes], *words: object) -> tuple[int, str, list[str]]:
        ran.clear()
        put(tmp_path / "handed in", files)
        out = [] if "-o" in words else ["-o", tmp_path / "g.csv"]
        monkeypatch.setattr(
            sys, "argv", ["course", *map(str, ("grade", tmp_path / "handed in", *out, "-j", 1, *words))]
        )
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        return ended.value.code or 0, shown.out + shown.err, list(ran)

    return call


def test_all_is_well_is_zero_and_a_file_to_look_at_is_one(grade, tmp_path):
    code, shown, ran = grade({"anna/03.ipynb": homework()})
    assert code == 0 and ran == ["anna/03"] and "1 submissions graded" in shown
    code, shown, ran = grade({"eva/03.pdf": b"%PDF"})
    assert code == 1 and "Look at: eva/03.pdf: a PDF" in shown and ran == []
    assert read(tmp_path / "g_not_graded.csv")[0]["file"] == "eva/03.pdf"


def test_only_what_changed_is_graded_again(grade, monkeypatch):
    files = {f"{who}/03.ipynb": homework(more=f"x = {who!r}") for who in ("anna", "ben")}
    assert grade(files)[2] == ["anna/03", "ben/03"]
    assert grade(files)[2] == []
    assert grade(files | {"ben/03.ipynb": homework(more="x = 2")})[2] == ["ben/03"]
    monkeypatch.setattr(grading, "checks_digest", lambda number: "other checks")
    assert grade(files | {"ben/03.ipynb": homework(more="x = 2")})[2] == ["anna/03", "ben/03"]
    assert grade(files, "--seed", 7)[2] == ["anna/03", "ben/03"] and grade(files, "--fresh")[2] == ["anna/03", "ben/03"]


def test_the_digest_follows_the_checks_and_not_the_pages_around():
    one, other = grading.checks_digest(BASICS), grading.checks_digest(LOGGING)
    assert one != other and len(one) == 16 == len(other)


def test_a_table_that_was_edited_is_kept_and_changes_last(grade, tmp_path):
    files = {"anna/03.ipynb": homework()}
    grade(files)
    table = tmp_path / "g.csv"
    table.write_text(table.read_text(encoding="utf8").replace(",8,8,8,", ",1,8,8,"), encoding="utf8")
    (tmp_path / "g_changes.csv").write_text(f"learner,homework,task,points,remark\nanna,{BASICS},1,1,late help\n")
    code, shown, _ = grade(files)
    assert code == 0 and "was edited since the last call" in shown
    assert ",1,8,8," in (tmp_path / "g.edited-1.csv").read_text(encoding="utf8")
    assert read(table)[0]["points"] == "7" and "late help" in read(table)[0]["remarks"]
    assert "was edited" not in grade(files)[1]


def test_a_stop_keeps_what_is_graded_and_says_how_to_go_on(grade, monkeypatch):
    files = {f"{who}/03.ipynb": homework(more=f"x = {who!r}") for who in ("anna", "ben")}
    sane, seen = grading._grade, []

    def stopped(submission, means):
        seen.append(submission.name)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return sane(submission, means)

    monkeypatch.setattr(grading, "_grade", stopped)
    code, shown, _ = grade(files)
    assert code == 130 and re.search(r"continue with: course grade '[^']*handed in' -o", shown)
    monkeypatch.setattr(grading, "_grade", sane)
    assert grade(files)[2] == ["ben/03"]


def test_a_defect_in_one_submission_never_ends_the_call(grade, monkeypatch):
    sane = grading._grade

    def broken(submission, means):
        if submission.name.startswith("ben"):
            raise ValueError("unexpected")
        return sane(submission, means)

    monkeypatch.setattr(grading, "_grade", broken)
    code, shown, _ = grade({f"{who}/03.ipynb": homework() for who in ("anna", "ben")})
    assert code == 1 and "ben/03: cannot be graded" in shown and "2 submissions graded" in shown


def test_the_times_of_files_are_those_of_handing_in(grade, tmp_path):
    files = {"anna/03.ipynb": homework(), "ben/03.ipynb": homework(more="x = 2")}
    put(tmp_path / "handed in", files)
    for who, when in (("anna", "2026-11-29T10:00"), ("ben", "2026-12-01T10:00")):
        os.utime(tmp_path / "handed in" / who / "03.ipynb", (stamp(when), stamp(when)))
    put_again = {}
    grade(put_again, "--due", DUE, "--late-per-day", "10%")
    assert [row["points"] for row in read(tmp_path / "g.csv")] == ["8", "7.2"]
