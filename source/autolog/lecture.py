# %% [markdown]
# # Autologging
#
# **How much of the logging can MLflow do for you, and which of its numbers may you repeat to others?**
#
# We will build the same run by hand and automatically, find out which rows and which average stand behind the
# automatic numbers, let a search log its own child runs, and measure what all this costs. Folded parts marked *More*
# can wait.
#
# Afterwards you can
# - **switch** autologging on, with the options you mean, and off again;
# - **tell** which rows and which average an automatic number comes from, and **add** the number that counts;
# - **record** a search with all its candidates as child runs;
# - **avoid** the runs and the gaps that autologging makes behind your back.
#
# **You need:** [MLflow basics]({step:mlflow_basics}), [Logging]({step:logging}) and [Comparing
# runs]({step:comparing_runs}).
#
# **Time:** 18 min to read · 17 min to do. After Round 3 is a good place for a pause.
#
# <!-- links -->

# %% [markdown]
# ## Recall
#
# One question on an earlier lecture. Click an answer; each of them replies.

# %%
from course_utils import lesson

lesson.quiz("autolog", "recall")

# %% [markdown]
# ## The problem
#
# Mira logs what she thinks of. In October she did not think of `class_weight`, and now nobody can say why two models
# with the same recorded settings have different scores. So Jonas, the data engineer, added one line to her notebook
# that makes MLflow record everything by itself.
#
# Since then each run has dozens of entries. On Tuesday Tom read one of them, `training_recall_score`: 0.78. He told
# his team in customer care: "We will find 78 of 100 customers who leave." In truth the model finds 22 of 100, even
# among the customers it has learned from.
#
# Jonas's line switches on **autologging**: MLflow watches another library, here scikit-learn. When you fit a model or a
# pipeline, a run receives its settings and results, without a single `log_` line of yours. So nobody forgets what
# nobody has to type. The price is that you did not choose what is recorded, so you have to know it.
#
# ## Setup

# %% tags=["parameters"]
seed = 0
n_rows = 2000

# %%
import mlflow
import pandas as pd
import sklearn.metrics
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from course_utils import data, plots, store

store.connect()
mlflow.set_experiment("churn-autolog")
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %%
split = data.churn_split(n_rows, seed, numeric=True)
X_train, X_valid, y_train, y_valid = train_test_split(
    split.X_train,
    split.y_train.astype(float),
    test_size=0.3,
    stratify=split.y_train,
    random_state=seed,
)
print(f"{len(X_train)} customers to train on, {len(X_valid)} to choose by")

# %% [markdown]
# `store.connect()` stands for the lines of [MLflow basics]({step:mlflow_basics}) that point MLflow at the store.
#
# <details class="more"><summary>More: a warning that this course hides</summary>
#
# `store.connect()` also hides a `FutureWarning` about `y_pred`. You would see it at the first automatic fit of a
# classifier outside this course: MLflow 3.17 still calls scikit-learn 1.9 in an older way. The numbers are not
# affected.
#
# </details>
#
# ## Round 1: by hand and automatic, side by side
#
# This is what a careful person records by hand: the setting that was chosen, and the score on the validation rows.
# (The first line switches autologging off, in case a later cell had switched it on.)

# %%
mlflow.sklearn.autolog(disable=True)


def pipeline():
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.5))


with mlflow.start_run(run_name="by-hand") as by_hand:
    model = pipeline().fit(X_train, y_train)
    auc = roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1])
    mlflow.log_param("C", 0.5)
    mlflow.log_metric("valid_auc", auc)

# %% [markdown]
# Now `mlflow.sklearn.autolog` does it. It is called once, *before* the fit, and stays on until you switch it off. The
# option `log_models=False` leaves the model out; Round 5 tells why.
#
# **Predict.** By hand we recorded one parameter, `C`. How many will the automatic run hold: one as well, about five,
# or more than twenty?

# %%
prediction = "?"  # 1, 5 or more than 20

# %%
def contents(run):
    stored = mlflow.get_run(run.info.run_id)
    files = mlflow.artifacts.list_artifacts(run_id=run.info.run_id)
    inputs, outputs = stored.inputs.dataset_inputs, stored.outputs.model_outputs
    held = [stored.data.params, stored.data.metrics, files, inputs, outputs]
    names = ["parameters", "metrics", "files", "data sets", "models"]
    return pd.Series([len(part) for part in held], names)


mlflow.sklearn.autolog(log_models=False)
with mlflow.start_run(run_name="automatic") as automatic:
    pipeline().fit(X_train, y_train)
pd.DataFrame({"by hand": contents(by_hand), "automatic": contents(automatic)})

# %% tags=["claims"]
CHANGES = [{"n_rows": 1000}, {"seed": 3}]

assert contents(by_hand).tolist() == [1, 1, 0, 0, 0]
assert contents(automatic)["parameters"] > 20
assert contents(automatic)["data sets"] == 1 and contents(automatic)["models"] == 0

# %% [markdown]
# You should see more than twenty parameters: every setting of every step of the pipeline, also those that we left at
# their defaults. `class_weight` is among them, so October cannot happen again. If you see zeros, run the cell again:
# autologging was off when `fit` ran.

# %%
stored = mlflow.get_run(automatic.info.run_id)
some = ("C", "class_weight", "max_iter")
names = sorted(name for name in stored.data.params if name.endswith(some))
print("parameters:", *names, sep="\n  ")
print("metrics:", *sorted(stored.data.metrics), sep="\n  ")
files = mlflow.artifacts.list_artifacts(run_id=stored.info.run_id)
print("files:", *[file.path for file in files], sep="\n  ")
(used,) = stored.inputs.dataset_inputs
print("data set:", used.dataset.name, "| used for:", used.tags[0].value)

# %% tags=["claims"]
assert stored.data.params["logisticregression__class_weight"] == "None"
assert all(name.startswith("training_") for name in stored.data.metrics)
assert {file.path for file in files} == {
    "estimator.html",
    "training_confusion_matrix.png",
    "training_precision_recall_curve.png",
    "training_roc_curve.png",
}
assert used.tags[0].value == "train"
with mlflow.start_run(run_name="other-labels") as turned:
    pipeline().fit(X_train, 1 - y_train)
(same_rows,) = mlflow.get_run(turned.info.run_id).inputs.dataset_inputs
assert same_rows.dataset.digest == used.dataset.digest

# %% [markdown]
# `estimator.html` is the clickable diagram of the pipeline, as in [Pipelines]({step:pipelines}). The data set is
# recorded with its digest, as in [Logging]({step:logging}). For a DataFrame the digest covers `X` only: other labels
# for the same customers would not change it.
#
# The three pictures are drawn for you; here are two. In the left one, each row stands for a true class, 0 for those
# who stayed and 1 for those who left, and adds up to 1.

# %%
fig, axes = plots.new_figure(1, 2, width=10, height=3.6)
for ax, name in zip(axes, ("confusion_matrix", "roc_curve"), strict=True):
    uri = f"{stored.info.artifact_uri}/training_{name}.png"
    ax.imshow(mlflow.artifacts.load_image(uri))
    ax.set_axis_off()
found = sklearn.metrics.recall_score(y_train, model.predict(X_train))
fig.suptitle(f"Lower right: of those who left, the model finds {found:.0%}")
words = "Two pictures by MLflow, of the training rows: a confusion matrix, in which "
words += f"the lower right cell is {found:.2f}, and a ROC curve."
plots.show(plots.describe(fig, words))

# %% tags=["claims"]
assert 0.1 < found < 0.35
assert n_rows < 2000 or 0.15 < found < 0.27

# %% [markdown]
# What is missing: how the rows were drawn and split, the validation score, and any scaler or encoder fitted outside the
# pipeline.
#
# ## Round 2: which rows, and which average?
#
# All the names of the metrics begin with `training_`. **For scikit-learn, autologging scores the model on the rows
# that `fit` received**, because those are the only ones it has seen. A tree that may grow as deep as it likes shows
# what such a number is worth.
#
# <details class="more"><summary>More: what training_score is</summary>
#
# `training_score` is what the model's own `score` returns: the accuracy of a classifier, R² of a regressor, and for a
# search whatever its `scoring` says.
#
# </details>

# %%
with mlflow.start_run(run_name="deep-tree") as deep:
    tree = DecisionTreeClassifier(random_state=seed).fit(X_train, y_train)
    auc = roc_auc_score(y_valid, tree.predict_proba(X_valid)[:, 1])
    mlflow.log_metric("valid_auc", auc)

metrics = mlflow.get_run(deep.info.run_id).data.metrics
print({name: round(metrics[name], 2) for name in ("training_roc_auc", "valid_auc")})

# %% tags=["claims"]
assert metrics["training_roc_auc"] > 0.99 and metrics["valid_auc"] < 0.7

# %% [markdown]
# On its own rows the tree is close to perfect, because it has learned them by heart. On other customers it is not far
# from a coin toss, which would reach 0.5. So you add the score that counts by hand, into the same run: this one line
# stays yours.
#
# But Tom's mistake was another one. The lower right cell of the picture above is the **recall** of the churn class,
# with 2,000 customers about a fifth. (The cell to its left, what the model misses, happens to be 0.78 with seed 0, too;
# Tom's number does not come from there.)
#
# **Predict.** The option `pos_label=1` names the class that we care about. Precision, recall, F1 and accuracy are
# metrics of an automatic run. Which of the four will stay the same with this option?

# %%
prediction = "?"  # precision, recall, f1 or accuracy

# %%
mlflow.sklearn.autolog(log_models=False, pos_label=1)
with mlflow.start_run(run_name="automatic-churn-class") as churn_class:
    pipeline().fit(X_train, y_train)

averages = {}
for name, run in {"automatic": automatic, "pos_label=1": churn_class}.items():
    averages[name] = mlflow.get_run(run.info.run_id).data.metrics
names = [f"training_{name}_score" for name in ("precision", "recall", "f1", "accuracy")]
pd.DataFrame(averages).loc[names].round(3)

# %% tags=["claims"]
weighted, churn = averages["automatic"], averages["pos_label=1"]
assert abs(weighted["training_recall_score"] - weighted["training_accuracy_score"]) < 1e-12
assert 0.75 < weighted["training_recall_score"] < 0.85
assert churn["training_recall_score"] == found
assert (model.predict(X_train) == 0)[y_train == 0].mean() > 0.9
assert weighted["training_accuracy_score"] == churn["training_accuracy_score"]
assert weighted["training_f1_score"] > churn["training_f1_score"] + 0.3
assert weighted["training_precision_score"] > churn["training_precision_score"]
assert (n_rows, seed) != (2000, 0) or round(weighted["training_recall_score"], 2) == 0.78
assert (n_rows, seed) != (2000, 0) or (round(found, 2), round(1 - found, 2)) == (0.22, 0.78)
with mlflow.start_run(run_name="three-classes") as three:
    DecisionTreeClassifier(max_depth=2).fit(X_train, pd.qcut(X_train["tenure_months"], 3, labels=False))
kept = {name.removeprefix("training_") for name in mlflow.get_run(three.info.run_id).data.metrics}
assert "accuracy_score" in kept and not kept & {"precision_score", "recall_score", "f1_score"}

# %% [markdown]
# You should see the same accuracy twice, because it is about all rows and not about one class. The recall is about 0.8
# on the left, which is Tom's number, and on the right the low share of the picture. Neither is wrong; they answer
# different questions.
#
# By default autologging computes precision, recall and F1 for *each* class, and logs their **weighted average**: a
# class counts as much as it has rows. Most customers stay, and the model seldom errs about them. So the average hides
# the few who leave. The weighted recall *always* equals the accuracy, as in the left column: a class's recall times its
# rows is its number of right answers, and these add up to all right answers.
#
# `pos_label=1` makes autologging give the numbers of class 1, those who left. Say it whenever there are two classes
# and you care about one of them. It must be the label as it stands in `y`: 1 for numbers, `"yes"` for words.
#
# <details class="more"><summary>More: three classes</summary>
#
# With three or more classes and `pos_label`, MLflow warns, and leaves precision, recall and F1 out.
#
# </details>
#
# ## Round 3: scores on other rows
#
# Autologging records validation scores, too, but it silently misses every call that does not go through its hands. When
# you switch it on, MLflow replaces functions inside scikit-learn by **wrappers**. A wrapper calls the original
# function, returns its result to you, and writes it into the run:

# %% tags=["hide-input"] jupyter={"source_hidden": true}
boxes = {
    "full": (1.0, 2.5, "full name\nsklearn.metrics.\nf1_score(…)"),
    "early": (1.0, 0.5, "early import\nf1_score(…)"),
    "wrapper": (4.6, 2.5, "wrapper\nput there by\nautolog()"),
    "original": (4.6, 0.5, "original\nthe function of\nscikit-learn"),
    "run": (8.2, 2.5, "run\nin the store"),
}
arrows = [
    ("full", "wrapper", "finds"),
    ("wrapper", "original", "calls"),
    ("wrapper", "run", "writes"),
    ("early", "original", "finds"),
]
title = "A name that was imported before autolog() leads past MLflow"
plots.show(plots.diagram(boxes, arrows, title=title))

# %% [markdown]
# `from sklearn.metrics import f1_score` copies the function under a short name. Our setup did that before autologging
# was on, so the short name still means the original. The full name `sklearn.metrics.f1_score` is looked up at the
# moment of the call, and finds the wrapper.
#
# For `fit` and `score` the moment of the import does not matter: they belong to the class, which is changed in place.
#
# **Predict.** The next cell asks for three scores on the validation rows: the accuracy by `score`, the recall by the
# full name of its function, and F1 by the short name. How many of them will be recorded?

# %%
prediction = 0  # 0, 1, 2 or 3

# %%
with mlflow.start_run(run_name="scored") as scored:
    tree = DecisionTreeClassifier(max_depth=4, random_state=seed).fit(X_train, y_train)
    guess = tree.predict(X_valid)
    tree.score(X_valid, y_valid)
    sklearn.metrics.recall_score(y_valid, guess)
    f1_score(y_valid, guess)

metrics = mlflow.get_run(scored.info.run_id).data.metrics
pd.Series({k: v for k, v in metrics.items() if "X_valid" in k}).round(3)

# %% tags=["claims"]
others = {k: v for k, v in metrics.items() if not k.startswith("training_")}
assert set(others) == {"DecisionTreeClassifier_score_X_valid", "recall_score_X_valid"}
both_rows = mlflow.get_run(scored.info.run_id).inputs.dataset_inputs
assert {described.tags[0].value for described in both_rows} == {"train", "eval"}
hits = ((guess == 1) & (y_valid == 1)).sum()
assert abs(others["recall_score_X_valid"] - hits / y_valid.sum()) < 1e-12  # of class 1
calls = mlflow.artifacts.load_dict(f"{scored.info.artifact_uri}/metric_info.json")
assert set(calls) == set(others)
sklearn.metrics.roc_auc_score(y_valid, tree.predict_proba(X_valid)[:, 1])
assert mlflow.get_run(scored.info.run_id).data.metrics == metrics  # nothing was added

# %% [markdown]
# You should see two; the third call was missed without a word. (If you see three, autologging was on when you ran
# *Setup* again.)
#
# These are **post-training metrics**: MLflow remembers which rows an array of predictions came from, and takes the name
# of your variable, `X_valid`, into the name of the metric. Such a score is what *you* asked for: `recall_score` speaks
# of class 1 by its own default, whatever `pos_label` autologging has.
#
# An array that you changed is a new one to MLflow. So a ROC-AUC of `tree.predict_proba(X_valid)[:, 1]` is never
# recorded, whichever name you call. Because so much depends on names, use `log_metric` for the number that decides.
#
# <details class="more"><summary>More: where a post-training metric goes</summary>
#
# - The file `metric_info.json` in the run keeps the calls.
# - The score goes into the run of the `fit`, even when that run has ended and another one is open.
# - A second call with the same names adds `recall_score-2_X_valid`.
#
# </details>
#
# ## Round 4: a search and its children
#
# A grid search fits many models inside one `fit`. Autologging makes one run of it, the parent, and a **child run** for
# each candidate, whose tag `mlflow.parentRunId` names the parent. So candidates can be compared like any other runs.
#
# **Predict.** Our search tries eight depths. How many child runs will stand below its run?

# %%
prediction = 0  # your number

# %%
def search(name, **options):
    mlflow.sklearn.autolog(log_models=False, pos_label=1, **options)
    grid = {"max_depth": [1, 2, 3, 4, 5, 6, 8, 10]}
    tree = DecisionTreeClassifier(random_state=seed)
    with mlflow.start_run(run_name=name) as parent:
        found = GridSearchCV(tree, grid, scoring="roc_auc", cv=3).fit(X_train, y_train)
    below = f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
    return parent, found, mlflow.search_runs(filter_string=below)


parent, found, best_five = search("search-default")
parent, found, children = search("search-all", max_tuning_runs=None)
print("children by default:", len(best_five))
print("children with max_tuning_runs=None:", len(children))
chosen = mlflow.get_run(parent.info.run_id).data.params["best_max_depth"]
print("the parent says: best_max_depth =", chosen)

# %% tags=["claims"]
assert (len(best_five), len(children)) == (5, 8)
assert int(chosen) == found.best_params_["max_depth"]
table = pd.read_csv(mlflow.artifacts.download_artifacts(f"{parent.info.artifact_uri}/cv_results.csv"))
assert len(table) == 8
held = mlflow.get_run(parent.info.run_id).data.metrics
assert abs(held["training_score"] - held["training_roc_auc"]) < 1e-12
assert held["best_cv_score"] == found.best_score_ < held["training_roc_auc"]

# %% [markdown]
# You should see five and eight. By default only the five best candidates get a run, to spare your store when a grid is
# large. `max_tuning_runs=None` gives one to all. The full table is in the parent's file `cv_results.csv` in any case.
#
# The parent also has `best_cv_score`, the mean over the folds, which is measured on rows that each fit had not seen. So
# it is a number to choose by, unlike the `training_` metrics beside it. In the children this mean is `mean_test_score`;
# "test" means the fold left out, not our test rows:

# %%
columns = ["params.max_depth", "metrics.mean_test_score", "metrics.std_test_score"]
curve = children[columns].astype(float)
ranked = curve.sort_values("metrics.mean_test_score", ascending=False)
lead = ranked.iloc[0, 1] - ranked.iloc[1, 1]
spread = ranked.iloc[0, 2] * (3 / 2) ** 0.5  # scikit-learn divides by n, we by n - 1
title = f"Depth {chosen} leads by {lead:.3f}; between folds it varies by {spread:.3f}"
labels = {"xlabel": "max_depth (levels)", "ylabel": "ROC-AUC, mean of 3 folds"}
plots.show(plots.runs_line(curve, *columns[:2], title=title, **labels))

# %% tags=["claims"]
_std = children.set_index("params.max_depth")["metrics.std_test_score"][chosen]
assert lead >= 0 and abs(spread - _std * 1.5**0.5) < 1e-9

# %% [markdown]
# With seed 0 the lead is no larger than the spread, so do not call this depth the best one. [Nested
# runs]({step:nested_runs}) goes on from here.
#
# ## Round 5: options, and what they cost
#
# You have met the options `log_models`, `pos_label`, `max_tuning_runs` and `disable`. The next cell tries one more,
# `log_datasets=False`, which leaves out the data sets, and `disable` once again.
#
# <details class="more"><summary>More: the options on one page</summary>
#
# | option (default) | what it does |
# |---|---|
# | `log_models`, `log_model_signatures` (True) | keeps the model, with names and types of its columns |
# | `log_input_examples` (False) | keeps a few rows beside the model |
# | `serialization_format` ("cloudpickle") | file format of the model; "skops" loads only types its maker trusted |
# | `log_datasets` (True) | records a digest of the features you fit (of an array: with its labels; labels in a Series then make MLflow warn and record none), and of those you predict for afterwards |
# | `log_post_training_metrics` (True) | records scores after `fit`, as in Round 3 |
# | `max_tuning_runs` (5) | child runs of a search; `None` for all |
# | `pos_label` (None) | the class whose precision, recall and F1 are meant; None for weighted averages |
# | `exclusive` (False) | True: leaves runs alone that you opened yourself |
# | `silent` (False), `disable` (False) | hides MLflow's warnings; switches autologging off |
#
# </details>

# %%
for options in ({"log_datasets": False}, {"disable": True}):
    mlflow.sklearn.autolog(log_models=False, **options)
    with mlflow.start_run(run_name="options") as run:
        pipeline().fit(X_train, y_train)
    held = contents(run)
    print(options, held["parameters"], "parameters,", held["data sets"], "data sets")

# %% tags=["claims"]
assert contents(run).sum() == 0

# %% [markdown]
# You should see no data set with the first option, and nothing at all with the other. Each call sets *all* options
# anew: what it does not name goes back to its default. That is why every call in this lecture repeats
# `log_models=False`.
#
# And why that? The next cells time one fit in four ways: without any logging, with everything but the model, with the
# model logged by hand, and with the model kept by autologging.
#
# A model is kept with the list of packages that it needs, and with its **signature**, the names and types of its
# columns. By hand we pass both. Autologging takes no list: MLflow finds it out each time, usually by loading the model
# in a process of its own. To be fair, both write skops, the default of `log_model`; that of autologging is cloudpickle,
# which may run any code at loading.

# %%
import time

keep = {
    "pip_requirements": mlflow.sklearn.get_default_pip_requirements(include_skops=True),
    "signature": mlflow.models.infer_signature(X_train, y_train),
}


def seconds_of_a_fit(by_hand=False, **options):
    mlflow.sklearn.autolog(**options)
    with mlflow.start_run(run_name="cost") as run:
        start = time.perf_counter()
        model = pipeline().fit(X_train, y_train)
        if by_hand:
            mlflow.sklearn.log_model(model, name="model", **keep)
    return time.perf_counter() - start, run


# %%
bill = {}
bill["no logging"], _ = seconds_of_a_fit(disable=True)
bill["without model"], _ = seconds_of_a_fit(log_models=False)
bill["model by hand"], _ = seconds_of_a_fit(log_models=False, by_hand=True)

# %% tags=["measured"]
bill["model by autologging"], run = seconds_of_a_fit(serialization_format="skops")
seconds = pd.Series(bill)
times = seconds["model by autologging"] / seconds["without model"]
title = f"A fit whose model autologging keeps takes {times:.0f} times as long"
fig = plots.bars(seconds, title=title, xlabel="one fit (s)", digits=2)
words = ", ".join(f"{name} {taken:.2f} s" for name, taken in bill.items())
plots.show(plots.describe(fig, f"Time of one fit: {words}."))

# %%
(output,) = mlflow.get_run(run.info.run_id).outputs.model_outputs
info = mlflow.models.get_model_info(f"models:/{output.model_id}")
print("format:", info.flavors["sklearn"]["serialization_format"])
print("signature:", *info.signature.inputs.input_names()[:3], "…")

# %% tags=["claims"]
assert seconds.idxmax() == "model by autologging"
assert info.flavors["sklearn"]["serialization_format"] == "skops"
assert info.signature.inputs.input_names() == list(X_train.columns)
assert contents(run)["data sets"] == 1
with mlflow.start_run(run_name="skops-tree") as skops_tree:
    DecisionTreeClassifier(max_depth=2).fit(X_train, y_train)
assert contents(skops_tree)["parameters"] > 10 and contents(skops_tree)["metrics"] == 0

# %% [markdown]
# You should see the last bar the longest: finding out the packages takes most of it. The second bar is the price of the
# pictures and numbers. So work with `log_models=False`, and log by hand the one model that you keep: with its packages,
# and with a signature, which it has only when you give `signature` or `input_example`.
#
# <details class="more"><summary>More: models with trees</summary>
#
# With uv, MLflow reads the packages from the folder's `uv.lock`. For a model with trees, logging it by hand is the only
# way to the format skops in any case. It must be told which types to trust, as in [MLflow
# basics]({step:mlflow_basics}), and autologging has no option for that either. If you ask it for skops all the same,
# MLflow warns, and the run of the tree ends without any metric.
#
# </details>
#
# ## Look at the UI
#
# Open the UI: *MLflow UI* among the links at the top, or the command under *Setup*, at <http://127.0.0.1:5001>. When a
# panel *MLflow Assistant* opens at the right, close it with its cross. Choose *Model training* at the top left, then
# *Experiments* on the left, then `churn-autolog`.
#
# 1. Find the run `search-all`, and click the small **+** before its name: its eight children unfold. Below
#    `search-default` there are five.
# 2. Click the name `automatic`, then *Artifacts*. Open `training_confusion_matrix.png` and `estimator.html`. Click
#    *Runs* on the left to return to the table.
# 3. Tick the boxes of `deep-tree` and `scored`, click *Compare*, and switch on *Show diff only* of the parameters.
#    Only `max_depth` remains, the one setting in which the two trees differ.
#
# ![The table of runs: the eight children of search-all unfolded, after step 1](../site/_static/autolog_ui.png)
#
# ## Your turn
#
# The best of both: autologging fills the run, and you add what it cannot know. Give `options` a second entry, so that
# recall means the class that we care about. Replace the three dots by **one line** that logs the number in `auc` as the
# metric `valid_auc`; then run both cells.
#
# <details><summary>One solution</summary>
#
# `options = {"log_models": False, "pos_label": 1}`, and in place of the dots `mlflow.log_metric("valid_auc", auc)`
#
# </details>

# %% tags=["your-turn"]
options = {"log_models": False}
mlflow.sklearn.autolog(**options)
with mlflow.start_run(run_name="your-turn") as yours:
    model = pipeline().fit(X_train, y_train)
    auc = roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1])
    ...

# %% tags=["your-turn-solution"]
options = {"log_models": False, "pos_label": 1}
mlflow.sklearn.autolog(**options)
with mlflow.start_run(run_name="your-turn") as yours:
    model = pipeline().fit(X_train, y_train)
    auc = roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1])
    mlflow.log_metric("valid_auc", auc)

# %%
logged = mlflow.get_run(yours.info.run_id).data.metrics
own = logged["training_recall_score"] != logged["training_accuracy_score"]
hint = "log_metric takes the name and the number, inside the with block."
hint = hint if own else "Recall is still the average of both classes: see Round 2."
lesson.turn(own and logged.get("valid_auc") == auc, hint)

# %% [markdown]
# ## Pitfalls
#
# Each has a code, which the homework uses as well; `averaged-not-class` is Tom's mistake of Round 2. Here are three
# more.
#
# **`stray-runs`: runs that nobody asked for.** A model's `fit` outside a `with` block opens a run of its own.
# `cross_val_score` has a wrapper that keeps its folds quiet. But our setup imported the function by name before
# autologging was on, so we have the original, and each of its three fits becomes a run:

# %%
mlflow.sklearn.autolog(log_models=False)
from sklearn.model_selection import cross_val_score as imported_after

mlflow.set_experiment("churn-autolog-strays")
strays = {}
for when, function in {"before": cross_val_score, "after": imported_after}.items():
    runs_before = len(mlflow.search_runs())
    function(DecisionTreeClassifier(max_depth=3), X_train, y_train, cv=3)
    strays[when] = len(mlflow.search_runs()) - runs_before
    print(f"imported {when} autolog(): {strays[when]} extra runs")

# %% [markdown]
# To repair it, call it by its full name, `sklearn.model_selection.cross_val_score`, as in Round 3, or switch
# autologging off while you cross-validate. A loop over folds that you wrote yourself has no wrapper at all, so only the
# second way helps there:

# %%
mlflow.sklearn.autolog(disable=True)
runs_before = len(mlflow.search_runs())
cross_val_score(DecisionTreeClassifier(max_depth=3), X_train, y_train, cv=3)
repaired = len(mlflow.search_runs()) - runs_before
print("switched off:", repaired, "extra runs")

# %% tags=["claims"]
assert repaired == 0
assert strays == {"before": 3, "after": 0}

# %% [markdown]
# **`two-fits-one-run`: the run describes a model that never was.** A parameter cannot be changed, a metric can. After
# a second `fit` in the same run, the parameters are still those of the first model, and the metrics are those of the
# second. MLflow warns of it, but we hide this warning by `silent=True`:

# %%
mlflow.set_experiment("churn-autolog")
mlflow.sklearn.autolog(log_models=False, silent=True)
with mlflow.start_run(run_name="two-fits") as two_fits:
    for depth in (2, 12):
        tree = DecisionTreeClassifier(max_depth=depth, random_state=seed)
        tree.fit(X_train, y_train)

mixed = mlflow.get_run(two_fits.info.run_id).data
auc = mixed.metrics["training_roc_auc"]
print(f"max_depth {mixed.params['max_depth']} and training_roc_auc {auc:.3f}?")

# %% [markdown]
# No tree of depth 2 has such a score. To repair it, give each fit a run of its own, and move `start_run` into the
# loop:

# %%
mlflow.sklearn.autolog(log_models=False)
for depth in (2, 12):
    with mlflow.start_run(run_name=f"one-fit-depth-{depth}") as one_fit:
        tree = DecisionTreeClassifier(max_depth=depth, random_state=seed)
        tree.fit(X_train, y_train)
    clean = mlflow.get_run(one_fit.info.run_id).data
    auc = clean.metrics["training_roc_auc"]
    print(f"max_depth {clean.params['max_depth']} and training_roc_auc {auc:.3f}")

# %% tags=["claims"]
assert mixed.params["max_depth"] == "2"
assert mixed.metrics["training_roc_auc"] == clean.metrics["training_roc_auc"] > 0.85

# %% [markdown]
# **`not-autologged`: nothing is recorded, although you switched it on.** There are two switches: `mlflow.autolog()` for
# every library that MLflow can watch, and `mlflow.sklearn.autolog()` for scikit-learn alone. Once you have called the
# second, scikit-learn ignores the first. Below: `mlflow.sklearn` off, `mlflow` on, `mlflow.sklearn` on.
#
# <details class="more"><summary>More: other libraries have rules of their own</summary>
#
# Besides scikit-learn, MLflow can watch XGBoost, LightGBM, PyTorch Lightning, clients of language models, and more.
# XGBoost's scores, for one, are those of the sets that you pass for evaluation. So read the page of your library
# before you quote a number.
#
# </details>

# %%
seen = []
for library, off in ((mlflow.sklearn, True), (mlflow, False), (mlflow.sklearn, False)):
    library.autolog(disable=off, log_models=False)
    with mlflow.start_run(run_name="is-it-on") as run:
        DecisionTreeClassifier(max_depth=3).fit(X_train, y_train)
    seen.append("recorded" if contents(run)["parameters"] else "not recorded")
    print(f"after {library.__name__}.autolog(disable={off}): {seen[-1]}")

# %% tags=["claims"]
assert seen == ["not recorded", "not recorded", "recorded"]

# %% [markdown]
# To repair it, use the switch that you used before. Switch it off at the end of your work, or each later `fit` in this
# notebook makes a run.

# %%
mlflow.sklearn.autolog(disable=True)
mlflow.autolog(disable=True)

# %% [markdown]
# ## In your own project
#
# The same work without any help from this course, on scikit-learn's tumours; malignant is class 1. Open *Show the
# script*, copy it into a file `auto.py` in an empty folder and run `python auto.py`. After MLflow's reports on its
# tables it prints the run's metrics: quote those of the validation rows, not the `training_` ones.

# %% tags=["own-project"]
"""A search that records itself, and what it leaves out by hand: python auto.py"""

import warnings

import mlflow
import skops.io
from sklearn import metrics  # the module: its functions are looked up at the call
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.tree import DecisionTreeClassifier

mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("tumours-autolog")
# MLflow 3.17 calls scikit-learn 1.9 in an older way; the numbers are not affected.
warnings.filterwarnings("ignore", "`y_pred` was renamed", FutureWarning)
mlflow.sklearn.autolog(log_models=False, pos_label=1, max_tuning_runs=None)

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
y = (y == 0).astype(float)  # 1 is malignant
X_train, X_valid, y_train, y_valid = train_test_split(X, y, stratify=y, random_state=0)

with mlflow.start_run(run_name="tree-search") as run:
    grid = {"max_depth": [1, 2, 3, 4, 5], "random_state": [0]}
    search = GridSearchCV(DecisionTreeClassifier(), grid, scoring="roc_auc")
    best = search.fit(X_train, y_train).best_estimator_
    metrics.recall_score(y_valid, search.predict(X_valid))  # records itself
    auc = metrics.roc_auc_score(y_valid, search.predict_proba(X_valid)[:, 1])
    mlflow.log_metric("valid_auc", auc)  # roc_auc_score did not
    types = skops.io.get_untrusted_types(data=skops.io.dumps(best))
    assert types == ["sklearn.tree._tree.Tree"], types  # read before you trust
    needs = mlflow.sklearn.get_default_pip_requirements(include_skops=True)
    keep = {"skops_trusted_types": types, "pip_requirements": needs}
    mlflow.sklearn.log_model(best, name="tree", input_example=X_train.head(3), **keep)
mlflow.sklearn.autolog(disable=True)
for name, value in sorted(mlflow.get_run(run.info.run_id).data.metrics.items()):
    print(f"{name:30} {value:.3f}")

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("autolog")

# %% [markdown]
# ## Key points
#
# - **How do you switch it on and off?** `mlflow.sklearn.autolog(log_models=False, …)` before `fit`, and
#   `mlflow.sklearn.autolog(disable=True)` at the end. Each call sets all options anew.
# - **Which rows and which average is it?** With scikit-learn, what `fit` records comes from the training rows, and
#   precision, recall and F1 are weighted over the classes unless you name one by `pos_label`. Add the score that
#   counts by `log_metric`.
# - **What becomes of a search?** One run, with its five best candidates as children; `max_tuning_runs=None` keeps all.
# - **What does it do behind your back?** It makes a run of each fit outside a run, and mixes two fits inside one. It
#   misses a function that you imported by its short name too early, without saying so.
#
# ## Next steps
#
# - Do the [homework]({homework:autolog}): the best of both, a search, a clean cross-validation, an honest recall.
# - Next lecture: [Evaluation]({step:evaluation}), how good a model is, on which rows, and whether a lead is real.
# - Official pages: [Autologging](https://mlflow.org/docs/latest/ml/tracking/autolog/) and
#   [mlflow.sklearn](https://mlflow.org/docs/latest/api_reference/python_api/mlflow.sklearn.html), with all options.
# - Optional depth: give the `LogisticRegression` in `pipeline()` also `class_weight="balanced"`, and run all again.
#   What becomes of Tom's 0.78 and of the recall of class 1?
