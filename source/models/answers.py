"""Right and wrong answers to the homework `models`."""

from tests.submissions.tools import append, swap

_REQUIRED = "pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=True)"
_CALLER_CODE = '''
code = """
import mlflow

class Any(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.pipeline = mlflow.pyfunc.load_model(context.artifacts["pipeline"])
        self.cut = context.model_config.get("threshold")

    def predict(self, context, model_input, params=None):
        table = model_input.copy()
        table["contract"] = [c.strip().lower() for c in table["contract"]]
        answer = table[[]].copy()
        answer["probability"] = self.pipeline.predict(table)[:, 1]
        answer["call"] = (answer["probability"] >= self.cut).astype(float)
        return answer

mlflow.models.set_model(Any())
"""
path = folder / "caller.py"
path.write_text(code)
'''
_PICKLED = """
class Caller(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input
with mlflow.start_run(run_name="caller"):
    mlflow.pyfunc.log_model(name="caller", python_model=Caller(), pip_requirements=["pandas"])
"""

RIGHT = {
    1: [
        # the course's helper does the rest
        """
        with mlflow.start_run(run_name="by-hand"):
            store.log_model(forest, "churn_forest", table.astype("float64"), pyfunc_predict_fn="predict_proba")
        """,
        # signature made apart, requirements typed, an earlier wrong model in the same run
        """
        import sklearn
        floats = table.astype(float)
        signature = mlflow.models.infer_signature(floats, forest.predict_proba(floats))
        with mlflow.start_run(run_name="by-hand"):
            mlflow.sklearn.log_model(LogisticRegression(), name="draft", pip_requirements=["skops"])
            mlflow.sklearn.log_model(
                forest, name="churn_forest", signature=signature, input_example=floats.iloc[5:8],
                skops_trusted_types=["numpy.dtype", "sklearn.tree._tree.Tree"], pyfunc_predict_fn="predict_proba",
                pip_requirements=[f"scikit-learn=={sklearn.__version__}", f"skops=={skops.__version__}"],
            )
        """,
    ],
    2: [
        # pyfunc inside, another way to clean, probability and decision as floats, an example with parameters
        _CALLER_CODE
        + """
extra = {"only_calls": False}
with mlflow.start_run(run_name="caller"):
    made = mlflow.pyfunc.log_model(
        name="caller", python_model=str(path), artifacts={"pipeline": pipeline_uri}, model_config={"threshold": 0.4},
        signature=mlflow.models.infer_signature(messy, params=extra), input_example=(messy.head(1), extra),
        pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=True),
    )
mlflow.pyfunc.load_model(made.model_uri).predict(messy).to_csv(folder / "calls.csv")
""",
        # twice: the newer run counts
        _CALLER_CODE
        + """
for cut in (0.1, 0.4):
    with mlflow.start_run(run_name="caller") as r:
        mlflow.pyfunc.log_model(
            name="caller", python_model=path, artifacts={"pipeline": pipeline_uri}, model_config={"threshold": cut},
            input_example=messy.head(2), pip_requirements=["skops==0.16.0", "scikit-learn==1.9.1", "pandas==3.1.1"],
        )
    ours = mlflow.pyfunc.load_model(f"runs:/{r.info.run_id}/caller").predict(messy)
    ours.round(4).to_csv(folder / "calls.csv", index=False)
""",
    ],
    3: [
        # the file read as YAML, as whole text
        """
        import json, yaml
        found = []
        for path in inbox.glob("*/MLmodel"):
            content = yaml.safe_load(path.read_text())
            signature = content.get("signature")
            n = sum(c["required"] for c in json.loads(signature["inputs"])) if signature else 0
            fn = content["flavors"]["python_function"]["predict_fn"]
            found.append((path.parent.name, float(n), {"predict": "Labels"}.get(fn, "Probabilities")))
        pd.DataFrame(found, columns=["model", "must_have", "answers"]).to_csv(folder / "cards.csv")
        """,
        # with the class of MLflow, columns in another order, more columns than asked
        """
        from mlflow.models import Model
        lines = ["answers,model,must_have,note"]
        for sender in ("carla", "ben", "anna"):
            m = Model.load(str(inbox / sender))
            n = len(m.signature.inputs.required_input_names()) if m.signature else 0
            kind = "labels" if m.flavors["python_function"]["predict_fn"] == "predict" else "probabilities"
            lines.append(f"{kind},{sender},{n},read")
        (folder / "cards.csv").write_text("\\n".join(lines))
        """,
    ],
    4: [
        # an optional second field, another name of the class
        """
        text = (
            "import mlflow, pydantic\\n"
            "class T(pydantic.BaseModel):\\n    mean_radius: float\\n    name: str | None = None\\n"
            "class M(mlflow.pyfunc.PythonModel):\\n"
            "    def predict(self, model_input: list[T]) -> list[bool]:\\n"
            "        return [not t.mean_radius < 15 for t in model_input]\\n"
            "mlflow.models.set_model(M())\\n"
        )
        (folder / "rule.py").write_text(text)
        with mlflow.start_run(run_name="rule"):
            mlflow.pyfunc.log_model(name="rule", python_model=str(folder / "rule.py"), pip_requirements=["pydantic"])
        """,
        # a first try without hints, in a file of another name
        """
        for hint in ("", ": list[T]"):
            text = (
                "import mlflow, pydantic\\n"
                "class T(pydantic.BaseModel):\\n    mean_radius: float\\n"
                "class M(mlflow.pyfunc.PythonModel):\\n"
                f"    def predict(self, context, model_input{hint}, params=None):\\n"
                "        return [t.mean_radius >= 15.0 for t in model_input]\\n"
                "mlflow.models.set_model(M())\\n"
            )
            (folder / "rule.py").write_text(text)
            with mlflow.start_run(run_name="rule"):
                mlflow.pyfunc.log_model(name="rule", python_model=folder / "rule.py", pip_requirements=["pydantic"])
        """,
    ],
}

WRONG = {
    1: [
        ("not-started", ""),
        ("model-missing", 'with mlflow.start_run(run_name="by-hand"):\n    mlflow.log_param("trees", 10)'),
        ("model-name", swap('"churn_forest"', '"forest"')),
        (
            "model-files",
            append(
                "import shutil\nmade = mlflow.last_logged_model()\n"
                "shutil.rmtree(mlflow.artifacts.download_artifacts(f'models:/{made.model_id}'))"
            ),
        ),
        (
            "pickle-format",
            swap("skops_trusted_types=types", 'serialization_format="cloudpickle"'),
        ),
        ("no-signature", swap("signature=signature,", "", "input_example=floats.head(3),", "")),
        ("requirements-other", swap(_REQUIRED, 'pip_requirements=["scikit-learn==1.9.0", "skops==0.16.0"]')),
        ("integer-column", swap(".astype(float)", "")),
        (
            "signature-columns",
            swap("infer_signature(floats, forest.predict_proba(floats))", "infer_signature(split.X_train)"),
        ),
        (
            "no-example",
            swap("input_example=floats.head(3),", ""),
        ),
        ("example-rows", swap("head(3)", "head(500)")),
        ("labels-not-probabilities", swap('pyfunc_predict_fn="predict_proba",', "")),
        ("requirements-open", swap(_REQUIRED, 'pip_requirements=["scikit-learn", "skops==0.16.0"]')),
        ("requirements-missing", swap("include_skops=True", "include_skops=False")),
        ("requirements-missing", swap(_REQUIRED, "pip_requirements=[]")),
        (
            "requirements-extra",
            swap(_REQUIRED, 'pip_requirements=["scikit-learn==1.9.1", "skops==0.16.0", "pytest==9.2.0"]'),
        ),
    ],
    2: [
        ("not-started", ""),
        ("model-name", swap('name="caller",', 'name="model",')),
        ("object-pickled", _PICKLED),
        (
            "not-from-code",
            'with mlflow.start_run(run_name="caller"):\n    store.log_model(pipeline, "caller", split.X_train)',
        ),
        (
            "pipeline-outside",
            swap(
                'artifacts={"pipeline": pipeline_uri},',
                "",
                'load_model(context.artifacts["pipeline"])',
                'load_model(context.model_config["address"])',
                '{"threshold": 0.4}',
                '{"threshold": 0.4, "address": pipeline_uri}',
            ),
        ),
        (
            "threshold-outside",
            swap('model_config={"threshold": 0.4},', "", 'context.model_config["threshold"]', "0.4"),
        ),
        ("threshold-value", swap("0.4", "0.5")),
        ("no-signature", swap("input_example=messy.head(3),", "", "model_input: DataFrame", "model_input")),
        ("requirements-open", swap(_REQUIRED, 'pip_requirements=["scikit-learn", "skops"]')),
        ("file-name", swap('"calls.csv"', '"Calls.CSV"')),
        ("file-broken", append('(folder / "calls.csv").write_bytes(b"\\xff\\xfe\\x00")')),
        ("column-missing", swap('"call": probability >=', '"decision": probability >=')),
        ("not-cleaned", swap('.str.strip().str.lower()', "")),
        ("not-cleaned", swap(".str.strip()", "")),
        ("wrong-class", swap("(clean)[:, 1]", "(clean)[:, 0]")),
        ("row-count", swap("predict(messy)", "predict(messy.head(5))")),
        ("rows-shuffled", swap("predict(messy)", "predict(messy.sort_values('tenure_months'))")),
        ("threshold-default", swap(">= self.threshold", ">= 0.5")),
        ("call-wrong", swap("probability >= self.threshold", "probability < self.threshold")),
    ],
    3: [
        ("not-started", ""),
        ("file-name", swap('"cards.csv"', '"Cards.CSV"')),
        ("inbox-rows", swap("sorted(inbox.iterdir())", "sorted(inbox.iterdir())[:2]")),
        ("column-missing", swap('"must_have":', '"inputs":')),
        ("optional-counted", swap("sum(column.required for column in columns)", "len(columns)")),
        (
            "no-signature",
            swap("sum(column.required for column in columns)", "sum(column.required for column in columns) or 8"),
        ),
        ("signature-overlooked", swap("sum(column.required for column in columns)", "0")),
        ("must-have-wrong", swap("sum(column.required for column in columns)", "2 * sum(c.required for c in columns)")),
        ("must-have-wrong", swap("sum(column.required for column in columns)", '"all"')),
        ("labels-not-probabilities", swap('"probabilities" if function == "predict_proba" else "labels"', '"labels"')),
        ("answers-word", swap('"probabilities" if function == "predict_proba" else "labels"', "function")),
    ],
    4: [
        ("not-started", ""),
        ("model-name", swap('name="rule",', 'name="thumb",')),
        ("no-signature", swap("model_input: list[Tumour], params=None) -> list[bool]", "model_input, params=None)")),
        (
            "signature-from-example",
            swap(
                "model_input: list[Tumour], params=None) -> list[bool]",
                "model_input, params=None)",
                "[tumour.mean_radius >= 15 for tumour in model_input]",
                "(model_input['mean_radius'] >= 15).tolist()",
                '"rule.py",',
                '"rule.py", input_example=pd.DataFrame({"mean_radius": [14.0]}),',
            ),
        ),
        ("signature-columns", swap("mean_radius", "radius")),
        ("integer-column", swap("mean_radius: float", "mean_radius: int")),
        (
            "not-from-code",
            "with mlflow.start_run(run_name='rule'):\n    store.log_model(LogisticRegression().fit([[1.0], [2.0]], [0.0, 1.0]),"
            " 'rule', pd.DataFrame({'mean_radius': [1.0, 2.0]}))",
        ),
    ],
}

_COLUMN = "a further column does no harm"
#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT = {
    1: {"line 12: dropped signature=": "MLflow works the columns out from the example"},
    3: {"line 13: dropped index=": _COLUMN, "line 13: False →": _COLUMN},
    4: {"line 20: dropped pip_requirements=": "the task does not ask for requirements; MLflow finds them out"},
}

# Found by people who attacked the checks.
RIGHT[1].append('''  # example as dict
types = skops.io.get_untrusted_types(data=skops.io.dumps(forest))
from mlflow.models import infer_signature
with mlflow.start_run(run_name="by-hand"):
    mlflow.sklearn.log_model(forest, name="churn_forest", pyfunc_predict_fn="predict_proba",
        signature=infer_signature(table.astype(float), forest.predict_proba(table)),
        input_example=table.head(3).astype(float).to_dict("list"), skops_trusted_types=types,
        pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=True))
''')
RIGHT[1].append('''  # example as records
types = skops.io.get_untrusted_types(data=skops.io.dumps(forest))
from mlflow.models import infer_signature
with mlflow.start_run(run_name="by-hand"):
    mlflow.sklearn.log_model(forest, name="churn_forest", pyfunc_predict_fn="predict_proba",
        signature=infer_signature(table.astype(float), forest.predict_proba(table)),
        input_example=table.head(3).astype(float).to_dict("records"), skops_trusted_types=types,
        pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=True))
''')
WRONG[1].append(("example-rows", '''  # example of five
types = skops.io.get_untrusted_types(data=skops.io.dumps(forest))
with mlflow.start_run(run_name="by-hand"):
    mlflow.sklearn.log_model(forest, name="churn_forest", pyfunc_predict_fn="predict_proba",
        input_example=table.astype(float).head(), skops_trusted_types=types,
        pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=True))
'''))
WRONG[2].append(("not-cleaned-inside", '''  # cleaned outside
code = """
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel
from mlflow.sklearn import load_model
from pandas import DataFrame

class Caller(PythonModel):
    def load_context(self, context):
        self.pipeline = load_model(context.artifacts["pipeline"])
        self.threshold = context.model_config["threshold"]
    def predict(self, context, model_input: DataFrame, params=None) -> DataFrame:
        p = self.pipeline.predict_proba(model_input)[:, 1]
        return DataFrame({"probability": p, "call": p >= self.threshold})
set_model(Caller())
"""
(folder / "caller.py").write_text(code)
with mlflow.start_run(run_name="caller"):
    m = mlflow.pyfunc.log_model(name="caller", python_model=folder / "caller.py", artifacts={"pipeline": pipeline_uri},
        model_config={"threshold": 0.4}, input_example=messy.head(3),
        pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=True))
clean = messy.assign(contract=messy["contract"].str.strip().str.lower())
mlflow.pyfunc.load_model(m.model_uri).predict(clean).to_csv(folder / "calls.csv", index=False)
'''))
WRONG[2].append(("threshold-in-code", '''  # threshold in code
code = """
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel
from mlflow.sklearn import load_model
from pandas import DataFrame

class Caller(PythonModel):
    def load_context(self, context):
        self.pipeline = load_model(context.artifacts["pipeline"])
    def predict(self, context, model_input: DataFrame, params=None) -> DataFrame:
        clean = model_input.assign(contract=model_input["contract"].str.strip().str.lower())
        p = self.pipeline.predict_proba(clean)[:, 1]
        return DataFrame({"probability": p, "call": p >= 0.4})
set_model(Caller())
"""
(folder / "caller.py").write_text(code)
with mlflow.start_run(run_name="caller"):
    m = mlflow.pyfunc.log_model(name="caller", python_model=folder / "caller.py", artifacts={"pipeline": pipeline_uri},
        model_config={"threshold": 0.4}, input_example=messy.head(3),
        pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=True))
mlflow.pyfunc.load_model(m.model_uri).predict(messy).to_csv(folder / "calls.csv", index=False)
'''))
WRONG[2] += [
    (
        "probability-wrong",
        swap("self.pipeline.predict_proba(clean)[:, 1]", "self.pipeline.predict_proba(clean)[:, 1] ** 2"),
    ),
    ("labels-not-probabilities", swap("self.pipeline.predict_proba(clean)[:, 1]", "self.pipeline.predict(clean)")),
    (
        "code-broken",
        append("""
from pathlib import Path
place = mlflow.MlflowClient().get_logged_model(caller.model_id).artifact_location.removeprefix("file://")
(Path(place) / "caller.py").write_text("class Caller(")
"""),
    ),
]

# Found by answers that were written without sight of the checks.
WRONG[4] += [
    ("answers-not-true", swap("list[bool]", "list[str]", "tumour.mean_radius >= 15 for", '"yes" if tumour.mean_radius >= 15 else "no" for')),
    ("rule-other", swap(">= 15", "> 15")),
    ("rule-other", swap(">= 15", "<= 15")),
    (
        "code-broken",
        append("""
from pathlib import Path
place = mlflow.last_logged_model().artifact_location.removeprefix("file://")
(Path(place) / "rule.py").write_text("class Rule(")
"""),
    ),
]
UNSEEN = {
    4: [
        (
            "a wrong rule that is written in another way than as one comparison in a list: the check runs no code",
            swap("[tumour.mean_radius >= 15 for tumour in model_input]", "[not tumour.mean_radius >= 15 for tumour in model_input]"),
        )
    ],
}

# Found by a reader.
WRONG[2] += [
    ("not-cleaned-inside", swap('        clean = model_input.assign(contract=model_input["contract"].str.strip().str.lower())\n', "", "clean", "model_input")),
    ("requirements-extra", swap(_REQUIRED, 'pip_requirements=[*mlflow.sklearn.get_default_pip_requirements(include_skops=True), f"pydantic=={pydantic.__version__}"]')),
]
UNSEEN[1] = [
    (
        "a signature that promises labels: MLflow itself writes it so from an example, whatever pyfunc_predict_fn says",
        swap("forest.predict_proba(floats)", "forest.predict(floats)"),
    )
]
UNSEEN[2] = [
    (
        "the answer without the table's index: the order is right, and the file may be written without an index",
        swap(", index=clean.index", ""),
    )
]
