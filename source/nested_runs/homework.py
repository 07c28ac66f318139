# %% [markdown]
# # Homework 07: families of runs
#
# **30 minutes · 4 tasks and a stretch · 8 points.** A check looks at the *newest* parent of a task's name and at its
# children, so you may run a cell as often as you like. Stuck? Add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
from concurrent.futures import ThreadPoolExecutor

import mlflow
import optuna
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.tree import DecisionTreeClassifier

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("nested_runs")
split = data.churn_split(900, data.course_seed(), numeric=True)


def test_auc(model):
    """Return the ROC-AUC of a fitted model on the test rows."""
    return roc_auc_score(split.y_test, model.predict_proba(split.X_test)[:, 1])


# %% [markdown]
# ## Task 1: a loop with a parent (2 points)
#
# In the experiment `hw-nested-runs-depth`, make a parent run `depth` with one child for each depth: 2, 6 and 16. A child fits
# `RandomForestClassifier(n_estimators=15, max_depth=…, random_state=0)` on the training rows and logs the parameter
# `max_depth` and the metric `test_auc` (the given function computes it). Then promote the best child: the parent gets
# the parameter `best_max_depth` and the metric `best_auc`.

# %% tags=["task-1"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-nested-runs-depth")
scores = {}
with mlflow.start_run(run_name="depth"):
    for depth in (2, 6, 16):
        with mlflow.start_run(nested=True):
            forest = RandomForestClassifier(n_estimators=15, max_depth=depth, random_state=0)
            scores[depth] = test_auc(forest.fit(split.X_train, split.y_train))
            mlflow.log_param("max_depth", depth)
            mlflow.log_metric("test_auc", scores[depth])
    best = max(scores, key=scores.get)
    mlflow.log_param("best_max_depth", best)
    mlflow.log_metric("best_auc", scores[best])
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: every candidate of a grid (2 points)
#
# The cell fits a grid search with six candidates. In the experiment `hw-nested-runs-grid`, make a parent `grid` with **one child
# per candidate**: its settings as parameters, and the metric `cv_auc`, the mean score over the folds.

# %% tags=["task-2"]
grid = {"max_depth": [2, 4, 8], "min_samples_leaf": [5, 40]}
search = GridSearchCV(DecisionTreeClassifier(random_state=0), grid, cv=3, scoring="roc_auc")
search.fit(split.X_train, split.y_train)
print(len(search.cv_results_["params"]), "candidates")

# %% tags=["task-2"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-nested-runs-grid")
results = search.cv_results_
with mlflow.start_run(run_name="grid"):
    for settings, score in zip(results["params"], results["mean_test_score"], strict=True):
        with mlflow.start_run(nested=True):
            mlflow.log_params(settings)
            mlflow.log_metric("cv_auc", score)
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: find the winner (2 points)
#
# The cell makes a parent `search` with six children in the experiment `hw-nested-runs-family`, and, as in real life, other runs
# beside them. Find the child of `parent_id` with the highest `cv_auc` **that finished**, and set its tag `winner` to
# `yes`. Use a query; the numbers are others next time.

# %% tags=["task-3"]
def make_family():
    """Log a search with a killed child, a promoted score and a run that does not belong to it."""
    seed = data.course_seed()
    with mlflow.start_run(run_name="search") as parent:
        for n in range(6):
            with mlflow.start_run(run_name=f"candidate-{n}", nested=True):
                mlflow.log_metric("cv_auc", 0.70 + ((n * 5 + seed) % 6) / 100 + (0.1 if n == 2 else 0))
                mlflow.end_run("KILLED" if n == 2 else "FINISHED")
        mlflow.log_metric("cv_auc", 0.9)
    with mlflow.start_run(run_name="stray"):
        mlflow.log_metric("cv_auc", 0.95)
    return parent.info.run_id


mlflow.set_experiment("hw-nested-runs-family")
parent_id = make_family()

# %% tags=["task-3"]
### BEGIN SOLUTION
children = mlflow.search_runs(
    experiment_names=["hw-nested-runs-family"],
    filter_string=f"tags.mlflow.parentRunId = '{parent_id}' AND attributes.status = 'FINISHED'",
    order_by=["metrics.cv_auc DESC"],
)
mlflow.MlflowClient().set_tag(children.run_id[0], "winner", "yes")
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: children from threads (2 points)
#
# Train three trees at once. In the experiment `hw-nested-runs-threads`, make a parent `parallel`; use a `ThreadPoolExecutor` to
# fit `DecisionTreeClassifier(max_depth=…, random_state=0)` for each entry of `depths`, each as a child run with the
# entry's name, the parameter `max_depth` and the metric `test_auc`. All three must be children of the parent.

# %% tags=["task-4"]
mlflow.set_experiment("hw-nested-runs-threads")
depths = {"shallow": 1, "middle": 3, "deep": 6}
### BEGIN SOLUTION
with mlflow.start_run(run_name="parallel") as parallel:

    def train(name):
        with mlflow.start_run(run_name=name, nested=True, parent_run_id=parallel.info.run_id):
            tree = DecisionTreeClassifier(max_depth=depths[name], random_state=0)
            tree.fit(split.X_train, split.y_train)
            mlflow.log_param("max_depth", depths[name])
            mlflow.log_metric("test_auc", test_auc(tree))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(train, depths))
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: a study that prunes (no points)
#
# In the experiment `hw-nested-runs-optuna`, make a parent `study` and let Optuna look for the best `max_depth` (1 to 12) and
# `min_samples_leaf` (1 to 100) of a decision tree, with the median pruner and one child run per trial. A child logs its
# parameters and `cv_auc`, the mean ROC-AUC over the folds; pruned children end KILLED. At least ten children, at least
# one of them pruned. The parent gets `best_auc`.

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
        for step, score in enumerate(cross_val_score(tree, split.X_train, split.y_train, scoring="roc_auc"), 1):
            total += score
            mlflow.log_metric("cv_auc", total / step)
            trial.report(total / step, step)
            if trial.should_prune():
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
# **Why it works.** A child is a run with the tag `mlflow.parentRunId`; `nested=True` sets it from the run that is
# open *in this thread*, `parent_run_id=` from the id you pass. The winner of a family is searched for among finished
# children only: neither the parent's promoted score nor a killed child's lucky one may compete.
