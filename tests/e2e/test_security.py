"""What strangers may send: names, paths, tables, notebooks and servers that mean harm end in one message or as text."""

from __future__ import annotations

import gzip
import html.parser
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from typer.testing import CliRunner

from course_runner.batch import batch, report
from course_runner.batch.job import Outcome
from course_runner.cli.app import app
from course_utils import data, store
from course_utils._plumbing import class_server, course_store, table_files
from course_utils.errors import CourseError

ROOT = Path(__file__).resolve().parents[2]

# ---- nothing secret in what is published -------------------------------------------------------------------------

SECRETS = {
    "key of a cloud": r"\bAKIA[0-9A-Z]{16}\b|\bAIza[0-9A-Za-z_-]{35}\b|\bsk-(?!toggleable)[A-Za-z0-9_-]{20,}\b",
    "token of a forge": r"\bgh[pousr]_[A-Za-z0-9]{30,}\b|\bglpat-[A-Za-z0-9_-]{20,}\b|\bhf_[A-Za-z]{30,}\b",
    "token of a chat": r"\bxox[abpr]-[A-Za-z0-9-]{10,}\b",
    "private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "signed token": r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    "password in an address": r"\b[a-z][a-z0-9+]{2,}://[^\s/:@\"'{}<>…]+:(?!password@|secret@)[^\s/:@\"'{}<>…]{4,}@",
}
#: In outputs only: the text of a lecture may name a folder, a stored output shows whose machine made it.
TRACES = {
    "home of a person": r"(?<![\w.])/(?:home|Users)/[a-z][\w.-]*/|/roo[t]/|[A-Z]:\\\\Users\\\\",
    "folder of a machine": r"(?<![\w.:/])/(?:work|builds?|workspace|github)/\w|/tmp/(?!…)[\w-]{6,}/",
    "port of a local server": r"127\.0\.0\.1:(?!5000|5001|\*)\d{4,5}|localhost:(?!5000|5001|8888|\*)\d{4,5}",
}


def found(text: str, patterns: dict[str, str]) -> list[str]:
    return [f"{what}: {match[0][:60]}" for what, pattern in patterns.items() for match in re.finditer(pattern, text)]


def outputs_of(notebook: Path) -> str:
    """Return all text of a notebook's stored outputs, without pictures."""
    texts = []
    for cell in nbformat.read(notebook, as_version=4).cells:
        for output in cell.get("outputs", []):
            texts += [output.get("text", ""), output.get("evalue", ""), *output.get("traceback", [])]
            texts += [str(v) for kind, v in output.get("data", {}).items() if not kind.startswith("image/")]
    return "\n".join(texts)


def test_no_secret_in_any_tracked_file():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    names = [name.decode() for name in listed if name and not name.endswith((b".lock", b".png", b".svg"))]
    assert len(names) > 50
    bad = {}
    for name in names:
        path = ROOT / name
        if path.is_file() and name != "tests/e2e/test_security.py":
            if hits := found(path.read_text(encoding="utf8", errors="replace"), SECRETS):
                bad[name] = hits[:3]
    assert not bad


def test_no_trace_of_a_person_or_machine_in_stored_outputs():
    notebooks = [p for folder in ("notebooks", "solutions", "exercises") for p in (ROOT / folder).glob("*.ipynb")]
    assert len(notebooks) > 40
    bad = {p.name: hits[:3] for p in notebooks if (hits := found(outputs_of(p), TRACES | SECRETS))}
    assert not bad


@pytest.mark.parametrize(
    "text",
    [
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "ghp_" + "a" * 36,
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "postgresql://mira:" + "hunter22@db/x",
        "/home/" + "mira/course/mlflow.db",
        "http://127.0.0.1:" + "43121",
    ],
)
def test_the_scan_sees_what_it_looks_for(text):
    assert found(f"a line with {text} in it", SECRETS | TRACES)


# ---- names and paths ---------------------------------------------------------------------------------------------

HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    "03; touch pwned",
    "$(touch pwned)",
    "a\nb",
    "-",
    "..",
    "~",
    "*",
    "%00",
    "3" * 400,
]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_is_told_and_nothing_is_written(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in (["build", "--check", "--", name], ["run", "-o", str(tmp_path / "batch"), "--", name]):
        result = CliRunner().invoke(app, words)
        assert isinstance(result.exception, CourseError), (words, result.output)
        assert "\n" not in str(result.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["n_rows; import os", "__import__('os')", "a b", "ä-", "class", "1x"])
def test_a_parameter_that_is_code_is_refused_before_anything_runs(name, tmp_path):
    words = ["run", "03", "-o", str(tmp_path / "batch"), "-p", f"{name}=1"]
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, CourseError) and not (tmp_path / "batch").exists()


def test_a_notebook_keeps_a_name_with_shell_and_html_in_it_as_text(tmp_path):
    name = "<img src=x onerror=alert(1)> $(touch pwned) #1?.ipynb"
    path = tmp_path / "other" / name
    path.parent.mkdir()
    path.write_text("{}")
    label, evil = f"other/{name}", "</code><script>alert(2)</script>"
    outcomes = [Outcome(label, "failed", 1.0, 2, f"Boom: {evil}", str(path)), Outcome(evil, "ok")]
    page = report.render(batch.Batch(tmp_path, {label: path}), outcomes, {label: {"x": f"'\"{evil}"}})

    class Tags(html.parser.HTMLParser):
        seen: set[str] = set()
        links: list[str] = []

        def handle_starttag(self, tag, attributes):
            self.seen.add(tag)
            self.links += [value for key, value in attributes if key == "href"]
            assert not [key for key, _ in attributes if key.startswith("on")]

    reader = Tags()
    reader.feed(page)
    assert not {"script", "img", "iframe"} & reader.seen and evil not in page
    from urllib.parse import unquote

    assert {unquote(link) for link in reader.links} == {label} and not re.search(r"[#?<>\"]", reader.links[0])


# ---- tables ------------------------------------------------------------------------------------------------------

ROWS = b"".join(b"%d,%d\n" % (i, i % 2) for i in range(40))
TABLES = {
    "zero bytes": (b"x\0,y\n" + ROWS, "zero bytes"),
    "a program": (b"\x7fELF\0\0\0" * 500, "zero bytes"),
    "UTF-16": (("x,y\n" + ROWS.decode()).encode("utf16"), "UTF-8"),
    "no text": (b"x\x81\x8d,y\n" + ROWS, "UTF-8"),
    "a gzip file": (gzip.compress(b"x,y\n" + ROWS), "zero bytes|UTF-8"),
    "a million columns": (b"c," * 1_000_000 + b"y\n" + ROWS, "1,000,001 columns"),
    "an endless name": (b"x" * 1_000_000 + b",y\n" + ROWS, "1 to 200 characters"),
    "a line break in a name": (b'"a\nb<script>",y\n' + ROWS, "control character"),
    "an open quote": (b'x,y\n"1,0\n' + ROWS, "cannot be read as CSV"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_hostile_table_is_one_message(kind, tmp_path):
    content, message = TABLES[kind]
    path = tmp_path / "customers.csv"
    path.write_bytes(content)
    with pytest.raises(CourseError, match=message) as told:
        data.load_and_split_data(path, "y")
    assert len(str(told.value)) < 700


def test_a_compressed_table_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"x,y\n" + ROWS))
    with pytest.raises(CourseError, match="ends in '.gz'"):
        data.load_and_split_data(path, "y")


def test_a_byte_order_mark_and_names_like_formulas_are_read_as_they_are(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_bytes(b"\xef\xbb\xbf=cmd|'/c calc'!A1,y\n" + ROWS.replace(b"0,", b"1,"))
    assert list(data.load_and_split_data(path, "y").X_train.columns) == ["=cmd|'/c calc'!A1"]


def test_a_table_too_wide_to_look_at_is_refused_in_any_format(tmp_path):
    wide = (
        pd.DataFrame([[0] * table_files.MAX_COLUMNS, [1] * table_files.MAX_COLUMNS])
        .rename(columns=str)
        .assign(y=[0, 1])
    )
    wide.to_parquet(tmp_path / "wide.parquet")
    with pytest.raises(CourseError, match="5,001 columns.*wrong way round"):
        data.load_and_split_data(tmp_path / "wide.parquet", "y")


# ---- servers that mean harm --------------------------------------------------------------------------------------


class Stranger(BaseHTTPRequestHandler):
    """Answers as `behaviour` says; counts what it is told about names and passwords."""

    behaviour = "html"
    told: list[str] = []
    pause = threading.Event()

    def log_message(self, *_):
        pass

    def answer(self, code: int, body: bytes, kind: str = "text/html", **headers: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.told.append(self.headers.get("Authorization", ""))
        behaviour, health = self.behaviour, self.path == "/health"
        try:
            if behaviour == "html":
                self.answer(200, b"<html><script>alert(1)</script>" + b"\x1b[2J" * 20)
            elif behaviour == "500":
                self.answer(500, b"Traceback (most recent call last):")
            elif behaviour == "redirect":
                self.answer(302, b"", Location="http://127.0.0.1:9/steal")
            elif behaviour == "endless":
                self.send_response(200)
                self.end_headers()
                while True:
                    self.wfile.write(b"OK" * 50_000)
            elif behaviour == "drip":
                self.send_response(200)
                self.end_headers()
                while True:
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    self.pause.wait(0.2)
            elif health:
                self.answer(200, b"OK", "text/plain")
            elif behaviour == "wrong json":
                self.answer(200, b'["not", "what", "MLflow", "says"]', "application/json")
            elif behaviour == "deep json":
                self.answer(200, b"[" * 200_000, "application/json")
            elif behaviour == "wrong types":
                self.answer(200, b'{"experiments": "many"}', "application/json")
            elif behaviour == "401":
                self.answer(401, b"who are you")
        except OSError:
            pass

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()


@pytest.fixture(scope="module")
def stranger() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


BEHAVIOURS = {
    "html": "not an MLflow server",
    "500": "not an MLflow server.*code 500",
    "redirect": "sends us to",
    "endless": "body without end",
    "drip": "did not answer in full within",
    "wrong json": "not answer as MLflow does",
    "deep json": "cannot be read|not answer as MLflow does",
    "wrong types": "not answer as MLflow does",
    "401": "asks for a name and a password",
}


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_a_hostile_server_is_one_message_within_a_time_limit(behaviour, stranger, monkeypatch):
    monkeypatch.setattr(Stranger, "behaviour", behaviour)
    monkeypatch.setattr(class_server, "TIME_LIMIT", 2.0 if behaviour == "drip" else 60.0)
    with pytest.raises(CourseError, match=BEHAVIOURS[behaviour]) as told:
        store.connect(stranger)
    assert str(told.value).isprintable() and len(str(told.value)) < 700


def test_every_verb_that_would_use_a_hostile_server_says_so(stranger, monkeypatch, tmp_path):
    monkeypatch.setattr(Stranger, "behaviour", "html")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", stranger)
    monkeypatch.setattr(course_store, "ENVIRONMENT_URI", stranger)
    for words in (["ui"], ["run", "00", "-o", str(tmp_path / "batch")], ["workflow", "--fast"], ["verify", "0" * 32]):
        result = CliRunner().invoke(app, words)
        assert isinstance(result.exception, CourseError), (words, result.output)
        assert "not an MLflow server" in str(result.exception), words
    assert not (tmp_path / "batch").exists()


def test_a_password_does_not_follow_a_redirect_and_is_not_shown(stranger, monkeypatch, tmp_path):
    monkeypatch.setattr(Stranger, "behaviour", "redirect")
    Stranger.told.clear()
    with pytest.raises(CourseError) as told:
        class_server.join(tmp_path, stranger, "anna", "my-secret-word")
    assert "my-secret-word" not in str(told.value) and len(Stranger.told) == 1
    assert not (tmp_path / ".course").exists()


def test_a_spoiled_file_of_the_joined_server_is_one_message(tmp_path, monkeypatch):
    (tmp_path / ".course").mkdir()
    for text in ("", "[]", json.dumps({"url": "http://x"}), "\0"):
        (tmp_path / ".course" / "joined.json").write_text(text)
        with pytest.raises(CourseError, match="course server leave"):
            class_server.joined(tmp_path)
    class_server.leave(tmp_path)
    assert class_server.joined(tmp_path) is None
