"""A server for a class: started once for this module, used by two learners, attacked, backed up and restored."""

from __future__ import annotations

import asyncio
import base64
import http.client
import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from urllib.parse import urlsplit

import mlflow
import pytest
import requests
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from course_runner import workflow
from course_runner.batch import batch
from course_runner.classroom import allowed_routes, door, members, service
from course_runner.classroom import backup as server_backup
from course_runner.classroom.database import opened, reachable
from course_runner.classroom.folder import Running, locked, running
from course_runner.classroom.settings import Settings, is_exposed, names, prepare, warning
from course_runner.cli.app import app
from course_runner.lab import lab
from course_runner.lab import ui as serve
from course_utils import serving, store, team
from course_utils._plumbing import class_server, course_store, schema
from course_utils._plumbing.processes import tracking_server_environment, unused_port
from course_utils._plumbing.supervised import work_folder
from course_utils.errors import CourseError
from course_utils.homework import Homework


@dataclass
class Class:
    """A running server with two learners."""

    folder: Path
    state: Running
    admin: str
    passwords: dict[str, str]

    def post(self, name: str, body: dict, user: str = "anna", **headers: str) -> requests.Response:
        password = {**self.passwords, "admin": self.admin}.get(user, "a good guess")
        url = f"{self.state.address}/api/2.0/mlflow/{name}"
        return requests.post(url, json=body, auth=(user, password), headers=headers, timeout=60)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that root's PostgreSQL, working as another user, may pass through: pytest's own are closed to it."""
    with work_folder(None) as folder:
        yield folder


@pytest.fixture(scope="module")
def room(place) -> Iterator[Class]:
    try:
        team.find_postgres()
    except CourseError as error:
        pytest.skip(f"no PostgreSQL here: {error}")
    folder = place / "server"
    settings = prepare(folder, port=unused_port())
    with service.serve(folder, settings, lambda text: None) as (state, password):
        yield Class(folder, state, password or "", members.add_users(folder, ["anna", "ben"]))


@pytest.fixture
def as_anna(room, tmp_path, monkeypatch) -> Iterator[str]:
    """A checkout that has joined the server as anna; MLflow points at it."""
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    class_server.join(tmp_path, room.state.address, "anna", room.passwords["anna"])
    yield store.connect()
    class_server.leave(tmp_path)
    class_server.sign_in("sqlite://", tmp_path)
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


def log_run(experiment: str) -> str:
    mlflow.set_experiment(experiment)
    with mlflow.start_run() as run:
        mlflow.log_param("C", 1)
        mlflow.log_metric("auc", 0.75)
        mlflow.log_text("kept", "notes/a.txt")
    return run.info.run_id


def test_the_first_start_makes_an_admin_whose_password_nothing_keeps(room):
    assert len(room.admin) >= 12 and room.post("experiments/search", {"max_results": 1}, "admin").status_code == 200
    kept = [p for p in room.folder.rglob("*") if p.is_file() and room.admin.encode() in p.read_bytes()]
    assert not kept
    secrets = ["server.json", "running.json", "auth.ini", "flask.secret", "postgres.password"]
    assert {(room.folder / name).stat().st_mode & 0o777 for name in secrets} == {0o600}


def test_a_learner_joins_logs_and_sees_the_run_in_a_table(room, as_anna, tmp_path):
    assert as_anna == room.state.address
    run_id = log_run("joined")
    assert store.runs("joined", columns=["auc"])["auc"].tolist() == [0.75]
    assert store.ui_command() == f"python -m webbrowser {room.state.address}"
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/notes/a.txt") == "kept"
    assert (tmp_path / ".course" / "joined.json").stat().st_mode & 0o777 == 0o600
    class_server.leave(tmp_path)
    store.connect(f"sqlite:///{tmp_path}/mlflow.db")
    assert "MLFLOW_TRACKING_PASSWORD" not in os.environ and "MLFLOW_WORKSPACE" not in os.environ


def test_two_learners_use_the_same_name_and_do_not_meet(room):
    body, bens = {"name": "same-name"}, {"X-MLFLOW-WORKSPACE": "ben"}
    assert room.post("experiments/create", body, **{"X-MLFLOW-WORKSPACE": "anna"}).status_code == 200
    assert room.post("experiments/create", body, "ben", **bens).status_code == 200
    seen = room.post("experiments/search", {"max_results": 100}, **bens).json()
    assert not seen.get("experiments")
    assert room.post("experiments/create", {"name": "intruder"}, **bens).status_code == 403


def test_a_learner_cannot_make_users_or_become_admin(room):
    assert room.post("users/create", {"username": "eve", "password": "0123456789ab"}).status_code == 403
    url = f"{room.state.address}/api/2.0/mlflow/users/update-admin"
    body = {"username": "anna", "is_admin": True}
    assert requests.patch(url, json=body, auth=("anna", room.passwords["anna"]), timeout=60).status_code == 403


@pytest.mark.parametrize(
    ("user", "headers", "code"),
    [
        ("anna", {}, 200),
        ("admin-or-so", {}, 401),
        ("anna", {"Host": "evil.example"}, 403),
        ("anna", {"Origin": "http://evil.example"}, 403),
    ],
    ids=["friend", "wrong password", "stranger's host", "cross-origin post"],
)
def test_who_may_come_in(room, user, headers, code):
    assert room.post("experiments/search", {"max_results": 1}, user, **headers).status_code == code


def test_a_wrong_password_or_workspace_is_told_and_nothing_is_kept(room, tmp_path):
    with pytest.raises(CourseError, match="does not let you in: wrong name or password"):
        class_server.join(tmp_path, room.state.address, "anna", "wrong")
    with pytest.raises(CourseError, match="not a member of the workspace 'ben'.*but of anna"):
        class_server.join(tmp_path, room.state.address, "anna", room.passwords["anna"], "ben")
    assert class_server.joined(tmp_path) is None


def test_a_run_without_an_experiment_goes_to_the_learners_own_default(room, as_anna, monkeypatch):
    monkeypatch.setattr("mlflow.tracking.fluent._active_experiment_id", None)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)
    for _ in range(2):
        with mlflow.start_run() as run:
            pass
        assert mlflow.get_experiment(run.info.experiment_id).name == "Default"
        assert run.info.experiment_id != "0"


def test_the_workflow_registers_its_model_on_a_server(room, as_anna):
    X, y = load_iris(return_X_y=True, as_frame=True)
    mlflow.set_experiment("registered")
    with mlflow.start_run() as run:
        logged = store.log_model(LogisticRegression(max_iter=500).fit(X, y), "model", X)
    assert workflow.register(logged.model_uri, "iris", run.info.run_id, X) == 1


def test_a_lecture_that_starts_a_server_uses_a_store_of_its_own_and_says_so(room, as_anna, tmp_path, capsys):
    with pytest.raises(CourseError, match=f"{room.state.address} is a server already"), serving.tracking_server():
        pass
    uri = store.connect(own=True)
    assert uri == mlflow.get_tracking_uri() == f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert capsys.readouterr().out.count(f"not the server {room.state.address}.") == 1
    assert not {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_WORKSPACE"} & os.environ.keys()
    class_server.leave(tmp_path)
    assert store.connect(own=True) == uri and capsys.readouterr().out == ""


def test_homework_is_judged_in_a_store_of_ones_own(room, as_anna, tmp_path, capsys, monkeypatch):
    (tmp_path / "exercises").mkdir()
    monkeypatch.chdir(tmp_path / "exercises")  # a checkout that was used has a store of its own at its root
    homework = Homework("03")
    assert mlflow.get_tracking_uri() == f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert "This notebook uses a store of your own" in capsys.readouterr().out
    assert "There is no experiment" in homework.check(1).message


def test_a_server_that_the_course_starts_inherits_nobodys_name_or_password(monkeypatch):
    for name in ("USERNAME", "PASSWORD", "TOKEN", "URI"):
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", "anna")
    monkeypatch.setenv("MLFLOW_WORKSPACE", "anna")
    assert "anna" not in tracking_server_environment().values()


def ask(room: Class, path: str, name: str, password: str, **headers: str) -> requests.Response:
    return requests.get(f"{room.state.address}{path}", auth=(name, password), headers=headers, timeout=60)


def test_ten_wrong_passwords_end_the_guessing_for_a_while(room):
    name, right = next(iter(members.add_users(room.folder, ["guessed"]).items()))
    codes = [ask(room, "/api/2.0/mlflow/users/current", name, f"guess {n}").status_code for n in range(11)]
    assert codes == [401] * 10 + [429]
    refused = ask(room, "/api/2.0/mlflow/users/current", name, right)
    assert refused.status_code == 429 and 0 < int(refused.headers["Retry-After"]) <= 60
    with pytest.raises(CourseError, match="too many wrong passwords for this name; wait a minute"):
        class_server.check(room.state.address, (name, right))
    other = ask(room, "/api/2.0/mlflow/users/current", "anna", room.passwords["anna"])
    assert other.status_code == 200 and other.json()["is_basic_auth"]


@pytest.mark.parametrize("path", ["/api/2.0/mlflow-artifacts/artifacts/0/a.txt", "/api/2.0/mlflow/users/current"])
def test_fifty_guesses_from_invented_addresses_are_ten(room, path):
    name = next(iter(members.add_users(room.folder, [f"rotated-{len(path)}"])))
    codes = []
    for n in range(50):
        told = f"203.0.113.{n}"
        headers = {"X-Forwarded-For": told, "X-Real-IP": told, "Forwarded": f"for={told}", "X-Client-IP": told}
        codes.append(ask(room, path, name, f"guess {n}", **headers).status_code)
    assert codes == [401] * 10 + [429] * 40


def test_a_name_is_locked_for_all_addresses_but_not_for_whoever_was_there_before():
    guesses = door.Guesses()
    guesses.note("anna", "10.0.0.1", right=True)
    for n in range(30):
        assert not guesses.wait("anna", f"203.0.113.{n}")
        guesses.note("anna", f"203.0.113.{n}", right=False)
    assert 0 < guesses.wait("anna", "203.0.113.99") <= 61
    assert not guesses.wait("anna", "10.0.0.1"), "a stranger cannot lock anna out of where she works"
    assert not guesses.wait("ben", "203.0.113.99")


def test_an_address_is_locked_for_all_names_but_not_for_whoever_signed_in_from_it():
    guesses = door.Guesses()
    guesses.note("anna", "10.0.0.1", right=True)
    for n in range(100):
        guesses.note(f"name-{n}", "10.0.0.1", right=False)
    assert guesses.wait("ben", "10.0.0.1") and guesses.wait("admin", "10.0.0.1")
    assert not guesses.wait("anna", "10.0.0.1") and not guesses.wait("ben", "10.0.0.2")


def test_one_network_of_ipv6_is_one_address():
    places = {door._address({"client": (f"2001:db8:1:2::{n:x}", 1)}) for n in range(100)}
    assert places == {"2001:db8:1:2::/64"} and door._address({"client": None}) == ""


@pytest.mark.parametrize("text", ["*", "proxy.example", "0.0.0.0/0", "::/0", "10.0.0.1 10.0.0.2", ""])
def test_what_is_no_address_of_a_proxy_is_told(text, tmp_path):
    with pytest.raises(CourseError, match="is not an address for --proxy"):
        prepare(tmp_path, port=unused_port(), proxies=[text])


def test_only_a_named_proxy_may_say_where_a_request_comes_from(tmp_path):
    settings = prepare(tmp_path, database="sqlite", port=unused_port(), proxies=["127.0.0.1"])
    url = f"http://127.0.0.1:{settings.port}/api/2.0/mlflow/users/current"
    with service.serve(tmp_path, settings, lambda text: None):
        told = [{"X-Forwarded-For": f"203.0.113.{n // 10}"} for n in range(31)]
        codes = [requests.get(url, auth=("eve", "guess"), headers=h, timeout=60).status_code for h in told]
    assert codes == [401] * 30 + [429], "ten for each address, and thirty for the name"
    assert Settings.read(tmp_path).proxies == ["127.0.0.1"]


# ---- which requests it answers -----------------------------------------------------------------------------------


def spelt(rule: str) -> str:
    """Return a route of Flask or FastAPI as `allowed_routes` spells it."""
    rule = re.sub(r"<path:[^>]*>|\{[^}]*:path\}", "**", rule)
    rule = re.sub(r"[<{](tag_key|key)[>}]", "{key}", rule)
    return re.sub(r"[<{](?!key\})(\w+)[>}]", lambda m: "{name}" if m[1] == "workspace_name" else "{id}", rule)


@pytest.fixture(scope="module")
def all_routes() -> list[tuple[str, str]]:
    return benchmark("member_requests").routes()


def test_every_route_of_the_installed_mlflow_is_listed_or_refused(room, all_routes):
    member_requests, listed = benchmark("member_requests"), allowed_routes.listed()
    unlisted = [(method, rule) for method, rule in all_routes if (method, spelt(rule)) not in listed]
    assert len(all_routes) > 700 and len(unlisted) > 200
    opened = []
    for user in ("anna", "admin"):
        caller = member_requests.Caller(room.state.address, user, {**room.passwords, "admin": room.admin}[user])
        for method, rule in unlisted:
            status, body = caller.send(method, member_requests.sample(rule), None if method == "GET" else {})
            if status != 403 or (method != "HEAD" and b"is closed to everybody" not in body):
                opened.append(f"{user}: {method} {rule} -> {status}")
    assert not opened, "not in allowed_routes, yet MLflow answers:\n" + "\n".join(opened)


def test_every_route_on_the_list_exists(all_routes):
    there = {(method, spelt(rule)) for method, rule in all_routes}
    # A page's own routes are missing for Python clients now and then, and the other way round.
    either = {(method, path.replace("/ajax-api/", "/api/")) for method, path in there}
    gone = [line for line in allowed_routes.listed() if (line[0], line[1].replace("/ajax-api/", "/api/")) not in either]
    assert not gone, f"this MLflow has no such routes; take them off the list: {gone}"


@pytest.mark.parametrize(
    "path",
    [
        "/ajax-api/3.0/mlflow/assistant/config",
        "/ajax-api/3.0/mlflow/demo/generate",
        "/ajax-api/3.0/mlflow/gateway/secrets/create",
        "/ajax-api/3.0/jobs/",
        "/api/3.0/mlflow/prompt-optimization/jobs",
        "/api/2.0/mlflow/webhooks",
        "/api/3.0/mlflow/scorers/online-config",
        "/api/3.0/mlflow/mcp-servers",
        "/api/3.0/mlflow/traces/something-new",
        "/api/3.0/mlflow/something-new",
        "/signup",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_what_a_class_does_not_need_is_on_nobodys_list(method, path):
    assert allowed_routes.role_for(method, path) is None


@pytest.mark.parametrize(
    "path",
    [
        "//api/2.0/mlflow/users/current",
        "/api//2.0/mlflow/users/current",
        "/api/2.0/mlflow/users/current/",
        "/API/2.0/mlflow/users/current",
        "/./api/2.0/mlflow/users/current",
        "/%2e/api/2.0/mlflow/users/current",
        "/health/../api/2.0/mlflow/users/current",
        "/health/%2E%2e/api/2.0/mlflow/users/current",
        "/health%2f..%2fapi/2.0/mlflow/users/current",
        "/static-files/..%2f..%2fetc/passwd",
        "/static-files/%252e%252e/etc/passwd",
        "/static-files/..\\..\\etc\\passwd",
        "/static-files/%00",
        "/api/2.0/mlflow/users/current;.css",
        "/mlflow/api/2.0/mlflow/users/current",
        "/api/2.0/mlflow-artifacts/artifacts/../../../etc/passwd",
        "/api/2.0/mlflow-artifacts/artifacts/%2e%2e/x",
        "http://127.0.0.1/api/2.0/mlflow/webhooks",
    ],
)
def test_a_path_that_could_be_read_in_two_ways_is_refused(room, path):
    caller = benchmark("member_requests").Caller(room.state.address, "anna", room.passwords["anna"])
    status, body = caller.send("GET", path)
    assert status in (400, 403) and b"anna" not in body.replace(path.encode(), b"")


def test_a_header_that_is_sent_twice_is_refused(room):
    parts = urlsplit(room.state.address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.putrequest("GET", "/api/2.0/mlflow/users/current")
    for name, password in (("anna", room.passwords["anna"]), ("admin", "a guess")):
        connection.putheader("Authorization", "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode())
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 403 and b"same header twice" in answer.read()


def test_a_websocket_is_refused(room):
    connection = http.client.HTTPConnection(urlsplit(room.state.address).netloc, timeout=60)
    words = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    connection.request("GET", "/", headers=words | {"Sec-WebSocket-Key": base64.b64encode(b"0" * 16).decode()})
    assert connection.getresponse().status in (400, 401, 403)


def test_without_a_password_only_health_and_the_files_of_the_pages_are_answered(room):
    member_requests, answered = benchmark("member_requests"), []
    for (method, path), role in allowed_routes.listed().items():
        name = path.replace("{id}", "m-" + "0" * 32).replace("**", "a.txt").replace("{key}", "k").replace("{name}", "n")
        reply = requests.request(method, room.state.address + name, timeout=60)
        if reply.status_code != 401:
            answered.append((path, role))
    assert {role for _, role in answered} == {"anyone"}
    assert requests.get(f"{room.state.address}/health", timeout=60).text == "OK"
    assert member_requests.sample("/x/<y>") == "/x/x1"


def test_a_member_sends_nothing_that_is_the_admins(room):
    caller = benchmark("member_requests").Caller(room.state.address, "anna", room.passwords["anna"])
    for (method, path), role in allowed_routes.listed().items():
        if role == "admin" and method != "HEAD":
            status, body = caller.send(method, path.replace("{name}", "ben"), {})
            assert status == 403 and b"Only the admin of this server may send" in body, (method, path)


def test_sixty_requests_of_a_member_read_and_change_nothing_of_others(room, all_routes):
    member_requests = benchmark("member_requests")
    passwords = members.add_users(room.folder, ["victim", "mallory"])
    callers = {user: member_requests.Caller(room.state.address, user, p) for user, p in passwords.items()}
    callers["admin"] = member_requests.Caller(room.state.address, "admin", room.admin)
    victims = [
        member_requests.furnish(callers["admin"], "admin", "default", "5ec2e7-of-admin"),
        member_requests.furnish(callers["victim"], "victim", "victim", "5ec2e7-of-victim"),
    ]
    allowed = [route for route in all_routes if (route[0], spelt(route[1])) in allowed_routes.listed()]
    made = member_requests.make(60, 3, victims, allowed)
    with reachable(room.folder) as there:
        place = room.folder / "artifacts"
        result = member_requests.attack(callers["mallory"], there.uri, place, victims, made)
        assert (result.read, result.changed) == ([], []) and sum(result.statuses.values()) == 60
        control = member_requests.attack(callers["victim"], there.uri, place, victims, made)
        assert control.changed, "the same requests change something when their owner sends them"
    run = f"/api/2.0/mlflow/runs/get?run_id={victims[0].ids['run_id']}"
    assert b"5ec2e7-of-admin" in callers["admin"].send("GET", run)[1], "and there are secrets to be read"


def test_traces_prompts_datasets_and_judgements_of_a_lecture_work_for_a_member(room, as_anna):
    experiment = mlflow.set_experiment("genai")
    with mlflow.start_span("answer") as span:
        span.set_outputs("42")
    mlflow.flush_trace_async_logging()
    mlflow.log_feedback(trace_id=span.trace_id, name="right", value=True)
    (trace,) = mlflow.search_traces(locations=[experiment.experiment_id], return_type="list")
    assert trace.data.spans[0].outputs == "42" and trace.info.assessments[0].name == "right"
    mlflow.genai.register_prompt("ask", "Answer {{question}}")
    mlflow.genai.set_prompt_alias("ask", "best", 1)
    assert mlflow.genai.load_prompt("prompts:/ask@best").format(question="why") == "Answer why"
    questions = mlflow.genai.create_dataset("questions", experiment_id=[experiment.experiment_id])
    questions.merge_records([{"inputs": {"question": "why"}, "expectations": {"answer": "so"}}])
    assert len(mlflow.genai.get_dataset(dataset_id=questions.dataset_id).to_df()) == 1


# ---- a full disk ---------------------------------------------------------------------------------------------------


def leave_free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    usage = shutil.disk_usage("/")._replace(total=10**9, free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)


@pytest.mark.parametrize(
    ("free", "method", "path", "let_in"),
    [
        (99_000_000, "POST", "runs/create", False),
        (99_000_000, "POST", "runs/log-batch", False),
        (99_000_000, "POST", "runs/search", True),
        (99_000_000, "POST", "runs/update", True),
        (99_000_000, "GET", "runs/get", True),
        (101_000_000, "POST", "runs/create", True),
        (1_000_000, "GET", "runs/get", False),
    ],
)
def test_a_nearly_full_disk_takes_no_new_runs_but_shows_and_ends_those_it_has(free, method, path, let_in, monkeypatch):
    leave_free(monkeypatch, free)
    sent: list[dict] = []

    async def mlflows(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> dict:
        return {"type": "http.request"}

    async def send(message: dict) -> None:
        sent.append(message)

    place = door.Door(mlflows)
    monkeypatch.setattr(place, "_sign_in", lambda *who: SimpleNamespace(is_admin=False))
    credentials = b"Basic " + base64.b64encode(b"anna:secret")
    path = f"/api/2.0/mlflow/{path}"
    scope = {"type": "http", "method": method, "path": path, "headers": [(b"authorization", credentials)]}
    asyncio.run(place(scope, receive, send))
    if let_in:
        assert sent[0]["status"] == 200
    else:
        answer = json.loads(sent[1]["body"])
        assert (sent[0]["status"], answer["error_code"]) == (507, "RESOURCE_EXHAUSTED")
        assert "disk of this server is full" in answer["message"]


def test_a_file_that_would_fill_the_disk_is_refused_and_nothing_of_it_stays(tmp_path, monkeypatch):
    sent = []

    async def chunks() -> AsyncIterator[bytes]:
        for free in (101_000_000, 99_000_000, 101_000_000):
            leave_free(monkeypatch, free)
            sent.append(free)
            yield b"part"

    repository = LocalArtifactRepository(str(tmp_path))
    with pytest.raises(mlflow.MlflowException, match="disk of this server is full") as told:
        asyncio.run(repository.log_artifact_from_async_stream(chunks(), "a.txt"))
    assert told.value.get_http_status_code() == 507
    assert len(sent) == 3, "the rest is not read, so the client sees a broken connection instead of the answer"
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_status_and_start_tell_of_a_full_disk(room, tmp_path, monkeypatch):
    words = ["server", "status", "--folder", str(room.folder)]
    assert CliRunner().invoke(app, words).exit_code == 0
    leave_free(monkeypatch, 3_000_000)
    status = CliRunner().invoke(app, words)
    assert status.exit_code == 1 and "full: 3 MB free of 1,000" in status.output
    assert "refused until 100 MB are free" in status.output
    with pytest.raises(CourseError, match="full: 3 MB free.*needs 35 MB to start.*All logged runs are kept"):
        with opened(tmp_path, Settings(database="sqlite")):
            pass


def test_a_batch_that_ran_on_a_server_names_it_instead_of_a_missing_store(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://anna:secret@class.example:5002")
    job = batch.Batch(tmp_path, {})
    job.save()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert serve.serve_ui(tmp_path, 5001) == 0
    assert "on a server: open http://class.example:5002 and sign in" in capsys.readouterr().out
    assert "secret" not in (tmp_path / batch.PLAN).read_text()
    assert job.ui(Path("runs/x")) == "course ui --home runs/x"
    with pytest.raises(CourseError, match="holds no store"):
        serve.serve_ui(tmp_path / "none", 5001)


@pytest.mark.parametrize(
    ("variable", "said", "unsaid"),
    [(True, "unset MLFLOW_TRACKING_URI", "server leave"), (False, "course server leave", "MLFLOW_TRACKING_URI")],
)
def test_the_way_back_to_the_own_store_is_the_one_that_works(variable, said, unsaid, tmp_path, monkeypatch):
    uri = f"http://127.0.0.1:{unused_port()}"
    monkeypatch.setattr(course_store, "ENVIRONMENT_URI", uri if variable else None)
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    with pytest.raises(CourseError) as told:
        store.connect(uri)
    for text in (str(told.value), lab._elsewhere(uri)):
        assert said in text and unsaid not in text


@pytest.mark.parametrize(
    "url", ["class.example", "ftp://class.example", "http://", "http://a:b@class.example", "http://[x", "http://a b"]
)
def test_what_is_no_address_is_told(url, tmp_path):
    with pytest.raises(CourseError, match="not the address of a server|comes with a name"):
        class_server.join(tmp_path, url, "anna", "x")


def test_a_second_start_says_who_runs_there(room):
    result = CliRunner().invoke(app, ["server", "start", "--folder", str(room.folder)])
    assert isinstance(result.exception, CourseError)
    assert str(os.getpid()) in str(result.exception) and room.state.address in str(result.exception)
    with pytest.raises(CourseError, match="A server runs on"), locked(room.folder, "This"):
        pass


def test_a_taken_port_and_a_strange_host_are_told(room, tmp_path):
    port = Settings.read(room.folder).port
    with pytest.raises(CourseError, match=rf"cannot listen on 127.0.0.1, port {port}.*--port"):
        prepare(tmp_path / "other", port=port)
    with pytest.raises(CourseError, match="cannot listen on 192.0.2.1"):
        prepare(tmp_path / "other", host="192.0.2.1", port=unused_port())
    with pytest.raises(CourseError, match="would switch the check off"):
        prepare(tmp_path / "other", port=unused_port(), allowed_hosts=["*"])
    with pytest.raises(CourseError, match="another database than the one"):
        prepare(room.folder, database="sqlite")


def test_an_exposed_server_warns_and_allows_its_own_pages():
    settings = Settings(host="0.0.0.0", port=5002, allowed_hosts=["class.example"])
    assert is_exposed(settings) and "class.example:5002" in names(settings)
    assert "HTTP" in warning(settings) and not is_exposed(Settings())


@pytest.mark.parametrize("name", ["", "Anna", "an na", "../etc", "a\nb", "-a", "x" * 61, "ä", "a;b"])
def test_a_name_that_mlflow_would_not_take_is_told(room, name):
    with pytest.raises(CourseError, match="cannot be a user"):
        members.add_users(room.folder, ["carl", name])
    assert not server_has(room, "carl")


def server_has(room: Class, user: str) -> bool:
    url = f"{room.state.address}/api/2.0/mlflow/users/get"
    return requests.get(url, params={"username": user}, auth=("admin", room.admin), timeout=60).status_code == 200


def test_a_taken_name_adds_nobody(room):
    with pytest.raises(CourseError, match="user anna already"):
        members.add_users(room.folder, ["dora", "anna"])
    assert not server_has(room, "dora")


def test_friends_share_a_workspace(room):
    passwords = members.add_users(room.folder, ["fay", "gil"], "team-f")
    for name, password in passwords.items():
        url = f"{room.state.address}/api/2.0/mlflow/experiments/create"
        headers = {"X-MLFLOW-WORKSPACE": "team-f"}
        body = {"name": f"of-{name}"}
        assert requests.post(url, json=body, auth=(name, password), headers=headers, timeout=60).status_code == 200


def test_a_lost_password_is_replaced(room, tmp_path):
    new = members.set_password(room.folder, "ben")
    class_server.check(room.state.address, ("ben", new))
    room.passwords["ben"] = new
    with pytest.raises(CourseError, match="no user 'nobody-here'"):
        members.set_password(room.folder, "nobody-here")


def test_a_backup_restored_on_an_empty_folder_has_the_same_rows_and_files(room, as_anna, place):
    run_id = log_run("backed-up")
    target = server_backup.backup(room.folder, place / "backup")
    manifest = server_backup.read_manifest(target)
    assert manifest["rows"]["runs"] >= 1 and manifest["rows"]["users"] >= 3
    assert any(name.endswith("notes/a.txt") for name in manifest["files"])
    rows = server_backup.restore(target, place / "restored")
    assert rows == manifest["rows"]
    files = {
        p.relative_to(place / "restored").as_posix(): server_backup.sha256(p)
        for p in (place / "restored" / "artifacts").rglob("*")
        if p.is_file()
    }
    assert files == {n: e["sha256"] for n, e in manifest["files"].items() if n.startswith("artifacts/")}
    with reachable(place / "restored") as there:
        metrics = f"select value from metrics where run_uuid = '{run_id}'"
        assert there.postgres.run("psql", "-d", "mlflow", "-Atc", metrics).split() == ["0.75"]
        assert members.has_users(there.uri)
    with pytest.raises(CourseError, match="not an empty folder"):
        server_backup.restore(target, place / "restored")


def benchmark(name: str) -> ModuleType:
    """Import a script of benchmarks/."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[2] / "benchmarks" / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def test_nothing_that_several_writers_send_at_once_is_lost_or_mixed_up(room, monkeypatch):
    writers = benchmark("writers")
    who = {
        "MLFLOW_TRACKING_USERNAME": "anna",
        "MLFLOW_TRACKING_PASSWORD": room.passwords["anna"],
        "MLFLOW_WORKSPACE": "anna",
    }
    for name, value in who.items():
        monkeypatch.setenv(name, value)
    with reachable(room.folder) as there:
        place = writers.Place("server", room.state.address, there.uri, room.folder / "artifacts", who)
        result = writers.measure(place, 3, 3)
        assert (result.errors, result.missing) == ([], [])
        there.postgres.run("psql", "-d", "mlflow", "-c", "delete from params where value = '2' and key = 'run'")
        assert writers.count_back(place, "writers-3x3", 3, 3), "the count sees what is not there"


@pytest.mark.parametrize("damage", ["changed", "missing", "unknown", "link", "outside", "no manifest"])
def test_a_damaged_backup_is_not_restored(damage, tmp_path):
    good = tmp_path / "backup"
    (good / "artifacts").mkdir(parents=True)
    for name, text in (("mlflow.db", "rows"), ("artifacts/a.txt", "kept")):
        (good / name).write_text(text)
    files = {
        name: {"sha256": server_backup.sha256(good / name), "bytes": 4} for name in ("mlflow.db", "artifacts/a.txt")
    }
    if damage == "outside":
        (tmp_path / "a.txt").write_text("kept")
        files["../a.txt"] = files.pop("artifacts/a.txt")
    manifest = {"format": 1, "kind": "sqlite", "rows": {"runs": 1}, "files": files}
    (good / "manifest.json").write_text(json.dumps(manifest))
    if damage == "changed":
        (good / "artifacts/a.txt").write_text("other")
    elif damage == "missing":
        (good / "artifacts/a.txt").unlink()
    elif damage == "unknown":
        (good / "artifacts/b.txt").write_text("")
    elif damage == "link":
        (good / "artifacts/b").symlink_to("/")
    elif damage == "no manifest":
        (good / "manifest.json").unlink()
    with pytest.raises(CourseError, match="not as it was made|no backup that can be read"):
        server_backup.restore(good, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_folder_without_a_server_is_told(tmp_path):
    for verb in ("stop", "status", "backup", "upgrade"):
        result = CliRunner().invoke(app, ["server", verb, "--folder", str(tmp_path)])
        assert isinstance(result.exception, CourseError) and "no server in" in str(result.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("uri", ["oracle://x/y", "not a uri", "postgresql://nobody:x@127.0.0.1:1/none"])
def test_a_database_that_cannot_be_used_is_told(uri, tmp_path):
    with pytest.raises(CourseError, match="Unsupported database|cannot be used") as told:
        settings = prepare(tmp_path, database=uri, port=unused_port())
        with service.serve(tmp_path, settings, lambda text: None):
            pass
    assert "nobody:x@" not in str(told.value)
    assert running(tmp_path) is None


def test_an_older_database_is_upgraded_after_a_backup(tmp_path, store_template):
    shutil.copyfile(store_template, tmp_path / "mlflow.db")
    Settings(database="sqlite", port=unused_port()).write(tmp_path)
    age(tmp_path / "mlflow.db", down=True)
    with pytest.raises(CourseError, match="older MLflow.*course server upgrade --folder"):
        with service.serve(tmp_path, Settings.read(tmp_path), lambda text: None):
            pass
    before, after, kept = server_backup.upgrade(tmp_path)
    assert before != after and schema.age(str(after)) == "same"
    assert server_backup.read_manifest(kept)["schema"] == before
    assert server_backup.upgrade(tmp_path) == (after, after, None)


def age(database: Path, down: bool) -> str:
    """Take a store one schema revision back, as an older MLflow left it, or to one that nobody knows."""
    import sqlite3

    if not down:
        with sqlite3.connect(database) as connection:
            connection.execute("update alembic_version set version_num = 'ffffffffffff'")
        return "ffffffffffff"
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(f"sqlite:///{database}")
    config = _get_alembic_config(f"sqlite:///{database}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "-1")
    engine.dispose()
    return str(schema._revision(database))


def test_copied_runs_answer_as_the_runs_they_were_copied_from(course_home, monkeypatch):
    many_runs = benchmark("many_runs")
    monkeypatch.setattr(many_runs, "API_MADE", 20)
    uri = store.connect()
    many_runs.make_by_api(uri)
    many_runs.copy_rows(course_home / "mlflow.db", 200)
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name(many_runs.EXPERIMENT).experiment_id
    runs = client.search_runs([experiment], max_results=1000)
    parents = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
    assert (len(runs), len(parents)) == (200, 20)
    for parent in (parents[0], parents[-1]):
        below = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
        assert len(below) == 9 and {len(r.data.metrics) for r in below} == {3}
        assert all(r.info.run_id in r.info.artifact_uri for r in below)
    assert store.runs(many_runs.EXPERIMENT, "params.model = 'forest'").shape[0] == 100
