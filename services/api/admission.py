"""Back-pressure: whether more work is taken on.

A request compares figures that are read in the background, and pays nothing for them. They are about a second old, so
that the limits are overshot by what all API processes accept within that second.
"""

import asyncio
import time
from typing import Self

import structlog

from services.api.access.caller import Caller
from services.api.access.quotas import Quotas
from services.api.problems import ProblemError
from shared.blobs import Blobs
from shared.cancellation import cancel
from shared.settings import Settings
from shared.store.backlog import Backlog, QueuedWork

log = structlog.get_logger()

_LOOK_EVERY_SECONDS = 1.0
# A look that takes long is taken less often: a tenth of the time at most.
_REST = 10.0
# Time in which a queue of some length gets noticeably shorter, and in which an operator finds room on a disk.
_QUEUE_RETRY_SECONDS = 10
_DISK_RETRY_SECONDS = 60


class Admission:
    """Looks at the queue and at the disk while its context lasts."""

    def __init__(self, backlog: Backlog, blobs: Blobs, quotas: Quotas, settings: Settings) -> None:
        self._backlog = backlog
        self._quotas = quotas
        self._blobs = blobs
        self._max_jobs = settings.max_queued_jobs
        self._max_bytes = settings.max_queued_bytes
        self._min_free = settings.min_free_bytes
        self._queued = QueuedWork(0, 0)
        self._free: int | None = None
        self._is_blind = False
        self._looking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._looking = asyncio.create_task(self._keep_looking(), name="admission")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._looking is not None:
            await cancel(self._looking)

    async def admit(self, caller: Caller, *, jobs: int = 1) -> None:
        """Let more work of a caller come: so many jobs, or none, but bytes.

        Raises:
            ProblemError: 429, too much waits already, of all or of this key; 507, there is no room for its files.
        """
        if self._max_jobs and self._queued.jobs >= self._max_jobs:
            raise _too_much(f"{self._max_jobs} jobs or more wait to be done")
        if self._max_bytes and self._queued.input_bytes >= self._max_bytes:
            raise _too_much(f"Jobs with {self._max_bytes} bytes of input or more wait to be done")
        if self._free is not None and self._free < self._min_free:
            raise ProblemError(
                507,
                "disk-full",
                "Disk nearly full",
                "The disk that inputs and results are stored on is nearly full; try again later, or tell the operator.",
                headers={"Retry-After": str(_DISK_RETRY_SECONDS)},
            )
        await self._quotas.admit(caller, jobs=jobs)

    async def admit_bytes(self, caller: Caller, size_bytes: int) -> None:
        """Let bytes be kept that a caller has sent, before they become an upload.

        Raises:
            ProblemError: 507, its key may not keep so many.
        """
        await self._quotas.admit_bytes(caller, size_bytes)

    async def look(self) -> None:
        """Read the figures anew. Those of a store that cannot be asked stay as they were."""
        try:
            if self._max_jobs or self._max_bytes:
                self._queued = await self._backlog.queued(at_most=self._max_jobs or None)
            if self._min_free:
                room = await self._blobs.room()
                self._free = None if room is None else room.free_bytes
        except Exception as error:
            # Whatever it is: the requests themselves find out, and say so.
            if not self._is_blind:
                log.warning("queue and disk cannot be looked at", reason=type(error).__name__)
            self._is_blind = True
        else:
            self._is_blind = False

    async def _keep_looking(self) -> None:
        while True:
            began = time.monotonic()
            await self.look()
            await asyncio.sleep(max(_LOOK_EVERY_SECONDS, _REST * (time.monotonic() - began)))


def _too_much(what: str) -> ProblemError:
    return ProblemError(
        429,
        "too-much-queued",
        "Too much is queued",
        f"{what}; try again in {_QUEUE_RETRY_SECONDS} seconds.",
        headers={"Retry-After": str(_QUEUE_RETRY_SECONDS)},
    )
