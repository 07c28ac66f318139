"""Right and wrong answers to the homework of autolog."""

from tests.submissions.tools import append, swap

_FIT = "tree = DecisionTreeRegressor(max_depth=4, random_state=0).fit(X_train, y_train)"
_SCORE = 'root_mean_squared_error(y_test, tree.predict(X_test))'
_RECALL = "recall_score(malignant_test, model.predict(T_test))"

RIGHT = {
    1: [
        # the run without `with`; an earlier failed try
        """
        mlflow.sklearn.autolog(log_models=False, silent=True)
        try:
            with mlflow.start_run(run_name="tree"):
                DecisionTreeRegressor(max_depth="four").fit(X_train, y_train)
        except Exception as error:
            print(error)
        mlflow.start_run(run_name="tree")
        model = DecisionTreeRegressor(max_depth=4, random_state=0)
        model.fit(X_train, y_train)
        mlflow.log_metrics({"test_rmse": root_mean_squared_error(y_test, model.predict(X_test))})
        mlflow.end_run()
        """,
        # the score added later, by id
        """
        mlflow.sklearn.autolog(**quick, log_datasets=False)
        with mlflow.start_run(run_name="tree") as run:
            model = DecisionTreeRegressor(max_depth=4, random_state=0).fit(X_train, y_train)
        rmse = root_mean_squared_error(y_test, model.predict(X_test))
        mlflow.log_metric("test_rmse", rmse, run_id=run.info.run_id)
        """,
    ],
    2: [
        # a limit that is large enough
        """
        mlflow.sklearn.autolog(log_models=False, max_tuning_runs=len(depths))
        grid = GridSearchCV(DecisionTreeRegressor(random_state=0), {"max_depth": depths[::-1]}, scoring=scoring, cv=3)
        with mlflow.start_run(run_name="search"):
            grid.fit(X_train, y_train)
        """,
        # first with the default, then again
        """
        for limit in (5, None):
            mlflow.sklearn.autolog(**quick, max_tuning_runs=limit)
            with mlflow.start_run(run_name="search", tags={"limit": str(limit)}):
                GridSearchCV(
                    DecisionTreeRegressor(random_state=0), {"max_depth": depths}, scoring=scoring, cv=3
                ).fit(X_train, y_train)
        """,
    ],
    3: [
        # the cross-validation inside the run, switched off there
        """
        with mlflow.start_run(run_name="tree"):
            mlflow.sklearn.autolog(disable=True)
            mlflow.log_metric("cv_rmse", cv_rmse(model, X_train, y_train))
            mlflow.sklearn.autolog(log_models=False)
            model.fit(X_train, y_train)
        """,
        # strays at the first try, clean at the second
        """
        for disable in (False, True):
            mlflow.sklearn.autolog(**quick, disable=disable)
            value = cv_rmse(DecisionTreeRegressor(max_depth=4, random_state=0), X_train, y_train)
            mlflow.sklearn.autolog(**quick)
            with mlflow.start_run(run_name="tree"):
                model.fit(X_train, y_train)
                mlflow.log_metrics({"cv_rmse": value})
        """,
        # after a look at the strays, in a cell of its own
        """
        cv_rmse(model, X_train, y_train)
        # %%
        mlflow.sklearn.autolog(disable=True)
        score = cv_rmse(model, X_train, y_train)
        mlflow.sklearn.autolog(**quick)
        with mlflow.start_run(run_name="tree"):
            model.fit(X_train, y_train)
            mlflow.log_metric("cv_rmse", score)
        """,
    ],
    4: [
        # the test score later, by id; labels given as whole numbers
        """
        mlflow.sklearn.autolog(log_models=False, pos_label=1, silent=True)
        with mlflow.start_run(run_name="tumours") as run:
            tree = DecisionTreeClassifier(max_depth=2, random_state=0)
            tree.fit(T_train, malignant_train.astype(int))
        found = tree.predict(T_test)[malignant_test == 1].mean()
        mlflow.MlflowClient().log_metric(run.info.run_id, "test_recall", float(found))
        """,
        # first without the class, then with it; the run without `with`
        """
        import sklearn.metrics
        for label in (None, 1.0):
            mlflow.sklearn.autolog(**quick, pos_label=label)
            mlflow.start_run(run_name="tumours")
            tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(T_train, malignant_train)
            mlflow.log_metrics({"test_recall": sklearn.metrics.recall_score(malignant_test, tree.predict(T_test))})
            mlflow.end_run()
        """,
    ],
    5: [
        # by a metric function, together with others
        """
        import sklearn.metrics
        with mlflow.start_run(run_name="scored"):
            tree = DecisionTreeRegressor(max_depth=4, random_state=0).fit(X_train, y_train)
            predicted = tree.predict(X_test)
            sklearn.metrics.mean_absolute_error(y_test, predicted)
            sklearn.metrics.r2_score(y_test, predicted)
        """,
        # after the run has ended, under other names
        """
        rows, labels = X_test.copy(), y_test
        with mlflow.start_run(run_name="scored"):
            tree = DecisionTreeRegressor(max_depth=4, random_state=0).fit(X_train, y_train)
        print(tree.score(rows, labels))
        """,
    ],
}

WRONG = {
    1: [
        ("not-started", ""),
        ("run-name", swap('"tree"', '"Tree 4"')),
        ("wrong-experiment", swap("with mlflow.start_run", 'mlflow.set_experiment("trees")\nwith mlflow.start_run')),
        ("not-autologged", swap("mlflow.sklearn.autolog(log_models=False)", "pass")),
        ("not-autologged", swap(f"    {_FIT}\n", "", "with mlflow", f"{_FIT}\nwith mlflow")),
        ("model-logged", swap("log_models=False", "silent=True")),
        ("two-fits-one-run", append("    DecisionTreeRegressor(max_depth=9).fit(X_train, y_train)")),
        ("param-value", swap("max_depth=4", "max_depth=5")),
        ("metric-missing", swap('mlflow.log_metric("test_rmse", rmse)', "pass")),
        ("metric-as-param", swap('mlflow.log_metric("test_rmse", rmse)', 'mlflow.log_param("test_rmse", rmse)')),
        ("training-not-test", swap(_SCORE, "root_mean_squared_error(y_train, tree.predict(X_train))")),
        ("mse-not-rmse", swap("    mlflow.log_metric", "    rmse = rmse**2\n    mlflow.log_metric")),
        ("mae-not-rmse", swap(_SCORE, "abs(y_test - tree.predict(X_test)).mean()")),
        ("r2-not-rmse", swap(_SCORE, "tree.score(X_test, y_test)")),
        ("sign", swap('"test_rmse", rmse', '"test_rmse", -rmse')),
        ("run-open", swap('with mlflow.start_run(run_name="tree"):', 'mlflow.start_run(run_name="tree")\nif True:')),
    ],
    2: [
        ("not-started", ""),
        ("not-autologged", swap("mlflow.sklearn.autolog(**quick, max_tuning_runs=None)", "pass")),
        ("children-omitted", swap(", max_tuning_runs=None", "")),
        ("children-missing", swap("max_tuning_runs=None", "max_tuning_runs=0")),
        ("r2-not-rmse", swap("scoring=scoring, ", "")),
        ("squared-not-root", swap("scoring=scoring", 'scoring="neg_mean_squared_error"')),
        ("absolute-not-root", swap("scoring=scoring", 'scoring="neg_mean_absolute_error"')),
        ("other-folds", swap("cv=3", "cv=4")),
        ("run-name", swap('run_name="search"', 'run_name="grid"')),
        (
            "artifact-missing",
            """
            mlflow.sklearn.autolog(**quick)
            with mlflow.start_run(run_name="search"):
                DecisionTreeRegressor(max_depth=5, random_state=0).fit(X_train, y_train)
            """,
        ),
        (
            "param-value",
            append('mlflow.sklearn.autolog(disable=True)\nmlflow.MlflowClient().delete_run(mlflow.last_active_run().info.run_id)\n'
                   'with mlflow.start_run(run_name="search"):\n'
                   '    mlflow.set_tag("estimator_class", "GridSearchCV")\n'
                   '    mlflow.log_metrics({"training_score": 1.0, "best_cv_score": float(search.best_score_)})\n'
                   '    mlflow.log_param("best_max_depth", 99)\n'
                   '    mlflow.log_text("", "cv_results.csv")'),
        ),
    ],
    3: [
        ("not-started", ""),
        ("stray-runs", swap("mlflow.sklearn.autolog(**quick, disable=True)", "pass")),
        # only the cell with the run is run again: the strays are as old as the call that made them
        (
            "stray-runs",
            """
            score = cv_rmse(model, X_train, y_train)
            for _ in range(2):
                with mlflow.start_run(run_name="tree"):
                    model.fit(X_train, y_train)
                    mlflow.log_metric("cv_rmse", score)
            """,
        ),
        ("not-autologged", swap("mlflow.sklearn.autolog(**quick, disable=False)", "pass")),
        (
            "two-fits-one-run",
            """
            with mlflow.start_run(run_name="tree"):
                mlflow.log_metric("cv_rmse", cv_rmse(model, X_train, y_train))
                model.fit(X_train, y_train)
            """,
        ),
        ("metric-missing", swap('mlflow.log_metric("cv_rmse", score)', "pass")),
        ("metric-as-tag", swap('mlflow.log_metric("cv_rmse", score)', 'mlflow.set_tag("cv_rmse", score)')),
        ("training-not-test", swap('"cv_rmse", score', '"cv_rmse", root_mean_squared_error(y_train, model.predict(X_train))')),
        (
            "last-fold",
            swap(
                "score = cv_rmse(model, X_train, y_train)",
                "for a, b in KFold(3).split(X_train):\n"
                "    guess = model.fit(X_train.iloc[a], y_train.iloc[a]).predict(X_train.iloc[b])\n"
                "    score = root_mean_squared_error(y_train.iloc[b], guess)",
            ),
        ),
        ("rounded", swap('"cv_rmse", score', '"cv_rmse", round(score, 2)')),
        ("fitted-on-test", swap("    model.fit(X_train, y_train)", "    model.fit(X_test, y_test)")),
        ("param-value", swap("score =", "model = DecisionTreeRegressor(max_depth=3)\nscore =")),
    ],
    4: [
        ("not-started", ""),
        ("averaged-not-class", swap(", pos_label=1", "")),
        (
            "written-over",
            swap(
                ", pos_label=1",
                "",
                "    recall = recall_score(",
                """    from sklearn.metrics import f1_score, precision_score
    said = model.predict(T_train)
    for name, score in {"precision": precision_score, "recall": recall_score, "f1": f1_score}.items():
        mlflow.log_metric(f"training_{name}_score", score(malignant_train, said))
    recall = recall_score(""",
            ),
        ),
        ("averaged-not-class", swap("model.predict(T_test))", 'model.predict(T_test), average="weighted")')),
        ("averaged-not-class", swap("model.predict(T_test))", 'model.predict(T_test), average="macro")')),
        ("averaged-not-class", swap(_RECALL, "model.score(T_test, malignant_test)")),
        ("wrong-class", swap("pos_label=1", "pos_label=0")),
        ("wrong-class", swap("model.predict(T_test))", "model.predict(T_test), pos_label=0)")),
        ("precision-not-recall", swap(_RECALL, "recall_score(model.predict(T_test), malignant_test)")),
        ("training-not-test", swap(_RECALL, "recall_score(malignant_train, model.predict(T_train))")),
        ("fitted-on-all", swap("fit(T_train, malignant_train)", "fit(tumours, malignant)")),
        ("not-autologged", swap("pos_label=1", "disable=True")),
        ("model-logged", swap("**quick, ", 'serialization_format="pickle", ')),
        ("param-value", swap("max_depth=2", "max_depth=3")),
        ("two-fits-one-run", append("    DecisionTreeClassifier().fit(T_test, malignant_test)")),
        ("metric-missing", swap('mlflow.log_metric("test_recall", recall)', "pass")),
        ("metric-as-param", swap('log_metric("test_recall"', 'log_param("test_recall"')),
        ("rounded", swap('"test_recall", recall', '"test_recall", round(recall, 2)')),
    ],
    5: [
        ("not-started", ""),
        ("artifact-missing", swap("scored.score(X_test, y_test)", "pass")),
        ("artifact-missing", swap("scored.score(X_test, y_test)", 'mlflow.log_metric("score_X_test", 0.3)')),
        ("training-not-test", swap("scored.score(X_test, y_test)", "scored.score(X_train, y_train)")),
        ("value-wrong", swap("scored.score(X_test, y_test)", "scored.score(X_test, y_test[::-1])")),
        ("not-autologged", swap("with mlflow", "mlflow.sklearn.autolog(disable=True)\nwith mlflow")),
        ("param-value", swap("max_depth=4", "max_depth=7")),
    ],
}

#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT = {
    3: {"line 4: dropped disable=": "autologging is on unless disable=True is given"},
}

# Found by people who attacked the checks.
RIGHT[3].append('''  # after looking at strays
cv_rmse(model, X_train, y_train)   # look at the strays first, as the task says
# %%
mlflow.sklearn.autolog(disable=True)
score = cv_rmse(model, X_train, y_train)
mlflow.sklearn.autolog(**quick)
with mlflow.start_run(run_name="tree"):
    model.fit(X_train, y_train)
    mlflow.log_metric("cv_rmse", score)
''')
WRONG[2] += [
    ("squared-not-root", swap("scoring=scoring", 'scoring="neg_mean_squared_error"')),
    ("absolute-not-root", swap("scoring=scoring", 'scoring="neg_mean_absolute_error"')),
]

# Found by answers that were written without sight of the checks.
WRONG[2] += [
    ("other-folds", swap(", cv=3", "")),
    ("fitted-on-all", swap("fit(X_train, y_train)", "fit(patients, progression)")),
    ("fitted-on-test", swap("fit(X_train, y_train)", "fit(X_test, y_test)")),
    ("value-wrong", swap('{"max_depth": depths}', '{"max_depth": [1, 10]}')),
]
WRONG[3] += [
    (
        "stray-runs",
        """
        with mlflow.start_run(run_name="tree"):
            with mlflow.start_run(run_name="folds", nested=True):
                score = cv_rmse(model, X_train, y_train)
            mlflow.log_metric("cv_rmse", score)
            model.fit(X_train, y_train)
        """,
    ),
    ("stray-runs", swap("mlflow.sklearn.autolog(**quick, disable=True)", "mlflow.autolog(disable=True)")),
    ("fitted-on-test", swap("cv_rmse(model, X_train, y_train)", "cv_rmse(model, X_test, y_test)")),
    ("fitted-on-all", swap("cv_rmse(model, X_train, y_train)", "cv_rmse(model, patients, progression)")),
    ("fitted-on-all", swap("    model.fit(X_train, y_train)", "    model.fit(patients, progression)")),
]
WRONG[4].append(("wrong-class", swap("fit(T_train, malignant_train)", "fit(T_train, 1 - malignant_train)")))

#: On the second seed's tumours both mistakes give the same recall.
AT_SECOND_SEED = {(4, "training-not-test"): "fitted-on-all"}
