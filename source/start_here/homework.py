# %% [markdown]
# # Homework 00: does it work?
#
# **15 minutes · 3 tasks and a stretch · 5 points.** Three small tasks that prove your set-up. Run every cell as often
# as you like: a check reads your *latest* run. Below each task stands `hw.check(n)`; when you are stuck, add a cell
# with `hw.hint(n)`.
#
# <!-- links -->

# %%
import mlflow
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("start_here")
customers = data.churn(800, data.course_seed())
split = data.churn_split(800, data.course_seed(), numeric=True)
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Task 1: a first run (2 points)
#
# `customers` is a table; its column `churned` is 1 for a customer who left and 0 for one who stayed. In an experiment
# called `hw-start-here-first`, make a run called `hello` with
#
# - the parameter `n_customers`: how many customers the table has;
# - the metric `churn_rate`: the share of them who left, between 0 and 1.

# %% tags=["task-1"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-start-here-first")

with mlflow.start_run(run_name="hello"):
    mlflow.log_param("n_customers", len(customers))
    mlflow.log_metric("churn_rate", customers["churned"].mean())
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: a tag with your name (1 point)
#
# The cell makes a run called `mine` in the experiment `hw-start-here-name`. Give it the tag `learner` with your name. In the UI:
# open the run and press *Add tags*. In code: `mlflow.MlflowClient().set_tag(run_id, name, value)`. Both count.

# %%
mlflow.set_experiment("hw-start-here-name")
if mlflow.search_runs(experiment_names=["hw-start-here-name"]).empty:
    with mlflow.start_run(run_name="mine"):
        mlflow.log_metric("lectures", 16)

# %% tags=["task-2"]
### BEGIN SOLUTION
mine = mlflow.search_runs(experiment_names=["hw-start-here-name"], output_format="list")[0]
mlflow.MlflowClient().set_tag(mine.info.run_id, "learner", "Ada")
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: read back into a file (2 points)
#
# The cell logs three trees in the experiment `hw-start-here-trees`. Read their table back with `store.runs`, as the lecture
# did, and write it to the file `runs.csv` in `store.outputs("hw-start-here")`, with the columns `run_name`, `max_depth` and
# `test_auc`. A DataFrame has the method `to_csv(path)`.

# %% tags=["task-3"]
mlflow.set_experiment("hw-start-here-trees")
for depth in (1, 3, 9):
    with mlflow.start_run(run_name=f"depth-{depth}"):
        grown = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(split.X_train, split.y_train)
        mlflow.log_param("max_depth", depth)
        mlflow.log_metric("test_auc", roc_auc_score(split.y_test, grown.predict_proba(split.X_test)[:, 1]))

### BEGIN SOLUTION
table = store.runs("hw-start-here-trees", columns=["max_depth", "test_auc"])
table.to_csv(store.outputs("hw-start-here") / "runs.csv")
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Stretch: a deeper tree (no points)
#
# `grow` fits a tree on the training rows. In the experiment `hw-start-here-deeper`, make a run called `deeper` with a tree of
# any depth from 4 to 8. Log `max_depth` and `test_auc`. They must belong together: the check grows a tree of the depth
# that you logged.

# %% tags=["task-4"]
def grow(depth):
    """Return a tree that may ask `depth` questions in a row."""
    return DecisionTreeClassifier(max_depth=depth, random_state=0).fit(split.X_train, split.y_train)


### BEGIN SOLUTION
mlflow.set_experiment("hw-start-here-deeper")

with mlflow.start_run(run_name="deeper"):
    tree = grow(5)
    mlflow.log_param("max_depth", tree.get_params()["max_depth"])
    mlflow.log_metric("test_auc", roc_auc_score(split.y_test, tree.predict_proba(split.X_test)[:, 1]))
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** Each task left something outside this notebook: a run, a tag, a file. That is all a check looks at.
# `to_csv` writes the index of `store.runs`, the run name, as the first column. Asking the tree for its depth keeps the
# parameter true when you change the number above it.
