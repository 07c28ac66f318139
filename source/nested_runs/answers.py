"""Right and wrong answers to the homework of Nested runs."""

from tests.submissions.tools import append, swap

RIGHT = {
    1: [
        # by the client, children made after the parent is closed
        """
        c = mlflow.MlflowClient()
        e = c.create_experiment("hw-nested-runs-depth")
        p = c.create_run(e, run_name="depth").info.run_id
        found = []
        for n in (5, 2, 1):
            r = c.create_run(e, tags={"mlflow.parentRunId": p}, run_name="depth").info.run_id
            f = RandomForestClassifier(15, max_depth=n, random_state=0).fit(X_train, y_train)
            c.log_param(r, "max_depth", n)
            c.log_metric(r, "valid_auc", valid_auc(f))
            c.set_terminated(r)
            found.append((valid_auc(f), n))
        c.log_metric(p, "best_auc", max(found)[0])
        c.log_param(p, "best_max_depth", max(found)[1])
        c.set_terminated(p)
        """,
        # a first try without children, then more than asked for, promoted by query
        """
        mlflow.set_experiment("hw-nested-runs-depth")
        with mlflow.start_run(run_name="depth"):
            pass
        with mlflow.start_run(run_name="depth") as p:
            for n in (1, 2, 5):
                with mlflow.start_run(nested=True):
                    f = RandomForestClassifier(15, max_depth=n, random_state=0).fit(X_train, y_train)
                    mlflow.log_params({"n_estimators": 15, "max_depth": n})
                    mlflow.log_metrics({"valid_auc": valid_auc(f), "train_accuracy": f.score(X_train, y_train)})
        best = mlflow.search_runs(
            filter_string=f"tags.mlflow.parentRunId = '{p.info.run_id}'", order_by=["metrics.valid_auc DESC"]
        ).iloc[0]
        with mlflow.start_run(run_id=p.info.run_id):
            mlflow.log_param("best_max_depth", best["params.max_depth"])
            mlflow.log_metric("best_auc", best["metrics.valid_auc"])
        """,
        # the parent has the children's metric as well, which the text does not forbid
        """
        mlflow.set_experiment("hw-nested-runs-depth")
        best = (None, -1)
        with mlflow.start_run(run_name="depth") as parent:
            for d in [5, 2, 1]:
                with mlflow.start_run(run_name=f"depth {d}", nested=True):
                    m = RandomForestClassifier(15, max_depth=d, random_state=0).fit(X_train, y_train)
                    a = valid_auc(m)
                    mlflow.log_params({"max_depth": d, "n_estimators": 15})
                    mlflow.log_metric("valid_auc", a)
                    if a > best[1]:
                        best = (d, a)
            mlflow.log_params({"best_max_depth": best[0]})
            mlflow.log_metrics({"best_auc": best[1], "valid_auc": best[1]})
        """,
    ],
    2: [
        # names for the children, by index
        """
        mlflow.set_experiment("hw-nested-runs-grid")
        with mlflow.start_run(run_name="grid") as parent:
            for i, settings in enumerate(search.cv_results_["params"]):
                with mlflow.start_run(run_name=f"candidate {i}", parent_run_id=parent.info.run_id, nested=True):
                    for name, value in settings.items():
                        mlflow.log_param(name, value)
                    mlflow.log_metric("cv_auc", search.cv_results_["mean_test_score"][i])
                    mlflow.log_metric("std", search.cv_results_["std_test_score"][i])
        """,
        # through a table and the client
        """
        import pandas as pd

        c = mlflow.MlflowClient()
        e = mlflow.set_experiment("hw-nested-runs-grid").experiment_id
        p = c.create_run(e, run_name="grid")
        for row in pd.DataFrame(search.cv_results_).itertuples():
            r = c.create_run(e, tags={"mlflow.parentRunId": p.info.run_id}).info.run_id
            c.log_param(r, "max_depth", row.param_max_depth)
            c.log_param(r, "min_samples_leaf", row.param_min_samples_leaf)
            c.log_metric(r, "cv_auc", row.mean_test_score)
            c.set_terminated(r)
        c.set_terminated(p.info.run_id)
        """,
    ],
    3: [
        # in pandas, opening the run again
        """
        t = mlflow.search_runs(experiment_names=["hw-nested-runs-family"])
        t = t[(t["tags.mlflow.parentRunId"] == parent_id) & (t.status == "FINISHED")]
        with mlflow.start_run(run_id=t.sort_values("metrics.cv_auc").run_id.iloc[-1]):
            mlflow.set_tag("winner", "yes")
        """,
        # with Python's max, on run objects
        """
        c = mlflow.MlflowClient()
        e = c.get_experiment_by_name("hw-nested-runs-family").experiment_id
        kids = c.search_runs([e], f'tags."mlflow.parentRunId" = "{parent_id}"')
        best = max((k for k in kids if k.info.status == "FINISHED"), key=lambda k: k.data.metrics["cv_auc"])
        c.set_tag(best.info.run_id, "winner", "yes")
        """,
    ],
    4: [
        # by the client
        """
        c = mlflow.MlflowClient()
        e = mlflow.set_experiment("hw-nested-runs-threads").experiment_id
        p = c.create_run(e, run_name="parallel").info.run_id

        def work(item):
            name, depth = item[0], int(item[1])
            r = c.create_run(e, run_name=name, tags={"mlflow.parentRunId": p}).info.run_id
            m = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(X_train, y_train)
            c.log_param(r, "max_depth", depth)
            c.log_metric(r, "valid_auc", valid_auc(m))
            c.set_terminated(r)

        with ThreadPoolExecutor() as pool:
            for done in [pool.submit(work, item) for item in depths.items()]:
                done.result()
        c.set_terminated(p)
        """,
        # trained in threads, logged by the main thread
        """
        def fit(depth):
            return DecisionTreeClassifier(max_depth=int(depth), random_state=0).fit(X_train, y_train)

        with ThreadPoolExecutor(2) as pool:
            models = dict(zip(depths, pool.map(fit, depths.values())))
        with mlflow.start_run(run_name="parallel"):
            for name, model in models.items():
                with mlflow.start_run(run_name=name, nested=True):
                    mlflow.log_param("max_depth", model.max_depth)
                    mlflow.log_metric("valid_auc", valid_auc(model))
        """,
        # Jonas's cell first, then the lost runs are left and all is made anew
        """
        shared = DecisionTreeClassifier(random_state=0)

        def first(name):
            shared.set_params(max_depth=depths[name]).fit(X_train, y_train)
            with mlflow.start_run(run_name=name, nested=True):
                mlflow.log_param("max_depth", depths[name])

        with mlflow.start_run(run_name="parallel"), ThreadPoolExecutor(3) as pool:
            pool.map(first, depths)

        def again(name):
            model = DecisionTreeClassifier(max_depth=int(depths[name]), random_state=0).fit(X_train, y_train)
            with mlflow.start_run(run_name=name, parent_run_id=parent.info.run_id):
                mlflow.log_param("max_depth", depths[name])
                mlflow.log_metric("valid_auc", valid_auc(model))

        with mlflow.start_run(run_name="parallel") as parent, ThreadPoolExecutor(3) as pool:
            list(pool.map(again, depths))
        """,
    ],
    5: [
        # logged after the study, by a callback
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        e = mlflow.set_experiment("hw-nested-runs-optuna")
        c = mlflow.MlflowClient()

        def value(trial):
            tree = DecisionTreeClassifier(
                max_depth=trial.suggest_int("max_depth", 1, 12), min_samples_leaf=trial.suggest_int("min_samples_leaf", 1, 100), random_state=0
            )
            done = []
            for i, s in enumerate(cross_val_score(tree, X_churn, y_churn, scoring="roc_auc", cv=4)):
                done.append(s)
                trial.report(sum(done) / len(done), i)
                if trial.should_prune():
                    raise optuna.TrialPruned()
            return sum(done) / len(done)

        with mlflow.start_run(run_name="study") as parent:
            def keep(study, trial):
                r = c.create_run(e.experiment_id, tags={"mlflow.parentRunId": parent.info.run_id}).info.run_id
                for k, v in trial.params.items():
                    c.log_param(r, k, v)
                c.log_metric(r, "cv_auc", trial.value if trial.value is not None else trial.intermediate_values[trial.last_step])
                c.set_terminated(r, "FINISHED" if trial.state.name == "COMPLETE" else "KILLED")

            s = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=1), pruner=optuna.pruners.MedianPruner(2))
            s.optimize(value, n_trials=15, callbacks=[keep])
            mlflow.log_metric("best_auc", s.best_value)
        """,
        # another sampler, best by query
        swap("RandomSampler(seed=0)", "TPESampler(seed=3)", "(objective, 12)", "(objective, 16)"),
    ],
}

_FIT = "valid_auc(forest.fit(X_train, y_train))"
_RUN = "        with mlflow.start_run(nested=True):"

WRONG = {
    1: [
        ("not-started", ""),
        ("experiment-name", swap("hw-nested-runs-depth", "hw-nested-runs-dept")),
        ("run-name", swap('run_name="depth"', 'run_name="forest search"')),
        ("childless", 'mlflow.set_experiment("hw-nested-runs-depth")\nwith mlflow.start_run(run_name="depth"):\n    mlflow.log_metric("best_auc", 0.7)'),
        (
            "no-children",
            """
            mlflow.set_experiment("hw-nested-runs-depth")
            with mlflow.start_run(run_name="depth"):
                pass
            for n in (1, 2, 5):
                with mlflow.start_run(run_name=f"{n}-deep"):
                    mlflow.log_param("max_depth", n)
            """,
        ),
        ("run-failed", swap("nested=True", "")),
        ("child-missing", swap("(1, 2, 5)", "(1, 2)")),
        ("child-missing", swap("(1, 2, 5)", "(1, 2, 8)")),
        ("param-missing", swap('mlflow.log_param("max_depth", depth)', "pass")),
        ("param-as-tag", swap('mlflow.log_param("max_depth", depth)', 'mlflow.set_tag("max_depth", depth)')),
        ("param-value", swap('mlflow.log_param("max_depth", depth)', 'mlflow.log_param("max_depth", "many")')),
        ("train-not-valid", swap(_FIT, "roc_auc_score(y_train, forest.fit(X_train, y_train).predict_proba(X_train)[:, 1])")),
        ("fitted-on-all", swap("fit(X_train, y_train)", "fit(X, y)")),
        ("labels-not-probabilities", swap(_FIT, "roc_auc_score(y_valid, forest.fit(X_train, y_train).predict(X_valid))")),
        ("accuracy-not-auc", swap(_FIT, "forest.fit(X_train, y_train).score(X_valid, y_valid)")),
        ("score-of-another", swap("max_depth=depth, random", "max_depth=5, random")),
        ("metric-name", swap('log_metric("valid_auc"', 'log_metric("Valid AUC"')),
        ("metric-missing", swap('mlflow.log_metric("best_auc", scores[best])', "pass")),
        ("not-the-best", swap("max(scores", "min(scores")),
        ("rounded", swap('"best_auc", scores[best]', '"best_auc", round(scores[best], 3)')),
        ("wrong-settings", swap('"best_max_depth", best', '"best_max_depth", min(scores, key=scores.get)')),
        ("value-wrong", swap('"best_auc", scores[best]', '"best_auc", 0.7531')),
    ],
    2: [
        ("not-started", ""),
        ("childless", 'mlflow.set_experiment("hw-nested-runs-grid")\nwith mlflow.start_run(run_name="grid"):\n    mlflow.log_params(search.best_params_)'),
        ("wrong-experiment", swap("hw-nested-runs-grid", "grids")),
        ("run-open", swap('with mlflow.start_run(run_name="grid"):', 'mlflow.start_run(run_name="grid")\nif True:')),
        ("child-missing", append("        break")),
        ("child-missing", swap("mlflow.log_params(settings)", "mlflow.log_params(search.best_params_)")),
        ("param-missing", swap("mlflow.log_params(settings)", "pass")),
        ("param-missing", swap("mlflow.log_params(settings)", 'mlflow.log_param("settings", settings)')),
        ("spread-not-mean", swap('"mean_test_score"', '"std_test_score"')),
        ("one-fold", swap('"mean_test_score"', '"split0_test_score"')),
        ("rank-not-score", swap('"mean_test_score"', '"rank_test_score"')),
        ("one-score-for-all", swap('"cv_auc", score', '"cv_auc", search.best_score_')),
        ("metric-as-param", swap('mlflow.log_metric("cv_auc", score)', 'mlflow.log_param("cv_auc", score)')),
        (
            "valid-not-folds",
            swap(
                _RUN,
                "        tree = DecisionTreeClassifier(random_state=0, **settings)\n"
                f"        score = valid_auc(tree.fit(X_train, y_train))\n{_RUN}",
            ),
        ),
    ],
    3: [
        ("not-started", ""),
        ("parent-as-best", 'mlflow.MlflowClient().set_tag(parent_id, "winner", "yes")'),
        ("stray-as-best", swap("filter_string=f\"{family} AND attributes.status = 'FINISHED'\",", "")),
        ("killed-as-best", swap(" AND attributes.status = 'FINISHED'", "")),
        ("not-best", swap("cv_auc DESC", "cv_auc")),
        ("many-winners", swap('mlflow.MlflowClient().set_tag(children.run_id[0], "winner", "yes")', 'for r in children.run_id:\n    mlflow.MlflowClient().set_tag(r, "winner", "yes")')),
        ("tag-value", swap('"yes"', '"0.76"')),
        ("tag-name", swap('"winner"', '"Winner"')),
        ("tag-missing", swap('"winner"', '"champion"')),
        ("tag-as-param", swap('set_tag(children.run_id[0], "winner"', 'log_param(children.run_id[0], "winner"')),
        ("not-started", append('make_family()')),
    ],
    4: [
        ("not-started", ""),
        ("no-children", swap(", parent_run_id=parent_id", ", nested=True")),
        (
            "childless",
            """
            with mlflow.start_run(run_name="parallel") as parallel, ThreadPoolExecutor(3) as pool:
                def train(name):
                    tree = DecisionTreeClassifier(max_depth=int(depths[name]), random_state=0)
                    tree.fit(X_train, y_train)
                    mlflow.log_metric("valid_auc", valid_auc(tree), run_id=parallel.info.run_id)
                list(pool.map(train, depths))
            """,
        ),
        ("child-missing", swap("run_name=name, ", "")),
        ("run-failed", swap("int(depths[name])", "depths[name]")),
        ("child-missing", swap("for name in depths]", 'for name in ("shallow", "deep")]')),
        ("param-value", swap('log_param("max_depth", depth)', 'log_param("max_depth", len(depths))')),
        ("train-not-valid", swap("valid_auc(tree))", "roc_auc_score(y_train, tree.predict_proba(X_train)[:, 1]))")),
        ("fitted-on-all", swap("fit(X_train, y_train)", "fit(X, y)")),
        ("labels-not-probabilities", swap("valid_auc(tree))", "roc_auc_score(y_valid, tree.predict(X_valid)))")),
        ("accuracy-not-auc", swap("valid_auc(tree))", "tree.score(X_valid, y_valid))")),
        ("run-failed", swap('mlflow.log_metric("valid_auc", valid_auc(tree))', 'mlflow.log_metric("valid_auc", valid_auc(tre))')),
        ("score-of-another", swap("max_depth=depth, random", "max_depth=3, random")),
        ("value-wrong", swap("max_depth=depth, random", "max_depth=2, random")),
    ],
    5: [
        ("not-started", ""),
        ("out-of-range", swap('"max_depth", 1, 12', '"max_depth", 1, 60')),
        ("accuracy-not-auc", swap(', scoring="roc_auc"', "")),
        ("not-a-mean", swap("total / step", "total")),
        ("few-trials", swap("(objective, 12)", "(objective, 6)")),
        ("nothing-pruned", swap("pruners.MedianPruner(n_startup_trials=3)", "pruners.NopPruner()")),
        ("nothing-pruned", swap('mlflow.end_run("KILLED")', "mlflow.end_run()")),
        ("run-failed", swap('mlflow.end_run("KILLED")', "pass")),
        ("all-pruned", swap("    return total / step", "        mlflow.end_run('KILLED')\n    return total / step")),
        ("param-missing", swap("mlflow.log_params(trial.params)", "pass")),
        ("killed-as-best", swap('"best_auc", study.best_value', '"best_auc", max(v for t in study.trials if t.state.name == "PRUNED" for v in [t.intermediate_values[t.last_step]])')),
        ("value-wrong", swap('"best_auc", study.best_value', '"best_auc", 0.5')),
        (
            "test-not-folds",
            swap(
                '"cv_auc", total / step',
                '"cv_auc", roc_auc_score(split.y_test, tree.fit(X_churn, y_churn).predict_proba(split.X_test)[:, 1])',
            ),
        ),
    ],
}

#: Wrong answers that pass, because a store holds no trace of the mistake: (what cannot be seen, answer).
UNSEEN = {
    4: [
        (
            "the children are there; that no thread made them leaves no trace",
            """
            with mlflow.start_run(run_name="parallel"):
                for name, depth in depths.items():
                    with mlflow.start_run(run_name=name, nested=True):
                        t = DecisionTreeClassifier(max_depth=int(depth), random_state=0).fit(X_train, y_train)
                        mlflow.log_param("max_depth", depth)
                        mlflow.log_metric("valid_auc", valid_auc(t))
            """,
        ),
    ],
}

#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT = {
    1: {"line 10: dropped key=": "by chance: without it the deepest forest is taken, which may be the best one"},
    2: {
        "line 4: dropped strict=": "both lists have the same length",
        "line 4: True →": "both lists have the same length",
    },
    3: {"line 3: dropped experiment_names=": "the given cell has made that experiment the active one"},
    4: {
        "line 3: dropped random_state=": "by chance: without ties a tree draws nothing, and with ties it may draw the same",
        "line 3: 0 →": "by chance: without ties a tree draws nothing, and with ties it may draw the same",
        "line 9: 3 →": "any number of threads will do",
        "line 12: dropped job.result()": "nothing fails here, so nothing is silent",
    },
    5: {
        "line 1: dropped optuna.logging": "only what is printed changes",
        "line 7: 1 →": "a narrower range is still inside the range",
        "line 8: 1 →": "a narrower range is still inside the range",
        "line 9: ": "the seed of the tree is free",
        "line 14: 5 →": "the number of folds is free",
        "line 27: ": "sampler and its seed are free",
        "line 28: ": "the pruner's settings are free",
        "line 31: 12 →": "more trials are welcome",
    },
}

# Found by a reader: old runs opened again, errors that nobody hears, a grid typed anew.
_TAG = 'mlflow.MlflowClient().set_tag(children.run_id[0], "winner", "yes")'
_AGAIN = 'with mlflow.start_run(run_id=children.run_id[0]):\n    mlflow.set_tag("winner", "yes")'
_ASKED = """    jobs = [pool.submit(train, name, parallel.info.run_id) for name in depths]
    for job in jobs:
        job.result()
"""
_UNHEARD = "    pool.map(train, depths, [parallel.info.run_id] * 3)\n"
WRONG[2].append(("child-missing", swap("in zip(", 'in zip([s | {"max_depth": min(s["max_depth"], 3)} for s in ', '["params"]', '["params"]]')))
WRONG[3] += [
    ("killed-as-best", swap(" AND attributes.status = 'FINISHED'", "", _TAG, _AGAIN)),
    ("run-open", swap(_TAG, 'mlflow.start_run(run_id=children.run_id[0])\nmlflow.set_tag("winner", "yes")')),
]
WRONG[4].append(("child-missing", swap("int(depths[name])", "depths[name]", _ASKED, _UNHEARD)))
WRONG[4].append(("run-failed", """
    def train(name):
        with mlflow.start_run(run_name=name, parent_run_id=parent.info.run_id):
            mlflow.log_param("max_depth", depths[name])
            tree = DecisionTreeClassifier(max_depth=depths[name], random_state=0).fit(X_train, y_train)
            mlflow.log_metric("valid_auc", valid_auc(tree))

    with mlflow.start_run(run_name="parallel") as parent, ThreadPoolExecutor(3) as pool:
        pool.map(train, depths)
    """))
