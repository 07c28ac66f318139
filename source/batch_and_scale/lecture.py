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
# **Time:** 17 min to read · 17 min to do. After Round 3 is a good place for a pause.
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
# again.

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
# notebook from code. Note its last line: the result is printed as JSON, so that a program can read it.

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
print(json.dumps({"cv_auc": scores.mean()}))"""

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
# Nothing is in MLflow yet, on purpose. The executed notebooks are the whole record of a batch, so they can be read
# back later and on another machine. From each file we take three things:
#
# - **The values.** papermill keeps those that you *pass* in the notebook's *metadata*, a part of the file that no cell
#   shows. A usual value that you do not pass is not there, so pass all that you want to find again, but no password: it
#   would stay in the file and in MLflow.
# - **The result.** It is the last line that the last cell *printed*.
# - **The notebook itself**, with code and outputs. `log_text` stores it with the run.
#
# Next Monday's runs will lie in the same experiment. So each run gets a tag `batch` with a name that no other batch
# has, here that of the folder.
#
# A point may fail. papermill then saves the notebook with the error in it, and raises the error *in your loop*. Ours
# has no such point; Round 3 catches it. `log_executed` looks for an error in all cells: its name becomes a tag, and the
# run ends as FAILED, as it does without a result in JSON.
#
# <details class="more"><summary>More: killed kernels, warnings, and the log level</summary>
#
# A kernel that is killed, for example because memory ran out, leaves no error in the notebook. It leaves no result in
# JSON either, so its run fails with the tag `no result`.
#
# A warning in the last cell is an output as well. It goes to another stream, `stderr`, so it is not taken for the
# result.
#
# `--log-level=CRITICAL`, in the cell that ran the grid, keeps each kernel from printing a reminder that other users
# of the same machine could listen to it.
#
# </details>

# %%
def log_executed(name, text):
    """Log one executed notebook, given as text: its values, and result or error."""
    done = nbformat.reads(text, as_version=4)
    outputs = [out for cell in done.cells for out in cell.get("outputs", [])]
    errors = [out.ename for out in outputs if out.output_type == "error"]
    last = done.cells[-1].get("outputs", [])
    printed = "".join(out.text for out in last if out.get("name") == "stdout")
    try:
        score = json.loads(printed.splitlines()[-1])["cv_auc"]
    except (LookupError, TypeError, ValueError):  # no JSON with a score
        errors = errors or ["no result"]
    with mlflow.start_run(run_name=name, tags={"batch": folder.name}) as run:
        mlflow.log_params(done.metadata.papermill.parameters)
        mlflow.log_text(text, f"executed/{name}.ipynb")
        if errors:
            mlflow.set_tag("error", errors[0])
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
# You should see one row a notebook; if more, you logged them twice: run all again. Name, values and score come from one
# file, so none is mixed up.
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
# ## Round 2: a search on more processes
#
# No point of a grid waits for another, and no candidate in a search does. So they can be spread over several
# processes. **Dask** does this with three kinds of process:
#
# - **workers** compute;
# - a **scheduler** decides which worker does what;
# - the **client**, here this notebook, sends work to the scheduler and collects the results.
#
# All of them together are a **cluster**; ours has two workers on this machine. scikit-learn reaches it through
# joblib, the package with which it runs things in parallel.
#
# `threadpool_limits(1)` keeps the fits in this notebook to one processor, as Dask does for its workers.
#
# **Predict.** The same search, once in this notebook and once on two workers. Is the best score the same? And what
# takes longer: the search here, or starting the cluster?

# %%
prediction = {"score": "?", "longer": "?"}  # same or other; search or start

# %%
from time import perf_counter

import joblib
from dask.distributed import Client, LocalCluster
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

# %%
threadpool_limits(1)
split = data.churn_split(n_rows, seed, numeric=True)
model = make_pipeline(StandardScaler(), LogisticRegression())
candidates = {"logisticregression__C": [0.001, 0.01, 0.1, 1.0]}
search = GridSearchCV(model, candidates, scoring="roc_auc")
begin = perf_counter()
here = search.fit(split.X_train, split.y_train).best_score_
seconds = {"search here": perf_counter() - begin}

# %%
local = {
    "n_workers": 2,
    "threads_per_worker": 1,
    "host": "127.0.0.1",  # reachable from this machine only
    "scheduler_port": 0,  # 0: any port that is free
    "dashboard_address": "127.0.0.1:0",  # its web page; None would ask for 8787
    "local_directory": str(folder / "dask"),
    "silence_logs": "ERROR",
}
begin = perf_counter()
cluster = LocalCluster(**local)
client = Client(cluster)
seconds["start of the cluster"] = perf_counter() - begin
print(len(client.scheduler_info()["workers"]), "workers")

# %%
begin = perf_counter()
with joblib.parallel_config(backend="dask"):
    there = search.fit(split.X_train, split.y_train).best_score_
seconds["search there"] = perf_counter() - begin

print("same best score:", abs(here - there) < 1e-12)
longer = [what for what in seconds if seconds[what] > seconds["search here"]]
print("took longer than the search here:", ", ".join(longer) or "nothing")

# %% tags=["claims"]
assert abs(here - there) < 1e-12
assert len(client.scheduler_info()["workers"]) == 2

# %% [markdown]
# You should see True, because where a fit is computed does not change what is computed. It changes the time, and not
# always for the better.
#
# On most machines the second line names both, the start of the cluster and the search on it. Each of the twenty fits
# lasts some milliseconds, less than sending it. Dask pays with fits that last longer than sending them, on several
# machines. On one, `n_jobs=2` in `GridSearchCV` will do. Measure your fits first.

# %% [markdown]
# ## Round 3: a sweep without a shared disk
#
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
# When a cell of the notebook fails, papermill raises an error. `suppress` lets it pass, so that the executed notebook
# comes back all the same, and `log_executed` sees what happened.
#
# `client.submit` sends one call and returns at once a **future**, a receipt for a result that does not exist yet.
# `client.gather` waits for all results and returns them *in the order of the receipts*. `pure=False` says that the
# same call is to be computed anew, even if Dask still holds its result.
#
# <details class="more"><summary>More: a killed kernel, a lost worker</summary>
#
# papermill raises another error when the kernel is killed, and `suppress` lets that pass as well. Anything else, such
# as a worker that has no such kernel, is not a failed point but a broken worker, and `gather` raises it.
#
# If a call itself fails, for example because its worker is lost, `gather` raises that error and returns nothing. Then
# ask each receipt for its own `future.result()`, inside `try`.
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

client.close()
cluster.close()

# %% tags=["claims"]
assert all(process != os.getpid() for _, process in results)
six = mlflow.search_runs(experiment_names=["churn-batch"], filter_string=today)
assert len(six) == 6 and set(six["status"]) == {"FINISHED"}

# %% [markdown]
# You should see False twice: the work was done in other processes, and no file was shared between them and us.
#
# On a cluster of several machines, more must change than the address: packages, data and access. The most important
# is **access**: whoever reaches a Dask scheduler can run code on its workers. It belongs in a closed network, with
# TLS.
#
# If your jobs log for themselves, they need a tracking server: a SQLite file belongs to one machine. Create the
# experiment before they start, or runs can silently land in another.
#
# <details class="more"><summary>More: what else changes; runs in the wrong experiment</summary>
#
# - **packages**: each worker needs the same versions of Python, papermill, scikit-learn and `course_utils`.
#   `client.get_versions(check=True)` compares Python and what Dask itself needs; the rest is yours to compare.
# - **data**: our notebook makes its customers itself. A file must be sent along, or lie where all workers can read
#   it.
# - **the store**: if workers log for themselves, they need a tracking server, because a SQLite file belongs to one
#   machine.
#
# When two processes call `set_experiment` with the same new name at the same moment, one of them creates it. In
# MLflow 3.17 the other one gets the experiment *returned*, but it is not *made active*. Its runs then land in the
# experiment that was active before, usually `Default`. An id cannot be lost in this way: send the id of the
# experiment along, and call `mlflow.start_run(experiment_id=…)` in each job.
#
# </details>

# %% [markdown]
# ### What did the batch find?
#
# We draw the scores of this batch's notebooks that used `n_rows` customers.

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
# ## Round 4: every Monday, with a second chance
#
# Who starts the batch? An **orchestrator** is a program that starts jobs by the clock, knows which step waits for
# which, and tries again when a step fails. We run **Dagster** inside this notebook. A step is an **op**, a function
# with a decorator; a **job** says how ops are joined.
#
# On Mondays the table of customers is sometimes late. We make the first attempt fail in this way. Each attempt opens a
# run of its own in MLflow, which an error in the block ends as FAILED; a killed process leaves it RUNNING. To keep this
# short, our step is the search of Round 2; yours would hold the loop of Round 1.
#
# <details class="more"><summary>More: a pause before the next attempt</summary>
#
# Here the second attempt follows at once. In daily use, give the table time to arrive:
# `RetryPolicy(max_retries=2, delay=600)` waits 600 seconds.
#
# </details>
#
# On macOS with Python 3.14, the course has no Dagster, and the next cell fails: one of its parts has no ready-made
# package there yet. Use Python 3.13 for this lecture.

# %%
import dagster as dg


class Week(dg.Config):
    monday: str


@dg.op(retry_policy=dg.RetryPolicy(max_retries=2))
def train(context: dg.OpExecutionContext, config: Week) -> float:
    attempt = context.retry_number + 1
    with mlflow.start_run(run_name=f"{config.monday}-attempt-{attempt}") as run:
        weekly_runs.append(run.info.run_id)
        mlflow.set_tags({"monday": config.monday, "dagster_run": context.run_id})
        if attempt == 1:
            raise ConnectionError("the table of customers is not there yet")
        score = search.fit(split.X_train, split.y_train).best_score_
        mlflow.log_metric("cv_auc", score)
    return float(score)

# %% [markdown]
# `Week` lists what `train` must be told, here the Monday. The op `report` gets the result of `train`, so it waits for
# it.
#
# The **schedule** says when: `0 6 * * 1` means minute 0, hour 6, any day of the month, any month, weekday 1 (Monday).
# At each due time, a **tick**, Dagster calls `mondays`. It returns a request: start the job with this Monday, in a
# dictionary that leads to the op by name (`ops`, `train`, `config`).

# %%
@dg.op
def report(score: float) -> str:
    return "good enough" if score > 0.6 else "call Mira"


@dg.job
def weekly():
    report(train())


@dg.schedule(job=weekly, cron_schedule="0 6 * * 1", execution_timezone="Europe/Berlin")
def mondays(context: dg.ScheduleEvaluationContext):
    day = context.scheduled_execution_time.strftime("%Y-%m-%d")
    settings = {"ops": {"train": {"config": {"monday": day}}}}
    return dg.RunRequest(run_key=day, run_config=settings)

# %% [markdown]
# A cell cannot wait until Monday. Therefore we hand the schedule a due time, as Dagster's clock would, and run the
# job that it requests in this process. `ephemeral` keeps Dagster's own notes in memory, and `silent` switches its
# console log off.
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
with dg.DagsterInstance.ephemeral() as notes:
    context = dg.build_schedule_context(notes, scheduled_execution_time=due)
    request = mondays.evaluate_tick(context).run_requests[0]
    silent = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with ThreadPoolExecutor(1) as pool:  # Jupyter's thread has an event loop already
        job = pool.submit(weekly.execute_in_process, request.run_config | silent, notes)
        outcome = job.result()

# %%
for run_id in weekly_runs:
    run = mlflow.get_run(run_id)
    print(run.info.run_name, run.info.status)
print("job succeeded:", outcome.success, "| report:", outcome.output_for_node("report"))

# %% tags=["claims"]
kept = [mlflow.get_run(run_id) for run_id in weekly_runs]
assert [run.info.status for run in kept] == ["FAILED", "FINISHED"]
assert [run.info.run_name for run in kept] == [
    f"2026-11-30-attempt-{n}" for n in (1, 2)
]
assert outcome.success and outcome.output_for_node("report") == "good enough"
assert len({run.data.tags["dagster_run"] for run in kept}) == 1

# %% [markdown]
# You should see a FAILED and a FINISHED run of 30 November, and a job that succeeded. The tag `dagster_run` joins
# both attempts.
#
# In daily use the definitions stand in a file, and `dagster-daemon run` is the clock (see the fold). First set the
# environment variable `DAGSTER_HOME` to the full path of an existing folder. Without it, Dagster forgets its notes when
# it stops, also that the schedule is on.
#
# <details class="more"><summary>More: Dagster in daily use, and the guard against a double start</summary>
#
# The file must make for itself what this round takes from the notebook: the store's address, the data, the search. It
# ends with `defs = dg.Definitions(jobs=[weekly], schedules=[mondays])`.
#
# With the package `dagster-webserver`, which this course does not install, `dagster dev -f weekly.py` starts the
# clock and a web page, on which the schedule is switched on. `dagster dev` is for trying out. What must run every
# Monday needs a machine that stays on, with `dagster-daemon run` as the clock and `dagster-webserver` as the page.
#
# `run_key` is the guard against a double start. When a tick is repeated, for example after a crash, a key that has
# its job gets no other. At another due time, the same key starts one again. Without `DAGSTER_HOME`, a new start has
# forgotten these keys.
#
# </details>
#
# ### Other orchestrators, on paper
#
# They have the same three parts under other names.
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
text = target.read_text(encoding="utf8")
failed = mlflow.get_run(log_executed("C-negative", text))
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
# A sweep of a *function* without any help from this course, on real data, over two processes with joblib alone. (For
# notebooks, take `log_executed` and the call of papermill from above.) Open *Show the script*, copy it into a file
# `sweep.py` in an empty folder and run `python sweep.py`. The first time, MLflow also reports that it makes its tables.

# %% tags=["own-project"]
"""A sweep over two processes whose failures are kept: python sweep.py"""

from uuid import uuid4

import mlflow
from joblib import Parallel, delayed
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def score(C):
    """Return a score, or the error's name; needs no file and no store."""
    X, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=C))
    try:
        how = {"scoring": "roc_auc", "error_score": "raise"}
        return cross_val_score(model, X, y, **how).mean()
    except Exception as error:  # whatever it was, the other values go on
        return type(error).__name__


mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("my-first-sweep")

values = [0.001, 0.1, 10.0, -1.0]
batch = uuid4().hex[:8]  # tells these runs from those of the next batch
results = Parallel(n_jobs=2, return_as="generator")(delayed(score)(C) for C in values)
for C, result in zip(values, results, strict=True):
    with mlflow.start_run(run_name=f"C-{C}", tags={"batch": batch}):
        mlflow.log_param("C", C)
        if isinstance(result, str):
            mlflow.set_tag("error", result)
            mlflow.end_run("FAILED")
        else:
            mlflow.log_metric("cv_auc", result)

mine = f"tags.batch = '{batch}'"
runs = mlflow.search_runs(filter_string=mine, order_by=["metrics.cv_auc DESC"])
print(runs[["params.C", "status", "metrics.cv_auc"]])

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
#   process write to MLflow. Dask pays when a fit takes longer than sending it.
# - **Who starts it on Monday?** An orchestrator, with a schedule and a number of retries; MLflow keeps each attempt.
#
# ## Next steps
#
# - Do the [homework]({homework:batch_and_scale}). Next lecture: [GenAI]({step:genai}), a language model under the
#   same bookkeeping.
# - Official pages: [papermill](https://papermill.readthedocs.io/), [Dask](https://docs.dask.org/),
#   [Dagster](https://docs.dagster.io/).
# - Optional depth: set `n_rows` to 800 or `seed` to 3 in the parameters cell, and run all again.
