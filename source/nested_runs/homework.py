# %% [markdown]
# # Homework: Nested runs
#
# **30 minutes · 4 tasks and a stretch · 8 points.** The tasks are independent of each other. A check looks at the
# *newest* parent of a task's name and at its children, so you may run a cell as often as you like. Below each task
# stands `hw.check(n)`; when you are stuck, add a cell with `hw.hint(n)`.
#
# Tasks 1, 2 and 4 use the clinic's data, which comes with scikit-learn: measurements of breast tumours, and whether
# each of them was malignant (1) or benign (0). There are rows to train on, and validation rows to compare by.
#
# <!-- links -->

# %%
from concurrent.futures import ThreadPoolExecutor

import mlflow
import optuna
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, train_test_split
from sklearn.tree import DecisionTreeClassifier

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("nested_runs")

X = data.bundled("breast_cancer")
y = (X.pop("target") == 0).astype(float).rename("malignant")
X_train, X_valid, y_train, y_valid = train_test_split(
    X, y, test_size=0.3, stratify=y, random_state=data.course_seed()
)


def valid_auc(model):
    """Return the ROC-AUC of a fitted model on the validation rows."""
    return roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1])


# %% [markdown]
# ## Task 1: a loop with a parent (2 points)
#
# In the experiment `hw-nested-runs-depth`, make a parent run `depth` with one child for each of the depths 1, 2 and 5.
#
# - A child fits `RandomForestClassifier(n_estimators=15, max_depth=…, random_state=0)` on the training rows, and logs
#   the parameter `max_depth` and the metric `valid_auc`, which the given function computes. Its name is up to you.
# - Then promote the best child: the parent gets the parameter `best_max_depth` and the metric `best_auc`, the depth and
#   the score of the child with the highest `valid_auc`.

# %% tags=["task-1"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-nested-runs-depth")
scores = {}
with mlflow.start_run(run_name="depth"):
    for depth in (1, 2, 5):
        with mlflow.start_run(nested=True):
            forest = RandomForestClassifier(15, max_depth=depth, random_state=0)
            scores[depth] = valid_auc(forest.fit(X_train, y_train))
            mlflow.log_param("max_depth", depth)
            mlflow.log_metric("valid_auc", scores[depth])
    best = max(scores, key=scores.get)
    mlflow.log_param("best_max_depth", best)
    mlflow.log_metric("best_auc", scores[best])
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: every candidate of a grid (2 points)
#
# The next cell fits a grid search with six candidates. In the experiment `hw-nested-runs-grid`, make a parent run
# `grid` with **one child for each candidate**. A child has the candidate's settings as the parameters `max_depth` and
# `min_samples_leaf`, and as the metric `cv_auc` its mean score over the folds. The search has already computed all of
# this; do not fit anything again.

# %% tags=["task-2"]
grid = {"max_depth": [1, 2, 4], "min_samples_leaf": [5, 40]}
tree = DecisionTreeClassifier(random_state=0)
search = GridSearchCV(tree, grid, cv=3, scoring="roc_auc")
search.fit(X_train, y_train)
print(len(search.cv_results_["params"]), "candidates")

# %% tags=["task-2"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-nested-runs-grid")
found = search.cv_results_
with mlflow.start_run(run_name="grid"):
    for settings, score in zip(found["params"], found["mean_test_score"], strict=True):
        with mlflow.start_run(nested=True):
            mlflow.log_params(settings)
            mlflow.log_metric("cv_auc", score)
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: find the winner among strangers (2 points)
#
# The next cell makes a parent `search` with six children in the experiment `hw-nested-runs-family`, and, as in real
# life, other runs beside them. Find the child of `parent_id` with the highest `cv_auc` **that finished**, and set its
# tag `winner` to `yes`. Let a query find it; the numbers will be others when this notebook is graded.

# %% tags=["task-3"]
def make_family():
    """Log a search with a killed child and a promoted score, and a stray run."""
    seed = data.course_seed()
    with mlflow.start_run(run_name="search") as parent:
        for n in range(6):
            with mlflow.start_run(run_name=f"candidate-{n}", nested=True):
                score = 0.70 + ((n * 5 + seed) % 6) / 100 + (0.1 if n == 2 else 0)
                mlflow.log_metric("cv_auc", score)
                mlflow.end_run("KILLED" if n == 2 else "FINISHED")
        mlflow.log_metric("cv_auc", 0.9)
    with mlflow.start_run(run_name="stray"):
        mlflow.log_metric("cv_auc", 0.95)
    return parent.info.run_id


mlflow.set_experiment("hw-nested-runs-family")
parent_id = make_family()

# %% tags=["task-3"]
### BEGIN SOLUTION
family = f"tags.mlflow.parentRunId = '{parent_id}'"
children = mlflow.search_runs(
    experiment_names=["hw-nested-runs-family"],
    filter_string=f"{family} AND attributes.status = 'FINISHED'",
    order_by=["metrics.cv_auc DESC"],
)
mlflow.MlflowClient().set_tag(children.run_id[0], "winner", "yes")
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: a colleague's threads (2 points)
#
# Jonas trains three trees at once, and has written this:
#
# ```python
# tree = DecisionTreeClassifier(random_state=0)
#
# def train(name):
#     tree.set_params(max_depth=depths[name]).fit(X_train, y_train)
#     with mlflow.start_run(run_name=name, nested=True):
#         mlflow.log_param("max_depth", depths[name])
#         mlflow.log_metric("valid_auc", valid_auc(tree))
#
# with mlflow.start_run(run_name="parallel"), ThreadPoolExecutor(3) as pool:
#     pool.map(train, depths)
# ```
#
# It runs through, and yet nothing is right: the parent has no children, one of the three runs is missing, and now and
# then a run shows the score of another tree. Write it so that the experiment `hw-nested-runs-threads` has a parent run
# `parallel` with three finished children, named after the entries of `depths`. Each has the parameter `max_depth`, the
# number of its entry, and the metric `valid_auc` of a `DecisionTreeClassifier` with this depth and `random_state=0`,
# fitted on the training rows. Train in threads, as Jonas does. (The check sees the runs; which thread made them leaves
# no trace.)

# %% tags=["task-4"]
mlflow.set_experiment("hw-nested-runs-threads")
depths = {"shallow": 1, "middle": 3, "deep": "6"}  # as they came from Jonas's table

# %% tags=["task-4"]
### BEGIN SOLUTION
def train(name, parent_id):
    depth = int(depths[name])
    tree = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(X_train, y_train)
    with mlflow.start_run(run_name=name, parent_run_id=parent_id):
        mlflow.log_param("max_depth", depth)
        mlflow.log_metric("valid_auc", valid_auc(tree))


with mlflow.start_run(run_name="parallel") as parallel, ThreadPoolExecutor(3) as pool:
    jobs = [pool.submit(train, name, parallel.info.run_id) for name in depths]
    for job in jobs:
        job.result()
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: a study that prunes (no points)
#
# Back to the churn customers, which the next cell loads. In the experiment `hw-nested-runs-optuna`, make a parent run
# `study`, and let Optuna look for the best `max_depth` (1 to 12) and `min_samples_leaf` (1 to 100) of a
# `DecisionTreeClassifier`, with the median pruner and one child run for each trial, as in the lecture's section *Stop
# weak trials early*.
#
# A child logs both settings as parameters, and as the metric `cv_auc` the mean ROC-AUC over the folds done so far, in a
# cross-validation on the training rows. Pruned children end as KILLED. Make at least ten children, of which at least
# one is pruned. The parent gets the metric `best_auc`, the highest `cv_auc` of a finished child.

# %% tags=["task-5"]
split = data.churn_split(900, data.course_seed(), numeric=True)
X_churn, y_churn = split.X_train, split.y_train

# %% tags=["task-5"]
### BEGIN SOLUTION
optuna.logging.set_verbosity(optuna.logging.WARNING)
mlflow.set_experiment("hw-nested-runs-optuna")


def objective(trial):
    tree = DecisionTreeClassifier(
        max_depth=trial.suggest_int("max_depth", 1, 12),
        min_samples_leaf=trial.suggest_int("min_samples_leaf", 1, 100),
        random_state=0,
    )
    with mlflow.start_run(nested=True):
        mlflow.log_params(trial.params)
        total = 0.0
        folds = StratifiedKFold(5)
        for step, fold in enumerate(folds.split(X_churn, y_churn), 1):
            total += cross_val_score(tree, X_churn, y_churn, cv=[fold], scoring="roc_auc")[0]
            mlflow.log_metric("cv_auc", total / step)
            trial.report(total / step, step)
            if step < folds.n_splits and trial.should_prune():
                mlflow.end_run("KILLED")
                raise optuna.TrialPruned()
    return total / step


study = optuna.create_study(
    direction="maximize",
    sampler=optuna.samplers.RandomSampler(seed=0),
    pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
)
with mlflow.start_run(run_name="study"):
    study.optimize(objective, 12)
    mlflow.log_metric("best_auc", study.best_value)
### END SOLUTION

# %%
hw.check(5)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** A child is a run with the tag `mlflow.parentRunId`; `nested=True` sets it from the run that is open
# *in this thread*, and `parent_run_id=` from the id that you pass. The winner of a family is searched for among its
# finished children alone, so neither the parent's promoted score nor a killed child's lucky one can take its place.
# Jonas's threads had no open run to be nested in; they shared one tree, so a score could belong to another thread's
# depth; and nobody asked for their results, so nobody heard that `"6"` is no number.
