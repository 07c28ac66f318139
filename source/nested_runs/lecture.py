# %% [markdown]
# # Nested runs: one search, many candidates
#
# **How do you keep sixty candidates of a search without drowning in them?**
#
# We will build four searches for the churn model, each as one *parent run* with a *child run* for every candidate, and
# compare grid, random and Bayesian search at the same cost.
#
# Afterwards you can
# - **log** a search as a parent with one child per candidate, and **promote** the best child to the parent;
# - **find** the children of a parent with a query;
# - **prune** weak candidates with Optuna and **compare** searches at an equal budget;
# - **train** children in parallel without losing one.
#
# **You need:** lectures {step:pipelines}, {step:mlflow_basics}, {step:logging} and {step:comparing_runs}.
#
# **Time:** 14 min to read · 18 min to do
#
# <!-- links -->

# %% [markdown]
# ## Recall

# %%
from course_utils import lesson

lesson.quiz("nested_runs", "recall")

# %% [markdown]
# ## The problem
#
# Mira has searched for good settings three times. Her experiment holds 140 runs in one flat list. Aisha asks: "Which of
# these belong together, and which search found the model we use?"
#
# A **nested run** answers both. The search is a **parent run**; each candidate is a **child run** inside it. In the
# UI the parent is one row that unfolds, and in the store a child carries one tag: its parent's id.
#
# ## Setup
#
# The budget counts *fits*: one candidate on three folds costs three.

# %% tags=["parameters"]
seed = 0
n_rows = 2000
budget = 36

# %%
from concurrent.futures import ThreadPoolExecutor
from statistics import mean

import mlflow
import optuna
import pandas as pd
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, StratifiedKFold, cross_val_score
from threadpoolctl import threadpool_limits

from course_utils import data, plots, store

# %%
store.connect()
optuna.logging.set_verbosity(optuna.logging.WARNING)
experiment = mlflow.set_experiment("churn-search")
client = mlflow.MlflowClient()
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %%
split = data.churn_split(n_rows, seed, numeric=True)
X, y = split.X_train, split.y_train
folds = StratifiedKFold(3, shuffle=True, random_state=seed)
how = {"cv": folds, "scoring": "roc_auc"}
forest = RandomForestClassifier(max_depth=5, random_state=seed)

# %% [markdown]
# ## Round 1: a loop by hand
#
# How many trees does a forest need? `nested=True` says: this run lives inside the one that is open.
#
# **Predict.** How many runs does the loop make, and how many of them does a search for the *children* find?

# %%
predicted = {"runs made": 0, "children found": 0}  # your numbers

# %%
with mlflow.start_run(run_name="forest-size") as parent:
    for trees in (5, 20, 80):
        with mlflow.start_run(run_name=f"{trees}-trees", nested=True):
            mlflow.log_param("n_estimators", trees)
            mlflow.log_metric("cv_auc", cross_val_score(forest.set_params(n_estimators=trees), X, y, **how).mean())

# %%
def children(parent_id, condition=""):
    """Return the child runs of a parent, best first."""
    family = f"tags.`mlflow.parentRunId` = '{parent_id}'{condition}"
    return store.runs("churn-search", family, ["metrics.cv_auc DESC"])


# %%
found = children(parent.info.run_id)
print(f"made: 1 parent + {len(found)} children; found: {len(found)}")
found.round(3)

# %% [markdown]
# You should see three rows and no parent: it does not carry the tag. If you see none, the id is not that of the parent.
# The query goes *one level* down: children of children name their own parent.
#
# The parent itself is still empty. **Promote** the best child: copy what it found to the parent, so that one row of the
# UI tells how the search ended.

# %%
def promote(parent_id):
    """Copy score, settings and id of the best finished child to its parent."""
    family = f"tags.`mlflow.parentRunId` = '{parent_id}' AND attributes.status = 'FINISHED'"
    best = client.search_runs([experiment.experiment_id], family, order_by=["metrics.cv_auc DESC"])[0]
    client.set_tag(parent_id, "best_child", best.info.run_id)
    client.log_metric(parent_id, "best_cv_auc", best.data.metrics["cv_auc"])
    for name, value in best.data.params.items():
        client.log_param(parent_id, f"best_{name}", value)
    return best.info.run_name


print("promoted:", promote(parent.info.run_id), "→", client.get_run(parent.info.run_id).data.params)

# %% [markdown]
# The client works on a run by its id, whether the run is open or not. The prefix `best_` matters; the second pitfall
# shows why.
#
# ## Round 2: grid and random search
#
# Now a gradient-boosting model with three settings. `GridSearchCV` tries all combinations of a few values;
# `RandomizedSearchCV` draws each setting from a distribution. Both leave their results in `cv_results_`, and one
# function turns that into a family of runs. (Autologging does this too, but keeps only the five best children unless
# told otherwise.)
#
# **Predict.** The grid below has 3 × 2 × 2 candidates. How many *different* learning rates does it try, and how many
# will a random search with as many candidates try?

# %%
predicted = {"grid": 0, "random": 0}  # different learning rates

# %%
def log_candidates(name, search):
    """Log a fitted search: one parent, one child per candidate."""
    with mlflow.start_run(run_name=name) as parent:
        for number, settings in enumerate(search.cv_results_["params"]):
            with mlflow.start_run(run_name=f"{name}-{number:02d}", nested=True):
                mlflow.log_params(settings)
                mlflow.log_metric("cv_auc", search.cv_results_["mean_test_score"][number])
                mlflow.log_metric("fits", search.n_splits_)
    promote(parent.info.run_id)
    return parent.info.run_id


# %%
threadpool_limits(1)  # a fit is short: on a busy machine, threads that wait for each other take longer than the work
booster = HistGradientBoostingClassifier(max_iter=30, early_stopping=False, random_state=seed)
grid = {"learning_rate": [0.01, 0.1, 1.0], "max_leaf_nodes": [4, 31], "l2_regularization": [0.1, 10.0]}
ranges = {"learning_rate": loguniform(0.01, 1), "max_leaf_nodes": [2, 4, 8, 16, 32, 64],
          "l2_regularization": loguniform(0.1, 10)}
searches = {"grid": GridSearchCV(booster, grid, refit=False, **how),
            "random": RandomizedSearchCV(booster, ranges, n_iter=budget // 3, random_state=seed, refit=False, **how)}
parents = {}
for name, search in searches.items():
    parents[name] = log_candidates(name, search.fit(X, y))
    found = children(parents[name])
    print(f"{name}: {len(found)} children, {found['learning_rate'].nunique()} learning rates")

# %% [markdown]
# You should see 3 and 12: a grid spends most of its fits on repeating the same few values.
#
# ## Round 3: Bayesian search that gives up early
#
# **Optuna** chooses each new candidate (a *trial*) from the results so far. Its **median pruner** stops a trial whose
# score is below the median of earlier trials at the same fold. A stopped trial costs one or two fits instead of
# three, so the same budget buys more trials.
#
# Each trial opens a child. A pruned one is closed as KILLED: stopped on purpose, which is neither success nor error.
#
# **Predict.** Grid and random search tried 12 candidates each. How many will Optuna try with the same number of fits?

# %%
predicted_trials = 0

# %%
def objective(trial):
    """Train one candidate fold by fold, as a child run; stop when the pruner says so."""
    settings = {
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 1, log=True),
        "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 2, 64, log=True),
        "l2_regularization": trial.suggest_float("l2_regularization", 0.1, 10, log=True),
    }
    model, scores = clone(booster).set_params(**settings), []
    with mlflow.start_run(run_name=f"trial-{trial.number:02d}", nested=True):
        mlflow.log_params(settings)
        for fold in folds.split(X, y):
            scores.append(cross_val_score(model, X, y, cv=[fold], scoring="roc_auc").item())
            mlflow.log_metrics({"cv_auc": mean(scores), "fits": len(scores)}, step=len(scores))
            trial.report(mean(scores), step=len(scores))
            if trial.should_prune():
                mlflow.end_run("KILLED")
                raise optuna.TrialPruned()
    return mean(scores)


# %%
def stop_at_budget(study, trial):
    if sum(len(t.intermediate_values) for t in study.trials) >= budget:
        study.stop()


study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=8),
                            pruner=optuna.pruners.MedianPruner(n_startup_trials=4))
with mlflow.start_run(run_name="optuna") as parent:
    study.optimize(objective, n_trials=budget, callbacks=[stop_at_budget])
parents["optuna"] = parent.info.run_id
print("promoted:", promote(parents["optuna"]))
trials = store.runs("churn-search", f"tags.`mlflow.parentRunId` = '{parents['optuna']}'", columns=["status", "fits"])
trials.groupby("status").agg(trials=("fits", "size"), fits=("fits", "sum"))

# %% [markdown]
# You should see more than 12 trials, and about as many fits as before (the last trial may go one or two over). If all
# are FINISHED, the pruner has not had its first four full trials yet.
#
# Who won? Compare at **equal budget**: the best score so far over the fits spent, for each search. Counting
# candidates would make a trial stopped after one fit as dear as a full one.

# %%
def best_so_far(parent_id):
    """Return the best score of finished children over the fits spent, in the order of the search."""
    made = store.runs("churn-search", f"tags.`mlflow.parentRunId` = '{parent_id}'", ["attributes.start_time ASC"],
                      ["status", "cv_auc", "fits"])
    scores = made["cv_auc"].where(made["status"] == "FINISHED").cummax().ffill()
    return pd.Series(scores.to_numpy(), index=made["fits"].cumsum()).reindex(range(1, budget + 1), method="ffill")


progress = pd.DataFrame({name: best_so_far(parent_id) for name, parent_id in parents.items()})[2::3]
ends = progress.iloc[-1].sort_values(ascending=False)

# %%
fig = plots.runs_line(
    progress.rename_axis("fits").reset_index(), "fits", list(parents),
    title=f"At {budget} fits each, {ends.index[0]} leads by {ends.iloc[0] - ends.iloc[1]:.4f} ROC-AUC",
    xlabel="fits spent", ylabel="best cross-validated ROC-AUC so far",
)
plots.show(fig)
spread = searches["grid"].cv_results_["std_test_score"][searches["grid"].best_index_]
print(f"first to last at {budget} fits: {ends.iloc[0] - ends.iloc[-1]:.4f}")
print(f"standard deviation of one candidate over its folds: {spread:.4f}")

# %% [markdown]
# Compare the two numbers before you name a winner. When the searches differ by less than one candidate differs between
# its own folds, the result is a tie, and another seed may turn the order round.
#
# ## Look at the UI
#
# With *Model training* chosen at the top left, open `churn-search`. Each search is one row; the small **+** unfolds its
# children. Type `attributes.status = "KILLED"` into the search field and press Enter: these are the pruned trials. Empty
# it, then press *Sort: Created* and choose `best_cv_auc`: only parents have it, so the four searches come first.
#
# ## Optuna's MLflow integration
#
# Older courses use Optuna's `MLflowCallback`; it has moved to a package of its own. MLflow now brings
# `MlflowStorage`: the study itself *is* a parent run, its trials are children. It reads every trial back from the
# store at each step, so it is slower than our objective. In return a study survives its notebook, and several
# machines can work on it. Below, a second storage object continues the same study. One flaw: nobody ends the study's
# run, so we do.

# %%
from mlflow.optuna.storage import MlflowStorage

with lesson.expect_error(ModuleNotFoundError):
    optuna.integration.MLflowCallback(metric_name="cv_auc")


def plain_objective(trial):
    model = clone(booster).set_params(learning_rate=trial.suggest_float("learning_rate", 0.01, 1, log=True))
    return cross_val_score(model, X, y, **how).mean()


shared = {"study_name": "shared", "sampler": optuna.samplers.TPESampler(seed=seed)}
first = optuna.create_study(storage=MlflowStorage(experiment.experiment_id), direction="maximize", **shared)
first.optimize(plain_objective, n_trials=3)
resumed = optuna.load_study(storage=MlflowStorage(experiment.experiment_id), **shared)
resumed.optimize(plain_objective, n_trials=2)
study_run = client.search_runs([experiment.experiment_id], "attributes.run_name = 'shared'", max_results=1)[0]
print(len(resumed.trials), "trials in one study, whose run is", study_run.info.status)
client.set_terminated(study_run.info.run_id)

# %% [markdown]
# ## Your turn
#
# Replace the three dots by a call of `children` that returns only those children of the grid search whose `cv_auc` is
# above 0.72. (The second argument is added to the filter: it starts with `" AND …"`.)
#
# <details><summary>One solution</summary>
#
# `strong = children(parents["grid"], " AND metrics.cv_auc > 0.72")`
#
# </details>

# %%
strong = ...

# %%
wanted = int((searches["grid"].cv_results_["mean_test_score"] > 0.72).sum())
lesson.turn(strong is not ... and len(strong) == wanted, "the second argument is the text AND metrics.cv_auc > 0.72.")

# %% [markdown]
# ## Pitfalls
#
# **`no-children`: children from threads have no parent.** Training in parallel is tempting. But the open run belongs to
# *one thread*: in the others nothing is open, so `nested=True` finds no parent, and says nothing. Repair: pass what a
# thread cannot know, the parent's **id**. (The client does the same with the tag:
# `client.create_run(experiment_id, tags={"mlflow.parentRunId": id})`; processes and other machines need that too.)

# %%
def train(trees, **link):
    """Train one forest and log it; `link` says how the run finds its parent."""
    with mlflow.start_run(run_name=f"{trees}-trees", nested=True, **link):
        model = clone(forest).set_params(n_estimators=trees).fit(X, y)
        mlflow.log_metric("train_accuracy", model.score(X, y))


with mlflow.start_run(run_name="threads") as parent, ThreadPoolExecutor(2) as pool:
    list(pool.map(train, (5, 10, 20)))
print("children without the id:", len(children(parent.info.run_id)))

# %%
with mlflow.start_run(run_name="threads") as parent, ThreadPoolExecutor(2) as pool:
    list(pool.map(lambda trees: train(trees, parent_run_id=parent.info.run_id), (5, 10, 20)))
print("children with the id:", len(children(parent.info.run_id)))

# %% [markdown]
# **`parent-as-best`: the best run turns out to be a parent.** Promoted under the *same* name, a score stands in the
# store twice, and the query for the best run may return the parent, which was never trained and has no settings.
# Repair: a prefix, as `promote` writes it, and a filter on the parent's id.
#
# **`killed-as-best`: the winner was stopped after one lucky fold.** A KILLED child keeps the score it had when it was
# stopped. One fold on which every model does well can lift it above all that went the whole way. The second cell scores
# the *same* settings twice. Repair: only finished children compete, as in `promote`.

# %%
with mlflow.start_run(run_name="confused") as parent:
    with mlflow.start_run(run_name="candidate", nested=True):
        mlflow.log_metric("cv_auc", 0.99)
    mlflow.log_metric("cv_auc", 0.99)  # should be best_cv_auc

top = store.runs("churn-search", "metrics.cv_auc > 0.98", columns=["run_id", "tags.mlflow.parentRunId"])
print(top["tags.mlflow.parentRunId"].notna().map({True: "a child", False: "a parent"}).to_string())
for run_id in top["run_id"]:
    mlflow.delete_run(run_id)  # deleting the parent alone would leave its child

# %%
model = clone(booster).set_params(**searches["grid"].best_params_)
all_folds = list(folds.split(X, y))
with mlflow.start_run(run_name="luck") as parent:
    for name, some, status in (("whole", all_folds, "FINISHED"), ("stopped", all_folds[1:2], "KILLED")):
        with mlflow.start_run(run_name=name, nested=True):
            mlflow.log_metric("cv_auc", cross_val_score(model, X, y, cv=some, scoring="roc_auc").mean())
            mlflow.end_run(status)

for label, condition in {"all": "", "finished": " AND attributes.status = 'FINISHED'"}.items():
    print(f"best of {label}:", children(parent.info.run_id, condition)["cv_auc"].round(3).head(1).to_dict())

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("nested_runs")

# %% [markdown]
# ## Key points
#
# - A search is a parent run, each candidate a child: `start_run(nested=True)`. The best finished child is promoted to
#   the parent under names of its own.
# - ``tags.`mlflow.parentRunId` = '…'`` finds the children, one level down.
# - A pruner stops weak trials early, so searches are compared by fits spent, and a lead smaller than the spread over
#   the folds is a tie.
# - A thread, process or machine does not know the open run: hand it the parent's id.
#
# ## Next steps
#
# - Do the [homework](../exercises/07_nested_runs.ipynb): four families of runs, one of them in threads.
# - Next lecture: what a logged model is made of.
# - Official page: [Tuning with child runs](https://mlflow.org/docs/latest/ml/getting-started/hyperparameter-tuning/).
# - Optional depth: change `seed` in the parameters cell and run all again. Does the same search win?
