# %% [markdown]
# # Comparing runs
#
# **Which of these runs is the best, by how much, and how do you get an earlier one back?**
#
# We will build fifteen forests, put questions about them to the store, draw how their settings act together, and bring
# back a forest of last Monday. Folded parts marked *More* can wait.
#
# Afterwards you can
# - **query** runs with a filter, an order and a limit, and **say** what a filter cannot express;
# - **compare** runs in a table with the winner marked and in two plots, and **export** the table;
# - **judge** a winner: by how much it leads, on the same rows, and on the test rows in the end;
# - **restore** an earlier run: its model, its settings, or the run itself.
#
# **You need:** [MLflow basics]({step:mlflow_basics}) and [Logging]({step:logging}).
#
# **Time:** 18 min to read · 18 min to do. After *Look at the UI* is a good place for a pause.
#
# <!-- links -->
#
# ## Recall
#
# One question on an earlier lecture. Click an answer; each of them replies.

# %%
from course_utils import lesson

lesson.quiz("comparing_runs", "recall")

# %% [markdown]
# ## The problem
#
# Mira has trained forests all week. On Friday Aisha, who has to run one of them in production, asks three things.
# Which one is the best? By how much is it better? And can she have Monday's forest with 50 trees again, whose list of
# customers is in use at customer care?
#
# She could scroll through the runs, but next Friday there will be forty. The store can answer such questions itself,
# when you put a **query** to it, which has three parts:
#
# - a **filter**: which runs?
# - an **order**: which of them first?
# - a **limit**: how many?
#
# You can put it in Python, in the UI, and over **REST**, which means web addresses that programs in any language can
# ask. All three understand the same filter and order:

# %% tags=["hide-input"] jupyter={"source_hidden": true}
from course_utils import plots

boxes = {
    "python": (1.0, 2.7, "Python\nsearch_runs"),
    "ui": (1.0, 1.5, "MLflow UI\nsearch field, Sort"),
    "rest": (1.0, 0.3, "other programs\nREST"),
    "query": (4.6, 1.5, "the query\nfilter, order, limit"),
    "active": (8.4, 2.2, "active runs\nwhat you see"),
    "trash": (8.4, 0.8, "trash\ndeleted runs"),
}
arrows = [
    ("python", "query", ""),
    ("ui", "query", ""),
    ("rest", "query", ""),
    ("query", "active", "by default"),
    ("query", "trash", "when you\nask for it"),
]
title = "Three ways to put the same query to the store"
plots.show(plots.diagram(boxes, arrows, title=title))

# %% [markdown]
# ## Setup

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

from course_utils import data, serving, store

uri = store.connect(own=True)  # as before, and never a team's server
client = mlflow.MlflowClient()
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# Attempts are compared on **validation rows**, and the test rows stay closed until a choice has been made. Scores can
# be compared only when they were measured on the same rows. So each run records its validation rows. The filter
# `comparable`, in nearly every query below, keeps the runs that list *these* rows (by their digest, a short
# fingerprint) and came to their end.

# %%
split = data.churn_split(n_rows, seed, numeric=True)
X_fit, X_valid, y_fit, y_valid = train_test_split(
    split.X_train,
    split.y_train,
    test_size=0.3,
    stratify=split.y_train,
    random_state=seed,
)
valid_rows = mlflow.data.from_pandas(
    X_valid.assign(churned=y_valid), targets="churned", name="churn-valid"
)
judged_here = f"datasets.digest = '{valid_rows.digest}'"
comparable = f"{judged_here} and attributes.status = 'FINISHED'"
experiment = mlflow.set_experiment("compare-forests")

# %% [markdown]
# ## Round 1: five runs and a winner
#
# When one run logs `depth` and another `max_depth`, no query can compare the two. So all runs go through one function.
#
# Before it trains anything, the function asks the store whether this forest is there already, so you may run the cells
# as often as you like. It compares only validation rows and two settings: if you change anything else in `train`, begin
# a new experiment, or you get the old scores.

# %%
def auc(model, X, y):
    return roc_auc_score(y, model.predict_proba(X)[:, 1])

# %%
def train(trees, depth, keep_model=False):
    settings = {"n_estimators": trees, "max_depth": depth, "random_state": seed}
    known = f"params.n_estimators = '{trees}' and params.max_depth = '{depth}'"
    if not mlflow.search_runs(filter_string=f"{comparable} and {known}").empty:
        return
    with mlflow.start_run(run_name=f"trees-{trees}-depth-{depth}"):
        forest = RandomForestClassifier(**settings).fit(X_fit, y_fit)
        mlflow.log_params(settings | {"n_rows": n_rows, "data_seed": seed})
        mlflow.log_input(valid_rows, context="validation")
        scores = {"train_auc": auc(forest, X_fit, y_fit)}
        mlflow.log_metrics(scores | {"valid_auc": auc(forest, X_valid, y_valid)})
        if keep_model:  # the lines of MLflow basics in one call
            store.log_model(forest, "forest", X_fit)


# %% [markdown]
# The forest with 50 trees keeps its model. The others keep only their settings; Round 4 shows what that is enough for.
#
# **Predict.** Five forests of depth 5, with 50, 100, 150, 200 and 250 trees. Which of them is best on the training
# rows, and which on the validation rows: the same one?

# %%
prediction = "?"  # the same or different ones

# %%
for trees in range(50, 251, 50):
    train(trees, depth=5, keep_model=(trees == 50))

five = mlflow.search_runs(
    filter_string=f"{comparable} and params.max_depth = '5'",
    order_by=["metrics.valid_auc DESC"],
)
five = five.set_index("tags.mlflow.runName")
lead = five["metrics.valid_auc"].iloc[0] - five["metrics.valid_auc"].iloc[1]
print(f"{len(five)} runs; {five.index[0]} is ahead by {lead:.4f}")

# %% tags=["claims"]
CHANGES = [{"n_rows": 1000}, {"seed": 3}]

assert len(five) == 5
assert five["metrics.valid_auc"].is_monotonic_decreasing
assert five["metrics.train_auc"].idxmax() != five.index[0]
assert (five["metrics.train_auc"] > five["metrics.valid_auc"]).all()
spread = five["metrics.valid_auc"].max() - five["metrics.valid_auc"].min()
assert n_rows < 2000 or spread < 0.01
assert lead < 0.01
assert (n_rows, seed) != (2000, 0) or (round(lead, 4), len(X_valid)) == (0.0006, 450)

# %% [markdown]
# `search_runs` looked into the current experiment and returned a DataFrame with one row for each run. The order is
# ascending unless you write `DESC`: without it the *worst* run would be on top.
#
# For a meeting, turn the table round: one column for each run, with a star on the winner of each metric. `to_csv`
# makes a file of it that opens in a spreadsheet.
#
# <details class="more"><summary>More: no order, and all columns as a file</summary>
#
# Without any `order_by`, the newest run comes first.
#
# For *all* columns of an experiment there is a command. It asks the store that the variable `MLFLOW_TRACKING_URI`
# names:
#
# ```
# mlflow experiments csv -x <experiment id> -o runs.csv
# ```
#
# </details>

# %%
columns = ["params.n_estimators", "params.max_depth"]
metrics = ["metrics.train_auc", "metrics.valid_auc"]
five[columns + metrics].to_csv(store.outputs("comparing_runs") / "five_forests.csv")

side_by_side = five[columns + metrics].T.astype(object).rename_axis(columns=None)
for metric in metrics:
    best = five[metric].max()
    side_by_side.loc[metric] = [
        f"{value:.3f} ★" if value == best else f"{value:.3f}" for value in five[metric]
    ]
side_by_side

# %% [markdown]
# You should see two stars in two different columns: the forest that knows the training rows best is not the one that
# judges new customers best. You should also see how *close* the five are on the validation rows. With 2,000 customers,
# less than 0.01 lies between the first and the last.
#
# So do not say "250 trees are best". Say "with seed 0, 250 trees are ahead by 0.0006 on 450 customers".
#
# ## Round 2: a filter for every question
#
# Would deeper or shallower trees be better? Ten more runs vary the depth, and then we ask for *some* of the fifteen:
#
# | what you ask about | how it is compared | example |
# |---|---|---|
# | a metric | with a number | `metrics.valid_auc > 0.72` |
# | a parameter or tag | with quoted text | `params.max_depth = '10'` |
# | an attribute | with quoted text; times with a number | `attributes.run_name LIKE '%-10'` |
# | a data set | with quoted text | `datasets.name LIKE 'churn%'` |
#
# An *attribute* is what MLflow itself notes of every run, such as its name and its status. In `LIKE`, `%` stands for
# any characters, also none. `AND` joins conditions. There is no `OR`, no `NOT` in front of a condition, and there are
# no brackets. Instead of an `OR`, ask twice, join the tables and drop repeated `run_id`s.
#
# <details class="more"><summary>More: the whole grammar of filters</summary>
#
# | what | is compared with | by |
# |---|---|---|
# | metric | a number | `=` `!=` `>` `>=` `<` `<=` |
# | parameter, tag | quoted text | `=` `!=` `LIKE` `ILIKE` `IS NULL` `IS NOT NULL` |
# | attribute `run_name`, `status`, `user_id`, `artifact_uri` | quoted text | `=` `!=` `LIKE` `ILIKE` |
# | attribute `start_time`, `end_time` | milliseconds since 1970 | as a metric: `attributes.start_time > 1700000000000` |
# | attribute `run_id` | quoted text, a list | as text, and `IN` `NOT IN`: `attributes.run_id IN ('…', '…')` |
# | data set: `name`, `digest`, `context` | quoted text, a list | as `run_id` |
#
# - In `LIKE`, `_` stands for exactly one character, so `'a_b'` also finds `aXb`. `ILIKE` does not care about capitals.
# - Elsewhere capitals count: `status = 'finished'` finds nothing.
# - `IS NULL` finds the runs that do not have a parameter or tag. For a metric, look for the gap in pandas.
# - A name with a blank or another unusual letter goes in backticks: `` metrics.`my score` > 0.5 ``.
# - Each condition on data sets may be met by another data set of the run. So `datasets.digest = '…' AND
#   datasets.context = 'validation'` also finds a run that *trained* on these rows and was judged on others;
#   `run.inputs.dataset_inputs` tells them apart.
#
# </details>
#
# **Predict.** A tree of depth 10 can ask ten questions in a row, one of depth 5 only five. How many of the five
# forests with depth 10 will beat the best of Round 1 on the validation rows?

# %%
prediction = "?"  # 0 to 5

# %%
for depth in (2, 10):
    for trees in range(50, 251, 50):
        train(trees, depth)

to_beat = five["metrics.valid_auc"].iloc[0]
deep = f"{comparable} AND params.max_depth = '10'"
better = mlflow.search_runs(filter_string=f"{deep} AND metrics.valid_auc > {to_beat}")
deepest = mlflow.search_runs(filter_string=deep)
print(f"{len(better)} of {len(deepest)} are better;", end=" ")
lowest = deepest["metrics.train_auc"].min()
print(f"the lowest train_auc of the {len(deepest)} is {lowest:.3f}")

# %% tags=["claims"]
assert n_rows < 2000 or len(better) == 0
assert lowest > 0.98
assert len(mlflow.search_runs(filter_string=comparable)) == 15
for refused in ("metrics.a > 1 OR metrics.b > 1", "NOT metrics.a > 1", "(run_id = '')"):
    try:
        mlflow.search_runs(filter_string=refused)
    except mlflow.MlflowException:
        continue
    raise AssertionError(refused)
for taken in (
    f"attributes.run_id IN ('{five.run_id.iloc[0]}')",
    f"datasets.digest IN ('{valid_rows.digest}')",
    f"{comparable} and datasets.context = 'validation' and datasets.name LIKE 'churn%'",
    f"{comparable} and attributes.start_time > 1700000000000",
    f"{comparable} and attributes.status ILIKE 'fin%'",
    f"{comparable} and attributes.run_id != 'x' and params.n_rows IS NOT NULL",
):
    assert len(mlflow.search_runs(filter_string=taken)), taken
misspelt = f"{comparable} and params.max_detph != '5'"
assert mlflow.search_runs(filter_string=misspelt).empty

# %% [markdown]
# With 2,000 customers you should see 0 of 5. All five reach more than 0.98 on the training rows: they have learned
# those customers by heart, which does not help with new ones.
#
# Two things about filters surprise nearly everybody:
#
# - A **misspelt parameter, tag or metric is no error**: no run has `params.max_detph = '10'`, so the answer is an empty
#   table.
# - `!=` finds only runs that *have* the parameter. For the others, ask for `IS NULL`.
#
# A query has a third part, its **limit**: `max_results=5` returns the first five runs of the order.

# %% [markdown]
# ### Answers in pages (can wait)
#
# How the client and REST return a long answer.

# %% [markdown]
# With the client or REST, `max_results` limits one **page**, which comes with a token for the next; only there you need
# this loop. In `mlflow.search_runs` it limits the whole answer.

# %%
sizes, token = [], None
while token or not sizes:
    page = client.search_runs(
        [experiment.experiment_id], comparable, max_results=6, page_token=token
    )
    sizes.append(len(page))
    token = page.token
print("runs on each page:", sizes)

# %% tags=["claims"]
assert sizes == [6, 6, 3]

# %% [markdown]
# ## Round 3: see all fifteen at once
#
# A table of fifteen rows says which run is on top, but hardly why. In **parallel coordinates** each run is one line,
# which passes its settings on its way to its score. The parameters are text in the store, so `to_numeric` makes
# numbers of them.

# %%
runs = mlflow.search_runs(filter_string=comparable)[columns + metrics]
runs = runs.apply(pd.to_numeric).rename(columns=lambda name: name.split(".")[1])
by_depth = runs.groupby("max_depth")["valid_auc"].mean()

high, low = by_depth.idxmax(), by_depth.idxmin()
title = f"On average, depth {high} is highest, depth {low} lowest"
axes = ["n_estimators", "max_depth", "train_auc"]
plots.show(plots.parallel_coordinates(runs.round(3), axes, "valid_auc", title=title))

# %% [markdown]
# Follow the lines from the axis `max_depth` to the right: each depth has its own bundle. A **contour plot** says the
# same as a map: two settings are its directions, and the score is the height.

# %%
grid = runs.pivot(index="max_depth", columns="n_estimators", values="valid_auc")
by_trees = runs.groupby("n_estimators")["valid_auc"].mean()
ranges = [means.max() - means.min() for means in (by_depth, by_trees)]
title = f"Depth moves the mean by {ranges[0]:.3f}, tree count by {ranges[1]:.3f}"

fig, ax = plots.new_figure()
filled = ax.contourf(grid.columns, grid.index, grid, levels=8, cmap="cividis_r")
ax.plot(runs["n_estimators"], runs["max_depth"], "wo", mec="black", clip_on=False)
fig.colorbar(filled, label="ROC-AUC on the validation rows (darker: higher)")
ax.set(xlabel="n_estimators (each dot is a run)", ylabel="max_depth")
ax.set_title(title, loc="left", weight="bold")
means = ", ".join(f"{mean:.3f} at depth {depth}" for depth, mean in by_depth.items())
plots.show(plots.describe(fig, f"Contour plot of valid_auc. {title}. Means: {means}."))

# %% tags=["claims"]
assert ranges[0] > 2 * ranges[1]
assert n_rows < 2000 or seed > 2 or (by_depth.idxmax(), by_depth.idxmin()) == (5, 10)

# %% [markdown]
# You should see bands that lie nearly level: going right, to more trees, changes less than going up or down, to
# another depth. So the next attempts should try other depths. Between the dots the map is a guess, because nothing was
# trained there.
#
# ### One run from the inside
#
# So far each run had one score. Of a curve, as in [Logging]({step:logging}), tables and queries show the point of the
# **highest step**. What does that do to a ranking?

# %%
mlflow.set_experiment("compare-boosting")
with mlflow.start_run(run_name="120-rounds") as boosted:
    booster = GradientBoostingClassifier(n_estimators=120, random_state=seed)
    booster.fit(X_fit, y_fit)
    now = int(time.time() * 1000)
    curve = [
        Metric("valid_auc", roc_auc_score(y_valid, p[:, 1]), now, step)
        for step, p in enumerate(booster.staged_predict_proba(X_valid), start=1)
    ]
    client.log_batch(boosted.info.run_id, metrics=curve)

# %%
mlflow.set_experiment(experiment.name)  # back to the forests
points = client.get_metric_history(boosted.info.run_id, "valid_auc")
history = pd.DataFrame([{"step": p.step, "valid_auc": p.value} for p in points])
peak = max(points, key=lambda point: point.value)
last = mlflow.get_run(boosted.info.run_id).data.metrics["valid_auc"]

title = f"Peak {peak.value:.3f} in round {peak.step}; the table shows {last:.3f}"
plots.show(plots.runs_line(history, "step", "valid_auc", title=title, xlabel="round"))

# %% tags=["claims"]
assert len(points) == 120
assert last == max(points, key=lambda point: point.step).value
assert peak.value > last + 0.01 and peak.step < 120

# %% [markdown]
# You should see a curve that climbs, and then sinks while the booster goes on learning its training rows. The table
# would rank this run by its last, lower point. To sort by the peak, log it as a metric of its own, such as
# `best_valid_auc`: MLflow cannot know whether high or low is good.
#
# ## Look at the UI
#
# Open the UI: *MLflow UI* among the links at the top, or the command under *Setup*. When a panel *MLflow Assistant*
# opens at the right, close it with its cross. Choose *Model training* at the top left.
#
# 1. **Filter.** Click *Experiments*, then `compare-forests`. Type `params.max_depth = '10'` into the search field
#    above the table and press Enter: five runs are left, and the column *Dataset* shows the digest of their rows. To
#    see all runs again, click the cross in the field (deleting the text alone does not do it), and then Escape.
# 2. **Compare.** Tick the box in the head of the table, left of *Run Name*, and press *Compare*. In the *Parallel
#    Coordinates Plot*, the parameters are chosen already; under *Metrics*, take out `train_auc` and choose
#    `valid_auc`. In the tab *Contour Plot*, choose `n_estimators`, `max_depth` and `valid_auc` for the three axes.
#    Here red is high.
# 3. **What differs.** Scroll down to *Parameters* and switch on *Show diff only*: what all runs share is hidden.
# 4. **Curve.** Click the arrow beside the name of the experiment, at the top left, then `compare-boosting`, the run
#    `120-rounds`, and *Model metrics*: the curve from above.
#
# ![The parallel coordinates of the fifteen forests with valid_auc, after step 2](../site/_static/comparing_runs_ui.png)
#
# ## Round 4: back to an earlier run
#
# Aisha's third question first. Monday's run, `trees-50-depth-5`, is found by this name, or by an id with
# `mlflow.get_run(id)`. Then there are two ways back to the forest: **fit it again** with the recorded settings, or
# **load** the model that the run kept.
#
# **Predict.** Which way gives exactly the recorded `valid_auc`, to the last digit: fitting again, loading, or both?

# %%
prediction = "?"  # fitting, loading or both


# %%
def fit_again(run):
    names = ("n_estimators", "max_depth", "random_state")
    settings = {name: int(run.data.params[name]) for name in names}
    return RandomForestClassifier(**settings).fit(X_fit, y_fit)

# %%
monday = mlflow.search_runs(
    filter_string=f"{comparable} and attributes.run_name = 'trees-50-depth-5'",
    output_format="list",  # runs as objects instead of a table
)[0]
model_id = monday.outputs.model_outputs[0].model_id
loaded = mlflow.sklearn.load_model(f"models:/{model_id}")

recorded = monday.data.metrics["valid_auc"]
print("fitted again:", auc(fit_again(monday), X_valid, y_valid) == recorded)
print("loaded:      ", auc(loaded, X_valid, y_valid) == recorded)

# %% tags=["claims"]
assert auc(fit_again(monday), X_valid, y_valid) == recorded
assert auc(loaded, X_valid, y_valid) == recorded
assert (loaded.predict(X_valid) == fit_again(monday).predict(X_valid)).all()

# %% [markdown]
# You should see `True` twice; if not, give *Setup* a new experiment name and run all again. Fitting again needs:
#
# - every setting that we chose, `random_state` too;
# - the same training rows;
# - the same scikit-learn, for the defaults of the rest; `n_jobs` can move the last digit.
#
# If one is missing, load the stored model, with the versions it lists.
#
# ### Open the test rows, once
#
# Now for Aisha's second question, by how much the winner is better. The choice is made: the first run of the query
# below. We fit the first five again and score them on the test rows, which none of them has seen. This only shows how
# far to trust a ranking; in earnest, score the winner alone.

# %%
top = mlflow.search_runs(
    filter_string=comparable,
    order_by=["metrics.valid_auc DESC"],
    max_results=5,
    output_format="list",
)
verdict = pd.DataFrame(
    {
        "valid_auc": [run.data.metrics["valid_auc"] for run in top],
        "test_auc": [auc(fit_again(run), split.X_test, split.y_test) for run in top],
    },
    index=[run.info.run_name for run in top],
)
verdict["gain"] = verdict["test_auc"] - verdict["valid_auc"]
verdict["place"] = verdict["test_auc"].rank(ascending=False).astype(int)
winner = top[0]
mlflow.log_metric("test_auc", verdict["test_auc"].iloc[0], run_id=winner.info.run_id)
verdict.round(3)

# %% tags=["claims"]
places = verdict["place"].tolist()
assert (n_rows, seed) != (2000, 0) or places[0] == 2
assert n_rows != 2000 or seed not in (1, 2) or places[0] == 1
assert n_rows != 2000 or seed not in (1, 2) or places != [1, 2, 3, 4, 5]
gain = verdict["gain"]
spread = verdict["valid_auc"].max() - verdict["valid_auc"].min()
assert (n_rows, seed) != (2000, 0) or (round(gain.min(), 3), round(gain.max(), 3)) == (0.034, 0.043)
assert (n_rows, seed) != (2000, 0) or gain.max() - gain.min() > 3 * spread
assert (n_rows, seed) != (2000, 3) or winner.data.params["max_depth"] == "2"

# %% [markdown]
# The column `place` ranks the five on the test rows. With 2,000 customers and seed 0, another forest is ahead there,
# and all five score higher (`gain`): these customers are easier. A lead of some thousandths depends on which customers
# happened to be drawn.
#
# <details class="more"><summary>More: other seeds, and the column gain</summary>
#
# With seed 1 or 2 the winner stays ahead on the test rows, but behind it some change places.
#
# With seed 0 the five do not gain alike: the gains go from 0.034 to 0.043. Between the first and the last on the
# validation rows there was less than a third of that difference, so their order may well be luck.
#
# </details>
#
# So Mira's honest answer is: "This forest was chosen on the validation rows, and its test score is in its record. I
# cannot show that it is better than the four behind it." Among forests so close Aisha could have taken the smallest;
# choosing now would be choosing by the test rows. [Evaluation]({step:evaluation}) tests whether a lead is real.

# %% [markdown]
# ## The same query over REST (can wait)
#
# For programs that are not written in Python, such as Tom's dashboard.

# %% [markdown]
# Tom's dashboard is not written in Python. It can ask a **tracking server**, a program that stands in front of the
# store and answers over HTTP. The line `mlflow server …` under *Setup* starts one, with the UI. The next cell starts
# one for a moment, and sends it the query.
#
# <details class="more"><summary>More: ask from a terminal, with curl</summary>
#
# While the server runs, go to the course folder in another terminal:
#
# ```
# curl -H "Content-Type: application/json" -d "@outputs/comparing_runs/query.json" \
#   http://127.0.0.1:5001/api/2.0/mlflow/runs/search
# ```
#
# The next cell writes the query into `query.json`, so run it first. On Windows, use the Command Prompt, and write the
# command in one line without `\`.
#
# </details>

# %%
import json

query = {
    "experiment_ids": [experiment.experiment_id],
    "filter": comparable,
    "order_by": ["metrics.valid_auc DESC"],
    "max_results": 1,
}
file = store.outputs("comparing_runs") / "query.json"
file.write_text(json.dumps(query), encoding="utf8")

with serving.tracking_server(uri) as address:
    url = f"{address}/api/2.0/mlflow/runs/search"
    answer = httpx.post(url, json=query, timeout=60)

run = answer.json()["runs"][0]
print("status", answer.status_code, "| best run:", run["info"]["run_name"])
print("the winner from above:", run["info"]["run_id"] == winner.info.run_id)

# %% tags=["claims"]
assert answer.status_code == 200 and run["info"]["run_id"] == winner.info.run_id
assert answer.json()["next_page_token"]

# %% [markdown]
# You should see status 200 and the winner. The answer is JSON, with `info` and `data`; in `data`, metrics and
# parameters are lists of `key` and `value`. A `next_page_token` says that there are more runs.

# %% [markdown]
# ## Your turn
#
# Of the forests with 100 trees, Tom wants to see the best one that does *not* have depth 5. Replace the three dots by
# **one line** that sets `wanted` to a filter for the two forests in question. The cell then takes the better of the
# two and gives it a tag. Run both cells.
#
# <details><summary>One solution</summary>
#
# `wanted = "params.n_estimators = '100' and params.max_depth != '5'"`
#
# </details>

# %% tags=["your-turn"]
wanted = "attributes.run_name = 'none yet'"
...

found = mlflow.search_runs(
    filter_string=f"{comparable} and {wanted}", order_by=["metrics.valid_auc DESC"]
)
for run_id in found.run_id[:1]:
    client.set_tag(run_id, "show_to", "Tom")

# %% tags=["your-turn-solution"]
wanted = "attributes.run_name = 'none yet'"
wanted = "params.n_estimators = '100' and params.max_depth != '5'"

found = mlflow.search_runs(
    filter_string=f"{comparable} and {wanted}", order_by=["metrics.valid_auc DESC"]
)
for run_id in found.run_id[:1]:
    client.set_tag(run_id, "show_to", "Tom")

# %%
tagged = mlflow.search_runs(filter_string=f"{comparable} and tags.show_to = 'Tom'")
others = runs[(runs["n_estimators"] == 100) & (runs["max_depth"] != 5)]
best_auc = others["valid_auc"].max()
hint = "a parameter is compared with quoted text; `and` joins two conditions."
solved = not tagged.empty and (tagged["metrics.valid_auc"] == best_auc).any()
lesson.turn(solved, hint)

# %% [markdown]
# ## Pitfalls
#
# Each has a code, which the homework uses as well.
#
# **`text-not-number`: a parameter was treated as a number.** Parameters are text. A filter refuses to compare text by
# size, but an order sorts it as in a dictionary, where 100 comes before 50. To repair it, make numbers of the column
# in pandas, as the last lines do.

# %%
try:
    mlflow.search_runs(filter_string="params.n_estimators > 100")
except mlflow.MlflowException as error:
    print("MLflow:", str(error).split(" for ")[0])

depth_5 = mlflow.search_runs(
    filter_string=f"{comparable} and params.max_depth = '5'",
    order_by=["params.n_estimators"],
)
print("sorted as text:", depth_5["params.n_estimators"].tolist())

depth_5["trees"] = pd.to_numeric(depth_5["params.n_estimators"])
more = depth_5[depth_5["trees"] > 100].sort_values("trees")
print("more than 100: ", more["trees"].tolist())

# %% tags=["claims"]
assert depth_5["params.n_estimators"].tolist() == ["100", "150", "200", "250", "50"]

# %% [markdown]
# **`failed-run-wins`: the best run never finished.** Unless you ask for the status, a query returns failed and open
# runs as well, and half a run can hold a number that is far too good. This one logs its score on the *training* rows,
# and then stops. The repair is the condition that `comparable` has held since *Setup*:

# %%
mlflow.set_experiment("compare-boosting")
try:
    with mlflow.start_run(run_name="broken"):
        mlflow.log_metric("valid_auc", 1.0)
        raise ValueError("the validation rows are missing")
except ValueError as error:
    print("Python:", error)

best_first = {"order_by": ["metrics.valid_auc DESC"], "max_results": 1}
print("best:", mlflow.search_runs(**best_first)["tags.mlflow.runName"][0])

ended = "attributes.status = 'FINISHED'"
finished = mlflow.search_runs(filter_string=ended, **best_first)
mlflow.set_experiment(experiment.name)  # back to the forests
print("best that came to its end:", finished["tags.mlflow.runName"][0])

# %% tags=["claims"]
boosting = {"experiment_names": ["compare-boosting"], **best_first}
assert mlflow.search_runs(**boosting)["tags.mlflow.runName"][0] == "broken"
assert finished["tags.mlflow.runName"][0] == "120-rounds"

# %% [markdown]
# **`run-deleted`: the winner is gone.** Somebody deleted a run. It is in no table and no query any more, so a worse
# run wins, without a word:

# %%
client.delete_run(winner.info.run_id)
left = mlflow.search_runs(filter_string=comparable)
print("found:", winner.info.run_id in set(left.run_id), "| runs left:", len(left))

# %% [markdown]
# To repair it, look into the **trash** and restore the run. The trash stays until somebody empties it for good with
# `mlflow gc` ([Tracking server]({step:tracking_server})).
#
# <details class="more"><summary>More: restoring a run in the UI</summary>
#
# In the table of runs, choose *Deleted* under *State: Active*, tick the run, press *Restore*, and confirm. As after
# `restore_run`, its id, its parameters and its metrics are what they were.
#
# </details>

# %%
deleted = ViewType.DELETED_ONLY
trash = mlflow.search_runs(filter_string=comparable, run_view_type=deleted)
print("in the trash:", winner.info.run_id in set(trash.run_id))
client.restore_run(winner.info.run_id)
left = mlflow.search_runs(filter_string=comparable)
print("found:", winner.info.run_id in set(left.run_id), "| runs left:", len(left))

# %% tags=["claims"]
assert len(left) == 15

# %% [markdown]
# ## In your own project
#
# The same work without any help from this course, on real data that comes with scikit-learn. Open *Show the script*,
# copy it into a file `compare.py` in an empty folder and run `python compare.py`. The first time, MLflow also reports
# that it makes its tables.
#
# The second time, it finds its four runs in the store and makes no new ones. After a change of `auc`, give the
# experiment a new name, or the old scores come back.

# %% tags=["own-project"]
"""A small search, asked about afterwards: python compare.py"""

import mlflow
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("my-comparison")
table = load_breast_cancer(as_frame=True).frame.astype(float)
rest, test = train_test_split(table, stratify=table["target"], random_state=0)
train, valid = train_test_split(rest, stratify=rest["target"], random_state=0)
rows = mlflow.data.from_pandas(valid, targets="target", name="cancer-valid")
good = f"datasets.digest = '{rows.digest}' and attributes.status = 'FINISHED'"


def auc(settings, judged_on):  # fits on the training rows, scores on others
    model = make_pipeline(StandardScaler(), LogisticRegression(**settings))
    model.fit(train.drop(columns="target"), train["target"])
    scores = model.predict_proba(judged_on.drop(columns="target"))[:, 1]
    return roc_auc_score(judged_on["target"], scores)


for C in (0.0001, 0.01, 1.0, 100.0):
    settings = {"C": C, "max_iter": 1000}
    same = "".join(f" and params.{k} = '{v}'" for k, v in settings.items())
    if mlflow.search_runs(filter_string=good + same).empty:
        with mlflow.start_run(run_name=f"C-{C}"):
            mlflow.log_params(settings | {"split_seed": 0})
            mlflow.log_input(rows, context="validation")
            mlflow.log_metric("valid_auc", auc(settings, valid))

runs = mlflow.search_runs(filter_string=good, order_by=["metrics.valid_auc DESC"])
runs.to_csv("runs.csv", index=False)
print(runs[["tags.mlflow.runName", "metrics.valid_auc"]])
winner = {"C": float(runs["params.C"][0]), "max_iter": int(runs["params.max_iter"][0])}
test_auc = auc(winner, test)  # once, after the choice
mlflow.log_metric("test_auc", test_auc, run_id=runs.run_id[0])
print("winner on the test rows:", round(test_auc, 4))

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("comparing_runs")

# %% [markdown]
# ## Key points
#
# - **How do you ask for runs?** With a filter (metrics as numbers, parameters as quoted text, joined by `AND`), an
#   order (`DESC` for the highest first) and a limit. Python, the UI and REST take the same query.
# - **What can a filter not say?** `OR`, brackets, and "more than 100" about a parameter. For these, go on in pandas. A
#   misspelt parameter gives no error, only no rows.
# - **How do you compare?** A table with the winner marked says *which*, parallel coordinates and a contour plot say
#   *why*. `to_csv` exports the table.
# - **Is the winner better?** Say by how much, on the same rows only, and look at the test rows once, after the choice.
#   A lead of some thousandths can turn round on other customers.
# - **How do you get a run back?** Load its model, or fit again from its settings and seed. `restore_run` brings back a
#   deleted run.
#
# ## Next steps
#
# - Do the [homework]({homework:comparing_runs}): a winner, a report, a rescue, and a comparison that was not fair.
# - Next lecture: [Autologging]({step:autolog}), what MLflow records without being asked.
# - Official page: [Search runs](https://mlflow.org/docs/latest/ml/search/search-runs/).
# - Optional depth: set `seed = 3` and run all again. Another depth wins now. Do its forests keep their order on the
#   test rows?
