"""Right and wrong answers to the homework of reproducing."""

from tests.submissions.tools import swap

RIGHT = {
    1: [
        """
        import importlib.metadata
        client = mlflow.MlflowClient()
        made = client.create_run(client.create_experiment("hw-reproducing-tumours"), run_name="forest")
        i = made.info.run_id
        client.log_param(i, "depth", 4)
        client.log_param(i, "seed", 11)
        client.log_metric(i, "valid_auc", score(4, 11))
        with open(tumours_file, "rb") as opened:
            client.set_tag(i, "data_sha256", hashlib.file_digest(opened, "sha256").hexdigest())
        lines = [d.metadata["Name"] + "==" + d.version for d in importlib.metadata.distributions()]
        client.log_text(i, "\\n".join(sorted(lines)), "packages.txt")
        client.log_text(i, code, "score.py")
        client.set_terminated(i)
        """,
        """
        mlflow.set_experiment("hw-reproducing-tumours")
        mlflow.start_run(run_name="forest")
        mlflow.log_params({"seed": 0, "depth": 1, "trees": 20})
        mlflow.log_metrics({"valid_auc": score(1, 0)})
        mlflow.set_tags({"data_sha256": hashlib.sha256(open(tumours_file, "rb").read()).hexdigest()})
        path = folder / "packages.txt"
        path.write_text("\\n".join(f"{d.name}=={d.version}" for d in distributions()))
        mlflow.log_artifact(path)
        mlflow.log_artifact(str(score_file))
        mlflow.end_run()
        """,
    ],
    2: [
        # a first try among Jonas's runs, deleted as the message says
        swap(
            "worst, name = 0.0",
            'with mlflow.start_run(run_name="verdict") as stray:\n    pass\nmlflow.delete_run(stray.info.run_id)\nworst, name = 0.0',
        ),
        """
        client = mlflow.MlflowClient()
        jonas = client.get_experiment_by_name("hw-reproducing-jonas").experiment_id
        gaps = {}
        for r in client.search_runs([jonas]):
            p = {k: int(v) for k, v in r.data.params.items()}
            gaps[r.info.run_name] = abs(wine_score(**p) - r.data.metrics["valid_auc"])
        found = max(gaps, key=gaps.get)
        made = client.create_run(client.create_experiment("hw-reproducing-verdict"), run_name="verdict")
        client.set_tag(made.info.run_id, "not_reproduced", found)
        client.log_metric(made.info.run_id, "difference", gaps[found])
        client.set_terminated(made.info.run_id)
        """,
        """
        table = mlflow.search_runs(experiment_names=["hw-reproducing-jonas"])
        table["again"] = [wine_score(int(d), int(s)) for d, s in zip(table["params.depth"], table["params.seed"])]
        row = table[table["again"] != table["metrics.valid_auc"]].iloc[0]
        mlflow.set_experiment("hw-reproducing-verdict")
        mlflow.start_run(run_name="verdict")
        mlflow.set_tags({"not_reproduced": row["tags.mlflow.runName"]})
        mlflow.log_metrics({"difference": abs(row["again"] - row["metrics.valid_auc"])})
        mlflow.end_run()
        """,
    ],
    3: [
        """
        mlflow.set_experiment("hw-reproducing-clinic")
        diff = first.compare(second)
        with mlflow.start_run(run_name="deliveries"):
            mlflow.set_tag("changed_column", diff.columns[0][0])
            mlflow.log_metric("changed_rows", len(diff))
        """,
        """
        mlflow.set_experiment("hw-reproducing-clinic")
        mlflow.start_run(run_name="deliveries")
        for c in first:
            n = sum(str(a) != str(b) for a, b in zip(first[c], second[c]))
            if n:
                mlflow.set_tags({"changed_column": c})
                mlflow.log_metrics({"changed_rows": n})
        mlflow.end_run()
        """,
    ],
    4: [
        """
        import yaml
        entry = {"parameters": {k: {"type": "string", "default": "0"} for k in ("depth", "seed")},
                 "command": "python train.py {depth} {seed}"}
        about = {"name": "x", "python_env": "python_env.yaml", "entry_points": {"main": entry}}
        (project / "MLproject").write_text(yaml.safe_dump(about))
        env = {"python": "3.12", "dependencies": ["scikit-learn==1.7.2", "mlflow==3.17.2"]}
        (project / "python_env.yaml").write_text(yaml.safe_dump(env))
        """,
        """
        (project / "python_env.yaml").write_text("dependencies: [mlflow == 3.17.2, scikit-learn == 1.6.0, pandas]")
        text = "python_env: python_env.yaml\\nentry_points: {main: {parameters: {depth: {default: 3}, seed: {default: 0}}, "
        (project / "MLproject").write_text(text + 'command: "python  train.py {depth} {seed}"}}')
        """,
    ],
}

_SHA = "hashlib.sha256(tumours_file.read_bytes()).hexdigest()"
WRONG = {
    1: [
        ("not-started", ""),
        ("seed-missing", swap('"seed": 5', '"seed": None')),
        ("param-value", swap('"depth": 2', '"depth": 20')),
        ("score-rounded", swap("score(**settings)", "round(score(**settings), 3)")),
        ("score-rounded", swap("score(**settings)", "round(score(**settings), 6)")),
        ("value-wrong", swap("score(**settings)", "score(9, 77) / 1.37")),
        ("digest-blind", swap(_SHA, "mlflow.data.from_pandas(pd.read_csv(tumours_file)).digest")),
        ("name-not-bytes", swap(_SHA, "hashlib.sha256(str(tumours_file).encode()).hexdigest()")),
        ("digest-wrong", swap("sha256(tumours_file", "md5(tumours_file")),
        ("packages-missing", swap("=={d.version}", "")),
        ("artifact-missing", swap("mlflow.log_artifact(score_file)", "")),
        ("artifact-name", swap("log_artifact(score_file)", "log_artifact(score_file, 'code')")),
        ("code-other", swap("mlflow.log_artifact(score_file)", "mlflow.log_text('score = 0.99', 'score.py')")),
        ("param-missing", swap("mlflow.log_params(settings)", 'mlflow.log_param("depth", 2)')),
        ("metric-as-param", swap("log_metric(", "log_param(")),
    ],
    2: [
        ("not-started", ""),
        ("no-such-run", swap('"not_reproduced", name', '"not_reproduced", "friday"')),
        ("sign", swap('"difference", worst', '"difference", -worst')),
        ("score-not-difference", swap('"difference", worst', '"difference", wine_score(1, odd)')),
        ("record-not-difference", swap('"difference", worst', '"difference", wine_score(1, odd + 10)')),
        ("metric-as-param", swap("log_metric(", "log_param(")),
        ("wrong-experiment", swap('mlflow.set_experiment("hw-reproducing-verdict")', "pass")),  # among Jonas's runs
        ("wrong-experiment", swap("hw-reproducing-verdict", "hw-reproducing-tumours")),
    ],
    3: [
        ("not-started", ""),
        ("wrong-experiment", swap("hw-reproducing-clinic", "hw-reproducing-verdict")),
        ("no-such-column", swap("counts.idxmax()", "first.compare(second).columns[0]")),
        ("no-such-column", swap("counts.idxmax()", "list(counts[counts > 0].index)")),
        ("other-column", swap("counts.idxmax()", '"age"')),
        ("same-not-changed", swap("int(counts.max())", "40 - int(counts.max())")),
        ("all-rows", swap("int(counts.max())", "len(first)")),
        ("share-not-count", swap("int(counts.max())", "counts.max() / 40")),
        ("metric-as-param", swap("log_metric(", "log_param(")),
    ],
    4: [
        ("not-started", ""),
        ("no-entry-point", swap("  main:", "  start:")),
        ("param-missing", swap("      seed: {type: float, default: 0}\n", "")),
        ("no-default", swap("{type: float, default: 3}", "float")),
        ("command-wrong", swap("{depth} {seed}", "depth seed")),
        ("no-environment", swap("python_env: python_env.yaml\n", "")),
        ("requirements-open", swap("mlflow==", "mlflow>=")),
        ("file-broken", swap("name: tumours", "name: [tumours")),
    ],
}
#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT = {
    1: {
        "line 1: 2 → 5": "the settings are chosen freely, and the run records the same ones",
        "line 1: 5 → 11": "the settings are chosen freely, and the run records the same ones",
    },
    2: {
        "line 1: ''": "the name is replaced in the loop",
        "line 2: dropped experiment_names=": "the given cell has left Jonas's experiment active",
    },
}
_OTHER = """
    ranked = mlflow.search_runs(experiment_names=["hw-reproducing-jonas"]).sort_values("metrics.valid_auc")
    others = [other for other in ranked["tags.mlflow.runName"].iloc[PART] if other != name]
    mlflow.set_tag("not_reproduced", others[0])
"""
_SAID = 'mlflow.set_tag("not_reproduced", name)'
WRONG[2] += [
    ("comes-again", swap(_SAID, _OTHER.replace("PART", "1:3").strip())),
    ("extreme-not-false", swap(_SAID, _OTHER.replace("PART", "[0, 3]").strip())),
]
WRONG[3].append(
    ("gap-not-change", swap("same = (first == second) | (first.isna() & second.isna())", "same = first == second"))
)
WRONG[4].append(("environment-missing", swap('(project / "python_env.yaml").write_text(', "print(")))

# Written by people who had seen the homework and not the checks.
WRONG[1].append(("arguments-swapped", '''
# arguments of score swapped
mlflow.set_experiment("hw-reproducing-tumours")
depth, seed = 3, 7
with mlflow.start_run(run_name="forest"):
    mlflow.log_params({"depth": depth, "seed": seed}); mlflow.log_metric("valid_auc", score(seed, depth))
    mlflow.set_tag("data_sha256", hashlib.sha256(tumours_file.read_bytes()).hexdigest())
    mlflow.log_text("\\n".join(f"{d.name}=={d.version}" for d in distributions()), "packages.txt")
'''))
WRONG[1].append(("packages-few", '''
# only the four main packages
mlflow.set_experiment("hw-reproducing-tumours")
with mlflow.start_run(run_name="forest"):
    mlflow.log_params({"depth": 3, "seed": 0}); mlflow.log_metric("valid_auc", score(3, 0))
    mlflow.set_tag("data_sha256", hashlib.sha256(tumours_file.read_bytes()).hexdigest())
    mlflow.log_text("\\n".join(f"{d.name}=={d.version}" for d in distributions() if d.name in ("mlflow", "pandas", "numpy", "scikit-learn")), "packages.txt")
'''))
WRONG[1].append(("settings-other", '''
# another seed recorded than used
mlflow.set_experiment("hw-reproducing-tumours")
with mlflow.start_run(run_name="forest"):
    mlflow.log_params({"depth": 3, "seed": 42}); mlflow.log_metric("valid_auc", score(3, 0))
    mlflow.set_tag("data_sha256", hashlib.sha256(tumours_file.read_bytes()).hexdigest())
    mlflow.log_text("\\n".join(f"{d.name}=={d.version}" for d in distributions()), "packages.txt")
'''))
WRONG[2].append(("rounded", '''
# rounded difference
t = mlflow.search_runs(experiment_names=["hw-reproducing-jonas"])
t["diff"] = (t["metrics.valid_auc"] - t.apply(lambda r: wine_score(int(r["params.depth"]), int(r["params.seed"])), axis=1)).abs()
bad = t.loc[t["diff"].idxmax()]
mlflow.set_experiment("hw-reproducing-verdict")
with mlflow.start_run(run_name="verdict"):
    mlflow.set_tag("not_reproduced", bad["tags.mlflow.runName"]); mlflow.log_metric("difference", round(bad["diff"], 2))
'''))
WRONG[2].append(("id-not-name", '''
# id in place of the name
t = mlflow.search_runs(experiment_names=["hw-reproducing-jonas"])
t["diff"] = (t["metrics.valid_auc"] - t.apply(lambda r: wine_score(int(r["params.depth"]), int(r["params.seed"])), axis=1)).abs()
bad = t.loc[t["diff"].idxmax()]
mlflow.set_experiment("hw-reproducing-verdict")
with mlflow.start_run(run_name="verdict"):
    mlflow.set_tag("not_reproduced", bad["run_id"]); mlflow.log_metric("difference", bad["diff"])
'''))
WRONG[2].append(("relative", '''
# relative difference
t = mlflow.search_runs(experiment_names=["hw-reproducing-jonas"])
t["mine"] = t.apply(lambda r: wine_score(int(r["params.depth"]), int(r["params.seed"])), axis=1)
t["diff"] = (t["metrics.valid_auc"] - t["mine"]).abs()
bad = t.loc[t["diff"].idxmax()]
mlflow.set_experiment("hw-reproducing-verdict")
with mlflow.start_run(run_name="verdict"):
    mlflow.set_tag("not_reproduced", bad["tags.mlflow.runName"]); mlflow.log_metric("difference", bad["diff"] / bad["metrics.valid_auc"])
'''))
WRONG[3].append(("gap-not-change", '''
# compared as text, where a gap is no equal of a gap
ne = first.astype(str) != second.astype(str)
mlflow.set_experiment("hw-reproducing-clinic")
with mlflow.start_run(run_name="deliveries") as run:
    for col, k in ne.sum().items():
        if k:
            mlflow.set_tags({"changed_column": col}); mlflow.log_metrics({"changed_rows": k})
'''))
WRONG[2].append(("relative-to-yours", swap('row["metrics.valid_auc"])', 'row["metrics.valid_auc"]) / again')))
WRONG[3].append(("both-counted", swap("int(counts.max())", "2 * int(counts.max())")))
