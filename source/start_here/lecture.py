# %% [markdown]
# # Start here
#
# **What will you build in this series, and is your machine ready for it?**
#
# We will build a check of your machine, your first run in five lines, and three more that you compare in a picture.
#
# Afterwards you can
# - **check** your environment and **say** where your runs are kept;
# - **log** a run in five lines and **find** it in the MLflow UI;
# - **follow** a lecture, **do** its homework, and **run** all of them in a batch.
#
# **You need:** a little Python and scikit-learn. No MLflow.
#
# **Time:** 12 min to read · 13 min to do
#
# <!-- links -->
#
# ## Recall
#
# Every lecture begins with a question on something earlier. Click an answer; each one replies.

# %%
from course_utils import lesson

lesson.quiz("start_here", "recall")

# %% [markdown]
# ## The problem
#
# Nordtel, a telecom company, loses customers. **Mira** trains models that say who will leave. **Jonas** owns the
# customer tables, **Aisha** runs what Mira trains, **Tom** calls the customers on the list, and **Ines** asks where
# each number comes from. They have notebooks, a spreadsheet, and many files named `model_final`. Over sixteen lectures
# they get from there to models that are tracked, compared, versioned, served and watched, with **MLflow** as their
# memory.
#
# ## The map
#
# Minutes are for reading and doing; homework takes about as long again. "Needs" says what to read before.
#
# <!-- contents:begin -->
# (The build writes the table of all lectures here, from their headers.)
# <!-- contents:end -->
#
# ## Setup
#
# Press Shift+Enter to run a cell. The cell below, tagged `parameters`, holds what you may change; a batch can replace
# its values.

# %% tags=["parameters"]
seed = 0
n_rows = 1000

# %% [markdown]
# ## Round 1: is this machine ready?
#
# Results are stored with the lectures, so you can read them without running anything. Run ids, times and seconds are
# masked there as ‹…›, because they differ on every machine.

# %%
import sys
from importlib.metadata import requires, version

from packaging.requirements import Requirement

wanted = next(line for line in requires("course-utils") if line.startswith("mlflow"))
print("Python 3.11 to 3.14:", (3, 11) <= sys.version_info[:2] <= (3, 14))
print("MLflow as pinned:", Requirement(wanted).specifier.contains(version("mlflow")))

# %% [markdown]
# You should see True twice. If not, this notebook runs in another Python: choose the kernel of the course's `.venv`, or
# start JupyterLab with `make lab`.
#
# Runs go into a **store**, here one database file for the whole course. `store.connect()` makes it when it is missing
# and points MLflow at it. Can it be written?

# %%
import mlflow

from course_utils import store

store.connect()
experiment = mlflow.set_experiment("first-steps")
mlflow.set_experiment_tag("checked", "yes")
print("store can be written:", mlflow.get_experiment(experiment.experiment_id).tags["checked"] == "yes")
print("the store is called", mlflow.get_tracking_uri().rsplit("/", 1)[1])

# %% [markdown]
# In a terminal, `course doctor` looks at more: packages, kernel, ports.
#
# ## Round 2: a run in five lines
#
# **Predict.** The next cell logs a word and a number. Will the word come back as a word, and the number as a number?

# %%
prediction = "?"  # write what you expect; being wrong here is how it sticks

# %%
import mlflow

mlflow.set_experiment("first-steps")
with mlflow.start_run(run_name="hello") as run:
    mlflow.log_param("team", "Nordtel")
    mlflow.log_metric("lectures", 16)

# %%
stored = mlflow.get_run(run.info.run_id)
print(stored.info.run_name, "|", stored.info.status, "|", stored.data.params, "|", stored.data.metrics)

# %% [markdown]
# You should see both, and FINISHED. That was a **run**: one execution, with what you chose (a *parameter*) and what
# came out (a *metric*). It is in the store now, and stays there when you close the notebook.
#
# ## Look at the UI

# %%
print("In a terminal, in the course folder:", store.ui_command(), "or, shorter:", "course ui", sep="\n")

# %% [markdown]
# 1. In JupyterLab, click *MLflow UI* among the links at the top of a lecture, or the tile *MLflow* in a new launcher
#    (the *+* beside the tabs). Elsewhere, run the command and open <http://127.0.0.1:5001>.
# 2. At the top left, choose *Model training* if *GenAI* is chosen, which shows no runs. Your browser remembers it. If
#    the *MLflow Assistant* opens on the right, its × closes it.
# 3. Click *Experiments*, `first-steps`, then the run `hello`.
# 4. Find `team` under the parameters and `lectures` under the metrics.
#
# If `first-steps` is not in the list, the UI looks at another store: use the exact command above.
#
# ![The MLflow UI in a tab of JupyterLab: a row for each run](../site/_static/lab_mlflow.png)
#
# | the tile | one run |
# |---|---|
# | ![A new launcher; MLflow stands beside Python 3](../site/_static/lab_launcher.png) | ![The run 100-trees with its parameters and metric](../site/_static/lab_run.png) |
#
# ## Round 3: runs that you can compare
#
# One run is a note. Several are an experiment. A decision tree predicts who leaves; its `max_depth` says how many
# questions it may ask in a row.
#
# **Predict.** Depth 1, 4 or 12: which tree ranks *new* customers best?

# %%
prediction = 0  # 1, 4 or 12

# %%
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from course_utils import data

split = data.churn_split(n_rows, seed, numeric=True)

for depth in (1, 4, 12):
    with mlflow.start_run(run_name=f"depth-{depth}"):
        tree = DecisionTreeClassifier(max_depth=depth, random_state=seed).fit(split.X_train, split.y_train)
        mlflow.log_param("max_depth", depth)
        mlflow.log_metric("test_auc", roc_auc_score(split.y_test, tree.predict_proba(split.X_test)[:, 1]))

# %%
table = store.runs("first-steps", "params.max_depth != ''", columns=["max_depth", "test_auc"])
table.head(3).round(3)

# %% [markdown]
# You should see three rows, newest first. If there are none, the cell before has not run.

# %%
from course_utils import plots

scores = table["test_auc"].head(3)
fig = plots.bars(scores, title=f"{scores.idxmax()} ranks new customers best", xlabel="test ROC-AUC", baseline=0.5)
plots.show(fig)

# %% [markdown]
# A tree of depth 1 asks too little; one of depth 12 learns its training rows by heart. You found that without a
# spreadsheet: the numbers were logged where they arose.
#
# ## Your turn
#
# Every lecture has a gap like this one. Replace the three dots by **one line** that logs the metric `minutes` with the
# value 25.
#
# <details><summary>One solution</summary>
#
# `mlflow.log_metric("minutes", 25)`
#
# </details>

# %%
with mlflow.start_run(run_name="your-turn") as yours:
    ...

logged = mlflow.get_run(yours.info.run_id).data.metrics
lesson.turn(logged.get("minutes") == 25, "log_metric takes a name and a number, inside the with block.")

# %% [markdown]
# ## How to work with this series
#
# | you want to | in JupyterLab | in a terminal |
# |---|---|---|
# | read and run a lecture | open `notebooks/`, Shift+Enter | `make lab` or `course lab` |
# | do the homework | open `exercises/`, fill the gaps, run `hw.check(1)` | `course progress` |
# | compare with our solution | `hw.solution(1)`, or open `solutions/` | |
# | see your runs | *MLflow UI* in the links, or the tile *MLflow* | `make ui` or `course ui` |
# | run everything in a batch | | `make run` or `course run` |
# | run one lecture with another value | edit the `parameters` cell | `course run 00 -p n_rows 500` |
# | find out what is wrong | | `make test`, `course doctor` |
#
# A batch keeps its own store and its own copies under `runs/`, so it never touches your work. Homework is judged by
# what is in your store: try as often as you like, the newest run counts. `hw.hint(1)` asks a question first and gives
# the line last.
#
# | homework, not right yet | and right |
# |---|---|
# | ![Task 1: not yet, train-not-test, and what to do](../site/_static/homework_wrong.png) | ![Task 1: passed](../site/_static/homework_right.png) |
#
# `make site` makes a web site of the series, for reading:
#
# | search | quizzes |
# |---|---|
# | ![Search for threshold: lectures and homework](../site/_static/site_search.png) | ![A quiz: the right answer in green, with a reason](../site/_static/site_quiz.png) |
# | **dark theme** | **solutions, folded away** |
# | ![Lecture {step:mlflow_basics} on a dark page](../site/_static/site_dark.png) | ![A solution unfolded under its task](../site/_static/site_solution.png) |
#
# **You know MLflow from an older course?** In [What is taught where](README.md), the topics that begin with *Changed*,
# *Moved* or *Removed* say what is different today, and which lecture runs the old call beside the new one.
#
# ## Pitfalls
#
# Each lecture produces three mistakes on purpose and repairs them. Checks name them by the same code.
#
# **`experiment-name`: almost the same name.** Names must agree letter by letter.

# %%
for name in ("first-steps", "First steps"):
    print(f"{name!r} is an experiment:", mlflow.get_experiment_by_name(name) is not None)

# %% [markdown]
# Repair: copy names, or keep one in a variable. `set_experiment("First steps")` would not fail: it makes a second one.
#
# **`stale-value`: a cell was changed and its neighbour was not run again.** Below, `depth` is new and the tree is old.

# %%
depth = 4
tree = DecisionTreeClassifier(max_depth=depth, random_state=seed).fit(split.X_train, split.y_train)
depth = 9  # changed, and the line above was not run again
print("would be logged:", depth, "| the tree really has:", tree.get_params()["max_depth"])

# %% [markdown]
# Repair: ask the model (`tree.get_params()`), and use *Restart Kernel and Run All Cells* before you believe a number.
#
# **`file-place`: a file lands where nobody looks.** A bare name is a file in the folder that the notebook runs in.

# %%
from pathlib import Path

print("'answer.csv' would be in the folder of outputs:", Path("answer.csv").resolve().parent == store.outputs("00"))
print("repaired:", "/".join((store.outputs("00") / "answer.csv").parts[-3:]))

# %% [markdown]
# Repair: `store.outputs("00")` is a folder that every lecture and check can find.
#
# ## Quiz

# %%
lesson.quiz("start_here")

# %% [markdown]
# ## Key points
#
# - The environment is right when Python and MLflow are the pinned ones and the store can be written; `course doctor`
#   checks it all.
# - `set_experiment`, `with start_run()`, `log_param`, `log_metric`: five lines make a run. `course ui` shows it.
# - A lecture is: predict, run, compare. Homework is judged by your store. `course run` runs everything in a batch.
#
# ## Next steps
#
# - Do the [homework](../exercises/00_start_here.ipynb): it proves that your set-up works.
# - Next lecture: the life cycle of a model, and who does what in it.
# - Official page: [MLflow](https://mlflow.org/docs/latest/).
# - Optional depth: run the tree with `n_rows = 200` and with 20,000. Does the best depth stay the same?
