# %% [markdown]
# # Homework: portable models
#
# **30 minutes · 3 tasks and a stretch · 7 points.** The tasks are independent of each other. Run every cell as often as you
# like: a check reads what is in the store or in the file that the task names, and your *latest* run counts. Below each
# task stands `hw.check(n)`; when you are stuck, add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import contextlib
import io
import shutil
import sys
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("portable_models")
folder = store.outputs("hw-portable")
unseen = contextlib.redirect_stderr(io.StringIO())  # keeps MLflow's warnings off the page
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Task 1: an inbox to read (3 points)
#
# Six suppliers have sent Ines a model. The given cell puts the six folders into `inbox`. Her rule: a model may be loaded when
# it is in the format skops, needs no names but `numpy.dtype` and `sklearn.tree._tree.Tree`, and brings no code
# of its own. (She knows the six, so she accepts trees from them.)
#
# Without loading any of the six, write `inbox.csv` in `folder`, with one row for each model and the columns
#
# - `model`: the name of its folder;
# - `kind`, how the model itself is stored: `skops` (with or without modules beside it), `pickle` (whichever module wrote
#   it), or `code`, a model from code;
# - `names`: how many names its file asks you to trust; 0 for a model that is not skops;
# - `load`: `yes` or `no`, by Ines's rule.

# %%
X, y = data.bundled("wine"), data.bundled("wine")["target"].astype(float)
X = X.drop(columns="target")
forest = RandomForestClassifier(3, max_depth=2, random_state=0).fit(X, y)
plain = LogisticRegression(max_iter=5000).fit(X.iloc[:, :3], y)
scaler = StandardScaler().fit(X.iloc[:, :3])  # has no `predict`
spy = FunctionTransformer(partial(print, "A stranger reads your data:"))
chatty = folder / "chatty.py"
chatty.write_text(
    "import mlflow\n\nprint('A stranger says hello.')\n\n"
    "class Chatty(mlflow.pyfunc.PythonModel):\n"
    "    def predict(self, model_input: list[float], params=None) -> list[float]:\n"
    "        return model_input\n\nmlflow.models.set_model(Chatty())\n"
)

inbox = folder / "inbox"
shutil.rmtree(inbox, ignore_errors=True)
rng = np.random.default_rng(data.course_seed())
senders = iter(rng.permutation(["anna", "ben", "carla", "dora", "emil", "finn"]))
with unseen, contextlib.redirect_stdout(io.StringIO()):
    sent = [(plain, "skops"), (forest, "skops"), (plain, "cloudpickle"), (spy, "skops")]
    for model, form, *code in [*sent, (scaler, "skops", str(chatty))]:
        types = skops.io.get_untrusted_types(data=skops.io.dumps(model))
        mlflow.sklearn.save_model(
            model,
            inbox / next(senders),
            serialization_format=form,
            skops_trusted_types=types if types and form == "skops" else None,
            code_paths=code or None,
            pip_requirements=["scikit-learn"],
        )
    options = {"python_model": chatty, "pip_requirements": ["mlflow"]}
    mlflow.pyfunc.save_model(inbox / next(senders), **options)
print("Mail from", *sorted(path.name for path in inbox.iterdir()))

# %% tags=["task-1"]
### BEGIN SOLUTION
allowed = {"numpy.dtype", "sklearn.tree._tree.Tree"}
rows = []
for mail in sorted(inbox.iterdir()):
    flavors = mlflow.models.get_model_info(str(mail)).flavors
    loader = flavors.get("python_function", {})
    if "sklearn" not in flavors:
        kind, names = "code", []
    elif flavors["sklearn"]["serialization_format"] == "skops":
        read = "model.skops"  # is it what MLflow loads? A spy has no `model_path`
        named = {flavors["sklearn"]["pickled_model"], loader.get("model_path", read)}
        assert named == {read} and "data" not in loader, f"{mail.name} names another file"
        kind, names = "skops", skops.io.get_untrusted_types(file=mail / read)
    else:
        kind, names = "pickle", []
    # either flavor may name modules, and a loader that is not MLflow's is one, too
    own_code = any(flavor.get("code") for flavor in flavors.values())
    own_code = own_code or loader.get("loader_module") not in (None, "mlflow.sklearn")
    safe = kind == "skops" and set(names) <= allowed and not own_code
    load = "yes" if safe else "no"
    rows.append({"model": mail.name, "kind": kind, "names": len(names), "load": load})
pd.DataFrame(rows).to_csv(folder / "inbox.csv", index=False)
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: a module that must travel (2 points)
#
# A clinic predicts how diabetes progresses. One step of its pipeline, `Log`, is the clinic's own; it is in the file
# `clinic_steps.py`. The given cell writes that file and fits the pipeline `progression`.
#
# In the experiment `hw-portable-diabetes`, make a run called `travel` that logs this pipeline as a model named
# `progression`, so that it can be loaded by somebody who has nothing but the model's folder and the packages:
#
# - in the format skops, with the names that you trust after reading them;
# - with the file `clinic_steps.py`;
# - with scikit-learn and skops as requirements, each with its exact version;
# - with an input example: rows that the model accepts.

# %%
steps_file = folder / "clinic_steps.py"
steps_file.write_text(
    "import numpy as np\n"
    "from sklearn.base import BaseEstimator, TransformerMixin\n\n\n"
    "class Log(TransformerMixin, BaseEstimator):\n"
    "    def fit(self, X, y=None):\n        return self\n\n"
    "    def transform(self, X):\n        return np.log(X + 1.0)\n"
)
sys.path.insert(0, str(folder))
from clinic_steps import Log

patients = data.bundled("diabetes")
measured = patients[["bmi", "bp", "s5"]]
progression = make_pipeline(Log(), StandardScaler(), Ridge()).fit(measured, patients["target"])

# %% tags=["task-2"]
mlflow.set_experiment("hw-portable-diabetes")
### BEGIN SOLUTION
types = skops.io.get_untrusted_types(data=skops.io.dumps(progression))
assert types == ["clinic_steps.Log"], types

with mlflow.start_run(run_name="travel"):
    mlflow.sklearn.log_model(
        progression,
        name="progression",
        skops_trusted_types=types,
        code_paths=[str(steps_file)],
        pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=True),
        input_example=measured.head(3),
    )
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: check before you ship (2 points)
#
# Aisha wants proof that the model at `churn_uri`, which the given cell logs, answers. Send the first five rows of `asked`
# through it with `mlflow.models.predict`, in the present environment, and let it write its answer to a file
# `answers.json`. Keep the proof: in the experiment `hw-portable-check`, make a run called `check` with that file as the
# artifact `answers.json`, and the address of the model as the tag `checked_model`.

# %%
split = data.churn_split(800, data.course_seed(), numeric=True)
asked = split.X_test
churn = make_pipeline(StandardScaler(), LogisticRegression()).fit(split.X_train, split.y_train)

mlflow.set_experiment("hw-portable-given")
with mlflow.start_run(run_name="churn"):
    answer = {"pyfunc_predict_fn": "predict_proba"}
    churn_uri = store.log_model(churn, "churn", split.X_train, **answer).model_uri

# %% tags=["task-3"]
mlflow.set_experiment("hw-portable-check")
proof = folder / "answers.json"
### BEGIN SOLUTION
mlflow.models.predict(churn_uri, asked.head(5), env_manager="local", output_path=str(proof))

with mlflow.start_run(run_name="check"):
    mlflow.log_artifact(proof)
    mlflow.set_tag("checked_model", churn_uri)
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Stretch: what was changed on the way? (no points)
#
# The folder `checked` holds a model as it was checked, `arrived` the same model as it came to the server. Their fingerprints
# differ, so one file was changed. Find out which one, and write its name, and nothing else, into `changed.txt` in `folder`.

# %%
for name in ("checked", "arrived"):
    shutil.rmtree(folder / name, ignore_errors=True)
wine = data.bundled("wine").astype(float)
colour = wine[["color_intensity", "hue"]]
by_colour = LogisticRegression(max_iter=5000).fit(colour, wine["target"])
with unseen:
    mlflow.sklearn.save_model(
        by_colour,
        folder / "checked",
        input_example=colour.head(3),
        pip_requirements=["scikit-learn", "skops"],
    )
shutil.copytree(folder / "checked", folder / "arrived")
candidates = ["requirements.txt", "input_example.json", "conda.yaml", "python_env.yaml"]
touched = folder / "arrived" / candidates[data.course_seed() % len(candidates)]
touched.write_text(touched.read_text() + " ")
del touched, candidates

# %% tags=["task-4"]
### BEGIN SOLUTION
for path in sorted((folder / "checked").iterdir()):
    if path.read_bytes() != Path(folder / "arrived" / path.name).read_bytes():
        (folder / "changed.txt").write_text(path.name)
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** Everything that can run on load can be seen before: the format and the file of code in `MLmodel`, the
# names in the skops file, the modules in `code`. The same folder says what the model needs elsewhere, so that a check
# of the folder is a check of the model.
