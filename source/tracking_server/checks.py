"""Homework: runs taken over, a table of permissions, the trash emptied, a backup restored, a server's command."""

from __future__ import annotations

import random
import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from fnmatch import fnmatch
from typing import Any

from mlflow.entities import Run, ViewType

from course_utils import data
from course_utils._judge.evidence import Evidence, close, listing
from course_utils._judge.mistake import Mistake, NotStarted
from course_utils._judge.reading import guarded, json_of, number, text_of, visible
from course_utils._plumbing.places import database_path
from course_utils.homework.question import Task

_COUNTED = ("experiments", "runs", "metrics")


# ---- task 1 ------------------------------------------------------------------------------------------------------


def _export(old: dict[str, Any]) -> dict[str, Any]:
    """Return an exported run, when it has all the parts that the given cell wrote."""
    parts = (("name", str), ("lifecycle_stage", str), ("status", str), ("start_time", int), ("end_time", int))
    parts += (("params", dict), ("files", dict), ("metrics", list))
    if not all(isinstance(old[name], kind) for name, kind in parts):
        raise TypeError("another export")
    for point in old["metrics"]:
        (int(point["step"]), int(point["timestamp"]), float(point["value"]))
    return old


def merge(evidence: Evidence) -> None:
    """Task 1: every run of an export is in the store, whole."""
    exported = guarded(
        lambda: [_export(old) for old in json_of(evidence.file("hw-tracking-server", "laptop.json"))],
        "export-changed",
        "`laptop.json` is not the export that the given cell writes: it was changed afterwards. Run the given cell again.",
    )
    runs: dict[str, list[Run]] = {}
    for run in evidence.runs("hw-tracking-server-merged"):
        runs.setdefault(run.info.run_name, []).append(run)
    if not runs:
        raise NotStarted("The experiment `hw-tracking-server-merged` has no runs yet.")
    wanted = [old for old in exported if old["lifecycle_stage"] == "active"]
    if extra := sorted(old["name"] for old in exported if old["lifecycle_stage"] == "deleted" and old["name"] in runs):
        raise Mistake(
            "deleted-came-back",
            f"{listing(extra)} was in the laptop's trash, and now it is among the team's runs. What somebody deleted "
            "must not come back by a move. Leave it out, and put what came along in a try into the trash: `delete_run`.",
        )
    if lost := [old["name"] for old in wanted if old["name"] not in runs]:
        raise Mistake(
            "rows-lost",
            f"{listing(lost)} did not arrive; I see {listing(runs)}. Runs that failed belong to the record, too.",
        )
    for old in wanted:
        mistakes = []
        for run in runs[old["name"]]:  # attempts stay side by side, and their start times do not tell which is the last
            held = 0
            try:
                for _ in _same(evidence, old, run):
                    held += 1
                break
            except Mistake as mistake:
                mistakes.append((held, mistake))
        else:
            raise max(mistakes, key=lambda found: found[0])[1]  # of the attempt that came furthest


def _same(evidence: Evidence, old: dict[str, Any], run: Run) -> Iterator[None]:
    """Compare one run with its export, and yield after each comparison that holds."""
    name = old["name"]
    for key, value in old["params"].items():
        if evidence.param(run, key) != value:
            raise Mistake(
                "param-value",
                f"The parameter `{key}` of `{name}` is not the exported one. A parameter cannot be mended: log the "
                "exported text into a new run.",
            )
    yield
    points = [(p["step"], p["timestamp"], p["value"]) for p in old["metrics"]]
    history = [(m.step, m.timestamp, m.value) for m in evidence.history(run, "loss")]
    if len(history) < len(points):
        raise Mistake(
            "history-lost",
            f"`{name}` has {len(history)} point of `loss` where the laptop had {len(points)}. A learning curve "
            "became a number: log every point.",
        )
    yield
    if [p[0] for p in history] != [p[0] for p in points]:
        raise Mistake(
            "step-lost",
            f"The points of `loss` in `{name}` have other steps than the export, so the curve has another shape. "
            "Hand each point's own step on.",
        )
    yield
    if [p[1] for p in history] != [p[1] for p in points]:
        raise Mistake(
            "time-lost",
            f"The points of `loss` in `{name}` carry the time of the move, not of the training. Hand each point's "
            "own timestamp on.",
        )
    yield
    if not all(close(new[2], was[2]) for new, was in zip(history, points, strict=True)):
        raise Mistake(
            "value-changed",
            f"Values of `loss` in `{name}` are not those of the export. Moved evidence must be the same to the last "
            "digit: log the values as they are.",
        )
    yield
    if run.info.start_time != old["start_time"]:
        raise Mistake(
            "time-lost",
            f"`{name}` starts at the time of the move. Sorted by start, it would look newer than it is: `create_run` "
            "takes `start_time`.",
        )
    yield
    if run.info.status != old["status"]:
        raise Mistake(
            "status-lost",
            f"`{name}` is {run.info.status}, it was {old['status']}. How a run ended belongs to the record: a failure must not "
            "become a success by a move, and nothing stays open. `set_terminated` takes the status.",
        )
    yield
    if run.info.end_time != old["end_time"]:
        raise Mistake(
            "end-lost",
            f"`{name}` ends at another time than in the export, so it seems to have run for another time: `set_terminated` "
            "takes the end time, too.",
        )
    yield
    for path, content in old["files"].items():
        if path not in evidence.artifacts(run):
            raise Mistake(
                "artifacts-left-behind",
                f"`{name}` has no file `{path}`. The rows moved and the files stayed on the laptop.",
            )
        if text_of(evidence.artifact(run, path), "file-changed") != content:
            raise Mistake(
                "file-changed",
                f"The file `{path}` of `{name}` is not the exported one. Copy it byte for byte: log the file, not what it says.",
            )
        yield


# ---- task 2 ------------------------------------------------------------------------------------------------------


def _grants() -> dict[tuple[str, str], str]:
    """Return the permission of every user on every experiment."""
    users = random.Random(data.course_seed()).sample(["mira", "jonas", "tom"], 3)
    first, second, third = users
    found = {(user, name): "READ" for user in users for name in ("churn", "retention", "payroll")}
    found |= {(first, "churn"): "MANAGE", (second, "churn"): "EDIT", (third, "churn"): "USE"}
    return found | {(first, "payroll"): "EDIT", (second, "payroll"): "DENY"}


#: Level → whether it reads, logs and deletes.
_MAY = {
    "DENY": (False, False, False),
    "READ": (True, False, False),
    "USE": (True, False, False),
    "EDIT": (True, True, False),
    "MANAGE": (True, True, True),
}
_TRUE, _FALSE = {"true", "yes", "1", "1.0"}, {"false", "no", "0", "0.0"}


def permissions(evidence: Evidence) -> None:
    """Task 2: what each user may do with each experiment."""
    rights = ("can_read", "can_log", "can_delete")
    table = evidence.table("hw-tracking-server", "permissions.csv", ("user", "experiment", *rights))
    grants, seen = _grants(), {}
    for row in table.to_dict("records"):
        words = [str(row[right]).strip().lower() for right in rights]
        if any(word not in _TRUE | _FALSE for word in words):
            raise Mistake("not-true-false", f"The rights are `{visible(', '.join(words))}`: write True or False.")
        seen[str(row["user"]).strip(), str(row["experiment"]).strip()] = tuple(word in _TRUE for word in words)
    if missing := sorted(set(grants) - set(seen)):
        user, name = missing[0]
        raise Mistake(
            "pairs-missing",
            f"{len(missing)} of {len(grants)} pairs are missing, for example `{user}` and `{name}`. Who has no grant "
            "has the default permission: list every user with every experiment.",
        )
    for (user, name), level in sorted(grants.items()):
        read, log, delete = seen[user, name]
        what = f"`{user}` on `{name}` ({level})"
        if level == "DENY" and (read or log or delete):
            raise Mistake("denied-may-read", f"{what}: DENY is stronger than the default: it shuts all.")
        if level == "READ" and not read:
            raise Mistake("default-forgotten", f"{what}: without a grant the default holds, and the default reads.")
        if level == "USE" and log:
            raise Mistake("use-may-log", f"{what}: USE lets a person use a thing, not change it. Logging needs EDIT.")
        if level == "EDIT" and delete:
            raise Mistake("edit-may-delete", f"{what}: EDIT changes, it does not delete. That needs MANAGE.")
        if any(may and not has for has, may in zip((read, log, delete), _MAY[level], strict=True)):
            raise Mistake(
                "right-left-out",
                f"{what}: your row gives less than that. Whoever may do more may do all that less allows.",
            )
        if (read, log, delete) != _MAY[level]:
            raise Mistake("rights-wrong", f"{what}: the rights in your row are not those of the level.")


# ---- task 3 ------------------------------------------------------------------------------------------------------


def trash(evidence: Evidence) -> None:
    """Task 3: a run and its model are gone for good, the other pair is there."""
    number = evidence.experiment_id("hw-tracking-server-trash")
    runs = evidence.client.search_runs([number], run_view_type=ViewType.ALL)
    kept = [r.info for r in runs if r.info.run_name == "keep"]
    if not kept:
        raise Mistake(
            "wrong-run-removed",
            "The run `keep` is gone for good, and `gc` cannot be undone: without ids it takes all that lies in the trash. Run "
            "the given cell again, which makes a new pair of runs and models, and name what you delete.",
        )
    began = max((info.start_time for info in kept if info.lifecycle_stage == "active"), default=None)
    if began is None:
        raise Mistake(
            "wrong-run-removed",
            "The run `keep` is in the trash, where the next `gc` would take it for good. The task leaves it alone: "
            "`restore_run` brings it back.",
        )
    # The given cell makes `keep` first, so what is older was left by an earlier try.
    found = {r.info.run_name: r.info.lifecycle_stage for r in runs if r.info.start_time >= began}
    models = _model_stages(evidence, number, began)
    if models.get("keep") != "active":
        raise Mistake(
            "wrong-run-removed",
            "The run `keep` is there, its model is not, and no command brings a model back. Delete this run, too, run the "
            "given cell again, which makes a new pair of runs and models, and name what you delete.",
        )
    if found.get("drop") == models.get("drop") == "active":
        raise NotStarted("`drop` and its model are still there.")
    if found.get("drop") == "active":
        raise Mistake("run-left", "The model is on its way out, but the run `drop` is still active: delete it, too.")
    if models.get("drop") == "active":
        raise Mistake(
            "model-left-behind",
            "The run is deleted, but its logged model is active, and its files with it. A model has a life of its own: "
            "`delete_logged_model`, then collect.",
        )
    if "drop" in found or "drop" in models:
        left = "run" if "drop" in found else "model"
        raise Mistake(
            "trash-not-emptied",
            f"The {left} `drop` is in the trash, and can still be restored. For good means: run `mlflow gc` on this "
            "store after the last delete.",
        )


def _model_stages(evidence: Evidence, experiment: str, began: int) -> dict[str, str]:
    """Return name → ``active`` or ``deleted`` of the logged models since a time; the client does not show the trash."""
    found = evidence.client.search_logged_models([experiment])
    active = {m.name: "active" for m in found if m.creation_timestamp >= began}
    path = database_path(evidence.uri)
    if path is None:
        return active
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        query = "select name from logged_models where experiment_id = ? and creation_timestamp_ms >= ?"
        names = [name for (name,) in database.execute(query, (int(experiment), began))]
    return {name: "deleted" for name in names} | active


# ---- task 4 ------------------------------------------------------------------------------------------------------


def restore(evidence: Evidence) -> None:
    """Task 4: the backup is restored on an empty database and counted."""
    backup = text_of(evidence.file("hw-tracking-server", "backup.sql"))
    path = evidence.file("hw-tracking-server", "restored.db")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            tables = {name for (name,) in database.execute("select name from sqlite_master where type = 'table'")}
            have = {t: sorted(map(repr, database.execute(f'select * from "{t}"'))) for t in sorted(tables)}
    except sqlite3.Error as error:
        raise Mistake("file-broken", f"`restored.db` is not a database that can be read: {error}.") from None
    try:
        with closing(sqlite3.connect(":memory:")) as reference:
            reference.executescript(backup)
            want = {
                name: sorted(map(repr, reference.execute(f'select * from "{name}"')))
                for (name,) in reference.execute("select name from sqlite_master where type = 'table'").fetchall()
            }
            if not {*_COUNTED, "sqlite_sequence"} <= set(want):
                raise sqlite3.Error("tables are missing")
    except sqlite3.Error as error:
        raise Mistake(
            "backup-changed",
            f"`backup.sql` is not the backup that the given cell writes ({visible(error)}): it was changed afterwards. Run the "
            "given cell again, and restore from it.",
        ) from None
    if have.keys() <= {"experiments", "sqlite_sequence"} and not any(have.values()):
        raise NotStarted("`restored.db` still holds what was tried yesterday.")
    if missing := sorted(set(want) - set(have) - {"sqlite_sequence"}):
        raise Mistake("table-missing", f"`restored.db` has no table {listing(missing)}; the backup has it.")
    if extra := sorted(set(have) - set(want)):
        raise Mistake(
            "not-empty", f"`restored.db` also has {listing(extra)}, which the backup has not: restore on an empty file."
        )
    for table in _COUNTED:
        if len(have[table]) < len(want[table]):
            raise Mistake(
                "rows-lost",
                f"`{table}` has {len(have[table])} rows in `restored.db`, and {len(want[table])} in the backup.",
            )
        if have[table] != want[table]:
            raise Mistake("not-empty", f"`{table}` holds other rows than the backup: restore on an empty file.")
    if have.get("sqlite_sequence") != want["sqlite_sequence"]:
        raise Mistake(
            "sequence-behind",
            "The rows are there, the id counters are not (`sqlite_sequence`). The next experiment would get a number "
            "that was used before. Restore the whole script, not only the rows.",
        )
    counts = evidence.table("hw-tracking-server", "counts.csv", ("table", "rows"))
    said = {str(row["table"]).strip(): row["rows"] for row in counts.to_dict("records")}
    if lost := [table for table in _COUNTED if table not in said]:
        raise Mistake("counts-missing", f"`counts.csv` does not count {listing(lost)}. A proof has no gap.")
    for table in _COUNTED:
        if number(said[table], f"`rows` of `{table}` in `counts.csv`", "counts-wrong") != len(want[table]):
            raise Mistake(
                "counts-wrong", f"`counts.csv` says {said[table]} for `{table}`, and `restored.db` says something else."
            )


# ---- stretch -----------------------------------------------------------------------------------------------------


def command(evidence: Evidence) -> None:
    """Stretch: a command that opens the server to the team and to nobody else."""
    text = text_of(evidence.file("hw-tracking-server", "server.sh"))
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]
    try:
        words = [word for line in lines for word in shlex.split(line, comments=True)]
    except ValueError as error:
        raise Mistake("file-broken", f"A shell could not read `server.sh`: {error}.") from None
    words = ["mlflow" if re.fullmatch(r"[\w./~$-]*/mlflow", word) else word for word in words]
    if "server" not in words or "mlflow" not in words[: words.index("server")]:
        raise Mistake(
            "other-command",
            "`server.sh` does not call `mlflow server`, which is what a team shares: other commands have no users.",
        )
    options, last = {}, ""
    for word in words[words.index("server") + 1 :]:
        name, _, value = word.partition("=")
        if word.startswith("-"):
            options[last := name] = value
        elif last:
            options[last] = word
    if "://" in text and any("@" in word and "sql" in word for word in words):
        raise Mistake(
            "secret-in-command",
            "The address of the database stands in the command, with its password: every user of the machine can read "
            "command lines. Leave it to `MLFLOW_BACKEND_STORE_URI`.",
        )
    if address := options.get("--backend-store-uri", options.get("--registry-store-uri", "")):
        told = (
            "The shell puts the variable's value there, password and all, before the server starts"
            if "$" in address
            else "It names another database than the one in the environment, and on a shared machine everybody reads it"
        )
        raise Mistake(
            "database-on-command-line",
            f"The command line has an address of the database, `{visible(address)}`. {told}: every user can list command "
            "lines. Leave the option out; the server reads the environment itself.",
        )
    if "--no-serve-artifacts" in options:
        raise Mistake(
            "artifacts-not-served",
            "`--no-serve-artifacts` switches the proxy off: every client would need the keys of the bucket. The task wants "
            "artifacts proxied, and the server does that unless you forbid it.",
        )
    if root := options.get("--default-artifact-root", ""):
        if not root.startswith("mlflow-artifacts:"):
            raise Mistake(
                "root-bypasses-proxy",
                f"`--default-artifact-root {visible(root)}` becomes the address of every new run, so clients write to the "
                "bucket themselves, past the server. Leave it out: then the server stands between.",
            )
    if options.get("--host", options.get("-h")) != "0.0.0.0":
        raise Mistake(
            "host-missing",
            "The server listens on this machine only, so no colleague reaches it. Which address means *all*? `--host`.",
        )
    if "--disable-security-middleware" in options or "*" in options.get("--allowed-hosts", "").split(","):
        raise Mistake("hosts-open", "Every host name is allowed. That switches the check off: name the one you use.")
    names = {host.strip() for host in options.get("--allowed-hosts", "").split(",")}
    hosts = {name.partition(":")[0] for name in names}
    if hosts > {"mlflow.nordtel.example"}:
        raise Mistake(
            "hosts-more",
            f"`--allowed-hosts` has more names than one: {listing(hosts)}. Each is a name under which a foreign page may reach "
            "the server. The task allows no other.",
        )
    if "mlflow.nordtel.example" not in hosts:
        raise Mistake(
            "hosts-missing", "Whoever calls the server by its name gets 403: `--allowed-hosts` does not have that name."
        )
    port = options.get("--port", options.get("-p", "5000"))
    # A client leaves the port out of the header when it is HTTP's usual one.
    called = "mlflow.nordtel.example" + ("" if port == "80" else f":{port}")
    if not any(fnmatch(called, name) for name in names):
        raise Mistake(
            "port-left-out",
            f"Clients call the server `{visible(called)}`, and the port belongs to the name that the server compares, so "
            f"{listing(names)} refuses all of them. Allow the name with its port, or with any.",
        )
    if options.get("--app-name") != "basic-auth":
        raise Mistake(
            "users-missing",
            "The server has no users: whoever reaches it may delete all. Which option switches users and "
            "permissions on? `--app-name`.",
        )
    if not f"{options.get('--artifacts-destination', '')}/".startswith("s3://nordtel-mlflow/"):
        raise Mistake(
            "artifacts-elsewhere",
            "The artifacts are not sent on to the object store: `--artifacts-destination` names where the server "
            "puts what clients send.",
        )


TASKS = (
    Task(
        "take over a laptop's runs",
        2,
        merge,
        (
            "Which of the four runs should not come along, and which one failed?",
            "`create_run` takes `start_time` and `run_name`; `Metric(**point)` makes a point with step and timestamp; "
            "`set_terminated` takes the status and the end time.",
            '`client.log_batch(new, [Metric(**point) for point in old["metrics"]], [Param(k, v) for …])`',
        ),
        "Nothing is lost, nothing is younger or better than it was.",
    ),
    Task(
        "who may do what",
        2,
        permissions,
        (
            "How many rows must the table have, and which pairs does `GRANTS` not mention?",
            '`GRANTS.get((user, experiment), "READ")` gives the level of every pair.',
            'From the level: `can_read = level != "DENY"`, `can_log = level in ("EDIT", "MANAGE")`.',
        ),
        "The default, then the grants: that is how the server decides.",
        level="transfer",
    ),
    Task(
        "empty the trash",
        2,
        trash,
        (
            "What does the lecture's last pitfall leave behind?",
            "Delete the run *and* its logged model first; `gc` removes what is in the trash.",
            '`CliRunner().invoke(cli, ["gc", "--backend-store-uri", mlflow.get_tracking_uri(), "--run-ids", …])`, with the id, and '
            "`--logged-model-ids` in the same way.",
        ),
        "Gone for good, and only what should go.",
    ),
    Task(
        "restore a backup, and prove it",
        2,
        restore,
        (
            "What happens when you run the backup's script on a database that has a table of that name?",
            "Remove `restored.db` first; `sqlite3.connect(…).executescript(text)` runs the whole script.",
            '`restored.execute("select count(*) from runs").fetchone()[0]`, for each of the three tables.',
        ),
        "The backup was restored once, and the counts agree.",
    ),
    Task(
        "the command for the team",
        0,
        command,
        (
            "Which flag opens the door, which one says by what name, which one asks who is there?",
            "`--host 0.0.0.0`, `--allowed-hosts`, `--app-name basic-auth`, `--artifacts-destination`.",
        ),
        "The door is open, and someone stands in it.",
        level="transfer",
    ),
)
