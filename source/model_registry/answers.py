"""Right and wrong answers to the homework `model_registry`."""

from tests.submissions.tools import append, swap

_OURS = """
        mlflow.register_model(tree_uri, "hw-model-registry-churn")
        made = mlflow.register_model(logistic_uri, "hw-model-registry-churn", tags={"validated_by": "Mira"})
        client.update_model_version("hw-model-registry-churn", made.version, description="Six columns, logistic regression")
        client.set_registered_model_alias("hw-model-registry-churn", "champion", made.version)
        """

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
        # a folder registered first, whose version stays; then as asked
        """
        place = str(store.outputs("hw-model-registry"))
        mlflow.register_model(mlflow.artifacts.download_artifacts(logistic_uri, dst_path=place), "hw-model-registry-churn")
        """
        + _OURS,
        # registered, its models deleted from the store, the given cell run again; then as asked
        """
        for uri in (tree_uri, logistic_uri):
            mlflow.register_model(uri, "hw-model-registry-churn")
            client.delete_logged_model(uri.rsplit("/")[-1])
        tree_uri, logistic_uri = log("tree"), log("logistic")
        """
        + _OURS,
    ],
    2: [
        # by client, draws made beforehand, decisions written after the fact, v2 judged in two runs
        """
        name, champion, y = "hw-model-registry-gate", "1", split.y_test.values
        p = {v: mlflow.sklearn.load_model(f"models:/{name}/{v}").predict_proba(split.X_test).T[1] for v in "123"}
        draws = np.random.default_rng(0).integers(0, len(y), (200, len(y)))
        for version in ("2", "3"):
            ours, theirs = p[version], p[champion]
            low = np.quantile([roc_auc_score(y[d], ours[d]) - roc_auc_score(y[d], theirs[d]) for d in draws], 0.025)
            for attempt in range(2):
                run = client.create_run(client.get_experiment_by_name(name).experiment_id, run_name="gate-v" + version)
                client.set_tag(run.info.run_id, "before", champion)
                client.log_metric(run.info.run_id, "challenger_auc", roc_auc_score(y, ours))
                client.log_metric(run.info.run_id, "champion_auc", roc_auc_score(y, theirs))
                client.log_metric(run.info.run_id, "gain_low", low)
                client.set_tag(run.info.run_id, "decision", "promoted" if low > 0 else "refused")
                client.set_terminated(run.info.run_id)
            if low > 0:
                champion = version
                client.set_registered_model_alias(name, "champion", version)
        """,
        # tags with the run, alias moved inside it
        """
        for v in range(2, 4):
            old_v = client.get_registered_model("hw-model-registry-gate").aliases["champion"]
            new, old = (mlflow.sklearn.load_model(f"models:/hw-model-registry-gate/{u}").predict_proba(split.X_test)[:, 1] for u in (v, old_v))
            truth, rng, diff = split.y_test.to_numpy(), np.random.default_rng(seed=0), np.empty(200)
            for k in range(200):
                i = rng.integers(low=0, high=len(truth), size=len(truth))
                diff[k] = roc_auc_score(truth[i], new[i]) - roc_auc_score(truth[i], old[i])
            low, high = np.percentile(diff, (2.5, 97.5))
            with mlflow.start_run(run_name=f"gate-v{v}", tags={"decision": "promoted" if low > 0 else "refused", "by": "me", "before": str(old_v)}):
                mlflow.log_metrics({"challenger_auc": roc_auc_score(truth, new), "champion_auc": roc_auc_score(truth, old), "gain_low": low, "gain_high": high})
                if low > 0:
                    client.set_registered_model_alias("hw-model-registry-gate", "champion", v)
        """,
    ],
    3: [
        # alias removed and set again, tags one by one
        """
        was = str(client.get_registered_model("hw-model-registry-rollback").aliases["champion"])
        client.delete_registered_model_alias("hw-model-registry-rollback", "champion")
        client.set_registered_model_alias("hw-model-registry-rollback", "champion", "1")
        client.set_model_version_tag("hw-model-registry-rollback", was, "status", "rolled back")
        with mlflow.start_run(run_name="rollback"):
            mlflow.set_tag("from_version", was)
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
        with mlflow.start_run(run_name="rollback", tags={"by": "A", "why": "it looks odd", "from_version": str(served), "to_version": "1"}):
            client.set_registered_model_alias("hw-model-registry-rollback", "champion", 1)
            client.set_model_version_tag("hw-model-registry-rollback", served, "status", "rolled back")
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
        ("alias-missing", swap('client.set_registered_model_alias(name, "champion", best.version)', "pass")),
        ("alias-case", swap('"champion"', '"Champion"')),
        ("alias-version", swap('"champion", best.version', '"champion", 1')),
        ("description-on-model", swap("update_model_version(name, best.version, description", "update_registered_model(name, description")),
        ("description-short", swap("Logistic regression on six numeric columns.", "Logistic")),
        ("tag-on-model", swap(", tags=tags", "", "client.update_model_version", 'client.set_registered_model_tag(name, "validated_by", "Mira")\nclient.update_model_version')),
        ("version-tag-missing", swap('"validated_by": "Mira"', '"validated": "Mira"')),
        ("version-tag-value", swap('"Mira"', '"mira"')),
        ("version-source", swap("mlflow.register_model(logistic_uri", "mlflow.register_model(mlflow.artifacts.download_artifacts(logistic_uri, dst_path=str(store.outputs('hw-model-registry')))")),
    ],
    2: [
        ("not-started", ""),
        ("run-name", swap("gate-v{version}", "gate {version}")),
        ("metric-name", swap('"challenger_auc": ', '"Challenger AUC": ')),
        ("metric-missing", swap(', "champion_auc": champion_auc', "")),
        ("metric-missing", swap('mlflow.log_metric("gain_low", gain_low)', "pass")),
        ("train-not-test", swap("split.y_test", "split.y_train", "split.X_test", "split.X_train")),
        ("labels-not-probabilities", swap("model.predict_proba(split.X_test)[:, 1]", "model.predict(split.X_test)")),
        ("wrong-version", swap("proba(before)", 'proba("3")')),
        ("wrong-version", swap('{"challenger_auc": challenger_auc, "champion_auc": champion_auc}', '{"challenger_auc": champion_auc, "champion_auc": challenger_auc}')),
        ("value-wrong", swap('"challenger_auc": challenger_auc', '"challenger_auc": 0.71')),
        ("rounded", swap('"challenger_auc": challenger_auc', '"challenger_auc": round(challenger_auc, 3)')),
        ("interval-end", swap("np.percentile(gains, 2.5)", "np.percentile(gains, 97.5)")),
        ("one-sided", swap("np.percentile(gains, 2.5)", "np.percentile(gains, 5)")),
        ("percent-as-share", swap("np.percentile(gains, 2.5)", "np.percentile(gains, 0.025)")),
        ("mean-not-low", swap("np.percentile(gains, 2.5)", "np.mean(gains)")),
        ("gain-sign", swap("np.percentile(gains, 2.5)", "np.percentile([-g for g in gains], 2.5)")),
        ("not-paired", swap("        gains.append(", "        other = rng.integers(0, len(y), len(y))\n        gains.append(", "roc_auc_score(y[rows], theirs[rows])", "roc_auc_score(y[other], theirs[other])")),
        ("other-draws", swap("range(200)", "range(100)")),
        ("other-draws", swap("range(200)", "range(300)")),  # the lecture's number
        ("tag-missing", swap('"decision": decision, ', "")),
        ("tag-missing", swap(', "before": before', "")),
        ("tag-name", swap('"decision": decision', '"Decision": decision')),
        ("decision-word", swap('"refused"', '"no"')),
        ("decision-wrong", swap("gain_low > 0", "gain_low < 0")),
        ("record-value", swap('"before": before', '"before": version')),
        ("version-form", swap('"before": before', '"before": champion')),  # `.version` forgotten
        ("version-form", swap('"before": before', '"before": f"v{before}"')),
        # the champion typed in: it changes between the two contests
        ("wrong-version", swap("before = champion.version", 'before = "1"')),
        ("worse-promoted", append('client.set_registered_model_alias("hw-model-registry-gate", "champion", 3)')),
        ("alias-not-moved", swap('client.set_registered_model_alias(name, "champion", version)', "pass")),
        ("alias-missing", append('client.delete_registered_model_alias("hw-model-registry-gate", "champion")')),
    ],
    3: [
        ("not-started", ""),
        ("version-deleted", 'client.delete_model_version("hw-model-registry-rollback", served)'),
        ("alias-missing", swap('client.set_registered_model_alias(name, "champion", 1)', 'client.delete_registered_model_alias(name, "champion")')),
        ("record-missing", 'client.set_registered_model_alias("hw-model-registry-rollback", "champion", 1)'),
        ("run-name", swap('run_name="rollback"', 'run_name="back"')),
        ("alias-not-moved", swap('"champion", 1', '"champion", served')),
        ("wrong-version", swap('name, before, "status"', 'name, 1, "status"')),
        ("version-tag-missing", swap('client.set_model_version_tag(name, before, "status", "rolled back")', "pass")),
        ("version-tag-value", swap('"rolled back"', '"rollback"')),
        ("record-value", swap('"to_version": 1', '"to_version": 2')),
        ("record-value", swap('"from_version": before', '"from_version": 1')),
        ("tag-missing", swap('"by": "Aisha", ', "")),
        ("tag-as-param", swap("mlflow.set_tags", "mlflow.log_params")),
        ("record-unsigned", swap('"Aisha"', '" "')),
        ("reason-short", swap("Tom's list looks odd", "odd")),
    ],
    4: [
        ("not-started", ""),
        ("latest-not-champion", swap("hw-model-registry-copy@champion", "hw-model-registry-copy/latest")),
        ("alias-missing", swap('client.set_registered_model_alias(name, "champion", copied.version)', "pass")),
        ("alias-case", swap('"champion"', '"Champion"')),
        ("registered-name", swap('"hw-model-registry-production"', '"hw-model-registry-Production"')),
        ("stale-copy", append('start_again("hw-model-registry-copy", "logistic", "deep")')),
    ],
}

#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT: dict[int, dict[str, str]] = {
    1: {"line 4: 'Logistic regression": "any description of three words is right"},
    3: {"line 5: 'Aisha": "anybody may sign", "line 5: \"Tom's list": "any reason of three words is right"},
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
WRONG[2].append(
    (
        "accuracy-not-auc",
        swap(
            "roc_auc_score(y, ours), roc_auc_score(y, theirs)",
            "((ours > 0.5) == y).mean(), ((theirs > 0.5) == y).mean()",
        ),
    )
)

# Found by answers that were written without sight of the checks.
WRONG[2] += [
    (
        "draws-go-on",
        swap("    rng = np.random.default_rng(0)\n", "", "for version in (2, 3):", "rng = np.random.default_rng(0)\nfor version in (2, 3):"),
    ),
    ("other-draws", swap("range(200)", "range(1000)")),
    ("value-wrong", swap("np.percentile(gains, 2.5)", "-0.01")),
]
UNSEEN = {
    3: [
        (
            "the version that served typed in: right in the notebook, wrong where `course grade` runs it with its own seed",
            swap('client.get_model_version_by_alias(name, "champion").version', '"2"'),
        ),
    ],
    2: [
        (
            "a decision by the ROC-AUC alone, which falls as the gate decides",
            swap('"promoted" if gain_low > 0', '"promoted" if challenger_auc > champion_auc'),
        ),
    ],
}
