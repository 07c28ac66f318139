# %% [markdown]
# # Homework 05: a winner, a report and a rescue
#
# **25 minutes · 3 tasks and a stretch · 6 points.** Run every cell as often as you like: a check reads your *latest*
# runs. Below each task stands `hw.check(n)`; when you are stuck, add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import mlflow
import numpy as np
from mlflow.entities import ViewType
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("comparing_runs")
split = data.churn_split(800, data.course_seed(), numeric=True)
X_fit, X_valid, y_fit, y_valid = train_test_split(split.X_train, split.y_train, test_size=0.3, random_state=0)
client = mlflow.MlflowClient()
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Task 1: five runs and a winner (2 points)
#
# In the experiment `hw-comparing-runs-trees`, make five runs called `trees-10`, `trees-20`, … `trees-50`. Each fits
# `RandomForestClassifier(n_estimators=…, max_depth=4, random_state=0)` on `X_fit` and logs the parameter
# `n_estimators` and the metric `valid_auc`: the ROC-AUC on the **validation** rows. Then ask the store which of the
# five is best, and set the tag `winner` to `yes` on that run.

# %% tags=["task-1"]
mlflow.set_experiment("hw-comparing-runs-trees")
### BEGIN SOLUTION
for trees in (10, 20, 30, 40, 50):
    with mlflow.start_run(run_name=f"trees-{trees}"):
        forest = RandomForestClassifier(n_estimators=trees, max_depth=4, random_state=0).fit(X_fit, y_fit)
        mlflow.log_param("n_estimators", trees)
        mlflow.log_metric("valid_auc", roc_auc_score(y_valid, forest.predict_proba(X_valid)[:, 1]))

best = mlflow.search_runs(order_by=["metrics.valid_auc DESC"], max_results=5).iloc[0]
client.set_tag(best["run_id"], "winner", "yes")
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: the top three as a report (2 points)
#
# The next cell fills the experiment `hw-comparing-runs-history` with ten runs of last month; one of them failed. Tom wants a file:
# the three best **finished** runs with **at least 100 trees**, highest `valid_auc` first, as `store.outputs("hw-comparing-runs") /
# "top3.csv"` with the columns `run_name`, `n_estimators` and `valid_auc`.

# %% tags=["task-2"]
history = mlflow.set_experiment("hw-comparing-runs-history")
if mlflow.search_runs().empty:
    rng = np.random.default_rng(data.course_seed())
    trees = [250, 80, 40, *rng.permutation([100, 150, 400]), 20, 200, 300, 60]
    names = rng.permutation(["Ada", "Bo", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal", "Ida", "Jo"])
    values = np.sort(rng.uniform(0.6, 0.8, 10))[::-1]
    for i in rng.permutation(10):
        run_id = client.create_run(history.experiment_id, run_name=str(names[i])).info.run_id
        client.log_param(run_id, "n_estimators", trees[i])
        client.log_metric(run_id, "valid_auc", values[i])
        client.set_terminated(run_id, "FAILED" if i == 0 else "FINISHED")

# %% tags=["task-2"]
### BEGIN SOLUTION
runs = store.runs("hw-comparing-runs-history", "attributes.status = 'FINISHED'", order_by=["metrics.valid_auc DESC"])
runs["n_estimators"] = runs["n_estimators"].astype(int)
top3 = runs[runs["n_estimators"] >= 100].head(3)
top3[["n_estimators", "valid_auc"]].to_csv(store.outputs("hw-comparing-runs") / "top3.csv")
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: bring Monday's model back (2 points)
#
# The next cell makes two runs in `hw-comparing-runs-rescue`, `monday` and `tuesday`, and somebody deletes Monday's. **Restore** the
# run `monday`. Then make a new run `monday-again` in the same experiment: fit a `DecisionTreeClassifier` on `X_fit`
# with Monday's parameters, read from the store, and log these parameters, the metric `valid_auc`, and the tag
# `restored_from` with Monday's run **id**.

# %% tags=["task-3"]
mlflow.set_experiment("hw-comparing-runs-rescue")
if mlflow.search_runs(run_view_type=ViewType.ALL).empty:
    rng = np.random.default_rng(data.course_seed())
    for name, depth in (("monday", rng.integers(3, 6)), ("tuesday", 2)):
        chosen = {"max_depth": int(depth), "min_samples_leaf": int(rng.integers(5, 30)), "random_state": 0}
        with mlflow.start_run(run_name=name) as made:
            model = DecisionTreeClassifier(**chosen).fit(X_fit, y_fit)
            mlflow.log_params(chosen)
            mlflow.log_metric("valid_auc", roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1]))
        if name == "monday":
            mlflow.delete_run(made.info.run_id)

# %% tags=["task-3"]
### BEGIN SOLUTION
question = "run_name = 'monday'"
(monday,) = mlflow.search_runs(filter_string=question, run_view_type=ViewType.ALL, output_format="list")
if monday.info.lifecycle_stage == "deleted":
    client.restore_run(monday.info.run_id)

settings = {name: int(text) for name, text in monday.data.params.items()}
with mlflow.start_run(run_name="monday-again"):
    tree = DecisionTreeClassifier(**settings).fit(X_fit, y_fit)
    mlflow.log_params(settings)
    mlflow.log_metric("valid_auc", roc_auc_score(y_valid, tree.predict_proba(X_valid)[:, 1]))
    mlflow.set_tag("restored_from", monday.info.run_id)
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Stretch: the peak of a curve (no points)
#
# The next cell logs a run `curve` in `hw-comparing-runs-curve`, whose `valid_auc` rises and falls over its steps. A runs table
# shows only the value of the highest step. Log two more metrics **to that same run**: `best_valid_auc`, the highest value, and
# `best_step`, the step at which it was reached.

# %% tags=["task-4"]
mlflow.set_experiment("hw-comparing-runs-curve")
if mlflow.search_runs().empty:
    rng = np.random.default_rng(data.course_seed())
    with mlflow.start_run(run_name="curve"):
        for step in range(5, 105, 5):
            value = 0.75 - (step - 60) ** 2 / 40_000 + rng.normal(0, 0.004)
            mlflow.log_metric("valid_auc", value, step=step)

# %% tags=["task-4"]
### BEGIN SOLUTION
(curve,) = mlflow.search_runs(output_format="list")
points = client.get_metric_history(curve.info.run_id, "valid_auc")
peak = max(points, key=lambda point: point.value)
client.log_metric(curve.info.run_id, "best_valid_auc", peak.value)
client.log_metric(curve.info.run_id, "best_step", peak.step)
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** The store sorts metrics as numbers, so it can name a winner; it keeps parameters as text, so *at
# least 100* is a question for pandas. A deleted run is only marked: `restore_run` takes the mark away and the id stays
# what it was. Settings, seed and rows together give the same model to the last digit. And `client.log_metric` writes
# to any run by its id, finished or not.
