"""Where the files of running jobs lie: a folder for each process, empty between its attempts."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path

from services.worker import identity

_PREFIX = "wavemill-"
# In place of what parts a process's name, which no folder's name may hold.
_PARTED = "~"


class Scratch:
    """The folders of this host's processes."""

    def __init__(self, scratch_dir: Path | None) -> None:
        self._scratch_dir = scratch_dir or Path(tempfile.gettempdir())

    @asynccontextmanager
    async def folder(self) -> AsyncIterator[Path]:
        """This process's folder, empty, for one attempt."""
        folder = self._mine
        # One for each attempt, made and removed, would cost as much as the statement that claims a job.
        folder.mkdir(mode=0o700, exist_ok=True)
        try:
            yield folder
        finally:
            if os.listdir(folder):  # noqa: PTH208 - iterdir() takes three times as long to find nothing
                # Deleting gigabytes takes its time: not on the loop, where the heartbeat is.
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def leave(self) -> None:
        """Remove this process's folder: it ends."""
        shutil.rmtree(self._mine, ignore_errors=True)

    def clear_of_the_dead(self) -> None:
        """Remove what processes of this host left behind that were killed."""
        for folder in self._scratch_dir.glob(f"{_PREFIX}*{_PARTED}*{_PARTED}*"):
            if identity.is_gone(folder.name.removeprefix(_PREFIX).replace(_PARTED, "/")):
                shutil.rmtree(folder, ignore_errors=True)

    @cached_property
    def _mine(self) -> Path:
        return self._scratch_dir / f"{_PREFIX}{identity.process_name().replace('/', _PARTED)}"
