# %% [markdown]
# # Reproducing: the same number again
#
# **Can somebody else get exactly this number next year, and how would we prove it?**
#
# We will train one forest, keep with its run what its score depends on, repeat it from that record and the data,
# measure what a thread, a row order and a seed change, and pack the training so that it runs without this course.
# Folded parts marked *More* can wait.
#
# Afterwards you can
# - **record** the state of code, data and environment with a run;
# - **say** what a digest covers, and **choose** one that covers every byte;
# - **repeat** a run from its record and **prove** that it is the same;
# - **write** an MLflow Project that others can start.
#
# **You need:** [Logging]({step:logging}) for tags and artifacts, and the program git.
#
# **Time:** 15 min to read · 15 min to do
#
# <!-- links -->

# %% [markdown]
# ## Recall
#
# One question on an earlier lecture. Click an answer; each of them replies.

# %%
from course_utils import lesson

lesson.quiz("reproducing", "recall")

# %% [markdown]
# ## The problem
#
# In March, Mira reported a ROC-AUC of her forest to Ines, the officer for model risk. In November Ines asks for the
# same number again. Mira runs her notebook and gets one that differs in the third digit.
#
# Was the data corrected? Did she edit a line? Is it another version of scikit-learn? Each is possible, and nothing
# she kept can rule one out.
#
# A number of this kind depends on four things: the **code**, the **data**, the **environment** (Python, packages,
# threads) and the **seed**. To **reproduce** a run means to bring back all four and to get the same number. So the
# run has to keep all four, as the picture shows.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
from course_utils import plots

boxes = {
    "code": (1.2, 3.4, "code\ncommit, diff, file"),
    "data": (1.2, 2.4, "data\nsha256 of the file"),
    "env": (1.2, 1.4, "environment\npackages, threads"),
    "seed": (1.2, 0.4, "seed\na parameter"),
    "run": (5.0, 1.9, "the run\nin the store"),
    "again": (8.6, 1.9, "the same number\n==, not nearly"),
}
arrows = [(key, "run", "") for key in ("code", "data", "env", "seed")]
arrows += [("run", "again", "repeat")]
title = "Four things make the number; the run keeps all"
plots.show(plots.diagram(boxes, arrows, title=title))

# %% [markdown]
# ## Setup

# %% tags=["parameters"]
seed = 0
n_rows = 1000

# %%
import hashlib
import os
import runpy
import subprocess
import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path

import mlflow
import pandas as pd
import threadpoolctl

from course_utils import data, store

store.connect()  # the lines of MLflow basics in one call
experiment = mlflow.set_experiment("churn-reproducing")

# %% [markdown]
# Mira's project is a folder of its own. Here it is a new temporary one, far from the course. It gets two files: the
# customers as CSV, and the training as a Python file. Nothing in it imports `course_utils`.

# %%
folder = Path(tempfile.mkdtemp(prefix="churn-"))
split = data.churn_split(n_rows, seed, numeric=True)
customers = split.X_train.assign(left=split.y_train.astype(float))
customers.to_csv(folder / "customers.csv", index=False)

# %%
code = """import sys
import mlflow
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

def train(path, depth, seed, n_jobs=1):
    X = pd.read_csv(path)
    y = X.pop("left")
    X, X_valid, y, y_valid = train_test_split(X, y, stratify=y, random_state=seed)
    forest = RandomForestClassifier(50, max_depth=depth, random_state=seed)
    forest.set_params(n_jobs=n_jobs)
    chances = forest.fit(X, y).predict_proba(X_valid)[:, 1]
    return chances, roc_auc_score(y_valid, chances)

if __name__ == "__main__":
    _, auc = train("customers.csv", int(sys.argv[1]), int(sys.argv[2]))
    mlflow.log_metric("valid_auc", auc)
"""
(folder / "train.py").write_text(code)
print("the folder holds", sorted(path.name for path in folder.iterdir()))

# %% [markdown]
# ## Round 1: the state of the code
#
# git names a saved state of a folder by a **commit**, 40 characters. A commit alone is not enough, because people run
# code that they have not saved yet. What was edited since is the **diff**.
#
# We make the folder a git repository and save the code. Then we edit it as Mira would in a hurry: she adds a comment.

# %%
def git(*words):
    who = ["-c", "user.name=Mira", "-c", "user.email=mira@nordtel.example"]
    unsigned = ["-c", "commit.gpgsign=false"]  # nobody has to type a password here
    command = ["git", *who, *unsigned, *words]
    return subprocess.check_output(command, cwd=folder, text=True)


git("init", "--quiet")
git("add", "train.py")
git("commit", "--quiet", "-m", "A forest for churn")
edited = (folder / "train.py").write_text(code + "# deeper trees next week?\n")

# %%
commit, diff = git("rev-parse", "HEAD").strip(), git("diff", "HEAD")
print("the commit has", len(commit), "characters; lines added since:")
print([line for line in diff.splitlines() if line.startswith("+#")])

# %% tags=["claims"]
CHANGES = [{"n_rows": 2000}, {"seed": 3}]

assert len(commit) == 40
assert git("rev-list", "--count", "HEAD") == "1\n"
assert "+# deeper trees next week?" in diff

# %% [markdown]
# You should see 40 characters and the comment as one added line. The commit is still the same one. Whoever reads the
# commit alone would believe that the comment was never there.
#
# So we will keep three things: commit and diff, which bring back every file that git knows, and the file that ran, in
# case git was never told of it. Read the diff before you log it: a password typed in a hurry would go along.
#
# <details class="more"><summary>More: what MLflow notes by itself</summary>
#
# MLflow notes the commit of a script by itself when it can find it. It is the tag `mlflow.source.git.commit` of the
# run. The run doesn't keep the diff.
#
# </details>
#
# ## Round 2: a digest, and what it covers
#
# In [Logging]({step:logging}), MLflow's **digest** of a table, a short text computed from it, missed changed values. So
# the same digest does not mean the same data; it speaks only of what went into it. What is that?
#
# Here are two tables of three customers; every value in them differs.
#
# **Predict.** Does MLflow's digest notice?

# %%
prediction = "?"  # yes or no

# %%
march_days = pd.to_datetime(["2026-03-01", "2026-03-02", "2026-03-03"])
june_days = pd.to_datetime(["2026-06-07", "2026-06-08", "2026-06-09"])
table = pd.DataFrame({"since": march_days, "left": [True, False, True]})
other = pd.DataFrame({"since": june_days, "left": [False, True, False]})

for frame in (table, other):
    text = frame.to_csv(lineterminator="\n")  # on Windows, too
    print("MLflow:", mlflow.data.from_pandas(frame).digest, end="  ")
    print("sha256:", hashlib.sha256(text.encode()).hexdigest()[:8])

# %% tags=["claims"]
assert (table != other).all(axis=None)
assert mlflow.data.from_pandas(table).digest == mlflow.data.from_pandas(other).digest
assert table.to_csv() != other.to_csv()

_long = pd.DataFrame({"x": range(10_002)})
_cut = _long.copy()
_cut.loc[10_001, "x"] = -1
assert mlflow.data.from_pandas(_long).digest == mlflow.data.from_pandas(_cut).digest
_gap = [pd.DataFrame({"t": [None, word]}) for word in ("month", "year")]
assert len({mlflow.data.from_pandas(frame).digest for frame in _gap}) == 1
assert mlflow.data.from_pandas(_long).digest != mlflow.data.from_pandas(_long[["x"]].iloc[::-1]).digest
_read = pd.read_csv(folder / "customers.csv")
assert mlflow.data.from_pandas(_read).digest != mlflow.data.from_pandas(customers).digest
assert mlflow.data.from_pandas(_read).digest == mlflow.data.from_pandas(customers.reset_index(drop=True)).digest

# %% [markdown]
# You should see the same eight characters twice from MLflow, and two different ones from sha256. The reason is that
# MLflow's digest covers only a part of a pandas table. The values of dates and of true/false columns are left out,
# and our tables have nothing else.
#
# What is in it, and what is not:
#
# | covered | left out |
# |---|---|
# | names of all columns, number of rows | |
# | in the first 10,000 rows: the row labels, columns of numbers, columns of text without a gap | columns of dates, of true/false, of text with a gap (a missing value), and others, such as `Decimal` |
# | | every row after the first 10,000 |
#
# That is quick, and good enough to group runs. It isn't a proof.
#
# <details class="more"><summary>More: two digests for one table</summary>
#
# Different digests do not prove another table, either. The customers that `train_test_split` gives have one digest,
# and another when they are read back from a CSV. They have lost their row labels on the way, and those are in the
# digest.
#
# </details>
#
# **sha256** of a file covers every byte: values, row order, line ends. Files with the same sha256 count as the same. A
# digest restores no file: log small data with the run, and keep large data where nobody overwrites it.

# %%
def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


print("characters of the digest:", len(sha256(folder / "customers.csv")))

# %% [markdown]
# ## Round 3: the environment, and the run that keeps it all
#
# The same code can give other numbers with another version of a package. So we keep the version of Python and the
# versions of all installed packages.
#
# We also keep which libraries calculate in several **threads**, parts of a program that work at the same time. One of
# these libraries is the **BLAS**, which multiplies matrices for NumPy. Round 4 shows why threads matter.

# %%
def installed():
    found = {f"{d.name}=={d.version}" for d in distributions()}
    return sorted(found, key=str.lower)


packages, pools = installed(), threadpoolctl.threadpool_info()
of_pool = ("internal_api", "version", "architecture", "num_threads")
machine = {
    "python": sys.version.split()[0],
    "platform": sys.platform,
    "pools": [{key: pool.get(key) for key in of_pool} for pool in pools],
}
print("packages listed:", len(packages) > 50)
print("kinds of thread pools:", sorted({pool["user_api"] for pool in pools}))

# %% tags=["claims"]
assert any(line.startswith("mlflow==") for line in packages)
assert "blas" in {pool["user_api"] for pool in pools}
assert any(pool["version"] and pool["architecture"] for pool in machine["pools"])

# %% [markdown]
# The list `packages` serves to compare, and to *bring back* the packages on the same kind of machine. It does not say
# where one came from: take out your own and those from git, here `course-utils`, then `uv pip install --no-deps -r
# packages.txt`.
#
# A **lock file** is such a list, written *before* the training. From a `requirements.txt`, `uv pip compile
# requirements.txt -o requirements.lock` writes one, of today's versions; `uv pip sync requirements.lock` installs it
# and *removes* all else: use a fresh environment. Log it with the run, too.
#
# Now the run. `runpy.run_path` executes a file and gives back what it defines. We use it instead of an import, so
# that what runs is the very file that we keep.

# %%
settings = {"depth": 5, "seed": seed}
train = runpy.run_path(str(folder / "train.py"))["train"]

with mlflow.start_run(run_name="march") as march:
    chances, auc = train(folder / "customers.csv", **settings)
    mlflow.log_params(settings | {"n_rows": n_rows, "data_seed": seed})
    mlflow.log_metric("valid_auc", auc)
    mlflow.set_tag("git_commit", commit)
    mlflow.set_tag("data_sha256", sha256(folder / "customers.csv"))
    mlflow.log_text(diff, "code/edits.diff.txt")
    mlflow.log_artifact(folder / "train.py", "code")
    mlflow.log_text("\n".join(packages), "environment/packages.txt")
    mlflow.log_dict(machine, "environment/machine.json")
    mlflow.log_dict({"chances": chances.tolist()}, "chances.json")
print(f"ROC-AUC {auc:.3f} on the validation rows")

# %% [markdown]
# ## Round 4: prove it
#
# From here on we act as Ines, who has the id of the run and the file of customers. She works in two steps:
#
# 1. She compares the data, and the packages that are installed *now*, with the record. A number from other data
#    proves nothing, even when it is the same.
# 2. She executes the code that the run has kept, with the settings that it has kept.
#
# Read such a file before you execute it: it can do everything on your machine that you can.
#
# **Predict.** Will the score agree in 3 digits, in 6, or in every bit?

# %%
prediction = 0  # 3, 6, or 64 for every bit

# %%
record = mlflow.get_run(march.info.run_id)
artifacts = f"runs:/{march.info.run_id}"
listed = mlflow.artifacts.load_text(f"{artifacts}/environment/packages.txt")
same_data = record.data.tags["data_sha256"] == sha256(folder / "customers.csv")
same_packages = listed.splitlines() == installed()
print("same data:", same_data, "| same packages:", same_packages)

# %%
kept = mlflow.artifacts.download_artifacts(f"{artifacts}/code/train.py")
repeat = runpy.run_path(kept)["train"]
recorded = {key: int(record.data.params[key]) for key in ("depth", "seed")}
chances_again, auc_again = repeat(folder / "customers.csv", **recorded)

recorded_auc = record.data.metrics["valid_auc"]
then = mlflow.artifacts.load_dict(f"{artifacts}/chances.json")["chances"]

print("same score, every bit:", auc_again == recorded_auc)
print("same chances, every bit:", chances_again.tolist() == then)

# %% tags=["claims"]
assert same_data and same_packages and auc_again == recorded_auc
assert chances_again.tolist() == then == chances.tolist()

# %% [markdown]
# You should see `True` four times. It is usually wrong to compare decimal numbers by `==`. Here it is the point,
# because the same operations in the same order give the same bits. If you see `False` for the data or the packages,
# stop there.
#
# What remains different on *another* machine? Above all the order of additions. A computer rounds after every
# addition, so (a + b) + c and a + (b + c) can differ in the last bit. Threads add in the order in which they finish,
# and another BLAS or processor splits a sum differently.
#
# Let us measure how much such things matter. We change one thing at a time: two threads, the order of the rows, the
# seed.

# %%
reverse = customers.iloc[::-1]
reverse.to_csv(folder / "reversed.csv", index=False)
threads, auc_threads = repeat(folder / "customers.csv", **recorded, n_jobs=2)
_, auc_rows = repeat(folder / "reversed.csv", **recorded)
_, auc_seed = repeat(folder / "customers.csv", recorded["depth"], recorded["seed"] + 1)

tried = pd.Series({"nothing": auc_again, "two threads": auc_threads})
tried["rows reversed"], tried["another seed"] = auc_rows, auc_seed
print("two threads: every chance within 1e-12:", abs(threads - then).max() < 1e-12)
changed = (tried - recorded_auc).abs()
title = f"{changed.idxmax()}: the score moves by {changed.max():.3f}"
plots.show(plots.bars(changed, title=title, xlabel="change of ROC-AUC", digits=4))

# %% tags=["claims"]
assert changed["nothing"] == 0
assert abs(threads - then).max() < 1e-12
assert changed["two threads"] < 1e-3
assert changed["rows reversed"] > 1e-4 and changed["another seed"] > 1e-4

# %% [markdown]
# You should see that two threads leave every chance within 0.000000000001. Row order and seed put other customers into
# the validation rows and other rows into each tree. With seed 0, the row order moves the third digit, as Mira's in
# November.
#
# So say what you promise:
#
# - *Every bit*, on the same machine with the same lock file and one thread.
# - Elsewhere, *within a tolerance* that you write down before you compare.
#
# One thread means `n_jobs=1`. For models that calculate with the BLAS or OpenMP (linear models, PCA, k-means) also call
# `threadpoolctl.threadpool_limits(1)` before the training: `n_jobs` does not limit them.
#
# <details class="more"><summary>More: when a comparison fails; one line that compares</summary>
#
# When such a comparison fails, `machine.json` tells what was different: Python, the operating system, the BLAS, the
# kind of processor that it works for, or the number of threads.
#
# For notebooks that you ran with `course run`, one line in a terminal does this comparison. It executes what was
# recorded in a fresh process and compares each metric. Put the id of the run in place of `RUN_ID`.
#
# ```
# course verify RUN_ID
# course verify RUN_ID --tolerance 1e-9
# ```
#
# </details>
#
# ## Round 5: a project that runs without the course
#
# Ines does not want to know how a training is started: the folder itself should say it. An **MLflow Project** is a
# folder with a file `MLproject` which does that. The file names
#
# - the **entry points**, which are the things that can be started, each with its command;
# - the parameters of each entry point, with their usual values;
# - the file of the environment, here `python_env.yaml`.
#
# <details class="more"><summary>More: the types of parameters</summary>
#
# `MLproject` knows the types `string`, `float`, `path` and `uri`, and none for whole numbers. That is why `depth` is
# a `float` below. MLflow does not check a `float`: it puts the value into the command as it was given, so a wrong one
# is found by `train.py`.
#
# </details>

# %%
(folder / "MLproject").write_text("""name: churn
python_env: python_env.yaml
entry_points:
  main:
    parameters:
      depth: {type: float, default: 5}
      seed: {type: float, default: 0}
    command: "python train.py {depth} {seed}"
""")
needed = ("mlflow", "numpy", "pandas", "scikit-learn")
lines = [f"  - {line}" for line in packages if line.split("==")[0] in needed]
yaml = [f'python: "{machine["python"]}"', "dependencies:", *lines]
(folder / "python_env.yaml").write_text("\n".join(yaml) + "\n")
print(len(lines), "packages with exact versions")

# %% [markdown]
# `mlflow.projects.run` opens a run, logs the parameters, and starts the command in the folder. The program finds the
# open run by itself, which is why `train.py` has no `start_run`.
#
# `env_manager="local"` means: with the packages that are here. It takes the first `python` on the `PATH`, so we put
# ours there.
#
# This is another process, started in another folder. Is its score still the one from March, in every bit?

# %%
ours = str(Path(sys.executable).parent)
os.environ["PATH"] = os.pathsep.join([ours, os.environ["PATH"]])
submitted = mlflow.projects.run(
    str(folder),
    parameters={"depth": settings["depth"], "seed": seed},
    env_manager="local",
    experiment_name="churn-reproducing",
    run_name="project",
)
project = mlflow.get_run(submitted.run_id)
print(project.info.status, project.data.params)
print("as in March, every bit:", project.data.metrics["valid_auc"] == recorded_auc)

# %% tags=["claims"]
assert project.info.status == "FINISHED"
assert project.data.metrics["valid_auc"] == recorded_auc
assert "course_utils" not in (folder / "train.py").read_text()

# %% [markdown]
# You should see FINISHED and `True`. The project gave the same bits, although another process made them.
#
# On a machine with MLflow, but not the course, copy the folder (see `print(folder)`), and type in it:
#
# ```
# mlflow run . --env-manager local
# ```
#
# The score lies in the `mlflow.db` of that folder. `local` uses what is installed, so check the versions. With `uv` in
# its place, the environment of `python_env.yaml` is built first; that needs the network and the program `uv`. Only
# packages named in this file get a fixed version, so name all those of your lock file.
#
# <details class="more"><summary>More: what virtualenv and uv need</summary>
#
# ```
# mlflow run . --env-manager virtualenv -P depth=5
# mlflow run . --env-manager uv -P depth=5
# ```
#
# Both need the network. `virtualenv` takes Python from the program `pyenv` alone, even when the same version is
# installed in another way; without `pyenv` it ends in an error. The second needs the program `uv`. If you leave the
# option out, MLflow takes `virtualenv` for this folder.
#
# </details>
#
# ## Look at the UI
#
# 1. Open the UI: *MLflow UI* among the links at the top, or `course ui` in a terminal in the course folder. Choose
#    *Model training* at the top left, click *Experiments* on the left, then `churn-reproducing`.
# 2. Click the run `march`. Under *Tags* you find `git_commit` and `data_sha256`.
# 3. Click *Artifacts* and open `code`, then `edits.diff.txt`: there is the comment that the commit does not know.
#    (The file ends in `.txt` because this page shows no file that ends in `.diff`.)
#
# ![The file edits.diff.txt in the run march, after step 3](../site/_static/reproducing_ui.png)
#
# ## Your turn
#
# Ines wants to see at once that the project's run was compared with March. Replace the three dots by **one line**
# that sets the tag `reproduces` of the project's run to the id of `march`; then run both cells.
#
# <details><summary>One solution</summary>
#
# `client.set_tag(submitted.run_id, "reproduces", march.info.run_id)`
#
# </details>

# %% tags=["your-turn"]
client = mlflow.MlflowClient()
...
tags = client.get_run(submitted.run_id).data.tags

# %% tags=["your-turn-solution"]
client = mlflow.MlflowClient()
client.set_tag(submitted.run_id, "reproduces", march.info.run_id)
tags = client.get_run(submitted.run_id).data.tags

# %%
hint = "the project's run has no tag `reproduces` with the id of march."
lesson.turn(tags.get("reproduces") == march.info.run_id, hint)

# %% [markdown]
# ## Pitfalls
#
# **`digest-blind`: a digest was taken for more than it covers.** MLflow gives these two tables one digest, although a
# contract was changed. Text with one gap is left out of it.

# %%
before = pd.DataFrame({"contract": ["month", None, "year"]})
after = before.replace("month", "two years")
digests = {mlflow.data.from_pandas(frame).digest for frame in (before, after)}
print("different digests:", len(digests))

# %% [markdown]
# To repair it, compute sha256 over the whole text of the CSV file that the training reads.

# %%
texts = [frame.to_csv().encode() for frame in (before, after)]
print("different digests:", len({hashlib.sha256(text).hexdigest() for text in texts}))

# %% [markdown]
# **`seed-missing`: something draws, and nobody recorded the seed.** Two trainings with the same file give two scores.
# `None` means: draw anew each time.

# %%
_, first = train(folder / "customers.csv", 5, None)
_, second = train(folder / "customers.csv", 5, None)
print("same score without a seed:", first == second)

# %% tags=["claims"]
assert first != second

# %% [markdown]
# To repair it, give each draw a seed, and log it as a parameter.

# %%
_, first = train(folder / "customers.csv", 5, seed)
_, second = train(folder / "customers.csv", 5, seed)
print("same score with a seed:", first == second)

# %% [markdown]
# **`score-rounded`: the recorded number was rounded, so nothing can be proven with it.** The repeated score is right
# to the last bit, and still not equal to what was written down.

# %%
print("equal to the rounded score:", auc_again == round(auc, 2))

# %% [markdown]
# To repair it, log the full number, and round only where you print it.

# %%
print("equal to the full score:", auc_again == auc, f"({auc:.2f} on the slide)")

# %% [markdown]
# ## In your own project
#
# The same work without any help from this course, on real data that comes with scikit-learn. Open *Show the script*,
# copy it into a file `script.py` in an empty folder and run `python script.py`. The first start records a run and
# repeats it; each later start, also months later, repeats that run.
#
# What you edit in the file after that is not repeated: to record a new state, put another name in the two places where
# `first` stands. The run is in `mlflow.db`, its files in `./mlruns`, where `kept` points: edit nothing there.

# %% tags=["own-project"]
import hashlib
import runpy
from importlib.metadata import distributions
from pathlib import Path

import mlflow
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score


def score(file, depth, seed):
    X = pd.read_csv(file)
    forest = RandomForestClassifier(20, max_depth=depth, random_state=seed)
    return cross_val_score(forest, X.drop(columns="target"), X["target"], cv=3).mean()


def sha256(file):
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def installed():
    return "\n".join(sorted(f"{d.name}=={d.version}" for d in distributions()))


if __name__ == "__main__":  # not when the kept copy is executed below
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("my-project")
    load_breast_cancer(as_frame=True).frame.to_csv("data.csv", index=False)
    record = "run_name = 'first' AND status = 'FINISHED'"
    if mlflow.search_runs(filter_string=record).empty:  # the first start
        with mlflow.start_run(run_name="first"):
            mlflow.log_params({"depth": 3, "seed": 0, "sha256": sha256("data.csv")})
            mlflow.log_metric("accuracy", score("data.csv", 3, 0))
            mlflow.log_text(installed(), "packages.txt")
            mlflow.log_artifact(__file__)

    run = mlflow.search_runs(filter_string=record, output_format="list")[0]
    kept = Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id))
    repeat = runpy.run_path(str(kept / Path(__file__).name))["score"]
    again = repeat("data.csv", *(int(run.data.params[k]) for k in ("depth", "seed")))
    print("same data:", run.data.params["sha256"] == sha256("data.csv"))
    print("same packages:", (kept / "packages.txt").read_text() == installed())
    print("same score, every bit:", again == run.data.metrics["accuracy"])

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("reproducing")

# %% [markdown]
# ## Key points
#
# - **How do you record the state of code, data and environment?** Commit, diff and the file itself; sha256 of the
#   data; all packages with versions, and the threads. The seed is a parameter.
# - **What does a digest cover?** What went into it. MLflow's leaves out dates, true/false, text with a gap, `Decimal`,
#   and all rows after 10,000. sha256 of a file covers every byte.
# - **How do you repeat a run and prove it?** With nothing but its record and the data, and `==`. On another machine,
#   with a tolerance that was written down before.
# - **How do you write a project that others can start?** A folder with `MLproject`, its `python_env.yaml` and code
#   that imports nothing from elsewhere. `mlflow run` makes each start a run.
#
# ## Next steps
#
# - Do the [homework]({homework:reproducing}). Next lecture: [Batch and scale]({step:batch_and_scale}).
# - Official page: [MLflow Projects](https://mlflow.org/docs/latest/ml/projects/).
# - Optional depth: change `n_rows` to 2000 in the parameters cell, and run all again.
