# %% [markdown]
# # Homework: a registry with a gate
#
# **30 minutes · 3 tasks and a stretch · 7 points.** Run every cell as often as you like: tasks 2 and 3 and the stretch
# start their models again, and in task 1 each run of the given cell adds two versions, so use the number that
# `register_model` returns. A check reads what is in the store *now*. Below each task stands `hw.check(n)`; when you are
# stuck, add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import mlflow
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("model_registry")
client = mlflow.MlflowClient()
split = data.churn_split(900, data.course_seed(), numeric=True)
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# Three models to work with, and a function that starts a registered model again: version 1 of it is the champion. (It
# deletes what an earlier try registered. That is fit for homework, never for a model that somebody serves.)

# %%
MODELS = {
    "tree": DecisionTreeClassifier(max_depth=2, random_state=0),
    "deep": DecisionTreeClassifier(random_state=0),
    "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
}


def log(kind):
    """Fit and log one of the models; return its address."""
    model = MODELS[kind].fit(split.X_train, split.y_train)
    return store.log_model(model, kind, split.X_train).model_uri


def start_again(name, *kinds):
    """Register one version for each kind, in this order; version 1 is the champion."""
    if client.search_registered_models(f"name = '{name}'"):
        client.delete_registered_model(name)
    for kind in kinds:
        mlflow.register_model(log(kind), name)
    client.set_registered_model_alias(name, "champion", 1)


# %% [markdown]
# ## Task 1: register two versions (2 points)
#
# Two logged models have the addresses `tree_uri` and `logistic_uri`. Register both as versions of
# `hw-model-registry-churn`, the tree first. Then, for the **logistic version**: give it a description of at least three
# words, the tag `validated_by` with the value `Mira`, and the alias `champion`.

# %% tags=["task-1"]
mlflow.set_experiment("hw-model-registry-models")
tree_uri, logistic_uri = log("tree"), log("logistic")
### BEGIN SOLUTION
mlflow.register_model(tree_uri, "hw-model-registry-churn")
name, tags = "hw-model-registry-churn", {"validated_by": "Mira"}
best = mlflow.register_model(logistic_uri, name, tags=tags)
words = "Logistic regression on six numeric columns."
client.update_model_version(name, best.version, description=words)
client.set_registered_model_alias(name, "champion", best.version)
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: a gate (3 points)
#
# `hw-model-registry-gate` has three versions; version 1 is the champion. Judge version 2, then version 3, each against
# the champion *of that moment*, on the **test** rows, which are the held-out rows here. For each, make a run (`gate-v2`,
# `gate-v3`) in the experiment `hw-model-registry-gate` with
#
# - the metrics `challenger_auc` and `champion_auc`: ROC-AUC on all test rows;
# - the metric `gain_low`: the 2.5th percentile of the gain (challenger minus champion) in a paired bootstrap of **200**
#   draws. So that the check can compute the same number, make `rng = np.random.default_rng(0)` anew for each version, draw
#   with `rng.integers(0, n, n)` for `n` test rows, and use `np.percentile`;
# - the tags `decision` (`promoted` when `gain_low` is above zero, otherwise `refused`) and `before` (the version that the
#   registry called champion before the decision; read it, don't type it).
#
# Move `@champion` only when the decision is `promoted`. Is the lead of the logistic regression more than luck on these
# few rows? Your gate will tell.

# %% tags=["task-2"]
mlflow.set_experiment("hw-model-registry-gate")
start_again("hw-model-registry-gate", "tree", "logistic", "deep")


### BEGIN SOLUTION
name, y = "hw-model-registry-gate", split.y_test.to_numpy()


def proba(version):
    model = mlflow.sklearn.load_model(f"models:/{name}/{version}")
    return model.predict_proba(split.X_test)[:, 1]


for version in (2, 3):
    champion = client.get_model_version_by_alias(name, "champion")
    before = champion.version
    ours, theirs = proba(version), proba(before)
    challenger_auc, champion_auc = roc_auc_score(y, ours), roc_auc_score(y, theirs)
    rng = np.random.default_rng(0)
    gains = []
    for _ in range(200):
        rows = rng.integers(0, len(y), len(y))
        gain = roc_auc_score(y[rows], ours[rows])
        gains.append(gain - roc_auc_score(y[rows], theirs[rows]))
    gain_low = np.percentile(gains, 2.5)
    decision = "promoted" if gain_low > 0 else "refused"
    aucs = {"challenger_auc": challenger_auc, "champion_auc": champion_auc}
    with mlflow.start_run(run_name=f"gate-v{version}"):
        mlflow.log_metrics(aucs)
        mlflow.log_metric("gain_low", gain_low)
        mlflow.set_tags({"decision": decision, "before": before})
        if decision == "promoted":  # inside: when this call fails, the run says FAILED
            client.set_registered_model_alias(name, "champion", version)
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: roll back, with a record (2 points)
#
# A version later than 1 of `hw-model-registry-rollback` serves, and Tom's list looks odd. Give `@champion` back to version
# 1. Keep the version that served, and set *its* tag `status` to `rolled back`. Leave a record: a run `rollback` in the
# experiment `hw-model-registry-rollback` with the tags `from_version` (what the alias meant **before**: ask the registry
# before you move it; when your homework is graded, it may be another version), `to_version`, `by`, and `why` (three
# words at least).

# %% tags=["task-3"]
mlflow.set_experiment("hw-model-registry-rollback")
start_again("hw-model-registry-rollback", "tree", "logistic", "deep")
served = 2 + data.course_seed() // 2 % 2
client.set_registered_model_alias("hw-model-registry-rollback", "champion", served)
### BEGIN SOLUTION
name = "hw-model-registry-rollback"
before = client.get_model_version_by_alias(name, "champion").version
with mlflow.start_run(run_name="rollback"):
    mlflow.set_tags({"from_version": before, "to_version": 1})
    mlflow.set_tags({"by": "Aisha", "why": "Tom's list looks odd"})
    client.set_registered_model_alias(name, "champion", 1)
    client.set_model_version_tag(name, before, "status", "rolled back")
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Stretch: to production (no points)
#
# Production reads a registered model of its own. Copy the **champion** of `hw-model-registry-copy` to
# `hw-model-registry-production`, and make it `@champion` there. Look at the versions first: the champion is not the
# newest.

# %% tags=["task-4"]
mlflow.set_experiment("hw-model-registry-models")
start_again("hw-model-registry-copy", "logistic", "deep")
### BEGIN SOLUTION
source = "models:/hw-model-registry-copy@champion"
copied = client.copy_model_version(source, "hw-model-registry-production")
name = "hw-model-registry-production"
client.set_registered_model_alias(name, "champion", copied.version)
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** A version never changes the model it points at, so a decision about it stays true. The alias is the
# only thing that moves, and only code that compares on unseen rows, and knows chance, moves it. What MLflow does not
# remember, who moved it and why, the runs of the gate and of the rollback do.
