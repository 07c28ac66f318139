"""Which requests a class server answers, and whom: a list of what is allowed, so that everything else is closed.

MLflow has more than 400 routes, and a new version adds some. Most of them are not needed in a class, and a few are
dangerous in the hands of a member: MLflow 3.17 lets anybody who has signed in reconfigure the AI assistant in the home of
whoever runs the server. A list of what is forbidden would be out of date with every release of MLflow.
"""

from __future__ import annotations

import functools
import re
from typing import Literal

Role = Literal["anyone", "member", "admin"]

#: What may stand for a part of a path. An id has the shape that MLflow gives it, so that a route of a later version, such as
#: ``traces/export``, is not taken for one.
_PARTS = {"{id}": "[a-z]{1,2}-[0-9a-f]{32}", "{key}": "[^/]+", "{name}": "[a-z0-9-]+", "**": ".+"}

#: ``METHODS path``; ``api:`` stands for both ``/api/`` (Python clients) and ``/ajax-api/`` (pages). Whoever reads may also
#: send HEAD. MLflow itself decides which workspace, experiment, run or model a member may use; this list decides which
#: functions of the server there are.
_ALLOWED: dict[Role, str] = {
    # Without signing in: whether the server is there, and the files of its pages, which hold no data.
    "anyone": """
        GET /health
        GET /static-files/**
        GET api:3.0/mlflow/server-info
    """,
    # What the lectures, the homework, `course` and the pages for runs, models, traces and prompts need.
    "member": """
        GET /
        GET /version
        POST /graphql
        GET /ajax-api/2.0/mlflow/gateway-proxy
        GET /get-artifact
        GET /model-versions/get-artifact
        POST /v1/traces

        POST api:2.0/mlflow/experiments/create
        POST api:2.0/mlflow/experiments/delete
        POST api:2.0/mlflow/experiments/delete-experiment-tag
        GET api:2.0/mlflow/experiments/get
        GET api:2.0/mlflow/experiments/get-by-name
        POST api:2.0/mlflow/experiments/restore
        GET,POST api:2.0/mlflow/experiments/search
        POST api:2.0/mlflow/experiments/search-datasets
        POST api:2.0/mlflow/experiments/set-experiment-tag
        POST api:2.0/mlflow/experiments/update

        POST api:2.0/mlflow/runs/create
        POST api:2.0/mlflow/runs/delete
        POST api:2.0/mlflow/runs/delete-tag
        GET api:2.0/mlflow/runs/get
        POST api:2.0/mlflow/runs/log-batch
        POST api:2.0/mlflow/runs/log-inputs
        POST api:2.0/mlflow/runs/log-metric
        POST api:2.0/mlflow/runs/log-model
        POST api:2.0/mlflow/runs/log-parameter
        POST api:2.0/mlflow/runs/outputs
        POST api:2.0/mlflow/runs/restore
        POST api:2.0/mlflow/runs/search
        POST api:2.0/mlflow/runs/set-tag
        POST api:2.0/mlflow/runs/update
        GET api:2.0/mlflow/metrics/get-history
        GET api:2.0/mlflow/metrics/get-history-bulk
        GET api:2.0/mlflow/metrics/get-history-bulk-interval

        GET api:2.0/mlflow/artifacts/list
        POST api:2.0/mlflow/upload-artifact
        GET api:2.0/mlflow-artifacts/artifacts
        GET,PUT,DELETE api:2.0/mlflow-artifacts/artifacts/**

        POST api:2.0/mlflow/logged-models
        POST api:2.0/mlflow/logged-models/search
        GET,PATCH,DELETE api:2.0/mlflow/logged-models/{id}
        GET api:2.0/mlflow/logged-models/{id}/artifacts/directories
        GET api:2.0/mlflow/logged-models/{id}/artifacts/files
        POST api:2.0/mlflow/logged-models/{id}/params
        PATCH api:2.0/mlflow/logged-models/{id}/tags
        DELETE api:2.0/mlflow/logged-models/{id}/tags/{key}

        POST api:2.0/mlflow/registered-models/create
        DELETE api:2.0/mlflow/registered-models/delete
        DELETE api:2.0/mlflow/registered-models/delete-tag
        GET api:2.0/mlflow/registered-models/get
        GET,POST api:2.0/mlflow/registered-models/get-latest-versions
        POST api:2.0/mlflow/registered-models/rename
        GET api:2.0/mlflow/registered-models/search
        POST api:2.0/mlflow/registered-models/set-tag
        PATCH api:2.0/mlflow/registered-models/update
        GET,POST,DELETE api:2.0/mlflow/registered-models/alias
        POST api:2.0/mlflow/model-versions/create
        DELETE api:2.0/mlflow/model-versions/delete
        DELETE api:2.0/mlflow/model-versions/delete-tag
        GET api:2.0/mlflow/model-versions/get
        GET api:2.0/mlflow/model-versions/get-download-uri
        GET api:2.0/mlflow/model-versions/search
        POST api:2.0/mlflow/model-versions/set-tag
        POST api:2.0/mlflow/model-versions/transition-stage
        PATCH api:2.0/mlflow/model-versions/update

        GET,POST api:2.0/mlflow/traces
        PATCH api:2.0/mlflow/traces/{id}
        GET api:2.0/mlflow/traces/{id}/info
        PATCH,DELETE api:2.0/mlflow/traces/{id}/tags
        POST api:2.0/mlflow/traces/delete-traces
        POST api:2.0/mlflow/traces/link-prompts
        POST api:2.0/mlflow/traces/link-to-run
        GET api:2.0/mlflow/get-trace-artifact
        GET api:3.0/mlflow/get-trace-artifact
        POST api:3.0/mlflow/traces
        GET api:3.0/mlflow/traces/{id}
        POST api:3.0/mlflow/traces/{id}/assessments
        GET,PATCH,DELETE api:3.0/mlflow/traces/{id}/assessments/{id}
        PATCH,DELETE api:3.0/mlflow/traces/{id}/tags
        GET api:3.0/mlflow/traces/batchGet
        POST api:3.0/mlflow/traces/batchGetInfos
        POST api:3.0/mlflow/traces/calculate-filter-correlation
        POST api:3.0/mlflow/traces/delete-traces
        GET api:3.0/mlflow/traces/get
        POST api:3.0/mlflow/traces/metrics
        POST api:3.0/mlflow/traces/search

        GET,DELETE api:3.0/mlflow/datasets/{id}
        POST api:3.0/mlflow/datasets/{id}/add-experiments
        GET api:3.0/mlflow/datasets/{id}/experiment-ids
        GET,POST,DELETE api:3.0/mlflow/datasets/{id}/records
        POST api:3.0/mlflow/datasets/{id}/remove-experiments
        PATCH api:3.0/mlflow/datasets/{id}/tags
        DELETE api:3.0/mlflow/datasets/{id}/tags/{key}
        POST api:3.0/mlflow/datasets/create
        GET,POST api:3.0/mlflow/datasets/search

        DELETE api:3.0/mlflow/scorers/delete
        GET api:3.0/mlflow/scorers/get
        GET api:3.0/mlflow/scorers/list
        POST api:3.0/mlflow/scorers/register
        GET api:3.0/mlflow/scorers/versions

        GET api:3.0/mlflow/workspaces
        GET api:2.0/mlflow/users/current
        PATCH api:2.0/mlflow/users/update-password
        GET api:3.0/mlflow/users/current/permissions
    """,
    # Who is in the class, and what they may do. What would make the server itself act (assistant, jobs, gateway, webhooks,
    # demo data) is closed to the admin, too: a password that was lost must not become code that runs as the instructor.
    "admin": """
        POST api:2.0/mlflow/users/create
        DELETE api:2.0/mlflow/users/delete
        GET api:2.0/mlflow/users/get
        GET api:2.0/mlflow/users/list
        PATCH api:2.0/mlflow/users/update-admin
        GET api:3.0/mlflow/users/permissions/get
        POST api:3.0/mlflow/users/permissions/grant
        GET api:3.0/mlflow/users/permissions/list
        POST api:3.0/mlflow/users/permissions/revoke
        GET api:3.0/mlflow/users/roles/list

        POST api:3.0/mlflow/roles/assign
        POST api:3.0/mlflow/roles/create
        DELETE api:3.0/mlflow/roles/delete
        GET api:3.0/mlflow/roles/get
        GET api:3.0/mlflow/roles/list
        POST api:3.0/mlflow/roles/permissions/add
        GET api:3.0/mlflow/roles/permissions/list
        DELETE api:3.0/mlflow/roles/permissions/remove
        PATCH api:3.0/mlflow/roles/permissions/update
        DELETE api:3.0/mlflow/roles/unassign
        PATCH api:3.0/mlflow/roles/update
        GET api:3.0/mlflow/roles/users/list

        POST api:3.0/mlflow/workspaces
        GET,PATCH,DELETE api:3.0/mlflow/workspaces/{name}
    """,
}


@functools.cache
def listed() -> dict[tuple[str, str], Role]:
    """Return the list: method and path, spelt with the signs of `_PARTS` → role."""
    rows: dict[tuple[str, str], Role] = {}
    for role, text in _ALLOWED.items():
        for line in filter(None, map(str.strip, text.splitlines())):
            methods, path = line.split()
            for method in [*methods.split(","), *(["HEAD"] if "GET" in methods else [])]:
                for prefix in ("/api/", "/ajax-api/"):
                    rows[method, path.replace("api:", prefix)] = role
    return rows


@functools.cache
def _patterns() -> dict[str, list[tuple[re.Pattern[str], Role]]]:
    """Return the paths of the list as expressions, by method."""
    found: dict[str, list[tuple[re.Pattern[str], Role]]] = {}
    for (method, path), role in listed().items():
        parts = re.split(r"({id}|{key}|{name}|\*\*)", path)
        pattern = "".join(_PARTS.get(part, re.escape(part)) for part in parts)
        found.setdefault(method, []).append((re.compile(pattern, re.DOTALL), role))
    return found


def role_for(method: str, path: str) -> Role | None:
    """Return who may send a request, or None when nobody may.

    Parameters
    ----------
    method
        HTTP method, in capitals.
    path
        Decoded path, one that is `plain`.
    """
    return next((role for pattern, role in _patterns().get(method, []) if pattern.fullmatch(path)), None)


def plain(path: str, raw: bytes) -> bool:
    """Tell whether a path can be read in one way only.

    Flask, FastAPI and MLflow's own checks each take a path apart by themselves. What one of them might read otherwise (empty
    segments, dots, a slash or dot that is spelt with a percent sign, backslashes, control characters) is not a path of
    an honest client.

    Parameters
    ----------
    path
        Decoded path of the request.
    raw
        The path as it was sent.
    """
    if not path.startswith("/") or any(ord(c) < 32 or c in "\\\x7f\ufffd" for c in path):
        return False
    if re.search(rb"%(2f|2e|5c|25(2f|2e|5c))", raw, re.IGNORECASE):
        return False
    return path == "/" or not any(part in ("", ".", "..") for part in path[1:].split("/"))
