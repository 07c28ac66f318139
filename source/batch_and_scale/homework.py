# %% [markdown]
# # Homework 15: a batch, a reproduction, and yourself as data
#
# **30 minutes · 4 tasks and a stretch · 8 points.** A check reads the newest run of a name, and the files in
# `outputs/hw-batch-and-scale`. Stuck? Add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import json

import mlflow
import nbformat
import pandas as pd
import papermill
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from course_utils import data, store
from course_utils.homework import Homework, attempts, practice

store.connect()
hw = Homework("batch_and_scale")
folder = store.outputs("hw-batch-and-scale")
new = nbformat.v4
python = {"name": "python3", "display_name": "Python 3", "language": "python"}

# %% [markdown]
# ## Task 1: prepare a batch (2 points)
#
# The cell writes `template.ipynb` with the parameters `region`, `C` and `seed`. Prepare four notebooks for the cluster:
# `north-0.1.ipynb`, `north-1.0.ipynb`, `south-0.1.ipynb` and `south-1.0.ipynb` in the same folder, each with its
# `region` and `C` given by papermill. `prepare_only=True` writes a notebook without running it.

# %% tags=["task-1"]
template = folder / "template.ipynb"
given = new.new_code_cell("region = 'west'\nC = 10.0\nseed = 0", metadata={"tags": ["parameters"]})
training = new.new_code_cell("print(region, C, seed)")
nbformat.write(new.new_notebook(cells=[given, training], metadata={"kernelspec": python}), template)
print("parameters:", list(papermill.inspect_notebook(template)))

# %% tags=["task-1"]
### BEGIN SOLUTION
for region in ("north", "south"):
    for C in (0.1, 1.0):
        papermill.execute_notebook(
            template, folder / f"{region}-{C}.ipynb", parameters={"region": region, "C": C}, prepare_only=True
        )
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: read a batch back (2 points)
#
# The cluster is done: the cell puts four executed notebooks into `executed/`. In the experiment `hw-batch-and-scale-batch`, log **one
# run per notebook**, named like its file (`region-north`, …): the parameter `C` that papermill used, and the metric
# `cv_auc` that its *last* cell printed as JSON. One notebook failed: it has no result. Its run must be there too, with
# the status FAILED.

# %% tags=["task-2"]
def fake_batch():
    """Write executed notebooks as papermill leaves them."""
    (folder / "executed").mkdir(exist_ok=True)
    for n, region in enumerate(("north", "south", "east", "west")):
        C, score = [0.1, 1.0][n % 2], 0.7 + ((n + data.course_seed()) % 7) / 50
        printed = [new.new_output("stream", text=json.dumps(r)) for r in ({"cv_auc": score + 0.1}, {"cv_auc": score})]
        first, last = new.new_code_cell("train", outputs=printed[:1]), new.new_code_cell("test", outputs=printed[1:])
        if region == "east":
            last.outputs = [new.new_output("error", ename="ValueError", evalue="no rows for east")]
        about = {"parameters": {"C": C, "region": region}, "exception": region == "east" or None}
        notebook = new.new_notebook(cells=[first, last], metadata={"kernelspec": python, "papermill": about})
        nbformat.write(notebook, folder / "executed" / f"region-{region}.ipynb")


# %% tags=["task-2"]
fake_batch()
files = sorted((folder / "executed").glob("*.ipynb"))
mlflow.set_experiment("hw-batch-and-scale-batch")
### BEGIN SOLUTION
for file in files:
    done = nbformat.read(file, as_version=4)
    with mlflow.start_run(run_name=file.stem):
        mlflow.log_param("C", done.metadata.papermill.parameters.C)
        output = done.cells[-1].outputs[0]
        if output.output_type == "error":
            mlflow.end_run("FAILED")
        else:
            mlflow.log_metric("cv_auc", json.loads(output.text)["cv_auc"])
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: the same number again (2 points)
#
# The cell makes a run `spring` in the experiment `hw-batch-and-scale-spring`; look at how it trains. In the experiment `hw-batch-and-scale-again`,
# make a run `spring-again` that takes *all* settings from the stored run, trains once more, and logs the metric
# `test_auc` (equal to the last bit), the tag `data_digest`, and the tag `reproduces` with the id of the old run.

# %% tags=["task-3"]
def train(n_rows, data_seed, max_depth, model_seed):
    """Return the test ROC-AUC of a forest and the digest of its data."""
    split = data.churn_split(n_rows, data_seed, numeric=True)
    forest = RandomForestClassifier(15, max_depth=max_depth, random_state=model_seed).fit(split.X_train, split.y_train)
    return roc_auc_score(split.y_test, forest.predict_proba(split.X_test)[:, 1]), split.digest


mlflow.set_experiment("hw-batch-and-scale-spring")
settings = {"n_rows": 640, "data_seed": data.course_seed() + 5, "max_depth": 3, "model_seed": 11}
with mlflow.start_run(run_name="spring") as spring:
    auc, digest = train(**settings)
    mlflow.log_params(settings)
    mlflow.log_metric("test_auc", auc)
    mlflow.set_tag("data_digest", digest)
del settings, auc, digest  # only the store knows them now

# %% tags=["task-3"]
mlflow.set_experiment("hw-batch-and-scale-again")
### BEGIN SOLUTION
kept = mlflow.get_run(spring.info.run_id).data
with mlflow.start_run(run_name="spring-again"):
    again, digest = train(**{name: int(value) for name, value in kept.params.items()})
    mlflow.log_metric("test_auc", again)
    mlflow.set_tags({"data_digest": digest, "reproduces": spring.info.run_id})
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: which mistake did you make most? (2 points)
#
# Every check of this course was kept as a run: tags `homework`, `task`, `outcome` and `mistake` (its code, `ok`, or
# `not-started`), in a store of its own. `where` is its address. (A practice store with invented attempts, when you have
# made no mistake yet.) Leave out the homework `batch_and_scale`, which is still under way, and `not-started`. Then
#
# - write `outputs/hw-batch-and-scale/mistakes.csv` with the columns `mistake` and `attempts`, most frequent first, without `ok`;
# - in the experiment `hw-batch-and-scale-me`, make a run `my-attempts` with the metrics `attempts` (all that are left, passed ones
#   too) and `share_passed` (0 to 1), and the tag `top_mistake`.
#
# Do not point MLflow to the other store; a client with its address reads it: `mlflow.MlflowClient(where)`.

# %% tags=["task-4"]
where = practice.attempts_uri()
mlflow.set_experiment("hw-batch-and-scale-me")
### BEGIN SOLUTION
client = mlflow.MlflowClient(where)
mine = client.get_experiment_by_name(attempts.EXPERIMENT)
query = "tags.homework != 'batch_and_scale' AND tags.mistake != 'not-started'"
found = client.search_runs([mine.experiment_id], query, max_results=5000)
codes = pd.Series([run.data.tags["mistake"] for run in found])
mistakes = codes[codes != "ok"].value_counts().rename_axis("mistake").reset_index(name="attempts")
mistakes.to_csv(folder / "mistakes.csv", index=False)
with mlflow.start_run(run_name="my-attempts"):
    mlflow.log_metrics({"attempts": len(codes), "share_passed": (codes == "ok").mean()})
    mlflow.set_tag("top_mistake", mistakes["mistake"].iloc[0])
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: a project of your own (no points)
#
# Write a folder `outputs/hw-batch-and-scale/project` with an `MLproject` and a `train.py`. The entry point `main` has a parameter `C`
# of type float with a default, and a command that hands it to `train.py`; the script reads it and logs it as a metric
# or trains with it. (Try it in a terminal: `mlflow run outputs/hw-batch-and-scale/project -P C=0.1 --env-manager local`.)

# %% tags=["task-5"]
project = store.outputs("hw-batch-and-scale") / "project"
### BEGIN SOLUTION
project.mkdir(exist_ok=True)
files = {}
files["MLproject"] = """
name: homework
entry_points:
  main:
    parameters:
      C: {type: float, default: 1.0}
    command: "python train.py {C}"
"""
files["train.py"] = """
import sys
import mlflow
mlflow.log_metric("C_squared", float(sys.argv[1]) ** 2)
"""
for name, text in files.items():
    (project / name).write_text(text)
### END SOLUTION

# %%
hw.check(5)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** papermill leaves parameters and failures in the notebook's metadata, so a batch can be read back
# long after it ran. A reproduction takes nothing from memory: settings from the store, data proven by its digest, the
# result compared with `==`. And your attempts are an experiment like any other: the tool that you learned tells what
# you learned.
