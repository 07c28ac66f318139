# %% [markdown]
# # Homework 03: your first experiments
#
# **25 minutes · 3 tasks and a stretch · 6 points.** Run every cell as often as you like: a check reads your *latest* run.
# Below each task stands `hw.check(n)`; when you are stuck, add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import mlflow
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("mlflow_basics")
split = data.churn_split(1200, data.course_seed(), numeric=True)
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Task 1: log one run (2 points)
#
# In an experiment called `hw-mlflow-basics-forest`, make a run called `forest`. Inside it, fit
# `RandomForestClassifier(n_estimators=60, max_depth=4, random_state=0)` on the training rows. Log the parameter
# `n_estimators` and the metric `test_auc`: the ROC-AUC on the **test** rows.

# %% tags=["task-1"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-mlflow-basics-forest")

with mlflow.start_run(run_name="forest"):
    forest = RandomForestClassifier(n_estimators=60, max_depth=4, random_state=0)
    forest.fit(split.X_train, split.y_train)
    auc = roc_auc_score(split.y_test, forest.predict_proba(split.X_test)[:, 1])
    mlflow.log_param("n_estimators", 60)
    mlflow.log_metric("test_auc", auc)
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: tidy up in the UI (2 points)
#
# The next cell makes a run called `draft` in the experiment `hw-mlflow-basics-tidy`. Open it in the UI, **rename** it to
# `baseline` (the three dots at the top right), and write a **description** of at least three words that says what it is
# (the pencil; then *Save*). You may do both in code instead.
# Running the cell again makes a new draft only when there is none left.

# %%
mlflow.set_experiment("hw-mlflow-basics-tidy")
if mlflow.search_runs(experiment_names=["hw-mlflow-basics-tidy"]).empty:
    with mlflow.start_run(run_name="draft"):
        mlflow.log_metric("test_auc", 0.5)

# %% tags=["task-2"]
### BEGIN SOLUTION
client = mlflow.MlflowClient()
draft = mlflow.search_runs(experiment_names=["hw-mlflow-basics-tidy"], output_format="list")[0]
client.update_run(draft.info.run_id, name="baseline")
client.set_tag(draft.info.run_id, "mlflow.note.content", "A coin toss, to compare real models with.")
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: download a model (2 points)
#
# The cell gives you a fitted network. In the experiment `hw-mlflow-basics-network`, make a run called `network` that logs it as a
# model named `churn_network` (use `store.log_model`, as the lecture did). Then bring the model's files to
# `store.outputs("hw-mlflow-basics") / "downloaded"`. In the UI you would download them one by one; in code it is
# `mlflow.artifacts.download_artifacts(artifact_uri=…, dst_path=…)` with the model's URI.

# %%
network = make_pipeline(StandardScaler(), MLPClassifier((4,), max_iter=800, random_state=0))
network.fit(split.X_train, split.y_train)
print("Fitted:", network.steps[-1][0])

# %% tags=["task-3"]
mlflow.set_experiment("hw-mlflow-basics-network")
target = store.outputs("hw-mlflow-basics") / "downloaded"
### BEGIN SOLUTION
with mlflow.start_run(run_name="network"):
    info = store.log_model(network, "churn_network", split.X_train)

mlflow.artifacts.download_artifacts(artifact_uri=info.model_uri, dst_path=str(target))
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Stretch: a run that fails, and stays (no points)
#
# In the experiment `hw-mlflow-basics-forest`, make a run called `crash` that logs the parameter `n_estimators` and then fails with an
# error of your choice. The run must be kept, with the status FAILED. (`lesson.expect_error()` from the lecture keeps
# *Run All* going.)

# %% tags=["task-4"]
### BEGIN SOLUTION
from course_utils import lesson

mlflow.set_experiment("hw-mlflow-basics-forest")
with lesson.expect_error(ValueError):
    with mlflow.start_run(run_name="crash"):
        mlflow.log_param("n_estimators", 0)
        RandomForestClassifier(n_estimators=0).fit(split.X_train, split.y_train)
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** The `with` block ends a run whatever happens inside, so no run stays open. A name and a description are
# *tags* of the run (`mlflow.runName`, `mlflow.note.content`), so they can change later. A parameter cannot, and a metric
# can only gain points. A logged model has a URI of its own, `models:/m-…`, which works wherever the store can be reached.
