# %% [markdown]
# # Monitoring: drift, delayed labels, and when to retrain
#
# **The service answers every night. How do we notice that its answers have become wrong?**
#
# We will build a monitoring experiment for two regions: predictions logged with their inputs, drift of every feature by
# week, scores as labels arrive, an alert, a retrained model, and its way through the gate.
#
# Afterwards you can
# - **log** predictions with their inputs, so that every week can be judged later;
# - **measure** the drift of a feature with PSI, KS and chi-square, and **explain** what these cannot see;
# - **decide** by a rule whether to retrain, and **promote** the new model through a gate on rows of the new world.
#
# **You need:** lectures {step:logging} and {step:model_registry}.
#
# **Time:** 14 min to read · 20 min to do
#
# <!-- links -->

# %% [markdown]
# ## Recall

# %%
from course_utils import lesson

lesson.quiz("monitoring", "recall")

# %% [markdown]
# ## The problem
#
# Mira's model was trained in spring and serves two regions. Then two things happen, and nobody tells her. In the
# North, Jonas' tables show higher prices and more fiber. In the South, a new contract lets everybody leave at any
# time, and a new hotline solves what used to annoy.
#
# **Data drift**: the *inputs* change, the rule behind churn stays (North). **Concept drift**: the *rule* changes, the
# inputs stay (South). They look different, and they ask for different answers.
#
# ```text
# predictions + inputs ──> drift of inputs (today) ─────────┐
#         └── labels, two weeks later ──> scores ──> alert ─┴─> decide ──> retrain ──> gate ──> @champion
# ```
#
# ## Setup
#
# Both changes are *simulated* by `data.churn_stream`: from `drift_week` on, one thing is different for good.
#
# Each region has a registered model. The first champion goes through the gate of lecture {step:model_registry}, now `registry.promote`;
# its record goes to an experiment of its own.

# %% tags=["parameters"]
seed = 0
rows_per_week = 400
drift_week = 6
label_delay = 2  # weeks until we know who left

# %%
import mlflow
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from course_utils import data, evaluation, monitoring, plots, registry, store

store.connect()
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %%
spring = data.churn_split(2400, seed)
features = list(spring.X_train)
kinds = {"north": "data", "south": "concept"}
streams = {r: data.churn_stream(12, rows_per_week, drift_week, kind, seed + 100) for r, kind in kinds.items()}


def train(X, y, name):
    """Fit the churn pipeline, log it in a run of its own, return its address."""
    encode = make_column_transformer((OneHotEncoder(), ["contract", "internet", "payment"]), remainder=StandardScaler())
    model = make_pipeline(encode, LogisticRegression(max_iter=500)).fit(X, y)
    mlflow.set_experiment("monitoring-training")
    with mlflow.start_run(run_name=name):
        return store.log_model(model, "churn", X).model_uri


# %%
spring_uri = train(spring.X_train, spring.y_train, "spring")
mlflow.set_experiment("monitoring-gate")
for region in streams:
    registry.fresh(f"churn-monitoring-{region}")
    mlflow.register_model(spring_uri, f"churn-monitoring-{region}")
    signed = {"by": "Mira", "why": "first model of the year"}
    print(region, registry.promote(f"churn-monitoring-{region}", 1, spring.X_test, spring.y_test, **signed))

# %% [markdown]
# ## Round 1: log predictions with their inputs
#
# A prediction alone cannot be judged later. So the nightly job logs the inputs, the probability, and the version that
# gave it: one run a week and region, with a table as its artifact.

# %%
weeks = {}


def serve(region, week):
    """Score one week with the region's champion; log inputs, probabilities and the version that gave them."""
    rows = streams[region].query("week == @week")[features]
    champion = mlflow.MlflowClient().get_model_version_by_alias(f"churn-monitoring-{region}", "champion")
    model = mlflow.sklearn.load_model(f"models:/{champion.name}/{champion.version}")
    with mlflow.start_run(run_name=f"{region}-{week:02d}") as run:
        mlflow.log_params({"region": region, "week": week, "version": champion.version})
        scored = rows.assign(probability=model.predict_proba(rows)[:, 1])
        mlflow.log_table(scored, "predictions.parquet")
    weeks[region, week] = run.info.run_id


# %%
today = 9
mlflow.set_experiment("monitoring-monitoring")
for region in streams:
    for week in range(1, today + 1):
        serve(region, week)

logged = mlflow.load_table("predictions.parquet", run_ids=[weeks["north", 1]])
logged[["tenure_months", "monthly_charges", "contract", "probability"]].head(3).round(3)

# %% [markdown]
# Everything below reads these tables, as Aisha would next month, on another machine.
#
# ## Round 2: drift of the inputs
#
# The **population stability index** (PSI) cuts a feature into ten bins that hold equal numbers of spring's rows, and
# asks how the shares moved: `sum((now - then) * ln(now / then))`. By a rule of thumb, below 0.1 is
# stable, above 0.25 has shifted. Once by hand:

# %%
then, now = spring.X_train["monthly_charges"], logged["monthly_charges"]
edges = [-float("inf"), *then.quantile([i / 10 for i in range(1, 10)]), float("inf")]
p, q = (pd.cut(values, edges).value_counts(normalize=True, sort=False).to_numpy() for values in (then, now))

print(f"by hand {((q - p) * np.log(q / p)).sum():.4f}, by the helper {monitoring.psi(then, now):.4f}")

# %% [markdown]
# Two tests stand beside it. **KS** is the largest gap between two cumulative distributions, for numbers. **Chi-square**
# compares counts of categories; Cramér's V brings it to 0 … 1.
#
# **Predict.** Prices rise in the North, and fiber spreads. Which of the nine features will drift?

# %%
prediction = []  # names of features


# %%
def drift_of(region, until):
    """Return PSI, distance and p of every feature and week, from the logged tables; log each PSI to its week's run."""
    names = [(region, week) for week in range(1, until + 1)]
    tables = [mlflow.load_table("predictions.parquet", run_ids=[weeks[n]]).assign(week=n[1]) for n in names]
    drift = monitoring.by_window(spring.X_train, pd.concat(tables), features=features)
    for name in names:
        values = drift["psi"].xs(name[1], level="week").add_prefix("psi_")
        mlflow.log_metrics(values.to_dict(), run_id=weeks[name])
    return drift


north = drift_of("north", today)
psi = north["psi"].unstack(sort=False)
title = f"North: {', '.join(psi.index[psi.iloc[:, -1] > 0.1])} drift from week {drift_week} on"
plots.show(plots.heat_map(psi, title=title, xlabel="week", ylabel="feature", value="PSI against spring", limit=0.1))

# %% [markdown]
# You should see two features framed: their prices and their internet type are no longer those of spring. All others
# stay below 0.1. If everything is framed, you compare with the wrong reference, for example with a tenth of the rows.
#
# The tests tell the same story. Now the South, where the *rule* changes in the same week.
#
# **Predict.** In which week will the drift of the South's inputs show?

# %%
prediction = "?"  # a week, or never

# %%
south = drift_of("south", today)
both = pd.concat({"north": north, "south": south}, names=["region"]).set_index("test", append=True)
distances = both["distance"].unstack("week", sort=False)
distances.index = [f"{region}: {feature} ({test})" for region, feature, test in distances.index]
title = "KS and chi-square: the North changed, the South did not"
value = "KS distance or Cramér's V (0 to 1)"
plots.show(plots.heat_map(distances, title=title, xlabel="week", ylabel="feature (test)", value=value, limit=0.1))

# %% [markdown]
# You should see nothing in the South: its inputs are those of spring. No measure of inputs can see that the rule has
# changed. Only labels can.
#
# ## Round 3: delayed labels, an alert, a decision
#
# Who left is known after `label_delay` weeks, so today's scores end that many weeks ago. They join the run of their own
# week, late: `log_metrics` takes a `run_id`.


# %%
def score(region, week):
    """Log accuracy and ROC-AUC of a week whose labels have arrived."""
    labels = streams[region].query("week == @week")["churned"].to_numpy()
    p = mlflow.load_table("predictions.parquet", run_ids=[weeks[region, week]])["probability"]
    found = {name: value for name, value in evaluation.scores(labels, p).items() if name in ("accuracy", "roc_auc")}
    mlflow.log_metrics(found, run_id=weeks[region, week])
    return {"region": region, "week": week, **found}


known = today - label_delay
scores = pd.DataFrame([score(region, week) for region in streams for week in range(1, known + 1)])
table = scores.pivot(index="week", columns="region", values="roc_auc")
table.round(3)

# %% [markdown]
# The **alert rule**: two weeks in a row beyond a limit. One week alone may be chance; a real drift stays. For scores
# the limit is the held-out score of spring, less 0.1; for inputs, a PSI of 0.1.

# %%
limit = registry.held_out_auc(spring_uri, spring.X_test, spring.y_test) - 0.1
alerts = {
    region: {
        "inputs alert in week": monitoring.first_alert(drift["psi"].groupby("week").max(), 0.1),
        "scores alert in week": monitoring.first_alert(table[region], limit, above=False),
    }
    for region, drift in (("north", north), ("south", south))
}
pd.DataFrame(alerts).T.astype("Int64")

# %% [markdown]
# | inputs | scores | decision |
# |---|---|---|
# | alert | fine | look at it, tell Tom; no retraining (North) |
# | quiet | alert | the rule has changed: retrain on weeks of the new world (South) |
# | alert | alert | find the cause first: is it the world, or a broken feed? |
#
# Retrain for the South: on weeks since the change whose labels are known. A third of these rows stays aside, for the
# gate.
#
# **Predict.** Spring's model was trained on far more rows. Will the gate let the new one through?

# %%
prediction = "?"  # promoted or refused

# %%
new_world = streams["south"].query("@drift_week <= week <= @known")
recent, held_out = train_test_split(new_world, test_size=1 / 3, stratify=new_world["churned"], random_state=seed)
print(f"trained on {len(spring.X_train)} rows of spring, now on {len(recent)} of the new world")
uri = train(recent[features], recent["churned"], "south-retrained")
new = mlflow.register_model(uri, "churn-monitoring-south")

mlflow.set_experiment("monitoring-gate")
gate_rows = held_out[features], held_out["churned"]
print(registry.promote("churn-monitoring-south", new.version, *gate_rows, by="Mira", why="score alert in the South"))
registry.versions("churn-monitoring-south", "gate")

# %% [markdown]
# You should see `promoted`: few rows of the right world beat many of the wrong one. The service goes on with the same
# line. Two weeks later the labels say whether the decision was right.

# %%
mlflow.set_experiment("monitoring-monitoring")
for week in range(today + 1, 13):
    serve("south", week)

served = pd.DataFrame([score("south", week) for week in range(1, 13)]).rename(columns={"roc_auc": "as served"})
served["without retraining"] = [
    registry.held_out_auc(spring_uri, rows[features], rows["churned"]) for _, rows in streams["south"].groupby("week")
]
after = served["as served"].iloc[today:].mean()
title = f"From week {today + 1} on, the new champion brings the South back to {after:.2f}"
plots.show(plots.runs_line(served, "week", ["as served", "without retraining"], title=title, ylabel="ROC-AUC"))

# %% [markdown]
# ## Look at the UI
#
# 1. With *Model training* chosen at the top left, open the experiment `monitoring-monitoring`: one run a week and
#    region. Type `params.region = 'south'` into the search box and press Enter.
# 2. Open *Columns*, tick `roc_auc` and `psi_monthly_charges`, then click each of the new headers to sort: the lowest
#    scores are those of the changed weeks, the PSI values are all small.
# 3. Open one run, *Artifacts*: `predictions.parquet`, inputs and probabilities, to download.
#
# ## Your turn
#
# Does the North's price drift only mean that there are more fiber customers, who pay more? Replace the three dots by
# the PSI of `monthly_charges` between spring's fiber customers, `a`, and the North's, `b`.
#
# <details><summary>One solution</summary>
#
# `value = monitoring.psi(a, b)`
#
# </details>

# %%
a = spring.X_train.query("internet == 'fiber'")["monthly_charges"]
b = streams["north"].query("internet == 'fiber' and week >= @drift_week")["monthly_charges"]
value = ...

# %%
lesson.turn(value is not ... and value > 0.25, "monitoring.psi takes the reference first, then the rows of now.")

# %% [markdown]
# ## Pitfalls
#
# **`accuracy-not-auc`: the accuracy looks fine.** In the South fewer customers leave now, so a model that ranks like a
# coin still gets most answers right. So does the sentence "nobody leaves". Watch a score that ranks.

# %%
last = scores.query("region == 'south' and week == @known").iloc[0]
nobody = 1 - streams["south"].query("week == @known")["churned"].mean()
print(f"accuracy {last['accuracy']:.3f}, of 'nobody leaves' {nobody:.3f}, ROC-AUC {last['roc_auc']:.3f}")

# %% [markdown]
# **`stale-holdout`: the gate asks the old world.** On spring's test rows the new model loses, and a gate that uses them
# refuses the cure. Repair: hold out rows from after the change, as above.

# %%
for name, X, y in (("spring's rows", spring.X_test, spring.y_test), ("new rows", *gate_rows)):
    scored = [registry.held_out_auc(f"models:/churn-monitoring-south/{version}", X, y) for version in (1, new.version)]
    print(f"{name}: old {scored[0]:.3f}, new {scored[1]:.3f}")

# %% [markdown]
# **`p-not-distance`: an alarm for every small p.** Nine features in many weeks are many tests, and one in twenty is
# below 0.05 by chance. The inputs of the South never changed:

# %%
print(f"{len(south)} tests of inputs that never changed: {(south['p'] < 0.05).sum()} have p < 0.05")
print(f"largest distance: {south['distance'].max():.3f}")

# %% [markdown]
# Repair: a limit for the *size* of the drift, and two windows in a row.
#
# ## Quiz

# %%
lesson.quiz("monitoring")

# %% [markdown]
# ## Key points
#
# - Log inputs, probability and version together; drift, scores and the alert are computed from that table, in an
#   experiment of their own.
# - PSI, KS and chi-square compare inputs with the training rows. They see data drift at once and concept drift never;
#   that takes labels, which come late.
# - A rule decides (a size, two windows in a row), a model is retrained on rows of the new world, and the gate judges on
#   held-out rows of the new world.
#
# ## Next steps
#
# - Do the [homework](../exercises/12_monitoring.ipynb): log, measure, decide, retrain.
# - Next lecture: from one file to a team's server.
# - Official page: [MLflow model evaluation](https://mlflow.org/docs/latest/ml/evaluation/).
# - Optional depth: set `rows_per_week` to 60 and run again. What happens to PSI where nothing drifts?
