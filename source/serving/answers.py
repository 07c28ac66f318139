"""Right and wrong answers to the homework `serving`."""

from tests.submissions.tools import append, swap

_NUMBER = 'client.get_model_version_by_alias("hw-serving-churn", "champion").version'
_ONCE = f'v = {_NUMBER}\nmodel = mlflow.pyfunc.load_model(f"models:/hw-serving-churn/{{v}}")\n'
_GRAB = "uri = 'models:/hw-serving-churn@champion'\nmodel = mlflow.pyfunc.load_model(uri)\n"

RIGHT = {
    1: [
        # written by hand, more than three calls of pandas
        """
        three = three.drop(columns="target")
        columns, rows = list(three.columns), three.values.tolist()
        with open(folder / "split.json", "w") as file:
            json.dump({"dataframe_split": {"columns": columns, "data": rows}}, file, indent=2)
        with open(folder / "inputs.json", "w") as file:
            json.dump({"inputs": {name: three[name].tolist() for name in columns[::-1]}}, file)
        lines = [",".join(columns)] + [",".join(map(str, row)) for row in rows]
        (folder / "rows.csv").write_text("\\n".join(lines))
        """,
        # through pandas' own JSON, another column order in the CSV
        """
        del three["target"]
        split_text = three.to_json(orient="split", index=False, double_precision=15)
        (folder / "split.json").write_text('{"dataframe_split": ' + split_text + "}")
        body = {"inputs": json.loads(three.reset_index(drop=True).to_json(orient="columns", double_precision=15))}
        body["inputs"] = {name: list(column.values()) for name, column in body["inputs"].items()}
        (folder / "inputs.json").write_text(json.dumps(body))
        three[sorted(three.columns)].to_csv(folder / "rows.csv", index=None)
        """,
    ],
    2: [
        # another order of rows, version as a number, the flavor of scikit-learn
        """
        number = int(client.get_registered_model("hw-serving-churn").aliases["champion"])
        model = mlflow.sklearn.load_model(f"models:/hw-serving-churn/{number}")
        tonight.sort_index(inplace=True)
        out = pd.DataFrame({"probability": model.predict_proba(tonight).T[1], "version": number})
        out.index = tonight.index
        out.rename_axis("customer_id").reset_index().to_parquet(folder / "scores.parquet", compression=None)
        """,
        # the batch in pieces
        _ONCE
        + """
pieces = []
for begin in range(0, len(tonight), 200):
    piece = tonight.iloc[begin : begin + 200]
    pieces.append(pd.DataFrame({"customer_id": piece.index, "probability": model.predict(piece)[:, 1]}))
pd.concat(pieces).assign(version=str(v), scored="tonight").to_parquet(folder / "scores.parquet")
""",
    ],
    3: [
        # an async function that checks by hand, with a health address
        _ONCE
        + """
from fastapi import HTTPException, Request

service = FastAPI()

@service.get("/health")
def health():
    return "ok"

@service.post("/score")
async def score(request: Request):
    body = await request.json()
    if set(body) != set(split.X_test.columns) or body["tenure_months"] < 0:
        raise HTTPException(400, "not a customer")
    answer = model.predict(pd.DataFrame([body]))[0]
    return {"probability": float(answer[1]), "version": int(v)}

probe(service)
""",
        # a class with a validator, a router, the alias resolved anew for each request, probed twice
        """
from fastapi import APIRouter
from pydantic import create_model

fields = {name: (float, ...) for name in split.X_test.columns}
fields["tenure_months"] = (float, Field(gt=-0.001, description="months"))
Row = create_model("Row", **fields)
router = APIRouter()

@router.post("/score")
def answer(row: Row):
    found = client.get_registered_model("hw-serving-churn").aliases["champion"]
    model = mlflow.sklearn.load_model(f"models:/hw-serving-churn/{found}")
    return {"probability": model.predict_proba(pd.DataFrame([dict(row)]))[:, 1].tolist()[0], "version": str(found)}

one = FastAPI()
probe(one)
one.include_router(router)
probe(one)
""",
    ],
    4: [
        # by the client, with statistics
        _GRAB
        + """
import statistics
row, taken = split.X_test.iloc[:1], []
while len(taken) < 50:
    begin = time.perf_counter_ns()
    model.predict(row)
    taken.append((time.perf_counter_ns() - begin) / 1e6)
cuts = statistics.quantiles(taken, n=100, method="inclusive")
with mlflow.start_run(run_name="python-call") as run:
    mlflow.log_dict(taken, "times.json")
    for p in (50, 95, 99):
        client.log_metric(run.info.run_id, f"p{p}_ms", cuts[p - 1])
    mlflow.log_params({"n_requests": 50, "what": "one row"})
""",
        # an array of seconds, turned into milliseconds
        _GRAB
        + """
first = split.X_test.head(1)
clock = np.zeros(50)
for i in range(50):
    t = time.perf_counter()
    model.predict(first)
    clock[i] = time.perf_counter() - t
clock *= 1000
with mlflow.start_run(run_name="python-call"):
    mlflow.log_param("n_requests", 50)
    for name, q in {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}.items():
        mlflow.log_metric(name, np.quantile(clock, q))
    mlflow.log_text(json.dumps(list(clock)), "times.json")
""",
    ],
}

_ARTIFACT = 'mlflow.log_dict(times, "times.json")'
WRONG = {
    1: [
        ("not-started", ""),
        ("file-name", swap('"split.json"', '"Split.json"')),
        ("not-json", swap("json.dumps(by_split)", "str(by_split)")),
        ("form-missing", swap('{"dataframe_split": three.to_dict("split", index=False)}', 'three.to_dict("split", index=False)')),
        ("form-missing", swap('"dataframe_split"', '"data"')),
        ("form-wrong", swap('{"inputs": three.to_dict("list")}', '{"instances": three.to_dict("records")}')),
        ("split-shape", swap('three.to_dict("split", index=False)', 'three.to_dict("records")')),
        ("inputs-shape", swap('three.to_dict("list")', "three.to_dict()")),
        ("inputs-shape", swap('three.to_dict("list")', "three.to_numpy().tolist()")),
        ("row-count", swap('three.to_dict("split", index=False)', 'data.bundled("breast_cancer").drop(columns="target").to_dict("split", index=False)')),
        (
            "row-count",
            swap('{"inputs": three.to_dict("list")}', '{"inputs": {**three.to_dict("list"), "area_error": [0.0]}}'),
        ),
        ("column-missing", swap('three.to_dict("list")', 'three.drop(columns="area_error").to_dict("list")')),
        ("extra-column", swap('"rows.csv", index=False', '"rows.csv"')),
        ("extra-column", swap('three = three.drop(columns="target")', "pass")),
        ("rounded", swap('three.to_dict("list")', 'three.round(2).to_dict("list")')),
        ("other-rows", swap('three.to_dict("list")', 'data.bundled("breast_cancer").drop(columns="target").tail(3).to_dict("list")')),
        ("file-broken", append('(folder / "rows.csv").write_bytes(b"\\xff\\xfe\\x00")')),
    ],
    2: [
        ("not-started", ""),
        ("file-name", swap("scores.parquet", "Scores.parquet")),
        ("not-parquet", swap("to_parquet(", "to_csv(")),
        ("column-missing", swap(".assign(version=version)", "")),
        ("wrong-class", swap("[:, 1]", "[:, 0]")),
        ("stale-version", swap("models:/hw-serving-churn/{version}", "models:/hw-serving-churn/1")),
        ("rows-shuffled", swap("tonight.index", "range(500)")),
        ("customer-ids", swap("tonight.index", 'tonight.index.map("C{}".format)')),
        ("customer-ids", append('scores.head(9).assign(version=version).to_parquet(folder / "scores.parquet")')),
        ("probability-wrong", swap("champion.predict(tonight)[:, 1]", "champion.predict(tonight)[:, 1] ** 2")),
        ("version-wrong", swap("version=version", "version=1")),
        ("version-form", swap("version=version", 'version="champion"')),
        ("version-form", swap("version=version", 'version=f"models:/hw-serving-churn/{version}"')),
        ("alias-missing", append('client.delete_registered_model_alias("hw-serving-churn", "champion")')),
        (
            "alias-case",
            append(
                'client.delete_registered_model_alias("hw-serving-churn", "champion")\n'
                'client.set_registered_model_alias("hw-serving-churn", "Champion", 2)'
            ),
        ),
        ("registered-name", append('client.rename_registered_model("hw-serving-churn", "HW serving churn")')),
    ],
    3: [
        ("not-started", ""),
        ("not-started", swap("probe(app)", "pass")),
        (
            "not-probed",
            'mlflow.set_experiment("hw-serving-service")\nwith mlflow.start_run(run_name="probe"):\n'
            '    mlflow.log_dict({"probability": 0.2}, "answers.json")',
        ),
        (
            "artifact-missing",
            'mlflow.set_experiment("hw-serving-service")\nwith mlflow.start_run(run_name="probe"):\n    pass',
        ),
        ("no-address", swap('"/score"', '"/predict"')),
        ("wrong-method", swap("@app.post", "@app.put")),
        ("good-refused", swap("    paperless: float", "    paperless: float\n    contract: str")),
        ("good-refused", swap("customer.model_dump()", "customer.to_dict()")),
        ("zero-refused", swap("ge=0", "ge=1")),
        ("bad-accepted", swap(" = Field(ge=0)", "")),
        ("bad-accepted", swap("    data_gb: float\n", "    data_gb: float = 0.0\n")),
        ("bad-accepted", swap("    support_calls: float\n", "    support_calls: float = 0.0\n")),
        (
            "server-error",
            swap(
                "class Customer(BaseModel):\n    tenure_months: float = Field(ge=0)\n    monthly_charges: float\n"
                "    support_calls: float\n    data_gb: float\n    senior: float\n    paperless: float\n",
                "",
                "customer: Customer",
                "customer: dict",
                "customer.model_dump()",
                'customer | {"tenure_months": {True: customer["tenure_months"]}[customer["tenure_months"] >= 0]}',
            ),
        ),
        ("answer-shape", swap('{"probability": float(answer[0, 1]), "version": number}', "float(answer[0, 1])")),
        ("version-missing", swap(', "version": number}', "}")),
        ("version-wrong", swap('"version": number', '"version": 1')),
        ("version-form", swap('"version": number', '"version": "champion"')),
        ("version-form", swap('"version": number', '"version": f"v{number}"')),
        # loaded once, asked at each request: after a promotion the old model answers under the new number
        ("version-late", swap('"version": number', f'"version": {_NUMBER}')),
        # the other way round: asked once, loaded at each request
        ("version-late", swap("    answer = served", '    served = mlflow.pyfunc.load_model("models:/hw-serving-churn@champion")\n    answer = served')),
        (
            "not-probed",
            append("""
run = mlflow.search_runs(experiment_names=["hw-serving-service"], output_format="list")[0]
old = mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/answers.json")
with mlflow.start_run(run_name="probe"):  # a run of `probe` as it was before
    mlflow.log_dict({name: old[name] for name in old if name != "later"}, "answers.json")
"""),
        ),
        ("late-refused", swap("    answer = served", f"    assert number == {_NUMBER}\n    answer = served")),
        ("wrong-class", swap("answer[0, 1]", "answer[0, 0]")),
        ("rounded", swap("float(answer[0, 1])", "round(float(answer[0, 1]), 2)")),
        ("stale-version", swap("hw-serving-churn/{number}", "hw-serving-churn/1")),
        ("value-wrong", swap("float(answer[0, 1])", "0.123456")),
    ],
    4: [
        ("not-started", ""),
        ("metric-name", swap('"p99_ms": p99', '"max": p99')),
        ("param-missing", swap('mlflow.log_param("n_requests", len(times))', "pass")),
        ("artifact-missing", swap(_ARTIFACT, "pass")),
        ("times-shape", swap(_ARTIFACT, 'mlflow.log_dict({"times": times}, "times.json")')),
        ("times-count", swap("range(50)", "range(5)")),
        ("unit", swap("1000 * (time.perf_counter() - start)", "time.perf_counter() - start")),
        (
            "not-single-times",
            swap("times = []", "times = []\nstart = time.perf_counter()", "    start = time.perf_counter()\n", ""),
        ),
        ("percentile-wrong", swap('"p99_ms": p99', '"p99_ms": 2 * max(times)')),
        (
            "mean-not-percentile",
            swap("p50, p95, p99 = np.percentile(times, [50, 95, 99])", "p50 = p95 = p99 = np.mean(times)"),
        ),
    ],
}

#: Wrong answers that pass, because a store holds no trace of the mistake: (what cannot be seen, answer).
UNSEEN = {
    2: [
        (
            "the alias resolved twice, once to load and once to ask: the alias has not moved in between",
            swap("models:/hw-serving-churn/{version}", "models:/hw-serving-churn@champion"),
        ),
        (
            "the version typed in: right in the notebook, wrong where `course grade` runs it with its own seed",
            swap(_NUMBER, '"2"'),
        ),
    ],
}

#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT = {
    4: {
        "line 2: 5": "how often was warmed up leaves no trace in the store",
        "line 3": "the calls to warm up leave no trace in the store",
        "line 7: .X_test": "any one customer takes as long as any other",
        "line 8: 1000 →": "times that are twice as long are those of a slower machine",
        "line 7: 1 →": "three rows take as long as one; the store cannot tell them apart",
    },
}

# Found by people who attacked the checks.
RIGHT[1].append('''  # inputs as records
three = three.drop(columns=["target"])
(folder / "split.json").write_text(json.dumps({"dataframe_split": json.loads(three.to_json(orient="split", index=False, double_precision=15))}))
(folder / "inputs.json").write_text(json.dumps({"inputs": three.to_dict("records")}))
three.to_csv(folder / "rows.csv", index=None)
''')
RIGHT[2].append('''  # id as index name
v = client.get_model_version_by_alias("hw-serving-churn", "champion")
model_ = mlflow.sklearn.load_model(v.source)
out = pd.DataFrame({"probability": model_.predict_proba(tonight)[:, 1], "version": int(v.version)}, index=tonight.index)
out.index.name = "customer_id"
out.to_parquet(folder / "scores.parquet")
''')
_MORE = """
client.set_registered_model_alias(
    "hw-serving-churn", "champion", mlflow.register_model(client.get_model_version("hw-serving-churn", 2).source, "hw-serving-churn").version
)
"""
_ASKED = "champion.predict(tonight)[:, 1]"
WRONG[2] += [
    ("other-version", append(_MORE)),
    ("labels-not-probabilities", swap(_ASKED, f"({_ASKED} >= 0.5).astype(int)")),
    ("percent-not-share", swap(_ASKED, f"100 * {_ASKED}")),
    ("rounded", swap(_ASKED, f"{_ASKED}.round(2)")),
]
WRONG[3].append(("label-not-probability", swap("float(answer[0, 1])", "float(answer[0, 1] >= 0.5)")))

# Found by answers that were written without sight of the checks.
WRONG[1] += [
    ("index-sent", swap('to_dict("split", index=False)', 'to_dict("split")')),
    ("csv-separator", swap('"rows.csv", index=False', '"rows.csv", index=False, sep=";"')),
    ("rounded", swap('"rows.csv", index=False', '"rows.csv", index=False, float_format="%.0f"')),
]
WRONG[2].append(("rounded", swap(_ASKED, f"{_ASKED}.round(1)")))
WRONG[4] += [
    (
        "percentiles-exchanged",
        swap("p50, p95, p99 =", "times[0] += 1000\np50, p95, p99 =", '"p95_ms": p95, "p99_ms": p99', '"p95_ms": p99, "p99_ms": p95'),
    ),
    ("times-averaged", swap("p50, p95, p99 =", "times = [sum(times) / 50] * 50\np50, p95, p99 =")),
]
