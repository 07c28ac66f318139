# %% [markdown]
# # Homework: comparing runs
#
# **30 minutes · 4 tasks and a stretch · 8 points.** The tasks are independent of each other. Run every cell as often
# as you like: a check reads what is in the store, and your *latest* run counts. Below each task stands `hw.check(n)`;
# when you are stuck, add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import mlflow
import numpy as np
from mlflow.entities import ViewType
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("comparing_runs")
split = data.churn_split(800, data.course_seed(), numeric=True)
X_fit, X_valid, y_fit, y_valid = train_test_split(
    split.X_train, split.y_train, test_size=0.3, random_state=0
)
client = mlflow.MlflowClient()
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Task 1: five runs and a winner (2 points)
#
# In the experiment `hw-comparing-runs-trees`, make five runs called `trees-10`, `trees-20`, … `trees-50`.
#
# - Each fits `RandomForestClassifier(n_estimators=…, max_depth=4, random_state=0)` on `X_fit` and `y_fit`.
# - Each records the parameter `n_estimators`, and the metric `valid_auc`: the ROC-AUC on the **validation** rows,
#   from the probabilities of class 1 (the customer leaves).
# - Then ask the store which of the five has the highest `valid_auc`, and set the tag `winner` to `yes` on that run, and
#   on no other. The runs of a wrong attempt stay in the store, and a query finds them as well: delete them first, with
#   `for run_id in mlflow.search_runs(experiment_names=["hw-comparing-runs-trees"]).run_id: client.delete_run(run_id)`.
# - The choice is made, so open the test rows, once: record in the winner's run, and in no other, the metric `test_auc`, the ROC-AUC of
#   its forest (fitted on `X_fit` and `y_fit`, as before) on `split.X_test` and `split.y_test`.

# %% tags=["task-1"]
mlflow.set_experiment("hw-comparing-runs-trees")
### BEGIN SOLUTION
for trees in (10, 20, 30, 40, 50):
    with mlflow.start_run(run_name=f"trees-{trees}"):
        forest = RandomForestClassifier(n_estimators=trees, max_depth=4, random_state=0)
        forest.fit(X_fit, y_fit)
        mlflow.log_param("n_estimators", trees)
        mlflow.log_metric("valid_auc", roc_auc_score(y_valid, forest.predict_proba(X_valid)[:, 1]))

best = mlflow.search_runs(order_by=["metrics.valid_auc DESC"], max_results=5).iloc[0]
client.set_tag(best["run_id"], "winner", "yes")

trees = int(best["params.n_estimators"])
again = RandomForestClassifier(n_estimators=trees, max_depth=4, random_state=0)
p = again.fit(X_fit, y_fit).predict_proba(split.X_test)[:, 1]
client.log_metric(best["run_id"], "test_auc", roc_auc_score(split.y_test, p))
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: the top three as a report (2 points)
#
# The next cell fills the experiment `hw-comparing-runs-history` with ten runs of last month; one of them failed. Tom
# wants a file with the three best **finished** runs that have **at least 100 trees**, highest `valid_auc` first.
# Write it as `store.outputs("hw-comparing-runs") / "top3.csv"`, one row a run, with the columns `run_name`,
# `n_estimators` and `valid_auc`. Do not round the numbers. Further columns do no harm.

# %% tags=["task-2"]
history = mlflow.set_experiment("hw-comparing-runs-history")
if mlflow.search_runs().empty:
    rng = np.random.default_rng(data.course_seed())
    trees = [250, 80, 40, *rng.permutation([100, 150, 400]), 20, 200, 300, 60]
    names = ["Ada", "Bo", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal", "Ida", "Jo"]
    names = rng.permutation(names)
    values = np.sort(rng.uniform(0.6, 0.8, 10))[::-1]
    for i in rng.permutation(10):
        made = client.create_run(history.experiment_id, run_name=str(names[i]))
        client.log_param(made.info.run_id, "n_estimators", trees[i])
        client.log_metric(made.info.run_id, "valid_auc", values[i])
        client.set_terminated(made.info.run_id, "FAILED" if i == 0 else "FINISHED")

# %% tags=["task-2"]
### BEGIN SOLUTION
runs = mlflow.search_runs(
    filter_string="attributes.status = 'FINISHED'", order_by=["metrics.valid_auc DESC"]
)
report = runs[["tags.mlflow.runName", "params.n_estimators", "metrics.valid_auc"]]
report.columns = ["run_name", "n_estimators", "valid_auc"]
report = report[report["n_estimators"].astype(int) >= 100]
report.head(3).to_csv(store.outputs("hw-comparing-runs") / "top3.csv", index=False)
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: bring Monday's model back (2 points)
#
# The next cell makes two runs in `hw-comparing-runs-rescue`, `monday` and `tuesday`, and somebody deletes Monday's.
#
# - **Restore** the run `monday` itself; a new run of that name is not the same.
# - Then make a new run `monday-again` in the same experiment. Fit a `DecisionTreeClassifier` on `X_fit` and `y_fit`
#   with Monday's parameters, read from the store. Record these parameters under the same names, and the metric
#   `valid_auc`, measured as Monday's was.
# - Give `monday-again` the tag `restored_from` with the **id** of the run `monday`.

# %% tags=["task-3"]
mlflow.set_experiment("hw-comparing-runs-rescue")
if mlflow.search_runs(run_view_type=ViewType.ALL).empty:
    rng = np.random.default_rng(data.course_seed())
    for name, depth in (("monday", int(rng.integers(3, 6))), ("tuesday", 2)):
        leaf = int(rng.integers(5, 30))
        chosen = {"max_depth": depth, "min_samples_leaf": leaf, "random_state": 0}
        with mlflow.start_run(run_name=name) as made:
            model = DecisionTreeClassifier(**chosen).fit(X_fit, y_fit)
            mlflow.log_params(chosen)
            p = model.predict_proba(X_valid)[:, 1]
            mlflow.log_metric("valid_auc", roc_auc_score(y_valid, p))
        if name == "monday":
            mlflow.delete_run(made.info.run_id)

# %% tags=["task-3"]
### BEGIN SOLUTION
monday = mlflow.search_runs(
    filter_string="run_name = 'monday'", run_view_type=ViewType.ALL, output_format="list"
)[-1]  # newest first, so the last one is the original
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
# ## Task 4: a comparison that was not fair (2 points)
#
# At a clinic, eight trees were trained to tell malignant tumours from benign ones. The next cell records them in
# `hw-comparing-runs-clinic`. Four of them were judged on all validation rows; for the other four, somebody had left
# out the tumours of doubtful size, which are the hard ones. In each run, the rows are recorded as a data set called
# `tumours`, so the name does not tell them apart. The data set of *all* validation rows is in the variable `tumours`.
#
# Their metric is `valid_loss`, the log loss: **lower is better**. Find the best of the runs that were judged on all
# validation rows, and set the tag `fair_winner` to `yes` on it, and on no other.

# %% tags=["task-4"]
X = data.bundled("breast_cancer")
y = (X.pop("target") == 0).astype(float).rename("malignant")
X_train, X_all, y_train, y_all = train_test_split(
    X, y, test_size=0.4, stratify=y, random_state=data.course_seed()
)
clear = ~X_all["worst_radius"].between(14, 18)
everybody = X_all.assign(malignant=y_all)
tumours, no_doubt = (
    mlflow.data.from_pandas(rows, targets="malignant", name="tumours")
    for rows in (everybody, everybody[clear])
)

# %% tags=["task-4"]
clinic = mlflow.set_experiment("hw-comparing-runs-clinic")
if mlflow.search_runs().empty:
    for number in np.random.default_rng(data.course_seed()).permutation(8):
        depth, whole = int(number // 2 + 1), number % 2 == 0
        with mlflow.start_run(run_name=f"clinic-{(number * 3) % 8 + 1}"):
            tree = DecisionTreeClassifier(
                max_depth=depth, min_samples_leaf=8, random_state=0
            ).fit(X_train, y_train)
            rows = X_all if whole else X_all[clear]
            loss = log_loss(y_all[rows.index], tree.predict_proba(rows)[:, 1])
            mlflow.log_param("max_depth", depth)
            mlflow.log_input(tumours if whole else no_doubt, context="validation")
            mlflow.log_metric("valid_loss", loss)

# %% tags=["task-4"]
### BEGIN SOLUTION
fair = mlflow.search_runs(
    filter_string=f"datasets.digest = '{tumours.digest}'",
    order_by=["metrics.valid_loss ASC"],
)
client.set_tag(fair.iloc[0].run_id, "fair_winner", "yes")
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: the peak of a curve (no points)
#
# The next cell logs a run `curve` in `hw-comparing-runs-curve`, whose `valid_auc` rises and falls over its steps. A
# runs table shows only the value of the highest step. Log two more metrics **to that same run**: `best_valid_auc`,
# the highest value, and `best_step`, the step at which it was reached.

# %% tags=["task-5"]
mlflow.set_experiment("hw-comparing-runs-curve")
if mlflow.search_runs().empty:
    rng = np.random.default_rng(data.course_seed())
    with mlflow.start_run(run_name="curve"):
        for step in range(5, 105, 5):
            value = 0.75 - (step - 60) ** 2 / 40_000 + rng.normal(0, 0.004)
            mlflow.log_metric("valid_auc", value, step=step)

# %% tags=["task-5"]
### BEGIN SOLUTION
(curve,) = mlflow.search_runs(output_format="list")
points = client.get_metric_history(curve.info.run_id, "valid_auc")
peak = max(points, key=lambda point: point.value)
client.log_metric(curve.info.run_id, "best_valid_auc", peak.value)
client.log_metric(curve.info.run_id, "best_step", peak.step)
### END SOLUTION

# %%
hw.check(5)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** The store sorts metrics as numbers, so it can name a winner; the test rows had no part in that
# choice, so `test_auc` is an honest score. The store keeps parameters as text, so *at least 100* is a question for
# pandas. A deleted run is only marked: `restore_run` takes the mark away, and the id
# stays what it was. Settings, seed and rows together give the same model to the last digit. Two data sets may have
# one name, and then the digest tells them apart: the best `valid_loss` of all eight runs belonged to a tree that was
# spared the hard rows. And `client.log_metric` writes to any run by its id, finished or not.
