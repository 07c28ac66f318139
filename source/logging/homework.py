# %% [markdown]
# # Homework 04: runs that explain themselves
#
# **28 minutes · 4 tasks and a stretch · 8 points.** Run every cell as often as you like: a check reads your *latest*
# run. Below each task stands `hw.check(n)`; when you are stuck, add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import time

import mlflow
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report, log_loss, roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_utils import data, plots, store
from course_utils.homework import Homework

store.connect()
hw = Homework("logging")
split = data.churn_split(1200, data.course_seed(), numeric=True)
model = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=500)).fit(split.X_train, split.y_train)
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Task 1: a run without the password (2 points)
#
# `model` above was trained with these settings. In the experiment `hw-logging-run`, make a run called `logistic` that holds
#
# - the parameters `C`, `max_iter` and `seed`, and nothing of the database;
# - the metrics `test_auc` (ROC-AUC) and `test_loss` (log loss), both on the **test** rows;
# - the tag `owner` with your name, and a description of at least three words.

# %%
settings = {
    "C": 0.3,
    "max_iter": 500,
    "seed": data.course_seed(),
    "db_user": "nordtel",
    "db_password": "tulip-field-42",
}

# %% tags=["task-1"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-logging-run")

with mlflow.start_run(run_name="logistic", description="Logistic regression for Tom's call list."):
    mlflow.log_params({name: settings[name] for name in ("C", "max_iter", "seed")})
    probability = model.predict_proba(split.X_test)[:, 1]
    mlflow.log_metric("test_auc", roc_auc_score(split.y_test, probability))
    mlflow.log_metric("test_loss", log_loss(split.y_test, probability))
    mlflow.set_tag("owner", "Mira")
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: a curve in one call (2 points)
#
# The cell trains a small network; `losses` holds its loss after each epoch. In the experiment `hw-logging-curve`, make a run
# called `curve` with these values as the metric `train_loss`: the steps count from 0, and all points arrive in **one
# call**, with the same timestamp.

# %% tags=["task-2"]
network = MLPClassifier((4,), learning_rate_init=0.05, random_state=0)
losses = []
for _epoch in range(40):
    network.partial_fit(split.X_train / 50, split.y_train, classes=[0, 1])
    losses.append(network.loss_)

### BEGIN SOLUTION
mlflow.set_experiment("hw-logging-curve")

with mlflow.start_run(run_name="curve") as curve:
    now = int(time.time() * 1000)
    points = [mlflow.entities.Metric("train_loss", loss, now, step) for step, loss in enumerate(losses)]
    mlflow.MlflowClient().log_batch(curve.info.run_id, metrics=points)
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: a report in files (2 points)
#
# In the experiment `hw-logging-files`, make a run called `report` with three artifacts about the **test** rows:
#
# - `confusion_matrix.png`: the confusion matrix as a figure (your own, or `plots.confusion_matrix`);
# - `wrong.json`: a table of the customers that are predicted wrong, with all features and two more columns, `true` and
#   `predicted`;
# - `report.txt`: scikit-learn's classification report.

# %% tags=["task-3"]
predicted = model.predict(split.X_test)

### BEGIN SOLUTION
mlflow.set_experiment("hw-logging-files")
customers = split.X_test.assign(true=split.y_test, predicted=predicted)
wrong = customers[customers["true"] != customers["predicted"]]

with mlflow.start_run(run_name="report"):
    mlflow.log_figure(plots.confusion_matrix(split.y_test, predicted), "confusion_matrix.png")
    mlflow.log_table(wrong, "wrong.json")
    mlflow.log_text(classification_report(split.y_test, predicted), "report.txt")
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: where the number came from (2 points)
#
# Do customers who leave have a shorter tenure? In the experiment `hw-logging-data`, make a run called `tenure` with
#
# - the metric `t`: Welch's t statistic of `tenure_months`, leavers first, stayers second;
# - the parameter `seed`, `data.course_seed()`;
# - the data set `everyone`, logged with `log_input` under the name `customers` and the context `eda`;
# - the tag `data_sha256`, so that a change in *any* row shows.

# %% tags=["task-4"]
everyone = data.churn(11_000, data.course_seed())

### BEGIN SOLUTION
mlflow.set_experiment("hw-logging-data")
leavers = everyone[everyone["churned"] == 1]
stayers = everyone[everyone["churned"] == 0]

with mlflow.start_run(run_name="tenure"):
    welch = stats.ttest_ind(leavers["tenure_months"], stayers["tenure_months"], equal_var=False)
    mlflow.log_metric("t", welch.statistic)
    mlflow.log_param("seed", data.course_seed())
    mlflow.log_input(mlflow.data.from_pandas(everyone, name="customers"), context="eda")
    mlflow.set_tag("data_sha256", data.digest(everyone))
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: a parameter that is wrong (no points)
#
# Somebody logged `C` as 3 in the run `typo`; the model was trained with 0.3. A parameter cannot change. In the
# same experiment, `hw-logging-typo`, make a run called `corrected` with the right `C`, and let the old run point to it: give
# `typo` the tag `superseded_by` with the run id of `corrected`.

# %%
mlflow.set_experiment("hw-logging-typo")
if mlflow.search_runs(experiment_names=["hw-logging-typo"]).empty:
    with mlflow.start_run(run_name="typo"):
        mlflow.log_param("C", 3.0)

# %% tags=["task-5"]
### BEGIN SOLUTION
client = mlflow.MlflowClient()
typo = mlflow.search_runs(filter_string="attributes.run_name = 'typo'", output_format="list")[0]

with mlflow.start_run(run_name="corrected") as corrected:
    mlflow.log_param("C", 0.3)

client.set_tag(typo.info.run_id, "superseded_by", corrected.info.run_id)
### END SOLUTION

# %%
hw.check(5)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** Task 1 names what it logs, so a new secret in `settings` cannot slip in. In task 2 a point carries
# its own step and timestamp; the call that brings it does not matter, so one call can bring all. Task 4 adds a hash of
# *all* rows: with 11,000 customers, MLflow's own digest misses the last 1,000.
