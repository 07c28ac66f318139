# %% [markdown]
# # Homework: batches, a sweep to mend, and yourself as data
#
# **30 minutes · 4 tasks and a stretch · 8 points.** A check reads the newest run of a name, and the files in
# `outputs/hw-batch-and-scale`. Stuck? Add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import json
from concurrent.futures import ThreadPoolExecutor

import mlflow
import nbformat
import pandas as pd
import papermill
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

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
            template,
            folder / f"{region}-{C}.ipynb",
            parameters={"region": region, "C": C},
            prepare_only=True,
        )
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: read a batch back (2 points)
#
# The cluster is done: the cell puts four executed notebooks into `executed/`. In the experiment
# `hw-batch-and-scale-batch`, log **one run per notebook**, named like its file (`region-north`, …): the parameter `C`
# that papermill used, and the metric `cv_auc` that its *last* cell printed as JSON. One notebook failed: it has no
# result. Its run must be there too, with the status FAILED and without `cv_auc`, because what its first cell printed is
# the score on the training rows.

# %% tags=["task-2"]
def fake_batch():
    """Write executed notebooks as papermill leaves them."""
    (folder / "executed").mkdir(exist_ok=True)
    for n, region in enumerate(("north", "south", "east", "west")):
        C, score = [0.1, 1.0][n % 2], 0.7 + ((n + data.course_seed()) % 7) / 50
        results = ({"cv_auc": score + 0.1}, {"cv_auc": score})
        printed = [new.new_output("stream", text=json.dumps(r)) for r in results]
        first = new.new_code_cell("train", outputs=printed[:1])
        last = new.new_code_cell("test", outputs=printed[1:])
        if region == "east":
            last.outputs = [new.new_output("error", ename="ValueError", evalue="no rows for east")]
        about = {"parameters": {"C": C, "region": region}, "exception": region == "east" or None}
        about = {"kernelspec": python, "papermill": about}
        notebook = new.new_notebook(cells=[first, last], metadata=about)
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
# ## Task 3: Jonas's sweep (2 points)
#
# Jonas spreads a sweep over threads, on wines instead of customers. His cell logs each score as soon as it is there,
# and it stops at the bad value `-1.0`. His scores land in runs of other values. Run the sweep so that nothing is mixed
# up or lost: in the experiment `hw-batch-and-scale-wines`, one run for *each* of the four values, named `wine-` and the
# value (`wine-0.001`, …, `wine--1.0`), with the parameter `C`. A run that has a score holds it as the metric
# `cv_accuracy`. The one that fails ends FAILED, without a metric, and its tag `error` holds the name of the error's
# class.

# %% tags=["task-3"]
def score(C):
    """Return the accuracy over five folds, or raise an error for a bad value."""
    X, y = load_wine(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=C))
    return cross_val_score(model, X, y, error_score="raise").mean()


values = [0.001, 0.01, -1.0, 0.1]
# Jonas's lines, which are wrong:
# from concurrent.futures import as_completed
# with ThreadPoolExecutor(2) as pool:
#     jobs = [pool.submit(score, C) for C in values]
#     for C, job in zip(values, as_completed(jobs)):
#         with mlflow.start_run(run_name=f"wine-{C}"):
#             mlflow.log_metric("cv_accuracy", job.result())

# %% tags=["task-3"]
mlflow.set_experiment("hw-batch-and-scale-wines")
### BEGIN SOLUTION
with ThreadPoolExecutor(2) as pool:
    jobs = [pool.submit(score, C) for C in values]
for C, job in zip(values, jobs, strict=True):
    with mlflow.start_run(run_name=f"wine-{C}"):
        mlflow.log_param("C", C)
        if error := job.exception():
            mlflow.set_tag("error", type(error).__name__)
            mlflow.end_run("FAILED")
        else:
            mlflow.log_metric("cv_accuracy", job.result())
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: which mistake did you make most? (2 points)
#
# Every check of this course was kept as a run: tags `homework`, `task`, `outcome` and `mistake` (its code, `ok`, or
# `not-started`), in a store of its own. `where` is its address, `attempts.EXPERIMENT` the name of its experiment. (A
# practice store with invented attempts, when you have made no mistake yet.) Leave out the homework `batch_and_scale`,
# which is still under way, and `not-started`. Then
#
# - write `outputs/hw-batch-and-scale/mistakes.csv` with the columns `mistake` and `attempts`, most frequent first,
#   without `ok`;
# - in the experiment `hw-batch-and-scale-me`, make a run `my-attempts` with the metrics `attempts` (all that are left,
#   passed ones too) and `share_passed` (0 to 1), and the tag `top_mistake`.
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
# ## Stretch: a second and a third chance (no points)
#
# `load_table(attempt)` fails twice before it returns a number of rows, as a table that is late. Write the loop that an
# orchestrator would run: call it with 1, 2, 3, … until it returns. In the experiment `hw-batch-and-scale-retries`, each
# attempt is a run `attempt-1`, `attempt-2`, … with the parameter `attempt`. A failed one ends FAILED with the tag
# `error` (the name of the error's class) and without a metric; the last one ends well and has the metric `rows`.

# %% tags=["task-5"]
def load_table(attempt):
    """Return the number of rows, at the third attempt."""
    if attempt < 3:
        raise ConnectionError("the table is not there yet")
    return 400 + data.course_seed()


mlflow.set_experiment("hw-batch-and-scale-retries")
### BEGIN SOLUTION
for attempt in range(1, 6):
    with mlflow.start_run(run_name=f"attempt-{attempt}"):
        mlflow.log_param("attempt", attempt)
        try:
            mlflow.log_metric("rows", load_table(attempt))
            break
        except ConnectionError as error:
            mlflow.set_tag("error", type(error).__name__)
            mlflow.end_run("FAILED")
### END SOLUTION

# %%
hw.check(5)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** papermill leaves parameters and failures in the notebook's metadata, so a batch can be read back
# long after it ran. A future belongs to the call that it was the receipt for, so each value is kept beside its own, and
# an error that is looked at becomes a run instead of ending the loop. And your attempts are an experiment like any
# other: the tool that you learned tells what you learned.
