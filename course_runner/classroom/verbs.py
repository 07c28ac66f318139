"""The verb ``course server``: a tracking server for a class or a team, and the way into it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from course_utils.errors import CourseError

if TYPE_CHECKING:
    from course_runner.classroom.folder import Running
    from course_runner.classroom.settings import Settings

app = typer.Typer()
server_app = typer.Typer(
    name="server",
    no_args_is_help=True,
    help="""Run a tracking server for a class or a team, or join one.

    The teacher: [cyan]course server start[/cyan], then [cyan]course server add-user anna ben[/cyan].
    Anna: [cyan]course server join http://class.example:5002 --user anna[/cyan]; her runs now go there.
    """,
)

Folder = Annotated[
    Path | None, typer.Option("--folder", "-f", help="Folder of the server.", show_default=".course/server")
]
Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        envvar="COURSE_DATABASE",
        help="postgresql (its own, in the folder), sqlite (a file in the folder), or the URI of another database.",
        show_default="postgresql",
    ),
]


def _folder(folder: Path | None) -> Path:
    from course_runner.classroom.settings import default_folder

    return (folder or default_folder()).absolute()


@contextmanager
def _steps() -> Iterator[Callable[[str], None]]:
    """Show what is being done: a spinner on a terminal, else nothing."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal or os.environ.get("COURSE_SERVER_QUIET"):
        yield lambda text: None
        return
    with console.status("…") as status:
        yield lambda text: status.update(f"{text} …")


@server_app.command()
def start(
    folder: Folder = None,
    database: Database = None,
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.", show_default="127.0.0.1"),
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port.", show_default="5002")] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option("--allowed-hosts", help="Host name under which clients reach the server; repeat, or use commas."),
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(help="Address of a proxy in front of the server, whose X-Forwarded-For is believed; repeat."),
    ] = None,
    background: Annotated[
        bool, typer.Option("--detach", help="Return as soon as it answers; `course server stop` ends it.")
    ] = False,
) -> None:
    """Start the server: PostgreSQL, sign-in, artifacts through the server. Ctrl-C stops all of it.

    The first start makes the user [bold]admin[/bold] and shows the password once. A folder remembers its options.

    Example: [cyan]course server start --host 0.0.0.0 --allowed-hosts class.example --detach[/cyan]
    """
    from course_runner.classroom import service
    from course_runner.classroom.folder import busy, running
    from course_runner.classroom.settings import prepare

    place = _folder(folder)
    hosts = [name.strip() for text in allowed_host or [] for name in text.split(",") if name.strip()]
    if (state := running(place)) is not None:
        raise CourseError(busy(place, "A second server"))
    settings = prepare(place, database=database, host=host, port=port, allowed_hosts=hosts, proxies=proxy or ())
    if background:
        words = ["--host", settings.host, "--port", str(settings.port)]
        words += [word for name in settings.allowed_hosts for word in ("--allowed-hosts", name)]
        words += [word for address in settings.proxies for word in ("--proxy", address)]
        if database is not None:
            os.environ["COURSE_DATABASE"] = database  # not on a command line, which others can read
        with _steps() as on_step:
            on_step("starting database and tracking server")
            state, password = service.detach(place, words)
        _started(place, settings, state, password)
        return
    with ExitStack() as room:
        with _steps() as on_step:
            state, password = room.enter_context(service.serve(place, settings, on_step))
        if not os.environ.get("COURSE_SERVER_QUIET"):
            _started(place, settings, state, password)
            typer.echo("Ctrl-C stops it.")
        service.wait(place)
    typer.echo("Stopped. All runs are kept.")


def _started(folder: Path, settings: Settings, state: Running, password: str | None) -> None:
    from course_runner.classroom.settings import is_exposed, warning

    typer.echo(f"Tracking server: {state.address}  (process {state.pid}, folder {folder})")
    if password:
        typer.echo(f"User admin, password {password}  (shown this once; write it down)")
    if is_exposed(settings):
        typer.echo(warning(settings), err=True)
    else:
        typer.echo("Only this machine can reach it. For a class: --host 0.0.0.0 --allowed-hosts NAME-OF-THIS-MACHINE")
    typer.echo(f"Let people in: course server add-user NAME …{_option(folder)}")


def _option(folder: Path) -> str:
    from course_runner.classroom.settings import default_folder

    return "" if folder == default_folder() else f" --folder {folder}"


@server_app.command()
def stop(folder: Folder = None) -> None:
    """Stop the server of a folder, wherever it was started.

    Example: [cyan]course server stop[/cyan]
    """
    from course_runner.classroom import service

    place = _folder(folder)
    state = service.stop(place)
    typer.echo(f"Stopped {state.address}. All runs are kept." if state else f"No server runs on {place}.")


@server_app.command()
def status(folder: Folder = None) -> None:
    """Show whether the server runs, its disk space, its users and its newest backup; exit 1 when stopped or full.

    Example: [cyan]course server status[/cyan]
    """
    from course_runner.classroom.folder import RESERVE, disk, running
    from course_runner.classroom.settings import Settings, names

    place = _folder(folder)
    settings = Settings.read(place)
    state = running(place)
    kind = settings.database if settings.database in ("postgresql", "sqlite") else "elsewhere"
    backups = sorted(p.parent.name for p in (place / "backups").glob("*/manifest.json"))
    has_room, room = disk(place)
    answer = "stopped"
    if state is not None:
        answer = f"{state.address}, process {state.pid}, since {state.since}" if state.ready else "starting"
    for what, value in {
        "server": answer,
        "folder": str(place),
        "database": kind,
        "disk": room,
        "listens on": f"{settings.host}:{settings.port}",
        "may be called": ", ".join(names(settings)),
        "newest backup": backups[-1] if backups else "none; course server backup",
    }.items():
        typer.echo(f"{what:14} {value}")
    if not has_room:
        need = f"{RESERVE / 1e6:.0f} MB"
        typer.echo(f"New runs are refused until {need} are free; all logged ones are kept.", err=True)
    if state is None or not state.ready or not has_room:
        raise typer.Exit(1)


@server_app.command("add-user")
def add_user(
    users: Annotated[list[str], typer.Argument(help="Names: small letters, digits, hyphens.")],
    workspace: Annotated[
        str | None, typer.Option(help="Put them into one workspace that they share; else each has their own.")
    ] = None,
    folder: Folder = None,
) -> None:
    """Make users; each has a workspace that no other learner sees. Prints each password once.

    Example: [cyan]course server add-user anna ben --workspace team-churn[/cyan]
    """
    from course_runner.classroom import members
    from course_runner.classroom.folder import running
    from course_runner.classroom.settings import Settings

    place = _folder(folder)
    with _steps() as on_step:
        on_step("making users")
        passwords = members.add_users(place, users, workspace)
    state = running(place)
    address = state.address if state else f"http://ADDRESS:{Settings.read(place).port}"
    width = max(map(len, passwords))
    where = f" --workspace {workspace}" if workspace else ""
    for name, password in passwords.items():
        typer.echo(f"{name:{width}}  {password}  course server join {address} --user {name}{where}")
    typer.echo("Give each line to its owner; the passwords are not shown again.", err=True)


@server_app.command()
def password(
    user: Annotated[str, typer.Argument(help="A user, or admin.")],
    folder: Folder = None,
) -> None:
    """Give a user, or admin, a new password and show it once; a running server may accept the old one for another minute.

    Example: [cyan]course server password admin[/cyan]
    """
    from course_runner.classroom import members

    with _steps() as on_step:
        on_step("setting the password")
        new = members.set_password(_folder(folder), user)
    typer.echo(f"{user}  {new}")


@server_app.command()
def backup(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="New folder.", show_default="FOLDER/backups/TIME")
    ] = None,
    folder: Folder = None,
) -> None:
    """Copy runs, users and artifacts into a folder with a manifest, whether the server runs or not.

    Example: [cyan]course server backup -o /media/disk/mlflow-friday[/cyan]
    """
    from course_runner.classroom import backup as server_backup

    with _steps() as on_step:
        target = server_backup.backup(_folder(folder), output, on_step)
        manifest = server_backup.read_manifest(target)
    rows, files = manifest["rows"], manifest["files"]
    size = sum(entry["bytes"] for entry in files.values()) / 1e6
    typer.echo(
        f"{target}: {rows.get('runs', 0)} runs, {sum(rows.values())} rows in {len(rows)} tables, "
        f"{len(files)} files, {size:.1f} MB, all read back and compared. It holds password hashes: keep it private."
    )


@server_app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A folder that `course server backup` made.", metavar="BACKUP")],
    folder: Folder = None,
    database: Database = None,
) -> None:
    """Make a server's folder from a backup, after checking every file; overwrites nothing.

    Example: [cyan]course server restore /media/disk/mlflow-friday --folder /srv/mlflow[/cyan]
    """
    from course_runner.classroom import backup as server_backup

    place = _folder(folder)
    with _steps() as on_step:
        rows = server_backup.restore(source.absolute(), place, database, on_step)
    typer.echo(
        f"{place}: {rows.get('runs', 0)} runs, {sum(rows.values())} rows in {len(rows)} tables, as in the backup. "
        f"Start it: course server start{_option(place)}"
    )


@server_app.command()
def upgrade(folder: Folder = None) -> None:
    """Bring the database of a stopped server to this MLflow's schema, after a backup.

    Example: [cyan]course server upgrade[/cyan]
    """
    from course_runner.classroom import backup as server_backup

    with _steps() as on_step:
        before, after, kept = server_backup.upgrade(_folder(folder), on_step)
    if kept is None:
        typer.echo(f"Nothing to do: the schema is {after}, the newest that this MLflow knows.")
    else:
        typer.echo(f"Schema {before or 'none'} → {after}. The backup from before: {kept}")


@server_app.command()
def join(
    url: Annotated[str, typer.Argument(help="Address of the server.", metavar="URL")],
    user: Annotated[str, typer.Option("--user", "-u", help="Your name on the server.")],
    workspace: Annotated[
        str | None, typer.Option(help="Where your runs go.", show_default="your own, named as you")
    ] = None,
) -> None:
    """Send this checkout's runs to a server from now on; asks for the password (or reads it from a pipe).

    Example: [cyan]course server join http://class.example:5002 --user anna[/cyan]
    """
    from course_utils import store
    from course_utils._plumbing import class_server

    if sys.stdin.isatty():
        secret = typer.prompt(f"Password of {user}", hide_input=True)
    else:
        secret = sys.stdin.readline().rstrip("\r\n")
    server = class_server.join(store.home(), url, user, secret, workspace)
    typer.echo(
        f"Joined {server.url} as {server.user}, workspace {server.workspace}. Notebooks and `course workflow` log there "
        "from their next start; name and password are in .course/joined.json, which only you can read.\n"
        "Homework, and the lecture Comparing runs, keep to your own store and say so: checks read its files.\n"
        "Back to it: course server leave"
    )
    if server.url.startswith("http://") and "127.0.0.1" not in server.url and "localhost" not in server.url:
        typer.echo("This address is not encrypted: use a password that you use nowhere else.", err=True)


@server_app.command()
def leave() -> None:
    """Send runs to this checkout's own store again; nothing on the server changes.

    Example: [cyan]course server leave[/cyan]
    """
    from course_utils import store
    from course_utils._plumbing import class_server

    before = class_server.leave(store.home())
    typer.echo(f"Left {before.url}. Runs go to {store.default_uri()}." if before else "You have joined no server.")


app.add_typer(server_app)
