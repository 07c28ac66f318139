"""Right and wrong answers to the homework `model_registry`."""

from tests.submissions.tools import append, swap

RIGHT = {
    1: [
        # by the client only
        """
        client.create_registered_model("hw-model-registry-churn")
        client.create_model_version("hw-model-registry-churn", source=tree_uri)
        made = client.create_model_version("hw-model-registry-churn", source=logistic_uri, description="six columns, logistic regression")
        client.set_model_version_tag("hw-model-registry-churn", made.version, "validated_by", "Mira")
        client.set_registered_model_alias("hw-model-registry-churn", "champion", made.version)
        """,
        # an earlier attempt, names given when logging, the model described too
        """
        mlflow.register_model(logistic_uri, "hw-model-registry-churn")
        client.set_registered_model_alias("hw-model-registry-churn", "champion", 1)
        for kind in ("tree", "logistic"):
            store.log_model(MODELS[kind], kind, split.X_train, registered_model_name="hw-model-registry-churn")
        client.update_registered_model("hw-model-registry-churn", description="Who leaves next month?")
        client.update_model_version("hw-model-registry-churn", 3, "Now with a scaler inside")
        client.set_model_version_tag("hw-model-registry-churn", "3", "validated_by", "Mira")
        client.set_registered_model_alias("hw-model-registry-churn", "champion", "3")
        """,
    ],
    2: [
        # pyfunc-free, by client, decisions written after the fact, three runs of v2
        """
        champion = 1
        for version in ("2", "2", "3"):
            p = {v: mlflow.sklearn.load_model(f"models:/hw-model-registry-gate/{v}").predict_proba(split.X_test).T[1] for v in (champion, version)}
            ours, theirs = roc_auc_score(split.y_test, p[version]), roc_auc_score(split.y_test, p[champion])
            run = client.create_run(client.get_experiment_by_name("hw-model-registry-gate").experiment_id, run_name="gate-v" + version)
            client.log_metric(run.info.run_id, "challenger_auc", ours)
            client.log_metric(run.info.run_id, "champion_auc", theirs)
            if ours > theirs:
                champion = version
                client.set_registered_model_alias("hw-model-registry-gate", "champion", version)
            client.set_tag(run.info.run_id, "decision", "promoted" if champion == version else "refused")
            client.set_terminated(run.info.run_id)
        """,
        # tags with the run, alias moved inside it
        """
        for v in range(2, 4):
            new, old = (mlflow.sklearn.load_model(u) for u in (f"models:/hw-model-registry-gate/{v}", "models:/hw-model-registry-gate@champion"))
            new, old = (roc_auc_score(split.y_test, m.predict_proba(split.X_test)[:, 1]) for m in (new, old))
            with mlflow.start_run(run_name=f"gate-v{v}", tags={"decision": "promoted" if new > old else "refused", "by": "me"}):
                mlflow.log_metric("challenger_auc", new)
                mlflow.log_metric("champion_auc", old)
                if new > old:
                    client.set_registered_model_alias("hw-model-registry-gate", "champion", v)
        """,
    ],
    3: [
        # alias removed and set again, tags one by one
        """
        client.delete_registered_model_alias("hw-model-registry-rollback", "champion")
        client.set_registered_model_alias("hw-model-registry-rollback", "champion", "1")
        client.set_model_version_tag("hw-model-registry-rollback", "2", "status", "rolled back")
        with mlflow.start_run(run_name="rollback"):
            mlflow.set_tag("from_version", "2")
            mlflow.set_tag("to_version", "1")
            mlflow.set_tag("by", "me")
            mlflow.set_tag("why", "customers were called twice")
        """,
        # a record made first, a failed attempt before it
        """
        try:
            with mlflow.start_run(run_name="rollback"):
                raise RuntimeError
        except RuntimeError:
            pass
        with mlflow.start_run(run_name="rollback", tags={"by": "A", "why": "it looks odd", "from_version": "2", "to_version": "1"}):
            client.set_registered_model_alias("hw-model-registry-rollback", "champion", 1)
            client.set_model_version_tag("hw-model-registry-rollback", 2, "status", "rolled back")
        """,
    ],
    4: [
        # the number looked up
        """
        champion = client.get_model_version_by_alias("hw-model-registry-copy", "champion")
        made = client.copy_model_version(f"models:/hw-model-registry-copy/{champion.version}", "hw-model-registry-production")
        client.set_registered_model_alias("hw-model-registry-production", "champion", made.version)
        """,
        # the same logged model registered again, after a wrong copy
        """
        client.copy_model_version("models:/hw-model-registry-copy/2", "hw-model-registry-production")
        source = client.get_model_version_by_alias("hw-model-registry-copy", "champion").source
        made = mlflow.register_model(source, "hw-model-registry-production")
        client.set_registered_model_alias("hw-model-registry-production", "champion", made.version)
        """,
    ],
}

WRONG = {
    1: [
        ("not-started", ""),
        ("registered-name", swap("hw-model-registry-churn", "hw_model_registry_churn")),
        ("version-missing", swap('mlflow.register_model(tree_uri, "hw-model-registry-churn")\n', "")),
        ("version-missing", swap("logistic_uri", "tree_uri")),
        ("alias-missing", swap('client.set_registered_model_alias("hw-model-registry-churn", "champion", best.version)', "pass")),
        ("alias-case", swap('"champion"', '"Champion"')),
        ("alias-version", swap('"champion", best.version', '"champion", 1')),
        ("description-on-model", swap('update_model_version("hw-model-registry-churn", best.version, description', 'update_registered_model("hw-model-registry-churn", description')),
        ("description-short", swap("Logistic regression on six numeric columns.", "Logistic")),
        ("tag-on-model", swap(', tags={"validated_by": "Mira"}', "", "client.update_model_version", 'client.set_registered_model_tag("hw-model-registry-churn", "validated_by", "Mira")\nclient.update_model_version')),
        ("version-tag-missing", swap('"validated_by": "Mira"', '"validated": "Mira"')),
        ("version-tag-value", swap('"Mira"', '"mira"')),
        ("version-source", swap("mlflow.register_model(logistic_uri", "mlflow.register_model(mlflow.artifacts.download_artifacts(logistic_uri, dst_path=str(store.outputs('hw-model-registry')))")),
    ],
    2: [
        ("not-started", ""),
        ("run-name", swap("gate-v{version}", "gate {version}")),
        ("metric-name", swap('"challenger_auc": ', '"Challenger AUC": ')),
        ("metric-missing", swap(', "champion_auc": champion_auc', "")),
        ("train-not-test", swap("split.y_test", "split.y_train", "split.X_test", "split.X_train")),
        ("labels-not-probabilities", swap("model.predict_proba(split.X_test)[:, 1]", "model.predict(split.X_test)")),
        ("accuracy-not-auc", swap("roc_auc_score(split.y_test, model.predict_proba(split.X_test)[:, 1])", "model.score(split.X_test, split.y_test)")),
        ("wrong-version", swap('auc_of("models:/hw-model-registry-gate@champion")', 'auc_of("models:/hw-model-registry-gate/latest")')),
        ("wrong-version", swap('{"challenger_auc": challenger_auc, "champion_auc": champion_auc}', '{"challenger_auc": champion_auc, "champion_auc": challenger_auc}')),
        ("value-wrong", swap('"challenger_auc": challenger_auc', '"challenger_auc": 0.71')),
        ("rounded", swap('"challenger_auc": challenger_auc', '"challenger_auc": round(challenger_auc, 3)')),
        ("tag-missing", swap('mlflow.set_tag("decision", decision)', "pass")),
        ("tag-as-param", swap('mlflow.set_tag("decision"', 'mlflow.log_param("decision"')),
        ("tag-name", swap('mlflow.set_tag("decision"', 'mlflow.set_tag("Decision"')),
        ("decision-word", swap('"refused"', '"no"')),
        ("decision-wrong", swap("challenger_auc > champion_auc", "challenger_auc < champion_auc")),
        ("worse-promoted", append('client.set_registered_model_alias("hw-model-registry-gate", "champion", 2)')),
        ("alias-not-moved", swap('        client.set_registered_model_alias("hw-model-registry-gate", "champion", version)', "        pass")),
        ("alias-missing", append('client.delete_registered_model_alias("hw-model-registry-gate", "champion")')),
    ],
    3: [
        ("not-started", ""),
        ("version-deleted", 'client.delete_model_version("hw-model-registry-rollback", 2)'),
        ("alias-missing", swap('client.set_registered_model_alias("hw-model-registry-rollback", "champion", 1)', 'client.delete_registered_model_alias("hw-model-registry-rollback", "champion")')),
        ("record-missing", 'client.set_registered_model_alias("hw-model-registry-rollback", "champion", 1)'),
        ("run-name", swap('run_name="rollback"', 'run_name="back"')),
        ("alias-not-moved", swap('"champion", 1', '"champion", 2')),
        ("wrong-version", swap('"hw-model-registry-rollback", 2, "status"', '"hw-model-registry-rollback", 1, "status"')),
        ("version-tag-missing", swap('client.set_model_version_tag("hw-model-registry-rollback", 2, "status", "rolled back")', "pass")),
        ("version-tag-value", swap('"rolled back"', '"rollback"')),
        ("record-value", swap('"to_version": 1', '"to_version": 2')),
        ("tag-missing", swap('"by": "Aisha", ', "")),
        ("tag-as-param", swap("mlflow.set_tags", "mlflow.log_params")),
        ("record-unsigned", swap('"Aisha"', '" "')),
        ("reason-short", swap("Tom's list looks odd", "odd")),
    ],
    4: [
        ("not-started", ""),
        ("latest-not-champion", swap("hw-model-registry-copy@champion", "hw-model-registry-copy/latest")),
        ("alias-missing", swap('client.set_registered_model_alias("hw-model-registry-production", "champion", copied.version)', "pass")),
        ("alias-case", swap('"champion"', '"Champion"')),
        ("registered-name", swap('"hw-model-registry-production"', '"hw-model-registry-Production"')),
        ("stale-copy", append('start_again("hw-model-registry-copy", "logistic", "deep")')),
    ],
}

#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT: dict[int, dict[str, str]] = {
    1: {"line 3: 'Logistic regression": "any description of three words is right"},
    3: {"line 4: 'Aisha": "anybody may sign", "line 4: \"Tom's list": "any reason of three words is right"},
}
SWAPS = {"challenger_auc": "champion_auc", "champion_auc": "challenger_auc"}

# Found by people who attacked the checks.
WRONG[1].append(("order-of-versions", '''  # tree second
best = mlflow.register_model(logistic_uri, "hw-model-registry-churn", tags={"validated_by": "Mira"})
mlflow.register_model(tree_uri, "hw-model-registry-churn")
client.update_model_version("hw-model-registry-churn", best.version, description="logistic on six columns")
client.set_registered_model_alias("hw-model-registry-churn", "champion", best.version)
'''))
_MORE = """
client.set_registered_model_alias(
    "hw-model-registry-gate", "champion", mlflow.register_model(client.get_model_version("hw-model-registry-gate", 2).source, "hw-model-registry-gate").version
)
"""
_GONE = """
for version in client.search_model_versions("name = 'hw-model-registry-churn'"):
    client.delete_logged_model(version.source.rsplit("/")[-1])
"""
WRONG[2].append(("other-version", append(_MORE)))
WRONG[1].append(("model-deleted", append(_GONE)))
