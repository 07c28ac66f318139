# %% [markdown]
# # Homework: watch a model, and replace it
#
# **30 minutes · 4 tasks and a stretch · 9 points.** Run every cell as often as you like: a check reads your *latest*
# run. Below each task stands `hw.check(n)`; when you are stuck, add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import mlflow
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("monitoring")
client = mlflow.MlflowClient()
seed = data.course_seed()
spring = data.churn_split(1200, seed)
features = list(spring.X_train)
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %%
def new_model():
    """Return the churn pipeline, not fitted yet."""
    words = OneHotEncoder(handle_unknown="ignore")
    encode = make_column_transformer(
        (words, ["contract", "internet", "payment"]), remainder=StandardScaler()
    )
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
# The PSI as the lecture wrote it, and a shorter gate: it needs a champion, and it logs into the experiment that is set
# when you call it. They are yours to read and to call; leave them as they are.

# %%
def psi(then, now, bins=10):
    if pd.api.types.is_numeric_dtype(then) and then.nunique() > bins:
        edges = np.unique(then.quantile(np.arange(1, bins) / bins))
        then, now = np.searchsorted(edges, then), np.searchsorted(edges, now)
    shares = [pd.Series(v).value_counts(normalize=True) for v in (then, now)]
    p, q = pd.concat(shares, axis=1).fillna(0).clip(1e-4).to_numpy().T
    return float(((q - p) * np.log(q / p)).sum())


# %%
def gate(name, version, rows, by, why):
    """Judge a version on rows with labels; move `champion` when its gain is above chance."""
    champion = client.get_registered_model(name).aliases.get("champion")
    if str(champion) == str(version):
        raise ValueError(f"version {version} is the champion already")
    y = rows["churned"].to_numpy()
    old, new = (
        mlflow.sklearn.load_model(f"models:/{name}/{v}").predict_proba(rows[features])[:, 1]
        for v in (champion, version)
    )
    draws = np.random.default_rng(0).integers(len(y), size=(300, len(y)))
    gains = [roc_auc_score(y[i], new[i]) - roc_auc_score(y[i], old[i]) for i in draws]
    low = np.quantile(gains, 0.025)
    decision = "promoted" if low > 0 else "refused"
    with mlflow.start_run(run_name=f"gate-v{version}", tags={"by": by, "why": why}):
        scores = {"auc": roc_auc_score(y, new), "auc_champion": roc_auc_score(y, old)}
        mlflow.log_metrics(scores | {"gain_low": low})
        mlflow.set_tags({"model": name, "version": version, "decision": decision})
        if decision == "promoted":  # inside: when this call fails, the run says FAILED
            client.set_registered_model_alias(name, "champion", str(version))
    return decision

# %% [markdown]
# ## Task 1: log predictions with their inputs (2 points)
#
# Score week 1 of `prices` with `model`. In the experiment `hw-monitoring-service`, make a run `week-01` with the parameter
# `week` and a table `predictions.json`: the columns in `features`, and `probability`, the probability to churn.

# %% tags=["task-1"]
week_1 = prices.query("week == 1")[features]
mlflow.set_experiment("hw-monitoring-service")
### BEGIN SOLUTION
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
# `monthly_charges` of the week with `spring.X_train`: log the metrics `psi` and `ks` (the KS *distance*, from
# `stats.ks_2samp`), and the tag `alert`, `yes` when this PSI is above 0.25, else `no`. Add the metric `psi_prediction`,
# the PSI of what `model` answers: its probability of churn for the rows of the week, against that for `spring.X_train`.
# (`psi` takes pandas Series: `pd.Series(model.predict_proba(…)[:, 1])`.)

# %% tags=["task-2"]
then = spring.X_train["monthly_charges"]
mlflow.set_experiment("hw-monitoring-drift")
### BEGIN SOLUTION
said = pd.Series(model.predict_proba(spring.X_train)[:, 1])
for week, rows in prices.groupby("week"):
    now = rows["monthly_charges"]
    says = pd.Series(model.predict_proba(rows[features])[:, 1])
    with mlflow.start_run(run_name=f"week-{week:02d}"):
        drift = psi(then, now)
        mlflow.log_metrics({"psi": drift, "ks": stats.ks_2samp(then, now).statistic})
        mlflow.log_metric("psi_prediction", psi(said, says))
        mlflow.set_tag("alert", "yes" if drift > 0.25 else "no")
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: delayed labels, and an alert (2 points)
#
# Now `rules`. In the experiment `hw-monitoring-scores`, make a run `label-scores` that logs the metric `roc_auc` of
# `model` with one point for each week whose labels are known today (the step is the week). The alert rule: two weeks in
# a row below `limit`. Set the tag `alert_week` to the week whose score makes it fire, not to the later one in which that
# score is known.

# %% tags=["task-3"]
today, label_delay = 8, 2
limit = roc_auc_score(spring.y_test, model.predict_proba(spring.X_test)[:, 1]) - 0.1
mlflow.set_experiment("hw-monitoring-scores")
### BEGIN SOLUTION
scores = {}
with mlflow.start_run(run_name="label-scores"):
    for week, rows in rules.groupby("week"):
        if week <= today - label_delay:
            p = model.predict_proba(rows[features])[:, 1]
            scores[week] = roc_auc_score(rows["churned"], p)
            mlflow.log_metric("roc_auc", scores[week], step=week)
    alerts = [w for w in scores if w > 1 and max(scores[w - 1], scores[w]) < limit]
    mlflow.set_tag("alert_week", alerts[0])
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: retrain, and through the gate (3 points)
#
# The given lines register `model` as the champion of `hw-monitoring-churn` and choose rows of `rules` from after the change:
# `recent` to train on, `held_out` for the gate. Fit a `new_model()` on `recent`, log and register it under
# `hw-monitoring-churn`, and give the new version to `gate`. The gate's record belongs to the experiment
# `hw-monitoring-gate`; only the gate moves the alias.

# %% tags=["task-4"]
if client.search_registered_models("name = 'hw-monitoring-churn'"):
    client.delete_registered_model("hw-monitoring-churn")  # a clean start for every try
mlflow.set_experiment("hw-monitoring-models")
first_model = store.log_model(model, "spring", spring.X_train)
mlflow.register_model(first_model.model_uri, "hw-monitoring-churn")
client.set_registered_model_alias("hw-monitoring-churn", "champion", "1")
recent, held_out = rules.query("3 <= week <= 4"), rules.query("5 <= week <= 6")
### BEGIN SOLUTION
new = new_model().fit(recent[features], recent["churned"])
address = store.log_model(new, "retrained", recent[features]).model_uri
version = mlflow.register_model(address, "hw-monitoring-churn").version

mlflow.set_experiment("hw-monitoring-gate")
why = "two weeks below the limit"
print(gate("hw-monitoring-churn", version, held_out, by="Mira", why=why))
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: a category (no points)
#
# In the experiment `hw-monitoring-category`, make a run `internet` that compares `internet` of week 8 of `prices` with
# week 1 (the reference) by chi-square (`stats.chi2_contingency` of the table of counts, one column for each week): log
# the metrics `cramers_v`, which is `sqrt(statistic / n)` with `n` the number of rows of both weeks, and `p`.

# %% tags=["task-5"]
first, last = (prices.query("week == @week")["internet"] for week in (1, 8))
mlflow.set_experiment("hw-monitoring-category")
### BEGIN SOLUTION
with mlflow.start_run(run_name="internet"):
    counts = pd.concat([first.value_counts(), last.value_counts()], axis=1).fillna(0)
    found = stats.chi2_contingency(counts)
    cramers_v = (found.statistic / counts.to_numpy().sum()) ** 0.5
    mlflow.log_metrics({"cramers_v": cramers_v, "p": found.pvalue})
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
