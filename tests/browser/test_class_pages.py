"""MLflow's pages on a class server, as a member sees them: the list of routes closes nothing that they need."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, expect

from course_runner.classroom import members, service
from course_runner.classroom.settings import prepare
from course_utils import team
from course_utils._plumbing.processes import unused_port
from course_utils._plumbing.supervised import work_folder
from course_utils.errors import CourseError

#: What anna logs: two runs with a metric's history, a file, a data set and a model; a version, a trace and a prompt.
LOGGED = """
import mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

mlflow.set_experiment("seen")
X, y = load_iris(return_X_y=True, as_frame=True)
for C in (0.1, 1):
    with mlflow.start_run(run_name=f"C={C}"):
        mlflow.log_param("C", C)
        for step in range(3):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_text("what anna kept", "notes/a.txt")
        mlflow.log_input(mlflow.data.from_pandas(X, name="flowers"))
        model = LogisticRegression(C=C, max_iter=500).fit(X, y)
        mlflow.sklearn.log_model(model, name="model", serialization_format="skops", registered_model_name="iris")
mlflow.MlflowClient().set_registered_model_alias("iris", "champion", "1")


@mlflow.trace
def answer(question):
    return question.upper()


answer("how long")
mlflow.flush_trace_async_logging()
mlflow.genai.register_prompt("greet", "Hello {{name}}")
"""
#: What the list closes and the pages do without: MLflow's assistant, and the roles of users.
CLOSED = ("/mlflow/assistant/", "/mlflow/users/roles/list")


@dataclass
class Member:
    """A member's browser, and what the server did not let it have."""

    page: Page
    address: str
    refused: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(f"{self.address}/#{path}?workspace=anna")


@pytest.fixture(scope="module")
def room() -> Iterator[tuple[str, str]]:
    """A class server's address and anna's password; her runs are there."""
    try:
        team.find_postgres()
    except CourseError as error:
        pytest.skip(f"no PostgreSQL here: {error}")
    with work_folder(None) as place:
        with service.serve(place / "server", prepare(place / "server", port=unused_port()), print) as (state, _):
            password = members.add_users(place / "server", ["anna"])["anna"]
            sign_in = {"URI": state.address, "USERNAME": "anna", "PASSWORD": password}
            environment = {**os.environ, **{f"MLFLOW_TRACKING_{k}": v for k, v in sign_in.items()}}
            environment["MLFLOW_WORKSPACE"] = "anna"
            subprocess.run([sys.executable, "-W", "ignore", "-c", LOGGED], env=environment, cwd=place, check=True)
            yield state.address, password


@pytest.fixture(scope="module")
def anna(room, browser: Browser) -> Iterator[Member]:
    address, password = room
    expect.set_options(timeout=30_000)
    with browser.new_context(http_credentials={"username": "anna", "password": password}) as context:
        member = Member(context.new_page(), address)
        member.page.set_default_timeout(30_000)

        def note(response) -> None:
            path = response.url.removeprefix(address)
            if response.status >= 400 and not any(part in path for part in CLOSED):
                member.refused.append(f"{response.status} {response.request.method} {path}")

        member.page.on("response", note)
        yield member
    expect.set_options(timeout=5000)


def test_after_signing_in_a_member_chooses_the_own_workspace_and_finds_the_runs(anna: Member):
    anna.page.goto(anna.address)
    anna.page.get_by_role("link", name="anna").click()
    anna.page.get_by_role("link", name="seen").first.click()
    expect(anna.page.get_by_text("seen").first).to_be_visible()
    assert not anna.refused


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/experiments", "seen"),
        ("/experiments/{experiment}/runs", "C=0.1"),
        ("/experiments/{experiment}/models", "model"),
        ("/experiments/{experiment}/traces", "how long"),
        ("/experiments/{experiment}/runs/{run}", "flowers"),
        ("/experiments/{experiment}/runs/{run}/model-metrics", "loss"),
        ("/experiments/{experiment}/runs/{run}/artifacts", "notes"),
        ("/models", "iris"),
        ("/models/iris", "champion"),
        ("/models/iris/versions/1", "C=0.1"),
        ("/prompts", "greet"),
        ("/prompts/greet", "Hello"),
    ],
    ids=lambda value: value if value.startswith("/") else "",
)
def test_a_page_shows_what_the_member_logged_and_no_request_of_it_is_refused(anna: Member, room, path, seen):
    search = "/ajax-api/2.0/mlflow/{}/search"
    asked = {"headers": {"X-MLFLOW-WORKSPACE": "anna"}}
    found = anna.page.request.post(
        anna.address + search.format("experiments"), data={"max_results": 9, "filter": "name = 'seen'"}, **asked
    )
    experiment = found.json()["experiments"][0]["experiment_id"]
    found = anna.page.request.post(
        anna.address + search.format("runs"),
        data={"experiment_ids": [experiment], "filter": "params.C = '0.1'"},
        **asked,
    )
    run = found.json()["runs"][0]["info"]["run_id"]
    anna.refused.clear()
    anna.open(path.format(experiment=experiment, run=run))
    expect(anna.page.get_by_text(seen).locator("visible=true").first).to_be_visible()
    anna.page.wait_for_timeout(1500)  # for what the page asks for last; it never stops asking
    expect(anna.page.get_by_text("PERMISSION_DENIED")).to_have_count(0)
    assert not anna.refused
