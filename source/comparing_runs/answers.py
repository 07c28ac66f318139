"""Right and wrong answers to the homework of comparing runs."""

from tests.submissions.tools import append, swap

SWAPS = {"X_fit": "X_valid", "X_valid": "X_fit", "y_fit": "y_valid", "y_valid": "y_fit"}

_FIVE = """
for n in range(10, 60, 10):
    with mlflow.start_run(run_name=f"trees-{n}"):
        m = RandomForestClassifier(n, max_depth=4, random_state=0).fit(X_fit, y_fit)
        mlflow.log_params({"n_estimators": n, "max_depth": 4})
        mlflow.log_metrics({"valid_auc": roc_auc_score(y_valid, m.predict_proba(X_valid)[:, 1])})
"""
_RESCUE = """
found = client.search_runs([mlflow.get_experiment_by_name("hw-comparing-runs-rescue").experiment_id], run_view_type=ViewType.ALL)
old = {r.info.run_name: r for r in found}
"""

RIGHT = {
    1: [
        # the tag set while the run is open, after all values are known; no query at all
        """
        scores, ids = {}, {}
        for n in (50, 40, 30, 20, 10):
            model = RandomForestClassifier(n_estimators=n, max_depth=4, random_state=0).fit(X_fit, y_fit)
            scores[n] = roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1])
        for n, score in scores.items():
            with mlflow.start_run(run_name=f"trees-{n}", tags={"winner": "yes"} if score == max(scores.values()) else {}):
                mlflow.log_param("n_estimators", n)
                mlflow.log_metric("valid_auc", score)
                if score == max(scores.values()):
                    winner = RandomForestClassifier(n, max_depth=4, random_state=0).fit(X_fit, y_fit)
                    mlflow.log_metric("test_auc", roc_auc_score(split.y_test, winner.predict_proba(split.X_test)[:, 1]))
        """,
        # twice, with the tag on the first round's winner
        _FIVE
        + """
first = mlflow.search_runs(order_by=["metrics.valid_auc DESC"], output_format="list")[0]
client.set_tag(first.info.run_id, "winner", "yes")
n = int(first.data.params["n_estimators"])
m = RandomForestClassifier(n_estimators=n, max_depth=4, random_state=0).fit(X_fit, y_fit)
mlflow.log_metric("test_auc", roc_auc_score(split.y_test, m.predict_proba(split.X_test).T[1]), run_id=first.info.run_id)
"""
        + _FIVE,
    ],
    2: [
        # in plain Python, with more columns
        """
        import csv
        good = [r for r in client.search_runs([history.experiment_id]) if r.info.status == "FINISHED"]
        good = sorted((r for r in good if int(r.data.params["n_estimators"]) > 99), key=lambda r: r.data.metrics["valid_auc"])
        with open(store.outputs("hw-comparing-runs") / "top3.csv", "w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["place", "run_name", "valid_auc", "n_estimators"])
            for place, r in enumerate(good[:-4:-1], 1):
                out.writerow([place, r.info.run_name, r.data.metrics["valid_auc"], r.data.params["n_estimators"]])
        """,
        # with pandas only
        """
        t = mlflow.search_runs()
        t = t[(t.status == "FINISHED") & (t["params.n_estimators"].astype(float) >= 100)]
        t = t.nlargest(3, "metrics.valid_auc")
        t = t.rename(columns=lambda c: c.replace("params.", "").replace("metrics.", "")).assign(
            run_name=t["tags.mlflow.runName"], n_estimators=t["params.n_estimators"].astype(float))
        t.to_csv(store.outputs("hw-comparing-runs") / "top3.csv", index=False)
        """,
    ],
    3: [
        # by the client, run restored last
        _RESCUE
        + """
p = old["monday"].data.params
model = DecisionTreeClassifier(max_depth=int(p["max_depth"]), min_samples_leaf=int(p["min_samples_leaf"]),
                               random_state=int(p["random_state"])).fit(X_fit, y_fit)
new = client.create_run(old["monday"].info.experiment_id, run_name="monday-again",
                        tags={"restored_from": old["monday"].info.run_id})
for name, value in p.items():
    client.log_param(new.info.run_id, name, value)
client.log_metric(new.info.run_id, "valid_auc", roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1]))
client.set_terminated(new.info.run_id)
client.restore_run(old["monday"].info.run_id)
""",
        # a failed first try, then all parameters of the model
        _RESCUE
        + """
client.restore_run(old["monday"].info.run_id)
try:
    with mlflow.start_run(run_name="monday-again"):
        DecisionTreeClassifier(**old["monday"].data.params).fit(X_fit, y_fit)
except Exception as error:
    print(error)
with mlflow.start_run(run_name="monday-again", tags={"restored_from": old["monday"].info.run_id}):
    model = DecisionTreeClassifier(**{k: int(v) for k, v in old["monday"].data.params.items()}).fit(X_fit, y_fit)
    mlflow.log_params(model.get_params())
    mlflow.log_metrics({"valid_auc": roc_auc_score(y_valid, model.predict_proba(X_valid).T[1]), "train_auc": 1.0})
""",
    ],
    4: [
        # with the client, by reading what each run recorded
        """
        found = [
            r for r in client.search_runs([clinic.experiment_id])
            if r.inputs.dataset_inputs[0].dataset.digest == tumours.digest
        ]
        best = min(found, key=lambda r: r.data.metrics["valid_loss"])
        client.set_tag(best.info.run_id, "fair_winner", "yes")
        """,
        # the unfair winner first, then corrected; the run opened again, a further tag
        """
        first = mlflow.search_runs(order_by=["metrics.valid_loss"]).run_id[0]
        client.set_tag(first, "fair_winner", "yes")
        client.delete_tag(first, "fair_winner")
        client.set_tag(first, "note", "judged on fewer rows")
        t = mlflow.search_runs(filter_string=f"datasets.digest IN ('{tumours.digest}')")
        with mlflow.start_run(run_id=t.loc[t["metrics.valid_loss"].idxmin()].run_id):
            mlflow.set_tags({"fair_winner": "yes", "by": "Aisha"})
        """,
    ],
    5: [
        # the run opened again
        """
        run_id = mlflow.search_runs().run_id[0]
        h = sorted(client.get_metric_history(run_id, "valid_auc"), key=lambda m: -m.value)[0]
        with mlflow.start_run(run_id=run_id):
            mlflow.log_metrics({"best_valid_auc": h.value, "best_step": h.step})
        """,
        # by hand with pandas, logged with the step
        """
        import pandas as pd
        r = client.search_runs([mlflow.get_experiment_by_name("hw-comparing-runs-curve").experiment_id])[0].info.run_id
        s = pd.Series({m.step: m.value for m in client.get_metric_history(r, "valid_auc")})
        mlflow.log_metric("best_valid_auc", s.max(), step=int(s.idxmax()), run_id=r)
        mlflow.log_metric("best_step", s.idxmax(), run_id=r)
        """,
    ],
}

WRONG = {
    1: [
        ("not-started", ""),
        ("run-name", swap('f"trees-{trees}"', 'f"Trees {trees}"')),
        (
            "test-not-closed",
            swap(
                '        mlflow.log_param("n_estimators", trees)\n',
                '        mlflow.log_param("n_estimators", trees)\n        mlflow.log_metric("test_auc", '
                "roc_auc_score(split.y_test, forest.predict_proba(split.X_test)[:, 1]))\n",
            ),
        ),
        ("run-missing", swap("(10, 20, 30, 40, 50)", "(10, 20, 30, 40)")),
        ("wrong-experiment", swap("for trees in (10", 'mlflow.set_experiment("forests")\nfor trees in (10')),
        ("run-open", swap('with mlflow.start_run(run_name=f"trees-{trees}"):', 'mlflow.start_run(run_name=f"trees-{trees}")\n    if True:')),
        ("param-missing", swap('mlflow.log_param("n_estimators", trees)', "pass")),
        ("param-as-tag", swap('mlflow.log_param("n_estimators"', 'mlflow.set_tag("n_estimators"')),
        ("param-value", swap('"n_estimators", trees', '"n_estimators", 10')),
        ("metric-name", swap('"valid_auc", roc', '"valid auc", roc')),
        ("metric-missing", swap('"valid_auc", roc', '"score", roc')),
        ("train-not-valid", swap("roc_auc_score(y_valid, forest.predict_proba(X_valid)", "roc_auc_score(y_fit, forest.predict_proba(X_fit)")),
        ("test-not-valid", swap("roc_auc_score(y_valid, forest.predict_proba(X_valid)", "roc_auc_score(split.y_test, forest.predict_proba(split.X_test)")),
        ("labels-not-probabilities", swap("forest.predict_proba(X_valid)[:, 1]", "forest.predict(X_valid)")),
        ("accuracy-not-auc", swap("roc_auc_score(y_valid, forest.predict_proba(X_valid)[:, 1])", "forest.score(X_valid, y_valid)")),
        ("rounded", swap("roc_auc_score(y_valid, forest.predict_proba(X_valid)[:, 1])", "round(roc_auc_score(y_valid, forest.predict_proba(X_valid)[:, 1]), 3)")),
        ("value-wrong", swap("max_depth=4", "max_depth=3")),
        ("setting-forgotten", swap(", max_depth=4", "")),
        ("stale-value", swap("forest = RandomForestClassifier(n_estimators=trees,", "forest = RandomForestClassifier(n_estimators=10,")),
        ("metric-missing", swap('client.log_metric(best["run_id"], "test_auc"', 'print("test_auc"')),
        ("metric-as-tag", swap('client.log_metric(best["run_id"], "test_auc"', 'client.set_tag(best["run_id"], "test_auc"')),
        ("valid-not-test", swap("split.X_test", "X_valid", "split.y_test", "y_valid")),
        ("train-not-test", swap("split.X_test", "X_fit", "split.y_test", "y_fit")),
        ("stale-value", swap("p = again.fit(X_fit, y_fit)", "p = RandomForestClassifier(20, max_depth=4, random_state=0).fit(X_fit, y_fit)")),
        ("tag-missing", swap('client.set_tag(best["run_id"], "winner", "yes")', "pass")),
        ("tag-name", swap('"winner"', '"Winner"')),
        ("tag-as-param", swap("client.set_tag(best", "client.log_param(best")),
        ("tag-value", swap('"yes"', '"best"')),
        ("wrong-direction", swap(" DESC", "")),
        ("two-winners", append('for run_id in mlflow.search_runs()["run_id"]:\n    client.set_tag(run_id, "winner", "yes")')),
        ("not-the-best", swap("iloc[0]", "iloc[2]")),
    ],
    2: [
        ("not-started", ""),
        ("file-name", swap("top3.csv", "top-3.csv")),
        ("file-broken", 'open(store.outputs("hw-comparing-runs") / "top3.csv", "w").close()'),
        ("column-missing", swap('"run_name", "n_est', '"run", "n_est')),
        ("column-missing", swap('report.columns = ["run_name", "n_estimators", "valid_auc"]', "", 'report["n_estimators"]', 'report["params.n_estimators"]')),
        ("failed-run-wins", swap("attributes.status = 'FINISHED'", "")),
        ("text-not-number", swap(".astype(int)", "", ">= 100", '>= "100"')),
        ("text-not-number", swap('report = report[report["n_estimators"].astype(int) >= 100]', "")),
        ("row-count", swap(".head(3)", "")),
        ("wrong-direction", swap(" DESC", "")),
        ("wrong-direction", swap(".head(3)", ".head(3)[::-1]")),
        ("row-order", swap(".head(3)", ".head(3).iloc[[1, 0, 2]]")),
        ("wrong-runs", swap(">= 100", "> 100")),
        ("unknown-run", swap(".head(3)", '.head(3).assign(run_name="best")')),
        ("row-mixed", swap(".head(3)", ".head(3).assign(n_estimators=500)")),
        ("row-mixed", swap(".head(3)", '.head(3).assign(valid_auc="high")')),
        ("rounded", swap(".head(3)", ".head(3).round(3)")),
    ],
    3: [
        ("not-started", ""),
        ("run-deleted", swap("client.restore_run(monday.info.run_id)", "pass")),
        ("run-name", swap('run_name="monday-again"', 'run_name="monday again"')),
        ("run-missing", "client.restore_run(mlflow.search_runs(run_view_type=ViewType.DELETED_ONLY).run_id[0])"),
        ("run-failed", append("    raise RuntimeError('late')")),
        ("param-missing", swap("mlflow.log_params(settings)", "pass")),
        ("param-value", swap("mlflow.log_params(settings)", 'mlflow.log_params(settings | {"min_samples_leaf": 1})')),
        ("wrong-source", swap("settings = {", 'tuesday = mlflow.search_runs(filter_string="run_name = \'tuesday\'", output_format="list")[0]\nsettings = {', "in monday.data", "in tuesday.data")),
        ("wrong-source", append('    mlflow.set_tag("restored_from", mlflow.search_runs(filter_string="run_name = \'tuesday\'").run_id[0])')),
        ("tag-missing", swap('mlflow.set_tag("restored_from", monday.info.run_id)', "pass")),
        ("tag-as-param", swap('mlflow.set_tag("restored_from"', 'mlflow.log_param("restored_from"')),
        ("tag-name", swap('"restored_from"', '"restored from"')),
        ("name-not-id", swap('"restored_from", monday.info.run_id', '"restored_from", monday.info.run_name')),
        ("tag-value", swap('"restored_from", monday.info.run_id', '"restored_from", mlflow.active_run().info.run_id')),
        ("train-not-valid", swap("roc_auc_score(y_valid, tree.predict_proba(X_valid)", "roc_auc_score(y_fit, tree.predict_proba(X_fit)")),
        ("test-not-valid", swap("roc_auc_score(y_valid, tree.predict_proba(X_valid)", "roc_auc_score(split.y_test, tree.predict_proba(split.X_test)")),
        ("value-wrong", swap("tree.predict_proba(X_valid)[:, 1]", "tree.predict(X_valid)")),
        ("metric-as-param", swap('mlflow.log_metric("valid_auc"', 'mlflow.log_param("valid_auc"')),
    ],
    4: [
        ("not-started", ""),
        ("wrong-rows", swap("filter_string=f\"datasets.digest = '{tumours.digest}'\",", "")),
        ("wrong-rows", swap("datasets.digest = '{tumours.digest}'", "datasets.name = 'tumours'")),
        ("wrong-rows", swap("tumours.digest", "no_doubt.digest")),
        ("wrong-direction", swap(" ASC", " DESC")),
        ("not-the-best", swap("iloc[0]", "iloc[1]")),
        ("two-winners", append('client.set_tag(fair.iloc[1].run_id, "fair_winner", "yes")')),
        ("tag-name", swap('"fair_winner"', '"Fair winner"')),
        ("tag-missing", swap('"fair_winner"', '"best"')),
        ("tag-as-param", swap("client.set_tag", "client.log_param")),
        ("tag-value", swap('"yes"', '"1"')),
        ("new-run", swap("client.set_tag(fair.iloc[0].run_id,", 'with mlflow.start_run(run_name="fair"):\n    mlflow.set_tag(')),
    ],
    5: [
        ("not-started", ""),
        ("metric-missing", swap('client.log_metric(curve.info.run_id, "best_step", peak.step)', "pass")),
        ("metric-as-param", swap('client.log_metric(curve.info.run_id, "best_valid_auc"', 'client.log_param(curve.info.run_id, "best_valid_auc"')),
        ("metric-as-tag", swap('client.log_metric(curve.info.run_id, "best_valid_auc"', 'client.set_tag(curve.info.run_id, "best_valid_auc"')),
        ("last-not-best", swap("peak = max(points, key=lambda point: point.value)", "peak = points[-1]")),
        ("last-not-best", swap("peak.step", "points[-1].step")),
        ("wrong-direction", swap("max(points", "min(points")),
        ("index-not-step", swap("peak.step", "points.index(peak)")),
    ],
}

#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT = {
    1: {
        "line 8: 5 →": "any limit that shows the best run will do",
        "line 8: dropped max_results=": "any limit that shows the best run will do",
    },
    2: {
        "line 7: dropped index=": "a further column does no harm",
        "line 7: False →": "a further column does no harm",
    },
    3: {"line 2: dropped filter_string=": "the last of all runs, newest first, is Monday's as well"},
}

# Found by people who attacked the checks.
WRONG[3].append(("rebuilt-not-restored", '''  # rebuilt not restored
(old,) = mlflow.search_runs(filter_string="run_name = 'monday'", run_view_type=ViewType.ALL, output_format="list")
p = {k: int(v) for k, v in old.data.params.items()}
ids = []
for name in ("monday", "monday-again"):
    with mlflow.start_run(run_name=name) as r:
        m = DecisionTreeClassifier(**p).fit(X_fit, y_fit)
        mlflow.log_params(p); mlflow.log_metric("valid_auc", roc_auc_score(y_valid, m.predict_proba(X_valid)[:, 1]))
        ids.append(r.info.run_id)
        if len(ids) > 1: mlflow.set_tag("restored_from", ids[0])
'''))
_NEW = """
with mlflow.start_run(run_name="curve"):
    mlflow.log_metrics({"best_valid_auc": 0.75, "best_step": 60})
"""
WRONG[5].append(("new-not-given", _NEW))
