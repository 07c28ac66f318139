"""Programs that a notebook starts: forked below a warm kernel, and the same as those below an ordinary one."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from course_runner.kernels import programs
from tests.command import ROOT, course
from tests.notebooks import notebook

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forking a loaded process is safe on Linux only")

SHOW = """
import logging, mlflow, os, resource, signal, sys, threading, warnings
import numpy, pandas, sklearn.linear_model
if __name__ == "__main__":
    print(sys.argv, __name__, __file__, __spec__, sys.path, sys.flags)
    print(sorted(set(os.environ) - {"COURSE_WARM_SOCKET", "JPY_PARENT_PID", "PYTHONPATH"}))
    print(os.getcwd(), os.environ.get("GREETING"))
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        print(stream.encoding, stream.errors, stream.line_buffering, stream.fileno(), stream.mode, stream.isatty())
    print([(n.name, str(signal.getsignal(n))) for n in signal.valid_signals() if isinstance(n, signal.Signals)])
    print(resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_NOFILE), os.umask(0o22))
    print(os.getpriority(os.PRIO_PROCESS, 0), sorted(os.sched_getaffinity(0)), threading.active_count())
    print(logging.root.handlers, sys.stdin.read())
    numbers = os.listdir("/proc/self/fd")
    print([n for n in "012" if n in numbers], os.environ.get("GIVEN", "0") in numbers)
    print("said", file=sys.stderr)
    sys.exit(3)
"""

CELLS = (
    f"import os, pathlib, signal, subprocess, sys, time; pathlib.Path('show.py').write_text({SHOW!r})",
    "run = lambda *words, **more: subprocess.run([sys.executable, *words], capture_output=True, text=True, **more)",
    "print(run('show.py', 'a word', input='given'))",
    "pathlib.Path('below').mkdir(); print(run('../show.py', cwd='below', env=os.environ | {'GREETING': 'hello'}, umask=0o77))",
    "read, write = os.pipe(); print(run('show.py', pass_fds=[write], env=os.environ | {'GIVEN': str(write)}, input='').stdout)",
    "print(run('-m', 'mlflow', '--version'), run('-c', 'import mlflow, sys; print(sys.argv, sys.path[0]); 1 / 0', 'x'))",
    "pathlib.Path('bad.py').write_text('def f():\\n    return 1 / 0\\nf()'); print(run('bad.py'))",
    "pathlib.Path('typo.py').write_text('1 +'); print(run('typo.py'), run('missing.py').returncode)",
    "pathlib.Path('word.py').write_text('import sys; sys.exit(\"a reason\")'); print(run('word.py'))",
    "pathlib.Path('last.py').write_text('import atexit; atexit.register(print, \"at the end\"); print(\"first\")')",
    "print(run('last.py'))",
    "pathlib.Path('up.py').write_text('import time\\nprint(\"up\", flush=True)\\ntime.sleep(300)')",
    """
def ended_by(number):
    process = subprocess.Popen([sys.executable, "up.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    time.sleep(0.5)
    process.send_signal(number)
    return *process.communicate(), process.returncode
print([ended_by(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1)])
""",
    "pathlib.Path('fall.py').write_text('import os; os.kill(os.getpid(), 11)'); print(run('fall.py').returncode)",
    """
pathlib.Path("pool.py").write_text('''
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

def square(number):
    return number**2, __name__, multiprocessing.parent_process() is not None

if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        print(list(pool.map(square, range(3))))
''')
print(run("pool.py"))
""",
    "pathlib.Path('sitecustomize.py').write_text('import builtins; builtins.CUSTOM = 1')",
    "own = os.environ | {'PYTHONPATH': os.pathsep.join(filter(None, [os.environ.get('PYTHONPATH'), os.getcwd()]))}",
    "print(run('-c', 'import sys; print(CUSTOM, any(\"runner/site\" in entry for entry in sys.path))', env=own))",
)


def executed(path: Path, folder: Path, *words: str) -> NotebookNode:
    """Run a notebook and return it with its outputs."""
    done = course("run", path, "-o", folder, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return nbformat.read(folder / "other" / path.name, 4)


def test_a_program_below_a_warm_kernel_is_the_same_as_below_an_ordinary_one(tmp_path):
    path = notebook(tmp_path / "same.ipynb", *CELLS)
    warm = executed(path, tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "warm")  # outputs name the folder
    cold = executed(path, tmp_path / "out", "--cold")
    for cell, one, other in zip(CELLS, warm.cells, cold.cells, strict=True):
        assert one.outputs == other.outputs, cell


def test_what_children_and_c_libraries_print_is_shown_by_a_warm_kernel_too(tmp_path):
    path = ROOT / "tests/cases/child_output/child_output.ipynb"

    def outputs(*words: str) -> list[list[NotebookNode]]:
        """Of each cell; what a child prints and the cell's own result come through two pipes, in either order."""
        cells = executed(path, tmp_path / "-".join(words), *words).cells
        return [sorted(cell.outputs, key=lambda output: output.output_type) for cell in cells]

    warm = outputs("--jobs", "1")
    shown = [[output.get("text", "") for output in cell] for cell in warm]
    assert shown[:3] == [["", "from a child\n"], ["", "from the shell\n"], ["from a spawned process\n"]]
    assert "ZeroDivisionError" in shown[3][1]
    # An ordinary kernel loses such a line now and then on a busy machine (see the next test): it has three tries.
    assert any(outputs("--jobs", str(jobs), "--cold") == warm for jobs in (1, 2, 3))


SLOW_THREAD = """
import os, sys, threading, time

class Slow:
    lock = sys.stdout._buffer_lock

    def __enter__(self):
        if threading.current_thread() is sys.stdout.watch_fd_thread:
            time.sleep(0.5)
        self.lock.acquire()

    def __exit__(self, *_):
        self.lock.release()

sys.stdout._buffer_lock = Slow()
"""


def test_what_comes_through_a_pipe_belongs_to_its_cell_however_late_it_is_read(tmp_path):
    """ipykernel reads it in a thread of its own, which a busy machine keeps waiting; here the thread waits itself."""
    path = notebook(tmp_path / "late.ipynb", SLOW_THREAD, "_ = os.write(1, b'late\\n')", "pass")
    cells = executed(path, tmp_path / "out").cells
    assert [[output.text for output in cell.outputs] for cell in cells] == [[], ["late\n"], []]


def test_a_program_below_a_warm_kernel_is_forked_from_the_server_that_has_its_libraries(tmp_path):
    show = "print('warm_server' in open('/proc/self/cmdline').read())"
    cells = (
        f"import pathlib, subprocess, sys; pathlib.Path('show.py').write_text({show!r})",
        "print(subprocess.run([sys.executable, 'show.py'], capture_output=True, text=True))",
        "print(subprocess.run([sys.executable, '-S', 'show.py'], capture_output=True, text=True).stdout)",
    )
    path = notebook(tmp_path / "loaded.ipynb", *cells)
    for folder, words, seen in (("warm", (), "True"), ("cold", ("--cold",), "False")):
        _, forked, plain = executed(path, tmp_path / folder, *words).cells
        assert f"stdout='{seen}\\n'" in forked.outputs[0].text
        assert plain.outputs[0].text.strip() == "False", "an option of Python's own"


def test_the_workers_of_dask_are_forked_and_hash_alike(tmp_path):
    """Dask sets a hash seed so that its workers agree; a program that asks for another seed gets it."""
    show = "print('warm_server' in open('/proc/self/cmdline').read(), hash('a'))"
    cells = (
        f"import os, pathlib, subprocess, sys; pathlib.Path('show.py').write_text({show!r})",
        "from dask.distributed import Client, LocalCluster",
        """
def look():
    return "warm_server" in open("/proc/self/cmdline").read(), hash("a")
with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster, Client(cluster) as client:
    seen = client.run(look)
assert len(seen) == 2 and len(set(seen.values())) == 1, seen
print(*seen.values())
""",
        "seeded = os.environ | {'PYTHONHASHSEED': '7'}",
        "print(subprocess.run([sys.executable, 'show.py'], capture_output=True, text=True, env=seeded).stdout)",
    )
    outputs = executed(notebook(tmp_path / "dask.ipynb", *cells), tmp_path / "out").cells
    assert outputs[2].outputs[0].text.startswith("(True, ")
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    asked = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, env=environment).stdout
    assert outputs[4].outputs[0].text.split()[1] == asked.split()[1]


def test_the_processes_of_joblib_are_forked_and_leave_no_note(tmp_path):
    cells = (
        "from joblib import Parallel, delayed",
        "def look(number): return 'warm_server' in open('/proc/self/cmdline').read(), number**2, __name__",
        "print(Parallel(n_jobs=2)(delayed(look)(number) for number in range(3)))",
    )
    path = notebook(tmp_path / "pool.ipynb", *cells)
    for words, forked in (((), True), (("--cold",), False)):
        done = course("run", path, "-o", tmp_path / f"out{forked}", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not (forked and "left running" in done.stdout), done.stdout
        nb = nbformat.read(tmp_path / f"out{forked}/other/pool.ipynb", 4)
        assert nb.cells[2].outputs[0].text.strip() == str([(forked, n**2, "__main__") for n in range(3)])


def test_a_kernel_with_a_resource_tracker_ends_at_once(tmp_path):
    """The tracker of multiprocessing ignores SIGTERM, which ipykernel sends until the runner's patience ends."""
    cells = ("from multiprocessing import resource_tracker; resource_tracker.ensure_running()",)
    nb = executed(notebook(tmp_path / "tracked.ipynb", *cells), tmp_path / "out")
    ends = [datetime.fromisoformat(part.metadata.papermill.end_time) for part in (nb.cells[0], nb)]
    assert (ends[1] - ends[0]).total_seconds() < 1.5, "jupyter_client waits for 2.5 s"


def test_a_program_that_is_left_running_is_ended_and_named(tmp_path):
    flag = tmp_path / "flag"
    code = f"import os, pathlib, time; pathlib.Path({str(flag)!r}).write_text(str(os.getpid())); time.sleep(300)"
    cells = (
        f"import pathlib, subprocess, sys, time; pathlib.Path('left.py').write_text({code!r})",
        "subprocess.Popen([sys.executable, 'left.py'], start_new_session=True)\n"
        f"while not pathlib.Path({str(flag)!r}).exists(): time.sleep(0.05)",
    )
    done = course("run", notebook(tmp_path / "left.ipynb", *cells), "-o", tmp_path / "out")
    assert done.returncode == 0 and "left.py" in done.stdout, done.stdout + done.stderr
    pid = int(flag.read_text())
    assert not Path(f"/proc/{pid}").exists()


def test_without_a_server_a_program_starts_as_always(tmp_path):
    (tmp_path / "show.py").write_text("import sys; print(sys.argv, 'mlflow' in sys.modules, sys.path[1][-4:])")
    environment = {**os.environ, "COURSE_WARM_SOCKET": str(tmp_path / "nobody"), "PYTHONPATH": programs.SITE}
    done = subprocess.run(
        [sys.executable, "show.py", "x"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr, done.returncode) == ("['show.py', 'x'] False .zip\n", "", 0)


def test_temporary_files_of_a_notebook_go_with_its_kernel(tmp_path):
    """Those that it forgets, too: MLflow and Dask do."""
    cells = (
        "import pathlib, subprocess, sys, tempfile; print(tempfile.mkdtemp())",
        "pathlib.Path('make.py').write_text('import tempfile; print(tempfile.mkdtemp())')",
        "print(subprocess.run([sys.executable, 'make.py'], capture_output=True, text=True).stdout)",
    )
    path = notebook(tmp_path / "forgets.ipynb", *cells)
    for folder, words in (("warm", ()), ("cold", ("--cold",))):
        nb = executed(path, tmp_path / folder, *words)
        made = [Path(nb.cells[n].outputs[0].text.strip()) for n in (0, 2)]
        assert made[0].parent == made[1].parent and not made[0].parent.exists(), folder
