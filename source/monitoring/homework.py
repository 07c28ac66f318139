# %% [markdown]
# # Homework 12: watch a model, and replace it
#
# **30 minutes · 4 tasks and a stretch · 9 points.** Run every cell as often as you like: a check reads your *latest*
# run. Below each task stands `hw.check(n)`; when you are stuck, add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import mlflow
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from course_utils import data, monitoring, registry, store
from course_utils.homework import Homework

store.connect()
hw = Homework("monitoring")
seed = data.course_seed()
spring = data.churn_split(1200, seed)
features = list(spring.X_train)
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")


# %%
def new_model():
    """Return the churn pipeline, not fitted yet."""
    encode = make_column_transformer((OneHotEncoder(), ["contract", "internet", "payment"]), remainder=StandardScaler())
    return make_pipeline(encode, LogisticRegression(max_iter=300))


model = new_model().fit(spring.X_train, spring.y_train)

# %% [markdown]
# Eight weeks of customers. In `prices` the inputs change in some week; in `rules` the rule behind churn does. Labels
# are known two weeks late, and **today is week 8**.

# %%
prices = data.churn_stream(8, 300, drift_week=4 + seed % 2, kind="data", seed=seed + 7)
rules = data.churn_stream(8, 500, drift_week=3, kind="concept", seed=seed + 7)
print(prices.groupby("week")["monthly_charges"].mean().round(1).head(2).to_dict())

# %% [markdown]
# ## Task 1: log predictions with their inputs (2 points)
#
# Score week 1 of `prices` with `model`. In the experiment `hw-monitoring-service`, make a run `week-01` with the parameter
# `week` and a table `predictions.json`: the columns in `features`, and `probability`, the probability to churn.

# %% tags=["task-1"]
week_1 = prices.query("week == 1")[features]
### BEGIN SOLUTION
mlflow.set_experiment("hw-monitoring-service")
with mlflow.start_run(run_name="week-01"):
    mlflow.log_param("week", 1)
    scored = week_1.assign(probability=model.predict_proba(week_1)[:, 1])
    mlflow.log_table(scored, "predictions.json")
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: drift by week (2 points)
#
# For every week of `prices`, make a run `week-01` … `week-08` in the experiment `hw-monitoring-drift`. Compare
# `monthly_charges` of the week with `spring.X_train`: log the metrics `psi` and `ks` (the KS *distance*), and the tag
# `alert`, `yes` when the PSI is above 0.25, else `no`.

# %% tags=["task-2"]
then = spring.X_train["monthly_charges"]
### BEGIN SOLUTION
mlflow.set_experiment("hw-monitoring-drift")
for week, rows in prices.groupby("week"):
    now = rows["monthly_charges"]
    with mlflow.start_run(run_name=f"week-{week:02d}"):
        psi = monitoring.psi(then, now)
        mlflow.log_metrics({"psi": psi, "ks": monitoring.ks(then, now)[0]})
        mlflow.set_tag("alert", "yes" if psi > 0.25 else "no")
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: delayed labels, and an alert (2 points)
#
# Now `rules`. In the experiment `hw-monitoring-scores`, make a run `week-8` that logs the metric `roc_auc` of `model` with one
# point for each week whose labels are known today (the step is the week). The alert rule: two weeks in a row below
# `limit`. Set the tag `alert_week` to the week in which it fires.

# %% tags=["task-3"]
today, label_delay = 8, 2
limit = roc_auc_score(spring.y_test, model.predict_proba(spring.X_test)[:, 1]) - 0.1
### BEGIN SOLUTION
import pandas as pd

mlflow.set_experiment("hw-monitoring-scores")
scores = {}
with mlflow.start_run(run_name="week-8"):
    for week, rows in rules.groupby("week"):
        if week <= today - label_delay:
            scores[week] = roc_auc_score(rows["churned"], model.predict_proba(rows[features])[:, 1])
            mlflow.log_metric("roc_auc", scores[week], step=week)
    mlflow.set_tag("alert_week", monitoring.first_alert(pd.Series(scores), limit, above=False))
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: retrain, and through the gate (3 points)
#
# The given lines register `model` as the champion of `hw-monitoring-churn` and choose rows of `rules` from after the change:
# `recent` to train on, `held_out` for the gate. Fit a `new_model()` on `recent`, log and register it under
# `hw-monitoring-churn`, and give it to `registry.promote`. The gate's record belongs to the experiment `hw-monitoring-gate`.

# %% tags=["task-4"]
registry.fresh("hw-monitoring-churn")
mlflow.set_experiment("hw-monitoring-models")
mlflow.register_model(store.log_model(model, "spring", spring.X_train).model_uri, "hw-monitoring-churn")
mlflow.MlflowClient().set_registered_model_alias("hw-monitoring-churn", "champion", 1)
recent, held_out = rules.query("3 <= week <= 4"), rules.query("5 <= week <= 6")
### BEGIN SOLUTION
new = new_model().fit(recent[features], recent["churned"])
address = store.log_model(new, "retrained", recent[features]).model_uri
version = mlflow.register_model(address, "hw-monitoring-churn").version

mlflow.set_experiment("hw-monitoring-gate")
why = "two weeks below the limit"
print(registry.promote("hw-monitoring-churn", version, held_out[features], held_out["churned"], by="Mira", why=why))
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: a category (no points)
#
# In the experiment `hw-monitoring-category`, make a run `internet` that compares `internet` of week 8 of `prices` with week 1
# (the reference) by chi-square: log the metrics `cramers_v` and `p`.

# %% tags=["task-5"]
first, last = (prices.query("week == @week")["internet"] for week in (1, 8))
### BEGIN SOLUTION
mlflow.set_experiment("hw-monitoring-category")
with mlflow.start_run(run_name="internet"):
    cramers_v, p = monitoring.chi_square(first, last)
    mlflow.log_metrics({"cramers_v": cramers_v, "p": p})
### END SOLUTION

# %%
hw.check(5)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** A logged table lets you ask questions next month that nobody has today. Inputs speak at once, labels
# late, so there are two alerts and two decisions. The gate asks rows of the new world, because that is where the model
# will work.
