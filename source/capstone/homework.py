# %% [markdown]
# # Homework: capstone
#
# **90 minutes · 4 tasks and a stretch · 8 points.** This is a project of your own, in one experiment,
# `hw-capstone-project`. The tasks are its stations. You may do them in any order and run every cell as often as you
# like: a check reads what is in the store, your *latest* run of a name counts, and it tells you what is there, what is
# not there yet, and why it matters. When you are stuck, add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %% [markdown]
# ## Your data and your question
#
# Choose one of three data sets, or take a file of your own with a column `target` of 0 and 1. Class 1 is the one that
# somebody must act on:
#
# | `chosen` | one row is | class 1 |
# |---|---|---|
# | `breast_cancer` | a tumour, 30 measurements | malignant |
# | `wine` | a bottle, 13 measurements | of the third vineyard |
# | `digits` | a handwritten digit, 64 points | an eight |
# | `file` | a row of `my_data.csv` beside this notebook, numbers only | `target` is 1 |
#
# A file with text or gaps works, too, when you change the next cells: leave out `astype(float)`, and let `train` begin
# with an encoder and an imputer, as in [Pipelines]({step:pipelines}).

# %%
chosen = "breast_cancer"

# %%
import json

import mlflow
import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import FixedThresholdClassifier, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("capstone")
client = mlflow.MlflowClient()

# %%
def rows_of(chosen):
    """Return training, validation and test rows and labels of a data set."""
    if chosen == "file":
        table = pd.read_csv("my_data.csv")
        X, y = table.drop(columns="target").astype(float), table["target"].astype(float)
    else:
        table = data.bundled(chosen)
        positive = {"breast_cancer": 0, "wine": 2, "digits": 8}[chosen]
        X = table.drop(columns="target").astype(float)
        y = (table["target"] == positive).astype(float)
    X_rest, X_test, y_rest, y_test = train_test_split(X, y, stratify=y, random_state=0)
    parts = train_test_split(X_rest, y_rest, stratify=y_rest, random_state=0)
    return parts[0], parts[1], X_test, parts[2], parts[3], y_test


X_train, X_valid, X_test, y_train, y_valid, y_test = rows_of(chosen)
print(len(X_train), "rows to train,", len(X_valid), "to choose,", len(X_test), "to judge once")

# %%
def train(C):
    """Fit one kind of model; put your own in its place."""
    inner = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=2000))
    return CalibratedClassifierCV(inner, cv=5).fit(X_train, y_train)


def score(model, X, y):
    return roc_auc_score(y, model.predict_proba(X)[:, 1])


def psi(then, now, bins=10):
    """How far a column has moved: the measure of the lecture Monitoring."""
    edges = np.unique(then.quantile(np.arange(1, bins) / bins))
    places = (np.searchsorted(edges, values) for values in (then, now))
    p, q = (np.bincount(at, minlength=bins) / len(at) for at in places)
    p, q = p.clip(1e-4), q.clip(1e-4)  # an empty bin would give infinity
    return float(((q - p) * np.log(q / p)).sum())


# %% [markdown]
# ## Task 1: question, data, baseline (2 points)
#
# In the experiment `hw-capstone-project`, two runs:
#
# - `exploration`: the tag `question`, a sentence of six words or more with a question mark; the parameter `n_rows` (all
#   rows, 50 or more); the metric `positive_share` (the share of class 1); the rows as a data set (`log_input`);
#   and at least one file, a table or a figure of what you looked at;
# - `baseline`: the parameter `model` (what it is), the metric `valid_auc` (ROC-AUC on the validation rows), and the
#   validation rows as a data set with `context="validation"`.

# %% tags=["task-1"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-capstone-project")
table = X_valid.assign(target=y_valid)
seen = mlflow.data.from_pandas(table, targets="target", name="validation rows")
everything = pd.concat([y_train, y_valid, y_test])
table = pd.concat([X_train, X_valid, X_test]).assign(target=everything)
asked = mlflow.data.from_pandas(table, targets="target", name="all rows")

with mlflow.start_run(run_name="exploration"):
    mlflow.set_tag("question", "Which of these must somebody look at first?")
    mlflow.log_param("n_rows", len(everything))
    mlflow.log_metric("positive_share", everything.mean())
    mlflow.log_input(asked, context="exploration")
    mlflow.log_text(X_train.groupby(y_train).mean().T.to_csv(), "means.csv")

with mlflow.start_run(run_name="baseline"):
    dummy = DummyClassifier().fit(X_train, y_train)
    mlflow.log_param("model", "DummyClassifier")
    mlflow.log_input(seen, context="validation")
    mlflow.log_metric("valid_auc", score(dummy, X_valid, y_valid))
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: a search with children (2 points)
#
# In the same experiment, a run `search` with six or more finished **child runs**. Each child has its settings as
# parameters (no two children the same), the metric `valid_auc`, and the validation rows as a data set with
# `context="validation"`, the same rows for all. The parent has the parameter `n_trials` (the number of finished
# children) and the metric `best_valid_auc` (the highest `valid_auc` of the children). The child that has it gets the
# tag `winner` with the value `yes`, and no other child has it.

# %% tags=["task-2"]
mlflow.set_experiment("hw-capstone-project")
### BEGIN SOLUTION
table = X_valid.assign(target=y_valid)
seen = mlflow.data.from_pandas(table, targets="target", name="validation rows")
tried = []
with mlflow.start_run(run_name="search"):
    for C in np.logspace(-4, 1, 6):
        with mlflow.start_run(run_name=f"C-{C:.2g}", nested=True) as child:
            mlflow.log_param("C", C)
            mlflow.log_input(seen, context="validation")
            auc = score(train(C), X_valid, y_valid)
            mlflow.log_metric("valid_auc", auc)
            tried.append((auc, child.info.run_id))
    mlflow.log_param("n_trials", len(tried))
    mlflow.log_metric("best_valid_auc", max(tried)[0])
client.set_tag(max(tried)[1], "winner", "yes")
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: the model that goes live (2 points)
#
# In the same experiment, a run `final` with the parameters `threshold` (between 0 and 1) and `calibration` (the method,
# or `none`), and a logged model that has the **threshold inside**: a `FixedThresholdClassifier` or
# `TunedThresholdClassifierCV` in skops format, or a pyfunc model of your own. The metrics `test_auc` and `test_f1` on
# the test rows are logged with `model_id=` and `dataset=`, and `test_f1` is above 0.
#
# Register it as `hw-capstone-model`, and let a **gate** decide, by the first line of the lecture's: by a paired
# bootstrap on the validation rows, does the lower end of the 95 % interval of its lead in ROC-AUC over your baseline
# lie above 0? The version gets the tags `gate` (`passed` or `refused`), `gate_low` (that lower end) and `signed_by`
# (you). Only a version that has passed gets the alias `champion`.
#
# With a good baseline and few rows the gate may say no. Then do not look for a weaker baseline: a refusal that can be
# read in the store is a result, and has the same points.

# %% tags=["task-3"]
mlflow.set_experiment("hw-capstone-project")
### BEGIN SOLUTION
settings = {"C": 0.1, "calibration": "sigmoid"}
calibrated = train(settings["C"])
p = calibrated.predict_proba(X_valid)[:, 1]
grid = np.linspace(0.05, 0.95, 91)
threshold = float(max(grid, key=lambda t: f1_score(y_valid, p >= t)))
deciding = FixedThresholdClassifier(calibrated, threshold=threshold)
deciding.fit(X_train, y_train)
table = X_test.assign(target=y_test)
judged = mlflow.data.from_pandas(table, targets="target", name="test rows")

with mlflow.start_run(run_name="final"):
    mlflow.log_params(settings | {"threshold": threshold})
    info = store.log_model(deciding, "model", X_train)
    on = {"model_id": info.model_id, "dataset": judged}
    mlflow.log_metric("test_auc", score(deciding, X_test, y_test), **on)
    mlflow.log_metric("test_f1", f1_score(y_test, deciding.predict(X_test)), **on)

rng, truth, leads = np.random.default_rng(0), y_valid.to_numpy(), []
dummy = DummyClassifier().fit(X_train, y_train).predict_proba(X_valid)[:, 1]
for _ in range(300):
    drawn = rng.integers(0, len(truth), len(truth))
    ours = roc_auc_score(truth[drawn], p[drawn])
    leads.append(ours - roc_auc_score(truth[drawn], dummy[drawn]))
low = np.quantile(leads, 0.025).round(3)

version = mlflow.register_model(info.model_uri, "hw-capstone-model").version
tags = {"gate": "passed" if low > 0 else "refused", "gate_low": low, "signed_by": "me"}
for key, value in tags.items():
    client.set_model_version_tag("hw-capstone-model", version, key, value)
if low > 0:
    client.set_registered_model_alias("hw-capstone-model", "champion", version)
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: alive and accounted for (2 points)
#
# All about *your version*. Which one is it?
#
# - Your gate has passed one: the champion, `models:/hw-capstone-model@champion`.
# - It has passed none, but refused some: the newest refused one, by its number, such as `models:/hw-capstone-model/2`.
# - Nothing is registered yet: a cell below makes a plain champion, the **stand-in**. When Task 3 has made a version of
#   yours, run this task again.
#
# Four runs in the same experiment:
#
# - `served`: the file `answer.json` with the keys `version` (its number) and `predictions` (a list of three or more
#   classes, 0 or 1), as the model gives them when it is served: by `mlflow models serve`, or by `ask` below;
# - `window`: the metric `drift` of one column against the training rows, with a step for each of three or more windows;
#   the parameter `limit`; the tag `alert`, `yes` when any drift is above the limit and `no` when none is. Small windows
#   differ by chance: where nothing has moved, 50 rows in ten bins have a PSI of about 0.26, and in four bins of 0.07;
# - `again`: a second training from the recorded settings: the tag `reproduces` (the id of the run that logged your
#   version) and the metric `test_auc`, the same as there;
# - `report`: the file `report.md`, 120 words or more, with the headings `Question`, `Data`, `Result` and `Limits`. It
#   gives `test_auc` and `test_f1` with three decimals, as the store has them, and says which version it is about, for
#   example "version 1".
#
# The check looks at parts and numbers. For the text, give yourself 0, 1 or 2 points for each line of the rubric in the
# lecture, and ask somebody else to do the same.

# %%
def ask(uri, X):
    """Return what a server of this model would answer, from JSON to JSON, without its HTTP."""
    file = store.outputs("hw-capstone") / "answer.json"
    mlflow.models.predict(uri, X, env_manager="local", output_path=str(file))
    return json.loads(file.read_text())


# %%
mlflow.set_experiment("hw-capstone-stand-in")
if not mlflow.search_registered_models(filter_string="name = 'hw-capstone-model'"):
    with mlflow.start_run(run_name="stand-in"):
        model = train(1.0)
        mlflow.log_params({"C": 1.0, "threshold": 0.5})
        mlflow.log_metric("test_auc", score(model, X_test, y_test))
        mlflow.log_metric("test_f1", f1_score(y_test, model.predict(X_test)))
        uri = store.log_model(model, "model", X_train).model_uri
    made = mlflow.register_model(uri, "hw-capstone-model").version
    client.set_registered_model_alias("hw-capstone-model", "champion", made)

# %% tags=["task-4"]
mlflow.set_experiment("hw-capstone-project")
### BEGIN SOLUTION
champion = client.get_model_version_by_alias("hw-capstone-model", "champion")
record = client.get_run(champion.run_id).data

with mlflow.start_run(run_name="served"):
    answer = ask("models:/hw-capstone-model@champion", X_test.head(5))
    mlflow.log_dict(answer | {"version": champion.version}, "answer.json")

column, limit = X_train.columns[20 % X_train.shape[1]], 0.25
with mlflow.start_run(run_name="window"):
    mlflow.log_params({"column": column, "limit": limit})
    drifts = []
    for step, part in enumerate(np.array_split(np.arange(len(X_test)), 3)):
        drifts.append(psi(X_train[column], X_test[column].iloc[part], bins=4))
        mlflow.log_metric("drift", drifts[-1], step=step)
    mlflow.set_tag("alert", "yes" if max(drifts) > limit else "no")

with mlflow.start_run(run_name="again"):
    mlflow.set_tag("reproduces", champion.run_id)
    repeated = train(float(record.params["C"]))
    mlflow.log_metric("test_auc", score(repeated, X_test, y_test))

REPORT = """# Report
## Question
Which of these must somebody look at first? Today an expert looks at all of them, in
the order in which they come in. The answer sorts the pile: what the model calls goes
to the top and is looked at the same day. To miss one is dearer than one too many.
## Data
{n} rows that come with scikit-learn, numbers only. A quarter of them was kept for the
test and opened once, after every choice had been made.
## Result
The champion is version {version}. On the test rows its ROC-AUC is {auc:.3f}, where
guessing reaches 0.5, and its F1 at the threshold {threshold} is {f1:.3f}. The low end of
its lead over guessing, on the validation rows, is {low}. The same training, repeated
from the record, gave the same.
## Limits
The threshold has the highest F1, which does not weigh that a miss is dearer.
The rows are from one place and one time. Nobody has tried whether sorting the pile
helps anybody, and three windows of test rows are not three months: drift has to be
watched where the model is used.
"""
text = REPORT.format(
    n=len(X_train) + len(X_valid) + len(X_test),
    version=champion.version,
    auc=record.metrics["test_auc"],
    f1=record.metrics["test_f1"],
    threshold=record.params["threshold"],
    low=champion.tags.get("gate_low", "not known"),
)
with mlflow.start_run(run_name="report"):
    mlflow.log_text(text, "report.md")
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: where it does worse (no points)
#
# An average hides groups. In the same experiment, a run `slices` with the file `slices.csv`: two or more groups of test
# rows, with the columns `slice` (a name), `n` (rows, ten or more) and `auc` (ROC-AUC in this group).

# %% tags=["task-5"]
mlflow.set_experiment("hw-capstone-project")
### BEGIN SOLUTION
model, column = train(0.1), X_test.columns[0]
middle, found = X_test[column].median(), []
for label, inside in {"low": X_test[column] <= middle, "high": X_test[column] > middle}.items():
    labels, scores = y_test[inside], model.predict_proba(X_test[inside])[:, 1]
    auc = roc_auc_score(labels, scores)
    found.append({"slice": f"{column} {label}", "n": inside.sum(), "auc": auc})
with mlflow.start_run(run_name="slices"):
    mlflow.log_text(pd.DataFrame(found).to_csv(index=False), "slices.csv")
### END SOLUTION

# %%
hw.check(5)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** Every station reads what an earlier one recorded: the gate compares with the baseline, the served
# answer names the champion, the repetition takes its settings from the champion's run, and the report formats numbers
# that it reads from there. In a task each setting is typed once, so model and record cannot disagree. Only `C` is typed
# in Task 3, because each task works alone: in your project, read it from the child with the tag `winner`. This solution
# is one of many: the file `answers.py` of the course's sources holds others, with the wines and the digits.
