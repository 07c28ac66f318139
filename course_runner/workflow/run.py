"""The eight steps in one run: from a table to a registered, tested model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import mlflow
import pandas as pd
from sklearn.model_selection import GridSearchCV, cross_val_score
from threadpoolctl import threadpool_limits

from course_runner.workflow import binary, judging
from course_runner.workflow.config import OnStep, WorkflowConfig, WorkflowResult
from course_runner.workflow.curves import learn, reading_table, vary
from course_runner.workflow.keeping import _experiment_id, register, served, whole_folder
from course_runner.workflow.models import build_pipeline, candidates, folds_of, log_candidates, search
from course_runner.workflow.rows import describe, load, log_data
from course_runner.workflow.runtimes import compare_runtimes, hardware, predict_times
from course_utils import data, plots, store
from course_utils._plumbing.tables import columns_table
from course_utils.errors import CourseError


def run_workflow(
    config: WorkflowConfig | None = None,
    on_step: OnStep | None = None,
    searching: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> WorkflowResult:
    """Run the eight steps, register the model, and leave the files in the output folder.

    Runs go to the store that MLflow points at; call `store.connect` first. Everything hangs below one parent run.
    When a step fails, the run ends as FAILED and the output folder stays as it was.

    Parameters
    ----------
    config
        What to do; the lecture `full_workflow` when not given.
    on_step
        Called when a step begins and when it ends.
    searching
        Returns a context for the fits of the search, for example ``lambda: joblib.parallel_config("dask")``.

    Raises
    ------
    CourseError
        For bad input: see `load` and `whole_folder`; or when a run is open already.
    """
    config = config or WorkflowConfig()
    if open_run := mlflow.active_run():
        raise CourseError(
            f"The run {open_run.info.run_name!r} is still open, and the workflow needs a run of its own. "
            "End it first: mlflow.end_run()."
        )
    seconds: dict[str, float] = {}
    titles = config.kind.steps

    @contextmanager
    def step(number: int) -> Iterator[None]:
        title, start = titles[number - 1], time.perf_counter()
        if on_step:
            on_step(number, title, None)
        yield
        seconds[title] = time.perf_counter() - start
        if on_step:
            on_step(number, title, seconds[title])

    # Bad input is told before there is a run or a folder.
    with step(1):
        split = load(config)
    config = config.settled(split)
    kind, judged = config.kind, binary if config.task == "binary" else judging
    titles = kind.steps
    run_name = f"{split.name}-{config.model}"
    label = kind.scorings[config.scoring]
    target = config.output or store.home() / "outputs" / "workflow"
    with (
        # Matrices this small gain nothing from a second BLAS thread; on two cores they take twice as long.
        threadpool_limits(1),
        whole_folder(target) as folder,
        mlflow.start_run(experiment_id=_experiment_id(config.experiment), run_name=run_name) as run,
    ):
        run_id = run.info.run_id
        mlflow.log_params({**config.params(), **describe(config, split)})
        mlflow.set_tags({"data_digest": split.digest, "task": config.task, "target_read": split.told})
        if config.task == "binary":
            mlflow.set_tag("positive_class", str(split.classes[1]))
        log_data(split)
        if split.columns:
            mlflow.log_text(columns_table(split.columns).to_csv(), "columns.csv")
            mlflow.set_tag("reading", "; ".join(split.notes) or "plain")

        with step(2):
            pipeline = build_pipeline(split.X_train, config.model, config.polynomial, config.seed, config.task)
            mlflow.log_params(
                {"imputation_strategy": "median", "scaling": "standard", "classifier": type(pipeline[-1]).__name__}
            )
            mlflow.log_text(str(pipeline), "pipeline.txt")

        with step(3), searching():
            found = search(pipeline, split, config)
            table = candidates(found)
            log_candidates(found, run_id)
            pd.DataFrame(found.cv_results_).to_csv(folder / "cv_results.csv", index=False)
            best_params = {k.split("__")[-1]: v for k, v in found.best_params_.items()}
            mlflow.log_params({f"best_{k}": v for k, v in found.best_params_.items()})
            estimator = found.best_estimator_
            mlflow.log_metric("best_cv_score", found.best_score_)
            if config.task == "binary":
                mlflow.log_metric("best_cv_roc_auc", _roc_auc(found, split, config))

        with step(4):
            settled = judged.settle(estimator, split, config, folder)

        with step(5):
            sizes = learn(estimator, split, config.scoring, config.folds, config.seed, 4 if config.small else 6)
            mlflow.log_table(sizes.table(), "learning_curve.json")
            last = sizes.table().iloc[-1]
            mlflow.log_metrics(
                {
                    "final_train_score": last["train"],
                    "final_val_score": last["validation"],
                    "train_val_gap": last["gap"],
                }
            )
            figure = plots.learning_curve(sizes.values, sizes.train, sizes.validation, scoring=label)
            plots.save(figure, folder / "learning_curve.png")

        with step(6):
            curve = vary(estimator, split, config)
            mlflow.log_table(curve.table(), "validation_curve.json")
            mlflow.log_param(f"optimal_{curve.name}", curve.best)
            mlflow.log_metric("optimal_val_score", curve.table()["validation"].max())
            chosen = best_params.get(curve.name)
            figure = plots.validation_curve(
                curve.values, curve.train, curve.validation, name=curve.name, scoring=label, chosen=chosen
            )
            plots.save(figure, folder / "validation_curve.png")

        with step(7):
            rivals = {
                name: estimator
                if name == config.model
                else build_pipeline(split.X_train, name, config.polynomial, config.seed, config.task)
                for name in filter(None, (kind.baseline, *kind.models))
            }
            runtime = compare_runtimes(rivals, split, config.folds, config.seed, judge=_judge(split, config))

        with step(8):
            scores = judged.on_test_set(settled.model, split, folder)
            logged = store.log_model(settled.model, "model", split.X_train)
            version = register(logged.model_uri, config.registered_name, run_id, split.X_test)
            service = mlflow.pyfunc.load_model(f"models:/{config.registered_name}/{version}")
            answered = served(service, split, scores[kind.main])
            mlflow.log_metric(f"served_{kind.main}", answered)
            for key, value in ({"task": config.task} | settled.tags).items():
                mlflow.MlflowClient().set_model_version_tag(config.registered_name, version, key, str(value))

        # The registered model stands beside the others: it is what somebody will wait for.
        over_folds = {f"cv_{name}": value for name, value in settled.scores.items()}
        runtime.loc["registered"] = over_folds | predict_times(service.predict, split.X_train)
        runtime.assign(hardware=hardware()).to_csv(folder / "runtime_comparison.csv")
        for name, row in runtime.iterrows():
            mlflow.log_metrics({f"{name}_{k}": v for k, v in row.dropna().items()})
        ranked, words, lower = kind.ranked
        figure = plots.runtime_comparison(runtime, score=f"cv_{ranked}", label=words, lower=lower)
        plots.save(figure, folder / "runtime_comparison.png")
        mlflow.artifacts.download_artifacts(logged.model_uri, dst_path=str(folder / "model"))
        for name in kind.files:
            if (folder / name).is_file():
                mlflow.log_artifact(str(folder / name))
    folder = target.expanduser().absolute()
    return WorkflowResult(
        run_id=run_id,
        run_name=run_name,
        experiment=config.experiment,
        task=config.task,
        best_params=best_params,
        cv_score=float(found.best_score_),
        candidates=table,
        scores=scores,
        served=answered,
        # A gap of 0.05 says something of a share; errors in the target's unit become shares of its spread.
        reading=reading_table(sizes.scaled(_unit(split, config))),
        sweet_spot=curve.best,
        runtime=runtime,
        model_name=config.registered_name,
        model_version=version,
        model_uri=logged.model_uri,
        folder=folder,
        files=[folder / name for name in kind.files],
        seconds=seconds,
        split=split,
        **settled.result,
    )


def _roc_auc(found: GridSearchCV, split: data.Split, config: WorkflowConfig) -> float:
    """Return the ROC-AUC of the best setting over the folds, whatever the search has maximised."""
    if config.scoring == "roc_auc":
        return found.best_score_
    folds = folds_of(config.folds, config.seed)
    return cross_val_score(found.best_estimator_, split.X_train, split.y_train, scoring="roc_auc", cv=folds).mean()


def _judge(split: data.Split, config: WorkflowConfig) -> Callable[[Any], dict[str, float]] | None:
    """Return what scores a rival over the folds; None for two classes, which `compare_runtimes` knows."""
    if config.task == "binary":
        return None

    def judge(model: Any) -> dict[str, float]:
        answered = judging.out_of_fold(model, split, config.folds, config.seed)
        return judging.metrics(split.y_train, answered, split.classes)

    return judge


def _unit(split: data.Split, config: WorkflowConfig) -> float:
    """Return the spread of a regression's target when it is scored in its own unit, else 1."""
    return float(split.y_train.std()) if config.task == "regression" and config.scoring != "r2" else 1.0
