# %% [markdown]
# # Serving: from a registry alias to an answer
#
# **Tom's screen needs a score while the customer is on the phone. Where does it come from, and how long does it take?**
#
# We will build three ways from the same alias to an answer: a nightly table, a service of our own, and MLflow's server.
#
# Afterwards you can
# - **score** a table with `models:/…@champion` and **write** it as Parquet, with the version that made it;
# - **serve** a model with `mlflow models serve` and with FastAPI, and **send** it requests in every accepted form;
# - **predict** the status of a bad request, and **measure** latency as p50, p95 and p99.
#
# **You need:** lectures {step:models} and {step:model_registry}.
#
# **Time:** 14 min to read · 16 min to do
#
# <!-- links -->
#
# ## Recall
#
# One question on an earlier lecture.

# %%
from course_utils import lesson

lesson.quiz("serving", "recall")

# %% [markdown]
# ## The problem
#
# Mira's champion is in the registry. Tom wants two things: every morning a list of customers to call, and a score on
# the screen when one of them calls first. Aisha must choose: a *batch* for the list, a *service* for the screen.
# Neither may know a run id; both ask for the alias.
#
# ## Setup
#
# `register` below makes the models. `workflow.build_pipeline` is the recipe of lecture {step:pipelines}: gaps filled, numbers scaled,
# words one-hot encoded, then a logistic regression. Tom wants a *probability*, so pyfunc is told to call `predict_proba`.

# %% tags=["parameters"]
seed = 0
n_requests = 100

# %%
import time
from typing import Literal

import httpx
import mlflow
import numpy as np
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

from course_runner import workflow
from course_utils import data, plots, registry, serving, store

# %%
store.connect()
mlflow.set_experiment("churn-serving")
folder = store.outputs("10_serving")
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %%
split = data.churn_split(2000, seed, missing=0.05)
client = mlflow.MlflowClient()
registry.fresh("churn-serving")  # versions begin at 1 each time this notebook runs


def register(C):
    """Fit a model and register it as the next version of churn-serving."""
    model = workflow.build_pipeline(split.X_train).set_params(model__C=C).fit(split.X_train, split.y_train)
    signature = mlflow.models.infer_signature(split.X_train, model.predict_proba(split.X_train))
    how = {"pyfunc_predict_fn": "predict_proba", "registered_model_name": "churn-serving", "signature": signature}
    with mlflow.start_run(run_name=f"C={C}"):
        store.log_model(model, "churn", split.X_train, **how)


# %%
register(C=1.0)
client.set_registered_model_alias("churn-serving", "champion", 1)

# %% [markdown]
# MLflow's own server takes a while to start, so you start it now and use it in round 3. `serving.ModelServer` runs the
# command below in the background and stops it when you are done. Without `--env-manager local` it would first build a
# new environment from the model's requirements, from the network.

# %%
server = serving.ModelServer("models:/churn-serving@champion")
print(server.command)

# %% [markdown]
# ## Round 1: a batch to Parquet
#
# Most scores are not urgent. A batch needs no server: load by alias, predict the whole table, write it. **Parquet**
# keeps column types, which CSV does not. The version goes into the file: the alias will move, the file must still say
# who made it.

# %%
champion = mlflow.pyfunc.load_model("models:/churn-serving@champion")
version = int(client.get_model_version_by_alias("churn-serving", "champion").version)
customers = data.churn(20_000, seed + 1).drop(columns="churned")

start = time.perf_counter()
scores = pd.DataFrame({"customer_id": customers.index, "probability": champion.predict(customers)[:, 1]})
scores.assign(model="churn-serving", version=version).to_parquet(folder / "scores.parquet", index=False)
print(f"{len(scores)} customers scored and written in {time.perf_counter() - start:.2f} s")
pd.read_parquet(folder / "scores.parquet").nlargest(3, "probability").round(3)

# %% [markdown]
# ## Round 2: a service of your own
#
# With **FastAPI** the address is yours, and so are the rules for what comes in. A class says how a customer looks; a
# request that does not fit is refused before your code sees it. The model is loaded *once*, not at every request.

# %%
class Customer(BaseModel):
    tenure_months: float
    monthly_charges: float
    support_calls: float
    data_gb: float
    senior: float
    paperless: float
    contract: Literal["month-to-month", "one-year", "two-year"]
    internet: Literal["fiber", "dsl", "none"]
    payment: Literal["card", "transfer", "check"]


# %%
service = FastAPI(title="Churn scores")


@service.get("/health")
def health():
    return {"model": "churn-serving", "version": version}


@service.post("/score")
def score(customer: Customer):
    probability = champion.predict(pd.DataFrame([customer.model_dump()]))[0, 1]
    return {"probability": round(float(probability), 3), "call": bool(probability >= 0.3)}


# %% [markdown]
# **Predict.** Three requests: a good one, one without `contract`, one with the contract `weekly`, which nobody offers.
# Which status does each get? (200: answered. 4xx: the request is wrong. 5xx: the server failed.)

# %%
prediction = {"good": 0, "no contract": 0, "weekly": 0}  # your numbers

# %%
good = split.X_test.dropna().iloc[0].to_dict()
asked = {
    "good": good,
    "no contract": {name: value for name, value in good.items() if name != "contract"},
    "weekly": {**good, "contract": "weekly"},
}
http = httpx.Client(trust_env=False, timeout=30)  # trust_env=False: never ask a proxy for 127.0.0.1
with serving.app_server(service) as address:
    print("health:", http.get(f"{address}/health").json())
    for name, body in asked.items():
        answer = http.post(f"{address}/score", json=body)
        print(f"{name}: {answer.status_code}", answer.json() if name == "good" else answer.json()["detail"][0]["msg"])

# %% [markdown]
# You should see 200, 422, 422. In a shell you would start it with `uvicorn service:service --port 8000`; its pages
# `/docs` and `/openapi.json` write themselves.
#
# ## Round 3: `mlflow models serve`
#
# By now the other server should be up; `wait` waits if it is not. It knows four addresses: `/ping` and `/health` (are you
# there?), `/version` (of MLflow) and `/invocations`, which takes a table in four JSON forms, or as CSV.

# %%
invocations = server.wait() + "/invocations"
print("ping:", http.get(f"{server.address}/ping").status_code, "| version:", http.get(f"{server.address}/version").text)

# %%
table = split.X_test.dropna().head(2)
forms = {
    "dataframe_split": table.to_dict("split", index=False),  # names once, then rows: the shortest
    "dataframe_records": table.to_dict("records"),  # one dictionary a row
    "inputs": table.to_dict("list"),  # one list a column
    "instances": table.to_dict("records"),  # as TensorFlow Serving names it
}
for name, form in forms.items():
    answer = http.post(invocations, json={name: form})
    print(f"{name:18s}", answer.status_code, np.round(answer.json()["predictions"], 3)[:, 1])

# %%
answer = http.post(invocations, content=table.to_csv(index=False), headers={"Content-Type": "text/csv"})
print(f"{'CSV':18s}", answer.status_code, np.round(answer.json()["predictions"], 3)[:, 1])

# %% [markdown]
# Each body is a dictionary with *one* key that names the form. The server checks it against the **signature**.
#
# **Predict.** Which of these five customers get an answer (200), and which an error (400)? The model was trained on
# data with gaps.

# %%
prediction = {"no contract": 0, "text": 0, "gap": 0, "extra": 0, "weekly": 0}  # your numbers

# %%
asked["text"] = {**good, "monthly_charges": "a lot"}
asked["gap"] = {**good, "monthly_charges": None}
asked["extra"] = {**good, "name": "Ann"}
for name, body in asked.items():
    answer = http.post(invocations, json={"dataframe_records": [body]})
    said = answer.json().get("message", "").split("Error: ")[-1]
    print(f"{name:12s}", answer.status_code, said[:90] or np.round(answer.json()["predictions"][0][1], 3))

# %% [markdown]
# You should see 400 for the missing column and for text, 200 for the rest. An extra column is dropped. A gap is allowed
# because the signature was inferred from rows with gaps. And `weekly` passes: a signature knows *types*, not *values*.
# If wrong values can come in, check them in the model (lecture {step:models}) or in a service like yours.
#
# **How long does it take?** A mean hides what Tom feels. **p50** is the middle request, **p95** and **p99** are the
# slow ones: of 100 customers, one waits longer than p99.

# %% tags=["measured"]
one, thousand = table.head(1), customers.head(1000)


def percentiles(call):
    milliseconds = []
    for _ in range(n_requests):
        start = time.perf_counter()
        call()
        milliseconds.append(1000 * (time.perf_counter() - start))
    return np.percentile(milliseconds, [50, 95, 99])


latency = pd.DataFrame({"percentile": [50, 95, 99]})
latency["batch, per row"] = percentiles(lambda: champion.predict(thousand)) / len(thousand)
latency["Python call"] = percentiles(lambda: champion.predict(one))
with serving.app_server(service) as address:
    latency["FastAPI"] = percentiles(lambda: http.post(f"{address}/score", json=good))
latency["mlflow models serve"] = percentiles(lambda: http.post(invocations, json={"dataframe_records": [good]}))

# %% tags=["measured"]
ways = list(latency.columns[1:])
labels = {"xlabel": "percentile of requests", "ylabel": "time of one answer (ms, logarithmic)"}
title = "A request costs more than its model, a row in a batch costs next to nothing"
fig = plots.runs_line(latency, "percentile", ways, title=title, log="y", **labels)
alt = "; ".join(f"{way}: " + ", ".join(f"{ms:.3f} ms" for ms in latency[way]) for way in ways)
plots.show(plots.describe(fig, f"p50, p95 and p99 of one answer. {alt}."))

# %% [markdown]
# Most of a call's time does not depend on the number of rows, so a batch wins by far. Compare the two servers with
# care: our service runs in a thread of this notebook, beside the client that measures; in production it has a process
# of its own.
#
# ## Look at the UI
#
# With *Model training* chosen at the top left, click *Model registry*, then `churn-serving`: version 1 carries the alias
# `champion` (version 2, once you have run the pitfalls). Click the version and unfold *Inputs* under *Schema*: that is
# what the server enforces. Which server runs where, MLflow does not know.
#
# ## On paper: Docker and the clouds
#
# None of this runs here; each needs Docker or an account. The image holds the model, its requirements and the same
# server, so the requests above stay the same.
#
# ```bash
# mlflow models build-docker -m "models:/churn-serving@champion" -n churn-serving
# docker run -p 5002:8080 churn-serving
#
# # Amazon SageMaker: the image goes to the account once, then each model
# mlflow sagemaker build-and-push-container
# mlflow deployments create -t sagemaker:/eu-central-1 --name churn -m "models:/churn-serving@champion" \
#     -C execution_role_arn=ROLE -C instance_type=ml.m5.large
#
# # Google Vertex AI, with the plugin google-cloud-mlflow
# mlflow deployments create -t google_cloud --name churn -m "models:/churn-serving/1" -C destination_image_uri=IMAGE
#
# # Azure Machine Learning, with its own tool; deployment.yml names the model
# az ml online-endpoint create --name churn -f endpoint.yml
# az ml online-deployment create --name blue --endpoint churn -f deployment.yml --all-traffic
# ```
#
# ## Your turn
#
# Replace the three dots: send the customer `good` in the form `inputs`, where each column is a list.
#
# <details><summary>One solution</summary>
#
# `body = {"inputs": {name: [value] for name, value in good.items()}}`
#
# </details>

# %%
body = ...
status = http.post(invocations, json=body).status_code if isinstance(body, dict) else None
lesson.turn(status == 200 and "inputs" in body, "the key is inputs, its value a dictionary of lists.")

# %% [markdown]
# ## Pitfalls
#
# **`form-missing`: the old body.** Before MLflow 2 a server took a bare list or a bare `split` table. Old client code
# gets 400 today, with a hint at the change. Repair: one key that names the form.

# %%
for name, body in {"bare list": [good], "bare split": forms["dataframe_split"]}.items():
    answer = http.post(invocations, json=body)
    print(f"[form-missing] {name}: {answer.status_code},", answer.json()["message"].split(" {")[0])

# %% [markdown]
# **`form-wrong`: the server cannot know what came.** Text without the header `Content-Type` is answered with 500, as
# if the server were broken; a wrong one with 415. Repair: `json=` sets the header, `content=` does not.

# %%
text = '{"dataframe_records": []}'  # a 500 closes the connection, so it gets one of its own
headers = {"Content-Type": "text/plain"}
print("[form-wrong] plain:", http.post(invocations, content=text, headers=headers).status_code)
print("[form-wrong] none: ", httpx.post(invocations, content=text, trust_env=False).status_code)

# %% [markdown]
# **`stale-version`: the alias moved, the server did not.** A server reads the alias once, when it starts. Here version
# 2 becomes champion. Repair: restart the server after each promotion, and write the version into every answer.

# %%
register(C=0.001)
client.set_registered_model_alias("churn-serving", "champion", 2)
served = http.post(invocations, json={"dataframe_records": [good]}).json()["predictions"][0][1]
loaded = mlflow.pyfunc.load_model("models:/churn-serving@champion").predict(pd.DataFrame([good]))[0, 1]
print(f"[stale-version] the server says {served:.3f}, the champion {loaded:.3f}")

# %%
server.stop()  # and when you forget it, the server ends with this notebook's kernel

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("serving")

# %% [markdown]
# ## Key points
#
# - A batch loads `models:/…@champion`, predicts a whole table and writes Parquet with the version: no server needed.
# - `mlflow models serve --env-manager local` serves any model with no code; FastAPI serves it with rules of your own. A
#   body names its form: `dataframe_split`, `dataframe_records`, `inputs`, `instances`; CSV needs its content type.
# - The signature turns missing columns and wrong types into 400. Wrong values pass. p95 and p99 tell what users feel.
#
# ## Next steps
#
# - Do the [homework](../exercises/10_serving.ipynb): bodies, a batch, a service and its latency.
# - Next lecture: the whole workflow in eight steps.
# - Official page: [MLflow serving](https://mlflow.org/docs/latest/ml/deployment/).
# - Optional depth: [FastAPI's tutorial](https://fastapi.tiangolo.com/tutorial/).
