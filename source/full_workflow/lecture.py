# %% [markdown]
# # The full workflow in eight steps
#
# **Can you answer for every number between a raw table and a registered model?**
#
# We will build one tracked workflow: split, pipeline, search, calibration, test, two curves, runtimes, registry. Then
# we will run all of it again on another data set with one call.
#
# Afterwards you can
# - **track** a search with all of its settings as child runs of one parent;
# - **choose** a calibration method and a threshold without looking at the test set;
# - **read** a learning curve and a validation curve, and **say** what would help the model;
# - **rerun** the workflow with other parameters, in a notebook or from the command line.
#
# **You need:** lectures {step:pipelines}, {step:mlflow_basics}, {step:logging}, {step:comparing_runs}, {step:autolog}, {step:nested_runs}, {step:models} and {step:model_registry}.
#
# **Time:** 14 min to read · 18 min to do
#
# <!-- links -->
#
# ## Recall

# %%
from course_utils import lesson

lesson.quiz("full_workflow", "recall")

# %% [markdown]
# ## The problem
#
# Jonas hands over a table without names: 20 measurements, gaps in every column, some labels wrong. Tom will call the
# customers whose probability is above a threshold. Ines asks where that threshold comes from, Aisha how long one
# prediction takes. Mira wants one run that answers all of them.
#
# ## Setup
#
# Every parameter may be changed: `data` takes `"breast_cancer"`, `"churn"` or your own CSV or Parquet file (then name
# the `target`), `model` takes `"random_forest"`, `scoring` for example `"f1"`. Fewer rows and folds run faster.

# %% tags=["parameters"]
data = "synthetic"
target = None
model = "logistic_regression"
polynomial = False
scoring = "roc_auc"
n_rows = 5000
folds = 5
seed = 42

# %%
from dataclasses import replace

import mlflow
import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, learning_curve, validation_curve
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from course_runner import workflow
from course_utils import evaluation, plots, store

store.connect()
experiment = mlflow.set_experiment("11-full-workflow").name
folder = store.outputs("11_full_workflow")
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Step 1: data and split
#
# In the synthetic table, one value in twenty is missing and one label in twenty is drawn at random, on purpose.
# `workflow.load` refuses what cannot work (a target with one class, an empty column, too few rows for the folds) and
# keeps 20 % of the rows for the test, **stratified**: both parts have the same share of class 1. Both are logged with
# a digest of **all** rows.
#
# The run that opens here is the **parent**. Later steps add to it by its id: most logging functions take `run_id=…`.
# `keep` shows a figure, saves it, and logs the file.

# %%
config = workflow.WorkflowConfig(data, target, model, polynomial, scoring, n_rows, folds, seed=seed)
split = workflow.load(config)
with mlflow.start_run(run_name=f"{split.name}-{model}") as parent:
    mlflow.log_params(config.params())
    workflow.log_data(split)

run_id, X, y = parent.info.run_id, split.X_train, split.y_train
print(f"{len(X)} rows to train on, {len(split.X_test)} to test on, {X.shape[1]} features")
print(f"missing values: {X.isna().mean().mean():.1%}, class 1: {y.mean():.1%} of the rows")


def keep(fig, name):
    mlflow.log_artifact(str(plots.save(fig, folder / name)), run_id=run_id)
    plots.show(fig)


# %% [markdown]
# ## Step 2: pipeline
#
# Gaps are filled with the median, numbers are scaled, text becomes columns. Because all of this is *inside* the
# pipeline, each fold learns its medians from its own training rows. `workflow.build_pipeline` is the same recipe with
# guards for sparse columns and rare categories; it also builds the forest and the polynomials.

# %%
numeric = X.select_dtypes("number").columns.tolist()
text = [column for column in X if column not in numeric]
numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
prepare = ColumnTransformer([("numbers", numbers, numeric), ("words", words, text)])
by_hand = Pipeline([("prepare", prepare), ("model", LogisticRegression(max_iter=5000))])

pipeline = workflow.build_pipeline(X, model, polynomial, seed)
fitted = [p.fit(X, y).predict_proba(X) for p in (by_hand, pipeline)]
print("By hand and from the package, the same probabilities:", np.allclose(*fitted))

# %% [markdown]
# ## Step 3: search (round 1)
#
# Eight strengths of regularisation, each with and without class weights.
#
# **Predict.** `class_weight="balanced"` counts the rarer class more. Will it raise the ROC-AUC, lower it, or leave
# it?

# %%
prediction = "?"  # raise, lower or leave

# %%
cv = evaluation.folds_of(folds, seed)
search = GridSearchCV(pipeline, workflow.param_grid(model), scoring=scoring, cv=cv).fit(X, y)
children = workflow.log_candidates(search, run_id)
mlflow.log_metric("cv_score", search.best_score_, run_id=run_id)

table = workflow.candidates(search)
table.to_csv(folder / "cv_results.csv", index=False)
mlflow.log_artifact(str(folder / "cv_results.csv"), run_id=run_id)
print(f"{len(table)} settings × {folds} folds = {len(table) * folds} fits, {len(children)} child runs")
first, *others = table.columns[:-4]
table.pivot_table(index=first, columns=others, values="cv_score").round(3)

# %% [markdown]
# You should see two columns that agree: ROC-AUC looks at the *order* of the rows only, and weights hardly change it.
# They do change the probabilities: see step 4.
#
# ## Step 4: calibration (round 2)
#
# A probability of 0.8 is *calibrated* when 80 of 100 such customers leave. `CalibratedClassifierCV` learns a
# correction: `sigmoid` fits an S-shaped curve, `isotonic` any rising staircase. The **Brier score**, the mean squared
# distance of probability and truth, judges; 0 is best. To judge fairly, every row gets its probability from a model
# that has not seen it (**out of fold**).
#
# **Predict.** A logistic regression minimises a loss on probabilities. How much will calibration gain: a lot or
# nearly nothing?

# %%
prediction = "?"  # a lot or nearly nothing

# %%
best = search.best_estimator_
sigmoid = CalibratedClassifierCV(best, method="sigmoid", cv=folds)
isotonic = CalibratedClassifierCV(best, method="isotonic", cv=folds)
variants = {"uncalibrated": best, "sigmoid": sigmoid, "isotonic": isotonic}
unseen = {name: evaluation.out_of_fold(variant, X, y, folds, seed) for name, variant in variants.items()}

for name, probability in unseen.items():
    mlflow.log_metric(f"oof_brier_{name}", evaluation.scores(y, probability)["brier"], run_id=run_id)
keep(plots.calibration_comparison(y, unseen), "calibration.png")

# %% [markdown]
# You should see three curves near the diagonal and nearly equal Brier scores. For a forest, or with class weights on
# rare classes, the gain is large. We keep `sigmoid`: two parameters hardly overfit.
#
# ## Step 5: test
#
# The threshold is a setting like any other, so it is chosen on out-of-fold rows too. Only then comes the first look
# at the test set. In the second panel, the area under the curve (*average precision*) is the **PR-AUC**; the dashed
# line is the **prevalence**, the share of class 1, which is the precision of guessing.

# %%
final = sigmoid.fit(X, y)
threshold, _ = evaluation.best_f1_threshold(y, unseen["sigmoid"])
probability = final.predict_proba(split.X_test)[:, 1]
scores = evaluation.scores(split.y_test, probability, threshold)
mlflow.log_metrics({"threshold": threshold} | {f"test_{k}": v for k, v in scores.items()}, run_id=run_id)
keep(plots.evaluation_panels(split.y_test, probability, threshold, classes=split.classes), "test_evaluation.png")

# %% [markdown]
# ## Step 6: learning curve (round 3)
#
# Would more rows help? Train on a tenth of the rows, then on more and more.
#
# **Predict.** Will the gap between training and validation score be wide (0.05 or more) at the end?

# %%
prediction = "?"  # wide or narrow

# %%
steps = workflow.learning_sizes(y, folds, seed)
sizes, train, valid = learning_curve(best, X, y, train_sizes=steps, scoring=scoring, cv=cv)
keep(plots.learning_curve(sizes, train, valid, scoring=workflow.SCORINGS[scoring]), "learning_curve.png")
workflow.reading_table(workflow.Curve("rows", sizes, train, valid))

# %% [markdown]
# You should see the arrow in the last row: both curves meet and stay flat. More rows would not help; better features
# or a more flexible model would. Step 8 tests that.
#
# ## Step 7: validation curve
#
# A finer curve over `C` shows whether the search's choice stands on a plateau or on a cliff.

# %%
key, values = workflow.varied(model)
train, valid = validation_curve(best, X, y, param_name=key, param_range=values, scoring=scoring, cv=cv)
marks = {"name": key.split("__")[1], "scoring": workflow.SCORINGS[scoring], "chosen": search.best_params_[key]}
keep(plots.validation_curve(values, train, valid, **marks), "validation_curve.png")

# %% [markdown]
# You should see a plateau: the sweet spot and the choice of the search differ in `C` and hardly in score.
#
# ## Step 8: runtimes
#
# Each number is the median of three repeats. Seconds mean little without the machine, so the table names it.

# %% tags=["measured"]
rivals = {name: workflow.build_pipeline(X, name, seed=seed) for name in workflow.MODELS}
runtime = workflow.compare_runtimes(rivals, split).assign(hardware=workflow.hardware())
runtime.to_csv(folder / "runtime_comparison.csv")
mlflow.log_artifact(str(folder / "runtime_comparison.csv"), run_id=run_id)
keep(plots.runtime_comparison(runtime), "runtime_comparison.png")

# %% [markdown]
# You should see a forest that orders the rows much better and takes longer for it. That is the other half of the
# learning curve's advice: the linear model was too stiff. `polynomial = True` is the cheap way out.
#
# ## Register, load, query
#
# The final model gets a name in the registry. Loaded by run and by registry, it predicts the same.

# %%
with mlflow.start_run(run_id=run_id):
    info = store.log_model(final, "model", X)
registered = mlflow.register_model(info.model_uri, f"calibrated_{model}")

uris = (f"runs:/{run_id}/model", f"models:/{registered.name}/{registered.version}")
by_run, by_registry = (mlflow.sklearn.load_model(uri).predict_proba(split.X_test) for uri in uris)
print("Equal predictions by run and by registry:", np.array_equal(by_run, by_registry))

mine = f"tags.mlflow.parentRunId = '{run_id}'"
winner = mlflow.search_runs(
    filter_string=mine, order_by=["metrics.cv_score DESC"], max_results=1, output_format="list"
)[0]
print(f"Best child: {winner.info.run_name}, mean {workflow.SCORINGS[scoring]} {winner.data.metrics['cv_score']:.3f}")

# %% [markdown]
# ## Look at the UI
#
# 1. With *Model training* chosen at the top left, open `11-full-workflow`. The parent has a small **+**: click it, and
#    its children unfold.
# 2. Tick the parent: its children are ticked, too. **Compare** draws a parallel-coordinates plot.
# 3. Open the parent, then **Artifacts**: the pictures and tables of all steps.
# 4. **Model registry**: name, versions, and the way back to the run.
#
# ## The same, on other data
#
# `run_workflow` does all of this in one call and leaves a folder of files. `small=True` tries 4 settings. In a terminal:
#
# ```
# course workflow --data breast_cancer
# course workflow --data customers.csv --target churned --model random_forest --fast
# ```

# %%
place = {"experiment": experiment, "output": folder / "breast_cancer"}
real = replace(config, data="breast_cancer", target=None, small=True, **place)
result = workflow.run_workflow(real)
print(*sorted(path.name for path in result.folder.iterdir()), sep="\n")
print({name: round(value, 3) for name, value in result.scores.items()})

# %% [markdown]
# ## Your turn
#
# Find the children **with class weights** of your first parent. Replace the three dots by the missing half of the
# filter, a text that begins with `" and params.`.
#
# <details><summary>One solution</summary>
#
# `more = " and params.class_weight = 'balanced'"`
#
# </details>

# %%
more = ...

# %%
query = mine + more if isinstance(more, str) else mine
answer = mlflow.search_runs(filter_string=query, output_format="list")
weights = {run.data.params["class_weight"] for run in answer}
lesson.turn(weights == {"balanced"}, "texts stand in single quotes: params.name = 'value'.")

# %% [markdown]
# ## Pitfalls
#
# **`threshold-on-test`: the threshold is chosen on the rows that judge it.** F1 looks better than it will ever be.

# %%
looks, f1_looks = evaluation.best_f1_threshold(split.y_test, probability)
print(f"threshold {looks:.3f}, from the test rows:        F1 looks like {f1_looks:.3f}")
print(f"threshold {threshold:.3f}, from out-of-fold rows:     F1 is         {scores['f1']:.3f}")

# %% [markdown]
# **`calibrated-on-train`: the correction is learned from rows that trained the model.** A forest is sure of rows it
# knows, so the correction learns that it is always right. Repair: let `CalibratedClassifierCV` split (`cv=…`).

# %%
forest = rivals["random_forest"].fit(X, y)
known = CalibratedClassifierCV(FrozenEstimator(forest), method="isotonic").fit(X, y)
unknown = CalibratedClassifierCV(forest, method="isotonic", cv=folds).fit(X, y)
for rows, calibrated in {"training rows": known, "unseen folds": unknown}.items():
    p = calibrated.predict_proba(split.X_test)[:, 1]
    print(f"calibrated on {rows}: test Brier score {evaluation.scores(split.y_test, p)['brier']:.3f}")

# %% [markdown]
# **`param-changed`: a step runs again with another setting, in the old run.** MLflow refuses, and the block that
# failed marks the whole parent as FAILED. Repair: a new setting is a new parent, so rerun from step 1. What has been
# logged is still right, so set the old status back.

# %%
with lesson.expect_error(mlflow.MlflowException, code="param-changed"):
    with mlflow.start_run(run_id=run_id):
        mlflow.log_param("folds", folds + 1)
print("parent:", mlflow.get_run(run_id).info.status)

mlflow.MlflowClient().set_terminated(run_id, "FINISHED")
print("parent:", mlflow.get_run(run_id).info.status)

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("full_workflow")

# %% [markdown]
# ## Key points
#
# - One parent run holds the answers, one child per setting holds the search; `start_run(run_id=…)` opens the parent
#   again.
# - Calibration and threshold are choices: make them on out-of-fold rows. The test set is looked at once.
# - Flat curves that meet ask for features or flexibility, a wide gap for rows or regularisation. A sweet spot on a
#   plateau is a safe one.
# - Parameters turn the same notebook to other data; `course workflow` does it without Jupyter.
#
# ## Next steps
#
# - Do the [homework](../exercises/11_full_workflow.ipynb). Next lecture: what happens to the model when the world changes.
# - Official pages: [Probability calibration](https://scikit-learn.org/stable/modules/calibration.html), [validation
#   and learning curves](https://scikit-learn.org/stable/modules/learning_curve.html).
# - Optional depth: set `model = "random_forest"` or `polynomial = True` and run all again. What does calibration gain
#   now?
