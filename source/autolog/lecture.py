# %% [markdown]
# # Autologging
#
# **How much of the logging can MLflow do for you, and what does it miss?**
#
# We will build the same run by hand and automatically, put both side by side, let a search log its own child runs, and
# write the bill in seconds.
#
# Afterwards you can
# - **switch** autologging on, with the options you mean, and off again;
# - **tell** which logged values come from training rows, and **add** those that count;
# - **read** the child runs of a search;
# - **avoid** the runs that autologging makes behind your back.
#
# **You need:** lectures {step:mlflow_basics}, {step:logging} and {step:comparing_runs}.
#
# **Time:** 12 min to read · 18 min to do
#
# <!-- links -->
#
# ## Recall

# %%
from course_utils import lesson

lesson.quiz("autolog", "recall")

# %% [markdown]
# ## The problem
#
# Mira logs what she thinks of. Last month she did not think of `class_weight`, and now nobody can say why two forests
# with the same two logged parameters differ. "Can't it log *everything*?" asks Jonas. It can. **Autologging** watches
# scikit-learn: every `fit` becomes a run, or fills the run that is open.
#
# ## Setup

# %% tags=["parameters"]
seed = 0
n_rows = 2000

# %%
import time

import mlflow
import pandas as pd
import sklearn.metrics
from mlflow.models import MetricThreshold, make_metric
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from course_utils import data, plots, store

store.connect()
mlflow.set_experiment("autolog")
split = data.churn_split(n_rows, seed, numeric=True)
X_train, X_test, y_train, y_test = split.X_train, split.X_test, split.y_train, split.y_test
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Round 1: by hand and automatic, side by side
#
# This is what a careful person logs: the choice, and the score on test rows.

# %%
def pipeline():
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.5))


# %%
with mlflow.start_run(run_name="by-hand") as by_hand:
    model = pipeline().fit(X_train, y_train)
    mlflow.log_param("C", 0.5)
    mlflow.log_metric("test_auc", sklearn.metrics.roc_auc_score(y_test, model.predict_proba(X_test)[:, 1]))

# %% [markdown]
# Now `mlflow.sklearn.autolog` does it; `log_models=False` leaves the model out for now.
#
# **Predict.** You chose one parameter, `C`. How many will the automatic run hold?

# %%
predicted_params = 0  # your number

# %%
def contents(run):
    stored, files = mlflow.get_run(run.info.run_id), mlflow.artifacts.list_artifacts(run_id=run.info.run_id)
    held = [stored.data.params, stored.data.metrics, files, stored.inputs.dataset_inputs, stored.outputs.model_outputs]
    return pd.Series(map(len, held), ["parameters", "metrics", "files", "data sets", "models"])


mlflow.sklearn.autolog(log_models=False)
with mlflow.start_run(run_name="automatic") as automatic:
    pipeline().fit(X_train, y_train)
pd.DataFrame({"by hand": contents(by_hand), "automatic": contents(automatic)})

# %% [markdown]
# You should see every setting of every step, defaults included. If you see zeros on the right, autologging was off when
# `fit` ran. What is in there, exactly?

# %%
stored = mlflow.get_run(automatic.info.run_id)
print("parameters:", *[name for name in sorted(stored.data.params) if name.endswith(("C", "penalty", "max_iter"))], "…")
print("metrics:   ", *sorted(stored.data.metrics), sep="\n  ")
print("files:     ", *[file.path for file in mlflow.artifacts.list_artifacts(run_id=stored.info.run_id)], sep="\n  ")
(used,) = stored.inputs.dataset_inputs
print("data set:  ", used.dataset.name, "| used for:", used.tags[0].value)
print("tags:      ", stored.data.tags["estimator_name"], "|", stored.data.tags["estimator_class"])

# %% [markdown]
# `estimator.html` is the clickable diagram of the pipeline; the data set is logged with its digest (lecture {step:logging}). One
# thing is missing: `test_auc`.
#
# **Options** decide what is logged. These are the ones you will need:
#
# | option (default) | what it does |
# |---|---|
# | `log_models`, `log_model_signatures` (True) | the model and its column types |
# | `log_input_examples` (False) | a few rows beside the model |
# | `serialization_format` ("cloudpickle") | file format of the model; "skops" is the safe one |
# | `log_datasets`, `log_post_training_metrics` (True) | the training rows' digest; scores after `fit` (round 2) |
# | `max_tuning_runs` (5) | child runs of a search (round 3); `None` for all |
# | `exclusive` (False) | True: never touch a run that you opened yourself |
# | `extra_tags` (None) | tags for the runs that autologging opens itself |
# | `silent` (False), `disable` (False) | no warnings; no autologging |

# %%
for options in ({"log_datasets": False}, {"exclusive": True}, {"disable": True}):
    mlflow.sklearn.autolog(log_models=False, **options)
    with mlflow.start_run(run_name="options") as run:
        pipeline().fit(X_train, y_train)
    print(options, "→", contents(run).to_dict())

# %% [markdown]
# ## Round 2: whose rows are these?
#
# **Predict.** The automatic run has `training_roc_auc`. For a tree that grows as deep as it likes, will it be near 0.5,
# near 0.75 or near 1, and what will the test rows say?

# %%
predicted_training, predicted_test = "?", "?"

# %%
mlflow.sklearn.autolog(log_models=False)
with mlflow.start_run(run_name="deep-tree") as deep:
    tree = DecisionTreeClassifier(random_state=seed).fit(X_train, y_train)
    tree.score(X_test, y_test)
    sklearn.metrics.f1_score(y_test, tree.predict(X_test))
    mlflow.log_metric("test_auc", sklearn.metrics.roc_auc_score(y_test, tree.predict_proba(X_test)[:, 1]))

metrics = mlflow.get_run(deep.info.run_id).data.metrics
scores = pd.Series({name: value for name, value in metrics.items() if "auc" in name or "X_test" in name}).sort_index()
scores.round(3)

# %% [markdown]
# You should see a perfect training value beside a poor one on test rows. **Every metric that `fit` logs comes from the
# training rows.** If you report `training_roc_auc`, you report how well the tree remembers.
#
# Two names end in `X_test`: **post-training metrics**. Autologging saw `score` and `f1_score` called on predictions of
# that model, and took the name of your variable. The file `metric_info.json` says which call made which number. It
# does not see everything: `predict_proba(…)[:, 1]` is a new array, so ROC-AUC was logged by hand.
#
# What `fit` does with training rows, **`mlflow.models.evaluate`** does with any table of truth and predictions: it logs
# the metrics of a classifier, the confusion matrix, and a metric of your own, such as the calls that Tom must make. A
# limit then refuses the model or lets it pass. Older courses write `mlflow.evaluate`, which works and warns.

# %%
judged = X_test.assign(churned=y_test.astype(bool), predicted=tree.predict(X_test).astype(bool))
calls = make_metric(eval_fn=lambda predictions: float(predictions.sum()), greater_is_better=False, name="calls")
how = {"data": judged, "predictions": "predicted", "targets": "churned", "model_type": "classifier"}
how["evaluator_config"] = {"log_model_explainability": False}  # else it asks for another package, shap

with mlflow.start_run(run_id=deep.info.run_id):
    result = mlflow.models.evaluate(**how, extra_metrics=[calls])
print({name: round(float(result.metrics[name]), 3) for name in ("precision_score", "recall_score", "calls")})
with lesson.expect_error(mlflow.exceptions.MlflowException):
    limit = MetricThreshold(threshold=0.5, greater_is_better=True)
    mlflow.validate_evaluation_results({"recall_score": limit}, result)
with lesson.expect_warning(FutureWarning), mlflow.start_run(run_name="old-name"):
    mlflow.evaluate(**how)

# %% [markdown]
# ## Round 3: a search logs its children
#
# **Predict.** A grid search tries eight depths. How many **child runs** will stand under its run?

# %%
predicted_children = 0  # your number

# %%
def search(**options):
    mlflow.sklearn.autolog(log_models=False, **options)
    with mlflow.start_run(run_name="grid-search") as parent:
        grid = {"max_depth": [1, 2, 3, 4, 5, 6, 8, 10]}
        GridSearchCV(DecisionTreeClassifier(random_state=seed), grid, scoring="roc_auc", cv=3).fit(X_train, y_train)
    children = mlflow.search_runs(filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    return mlflow.get_run(parent.info.run_id), children


parent, best_five = search()
parent, children = search(max_tuning_runs=None)
print("by default:", len(best_five), "children; with max_tuning_runs=None:", len(children))
print(f"parent: best_max_depth {parent.data.params['best_max_depth']}, {parent.data.metrics['best_cv_score']:.3f}")

# %% [markdown]
# You should see five and eight: by default only the five best get a run, to spare your store when a grid is large. All
# rows are in the parent's `cv_results.csv` anyway. The children hold what a plot needs:

# %%
curve = children[["params.max_depth", "metrics.mean_test_score"]].astype(float)
best = curve.nlargest(1, "metrics.mean_test_score").iloc[0]
title = f"Depth {best.iloc[0]:.0f} has the best cross-validated ROC-AUC: {best.iloc[1]:.3f}"
labels = {"xlabel": "max_depth (levels)", "ylabel": "ROC-AUC, mean of 3 folds"}
plots.show(plots.runs_line(curve, *curve.columns, title=title, **labels))

# %% [markdown]
# ## Look at the UI
#
# 1. With *Model training* chosen at the top left, open `autolog`. The small **+** before `grid-search` unfolds its
#    children.
# 2. Click `automatic`, then *Artifacts*: open `training_confusion_matrix.png` and `estimator.html`.
# 3. Back in the table, tick `by-hand` and `automatic`, press *Compare*, and switch *Show diff only* on.
#
# ## What it costs
#
# The last entry logs the **model** too, once. Autologging has no way to name the model's requirements, so MLflow finds
# them out each time, in a process of its own. Its default format, cloudpickle, may run code when it is loaded (lecture
# 08); `skops` does not, and takes this pipeline; for trees it wants a list of trusted types, which autologging cannot
# give.

# %%
ways = {"no logging": {"disable": True}, "autolog, no model": {"log_models": False}}
ways["autolog with model"] = {"serialization_format": "skops"}
bill = {}
for way, options in ways.items():
    mlflow.sklearn.autolog(**options)
    with mlflow.start_run(run_name=way) as run:
        start = time.perf_counter()
        pipeline().fit(X_train, y_train)
        bill[way] = time.perf_counter() - start

# %% tags=["measured"]
(output,) = mlflow.get_run(run.info.run_id).outputs.model_outputs
info = mlflow.models.get_model_info(f"models:/{output.model_id}")
print("format:   ", info.flavors["sklearn"]["serialization_format"])
print("signature:", *info.signature.inputs.input_names()[:3], "…")

seconds = pd.Series(bill, name="seconds")
fig = plots.bars(seconds, title=f"{seconds.idxmax()} is the expensive way", xlabel="one fit (s)", digits=2)
words = ", ".join(f"{way} {value:.2f} s" for way, value in seconds.items())
plots.show(plots.describe(fig, f"Bars of the time that one fit takes: {words}."))

# %% [markdown]
# So: `log_models=False` while you explore, and `store.log_model` once, for the model you keep. (In MLflow 2 the
# automatic model lay among the run's files; today it is a logged model with an address of its own.)
#
# ## Your turn
#
# The best of both: autologging fills the run, you add what it cannot know. Replace the three dots by **one line** that
# logs the metric `test_auc`, the number in `auc`.
#
# <details><summary>One solution</summary>
#
# `mlflow.log_metric("test_auc", auc)`
#
# </details>

# %%
mlflow.sklearn.autolog(log_models=False)
with mlflow.start_run(run_name="your-turn") as yours:
    model = pipeline().fit(X_train, y_train)
    auc = sklearn.metrics.roc_auc_score(y_test, model.predict_proba(X_test)[:, 1])
    ...

# %%
logged = mlflow.get_run(yours.info.run_id).data.metrics
lesson.turn(logged.get("test_auc") == auc, "log_metric takes the name and the number, inside the with block.")

# %% [markdown]
# ## Pitfalls
#
# **`stray-runs`: the order of imports decides.** Autologging replaces functions *inside* scikit-learn. A name imported
# before that, as `cross_val_score` in our setup, is the old function: each of its fits becomes a run that nobody asked
# for. Repair: call `autolog` first and import afterwards, or turn it off for cross-validation.

# %%
from sklearn.model_selection import cross_val_score as imported_after

mlflow.set_experiment("autolog-strays")
for order, function in {"before autolog": cross_val_score, "after autolog": imported_after}.items():
    runs_before = len(mlflow.search_runs())
    function(DecisionTreeClassifier(max_depth=3), X_train, y_train, cv=3)
    print(f"imported {order}: {len(mlflow.search_runs()) - runs_before} extra runs")

# %% [markdown]
# **`two-fits-one-run`: the run lies.** Parameters cannot change, metrics can. After a second `fit` in the same run,
# the parameters are those of the first model and the metrics those of the second. MLflow warns (`Changing param values
# is not allowed`), unless `silent=True` hides it, as here. Repair: one run, one fit.

# %%
mlflow.set_experiment("autolog")
mlflow.sklearn.autolog(log_models=False, silent=True)
with mlflow.start_run(run_name="two-fits") as two_fits:
    for max_depth in (2, 12):
        DecisionTreeClassifier(max_depth=max_depth, random_state=seed).fit(X_train, y_train)
lie = mlflow.get_run(two_fits.info.run_id).data
print(f"max_depth {lie.params['max_depth']} with training_roc_auc {lie.metrics['training_roc_auc']:.3f}?")

# %% [markdown]
# **`not-autologged`: two switches, and the inner one wins.** `mlflow.autolog()` is the switch of the whole house: all
# supported libraries at once (XGBoost, LightGBM, PyTorch Lightning, LLM clients …). But once you have called
# `mlflow.sklearn.autolog`, scikit-learn obeys only that: the main switch turns it neither off nor on. Repair: switch
# off what you switched on, and do it, or every later `fit` becomes a run.

# %%
for library, off in [(mlflow, True), (mlflow.sklearn, True), (mlflow, False)]:
    library.autolog(disable=off)
    with mlflow.start_run(run_name="is-it-on") as run:
        DecisionTreeClassifier(max_depth=3).fit(X_train, y_train)
    print(f"after {library.__name__}.autolog(disable={off}): {contents(run)['parameters']} parameters logged")
mlflow.autolog(disable=True)

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("autolog")

# %% [markdown]
# ## Key points
#
# - `mlflow.sklearn.autolog(log_models=False)` before the imports that use it; `mlflow.sklearn.autolog(disable=True)`
#   at the end. It logs all parameters, training metrics and plots, the data set and, if you let it, the model.
# - What `fit` logs comes from training rows. Scores on other rows come from `score` and metric functions, from
#   `mlflow.models.evaluate`, or from your own `log_metric`.
# - A search becomes a parent with its five best candidates as children; `max_tuning_runs=None` keeps all.
# - Cross-validation, a second fit and a forgotten switch make runs that you did not want.
#
# ## Next steps
#
# - Do the [homework](../exercises/06_autolog.ipynb): a run with the best of both, a search, a clean cross-validation.
# - Next lecture: parents and children that you make yourself.
# - Official page: [Autologging](https://mlflow.org/docs/latest/ml/tracking/autolog/).
# - Optional depth: add `"by hand"` to the bill, with two log calls behind `fit`.
