# %% [markdown]
# # Homework 01: who does what, and what the data say
#
# **30 minutes · 4 tasks and a stretch · 8 points.** Run every cell as often as you like: a check reads your *latest*
# file in `outputs/hw-ml-workflow`. Below each task stands `hw.check(n)`; when you are stuck, add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import json

import numpy as np
import pandas as pd
from scipy import stats

from course_utils import data, store
from course_utils.homework import Homework

hw = Homework("ml_workflow")
store.connect()
folder = store.outputs("hw-ml-workflow")
customers = data.churn(1500, data.course_seed())
left, stayed = customers[customers["churned"] == 1], customers[customers["churned"] == 0]
print(f"{len(left)} customers left, {len(stayed)} stayed")

# %% [markdown]
# ## Task 1: name the stage (2 points)
#
# Nine notes from Nordtel's week; each belongs to another stage. The stages are called `collection`, `preparation`,
# `exploration`, `features`, `training`, `evaluation`, `deployment`, `monitoring`, `retraining`.
#
# | note | what happened |
# |---|---|
# | A | Mira fills empty tenure values with the median and drops customers that are listed twice. |
# | B | Every Monday a job compares last week's predictions with who really left. |
# | C | Jonas copies last night's contracts and calls out of the billing system. |
# | D | Mira measures ROC-AUC once, on customers that no model has seen, before anybody may use the model. |
# | E | From the call log Mira computes the calls of the last 30 days for each customer. |
# | F | The measure fell; the same code runs on the last three months, and the result must beat the model in use. |
# | G | Mira tests whether customers with a monthly contract leave more often than others. |
# | H | Aisha puts the model behind an address that the call centre asks. |
# | I | Mira compares sixteen settings of a logistic regression by cross-validation and keeps the best. |
#
# Write `outputs/hw-ml-workflow/stages.csv` with the columns `note` and `stage`, one row a note.

# %% tags=["task-1"]
### BEGIN SOLUTION
stages = {
    "A": "preparation",
    "B": "monitoring",
    "C": "collection",
    "D": "evaluation",
    "E": "features",
    "F": "retraining",
    "G": "exploration",
    "H": "deployment",
    "I": "training",
}
pd.Series(stages, name="stage").rename_axis("note").to_csv(folder / "stages.csv")
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: who takes it? (2 points)
#
# The roles are `data engineer`, `data scientist`, `ML engineer` and `governance officer`. Write
# `outputs/hw-ml-workflow/roles.csv` with the columns `ticket` and `role`.
#
# | ticket | to do |
# |---|---|
# | 1 | The service answers in two seconds instead of a tenth: bring it back. |
# | 2 | May the model use the age of customers? Write down the decision and its reason. |
# | 3 | The nightly job that delivers the customer table stopped halfway: mend it. |
# | 4 | Is recall or ROC-AUC the right measure for Tom's list? Decide it from his costs. |
# | 5 | Go back to last week's version of the model tonight. |
# | 6 | Billing changes charges from euro to cent: agree on the format of the table. |

# %% tags=["task-2"]
### BEGIN SOLUTION
roles = {
    1: "ML engineer",
    2: "governance officer",
    3: "data engineer",
    4: "data scientist",
    5: "ML engineer",
    6: "data engineer",
}
pd.Series(roles, name="role").rename_axis("ticket").to_csv(folder / "roles.csv")
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: a t-test, and what it means (2 points)
#
# Compare those who `left` with those who `stayed`, in this order, by Welch's t-test (two-sided), for `tenure_months`,
# `monthly_charges` and `paperless`. Write `outputs/hw-ml-workflow/t_tests.csv` with one row a feature and the columns
#
# - `feature`, `t`, `p`;
# - `d`: Cohen's d, the difference of means (left minus stayed) divided by the root of the mean of both variances;
# - `verdict` at 0.05: leavers have `more`, `less`, or `not shown`.

# %% tags=["task-3"]
### BEGIN SOLUTION
rows = []
for feature in ("tenure_months", "monthly_charges", "paperless"):
    test = stats.ttest_ind(left[feature], stayed[feature], equal_var=False)
    spread = np.sqrt((left[feature].var() + stayed[feature].var()) / 2)
    d = (left[feature].mean() - stayed[feature].mean()) / spread
    verdict = "not shown" if test.pvalue >= 0.05 else "more" if d > 0 else "less"
    rows.append({"feature": feature, "t": test.statistic, "p": test.pvalue, "d": d, "verdict": verdict})
pd.DataFrame(rows).to_csv(folder / "t_tests.csv", index=False)
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: chi-square, and which feature weighs most (2 points)
#
# Test `contract`, `internet` and `payment` against `churned`. Write `outputs/hw-ml-workflow/chi_square.csv` with the columns
# `feature`, `chi2`, `p`, `V` (Cramér's V) and `strongest`: `yes` for the feature with the largest effect, `no` for the
# others.

# %% tags=["task-4"]
### BEGIN SOLUTION
rows = []
for feature in ("contract", "internet", "payment"):
    counts = pd.crosstab(customers[feature], customers["churned"])
    test = stats.chi2_contingency(counts)
    V = stats.contingency.association(counts, method="cramer")
    rows.append({"feature": feature, "chi2": test.statistic, "p": test.pvalue, "V": V})
table = pd.DataFrame(rows)
table["strongest"] = np.where(table["V"] == table["V"].max(), "yes", "no")
table.to_csv(folder / "chi_square.csv", index=False)
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: a hundred questions (no points)
#
# `candidates` has four real columns and 96 of pure noise. Which differ between leavers and stayers (Welch, two-sided)
# when you allow for asking a hundred times? Write their names as a JSON list to `outputs/hw-ml-workflow/survivors.json`.
# Bonferroni's limit will do.

# %%
names = ["tenure_months", "monthly_charges", "support_calls", "data_gb"]
noise = np.random.default_rng(data.course_seed()).normal(size=(len(customers), 96))
candidates = pd.concat([customers[names], pd.DataFrame(noise).add_prefix("noise_")], axis=1)
print(candidates.shape[1], "columns")

# %% tags=["task-5"]
### BEGIN SOLUTION
leaver = customers["churned"] == 1
p_values = stats.ttest_ind(candidates[leaver], candidates[~leaver], equal_var=False).pvalue
survivors = candidates.columns[p_values < 0.05 / len(p_values)].tolist()
(folder / "survivors.json").write_text(json.dumps(survivors))
### END SOLUTION

# %%
hw.check(5)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** A stage is known by its question, not by its tool: D and B compute the same measure, one before the
# model is used and one while it is used. A verdict needs p, d needs no verdict: a difference can be real and small, or
# large and not shown with few customers. And p alone gets small with every customer you add, which is why the strongest
# feature is chosen by V.
