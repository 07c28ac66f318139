"""How the runner reaches its kernels: over Unix sockets where there are any, each kernel at a path of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager

from .provisioner import SOCKET

#: Characters that the system allows in the path of a Unix socket (Linux 107, macOS 103).
SOCKET_PATH_LIMIT = 103
#: Bytes that a folder in memory must have left (a container often has 64 MB in all).
MEMORY_NEEDED = 4 << 30
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


class SocketKernelManager(AsyncKernelManager):
    """A kernel manager over Unix sockets in a private folder, which is removed with the kernel.

    Over TCP, every user of the machine can reach a kernel's ports, and ipykernel 7 says so on stderr at each start.
    jupyter_client's own ``ipc`` setting uses the same path for every kernel of a folder, so two kernels collide
    (jupyter_client 8.10). Where the warm server runs, the folder lies in the server's: it goes with the server when
    this process is killed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._folder: str | None = None
        if os.name == "posix":
            server = Path(os.environ.get(SOCKET, "")).parent
            parent = server if SOCKET in os.environ and server.is_dir() else short_temporary_folder()
            self._folder = tempfile.mkdtemp(prefix="k" if parent == server else "mlck-", dir=parent)  # mode 0700
            self.transport = "ipc"
            self.ip = os.path.join(self._folder, "k")
            self.connection_file = os.path.join(self._folder, "kernel.json")

    async def cleanup_resources(self, restart: bool = False) -> None:
        """Remove the sockets with the kernel."""
        await super().cleanup_resources(restart)
        if not restart:
            self.remove_folder()

    def remove_folder(self) -> None:
        """Remove the folder of the sockets."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
