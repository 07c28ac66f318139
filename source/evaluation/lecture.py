# %% [markdown]
# # Evaluation
#
# **How good is this model, on whom, and is it really better than the other one?**
#
# We will build three models for the churn team, and hang every score on the model *and* on its rows. Then we look at
# customers whom the average hides, and find out whether a lead is more than luck. Folded parts marked *More* can wait.
#
# Afterwards you can
# - **attach** a score to a model and a data set, also for a part of the customers;
# - **rank** models by their scores on the same rows;
# - **evaluate** a stored model, with a metric of your own and a limit that it must reach;
# - **compare** two models, and say how sure the difference is.
#
# **You need:** [MLflow basics]({step:mlflow_basics}), [Logging]({step:logging}) and
# [Comparing runs]({step:comparing_runs}).
#
# **Time:** 17 min to read · 17 min to do
#
# <!-- links -->

# %% [markdown]
# ## Recall
#
# One question on an earlier lecture. Click an answer; each of them replies.

# %%
from course_utils import lesson

lesson.quiz("evaluation", "recall")

# %% [markdown]
# ## The problem
#
# Nordtel's app for customer care uses a model called `logistic`. Mira has trained a forest that may replace it. On
# Wednesday Aisha, who runs the app, opens the forest's run and reads `roc_auc` 0.87. Mira's slide says 0.73. An hour
# later Tom, who leads customer care, asks: "Does it also find the customers who leave, but have hardly ever called us?"
#
# Both numbers are correct. One was measured on the customers that the forest had learned from, the other on new ones.
# But a run shows one number under one name, so it cannot say which is which. And nobody has a number for Tom's
# customers.
#
# A score is about two things: a **model**, and the **rows** on which it was measured. So it should hang on both:

# %% tags=["hide-input"] jupyter={"source_hidden": true}
from course_utils import plots

boxes = {
    "run": (1.0, 2.4, "run\nit trained or\nmeasured"),
    "model": (4.6, 2.4, "logged model\nforest, with an\nid of its own"),
    "score": (4.6, 0.6, "metric\nroc_auc\n0.73"),
    "rows": (8.4, 0.6, "data set\nname and digest"),
}
arrows = [
    ("run", "model", "made"),
    ("run", "score", "logged"),
    ("score", "model", "is about"),
    ("score", "rows", "measured\non"),
]
title = "A score that says of which model, and on which rows"
plots.show(plots.diagram(boxes, arrows, title=title))

# %% [markdown]
# In MLflow 3, a model that you log is more than files in a run. It is a **logged model**, an entry of its own in the
# store, with an id, and with metrics of its own. Each of these metrics can name the data set that it belongs to.
#
# ## Setup

# %% tags=["parameters"]
seed = 0
n_rows = 2000

# %%
import mlflow
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_utils import data, store

store.connect()
mlflow.set_experiment("churn-evaluation")
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# `store.connect()` stands for the lines of [MLflow basics]({step:mlflow_basics}) that point MLflow at the store. The
# labels are `True` for a customer who left and `False` for one who stayed.
#
# <details class="more"><summary>More: why not labels 1 and 0</summary>
#
# MLflow guesses from the labels what kind of problem it looks at. With `True` and `False` it is sure. With 1 and 0 it
# warns that it is not, although the numbers come out the same.
#
# </details>

# %%
split = data.churn_split(n_rows, seed, numeric=True)
X_train, X_valid, y_train, y_valid = train_test_split(
    split.X_train,
    split.y_train.astype(bool),
    test_size=0.4,
    stratify=split.y_train,
    random_state=seed,
)


def as_dataset(X, y, name):
    return mlflow.data.from_pandas(X.assign(left=y), targets="left", name=name)


train_rows = as_dataset(X_train, y_train, "churn-train")
valid_rows = as_dataset(X_valid, y_valid, "churn-valid")
print(len(X_train), "customers to train on,", len(X_valid), "to choose by")

# %% [markdown]
# The two data sets are descriptions, as in [Logging]({step:logging}): a name, the columns, and a *digest*, a short
# fingerprint of the rows.
#
# ## Round 1: a score with a model and rows
#
# Three models: the app's logistic regression, Mira's forest, and a forest whose trees grow as deep as they like.
# `store.log_model` stores each (MLflow basics in one call, but trusting every type: the models are ours) and returns a
# description, from which we keep the id.
#
# Each model is measured twice, on the validation rows and on the training rows. New is the last line, where
# `log_metric` gets two arguments more:
#
# - `model_id`: which model the number is about,
# - `dataset`: on which rows it was measured.
#
# Always name the model; else MLflow picks one, or none. And one model per run: a later one takes over what the run
# measured before.

# %%
models = {
    "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
    "forest": RandomForestClassifier(100, max_depth=5, random_state=seed),
    "deep-forest": RandomForestClassifier(100, random_state=seed),
}
measured = [(valid_rows, X_valid, y_valid), (train_rows, X_train, y_train)]
ids = {}

# %%
for name, model in models.items():
    with mlflow.start_run(run_name=name):
        model.fit(X_train, y_train)
        mlflow.log_params({"kind": name, "n_rows": n_rows, "data_seed": seed})
        ids[name] = store.log_model(model, name, X_train).model_id
        for rows, X, y in measured:
            auc = roc_auc_score(y, model.predict_proba(X)[:, 1])
            mlflow.log_metric("roc_auc", auc, model_id=ids[name], dataset=rows)

# %% [markdown]
# **Predict.** Each run logged `roc_auc` twice, first for the validation rows, then for the training rows. Which of the
# two will the *run* of the forest show?

# %%
prediction = "?"  # validation, training or both

# %%
forest = mlflow.get_logged_model(ids["forest"])
run = mlflow.get_run(forest.source_run_id)
print("the run:  ", {k: round(v, 2) for k, v in run.data.metrics.items()})
for metric in sorted(forest.metrics, key=lambda metric: metric.value):
    print("the model:", metric.key, round(metric.value, 2), "on", metric.dataset_name)

# %% tags=["claims"]
CHANGES = [{"n_rows": 1000}, {"seed": 3}]

on = {metric.dataset_name: metric.value for metric in forest.metrics}
assert set(on) == {"churn-valid", "churn-train"} and len(forest.metrics) == 2
assert run.data.metrics == {"roc_auc": on["churn-train"]}
assert on["churn-train"] > on["churn-valid"] + 0.1
assert (n_rows, seed) != (2000, 0) or (round(on["churn-train"], 2), round(on["churn-valid"], 2)) == (0.87, 0.73)
assert {metric.dataset_digest for metric in forest.metrics} == {train_rows.digest, valid_rows.digest}
assert [i.dataset.name for i in run.inputs.dataset_inputs].count("churn-valid") == 1

# %% [markdown]
# You should see one number at the run, that of the training rows, and two at the model. Without steps, a run shows the
# value logged last, here that of the training rows. That is how Aisha got her 0.87. The model keeps both. If your run
# shows the smaller number, the list `measured` has its rows in the other order.
#
# ## Round 2: rank models on the same rows
#
# Which model is best? That depends on the rows, so a ranking has to say which rows are meant.
#
# `search_runs` finds runs; `search_logged_models` finds models. Name *and* digest say which rows are meant. They stand
# in two places. Under `datasets`, they make the filter `metrics.roc_auc > 0` mean: has a `roc_auc` on these rows. In
# `order_by`, a list of dictionaries, they say which `roc_auc` sorts.
#
# <details class="more"><summary>More: where it looks, and repeated names</summary>
#
# The search looks in the current experiment, unless you name others. The same rows with a new index, or as `float32`,
# have another digest, and are not found. A model keeps one value per name, run, step and timestamp, whatever the data
# set. So let MLflow set the time: with the same `timestamp` for two slices, the second call raises an error.
# `dict.fromkeys` leaves out a name that comes twice because you ran the cells again.
#
# </details>
#
# **Predict.** On the training rows the deep forest is first, with 1.00, because its trees have learned those customers
# by heart. Which model will be *last* on the validation rows?

# %%
prediction = "?"  # logistic, forest or deep-forest


# %%
def rank(rows):
    which = {"dataset_name": rows.name, "dataset_digest": rows.digest}
    best_first = {"field_name": "metrics.roc_auc", "ascending": False, **which}
    found = mlflow.search_logged_models(
        filter_string="metrics.roc_auc > 0",
        datasets=[which],
        order_by=[best_first],
        output_format="list",
    )
    return list(dict.fromkeys(model.name for model in found))


print("on the training rows:  ", rank(train_rows))
print("on the validation rows:", rank(valid_rows))

# %% tags=["claims"]
assert rank(train_rows)[0] == "deep-forest" and len(rank(valid_rows)) == 3
deep_on = {m.dataset_name: m.value for m in mlflow.get_logged_model(ids["deep-forest"]).metrics}
assert deep_on["churn-train"] > 0.999
assert n_rows < 2000 or seed > 3 or rank(valid_rows) == ["logistic", "forest", "deep-forest"]

# %% [markdown]
# With 2,000 customers and seed 0, 1, 2 or 3 you should see the deep forest last on the validation rows and the logistic
# regression first. With other customers the order can change.
#
# ## Round 3: a whole report in one call
#
# One number is a thin report. `mlflow.models.evaluate` takes the address of a stored model and a data set, lets the
# model predict, and logs what is usual for a classifier.
#
# You add what matters to *you*. Tom's team calls every customer whom the model flags. Say that a call costs 5 euro, and
# that a call to somebody who was about to leave is worth 20 euro on average.
#
# `make_metric` turns a function with this rule into a metric. Its arguments must be `predictions` and `targets`, in
# this order. MLflow tries it on a single row first, and gives up when it fails there.

# %%
import matplotlib.pyplot as plt
from mlflow.models import MetricThreshold, make_metric


def worth(predictions, targets):
    return float(20 * (predictions & targets).sum() - 5 * predictions.sum())


calls = make_metric(eval_fn=worth, greater_is_better=True, name="worth_in_euro")
with mlflow.start_run(run_name="report-forest") as report:
    result = mlflow.models.evaluate(
        f"models:/{ids['forest']}",
        valid_rows,
        model_type="classifier",
        extra_metrics=[calls],
        evaluator_config={"log_model_explainability": False},  # that needs shap
    )
plt.close("all")  # MLflow leaves an empty figure open

# %%
forest = mlflow.get_logged_model(ids["forest"])
on_valid = {m.key: m.value for m in forest.metrics if m.dataset_name == "churn-valid"}
pd.Series(on_valid).sort_index().round(2)

# %% tags=["claims"]
flagged = models["forest"].predict(X_valid)
assert on_valid["worth_in_euro"] == 20 * (flagged & y_valid).sum() - 5 * flagged.sum()
assert on_valid["recall_score"] == recall_score(y_valid, flagged)
assert abs(on_valid["roc_auc"] - roc_auc_score(y_valid, models["forest"].predict_proba(X_valid)[:, 1])) < 1e-12
assert mlflow.get_run(report.info.run_id).data.metrics["worth_in_euro"] == on_valid["worth_in_euro"]
assert on_valid["recall_score"] < 0.5 and len(on_valid) == 14
assert on_valid["true_positives"] == (flagged & y_valid).sum()

import warnings

with warnings.catch_warnings(record=True) as old_name, mlflow.start_run():
    warnings.simplefilter("always")
    answered = X_valid.assign(left=y_valid, predicted=flagged)
    how = {"predictions": "predicted", "targets": "left", "model_type": "classifier"}
    mlflow.evaluate(data=answered, evaluator_config={"log_model_explainability": False}, **how)
assert any(w.category is FutureWarning and "mlflow.models.evaluate" in str(w.message) for w in old_name)

# %% [markdown]
# You should see fourteen metrics, all on the model *and* on `churn-valid`. Yours, `worth_in_euro`, is what calling the
# flagged customers brings; above zero, the calls pay. `recall_score` is the **recall**: the share of the leavers that
# the model flags (from a probability of 0.5 on).
#
# <details class="more"><summary>More: other averages, and the older name</summary>
#
# Precision, recall and F1 are those of the label that sorts last: `True` here, but `stayed` of `churned` and `stayed`,
# unless `evaluator_config` names a `pos_label`. With three labels or more they are weighted over the classes, as in
# [Autologging]({step:autolog}).
#
# Older texts write `mlflow.evaluate`, which still works and warns that it is deprecated.
#
# </details>
#
# The run has five pictures, too. Here are two:
#
# - The **confusion matrix**: each row is a true class and adds up to 1.
# - The **calibration curve** asks whether probabilities can be taken at their word. Of the customers with 0.3, about 30
#   % should leave. A point below the dotted line means that fewer did.

# %%
fig, axes = plots.new_figure(1, 2, width=10, height=3.8)
for ax, name in zip(axes, ("confusion_matrix", "calibration_curve_plot"), strict=True):
    uri = f"{report.info.artifact_uri}/{name}.png"
    ax.imshow(mlflow.artifacts.load_image(uri))
    ax.set_axis_off()
recall = on_valid["recall_score"]
fig.suptitle(f"Lower right: of those who left, the forest flags {recall:.0%}")
words = "Two pictures by MLflow, of the validation rows: a confusion matrix, in which "
words += f"the lower right cell is {recall:.2f}, and a calibration curve."
plots.show(plots.describe(fig, words))

# %% tags=["claims"]
files = {f.path for f in mlflow.artifacts.list_artifacts(run_id=report.info.run_id)}
assert len([file for file in files if file.endswith(".png")]) == 5

# %% [markdown]
# A report is read by people; a **limit** is for programs. A `MetricThreshold` says what a metric has to reach.
# `validate_evaluation_results` raises an error when it does not.
#
# **Predict.** Aisha wants a ROC-AUC of at least 0.65, and Tom wants at least half of those who leave to be flagged.
# Will the forest pass both, one, or none of the two?

# %%
prediction = "?"  # both, one or none

# %%
wishes = {"roc_auc": 0.65, "recall_score": 0.5}
for name, least in wishes.items():
    limit = MetricThreshold(threshold=least, greater_is_better=True)
    try:
        mlflow.validate_evaluation_results({name: limit}, result)
        print("passed: ", name)
    except mlflow.MlflowException:
        print("refused:", name, f"is {result.metrics[name]:.2f}, wanted {least}")

# %% tags=["claims"]
assert result.metrics["roc_auc"] > 0.65 and result.metrics["recall_score"] < 0.5

# %% [markdown]
# You should see that the ROC-AUC passes and the recall is refused. The forest *ranks* customers acceptably, but with a
# threshold of 0.5 it flags few of them. [Full workflow]({step:full_workflow}) shows how to choose a threshold.
#
# ## Round 4: the customers whom the average hides
#
# Now Tom's question. A model can be fine on average and miss almost everybody in one group.
#
# A **slice** is a part of the rows that share something. Ours are the *quiet* customers, who have called the support at
# most once in the last quarter, and those who have called at least twice. A slice is a data set like any other, so its
# scores hang on the model as well.
#
# **Predict.** Take the logistic regression. Will its recall be higher for those who called often, for the quiet ones,
# or about the same for both?

# %%
prediction = "?"  # often, quiet or the same

# %%
often = X_valid["support_calls"] >= 2
slices = {"churn-valid-often": often, "churn-valid-quiet": ~often}

with mlflow.start_run(run_name="slices"):
    for name, model in models.items():
        for part, chosen in slices.items():
            X, y = X_valid[chosen], y_valid[chosen]
            rows = as_dataset(X, y, part)
            recall = recall_score(y, model.predict(X))
            mlflow.log_metric("recall", recall, model_id=ids[name], dataset=rows)

# %%
found = [mlflow.get_logged_model(model_id) for model_id in ids.values()]
scores = pd.DataFrame(
    [(model.name, m.dataset_name, m.value) for model in found for m in model.metrics],
    columns=["model", "rows", "recall"],
)
scores = scores[scores["rows"].isin(slices)].drop_duplicates()
scores = scores.set_index(["model", "rows"])["recall"]

# %%
gone = int(y_valid[~often].sum())
hits = round(scores["logistic", "churn-valid-quiet"] * gone)
title = f"Of {gone} quiet customers who left, the logistic model flags {hits}"
bars = scores.rename(index=lambda key: key.replace("churn-valid-", ""))
bars.index = [f"{model}, {part}" for model, part in bars.index]
label = "recall: share of those who left that is flagged"
marked = {"title": title, "xlabel": label, "highlight": "logistic, quiet"}
plots.show(plots.bars(bars, **marked))

# %%
X_quiet, y_quiet = X_valid[~often], y_valid[~often]
ranked = roc_auc_score(y_quiet, models["logistic"].predict_proba(X_quiet)[:, 1])
print(f"who leave: {y_valid[often].mean():.0%} of those who called often,", end=" ")
print(f"{y_quiet.mean():.0%} of the quiet ones")
print(f"ROC-AUC of the logistic model on the quiet ones: {ranked:.2f}")

# %% tags=["claims"]
assert y_quiet.mean() < 0.6 * y_valid[often].mean() and ranked > 0.6
table = scores.unstack()
assert table.shape == (3, 2)
assert (table["churn-valid-often"] > table["churn-valid-quiet"]).all()
assert table.loc["logistic", "churn-valid-quiet"] < 0.1 < 0.2 < table.loc["logistic", "churn-valid-often"]
assert hits == models["logistic"].predict(X_valid[~often & y_valid]).sum()
assert gone >= 15

# %% [markdown]
# You should see that every model is better for those who called often. The logistic regression misses more than nine of
# ten quiet customers who leave. Tom was right.
#
# But ask why before you blame the model. A smaller share of the quiet customers leaves, so few of their probabilities
# reach 0.5. The ROC-AUC, which needs no threshold, shows that the model does rank them, so a lower threshold would find
# more.
#
# Say how many rows a score rests on (for recall, those who left): the fewer, the more each moves it. And choose slices
# before you look, because among fifty slices one looks terrible by luck alone.
#
# ## Round 5: is the lead real?
#
# A **lead** is the difference between two scores. The validation rows are a few hundred customers; with others, both
# scores would be different, and so would the lead. The **bootstrap** imitates this:
#
# 1. Draw as many rows as there are, with repetition, so that some customers come twice and some not at all.
# 2. Compute the lead on them.
# 3. Do this 500 times. The middle 95 % of the leads form an interval in which the true lead plausibly lies.
#
# In a **paired** bootstrap both models are scored on *the same* drawn customers each time. A draw with many clear cases
# helps both models alike, so this luck cancels in the difference. To compare, we also draw different customers for each
# model.

# %%
truth = y_valid.to_numpy()
p = {name: model.predict_proba(X_valid)[:, 1] for name, model in models.items()}


def auc_on(rows, name):
    return roc_auc_score(truth[rows], p[name][rows])


rng = np.random.default_rng(seed)
draws = {"same customers": [], "different customers": []}
for _ in range(500):
    rows, others = rng.integers(0, len(truth), (2, len(truth)))
    logistic = auc_on(rows, "logistic")
    draws["same customers"].append(logistic - auc_on(rows, "forest"))
    draws["different customers"].append(logistic - auc_on(others, "forest"))

# %%
everyone = np.arange(len(truth))
lead = auc_on(everyone, "logistic") - auc_on(everyone, "forest")
low, high = np.percentile(draws["same customers"], [2.5, 97.5])

fig, ax = plots.new_figure(height=3)
bins = np.histogram_bin_edges(draws["different customers"], 50)
ax.hist(draws["different customers"], bins, alpha=0.5, color=plots.ORANGE)
ax.hist(draws["same customers"], bins, alpha=0.7, color=plots.BLUE)
ax.axvline(0, color="black", linestyle="--")
ax.legend(["no lead", *reversed(draws)], frameon=False)
ax.set(xlabel="lead of logistic over forest (ROC-AUC)", ylabel="draws")
verdict = "no lead is shown" if low < 0 < high else "a lead is shown"
title = f"Lead {lead:.3f}, interval {low:.3f} to {high:.3f}: {verdict}"
ax.set_title(title, loc="left", weight="bold")
plots.show(plots.describe(fig, f"Histogram of 500 leads. {title}."))

# %% tags=["claims"]
wide = np.ptp(np.percentile(draws["different customers"], [2.5, 97.5]))
assert low < 0 < high
assert wide > 1.8 * (high - low)

# %% [markdown]
# You should see the dashed line inside the narrow, paired histogram: a lead of zero, or a lead of the *forest*, fits
# these customers as well. With 2,000 customers `logistic` ranked first, and yet nobody can claim that it is the better
# model. Nor are the two shown to be equal: the interval has room for a lead.
#
# The wide histogram is a mistake to avoid: each model with customers of its own. It would overlook many leads that are
# real.
#
# <details class="more"><summary>More: how wide, and what stays outside</summary>
#
# The unpaired interval is about twice as wide as the paired one, or wider.
#
# The paired interval is about these two fitted models. Models that were trained on other customers would differ by some
# luck of their own.
#
# </details>
#
# The interval belongs into the record, beside the lead, so that the next reader need not take your word:

# %%
with mlflow.start_run(run_name="logistic-against-forest") as duel:
    mlflow.log_params({"first": "logistic", "second": "forest", "n_draws": 500})
    mlflow.log_input(valid_rows, context="validation")
    mlflow.log_metrics({"lead": lead, "low": low, "high": high})

# %% [markdown]
# So the app keeps its model: replacing a model costs work, and no lead justifies it. Now that the choice is made, the
# test rows are opened once, for the model that was chosen.

# %%
test_rows = as_dataset(split.X_test, split.y_test.astype(bool), "churn-test")
auc = roc_auc_score(split.y_test, models["logistic"].predict_proba(split.X_test)[:, 1])
with mlflow.start_run(run_name="test-logistic"):
    mlflow.log_metric("roc_auc", auc, model_id=ids["logistic"], dataset=test_rows)
print(f"logistic on the test rows: {auc:.3f}")

# %% tags=["claims"]
kept = mlflow.get_logged_model(ids["logistic"]).metrics
assert {m.dataset_name for m in kept if m.key == "roc_auc"} == {"churn-valid", "churn-train", "churn-test"}

# %% [markdown]
# ## Look at the UI
#
# Open the UI: *MLflow UI* among the links at the top, or the command printed under *Setup*; close the panel *MLflow
# Assistant* with its cross. Choose *Model training* at the top left and click *Experiments* on the left. (When an
# experiment is still open, click the arrow beside its name first.) Then click `churn-evaluation`.
#
# 1. Click **Models** on the left, then `logistic`. (If you ran the lecture more than once, take the topmost.) Under
#    *Metrics*, each row has the metric, the data set with its digest, and the run that logged it: `roc_auc` stands
#    there three times, on training, validation and test rows. (`brier` comes from *Your turn* below.)
# 2. Click *Models* on the left again, then `forest`. Its table is long, because of the report. (MLflow 3.17 writes each
#    metric of a report twice, with the same value.) Scroll in it to `worth_in_euro`.
# 3. Click *Runs* on the left, then `report-forest`, then **Artifacts**: the five pictures.
#
# ![The metrics of the model logistic, after step 1](../site/_static/evaluation_ui.png)
#
# ## Your turn
#
# The **Brier score** is the mean squared distance between the probability and what happened; lower is better. It is
# computed for you. Replace the three dots by **one line** that hangs it on the model `logistic` and on the validation
# rows, as the metric `brier`; then run both cells.
#
# <details><summary>One solution</summary>
#
# `mlflow.log_metric("brier", brier, model_id=ids["logistic"], dataset=valid_rows)`
#
# </details>

# %% tags=["your-turn"]
brier = ((p["logistic"] - truth) ** 2).mean()
with mlflow.start_run(run_name="your-turn"):
    ...

# %% tags=["your-turn-solution"]
brier = ((p["logistic"] - truth) ** 2).mean()
with mlflow.start_run(run_name="your-turn"):
    mlflow.log_metric("brier", brier, model_id=ids["logistic"], dataset=valid_rows)

# %%
metrics = mlflow.get_logged_model(ids["logistic"]).metrics
hung = [m.dataset_name for m in metrics if (m.key, m.value) == ("brier", brier)]
hint = "log_metric takes name and number, then model_id= and dataset=."
lesson.turn("churn-valid" in hung, hint)

# %% [markdown]
# ## Pitfalls
#
# Each of them has a code, and the checks of the homework use the same codes.
#
# **`not-on-model`: a score that belongs to nobody.** Predictions often come as a table, from a colleague or another
# program. `evaluate` takes such a table, too, but then nothing says whose predictions they were:

# %%
answers = X_valid.assign(left=y_valid, predicted=models["deep-forest"].predict(X_valid))
table = mlflow.data.from_pandas(
    answers, targets="left", predictions="predicted", name="churn-valid-answers"
)
options = {"evaluator_config": {"log_model_explainability": False}}


def hung_on_deep_forest():
    metrics = mlflow.get_logged_model(ids["deep-forest"]).metrics
    return len({m.key for m in metrics if m.dataset_name == "churn-valid-answers"})


with mlflow.start_run(run_name="answers"):
    mlflow.models.evaluate(data=table, model_type="classifier", **options)
alone = hung_on_deep_forest()
print("metrics on the model:", alone)

# %% [markdown]
# To repair it, say whose predictions they are, with `model_id`:

# %%
with mlflow.start_run(run_name="answers-of-deep-forest"):
    mlflow.models.evaluate(
        data=table, model_type="classifier", model_id=ids["deep-forest"], **options
    )
print("metrics on the model:", hung_on_deep_forest())

# %% tags=["claims"]
assert alone == 0 and hung_on_deep_forest() > 0

# %% [markdown]
# **`ranked-without-rows`: the order does not say on which rows.** Without a data set, `order_by` takes of each model
# the value that was logged last, whatever it was measured on. (The filter can ask for parameters because a logged model
# takes over those that its run had when it was logged.)

# %%
careless = mlflow.search_logged_models(
    filter_string=f"params.data_seed = '{seed}' and params.n_rows = '{n_rows}'",
    order_by=[{"field_name": "metrics.roc_auc", "ascending": False}],
    output_format="list",
)
print("first:", careless[0].name)

# %% [markdown]
# The deep forest wins, with the customers it knows by heart. To repair it, name the rows, as `rank` does:

# %%
ranking = rank(valid_rows)
print("first:", ranking[0], "| deep-forest:", ranking.index("deep-forest") + 1)

# %% tags=["claims"]
assert careless[0].name == "deep-forest"
assert n_rows < 2000 or ranking[-1] == "deep-forest"

# %% [markdown]
# **`same-name-other-rows`: two data sets with one name.** Jonas splits the customers again, with another seed, and
# calls his validation rows `churn-valid`, too. More than half of them are customers that our models have learned from.

# %%
_, X_jonas, _, y_jonas = train_test_split(
    split.X_train, split.y_train.astype(bool), test_size=0.4, random_state=seed + 1
)
jonas_rows = as_dataset(X_jonas, y_jonas, "churn-valid")
auc = roc_auc_score(y_jonas, models["deep-forest"].predict_proba(X_jonas)[:, 1])
with mlflow.start_run(run_name="jonas"):
    mlflow.log_metric(
        "roc_auc", auc, model_id=ids["deep-forest"], dataset=jonas_rows
    )

deep = mlflow.get_logged_model(ids["deep-forest"]).metrics
deep = [metric for metric in deep if metric.key == "roc_auc"]
by_name = [m.value for m in deep if m.dataset_name == "churn-valid"]
print("roc_auc on churn-valid:", sorted({round(value, 2) for value in by_name}))

# %% [markdown]
# You should see two values under one name, and the larger one is Jonas's. To repair it, ask for the digest as well.
# Jonas's rows have another digest, whatever he calls them. But a digest skips rows after the 10,000th, dates, booleans
# (our labels), categories of numbers, text with a gap ([Logging]({step:logging})): if only these change, rename.

# %%
ours = [m.value for m in deep if m.dataset_digest == valid_rows.digest]
print("roc_auc on our rows:", sorted({round(value, 2) for value in ours}))

# %% tags=["claims"]
assert len({round(value, 2) for value in by_name}) == 2 and len(set(ours)) == 1
assert max(by_name) > ours[0] + 0.1
assert X_jonas.index.isin(X_train.index).mean() > 0.5
assert as_dataset(X_valid, ~y_valid, "churn-valid").digest == valid_rows.digest

# %% [markdown]
# ## In your own project
#
# Without any help from this course, on real data that comes with scikit-learn; here `evaluate` hangs the scores on
# model and rows. Open *Show the script*, copy it into a file `evaluate.py` in an empty folder and run `python
# evaluate.py`. If MLflow refuses a model of yours, its message names the types: read them, and list only those that you
# trust.
#
# <details class="more"><summary>More: two lines of the script</summary>
#
# The line with `logging` keeps MLflow's reports of its progress from your screen. `skops_trusted_types` names the one
# type that a forest needs, as in [MLflow basics]({step:mlflow_basics}).
#
# </details>

# %% tags=["own-project"]
"""Two models, scored on the same rows, and compared: python evaluate.py"""

import logging

import mlflow
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB

logging.getLogger("mlflow").setLevel(logging.WARNING)
mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("my-evaluation")
X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_valid, y_train, y_valid = train_test_split(X, y == 0, random_state=0)
table = X_valid.assign(malignant=y_valid)
rows = mlflow.data.from_pandas(table, targets="malignant", name="cancer-valid")
needs, scores = mlflow.sklearn.get_default_pip_requirements(include_skops=True), {}
keep = {"pip_requirements": needs, "skops_trusted_types": ["sklearn.tree._tree.Tree"]}
quiet = {"evaluator_config": {"log_model_explainability": False}}  # it needs shap

for model in (GaussianNB(), RandomForestClassifier(random_state=0)):
    name = type(model).__name__
    model.fit(X_train, y_train)
    scores[name] = model.predict_proba(X_valid)[:, 1]
    with mlflow.start_run(run_name=name):
        stored = mlflow.sklearn.log_model(model, name=name, **keep)
        mlflow.models.evaluate(stored.model_uri, rows, model_type="classifier", **quiet)

order = {"field_name": "metrics.roc_auc", "ascending": False}
order |= {"dataset_name": rows.name, "dataset_digest": rows.digest}
print(mlflow.search_logged_models(order_by=[order])[["name", "model_id"]])
rng, leads = np.random.default_rng(0), []
for _ in range(500):  # the same drawn rows for both models
    drawn = rng.integers(0, len(y_valid), len(y_valid))
    one, two = (roc_auc_score(y_valid.iloc[drawn], p[drawn]) for p in scores.values())
    leads.append(one - two)
print(" minus ".join(scores), "lies in", np.percentile(leads, [2.5, 97.5]).round(3))

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("evaluation")

# %% [markdown]
# ## Key points
#
# - **How do you attach a score?** With `log_metric(…, model_id=…, dataset=…)`. The run shows one value of a name; the
#   model keeps them all, each with its data set or slice.
# - **How do you rank models?** With `search_logged_models` and an `order_by` that has the name *and* the digest of the
#   rows. Without them, the value that was logged last decides.
# - **How do you evaluate a stored model?** `mlflow.models.evaluate` with its address and a data set, `make_metric` for
#   what matters to you, and `MetricThreshold` for a limit. For a table of predictions, add `model_id`.
# - **Is the better one better?** Draw the same rows for both, many times. If zero lies in the interval of the leads, no
#   lead has been shown.
#
# ## Next steps
#
# - Do the [homework]({homework:evaluation}): slices, a ranking with a trap, a limit, a lead.
# - Next lecture: [Nested runs]({step:nested_runs}), many attempts under one roof.
# - Official page: [MLflow Evaluation](https://mlflow.org/docs/latest/ml/evaluation/).
# - Optional depth: change `n_rows` to 1000 in the parameters cell, and run all again. How much wider does the interval
#   get? With `seed` 3 instead, its place changes, its width hardly.
