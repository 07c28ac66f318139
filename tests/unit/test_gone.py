"""The calls that README says are gone are gone, and what it says to write instead is there."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import mlflow
import mlflow.models
import mlflow.sklearn
import pytest
from mlflow.entities import RunInfo

from course_utils import store

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf8")
GONE = {
    "client.list_run_infos": (AttributeError, lambda: mlflow.MlflowClient.list_run_infos),
    "run.info.run_uuid": (AttributeError, lambda: RunInfo.run_uuid),
    "log_model(…, code_path=": (TypeError, lambda: mlflow.sklearn.log_model(None, name="x", code_path=[])),
    "evaluate(custom_metrics=": (TypeError, lambda: mlflow.models.evaluate(custom_metrics=[])),
    "evaluate(baseline_model=": (TypeError, lambda: mlflow.models.evaluate(baseline_model="churn")),
    "MetricThreshold(higher_is_better=": (TypeError, lambda: mlflow.models.MetricThreshold(higher_is_better=True)),
    "mlflow.recipes": (AttributeError, lambda: mlflow.recipes),
}


@pytest.mark.parametrize("call", GONE)
def test_an_old_call_fails_as_readme_says(call, course_home):
    store.connect()
    mlflow.set_experiment("old-calls")  # one of the calls opens a run before it fails
    error, attempt = GONE[call]
    assert re.search(rf"^\| `.*{re.escape(call)}.* \| `{error.__name__}` \|", README, re.M)
    with pytest.raises(error):
        attempt()


def test_the_table_has_no_other_row():
    table = README.partition("## Calls that are gone")[2].partition("\n## ")[0]
    assert len(re.findall(r"^\| `", table, re.M)) == len(GONE)


def test_what_to_write_instead_is_there():
    assert "code_paths" in inspect.signature(mlflow.sklearn.log_model).parameters
    assert "extra_metrics" in inspect.signature(mlflow.models.evaluate).parameters
    assert "greater_is_better" in inspect.signature(mlflow.models.MetricThreshold).parameters
    assert callable(mlflow.validate_evaluation_results) and callable(mlflow.MlflowClient.search_runs)
