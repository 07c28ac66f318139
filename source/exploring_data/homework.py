# %% [markdown]
# # Homework: exploring data
#
# **20 minutes · 3 tasks and a stretch · 6 points.** The tasks are independent of each other. Run every cell as often as you
# like: a check reads what is in the store, and your *latest* run counts. When you are stuck, add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import mlflow

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("exploring_data")

# %% [markdown]
# ## Task 1: tumours (2 points)
#
# In the experiment `hw-exploring-data-tumours`, make a run called `share`. Record the number of rows as the parameter `n_rows`, and
# the share of rows whose label is 1 as the metric `share`.

# %%
tumours = data.bundled("breast_cancer")["target"]

# %% tags=["task-1"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-exploring-data-tumours")
with mlflow.start_run(run_name="share"):
    mlflow.log_param("n_rows", len(tumours))
    mlflow.log_metric("share", (tumours == 1).mean())
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: wines (2 points)
#
# The same for the wines, in the experiment `hw-exploring-data-wines`: a run `share` with `n_rows`, and with the share of label 1.

# %%
wines = data.bundled("wine")["target"]

# %% tags=["task-2"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-exploring-data-wines")
with mlflow.start_run(run_name="share"):
    mlflow.log_param("n_rows", len(wines))
    mlflow.log_metric("share", (wines == 1).mean())
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: digits (2 points)
#
# The same for the handwritten digits, in the experiment `hw-exploring-data-digits`: a run `share` with `n_rows`, and with the share
# of the digit 1.

# %%
digits = data.bundled("digits")["target"]

# %% tags=["task-3"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-exploring-data-digits")
with mlflow.start_run(run_name="share"):
    mlflow.log_param("n_rows", len(digits))
    mlflow.log_metric("share", (digits == 1).mean())
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Stretch: wines again (no points)
#
# The same in the experiment `hw-exploring-data-again`, for all wines.

# %%
again = data.bundled("wine")["target"]

# %% tags=["task-4"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-exploring-data-again")
with mlflow.start_run(run_name="share"):
    mlflow.log_param("n_rows", len(again))
    mlflow.log_metric("share", (again == 1).mean())
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** The number of rows is a parameter, because it was there before the result. The mean of a column of
# True and False is the share of True.
