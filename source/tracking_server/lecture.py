# %% [markdown]
# # A tracking server for the team
#
# **How do five people share one store, so that nothing is lost and not everyone may delete it?**
#
# We will start `mlflow server` with users and permissions in front of a PostgreSQL database and a bucket, and let two
# people log at the same time. Each round says for whom it is. Whoever *runs* a server also restores a backup, and moves
# a laptop's store into PostgreSQL. All of it runs on this machine. Folded parts (*More*) can wait.
#
# Afterwards you can
# - **start** a server with users, permissions, allowed hosts and artifacts in S3;
# - grant a permission, **tell** what each level allows, and read the codes 401 and 403;
# - back up and **restore** a store, and **remove** runs and models for good;
# - move a SQLite store to PostgreSQL, **take over** runs into a store in use, and **prove** by counting that nothing is
#   missing.
#
# **You need:** [MLflow basics]({step:mlflow_basics}), [Models]({step:models}) and [Model
# registry]({step:model_registry}).
#
# **Time:** 15 min to read · 18 min to do
#
# <!-- links -->
#
# ## Recall
#
# One question on an earlier lecture. Click an answer; each of them replies.

# %%
from course_utils import lesson

lesson.quiz("tracking_server", "recall")

# %% [markdown]
# ## The problem
#
# Mira's runs are in a SQLite file on her laptop. Jonas wants to see them, Aisha loads a model from there, and on Friday
# the laptop travels. Three things are wrong with that file for a team: only one program can write to it at a time, it
# lies on one disk, and it knows no users, so that whoever opens it can delete everything.
#
# A team uses three programs instead:
#
# - a **database server**, here PostgreSQL, keeps the rows and takes many writers;
# - an **object store** keeps the files;
# - **MLflow's server** stands in front of both. It asks people who they are, and it alone has the keys of the other
#   two.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
from course_utils import plots

boxes = {
    "mira": (1.0, 2.4, "Mira\nEDIT"),
    "tom": (1.0, 0.6, "Tom\nREAD"),
    "server": (4.5, 1.5, "mlflow server\nusers, permissions"),
    "rows": (8.2, 2.4, "PostgreSQL\nruns, metrics, users"),
    "files": (8.2, 0.6, "bucket\nmodels, pictures"),
}
arrows = [
    ("mira", "server", "logs"),
    ("tom", "server", "reads"),
    ("server", "rows", "rows"),
    ("server", "files", "files"),
]
title = "People talk to one server, and it holds the keys of the other two"
plots.show(plots.diagram(boxes, arrows, title=title))

# %% [markdown]
# ## Setup
#
# `team.postgres()` starts a real PostgreSQL that only this machine can reach, with a password made up now. Whatever
# enters `room` runs until `room.close()`, and at the latest until the notebook's kernel ends.

# %% tags=["parameters"]
n_runs = 20  # runs that each of two people logs

# %%
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import httpx
import mlflow
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sqlalchemy import MetaData, create_engine, func, select, text

from course_utils import data, store, team

# %%
if earlier := globals().get("room"):  # you run this again: stop the first programs
    earlier.close()
room = ExitStack()
folder = Path(tempfile.mkdtemp(dir=store.outputs("tracking_server")))
room.callback(shutil.rmtree, folder, ignore_errors=True)
store.quiet()  # no progress lines
postgres = room.enter_context(team.postgres())
version = postgres.run("psql", "-d", "postgres", "-t", "-c", "show server_version")
print("PostgreSQL", version.strip())

# %% [markdown]
# ## Round 1: the server
#
# *For whoever runs a server. Will you only use one? Run the cells, read **The files** and the point
# `--artifacts-destination`; go on at `health: 200`.*
#
# **The rows** go into a database. A store consists of tables: `experiments`, `runs`, `metrics` and others. They and
# their columns are its **schema**. `mlflow db upgrade` makes one in an empty database, or renews an older MLflow's:
# back that one up first (Round 4).
#
# `command` runs `mlflow …` inside this notebook. In a terminal, first `export PGPASSWORD=…`, which PostgreSQL's driver
# reads; then `mlflow db upgrade postgresql+psycopg2://mlflow@db.nordtel.example/mlflow`, without a password in the
# address.

# %%
from click.testing import CliRunner
from mlflow.cli import cli


def command(*words):
    return CliRunner().invoke(cli, words, catch_exceptions=False).output


uri = postgres.create("mlflow")  # `createdb mlflow`, and its address
done = command("db", "upgrade", uri)
count = postgres.run("psql", "-d", "mlflow", "-t", "-c", "select count(*) from runs")
print("rows in the table runs:", count.strip())

# %% [markdown]
# **The files** go into an **object store**. It keeps files under names, without a disk that you can see. Three words
# belong to it:
#
# - a file's name is its **key**, for example `artifacts/1/models/…/MLmodel`;
# - a collection of keys is a **bucket**;
# - the address to which requests go is the **endpoint**.
#
# Amazon's store is called S3, and many others understand the same requests. Here `moto` does, a program for tests that
# keeps everything in memory. Whoever asks shows an *access key*: a name with a secret.
#
# `start` and `wait` do what they did in [Serving]({step:serving}): a program in the background, and a pause until it
# answers.

# %%
import socket
import time


def start(log, *words, environment=None):  # in the background, until room.close()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])  # one that is free
    words = [sys.executable, "-m", *words, port]
    running = team.supervised(words, folder / log, cwd=folder, environment=environment)
    room.enter_context(running)
    return f"http://127.0.0.1:{port}"


def wait(url):
    for _ in range(600):
        try:
            return httpx.get(url, trust_env=False).status_code
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"{url} does not answer; its log is in {folder}")


# %%
import boto3

endpoint = start("s3.log", "moto.server", "-H", "127.0.0.1", "-p")
print("the endpoint answers:", wait(endpoint) < 500)
keys = {"AWS_ACCESS_KEY_ID": "nordtel", "AWS_SECRET_ACCESS_KEY": "only-in-a-lecture"}
where = {"endpoint_url": endpoint, "region_name": "us-east-1"}
where |= {name.lower(): value for name, value in keys.items()}
s3 = boto3.resource("s3", **where)
bucket = s3.create_bucket(Bucket="nordtel-mlflow")


def objects(bucket=bucket):
    return [item.key for item in bucket.objects.all()]


# %% [markdown]
# **The server** stands in front of both. It needs `pip install "mlflow[auth]" psycopg2-binary boto3`, the database from
# above, a second, empty one for users, and a file `auth.ini`. Start it on the machine that everybody reaches:
#
# ```bash
# export MLFLOW_BACKEND_STORE_URI=postgresql+psycopg2://mlflow:…@db.nordtel.example/mlflow
# export MLFLOW_AUTH_CONFIG_PATH=auth.ini MLFLOW_AUTH_ADMIN_PASSWORD=…   # 12 characters or more
# export MLFLOW_FLASK_SERVER_SECRET_KEY=…           # any long random text: it signs the web forms
# export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…
# export MLFLOW_S3_ENDPOINT_URL=https://s3.nordtel.example   # Amazon: AWS_DEFAULT_REGION=… instead
# mlflow server --app-name basic-auth --artifacts-destination s3://nordtel-mlflow/artifacts \
#     --host 127.0.0.1 --port 5001 --allowed-hosts "127.0.0.1:*,mlflow.nordtel.example" \
#     --cors-allowed-origins https://mlflow.nordtel.example
# ```
#
# - **Secrets stand in the environment**, because every user of the machine can list the command lines of the others.
# - **`--app-name basic-auth`** switches users on. Round 2 gives them permissions.
# - **`--artifacts-destination`** names the bucket. Uploads are **proxied**: people send files to the server, which
#   sends them on. Downloads come straight from S3, by a link that the server signs: people must *reach* S3, but need no
#   key. In the rows, `mlflow-artifacts:` stands for this destination.
# - **`--host 127.0.0.1`** lets in this machine only. All others come through the *reverse proxy* on it
#   ([Serving]({step:serving})), which takes HTTPS. The proxy and the last two flags come in Round 2.
#
# <details class="more"><summary>More: the password of the admin</summary>
#
# There is no default password: older courses sign in as `admin` with `password1234`, which is refused today.
# `MLFLOW_AUTH_ADMIN_PASSWORD` counts when the user is made. Later it changes nothing, except that it replaces an old
# server's `password1234`.
#
# </details>
#
# The next cells start one, with one worker to save memory. First `auth.ini`. In yours, `database_uri` is
# `postgresql+psycopg2://…/users`, with `%%` for each `%` in it:

# %%
people = ("admin", "mira", "jonas", "tom")
passwords = {name: f"{name}-at-nordtel" for name in people}  # only in a lecture!
users = postgres.create("users")
settings = f"""
[mlflow]
default_permission = READ
database_uri = {users}
admin_username = admin
# a password that was right is believed for a minute, which saves time
auth_cache_ttl_seconds = 60
"""
(folder / "auth.ini").touch(mode=0o600)  # nobody else may read it
size = (folder / "auth.ini").write_text(settings)

# %%
import secrets

# what this notebook is told must not reach the server
client_side = ("MLFLOW_", "AWS_")
environment = {k: v for k, v in os.environ.items() if not k.startswith(client_side)}
environment |= {
    "MLFLOW_BACKEND_STORE_URI": uri,
    "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
    "MLFLOW_AUTH_ADMIN_PASSWORD": passwords["admin"],
    "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
    "MLFLOW_S3_ENDPOINT_URL": endpoint,
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # ten processes fewer
    "MLFLOW_DISABLE_TELEMETRY": "true",
    **keys,
}

# %%
words = ["mlflow", "server", "--app-name", "basic-auth", "--workers", "1"]
words += ["--artifacts-destination", "s3://nordtel-mlflow/artifacts"]
words += ["--allowed-hosts", "127.0.0.1:*,mlflow.nordtel.example"]
words += ["--host", "127.0.0.1", "--port"]
address = start("server.log", *words, environment=environment)


# %%
def sign_in(name):
    os.environ["MLFLOW_TRACKING_USERNAME"] = name
    os.environ["MLFLOW_TRACKING_PASSWORD"] = passwords.get(name, "a-good-guess")


print("health:", wait(f"{address}/health"))
mlflow.set_tracking_uri(address)
mlflow.set_registry_uri(address)
sign_in("admin")
client = mlflow.MlflowClient()

# %% [markdown]
# You should see 200: the server is ready. If it takes a minute, the machine is busy.
#
# `sign_in` sets two variables, which the client reads anew at each call. Colleagues set them once, in a terminal,
# before Python or Jupyter starts. Nothing else changes in their code, and no password stands in a notebook:
#
# ```bash
# export MLFLOW_TRACKING_URI=https://mlflow.nordtel.example
# export MLFLOW_TRACKING_USERNAME=mira MLFLOW_TRACKING_PASSWORD=…
# ```
#
# **Predict.** The next cell logs a run with a model. MLflow's client in this notebook was told neither the bucket's
# address nor its access key. Where do the model's files end up?

# %%
prediction = "?"  # on this disk, in the bucket, nowhere

# %%
split = data.churn_split(600, seed=0, numeric=True)
X_val, y_val = split.X_test, split.y_test  # rows that no model is trained on
model = LogisticRegression(max_iter=2000).fit(split.X_train, split.y_train)
churn = mlflow.set_experiment("churn").experiment_id
with mlflow.start_run(run_name="first") as run:
    mlflow.log_metric("val_accuracy", model.score(X_val, y_val))
    logged = store.log_model(model, "churn", split.X_train)
run_id = run.info.run_id
print("in the bucket:", sorted(key.split("/")[-1] for key in objects()))
loaded = mlflow.sklearn.load_model(logged.model_uri)
same = (loaded.predict(X_val) == model.predict(X_val)).all()
print("loaded again, it predicts the same:", same)

# %% tags=["claims"]
CHANGES = [{"n_runs": 5}]
assert count.strip() == "0" and same
assert "MLmodel" in {key.split("/")[-1] for key in objects()}
assert all(key.startswith("artifacts/") for key in objects())
assert not {"AWS_SECRET_ACCESS_KEY", "MLFLOW_S3_ENDPOINT_URL"} & set(os.environ)
info_ = httpx.get(f"{address}/api/3.0/mlflow/server-info", auth=("mira", passwords["mira"]), trust_env=False)
assert info_.json()["multipart_downloads_enabled"]  # so the client asked for links to the bucket
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

repository_ = get_artifact_repository(mlflow.get_logged_model(logged.model_id).artifact_location)
link_ = repository_._get_presigned_download_url("MLmodel").url
assert link_.startswith(endpoint), link_

# %% [markdown]
# You should see `MLmodel` and the model's other files in the bucket. The client sent them to the server, and the server
# wrote them there.
#
# <details class="more"><summary>More: Amazon, Google, Azure and stores of your own</summary>
#
# Other stores need another flag and other variables, and people's code stays the same. On paper:
#
# | store | `--artifacts-destination` | the server needs |
# |---|---|---|
# | Amazon S3 | `s3://bucket/path` | `boto3`, the bucket's `AWS_DEFAULT_REGION` (without it, models go up and do not come down), `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` or the role of its machine |
# | SeaweedFS, MinIO and others with S3's language | `s3://bucket/path` | the same keys, and `MLFLOW_S3_ENDPOINT_URL` |
# | Google Cloud | `gs://bucket/path` | `google-cloud-storage`, `GOOGLE_APPLICATION_CREDENTIALS` |
# | Azure | `wasbs://box@account.blob.core.windows.net/path` | `azure-storage-blob`, `AZURE_STORAGE_CONNECTION_STRING` |
#
# MinIO, which many texts name for one's own hardware, is no longer maintained as open source; SeaweedFS is.
#
# Files of 500 MB and more are sent straight to the store, too. Where people cannot reach S3's address, set
# `MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD=false` and `MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD=false` on their machines: then
# all goes through the server. (From Google and Azure, it is fetched through the server anyway.)
#
# </details>
#
# ## Round 2: who may do what
#
# *For everybody: what you may do, and what a refusal says.*
#
# The user `admin` makes users, and grants each a level on an `experiment` (by id) or a `registered_model` (by name).
# Each level includes those above it:
#
# | level | allows |
# |---|---|
# | READ | look at runs and load models |
# | USE | call models through MLflow's gateway to language models; on a run no more than READ |
# | EDIT | log and change |
# | MANAGE | delete (one's own runs, too, need it), and grant permissions to others |
#
# Three rules go with them.
#
# - `default_permission` is everybody's minimum. Here it is READ, so all can download all files.
# - A grant of DENY takes away all, the default, too.
# - Whoever creates an experiment or a model gets MANAGE on it. `admin` created `churn`, so none of the others has it.
#
# <details class="more"><summary>More: changing a grant</summary>
#
# One person has at most one grant on one thing, and a second is refused (`already exists`). To change it, take away the
# first with `auth.revoke_user_permission`, and grant anew. Older texts grant NO_PERMISSIONS, which MLflow 3.17 refuses:
# grant DENY. As `default_permission` it is valid: then nobody sees what was not granted to them.
#
# </details>

# %%
from mlflow.server import get_app_client

auth = get_app_client("basic-auth", address)
for name in ("mira", "jonas", "tom"):
    auth.create_user(name, passwords[name])
for name in ("mira", "jonas"):
    auth.grant_user_permission(name, "experiment", churn, "EDIT")

# %% [markdown]
# **Predict.** Tom has READ, Mira has EDIT, a stranger guesses a password. Who may set a tag on a run, and who may
# delete the experiment?

# %%
prediction = {"tag": [], "delete": []}  # names


# %%
def outcome(action):
    try:
        action()
    except mlflow.MlflowException as error:
        return "refused: " + str(error).split("error code ")[1][:3]
    return "allowed"


# %%
actions = {
    "read": lambda: client.get_run(run_id),
    "tag": lambda: client.set_tag(run_id, "reviewed", "yes"),
    "delete": lambda: client.delete_experiment(churn),
}
answers = {}
for name in ("stranger", "tom", "mira"):
    sign_in(name)
    answers[name] = {what: outcome(action) for what, action in actions.items()}
sign_in("admin")
pd.DataFrame(answers).T

# %% tags=["claims"]
assert set(answers["stranger"].values()) == {"refused: 401"}
no = "refused: 403"
assert answers["tom"] == {"read": "allowed", "tag": no, "delete": no}
assert answers["mira"] == {"read": "allowed", "tag": "allowed", "delete": no}

# %% [markdown]
# You should see 401 for the stranger: the server asks *who are you?* And 403 says that a known person lacks the
# permission. None of the three may delete, because that needs MANAGE. If everyone is allowed, the server runs without
# `--app-name basic-auth`.
#
# **Allowed hosts** (from here on, this round is for whoever runs a server). Besides the user, the server looks at the
# *name* by which it is called. A browser sends that name with every request, in the header `Host`. `--allowed-hosts`
# lists the names that pass:

# %%
tom = {"auth": ("tom", passwords["tom"]), "trust_env": False}
knocks = {}
nordtel = "mlflow.nordtel.example"
for host in ("127.0.0.1:80", nordtel, f"{nordtel}:5001", "evil.example"):
    reply = httpx.get(f"{address}/", headers={"Host": host}, **tom)
    knocks[host] = reply.status_code
print(knocks)

# %% tags=["claims"]
assert list(knocks.values()) == [200, 200, 403, 403]

# %% [markdown]
# You should see 403 for `evil.example`, although Tom's password was right. The reply's text, not printed, says which
# 403 it is: `Invalid Host header` here, `Permission denied` above. The list protects colleagues' browsers: the owner of
# `evil.example` can let that name lead to your server, so that a page of theirs calls it (*DNS rebinding*). A script
# can write any name: only the sign-in stops it.
#
# `mlflow.nordtel.example:5001` gets 403, too, because the port counts as part of the name. An address without a port
# (HTTPS's usual one) passes; for addresses with one, add `mlflow.nordtel.example:*`.
#
# **Opening it to the network.** `--host 0.0.0.0` **alone** is dangerous: without users, whoever reaches the port can
# read, change and delete everything. A team needs three things:
#
# - users (`--app-name basic-auth`);
# - allowed names (`--allowed-hosts`), and the UI's own address (`--cors-allowed-origins`), or its calls get 403;
# - encryption, because basic authentication sends the password readable. A **reverse proxy**, such as nginx, takes the
#   HTTPS calls on this machine and hands them on, so `--host` stays 127.0.0.1. Set it up with the lines in the next
#   fold: without them, MLflow takes each caller for a local one.
#
# <details class="more"><summary>More: what the reverse proxy must be told</summary>
#
# In nginx's site for HTTPS (its certificate: nginx's manual), inside `location / { … }`:
#
# ```nginx
# proxy_pass http://127.0.0.1:5001;
# proxy_set_header Host $host;
# proxy_set_header X-Forwarded-For $remote_addr;
# client_max_body_size 0;
# proxy_read_timeout 600s;
# ```
#
# - Without `Host`, every name arrives as `127.0.0.1`, and passes.
# - Without `X-Forwarded-For`, MLflow takes everybody for somebody who sits at the server. Even Tom can then change the
#   settings of its assistant, which acts there as the server's user.
# - Without `client_max_body_size`, nginx refuses files of more than 1 MB with the code 413, models too. Without
#   `proxy_read_timeout`, large ones (up to 500 MB) end with 504: MLflow answers once the bucket has all. Clients need
#   `MLFLOW_HTTP_REQUEST_TIMEOUT=600`.
#
# A browser sends a second header, `Origin`: the address of the page that asks. MLflow knows only the pages of this
# machine as its own. Without `--cors-allowed-origins` and the full address, people's Python works, and the UI at
# `mlflow.nordtel.example` gets 403, `Cross-origin request blocked`.
#
# A browser leaves out the port in `Host` when it is the usual one, 443 for HTTPS. That is why the plain name is in our
# list.
#
# </details>
#
# ## Round 3: two people at once
#
# *For everybody: what happens when a colleague logs while you do.*
#
# Mira and Jonas log at the same time, each in a process of their own, under their own name. The server's address stands
# in the environment, too: `set_tracking_uri` wrote it there. The experiment must exist: of two processes that create it
# at the same moment, one logs into `Default` ([Batch and scale]({step:batch_and_scale})).

# %%
size = (folder / "log_runs.py").write_text("""
import sys
import mlflow

mlflow.set_experiment("churn")
for i in range(int(sys.argv[1])):
    with mlflow.start_run(run_name=f"run-{i}"):
        mlflow.log_metrics({"loss": 1 / (i + 1), "lift": i / 2})
""")


def log_as(name):
    sign_in(name)  # the process inherits the environment of this moment
    script = [sys.executable, folder / "log_runs.py", str(n_runs)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(script, **quiet)


# %%
both = [log_as("mira"), log_as("jonas")]
sign_in("admin")
print("ended well:", [process.wait() == 0 for process in both])

# %% tags=["measured"]
runs = mlflow.search_runs([churn])
runs = runs[runs["tags.mlflow.user"].isin(["mira", "jonas"])]
whole = runs[["metrics.loss", "metrics.lift"]].notna().all(axis=1)
runs = runs.assign(whole=whole)
writers = runs.groupby("tags.mlflow.user")
began, ended = writers["start_time"].min(), writers["start_time"].max()
print("both wrote at the same time:", began.max() < ended.min())
writers["whole"].agg(runs="size", with_both_metrics="sum")

# %% tags=["claims"]
assert len(runs) == 2 * n_runs and runs["whole"].all()
assert writers.size().tolist() == [n_runs, n_runs]

# %% [markdown]
# You should see all runs arrive, each with both metrics: PostgreSQL takes both writers, and nothing is lost. If the
# first line says `False`, the machine was too busy to run both at once.
#
# <details class="more"><summary>More: does the name on a run prove whose it is?</summary>
#
# No. The name, `mlflow.user`, is the one in `MLFLOW_TRACKING_USERNAME`. The client writes it as a tag, which whoever
# has EDIT can change. It is good for sorting.
#
# </details>
#
# ## Look at the UI
#
# The server runs as long as the notebook does. The next cell prints its address and Tom's password.

# %% tags=["measured"]
print(address, "| user: tom | password:", passwords["tom"])

# %% [markdown]
# 1. Open the address in a browser. It asks for a name and a password: sign in as `tom`.
# 2. With *Model training* chosen at the top left, open the experiment `churn`. You see Mira's and Jonas' runs.
# 3. Tick a run, press *Delete*, and confirm. The run stays, and the page says that permission is denied.
#
# ![Tom ticked a run and pressed Delete: permission denied, after step 3](../site/_static/tracking_server_ui.png)
#
# ## Your turn
#
# Tom joins the project. Replace the three dots by **one line** that grants him EDIT on the experiment `churn`. (Run a
# second time, the cell says `already exists`: the grant is there.)
#
# <details><summary>One solution</summary>
#
# `auth.grant_user_permission("tom", "experiment", churn, "EDIT")`
#
# </details>

# %% tags=["your-turn"]
sign_in("admin")
...

# %% tags=["your-turn-solution"]
sign_in("admin")
auth.grant_user_permission("tom", "experiment", churn, "EDIT")

# %%
hint = "the cell that made the users grants two of them EDIT."
sign_in("tom")
lesson.turn(outcome(actions["tag"]) == "allowed", hint)
sign_in("admin")

# %% [markdown]
# ## A good place for a pause
#
# If you only *use* a server, take the two lines with `export MLFLOW_TRACKING_…` home, from Round 1. With MANAGE: a
# deleted run's *logged model* stays; delete it (`client.delete_logged_model`) unless a registered version uses it. The
# rest is for whoever *runs* a server, as are quiz questions 1, 4 and 5 and homework tasks 1, 3 and 4.
#
# ## Round 4: a backup, and a restore
#
# *For whoever runs a server: a broken disk must not cost the store.*
#
# A backup has four parts: the databases `mlflow` and `users` (who may sign in), the bucket, and the server's secrets,
# because some of them can encrypt rows.
#
# `pg_dump` writes a database in use into a file, as it was at one moment, so nobody has to stop. In a terminal it is
# `pg_dump -h db.nordtel.example -U mlflow --format=custom --file mlflow.dump mlflow` (here, `postgres.run` adds host
# and user). Copy the bucket *after* the databases, erasing nothing in between: then no saved row lacks its file.
# Restore the dump once, into an *empty* database (`pg_restore -h … --no-owner --dbname … mlflow.dump`): `count_rows`,
# next, must agree if nobody wrote since.


# %%
def count_rows(uri):
    engine, tables = create_engine(uri), MetaData()
    tables.reflect(engine)
    with engine.connect() as reading:
        rows = {
            name: reading.scalar(select(func.count()).select_from(table))
            for name, table in tables.tables.items()
        }
    engine.dispose()
    return pd.Series(rows).sort_index()


# %%
for name in ("mlflow", "users"):
    dump = folder / f"{name}.dump"
    printed = postgres.run("pg_dump", "--format=custom", "--file", dump, name)
backup = s3.create_bucket(Bucket="nordtel-backup")
for key in objects():
    backup.copy({"Bucket": "nordtel-mlflow", "Key": key}, key)

# %%
differ = {}
for name in ("mlflow", "users"):
    dump, empty = folder / f"{name}.dump", f"{name}_restored"
    restored = postgres.create(empty)
    printed = postgres.run("pg_restore", "--no-owner", "--dbname", empty, dump)
    differ[name] = int((count_rows(restored) != count_rows(postgres.uri(name))).sum())
print("tables that differ:", differ)
print("objects that differ:", len(set(objects()) ^ set(objects(backup))))

# %% tags=["claims"]
assert set(differ) == {"mlflow", "users"} and not any(differ.values())
assert count_rows(restored)["users"] == len(people) and objects() == objects(backup)

# %% [markdown]
# You should see 0 three times. After a real loss, `mlflow_restored` goes into `MLFLOW_BACKEND_STORE_URI`,
# `users_restored` into `auth.ini`, and `--artifacts-destination` is `s3://nordtel-backup/artifacts`. For a large
# bucket, `aws s3 sync` copies only what is new.
#
# <details class="more"><summary>More: which secrets encrypt rows</summary>
#
# `MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY`, `MLFLOW_CRYPTO_KEK_PASSPHRASE` and `MLFLOW_CRYPTO_KEK_VERSION`. Set the first
# (a Fernet key) before you use webhooks with a secret: unset, each process makes its own, and no other reads what it
# wrote. Set the second before you use the gateway: unset, it is a text that everybody can read in MLflow's source.
#
# </details>
#
# ## Round 5: move a laptop's store
#
# *For whoever runs a server, once: somebody has a store already.*
#
# Mira's laptop is a folder with a store of its own: two runs, each with a model, and one trace, which is the record of
# a single request (see [GenAI]({step:genai})).

# %%
laptop = store.connect(f"sqlite:///{(folder / 'laptop' / 'mlflow.db').as_posix()}")
mlflow.set_experiment("churn")
for C in (0.1, 1.0):
    with mlflow.start_run(run_name=f"C={C}"):
        model = LogisticRegression(C=C, max_iter=2000).fit(split.X_train, split.y_train)
        mlflow.log_params({"C": C, "n_rows": 600, "data_seed": 0})
        mlflow.log_metric("val_accuracy", model.score(X_val, y_val))
        on_laptop = store.log_model(model, "churn", split.X_train)
with mlflow.start_span("answer") as span:
    span.set_outputs(model.predict(X_val[:1]).tolist())
print(len(store.runs("churn")), "runs on the laptop")
mlflow.set_tracking_uri(address)  # from here on the team's server again
mlflow.set_registry_uri(address)

# %% [markdown]
# No MLflow command moves a database. Into a store in use, make the runs again (end of this round, and homework task 1).
# A team that *begins* with Mira's store moves it into a *new* database, in seven steps:
#
# 1. Let nobody log meanwhile, make a backup, and use one MLflow version on both sides.
# 2. Make the schema in a new database.
# 3. Copy the rows, table by table, and compare the counts.
# 4. Set the id counter.
# 5. Copy the files into the bucket.
# 6. Rewrite the addresses of the files.
# 7. Start a server on the new database.
#
# The cells take steps 2 to 7 in turn, with a new database, `moved`.
#
# **Step 2: the schema.** If the laptop's store comes from an older MLflow, upgrade that one, too.

# %%
moved = postgres.create("moved")
done = command("db", "upgrade", moved)

# %% [markdown]
# **Step 3: the rows.** **Predict.** A row of `metrics` names a row of `runs`, which names a row of `experiments`. PostgreSQL refuses a row
# whose partner is not there. In which order do you fill the three?

# %%
prediction = ["?", "?", "?"]  # first, second, third


# %%
def copy_rows(source, target):
    old, new = create_engine(source), create_engine(target)
    here, there = MetaData(), MetaData()
    here.reflect(old)
    there.reflect(new)
    with old.connect() as reading, new.begin() as writing:
        for table in there.sorted_tables:  # parents before children
            names = [c.name for c in table.c if not c.computed]  # PostgreSQL fills them
            wanted = select(*here.tables[table.name].c[*names])
            if rows := [dict(row) for row in reading.execute(wanted).mappings()]:
                writing.execute(table.delete())  # what the schema came with
                writing.execute(table.insert(), rows)
    old.dispose()
    new.dispose()
    return [table.name for table in there.sorted_tables]


# %%
order = copy_rows(laptop, moved)
print([name for name in order if name in ("metrics", "runs", "experiments")])
before, after = count_rows(laptop), count_rows(moved)
print("tables that differ:", (before != after).sum())
after[["experiments", "runs", "metrics", "params", "logged_models"]]

# %% tags=["claims"]
three = [name for name in order if name in ("metrics", "runs", "experiments")]
assert three == ["experiments", "runs", "metrics"]
assert (before == after).all() and after["runs"] == after["logged_models"] == 2
assert after["spans"] == 1

# %% [markdown]
# You should see experiments, runs, metrics: parents come before children, and SQLAlchemy's `sorted_tables` knows that
# order. And no table differs, so step 3 is done. Had a line failed, nothing would have been written: the copy opens a
# **transaction** (`new.begin()`), which is written as a whole or not at all.
#
# `copy_rows` is for a *new* database only: it empties each table that it fills, and holds it in memory (10 million
# points: 13 GB).
#
# **Step 4: the counter.** The rows came *with* their ids, so the counter for new experiments still stands at 1. Set it
# to the largest id:

# %%
def set_counter():
    counter = "pg_get_serial_sequence('experiments', 'experiment_id')"
    largest = "(select greatest(max(experiment_id), 1) from experiments)"
    with create_engine(moved).begin() as connection:
        connection.execute(text(f"select setval({counter}, {largest})"))


set_counter()

# %% [markdown]
# **Step 5: the files.** `mlartifacts/1/…` (or `mlruns/1/…`) becomes `moved/1/…` (no id there: this round's last fold).
# Then the laptop travels.

# %%
files = folder / "laptop" / "mlartifacts"
paths = [path for path in files.rglob("*") if path.is_file()]
for path in paths:
    bucket.upload_file(str(path), f"moved/{path.relative_to(files).as_posix()}")
arrived = [key for key in objects() if key.startswith("moved/")]
print("files on the laptop:", len(paths), "- in the bucket:", len(arrived))
travelled = (folder / "laptop").rename(folder / "travelled")

# %% [markdown]
# **Step 6: the addresses.** Six columns still name the laptop's folder. Put `mlflow-artifacts:` in its place, which
# stands for the server's `--artifacts-destination`:

# %%
base = "mlflow-artifacts:"
laptops = (files.as_uri(), files.as_posix())  # with file:// and without


def rewrite(table, column, olds=laptops, new=base):
    words = f"update {table} set {column} = replace({column}, :old, :new)"
    with create_engine(moved).begin() as connection:
        for old in olds:
            connection.execute(text(words), {"old": old, "new": new})


# %%
rewrite("experiments", "artifact_location")  # where new runs put their files
rewrite("runs", "artifact_uri")
rewrite("logged_models", "artifact_location")
rewrite("model_versions", "storage_location")
rewrite("model_versions", "source")  # of a version that was registered by its run
rewrite("trace_tags", "value")  # a trace has its address among its tags

# %% [markdown]
# **Step 7: the server**, on the new database, with `--artifacts-destination s3://nordtel-mlflow/moved`, where step 5
# put the files. Its database of users is new, too, because grants name ids. It has no record that Mira made her
# experiment, so the admin grants her MANAGE. Then we load her model.

# %%
words = [word.replace("/artifacts", "/moved") for word in words]
new_settings = settings.replace(users, postgres.create("moved_users"))
(folder / "moved.ini").touch(mode=0o600)
size = (folder / "moved.ini").write_text(new_settings)
environment["MLFLOW_BACKEND_STORE_URI"] = moved
environment["MLFLOW_AUTH_CONFIG_PATH"] = str(folder / "moved.ini")
new_address = start("moved.log", *words, environment=environment)
print("health:", wait(f"{new_address}/health"))

# %%
sign_in("admin")
mover = mlflow.MlflowClient(new_address, new_address)
hers = mover.get_experiment_by_name("churn").experiment_id
new_users = get_app_client("basic-auth", new_address)
new_users.create_user("mira", passwords["mira"])
new_users.grant_user_permission("mira", "experiment", hers, "MANAGE")

mlflow.set_tracking_uri(new_address)
again = mlflow.sklearn.load_model(on_laptop.model_uri)
mlflow.set_tracking_uri(address)  # back to the team's
unchanged = (again.predict(X_val) == model.predict(X_val)).all()
print("moved, it predicts the same:", unchanged)

# %% tags=["claims"]
assert len(paths) == len(arrived) > 0 and unchanged
assert mover.get_logged_model(on_laptop.model_id).artifact_location.startswith(base)
assert not files.exists()

# %% [markdown]
# You should see `True`, although the laptop's folder is gone.
#
# **Into a store that is in use** rows cannot be copied, because the ids would clash. Take a run over by making it again
# with the client:
#
# ```python
# began, name = old_run.info.start_time, old_run.info.run_name
# new_id = team_client.create_run(churn, began, run_name=name).info.run_id
# for key in old_run.data.metrics:  # all points, with their steps and times
#     points = laptop_client.get_metric_history(old_run.info.run_id, key)
#     team_client.log_batch(new_id, metrics=points)
# # without the next line, the new run stays RUNNING
# team_client.set_terminated(new_id, old_run.info.status, old_run.info.end_time)
# ```
#
# `laptop_client` and `team_client` are one `MlflowClient` for each store, `old_run` is the run on the laptop, and `churn`
# the id of the experiment that receives it. Parameters, as `Param(key, value)`, and tags go along in `log_batch`, and files with `log_artifact`.
#
# <details class="more"><summary>More: what a run taken over still needs; paths without an experiment's id</summary>
#
# - The tag `mlflow.user` says whose run it was.
# - One tag has to be translated: `mlflow.parentRunId` of a child holds the *old* id of its parent. Take parents over
#   first, keep a dictionary from old id to new, and write the new one.
# - Data sets, traces and logged models stay behind. Log a model that you still need once more.
#
# When you copy rows:
#
# - With users, the server reads the experiment from the first part of a file's path. Where no id stands there, as with
#   an experiment that was made with an `artifact_location` ([MLflow basics]({step:mlflow_basics})), only
#   `default_permission` counts: under READ, nobody but an admin can log files, and DENY hides none. Put such files under
#   `moved/<experiment id>/`, and the id into all six addresses.
# - If the old server had `MLFLOW_SQL_TRACE_ROLLUPS_ENABLED`, three more tables count by themselves. Before the copy,
#   stop it and empty them by `mlflow db delete-trace-rollups` with the old address. A server makes their rows anew.
#
# </details>
#
# ## Pitfalls
#
# The homework's checks use the same codes.
#
# **`sequence-behind`: step 4 was left out.** The counts of the rows agree all the same. But the first new experiment gets
# an id that is taken, and MLflow blames its name. We put the counter back to see it; the repair is step 4.

# %%
with create_engine(moved).begin() as connection:  # as it was before step 4
    connection.execute(text("alter sequence experiments_experiment_id_seq restart"))
try:
    mover.create_experiment("retention")
except mlflow.MlflowException as error:
    print("[sequence-behind] the id is taken:", "experiment_pk" in str(error))

set_counter()
if mover.get_experiment_by_name("retention") is None:
    mover.create_experiment("retention")
print("repaired:", mover.get_experiment_by_name("retention").name)

# %% [markdown]
# **`artifacts-left-behind`: one column was left out in step 6.** All old runs and models are found. But when the
# experiment keeps its address, a *new* run writes to the laptop's folder, on whichever machine it runs.
#
# To repair it, do all of step 6 once more (here two lines suffice), also for the runs, models and traces made since. A
# file that already went to somebody's disk has to be uploaded by hand.


# %%
def file_of_new_run():
    n_before = len(objects())
    old_churn = mover.get_experiment_by_name("churn").experiment_id
    new_run = mover.create_run(old_churn, run_name="with-file").info.run_id
    mover.log_text(new_run, "weights", "weights.txt")
    mover.set_terminated(new_run)
    return len(objects()) - n_before


rewrite("experiments", "artifact_location", [base], files.as_uri())  # as before step 6
print("[artifacts-left-behind] new objects in the bucket:", file_of_new_run())
print("a laptop's folder again:", files.exists())
rewrite("experiments", "artifact_location")
rewrite("runs", "artifact_uri")  # of the runs made in the meantime
print("repaired, new objects in the bucket:", in_bucket := file_of_new_run())

# %% tags=["claims"]
assert files.exists() and in_bucket == 1
their = [mover.get_experiment_by_name("churn").experiment_id]
(found,) = mover.search_traces(locations=their)
assert found.info.tags["mlflow.artifactLocation"].startswith(base)
where_now = [r.info.artifact_uri for r in mover.search_runs(their)]
assert len(where_now) == 4 and all(uri.startswith(base) for uri in where_now)

# %% [markdown]
# **`model-left-behind`: deleted is not gone.** Back in the team's store: a deleted run goes to the trash, and `mlflow
# gc` empties the trash. But the *logged model* of that run stays, with its files. To repair it, delete the model too,
# and collect again.
#
# Before you do that on a team's server, two warnings:
#
# - **Look first whether a registered version uses the model.** No command warns you, and the champion then no longer
#   loads.
# - **Add `--older-than 30d`**, or `gc` takes what *anybody* has deleted, also a minute ago, as in our cell.
#
# <details class="more"><summary>More: the words of the command</summary>
#
# `mlflow gc --older-than 30d --backend-store-uri … --tracking-uri …`: the database as in Round 1, with `PGPASSWORD`,
# and the server, through which it reaches the files, signed in as here.
#
# The `source` of a version may be `runs:/…`, and that of a copy names its original version. Both keep the run's id:
# `client.search_model_versions(f"run_id = '{run_id}'")` finds them. One registered from a bare path may have no run:
# search its `source` for the model's id, too.
#
# A deleted *experiment* takes the rows of all its models along, also of those that nobody deleted, and their files stay
# for good. Delete its models first.
#
# </details>

# %%
where = ("--backend-store-uri", uri, "--tracking-uri", address)
with mlflow.start_run(experiment_id=churn, run_name="mistake") as run:
    model_id = store.log_model(model, "churn", split.X_train).model_id
gone, left = run.info.run_id, {}
versions = client.search_model_versions(f"run_id = '{gone}'")  # copies, too
print("a version uses it:", len(versions) > 0)
client.delete_run(gone)
printed = command("gc", *where)
left["after the run"] = sum(model_id in key for key in objects())
status = client.get_logged_model(model_id).status
print("[model-left-behind] the model is still", status.value)

client.delete_logged_model(model_id)
printed = command("gc", *where)
left["after the model"] = sum(model_id in key for key in objects())
print("files of the model in the bucket:", left)

# %% tags=["claims"]
assert left["after the run"] > 0 and left["after the model"] == 0
assert gone not in {
    run.info.run_id for run in client.search_runs([churn], run_view_type=3)
}

# %% [markdown]
# The programs end with the notebook: choose *Kernel > Shut Down Kernel*, or run `room.close()`.

# %% [markdown]
# ## In your own project
#
# The same work without this course: a server with users, a user who logs a run, and a stranger, Eve, who is refused. It
# needs `mlflow[auth]`. Open *Show the script*, copy it into a file `team_server.py` in an empty folder, choose
# passwords of 12 characters or more (to change one later, begin in a new folder), and run `python team_server.py`. The
# last line should be `eve is refused: True`.
#
# The script is for trying: its server keeps its runs in `mlflow.db`, takes another port each time, and ends with the
# script. For a team, start the server by the command of Round 1.
#
# <details class="more"><summary>More: keeping the server, and changing a password</summary>
#
# - A line `print(address); server.wait()` at the end of the script keeps the server until Ctrl+C.
# - `auth.update_user_password` changes a password, your own with `current_password=`.
#
# </details>

# %% tags=["own-project"]
import atexit
import os
import socket
import sys
import time
import warnings
from subprocess import STDOUT, Popen

import mlflow

warnings.filterwarnings("ignore", message="starlette")  # MLflow 3.17 uses an old part
from mlflow.server import get_app_client

WHO = {"admin": "change-me-admin-1", "mira": "change-me-mira-22", "eve": "a guess"}
first_time = not os.path.exists("users-made")  # written when Mira is there
os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"] = WHO["admin"]
os.environ["MLFLOW_FLASK_SERVER_SECRET_KEY"] = "change me: a long random text"
os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
port = socket.create_server(("127.0.0.1", 0)).getsockname()[1]  # one that is free
words = f"-m mlflow server --app-name basic-auth --workers 1 --port {port}".split()
server = Popen([sys.executable, *words], stdout=open("server.log", "w"), stderr=STDOUT)
atexit.register(lambda: (server.terminate(), server.wait()))
mlflow.set_tracking_uri(address := f"http://127.0.0.1:{port}")

while socket.socket().connect_ex(("127.0.0.1", port)):
    server.poll() is None or sys.exit("The server has ended; server.log says why.")
    time.sleep(0.2)
for name, word in WHO.items():
    os.environ.update(MLFLOW_TRACKING_USERNAME=name, MLFLOW_TRACKING_PASSWORD=word)
    if name == "admin" and first_time:
        auth = get_app_client("basic-auth", address)
        auth.create_user("mira", WHO["mira"])
        auth.grant_user_permission("mira", "experiment", "0", "EDIT")
        open("users-made", "w").close()
    try:
        with mlflow.start_run(experiment_id="0", run_name=f"by-{name}"):
            print(name, "logs; runs so far:", len(mlflow.search_runs(["0"])))
    except mlflow.MlflowException as error:
        print(name, "is refused:", "401" in str(error))

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("tracking_server")

# %% [markdown]
# ## Key points
#
# - **How do you start a server for a team?** `mlflow server` with users, the bucket, the allowed names and pages as
#   flags; the database's address, the passwords and the bucket's access key in the environment; HTTPS in front.
# - **What do 401 and 403 say?** 401: the server does not know you. 403: it knows you, and you lack the permission; or
#   the name, or the page that asks, is not allowed.
# - **How do you move a store?** Nobody logs. One MLflow version, the schema, rows parents first, then the id counter,
#   the files and *every* column with an address. Count all tables. Into a store in use, make the runs again.
# - **How do you back up and clean?** `pg_dump` of both databases, then the bucket, and one restore with equal counts.
#   `mlflow gc` empties the trash; delete a deleted run's model, too, unless a registered version uses it.
#
# ## Next steps
#
# - Do the [homework]({homework:tracking_server}): take over runs, work out permissions, empty the trash, restore a
#   backup.
# - Next lecture: [Reproducing]({step:reproducing}).
# - Official pages: [self-hosting](https://mlflow.org/docs/latest/self-hosting/), [basic
#   authentication](https://mlflow.org/docs/latest/self-hosting/security/basic-http-auth/).
# - Optional depth: set `n_runs = 200` in the parameters cell and run all again. `course server --help` has such a
#   server ready for a class.
