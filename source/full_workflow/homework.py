# %% [markdown]
# # Homework: the full workflow
#
# **35 minutes · 4 tasks and a stretch · 8 points.** The tasks are independent of each other; each is one step of the
# workflow on a small table. Run every cell as often as you like: a check reads your *latest* run. Below each task
# stands `hw.check(n)`; when you are stuck, add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import mlflow
import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, f1_score, precision_recall_curve
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("full_workflow")
split = data.churn_split(400, data.course_seed(), numeric=True)
X, y, X_test, y_test = split.X_train, split.y_train, split.X_test, split.y_test
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# Two functions that several tasks use, as the lecture wrote them: probabilities of class 1 for rows that the model has
# not seen, and the threshold with the best F1.


# %%
def out_of_fold(model, X, y, folds):
    cv = StratifiedKFold(folds, shuffle=True, random_state=0)
    return cross_val_predict(model, X, y, cv=cv, method="predict_proba")[:, 1]


def best_f1_threshold(y, probability):
    precision, recall, thresholds = precision_recall_curve(y, probability)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(thresholds[f1[:-1].argmax()])


# %% [markdown]
# ## Task 1: a grid as a family (2 points)
#
# The next cell searches four values of `C`. In the experiment `hw-full-workflow-grid`, log it as the lecture does: a
# parent run `grid` with the parameter `best_C`, the metric `best_cv_auc` and all candidates as the file
# `cv_results.csv`; below it one child run per candidate with the parameter `C` and the metric `cv_auc`.

# %%
model = make_pipeline(StandardScaler(), LogisticRegression())
grid = {"logisticregression__C": [0.001, 0.01, 0.1, 1.0]}
search = GridSearchCV(model, grid, cv=3, scoring="roc_auc").fit(X, y)
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
# (`out_of_fold(model, X, y, folds=5)`). Then fit `model` on all training rows and judge it on the test rows: a row is
# called when its probability is at the threshold or above it. In the experiment `hw-full-workflow-threshold`, log both
# numbers as metrics of a run `threshold`: `threshold` and `test_f1`.

# %% tags=["task-2"]
mlflow.set_experiment("hw-full-workflow-threshold")
model = make_pipeline(StandardScaler(), LogisticRegression())
### BEGIN SOLUTION
threshold = best_f1_threshold(y, out_of_fold(model, X, y, folds=5))
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
# The forest of the next cell is too sure of itself. Calibrate it with `sigmoid` and with `isotonic`, each time with
# `cv=3`, and choose the method by the Brier score of **out-of-fold** probabilities of the training rows
# (`out_of_fold(…, X, y, folds=3)`). Then fit the chosen one on all training rows. In the experiment
# `hw-full-workflow-calibration`, log in a run `calibrated` the parameter `method`, the metric `oof_brier` that decided,
# and the metric `test_brier`, the Brier score on the test rows.

# %% tags=["task-3"]
mlflow.set_experiment("hw-full-workflow-calibration")
forest = RandomForestClassifier(15, random_state=0)
### BEGIN SOLUTION
models = {
    method: CalibratedClassifierCV(forest, method=method, cv=3)
    for method in ("sigmoid", "isotonic")
}
oof = {m: brier_score_loss(y, out_of_fold(models[m], X, y, folds=3)) for m in models}
best = min(oof, key=oof.get)
calibrated = models[best].fit(X, y)
with mlflow.start_run(run_name="calibrated"):
    mlflow.log_param("method", best)
    mlflow.log_metric("oof_brier", oof[best])
    mlflow.log_metric(
        "test_brier", brier_score_loss(y_test, calibrated.predict_proba(X_test)[:, 1])
    )
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: serve what you report (2 points)
#
# The clinic of an earlier homework wants a service that finds malignant tumours (class 1). Jonas has written this cell:
#
# ```python
# clinic = make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(X_c, y_c)
# p = clinic.predict_proba(X_c_test)[:, 1]
# threshold = best_f1_threshold(y_c_test, p)
# with mlflow.start_run(run_name="clinic"):
#     mlflow.log_metric("threshold", threshold)
#     mlflow.log_metric("test_f1", f1_score(y_c_test, p >= threshold))
#     store.log_model(clinic, "clinic", X_c)
# ```
#
# It chooses on the rows that judge, and the model that it logs does not know the threshold. Mend both, for the same
# pipeline. In the experiment `hw-full-workflow-serve`, a run `clinic` needs
#
# - the metric `threshold`, the one with the best F1 on out-of-fold probabilities of the training rows, five folds;
# - a model named `clinic`: a `FixedThresholdClassifier` with this threshold around the pipeline, fitted on `X_c, y_c`
#   and stored in the format that `store.log_model` uses;
# - the metric `served_f1`, the F1 on the test rows of what this model's `predict` answers **after you have loaded it**.

# %%
X_c = data.bundled("breast_cancer")
y_c = (X_c.pop("target") == 0).astype(int).rename("malignant")
rows = np.random.default_rng(data.course_seed()).permutation(len(X_c))
X_c_test, y_c_test = X_c.iloc[rows[:200]], y_c.iloc[rows[:200]]
X_c, y_c = X_c.iloc[rows[200:]], y_c.iloc[rows[200:]]

# %% tags=["task-4"]
mlflow.set_experiment("hw-full-workflow-serve")
clinic = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
### BEGIN SOLUTION
threshold = best_f1_threshold(y_c, out_of_fold(clinic, X_c, y_c, folds=5))
final = FixedThresholdClassifier(clinic, threshold=threshold).fit(X_c, y_c)
with mlflow.start_run(run_name="clinic"):
    mlflow.log_metric("threshold", threshold)
    info = store.log_model(final, "clinic", X_c)
    served = mlflow.pyfunc.load_model(info.model_uri)
    mlflow.log_metric("served_f1", f1_score(y_c_test, served.predict(X_c_test)))
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: another setting, another run (no points)
#
# The next cell makes a run `monday` in the experiment `hw-full-workflow-rerun`: a score from **three** folds. On
# Tuesday you want **five** folds for the same `model`. Log them so that both can be compared: a run `tuesday` with the
# parameter `folds` and the metric `cv_auc`, the mean of the five. `monday` must stay as it was.
#
# Then say what kind of error the tree has. Log in `tuesday`, too, the metric `train_val_gap` (the mean ROC-AUC on the
# rows that each of the five was trained on, minus `cv_auc`) and, as the parameter `diagnosis`, what the lecture's table
# calls it: `bias`, `variance` or `good fit`.

# %%
mlflow.set_experiment("hw-full-workflow-rerun")
model = DecisionTreeClassifier(random_state=0)  # without limit
monday = "attributes.run_name = 'monday'"
if mlflow.search_runs(experiment_names=["hw-full-workflow-rerun"], filter_string=monday).empty:
    with mlflow.start_run(run_name="monday"):
        mlflow.log_param("folds", 3)
        mlflow.log_metric("cv_auc", cross_val_score(model, X, y, cv=3, scoring="roc_auc").mean())

# %% tags=["task-5"]
### BEGIN SOLUTION
options = {"cv": 5, "scoring": "roc_auc", "return_train_score": True}
scores = cross_validate(model, X, y, **options)
cv_auc, train_auc = scores["test_score"].mean(), scores["train_score"].mean()
with mlflow.start_run(run_name="tuesday"):
    mlflow.log_params({"folds": 5, "diagnosis": "variance"})
    mlflow.log_metrics({"cv_auc": cv_auc, "train_val_gap": train_auc - cv_auc})
### END SOLUTION

# %%
hw.check(5)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** Everything that is *chosen* (C, threshold, calibration) is chosen on training rows, through folds,
# so the test rows stay judges. What was chosen is kept where it acts: the threshold is part of the model, so `predict`
# of the loaded model gives the score in the report. And each setting is a run of its own, so no number ever needs to
# change.
