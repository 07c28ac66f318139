# %% [markdown]
# # Homework 02: degrees, folds, files, and a tracked regression
#
# **30 minutes · 4 tasks and a stretch · 8 points.** Run every cell as often as you like: a check reads your *latest*
# file or run. Below each task stands `hw.check(n)`; when you are stuck, add a cell with `hw.hint(n)`.
#
# The patients of the diabetes study: three measurements, and how far the disease went in a year. One body-mass index in
# ten is missing in `X_gaps`, nothing is missing in `X_train` and `X_test`.
#
# <!-- links -->

# %%
import json

import joblib
import mlflow
import numpy as np
import pandas as pd
import skops.io
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import mean_absolute_error, root_mean_squared_error
from sklearn.model_selection import KFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from course_utils import data, store
from course_utils.homework import Homework

# %%
store.connect()
hw = Homework("pipelines")
seed = data.course_seed()
diabetes = data.bundled("diabetes")
X, y = diabetes[["bmi", "bp", "s5"]] * 100 + 10, diabetes["target"]
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
X_gaps = X_train.mask(np.random.default_rng(seed).random(X_train.shape) < (0.1, 0, 0))

folds = KFold(5, shuffle=True, random_state=seed)
folder = store.outputs("hw-pipelines")
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Task 1: scaler, polynomial, line (2 points)
#
# Build a pipeline of `StandardScaler`, `PolynomialFeatures` of **degree 2** and `LinearRegression`, in this order,
# and fit it on the training rows. Write its coefficients to `outputs/hw-pipelines/coefficients.csv`, with the columns
# `feature` (the names that the preparation gives, such as `bmi bp`) and `coefficient`.

# %% tags=["task-1"]
### BEGIN SOLUTION
pipeline = make_pipeline(StandardScaler(), PolynomialFeatures(2, include_bias=False), LinearRegression())
pipeline.fit(X_train, y_train)
coefficients = pd.DataFrame({"feature": pipeline[:-1].get_feature_names_out(), "coefficient": pipeline[-1].coef_})
coefficients.to_csv(folder / "coefficients.csv", index=False)
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: which degree? (2 points)
#
# Now with gaps. For degree 1, 2 and 3, cross-validate mean imputer, scaler, polynomial and line on `X_gaps`,
# `y_train` with `cv=folds`. Write `outputs/hw-pipelines/degrees.csv` with the columns `degree` and `cv_rmse`: the mean over
# the folds of the root mean squared error, in points of the study.

# %% tags=["task-2"]
### BEGIN SOLUTION
rows = []
for degree in (1, 2, 3):
    model = make_pipeline(SimpleImputer(), StandardScaler(), PolynomialFeatures(degree), LinearRegression())
    scores = cross_val_score(model, X_gaps, y_train, cv=folds, scoring="neg_root_mean_squared_error")
    rows.append({"degree": degree, "cv_rmse": -scores.mean()})
pd.DataFrame(rows).to_csv(folder / "degrees.csv", index=False)
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: save, reload, prove (2 points)
#
# `ridge` is fitted. Save it with joblib as `outputs/hw-pipelines/model.joblib`, load it into a new name, and prove that
# nothing got lost: write `outputs/hw-pipelines/proof.csv` with the columns `before` and `after`, the predictions of both on
# the test rows.

# %%
ridge = make_pipeline(StandardScaler(), PolynomialFeatures(2), Ridge(10.0)).fit(X_train, y_train)
print("Fitted:", " → ".join(name for name, _ in ridge.steps))

# %% tags=["task-3"]
### BEGIN SOLUTION
joblib.dump(ridge, folder / "model.joblib")
reloaded = joblib.load(folder / "model.joblib")
proof = pd.DataFrame({"before": ridge.predict(X_test), "after": reloaded.predict(X_test)})
proof.to_csv(folder / "proof.csv", index=False)
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: track a small regression (2 points)
#
# Best after lecture {step:mlflow_basics}; the lines you need are also in lecture {step:pipelines}, under the regression table. In an experiment
# `hw-pipelines-tracking`, make a run called `ridge`. Choose an `alpha` above 0, fit `make_pipeline(StandardScaler(),
# Ridge(alpha))` on the training rows, and log the parameter `alpha` and the metrics `test_rmse` and `test_mae` on the
# test rows.

# %% tags=["task-4"]
### BEGIN SOLUTION
alpha = 5.0
tracked = make_pipeline(StandardScaler(), Ridge(alpha)).fit(X_train, y_train)
predicted = tracked.predict(X_test)

mlflow.set_experiment("hw-pipelines-tracking")
with mlflow.start_run(run_name="ridge"):
    mlflow.log_param("alpha", alpha)
    mlflow.log_metric("test_rmse", root_mean_squared_error(y_test, predicted))
    mlflow.log_metric("test_mae", mean_absolute_error(y_test, predicted))
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: a file that asks first (no points)
#
# Save `forest` with skops as `outputs/hw-pipelines/forest.skops`. Which types does the file ask you to trust? Write them as a
# JSON list to `outputs/hw-pipelines/untrusted.json`.

# %%
forest = make_pipeline(StandardScaler(), RandomForestRegressor(3, max_depth=3, random_state=0)).fit(X_train, y_train)
print("Fitted:", " → ".join(name for name, _ in forest.steps))

# %% tags=["task-5"]
### BEGIN SOLUTION
skops.io.dump(forest, folder / "forest.skops")
untrusted = skops.io.get_untrusted_types(file=folder / "forest.skops")
(folder / "untrusted.json").write_text(json.dumps(untrusted))
### END SOLUTION

# %%
hw.check(5)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** The coefficients stand for *scaled* columns, because the scaler comes first: they can be compared
# with each other. The imputer is a step, so each fold fills its gaps with means of its own training rows. A higher
# degree always fits the training rows better. Only the folds show whether that helps with new patients; on the
# training rows degree 3 looks like a clear win. A proof
# compares what a model *does*; two files may differ in every byte and still predict the same.
