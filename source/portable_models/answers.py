"""Right and wrong answers to the homework `portable_models`."""

from tests.submissions.tools import append, swap

_REQUIRED = "pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=True)"

RIGHT = {
    1: [
        # the file read as YAML, the list of MLmodel, true and false
        """
        import yaml
        found = []
        for path in inbox.glob("*/MLmodel"):
            flavors = yaml.safe_load(path.read_text())["flavors"]
            flavor = flavors.get("sklearn", {})
            kind = {"skops": "skops", "cloudpickle": "pickle"}.get(flavor.get("serialization_format"), "code")
            names = flavor.get("skops_trusted_types") or [] if kind == "skops" else []
            good = kind == "skops" and not any(name.startswith(("builtins", "functools")) for name in names)
            good = good and not (path.parent / "code").exists()
            found.append((path.parent.name, kind, len(names), good))
        pd.DataFrame(found, columns=["model", "kind", "names", "load"]).to_csv(folder / "inbox.csv")
        """,
        # as text, riskiest first, with the class of MLflow
        """
        from mlflow.models import Model
        lines = []
        for sender in ("finn", "emil", "dora", "carla", "ben", "anna"):
            f = Model.load(str(inbox / sender)).flavors
            skops_list = f.get("sklearn", {}).get("skops_trusted_types") or []
            if "model_code_path" in f.get("python_function", {}):
                lines.append(f"No,{sender},0,Code")
            elif (inbox / sender / "model.pkl").exists():
                lines.append(f"No,{sender},0,Pickle")
            else:
                load = "No" if "builtins.print" in skops_list or f["sklearn"]["code"] else "Yes"
                lines.append(f"{load},{sender},{len(skops_list)},Skops")
        (folder / "inbox.csv").write_text("load,model,names,kind\\n" + "\\n".join(sorted(lines)))
        """,
    ],
    2: [
        # versions typed by a loop, list written out, a failed first try
        """
        from importlib.metadata import version
        pins = [f"{n}=={version(n)}" for n in ("mlflow", "scikit-learn", "skops", "numpy")]
        try:
            with mlflow.start_run(run_name="travel"):
                mlflow.sklearn.log_model(progression, name="progression", pip_requirements=pins)
        except mlflow.MlflowException:
            pass
        with mlflow.start_run(run_name="travel"):
            mlflow.sklearn.log_model(
                progression, name="progression", skops_trusted_types=["clinic_steps.Log"], pip_requirements=pins,
                code_paths=[str(folder / "clinic_steps.py")], input_example=measured.iloc[[4]],
            )
        """,
        # by the course's helper, with one more module
        """
        (folder / "notes.py").write_text("# nothing")
        mlflow.start_run(run_name="travel")
        store.log_model(progression, "progression", measured, code_paths=[str(folder / "notes.py"), str(steps_file)])
        mlflow.end_run()
        """,
    ],
    3: [
        # by the client
        """
        five = asked[:5]
        mlflow.models.predict(model_uri=churn_uri, input_data=five, output_path=proof, env_manager="local")
        client = mlflow.MlflowClient()
        made = client.create_run(mlflow.get_experiment_by_name("hw-portable-check").experiment_id, run_name="check")
        client.log_artifact(made.info.run_id, str(proof))
        client.set_tag(made.info.run_id, "checked_model", churn_uri)
        client.set_terminated(made.info.run_id)
        """,
        # inside the run, with more tags than asked, from a file
        """
        asked.head(5).to_csv(folder / "five.csv", index=False)
        with mlflow.start_run(run_name="check", tags={"checked_model": churn_uri, "by": "me"}):
            mlflow.models.predict(churn_uri, input_path=str(folder / "five.csv"), content_type="csv",
                                  output_path=str(proof), env_manager="local")
            mlflow.log_artifact(str(proof))
        """,
    ],
    4: [
        # the standard library's comparison
        """
        import filecmp
        _, different, _ = filecmp.cmpfiles(
            folder / "checked", folder / "arrived", [p.name for p in (folder / "checked").iterdir()], shallow=False
        )
        (folder / "changed.txt").write_text(different[0] + "\\n")
        """,
        # fingerprints of files
        """
        import hashlib
        def prints(place):
            return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (folder / place).iterdir()}
        old, new = prints("checked"), prints("arrived")
        (folder / "changed.txt").write_text("".join(name for name in old if old[name] != new[name]))
        """,
    ],
}

WRONG = {
    1: [
        ("not-started", ""),
        ("file-name", swap('"inbox.csv"', '"Inbox.CSV"')),
        ("inbox-rows", swap("sorted(inbox.iterdir())", "sorted(inbox.iterdir())[:2]")),
        ("column-missing", swap('"names":', '"types":')),
        ("kind-wrong", swap('"pickle", []', 'flavors["sklearn"]["serialization_format"], []')),
        ("kind-wrong", swap('"code", []', '"skops", []')),
        ("names-wrong", swap('"names": len(names)', '"names": 1')),
        ("names-wrong", swap('"names": len(names)', '"names": ", ".join(names) or "none"')),
        ("pickle-format", swap('kind == "skops" and set(names)', 'kind != "code" and set(names)')),
        (
            "code-runs",
            swap('kind == "skops" and set(names)', 'kind != "pickle" and set(names)', '(None, "mlflow.sklearn")', 'loader.values()'),
        ),
        ("trusted-unread", swap('kind == "skops" and set(names) <= allowed', 'kind == "skops"')),
        ("brings-code", swap(" and not own_code", "")),
        # `code` looked for in one flavor: a model without `predict` has the other one alone
        ("brings-code", swap('any(flavor.get("code") for flavor in flavors.values())', 'bool(loader.get("code"))')),
        ("too-strict", swap('kind == "skops" and set(names) <= allowed', 'kind == "skops" and not names')),
        ("load-word", swap('"yes" if', '"maybe" if')),
    ],
    2: [
        ("not-started", ""),
        ("model-missing", 'with mlflow.start_run(run_name="travel"):\n    mlflow.log_param("rows", 3)'),
        ("model-name", swap('name="progression"', 'name="diabetes"')),
        ("pickle-format", swap("skops_trusted_types=types", 'serialization_format="cloudpickle"')),
        ("module-missing", swap("code_paths=[str(steps_file)],", "")),
        (
            "module-missing",
            swap(
                "code_paths=[str(steps_file)]",
                'code_paths=[shutil.copy(steps_file, folder / "renamed_steps.py").__str__()]',
            ),
        ),
        (
            "module-place",
            append("""
(folder / "steps").mkdir(exist_ok=True)
shutil.copy(steps_file, folder / "steps")
with mlflow.start_run(run_name="travel"):
    mlflow.sklearn.log_model(
        progression, name="progression", skops_trusted_types=types, code_paths=[str(folder / "steps")],
        pip_requirements=["scikit-learn==1.9.1", "skops==0.16.0"], input_example=measured.head(3),
    )
"""),
        ),
        ("other-model", swap("    progression,", "    progression[-1],", "skops_trusted_types=types,", "")),
        ("requirements-open", swap(_REQUIRED, 'pip_requirements=["scikit-learn", "skops"]')),
        ("requirements-open", swap(_REQUIRED, 'pip_requirements=["scikit-learn>=1.5", "skops==0.16.0"]')),
        ("requirements-missing", swap("include_skops=True", "include_skops=False")),
        ("no-example", swap("input_example=measured.head(3),", "")),
        ("example-refused", swap("input_example=measured.head(3)", "input_example=patients.head(3)")),
    ],
    3: [
        ("not-started", ""),
        ("run-name", swap('run_name="check"', 'run_name="proof"')),
        ("artifact-missing", swap("mlflow.log_artifact(proof)", "pass")),
        ("artifact-name", swap("log_artifact(proof)", 'log_artifact(proof, "check")')),
        ("tag-missing", swap('mlflow.set_tag("checked_model", churn_uri)', "pass")),
        ("tag-as-param", swap("set_tag(", "log_param(")),
        ("tag-name", swap('"checked_model"', '"checked-model"')),
        ("other-model", swap('"checked_model", churn_uri', '"checked_model", "churn"')),
        (
            "answers-format",
            swap(
                "mlflow.models.predict(churn_uri,",
                "answer = churn.predict(",
                ', env_manager="local", output_path=str(proof))',
                ")\nproof.write_text(str(answer))",
            ),
        ),
        ("last-rows", swap("asked.head(5)", "asked.tail(5)")),
        ("row-count", swap("asked.head(5)", "asked")),
    ],
    4: [
        ("not-started", ""),
        ("no-such-file", swap("write_text(path.name)", 'write_text(f"It was {path.name}.")')),
        ("file-same", swap("write_text(path.name)", 'write_text("MLmodel")')),
        ("file-same", swap("write_text(path.name)", 'write_text("model.skops")')),
        ("file-name", swap('"changed.txt"', '"Changed.TXT"')),
    ],
}

_COLUMN = "a further column does no harm"
_NO_FORGED = "no mail of this inbox names another file"
#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT = {
    1: {
        "line 1: 'numpy.dtype' →": "no file of this inbox asks for it",
        "line 10: 'model_path' →": _NO_FORGED,
        "line 11: 'data' →": _NO_FORGED,
        "line 5: 'python_function' →": "no mail names modules in that flavor alone, or another file",
        "line 17: 'loader_module' →": "no mail brings a loader of its own",
        "line 21: dropped index=": _COLUMN,
        "line 21: False →": _COLUMN,
    },
    2: {
        "line 10: dropped pip_requirements=": "MLflow finds them out, with their exact versions",
        "line 11: 3 →": "how many rows the example has is left open",
    },
}

#: Wrong answers that pass, because a store holds no trace of the mistake: (what cannot be seen, answer).
UNSEEN = {
    3: [
        (
            "the right answers, computed past `mlflow.models.predict`",
            """
import json
p = churn.predict_proba(asked.head(5))
proof.write_text(json.dumps({"predictions": p.tolist()}))
with mlflow.start_run(run_name="check"):
    mlflow.log_artifact(proof); mlflow.set_tag("checked_model", churn_uri)
""",
        ),
    ],
}

# Written by people who had seen the homework and not the checks.
WRONG[2].append(("requirements-other", '''
# an old version pinned
with mlflow.start_run(run_name="travel"):
    mlflow.sklearn.log_model(progression, name="progression", skops_trusted_types=["clinic_steps.Log"], code_paths=[str(steps_file)], pip_requirements=["scikit-learn==1.5.2", "skops==0.11.0"], input_example=measured.head(2))
'''))
WRONG[3].append(("not-probabilities", '''
# labels: the model in memory, predict
import json
proof.write_text(json.dumps({"predictions": churn.predict(asked.head(5)).tolist()}))
with mlflow.start_run(run_name="check", tags={"checked_model": churn_uri}):
    mlflow.log_artifact(proof)
'''))
WRONG[3].append(("train-rows", '''
# first five training rows
mlflow.models.predict(churn_uri, split.X_train.head(5), env_manager="local", output_path=str(proof))
with mlflow.start_run(run_name="check", tags={"checked_model": churn_uri}):
    mlflow.log_artifact(proof)
'''))
WRONG[3].append(("row-count", '''
# four rows (off by one)
mlflow.models.predict(churn_uri, asked.iloc[:4], env_manager="local", output_path=str(proof))
with mlflow.start_run(run_name="check", tags={"checked_model": churn_uri}):
    mlflow.log_artifact(proof)
'''))
WRONG[4].append(("path-not-name", '''
# full path
for p in (folder / "checked").iterdir():
    if p.is_file() and p.read_bytes() != (folder / "arrived" / p.name).read_bytes():
        (folder / "changed.txt").write_text(str(folder / "arrived" / p.name))
'''))
WRONG[3].append(("other-rows", swap("asked.head(5)", "asked.iloc[5:10]")))
RIGHT[2].append('''
# a requirements file, a dict example of lists
import sklearn
req = folder / "req.txt"
req.write_text(f"scikit-learn=={sklearn.__version__}\\nskops=={skops.__version__}\\nnumpy=={np.__version__}\\n")
with mlflow.start_run(run_name="travel"):
    mlflow.sklearn.log_model(sk_model=progression, name="progression", serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS, skops_trusted_types=["clinic_steps.Log"], code_paths=[str(steps_file)], pip_requirements=str(req), input_example=measured.sample(3, random_state=1))
''')
