"""Right and wrong answers to the homework `pipelines`."""

from tests.submissions.tools import append, swap

RIGHT = {
    1: [
        # named steps, with the column of ones, by to_csv of a series
        """
        from sklearn.pipeline import Pipeline

        p = Pipeline([("s", StandardScaler()), ("p", PolynomialFeatures(degree=2)), ("l", LinearRegression())])
        p.fit(X_train, y_train)
        names = p[:-1].get_feature_names_out(X_train.columns)
        table = pd.Series(p["l"].coef_, index=names, name="coefficient").rename_axis("feature")
        table.to_csv(folder / "coefficients.csv")
        """,
        # step by step, without a pipeline, other order of rows
        """
        scaler = StandardScaler().set_output(transform="pandas").fit(X_train)
        powers = PolynomialFeatures(2, include_bias=False).set_output(transform="pandas")
        Z = powers.fit_transform(scaler.transform(X_train))
        line = LinearRegression().fit(Z, y_train)
        table = pd.DataFrame({"coefficient": line.coef_, "feature": Z.columns}).sort_values("coefficient")
        table.to_csv(folder / "coefficients.csv")
        """,
    ],
    2: [
        # a loop over the folds by hand
        """
        table = {"degree": [], "cv_rmse": []}
        for d in [3, 2, 1]:
            errors = []
            for train, test in folds.split(X_gaps):
                m = make_pipeline(SimpleImputer(), StandardScaler(), PolynomialFeatures(d), LinearRegression())
                m.fit(X_gaps.iloc[train], y_train.iloc[train])
                errors.append(np.sqrt(np.mean((m.predict(X_gaps.iloc[test]) - y_train.iloc[test]) ** 2)))
            table["degree"].append(d)
            table["cv_rmse"].append(np.mean(errors))
        pd.DataFrame(table).to_csv(folder / "degrees.csv")
        """,
        # by grid search
        """
        from sklearn.model_selection import GridSearchCV

        m = make_pipeline(SimpleImputer(strategy="mean"), StandardScaler(), PolynomialFeatures(), LinearRegression())
        g = GridSearchCV(m, {"polynomialfeatures__degree": [1, 2, 3]}, cv=folds, scoring="neg_root_mean_squared_error")
        r = pd.DataFrame(g.fit(X_gaps, y_train).cv_results_)
        out = pd.DataFrame({"degree": r["param_polynomialfeatures__degree"], "cv_rmse": -r["mean_test_score"]})
        out.to_csv(folder / "degrees.csv", index=False)
        """,
    ],
    3: [
        # compressed
        """
        joblib.dump(ridge, folder / "model.joblib", compress=3)
        back = joblib.load(folder / "model.joblib")
        pd.DataFrame({"after": back.predict(X_test), "before": ridge.predict(X_test)}).to_csv(folder / "proof.csv")
        """,
        # compressed in another way, through an open file
        """
        joblib.dump(ridge, folder / "model.joblib", compress=("xz", 3))
        with open(folder / "model.joblib", "rb") as file:
            back = joblib.load(file)
        pd.DataFrame(dict(before=ridge.predict(X_test), after=back.predict(X_test))).to_csv(folder / "proof.csv")
        """,
        """
        joblib.dump(ridge, str(folder / "model.joblib"), compress="gzip")
        back = joblib.load(folder / "model.joblib")
        pd.DataFrame(dict(before=ridge.predict(X_test), after=back.predict(X_test))).to_csv(folder / "proof.csv")
        """,
        """
        joblib.dump(ridge, str(folder / "model.joblib"), compress=("bz2", 3))
        back = joblib.load(folder / "model.joblib")
        pd.DataFrame(dict(before=ridge.predict(X_test), after=back.predict(X_test))).to_csv(folder / "proof.csv")
        """,
        """
        joblib.dump(ridge, str(folder / "model.joblib"), compress=("lzma", 3))
        back = joblib.load(folder / "model.joblib")
        pd.DataFrame(dict(before=ridge.predict(X_test), after=back.predict(X_test))).to_csv(folder / "proof.csv")
        """,
    ],
    4: [
        # plural calls, another alpha
        """
        mlflow.set_experiment("hw-pipelines-tracking")
        m = make_pipeline(StandardScaler(), Ridge(alpha=100)).fit(X_train, y_train)
        e = y_test - m.predict(X_test)
        with mlflow.start_run(run_name="ridge"):
            mlflow.log_params({"alpha": 100, "model": "ridge"})
            mlflow.log_metrics({"test_rmse": (e**2).mean() ** 0.5, "test_mae": e.abs().mean(), "r2": 0.4})
        """,
        # by the client
        """
        c = mlflow.MlflowClient()
        r = c.create_run(c.create_experiment("hw-pipelines-tracking"), run_name="ridge").info.run_id
        m = make_pipeline(StandardScaler(), Ridge(0.5)).fit(X_train, y_train)
        c.log_param(r, "alpha", 0.5)
        c.log_metric(r, "test_rmse", root_mean_squared_error(y_test, m.predict(X_test)))
        c.log_metric(r, "test_mae", mean_absolute_error(y_test, m.predict(X_test)))
        c.set_terminated(r)
        """,
    ],
    5: [
        """
        blob = skops.io.dumps(forest)
        (folder / "forest.skops").write_bytes(blob)
        with open(folder / "untrusted.json", "w") as file:
            json.dump(sorted(skops.io.get_untrusted_types(data=blob)), file, indent=2)
        """,
        """
        skops.io.dump(forest, str(folder / "forest.skops"))
        types = skops.io.get_untrusted_types(file=str(folder / "forest.skops"))
        pd.Series(types).to_json(folder / "untrusted.json", orient="values")
        """,
    ],
}

_WRITE = 'coefficients.to_csv(folder / "coefficients.csv", index=False)'
_PIPE = "make_pipeline(StandardScaler(), PolynomialFeatures(2, include_bias=False), LinearRegression())"

WRONG = {
    1: [
        ("not-started", ""),
        ("file-name", swap("coefficients.csv", "Coefficients.csv")),
        ("column-missing", swap('"coefficient":', '"weight":')),
        ("file-broken", '(folder / "coefficients.csv").write_text("")'),
        ("artifact-outside", 'import sys\n(folder / "coefficients.csv").symlink_to(sys.executable)'),
        ("not-a-number", swap(_WRITE, f'coefficients["coefficient"] = "high"\n{_WRITE}')),
        ("feature-names", swap("fit(X_train, y_train)", "fit(X_train.to_numpy(), y_train)")),
        ("wrong-degree", swap("PolynomialFeatures(2", "PolynomialFeatures(3")),
        ("wrong-degree", swap("PolynomialFeatures(2", "PolynomialFeatures(2, interaction_only=True")),
        ("not-scaled", swap("StandardScaler(), ", "")),
        (
            "scaled-last",
            swap(
                _PIPE, "make_pipeline(PolynomialFeatures(2, include_bias=False), StandardScaler(), LinearRegression())"
            ),
        ),
        ("fitted-on-test", swap("fit(X_train, y_train)", "fit(X_test, y_test)")),
        ("brake-added", swap("LinearRegression()", "Ridge()")),
        ("rounded", swap(_WRITE, f"coefficients = coefficients.round(1)\n{_WRITE}")),
    ],
    2: [
        ("not-started", ""),
        ("wrong-degree", swap("(1, 2, 3)", "(1, 2)")),
        ("wrong-degree", swap("(1, 2, 3)", "(2, 3, 4)")),
        ("not-a-number", append('(folder / "degrees.csv").write_text("degree,cv_rmse\\n1,none\\n2,3\\n3,4\\n")')),
        ("squared-not-root", swap("neg_root_mean_squared_error", "neg_mean_squared_error")),
        (
            "root-of-mean",
            swap("neg_root_mean_squared_error", "neg_mean_squared_error", "-scores.mean()", "np.sqrt(-scores.mean())"),
        ),
        ("other-metric", swap("neg_root_mean_squared_error", "neg_mean_absolute_error")),
        ("score-not-error", swap(', scoring="neg_root_mean_squared_error"', "", "-scores.mean()", "scores.mean()")),
        ("sign", swap("-scores.mean()", "scores.mean()")),
        ("rounded", swap("-scores.mean()", "round(-scores.mean(), 1)")),
        (
            "train-not-test",
            swap(
                "cross_val_score(model,",
                "__import__('sklearn.model_selection').model_selection.cross_validate(model,",
                'error")',
                'error", return_train_score=True)["train_score"]',
            ),
        ),
        (
            "leaked-rows",
            swap("SimpleImputer(), ", "", "(model, X_gaps", "(model, SimpleImputer().fit_transform(X_gaps)"),
        ),
        ("other-folds", swap("cv=folds", "cv=5")),
        ("other-rows", swap("X_gaps", "X_train")),
        ("other-imputer", swap("SimpleImputer()", 'SimpleImputer(strategy="median")')),
        (
            "one-split",
            swap("-scores.mean()", "root_mean_squared_error(y_test, model.fit(X_gaps, y_train).predict(X_test))"),
        ),
        ("value-wrong", swap("-scores.mean()", "54.0")),
    ],
    3: [
        ("not-started", ""),
        ("other-format", swap("joblib.dump(ridge,", "skops.io.dump(ridge,")),
        ("model-not-in-file", '(folder / "model.joblib").write_text("here is my model")'),
        ("model-not-in-file", '(folder / "model.joblib").write_bytes(b"\\x78\\x9cbroken")'),
        ("steps-not-saved", swap("joblib.dump(ridge,", "joblib.dump(ridge[-1],")),
        ("steps-not-saved", swap("joblib.dump(ridge,", "joblib.dump(ridge[:-1],")),
        (
            "saved-unfitted",
            swap(
                "joblib.dump(ridge,",
                "joblib.dump(make_pipeline(StandardScaler(), PolynomialFeatures(2), Ridge(10.0)),",
                "reloaded.predict",
                "ridge.predict",
            ),
        ),
        ("no-proof", swap('proof.to_csv(folder / "proof.csv", index=False)', "pass")),
        ("column-missing", swap('"after"', '"reloaded"')),
        ("train-not-test", swap("X_test", "X_train")),
        ("other-predictions", swap("X_test", "X_test[::-1]")),
        (
            "other-predictions",
            swap(
                "joblib.dump(ridge,",
                "ridge = make_pipeline(StandardScaler(), PolynomialFeatures(2), Ridge()).fit(X, y)\njoblib.dump(ridge,",
            ),
        ),
        ("not-equal", swap("reloaded.predict(X_test)", "reloaded.predict(X_test).round(2)")),
    ],
    4: [
        ("not-started", ""),
        ("experiment-name", swap("hw-pipelines-tracking", "hw_pipelines_Tracking")),
        ("param-value", swap("alpha = 5.0", "alpha = 0.0")),
        ("param-value", swap('log_param("alpha", alpha)', 'log_param("alpha", "five")')),
        ("param-missing", swap('mlflow.log_param("alpha", alpha)', "pass")),
        ("metric-name", swap('"test_rmse"', '"test-RMSE"')),
        ("train-not-test", swap("X_test", "X_train", "y_test", "y_train")),
        ("squared-not-root", swap("root_mean_squared_error(y_test, predicted)", "((y_test - predicted) ** 2).mean()")),
        ("metrics-swapped", swap("root_mean_squared_error", "mean_absolute_error")),
        ("not-scaled", swap("make_pipeline(StandardScaler(), Ridge(alpha))", "Ridge(alpha)")),
        ("sign", swap("root_mean_squared_error(y", "-root_mean_squared_error(y")),
        ("value-wrong", swap('log_param("alpha", alpha)', 'log_param("alpha", 6)')),
    ],
    5: [
        ("not-started", ""),
        ("other-format", swap("skops.io.dump(", "joblib.dump(")),
        (
            "file-broken",
            'import zipfile\nwith zipfile.ZipFile(folder / "forest.skops", "w") as z:\n    z.writestr("a", "b")',
        ),
        ("file-broken", swap("json.dumps(untrusted)", "str(untrusted)")),
        ("steps-not-saved", swap("dump(forest,", "dump(forest[-1],")),
        ("list-missing", swap('(folder / "untrusted.json").write_text(json.dumps(untrusted))', "pass")),
        ("wrong-types", swap("json.dumps(untrusted)", "json.dumps([])")),
        ("wrong-types", swap("json.dumps(untrusted)", 'json.dumps({"types": untrusted})')),
    ],
}

#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT = {
    1: {
        "line 1: False → True": "the column of ones has the coefficient 0 and is left out",
        "line 1: dropped include_bias=": "the column of ones has the coefficient 0 and is left out",
        "line 4: False → True": "an extra column with row numbers does not disturb",
        "line 4: dropped index=": "an extra column with row numbers does not disturb",
    },
    2: {
        "line 6: False → True": "an extra column with row numbers does not disturb",
        "line 6: dropped index=": "an extra column with row numbers does not disturb",
    },
    3: {
        "line 4: False → True": "an extra column with row numbers does not disturb",
        "line 4: dropped index=": "an extra column with row numbers does not disturb",
    },
    4: {"line 1: 5.0 →": "any alpha above 0 is right"},
}

SWAPS = {"X_gaps": "X_train", "folds": "seed", "ridge": "X_test"}

# Found by people who attacked the checks.

#: Wrong answers that pass, because a store holds no trace of the mistake: (what cannot be seen, answer).
UNSEEN = {
    3: [
        (
            "the file is there and the column `after` is a copy of `before`: nobody loaded the model",
            '''
joblib.dump(ridge, folder / "model.joblib")
p = ridge.predict(X_test)
pd.DataFrame({"before": p, "after": p}).to_csv(folder / "proof.csv", index=False)
''',
        ),
    ],
}
_LINE = "pipeline.fit(X_train, y_train)"
WRONG[1] += [
    ("fitted-on-all", swap(_LINE, "pipeline.fit(pd.concat([X_train, X_test]), pd.concat([y_train, y_test]))")),
    ("value-wrong", swap("PolynomialFeatures(2", "PolynomialFeatures(2, order='F'", "pipeline.fit(X_train, y_train)", "pipeline.fit(X_train[:100], y_train[:100])")),
]
