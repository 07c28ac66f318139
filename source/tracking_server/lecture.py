# %% [markdown]
# # A tracking server for the team
#
# **How do five people share one store, so that nothing is lost and not everyone may delete it?**
#
# We will build a real PostgreSQL database, move a laptop's runs into it, put `mlflow server` with users and permissions
# in front, and let two people log at the same time.
#
# Afterwards you can
# - **move** a SQLite store to PostgreSQL, **back** it up, and **prove** by counting that nothing is missing;
# - **start** a server with users, permissions and allowed hosts;
# - **grant** a permission, and **read** what the codes 401 and 403 say;
# - **remove** runs and models for good.
#
# **You need:** lectures {step:mlflow_basics}, {step:models} and {step:model_registry}.
#
# **Time:** 14 min to read · 16 min to do
#
# <!-- links -->
#
# ## Recall

# %%
from course_utils import lesson

lesson.quiz("tracking_server", "recall")

# %% [markdown]
# ## The problem
#
# Mira's runs are in a SQLite file on her laptop. Jonas wants to see them, Aisha loads the model from there, and on
# Friday the laptop travels. A SQLite file takes one writer at a time, lies on one disk and knows no users.
#
# ## Setup
#
# `team.postgres()` starts a real PostgreSQL that only this machine can reach, with a password made up now. What enters
# `room` is stopped by `room.close()`, and also when the kernel ends.

# %% tags=["parameters"]
n_runs = 20  # runs that each of two people logs

# %%
import shutil
from contextlib import ExitStack

import mlflow
from sqlalchemy import MetaData, Table, create_engine, select, text

from course_utils import data, plots, store, team

folder = store.outputs("13_tracking_server")
shutil.rmtree(folder)  # what an earlier pass left
room = ExitStack()
postgres = room.enter_context(team.postgres())
print("PostgreSQL", postgres.run("psql", "-d", "postgres", "-t", "-c", "show server_version").strip())

# %%
from sklearn.linear_model import LogisticRegression

laptop = store.connect(f"sqlite:///{folder / 'laptop' / 'mlflow.db'}")
split = data.churn_split(600, seed=0, numeric=True)
mlflow.set_experiment("churn")
for strength in (0.01, 0.1, 1.0):
    with mlflow.start_run(run_name=f"C={strength}"):
        model = LogisticRegression(C=strength, max_iter=2000).fit(split.X_train, split.y_train)
        mlflow.log_param("C", strength)
        mlflow.log_metric("test_accuracy", model.score(split.X_test, split.y_test))
        logged = store.log_model(model, "model", split.X_train)
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Round 1: move the store
#
# MLflow has a tool for old run *folders* (`mlflow migrate-filestore`) and one that makes or renews a *schema*
# (`mlflow db upgrade`), but none that moves rows from SQLite to PostgreSQL. So copy them: one MLflow version on both
# sides, schema first, then every table. `command` runs `mlflow …` in this process, which is faster than starting it in a
# terminal.

# %%
from click.testing import CliRunner
from mlflow.cli import cli


def command(*words):
    return CliRunner().invoke(cli, words, catch_exceptions=False).output


uri = postgres.create("mlflow")
command("db", "upgrade", uri)
print(len(team.count_rows(uri)), "tables in PostgreSQL,", len(team.count_rows(laptop)), "on the laptop")

# %% [markdown]
# **Predict.** A row of `metrics` names a row of `runs`, which names one of `experiments`. PostgreSQL refuses a row
# whose partner is not there. In which order do you fill the three?

# %%
prediction = ["?", "?", "?"]  # first, second, third


# %%
def copy_rows(source, target):
    old, new, tables = create_engine(source), create_engine(target), MetaData()
    tables.reflect(new)
    with old.connect() as reading, new.begin() as writing:
        for table in tables.sorted_tables:  # parents before children
            rows = reading.execute(select(Table(table.name, MetaData(), autoload_with=old))).mappings().all()
            if rows:
                writing.execute(table.delete())  # what the schema came with
                writing.execute(table.insert(), [dict(row) for row in rows])
    return [table.name for table in tables.sorted_tables]

order = copy_rows(laptop, uri)
print("Order:", [name for name in order if name in ("metrics", "runs", "experiments")])

# %%
before, after = team.count_rows(laptop), team.count_rows(uri)
print("tables that differ:", (before != after).sum())
print("rows:", {name: int(after[name]) for name in ("experiments", "runs", "metrics", "params", "logged_models")})

# %% [markdown]
# You should see experiments, runs, metrics, and no table that differs. If the copy stops at a foreign key, the order is
# wrong. All in one transaction: a copy that fails halfway leaves nothing behind. The counts agree, and yet **two things
# are not well**; the pitfalls find them.
#
# ## Round 2: a server, and a backup before anyone comes in
#
# In a terminal, the server is started like this. Secrets stand in the environment, because other users of the machine
# can read a command line:
#
# ```bash
# export MLFLOW_BACKEND_STORE_URI=postgresql+psycopg2://mlflow:…@db.nordtel.example/mlflow
# export MLFLOW_FLASK_SERVER_SECRET_KEY=… MLFLOW_AUTH_ADMIN_PASSWORD=…   # 12 characters or more
# export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false                        # 10 processes fewer
# mlflow server --app-name basic-auth --artifacts-destination ./artifacts --workers 1 \
#     --host 127.0.0.1 --port 5001 --allowed-hosts "127.0.0.1:*,mlflow.nordtel.example"
# ```
#
# There is no default password any more: older courses sign in as `admin` with `password1234`, which answers 401 today.
# Artifacts are **proxied**: clients send files to the server, and need no key for the disk behind it.
#
# Ours starts in the background. Meanwhile, a **backup**. `pg_dump` reads one moment of a database in use; nobody has to
# stop working. A backup counts when it was restored once: on an empty database, with equal counts.

# %%
passwords = {name: f"{name}-at-nordtel-13" for name in ("admin", "mira", "jonas", "tom")}  # only in a lecture!
hosts = ("--allowed-hosts", "127.0.0.1:*,mlflow.nordtel.example")
users = postgres.create("users")
settings = {"admin_password": passwords["admin"], "auth_uri": users, "options": hosts}
server = room.enter_context(team.mlflow_server(uri, folder / "server", **settings))

# %%
dump = folder / "mlflow.dump"
postgres.run("pg_dump", "--format=custom", "--file", dump, "mlflow")
restored = postgres.create("restored")
postgres.run("pg_restore", "--no-owner", "--dbname", "restored", dump)
print("rows:", team.count_rows(uri).sum(), "| tables that differ:", (team.count_rows(restored) != after).sum())

# %% [markdown]
# The database is half of a backup. The folder of `--artifacts-destination` is the other half; save it *after* the
# database, so that no row points at a file that is missing.
#
# ## Round 3: who may do what
#
# `admin` makes users and grants permissions: READ, then USE, EDIT (log), MANAGE (delete, and grant). Everybody has READ
# by default.

# %%
from mlflow.server import get_app_client

mlflow.set_tracking_uri(server.wait())
mlflow.set_registry_uri(server.address)
room.enter_context(team.signed_in("admin", passwords["admin"]))
churn = mlflow.get_experiment_by_name("churn").experiment_id
auth = get_app_client("basic-auth", server.address)
for name in ("mira", "jonas", "tom"):
    auth.create_user(name, passwords[name])
for name in ("mira", "jonas"):
    auth.grant_user_permission(name, "experiment", churn, "EDIT")
print("The team's server:", server.address)

# %% [markdown]
# **Predict.** Tom has READ, Mira has EDIT, a stranger guesses a password. Who may set a tag on a run, who may delete
# the experiment?

# %%
prediction = {"tag": [], "delete": []}  # names


# %%
def outcome(action):
    try:
        action()
    except mlflow.MlflowException as error:
        return "refused: " + str(error).split("error code ")[1][:3]
    return "allowed"


client, run_id = mlflow.MlflowClient(), logged.run_id
actions = {
    "read": lambda: client.get_run(run_id),
    "tag": lambda: client.set_tag(run_id, "reviewed", "yes"),
    "delete": lambda: client.delete_experiment(churn),
}
for name in ("stranger", "tom", "mira"):
    with team.signed_in(name, passwords.get(name, "a-good-guess")):
        print(f"{name:9}", {what: outcome(action) for what, action in actions.items()})

# %% [markdown]
# You should see 401 for the stranger (*who are you?*) and 403 for what a known person may not do. If everyone is
# allowed, the server runs without `--app-name basic-auth`.
#
# Now two people at once, each in a process and under a name of their own.

# %%
_ = (folder / "log_runs.py").write_text("""
import sys

import mlflow

mlflow.set_experiment("churn")
for i in range(int(sys.argv[1])):
    with mlflow.start_run(run_name=f"run-{i}"):
        mlflow.log_metrics({"loss": 1 / (i + 1), "lift": i / 2})
""")

# %%
import os
import subprocess
import sys


def start(name):
    signed_in = {"MLFLOW_TRACKING_USERNAME": name, "MLFLOW_TRACKING_PASSWORD": passwords[name]}
    script = [sys.executable, folder / "log_runs.py", str(n_runs)]
    return subprocess.Popen(script, env=os.environ | signed_in, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)


# %%
print("ended well:", [person.wait() == 0 for person in [start("mira"), start("jonas")]])

# %% tags=["measured"]
import pandas as pd

runs = mlflow.search_runs(experiment_names=["churn"], order_by=["attributes.start_time ASC"])
runs = runs[runs["tags.mlflow.user"].isin(["mira", "jonas"])]
who = runs["tags.mlflow.user"].tolist()
arrived = pd.DataFrame({name: [who[:n].count(name) for n in range(len(who) + 1)] for name in ("mira", "jonas")})
whole = runs[["metrics.loss", "metrics.lift"]].notna().all(axis=1).sum()
title = f"{whole} of {2 * n_runs} runs arrived, each with both metrics"
labels = {"xlabel": "runs that the server has received", "ylabel": "runs of this person"}
fig = plots.runs_line(arrived.reset_index(names="arrival"), "arrival", ["mira", "jonas"], title=title, **labels)
plots.show(fig)

# %% [markdown]
# You should see two lines that grow side by side: PostgreSQL takes both writers at once. If one ends before the other
# begins, the machine was too busy to run both. The name on a run, `mlflow.user`, is the one that was signed in.
#
# ## Look at the UI
#
# The server runs until the last cell of the pitfalls, `room.close()`; after *Run All*, run the cells above once more.
# Click the address printed above. The browser asks for a name: sign in as `tom`, with the password from the cell. With
# *Model training* chosen, open `churn`, tick a run, press *Delete*, then *Delete selected*: "Permission denied".
#
# ## Who may knock
#
# The server looks at the *name* by which it is called. Without `--allowed-hosts`, localhost and private addresses pass.

# %%
import httpx

for host in ("127.0.0.1:5001", "mlflow.nordtel.example", "192.168.1.5:5001", "evil.example"):
    reply = httpx.get(f"{server.address}/", headers={"Host": host}, auth=("tom", passwords["tom"]))
    print(f"{host:23} {reply.status_code} {reply.text if reply.is_error else ''}")

# %% [markdown]
# The 403 stops a web page that turns a colleague's browser against the server (*DNS rebinding*). It stops no script:
# ours wrote any name it liked. So `--host 0.0.0.0` **alone** is dangerous: it opens every network card, and whoever
# reaches the port reads, changes and deletes everything. Three things belong together: users (`--app-name basic-auth`),
# the allowed names, and encryption (a proxy with HTTPS), since basic authentication sends the password readable.
#
# **Object stores**, on paper: the flag changes, the clients do not.
#
# | store | `--artifacts-destination` | the server needs |
# |---|---|---|
# | Amazon S3 | `s3://bucket/path` | `boto3`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` |
# | MinIO | the same | the same, and `MLFLOW_S3_ENDPOINT_URL` |
# | Google Cloud | `gs://bucket/path` | `google-cloud-storage`, `GOOGLE_APPLICATION_CREDENTIALS` |
# | Azure | `wasbs://box@account.blob.core.windows.net/path` | `azure-storage-blob`, `AZURE_STORAGE_CONNECTION_STRING` |
#
# For huge files, `--no-serve-artifacts --default-artifact-root s3://bucket/path` lets clients write there directly;
# then each of them needs the key.
#
# ## Your turn
#
# Tom joins the project. Replace the three dots by **one line** that grants him EDIT on the experiment `churn`.
#
# <details><summary>One solution</summary>
#
# `auth.grant_user_permission("tom", "experiment", churn, "EDIT")`
#
# </details>

# %%
...

with team.signed_in("tom", passwords["tom"]):
    lesson.turn(outcome(actions["tag"]) == "allowed", "the cell that made the users grants two of them EDIT.")

# %% [markdown]
# ## Pitfalls
#
# **`sequence-behind`: the counter did not move.** We copied rows *with* their ids, so PostgreSQL's counter still stands
# at the beginning. The first new experiment gets an id that is taken, and MLflow blames the name. Repair: set the
# counter.

# %%
try:
    client.create_experiment("retention")
except mlflow.MlflowException as error:
    print("[sequence-behind]", str(error).split(". Error")[0], "| the id is taken:", "experiment_pk" in str(error))

with create_engine(uri).begin() as connection:
    counter = "pg_get_serial_sequence('experiments', 'experiment_id')"
    connection.execute(text(f"select setval({counter}, (select max(experiment_id) from experiments))"))
print("now:", outcome(lambda: client.create_experiment("retention")))

# %% [markdown]
# **`artifacts-left-behind`: addresses of the laptop.** The rows moved, the files did not: the database holds absolute
# paths. The laptop travels, and no model can be loaded. Repair: copy the files, and rewrite the addresses.
#
# **`model-left-behind`: deleted is not gone.** A deleted run goes to the trash; `mlflow gc` empties it. But the *logged
# model* of that run stays, with its files. Repair: delete the model too, then collect.

# %%
travelling = (folder / "laptop").rename(folder / "travelling")
try:
    mlflow.sklearn.load_model(logged.model_uri)
except (OSError, mlflow.MlflowException) as error:
    print("[artifacts-left-behind]", type(error).__name__)

# %%
shutil.copytree(travelling / "mlartifacts", folder / "server" / "artifacts", dirs_exist_ok=True)
places = {"experiments": "artifact_location", "runs": "artifact_uri", "logged_models": "artifact_location"}
places["model_versions"] = "storage_location"
old = str(folder / "laptop" / "mlartifacts")
with create_engine(uri).begin() as connection:
    for table, column in places.items():
        move = f"update {table} set {column} = replace({column}, :old, 'mlflow-artifacts:')"
        connection.execute(text(move), {"old": old})
print("loaded through the server:", type(mlflow.sklearn.load_model(logged.model_uri)).__name__)

# %%
where = ("--backend-store-uri", uri, "--tracking-uri", server.address)
client.delete_run(run_id)
print(command("gc", *where).strip())
print("[model-left-behind] Its model is still there:", client.get_logged_model(logged.model_id).status.value)
client.delete_logged_model(logged.model_id)
print(command("gc", *where).strip())

# %%
room.close()
print("The server still runs:", server.running)

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("tracking_server")

# %% [markdown]
# ## Key points
#
# - Moving a store: same version, schema by `mlflow db upgrade`, rows parents first, then the counter and the files.
#   Count every table on both sides.
# - A backup is `pg_dump` plus the artifact folder, and it counts after one restore with equal counts.
# - `--app-name basic-auth` asks who you are (401), permissions say what you may do (403), `--allowed-hosts` by which
#   name the server may be called. `--host 0.0.0.0` needs all of them.
# - `mlflow gc` removes deleted runs; their models have to be deleted too.
#
# ## Next steps
#
# - Do the [homework]({homework:tracking_server}): merge two stores, work out permissions, empty the trash.
# - Next lecture: prompts, traces and evaluation.
# - Official pages: [self-hosting](https://mlflow.org/docs/latest/self-hosting/),
#   [basic authentication](https://mlflow.org/docs/latest/self-hosting/security/basic-http-auth/).
# - Optional depth: set `n_runs` to 200, and watch the counts; `course server --help` has such a server ready for a class.
