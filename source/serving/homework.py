# %% [markdown]
# # Homework: answers from an alias
#
# **25 minutes · 3 tasks and a stretch · 6 points.** Run every cell as often as you like: a check reads your *latest*
# run. Below each task stands `hw.check(n)`; when you are stuck, add a cell with `hw.hint(n)`.
#
# <!-- links -->

# %%
import json
import socket
import threading
import time
from functools import partial

import httpx
import mlflow
import numpy as np
import pandas as pd
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("serving")
folder = store.outputs("hw-serving")
split = data.churn_split(800, data.course_seed(), numeric=True)
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# The next cell registers three versions of `hw-serving-churn`. The alias `champion` points at the one that Aisha chose.

# %%
client = mlflow.MlflowClient()
mlflow.set_experiment("hw-serving-given")
if client.search_registered_models("name = 'hw-serving-churn'"):
    client.delete_registered_model("hw-serving-churn")  # versions start at 1 again
for C in (0.001, 1.0, 0.01):
    model = make_pipeline(StandardScaler(), LogisticRegression(C=C))
    model.fit(split.X_train, split.y_train)
    how = {"pyfunc_predict_fn": "predict_proba"}  # what pyfunc and the server call
    with mlflow.start_run(run_name=f"C={C}"):
        how["registered_model_name"] = "hw-serving-churn"
        store.log_model(model, "churn", split.X_train, **how)
chosen = 2 + data.course_seed() // 2 % 2  # it may be another when this is graded
client.set_registered_model_alias("hw-serving-churn", "champion", chosen)
del chosen
print(dict(client.get_registered_model("hw-serving-churn").aliases))

# %% [markdown]
# ## Task 1: one table, three bodies (2 points)
#
# A clinic serves a model that takes the 30 measurements of a tumour. Write the three rows `three` of its table as three
# requests to `/invocations` of `mlflow models serve`, each into a file in `folder`, ready to be sent with `curl`. Send
# the measurements only: neither the index nor the label `target`, which is what the clinic wants to know.
#
# - `split.json` in the form `dataframe_split` (the names of the columns once, then the rows),
# - `inputs.json` in the form `inputs` (one list a column, by its name; or one dictionary a row),
# - `rows.csv` as CSV, with the names in the first line.

# %%
three = data.bundled("breast_cancer").sample(3, random_state=data.course_seed())

# %% tags=["task-1"]
### BEGIN SOLUTION
three = three.drop(columns="target")
by_split = {"dataframe_split": three.to_dict("split", index=False)}
by_column = {"inputs": three.to_dict("list")}
(folder / "split.json").write_text(json.dumps(by_split))
(folder / "inputs.json").write_text(json.dumps(by_column))
three.to_csv(folder / "rows.csv", index=False)
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: a nightly batch (2 points)
#
# Resolve the alias `champion` of `hw-serving-churn` once, and score all customers in `tonight` with that version. Write
# `scores.parquet` into `folder`, one row a customer, with the columns `customer_id` (the index of `tonight`),
# `probability` (of churn, class 1, not rounded) and `version` (of the model that answered; ask the registry, do not
# type it).

# %%
tonight = data.churn(500, data.course_seed() + 1).drop(columns="churned")
tonight = tonight.select_dtypes("number")
tonight = tonight.sample(frac=1, random_state=0)  # Jonas' table comes in no order
tonight.head(2)

# %% tags=["task-2"]
### BEGIN SOLUTION
version = client.get_model_version_by_alias("hw-serving-churn", "champion").version
champion = mlflow.pyfunc.load_model(f"models:/hw-serving-churn/{version}")
probability = champion.predict(tonight)[:, 1]
scores = pd.DataFrame({"customer_id": tonight.index, "probability": probability})
scores.assign(version=version).to_parquet(folder / "scores.parquet")
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: a service with rules (2 points)
#
# Write a FastAPI application with the address `POST /score`. It takes one customer as JSON (the six columns of
# `split.X_test`, all numbers) and answers with the champion's probability of churn (class 1, not rounded) and with the
# version that computed it: `{"probability": …, "version": …}`. It refuses a negative `tenure_months` (zero is a new
# customer) and a customer with a column missing, with a status from 400 to 499.
#
# Then call `probe(app)` with your application. It serves it for a moment, sends nine requests, moves the alias, sends
# the good one again, and puts the alias back. It keeps the answers in the experiment `hw-serving-service`. After the
# move, the old or the new version may answer; `version` must still be the one that computed.


# %%
def ask(app, bodies):
    """Serve the application in a thread of this notebook while the bodies are sent."""
    answers = {}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        how = {"target": server.run, "kwargs": {"sockets": [listener]}, "daemon": True}
        thread = threading.Thread(**how)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/score"
        for name, body in bodies.items():
            answer = httpx.post(url, json=body, trust_env=False, timeout=60)
            answers[name] = {"status": answer.status_code, "text": answer.text}
        server.should_exit = True
        thread.join(20)
    return answers


# %%
def probe(app):
    """Send requests before and after the alias moves; the run `probe` keeps the answers."""
    good = split.X_test.iloc[0].to_dict()
    bodies = {
        "good": good,
        "new": {**good, "tenure_months": 0.0},
        "negative": {**good, "tenure_months": -1.0},
        **{f"no {name}": {k: good[k] for k in good if k != name} for name in good},
    }
    answers = ask(app, bodies)
    now = client.get_model_version_by_alias("hw-serving-churn", "champion").version
    move = partial(client.set_registered_model_alias, "hw-serving-churn", "champion")
    move(1)  # as if Aisha had decided again
    try:
        answers |= ask(app, {"later": good})
    finally:
        move(now)
    mlflow.set_experiment("hw-serving-service")
    with mlflow.start_run(run_name="probe"):
        mlflow.log_dict(answers, "answers.json")


# %% tags=["task-3"]
### BEGIN SOLUTION
app = FastAPI()
number = client.get_model_version_by_alias("hw-serving-churn", "champion").version
served = mlflow.pyfunc.load_model(f"models:/hw-serving-churn/{number}")


class Customer(BaseModel):
    tenure_months: float = Field(ge=0)
    monthly_charges: float
    support_calls: float
    data_gb: float
    senior: float
    paperless: float


@app.post("/score")
def score(customer: Customer):
    answer = served.predict(pd.DataFrame([customer.model_dump()]))
    return {"probability": float(answer[0, 1]), "version": number}


probe(app)
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Stretch: how long does one answer take? (no points)
#
# Ask the champion for the *first row* of `split.X_test` 50 times, after five calls to warm up that do not count, and
# measure each of the 50 calls on its own. In the experiment `hw-serving-latency`, make a run called `python-call` with
# the parameter `n_requests` (50) and the metrics `p50_ms`, `p95_ms` and `p99_ms`, in milliseconds. (Of 50 calls, the
# last lies between the slowest two: practice, not evidence.) Log the 50 times too, as `times.json`, a list of
# milliseconds (`mlflow.log_dict` takes a list), so that others can compute the percentiles again.

# %% tags=["task-4"]
mlflow.set_experiment("hw-serving-latency")
### BEGIN SOLUTION
called = mlflow.pyfunc.load_model("models:/hw-serving-churn@champion")
for _ in range(5):
    called.predict(split.X_test.head(1))
times = []
for _ in range(50):
    start = time.perf_counter()
    called.predict(split.X_test.head(1))
    times.append(1000 * (time.perf_counter() - start))

p50, p95, p99 = np.percentile(times, [50, 95, 99])
with mlflow.start_run(run_name="python-call"):
    mlflow.log_param("n_requests", len(times))
    mlflow.log_metrics({"p50_ms": p50, "p95_ms": p95, "p99_ms": p99})
    mlflow.log_dict(times, "times.json")
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** Whatever scores starts at the alias, resolves it once, and says which version answered. The three
# bodies of task 1 differ in form only: the server makes the same table of each. The batch writes down the version,
# since the alias will move on; the service refuses what a signature cannot know, a negative number of months.
