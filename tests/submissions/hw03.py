"""Right and wrong answers to homework 03."""

from .tools import append, swap

RIGHT = {
    1: [
        # by the client, without the fluent API
        """
        client = mlflow.MlflowClient()
        experiment = client.create_experiment("hw03-forest")
        model = RandomForestClassifier(60, max_depth=4, random_state=0).fit(split.X_train, split.y_train)
        made = client.create_run(experiment, run_name="forest")
        client.log_param(made.info.run_id, "n_estimators", model.n_estimators)
        client.log_metric(made.info.run_id, "test_auc", roc_auc_score(split.y_test, model.predict_proba(split.X_test).T[1]))
        client.set_terminated(made.info.run_id)
        """,
        # plural calls, more than was asked, an earlier attempt that failed
        """
        mlflow.set_experiment("hw03-forest")
        try:
            with mlflow.start_run(run_name="forest"):
                raise RuntimeError("first try")
        except RuntimeError:
            pass
        mlflow.start_run(run_name="forest", description="second try")
        model = RandomForestClassifier(n_estimators=60, max_depth=4, random_state=0)
        model.fit(split.X_train, split.y_train)
        mlflow.log_params(model.get_params())
        p = model.predict_proba(split.X_test)[:, 1]
        mlflow.log_metrics({"test_auc": roc_auc_score(split.y_test, p), "mean": p.mean()})
        mlflow.end_run()
        """,
    ],
    2: [
        # as the UI does it: two tags
        """
        c = mlflow.MlflowClient()
        (found,) = c.search_runs([c.get_experiment_by_name("hw03-tidy").experiment_id])
        c.set_tag(found.info.run_id, "mlflow.runName", "baseline")
        c.set_tag(found.info.run_id, "mlflow.note.content", "Coin toss to beat")
        """,
        # by opening the run again
        """
        old = mlflow.search_runs(experiment_names=["hw03-tidy"]).run_id[0]
        with mlflow.start_run(run_id=old, description="what a coin would reach"):
            mlflow.set_tag("mlflow.runName", "baseline")
        """,
    ],
    3: [
        # by run address, into the folder itself
        """
        with mlflow.start_run(run_name="network") as r:
            made = store.log_model(network, "churn_network", split.X_test)
        mlflow.artifacts.download_artifacts(f"models:/{made.model_id}", dst_path=str(target))
        """,
        # twice: the newer one counts
        """
        for _ in range(2):
            with mlflow.start_run(run_name="network"):
                made = store.log_model(network, "churn_network", split.X_train)
            mlflow.artifacts.download_artifacts(made.model_uri, dst_path=str(target))
        """,
    ],
    4: [
        """
        mlflow.set_experiment("hw03-forest")
        try:
            with mlflow.start_run(run_name="crash"):
                mlflow.log_params({"n_estimators": 3})
                1 / 0
        except ZeroDivisionError as error:
            print(error)
        """,
        """
        c = mlflow.MlflowClient()
        e = mlflow.set_experiment("hw03-forest").experiment_id
        r = c.create_run(e, run_name="crash")
        c.log_param(r.info.run_id, "n_estimators", 60)
        c.set_terminated(r.info.run_id, "FAILED")
        """,
    ],
}

WRONG = {
    1: [
        ("not-started", ""),
        ("not-started", 'mlflow.set_experiment("hw03-forest")'),
        ("experiment-name", swap("hw03-forest", "HW03 forest")),
        ("wrong-experiment", swap('mlflow.set_experiment("hw03-forest")', 'mlflow.set_experiment("trees")')),
        ("run-name", swap('run_name="forest"', 'run_name="Forest 1"')),
        ("other-store", 'import os\nmlflow.set_tracking_uri(f"sqlite:///{os.getcwd()}/mlflow.db")\nmlflow.set_experiment("hw03-forest")'),
        ("run-deleted", append("mlflow.delete_run(mlflow.last_active_run().info.run_id)")),
        ("experiment-deleted", append('mlflow.delete_experiment(mlflow.get_experiment_by_name("hw03-forest").experiment_id)')),
        ("run-open", swap('with mlflow.start_run(run_name="forest"):', 'mlflow.start_run(run_name="forest")\nif True:')),
        ("run-failed", append("    raise ValueError('late')")),
        ("param-as-metric", swap('log_param("n_estimators"', 'log_metric("n_estimators"')),
        ("param-as-tag", swap('log_param("n_estimators"', 'set_tag("n_estimators"')),
        ("param-name", swap('log_param("n_estimators"', 'log_param("n_estimator"')),
        ("param-missing", swap('mlflow.log_param("n_estimators", 60)', "pass")),
        ("param-value", swap('"n_estimators", 60', '"n_estimators", "sixty"')),
        ("param-value", swap("n_estimators=60", "n_estimators=100", '"n_estimators", 60', '"n_estimators", 100')),
        ("metric-as-param", swap('log_metric("test_auc"', 'log_param("test_auc"')),
        ("metric-as-tag", swap('log_metric("test_auc"', 'set_tag("test_auc"')),
        ("metric-name", swap('log_metric("test_auc"', 'log_metric("Test AUC"')),
        ("metric-missing", swap('mlflow.log_metric("test_auc", auc)', "pass")),
        ("train-not-test", swap("split.y_test, forest.predict_proba(split.X_test)", "split.y_train, forest.predict_proba(split.X_train)")),
        ("labels-not-probabilities", swap("forest.predict_proba(split.X_test)[:, 1]", "forest.predict(split.X_test)")),
        ("accuracy-not-auc", swap("roc_auc_score(split.y_test, forest.predict_proba(split.X_test)[:, 1])", "forest.score(split.X_test, split.y_test)")),
        ("wrong-class", swap("[:, 1]", "[:, 0]")),
        ("sign", swap('"test_auc", auc', '"test_auc", -auc')),
        ("rounded", swap('"test_auc", auc', '"test_auc", round(auc, 2)')),
        ("value-wrong", swap('"test_auc", auc', '"test_auc", 0.7712')),
    ],
    2: [
        ("not-started", ""),
        ("run-name", swap("client.update_run(draft.info.run_id, name=\"baseline\")", "pass")),
        ("note-missing", swap('client.set_tag(draft.info.run_id, "mlflow.note.content", "A coin toss, to compare real models with.")', "pass")),
        ("note-short", swap("A coin toss, to compare real models with.", "baseline")),
        ("copied-not-renamed", 'with mlflow.start_run(run_name="baseline", description="my new baseline run"):\n    pass'),
    ],
    3: [
        ("not-started", ""),
        ("model-missing", 'with mlflow.start_run(run_name="network"):\n    mlflow.log_param("units", 4)'),
        ("model-name", swap('"churn_network"', '"network"')),
        ("not-downloaded", swap("mlflow.artifacts.download_artifacts(artifact_uri=info.model_uri, dst_path=str(target))", "pass")),
        ("stale-download", append('with mlflow.start_run(run_name="network"):\n    store.log_model(network, "churn_network", split.X_train)')),
    ],
    4: [
        ("not-started", ""),
        ("did-not-fail", 'mlflow.set_experiment("hw03-forest")\nwith mlflow.start_run(run_name="crash"):\n    mlflow.log_param("n_estimators", 0)\n1 / 0'),
        ("run-open", 'mlflow.set_experiment("hw03-forest")\nmlflow.start_run(run_name="crash")\nmlflow.log_param("n_estimators", 0)\n1 / 0'),
        ("param-missing", swap('mlflow.log_param("n_estimators", 0)', "pass")),
    ],
}

#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT = {
    2: {
        "line 2: dropped experiment_names=": "the given cell has made that experiment the active one",
        "line 4: 'A coin toss": "any description of three words is right",
    },
    3: {"line 2: .X_train": "test rows show the columns of the model as well as training rows"},
    4: {
        "line 6: 0 →": "the parameter of a failed run is free",
        "line 7: .X_train": "the fit fails before it looks at the rows",
        "line 7: .y_train": "the fit fails before it looks at the rows",
    },
}

# Found by people who attacked the checks.
WRONG[3].append(("steps-not-saved", '''  # only last step
with mlflow.start_run(run_name="network"):
    info = store.log_model(network.steps[-1][1], "churn_network", split.X_train)
mlflow.artifacts.download_artifacts(artifact_uri=info.model_uri, dst_path=str(target))
'''))
WRONG[3].append(("download-incomplete", '''  # only mlmodel from ui
# the learner downloads one file in the UI, MLmodel, and stops there
import pathlib, shutil
with mlflow.start_run(run_name="network"):
    info = store.log_model(network, "churn_network", split.X_train)
place = mlflow.MlflowClient().get_logged_model(info.model_id).artifact_location
target.mkdir(parents=True, exist_ok=True)
mlflow.artifacts.download_artifacts(artifact_uri=place + "/MLmodel", dst_path=str(target))
'''))
WRONG[3].append(("other-model", '''  # other model
model = RandomForestClassifier(n_estimators=5, random_state=0).fit(split.X_train, split.y_train)
with mlflow.start_run(run_name="network"):
    info = store.log_model(model, "churn_network", split.X_train)
mlflow.artifacts.download_artifacts(artifact_uri=info.model_uri, dst_path=str(target))
'''))

#: Wrong answers that pass, because a store holds no trace of the mistake: (what cannot be seen, answer).
UNSEEN = {
    4: [
        (
            "the status FAILED was set by hand; no error happened",
            '''
mlflow.set_experiment("hw03-forest")
mlflow.start_run(run_name="crash"); mlflow.log_param("n_estimators", 60); mlflow.end_run("FAILED")
''',
        ),
    ],
}
_AUC = "roc_auc_score(split.y_test, forest.predict_proba(split.X_test)[:, 1])"
_ALL = "import numpy as np, pandas as pd\nX, y = pd.concat([split.X_train, split.X_test]), np.concatenate([split.y_train, split.y_test])\n"
_LABELS = "forest.predict(split.X_test)"
_METRICS = "from sklearn.metrics import average_precision_score, f1_score\n"
#: The frequent slips, computed for every number that comes from a model (`slips`).
WRONG[1] += [
    ("fitted-on-all", swap("mlflow.set_exp", _ALL + "mlflow.set_exp", "fit(split.X_train, split.y_train)", "fit(X, y)")),
    ("scored-on-all", swap("mlflow.set_exp", _ALL + "mlflow.set_exp", "(split.y_test, forest.predict_proba(split.X_test)", "(y, forest.predict_proba(X)")),
    ("fitted-on-test", swap("fit(split.X_train, split.y_train)", "fit(split.X_test, split.y_test)")),
    ("rows-swapped", swap("fit(split.X_train, split.y_train)", "fit(split.X_test, split.y_test)", "(split.y_test, forest.predict_proba(split.X_test)", "(split.y_train, forest.predict_proba(split.X_train)")),
    ("setting-forgotten", swap(", max_depth=4", "")),
    ("arguments-swapped", swap(_AUC, f"roc_auc_score({_LABELS}, split.y_test)")),
    ("arguments-swapped", swap(_AUC, f"roc_auc_score({_LABELS}, forest.predict_proba(split.X_test)[:, 1])")),
    ("other-measure", swap("mlflow.set_exp", _METRICS + "mlflow.set_exp", _AUC, _AUC.replace("roc_auc_score", "average_precision_score"))),
    ("other-measure", swap("mlflow.set_exp", _METRICS + "mlflow.set_exp", _AUC, f"f1_score(split.y_test, {_LABELS})")),
    ("percent-not-share", swap('"test_auc", auc', '"test_auc", 100 * auc')),
    ("percent-not-share", swap('"test_auc", auc', '"test_auc", round(100 * auc, 1)')),
    ("share-not-unit", swap('"test_auc", auc', '"test_auc", auc / 100')),
    ("squared", swap('"test_auc", auc', '"test_auc", auc**2')),
    ("root", swap('"test_auc", auc', '"test_auc", auc**0.5')),
    ("rounded", swap('"test_auc", auc', '"test_auc", int(auc * 100) / 100')),
    ("not-finite", swap('"test_auc", auc', '"test_auc", float("nan")')),
    ("value-wrong", swap('"test_auc", auc', '"test_auc", 0.9')),
    ("run-name", swap('run_name="forest"', 'run_name="forest "')),
    ("experiment-name", swap("hw03-forest", "hw03-forest ")),
    ("metric-name", swap('"test_auc", auc', '"test_auc ", auc')),
]
