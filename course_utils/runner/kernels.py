"""How the runner reaches its kernels: over Unix sockets where there are any, each kernel at a path of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any

from jupyter_client.manager import AsyncKernelManager


class SocketKernelManager(AsyncKernelManager):
    """A kernel manager over Unix sockets in a private folder.

    Over TCP, every user of the machine can reach a kernel's ports, and ipykernel 7 says so on stderr at each start.
    jupyter_client's own ``ipc`` setting uses the same path for every kernel of a folder, so two kernels collide
    (jupyter_client 8.10); a socket path is limited to about 100 characters, hence the short temporary folder.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._folder: str | None = None
        if os.name == "posix":
            self._folder = tempfile.mkdtemp(prefix="mlck-")  # mode 0700
            self.transport = "ipc"
            self.ip = os.path.join(self._folder, "k")

    async def cleanup_resources(self, restart: bool = False) -> None:
        """Remove the sockets with the kernel."""
        await super().cleanup_resources(restart)
        if not restart and self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
