"""The workflow for several classes and for amounts: what it says and leaves, and that the served model is the reported one."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.metrics import (
    balanced_accuracy_score,
    f1_score,
    log_loss,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from course_runner import workflow
from course_runner.cli import app as cli
from course_runner.cli import workflow as cli_workflow
from course_runner.verify import verify
from course_runner.workflow import KINDS, WorkflowConfig, judging, panels, run_workflow
from course_runner.workflow import run as running
from course_utils import data, plots, store
from course_utils.errors import CourseError
from tests.notebooks import course_here

#: What each kind must have in the store, beside what all have.
METRICS = {
    "multiclass": {"accuracy", "balanced_accuracy", "f1_macro", "log_loss", "roc_auc_ovr"},
    "regression": {"mae", "rmse", "r2"},
}
BOTH = pytest.mark.parametrize("task", list(METRICS))


def wine(folder: Path) -> Path:
    """Write scikit-learn's wines with decimal commas, the classes in words."""
    frame = datasets.load_wine(as_frame=True).frame.rename(columns=lambda name: name.replace("/", " over "))
    frame["target"] = frame["target"].map({0: "Barolo", 1: "Grignolino", 2: "Barbera"})
    frame.rename(columns={"target": "grape kind"}).to_csv(folder / "wine.csv", index=False, sep=";", decimal=",")
    return folder / "wine.csv"


def homes(folder: Path) -> Path:
    """Write 400 homes: numbers with gaps, text, and a price in whole euros with commas between thousands."""
    rng = np.random.default_rng(6)
    n = 400
    table = pd.DataFrame(
        {
            "income": rng.gamma(3, 1.3, n).round(3),
            "age": rng.integers(1, 52, n),
            "shore": rng.choice(["near", "inland", "bay"], n),
        }
    )
    table.loc[5, "income"] = 31.0  # a price of a million: two commas leave no doubt
    price = 60 + 45 * table["income"] + 80 * (table["shore"] == "bay") + rng.normal(0, 25, n)
    table["house price"] = [f"{v * 1000:,.0f}" for v in price.clip(lower=1)]
    table.loc[::17, "income"] = np.nan
    table.to_csv(folder / "homes.csv", index=False)
    return folder / "homes.csv"


FILES = {"multiclass": (wine, "grape kind"), "regression": (homes, "house price")}


@dataclass
class Left:
    """What a command has said, and what it left in the store."""

    out: str
    err: str
    home: Path
    run: mlflow.entities.Run
    children: list[mlflow.entities.Run]
    split: data.Split
    config: WorkflowConfig


@pytest.fixture(scope="module")
def left(store_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Left]]:
    """Both kinds, each by the command in a store of its own."""
    found = {}
    for task, (write, target) in FILES.items():
        home = tmp_path_factory.mktemp(task)
        shutil.copyfile(store_template, home / "mlflow.db")
        path = write(home)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COURSE_HOME", str(home))
            done = course_here("workflow", "--data", path, "--target", target, "--fast", "--output", home / "files")
            assert done.returncode == 0, done.stderr
            client = mlflow.MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
            runs = client.search_runs([client.get_experiment_by_name("ml_workflow_demo").experiment_id])
        (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
        config = WorkflowConfig(path, target, n_rows=1000, folds=3, small=True)
        found[task] = Left(
            done.stdout, done.stderr, home, parent, [r for r in runs if r is not parent], workflow.load(config), config
        )
    yield found
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


@BOTH
def test_the_command_says_how_the_target_was_read_and_shows_a_baseline(left, task):
    found, words = left[task], " ".join(left[task].out.replace("│", " ").split())
    assert f"so the task is {task} (told from its values)" in words and "--task" in words
    assert f"{KINDS[task].baseline} " in words and "registered: " in words
    assert "[8/8] Evaluate on the test set, register" in found.err and "Warning" not in found.err
    for name in KINDS[task].files:
        assert (found.home / "files" / name).exists() and name in found.out
    assert sorted(p.name for p in (found.home / "files").iterdir()) == sorted(KINDS[task].files)
    assert "Class to find" not in words and "threshold" not in words
    expected = "Barbera, Barolo, Grignolino" if task == "multiclass" else "commas between thousands"
    assert expected in words


@BOTH
def test_the_store_has_the_metrics_of_the_kind_and_the_models_were_compared_over_the_folds(left, task):
    run, kind = left[task].run, KINDS[task]
    metrics, names = run.data.metrics, METRICS[task]
    assert {f"test_{name}" for name in names} | {f"oof_{name}" for name in names} <= set(metrics)
    assert {"best_cv_score", "final_val_score", "optimal_val_score", f"served_{kind.main}"} <= set(metrics)
    models = [kind.baseline, *kind.models, "registered"]
    assert {f"{model}_cv_{name}" for model in models for name in names} <= set(metrics)
    ranked, _, lower = kind.ranked
    best = (min if lower else max)(models, key=lambda model: metrics[f"{model}_cv_{ranked}"])
    assert best != kind.baseline, "the baseline learns nothing"
    assert run.data.params["task"] == run.data.tags["task"] == task
    assert run.data.params["model"] == kind.models[0] and "positive_class" not in run.data.params
    assert len(left[task].children) == 4
    assert not [name for name in metrics if "threshold" in name or "brier" in name]


@BOTH
def test_the_registered_model_answers_with_the_score_that_is_reported(left, task):
    found = left[task]
    mlflow.set_tracking_uri(f"sqlite:///{found.home / 'mlflow.db'}")
    mlflow.set_registry_uri(f"sqlite:///{found.home / 'mlflow.db'}")
    name = f"{task}_{KINDS[task].models[0]}_{'wine' if task == 'multiclass' else 'homes'}"
    model = mlflow.pyfunc.load_model(f"models:/{name}/1")
    answers, y, metrics = model.predict(found.split.X_test), found.split.y_test, found.run.data.metrics
    if task == "multiclass":
        assert set(answers) <= {"Barolo", "Grignolino", "Barbera"}, "it answers with names, not with numbers"
        assert (
            f1_score(y, answers, average="macro")
            == pytest.approx(metrics["test_f1_macro"])
            == metrics["served_f1_macro"]
        )
        assert np.mean(answers == y) == pytest.approx(metrics["test_accuracy"])
    else:
        assert root_mean_squared_error(y, answers) == pytest.approx(metrics["test_rmse"]) == metrics["served_rmse"]
        assert r2_score(y, answers) == pytest.approx(metrics["test_r2"])
    info = mlflow.models.get_model_info(f"models:/{name}/1")
    assert set(info.signature.inputs.input_names()) == set(found.split.X_test) and info.signature.outputs
    assert len(model.input_example) == 3
    version = mlflow.MlflowClient().get_model_version(name, "1")
    assert version.run_id == found.run.info.run_id and version.tags["task"] == task
    assert not list((found.home / "files" / "model").rglob("*.pkl")), "a pickle may run code when it is loaded"


@BOTH
def test_the_test_set_chooses_nothing(left, task, course_home, monkeypatch):
    """The second run has test labels of other rows: all that is chosen must stay, only the judgement may change."""
    real = workflow.load

    def mixed(config: WorkflowConfig) -> data.Split:
        split = real(config)
        rng = np.random.default_rng(0)
        return replace(
            split, y_test=pd.Series(rng.permutation(split.y_test), split.y_test.index, name=split.y_test.name)
        )

    monkeypatch.setattr(running, "load", mixed)
    store.connect()
    again = mlflow.get_run(run_workflow(left[task].config).run_id).data
    first = left[task].run.data
    same = [
        name for name in first.metrics if ("cv_" in name or name.startswith(("oof_", "final_"))) and "time" not in name
    ]
    assert len(same) > 10
    for name in same:
        assert again.metrics[name] == pytest.approx(first.metrics[name]), name
    assert {
        k: v for k, v in first.params.items() if k.startswith(("best_", "optimal_"))
    }.items() <= again.params.items()
    changed = f"test_{KINDS[task].main}"
    assert again.metrics[changed] != pytest.approx(first.metrics[changed])


def test_a_regression_is_verified_by_a_second_execution(left):
    found = left["regression"]
    done = course_here("verify", found.run.info.run_id, "--home", found.home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all equal" in done.stdout and "test_rmse" in done.stdout and "served_rmse" in done.stdout


@pytest.mark.parametrize("age", ["new", "before there were tasks"])
def test_the_second_execution_is_given_the_task_and_an_older_run_had_two_classes(left, age, monkeypatch):
    given = {}

    def fake(command: list[str], **_: object) -> SimpleNamespace:
        given.update(json.loads(command[-1]))
        return SimpleNamespace(returncode=1, stderr="enough seen")

    run = left["multiclass"].run
    monkeypatch.setattr(verify.subprocess, "run", fake)
    params = {k: v for k, v in run.data.params.items() if age == "new" or k != "task"}
    verify._workflow_again(SimpleNamespace(data=SimpleNamespace(params=params, tags=run.data.tags), info=run.info))
    assert given["task"] == ("multiclass" if age == "new" else "binary")
    assert given["target"] == "grape kind" and given["scoring"] == "f1_macro" and given["folds"] == 3
    assert set(given) == set(WorkflowConfig().params())


# ------------------------------------------------------------------------------------------------ what is refused


def odd(folder: Path) -> None:
    """Write tables that the command must refuse."""
    rng = np.random.default_rng(2)
    x = pd.DataFrame({"a": rng.normal(size=120), "b": rng.integers(0, 9, 120)})
    amounts = (x["a"] * 3 + rng.normal(size=120)).round(3)
    tables = {
        "rating": [i % 5 + 1 for i in range(120)],
        "lonely": ["rare", *["one", "two", "three"] * 39, "one", "two"],
        "few": ["rare"] * 2 + ["one", "two"] * 59,
        "constant": [7.5] * 120,
        "infinite": amounts.where(amounts.index != 4, np.inf),
        "gaps": amounts.where(amounts.index > 3),
    }
    for name, values in tables.items():
        x.assign(y=values).to_csv(folder / f"{name}.csv", index=False)
    x.assign(y=amounts, copy=(amounts * 2.54).round(2)).to_csv(folder / "leak.csv", index=False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["rating"],
            "holds 5 different numbers (1, 2, 3, 4, 5), which may be names of classes or amounts. Say which: --task",
        ),
        (["rating", "--task", "binary"], "has 5 classes (1, 2, 3, 4, 5). The task binary has two: --task multiclass"),
        (["rating", "--task", "ranking"], "--task is 'ranking'; it is one of binary, multiclass, regression"),
        (["rating", "--task", "multiclass", "--positive", "5"], "--positive names the one of two classes"),
        (
            ["rating", "--task", "multiclass", "--model", "ridge"],
            "task multiclass does not know. Choose one of logistic",
        ),
        (["rating", "--task", "regression", "--scoring", "f1"], "task regression does not know. Choose one of r2"),
        (["lonely"], "The class 'rare' of 'y' has one row in lonely"),
        (["few"], "1 of 3 classes of 'y' in few have too few rows (rare): 5 to train on"),
        (["constant", "--task", "regression"], "has one value, 7.5, in all 120 rows"),
        (["infinite"], "is infinite in 1 of 120 rows"),
        (["gaps"], "is missing in 4 of 120 rows"),
        (["leak"], "The column 'copy' alone tells 'y' (it explains 100.00% of it)"),
    ],
)
def test_the_command_refuses_with_one_message_and_leaves_nothing(course_home, monkeypatch, capsys, words, message):
    odd(course_home)
    monkeypatch.chdir(course_home)
    before = sorted(p.name for p in course_home.iterdir())
    monkeypatch.setattr(
        sys, "argv", ["course", "workflow", "--target", "y", "--data", f"{words[0]}.csv", *map(str, words[1:])]
    )
    with pytest.raises(SystemExit) as stop:
        cli.main()
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and not out
    (line,) = [line for line in err.splitlines() if not line.startswith("[1/8]")]
    assert message in line
    assert sorted(p.name for p in course_home.iterdir()) == before
    assert mlflow.search_runs(search_all_experiments=True).empty


def test_options_that_only_fit_two_classes_are_refused_by_the_configuration():
    with pytest.raises(CourseError, match="calibration is 'isotonic', and only the probabilities of two classes"):
        WorkflowConfig(task="regression", calibration="isotonic").check()
    with pytest.raises(CourseError, match="calibration is 'isotonic'"):
        workflow.load(WorkflowConfig("wine", calibration="isotonic"))


# --------------------------------------------------------------------------------------------------- single steps


def test_the_metrics_are_those_of_scikit_learn_and_a_class_without_test_rows_breaks_nothing():
    rng = np.random.default_rng(1)
    y = rng.choice(["a", "b", "c"], 90)
    p = rng.dirichlet([1, 1, 1], 90)
    found = judging.metrics(y, p, ("a", "b", "c"))
    assert found["roc_auc_ovr"] == pytest.approx(roc_auc_score(y, p, multi_class="ovr"))
    assert found["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(y, np.array(["a", "b", "c"])[p.argmax(1)])
    )
    assert found["log_loss"] == pytest.approx(log_loss(y, p))
    assert found["f1_macro"] == pytest.approx(f1_score(y, np.array(["a", "b", "c"])[p.argmax(1)], average="macro"))
    without = judging.metrics(y[y != "c"], p[y != "c"], ("a", "b", "c"))
    assert np.isfinite(list(without.values())).all()
    assert np.isnan(judging.per_class(y[y != "c"], p[y != "c"], ("a", "b", "c")).loc["c", "roc_auc"])


@pytest.mark.parametrize("many", [3, 12, 60])
def test_few_and_many_classes_are_drawn_and_told_in_words(many):
    rng = np.random.default_rng(0)
    classes = tuple(f"${v:02d} of a kind with a rather long name" for v in range(many))
    codes = np.arange(many * 6) % many
    p = rng.dirichlet(np.ones(many), len(codes))
    p[np.arange(len(codes)), codes] += 0.5 * rng.random(len(codes))
    y = np.array(classes, dtype=object)[codes]
    table = judging.per_class(y, p, classes)
    figure, matrix = panels.one_against_the_rest(y, p, classes, table), panels.confusion(y, p, classes)
    for drawn in (figure, matrix):
        assert plots.png(drawn).startswith(b"\x89PNG")
    assert f"test rows of {many} classes" in plots.alt_text(figure) and "are taken for" in plots.alt_text(matrix)
    shown = [text.get_text() for text in figure.axes[1].get_yticklabels()]
    assert len(shown) == min(many, 20)
    assert {float(t) for t in table["f1"].nsmallest(3)} <= set(table["f1"].sort_values().iloc[: len(shown)])


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_a_learning_curve_starts_with_all_classes_there_are(task):
    y = pd.Series(["a"] * 80 + ["b"] * 15 + ["c"] * 10) if task == "multiclass" else pd.Series(np.arange(105.0))
    sizes = workflow.learning_sizes(y, folds=5, seed=0, task=task)
    for train, _ in workflow.folds_of(5, 0, task).split(y, y):
        assert task == "regression" or set(y.to_numpy()[train[: sizes[0]]]) == {"a", "b", "c"}
    assert sizes[-1] == 84 and (np.diff(sizes) > 0).all()


@pytest.mark.parametrize("model", ["ridge", "random_forest", "logistic_regression"])
def test_every_setting_of_the_grids_is_one_that_the_pipeline_has(model):
    task = "multiclass" if model == "logistic_regression" else "regression"
    pipeline = workflow.build_pipeline(pd.DataFrame({"x": [1.0]}), model, task=task)
    for small in (True, False):
        grid = workflow.param_grid(model, small, task)
        assert {*grid, workflow.varied(model, small, task)[0]} <= set(pipeline.get_params())


@pytest.mark.parametrize(
    ("rmse", "words"),
    [
        ({"mean": 9.0, "ridge": 5.0, "random_forest": 6.0, "registered": 5.0}, ""),
        ({"mean": 9.0, "ridge": 5.0, "random_forest": 4.0, "registered": 5.0}, "random_forest has the better RMSE"),
        ({"mean": 4.0, "ridge": 5.0, "random_forest": 6.0, "registered": 5.0}, "Nothing was learned"),
    ],
)
def test_the_report_says_when_another_model_or_the_baseline_does_better(rmse, words, capsys):
    runtime = pd.DataFrame({"cv_rmse": rmse})
    cli_workflow._say_what_is_better(SimpleNamespace(task="regression", runtime=runtime))
    out = capsys.readouterr().out
    assert words in out and bool(out) == bool(words)


def test_errors_in_the_targets_unit_are_read_as_shares_of_its_spread():
    score = np.array([-9000.0, -8000.0, -7500.0, -7400.0])[:, None]
    curve = workflow.Curve("rows", np.array([10, 20, 30, 40]), score + 300, score)
    reading = workflow.reading_table(curve.scaled(50_000.0)).set_index("here").loc["→", "diagnosis"]
    assert not reading.startswith("high variance")
