"""Right and wrong answers to the homework of features and models."""

from tests.submissions.tools import append, swap

RIGHT = {
    1: [
        # one after the other, named steps, cross_validate
        """
        from sklearn.model_selection import cross_validate
        from sklearn.pipeline import Pipeline

        def five(part):
            p = Pipeline([("scale", StandardScaler()), ("columns", part), ("line", LogisticRegression())])
            return cross_validate(p, wines, kinds, cv=wine_folds)["test_score"]

        table = []
        for key, part in [("best", SelectKBest(k=2)), ("lda", LinearDiscriminantAnalysis()), ("pca", PCA(n_components=2))]:
            lead = five(part) - five("passthrough")
            table.append([key, five(part).mean(), sum(lead > 0)])
        pd.DataFrame(table, columns=["step", "accuracy", "ahead"]).to_csv(folder / "steps.csv")
        """,
        # by hand
        """
        found = {}
        for key, part in {"pca": PCA(2), "lda": LinearDiscriminantAnalysis(n_components=2), "best": SelectKBest(k=2)}.items():
            right, ahead = [], 0
            for a, b in wine_folds.split(wines, kinds):
                m = make_pipeline(StandardScaler(), part, LogisticRegression()).fit(wines.iloc[a], kinds.iloc[a])
                without = make_pipeline(StandardScaler(), LogisticRegression()).fit(wines.iloc[a], kinds.iloc[a])
                right.append((m.predict(wines.iloc[b]) == kinds.iloc[b]).mean())
                ahead += right[-1] > (without.predict(wines.iloc[b]) == kinds.iloc[b]).mean()
            found[key] = {"accuracy": sum(right) / 5, "ahead": ahead}
        pd.DataFrame(found).T.rename_axis("step").to_csv(folder / "steps.csv")
        """,
    ],
    2: [
        # labels of one's own
        """
        mlflow.set_experiment("hw-features-eights")
        eight, alarm = other_valid == 0, predicted == 0
        found = (eight & alarm).sum()
        with mlflow.start_run(run_name="eights"):
            mlflow.log_param("positive", "eight")
            p, r = found / alarm.sum(), found / eight.sum()
            mlflow.log_metrics({"precision": p, "recall": r, "f1": 2 * p * r / (p + r)})
        """,
        # by the client, from the report
        """
        from sklearn.metrics import classification_report

        row = classification_report(other_valid, predicted, output_dict=True)["0"]
        c = mlflow.MlflowClient()
        r = c.create_run(c.create_experiment("hw-features-eights"), run_name="eights").info.run_id
        for name, key in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            c.log_metric(r, name, row[key])
        c.set_terminated(r)
        """,
    ],
    3: [
        # plural calls, another alpha
        """
        mlflow.set_experiment("hw-features-tracking")
        m = make_pipeline(StandardScaler(), Ridge(alpha=100)).fit(P_train, points_train)
        e = points_test - m.predict(P_test)
        with mlflow.start_run(run_name="ridge"):
            mlflow.log_params({"alpha": 100, "model": "ridge"})
            mlflow.log_metrics({"test_rmse": (e**2).mean() ** 0.5, "test_mae": e.abs().mean(), "r2": 0.4})
        """,
        # by the client
        """
        c = mlflow.MlflowClient()
        r = c.create_run(c.create_experiment("hw-features-tracking"), run_name="ridge").info.run_id
        m = make_pipeline(StandardScaler(), Ridge(0.5)).fit(P_train, points_train)
        c.log_param(r, "alpha", 0.5)
        c.log_metric(r, "test_rmse", root_mean_squared_error(points_test, m.predict(P_test)))
        c.log_metric(r, "test_mae", mean_absolute_error(points_test, m.predict(P_test)))
        c.set_terminated(r)
        """,
    ],
    4: [
        # by grid search, run ended without a with block
        """
        from sklearn.model_selection import GridSearchCV

        g = GridSearchCV(
            DecisionTreeRegressor(random_state=0), {"max_depth": depths}, cv=tree_folds,
            scoring="neg_root_mean_squared_error", return_train_score=True,
        ).fit(D_train, d_train)
        mlflow.set_experiment("hw-features-depth")
        mlflow.start_run(run_name="tree")
        mlflow.log_params(g.best_params_)
        mlflow.log_metric("cv_rmse", -g.best_score_)
        mlflow.log_metric("train_rmse", -g.cv_results_["mean_train_score"][g.best_index_])
        mlflow.end_run()
        """,
        # by hand, after a first try with the training score
        """
        mlflow.set_experiment("hw-features-depth")
        with mlflow.start_run(run_name="tree"):
            mlflow.log_param("max_depth", 20)
        table = {}
        for d in depths:
            own, new = [], []
            for a, b in tree_folds.split(D_train):
                t = DecisionTreeRegressor(max_depth=d, random_state=0).fit(D_train.iloc[a], d_train.iloc[a])
                own.append(root_mean_squared_error(d_train.iloc[a], t.predict(D_train.iloc[a])))
                new.append(root_mean_squared_error(d_train.iloc[b], t.predict(D_train.iloc[b])))
            table[d] = {"cv_rmse": sum(new) / 5, "train_rmse": sum(own) / 5}
        d = pd.DataFrame(table).T["cv_rmse"].idxmin()
        with mlflow.start_run(run_name="tree"):
            mlflow.log_param("max_depth", d)
            mlflow.log_metrics(table[d])
        """,
    ],
    5: [
        """
        mlflow.set_experiment("hw-features-groups")
        z = (irises - irises.mean()) / irises.std(ddof=0)
        s = pd.Series({k: silhouette_score(z, KMeans(k, n_init=10, random_state=0).fit(z).labels_) for k in range(2, 7)})
        with mlflow.start_run(run_name="k-means"):
            mlflow.log_params({"n_clusters": int(s.idxmax()), "scaled": True})
            mlflow.log_metric("silhouette", s.max())
        """,
        """
        mlflow.set_experiment("hw-features-groups")
        z = StandardScaler().fit_transform(irises)
        best = (0, -1.0)
        for k in [6, 5, 4, 3, 2]:
            s = silhouette_score(z, KMeans(n_clusters=k, n_init=10, random_state=0).fit_predict(z))
            best = (k, s) if s > best[1] else best
        mlflow.start_run(run_name="k-means")
        mlflow.log_param("n_clusters", best[0])
        mlflow.log_metric("silhouette", best[1])
        mlflow.end_run()
        """,
    ],
}

_PIPE = "make_pipeline(StandardScaler(), step, LogisticRegression())"
_BEFORE = "step.fit_transform(StandardScaler().fit_transform(wines), kinds)"
_OWN = (
    "__import__('sklearn.model_selection').model_selection.cross_validate(model, wines, kinds, cv=wine_folds, "
    'return_train_score=True)["train_score"]'
)
_ON_TRAIN = ("other_valid, predicted", "other_train, model.predict(X_train)")
_RMSE = 'mlflow.log_metric("test_rmse", root_mean_squared_error(points_test, guess))'
_CHOICE = "best = min(found, key=lambda depth: found[depth][0])"

WRONG = {
    1: [
        ("not-started", ""),
        ("file-name", swap("steps.csv", "Steps.csv")),
        ("column-missing", swap('"accuracy": scores', '"score": scores')),
        ("step-names", swap('"best": SelectKBest', '"kbest": SelectKBest')),
        ("leaked-rows", swap(_PIPE, "LogisticRegression()", "(model, wines,", f"(model, {_BEFORE},")),
        ("not-scaled", swap("StandardScaler(), ", "")),
        ("no-step", swap("StandardScaler(), step,", "StandardScaler(),")),
        ("ties-counted", swap("scores > all_13", "scores >= all_13")),
        ("folds-behind", swap("scores > all_13", "scores < all_13")),
        ("fold-against-mean", swap("scores > all_13", "scores > all_13.mean()")),
        ("share-not-count", swap("(scores > all_13).sum()", "(scores > all_13).mean()")),
        ("column-missing", swap(', "ahead": ahead', "")),
        ("train-not-test", swap('cross_val_score(model, wines, kinds, cv=wine_folds, scoring="accuracy")', _OWN)),
        ("other-folds", swap("cv=wine_folds", "cv=5")),
        ("other-metric", swap('scoring="accuracy"', 'scoring="f1_macro"')),
        ("rounded", swap("scores.mean()", "round(scores.mean(), 3)")),
        ("value-wrong", swap("scores.mean()", "0.5123")),
    ],
    2: [
        ("not-started", ""),
        ("experiment-name", swap("hw-features-eights", "hw_features_Eights")),
        ("run-name", swap('run_name="eights"', 'run_name="eight"')),
        ("metric-missing", swap('mlflow.log_metric("f1", f1_score(other_valid, predicted, pos_label=0))', "pass")),
        ("wrong-class", swap(", pos_label=0", "")),
        ("averaged", swap("pos_label=0", 'average="weighted"')),
        ("averaged-plainly", swap("pos_label=0", 'average="macro"')),
        ("accuracy-not-asked", swap("precision_score(other_valid, predicted, pos_label=0)", "(other_valid == predicted).mean()")),
        ("train-not-test", swap(*_ON_TRAIN)),
        ("metrics-swapped", swap("other_valid, predicted", "predicted, other_valid")),
        ("metrics-swapped", swap("precision_score(", "RECALL(", "recall_score(", "precision_score(", "RECALL(", "recall_score(")),
        ("value-wrong", swap("recall_score(other_valid, predicted, pos_label=0)", "0.3123")),
    ],
    3: [
        ("not-started", ""),
        ("experiment-name", swap("hw-features-tracking", "hw_features_Tracking")),
        ("param-value", swap("alpha = 5.0", "alpha = 0.0")),
        ("param-value", swap('log_param("alpha", alpha)', 'log_param("alpha", "five")')),
        ("param-missing", swap('mlflow.log_param("alpha", alpha)', "pass")),
        ("metric-name", swap('"test_rmse"', '"test-RMSE"')),
        ("train-not-test", swap("P_test", "P_train", "points_test", "points_train")),
        ("squared-not-root", swap("root_mean_squared_error(points_test, guess)", "((points_test - guess) ** 2).mean()")),
        ("metrics-swapped", swap("root_mean_squared_error", "mean_absolute_error")),
        ("not-scaled", swap("make_pipeline(StandardScaler(), Ridge(alpha=alpha))", "Ridge(alpha=alpha)")),
        ("sign", swap("root_mean_squared_error(points", "-root_mean_squared_error(points")),
        ("value-wrong", swap('log_param("alpha", alpha)', 'log_param("alpha", 6)')),
    ],
    4: [
        ("not-started", ""),
        ("experiment-name", swap("hw-features-depth", "hw-features-depths")),
        ("param-missing", swap('mlflow.log_param("max_depth", best)', "pass")),
        ("param-value", swap('"max_depth", best)', '"max_depth", 7)')),
        ("chosen-by-training", swap("found[depth][0])", "found[depth][1])")),
        ("wrong-depth", swap(_CHOICE, "best = 1")),
        ("metrics-swapped", swap("found[best][0]", "FIRST", "found[best][1]", "found[best][0]", "FIRST", "found[best][1]")),
        ("squared-not-root", swap(_CHOICE, _CHOICE + "\nimport numpy as np", "neg_root_mean_squared_error", "neg_mean_squared_error")),
        ("sign", swap('"cv_rmse", found', '"cv_rmse", -found')),
        ("one-fit", append("_all = DecisionTreeRegressor(max_depth=best, random_state=0).fit(D_train, d_train)\n"
            'with mlflow.start_run(run_name="tree"):\n    mlflow.log_param("max_depth", best)\n'
            '    mlflow.log_metric("cv_rmse", found[best][0])\n'
            '    mlflow.log_metric("train_rmse", root_mean_squared_error(d_train, _all.predict(D_train)))')),
        ("test-rows", append("_all = DecisionTreeRegressor(max_depth=best, random_state=0).fit(D_train, d_train)\n"
            'with mlflow.start_run(run_name="tree"):\n    mlflow.log_param("max_depth", best)\n'
            '    mlflow.log_metric("cv_rmse", root_mean_squared_error(d_test, _all.predict(D_test)))\n'
            '    mlflow.log_metric("train_rmse", found[best][1])')),
        ("rounded", swap('"cv_rmse", found[best][0]', '"cv_rmse", round(found[best][0], 1)')),
    ],
    5: [
        ("not-started", ""),
        ("labels-known", swap("best = max(shape, key=shape.get)", "best = 3")),
        ("wrong-number", swap("best = max(shape, key=shape.get)", "best = 5")),
        ("param-value", swap('"n_clusters", best', '"n_clusters", 1')),
        ("not-scaled", swap("StandardScaler().fit_transform(irises)", "irises")),
        ("metric-missing", swap('mlflow.log_metric("silhouette", shape[best])', "pass")),
    ],
}

SWAPS = {
    "P_train": "P_test",
    "P_test": "P_train",
    "points_train": "points_test",
    "points_test": "points_train",
    "wine_folds": "seed",
    "tree_folds": "seed",
    "other_valid": "predicted",
}

#: Mutants that are right answers, with the reason. The key is the start of the description.
_ACCURACY = "a classifier is scored by its accuracy if nothing is said"
_INDEX = "an extra column with row numbers does not disturb"
_TIES = "the seed only breaks ties, and a tree of the best depth has none"
_CLEAR = "two clear groups are found from any start"
EQUIVALENT = {
    1: {
        "line 3: dropped n_components=": "three kinds allow two components at most, and that is the default",
        "line 7: dropped scoring=": _ACCURACY,
        "line 11: dropped scoring=": _ACCURACY,
        "line 14: False → True": _INDEX,
        "line 14: dropped index=": _INDEX,
    },
    3: {"line 1: 5.0 →": "any alpha above 0 is right"},
    4: {"line 3: dropped random_state=": _TIES, "line 3: 0 →": _TIES},
    5: {
        "line 3: 7 →": "more numbers of groups are tried, and two is still the best",
        "line 4: dropped n_init=": _CLEAR,
        "line 4: 10 →": _CLEAR,
        "line 4: dropped random_state=": _CLEAR,
        "line 4: 0 →": _CLEAR,
    },
}
WRONG[4].append(
    (
        "root-of-mean",
        swap(
            "neg_root_mean_squared_error", "neg_mean_squared_error",
            '-result["test_score"].mean(), -result["train_score"].mean()',
            '(-result["test_score"].mean()) ** 0.5, (-result["train_score"].mean()) ** 0.5',
        ),
    )
)

# Written by people who had seen the homework and not the checks.
WRONG[1].append(("fitted-on-all", '''
# training score
out = [{"step": n, "ahead": 0, "accuracy": make_pipeline(StandardScaler(), s, LogisticRegression()).fit(wines, kinds).score(wines, kinds)} for n, s in [("pca", PCA(2)), ("lda", LinearDiscriminantAnalysis(n_components=2)), ("best", SelectKBest(k=2))]]
pd.DataFrame(out).to_csv(folder / "steps.csv", index=False)
'''))
WRONG[1].append(("one-fold", '''
# last fold only
out = [{"step": n, "ahead": 0, "accuracy": cross_val_score(make_pipeline(StandardScaler(), s, LogisticRegression()), wines, kinds, cv=wine_folds)[-1]} for n, s in [("pca", PCA(2)), ("lda", LinearDiscriminantAnalysis(n_components=2)), ("best", SelectKBest(k=2))]]
pd.DataFrame(out).to_csv(folder / "steps.csv", index=False)
'''))
WRONG[1].append(("steps-swapped", '''
# pca and best exchanged
out = [{"step": n, "ahead": 0, "accuracy": cross_val_score(make_pipeline(StandardScaler(), s, LogisticRegression()), wines, kinds, cv=wine_folds).mean()} for n, s in [("best", PCA(2)), ("lda", LinearDiscriminantAnalysis(n_components=2)), ("pca", SelectKBest(k=2))]]
pd.DataFrame(out).to_csv(folder / "steps.csv", index=False)
'''))
WRONG[1].append(("median-not-mean", '''
# median over the folds
import numpy as np
out = [{"step": n, "ahead": 0, "accuracy": float(np.median(cross_val_score(make_pipeline(StandardScaler(), s, LogisticRegression()), wines, kinds, cv=wine_folds)))} for n, s in [("pca", PCA(2)), ("lda", LinearDiscriminantAnalysis(n_components=2)), ("best", SelectKBest(k=2))]]
pd.DataFrame(out).to_csv(folder / "steps.csv", index=False)
'''))
WRONG[2].append(("plain-mean", '''
# f1 as plain mean of precision and recall
mlflow.set_experiment("hw-features-eights")
p = precision_score(other_valid, predicted, pos_label=0); r = recall_score(other_valid, predicted, pos_label=0)
with mlflow.start_run(run_name="eights"):
    mlflow.log_metrics({"precision": p, "recall": r, "f1": (p + r) / 2})
'''))
WRONG[2].append(("fitted-on-valid", '''
# model fitted again on validation rows
mlflow.set_experiment("hw-features-eights")
again = model.fit(X_valid, other_valid).predict(X_valid)
with mlflow.start_run(run_name="eights"):
    for n, f in dict(precision=precision_score, recall=recall_score, f1=f1_score).items():
        mlflow.log_metric(n, f(other_valid, again, pos_label=0))
'''))
WRONG[3].append(("other-measure", '''
# median absolute error for mae
from sklearn.metrics import median_absolute_error
mlflow.set_experiment("hw-features-tracking")
m = make_pipeline(StandardScaler(), Ridge(alpha=2)).fit(P_train, points_train)
with mlflow.start_run(run_name="ridge"):
    mlflow.log_param("alpha", 2)
    mlflow.log_metric("test_rmse", root_mean_squared_error(points_test, m.predict(P_test)))
    mlflow.log_metric("test_mae", median_absolute_error(points_test, m.predict(P_test)))
'''))
WRONG[3].append(("other-model", '''
# lasso for ridge
from sklearn.linear_model import Lasso
mlflow.set_experiment("hw-features-tracking")
m = make_pipeline(StandardScaler(), Lasso(alpha=2)).fit(P_train, points_train)
with mlflow.start_run(run_name="ridge"):
    mlflow.log_param("alpha", 2)
    mlflow.log_metric("test_rmse", root_mean_squared_error(points_test, m.predict(P_test)))
    mlflow.log_metric("test_mae", mean_absolute_error(points_test, m.predict(P_test)))
'''))
WRONG[4].append(("chosen-by-training", '''
# sorted the wrong way (min of the negative score)
mlflow.set_experiment("hw-features-depth")
res = {d: cross_validate(DecisionTreeRegressor(max_depth=d, random_state=0), D_train, d_train, cv=tree_folds, scoring="neg_root_mean_squared_error", return_train_score=True) for d in depths}
best = min(depths, key=lambda d: res[d]["test_score"].mean())
with mlflow.start_run(run_name="tree"):
    mlflow.log_param("max_depth", best)
    mlflow.log_metric("cv_rmse", -res[best]["test_score"].mean()); mlflow.log_metric("train_rmse", -res[best]["train_score"].mean())
'''))
WRONG[4].append(("rows-all", '''
# chosen on the training rows, measured on all
mlflow.set_experiment("hw-features-depth")
more = {"cv": tree_folds, "scoring": "neg_root_mean_squared_error", "return_train_score": True}
trees = {d: DecisionTreeRegressor(max_depth=d, random_state=0) for d in depths}
best = max(depths, key=lambda d: cross_validate(trees[d], D_train, d_train, **more)["test_score"].mean())
result = cross_validate(trees[best], study, d_all, **more)
with mlflow.start_run(run_name="tree"):
    mlflow.log_param("max_depth", best)
    mlflow.log_metric("cv_rmse", -result["test_score"].mean())
    mlflow.log_metric("train_rmse", -result["train_score"].mean())
'''))
WRONG[5].append(("judged-on-raw", '''
# groups on scaled, silhouette on raw table
mlflow.set_experiment("hw-features-groups")
Z = StandardScaler().fit_transform(irises)
s = {k: silhouette_score(irises, KMeans(k, n_init=10, random_state=0).fit_predict(Z)) for k in range(2, 7)}
with mlflow.start_run(run_name="k-means"):
    mlflow.log_param("n_clusters", max(s, key=s.get)); mlflow.log_metric("silhouette", max(s.values()))
'''))
WRONG[2].append(("fitted-on-all", swap("predicted,", "model.fit(digits, is_other).predict(X_valid),")))
WRONG[5].append(("grouped-on-raw", swap("fit_predict(scaled)", "fit_predict(irises)")))
