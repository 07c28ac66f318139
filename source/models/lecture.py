# %% [markdown]
# # Models: a folder that anyone can use
#
# **Can a colleague use your model without asking you anything?**
#
# We will store a churn model, look at its folder, and decide which tables it accepts. Then we write a model that
# carries its data cleaning and its threshold with it, and use it in a Python that knows nothing of this notebook.
# Folded parts marked *More* can wait.
#
# Afterwards you can
# - **log** a model with a signature, an example and its requirements, and **read** its folder;
# - **say** which requests a signature accepts, and which it refuses;
# - **wrap** data cleaning and a threshold into a pyfunc model;
# - **score** a whole table with it, in another process.
#
# **You need:** [Pipelines]({step:pipelines}), [MLflow basics]({step:mlflow_basics}) and [Logging]({step:logging}).
#
# **Time:** 16 min to read · 18 min to do
#
# <!-- links -->

# %% [markdown]
# ## Recall
#
# One question on an earlier lecture. Click an answer; each of them replies.

# %%
from course_utils import lesson

lesson.quiz("models", "recall")

# %% [markdown]
# ## The problem
#
# Aisha, the engineer at Nordtel, runs what Mira trains. On Tuesday she got a file, `model_final2.pkl`, and a message:
# "Needs some scikit-learn. Write the contracts in lower case. Call everybody above 0.3." On Wednesday the call centre
# rang far too few people, and nobody could say why. The table of that day wrote `Month-To-Month` with capital letters.
#
# All three facts were in the message, and none of them in the file. A model in MLflow is not a file but a **folder**,
# and it can hold all three. This is what we will see in it:

# %% tags=["hide-input"] jupyter={"source_hidden": true}
from course_utils import plots

boxes = {
    "run": (0.1, 1.5, "run\nsettings,\nresults"),
    "model": (3.2, 1.5, "logged model\nmodels:/m-…"),
    "folder": (6.7, 1.5, "folder\nMLmodel, weights,\nexample, packages"),
    "sklearn": (10.1, 2.5, "sklearn flavor\nthe pipeline\nitself"),
    "pyfunc": (10.1, 0.5, "pyfunc flavor\nan object with\npredict"),
}
arrows = [
    ("run", "model", "made"),
    ("model", "folder", "lies in"),
    ("folder", "sklearn", "load"),
    ("folder", "pyfunc", "load"),
]
title = "A run makes a model, and its folder can be loaded in two ways"
plots.show(plots.diagram(boxes, arrows, title=title, width=8.2))

# %% [markdown]
# ## Setup
#
# `threshold` is the probability of churn from which on Tom, who leads customer care, wants a customer to be called.

# %% tags=["parameters"]
seed = 0
n_rows = 2000
threshold = 0.3

# %%
from pathlib import Path

import mlflow
import pandas as pd
import pydantic
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from course_utils import data, store

# %% [markdown]
# `store.connect()` is the lines of [MLflow basics]({step:mlflow_basics}) in one call.

# %%
store.connect()
mlflow.set_experiment("churn-models")
folder = store.outputs("models")  # for the files that this lecture writes
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# The model sees three numbers and the contract of each customer. The imputer is for unknown prices; this table has
# none. `handle_unknown="ignore"` lets the encoder pass over a contract that it has never seen. Remember this setting;
# it will turn out to be what happened on Wednesday.
#
# Nothing is chosen or tuned, so the test rows may play the customers of today.

# %%
numbers = ["tenure_months", "monthly_charges", "support_calls"]
split = data.churn_split(n_rows, seed)
X_train, customers = (X[[*numbers, "contract"]] for X in (split.X_train, split.X_test))

prepare = make_column_transformer(
    (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
    (OneHotEncoder(handle_unknown="ignore"), ["contract"]),
)
pipeline = make_pipeline(prepare, LogisticRegression()).fit(X_train, split.y_train)
customers.head(3)

# %% [markdown]
# ## Round 1: what is in the folder?
#
# Most of this is known from MLflow basics: trusted types that have been read, and packages that are named.
#
# New is the **signature**: which columns go in, of which type, and what comes out. MLflow would make one from the three
# rows of the example; `infer_signature` asks the whole table, and so sees every gap.

# %%
trusted = ["numpy.dtype"]  # the type of an array, as the imputer keeps it
found = skops.io.get_untrusted_types(data=skops.io.dumps(pipeline))
assert found == trusted, found

packages = mlflow.sklearn.get_default_pip_requirements(include_skops=True)
signature = mlflow.models.infer_signature(X_train, pipeline.predict(X_train))

# %%
with mlflow.start_run(run_name="churn-pipeline") as run:
    churn_pipeline = mlflow.sklearn.log_model(
        pipeline,
        name="churn_pipeline",
        signature=signature,
        input_example=X_train.head(3),
        skops_trusted_types=trusted,
        pip_requirements=packages,
    )

# %% [markdown]
# **Predict.** In [Logging]({step:logging}), a file that you logged became an artifact of the run. How many artifacts
# does this run have now?

# %%
prediction = "?"  # a number

# %%
stored = mlflow.get_run(run.info.run_id)
artifacts = mlflow.artifacts.list_artifacts(run_id=run.info.run_id)
print("artifacts of the run:", len(artifacts))
print("models of the run:   ", len(stored.outputs.model_outputs))
print("address begins with: ", churn_pipeline.model_uri[:10])

home = Path(mlflow.artifacts.download_artifacts(churn_pipeline.model_uri))
print("its folder:", *sorted(file.name for file in home.iterdir()), sep="\n  ")

# %% tags=["claims"]
CHANGES = [{"n_rows": 1000}, {"seed": 3}, {"threshold": 0.5}]

assert not mlflow.artifacts.list_artifacts(run_id=run.info.run_id)
assert [m.model_id for m in stored.outputs.model_outputs] == [churn_pipeline.model_id]
assert churn_pipeline.model_uri == f"models:/{churn_pipeline.model_id}"
held = {file.name for file in home.iterdir()}
assert {"MLmodel", "model.skops", "requirements.txt", "conda.yaml", "python_env.yaml"} <= held
assert {"input_example.json", "serving_input_example.json", "registered_model_meta"} <= held
assert mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/churn_pipeline")

# %% [markdown]
# You should see no artifact and one model. Since MLflow 3, a model is a thing of its own, a **LoggedModel** with an id
# and the address `models:/` plus that id. The run only knows which models it made.
#
# Four files of its folder matter most:
#
# | file | what it holds |
# |---|---|
# | `MLmodel` | the table of contents: flavors, signature, versions, trusted types |
# | `model.skops` | the fitted pipeline |
# | `requirements.txt` | the packages |
# | `input_example.json` | our three rows |
#
# <details class="more"><summary>More: other files, the UI, older texts</summary>
#
# - `conda.yaml` and `python_env.yaml` hold packages and Python version for two other kinds of tools.
# - `serving_input_example.json` holds the same rows as a request to a server.
# - `registered_model_meta` is written by the download: from which registered model it came, if any.
# - The UI is kind: for a run without artifacts, its tab *Artifacts* shows the files of the run's model, with a note.
# - If you follow an older text, you will look for the model among the run's artifacts, and its call says
#   `artifact_path=` where ours says `name=`.
#
# </details>
#
# `MLmodel` names the **flavors**. A flavor is a way to load the model. `get_model_info` reads that file and loads
# nothing:

# %%
card = mlflow.models.get_model_info(churn_pipeline.model_uri)
print("flavors:", *sorted(card.flavors))

as_sklearn = mlflow.sklearn.load_model(churn_pipeline.model_uri)
as_pyfunc = mlflow.pyfunc.load_model(churn_pipeline.model_uri)
for loaded in (as_sklearn, as_pyfunc):
    kind, answers = type(loaded).__name__, loaded.predict(customers.head(4))
    print(f"{kind}: {answers}, predict_proba: {hasattr(loaded, 'predict_proba')}")

# %% tags=["claims"]
assert set(card.flavors) == {"python_function", "sklearn"}
assert hasattr(as_sklearn, "predict_proba") and not hasattr(as_pyfunc, "predict_proba")
assert (as_sklearn.predict(customers) == as_pyfunc.predict(customers)).all()

# %% [markdown]
# The flavor `sklearn` gives the pipeline back, with everything that a pipeline can do. The flavor `python_function`, or
# **pyfunc** for short, gives an object that can do one thing, `predict`.
#
# That is its strength: a table in, an answer out. A program that uses pyfunc need not know which library is inside, so
# you may replace a forest by a network and the program stays as it is.
#
# ## Round 2: what may come in?
#
# Here is the signature in full:

# %%
print(card.signature)

# %% [markdown]
# `double` is a number with a decimal point. `required` means that the column must be in the table. A column that had
# gaps when the signature was inferred would be `optional`: the signature lets a table pass that leaves it out. What
# comes out of our model is an array of whole numbers, of any length.
#
# Loaded as pyfunc, the model compares each table with its signature *before* it predicts. Here are six tables with the
# same customers, each a little different:

# %%
requests = {
    "other order": customers[customers.columns[::-1]],
    "column missing": customers.drop(columns="contract"),
    "price as text": customers.assign(monthly_charges="52.22"),
    "price unknown": customers.assign(monthly_charges=float("nan")),
    "whole numbers": customers.astype({"support_calls": "int64"}),
    "capital letters": customers.assign(contract=customers["contract"].str.title()),
}

# %% [markdown]
# **Predict.** Which of the six tables are refused?

# %%
prediction = "?"  # names of the tables

# %%
verdicts = {}
for name, table in requests.items():
    try:
        as_pyfunc.predict(table)
        verdicts[name] = "accepted"
    except mlflow.MlflowException as error:
        verdicts[name] = "refused: " + str(error).split("Error: ")[1].split(". N")[0]
    print(f"{name:15s} {verdicts[name]}")

# %% tags=["claims"]
refused = [name for name, verdict in verdicts.items() if verdict != "accepted"]
assert refused == ["column missing", "price as text", "whole numbers"]
assert (as_pyfunc.predict(customers.assign(postcode="8001")) == as_pyfunc.predict(customers)).all()

# %% [markdown]
# You should see three refusals. A gap passes: `required` asks for the column only. Two surprises:
#
# - **Whole numbers**, here `int64`, are refused, as a `double` may round large ones. The caller's repair is
#   `astype(float)`.
# - **Capital letters** are accepted. A signature knows types, not values, and `Month-To-Month` is text like any other.
#   The encoder ignores what it does not know, so on Wednesday the model took all customers for people without a
#   contract, without any error.
#
# A column *too many* is accepted as well: the model does not get to see it, and MLflow only warns.
#
# <details class="more"><summary>More: optional columns and whole numbers</summary>
#
# Whole numbers pass when all are 0 or 1. A misspelt `optional` column is missing, which is allowed, and one too many,
# which is ignored. What follows depends on the model. Our pipeline would stop with `columns are missing`, although the
# signature lets the table pass. A class of your own that fills in what is missing would answer, without those values.
#
# The largest 64-bit integers do not fit into a `double` exactly; `int32` fits and is accepted. A server reads the
# numbers in a JSON request by the signature, so there a plain 3 is fine for a `double`.
#
# </details>
#
# To catch capital letters, the model must be able to do more than its pipeline does.
#
# ## Round 3: a model of your own
#
# A pyfunc model need not come from a library: a subclass of `PythonModel` with `predict` will do. First a small one,
# Tom's rule: call from three support calls on.
#
# We log a *file*, which people can read; an object from the notebook would become a pickle. MLflow copies the file into
# the model's folder, and runs it when the model is logged and whenever it is loaded. So whoever loads such a model runs
# its author's code, a danger that [Portable models]({step:portable_models}) deals with.

# %%
toms_rule = """
import mlflow
from pydantic import BaseModel

class Customer(BaseModel):
    support_calls: float

class TomsRule(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[Customer], params=None) -> list[bool]:
        return [customer.support_calls >= 3 for customer in model_input]

mlflow.models.set_model(TomsRule())
"""
(folder / "toms_rule.py").write_text(toms_rule)

with mlflow.start_run(run_name="toms-rule"):
    rule = mlflow.pyfunc.log_model(
        name="toms_rule",
        python_model=folder / "toms_rule.py",
        pip_requirements=[f"pydantic=={pydantic.__version__}"],
    )
print(rule.signature)

# %% tags=["claims"]
assert mlflow.models.get_model_info(rule.model_uri).signature.inputs is not None
assert "support_calls" in str(rule.signature.inputs)

# %% [markdown]
# `set_model`, in the last line of the file, says which object is the model. There was no example this time, and there
# is a signature all the same: MLflow made it from the **type hints** of `predict`. The input is a list of `Customer`,
# and a `Customer` has a number `support_calls`.
#
# `BaseModel` is from pydantic, a package that checks the fields of a class and comes with MLflow. (`params` is for
# Round 4.) The hints are checked at each call, too:

# %%
loaded_rule = mlflow.pyfunc.load_model(rule.model_uri)
print(loaded_rule.predict([{"support_calls": 4.0}, {"support_calls": 1.0}]))
try:
    loaded_rule.predict([{"support_calls": "often"}])
except mlflow.MlflowException as error:
    print("MLflow:", str(error).split(", invalid")[0])

# %% tags=["claims"]
assert loaded_rule.predict([{"support_calls": 4.0}, {"support_calls": 1.0}]) == [True, False]

# %% [markdown]
# ## Round 4: cleaning and threshold inside
#
# Now the model that Aisha should have got. Its class has two methods.
#
# `load_context` runs once, when the model is loaded. Its `context` leads to what we gave to the model:
#
# - `context.artifacts` says where its files are, here the folder of our pipeline;
# - `context.model_config` holds its settings, here the threshold.
#
# `predict` runs at each call, and gets the `context` as well, if it asks for it. It cleans the contracts, asks the
# pipeline for probabilities, and compares them with the threshold. Its answer keeps the index of the table, so that
# each row can be joined to its customer.
#
# `params` are the wishes of this one caller, here whether all customers are wanted or only those to call.

# %%
whom_to_call = """
import mlflow
import pandas as pd

class WhomToCall(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.pipeline = mlflow.sklearn.load_model(context.artifacts["pipeline"])
        self.threshold = context.model_config["threshold"]

    def predict(self, context, model_input: pd.DataFrame, params=None):
        contract = model_input["contract"].str.strip().str.lower()
        clean = model_input.assign(contract=contract)
        probability = self.pipeline.predict_proba(clean)[:, 1]
        answer = pd.DataFrame({"probability": probability}, index=clean.index)
        answer["call"] = answer["probability"] >= self.threshold
        return answer[answer["call"]] if params["only_calls"] else answer

mlflow.models.set_model(WhomToCall())
"""
_ = (folder / "whom_to_call.py").write_text(whom_to_call)

# %% [markdown]
# A hint such as `pd.DataFrame` names no columns, so the signature comes from an example again. Ours is a pair, rows and
# params: both go into the signature, these values as the params' defaults.

# %%
parts = {
    "python_model": folder / "whom_to_call.py",
    "artifacts": {"pipeline": churn_pipeline.model_uri},
    "input_example": (X_train.head(3), {"only_calls": False}),
    "pip_requirements": packages,
}
with mlflow.start_run(run_name="whom-to-call"):
    caller = mlflow.pyfunc.log_model(
        name="whom_to_call", model_config={"threshold": threshold}, **parts
    )
card = mlflow.models.get_model_info(caller.model_uri)
print("settings:", card.flavors["python_function"]["config"])
print("params:  ", card.signature.params)

# %% tags=["claims"]
assert card.flavors["python_function"]["config"] == {"threshold": threshold}
assert card.signature.params.to_dict()[0]["default"] is False

# %% [markdown]
# The threshold stands in `MLmodel`, where anybody can read it. A copy of the pipeline is in the folder as well.
#
# **Predict.** Each of the three models sees today's customers twice: as they should be written, and as the call centre
# writes them. For which models does the number of calls change?

# %%
prediction = "?"  # churn_pipeline, toms_rule, whom_to_call

# %%
messy = customers.assign(contract=customers["contract"].str.title() + " ")
models = {"churn_pipeline": churn_pipeline, "toms_rule": rule, "whom_to_call": caller}
calls = {}
for name, logged in models.items():
    model = mlflow.pyfunc.load_model(logged.model_uri)
    for writing, table in {"clean": customers, "messy": messy}.items():
        answers = pd.DataFrame(model.predict(table))  # last column: whom to call
        calls[f"{name}, {writing}"] = int(answers.iloc[:, -1].sum())

# %%
before, after = calls["churn_pipeline, clean"], calls["churn_pipeline, messy"]
options = {
    "title": f"The bare pipeline calls {after} customers instead of {before}",
    "xlabel": f"customers to call, of {len(customers)}",
}
options |= {"highlight": "churn_pipeline, messy", "digits": 0}
plots.show(plots.bars(pd.Series(calls), **options))

# %% tags=["claims"]
assert after < before
for name in ("toms_rule", "whom_to_call"):
    assert calls[f"{name}, clean"] == calls[f"{name}, messy"]
assert threshold > 0.3 or calls["whom_to_call, clean"] > before
assert threshold != 0.5 or calls["whom_to_call, clean"] == before

# %% [markdown]
# You should see one change, in the bare pipeline. Tom's rule never looks at the contract, and `whom_to_call` cleans it.
# (A contract that is unknown even then would still pass in silence; a strict `predict` raises an error.) With the
# threshold 0.3, it also calls more customers than the pipeline, which cuts at 0.5.
#
# The loop is the point of pyfunc: it used a pipeline, a rule and a wrapped pipeline in the same way.
#
# <details class="more"><summary>More: how a table reaches Tom's rule</summary>
#
# Tom's rule wants a list of `Customer`. From a table, MLflow makes one of each row; columns without a field are left
# out.
#
# </details>
#
# Now the wish of a single call. Tom's team wants a list to work through, not a table of everybody:

# %%
model = mlflow.pyfunc.load_model(caller.model_uri)
everybody = model.predict(messy)
to_call = model.predict(messy, params={"only_calls": True})
print(len(everybody), "rows without params,", len(to_call), "with only_calls")
try:
    model.predict(messy, params={"only_calls": "yes"})
except mlflow.MlflowException as error:
    print("MLflow:", str(error).split("error: ")[1].strip(")}"))

# %% tags=["claims"]
assert len(everybody) == len(messy) and len(to_call) == everybody["call"].sum() < len(messy)
assert to_call["probability"].min() >= threshold
other = mlflow.pyfunc.load_model(caller.model_uri, model_config={"threshold": 0.99})
assert other.predict(customers)["call"].sum() < calls["whom_to_call, clean"]

# %% [markdown]
# A **setting** in `model_config` belongs to the model: everybody gets it who loads the model and says nothing else. A
# **param** belongs to one call, and has the default from the signature when the caller says nothing. The threshold is a
# decision about costs, so it is a setting.
#
# One warning: `model_config=` in `load_model`, or the variable `MLFLOW_PYFUNC_INFERENCE_CONFIG`, replaces the setting
# silently.
#
# ## Round 5: a whole table, in another process
#
# Does it work without this notebook? We put the model's folder and the messy table where Aisha would get them, write
# the script that she runs every night, and start it in a new Python.
#
# Predicting a whole table at once and writing the answer into a file is called **batch scoring**.

# %%
import subprocess
import sys

score = """
import sys, mlflow, pandas as pd
customers = pd.read_parquet("customers.parquet")
answer = mlflow.pyfunc.load_model(sys.argv[1]).predict(customers)
customers.join(answer).to_parquet("calls.parquet")
"""
(folder / "score.py").write_text(score)
messy.to_parquet(folder / "customers.parquet")
arrived = folder / "model"
mlflow.artifacts.download_artifacts(caller.model_uri, dst_path=arrived)
command = [sys.executable, "score.py", str(arrived)]
_ = subprocess.run(command, cwd=folder, check=True, capture_output=True)

# %%
scored = pd.read_parquet(folder / "calls.parquet")
print("the same answer as here:", scored["call"].equals(everybody["call"]))
scored.nlargest(3, "probability").round(3)

# %% tags=["claims"]
assert scored["call"].equals(everybody["call"])

# %% [markdown]
# You should see `True`. (If the cell before stops with `CalledProcessError`, take out `capture_output=True` to read the
# script's own error.) Aisha had to be told nothing: cleaning, threshold and pipeline travelled in the folder.
#
# This does *not* show that the model runs with other versions of the packages, because the new process used the same
# installation. That is the subject of [Portable models]({step:portable_models}).
#
# <details class="more"><summary>More: tables too large for one machine (Spark)</summary>
#
# For a table that does not fit on one machine, MLflow turns the same model into a function on columns of a Spark
# cluster (not run here, because Spark is not installed):
#
# ```python
# score = mlflow.pyfunc.spark_udf(
#     spark, caller.model_uri, env_manager="local", result_type="probability double, call boolean"
# )
# customers.withColumn("score", score())
# ```
#
# </details>
#
# ## Look at the UI
#
# 1. Open the UI: *MLflow UI* among the links at the top, or the command under *Setup*. When a panel *MLflow Assistant*
#    opens at the right, close it with its cross. Choose *Model training* at the top left, then *Experiments*, then the
#    experiment `churn-models`.
# 2. In the menu on the left, click *Models*. Each logged model is a row of its own.
# 3. Click `whom_to_call` (the upper one, if you ran the lecture twice). In *Overview*, *Source run* is the run that
#    made it.
# 4. Click *Artifacts*, then `MLmodel`. Find the threshold under `config`, and the params at the end. Then click
#    `whom_to_call.py`: the code that cleans is there for everybody to read.
#
# ![The models of the experiment, after step 2 and a whole lecture](../site/_static/models_ui.png)
#
# ## Your turn
#
# For a week with few people, Tom wants a stricter model: the same parts, but a threshold of 0.6. Replace the three dots
# by **one line** that gives `strict` this setting, and run both cells.
#
# <details><summary>One solution</summary>
#
# `strict["model_config"] = {"threshold": 0.6}`
#
# </details>

# %% tags=["your-turn"]
strict = {"model_config": {"threshold": threshold}}
...

with mlflow.start_run(run_name="strict"):
    yours = mlflow.pyfunc.log_model(name="whom_to_call_strict", **parts, **strict)

# %% tags=["your-turn-solution"]
strict = {"model_config": {"threshold": threshold}}
strict["model_config"] = {"threshold": 0.6}

with mlflow.start_run(run_name="strict"):
    yours = mlflow.pyfunc.log_model(name="whom_to_call_strict", **parts, **strict)

# %%
card = mlflow.models.get_model_info(yours.model_uri)
config = card.flavors["python_function"]["config"]
hint = "the setting is called threshold, and model_config is a dictionary."
lesson.turn(config == {"threshold": 0.6}, hint)

# %% [markdown]
# ## Pitfalls
#
# Each of them has a code, and the checks of the homework use the same codes.
#
# **`no-signature`: the model takes anything.** Without example and signature, `log_model` stores a model that compares
# nothing. Prices that arrive as text pass without a word:

# %%
with mlflow.start_run(run_name="bare"):
    bare = mlflow.sklearn.log_model(
        pipeline, name="bare", skops_trusted_types=trusted, pip_requirements=packages
    )
wrong = requests["price as text"]
answers = mlflow.pyfunc.load_model(bare.model_uri).predict(wrong)
print("without a signature:", len(answers), "answers")

# %% [markdown]
# To repair it, give `input_example=` or `signature=` when you log, or set it later, by `models:/m-…` (`models:/name/1`
# is refused):

# %%
mlflow.models.set_signature(bare.model_uri, signature)
try:
    mlflow.pyfunc.load_model(bare.model_uri).predict(wrong)
except mlflow.MlflowException as error:
    print("with a signature:", str(error).split("Error: ")[1].split(". ")[0])

# %% tags=["claims"]
assert len(answers) == len(customers)
assert mlflow.models.get_model_info(bare.model_uri).signature.inputs == signature.inputs

# %% [markdown]
# **`integer-column`: whole numbers today, a gap tomorrow.** The support calls are whole numbers, so somebody trains on
# integers, and the signature says `long`. One unknown value turns such a column into floats, and those are refused.
# MLflow warns of this when it infers the signature; the cell keeps the first words.

# %%
import warnings

with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    with_integers = mlflow.models.infer_signature(requests["whole numbers"])
print("warning:", str(said[0].message).split(". ")[0])

# %%
one_gap = customers.copy()
one_gap.loc[one_gap.index[0], "support_calls"] = float("nan")
signatures = {"int": with_integers, "float": signature}
for made_from, made in signatures.items():
    try:
        mlflow.models.validate_schema(one_gap, made.inputs)
        print(made_from, "accepted")
    except mlflow.MlflowException as error:
        print(made_from, "refused:", str(error).split(". ")[1])

# %% [markdown]
# `float accepted` is the repair: train on floats and show MLflow floats, as `data.churn_split` does for us. Callers
# with whole numbers convert them, as in Round 2.
#
# **`labels-not-probabilities`: pyfunc answers 0 or 1.** It calls the pipeline's `predict`, which cuts at 0.5: Tom's 0.3
# is lost. Without a class of your own, one argument makes it call `predict_proba`; `MLmodel` notes it as `predict_fn`.
#
# <details class="more"><summary>More: what the signature promises then</summary>
#
# From an example, MLflow works out the answer's type by `predict`, even with this argument, so the card promises one
# label a row. For a true card, also pass a `signature` from `infer_signature` with the probabilities.
#
# </details>

# %%
with mlflow.start_run(run_name="probabilities"):
    probabilities = mlflow.sklearn.log_model(
        pipeline,
        name="churn_probabilities",
        pyfunc_predict_fn="predict_proba",
        input_example=X_train.head(3),
        skops_trusted_types=trusted,
        pip_requirements=packages,
    )
for logged in (churn_pipeline, probabilities):
    answers = mlflow.pyfunc.load_model(logged.model_uri).predict(customers.head(2))
    print(logged.name, answers.round(2).tolist())

# %% tags=["claims"]
assert answers.shape == (2, 2) and 0 < answers[0, 1] < 1
promised = probabilities.signature.outputs.to_dict()
assert len(promised) == 1 and "tensor-spec" not in promised[0]

# %% [markdown]
# ## In your own project
#
# The same work without any help from this course, on real data that comes with scikit-learn. Open *Show the script*,
# copy it into a file `whom.py` in an empty folder and run `python whom.py`. The file is the model *and* the script that
# logs it: what stands below `if __name__ …` runs only when you start it yourself, not when MLflow loads the model.

# %% tags=["own-project"]
"""A model with its threshold inside: python whom.py"""

import mlflow
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


class WhomToInvite(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.pipeline = mlflow.sklearn.load_model(context.artifacts["pipeline"])
        self.threshold = context.model_config["threshold"]

    def predict(self, context, model_input: pd.DataFrame, params=None):
        p = self.pipeline.predict_proba(model_input)[:, 0]  # column 0: malignant
        answer = {"probability": p, "invite": p >= self.threshold}
        return pd.DataFrame(answer, index=model_input.index)  # rows keep their names


mlflow.models.set_model(WhomToInvite())

if __name__ == "__main__":
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("my-models")
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X_train, X_new, y_train, _ = train_test_split(X, y.astype(float), random_state=0)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train)
    packages = mlflow.sklearn.get_default_pip_requirements(include_skops=True)
    given = {"input_example": X_train.head(3), "pip_requirements": packages}
    with mlflow.start_run(run_name="whom-to-invite"):
        pipeline = mlflow.sklearn.log_model(model, name="pipeline", **given)
        info = mlflow.pyfunc.log_model(
            name="whom_to_invite",
            python_model=__file__,
            artifacts={"pipeline": pipeline.model_uri},
            model_config={"threshold": 0.2},
            **given,
        )
    print(mlflow.pyfunc.load_model(info.model_uri).predict(X_new.head(3)))

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("models")

# %% [markdown]
# ## Key points
#
# - **What is a model?** A folder with a table of contents, `MLmodel`. It is a LoggedModel with the address
#   `models:/m-…`. `mlflow.sklearn` gives the pipeline back, `mlflow.pyfunc` an object with `predict`.
# - **Which requests does it accept?** Those that fit its signature: all required columns there, each of the right type.
#   The signature ignores other columns and does not look at values. It comes from an example or from type hints.
# - **How does more than a pipeline get into it?** With a class that has `predict`, in a file: files as `artifacts`,
#   settings as `model_config`, wishes of one call as `params`.
# - **How do you use it elsewhere?** Load the folder as pyfunc, and give it a whole table.
#
# ## Next steps
#
# - Do the [homework]({homework:models}): a model by hand, one with its own threshold, and three folders to read.
# - Next lecture: [Portable models]({step:portable_models}), whether a model runs elsewhere.
# - Official page: [MLflow models](https://mlflow.org/docs/latest/ml/model/).
# - Optional depth: set `threshold` to 0.5 and run all again. `whom_to_call` and the pipeline now call the same
#   customers, if the contracts are written well.
