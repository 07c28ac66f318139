# %% [markdown]
# # The model registry: versions, aliases and a gate
#
# **Which model is in use, who decided so, and how do we get the last one back?**
#
# We will build a registry with three versions of the churn model, a gate that lets only a better one through, a way
# back, and a trail of who decided what.
#
# Afterwards you can
# - **register** versions, describe them, and let a service find the right one by its alias;
# - **promote** a version through a gate that refuses a worse one, and **roll back** with a record of who and why;
# - **copy** a version to another registry, and **translate** the old stages to aliases.
#
# **You need:** lectures {step:mlflow_basics} and {step:models}.
#
# **Time:** 14 min to read · 20 min to do
#
# <!-- links -->
#
# ## Recall

# %%
from course_utils import lesson

lesson.quiz("model_registry", "recall")

# %% [markdown]
# ## The problem
#
# Aisha runs the churn model for Tom's team. Last month she pasted an id, `models:/m-…`, into her service. Now Mira has
# two newer models, and asks Aisha to paste another id. Which one is in use on Friday? Who said so? Ines, the
# governance officer, wants to see that on paper.
#
# A **registered model** is a name, such as `churn`, with numbered **versions**. Each version points at one logged
# model. An **alias** is a movable name for one version. The service asks for `models:/churn@champion`; whoever moves
# the alias changes the model, and nobody edits the service.
#
# ```text
# churn ── version 1 ──> logged model m-…  (tree)
#       ── version 2 ──> logged model m-…  (logistic)   <── @champion
#       ── version 3 ──> logged model m-…  (deep tree)  <── @challenger
# ```
#
# ## Setup
#
# The test rows stay aside: they are the **held-out** rows on which versions compete.

# %% tags=["parameters"]
seed = 0
n_rows = 1600

# %%
import mlflow
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from course_utils import data, plots, registry, store

store.connect()
split = data.churn_split(n_rows, seed)
client = mlflow.MlflowClient()
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %%
NAME = "churn-model-registry"
registry.fresh(NAME, f"{NAME}-production")  # versions start at 1 each time this notebook runs
GATE = mlflow.set_experiment("model-registry-gate").experiment_id
TEXT = ["contract", "internet", "payment"]


# %%
def train(model, name):
    """Fit a model, log it in a run of its own, return its address and its score on the training rows."""
    encode = make_column_transformer((OneHotEncoder(), TEXT), remainder=StandardScaler())
    pipeline = make_pipeline(encode, model).fit(split.X_train, split.y_train)
    auc = roc_auc_score(split.y_train, pipeline.predict_proba(split.X_train)[:, 1])
    mlflow.set_experiment("model-registry-training")
    with mlflow.start_run(run_name=name):
        mlflow.log_metric("train_auc", auc)
        return store.log_model(pipeline, name, split.X_train).model_uri, auc


def held_out_auc(uri):
    """Return the ROC-AUC of a registered model on rows that no version has seen."""
    return roc_auc_score(split.y_test, mlflow.sklearn.load_model(uri).predict_proba(split.X_test)[:, 1])


# %% [markdown]
# ## Round 1: register, describe, name
#
# `register_model` takes the address of a logged model. The name is new, so MLflow makes it, with version 1.
#
# Descriptions and tags belong to a version or to the model as a whole. They may change later; the model behind a
# version never does. The alias comes last: from then on this version serves.

# %%
tree_uri, tree_train_auc = train(DecisionTreeClassifier(max_depth=2, random_state=seed), "tree")
first = mlflow.register_model(tree_uri, NAME, tags={"algorithm": "tree"})

client.update_registered_model(NAME, description="Who leaves next month? Tom calls the customers on top.")
client.set_registered_model_tag(NAME, "owner", "Mira")
client.update_model_version(NAME, first.version, description="Four leaves: Tom can follow each answer.")
client.set_registered_model_alias(NAME, "champion", first.version)
print(f"version {first.version} points at {first.source}")
registry.versions(NAME, "algorithm")

# %% [markdown]
# **Predict.** Mira registers a second model under the same name. Which version does `@champion` mean afterwards?

# %%
prediction = 0  # 1 or 2

# %%
logistic_uri, logistic_train_auc = train(LogisticRegression(max_iter=500), "logistic")
second = mlflow.register_model(logistic_uri, NAME, tags={"algorithm": "logistic"})
client.set_registered_model_alias(NAME, "challenger", second.version)

# %%
served = mlflow.sklearn.load_model(f"models:/{NAME}@champion")  # the line in Aisha's service
print("The service runs a", type(served[-1]).__name__)
registry.versions(NAME, "algorithm")

# %% [markdown]
# You should see version 1 with `champion` and a `DecisionTreeClassifier`: registering moves no alias. The second
# version waits as `challenger`, a custom name of ours; MLflow knows no special aliases.
#
# `registry.versions` reads the aliases from `get_registered_model(…).aliases`, because on a local database
# `search_model_versions` leaves them out.
#
# ## Round 2: the gate
#
# An alias moves with one call, and MLflow asks no questions. So the team agrees on a **gate**, the only code that may
# move `@champion`: the challenger must beat the champion on the held-out rows, by a margin, and someone must sign.


# %%
def promote(name, version, by, why, margin=0.005):
    """Give @champion to a version if it beats the champion; keep a record either way."""
    before = client.get_registered_model(name).aliases.get("champion")
    auc = held_out_auc(f"models:/{name}/{version}")
    to_beat = held_out_auc(f"models:/{name}/{before}") + margin if before else 0.5
    decision = "promoted" if auc > to_beat else "refused"
    with mlflow.start_run(experiment_id=GATE, run_name=f"gate-v{version}"):
        mlflow.log_metrics({"auc": auc, "to_beat": to_beat})
        mlflow.set_tags({"version": version, "before": before, "decision": decision, "by": by, "why": why})
    client.set_model_version_tag(name, version, "gate", decision)
    if decision == "promoted":
        client.set_registered_model_alias(name, "champion", version)
    return f"version {version} {decision}: ROC-AUC {auc:.3f} on held-out rows, {to_beat:.3f} to beat"


# %%
print(promote(NAME, second.version, by="Mira", why="uses contract and internet type"))
served = mlflow.sklearn.load_model(f"models:/{NAME}@champion")
print("The service, after its next load, runs a", type(served[-1]).__name__)

# %% [markdown]
# The service loads the same address and gets the new model. *After its next load*: a model that is in memory stays
# what it was, so a service loads again from time to time (lecture {step:serving}).
#
# **Predict.** A full-grown tree reaches a perfect score on the training rows. Mira is thrilled. Does the gate let it
# through?

# %%
deep_uri, deep_train_auc = train(DecisionTreeClassifier(random_state=seed), "deep tree")
third = mlflow.register_model(deep_uri, NAME, tags={"algorithm": "deep tree"})
client.set_registered_model_alias(NAME, "challenger", third.version)
print(f"training ROC-AUC {deep_train_auc:.3f}")
prediction = "?"  # promoted or refused

# %%
print(promote(NAME, third.version, by="Mira", why="perfect on the training rows"))
print("@champion is still version", client.get_model_version_by_alias(NAME, "champion").version)
trained = {"1 tree": tree_train_auc, "2 logistic": logistic_train_auc, "3 deep tree": deep_train_auc}
scores = pd.Series({f"{n} (training {auc:.3f})": held_out_auc(f"models:/{NAME}/{n[0]}") for n, auc in trained.items()})
title = f"On held-out rows version {scores.idxmax()[0]} is best"
plots.show(plots.bars(scores, title=title, xlabel="ROC-AUC on held-out rows", baseline=0.5))

# %% [markdown]
# You should see `refused`: the deep tree learned the training customers by heart, and on customers that it has not
# seen it is the worst of the three. If it was promoted, the gate looked at rows that the model was trained on.
#
# ### Rollback, and the trail
#
# On Monday Tom's list looks odd. Aisha goes back first and asks later. A rollback is the same move of the alias,
# without a contest, and it is signed too: MLflow keeps no history of aliases, so what you don't write down is gone.
#
# Ines asks for the trail. Every decision is a run, so one search answers her. (*When* is the column `start_time`, left
# out here.)

# %%
with mlflow.start_run(experiment_id=GATE, run_name="rollback-v1"):
    client.set_registered_model_alias(NAME, "champion", 1)
    signed = {"by": "Aisha", "why": "Tom's list looks odd"}
    mlflow.set_tags({"version": 1, "before": 2, "decision": "rolled back", **signed})
print(promote(NAME, 2, by="Aisha", why="the list was an old file, the model is fine"))

started = client.get_run(first.run_id).info.start_time  # decisions of this session come later
columns = ["tags.version", "tags.before", "tags.decision", "tags.by", "tags.why"]
trail = store.runs("model-registry-gate", f"attributes.start_time >= {started}", ["attributes.start_time ASC"], columns)
trail.rename(columns=lambda name: name.removeprefix("tags."))

# %% [markdown]
# ## Look at the UI
#
# 1. With *Model training* chosen at the top left, click **Model registry** (close the window that praises aliases), then
#    `churn-model-registry`: versions, tags and aliases in one table.
# 2. Click **Version 2**: tags, schema, and *Source Run*, the way back to the training run.
# 3. In the table, the pencil beside an alias moves it. Convenient, and past the gate: no record is made.
# 4. Open the experiment `model-registry-gate`, *Columns*, and tick `decision`, `by` and `why`: the trail.
#
# ## Round 3: other registries
#
# Aisha's production service reads a registered model of its own, `churn-model-registry-production`, which only she may write to.
# `copy_model_version` copies a version there.
#
# **Predict.** What comes along: the version number 2, the tags, the description, the alias?

# %%
prediction = []  # of "number", "tags", "description", "alias"

# %%
copied = client.copy_model_version(f"models:/{NAME}@champion", f"{NAME}-production")
print("made from", copied.source)
registry.versions(f"{NAME}-production", "algorithm", "gate")

# %% [markdown]
# You should see version **1**, with the tags and without an alias. Numbers are counted per registered model, and an
# alias is a decision, which the new place takes for itself. (Version 2 had no description to bring; it would have come
# along.)
#
# Another *store*, say a production server of its own, has its own database and files: there, the files travel. Download
# them, then log and register them on the other side.

# %%
folder = mlflow.artifacts.download_artifacts(f"models:/{NAME}@champion")
ours = mlflow.sklearn.load_model(folder)

store.connect(f"sqlite:///{store.outputs('09_model_registry') / 'production' / 'mlflow.db'}")
there = mlflow.MlflowClient()
model = there.create_logged_model(experiment_id="0", name="churn")
there.log_model_artifacts(model.model_id, folder)
there.finalize_logged_model(model.model_id, "READY")
version = mlflow.register_model(f"models:/{model.model_id}", "churn", tags={"shipped_from": NAME})
there.set_registered_model_alias("churn", "champion", version.version)
theirs = mlflow.sklearn.load_model("models:/churn@champion")
store.connect()  # back home
print("Same predictions:", (theirs.predict_proba(split.X_test) == ours.predict_proba(split.X_test)).all())

# %% [markdown]
# ## Stages, as history
#
# Older courses have no aliases. They move a version between four **stages**: None, Staging, Production, Archived. The
# call still works, and warns. The loop after it translates. Several versions could share a stage; an alias means exactly
# one, so the newest of each stage gets it.

# %%
with lesson.expect_warning(FutureWarning):
    client.transition_model_version_stage(NAME, 2, "Production")

alias_of = {"Production": "champion", "Staging": "challenger"}
for version in sorted(client.search_model_versions(f"name = '{NAME}'"), key=lambda v: int(v.version)):
    if alias := alias_of.get(version.current_stage):
        client.set_registered_model_alias(NAME, alias, version.version)
        print(f"\nversion {version.version}: stage {version.current_stage} → @{alias}")

# %% [markdown]
# Careful: loading `models:/churn-model-registry/Production` works too, *without* any warning, until the day it is removed. Search
# your code for these:
#
# | older courses | today |
# |---|---|
# | `transition_model_version_stage(name, 2, "Production")` | `set_registered_model_alias(name, "champion", 2)` |
# | stage Staging | alias `challenger` |
# | stage Archived | a tag, `status: archived`, and no alias |
# | stage None | no alias |
# | `models:/name/Production` | `models:/name@champion` |
# | `get_latest_versions(name, ["Production"])` | `get_model_version_by_alias(name, "champion")` |
#
# ## Your turn
#
# A rollback wants to know where to go. Replace the three dots by **one line** that gives version 1 the alias
# `previous`.
#
# <details><summary>One solution</summary>
#
# `client.set_registered_model_alias(NAME, "previous", 1)`
#
# </details>

# %%
...

found = client.get_registered_model(NAME).aliases.get("previous")
lesson.turn(str(found) == "1", "set_registered_model_alias takes the model's name, the alias and the version.")

# %% [markdown]
# ## Pitfalls
#
# **`alias-case`: two champions.** Aliases are case-sensitive. Someone writes `Champion`, and both exist, on different
# versions. (`latest` and `v1` are refused: they would look like a version.)

# %%
client.set_registered_model_alias(NAME, "Champion", 3)
champions = {alias: client.get_model_version_by_alias(NAME, alias).version for alias in ("champion", "Champion")}
print(*[f"@{alias} is version {version}" for alias, version in champions.items()], sep="\n")
with lesson.expect_error(mlflow.MlflowException, code="alias-case"):
    client.set_registered_model_alias(NAME, "Latest", 3)
client.delete_registered_model_alias(NAME, "Champion")  # the repair: one spelling, lower case

# %% [markdown]
# **`latest-not-champion`: the service takes the newest.** `models:/churn-model-registry/latest` looks like a good idea. It is the
# newest version, and here the newest is the one that the gate refused.

# %%
for address in ("/latest", "@champion"):
    print(f"{address}: ROC-AUC {held_out_auc(f'models:/{NAME}{address}'):.3f} on held-out rows")

# %% [markdown]
# **`version-deleted`: tidying up takes the service down.** Deleting a version removes its aliases without a word.
# (Deleting the training *run* does no such harm: the version keeps the model's files.)

# %%
client.set_registered_model_alias(f"{NAME}-production", "champion", 1)
client.delete_model_version(f"{NAME}-production", 1)
with lesson.expect_error(mlflow.MlflowException, code="version-deleted"):
    mlflow.sklearn.load_model(f"models:/{NAME}-production@champion")
again = client.copy_model_version(f"models:/{NAME}@champion", f"{NAME}-production")  # the repair
client.set_registered_model_alias(f"{NAME}-production", "champion", again.version)
print("\nRepaired: @champion is version", again.version)

# %% [markdown]
# A number is not used a second time, so old notes stay true. Better than repairing: don't delete what served, tag it
# `status: retired`.
#
# ## Quiz

# %%
lesson.quiz("model_registry")

# %% [markdown]
# ## Key points
#
# - A registered model has numbered versions; a version points at a logged model. A service loads
#   `models:/name@champion`.
# - Only the gate moves `@champion`: held-out rows, a margin, a signature. It refuses a model that is not better. Going
#   back is moving the alias; runs are the trail, because aliases have no history.
# - `copy_model_version` brings tags and description to another registered model; between stores the files travel.
#   Stages became aliases and tags.
#
# ## Next steps
#
# - Do the [homework](../exercises/09_model_registry.ipynb): register, build a gate, roll back.
# - Next lecture: the champion answers requests. Lecture {step:monitoring} uses this gate again, as `registry.promote`.
# - Official page: [MLflow Model Registry](https://mlflow.org/docs/latest/ml/model-registry/).
# - Optional depth: raise `margin` to 0.2 and run again. Which decision changes?
