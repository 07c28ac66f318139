"""Steps 2 and 3: the pipeline, its settings, and the search through them."""

from __future__ import annotations

import time
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities import Metric, Param, RunTag
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler

from course_runner.workflow.config import WorkflowConfig
from course_utils import data


def build_pipeline(
    X: pd.DataFrame, model: str = "logistic_regression", polynomial: bool = False, seed: int = 42, task: str = "binary"
) -> Pipeline:
    """Step 2: a pipeline that is not fitted, with the steps ``imputer``, ``scaler`` and ``classifier`` (``regressor``).

    Where there is text, the first two are the numeric branch of one step ``prepare``. Numbers: median imputer, scaler.
    Text: most frequent value, one column per category (rare and unknown ones share a column, or have none). All of it
    is fitted inside each fold, so nothing leaks from the rows that judge.

    Parameters
    ----------
    X
        Features whose columns and types decide, shape (n_rows, n_features).
    model
        As in `WorkflowConfig`, or the task's `Kind.baseline`.
    polynomial, seed, task
        As in `WorkflowConfig`.
    """
    numeric = X.select_dtypes("number").columns.tolist()
    text = [c for c in X.columns if c not in numeric]
    # A fold may hold no value of a sparse column; it must still have the same width as the others.
    steps: list[tuple[str, Any]] = [("imputer", SimpleImputer(strategy="median", keep_empty_features=True))]
    steps.append(("scaler", StandardScaler()))
    if polynomial:
        # Scaled before, so that squares do not drown the rest, and after, so that the solver converges.
        steps += [("polynomial", PolynomialFeatures(2, include_bias=False)), ("rescaler", StandardScaler())]
    if text:
        categories = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=20, sparse_output=False)
        fill = SimpleImputer(strategy="most_frequent", keep_empty_features=True)
        encode = Pipeline([("imputer", fill), ("encoder", categories)])
        branches = [("numeric", Pipeline(steps), numeric), ("text", encode, text)]
        steps = [("prepare", ColumnTransformer([b for b in branches if b[2]]))]
    if task == "regression":
        regressors = {
            "ridge": Ridge(),
            "random_forest": RandomForestRegressor(random_state=seed),
            "mean": DummyRegressor(),
        }
        return Pipeline([*steps, ("regressor", regressors[model])])
    classifiers = {
        # Far more iterations than scaled data needs: a search must not stop short at weak regularisation.
        "logistic_regression": LogisticRegression(max_iter=5000, random_state=seed),
        "random_forest": RandomForestClassifier(random_state=seed),
        "most_frequent_class": DummyClassifier(strategy="prior"),
    }
    return Pipeline([*steps, ("classifier", classifiers[model])])


def param_grid(model: str = "logistic_regression", small: bool = False, task: str = "binary") -> dict[str, list[Any]]:
    """Return the settings to search: 16 combinations (27 of a forest, 8 for several classes or ridge), or 4 when `small`."""
    if model == "random_forest":
        last = "regressor" if task == "regression" else "classifier"
        if small:
            return {f"{last}__n_estimators": [50, 100], f"{last}__max_depth": [5, 10]}
        return {
            f"{last}__n_estimators": [50, 100, 200],
            f"{last}__max_depth": [5, 10, None],
            f"{last}__min_samples_split": [2, 5, 10],
        }
    if model == "ridge":
        return {
            "regressor__alpha": [0.1, 1.0, 10.0, 100.0] if small else [0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4]
        }
    if small:
        return {"classifier__C": [0.1, 1.0], "classifier__class_weight": [None, "balanced"]}
    return {
        "classifier__C": [0.01, 0.1, 1.0, 10.0],
        # liblinear knows two classes only.
        **({"classifier__solver": ["lbfgs", "liblinear"]} if task == "binary" else {}),
        "classifier__class_weight": [None, "balanced"],
    }


def folds_of(n_splits: int, seed: int, task: str = "binary") -> StratifiedKFold | KFold:
    """Return the splitter of every step: shuffled by `seed`, the same share of each class, if any, in every fold."""
    if task == "regression":
        return KFold(n_splits=n_splits, shuffle=True, random_state=seed)
    return StratifiedKFold(n_splits=n_splits, shuffle=True, random_state=seed)


def search(pipeline: Pipeline, split: data.Split, config: WorkflowConfig) -> GridSearchCV:
    """Step 3: search the grid with cross-validation on the training rows, refit the best on all of them."""
    config = config.settled(split)
    return GridSearchCV(
        pipeline,
        param_grid(config.model, config.small, config.task),
        scoring=config.scoring,
        cv=folds_of(config.folds, config.seed, config.task),
    ).fit(split.X_train, split.y_train)


def candidates(fitted: GridSearchCV) -> pd.DataFrame:
    """Return the settings of a search with ``cv_score``, ``cv_std``, ``cv_rank`` and ``fit_seconds``, best first."""
    results = fitted.cv_results_
    # As text: pandas takes None for a missing value, and drops it from an index.
    settings = [{k.split("__")[-1]: "None" if v is None else v for k, v in p.items()} for p in results["params"]]
    table = pd.DataFrame(settings)
    table["cv_score"] = results["mean_test_score"]
    table["cv_std"] = results["std_test_score"]
    table["cv_rank"] = results["rank_test_score"]
    table["fit_seconds"] = results["mean_fit_time"]
    return table.sort_values("cv_rank", kind="stable").reset_index(drop=True)


def log_candidates(fitted: GridSearchCV, parent_run_id: str) -> list[str]:
    """Log each setting of a search as a child run and return the run ids.

    One request makes a child, one fills it, one ends it; logging values one by one costs several times as much.
    """
    client = mlflow.MlflowClient()
    experiment_id = client.get_run(parent_run_id).info.experiment_id
    measured = ["cv_score", "cv_std", "cv_rank", "fit_seconds"]
    run_ids = []
    for _, row in candidates(fitted).iterrows():
        setting = row.drop(measured)
        name = ", ".join(f"{k}={_short(v)}" for k, v in setting.items())
        run = client.create_run(experiment_id, run_name=name, tags={"mlflow.parentRunId": parent_run_id})
        run_id = run.info.run_id
        now = int(time.time() * 1000)
        status = "FAILED"
        try:
            client.log_batch(
                run_id,
                metrics=[Metric(k, float(row[k]), now, 0) for k in measured],
                params=[Param(k, str(v)) for k, v in setting.items()],
                tags=[RunTag("step", "search")],
            )
            status = "FINISHED"
        finally:
            client.set_terminated(run_id, status)
        run_ids.append(run_id)
    return run_ids


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
