"""Warm kernels against ordinary ones, on kinds of code: what a notebook shows must not depend on how its kernel started."""

from __future__ import annotations

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import DEVNULL

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from course_runner.kernels.provisioner import NAME, SOCKET
from course_runner.kernels.sockets import SocketKernelManager
from course_runner.kernels.warm import KERNEL_SETTINGS, warm_kernels
from tests.command import ROOT
from tests.kinds_of_code import DIFFERS, FILES, KINDS

pytestmark = [
    pytest.mark.long,  # two minutes: 38 kernels of both kinds
    pytest.mark.skipif(sys.platform != "linux", reason="warm kernels are forked, on Linux only"),
]

#: What differs from run to run: addresses, process numbers, the kernel's folder, measured times.
MASKS = (
    (r"0x[0-9a-f]{6,}", "0x"),
    (r"ipykernel_\d+", "ipykernel"),
    (r"/[\w./-]*/mlc[kt]-\w+(/k\w+)?", "KERNEL"),
    (r"\b(pid|PID|id)[= ]\d+", r"\1"),
    (r"\d+(\.\d+)? (ns|[µu]s|ms|s)\b", "TIME"),
    (r"\b[0-9a-f]{32}\b", "ID"),
    (r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d", "NOW"),
    (r"(CPU times|Wall time): .*", r"\1"),
)
#: First cell of each kernel: at the end of a cell, ipykernel's threads read what descriptors 1 and 2 have got. An
#: ordinary kernel does not wait for that either, so a late line is shown by the next cell or lost.
WAIT = """
def _wait(*_, fcntl=__import__("fcntl"), sys=__import__("sys"), time=__import__("time")):
    for stream in (s for s in (sys.stdout, sys.stderr) if hasattr(s, "_fid")):  # not under %%capture
        while any(fcntl.ioctl(stream._fid, 0x541B, bytes(4))):  # FIONREAD: bytes that nobody has read yet
            time.sleep(0.001)
    time.sleep(0.01)
get_ipython().events.register("post_run_cell", _wait)
"""
Shown = list[list[dict]]


class _Warm(SocketKernelManager):
    provisioner_name = NAME

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.kernel_spec.metadata["kernel_provisioner"] = {"provisioner_name": self.provisioner_name}


class _Cold(_Warm):
    provisioner_name = "local-provisioner"


def _mask(text: str, folder: Path) -> str:
    text = text.replace(str(folder), "HERE")
    for pattern, replacement in MASKS:
        text = re.sub(pattern, replacement, text)
    return text


def _plain(value: object, folder: Path) -> object:
    """Return outputs without what differs from run to run; a stream's pieces are joined."""
    if isinstance(value, str):
        return _mask(value, folder)
    if isinstance(value, dict):
        return {k: _plain(v, folder) for k, v in value.items() if k != "execution_count"}
    return [_plain(v, folder) for v in value] if isinstance(value, list) else value


def _joined(outputs: list) -> list[dict]:
    streams = {}
    for output in outputs:  # two streams come through two pipes, so their order among each other is by chance
        if output["output_type"] == "stream":
            streams[output["name"]] = streams.get(output["name"], "") + output["text"]
    return [o for o in outputs if o["output_type"] != "stream"] + [{k: streams[k]} for k in sorted(streams)]


def _run(kind: str, folder: Path, manager: type[SocketKernelManager]) -> tuple[Shown, dict[str, str]]:
    """Run the cells of a kernel; return what each has shown, and the files that are left at the end."""
    folder.mkdir(parents=True)
    for name, text in FILES.get(kind, {}).items():
        (folder / name).write_text(text)
    environment = {**os.environ, **KERNEL_SETTINGS, "COURSE_HOME": str(folder), "PWD": str(folder)}
    for name in ("PYTEST_CURRENT_TEST", "MLFLOW_TRACKING_URI", *([SOCKET] if manager is _Cold else [])):
        environment.pop(name, None)  # under pytest, ipykernel leaves out what children print
    nb = new_notebook(cells=[new_code_cell(code) for code in (WAIT, *KINDS[kind].values())])
    client = NotebookClient(
        nb,
        kernel_name="python3",
        kernel_manager_class=manager,
        allow_errors=True,
        timeout=120,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=environment, stdout=DEVNULL, stderr=DEVNULL)  # where ipykernel copies what children print
    shown = [_plain(_joined(cell.outputs), folder) for cell in nb.cells[1:]]
    left = {path.name: path.read_text() for path in sorted(folder.glob("*.txt"))}
    return shown, left


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Kernel → what it showed and left, warm and cold; two kernels at a time."""
    folder = tmp_path_factory.mktemp("kinds")
    with warm_kernels(ROOT) as warmth, ThreadPoolExecutor(2) as pool:
        assert not warmth.note
        started = {
            kind: [
                pool.submit(_run, kind, folder / name / str(number), manager)
                for name, manager in (("warm", _Warm), ("cold", _Cold))
            ]
            for number, kind in enumerate(KINDS)
        }
        return {kind: [one.result() for one in pair] for kind, pair in started.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_warm_kernel_shows_what_an_ordinary_one_shows(both, kind):
    (warm, warm_left), (cold, cold_left) = both[kind]
    for name, one, other in zip(KINDS[kind], warm, cold, strict=True):
        if f"{kind} / {name}" in DIFFERS:
            assert one != other, f"{kind} / {name} no longer differs: take it off the list"
        else:
            assert one == other, f"{kind} / {name}: {KINDS[kind][name]}"
    assert warm_left == cold_left


def test_there_are_enough_kinds_and_each_difference_has_its_reason():
    assert sum(map(len, KINDS.values())) >= 120
    names = {f"{kind} / {name}" for kind, cells in KINDS.items() for name in cells}
    assert set(DIFFERS) <= names and all(len(reason) > 20 for reason in DIFFERS.values())
