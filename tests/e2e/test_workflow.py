"""The eight-step workflow: what it leaves, that it repeats, and that it breaks cleanly."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score
from sklearn.tree import DecisionTreeClassifier

from course_runner import workflow
from course_runner.cli import app as cli
from course_runner.workflow import WorkflowConfig, run_workflow
from course_runner.workflow import run as running
from course_utils import data, scores, store
from course_utils.errors import CourseError

#: All 16 settings, on few rows and folds.
CONFIG = WorkflowConfig(n_rows=240, folds=2)
SMALL = replace(CONFIG, small=True, n_rows=160)


@dataclass
class Whole:
    """A workflow that has run to its end, and what it left in the store."""

    result: workflow.WorkflowResult
    split: data.Split
    steps: list[tuple]
    parent: mlflow.entities.Run
    children: list[mlflow.entities.Run]
    artifacts: set[str]
    predictions: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def whole(store_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """One run for all tests that only look at what it left."""
    home = tmp_path_factory.mktemp("whole")
    shutil.copyfile(store_template, home / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_HOME", str(home))
        store.connect(f"sqlite:///{home / 'mlflow.db'}")
        steps: list[tuple] = []
        result = run_workflow(CONFIG, lambda *step: steps.append(step))
        split = workflow.load(CONFIG)
        runs = mlflow.search_runs(experiment_names=[result.experiment], output_format="list")
        uris = {
            "registry": f"models:/{result.model_name}/{result.model_version}",
            "run": f"runs:/{result.run_id}/model",
            "folder": str(result.folder / "model"),
        }
        yield Whole(
            result,
            split,
            steps,
            mlflow.get_run(result.run_id),
            [run for run in runs if run.data.tags.get("mlflow.parentRunId") == result.run_id],
            {file.path for file in mlflow.MlflowClient().list_artifacts(result.run_id)},
            {name: mlflow.sklearn.load_model(uri).predict_proba(split.X_test)[:, 1] for name, uri in uris.items()},
        )
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)


def test_it_leaves_the_named_files_and_nothing_else(whole):
    folder = whole.result.folder
    assert (
        sorted(p.name for p in folder.iterdir()) == sorted(workflow.FILES) == sorted(p.name for p in whole.result.files)
    )
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]
    for picture in folder.glob("*.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")
    assert set(workflow.FILES) - {"model"} <= whole.artifacts


def test_every_setting_is_a_child_run_and_a_row(whole):
    assert len(whole.children) == len(pd.read_csv(whole.result.folder / "cv_results.csv")) == 16
    settings = {tuple(run.data.params[name] for name in ("C", "solver", "class_weight")) for run in whole.children}
    assert len(settings) == 16 and {weight for _, _, weight in settings} == {"None", "balanced"}
    assert {run.info.status for run in [whole.parent, *whole.children]} == {"FINISHED"}
    best = max(whole.children, key=lambda run: run.data.metrics["cv_score"])
    assert best.data.metrics["cv_score"] == pytest.approx(whole.result.cv_score)
    assert float(best.data.params["C"]) == whole.result.best_params["C"] == whole.result.candidates["C"].iloc[0]


def test_the_parent_says_what_was_done_with_which_data(whole):
    params, metrics = whole.parent.data.params, whole.parent.data.metrics
    assert params["seed"] == "42" and params["folds"] == "2" and params["data"] == "synthetic"
    assert metrics["test_roc_auc"] == pytest.approx(whole.result.scores["roc_auc"])
    assert {f"oof_brier_{name}" for name in ("none", "sigmoid", "isotonic")} <= set(metrics)
    assert whole.parent.data.tags["data_digest"] == whole.split.digest
    logged = {item.tags[0].value: item.dataset.digest for item in whole.parent.inputs.dataset_inputs}
    test = whole.split.X_test.assign(target=whole.split.y_test.astype(float))
    assert set(logged) == {"train", "test"} and logged["test"] == data.digest(test)


def test_the_model_predicts_the_same_from_run_registry_and_folder(whole):
    assert whole.result.model_name == "calibrated_logistic_regression"
    by_run = whole.predictions.pop("run")
    for other in whole.predictions.values():
        assert np.array_equal(by_run, other)
    assert scores.scores(whole.split.y_test, by_run, whole.result.threshold) == whole.result.scores
    assert not list((whole.result.folder / "model").rglob("*.pkl")), "a pickle may run code when it is loaded"


def test_runtimes_are_those_of_both_models_and_of_the_registered_one_with_the_machine(whole):
    table = pd.read_csv(whole.result.folder / "runtime_comparison.csv", index_col="model")
    assert list(table.index) == ["logistic_regression", "random_forest", "registered"]
    assert (table[["predict_seconds", "per_sample_ms", "one_row_ms"]] > 0).all().all()
    assert (table["one_row_ms"] > 10 * table["per_sample_ms"]).all(), "one row alone is not a share of a batch"
    assert table["hardware"].str.contains("cores").all()


def test_each_step_is_announced_when_it_begins_and_ends(whole):
    assert [(number, seconds is None) for number, _, seconds in whole.steps] == [
        (number, begins) for number in range(1, 9) for begins in (True, False)
    ]
    assert list(whole.result.seconds) == list(workflow.STEPS)


def test_again_the_numbers_are_the_same_and_the_test_labels_choose_nothing(whole, course_home, monkeypatch):
    """The second run has wrong test labels: all that is chosen must stay, only the judgement may change."""
    real = workflow.load

    def turned(config: WorkflowConfig) -> data.Split:
        return replace(real(config), y_test=1 - real(config).y_test)

    monkeypatch.setattr(running, "load", turned)
    store.connect()
    again = run_workflow(CONFIG)
    chosen = [c for c in again.candidates if c != "fit_seconds"]
    pd.testing.assert_frame_equal(again.candidates[chosen], whole.result.candidates[chosen])
    pd.testing.assert_frame_equal(again.calibration, whole.result.calibration)
    assert again.threshold == whole.result.threshold and again.sweet_spot == whole.result.sweet_spot
    assert again.best_params == whole.result.best_params
    assert again.scores["roc_auc"] == pytest.approx(1 - whole.result.scores["roc_auc"])


@pytest.fixture
def shop(tmp_path) -> Path:
    """A file that somebody might bring: numbers and text with gaps, a rare category, labels in words."""
    rng = np.random.default_rng(5)
    n = 150
    table = pd.DataFrame(
        {
            "visits": rng.poisson(4, n),
            "basket": rng.gamma(2, 20, n).round(2),
            "region": rng.choice(["north", "south", "west"], n),
            "card": rng.choice(["gold", "plain"], n),
        }
    )
    table["returns"] = np.where(rng.random(n) < 1 / (1 + np.exp(4 - table["visits"])), "yes", "no")
    table.loc[::7, "basket"] = np.nan
    table.loc[::9, "region"] = None
    table.loc[3, "region"] = "island"
    path = tmp_path / "shop.csv"
    table.to_csv(path, index=False)
    return path


def course(monkeypatch, *words: object) -> int:
    """Run the command as the shell does and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["course", *map(str, words)])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_the_command_takes_a_file_of_ones_own(shop, course_home, monkeypatch, capsys):
    output = course_home / "mine"
    code = course(monkeypatch, "workflow", "--data", shop, "--target", "returns", "--fast", "--output", output)
    out, err = capsys.readouterr()
    assert code == 0, err
    for name in workflow.FILES:
        assert (output / name).exists() and name in out
    assert "mlflow server --backend-store-uri sqlite:///mlflow.db" in out
    assert "[8/8] Evaluate on the test set, register" in err and "Warning" not in err
    columns = set(mlflow.models.get_model_info(str(output / "model")).signature.inputs.input_names())
    assert columns == {"visits", "basket", "region", "card"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "gone.csv", "--target", "y"], "There is no file gone.csv"),
        (["--scoring", "auc"], "scoring is 'auc', which this workflow does not know. Choose one of roc_auc"),
        (["--model", "svm"], "Choose one of logistic_regression, random_forest"),
        (["--seed", "-1"], "seed is -1; it must be a whole number from 0 on"),
        (["--data", "breast_cancer", "--target", "malignant"], "has no column 'malignant'"),
        (["--output", "mlflow.db"], "mlflow.db is a file"),
        (["--output", "precious"], "precious holds 'thesis.txt', which is not of the workflow"),
    ],
)
def test_the_command_refuses_with_one_message_and_leaves_nothing(course_home, monkeypatch, capsys, words, message):
    (course_home / "precious").mkdir()
    (course_home / "precious" / "thesis.txt").write_text("years of work")
    monkeypatch.chdir(course_home)
    before = sorted(p.name for p in course_home.iterdir())
    assert course(monkeypatch, "workflow", *words) == 2
    out, err = capsys.readouterr()
    (line,) = [line for line in err.splitlines() if not line.startswith("[1/8]")]
    assert message in line and not out
    assert sorted(p.name for p in course_home.iterdir()) == before
    assert mlflow.search_runs(search_all_experiments=True).empty


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": 1}, "folds is 1; it must be a whole number from 2 on"),
        ({"n_rows": 5}, "n_rows is 5; it must be a whole number from 20 on"),
        ({"n_rows": "all"}, "n_rows is 'all'"),
        ({"calibration": "platt"}, "Choose one of auto, none, sigmoid, isotonic"),
        ({"n_rows": 24, "folds": 8}, "training rows, too few for 8 folds inside 8 folds"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_runs(changes, message):
    with pytest.raises(CourseError, match=message):
        workflow.load(replace(CONFIG, **changes))


def test_fewer_rows_of_a_class_than_folds_are_named(tmp_path):
    path = tmp_path / "rare.csv"
    pd.DataFrame({"x": [v * 37 % 101 for v in range(100)], "y": ["rare"] * 6 + ["common"] * 94}).to_csv(
        path, index=False
    )
    with pytest.raises(CourseError, match="The class 'rare' of 'y' in rare has 5 training rows, too few for 5 folds"):
        workflow.load(WorkflowConfig(data=path, target="y"))


def test_a_step_that_breaks_ends_the_runs_and_leaves_the_old_files(course_home, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("out of luck")

    store.connect()
    old = course_home / "outputs" / "workflow" / "cv_results.csv"
    old.parent.mkdir(parents=True)
    old.write_text("from last time")
    monkeypatch.setattr(running, "learn", broken)
    with pytest.raises(RuntimeError, match="out of luck"):
        run_workflow(SMALL)
    status = mlflow.search_runs(experiment_names=[SMALL.experiment])["status"]
    assert status.value_counts().to_dict() == {"FINISHED": 4, "FAILED": 1}, "four children and their parent"
    assert mlflow.active_run() is None
    assert [p.name for p in old.parent.iterdir()] == ["cv_results.csv"] and old.read_text() == "from last time"
    assert [p.name for p in old.parent.parent.iterdir()] == ["workflow"]
    assert not mlflow.search_registered_models()


def test_an_open_run_and_an_experiment_in_the_trash_are_told(course_home):
    store.connect()
    mlflow.set_experiment("mine")
    with mlflow.start_run(run_name="mine"), pytest.raises(CourseError, match="'mine' is still open"):
        run_workflow(SMALL)
    mlflow.delete_experiment(mlflow.create_experiment("old"))
    with pytest.raises(CourseError, match="'old' is in the trash"):
        run_workflow(replace(SMALL, experiment="old"))


# ------------------------------------------------------------------------------------------------- single steps


@pytest.mark.parametrize(
    ("model", "small", "size"),
    [
        ("logistic_regression", False, 16),
        ("random_forest", False, 27),
        ("logistic_regression", True, 4),
        ("random_forest", True, 4),
    ],
)
def test_the_grid_has_the_settings_of_the_document_or_four(model, small, size):
    from sklearn.model_selection import ParameterGrid

    grid = workflow.param_grid(model, small)
    assert len(ParameterGrid(grid)) == size
    pipeline = workflow.build_pipeline(pd.DataFrame({"x": [1.0]}), model)
    assert {*grid, workflow.varied(model)[0]} <= set(pipeline.get_params())


def test_the_pipeline_takes_gaps_new_categories_and_a_column_without_values():
    X = pd.DataFrame({"n": [1.0, np.nan, 3.0, 4.0], "gap": [np.nan] * 4, "t": ["a", "b", None, "a"]})
    y = [0, 1, 0, 1]
    new = pd.DataFrame({"n": [np.nan], "gap": [2.0], "t": ["never seen"]})
    for model in workflow.MODELS:
        fitted = workflow.build_pipeline(X, model).fit(X, y)
        assert np.isfinite(fitted.predict_proba(new)).all()
        assert fitted[:-1].transform(new).shape == (1, 4), "two numbers and two categories"
    squares = workflow.build_pipeline(X, polynomial=True).fit(X, y)
    assert squares[:-1].transform(new).shape == (1, 7), "two numbers, three products, two categories"


def test_a_learning_curve_never_starts_with_one_class_only():
    y = pd.Series([0] * 95 + [1] * 10)  # sorted: the first rows of each training fold hold one class
    sizes = workflow.learning_sizes(y, folds=5, seed=0)
    for train, _ in workflow.folds_of(5, 0).split(y, y):
        assert set(y.to_numpy()[train[: sizes[0]]]) == {0, 1}
    assert sizes[-1] == 84 and (np.diff(sizes) > 0).all()


@pytest.mark.parametrize(
    ("level", "gap", "gain", "diagnosis"),
    [
        (0.7, 0.1, 0.0, "high variance"),
        (0.7, 0.1, 0.02, "high variance"),
        (0.7, 0.01, 0.02, "still learning"),
        (0.7, 0.01, 0.0, "high bias"),
        (0.96, 0.01, 0.0, "good fit"),
        (-0.05, 0.01, 0.0, "good fit"),
        (-0.3, 0.01, 0.0, "high bias"),
    ],
)
def test_the_reading_table_points_at_the_row_that_describes_the_curve(level, gap, gain, diagnosis):
    validation = np.array([level - 0.1, level - 0.05, level, level + gain])[:, None]
    table = workflow.reading_table(workflow.Curve("rows", np.array([10, 20, 30, 40]), validation + gap, validation))
    (found,) = table.loc[table["here"] == "→", "diagnosis"]
    assert found.startswith(diagnosis)


def test_the_best_threshold_is_as_good_as_any_other():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    p = np.clip(0.3 * y + rng.normal(0.35, 0.2, 200), 0, 1)
    threshold, f1 = workflow.best_f1_threshold(y, p)
    by_hand = {t: f1_score(y, p >= t) for t in np.unique(p)}
    assert f1 == pytest.approx(max(by_hand.values()))
    assert by_hand[threshold] == pytest.approx(f1)


def test_out_of_fold_probabilities_come_from_models_that_have_not_seen_the_row():
    # A model that knows its rows by heart is right on all of them; out of fold it can only guess.
    rng = np.random.default_rng(1)
    X, y = pd.DataFrame({"noise": rng.random(300)}), pd.Series(rng.integers(0, 2, 300))
    tree = DecisionTreeClassifier(random_state=0)
    assert tree.fit(X, y).score(X, y) == 1.0
    assert 0.4 < scores.scores(y, workflow.out_of_fold(tree, X, y, folds=5, seed=0))["accuracy"] < 0.6


# -------------------------------------------------------------------------------- what is served is what is reported


@pytest.fixture
def rare(tmp_path) -> Path:
    """A file in which three rows of a hundred are of the class to find, so that 0.5 would flag nobody."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1200, 4))
    y = rng.random(1200) < 1 / (1 + np.exp(4.3 - 1.0 * X[:, 0] - 0.7 * X[:, 1]))
    path = tmp_path / "rare.csv"
    pd.DataFrame(X, columns=list("abcd")).assign(fraud=np.where(y, "yes", "no")).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("source", ["synthetic", "breast_cancer", "rare"])
def test_the_registered_model_answers_with_the_f1_that_is_reported(source, request, course_home):
    store.connect()
    own = {"data": request.getfixturevalue("rare"), "target": "fraud"} if source == "rare" else {"data": source}
    config = WorkflowConfig(**own, n_rows=1000 if source == "synthetic" else None, folds=3, small=True)
    result = run_workflow(config)
    split = workflow.load(config)
    model = mlflow.pyfunc.load_model(f"models:/{result.model_name}/{result.model_version}")
    answers = model.predict(split.X_test)
    reported = mlflow.get_run(result.run_id).data.metrics
    assert f1_score(split.y_test, answers) == pytest.approx(reported["test_f1"]) == reported["served_f1"] > 0
    assert reported["optimal_threshold"] != 0.5
    assert result.model_name.endswith(source if source != "synthetic" else "regression"), "the data is in the name"
    if source == "rare":
        probability = mlflow.sklearn.load_model(result.model_uri).predict_proba(split.X_test)
        assert f1_score(split.y_test, probability[:, 1] >= 0.5) < reported["test_f1"], "0.5 was never reported"


def test_the_calibration_with_the_lowest_brier_score_out_of_fold_is_registered(whole, course_home):
    briers = whole.result.calibration["brier"]
    assert whole.parent.data.params["calibration_method"] == whole.result.calibration_method == briers.idxmin()
    store.connect()
    worst = run_workflow(replace(SMALL, calibration=briers.idxmax()))
    assert mlflow.get_run(worst.run_id).data.params["calibration_method"] == briers.idxmax()


def test_the_class_to_find_is_named_and_can_be_chosen(course_home, monkeypatch, capsys):
    words = ["workflow", "--data", "breast_cancer", "--fast"]
    for positive, options in (("malignant", []), ("benign", ["--positive", "benign"])):
        assert course(monkeypatch, *words, *options) == 0
        assert f"Class to find: '{positive}'" in capsys.readouterr().out
        (run, *_) = mlflow.search_runs(
            experiment_names=["ml_workflow_demo"],
            output_format="list",
            filter_string=f"params.positive_class = '{positive}'",
        )
        version = mlflow.MlflowClient().search_model_versions(f"run_id = '{run.info.run_id}'")[0]
        assert version.name == "calibrated_logistic_regression_breast_cancer"
        assert version.tags["positive_class"] == positive


def test_at_most_so_many_rows_of_a_bundled_set_are_used():
    split = workflow.load(WorkflowConfig(data="breast_cancer", n_rows=200))
    everything = data.load_and_split_data("breast_cancer")
    assert len(split.X_train) + len(split.X_test) == 200 and split.digest != everything.digest
    assert split.y_train.mean() == pytest.approx(everything.y_train.mean(), abs=0.01)
    assert workflow.load(WorkflowConfig(data="breast_cancer", n_rows=5000)).digest == everything.digest
