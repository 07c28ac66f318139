"""`course grade`: honest work gets its points under another seed, hostile work gets a row and harms nothing."""

from __future__ import annotations

import csv
import json
import shutil
import socket
import sys
import threading
from pathlib import Path

import nbformat
import psutil
import pytest

from course_runner.cli import app as cli
from course_runner.grade import grading, inbox, sandbox
from course_utils._judge.task import load_tasks
from tests.submissions.tools import answer_text, append, script, swap

from .test_runner import course

ROOT = Path(__file__).resolve().parents[2]
ISOLATED = sandbox.bubblewrap() is not None


def hand_in(path: Path, *cells: str) -> Path:
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(nb), encoding="utf8")
    return path


def answer(task: int, text) -> list[str]:
    return script("mlflow_basics", task, answer_text("mlflow_basics", task, text))


SETUP = answer(1, "pass")[0]
GOOD = answer(1, append(""))[1]


def in_process(monkeypatch, *words) -> int:
    """Run the command here, without a second import of everything, and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["course", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code or 0


class Listener:
    """A server on this machine that counts who calls."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.calls = self.socket.getsockname()[1], 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.calls += 1
            connection.close()


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("handed-in")
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.txt").write_text("exam questions")
    listener = Listener()
    # Metadata gone, cells in one notebook under a name of the learner's, check cells deleted.
    hand_in(folder / "anna" / "my final version (2).ipynb", SETUP, GOOD, GOOD)
    # The right number for everybody's own seed, typed in.
    typed = answer(1, swap("roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1])", "0.7654321"))[1]
    hand_in(folder / "ben.ipynb", SETUP, typed)
    hand_in(
        folder / "hostile.ipynb",
        SETUP,
        # forge what the runner and the checker might read, shadow the course's package
        "import json, os, pathlib\n"
        "pathlib.Path('run.json').write_text(json.dumps({'status': 'ok', 'points': 6}))\n"
        "os.makedirs('course_utils', exist_ok=True); pathlib.Path('course_utils/__init__.py').write_text('1/0')\n"
        "pathlib.Path('sitecustomize.py').write_text('import os; os._exit(0)')",
        f"import pathlib; pathlib.Path({str(outside / 'written.txt')!r}).write_text('was here')",
        f"import shutil; shutil.copy({str(outside / 'secret.txt')!r}, 'outputs')",
        f"import socket; socket.create_connection(('127.0.0.1', {listener.port}), 2)",
        f"import subprocess; subprocess.Popen(['sleep', '765.{listener.port}'], start_new_session=True)",
        "for _ in range(200): print('x' * 1_000_000)",
        "while True: pass",
        # and cheat: every client answers what the check wants to hear
        "import mlflow\nfrom course_utils.homework import Homework, question\n"
        "question.run_check = lambda *a, **k: question.Result(1, 'ok', '', 2)\n"
        "mlflow.MlflowClient.search_runs = lambda *a, **k: 1/0\nmlflow.get_run = lambda *a: 1/0",
    )
    # Even root is nobody inside, or it could mount a read-only folder writable again.
    powerless = (
        "int(open('/proc/self/status').read().split('CapPrm:')[1].split()[0], 16) == 0 or __import__('os')._exit(1)"
    )
    hand_in(folder / "exit.ipynb", powerless if ISOLATED else "", SETUP, GOOD, "import os; os._exit(0)")
    (folder / "link.ipynb").symlink_to(outside / "secret.txt")
    (folder / "broken.ipynb").write_text("{not a notebook")
    target = tmp_path_factory.mktemp("grades") / "grades.csv"
    done = course("grade", folder, "-o", target, "--homework", "03", "--cell-timeout", "20")
    assert done.returncode == 1, done.stderr  # two files could not be read
    with target.open(encoding="utf-8-sig") as file:
        rows = {row["submission"]: row for row in csv.DictReader(file)}
    return rows, outside, listener, target, done, folder


def test_honest_work_in_a_renamed_and_doubled_notebook_gets_its_points(graded):
    row = graded[0]["anna/my final version (2)"]
    assert (row["task1"], row["task1_code"], row["status"]) == ("2", "ok", "ok")
    assert row["task2_code"] == "not-started" and row["points"] == "2"


def test_a_number_typed_in_fails_under_another_seed(graded):
    assert graded[0]["ben"]["task1_code"] == "value-wrong"


def test_hostile_work_gets_a_row_and_no_points(graded):
    row = graded[0]["hostile"]
    assert row["points"] == "0" and row["task1_code"] == "not-started" and row["status"] == "timeout"


@pytest.mark.skipif(not ISOLATED, reason="needs bubblewrap; without it `course grade` says that files are not isolated")
def test_hostile_work_writes_reads_and_calls_nothing_outside(graded):
    _, outside, listener, *_ = graded
    assert not (outside / "written.txt").exists() and listener.calls == 0


def test_nothing_that_a_submission_started_goes_on(graded):
    commands = {" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])}
    assert f"sleep 765.{graded[2].port}" not in commands


def test_work_before_a_dead_kernel_counts(graded):
    row = graded[0]["exit"]
    assert (row["task1_code"], row["status"]) == ("ok", "kernel died")


def test_what_is_no_notebook_is_a_row_too(graded):
    assert "not a notebook" in graded[0]["broken"]["status"] and graded[0]["broken"]["points"] == "0"


def test_a_link_is_not_followed(graded):
    row = graded[0]["link"]
    assert row["status"] == "a link or a device, not a file" and row["task1_code"] == "not-graded"


def test_the_isolation_is_stated_and_mistakes_are_counted(graded):
    _, _, _, target, done, _ = graded
    assert "Isolation: " in done.stderr and ("bubblewrap." in done.stderr) == ISOLATED
    with target.with_name("grades_mistakes.csv").open(encoding="utf-8-sig") as file:
        counts = {(r["task"], r["mistake"]): int(r["learners"]) for r in csv.DictReader(file)}
    assert counts["1", "value-wrong"] == 1 and counts["4", "not-started"] == 4  # broken and link were not judged
    assert target.with_name("grades_mistakes.png").stat().st_size > 5000


def test_a_second_call_runs_nobody_again(graded, tmp_path):
    rows, _, _, target, first, folder = graded
    assert "[6/6]" in first.stderr and "6 submissions graded" in first.stdout
    run_again: list[grading.Grade] = []
    found = inbox.find(folder, "03", False, tmp_path).submissions
    limits = sandbox.Limits(wall=120, cpu=120)
    again = grading.grade(found, target, seed=4242, workers=1, limits=limits, cell_timeout=20, on_row=run_again.append)
    # What could not be read is looked at again.
    assert [row.submission for row in run_again] == ["broken", "link"]
    assert {row.submission: f"{row.points:g}" for row in again} == {name: row["points"] for name, row in rows.items()}


def test_store_only_reads_stores_and_runs_no_code(course_home, tmp_path, monkeypatch):
    from tests.submissions.tools import attempt, solution

    assert attempt("mlflow_basics", 1, solution("mlflow_basics", 1)).passed
    place = tmp_path / "carla"
    place.mkdir()
    shutil.copy(course_home / "mlflow.db", place)
    for folder in ("outputs", "mlartifacts"):  # the homework asks for a model, too
        if (course_home / folder).is_dir():
            shutil.copytree(course_home / folder, place / folder)
    hand_in(place / "05_mine.ipynb", f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()")
    assert in_process(monkeypatch, "grade", tmp_path, "--store-only", "-o", tmp_path / "grades.csv") == 0
    with (tmp_path / "grades.csv").open(encoding="utf-8-sig") as file:
        (row,) = csv.DictReader(file)
    assert (row["submission"], row["task1_code"], row["status"]) == ("carla", "ok", "store only")
    assert not (tmp_path / "ran").exists()


def test_each_way_to_stop_has_its_own_status(tmp_path):
    """Blank, SyntaxError, input() and a missing package are four statuses, and the learner is told the message."""
    folder = tmp_path / "handed-in"
    shutil.copytree(ROOT / "tests/cases/mac_zip_leftovers/submissions", folder)
    (handed,) = (folder / "anna").glob("[!.]*.ipynb")
    shutil.copy(ROOT / "solutions/05_mlflow_basics.ipynb", handed)
    (folder / "blank").mkdir()
    shutil.copy(ROOT / "exercises/05_mlflow_basics.ipynb", folder / "blank")
    hand_in(folder / "syntax.ipynb", 'Homework("03"', "x = 1")
    hand_in(folder / "asks.ipynb", "input('your name')")
    hand_in(folder / "missing.ipynb", "import a_package_nobody_has")
    done = course("grade", folder, "-o", tmp_path / "g.csv", "--homework", "03")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "g.csv").open(encoding="utf-8-sig") as file:
        rows = {row["learner"]: row for row in csv.DictReader(file)}
    assert {who: row["status"] for who, row in rows.items()} == {
        "anna": "ok",
        "blank": "blank",
        "syntax": "SyntaxError (code cell 1)",
        "asks": "asks for input (code cell 1)",
        "missing": "missing package a_package_nobody_has (code cell 1)",
    }
    assert rows["anna"]["points"] == "8" and {rows[who]["points"] for who in rows if who != "anna"} == {"0"}
    (page,) = (tmp_path / "g_feedback").glob("anna-*.html")
    praise = load_tasks("mlflow_basics")[0].praise.split(".")[0].partition("`")[0].strip()
    assert praise and praise in page.read_text(encoding="utf8")


#: Cells → status of a notebook of them, when a cell may take a second. The last one, `AFTER`, leaves a file.
AFTER = "open('after', 'w').close()"
ENDS = {
    "display": (["display({'a': 1})", "print('x')", "", AFTER], "ok"),
    "top-level await": (["import asyncio\nawait asyncio.sleep(0)", AFTER], "ok"),
    "skops before its time": (
        [
            "import skops.io, dask, pytest\nfrom sklearn.externals.array_api_compat.dask import array",
            "from sklearn.linear_model import Ridge",
            "assert skops.io.get_untrusted_types(data=skops.io.dumps(Ridge())) == []",
            AFTER,
        ],
        "ok",
    ),
    "models and packages as elsewhere": (
        [
            "import importlib.metadata, importlib_metadata, json, subprocess, sys, yaml, zipfile",
            "assert importlib_metadata.packages_distributions() == importlib.metadata.packages_distributions()",
            "assert 'scikit-learn' in importlib_metadata.packages_distributions()['sklearn']",
            "code = 'import importlib.metadata as m; print(sorted(map(str, m.entry_points(group=\"console_scripts\"))))'\n"
            "new = subprocess.run([sys.executable, '-I', '-c', code], capture_output=True, text=True).stdout\n"
            "assert str(sorted(map(str, importlib.metadata.entry_points(group='console_scripts')))) == new.strip() != '[]'",
            "assert yaml.safe_load('a: [1, x]\\nb: 2026-11-29\\n')['a'] == [1, 'x']",
            "import skops.io\nfrom sklearn.linear_model import Ridge\nmodel = Ridge(alpha=3).fit([[0.0], [1]], [0, 'é' > 'e'])\n"
            "skops.io.dump(model, 'm.skops')\nassert skops.io.load('m.skops').predict([[1]]) == model.predict([[1]])",
            "assert json.loads(zipfile.ZipFile('m.skops').read('schema.json'))['__class__'] == 'Ridge'",
            AFTER,
        ],
        "ok",
    ),
    "error in an error's handler": (["try: 1/0\nexcept Exception: int('x')", AFTER], "ValueError (code cell 1)"),
    "magic": (["%%bash\ntouch after"], "ok"),
    "endless output": (["for _ in range(200): print('x' * 1_000_000)", AFTER], "ok"),
    "exit handler": (["import atexit\natexit.register(lambda: open('after', 'w').close())"], "ok"),
    "thread that goes on": (
        ["import threading, time\nthreading.Thread(target=time.sleep, args=(99,)).start()", AFTER],
        "ok",
    ),
    "error": (["1/0", "undefined", AFTER], "ZeroDivisionError (code cell 1)"),
    "exit in the middle": (["import sys\nsys.exit(0)", AFTER], "SystemExit (code cell 1)"),
    "more memory than there is": (["1", "x = bytes(10 << 30)", AFTER], "MemoryError (code cell 2)"),
    "sleep": (["import time\ntime.sleep(99)", AFTER], "timeout"),
    "loop": (["while True: pass", AFTER], "timeout"),
    "endless await": (["import asyncio\nawait asyncio.sleep(99)", AFTER], "timeout"),
    "child that goes on": (["!sleep 99", AFTER], "timeout"),
    "quit": ([AFTER, "quit()", "import os\nos.remove('after')"], "kernel died"),
    "killed": ([AFTER, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"], "kernel died"),
    "left without a word": ([AFTER, "import os\nos._exit(0)"], "kernel died"),
}


@pytest.mark.parametrize("kind", ENDS)
def test_a_notebook_runs_as_in_jupyter_and_ends_with_its_status(kind, tmp_path):
    cells, status = ENDS[kind]
    (tmp_path / "cells.json").write_text(json.dumps(cells))
    limits = sandbox.Limits(wall=60, cpu=60)
    seconds = "1" if status == "timeout" else "30"
    ended = sandbox.run(["run", str(tmp_path), seconds], tmp_path, 4242, limits, sandbox.bubblewrap())
    assert grading._status(ended) == status
    assert (tmp_path / "after").exists()


def test_a_kernel_that_cannot_start_is_not_the_learners_doing(tmp_path):
    (tmp_path / "cells.json").write_text("[]")
    limits = sandbox.Limits(wall=60, cpu=60, memory=30 << 20)
    ended = sandbox.run(["run", str(tmp_path), "1"], tmp_path, 4242, limits, sandbox.bubblewrap())
    row = grading.Grade("a", "03", 0, 8, grading._status(ended), 1.0, "")
    assert row.status.startswith("no kernel could be started") and grading.ours_to_fix(row)


def test_links_and_pipes_are_not_copied(tmp_path):
    import os

    source = tmp_path / "from"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "real.txt").write_text("x")
    (source / "link").symlink_to("/etc")
    (source / "sub" / "passwd").symlink_to("/etc/passwd")
    os.mkfifo(source / "pipe")
    assert sandbox.copy_regular(source, tmp_path / "to")
    assert [p.name for p in (tmp_path / "to").rglob("*") if not p.is_dir()] == ["real.txt"]
    (source / "big").write_bytes(b"0" * 2000)
    assert not sandbox.copy_regular(source, tmp_path / "to2", most=1000)


def test_models_are_never_loaded():
    rooms = (ROOT / "course_utils" / room for room in ("homework", "_judge"))
    source = "\n".join(path.read_text() for room in rooms for path in room.glob("*.py"))
    assert "def read_card" in source
    assert not [word for word in ("load_model(", "pickle.load(", "sio.load(") if word in source]
