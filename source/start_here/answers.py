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
        # from MLflow's own table
        """
        found = mlflow.search_runs(experiment_names=["hw-start-here-trees"])
        found = found.rename(columns=lambda c: c.split(".")[-1]).rename(columns={"runName": "run_name"})
        found[["run_name", "test_auc", "max_depth"]].to_csv(store.outputs("hw-start-here") / "runs.csv", index=False)
        """,
        # by hand, all columns
        """
        import csv
        with open(store.outputs("hw-start-here") / "runs.csv", "w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["run_name", "max_depth", "test_auc", "status"])
            for r in mlflow.search_runs(experiment_names=["hw-start-here-trees"], output_format="list"):
                rows.writerow([r.info.run_name, r.data.params["max_depth"], r.data.metrics["test_auc"], r.info.status])
        """,
    ],
    4: [
        """
        mlflow.set_experiment("hw-start-here-deeper")
        with mlflow.start_run(run_name="deeper"):
            deep = DecisionTreeClassifier(max_depth=7, random_state=0).fit(split.X_train, split.y_train)
            mlflow.log_params(deep.get_params())
            mlflow.log_metric("test_auc", roc_auc_score(split.y_test, deep.predict_proba(split.X_test).T[1]))
        """,
        # several tries under one name: the newest counts
        """
        mlflow.set_experiment("hw-start-here-deeper")
        for depth in (2, 4, 6):
            t = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(split.X_train, split.y_train)
            with mlflow.start_run(run_name="deeper"):
                mlflow.log_param("max_depth", depth)
                mlflow.log_metrics({"test_auc": roc_auc_score(split.y_test, t.predict_proba(split.X_test)[:, 1])})
        """,
    ],
}

_STRAY = 'import os\nmlflow.set_tracking_uri(f"sqlite:///{os.getcwd()}/mlflow.db")\nmlflow.set_experiment("hw-start-here-first")'
_AUC = "roc_auc_score(split.y_test, tree.predict_proba(split.X_test)[:, 1])"

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
        ("param-value", swap("len(customers)", "len(split.X_train)")),
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
        ("new-not-given", 'with mlflow.start_run(run_name="mine"):\n    mlflow.set_tag("learner", "Ada")'),
        ("run-deleted", append("mlflow.delete_run(mine.info.run_id)")),
    ],
    3: [
        ("not-started", ""),
        ("file-place", swap('store.outputs("hw-start-here") / "runs.csv"', '"runs.csv"')),
        ("file-name", swap('"runs.csv"', '"Runs.CSV"')),
        (
            "file-broken",
            swap(
                'table.to_csv(store.outputs("hw-start-here") / "runs.csv")',
                '(store.outputs("hw-start-here") / "runs.csv").write_text("")',
            ),
        ),
        ("column-missing", swap('"runs.csv")', '"runs.csv", index=False)')),
        ("column-missing", swap('["max_depth", "test_auc"]', '["test_auc"]')),
        ("rows-missing", swap("table.to_csv", "table.head(2).to_csv")),
        ("column-wrong", swap("table.to_csv", "table.sort_index().assign(max_depth=[9, 3, 1]).to_csv")),
        ("not-a-number", swap("table.to_csv", 'table.assign(test_auc="high").to_csv')),
        ("rounded", swap("table.to_csv", "table.round(2).to_csv")),
        ("value-wrong", swap("table.to_csv", "table.assign(test_auc=0.5123).to_csv")),
    ],
    4: [
        ("not-started", ""),
        ("param-value", swap("grow(5)", "grow(2)")),
        ("stale-value", swap('tree.get_params()["max_depth"]', "6")),
        ("train-not-test", swap(_AUC, "roc_auc_score(split.y_train, tree.predict_proba(split.X_train)[:, 1])")),
        ("labels-not-probabilities", swap("tree.predict_proba(split.X_test)[:, 1]", "tree.predict(split.X_test)")),
        ("accuracy-not-auc", swap(_AUC, "tree.score(split.X_test, split.y_test)")),
        ("metric-missing", swap('"test_auc"', '"score"')),
    ],
}

#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT = {
    2: {
        "line 1: dropped experiment_names=": "the given cell has made that experiment the active one",
        "line 2: 'Ada'": "any name is right",
    },
    3: {"line 1: dropped columns=": "these runs have no other columns"},
}

# Found by people who attacked the checks.
WRONG[3].append(
    ("row-mixed", swap("table.to_csv", 'table["test_auc"] = table["test_auc"].to_numpy()[::-1]\ntable.to_csv'))
)
