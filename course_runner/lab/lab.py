"""JupyterLab as the course shows it: lecture 00, a table of contents, and the MLflow UI in a tab of its own."""

from __future__ import annotations

import contextlib
import html
import os
import re
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.errors import CourseError

if TYPE_CHECKING:
    from course_runner.kernels.provisioner import ForkedProcess

#: JupyterLab's first port.
LAB_PORT = 8888
#: Settings (`etc`) and a small extension (`share`) that JupyterLab reads beside the learner's own, which it leaves alone.
HERE = Path(__file__).parent / "jupyter"
#: Name of the proxied server, and so its address below that of JupyterLab: ``/mlflow/``.
NAME = "mlflow"
#: What the tile shows first: the list of experiments.
PATH = f"{NAME}/#/experiments"
#: The word of the tile's command in a fork, instead of the port.
FORKED = "forked"


def lab_environment() -> dict[str, str]:
    """Return the environment of a JupyterLab that knows the course: this process's, with our folders in front."""

    def before(name: str, folder: Path) -> str:
        return os.pathsep.join([str(folder), *filter(None, [os.environ.get(name)])])

    return {
        **os.environ,
        "JUPYTER_CONFIG_PATH": before("JUPYTER_CONFIG_PATH", HERE / "etc"),
        "JUPYTER_PATH": before("JUPYTER_PATH", HERE / "share"),
        "JUPYTER_PREFER_ENV_PATH": "1",  # a learner's own kernel named python3 would run another Python
    }


def serve_lab(root: Path, words: list[str], port: int = LAB_PORT) -> int:
    """Open JupyterLab on lecture 00 until it is stopped, and return its exit code.

    Parameters
    ----------
    root
        The checkout, which becomes JupyterLab's top folder.
    words
        Further arguments for JupyterLab.
    port
        First port to try; the next free one is taken, and said, when another program has it.

    Raises
    ------
    CourseError
        When there is no lecture, or no free port.
    """
    from course_runner.kernels.warm import Warmth
    from course_runner.lab.ui import free_port, run_server

    first = sorted((root / "notebooks").glob("*.ipynb"))
    if not first:
        raise CourseError("notebooks/ is empty. Build the lectures: course build.")
    chosen = free_port(port)
    if chosen != port:
        print(f"Port {port} is taken by another program, so JupyterLab is on {chosen}.")
    lecture = first[0].relative_to(root).as_posix()
    opens = "" if "--no-browser" in words else " and opens in your browser"
    print(f"JupyterLab starts on port {chosen}{opens}; Ctrl-C stops it.", flush=True)
    command = [sys.executable, "-m", "jupyterlab", lecture, "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={chosen}"]
    command += [f"--ServerApp.root_dir={root}", f"--LabApp.default_url=/lab/tree/{lecture}"]
    command += ["--Application.log_level=ERROR"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # as in a container; it still listens on this machine only, behind a token
    command += words
    threading.Thread(target=trust, args=[root], daemon=True).start()
    # The warm server, too; on the systems that cannot fork a loaded process, kernels start as they always do.
    # A learner has one store: no kernel is to wait until an empty one has been made to copy it from.
    with contextlib.closing(Warmth(root, cold=False, scratch=None, make_template=False)) as warmth:
        return run_server(command, lab_environment() | warmth.environment(), root)


def trust(root: Path) -> None:
    """Sign the course's notebooks as `jupyter trust` does: until then JupyterLab shows no quiz that is stored in them."""
    from nbformat import read
    from nbformat.sign import NotebookNotary

    notary = NotebookNotary()
    for kind in ("notebooks", "exercises", "solutions"):
        for path in sorted((root / kind).glob("[0-9][0-9]_*.ipynb")):
            with contextlib.suppress(Exception):  # a broken file: JupyterLab says so when it is opened
                notary.sign(read(path, as_version=4))


# ---- the MLflow tile: an entry point of jupyter-server-proxy ---------------------------------------------------------


def tile() -> dict[str, Any]:
    """Return what jupyter-server-proxy starts when somebody asks for ``/mlflow/``, and the launcher's tile for it.

    JupyterLab's page asks when the first kernel is ready, before anybody clicks: see ``remoteEntry.js``.
    The store is looked up when the server starts, in JupyterLab's folder and environment: those that its notebooks get.
    JupyterLab has let the browser in before the proxy passes a request on, so MLflow sees its own address as the host.
    """
    return {
        "command": [sys.executable, "-m", __name__, "{port}"],
        "timeout": 60,
        "new_browser_tab": False,
        "request_headers_override": {"Host": "127.0.0.1:{port}"},
        "launcher_entry": {"title": "MLflow", "icon_path": str(HERE / "mlflow.svg"), "path_info": PATH},
    }


def public_origins() -> str:
    """Return from where, besides this machine, a browser may change something through the proxy; comma-separated.

    MLflow refuses to rename or delete for a page of another origin. On this machine nothing is to be allowed; in Binder,
    JupyterHub and Codespaces the browser sees JupyterLab under a public name.
    """
    found = [os.environ.get("MLFLOW_SERVER_CORS_ALLOWED_ORIGINS", "")]
    if url := re.match(r"https?://[^/]+", os.environ.get("JUPYTERHUB_PUBLIC_URL", "")):
        found.append(url[0])
    if "BINDER_LAUNCH_HOST" in os.environ:
        found.append("https://*.mybinder.org")
    if name := os.environ.get("CODESPACE_NAME"):
        domain = os.environ.get("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN", "app.github.dev")
        found.append(f"https://{name}-*.{domain}")
    return ",".join(filter(None, found))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>{refresh}
<style>
  :root {{ color-scheme: light dark }}
  body {{ font: 16px/1.5 system-ui, sans-serif; margin: 4em auto; max-width: 36em; padding: 0 1em }}
  code {{ overflow-wrap: anywhere }}
</style></head>
<body><main><h1>{title}</h1><p role="status">{text}</p></main></body></html>
"""


class Waiting:
    """Answers every request with one page, until the real server takes its socket over.

    Parameters
    ----------
    listener
        A socket that listens already.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener, self._over = listener, threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.show("The MLflow UI is starting", "This takes a few seconds; the page opens by itself.", again=True)
        self._thread.start()

    def show(self, title: str, text: str, again: bool = False) -> None:
        """Set the page: plain title, HTML text, and whether the browser soon asks again."""
        # Not <meta http-equiv="refresh">: to an address with a "#" that is not a new request.
        refresh = "<script>setTimeout(() => location.reload(), 500)</script>" if again else ""
        body = _PAGE.format(title=html.escape(title), text=text, refresh=refresh).encode()
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n"
            f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._answer = head.encode() + body

    def _serve(self) -> None:
        self._listener.settimeout(0.1)
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
                with connection:
                    connection.settimeout(1)
                    connection.recv(65536)
                    connection.sendall(self._answer)
            except OSError:  # nobody asked, or the browser went away
                continue

    def end(self) -> None:
        """Stop answering; requests that arrive from now on wait for the next server."""
        self._over.set()
        self._thread.join()


def _without_password(uri: str) -> str:
    return re.sub(r"(://)[^/@]*@", r"\1", uri)


def _elsewhere(uri: str) -> str:
    """Return what to say about a store that has a UI of its own, as HTML."""
    shown = html.escape(_without_password(uri))
    if uri.startswith(("http://", "https://")):
        shown = f'<a href="{shown}" target="_blank" rel="noopener">{shown}</a>'
    from course_utils._plumbing import course_store

    return (
        f"The notebooks of this JupyterLab send their runs to {shown}, so their UI is there. For the course's own store: "
        f"<code>{course_store.leaving(uri)}</code>, then start JupyterLab again."
    )


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone, for whatever reason."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
    os._exit(0)


def serve_tile(listener: socket.socket) -> None:
    """Serve the MLflow UI on the store of the notebooks, or a page that says why not, until JupyterLab ends.

    One process: MLflow's own ``mlflow server`` starts a supervisor first and takes three times as long.
    """
    waiting = Waiting(listener)
    if FORKED not in sys.argv and "COURSE_WARM_SOCKET" in os.environ and (process := _fork(listener)):
        waiting.end()
        listener.close()
        sys.exit(process.wait())
    try:
        from course_utils._plumbing import course_store
        from course_utils._plumbing.noise import quiet
        from course_utils._plumbing.processes import tracking_server_environment

        uri = course_store.default_uri()
        if "://" not in uri or not uri.startswith(("sqlite:", "postgresql", "mysql", "mssql")):
            waiting.show("The runs are kept elsewhere", _elsewhere(uri))
            threading.Event().wait()
        course_store.create(uri)
        settings = course_store.served(uri) | {"MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": public_origins()}
        if root := course_store.artifact_root(uri):  # links to artifacts stay those that the notebooks have written
            settings["_MLFLOW_SERVER_ARTIFACT_ROOT"] = root
        environment = tracking_server_environment(**settings)
        os.environ.clear()
        os.environ |= environment
        os.chdir(course_store.home())

        quiet()
        import uvicorn
        from mlflow.server.fastapi_app import app
    except CourseError as error:
        waiting.show("The MLflow UI cannot start", html.escape(str(error)))
        threading.Event().wait()
    waiting.end()
    uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3)).run(sockets=[listener])


def _fork(listener: socket.socket) -> ForkedProcess | None:
    """Let the warm server of `course lab`, which has imported MLflow, serve the tile on this socket.

    None where there is no such server, or where it cannot stand for a new interpreter.
    """
    from course_runner.kernels.provisioner import fork
    from course_runner.kernels.warm import KERNEL_SETTINGS

    environment = os.environ | KERNEL_SETTINGS
    del environment["COURSE_STORE_SYNC"]  # what is deleted or renamed in the UI is kept
    command = [sys.executable, "-m", "course_runner.lab.lab", FORKED]
    return fork(command, environment, os.getcwd(), [listener.fileno(), 1, 2])  # as its standard input


if __name__ == "__main__":
    if os.name == "posix":
        threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    if FORKED in sys.argv:
        serve_tile(socket.socket(fileno=0))
    serve_tile(socket.create_server(("127.0.0.1", int(sys.argv[1]))))
