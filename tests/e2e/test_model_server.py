"""An application and a model are served from a lecture, answer, and are stopped."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from course_utils import serving, store
from course_utils.errors import CourseError


def test_an_application_answers_while_the_block_runs_and_not_after():
    app = FastAPI()
    app.get("/health")(lambda: {"up": True})
    with serving.app_server(app) as address:
        assert address.startswith("http://127.0.0.1:")
        assert httpx.get(f"{address}/health", trust_env=False).json() == {"up": True}
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/health", trust_env=False)


def test_an_application_is_stopped_when_the_block_fails():
    with pytest.raises(ZeroDivisionError):
        with serving.app_server(FastAPI()) as address:
            raise ZeroDivisionError
    with pytest.raises(httpx.ConnectError):
        httpx.get(address, trust_env=False)


def test_a_served_model_answers_until_it_is_stopped(course_home):
    import mlflow
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    store.connect()
    mlflow.set_experiment("served")
    X = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]})
    with mlflow.start_run():
        model = store.log_model(LogisticRegression().fit(X, [0, 0, 1, 1]), "line", X)
    with serving.ModelServer(model.model_uri) as server:
        answer = httpx.post(f"{server.address}/invocations", json={"inputs": {"x": [3.0]}}, trust_env=False)
        assert answer.json() == {"predictions": [1]}
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.address}/ping", trust_env=False)
    server.stop()  # again: nothing happens


def test_a_model_that_is_not_there_is_an_error_with_what_the_server_said(course_home):
    store.connect()
    with pytest.raises(CourseError, match="(?s)ended.*not found"):
        serving.ModelServer("models:/nobody@champion").wait()
