"""What a learner does with a lecture: run it twice, solve *Your turn*, and take its script home."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys

import pytest

from course_runner.build.source import BEHIND, SCRIPT, make_notebook, tagged
from course_runner.kernels import programs, provisioner, warm
from tests.lectures import LECTURES, PAGES, can_wait, cells, failure, python_in_the_text, run

each = pytest.mark.parametrize("page", LECTURES, ids=lambda page: page.step.name)


@pytest.mark.long
@each
def test_your_turn_works_after_run_all_and_the_lecture_runs_twice(page):
    nb = make_notebook(page, PAGES, behind=True)
    visible = [cell for cell in nb.cells if not BEHIND.intersection(cell.metadata.get("tags", []))]
    (solution,) = tagged(nb.cells, "your-turn-solution")
    judge = next(cell for cell in visible if cell.cell_type == "code" and "lesson.turn(" in cell.source)
    again = [cell for cell in visible if "parameters" not in cell.metadata.get("tags", [])]
    nb.cells = [type(cell)({**cell, "id": f"cell-{n}"}) for n, cell in enumerate([*visible, solution, judge, *again])]
    outcome, done = run(page, nb)
    if not outcome.ok:
        after = max(0, outcome.cell - len(visible)) if outcome.cell else 0
        when = ("in the first run", "in Your turn", "in the second run")[(after > 0) + (after > 2)]
        pytest.fail(f"{when}: {failure(page, outcome, done)}", pytrace=False)
    before, solved = (
        "".join(output.get("text", "") for output in done.cells[n].outputs)
        for n in (visible.index(judge), len(visible) + 1)
    )
    assert before.startswith("Not yet: "), "a gap that nobody has filled"
    assert solved == "Correct.\n", solved


@pytest.mark.long
@pytest.mark.parametrize(
    ("page", "opened"),
    [
        pytest.param(page, opened, id=f"{page.step.name}-{opened}")
        for page in LECTURES
        if (waiting := len(can_wait(make_notebook(page, PAGES))))
        for opened in range(waiting + 1 if waiting > 1 else 1)
    ],
)
def test_a_lecture_runs_without_the_sections_that_can_wait_and_with_any_one_of_them(page, opened):
    nb = make_notebook(page, PAGES)
    left = {name for number, names in enumerate(can_wait(nb), start=1) if number != opened for name in names}
    nb.cells = [cell for cell in nb.cells if cell.id not in left]
    outcome, done = run(page, nb)
    assert outcome.ok, failure(page, outcome, done)


@pytest.mark.parametrize("how", ["forked", pytest.param("alone", marks=pytest.mark.long)])
@each
def test_the_script_runs_twice_in_an_empty_folder(page, how, tmp_path):
    (script,) = cells(page, SCRIPT)
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(script))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert not imported & {"course_utils", "course_runner"}, "the script is for people who do not have this course"
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "script.py").write_text(script, encoding="utf8")
    environment = {**os.environ, **warm.KERNEL_SETTINGS}
    if how == "forked":
        programs.below(environment)  # a fork has the libraries already, where a warm server runs
    else:
        environment.pop(provisioner.SOCKET, None)
        (tmp_path / "course_utils.py").write_text("raise ImportError('the course is not here')")
        environment["PYTHONPATH"] = str(tmp_path)
    for time in ("first", "second"):
        done = subprocess.run(
            [sys.executable, "script.py"], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"the {time} time: {done.stderr}"
        noise = re.findall(r"^.*(?:\b(?:WARNING|ERROR)\b|Warning:).*$", done.stderr, re.M)
        assert not noise, f"the {time} time: {noise}"
        assert done.stdout.strip(), "a script says what it has done"
    made = {path.name for path in folder.iterdir()}
    assert not [name for name in made if " " in name], f"an address with something behind it? It made {sorted(made)}"
    if "sqlite:///mlflow.db" in script:
        assert "mlflow.db" in made and not [name for name in made if name.startswith("mlflow.db.")]


def test_the_cluster_starts_without_a_warning_when_dasks_usual_port_is_taken(tmp_path):
    (page,) = (page for page in LECTURES if page.step.name == "batch_and_scale")
    code = next(cell.source for cell in make_notebook(page, PAGES).cells if "LocalCluster(**" in cell.source)
    (settings,) = re.findall(r"^local = \{.*?^\}", code, re.M | re.S)
    script = f"""
import contextlib, pathlib, socket
from dask.distributed import LocalCluster

folder = pathlib.Path()
{settings}
if __name__ == "__main__":
    with contextlib.suppress(OSError):  # taken by somebody else: as good
        held = socket.create_server(("127.0.0.1", 8787))
    LocalCluster(**local).close()
"""
    (tmp_path / "cluster.py").write_text(script, encoding="utf8")
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "cluster.py"],
        **{"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 120},
    )
    assert done.returncode == 0, done.stderr


def test_the_weekly_file_of_the_fold_runs_the_notebook_of_the_script(tmp_path):
    (page,) = (page for page in LECTURES if page.step.name == "batch_and_scale")
    (weekly,) = (block for block in python_in_the_text(page) if "dg.Definitions" in block)
    monday = """
from datetime import datetime

import dagster, mlflow, weekly

request = weekly.mondays(dagster.build_schedule_context(scheduled_execution_time=datetime(2026, 11, 30, 6)))
assert weekly.weekly.execute_in_process(tags=request.tags).success
(run,) = mlflow.search_runs(experiment_names=["my-weekly-batch"], output_format="list")
assert run.info.run_name == "2026-11-30-attempt-1" and run.data.metrics["cv_auc"] > 0.9
assert mlflow.MlflowClient().list_artifacts(run.info.run_id)[0].path == "2026-11-30.ipynb"
"""
    (script,) = cells(page, SCRIPT)
    for name, code in {"batch.py": script, "weekly.py": weekly, "monday.py": monday}.items():
        (tmp_path / name).write_text(code, encoding="utf8")
    for name in ("batch.py", "monday.py"):
        done = subprocess.run(
            [sys.executable, name],
            cwd=tmp_path,
            env=os.environ | warm.KERNEL_SETTINGS,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
