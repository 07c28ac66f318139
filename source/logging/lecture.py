# %% [markdown]
# # Logging: what a run can hold
#
# **What must a run hold, so that somebody else can check its number a year later?**
#
# We will build one run that answers for itself: how it was done, what came out, what it looked like, and which rows
# and which code were behind it. Then we measure what logging costs. Folded parts marked *More* can wait.
#
# Afterwards you can
# - **choose** between parameter, metric, tag and artifact, and **predict** which of them a second call replaces;
# - **log** a curve over steps, and a figure, a table and a text;
# - **record** the data and the code that made a number, and say what a data set's digest covers;
# - **avoid** a thousand slow calls, and a password in the store.
#
# **You need:** [MLflow basics]({step:mlflow_basics}).
#
# **Time:** 17 min to read · 18 min to do. After Round 2 is a good place for a pause.
#
# <!-- links -->

# %% [markdown]
# ## Recall
#
# One question on an earlier lecture. Click an answer; each of them replies.

# %%
from course_utils import lesson

lesson.quiz("logging", "recall")

# %% [markdown]
# ## The problem
#
# On Tuesday Ines, the governance officer at Nordtel, opens the run behind Mira's call list. She finds one parameter
# and one number. How was it done, and who is responsible? Which customers does it get wrong? And has anybody looked at
# the test rows?
#
# Mira remembers half of the answers, and a year from now she will remember none. A run has a place for each of them:

# %% tags=["hide-input"] jupyter={"source_hidden": true}
from course_utils import plots

boxes = {
    "run": (5.0, 2.2, "run\na name, an id,\na status"),
    "params": (1.0, 3.8, "parameters\nchoices, never\nchanged"),
    "metrics": (1.0, 0.6, "metrics\nnumbers, point\nafter point"),
    "tags": (5.0, 5.0, "tags and note\nwords, replaced"),
    "data": (9.0, 3.8, "data sets\nname, fingerprint,\nnot the rows"),
    "files": (9.0, 0.6, "artifacts\npictures, tables,\nany file"),
}
arrows = [
    ("run", "params", "how?"),
    ("run", "metrics", "what came out?"),
    ("run", "tags", "who, why,\nwhich code?"),
    ("run", "data", "which rows?"),
    ("run", "files", "show me!"),
]
title = "A run has a place for each question that is asked about it"
plots.show(plots.diagram(boxes, arrows, title=title, height=4.4))

# %% [markdown]
# ## Setup
#
# `store.connect()` is the lines of [MLflow basics]({step:mlflow_basics}) in one call: it points MLflow at this
# course's database and folder of files.

# %% tags=["parameters"]
seed = 0
n_rows = 2000
n_calls = 50

# %%
import mlflow
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_utils import data, store

store.connect()
client = mlflow.MlflowClient()
experiment = mlflow.set_experiment("churn-logging")
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %%
rows = {"n_rows": n_rows, "data_seed": seed, "valid_share": 0.3}
split = data.churn_split(n_rows, seed, numeric=True)
X_train, X_valid, y_train, y_valid = train_test_split(
    split.X_train,
    split.y_train.astype(float),
    test_size=rows["valid_share"],
    stratify=split.y_train,
    random_state=seed,
)
print(f"{len(X_train)} customers to train on, {len(X_valid)} to judge by")

# %% [markdown]
# ## Round 1: choices, results and words
#
# A **parameter** is a choice that you made before training. A **metric** is a number that came out. A **tag** is a
# word about the run, for people who look for it. The **note** (`description`) is its story, in Markdown.
#
# Here is a run with all four. Of its two metrics, the ROC-AUC judges only the order of the customers, and the **log
# loss** judges the probabilities themselves. The log loss is low when the model gave a high probability to what
# happened.

# %%
settings = {"C": 0.5, "max_iter": 500}
note = "Baseline for **Tom's** call list. The test rows are still closed."

with mlflow.start_run(run_name="logistic", description=note) as run:
    model = make_pipeline(StandardScaler(), LogisticRegression(**settings))
    model.fit(X_train, y_train)
    probability = model.predict_proba(X_valid)[:, 1]
    auc, loss = roc_auc_score(y_valid, probability), log_loss(y_valid, probability)

    mlflow.log_params(settings | rows)
    mlflow.log_metrics({"valid_auc": auc, "valid_loss": loss})
    mlflow.set_tags({"owner": "Mira", "stage": "draft"})

print(f"validation rows: ROC-AUC {auc:.3f}, log loss {loss:.3f}")

# %% [markdown]
# The four kinds differ most in what happens when you log the same name **again**: a cell is run twice, a result arrives
# late, somebody corrects a word. `start_run(run_id=…)` opens a run that has ended, so that more can be logged to it.
# Afterwards it says FINISHED, even if it had FAILED.
#
# <details class="more"><summary>More: adding to a run without changing its status</summary>
#
# `start_run(run_id=…)` sets the status and the end anew, so the run also seems to have taken longer. It refuses a run
# of another experiment than the current one. Two calls do neither: `log_metric(…, run_id=…)`, as in MLflow basics, and
# `MlflowClient().set_tag(run_id, …)`.
#
# </details>
#
# A metric may carry a **step**, a whole number that puts its points in order. Aisha checked the model twice: her first
# check (step 1) passed 4 tests, her second (step 2) passed 7. The first is logged last.
#
# **Predict.** The next cell sets a tag and a parameter that the run already has, and logs both checks as a new metric,
# `checks_passed`. Which call is refused? Which number will the table of runs show?

# %%
prediction = {"refused": "?", "checks_passed": "?"}

# %%
with mlflow.start_run(run_id=run.info.run_id):
    mlflow.set_tag("stage", "reviewed")
    mlflow.log_metric("checks_passed", 7, step=2)
    mlflow.log_metric("checks_passed", 4, step=1)  # arrives late
    mlflow.log_param("C", 0.5)  # the same value again
    try:
        mlflow.log_param("C", 10)
    except mlflow.MlflowException as error:
        print("MLflow:", str(error).split(" Param")[0])

stored = mlflow.get_run(run.info.run_id).data
points = client.get_metric_history(run.info.run_id, "checks_passed")
print("C:", stored.params["C"], "| stage:", stored.tags["stage"])
print("checks_passed:", stored.metrics["checks_passed"])
print("all its points (step, value):", [(p.step, p.value) for p in points])

# %% tags=["claims"]
CHANGES = [{"n_rows": 1000}, {"seed": 3}]

assert stored.params["C"] == "0.5" and stored.tags["stage"] == "reviewed"
assert stored.metrics["checks_passed"] == 7 and len(points) == 2
assert "Tom" in stored.tags["mlflow.note.content"]

# %% [markdown]
# You should see the new value of the parameter refused. It says how the model was trained, and that cannot become
# different afterwards: a new value means a new run. Logging the *same* value again did no harm. The tag was replaced
# without a word, so what must not change is safer as a parameter.
#
# The metric kept **both** points. The table of runs has room for one: MLflow shows the point with the **highest
# step**, whichever came last. Without steps, it shows the latest point.
#
# | kind | call | the same name again |
# |---|---|---|
# | parameter | `log_param(s)` | refused, unless the value is the same |
# | metric | `log_metric(s)` | adds a point; the highest step is shown |
# | tag, note | `set_tag(s)`, `start_run(description=…)` | replaces |
# | artifact | `log_figure`, `log_table`, … | replaces; a table grows (Round 3) |
#
# ## Round 2: a metric is a curve
#
# Because points are kept, a metric can be a curve: give each point its **step**. Here the steps are the *epochs* of a
# small neural network, its passes over the training rows. To compare two curves, both must be the same measure. So we
# compute the log loss on the training rows and on the validation rows in the same way, after each epoch.
#
# <details class="more"><summary>More: the network's own loss, points without a step</summary>
#
# The network keeps a loss itself, in `loss_`, but that is another quantity: an average *during* the epoch, with a
# penalty added.
#
# If you give no step, each point has step 0. Of points with the same step, MLflow shows the one with the latest
# timestamp.
#
# </details>

# %%
from sklearn.neural_network import MLPClassifier

shape = {"hidden_layer_sizes": 32, "learning_rate_init": 0.02, "random_state": seed}
network, scaler = MLPClassifier(**shape), StandardScaler().fit(X_train)
scaled, scaled_valid = scaler.transform(X_train), scaler.transform(X_valid)

with mlflow.start_run(run_name="network") as curve:
    mlflow.log_params(shape | rows)
    for epoch in range(40):
        network.partial_fit(scaled, y_train, classes=[0, 1])
        train_loss = log_loss(y_train, network.predict_proba(scaled)[:, 1])
        valid_loss = log_loss(y_valid, network.predict_proba(scaled_valid)[:, 1])
        both = {"train_loss": train_loss, "valid_loss": valid_loss}
        mlflow.log_metrics(both, step=epoch)

# %% [markdown]
# `get_metric_history` brings all points back, and we draw them:

# %%
losses = pd.DataFrame()
for name in ("train_loss", "valid_loss"):
    history = client.get_metric_history(curve.info.run_id, name)
    losses[name] = pd.Series({point.step: point.value for point in history})

lowest = losses["valid_loss"].idxmin()
title = f"On the validation rows, the network was at its best in epoch {lowest}"
table, names = losses.rename_axis("epoch").reset_index(), list(losses)
fig = plots.runs_line(table, "epoch", names, title=title, ylabel="log loss (low: good)")
plots.show(fig)

# %%
shown = mlflow.get_run(curve.info.run_id).data.metrics["valid_loss"]
print(f"the table shows {shown:.3f}, the lowest was {losses['valid_loss'].min():.3f}")

# %% tags=["claims"]
assert len(losses) == 40 and losses["train_loss"].iloc[-1] < losses["train_loss"].iloc[0]
assert lowest < 30 and shown == losses["valid_loss"].iloc[-1]
assert shown > losses["valid_loss"].min()

# %% [markdown]
# You should see the training loss end lower than it began, while the validation loss has its lowest point long before
# the end. It has begun to learn its customers by heart, and one final number would hide that.
#
# The table shows the **last** epoch, not the best one. To sort runs by their best epoch, log it as a metric of its
# own, such as `best_valid_loss`.
#
# A point carries a **timestamp** as well, which is "now" unless you set it. Set it when a result is older than your
# store, such as a row of Jonas's spreadsheet. MLflow counts time in milliseconds since 1970:

# %%
day = pd.Timestamp("2026-01-31", tz="UTC")
with mlflow.start_run(run_name="spreadsheet") as old:
    mlflow.log_metric("valid_auc", 0.71, timestamp=int(day.timestamp() * 1000))

point = client.get_metric_history(old.info.run_id, "valid_auc")[0]
print(pd.Timestamp(point.timestamp, unit="ms").date(), point.value)

# %% tags=["claims"]
assert pd.Timestamp(point.timestamp, unit="ms", tz="UTC") == day

# %% [markdown]
# ### Results of tests as metrics (can wait)
#
# The t-test and the chi-square test of *Exploring data*, logged.

# %% [markdown]
# A statistical test is a result as well. [Exploring data]({step:exploring_data}) kept such results in a file; logged
# as metrics, they can be searched. Do leavers have a shorter tenure (t-test), does the kind of contract matter
# (chi-square test)? Log the test's name, too, or nobody knows what the number means.
#
# <details class="more"><summary>More: metric names with a slash</summary>
#
# The next cell calls its metrics `p/tenure` and `p/contract`. A slash in the name of a metric groups charts in the UI.
# In a search, such a name stands in backticks: ``metrics.`p/tenure` < 0.05``.
#
# </details>

# %%
from scipy import stats

people = data.churn(n_rows, seed).loc[X_train.index]  # training rows only
left, stayed = (people[people["churned"] == label] for label in (1, 0))
t = stats.ttest_ind(left["tenure_months"], stayed["tenure_months"], equal_var=False)
crosstab = pd.crosstab(people["contract"], people["churned"])
chi2 = stats.chi2_contingency(crosstab)

with mlflow.start_run(run_name="tests"):
    mlflow.log_params(rows | {"test/tenure": "Welch t", "test/contract": "chi-square"})
    mlflow.log_metrics({"t/tenure": t.statistic, "p/tenure": t.pvalue})
    mlflow.log_metrics({"chi2/contract": chi2.statistic, "p/contract": chi2.pvalue})
    mlflow.log_text(crosstab.to_csv(), "contract_by_churn.csv")

print(f"tenure: t = {t.statistic:.1f}, p = {t.pvalue:.0e}")
print(f"contract: chi-square = {chi2.statistic:.1f}, p = {chi2.pvalue:.0e}")

# %% tags=["claims"]
assert t.statistic < 0 and max(t.pvalue, chi2.pvalue) < 0.001

# %% [markdown]
# You should see a t below zero: the leavers, who come first in the test, have the shorter tenure. Both p-values are
# below 0.001, so it is hardly chance.

# %% [markdown]
# ## Round 3: show me
#
# What is neither a number nor a word is an **artifact**, a file that is kept with the run. We begin with the confusion
# matrix. `predict` calls a customer a leaver from a probability of 0.5 on:

# %%
import seaborn
from sklearn.metrics import classification_report, confusion_matrix

predicted = model.predict(X_valid)
counts = confusion_matrix(y_valid, predicted)
classes = ["stays", "leaves"]
labels = {"xticklabels": classes, "yticklabels": classes}

fig, ax = plots.new_figure(width=4.6, height=3.6)
seaborn.heatmap(counts, annot=True, fmt="d", cmap="Blues", cbar=False, ax=ax, **labels)
title = f"{counts[1, 1]} of {counts[1].sum()} leavers are found"
ax.set_title(title, loc="left", weight="bold")
ax.set(xlabel="predicted", ylabel="true (customers)")
words = f"{title}. Rows true, columns predicted (stays, leaves): {counts.tolist()}."
plots.show(plots.describe(fig, words))

# %% [markdown]
# There is a call for each kind of thing. Three of them do most of the work: `log_figure`, `log_table` and `log_text`.
# Each takes an object of your program, and the name that its file gets; a slash in the name makes a folder. (A file
# that you have already goes in with `mlflow.log_artifact(path)`; *Four more calls*, below, shows it.)
#
# Our table holds the customers whom the model gets wrong. `log_table` leaves out the labels of the rows (the index). So
# `reset_index` makes them a column first: else nobody could say who was wrong.

# %%
judged = X_valid.assign(true=y_valid, predicted=predicted)
wrong = judged[judged["true"] != judged["predicted"]].reset_index(names="customer")
report = classification_report(y_valid, predicted, target_names=classes)

with mlflow.start_run(run_id=run.info.run_id):
    mlflow.log_figure(fig, "plots/confusion_matrix.png")
    mlflow.log_table(wrong, "wrong.json")
    mlflow.log_text(report, "report.txt")

files = mlflow.artifacts.list_artifacts(run_id=run.info.run_id)
print(sorted(file.path + "/" * file.is_dir for file in files))

# %% tags=["claims"]
assert {"plots", "wrong.json", "report.txt"} <= {file.path for file in files}
assert len(wrong) > 2

# %% [markdown]
# **Predict.** Ines reviews the run. She logs `report.txt` and `wrong.json` once more, each with two lines. What does
# each of them hold afterwards: the old lines, the new ones, or both?

# %%
prediction = {"report.txt": "?", "wrong.json": "?"}

# %%
with mlflow.start_run(run_id=run.info.run_id):
    mlflow.log_text("checked by Ines\nsee wrong.json", "report.txt")
    mlflow.log_table(wrong.head(2), "wrong.json")

report = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/report.txt")
table = mlflow.load_table("wrong.json", run_ids=[run.info.run_id])
print("report.txt:", len(report.splitlines()), "lines")
print(f"wrong.json: {len(wrong)} rows before, {len(table)} now")

# %% tags=["claims"]
assert len(report.splitlines()) == 2 and len(table) == len(wrong) + 2

# %% [markdown]
# You should see two lines, and two rows more: a file is replaced, a table **grows**. MLflow reads it and writes it
# anew, so never append from two places at once. If a table grows with every *Run All*, you log into an old run.
#
# <details class="more"><summary>More: what JSON does to a table</summary>
#
# Writing keeps ten decimals: 4e-12 becomes 0. Reading turns text such as `00123` into 123, in `load_table` and, when
# the table grows, in the stored file too. Under a name that ends in `.parquet`, both stay as they are.
#
# </details>

# %% [markdown]
# ### Four more calls (can wait)
#
# For a dictionary, an image, a file and a whole folder.

# %% [markdown]
# Suppose that two things lie on your disk: a folder of call lists, one list for each kind of contract, and a form that
# was filled in by hand. An image of a digit stands for the form.

# %%
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp())
contracts = data.churn(n_rows, seed).loc[X_valid.index, "contract"]
for contract, customers in judged.groupby(contracts):
    customers.to_csv(folder / f"{contract}.csv")

scan = data.bundled("digits").drop(columns="target").iloc[0].to_numpy() / 16

# %% [markdown]
# - `log_dict` takes a dictionary, and writes it as JSON or YAML.
# - `log_image` takes an array of pixels; ours are grey values from 0 to 1.
# - `log_artifact` takes a file that you have already, and the folder of the run that it goes to.
# - `log_artifacts` takes a whole folder.

# %%
with mlflow.start_run(run_id=run.info.run_id):
    mlflow.log_dict({"classes": classes, "threshold": 0.5}, "labels.json")
    mlflow.log_image(scan.reshape(8, 8), "scans/digit.png")
    mlflow.log_artifact(folder / "one-year.csv", "example")
    mlflow.log_artifacts(folder, "calls")

files = mlflow.artifacts.list_artifacts(run_id=run.info.run_id)
print(sorted(file.path + "/" * file.is_dir for file in files))

# %% tags=["claims"]
assert {"scans", "labels.json", "example", "calls"} <= {file.path for file in files}
assert len(mlflow.artifacts.list_artifacts(run_id=run.info.run_id, artifact_path="calls")) == 3

# %% [markdown]
# ## Round 4: which rows, and which code?
#
# `log_input` records a **data set**: not the rows, but a description of them. It consists of a name, the columns, the
# number of rows, and a **digest**, a short text that is computed from the data. The idea is that other data have
# another digest. How far can you rely on that? For comparison we write a digest of our own, which is computed from
# every value.
#
# **Predict.** In a table of 22,000 customers, a single value is changed: the charge in row 15,000. In a table of three
# rows, *every* value is changed. In which of the two will MLflow's digest notice?

# %%
prediction = {"one of 22,000": "?", "all of three": "?"}  # noticed or not

# %%
import hashlib


def digest_of_all(table: pd.DataFrame) -> str:
    """Return a digest of every value, the order of the rows, and the column names."""
    values = pd.util.hash_pandas_object(table, index=False).to_numpy()
    names = "\x1f".join(map(str, table.columns)).encode()
    return hashlib.sha256(names + values.tobytes()).hexdigest()[:16]


def noticed(before: pd.DataFrame, after: pd.DataFrame) -> str:
    theirs = [mlflow.data.from_pandas(t).digest for t in (before, after)]
    ours = [digest_of_all(t) for t in (before, after)]
    by_mlflow, by_ours = theirs[0] != theirs[1], ours[0] != ours[1]
    return f"noticed by MLflow {by_mlflow}, by ours {by_ours}"


# %%
big = data.churn(22_000, seed)
corrected = big.copy()
corrected.loc[15_000, "monthly_charges"] = 999.0
print("one of 22,000:", noticed(big, corrected))


# %%
small = {
    "joined": pd.to_datetime(["2026-01-05", "2026-02-11", "2026-03-02"]),
    "paperless": [True, False, True],
    "contract": ["monthly", None, "yearly"],
}
other = {
    "joined": pd.to_datetime(["2019-07-01", "2020-08-01", "2021-09-01"]),
    "paperless": [False, True, False],
    "contract": [None, "yearly", "monthly"],
}
print("all of three: ", noticed(pd.DataFrame(small), pd.DataFrame(other)))

# %% tags=["claims"]
missed = "noticed by MLflow False, by ours True"
assert noticed(big, corrected) == missed
assert noticed(pd.DataFrame(small), pd.DataFrame(other)) == missed
assert digest_of_all(big) == data.digest(big)
early = big.copy()
early.loc[9_999, "monthly_charges"] = 999.0
assert noticed(big, early) == "noticed by MLflow True, by ours True"
assert not (pd.DataFrame(small) == pd.DataFrame(other)).any().any()
relabelled = big.set_index(big.index + 1)
assert noticed(big, relabelled) == "noticed by MLflow True, by ours False"
backwards = big[::-1].reset_index(drop=True)
assert noticed(big, backwards) == "noticed by MLflow True, by ours True"
fewer = pd.DataFrame(small | {"contract": ["monthly", "monthly", "yearly"]})
no_gap = noticed(pd.DataFrame(small), fewer)
assert no_gap == "noticed by MLflow True, by ours True"

# %% [markdown]
# You should see `noticed by MLflow False` twice, as MLflow's digest reads only a part of a DataFrame:
#
# - the names of the columns, and the number of rows;
# - of the **first 10,000 rows** their labels (the index), their numbers, and their text.
#
# Left out are all later rows, dates, `True`/`False`, `Decimal`, and text columns that have a gap anywhere. So two equal
# digests prove little. Ours notices both changes: log it as a tag, of the data set (`tags=` in `log_input`) or of the
# run. Later lectures call it `data.digest`.
#
# The **context** of a data set says what its rows were used for. Put it into the name, too: logged twice under one
# name, the same rows keep only the first context, without a word.
#
# <details class="more"><summary>More: why the second call is dropped; NumPy arrays</summary>
#
# To MLflow, a name with a digest is *one* data set, and a run lists it once. Suppose that both of our data sets were
# called `customers`, and that somebody logged the training rows a second time as `test`. The second call would be
# dropped, with its tag, and the record would say that nobody had looked at them as test rows.
#
# Of a NumPy array, MLflow's digest reads the first 10,000 *values*: of 30 columns, 333 rows.
#
# </details>

# %%
used = {"training": X_train.assign(churned=y_train)}
used["validation"] = X_valid.assign(churned=y_valid)

with mlflow.start_run(run_id=run.info.run_id):
    for context, table in used.items():
        name = f"customers-{context}"
        described = mlflow.data.from_pandas(table, targets="churned", name=name)
        mlflow.log_input(described, context, tags={"sha256": digest_of_all(table)})

# %% [markdown]
# The code has a digest of its own, the **git commit**. MLflow notes it for a script, but usually not for a notebook. So
# you set it yourself, in the two `mlflow.source.…` tags that MLflow's UI reads. The library's version stands beside it:
# another can give another number.
#
# <details class="more"><summary>More: details of the commit</summary>
#
# - MLflow notes the commit of the file that Python was started with. For a script this is your script; for a notebook
#   it is a file of Jupyter's. So a notebook usually has no commit, or that of a repository in which Jupyter is
#   installed.
# - For a script of which git knows nothing, MLflow notes a commit all the same.
# - MLflow and its UI look for the commit among the tags. So we put it there, although a tag can be replaced.
# - A model that is logged, as in [MLflow basics]({step:mlflow_basics}), keeps the versions that it needs by itself.
#
# </details>

# %%
import subprocess

import sklearn

failed, commit = subprocess.getstatusoutput("git rev-parse HEAD")
code = {
    "mlflow.source.name": "the notebook of the lecture Logging",
    "mlflow.source.git.commit": "unknown" if failed else commit,
    "scikit_learn": sklearn.__version__,
}
with mlflow.start_run(run_id=run.info.run_id):
    mlflow.set_tags(code)

# %% [markdown]
# A commit is worth little when a file was changed or added after it. So commit first. `git status --porcelain` lists
# such files (also new outputs, but no ignored ones), and prints nothing when there are none. We note which it was.

# %%
failed, edits = subprocess.getstatusoutput("git status --porcelain")
edited = "unknown" if failed else str(edits != "")
with mlflow.start_run(run_id=run.info.run_id):
    mlflow.set_tag("edited_since_commit", edited)

# %% [markdown]
# Now Ines can ask the store, and needs nobody's memory:

# %%
import json

full = mlflow.get_run(run.info.run_id)
print("who:", full.data.tags["owner"], "| how:", full.data.params)
for entry in full.inputs.dataset_inputs:
    tags = {tag.key: tag.value for tag in entry.tags}
    size = json.loads(entry.dataset.profile)["num_rows"]
    same = tags["sha256"] == digest_of_all(used[tags["mlflow.data.context"]])
    print(f"{tags['mlflow.data.context']}: {size} rows, the same as today: {same}")

# %% tags=["claims"]
contexts = [t.value for i in full.inputs.dataset_inputs for t in i.tags if "context" in t.key]
assert sorted(contexts) == ["training", "validation"]
assert same and full.data.tags["edited_since_commit"] in ("True", "False", "unknown")
assert "mlflow.source.git.commit" not in mlflow.get_run(curve.info.run_id).data.tags

# %% [markdown]
# You should see two data sets, and none with the context `test`: as far as the record says, nobody has looked.

# %% [markdown]
# ### The machine (can wait)
#
# Processor, memory, disk and network as metrics of a run.

# %% [markdown]
# The machine can be recorded, too. With `log_system_metrics=True`, MLflow logs processor, memory, disk and network as
# metrics while the run is open. It measures every ten seconds, so a shorter run has none, unless you ask for more.
#
# <details class="more"><summary>More: system metrics in your own environment</summary>
#
# They need the package `psutil`, which the course's environment has. Install it in your own first: without it,
# `start_run` raises an error, and leaves a run that says RUNNING for ever.
#
# </details>

# %%
from sklearn.ensemble import GradientBoostingClassifier

mlflow.set_system_metrics_sampling_interval(0.2)  # seconds
mlflow.set_system_metrics_samples_before_logging(1)
numbers = ["tenure_months", "monthly_charges", "support_calls"]

with mlflow.start_run(run_name="boosting", log_system_metrics=True) as boosting:
    GradientBoostingClassifier(n_estimators=30).fit(big[numbers], big["churned"])

measured = mlflow.get_run(boosting.info.run_id).data.metrics
print(sorted(name for name in measured if "cpu" in name or "memory" in name))

# %% tags=["claims"]
assert "system/cpu_utilization_percentage" in measured

# %% [markdown]
# ## Look at the UI
#
# Open the UI: *MLflow UI* among the links at the top, or the command under *Setup*; close the panel *MLflow Assistant*
# with its cross. Choose *Model training* at the top left and click *Experiments* on the left. (When an experiment is
# still open, click the arrow beside its name first.) Then click `churn-logging`. Of several runs with one name, take
# the topmost.
#
# 1. Click the run `logistic`. Its **Overview** begins with your note under *Description*; the pencil beside it edits
#    the note. Scroll down to *Source*, which has your commit, to *Datasets*, with MLflow's digest, and to *Tags*.
# 2. Click **Artifacts**, then the folder `plots` and the picture in it; then `wrong.json`, which is shown as a table.
# 3. Click *Runs* on the left, then the run `network`, then **Model metrics**: the two curves over their steps.
# 4. If you have run the section on the machine: click *Runs* once more, then `boosting`, then **System metrics**.
#
# ![The curves of the run network, after step 3](../site/_static/logging_ui.png)
#
# ## Your turn
#
# The losses of the network are in the DataFrame `losses`, whose index is the epoch. Replace the three dots by **one
# line** that logs it so that the UI shows a table with a column `epoch`, under the name `losses.json`; then run both
# cells.
#
# <details><summary>One solution</summary>
#
# `mlflow.log_table(losses.rename_axis("epoch").reset_index(), "losses.json")`
#
# </details>

# %% tags=["your-turn"]
with mlflow.start_run(run_name="your-turn") as yours:
    ...

# %% tags=["your-turn-solution"]
with mlflow.start_run(run_name="your-turn") as yours:
    mlflow.log_table(losses.rename_axis("epoch").reset_index(), "losses.json")

# %%
tags = mlflow.get_run(yours.info.run_id).data.tags
there = "losses.json" in tags.get("mlflow.loggedArtifacts", "")
mine = [yours.info.run_id]
columns = mlflow.load_table("losses.json", run_ids=mine).columns if there else []
hint = "log_table leaves out the index: make it a column `epoch`, then log the table."
lesson.turn("epoch" in columns, hint)

# %% [markdown]
# ## Pitfalls
#
# Each has a code, which the homework uses as well. A fourth, `data-version-missing`, belongs to Round 4: a number
# without its data and its seed cannot be made again, and nothing fails when they are missing.
#
# **`metric-as-param`: a result was logged as a parameter.** It becomes text, and MLflow does not calculate with text:

# %%
with mlflow.start_run(run_name="nine") as nine:
    mlflow.log_param("auc", 0.9)

mine = f"attributes.run_id = '{nine.info.run_id}'"
try:
    mlflow.search_runs(filter_string=f"{mine} and params.auc > 0.8")
except mlflow.MlflowException as error:
    print("MLflow:", str(error).split(" or ")[0])

# %% [markdown]
# To repair it, log the number as a metric. The parameter stays, since it cannot be removed, but the search works:

# %%
mlflow.log_metric("auc", 0.9, run_id=nine.info.run_id)
found = mlflow.search_runs(filter_string=f"{mine} and metrics.auc > 0.8")
print("found:", found["tags.mlflow.runName"].tolist())

# %% tags=["claims"]
assert len(found) == 1

# %% [markdown]
# **`secret-as-param`: a password among the settings.** `log_params(config)` is convenient, and it logs everything.
# Jonas notices, and deletes the run:

# %%
config = {"C": 0.5, "db_user": "jonas", "db_password": "correct-horse"}  # invented
with mlflow.start_run(run_name="leaky") as leaky:
    mlflow.log_params(config)

mlflow.delete_run(leaky.info.run_id)
print("after delete_run:", mlflow.get_run(leaky.info.run_id).data.params["db_password"])

# %% [markdown]
# A deleted run can be read until `mlflow gc` removes it; a model that it logged keeps a copy of its parameters, and has
# to be deleted, too ([Tracking server]({step:tracking_server})). So the repair begins with a new password. Then log
# what you **name**, not everything. The same holds for people: whoever can open the store can read the customers in
# `wrong.json`.

# %%
with mlflow.start_run(run_name="tight") as tight:
    mlflow.log_params({name: config[name] for name in ("C",)})
print(mlflow.get_run(tight.info.run_id).data.params)

# %% tags=["claims"]
assert mlflow.get_run(tight.info.run_id).data.params == {"C": "0.5"}
assert mlflow.get_run(leaky.info.run_id).info.lifecycle_stage == "deleted"

# %% [markdown]
# **`one-by-one`: fifty values, fifty calls.** Each call is written to the database on its own, as a *transaction*, and
# the next one waits until it has been written. There are two other ways. Which of the three will be the first to have
# all its points written?
#
# - An *asynchronous* call does not wait. MLflow writes in the background, and `flush_async_logging` returns when all
#   is written. A write that fails raises no error there, it only leaves a line `ERROR` in the log.
# - `log_batch` sends a list of points in one call.

# %%
import time

seconds = {}
with mlflow.start_run(run_name="one-by-one"):
    start = time.perf_counter()
    for step in range(n_calls):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    seconds["one by one"] = time.perf_counter() - start

# %%
with mlflow.start_run(run_name="asynchronous"):
    start = time.perf_counter()
    for step in range(n_calls):
        mlflow.log_metric("loss", 1 / (step + 1), step=step, synchronous=False)
    seconds["asynchronous, loop done"] = time.perf_counter() - start
    mlflow.flush_async_logging()
    seconds["asynchronous, all written"] = time.perf_counter() - start

# %% [markdown]
# To repair it, collect the points and send them together; in a long training every few hundred, because a crash loses
# what was not sent. Each carries a timestamp, here the same for all, and its own step:

# %%
with mlflow.start_run(run_name="one-batch") as batch:
    start, now = time.perf_counter(), int(time.time() * 1000)
    values = []
    for step in range(n_calls):
        values.append(mlflow.entities.Metric("loss", 1 / (step + 1), now, step))
    client.log_batch(batch.info.run_id, metrics=values)
    seconds["one batch"] = time.perf_counter() - start

# %% tags=["measured"]
took = pd.Series(seconds).sort_values()
fig, ax = plots.new_figure(height=2.6)
ax.plot(took / took["one batch"], took.index, "o", markersize=9, color=plots.BLUE)
ax.set_xscale("log")
ax.xaxis.set_major_formatter("{x:g}")
ax.margins(y=0.2)
factor = took.iloc[-1] / took["one batch"]
title = f"The slowest way takes {factor:.0f} times as long as one batch"
ax.set_title(title, loc="left", weight="bold")
ax.set_xlabel(f"time for {n_calls} points (1 = one batch; logarithmic)")
words = ", ".join(f"{name} {seconds[name]:.2f} s" for name in seconds)
plots.show(plots.describe(fig, f"Time for {n_calls} points of a metric: {words}."))

# %% tags=["claims"]
assert seconds["one by one"] > 3 * seconds["one batch"]
assert seconds["asynchronous, all written"] > 3 * seconds["one batch"]
assert seconds["asynchronous, loop done"] < seconds["asynchronous, all written"]
import os

os.environ["MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS"] = "1"
with mlflow.start_run(run_name="buffered"):
    start = time.perf_counter()
    for step in range(n_calls):
        mlflow.log_metric("loss", 1 / (step + 1), step=step, synchronous=False)
    mlflow.flush_async_logging()
    buffered = time.perf_counter() - start
del os.environ["MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS"]
assert buffered < 0.5 * seconds["asynchronous, all written"]
assert len(client.get_metric_history(batch.info.run_id, "loss")) == n_calls

# %% [markdown]
# You should see the batch far ahead of *one by one* and of *asynchronous, all written*. The order of the others can
# change from run to run. Asynchronous calls are made for a slow server, whose answers your loop need not wait for. They
# save no work: each point is still a transaction of its own, so until all is written this can be the slowest way.
#
# <details class="more"><summary>More: other batches, and failed asynchronous calls</summary>
#
# For several metrics of *one* step, `log_metrics` is a batch already.
#
# A failed write raises its error when you call `.wait()` on what the asynchronous call returned.
#
# When the environment variable `MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS` is 1, MLflow collects the asynchronous points
# of a second and sends them together. Most of the gap to the batch is closed then.
#
# </details>
#
# ## In your own project
#
# A run that explains itself, on data of scikit-learn, without this course. Save it as `report.py` in an empty folder
# and run `python report.py`. The first time, MLflow reports that it makes its tables. The digest here is of the CSV
# text.

# %% tags=["own-project"]
"""One run that explains itself: python report.py"""

import hashlib

import mlflow
import sklearn
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("my-reports")
table = load_breast_cancer(as_frame=True).frame.astype(float)
train, valid = train_test_split(table, stratify=table["target"], random_state=0)
settings = {"C": 0.5, "max_iter": 500}

with mlflow.start_run(run_name="logistic", description="Baseline, for the clinic"):
    model = make_pipeline(StandardScaler(), LogisticRegression(**settings))
    model.fit(train.drop(columns="target"), train["target"])
    p = model.predict_proba(valid.drop(columns="target"))[:, 1]
    judged = valid.assign(predicted=(p >= 0.5).astype(float))
    mlflow.log_params(settings | {"split_seed": 0})
    mlflow.log_metric("valid_loss", log_loss(valid["target"], p))
    mlflow.set_tags({"owner": "me", "scikit_learn": sklearn.__version__})
    wrong = judged.query("target != predicted").reset_index(names="row")
    mlflow.log_table(wrong, "wrong.json")
    answers = judged["target"], judged["predicted"]
    figure = ConfusionMatrixDisplay.from_predictions(*answers).figure_
    mlflow.log_figure(figure, "confusion_matrix.png")
    for context, rows in {"training": train, "validation": valid}.items():
        text = rows.to_csv(index=False, na_rep="<NA>", lineterminator="\n")
        digest = {"sha256": hashlib.sha256(text.encode()).hexdigest()}
        described = mlflow.data.from_pandas(rows, name=f"cancer-{context}")
        mlflow.log_input(described, context, tags=digest)

print(f"{len(wrong)} of {len(judged)} are wrong, and the run shows which")
print("Look at it: mlflow ui --backend-store-uri sqlite:///mlflow.db --port 5001")

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("logging")

# %% [markdown]
# ## Key points
#
# - **What goes where, and what does a second call do?** A choice is a parameter; changes are refused. A result is a
#   metric: points add up, the highest step shows. A word is a tag, and replaced. The rest are artifacts: a table
#   grows, others are replaced.
# - **How do curves and files get in?** `log_metrics(…, step=…)`; and `log_figure`, `log_table`, `log_text` and their
#   like, or `log_artifact` for a file.
# - **Which rows, which code?** `log_input` with a context, a digest of *all* values, the seed, the commit, edits
#   since, the library's version. MLflow's own digest leaves out rows after 10,000, dates, booleans, and text with
#   gaps.
# - **What does it cost?** One call a value is slow; `log_batch` sends them together. And a password that was logged
#   stays, so log what you name.
#
# ## Next steps
#
# - Do the [homework]({homework:logging}): a run without the password, a curve, a report for a clinic, a number with
#   its origin.
# - Next lecture: [Comparing runs]({step:comparing_runs}), how to find a run among many.
# - Official page: [Tracking APIs](https://mlflow.org/docs/latest/ml/tracking/tracking-api/).
# - Optional depth: set `n_rows` to 1000, or `seed` to 3, and run all again. In which epoch is the network at its best
#   now?
