# %% [markdown]
# # Comparing runs
#
# **Which of these runs is the best, and how do you get it back?**
#
# We will build fifteen forests for the churn team, ask the store which one wins, draw how the settings act together,
# and bring an earlier run back to life.
#
# Afterwards you can
# - **query** runs with a filter, an order and a limit, in Python and over REST;
# - **compare** them in a table with the winner marked and in two plots, and **export** the table;
# - **restore** an earlier run: its settings, its model, or the run itself from the trash.
#
# **You need:** lectures {step:mlflow_basics} and {step:logging}.
#
# **Time:** 13 min to read · 17 min to do
#
# <!-- links -->
#
# ## Recall

# %%
from course_utils import lesson

lesson.quiz("comparing_runs", "recall")

# %% [markdown]
# ## The problem
#
# Mira has trained forests all week. On Friday Aisha asks three things: which one shall run in production, what is it
# better *by*, and can she have Monday's forest again, because customer care liked Monday's list. A
# query answers all three.
#
# ## Setup
#
# Mira chooses by **validation rows**, which she takes from the training rows. The test rows stay untouched until a
# choice has been made: a number by which you choose is too good to be true afterwards. The loop puts the runs of an
# earlier pass of this notebook in the trash, so that you see your own numbers.

# %% tags=["parameters"]
seed = 0
n_rows = 2000

# %%
import time

import httpx
import mlflow
import pandas as pd
from mlflow.entities import Metric, ViewType
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from course_utils import data, plots, serving, store

# %%
uri = store.connect(own=True)  # a server of ours will show this store over REST
split = data.churn_split(n_rows, seed, numeric=True)
X_fit, X_valid, y_fit, y_valid = train_test_split(
    split.X_train, split.y_train, test_size=0.3, random_state=seed, stratify=split.y_train
)
experiment = mlflow.set_experiment("compare-forests")
for old in mlflow.search_runs(output_format="list"):
    mlflow.delete_run(old.info.run_id)
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Round 1: five runs and a winner
#
# Runs can be compared when they log **the same names**: the same parameters, the same metrics. A function sees to that.

# %%
def auc(model, X, y):
    return roc_auc_score(y, model.predict_proba(X)[:, 1])


# %%
def train(trees, depth=5, keep_model=False):
    settings = {"n_estimators": trees, "max_depth": depth, "random_state": seed}
    with mlflow.start_run(run_name=f"trees-{trees}-depth-{depth}"):
        forest = RandomForestClassifier(**settings).fit(X_fit, y_fit)
        mlflow.log_params(settings)
        mlflow.log_metrics({"train_auc": auc(forest, X_fit, y_fit), "valid_auc": auc(forest, X_valid, y_valid)})
        if keep_model:
            store.log_model(forest, "forest", X_fit)


# %% [markdown]
# **Predict.** Five forests: 50, 100, 150, 200 and 250 trees. Which has the highest `valid_auc`?

# %%
prediction = "?"  # 50, 100, 150, 200 or 250

# %%
for trees in range(50, 251, 50):
    train(trees, keep_model=True)

# %%
found = mlflow.search_runs(order_by=["metrics.valid_auc DESC"])
best = found.iloc[0]
print("type:", type(found).__name__, "| rows:", len(found))
print("best:", best["tags.mlflow.runName"], f"with valid_auc {best['metrics.valid_auc']:.3f}")

# %% [markdown]
# `search_runs` looks in the current experiment and returns a DataFrame, one row a run, with columns named `params.…`,
# `metrics.…`, `tags.…`. The order is ascending unless you write `DESC`: forget it, and `iloc[0]` is the worst run.
#
# Here they are side by side, one column a run, with a star on the winner of each metric. `store.runs` is `search_runs`
# with bare column names. The table goes into a CSV file too. For all columns of an experiment there is a command,
# `mlflow experiments csv -x <experiment id> -o runs.csv`.

# %%
columns = ["n_estimators", "max_depth", "train_auc", "valid_auc"]
five = store.runs("compare-forests", order_by=["metrics.valid_auc DESC"], columns=columns)
five.to_csv(store.outputs("05_comparing_runs") / "five_forests.csv")
side_by_side = five.T.astype(object)
for metric in ("train_auc", "valid_auc"):
    side_by_side.loc[metric] = [f"{v:.3f} ★" if v == five[metric].max() else f"{v:.3f}" for v in five[metric]]
side_by_side

# %% [markdown]
# You should see two different winners: the training rows flatter a forest that remembers them. And you should see how
# *close* the five are. A lead in the third digit may be luck of the split; lecture {step:nested_runs} shows how to tell.
#
# ## Round 2: a query on fifteen runs
#
# Ten more runs vary the depth too. A **filter** keeps the runs that you ask for:
#
# | compare | with | example |
# |---|---|---|
# | metric | a number | `metrics.valid_auc > 0.75` |
# | parameter, tag | quoted text | `params.max_depth = '10'`, `tags.team LIKE 'churn%'` |
# | attribute | text, or a time in milliseconds | `attributes.status = 'FINISHED'`, `attributes.run_name LIKE '%-5'` |
#
# `AND` joins conditions. `OR`, `NOT` before a condition and brackets around it are refused. `IS NULL` and `IS NOT NULL`
# ask whether a run has a parameter or tag; `IN` and `NOT IN` take a list of run ids. Odd names go in backticks.
#
# **Predict.** Of the five forests with depth 10, how many beat the winner of round 1?

# %%
predicted_count = 0  # your number, 0 to 5

# %%
for depth in (2, 10):
    for trees in range(50, 251, 50):
        train(trees, depth)

question = f"params.max_depth = '10' AND metrics.valid_auc > {best['metrics.valid_auc']}"
print("deep and better than round 1:", len(mlflow.search_runs(filter_string=question)))

client, pages, token = mlflow.MlflowClient(), [], None
while token or not pages:
    page = client.search_runs([experiment.experiment_id], max_results=6, page_token=token)
    pages.append(len(page))
    token = page.token
print("the client's answer comes in pages of", pages)

# %% [markdown]
# You should see that depth does not help: deep trees learn the training rows by heart. If the pages do not add up to
# 15, an earlier cell ran twice; start again from the top.
#
# `MlflowClient.search_runs` returns one **page** and a token for the next. `mlflow.search_runs` turns the pages for
# you.
#
# Fifteen rows are hard to read. **Parallel coordinates** show every run as a line through its settings to its result; a
# **contour plot** shows a metric as a landscape over two settings.

# %%
fifteen = store.runs("compare-forests", columns=columns).apply(pd.to_numeric).round(4)
depths = fifteen.groupby("max_depth")["valid_auc"].mean()
title = f"On average, depth {depths.idxmax()} ends highest and depth {depths.idxmin()} lowest"
plots.show(plots.parallel_coordinates(fifteen, columns[:3], color="valid_auc", title=title))

# %%
grid = fifteen.pivot(index="max_depth", columns="n_estimators", values="valid_auc")
fig, ax = plots.new_figure()
filled = ax.contourf(grid.columns, grid.index, grid, levels=8, cmap="cividis")
ax.plot(fifteen["n_estimators"], fifteen["max_depth"], "wo", markeredgecolor="black", clip_on=False)
fig.colorbar(filled, label="ROC-AUC on validation rows")
ax.set(xlabel="n_estimators (trees; dots are runs)", ylabel="max_depth (levels)")
ax.set_title(f"A ridge at depth {depths.idxmax()}; the number of trees matters less", loc="left", weight="bold")
means = ", ".join(f"{value:.3f} at depth {depth}" for depth, value in depths.items())
plots.show(plots.describe(fig, f"Contour plot of valid_auc over trees and depth. Mean: {means}."))

# %% [markdown]
# Between the dots the landscape is a guess: nothing was trained there.
#
# ## Look at the UI
#
# 1. With *Model training* chosen, open `compare-forests`. Type `params.max_depth = '10'` into the search box, and Enter.
# 2. Empty it, tick all runs (the box above them), press *Compare*. *Parallel Coordinates Plot* and *Contour Plot* are
#    tabs; choose the same axes as above. In the table below, *Show diff only* hides what all runs share.
# 3. Back in the experiment, the second symbol left of the search box draws ten runs; the eyes show others.
# 4. Click a run, then *Model metrics*: the history of each metric, which is next.
#
# ## Inside one run: the history of a metric
#
# A metric logged with `step` is a curve. The runs table, and every search, knows one of its values: that of the
# **highest step** (lecture {step:logging}), which need not be the best.

# %%
mlflow.set_experiment("compare-boosting")
with mlflow.start_run(run_name="120-rounds") as boosted:
    booster = GradientBoostingClassifier(n_estimators=120, random_state=seed).fit(X_fit, y_fit)
    aucs = [roc_auc_score(y_valid, probability[:, 1]) for probability in booster.staged_predict_proba(X_valid)]
    now = int(time.time() * 1000)
    curve = [Metric("valid_auc", value, now, step) for step, value in enumerate(aucs, start=1)]
    client.log_batch(boosted.info.run_id, metrics=curve)

points = client.get_metric_history(boosted.info.run_id, "valid_auc")
history = pd.DataFrame({"step": [p.step for p in points], "valid_auc": [p.value for p in points]})
peak = history.loc[history["valid_auc"].idxmax()]
last = mlflow.get_run(boosted.info.run_id).data.metrics["valid_auc"]
title = f"Peak {peak['valid_auc']:.3f} in round {peak['step']:.0f}; the runs table shows {last:.3f}, of the last round"
plots.show(plots.runs_line(history, "step", "valid_auc", title=title, xlabel="boosting round"))

# %% [markdown]
# So log the peak as a metric of its own (`best_valid_auc`) when you mean to sort by it.
#
# ## Round 3: back to an earlier run
#
# Customer care liked the list of the forest with 50 trees, whoever wins by ROC-AUC. Its run is found by name here; an
# id from a report works as well. There are two ways back: **fit again** with the stored settings, or **load** the
# stored model.
#
# **Predict.** Which way gives exactly the old `valid_auc`: fitting again, loading, or both?

# %%
prediction = "?"  # fitting, loading or both

# %%
mlflow.set_experiment("compare-forests")
(earlier,) = mlflow.search_runs(filter_string="run_name = 'trees-50-depth-5'", output_format="list")
settings = {name: int(text) for name, text in earlier.data.params.items()}
fitted_again = RandomForestClassifier(**settings).fit(X_fit, y_fit)
loaded = mlflow.sklearn.load_model(f"models:/{earlier.outputs.model_outputs[0].model_id}")

logged = earlier.data.metrics["valid_auc"]
print(f"logged value: {logged:.3f}")
print("fitted again, equal to the last digit:", auc(fitted_again, X_valid, y_valid) == logged)
print("loaded, equal to the last digit:", auc(loaded, X_valid, y_valid) == logged)
print("the same list of customers:", (loaded.predict(split.X_test) == fitted_again.predict(split.X_test)).all())

# %% [markdown]
# You should see three times True. Fitting again works because the run holds `random_state` too, and because the rows
# are the same. When data may have changed, load the model. If you see False, `seed` or `n_rows` changed after round 1.
#
# ## The same query over REST
#
# The dashboard of customer care is not written in Python. A **tracking server** answers the same question as JSON; the
# next cell starts one on this machine, asks twice and stops it.

# %%
body = {"experiment_ids": [experiment.experiment_id], "max_results": 1}
body |= {"filter": "params.max_depth = '5'", "order_by": ["metrics.valid_auc DESC"]}
with serving.tracking_server(uri) as address:
    url = f"{address}/api/2.0/mlflow/runs/search"
    answer = httpx.post(url, json=body, timeout=60)
    refused = httpx.post(url, json=body | {"filter": "params.max_depth > 5"}, timeout=60)

(top,) = answer.json()["runs"]
print(answer.status_code, top["info"]["run_name"], {m["key"]: round(m["value"], 3) for m in top["data"]["metrics"]})
print("the same run as in round 1:", top["info"]["run_id"] == best["run_id"])
print(refused.status_code, refused.json()["error_code"])

# %% [markdown]
# ## Your turn
#
# Write a filter between the quotes that finds the three runs with 250 trees. Then run both cells.
#
# <details><summary>One solution</summary>
#
# `query = "params.n_estimators = '250'"`
#
# </details>

# %%
query = ""

# %%
names = sorted(store.runs("compare-forests", query).index)
wanted = [f"trees-250-depth-{depth}" for depth in (10, 2, 5)]
lesson.turn(names == wanted, "a parameter is compared with quoted text: params.name = 'value'.")

# %% [markdown]
# ## Pitfalls
#
# **`text-not-number`: parameters are text.** A filter refuses to compare them as numbers, and an order sorts them as
# words. Repair: make numbers of them in pandas, then compare and sort.

# %%
with lesson.expect_error(mlflow.MlflowException, code="text-not-number"):
    mlflow.search_runs(filter_string="params.n_estimators > 100")
depth_5 = store.runs("compare-forests", "params.max_depth = '5'", order_by=["params.n_estimators ASC"])
print("as text:   ", depth_5["n_estimators"].tolist())
print("as numbers:", sorted(pd.to_numeric(depth_5["n_estimators"])))

# %% [markdown]
# **`failed-run-wins`: the best run never finished.** Searches return failed and open runs as well, and half a run may
# hold a number that is far too good. Here the check on the training rows comes first and the error second. Repair: ask
# for `FINISHED`.

# %%
with lesson.expect_error(ValueError), mlflow.start_run(run_name="broken"):
    mlflow.log_metric("valid_auc", 1.0)
    raise ValueError("the validation rows are missing")
for condition in ("", "attributes.status = 'FINISHED'"):
    winner = mlflow.search_runs(filter_string=condition, order_by=["metrics.valid_auc DESC"], max_results=1).iloc[0]
    print(f"{condition or 'no filter'}: {winner['tags.mlflow.runName']} wins")

# %% [markdown]
# **`run-deleted`: the winner is in the trash.** A deleted run is in no search, although its id still works. Repair:
# search the trash with `run_view_type`, and restore it. In the UI, *State: Active* above the runs table
# also offers *Deleted*; there, tick and *Restore*. The trash stays until somebody empties it with `mlflow gc` (lecture {step:tracking_server}).

# %%
mlflow.delete_run(best["run_id"])
trash = set(mlflow.search_runs(run_view_type=ViewType.DELETED_ONLY)["run_id"])
print("found:", best["run_id"] in set(mlflow.search_runs()["run_id"]), "| in the trash:", best["run_id"] in trash)
client.restore_run(best["run_id"])
print("found again:", best["run_id"] in set(mlflow.search_runs()["run_id"]))

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("comparing_runs")

# %% [markdown]
# ## Key points
#
# - `search_runs` takes a filter (metrics as numbers, parameters as quoted text, joined by `AND`), an order (`DESC` for
#   best first) and a limit; `/api/2.0/mlflow/runs/search` takes the same over REST.
# - A table with the winner marked says *which*; parallel coordinates and a contour plot say *why*; a metric's history
#   says *when*. `to_csv` exports what you see.
# - An earlier run comes back by its settings (seed included) or by its model, exactly. A deleted run comes back with
#   `restore_run`.
#
# ## Next steps
#
# - Do the [homework](../exercises/05_comparing_runs.ipynb): a winner, a report and a rescue.
# - Next lecture: what MLflow logs without being asked.
# - Official page: [Search runs](https://mlflow.org/docs/latest/ml/search/search-runs/).
# - Optional depth: set `seed = 1` in the parameters cell and run all again. Does the same forest win?
