# %% [markdown]
# # Portable models: elsewhere, and safely
#
# **Does a model run on another machine, and what else runs when it is loaded?**
#
# We will build harmless models that do something when they are opened or used, and see it before loading. Then
# we make a model of our own ready to travel, with a proof of what was checked. Folded parts marked *More* can wait.
#
# Afterwards you can
# - **say** what runs when a pickle, a skops file or a model from code is loaded, and **read** it first;
# - **pin** the packages that a model needs, and **ship** a module of your own with it;
# - **check** a model as its user will call it, and **compare** what was deployed with what was checked.
#
# **You need:** [Models]({step:models}).
#
# **Time:** 18 min to read · 18 min to do. After Round 3 is a good place for a pause.
#
# <!-- links -->

# %% [markdown]
# ## Recall
#
# One question on an earlier lecture. Click an answer; each of them replies.

# %%
from course_utils import lesson

lesson.quiz("portable_models", "recall")

# %% [markdown]
# ## The problem
#
# On Friday two things went wrong at Nordtel. Ines, the governance officer, found a supplier's file in her mail, also
# called `model_final2.pkl`, and asked: "What does this file *do* when you open it?" Nobody knew. An hour later Aisha
# loaded Mira's newest model on the server, and got `ModuleNotFoundError: No module named 'cleaning'`.
#
# Both have the same cause. A model is not only numbers: to bring it back, Python has to run code, and that code comes
# from somewhere. This is where it can come from:

# %% tags=["hide-input"] jupyter={"source_hidden": true}
from course_utils import plots

boxes = {
    "load": (0.8, 1.5, "you load\na model"),
    "pickle": (4.0, 3.0, "pickle\nthe file's own\ninstructions"),
    "skops": (4.0, 1.5, "skops\ntypes and functions\non its list, by name"),
    "code": (4.0, 0.0, "from code\nthe .py file,\ntop to bottom"),
    "here": (8.2, 1.5, "this machine\nyour packages,\nyour rights"),
}
arrows = [
    ("load", "pickle", "obeys"),
    ("load", "skops", "compares"),
    ("load", "code", "runs"),
    ("pickle", "here", "calls anything"),
    ("skops", "here", "calls what is listed"),
    ("code", "here", "calls anything"),
]
title = "Three kinds of models, and what may run when one of them is loaded"
plots.show(plots.diagram(boxes, arrows, title=title, height=3.8))

# %% [markdown]
# ## Setup

# %% tags=["parameters"]
seed = 0
n_rows = 1000

# %%
import os
import tempfile
from pathlib import Path

import mlflow
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from course_utils import data, store

# %% [markdown]
# `store.connect()` is the lines of [MLflow basics]({step:mlflow_basics}) in one call. The model of today is small:
# three numbers of each customer, scaled, and a logistic regression. We log it under the name `ours`. Round 4 explains
# `packages`.

# %%
store.connect()
mlflow.set_experiment("churn-portable")
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

split = data.churn_split(n_rows, seed)
numbers = ["tenure_months", "monthly_charges", "support_calls"]
X_train, customers = split.X_train[numbers], split.X_test[numbers]
y_train = split.y_train.astype(float)
pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train)

folder = Path(tempfile.mkdtemp())  # a scratch folder for the files of this lecture
packages = mlflow.sklearn.get_default_pip_requirements(include_skops=True)

# %%
usual = {"pip_requirements": packages, "input_example": X_train.head(3)}
with mlflow.start_run(run_name="our-own"):
    ours = mlflow.sklearn.log_model(pipeline, name="ours", **usual)

# %% [markdown]
# ## Round 1: a pickle is a list of instructions
#
# In [Pipelines]({step:pipelines}), a file from the mail printed a line when it was loaded. Here is why: a pickle
# (`joblib` and `cloudpickle` write pickles, too) is not the object but a list of *instructions* for making it again.
# One of them says "call this function with these arguments".
#
# A class chooses the function in its method `__reduce__`. The supplier's file might have been made like this. Here
# the function is `print`, but it could as well delete your files.

# %%
import pickle


class Surprise:
    def __reduce__(self):
        return print, ("This line ran, and nobody called predict.",)


file = folder / "model_final2.pkl"
_ = file.write_bytes(pickle.dumps(Surprise()))

# %% [markdown]
# **Predict.** The next cell first reads the bytes of the file, then loads them. When does the line appear: when the
# file is read, when it is loaded, or never, because there is no `predict` in the cell?

# %%
prediction = "?"  # read, loaded or never

# %%
content = file.read_bytes()
print("read:  ", len(content) > 0)
loaded = pickle.loads(content)
print("loaded:", loaded)

# %% tags=["claims"]
CHANGES = [{"n_rows": 600}, {"seed": 3}]

assert loaded is None  # what print returns
assert b"print" in content

from sklearn.tree import DecisionTreeClassifier

# %% [markdown]
# You should see the line between *read* and *loaded*: reading bytes is harmless, loading obeyed the instruction. What
# was "loaded" is `None`, the answer of `print`; there was never a model. `pickletools.dis(content)` lists the
# instructions and runs none, but few people can judge them: do not load a stranger's pickle.
#
# <details class="more"><summary>More: where pickle is still the default</summary>
#
# Today `log_model` writes scikit-learn models in the format of the next round. Autologging, Databricks (even as the
# store only) and older versions write a pickle by default.
#
# </details>
#
# ## Round 2: skops holds names, not instructions
#
# A file in the format **skops** holds data, and the *names* of the types and functions that are needed to put the
# object together. Before that happens, each name is compared with a list of types known to be harmless. Any other
# name is *untrusted*, and loading stops unless you allow it:

# %%
stored = skops.io.dumps(Surprise())
print("to trust:", skops.io.get_untrusted_types(data=stored))
try:
    skops.io.loads(stored)
except skops.io.exceptions.UntrustedTypesFoundException as error:
    print("skops:", error)

# %% [markdown]
# Nothing ran. So is skops safe? It is as safe as the list of names that you allow, and a name can be a function, too.
#
# Here is the model of a stranger. It has a step that prints whatever passes through it; in earnest, it would send
# your customers to somebody.

# %%
import contextlib
import io
from functools import partial

spy = FunctionTransformer(partial(print, "The stranger reads:\n"))
listed = skops.io.get_untrusted_types(data=skops.io.dumps(spy))
print(listed)

unseen = contextlib.redirect_stderr(io.StringIO())  # hides a remark of MLflow
with mlflow.start_run(run_name="from-a-stranger"), unseen:
    stranger = mlflow.sklearn.log_model(
        spy, name="stranger", skops_trusted_types=listed, pip_requirements=packages
    )

# %% [markdown]
# The stranger logged it with the complete list. **Predict.** You load it with MLflow, and say nothing about trust. Does
# the load stop, as it did above?

# %%
prediction = "?"  # it stops, or it loads

# %%
step = mlflow.sklearn.load_model(stranger.model_uri)
print("loaded:", type(step).__name__)
_ = step.transform(customers.head(2))

# %% tags=["claims"]
assert listed == ["builtins.print", "functools.partial"]

# %% [markdown]
# You should see that it loads, and that the function ran with your customers as soon as the step was used. The reason
# is that MLflow takes the list of trusted types **from the model itself**: it says what the stranger trusts, not what
# you trust. Here it ran when the step was used. A forged file can make skops call a listed function already *while it
# loads*: so read first.
#
# What can you read before you load? The file `MLmodel` describes each model, with one part for each flavor.
# `get_model_info` reads it and loads nothing. Here are the entries that matter, of our own model and of the stranger's:

# %%
to_read = ["loader_module", "model_path", "model_code_path", "code", "data"]
to_read += ["serialization_format", "pickled_model", "skops_trusted_types"]
to_read += ["python_model"]  # the pickle of a class


def show_flavors(logged):
    info = mlflow.models.get_model_info(logged.model_uri)  # loads nothing
    for flavor, entries in info.flavors.items():
        print(f"{logged.name}, flavor {flavor}:")
        for entry, value in entries.items():
            if entry in to_read:
                of_code = entry == "model_code_path"  # MLflow takes its end, too
                print(f"    {entry}: {Path(value).name if of_code else value!a}")


show_flavors(ours)
show_flavors(stranger)

# %% tags=["claims"]
ours_, stranger_ = ours.flavors, stranger.flavors
assert set(ours_) == {"python_function", "sklearn"} and set(stranger_) == {"sklearn"}
assert ours_["sklearn"]["code"] is None and "code" not in ours_["python_function"]
assert ours_["python_function"]["model_path"] == "model.skops"
assert stranger_["sklearn"]["code"] is None
assert stranger_["sklearn"]["pickled_model"] == "model.skops"
assert stranger_["sklearn"]["skops_trusted_types"] == listed

# %% [markdown]
# You should see the stranger's two functions in **`skops_trusted_types`**, and `None` in ours. (The stranger's step has
# no `predict`, hence **no flavor `python_function`**.) `loader_module` names the code that loads the model,
# `model_path` and `pickled_model` the file that it reads. (The last one is only called so: `model.skops` is no pickle.)
#
# `skops_trusted_types` is what the sender wrote. So before you load, read the names in the file itself, and compare
# them with a list of *yours*. Nothing here loads the model:

# %%
we_trust = {"numpy.dtype"}  # for a stranger's model
home = Path(mlflow.artifacts.download_artifacts(stranger.model_uri))
names = skops.io.get_untrusted_types(file=home / "model.skops")
print("not on our list:", sorted(set(names) - we_trust))

# %% tags=["claims"]
import shutil
from types import SimpleNamespace

moved_ = shutil.copytree(home, folder / "moved")  # a forger may hide the file that MLflow loads in a folder
card_ = (moved_ / "MLmodel").read_text()
(moved_ / "MLmodel").write_text(card_.replace("pickled_model: model.skops", "pickled_model: x/model.skops"))
with contextlib.redirect_stdout(io.StringIO()) as shown_:
    show_flavors(SimpleNamespace(name="moved", model_uri=str(moved_)))
assert "pickled_model: 'x/model.skops'" in shown_.getvalue()
(moved_ / "MLmodel").write_text(card_.replace("code: null", "code: None"))  # the name of a folder
with contextlib.redirect_stdout(io.StringIO()) as shown_:
    show_flavors(SimpleNamespace(name="moved", model_uri=str(moved_)))
assert "code: 'None'" in shown_.getvalue()
(moved_ / "MLmodel").write_text(card_.replace("model.skops", "model.sk\u043eps"), encoding="utf8")  # Cyrillic
with contextlib.redirect_stdout(io.StringIO()) as shown_:
    show_flavors(SimpleNamespace(name="moved", model_uri=str(moved_)))
assert "pickled_model: 'model.sk\\u043eps'" in shown_.getvalue()

assert set(names) - we_trust == {"builtins.print", "functools.partial"}
forged = skops.io.dumps(DecisionTreeClassifier().fit([[0.0], [1.0]], [0, 1]))
assert skops.io.get_untrusted_types(data=forged) == ["sklearn.tree._tree.Tree"]
try:
    skops.io.loads(forged)
except skops.io.exceptions.UntrustedTypesFoundException as error:
    assert "out-of-bounds memory" in str(error)

import json
import zipfile

plain_ = io.BytesIO(skops.io.dumps(("ran on load",)))
call_ = json.loads(zipfile.ZipFile(plain_).read("schema.json"))
shared_ = {key: call_.pop(key) for key in ("protocol", "_skops_version")}
call_ = {"__class__": "print", "__module__": "builtins", "content": call_} | shared_
call_ |= {"__loader__": "ConstructorFromReduceNode", "__id__": 1}
forged_ = io.BytesIO()
with zipfile.ZipFile(forged_, "w") as file_:
    file_.writestr("schema.json", json.dumps(call_))
assert skops.io.get_untrusted_types(data=forged_.getvalue()) == ["builtins.print"]
printed_ = io.StringIO()
with contextlib.redirect_stdout(printed_):
    skops.io.loads(forged_.getvalue(), trusted=["builtins.print"])
assert printed_.getvalue() == "ran on load\n"

# %% [markdown]
# You should see two functions that are not on our list: we do not load this model again.
#
# Your list depends on the sender:
#
# - **a stranger**: `numpy.dtype` only, and a Python of its own, as a forged model can still crash it;
# - **people you know**: also `sklearn.tree._tree.Tree`, which every forest needs;
# - **yourself**: also what your own steps need.
#
# A name that you cannot judge means: do not load.
#
# <details class="more"><summary>More: why we trust these two types</summary>
#
# `numpy.dtype` only says what kind of numbers an array holds. A `Tree` is a decision tree, alone or in a forest: a
# table of numbers, which scikit-learn believes without checking them: a forged one may read memory that is not its own.
# So may a forged support vector machine, and for that one skops lists no name: use a stranger's model in a Python of
# its own, where a crash harms nothing.
#
# </details>
#
# ## Round 3: a model from code is a file that runs
#
# In [Models]({step:models}), our own models were files of Python. MLflow copies such a file into the model, and
# **runs it from the first line to the last** whenever the model is loaded. Nothing keeps anybody from writing more
# than a class:

# %%
chatty = """
import mlflow

print("The file of the model runs.")

class Chatty(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[float], params=None) -> list[float]:
        return model_input

mlflow.models.set_model(Chatty())
"""
_ = (folder / "chatty.py").write_text(chatty)

# %%
with mlflow.start_run(run_name="from-code"):
    from_code = mlflow.pyfunc.log_model(
        name="chatty", python_model=folder / "chatty.py", pip_requirements=["mlflow"]
    )

# %% [markdown]
# You see its line already: logging runs the file, too. No switch of MLflow stops such a file. You have to read it,
# like any program that somebody sends you. The next cell reads it and runs nothing:

# %%
show_flavors(from_code)
home = Path(mlflow.artifacts.download_artifacts(from_code.model_uri))
print("----", (home / "chatty.py").read_text()[:52], sep="\n")

# %% tags=["claims"]
assert set(from_code.flavors) == {"python_function"}
assert Path(from_code.flavors["python_function"]["model_code_path"]).name == "chatty.py"

# %% [markdown]
# ### One rule for every model that you get
#
# To look up, not to learn: for a skops model, the script at the end does steps 2 and 3.
#
# 1. **Copy it once**, by `home = download_artifacts(…, dst_path=…)`, and give `home` to every later call. An address
#    such as `models:/…` may fetch changed files.
# 2. **Compare `MLmodel` with the table.** `print(ascii(mlflow.models.get_model_info(str(home)).flavors))` shows it. If
#    a flavor `sklearn` says `serialization_format: skops`, take the left column, else the right one. Entries of the
#    table that you find must fit it; a dash forbids one.
# 3. **Read** what the last row names, with skops 0.15 or newer. Refuse code that you cannot read, and delete each
#    folder `__pycache__`: Python may run the compiled copies in it instead.
# 4. **Load the folder**, for example by `mlflow.sklearn.load_model(str(home))`.
#
# | entry | a skops model | a model from code |
# |---|---|---|
# | `loader_module` | `mlflow.sklearn` | `mlflow.pyfunc.loaders.code_model` |
# | `serialization_format` | `skops` | – |
# | `pickled_model`, `model_path` | `model.skops` | – |
# | `model_code_path` | – | a file of Python |
# | `code` | `None`, or a folder of modules (Round 5) | the same |
# | `data`, `python_model`: further files | – | – |
# | **read** | the names (Round 2), and the folder | the file, and the folder |
#
# `ours` and `stranger` fit the left column, `chatty` the right one; to fit is not yet to be safe. A model that fits
# neither, or has a flavor other than `sklearn` and `python_function`, is treated as a pickle: do not load a stranger's.
#
# <details class="more"><summary>More: forged names, the path, compiled code, other flavors, and lists of packages</summary>
#
# What forgers try: `None` is no folder, `'None'` is one, and `\u` shows a letter in disguise.
#
# If an entry leads elsewhere, you read one file and MLflow loads another: with `loader_module: mlflow.pyfunc.model`,
# `mlflow.sklearn` loads the skops file and `mlflow.pyfunc` a pickle beside it. Older versions of skops can be deceived
# about the names, and list no trees. Where the artifacts are in a plain folder, as here, `download_artifacts` without
# `dst_path=` hands out that folder itself.
#
# In the file `MLmodel` itself, `model_code_path` is the author's whole path; what runs is the copy in the model's
# folder. A path from Windows (`C:\…`) does not load on Linux (MLflow issue 19744): shorten the entry to the file's
# name, before you take the fingerprint.
#
# Compiled code (`.pyc`, `.so`, `.pyd`) cannot be read. A model inside the model, as in [Models]({step:models}), is read
# in the same way.
#
# Other flavors, such as `statsmodels`, write no `serialization_format`, and store a pickle even today.
#
# *Installing* can run code, so read the lists of packages first: `pip install -r` takes `requirements.txt`. MLflow,
# when it serves or predicts in a new environment, takes `python_env.yaml` (or the file that `env` in `MLmodel` names),
# `conda.yaml`, or `uv.lock` with `pyproject.toml` (its `[build-system]` can run code).
#
# </details>

# %% [markdown]
# ### A switch against pickles (can wait)
#
# With `MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false`, neither pickles nor skops models load. Models from code do.

# %% [markdown]
# Ines asks for a switch with which nothing may be unpickled. This environment variable is meant for that. To try it, we
# store our pipeline as a pickle, too.

# %%
with mlflow.start_run(run_name="as-a-pickle"), unseen:
    as_pickle = mlflow.sklearn.log_model(
        pipeline, name="as_pickle", serialization_format="cloudpickle", **usual
    )

# %% [markdown]
# **Predict.** Which of the three models can still be loaded when the switch is `false`: the pickle, the skops file, the
# model from code?

# %%
prediction = "?"  # as_pickle, ours, from_code

# %%
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
verdicts = {}
for logged in (as_pickle, ours, from_code):
    try:
        mlflow.pyfunc.load_model(logged.model_uri)
        verdicts[logged.name] = "loaded"
    except mlflow.MlflowException:
        verdicts[logged.name] = "refused"
    print(f"{logged.name:9s} {verdicts[logged.name]}")
del os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"]

# %% tags=["claims"]
assert verdicts == {"as_pickle": "refused", "ours": "refused", "chatty": "loaded"}

# %% [markdown]
# You should see that only the model from code loads, and its line ran. The switch is about pickles, and a model from
# code needs no pickle. It refuses skops as well, because of the list that travels inside. On Databricks the switch is
# ignored, and in older versions some flavors ignored it.

# %% [markdown]
# ## Round 4: which packages does it need?
#
# Our own model shall run on Aisha's server. Its `requirements.txt` lists what it needs: `pip_requirements=packages`
# gave it scikit-learn and skops, in the versions installed here. MLflow adds itself; numpy and pandas come with these.
# Add what else your model imports. Here is the file:


# %%
def requirements(logged):
    path = mlflow.pyfunc.get_model_dependencies(logged.model_uri)
    return Path(path).read_text().split()


print(*requirements(ours), sep="\n")

# %% tags=["claims"]
assert all("==" in line for line in requirements(ours))
assert {line.split("==")[0] for line in requirements(ours)} == {
    "mlflow",
    "scikit-learn",
    "skops",
}

# %% [markdown]
# You should see three packages. Each of them is **pinned**: it has `==` and an exact version after its name. Loading
# installs none of them; on the server, `pip install -r` with the model's `requirements.txt` does, in the Python that
# `python_env.yaml` names. Without versions it may take other ones, and MLflow says nothing.
#
# If you leave the argument out, MLflow **guesses**: it loads the model in a second Python, and notes each package that
# gets imported. This takes seconds, notes too many, and for a scikit-learn model misses what only `predict` imports.

# %% [markdown]
# ### The guess, and versions from uv (can wait)
#
# Here you see what the guess notes, how `extra_pip_requirements=` adds to it, and how the tool uv fixes all versions.

# %%
with mlflow.start_run(run_name="guessed"):
    guessed = mlflow.sklearn.log_model(
        pipeline, name="guessed", extra_pip_requirements=["pydantic==2.*"]
    )
for logged in (ours, guessed):
    names = [line.split("==")[0] for line in requirements(logged)]
    print(f"{logged.name}, {len(names)} packages:", *names)

# %% tags=["claims"]
assert len(requirements(guessed)) > len(requirements(ours))
assert "pydantic==2.*" in requirements(guessed)

# %% [markdown]
# You should see that the guess is longer, with our `pydantic` at its end. It names whatever was imported on *this*
# machine, needed or not.
#
# A pinned list does not fix what these packages need in turn, such as numpy and scipy. To fix those as well, let the
# tool **uv**, which installs packages, solve and record the whole set. There are two ways:
#
# - With `MLFLOW_LOCK_MODEL_DEPENDENCIES=true` in the environment, you give your list, and uv adds an exact version of
#   all it needs: versions that fit, not those installed here. Look at the result: without uv, nothing is added or said.
# - The folder in which Python runs has a `pyproject.toml` and a `uv.lock`, made by `uv lock`. Then a call without
#   `pip_requirements` takes all versions from the lock file instead of guessing. `mlflow.pyfunc.log_model` copies both
#   files into the model, even beside a list of yours, and `env_manager="uv"` then installs from them alone. With a
#   `[build-system]`, uv also builds your project, whose files are not in the model.
#
# Neither is run here, because solving needs the network.

# %% [markdown]
# ## Round 5: code of your own
#
# This is Aisha's error. Mira's pipeline has a step that she wrote herself, in a file `cleaning.py` beside her
# notebook. It cuts off prices that cannot be true:

# %%
import sys

cleaning = """
from sklearn.base import BaseEstimator, TransformerMixin

class Clip(TransformerMixin, BaseEstimator):
    def __init__(self, highest=100.0):
        self.highest = highest
    def fit(self, X, y=None):
        return self
    def transform(self, X):
        return X.clip(upper=self.highest)
"""
_ = (folder / "cleaning.py").write_text(cleaning)

# %%
sys.path.insert(0, str(folder))  # as if it were beside this notebook
sys.modules.pop("cleaning", None)  # in case you run this cell twice
from cleaning import Clip

# %% [markdown]
# skops stores the *name* `cleaning.Clip`, not the class. So the module has to be where the model is loaded.
#
# The argument `code_paths` takes care of that: it copies files or folders into the model's folder `code`, and puts
# that folder on Python's path when the model is loaded. We log the pipeline without it and with it:

# %%
clipped = make_pipeline(Clip(), StandardScaler(), LogisticRegression())
clipped.fit(X_train, y_train)
trusted = ["cleaning.Clip"]
assert skops.io.get_untrusted_types(data=skops.io.dumps(clipped)) == trusted

parts = usual | {"skops_trusted_types": trusted}
module = [str(folder / "cleaning.py")]

# %%
with mlflow.start_run(run_name="own-module"):
    alone = mlflow.sklearn.log_model(clipped, name="alone", **parts)
    together = mlflow.sklearn.log_model(
        clipped, name="together", code_paths=module, **parts
    )
show_flavors(together)

# %% tags=["claims"]
assert [flavor["code"] for flavor in together.flavors.values()] == ["code", "code"]

# %% [markdown]
# `MLmodel` now says `code: 'code'`, in both flavors. Read that folder, too: an import runs its files.
#
# **Predict.** A new Python, in another folder, loads both. In which case does it find `cleaning`?

# %%
prediction = "?"  # alone, together, both or neither

# %%
import subprocess

elsewhere = Path(tempfile.mkdtemp())
for logged in (alone, together):
    place = elsewhere / logged.name
    mlflow.artifacts.download_artifacts(logged.model_uri, dst_path=place)
script = """
import mlflow
for name in ("alone", "together"):
    try:
        mlflow.pyfunc.load_model(name)
        print(f"{name}: loaded")
    except ModuleNotFoundError as error:
        print(f"{name}: {error}")
"""

# %%
options = {"cwd": elsewhere, "capture_output": True, "text": True, "check": True}
done = subprocess.run([sys.executable, "-c", script], **options)
print(done.stdout)

# %% tags=["claims"]
assert done.stdout.split("\n")[:2] == [
    "alone: No module named 'cleaning'",
    "together: loaded",
]
assert (elsewhere / "together/code/cleaning.py").is_file()

# %% [markdown]
# You should see Aisha's error for `alone`. In this notebook both would load: a test in the notebook that made a model
# proves little.
#
# <details class="more"><summary>More: two models, each with a `cleaning.py`</summary>
#
# One Python imports `cleaning` once. Load a second model with another `cleaning.py` there, and it runs with the first
# one's module, without a word. Compare such versions in two processes, or give each module a name of its own.
#
# </details>

# %% [markdown]
# ### Keys and other environment variables (can wait)
#
# **Environment variables**, such as the key of a service, stay behind, too. MLflow can note their names, never a value.

# %% [markdown]
# When you log with an example, MLflow notes some variables that the model reads: *names* with `API_KEY` or `API_TOKEN`.
# Others you must write down:

# %%
prices = """
import os
import mlflow

class Prices(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[float], params=None) -> list[float]:
        key = os.environ["PRICES_API_KEY"]  # a service would be asked with it
        return [price * 1.19 for price in model_input]

mlflow.models.set_model(Prices())
"""
_ = (folder / "prices.py").write_text(prices)

# %%
os.environ["PRICES_API_KEY"] = "not a real key"
asks = {"python_model": folder / "prices.py", "pip_requirements": ["mlflow"]}
with mlflow.start_run(run_name="needs-a-key"):
    needs_key = mlflow.pyfunc.log_model(name="prices", input_example=[1.0], **asks)
print("needs:", mlflow.models.get_model_info(needs_key.model_uri).env_vars)

# %% tags=["claims"]
assert mlflow.models.get_model_info(needs_key.model_uri).env_vars == ["PRICES_API_KEY"]
home = Path(mlflow.artifacts.download_artifacts(needs_key.model_uri))
written = b"".join(p.read_bytes() for p in home.rglob("*") if p.is_file())
assert "PRICES_API_KEY" in (home / "environment_variables.txt").read_text()
assert b"not a real key" not in written

# %% [markdown]
# You should see the name of the key, and no value. MLflow notes what loading or `predict` read with the example, if
# `API_KEY` or `API_TOKEN` is in the name: of others, only Databricks' own.

# %% [markdown]
# ## Round 6: deploy what you checked
#
# `mlflow.models.predict` sends rows through a model as a server would: from JSON, through the signature, to JSON.
# With `env_manager="local"` it takes the packages that are installed here.

# %%
import json

answers = folder / "answers.json"
mlflow.models.predict(
    together.model_uri, customers.head(3), env_manager="local", output_path=str(answers)
)
print(json.loads(answers.read_text()))

# %% [markdown]
# You should see three answers, one for each row. They prove that rows get through JSON and signature, and no more:
# packages and `cleaning` were those of this notebook.
#
# The stronger check is not run here, because it needs the network. It lets the installer **uv** (`pip install uv`)
# build a **new environment** from the model's own requirements, and predicts there. Use it for your own models only,
# because it installs whatever they ask for:
#
# ```python
# mlflow.models.predict(together.model_uri, customers.head(3), env_manager="uv")
# ```
#
# <details class="more"><summary>More: another version, or a key</summary>
#
# ```python
# mlflow.models.predict(
#     together.model_uri,
#     customers.head(3),
#     env_manager="uv",
#     pip_requirements_override=["scikit-learn==1.8.0"],  # in a new Python: else it is ignored
# )
# mlflow.models.predict(  # it sees all variables set here, and these
#     needs_key.model_uri, [1.0], env_manager="uv", extra_envs={"PRICES_API_KEY": "…"}
# )
# ```
#
# To find a key or a module that is missing, remove the key and `PYTHONPATH` first.
#
# </details>
#
# What was checked must also be what is deployed. The address `models:/m-…` names one model for good, but its files can
# be changed. So we take a **fingerprint** of the folder: a short text, computed from its files, that changes when one
# of them does. We keep it as a tag of the model, and compare it with that of `arrived`, the copy that Round 5 has sent
# elsewhere:

# %%
import hashlib
import shutil


def fingerprint(home):
    files = {p for p in home.rglob("*") if p.is_file()}
    whole = hashlib.sha256()  # sorted: one order on Windows and Linux
    for path in sorted(files - {home / "registered_model_meta"}, key=Path.as_posix):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(home).as_posix()} {content}\n".encode())
    return whole.hexdigest()


# %%
here = Path(mlflow.artifacts.download_artifacts(together.model_uri))
arrived = elsewhere / "together"
for cache in [*here.rglob("__pycache__"), *arrived.rglob("__pycache__")]:
    shutil.rmtree(cache)  # what Python left here when it loaded the model

tags = {"checked": "env_manager=local", "fingerprint": fingerprint(here)}
mlflow.set_logged_model_tags(together.model_id, tags)

# %%
noted = mlflow.get_logged_model(together.model_id).tags["fingerprint"]
print("arrived as checked:  ", fingerprint(arrived) == noted)
(arrived / "requirements.txt").write_text("scikit-learn\nskops\n")
print("after one file changed:", fingerprint(arrived) == noted)

# %% tags=["claims"]
assert fingerprint(here) == noted and fingerprint(arrived) != noted
registered_ = mlflow.register_model(together.model_uri, "portable-claim")
by_name_ = mlflow.artifacts.download_artifacts(
    f"models:/portable-claim/{registered_.version}", dst_path=tempfile.mkdtemp()
)
assert fingerprint(Path(by_name_)) == noted
assert "portable-claim" in (Path(by_name_) / "registered_model_meta").read_text()

# %% [markdown]
# You should see `True`, then `False`. Where a model arrives, compare *before* you load it: a changed file could run.
# (Ours had been loaded before, hence the folders `__pycache__` that we deleted first.) Whoever may write to the store
# can change the tag, so keep the fingerprint in a commit, too.
#
# <details class="more"><summary>More: why one file is left out</summary>
#
# MLflow writes the file `registered_model_meta` anew at each download. With it, the same model would have another
# fingerprint when it is fetched as `models:/churn/1`.
#
# </details>
#
# ## Look at the UI
#
# 1. Open the UI: *MLflow UI* among the links at the top, or the command under *Setup*. When a panel *MLflow Assistant*
#    opens at the right, close it with its cross. Choose *Model training* at the top left, then *Experiments*, then the
#    experiment `churn-portable`.
# 2. In the menu on the left, click *Models*, then `together` (the upper one, if you ran the lecture twice), and
#    *Artifacts*.
# 3. Click `MLmodel`, and find `skops_trusted_types` and `code`.
# 4. Click the folder `code`, then `cleaning.py`, and read it. Looking at files loads nothing, so in a current version
#    of MLflow this is a safe place to read a stranger's model.
#
# The page does not show a logged model's tags, such as our fingerprint.
#
# ![The file cleaning.py in the model together, after step 4](../site/_static/portable_models_ui.png)
#
# ## Your turn
#
# Ines wants to know which of these four models run a file of their own when they are loaded. Two rows of Round 3's
# table are about files with code. Replace the three dots by **one line** that adds the values of these two entries to
# the list `named`, with `.get`, because an entry may be missing. Then run both cells.
#
# <details><summary>One solution</summary>
#
# `named += [entries.get("model_code_path"), entries.get("code")]`
#
# </details>

# %% tags=["your-turn"]
todays = [from_code, stranger, ours, together]
for logged in todays:
    named = []
    for entries in mlflow.models.get_model_info(logged.model_uri).flavors.values():
        ...
    mlflow.set_logged_model_tags(logged.model_id, {"runs_code": str(any(named))})

# %% tags=["your-turn-solution"]
todays = [from_code, stranger, ours, together]
for logged in todays:
    named = []
    for entries in mlflow.models.get_model_info(logged.model_uri).flavors.values():
        named += [entries.get("model_code_path"), entries.get("code")]
    mlflow.set_logged_model_tags(logged.model_id, {"runs_code": str(any(named))})

# %%
tagged = [mlflow.get_logged_model(logged.model_id) for logged in todays]
found = {model.name for model in tagged if model.tags.get("runs_code") == "True"}
hint = "two of the four do: `model_code_path` and `code` name such files."
lesson.turn(found == {"chatty", "together"}, hint)

# %% [markdown]
# ## Pitfalls
#
# Each of them has a code, and the checks of the homework use the same codes.
#
# **`pickle-format`: the call from an older course.** `artifact_path=` and a pickle were usual for years. The call still
# works, and MLflow's log complains of both:

# %%
said = io.StringIO()
with contextlib.redirect_stderr(said), mlflow.start_run(run_name="old-call"):
    old_call = mlflow.sklearn.log_model(
        pipeline,
        artifact_path="churn",
        serialization_format="cloudpickle",
        pip_requirements=packages,
    )
for line in said.getvalue().splitlines():
    print(line.split(": ", 1)[1][:75], "…")

# %% [markdown]
# To repair it, write `name=`, and leave the format out. (This pipeline needs no list of types.) With a Databricks
# store, the default is cloudpickle, even on your laptop: write `serialization_format="skops"`.

# %%
with mlflow.start_run(run_name="new-call"):
    new_call = mlflow.sklearn.log_model(
        pipeline, name="churn", pip_requirements=packages
    )
for logged in (old_call, new_call):
    print(logged.flavors["sklearn"]["serialization_format"])

# %% tags=["claims"]
assert (
    "artifact_path" in said.getvalue() and "execute arbitrary code" in said.getvalue()
)

# %% [markdown]
# **`requirements-open`: a package without its version.** We log the pipeline as `open` and as `pinned`, and pretend
# that `pinned` comes from scikit-learn 1.5.2. `mlflow.pyfunc.load_model`, not that of `mlflow.sklearn`, compares the
# list with what is installed. A pinned list raises the alarm; an open one has nothing to compare:

# %%
lists = {"open": ["scikit-learn", "skops"], "pinned": ["scikit-learn==1.5.2", "skops"]}
made = {}
for name, wanted in lists.items():
    how = {"name": name, "pip_requirements": wanted}
    with mlflow.start_run(run_name=name), unseen:
        made[name] = mlflow.sklearn.log_model(pipeline, **how)
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        mlflow.pyfunc.load_model(made[name].model_uri)
    alarm = [line for line in said.getvalue().splitlines() if "required" in line]
    print(f"{name}: {alarm[0].strip(' -') if alarm else 'no word'}")

# %% tags=["claims"]
assert alarm and "scikit-learn==1.5.2" in alarm[0]

# %% [markdown]
# To repair it, write `==`, as `get_default_pip_requirements` does. In a logged model, `update_model_requirements`
# changes the list. Write the versions that **made** the model: `open` was made with those installed here.
#
# <details class="more"><summary>More: why the pinned model keeps its list, and when to change one</summary>
#
# `pinned` was made with 1.5.2, as we suppose. Whoever writes the installed version into its list ends the alarm, and
# the difference is still there. scikit-learn warns by itself (`InconsistentVersionWarning`) when it loads a model
# of another version; most packages do not.
#
# Change a list before you take the fingerprint: `update_model_requirements` changes a file of the model, and an older
# fingerprint no longer fits.
#
# </details>

# %%
mlflow.models.update_model_requirements(made["open"].model_uri, "add", packages)
print(requirements(made["open"]))

# %% tags=["claims"]
assert all("==" in line for line in requirements(made["open"]))
assert "scikit-learn==1.5.2" in requirements(made["pinned"])

# %% [markdown]
# **`trusted-unread`: the list was passed on unread.** `skops_trusted_types=get_untrusted_types(…)` in one line trusts
# whatever happens to be inside, as with the stranger's model. Here somebody puts the stranger's step into our pipeline:

# %%
tampered = make_pipeline(spy, *(step for _, step in pipeline.steps))
types = skops.io.get_untrusted_types(data=skops.io.dumps(tampered))
try:
    assert types == [], f"not on our list: {types}"
except AssertionError as error:
    print("stopped,", error)

# %% [markdown]
# The repair is the line with `assert`: write down the types that you expect (here none), compare, and log only if
# they agree.
#
# ## In your own project
#
# The script logs a forest, reads it as a receiver should, and uses it. Open *Show the script*, copy it into a file
# `ship.py` in an empty folder and run `python ship.py`, never with `-O`, which leaves out every `assert`.
#
# For a model that you receive, save the script as `receive.py`, too. There, delete `PACKAGES = …` to `info = …`; set
# `home = Path("…")`, your own copy of the folder; for strangers, take `Tree` out of `WE_TRUST`; and replace all after
# the last `assert` by `model = mlflow.sklearn.load_model(str(home))`. Where an `assert` stops, load only if the rule of
# Round 3 lets you.
#
# <details class="more"><summary>More: a model with a module of your own</summary>
#
# Give `how` the entry `"code_paths": ["cleaning.py"]`, and add the module's class to `WE_TRUST`. If you write `from
# churn.cleaning import …`, give the package's folder, `["src/churn"]`: with the file alone or with `["src"]`, logging
# succeeds, and loading elsewhere ends with `No module named 'churn'`. The third `assert` now stops: read the folder
# `code`, then take that line out. Before the fingerprint, delete each `__pycache__` in `home`.
#
# </details>
#
# <details class="more"><summary>More: where your own model arrives</summary>
#
# 1. Copy the function `fingerprint` with its imports into a file of its own. An `import ship` would train and log
#    again.
# 2. Give it the folder that arrived, as a `Path`, and compare with the fingerprint that the script has printed.
# 3. If they agree, load that folder.
#
# Where Python can reach the same store, `mlflow.get_logged_model(model_id).tags["fingerprint"]` gives the
# fingerprint, too.
#
# </details>

# %% tags=["own-project"]
import hashlib
from importlib.metadata import version
from pathlib import Path

import mlflow
import skops.io
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier

WE_TRUST = {"numpy.dtype", "sklearn.tree._tree.Tree"}
PACKAGES = [f"{name}=={version(name)}" for name in ("scikit-learn", "skops")]

mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("my-portable-model")

X, y = load_wine(return_X_y=True, as_frame=True)
forest = RandomForestClassifier(20, random_state=0).fit(X, y.astype(float))
how = {"skops_trusted_types": sorted(WE_TRUST), "pip_requirements": PACKAGES}
with mlflow.start_run(run_name="wine-forest"):  # MLflow refuses what is not on the list
    info = mlflow.sklearn.log_model(forest, name="wine", input_example=X.head(3), **how)

home = Path(mlflow.artifacts.download_artifacts(info.model_uri))  # loads nothing
flavors = mlflow.models.get_model_info(str(home)).flavors
loader, own = flavors.get("python_function", {}), flavors.get("sklearn", {})
assert loader.get("loader_module") in (None, "mlflow.sklearn"), "read its loader first"
assert not {"model_code_path", "data"} & set(loader), "read its files first"
assert not (loader.get("code") or own.get("code")), "read its modules first"
assert own.get("serialization_format") == "skops", "may run anything"
assert {loader.get("model_path"), own["pickled_model"]} <= {None, "model.skops"}
assert set(skops.io.get_untrusted_types(file=home / "model.skops")) <= WE_TRUST
mlflow.models.predict(str(home), X.head(3), env_manager="local")


def fingerprint(home):
    files = {p for p in home.rglob("*") if p.is_file()}
    whole = hashlib.sha256()  # sorted: one order on Windows and Linux
    for path in sorted(files - {home / "registered_model_meta"}, key=Path.as_posix):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(home).as_posix()} {content}\n".encode())
    return whole.hexdigest()


mlflow.set_logged_model_tags(info.model_id, {"fingerprint": fingerprint(home)})
print("\nsend this by another way than the model:", fingerprint(home))

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("portable_models")

# %% [markdown]
# ## Key points
#
# - **What runs on load?** Of a pickle, whatever its author wrote. Of a skops model, what is on the list that it brings,
#   and its folder `code`. Of a model from code, the whole file, and no switch stops that one.
# - **How do you read it first?** `get_model_info` and `download_artifacts` load nothing. Read the format, the file
#   that is named, the names in it, and the folder `code`. Refuse what you cannot read.
# - **What does it need elsewhere?** Pinned packages, and its own modules by `code_paths`. Keys do not travel: set them
#   there.
# - **How do you know that it works?** Send rows through it with `mlflow.models.predict`, best in a new environment,
#   and deploy what has the fingerprint that you checked.
#
# ## Next steps
#
# - Do the [homework]({homework:portable_models}): an inbox to read, a module that must travel, and a check that is
#   kept.
# - Next lecture: [Model registry]({step:model_registry}), names and versions, so that nobody copies addresses around.
# - Official pages: [model dependencies](https://mlflow.org/docs/latest/ml/model/dependencies/) and
#   [models from code](https://mlflow.org/docs/latest/ml/model/models-from-code/).
# - Optional depth: log `clipped` again, unchanged. Why has it another fingerprint? Compare the two `MLmodel` files.
