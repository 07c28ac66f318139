# %% [markdown]
# # Homework 09: a registry with a gate
#
# **30 minutes · 3 tasks and a stretch · 7 points.** Run every cell as often as you like: each task starts its models
# again, and a check reads what is in the store *now*. Below each task stands `hw.check(n)`; when you are stuck, add a
# cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import mlflow
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from course_utils import data, registry, store
from course_utils.homework import Homework

store.connect()
hw = Homework("model_registry")
client = mlflow.MlflowClient()
split = data.churn_split(900, data.course_seed(), numeric=True)
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# Three models to work with, and a function that starts a registered model again: version 1 of it is the champion.

# %%
MODELS = {
    "tree": DecisionTreeClassifier(max_depth=2, random_state=0),
    "deep": DecisionTreeClassifier(random_state=0),
    "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
}


def log(kind):
    """Fit and log one of the models; return its address."""
    return store.log_model(MODELS[kind].fit(split.X_train, split.y_train), kind, split.X_train).model_uri


def start_again(name, *kinds):
    """Register one version for each kind, in this order; version 1 is the champion."""
    registry.fresh(name)
    for kind in kinds:
        mlflow.register_model(log(kind), name)
    client.set_registered_model_alias(name, "champion", 1)


# %% [markdown]
# ## Task 1: register two versions (2 points)
#
# Two logged models have the addresses `tree_uri` and `logistic_uri`. Register both as versions of `hw-model-registry-churn`, the
# tree first. Then, for the **logistic version**: give it a description of at least three words, the tag
# `validated_by` with the value `Mira`, and the alias `champion`.

# %% tags=["task-1"]
mlflow.set_experiment("hw-model-registry-models")
tree_uri, logistic_uri = log("tree"), log("logistic")
### BEGIN SOLUTION
mlflow.register_model(tree_uri, "hw-model-registry-churn")
best = mlflow.register_model(logistic_uri, "hw-model-registry-churn", tags={"validated_by": "Mira"})
client.update_model_version("hw-model-registry-churn", best.version, description="Logistic regression on six numeric columns.")
client.set_registered_model_alias("hw-model-registry-churn", "champion", best.version)
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: a gate (3 points)
#
# `hw-model-registry-gate` has three versions; version 1 is the champion. Judge version 2, then version 3, each against the champion
# *of that moment*, by ROC-AUC on the **test** rows. For each, make a run (`gate-v2`, `gate-v3`) in the experiment
# `hw-model-registry-gate` with the metrics `challenger_auc` and `champion_auc` and the tag `decision`: `promoted` or `refused`.
# Move `@champion` only to a version that is better. (Write the gate yourself; `registry.promote` is for later.)

# %% tags=["task-2"]
mlflow.set_experiment("hw-model-registry-gate")
start_again("hw-model-registry-gate", "tree", "deep", "logistic")


### BEGIN SOLUTION
def auc_of(uri):
    model = mlflow.sklearn.load_model(uri)
    return roc_auc_score(split.y_test, model.predict_proba(split.X_test)[:, 1])


for version in (2, 3):
    challenger_auc = auc_of(f"models:/hw-model-registry-gate/{version}")
    champion_auc = auc_of("models:/hw-model-registry-gate@champion")
    decision = "promoted" if challenger_auc > champion_auc else "refused"
    with mlflow.start_run(run_name=f"gate-v{version}"):
        mlflow.log_metrics({"challenger_auc": challenger_auc, "champion_auc": champion_auc})
        mlflow.set_tag("decision", decision)
    if decision == "promoted":
        client.set_registered_model_alias("hw-model-registry-gate", "champion", version)
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: roll back, with a record (2 points)
#
# Version 2 of `hw-model-registry-rollback` serves, and Tom's list looks odd. Give `@champion` back to version 1. Keep version 2,
# and set its tag `status` to `rolled back`. Leave a record: a run `rollback` in the experiment `hw-model-registry-rollback` with
# the tags `from_version`, `to_version`, `by` and `why` (three words at least).

# %% tags=["task-3"]
mlflow.set_experiment("hw-model-registry-rollback")
start_again("hw-model-registry-rollback", "tree", "logistic")
client.set_registered_model_alias("hw-model-registry-rollback", "champion", 2)
### BEGIN SOLUTION
client.set_registered_model_alias("hw-model-registry-rollback", "champion", 1)
client.set_model_version_tag("hw-model-registry-rollback", 2, "status", "rolled back")
with mlflow.start_run(run_name="rollback"):
    mlflow.set_tags({"from_version": 2, "to_version": 1, "by": "Aisha", "why": "Tom's list looks odd"})
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Stretch: to production (no points)
#
# Production reads a registered model of its own. Copy the **champion** of `hw-model-registry-copy` to `hw-model-registry-production`, and make it
# `@champion` there. Look at the versions first: the champion is not the newest.

# %% tags=["task-4"]
mlflow.set_experiment("hw-model-registry-models")
start_again("hw-model-registry-copy", "logistic", "deep")
### BEGIN SOLUTION
copied = client.copy_model_version("models:/hw-model-registry-copy@champion", "hw-model-registry-production")
client.set_registered_model_alias("hw-model-registry-production", "champion", copied.version)
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** A version never changes the model it points at, so a decision about it stays true. The alias is the
# only thing that moves, and only code that compares on unseen rows moves it. What MLflow does not remember, who moved
# it and why, the runs of the gate and of the rollback do.
