# %% [markdown]
# # Homework: Logging
#
# **30 minutes · 4 tasks and a stretch · 8 points.** The tasks are independent of each other. Run every cell as often as
# you like: a check reads what is in the store, and your *latest* run counts. Below each task stands `hw.check(n)`; when
# you are stuck, add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import time

import mlflow
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_utils import data, plots, store
from course_utils.homework import Homework

store.connect()
hw = Homework("logging")
split = data.churn_split(1200, data.course_seed(), numeric=True)
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Task 1: a run without the password (2 points)
#
# Mira has chosen a model; there will be no other attempts, so the test rows may be opened. The next cell trains it,
# with the settings in `settings`. In the experiment `hw-log-password`, make a run called `logistic` that holds
#
# - the parameters `C`, `max_iter` and `data_seed`, with the values from `settings`, and nothing of the database,
#   neither the password nor the user, in any place of the run;
# - the metrics `test_auc` (ROC-AUC) and `test_loss` (log loss) of `model`, both on the **test** rows, not rounded;
# - the tag `owner` with your name, and a description of at least three words.

# %%
settings = {
    "C": 0.3,
    "max_iter": 500,
    "data_seed": data.course_seed(),
    "db_user": "churn-writer",
    "db_password": "tulip-field-42",
}
classifier = LogisticRegression(C=settings["C"], max_iter=settings["max_iter"])
model = make_pipeline(StandardScaler(), classifier)
model.fit(split.X_train, split.y_train)

# %% tags=["task-1"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-log-password")
named = {name: settings[name] for name in ("C", "max_iter", "data_seed")}

with mlflow.start_run(run_name="logistic", description="Baseline for Tom's call list"):
    mlflow.log_params(named)
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
# The cell trains a small network; `losses` holds 40 values, one for each epoch: the network's own `loss_`
# (an average during the epoch, with its penalty), which is what we call `train_loss` here. In the experiment
# `hw-log-curve`, make a run called `curve` with these values, not rounded, as the metric `train_loss`. The steps
# count from 0, and all points arrive in **one call** and carry the **same timestamp**, whichever you choose.

# %% tags=["task-2"]
network = MLPClassifier((4,), learning_rate_init=0.05, random_state=0)
losses = []
for _epoch in range(40):
    network.partial_fit(split.X_train / 50, split.y_train, classes=[0, 1])
    losses.append(network.loss_)

### BEGIN SOLUTION
mlflow.set_experiment("hw-log-curve")

with mlflow.start_run(run_name="curve") as curve:
    now = int(time.time() * 1000)
    Metric = mlflow.entities.Metric
    points = [Metric("train_loss", loss, now, step) for step, loss in enumerate(losses)]
    mlflow.MlflowClient().log_batch(curve.info.run_id, metrics=points)
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: a report for the clinic (2 points)
#
# Mira's friend at the clinic wants to see which tumours a simple model gets wrong. The next cell trains it on real
# measurements (1 is malignant, 0 benign) and predicts the validation rows. In the experiment `hw-log-clinic`, make
# a run called `report` with three artifacts about the **validation** rows:
#
# - `confusion_matrix.png`: the confusion matrix as a figure (your own, or one from `plots.confusion_matrix`);
# - `wrong.json`: a table, as `log_table` writes it, of the tumours that are predicted wrong, in any order. It has all
#   30 measurements under their names, and the columns `true` and `predicted`, which hold 0 and 1, or one word for each
#   class. A column that says which tumour it is may stand beside them;
# - `report.txt`: scikit-learn's `classification_report`.

# %%
X = data.bundled("breast_cancer")
y = (X.pop("target") == 0).astype(int).rename("malignant")
X_train, X_valid, y_train, y_valid = train_test_split(
    X, y, test_size=0.3, stratify=y, random_state=data.course_seed()
)
neighbors = KNeighborsClassifier(n_neighbors=25).fit(X_train, y_train)
predicted = neighbors.predict(X_valid)

# %% tags=["task-3"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-log-clinic")
tumours = X_valid.assign(true=y_valid, predicted=predicted)
wrong = tumours[tumours["true"] != tumours["predicted"]].reset_index(names="tumour")
figure = plots.confusion_matrix(y_valid, predicted, ["benign", "malignant"])

with mlflow.start_run(run_name="report"):
    mlflow.log_figure(figure, "confusion_matrix.png")
    mlflow.log_table(wrong, "wrong.json")
    mlflow.log_text(classification_report(y_valid, predicted), "report.txt")
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: where the number came from (2 points)
#
# Do customers who leave (`churned` is 1) have a shorter tenure? The next cell draws 11,000 customers. In the experiment
# `hw-log-origin`, make a run called `tenure` with
#
# - the metric `t`, not rounded: the statistic of Welch's t-test (`stats.ttest_ind` with `equal_var=False`) of
#   `tenure_months`, leavers first, stayers second;
# - the parameter `data_seed`, the seed that drew the customers: `data.course_seed()`;
# - the data set `everyone`, whole, logged with `log_input` under the name `customers` and the context `eda`;
# - the tag `data_sha256` of the run: a digest that notices a change in *any* of the 11,000 rows, 16 characters, as the
#   lecture computes it (there it is called `digest_of_all`, in the course's package `data.digest`).

# %%
everyone = data.churn(11_000, data.course_seed())

# %% tags=["task-4"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-log-origin")
leavers = everyone[everyone["churned"] == 1]["tenure_months"]
stayers = everyone[everyone["churned"] == 0]["tenure_months"]
welch = stats.ttest_ind(leavers, stayers, equal_var=False)
described = mlflow.data.from_pandas(everyone, name="customers")

with mlflow.start_run(run_name="tenure"):
    mlflow.log_metric("t", welch.statistic)
    mlflow.log_param("data_seed", data.course_seed())
    mlflow.log_input(described, context="eda")
    mlflow.set_tag("data_sha256", data.digest(everyone))
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: a parameter that is wrong (no points)
#
# Somebody logged `C` as 3 in the run `typo`, which the next cell makes; the model was trained with 0.3. A parameter
# cannot change. In the same experiment, `hw-log-typo`, make a run called `corrected` with the right `C`, and let the
# old run point to it: give `typo` the tag `superseded_by`, whose value is the run id of `corrected`.

# %%
mlflow.set_experiment("hw-log-typo")
if mlflow.search_runs(experiment_names=["hw-log-typo"]).empty:
    with mlflow.start_run(run_name="typo"):
        mlflow.log_param("C", 3.0)

# %% tags=["task-5"]
### BEGIN SOLUTION
client = mlflow.MlflowClient()
only_typo = "attributes.run_name = 'typo'"
typo = mlflow.search_runs(filter_string=only_typo, output_format="list")[0]

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
# **Why it works.** Task 1 names what it logs, so a secret that is added to `settings` later cannot slip in. In Task 2 a
# point carries its step and timestamp; the call that brings it does not matter, so one call can bring all of them.
# In Task 3 a new run begins with an empty table, so nothing is in it twice. Task 4 adds a digest of *all* rows: of
# 11,000 customers, MLflow's own digest leaves out the last 1,000. In the stretch nothing is erased: a tag can be added
# to a run that has ended, and leads whoever finds the wrong number to the right one.
