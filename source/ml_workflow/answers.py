"""Right and wrong answers to the homework `ml_workflow`."""

from tests.submissions.tools import append, swap

_STAGES = "preparation monitoring collection evaluation features retraining exploration deployment training"

RIGHT = {
    1: [
        # a table, in another order, with spaces and capitals
        f"""
        words = "{_STAGES}".split()
        table = pd.DataFrame({{"stage": [w.title() + " " for w in words], "note": list("ABCDEFGHI")}})
        table[::-1].to_csv(folder / "stages.csv")
        """,
        # as text
        f"""
        lines = ["note,stage"] + [f"{{n.lower()}},{{s}}" for n, s in zip("ABCDEFGHI", "{_STAGES}".split())]
        (folder / "stages.csv").write_text("\\n".join(lines))
        """,
    ],
    2: [
        """
        who = "ml engineer,Governance officer,data engineer,data scientist,ML engineer,data engineer".split(",")
        pd.DataFrame({"ticket": range(1, 7), "role": who}).to_csv(folder / "roles.csv", index=False)
        """,
        """
        table = pd.DataFrame({"ticket": [3.0, 6.0], "role": "data engineer"})
        table = pd.concat([table, pd.DataFrame({"ticket": [1.0, 5.0], "role": "ML engineer"})])
        table.loc[len(table) + 5] = [2, "governance officer"]
        table.loc[len(table) + 9] = [4, "data scientist"]
        table.to_csv(folder / "roles.csv")
        """,
    ],
    3: [
        # by the client, rounding as the sheet does
        """
        client = mlflow.MlflowClient()
        e = client.create_experiment("hw-ml-workflow-record")
        for row in sheet.to_dict("records"):
            tree = DecisionTreeClassifier(
                max_depth=int(row["max_depth"]), min_samples_leaf=int(row["min_samples_leaf"]), random_state=0
            ).fit(X_train, y_train)
            auc = roc_auc_score(y_valid, tree.predict_proba(X_valid).T[1])
            run = client.create_run(e, run_name=f"row-{row['row']:.0f}").info.run_id
            for name in ("max_depth", "min_samples_leaf", "random_state"):
                client.log_param(run, name, tree.get_params()[name])
            client.log_param(run, "data_digest", digest)
            client.log_param(run, "split_seed", data.course_seed())
            client.log_metric(run, "valid_auc", auc)
            client.set_tag(run, "sheet", "ok" if round(auc, 2) == round(row["auc"], 2) else "Wrong")
            client.set_terminated(run)
        """,
        # a first try without the data, more settings than asked, tags afterwards
        """
        mlflow.set_experiment("hw-ml-workflow-record")
        with mlflow.start_run(run_name="row-1"):
            mlflow.log_params({"max_depth": 2})
        client = mlflow.MlflowClient()
        for number, depth, leaf, noted in sheet.itertuples(index=False):
            tree = DecisionTreeClassifier(max_depth=depth, min_samples_leaf=leaf, random_state=0)
            tree.fit(X_train, y_train)
            mlflow.start_run(run_name=f"row-{number}", description="from the sheet")
            mlflow.log_params({**tree.get_params(), "data_digest": digest, "n_rows": len(table), "split_seed": data.course_seed()})
            auc = roc_auc_score(y_valid, tree.predict_proba(X_valid)[:, 1])
            mlflow.log_metrics({"valid_auc": auc, "sheet_auc": noted})
            made = mlflow.active_run().info.run_id
            mlflow.end_run()
            client.set_tag(made, "sheet", "wrong" if f"{auc:.2f}" != f"{noted:.2f}" else "ok")
        """,
    ],
    4: [
        """
        words = "projects genai tracking registry dvc serving models".split()
        pd.DataFrame({"wish": list("ABCDEFG"), "part": words})[::-1].to_csv(folder / "parts.csv", index=False)
        """,
        """
        lines = ["part;wish", "GenAI;B", "DVC;E", "Models;G", "Tracking;C", "Projects;A", "Registry;D", "Serving;F"]
        (folder / "parts.csv").write_text("\\n".join(lines))
        """,
    ],
    5: [
        """
        client = mlflow.MlflowClient()
        e = client.create_experiment("hw-ml-workflow-watch")
        run = client.create_run(e, run_name="watch").info.run_id
        bad = []
        for w in [10, 9, 8, 7, 6, 5, 4]:
            client.log_metric(run, "week_auc", week_auc(w), step=w)
            bad += [w] if week_auc(w) < 0.6 else []
        client.log_param(run, "first_bad_week", bad[-1])
        client.set_terminated(run)
        """,
        # all weeks, the training weeks too, after a try without steps
        """
        mlflow.set_experiment("hw-ml-workflow-watch")
        with mlflow.start_run(run_name="watch"):
            mlflow.log_metric("week_auc", week_auc(4))
        curve = pd.Series({w: week_auc(w) for w in range(1, 11)})
        with mlflow.start_run(run_name="watch"):
            for w, value in curve.items():
                mlflow.log_metrics({"week_auc": value}, step=w)
            mlflow.log_params({"first_bad_week": str(curve[curve < 0.6].index[0]), "limit": 0.6})
        """,
    ],
}

_TO_STAGES = 'to_csv(folder / "stages.csv")'

WRONG = {
    1: [
        ("not-started", ""),
        ("file-name", swap("stages.csv", "stage.csv")),
        ("file-broken", '(folder / "stages.csv").write_bytes(b"\\xff\\xfe\\x00")'),
        ("column-missing", swap('rename_axis("note")', 'rename_axis("letter")')),
        ("row-missing", swap('    "I": "training",\n', "")),
        ("row-extra", append('with open(folder / "stages.csv", "a") as file:\n    file.write("J,training\\n")')),
        ("word-unknown", swap('"exploration"', '"EDA"')),
        ("evaluation-not-monitoring", swap('"B": "monitoring"', '"B": "evaluation"')),
        ("monitoring-not-evaluation", swap('"D": "evaluation"', '"D": "monitoring"')),
        ("features-not-preparation", swap('"A": "preparation"', '"A": "features"')),
        ("preparation-not-features", swap('"E": "features"', '"E": "preparation"')),
        ("training-not-retraining", swap('"F": "retraining"', '"F": "training"')),
        ("evaluation-not-exploration", swap('"G": "exploration"', '"G": "evaluation"')),
        ("stage-wrong", swap('"H": "deployment"', '"H": "collection"')),
    ],
    2: [
        ("not-started", ""),
        ("column-missing", swap('name="role"', 'name="who"')),
        ("row-missing", swap('    4: "data scientist",\n', "")),
        ("word-unknown", swap('"ML engineer"', '"MLOps engineer"')),
        ("one-role-for-all", swap("pd.Series(roles", 'pd.Series({n: "data scientist" for n in roles}')),
        ("role-wrong", swap('3: "data engineer"', '3: "ML engineer"')),
        ("role-wrong", swap('1: "ML engineer"', '1: "data scientist"')),
    ],
    3: [
        ("not-started", ""),
        ("run-name", swap("row-{number}", "sheet-row-{number}")),
        ("data-not-recorded", swap('"data_digest": digest, ', "")),
        ("param-missing", swap(', "split_seed": data.course_seed()', "")),
        ("param-value", swap('"split_seed": data.course_seed()', '"split_seed": 1 + data.course_seed()')),
        ("other-data", swap('"data_digest": digest', '"data_digest": "clinic"')),
        ("param-missing", swap("log_params(settings |", 'log_params({"max_depth": depth} |')),
        ("param-value", swap('{"max_depth": depth,', '{"max_depth": 3,')),
        ("row-mixed", swap("DecisionTreeClassifier(**settings)", "DecisionTreeClassifier(max_depth=2, min_samples_leaf=40, random_state=0)")),
        ("rounded", swap('log_metric("valid_auc", auc)', 'log_metric("valid_auc", round(auc, 2))')),
        ("from-the-sheet", swap('log_metric("valid_auc", auc)', 'log_metric("valid_auc", auc if abs(auc - noted) < 0.006 else noted)')),
        ("train-not-test", swap("y_valid, tree.predict_proba(X_valid)", "y_train, tree.predict_proba(X_train)")),
        ("labels-not-probabilities", swap("tree.predict_proba(X_valid)[:, 1]", "tree.predict(X_valid)")),
        ("metric-name", swap('"valid_auc"', '"valid-AUC"')),
        ("metric-as-param", swap('log_metric("valid_auc"', 'log_param("valid_auc"')),
        ("tag-missing", swap('mlflow.set_tag("sheet", "ok" if abs(auc - noted) < 0.006 else "wrong")', "pass")),
        ("word-unknown", swap('"wrong"', '"no"')),
        ("sheet-believed", swap('"wrong"', '"ok"')),
        ("rounding-as-error", swap("0.006", "0.0000001")),
    ],
    4: [
        ("not-started", ""),
        ("file-name", swap("parts.csv", "part.csv")),
        ("column-missing", swap('name="part"', 'name="tool"')),
        ("row-missing", swap('    "G": "models",\n', "")),
        ("word-unknown", swap('"dvc"', '"git"')),
        ("models-not-registry", swap('"registry"', '"models"')),
        ("serving-not-registry", swap('"registry"', '"serving"')),
        ("tracking-not-dvc", swap('"dvc"', '"tracking"')),
        ("tracking-not-genai", swap('"genai"', '"tracking"')),
        ("registry-not-models", swap('"models"', '"registry"')),
        ("serving-not-projects", swap('"projects"', '"serving"')),
        ("part-wrong", swap('"tracking"', '"dvc"')),
    ],
    5: [
        ("not-started", ""),
        ("step-missing", swap(", step=w", "")),
        ("step-shifted", swap("step=w", "step=14 - w")),
        ("week-wrong", swap("min(w for", "max(w for")),
        ("param-missing", swap('"first_bad_week"', '"alarm"')),
        ("param-as-metric", swap('log_param("first_bad_week"', 'log_metric("first_bad_week"')),
        ("rounded", swap("value, step", "round(value, 2), step")),
    ],
}  # fmt: skip

#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT = {}
