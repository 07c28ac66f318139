"""The steps of the lecture `full_workflow` as functions, and the whole: from a table to a registered, tested model."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import sklearn
from matplotlib.figure import Figure
from mlflow.entities import Metric, Param, RunTag
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, precision_recall_curve
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    learning_curve,
    train_test_split,
    validation_curve,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler
from threadpoolctl import threadpool_limits

from course_utils import data, plots, store
from course_utils._plumbing.tables import Wishes, columns_table
from course_utils.errors import CourseError
from course_utils.scores import scores as two_class_scores

#: Titles of the eight steps, as a progress bar shows them. The test set is opened last, when nothing is left to choose.
STEPS = (
    "Load, check and split the data",
    "Build the pipeline",
    "Search the settings",
    "Calibrate the probabilities, choose the threshold",
    "Draw the learning curve",
    "Draw the validation curve",
    "Compare models and runtimes",
    "Evaluate on the test set, register",
)
#: Scores that the search can maximise, with the name on an axis.
SCORINGS = {
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "f1": "F1",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "neg_brier_score": "negative Brier score",
    "neg_log_loss": "negative log loss",
}
MODELS = ("logistic_regression", "random_forest")
TEST_SIZE = 0.2
#: What may be done to the probabilities; `"auto"` takes the one with the lowest Brier score, out of fold.
CALIBRATIONS = ("none", "sigmoid", "isotonic")
#: What the workflow leaves in its folder.
FILES = (
    "test_evaluation.png",
    "calibration.png",
    "learning_curve.png",
    "validation_curve.png",
    "runtime_comparison.png",
    "runtime_comparison.csv",
    "cv_results.csv",
    "model",
)
#: Called with (number of the step, its title, None when it begins or the seconds it took when it ends).
OnStep = Callable[[int, str, float | None], None]


@dataclass(frozen=True)
class WorkflowConfig:
    """What may be changed about the workflow; the defaults are the lecture `full_workflow`.

    Attributes
    ----------
    data
        ``"synthetic"`` (20 features, 5 % missing values, 5 % label noise), ``"churn"``, ``"breast_cancer"``, or the
        path of a CSV or Parquet file.
    target
        Column to predict; needed for a file.
    model
        ``"logistic_regression"`` or ``"random_forest"``.
    polynomial
        Add squares and products of the numeric columns.
    scoring
        One of `SCORINGS`; what the search maximises.
    n_rows
        Rows to draw; of a file or a bundled set at most so many are used. None: 5,000 drawn, all of a file.
    folds
        Folds of every cross-validation.
    small
        Search 4 settings instead of 16 (of 27 for a forest), with fewer points on both curves.
    calibration
        Method of the registered model: one of `CALIBRATIONS`, or ``"auto"`` for the lowest Brier score out of fold.
    seed
        Of draw, split, folds and forest: the same configuration gives the same numbers.
    experiment
        MLflow experiment that the runs go to.
    output
        Folder for the files; ``outputs/workflow`` in the course's home when None. It is replaced as a whole.
    positive, drop, category, numeric, allow_leak, drop_missing_target
        What should not be guessed about a file: see `tables.Wishes`.
    name
        Name of the registered model; ``calibrated_<model>`` when None, followed by the data set unless it is synthetic.
    """

    data: str | Path = "synthetic"
    target: str | None = None
    model: str = "logistic_regression"
    polynomial: bool = False
    scoring: str = "roc_auc"
    n_rows: int | None = None
    folds: int = 5
    small: bool = False
    calibration: str = "auto"
    seed: int = 42
    experiment: str = "ml_workflow_demo"
    output: Path | None = None
    positive: str | None = None
    drop: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    allow_leak: tuple[str, ...] = ()
    drop_missing_target: bool = False
    name: str | None = None

    @property
    def wishes(self) -> Wishes:
        """What was said about a file."""
        return Wishes(*(getattr(self, f.name) for f in fields(Wishes)))

    @property
    def registered_name(self) -> str:
        """Name of the model in the registry."""
        source = re.sub(r"[^\w.-]+", "_", Path(str(self.data)).stem)[:100]
        return self.name or f"calibrated_{self.model}{f'_{source}' if self.data != 'synthetic' else ''}"

    def params(self) -> dict[str, Any]:
        """Return what determines the numbers, for ``mlflow.log_params``: all but where runs, files and model go.

        What was said about a file is among them when something was said.
        """
        unsaid = {f.name for f in fields(Wishes) if getattr(self, f.name) == f.default}
        return {k: v for k, v in asdict(self).items() if k not in ("experiment", "output", "name", *unsaid)}

    def check(self) -> None:
        """Raise a `CourseError` for the first value that cannot work."""
        for name, known in (("model", MODELS), ("scoring", tuple(SCORINGS)), ("calibration", ("auto", *CALIBRATIONS))):
            if getattr(self, name) not in known:
                raise CourseError(
                    f"{name} is {getattr(self, name)!r}, which this workflow does not know. "
                    f"Choose one of {', '.join(known)}."
                )
        for name, least in (("folds", 2), ("n_rows", 20), ("seed", 0)):
            value = getattr(self, name)
            if value is None and name == "n_rows":
                continue
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
                raise CourseError(f"{name} is {value!r}; it must be a whole number from {least} on.")
        if self.name is not None and not re.fullmatch(r"[\w .-]{1,200}", self.name):
            raise CourseError(
                f"name is {self.name!r}; a registered model is called by letters, digits, spaces and _ . - (200 at most)."
            )


@dataclass
class WorkflowResult:
    """What the workflow found; all of it is in the MLflow run, too.

    Attributes
    ----------
    run_id, run_name, experiment
        The parent run.
    best_params
        Setting that the search chose, without prefixes.
    cv_score
        Its mean score over the folds.
    candidates
        All settings, the best first.
    calibration
        Out-of-fold Brier score of the three variants.
    calibration_method
        The one that was registered.
    threshold
        Where class 1 begins; chosen on out-of-fold rows, and kept inside the registered model.
    scores
        Of the registered model on the test set, see `scores.scores`.
    served_f1
        F1 of what the registered model answers when it is loaded as a service loads it.
    reading
        `reading_table` of the learning curve.
    sweet_spot
        Value of the validation curve's parameter with the best mean validation score.
    runtime
        `compare_runtimes`.
    model_name, model_version, model_uri
        Where the model is: in the registry and as a logged model.
    folder, files
        Folder with the files, and their paths.
    seconds
        Of each step.
    split
        The data: its classes, and for a file what each column was taken for.
    """

    run_id: str
    run_name: str
    experiment: str
    best_params: dict[str, Any]
    cv_score: float
    candidates: pd.DataFrame
    calibration: pd.DataFrame
    calibration_method: str
    threshold: float
    scores: dict[str, float]
    served_f1: float
    reading: pd.DataFrame
    sweet_spot: float
    runtime: pd.DataFrame
    model_name: str
    model_version: int
    model_uri: str
    folder: Path
    files: list[Path]
    seconds: dict[str, float] = field(default_factory=dict)
    split: data.Split | None = None


# ------------------------------------------------------------------------------------------------- 1: the data


def load(config: WorkflowConfig) -> data.Split:
    """Step 1: load, check and split, 80 % to train on and 20 % to test, with the same share of each class.

    Raises
    ------
    CourseError
        As in `WorkflowConfig.check` and `data.load_and_split_data`, and when a class has too few rows for the folds.
    """
    config.check()
    split = data.load_and_split_data(
        config.data,
        config.target,
        n_rows=config.n_rows or 5000,
        test_size=TEST_SIZE,
        seed=config.seed,
        wishes=config.wishes,
    )
    if config.n_rows:
        split = _at_most(split, config.n_rows, config.seed)
    counts = split.y_train.value_counts()
    smallest, rows = split.classes[counts.index[-1]], int(counts.iloc[-1])
    # Calibration splits again inside each training fold, so one fold less must still hold a row for every fold.
    if rows - -(-rows // config.folds) < config.folds:
        raise CourseError(
            f"The class {smallest!r} of {split.y_train.name!r} in {split.name} has {rows} training rows, too few for "
            f"{config.folds} folds inside {config.folds} folds. Use fewer folds or collect more rows of this class."
        )
    return split


def _at_most(split: data.Split, n_rows: int, seed: int) -> data.Split:
    """Return a stratified sample of a split that has more than `n_rows` rows; its digest is that of the sample."""
    total = len(split.X_train) + len(split.X_test)
    if total <= n_rows:
        return split
    parts: list[Any] = []
    for X, y in ((split.X_train, split.y_train), (split.X_test, split.y_test)):
        keep = max(2, round(n_rows * len(X) / total))
        try:
            X, _, y, _ = train_test_split(X, y, train_size=keep, stratify=y, random_state=seed)
        except ValueError as error:
            raise CourseError(f"{split.name} cannot be cut down to {n_rows} rows: {error} Use more rows.") from error
        parts += [X, y]
    X_train, y_train, X_test, y_test = parts
    rows = pd.concat([X_train.assign(_label=y_train), X_test.assign(_label=y_test)])
    return replace(split, X_train=X_train, X_test=X_test, y_train=y_train, y_test=y_test, digest=data.digest(rows))


def describe(config: WorkflowConfig, split: data.Split) -> dict[str, Any]:
    """Return what the data are, for ``mlflow.log_params``: sizes, shares, the class to find, and the machine."""
    drawn = config.data == "synthetic"
    return {
        "n_samples": len(split.X_train) + len(split.X_test),
        "n_features": split.X_train.shape[1],
        "test_size": TEST_SIZE,
        "n_train": len(split.X_train),
        "n_test": len(split.X_test),
        "missing_share": 0.05 if drawn else round(float(split.X_train.isna().mean().mean()), 4),
        "label_noise": 0.05 if drawn else "unknown",
        "positive_class": str(split.classes[1]),
        "hardware": hardware(),
    }


def log_data(split: data.Split) -> None:
    """Log both parts as data sets of the active run, each with a digest of all of its rows."""
    for part, X, y in (("train", split.X_train, split.y_train), ("test", split.X_test, split.y_test)):
        table = X.assign(**{str(y.name): y.astype(float)})
        logged = mlflow.data.from_pandas(
            table, targets=str(y.name), name=f"{split.name}-{part}", digest=data.digest(table)
        )
        mlflow.log_input(logged, context=part)


# --------------------------------------------------------------------------------------------- 2: the pipeline


def build_pipeline(
    X: pd.DataFrame, model: str = "logistic_regression", polynomial: bool = False, seed: int = 42
) -> Pipeline:
    """Step 2: a pipeline that is not fitted, with the steps ``imputer``, ``scaler`` and ``classifier``.

    Where there is text, the first two are the numeric branch of one step ``prepare``. Numbers: median imputer, scaler.
    Text: most frequent value, one column per category (rare and unknown ones share a column, or have none). All of it
    is fitted inside each fold, so nothing leaks from the rows that judge.

    Parameters
    ----------
    X
        Features whose columns and types decide, shape (n_rows, n_features).
    model, polynomial, seed
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
    classifiers = {
        # Far more iterations than scaled data needs: a search must not stop short at weak regularisation.
        "logistic_regression": LogisticRegression(max_iter=5000, random_state=seed),
        "random_forest": RandomForestClassifier(random_state=seed),
    }
    return Pipeline([*steps, ("classifier", classifiers[model])])


# ----------------------------------------------------------------------------------------------- 3: the search


def param_grid(model: str = "logistic_regression", small: bool = False) -> dict[str, list[Any]]:
    """Return the settings to search: 16 combinations (27 of a forest), or 4 when `small`."""
    if model == "random_forest":
        if small:
            return {"classifier__n_estimators": [50, 100], "classifier__max_depth": [5, 10]}
        return {
            "classifier__n_estimators": [50, 100, 200],
            "classifier__max_depth": [5, 10, None],
            "classifier__min_samples_split": [2, 5, 10],
        }
    if small:
        return {"classifier__C": [0.1, 1.0], "classifier__class_weight": [None, "balanced"]}
    return {
        "classifier__C": [0.01, 0.1, 1.0, 10.0],
        "classifier__solver": ["lbfgs", "liblinear"],
        "classifier__class_weight": [None, "balanced"],
    }


def folds_of(n_splits: int, seed: int) -> StratifiedKFold:
    """Return the splitter of every step: shuffled by `seed`, the same share of each class in every fold."""
    return StratifiedKFold(n_splits=n_splits, shuffle=True, random_state=seed)


def out_of_fold(model: Any, X: pd.DataFrame, y: pd.Series, folds: int = 5, seed: int = 42) -> np.ndarray:
    """Return for each training row the probability of class 1, shape (n_rows,), from a model that has not seen it."""
    return cross_val_predict(model, X, y, cv=folds_of(folds, seed), method="predict_proba")[:, 1]


def best_f1_threshold(y: ArrayLike, probability: ArrayLike) -> tuple[float, float]:
    """Return the threshold with the highest F1, the lowest of several, and this F1.

    Give out-of-fold probabilities, never those of the test rows: a threshold that was chosen on the rows that judge it
    makes the score look better than it is (Lipton, Elkan and Narayanaswamy 2014, "Thresholding classifiers to maximize
    F1 score").
    """
    precision, recall, thresholds = precision_recall_curve(y, probability)
    # The curve's last point (precision 1, recall 0) belongs to no threshold.
    precision, recall = precision[:-1], recall[:-1]
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    best = int(np.argmax(f1))
    return float(thresholds[best]), float(f1[best])


def search(pipeline: Pipeline, split: data.Split, config: WorkflowConfig) -> GridSearchCV:
    """Step 3: search the grid with cross-validation on the training rows, refit the best on all of them."""
    return GridSearchCV(
        pipeline,
        param_grid(config.model, config.small),
        scoring=config.scoring,
        cv=folds_of(config.folds, config.seed),
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


# ------------------------------------------------------------------------------------------ 4 and 5: the model


@dataclass(frozen=True)
class Calibration:
    """Three variants of one estimator, judged on rows that they have not seen.

    Attributes
    ----------
    models
        ``none``, ``sigmoid`` and ``isotonic``: not fitted.
    probabilities
        Out-of-fold probabilities of class 1 of each, shape (n_train,).
    table
        ``brier`` of each, 0 is best.
    """

    models: dict[str, Any]
    probabilities: dict[str, np.ndarray]
    table: pd.DataFrame

    @property
    def best(self) -> str:
        """Name of the variant with the lowest Brier score, the first of several."""
        return str(self.table["brier"].idxmin())


def calibrate(estimator: Any, split: data.Split, folds: int = 5, seed: int = 42) -> Calibration:
    """Step 4: compare an estimator with two calibrated versions of it, on out-of-fold rows of the training part."""
    models = {"none": clone(estimator)}
    models |= {m: CalibratedClassifierCV(clone(estimator), method=m, cv=folds) for m in CALIBRATIONS[1:]}
    found = {n: out_of_fold(m, split.X_train, split.y_train, folds, seed) for n, m in models.items()}
    rows = {name: {"brier": two_class_scores(split.y_train, p)["brier"]} for name, p in found.items()}
    return Calibration(models, found, pd.DataFrame.from_dict(rows, orient="index"))


def evaluate(model: FixedThresholdClassifier, split: data.Split) -> tuple[dict[str, float], Figure]:
    """Step 5: scores and the four-panel figure of a fitted model on the test set, at the threshold inside it."""
    probability = model.predict_proba(split.X_test)[:, 1]
    figure = plots.evaluation_panels(split.y_test, probability, model.threshold, classes=split.classes)
    return two_class_scores(split.y_test, probability, model.threshold), figure


# ---------------------------------------------------------------------------------------- 6 and 7: two curves


@dataclass(frozen=True)
class Curve:
    """Scores over training rows or over one hyperparameter.

    Attributes
    ----------
    name
        What varies: ``"rows"`` or a hyperparameter.
    values
        Its values, shape (n_values,).
    train, validation
        Scores of shape (n_values, n_folds); higher is better.
    """

    name: str
    values: np.ndarray
    train: np.ndarray
    validation: np.ndarray

    @property
    def best(self) -> float:
        """Value with the best mean validation score, the first of several."""
        return float(self.values[self.validation.mean(axis=1).argmax()])

    def table(self) -> pd.DataFrame:
        """Return mean scores, their spread over the folds, and the gap between training and validation."""
        train, validation = self.train.mean(axis=1), self.validation.mean(axis=1)
        return pd.DataFrame(
            {
                self.name: self.values,
                "train": train,
                "validation": validation,
                "validation_std": self.validation.std(axis=1),
                "gap": train - validation,
            }
        )


def learning_sizes(y: pd.Series, folds: int = 5, seed: int = 42, n_sizes: int = 6) -> np.ndarray:
    """Return numbers of training rows, from a tenth to all, each with both classes in every fold.

    ``sklearn.model_selection.learning_curve`` takes the *first* rows of each training fold; where a class is rare,
    few rows hold one class only, and the fit fails.
    """
    labels = y.to_numpy()
    firsts, totals = [], []
    for train, _ in folds_of(folds, seed).split(labels, labels):
        totals.append(len(train))
        firsts.append(max(int(np.argmax(labels[train] == c)) for c in (0, 1)) + 1)
    total = min(totals)
    return np.unique(np.linspace(max(total // 10, *firsts, 2), total, n_sizes).astype(int))


def learn(
    estimator: Any, split: data.Split, scoring: str = "roc_auc", folds: int = 5, seed: int = 42, n_sizes: int = 6
) -> Curve:
    """Step 6: scores over the number of training rows."""
    sizes, train, validation = learning_curve(
        estimator,
        split.X_train,
        split.y_train,
        train_sizes=learning_sizes(split.y_train, folds, seed, n_sizes),
        scoring=scoring,
        cv=folds_of(folds, seed),
    )
    return Curve("rows", sizes, train, validation)


def reading_table(curve: Curve, wide: float = 0.05, rising: float = 0.005, low: float = 0.1) -> pd.DataFrame:
    """Return how to read a learning curve, with an arrow at the row that describes this one.

    Parameters
    ----------
    curve
        From `learn`.
    wide
        The gap between training and validation score at the last size counts as wide from here on.
    rising
        The validation score still rises when it gains at least so much over the last third of the sizes.
    low
        A score counts as low when it misses the best possible one (1, or 0 of a negative score) by more than this.
    """
    scores = curve.table()
    end, last = scores["gap"].iloc[-1], scores["validation"].iloc[-1]
    gain = last - scores["validation"].iloc[-1 - max(1, len(scores) // 3)]
    missing = (1 if last >= 0 else 0) - last
    rows = {
        "variance": ("a wide gap at the end", "high variance: overfitting", "more rows; stronger regularisation"),
        "rising": ("curves meet, validation still rises", "still learning", "more rows"),
        "good": ("curves meet, high and flat", "good fit", "nothing: keep it"),
        "bias": ("curves meet, low and flat", "high bias: underfitting", "new features; a more flexible model"),
    }
    here = "variance" if end >= wide else "rising" if gain >= rising else "good" if missing <= low else "bias"
    table = pd.DataFrame(list(rows.values()), columns=["pattern", "diagnosis", "what helps"])
    table.insert(0, "here", ["→" if name == here else "" for name in rows])
    return table


def varied(model: str = "logistic_regression", small: bool = False) -> tuple[str, np.ndarray]:
    """Return the hyperparameter of the validation curve and its values: finer, or wider, than those of the search."""
    if model == "random_forest":
        return "classifier__max_depth", np.array([1, 2, 4, 8, 16, 32])
    return "classifier__C", np.logspace(-4, 3, 8)


def vary(estimator: Any, split: data.Split, config: WorkflowConfig) -> Curve:
    """Step 7: scores over the strength of regularisation (``C``) or the depth of the trees (``max_depth``)."""
    name, values = varied(config.model, config.small)
    train, validation = validation_curve(
        estimator,
        split.X_train,
        split.y_train,
        param_name=name,
        param_range=values,
        scoring=config.scoring,
        cv=folds_of(config.folds, config.seed),
    )
    return Curve(name.split("__")[1], values, train, validation)


# ------------------------------------------------------------------------------------------------ 8: the clock


def hardware() -> str:
    """Return one line on the machine and libraries that seconds were measured with."""
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"scikit-learn {sklearn.__version__}"
    )


def compare_runtimes(
    models: Mapping[str, Any], split: data.Split, folds: int = 5, seed: int = 42, repeats: int = 3
) -> pd.DataFrame:
    """Step 8: ROC-AUC over the folds, seconds to fit, and `predict_times` of each model, on training rows only.

    Returns
    -------
    DataFrame, shape (n_models, 5)
        ``cv_roc_auc``, ``fit_seconds``, ``predict_seconds``, ``per_sample_ms``, ``one_row_ms``, indexed by model.
    """
    X, y, rows = split.X_train, split.y_train, {}
    for name, model in models.items():
        auc = cross_val_score(model, X, y, scoring="roc_auc", cv=folds_of(folds, seed)).mean()
        fitted = clone(model)
        fit_seconds = _median_seconds(lambda fitted=fitted: fitted.fit(X, y), repeats)
        rows[name] = {"cv_roc_auc": auc, "fit_seconds": fit_seconds, **predict_times(fitted.predict_proba, X, repeats)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def predict_times(predict: Callable[[pd.DataFrame], Any], X: pd.DataFrame, repeats: int = 3) -> dict[str, float]:
    """Return seconds for all rows at once, the share of one row in that, and milliseconds for one row alone.

    One row alone costs far more than its share of a batch: most of a call's time does not depend on the number of rows.
    """
    one_row = X.head(1)
    predict(one_row)  # the first call may load things
    batch = _median_seconds(lambda: predict(X), repeats)
    one = _median_seconds(lambda: predict(one_row), 5 * repeats)
    return {"predict_seconds": batch, "per_sample_ms": 1000 * batch / len(X), "one_row_ms": 1000 * one}


def _median_seconds(call: Callable[[], Any], repeats: int) -> float:
    """Return the median seconds of a call; the median forgives one repeat that another program disturbed."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


# ----------------------------------------------------------------------------------------- after the eight steps


def register(model_uri: str, name: str, run_id: str, X: pd.DataFrame) -> int:
    """Register a logged model and return its version, after proof that it predicts the same from run and registry.

    Parameters
    ----------
    model_uri
        ``models:/m-…`` of the logged model.
    name
        Name in the registry.
    run_id
        Run that logged the model under the name ``model``.
    X
        Rows to compare predictions on, shape (n_rows, n_features).

    Raises
    ------
    CourseError
        When the two loaded models disagree.
    """
    client = mlflow.MlflowClient()
    if not client.search_registered_models(filter_string=f"name = '{name}'"):
        client.create_registered_model(name)
    model_id = model_uri.removeprefix("models:/")  # a server asks for it
    version = int(client.create_model_version(name, model_uri, run_id, model_id=model_id).version)
    by_run = mlflow.sklearn.load_model(f"runs:/{run_id}/model").predict_proba(X)
    by_registry = mlflow.sklearn.load_model(f"models:/{name}/{version}").predict_proba(X)
    if not np.array_equal(by_run, by_registry):
        raise CourseError(
            f"Version {version} of {name!r} predicts other values than run {run_id}: the registry holds another model. "
            "Look at the source of this version in the UI, and delete the version."
        )
    return version


def served(service: Any, split: data.Split, reported: float) -> float:
    """Return the F1 of what a loaded model answers on the test set, after proof that it is the one that was reported.

    Raises
    ------
    CourseError
        When the two differ.
    """
    found = float(f1_score(split.y_test, np.asarray(service.predict(split.X_test)), zero_division=0.0))
    if not np.isclose(found, reported):
        raise CourseError(
            f"The registered model has an F1 of {found:.3f} on the test set, and {reported:.3f} was measured before: "
            "what would be served is not what is reported. Please report this, with the run."
        )
    return found


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder beside `target`; it takes the place of `target` when the block ends well, else it goes.

    Raises
    ------
    CourseError
        When the folder cannot be written, or `target` holds files that the workflow did not make.
    """
    target = target.expanduser().absolute()
    if target.exists() and not target.is_dir():
        raise CourseError(f"{target} is a file; the workflow leaves a folder. Name another output.")
    if foreign := sorted(p.name for p in target.iterdir() if p.name not in FILES) if target.is_dir() else []:
        raise CourseError(
            f"The folder {target} holds {foreign[0]!r}, which is not of the workflow, and would be replaced with "
            "all the rest. Name a new or empty folder as output."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise CourseError(
            f"The folder {target} cannot be made: {error}. Name an output folder that you may write to."
        ) from error
    old = aside.with_name(f"{aside.name}.old")
    try:
        aside.chmod(0o755)  # mkdtemp makes it private
        yield aside
        if target.is_dir():
            os.replace(target, old)
        os.replace(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _experiment_id(name: str) -> str:
    """Return the id of an experiment, made when it is new; the notebook's own experiment stays as it is."""
    found = mlflow.get_experiment_by_name(name)
    if found is None:
        return mlflow.create_experiment(name)
    if found.lifecycle_stage != "active":
        raise CourseError(
            f"The experiment {name!r} is in the trash, so no run can go there. Restore it in the UI, or name another."
        )
    return found.experiment_id


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

    @contextmanager
    def step(number: int) -> Iterator[None]:
        title, start = STEPS[number - 1], time.perf_counter()
        if on_step:
            on_step(number, title, None)
        yield
        seconds[title] = time.perf_counter() - start
        if on_step:
            on_step(number, title, seconds[title])

    # Bad input is told before there is a run or a folder.
    with step(1):
        split = load(config)
    run_name = f"{split.name}-{config.model}"
    label = SCORINGS[config.scoring]
    target = config.output or store.home() / "outputs" / "workflow"
    with (
        # Matrices this small gain nothing from a second BLAS thread; on two cores they take twice as long.
        threadpool_limits(1),
        whole_folder(target) as folder,
        mlflow.start_run(experiment_id=_experiment_id(config.experiment), run_name=run_name) as run,
    ):
        run_id = run.info.run_id
        positive = str(split.classes[1])
        mlflow.log_params({**config.params(), **describe(config, split)})
        mlflow.set_tags({"data_digest": split.digest, "positive_class": positive})
        log_data(split)
        if split.columns:
            mlflow.log_text(columns_table(split.columns).to_csv(), "columns.csv")
            mlflow.set_tag("reading", "; ".join(split.notes) or "plain")

        with step(2):
            pipeline = build_pipeline(split.X_train, config.model, config.polynomial, config.seed)
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
            auc = found.best_score_
            if config.scoring != "roc_auc":
                folds = folds_of(config.folds, config.seed)
                auc = cross_val_score(estimator, split.X_train, split.y_train, scoring="roc_auc", cv=folds).mean()
            mlflow.log_metrics({"best_cv_score": found.best_score_, "best_cv_roc_auc": auc})

        with step(4):
            calibration = calibrate(estimator, split, config.folds, config.seed)
            mlflow.log_metrics({f"oof_brier_{name}": brier for name, brier in calibration.table["brier"].items()})
            plots.save(
                plots.calibration_comparison(split.y_train, calibration.probabilities), folder / "calibration.png"
            )
            method = calibration.best if config.calibration == "auto" else config.calibration
            threshold, oof_f1 = best_f1_threshold(split.y_train, calibration.probabilities[method])
            mlflow.log_params({"calibration_method": method, "calibration_folds": config.folds})
            mlflow.log_metrics({"optimal_threshold": threshold, "oof_f1": oof_f1})
            # The threshold is part of the model: whoever loads it and asks for predictions gets what is reported.
            model = FixedThresholdClassifier(calibration.models[method], threshold=threshold)
            model.fit(split.X_train, split.y_train)

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
                else build_pipeline(split.X_train, name, config.polynomial, config.seed)
                for name in MODELS
            }
            runtime = compare_runtimes(rivals, split, config.folds, config.seed)

        with step(8):
            scores, figure = evaluate(model, split)
            mlflow.log_metrics({f"test_{k}": v for k, v in scores.items()})
            plots.save(figure, folder / "test_evaluation.png")
            logged = store.log_model(model, "model", split.X_train)
            version = register(logged.model_uri, config.registered_name, run_id, split.X_test)
            service = mlflow.pyfunc.load_model(f"models:/{config.registered_name}/{version}")
            served_f1 = served(service, split, scores["f1"])
            mlflow.log_metric("served_f1", served_f1)
            said = {"positive_class": positive, "threshold": threshold, "calibration_method": method}
            for key, value in said.items():
                mlflow.MlflowClient().set_model_version_tag(config.registered_name, version, key, str(value))

        # The registered model stands beside the others: it is what somebody will wait for.
        costs = {"cv_roc_auc": two_class_scores(split.y_train, calibration.probabilities[method])["roc_auc"]}
        runtime.loc["registered"] = costs | predict_times(service.predict, split.X_train)
        runtime.assign(hardware=hardware()).to_csv(folder / "runtime_comparison.csv")
        for name, row in runtime.iterrows():
            mlflow.log_metrics({f"{name}_{k}": v for k, v in row.dropna().items()})
        plots.save(plots.runtime_comparison(runtime), folder / "runtime_comparison.png")
        mlflow.artifacts.download_artifacts(logged.model_uri, dst_path=str(folder / "model"))
        for name in FILES:
            if (folder / name).is_file():
                mlflow.log_artifact(str(folder / name))
    folder = target.expanduser().absolute()
    return WorkflowResult(
        run_id=run_id,
        run_name=run_name,
        experiment=config.experiment,
        best_params=best_params,
        cv_score=float(found.best_score_),
        candidates=table,
        calibration=calibration.table,
        calibration_method=method,
        threshold=threshold,
        scores=scores,
        served_f1=served_f1,
        reading=reading_table(sizes),
        sweet_spot=curve.best,
        runtime=runtime,
        model_name=config.registered_name,
        model_version=version,
        model_uri=logged.model_uri,
        folder=folder,
        files=[folder / name for name in FILES],
        seconds=seconds,
        split=split,
    )
