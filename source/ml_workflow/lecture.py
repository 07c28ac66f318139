# %% [markdown]
# # The machine-learning workflow, and why it needs a record
#
# **Everybody did their part, nothing crashed, and the model is wrong. Where do you look?**
#
# We will build a picture of the life cycle, watch a model grow old, test what makes customers leave, and keep one
# result so that anybody can repeat it.
#
# Afterwards you can
# - **name** the stages of a model's life, and who answers for each;
# - **compute** a t-test and a chi-square test, and **interpret** them with an effect size;
# - **explain** what a system of record gives that a spreadsheet cannot, and **choose** a tool for it.
#
# **You need:** lecture {step:start_here}.
#
# **Time:** 14 min to read · 14 min to do
#
# <!-- links -->
#
# ## Recall
#
# One question on an earlier lecture. Click an answer; each one replies.

# %%
from course_utils import lesson

lesson.quiz("ml_workflow", "recall")

# %% [markdown]
# ## The problem
#
# At Nordtel, Mira's model picks the customers that Tom's team calls. It was good in spring. In autumn Tom says: "You
# send us people who would have stayed." Mira changed nothing. Aisha changed nothing. Ines asks which data and which
# settings made this model, and there is silence.
#
# ## Setup

# %% tags=["parameters"]
seed = 0
n_rows = 2000

# %%
import mlflow
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from course_utils import data, plots, store

store.connect()
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Round 1: the life cycle is a loop
#
# | stage | question | typical tools |
# |---|---|---|
# | collection | what do we know? | SQL, Kafka, Airflow |
# | preparation | can we believe it? | pandas, Spark, Great Expectations |
# | exploration (EDA) | what is in it? | pandas, SciPy, seaborn |
# | features | what should the model see? | scikit-learn, Feast |
# | selection and training | which model, which settings? | scikit-learn, PyTorch, Optuna |
# | evaluation | is it good on unseen rows? | scikit-learn, **MLflow** |
# | deployment | who asks it, how? | **MLflow**, FastAPI, Docker |
# | monitoring | is it still good? | Prometheus, Evidently, **MLflow** |
# | retraining | may the new one replace it? | Airflow, **MLflow** registry |

# %%
stages = "collection preparation exploration features training evaluation deployment monitoring retraining".split()
angles = np.pi / 2 - 2 * np.pi * np.arange(9) / 9
x, y = 1.7 * np.cos(angles), np.sin(angles)
fig, ax = plots.new_figure(width=7.5, height=4.4)
for i, stage in enumerate(stages):
    two_thirds = x[i] + 0.62 * (x[i - 8] - x[i]), y[i] + 0.62 * (y[i - 8] - y[i])
    box = {"boxstyle": "round,pad=0.5", "facecolor": "#dbe9f4", "edgecolor": plots.BLUE}
    arrow = {"arrowstyle": "-|>", "color": "#595959"}
    ax.annotate(f"{i + 1} {stage}", two_thirds, (x[i], y[i]), ha="center", va="center", bbox=box, arrowprops=arrow)
ax.text(0, 0, "the record (MLflow):\ndata, settings, results,\nmodels of every turn", ha="center", va="center")
ax.set(xlim=(-2.2, 2.2), ylim=(-1.3, 1.25), title="A model's life is a loop: the last stage leads to the first")
ax.axis("off")
plots.show(plots.describe(fig, f"Ring of nine stages, the last leads to the first: {', '.join(stages)}."))

# %% [markdown]
# | role | answers for | at Nordtel |
# |---|---|---|
# | data engineer | collection, preparation: tables arrive, complete, on time | Jonas |
# | data scientist | exploration to evaluation: the model and its measure | Mira |
# | ML engineer (MLOps) | deployment, monitoring, retraining: it runs, it can go back | Aisha |
# | governance officer | every stage: where numbers come from, what is allowed | Ines |
#
# **Predict.** In week 6 Tom's team starts to call back everybody who complained. Mira's model was trained in weeks 1
# to 3; nobody touches its code. What happens to its ROC-AUC from week 6 on: nothing, a little less, or no better than
# guessing?

# %%
prediction = "?"  # nothing, a little less, guessing

# %%
stream = data.churn_stream(n_weeks=10, rows_per_week=600, drift_week=6, kind="concept", seed=seed)
X, y, week = pd.get_dummies(stream.drop(columns=["churned", "week"])), stream["churned"], stream["week"]


def train(weeks):
    rows = week.isin(weeks)
    return RandomForestClassifier(100, min_samples_leaf=10, random_state=seed).fit(X[rows], y[rows])


def auc(model, w):
    return roc_auc_score(y[week == w], model.predict_proba(X[week == w])[:, 1])


# %%
models = {
    "trained in weeks 1–3": (train([1, 2, 3]), range(4, 11)),
    "retrained in weeks 6–7": (train([6, 7]), range(8, 11)),
}
fig, ax = plots.new_figure(height=3.6)
lines = {}
for (name, (model, weeks)), color, marker in zip(models.items(), plots.COLORS, "os", strict=False):
    lines[name] = [auc(model, w) for w in weeks]
    ax.plot(weeks, lines[name], color=color, marker=marker, label=name)
ax.axhline(0.5, color="#595959", linestyle="--", label="guessing")
first, last = lines["trained in weeks 1–3"][0], lines["trained in weeks 1–3"][-1]
title = f"ROC-AUC falls from {first:.2f} to {last:.2f}; retraining brings {lines['retrained in weeks 6–7'][-1]:.2f}"
ax.set(title=title, xlabel="week", ylabel="ROC-AUC of that week's customers")
ax.legend()
plots.show(plots.describe(fig, f"Two lines over the weeks, with guessing at 0.5. {title}."))

# %% [markdown]
# You should see the line drop to guessing, or below it. The *world* changed: calls to support no longer announce a
# leaver. No test of the code finds that; only **monitoring** does, and **retraining** closes the loop. Lecture {step:monitoring}
# builds both.
#
# ## Round 2: exploration is an experiment
#
# Looking at data until something catches the eye finds something every time. An experiment says first what it expects:
# "leavers call support more often"; then it measures; then it keeps the result, also a dull one. Lecture {step:logging} logs these.
#
# **Predict.** Six numeric columns. In which do leavers and stayers differ by more than chance?

# %%
prediction = []  # names of columns

# %%
customers = data.churn(n_rows, seed)
left, stayed = customers[customers["churned"] == 1], customers[customers["churned"] == 0]
numeric = customers.select_dtypes("number").columns.drop("churned")
pd.DataFrame({"left": left[numeric].mean(), "stayed": stayed[numeric].mean()}).round(2)

# %% [markdown]
# **Welch's t-test** asks: were the groups alike, how often would chance part their means this far? That is *p*; below
# 0.05 we call the difference significant. **Cohen's d** says how large it is, in standard deviations: 0.2 small, 0.5
# medium, 0.8 large.


# %%
def t_test(name, left, stayed):
    test = stats.ttest_ind(left[name], stayed[name], equal_var=False)
    spread = np.sqrt((left[name].var() + stayed[name].var()) / 2)
    return {"t": test.statistic, "p": test.pvalue, "d": (left[name].mean() - stayed[name].mean()) / spread}


pd.DataFrame({name: t_test(name, left, stayed) for name in numeric}).T.map("{:.3g}".format)

# %% [markdown]
# You should see four significant columns, and two (`senior`, `paperless`) that are not: *not shown*, which is less than
# *shown to be equal*.
#
# Words have no mean. The **chi-square test** compares *counts* in a table with those expected if contract and leaving
# had nothing to do with each other; **Cramér's V** (0 to 1) is its effect size.

# %%
rows = {}
for name in ("contract", "internet", "payment"):
    counts = pd.crosstab(customers[name], customers["churned"])
    test = stats.chi2_contingency(counts)
    rows[name] = {"chi2": test.statistic, "p": test.pvalue, "dof": test.dof, "V": stats.contingency.association(counts)}
pd.DataFrame(rows).T.map("{:.3g}".format)

# %% [markdown]
# You should see `contract` far ahead.
#
# ## Round 3: why a spreadsheet of experiments fails
#
# Mira tried fifty trees. Her spreadsheet has the row "tree, 0.75 or so, *this one!*".

# %%
split = data.churn_split(n_rows, seed, numeric=True)


def score(depth, leaf):
    model = DecisionTreeClassifier(max_depth=depth, min_samples_leaf=leaf, random_state=seed)
    model.fit(split.X_train, split.y_train)
    return roc_auc_score(split.y_test, model.predict_proba(split.X_test)[:, 1])


scores = {(depth, leaf): score(depth, leaf) for depth in range(2, 12) for leaf in (5, 10, 20, 40, 80)}
in_sheet = round(scores[5, 20], 2)
print(f"The sheet says {in_sheet:.2f}")

# %% [markdown]
# **Predict.** How many of the fifty settings give this number, to two digits?

# %%
prediction = 0  # your number

# %%
fitting = [setting for setting, value in scores.items() if round(value, 2) == in_sheet]
print(f"{len(fitting)} of {len(scores)} settings give {in_sheet:.2f}: depths {sorted({d for d, _ in fitting})}")

# %% [markdown]
# You should see several: the number cannot find its model. A **system of record** keeps number, settings, data and code
# together, written by the code itself. So results are *reproducible* (next cell), *versioned* (nothing is overwritten),
# *comparable* (same names) and *shared* (one address).

# %%
mlflow.set_experiment("churn-record")
with mlflow.start_run(run_name="tree") as run:
    mlflow.log_params({"max_depth": 5, "min_samples_leaf": 20, "data_digest": split.digest})
    mlflow.log_metric("test_auc", scores[5, 20])

# %%
kept = mlflow.get_run(run.info.run_id).data
again = score(int(kept.params["max_depth"]), int(kept.params["min_samples_leaf"]))
print("Same data:", kept.params["data_digest"] == split.digest, "| same score:", again == kept.metrics["test_auc"])

# %% [markdown]
# ## Look at the UI
#
# With *Model training* chosen at the top left, open the experiment `churn-record`, then the run `tree`: settings, data
# digest and score stand on one page. That is the answer to Ines.
#
# MLflow's parts: **tracking** (runs; lectures {step:mlflow_basics}, {step:logging}, {step:comparing_runs}, {step:autolog} and {step:nested_runs}), **models** (one format; 08), **registry** (versions and who
# may use them; 09), **serving** (10), **projects** (repeatable runs; 15), **GenAI** (prompts, traces; 14).
#
# ## Which tool?
#
# | tool | kind | best for | state |
# |---|---|---|---|
# | [MLflow][ml] | open source, self-hosted or managed | whole cycle, any framework | active, Linux Foundation |
# | [Weights & Biases][wb] | hosted service | deep learning, live plots, reports | part of CoreWeave since 2025 |
# | [Neptune][nt] | hosted service | very many metrics | **gone**: bought by OpenAI, shut down in March 2026 |
# | [Comet][ct] | hosted service; Opik open source | tracking, LLM evaluation | active |
# | [TensorBoard][tb] | open source, local | curves of one training | 2.21 in June 2026; sharing ended in 2024 |
# | [Sacred][sc] | open source library | configured research scripts | hardly maintained |
# | [DVC](https://dvc.org) | open source, on git | versions of data | active, owned by lakeFS since November 2025 |
#
# [ml]: https://github.com/mlflow/mlflow
# [wb]: https://docs.coreweave.com/products/wandb
# [nt]: https://github.com/zenml-io/zenml/issues/4498
# [ct]: https://github.com/comet-ml/opik
# [tb]: https://github.com/tensorflow/tensorboard/pull/7130
# [sc]: https://github.com/IDSIA/sacred/issues/871
#
# Checked in November 2026; names link their sources. Neptune's row is a lesson: ask a tool how your runs get *out*.
#
# **MLflow or DVC?** DVC answers "which data belongs to this git commit?": small pointer files in git, large files
# elsewhere, and `dvc repro` for stale stages. MLflow answers "what did each run use, and what came out?", with a UI, a
# registry and serving. Many teams use both: DVC's hash becomes a parameter of the MLflow run.
#
# ## Your turn
#
# Replace the three dots by the table of **counts** of `senior` against `churned`.
#
# <details><summary>One solution</summary>
#
# `pd.crosstab(customers["senior"], customers["churned"])`
#
# </details>

# %%
counts = ...

solved = np.shape(counts) == (2, 2) and np.sum(np.asarray(counts)) == n_rows
lesson.turn(solved, "pd.crosstab takes two columns and counts their pairs.")

# %% [markdown]
# ## Pitfalls
#
# Each has a code; the homework's checks use the same ones.
#
# **`statistic-as-effect`: a small p is taken for a large effect.** The same question about `senior`, with 2,000 and
# with 60,000 customers. Repair: report d (or V) beside p.

# %%
for size in (2_000, 60_000):
    more = data.churn(size, seed)
    found = t_test("senior", more[more["churned"] == 1], more[more["churned"] == 0])
    print(f"{size} customers: t {found['t']:.1f}, p {found['p']:.1g}, effect d {found['d']:.2f}")

# %% [markdown]
# **`no-correction`: many questions, one limit.** A hundred columns of pure noise. Repair (Bonferroni): divide 0.05 by
# the number of tests.

# %%
noise = np.random.default_rng(seed).normal(size=(n_rows, 100))
p = stats.ttest_ind(noise[customers["churned"] == 1], noise[customers["churned"] == 0], equal_var=False).pvalue
print(f"Significant: {(p < 0.05).sum()} of 100 at 0.05, {(p < 0.05 / 100).sum()} at 0.05 / 100")

# %% [markdown]
# **`shares-not-counts`: chi-square of percentages.** The test must know how many customers stand behind a share.
# Repair: give it counts.

# %%
for name, normalize in {"shares": "index", "counts": False}.items():
    made = pd.crosstab(customers["contract"], customers["churned"], normalize=normalize)
    print(f"contract, {name}: p {stats.chi2_contingency(made).pvalue:.2g}")

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("ml_workflow")

# %% [markdown]
# ## Key points
#
# - Nine stages in a loop, four roles. A model can fail without a bug: the world moves on, so monitor and retrain.
# - State the hypothesis, test it (t for numbers, chi-square for words), report p *and* an effect size, correct for the
#   number of questions.
# - A system of record is reproducible, versioned, comparable and shared. MLflow records the whole cycle, DVC versions
#   data.
#
# ## Next steps
#
# - Do the [homework](../exercises/01_ml_workflow.ipynb): stages, roles, and two tests of your own.
# - Next lecture: pipelines, from a messy table to a model.
# - Official page: [MLflow documentation](https://mlflow.org/docs/latest/).
# - Optional depth: in the cell with `churn_stream`, set `kind="data"`. Does the old model fail then, too?
