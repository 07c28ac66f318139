# %% [markdown]
# # Homework: features and models
#
# **30 minutes · 4 tasks and a stretch · 8 points.** The tasks are independent of each other. Run every cell as often as
# you like: a check reads your *latest* file or run. Below each task stands `hw.check(n)`; when you are stuck, add a
# cell with `hw.hint(n)`.
#
# A run is made as in Start here: `mlflow.set_experiment(…)`, then `with mlflow.start_run(run_name=…):`, and inside it
# `mlflow.log_param(name, value)` and `mlflow.log_metric(name, value)`. Record all numbers unrounded.
#
# <!-- links -->

# %%
import mlflow
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import (
    f1_score,
    mean_absolute_error,
    precision_score,
    recall_score,
    root_mean_squared_error,
    silhouette_score,
)
from sklearn.model_selection import (
    KFold,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("features_and_models")
seed = data.course_seed()
folder = store.outputs("hw-features")
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Task 1: two columns are enough? (2 points)
#
# 178 wines of three kinds, 13 measurements each. Compare three ways to come down to **two** columns:
#
# - `pca`: two principal components;
# - `lda`: linear discriminant analysis with two components;
# - `best`: the two columns that `SelectKBest` chooses with its default score.
#
# Each stands in a pipeline between `StandardScaler` and `LogisticRegression` (its default settings). Cross-validate the
# three on `wines` and `kinds` with `cv=wine_folds` and the accuracy, and the same pipeline with no step, which keeps
# all 13 columns. Write the file `steps.csv` into the folder `folder` (`outputs/hw-features`), with one row for each of
# the three and the columns
#
# - `step`: `pca`, `lda` or `best`;
# - `accuracy`: the mean over the folds;
# - `ahead`: in how many of the five folds the step is ahead of all 13 columns, each fold against the same fold. A tie is
#   no lead.

# %%
wines = data.bundled("wine")
kinds = wines.pop("target")
wine_folds = StratifiedKFold(5, shuffle=True, random_state=seed)

# %% tags=["task-1"]
### BEGIN SOLUTION
steps = {
    "pca": PCA(2),
    "lda": LinearDiscriminantAnalysis(n_components=2),
    "best": SelectKBest(k=2),
}
plain = make_pipeline(StandardScaler(), LogisticRegression())
all_13 = cross_val_score(plain, wines, kinds, cv=wine_folds, scoring="accuracy")
rows = []
for name, step in steps.items():
    model = make_pipeline(StandardScaler(), step, LogisticRegression())
    scores = cross_val_score(model, wines, kinds, cv=wine_folds, scoring="accuracy")
    ahead = (scores > all_13).sum()
    rows.append({"step": name, "accuracy": scores.mean(), "ahead": ahead})
pd.DataFrame(rows).to_csv(folder / "steps.csv", index=False)
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: find the eights (2 points)
#
# A post office wants to know whether a handwritten digit is an **eight**; one in ten is. The labels in `is_other` are
# as a colleague left them: **0 is an eight, 1 is any other digit.** `predicted` holds what a model says of the
# validation rows, in the same code.
#
# In the experiment `hw-features-eights`, make a run called `eights` with the metrics `precision`, `recall` and `f1`
# **of the eights**, on the validation rows.

# %%
digits = data.bundled("digits")
is_other = (digits.pop("target") != 8).astype(int)
X_train, X_valid, other_train, other_valid = train_test_split(
    digits, is_other, test_size=0.5, stratify=is_other, random_state=seed
)
model = make_pipeline(StandardScaler(), PCA(10, random_state=0), LogisticRegression())
predicted = model.fit(X_train, other_train).predict(X_valid)

# %% tags=["task-2"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-features-eights")
with mlflow.start_run(run_name="eights"):
    mlflow.log_metric("precision", precision_score(other_valid, predicted, pos_label=0))
    mlflow.log_metric("recall", recall_score(other_valid, predicted, pos_label=0))
    mlflow.log_metric("f1", f1_score(other_valid, predicted, pos_label=0))
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: track a small regression (2 points)
#
# The next cell splits the patients of the diabetes study. In the experiment `hw-features-tracking`, make a run called
# `ridge`. Choose an `alpha` above 0 before you see any error, and keep it: the test rows must not choose. Fit a
# pipeline of `StandardScaler` and `Ridge` with this `alpha` on the training rows, and record the parameter `alpha` and
# the metrics `test_rmse` and `test_mae`, both in points, on the test rows.

# %%
patients = data.bundled("diabetes")
progression = patients.pop("target")
P_train, P_test, points_train, points_test = train_test_split(
    patients, progression, random_state=seed
)

# %% tags=["task-3"]
### BEGIN SOLUTION
alpha = 5.0
tracked = make_pipeline(StandardScaler(), Ridge(alpha=alpha)).fit(P_train, points_train)
guess = tracked.predict(P_test)

mlflow.set_experiment("hw-features-tracking")
with mlflow.start_run(run_name="ridge"):
    mlflow.log_param("alpha", alpha)
    mlflow.log_metric("test_rmse", root_mean_squared_error(points_test, guess))
    mlflow.log_metric("test_mae", mean_absolute_error(points_test, guess))
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: the tree that Jonas chose (2 points)
#
# Jonas tried trees of the depths in `depths` on the patients' training rows, took the one with the smallest error on
# these rows, and is proud of an error of 0. Choose again:
#
# - cross-validate a `DecisionTreeRegressor` with `random_state=0` for each depth, on `D_train` and `d_train` with
#   `cv=tree_folds`, in a loop of your own or with `GridSearchCV` (it takes `return_train_score=True`, too);
# - in the experiment `hw-features-depth`, make a run called `tree` with the parameter `max_depth`, the depth with the
#   smallest mean RMSE on the *judging* folds;
# - record for this depth the metrics `cv_rmse` (mean RMSE over the judging folds) and `train_rmse` (mean over the folds
#   of the RMSE on the rows that were fitted on). Both are positive, in points.

# %%
study = data.bundled("diabetes")
d_all = study.pop("target")
D_train, D_test, d_train, d_test = train_test_split(study, d_all, random_state=seed)
depths = [1, 2, 3, 5, 8, 20]
tree_folds = KFold(5, shuffle=True, random_state=seed)

# %% tags=["task-4"]
### BEGIN SOLUTION
found = {}
for depth in depths:
    tree = DecisionTreeRegressor(max_depth=depth, random_state=0)
    more = {"scoring": "neg_root_mean_squared_error", "return_train_score": True}
    result = cross_validate(tree, D_train, d_train, cv=tree_folds, **more)
    found[depth] = (-result["test_score"].mean(), -result["train_score"].mean())
best = min(found, key=lambda depth: found[depth][0])

mlflow.set_experiment("hw-features-depth")
with mlflow.start_run(run_name="tree"):
    mlflow.log_param("max_depth", best)
    mlflow.log_metric("cv_rmse", found[best][0])
    mlflow.log_metric("train_rmse", found[best][1])
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: how many groups? (no points)
#
# 150 irises, and this time nobody tells you the species. Scale all of `irises` with `StandardScaler`, and group them by
# `KMeans` with `n_init=10` and `random_state=0` into 2, 3, 4, 5 and 6 groups. In the experiment `hw-features-groups`,
# make a run called `k-means` with the parameter `n_clusters`, the number that the **silhouette** prefers, and the
# metric `silhouette` of that grouping, computed on the scaled table.

# %%
irises = data.bundled("iris").drop(columns="target")

# %% tags=["task-5"]
### BEGIN SOLUTION
scaled = StandardScaler().fit_transform(irises)
shape = {}
for k in range(2, 7):
    group = KMeans(k, n_init=10, random_state=0).fit_predict(scaled)
    shape[k] = silhouette_score(scaled, group)
best = max(shape, key=shape.get)

mlflow.set_experiment("hw-features-groups")
with mlflow.start_run(run_name="k-means"):
    mlflow.log_param("n_clusters", best)
    mlflow.log_metric("silhouette", shape[best])
### END SOLUTION

# %%
hw.check(5)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** In Task 1 every step learns inside the folds; LDA, which reads the labels, would look perfect if it
# were fitted before. In Task 2 the class that matters had the code 0, so it had to be named: `pos_label=0`, or labels
# of one's own. In Task 3 the alpha is a choice and a parameter, and the two errors are results. In Task 4 the training
# error always prefers the deepest tree, because that one can learn every patient by heart; the judging folds prefer a
# shallow one. In the stretch the silhouette prefers two groups although there are three species: it rewards separation,
# and two of the species overlap.
