# %% [markdown]
# # Homework: start here
#
# **25 minutes · 4 tasks and a stretch · 7 points.** The tasks are independent of each other, and together they prove that your
# set-up works. Run every cell as often as you like: a check reads what is in the store, and your *latest* run counts. Below
# each task stands `hw.check(n)`; when you are stuck, add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import random

import mlflow
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

from course_utils import data, store
from course_utils.homework import Homework

store.connect()  # points MLflow at mlflow.db, as set_tracking_uri did in the lecture
hw = Homework("start_here")
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Task 1: a first run (2 points)
#
# `customers` is a table; its column `churned` is 1 for a customer who left and 0 for one who stayed. In an experiment
# called `hw-start-here-first`, make a run called `hello` with
#
# - the parameter `n_customers`: how many customers the table has;
# - the metric `churn_rate`: the share of them who left, between 0 and 1, not rounded.

# %%
customers = data.churn(800, data.course_seed())
customers.head(3)

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
# A **tag** is a note on a run that may be added and changed at any time, also when the run has ended. The next cell makes a
# run called `mine` in the experiment `hw-start-here-name`. Give this run, not a new one, the tag `learner` with your name.
# In the UI, open the run and press *Add tags*. In code, `mlflow.MlflowClient().set_tag(run_id, name, value)` does it. Both
# count.

# %%
mlflow.set_experiment("hw-start-here-name")
if mlflow.search_runs(filter_string="attributes.run_name = 'mine'").empty:
    with mlflow.start_run(run_name="mine"):
        mlflow.log_metric("lectures", 22)

# %% tags=["task-2"]
### BEGIN SOLUTION
query = "attributes.run_name = 'mine'"
mine = mlflow.search_runs(experiment_names=["hw-start-here-name"], filter_string=query)
mlflow.MlflowClient().set_tag(mine["run_id"][0], "learner", "Ada")
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: read back into a file (2 points)
#
# Mira helps a friend at a clinic. The data is real and comes with scikit-learn: measurements of breast tumours, and
# whether each of them was malignant (1) or benign (0). The next cell logs three trees in the experiment
# `hw-start-here-trees`. Read them back with `mlflow.search_runs`, and write the table to the file `runs.csv` in the
# folder `store.outputs("hw-start-here")`. The file needs a row for each of the three, and these columns, named as
# `search_runs` names them: `tags.mlflow.runName`, `params.max_depth` and `metrics.valid_auc`. More columns do no harm,
# but do not round: the file should hold the scores as the store has them. A table has the method `to_csv(path)`.

# %%
X = data.bundled("breast_cancer")
y = (X.pop("target") == 0).astype(float)  # 0 is malignant in this table
X_train, X_valid, y_train, y_valid = train_test_split(
    X, y, test_size=0.3, stratify=y, random_state=data.course_seed()
)

mlflow.set_experiment("hw-start-here-trees")
for depth in (1, 2, 5):
    with mlflow.start_run(run_name=f"depth-{depth}"):
        mlflow.log_param("max_depth", depth)
        tree = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(X_train, y_train)
        mlflow.log_metric("valid_auc", roc_auc_score(y_valid, tree.predict_proba(X_valid)[:, 1]))

# %% tags=["task-3"]
### BEGIN SOLUTION
table = mlflow.search_runs(experiment_names=["hw-start-here-trees"])
columns = ["tags.mlflow.runName", "params.max_depth", "metrics.valid_auc"]
table[columns].to_csv(store.outputs("hw-start-here") / "runs.csv", index=False)
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: a run that is not true (2 points)
#
# Jonas has logged the run `jonas` in the experiment `hw-start-here-clinic`. He fitted a tree on the training rows, with
# `random_state=0`; then he changed the depth, and logged without fitting again. So his run says `max_depth` 6, but its
# `valid_auc` is that of a tree of **another depth, from 1 to 5**. The next cell logs his run; the depth is drawn by chance, so
# that the code does not tell it.
#
# Find out which depth he really used. Then make a run called `corrected` in the same experiment, with the parameter
# `max_depth` and the metric `valid_auc`: the score of Jonas's run, not rounded, and the depth of the tree that has it.
# Leave the run `jonas` as it is: the check compares yours with it. (In your own work you would delete it.) The rows are
# those of Task 3, made again, so that you can begin here.

# %%
X = data.bundled("breast_cancer")
y = (X.pop("target") == 0).astype(float)  # 0 is malignant in this table
X_train, X_valid, y_train, y_valid = train_test_split(
    X, y, test_size=0.3, stratify=y, random_state=data.course_seed()
)

mlflow.set_experiment("hw-start-here-clinic")
depth = random.Random(data.course_seed()).randint(1, 5)
tree = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(X_train, y_train)
depth = 6
with mlflow.start_run(run_name="jonas"):
    mlflow.log_param("max_depth", depth)
    mlflow.log_metric("valid_auc", roc_auc_score(y_valid, tree.predict_proba(X_valid)[:, 1]))
del tree

# %% tags=["task-4"]
### BEGIN SOLUTION
jonas = mlflow.search_runs(filter_string="attributes.run_name = 'jonas'", max_results=1)
seen = jonas["metrics.valid_auc"][0]

for d in range(1, 6):
    model = DecisionTreeClassifier(max_depth=d, random_state=0).fit(X_train, y_train)
    auc = roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1])
    if abs(auc - seen) < 1e-9:
        with mlflow.start_run(run_name="corrected"):
            mlflow.log_param("max_depth", model.get_params()["max_depth"])
            mlflow.log_metric("valid_auc", auc)
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: eight trees and a winner (no points)
#
# On the rows of Task 3 again: in the experiment `hw-start-here-best`, log one run for each `max_depth` from 1 to 8
# (`random_state=0`, fitted on the training rows), called `depth-1` to `depth-8`, with the parameter `max_depth` and the metric
# `valid_auc`. Then give the run with the highest `valid_auc` the tag `best` with the value `yes`, and no other run. If two
# depths share the highest value, tag one of them.

# %%
X = data.bundled("breast_cancer")
y = (X.pop("target") == 0).astype(float)  # 0 is malignant in this table
X_train, X_valid, y_train, y_valid = train_test_split(
    X, y, test_size=0.3, stratify=y, random_state=data.course_seed()
)

# %% tags=["task-5"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-start-here-best")
for d in range(1, 9):
    with mlflow.start_run(run_name=f"depth-{d}"):
        mlflow.log_param("max_depth", d)
        model = DecisionTreeClassifier(max_depth=d, random_state=0).fit(X_train, y_train)
        auc = roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1])
        mlflow.log_metric("valid_auc", auc)

newest = mlflow.search_runs(max_results=8)
winner = newest["metrics.valid_auc"].idxmax()
mlflow.MlflowClient().set_tag(newest["run_id"][winner], "best", "yes")
### END SOLUTION

# %%
hw.check(5)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** Each task left something outside this notebook: a run, a tag, a file. That is all a check looks at. In Task
# 4 the score was the trace that led back to the depth: every other thing about the tree was known (rows, `random_state`), so
# five trees were enough to try. With one more unknown setting nobody could have found it, which is why all settings belong
# into the record. Asking the tree for its depth keeps the parameter true even when somebody changes a cell above.
