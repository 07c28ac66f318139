"""Right and wrong answers to the homework `monitoring`."""

from tests.submissions.tools import append, swap

RIGHT = {
    1: [
        # more columns than asked, the week as a tag too
        """
        mlflow.set_experiment("hw-monitoring-service")
        p = model.predict_proba(week_1)
        with mlflow.start_run(run_name="week-01", tags={"region": "north"}):
            mlflow.log_table(week_1.assign(stay=p[:, 0], probability=p[:, 1], version=1), "predictions.json")
            mlflow.log_params({"week": "01", "rows": len(week_1)})
        """,
        # by the client, as a dict of lists, after a failed attempt
        """
        c = mlflow.MlflowClient()
        e = mlflow.set_experiment("hw-monitoring-service").experiment_id
        c.set_terminated(c.create_run(e, run_name="week-01").info.run_id, "FAILED")
        r = c.create_run(e, run_name="week-01").info.run_id
        c.log_param(r, "week", 1)
        columns = {name: week_1[name].tolist() for name in features}
        c.log_table(r, {"probability": model.predict_proba(week_1)[:, 1].tolist(), **columns}, "predictions.json")
        c.set_terminated(r)
        """,
    ],
    2: [
        # all at once, as tags of the run
        """
        mlflow.set_experiment("hw-monitoring-drift")
        spoken = pd.Series(model.predict_proba(spring.X_train).T[1])
        for week in sorted(prices.week.unique(), reverse=True):
            rows = prices[prices.week == week]
            value = psi(then, rows.monthly_charges)
            with mlflow.start_run(run_name="week-" + str(week).zfill(2), tags={"alert": "yes" if value > 0.25 else "no"}):
                mlflow.log_metric("psi", value)
                mlflow.log_metric("ks", stats.ks_2samp(rows.monthly_charges, then)[0])
                mlflow.log_metric("psi_prediction", psi(spoken, model.predict_proba(rows[features])[:, 1]))
        """,
        # the client, a table of all numbers first
        """
        c = mlflow.MlflowClient()
        e = mlflow.set_experiment("hw-monitoring-drift").experiment_id
        said = pd.Series(model.predict_proba(spring.X_train)[:, 1])
        for week in range(8, 0, -1):
            part = prices[prices.week == week]
            now = part["monthly_charges"]
            r = c.create_run(e, run_name=f"week-0{week}", tags={"alert": "no"}).info.run_id
            c.log_metric(r, "psi", psi(then, now))
            c.log_metric(r, "ks", stats.ks_2samp(now, then).statistic)
            c.log_metric(r, "psi_prediction", psi(said, pd.Series(model.predict_proba(part[features])[:, 1])))
            if psi(then, now) > 0.25:
                c.set_tag(r, "alert", "yes")
            c.set_terminated(r)
        """,
    ],
    3: [
        # the rule by hand
        """
        mlflow.set_experiment("hw-monitoring-scores")
        known = rules[rules.week <= 6]
        by_week = {w: roc_auc_score(r.churned, model.predict_proba(r[features])[:, 1]) for w, r in known.groupby("week")}
        low = [value < limit for value in by_week.values()]
        with mlflow.start_run(run_name="label-scores"):
            for w, value in by_week.items():
                mlflow.log_metrics({"roc_auc": value, "other": 1.0}, step=int(w))
            mlflow.set_tag("alert_week", min(n + 2 for n in range(1, 6) if low[n] and low[n - 1]) - 1)
        """,
        # by the client, newest week first, one week logged twice
        """
        c = mlflow.MlflowClient()
        e = mlflow.set_experiment("hw-monitoring-scores").experiment_id
        r = c.create_run(e, run_name="label-scores", tags={"alert_week": "4"}).info.run_id
        for week in (6, 5, 4, 3, 2, 1, 1):
            rows = rules.query("week == @week")
            c.log_metric(r, "roc_auc", roc_auc_score(rows["churned"], model.predict_proba(rows[features]).T[1]), step=week)
        c.set_terminated(r)
        """,
    ],
    4: [
        # registered when logged
        """
        new = new_model().fit(recent[features], recent["churned"])
        made = store.log_model(new, "m", recent[features], registered_model_name="hw-monitoring-churn")
        mlflow.set_experiment("hw-monitoring-gate")
        print(gate("hw-monitoring-churn", made.registered_model_version, held_out, by="me", why="alert"))
        """,
        # a bad version first, refused; then the good one
        """
        bad = new_model().fit(spring.X_train, 1 - spring.y_train)
        mlflow.register_model(store.log_model(bad, "bad", spring.X_train).model_uri, "hw-monitoring-churn")
        good = new_model().fit(recent[features], recent.churned)
        mlflow.register_model(store.log_model(good, "good", spring.X_train).model_uri, "hw-monitoring-churn")
        mlflow.set_experiment("hw-monitoring-gate")
        for version in "23":
            gate("hw-monitoring-churn", version, held_out, by="me", why="alert")
        """,
    ],
    5: [
        # scipy
        """
        import pandas as pd
        from scipy.stats import chi2_contingency
        mlflow.set_experiment("hw-monitoring-category")
        counts = pd.concat([first.value_counts(), last.value_counts()], axis=1).fillna(0)
        found = chi2_contingency(counts)
        with mlflow.start_run(run_name="internet"):
            mlflow.log_metric("cramers_v", (found.statistic / counts.to_numpy().sum()) ** 0.5)
            mlflow.log_metric("p", found.pvalue)
        """,
        # a cross table, V by numpy
        """
        mlflow.set_experiment("hw-monitoring-category")
        both = pd.concat([first, last], keys=["then", "now"]).reset_index(level=0)
        counts = pd.crosstab(both["internet"], both["level_0"])
        chi2, p, *_ = stats.chi2_contingency(counts, correction=False)
        with mlflow.start_run(run_name="internet"):
            mlflow.log_metrics({"cramers_v": float(np.sqrt(chi2 / len(both))), "p": p, "n": len(both)})
        """,
    ],
}

_ELSEWHERE = """
import os
file = mlflow.last_active_run().info.artifact_uri.removeprefix("file://") + "/predictions.json"
os.replace(file, "elsewhere.json")
os.symlink(os.path.abspath("elsewhere.json"), file)
"""

WRONG = {
    1: [
        ("not-started", ""),
        ("param-missing", swap('mlflow.log_param("week", 1)', "pass")),
        ("param-value", swap('"week", 1', '"week", 2')),
        ("artifact-missing", swap('mlflow.log_table(scored, "predictions.json")', "pass")),
        ("artifact-name", swap('"predictions.json"', '"prediction.json"')),
        ("artifact-outside", append(_ELSEWHERE)),
        ("table-broken", swap('mlflow.log_table(scored, "predictions.json")', 'mlflow.log_dict({"n": 1}, "predictions.json")')),
        ("column-missing", swap("probability=", "p=")),
        ("inputs-missing", swap("mlflow.log_table(scored,", 'mlflow.log_table(scored[["probability"]],')),
        ("wrong-week", swap("week_1.assign", "week_1.head(100).assign", "predict_proba(week_1)", "predict_proba(week_1.head(100))")),
        ("labels-not-probabilities", swap("model.predict_proba(week_1)[:, 1]", "model.predict(week_1)")),
        ("wrong-class", swap("[:, 1]", "[:, 0]")),
        ("rounded", swap("[:, 1]", "[:, 1].round(2)")),
    ],
    2: [
        ("not-started", ""),
        ("reference-swapped", swap("psi(then, now)", "psi(now, then)")),
        ("previous-week", swap('now = rows["monthly_charges"]', 'now = rows["monthly_charges"]\n    then = prices.query("week == @week - 1")["monthly_charges"] if week > 1 else then')),
        ("p-not-distance", swap(".statistic", ".pvalue")),
        ("decision-wrong", swap("drift > 0.25", "drift > 0.01")),
        ("decision-word", swap('"yes"', '"ALERT"')),
        ("tag-missing", swap('mlflow.set_tag("alert", "yes" if drift > 0.25 else "no")', "pass")),
        ("metric-missing", swap(', "ks": stats.ks_2samp(then, now).statistic', "")),
        ("run-name", swap("{week:02d}", "{week}")),
        ("value-wrong", swap("psi(then, now)", "psi(then, now, bins=5)")),
        ("labels-not-probabilities", swap("pd.Series(model.predict_proba(rows[features])[:, 1])", "pd.Series(model.predict(rows[features]))", "pd.Series(model.predict_proba(spring.X_train)[:, 1])", "pd.Series(model.predict(spring.X_train))")),
        ("reference-swapped", swap("psi(said, says)", "psi(says, said)")),
        ("metric-missing", swap('mlflow.log_metric("psi_prediction", psi(said, says))', "pass")),
    ],
    3: [
        ("not-started", ""),
        ("label-not-there", swap("<= today - label_delay", "<= today")),
        ("weeks-missing", swap("<= today - label_delay", "<= 4")),
        ("step-missing", swap(", step=week", "")),
        (
            "accuracy-not-auc",
            swap(
                'roc_auc_score(rows["churned"], p)', 'model.score(rows[features], rows["churned"])',
                '"alert_week", alerts[0]', '"alert_week", (alerts or [1])[0]',
            ),
        ),
        ("labels-not-probabilities", swap("model.predict_proba(rows[features])[:, 1]", "model.predict(rows[features])")),
        ("alert-week", swap("max(scores[w - 1], scores[w]) < limit", "min(scores[w - 1], scores[w]) > limit")),
        ("alert-week", swap('"alert_week", alerts[0]', '"alert_week", "yes, in %s" % alerts[0]')),
        ("one-week-alone", swap("max(scores[w - 1], scores[w])", "scores[w]")),
        ("tag-as-param", swap("mlflow.set_tag(", "mlflow.log_param(")),
    ],
    4: [
        ("not-started", ""),
        ("gate-missing", swap('gate("hw-monitoring-churn", version, held_out, by="Mira", why=why)', "None")),
        ("gate-missing", swap('gate("hw-monitoring-churn", version, held_out, by="Mira", why=why)', 'mlflow.MlflowClient().set_registered_model_alias("hw-monitoring-churn", "champion", version)')),
        ("wrong-experiment", swap('mlflow.set_experiment("hw-monitoring-gate")\n', "")),
        ("stale-holdout", swap("version, held_out,", "version, spring.X_test.assign(churned=spring.y_test),")),
        ("train-not-test", swap("version, held_out,", "version, recent,")),
        ("trained-on-held-out", swap('fit(recent[features], recent["churned"])', 'fit(rules.query("3 <= week <= 6")[features], rules.query("3 <= week <= 6")["churned"])')),
        ("not-retrained", swap('new_model().fit(recent[features], recent["churned"])', "model")),
        ("alias-not-moved", append('mlflow.MlflowClient().set_registered_model_alias("hw-monitoring-churn", "champion", 1)')),
        ("registered-name", append('mlflow.MlflowClient().rename_registered_model("hw-monitoring-churn", "hw_monitoring_Churn")')),
    ],
    5: [
        ("not-started", ""),
        ("statistic-not-v", swap('"cramers_v": cramers_v', '"cramers_v": cramers_v**2 * 600')),
        ("p-not-distance", swap('"cramers_v": cramers_v', '"cramers_v": found.pvalue')),
        ("metric-missing", swap(', "p": found.pvalue', "")),
        ("value-wrong", swap('"cramers_v": cramers_v', '"cramers_v": 0.5')),
    ],
}

#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT: dict[int, dict[str, str]] = {
    3: {"line 8: 1 → 3": "by chance: the rise comes after week 3, so `w > 3` is right; `w - 3`, which has the same name, is not"},
    4: {
        "line 2: 'retrained'": "a logged model may have any name",
        "line 6: 'two weeks": "any reason is right",
        "line 7: 'Mira'": "anybody may sign",
    },
    5: {"line 2: 0 → 1": "both weeks have every kind of internet, so nothing is filled"},
}

# Found by people who attacked the checks.
RIGHT[1].append('''  # riskiest first
mlflow.set_experiment("hw-monitoring-service")
answers = week_1.copy()
answers["probability"] = model.predict_proba(week_1)[:, 1]
answers = answers.sort_values("probability", ascending=False)
with mlflow.start_run(run_name="week-01"):
    mlflow.log_param("week", 1)
    mlflow.log_table(answers, artifact_file="predictions.json")
''')
_P = "model.predict_proba(week_1)[:, 1]"
WRONG[1] += [
    ("percent-not-share", swap(_P, f"100 * {_P}")),
    ("rounded", swap(_P, f"{_P}.round(2)")),
    ("rows-shuffled", swap(_P, f"{_P}[::-1]")),
    ("not-a-number", swap("week_1.assign(", 'week_1.assign(data_gb=[f"{value} GB" for value in week_1["data_gb"]], ')),
]
WRONG[2] += [
    ("metrics-exchanged", swap('{"psi": drift, "ks": stats.ks_2samp(then, now).statistic}', '{"ks": drift, "psi": stats.ks_2samp(then, now).statistic}')),
    ("other-reference", swap("psi(then, now)", 'psi(spring.X_test["monthly_charges"], now)')),
    ("previous-week", swap("psi(then, now)", "psi(prices.query('week == 1')['monthly_charges'], now)")),
]

# Found by answers that were written without sight of the checks.
WRONG[1] += [
    ("rounded", swap(_P, f"{_P}.round(1)")),
    ("refitted-model", swap(_P, f'new_model().fit(week_1, prices.query("week == 1")["churned"]).{_P.removeprefix("model.")}')),
    ("value-wrong", swap(_P, f"{_P} ** 2")),
]
_ALL = """
mlflow.set_experiment("hw-monitoring-drift")
with mlflow.start_run(run_name="week-01"):
    for week, rows in prices.groupby("week"):
        mlflow.log_metric("psi", psi(then, rows["monthly_charges"]), step=week)
        mlflow.log_metric("ks", stats.ks_2samp(then, rows["monthly_charges"]).statistic, step=week)
"""
WRONG[2] += [
    ("weeks-in-one-run", _ALL),
    ("other-stream", swap("prices.groupby", "rules.groupby")),
    ("weeks-pooled", swap("    now = rows", '    rows = prices[prices["week"] <= week]\n    now = rows')),
    ("other-column", swap('now = rows["monthly_charges"]', 'now, then = rows["tenure_months"], spring.X_train["tenure_months"]')),
    ("previous-week", swap("predict_proba(spring.X_train)", 'predict_proba(prices.query("week == 1")[features])')),
]
WRONG[3] += [
    ("other-stream", swap("rules.groupby", "prices.groupby", '"alert_week", alerts[0]', '"alert_week", 4')),
    ("weeks-pooled", swap("p = model", 'rows = rules[rules["week"] <= week]\n            p = model')),
    ("refitted-model", swap("p = model.predict", 'p = new_model().fit(rows[features], rows["churned"]).predict', '"alert_week", alerts[0]', '"alert_week", 4')),
]
_NEW = 'fit(recent[features], recent["churned"])'
WRONG[4] += [
    ("trained-on-held-out", swap(_NEW, 'fit(held_out[features], held_out["churned"])')),
    ("trained-on-held-out", swap(_NEW, 'fit(rules[features], rules["churned"])')),
    (
        "old-rows-kept",
        swap(_NEW, 'fit(pd.concat([spring.X_train, recent[features]]), pd.concat([spring.y_train, recent["churned"]]))'),
    ),
    ("judged-on-all", swap("version, held_out,", "version, rules,")),
]
UNSEEN = {
    2: [("an alert by the limit 0.1, which no week of these eight lies near", swap("drift > 0.25", "drift > 0.1"))],
}

# Found by a reader who answered to the letter.
WRONG[2].append(("run-missing", swap('prices.groupby("week")', 'prices.query("week < 4").groupby("week")')))
# a slip in task 2 is none in task 3
WRONG[3].append(("not-started", 'mlflow.set_experiment("hw-monitoring-drift")\nmlflow.start_run(run_name="week-8").__exit__(None, None, None)'))
WRONG[5].append(("root-too-early", swap("(found.statistic / counts.to_numpy().sum()) ** 0.5", "found.statistic ** 0.5 / counts.to_numpy().sum()")))
