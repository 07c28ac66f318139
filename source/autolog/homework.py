# %% [markdown]
# # Homework 06: let MLflow write it down
#
# **25 minutes · 3 tasks and a stretch · 6 points.** Run every cell as often as you like: a check reads your *latest*
# run. Below each task stands `hw.check(n)`; when you are stuck, add a cell with `hw.hint(n)`.
#
# A change of scene: 442 patients of a diabetes clinic, a real data set. The label is a number, the progression of the
# illness within a year. Models cost seconds each, so all tasks leave them out: `quick` holds the option for you.
#
# <!-- links -->

# %%
import json
import time

import mlflow
import numpy as np
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import GridSearchCV, KFold, train_test_split
from sklearn.tree import DecisionTreeRegressor

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("autolog")
patients = data.bundled("diabetes")
X_train, X_test, y_train, y_test = train_test_split(
    patients.drop(columns="target"), patients["target"], test_size=0.25, random_state=data.course_seed()
)
quick = {"log_models": False}
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Task 1: the best of both (2 points)
#
# Switch autologging on for scikit-learn, **without models**. In the experiment `hw-autolog-auto`, make a run called `tree`
# and fit `DecisionTreeRegressor(max_depth=4, random_state=0)` on the training rows inside it. Add by hand what
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
# In the experiment `hw-autolog-search`, make a run called `search`. Inside it, let autologging record
# `GridSearchCV(DecisionTreeRegressor(random_state=0), {"max_depth": depths}, scoring=scoring, cv=3)` on the training
# rows, so that **all six** candidates become child runs.

# %% tags=["task-2"]
mlflow.set_experiment("hw-autolog-search")
depths, scoring = [2, 3, 4, 5, 6, 8], "neg_root_mean_squared_error"
### BEGIN SOLUTION
mlflow.sklearn.autolog(**quick, max_tuning_runs=None)

with mlflow.start_run(run_name="search"):
    search = GridSearchCV(DecisionTreeRegressor(random_state=0), {"max_depth": depths}, scoring=scoring, cv=3)
    search.fit(X_train, y_train)
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: cross-validation without strays (2 points)
#
# Jonas has written his own cross-validation, and autologging is on. Called as it is, `cv_rmse` leaves three runs with
# made-up names in the experiment `hw-autolog-clean`. You may look at them
# first: what counts is your answer. Do it so that your work leaves **one** run, called `tree`: it holds the
# metric `cv_rmse` (what the function returns for `DecisionTreeRegressor(max_depth=4, random_state=0)` and the training
# rows) and the automatic record of that same tree, fitted once on **all** training rows.

# %%
def cv_rmse(model, X, y):
    """Return the root mean squared error, mean of three folds; note when it was called last."""
    (store.outputs("hw-autolog") / "cv_rmse.json").write_text(json.dumps({"called": time.time()}))
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
# ## Stretch: a score that logs itself (no points)
#
# In the experiment `hw-autolog-scored`, make a run called `scored`: fit the same tree on the training rows, then let
# autologging record its R² on the **test rows**, without `log_metric`. (R² is what `score` of a regressor returns.)

# %% tags=["task-4"]
mlflow.set_experiment("hw-autolog-scored")
mlflow.sklearn.autolog(**quick)
### BEGIN SOLUTION
with mlflow.start_run(run_name="scored"):
    scored = DecisionTreeRegressor(max_depth=4, random_state=0).fit(X_train, y_train)
    scored.score(X_test, y_test)
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Where you are
#
# First, autologging is switched off, whatever the cells above did: nothing later shall be logged by accident.

# %%
mlflow.sklearn.autolog(disable=True)

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** Inside an open run, autologging fills that run; outside, it opens one for every `fit`. So a
# cross-validation either runs with autologging off, or leaves a run per fold. A search is one `fit`, and its candidates
# become children of the run that is open. A `score` on rows with a name becomes a metric with that name.
