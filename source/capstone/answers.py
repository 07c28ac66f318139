"""Right and wrong answers to the homework `capstone`: the project solved with each of the three data sets, and with a file.

The tumours are our solution in `homework.py`; the wines and the digits stand here. The patients are the project of a reader
who had read the lectures and nothing else. Its baseline is what a practice does today, and its gate refused the model: at
that time the homework had no way on from there.
"""

import textwrap

from tests.submissions.tools import append, swap

_ROWS = "X_train, X_valid, X_test, y_train, y_valid, y_test = rows_of"

#: A file of one's own: the patients of `load_diabetes`, class 1 is whoever got clearly worse within a year.
_PATIENTS = """
        from sklearn.datasets import load_diabetes
        table = load_diabetes(as_frame=True, scaled=False).frame
        table.assign(target=(table["target"] >= 200).astype(int)).to_csv("my_data.csv", index=False)
        X_train, X_valid, X_test, y_train, y_valid, y_test = rows_of("file")
        valid = mlflow.data.from_pandas(X_valid.assign(target=y_valid), targets="target", name="patients-valid")
        def fit(settings):
            from sklearn.ensemble import RandomForestClassifier
            settings = {name: int(value) for name, value in settings.items() if name.startswith(("n_", "max_", "min_"))}
            return CalibratedClassifierCV(RandomForestClassifier(random_state=0, **settings), method="isotonic").fit(X_train, y_train)
"""
#: … and the model that the gate refuses: its lead over the order by body mass index may be chance.
_REFUSED = (
    _PATIENTS
    + """
        mlflow.set_experiment("hw-capstone-project")
        settings = {"n_estimators": 20, "max_depth": 8, "min_samples_leaf": 1}
        calibrated = fit(settings)
        p, truth, today = calibrated.predict_proba(X_valid)[:, 1], y_valid.to_numpy(), X_valid["bmi"].to_numpy()
        def cost(t):
            return 5 * ((p < t) & (truth == 1)).sum() + ((p >= t) & (truth == 0)).sum()
        threshold = float(min(np.linspace(0.05, 0.9, 86).round(2), key=cost))
        deciding = FixedThresholdClassifier(calibrated, threshold=threshold).fit(X_train, y_train)
        test = mlflow.data.from_pandas(X_test.assign(target=y_test), targets="target", name="patients-test")
        with mlflow.start_run(run_name="final") as final:
            mlflow.log_params(settings | {"calibration": "isotonic", "threshold": threshold})
            info = store.log_model(deciding, "patients", X_train)
            scores = {"test_auc": score(deciding, X_test, y_test), "test_f1": f1_score(y_test, deciding.predict(X_test))}
            mlflow.log_metrics(scores, model_id=info.model_id, dataset=test)
            store.log_model(calibrated, "without_threshold", X_train)
        rng, leads = np.random.default_rng(0), []
        for _ in range(300):
            i = rng.integers(0, len(truth), len(truth))
            leads.append(roc_auc_score(truth[i], p[i]) - roc_auc_score(truth[i], today[i]))
        low = np.quantile(leads, 0.025)
        assert low < 0
        v = mlflow.register_model(info.model_uri, "hw-capstone-model")
        for key, value in {"gate": "passed" if low > 0 else "refused", "gate_low": f"{low:.3f}", "signed_by": "reader"}.items():
            client.set_model_version_tag("hw-capstone-model", v.version, key, value)
"""
)
#: What the given cell of task 4 makes, for task 3 after *Run All*.
_STAND_IN = """
mlflow.set_experiment("hw-capstone-stand-in")
with mlflow.start_run(run_name="stand-in"):
    made = store.log_model(train(1.0), "model", X_train)
made = mlflow.register_model(made.model_uri, "hw-capstone-model").version
client.set_registered_model_alias("hw-capstone-model", "champion", made)
mlflow.set_experiment("hw-capstone-project")
"""
#: Task 4 about the version of `_REFUSED`.
_ON_TRIAL = textwrap.dedent(_REFUSED) + textwrap.dedent('''
        record = client.get_run(v.run_id).data
        with mlflow.start_run(run_name="served"):
            given = ask(f"models:/hw-capstone-model/{v.version}", X_test.head(4))
            mlflow.log_dict({"version": v.version, "predictions": given["predictions"]}, "answer.json")
        with mlflow.start_run(run_name="window"):
            mlflow.log_param("limit", 0.25)
            drifts = []
            for step in (1, 2, 3):
                arrived = X_test["bmi"].sample(60, random_state=step) + (4 if step == 3 else 0)
                drifts.append(psi(X_train["bmi"], arrived, bins=5))
                mlflow.log_metric("drift", drifts[-1], step=step)
            mlflow.set_tag("alert", "yes" if max(drifts) > 0.25 else "no")
        with mlflow.start_run(run_name="again"):
            mlflow.set_tag("reproduces", v.run_id)
            mlflow.log_metric("test_auc", score(fit(record.params), X_test, y_test))
        text = f"""# Who sees the specialist first?

        ## Question
        Which patients should see the specialist within a month? The practice has one specialist and sends patients in the
        order of their body mass index. A patient whom we miss gets worse for a year; a visit too many costs one of them an
        hour. So we count a missed patient five times.

        ## Data
        {len(X_train) + len(X_valid) + len(X_test)} patients of one clinic. Ten measurements each, all numbers.

        ## Result
        The gate refused version {v.version}: its lead over the order by body mass index may be chance. On patients it had
        never seen it reaches ROC-AUC {record.metrics["test_auc"]:.3f} and F1 {record.metrics["test_f1"]:.3f} at the threshold
        {record.params["threshold"]}. The practice goes on as before.

        ## Limits
        The validation patients are few: the choice among six forests is a tie. Nobody has tried whether an early visit
        helps, and the patients are from one clinic, decades ago. The three windows were drawn from the test patients.
        """
        with mlflow.start_run(run_name="report"):
            mlflow.log_text("\\n".join(line.strip() for line in text.splitlines()), "report.md")
        ''')

RIGHT = {
    1: [
        # the wines, with the client and a rule of one column as baseline
        f"""
        {_ROWS}("wine")
        mlflow.set_experiment("hw-capstone-project")
        seen = mlflow.data.from_pandas(X_valid.assign(t=y_valid), name="wines")
        run = mlflow.start_run(run_name="exploration")
        mlflow.set_tags({{"question": "Does this bottle come from the third vineyard?", "owner": "me"}})
        mlflow.log_params({{"n_rows": 178, "columns": X_train.shape[1]}})
        mlflow.log_metrics({{"positive_share": 48 / 178}})
        mlflow.log_input(seen)
        mlflow.log_dict(X_train.describe().to_dict(), "describe.json")
        mlflow.end_run()
        with mlflow.start_run(run_name="baseline") as made:
            mlflow.log_input(seen, context="validation")
            client.log_param(made.info.run_id, "model", "color_intensity alone")
            client.log_metric(made.info.run_id, "valid_auc", roc_auc_score(y_valid, X_valid["color_intensity"]))
        """,
        # the digits, a failed first try
        f"""
        {_ROWS}("digits")
        mlflow.set_experiment("hw-capstone-project")
        try:
            with mlflow.start_run(run_name="exploration"):
                raise ValueError("first try")
        except ValueError:
            pass
        rows = mlflow.data.from_numpy(X_valid.to_numpy(), targets=y_valid.to_numpy(), name="digits")
        with mlflow.start_run(run_name="exploration", description="eights"):
            mlflow.log_input(rows, context="validation")
            mlflow.set_tag("question", "Is it an eight that the machine cannot read?")
            mlflow.log_param("n_rows", float(1797))
            mlflow.log_metric("positive_share", 0.0968)
            mlflow.log_table({{"mean": X_train.mean().tolist()}}, "means.json")
        with mlflow.start_run(run_name="baseline"):
            mlflow.log_params({{"model": "one pixel", "n_rows": 1797}})
            mlflow.log_input(rows, context="validation")
            mlflow.log_metric("valid_auc", roc_auc_score(y_valid, X_valid.iloc[:, 20]))
        """,
        # the patients: the baseline is the order in which the practice sees them today
        f"""
        {_PATIENTS}
        mlflow.set_experiment("hw-capstone-project")
        full = pd.read_csv("my_data.csv")
        with mlflow.start_run(run_name="exploration"):
            mlflow.set_tag("question", "Which patients should see the specialist within a month?")
            mlflow.log_param("n_rows", len(full))
            mlflow.log_metric("positive_share", full["target"].mean())
            mlflow.log_input(mlflow.data.from_pandas(full, targets="target", name="patients"), context="exploration")
            full.groupby("target").mean().to_csv("means.csv")
            mlflow.log_artifact("means.csv")
        with mlflow.start_run(run_name="baseline"):
            mlflow.log_param("model", "the higher the body mass index, the sooner")
            mlflow.log_input(valid, context="validation")
            mlflow.log_metric("valid_auc", roc_auc_score(y_valid, X_valid["bmi"]))
        """,
    ],
    2: [
        # the wines: forests, children made by the client
        f"""
        {_ROWS}("wine")
        from sklearn.ensemble import RandomForestClassifier
        seen = mlflow.data.from_pandas(X_valid.assign(t=y_valid), name="wines")
        with mlflow.start_run(run_name="search") as parent:
            for depth in (1, 2, 3):
                for trees in (5, 10):
                    settings = {{"max_depth": depth, "n_estimators": trees, "random_state": 0}}
                    with mlflow.start_run(nested=True):
                        mlflow.log_params(settings)
                        mlflow.log_input(seen, context="validation")
                        mlflow.log_metric("valid_auc", score(RandomForestClassifier(**settings).fit(X_train, y_train), X_valid, y_valid))
        found = mlflow.search_runs(filter_string=f"tags.mlflow.parentRunId = '{{parent.info.run_id}}'", order_by=["metrics.valid_auc DESC"])
        client.log_param(parent.info.run_id, "n_trials", len(found))
        client.log_metric(parent.info.run_id, "best_valid_auc", found["metrics.valid_auc"][0])
        client.set_tag(found["run_id"][0], "winner", "yes")
        """,
        # the digits: one attempt fails and does not count
        f"""
        {_ROWS}("digits")
        seen = mlflow.data.from_pandas(X_valid.assign(t=y_valid), name="digits")
        best = (-1, None)
        with mlflow.start_run(run_name="search"):
            mlflow.log_param("n_trials", 6)
            for depth in (1, 2, 3, "deep", 4, 6, 8):
                try:
                    with mlflow.start_run(run_name=f"tree {{depth}}", nested=True) as child:
                        from sklearn.tree import DecisionTreeClassifier
                        mlflow.log_param("max_depth", depth)
                        mlflow.log_input(seen, context="validation")
                        tree = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(X_train, y_train)
                        mlflow.log_metric("valid_auc", score(tree, X_valid, y_valid))
                        best = max(best, (score(tree, X_valid, y_valid), child.info.run_id))
                except ValueError:
                    continue
            mlflow.log_metric("best_valid_auc", best[0])
        client.set_tag(best[1], "winner", "yes")
        """,
        # the patients: the parent's numbers are read from its children when it has ended
        f"""
        {_PATIENTS}
        with mlflow.start_run(run_name="search") as parent:
            for depth in (2, 4, 8):
                for leaf in (1, 10):
                    settings = {{"n_estimators": 20, "max_depth": depth, "min_samples_leaf": leaf}}
                    with mlflow.start_run(run_name=f"depth-{{depth}}-leaf-{{leaf}}", nested=True):
                        mlflow.log_params(settings)
                        mlflow.log_input(valid, context="validation")
                        mlflow.log_metric("valid_auc", score(fit(settings), X_valid, y_valid))
        kids = mlflow.search_runs(
            experiment_names=["hw-capstone-project"],
            filter_string=f"tags.`mlflow.parentRunId` = '{{parent.info.run_id}}'",
            order_by=["metrics.valid_auc DESC"],
        )
        client.log_param(parent.info.run_id, "n_trials", len(kids))
        client.log_metric(parent.info.run_id, "best_valid_auc", kids["metrics.valid_auc"].max())
        client.set_tag(kids["run_id"].iloc[0], "winner", "yes")
        """,
    ],
    3: [
        # the wines, with the threshold that scikit-learn tunes
        f"""
        {_ROWS}("wine")
        from sklearn.model_selection import TunedThresholdClassifierCV
        tuned = TunedThresholdClassifierCV(LogisticRegression(max_iter=5000), scoring="f1", cv=3).fit(X_train, y_train)
        rows = mlflow.data.from_pandas(X_test.assign(t=y_test), targets="t", name="wines")
        with mlflow.start_run(run_name="final"):
            mlflow.log_params({{"threshold": tuned.best_threshold_, "calibration": "none"}})
            info = store.log_model(tuned, "tuned", X_train)
            found = {{"test_auc": score(tuned, X_test, y_test), "test_f1": f1_score(y_test, tuned.predict(X_test))}}
            mlflow.log_metrics(found, model_id=info.model_id, dataset=rows)
        made = mlflow.register_model(info.model_uri, "hw-capstone-model", tags={{"gate": "passed", "gate_low": "0.41", "signed_by": "Ada"}})
        client.set_registered_model_alias("hw-capstone-model", "champion", made.version)
        """,
        # the digits, registered while it is logged
        f"""
        {_ROWS}("digits")
        fixed = FixedThresholdClassifier(train(1.0).estimator, threshold=0.2).fit(X_train, y_train)
        rows = mlflow.data.from_pandas(X_test.assign(t=y_test), targets="t", name="digits")
        with mlflow.start_run(run_name="final"):
            mlflow.log_params({{"threshold": 0.2, "calibration": "none"}})
            info = store.log_model(fixed, "fixed", X_train, registered_model_name="hw-capstone-model")
            for key, value in (("test_auc", score(fixed, X_test, y_test)), ("test_f1", f1_score(y_test, fixed.predict(X_test)))):
                mlflow.log_metric(key, value, model_id=info.model_id, dataset=rows)
        for key, value in (("gate", "passed"), ("gate_low", 0.31), ("signed_by", "Ada")):
            client.set_model_version_tag("hw-capstone-model", info.registered_model_version, key, value)
        client.set_registered_model_alias("hw-capstone-model", "champion", info.registered_model_version)
        """,
        # the patients: the gate says no, and that is the result
        _REFUSED,
        # … although somebody's plain model is the champion already
        'client.set_registered_model_alias("hw-capstone-model", "champion", mlflow.register_model(store.log_model('
        'train(1.0), "plain", X_train).model_uri, "hw-capstone-model").version)\n' + textwrap.dedent(_REFUSED),
        # the threshold in the last step of a pipeline
        """
        steps = make_pipeline(StandardScaler(), FixedThresholdClassifier(LogisticRegression(), threshold=0.3))
        steps.fit(X_train, y_train)
        rows = mlflow.data.from_pandas(X_test.assign(t=y_test), targets="t", name="tumours")
        with mlflow.start_run(run_name="final") as run:
            mlflow.log_params({"threshold": 0.3, "calibration": "none"})
            info = store.log_model(steps, "steps", X_train)
            on = {"model_id": info.model_id, "dataset": rows}
            mlflow.log_metric("test_auc", score(steps, X_test, y_test), **on)
            mlflow.log_metric("test_f1", f1_score(y_test, steps.predict(X_test)), **on)
        v = mlflow.register_model(f"runs:/{run.info.run_id}/steps", "hw-capstone-model").version
        for key, value in {"gate": "passed", "gate_low": "0.4", "signed_by": "Ada"}.items():
            client.set_model_version_tag("hw-capstone-model", v, key, value)
        client.set_registered_model_alias("hw-capstone-model", "champion", v)
        """,
    ],
    4: [
        # other columns and words; the champion loaded instead of served
        """
        v = client.get_model_version_by_alias("hw-capstone-model", "champion")
        r = client.get_run(v.run_id)
        with mlflow.start_run(run_name="served"):
            given = mlflow.pyfunc.load_model("models:/hw-capstone-model@champion").predict(X_test.tail(3))
            mlflow.log_dict({"version": int(v.version), "predictions": [int(g) for g in given]}, "answer.json")
        with mlflow.start_run(run_name="window"):
            mlflow.log_param("limit", 0.0001)
            for week in range(4):
                mlflow.log_metric("drift", psi(X_train.iloc[:, 0], X_valid.iloc[:, 0] + week), step=week)
            mlflow.set_tag("alert", "yes")
        with mlflow.start_run(run_name="again", tags={"reproduces": v.run_id}):
            mlflow.log_metric("test_auc", score(train(1.0), X_test, y_test))
        m = r.data.metrics
        page = f"# QUESTION\\nWhat?\\n# DATA\\nRows.\\n# RESULT\\n{m['test_auc']:.3f} and {m['test_f1']:.3f}, version: {v.version}\\n# LIMITS\\n" + "many words " * 70
        with mlflow.start_run(run_name="report"):
            mlflow.log_text(page, "report.md")
        """,
        # a first window that was wrong, then all of it
        """
        with mlflow.start_run(run_name="window"):
            mlflow.log_metric("drift", 1.0)
        v = client.get_model_version_by_alias("hw-capstone-model", "champion")
        r = client.get_run(v.run_id).data
        with mlflow.start_run(run_name="window"):
            mlflow.log_param("limit", 0.5)
            for i in (1, 2, 3):
                mlflow.log_metric("drift", 0.1 * i, step=i)
            mlflow.set_tag("alert", "no")
        with mlflow.start_run(run_name="served"):
            mlflow.log_dict(ask("models:/hw-capstone-model@champion", X_valid.head()) | {"version": v.version}, "answer.json")
        with mlflow.start_run(run_name="again"):
            mlflow.log_metric("test_auc", score(train(float(r.params["C"])), X_test, y_test))
            mlflow.set_tag("reproduces", v.run_id)
        with mlflow.start_run(run_name="report"):
            mlflow.log_text("## Question\\n## Data\\n## Result of the year\\n## Limits and ends\\n" + "word " * 130
                            + "test AUC %.3f, F1 %.3f (Version %s)" % (r.metrics["test_auc"], r.metrics["test_f1"], v.version), "report.md")
        """,
        # the patients: no champion, so all of it is about the version that the gate refused
        'client.delete_registered_model("hw-capstone-model")\n' + _ON_TRIAL,
        # … and so it is beside the stand-in, which was there first
        _ON_TRIAL,
    ],
    5: [
        f"""
        {_ROWS}("digits")
        model = train(0.1)
        dark = X_test.sum(axis=1) > X_test.sum(axis=1).median()
        lines = [f"{{n}},{{k.sum()}},{{score(model, X_test[k], y_test[k])}}" for n, k in (("dark", dark), ("light", ~dark))]
        with mlflow.start_run(run_name="slices"):
            mlflow.log_text("slice,n,auc\\n" + "\\n".join(lines), "slices.csv")
        """,
        f"""
        {_ROWS}("wine")
        model, table = train(1.0), []
        for name, part in (("pale", X_test[X_test.hue > 0.95]), ("deep", X_test[X_test.hue <= 0.95])):
            table.append((name, len(part), score(model, part, y_test[part.index]) if y_test[part.index].nunique() > 1 else 1.0))
        with mlflow.start_run(run_name="slices"):
            pd.DataFrame(table, columns=["slice", "n", "auc"]).to_csv("slices.csv")
            mlflow.log_artifact("slices.csv")
        """,
        f"""
        {_PATIENTS}
        p, out = fit({{"n_estimators": 20}}).predict_proba(X_test)[:, 1], []
        for sex in (1.0, 2.0):
            inside = (X_test["sex"] == sex).to_numpy()
            out.append({{"slice": f"sex {{sex:.0f}}", "n": inside.sum(), "auc": roc_auc_score(y_test[inside], p[inside])}})
        pd.DataFrame(out).to_csv("slices.csv", index=False)
        with mlflow.start_run(run_name="slices"):
            mlflow.log_artifact("slices.csv")
        """,
    ],
}

_QUESTION = "Which of these must somebody look at first?"
_PSI = "psi(X_train[column], X_test[column].iloc[part], bins=4)"

_ALIAS = 'client.set_registered_model_alias("hw-capstone-model", "champion", version)'
_TAG = 'client.set_model_version_tag("hw-capstone-model", version, key, value)'

WRONG = {
    1: [
        ("not-started", ""),
        ("experiment-name", swap("hw-capstone-project", "hw-capstone-projekt")),
        ("part-missing", swap('run_name="baseline"', 'run_name="zero"', 'log_metric("valid_auc"', 'log_metric("first"')),
        ("tag-missing", swap('mlflow.set_tag("question", "Which of these must somebody look at first?")', "pass")),
        ("question-short", swap(_QUESTION, "Tumours.")),
        ("param-missing", swap('mlflow.log_param("n_rows", len(everything))', "pass")),
        ("rows-few", swap("len(everything)", "len(everything) // 50")),
        ("share-not-unit", swap("everything.mean()", "everything.sum()")),
        ("one-class", swap("everything.mean()", "(everything >= 0).mean()")),
        ("dataset-missing", swap('mlflow.log_input(asked, context="exploration")', "pass")),
        ("artifact-missing", swap('mlflow.log_text(X_train.groupby(y_train).mean().T.to_csv(), "means.csv")', "pass")),
        ("rows-unnamed", swap('context="validation"', 'context="training"')),
        ("metric-as-param", swap('log_metric("valid_auc"', 'log_param("valid_auc"')),
        ("run-failed", append("    raise ValueError('late')")),
    ],
    2: [
        ("not-started", "pass"),
        (  # the lecture's run of the same name
            "not-started",
            'mlflow.set_experiment("churn-project")\nwith mlflow.start_run(run_name="search"):\n    pass',
        ),
        ("children-few", swap("np.logspace(-4, 1, 6)", "np.logspace(-4, 1, 3)")),
        ("children-alike", swap('mlflow.log_param("C", C)', 'mlflow.log_param("C", 1)')),
        ("rows-unnamed", swap('mlflow.log_input(seen, context="validation")', "pass")),
        (
            "other-rows",
            swap(
                'mlflow.log_input(seen, context="validation")',
                'mlflow.log_input(mlflow.data.from_pandas(table.head(20 + len(tried)), name="v"), context="validation")',
            ),
        ),
        ("budget-differs", swap("len(tried))", "50)")),
        ("best-not-best", swap("max(tried)[0]", "min(tried)[0]")),
        ("winner-count", swap('client.set_tag(max(tried)[1], "winner", "yes")', "pass")),
        ("winner-wrong", swap("client.set_tag(max(tried)[1]", "client.set_tag(min(tried)[1]")),
        ("param-missing", swap('mlflow.log_param("n_trials", len(tried))', "pass")),
    ],
    3: [
        ("not-started", "pass"),
        ("not-started", _STAND_IN),
        ("alias-missing", swap("calibrated = train", f"{_STAND_IN}calibrated = train", _ALIAS, "pass")),
        ("gate-missing", swap("calibrated = train", f"{_STAND_IN}calibrated = train", _TAG, "pass", _ALIAS, "pass")),
        ("alias-missing", swap(_ALIAS, "pass")),
        ("alias-case", swap('"champion"', '"Champion"')),
        ("registered-name", swap("hw-capstone-model", "hw-capstone-modell")),
        ("other-run", swap('run_name="final"', 'run_name="last"')),
        ("threshold-outside", swap("store.log_model(deciding", "store.log_model(calibrated")),
        ("threshold-differs", swap('"threshold": threshold}', '"threshold": 0.777}')),
        ("threshold-differs", swap("threshold=threshold)", "threshold=np.float64(0.31))", '"threshold": threshold}', '"threshold": 0.777}')),
        ("calls-nobody", swap("threshold = float(", "threshold = 0.9999999 + 0 * float(")),
        ("threshold-differs", swap("(calibrated, threshold=threshold)", "(calibrated)")),
        (
            "pickle-format",
            swap(
                'store.log_model(deciding, "model", X_train)',
                'mlflow.sklearn.log_model(deciding, name="model", serialization_format="cloudpickle", pip_requirements=["scikit-learn"])',
            ),
        ),
        ("model-files", append('for file in (store.home() / "mlartifacts").rglob("model.skops"):\n    file.unlink()')),
        ("threshold-value", swap('"threshold": threshold}', '"threshold": 100 * threshold}')),
        ("param-missing", swap(', "calibration": "sigmoid"', "")),
        ("metric-without-dataset", swap(', "dataset": judged}', "}")),
        ("gate-missing", swap(', "signed_by": "me"', "")),
        ("gate-not-passed", swap('"gate_low": low', '"gate_low": -low')),
        ("gate-not-passed", swap('"passed" if low > 0 else "refused"', '"refused"')),
        (
            "gate-ignored",
            swap('"passed" if low > 0 else "refused"', '"refused"', '"gate_low": low', '"gate_low": -low'),
        ),
        (  # the one that is registered counts, not the one that was logged last
            "threshold-outside",
            swap(
                'store.log_model(deciding, "model", X_train)',
                'store.log_model(calibrated, "model", X_train)',
                'mlflow.log_metric("test_f1"',
                'store.log_model(deciding, "deciding", X_train)\n    mlflow.log_metric("test_f1"',
            ),
        ),
        ("gate-number", swap('"gate_low": low', '"gate_low": "high"')),
    ],
    4: [
        ("not-started", "pass"),
        ("part-missing", 'with mlflow.start_run(run_name="served"):\n    v = client.get_model_version_by_alias("hw-capstone-model", "champion").version\n    mlflow.log_dict({"version": v, "predictions": [0, 1, 1]}, "answer.json")'),
        ("version-differs", swap('{"version": champion.version}', '{"version": 77}')),
        (  # about the stand-in, although there is a version of one's own
            "version-differs",
            append(textwrap.dedent(_REFUSED)),
        ),
        ("answer-shape", swap("X_test.head(5)", "X_test.head(2)")),
        ("answer-shape", swap('answer | {"version": champion.version}', '{"answer": answer}')),
        ("steps-few", swap(", step=step", "")),
        ("drift-value", swap(_PSI, f"-1 - {_PSI}")),
        ("alert-wrong", swap('"yes" if max(drifts) > limit else "no"', '"no" if max(drifts) > limit else "yes"')),
        ("reproduces-wrong", swap('"reproduces", champion.run_id', '"reproduces", "final"')),
        ("not-reproduced", swap('float(record.params["C"])', "0.00001")),
        ("report-short", swap("REPORT.format(", "REPORT[:300].format(")),
        ("report-part", swap("## Limits", "## Remarks")),
        ("report-number", swap("{auc:.3f}", "0.5")),
        ("report-version", swap("is version {version}", "is the newest one")),
        ("artifact-missing", swap('mlflow.log_text(text, "report.md")', "print(text)")),
    ],
    5: [
        ("not-started", "pass"),
        ("artifact-name", swap('"slices.csv"', '"slice.csv"')),
        ("column-missing", swap('"auc": auc', '"score": auc')),
        ("slices-few", swap("pd.DataFrame(found)", "pd.DataFrame(found[:1])")),
        ("slice-small", swap('"n": inside.sum()', '"n": 3')),
        ("share-not-unit", swap('"auc": auc', '"auc": 100 * auc')),
    ],
}

#: Mutants that are right answers, with the reason. The key is the start of the description.
_DATA = "name and target of the data set are the learner's"
_OWN = "the learner's own choice"
_TEST = "which rows the learner kept for the test is known to nobody else"
_WINDOWS = "which rows the windows hold is known to nobody else"
EQUIVALENT = {
    1: {
        "line 3: dropped targets=": _DATA,
        "line 3: dropped name=": _DATA,
        "line 3: 'validation rows' →": _DATA,
        "line 5: X_train →": _DATA,
        "line 5: X_test →": _DATA,
        "line 6: dropped targets=": _DATA,
        "line 6: dropped name=": _DATA,
        "line 6: 'all rows' →": _DATA,
        "line 9: 'Which of these": "another question",
        "line 12: dropped context=": "any data set will do for the exploration",
        "line 12: 'exploration' →": "any data set will do for the exploration",
        "line 13: X_train →": "what was looked at is the learner's choice",
        "line 13: y_train →": "what was looked at is the learner's choice",
        "line 13: 'means.csv' →": "another name of the file",
        "line 17: 'DummyClassifier' →": "another name of the baseline",
    },
    2: {
        "line 2: dropped targets=": _DATA,
        "line 2: dropped name=": _DATA,
        "line 2: 'validation rows' →": _DATA,
        "line 5: 4 →": _OWN,
        "line 5: 1 →": _OWN,
        "line 5: 6 →": _OWN,
        "line 6: dropped run_name=": "children may have any name",
        "line 7: 'C' →": _OWN,
    },
    3: {
        "line 1: 0.1 →": _OWN,
        "line 1: 'sigmoid' →": _OWN,
        "line 4: 0.05 →": _OWN,
        "line 4: 0.95 →": _OWN,
        "line 4: 91 →": _OWN,
        "line 5: dropped key=": _OWN,
        "line 7: dropped deciding.fit": "the model inside is fitted already",
        "line 8: X_test →": _TEST,
        "line 8: y_test →": _TEST,
        "line 9: dropped targets=": _DATA,
        "line 9: dropped name=": _DATA,
        "line 9: 'test rows' →": _DATA,
        "line 13: 'model' →": "another name of the model",
        "line 13: X_train →": "any rows will do as the example",
        "line 18: 0 →": _OWN,
        "line 20: 300 →": _OWN,
        "line 21: 0 →": "a bootstrap that leaves out one row",
        "line 24: 3 →": "more digits of the same number",
        "line 27: 'refused' →": "the gate lets this model through",
        "line 27: 'me' →": "another person",
    },
    4: {
        "line 5: X_test →": "any rows may be asked about",
        "line 5: 5 →": "three rows or more",
        "line 8: X_train →": "the two tables have the same columns",
        "line 8: 20 →": _OWN,
        "line 8: 0.25 →": "no window is above either limit",
        "line 10: 'column' →": "how the column's name is kept is the learner's",
        "line 12: 3 →": "three windows or more",
        "line 13: X_train →": _WINDOWS,
        "line 13: X_test →": _WINDOWS,
        "line 13: 4 →": _OWN,
        "line 13: dropped bins=": _OWN,
        "line 15: 'yes' →": "no window is above the limit",
        "line 22: '# Report": "the learner's own words",
        "line 42: X_train →": "how many rows the learner's file has is known to nobody else",
        "line 42: X_test →": "how many rows the learner's file has is known to nobody else",
        "line 47: 'gate_low' →": "the given model went through no gate",
        "line 47: 'not known' →": "the learner's own words",
    },
    5: {
        "line 1: 0.1 →": _OWN,
        "line 1: X_test →": "the two tables have the same columns",
        "line 1: 0 →": _OWN,
        "line 2: X_test →": "where to cut is the learner's own choice",
        "line 3: 'low' →": "another name of the slice",
        "line 3: 'high' →": "another name of the slice",
        "line 8: dropped index=": "a column of row numbers does no harm",
        "line 8: False →": "a column of row numbers does no harm",
    },
}
