# %% [markdown]
# # Logging: what a run can hold
#
# **What must a run hold, so that somebody else can check its number a year later?**
#
# We will build one run of the churn team that explains itself: settings, results, pictures, tables, and the data and
# code behind them. Then we measure what logging costs.
#
# Afterwards you can
# - **choose** between parameter, metric, tag and artifact, and **predict** which of them a second call replaces;
# - **log** a curve over steps, and a figure, a table, a text and a file;
# - **record** the data set, the seed and the git commit that made a number;
# - **avoid** a thousand slow calls, and a password in the store.
#
# **You need:** lectures {step:ml_workflow} and {step:mlflow_basics}.
#
# **Time:** 13 min to read · 19 min to do
#
# <!-- links -->
#
# ## Recall

# %%
from course_utils import lesson

lesson.quiz("logging", "recall")

# %% [markdown]
# ## The problem
#
# Ines, the governance officer, opens Mira's best run. It has one parameter and one number. "Which customers? Which
# code? Was the test set ever looked at? And who is this for?" Mira remembers half of it. A run can hold all of it, if
# she logs it while it happens.
#
# ## Setup

# %% tags=["parameters"]
seed = 0
n_rows = 2000
n_calls = 1000

# %%
import subprocess
import time

import mlflow
import pandas as pd
import seaborn
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report, confusion_matrix, log_loss, roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_utils import data, plots, store

store.connect()
split, client = data.churn_split(n_rows, seed, numeric=True), mlflow.MlflowClient()
experiment = mlflow.set_experiment("churn-logging")
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Round 1: choices, results and words
#
# | kind | what belongs there | call | a second call with the same name |
# |---|---|---|---|
# | parameter | a choice made before training | `log_param(s)` | refused, unless the value is the same |
# | metric | a number that came out | `log_metric(s)` | adds a point; the old one stays |
# | tag | a word about the run | `set_tag(s)` | replaces |
# | note | the story, in Markdown | `start_run(description=…)` | replaces |
# | artifact | any file | `log_figure`, `log_table`, … | replaces; a table grows |

# %%
settings = {"C": 0.5, "max_iter": 500, "seed": seed}

with mlflow.start_run(run_name="logistic", description="Baseline for **Tom's** call list.") as run:
    mlflow.log_params(settings)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=settings["C"], max_iter=settings["max_iter"]))
    model.fit(split.X_train, split.y_train)
    probability = model.predict_proba(split.X_test)[:, 1]
    loss, auc = log_loss(split.y_test, probability), roc_auc_score(split.y_test, probability)
    mlflow.log_metrics({"test_auc": auc, "test_loss": loss})
    mlflow.set_tags({"owner": "Mira", "stage": "draft"})

print(f"test ROC-AUC {auc:.3f}, log loss {loss:.3f}")

# %% [markdown]
# **Predict.** The next cell opens the *finished* run again by its id and logs more. Which call is refused: the tag,
# the metric or the parameter? And which number will the runs table show for `checks_passed`: 7 or 4?

# %%
prediction = {"refused": "?", "checks_passed": "?"}

# %%
with mlflow.start_run(run_id=run.info.run_id):
    mlflow.set_tag("stage", "reviewed")
    mlflow.log_metric("checks_passed", 7, step=2)
    mlflow.log_metric("checks_passed", 4, step=1)  # arrives late
    mlflow.log_param("C", 0.5)  # the same value again
    try:
        mlflow.log_param("C", 10)
    except mlflow.MlflowException as error:
        print("[param-changed]", str(error).splitlines()[0])

stored = mlflow.get_run(run.info.run_id).data
print("stage:", stored.tags["stage"], "| checks_passed:", stored.metrics["checks_passed"])
print("all points:", [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, "checks_passed")])

# %% [markdown]
# You should see the parameter refused: it is what the model was really trained with, so a new value means a new run.
# The tag is replaced. Of the metric *both* points are kept, and the table shows the **highest step**, whatever came
# in last.
#
# ### Steps
#
# Kept points make curves. Give each its step, here the epoch of a neural network:

# %%
network = MLPClassifier((8,), learning_rate_init=0.02, random_state=seed)
scaler = StandardScaler().fit(split.X_train)
train, test = scaler.transform(split.X_train), scaler.transform(split.X_test)

with mlflow.start_run(run_name="network") as curve:
    for epoch in range(60):
        network.partial_fit(train, split.y_train, classes=[0, 1])
        test_loss = log_loss(split.y_test, network.predict_proba(test)[:, 1])
        mlflow.log_metrics({"train_loss": network.loss_, "test_loss": test_loss}, step=epoch)

# %%
history = {name: client.get_metric_history(curve.info.run_id, name) for name in ("train_loss", "test_loss")}
losses = pd.DataFrame({name: {p.step: p.value for p in points} for name, points in history.items()})
title = "The training loss falls from {:.2f} to {:.2f}".format(*losses["train_loss"].iloc[[0, -1]])
epochs = losses.rename_axis("epoch").reset_index()[::3]
plots.show(plots.runs_line(epochs, "epoch", list(history), title=title, ylabel="log loss (nats)"))

# %% [markdown]
# Each point also carries a **timestamp**, in milliseconds, which is "now" unless you say otherwise. Say otherwise for
# a result that is older than your store, such as a row of Jonas's spreadsheet:

# %%
stamp = int(pd.Timestamp("2026-01-31", tz="UTC").timestamp() * 1000)
with mlflow.start_run(run_name="spreadsheet") as old:
    mlflow.log_metric("test_auc", 0.71, timestamp=stamp)
point = client.get_metric_history(old.info.run_id, "test_auc")[0]
print(pd.Timestamp(point.timestamp, unit="ms").date(), point.value)

# %% [markdown]
# ## Round 2: figures, tables and files
#
# What is not a number or a word is an **artifact**. First a figure, the confusion matrix as a seaborn heat map:

# %%
predicted = model.predict(split.X_test)
counts = confusion_matrix(split.y_test, predicted)
classes = ["stays", "leaves"]

fig, ax = plots.new_figure(width=4.6, height=3.6)
seaborn.heatmap(counts, annot=True, fmt="d", cmap="Blues", cbar=False, xticklabels=classes, yticklabels=classes, ax=ax)
ax.set(title=f"{counts[1, 1]} of {counts[1].sum()} leavers are found", xlabel="predicted", ylabel="true (customers)")
ax.grid(visible=False)
plots.show(plots.describe(fig, f"Confusion matrix, rows true, columns predicted (stays, leaves): {counts.tolist()}."))

# %%
calls = split.X_test.assign(true=split.y_test, predicted=predicted)
wrong = calls[calls["true"] != calls["predicted"]]
calls_file = store.outputs("04_logging") / "calls.csv"
calls.to_csv(calls_file)
scan = data.bundled("digits").drop(columns="target").iloc[0].to_numpy().reshape(8, 8) / 16

with mlflow.start_run(run_id=run.info.run_id):
    mlflow.log_figure(fig, "plots/confusion_matrix.png")
    mlflow.log_image(scan, "scans/meter_digit.png")  # an array of grey values, 0 to 1
    mlflow.log_table(wrong, "wrong.json")
    mlflow.log_dict({"classes": classes, "threshold": 0.5}, "labels.json")
    mlflow.log_text(classification_report(split.y_test, predicted, target_names=classes), "report.txt")
    mlflow.log_artifact(calls_file)  # a file that you have already

# %% [markdown]
# **Predict.** You log `report.txt` and `wrong.json` once more, each with two lines. What does each hold afterwards?

# %%
prediction = {"report.txt": "?", "wrong.json": "?"}  # old lines, new lines or both

# %%
with mlflow.start_run(run_id=run.info.run_id):
    mlflow.log_text("checked by Ines\nsee wrong.json", "report.txt")
    mlflow.log_table(wrong.head(2), "wrong.json")
report = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/report.txt").splitlines()
table = mlflow.load_table("wrong.json", run_ids=[run.info.run_id])
print(f"report.txt: {len(report)} lines | wrong.json: {len(wrong)} rows before, {len(table)} now")

# %% [markdown]
# You should see two lines, and two rows more: a file is replaced, a table **grows**. If your table grows with every
# *Run All*, you log into an old run; a new run starts empty.
#
# ### The tests of lecture {step:ml_workflow} are results too
#
# Do leavers differ? A t-test for a number, a chi-square test for a category, both on training rows only, and logged,
# so that nobody has to trust a remark in a slide. A slash in a name groups charts in the UI.

# %%
customers = data.churn(n_rows, seed).loc[split.X_train.index]
left, stayed = (customers[customers["churned"] == label] for label in (1, 0))
crosstab = pd.crosstab(customers["contract"], customers["churned"])
t_test = stats.ttest_ind(left["tenure_months"], stayed["tenure_months"], equal_var=False)
chi2, p_contract, freedom, _ = stats.chi2_contingency(crosstab)

with mlflow.start_run(run_name="tests"):
    mlflow.log_params({"alpha": 0.01, "test/tenure_months": "Welch t-test", "test/contract": "chi-square"})
    mlflow.log_metrics({"t/tenure_months": t_test.statistic, "p/tenure_months": t_test.pvalue})
    mlflow.log_metrics({"chi2/contract": chi2, "p/contract": p_contract, "freedom/contract": freedom})
    mlflow.log_text(crosstab.to_csv(), "contract_by_churn.csv")

print(f"tenure: t = {t_test.statistic:.1f} | contract: chi-square = {chi2:.1f}, {freedom} degrees of freedom")

# %% [markdown]
# ## Look at the UI
#
# With *Model training* chosen at the top left, open the experiment `churn-logging`, then the run `logistic`.
#
# 1. **Overview**: your note, parameters, metrics, tags; the pencil beside *Description* edits the note.
# 2. **Artifacts**: open the folder `plots` and click the picture, then `wrong.json`, which is shown as a table.
# 3. Click *Runs* on the left, then the run `network` and its tab **Model metrics**: the curves over steps.
#
# ## Round 3: where the number came from
#
# A **data set** in MLflow is not the rows, but a description: name, columns, size, and a **digest**, a short hash
# that should change when the rows change.
#
# **Predict.** Below, one charge changes, in row 15,000 of 22,000. Will the two digests differ?

# %%
prediction = "?"  # yes or no

# %%
big = data.churn(22_000, seed)
changed = big.assign(monthly_charges=big["monthly_charges"].mask(big.index == 15_000, 999.0))
before, after = (mlflow.data.from_pandas(t, targets="churned", name="customers") for t in (big, changed))
print("MLflow's digests differ:   ", before.digest != after.digest)
print("digests of all rows differ:", data.digest(big) != data.digest(changed))

# %% [markdown]
# You should see False, then True. MLflow hashes the **first 10,000 rows**, the row count and the column names, no more.
# `data.digest` hashes all of it (and takes longer), so log it beside the data set.
#
# Code has a digest as well: the **git commit**. MLflow adds tags about the source on its own. For a script they name
# the file and its commit; in JupyterLab the notebook, in a batch the kernel's launcher, and no commit. So set both.

# %%
status, commit = subprocess.getstatusoutput("git rev-parse HEAD")
commit = commit if status == 0 else "no git here"
source = {"mlflow.source.name": "04_logging.ipynb", "mlflow.source.git.commit": commit}
mlflow.set_system_metrics_sampling_interval(0.2)  # seconds; the default, 10, is too long for this run
mlflow.set_system_metrics_samples_before_logging(1)

with mlflow.start_run(run_name="traceable", tags=source, log_system_metrics=True) as traceable:
    mlflow.log_param("seed", seed)
    mlflow.log_input(before, context="training", tags={"sha256": data.digest(big)})
    time.sleep(1)  # stands for the training

stored = mlflow.get_run(traceable.info.run_id)
print("data set:", [(i.dataset.name, sorted(tag.key for tag in i.tags)) for i in stored.inputs.dataset_inputs])
print("system:", sorted(name for name in stored.data.metrics if "cpu" in name or "memory" in name)[:2])

# %% [markdown]
# `log_system_metrics` samples processor, memory, disk and network in the background; the run's tab *System metrics*
# draws them. A run shorter than one interval has none.
#
# ## Your turn
#
# Replace the three dots by **one line** that logs the dictionary `settings` as the file `settings.json`.
#
# <details><summary>One solution</summary>
#
# `mlflow.log_dict(settings, "settings.json")`
#
# </details>

# %%
with mlflow.start_run(run_name="your-turn") as yours:
    ...

files = [entry.path for entry in mlflow.artifacts.list_artifacts(run_id=yours.info.run_id)]
lesson.turn("settings.json" in files, "log_dict takes the dictionary, then the file name, which must end in .json.")

# %% [markdown]
# ## Pitfalls
#
# **`metric-as-param`: a result logged as a parameter.** It becomes text, which cannot be compared as a number.

# %%
with mlflow.start_run(run_name="nine") as nine:
    mlflow.log_param("auc_text", 0.9)
print("stored as:", repr(mlflow.get_run(nine.info.run_id).data.params["auc_text"]))
with lesson.expect_error(code="metric-as-param"):
    mlflow.search_runs(filter_string="params.auc_text > 0.8")

# %% [markdown]
# Repair: `log_metric`, in a new run. Then `metrics.auc > 0.8` works.
#
# **`secret-as-param`: a password among the settings.** `log_params(config)` is convenient, and logs everything.

# %%
config = {"C": 0.5, "seed": 0, "db_user": "jonas", "db_password": "correct-horse"}  # invented
with mlflow.start_run(run_name="leaky") as leaky:
    mlflow.log_params(config)
mlflow.delete_run(leaky.info.run_id)
print("after delete_run:", mlflow.get_run(leaky.info.run_id).data.params["db_password"])

# %% [markdown]
# A parameter can be neither changed nor removed, and `delete_run` moves the run to the trash, where it is still
# readable. Only `mlflow gc` (lecture {step:tracking_server}) deletes it. Repair: change the password, and log what you *name*, not all
# there is: `log_params({name: config[name] for name in ("C", "seed")})`.
#
# **`one-by-one`: a thousand values, a thousand calls.** Each call is a transaction in the database. Measure three
# ways: one call a value; one `log_batch` with all points; and *asynchronous* calls, which a thread writes later
# (`flush_async_logging` waits for it). Guess the order first.

# %%
seconds = {}
with mlflow.start_run(run_name="one-by-one"):
    start = time.perf_counter()
    for step in range(n_calls):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    seconds["one by one"] = time.perf_counter() - start

with mlflow.start_run(run_name="one-batch") as batch:
    start, now = time.perf_counter(), int(time.time() * 1000)
    values = [mlflow.entities.Metric("loss", 1 / (step + 1), now, step) for step in range(n_calls)]
    client.log_batch(batch.info.run_id, metrics=values)
    seconds["one batch"] = time.perf_counter() - start

# %% tags=["measured"]
with mlflow.start_run(run_name="asynchronous"):
    start = time.perf_counter()
    for step in range(n_calls):
        mlflow.log_metric("loss", 1 / (step + 1), step=step, synchronous=False)
    mlflow.flush_async_logging()
    seconds["asynchronous"] = time.perf_counter() - start

title = f"One batch takes {seconds['one batch'] / seconds['one by one']:.0%} of the time of single calls"
times, label = pd.Series(seconds), f"seconds for {n_calls} values"
fig = plots.bars(times, title=title, xlabel=label, highlight="one batch", digits=2)
words = ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items())
plots.show(plots.describe(fig, f"Time for {n_calls} values of one metric: {words}."))

# %% [markdown]
# You should see the batch far ahead. Asynchronous calls free your loop early, but a thread still writes them one by
# one, so on a SQLite file they stay far behind; they pay where a server is far away. Repair: collect, then `log_batch`;
# for several metrics of one step, `log_metrics`.
#
# **`data-version-missing`, the fourth, is the one you met in round 3**: a number without its data digest and seed
# cannot be made again. Nothing fails when it is missing. That is why it is missing so often.
#
# ## Quiz

# %%
lesson.quiz("logging")

# %% [markdown]
# ## Key points
#
# - A choice is a parameter (refused when changed), a result a metric (points pile up, the highest step shows), a word
#   a tag (replaced), everything else an artifact (replaced; tables grow).
# - `log_metrics(…, step=…)` makes curves; `log_figure`, `log_table`, `log_text`, `log_dict`, `log_image` and
#   `log_artifact` make files.
# - `log_input` records name and digest of the data; its digest sees 10,000 rows, so add your own, the seed and the
#   commit.
# - Log many values with one `log_batch`, and name the settings you log.
#
# ## Next steps
#
# - Do the [homework](../exercises/04_logging.ipynb): a run without the password, a curve in one call, files, data.
# - Next lecture: comparing runs.
# - Official page: [MLflow Tracking APIs](https://mlflow.org/docs/latest/ml/tracking/tracking-api/).
# - Optional depth: `mlflow.log_param("note", "x" * 7000)`. What is stored?
