# %% [markdown]
# # MLflow basics: experiments and runs
#
# **Which attempt gave the number on the slide, and can we have it back?**
#
# We will build two experiments, one with random forests and one with small neural networks, and record every attempt in
# them. Then we find the best attempt again, load its model, and check that it still predicts what it predicted before.
# Folded parts marked *More* can wait.
#
# Afterwards you can
# - **say** where MLflow keeps what, and **point** it at a place of your choice;
# - **record** an attempt so that somebody else can repeat it: its settings, its result and its model;
# - **find** the best run, in code and in the UI, and **load** its model again;
# - **explain** what happens to a run whose code fails, and **close** a run that was left open.
#
# **You need:** [Pipelines]({step:pipelines}), for training and validation rows, and a little scikit-learn.
#
# **Time:** 20 min to read · 18 min to do
#
# <!-- links -->

# %% [markdown]
# ## Recall
#
# One question on an earlier lecture. Click an answer; each of them replies.

# %%
from course_utils import lesson

lesson.quiz("mlflow_basics", "recall")

# %% [markdown]
# ## The problem
#
# Mira predicts which customers of Nordtel, a telecom company, are about to leave. On Monday her slide said "ROC-AUC
# 0.77", and on Thursday the team asks for exactly that model. She has eleven notebooks, a spreadsheet with nine rows,
# and no idea which of them gave the number. She can train a model again, but she cannot show that it is *the* model.
#
# What Mira lacks is a record that is written while the work is done. MLflow keeps such a record, and it needs only two
# words:
#
# - A **run** is one execution of your training code, together with everything worth keeping about it: the settings you
#   chose (**parameters**), the numbers that came out (**metrics**), and files such as a picture (**artifacts**). A
#   trained model is kept with the run as well.
# - An **experiment** is a named group of runs that answer the same question, so that comparing them makes sense.
#
# ## What is where
#
# First look at the places that are involved. Most trouble with MLflow in the first week comes from mixing them up.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
from course_utils import plots

boxes = {
    "code": (1.0, 1.5, "your notebook\nimport mlflow"),
    "store": (4.6, 2.4, "backend store\na database of runs,\nsettings, results"),
    "files": (4.6, 0.6, "artifact store\na folder of models,\npictures, files"),
    "ui": (8.2, 1.5, "MLflow UI\nin your browser"),
}
arrows = [
    ("code", "store", "tracking\nURI"),
    ("code", "files", "artifact\nlocation"),
    ("ui", "store", "reads"),
    ("ui", "files", "reads"),
]
title = "Your code writes to two places, and the UI reads both"
plots.show(plots.diagram(boxes, arrows, title=title))

# %% [markdown]
# Your code sends small facts, such as names, numbers and times, to the **backend store**, here a database in a single
# file. It sends large things, such as models and pictures, to the **artifact store**, here a folder.
#
# The UI is a separate program that reads both. It shows exactly the store you start it on, and nothing else. If it is
# empty although your code ran, the two were pointed at different places.
#
# The address of the backend store is called the **tracking URI**. If neither your code nor the variable
# `MLFLOW_TRACKING_URI` gives one (code wins), MLflow uses a file `mlflow.db` and a folder `mlruns`, both *in the folder
# in which Python was started*. Two notebooks in two folders then do not see each other's runs, so we first say where we
# want them.
#
# ## Setup

# %% tags=["parameters"]
seed = 0
n_rows = 2000

# %%
import mlflow
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from course_utils import data, store

store.quiet()  # keeps MLflow's progress lines off this page

# %%
rows = {"n_rows": n_rows, "data_seed": seed, "valid_share": 0.3}
split = data.churn_split(n_rows, seed, numeric=True)
X_train, X_valid, y_train, y_valid = train_test_split(
    split.X_train,
    split.y_train.astype(float),  # whole numbers make MLflow warn about gaps
    test_size=rows["valid_share"],
    stratify=split.y_train,
    random_state=seed,
)
print(f"{len(X_train)} customers to train on, {len(X_valid)} to choose by,", end=" ")
print(f"{len(split.X_test)} for the test at the end")

# %% [markdown]
# `numeric=True` keeps only the six numeric columns. All attempts are compared on the validation rows. The test rows
# stay closed until the choice has been made, because a score that helped to choose a model is too good to be believed.
#
# The next line is the whole configuration: `sqlite:///`, followed by the path of a file. MLflow makes the file when it
# is not there yet.

# %%
home = store.home()  # the folder of this course on your disk
mlflow.set_tracking_uri(f"sqlite:///{home / 'mlflow.db'}")
print("runs go to the file", mlflow.get_tracking_uri().rsplit("/", 1)[1])

# %% [markdown]
# In JupyterLab, *MLflow UI* among the links at the top shows this store. Elsewhere, open <http://127.0.0.1:5001>. If
# nothing is there, type the next line in a terminal **in the course folder**, activated as in [Start
# here]({step:start_here}), leave it running, and wait a minute.
#
# ```
# mlflow ui --backend-store-uri sqlite:///mlflow.db --port 5001
# ```
#
# ## Round 1: one experiment, one run
#
# An experiment needs a name. When you make one, you may also say where its files shall go, as an address that `as_uri`
# makes of a path. You cannot change that place later, so say it now.
#
# `set_experiment` then makes the experiment the current one: every run of this notebook goes there until you choose
# another.

# %%
name = "churn-forest"
if mlflow.get_experiment_by_name(name) is None:
    mlflow.create_experiment(name, artifact_location=(home / "mlartifacts").as_uri())
experiment = mlflow.set_experiment(name)

print("experiment:", experiment.name)
print("its files go to the folder", experiment.artifact_location.rsplit("/", 1)[1])

# %% [markdown]
# The store remembers the full path of the place, so the files get lost from view when somebody moves the folder. Choose
# a place that stays.
#
# <details class="more"><summary>More: no place named, and store.connect()</summary>
#
# Had we called `set_experiment("churn-forest")` alone, MLflow would have made the experiment as well, with its files in
# the folder `mlruns` beside this notebook. A notebook elsewhere would make another one. An experiment that is made *in
# the UI* gets the place `mlflow-artifacts:/…`, where code with a `sqlite:///` address cannot log files: make
# experiments in code. With a tracking server, name no place: a path means *your* disk, where colleagues find nothing.
#
# Later lectures write `store.connect()`, which is the line `set_tracking_uri`, plus a folder for the files and a check
# that the database can be used.
#
# </details>
#
# Now the run itself. Everything inside the `with` block belongs to it: the run begins at the top and ends at the
# bottom.
#
# Record *every* setting that the result depends on, because the one that you leave out is the one that somebody will
# ask for. Keep the settings in a dictionary, build the model from it, and record the same dictionary: then the record
# cannot disagree with the code. The dictionary `rows`, from the setup, says which customers were used.

# %%
settings = {"n_estimators": 100, "max_depth": 3, "random_state": seed}

with mlflow.start_run(run_name="first-try") as run:
    forest = RandomForestClassifier(**settings).fit(X_train, y_train)
    auc = roc_auc_score(y_valid, forest.predict_proba(X_valid)[:, 1])

    mlflow.log_params(settings | rows)
    mlflow.log_metric("valid_auc", auc)

print(f"{run.info.run_name}: ROC-AUC {auc:.3f} on the validation rows")

# %% [markdown]
# **Predict.** The block has ended. What will the store say about this run: RUNNING, FINISHED or FAILED?

# %%
prediction = "?"  # RUNNING, FINISHED or FAILED

# %%
stored = mlflow.get_run(run.info.run_id)
print("status:    ", stored.info.status)
print("parameters:", stored.data.params)
rounded = {key: round(value, 3) for key, value in stored.data.metrics.items()}
print("metrics:   ", rounded)

# %% tags=["claims"]
CHANGES = [{"n_rows": 1000}, {"seed": 3}]

assert stored.info.status == "FINISHED"
assert stored.data.params["max_depth"] == "3"  # a parameter comes back as text
assert len(run.info.run_id) == 32
assert mlflow.active_run() is None

# %% [markdown]
# You should see FINISHED, because leaving the `with` block ended the run. If you see another status, that cell stopped
# with an error; run it again.
#
# The parameters came back as text, `'3'` and not `3`: a parameter is a label. A metric stays a number, so runs can be
# sorted by it.
#
# `get_run` took a **run id**, 32 characters that MLflow made up. Two runs may share a name, but an id never changes and
# never repeats. With it you get everything back.
#
# ## Round 2: keep the model, too
#
# With its settings you could train the model again, and hope that it comes out the same. It is better to keep the model
# itself, with `mlflow.sklearn.log_model`.
#
# A stored model is loaded later, perhaps by somebody else, and must not run code that nobody has read. So MLflow's
# format **skops** (on Databricks add `serialization_format="skops"`) loads only types known to be harmless. You say
# which others to trust.
#
# Answer with care, and load only models of people whom you trust: your answer is stored with the model, and whoever
# loads it with MLflow is not asked again. Here we ask which other types there are:

# %%
import skops.io

found = skops.io.get_untrusted_types(data=skops.io.dumps(forest))
print(found)

# %% [markdown]
# Read such a list before you trust it. This one has a single name: the tree of scikit-learn, of which a forest is made.
# We expected that, so we write it down as our list. A name that you do not know is a reason to stop; [Portable
# models]({step:portable_models}) shows what an attacker would put there.
#
# Now three forests, each recorded with its model; the second has the settings of `first-try`. `log_model` refuses a
# type that is not on our list; the `assert` in the loop also notices a name on it that is not needed. Three things are
# new:
#
# - The parameter `model` says which kind of model it is.
# - `pip_requirements` names the packages, with their versions, that the model needs in order to be loaded.
# - `input_example` keeps three rows, from which MLflow knows the names and types of the columns.
#
# <details class="more"><summary>More: why we name the packages ourselves</summary>
#
# Without `pip_requirements` MLflow finds the packages out by itself, which takes several seconds for every model. Here
# the list is made once, in front of the loop, and passed with each of the three. It names scikit-learn and skops only:
# add each further library that your model uses, such as LightGBM.
#
# </details>

# %%
trusted = ["sklearn.tree._tree.Tree"]
packages = mlflow.sklearn.get_default_pip_requirements(include_skops=True)

for depth in (1, 3, 8):
    settings = {"n_estimators": 100, "max_depth": depth, "random_state": seed}
    with mlflow.start_run(run_name=f"forest-depth-{depth}"):
        forest = RandomForestClassifier(**settings).fit(X_train, y_train)
        mlflow.log_params({"model": "forest"} | settings | rows)
        scores = forest.predict_proba(X_valid)[:, 1]
        mlflow.log_metric("valid_auc", roc_auc_score(y_valid, scores))

        assert skops.io.get_untrusted_types(data=skops.io.dumps(forest)) == trusted
        mlflow.sklearn.log_model(
            forest,
            name="forest",
            skops_trusted_types=trusted,
            pip_requirements=packages,
            input_example=X_train.head(3),
        )

# %% tags=["claims"]
assert found == trusted

# %% [markdown]
# ## Round 3: which was it, and can we have it back?
#
# `search_runs` asks the store and returns a table with one row for each run. The filter keeps the forests that were
# recorded with these customers; `first-try` has no model and is left out. In a filter, the value of a parameter stands
# in quotes, because it is text.
#
# **Predict.** Three depths were tried: 1, 3 and 8. A tree of depth 1 asks each customer a single question. Which depth
# will be last in the table?

# %%
prediction = 0  # 1, 3 or 8

# %%
same_rows = f"params.n_rows = '{n_rows}' and params.data_seed = '{seed}'"
runs = mlflow.search_runs(
    experiment_names=["churn-forest"],
    filter_string=f"attributes.run_name LIKE 'forest-%' and {same_rows}",
    order_by=["metrics.valid_auc DESC"],
)
# one row for each depth, in case you ran a cell twice
runs = runs.drop_duplicates("params.max_depth", ignore_index=True)
columns = ["tags.mlflow.runName", "params.max_depth", "metrics.valid_auc"]
runs[columns].round(3)

# %% tags=["claims"]
assert len(runs) == 3
assert runs["metrics.valid_auc"].is_monotonic_decreasing
assert n_rows < 2000 or seed > 2 or runs["params.max_depth"].iloc[-1] == "1"
scores = runs.set_index("params.max_depth")["metrics.valid_auc"]
assert scores["3"] == auc  # the same settings, the same score as first-try

# %% [markdown]
# With 2,000 customers and the seed 0, 1 or 2 you should see depth 1 at the bottom: one question a tree is too little to
# tell customers apart. With other customers the order can change, because the three scores are close. Depth 3 has, to
# the last digit, the score of `first-try`: same settings, same rows, same result.
#
# Now the second half: can we have it back? From here on we use none of the notebook's own models. The run's
# `outputs.model_outputs` lists its models, in no order (here one); `models:/` followed by that model's id is its
# address. To see whether the record is complete, we also train a forest again from the recorded settings.

# %%
best = mlflow.get_run(runs.iloc[0].run_id)
model_id = best.outputs.model_outputs[0].model_id
loaded = mlflow.sklearn.load_model(f"models:/{model_id}")

recorded = best.data.params
again = RandomForestClassifier(
    n_estimators=int(recorded["n_estimators"]),
    max_depth=int(recorded["max_depth"]),
    random_state=int(recorded["random_state"]),
).fit(X_train, y_train)

same = (loaded.predict_proba(X_valid) == again.predict_proba(X_valid)).all()
print("best run:", best.info.run_name)
print("loaded and retrained predict exactly the same:", same)

# %% tags=["claims"]
assert same
assert roc_auc_score(y_valid, loaded.predict_proba(X_valid)[:, 1]) == best.data.metrics["valid_auc"]

# %% [markdown]
# You should see `True`. This answers Mira's question: the run says which attempt it was. Its settings, with the same
# rows and the same version of scikit-learn, repeat it. And with its model, nothing need be repeated.
#
# The choice has been made, so the test rows may be opened, once. The result belongs in the record of the run. A run
# that has ended can still receive a metric, if you name the run by its id:

# %%
test_auc = roc_auc_score(split.y_test, loaded.predict_proba(split.X_test)[:, 1])
mlflow.log_metric("test_auc", test_auc, run_id=best.info.run_id)
print(f"validation {best.data.metrics['valid_auc']:.3f}, test {test_auc:.3f}")

# %% tags=["claims"]
assert mlflow.get_run(best.info.run_id).data.metrics["test_auc"] == test_auc
assert (n_rows, seed) != (2000, 0) or round(test_auc, 2) == 0.77

# %% [markdown]
# With 2,000 customers and seed 0, this is 0.77, as on Mira's slide, but now with a run, settings and a model behind it.
#
# <details class="more"><summary>More: a test score above the validation score</summary>
#
# That the test gave a higher number than the validation rows is luck of the draw: both have only a few hundred
# customers.
#
# </details>
#
# ## Round 4: a second experiment
#
# Is a neural network worth its trouble? That is another question, so it gets an experiment of its own. Our list of
# trusted types changes, too: a network contains the optimizer that trained it, and no tree.

# %%
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

name = "churn-network"
if mlflow.get_experiment_by_name(name) is None:
    mlflow.create_experiment(name, artifact_location=(home / "mlartifacts").as_uri())
mlflow.set_experiment(name)

settings = {"hidden_layer_sizes": 8, "max_iter": 1000, "random_state": seed}
network = make_pipeline(StandardScaler(), MLPClassifier(**settings))
network.fit(X_train, y_train)
print(skops.io.get_untrusted_types(data=skops.io.dumps(network)))

# %%
optimizer = "sklearn.neural_network._stochastic_optimizers.AdamOptimizer"
with mlflow.start_run(run_name="network-8-units"):
    mlflow.log_params({"model": "network"} | settings | rows)
    scores = network.predict_proba(X_valid)[:, 1]
    mlflow.log_metric("valid_auc", roc_auc_score(y_valid, scores))
    mlflow.sklearn.log_model(
        network,
        name="network",
        skops_trusted_types=[optimizer],
        pip_requirements=packages,
        input_example=X_train.head(3),
    )

# %% [markdown]
# Runs of two experiments can still be compared: you name both in the search. That is fair here because both measured
# the same metric on the same validation rows, and the filter keeps only such runs.
#
# <details class="more"><summary>More: one experiment or two?</summary>
#
# In the UI you would tick both experiments in the list and press *Compare*. That is one more step each time. So if you
# expect to compare two kinds of model every day, put them into one experiment and tell them apart by a parameter, as
# `model` is here.
#
# </details>

# %%
both = mlflow.search_runs(
    experiment_names=["churn-forest", "churn-network"],
    # any text will do: the runs that say which kind of model they are
    filter_string=f"params.model LIKE '%' and {same_rows}",
    order_by=["metrics.valid_auc DESC"],
).drop_duplicates("tags.mlflow.runName")
auc_by_run = both.set_index("tags.mlflow.runName")["metrics.valid_auc"]

lead = auc_by_run.iloc[0] - auc_by_run.iloc[1]
title = f"{auc_by_run.index[0]} is ahead by {lead:.3f}"
label = "ROC-AUC on the validation rows"
plots.show(plots.bars(auc_by_run, title=title, xlabel=label, baseline=0.5))

# %% [markdown]
# A lead of some thousandths on a few hundred customers decides nothing; [Nested runs]({step:nested_runs}) shows how to
# tell a real lead from luck.
#
# ## When the code fails
#
# We go back to the forests, this time **by the id** of the experiment. A name can be changed, in the UI as well; the id
# stays.
#
# **Predict.** What does MLflow do with a run whose code raises an error half-way, for example because a column is
# missing: does it keep the run, throw it away, or leave it open?

# %%
prediction = "?"  # kept, thrown away or left open

# %%
mlflow.set_experiment(experiment_id=experiment.experiment_id)
try:
    with mlflow.start_run(run_name="crash") as crash:
        mlflow.log_param("n_estimators", 0)
        mlflow.log_metric("seconds_per_tree", 1 / 0)
except ZeroDivisionError as error:
    print("Python:", error)

crashed = mlflow.get_run(crash.info.run_id)
print("status:", crashed.info.status)
print("parameters:", crashed.data.params, "metrics:", crashed.data.metrics)

# %% tags=["claims"]
assert crashed.info.status == "FAILED"
assert crashed.data.params == {"n_estimators": "0"} and not crashed.data.metrics
assert crashed.info.experiment_id == experiment.experiment_id

# %% [markdown]
# You should see FAILED. MLflow kept what was logged before the error and nothing after it. So such a run can have a
# score and no model: where you search for a best run, add `and attributes.status = 'FINISHED'`. It did not swallow the
# error: without `try`, your notebook would have stopped there.
#
# <details class="more"><summary>More: a process that is killed</summary>
#
# One case escapes the block: a process that is *killed*, as Linux does when the memory runs out, writes nothing any
# more. Its run says RUNNING until you end it by its id, with `mlflow.MlflowClient().set_terminated(run_id, "KILLED")`.
#
# </details>
#
# ## Look at the UI
#
# Open the UI as told under *Setup*, or reload it. When a panel *MLflow Assistant* opens at the right, close it with its
# cross: it takes the room that the table needs. Then choose *Model training* at the top left, and click through the six
# parts once.
#
# 1. **Experiments.** Click *Experiments* on the left, then `churn-forest`. To come back to the list later, click
#    *Experiments* above the title, or the arrow beside the experiment's name.
# 2. **Runs table.** One row is one run; a red cross in *Created* is a run that failed. Click *Sort: Created* and
#    choose `valid_auc`: the best run is now on top. Its column has been added at the far right. To see it without
#    scrolling, open *Columns* and untick *Dataset* and *Source*; tick `max_depth` there as well.
# 3. **Search.** Type `metrics.valid_auc > 0.72` into the field above the table and press Enter. It is the filter of
#    `search_runs`. To see all runs again, click the cross in the field; this also puts the sorting back.
# 4. **Plots.** Tick the boxes of two forests and click *Compare*. The first plot has one line for each run, across its
#    settings and its score. Then use the browser's back button.
# 5. **Run details.** Click the name `forest-depth-3`. You find its metrics and parameters, and under *About this run*
#    its status and its run id.
# 6. **Models and artifacts.** On the same page, under *Logged models*, click `forest`, then *Artifacts*. These files
#    are the model. Click `MLmodel`, and find the list of trusted types in it. The arrow at the top right downloads
#    the file.
#
# ![The runs table, sorted by valid_auc, after step 2](../site/_static/mlflow_basics_ui.png)
#
# Two kinds of runs in the picture, half-recorded and your-turn, come from cells further down.
#
# ## Your turn
#
# One more forest, with depth 12. Replace the three dots by **one line** that records all its settings; then run both
# cells.
#
# <details><summary>One solution</summary>
#
# `mlflow.log_params(settings | rows)`
#
# </details>

# %% tags=["your-turn"]
settings = {"n_estimators": 100, "max_depth": 12, "random_state": seed}

with mlflow.start_run(run_name="your-turn") as yours:
    deep = RandomForestClassifier(**settings).fit(X_train, y_train)
    ...

# %% tags=["your-turn-solution"]
settings = {"n_estimators": 100, "max_depth": 12, "random_state": seed}

with mlflow.start_run(run_name="your-turn") as yours:
    deep = RandomForestClassifier(**settings).fit(X_train, y_train)
    mlflow.log_params(settings | rows)

# %%
kept = mlflow.get_run(yours.info.run_id).data.params
missing = [key for key in settings if kept.get(key) != str(settings[key])]
hint = f"the run does not say {', '.join(missing)}. log_params takes a dictionary."
lesson.turn(not missing, hint)

# %% [markdown]
# ## Pitfalls
#
# Each of them has a code, and the checks of the homework use the same codes.
#
# **`run-open`: something was logged outside a `with` block.** This raises no error: MLflow opens a run with a made-up
# name, writes the value into it, and leaves it open. The trouble appears later, at the next `start_run`:

# %%
mlflow.log_metric("valid_auc", 0.5)  # no run is open here
print("a run is open now:", mlflow.active_run() is not None)
try:
    mlflow.start_run(run_name="next")
except Exception as error:
    print("MLflow:", str(error).split(". ")[1])

# %% [markdown]
# To repair it, end the run. This one holds nothing of value, so it goes into the trash, from where the UI could restore
# it. To prevent it, log only inside `with mlflow.start_run():`. Otherwise MLflow ends the run when Python stops, and
# writes FINISHED, even if the script died of an error.

# %%
stray = mlflow.active_run().info.run_id
mlflow.end_run()
mlflow.delete_run(stray)
print("a run is open now:", mlflow.active_run() is not None)

# %% tags=["claims"]
assert mlflow.active_run() is None

# %% [markdown]
# **`param-missing`: a setting was left out.** Here are two forests of which only the number of trees was recorded,
# because somebody changed "only one thing for a moment". In the store they look like twins, with two different scores:

# %%
for depth in (1, 8):
    with mlflow.start_run(run_name="half-recorded") as half:
        forest = RandomForestClassifier(100, max_depth=depth, random_state=seed)
        forest.fit(X_train, y_train)
        mlflow.log_param("n_estimators", 100)
        auc = roc_auc_score(y_valid, forest.predict_proba(X_valid)[:, 1])
        mlflow.log_metric("half_auc", auc)
    print(mlflow.get_run(half.info.run_id).data.params, round(auc, 3))

# %% tags=["claims"]
assert mlflow.get_run(half.info.run_id).data.params == {"n_estimators": "100"}

# %% [markdown]
# Two numbers, one description: nobody can say which depth gave which. Here the second forest is still in this notebook,
# so it can be asked: a parameter can be added afterwards, though never changed. The lasting repair is one dictionary
# for model and record, as in Round 1.

# %%
mlflow.MlflowClient().log_param(half.info.run_id, "max_depth", forest.max_depth)
print(mlflow.get_run(half.info.run_id).data.params)

# %% [markdown]
# **`other-store`: the UI shows nothing.** Nothing is lost; you look at another store, usually because the UI or a
# notebook was started in another folder. We make such a store beside ours, and ask both for the same experiment:

# %%
other = store.outputs("mlflow_basics") / "elsewhere.db"
clients = {
    "ours": mlflow.MlflowClient(),
    "elsewhere": mlflow.MlflowClient(f"sqlite:///{other}"),
}
for where, client in clients.items():
    known = client.get_experiment_by_name("churn-forest") is not None
    print(f"{where}: churn-forest is {'there' if known else 'not there'}")

# %% tags=["claims"]
assert clients["ours"].get_experiment_by_name("churn-forest")
assert not clients["elsewhere"].get_experiment_by_name("churn-forest")

# %% [markdown]
# To repair it, compare two addresses: what `mlflow.get_tracking_uri()` says in the notebook, and what stands behind
# `--backend-store-uri` in the terminal. A path without its folder, as in `sqlite:///mlflow.db`, begins where the
# program was started. So compare the folders, too.

# %% [markdown]
# ## If you have an old folder `./mlruns` (can wait)
#
# For runs that an older MLflow has left there.

# %% [markdown]
# MLflow used to keep runs in a folder `mlruns` of small text files, with a `meta.yaml` for each experiment. Since
# version 3.13 it refuses such a folder. (A `mlruns` without them holds only models and files of a database: leave it as
# it is.)
#
# The next cell makes an old folder, with one run and one file, and tries to open it:
#
# <details class="more"><summary>More: how the cell makes an old folder</summary>
#
# MLflow kept runs in `mlruns` unless you named a database, and many tutorials still do. The variable
# `MLFLOW_ALLOW_FILE_STORE` still allows this, so the cell sets it for a moment, and deletes it before it tries to open
# the folder as you would.
#
# </details>

# %%
import os
import tempfile
from pathlib import Path

old = Path(tempfile.mkdtemp())  # a scratch folder in place of your old project
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # only to make an old folder
client = mlflow.MlflowClient((old / "mlruns").as_uri())
old_run = client.create_run(client.create_experiment("thesis"), run_name="ch-3")
client.log_text(old_run.info.run_id, "0.71 on Friday", "notes.txt")
client.set_terminated(old_run.info.run_id)
del os.environ["MLFLOW_ALLOW_FILE_STORE"]
try:
    mlflow.MlflowClient(str(old / "mlruns")).search_experiments()
except mlflow.MlflowException as error:
    print("MLflow:", str(error).split("(")[0] + "… is in maintenance mode")

# %% [markdown]
# MLflow brings a command that copies the runs into a **new** database. If a `mlflow.db` is there already, write another
# name: to the question `Overwrite?`, yes deletes all runs in it. In a terminal, in the folder that *contains* `mlruns`:
#
# ```
# mlflow migrate-filestore --source . --target sqlite:///mlflow.db
# ```
#
# You need to know two things, or you will be stuck afterwards:
#
# - The command copies the facts, **not the files**. They are still inside `mlruns`, so leave this folder where it is.
# - As long as the folder is there, an MLflow that was told nothing chooses it again, and refuses again. So name the
#   database yourself, with `set_tracking_uri` or behind `--backend-store-uri`.

# %%
import subprocess
import sys

uri = f"sqlite:///{old / 'mlflow.db'}"
command = ["mlflow", "migrate-filestore", "--source", str(old), "--target", uri]
subprocess.run([sys.executable, "-m", *command], capture_output=True, check=True)

moved = mlflow.MlflowClient(uri).get_run(old_run.info.run_id)
print("run:", moved.info.run_name, moved.info.status)
print("its file:", mlflow.artifacts.load_text(f"{moved.info.artifact_uri}/notes.txt"))

# %% tags=["claims"]
assert moved.info.status == "FINISHED"
assert "mlruns" in moved.info.artifact_uri  # the files did not move
environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
ask = [sys.executable, "-c", "import mlflow; print(mlflow.get_tracking_uri())"]
default = subprocess.run(ask, cwd=old, env=environment, capture_output=True, text=True)
assert default.stdout.startswith("file:")  # what is refused, still the default there
(old / "mlruns").rename(old / "away")
try:
    mlflow.artifacts.load_text(f"{moved.info.artifact_uri}/notes.txt")
except mlflow.MlflowException:
    (old / "away").rename(old / "mlruns")
else:
    raise AssertionError("the files were found without their folder")

# %% [markdown]
# ## In your own project
#
# The same work without help from this course, on real data. Open *Show the script*, copy it into a file `train.py` in
# an empty folder and run `python train.py`. To see its runs, stop a UI that you started in a terminal, and type the
# command that it prints last. With your own table, put a fingerprint into `rows`: a name stays when rows change.

# %% tags=["own-project"]
"""Three forests, recorded so that the best can be had back: python train.py"""

import mlflow
import skops.io
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

mlflow.set_tracking_uri("sqlite:///mlflow.db")  # a file in the folder you start from
mlflow.set_experiment("my-first-experiment")  # models: ./mlruns if you name no place

rows = {"data": "breast_cancer", "split_seed": 0}
X, y = load_breast_cancer(return_X_y=True, as_frame=True)
y = y.astype(float)  # whole numbers make MLflow warn about missing values
split = train_test_split(X, y, stratify=y, random_state=rows["split_seed"])
X_train, X_valid, y_train, y_valid = split
packages = mlflow.sklearn.get_default_pip_requirements(include_skops=True)
trusted = ["sklearn.tree._tree.Tree"]  # the list that we have read, and no other

for depth in (1, 3, 8):
    settings = {"n_estimators": 100, "max_depth": depth, "random_state": 0}
    with mlflow.start_run(run_name=f"depth-{depth}"):
        model = RandomForestClassifier(**settings).fit(X_train, y_train)
        mlflow.log_params(settings | rows)
        scores = model.predict_proba(X_valid)[:, 1]
        mlflow.log_metric("valid_auc", roc_auc_score(y_valid, scores))
        types = set(skops.io.get_untrusted_types(data=skops.io.dumps(model)))
        assert types <= set(trusted), f"read these first: {types - set(trusted)}"
        how = {"skops_trusted_types": trusted, "pip_requirements": packages}
        mlflow.sklearn.log_model(model, name="forest", input_example=X_train[:3], **how)

query = "attributes.status = 'FINISHED'"  # a run that failed may have no model
query += "".join(f" and params.{key} = '{value}'" for key, value in rows.items())
runs = mlflow.search_runs(filter_string=query, order_by=["metrics.valid_auc DESC"])
print(runs[["tags.mlflow.runName", "params.max_depth", "metrics.valid_auc"]])
best = mlflow.get_run(runs.run_id[0])
loaded = mlflow.sklearn.load_model(f"models:/{best.outputs.model_outputs[0].model_id}")
print("the best one is back:", loaded)
print("Look at them: mlflow ui --backend-store-uri sqlite:///mlflow.db --port 5001")

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("mlflow_basics")

# %% [markdown]
# ## Key points
#
# - **Where is what?** Runs, settings and results are in the backend store, whose address is the tracking URI; models
#   and other files are in the artifact store. Set the address yourself: the default depends on where Python was
#   started.
# - **What makes an attempt repeatable?** One dictionary that builds the model *and* is recorded, the rows that were
#   used, and the model itself, stored after its list of types has been read.
# - **How do you get it back?** `search_runs` finds the run, the run names its model, and `models:/` with the model's id
#   loads it. In the UI, the way leads from the table of runs to *Logged models*.
# - **What if the code fails?** The `with` block ends the run as FAILED and keeps what was logged. A run opened without
#   it stays open until `mlflow.end_run()`; if Python ends first, MLflow marks it FINISHED, even after an error.
#
# ## Next steps
#
# - Do the [homework]({homework:mlflow_basics}): a run that can be repeated, the model behind a slide, and a colleague's
#   notebook with three mistakes.
# - Next lecture: [Logging]({step:logging}), everything else that a run can hold.
# - Official page: [MLflow Tracking](https://mlflow.org/docs/latest/ml/tracking/).
# - Optional depth: set `n_rows` to 1000, or `seed` to 3, and run all again. Does the same run win?
