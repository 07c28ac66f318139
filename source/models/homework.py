# %% [markdown]
# # Homework: models
#
# **30 minutes · 3 tasks and a stretch · 7 points.** The tasks are independent of each other. Run every cell as often as you
# like: a check reads what is in the store, and your *latest* run counts. Below each task stands `hw.check(n)`; when you
# are stuck, add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import shutil

import mlflow
import numpy as np
import pandas as pd
import pydantic
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
# ## Task 1: a model by hand (2 points)
#
# The cell gives you a fitted forest and the table that it was trained on. Mind the types of the columns.
#
# In the experiment `hw-models-models`, make a run called `by-hand` that logs the forest as a model named `churn_forest`:
#
# - in the format skops, with the types that you trust after reading them;
# - with a signature that names all columns of `table`, none of them as an integer, and an example of three rows;
# - with fixed requirements: scikit-learn and skops, each with its exact version (mlflow may stay), and nothing needless;
# - so that pyfunc answers with *probabilities*, not with labels.

# %%
table = split.X_train.select_dtypes("number").astype({"support_calls": int})
forest = RandomForestClassifier(10, max_depth=3, random_state=0).fit(table, split.y_train)
table.dtypes.astype(str).to_dict()

# %% tags=["task-1"]
mlflow.set_experiment("hw-models-models")
### BEGIN SOLUTION
types = ["sklearn.tree._tree.Tree"]  # read: scikit-learn's own tree, which a forest needs
assert skops.io.get_untrusted_types(data=skops.io.dumps(forest)) == types
floats = table.astype(float)
# From the example alone, MLflow would promise what `predict` answers: labels.
signature = mlflow.models.infer_signature(floats, forest.predict_proba(floats))

with mlflow.start_run(run_name="by-hand"):
    mlflow.sklearn.log_model(
        forest,
        name="churn_forest",
        pyfunc_predict_fn="predict_proba",
        signature=signature,
        input_example=floats.head(3),
        skops_trusted_types=types,
        pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=True),
    )
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: cleaning and threshold inside (3 points)
#
# The given cell logs a pipeline that Mira has trained; `pipeline_uri` is its address. The call centre's table, `messy`,
# writes the contracts in another way, and Tom calls from a probability of churn of **0.4** on.
#
# 1. Write a file `caller.py` in `folder` with a pyfunc model. Its `predict` cleans the contract names, and returns a table with
#    the columns `probability` (of churn, class 1) and `call` (true from the threshold on), with the index of the table that
#    it got. It takes the pipeline from its *artifacts* (name it `pipeline`) and the threshold from its *model_config* (name
#    it `threshold`).
# 2. In the experiment `hw-models-caller`, make a run called `caller` that logs this file as a model named `caller`, with
#    a signature, an example of one to five rows, and requirements as in task 1.
# 3. Load the logged model, predict `messy`, and write the answer to `calls.csv` in `folder`, one row a customer in the
#    order of `messy`.

# %%
numbers, words = list(split.X_train.select_dtypes("number")), ["contract", "internet", "payment"]
prepare = make_column_transformer(
    (StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), words)
)
pipeline = make_pipeline(prepare, LogisticRegression(max_iter=500))
pipeline.fit(split.X_train, split.y_train)

mlflow.set_experiment("hw-models-given")
with mlflow.start_run(run_name="pipeline"):
    pipeline_uri = store.log_model(
        pipeline, "pipeline", split.X_train, pyfunc_predict_fn="predict_proba"
    ).model_uri
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
        answer = {"probability": probability, "call": probability >= self.threshold}
        return DataFrame(answer, index=clean.index)

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
# ## Task 3: three folders from the clinic (2 points)
#
# Mira's friend at the clinic got three models, in the folder `inbox`, and wants to know how to ask them. Say it without
# loading any of them: write `cards.csv` in `folder`, with one row for each model and the columns
#
# - `model`: the name of its folder;
# - `must_have`: how many columns *must* be in a table, according to the signature; 0 when it has no signature;
# - `answers`: `labels` or `probabilities`, whichever the model gives when it is loaded as pyfunc.

# %%
X = data.bundled("breast_cancer")
y = (X.pop("target") == 0).astype(float)
rng = np.random.default_rng(data.course_seed())
inbox = folder / "inbox"
shutil.rmtree(inbox, ignore_errors=True)

senders = rng.permutation(["anna", "ben", "carla"])
widths = rng.permutation([8, 11, 14])
for kind, (sender, width) in enumerate(zip(senders, widths, strict=True)):
    small = X.iloc[:, :width]
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(small, y)
    shown = small.copy()
    if kind == 1:  # measured for some of the women only
        shown.iloc[:9, :3] = np.nan
    mlflow.sklearn.save_model(
        fitted,
        inbox / sender,
        signature=None if kind == 0 else mlflow.models.infer_signature(shown),
        pyfunc_predict_fn="predict" if kind == 2 else "predict_proba",
        pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=True),
    )
print("Folders:", *sorted(path.name for path in inbox.iterdir()))

# %% tags=["task-3"]
### BEGIN SOLUTION
rows = []
for path in sorted(inbox.iterdir()):
    card = mlflow.models.get_model_info(str(path))
    function = card.flavors["python_function"]["predict_fn"]
    columns = card.signature.inputs.inputs if card.signature else []
    rows.append(
        {
            "model": path.name,
            "must_have": sum(column.required for column in columns),
            "answers": "probabilities" if function == "predict_proba" else "labels",
        }
    )
pd.DataFrame(rows).to_csv(folder / "cards.csv", index=False)
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Stretch: a signature without an example (no points)
#
# The clinic also has a rule of thumb: a tumour with a `mean_radius` of 15 or more is looked at again. Write it into a file
# `rule.py` in `folder` as a pyfunc model whose `predict` takes a list of tumours, each with the number `mean_radius` (a
# decimal number), and answers with a list of true and false. In the experiment `hw-models-rule`, make a run called
# `rule` that logs it as a model named `rule`, **without** `signature=` and without `input_example=`. It shall have a
# signature all the same.

# %% tags=["task-4"]
mlflow.set_experiment("hw-models-rule")
### BEGIN SOLUTION
code = """
import mlflow
from pydantic import BaseModel

class Tumour(BaseModel):
    mean_radius: float

class Rule(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[Tumour], params=None) -> list[bool]:
        return [tumour.mean_radius >= 15 for tumour in model_input]

mlflow.models.set_model(Rule())
"""
(folder / "rule.py").write_text(code)

with mlflow.start_run(run_name="rule"):
    mlflow.pyfunc.log_model(
        name="rule",
        python_model=folder / "rule.py",
        pip_requirements=[f"pydantic=={pydantic.__version__}"],
    )
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
