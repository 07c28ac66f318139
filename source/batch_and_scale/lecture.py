# %% [markdown]
# # Batch and scale: the same notebook, a hundred times
#
# **How do you run one notebook for every setting, on any machine, and get the same number again next year?**
#
# We will build a batch of parametrised notebooks, reproduce one of its runs to the last digit, wrap the training as an
# MLflow Project, and spread both over a Dask cluster.
#
# Afterwards you can
# - **run** a notebook as a batch with papermill and **read** the results back;
# - **reproduce** a run from the store alone, and **prove** that it is the same;
# - **package** training as an MLflow Project;
# - **spread** a grid search and a sweep over processes, and **judge** whether that pays.
#
# **You need:** lectures {step:mlflow_basics}, {step:logging} and {step:comparing_runs}; lecture {step:nested_runs} helps.
#
# **Time:** 15 min to read · 20 min to do
#
# <!-- links -->

# %% [markdown]
# ## Recall

# %%
from course_utils import lesson

lesson.quiz("batch_and_scale", "recall")

# %% [markdown]
# ## The problem
#
# Nordtel opens in two more countries. Mira's notebook must run for each of them, every Monday, with several settings.
# By hand she changes a cell, runs all, copies a number, and forgets to change the cell back. Ines wants to see a run
# of last spring again, exactly.
#
# ## Setup

# %% tags=["parameters"]
seed = 0
n_rows = 1200
strengths = [0.003, 1.0]  # values of C for the first batch

# %%
import contextlib
import json
import os
import sys
import time
from pathlib import Path

import joblib
import mlflow
import nbformat
import papermill
from dask.distributed import Client, LocalCluster
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from course_runner.kernels.sockets import SocketKernelManager
from course_utils import data, plots, store

# %%
store.connect()
mlflow.set_experiment("churn-batch")
folder = store.outputs("15_batch_and_scale")
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Round 1: a notebook is a function
#
# **papermill** executes a notebook with other values. It needs one thing: a cell tagged `parameters`. (In JupyterLab:
# *property inspector → cell tags*.) Every notebook of this course has one. Here Mira's notebook is written from code;
# its last cell prints the result as JSON, so that a program can read it.

# %%
training = """import json
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from course_utils import data
split = data.churn_split(n_rows, seed, numeric=True)
scores = cross_val_score(LogisticRegression(C=C, max_iter=2000), split.X_train, split.y_train, scoring="roc_auc")
print(json.dumps({"cv_auc": scores.mean(), "data": split.digest, "sklearn": sklearn.__version__}))"""
new, python = nbformat.v4, {"name": "python3", "display_name": "Python 3", "language": "python"}
given = new.new_code_cell("C = 1.0\nn_rows = 1200\nseed = 0", metadata={"tags": ["parameters"]})
notebook = new.new_notebook(cells=[given, new.new_code_cell(training)], metadata={"kernelspec": python})
nbformat.write(notebook, folder / "train.ipynb")
print("papermill sees:", list(papermill.inspect_notebook(folder / "train.ipynb")))

# %% [markdown]
# `run_notebook` executes a notebook and reads its result back. `kernel` reaches the kernel through a private socket
# (papermill opens a network port, and ipykernel warns about it) and hides its log (ipykernel 7 calls its own end an
# error).
#
# **Predict.** The batch below starts two kernels, one after another. Where will the executed notebooks be found
# later: in the folder, in the store, or in both?

# %%
prediction = "?"  # folder, store or both

# %%
kernel = {"kernel_manager_class": SocketKernelManager, "extra_arguments": ["--log-level=CRITICAL"]}


def run_notebook(source, name, **values):
    """Execute a notebook with some parameters, keep the executed copy, return what its last cell printed."""
    done = papermill.execute_notebook(
        source, folder / f"{name}.ipynb", parameters=values, progress_bar=False, **kernel
    )
    return json.loads(done.cells[-1].outputs[0].text)


# %%
def log_point(C, result):
    """Log one point of the batch: parameters, result, and the executed notebook itself."""
    with mlflow.start_run(run_name=f"C-{C}") as run:
        mlflow.log_params({"C": C, "n_rows": n_rows, "seed": seed})
        mlflow.log_metric("cv_auc", result["cv_auc"])
        mlflow.set_tags({"data_digest": result["data"], "sklearn": result["sklearn"]})
        mlflow.log_artifact(folder / f"C-{C}.ipynb", "executed")
    return run.info.run_id


# %%
batch = {}
for C in strengths:
    batch[C] = log_point(C, run_notebook(folder / "train.ipynb", f"C-{C}", C=C, n_rows=n_rows, seed=seed))
table = store.runs("churn-batch", max_results=len(batch)).sort_index(axis=1)
table.round(3)

# %% [markdown]
# You should see one run per value, and in the UI each has its notebook under *Artifacts → executed*: both. The
# executed copy is the best log there is, code and outputs in one file.
#
# ### The series itself is such a batch
#
# In the course folder, these lines run all lectures, two of them with another parameter, and go on after a stop:
#
# ```bash
# course run
# course run 03 11 -p n_rows 500 -j 2
# course run --resume
# course sweep 11 --grid n_rows=500,1000 --metric test_roc_auc
# ```
#
# Each notebook becomes one row of a report; one that fails does not stop the others. The last line is a grid.
#
# ## Round 2: the same number again
#
# Four things make a number: **code, data, environment, seed**. The run keeps code and parameters (the executed
# notebook), a digest of *all* data and the library's version; the course's lock file pins the rest.
#
# **Predict.** `reproduce` gets nothing but a run id. Will the score agree to 3 digits, to 6, or to the last bit?

# %%
predicted_digits = 0

# %%
def reproduce(run_id):
    """Execute the notebook kept in a run once more, with the parameters kept in it; return old and new result."""
    kept = mlflow.artifacts.list_artifacts(run_id=run_id, artifact_path="executed")[0].path
    path = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=kept)
    old = nbformat.read(path, as_version=4)
    new = run_notebook(path, "again", **old.metadata.papermill.parameters)
    return json.loads(old.cells[-1].outputs[0].text), new


# %%
old, new = reproduce(batch[strengths[-1]])
print("same data:", old["data"] == new["data"], "| same scikit-learn:", old["sklearn"] == new["sklearn"])
print("same score, every bit:", old["cv_auc"] == new["cv_auc"])

# %% [markdown]
# You should see True three times. `==` on a floating-point number is right here, for once: the same operations in the
# same order give the same bits. If not, look at the four in turn; another CPU or library version changes the order of
# a sum.
#
# ## Round 3: an MLflow Project
#
# A **project** is a folder with a file `MLproject`, which names entry points, their parameters and the command.
# `mlflow run <folder or git address>` starts it anywhere, always as a run. In a terminal:
# `mlflow run outputs/15_batch_and_scale/project -P C=0.1 --env-manager local`.
#
# The default builds a new environment first and needs the network; `local` takes the `python` that comes first on the
# `PATH`, so the second cell says which.

# %%
project = folder / "project"
project.mkdir(exist_ok=True)
(project / "MLproject").write_text("""name: churn
entry_points:
  main:
    parameters:
      C: {type: float, default: 1.0}
      seed: {type: float, default: 0}
    command: "python train.py {C} {seed}"
""")
lines = """import sys
import mlflow
from sklearn.linear_model import LogisticRegression
from course_utils import data
split = data.churn_split(1200, int(float(sys.argv[2])), numeric=True)
model = LogisticRegression(C=float(sys.argv[1]), max_iter=2000).fit(split.X_train, split.y_train)
mlflow.log_metric("test_accuracy", model.score(split.X_test, split.y_test))
"""
print((project / "train.py").write_text(lines), "characters")

# %%
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
submitted = mlflow.projects.run(
    str(project), parameters={"C": 0.1}, env_manager="local", experiment_name="churn-project", run_name="project-C-0.1"
)
stored = mlflow.get_run(submitted.run_id)
print(stored.info.status, stored.data.params, {k: round(v, 3) for k, v in stored.data.metrics.items()})

# %% [markdown]
# You should see FINISHED: MLflow opened the run, handed its id to `train.py` through the environment, and logged the
# parameters. A parameter that the project does not declare is passed on, so check spelling as below.
#
# ## Round 4: more hands
#
# **Dask** runs Python on many machines. Here the cluster is two processes on this laptop. On a real one, *the address
# is the only change*: `Client("tcp://scheduler.nordtel.example:8786")` instead of `Client(cluster)`. scikit-learn
# reaches it through joblib.
#
# The second cell starts the cluster, reachable from this machine only; fits the search on it; and sends a **sweep** of
# notebooks to the same workers. Only this notebook writes to the store, so no two processes meet there.
#
# **Predict.** The same grid search, once here and once on two worker processes: is the best score the same, and which
# is faster?

# %%
prediction = "?"  # same or other score; here or Dask

# %%
def fit_search():
    """Fit the grid search and return its best score and the seconds it took."""
    split = data.churn_split(n_rows, seed, numeric=True)
    search = GridSearchCV(LogisticRegression(max_iter=2000), {"C": [0.001, 0.01, 0.1, 1.0]}, cv=5, scoring="roc_auc")
    start = time.perf_counter()
    search.fit(split.X_train, split.y_train)
    return search.best_score_, time.perf_counter() - start


here, seconds_here = fit_search()
print(f"here: best {here:.3f} in {seconds_here:.2f} s")

# %%
sweep = [0.01, 0.03, 0.1]
local = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "scheduler_port": 0}  # 0: any free port
local |= {"dashboard_address": "127.0.0.1:0", "local_directory": str(folder / "dask"), "silence_logs": "ERROR"}
with LocalCluster(**local) as cluster, Client(cluster) as client:
    with joblib.parallel_config(backend="dask"):
        there, seconds_there = fit_search()
    tasks = [
        client.submit(run_notebook, folder / "train.ipynb", f"C-{C}", C=C, n_rows=n_rows, seed=seed, pure=False)
        for C in sweep
    ]
    results = client.gather(tasks)

# %%
print(f"Dask: best {there:.3f} in {seconds_there:.2f} s | identical: {here == there}")
for C, result in zip(sweep, results, strict=True):
    batch[C] = log_point(C, result)
print(len(batch), "notebooks in the batch")

# %% [markdown]
# You should see the identical score. Compare the seconds, and add those it took to start the cluster: for fits as
# small as these, sending data and code costs more than it saves. Dask pays when one fit takes seconds and the workers
# are other machines. Measure before you scale.

# %%
points = store.runs("churn-batch", max_results=len(batch))
best = points["cv_auc"].idxmax()
fig = plots.runs_line(
    points, "C", "cv_auc", log="x",
    title=f"{best} has the best ROC-AUC of {len(points)} notebooks",
    xlabel="C (inverse of the regularisation strength)", ylabel="cross-validated ROC-AUC",
)
plots.show(fig)

# %% [markdown]
# ## Look at the UI
#
# With *Model training* chosen at the top left, open `churn-batch`. In *Sort*, choose `cv_auc`. Click the best run, then
# *Artifacts*, then the folder `executed`: the notebook that made it. In `churn-project`, the run's tags say how it was
# started.
#
# ## When it must run every Monday: orchestrators, on paper
#
# An orchestrator starts batches by the clock, retries, and says who waits for whom. MLflow remembers what came out.
#
# **Airflow 3** with its papermill provider (one file in `dags/`; `0 6 * * 1` is Monday at six):
#
# ```python
# import pendulum
# from airflow.providers.papermill.operators.papermill import PapermillOperator
# from airflow.sdk import DAG  # in Airflow 2: from airflow import DAG
#
# with DAG("churn", schedule="0 6 * * 1", start_date=pendulum.datetime(2026, 1, 1), catchup=False):
#     PapermillOperator(task_id="train", input_nb="train.ipynb", output_nb="out-{{ ds }}.ipynb", parameters={"C": 0.1})
# ```
#
# **Prefect 3** (one Python program that stays up):
#
# ```python
# import papermill
# from prefect import flow, task
#
# @task(retries=2)
# def train(C: float):
#     papermill.execute_notebook("train.ipynb", f"out-{C}.ipynb", parameters={"C": C})
#
# @flow
# def churn():
#     for C in (0.1, 1.0):
#         train(C)
#
# if __name__ == "__main__":
#     churn.serve(name="weekly", cron="0 6 * * 1")
# ```
#
# **Kubeflow Pipelines 2** (each step a container on Kubernetes, with the notebook in its image):
#
# ```python
# from kfp import compiler, dsl
#
# @dsl.component(base_image="registry.nordtel.example/churn:1.4")
# def train(C: float):
#     import papermill
#     papermill.execute_notebook("train.ipynb", "out.ipynb", parameters={"C": C})
#
# @dsl.pipeline(name="churn")
# def churn(C: float = 0.1):
#     train(C=C)
#
# compiler.Compiler().compile(churn, "churn.yaml")
# ```
#
# ## Your turn
#
# Which point of the batch is the worst? Replace the three dots by one call of `reproduce` on it. `points` is the table
# above; `batch` maps each C to its run id.
#
# <details><summary>One solution</summary>
#
# `answer = reproduce(batch[float(points["C"][points["cv_auc"].idxmin()])])`
#
# </details>

# %%
answer = ...

# %%
lowest = points["cv_auc"].min()
lesson.turn(answer is not ... and answer[0]["cv_auc"] == lowest, "give reproduce() the run id of the lowest cv_auc.")

# %% [markdown]
# ## Pitfalls
#
# **`unknown-parameter`: a misspelt parameter changes nothing.** papermill writes it into the notebook, where nobody
# reads it, and goes on with the default. Its only sign is a line in the log. Repair: ask the notebook which
# parameters it has. (`prepare_only` writes the notebook without running it. `course run` refuses such a name.)

# %%
source, typo = folder / "train.ipynb", {"c": 9}
with contextlib.redirect_stderr(sys.stdout):  # show the line of the log here
    written = papermill.execute_notebook(source, folder / "typo.ipynb", parameters=typo, prepare_only=True)
print("\n---\n".join(cell.source for cell in written.cells[:2]))
print("unknown:", set(typo) - set(papermill.inspect_notebook(source)))

# %% [markdown]
# **`failed-point`: one bad value ends the batch.** papermill raises where the notebook did, and the rest of the loop
# is lost. Repair: catch it *inside* the run's block, let the run end FAILED, and go on. The half-executed notebook is
# kept, to read.
#
# **`not-exact`: no seed, another number.** A forest without `random_state` draws anew each time. The difference looks
# small, until it decides which model ships. Repair: a seed for every draw, logged as a parameter.

# %%
def safe_point(C):
    """Log a point that may fail; a failed one stays in the store as FAILED, with the error's name."""
    with mlflow.start_run(run_name=f"C-{C}") as run:
        mlflow.log_param("C", C)
        try:
            mlflow.log_metric("cv_auc", run_notebook(folder / "train.ipynb", f"C-{C}", C=C)["cv_auc"])
        except papermill.PapermillExecutionError as error:
            mlflow.set_tag("error", error.ename)
            mlflow.end_run("FAILED")
    return mlflow.get_run(run.info.run_id)


# %%
failed = safe_point(-1.0)
print(failed.info.status, "because of a", failed.data.tags["error"])

# %%
split = data.churn_split(n_rows, seed, numeric=True)
for random_state in (None, seed):
    twice = [RandomForestClassifier(20, random_state=random_state).fit(split.X_train, split.y_train) for _ in range(2)]
    first, second = (forest.predict_proba(split.X_test) for forest in twice)
    print(f"random_state={random_state}: same predictions:", (first == second).all())

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("batch_and_scale")

# %% [markdown]
# ## Key points
#
# - papermill runs a notebook with other values; the executed copy belongs in the run as an artifact, and its last
#   output is the result.
# - Same code, data, environment and seed give the same bits. Proof is `==`, from the run id alone.
# - An `MLproject` file says what to run and with which parameters; `mlflow run` makes it a run anywhere.
# - Dask changes where the work is done, not the result. It pays when a fit costs more than sending it.
#
# ## Next steps
#
# - Do the [homework]({homework:batch_and_scale}): a batch, a reproduction, and your own attempts in this
#   course as data.
# - This was the last lecture. [The full workflow]({step:full_workflow}) is a good notebook to run as a batch on your own
#   data.
# - Official pages: [MLflow Projects](https://mlflow.org/docs/latest/ml/projects/),
#   [papermill](https://papermill.readthedocs.io/), [Dask](https://docs.dask.org/).
# - Optional depth: `course verify RUN_ID` repeats a recorded run.
