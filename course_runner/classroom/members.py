"""Users of a class server, their passwords and their workspaces."""

from __future__ import annotations

import re
import secrets
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from course_runner.classroom.database import reachable
from course_utils._plumbing.noise import quiet
from course_utils.errors import CourseError

if TYPE_CHECKING:
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore


#: A name of a user is also the name of a workspace, and MLflow allows no more than this there.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,58}[a-z0-9])?")
#: What a member may do in a workspace. MANAGE of the workspace itself would let them make users, and the gateway
#: would let them make the server call addresses of their choice.
_MEMBER = {
    "workspace": "USE",
    "experiment": "MANAGE",
    "registered_model": "MANAGE",
    "prompt": "MANAGE",
    "scorer": "MANAGE",
}


def new_password() -> str:
    """Return a password of 96 random bits."""
    return secrets.token_urlsafe(12)


def has_users(uri: str) -> bool:
    """Tell whether the database has the user ``admin``, which the first start makes."""
    from sqlalchemy import create_engine, inspect, text

    engine = create_engine(uri)
    try:
        if not inspect(engine).has_table("users"):
            return False
        with engine.connect() as connection:
            return bool(connection.execute(text("select 1 from users where username = 'admin'")).scalar())
    finally:
        engine.dispose()


@contextmanager
def _auth_store(uri: str) -> Iterator[SqlAlchemyStore]:
    """Yield MLflow's own store of users."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow 3.17 imports a Starlette module that is to go
        from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

        quiet()
        users = SqlAlchemyStore()
        users.init_db(uri)
    try:
        yield users
    finally:
        users.engine.dispose()


def check_name(name: str) -> str:
    """Return the name of a user or workspace, or raise `CourseError` when MLflow would not take it."""
    if not _NAME.fullmatch(name):
        raise CourseError(
            f"{name!r} cannot be a user: a name has 1 to 60 small letters, digits and hyphens, for example anna-m. "
            "(It also names the workspace, and MLflow allows no other characters there.)"
        )
    return name


def add_users(folder: Path, new: Sequence[str], workspace: str | None = None) -> dict[str, str]:
    """Make users, each in a workspace of their own, or all in one that they share, and return their passwords.

    Raises
    ------
    CourseError
        When a name is not allowed or taken; then nobody is added.
    """
    for name in (*new, *([workspace] if workspace else [])):
        check_name(name)
    if twice := {name for name in new if list(new).count(name) > 1}:
        raise CourseError(f"{sorted(twice)[0]} is named twice. A user has one name, and a name one user.")
    passwords = {name: new_password() for name in new}
    with reachable(folder) as there, _auth_store(there.uri) as users:
        taken = [name for name in new if users.has_user(name)]
        if taken:
            raise CourseError(
                f"There is a user {taken[0]} already; nobody was added. "
                f"A new password for them: course server password {taken[0]}"
            )
        for name, password in passwords.items():
            place = workspace or name
            _make_workspace(there.uri, place)
            users.create_user(name, password)
            role = next((r for r in users.list_roles([place]) if r.name == "member"), None)
            if role is None:
                role = users.create_role("member", place)
                for kind, permission in _MEMBER.items():
                    users.add_role_permission(role.id, kind, "*", permission)
            users.assign_role_to_user(users.get_user(name).id, role.id)
    return passwords


def _make_workspace(uri: str, name: str) -> None:
    from mlflow.entities import Workspace
    from mlflow.store.workspace.sqlalchemy_store import SqlAlchemyStore as WorkspaceStore

    workspaces = WorkspaceStore(uri)
    try:
        if name not in {w.name for w in workspaces.list_workspaces()}:
            workspaces.create_workspace(Workspace(name=name))
    finally:
        workspaces._engine.dispose()


def set_password(folder: Path, name: str) -> str:
    """Give a user, or ``admin``, a new password and return it."""
    password = new_password()
    with reachable(folder) as there, _auth_store(there.uri) as users:
        if not users.has_user(name):
            raise CourseError(f"There is no user {name!r} on this server. Make one: course server add-user NAME")
        users.update_user(name, password=password)
    return password
