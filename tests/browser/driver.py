"""Starts JupyterLab as a learner does, on a scratch copy of the notebooks, and handles it through the page alone.

The tests, the screenshots (site/screenshots.py) and a benchmark (benchmarks/lab_start.py) share it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FrameLocator, Locator, Page, Playwright

from course_utils._plumbing.processes import unused_port

ROOT = Path(__file__).resolve().parents[2]
#: Milliseconds that anything may take on a machine that does ten other things.
PATIENCE = 120_000


def chromium() -> str | None:
    """Return the path of the system's Chromium or Chrome, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next(filter(None, map(shutil.which, names)), None)


def launch(playwright: Playwright) -> Browser:
    """Start the system's Chromium without a window."""
    return playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the built site, and give its address: below a path, as GitHub Pages has it, not at the root."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder.parent))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/{folder.name}/"
        server.shutdown()


def assert_accessible(
    page: Page, what: str, *, inside: str | None = None, in_colour_only: bool = False, every_rule: bool = False
) -> None:
    """Let axe-core look for breaches of WCAG 2.1, levels A and AA.

    Parameters
    ----------
    page
        The page as it is.
    what
        Names the page or theme when there is a breach.
    inside
        A selector; the rest of the page is not looked at.
    in_colour_only
        Apply only the rules on colours: another theme changes nothing else.
    every_rule
        Apply also what axe-core calls best practice, of any severity.
    """
    rules = ["color-contrast", "link-in-text-block"] if in_colour_only else ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
    # All that passes would be described as well, which takes most of the time.
    # Nor are style sheets loaded again, which axe-core does from wrong addresses when one imports another.
    options = {"resultTypes": ["violations"], "preload": False} | ({} if every_rule else {"runOnly": rules})
    found = Axe().run(page, context={"include": [[inside]]} if inside else None, options=options)
    assert "color-contrast" in {rule["id"] for rule in found.response["passes"]}, f"{what}: no colour was looked at"
    assert found.violations_count == 0, f"{what}: {found.generate_report()}"


@dataclass
class Lab:
    """A running JupyterLab: its address with the token, its checkout and where its runs go."""

    url: str
    checkout: Path
    home: Path
    process: subprocess.Popen[bytes]
    said: Path

    @property
    def base(self) -> str:
        """Address of the server, without the path."""
        return re.match(r"http://[^/]+/", self.url)[0]

    def page(self, notebook: str, workspace: str) -> str:
        """Return the address of a notebook in a workspace of its own, so that no other page's tabs come back in it."""
        return f"{self.base}lab/workspaces/{workspace}/tree/{notebook}?token={self.token}"

    @property
    def token(self) -> str:
        """What lets a browser in."""
        return self.url.split("token=")[1]


def checkout(folder: Path, root: Path = ROOT) -> Path:
    """Make a checkout whose notebooks may be changed; the package and the sources are those of `root`."""
    folder.mkdir(parents=True)
    for name in ("notebooks", "exercises", "solutions"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    for name in ("course_utils", "source"):
        (folder / name).symlink_to(root / name)
    return folder


@contextlib.contextmanager
def lab(
    folder: Path,
    words: tuple[str, ...] = (),
    settings: dict[str, str] | None = None,
    root: Path = ROOT,
    command: str = "course_runner.cli",
    alone: bool = False,
) -> Iterator[Lab]:
    """Run `course lab` in a new checkout in `folder`; nothing of the user's Jupyter is read or written.

    Parameters
    ----------
    folder
        An empty folder for the checkout, the runs and Jupyter's own files.
    words, settings
        Further words and environment variables of `course lab`.
    root, command
        Another checkout, and the module that is its `course` command.
    alone
        JupyterLab without anything of the course, on lecture 00.
    """
    home, said = folder / "home", folder / "lab.log"
    home.mkdir(parents=True)
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "MLFLOW", "PYTEST"))},
        "COURSE_HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
        **(settings or {}),
    }
    port = unused_port()
    program = [sys.executable, "-m", command, "lab", "--no-browser", "--port", str(port), *words]
    place = checkout(folder / "course", root)
    if alone:
        page = f"--LabApp.default_url=/lab/tree/notebooks/{min(p.name for p in place.glob('notebooks/*.ipynb'))}"
        program = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--ServerApp.port={port}", page, "--allow-root"]
    with said.open("wb") as log:
        process = subprocess.Popen(program, cwd=place, env=environment, stdout=log, stderr=log)
    try:
        yield Lab(_address(process, said), place, home, process, said)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(60)


def _address(process: subprocess.Popen[bytes], said: Path) -> str:
    end = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"http://\S+token=\w+", said.read_text()):
            return found[0]
        time.sleep(0.05)
    raise RuntimeError(f"JupyterLab gave no address; it said: {said.read_text()}")


class LabPage:
    """JupyterLab in a browser, as a learner handles it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.set_default_timeout(PATIENCE)

    @property
    def notebook(self) -> Locator:
        """The notebook in front."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    @property
    def mlflow(self) -> FrameLocator:
        """The MLflow UI inside JupyterLab."""
        return self.page.frame_locator(".jp-ServerProxy iframe")

    def open(self, url: str) -> None:
        """Go to an address of JupyterLab and wait for the notebook's title."""
        self.page.goto(url)
        self.notebook.locator(".jp-RenderedMarkdown h1").wait_for()

    def show(self, path: str) -> None:
        """Bring a notebook to the front, opening it when it is not open; the page is not loaded again."""
        self.menu("File", "Open from Path")
        self.page.locator(".jp-Dialog input").fill(path)
        self.page.locator(".jp-Dialog button", has_text="Open").click()
        self.page.locator(f'.lm-TabBar-tab.lm-mod-current[title*="Path: {path}"]').wait_for()
        self.notebook.locator(".jp-RenderedMarkdown h1").wait_for()

    def close(self, tab: str) -> None:
        """Close a tab."""
        self.page.locator(f'.lm-TabBar-tabCloseIcon[title="Close {tab}"]').click()

    def follow(self, link: str, title: str) -> None:
        """Click a link of the notebook in front, and wait for the notebook whose title has `title`."""
        self.notebook.locator(".jp-RenderedMarkdown").get_by_role("link", name=link, exact=True).first.click()
        self.notebook.locator(".jp-RenderedMarkdown h1", has_text=title).wait_for()

    def wait_for_kernel(self) -> None:
        """Wait until the kernel of the notebook in front has nothing to do."""
        self.notebook.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for()
        # The toolbar says "idle" before there is a kernel; the status bar tells these apart.
        self.page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()

    def cells(self) -> Locator:
        """The cells of the notebook in front."""
        return self.notebook.locator(".jp-Notebook .jp-Cell")

    def code_cell(self, text: str) -> Locator:
        """The code cell that holds `text`."""
        return self.notebook.locator(".jp-CodeCell").filter(
            has=self.page.locator(".jp-InputArea-editor", has_text=text)
        )

    def run(self, cell: Locator) -> None:
        """Run one cell with Shift+Enter and wait for its end."""
        cell.locator(".jp-InputArea-prompt").first.click()
        self.page.keyboard.press("Shift+Enter")
        self.wait_until_done()

    def run_all(self) -> None:
        """Choose Run All Cells in the menu and wait for the end."""
        self.menu("Run", "Run All Cells")
        self.wait_until_done()

    def wait_until_done(self) -> None:
        """Wait until no cell of the notebook in front shows the star of a cell that runs or waits."""
        self.page.wait_for_function(
            """() => {
                const front = document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden)');
                return ![...front.querySelectorAll('.jp-InputPrompt')].some(e => e.textContent.includes('*'));
            }""",
            polling=100,  # milliseconds; Playwright's own choice is every frame that the browser draws
        )

    def write(self, cell: Locator, code: str) -> None:
        """Replace a cell's text."""
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(code)

    def menu(self, *names: str) -> None:
        """Choose an entry in the menus at the top."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text=re.compile(f"^{names[0]}$")).click()
        for depth, name in enumerate(names[1:]):
            menu = self.page.locator(".lm-Menu").nth(depth)
            menu.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{re.escape(name)}")).first.click()

    def theme(self, name: str) -> None:
        """Switch to the theme ``Light`` or ``Dark``."""
        self.menu("Settings", "Theme", f"JupyterLab {name}")
        self.page.locator(f'body[data-jp-theme-name="JupyterLab {name}"]').wait_for(state="attached")
        self.page.locator(".jp-Splash, #jupyterlab-splash").first.wait_for(state="detached")

    def launcher(self) -> None:
        """Open a new launcher."""
        self.page.locator(".lm-TabBar-addButton:not(.lm-mod-hidden)").first.click()
        self.page.locator(".jp-LauncherCard", has_text="MLflow").wait_for()
