# %% [markdown]
# # Homework: move, permit, collect, restore
#
# **30 minutes · 4 tasks and a stretch · 8 points.** Run every cell as often as you like. No server is needed: each task
# is one that an administrator does on files or on a store. Below each task stands `hw.check(n)`; when you are stuck,
# add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import json
import random
import sqlite3

import mlflow
import pandas as pd
from click.testing import CliRunner
from mlflow.cli import cli
from mlflow.entities import Metric, Param

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("tracking_server")
folder = store.outputs("hw-tracking-server")
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Task 1: take over a laptop's runs (2 points)
#
# The cell gives you `laptop`, the runs of another store as they were exported. Bring every run that is not deleted into
# the experiment `hw-tracking-server-merged`, whole: name, status, start and end time, parameters, **all** points of
# each metric with value, step and timestamp, and the files with their names and texts. Runs that failed come along,
# too. `MlflowClient` has `create_run`, `log_batch`, `log_text` and `set_terminated`. If a try went wrong, run it again:
# one whole run of each name is enough, and a run that should not have come along has to be deleted.

# %%
rng = random.Random(data.course_seed())  # the same numbers at every run
laptop = []
for i, status in enumerate(("FINISHED", "FAILED", "FINISHED", "FINISHED")):
    start = 1_700_000_000_000 + 60_000 * i
    losses = [
        {"key": "loss", "value": rng.random(), "timestamp": start + 10 * s, "step": s}
        for s in range(1, 5)
    ]
    run = {"name": f"net-{i}", "status": status, "metrics": losses}
    run |= {"start_time": start, "end_time": start + 50, "params": {"units": str(4 + i)}}
    run |= {"files": {"note.txt": f"Run {i}, from Mira's laptop."}}
    run["lifecycle_stage"] = "deleted" if i == 2 else "active"
    laptop.append(run)
(folder / "laptop.json").write_text(json.dumps(laptop), encoding="utf8")
print([(run["name"], run["status"], run["lifecycle_stage"]) for run in laptop])

# %% tags=["task-1"]
### BEGIN SOLUTION
client = mlflow.MlflowClient()
experiment = mlflow.set_experiment("hw-tracking-server-merged").experiment_id
for old in laptop:
    if old["lifecycle_stage"] == "active":
        new = client.create_run(experiment, old["start_time"], run_name=old["name"]).info.run_id
        params = [Param(key, value) for key, value in old["params"].items()]
        client.log_batch(new, [Metric(**point) for point in old["metrics"]], params)
        for path, content in old["files"].items():
            client.log_text(new, content, path)
        client.set_terminated(new, old["status"], old["end_time"])
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: who may do what (2 points)
#
# Everybody has READ, unless a grant says otherwise. READ and USE read, EDIT also logs, MANAGE also deletes, DENY shuts
# everything, the default, too. Write `outputs/hw-tracking-server/permissions.csv`: one row for **every** user and
# experiment, with the columns `user`, `experiment`, `can_read`, `can_log`, `can_delete` (True or False).

# %%
EXPERIMENTS = ["churn", "retention", "payroll"]
USERS = random.Random(data.course_seed()).sample(["mira", "jonas", "tom"], 3)
first, second, third = USERS
GRANTS = {(first, "churn"): "MANAGE", (second, "churn"): "EDIT", (third, "churn"): "USE"}
GRANTS |= {(first, "payroll"): "EDIT", (second, "payroll"): "DENY"}
for (user, experiment), level in sorted(GRANTS.items()):
    print(f"{user:6} {experiment:8} {level}")

# %% tags=["task-2"]
### BEGIN SOLUTION
table = []
for user in USERS:
    for name in EXPERIMENTS:
        level = GRANTS.get((user, name), "READ")
        can = {"can_read": level != "DENY", "can_log": level in ("EDIT", "MANAGE")}
        table.append({"user": user, "experiment": name, **can, "can_delete": level == "MANAGE"})
pd.DataFrame(table).to_csv(folder / "permissions.csv", index=False)
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: empty the trash (2 points)
#
# The experiment `hw-tracking-server-trash` has two runs, `keep` and `drop`, each with a logged model of the same name.
# Remove the run `drop` and its model **for good**, and leave both of `keep` alone. `mlflow gc` wants
# `--backend-store-uri`. It takes **all** that lies in the trash of a store, here also from other lectures, unless a
# flag names what is meant, one flag for each kind:
#
# - `--run-ids …` and `--logged-model-ids …`: the two that you mean;
# - `--experiment-ids …`: left out, **all deleted experiments go**, with their runs. So bring back first what you still
#   want: `admin.search_experiments(view_type=2)` lists them, and `admin.restore_experiment(…)` restores one.
#
# The line `CliRunner().invoke(cli, ["gc", …])` runs it here.

# %%
admin = mlflow.MlflowClient()
trash = mlflow.set_experiment("hw-tracking-server-trash").experiment_id
if not admin.search_runs([trash], "attributes.run_name = 'keep'"):  # none yet, or lost
    for name in ("keep", "drop"):
        with mlflow.start_run(run_name=name) as run:
            mlflow.log_metric("test_auc", 0.7)
        made = admin.create_logged_model(trash, name=name, source_run_id=run.info.run_id)
        admin.finalize_logged_model(made.model_id, "READY")
print("runs:", sorted(run.info.run_name for run in admin.search_runs([trash])))

# %% tags=["task-3"]
### BEGIN SOLUTION
doomed = admin.search_runs([trash], "attributes.run_name = 'drop'")[0].info.run_id
found = admin.search_logged_models([trash])
(its_model,) = (model.model_id for model in found if model.source_run_id == doomed)
admin.delete_logged_model(its_model)
admin.delete_run(doomed)
only = ["--run-ids", doomed, "--logged-model-ids", its_model]
CliRunner().invoke(cli, ["gc", "--backend-store-uri", mlflow.get_tracking_uri(), *only])
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: restore a backup, and prove it (2 points)
#
# `outputs/hw-tracking-server/backup.sql` is a database as SQL text. In `restored.db` beside it lies what somebody tried
# yesterday. Restore the backup so that `restored.db` holds exactly what the backup holds, id counters included. Then
# count every table of `restored.db` and write `outputs/hw-tracking-server/counts.csv` with the columns `table` and
# `rows` (`experiments`, `runs`, `metrics`).

# %%
rng = random.Random(data.course_seed())  # the same numbers at every run
source = sqlite3.connect(":memory:")
source.execute("create table experiments (id integer primary key autoincrement, name text)")
source.execute(
    "create table runs (id integer primary key autoincrement, "
    "experiment_id int references experiments)"
)
source.execute("create table metrics (run_id int references runs, key text, value real)")
source.executemany("insert into experiments (name) values (?)", [(f"team-{i}",) for i in range(6)])
source.execute("delete from experiments where id = 6")  # its number is never given again
teams = [(rng.randint(1, 5),) for _ in range(30)]
source.executemany("insert into runs (experiment_id) values (?)", teams)
scores = [(rng.randint(1, 30), rng.random()) for _ in range(50)]
source.executemany("insert into metrics values (?, 'auc', ?)", scores)
(folder / "backup.sql").write_text("\n".join(source.iterdump()), encoding="utf8")
if not (folder / "restored.db").exists():
    yesterday = sqlite3.connect(folder / "restored.db")
    yesterday.execute("create table experiments (id integer primary key autoincrement, name text)")
    yesterday.close()

# %% tags=["task-4"]
### BEGIN SOLUTION
(folder / "restored.db").unlink()
restored = sqlite3.connect(folder / "restored.db")
restored.executescript((folder / "backup.sql").read_text(encoding="utf8"))
names = ("experiments", "runs", "metrics")
rows = [restored.execute(f"select count(*) from {name}").fetchone()[0] for name in names]
restored.close()
pd.DataFrame({"table": names, "rows": rows}).to_csv(folder / "counts.csv", index=False)
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: the command for the team (no points)
#
# Write to `outputs/hw-tracking-server/server.sh` **one** command that starts `mlflow server` for the team: listening on
# all network cards (`0.0.0.0`), called by the name `mlflow.nordtel.example` at its own port and by no other name, with
# users, and with artifacts proxied to `s3://nordtel-mlflow`. No other program stands in front: here the network itself
# is encrypted, by a VPN. The database's address holds a password, so it comes from the environment
# (`MLFLOW_BACKEND_STORE_URI`), not from the command line. (Its web page would also need `--cors-allowed-origins`; the
# task does not ask for it.)

# %% tags=["task-5"]
### BEGIN SOLUTION
(folder / "server.sh").write_text(
    "mlflow server --host 0.0.0.0 --allowed-hosts 'mlflow.nordtel.example:*' "
    "--app-name basic-auth --artifacts-destination s3://nordtel-mlflow",
    encoding="utf8",
)
### END SOLUTION

# %%
hw.check(5)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** `create_run` takes the old start time and `log_batch` whole points, so a history stays a history. A
# table of permissions begins with the default and ends with the grants. `gc` removes what is in the trash, so the model
# has to go there as well. A restore on an empty database brings the counters back, too.
