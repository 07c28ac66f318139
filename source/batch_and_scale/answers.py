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
        # each future with its value in a dict, in the order in which they finish
        '''
        from concurrent.futures import as_completed

        with ThreadPoolExecutor(3) as pool:
            value = {pool.submit(score, C): C for C in values}
            for job in as_completed(value):
                C = value[job]
                try:
                    with mlflow.start_run(run_name=f"wine-{C}"):
                        mlflow.log_param("C", C)
                        mlflow.log_metric("cv_accuracy", job.result())
                except ValueError as error:
                    failed = mlflow.last_active_run().info.run_id
                    mlflow.MlflowClient().set_tag(failed, "error", type(error).__name__)
        ''',
        # no threads, by the client
        '''
        client = mlflow.MlflowClient()
        number = mlflow.get_experiment_by_name("hw-batch-and-scale-wines").experiment_id
        for C in reversed(values):
            run = client.create_run(number, run_name="wine-" + str(C)).info.run_id
            client.log_param(run, "C", C)
            try:
                client.log_metric(run, "cv_accuracy", score(C))
                client.set_terminated(run)
            except ValueError:
                client.set_tag(run, "error", "ValueError")
                client.set_terminated(run, "FAILED")
        ''',
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
        # letting the error end the run
        '''
        attempt = 0
        while True:
            attempt += 1
            try:
                with mlflow.start_run(run_name=f"attempt-{attempt}", tags={"error": "ConnectionError"}):
                    mlflow.log_param("attempt", attempt)
                    mlflow.log_metric("rows", load_table(attempt))
                break
            except ConnectionError:
                pass
        ''',
        # by the client
        '''
        client = mlflow.MlflowClient()
        number = mlflow.get_experiment_by_name("hw-batch-and-scale-retries").experiment_id
        for attempt in (1, 2, 3):
            run = client.create_run(number, run_name=f"attempt-{attempt}").info.run_id
            client.log_param(run, "attempt", attempt)
            try:
                client.log_metric(run, "rows", load_table(attempt))
            except OSError as e:
                client.set_tag(run, "error", e.__class__.__name__)
                client.set_terminated(run, "FAILED")
            else:
                client.set_terminated(run)
        ''',
    ],
}

WRONG = {
    1: [
        ("not-started", ""),
        ("not-started", 'papermill.inspect_notebook(template)'),
        ("point-missing", swap('("north", "south")', '("north",)')),
        ("point-missing", swap("for C in (0.1, 1.0)", 'for C in ((0.1,) if region == "north" else (1.0,))')),
        ("file-name", swap("{region}-{C}.ipynb", "{region}_{C}.ipynb")),
        ("file-name", swap("(0.1, 1.0)", "(0.1, 1)")),
        ("file-name", swap("{region}-{C}.ipynb", "{region.replace('south', 'sout')}-{C}.ipynb")),
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
        ("failed-with-score", swap('mlflow.end_run("FAILED")', 'mlflow.log_metric("cv_auc", 0); mlflow.end_run("FAILED")')),
        ("run-open", swap("with mlflow.start_run(run_name=file.stem):", "mlflow.start_run(run_name=file.stem)\n    if True:")),
    ],
    3: [
        ("not-started", ""),
        ("mixed-up", swap("zip(values, jobs,", "zip([0.01, 0.001, -1.0, 0.1], jobs,")),
        ("mixed-up", swap("job.result())", "jobs[0].result())")),
        ("mixed-up", swap("zip(values, jobs,", "zip([0.001, -1.0, 0.01, 0.1], jobs,")),  # the failure is exchanged
        ("mixed-up", swap("zip(values, jobs,", "zip([0.001, 0.01, 0.1, -1.0], jobs,")),
        ("failed-point", swap('mlflow.end_run("FAILED")', "pass")),
        ("failed-point", swap("values, jobs, strict=True", "[0.001, 0.01, 0.1], [j for j in jobs if not j.exception()], strict=True")),
        ("point-missing", swap("zip(values, jobs, strict=True)", "list(zip(values, jobs))[:3]")),
        ("run-name", swap('"wine-{C}"', '"wines_{C}"')),
        ("param-missing", swap('mlflow.log_param("C", C)', "pass")),
        ("param-value", swap('log_param("C", C)', 'log_param("C", 1.0)')),
        ("tag-missing", swap('mlflow.set_tag("error", type(error).__name__)', "pass")),
        ("error-name", swap("type(error).__name__", "str(error)[:30]")),
        ("failed-with-score", swap('mlflow.set_tag("error"', 'mlflow.log_metric("cv_accuracy", 0); mlflow.set_tag("error"')),
        ("metric-missing", swap('mlflow.log_metric("cv_accuracy", job.result())', "pass")),
        ("rounded", swap("job.result())", "round(job.result(), 3))")),
        ("wrong-experiment", swap("with ThreadPool", 'mlflow.set_experiment("wines")\nwith ThreadPool')),
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
        ("attempt-missing", swap("range(1, 6)", "range(1, 3)")),
        ("attempt-missing", swap("range(1, 6)", "range(3, 6)")),
        ("failed-point", swap('mlflow.end_run("FAILED")', "pass")),
        ("tag-missing", swap('mlflow.set_tag("error", type(error).__name__)', "pass")),
        ("error-name", swap("type(error).__name__", "str(error)")),
        ("param-missing", swap('mlflow.log_param("attempt", attempt)', "pass")),
        ("param-value", swap('"attempt", attempt)', '"attempt", attempt - 1)')),
        ("failed-with-score", swap('mlflow.set_tag("error"', 'mlflow.log_metric("rows", 0)\n            mlflow.set_tag("error"')),
        ("metric-missing", swap('mlflow.log_metric("rows", load_table(attempt))', "load_table(attempt)")),
    ],
}

#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT = {
    1: {
        "line 7: dropped prepare_only=": "a notebook that was run at once is prepared, too",
        "line 7: True →": "a notebook that was run at once is prepared, too",
    },
    3: {
        "line 1: 2 →": "as many threads as the learner likes",
        "line 3: dropped strict=": "there are as many values as jobs",
        "line 3: True →": "there are as many values as jobs",
    },
    4: {
        "line 4: dropped max_results=": "there are fewer attempts than the default returns",
        "line 4: 5000 →": "there are fewer attempts than that",
        "line 7: dropped index=": "a further column does no harm",
        "line 7: False →": "a further column does no harm",
    },
    5: {"line 1: 6 →": "the loop ends with the first success"},
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

# Written by people who had seen the homework and not the checks.
WRONG[2].append(("rounded", '''
# rounded
for f in files:
    nb = nbformat.read(f, as_version=4)
    bad = nb.metadata.papermill.exception
    mlflow.start_run(run_name=f.stem)
    mlflow.log_param("C", nb.metadata.papermill.parameters.C)
    if not bad:
        mlflow.log_metric("cv_auc", round(json.loads(nb.cells[-1].outputs[-1]["text"])["cv_auc"], 1))
    mlflow.end_run("FAILED" if bad else "FINISHED")
'''))
WRONG[5].append(("counts-from-zero", '''
# from 0
for n in range(4):
    mlflow.start_run(run_name=f"attempt-{n}"); mlflow.log_param("attempt", n)
    try:
        mlflow.log_metric("rows", load_table(n)); mlflow.end_run(); break
    except Exception as error:
        mlflow.set_tag("error", type(error).__name__); mlflow.end_run("FAILED")
'''))
WRONG[5].append(("goes-on", '''
# goes on after the success
for n in range(1, 5):
    mlflow.start_run(run_name=f"attempt-{n}"); mlflow.log_param("attempt", n)
    try:
        mlflow.log_metric("rows", load_table(n)); mlflow.end_run()
    except Exception as error:
        mlflow.set_tag("error", type(error).__name__); mlflow.end_run("FAILED")
'''))
RIGHT[5].append('''
# a first try that counted from zero and went on after the success, then a right one
for numbers in (range(5), range(1, 4)):
    for n in numbers:
        mlflow.start_run(run_name=f"attempt-{n}")
        mlflow.log_param("attempt", n)
        try:
            mlflow.log_metric("rows", load_table(n))
            mlflow.end_run()
        except ConnectionError as error:
            mlflow.set_tag("error", type(error).__name__)
            mlflow.end_run("FAILED")
''')
