# %% [markdown]
# # Homework: Autologging
#
# **30 minutes · 4 tasks and a stretch · 8 points.** The tasks are independent of each other. Run every cell as often as you
# like: a check reads what is in the store, and your *latest* run of the asked name counts. Below each task stands
# `hw.check(n)`; when you are stuck, add a cell with `hw.hint(n)`.
#
# A change of scene: 442 patients of a diabetes clinic, a real data set that comes with scikit-learn. The label is a number,
# the progression of the illness within a year. A model that autologging keeps costs seconds, so all tasks leave it out:
# `quick` holds the option for you. Every run of these tasks describes one fit, or one search.
#
# <!-- links -->

# %%
import json
import time

import mlflow
import numpy as np
from sklearn.metrics import recall_score, root_mean_squared_error
from sklearn.model_selection import GridSearchCV, KFold, train_test_split
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("autolog")

patients = data.bundled("diabetes")
progression = patients.pop("target")
X_train, X_test, y_train, y_test = train_test_split(
    patients, progression, test_size=0.25, random_state=data.course_seed()
)
quick = {"log_models": False}
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Task 1: the best of both (2 points)
#
# Switch autologging on for scikit-learn, **without models**. In the experiment `hw-autolog-auto`, make a run called `tree`
# and fit `DecisionTreeRegressor(max_depth=4, random_state=0)` on the training rows inside it, once. Add by hand what
# autologging cannot know: the metric `test_rmse`, the root mean squared error on the **test** rows.

# %% tags=["task-1"]
mlflow.set_experiment("hw-autolog-auto")
### BEGIN SOLUTION
mlflow.sklearn.autolog(log_models=False)

with mlflow.start_run(run_name="tree"):
    tree = DecisionTreeRegressor(max_depth=4, random_state=0).fit(X_train, y_train)
    rmse = root_mean_squared_error(y_test, tree.predict(X_test))
    mlflow.log_metric("test_rmse", rmse)
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: a search with all its children (2 points)
#
# In the experiment `hw-autolog-search`, make a run called `search`. Inside it, let autologging record a `GridSearchCV` of
# `DecisionTreeRegressor(random_state=0)` over the six values of `max_depth` in `depths`, with the given `scoring` and
# `cv=3`, fitted on the training rows. **All six** candidates shall become child runs. No model is kept.

# %% tags=["task-2"]
mlflow.set_experiment("hw-autolog-search")
depths, scoring = [2, 3, 4, 5, 6, 8], "neg_root_mean_squared_error"
### BEGIN SOLUTION
mlflow.sklearn.autolog(**quick, max_tuning_runs=None)

with mlflow.start_run(run_name="search"):
    tree = DecisionTreeRegressor(random_state=0)
    search = GridSearchCV(tree, {"max_depth": depths}, scoring=scoring, cv=3)
    search.fit(X_train, y_train)
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: cross-validation without strays (2 points)
#
# Jonas has written his own cross-validation, the function `cv_rmse` below. Called with autologging on, it leaves three runs
# with made-up names in the experiment `hw-autolog-clean`. You may look at them first; they do not count against you.
#
# Now do it so that your work leaves **one** run, called `tree`, in that experiment. It holds
# - the metric `cv_rmse`: what the function returns for `DecisionTreeRegressor(max_depth=4, random_state=0)` and the
#   training rows;
# - the automatic record of that same tree, fitted once on **all** training rows.

# %%
def cv_rmse(model, X, y):
    """Return the root mean squared error, mean of three folds; note when it was called last."""
    note = store.outputs("hw-autolog") / "cv_rmse.json"
    note.write_text(json.dumps({"called": time.time()}))
    errors = []
    for fit, valid in KFold(3).split(X):
        model.fit(X.iloc[fit], y.iloc[fit])
        errors.append(root_mean_squared_error(y.iloc[valid], model.predict(X.iloc[valid])))
    return float(np.mean(errors))


# %% tags=["task-3"]
mlflow.set_experiment("hw-autolog-clean")
mlflow.sklearn.autolog(**quick)
model = DecisionTreeRegressor(max_depth=4, random_state=0)
### BEGIN SOLUTION
mlflow.sklearn.autolog(**quick, disable=True)
score = cv_rmse(model, X_train, y_train)

mlflow.sklearn.autolog(**quick, disable=False)
with mlflow.start_run(run_name="tree"):
    model.fit(X_train, y_train)
    mlflow.log_metric("cv_rmse", score)
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: whose recall is it? (2 points)
#
# Now 569 tumours, of which the malignant ones are class 1 (`malignant_train`, `malignant_test`). A doctor will read the
# run, and takes `training_recall_score` for the share of the malignant tumours that the model finds. Make it so.
#
# In the experiment `hw-autolog-recall`, make a run called `tumours`. Inside it, let autologging record the fit of
# `DecisionTreeClassifier(max_depth=2, random_state=0)` on the training tumours, without a model, so that its precision,
# recall and F1 (`training_precision_score` and so on) are those of the **malignant** tumours. Then add by hand the metric
# `test_recall`: the recall of the malignant tumours among the test tumours.

# %%
tumours = data.bundled("breast_cancer")
malignant = (tumours.pop("target") == 0).astype(float)  # the file has 0 for malignant
T_train, T_test, malignant_train, malignant_test = train_test_split(
    tumours, malignant, test_size=0.25, stratify=malignant, random_state=data.course_seed()
)

# %% tags=["task-4"]
mlflow.set_experiment("hw-autolog-recall")
### BEGIN SOLUTION
mlflow.sklearn.autolog(**quick, pos_label=1)

with mlflow.start_run(run_name="tumours"):
    model = DecisionTreeClassifier(max_depth=2, random_state=0).fit(T_train, malignant_train)
    recall = recall_score(malignant_test, model.predict(T_test))
    mlflow.log_metric("test_recall", recall)
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: a score that logs itself (no points)
#
# Back to the patients. In the experiment `hw-autolog-scored`, make a run called `scored`: fit
# `DecisionTreeRegressor(max_depth=4, random_state=0)` on the training rows with autologging on, without a model. Then let
# autologging record the tree's R² on the **test rows**, without `log_metric`. (R² is what `score` of a regressor returns.)

# %% tags=["task-5"]
mlflow.set_experiment("hw-autolog-scored")
mlflow.sklearn.autolog(**quick)
### BEGIN SOLUTION
with mlflow.start_run(run_name="scored"):
    scored = DecisionTreeRegressor(max_depth=4, random_state=0).fit(X_train, y_train)
    scored.score(X_test, y_test)
### END SOLUTION

# %%
hw.check(5)

# %% [markdown]
# ## Where you are
#
# First, autologging is switched off, whatever the cells above did, so that nothing later is logged by accident.

# %%
mlflow.sklearn.autolog(disable=True)

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** Inside an open run, autologging fills that run; outside, it opens one for every `fit`. So a
# cross-validation of one's own either runs with autologging off, or leaves a run for each fold. A search is one `fit`, and
# its candidates become children of the run that is open. Precision, recall and F1 are weighted averages over the
# classes until `pos_label` names one, and the weighted recall is nothing but the accuracy. A `score` on rows with a
# name becomes a metric with that name.
