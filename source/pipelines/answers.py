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
        joblib.dump(fitted, folder / "model.joblib", compress=3)
        back = joblib.load(folder / "model.joblib")
        pd.DataFrame({"after": back.predict(X_test), "before": fitted.predict(X_test)}).to_csv(folder / "proof.csv")
        """,
        # compressed in another way, through an open file
        """
        joblib.dump(fitted, folder / "model.joblib", compress=("xz", 3))
        with open(folder / "model.joblib", "rb") as file:
            back = joblib.load(file)
        pd.DataFrame(dict(before=fitted.predict(X_test), after=back.predict(X_test))).to_csv(folder / "proof.csv")
        """,
        """
        joblib.dump(fitted, str(folder / "model.joblib"), compress="gzip")
        back = joblib.load(folder / "model.joblib")
        pd.DataFrame(dict(before=fitted.predict(X_test), after=back.predict(X_test))).to_csv(folder / "proof.csv")
        """,
        """
        joblib.dump(fitted, str(folder / "model.joblib"), compress=("bz2", 3))
        back = joblib.load(folder / "model.joblib")
        pd.DataFrame(dict(before=fitted.predict(X_test), after=back.predict(X_test))).to_csv(folder / "proof.csv")
        """,
        """
        joblib.dump(fitted, str(folder / "model.joblib"), compress=("lzma", 3))
        back = joblib.load(folder / "model.joblib")
        pd.DataFrame(dict(before=fitted.predict(X_test), after=back.predict(X_test))).to_csv(folder / "proof.csv")
        """,
    ],
    4: [
        # by hand, fold after fold
        """
        from sklearn.metrics import roc_auc_score

        lines = []
        for n, (train, judge) in enumerate(gene_folds.split(genes, ill), 1):
            best = SelectKBest(k=20).fit(genes[train], ill[train])
            scaler = StandardScaler().fit(best.transform(genes[train]))
            line = LogisticRegression().fit(scaler.transform(best.transform(genes[train])), ill[train])
            p = line.predict_proba(scaler.transform(best.transform(genes[judge])))[:, 1]
            lines.append((n, roc_auc_score(ill[judge], p)))
        pd.DataFrame(lines, columns=["fold", "auc"])[::-1].to_csv(folder / "honest.csv")
        """,
        # named steps, cross_validate, after Jonas's own cell
        """
        from sklearn.model_selection import cross_validate
        from sklearn.pipeline import Pipeline

        chosen = SelectKBest(k=20).fit_transform(genes, ill)
        old = cross_val_score(LogisticRegression(), chosen, ill, cv=gene_folds, scoring="roc_auc")
        pd.DataFrame({"fold": [1, 2, 3, 4, 5], "auc": old}).to_csv(folder / "honest.csv")
        steps = [("choose", SelectKBest(k=20)), ("scale", StandardScaler()), ("line", LogisticRegression())]
        found = cross_validate(Pipeline(steps), genes, ill, cv=gene_folds, scoring="roc_auc")["test_score"]
        pd.Series(found, index=range(1, 6), name="auc").rename_axis("fold").to_csv(folder / "honest.csv")
        """,
        # scaled first: the choice is the same on any scale
        """
        m = make_pipeline(StandardScaler(), SelectKBest(k=20), LogisticRegression())
        auc = cross_val_score(m, pd.DataFrame(genes), pd.Series(ill), cv=gene_folds, scoring="roc_auc")
        pd.DataFrame({"auc": auc, "fold": np.arange(5) + 1}).to_csv(folder / "honest.csv", index=False)
        """,
    ],
    5: [
        """
        from sklearn.compose import make_column_selector

        encoders = [(OrdinalEncoder(), ["contract"]), (OneHotEncoder(), ["payment", "internet"])]
        numbers = (SimpleImputer(strategy="median"), make_column_selector(dtype_include="number"))
        p = make_pipeline(make_column_transformer(*encoders, numbers), forest)
        blob = skops.io.dumps(p.fit(customers, left))
        (folder / "forest.skops").write_bytes(blob)
        with open(folder / "untrusted.json", "w") as file:
            json.dump(sorted(skops.io.get_untrusted_types(data=blob)), file, indent=2)
        """,
        """
        from sklearn.compose import ColumnTransformer
        from sklearn.pipeline import Pipeline

        words = [("o", OrdinalEncoder(), ["contract"]), ("h", OneHotEncoder(), ["internet", "payment"])]
        gaps = make_pipeline(SimpleImputer(), StandardScaler())
        p = Pipeline([("prepare", ColumnTransformer(words, remainder=gaps)), ("forest", forest)])
        p.fit(customers, left)
        skops.io.dump(p, str(folder / "forest.skops"))
        types = skops.io.get_untrusted_types(file=str(folder / "forest.skops"))
        pd.Series(types).to_json(folder / "untrusted.json", orient="values")
        """,
    ],
}

_JONAS = ("SelectKBest(k=20), ", "", "StandardScaler(), ", "", "(model, genes")
_JONAS += ("(model, StandardScaler().fit_transform(SelectKBest(k=20).fit_transform(genes, ill))",)
_WRITE = 'coefficients.to_csv(folder / "coefficients.csv", index=False)'
_PIPE = "StandardScaler(), PolynomialFeatures(2, include_bias=False), LinearRegression()"

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
                _PIPE, "PolynomialFeatures(2, include_bias=False), StandardScaler(), LinearRegression()"
            ),
        ),
        ("fitted-on-test", swap("fit(X_train, y_train)", "fit(X_test, y_test)")),
        ("brake-added", swap("LinearRegression()", "__import__('sklearn.linear_model').linear_model.Ridge()")),
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
        ("score-not-error", swap(", scoring=scoring", "", "-scores.mean()", "scores.mean()")),
        ("sign", swap("-scores.mean()", "scores.mean()")),
        ("rounded", swap("-scores.mean()", "round(-scores.mean(), 1)")),
        (
            "train-not-test",
            swap(
                "cross_val_score(model,",
                "__import__('sklearn.model_selection').model_selection.cross_validate(model,",
                "scoring=scoring)",
                'scoring=scoring, return_train_score=True)["train_score"]',
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
            swap("-scores.mean()", "((y_test - model.fit(X_gaps, y_train).predict(X_test)) ** 2).mean() ** 0.5"),
        ),
        ("value-wrong", swap("-scores.mean()", "54.0")),
    ],
    3: [
        ("not-started", ""),
        ("other-format", swap("joblib.dump(fitted,", "skops.io.dump(fitted,")),
        ("model-not-in-file", '(folder / "model.joblib").write_text("here is my model")'),
        ("model-not-in-file", '(folder / "model.joblib").write_bytes(b"\\x78\\x9cbroken")'),
        ("steps-not-saved", swap("joblib.dump(fitted,", "joblib.dump(fitted[-1],")),
        ("steps-not-saved", swap("joblib.dump(fitted,", "joblib.dump(fitted[:-1],")),
        (
            "saved-unfitted",
            swap(
                "joblib.dump(fitted,",
                "joblib.dump(make_pipeline(StandardScaler(), PolynomialFeatures(2), LinearRegression()),",
                "reloaded.predict",
                "fitted.predict",
            ),
        ),
        ("no-proof", swap('proof.to_csv(folder / "proof.csv", index=False)', "pass")),
        ("column-missing", swap('"after"', '"reloaded"')),
        ("train-not-test", swap("X_test", "X_train")),
        ("rounded", swap("proof.to_csv(", "proof.round(2).to_csv(")),
        ("other-predictions", swap("X_test", "X_test[::-1]")),
        (
            "other-predictions",
            swap(
                "joblib.dump(fitted,",
                "fitted = make_pipeline(StandardScaler(), PolynomialFeatures(2), LinearRegression()).fit(X, y)\njoblib.dump(fitted,",
            ),
        ),
        ("not-equal", swap("reloaded.predict(X_test)", "reloaded.predict(X_test).round(2)")),
    ],
    4: [
        ("not-started", ""),
        ("file-name", swap("honest.csv", "Honest.csv")),
        ("column-missing", swap('"auc": scores', '"score": scores')),
        ("fold-numbers", swap("range(1, 6)", "range(5)")),
        ("fold-numbers", swap("range(1, 6)", "[1]", '"auc": scores', '"auc": [scores.mean()]')),
        ("fold-order", swap('"auc": scores', '"auc": np.sort(scores)[::-1]')),
        ("leaked-rows", swap(*_JONAS)),
        ("leaked-rows", swap("SelectKBest(k=20), ", "", "(model, genes", "(model, SelectKBest(k=20).fit_transform(genes, ill)")),
        ("scaler-outside", swap("StandardScaler(), ", "", "(model, genes", "(model, StandardScaler().fit_transform(genes)")),
        ("not-scaled", swap("StandardScaler(), ", "")),
        ("no-choice", swap("SelectKBest(k=20), ", "")),
        ("setting-forgotten", swap("SelectKBest(k=20)", "SelectKBest()")),
        ("other-folds", swap("cv=gene_folds", "cv=5")),
        ("accuracy-not-auc", swap('scoring="roc_auc"', 'scoring="accuracy"')),
        (
            "train-not-test",
            swap(
                "cross_val_score(model,",
                "__import__('sklearn.model_selection').model_selection.cross_validate(model,",
                '"roc_auc")',
                '"roc_auc", return_train_score=True)["train_score"]',
            ),
        ),
        ("mean-not-folds", swap('"auc": scores', '"auc": scores.mean()')),
        ("value-wrong", swap("k=20", "k=200")),
    ],
    5: [
        ("not-started", ""),
        ("other-format", swap("skops.io.dump(", "joblib.dump(")),
        (
            "file-broken",
            'import zipfile\nwith zipfile.ZipFile(folder / "forest.skops", "w") as z:\n    z.writestr("a", "b")',
        ),
        (
            "file-broken",
            'import zipfile\nwith zipfile.ZipFile(folder / "forest.skops", "w") as z:\n    z.writestr("schema.json", "{}")',
        ),
        ("file-broken", swap("json.dumps(untrusted)", "str(untrusted)")),
        ("steps-not-saved", swap("dump(whole,", "dump(whole[-1],")),
        ("steps-not-saved", swap('OneHotEncoder(handle_unknown="ignore")', "OrdinalEncoder()")),
        ("saved-unfitted", swap(".fit(customers, left)", "")),
        ("list-missing", swap('(folder / "untrusted.json").write_text(json.dumps(untrusted))', "pass")),
        ("wrong-types", swap("json.dumps(untrusted)", "json.dumps([])")),
        ("wrong-types", swap("json.dumps(untrusted)", 'json.dumps({"types": untrusted})')),
    ],
}

#: Mutants that are right answers, with the reason. The key is the start of the description.
_INDEX = "an extra column with row numbers does not disturb"
_ONES = "the column of ones has the coefficient 0 and is left out"
EQUIVALENT = {
    1: {
        "line 2: False → True": _ONES,
        "line 2: dropped include_bias=": _ONES,
        "line 7: False → True": _INDEX,
        "line 7: dropped index=": _INDEX,
    },
    2: {"line 9: False → True": _INDEX, "line 9: dropped index=": _INDEX},
    3: {"line 4: False → True": _INDEX, "line 4: dropped index=": _INDEX},
    4: {"line 4: False → True": _INDEX, "line 4: dropped index=": _INDEX},
    5: {
        "line 3: dropped categories=": "the alphabet happens to have the order of the contracts",
        "line 4: dropped handle_unknown=": "the task asks nothing about new words",
    },
}

SWAPS = {"X_gaps": "X_train", "folds": "seed", "fitted": "X_test", "gene_folds": "folds"}

# Found by people who attacked the checks.

#: Wrong answers that pass, because a store holds no trace of the mistake: (what cannot be seen, answer).
UNSEEN = {
    2: [
        (
            "a scaler outside the folds changes no error of a full polynomial with a constant",
            '''
scaled = StandardScaler().fit_transform(X_gaps)
rows = []
for degree in (1, 2, 3):
    model = make_pipeline(SimpleImputer(), PolynomialFeatures(degree), LinearRegression())
    scores = cross_val_score(model, scaled, y_train, cv=folds, scoring="neg_root_mean_squared_error")
    rows.append({"degree": degree, "cv_rmse": -scores.mean()})
pd.DataFrame(rows).to_csv(folder / "degrees.csv", index=False)
''',
        ),
    ],
    3: [
        (
            "the file is there and the column `after` is a copy of `before`: nobody loaded the model",
            '''
joblib.dump(fitted, folder / "model.joblib")
p = fitted.predict(X_test)
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

#: Where the second seed's data cannot tell: there, scaled or not, the genes order the rows of each fold alike.
AT_SECOND_SEED = {(4, "scaler-outside"): "ok", (4, "not-scaled"): "ok"}
