"""Linux, macOS and Windows, Python 3.11 to 3.14: what can be proven of them without running there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLATFORMS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "x86_64-pc-windows-msvc", "aarch64-apple-darwin"]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_locked_package_has_a_wheel(platform: str, tmp_path: Path) -> None:
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    for python in ("3.11", "3.12", "3.13", "3.14"):
        words = ["--only-binary", ":all:", "--python-platform", platform, "--python-version", python]
        words += ["--require-hashes", "-r", str(ROOT / "requirements.lock"), "--target", str(tmp_path)]
        done = subprocess.run([uv, "pip", "install", "--dry-run", *words], capture_output=True, text=True, cwd=ROOT)
        if "Failed to fetch" in done.stderr:
            pytest.skip(f"the package index cannot be reached, so the wheels for {platform} were not looked up")
        assert done.returncode == 0, f"Python {python}: {done.stderr}"
        assert "Would install 2" in done.stderr, "some 250 packages"


#: Imports all modules and asks every verb for its help in a Python that has lost what Windows never had. Libraries keep
#: it: they are imported before, and are at home on Windows by themselves.
WITHOUT_POSIX = """
import builtins, ctypes, importlib, os, pkgutil, signal, socket, sys
import distributed, fastapi, ipykernel.kernelapp, jupyterlab.labapp, mlflow.server.fastapi_app, nbval.plugin, optuna
import mlflow.server.auth, papermill, seaborn, sklearn.ensemble, xdist.scheduler
from typer.testing import CliRunner

find, ours = builtins.__import__, tuple(sys.argv[1:])

def without(name, globals=None, *rest, **words):
    if name in ("fcntl", "grp", "pwd", "resource", "termios") and str((globals or {}).get("__name__")).startswith(ours):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return find(name, globals, *rest, **words)

class Library(ctypes.CDLL):
    def __init__(self, name, *rest, **words):
        if name is None and sys._getframe(1).f_globals["__name__"].startswith(ours):
            raise TypeError("Windows has no library of the whole process")
        super().__init__(name, *rest, **words)

builtins.__import__, ctypes.CDLL = without, Library
missing = {
    os: "fork forkpty getegid geteuid getpgid getsid getuid killpg pidfd_open sched_getaffinity setsid sysconf",
    signal: "SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGUSR1 SIGUSR2 pidfd_send_signal pthread_sigmask set_wakeup_fd",
    socket: "AF_UNIX recv_fds send_fds",
}
for module, names in missing.items():
    for name in filter(lambda name: hasattr(module, name), names.split()):
        delattr(module, name)
for package in ours:
    path = importlib.import_module(package).__path__
    for found in pkgutil.walk_packages(path, f"{package}.", onerror=print):
        try:
            importlib.import_module(found.name)
        except Exception as error:
            print(f"{found.name}: {type(error).__name__}: {error}")
from course_runner.cli.app import app
verbs = [verb.name or verb.callback.__name__ for verb in app.registered_commands]
for words in [[], *([verb] for verb in verbs), ["server"]]:
    done = CliRunner().invoke(app, [*words, "--help"])
    if done.exit_code:
        print("course", *words, done.exception)
print(len(verbs), "verbs")
"""


def test_every_module_and_verb_is_there_without_what_windows_lacks() -> None:
    packages = [path.name for path in sorted(ROOT.glob("course_*")) if (path / "__init__.py").is_file()]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_POSIX, *packages], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr
    (verbs,) = done.stdout.splitlines()
    assert int(verbs.split()[0]) >= 10
