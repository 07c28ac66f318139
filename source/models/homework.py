# %% [markdown]
# # Homework 08: models that travel
#
# **30 minutes · 3 tasks and a stretch · 7 points.** Run every cell as often as you like: a check reads your *latest*
# run. Below each task stands `hw.check(n)`; when you are stuck, add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import contextlib
import io
import shutil

import mlflow
import numpy as np
import pandas as pd
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("models")
folder = store.outputs("hw-models")
split = data.churn_split(800, data.course_seed())
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# The next cell logs a pipeline that Mira has trained; `pipeline_uri` is its address. Tasks 2 and 3 use it.

# %%
numbers, words = list(split.X_train.select_dtypes("number")), ["contract", "internet", "payment"]
prepare = make_column_transformer((StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), words))
pipeline = make_pipeline(prepare, LogisticRegression(max_iter=500)).fit(split.X_train, split.y_train)

mlflow.set_experiment("hw-models-given")
with mlflow.start_run(run_name="pipeline"):
    pipeline_uri = store.log_model(pipeline, "pipeline", split.X_train, pyfunc_predict_fn="predict_proba").model_uri
print("address:", pipeline_uri)

# %% [markdown]
# ## Task 1: a model by hand (2 points)
#
# The cell gives you a fitted forest and its table. Mind the types of the columns.
#
# In the experiment `hw-models-models`, make a run called `by-hand` that logs the forest as a model named `churn_forest`:
#
# - in skops format, with the types that you trust;
# - with a signature in which no input is an integer, and an example of three rows;
# - with fixed requirements: scikit-learn and skops, each with its exact version;
# - so that pyfunc answers with *probabilities*: `log_model` takes `pyfunc_predict_fn="predict_proba"`.

# %%
table = split.X_train.select_dtypes("number").astype({"support_calls": int})
forest = RandomForestClassifier(10, max_depth=3, random_state=0).fit(table, split.y_train)
table.dtypes.astype(str).to_dict()

# %% tags=["task-1"]
mlflow.set_experiment("hw-models-models")
### BEGIN SOLUTION
types = skops.io.get_untrusted_types(data=skops.io.dumps(forest))

with mlflow.start_run(run_name="by-hand"):
    mlflow.sklearn.log_model(
        forest,
        name="churn_forest",
        pyfunc_predict_fn="predict_proba",
        input_example=table.head(3).astype(float),
        skops_trusted_types=types,
        pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=True),
    )
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: preprocessing and threshold inside (3 points)
#
# The call centre's table, `messy`, writes the contracts in another way, and Tom calls from a probability of **0.4** on.
#
# 1. Write a file `caller.py` in `folder` with a pyfunc model. It cleans the contract names, then returns a table with
#    the columns `probability` (of churn) and `call` (true from the threshold on). It takes the pipeline from its
#    *artifacts* (name it `pipeline`) and the threshold from its *model_config* (name it `threshold`).
# 2. In the experiment `hw-models-caller`, make a run called `caller` that logs this file as a model named `caller`, with
#    example and requirements as in task 1.
# 3. Load the logged model, predict `messy`, and write the answer to `calls.csv` in `folder`, one row a customer in the
#    order of `messy`.

# %%
messy = split.X_test.assign(contract=split.X_test["contract"].str.upper() + " ")
messy.head(2)

# %% tags=["task-2"]
mlflow.set_experiment("hw-models-caller")
### BEGIN SOLUTION
code = """
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel
from mlflow.sklearn import load_model
from pandas import DataFrame

class Caller(PythonModel):
    def load_context(self, context):
        self.pipeline = load_model(context.artifacts["pipeline"])
        self.threshold = context.model_config["threshold"]

    def predict(self, context, model_input: DataFrame, params=None) -> DataFrame:
        clean = model_input.assign(contract=model_input["contract"].str.strip().str.lower())
        probability = self.pipeline.predict_proba(clean)[:, 1]
        return DataFrame({"probability": probability, "call": probability >= self.threshold})

set_model(Caller())
"""
(folder / "caller.py").write_text(code)

with mlflow.start_run(run_name="caller"):
    caller = mlflow.pyfunc.log_model(
        name="caller",
        python_model=folder / "caller.py",
        artifacts={"pipeline": pipeline_uri},
        model_config={"threshold": 0.4},
        input_example=messy.head(3),
        pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=True),
    )

answers = mlflow.pyfunc.load_model(caller.model_uri).predict(messy)
answers.to_csv(folder / "calls.csv")
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: check before you ship (2 points)
#
# Aisha wants proof that the model at `pipeline_uri` answers. Send the first five rows of `split.X_test` through it with
# `mlflow.models.predict`, in the present environment, and let it write its answer to a file `answers.json`. Keep the
# proof: in the experiment `hw-models-check`, make a run called `check` with that file as the artifact `answers.json` and the
# address of the model as the tag `checked_model`.

# %% tags=["task-3"]
mlflow.set_experiment("hw-models-check")
proof = folder / "answers.json"
### BEGIN SOLUTION
mlflow.models.predict(pipeline_uri, split.X_test.head(5), env_manager="local", output_path=str(proof))

with mlflow.start_run(run_name="check"):
    mlflow.log_artifact(proof)
    mlflow.set_tag("checked_model", pipeline_uri)
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Stretch: read before you load (no points)
#
# The cell puts three model folders into `inbox`. Without loading any of them, write `inbox.csv` in `folder`: one row a
# model, with the columns `model` (name of its folder), `format` (as `MLmodel` calls it) and `trusted` (how many types
# it asks you to trust; 0 for a format that does not ask).

# %%
inbox = folder / "inbox"
small_forest = RandomForestClassifier(3, max_depth=2, random_state=0).fit(split.X_test[numbers], split.y_test)
shutil.rmtree(inbox, ignore_errors=True)
senders = np.random.default_rng(data.course_seed()).permutation(["anna", "ben", "carla"])
mails = [(LogisticRegression(), "skops"), (small_forest, "skops"), (LogisticRegression(), "cloudpickle")]
for sender, (model, form) in zip(senders, mails, strict=True):
    trusted = ["numpy.dtype", "sklearn.tree._tree.Tree"] if model is small_forest else None
    with contextlib.redirect_stderr(io.StringIO()):  # MLflow warns of the pickle, as it should
        how = {"serialization_format": form, "skops_trusted_types": trusted, "pip_requirements": ["scikit-learn"]}
        mlflow.sklearn.save_model(model, inbox / sender, **how)
print("Mail from", *sorted(path.name for path in inbox.iterdir()))

# %% tags=["task-4"]
### BEGIN SOLUTION
rows = []
for mail in sorted(inbox.iterdir()):
    flavor = mlflow.models.get_model_info(str(mail)).flavors["sklearn"]
    n_trusted = len(flavor.get("skops_trusted_types") or [])
    rows.append({"model": mail.name, "format": flavor["serialization_format"], "trusted": n_trusted})
pd.DataFrame(rows).to_csv(folder / "inbox.csv")
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** Everything that a user of the model needs is a file in its folder: `MLmodel` holds signature,
# trusted types and the threshold, `requirements.txt` the versions, `caller.py` the code, `artifacts` the pipeline. That
# is also why the checks can judge your model without ever loading it.
