# %% [markdown]
# # Models: a folder that anyone can load
#
# **Can a colleague who has never seen your notebook use your model, and is it safe to do so?**
#
# We will build one model by hand, file by file, and then a model of our own that carries its preprocessing and its
# threshold with it.
#
# Afterwards you can
# - **log** a model with signature, example, trusted types and pinned requirements;
# - **inspect** a model's files before you load it, and **explain** why loading a pickle runs code;
# - **wrap** preprocessing and threshold in a pyfunc model and **check** it in another process.
#
# **You need:** lectures {step:pipelines}, {step:mlflow_basics} and {step:logging}.
#
# **Time:** 14 min to read · 18 min to do
#
# <!-- links -->

# %% [markdown]
# ## Recall
#
# One question on an earlier lecture.

# %%
from course_utils import lesson

lesson.quiz("models", "recall")

# %% [markdown]
# ## The problem
#
# Aisha runs what Mira trains. Today she got a file, `model_final2.pkl`, and a message: "needs some scikit-learn, call
# if the probability is above 0.3, contract names in lower case". Three facts that only the message knows. Ines asks a
# fourth question: "What does that file do when you open it?"
#
# An MLflow **model** is a folder that answers all four.
#
# ## Setup

# %% tags=["parameters"]
seed = 0
threshold = 0.3

# %%
from pathlib import Path
from time import perf_counter

import mlflow
import pandas as pd
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from course_utils import data, plots, store

# %%
store.connect()
mlflow.set_experiment("churn-models")
folder = store.outputs("08_models")
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

split = data.churn_split(2000, seed, missing=0.05)
X_train, X_test = split.X_train, split.X_test
numbers, words = list(X_train.select_dtypes("number")), list(X_train.select_dtypes(exclude="number"))
prepare = make_column_transformer(
    (SimpleImputer(strategy="median"), numbers), (OneHotEncoder(handle_unknown="ignore"), words)
)
pipeline = make_pipeline(prepare, RandomForestClassifier(40, max_depth=6, random_state=seed))
pipeline = pipeline.fit(X_train, split.y_train)

# %% [markdown]
# ## Round 1: a model by hand
#
# Until now `store.log_model` did this for you. It takes four steps. **Step 1: the signature**, the columns that go in
# and what comes out, with types. **Step 2: the format.** The default is *skops*, a format that contains data and names
# of types, but no code. It refuses what it does not know:

# %%
signature = mlflow.models.infer_signature(X_train, pipeline.predict(X_train))
with lesson.expect_error(mlflow.MlflowException):
    with mlflow.start_run(run_name="refused"):
        mlflow.sklearn.log_model(pipeline, name="churn_forest", signature=signature, pip_requirements=["scikit-learn"])

# %% [markdown]
# Older courses show this call working: until recently the default format was a pickle, which refuses nothing. Today you
# read the list, then say yes to each type on it. `Tree` holds the nodes of a decision tree, `numpy.dtype` the type of
# an array. You trained this forest yourself, so you may trust both. With a stranger's file, never pass the list on
# unread.
#
# **Step 3: requirements**, with exact versions. **Step 4: log**, with three rows as an example.

# %%
types = skops.io.get_untrusted_types(data=skops.io.dumps(pipeline))
requirements = mlflow.sklearn.get_default_pip_requirements(include_skops=True)
with mlflow.start_run(run_name="by-hand") as run:
    churn_forest = mlflow.sklearn.log_model(
        pipeline,
        name="churn_forest",
        signature=signature,
        input_example=X_train.head(3),
        skops_trusted_types=types,
        pip_requirements=requirements,
    )

# %% [markdown]
# **Predict.** How many files does the *run* have among its artifacts now?

# %%
prediction = "?"  # a number

# %%
print("files of the run: ", len(mlflow.artifacts.list_artifacts(run_id=run.info.run_id)))
print("models of the run:", len(mlflow.get_run(run.info.run_id).outputs.model_outputs), churn_forest.model_uri)
files = Path(mlflow.artifacts.download_artifacts(churn_forest.model_uri))
print("files of the model:", *sorted(file.name for file in files.iterdir()), sep="\n  ")

card = mlflow.models.get_model_info(churn_forest.model_uri)  # reads MLmodel, loads nothing
print("flavors:", *sorted(card.flavors), "| format:", card.flavors["sklearn"]["serialization_format"])
print("in: ", card.signature.inputs.to_dict()[0], "and", len(card.signature.inputs.inputs) - 1, "more")
print("out:", card.signature.outputs)

# %% [markdown]
# You should see no file and one model. In MLflow 3 a model is a thing of its own, a **LoggedModel** with the address
# `models:/m-…`; older courses look for it among the run's artifacts. (`runs:/<run id>/churn_forest` still leads there.)
#
# The folder's table of contents is `MLmodel`. Its **flavors** are the ways to load the model: `sklearn` gives the
# estimator back; `python_function` (**pyfunc**) gives an object with `predict`, whatever library is inside. `required`
# is False because the training rows have gaps; three example rows alone would have said True.
#
# What if you leave step 3 out? MLflow starts a second Python, loads the model there and notes every package that gets
# imported. That takes seconds, each time, and finds more than the model needs.

# %% tags=["measured"]
seconds = {}
for name, given in {"given": requirements, "guessed": None}.items():
    with mlflow.start_run(run_name=f"requirements-{name}"):
        start = perf_counter()
        bare = mlflow.sklearn.log_model(pipeline, name="bare", skops_trusted_types=types, pip_requirements=given)
        seconds[name] = perf_counter() - start
found = Path(mlflow.pyfunc.get_model_dependencies(bare.model_uri)).read_text().split()
print("guessed:", *(line.split("==")[0] for line in found))
title = "Guessing requirements costs seconds, giving them does not"
fig = plots.bars(pd.Series(seconds, name="requirements"), title=title, xlabel="time of log_model (s)", digits=2)
alt = "log_model takes {given:.2f} s with requirements given, {guessed:.2f} s when it guesses them."
plots.show(plots.describe(fig, alt.format(**seconds)))

# %% [markdown]
# Packages like `rich` came along because something imported them, not because the model needs them.
#
# ## Round 2: what runs when a model is loaded?
#
# A pickle is a list of *instructions*. One of them is "call this function". Here it is `print`; it could as well delete
# your files. Nobody calls `predict`; loading is enough. skops stores the same object as data: looking at its types runs
# nothing, and loading stops at a type that you have not trusted.

# %%
import pickle


class Surprise:
    def __reduce__(self):  # how pickle rebuilds the object: call this function with these arguments
        return print, ("This line ran because a file was loaded.",)


with open(folder / "model_final2.pkl", "wb") as file:
    pickle.dump(Surprise(), file)
with open(folder / "model_final2.pkl", "rb") as file:
    pickle.load(file)

# %%
stored = skops.io.dumps(Surprise())
print("to trust:", skops.io.get_untrusted_types(data=stored))
with lesson.expect_error(skops.io.exceptions.UntrustedTypesFoundException):
    skops.io.loads(stored)

# %% [markdown]
# So read the card of a stranger's model before you load it. Mind one thing: the list of trusted types travels *inside*
# the model, so a stranger's list says what the stranger trusts. A machine that must load nothing sets
# `MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false`; that blocks skops models too, for this reason.
#
# ## Round 3: preprocessing and threshold inside
#
# The call centre's table says `Month-To-Month`, the training data `month-to-month`, and `OneHotEncoder` silently
# ignores what it does not know. Tom calls from a probability of 0.3 on, not 0.5. Both facts belong in the model: a
# class with `predict`, in a file of its own (**models from code**). MLflow copies the file; an *object* would be
# pickled instead, with a warning. Tom's old rule needs no library at all; it is a model too.

# %%
whom_to_call = """
import mlflow
import pandas as pd

class WhomToCall(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.pipeline = mlflow.sklearn.load_model(context.artifacts["pipeline"])
        self.threshold = context.model_config["threshold"]

    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        clean = model_input.assign(contract=model_input["contract"].str.strip().str.lower())
        probability = self.pipeline.predict_proba(clean)[:, 1]
        return pd.DataFrame({"probability": probability, "call": probability >= self.threshold}, clean.index)

mlflow.models.set_model(WhomToCall())
"""

# %%
toms_rule = """
import mlflow
import pandas as pd

class TomsRule(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        return pd.DataFrame({"call": model_input["support_calls"] >= 3.0})

mlflow.models.set_model(TomsRule())
"""

# %%
models = {"churn_forest": churn_forest.model_uri}
inside = {"artifacts": {"pipeline": churn_forest.model_uri}, "model_config": {"threshold": threshold}}
for name, code, extra in [("whom_to_call", whom_to_call, inside), ("toms_rule", toms_rule, {})]:
    file = folder / f"{name}.py"
    print(name, "is code of", file.write_text(code), "characters")
    with mlflow.start_run(run_name=name):
        logged = mlflow.pyfunc.log_model(
            name=name, python_model=file, input_example=X_train.head(3), pip_requirements=requirements, **extra
        )
    models[name] = logged.model_uri

# %% [markdown]
# **Predict.** Each model sees the customers twice: once with clean contract names, once as the call centre writes them.
# For which models does the number of calls change?

# %%
prediction = "?"  # churn_forest, whom_to_call, toms_rule

# %%
messy = X_test.assign(contract=X_test["contract"].str.title() + " ")
for name, uri in models.items():
    model = mlflow.pyfunc.load_model(uri)
    answers = [pd.DataFrame(model.predict(table)).iloc[:, -1].sum() for table in (X_test, messy)]
    print(f"{name:13s} clean: {answers[0]:3d} calls   messy: {answers[1]:3d} calls")

# %% [markdown]
# You should see one change, for the bare forest, without any error. The loop is the point of pyfunc: it does not know
# which library it serves.
#
# **Check before you ship.** `mlflow.models.predict` sends data through the model as a server would. Its default builds
# a new environment from the requirements, which needs a network; `env_manager="local"` takes the present one. Then hand
# the model's folder to a Python that knows nothing of this notebook. The last cell **scores a batch**: a whole table in
# one call. On a Spark cluster the same model becomes a column function (not run here: Spark is not installed):
#
# ```python
# score = mlflow.pyfunc.spark_udf(spark, uri, env_manager="local", result_type="probability double, call boolean")
# customers.withColumn("score", score(*columns))
# ```

# %%
import subprocess
import sys

checked = str(folder / "checked.json")
mlflow.models.predict(models["whom_to_call"], messy.head(3), env_manager="local", output_path=checked)
print(pd.DataFrame(pd.read_json(checked)["predictions"].tolist()).round(3))

script = """import sys, mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
print(model.predict(pd.read_parquet(sys.argv[2])).round(3))"""
messy.head(3).to_parquet(folder / "customers.parquet")
whole = mlflow.artifacts.download_artifacts(models["whom_to_call"], dst_path=str(folder / "shipped"))
command = [sys.executable, "-c", script, whole, str(folder / "customers.parquet")]
print(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

# %%
scores = mlflow.pyfunc.load_model(models["whom_to_call"]).predict(messy)
to_call = messy[["tenure_months", "contract"]].join(scores).query("call").nlargest(3, "probability")
print(f"{scores['call'].sum()} of {len(scores)} customers to call; first:")
to_call.round(3)

# %% [markdown]
# ## Look at the UI
#
# With *Model training* chosen at the top left, open the experiment `churn-models`, then *Models* in the menu on the
# left. The model that was refused is there too, as *Failed*. Click `whom_to_call`: *Overview* names the run that made
# it, *Artifacts* shows the folder. Open `MLmodel` there and find the threshold and the signature.
#
# ## Your turn
#
# `model_config` can be overruled when the model is loaded. Replace the three dots: load `whom_to_call` with the
# threshold 0.6.
#
# <details><summary>One solution</summary>
#
# `strict = mlflow.pyfunc.load_model(models["whom_to_call"], model_config={"threshold": 0.6})`
#
# </details>

# %%
strict = ...
called = strict.predict(X_test).query("call")["probability"] if strict is not ... else pd.Series([0.0])
lesson.turn(called.min() >= 0.6, "load_model takes the address and model_config={...}.")

# %% [markdown]
# ## Pitfalls
#
# **`no-signature`: the model takes anything.** The model `bare` has no signature. Prices that arrive as text pass
# silently; with a signature, the error names the column. Repair: `signature=` or `input_example=`.

# %%
as_text = X_test.head(1).assign(monthly_charges="52.22")
print("without:", mlflow.pyfunc.load_model(bare.model_uri).predict(as_text))
with lesson.expect_error(mlflow.MlflowException, code="no-signature"):
    mlflow.models.validate_schema(as_text, signature.inputs)

# %% [markdown]
# **`integer-column`: whole numbers today, a gap tomorrow.** Trained on integers, the signature says `long`, and MLflow
# hints at the danger: one missing value turns a column into floats, which are refused. Repair: `astype(float)` first.

# %%
whole_numbers = X_test.fillna(0).astype({"support_calls": int})
with lesson.expect_warning(UserWarning):
    integer_signature = mlflow.models.infer_signature(whole_numbers)
with lesson.expect_error(mlflow.MlflowException, code="integer-column"):
    mlflow.models.validate_schema(X_test.head(1), integer_signature.inputs)

# %% [markdown]
# **`pickle-format`: the call from an older course.** It works, and MLflow's log complains twice: the argument
# `artifact_path` is now `name`, and the format may run code. Repair: `name=`, skops and the list of types, as in round 1.

# %%
import contextlib
import io

said = io.StringIO()
with contextlib.redirect_stderr(said), mlflow.start_run(run_name="old-call"):
    mlflow.sklearn.log_model(
        pipeline, artifact_path="churn", serialization_format="cloudpickle", pip_requirements=requirements
    )
print(*(line[20:] for line in said.getvalue().replace(". ", ".\n" + " " * 20).splitlines()), sep="\n")

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("models")

# %% [markdown]
# ## Key points
#
# - A model is a folder: `MLmodel` names flavors and signature; beside it stand the weights, an example and the
#   requirements. Give `log_model` name, types and requirements, and it has nothing to guess.
# - Loading a pickle runs whatever its author wrote into it. `get_model_info` and `get_untrusted_types` show format and
#   types before anything is loaded.
# - A pyfunc model carries preprocessing and threshold, in a file of code. `mlflow.models.predict` and a fresh Python
#   show that it works elsewhere.
#
# ## Next steps
#
# - Do the [homework](../exercises/08_models.ipynb): a model by hand, one with its own threshold, and a check.
# - Next lecture: versions and aliases, so that nobody copies addresses around.
# - Official page: [MLflow models](https://mlflow.org/docs/latest/ml/model/).
# - Optional depth: [models from code](https://mlflow.org/docs/latest/ml/model/models-from-code/).
