"""Right and wrong answers to the homework `start_here`."""

from tests.submissions.tools import append, swap

RIGHT = {
    1: [
        # by the client, the share as a fraction of counts
        """
        client = mlflow.MlflowClient()
        made = client.create_run(client.create_experiment("hw-start-here-first"), run_name="hello").info.run_id
        client.log_param(made, "n_customers", str(customers.shape[0]))
        client.log_metric(made, "churn_rate", (customers.churned == 1).sum() / customers.shape[0])
        client.set_terminated(made)
        """,
        # plural calls, more than was asked, an earlier run with a typing error
        """
        mlflow.set_experiment("hw-start-here-first")
        with mlflow.start_run(run_name="hello"):
            mlflow.log_metric("churn_rat", 0.2)
        mlflow.start_run(run_name="hello", tags={"try": "2"})
        mlflow.log_params({"n_customers": len(customers), "seed": data.course_seed()})
        mlflow.log_metrics({"churn_rate": customers["churned"].sum() / 800, "left": customers["churned"].sum()})
        mlflow.end_run()
        """,
    ],
    2: [
        # the run opened again
        """
        found = mlflow.search_runs(experiment_names=["hw-start-here-name"]).run_id[0]
        with mlflow.start_run(run_id=found):
            mlflow.set_tags({"learner": "Grace Hopper", "course": "MLflow"})
        """,
        # by name, corrected later, as the UI does it
        """
        c = mlflow.MlflowClient()
        (found,) = c.search_runs([c.get_experiment_by_name("hw-start-here-name").experiment_id], "attributes.run_name = 'mine'")
        c.set_tag(found.info.run_id, "learner", "your name")
        c.set_tag(found.info.run_id, "learner", "李")
        """,
    ],
    3: [
        # shorter names, and the depths as numbers
        """
        found = mlflow.search_runs(experiment_names=["hw-start-here-trees"], order_by=["metrics.valid_auc DESC"])
        found = found.rename(columns=lambda c: c.split(".")[-1]).rename(columns={"runName": "run_name"})
        found["max_depth"] = found["max_depth"].astype(int)
        found[["run_name", "valid_auc", "max_depth"]].to_csv(store.outputs("hw-start-here") / "runs.csv", index=False)
        """,
        # by hand, all columns
        """
        import csv
        with open(store.outputs("hw-start-here") / "runs.csv", "w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["tags.mlflow.runName", "params.max_depth", "metrics.valid_auc", "status"])
            for r in mlflow.search_runs(experiment_names=["hw-start-here-trees"], output_format="list"):
                rows.writerow([r.info.run_name, r.data.params["max_depth"], r.data.metrics["valid_auc"], r.info.status])
        """,
        # everything, with the numbers of the rows
        'mlflow.search_runs().to_csv(store.outputs("hw-start-here") / "runs.csv")',
    ],
    4: [
        # by the client, the nearest of five
        """
        client = mlflow.MlflowClient()
        e = client.get_experiment_by_name("hw-start-here-clinic").experiment_id
        seen = client.search_runs([e], "attributes.run_name = 'jonas'")[0].data.metrics["valid_auc"]
        found = {}
        for k in (1, 2, 3, 4, 5):
            t = DecisionTreeClassifier(max_depth=k, random_state=0).fit(X_train, y_train)
            found[k] = roc_auc_score(y_valid, t.predict_proba(X_valid).T[1])
        k = min(found, key=lambda k: abs(found[k] - seen))
        run = client.create_run(e, run_name="corrected")
        client.log_param(run.info.run_id, "max_depth", k)
        client.log_metric(run.info.run_id, "valid_auc", found[k])
        client.set_terminated(run.info.run_id)
        """,
        # a first try with an untrue depth, then all settings
        """
        with mlflow.start_run(run_name="corrected"):
            mlflow.log_params({"max_depth": 6})
        seen = mlflow.search_runs(filter_string="attributes.run_name = 'jonas'")["metrics.valid_auc"][0]
        for k in range(1, 6):
            t = DecisionTreeClassifier(max_depth=k, random_state=0).fit(X_train, y_train)
            score = roc_auc_score(y_valid, t.predict_proba(X_valid)[:, 1])
            if score == seen:
                mlflow.start_run(run_name="corrected", description="the depth that has Jonas's score")
                mlflow.log_params(t.get_params())
                mlflow.log_metrics({"valid_auc": score})
                mlflow.end_run()
        """,
    ],
    5: [
        """
        client = mlflow.MlflowClient()
        mlflow.set_experiment("hw-start-here-best")
        scores = {}
        for k in range(8, 0, -1):
            t = DecisionTreeClassifier(max_depth=k, random_state=0).fit(X_train, y_train)
            with mlflow.start_run(run_name=f"depth-{k}") as r:
                mlflow.log_params(t.get_params())
                mlflow.log_metric("valid_auc", roc_auc_score(y_valid, t.predict_proba(X_valid)[:, 1]))
            scores[r.info.run_id] = mlflow.get_run(r.info.run_id).data.metrics["valid_auc"]
        client.set_tag(max(scores, key=scores.get), "best", "Yes")
        """,
        # a winner of an earlier, unfinished try does not disturb
        """
        mlflow.set_experiment("hw-start-here-best")
        with mlflow.start_run(run_name="depth-1", tags={"best": "yes"}):
            pass
        best = (0, None)
        for k in range(1, 9):
            t = DecisionTreeClassifier(max_depth=k, random_state=0).fit(X_train, y_train)
            auc = roc_auc_score(y_valid, t.predict_proba(X_valid)[:, 1])
            with mlflow.start_run(run_name=f"depth-{k}") as r:
                mlflow.log_param("max_depth", k)
                mlflow.log_metric("valid_auc", auc)
            best = max(best, (auc, r.info.run_id))
        with mlflow.start_run(run_id=best[1]):
            mlflow.set_tag("best", "yes")
        """,
    ],
}

_STRAY = 'import os\nmlflow.set_tracking_uri(f"sqlite:///{os.getcwd()}/mlflow.db")\nmlflow.set_experiment("hw-start-here-first")'
_AUC = "roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1])"
_FIT = "DecisionTreeClassifier(max_depth=d, random_state=0).fit(X_train, y_train)"
_TRUE = 'mlflow.log_param("max_depth", model.get_params()["max_depth"])'

WRONG = {
    1: [
        ("not-started", ""),
        ("not-started", 'mlflow.set_experiment("hw-start-here-first")'),
        ("experiment-name", swap("hw-start-here-first", "hw_start_here_First")),
        ("wrong-experiment", swap("hw-start-here-first", "my-runs")),
        ("other-store", _STRAY),
        ("run-name", swap('run_name="hello"', 'run_name="Hello!"')),
        ("run-open", swap('with mlflow.start_run(run_name="hello"):', 'mlflow.start_run(run_name="hello")\nif True:')),
        ("run-failed", append("    undefined_name")),
        ("param-missing", swap('mlflow.log_param("n_customers", len(customers))', "pass")),
        ("param-as-metric", swap('log_param("n_customers"', 'log_metric("n_customers"')),
        ("param-name", swap('"n_customers"', '"N_Customers"')),
        ("param-value", swap("len(customers)", "len(customers.columns)")),
        ("param-value", swap("len(customers)", '"eight hundred"')),
        ("metric-as-param", swap('log_metric("churn_rate"', 'log_param("churn_rate"')),
        ("metric-name", swap('"churn_rate"', '"churnrate"')),
        ("wrong-class", swap('customers["churned"].mean()', '1 - customers["churned"].mean()')),
        ("count-not-share", swap(".mean()", ".sum()")),
        ("percent-not-share", swap(".mean()", ".mean() * 100")),
        ("rounded", swap('customers["churned"].mean()', 'round(customers["churned"].mean(), 2)')),
        ("value-wrong", swap('customers["churned"].mean()', "0.4711")),
    ],
    2: [
        ("not-started", ""),
        ("tag-name", swap('"learner"', '"Learner"')),
        ("tag-missing", swap('"learner"', '"me"')),
        (
            "tag-as-param",
            'with mlflow.start_run(run_id=mlflow.search_runs().run_id[0]):\n    mlflow.log_param("learner", "Ada")',
        ),
        ("tag-placeholder", swap('"Ada"', '"your name"')),
        ("tag-placeholder", swap('"Ada"', '"..."')),
        ("tag-placeholder", swap('"Ada"', '"…"')),
        ("new-not-given", 'with mlflow.start_run(run_name="Ada"):\n    mlflow.set_tag("learner", "Ada")'),
        ("new-not-given", 'with mlflow.start_run(run_name="mine"):\n    mlflow.set_tag("learner", "Ada")'),
        ("run-deleted", append("mlflow.delete_run(mine[\"run_id\"][0])")),
    ],
    3: [
        ("not-started", ""),
        ("file-place", swap('store.outputs("hw-start-here") / "runs.csv"', '"runs.csv"')),
        ("file-name", swap('"runs.csv"', '"Runs.CSV"')),
        (
            "file-broken",
            swap(
                'table[columns].to_csv(store.outputs("hw-start-here") / "runs.csv", index=False)',
                '(store.outputs("hw-start-here") / "runs.csv").write_text("")',
            ),
        ),
        ("column-missing", swap('"params.max_depth", ', "")),
        ("rows-missing", swap("table[columns]", "table[columns].head(2)")),
        ("column-wrong", swap("table[columns]", 'table[columns].assign(**{"params.max_depth": [1, 2, 5]})')),
        ("not-a-number", swap("table[columns]", 'table[columns].assign(**{"metrics.valid_auc": "high"})')),
        ("rounded", swap("table[columns]", "table[columns].round(2)")),
        ("value-wrong", swap("table[columns]", 'table[columns].assign(**{"metrics.valid_auc": 0.5123})')),
        (
            "row-mixed",
            swap("table[columns]", 'table[columns].assign(**{"metrics.valid_auc": table["metrics.valid_auc"].to_numpy()[::-1]})'),
        ),
    ],
    4: [
        ("not-started", ""),
        ("run-name", swap('run_name="corrected"', 'run_name="correct"')),
        ("untrue-depth", swap(_TRUE, 'mlflow.log_param("max_depth", depth)')),
        ("param-value", swap(_TRUE, 'mlflow.log_param("max_depth", 30)')),
        ("stale-value", swap(_TRUE, 'mlflow.log_param("max_depth", d % 5 + 1)')),
        ("other-tree", swap("abs(auc - seen) < 1e-9", "d == depth_of_jonas % 5 + 1", "seen = ", 'depth_of_jonas = random.Random(data.course_seed()).randint(1, 5)\nseen = ')),
        ("train-not-test", swap('log_metric("valid_auc", auc)', 'log_metric("valid_auc", roc_auc_score(y_train, model.predict_proba(X_train)[:, 1]))')),
        ("labels-not-probabilities", swap('log_metric("valid_auc", auc)', 'log_metric("valid_auc", roc_auc_score(y_valid, model.predict(X_valid)))')),
        ("accuracy-not-auc", swap('log_metric("valid_auc", auc)', 'log_metric("valid_auc", model.score(X_valid, y_valid))')),
        ("param-missing", swap(_TRUE, "pass")),
        ("metric-as-param", swap('log_metric("valid_auc"', 'log_param("valid_auc"')),
        ("given-changed", append('mlflow.log_metric("valid_auc", 0.5, run_id=jonas["run_id"][0])')),
        ("wrong-experiment", swap("for d in range(1, 6)", 'mlflow.set_experiment("mine")\nfor d in range(1, 6)')),
    ],
    5: [
        ("not-started", ""),
        ("run-missing", swap("range(1, 9)", "range(1, 8)")),
        ("name-not-param", swap('"max_depth", d', '"max_depth", d + 1')),
        ("stale-value", swap("max_depth=d", "max_depth=3")),
        ("train-not-test", swap(_AUC, "roc_auc_score(y_train, model.predict_proba(X_train)[:, 1])")),
        ("tag-missing", swap('mlflow.MlflowClient().set_tag(newest["run_id"][winner], "best", "yes")', "pass")),
        ("not-the-best", swap("idxmax", "idxmin")),
        ("not-one-winner", append('mlflow.MlflowClient().set_tag(newest["run_id"][(winner + 1) % 8], "best", "no")')),
        ("not-one-winner", swap('"best", "yes"', '"best", "true"')),
    ],
}  # fmt: skip

#: Mutants that are right answers, with the reason. The key is the start of the description.
_CURRENT = "the given cell has made that experiment the current one"
EQUIVALENT = {
    2: {
        "line 2: dropped experiment_names=": _CURRENT,
        "line 2: dropped filter_string=": "the given run is the only one",
        "line 3: 'Ada'": "any name is right",
    },
    3: {
        "line 1: dropped experiment_names=": _CURRENT,
        "line 3: dropped index=": "an extra column with row numbers does no harm",
        "line 3: False → True": "an extra column with row numbers does no harm",
    },
    4: {
        "line 1: dropped filter_string=": "the run of Jonas is the newest anyway",
        "line 1: dropped max_results=": "the newest is the first anyway",
        "line 1: 1 → 3": "the newest is the first anyway",
        "line 4: 1 → 3": "by chance Jonas's depth is tried or not",
        "line 4: 6 → 13": "depths that are not his do not match",
        "line 5: dropped random_state=": "by chance the tree chooses the same among equal splits, or not",
    },
    5: {
        "line 9: dropped max_results=": "there are no other runs",
        "line 9: 8 → 17": "there are no other runs",
    },
}
