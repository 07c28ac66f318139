"""Right and wrong answers to the homework `full_workflow`."""

from tests.submissions.tools import append, solution, swap

RIGHT = {
    1: [
        """
        client = mlflow.MlflowClient()
        with mlflow.start_run(run_name="grid") as parent:
            mlflow.log_params({"best_C": str(search.best_params_["logisticregression__C"]), "cv": 3})
            mlflow.log_metrics({"best_cv_auc": search.best_score_, "candidates": 4})
            folder = store.outputs("hw-full-workflow")
            results.to_csv(folder / "cv_results.csv")
            mlflow.log_artifact(str(folder / "cv_results.csv"))
        for p, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"]):
            with mlflow.start_run(parent_run_id=parent.info.run_id, run_name="candidate"):
                mlflow.log_params({"C": p["logisticregression__C"]})
                mlflow.log_metric("cv_auc", score)
        """,
        """
        c = mlflow.MlflowClient()
        e = c.get_experiment_by_name("hw-full-workflow-grid").experiment_id
        parent = c.create_run(e, run_name="grid").info.run_id
        c.log_param(parent, "best_C", search.best_params_["logisticregression__C"])
        c.log_metric(parent, "best_cv_auc", results.mean_test_score.max())
        c.log_text(parent, results.to_csv(), "cv_results.csv")
        for i in range(4):
            child = c.create_run(e, tags={"mlflow.parentRunId": parent}).info.run_id
            c.log_param(child, "C", results.params[i]["logisticregression__C"])
            c.log_metric(child, "cv_auc", results.mean_test_score[i])
            c.set_terminated(child)
        c.set_terminated(parent)
        """,
    ],
    2: [
        # between two neighbouring probabilities every threshold makes the same calls
        """
        p = out_of_fold(model, X, y, 5)
        threshold = best_f1_threshold(y, p)
        threshold = (threshold + max(p[p < threshold])) / 2
        called = model.fit(X, y).predict_proba(X_test)[:, 1] >= threshold
        with mlflow.start_run(run_name="threshold"):
            mlflow.log_metrics({"threshold": threshold, "test_f1": f1_score(y_test, called)})
        """,
        """
        from sklearn.model_selection import cross_val_predict
        p = cross_val_predict(model, X, y, cv=StratifiedKFold(5, shuffle=True, random_state=0), method="predict_proba")[:, 1]
        t = best_f1_threshold(y, p)
        f1 = f1_score(y, p >= t)
        model.fit(X, y)
        with mlflow.start_run(run_name="threshold"):
            mlflow.log_metrics({"threshold": t, "oof_f1": f1, "test_f1": f1_score(y_test, (model.predict_proba(X_test)[:, 1] >= t).astype(int))})
        """,
        """
        t = best_f1_threshold(y, out_of_fold(model, X, y, 5))
        probability = model.fit(X, y).predict_proba(X_test)[:, 1]
        with mlflow.start_run(run_name="threshold"):
            mlflow.log_metric("threshold", t)
            mlflow.log_metric("test_f1", f1_score(y_test, probability >= t))
        """,
    ],
    3: [
        """
        found = []
        for m in ("isotonic", "sigmoid"):
            c = CalibratedClassifierCV(RandomForestClassifier(15, random_state=0), method=m, cv=3)
            p = out_of_fold(c, X, y, 3)
            found.append((float(((p - y) ** 2).mean()), m))
        oof, m = sorted(found)[0]
        p = CalibratedClassifierCV(forest, method=m, cv=3).fit(X, y).predict_proba(X_test)
        with mlflow.start_run(run_name="calibrated"):
            mlflow.log_params({"method": m, "cv": 3})
            mlflow.log_metrics({"test_brier": ((p[:, 1] - y_test) ** 2).mean(), "oof_brier": oof})
        """,
        """
        with mlflow.start_run(run_name="candidates"):
            tried = pd.Series(dtype=float)
            for m in ("sigmoid", "isotonic"):
                c = CalibratedClassifierCV(forest, cv=3, method=m)
                with mlflow.start_run(run_name=m, nested=True):
                    tried[m] = brier_score_loss(y, out_of_fold(c, X, y, folds=3))
                    mlflow.log_metric("oof_brier", tried[m])
        c = CalibratedClassifierCV(forest, method=tried.idxmin(), cv=3)
        c.fit(X, y)
        mlflow.start_run(run_name="calibrated")
        mlflow.log_param("method", c.method)
        mlflow.log_metric("oof_brier", tried.min())
        mlflow.log_metric("test_brier", brier_score_loss(y_test, c.predict_proba(X_test)[:, 1]))
        mlflow.end_run()
        """,
    ],
    4: [
        # between two neighbouring probabilities every threshold makes the same calls; the model first, by the run's id
        """
        p = out_of_fold(clinic, X_c, y_c, 5)
        t = best_f1_threshold(y_c, p)
        t = float((t + max(p[p < t])) / 2)
        model = FixedThresholdClassifier(estimator=clinic, threshold=t, pos_label=1).fit(X_c, y_c)
        with mlflow.start_run(run_name="clinic") as run:
            store.log_model(model, "clinic", X_c)
        served = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/clinic")
        mlflow.MlflowClient().log_metric(run.info.run_id, "threshold", t)
        mlflow.MlflowClient().log_metric(run.info.run_id, "served_f1", f1_score(y_c_test, served.predict(X_c_test)))
        """,
        # MLflow's own call, a fitted pipeline inside, an earlier attempt
        """
        import skops.io
        with mlflow.start_run(run_name="clinic"):
            mlflow.log_metric("threshold", 0.5)
        t = best_f1_threshold(y_c, out_of_fold(clinic, X_c, y_c, folds=5))
        wrapped = FixedThresholdClassifier(clinic.fit(X_c, y_c), threshold=t)
        wrapped.fit(X_c, y_c)
        mlflow.start_run(run_name="clinic")
        types = skops.io.get_untrusted_types(data=skops.io.dumps(wrapped))
        info = mlflow.sklearn.log_model(wrapped, name="clinic", skops_trusted_types=types, pip_requirements=["scikit-learn", "skops"])
        answers = mlflow.pyfunc.load_model(f"models:/{info.model_id}").predict(X_c_test)
        mlflow.log_metrics({"threshold": t, "served_f1": f1_score(y_c_test, answers)})
        mlflow.end_run()
        """,
    ],
    5: [
        """
        folds = cross_val_score(model, X, y, cv=5, scoring="roc_auc")
        with mlflow.start_run(run_name="tuesday", description="five folds"):
            mlflow.log_params({"folds": len(folds), "scoring": "roc_auc", "diagnosis": "high variance"})
            mlflow.log_metrics({"cv_auc": sum(folds) / 5, "spread": folds.std(), "train_val_gap": 1 - sum(folds) / 5})
        """,
        """
        c = mlflow.MlflowClient()
        r = c.create_run(c.get_experiment_by_name("hw-full-workflow-rerun").experiment_id, run_name="tuesday").info.run_id
        c.log_param(r, "folds", 5)
        both = cross_validate(model, X, y, scoring="roc_auc", return_train_score=True)
        c.log_param(r, "diagnosis", "Variance")
        c.log_metric(r, "cv_auc", both["test_score"].mean())
        c.log_metric(r, "train_val_gap", np.mean(both["train_score"] - both["test_score"]))
        c.set_terminated(r)
        """,
    ],
}

_CLINIC = "best_f1_threshold(y_c, out_of_fold(clinic, X_c, y_c, folds=5))"
_TRAIN = "best_f1_threshold(y, out_of_fold(model, X, y, folds=5))"
WRONG = {
    1: [
        ("not-started", ""),
        ("run-name", swap('run_name="grid"', 'run_name="search"')),
        ("param-missing", swap('mlflow.log_param("best_C", search.best_params_["logisticregression__C"])', "pass")),
        (
            "not-the-best",
            swap(
                'search.best_params_["logisticregression__C"]',
                "results.param_logisticregression__C[results.mean_test_score.argmin()]",
            ),
        ),
        ("mean-of-all", swap('"best_cv_auc", search.best_score_', '"best_cv_auc", results.mean_test_score.mean()')),
        ("value-wrong", swap('"best_cv_auc", search.best_score_', '"best_cv_auc", 0.7123')),
        ("children-missing", swap("for _, row in results.iterrows():", "for _, row in results.head(0).iterrows():")),
        ("candidates-missing", swap("results.iterrows()", "results.head(3).iterrows()")),
        ("child-shifted", swap('"cv_auc", row.mean_test_score', '"cv_auc", search.best_score_')),
        ("child-value", swap('"cv_auc", row.mean_test_score', '"cv_auc", row.mean_test_score / 2')),
        ("metric-missing", swap('mlflow.log_metric("cv_auc", row.mean_test_score)', "pass")),
        ("artifact-missing", swap('mlflow.log_text(results.to_csv(index=False), "cv_results.csv")', "pass")),
        ("artifact-name", swap('"cv_results.csv"', '"results.csv"')),
        ("results-incomplete", swap("results.to_csv", "results.head(2).to_csv")),
        ("results-column", swap("results.to_csv(index=False)", '""')),
        ("results-column", swap("results.to_csv(index=False)", "'\\n'.join('abcde')")),
        ("run-open", append('mlflow.start_run(run_name="grid")')),
    ],
    2: [
        ("not-started", ""),
        ("threshold-on-test", swap(_TRAIN, "best_f1_threshold(y_test, model.fit(X, y).predict_proba(X_test)[:, 1])")),
        ("threshold-on-train", swap(_TRAIN, "best_f1_threshold(y, model.fit(X, y).predict_proba(X)[:, 1])")),
        ("threshold-default", swap(_TRAIN, "0.5")),
        ("f1-at-half", swap("predict_proba(X_test)[:, 1] >= threshold", "predict(X_test)")),
        ("metric-as-param", swap('log_metric("threshold"', 'log_param("threshold"')),
        ("metric-missing", swap('mlflow.log_metric("test_f1", f1_score(y_test, predicted))', "pass")),
        ("value-wrong", swap("f1_score(y_test, predicted)", "0.4321")),
        ("value-wrong", swap("threshold = " + _TRAIN, "threshold = 0.9")),
    ],
    3: [
        ("not-started", ""),
        ("not-the-lower", swap("min(oof", "max(oof")),
        (
            "chosen-on-test",
            swap(
                "brier_score_loss(y, out_of_fold(models[m], X, y, folds=3))",
                "brier_score_loss(y_test, models[m].fit(X, y).predict_proba(X_test)[:, 1])",
            ),
        ),
        (
            "chosen-on-train",
            swap(
                "brier_score_loss(y, out_of_fold(models[m], X, y, folds=3))",
                "brier_score_loss(y, models[m].fit(X, y).predict_proba(X)[:, 1])",
            ),
        ),
        (
            "calibrated-on-train",
            "from sklearn.frozen import FrozenEstimator\n"
            + solution("full_workflow", 3).replace(
                "calibrated = models[best].fit(X, y)",
                "calibrated = CalibratedClassifierCV(FrozenEstimator(forest.fit(X, y)), method=best).fit(X, y)",
            ),
        ),
        ("not-calibrated", swap("calibrated = models[best]", "calibrated = forest")),
        ("method-mixed", swap("calibrated = models[best]", "calibrated = models[max(oof, key=oof.get)]")),
        ("method-other", swap('"method", best', '"method", "platt"')),
        ("metric-missing", swap('mlflow.log_metric("oof_brier", oof[best])', "pass")),
        (
            "train-not-test",
            swap(
                "brier_score_loss(y_test, calibrated.predict_proba(X_test)",
                "brier_score_loss(y, calibrated.predict_proba(X)",
            ),
        ),
        ("oof-not-test", swap("brier_score_loss(y_test, calibrated.predict_proba(X_test)[:, 1])", "oof[best]")),
        (
            "auc-not-brier",
            swap(
                "brier_score_loss(y_test, calibrated.predict_proba(X_test)[:, 1])",
                '__import__("sklearn.metrics").metrics.roc_auc_score(y_test, calibrated.predict_proba(X_test)[:, 1])',
            ),
        ),
        (
            "rounded",
            swap(
                "brier_score_loss(y_test, calibrated.predict_proba(X_test)[:, 1])",
                "round(brier_score_loss(y_test, calibrated.predict_proba(X_test)[:, 1]), 3)",
            ),
        ),
    ],
    4: [
        ("not-started", ""),
        (
            "threshold-on-test",
            swap(_CLINIC, "best_f1_threshold(y_c_test, clinic.fit(X_c, y_c).predict_proba(X_c_test)[:, 1])"),
        ),
        ("threshold-on-train", swap(_CLINIC, "best_f1_threshold(y_c, clinic.fit(X_c, y_c).predict_proba(X_c)[:, 1])")),
        ("threshold-default", swap(_CLINIC, "0.5")),
        ("threshold-lost", swap("store.log_model(final,", "store.log_model(clinic.fit(X_c, y_c),")),
        (
            "threshold-differs",
            swap(
                "FixedThresholdClassifier(clinic, threshold=threshold)",
                "FixedThresholdClassifier(clinic, threshold=0.9)",
            ),
        ),
        (
            "f1-at-half",
            swap("served.predict(X_c_test)", "served._model_impl.sklearn_model.estimator_.predict(X_c_test)"),
        ),
        ("train-not-test", swap("f1_score(y_c_test, served.predict(X_c_test))", "f1_score(y_c, served.predict(X_c))")),
        (
            "model-missing",
            swap(
                'info = store.log_model(final, "clinic", X_c)',
                "pass",
                "served = mlflow.pyfunc.load_model(info.model_uri)",
                "served = final",
            ),
        ),
        ("metric-missing", swap('mlflow.log_metric("threshold", threshold)', "pass")),
        ("run-name", swap('run_name="clinic"', 'run_name="Jonas"')),
    ],
    5: [
        ("not-started", ""),
        (
            "param-changed",
            """
old = mlflow.search_runs(experiment_names=["hw-full-workflow-rerun"]).run_id[0]
with mlflow.start_run(run_id=old):
    mlflow.log_param("folds", 5)
""",
        ),
        ("run-name", swap('run_name="tuesday"', 'run_name="Tue"')),
        ("param-value", swap('"folds": 5', '"folds": 3')),
        ("folds-not-changed", swap('"cv": 5', '"cv": 3')),
        ("other-measure", swap(', "scoring": "roc_auc"', "")),
        ("metric-missing", swap('"cv_auc": cv_auc, ', "")),
        ("metric-missing", swap(', "train_val_gap": train_auc - cv_auc', "")),
        ("gap-turned", swap("train_auc - cv_auc", "cv_auc - train_auc")),
        ("gap-not-difference", swap("train_auc - cv_auc", "train_auc")),
        ("param-missing", swap(', "diagnosis": "variance"', "")),
        ("diagnosis", swap('"diagnosis": "variance"', '"diagnosis": "good fit"')),
        (
            "metric-overwritten",
            append("""
old = mlflow.search_runs(filter_string="run_name = 'monday'").run_id[0]
mlflow.log_metric("cv_auc", 0.75, run_id=old)
"""),
        ),
    ],
}

SWAPS = {"X": "X_test", "y": "y_test"}
EQUIVALENT = {
    1: {
        "line 4: dropped index=": "the index is one more column of the file",
        "line 4: False": "the index is one more column of the file",
        "line 6: dropped run_name=": "a child is known by its parameter",
    },
    3: {"line 6: dropped key=": "by chance: the first name in the alphabet is the better method under one seed of two"},
}

# Found by people who attacked the checks.
WRONG[2] += [
    ("one-minus", swap("f1_score(y_test, predicted)", "1 - f1_score(y_test, predicted)")),
    (
        "oof-not-test",
        swap(
            "f1_score(y_test, predicted)",
            "max(f1_score(y, out_of_fold(model, X, y, folds=5) >= t) for t in out_of_fold(model, X, y, folds=5))",
        ),
    ),
    (
        "part-of-f1",
        swap("f1_score(y_test, predicted)", "__import__('sklearn.metrics').metrics.recall_score(y_test, predicted)"),
    ),
    (
        "threshold-on-a-grid",
        swap(
            'mlflow.log_metric("threshold", threshold)',
            'p = out_of_fold(model, X, y, folds=5)\n    threshold = max((t / 10 for t in range(1, 10)), key=lambda t: f1_score(y, p >= t))\n    mlflow.log_metric("threshold", threshold)',
        ),
    ),
]
WRONG[3].append(
    ("labels-not-probabilities", swap("calibrated.predict_proba(X_test)[:, 1]", "calibrated.predict(X_test)"))
)
WRONG[4] += [
    ("model-name", swap('store.log_model(final, "clinic", X_c)', 'store.log_model(final, "hospital", X_c)')),
    (
        "pickle-format",
        swap(
            'store.log_model(final, "clinic", X_c)',
            'mlflow.sklearn.log_model(final, name="clinic", serialization_format="cloudpickle")',
        ),
    ),
    (
        "model-files",
        append("""
from pathlib import Path
(Path(mlflow.artifacts.download_artifacts(info.model_uri)) / "model.skops").write_text("not a zip")
"""),
    ),
]

# Found by answers that were written without sight of the checks.
WRONG[1] += [
    ("test-not-cv", swap('"best_cv_auc", search.best_score_', '"best_cv_auc", search.score(X_test, y_test)')),
    ("spread-not-mean", swap('"cv_auc", row.mean_test_score', '"cv_auc", row.std_test_score')),
    ("one-fold", swap('"cv_auc", row.mean_test_score', '"cv_auc", row.split0_test_score')),
    ("rank-not-score", swap('"cv_auc", row.mean_test_score', '"cv_auc", row.rank_test_score')),
]
WRONG[2] += [
    ("other-folds", swap("folds=5", "folds=3")),
    ("wrong-class", swap("predict_proba(X_test)[:, 1]", "predict_proba(X_test)[:, 0]")),
]
WRONG[3] += [
    ("calibration-folds", swap(", cv=3", "")),
    ("calibration-folds", swap("models[best].fit(X, y)", "CalibratedClassifierCV(forest, method=best).fit(X, y)")),
    ("other-folds", swap("folds=3", "folds=5")),
]
WRONG[4] += [
    (
        "setting-forgotten",
        swap("threshold = best", "clinic = make_pipeline(StandardScaler(), LogisticRegression())\nthreshold = best"),
    ),
    ("other-folds", swap("folds=5", "folds=3")),
    ("wrong-class", swap("threshold=threshold)", "threshold=threshold, pos_label=0)")),
    ("wrong-class", swap("served.predict(X_c_test))", "served.predict(X_c_test), pos_label=0)")),
    ("fitted-on-test", swap(".fit(X_c, y_c)", ".fit(X_c_test, y_c_test)")),
]
WRONG[5] += [
    ("folds-of-test", swap("cross_validate(model, X, y,", "cross_validate(model, X_test, y_test,")),
]

# Found by a reader who answered to the letter.
_CHILDREN = """
c = mlflow.MlflowClient()
with mlflow.start_run(run_name="grid") as parent:
    mlflow.log_param("best_C", search.best_params_["logisticregression__C"])
    mlflow.log_metric("best_cv_auc", search.best_score_)
    mlflow.log_text(results.to_csv(), "cv_results.csv")
for ended in ENDED:
    for i in range(4):
        tags = {"mlflow.parentRunId": parent.info.run_id}
        child = c.create_run(parent.info.experiment_id, tags=tags).info.run_id
        if ended != "FAILED":
            c.log_param(child, "C", results.params[i]["logisticregression__C"])
            c.log_metric(child, "cv_auc", results.mean_test_score[i])
        if ended:
            c.set_terminated(child, ended)
"""
# the children of earlier tries stay below the same parent: left open, failed, with another metric
RIGHT[1] += [
    _CHILDREN.replace("ENDED", '(None, "FAILED", "FINISHED")'),
    solution("full_workflow", 1).replace('"cv_auc"', '"auc"') + """
with mlflow.start_run(run_id=mlflow.search_runs(filter_string="run_name = 'grid'").run_id[0]):
    for p, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"]):
        with mlflow.start_run(nested=True):
            mlflow.log_param("C", p["logisticregression__C"])
            mlflow.log_metric("cv_auc", score)
""",
]
WRONG[1] += [
    ("rounded", swap('"cv_auc", row.mean_test_score', '"cv_auc", round(row.mean_test_score, 3)')),
    ("run-open", _CHILDREN.replace("ENDED", "(None,)")),
    ("run-failed", _CHILDREN.replace("ENDED", '("FAILED",)')),
]
WRONG[3].append(("calibration-folds", swap("cv=3", "cv=StratifiedKFold(3, shuffle=True, random_state=0)")))
_WRAPPED = "FixedThresholdClassifier(clinic, threshold=threshold)"
# NumPy's own number
RIGHT[4].append(swap(_WRAPPED, _WRAPPED.replace("=threshold", "=np.float64(threshold)")))
WRONG[4] += [
    (
        "threshold-lost",
        swap(
            _WRAPPED,
            "make_pipeline(StandardScaler(), FixedThresholdClassifier(LogisticRegression(C=0.01), threshold=threshold))",
        ),
    ),
    ("threshold-lost", swap(_WRAPPED, "FixedThresholdClassifier(clinic)")),
]
