"""How the runner reaches its kernels: over Unix sockets where there are any, each kernel at a path of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from traitlets import DottedObjectName, Type

from course_runner.kernels.provisioner import SOCKET

#: Characters that the system allows in the path of a Unix socket (Linux 107, macOS 103).
SOCKET_PATH_LIMIT = 103
#: Bytes that a folder in memory must have left (a container often has 64 MB in all).
MEMORY_NEEDED = 4 << 30
#: Seconds to wait for a kernel's sockets; a kernel of another kind may open them in another order, and is asked then.
KERNEL_LISTENS = 3
#: What a kernel's socket needs behind the temporary folder: the server's folder, the kernel's, and a short name.
_SOCKET_PATH_REST = len("/mlck-12345678/k12345678/k-5")


def short_temporary_folder() -> str:
    """Return the temporary folder, or ``/tmp`` when a socket in it would have too long a path."""
    folder = tempfile.gettempdir()
    if os.name == "posix" and len(os.fsencode(folder)) + _SOCKET_PATH_REST > SOCKET_PATH_LIMIT:
        return "/tmp"
    return folder


def scratch_parent() -> str | None:
    """Return a folder in memory for scratch folders where there is room, or None for the usual one.

    A notebook's store waits for the disk at every commit; what is thrown away afterwards need not be there.
    """
    memory = "/dev/shm"
    if not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free < MEMORY_NEEDED:
        return None
    return memory


class PromptClient(AsyncKernelClient):
    """A client that takes a kernel as ready when it says so.

    jupyter_client 8.10 listens on until 0.2 s pass without a message, at each start. What it waits for is that IOPub is
    connected and nothing from before is left there; the kernel's own ``idle`` after its first answer shows both.
    """

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel has answered and IOPub has shown it.

        Raises
        ------
        RuntimeError
            When the kernel ends, or does not answer within `timeout` seconds.
        """
        end = float("inf") if timeout is None else time.monotonic() + timeout
        asked = set()
        while time.monotonic() < end:
            asked.add(self.kernel_info())
            try:
                reply = await self.shell_channel.get_msg(timeout=1)
                if reply["msg_type"] == "kernel_info_reply":
                    while not self._says_idle(await self.iopub_channel.get_msg(timeout=0.2), asked):
                        pass
                    self._handle_kernel_info_reply(reply)
                    return
            except Empty:  # not there yet, or IOPub was connected after it had spoken: ask again
                pass
            if not await self.is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
        raise RuntimeError(f"Kernel didn't respond in {timeout:g} seconds")

    @staticmethod
    def _says_idle(message: dict[str, Any], asked: set[str]) -> bool:
        idle = message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
        return idle and message["parent_header"].get("msg_id") in asked


class SocketKernelManager(AsyncKernelManager):
    """A kernel manager over Unix sockets in a folder of its own, which is removed with the kernel.

    Over TCP, every user of the machine can reach a kernel's ports, and ipykernel 7 says so on stderr at each start.
    jupyter_client's own ``ipc`` setting uses the same path for every kernel of a folder, so two kernels collide
    (jupyter_client 8.10). The folder also takes the kernel's temporary files, of which MLflow and Dask leave some
    behind. Where the warm server runs, the folder lies in the server's: it goes with the server when this process is
    killed.
    """

    client_class = DottedObjectName(f"{__name__}.PromptClient")
    client_factory = Type(PromptClient, klass=AsyncKernelClient)
    #: Whether the kernel was asked to end and did not.
    had_to_be_ended = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._folder: str | None = None
        self._above: list[Path] = []
        if os.name == "posix":
            server = Path(os.environ.get(SOCKET, "")).parent
            parent = server if SOCKET in os.environ and server.is_dir() else short_temporary_folder()
            self._folder = tempfile.mkdtemp(prefix="k" if parent == server else "mlck-", dir=parent)  # mode 0700
            self._above = [server] if parent == server else []
            self.transport = "ipc"
            self.ip = os.path.join(self._folder, "k")
            self.connection_file = os.path.join(self._folder, "kernel.json")

    async def _async_pre_start_kernel(self, **kw: Any) -> Any:
        """Let the kernel, and all that it starts, keep temporary files in the folder."""
        if self._folder:
            temporary = os.path.join(self._folder, "t")
            os.makedirs(temporary, exist_ok=True)
            if os.geteuid() == 0:  # root's PostgreSQL works as another user, who must be able to pass
                for folder in (*self._above, self._folder, temporary):
                    os.chmod(folder, 0o711)
            kw["env"] = {**(kw.get("env") or os.environ), "TMPDIR": temporary}
        return await super()._async_pre_start_kernel(**kw)

    async def _async_post_start_kernel(self, **kw: Any) -> None:
        """Return when the kernel listens: ZeroMQ tries a path that is not there yet again after a tenth of a second."""
        last = Path(f"{self.ip}-{self.hb_port}")  # ipykernel opens the heartbeat's socket last
        end = time.monotonic() + KERNEL_LISTENS
        while self.transport == "ipc" and not last.exists() and time.monotonic() < end and await self.is_alive():
            await asyncio.sleep(0.002)
        await super()._async_post_start_kernel(**kw)

    async def _async_finish_shutdown(
        self, waittime: float | None = None, pollinterval: float = 0.01, restart: bool = False
    ) -> None:
        """Look for the kernel's end ten times as often as jupyter_client does."""
        await super()._async_finish_shutdown(waittime, pollinterval, restart)

    async def _async_send_kernel_sigterm(self, restart: bool = False) -> None:
        """Note that the kernel has not ended by itself."""
        self.had_to_be_ended = True
        await super()._async_send_kernel_sigterm(restart)

    async def cleanup_resources(self, restart: bool = False) -> None:
        """Remove the sockets with the kernel."""
        await super().cleanup_resources(restart)
        if not restart:
            self.remove_folder()

    def remove_folder(self) -> None:
        """Remove the folder of the sockets."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
