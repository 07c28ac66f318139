"""A tracking server that a lecture starts serves that store over HTTP, and is gone afterwards."""

from __future__ import annotations

import urllib.request

import httpx
import mlflow
import pytest

from course_utils import serving, store
from course_utils.errors import CourseError


def test_a_served_store_answers_rest_and_keeps_what_a_client_logs(course_home):
    store.connect()
    number = mlflow.set_experiment("served").experiment_id
    with mlflow.start_run(run_name="local"):
        mlflow.log_metric("auc", 0.75)
    with serving.tracking_server() as address:
        answer = httpx.post(f"{address}/api/2.0/mlflow/runs/search", json={"experiment_ids": [number]}, timeout=60)
        assert [r["info"]["run_name"] for r in answer.json()["runs"]] == ["local"]
        client = mlflow.MlflowClient(address, address)
        run = client.create_run(client.create_experiment("over-http"), run_name="remote")
        client.log_text(run.info.run_id, "kept", "note.txt")
        assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    with pytest.raises(OSError):
        urllib.request.urlopen(f"{address}/health", timeout=5)
    assert mlflow.search_runs(experiment_names=["over-http"])["tags.mlflow.runName"].tolist() == ["remote"]
    assert [p.read_text() for p in (course_home / "mlartifacts").rglob("note.txt")] == ["kept"]


def test_a_server_that_does_not_answer_is_an_error_with_what_it_said(course_home):
    with pytest.raises(CourseError, match="did not answer within 0.1 s"):
        with serving.tracking_server(timeout=0.1):
            pass
