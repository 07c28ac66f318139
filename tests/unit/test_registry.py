"""The gate: a better model passes, a worse one does not, every decision leaves a record, and there is a way back."""

from __future__ import annotations

import mlflow
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_utils import data, registry, store
from course_utils.errors import CourseError

SIGNED = {"by": "Mira", "why": "a test"}


@pytest.fixture
def split(course_home):
    """Two versions of `churn` in the registry: 1 ranks the wrong way round, 2 is right. Returns the data."""
    store.connect()
    mlflow.set_experiment("models")
    found = data.churn_split(300, numeric=True)
    for labels in (1 - found.y_train, found.y_train):
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(found.X_train, labels)
        mlflow.register_model(store.log_model(model, "m", found.X_train).model_uri, "churn")
    mlflow.set_experiment("gate")
    return found


def promote(split, version, **options):
    return registry.promote("churn", version, split.X_test, split.y_test, **{**SIGNED, **options})


def champion() -> int | None:
    return mlflow.MlflowClient().get_registered_model("churn").aliases.get("champion")


def test_the_gate_refuses_a_worse_model_and_lets_a_better_one_through(split):
    first = promote(split, 1)
    assert not first.promoted and champion() is None and "refused" in str(first)
    second = promote(split, 2)
    assert second.promoted and champion() == 2 and "promoted" in str(second)
    third = promote(split, 1)
    assert not third.promoted and third.before == 2 and champion() == 2


def test_a_gain_below_the_margin_is_refused(split):
    registry.roll_back("churn", 1, **SIGNED)
    assert not promote(split, 2, margin=0.99).promoted
    assert promote(split, 2, margin=0.01).promoted


def test_every_decision_is_a_run_with_who_and_why_and_a_tag_on_the_version(split):
    promote(split, 1), promote(split, 2), registry.roll_back("churn", 1, by="Aisha", why="odd list")
    columns = ["tags.version", "tags.before", "tags.decision", "tags.by", "tags.why"]
    trail = store.runs("gate", order_by=["attributes.start_time ASC"], columns=columns)
    assert trail.to_numpy().tolist() == [
        ["1", "none", "refused", "Mira", "a test"],
        ["2", "none", "promoted", "Mira", "a test"],
        ["1", "2", "rolled back", "Aisha", "odd list"],
    ]
    table = registry.versions("churn", "gate")
    assert table["gate"].tolist() == ["refused", "promoted"] and table["aliases"].tolist() == ["champion", ""]


def test_an_unsigned_decision_is_refused_before_anything_moves(split):
    with pytest.raises(CourseError, match="cannot be audited"):
        promote(split, 2, by=" ")
    with pytest.raises(CourseError, match="cannot be audited"):
        registry.roll_back("churn", 1, by="Aisha", why="")
    assert champion() is None and mlflow.search_runs(experiment_names=["gate"]).empty


def test_unknown_models_and_versions_are_named(split):
    with pytest.raises(CourseError, match="'chrun'.*it has churn"):
        registry.versions("chrun")
    with pytest.raises(CourseError, match="models:/churn/9 cannot be loaded"):
        promote(split, 9)
    with pytest.raises(CourseError, match="no version 9; it has 1, 2"):
        registry.roll_back("churn", 9, **SIGNED)
    promote(split, 2)
    with pytest.raises(CourseError, match="is the champion already"):
        promote(split, 2)


def test_fresh_starts_versions_at_one_and_keeps_the_models(split):
    here = mlflow.get_experiment_by_name("models").experiment_id
    models = mlflow.search_logged_models(experiment_ids=[here], output_format="list")
    registry.fresh("churn", "never-registered")
    assert mlflow.register_model(models[0].model_uri, "churn").version == 1


def test_the_gate_works_inside_an_open_run(split):
    with mlflow.start_run(run_name="nightly job") as outer:
        assert promote(split, 2).promoted
        assert mlflow.active_run().info.run_id == outer.info.run_id
