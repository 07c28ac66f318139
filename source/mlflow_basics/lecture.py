# %% [markdown]
# # MLflow basics: experiments and runs
#
# **Which attempt gave the number in the slide, and can we have it back?**
#
# We will build two experiments, a random forest and a small neural network for the churn team, and find every run again
# in the MLflow UI.
#
# Afterwards you can
# - **create** an experiment and log a run with a parameter, a metric and a model;
# - **find** where runs are kept and **open** the UI on exactly that store;
# - **explain** what happens to a run whose code fails, and **repair** a run that was left open.
#
# **You need:** lecture {step:start_here}, a little scikit-learn.
#
# **Time:** 12 min to read · 18 min to do
#
# <!-- links -->

# %% [markdown]
# ## Recall
#
# One question on an earlier lecture. Click an answer; each one replies.

# %%
from course_utils import lesson

lesson.quiz("mlflow_basics", "recall")

# %% [markdown]
# ## The problem
#
# Mira predicts which customers will leave. On Monday she showed a slide: "ROC-AUC 0.76". On Thursday her team asks for
# that model. She has eleven notebooks, a spreadsheet with nine rows, and no idea which settings gave the number.
#
# MLflow solves this with two words. A **run** is one execution of training code, with everything worth keeping: settings
# (**parameters**), results (**metrics**), files (**artifacts**). An **experiment** is a named group of runs that answer
# the same question.

# %% [markdown]
# ## Setup
#
# The cell tagged `parameters` holds what you may change. `store.connect()` points MLflow at one database for the whole
# course, whatever folder this notebook runs in.

# %% tags=["parameters"]
seed = 0
n_rows = 2000

# %%
import mlflow
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_utils import data, plots, store

store.connect()
split = data.churn_split(n_rows, seed, numeric=True)
print(f"{len(split.X_train)} customers to train on, {len(split.X_test)} to test on")
print("Runs go to", mlflow.get_tracking_uri().rsplit("/", 1)[1])
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# Copy that last line into a terminal in the course folder, leave it running, and open <http://127.0.0.1:5001>. It is the
# same as `course ui`.
#
# **Where are runs kept?** The *tracking URI* says so. Today it is a SQLite database, `mlflow.db`, by default; older courses
# show a folder `./mlruns`.
#
# ## Round 1: one experiment, one run
#
# `set_experiment` takes a name, makes the experiment when it is new, and sends all later runs of this notebook there.
# The `with` block *is* the run: it starts at the top and ends at the bottom.

# %%
forest_experiment = mlflow.set_experiment("churn-forest")

with mlflow.start_run(run_name="100-trees") as run:
    forest = RandomForestClassifier(n_estimators=100, max_depth=5, random_state=seed)
    forest.fit(split.X_train, split.y_train)
    auc = roc_auc_score(split.y_test, forest.predict_proba(split.X_test)[:, 1])
    mlflow.log_param("n_estimators", 100)
    mlflow.log_metric("test_auc", auc)

print(f"{run.info.run_name}: test ROC-AUC {auc:.3f}")

# %% [markdown]
# **Predict.** What does the store say about this run now: is it RUNNING, FINISHED or FAILED? Write it down before you go on.

# %%
prediction = "?"  # RUNNING, FINISHED or FAILED

# %%
stored = mlflow.get_run(run.info.run_id)
print("status: ", stored.info.status)
print("params: ", stored.data.params)
print("metrics:", {name: round(value, 3) for name, value in stored.data.metrics.items()})

# %% [markdown]
# You should see FINISHED: leaving the `with` block ended the run. The parameter came back as text, `'100'`; a metric
# stays a number.
#
# The **run id**, 32 hexadecimal digits, is the run's only true name. Two runs may share the name `100-trees`; no two share
# an id. With it you get everything back, as `get_run` did above.
#
# ## Round 2: a second experiment
#
# A neural network answers another question ("is a network worth its trouble?"), so it gets an experiment of its own. This
# time you also keep the model: `store.log_model` stores it in a safe format, and lecture {step:models} opens the box.

# %%
mlflow.set_experiment("churn-network")

for units in (4, 16):
    with mlflow.start_run(run_name=f"{units}-units"):
        network = make_pipeline(StandardScaler(), MLPClassifier((units,), max_iter=600, random_state=seed))
        network.fit(split.X_train, split.y_train)
        network_auc = roc_auc_score(split.y_test, network.predict_proba(split.X_test)[:, 1])
        mlflow.log_param("units", units)
        mlflow.log_metric("test_auc", network_auc)
        store.log_model(network, "network", split.X_train)

# %% [markdown]
# **Predict.** The forest has one run, the network two. You go back to the forest's experiment **by its id** and log one
# more run. How many runs will each experiment have?

# %%
predicted_counts = {"churn-forest": 0, "churn-network": 0}  # your numbers

# %%
mlflow.set_experiment(experiment_id=forest_experiment.experiment_id)

with mlflow.start_run(run_name="stumps"):
    stumps = RandomForestClassifier(n_estimators=100, max_depth=1, random_state=seed)
    stumps.fit(split.X_train, split.y_train)
    mlflow.log_param("n_estimators", 100)
    mlflow.log_metric("test_auc", roc_auc_score(split.y_test, stumps.predict_proba(split.X_test)[:, 1]))

table = store.runs(["churn-forest", "churn-network"], max_results=4)  # the newest four
table.sort_values("test_auc", ascending=False).round(3)

# %% [markdown]
# You should see two runs of each experiment. If you see a name twice, a cell ran twice: *Run All* puts it right.
# `set_experiment` holds until the next call. `NaN` means that a run has no such value: forests have no `units`.

# %%
scores = table["test_auc"].groupby(level=0).max().sort_values()
fig = plots.bars(
    scores,
    title=f"{scores.idxmax()} has the best ROC-AUC of the {len(scores)} runs",
    xlabel="test ROC-AUC",
    baseline=0.5,
)
plots.show(fig)

# %% [markdown]
# ## Look at the UI
#
# Reload the UI, and choose *Model training* at the top left. It has six parts; click through them once:
#
# 1. **Experiment list**: click *Experiments* on the left, then `churn-network`.
# 2. **Runs table**: one row a run. *Sort: Created* → `test_auc` sorts it and shows the metric; *Columns* shows others.
# 3. **Search and filter** (above the table): type `metrics.test_auc > 0.76` and press Enter. Empty the field again.
# 4. **Plots**: tick both runs, then *Compare*: the first plot has parallel coordinates. Go back.
# 5. **Run details**: click a run's name. Status and run id stand under *About this run*.
# 6. **Artifacts and models**: there, under *Logged models*, click `network`, then its tab *Artifacts*. These files are
#    the model. Click one: the arrow at the top right downloads it.

# %% [markdown]
# ## Round 3: when the code fails
#
# **Predict.** The next run divides by zero in the middle. Does MLflow keep it, throw it away, or leave it open?

# %%
prediction = "?"  # kept, thrown away or left open

# %%
with lesson.expect_error(ZeroDivisionError):
    with mlflow.start_run(run_name="crash") as crash:
        mlflow.log_param("n_estimators", 0)
        mlflow.log_metric("trees_per_second", 1 / 0)

crashed = mlflow.get_run(crash.info.run_id)
print("status:", crashed.info.status, "| params:", crashed.data.params, "| metrics:", crashed.data.metrics)

# %% [markdown]
# You should see FAILED. What was logged before the error is kept, what comes after is not, and the error itself still
# reaches you. A failed run is worth having: it tells your team which road not to take again.
#
# ## Your turn
#
# Replace the three dots by **one line** that logs the parameter `max_depth` with the value 3. Then run both cells.
#
# <details><summary>One solution</summary>
#
# `mlflow.log_param("max_depth", 3)`
#
# </details>

# %%
with mlflow.start_run(run_name="your-turn") as yours:
    ...

# %%
logged = mlflow.get_run(yours.info.run_id).data.params
lesson.turn(logged.get("max_depth") == "3", "log_param takes the name and the value, inside the with block.")

# %% [markdown]
# ## Pitfalls
#
# Each has a code; the homework's checks use the same ones.
#
# **`wrong-experiment`: nobody named the experiment.** A new notebook that never calls `set_experiment` logs to the
# experiment `Default`. Repair: name the experiment at the top of every notebook, and throw the stray run away.
# `delete_run` moves it to the trash, where the UI can restore it.

# %%
mlflow.set_experiment("Default")  # what a fresh notebook starts with
with mlflow.start_run(run_name="lost") as lost:
    mlflow.log_metric("test_auc", auc)
print("This run landed in:", mlflow.get_experiment(lost.info.experiment_id).name)

mlflow.delete_run(lost.info.run_id)
mlflow.set_experiment("churn-forest")
print("It is now:", mlflow.get_run(lost.info.run_id).info.lifecycle_stage)

# %% [markdown]
# **`run-open`: logging outside a run.** Older texts say that this fails, or that it is ignored. It does neither: it opens
# a run with a made-up name and *leaves it open*. The next `start_run` then fails.

# %%
mlflow.log_metric("test_auc", 0.5)
print("A run is open:", mlflow.active_run() is not None)

with lesson.expect_error(code="run-open"):
    mlflow.start_run(run_name="next")

# %% [markdown]
# Repair: end it. Then log inside `with mlflow.start_run():` only, and this cannot happen.

# %%
mlflow.end_run()
print("A run is open:", mlflow.active_run() is not None)

# %% [markdown]
# **`other-store`: the UI shows nothing.** The UI was started on another database, often because it was started in another
# folder. Nothing is lost; you look in the wrong place. Here is a second, empty store, side by side with ours.

# %%
elsewhere = f"sqlite:///{store.outputs('03_mlflow_basics') / 'elsewhere.db'}"
store.create(elsewhere)
for where, client in {"ours": mlflow.MlflowClient(), "elsewhere": mlflow.MlflowClient(elsewhere)}.items():
    names = {experiment.name for experiment in client.search_experiments()}
    print(f"{where}: churn-forest is {'there' if 'churn-forest' in names else 'not there'}")

# %% [markdown]
# Repair: start the UI with the line that `store.ui_command()` prints. The same care is due for old material: a folder
# address is refused today. If you have such a folder, `mlflow migrate-filestore --source . --target sqlite:///mlflow.db`,
# run beside it, moves the runs over. Older courses hold more calls that are gone; the second cell shows what you hear
# when you try one, and what to write today.

# %%
with lesson.expect_error(mlflow.MlflowException):
    mlflow.set_tracking_uri("file:./mlruns")
    mlflow.search_experiments()
store.connect()
print("Back on", mlflow.get_tracking_uri().rsplit("/", 1)[1])

# %%
gone = {
    "client.search_runs": lambda: mlflow.MlflowClient().list_run_infos("0"),
    "run.info.run_id": lambda: run.info.run_uuid,
    "code_paths=…, in log_model too": lambda: mlflow.sklearn.save_model(forest, "forest", code_path=[]),
    "mlflow.models.evaluate(extra_metrics=…), see lecture {step:autolog}": lambda: mlflow.models.evaluate(custom_metrics=[]),
    "mlflow.validate_evaluation_results, see 06": lambda: mlflow.models.evaluate(baseline_model="churn"),
    "MetricThreshold(greater_is_better=…), see 06": lambda: mlflow.models.MetricThreshold(higher_is_better=True),
    "a pipeline of your own, see lecture {step:pipelines}": lambda: mlflow.recipes,
}
for today, old_call in gone.items():
    with lesson.expect_error(TypeError, AttributeError):
        old_call()
    print("    today:", today)

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("mlflow_basics")

# %% [markdown]
# ## Key points
#
# - `set_experiment` chooses (or makes) the group, by name or by id; `with start_run()` is one run; `log_param` keeps a
#   choice, `log_metric` a result, `log_model` the model.
# - The tracking URI says where runs are kept. The UI must be opened on the same store: print the command, don't guess it.
# - A run whose code raises is kept as FAILED. A run opened outside `with` stays open until `end_run`.
#
# ## Next steps
#
# - Do the [homework](../exercises/03_mlflow_basics.ipynb): two runs of your own and two changes in the UI.
# - Next lecture: everything else that a run can hold.
# - Official page: [MLflow Tracking](https://mlflow.org/docs/latest/ml/tracking/).
# - Optional depth: change `n_rows` in the parameters cell and run all again; which experiment profits?
