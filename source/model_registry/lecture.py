# %% [markdown]
# # Model registry: versions, aliases and a gate
#
# **Which model is in use, who decided so, and how do we get the last one back?**
#
# We will build a registry with four versions of the churn model, a gate that lets a version through only when it is
# really better, a way back, a record of each decision, and a copy in a second registry. Folded parts marked *More*
# can wait.
#
# Afterwards you can
# - **register** versions, describe them, and let a service find the right one by its alias;
# - **promote** a version through a gate that knows chance, and **roll back**, with a record of who and why;
# - **copy** a version to another registry and **say** what is lost on the way.
#
# **You need:** [Evaluation]({step:evaluation}) and [Models]({step:models}).
#
# **Time:** 17 min to read · 20 min to do
#
# <!-- links -->
#
# ## Recall
#
# One question on an earlier lecture. Click an answer; each of them replies.

# %%
from course_utils import lesson

lesson.quiz("model_registry", "recall")

# %% [markdown]
# ## The problem
#
# Aisha runs the churn model for Tom, who calls the twenty customers that are most likely to leave. Last month she
# pasted an address, `models:/m-…`, into her service. Now Mira has three newer models, and each time she asks Aisha to
# paste another address.
#
# On Friday Ines, the governance officer, has three questions: which model is in use, who said so, and on what
# evidence? Nobody can answer them.
#
# A **model registry** is the part of MLflow that keeps the answers. It has three ideas:
#
# - A **registered model** is a name, such as `churn`, for all models that do the same job.
# - Each model that is registered under the name becomes a numbered **version**. What a version points at never
#   changes.
# - An **alias**, such as `@champion`, is a name for *one* version, which can be moved to another version later.
#
# The service asks for `models:/churn@champion`. Whoever moves the alias changes the model, and nobody has to touch
# the service. By custom, the version in use is called **champion**, and one that wants to replace it **challenger**;
# MLflow itself gives no meaning to these words.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
from course_utils import plots

boxes = {
    "service": (0.6, 1.5, "the service"),
    "champion": (3.2, 1.5, "@champion\nan alias"),
    "v2": (6.0, 2.5, "version 2"),
    "v1": (6.0, 0.5, "version 1"),
    "m2": (9.3, 2.5, "logged model\nlogistic"),
    "m1": (9.3, 0.5, "logged model\ntree"),
}
arrows = [
    ("service", "champion", "asks"),
    ("champion", "v2", "today"),
    ("champion", "v1", "last week"),
    ("v2", "m2", "always"),
    ("v1", "m1", "always"),
]
title = "An alias moves; what a version points at stays"
plots.show(plots.diagram(boxes, arrows, title=title))

# %% [markdown]
# ## Setup
#
# `store.connect()` and `store.log_model` are the lines of [MLflow basics]({step:mlflow_basics}), each in one call; the
# second trusts every type, as the models are ours.
#
# The loop in the setup **deletes** what an earlier run of this notebook registered, so that version numbers begin
# anew. Never do that to a model that somebody serves.

# %% tags=["parameters"]
seed = 0
n_rows = 2000

# %%
import tempfile
import warnings
from pathlib import Path

import mlflow
import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from course_utils import data, store

home_uri = store.connect()
client = mlflow.MlflowClient()
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %%
NAME, LIVE, OLD = "churn-registry", "churn-registry-live", "churn-registry-old"
TEXT = ["contract", "internet", "payment"]
split = data.churn_split(n_rows, seed)
X_held_out, y_held_out = split.X_test, split.y_test

for name in (NAME, LIVE, OLD):
    if client.search_registered_models(f"name = '{name}'"):
        client.delete_registered_model(name)

# %% [markdown]
# The function below fits a model and logs it in a run of its own. The second part of the split is kept back as
# **held-out rows**: no version was trained on them, and the versions compete on them.
#
# Because they decide, they are not test rows any more: a number to report needs rows that have decided nothing.


# %%
def train(classifier, name):
    words = (OneHotEncoder(), TEXT)
    encode = make_column_transformer(words, remainder=StandardScaler())
    model = make_pipeline(encode, classifier).fit(split.X_train, split.y_train)
    p = model.predict_proba(split.X_train)[:, 1]
    mlflow.set_experiment("registry-training")
    with mlflow.start_run(run_name=name):
        mlflow.log_param("data_seed", seed)
        mlflow.log_metric("train_auc", roc_auc_score(split.y_train, p))
        return store.log_model(model, name, split.X_train).model_uri


# %% [markdown]
# ## Round 1: register and describe
#
# `register_model` takes the address of a logged model and a name. The name is new, so MLflow creates the registered
# model, and in it version 1.
#
# A **description** and **tags** tell a reader what it is. They can stand on the registered model as a whole (*who
# owns it?*) or on one version (*what is special about it?*). They can be changed later, the tag of a version with
# `client.set_model_version_tag`.

# %%
uri = train(DecisionTreeClassifier(max_depth=2, random_state=seed), "tree")
first = mlflow.register_model(uri, NAME, tags={"algorithm": "tree"})

client.update_registered_model(NAME, description="Who leaves next month?")
client.set_registered_model_tag(NAME, "owner", "Mira")
client.update_model_version(NAME, first.version, description="Four leaves at most.")
print("version", first.version, "points at a logged model:", first.source == uri)

# %% [markdown]
# ## Round 2: one function that moves an alias
#
# MLflow moves an alias with one call, `set_registered_model_alias`. It asks no questions, and **it keeps no
# history**: afterwards nobody can see what the alias meant yesterday.
#
# So the team agrees on a rule. There is *one* function that may make this call, and it leaves a run that says what
# happened. It demands a name and a reason. And it *reads* from the registry where the alias stood before and after,
# because a record that somebody types is only a claim.

# %%
TRAIL = mlflow.set_experiment("registry-trail").experiment_id


def where(name, alias):
    return str(client.get_registered_model(name).aliases.get(alias, "none"))


def decide(name, alias, version, decision, by, why, numbers=None):
    """The only function that may move an alias. A refusal leaves it where it is."""
    if not (by.strip() and why.strip()):
        raise ValueError("Who decides, and why? `by` and `why` must say something.")
    tags = {"model": name, "alias": alias, "version": version, "by": by, "why": why}
    run_name = f"{decision}-v{version}"
    with mlflow.start_run(experiment_id=TRAIL, run_name=run_name):
        mlflow.set_tags({**tags, "decision": decision, "before": where(name, alias)})
        mlflow.log_metrics(numbers or {})
        if decision != "refused":
            client.set_registered_model_alias(name, alias, version)
        mlflow.set_tag("after", where(name, alias))


# %% [markdown]
# The alias is moved *inside* the run, so a move that fails leaves a FAILED run. Write `refused` exactly: any other word
# moves the alias. The first champion meets no opponent, so Mira appoints it:

# %%
decide(NAME, "champion", 1, "appointed", by="Mira", why="a tree that Tom can read")
print("@champion is version", where(NAME, "champion"))

# %% [markdown]
# **Predict.** Mira now registers a second model under the same name. What does `@champion` mean afterwards, version 1
# or version 2?

# %%
prediction = 0  # 1 or 2

# %%
uri = train(LogisticRegression(max_iter=500), "logistic")
second = mlflow.register_model(uri, NAME, tags={"algorithm": "logistic"})
decide(NAME, "challenger", 2, "proposed", by="Mira", why="uses the contract, too")

served = mlflow.sklearn.load_model(f"models:/{NAME}@champion")  # Aisha's line
print("The service runs a", type(served[-1]).__name__)
for alias in ("champion", "challenger"):
    print(f"@{alias} is version", where(NAME, alias))

# %% tags=["claims"]
CHANGES = [{"n_rows": 3000}]
assert type(served[-1]).__name__ == "DecisionTreeClassifier"
assert where(NAME, "champion") == "1" and where(NAME, "challenger") == "2"

# %% [markdown]
# You should see a `DecisionTreeClassifier` and version 1: registering moves no alias. If you see a
# `LogisticRegression`, you ran a later cell before; run all cells again from the top.
#
# ## Round 3: a gate that knows chance
#
# When may version 2 replace version 1? "When its ROC-AUC on the held-out rows is higher" is not enough. With other
# customers among the held-out rows, both scores would be a little different, and a small lead could turn round.
#
# The **paired bootstrap**, known from [Evaluation]({step:evaluation}), measures this:
#
# 1. Draw as many customers as there are, *with replacement*: some come twice, some not at all.
# 2. On these, compute the **gain**: the challenger's score minus the champion's. *Paired* means that both are scored
#    on the same draw, so what is hard for both cancels out.
# 3. Repeat it 300 times. The middle 95 % of the gains are an **interval**: with other customers, the gain could well
#    have been any of these.
#
# Only when the whole interval lies above zero does the gate call the challenger better, and not merely lucky.


# %%
def gains(challenger, champion, X, y, n_draws=300):
    ours, theirs = (m.predict_proba(X)[:, 1] for m in (challenger, champion))
    y, rng, found = y.to_numpy(), np.random.default_rng(0), []
    for _ in range(n_draws):
        rows = rng.integers(0, len(y), len(y))  # the same rows for both
        gain = roc_auc_score(y[rows], ours[rows]) - roc_auc_score(y[rows], theirs[rows])
        found.append(gain)
    return found


# %% [markdown]
# The **gate** compares, decides, and hands over to `decide`. It has two guards, without which a false record would be
# made:
#
# - Somebody will run the cell twice: the champion cannot challenge itself.
# - Where no champion stands, there is nobody to beat, so somebody has to appoint one.


# %%
def gate(name, version, by, why):
    champion = where(name, "champion")
    if champion == "none":  # `models:/name/none` would load the newest version
        return f"{name} has no champion: appoint one with `decide`"
    if champion == str(version):
        return f"version {version} is the champion already: nothing to decide"
    load = mlflow.sklearn.load_model
    new, old = load(f"models:/{name}/{version}"), load(f"models:/{name}/{champion}")
    found = gains(new, old, X_held_out, y_held_out)
    low, high = np.percentile(found, [2.5, 97.5])
    decision = "promoted" if low > 0 else "refused"
    scores = {"gain_low": low, "gain_high": high, "gain": np.mean(found)}
    decide(name, "champion", version, decision, by, why, scores)
    return f"version {version} {decision}: gain between {low:+.3f} and {high:+.3f}"


# %%
print(gate(NAME, 2, by="Mira", why="uses the contract, too"))
print(gate(NAME, 2, by="Mira", why="ran the cell twice"))
served = mlflow.sklearn.load_model(f"models:/{NAME}@champion")
print("The service, after its next load, runs a", type(served[-1]).__name__)

# %% tags=["claims"]
assert where(NAME, "champion") == "2"
assert type(served[-1]).__name__ == "LogisticRegression"

# %% [markdown]
# You should see `promoted`, then that there is nothing to decide. The service's line is the same, and gives the new
# model *after its next load*. `@challenger` stays on version 2: it tells people, not the gate.
#
# **Predict.** Two more challengers. `deep` is a tree without any limit, which is perfect on the *training* rows.
# `strict` is the logistic regression again, with another setting (`C=0.1`). Which of them does the gate let through?

# %%
prediction = []  # of "deep", "strict"

# %%
challengers = {
    "deep": DecisionTreeClassifier(random_state=seed),
    "strict": LogisticRegression(C=0.1, max_iter=500),
}
for label, classifier in challengers.items():
    uri = train(classifier, label)
    made = mlflow.register_model(uri, NAME, tags={"algorithm": label})
    print(label, "=", gate(NAME, made.version, by="Mira", why="looks promising"))
print("@champion is still version", where(NAME, "champion"))

# %% tags=["claims"]
assert where(NAME, "champion") == "2"
trained = mlflow.search_runs(
    experiment_names=["registry-training"],
    filter_string=f"attributes.run_name = 'deep' and params.data_seed = '{seed}'",
)
assert trained["metrics.train_auc"][0] == 1.0

# %% [markdown]
# You should see `refused` twice, for two reasons. The deep tree learned the training customers by heart and is far
# worse on others: its whole interval lies below zero.
#
# The interval of `strict` contains zero: chance could have made the difference to the champion. That does not prove
# the two to be equal, but these rows give no reason to change a running service.
#
# The gate is not perfect: a challenger that is exactly as good as the champion passes by luck about once in forty
# times. So a team that sends dozens of challengers through needs *new* held-out rows from time to time: customers
# that no version was trained on, not another split of the old ones.
#
# <details class="more"><summary>More: once in forty, and which rows are new</summary>
#
# About one in forty 95 % intervals lies wholly *above* the true gain. For a challenger that is exactly as good, the
# true gain is zero, and such an interval opens the gate.
#
# Another seed for the split gives no new rows: the champion was trained on most of those, and would win for that
# reason alone.
#
# </details>
#
# One line is one decision of the gate; only these runs have `gain_low`:

# %%
judged = mlflow.search_runs(
    [TRAIL],
    f"tags.model = '{NAME}' and attributes.start_time >= {first.creation_timestamp}"
    " and metrics.gain_low > -1",
    order_by=["attributes.start_time DESC"],
)
low, high = judged["metrics.gain_low"], judged["metrics.gain_high"]
places, names = range(len(judged)), "version " + judged["tags.version"]
passed = judged.loc[low > 0, "tags.version"].tolist()
title = f"Whole interval above zero: version {', '.join(passed) or 'none'}"

fig, ax = plots.new_figure(height=2.6)
ax.hlines(places, low, high, linewidth=4)
ax.plot(judged["metrics.gain"], places, "o", markersize=9)
ax.axvline(0, linestyle="--", color="gray")
ax.set_yticks(places, names)
ax.set_title(title, loc="left", weight="bold")
ax.set_xlabel("gain in ROC-AUC over the champion (95 % interval)")
plots.show(plots.describe(fig, title))

# %% tags=["claims"]
assert passed == ["2"] and len(judged) == 3
assert (high[judged["tags.version"] == "3"] < 0).all()
assert (low[judged["tags.version"] == "4"] <= 0).all()
assert (high[judged["tags.version"] == "4"] > 0).all()

# %% [markdown]
# ## Round 4: back, and the trail
#
# On Monday Tom's list looks odd. Aisha goes back first and asks later. A **rollback** moves the alias to an earlier
# version, without a contest. It uses the same function, so it leaves a record, too. An hour later it turns out that
# Tom had opened last month's file, and she puts version 2 back.

# %%
decide(NAME, "champion", 1, "rolled back", by="Aisha", why="Tom's list looks odd")
print("@champion is version", where(NAME, "champion"))
decide(NAME, "champion", 2, "restored", by="Aisha", why="it was an old file")

# %% [markdown]
# Ines asks for the trail. Every decision is a run, so one search answers her questions. (The column `start_time`
# would say *when*.)

# %%
trail = mlflow.search_runs(
    [TRAIL],
    f"tags.model = '{NAME}' and attributes.start_time >= {first.creation_timestamp}",
    order_by=["attributes.start_time ASC"],
)
columns = ["alias", "decision", "version", "before", "after", "by", "why"]
trail[[f"tags.{c}" for c in columns]].set_axis(columns, axis=1)

# %% tags=["claims"]
decisions = trail["tags.decision"].tolist()
assert decisions[2:] == ["promoted", "refused", "refused", "rolled back", "restored"]
assert trail["tags.before"].tolist()[2:] == ["1", "2", "2", "2", "1"]
assert trail["tags.after"].tolist()[2:] == ["2", "2", "2", "1", "2"]

# %% [markdown]
# Read down `before` and `after` for `champion`: each line begins where the last one ended, and the last one ends where
# the alias stands *now*. If one did not, somebody moved the alias past the function, or two decided at once: ask them.
#
# The rule is an agreement, not a lock: anybody who may write to the store can move an alias. On a shared server,
# permissions decide who may ([Tracking server]({step:tracking_server})).
#
# <details class="more"><summary>More: what the chain does not show</summary>
#
# A decision whose call failed has no `after`, and the status of its run says FAILED. It moved nothing, or the answer
# was lost: see where the next line begins before you leave it out. And a move there and back between two lines leaves
# no trace. The records are runs: whoever may write to their experiment can also change their tags, or delete them.
#
# </details>
#
# ## Look at the UI
#
# 1. With *Model training* chosen at the top left, click **Model registry**, then `churn-registry`. If a window
#    praises the new registry first, close it. You see versions, tags and aliases in one table.
# 2. Click **Version 2**: its tags, its schema, and *Source Run*, the way back to the training run.
# 3. Go back to the table. A pencil appears beside an alias when you point at it: it moves the alias past the
#    function, without a record. Don't use it.
# 4. Open the experiment `registry-trail`. (If *Experiments* is not on the left, click *Home* first.) Press *Columns*
#    and tick `model`, `alias`, `decision`, `before`, `after`, `by` and `why`: the trail of all models, with the
#    earlier runs of this notebook. (If one lies below the edge of the window, type its name into the field above the
#    list.)
#
# ![The versions of churn-registry with their tags and aliases, after step 1](../site/_static/model_registry_ui.png)
#
# ## Round 5: other registries
#
# Aisha's live service reads a registered model of its own, which only she may write to. Within one store,
# `copy_model_version` makes a version there.
#
# **Predict.** Which of these comes along: the version number 2, the tags, the training run, the alias?

# %%
prediction = []  # of "number", "tags", "run", "alias"

# %%
copied = client.copy_model_version(f"models:/{NAME}@champion", LIVE)
print("number:", copied.version, "| tags:", copied.tags)
print("training run:", copied.run_id == second.run_id)
print("@champion there:", where(LIVE, "champion"))
decide(LIVE, "champion", copied.version, "appointed", by="Aisha", why="passed the gate")

# %% tags=["claims"]
assert str(copied.version) == "1" and copied.tags["algorithm"] == "logistic"
assert copied.run_id == second.run_id and where(LIVE, "champion") == "1"
assert copied.source == f"models:/{NAME}/2"
files_ = [client.get_model_version_download_uri(*v) for v in ((LIVE, 1), (NAME, 2))]
assert files_[0] == files_[1]

# %% [markdown]
# You should see number 1 (each registered model counts for itself), the tags, the run, and no alias: the new place
# decides. To *another store* only the files go; carry the source as tags. No file was copied: both versions point at
# the same logged model, and whoever deletes that for good (`mlflow gc`) takes it from both.

# %% [markdown]
# ### Another store (can wait)
#
# How a model moves to a server with a database of its own.

# %% [markdown]
# For *another store*, such as a production server with its own database, MLflow 3.17 has no call that copies. So we
# download the files, point MLflow at the other store (here a second database file), put them there, and register them;
# `log_model` would save the model anew. The rest goes along as tags. If the cell stops half-way, run its last line,
# which leads back.
#
# <details class="more"><summary>More: the three calls in place of log_model</summary>
#
# `log_model` would save the model anew, so we take its steps one by one. `create_logged_model` makes an empty entry,
# `log_model_artifacts` puts the files in, and `finalize_logged_model` says that it is complete. The files go to a
# folder of our own first, since a local store hands out its originals.
#
# </details>

# %%
champion = client.get_model_version_by_alias(NAME, "champion")
folder = mlflow.artifacts.download_artifacts(
    f"models:/{NAME}@champion", dst_path=tempfile.mkdtemp()
)
carried = {"shipped_from": f"{NAME}/{champion.version}", "source_run": champion.run_id}

# %%
store.connect(f"sqlite:///{store.outputs('model_registry') / 'live.db'}")
there = mlflow.MlflowClient()
arrived = there.create_logged_model(experiment_id="0", name="churn")
card = mlflow.models.Model.load(folder)
card.model_id = arrived.model_id  # or `get_model_info` would look for the id of home
card.save(Path(folder) / "MLmodel")
there.log_model_artifacts(arrived.model_id, folder)
there.finalize_logged_model(arrived.model_id, "READY")
version = mlflow.register_model(f"models:/{arrived.model_id}", "churn", tags=carried)
theirs = mlflow.sklearn.load_model(f"models:/churn/{version.version}")
info = mlflow.models.get_model_info(f"models:/churn/{version.version}")
runs_there = mlflow.search_runs(search_all_experiments=True)
_ = store.connect(home_uri)  # back home

# %%
ours = mlflow.sklearn.load_model(f"models:/{NAME}@champion")
p_ours, p_theirs = (m.predict_proba(X_held_out) for m in (ours, theirs))
print("same predictions:", (p_ours == p_theirs).all())
print("training run:", version.run_id or "none")
print("runs in that store:", len(runs_there))
print("tags:", sorted(version.tags))

# %% tags=["claims"]
assert (p_ours == p_theirs).all() and not version.run_id and runs_there.empty
assert sorted(version.tags) == ["shipped_from", "source_run"]
assert info.model_id == arrived.model_id and info.run_id == champion.run_id

# %% [markdown]
# You should see the same predictions, and no run. The run stays at home, with its parameters and metrics, and so do the
# tag `algorithm`, the description, the alias and the trail. That is why `carried` names the source: else only the file
# `MLmodel` has the run's id, and no search.

# %% [markdown]
# ## Webhooks: tell others that an alias moved (can wait)
#
# How MLflow calls a program when an alias moves.

# %% [markdown]
# Aisha's service should load again when `@champion` moves. A **webhook** is an address that MLflow calls then. Read how
# one is made (a moved alias counts as `created`), but don't run it:
#
# ```python
# client.create_webhook(
#     name="tell-the-service",
#     url="https://service.example.com/champion-moved",
#     events=["model_version_alias.created", "model_version_alias.deleted"],
#     secret=os.environ["HOOK_SECRET"],  # random; known to both
# )
# ```
#
# It needs a tracking server (with users: an admin), because the *server* makes the calls. Two things keep it safe:
#
# - By default MLflow 3.17 accepts `https` addresses on public machines only.
# - Anybody could call the service's address, so the server *signs* each call with the secret. The service computes
#   the signature itself and refuses a call that has another one.
#
# <details class="more"><summary>More: why only public addresses, and a key for the secrets</summary>
#
# Without the limit to public addresses, somebody could use the server to call into the company's network. The switch
# `MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS=true` lifts it for all webhooks, but is meant for local development: let a service
# inside ask for the alias instead. A program that writes to a database file directly, as this notebook does, makes no
# calls.
#
# The server stores the secret encrypted. Give it one key for good, made by `Fernet.generate_key()` of the package
# cryptography, in `MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY`. Without it each worker (four by default) makes up its own,
# and cannot read what another stored.
#
# </details>
#
# The next cells show both:

# %%
event = ["model_version_alias.created"]
for address in ("http://example.com/hook", "https://127.0.0.1:9000/hook"):
    try:
        client.create_webhook(name="tell", url=address, events=event)
    except mlflow.MlflowException as error:
        print("MLflow:", error)


# %%
import base64
import hashlib
import hmac


def signature(secret, delivery_id, timestamp, body):
    text = f"{delivery_id}.{timestamp}.{body}".encode()
    digest = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


sent = signature("our secret", "call-1", "1764000000", '{"alias": "champion"}')
for body in ('{"alias": "champion"}', '{"alias": "Champion"}'):
    own = signature("our secret", "call-1", "1764000000", body)
    print(body, "accepted" if hmac.compare_digest(own, sent) else "refused")

# %% tags=["claims"]
from mlflow.webhooks.delivery import _generate_hmac_signature

assert sent == _generate_hmac_signature(
    "our secret", "call-1", "1764000000", '{"alias": "champion"}'
)

# %% [markdown]
# You should see two addresses refused, and then one call accepted and one refused: one changed letter in the body is
# enough.
#
# <details class="more"><summary>More: what a real call looks like</summary>
#
# - The id and the timestamp arrive in the headers `X-MLflow-Delivery-Id` and `X-MLflow-Timestamp`, the signature in
#   `X-MLflow-Signature`.
# - A real body has `name`, `alias` and `version` inside `data`. Check the signature on the bytes as they arrive,
#   before you read them.
# - The server calls for every alias of every model, so look at `name` and `alias` first. A moved alias is called
#   `created`, too; a deleted *version* takes its alias along without a call.
# - A careful service refuses a timestamp that is more than five minutes old, and an id that it has seen before, so that
#   no true call counts twice.
# - A call is lost after four failed tries, or after a single 404, so the service should also look at the alias from
#   time to time. A new webhook may need a minute to work.
#
# </details>

# %% [markdown]
# ## Stages, as history (can wait)
#
# For a registry that is older than aliases.

# %% [markdown]
# Older courses have no aliases. They move a version between four **stages**: None, Staging, Production and Archived.
# The call still works, and warns. Someone who takes over such a registry translates it, through `decide`:

# %%
mlflow.register_model(first.source, OLD)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    client.transition_model_version_stage(OLD, 1, "Production")
print(caught[0].category.__name__, "deprecated since 2.9.0" in str(caught[0].message))

alias_of = {"Production": "champion", "Staging": "challenger"}
oldest_first = ["version_number ASC"]  # so that the newest wins, as with the stage
for found in client.search_model_versions(f"name = '{OLD}'", order_by=oldest_first):
    if alias := alias_of.get(found.current_stage):
        why = f"was in stage {found.current_stage}"
        decide(OLD, alias, found.version, "translated", by="Aisha", why=why)
print("@champion is version", where(OLD, "champion"))

# %% [markdown]
# You should see that the old call warns, and that the version in stage Production is the champion now.
#
# <details class="more"><summary>More: the old calls and those of today</summary>
#
# | older courses | today |
# |---|---|
# | `transition_model_version_stage(name, 2, "Production")` | an alias: `set_registered_model_alias(name, "champion", 2)` |
# | stage Staging | alias `challenger` |
# | stage Archived | a tag, `status: archived`, and no alias |
# | `models:/name/Production` (loads without a warning, until it is removed) | `models:/name@champion` |
# | `get_latest_versions(name, ["Production"])` | `get_model_version_by_alias(name, "champion")` |
#
# </details>

# %% [markdown]
# ## Your turn
#
# Tom wants to keep version 1 within reach. Replace the three dots by **one line** that gives version 1 the alias
# `previous`, in the team's way, so that a record is left. Sign with your name and a reason, and call the decision
# `proposed`.
#
# <details><summary>One solution</summary>
#
# `decide(NAME, "previous", 1, "proposed", by="Tom", why="within reach")`
#
# </details>

# %% tags=["your-turn"]
...
print("@previous is version", where(NAME, "previous"))

# %% tags=["your-turn-solution"]
decide(NAME, "previous", 1, "proposed", by="Tom", why="within reach")
print("@previous is version", where(NAME, "previous"))

# %%
asked = f"tags.model = '{NAME}' and tags.alias = 'previous'"
record = mlflow.search_runs([TRAIL], asked)
hint = "decide takes the model, the alias, the version, the decision, by and why."
lesson.turn(where(NAME, "previous") == "1" and not record.empty, hint)

# %% [markdown]
# ## Pitfalls
#
# Each of them has a code, and the checks of the homework use the same codes.
#
# **`alias-case`: two champions.** SQLite and PostgreSQL tell aliases apart by case. Somebody writes `Champion`, and
# both exist, on different versions; the service never notices. To repair it, delete the wrong one, and spell aliases in
# lower case.

# %%
client.set_registered_model_alias(NAME, "Champion", 3)  # past the function, too
for alias in ("champion", "Champion"):
    print(f"@{alias} is version", where(NAME, alias))

client.delete_registered_model_alias(NAME, "Champion")
print("repaired: @Champion is version", where(NAME, "Champion"))

# %% [markdown]
# **`latest-not-champion`: the service takes the newest.** The address `models:/churn-registry/latest` works, and means
# the version with the highest number. Here that is one that the gate refused. To repair it, ask for the alias.

# %%
for address in (f"models:/{NAME}/latest", f"models:/{NAME}@champion"):
    model = mlflow.sklearn.load_model(address)
    print(address, "has C =", model[-1].C)

# %% [markdown]
# **`version-deleted`: tidying up takes the service down.** Deleting a version removes its aliases without a word, and
# the service finds no champion at its next load. To repair it, copy the version again and appoint it. Better: don't
# delete what has served, give it the tag `status: retired`.

# %%
client.delete_model_version(LIVE, 1)
try:
    mlflow.sklearn.load_model(f"models:/{LIVE}@champion")
except mlflow.MlflowException as error:
    print("MLflow:", error)

again = client.copy_model_version(f"models:/{NAME}@champion", LIVE).version
decide(LIVE, "champion", again, "appointed", by="Aisha", why="version 1 was deleted")
print("repaired: @champion is version", where(LIVE, "champion"))

# %% tags=["claims"]
assert where(LIVE, "champion") == "2"

# %% [markdown]
# ## In your own project
#
# The same work without any help from this course, on real data that comes with scikit-learn. Open *Show the script*,
# copy it into a file `promote.py` in an empty folder and run `python promote.py`. Each run registers a version. The
# second run's model is the same as the first's, so the gate refuses it. Each decision is signed with what stands in
# `SIGNED`: before you run it again, write there who decides this time, and why.

# %% tags=["own-project"]
"""Train, register, and promote a lead that is more than luck: python promote.py"""

import mlflow
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

NAME, SIGNED = "cancer", {"by": "me", "why": "first try"}
mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("cancer")
client = mlflow.MlflowClient()
X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_held, y_train, y_held = train_test_split(X, y == 0, random_state=0)

with mlflow.start_run(run_name="train"):
    model = LogisticRegression(max_iter=5000).fit(X_train, y_train)
    needs = mlflow.sklearn.get_default_pip_requirements(include_skops=True)
    keep = {"pip_requirements": needs, "input_example": X_train.head(3)}
    logged = mlflow.sklearn.log_model(model, name=NAME, **keep)
new = mlflow.register_model(logged.model_uri, NAME).version

with mlflow.start_run(run_name=f"gate-v{new}", tags=SIGNED):
    before = client.get_registered_model(NAME).aliases.get("champion", "none")
    p, decision = model.predict_proba(X_held)[:, 1], "promoted"  # without a rival
    if before != "none":
        champion = mlflow.sklearn.load_model(f"models:/{NAME}/{before}")
        q = champion.predict_proba(X_held)[:, 1]
        draws = np.random.default_rng(0).integers(0, len(p), (300, len(p)))
        scores = [[roc_auc_score(y_held.iloc[d], x[d]) for x in (p, q)] for d in draws]
        low = np.percentile([ours - theirs for ours, theirs in scores], 2.5)
        mlflow.log_metric("gain_low", low)
        decision = "promoted" if low > 0 else "refused"
    mlflow.set_tags({"before": before, "version": new, "decision": decision})
    if decision == "promoted":
        client.set_registered_model_alias(NAME, "champion", new)
    mlflow.set_tag("after", client.get_registered_model(NAME).aliases["champion"])
print("version", new, decision)

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("model_registry")

# %% [markdown]
# ## Key points
#
# - **How does a service find the right model?** It loads `models:/name@champion`. A version points at one logged
#   model for ever; the alias is what moves. Registering moves no alias.
# - **Who moves an alias?** One function, which demands a name and a reason, and reads where the alias stood before
#   and after. MLflow keeps no history of its own.
# - **When does a gate open?** When the whole interval of a paired bootstrap on held-out rows is above zero. A
#   champion does not compete with itself.
# - **What is lost in a copy?** Within a store, the number and the alias. Between two stores, everything but the
#   files: carry the source along as tags.
#
# ## Next steps
#
# - Do the [homework]({homework:model_registry}): register, build a gate, roll back.
# - Next lecture: [Serving]({step:serving}), where the champion answers requests.
# - Official pages: [MLflow Model Registry](https://mlflow.org/docs/latest/ml/model-registry/) and
#   [Webhooks](https://mlflow.org/docs/latest/ml/webhooks/).
# - Optional depth: set `n_rows = 3000` in the parameters cell and run all again. Does the gate decide otherwise?
