# %% [markdown]
# # Homework: pipelines
#
# **30 minutes · 4 tasks and a stretch · 8 points.** The tasks are independent of each other. Run every cell as often as you
# like: a check reads your *latest* file. Below each task stands `hw.check(n)`; when you are stuck, add a cell with
# `hw.hint(n)`.
#
# Tasks 1 to 3 are about the patients of the diabetes study: three measurements, and how far the disease went in a year, in
# points. Nothing is missing in `X_train` and `X_test`. `X_gaps` holds the training rows once more, with one body-mass index
# in ten missing. All files go to the folder `outputs/hw-pipelines`, which the variable `folder` names.
#
# <!-- links -->

# %%
import json

import joblib
import numpy as np
import pandas as pd
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, PolynomialFeatures, StandardScaler

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("pipelines")
seed = data.course_seed()

diabetes = data.bundled("diabetes")
X, y = diabetes[["bmi", "bp", "s5"]] * 100 + 10, diabetes["target"]
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
X_gaps = X_train.mask(np.random.default_rng(seed).random(X_train.shape) < (0.1, 0, 0))
folds = KFold(5, shuffle=True, random_state=seed)
folder = store.outputs("hw-pipelines")

# %% [markdown]
# ## Task 1: scaler, polynomial, line (2 points)
#
# `PolynomialFeatures` of degree 2 makes new columns: the square of each column, and the product of each two. Build a
# pipeline of `StandardScaler`, `PolynomialFeatures` of **degree 2** and `LinearRegression`, in this order, and fit it on
# the training rows.
#
# Write its coefficients, the weights of the line, to the file `coefficients.csv`, one row each, unrounded, with the columns
# `feature` (the name that the preparation gives, such as `bmi bp`) and `coefficient`. In a fitted pipeline,
# `pipeline[:-1]` is the preparation and `pipeline[-1]` the last step; a fitted line keeps its weights in `coef_`. A row
# for the column of ones, called `1`, is allowed.

# %% tags=["task-1"]
### BEGIN SOLUTION
pipeline = make_pipeline(
    StandardScaler(), PolynomialFeatures(2, include_bias=False), LinearRegression()
)
pipeline.fit(X_train, y_train)
names = pipeline[:-1].get_feature_names_out()
coefficients = pd.DataFrame({"feature": names, "coefficient": pipeline[-1].coef_})
coefficients.to_csv(folder / "coefficients.csv", index=False)
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: which degree? (2 points)
#
# Now with gaps. For degree 1, 2 and 3, put mean imputer, scaler, polynomial and line into a pipeline, in this order, and
# cross-validate it on `X_gaps` and `y_train` with `cv=folds`.
#
# Write the file `degrees.csv`, one row for each degree, unrounded, with the columns `degree` and `cv_rmse`. The second
# is the *mean over the folds* of the root mean squared error, a positive number in points (the scorer is the one of *In
# your own project*).

# %% tags=["task-2"]
### BEGIN SOLUTION
rows = []
for degree in (1, 2, 3):
    model = make_pipeline(
        SimpleImputer(), StandardScaler(), PolynomialFeatures(degree), LinearRegression()
    )
    scoring = "neg_root_mean_squared_error"
    scores = cross_val_score(model, X_gaps, y_train, cv=folds, scoring=scoring)
    rows.append({"degree": degree, "cv_rmse": -scores.mean()})
pd.DataFrame(rows).to_csv(folder / "degrees.csv", index=False)
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: save, reload, prove (2 points)
#
# `fitted` is a pipeline like that of Task 1, with degree 2, and it is fitted on `X_train`. Save the whole of it with
# joblib as the file `model.joblib`, and load the file into a new name.
#
# Prove that nothing got lost: write the file `proof.csv` with the columns `before` and `after`, the unrounded predictions
# of `fitted` and of the loaded pipeline for the rows of `X_test`, in their order.

# %%
fitted = make_pipeline(StandardScaler(), PolynomialFeatures(2), LinearRegression())
fitted.fit(X_train, y_train)
print("Fitted:", " → ".join(name for name, _ in fitted.steps))

# %% tags=["task-3"]
### BEGIN SOLUTION
joblib.dump(fitted, folder / "model.joblib")
reloaded = joblib.load(folder / "model.joblib")
proof = pd.DataFrame({"before": fitted.predict(X_test), "after": reloaded.predict(X_test)})
proof.to_csv(folder / "proof.csv", index=False)
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: a colleague's cell that leaks (2 points)
#
# A clinic has measured 500 genes of 100 patients and wants to know who is ill. Jonas helped out with this cell, and is proud
# of the number:
#
# ```python
# chosen = SelectKBest(k=20).fit_transform(genes, ill)  # the 20 genes that differ most
# scaled = StandardScaler().fit_transform(chosen)
# model = LogisticRegression()
# scores = cross_val_score(model, scaled, ill, cv=gene_folds, scoring="roc_auc")
# ```
#
# The next cell draws the genes, and you see that they are pure chance: nobody can do better than guess. Write Jonas's
# cell in such a way that nothing learns from a fold that judges. Keep his three parts with these settings, his folds and
# his measure. Write the file `honest.csv` with the columns `fold` (1 to 5, in the order of `gene_folds`) and `auc` (one
# score for each fold).

# %%
genes = np.random.default_rng(seed).normal(size=(100, 500))
ill = np.tile([0, 1], 50)
gene_folds = StratifiedKFold(5, shuffle=True, random_state=seed)

# %% tags=["task-4"]
### BEGIN SOLUTION
model = make_pipeline(SelectKBest(k=20), StandardScaler(), LogisticRegression())
scores = cross_val_score(model, genes, ill, cv=gene_folds, scoring="roc_auc")
honest = pd.DataFrame({"fold": range(1, 6), "auc": scores})
honest.to_csv(folder / "honest.csv", index=False)
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: words, and a file that asks first (no points)
#
# `customers` is Nordtel's table, with gaps in its numbers and with words in `contract`, `internet` and `payment`; `left` says
# who left. Build **one** pipeline that fills the gaps with a `SimpleImputer`, encodes `contract` by its order and the other
# two one-hot, and ends in `forest`. Fit it on all rows, and save it with skops as the file `forest.skops`.
#
# Which types does the file ask you to trust? Write them as a JSON list to the file `untrusted.json`.

# %%
customers = data.churn(1000, seed, missing=0.1)
left = customers.pop("churned")
forest = RandomForestClassifier(3, max_depth=3, random_state=0)
customers.head(3)

# %% tags=["task-5"]
### BEGIN SOLUTION
preparation = make_column_transformer(
    (SimpleImputer(), list(customers.select_dtypes("number"))),
    (OrdinalEncoder(categories=[["month-to-month", "one-year", "two-year"]]), ["contract"]),
    (OneHotEncoder(handle_unknown="ignore"), ["internet", "payment"]),
)
whole = make_pipeline(preparation, forest).fit(customers, left)
skops.io.dump(whole, folder / "forest.skops")
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
# **Why it works.** In Task 1 the scaler comes first, so no coefficient depends on a unit, and those of `bmi`, `bp` and
# `s5` can be compared with each other. (Squares and products are made after the scaler, so their scales differ again.)
# In Task 2 the imputer is a step, so each fold fills its gaps with the mean of its own training rows, and
# all degrees are judged on the same folds. The scaler is a step for the same reason; a line over *all* powers has the same
# error without it, so the check cannot see where yours stood. The proof of Task 3 compares what the two pipelines *do*; two files may differ in
# every byte and still predict the same. In Task 4 the choice of the genes had looked at all labels. It was not the scaler
# that did the harm: as a step of the pipeline, the choice is made again for each fold, and the score falls to about a
# half, which is guessing.
