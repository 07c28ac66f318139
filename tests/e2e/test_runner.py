"""`course run` and `course test` on notebooks that misbehave: each has its own verdict, and the others are unharmed."""

from __future__ import annotations

import html
import json
import os
import platform
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from importlib import metadata
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell

from course_runner.batch import batch as batches
from course_runner.batch import console, leftovers, parameters, pool
from course_runner.cli import app as cli
from course_runner.cli.common import find_notebooks
from course_runner.kernels import provisioner
from course_runner.kernels import sockets as kernels
from course_runner.kernels.provisioner import SOCKET
from tests.command import COURSE, ROOT, course

LINUX = sys.platform.startswith("linux")


def notebook(path: Path, *cells, parameters: str = "", kernel: str | None = "python3") -> Path:
    """Write a notebook of cells, given as code or as they are."""
    nb = new_notebook()
    if kernel:
        nb.metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": "python"}
    if parameters:
        nb.cells.append(new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    nb.cells += [new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(nb), encoding="utf8")
    return path


@pytest.fixture
def course_here(monkeypatch, capsys):
    """`course` in this process, for calls that execute nothing: exit code and what was shown."""

    def call(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["course", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        return ended.value.code, shown.out + shown.err

    return call


#: Name → cells. Those in FAILS get the row given there, all others are whole.
FAULTS: dict[str, tuple] = {
    "good": ("print('before')", "print('after')"),
    "exception": ("print('before')", "1 / 0", "print('never')"),
    "syntax": ("def broken(:",),
    "killed": ("print('before')", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"),
    "segfault": ("import ctypes; ctypes.string_at(0)",),
    "abort": ("import os; os.abort()",),
    "exit0": ("import os; os._exit(0)",),
    "loop": ("while True: pass",),
    "stubborn": ("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",),
    "flood": ("for _ in range(40): print('x' * 100_000)",),
    "input": ("input('name? ')",),
    "process": ("import subprocess; subprocess.Popen(['sleep', '987'], start_new_session=True, env={})",),
    "thread": ("import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()",),
    "lingers": ("import atexit, time; atexit.register(time.sleep, 99)",),
    "memory": ("block = bytearray(5 << 30)",),
    "markup": ("raise ValueError('[red]not [Errno 28] markup[/]')",),
    "nokernel": ("print('fine without a kernel spec')",),
    # papermill's own test notebooks, by kind
    "sysexit": ("import sys; sys.exit(0)", "print('never')"),
    "sysexit1": ("import sys; sys.exit(1)", "print('never')"),
    "quit": ("quit()", "print('never')"),
    "quit_at_the_end": ("print('done')", "quit()"),
    "keyboard_interrupt": ("print('before')", "raise KeyboardInterrupt", "print('never')"),
    "broken": (new_markdown_cell("# Text"), "print('shown'); raise ValueError('here')", "print('never')"),
    "line_magic_error": ("%no_such_magic",),
    "raises_exception_tag": (new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]}), "print('after')"),
    "raises_later": (new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]}), "int('x')"),
    "skip_tag": (new_code_cell("1 / 0", metadata={"tags": ["skip-execution"]}), "print('after')"),
    "quit_before_text": ("exit()", new_markdown_cell("The end."), ""),
    "sysexit_at_the_end": ("print('done')", "import sys; sys.exit()"),
    "waiting_child": ("import subprocess; child = subprocess.Popen(['sleep', '986'])",),
    "server": (
        "import signal, sys, tempfile, time\nfrom pathlib import Path\n"
        "from course_utils._plumbing.supervised import supervised\n"
        "folder = Path(tempfile.mkdtemp())\n"
        "slow = 'import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (time.sleep(1), sys.exit()))'\n"
        "words = [sys.executable, '-c', slow + '; print(1, flush=True); time.sleep(984)']\n"
        "running = supervised(words, folder / 'log', cwd=folder, temporary=folder)\n"
        "supervisor = running.__enter__()",
        "while not (folder / 'log').read_text(): time.sleep(0.1)",
    ),
    "own_limit": (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))",
        "block = bytearray(7 << 29)",
    ),
    "magic_parameters": (new_code_cell("%matplotlib inline\nhinted = 3", metadata={"tags": ["parameters"]}),),
    "timed_parameters": (new_code_cell("%%time\nhinted = 3", metadata={"tags": ["parameters"]}), "hinted"),
    "odd_default": (new_code_cell("odd = {[1]: 2}", metadata={"tags": ["parameters"]}),),
    "broken_parameters": (new_code_cell("n = \nx = 2", metadata={"tags": ["parameters"]}),),
    "nul_parameters": (new_code_cell("n = '\x00'", metadata={"tags": ["parameters"]}),),
    "deep_parameters": (new_code_cell("n = " + "(" * 300 + ")" * 300, metadata={"tags": ["parameters"]}),),
    "magics": ("%%bash\necho from bash", "!echo from a shell", "%time 1 + 1"),
    "no_cells": (),
    "text_only": (new_markdown_cell("# Only text"), new_raw_cell("raw")),
    "blank_cells": ("", "  \n", "print('after blanks')"),
    "raw_and_tags": (new_raw_cell("raw"), new_code_cell("print('tagged')", metadata={"tags": ["any", "tag"]})),
    "widgets": ("import ipywidgets; ipywidgets.IntSlider(7)",),
    "display": ("from IPython.display import display\nh = display(1, display_id=True)", "h.update(2)"),
    "last": ("print('still here')",),
}
#: Values for the notebook `types`, as they are typed; what it prints.
TYPES = {
    "listed": ("[1, 'two', [3.0]]", [1, "two", [3.0]]),
    "keyed": ("{'a': 1, 2: (3, None)}", {"a": 1, 2: (3, None)}),
    "pair": ("(4, 5)", (4, 5)),
    "nothing": ("None", None),
    "big": ("inf", float("inf")),
    "unknown": ("nan", "nan"),
    "flag": ("false", False),
    "quotes": ("""it's "quoted" \\\\ {x}""", """it's "quoted" \\\\ {x}"""),
    "lines": ("first\nsecond\tüñí ✓", "first\nsecond\tüñí ✓"),
    "hinted": ("3", 3),
}
FAILS = {
    "exception": ("failed", "ZeroDivisionError: division by zero"),
    "syntax": ("failed", "SyntaxError"),
    "killed": ("dead kernel", "SIGKILL; the system does so when memory runs out"),
    "segfault": ("dead kernel", "SIGSEGV"),
    "abort": ("dead kernel", "SIGABRT"),
    "exit0": ("dead kernel", "exit code 0"),
    "sysexit": ("failed", "ended the session"),
    "sysexit1": ("failed", "SystemExit: 1"),
    "quit": ("failed", "ended the session"),
    "keyboard_interrupt": ("failed", "KeyboardInterrupt"),
    "broken": ("failed", "ValueError: here"),
    "line_magic_error": ("failed", "no_such_magic"),
    "raises_later": ("failed", "ValueError: invalid literal"),
    "odd_default": ("failed", "TypeError: unhashable"),
    "broken_parameters": ("failed", "SyntaxError"),
    "nul_parameters": ("failed", "null bytes"),
    "deep_parameters": ("failed", "nested parentheses"),
    "own_limit": ("failed", "the notebook has set itself a limit of 3 GB"),
    "loop": ("timeout", "longer than 5 s"),
    "stubborn": ("timeout", "longer than 5 s"),
    "input": ("failed", "input()"),
    "memory": ("failed", "a kernel may use 4 GB"),
    "markup": ("failed", "[red]not [Errno 28] markup[/]"),
    "otherkernel": ("bad notebook", "fortran77"),
    "nostart": ("dead kernel", "did not start: /nowhere/python cannot be run"),
    "notjson": ("bad notebook", "is not JSON"),
    "empty": ("bad notebook", "is empty"),
    "conflict": ("bad notebook", "merge-conflict"),
    "list": ("bad notebook", "not a notebook"),
}
if not LINUX:  # the limit, and who starts the kernel, are Linux's
    FAULTS.pop("memory"), FAILS.pop("memory"), FAILS.pop("nostart"), FAULTS.pop("own_limit"), FAILS.pop("own_limit")


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    files = [notebook(folder / f"{name}.ipynb", *cells) for name, cells in FAULTS.items()]
    notebook(folder / "nokernel.ipynb", *FAULTS["nokernel"], kernel=None)
    files += [notebook(folder / "otherkernel.ipynb", "1", kernel="fortran77")]
    defaults = "listed = []\nkeyed = {}\npair = ()\nnothing = None\nbig = 0.5\nunknown = 0.5\nflag = True\n"
    defaults += "quotes = ''\nlines = ''\nhinted: int = 1"
    show = f"print(repr([{', '.join(TYPES)}]))"
    files += [notebook(folder / "types.ipynb", show, parameters=defaults)]
    for name, text in {
        "notjson": "{oops",
        "empty": "",
        "conflict": '{\n<<<<<<< HEAD\n "cells": []\n=======\n>>>>>>> other\n}',
        "list": "[1, 2]",
    }.items():
        path = folder / f"{name}.ipynb"
        path.write_text(text)
        files.append(path)
    old = nbformat.v3.new_notebook(
        worksheets=[nbformat.v3.new_worksheet(cells=[nbformat.v3.new_code_cell(input="print('old')")])]
    )
    (folder / "format3.ipynb").write_text(nbformat.v3.writes_json(old))
    files.append(folder / "format3.ipynb")
    environment = {**os.environ, "TMPDIR": str(folder / "tmp")}
    (folder / "tmp").mkdir()
    if LINUX:
        files.append(notebook(folder / "nostart.ipynb", "1", kernel="nostart"))
        spec = folder / "jupyter/kernels/nostart/kernel.json"
        spec.parent.mkdir(parents=True)
        argv = ["/nowhere/python", "-f", "{connection_file}"]
        spec.write_text(json.dumps({"argv": argv, "display_name": "nostart", "language": "python"}))
        environment["JUPYTER_PATH"] = str(folder / "jupyter")
    given = [word for name, (text, _) in TYPES.items() for word in ("-p", name, text)]
    limits = ["--cell-timeout", 5, "--memory", 4]
    done = course("run", *files, "-o", folder / "out", *limits, "--json", "-j", 2, *given, env=environment)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    rows = {Path(e["name"]).stem: e for e in events if e["event"] == "outcome"}
    assert len(rows) == len(files), done.stderr
    return folder / "out", rows, done, events


@pytest.mark.parametrize("name", FAILS)
def test_each_fault_has_its_own_row_and_sentence(batch, name):
    _, rows, _, _ = batch
    status, words = FAILS[name]
    assert (rows[name]["status"], words in rows[name]["error"]) == (status, True), rows[name]
    assert "Traceback" not in rows[name]["error"] and "\x1b" not in rows[name]["error"]


@pytest.mark.parametrize("name", [*(name for name in FAULTS if name not in FAILS), "format3", "types"])
def test_the_others_are_whole(batch, name):
    folder, rows, _, _ = batch
    assert rows[name]["status"] == "ok", rows[name]
    assert Path(rows[name]["output"]) == folder / "other" / f"{name}.ipynb" and Path(rows[name]["output"]).exists()


def test_whole_notebooks_hold_what_their_cells_showed(batch):
    folder = batch[0] / "other"
    shown = {name: nbformat.read(folder / f"{name}.ipynb", 4) for name in ("types", "magics", "widgets", "display")}
    cells = [cell for cell in shown["types"].cells if cell.source.startswith("print")]
    assert cells[0].outputs[0].text.strip() == repr([value for _, value in TYPES.values()]).replace("'nan'", "nan")
    assert [cell.outputs[0].text.strip() for cell in shown["magics"].cells[:2]] == ["from bash", "from a shell"]
    states = shown["widgets"].metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    assert any(state["state"].get("value") == 7 for state in states.values())
    assert shown["display"].cells[0].outputs[0].data["text/plain"] == "2"


def test_a_failed_notebook_keeps_what_ran_and_never_looks_whole(batch):
    folder, rows, _, _ = batch
    for name in ("exception", "killed", "keyboard_interrupt", "broken"):
        assert rows[name]["cell"] == 2
        assert not (folder / "other" / f"{name}.ipynb").exists()
        partial = nbformat.read(rows[name]["output"], as_version=4)
        code = [cell for cell in partial.cells if cell.cell_type == "code"]
        assert code[0].outputs[0].text == ("shown\n" if name == "broken" else "before\n")
    marks = [cell for cell in partial.cells if "papermill-error-cell-tag" in cell.metadata.get("tags", [])]
    assert len(marks) == 2 and "ValueError" not in marks[0].source, "papermill's links lead to the failed cell"
    assert not partial.cells[-1].outputs and partial.cells[-1].execution_count is None


def test_what_a_notebook_leaves_running_is_ended_and_named(batch):
    _, rows, _, _ = batch
    assert "sleep 987" in rows["process"]["note"]
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "987"]]


def test_what_the_kernel_itself_ends_is_named_too_and_so_is_a_kernel_that_does_not_end(batch):
    _, rows, _, _ = batch
    assert "ended what it left running: sleep 986" in rows["waiting_child"]["note"]
    for name in ("thread", "lingers"):
        assert "a thread or an exit function was still at work" in rows[name]["note"]
    assert [name for name in rows if "at work" in rows[name]["note"]] == ["thread", "lingers"]


def test_the_server_of_a_lecture_ends_by_itself_and_takes_its_folder_along(batch):
    folder, rows, _, _ = batch
    assert rows["server"]["note"] == ""
    assert not list((folder.parent / "tmp").iterdir())
    assert not [p for p in psutil.process_iter(["cmdline"]) if "time.sleep(984)" in " ".join(p.info["cmdline"] or ())]


def test_tags_mean_what_they_mean_to_nbclient_and_nbval(batch):
    folder, rows, _, _ = batch
    raised, after = nbformat.read(folder / "other/raises_exception_tag.ipynb", 4).cells
    assert raised.outputs[0].ename == "ZeroDivisionError" and after.outputs[0].text == "after\n"
    assert rows["raises_later"]["cell"] == 2
    assert rows["skip_tag"]["note"] == "did not run, as its tag says: cell 1"
    assert not nbformat.read(folder / "other/skip_tag.ipynb", 4).cells[0].outputs


def test_a_row_names_no_output_that_does_not_exist(batch):
    _, rows, _, _ = batch
    assert not [row for row in rows.values() if row["output"] and not Path(row["output"]).exists()]
    assert not list((batch[0] / "other/partial").glob("otherkernel*"))


def test_tags_and_odd_parameters_cells_are_the_notebooks_own_affair(tmp_path):
    cases = ROOT / "tests/cases"
    files = [*(cases / "params_cell_magic").glob("*.ipynb"), cases / "skip_execution_tag/skip.ipynb"]
    files += [cases / "raises_exception_tag/raises.ipynb"]
    done = course("run", *files, "-o", tmp_path / "out", "-p", "n", 4, "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    status = {Path(e["name"]).stem: e["status"] for e in events if e["event"] == "outcome"}
    assert status == {f.stem: "failed" if f.stem == "param_syntax" else "ok" for f in files}, done.stderr
    assert nbformat.read(tmp_path / "out/other/param_magic.ipynb", 4).cells[-1].outputs[0].text == "4\n"
    swept = course("sweep", cases / "params_cell_magic/param_syntax.ipynb", "--grid", "n=1,2", "-o", tmp_path / "swept")
    assert swept.returncode and "tagged 'parameters', is not Python" in swept.stderr and "Traceback" not in swept.stderr
    checked = course("test", cases / "raises_exception_tag/nb_with_outputs.ipynb", "-q", "-p", "no:cacheprovider")
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", ["clear", "update"])
def test_a_run_of_a_display_that_updates_gives_what_course_test_accepts(batch, name):
    here = ROOT / f"tests/cases/display_that_updates/{name}.ipynb"
    done = course("test", here, "-q", "-p", "no:cacheprovider", env={**os.environ, "PYTEST_ADDOPTS": ""})
    assert done.returncode == 0, done.stdout


def test_a_program_is_found_from_its_first_moment_on(monkeypatch):
    real, seen = psutil.Process.cmdline, []

    def cmdline(process: psutil.Process) -> list[str]:  # on Linux, `Popen` may return before there is one
        seen.append(process.pid)
        return real(process) if seen.count(process.pid) > 2 else []

    monkeypatch.setattr(psutil.Process, "cmdline", cmdline)
    with subprocess.Popen(["sleep", "60"], start_new_session=True, env={}) as program:
        found = leftovers.running_below(os.getpid())
        program.kill()
    assert program.pid in {process.pid for process in found}


def test_endless_output_is_cut(batch):
    folder, rows, _, _ = batch
    assert "the rest is cut" in rows["flood"]["note"]
    assert (folder / "other" / "flood.ipynb").stat().st_size < 2_000_000


def test_json_lines_tell_a_machine_what_happens(batch):
    folder, rows, done, events = batch
    assert (events[0]["event"], events[0]["notebooks"]) == ("batch", len(rows)) and events[-1]["event"] == "end"
    assert (events[-1]["ok"], events[-1]["failed"]) == (len(rows) - len(FAILS), len(FAILS))
    mine = [e for e in events if e.get("name") == "other/good.ipynb"]
    assert [(e["event"], e.get("cell")) for e in mine] == [("start", None), ("cell", 1), ("cell", 2), ("outcome", None)]
    assert [e["done"] for e in events if e["event"] == "outcome"] == list(range(1, len(rows) + 1))
    assert not done.stderr.strip(), "no warning, no log line"


def test_faults_leave_no_temporary_file(batch):
    folder = batch[0].parent
    assert not list((folder / "tmp").iterdir())
    wait_for(lambda: not processes_of(folder))


def test_a_batch_leaves_store_report_and_record(batch):
    folder, rows, done, _ = batch
    assert done.returncode == 1
    page = (folder / "index.html").read_text()
    for name in rows:
        assert f"{name}.ipynb" in page
    assert "ZeroDivisionError" in page and 'href="other/good.html"' in page
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("course-batches")
    runs = client.search_runs([experiment.experiment_id], max_results=200)
    (parent,) = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
    children = {r.info.run_name: r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id}
    assert set(children) == {row["name"] for row in rows.values()}
    assert children["other/exception.ipynb"].info.status == "FAILED"
    assert children["other/exception.ipynb"].data.tags["cell"] == "2"
    good = children["other/good.ipynb"]
    assert good.info.status == "FINISHED" and good.data.metrics["seconds"] > 0
    assert [f.path for f in client.list_artifacts(good.info.run_id, "executed")] == ["executed/good.ipynb"]


def shown_in(page: str, kind: str) -> list[str]:
    """Return the texts of a report's `pre` elements of a kind, as a browser shows them."""
    return [html.unescape(found) for found in re.findall(f"<pre{kind}>(.*?)</pre>", page, re.DOTALL)]


def test_the_report_shows_the_code_and_the_error_of_each_failure(batch):
    folder, rows, _, _ = batch
    page = (folder / "index.html").read_text()
    code, last = shown_in(page, ' class="code"'), shown_in(page, ' class="last"')
    unread = {"notjson", "empty", "conflict", "list", "otherkernel"}  # these have no cell that ran
    for name in FAILS.keys() & FAULTS.keys() - unread:
        cells = [c if isinstance(c, str) else c.source for c in FAULTS[name]]
        assert any(cell in code for cell in cells), name
    assert [text for text in last if text.endswith("ZeroDivisionError: division by zero") and "----> 1 1 / 0" in text]
    assert [text for text in last if "[red]not [Errno 28] markup[/]" in text], "shown as it is"
    assert not [text for text in last if len(text.splitlines()) > 12 or str(Path.home()) in text or "\x1b" in text]
    assert "/site-packages/" not in "".join(last)
    link = re.search(r'href="(other/partial/exception.html)#([^"]+)"', page)
    failed = nbformat.read(rows["exception"]["output"], 4)
    (cell,) = [cell for cell in failed.cells if cell.source == "1 / 0"]
    assert link[2] == f"cell-id={cell.id}" and f'id="{link[2]}"' in (folder / link[1]).read_text()


def test_the_report_says_how_long_and_with_what(batch):
    page = (batch[0] / "index.html").read_text()
    took = re.search(r"after (?:(\d+) min )?([\d.]+) s\.", page)
    longest = max(row["seconds"] for row in batch[1].values())
    assert int(took[1] or 0) * 60 + float(took[2]) >= int(longest)
    for name in ("mlflow", "course-utils"):
        assert re.search(rf"<li>(the course|{name}) {re.escape(metadata.version(name))}", page)
    assert f"<li>Python {platform.python_version()}</li>" in page


def test_each_notebook_is_a_page_that_loads_nothing(batch):
    folder, rows, _, _ = batch
    views = {Path(row["output"]).with_suffix(".html"): row for row in rows.values() if row["output"]}
    assert len(views) > len(rows) - len(FAILS) and not [view for view in views if not view.is_file()]
    assert set(views) == {*folder.glob("other/**/*.html")}, "none is left of a notebook that was completed later"
    for view in views:
        text = view.read_text()
        assert "default-src 'none'" in text and not re.search(r"<(link|iframe)\b|<script[^>]+src|src=\"(?!data:)", text)
    assert "before" in (folder / "other/good.html").read_text()


def test_the_commands_of_the_report_do_what_they_say_when_pasted(batch, course_here, monkeypatch, tmp_path):
    folder, rows, _, _ = batch
    plan, asked = batches.load(folder), []
    monkeypatch.setattr(batches, "run", lambda job, *_, **more: asked.append((job, more["resume"])) or [])
    ui, go_on, again = map(shlex.split, shown_in((folder / "index.html").read_text(), "")[:3])
    assert ui == ["course", "ui", "--home", str(folder)] and go_on[0] == again[0] == "course"
    assert course_here(*go_on[1:])[0] == 0 and course_here(*again[1:], "-o", tmp_path / "new")[0] == 0
    (same, resumed), (new, fresh) = asked
    assert (same, resumed, fresh, new.folder) == (plan, True, False, tmp_path / "new")
    assert set(batches.to_run(same, resume=True)) == {row["name"] for row in rows.values() if row["status"] != "ok"}
    for what in ("notebooks", "parameters", "cell_timeout", "notebook_timeout", "memory_limit"):
        assert getattr(new, what) == getattr(plan, what), what


def test_the_command_for_the_whole_series_is_short(tmp_path):
    chosen = find_notebooks(ROOT, [])
    assert batches.Batch(tmp_path, chosen).again(ROOT) == "course run"
    few = dict(list(chosen.items())[:2])
    words = shlex.split(batches.Batch(tmp_path, few, {"n_rows": "500"}).again(ROOT))[2:]
    assert words[-2:] == ["-p", "n_rows=500"] and find_notebooks(ROOT, words[:-2]) == few


def test_parameters_reach_the_notebooks_that_have_them(pair_of_runs):
    texts = [(pair_of_runs / "cold/other" / f).read_text() for f in ("n.ipynb", "rate.ipynb")]
    assert "n is 42" in texts[0] and "2.0" in texts[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-p", "sed", "1"], "Did you mean 'seed'?"),
        (["-p", "n; import os", "1"], "is not a Python name"),
        (["-p", "seed", "many"], "is text; the default is 0 (int)"),
        (["-p", "seed", "1.5"], "is float; the default is 0 (int)"),
        (["-p", "seed"], "has no value"),
    ],
)
def test_a_wrong_parameter_is_refused_before_anything_runs(course_here, tmp_path, words, message):
    nb = notebook(tmp_path / "a.ipynb", "print(seed)", parameters="seed = 0")
    code, shown = course_here("run", nb, "-o", tmp_path / "out", *words)
    assert code == 2 and message in shown, shown
    assert len(shown.strip().splitlines()) == 1 and not (tmp_path / "out").exists()


def test_a_parameter_that_cannot_be_written_as_text_is_refused():
    nb = new_notebook(cells=[new_code_cell("model = None", metadata={"tags": ["parameters"]})])
    with pytest.raises(parameters.BadParameter, match="is object; a parameter is a number, text, None, or a list"):
        parameters.convert_parameters(nb, {"model": [object()]}, "a.ipynb")


def test_parameters_without_a_parameters_cell_are_an_error(course_here, tmp_path):
    code, shown = course_here("run", notebook(tmp_path / "a.ipynb", "1"), "-o", tmp_path / "out", "-p", "seed", "1")
    assert code == 2 and "No chosen notebook has a parameter 'seed'" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "99"], "No notebook of the course is called '99'"),
        (["run", "nowhere.ipynb"], "There is no notebook"),
        (["run", "--resume", "-o", "nothing-here"], "holds no batch"),
        (["ui", "--home", "nothing-here"], "holds no store"),
    ],
)
def test_a_users_mistake_is_one_message_and_a_non_zero_exit(course_here, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    code, shown = course_here(*words)
    assert code != 0 and message in shown and "Traceback" not in shown


def test_two_notebooks_of_one_name_are_refused(course_here, tmp_path):
    files = [notebook(tmp_path / folder / "same.ipynb", "1") for folder in "ab"]
    code, shown = course_here("run", *files, "-o", tmp_path / "out")
    assert code == 2 and "Two notebooks are called same.ipynb" in shown


def test_a_folder_with_something_in_it_is_refused(course_here, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("mine")
    code, shown = course_here("run", notebook(tmp_path / "a.ipynb", "1"), "-o", tmp_path / "out")
    assert code == 2 and "is not empty" in shown
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["precious.txt"]


def test_a_place_that_cannot_be_written_is_one_message(course_here, tmp_path):
    (tmp_path / "file").write_text("")
    code, shown = course_here("run", notebook(tmp_path / "a.ipynb", "1"), "-o", tmp_path / "file" / "out")
    assert code == 2 and "cannot be written" in shown and "Nothing was run" in shown


def wait_for(condition, seconds=180):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def processes_of(folder: Path) -> list[psutil.Process]:
    """Every process that knows the folder from its environment, command line or current folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(folder) in " ".join([*process.cmdline(), *process.environ().values(), process.cwd()]):
                found.append(process)
        except psutil.Error:
            continue
    return found


def start_batch(tmp_path: Path, *words: object) -> subprocess.Popen:
    """Start a batch as a user does: with a server of warm kernels that nobody else shares."""
    (tmp_path / "tmp").mkdir()
    environment = {name: value for name, value in os.environ.items() if name != SOCKET}
    return subprocess.Popen(
        [*COURSE, "run", *map(str, words), "-o", str(tmp_path / "out")],
        cwd=ROOT,
        env={**environment, "TMPDIR": str(tmp_path / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def start_slow_batch(tmp_path: Path, *words: str) -> tuple[subprocess.Popen, Path]:
    flag = tmp_path / "started"
    quick = notebook(tmp_path / "quick.ipynb", "print('quick')")
    slow = notebook(
        tmp_path / "slow.ipynb",
        "import mlflow, os, pathlib, signal, subprocess, time\nfrom course_utils import store\nstore.connect()",
        "again = " + repr(str(tmp_path / "again")),
        "mlflow.start_run(run_name='open'); subprocess.Popen(['sleep', '876'], start_new_session=True)",
        f"if not os.path.exists(again):\n    pathlib.Path({str(flag)!r}).touch(); time.sleep(300)",
        "mlflow.end_run(); print('whole')",
    )
    runner = start_batch(tmp_path, quick, slow, "-j", 2, *words)
    wait_for(flag.exists)
    wait_for((tmp_path / "out/other/quick.ipynb").exists)
    return runner, tmp_path / "out"


@pytest.mark.skipif(not LINUX, reason="guards and pidfds are Linux's")
@pytest.mark.parametrize(
    ("number", "words"),
    [(signal.SIGINT, ["--cold"]), (signal.SIGTERM, []), (signal.SIGKILL, []), (signal.SIGKILL, ["--cold"])],
    ids=["ctrl-c", "sigterm", "sigkill-warm", "sigkill-cold"],
)
def test_a_batch_that_is_stopped_leaves_nothing_and_can_go_on(tmp_path, number, words):
    runner, out = start_slow_batch(tmp_path, *words)
    busy = course("run", "--resume", "-o", out) if number == signal.SIGINT else None
    runner.send_signal(number)
    _, errors = runner.communicate(timeout=180)
    if number != signal.SIGKILL:
        assert runner.returncode == 130 and "--resume" in errors and "Traceback" not in errors
    wait_for(lambda: not processes_of(tmp_path))
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "876"]]
    wait_for(lambda: not list((tmp_path / "tmp").iterdir()))
    assert (out / "other/quick.ipynb").exists() and not (out / "other/slow.ipynb").exists()
    if busy:
        assert busy.returncode == 2 and "is at work in" in busy.stderr, "two runners do not share a folder"
    if number == signal.SIGTERM or words and number == signal.SIGKILL:
        return

    (tmp_path / "again").touch()
    before = (out / "other/quick.ipynb").stat().st_mtime_ns
    done = course("run", "--resume", "-o", out, "--cold")
    assert done.returncode == 0, done.stderr
    assert (out / "other/quick.ipynb").stat().st_mtime_ns == before, "what was whole is not run again"
    assert "whole" in (out / "other/slow.ipynb").read_text()
    with sqlite3.connect(out / "mlflow.db") as database:
        statuses = {row[0] for row in database.execute("select status from runs")}
    assert "RUNNING" not in statuses, "no run is shown as RUNNING for ever"


@pytest.mark.skipif(not LINUX, reason="guards and pidfds are Linux's")
def test_worker_and_server_may_be_killed_and_a_second_ctrl_c_stops_at_once(tmp_path):
    touch = "import os, pathlib, signal, time\npathlib.Path(%r).touch()\n"
    names = ("worker", "server", "ordinary", "stubborn", "never")
    cells = dict.fromkeys(names, "time.sleep(300)") | {"ordinary": "print('an ordinary kernel')"}
    cells["stubborn"] = "[signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM)]\ntime.sleep(300)"
    files = [notebook(tmp_path / f"{n}.ipynb", touch % str(tmp_path / n) + cells[n]) for n in names]
    runner = start_batch(tmp_path, *files, "-j", 1, "--json")

    def child(server: bool) -> psutil.Process:
        of_runner = psutil.Process(runner.pid).children()
        return next(p for p in of_runner if ("warm_server" in " ".join(p.cmdline())) is server)

    wait_for((tmp_path / "worker").exists)
    child(server=False).kill()
    wait_for((tmp_path / "server").exists)
    child(server=True).kill()
    wait_for((tmp_path / "stubborn").exists)
    runner.send_signal(signal.SIGINT)
    runner.send_signal(signal.SIGINT)
    output, errors = runner.communicate(timeout=180)
    rows = {e["name"][6:-6]: e for e in map(json.loads, output.splitlines()) if e["event"] == "outcome"}
    assert "process that ran it was killed by SIGKILL" in rows["worker"]["error"]
    assert (rows["server"]["status"], "SIGKILL" in rows["server"]["error"]) == ("dead kernel", True)
    assert rows["ordinary"]["status"] == "ok"
    assert runner.returncode == 130 and "Traceback" not in errors
    wait_for(lambda: not processes_of(tmp_path))
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.skipif(not LINUX, reason="guards and pidfds are Linux's")
def test_course_test_that_is_stopped_leaves_nothing(tmp_path):
    flag = tmp_path / "started"
    path = notebook(
        tmp_path / "slow.ipynb", f"import pathlib, time; pathlib.Path({str(flag)!r}).touch(); time.sleep(300)"
    )
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "PYTEST_ADDOPTS": "-p no:cacheprovider"}
    runner = subprocess.Popen([*COURSE, "test", path, "-q"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    wait_for(flag.exists)
    runner.terminate()
    runner.wait(60)
    wait_for(lambda: not processes_of(tmp_path))
    assert not [path for path in (tmp_path / "tmp").rglob("mlck-*")]


@pytest.mark.skipif(not LINUX, reason="the warm server is Linux's")
def test_a_server_that_refuses_and_hangs_up_at_once_is_understood(tmp_path, monkeypatch):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "warm"))
    listener.listen()

    def refuse():
        connection = listener.accept()[0]
        connection.recv(1 << 20)
        connection.sendall(b'{"pid": null}\n')
        connection.close()

    def send_slowly(*arguments):
        sent = send(*arguments)
        server.join()
        return sent

    send, server = socket.send_fds, threading.Thread(target=refuse)
    server.start()
    monkeypatch.setattr(provisioner.socket, "send_fds", send_slowly)
    assert provisioner.fork(COURSE, {}, str(tmp_path), [0, 1, 2], str(tmp_path / "warm")) is None


def can_mount() -> bool:
    try:
        return (
            subprocess.run(["unshare", "-Urm", "mount", "-t", "tmpfs", "x", "/mnt"], capture_output=True).returncode
            == 0
        )
    except OSError:
        return False


@pytest.mark.skipif(not can_mount(), reason="a full disk is a small one that is mounted for the test")
def test_a_full_disk_is_one_message_and_nothing_is_lost(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    fill = "import os\nwith open(os.environ['COURSE_HOME'] + '/fill', 'wb', buffering=0) as file:\n    try:\n"
    fill += "        while True: file.write(b'x' * 4096)\n    except OSError as error: print(error.strerror)"
    # Names of its own: the longest starts first, by the times of the last notebooks with the same names.
    whole, filling, after = (f"{name}-{os.urandom(4).hex()}" for name in ("whole", "fill", "after"))
    files = [
        notebook(tmp_path / f"{whole}.ipynb", "print('whole')"),
        notebook(tmp_path / f"{filling}.ipynb", fill),
        notebook(tmp_path / f"{after}.ipynb", "print('x' * 50_000)"),
    ]
    resume = [*COURSE, "run", "--resume", "-o", str(disk / "out"), "-j", "1"]
    script = f"""
        mount -t tmpfs -o size=5m tmpfs {disk}
        {" ".join(COURSE)} run {" ".join(map(str, files))} -o {disk}/out -j 1 2>&1; echo "exit code $?"
        ls {disk}/out/other {disk}/out/other/partial; cp {disk}/out/other/{whole}.ipynb {tmp_path}/before
        rm {disk}/out/fill; sed -i 's/while True/while False/' {tmp_path}/{filling}.ipynb
        {" ".join(resume)} 2>&1; echo "exit code $?"
        cmp {tmp_path}/before {disk}/out/other/{whole}.ipynb && ls {disk}/out/other
    """
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=300
    )
    full, again = done.stdout.split("exit code 2\n")
    assert "No space left on device" in full and "Traceback" not in done.stdout, done.stdout
    assert "--resume" in full.strip().splitlines()[-1]
    listed = again.split("[1/")[0]
    assert f"{whole}.ipynb" in listed and f"{after}.ipynb" not in listed
    assert "exit code 0" in again and {f"{name}.ipynb" for name in (whole, filling, after)} <= set(again.split()), again


@pytest.fixture(scope="module")
def pair_of_runs(tmp_path_factory):
    """The same notebooks with warm and with ordinary kernels."""
    folder = tmp_path_factory.mktemp("pair")
    files = [
        notebook(folder / "same.ipynb", *SAME),
        *(
            notebook(folder / f"{n}.ipynb", "import random, numpy; print(random.random(), numpy.random.random())")
            for n in "ab"
        ),
        notebook(folder / "n.ipynb", "print('n is', n + 1)", parameters="n = 1\nname = 'x'"),
        notebook(folder / "rate.ipynb", "print(rate)", parameters="rate = 0.5"),
    ]
    for name, words in {"warm": [], "cold": ["--cold"]}.items():
        done = course("run", *files, "-p", "n", "41", "-p", "rate", "2", "-o", folder / name, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("ordinary kernels, slower to start: asked for" in done.stderr) == (name == "cold")
    return folder


SAME = (
    "import os, sys, random, signal, threading, warnings\nimport numpy as np, pandas as pd, matplotlib, seaborn",
    "import mlflow, mlflow.sklearn, sklearn.ensemble, skops.io, scipy.stats, jupyterquiz, course_utils.homework",
    "print(sys.argv[0].rsplit('/')[-1], __name__, sorted(k for k in globals() if not k.startswith('_')))",
    "print(sys.flags, sys.path[1:], sys.getrecursionlimit(), sys.excepthook.__name__)",
    "print(os.path.basename(os.getcwd()), sorted(set(os.environ) - {'COURSE_WARM_SOCKET', 'JPY_PARENT_PID', 'PYTHONPATH'}))",
    "print([(n.name, str(signal.getsignal(n))) for n in sorted(signal.valid_signals()) if isinstance(n, signal.Signals)])",
    "print([t.name for t in threading.enumerate()] != [], threading.current_thread() is threading.main_thread())",
    "import resource; print(resource.getrlimit(resource.RLIMIT_AS), os.getpriority(os.PRIO_PROCESS, 0))",
    "print(sorted(os.readlink(f'/proc/self/fd/{n}')[:5] for n in range(3)))",
    "print(matplotlib.get_backend(), len(pd.DataFrame({'a': [1]})), np.__version__)",
    "print(sorted({(f[0], str(f[1] and f[1].pattern), f[2].__name__) for f in warnings.filters}))",
    "import logging; print(logging.root.handlers, logging.root.level, logging.getLogger('mlflow').level)",
    "pd.DataFrame({'a': [1, 2]})",
    "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()",
    "get_ipython().__class__.__name__",
    "from tqdm.auto import tqdm; tqdm.__module__",
    "r, w = os.pipe(); os.close(r)\ntry: os.write(w, b'x')\nexcept BrokenPipeError: print('as everywhere in Python')",
)


def test_warm_and_cold_kernels_give_the_same_notebook(pair_of_runs):
    warm, cold = (nbformat.read(pair_of_runs / name / "other/same.ipynb", 4).cells for name in ("warm", "cold"))
    for cell, one, other in zip(SAME, warm, cold, strict=True):
        assert one.outputs == other.outputs, cell


def test_two_warm_kernels_draw_different_random_numbers(pair_of_runs):
    drawn = [nbformat.read(pair_of_runs / "warm/other" / f"{n}.ipynb", 4).cells[0].outputs[0].text for n in "ab"]
    assert drawn[0] != drawn[1]


def test_a_terminal_shows_time_left_and_the_cell_of_each_worker(monkeypatch):
    import io

    from rich.console import Console

    seen, clock = io.StringIO(), iter(range(0, 1000, 10))
    ticker = console.Ticker(2, "Running")
    ticker.console = ticker._live.console = Console(file=seen, force_terminal=True, width=100)
    ticker._bar.get_time = lambda: next(clock)
    with ticker:
        for cell in range(1, 8):
            ticker._last = 0.0  # each is shown, however soon it follows
            ticker([pool.Progress("notebooks/03_x.ipynb", cell, 31)], None)
    assert re.search(r"0:\d\d:\d\d\S* left", seen.getvalue()) and "notebooks/03 cell 7/31" in seen.getvalue()


def test_a_temporary_folder_with_a_long_name_still_has_room_for_sockets(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / ("x" * 90)))
    assert kernels.short_temporary_folder() == "/tmp"
    monkeypatch.setattr("tempfile.tempdir", "/var/tmp")
    assert kernels.short_temporary_folder() == "/var/tmp"


def text(value: str, name: str = "stdout"):
    return new_output("stream", name=name, text=value)


def result(value: str, count: int = 1, **more: str):
    return new_output("execute_result", {"text/plain": value, **more}, execution_count=count)


def picture(value: str):
    return new_output("display_data", {"image/png": value, "text/plain": "a picture"})


SHOW = "display({'image/png': 'AAAA', 'text/plain': 'a picture'}, raw=True)"
ERROR = new_output("error", ename="ZeroDivisionError", evalue="division by zero", traceback=["stored"])
#: nbval's own test notebooks, by kind: source, stored outputs, tag, verdict.
COMPARED = {
    "matching text": ("print('same')", [text("same\n")], "", "passed"),
    "other text": ("print('new')", [text("old\n")], "", "failed"),
    "other execution count": ("6 * 7", [result("42", 9)], "", "passed"),
    "other value": ("6 * 7", [result("43")], "", "failed"),
    "other picture": (SHOW, [picture("BBBB")], "", "passed"),
    "picture gone": ("None", [picture("AAAA")], "", "failed"),
    "other latex": (
        "from IPython.display import Latex\nLatex('$b$')",
        [result("<IPython.core.display.Latex object>", **{"text/latex": "$a$"})],
        "",
        "failed",
    ),
    "expected exception, other traceback": ("# NBVAL_RAISES_EXCEPTION\n1 / 0", [ERROR], "", "passed"),
    "another exception": ("# NBVAL_RAISES_EXCEPTION\nint('x')", [ERROR], "", "failed"),
    "expected exception by tag": ("1 / 0", [ERROR], "raises-exception", "passed"),
    "unexpected exception": ("1 / 0", [ERROR], "", "failed"),
    "output that is not stored": ("print('more')", [], "", "failed"),
    "stored output that does not come": ("pass", [text("gone\n")], "", "failed"),
    "output ignored by comment": ("# NBVAL_IGNORE_OUTPUT\nprint('new')", [text("old\n")], "", "passed"),
    "output ignored by tag": ("print('new')", [text("old\n")], "nbval-ignore-output", "passed"),
    "exception in an ignored cell": ("# NBVAL_IGNORE_OUTPUT\n1 / 0", [], "", "failed"),
    "checked by comment": ("#NBVAL_CHECK_OUTPUT\nprint('new')", [text("old\n")], "", "failed"),
    "skipped by comment": ("# NBVAL_SKIP\n1 / 0", [], "", "skipped"),
    "skipped by tag": ("1 / 0", [], "nbval-skip", "skipped"),
    "masked": (f"print('run {'1' * 32} took 3.5 s')", [text(f"run {'2' * 32} took 4 s\n")], "", "passed"),
    "stream in pieces": ("print('a', flush=True)\nprint('b')", [text("a\n"), text("b\n")], "", "passed"),
    "other stream": ("import sys\nprint('a', file=sys.stderr)", [text("a\n")], "", "failed"),
    # nbval 0.11 executes without history, where a semicolon hides nothing.
    "semicolon": ("1 + 1;", [], "", "failed"),
    "updated display": (
        "h = display(1, display_id=True)\nh.update(2)",
        [new_output("display_data", {"text/plain": "2"})],
        "",
        "passed",
    ),
    "display that is not updated": (
        "h = display(1, display_id=True)",
        [new_output("display_data", {"text/plain": "2"})],
        "",
        "failed",
    ),
    "cleared": (
        "from IPython.display import clear_output, update_display\n"
        "print(1); clear_output(); display(2, display_id='x'); print(3)\n"
        "clear_output(wait=True); update_display(5, display_id='x'); print(4)",
        [text("4\n")],
        "",
        "passed",
    ),
    "child": ("import subprocess; subprocess.run(['echo', 'x']).returncode", [text("x\n"), result("0")], "", "passed"),
    "skipped by nbclient's tag": ("1 / 0", [], "skip-execution", "skipped"),
    "magic": ("%%bash\necho hi", [text("hi\n")], "", "passed"),
    "last": ("print('still here')", [text("still here\n")], "", "passed"),
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    cells = [
        new_code_cell(source, outputs=outputs, execution_count=7, metadata={"tags": [tag] if tag else []})
        for source, outputs, tag, _ in COMPARED.values()
    ]
    notebook(folder / "compared.ipynb", *cells)
    ending = [new_code_cell("print(1)", outputs=[text("1\n")], execution_count=2)]
    notebook(folder / "dies.ipynb", "import os; os._exit(3)", *ending)
    notebook(folder / "endless.ipynb", "while True: pass", *ending)
    files = sorted(folder.glob("*.ipynb"))
    words = [*files, "-q", "--nbval-cell-timeout", 5, f"--junitxml={folder / 'verdicts.xml'}", "-p", "no:cacheprovider"]
    done = course("test", "-j", 2, *words, env={**os.environ, "PYTEST_ADDOPTS": ""})
    found = {}
    for case in ElementTree.parse(folder / "verdicts.xml").iter("testcase"):
        kinds = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        verdict = {"failure": "failed", "error": "failed"}.get(kinds[0], kinds[0]) if kinds else "passed"
        found[f"{case.get('classname')} {case.get('name')}"] = verdict
    return found, done


@pytest.mark.parametrize("kind", COMPARED)
def test_course_test_gives_the_verdict_that_nbval_expects(verdicts, kind):
    found, done = verdicts
    assert done.returncode == 1
    number = list(COMPARED).index(kind)
    (verdict,) = [v for name, v in found.items() if name.endswith(f"compared.ipynb Cell {number}")]
    assert verdict == COMPARED[kind][3], done.stdout[-3000:]


def test_a_dead_and_an_endless_notebook_fail_and_do_not_hang_the_others(verdicts):
    found, _ = verdicts
    ends = {name: verdict for name, verdict in found.items() if "dies" in name or "endless" in name}
    assert {verdict for name, verdict in ends.items() if name.endswith("Cell 0")} == {"failed"} and len(ends) == 4


@pytest.mark.skipif(not LINUX, reason="the server of warm kernels is Linux's")
def test_a_process_that_ends_at_once_may_tell_its_pid_and_its_end_in_one_breath(tmp_path):
    def answer(server):
        connection, _ = server.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b'{"pid": 4000000}\n{"exit": 127}\n')

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "warm"))
        server.listen()
        thread = threading.Thread(target=answer, args=[server])
        thread.start()
        process = provisioner.fork(["python"], {}, ".", [0, 1, 2], server=str(tmp_path / "warm"))
        thread.join()
        assert process.poll() == 127
