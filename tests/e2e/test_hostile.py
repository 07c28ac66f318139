"""Hostile submissions: what a notebook's code tries inside the sandbox of `course grade`, and what becomes of it.

The code runs in the same walls and limits as a notebook's kernel, without the kernel: that takes a tenth of a second each.
What a whole notebook tries (forged results, dead kernels, links) is in test_grading.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import psutil
import pytest

from course_runner.grade import sandbox
from course_utils._judge.task import WITHHELD
from course_utils.errors import printable

PROGRAM = sandbox.bubblewrap()
ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "course_utils"
CHECKS = ROOT / "source/mlflow_basics/checks.py"
LIMITS = sandbox.Limits(wall=20, cpu=2, memory=300 << 20, file=20 << 20, disk=60 << 20, files=2000, processes=30)

pytestmark = pytest.mark.skipif(
    PROGRAM is None or sys.platform != "linux",
    reason="needs bubblewrap; without it `course grade` says what is not isolated",
)


def attempt(home: Path, code: str, limits: sandbox.Limits = LIMITS, alone: bool = True) -> sandbox.Ended:
    """Run code as a notebook's kernel would run it, and return how it ended.

    Without `alone`, no process has a limit of its own on memory, so that what stops it is the limit on all of them.
    """
    (home / "tmp").mkdir(exist_ok=True)
    settings = sandbox.environment(home, 4242, loads_models=True)
    each = {name: most for name, most in limits.of_each_process().items() if alone or name != "RLIMIT_AS"}
    limited = f"import resource\nfor name, most in {each!r}.items(): resource.setrlimit(getattr(resource, name), (most, most))\n"
    return sandbox.confine([sys.executable, "-I", "-c", limited + code], home, settings, limits, PROGRAM)


#: What uses too much: code → why it is stopped.
GREEDY = {
    "memory files, one after another": (
        "import os\nwhile True:\n    f = os.memfd_create('x')\n    os.write(f, bytes(8 << 20))",
        "too much memory",
    ),
    "memory file that is mapped": (
        "import mmap, os, time\nfor n in range(60):\n    f = os.memfd_create('x'); os.ftruncate(f, 16 << 20)\n"
        "    m = mmap.mmap(f, 16 << 20); m.write(bytes(16 << 20)); globals()[f'm{n}'] = m\ntime.sleep(60)",
        "too much memory",
    ),
    "memory shared by children": (
        "import mmap, os, time\nm = mmap.mmap(-1, 400 << 20)\nif os.fork() == 0: m.write(bytes(400 << 20))\ntime.sleep(60)",
        "too much memory",
    ),
    "memory of many children": (
        "import os, time\nfor n in range(20):\n    if os.fork() == 0: x = b'x' * (40 << 20); time.sleep(60)\ntime.sleep(60)",
        "too much memory",
    ),
    "daemons in sessions of their own": (
        "import os, time\nfor n in range(50):\n    if os.fork() == 0:\n        os.setsid(); time.sleep(60)\ntime.sleep(60)",
        "too many processes",
    ),
    "flood of small files": ("n = 0\nwhile True: open(f'f{n}', 'w').write('x'); n += 1", "too many files"),
    "flood that has ended before anyone looks": ("for n in range(2100): open(f'f{n}', 'w').close()", "too many files"),
    "flood of folders": ("import os\nfor n in range(2100): os.mkdir(f'd{n}')", "too many files"),
    "flood of links": (
        "import os\nopen('x', 'w').close()\nfor n in range(2100): os.link('x', f'l{n}')",
        "too many files",
    ),
    "files in /tmp": ("for n in range(2100): open(f'/tmp/f{n}', 'w').close()", "too many files"),
    "files in /dev/shm": ("for n in range(9): open(f'/dev/shm/{n}', 'wb').write(bytes(9 << 20))", "too many files"),
    "endless printing": ("while True: print('x' * 10_000)", "too much output"),
    "endless sleep": ("import time\nwhile True: time.sleep(1)", "wall time"),
    "sleep that ignores signals": (
        "import signal, time\nfor n in range(1, 32):\n    if n not in (9, 19): signal.signal(n, signal.SIG_IGN)\n"
        "while True: time.sleep(1)",
        "wall time",
    ),
}


@pytest.mark.parametrize("kind", GREEDY)
def test_what_uses_too_much_is_stopped_with_its_reason(kind, tmp_path):
    code, reason = GREEDY[kind]
    wall = 3 if reason == "wall time" else LIMITS.wall
    ended = attempt(tmp_path, code, sandbox.Limits(**{**vars(LIMITS), "wall": wall, "cpu": 20}), alone=False)
    assert (ended.code, ended.stopped) == (None, reason)
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or [])]


#: As many processes as this may be made by the test, whether or not anything holds it: a bomb that nobody stops would take
#: the machine with it. Each one ends by itself.
BOMB = """
import os, time
made = 0
for _ in range(300):
    try:
        child = os.fork()
    except OSError:
        break
    if child == 0:
        time.sleep(5)
        os._exit(0)
    made += 1
print(made, flush=True)
"""


@pytest.mark.skipif(not os.access("/sys/fs/cgroup/pids", os.W_OK), reason="needs a control group, which root may make")
def test_a_fork_bomb_is_held_by_the_system(tmp_path):
    few = sandbox.Limits(**{**vars(LIMITS), "processes": 10})
    ended = attempt(tmp_path, BOMB, few, alone=False)
    assert ended.stopped == "too many processes" or int(ended.output) < 10 * few.processes


#: What the system itself refuses: code that ends with 0 when it has got through.
REFUSED = {
    "a memory file that is too large": "import os\nf = os.memfd_create('x')\nwhile True: os.write(f, bytes(1 << 20))",
    "a file that is too large": "open('big', 'wb').write(bytes(30 << 20))",
    "endless computing": "while True: pass",
    "more memory than there is": "x = b'x' * (1 << 30)",
    "writing into the course": f"open({str(PACKAGE / 'data.py')!r}, 'a')",
    "writing beside the course": f"open({str(PACKAGE / 'new.py')!r}, 'w')",
    "writing into the environment": f"open({sys.prefix!r} + '/lib/new.pth', 'w')",
    "writing to the root": "open('/new', 'w')",
    "reading the checkout": f"open({str(ROOT / 'pyproject.toml')!r})",
    "reading the solutions": f"import os\nassert os.listdir({str(ROOT / 'solutions')!r})",
    "reading the tests": f"import os\nassert os.listdir({str(ROOT / 'tests')!r})",
    "reading the list of users": "open('/etc/passwd')",
    "opening the checks": f"open({str(CHECKS)!r})",
    "finding the checks compiled": f"import os\nassert os.listdir({str(CHECKS.parent / '__pycache__')!r})",
    "putting checks in their place": f"import os\nos.mkdir({str(CHECKS.parent)!r})\nopen({str(CHECKS)!r}, 'w')",
    "reading the answers": f"open({str(CHECKS.with_name('answers.py'))!r})",
    "asking the tasks for their check": (
        "from course_utils._judge.task import load_tasks\n"
        "from course_utils._judge.mistake import Mistake\n"
        "try: load_tasks('mlflow_basics')[0].check(None)\nexcept Mistake: raise SystemExit(1)"
    ),
    "making a device": "import os, stat\nos.mknod('sda', 0o600 | stat.S_IFBLK, os.makedev(8, 0))",
    "a user namespace": "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0",
    "mounting memory": "import ctypes\nassert ctypes.CDLL(None).mount(b'x', b'/tmp', b'tmpfs', 0, None) == 0",
    "making a read-only place writable": (
        "import ctypes\nassert ctypes.CDLL(None).mount(None, b'/usr', None, 32 | 4096, None) == 0"
    ),
    "more rights": "import os\nos.setuid(0); os.chroot('/')",
    "seeing other processes": "import os\nassert len([n for n in os.listdir('/proc') if n.isdigit()]) > 5",
    "the environment of who grades": "assert b'GRADERS_SECRET' in open('/proc/1/environ', 'rb').read()",
    "lifting a limit": "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    "a name server": "import socket\nsocket.getaddrinfo('example.org', 80)",
    "another machine": "import socket\nsocket.create_connection(('192.0.2.1', 80), 2)",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_the_walls_refuse_does_not_get_through(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADERS_SECRET", "exam questions")
    ended = attempt(tmp_path, REFUSED[kind])
    assert ended.stopped or ended.code != 0
    assert not (PACKAGE / "new.py").exists()


def test_the_sandbox_lets_an_honest_notebook_work(tmp_path):
    code = "import os, tempfile\nopen('mine', 'w').write('x')\ntempfile.mkdtemp()\nassert os.environ['COURSE_SEED'] == '4242'"
    assert attempt(tmp_path, code) == sandbox.Ended(0, b"")
    assert (tmp_path / "mine").read_text() == "x"


@pytest.mark.parametrize("family", ["network", "abstract"])
def test_a_server_of_this_machine_is_not_reached(family, tmp_path):
    if family == "network":
        listener = socket.create_server(("127.0.0.1", 0))
        where = f"s = socket.socket(); s.settimeout(2); s.connect(('127.0.0.1', {listener.getsockname()[1]}))"
    else:
        listener, name = socket.socket(socket.AF_UNIX), f"\0course-{os.getpid()}"
        listener.bind(name)
        listener.listen()
        where = f"socket.socket(socket.AF_UNIX).connect({name!r})"
    with listener:
        assert attempt(tmp_path, f"import socket\n{where}").code != 0


def test_links_to_what_is_outside_are_links_to_nothing(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("exam questions")
    home = tmp_path / "home"
    home.mkdir()
    assert attempt(home, f"import os\nos.symlink({str(secret)!r}, 'mlflow.db')\nopen('mlflow.db')").code != 0
    assert not sandbox.copy_regular(home, tmp_path / "copy") or not (tmp_path / "copy" / "mlflow.db").exists()


def test_a_notebook_sees_tasks_that_judge_nothing():
    assert len(WITHHELD) >= 9 and {task.points for task in WITHHELD} == {0}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("anna\x1b[2J\x1b]0;pwned\x07", "anna�[2J�]0;pwned�"),
        ("gpj.\u202eexe", "gpj.�exe"),
        ("a\nb\r\x00c", "a�b��c"),
        ("zoë 李", "zoë 李"),
    ],
)
def test_a_name_is_shown_without_what_a_terminal_would_obey(name, shown, tmp_path):
    assert printable(name) == shown


def test_one_judge_reads_many_stores_and_outlives_a_spoilt_one(tmp_path, store_template):
    judge = sandbox.Judge(tmp_path, 4242, sandbox.Limits(), PROGRAM)
    try:
        codes = []
        for name, content in (
            ("good", store_template.read_bytes()),
            ("spoilt", b"SQLite format 3\0" * 99),
            ("empty", b""),
        ):
            (tmp_path / name).mkdir()
            (tmp_path / name / "mlflow.db").write_bytes(content)
            codes.append(judge.check(tmp_path / name, "mlflow_basics").output)
        again = judge.check(tmp_path / "good", "mlflow_basics").output
    finally:
        judge.close()
    assert codes[0] == again and codes[0].count(b'"not-started"') == 5
    assert b"points" not in codes[1]
