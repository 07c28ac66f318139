# %% [markdown]
# # Homework: MLflow basics
#
# **30 minutes · 4 tasks and a stretch · 8 points.** The tasks are independent of each other. Run every cell as often as
# you like: a check reads what is in the store, and your *latest* run counts. Below each task stands `hw.check(n)`; when
# you are stuck, add a cell with `hw.hint(n)`.
#
# Mira helps a friend at a clinic today. The data is real, and comes with scikit-learn: measurements of breast tumours,
# and whether each of them was malignant (1) or benign (0).
#
# <!-- links -->

# %%
import mlflow
import skops.io
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("mlflow_basics")

X = data.bundled("breast_cancer")
y = (X.pop("target") == 0).astype(float).rename("malignant")
X_train, X_valid, y_train, y_valid = train_test_split(
    X, y, test_size=0.3, stratify=y, random_state=data.course_seed()
)
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Task 1: a run that can be repeated (2 points)
#
# In an experiment called `hw-basics-tumours`, make a run called `boosting`.
#
# - Fit a `GradientBoostingClassifier` on the training rows. Set exactly these four, to values of your choice:
#   `n_estimators` (200 at most), `max_depth` (a whole number from 1 to 32), `learning_rate` (above 0, at most 10), and
#   `random_state` (a whole number).
# - Record all four as parameters, under these names.
# - Record the metric `valid_auc`, the ROC-AUC on the validation rows.
# - Keep the model in the run, as a model called `boosting`, in the format that `log_model` uses by default. Look at the
#   list of its untrusted types before you trust them.
#
# The check trains a model from your record alone. It has to arrive at your number.

# %% tags=["task-1"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-basics-tumours")
settings = {"n_estimators": 50, "max_depth": 2, "learning_rate": 0.2, "random_state": 7}

with mlflow.start_run(run_name="boosting"):
    model = GradientBoostingClassifier(**settings).fit(X_train, y_train)
    mlflow.log_params(settings)
    auc = roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1])
    mlflow.log_metric("valid_auc", auc)

    packages = mlflow.sklearn.get_default_pip_requirements(include_skops=True)
    trusted = ["sklearn.tree._tree.Tree"]  # read, and no more than that
    assert skops.io.get_untrusted_types(data=skops.io.dumps(model)) == trusted
    mlflow.sklearn.log_model(
        model,
        name="boosting",
        skops_trusted_types=trusted,
        pip_requirements=packages,
        input_example=X_train.head(3),
    )
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: the model behind the slide (2 points)
#
# The next cell fills the experiment `hw-basics-slide` with a week of attempts, and prints the number on the slide. Find
# the run that gave this number **and still has its model**. Load the model, and count on how many of the validation
# rows it gives a probability above 0.5 of being malignant. Record the count as the metric `flagged`, **in the run that
# you found**: `mlflow.log_metric` takes its id as `run_id`.

# %%
mlflow.set_experiment("hw-basics-slide")
if mlflow.search_runs(experiment_names=["hw-basics-slide"]).empty:
    for name, depth in (("final", 1), ("new", 2), ("final-2", 3), ("really-final", 5)):
        settings = {"n_estimators": 15, "max_depth": depth, "random_state": 1}
        with mlflow.start_run(run_name=name):
            forest = RandomForestClassifier(**settings).fit(X_train, y_train)
            p = forest.predict_proba(X_valid)[:, 1]
            mlflow.log_params(settings)
            mlflow.log_metric("valid_auc", roc_auc_score(y_valid, p))
            store.log_model(forest, "forest", X_train)  # Round 2, types unread

week = mlflow.search_runs(experiment_names=["hw-basics-slide"])
week = week.sort_values("start_time")
slide = sorted(week["metrics.valid_auc"].head(4))[2]
if len(week) == 4:
    client = mlflow.MlflowClient()
    crashed = client.create_run(week.experiment_id[0], run_name="final-final")
    mlflow.log_metric("valid_auc", slide, run_id=crashed.info.run_id)
    client.set_terminated(crashed.info.run_id, "FAILED")
print(f"The slide says: ROC-AUC {slide:.4f}")

# %% tags=["task-2"]
### BEGIN SOLUTION
runs = mlflow.search_runs(
    experiment_names=["hw-basics-slide"],
    filter_string="attributes.status = 'FINISHED'",
)
found = runs[runs["metrics.valid_auc"].round(4) == round(slide, 4)].iloc[0]
model_id = mlflow.get_run(found.run_id).outputs.model_outputs[0].model_id
forest = mlflow.sklearn.load_model(f"models:/{model_id}")

flagged = (forest.predict_proba(X_valid)[:, 1] > 0.5).sum()
mlflow.log_metric("flagged", flagged, run_id=found.run_id)
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: three mistakes in a colleague's cell (2 points)
#
# Jonas wants to compare 5 with 15 neighbours, and has written this cell:
#
# ```python
# for k in (5, 15):
#     mlflow.start_run(run_name=f"neighbors-{k}")
#     model = KNeighborsClassifier(n_neighbors=5).fit(X_train, y_train)
#     auc = roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1])
#     mlflow.log_param("n_neighbors", k)
#     mlflow.log_param("valid_auc", auc)
# ```
#
# It stops at its second round, it says something that is not true, and what it records cannot be sorted. Write it so
# that the experiment `hw-basics-neighbors` has two finished runs, `neighbors-5` and `neighbors-15`, each with the
# parameter `n_neighbors`, and with the metric `valid_auc` of the model that this parameter describes.
#
# If you run Jonas's cell as it is, a run stays open; `mlflow.end_run()` closes it.

# %% tags=["task-3"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-basics-neighbors")

for k in (5, 15):
    with mlflow.start_run(run_name=f"neighbors-{k}"):
        model = KNeighborsClassifier(n_neighbors=k).fit(X_train, y_train)
        mlflow.log_param("n_neighbors", k)
        auc = roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1])
        mlflow.log_metric("valid_auc", auc)
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: tidy up in the UI (2 points)
#
# The next cell makes a run called `draft` in the experiment `hw-basics-tidy`. Open this run in the UI, **rename** it to
# `baseline` (the menu with the three dots at the top right), and give it a **description** of at least three words that
# says what it is (the pencil beside *Description*; then *Save*). You may do both in code instead. It must remain the
# same run: do not make a new one.

# %%
mlflow.set_experiment("hw-basics-tidy")
if mlflow.search_runs(experiment_names=["hw-basics-tidy"]).empty:
    with mlflow.start_run(run_name="draft"):
        mlflow.log_metric("valid_auc", 0.5)

# %% tags=["task-4"]
### BEGIN SOLUTION
client = mlflow.MlflowClient()
draft = mlflow.search_runs(experiment_names=["hw-basics-tidy"], output_format="list")[0]
client.update_run(draft.info.run_id, name="baseline")
note = "A coin toss, to compare models with."
client.set_tag(draft.info.run_id, "mlflow.note.content", note)
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: a run that fails, and stays (no points)
#
# In the experiment `hw-basics-crash`, make a run called `crash` that records the parameter `n_estimators` and then
# fails with an error of your choice. The run must be kept, with the status FAILED, and the error must not stop *Run
# All*.

# %% tags=["task-5"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-basics-crash")
try:
    with mlflow.start_run(run_name="crash"):
        mlflow.log_param("n_estimators", 0)
        RandomForestClassifier(n_estimators=0).fit(X_train, y_train)
except ValueError as error:
    print(str(error)[:70])
### END SOLUTION

# %%
hw.check(5)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** In Task 1 one dictionary built the model and was recorded, so the record cannot differ from the
# model. In Task 2 the number alone was not enough: a run that failed had the same one, but no model. Jonas's cell
# opened runs without a `with` block, so the first was still open when the second began; it always used 5 neighbours,
# whatever it recorded; and it kept a result as a parameter, which is text. A name and a description are tags of a run,
# so both can be changed later. A parameter cannot, and a metric can only gain points.
