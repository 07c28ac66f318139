"""Right and wrong answers to the homework of evaluation."""

from tests.submissions.tools import append, swap

RIGHT = {
    1: [
        # with the client, the data sets made by hand, a first try without a data set
        """
        with mlflow.start_run() as run:
            mlflow.log_metric("recall", 0.5, model_id=model_id)
        says = model.predict(X_valid)
        for name, part in (("tumours-large", X_valid.mean_area >= 700), ("tumours-small", X_valid.mean_area < 700)):
            rows = mlflow.data.from_pandas(X_valid[part], name=name)
            mlflow.start_run(run_name=name)
            mlflow.log_metric("recall", says[part & y_valid].mean(), model_id=model_id, dataset=rows)
            mlflow.end_run()
        """,
        # the stored model, loaded again; a wrong value first, in the same run
        """
        loaded = mlflow.sklearn.load_model(f"models:/{model_id}")
        with mlflow.start_run(run_name="both"):
            for name, ask in (("tumours-small", "mean_area < 700"), ("tumours-large", "mean_area >= 700")):
                X = X_valid.query(ask)
                y = y_valid[X.index]
                rows = as_dataset(X, y, name)
                mlflow.log_metric("recall", 0.1, model_id=model_id, dataset=rows)
                mlflow.log_metric("recall", recall_score(y, loaded.predict(X)), model_id=model_id, dataset=rows)
        """,
    ],
    2: [
        # by hand, over the metrics of each model
        """
        client = mlflow.MlflowClient()
        found = client.search_logged_models([mlflow.get_experiment_by_name("hw-evaluation-ranking").experiment_id])
        score = {}
        for m in found:
            for metric in m.metrics:
                if metric.key == "roc_auc" and metric.dataset_digest == valid_rows.digest:
                    score[m.model_id] = metric.value
        client.set_logged_model_tags(max(score, key=score.get), {"chosen": "yes"})
        """,
        # another one first, then taken back
        """
        found = mlflow.search_logged_models(output_format="list")
        mlflow.set_logged_model_tags(found[0].model_id, {"chosen": "yes"})
        mlflow.set_logged_model_tags(found[0].model_id, {"chosen": "no"})
        auc = {m.model_id: roc_auc_score(y_valid, four[m.name].fit(X_train, y_train).predict_proba(X_valid)[:, 1]) for m in found}
        best = max(auc, key=auc.get)
        mlflow.set_logged_model_tags(best, {"chosen": "Yes"})
        """,
    ],
    3: [
        # the verdict from the number itself
        """
        count = make_metric(
            eval_fn=lambda predictions, targets: float(targets.sum() - (predictions & targets).sum()),
            greater_is_better=False,
            name="missed",
        )
        with mlflow.start_run(run_name="report") as run:
            result = mlflow.models.evaluate(
                uri, valid_rows, model_type="classifier", extra_metrics=[count], evaluator_config=no_shap
            )
        word = "passed" if result.metrics["recall_score"] >= 0.85 else "refused"
        mlflow.MlflowClient().set_tag(run.info.run_id, "verdict", word)
        """,
        # a first report that failed, a loaded model, its predictions as a table with the model's id
        """
        try:
            with mlflow.start_run(run_name="report"):
                raise ValueError("first try")
        except ValueError:
            pass
        mlflow.start_run(run_name="report")
        missed = make_metric(eval_fn=lambda predictions, targets: (targets > predictions).sum(), greater_is_better=False, name="missed")
        result = mlflow.models.evaluate(
            uri, valid_rows, model_type="classifier", extra_metrics=[missed], evaluator_config=no_shap
        )
        mlflow.set_tag("verdict", "refused" if result.metrics["recall_score"] < 0.85 else "passed")
        mlflow.end_run()
        """,
    ],
    4: [
        # other draws, more of them, through pandas
        """
        import pandas as pd
        frame = pd.DataFrame({"y": truth, "new": p_new, "old": p_old})

        def lead_of(f):
            return roc_auc_score(f.y, f.new) - roc_auc_score(f.y, f.old)

        leads = pd.Series([lead_of(frame.sample(len(frame), replace=True, random_state=i)) for i in range(800)])
        low, high = leads.quantile(0.025), leads.quantile(0.975)
        with mlflow.start_run(run_name="lead"):
            mlflow.log_metric("lead", lead_of(frame))
            mlflow.log_metric("low", low)
            mlflow.log_metric("high", high)
            mlflow.set_tag("verdict", "undecided" if low <= 0 <= high else "better" if low > 0 else "worse")
        """,
        # with scipy, and the client
        """
        from scipy.stats import bootstrap

        def difference(y, new, old):
            return roc_auc_score(y, new) - roc_auc_score(y, old)

        found = bootstrap(
            (truth, p_new, p_old), difference, paired=True, vectorized=False, n_resamples=600, method="percentile", rng=7
        ).confidence_interval
        client = mlflow.MlflowClient()
        run = client.create_run(mlflow.get_experiment_by_name("hw-evaluation-lead").experiment_id, run_name="lead")
        values = {"lead": difference(truth, p_new, p_old), "low": found.low, "high": found.high}
        for name, value in values.items():
            client.log_metric(run.info.run_id, name, float(value))
        word = "better" if found.low > 0 else "worse" if found.high < 0 else "undecided"
        client.set_tag(run.info.run_id, "verdict", word)
        client.set_terminated(run.info.run_id)
        """,
    ],
    5: [
        """
        rows = mlflow.data.from_pandas(answers[["malignant", "says"]], targets="malignant", predictions="says", name="supplier-answers")
        with mlflow.start_run():
            mlflow.models.evaluate(data=rows, model_type="classifier", evaluator_config=no_shap, model_id=supplier.model_id)
        """,
        """
        rows = mlflow.data.from_pandas(answers, targets="malignant", predictions="says", name="supplier-answers")
        mlflow.models.evaluate(data=rows, model_type="classifier", evaluator_config=no_shap, model_id=supplier.model_id)
        """,
    ],
}

_SLICE_LOG = "model_id=model_id, dataset=as_dataset(X, y, name)"
_RECALL = "recall_score(y, model.predict(X))"
_OURS = '{"dataset_name": valid_rows.name, "dataset_digest": valid_rows.digest}'
_RULE = '"better" if low > 0 else "worse" if high < 0 else "undecided"'
_DRAW = "roc_auc_score(truth[rows], p_new[rows]) - roc_auc_score(truth[rows], p_old[rows])"

WRONG = {
    1: [
        ("not-started", ""),
        ("not-on-model", swap(_SLICE_LOG, "dataset=as_dataset(X, y, name)")),
        ("same-name-other-rows", swap("as_dataset(X, y, name)", "as_dataset(X_valid, y_valid, name)")),
        ("data-set-missing", swap(_SLICE_LOG, "model_id=model_id")),
        ("data-set-name", swap('"tumours-small"', '"small"')),
        ("metric-name", swap('log_metric("recall"', 'log_metric("Recall"')),
        ("slices-swapped", swap("small, ", "~small, ", '"tumours-large": ~small', '"tumours-large": small')),
        ("whole-not-slice", swap(_RECALL, "recall_score(y_valid, model.predict(X_valid))")),
        ("train-not-valid", swap('X_valid["mean_area"]', 'X_train["mean_area"]', "X_valid[chosen], y_valid[chosen]", "X_train[chosen], y_train[chosen]")),
        ("arguments-swapped", swap(_RECALL, "recall_score(model.predict(X), y)")),
        ("accuracy-not-recall", swap(_RECALL, "model.score(X, y)")),
        ("wrong-class", swap(_RECALL, "recall_score(y, model.predict(X), pos_label=False)")),
        ("value-wrong", swap(_RECALL, "0.12345")),
    ],
    2: [
        ("not-started", ""),
        ("ranked-without-rows", swap("**ours", "")),
        ("same-name-other-rows", swap(_OURS, '{"dataset_name": valid_rows.name, "dataset_digest": jonas_rows.digest}')),
        ("not-first", swap('"ascending": False', '"ascending": True', "best.model_id, ", "[m for m in mlflow.search_logged_models(output_format='list') if m.name not in ('stump', 'deep-tree') and m.model_id != mlflow.search_logged_models(order_by=[{'field_name': 'metrics.roc_auc', 'ascending': False, **ours}], output_format='list')[0].model_id][0].model_id, ")),
        ("tag-value", swap('"chosen": "yes"', '"chosen": "no"')),
        ("tag-name", swap('"chosen": "yes"', '"choosen": "yes"')),
        ("not-on-model", swap("mlflow.set_logged_model_tags(best.model_id, {", "mlflow.MlflowClient().set_tag(best.source_run_id, *{", '"yes"})', '"yes"}.popitem())')),
        ("two-chosen", append('for m in mlflow.search_logged_models(output_format="list")[:2]:\n    mlflow.set_logged_model_tags(m.model_id, {"chosen": "yes"})')),
    ],
    3: [
        ("not-started", ""),
        ("run-name", swap('run_name="report"', 'run_name="my report"')),
        ("own-metric-missing", swap("extra_metrics=[missed], ", "")),
        ("alarms-not-missed", swap("targets & ~predictions", "predictions & ~targets")),
        ("caught-not-missed", swap("targets & ~predictions", "targets & predictions")),
        ("all-errors", swap("targets & ~predictions", "targets != predictions")),
        ("share-not-count", swap("(targets & ~predictions).sum()", "(targets & ~predictions).sum() / targets.sum()")),
        ("data-set-name", swap("uri, valid_rows", 'uri, as_dataset(X_valid, y_valid, "valid")')),
        ("same-name-other-rows", swap("uri, valid_rows", 'uri, as_dataset(X_train, y_train, "tumours-valid")')),
        ("verdict-wrong", swap('"passed"', '"x"', '"refused"', '"passed"', '"x"', '"refused"')),
        ("verdict-unknown", swap('"passed"', '"good"', '"refused"', '"good"')),
        ("verdict-missing", swap("mlflow.set_tag(", "print(")),
        ("not-evaluated", 'with mlflow.start_run(run_name="report"):\n    mlflow.log_metric("missed", 9, model_id=to_judge.model_id, dataset=valid_rows)\n    mlflow.set_tag("verdict", "refused")'),
        ("not-on-model", 'with mlflow.start_run(run_name="report"):\n    mlflow.log_metric("missed", 9)\n    mlflow.set_tag("verdict", "refused")'),
    ],
    4: [
        ("not-started", ""),
        ("lead-reversed", swap("p_new) - roc_auc_score(truth, p_old)", "p_old) - roc_auc_score(truth, p_new)")),
        ("lead-reversed", swap(_DRAW, "roc_auc_score(truth[rows], p_old[rows]) - roc_auc_score(truth[rows], p_new[rows])")),
        ("not-paired", swap(_DRAW, "roc_auc_score(truth[rows], p_new[rows]) - roc_auc_score(*(a[rng.integers(0, len(truth), len(truth))] if False else a[r] for r in [rng.integers(0, len(truth), len(truth))] for a in (truth, p_old)))")),
        ("ends-swapped", swap("[2.5, 97.5]", "[97.5, 2.5]")),
        ("interval-narrow", swap("[2.5, 97.5]", "[16, 84]")),
        ("interval-wrong", swap('"low": low', '"low": low - 0.02')),
        ("metric-missing", swap(', "high": high', "")),
        ("verdict-missing", swap(f'mlflow.set_tag("verdict", {_RULE})', "pass")),
        ("verdict-wrong", swap(_RULE, '"worse"')),
        ("verdict-unknown", swap(_RULE, '"maybe"')),
        ("metric-as-tag", swap("log_metrics({", "set_tags({")),
        ("tag-as-param", swap("mlflow.set_tag(", "mlflow.log_param(")),
    ],
    5: [
        ("not-started", ""),
        ("not-on-model", swap(" model_id=supplier.model_id,", "")),
        ("data-set-name", swap('name="supplier-answers"', 'name="answers"')),
        ("arguments-swapped", swap('targets="malignant", predictions="says"', 'targets="says", predictions="malignant"')),
    ],
}

#: Names that are exchanged in mutants.
SWAPS = {"X_train": "X_valid", "X_valid": "X_train", "y_train": "y_valid", "y_valid": "y_train"}

_VERDICT = "by chance: the model keeps the limit under one seed and misses it under the other"
#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT: dict[int, dict[str, str]] = {
    1: {
        "line 3: dropped run_name=": "the run is of the learner's choice",
        "line 3: 'slices' →": "the run is of the learner's choice",
    },
    2: {
        "line 1: 'dataset_name' →": "the digest alone names these rows",
        "line 4: dropped max_results=": "the first of all is taken",
        "line 4: 1 →": "the first of three is taken",
    },
    3: {
        "line 5: False →": "which way is better changes no value in the report",
        "line 10: dropped evaluator_config=": "it spares time and leaves no trace",
        "line 13: dropped mlflow.validate": _VERDICT,
        "line 16: dropped mlflow.set_tag": _VERDICT,
        "line 16: 'verdict' →": _VERDICT,
        "line 16: 'refused' →": _VERDICT,
    },
    4: {
        "line 1: 0 →": "another stream of random numbers",
        "line 2: 500 →": "more draws",
        "line 3: 0 →": "by chance: draws that leave out one row differ by less than other draws do",
        "line 6: 2.5 →": "by chance: the check leaves room for the noise of few draws, and this is about as much",
        "line 10: 0 →": "by chance: which of the three verdicts is right depends on the rows",
        "line 10: 'worse' →": "by chance: which of the three verdicts is right depends on the rows",
        "line 10: 'undecided' →": "by chance: which of the three verdicts is right depends on the rows",
    },
    5: {
        "line 4: dropped run_name=": "the run is of the learner's choice",
        "line 4: 'supplier' →": "the run is of the learner's choice",
        "line 6: dropped evaluator_config=": "it spares time and leaves no trace",
    },
}

# Written by people who had seen the homework and not the checks.
WRONG[1].append(("metric-name", '''
# no dataset: names in the metric
small = X_valid["mean_area"] < 700
with mlflow.start_run():
    for name, m in (("small", small), ("large", ~small)):
        mlflow.log_metric(f"recall_{name}", recall_score(y_valid[m], model.predict(X_valid[m])), model_id=model_id)
'''))
WRONG[3].append(("argument-names", '''
# other names for the two arguments
count = make_metric(eval_fn=lambda p, t: float(np.sum((np.asarray(t) == 1) & (np.asarray(p) == 0))), greater_is_better=False, name="missed")
with mlflow.start_run(run_name="report") as run:
    out = mlflow.evaluate(model=uri, data=valid_rows, model_type="classifier", extra_metrics=[count], evaluator_config=no_shap)
verdict = "passed"
try:
    mlflow.validate_evaluation_results({"recall_score": MetricThreshold(threshold=0.85, greater_is_better=True)}, out)
except Exception:
    verdict = "refused"
mlflow.MlflowClient().set_tag(run.info.run_id, "verdict", verdict)
'''))
WRONG[3].append(("train-not-valid", '''
# training rows
def missed(predictions, targets):
    return int((targets & ~predictions).sum())
with mlflow.start_run(run_name="report"):
    res = mlflow.models.evaluate(uri, train_rows, model_type="classifier", extra_metrics=[make_metric(eval_fn=missed, greater_is_better=False)], evaluator_config=no_shap)
    mlflow.set_tag("verdict", "passed" if res.metrics["recall_score"] >= 0.85 else "refused")
'''))
WRONG[4].append(("interval-narrow", '''
# 90 % interval (5 and 95)
rng = np.random.default_rng(1)
leads = []
for _ in range(800):
    i = rng.integers(0, len(truth), len(truth))
    leads.append(roc_auc_score(truth[i], p_new[i]) - roc_auc_score(truth[i], p_old[i]))
lo, hi = np.percentile(leads, [5, 95])
with mlflow.start_run(run_name="lead"):
    mlflow.log_metrics(dict(lead=roc_auc_score(truth, p_new) - roc_auc_score(truth, p_old), low=lo, high=hi))
    mlflow.set_tag("verdict", "better" if lo > 0 else "worse" if hi < 0 else "undecided")
'''))
WRONG[4].append(("lead-of-draws", '''
# mean of the draws for the lead ... and standard error interval
rng = np.random.default_rng(1)
leads = []
for _ in range(800):
    i = rng.integers(0, len(truth), len(truth))
    leads.append(roc_auc_score(truth[i], p_new[i]) - roc_auc_score(truth[i], p_old[i]))
lo, hi = np.percentile(leads, [2.5, 97.5])
with mlflow.start_run(run_name="lead"):
    mlflow.log_metrics(dict(lead=np.mean(leads), low=lo, high=hi))
    mlflow.set_tag("verdict", "better" if lo > 0 else "worse" if hi < 0 else "undecided")
'''))
WRONG[4].append(("labels-not-probabilities", '''
# labels for probabilities
rng = np.random.default_rng(1)
a, b = new.predict(X_valid), old.predict(X_valid)
leads = []
for _ in range(800):
    i = rng.integers(0, len(truth), len(truth))
    leads.append(roc_auc_score(truth[i], a[i]) - roc_auc_score(truth[i], b[i]))
lo, hi = np.percentile(leads, [2.5, 97.5])
with mlflow.start_run(run_name="lead"):
    mlflow.log_metrics(dict(lead=roc_auc_score(truth, a) - roc_auc_score(truth, b), low=lo, high=hi))
    mlflow.set_tag("verdict", "better" if lo > 0 else "worse" if hi < 0 else "undecided")
'''))
RIGHT[4].append('''
# pandas sample, 500 draws
import pandas as pd
t = pd.DataFrame({"y": truth, "n": p_new, "o": p_old})
d = pd.Series([roc_auc_score(s.y, s.n) - roc_auc_score(s.y, s.o) for s in (t.sample(frac=1, replace=True, random_state=k) for k in range(500))])
low, high = d.quantile(0.025), d.quantile(0.975)
verdict = "undecided"
if low > 0: verdict = "better"
if high < 0: verdict = "worse"
with mlflow.start_run(run_name="lead") as r:
    mlflow.log_metric("lead", roc_auc_score(truth, p_new) - roc_auc_score(truth, p_old))
    mlflow.log_metric("low", low); mlflow.log_metric("high", high)
mlflow.MlflowClient().set_tag(r.info.run_id, "verdict", verdict)
''')

#: Wrong answers that pass, because a store holds no trace of the mistake: (what cannot be seen, answer).
UNSEEN = {
    3: [("a verdict from the accuracy, where the recall gives the same word", '''
def missed(predictions, targets):
    return int((targets & ~predictions).sum())
with mlflow.start_run(run_name="report"):
    res = mlflow.models.evaluate(uri, valid_rows, model_type="classifier", extra_metrics=[make_metric(eval_fn=missed, greater_is_better=False)], evaluator_config=no_shap)
    mlflow.set_tag("verdict", "passed" if res.metrics["accuracy_score"] >= 0.85 else "refused")
''')],
}

#: With the second seed's rows, this interval is as wide as one of two models with rows of their own.
AT_SECOND_SEED = {(4, "interval-wrong"): "not-paired"}

# Found by a reader who obeyed to the letter, did the minimum, or checked when half was done.
_OWN = "(targets & ~predictions).sum()"
WRONG[1] += [
    ("run-open", swap('with mlflow.start_run(run_name="slices"):', "if True:")),
    ("data-set-name", swap(', "tumours-large": ~small', "")),
]
WRONG[3] += [
    # scikit-learn's order of the arguments; MLflow's first row breaks a function that is right on all rows
    ("argument-names", swap("(predictions, targets)", "(targets, predictions)", _OWN, "np.sum((np.asarray(targets) == 1) & (np.asarray(predictions) == 0))")),
    ("own-metric-missing", swap("(predictions, targets)", "(targets, predictions)", f"float({_OWN})", "((targets == 1) & (predictions == 0)).sum()")),
    ("run-failed", swap("targets):", "targets):\n    from sklearn.metrics import confusion_matrix", f"float({_OWN})", "confusion_matrix(targets, predictions).ravel()[2]")),
    ("own-metric-missing", swap("return float(", "float(")),
    ("metric-name", swap(', name="missed"', "", "overlooked", "count_missed")),
    ("metric-name", swap('name="missed"', 'name="Missed"')),
]
