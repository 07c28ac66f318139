# %% [markdown]
# # Homework 11: four steps of the workflow
#
# **30 minutes · 4 tasks and a stretch · 8 points.** Each task is one step of the lecture on a small table. Run every cell as
# often as you like: a check reads your *latest* run.
#
# <!-- links -->

# %%
import mlflow
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, f1_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_utils import data, evaluation, store
from course_utils.homework import Homework

store.connect()
hw = Homework("full_workflow")
split = data.churn_split(400, data.course_seed(), numeric=True)
X, y, X_test, y_test = split.X_train, split.y_train, split.X_test, split.y_test
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Task 1: a grid as a family (2 points)
#
# The next cell searches four values of `C`. In the experiment `hw-full-workflow-grid`, log it as the lecture does: a parent run `grid`
# with the parameter `best_C`, the metric `best_cv_auc` and all candidates as the file `cv_results.csv`; below it one child
# run per candidate with the parameter `C` and the metric `cv_auc`.

# %%
model = make_pipeline(StandardScaler(), LogisticRegression())
search = GridSearchCV(model, {"logisticregression__C": [0.001, 0.01, 0.1, 1.0]}, cv=3, scoring="roc_auc").fit(X, y)
results = pd.DataFrame(search.cv_results_)

# %% tags=["task-1"]
mlflow.set_experiment("hw-full-workflow-grid")
### BEGIN SOLUTION
with mlflow.start_run(run_name="grid"):
    mlflow.log_param("best_C", search.best_params_["logisticregression__C"])
    mlflow.log_metric("best_cv_auc", search.best_score_)
    mlflow.log_text(results.to_csv(index=False), "cv_results.csv")
    for _, row in results.iterrows():
        with mlflow.start_run(run_name=f"C={row.param_logisticregression__C}", nested=True):
            mlflow.log_param("C", row.param_logisticregression__C)
            mlflow.log_metric("cv_auc", row.mean_test_score)
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: a threshold that has not seen the test (2 points)
#
# Choose the threshold with the best F1 from **out-of-fold** probabilities of the training rows
# (`evaluation.out_of_fold(model, X, y, folds=5, seed=0)`). Then fit `model` on all training rows and judge it on the test
# rows at that threshold. In the experiment `hw-full-workflow-threshold`, log both numbers as metrics of a run `threshold`: `threshold`
# and `test_f1`.

# %% tags=["task-2"]
mlflow.set_experiment("hw-full-workflow-threshold")
model = make_pipeline(StandardScaler(), LogisticRegression())
### BEGIN SOLUTION
threshold, _ = evaluation.best_f1_threshold(y, evaluation.out_of_fold(model, X, y, folds=5, seed=0))
predicted = model.fit(X, y).predict_proba(X_test)[:, 1] >= threshold
with mlflow.start_run(run_name="threshold"):
    mlflow.log_metric("threshold", threshold)
    mlflow.log_metric("test_f1", f1_score(y_test, predicted))
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: choose a calibration without the test (2 points)
#
# The forest of the next cell is too sure of itself. Calibrate it in three folds, with `sigmoid` and with `isotonic`, and
# choose the method by the Brier score of **out-of-fold** probabilities of the training rows
# (`evaluation.out_of_fold(…, X, y, folds=3, seed=0)`). Then fit the chosen one on all training rows. In the experiment
# `hw-full-workflow-calibration`, log in a run `calibrated` the parameter `method`, the metric `oof_brier` that decided, and the metric
# `test_brier`, the Brier score on the test rows.

# %% tags=["task-3"]
mlflow.set_experiment("hw-full-workflow-calibration")
forest = RandomForestClassifier(15, random_state=0)
### BEGIN SOLUTION
models = {method: CalibratedClassifierCV(forest, method=method, cv=3) for method in ("sigmoid", "isotonic")}
oof = {m: brier_score_loss(y, evaluation.out_of_fold(models[m], X, y, folds=3, seed=0)) for m in models}
best = min(oof, key=oof.get)
calibrated = models[best].fit(X, y)
with mlflow.start_run(run_name="calibrated"):
    mlflow.log_param("method", best)
    mlflow.log_metric("oof_brier", oof[best])
    mlflow.log_metric("test_brier", brier_score_loss(y_test, calibrated.predict_proba(X_test)[:, 1]))
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: another setting, another run (2 points)
#
# The next cell makes a run `monday` in the experiment `hw-full-workflow-rerun`: a score from **three** folds. On Tuesday you want
# **five** folds for the same `model`. Log them so that both can be compared: a run `tuesday` with the parameter `folds`
# and the metric `cv_auc`, the mean of the five. `monday` must stay as it was.

# %%
mlflow.set_experiment("hw-full-workflow-rerun")
model = make_pipeline(StandardScaler(), LogisticRegression())
if mlflow.search_runs(experiment_names=["hw-full-workflow-rerun"], filter_string="attributes.run_name = 'monday'").empty:
    with mlflow.start_run(run_name="monday"):
        mlflow.log_param("folds", 3)
        mlflow.log_metric("cv_auc", cross_val_score(model, X, y, cv=3, scoring="roc_auc").mean())

# %% tags=["task-4"]
### BEGIN SOLUTION
with mlflow.start_run(run_name="tuesday"):
    mlflow.log_param("folds", 5)
    mlflow.log_metric("cv_auc", cross_val_score(model, X, y, cv=5, scoring="roc_auc").mean())
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: what does a forest cost? (no points)
#
# Measure `LogisticRegression()` and `RandomForestClassifier(15, random_state=0)` with `evaluation.time_model(model, X, y,
# X_test)`, and write `runtime.csv` into `store.outputs("hw-full-workflow")`: columns `model`, `fit_seconds`, `roc_auc`
# (on the test rows), a row per model, named by its class.

# %% tags=["task-5"]
### BEGIN SOLUTION
rows = []
for estimator in (LogisticRegression(), RandomForestClassifier(15, random_state=0)):
    cost = evaluation.time_model(estimator, X, y, X_test)
    auc = evaluation.scores(y_test, estimator.fit(X, y).predict_proba(X_test)[:, 1])["roc_auc"]
    rows.append({"model": type(estimator).__name__, "fit_seconds": cost.fit_seconds, "roc_auc": auc})
pd.DataFrame(rows).to_csv(store.outputs("hw-full-workflow") / "runtime.csv", index=False)
### END SOLUTION

# %%
hw.check(5)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** Everything that is *chosen* (C, threshold, calibration) is chosen on training rows, through folds, so the
# test rows stay judges. And each setting is a run of its own, so no number ever needs to change.
