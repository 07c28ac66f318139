"""Right and wrong answers to the homework `tracking_server`."""

from tests.submissions.tools import append, script, solution, swap

RIGHT = {
    1: [
        # by the fluent API inside a run that the client made, points one by one
        """
        c = mlflow.MlflowClient()
        e = c.create_experiment("hw-tracking-server-merged")
        for old in laptop:
            if old["lifecycle_stage"] == "deleted":
                continue
            rid = c.create_run(e, run_name=old["name"], start_time=old["start_time"]).info.run_id
            for k, v in old["params"].items():
                c.log_param(rid, k, v)
            for p in old["metrics"]:
                c.log_metric(rid, p["key"], p["value"], timestamp=p["timestamp"], step=p["step"])
            for path, text in old["files"].items():
                (folder / path).write_text(text)
                c.log_artifact(rid, str(folder / path))
            c.set_terminated(rid, status=old["status"], end_time=old["end_time"])
        """,
        # a first attempt without files and history, then a whole one; one more parameter
        """
        client = mlflow.MlflowClient()
        e = mlflow.set_experiment("hw-tracking-server-merged").experiment_id
        active = [old for old in laptop if old["lifecycle_stage"] != "deleted"]
        for old in active:
            r = client.create_run(e, old["start_time"], run_name=old["name"]).info.run_id
            client.log_metric(r, "loss", 1.0)
            client.set_terminated(r)
        for old in active:
            r = client.create_run(e, old["start_time"], tags={"from": "laptop"}, run_name=old["name"]).info.run_id
            client.log_batch(r, params=[Param(k, v) for k, v in (old["params"] | {"moved": "yes"}).items()])
            client.log_batch(r, metrics=[Metric(p["key"], p["value"], p["timestamp"], p["step"]) for p in old["metrics"]])
            client.log_dict(r, {"by": "me"}, "moved.json")
            for path, text in old["files"].items():
                client.log_text(r, text, path)
            client.set_terminated(r, old["status"], old["end_time"])
        """,
    ],
    2: [
        # numbers for true and false, another order of columns
        """
        rows = []
        for name in EXPERIMENTS:
            for user in USERS:
                rank = ["DENY", "READ", "USE", "EDIT", "MANAGE"].index(GRANTS.get((user, name), "READ"))
                rows.append((name, user, int(rank > 3), int(rank > 2), int(rank > 0)))
        columns = ["experiment", "user", "can_delete", "can_log", "can_read"]
        pd.DataFrame(rows, columns=columns).to_csv(folder / "permissions.csv", index=False)
        """,
        # written line by line, with the level as a further column
        """
        with open(folder / "permissions.csv", "w") as file:
            print("user,experiment,level,can_read,can_log,can_delete", file=file)
            for user in USERS:
                for name in EXPERIMENTS:
                    level = GRANTS[user, name] if (user, name) in GRANTS else "READ"
                    can = (level != "DENY", level in {"EDIT", "MANAGE"}, level == "MANAGE")
                    print(user, name, level, *can, sep=",", file=file)
        """,
    ],
    3: [
        # named ids, two passes
        """
        for r in admin.search_runs([trash]):
            if r.info.run_name == "drop":
                mlflow.delete_run(r.info.run_id)
                CliRunner().invoke(cli, ["gc", "--backend-store-uri", mlflow.get_tracking_uri(), "--run-ids", r.info.run_id])
        for m in admin.search_logged_models([trash], filter_string="name = 'drop'"):
            admin.delete_logged_model(m.model_id)
            words = ["gc", "--backend-store-uri", mlflow.get_tracking_uri(), "--logged-model-ids", m.model_id]
            CliRunner().invoke(cli, words)
        """,
        # the tracking address given, the model first
        """
        uri = store.default_uri()
        (model,) = [m for m in mlflow.search_logged_models(experiment_ids=[trash], output_format="list") if m.name == "drop"]
        admin.delete_logged_model(model.model_id)
        admin.delete_run(model.source_run_id)
        done = CliRunner().invoke(cli, ["gc", "--backend-store-uri", uri, "--tracking-uri", uri])
        assert done.exit_code == 0, done.output
        """,
    ],
    4: [
        # a new file moved into place, counts by pandas
        """
        import os
        new = sqlite3.connect(folder / "new.db")
        new.executescript((folder / "backup.sql").read_text())
        counts = {t: pd.read_sql(f"select * from {t}", new).shape[0] for t in ("runs", "metrics", "experiments")}
        new.close()
        os.replace(folder / "new.db", folder / "restored.db")
        pd.Series(counts, name="rows").rename_axis("table").reset_index().to_csv(folder / "counts.csv")
        """,
        # the old table dropped first, one more table counted
        """
        db = sqlite3.connect(folder / "restored.db")
        db.execute("drop table experiments")
        db.executescript((folder / "backup.sql").read_text())
        lines = ["table,rows"]
        for name in ("metrics", "runs", "experiments", "sqlite_sequence"):
            lines.append(f"{name},{len(db.execute('select * from ' + name).fetchall())}")
        (folder / "counts.csv").write_text("\\n".join(lines))
        db.close()
        """,
    ],
    5: [
        """
        (folder / "server.sh").write_text('''#!/bin/sh
        # the team's server
        mlflow server --app-name=basic-auth --host=0.0.0.0 --port 5000 \\\\
          --allowed-hosts=mlflow.nordtel.example,mlflow.nordtel.example:5000 --artifacts-destination=s3://nordtel-mlflow/team
        '''.replace("        ", ""))
        """,
        """
        words = ["mlflow", "server", "-h", "0.0.0.0", "--allowed-hosts", "mlflow.nordtel.example:*", "--workers", "2",
                 "--app-name", "basic-auth", "--artifacts-destination", "s3://nordtel-mlflow"]
        with open(folder / "server.sh", "w") as file:
            file.write("exec /opt/venv/bin/" + " ".join(words) + "  # for the team")
        """,
    ],
}

WRONG = {
    1: [
        ("not-started", ""),
        ("not-started", 'mlflow.set_experiment("hw-tracking-server-merged")'),
        ("experiment-name", swap("hw-tracking-server-merged", "hw_tracking_server_merged")),
        ("deleted-came-back", swap('old["lifecycle_stage"] == "active"', "True")),
        ("rows-lost", swap('old["lifecycle_stage"] == "active"', 'old["lifecycle_stage"] == "active" and old["status"] == "FINISHED"')),
        ("rows-lost", swap("run_name=old", "run_name='old-' + old")),
        ("param-missing", swap(", params)", ")")),
        ("param-value", swap("Param(key, value)", "Param(key, value + '.0')")),
        ("metric-missing", swap('[Metric(**point) for point in old["metrics"]]', "[]")),
        ("history-lost", swap('for point in old["metrics"]]', 'for point in old["metrics"][-1:]]')),
        ("step-lost", swap("Metric(**point)", "Metric(**(point | {'step': 0}))")),
        ("time-lost", swap("Metric(**point)", "Metric(**(point | {'timestamp': 1_800_000_000_000}))")),
        ("value-changed", swap("Metric(**point)", "Metric(**(point | {'value': round(point['value'], 1)}))")),
        ("time-lost", swap('old["start_time"], run_name', "run_name")),
        ("end-lost", swap(', old["end_time"]', "")),
        ("status-lost", swap('old["status"], old["end_time"]', '"FINISHED", old["end_time"]')),
        ("artifacts-left-behind", swap("client.log_text(new, content, path)", "pass")),
        ("file-changed", swap("client.log_text(new, content, path)", "client.log_text(new, content.upper(), path)")),
    ],
    2: [
        ("not-started", ""),
        ("file-name", swap("permissions.csv", "Permissions.csv")),
        ("column-missing", swap('"can_log":', '"can_write":')),
        ("file-broken", append('(folder / "permissions.csv").write_text("")')),
        ("not-true-false", append('p = folder / "permissions.csv"\np.write_text(p.read_text().replace("True", "sometimes"))')),
        ("pairs-missing", swap("for name in EXPERIMENTS:", "for name in [n for u, n in GRANTS if u == user]:")),
        ("default-forgotten", swap('(user, name), "READ")', '(user, name), "DENY")')),
        ("denied-may-read", swap('level != "DENY"', "True")),
        ("use-may-log", swap('level in ("EDIT", "MANAGE")', 'level in ("USE", "EDIT", "MANAGE")')),
        ("edit-may-delete", swap('"can_delete": level == "MANAGE"', '"can_delete": level in ("EDIT", "MANAGE")')),
        ("right-left-out", swap('level in ("EDIT", "MANAGE")', 'level == "MANAGE"')),
        ("rights-wrong", swap('"can_delete": level == "MANAGE"', '"can_delete": level in ("READ", "MANAGE")')),
    ],
    3: [
        ("not-started", ""),
        ("run-left", swap("admin.delete_run(doomed)", "pass")),
        ("model-left-behind", swap("admin.delete_logged_model(its_model)", "pass")),
        ("trash-not-emptied", swap("CliRunner().invoke(cli,", "print(")),
        ("trash-not-emptied", swap("admin.delete_run(doomed)\nonly", "only", "*only])", "*only])\nadmin.delete_run(doomed)")),
        ("wrong-run-removed", swap("'drop'", "'keep'")),
        ("wrong-run-removed", swap("admin.delete_logged_model(its_model)", "[admin.delete_logged_model(m.model_id) for m in found]",
                                   ', "--logged-model-ids", its_model', "")),
    ],
    4: [
        ("not-started", ""),
        (
            "table-missing",
            swap(
                'restored.executescript((folder / "backup.sql").read_text(encoding="utf8"))',
                'restored.execute("create table runs (id integer primary key)")',
            ),
        ),
        ("not-empty", swap("restored.executescript(", 'restored.execute("create table tried (id int)")\nrestored.executescript(')),
        ("not-empty", swap("names = (", "restored.execute(\"insert into metrics values (1, 'auc', 0.5)\")\nrestored.commit()\nnames = (")),
        ("rows-lost", swap("names = (", 'restored.execute("delete from metrics where run_id > 3")\nrestored.commit()\nnames = (')),
        ("sequence-behind", swap("names = (", "restored.execute(\"update sqlite_sequence set seq = 5 where name = 'experiments'\")\nrestored.commit()\nnames = (")),
        ("not-started", swap('pd.DataFrame({"table": names, "rows": rows}).to_csv(folder / "counts.csv", index=False)', "")),
        ("counts-missing", swap('"runs", "metrics")', '"runs")')),
        ("counts-wrong", swap('"rows": rows', '"rows": [1, 2, 3]')),
        ("column-missing", swap('"rows": rows', '"count": rows')),
        ("file-broken", append('(folder / "restored.db").write_text("no database" * 100)')),
    ],
    5: [
        ("not-started", ""),
        ("host-missing", swap("--host 0.0.0.0 ", "")),
        ("hosts-missing", swap("--allowed-hosts 'mlflow.nordtel.example:*' ", "")),
        ("hosts-open", swap("mlflow.nordtel.example:*", "*")),
        ("port-left-out", swap("mlflow.nordtel.example:*", "mlflow.nordtel.example")),
        ("port-left-out", swap("0.0.0.0", "0.0.0.0 --port 5001", "example:*", "example:5000")),
        ("hosts-open", swap("basic-auth ", "basic-auth --disable-security-middleware ")),
        ("users-missing", swap("--app-name basic-auth ", "")),
        ("artifacts-elsewhere", swap("s3://nordtel-mlflow", "./artifacts")),
        ("secret-in-command", swap("mlflow server", "mlflow server --backend-store-uri postgresql://mlflow:secret@db/mlflow")),
        ("file-broken", swap("mlflow server", "mlflow server '")),
    ],
}

#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT = {
    2: {
        "line 4: 'READ'": "a level that is none of the other four reads, and that is what READ does",
        "line 7: dropped index=": "a further column does no harm",
        "line 7: False": "a further column does no harm",
    },
    4: {
        "line 3: dropped encoding=": "the backup is plain ASCII",
        "line 6: dropped restored.close()": "the script was committed",
        "line 7: dropped index=": "a further column does no harm",
        "line 7: False": "a further column does no harm",
    },
    5: {"line 4: dropped encoding=": "the command is plain ASCII"},
}

# Found by people who attacked the checks.
WRONG[5].append(("root-bypasses-proxy", '''  # default root too
(folder / "server.sh").write_text("mlflow server --host 0.0.0.0 --allowed-hosts mlflow.nordtel.example --app-name basic-auth --default-artifact-root s3://nordtel-mlflow --artifacts-destination s3://nordtel-mlflow\\n")
'''))
WRONG[5].append(("artifacts-not-served", '''  # no serve artifacts
(folder / "server.sh").write_text("mlflow server --host 0.0.0.0 --allowed-hosts mlflow.nordtel.example --app-name basic-auth --no-serve-artifacts --artifacts-destination s3://nordtel-mlflow\\n")
'''))
WRONG[5].append(("database-on-command-line", '''  # sqlite uri
(folder / "server.sh").write_text("mlflow server --host 0.0.0.0 --allowed-hosts mlflow.nordtel.example --app-name basic-auth --backend-store-uri sqlite:///mlflow.db --artifacts-destination s3://nordtel-mlflow\\n")
'''))
WRONG[5].append(("database-on-command-line", '''  # uri variable on command line
(folder / "server.sh").write_text('mlflow server --host 0.0.0.0 --allowed-hosts mlflow.nordtel.example --app-name basic-auth --backend-store-uri "$MLFLOW_BACKEND_STORE_URI" --artifacts-destination s3://nordtel-mlflow\\n')
'''))
WRONG[4].append(("backup-changed", append('(folder / "backup.sql").write_text("create table runs (a)")')))

# Found by answers that were written without sight of the checks.
WRONG[2] += [
    ("right-left-out", swap('level in ("EDIT", "MANAGE")', 'level == "EDIT"')),
    ("right-left-out", swap('level != "DENY"', 'level not in ("DENY", "USE")')),
]
WRONG[3].append(("wrong-run-removed", """
for r in admin.search_runs([trash]):
    admin.delete_run(r.info.run_id)
CliRunner().invoke(cli, ["gc", "--backend-store-uri", mlflow.get_tracking_uri()])
"""))
WRONG[5] += [
    ("hosts-more", swap("mlflow.nordtel.example:*", "mlflow.nordtel.example:*,localhost:*")),
    ("other-command", swap("mlflow server", "mlflow ui")),
]
RIGHT[4].append('''  # statement by statement over the empty table, which comes to the same
con = sqlite3.connect(folder / "restored.db")
for line in (folder / "backup.sql").read_text().split(";\\n"):
    try:
        con.execute(line)
    except sqlite3.Error:
        pass
con.commit()
counts = [(t, con.execute(f"select count(*) from {t}").fetchone()[0]) for t in ("experiments", "runs", "metrics")]
con.close()
pd.DataFrame(counts, columns=["table", "rows"]).to_csv(folder / "counts.csv", index=False)
''')

# Found by a reader who answered to the letter: second tries, and given cells that are run again.
_OURS = {task: solution("tracking_server", task) for task in (1, 3, 4)}
_GIVEN = {task: script("tracking_server", task, "")[-2] for task in (1, 3, 4)}
_NO_TIMES = _OURS[1].replace(', old["end_time"]', "")
_WITH_DELETED = _OURS[1].replace('old["lifecycle_stage"] == "active"', "True")
RIGHT[1] += [
    append(_GIVEN[1]),
    _NO_TIMES + _OURS[1],
    _WITH_DELETED + _OURS[1] + """
for run in client.search_runs([experiment], "attributes.run_name = 'net-2'"):
    client.delete_run(run.info.run_id)
""",
]
# of two tries the better one is told of, whichever is the newer; it has its start, not yet its end
WRONG[1] += [
    ("end-lost", _NO_TIMES.replace('old["start_time"], run_name', "run_name") + _NO_TIMES),
    ("end-lost", _NO_TIMES + _OURS[1].replace("client.log_batch(", "# client.log_batch(")),
    ("deleted-came-back", _WITH_DELETED + _OURS[1]),
    ("status-lost", swap('client.set_terminated(new, old["status"], old["end_time"])', "pass")),
]
_BOTH = """
both = {r.info.run_name: r.info.run_id for r in admin.search_runs([trash])}
for run in both.values():
    admin.delete_run(run)
"""
_GC = '\nCliRunner().invoke(cli, ["gc", "--backend-store-uri", mlflow.get_tracking_uri()])\n'
_EXCHANGED = _OURS[3].replace("'drop'", "'keep'")
_MODEL_OF_KEEP = "admin.delete_logged_model(admin.search_logged_models([trash], filter_string=\"name = 'keep'\")[0].model_id)\n"
_AGAIN = f"\n{_GIVEN[3]}\n{_OURS[3]}"
RIGHT[3] += [
    _BOTH + _GC + _AGAIN,
    _EXCHANGED + _AGAIN,
    _BOTH + _AGAIN,
    _MODEL_OF_KEEP + "admin.delete_run(admin.search_runs([trash], \"run_name = 'keep'\")[0].info.run_id)" + _AGAIN,
    _BOTH + "admin.restore_run(both['keep'])\nadmin.restore_run(both['drop'])\n" + _OURS[3],
]
WRONG[3] += [
    ("wrong-run-removed", _BOTH),
    ("wrong-run-removed", _MODEL_OF_KEEP),
    ("model-left-behind", _BOTH + _GC + _AGAIN.replace("admin.delete_logged_model(its_model)", "pass")),
]
RIGHT[4].append(append(_GIVEN[4]))
