# %% [markdown]
# # Start here
#
# **What will you build in this series, and is your machine ready for it?**
#
# **To run a cell,** click into it and press Shift+Enter. What it prints appears below it, and the next cell is
# selected. Go from the top to the bottom, and run every cell before you read on. Try it now with the first one, below.
#
# We will check this machine, record a first run in five lines of MLflow, find it again in code and in the browser, and
# compare three models by what was recorded about them. Folded parts marked *More* can wait, and so can sections with
# *(can wait)* in their heading; a click opens them.
#
# Afterwards you can
# - **say** what a run, an experiment and a store are, and **check** that your machine has what it needs;
# - **log** a run in five lines, and **find** it again in code and in the MLflow UI;
# - **compare** several runs in one table;
# - **follow** a lecture, **do** its homework, and **run** all of them in a batch.
#
# **You need:** a little Python, and to have fitted a scikit-learn model once. No MLflow.
#
# **Time:** 18 min to read · 15 min to do
#
# <!-- links -->

# %%
print("This cell has run.")

# %% [markdown]
# You should see that sentence, and `[1]` at the left of the cell, because it is the first cell that ran. While a cell
# is working, a star `[*]` stands there.
#
# If nothing happens, click into the cell once more. If a window asks for a **kernel**, the Python that runs the cells,
# choose *Python 3 (ipykernel)*. It is the one that this course was installed in.
#
# <details class="more"><summary>More: a wrong kernel, and the marks ‹…› in outputs</summary>
#
# If a cell ends in `No module named 'course_utils'`, the notebook runs in another Python. Choose *Python 3 (ipykernel)*
# at the top right (in VS Code the course's Python is called `.venv`), or stop JupyterLab and start it with `make lab`
# or `uv run course lab`.
#
# Outputs are stored with the lectures, so you can also read without running anything. Ids, times and seconds, which
# differ on every machine, are masked in the stored outputs as ‹…›.
#
# </details>
#
# ## Recall
#
# Every lecture begins with one question on something earlier. Click an answer; each of them replies.

# %%
from course_utils import lesson

lesson.quiz("start_here", "recall")

# %% [markdown]
# ## The problem
#
# Nordtel, a telecom company, loses more than one customer in five. Five people try to do something about it:
#
# - **Jonas** looks after the tables of customers.
# - **Mira** trains models that say who is about to leave.
# - **Aisha** makes a model answer, day and night.
# - **Tom** calls the customers on the list.
# - **Ines** asks where each number comes from, because the authorities ask her.
#
# Today Tom wants the model from last Tuesday, the good one. There are eleven notebooks, a spreadsheet, and seven files
# whose names begin with `model_final`. Mira knows that the model existed. She cannot find it.
#
# In twenty-two lectures the team gets from there to models that are tracked, compared, versioned, served and watched.
# Their memory is **MLflow**: your code tells it what it does, while it does it, and MLflow writes that down in a place
# where everybody can look it up.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
from course_utils import plots

boxes = {
    "code": (1.0, 1.0, "your notebook\nimport mlflow"),
    "store": (4.6, 1.0, "the store\nthe file mlflow.db"),
    "ui": (8.2, 1.0, "MLflow UI\nin your browser"),
}
arrows = [("code", "store", "writes"), ("ui", "store", "reads")]
title = "The notebook writes to a store, and the UI reads the same store"
plots.show(plots.diagram(boxes, arrows, title=title, height=2.0))

# %% [markdown]
# The place is called a **store**. In most of this course it is one file on your disk, the database `mlflow.db` in the
# course folder. The **UI** (user interface) is a page in your browser that shows what is in a store. It neither knows
# your notebook nor needs it.
#
# ## Setup
#
# The next cell says how many customers are made (`n_rows`), and which ones (`seed`). You may change both; then run all
# cells again.
#
# `course_utils`, in the cell after it, is a small package of this course. It makes the tables of Nordtel's customers,
# and draws. What a lecture teaches is never hidden in it.

# %% tags=["parameters"]
seed = 0
n_rows = 2000

# %%
import mlflow

from course_utils import store

store.quiet()  # keeps MLflow's progress lines off this page
file = store.home() / "mlflow.db"  # in the folder of this course

# %% [markdown]
# ## Round 1: is this machine ready?
#
# Two things decide whether the lectures do what they say: the versions of Python and of MLflow. MLflow changes from one
# version to the next, so the course is tied to one, with which every line has been tried.

# %%
import sys

print("Python 3.11 to 3.14:", (3, 11) <= sys.version_info[:2] <= (3, 14))
print("MLflow 3.17.2:", mlflow.__version__ == "3.17.2")

# %% tags=["claims"]
CHANGES = [{"n_rows": 200}, {"n_rows": 500}, {"n_rows": 20000}, {"seed": 3}]

assert (3, 11) <= sys.version_info[:2] <= (3, 14)

# %% [markdown]
# You should see `True` twice. If you see `False`, this notebook runs in another Python than the course's: choose the
# kernel *Python 3 (ipykernel)* at the top right.
#
# `course doctor`, typed in a terminal in the course folder, looks at more: packages, kernel, store and ports.
#
# <details class="more"><summary>More: a terminal, and one that does not know course</summary>
#
# In JupyterLab you get a terminal from the *+* beside the tabs. If the terminal does not know `course`, type `source
# .venv/bin/activate` first (on Windows `.venv\Scripts\activate`, with conda `conda activate mlflow-course`).
#
# </details>
#
# ## Round 2: a run in five lines
#
# A **run** is one execution of some code, together with what you want to remember about it. Here are its two simplest
# contents:
#
# - A **parameter** is something that you have *chosen* before, such as the depth of a tree.
# - A **metric** is a number that *came out*, such as a score.
#
# Runs that answer the same question are kept together under a name. Such a group is called an **experiment**.
#
# Below are the five lines. Each says one thing:
#
# 1. `set_tracking_uri`: use this store.
# 2. `set_experiment`: use this experiment. MLflow makes it when it is not there yet.
# 3. `start_run`: begin a run. It ends where the indented lines end.
# 4. `log_param`: write down a parameter.
# 5. `log_metric`: write down a metric.
#
# **Predict.** We log 22 as a metric, then ask the store for it. In which form will it come back: `22`, `22.0` or
# `'22'`? Write your guess between the quotes. Even a wrong guess, once written down, helps the right answer to stick.

# %%
prediction = "?"  # 22, 22.0 or '22'

# %%
mlflow.set_tracking_uri(f"sqlite:///{file}")
mlflow.set_experiment("first-steps")
with mlflow.start_run(run_name="hello") as run:
    mlflow.log_param("team", "Nordtel")
    mlflow.log_metric("lectures", 22)

# %%
stored = mlflow.get_run(run.info.run_id)
print("name:      ", stored.info.run_name)
print("status:    ", stored.info.status)
print("parameters:", stored.data.params)
print("metrics:   ", stored.data.metrics)

# %% tags=["claims"]
assert stored.info.run_name == "hello" and stored.info.status == "FINISHED"
assert stored.data.params == {"team": "Nordtel"}
assert str(stored.data.metrics) == "{'lectures': 22.0}"
with mlflow.start_run(run_name="text") as text:
    mlflow.log_param("lectures", 22)
assert mlflow.get_run(text.info.run_id).data.params == {"lectures": "22"}
mlflow.delete_run(text.info.run_id)
assert mlflow.get_tracking_uri().endswith("mlflow.db") and file.is_file()

# %% [markdown]
# You should see `hello`, `FINISHED`, the team, and `22.0`. If you see an error instead, run the cells from *Setup* on
# once more.
#
# A metric is always kept as a decimal number, which one can sort by and draw; the UI shortens it to 22. A parameter is
# kept as text: had 22 been logged as a parameter, `'22'` would come back.
#
# MLflow gave the run an **id**, `run.info.run_id`, a long word that no other run has. The name `hello` is for people:
# run the cell twice, and there are two runs called `hello`, with two ids.
#
# The first of the five lines is the one that beginners forget. `sqlite:///` and the path of a file is the store's
# address, called the **tracking URI**. Without it (and without the environment variable `MLFLOW_TRACKING_URI`), MLflow
# uses a store in the current folder, usually the notebook's. So two notebooks in two folders do not see each other's
# runs; [MLflow basics]({step:mlflow_basics}) comes back to this.
#
# ## Look at the UI
#
# 1. In JupyterLab, click *MLflow UI* among the links at the top of this lecture. It takes up to a minute and opens in a
#    tab. (Elsewhere, open the fold below.)
# 2. If *MLflow Assistant* opens at the right, close it with its cross, because it takes the room that the page needs.
#    At the top left, choose *Model training*. With *GenAI* chosen, which is for chat programs, the UI shows other
#    things.
# 3. Click *Experiments* at the left, then `first-steps`, then the run `hello`.
# 4. Find `lectures` under *Metrics* and `team` under *Parameters*. Under *About this run* stands the run's id.
# 5. To come back to the list of experiments, click the arrow beside `first-steps` at the left.
#
# If you do not see `first-steps`, type it into *Search experiments* above the list, which may have several pages.
#
# <details class="more"><summary>More: the UI without JupyterLab, and a list without first-steps</summary>
#
# Open a terminal in the course folder, type the lines below (the first one on Windows: .venv\Scripts\activate), leave
# it running, and open <http://127.0.0.1:5001>. `course ui` is short for the second line.
#
# ```
# source .venv/bin/activate
# mlflow ui --backend-store-uri sqlite:///mlflow.db --port 5001
# ```
#
# When the search does not find `first-steps` either, the UI looks at another store. Stop it with Ctrl+C in its
# terminal, go to the course folder, and use exactly these lines.
#
# </details>
#
# ![The page of the run hello: the metric lectures is 22, the parameter team is Nordtel](../site/_static/start_here_ui.png)
#
# ## Round 3: runs that you can compare
#
# Several runs of one experiment can be compared, and that is what MLflow is for. Store and experiment stay as Round 2
# has set them, so the next runs go into `first-steps` as well.
#
# Mira tries a **decision tree**, which asks yes-or-no questions about a customer (more than two calls to support?).
# `max_depth` limits how many it may ask in a row. A model must not be judged on the rows that it was trained on, so we
# set 30 % of the customers aside and call them **validation rows**.
#
# The score is **ROC-AUC**. Take one customer who left and one who stayed: how often does the model give the higher risk
# to the one who left? Guessing has 0.5, and a model that is never wrong has 1.0.
#
# <details class="more"><summary>More: how ROC-AUC counts ties</summary>
#
# When both customers get the same risk, the pair counts half. This is frequent with a small tree, because it gives the
# same risk to all customers who answer its few questions alike.
#
# </details>

# %%
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

from course_utils import data

customers = data.churn(n_rows, seed)  # one row for each customer
y = customers["churned"]  # 1 for a customer who left, else 0
X = customers.drop(columns="churned")
X = pd.get_dummies(X, dtype=float)  # words become columns of 0 and 1
X_train, X_valid, y_train, y_valid = train_test_split(
    X, y, test_size=0.3, stratify=y, random_state=seed
)

# %% [markdown]
# **Predict.** With 1, 4 or 12 questions in a row: which tree ranks the validation customers best?

# %%
prediction = 0  # 1, 4 or 12

# %%
def auc(tree, X, y):
    return roc_auc_score(y, tree.predict_proba(X)[:, 1])


for depth in (1, 4, 12):
    settings = {"max_depth": depth, "random_state": seed}
    with mlflow.start_run(run_name=f"depth-{depth}"):
        mlflow.log_params(settings | {"n_rows": n_rows})
        tree = DecisionTreeClassifier(**settings).fit(X_train, y_train)
        mlflow.log_metric("train_auc", auc(tree, X_train, y_train))
        mlflow.log_metric("valid_auc", auc(tree, X_valid, y_valid))

# %% [markdown]
# `log_params` takes a dictionary and logs all of it. The settings are in a dictionary because the same one builds the
# tree, so the record cannot say anything else than what was used. They are logged before `fit`, so that a run that
# fails there has them, too.
#
# Now we ask the store, with `search_runs`. It returns a table with one row for each run, the newest first. The filter
# keeps the runs whose name begins with `depth-`; `%` stands for any characters. Should you run the cells twice,
# `head(3)` keeps the newest three.
#
# The columns say what they hold: `params.…`, `metrics.…`, and `tags.mlflow.runName` for the run's name. MLflow keeps
# this name in a **tag**, a short note on the run.

# %%
runs = mlflow.search_runs(
    experiment_names=["first-steps"],
    filter_string="attributes.run_name LIKE 'depth-%'",
).head(3)
runs = runs.set_index("tags.mlflow.runName")
columns = ["params.max_depth", "metrics.train_auc", "metrics.valid_auc"]
runs[columns].round(3)

# %%
scores = runs["metrics.valid_auc"]
title = f"{scores.idxmax()} ranks the validation customers best"
label = "ROC-AUC on the validation rows"
fig = plots.bars(scores.rename_axis("run"), title=title, xlabel=label, baseline=0.5)
plots.show(fig)

# %% tags=["claims"]
assert list(runs.index) == ["depth-12", "depth-4", "depth-1"]
assert n_rows not in (2000, 20000) or scores.idxmax() == "depth-4"
assert runs["metrics.train_auc"].idxmax() == "depth-12"
assert runs["metrics.train_auc"]["depth-12"] > 0.9
assert runs["metrics.train_auc"]["depth-12"] - scores["depth-12"] > 0.2
assert n_rows != 2000 or scores["depth-4"] - scores.drop("depth-4").max() > 0.03
assert runs["params.max_depth"].tolist() == ["12", "4", "1"]

# %% [markdown]
# You should see three rows. With 2,000 customers and the seed 0, 1, 2 or 3, depth 4 is ahead by more than 0.03. One
# question is too few: it makes only two groups.
#
# Twelve are too many, and the table says why. On its training rows this tree has more than 0.9, and on the others at
# least 0.2 less. It has learned its training rows by heart, and that does not help with customers it has never seen.
#
# You found this in a table that the code itself has written.
#
# ## Your turn
#
# Every lecture has a gap like this one. Replace the three dots by **one line** that logs the metric `minutes` with the
# value 25; then run both cells.
#
# <details><summary>One solution</summary>
#
# `mlflow.log_metric("minutes", 25)`
#
# </details>

# %% tags=["your-turn"]
with mlflow.start_run(run_name="your-turn") as yours:
    ...

# %% tags=["your-turn-solution"]
with mlflow.start_run(run_name="your-turn") as yours:
    mlflow.log_metric("minutes", 25)

# %%
logged = mlflow.get_run(yours.info.run_id).data.metrics
hint = "the run has no metric minutes of 25. log_metric takes a name and a number."
lesson.turn(logged.get("minutes") == 25, hint)

# %% [markdown]
# ## How to work with this series
#
# | you want to | in JupyterLab | in a terminal |
# |---|---|---|
# | read and run a lecture | open `notebooks/`, Shift+Enter | `make lab` or `course lab` |
# | do the homework | open `exercises/`, fill the gaps, run `hw.check(1)` | `course progress` shows your points |
# | get help with task 1 | `hw.hint(1)`; run it again for the next hint | |
# | compare with our solution | `hw.solution(1)`, or open `solutions/` | |
# | see your runs | *MLflow UI* in the links | `make ui` or `course ui` |
# | run all lectures in a batch | | `make run` or `course run` |
#
# A batch runs a copy of each lecture from top to bottom, in a store of its own, so it never touches your work.
#
# <details class="more"><summary>More: a batch with other values</summary>
#
# A batch can change the values of the cell under *Setup*, which has the label `parameters` (the gear at the top right
# of JupyterLab shows it): `course run start_here -p n_rows 500` runs one lecture with another value. The copies and
# their store are in a new folder below `runs/`.
#
# </details>
#
# Homework is judged by what is in your store, so you may solve it in any style, and try as often as you like. A check
# that fails shows the short name of the mistake in a box, as `settings-not-used` in the picture below. Lectures use the
# same names under *Pitfalls*.
#
# ![A homework task that is not right yet: the check names the mistake and says what to do](../site/_static/homework_wrong.png)
#
# ### The map
#
# Minutes are for reading and doing; homework takes about as long again. "Needs" says which lectures to read before.
#
# <!-- contents:begin -->
# (The build writes the table of all lectures here, from their headers.)
# <!-- contents:end -->
#
# <details class="more"><summary>More: if you know MLflow from an older course</summary>
#
# Look into [What is taught where](README.md). The topics that begin with *Changed*, *Moved* or *Removed* say what is
# different today.
#
# </details>
#
# ## Pitfalls
#
# Each lecture makes three mistakes on purpose, and repairs them.
#
# **`experiment-name`: almost the same name.** Names must agree letter by letter. Here is somebody who looks for our
# experiment:

# %%
wanted = "First Steps"
print("found:", mlflow.get_experiment_by_name(wanted) is not None)

# %% [markdown]
# MLflow does not guess. It is worse when you write: `set_experiment("First Steps")` would not fail, but make a second
# experiment, and your runs would be in two places. To repair it, keep a name in one variable, or copy it from the list:

# %%
names = [experiment.name for experiment in mlflow.search_experiments()]
wanted = next(name for name in names if name.startswith("first"))
print("found:", mlflow.get_experiment_by_name(wanted) is not None, "as", wanted)

# %% tags=["claims"]
assert wanted == "first-steps"
assert mlflow.get_experiment_by_name("First Steps") is None

# %% [markdown]
# **`stale-value`: a cell was changed, and the one that uses it was not run again.** Cells remember what ran, not what
# you read. Below, somebody fits a tree, changes the depth, and goes on to log it:

# %%
depth = 4
tree = DecisionTreeClassifier(max_depth=depth, random_state=seed).fit(X_train, y_train)
depth = 9  # changed, and the line above was not run again
with mlflow.start_run(run_name="stale") as stale:
    mlflow.log_param("max_depth", depth)
    mlflow.log_metric("valid_auc", auc(tree, X_valid, y_valid))
same = mlflow.get_run(stale.info.run_id).data.metrics["valid_auc"] == scores["depth-4"]
print(f"the run says depth {depth}; its score is that of depth 4: {same}")

# %% [markdown]
# A parameter can never be changed again, so a run that says something untrue is deleted and made anew. To prevent it,
# ask the model for its settings, and use *Restart Kernel and Run All Cells* before you believe a number.

# %%
mlflow.delete_run(stale.info.run_id)
with mlflow.start_run(run_name="mended") as mended:
    mlflow.log_param("max_depth", tree.get_params()["max_depth"])
    mlflow.log_metric("valid_auc", auc(tree, X_valid, y_valid))
print("the run says", mlflow.get_run(mended.info.run_id).data.params)

# %% tags=["claims"]
assert same
assert mlflow.get_run(mended.info.run_id).data.params == {"max_depth": "4"}

# %% [markdown]
# **`file-place`: a file lands where nobody looks.** A name without a folder means the folder that the notebook runs in.
# That is rarely the one you think of, and the check of a homework does not look there.

# %%
import shutil
from pathlib import Path

runs[columns].to_csv("runs.csv")
written = Path("runs.csv").resolve()
print("in the folder of outputs:", written.parent == store.outputs("start_here"))

# %% [markdown]
# To repair it, say the whole path. `store.outputs("start_here")` is the folder `outputs/start_here` of this course,
# which is made when it is missing; every lecture and homework has one like it.

# %%
moved = Path(shutil.move(written, store.outputs("start_here") / "runs.csv"))
print("in the folder of outputs:", moved.parent == store.outputs("start_here"))

# %% tags=["claims"]
assert (store.outputs("start_here") / "runs.csv").is_file() and not Path("runs.csv").exists()

# %% [markdown]
# ## In your own project
#
# The same work without any help from this course, on real data that comes with scikit-learn: is a tumour malignant?
#
# 1. Open *Show the script* below, and copy it into a file `trees.py` in an empty folder.
# 2. Open a terminal in the course folder, and type `source .venv/bin/activate` (on Windows `.venv\Scripts\activate`,
#    with conda `conda activate mlflow-course`).
# 3. Go to your folder with `cd`, and run `python trees.py`.
# 4. If you opened the course's UI from a terminal, stop it there with Ctrl+C.
# 5. Type the command that the script prints last, and open <http://127.0.0.1:5001>.
#
# <details class="more"><summary>More: another Python, another port, and the script's lines</summary>
#
# - In a project with a Python environment of its own, `pip install mlflow==3.17.2 scikit-learn` is all that it needs.
# - The first time, MLflow also reports that it makes the tables of its database.
# - A path without a folder behind `sqlite:///` is a file in the folder that you are in.
# - `search_runs` without a name looks into the experiment that was set, and `max_results=3` keeps the newest three.
# - Which depth comes out ahead depends on the data: here it need not be the one of the lecture, so one measures.
# - The course's UI, opened from a terminal, holds the port 5001. Instead of stopping it, you may write 5002 in the
#   command and in the address. A UI that you opened in JupyterLab may go on running.
#
# </details>

# %% tags=["own-project"]
"""Three trees, recorded and compared: python trees.py"""

import mlflow
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("my-first-runs")

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
y = 1 - y  # in this table 0 is malignant; we look for that, so it becomes 1
X_train, X_valid, y_train, y_valid = train_test_split(X, y, stratify=y, random_state=0)

for depth in (1, 4, 12):
    settings = {"max_depth": depth, "random_state": 0}
    with mlflow.start_run(run_name=f"depth-{depth}"):
        mlflow.log_params(settings)
        tree = DecisionTreeClassifier(**settings).fit(X_train, y_train)
        risk = tree.predict_proba(X_valid)[:, 1]
        mlflow.log_metric("valid_auc", roc_auc_score(y_valid, risk))

runs = mlflow.search_runs(max_results=3)
print(runs[["tags.mlflow.runName", "params.max_depth", "metrics.valid_auc"]])
print("Look at them: mlflow ui --backend-store-uri sqlite:///mlflow.db --port 5001")

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("start_here")

# %% [markdown]
# ## Key points
#
# - **What are run, experiment and store?** A run is one execution with what is worth remembering: parameters that you
#   chose, metrics that came out. An experiment is a named group of runs. The store keeps them, here in one file.
# - **Is the machine ready?** Yes, when Python and MLflow have the versions of the course; `course doctor` looks at the
#   rest.
# - **How do you log a run, and find it again?** `set_tracking_uri`, `set_experiment`, `start_run`, `log_param`,
#   `log_metric`; then `get_run` with its id, or the UI.
# - **How do you compare runs?** `search_runs` returns a table with one row for each run. Compare on rows that the
#   models were not trained on.
# - **How do you work here?** Predict, run, compare with "You should see". Homework is judged by your store. `course
#   run` runs everything in a batch.
#
# ## Next steps
#
# - Do the [homework]({homework:start_here}): a first run, a tag, a file, and a colleague's run that is not true.
# - Next lecture: [The life cycle of a model]({step:ml_workflow}), who does what in it, and which tools there are.
# - Official page: [MLflow](https://mlflow.org/docs/latest/).
#
# <details class="more"><summary>More: optional depth, fewer and more customers</summary>
#
# Set `n_rows` to 200, and then to 20,000, and run all again. With few customers, is the tree of depth 4 still ahead?
# And what happens to the distance between its two scores when there are many?
#
# </details>
