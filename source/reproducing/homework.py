# %% [markdown]
# # Homework: reproducing
#
# **25 minutes · 3 tasks and a stretch · 7 points.** The tasks are independent of each other. Run every cell as often as you
# like: a check reads what is in the store or in the file that the task names, and your *latest* run counts. Below each
# task stands `hw.check(n)`; when you are stuck, add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import hashlib
import runpy
from importlib.metadata import distributions

import mlflow
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("reproducing")
folder = store.outputs("hw-reproducing")

# %% [markdown]
# ## Task 1: tumours on record (2 points)
#
# The given cell writes a file of tumours, and a file with the code that scores a forest. Score it with settings of your
# choice, and keep what it takes to repeat it. In the experiment `hw-reproducing-tumours`, make a run called `forest`
# with
#
# - the parameters `depth` (1 to 10) and `seed`, as you gave them to `score`;
# - the metric `valid_auc`, what `score` returned;
# - the tag `data_sha256`: the sha256 of the bytes of `tumours_file`, all 64 characters;
# - an artifact `packages.txt`, with one line `name==version` for each installed package;
# - an artifact `score.py`: the file `score_file`, with the code that ran. It reads the `tumours.csv` that stands
#   beside it, so whoever repeats the run puts the data there first.

# %%
tumours_file, score_file = folder / "tumours.csv", folder / "score.py"
data.bundled("breast_cancer").to_csv(tumours_file, index=False)
code = """from pathlib import Path
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

def score(depth, seed):
    X = pd.read_csv(Path(__file__).with_name("tumours.csv"))
    y = X.pop("target")
    X, X_valid, y, y_valid = train_test_split(X, y, stratify=y, random_state=seed)
    forest = RandomForestClassifier(20, max_depth=depth, random_state=seed).fit(X, y)
    return roc_auc_score(y_valid, forest.predict_proba(X_valid)[:, 1])
"""
score_file.write_text(code)
score = runpy.run_path(str(score_file))["score"]

# %% tags=["task-1"]
### BEGIN SOLUTION
settings = {"depth": 2, "seed": 5}
mlflow.set_experiment("hw-reproducing-tumours")
with mlflow.start_run(run_name="forest"):
    mlflow.log_params(settings)
    mlflow.log_metric("valid_auc", score(**settings))
    mlflow.set_tag("data_sha256", hashlib.sha256(tumours_file.read_bytes()).hexdigest())
    packages = [f"{d.name}=={d.version}" for d in distributions()]
    mlflow.log_text("\n".join(packages), "packages.txt")
    mlflow.log_artifact(score_file)
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: one of Jonas's runs cannot be true (3 points)
#
# Jonas has left four runs in the experiment `hw-reproducing-jonas`, all of the function `wine_score` below. One of them was made
# with another seed than the one it records. Repeat each from what it records. Then, in the experiment
# `hw-reproducing-verdict`, make a run called `verdict` with
#
# - the tag `not_reproduced`: the name of the run whose score does not come again;
# - the metric `difference`: how far its recorded `valid_auc` is from the one that you get, without a sign, not rounded.

# %%
def wine_score(depth, seed):
    X = data.bundled("wine").drop(columns="target")
    y = data.bundled("wine")["target"] == 1
    X, X_valid, y, y_valid = train_test_split(X, y, test_size=0.5, random_state=seed)
    forest = RandomForestClassifier(4, max_depth=depth, random_state=seed).fit(X, y)
    return roc_auc_score(y_valid, forest.predict_proba(X_valid)[:, 1])


odd = data.course_seed() % 4
if mlflow.get_experiment_by_name("hw-reproducing-jonas") is None:
    mlflow.set_experiment("hw-reproducing-jonas")
    for n, name in enumerate(("monday", "tuesday", "wednesday", "thursday")):
        with mlflow.start_run(run_name=name):
            mlflow.log_params({"depth": 1, "seed": n})
            mlflow.log_metric("valid_auc", wine_score(1, n + 10 if n == odd else n))

# %% tags=["task-2"]
### BEGIN SOLUTION
worst, name = 0.0, ""
for _, row in mlflow.search_runs(experiment_names=["hw-reproducing-jonas"]).iterrows():
    again = wine_score(int(row["params.depth"]), int(row["params.seed"]))
    gap = abs(again - row["metrics.valid_auc"])
    if gap > worst:
        worst, name = gap, row["tags.mlflow.runName"]

mlflow.set_experiment("hw-reproducing-verdict")
with mlflow.start_run(run_name="verdict"):
    mlflow.set_tag("not_reproduced", name)
    mlflow.log_metric("difference", worst)
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: two deliveries, one digest (2 points)
#
# The clinic has sent its table twice, and MLflow gives both the same digest. In the experiment `hw-reproducing-clinic`, make a run
# called `deliveries` with
#
# - the tag `changed_column`: the name of the column that differs;
# - the metric `changed_rows`: in how many rows it differs.

# %%
first = pd.DataFrame({"age": range(20, 60), "smoker": [True, False] * 20})
first["visit"] = pd.Timestamp("2026-03-02")
first["ward"] = ["north", "south", None, "west"] * 10
second = first.copy()
changed = "smoker" if data.course_seed() % 2 else "ward"
rows = first[first[changed].notna()].index[: 7 + data.course_seed() % 5]
second.loc[rows, changed] = ~first.loc[rows, changed] if changed == "smoker" else "east"
print({mlflow.data.from_pandas(table).digest for table in (first, second)})

# %% tags=["task-3"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-reproducing-clinic")
same = (first == second) | (first.isna() & second.isna())
counts = (~same).sum()
with mlflow.start_run(run_name="deliveries"):
    mlflow.set_tag("changed_column", counts.idxmax())
    mlflow.log_metric("changed_rows", int(counts.max()))
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Stretch: a project for Ines (no points)
#
# In the folder `project` in `folder`, write a file `MLproject` for a script that is started by `python train.py 3 0`, where 3 is the
# depth and 0 the seed. It has the entry point `main` with the parameters `depth` and `seed`, each with a default; the command
# uses both; and `python_env` names the file `python_env.yaml`. Write that one, too, with the key `dependencies`, which lists
# `mlflow` and `scikit-learn` with exact versions (`==`). Nothing needs to be run.

# %%
project = folder / "project"
project.mkdir(exist_ok=True)

# %% tags=["task-4"]
### BEGIN SOLUTION
(project / "MLproject").write_text("""name: tumours
python_env: python_env.yaml
entry_points:
  main:
    parameters:
      depth: {type: float, default: 3}
      seed: {type: float, default: 0}
    command: "python train.py {depth} {seed}"
""")
(project / "python_env.yaml").write_text("""dependencies:
  - mlflow==3.17.2
  - scikit-learn==1.9.1
""")
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** With the data at hand, a run that keeps settings, data digest, packages and code can be executed
# again, and then `==` decides. A run that records another seed than it used looks complete, and only repeating it
# shows the fault.
