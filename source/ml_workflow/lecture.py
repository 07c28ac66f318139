# %% [markdown]
# # The life cycle of a model, and why it needs a record
#
# **Everybody did their part, nothing crashed, and the model is wrong. Where do you look?**
#
# We will draw the life of a model as a loop, watch a model grow old, keep a record where a spreadsheet fails, and look
# at the parts of MLflow and at its alternatives. Folded parts marked *More* can wait.
#
# Afterwards you can
# - **name** the stages of a model's life, and **say** who answers for each;
# - **record** a result so that somebody else can repeat it, and **check** a spreadsheet against such a record;
# - **tell** which part of MLflow does what, and what is kept where;
# - **choose** between MLflow and other tools.
#
# **You need:** [Start here]({step:start_here}).
#
# **Time:** 20 min to read · 14 min to do
#
# <!-- links -->
#
# ## Recall
#
# One question on an earlier lecture. Click an answer; each of them replies.

# %%
from course_utils import lesson

lesson.quiz("ml_workflow", "recall")

# %% [markdown]
# ## The problem
#
# Mira's model picks the customers whom Tom's team calls. It was good in spring. In autumn Tom says: "You send us people
# who would have stayed anyway." Jonas's tables arrive on time. Mira has changed nothing. Aisha's service answers
# without an error. Then Ines asks which data and which settings made this model, and nobody knows.
#
# These are two troubles: no error message shows what has gone wrong, and nobody can say what the model was.
#
# ## Setup

# %% tags=["parameters"]
seed = 0
n_rows = 2000

# %%
import hashlib

import mlflow
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

from course_utils import data, plots, store

store.connect(own=True)  # a file of your own, even when the class has a server
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# `store.connect` is the line `set_tracking_uri` of [Start here]({step:start_here}) in one call; it also says where
# files shall go. `mlflow server`, in the printed command, is the same program as `mlflow ui`.
#
# ## Round 1: the life of a model is a loop
#
# A model is not finished when it is trained. Here are nine stages of its life, each with the question that it answers.
# The tools are examples; you need not know them.
#
# | stage | the question | tools, for example |
# |---|---|---|
# | collection | What do we know? | SQL, Kafka, Airflow |
# | preparation | Can we believe it? | pandas, Spark, Great Expectations |
# | exploration | What is in it? | pandas, SciPy, seaborn |
# | features | What should the model see? | scikit-learn, Feast |
# | training | Which model, with which settings? | scikit-learn, PyTorch, Optuna, **MLflow** |
# | evaluation | Is it good on rows that it has not seen? | scikit-learn, **MLflow** |
# | deployment | Who asks it, and how? | **MLflow**, FastAPI, Docker |
# | monitoring | Is it still good? | Evidently, Prometheus, **MLflow** |
# | retraining | May a new model take its place? | Airflow, **MLflow** |

# %% tags=["hide-input"] jupyter={"source_hidden": true}
names = ["collection", "preparation", "exploration", "features", "training"]
names += ["evaluation", "deployment", "monitoring", "retraining"]
places = [(1, 3), (3.6, 3), (6.2, 3), (8.8, 3), (8.8, 1.7), (8.8, 0.4)]
places += [(6.2, 0.4), (3.6, 0.4), (1, 0.4)]
boxes = {name: (*places[i], f"{i + 1} {name}") for i, name in enumerate(names)}
boxes["record"] = (4.9, 1.7, "the record\ndata, settings, results, models")
arrows = [(names[i], names[i + 1], "") for i in range(8)]
arrows.append(("retraining", "collection", "and again"))
arrows += [(name, "record", "") for name in ("preparation", "training", "monitoring")]
title = "The last stage leads back to the first, and every turn needs a record"
plots.show(plots.diagram(boxes, arrows, title=title, width=8.5, height=3.6))

# %% [markdown]
# In a small company one person does it all. In a larger one, four roles share the work, and each *answers for*
# something: when that goes wrong, this person is asked.
#
# | role | answers for | at Nordtel |
# |---|---|---|
# | data engineer | collection and preparation: the tables arrive, complete and on time | Jonas |
# | data scientist | exploration to evaluation: the model, and the measure by which it is good | Mira |
# | ML engineer | deployment, monitoring, retraining: it runs, and one can go back | Aisha |
# | governance officer | what is allowed, and where each number comes from, in every stage | Ines |
#
# The work of the third is often called **MLOps**, operations for machine learning.
#
# ### A model grows old
#
# Now to the first trouble. We have ten weeks of customers. A model is trained on the weeks 1 to 3 and then used. In
# week 6 Tom's team begins to call back everybody who complained to the support, and offers a better contract.
#
# **Predict.** Nobody touches the model. What happens to its ROC-AUC from week 6 on: nothing, a little less, or no
# better than guessing (0.5)?

# %%
prediction = "?"  # nothing, a little less, guessing

# %%
stream = data.churn_stream(
    n_weeks=10, rows_per_week=600, drift_week=6, kind="concept", seed=seed
)
week, left = stream["week"], stream["churned"]
X_week = pd.get_dummies(stream.drop(columns=["churned", "week"]), dtype=float)


# %%
def train(weeks):
    rows = week.isin(weeks)
    forest = RandomForestClassifier(50, min_samples_leaf=10, random_state=seed)
    return forest.fit(X_week[rows], left[rows])


def week_auc(model, w):
    rows = week == w
    return roc_auc_score(left[rows], model.predict_proba(X_week[rows])[:, 1])


# %%
old, new = train([1, 2, 3]), train([6, 7])
lines = pd.DataFrame(
    {
        "trained in weeks 1-3": {w: week_auc(old, w) for w in range(4, 11)},
        "retrained in weeks 6-7": {w: week_auc(new, w) for w in range(8, 11)},
    }
).rename_axis("week")
lines.round(2)

# %% tags=["hide-input"] jupyter={"source_hidden": true}
fig, ax = plots.new_figure(height=3.4)
for i, name in enumerate(lines):
    style = {"marker": "os"[i], "color": plots.COLORS[i], "label": name}
    ax.plot(lines.index, lines[name], **style)
ax.axhline(0.5, color="#595959", linestyle="--", label="guessing")
before, after = lines.iloc[1, 0], lines.iloc[2, 0]
title = f"From week 5 to 6, the model falls from {before:.2f} to {after:.2f}"
ax.set_title(title, loc="left", weight="bold", size=11)
ax.set(xlabel="week", ylabel="ROC-AUC of that week")
ax.legend()
words = f"{title}. Lines: {lines.round(2).to_dict()}, with guessing at 0.5."
plots.show(plots.describe(fig, words))

# %% tags=["claims"]
CHANGES = [{"n_rows": 1000}, {"seed": 3}]

first, second = lines.columns
assert (lines[first].loc[4:5] > 0.7).all()
assert (lines[first].loc[6:] < 0.6).all()
assert (lines[second].loc[8:] > lines[first].loc[8:]).all()
assert (lines[second].loc[8:] > 0.58).all()

# %% [markdown]
# You should see more than 0.7 in the weeks 4 and 5, and less than 0.6 in every week after them. Below 0.5 a model is
# worse than guessing: it gives the higher risk more often to the one who stayed. The model retrained on the weeks 6 and
# 7 is better in each of the last three weeks.
#
# Why did the old one fall? Look at who leaves, by the number of calls to the support (3 stands for three and more) and
# by the contract:

# %%
calls = stream["support_calls"].clip(upper=3).rename("calls")
period = (week >= 6).map({False: "weeks 1-5", True: "weeks 6-10"}).rename("")
share = left.groupby([calls, period]).mean().unstack()
terms = left.groupby([stream["contract"], period]).mean().unstack()
pd.concat({"calls": share, "contract": terms}).map("{:.0%}".format)

# %% tags=["claims"]
assert share.loc[3, "weeks 1-5"] > 2 * share.loc[0, "weeks 1-5"]
assert share.loc[3, "weeks 6-10"] < share.loc[0, "weeks 6-10"]
assert terms["weeks 1-5"].idxmax() == "month-to-month"
assert terms["weeks 6-10"].idxmin() == "month-to-month"
assert all(week_auc(new, w) < 0.65 for w in range(1, 6))  # retraining is no cure

# %% [markdown]
# You should see both relations turn round. In the first weeks, customers with three calls leave more than twice as
# often as those without a call. From week 6 on, they leave *less* often, because Tom's team now calls exactly them.
# (The change in contracts has no such reason: these customers are invented, and both relations were turned round so
# that the fall is plain.)
#
# What the model has learned, "many calls: about to leave", is no longer true. This is called **concept drift**.
#
# No test of the code finds it, because the code is right. Evaluation asks once, before deployment, and its answer was
# honest then. Only **monitoring** sees it, which asks the same question every week, as soon as it is known who has
# left. **Retraining** closes the loop. [Monitoring]({step:monitoring}) builds both.
#
# Two cautions before you retrain:
#
# - A wrong table, say with charges in cents, can also lower the score, and retraining does not mend it. Look at the
#   table first.
# - Tom's team has caused this change itself, so the new model describes customers who are called back. If the team
#   stops calling because this model sees no risk, the model is wrong again.
#
# ## Round 2: why a spreadsheet of experiments fails
#
# Now the second trouble: which model was it? Mira tried fifty trees in spring. Her spreadsheet has the good scores, to
# two digits, and no settings.

# %%
customers = data.churn(n_rows, seed)
X = pd.get_dummies(customers.drop(columns="churned"), dtype=float)
y = customers["churned"]
X_train, X_valid, y_train, y_valid = train_test_split(
    X, y, test_size=0.3, stratify=y, random_state=seed
)


# %%
def score(max_depth, min_samples_leaf, random_state=seed):
    tree = DecisionTreeClassifier(
        max_depth=max_depth,
        min_samples_leaf=min_samples_leaf,
        random_state=random_state,
    ).fit(X_train, y_train)
    return roc_auc_score(y_valid, tree.predict_proba(X_valid)[:, 1])


leaves = (5, 10, 20, 40, 80)
tried = {(d, leaf): score(d, leaf) for d in range(2, 12) for leaf in leaves}
in_sheet = round(tried[5, 20], 2)
print(f"the sheet says: tree, {in_sheet:.2f}, this one!")

# %% [markdown]
# `max_depth` is how many questions a tree may ask in a row, and `min_samples_leaf` how many customers must remain in
# each of its last groups.
#
# **Predict.** What Mira forgot: depth 5, at least 20 customers in each last group. Does any other of the fifty settings
# give the same number, to two digits?

# %%
prediction = "?"  # yes or no

# %%
fitting = [setting for setting, auc in tried.items() if round(auc, 2) == in_sheet]
print(f"{len(fitting)} of {len(tried)} settings give {in_sheet:.2f}")
print("their depths:", sorted({depth for depth, leaf in fitting}))

# %% tags=["claims"]
assert len(tried) == 50
assert len(fitting) >= 2, len(fitting)

# %% [markdown]
# You should see at least two settings: even somebody who fits all fifty again cannot say which was Mira's. The trouble
# with a spreadsheet is that a person fills it in, later and from memory. What is left out is gone.
#
# A **system of record** is filled in by the code, at the moment when it runs. It keeps four things together: the
# result, the settings, which data it was, and the model or the way to make it again.
#
# Somebody else may keep the data themselves. A **fingerprint** shows whether they are the same: a short text computed
# from the table as a CSV file. Change one number, and the fingerprint changes. MLflow calls it a *digest*.
#
# <details class="more"><summary>More: the order of rows, and MLflow's own fingerprint</summary>
#
# Ours cannot tell 1 from the text "1", or a gap from an empty text. Sort rows that come from a database before you
# compute a fingerprint, because the same rows in another order give another one. We compute it ourselves here, so that
# you see what it is. MLflow has a call for data sets, too, and [Logging]({step:logging}) shows what its fingerprint
# covers.
#
# </details>


# %%
def fingerprint(table):
    text = table.to_csv(index=False, lineterminator="\n")  # on Windows, too
    return hashlib.sha256(text.encode()).hexdigest()[:12]


settings = {"max_depth": 5, "min_samples_leaf": 20, "random_state": seed}
rows = {"data_digest": fingerprint(customers), "split_seed": seed}

mlflow.set_experiment("churn-record")
with mlflow.start_run(run_name="tree") as run:
    mlflow.log_params(rows | settings)
    mlflow.log_metric("valid_auc", score(**settings))

# %% [markdown]
# `split_seed` says how the customers were divided into training and validation rows. Such a record has four properties.
#
# **Reproducible.** Whoever has the record, the data, the code and the same packages can do it again: split with
# `split_seed` (here the rows are still in memory), then fit with the settings, which `int` turns from text into
# numbers.

# %%
kept = mlflow.get_run(run.info.run_id).data
again = score(**{name: int(kept.params[name]) for name in settings})

print("the same data: ", kept.params["data_digest"] == fingerprint(customers))
print("the same score:", again == kept.metrics["valid_auc"])

# %% [markdown]
# **Versioned.** Another attempt is another run. But does the first one stay as it is? `MlflowClient`, a second set of
# calls, writes by id to a run that has ended.
#
# **Predict.** What does MLflow do when somebody wants to change the recorded depth to 9: change it, keep both, or
# refuse?

# %%
prediction = "?"  # change, keep both, refuse

# %%
client = mlflow.MlflowClient()
try:
    client.log_param(run.info.run_id, "max_depth", 9)
except mlflow.MlflowException as error:
    print("MLflow:", str(error).split(".")[0])
print("max_depth is", mlflow.get_run(run.info.run_id).data.params["max_depth"])

# %% tags=["claims"]
assert again == kept.metrics["valid_auc"]
assert mlflow.get_run(run.info.run_id).data.params["max_depth"] == "5"
assert fingerprint(customers) == kept.params["data_digest"]
changed = customers.copy()
changed.loc[0, "data_gb"] += 0.1
assert fingerprint(changed) != fingerprint(customers)

# %% [markdown]
# You should see that MLflow refuses. Parameters are fixed once they are written. But a file that is logged again under
# the same name replaces the first.
#
# <details class="more"><summary>More: what else may change in a run</summary>
#
# A metric that is logged again shows the newer value, and its history keeps the older one. When its values have steps,
# as in the first pitfall below, the run shows the value of the highest step. Tags and notes may change. A run can also
# be deleted, and restored until `mlflow gc` removes it; on a server with users, both need more than the right to write.
#
# </details>
#
# **Comparable.** Runs that use the same names stand in one table, like the trees of [Start here]({step:start_here}).
# With the fingerprint and `split_seed` you see whether they were measured on the same rows.
#
# **Shared.** The record has an address, and whoever may use it sees the same runs. Today it is a file on your disk;
# [Tracking server]({step:tracking_server}) makes it an address in the network.
#
# ## Look at the UI
#
# 1. Open the UI: *MLflow UI* in the links at the top, or the command printed under *Setup*. *Model training* must be
#    chosen at the top left. If *MLflow Assistant* is open at the right, close it with its cross.
# 2. Click *Experiments* at the left, then `churn-record`, then the run `tree`. (If you ran the cells more than once,
#    there are several of this name: names may repeat, ids do not.)
# 3. The score stands under *Metrics*, the fingerprint of the data and the settings under *Parameters* (scroll down for
#    the last of them), and the time under *About this run*. This page is the answer to Ines.
# 4. To come back, click the arrow beside `churn-record` at the left.
#
# ![The page of the run tree: fingerprint of the data, settings and score](../site/_static/ml_workflow_ui.png)
#
# ## Round 3: the parts of MLflow
#
# MLflow is several tools that share one record. Where is it? The run `tree` has a number, `valid_auc`. We add a file, a
# note of one line. Then we look for both without MLflow, in the database `mlflow.db` and in the folder `mlartifacts`
# beside it.
#
# **Predict.** Where are they kept: both in the database, both in the folder, or one here and one there?

# %%
prediction = "?"  # database, folder, one each

# %%
import sqlite3
from pathlib import Path

run_id = run.info.run_id
mlflow.log_text("Tom's list of March comes from this tree.", "note.txt", run_id=run_id)

file = Path(mlflow.get_tracking_uri().removeprefix("sqlite:///"))
database = sqlite3.connect(file)  # read like any other database
numbers = database.execute("SELECT key FROM metrics WHERE run_uuid = ?", [run_id])
print(f"{file.name}:  ", [row[0] for row in numbers])
database.close()
files = (file.parent / "mlartifacts").glob(f"*/{run_id}/artifacts/*")
print("mlartifacts:", [path.name for path in files])

# %% tags=["claims"]
there_ = (file.parent / "mlartifacts").glob(f"*/{run_id}/artifacts/*")
assert [path.name for path in there_] == ["note.txt"]
assert list(mlflow.get_run(run_id).data.metrics) == ["valid_auc"]

# %% [markdown]
# You should see the number in the database and the file in the folder. These are your two stores, in the middle of this
# picture:

# %% tags=["hide-input"] jupyter={"source_hidden": true}
boxes = {
    "sdk": (0.9, 1.4, "MLflow SDK\nin your code:\nimport mlflow"),
    "backend": (4.2, 2.4, "backend store\nyours: mlflow.db\nnames, numbers"),
    "artifacts": (4.2, 0.4, "artifact store\nyours: mlartifacts\nfiles, models"),
    "server": (7.5, 1.4, "tracking server\nmlflow server"),
    "ui": (10.1, 1.4, "UI\nin your\nbrowser"),
}
arrows = [
    ("sdk", "backend", ""),
    ("sdk", "artifacts", ""),
    ("sdk", "server", "in a team"),
    ("server", "backend", ""),
    ("server", "artifacts", ""),
    ("ui", "server", ""),
]
title = "Two stores keep everything: numbers in one, files in the other"
plots.show(plots.diagram(boxes, arrows, title=title, width=8.5, height=3.4))

# %% [markdown]
# - The **SDK** (software development kit) is the Python package: the calls in your code.
# - The **backend store** is a database for what is small: names, parameters, metrics, tags.
# - The **artifact store** is a folder, or a bucket in a cloud, for files: models, pictures, tables.
# - The **tracking server** (yours came with *MLflow UI*) stands before both stores and delivers the **UI**. In a team,
#   your code goes through it, too; alone, it reaches the stores directly.
#
# Four parts of MLflow follow a model from its training to its use. A fifth repeats the training elsewhere, and the
# sixth is for language models:

# %% tags=["hide-input"] jupyter={"source_hidden": true}
boxes = {
    "tracking": (1.0, 2.0, "tracking\nevery attempt\nleaves a run"),
    "models": (3.9, 2.0, "models\none format for\nall libraries"),
    "registry": (6.8, 2.0, "registry\nthe version\nthat counts"),
    "serving": (9.6, 2.0, "serving\nanswers\nover HTTP"),
    "projects": (1.0, 0.4, "projects\nthe same training\nelsewhere"),
    "genai": (6.8, 0.4, "GenAI\nprograms with\na language model"),
}
arrows = [("tracking", "models", ""), ("models", "registry", "")]
arrows += [("registry", "serving", ""), ("projects", "tracking", "repeats")]
title = "A model on its way through the parts of MLflow"
plots.show(plots.diagram(boxes, arrows, title=title, width=8.5, height=3.2))

# %% [markdown]
# - **Tracking** is what you have used so far: the code records each attempt in a run.
# - **Models** are folders in one format, whatever library has made them. One line of code loads them all.
# - The **registry** gives models a name and numbers their versions. An **alias** such as `champion` points at one
#   version; an application asks for the alias, and you move it in one call.
# - **Serving** puts a model behind a web address: a program in any language sends rows and gets predictions.
# - **Projects** are folders with code and a list of packages, so that one command repeats a training elsewhere.
# - **GenAI** records each request to a language model step by step, in a **trace**, and lets scorers judge the answers.
#
# **Predict.** Which part answers each of these wishes?
#
# 1. Ines wants to know which settings made the number on a slide.
# 2. Aisha wants to load Mira's model and need not know which library has made it.
# 3. Aisha wants to know which of four versions the call centre should use now.

# %%
prediction = ["?", "?", "?"]  # one of the six parts for each wish

# %% tags=["hide-input"] jupyter={"source_hidden": true}
parts = ["tracking", "models", "registry"]
for wish, (said, part) in enumerate(zip(prediction, parts, strict=True), start=1):
    print(f"wish {wish}: {part};", "right" if said == part else f"you said {said}")

# %% [markdown]
# You should see tracking, models and registry: what was recorded, the form of a model, and a decision.

# %% [markdown]
# ### A picture of each part (can wait)
#
# Each of the six parts has a picture, what you would do without it, and the lectures that teach it.

# %% [markdown]
# **Tracking.** Runs are grouped in experiments. What the code did not record, nobody may know later: without tracking,
# you have Mira's spreadsheet. Lectures: [MLflow basics]({step:mlflow_basics}), [Logging]({step:logging}), [Comparing
# runs]({step:comparing_runs}), [Autologging]({step:autolog}), [Evaluation]({step:evaluation}) and [Nested
# runs]({step:nested_runs}).

# %% tags=["hide-input"] jupyter={"source_hidden": true}
boxes = {
    "code": (1.0, 1.0, "training code\nlog_param, log_metric"),
    "run": (5.0, 1.0, "run\nparameters, metrics,\ntags, files"),
    "table": (8.8, 1.0, "comparison\ntable, plots, query"),
}
arrows = [("code", "run", ""), ("run", "table", "many runs")]
title = "Tracking: every execution leaves a run"
plots.show(plots.diagram(boxes, arrows, title=title, width=8, height=1.9))

# %% [markdown]
# **Projects.** A folder holds the code and a file `MLproject`, which names its packages, parameters and start. `mlflow
# run`, with `pyenv` or `uv`, makes the environment and runs it. Without it, "it works on my machine" is where a
# conversation ends. Lecture: [Reproducing]({step:reproducing}).

# %% tags=["hide-input"] jupyter={"source_hidden": true}
boxes = {
    "folder": (1.0, 1.0, "project folder\ncode, packages,\nfile MLproject"),
    "run": (4.9, 1.0, "mlflow run\nbuilds environment,\nstarts the code"),
    "result": (8.8, 1.0, "run\non a machine that\nnever saw it before"),
}
arrows = [("folder", "run", ""), ("run", "result", "")]
title = "Projects: one command repeats a training elsewhere"
plots.show(plots.diagram(boxes, arrows, title=title, width=8, height=1.9))

# %% [markdown]
# **Models.** The folder holds the model, the packages that it needs, usually the columns that it expects, and a file
# `MLmodel` that describes all this. Without it, you have `model_final_2.pkl` and no idea what opens it. Lectures:
# [Models]({step:models}) and [Portable models]({step:portable_models}).

# %% tags=["hide-input"] jupyter={"source_hidden": true}
boxes = {
    "a": (1.0, 1.7, "trained by\nscikit-learn"),
    "b": (1.0, 0.5, "trained by\nPyTorch"),
    "folder": (4.7, 1.1, "model folder\nMLmodel, weights,\nrequirements"),
    "use": (8.6, 1.1, "one way to load\nload_model(…)\n.predict(table)"),
}
arrows = [("a", "folder", ""), ("b", "folder", ""), ("folder", "use", "")]
title = "Models: any library goes in, one way of asking comes out"
plots.show(plots.diagram(boxes, arrows, title=title, width=8, height=2.4))

# %% [markdown]
# **Registry.** To change the version, or go back, you move the alias, and the applications load again. Without it,
# somebody copies a file over another at night. Lecture: [Model registry]({step:model_registry}).

# %% tags=["hide-input"] jupyter={"source_hidden": true}
boxes = {
    "app": (1.0, 1.1, "application\nasks for champion"),
    "alias": (4.7, 1.1, "alias\nchampion"),
    "v1": (8.4, 1.9, "version 1"),
    "v2": (8.4, 0.3, "version 2"),
}
arrows = [("app", "alias", ""), ("alias", "v1", "last week"), ("alias", "v2", "today")]
title = "Registry: the application does not change when the version does"
plots.show(plots.diagram(boxes, arrows, title=title, width=8, height=2.4))

# %% [markdown]
# **Serving.** One command starts a server on your machine, and another builds a container from the model. Without
# it, each application brings its own copy of the model. Lecture: [Serving]({step:serving}).

# %% tags=["hide-input"] jupyter={"source_hidden": true}
boxes = {
    "app": (1.0, 1.0, "call centre\nany language"),
    "server": (4.9, 1.0, "scoring server\nmlflow models serve"),
    "model": (8.8, 1.0, "model\nfrom the registry"),
}
arrows = [("server", "app", ""), ("app", "server", "customer,\nprediction")]
arrows.append(("model", "server", "is loaded"))
title = "Serving: a program sends a customer over HTTP and gets a prediction"
plots.show(plots.diagram(boxes, arrows, title=title, width=8, height=1.9))

# %% [markdown]
# **GenAI.** A text goes into a language model, the **prompt**, and the answer may be invented. MLflow also numbers the
# versions of prompts. Without it, "the bot told a customer nonsense yesterday" cannot be looked up. Lecture:
# [GenAI]({step:genai}).

# %% tags=["hide-input"] jupyter={"source_hidden": true}
boxes = {
    "prompt": (1.0, 1.0, "prompt\nwith versions"),
    "app": (3.7, 1.0, "chat program\nlanguage model"),
    "trace": (6.4, 1.0, "trace\neach step, tokens"),
    "judge": (9.2, 1.0, "scorers\ngood answer?"),
}
arrows = [("prompt", "app", ""), ("app", "trace", ""), ("trace", "judge", "")]
title = "GenAI: the same record for programs that use a language model"
plots.show(plots.diagram(boxes, arrows, title=title, width=8.5, height=1.9))

# %% [markdown]
# ## Round 4: MLflow, or something else?
#
# MLflow is not the only tool. Before you choose one, ask three questions:
#
# - **What is it best for?** MLflow keeps the record from first training to use, and serves. Weights & Biases, a
#   commercial service, is best for deep learning, live curves and shared reports. TensorBoard draws the curves of a
#   training.
# - **Is it alive?** Neptune, a commercial service, was closed in March 2026, and what was on its servers is deleted.
# - **How do your runs get *out* of it again?** If you run MLflow yourself, they are in your database and folder.
#
# <details class="more"><summary>More: nine tools, and their state in November 2026</summary>
#
# The names link to a source for what is said.
#
# | tool | kind | best for | state |
# |---|---|---|---|
# | [MLflow][ml] | open source; run it yourself, or as a managed service | from training on, with any library | active; a project of the Linux Foundation |
# | [Weights & Biases][wb] | commercial service, also on your own machines | deep learning, live curves, shared reports | active; part of CoreWeave since 2025 |
# | [Neptune][nt] | commercial service | very many metrics of one training | **closed** in March 2026, after OpenAI had bought it; [what was on its servers is deleted][nd] |
# | [Comet][ct] | commercial service; its Opik is open source | tracking; judging language models | active |
# | [ClearML][cl] | open source server, and a service | tracking together with queues that start jobs on your machines | active; its library 2.1.12 in August 2026 |
# | [Aim][am] | open source, run it yourself | exploring very many runs in a fast UI | last release in May 2025; whether it is maintained was asked in 2026, without an answer so far |
# | [TensorBoard][tb] | open source, local | the curves of a training | 2.21 in June 2026; its sharing service ended in 2024 |
# | [Sacred][sc] | open source library, without a UI of its own | research scripts with many settings | hardly maintained |
# | [DVC][dv] | open source, on top of git | versions of large data | active; with the makers of lakeFS since November 2025 |
#
# [ml]: https://github.com/mlflow/mlflow
# [wb]: https://docs.coreweave.com/products/wandb
# [nt]: https://github.com/zenml-io/zenml/pull/4403
# [nd]: https://github.com/ultralytics/ultralytics/pull/25972
# [ct]: https://github.com/comet-ml/opik
# [cl]: https://github.com/clearml/clearml/releases
# [am]: https://github.com/aimhubio/aim/issues/3414
# [tb]: https://github.com/tensorflow/tensorboard/pull/7130
# [sc]: https://github.com/IDSIA/sacred/issues/871
# [dv]: https://github.com/treeverse/dvc
#
# </details>

# %% [markdown]
# ### MLflow and DVC (can wait)
#
# **DVC** keeps each version of large data, tied to a git commit; MLflow records which one a run has used.

# %% [markdown]
# DVC (data version control) answers "which data belonged to this git commit?". It puts a small pointer file into git
# and the large file into a storage beside it, and brings both back together.
#
# MLflow answers "what did each execution use, and what came out?". It does not bring back 40 GB of data for a commit.
# Many teams use both: DVC keeps the data, and each MLflow run records which version it has used.
#
# <details class="more"><summary>More: DVC's commands, and where the two overlap</summary>
#
# To have the old data back, you call `git checkout` and then `dvc checkout` (or `dvc pull`, when the data are on
# another machine). `dvc repro` runs again what has become stale.
#
# DVC can compare experiments too (`dvc exp show`), and with its companion GTO it gives model versions stages, as git
# tags. But it is not a server that shows live runs or answers with a model's predictions.
#
# </details>

# %% tags=["hide-input"] jupyter={"source_hidden": true}
boxes = {
    "git": (1.0, 2.1, "git\ncode and\npointer files"),
    "dvc": (4.9, 2.1, "DVC storage\nlarge data,\nevery version"),
    "training": (1.0, 0.4, "training"),
    "mlflow": (4.9, 0.4, "MLflow run\nsettings, results,\nmodel"),
    "team": (8.8, 0.4, "team\nUI, registry,\nserving"),
}
arrows = [
    ("git", "dvc", "points to"),
    ("git", "training", ""),
    ("dvc", "training", "data"),
    ("training", "mlflow", "records\nthe version"),
    ("mlflow", "team", ""),
]
title = "DVC keeps the data; MLflow records which data a run has used"
plots.show(plots.diagram(boxes, arrows, title=title, width=8, height=3.2))

# %% [markdown]
# ## Your turn
#
# The next run records its settings and its score, but not its data. Replace the three dots by **one line** that records
# the parameter `data_digest`, the fingerprint of `customers`; then run both cells.
#
# <details><summary>One solution</summary>
#
# `mlflow.log_param("data_digest", fingerprint(customers))`
#
# </details>

# %% tags=["your-turn"]
with mlflow.start_run(run_name="your-turn") as yours:
    mlflow.log_params(settings)
    mlflow.log_metric("valid_auc", score(**settings))
    ...

# %% tags=["your-turn-solution"]
with mlflow.start_run(run_name="your-turn") as yours:
    mlflow.log_params(settings)
    mlflow.log_metric("valid_auc", score(**settings))
    mlflow.log_param("data_digest", fingerprint(customers))

# %%
recorded = mlflow.get_run(yours.info.run_id).data.params
hint = "the run has no parameter data_digest with the fingerprint of customers."
lesson.turn(recorded.get("data_digest") == fingerprint(customers), hint)

# %% [markdown]
# ## Pitfalls
#
# Each of them has a code, and the checks of the homework use the same codes.
#
# **`evaluation-not-monitoring`: an old number is taken for today's.** The slide shows what was measured before
# deployment. It was true, and it says nothing about today:

# %%
print(f"on the slide, from week 5: {week_auc(old, 5):.2f}")
print(f"in truth, in week 10:      {week_auc(old, 10):.2f}")

# %% [markdown]
# To repair it, measure again every week, and record it. A metric may have a **step**, here the week, so that one run
# holds the whole curve. A rule that is fixed beforehand says when somebody must look.

# %%
mlflow.set_experiment("churn-watch")
with mlflow.start_run(run_name="weeks"):
    for w in range(4, 11):
        mlflow.log_metric("week_auc", week_auc(old, w), step=w)

alarms = [w for w in range(4, 11) if week_auc(old, w) < 0.6]
print("below 0.6 for the first time in week", alarms[0] if alarms else "(none)")

# %% tags=["claims"]
assert week_auc(old, 5) > 0.7 and week_auc(old, 10) < 0.6
assert alarms[0] == 6

# %% [markdown]
# **`data-not-recorded`: the settings are there, the data are not.** Two runs, same settings. Between them Jonas has
# delivered another table:

# %%
mlflow.set_experiment("churn-record")
tables = {"spring": customers.iloc[: n_rows // 2], "autumn": customers}
ids = {}


def score_with(table):
    rows = X_train.index.intersection(table.index)  # its training rows
    tree = DecisionTreeClassifier(**settings).fit(X_train.loc[rows], y_train[rows])
    return roc_auc_score(y_valid, tree.predict_proba(X_valid)[:, 1])


# %%
for name, table in tables.items():
    with mlflow.start_run(run_name="twin") as twin:
        mlflow.log_params(settings)
        mlflow.log_metric("valid_auc", score_with(table))
    ids[name] = twin.info.run_id
    data_of = mlflow.get_run(ids[name]).data
    print(data_of.params, round(data_of.metrics["valid_auc"], 3))

# %% [markdown]
# The same description, two results: the record cannot say why. To repair it, add the fingerprint of the table that each
# of them was trained from, as long as somebody knows it. A parameter may be added later, though never changed.

# %%
for name, table in tables.items():
    client.log_param(ids[name], "data_digest", fingerprint(table))

found = [mlflow.get_run(i).data.params["data_digest"] for i in ids.values()]
print("the same data:", found[0] == found[1])

# %% tags=["claims"]
values = [mlflow.get_run(i).data.metrics["valid_auc"] for i in ids.values()]
assert values[0] != values[1] and found[0] != found[1]

# %% [markdown]
# **`metric-name`: one thing has two names.** Mira records `valid_auc`. Jonas records the same measure as `AUC`, and
# the table has two columns with gaps:

# %%
for name, metric, depth in (("mira", "valid_auc", 3), ("jonas", "AUC", 5)):
    with mlflow.start_run(run_name=name) as named:
        mlflow.log_metric(metric, score(depth, 20))

pair = mlflow.search_runs(max_results=2).set_index("tags.mlflow.runName")
pair[["metrics.valid_auc", "metrics.AUC"]].round(3)

# %% tags=["claims"]
assert pair["metrics.valid_auc"].isna().tolist() == [True, False]
assert pair["metrics.AUC"].isna().tolist() == [False, True]

# %% [markdown]
# Sorted by `valid_auc`, Jonas's run has no place. To repair it, agree on one name in the team, and copy the recorded
# number to this name. `log_metric` takes the id of a run that has ended as `run_id`.

# %%
jonas = mlflow.get_run(named.info.run_id)
mlflow.log_metric("valid_auc", jonas.data.metrics["AUC"], run_id=jonas.info.run_id)
pair = mlflow.search_runs(max_results=2).set_index("tags.mlflow.runName")
print("gaps:", int(pair["metrics.valid_auc"].isna().sum()))

# %% tags=["claims"]
assert not pair["metrics.valid_auc"].isna().any()

# %% [markdown]
# ## In your own project
#
# The same work without any help from this course, on real data that comes with scikit-learn. Open *Show the script*,
# copy it into a file `record.py` in an empty folder and run `python record.py`.
#
# It records one result, and then repeats the *oldest* with the settings and split from its record. Run it next month:
# does the old number come out? Another kind of model needs another experiment. [Reproducing]({step:reproducing}) adds
# code and package versions.

# %% tags=["own-project"]
"""A result, and a check that its record repeats it: python record.py"""

import ast
import hashlib

import mlflow
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("my-record")
table = load_breast_cancer(as_frame=True).frame
text = table.to_csv(index=False, lineterminator="\n")  # the same on Windows
digest = hashlib.sha256(text.encode()).hexdigest()[:12]


def score(settings, split_seed):
    X, y = table.drop(columns="target"), table["target"]
    X_train, X_valid, y_train, y_valid = train_test_split(X, y, random_state=split_seed)
    tree = DecisionTreeClassifier(**settings).fit(X_train, y_train)
    return roc_auc_score(y_valid, tree.predict_proba(X_valid)[:, 1])


def value(text):  # a parameter comes back as text
    try:
        return ast.literal_eval(text)  # 4, 0.001, None, True
    except (ValueError, SyntaxError):
        return text  # a word, such as entropy


settings = {"max_depth": 4, "min_samples_leaf": 10, "random_state": 0}
with mlflow.start_run(run_name="tree"):
    mlflow.log_params(settings | {"data_digest": digest, "split_seed": 0})
    mlflow.log_metric("valid_auc", score(settings, 0))

by_age, done = ["attributes.start_time ASC"], "attributes.status = 'FINISHED'"
oldest = mlflow.search_runs(filter_string=done, order_by=by_age, max_results=1).iloc[0]
kept = mlflow.get_run(oldest["run_id"]).data.params
names = kept.keys() & DecisionTreeClassifier().get_params()  # as recorded, not today
recorded = {name: value(kept[name]) for name in names}
again = score(recorded, int(oldest["params.split_seed"]))
print("the same data: ", oldest["params.data_digest"] == digest)
print("the same score:", again == oldest["metrics.valid_auc"])

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("ml_workflow")

# %% [markdown]
# ## Key points
#
# - **Where do you look when nothing crashed and the model is wrong?** First at the tables: another unit raises no
#   error. Then at the world: a learned relation may have changed. Monitor both; retraining is for the second only.
# - **Who answers for what?** The data engineer for the tables, the data scientist for the model and its measure, the ML
#   engineer for what runs, the governance officer for what is allowed.
# - **What makes a result repeatable?** A record that the code writes (result, settings, fingerprint), with the data,
#   the code and its packages. A spreadsheet lacks it.
# - **Which part of MLflow does what?** Tracking records runs, projects repeat them, models are one format, the registry
#   says which version counts, serving answers, GenAI traces and scores. Small things are in the backend store, files in
#   the artifact store.
# - **MLflow or something else?** Look at what a tool is best for, whether it is alive, and how your runs get out of it.
#   DVC keeps versions of data, beside MLflow.
#
# ## Next steps
#
# - Do the [homework]({homework:ml_workflow}): stages, roles, a spreadsheet to check, and the right part for each wish.
# - Next lecture: [Exploring data]({step:exploring_data}), what is in the customers' table.
# - Official page: [MLflow's architecture](https://mlflow.org/docs/latest/self-hosting/architecture/overview).
#
# <details class="more"><summary>More: optional depth, another kind of change</summary>
#
# In the cell with `churn_stream`, set `kind="data"` and run the cells up to the picture again: prices rise, but why
# customers leave stays as it was. Does the old model fall as deep? (The sentences under the picture do not hold then.)
#
# </details>
