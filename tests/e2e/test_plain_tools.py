"""The tools that people know run the lectures without the `course` command, as README shows."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import KernelManager

from course_runner.kernels.warm import KERNEL_SETTINGS

ROOT = Path(__file__).resolve().parents[2]
LECTURES = sorted((ROOT / "notebooks").glob("*.ipynb"))
PLAIN = ROOT / "notebooks" / "05_mlflow_basics.ipynb"  # the one that is run without any help of ours


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with what the tools need of a fresh clone; runs stay in it."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    shutil.copy(ROOT / "sanitize.cfg", tmp_path)
    return tmp_path


def run(tree: Path, *words: object, plain: bool = False) -> str:
    """Run a tool of this environment in the tree, with the kernels of `course test` unless `plain`; return what it said."""
    environment = {**os.environ, "COURSE_HOME": str(tree), "JUPYTER_PREFER_ENV_PATH": "1"}
    ours = ("COURSE_WARM_SOCKET", "COURSE_STORE_TEMPLATE", "JUPYTER_DEFAULT_PROVISIONER_NAME", *KERNEL_SETTINGS)
    for name in (*(ours if plain else ()), "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "PYTHONPATH"):
        environment.pop(name, None)
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    done = subprocess.run([*map(str, words)], cwd=tree, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def ran_whole(path: Path) -> nbformat.NotebookNode:
    """Return an executed notebook after making sure that each of its cells has run."""
    nb = nbformat.read(path, as_version=4)
    assert all(c.execution_count for c in nb.cells if c.cell_type == "code" and c.source.strip()), path
    return nb


def papermill(tree: Path, lecture: Path, plain: bool = False) -> None:
    target = tree / f"{lecture.stem}_out.ipynb"
    has_rows = any("parameters" in c.metadata.get("tags", []) and "n_rows" in c.source for c in cells(lecture))
    options = ["-p", "n_rows", "500"] if has_rows else []
    run(tree, "papermill", f"notebooks/{lecture.name}", target.name, *options, plain=plain)
    nb = ran_whole(target)
    assert any("n_rows = 500" in c.source for c in nb.cells) == has_rows


def cells(lecture: Path) -> list[nbformat.NotebookNode]:
    return nbformat.read(lecture, as_version=4).cells


@pytest.mark.long
@pytest.mark.parametrize("lecture", LECTURES, ids=lambda path: path.stem[:2])
def test_papermill_runs_a_lecture_with_fewer_rows(tree: Path, lecture: Path) -> None:
    papermill(tree, lecture)


@pytest.mark.long
def test_jupyter_execute_runs_every_lecture(tree: Path) -> None:
    run(tree, "jupyter", "execute", *(f"notebooks/{path.name}" for path in LECTURES), "--output=../{notebook_name}_out")
    for lecture in LECTURES:
        ran_whole(tree / f"{lecture.stem}_out.ipynb")


@pytest.mark.long
def test_nbval_finds_the_stored_outputs_of_every_lecture(tree: Path) -> None:
    said = run(
        tree, "pytest", "-p", "no:cacheprovider", "--nbval", "--nbval-sanitize-with", "sanitize.cfg", "notebooks/"
    )
    assert int(re.search(r"(\d+) passed", said)[1]) > 250


@pytest.mark.long
def test_a_lecture_runs_with_nothing_of_ours_at_all(tree: Path) -> None:
    name = f"notebooks/{PLAIN.name}"
    papermill(tree, PLAIN, plain=True)
    run(tree, "jupyter", "execute", name, "--output=../plain", plain=True)
    ran_whole(tree / "plain.ipynb")
    nbval = ("--nbval", "--nbval-sanitize-with", "sanitize.cfg")
    run(tree, "pytest", "-p", "no:cacheprovider", *nbval, name, plain=True)
    changed = nbformat.read(tree / name, as_version=4)
    next(o for c in changed.cells for o in c.get("outputs", []) if o.output_type == "stream").text += "never printed\n"
    nbformat.write(changed, tree / name)
    with pytest.raises(AssertionError, match="Cell outputs differ"):
        run(tree, "pytest", "-p", "no:cacheprovider", *nbval, name)


def test_the_readme_shows_these_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf8")
    for command in (
        f"papermill notebooks/{PLAIN.name} out.ipynb -p n_rows 500",
        f"jupyter execute notebooks/{PLAIN.name} --output=../out",
        "pytest --nbval --nbval-sanitize-with sanitize.cfg notebooks/",
    ):
        assert command in readme


def test_every_notebook_names_the_kernel_of_this_environment() -> None:
    """What VS Code, Jupyter and papermill look for: the name leads to the Python of `.venv`, not to another one."""
    names = set()
    for kind in ("notebooks", "exercises", "solutions"):
        for path in (ROOT / kind).glob("*.ipynb"):
            names.add(json.loads(path.read_text(encoding="utf8"))["metadata"]["kernelspec"]["name"])
    assert names == {"python3"}
    manager = KernelManager(kernel_name="python3")
    assert manager.format_kernel_cmd()[0] == sys.executable
    assert Path(manager.kernel_spec.resource_dir).is_relative_to(sys.prefix)
