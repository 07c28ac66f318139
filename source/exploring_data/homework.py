# %% [markdown]
# # Homework: exploring data
#
# **30 minutes · 4 tasks and a stretch · 8 points.** The tasks are independent of each other. Run every cell as often as you
# like: a check reads the files and the store, and your *latest* file or run counts. Below each task stands `hw.check(n)`;
# when you are stuck, add a cell with `hw.hint(n)`. Files go into the folder `folder`, which is `outputs/hw-exploring-data`.
#
# <!-- links -->

# %%
import json

import mlflow
import numpy as np
import pandas as pd
from scipy import stats

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("exploring_data")
folder = store.outputs("hw-exploring-data")
seed = data.course_seed()

customers = data.churn(1500, seed)
left, stayed = customers[customers["churned"] == 1], customers[customers["churned"] == 0]
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Task 1: a dirty delivery (2 points)
#
# A change of scene: 178 wines, real data that comes with scikit-learn. `delivery` holds one row for each bottle, except that
# - some bottles were delivered twice, with the same number in `bottle`;
# - some values of `alcohol` are in per mille, ten times as high as the others, which are in percent;
# - some values of `malic_acid` are missing.
#
# Write `clean.csv` into `folder`: every bottle **once**, `alcohol` in **percent** in every row, the gaps left as they are (a
# pipeline will fill them), all columns under their names, all other values unchanged.

# %%
rng = np.random.default_rng(seed)
delivery = data.bundled("wine").rename(columns={"target": "kind"})
delivery.insert(0, "bottle", np.arange(1, len(delivery) + 1))
delivery.loc[rng.choice(len(delivery), 8, replace=False), "alcohol"] *= 10
delivery.loc[rng.choice(len(delivery), 12, replace=False), "malic_acid"] = np.nan
delivery = pd.concat([delivery, delivery.sample(9, random_state=seed)], ignore_index=True)
delivery[["bottle", "alcohol", "malic_acid", "kind"]].describe().round(1)

# %% tags=["task-1"]
### BEGIN SOLUTION
clean = delivery.drop_duplicates("bottle").copy()
per_mille = clean["alcohol"] > 50
clean.loc[per_mille, "alcohol"] /= 10
clean.to_csv(folder / "clean.csv", index=False)
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: three columns, three tests (2 points)
#
# Compare those who `left` with those who `stayed`, always in this order, in the columns `data_gb` (an amount),
# `support_calls` (a count) and `paperless` (yes or no). Use the test that the lecture gives for this meaning. Write
# `tests.csv` into `folder` with three rows, one for each of these three columns, and with the columns
# - `column`: which one was tested;
# - `test`: `welch`, `mann-whitney` or `chi-square`;
# - `p`: its *p*, not rounded, for a difference in either direction;
# - `effect`: its effect size.
#   - For an amount: Cohen's d, which is the mean of `left` minus that of `stayed`, divided by the root of the mean of both
#     variances. Take pandas' `var()`, which divides by n - 1.
#   - For a count: the share of pairs in which the leaver has more, a tie counting half.
#   - For a kind: Cramér's V as `stats.contingency.association` gives it.

# %% tags=["task-2"]
### BEGIN SOLUTION
a, b = left["data_gb"], stayed["data_gb"]
d = (a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2)
rows = [("data_gb", "welch", stats.ttest_ind(a, b, equal_var=False).pvalue, d)]

a, b = left["support_calls"], stayed["support_calls"]
test = stats.mannwhitneyu(a, b)
rows.append(("support_calls", "mann-whitney", test.pvalue, test.statistic / (len(a) * len(b))))

counts = pd.crosstab(customers["paperless"], customers["churned"])
V = stats.contingency.association(counts, method="cramer")
rows.append(("paperless", "chi-square", stats.chi2_contingency(counts).pvalue, V))

tests = pd.DataFrame(rows, columns=["column", "test", "p", "effect"])
tests.to_csv(folder / "tests.csv", index=False)
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: a hundred questions (2 points)
#
# `candidates` has four real columns and 96 of pure noise. Which of them differ between leavers and stayers (Welch's test)
# when you allow for having asked a hundred times, with Bonferroni's limit? (Welch for all hundred, to keep it to one line;
# by the lecture's rule, `support_calls` would get Mann–Whitney.) Write their names as a JSON list into
# `survivors.json` in `folder`: for a Python list `found`, `(folder / "survivors.json").write_text(json.dumps(found))` does
# it.

# %%
names = ["tenure_months", "monthly_charges", "support_calls", "data_gb"]
noise = np.random.default_rng(seed).normal(size=(len(customers), 96))
candidates = pd.concat([customers[names], pd.DataFrame(noise).add_prefix("noise_")], axis=1)
print(candidates.shape[1], "columns")

# %% tags=["task-3"]
### BEGIN SOLUTION
leaver = customers["churned"] == 1
p_values = stats.ttest_ind(candidates[leaver], candidates[~leaver], equal_var=False).pvalue
survivors = candidates.columns[p_values < 0.05 / len(p_values)].tolist()
(folder / "survivors.json").write_text(json.dumps(survivors))
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: what has drifted? (2 points)
#
# `stream` has 500 customers in each of eight weeks. With week 5 something changed. Which of the three amounts
# `tenure_months`, `monthly_charges` and `data_gb` has moved most, and how far?
#
# In the experiment `hw-exploring-data-drift`, make a run called `drift` with
# - the parameter `column`: the name of the amount that has moved most, by the size of Cohen's d;
# - the metric `d`: its Cohen's d, weeks 5 to 8 minus weeks 1 to 4, computed as in Task 2.

# %%
stream = data.churn_stream(n_weeks=8, rows_per_week=500, drift_week=5, kind="data", seed=seed)

# %% tags=["task-4"]
mlflow.set_experiment("hw-exploring-data-drift")
### BEGIN SOLUTION
late, early = stream[stream["week"] >= 5], stream[stream["week"] < 5]
d_of = {}
for name in ("tenure_months", "monthly_charges", "data_gb"):
    spread = np.sqrt((late[name].var() + early[name].var()) / 2)
    d_of[name] = (late[name].mean() - early[name].mean()) / spread
moved = max(d_of, key=lambda name: abs(d_of[name]))

with mlflow.start_run(run_name="drift"):
    mlflow.log_param("column", moved)
    mlflow.log_metric("d", d_of[moved])
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: the strongest of thirty (no points)
#
# `tumours` holds 30 measurements of 569 tumours and whether each is malignant. In the experiment
# `hw-exploring-data-tumours`, make a run called `strongest` with the parameter `column` and the metric `d`: the measurement
# with the largest Cohen's d in size, malignant minus benign, and its d, computed as in Task 2.

# %%
tumours = data.bundled("breast_cancer")
malignant = tumours.pop("target") == 0

# %% tags=["task-5"]
mlflow.set_experiment("hw-exploring-data-tumours")
### BEGIN SOLUTION
a, b = tumours[malignant], tumours[~malignant]
all_d = (a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2)
strongest = all_d.abs().idxmax()
with mlflow.start_run(run_name="strongest"):
    mlflow.log_param("column", strongest)
    mlflow.log_metric("d", all_d[strongest])
### END SOLUTION

# %%
hw.check(5)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** A wrong unit can be told from a rare value, because all of the suspicious values are ten times an ordinary
# one; so they are converted, and no bottle is lost. `paperless` is stored as 0 and 1, but it means yes or no, so it is
# counted. Among a hundred questions about five come out by chance, hence the stricter limit. And a drift is measured by
# an effect size, since with thousands of customers *p* is small for every trifle.
