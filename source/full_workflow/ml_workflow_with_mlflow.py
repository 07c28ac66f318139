"""A machine-learning workflow in eight tracked steps, from a table to a registered model.

Needs scikit-learn and MLflow (with skops), nothing else. In an empty folder:

    python ml_workflow_with_mlflow.py
    python ml_workflow_with_mlflow.py --data breast_cancer --positive malignant
    python ml_workflow_with_mlflow.py --data customers.csv --target churned --positive yes
    python ml_workflow_with_mlflow.py --model random_forest --scoring f1 --fast
    mlflow ui --backend-store-uri sqlite:///mlflow.db --port 5001

Everything that is chosen (setting, calibration, threshold, kind of model) is chosen on training rows, through folds.
The test rows are opened once, in the last step, and what is registered is what was tested there.
"""

import argparse
import hashlib
import logging
import os
import platform
import time
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # pictures go to files; no window is needed
import matplotlib.pyplot as plt
import mlflow
import numpy as np
import pandas as pd
import sklearn
import skops.io
from mlflow.entities import Metric, Param
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    PrecisionRecallDisplay,
    RocCurveDisplay,
    average_precision_score,
    brier_score_loss,
    f1_score,
    precision_recall_curve,
    roc_auc_score,
)
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
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

EXPERIMENT = "ml_workflow_demo"
GRIDS = {
    "logistic_regression": {
        "classifier__C": [0.01, 0.1, 1.0, 10.0],
        "classifier__solver": ["lbfgs", "liblinear"],
        "classifier__class_weight": [None, "balanced"],
    },
    "random_forest": {
        "classifier__n_estimators": [50, 100, 200],
        "classifier__max_depth": [5, 10, None],
        "classifier__min_samples_split": [2, 5, 10],
    },
}
FAST_GRIDS = {
    "logistic_regression": {"classifier__C": [0.1, 1.0], "classifier__class_weight": [None, "balanced"]},
    "random_forest": {"classifier__n_estimators": [50], "classifier__max_depth": [5, 10]},
}
#: Parameter of the validation curve, and its values.
CURVES = {
    "logistic_regression": ("C", np.logspace(-4, 3, 8)),
    "random_forest": ("max_depth", np.array([1, 2, 4, 8, 16, 32])),
}
#: Types that these models consist of; a model with any other type in it is not stored.
TRUSTED = {
    "numpy.dtype",  # the imputer notes what kind of numbers it saw
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.tree._tree.Tree",
}


def load_and_split_data(
    data="synthetic",
    target=None,
    positive=None,
    n_samples=5000,
    n_features=20,
    missing_share=0.05,
    label_noise=0.05,
    test_size=0.2,
    seed=42,
):
    """Return X_train, X_test, y_train, y_test and the name of class 1, the class to find."""
    if data == "synthetic":
        X, labels = make_classification(
            n_samples=n_samples,
            n_features=n_features,
            n_informative=n_features // 2,
            n_redundant=n_features // 4,
            n_clusters_per_class=1,
            weights=[0.8],
            flip_y=label_noise,
            random_state=seed,
        )
        X[np.random.default_rng(seed).random(X.shape) < missing_share] = np.nan
        X = pd.DataFrame(X, columns=[f"feature_{i:02d}" for i in range(n_features)])
        labels = pd.Series(labels, name="target").astype(str)
    elif data == "breast_cancer":
        X, labels = load_breast_cancer(return_X_y=True, as_frame=True)
        labels = labels.map({0: "malignant", 1: "benign"})
    else:
        table = pd.read_csv(data)
        if target not in table:
            raise SystemExit(f"{data} has no column {target!r}. Name the column to predict with --target.")
        table = table.dropna(subset=[target])
        labels, X = table.pop(target).astype(str), table.select_dtypes("number").astype(float)
        if left_out := sorted(set(table) - set(X)):
            print("Left out, because they are not numbers:", ", ".join(left_out))
    counts = labels.value_counts()  # the rarer class comes last
    if len(counts) != 2:
        raise SystemExit(f"The target of {data} has {len(counts)} classes; this workflow is for two.")
    positive = positive or counts.index[-1]
    if positive not in counts:
        raise SystemExit(f"No row of {data} is {positive!r}; the classes are {', '.join(counts.index)}.")
    y = (labels == positive).astype(int)
    return (*train_test_split(X, y, test_size=test_size, stratify=y, random_state=seed), positive)


def log_rows(name, X, y, context):
    """Log a data set with a digest of all of its values, and return it; MLflow's own digest stops after 10,000 rows."""
    table = X.assign(**{y.name: y.astype(float)})
    values = pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes()
    digest = hashlib.sha256("\x1f".join(table).encode() + values).hexdigest()[:16]
    mlflow.log_input(mlflow.data.from_pandas(table, name=name, targets=y.name, digest=digest), context=context)
    return digest


def make_pipeline(model, polynomial, seed):
    """Return the steps ``imputer``, ``scaler`` and ``classifier``, not fitted; with products of columns when asked."""
    classifiers = {
        "logistic_regression": LogisticRegression(max_iter=5000, random_state=seed),
        "random_forest": RandomForestClassifier(random_state=seed),
    }
    steps = [("imputer", SimpleImputer(strategy="median")), ("scaler", StandardScaler())]
    if polynomial:
        steps += [("polynomial", PolynomialFeatures(2, include_bias=False)), ("rescaler", StandardScaler())]
    return Pipeline([*steps, ("classifier", classifiers[model])])


def log_candidates(search, run_id):
    """Log every setting of a search as a child run of `run_id`."""
    client = mlflow.MlflowClient()
    experiment_id = client.get_run(run_id).info.experiment_id
    for setting, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
        setting = {key.removeprefix("classifier__"): value for key, value in setting.items()}
        name = ", ".join(f"{key}={value}" for key, value in setting.items())
        child = client.create_run(experiment_id, run_name=name, tags={"mlflow.parentRunId": run_id})
        params = [Param(key, str(value)) for key, value in setting.items()]
        now = int(1000 * time.time())
        client.log_batch(child.info.run_id, metrics=[Metric("cv_score", score, now, 0)], params=params)
        client.set_terminated(child.info.run_id)


def best_f1_threshold(y, probability):
    """Return the probability from which on a row is called class 1, so that F1 is highest."""
    precision, recall, thresholds = precision_recall_curve(y, probability)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(thresholds[f1[:-1].argmax()])


def draw_curve(values, train, valid, label, scoring, path, log_axis=False):
    """Draw the mean scores of the folds over `values`, with a band of one standard deviation."""
    fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    for scores, name in ((train, "training"), (valid, "validation")):
        mean, spread = scores.mean(axis=1), scores.std(axis=1)
        ax.plot(values, mean, marker="o", label=name)
        ax.fill_between(values, mean - spread, mean + spread, alpha=0.2)
    if log_axis:
        ax.set_xscale("log")
    ax.set(xlabel=label, ylabel=scoring)
    ax.legend()
    fig.savefig(path)
    plt.close(fig)
    mlflow.log_artifact(path)


def draw_test(y, probability, called, path):
    """Draw ROC, precision-recall, confusion matrix at the threshold, and calibration, in four panels."""
    fig, axes = plt.subplots(2, 2, figsize=(10, 8.5), layout="constrained")
    RocCurveDisplay.from_predictions(y, probability, plot_chance_level=True, ax=axes[0, 0])
    PrecisionRecallDisplay.from_predictions(y, probability, plot_chance_level=True, ax=axes[0, 1])
    ConfusionMatrixDisplay.from_predictions(y, called, ax=axes[1, 0], colorbar=False)
    CalibrationDisplay.from_predictions(y, probability, n_bins=10, ax=axes[1, 1])
    fig.savefig(path)
    plt.close(fig)
    mlflow.log_artifact(path)


def milliseconds(call, repeats=15):
    """Return the median time of a call, after one call that warms up."""
    call()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - start))
    return float(np.median(taken))


def time_models(models, X, y, cv):
    """Return a row for each model: ROC-AUC over the folds, and what fitting and predicting cost."""
    rows = {}
    for name, model in models.items():
        auc = cross_val_score(model, X, y, scoring="roc_auc", cv=cv).mean()
        fitted = clone(model)
        start = time.perf_counter()
        fitted.fit(X, y)
        seconds = time.perf_counter() - start
        rows[name] = {"cv_roc_auc": auc, "fit_seconds": seconds, **predict_times(fitted.predict_proba, X)}
    return pd.DataFrame(rows).T.rename_axis("model")


def predict_times(predict, X):
    """Return seconds for all rows at once, the share of one row in that, and what one row alone takes."""
    batch, one = milliseconds(lambda: predict(X), 3), milliseconds(lambda: predict(X.head(1)))
    return {"predict_seconds": batch / 1000, "per_sample_ms": batch / len(X), "one_row_ms": one}


def log_model(model, X):
    """Log a model of which every type is expected, and return what MLflow says about it."""
    types = skops.io.get_untrusted_types(data=skops.io.dumps(model))
    if unknown := set(types) - TRUSTED:
        raise SystemExit(f"The model contains {sorted(unknown)}. Read what that is before you trust it.")
    packages = mlflow.sklearn.get_default_pip_requirements(include_skops=True)
    return mlflow.sklearn.log_model(
        model, name="model", skops_trusted_types=types, pip_requirements=packages, input_example=X.head(3)
    )


def run(options):
    """Do the eight steps in one parent run, and return the digest of the test rows."""
    seed, folder = options.seed, Path("outputs")
    folder.mkdir(exist_ok=True)
    n_samples, n_features, folds = (1000, 10, 3) if options.fast else (options.n_samples, options.n_features, 5)
    sizes = {"n_samples": n_samples, "n_features": n_features, "missing_share": 0.05, "label_noise": 0.05}

    # Step 1: data and split
    X, X_test, y, y_test, positive = load_and_split_data(
        options.data, options.target, options.positive, **sizes, test_size=0.2, seed=seed
    )
    if options.data != "synthetic":  # nothing was drawn: say what is there
        sizes = {"n_samples": len(X) + len(X_test), "n_features": X.shape[1]}
        sizes |= {"missing_share": float(X.isna().mean().mean()), "label_noise": "unknown"}
    mlflow.log_params(sizes | {"test_size": 0.2, "n_train": len(X), "n_test": len(X_test)})
    mlflow.log_params({"data": options.data, "positive_class": positive, "seed": seed, "scoring": options.scoring})
    run_id, name = mlflow.active_run().info.run_id, Path(options.data).stem
    log_rows(name, X, y, "train")
    judged_by = log_rows(name, X_test, y_test, "test")

    # Step 2: pipeline
    pipeline = make_pipeline(options.model, options.polynomial, seed)
    mlflow.log_params({"imputation_strategy": "median", "scaling": "standard"})
    mlflow.log_params({"classifier": type(pipeline[-1]).__name__, "polynomial": options.polynomial})

    # Step 3: search
    cv = StratifiedKFold(folds, shuffle=True, random_state=seed)
    grid = (FAST_GRIDS if options.fast else GRIDS)[options.model]
    search = GridSearchCV(pipeline, grid, scoring=options.scoring, cv=cv).fit(X, y)
    best = search.best_estimator_
    mlflow.log_params({f"best_{key}": value for key, value in search.best_params_.items()})
    best_auc = cross_val_score(best, X, y, scoring="roc_auc", cv=cv).mean()
    mlflow.log_metrics({"best_cv_roc_auc": best_auc, "best_cv_score": search.best_score_})
    pd.DataFrame(search.cv_results_).to_csv(folder / "cv_results.csv", index=False)
    mlflow.log_artifact(folder / "cv_results.csv")
    log_candidates(search, run_id)

    # Step 4: calibration, and the threshold, both from probabilities of rows that the model has not seen
    variants = {"none": best}
    variants |= {m: CalibratedClassifierCV(best, method=m, cv=folds) for m in ("sigmoid", "isotonic")}
    unseen = {m: cross_val_predict(v, X, y, cv=cv, method="predict_proba")[:, 1] for m, v in variants.items()}
    brier = {m: brier_score_loss(y, p) for m, p in unseen.items()}
    method = min(brier, key=brier.get)
    threshold = best_f1_threshold(y, unseen[method])
    final = FixedThresholdClassifier(variants[method], threshold=threshold).fit(X, y)
    mlflow.log_params({"calibration_method": method, "calibration_folds": folds})
    mlflow.log_metrics({f"oof_brier_{m}": value for m, value in brier.items()})
    mlflow.log_metrics({"optimal_threshold": threshold, "oof_f1": f1_score(y, unseen[method] >= threshold)})

    # Step 5: learning curve
    rows, train, valid = learning_curve(
        best, X, y, train_sizes=np.linspace(0.1, 1, 6), scoring=options.scoring, cv=cv, shuffle=True, random_state=seed
    )
    ends = {"final_train_score": train[-1].mean(), "final_val_score": valid[-1].mean()}
    mlflow.log_metrics(ends | {"train_val_gap": ends["final_train_score"] - ends["final_val_score"]})
    draw_curve(rows, train, valid, "training rows", options.scoring, folder / "learning_curve.png")

    # Step 6: validation curve
    name, values = CURVES[options.model]
    train, valid = validation_curve(
        best, X, y, param_name=f"classifier__{name}", param_range=values, scoring=options.scoring, cv=cv
    )
    mlflow.log_param(f"optimal_{name}", float(values[valid.mean(axis=1).argmax()]))
    mlflow.log_metric("optimal_val_score", valid.mean(axis=1).max())
    draw_curve(values, train, valid, name, options.scoring, folder / "validation_curve.png", log_axis=True)

    # Step 7: what each kind of model costs and gains, on training rows
    kinds = {kind: make_pipeline(kind, options.polynomial, seed) for kind in GRIDS} | {options.model: clone(best)}
    runtime = time_models(kinds, X, y, cv)

    # Step 8: the test rows are opened when nothing is left to choose
    probability, called = final.predict_proba(X_test)[:, 1], final.predict(X_test)
    scores = {
        "test_roc_auc": roc_auc_score(y_test, probability),
        "test_pr_auc": average_precision_score(y_test, probability),
        "test_f1": f1_score(y_test, called),
        "test_brier": brier_score_loss(y_test, probability),
    }
    mlflow.log_metrics(scores)
    draw_test(y_test, probability, called, folder / "test_evaluation.png")

    # Register, load what was registered, and ask it the same questions
    source = "" if options.data == "synthetic" else f"_{Path(options.data).stem}"
    registered = options.name or f"calibrated_{options.model}{source}"
    version = mlflow.register_model(log_model(final, X).model_uri, registered)
    served = mlflow.pyfunc.load_model(f"models:/{registered}/{version.version}")
    served_f1 = f1_score(y_test, served.predict(X_test))
    assert served_f1 == scores["test_f1"], f"served {served_f1}, reported {scores['test_f1']}"
    mlflow.log_metric("served_f1", served_f1)

    folds_auc = [roc_auc_score(y.iloc[rows], unseen[method][rows]) for _, rows in cv.split(X, y)]
    runtime.loc["registered"] = predict_times(served.predict, X) | {"cv_roc_auc": np.mean(folds_auc)}
    hardware = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, scikit-learn {sklearn.__version__}"
    mlflow.log_param("hardware", hardware)
    runtime.assign(hardware=hardware).to_csv(folder / "runtime_comparison.csv")
    mlflow.log_artifact(folder / "runtime_comparison.csv")

    print(f"class to find: {positive}; best setting: {search.best_params_}; calibration: {method}")
    print(", ".join(f"{name} {value:.3f}" for name, value in scores.items()), f"threshold {threshold:.3f}")
    print(runtime.drop(columns="predict_seconds").round(3).to_string())
    print(f"registered: {registered}, version {version.version}; served F1 {served_f1:.3f} = reported F1")
    return judged_by


def main():
    """Read the options, and open the parent run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="synthetic", help="synthetic, breast_cancer, or a CSV file")
    parser.add_argument("--target", help="column to predict, for a CSV file")
    parser.add_argument("--positive", help="class to find; the rarer one when not given")
    parser.add_argument("--model", default="logistic_regression", choices=list(GRIDS))
    parser.add_argument("--polynomial", action="store_true", help="add squares and products of columns")
    parser.add_argument("--scoring", default="roc_auc", help="what the search maximises, for example f1")
    parser.add_argument("--n-samples", type=int, default=5000)
    parser.add_argument("--n-features", type=int, default=20)
    parser.add_argument("--fast", action="store_true", help="1,000 rows, 10 features, smaller grid, 3 folds")
    parser.add_argument("--name", help="name of the registered model")
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=UserWarning, module="mlflow")
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment(EXPERIMENT)
    with mlflow.start_run(run_name=f"{Path(options.data).stem}-{options.model}") as parent:
        judged_by = run(options)

    # Scores on other rows cannot be compared: rank the runs that these test rows have judged.
    (best,) = mlflow.MlflowClient().search_runs(
        [parent.info.experiment_id],
        f"metrics.test_roc_auc > 0 and dataset.digest = '{judged_by}'",
        order_by=["metrics.test_roc_auc DESC"],
        max_results=1,
    )
    print(f"best run on these rows by test_roc_auc: {best.info.run_name}, {best.data.metrics['test_roc_auc']:.3f}")


if __name__ == "__main__":
    main()
