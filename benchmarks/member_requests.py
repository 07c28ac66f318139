"""What a member of a class server can read or change of others: requests made up with a fixed seed, and a count.

    python benchmarks/member_requests.py [--requests 600] [--seed 14]

An instructor (``admin``, workspace ``default``) and a learner (``ben``) each have an experiment, a run with files, a
registered model, a logged model, a trace and a dataset. A second learner (``anna``) sends requests over all routes of the
installed MLflow: their own methods and others, ids and names of the first two, every workspace, and paths spelt in odd
ways. Two things must not happen: a secret in an answer, and a row or file that is not what it was.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

QUERY = 'query { mlflowSearchRuns(input: {experimentIds: ["ID"]}) { runs { data { params { key value } } } } }'
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")

#: Prints all routes of MLflow's application with names and passwords, as JSON; run in a process of its own, because MLflow
#: reads its settings when it is imported.
_LIST_ROUTES = """
import json, sys
from mlflow.server import app as flask_app
from mlflow.server.auth import create_app
from starlette.routing import Mount

def native(routes, prefix=""):
    for route in routes:
        if hasattr(route, "original_router"):  # FastAPI 0.165 keeps included routers as they are
            yield from native(route.original_router.routes, prefix + route.include_context.prefix)
        elif isinstance(route, Mount):
            assert route.path == "", f"an application mounted at {route.path} is not looked into"
        else:
            yield from ((method, prefix + route.path) for method in getattr(route, "methods", None) or ["WEBSOCKET"])

app = create_app(flask_app)
found = set(native(app.routes)) | {(m, rule.rule) for rule in flask_app.url_map.iter_rules() for m in rule.methods}
json.dump(sorted(found), sys.stdout)
"""


def routes() -> list[tuple[str, str]]:
    """Return method and path of every route of the installed MLflow's server, as Flask or FastAPI spells it."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "auth.ini"
        lines = ["[mlflow]", "default_permission = READ", f"database_uri = sqlite:///{folder}/users.db"]
        settings.write_text("\n".join([*lines, "admin_username = admin"]), encoding="utf8")
        environment = os.environ | {
            "_MLFLOW_SGI_NAME": "uvicorn",
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder}/mlflow.db",
            "MLFLOW_ENABLE_WORKSPACES": "true",
            "MLFLOW_AUTH_CONFIG_PATH": str(settings),
            "MLFLOW_AUTH_ADMIN_PASSWORD": "only for this list",
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "only for this list",
        }
        command = [sys.executable, "-W", "ignore", "-c", _LIST_ROUTES]
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [(method, path) for method, path in json.loads(done.stdout)]


def sample(path: str, part: str = "x1", rest: str = "a/b") -> str:
    """Return a path that a route answers: its parts filled in."""
    path = re.sub(r"<path:[^>]*>|\{[^}]*:path\}", rest, path)
    return re.sub(r"<[^>]*>|\{[^}]*\}", part, path)


@dataclass
class Victim:
    """What somebody else has: names and ids, which a member may know, and secrets, which no request contains."""

    user: str
    workspace: str
    secret: str
    ids: dict[str, str] = field(default_factory=dict)
    artifact: str = ""


class Caller:
    """Sends requests as one user, with nothing between us and the wire that would tidy a path."""

    def __init__(self, address: str, user: str, password: str) -> None:
        parts = urlsplit(address)
        self._host, self._port = parts.hostname, parts.port
        self._credentials = base64.b64encode(f"{user}:{password}".encode()).decode()

    def send(
        self, method: str, path: str, body: Any = None, workspace: str | None = None, data: bytes | None = None
    ) -> tuple[int, bytes]:
        """Return status and body of the answer."""
        headers = {"Authorization": f"Basic {self._credentials}"}
        if workspace:
            headers["X-MLFLOW-WORKSPACE"] = workspace
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        connection = http.client.HTTPConnection(self._host, self._port, timeout=60)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if data is not None:
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Return the JSON of an answer that must be good."""
        status, text = self.send(method, path, body, **more)
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {text[:300]!r}")
        return json.loads(text or b"{}")


def furnish(caller: Caller, user: str, workspace: str, secret: str) -> Victim:
    """Give a user one of everything, each with the secret in it, and return its names and ids."""
    victim = Victim(user, workspace, secret)
    ids, here = victim.ids, {"workspace": workspace}
    old, new = "/api/2.0/mlflow", "/api/3.0/mlflow"
    tags = [{"key": "note", "value": secret}]
    ids["experiment_name"] = f"experiment-of-{user}"
    ids["experiment_id"] = caller.ask(
        "POST", f"{old}/experiments/create", {"name": ids["experiment_name"], "tags": tags}, **here
    )["experiment_id"]
    caller.ask("POST", f"{old}/experiments/create", {"name": f"hidden-{secret}"}, **here)
    experiment = {"experiment_id": ids["experiment_id"]}
    run = caller.ask("POST", f"{old}/runs/create", experiment | {"start_time": 1, "tags": tags}, **here)["run"]["info"]
    ids["run_id"] = run["run_id"]
    batch = {"run_id": ids["run_id"], "params": [{"key": "C", "value": secret}]}
    batch["metrics"] = [{"key": "auc", "value": 0.75, "timestamp": 1, "step": 0}]
    caller.ask("POST", f"{old}/runs/log-batch", batch, **here)
    victim.artifact = urlsplit(run["artifact_uri"]).path.lstrip("/") + "/notes/a.txt"
    place = f"/api/2.0/mlflow-artifacts/artifacts/{victim.artifact}"
    caller.ask("PUT", place, data=secret.encode(), **here)
    ids["model_name"] = f"model-of-{user}"
    model = {"name": ids["model_name"]}
    caller.ask("POST", f"{old}/registered-models/create", model | {"description": secret, "tags": tags}, **here)
    version = model | {"source": run["artifact_uri"], "run_id": ids["run_id"], "description": secret}
    caller.ask("POST", f"{old}/model-versions/create", version, **here)
    caller.ask("POST", f"{old}/registered-models/alias", model | {"alias": "champion", "version": "1"}, **here)
    logged = experiment | {"name": "logged", "source_run_id": ids["run_id"], "tags": tags}
    ids["model_id"] = caller.ask("POST", f"{old}/logged-models", logged, **here)["model"]["info"]["model_id"]
    ids["trace_id"] = "tr-" + hashlib.md5(user.encode(), usedforsecurity=False).hexdigest()
    info = {
        "trace_id": ids["trace_id"],
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": experiment},
        "request_time": "2026-01-01T00:00:00Z",
        "state": "OK",
        "request_preview": secret,
        "tags": {"note": secret},
    }
    caller.ask("POST", f"{new}/traces", {"trace": {"trace_info": info}}, **here)
    dataset = {
        "name": f"dataset-of-{user}",
        "experiment_ids": [ids["experiment_id"]],
        "tags": json.dumps({"n": secret}),
    }
    ids["dataset_id"] = caller.ask("POST", f"{new}/datasets/create", dataset, **here)["dataset"]["dataset_id"]
    scorer = experiment | {"name": "scorer", "serialized_scorer": json.dumps({"name": "scorer", "description": secret})}
    caller.send("POST", f"{new}/scorers/register", scorer, **here)
    return victim


# ---- requests ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """One request of the member."""

    method: str
    path: str
    body: dict[str, Any] | None
    workspace: str | None
    data: bytes | None = None


def _fields(victim: Victim, rng: random.Random) -> dict[str, Any]:
    """Return every field that a route of MLflow may ask for, filled with what somebody else has."""
    ids = victim.ids
    name = rng.choice([ids["model_name"], ids["experiment_name"], victim.workspace, "scorer"])
    return {
        "experiment_id": ids["experiment_id"],
        "experiment_ids": [ids["experiment_id"]],
        "experiment_name": ids["experiment_name"],
        "run_id": ids["run_id"],
        "run_uuid": ids["run_id"],
        "run_ids": [ids["run_id"]],
        "name": name,
        "new_name": f"{name}-taken",
        "model_name": ids["model_name"],
        "model_id": ids["model_id"],
        "version": "1",
        "alias": "champion",
        "stage": "Production",
        "trace_id": ids["trace_id"],
        "trace_ids": [ids["trace_id"]],
        "request_id": ids["trace_id"],
        "request_ids": [ids["trace_id"]],
        "dataset_id": ids["dataset_id"],
        "path": rng.choice(["notes/a.txt", "notes", "..", f"../../{victim.artifact}"]),
        "key": rng.choice(["note", "C", "mlflow.note.content"]),
        "value": "spoilt",
        "metric_key": "auc",
        "description": "spoilt",
        "tags": [{"key": "note", "value": "spoilt"}],
        "params": [{"key": "D", "value": "spoilt"}],
        "metrics": [{"key": "auc", "value": 0.1, "timestamp": 2, "step": 1}],
        "locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": ids["experiment_id"]}}],
        "filter": rng.choice(["", f"name = '{name}'", "name LIKE '%'"]),
        "max_results": 100,
        "max_timestamp_millis": 2**52,
        "view_type": "ALL",
        "lifecycle_stage": "deleted",
        "status": "FAILED",
        "username": rng.choice([victim.user, "anna"]) if victim.user != "anna" else "anna",
        "user": victim.user,
        "password": "a new password 1",
        "is_admin": True,
        "role_id": rng.randint(1, 6),
        "role": "member",
        "permission": "MANAGE",
        "resource_type": rng.choice(["experiment", "registered_model", "workspace"]),
        "resource_id": rng.choice([ids["experiment_id"], ids["model_name"], "*"]),
        "resource_pattern": "*",
        "workspace": victim.workspace,
        "workspace_name": victim.workspace,
        "source": f"mlflow-artifacts:/{victim.artifact.removesuffix('/notes/a.txt')}",
        "serialized_scorer": "{}",
        "full_access": True,
        "url": "http://127.0.0.1:9/",
        "query": QUERY.replace("ID", ids["experiment_id"]),
    }


#: Ways to spell a path that two frameworks might read differently.
_SPELLINGS = (
    lambda p: p.replace("/mlflow/", "//mlflow/"),
    lambda p: p + "/",
    lambda p: p.upper(),
    lambda p: p.replace("/", "/%2e/", 1),
    lambda p: "/health/../" + p.lstrip("/"),
    lambda p: "/static-files/..%2f.." + p,
    lambda p: p.replace("mlflow/", "mlflow%2f"),
    lambda p: p + ";.css",
    lambda p: p.replace("mlflow", "mlflo%77"),
    lambda p: p.replace("/", "\\", 2).replace("\\", "/", 1),
)


def make(count: int, seed: int, victims: Iterable[Victim], all_routes: list[tuple[str, str]]) -> list[Request]:
    """Return requests over all routes, in an order that the seed decides; no route comes twice before each came once."""
    rng = random.Random(seed)
    # Flask answers HEAD and OPTIONS by itself; they come as "another method" below.
    victims, shuffled = (
        list(victims),
        [route for route in all_routes if route[0] not in ("HEAD", "OPTIONS", "WEBSOCKET")],
    )
    rng.shuffle(shuffled)
    made = []
    for n in range(count):
        method, rule = shuffled[n % len(shuffled)]
        victim = rng.choice(victims)
        values = _fields(victim, rng)
        rest = rng.choice(
            [victim.artifact, f"{victim.ids['experiment_id']}/x.txt", f"../{victim.artifact}", "index.html"]
        )

        def fill(match: re.Match[str], values: dict[str, Any] = values, rest: str = rest) -> str:
            kind = match[0]
            if "path:" in kind or ":path" in kind:
                return quote(rest)
            names = {"request": "trace_id", "trace": "trace_id", "model": "model_id", "dataset": "dataset_id"}
            known = next((values[field] for word, field in names.items() if word in kind), None)
            return quote(str(known or values["name"]), safe="")

        path = re.sub(r"<[^>]*>|\{[^}]*\}", fill, rule)
        if rng.random() < 0.15:
            path = rng.choice(_SPELLINGS)(path)
        if rng.random() < 0.15:
            method = rng.choice(METHODS)
        workspace = rng.choice([None, "anna", "nobody", *[victim.workspace] * 4])
        keep = rng.random()  # some routes refuse a field that they do not know
        body = {k: v for k, v in values.items() if keep < 0.8 or rng.random() < 0.5}
        if method in ("GET", "HEAD", "DELETE"):
            flat = {k: v for k, v in values.items() if not isinstance(v, (list, dict))}
            path += ("&" if "?" in path else "?") + urlencode(flat)
        if method == "PUT" and "artifacts" in path:
            made.append(Request(method, path, None, workspace, b"spoilt"))
        else:
            made.append(Request(method, path, None if method in ("GET", "HEAD") else body, workspace))
    return made


# ---- what there is -------------------------------------------------------------------------------------------------


def rows(uri: str) -> Counter[tuple[str, str]]:
    """Return every row of every table of the database as text, with its table."""
    from sqlalchemy import MetaData, create_engine, select

    engine, tables = create_engine(uri), MetaData()
    try:
        tables.reflect(engine)
        with engine.connect() as connection:
            found = ((n, row) for n, table in tables.tables.items() for row in connection.execute(select(table)))
            return Counter((name, repr(dict(row._mapping))) for name, row in found)
    finally:
        engine.dispose()


def files(folder: Path) -> dict[str, str]:
    """Return the hash of every file below a folder."""
    found = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


@dataclass
class Result:
    """What came of the requests."""

    statuses: Counter[int] = field(default_factory=Counter)
    read: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


def attack(member: Caller, uri: str, artifacts: Path, victims: list[Victim], made: list[Request]) -> Result:
    """Send the requests and say what they have read or changed of the victims'."""
    result = Result()
    rows_before, files_before = rows(uri), files(artifacts)
    for request in made:
        status, body = member.send(request.method, request.path, request.body, request.workspace, request.data)
        result.statuses[status] += 1
        if leaked := [v.user for v in victims if v.secret.encode() in body]:
            result.read.append(f"{request.method} {request.path[:200]} ({request.workspace}): of {leaked}")
    rows_after, files_after = rows(uri), files(artifacts)
    result.changed += [f"row gone: {table} {row[:200]}" for table, row in rows_before - rows_after]
    result.changed += [f"file changed: {n}" for n, digest in files_before.items() if files_after.get(n) != digest]
    ids = "|".join(v.ids[i] for v in victims for i in ("run_id", "model_id", "trace_id", "dataset_id"))
    experiments = "|".join(v.ids["experiment_id"] for v in victims)
    places = "|".join(v.workspace for v in victims)
    own = re.compile(rf"{ids}|'experiment_id': '?({experiments})\b|'workspace': '({places})'")
    new_rows = rows_after - rows_before
    result.changed += [f"row new: {table} {row[:200]}" for table, row in new_rows if own.search(row)]
    folders = {v.artifact.rsplit("/artifacts/", 1)[0].split("/")[-2] for v in victims}
    new_files = files_after.keys() - files_before.keys()
    result.changed += [f"file new: {name}" for name in new_files if folders & set(name.split("/"))]
    return result


def measure(count: int, seed: int) -> tuple[Result, Result, list[Request]]:
    """Start a server, furnish it, send the requests as anna and then as ben, and return what came of both."""
    from course_runner.classroom import members, service
    from course_runner.classroom.database import reachable
    from course_runner.classroom.settings import prepare
    from course_utils._plumbing import processes

    with tempfile.TemporaryDirectory(prefix="mlflow-course-") as text:
        folder = Path(text)
        folder.chmod(0o711)
        settings = prepare(folder / "server", port=processes.unused_port())
        with service.serve(folder / "server", settings, lambda step: None) as (state, admin):
            passwords = members.add_users(folder / "server", ["anna", "ben"])
            rng = random.Random(seed)
            victims = [
                furnish(Caller(state.address, user, password), user, workspace, f"{rng.getrandbits(64):016x}")
                for user, password, workspace in (("admin", admin, "default"), ("ben", passwords["ben"], "ben"))
            ]
            made = make(count, seed, victims, routes())
            member = Caller(state.address, "anna", passwords["anna"])
            with reachable(folder / "server") as there:
                place = folder / "server" / "artifacts"
                result = attack(member, there.uri, place, victims, made)
                ben = Caller(state.address, "ben", passwords["ben"])
                return result, attack(ben, there.uri, place, victims, made), made


def main() -> None:
    """Run it and print the counts."""
    words = argparse.ArgumentParser()
    words.add_argument("--requests", type=int, default=600)
    words.add_argument("--seed", type=int, default=14)
    given = words.parse_args()
    result, control, made = measure(given.requests, given.seed)
    kinds = Counter(request.method for request in made)
    print(f"{len(made)} requests ({', '.join(f'{n} {m}' for m, n in kinds.most_common())}), seed {given.seed}")
    print("answers: " + ", ".join(f"{n} × {status}" for status, n in sorted(result.statuses.items())))
    print(f"read of others: {len(result.read)}")
    print(f"changed of others: {len(result.changed)}")
    for line in (*result.read, *result.changed):
        print("  ", line)
    print("answers to ben: " + ", ".join(f"{n} × {status}" for status, n in sorted(control.statuses.items())))
    print(
        f"The same requests, sent by ben: {len(control.read)} answers with a secret, {len(control.changed)} changed rows "
        "and files. (He may: it shows that the requests ask for what there is, and that reading and changing are seen.)"
    )
    sys.exit(bool(result.read or result.changed))


if __name__ == "__main__":
    main()
