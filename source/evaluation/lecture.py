# %% [markdown]
# # Evaluation
#
# **Which question does this lecture answer?**
#
# We will build one run that holds a setting and a result. (All that stands here runs and passes every test: replace it
# piece by piece, and look into `source/WRITING.md` on the way.)
#
# Afterwards you can
# - **record** a setting and a result in a run;
# - **repair** a run in which the two were mixed up.
#
# **You need:** {step:autolog}.
#
# **Time:** 10 min to read · 10 min to do
#
# <!-- links -->

# %% [markdown]
# ## Recall
#
# One question on an earlier lecture. Click an answer; each of them replies.

# %%
from course_utils import lesson

lesson.quiz("evaluation", "recall")

# %% [markdown]
# ## The problem
#
# On Tuesday Tom, who leads customer care, asks how many of the customers have left. Somebody answers with a number, and
# nobody can say on Thursday which customers were counted.
#
# ## Setup

# %% tags=["parameters"]
seed = 0
n_rows = 500

# %%
import mlflow
import pandas as pd

from course_utils import data, plots, store

store.connect()
mlflow.set_experiment("evaluation")
left = data.churn_split(n_rows, seed, numeric=True).y_train

# %% [markdown]
# ## Round 1: one number, with what it depends on
#
# **Predict.** Have more customers stayed, or left?

# %%
prediction = "?"  # stayed or left

# %%
with mlflow.start_run(run_name="share") as run:
    mlflow.log_params({"n_rows": n_rows, "data_seed": seed})
    mlflow.log_metric("share", left.mean())

counts = pd.Series({"stayed": int((left == 0).sum()), "left": int((left == 1).sum())})
title = f"{counts['left']} of {len(left)} customers have left"
plots.show(plots.bars(counts, title=title, xlabel="customers", digits=0))

# %% tags=["claims"]
CHANGES = [{"n_rows": 1000}]

assert counts["stayed"] > counts["left"]

# %% [markdown]
# You should see that most of them have stayed. If the picture is missing, run the cells above it.
#
# **Predict.** What does the store give back for the setting `n_rows`: a number, or text?

# %%
stored = mlflow.get_run(run.info.run_id).data
print(stored.params["n_rows"].__class__.__name__)

# %% tags=["claims"]
assert isinstance(stored.params["n_rows"], str)

# %% [markdown]
# You should see `str`, because a setting is a label, and MLflow does not calculate with it.
#
# ## Look at the UI
#
# 1. Click *Experiments* on the left, then `evaluation`.
# 2. Click the run `share`. Its setting stands under *Parameters*, its result under *Metrics*.
#
# ## Your turn
#
# Replace the three dots by **one line** that records `n_rows`; then run both cells.
#
# <details><summary>One solution</summary>
#
# `mlflow.log_param("n_rows", n_rows)`
#
# </details>

# %% tags=["your-turn"]
with mlflow.start_run(run_name="your-turn") as yours:
    ...

# %% tags=["your-turn-solution"]
with mlflow.start_run(run_name="your-turn") as yours:
    mlflow.log_param("n_rows", n_rows)

# %%
kept = mlflow.get_run(yours.info.run_id).data.params
hint = "the run has no parameter n_rows. log_param takes a name and a value."
lesson.turn("n_rows" in kept, hint)

# %% [markdown]
# ## Pitfalls
#
# **`param-as-metric`: a setting was logged as a metric.**

# %%
with mlflow.start_run(run_name="mixed-up") as mixed:
    mlflow.log_metric("n_rows", n_rows)
print("parameters:", mlflow.get_run(mixed.info.run_id).data.params)

# %% [markdown]
# To repair it, add the parameter to the run, by the run's id.

# %%
mlflow.MlflowClient().log_param(mixed.info.run_id, "n_rows", n_rows)
print("parameters:", mlflow.get_run(mixed.info.run_id).data.params)

# %% [markdown]
# **`metric-as-param`: a result was logged as a parameter.** It is text now, and cannot be sorted.

# %%
mlflow.MlflowClient().log_param(mixed.info.run_id, "share", round(left.mean(), 3))
print("metrics:", list(mlflow.get_run(mixed.info.run_id).data.metrics))

# %% [markdown]
# To repair it, log the result as a metric, too.

# %%
mlflow.log_metric("share", left.mean(), run_id=mixed.info.run_id)
print("metrics:", sorted(mlflow.get_run(mixed.info.run_id).data.metrics))

# %% [markdown]
# **`run-open`: something was logged outside a `with` block.** MLflow opens a run for it, and leaves it open.

# %%
mlflow.log_metric("share", 0.0)
stray = mlflow.active_run()
print("a run is open:", stray is not None)

# %% [markdown]
# To repair it, end the run; this one holds nothing of value, so it goes into the trash.

# %%
mlflow.end_run()
mlflow.delete_run(stray.info.run_id)

# %% [markdown]
# ## In your own project
#
# The same work without any help from this course, on real data that comes with scikit-learn. Copy it into a file
# `script.py` in an empty folder and run `python script.py`.

# %% tags=["own-project"]
"""One run with a setting and a result: python script.py"""

import mlflow
from sklearn.datasets import load_breast_cancer

mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("my-project")

benign = load_breast_cancer().target
with mlflow.start_run(run_name="share"):
    mlflow.log_param("n_rows", len(benign))
    mlflow.log_metric("share", benign.mean())

runs = mlflow.search_runs()
print(runs[["tags.mlflow.runName", "params.n_rows", "metrics.share"]])
print("Look at them: mlflow ui --backend-store-uri sqlite:///mlflow.db")

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("evaluation")

# %% [markdown]
# ## Key points
#
# - **How do you record a setting and a result?** The setting as a parameter, the result as a metric, in one run.
# - **How do you repair a run in which they were mixed up?** By the run's id: what is missing can be added.
#
# ## Next steps
#
# - Do the [homework]({homework:evaluation}).
# - Official page: [MLflow Tracking](https://mlflow.org/docs/latest/ml/tracking/).
# - Optional depth: change `n_rows` to 1000 in the parameters cell, and run all again.
