"""Right and wrong answers to the homework of batch and scale."""

from tests.submissions.tools import append, swap

RIGHT = {
    1: [
        # papermill's lower floor: parametrise, then write; more points and a seed than asked for
        """
        from papermill.iorw import load_notebook_node
        from papermill.parameterize import parameterize_notebook

        for region in ["south", "north", "west"]:
            for C in [1.0, 0.1]:
                done = parameterize_notebook(load_notebook_node(str(template)), {"region": region, "C": C, "seed": 3})
                nbformat.write(done, folder / f"{region}-{C}.ipynb")
        """,
        # one dict of points, paths as text
        """
        points = {f"{r}-{c}": {"C": c, "region": r} for r in ("north", "south") for c in (0.1, 1.0)}
        for name, values in points.items():
            papermill.execute_notebook(str(template), f"{folder}/{name}.ipynb", values, prepare_only=True)
        """,
    ],
    2: [
        # by the client, in another order, with more logged
        """
        client = mlflow.MlflowClient()
        number = mlflow.get_experiment_by_name("hw-batch-and-scale-batch").experiment_id
        for file in reversed(files):
            nb = json.loads(file.read_text())
            run = client.create_run(number, run_name=file.stem).info.run_id
            for key, value in nb["metadata"]["papermill"]["parameters"].items():
                client.log_param(run, key, value)
            if nb["metadata"]["papermill"]["exception"]:
                client.set_terminated(run, "FAILED")
                continue
            client.log_metric(run, "cv_auc", json.loads("".join(nb["cells"][-1]["outputs"][0]["text"]))["cv_auc"])
            client.set_terminated(run)
        """,
        # letting the error end the run
        """
        for file in files:
            done = nbformat.read(file, 4)
            try:
                with mlflow.start_run(run_name=file.stem):
                    mlflow.log_params({"C": done.metadata.papermill.parameters["C"]})
                    mlflow.log_metric("cv_auc", json.loads(done.cells[-1].outputs[-1]["text"])["cv_auc"])
            except KeyError:
                print(file.name, "failed")
        """,
    ],
    3: [
        # found by name in the store, each setting by hand
        """
        old = mlflow.search_runs(experiment_names=["hw-batch-and-scale-spring"], max_results=1).iloc[0]
        value, digest = train(
            int(old["params.n_rows"]), int(old["params.data_seed"]), int(old["params.max_depth"]), int(old["params.model_seed"])
        )
        with mlflow.start_run(run_name="spring-again", tags={"reproduces": old.run_id}):
            mlflow.set_tag("data_digest", digest)
            mlflow.log_metric("test_auc", value)
            mlflow.log_params({"n_rows": old["params.n_rows"]})
        """,
        # by the client
        """
        client = mlflow.MlflowClient()
        params = client.get_run(spring.info.run_id).data.params
        value, digest = train(**{k: int(v) for k, v in params.items()})
        made = client.create_run(mlflow.get_experiment_by_name("hw-batch-and-scale-again").experiment_id, run_name="spring-again")
        client.log_metric(made.info.run_id, "test_auc", value)
        client.set_tag(made.info.run_id, "data_digest", digest)
        client.set_tag(made.info.run_id, "reproduces", spring.info.run_id)
        client.set_terminated(made.info.run_id)
        """,
    ],
    4: [
        # plain Python, filtered here instead of in the store
        """
        from collections import Counter

        client = mlflow.MlflowClient(tracking_uri=where)
        e = client.search_experiments(filter_string="name = 'homework-attempts'")[0].experiment_id
        tags = [r.data.tags for r in client.search_runs([e])]
        tags = [t for t in tags if t["homework"] != "batch_and_scale" and t["mistake"] != "not-started"]
        counts = Counter(t["mistake"] for t in tags if t["outcome"] != "passed").most_common()
        with open(folder / "mistakes.csv", "w") as file:
            print("mistake,attempts,note", file=file)
            for code, n in counts:
                print(code, n, "mine", sep=",", file=file)
        mlflow.start_run(run_name="my-attempts")
        mlflow.log_metric("attempts", len(tags))
        mlflow.log_metric("share_passed", sum(t["mistake"] == "ok" for t in tags) / len(tags))
        mlflow.set_tag("top_mistake", counts[0][0])
        mlflow.end_run()
        """,
        # with the store's own table, switching there and back
        """
        mlflow.set_tracking_uri(where)
        t = mlflow.search_runs(experiment_names=[attempts.EXPERIMENT], filter_string="tags.homework != 'batch_and_scale'")
        store.connect()
        mlflow.set_experiment("hw-batch-and-scale-me")
        t = t[t["tags.mistake"] != "not-started"]
        wrong = t[t["tags.outcome"] == "not yet"].groupby("tags.mistake").size().sort_values(ascending=False)
        pd.DataFrame({"mistake": wrong.index, "attempts": wrong.values}).to_csv(folder / "mistakes.csv", index=False)
        with mlflow.start_run(run_name="my-attempts", tags={"top_mistake": wrong.index[0]}):
            mlflow.log_metrics({"attempts": len(t), "share_passed": 1 - wrong.sum() / len(t)})
        """,
    ],
    5: [
        # argparse, another script name, two parameters
        """
        project.mkdir(parents=True, exist_ok=True)
        (project / "MLproject").write_text(
            "name: p\\nentry_points:\\n  main:\\n    parameters:\\n      C:\\n        type: float\\n        default: 2\\n"
            "      seed: {type: float, default: 0}\\n    command: python fit.py --C {C} --seed {seed}\\n"
        )
        (project / "fit.py").write_text(
            "import argparse\\nimport mlflow\\np = argparse.ArgumentParser()\\np.add_argument('--C', type=float)\\n"
            "p.add_argument('--seed', type=float)\\nmlflow.log_metric('C', p.parse_args().C)\\n"
        )
        """,
        # written with yaml
        """
        import yaml

        project.mkdir(exist_ok=True)
        main = {"parameters": {"C": {"type": "float", "default": 0.5}}, "command": "python train.py {C}"}
        (project / "MLproject").write_text(yaml.safe_dump({"name": "x", "entry_points": {"main": main}}))
        (project / "train.py").write_text("from sys import argv\\nimport mlflow\\nmlflow.log_param('c', argv[1])\\n")
        """,
    ],
}

WRONG = {
    1: [
        ("not-started", ""),
        ("not-started", 'papermill.inspect_notebook(template)'),
        ("point-missing", swap('("north", "south")', '("north",)')),
        ("point-missing", swap("for C in (0.1, 1.0)", 'for C in ((0.1,) if region == "north" else (1.0,))')),
        ("file-name", swap("{region}-{C}.ipynb", "{region}_{C}.ipynb")),
        ("unknown-parameter", swap('"C": C', '"c": C')),
        ("default-kept", swap(', "C": C', "")),
        ("param-value", swap('"C": C', '"C": 0.1')),
        ("no-parameters", 'for r in ("north", "south"):\n    for C in (0.1, 1.0):\n        (folder / f"{r}-{C}.ipynb").write_text(template.read_text())'),
        ("file-broken", append('(folder / "south-1.0.ipynb").write_text("{")')),
    ],
    2: [
        ("not-started", ""),
        ("wrong-experiment", swap("for file in files:", 'mlflow.set_experiment("batch")\nfor file in files:')),
        ("run-name", swap("run_name=file.stem", "run_name=file.name")),
        ("failed-point", swap('mlflow.end_run("FAILED")', "pass")),
        ("failed-point", swap("for file in files:", 'for file in [f for f in files if "east" not in f.name]:')),
        ("point-missing", swap("for file in files:", 'for file in [f for f in files if "south" not in f.name]:')),
        ("train-not-test", swap("done.cells[-1].outputs[0]\n", "done.cells[0].outputs[0]\n", 'output.output_type == "error"', '"east" in file.stem')),
        ("param-missing", swap('mlflow.log_param("C", done.metadata.papermill.parameters.C)', "pass")),
        ("param-value", swap("done.metadata.papermill.parameters.C", "1.0")),
        ("metric-as-tag", swap('mlflow.log_metric("cv_auc"', 'mlflow.set_tag("cv_auc"')),
        ("run-failed", swap('mlflow.log_metric("cv_auc"', 'mlflow.log_metrics("cv_auc"')),
        ("run-open", swap("with mlflow.start_run(run_name=file.stem):", "mlflow.start_run(run_name=file.stem)\n    if True:")),
    ],
    3: [
        ("not-started", ""),
        ("run-name", swap("spring-again", "again")),
        ("tag-missing", swap(', "reproduces": spring.info.run_id', "")),
        ("tag-as-param", swap('mlflow.set_tags({"data_digest": digest, "reproduces": spring.info.run_id})', 'mlflow.log_params({"data_digest": digest, "reproduces": spring.info.run_id})')),
        ("wrong-original", swap("spring.info.run_id})", '"spring"})')),
        ("metric-missing", swap('mlflow.log_metric("test_auc", again)', "pass")),
        ("tag-missing", swap('"data_digest": digest, ', "")),
        ("wrong-data", swap("**{name: int(value) for name, value in kept.params.items()}", "640, 5000, 3, 11")),
        ("not-exact", swap("for name, value in kept.params.items()}", 'for name, value in kept.params.items()} | {"model_seed": 0}')),
        ("not-exact", swap("for name, value in kept.params.items()}", 'for name, value in kept.params.items()} | {"max_depth": 9}')),
        ("rounded", swap('"test_auc", again', '"test_auc", again + 1e-9')),
        ("metric-name", swap('"test_auc"', '"Test-AUC"')),
    ],
    4: [
        ("not-started", ""),
        ("under-way-counted", swap("tags.homework != 'batch_and_scale' AND ", "")),
        ("ok-counted", swap('codes[codes != "ok"]', "codes")),
        ("ok-counted", swap(" AND tags.mistake != 'not-started'", "")),
        ("column-missing", swap('name="attempts"', 'name="n"')),
        ("file-name", swap("mistakes.csv", "mistake.csv")),
        ("wrong-count", swap("max_results=5000", "max_results=3")),
        ("not-a-count", swap("mistakes.to_csv", 'mistakes.assign(attempts="many").to_csv')),
        ("not-sorted", swap(".value_counts()", ".value_counts(ascending=True)")),
        ("passed-not-counted", swap('"attempts": len(codes)', '"attempts": mistakes.attempts.sum()')),
        ("share-of-mistakes", swap('(codes == "ok")', '(codes != "ok")')),
        ("percent-not-share", swap('(codes == "ok").mean()', '100 * (codes == "ok").mean()')),
        ("not-the-top", swap("iloc[0]", "iloc[-1]")),
        ("metric-missing", swap('"attempts": len(codes), ', "")),
        ("tag-name", swap('"top_mistake"', '"top-mistake"')),
        ("wrong-experiment", swap("client = mlflow", 'mlflow.set_experiment("me")\nclient = mlflow')),
    ],
    5: [
        ("not-started", ""),
        ("file-name", swap('"MLproject"]', '"MLProject"]')),
        ("no-entry-point", swap("main:", "train:")),
        ("no-entry-point", swap("entry_points:", "entry_points: [")),
        ("param-undeclared", swap("C: {type", "alpha: {type")),
        ("param-type", swap(", default: 1.0", "")),
        ("param-unused", swap("train.py {C}", "train.py 1.0")),
        ("script-missing", swap('"train.py"]', '"fit.py"]')),
        ("script-broken", swap("** 2)", "** 2")),
        ("param-unread", swap("float(sys.argv[1]) ** 2", "4.0")),
        ("nothing-logged", swap("import mlflow\nmlflow.log_metric(\"C_squared\", float(sys.argv[1]) ** 2)", "print(float(sys.argv[1]) ** 2)")),
    ],
}

#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT = {
    1: {
        "line 4: dropped prepare_only=": "a notebook that was run at once is prepared, too",
        "line 4: True →": "a notebook that was run at once is prepared, too",
    },
    4: {
        "line 4: dropped max_results=": "there are fewer attempts than the default returns",
        "line 4: 5000 →": "there are fewer attempts than that",
        "line 7: dropped index=": "a further column does no harm",
        "line 7: False →": "a further column does no harm",
    },
    5: {
        "line 1: dropped exist_ok=": "the folder is new",
        "line 1: True →": "the folder is new",
        "line 11: '\\nimport": "a bare name at the end is still valid Python; the script is not run",
    },
}

# Found by people who attacked the checks.
WRONG[2].append(("failed-with-score", '''  # failed with train score
for f in files:
    d = nbformat.read(f, 4)
    bad = d.metadata.papermill.exception
    with mlflow.start_run(run_name=f.stem):
        mlflow.log_param("C", d.metadata.papermill.parameters.C)
        mlflow.log_metric("cv_auc", json.loads(d.cells[0 if bad else -1].outputs[0].text)["cv_auc"])
        if bad: mlflow.end_run("FAILED")
'''))

#: Wrong answers that pass, because a store holds no trace of the mistake: (what cannot be seen, answer).
UNSEEN = {
    3: [
        (
            "the old metric copied instead of trained again",
            '''
o = mlflow.get_run(spring.info.run_id)
with mlflow.start_run(run_name="spring-again"):
    mlflow.log_metric("test_auc", o.data.metrics["test_auc"]); mlflow.set_tags({"data_digest": o.data.tags["data_digest"], "reproduces": o.info.run_id})
''',
        ),
    ],
}
