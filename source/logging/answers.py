"""Right and wrong answers to the homework of Logging."""

from tests.submissions.tools import append, swap

RIGHT = {
    1: [
        # by the client, one by one, with a note set later and more parameters than asked
        """
        client = mlflow.MlflowClient()
        made = client.create_run(client.create_experiment("hw-log-password"), run_name="logistic").info.run_id
        for name, value in settings.items():
            if not name.startswith("db_"):
                client.log_param(made, name, value)
        client.log_param(made, "model", "logistic regression")
        p = model.predict_proba(split.X_test)
        client.log_metric(made, "test_auc", roc_auc_score(split.y_test, p[:, 1]))
        client.log_metric(made, "test_loss", log_loss(split.y_test, p))
        client.set_tag(made, "owner", "Ada")
        client.set_tag(made, "mlflow.note.content", "Baseline, made for homework")
        client.set_terminated(made)
        """,
        # an earlier run with the password is there; the newest is clean
        """
        mlflow.set_experiment("hw-log-password")
        with mlflow.start_run(run_name="logistic"):
            mlflow.log_params(settings)
        with mlflow.start_run(run_name="logistic", tags={"owner": "Ada", "team": "churn"}) as r:
            mlflow.log_params({"C": 0.3, "max_iter": 500})
            mlflow.log_param("data_seed", str(data.course_seed()))
            p = model.predict_proba(split.X_test)[:, 1]
            mlflow.log_metrics({"test_auc": roc_auc_score(split.y_test, p), "test_loss": log_loss(split.y_test, p)})
            mlflow.set_tag("mlflow.note.content", "the model of the lecture")
        """,
    ],
    2: [
        # a timestamp of one's own, in a list first, in a list first
        """
        client = mlflow.MlflowClient()
        made = client.create_run(client.create_experiment("hw-log-curve"), run_name="curve").info.run_id
        batch = []
        for i in range(len(losses)):
            batch.append(mlflow.entities.Metric(key="train_loss", value=losses[i], timestamp=1_750_000_000_000, step=i))
        client.log_batch(made, batch)
        client.set_terminated(made)
        """,
        # two batches, the second half first, beside another metric
        """
        mlflow.set_experiment("hw-log-curve")
        with mlflow.start_run(run_name="curve") as r:
            made = [mlflow.entities.Metric("train_loss", v, 1_750_000_000_000, s) for s, v in enumerate(losses)]
            for part in (made[20:], made[:20]):
                mlflow.MlflowClient().log_batch(r.info.run_id, metrics=part)
            mlflow.log_metric("last_loss", losses[-1])
        """,
    ],
    3: [
        # pyplot and seaborn, a file on disk, a table of records
        """
        import matplotlib
        matplotlib.use("agg")
        import matplotlib.pyplot as plt
        import seaborn
        from sklearn.metrics import confusion_matrix
        mlflow.set_experiment("hw-log-clinic")
        with mlflow.start_run(run_name="report"):
            figure, ax = plt.subplots(figsize=(3, 3))
            seaborn.heatmap(confusion_matrix(y_valid, predicted), annot=True, ax=ax)
            picture = store.outputs("hw-logging") / "confusion_matrix.png"
            figure.savefig(picture)
            plt.close(figure)
            mlflow.log_artifact(picture)
            rows = X_valid.copy()
            rows["predicted"], rows["true"] = predicted, y_valid
            words = {0: "healthy", 1: "malignant"}
            rows = rows.query("true != predicted").replace({"true": words, "predicted": words})
            mlflow.log_table(rows.to_dict(orient="list"), "wrong.json")
            report = store.outputs("hw-logging") / "report.txt"
            names = ["benign", "malignant"]
            report.write_text(classification_report(y_valid, predicted, target_names=names, digits=4))
            mlflow.log_artifact(str(report))
        """,
        # reopened run, true labels as words of numbers
        """
        mlflow.set_experiment("hw-log-clinic")
        with mlflow.start_run(run_name="report") as r:
            mlflow.log_text("Report\\n" + classification_report(y_valid, predicted), "report.txt")
        with mlflow.start_run(run_id=r.info.run_id):
            drawn = plots.confusion_matrix(y_valid, predicted, ["benign", "malignant"])
            mlflow.log_figure(drawn, "confusion_matrix.png")
            bad = predicted != y_valid
            rows = X_valid[bad].assign(predicted=predicted[bad], true=y_valid[bad].astype(float))
            mlflow.log_table(rows, "wrong.json")
        """,
    ],
    4: [
        # groups by groupby, dataset with target and source, everything by other calls
        """
        mlflow.set_experiment("hw-log-origin")
        groups = dict(list(everyone.groupby("churned")["tenure_months"]))
        found = stats.ttest_ind(groups[1.0], groups[0.0], equal_var=False)
        described = mlflow.data.from_pandas(everyone, targets="churned", name="customers")
        with mlflow.start_run(run_name="tenure", tags={"data_sha256": data.digest(everyone)}):
            mlflow.log_params({"data_seed": data.course_seed(), "test": "Welch"})
            mlflow.log_metrics({"t": found.statistic, "p": found.pvalue})
            mlflow.log_input(described, "eda", tags={"rows": "all"})
        """,
        # by formula; a second data set beside the first
        """
        mlflow.set_experiment("hw-log-origin")
        a = everyone.query("churned == 1").tenure_months
        b = everyone.query("churned == 0").tenure_months
        t = (a.mean() - b.mean()) / (a.var() / len(a) + b.var() / len(b)) ** 0.5
        with mlflow.start_run(run_name="tenure"):
            mlflow.log_metric("t", t)
            mlflow.log_param("data_seed", data.course_seed())
            mlflow.log_inputs(
                [mlflow.data.from_pandas(x, name=n) for x, n in ((split.X_test, "others"), (everyone, "customers"))],
                contexts=["test", "eda"],
                tags_list=[None, None],
            )
            mlflow.set_tag("data_sha256", data.digest(everyone))
        """,
    ],
    5: [
        """
        c = mlflow.MlflowClient()
        e = c.get_experiment_by_name("hw-log-typo").experiment_id
        new = c.create_run(e, run_name="corrected")
        c.log_param(new.info.run_id, "C", "0.30")
        c.set_terminated(new.info.run_id)
        (old,) = c.search_runs([e], "params.C = '3.0'")
        c.set_tag(old.info.run_id, "superseded_by", new.info.run_id)
        """,
        # the old run opened again, twice corrected
        """
        old = mlflow.search_runs(experiment_names=["hw-log-typo"]).run_id[0]
        for _ in range(2):
            with mlflow.start_run(run_name="corrected") as new:
                mlflow.log_params({"C": 0.3})
        with mlflow.start_run(run_id=old):
            mlflow.set_tags({"superseded_by": new.info.run_id, "reason": "typing error"})
        """,
    ],
}

_LINK = """
import os, pathlib
root = pathlib.Path(mlflow.last_active_run().info.artifact_uri.removeprefix("file://"))
(root / "report.txt").unlink()
(root / "report.txt").symlink_to(os.__file__)
"""
_LOOP = """
mlflow.set_experiment("hw-log-curve")
with mlflow.start_run(run_name="curve"):
    for {loop}:
        mlflow.log_metric("train_loss", loss{step})
"""
_WHOLE = """
mlflow.set_experiment("hw-log-curve")
with mlflow.start_run(run_name="curve"):
    mlflow.{call}("train_loss", losses)
"""
_AGAIN = """
    later = [mlflow.entities.Metric(p.key, p.value, p.timestamp + 500, p.step) for p in points]
    mlflow.MlflowClient().log_batch(curve.info.run_id, metrics=later)
"""

WRONG = {
    1: [
        ("not-started", ""),
        ("not-started", 'mlflow.set_experiment("hw-log-password")'),
        ("experiment-name", swap("hw-log-password", "HW_log_password")),
        ("run-name", swap('run_name="logistic"', 'run_name="baseline"')),
        ("secret-as-param", swap("log_params(named)", "log_params(settings)")),
        ("secret-as-param", append('    mlflow.set_tag("login", settings["db_password"])')),
        ("secret-in-file", append('    mlflow.log_dict(settings, "settings.json")')),
        ("too-much", swap('"data_seed")', '"data_seed", "db_user")')),
        ("too-much", append('    mlflow.set_tag("login", "as " + settings["db_user"])')),
        ("too-much", append('    mlflow.log_text(settings["db_user"], "how.txt")')),
        ("param-missing", swap('("C", "max_iter", "data_seed")', '("C", "max_iter")')),
        (
            "param-value",
            swap("log_params(named)", 'log_params({"C": 1, "max_iter": 500, "data_seed": 0})'),
        ),
        ("param-as-tag", swap("log_params", "set_tags")),
        ("param-as-metric", swap("log_params", "log_metrics")),
        ("metric-as-param", swap('log_metric("test_auc"', 'log_param("test_auc"')),
        ("metric-name", swap('"test_loss"', '"test-loss"')),
        ("train-not-test", swap("split.X_test", "split.X_train", "split.y_test", "split.y_train")),
        ("labels-not-probabilities", swap("model.predict_proba(split.X_test)[:, 1]", "model.predict(split.X_test)")),
        (
            "accuracy-not-auc",
            swap("roc_auc_score(split.y_test, probability)", "model.score(split.X_test, split.y_test)"),
        ),
        ("metrics-swapped", swap("test_auc", "x", "test_loss", "test_auc", '"x"', '"test_loss"')),
        (
            "rounded",
            swap("roc_auc_score(split.y_test, probability)", "round(roc_auc_score(split.y_test, probability), 3)"),
        ),
        ("tag-as-param", swap("set_tag", "log_param")),
        ("tag-missing", swap('mlflow.set_tag("owner", "Mira")', "pass")),
        ("tag-name", swap('"owner"', '"Owner"')),
        ("tag-empty", swap('"Mira"', '" "')),
        ("note-missing", swap(', description="Baseline for Tom\'s call list"', "")),
        ("note-short", swap("Baseline for Tom's call list", "logistic")),
    ],
    2: [
        ("not-started", ""),
        ("one-point", _LOOP.format(loop="loss in losses[-1:]", step="")),
        ("steps-missing", _LOOP.format(loop="loss in losses", step="")),
        ("steps-twice", append(_AGAIN)),
        ("step-start", swap("enumerate(losses)", "enumerate(losses, 1)")),
        ("points-missing", swap("enumerate(losses)", "enumerate(losses[:-5])")),
        ("reversed", swap("enumerate(losses)", "enumerate(losses[::-1])")),
        ("value-wrong", swap('"train_loss", loss,', '"train_loss", loss / losses[0],')),
        ("one-by-one", swap("loss, now, step", "loss, now + step, step")),
        ("one-by-one", _LOOP.format(loop="step, loss in enumerate(losses)", step=", step=step")),
        ("metric-name", swap('"train_loss"', '"train loss"')),
        ("metric-missing", swap('"train_loss"', '"error"')),
        (
            "metric-as-tag",
            _WHOLE.format(call="set_tag"),
        ),
        (
            "metric-as-param",
            _WHOLE.format(call="log_param"),
        ),
    ],
    3: [
        ("not-started", ""),
        ("artifact-missing", swap('    mlflow.log_table(wrong, "wrong.json")', "    pass")),
        ("artifact-name", swap('"confusion_matrix.png"', '"confusion-matrix.png"')),
        ("artifact-name", swap('"report.txt"', '"texts/report.txt"')),
        ("artifact-outside", append(_LINK)),
        (
            "not-a-picture",
            swap("mlflow.log_figure(figure,", 'mlflow.log_text("[[1, 2]]",'),
        ),
        (
            "figure-empty",
            swap(
                'plots.confusion_matrix(y_valid, predicted, ["benign", "malignant"])',
                "__import__('matplotlib.figure').figure.Figure()",
            ),
        ),
        ("not-a-table", swap("mlflow.log_table(wrong,", "mlflow.log_text(wrong.to_csv(),")),
        (
            "column-missing",
            swap(
                "true=y_valid, predicted=predicted",
                "true=y_valid, guess=predicted",
                'tumours["predicted"]',
                'tumours["guess"]',
            ),
        ),
        ("all-rows", swap("log_table(wrong,", "log_table(tumours,")),
        ("right-rows", swap("!=", "==")),
        (
            "table-grew",
            swap(
                'mlflow.log_table(wrong, "wrong.json")',
                'mlflow.log_table(wrong, "wrong.json"); mlflow.log_table(wrong, "wrong.json")',
            ),
        ),
        ("wrong-rows", swap("log_table(wrong,", "log_table(wrong.head(),")),
        (
            "wrong-rows",
            swap(
                'wrong = tumours[tumours["true"] != tumours["predicted"]]',
                'wrong = tumours[(tumours["true"] == 1) & (tumours["predicted"] == 0)]',
            ),
        ),
        (
            "not-a-report",
            swap(
                "classification_report(y_valid, predicted)",
                'f"accuracy {neighbors.score(X_valid, y_valid)}"',
            ),
        ),
        (
            "train-not-valid",
            swap(
                "classification_report(y_valid, predicted)",
                "classification_report(y_train, neighbors.predict(X_train))",
            ),
        ),
        (
            "classes-swapped",
            swap(
                "classification_report(y_valid, predicted)",
                'classification_report(y_valid, predicted, target_names=["malignant", "benign"])',
            ),
        ),
        (
            "report-value",
            swap("classification_report(y_valid, predicted)", "classification_report(y_valid, 1 - predicted)"),
        ),
        (
            "report-value",
            swap("classification_report(y_valid, predicted)", "classification_report(predicted, y_valid)"),
        ),
    ],
    4: [
        ("not-started", ""),
        ("metric-as-param", swap('log_metric("t"', 'log_param("t"')),
        ("groups-swapped", swap("== 1", "== 2", "== 0", "== 1", "== 2", "== 0")),
        ("student-not-welch", swap(", equal_var=False", "")),
        ("p-not-t", swap("welch.statistic", "welch.pvalue")),
        (
            "difference-not-t",
            swap("welch.statistic", "leavers.mean() - stayers.mean()"),
        ),
        ("value-wrong", swap("everyone[everyone", "everyone[:2000][everyone")),
        ("param-missing", swap('mlflow.log_param("data_seed", data.course_seed())', "pass")),
        ("param-value", swap('"data_seed", data.course_seed()', '"data_seed", 42')),
        (
            "data-version-missing",
            swap('mlflow.log_input(described, context="eda")', "pass"),
        ),
        ("dataset-name", swap('name="customers"', 'name="dataset"')),
        ("wrong-data", swap("from_pandas(everyone", "from_pandas(everyone[:5000]")),
        ("context-wrong", swap(', context="eda"', "")),
        ("digest-of-mlflow", swap("data.digest(everyone)", "mlflow.data.from_pandas(everyone).digest")),
        ("digest-wrong", swap("data.digest(everyone)", "data.digest(everyone[:5000])")),
        ("tag-missing", swap('mlflow.set_tag("data_sha256", data.digest(everyone))', "pass")),
        ("tag-as-param", swap('set_tag("data_sha256"', 'log_param("data_sha256"')),
        ("tag-name", swap('"data_sha256"', '"data_sha"')),
    ],
    5: [
        ("not-started", ""),
        ("run-name", swap('run_name="corrected"', 'run_name="right"')),
        ("param-value", swap("0.3", "30")),
        ("tag-missing", swap('client.set_tag(typo.info.run_id, "superseded_by", corrected.info.run_id)', "pass")),
        ("wrong-link", swap("corrected.info.run_id)", '"corrected")')),
        ("run-deleted", append("mlflow.delete_run(typo.info.run_id)")),
    ],
}

#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT = {
    1: {
        'line 4: "Baseline': "any description of three words is right",
        "line 9: 'Mira'": "any name is right",
    },
    2: {
        "line 4: 1000 →": "the timestamp is free, as long as the points share it",
    },
    3: {
        "line 3: dropped names=": "how a further column is called is left open",
        "line 3: 'tumour' →": "how a further column is called is left open",
        "line 4: 'benign'": "the words on the picture are free",
        "line 4: 'malignant'": "the words on the picture are free",
    },
    5: {
        "line 3: dropped filter_string=": "on the first try `typo` is the only run of the experiment",
    },
}

# Found by people who attacked the checks.
RIGHT[3].append("""  # words as labels
import numpy as np
mlflow.set_experiment("hw-log-clinic")
say = np.array(["stayed", "left"])
t = X_valid.assign(true=say[y_valid], predicted=say[predicted])
with mlflow.start_run(run_name="report"):
    mlflow.log_figure(plots.confusion_matrix(y_valid, predicted), "confusion_matrix.png")
    mlflow.log_table(t[t.true != t.predicted], "wrong.json")
    mlflow.log_text(classification_report(y_valid, predicted, target_names=list(say)), "report.txt")
""")
WRONG[2].append(
    (
        "one-by-one",
        """  # one by one async
mlflow.set_experiment("hw-log-curve")
with mlflow.start_run(run_name="curve"):
    for step, loss in enumerate(losses):
        mlflow.log_metric("train_loss", loss, step=step, synchronous=False)
    mlflow.flush_async_logging()
""",
    )
)
WRONG[2].append(
    (
        "one-by-one",
        """  # two calls two timestamps
mlflow.set_experiment("hw-log-curve")
with mlflow.start_run(run_name="curve") as r:
    c = mlflow.MlflowClient()
    for part in (range(0, 20), range(20, 40)):
        now = int(time.time() * 1000)
        c.log_batch(r.info.run_id, metrics=[mlflow.entities.Metric("train_loss", losses[i], now, i) for i in part])
        time.sleep(0.05)
""",
    )
)
WRONG[3].append(
    (
        "columns-swapped",
        """  # swapped columns
mlflow.set_experiment("hw-log-clinic")
t = X_valid.copy()
t["true"] = predicted
t["predicted"] = y_valid
wrong = t[t["true"] != t["predicted"]]
with mlflow.start_run(run_name="report"):
    mlflow.log_figure(plots.confusion_matrix(y_valid, predicted), "confusion_matrix.png")
    mlflow.log_table(wrong, "wrong.json")
    mlflow.log_text(classification_report(y_valid, predicted), "report.txt")
""",
    )
)

RIGHT[3].append("""  # sorted by size, with words in an order that the alphabet does not have
mlflow.set_experiment("hw-log-clinic")
words = {0: "well", 1: "ill"}
t = X_valid.assign(true=y_valid.map(words), predicted=[words[int(p)] for p in predicted])
t = t[t.true != t.predicted].sort_values(X_valid.columns[0])
with mlflow.start_run(run_name="report"):
    mlflow.log_figure(plots.confusion_matrix(y_valid, predicted), "confusion_matrix.png")
    mlflow.log_table(t[t.columns[::-1]], "wrong.json")
    mlflow.log_text(classification_report(y_valid, predicted), "report.txt")
""")

#: Wrong answers that pass, because a store holds no trace of the mistake: (what cannot be seen, answer).
UNSEEN = {
    2: [
        (
            "many calls that carry one timestamp look like one",
            """
mlflow.set_experiment("hw-log-curve")
c = mlflow.MlflowClient()
with mlflow.start_run(run_name="curve") as r:
    now = int(time.time() * 1000)
    for i, v in enumerate(losses):
        c.log_metric(r.info.run_id, "train_loss", v, timestamp=now, step=i)
""",
        ),
    ],
    3: [
        (
            "what a picture shows: a histogram under the matrix's name",
            """
import matplotlib.pyplot as plt
mlflow.set_experiment("hw-log-clinic")
t = X_valid.assign(true=y_valid, predicted=predicted)
fig, ax = plt.subplots(); ax.hist(predicted)
with mlflow.start_run(run_name="report"):
    mlflow.log_figure(fig, "confusion_matrix.png")
    mlflow.log_table(t[t.true != t.predicted], "wrong.json")
    mlflow.log_text(classification_report(y_valid, predicted), "report.txt")
""",
        ),
        (
            "what a picture shows: the matrix of the training rows",
            """
mlflow.set_experiment("hw-log-clinic")
t = X_valid.assign(true=y_valid, predicted=predicted)
with mlflow.start_run(run_name="report"):
    mlflow.log_figure(plots.confusion_matrix(y_train, neighbors.predict(X_train)), "confusion_matrix.png")
    mlflow.log_table(t[t.true != t.predicted], "wrong.json")
    mlflow.log_text(classification_report(y_valid, predicted), "report.txt")
""",
        ),
    ],
}
WRONG[3].append(("label-unknown", swap("predicted=predicted", 'predicted=["?"] * len(predicted)')))
WRONG[2].append(("rounded", swap('"train_loss", loss,', '"train_loss", round(loss, 3),')))
