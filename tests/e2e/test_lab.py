"""The MLflow tile without a browser: what it serves, and that it ends with JupyterLab; Binder and the dev container."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from course_runner.build import contents
from course_runner.kernels.warm import Warmth
from course_runner.lab import lab
from course_utils._plumbing.processes import unused_port
from tests.lectures import PAGES, ROOT

#: A stand-in for JupyterLab: starts the tile as jupyter-server-proxy does, and waits.
STARTER = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:]).pid, flush=True); sys.stdin.read()"


def until(true: Callable[[], bool], what: str, seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Tile:
    """A tile, the process that started it, and its address."""

    def __init__(self, **settings: str) -> None:
        port = unused_port()
        words = [part.format(port=port, base_url="/") for part in lab.tile()["command"]]
        self.address = f"http://127.0.0.1:{port}"
        self.starter = subprocess.Popen(
            [sys.executable, "-c", STARTER, *words],
            env=os.environ | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.pid = int(self.starter.stdout.readline())

    def get(self, path: str = "/") -> str:
        try:
            with urllib.request.urlopen(self.address + path, timeout=60) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def page_with(self, words: str) -> str:
        """Return the page once it has these words.

        When the warm server forks the tile, the process that asked for it may answer a moment longer that it starts.
        """
        pages = [""]
        until(lambda: pages.append(self.get()) or words in pages[-1], "the page")  # type: ignore[func-returns-value]
        return pages[-1]

    def end(self) -> None:
        self.starter.kill()
        self.starter.wait()
        self.starter.stdin.close()
        self.starter.stdout.close()


@pytest.fixture
def tile(tmp_path: Path, store_template: Path) -> Iterator[Callable[..., Tile]]:
    started: list[Tile] = []

    def start(**settings: str) -> Tile:
        settings = {"COURSE_HOME": str(tmp_path), "COURSE_STORE_TEMPLATE": str(store_template)} | settings
        started.append(Tile(**settings))
        return started[-1]

    yield start
    for one in started:
        one.end()
        until(lambda pid=one.pid: not alive(pid), "the tile's end")


def test_the_tile_says_that_it_starts_then_shows_the_ui_and_dies_with_a_killed_jupyterlab(tile):
    one = tile()
    until(lambda: "The MLflow UI is starting" in one.get(), "the first page")
    until(lambda: "<title>MLflow</title>" in one.get(), "the UI")
    assert one.get("/health") == "OK"
    os.kill(one.starter.pid, signal.SIGKILL)
    until(lambda: one.get("/health") == "", "the end of the server")


def test_a_store_on_a_server_is_named_without_its_password(tile):
    one = tile(MLFLOW_TRACKING_URI="http://mira:secret@tracking.example.org:5000")
    page = one.page_with("kept elsewhere")
    assert 'href="http://tracking.example.org:5000"' in page and "secret" not in page


def test_a_file_that_is_no_store_is_named_instead_of_a_blank_page(tile, tmp_path):
    (tmp_path / "mlflow.db").write_text("not a database")
    one = tile()
    assert "is not a SQLite database" in one.page_with("cannot start")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks a loaded process safely")
def test_the_tile_of_course_lab_is_forked_from_the_server_that_has_mlflow_loaded_and_ends_with_its_starter(
    tile, tmp_path
):
    with contextlib.closing(Warmth(tmp_path, cold=False, scratch=None)) as warmth:
        one = tile(**warmth.environment())
        until(lambda: one.get("/health") == "OK", "the UI")
        forked = psutil.Process(one.pid).children(recursive=True)
        assert not forked, "the tile's own process has loaded nothing"
        warmth.wait()
        server = psutil.Process(warmth.pid)
        assert len(server.children()) == 1
        os.kill(one.starter.pid, signal.SIGKILL)
        until(lambda: not server.children(), "the end of the fork")


def test_a_public_jupyterlab_may_change_runs_and_a_private_one_allows_nobody_else(monkeypatch):
    for name in ("JUPYTERHUB_PUBLIC_URL", "BINDER_LAUNCH_HOST", "CODESPACE_NAME", "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"):
        monkeypatch.delenv(name, raising=False)
    assert lab.public_origins() == ""
    monkeypatch.setenv("JUPYTERHUB_PUBLIC_URL", "https://hub.example.org/user/mira/")
    assert lab.public_origins() == "https://hub.example.org"


def test_a_taken_port_is_said(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00_start_here.ipynb").write_text("{}")
    started: list[list[str]] = []
    monkeypatch.setattr(lab, "trust", lambda root: None)
    monkeypatch.setattr("course_runner.lab.ui.run_server", lambda command, *_: started.append(command) or 0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert lab.serve_lab(tmp_path, ["--no-browser"], port) == 0
    said = capsys.readouterr().out
    chosen = int(re.search(r"JupyterLab is on (\d+)", said)[1])
    assert f"Port {port} is taken" in said and chosen > port
    assert f"--ServerApp.port={chosen}" in started[0] and started[0][-1] == "--no-browser"


def test_binder_starts_jupyterlab_with_the_same_settings_as_course_lab():
    words = [
        str(ROOT / ".binder" / "start"),
        sys.executable,
        "-c",
        "import json, os; print(json.dumps(dict(os.environ)))",
    ]
    bare = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")}
    seen = json.loads(subprocess.run(words, env=bare, check=True, capture_output=True, text=True).stdout)
    for name in ("JUPYTER_CONFIG_PATH", "JUPYTER_PATH"):
        assert Path(seen[name]) == Path(lab.lab_environment()[name].split(os.pathsep)[0])
        assert any(Path(seen[name]).rglob("*.json"))


def test_binder_builds_from_the_lock_and_trusts_every_notebook(tmp_path):
    for name in ("python", "jupyter"):  # in place of an installation of minutes: what is asked of them
        stub = tmp_path / name
        stub.write_text(f'#!/bin/sh\nprintf "%s\\n" "{name} $*" >> "{tmp_path}/asked"\n')
        stub.chmod(0o755)
    environment = {"PATH": f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    subprocess.run([str(ROOT / ".binder" / "postBuild")], cwd=ROOT, env=environment, check=True)
    locked, ours, trusted = (tmp_path / "asked").read_text().splitlines()
    pip = "python -m pip install --no-cache-dir --no-deps"
    assert locked == f"{pip} --require-hashes -r requirements.lock"
    assert ours == f"{pip} --no-build-isolation -e ."
    here = {str(page.path.relative_to(ROOT)) for page in PAGES}
    assert trusted.startswith("jupyter trust ") and set(trusted.split()[2:]) == here


def test_the_dev_container_is_set_up_by_make():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert container["postCreateCommand"] == "make setup"


def test_badges_stand_in_the_readme_when_the_repository_has_an_address(monkeypatch):
    address = "https://github.com/nordtel/mlflow-course"
    for known in ("", address):
        monkeypatch.setattr(contents, "repository", lambda known=known: known)
        text = contents.pages_to_write(ROOT)[ROOT / "README.md"]
        slugs = re.findall(r"(?:mybinder\.org/v2/gh|codespaces\.new)/([\w.-]+/[\w.-]+)", text)
        assert slugs == (["nordtel/mlflow-course"] * 2 if known else [])
    assert contents.badges("https://example.org/course") == "", "Binder and Codespaces open what is on GitHub"


@pytest.mark.parametrize("kill", ["kill", "killpg"])
def test_a_server_ends_when_the_command_that_started_it_is_killed(kill):
    server = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    starter = (
        "import os, pathlib, sys; from course_runner.lab.ui import run_server; "
        "run_server([sys.executable, '-c', sys.argv[1]], dict(os.environ), pathlib.Path.cwd())"
    )
    words = [sys.executable, "-c", starter, server]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as command:
        pid = int(command.stdout.readline())
        assert alive(pid)
        getattr(os, kill)(command.pid, signal.SIGKILL)  # the command alone, or its process group
    until(lambda: not alive(pid), "the end of the server")
