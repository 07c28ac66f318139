"""Right and wrong answers to the homework of MLflow basics."""

from tests.submissions.tools import append, swap

RIGHT = {
    1: [
        # by the client, without the fluent API for numbers; plain numbers instead of a dictionary
        """
        client = mlflow.MlflowClient()
        experiment = client.create_experiment("hw-basics-tumours")
        model = GradientBoostingClassifier(n_estimators=20, max_depth=1, learning_rate=0.5, random_state=3)
        model.fit(X_train, y_train)
        made = client.create_run(experiment, run_name="boosting")
        for key in ("n_estimators", "max_depth", "learning_rate", "random_state"):
            client.log_param(made.info.run_id, key, getattr(model, key))
        client.log_metric(made.info.run_id, "valid_auc", roc_auc_score(y_valid, model.predict_proba(X_valid).T[1]))
        with mlflow.start_run(run_id=made.info.run_id):
            mlflow.sklearn.log_model(
                model, name="boosting", skops_trusted_types=["sklearn.tree._tree.Tree"], pip_requirements=["scikit-learn", "skops"]
            )
        """,
        # more than was asked, an earlier attempt that failed, the course's helper for the model
        """
        mlflow.set_experiment("hw-basics-tumours")
        try:
            with mlflow.start_run(run_name="boosting"):
                raise RuntimeError("first try")
        except RuntimeError:
            pass
        mlflow.start_run(run_name="boosting", description="second try")
        model = GradientBoostingClassifier(n_estimators=30, max_depth=3, learning_rate=0.1, random_state=0)
        model.fit(X_train, y_train)
        mlflow.log_params(model.get_params())
        p = model.predict_proba(X_valid)[:, 1]
        mlflow.log_metrics({"valid_auc": roc_auc_score(y_valid, p), "mean": p.mean()})
        store.log_model(model, "boosting", X_train)
        mlflow.end_run()
        """,
    ],
    2: [
        # with pandas and an address by run
        """
        table = mlflow.search_runs(experiment_names=["hw-basics-slide"])
        table = table[table.status == "FINISHED"]
        row = table.loc[(table["metrics.valid_auc"] - slide).abs().idxmin()]
        model = mlflow.sklearn.load_model(f"runs:/{row.run_id}/forest")
        with mlflow.start_run(run_id=row.run_id):
            mlflow.log_metric("flagged", int((model.predict_proba(X_valid)[:, 1] > 0.5).sum()))
        """,
        # with the client, after a first try in a run of its own
        """
        client = mlflow.MlflowClient()
        experiment = client.get_experiment_by_name("hw-basics-slide").experiment_id
        with mlflow.start_run(run_name="try"):
            mlflow.log_metric("flagged", 1)
        for candidate in client.search_runs([experiment], f"metrics.valid_auc > {slide - 1e-6} and metrics.valid_auc < {slide + 1e-6}"):
            if candidate.outputs.model_outputs:
                model = mlflow.sklearn.load_model(f"models:/{candidate.outputs.model_outputs[0].model_id}")
                client.log_metric(candidate.info.run_id, "flagged", float(sum(model.predict_proba(X_valid)[:, 1] > 0.5)))
        """,
    ],
    3: [
        # without with, but ended
        """
        mlflow.set_experiment("hw-basics-neighbors")
        for k in [15, 5]:
            mlflow.start_run(run_name=f"neighbors-{k}")
            model = KNeighborsClassifier(k).fit(X_train, y_train)
            mlflow.log_params({"n_neighbors": k})
            mlflow.log_metric("valid_auc", roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1]))
            mlflow.end_run()
        """,
        # Jonas's cell first, which stops in its second round, then the mended one
        """
        mlflow.set_experiment("hw-basics-neighbors")
        try:
            for k in (5, 15):
                mlflow.start_run(run_name=f"neighbors-{k}")
                mlflow.log_param("n_neighbors", k)
                mlflow.log_param("valid_auc", 0.9)
        except Exception:
            mlflow.end_run()
        for k in (5, 15):
            with mlflow.start_run(run_name=f"neighbors-{k}"):
                model = KNeighborsClassifier(n_neighbors=k).fit(X_train, y_train)
                mlflow.log_param("n_neighbors", model.n_neighbors)
                mlflow.log_metric("valid_auc", roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1]))
        """,
    ],
    4: [
        # a run of another task lies in the same experiment: no copy
        """
        with mlflow.start_run(run_name="neighbors-5"):
            pass
        c = mlflow.MlflowClient()
        old = mlflow.search_runs(experiment_names=["hw-basics-tidy"], filter_string="attributes.run_name = 'draft'").run_id[0]
        c.set_tag(old, "mlflow.runName", "baseline")
        c.set_tag(old, "mlflow.note.content", "Coin toss to beat")
        """,
        # as the UI does it: two tags
        """
        c = mlflow.MlflowClient()
        (found,) = c.search_runs([c.get_experiment_by_name("hw-basics-tidy").experiment_id])
        c.set_tag(found.info.run_id, "mlflow.runName", "baseline")
        c.set_tag(found.info.run_id, "mlflow.note.content", "Coin toss to beat")
        """,
        # by opening the run again
        """
        old = mlflow.search_runs(experiment_names=["hw-basics-tidy"]).run_id[0]
        with mlflow.start_run(run_id=old, description="what a coin would reach"):
            mlflow.set_tag("mlflow.runName", "baseline")
        """,
    ],
    5: [
        """
        mlflow.set_experiment("hw-basics-crash")
        try:
            with mlflow.start_run(run_name="crash"):
                mlflow.log_params({"n_estimators": 3})
                1 / 0
        except ZeroDivisionError as error:
            print(error)
        """,
        """
        c = mlflow.MlflowClient()
        e = mlflow.set_experiment("hw-basics-crash").experiment_id
        r = c.create_run(e, run_name="crash")
        c.log_param(r.info.run_id, "n_estimators", 60)
        c.set_terminated(r.info.run_id, "FAILED")
        """,
    ],
}

_SCORE = "roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1])"
_FOREST = (
    "other = RandomForestClassifier(5, random_state=0).fit(X_train, y_train)\n"
    'with mlflow.start_run(run_id=mlflow.last_active_run().info.run_id):\n    store.log_model(other, "boosting", X_train)'
)
_OTHER = (
    "other = GradientBoostingClassifier(n_estimators=5, random_state=7).fit(X_train, y_train)\n"
    'with mlflow.start_run(run_id=mlflow.last_active_run().info.run_id):\n    store.log_model(other, "boosting", X_train)'
)
_NO_FILE = (
    "import pathlib\n"
    'for path in pathlib.Path(store.home()).rglob("mlartifacts/**/model.skops"):\n    path.unlink()'
)
_RECORD = 'mlflow.log_metric("flagged", flagged, run_id=found.run_id)'
_COUNT = "(forest.predict_proba(X_valid)[:, 1] > 0.5).sum()"

WRONG = {
    1: [
        ("not-started", ""),
        ("experiment-name", swap("hw-basics-tumours", "HW basics tumours")),
        ("wrong-experiment", swap('mlflow.set_experiment("hw-basics-tumours")', 'mlflow.set_experiment("trees")')),
        ("run-name", swap('run_name="boosting"', 'run_name="Boost 1"')),
        ("run-open", swap('with mlflow.start_run(run_name="boosting"):', 'mlflow.start_run(run_name="boosting")\nif True:')),
        ("run-failed", append("    raise ValueError('late')")),
        ("param-missing", swap("log_params(settings)", 'log_param("n_estimators", 50)')),
        ("param-as-metric", swap("log_params(settings)", "log_metrics(settings)")),
        ("param-name", swap("log_params(settings)", 'log_params({k.replace("depth", "dept"): v for k, v in settings.items()})')),
        ("param-value", swap('"n_estimators": 50', '"n_estimators": 500')),
        ("seed-missing", swap('"random_state": 7', '"random_state": None')),
        ("settings-not-used", swap("GradientBoostingClassifier(**settings)", "GradientBoostingClassifier(random_state=7)")),
        ("metric-missing", swap('mlflow.log_metric("valid_auc", auc)', "pass")),
        ("metric-as-param", swap('log_metric("valid_auc"', 'log_param("valid_auc"')),
        ("metric-name", swap('log_metric("valid_auc"', 'log_metric("Valid AUC"')),
        ("train-not-test", swap("y_valid, model.predict_proba(X_valid)", "y_train, model.predict_proba(X_train)")),
        ("labels-not-probabilities", swap("model.predict_proba(X_valid)[:, 1]", "model.predict(X_valid)")),
        ("accuracy-not-auc", swap(_SCORE, "model.score(X_valid, y_valid)")),
        ("wrong-class", swap("[:, 1]", "[:, 0]")),
        ("rounded", swap(_SCORE, f"round({_SCORE}, 2)")),
        ("value-wrong", swap(_SCORE, "0.5512")),
        ("model-missing", swap("mlflow.sklearn.log_model(", "dict(model=")),
        ("model-name", swap('name="boosting",\n', 'name="model",\n')),
        ("model-files", append('for file in (store.home() / "mlartifacts").rglob("model.skops"):\n    file.unlink()')),
        ("pickle-format", swap("skops_trusted_types=trusted", 'serialization_format="cloudpickle"')),
        ("other-model", append(_FOREST)),
        ("other-model", swap("    mlflow.sklearn.log_model(\n        model,", "    mlflow.sklearn.log_model(\n        GradientBoostingClassifier(**settings).fit(X_valid, y_valid),")),
        ("other-model", append(_OTHER)),
        ("model-files", append(_NO_FILE)),
        ("experiment-deleted", append('mlflow.delete_experiment(mlflow.get_experiment_by_name("hw-basics-tumours").experiment_id)')),
        ("not-finite", swap(_SCORE, 'float("nan")')),
        ("squared", swap(_SCORE, f"{_SCORE} ** 2")),
        ("root", swap(_SCORE, f"{_SCORE} ** 0.5")),
        ("share-not-unit", swap(_SCORE, f"{_SCORE} / 100")),
        ("setting-forgotten", swap("GradientBoostingClassifier(**settings)", 'GradientBoostingClassifier(**{**settings, "max_depth": 3})')),
        ("scored-on-all", swap("y_valid, model.predict_proba(X_valid)", "y, model.predict_proba(X)")),
        ("rows-swapped", swap(".fit(X_train, y_train)", ".fit(X_valid, y_valid)", _SCORE, _SCORE.replace("valid", "train"))),
        ("arguments-swapped", swap(_SCORE, "roc_auc_score(model.predict(X_valid), y_valid)")),
    ],
    2: [
        ("not-started", ""),
        ("not-started", swap(_RECORD, "print(flagged)")),
        ("run-failed", swap("status = 'FINISHED'", "status = 'FAILED'", 'model_id = mlflow.get_run(found.run_id).outputs.model_outputs[0].model_id\nforest = mlflow.sklearn.load_model(f"models:/{model_id}")\n', "")),
        ("wrong-run", swap("runs[runs[\"metrics.valid_auc\"].round(4) == round(slide, 4)].iloc[0]", 'runs.sort_values("metrics.valid_auc").iloc[-1]')),
        ("new-run", swap(_RECORD, 'with mlflow.start_run(run_name="slide"):\n    mlflow.log_metric("flagged", flagged)')),
        ("metric-as-param", swap(_RECORD, 'mlflow.MlflowClient().log_param(found.run_id, "flagged", flagged)')),
        ("metric-as-tag", swap(_RECORD, 'mlflow.MlflowClient().set_tag(found.run_id, "flagged", flagged)')),
        ("train-not-valid", swap("predict_proba(X_valid)", "predict_proba(X_train)")),
        ("share-not-count", swap(_COUNT, _COUNT.replace("sum", "mean"))),
        ("wrong-class", swap("[:, 1] > 0.5", "[:, 0] > 0.5")),
        ("labels-not-model", swap(_COUNT, "y_valid.sum()")),
        ("value-wrong", swap("> 0.5", "> 0.9")),
    ],
    3: [
        ("not-started", ""),
        ("experiment-name", swap("hw-basics-neighbors", "hw-basics-neighbours")),
        ("wrong-experiment", swap('mlflow.set_experiment("hw-basics-neighbors")', 'mlflow.set_experiment("jonas")')),
        ("run-open", swap('with mlflow.start_run(run_name=f"neighbors-{k}"):', 'mlflow.start_run(run_name=f"neighbors-{k}")\n    if True:')),
        ("run-name", swap("for k in (5, 15)", "for k in (5,)")),
        ("settings-not-used", swap("n_neighbors=k", "n_neighbors=5")),
        ("metric-as-param", swap('log_metric("valid_auc"', 'log_param("valid_auc"')),
        ("param-value", swap('"n_neighbors", k', '"n_neighbors", 5')),
        ("param-missing", swap('mlflow.log_param("n_neighbors", k)', "pass")),
        ("train-not-test", swap("y_valid, model.predict_proba(X_valid)", "y_train, model.predict_proba(X_train)")),
        ("labels-not-probabilities", swap("model.predict_proba(X_valid)[:, 1]", "model.predict(X_valid)")),
    ],
    4: [
        ("not-started", ""),
        ("run-name", swap('client.update_run(draft.info.run_id, name="baseline")', "pass")),
        ("note-missing", swap('client.set_tag(draft.info.run_id, "mlflow.note.content", note)', "pass")),
        ("note-short", swap("A coin toss, to compare models with.", "baseline")),
        ("copied-not-renamed", 'with mlflow.start_run(run_name="baseline", description="my new baseline run"):\n    pass'),
        ("copied-not-renamed", 'with mlflow.start_run(run_name="baseline", description="a copy of it"):\n    mlflow.log_metric("valid_auc", 0.5)'),
    ],
    5: [
        ("not-started", ""),
        ("did-not-fail", 'mlflow.set_experiment("hw-basics-crash")\nwith mlflow.start_run(run_name="crash"):\n    mlflow.log_param("n_estimators", 0)\n1 / 0'),
        ("run-open", 'mlflow.set_experiment("hw-basics-crash")\nmlflow.start_run(run_name="crash")\nmlflow.log_param("n_estimators", 0)\n1 / 0'),
        ("param-missing", swap('mlflow.log_param("n_estimators", 0)', "pass")),
        ("param-as-tag", swap('mlflow.log_param("n_estimators", 0)', 'mlflow.set_tag("n_estimators", 0)')),
    ],
}

#: Names that are exchanged in mutants.
SWAPS = {"X_train": "X_valid", "X_valid": "X_train", "y_train": "y_valid", "y_valid": "y_train"}

#: Mutants that are right answers, with the reason. The key is the start of the description.
_FREE = "the task leaves this setting to the learner, and the record says what it was"
_SHOWN = "only what the cell shows"
_ONE_STORE = "MLflow then searches the current experiment, which is the same one"
EQUIVALENT = {
    1: {
        "line 2: 50 →": _FREE,
        "line 2: 2 →": _FREE,
        "line 2: 0.2 →": _FREE,
        "line 2: 7 →": _FREE,
        "line 10: dropped include_skops=": "the check never makes an environment from the list of packages",
        "line 10: True →": "the check never makes an environment from the list of packages",
        "line 17: dropped pip_requirements=": "MLflow finds the packages by itself, more slowly",
        "line 18: dropped input_example=": "the task asks for no example",
        "line 18: 3 →": "the task asks for no example",
        "line 18: X_train →": "the task asks for no example",
    },
    2: {"line 2: dropped experiment_names=": _ONE_STORE},
    4: {
        "line 2: dropped experiment_names=": _ONE_STORE,
        "line 4: 'A coin toss, to compare models with.' →": "another description",
    },
    5: {
        "line 4: 0 →": "the task leaves the number open; the model still gets 0",
        "line 5: X_train": "any error will do",
        "line 5: y_train": "any error will do",
        "line 7: dropped print": _SHOWN,
        "line 7: 70 →": _SHOWN,
    },
}
