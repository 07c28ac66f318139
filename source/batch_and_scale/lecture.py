# %% [markdown]
# # Batch and scale: the same notebook, many times
#
# **How do you run one notebook for every setting, on more than one process, and every Monday, without losing a
# result?**
#
# We will build a batch of notebooks that MLflow can compare, spread it over a small Dask cluster, and hand the weekly
# run to an orchestrator that tries again when something breaks. Folded parts marked *More* can wait.
#
# Afterwards you can
# - **run** a notebook over a grid of parameters, and **read** the results back into runs;
# - **keep** a batch going when a point fails, and **pair** each result with its values;
# - **say** when a cluster pays, and what an orchestrator adds.
#
# **You need:** [MLflow basics]({step:mlflow_basics}), [Logging]({step:logging}), and
# [Comparing runs]({step:comparing_runs}).
#
# **Time:** 17 min to read · 17 min to do. After Round 2 is a good place for a pause.
#
# <!-- links -->

# %% [markdown]
# ## Recall
#
# One question on an earlier lecture. Click an answer; each of them replies.

# %%
from course_utils import lesson

lesson.quiz("batch_and_scale", "recall")

# %% [markdown]
# ## The problem
#
# Every Monday Mira opens her training notebook, sets `C` in the second cell, runs all, and copies the score into a
# table. Then she does the same for the next value. Last Monday she made four rounds, and two rows of her table show
# the same score: she had forgotten to run the cell that she had changed. Nobody can tell which of the two is right.
#
# A loop would not forget. It needs three things:
#
# - a notebook that takes values from outside;
# - a place where each result goes together with its values;
# - something that starts the loop.
#
# The picture shows the parts that we will use.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
from course_utils import plots

boxes = {
    "start": (1.3, 3.2, "Dagster\nstarts the batch,\ntries again"),
    "batch": (6.6, 3.2, "this notebook\nwalks the grid,\nlogs every run"),
    "work": (6.6, 0.6, "papermill\nruns one notebook,\nhere or on a worker"),
    "store": (11.9, 3.2, "MLflow\nkeeps parameters,\nscores, notebooks"),
}
arrows = [
    ("start", "batch", "Monday"),
    ("batch", "work", "values"),
    ("batch", "store", "runs"),
]
title = "One notebook sends values out and writes every result"
plots.show(plots.diagram(boxes, arrows, title=title, width=9, height=4.4))

# %% [markdown]
# ## Setup
#
# `store.connect()`: see [MLflow basics]({step:mlflow_basics}). `folder` is deleted near the end; after that, run all
# again. On macOS use Python 3.13 for this lecture: for 3.14, a part of Dagster has no ready-made package there yet.

# %% tags=["parameters"]
seed = 0
n_rows = 1200
strengths = [0.001, 1.0]  # values of C in the first batch

# %%
import contextlib
import json
import os
import sys
import tempfile
from itertools import product
from pathlib import Path

import mlflow
import nbformat
import papermill
from nbclient.exceptions import DeadKernelError

from course_utils import data, store

# %%
store.connect()
mlflow.set_experiment("churn-batch")
folder = Path(tempfile.mkdtemp())  # empty each time; removed at the end
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Round 1: a notebook over a grid
#
# **papermill** is a package that runs a notebook with other values than those written in it. The notebook must have
# one cell with the tag `parameters`, which holds the usual values. papermill inserts a cell *below* it that sets the
# new ones, runs everything, and saves the result as another notebook.
#
# In JupyterLab you give a cell this tag with the gear at the top right, under *Cell Tags*. Here we write Mira's
# notebook from code. Note its last line: it prints the result as JSON, for a program to read, and raises an error for
# NaN.

# %%
training = """import json
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from course_utils import data

split = data.churn_split(n_rows, seed, numeric=True)
model = make_pipeline(StandardScaler(), LogisticRegression(C=C))
scores = cross_val_score(model, split.X_train, split.y_train, scoring="roc_auc")
print(json.dumps({"cv_auc": scores.mean()}, allow_nan=False))"""

# %%
new = nbformat.v4
usual = "C = 1.0\nn_rows = 1200\nseed = 0"
cells = [
    new.new_code_cell(usual, metadata={"tags": ["parameters"]}),
    new.new_code_cell(training),
]
python = {"name": "python3", "display_name": "Python 3", "language": "python"}
notebook = new.new_notebook(cells=cells, metadata={"kernelspec": python})
nbformat.write(notebook, folder / "train.ipynb")
print("papermill sees:", list(papermill.inspect_notebook(folder / "train.ipynb")))

# %% [markdown]
# A **grid** is every combination of some values. Ours has two values of `C`, each with `n_rows` customers and with
# half as many. One combination is a **point**. papermill starts a kernel for each, which takes a second or two.
#
# **Predict.** How many notebooks run, and how many cells does each *executed* notebook have?

# %%
predicted = {"notebooks": "?", "cells": "?"}

# %%
quiet = {"progress_bar": False, "extra_arguments": ["--log-level=CRITICAL"]}
grid = list(product(strengths, [n_rows // 2, n_rows]))
for C, rows in grid:
    name = f"C-{C}-rows-{rows}"
    values = {"C": C, "n_rows": rows, "seed": seed}
    done = papermill.execute_notebook(
        folder / "train.ipynb", folder / f"{name}.ipynb", parameters=values, **quiet
    )
    print(name, "has", len(done.cells), "cells")

# %% tags=["claims"]
CHANGES = [{"n_rows": 800}, {"seed": 3}]

files = sorted(folder.glob("C-*.ipynb"))
assert len(files) == 4
assert all(len(nbformat.read(file, 4).cells) == 3 for file in files)
assert len(nbformat.read(folder / "train.ipynb", 4).cells) == 2

# %% [markdown]
# You should see four notebooks with three cells each: the two that we wrote, and the one that papermill inserted. If
# you see two cells, no parameters were passed.
#
# ### Reading the results back
#
# Nothing is in MLflow yet, on purpose. A notebook that does not log needs no access to the store, wherever it runs. Its
# executed copy is the record, and is read back here.
#
# The **result** is the last line that the last cell *printed*. But a point may fail. papermill then saves the notebook
# with the error in it, and raises the error *in your loop*. Ours has no such point, and Round 2 shows how to catch the
# error. The function below looks for an error first. It returns score and error, and one of the two is None.
#
# <details class="more"><summary>More: killed kernels, warnings, and the log level</summary>
#
# A kernel that is killed, for example because memory ran out, leaves no error in the notebook. It leaves no result in
# JSON either, so the function returns the error `no result`.
#
# A warning in the last cell is an output as well. It goes to another stream, `stderr`, so it is not taken for the
# result.
#
# `--log-level=CRITICAL`, in the cell that ran the grid, keeps each kernel from printing a reminder that other users
# of the same machine could listen to it.
#
# </details>

# %%
def read_executed(text):
    """Return score and error of an executed notebook; one of them is None."""
    done = nbformat.reads(text, as_version=4)
    outputs = [out for cell in done.cells for out in cell.get("outputs", [])]
    for out in outputs:
        if out.output_type == "error":
            return None, out.ename
    last = done.cells[-1].get("outputs", [])
    printed = "".join(out.text for out in last if out.get("name") == "stdout")
    try:
        return json.loads(printed.splitlines()[-1])["cv_auc"], None
    except (LookupError, TypeError, ValueError):  # no JSON with a score
        return None, "no result"

# %% [markdown]
# A second function makes a run of each notebook. It keeps
#
# - **the values.** papermill writes those that you *pass* into the notebook's *metadata*, a part of the file that no
#   cell shows. A usual value that you do not pass is not there, so pass all that you want to find again, but no
#   password: it would stay in the file and in MLflow.
# - **the notebook itself**, with code and outputs, by `log_text`.
# - **the score, or the error.** An error becomes a tag, and the run ends as FAILED.
#
# Next Monday's runs will lie in the same experiment. So each run gets a tag `batch` with a name that no other batch
# has, here that of the folder.

# %%
def log_executed(name, text):
    """Log one executed notebook, given as text: its values, and score or error."""
    done = nbformat.reads(text, as_version=4)
    score, error = read_executed(text)
    with mlflow.start_run(run_name=name, tags={"batch": folder.name}) as run:
        mlflow.log_params(done.metadata.papermill.parameters)
        mlflow.log_text(text, f"executed/{name}.ipynb")
        if error:
            mlflow.set_tag("error", error)
            mlflow.end_run("FAILED")
        else:
            mlflow.log_metric("cv_auc", score)
    return run.info.run_id


# %%
for file in sorted(folder.glob("C-*.ipynb")):
    log_executed(file.stem, file.read_text(encoding="utf8"))

# %%
today = f"tags.batch = '{folder.name}'"
runs = mlflow.search_runs(experiment_names=["churn-batch"], filter_string=today)
batch = runs.set_index("tags.mlflow.runName")
batch[["params.C", "params.n_rows", "metrics.cv_auc"]].sort_index().round(3)

# %% tags=["claims"]
assert len(batch) == 4 and set(batch["status"]) == {"FINISHED"}
assert set(batch["params.n_rows"]) == {str(n_rows // 2), str(n_rows)}
for file in files:
    values = nbformat.read(file, 4).metadata.papermill.parameters
    assert batch.loc[file.stem, "params.C"] == str(values.C)
# a warning may come after the result; a kernel may die after it has printed something
for name_, printed_, right_ in (("late", '{"cv_auc": 0.7}', "FINISHED"), ("dead", "fold 1", "FAILED")):
    odd_ = nbformat.read(files[0], 4)
    streams_ = {"stdout": printed_ + "\n", "stderr": "a warning\n"}
    odd_.cells[-1].outputs = [nbformat.v4.new_output("stream", name=n, text=t) for n, t in streams_.items()]
    run_ = log_executed(name_, nbformat.writes(odd_))
    assert mlflow.get_run(run_).info.status == right_
    mlflow.delete_run(run_)

# %% [markdown]
# You should see one row for each notebook; if more, you logged them twice: run all again. Name, values and score come
# from one file, so none is mixed up.
#
# ### The series itself is a batch
#
# All lectures of this course have a cell with the tag `parameters`, so they are such a batch, too.
#
# <details class="more"><summary>More: four commands for the lectures of this course</summary>
#
# In a terminal, in the course folder, the first line runs all lectures. The second runs two of them with another
# value, two at a time. The third goes on with what did not finish. The last one runs a grid and sorts it by a metric.
#
# ```bash
# course run
# course run mlflow_basics comparing_runs -p n_rows 500 -j 2
# course run --resume
# course sweep comparing_runs --grid n_rows=500,1000 --metric test_auc
# ```
#
# </details>
#
# ## Round 2: a sweep without a shared disk
#
# No point of a grid waits for another, so they can be spread over several processes. **Dask** does this with three
# kinds of process:
#
# - **workers** compute;
# - a **scheduler** decides which worker does what;
# - the **client**, here this notebook, sends work to the scheduler and collects the results.
#
# Together they are a **cluster**. Ours has two workers on this machine.

# %%
from dask.distributed import Client, LocalCluster

local = {
    "n_workers": 2,
    "threads_per_worker": 1,
    "host": "127.0.0.1",  # reachable from this machine only
    "scheduler_port": 0,  # 0: any port that is free
    "dashboard_address": "127.0.0.1:0",  # its web page; None would ask for 8787
    "local_directory": str(folder / "dask"),
    "silence_logs": "ERROR",
}
cluster = LocalCluster(**local)
client = Client(cluster)
print(len(client.scheduler_info()["workers"]), "workers")

# %% tags=["claims"]
assert len(client.scheduler_info()["workers"]) == 2

# %% [markdown]
# On a real cluster the client gets an address instead of `LocalCluster`:
# `Client("tcp://scheduler.nordtel.example:8786")`. But `folder / "train.ipynb"` in Round 1 is a path on *this*
# machine. A worker elsewhere has no such file, and what it writes stays on its own disk, where nobody looks.
#
# The way out is to send **text instead of paths**. The function below receives the notebook as text, works in a
# temporary folder of its own machine, and returns the executed notebook as text. It also returns its process id,
# which shows where it ran. Only this notebook writes to MLflow, so the workers need no access to the store.

# %%
def run_as_text(text, values):
    """Run a notebook, given and returned as text, wherever this is called."""
    with tempfile.TemporaryDirectory() as own:
        source, target = Path(own, "in.ipynb"), Path(own, "out.ipynb")
        source.write_text(text, encoding="utf8")
        # a point that fails still comes back
        with contextlib.suppress(papermill.PapermillExecutionError, DeadKernelError):
            papermill.execute_notebook(source, target, parameters=values, **quiet)
        return target.read_text(encoding="utf8"), os.getpid()

# %% [markdown]
# When a cell fails, `suppress` swallows papermill's error. So the executed notebook comes back all the same, and
# `log_executed` sees what happened.
#
# `client.submit` sends one call and returns at once a **future**, a receipt for a result that does not exist yet.
# `client.gather` waits for all results and returns them *in the order of the receipts*.
#
# <details class="more"><summary>More: the same call again, a killed kernel, a lost worker</summary>
#
# `pure=False` says that the same call is to be computed anew, even if Dask still holds its result.
#
# papermill raises another error when the kernel is killed, and `suppress` swallows that as well. Anything else, such as
# a worker that has no such kernel, is not a failed point but a broken worker, and `gather` raises it.
#
# When a worker is lost, Dask runs the call again on another one, so a job that logs for itself leaves two runs. If a
# call fails, or has lost four workers, `gather` raises that error and returns nothing. Then ask each receipt for its
# own `future.result()`, inside `try`.
#
# </details>
#
# **Predict.** Which process ids will you find: this notebook's, or others?

# %%
prediction = "?"  # this notebook's or others

# %%
text = (folder / "train.ipynb").read_text(encoding="utf8")
sweep = [0.01, 0.1]
points = [{"C": C, "n_rows": n_rows, "seed": seed} for C in sweep]
futures = [client.submit(run_as_text, text, values, pure=False) for values in points]
results = client.gather(futures)

# %%
for values, (executed, process) in zip(points, results, strict=True):
    name = f"C-{values['C']}-rows-{n_rows}"
    log_executed(name, executed)
    print(name, "| ran in this notebook's process:", process == os.getpid())

# %% tags=["claims"]
assert all(process != os.getpid() for _, process in results)
six = mlflow.search_runs(experiment_names=["churn-batch"], filter_string=today)
assert len(six) == 6 and set(six["status"]) == {"FINISHED"}

# %% [markdown]
# You should see False twice: the work was done in other processes, and no file was shared between them and us.
#
# **When does a cluster pay?** When a call takes longer than sending it and its result. Our notebooks take a second or
# two, so it does. With fits of some milliseconds it does not, and more workers would only add more sending.
#
# **What besides the address must change** on a real cluster? Each worker needs the same packages, and must be able to
# read the data. The most important is **access**: whoever reaches a Dask scheduler can run code on its workers. It
# belongs in a closed network, with TLS.
#
# If your jobs log for themselves, they need a tracking server: a SQLite file belongs to one machine. Create the
# experiment before they start, or runs can silently land in another.
#
# <details class="more"><summary>More: packages and data; runs in the wrong experiment</summary>
#
# - **packages**: the same versions of Python, papermill, scikit-learn and `course_utils`.
#   `client.get_versions(check=True)` compares Python and what Dask itself needs; the rest is yours to compare.
# - **data**: our notebook makes its customers itself. A file must be sent along, or lie where all workers can read
#   it.
#
# When two processes call `set_experiment` with the same new name at the same moment, one of them creates it. In
# MLflow 3.17 the other one gets the experiment *returned*, but it is not *made active*. Its runs then land in the
# experiment that was active before, usually `Default`. An id cannot be lost in this way: send the id of the
# experiment along, and call `mlflow.start_run(experiment_id=…)` in each job.
#
# </details>

# %% [markdown]
# ### A grid search on the same cluster (can wait)
#
# How scikit-learn sends the fits of a search to Dask, and whether that saves time: one search, here and there.

# %%
from time import perf_counter

import joblib
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

threadpool_limits(1)
split = data.churn_split(n_rows, seed, numeric=True)
model = make_pipeline(StandardScaler(), LogisticRegression())
candidates = {"logisticregression__C": [0.001, 0.01, 0.1, 1.0]}
search = GridSearchCV(model, candidates, scoring="roc_auc")

# %% [markdown]
# scikit-learn reaches the cluster through **joblib**, the package with which it runs things in parallel.
# `threadpool_limits(1)` keeps the fits in this notebook to one processor, as Dask does for its workers.

# %%
begin = perf_counter()
here = search.fit(split.X_train, split.y_train).best_score_
middle = perf_counter()
with joblib.parallel_config(backend="dask"):
    there = search.fit(split.X_train, split.y_train).best_score_
end = perf_counter()

print("same best score:", abs(here - there) < 1e-12)
print("faster on the cluster:", end - middle < middle - begin)

# %% tags=["claims"]
assert abs(here - there) < 1e-12

# %% [markdown]
# You should see True for the score, because where a fit is computed does not change what is computed.
#
# On most machines the second line is False. The workers must load scikit-learn first, and each of the twenty fits lasts
# some milliseconds, no longer than sending it. The gain comes with longer fits, on several machines. On one, `n_jobs=2`
# in `GridSearchCV` will do. Measure your fits first.

# %% [markdown]
# ### What did the batch find?
#
# The cluster has done its work, so we close it. Then we draw the scores of the notebooks with `n_rows` customers.

# %%
client.close()
cluster.close()

# %%
runs = mlflow.search_runs(experiment_names=["churn-batch"], filter_string=today)
mine = runs[runs["params.n_rows"] == str(n_rows)]
curve = mine.set_index(mine["params.C"].astype(float))["metrics.cv_auc"].sort_index()
gap = curve.max() - curve.min()

fig, ax = plots.new_figure()
ax.plot(curve.index, curve, marker="o")
worst, best = curve.idxmin(), curve.idxmax()
title = f"Between C = {worst} and C = {best} lie {gap:.3f} of ROC-AUC"
ax.set_title(title, loc="left", fontweight="bold")
ax.set(xscale="log", xlabel="C (a smaller C holds the model back more)")
ax.set_ylabel("cross-validated ROC-AUC")
plots.show(plots.describe(fig, title))

# %% tags=["claims"]
assert len(curve) == 4
assert gap < 0.03

# %% [markdown]
# You should see a difference below 0.03 in the title, so `C` hardly matters in this range. Which value is really the
# best, the picture cannot say: it does not show how far the five folds of each mean lie apart.
#
# ## Round 3: every Monday, with a second chance
#
# Who starts the batch? An **orchestrator** is a program that starts jobs by the clock, knows which step waits for
# which, and tries again when a step fails. We run **Dagster** inside this notebook. A step is an **op**, a function
# with a decorator. A **job** says how ops are joined, and a **schedule** says when the job starts.
#
# On Mondays the table of customers is sometimes late. We make the first attempt fail in this way. The second one runs
# Mira's notebook by `run_as_text`. Our weekly batch has one point; a loop over `points` would stand there.
#
# Each attempt opens a run, and an error ends it as FAILED; `weekly_runs`, made below, collects the ids. Dagster tries
# again only when the op raises an error. `run_as_text` raises none when a cell fails, so the op does it.
#
# <details class="more"><summary>More: a pause before the next attempt</summary>
#
# Here the second attempt follows at once. In daily use, give the table time to arrive: `RetryPolicy(max_retries=2,
# delay=600)` waits 600 seconds. A process that is killed leaves its run RUNNING.
#
# </details>

# %%
import dagster as dg


@dg.op(retry_policy=dg.RetryPolicy(max_retries=2))
def train(context):
    monday, attempt = context.get_tag("monday"), context.retry_number + 1
    with mlflow.start_run(run_name=f"{monday}-attempt-{attempt}") as run:
        weekly_runs.append(run.info.run_id)
        mlflow.set_tags({"monday": monday, "dagster_run": context.run_id})
        if attempt == 1:
            raise ConnectionError("the table of customers is not there yet")
        executed, _ = run_as_text(text, {"C": 1.0, "n_rows": n_rows, "seed": seed})
        mlflow.log_text(executed, f"executed/{monday}.ipynb")
        score, error = read_executed(executed)
        if error:
            raise RuntimeError(error)
        mlflow.log_metric("cv_auc", score)
    return score

# %% [markdown]
# Dagster hands each call a `context`, which knows the number of retries so far and the tags of this job.
#
# The op `report` gets the result of `train`, so it waits for it. In the schedule, `0 6 * * 1` means minute 0, hour 6,
# any day of the month, any month, weekday 1 (Monday). When that time has come, Dagster calls `mondays`. It returns a
# request to start the job, with this Monday as a tag.

# %%
@dg.op
def report(score):
    return "good enough" if score > 0.6 else "call Mira"


@dg.job
def weekly():
    report(train())


@dg.schedule(job=weekly, cron_schedule="0 6 * * 1", execution_timezone="Europe/Berlin")
def mondays(context):
    day = context.scheduled_execution_time.strftime("%Y-%m-%d")
    return dg.RunRequest(tags={"monday": day})

# %% [markdown]
# A cell cannot wait until Monday. Therefore we call `mondays` with a due time, as Dagster's clock would, and run the
# job that it requests in this process.
#
# **Predict.** Which runs will be in MLflow, with which status, and does the job as a whole succeed?

# %%
prediction = {"runs": "?", "job": "?"}

# %%
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

mlflow.set_experiment("churn-weekly")
weekly_runs = []
due = datetime(2026, 11, 30, 6)
request = mondays(dg.build_schedule_context(scheduled_execution_time=due))
# nothing of Dagster's log under this cell
silent = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
with ThreadPoolExecutor(1) as pool:  # Jupyter's thread has an event loop already
    job = pool.submit(weekly.execute_in_process, silent, tags=request.tags)
    outcome = job.result()

# %%
for run_id in weekly_runs:
    run = mlflow.get_run(run_id)
    print(run.info.run_name, run.info.status, list(run.data.metrics))
print("job succeeded:", outcome.success, "| report:", outcome.output_for_node("report"))

# %% tags=["claims"]
kept = [mlflow.get_run(run_id) for run_id in weekly_runs]
assert [run.info.status for run in kept] == ["FAILED", "FINISHED"]
assert [run.info.run_name for run in kept] == [
    f"2026-11-30-attempt-{n}" for n in (1, 2)
]
assert outcome.success and outcome.output_for_node("report") == "good enough"
assert len({run.data.tags["dagster_run"] for run in kept}) == 1
notebook_ = mlflow.artifacts.load_text(f"{kept[1].info.artifact_uri}/executed/2026-11-30.ipynb")
assert read_executed(notebook_) == (kept[1].data.metrics["cv_auc"], None)
assert not kept[0].data.metrics and not mlflow.MlflowClient().list_artifacts(kept[0].info.run_id)

# %% [markdown]
# You should see a FAILED and a FINISHED run of 30 November, and a job that succeeded. Only the second run has a score,
# and it keeps the executed notebook. The tag `dagster_run` joins both.
#
# In daily use the definitions stand in a file `weekly.py`; the fold has a whole one. Set the environment variable
# `DAGSTER_HOME` to the full path of an existing folder, for notes. Then `dagster schedule start mondays -f weekly.py`
# turns the new schedule on, and `dagster-daemon run -f weekly.py` is the clock.
#
# <details class="more"><summary>More: Dagster in daily use, and the guard against a double start</summary>
#
# A whole `weekly.py`. It runs the `train.ipynb` of *In your own project*, at the end of this lecture, and was run so,
# every minute instead of every Monday. Start both commands in the folder of that notebook.
#
# ```python
# import json
#
# import dagster as dg
# import mlflow
# import papermill
#
# mlflow.set_tracking_uri("sqlite:///mlflow.db")
#
#
# @dg.op(retry_policy=dg.RetryPolicy(max_retries=2, delay=600))
# def train(context):
#     monday, attempt = context.get_tag("monday"), context.retry_number + 1
#     mlflow.set_experiment("my-weekly-batch")
#     with mlflow.start_run(run_name=f"{monday}-attempt-{attempt}"):
#         target = f"{monday}.ipynb"
#         try:  # papermill raises the error of a cell, so Dagster tries again
#             done = papermill.execute_notebook("train.ipynb", target, {"C": 1.0})
#         finally:
#             mlflow.log_artifact(target)
#         mlflow.log_metrics(json.loads(done.cells[-1].outputs[-1].text))
#
#
# @dg.job
# def weekly():
#     train()
#
#
# @dg.schedule(job=weekly, cron_schedule="0 6 * * 1", execution_timezone="Europe/Berlin")
# def mondays(context):
#     day = context.scheduled_execution_time.strftime("%Y-%m-%d")
#     return dg.RunRequest(tags={"monday": day})
#
#
# defs = dg.Definitions(jobs=[weekly], schedules=[mondays])
# ```
#
# What must run every Monday needs a machine that stays on. With the package `dagster-webserver`, which this course does
# not install, `dagster-webserver -f weekly.py` adds a web page. (Older texts say `dagster dev`; Dagster 1.13 advises
# against it.)
#
# When the clock comes to the same due time twice, for example after a crash, it finds the job of this schedule and this
# time in its notes and starts no other.
#
# </details>
#
# ### Other orchestrators, on paper
#
# They call a step, the clock and a second chance by other names.
#
# <details class="more"><summary>More: Airflow, Prefect and Kubeflow</summary>
#
# None of these is installed here, and the lines have not been run.
#
# | | a step | the clock | a second chance |
# |---|---|---|---|
# | **Airflow 3** | `PapermillOperator(…)` | `DAG("churn", schedule="0 6 * * 1")` | `retries=2` in the operator |
# | **Prefect 3** | `@task(retries=2)` in a `@flow` | `churn.serve(cron="0 6 * * 1")` | in the decorator |
# | **Kubeflow Pipelines 2** | `@dsl.component`, in a container | a recurring run | `task.set_retry(2)` |
#
# </details>
#
# ## Look at the UI
#
# Open the UI (*MLflow UI* among the links at the top, or the command under *Setup*), with *Model training* chosen at
# the top left.
#
# 1. Open the experiment `churn-batch` and click one of the newest runs.
# 2. Click *Artifacts*, then the folder `executed`, then the file in it. The notebook is shown as JSON; download it to
#    open it in JupyterLab.
# 3. Go back to the list of experiments and open `churn-weekly`. The icon beside each run tells the failed attempt
#    from the finished one.
#
# ![The two attempts of the week in churn-weekly: one failed, one finished, after step 3](../site/_static/batch_and_scale_ui.png)
#
# ## Your turn
#
# Which point of the batch had the lowest score? The table `mine` holds the runs of the picture, with the columns
# `run_id` and `metrics.cv_auc`. Replace the three dots by **one line** that sets the tag `verdict` to `worst` on the
# lowest one. `mlflow.MlflowClient().set_tag(run_id, key, value)` writes a tag by the id; `delete_tag(run_id, key)`
# takes it off a wrong run.
#
# <details><summary>One solution</summary>
#
# `mlflow.MlflowClient().set_tag(mine.sort_values("metrics.cv_auc")["run_id"].iloc[0], "verdict", "worst")`
#
# </details>

# %% tags=["your-turn"]
...
verdicts = {i: mlflow.get_run(i).data.tags.get("verdict") for i in mine["run_id"]}

# %% tags=["your-turn-solution"]
mlflow.MlflowClient().set_tag(
    mine.sort_values("metrics.cv_auc")["run_id"].iloc[0], "verdict", "worst"
)
verdicts = {i: mlflow.get_run(i).data.tags.get("verdict") for i in mine["run_id"]}

# %%
lowest = mine.loc[mine["metrics.cv_auc"].idxmin(), "run_id"]
solved = verdicts.pop(lowest) == "worst" and not any(verdicts.values())
lesson.turn(solved, "only the run with the lowest cv_auc gets the tag verdict = worst.")

# %% [markdown]
# ## Pitfalls
#
# **`unknown-parameter`: a misspelt value changes nothing.** papermill inserts `c = 9` into the notebook, where no
# cell reads it, and `C` keeps its usual value. A line in the log is the only sign. We use `prepare_only`, which
# writes the notebook without running it.

# %%
typo = {"c": 9}
source = folder / "train.ipynb"
with contextlib.redirect_stderr(sys.stdout):  # show the line of the log here
    written = papermill.execute_notebook(
        source, folder / "typo.ipynb", parameters=typo, prepare_only=True
    )
print("\n---\n".join(cell.source for cell in written.cells[:2]))

# %% [markdown]
# To repair it, ask the notebook for its names, and compare before anything runs.

# %%
print("unknown:", set(typo) - set(papermill.inspect_notebook(source)))

# %% tags=["claims"]
assert set(typo) - set(papermill.inspect_notebook(source)) == {"c"}
assert "c = 9" in written.cells[1].source and "C = 1.0" in written.cells[0].source

# %% [markdown]
# **`failed-point`: one bad value ends the batch.** `C` must be greater than 0. papermill raises the error in *your*
# loop, and the points behind this one never run:

# %%
bad = {"C": -1.0, "n_rows": 200, "seed": seed}
target = folder / "C-negative.ipynb"
try:
    papermill.execute_notebook(source, target, parameters=bad, **quiet)
except papermill.PapermillExecutionError as error:
    print("the batch stops:", error.ename)

# %% [markdown]
# To repair it, catch the error, as `run_as_text` does. The executed notebook has been saved all the same, and
# `log_executed` makes it a FAILED run that says why.

# %%
mlflow.set_experiment("churn-batch")
stopped = target.read_text(encoding="utf8")
failed = mlflow.get_run(log_executed("C-negative", stopped))
print(failed.info.status, "because of a", failed.data.tags["error"])

# %% tags=["claims"]
assert failed.info.status == "FAILED" and failed.data.tags["error"] == "ValueError"
assert failed.data.params["C"] == "-1.0" and not failed.data.metrics
unfinished = nbformat.writes(written)  # no cell has an output
killed = mlflow.get_run(log_executed("killed", unfinished))
assert killed.info.status == "FAILED" and killed.data.tags["error"] == "no result"
mlflow.delete_run(killed.info.run_id)

# %% [markdown]
# **`mixed-up`: results in the order in which they finish.** `as_completed` gives futures to you as soon as each is
# done. Whoever pairs them with the list of values gives the fast point's score to the slow one.
#
# Below, each "score" is its own `C`, so that you can see the mistake. The first point is held back until the second
# is done.

# %%
import threading
from concurrent.futures import as_completed

gate = threading.Event()


def score(C):
    if C == 0.001:
        gate.wait()  # the slow one
    return C


mixed = {}
with ThreadPoolExecutor(2) as pool:
    jobs = [pool.submit(score, C) for C in (0.001, 1.0)]
    for C, job in zip((0.001, 1.0), as_completed(jobs), strict=True):
        mixed[C] = job.result()
        gate.set()
print(mixed)

# %% [markdown]
# To repair it, keep the value with its receipt, and ask each receipt for its own result.

# %%
paired = {C: job.result() for C, job in zip((0.001, 1.0), jobs, strict=True)}
print(paired)

# %% tags=["claims"]
assert mixed == {0.001: 1.0, 1.0: 0.001}
assert paired == {0.001: 0.001, 1.0: 1.0}

# %% tags=["hide-input"] jupyter={"source_hidden": true}
import shutil

shutil.rmtree(folder, ignore_errors=True)

# %% [markdown]
# ## In your own project
#
# The batch itself without any help from this course, on real data. Each point is logged at once, not read back later.
# Open *Show the script*, copy it into a file `batch.py` in an empty folder, and run `python batch.py`. It needs the
# packages `mlflow`, `papermill` and `ipykernel`. You should see a table of three runs, one of them FAILED. The first
# time, MLflow also reports that it makes its tables.
#
# The script writes a small `train.ipynb` if there is none. To use a notebook of your own, save it there under this
# name. Give one cell the tag `parameters`, let the last cell do nothing but print a dictionary of numbers with
# `json.dumps`, and write your values into `grid`.

# %% tags=["own-project"]
"""A batch of notebooks whose failures are kept: python batch.py"""

import json
from pathlib import Path
from uuid import uuid4

import mlflow
import papermill
from nbformat import v4, write

grid = [{"C": C} for C in (0.01, 1.0, -1.0)]  # the last point fails
TRAIN = """import json
from sklearn import datasets, model_selection, svm

X, y = datasets.load_breast_cancer(return_X_y=True)
scores = model_selection.cross_val_score(svm.SVC(C=C), X, y, scoring="roc_auc")
print(json.dumps({"cv_auc": scores.mean()}, allow_nan=False))"""

if not Path("train.ipynb").exists():
    python = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [v4.new_code_cell("C = 1.0", metadata={"tags": ["parameters"]})]
    cells += [v4.new_code_cell(TRAIN)]
    write(v4.new_notebook(metadata={"kernelspec": python}, cells=cells), "train.ipynb")

mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("my-first-batch")
quiet = {"progress_bar": False, "extra_arguments": ["--log-level=CRITICAL"]}
batch = uuid4().hex[:8]  # tells these runs from those of the next batch
for number, values in enumerate(grid):
    target = f"{batch}-{number}.ipynb"  # no value in the name: it may hold a slash
    with mlflow.start_run(run_name=target, tags={"batch": batch}) as run:
        mlflow.log_params(values)
        try:
            done = papermill.execute_notebook("train.ipynb", target, values, **quiet)
            mlflow.log_metrics(json.loads(done.cells[-1].outputs[-1].text))
        except Exception as error:  # whatever it was, the other points go on
            mlflow.set_tag("error", getattr(error, "ename", type(error).__name__))
            mlflow.end_run("FAILED")
    Path(target).exists() and mlflow.log_artifact(target, run_id=run.info.run_id)

runs = mlflow.search_runs(filter_string=f"tags.batch = '{batch}'")
print(runs.filter(regex="params|metrics|status|error"))

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("batch_and_scale")

# %% [markdown]
# ## Key points
#
# - **How do you run a notebook over a grid?** Tag a cell `parameters`, and call papermill once for each point. Values
#   and result are read back from the executed notebook, which is kept with its run.
# - **What about a point that fails?** It gets a run with the status FAILED and the error's name, and the loop goes
#   on.
# - **How do you pair results and values?** Keep each value with its receipt, and read values and score from one file.
# - **What changes on a real cluster?** Packages, data, access, and every path. Send text, return text, and let one
#   process write to MLflow. A cluster pays when a call takes longer than sending it.
# - **Who starts it on Monday?** An orchestrator, with a schedule and a number of retries; MLflow keeps each attempt.
#
# ## Next steps
#
# - Do the [homework]({homework:batch_and_scale}). Next lecture: [GenAI]({step:genai}), a language model under the
#   same bookkeeping.
# - Official pages: [papermill](https://papermill.readthedocs.io/), [Dask](https://docs.dask.org/),
#   [Dagster](https://docs.dagster.io/).
# - Optional depth: set `n_rows` to 800 or `seed` to 3 in the parameters cell, and run all again.
