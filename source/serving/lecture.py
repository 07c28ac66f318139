# %% [markdown]
# # Serving: from a registry alias to an answer
#
# **Tom's screen needs a score while the customer is on the phone. Where does it come from, and how long does it
# take?**
#
# We will build three ways from the same alias to an answer: a nightly table, MLflow's own server, and a service in a
# file of our own. Then we will send them good and bad requests, and measure them while many clients ask at once.
# Folded parts marked *More* can wait.
#
# Afterwards you can
# - **score** a table with the champion and **write** it as Parquet, with the version that made it;
# - **serve** a model from a terminal of your own, and **send** it a table in five forms, with `curl` too;
# - **predict** the status of a bad request, and **write** a service that refuses what a signature lets pass;
# - **measure** latency under load, and **read** p50 and p95.
#
# **You need:** [Models]({step:models}) and [Model registry]({step:model_registry}).
#
# **Time:** 17 min to read · 18 min to do
#
# <!-- links -->
#
# ## Recall
#
# One question on an earlier lecture. Click an answer; each of them replies.

# %%
from course_utils import lesson

lesson.quiz("serving", "recall")

# %% [markdown]
# ## The problem
#
# Mira's champion is in the registry. Tom wants two things from it: every morning at six a list of 20,000 customers
# with their scores, and a score on his screen when one of them calls.
#
# The list can be made in one go, as a **batch**. The screen cannot wait until tomorrow. It needs a **service**: a
# program that keeps the model in memory and answers over HTTP, the language of web browsers.
#
# Neither of them may have an id or a version typed into it. Both start at the alias:

# %% tags=["hide-input"] jupyter={"source_hidden": true}
from course_utils import plots

boxes = {
    "alias": (1.0, 1.5, "registry\nalias @champion\nmeans version 1"),
    "batch": (4.6, 2.6, "batch\nloads it each night"),
    "server": (4.6, 0.4, "server\nloads it once,\nat the start"),
    "file": (8.6, 2.6, "Parquet file\nwith the version"),
    "screen": (8.6, 0.4, "Tom's screen\none request"),
}
arrows = [
    ("alias", "batch", ""),
    ("alias", "server", ""),
    ("batch", "file", "writes"),
    ("screen", "server", "asks"),
]
title = "One alias, two kinds of answers: a nightly file and a live score"
plots.show(plots.diagram(boxes, arrows, title=title))

# %% [markdown]
# ## Setup

# %% tags=["parameters"]
seed = 0
n_requests = 100

# %%
import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

# %%
import httpx
import mlflow
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from course_utils import data, store

# %%
NAME = "churn-serving"
store.connect(own=True)  # a file of your own, even when the class has a server
mlflow.set_experiment(NAME)
client = mlflow.MlflowClient()
folder = store.outputs("serving")
split = data.churn_split(2000, seed, missing=0.05)
if client.search_registered_models(f"name = '{NAME}'"):
    client.delete_registered_model(NAME)  # so that versions start at 1 again
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# The model fills gaps, scales numbers and encodes words. Tom calls from a probability of 0.3 on, not 0.5. That number
# is a part of the decision, so it belongs *into* the model, as in [Models]({step:models}).
#
# Here scikit-learn's `FixedThresholdClassifier` carries it: `predict` answers 1 (call) when the probability is 0.3 or
# more. Nobody who serves the model has to know the number.


# %%
def register(C):
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore")
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (words, ["contract", "internet", "payment"]),
    )
    churn = make_pipeline(columns, LogisticRegression(C=C, max_iter=500))
    model = FixedThresholdClassifier(churn, threshold=0.3)
    model.fit(split.X_train, split.y_train)
    with mlflow.start_run(run_name=f"C={C}"):
        mlflow.log_params({"C": C, "threshold": 0.3, "data_seed": seed})
        store.log_model(model, "churn", split.X_train, registered_model_name=NAME)


# %%
register(C=1.0)
client.set_registered_model_alias(NAME, "champion", 1)

# %% [markdown]
# ## Round 1: a batch to Parquet
#
# A batch needs no server. It loads the model, predicts the whole table, and writes a file. **Parquet** is a table
# format that keeps the types of the columns, which CSV does not. The file must say which version made it, because the
# alias will have moved when somebody reads it.
#
# There is a trap. If you load `@champion` and *then* ask the registry which version that is, the alias can move in
# between, and the file names the wrong version. So resolve the alias **once**, and load that version.

# %%
version = client.get_model_version_by_alias(NAME, "champion").version
champion = mlflow.sklearn.load_model(f"models:/{NAME}/{version}")

customers = data.churn(20_000, seed + 1, missing=0.05).drop(columns="churned")
scores = pd.DataFrame(
    {
        "customer_id": customers.index,
        "probability": champion.predict_proba(customers)[:, 1],
        "call": champion.predict(customers),
    }
)
scores["model"], scores["version"] = NAME, str(version)
scores.to_parquet(folder / "scores.parquet", index=False)
pd.read_parquet(folder / "scores.parquet").nlargest(3, "probability").round(3)

# %% tags=["claims"]
CHANGES = [{"seed": 3}, {"n_requests": 60}]
assert len(scores) == 20_000 and set(scores["version"]) == {"1"}
assert (scores["call"] == (scores["probability"] >= 0.3)).all()

# %% [markdown]
# ## Round 2: MLflow's server, in a terminal of your own
#
# `mlflow models serve` serves any model without a line of code. It runs until you stop it, so it wants a terminal of
# its own. Open one in the course folder, and type:
#
# ```bash
# source .venv/bin/activate
# export MLFLOW_TRACKING_URI=sqlite:///mlflow.db
# mlflow models serve -m models:/churn-serving@champion --env-manager local --port 5002
# ```
#
# - The first line makes sure that the terminal finds `mlflow` and its web server, `uvicorn`. On Windows it is
#   `.venv\Scripts\Activate.ps1`, with conda `conda activate mlflow-course`.
# - The second says *in which store* the alias is to be looked up. Its path begins in the folder where you are, so type
#   it in the course folder. On Windows: `$env:MLFLOW_TRACKING_URI="sqlite:///mlflow.db"`.
# - The third starts the server. A **port** is a number that tells the programs on one machine apart.
#   `--env-manager local` uses the libraries that are here.
#
# <details class="more"><summary>More: from another folder, or without local</summary>
#
# In any other folder MLflow would make a new, empty `mlflow.db` and say
# `Registered Model with name=churn-serving not found`. With the whole path it works everywhere:
# `sqlite:////home/you/course/mlflow.db`, with four slashes; on Windows, `sqlite:///C:/course/mlflow.db`.
#
# Without `local`, MLflow first builds an environment, which needs the network and `pyenv` (`uv`: that program).
#
# </details>
#
# So that you can also follow without a terminal, the next cells start the same command in the background, on a free
# port. You need not understand their lines. `127.0.0.1` always means this machine.

# %%
environment = {**os.environ, "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()}
programs = os.path.dirname(sys.executable)  # where mlflow and uvicorn are
environment["PATH"] = programs + os.pathsep + environment["PATH"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# %%
import atexit

for process in globals().get("started", []):  # from an earlier run of this cell
    process.terminate()
started = []


def start(*words):
    command = [sys.executable, "-m", *words]
    with open(folder / f"{words[0]}.log", "w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    started.append(process)
    atexit.register(process.terminate)  # it ends with this notebook at the latest
    return process


# %%
http = httpx.Client(trust_env=False, timeout=60)  # never ask a proxy for this machine


def wait(process, url):
    while process.poll() is None:
        try:
            return http.get(url).status_code
        except httpx.TransportError:
            time.sleep(0.2)
    raise RuntimeError(f"The server has ended; read the logs in {folder.name}.")


# %%
port = free_port()
words = ["-m", f"models:/{NAME}@champion", "--env-manager", "local", "--port", port]
mlflow_server = start("mlflow", "models", "serve", *map(str, words))
mlflow_at = f"http://127.0.0.1:{port}"
print("ping:", wait(mlflow_server, f"{mlflow_at}/ping"))

# %% [markdown]
# You should see 200 after a while: loading MLflow takes most of it. `/ping` says that the server is up and has loaded
# its model; `/version` would say which MLflow it runs. The predictions come from `/invocations`.
#
# That address takes a table as CSV, Parquet or **JSON**, text that looks like Python's lists and dictionaries. MLflow
# knows four forms of JSON; if you may choose, take one of the first two. The next cell writes five customers in all
# four, and as CSV, into files:

# %%
few = split.X_test.dropna().head(5)
forms = {
    "dataframe_split": few.to_dict("split", index=False),  # names once, then rows
    "dataframe_records": few.to_dict("records"),  # one dictionary a row
    "inputs": few.to_dict("list"),  # one list a column
    "instances": few.to_dict("records"),  # as TensorFlow Serving names it
}
for form, table in forms.items():
    (folder / f"{form}.json").write_text(json.dumps({form: table}))
few.to_csv(folder / "rows.csv", index=False)

# %% [markdown]
# While your server runs on 5002, `curl` in a second terminal, also in the course folder, sends a file (`-d @…`) with a
# header that says what it is:
#
# ```bash
# curl -H "Content-Type: application/json" -d "@outputs/serving/dataframe_split.json" \
#   http://127.0.0.1:5002/invocations
# curl -H "Content-Type: text/csv" --data-binary "@outputs/serving/rows.csv" \
#   http://127.0.0.1:5002/invocations
# ```
#
# For the other JSON forms, change the file's name. CSV needs `--data-binary`, because `-d` takes out the line ends,
# and then the server answers with an error. On Windows, write `curl.exe`, and everything on one line without `\`.
#
# The next cell sends the same files from Python.


# %%
def send(file, kind="application/json"):
    content = (folder / file).read_bytes()
    header = {"Content-Type": kind}
    return http.post(f"{mlflow_at}/invocations", content=content, headers=header)


for form in forms:
    answer = send(f"{form}.json")
    print(f"{form:18}", answer.status_code, answer.text)
answer = send("rows.csv", "text/csv")
print(f"{'CSV':18}", answer.status_code, answer.text)

# %% tags=["claims"]
expected = {"predictions": champion.predict(few).tolist()}
assert all(send(f"{form}.json").json() == expected for form in forms)
assert answer.status_code == 200 and answer.json() == expected

# %% [markdown]
# You should see 200 five times, with the same answers. They are 0 (don't call) or 1 (call): the server calls the
# model's `predict`, and the threshold is in the model.
#
# ## Round 3: bad input
#
# The server checks a table against the model's **signature**, the names and types of its columns. It answers with a
# **status**, a number: 200 means that all went well. By convention 4xx means that the one who asked made a mistake,
# and 5xx the server.
#
# MLflow's server is less exact: it answers 400 for most errors inside the model, bugs of yours included. So read the
# message as well (`answer.text`). Where it speaks of the *schema* or the *signature*, as in `Failed to enforce schema …
# Model is missing inputs ['contract']`, the table did not fit.
#
# **Predict.** Which of these customers get an answer (200), and which an error (400)? The model was trained on data
# with gaps.

# %%
good = split.X_test.dropna().iloc[0].to_dict()
asked = {
    "no contract": {k: v for k, v in good.items() if k != "contract"},
    "text": {**good, "monthly_charges": "a lot"},
    "gap": {**good, "monthly_charges": None},
    "extra": {**good, "name": "Ann"},
    "weekly": {**good, "contract": "weekly"},  # nobody offers that
    "minus": {**good, "tenure_months": -5.0},
}
prediction = []  # the names of those that get 400

# %%
status = {}
for name, row in asked.items():
    answer = http.post(f"{mlflow_at}/invocations", json={"dataframe_records": [row]})
    status[name] = answer.status_code
    print(f"{name:12}", answer.status_code)

# %% tags=["claims"]
assert status == {"no contract": 400, "text": 400, "gap": 200, "extra": 200} | {
    "weekly": 200,
    "minus": 200,
}

# %% [markdown]
# You should see 400 for the missing column and for text instead of a number, and 200 for the rest. An extra column is
# dropped. A gap (`null`) is allowed here: a `required` column must be there, but need not have a value.
#
# `weekly` and minus five months get an answer like any other: a signature knows *types*, not *values*.
#
# The server also converts silently: the text `"70.5"` becomes a number. A gap in a boolean column becomes `False`, so
# `senior` and `paperless` are floats here. In the last two forms, a gap in a text column becomes the text `None`.
#
# <details class="more"><summary>More: gaps, and what else is converted</summary>
#
# - Our columns are all required, since the three rows of the example have no gap. Had one of them a gap, its column
#   would be `optional`, and the signature would not miss the column.
# - A model with type hints takes the form `inputs` only, with one dictionary a row.
# - Only a column of whole numbers refuses a gap. There, 1.5 becomes 1.
# - "Unexpected error while evaluating the model" is the message for an error that comes from inside the model. An
#   `MlflowException` raised there keeps its own status, mostly 500.
#
# </details>
#
# ## Round 4: a service of your own
#
# Tom's screen should show the probability, not only 0 or 1. Ines, the governance officer, wants each answer to name
# the version. And customers that cannot exist should be refused.
#
# All this is possible in a service of your own, with **FastAPI**, a library that makes a web service out of Python
# functions. It lives in a file `service.py`, because a program that runs for months does not belong in a notebook.
# The first part resolves the alias once and loads that version:

# %%
model_part = """
from typing import Literal

import mlflow
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel, Field

NAME = "churn-serving"
client = mlflow.MlflowClient()
version = client.get_model_version_by_alias(NAME, "champion").version
model = mlflow.sklearn.load_model(f"models:/{NAME}/{version}")
app = FastAPI(title="Churn scores")
"""

# %% [markdown]
# The second part describes a customer, one line for each column. `BaseModel` comes from *pydantic*, the library with
# which FastAPI checks a request. `Field(ge=0)` means *greater than or equal to* 0, and `Literal` lists the words that
# are allowed.
#
# A request that does not fit the class is refused with the status 422. Charges of -5 would still pass here.

# %%
customer_part = """
class Customer(BaseModel):
    tenure_months: float = Field(ge=0)  # zero or more
    monthly_charges: float
    support_calls: float
    data_gb: float
    senior: float
    paperless: float
    contract: Literal["month-to-month", "one-year", "two-year"]
    internet: Literal["fiber", "dsl", "none"]
    payment: Literal["card", "transfer", "check"]
"""

# %% [markdown]
# The third part answers. A browser that opens a page sends a **GET**, which only asks; a **POST** brings something
# along, here the customer as JSON. `@app.post("/score")` says that the function below it answers each POST to the
# address `/score`.
#
# FastAPI makes a `Customer` of the JSON, and JSON again of the dictionary that we return. The threshold is not typed
# in: it is read from the model.

# %%
answer_part = """
@app.post("/score")
def score(customer: Customer):
    row = pd.DataFrame([customer.model_dump()])
    return {
        "probability": float(model.predict_proba(row)[0, 1]),
        "call": bool(model.predict(row)[0]),
        "threshold": model.threshold,
        "version": str(version),
    }
"""
code = model_part + customer_part + answer_part
size = (folder / "service.py").write_text(code)

# %% [markdown]
# In a terminal, after the first two lines from round 2, this starts it (`service:app` means: from `service.py`, take
# `app`):
#
# ```bash
# uvicorn service:app --app-dir outputs/serving --port 8000
# ```
#
# Then open `http://127.0.0.1:8000/docs`: a page that FastAPI makes from your class, to try requests on. (Its layout comes
# from the network.)

# %%
port = free_port()
words = ["service:app", "--app-dir", folder, "--port", port]
service = start("uvicorn", *map(str, words))
service_at = f"http://127.0.0.1:{port}"
wait(service, f"{service_at}/openapi.json")

answers = {n: http.post(f"{service_at}/score", json=row) for n, row in asked.items()}
for name, answer in answers.items():
    print(f"{name:12}", answer.status_code)
answer = http.post(f"{service_at}/score", json=good).json()
answer["probability"] = round(answer["probability"], 3)
print("good:", answer)

# %% tags=["claims"]
assert {n: a.status_code for n, a in answers.items()} == {
    name: 200 if name == "extra" else 422 for name in asked
}
assert answer["version"] == "1" and answer["threshold"] == 0.3
gap_ = pd.DataFrame([{**good, "monthly_charges": None}])  # as `float | None` would pass it on
assert 0 < mlflow.sklearn.load_model(f"models:/{NAME}/1").predict_proba(gap_)[0, 1] < 1

# %% [markdown]
# You should see 422 for all but the extra column, which is dropped. A gap is a decision for each column. Our class says
# `float` and refuses a `null`: somebody has to ask the customer. With `float | None` it would pass, and the model's
# imputer would fill it.
#
# Two things still slip through: the text `"70.5"` becomes a number, and `NaN`, which `json.dumps` writes for a gap in a
# pandas table, *is* a `float`. So send gaps as `None`, and your class decides.
#
# **Neither server asks who you are.** Both listen on `127.0.0.1`, which only this machine can reach. With
# `--host 0.0.0.0` everybody in the network can ask for any customer's score, and read along, because HTTP is not
# encrypted. On a real network, put a program in front that asks for a password and encrypts (a *reverse proxy*, such
# as nginx), or let the cloud do it.
#
# ## Round 5: how long does it take?
#
# The time from question to answer is called **latency**. Three rules make a measurement honest:
#
# - **Warm up.** The first requests open connections and fill caches. Throw them away.
# - **Ask at once.** In the morning Tom has eight colleagues. One client that waits politely for each answer never
#   sees a queue.
# - **Don't average.** A mean hides what people feel. Sort the times: **p50** is the time that half of the requests
#   stay under, **p95** the time that 95 of 100 stay under.
#
# An **ECDF** draws all of them: for each time, the share of requests that were answered by then.
#
# **Predict.** With eight clients instead of one, does a request take as long, twice as long, or longer?

# %%
prediction = "?"  # as long, twice, longer


# %%
def load_test(url, body, clients):
    def one(_):
        begin = time.perf_counter()
        http.post(url, json=body).raise_for_status()
        return 1000 * (time.perf_counter() - begin)

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(one, range(10)))  # the warm-up
        return list(pool.map(one, range(n_requests)))


ways = {
    "service.py": (f"{service_at}/score", good),
    "mlflow": (f"{mlflow_at}/invocations", {"dataframe_records": [good]}),
}
times = {(w, c): load_test(*ways[w], c) for w in ways for c in (1, 8)}

# %% tags=["measured", "nbval-ignore-output"]
# not compared: how much slower it gets is measured anew each time
fig, ax = plots.new_figure()
for (way, clients), ms in times.items():
    style = "-" if clients == 1 else "--"
    color = "C0" if way == "mlflow" else "C1"
    ax.ecdf(ms, label=f"{way}, {clients} at once", linestyle=style, color=color)
slower = [np.percentile(times[w, 8], 95) / np.percentile(times[w, 1], 95) for w in ways]
title = f"With 8 clients, p95 is up to {max(slower):.0f} times as long as with one"
ax.axhline(0.95, color="gray", linewidth=1)
ax.set(xscale="log", title=title, xlabel="latency (ms, logarithmic)")
ax.set_ylabel("share of requests answered")
ax.legend()
plots.show(plots.describe(fig, title))

# %% tags=["claims"]
begin = time.perf_counter()
champion.predict_proba(customers)
a_row = 1000 * (time.perf_counter() - begin) / len(customers)
for way in ways:
    assert np.median(times[way, 8]) > 2 * np.median(times[way, 1])
    assert np.median(times[way, 1]) > 50 * a_row


def fastest_(act):  # the others on this machine may be busy: take the quickest of many
    spent = []
    for _ in range(20):
        begin = time.perf_counter()
        act()
        spent.append(time.perf_counter() - begin)
    return min(spent)


def calls_(n):
    return champion.predict_proba(customers.head(n)), champion.predict(
        customers.head(n)
    )


asked_ = fastest_(lambda: http.post(f"{service_at}/score", json=good))
assert fastest_(lambda: calls_(1)) > 0.3 * asked_
assert fastest_(lambda: calls_(1000)) < 8 * fastest_(lambda: calls_(1))

# %% [markdown]
# Read p95 along the grey line, and p50 at the height 0.5. You should see the dashed curves far to the right: with eight
# clients p50 is more than twice what it is with one. Each server is *one* Python process, which computes one thing at a
# time, so the requests stand in a queue.
#
# More processes (`--workers 4`, for both commands) help as long as the machine has cores for them. Client and servers
# share this machine here, so compare the curves with each other, not with your cloud.
#
# <details class="more"><summary>More: several workers, and how the two servers differ</summary>
#
# Eight requests in a queue explain about eight times. Each worker keeps a copy of the model in memory. With 100
# requests, a **p99** would rest on the slowest two alone; it needs 1,000 at least. Measure again when you change that:
# with several workers, uvicorn 0.54 on Linux adds about 40 ms to each answer on a connection that stays open, as ours
# do.
#
# Between the two servers, remember that `service.py` asks its model twice, for the probability and for the call.
#
# </details>
#
# The batch of round 1 is far quicker: a row costs less than a fiftieth of a request. Much of a request's time is the
# price of *calling* the model, and a batch pays most of it once.
#
# <details class="more"><summary>More: measure the batch yourself</summary>
#
# Put `%%time` above `champion.predict_proba(customers)` in a cell of its own and divide by 20,000. To call a model
# means to make a table of the row, check it, and pass it from step to step. A thousand rows cost only a few times as
# much as one.
#
# </details>
#
# ## Look at the UI
#
# 1. With *Model training* chosen at the top left, click *Model registry*, then `churn-serving`. (If a window praises
#    the new registry first, close it.) Version 1 carries the alias `champion` (version 2, once you have run the
#    pitfalls).
# 2. Click the version, and unfold *Inputs* under *Schema*: these names and types are what MLflow's server enforces.
#
# ![The inputs that the server enforces: names and types, after step 2](../site/_static/serving_ui.png)
#
# ## On paper: Docker and the clouds
#
# None of this runs here; each needs Docker or an account. A Docker **image** is a file with the model, its libraries
# and the same server. Requests stay the same, but a promotion needs a new image. Without `127.0.0.1:` the whole network
# may ask.
#
# ```bash
# mlflow models build-docker -m models:/churn-serving@champion -n churn-serving
# docker run -p 127.0.0.1:5002:8080 churn-serving
# ```
#
# <details class="more"><summary>More: SageMaker, Vertex AI and Azure</summary>
#
# A cloud wants each request signed with your account, and Vertex AI's `predict` takes the form `instances` only.
#
# ```bash
# # Amazon SageMaker: one image for each region and version of MLflow; then each model
# mlflow sagemaker build-and-push-container
# mlflow deployments create -t sagemaker:/eu-central-1 --name churn -m models:/churn-serving@champion \
#   -C execution_role_arn=ROLE -C instance_type=ml.m5.large
#
# # Google Vertex AI: push the image from above, name its addresses (IMAGE: its full name there); then
# # `gcloud ai endpoints create` and `gcloud ai endpoints deploy-model` let it answer
# gcloud ai models upload --region=europe-west3 --display-name=churn --container-image-uri=IMAGE \
#   --container-ports=8080 --container-predict-route=/invocations --container-health-route=/ping
#
# # Azure Machine Learning: two files describe the address and the model behind it
# az ml online-endpoint create --name churn -f endpoint.yml
# az ml online-deployment create --name blue --endpoint churn -f deployment.yml --all-traffic
# ```
#
# </details>
#
# ## Your turn
#
# Replace the three dots by **one line** that makes `body` a request for the customer `good` in the form `inputs`,
# where each column is a list. The servers are still running.
#
# <details><summary>One solution</summary>
#
# `body = {"inputs": {name: [value] for name, value in good.items()}}`
#
# </details>

# %% tags=["your-turn"]
body = {}
...

mine = http.post(f"{mlflow_at}/invocations", json=body)

# %% tags=["your-turn-solution"]
body = {}
body = {"inputs": {name: [value] for name, value in good.items()}}

mine = http.post(f"{mlflow_at}/invocations", json=body)

# %%
hint = "the key is inputs, and its value a dictionary of lists."
lesson.turn(mine.status_code == 200 and "inputs" in body, hint)

# %% [markdown]
# ## Pitfalls
#
# Each of them has a code, and the checks of the homework use the same codes.
#
# **`form-missing`: the old body.** Before MLflow 2, a server took a bare list of rows. Old clients get 400 today. To
# repair it, put the rows under a key that names the form.

# %%
for body in ([good], {"dataframe_records": [good]}):
    answer = http.post(f"{mlflow_at}/invocations", json=body)
    print(type(body).__name__, answer.status_code)

# %% tags=["claims"]
assert http.post(f"{mlflow_at}/invocations", json=[good]).status_code == 400
assert answer.status_code == 200

# %% [markdown]
# **`form-wrong`: the server is not told what came.** A table of the right form with the wrong `Content-Type` is refused
# with 415. Without one, MLflow 3.17 answers 500, as if the server were broken. To repair it, send the header; `json=`
# does it for you.

# %%
content = (folder / "dataframe_split.json").read_bytes()
url = f"{mlflow_at}/invocations"
plain = {"Content-Type": "text/plain"}
print("wrong header:", http.post(url, content=content, headers=plain).status_code)
print("no header:   ", httpx.post(url, content=content, trust_env=False).status_code)
print("repaired:    ", send("dataframe_split.json").status_code)

# %% tags=["claims"]
assert http.post(url, content=content, headers=plain).status_code == 415
assert httpx.post(url, content=content, trust_env=False).status_code == 500

# %% [markdown]
# **`stale-version`: the alias moved, the server did not.** A server looks the alias up when it starts. Here version 2
# becomes the champion, and both servers go on with version 1. Only the service says so, in each answer. To repair it,
# restart each server after a promotion; here, the service.

# %%
register(C=0.001)
client.set_registered_model_alias(NAME, "champion", 2)  # the team's function does this
answer = http.post(f"{service_at}/score", json=good).json()
print("champion: 2 | the service answers with version", answer["version"])

service.terminate()
service.wait()
service = start("uvicorn", *map(str, words))
wait(service, f"{service_at}/openapi.json")
answer = http.post(f"{service_at}/score", json=good).json()
print("restarted | the service answers with version", answer["version"])

# %% tags=["claims"]
assert answer["version"] == "2"

# %% [markdown]
# The two servers go on running, so that you can try more. They end when this notebook's kernel ends (*Kernel*, *Shut
# Down Kernel*), or with `service.terminate()` and `mlflow_server.terminate()`. In a terminal, Ctrl+C stops a server.
#
# <details class="more"><summary>More: on macOS and Windows</summary>
#
# There, MLflow 3.17 leaves the `uvicorn` that it has started behind: end it by hand, in the Activity Monitor or the
# Task Manager.
#
# </details>
#
# ## In your own project
#
# The same work without any help from this course, on real data that comes with scikit-learn. Open *Show the script*,
# copy it into a file `service.py` in an empty folder.
#
# - `python service.py` trains and registers a model, and writes a batch.
# - `uvicorn service:app --port 8000` serves it, in the same folder.
# - In a second terminal there, `curl -H "Content-Type: application/json" -d "@row.json" http://127.0.0.1:8000/score`
#   asks it about one row.
#
# Here each training moves the alias; with a model in use, compare first, as in
# [Model registry]({step:model_registry}).

# %% tags=["own-project"]
"""Train and write a batch: python service.py. Serve: uvicorn service:app --port 8000"""

from math import isfinite

import mlflow
import pandas as pd
from fastapi import FastAPI, HTTPException
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, train_test_split

NAME = "cancer"
mlflow.set_tracking_uri("sqlite:///mlflow.db")
client = mlflow.MlflowClient()
if __name__ == "__main__":
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)  # 1 - y: 1 is malignant
    X_fit, X_new, y_fit, _ = train_test_split(X, 1.0 - y, stratify=y, random_state=0)
    model = FixedThresholdClassifier(LogisticRegression(max_iter=5000), threshold=0.3)
    model.fit(X_fit, y_fit)
    needs = mlflow.sklearn.get_default_pip_requirements(include_skops=True)
    how = {"registered_model_name": NAME, "input_example": X_fit.head(3)}
    mlflow.set_experiment(NAME)
    made = mlflow.sklearn.log_model(model, name=NAME, pip_requirements=needs, **how)
    client.set_registered_model_alias(NAME, "champion", made.registered_model_version)

version = client.get_model_version_by_alias(NAME, "champion").version  # once
loaded = mlflow.sklearn.load_model(f"models:/{NAME}/{version}")
if __name__ == "__main__":
    batch = pd.DataFrame({"row": X_new.index, "malignant": loaded.predict(X_new)})
    batch.assign(version=version).to_parquet("batch.parquet")
    X_new.iloc[0].to_json("row.json")  # a request to try
    print(len(batch), "rows scored by version", version)

app = FastAPI()


@app.post("/score")
def score(row: dict[str, float]):
    if set(row) != set(loaded.feature_names_in_) or not isfinite(sum(row.values())):
        raise HTTPException(422, "send the columns of the model, and finite numbers")
    table = pd.DataFrame([row])[loaded.feature_names_in_]  # in the model's order
    return {"malignant": bool(loaded.predict(table)[0]), "version": version}


# %% [markdown]
# ## Quiz

# %%
lesson.quiz("serving")

# %% [markdown]
# ## Key points
#
# - **How do you score a table?** Resolve the alias once, load that version, predict everything in one call, and write
#   Parquet with the version.
# - **How do you serve a model?** Activate the environment, set `MLFLOW_TRACKING_URI`, and run
#   `mlflow models serve --env-manager local`. A JSON body names its form: `dataframe_split`, `dataframe_records`,
#   `inputs` or `instances`; CSV needs its content type.
# - **What happens to a bad request?** Missing columns, and text that is no number, give 400. Wrong *values* pass. To
#   refuse them, or to name the version in each answer, write a service of your own; else MLflow's is enough.
# - **How long does it take?** Warm up, ask with as many clients as there will be, and look at p50 and p95, not at the
#   mean.
#
# ## Next steps
#
# - Do the [homework]({homework:serving}): bodies, a batch, a service and its latency.
# - Next lecture: [The whole workflow]({step:full_workflow}).
# - Official page: [MLflow serving](https://mlflow.org/docs/latest/ml/deployment/).
# - Optional depth: set `n_requests = 1000` in the parameters cell and run all again. How far does p99 lie behind p95?
#   `np.percentile(times["mlflow", 8], [95, 99])` tells.
