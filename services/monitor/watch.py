"""Looks at the stores in the background, so that a scrape costs nothing and cannot fail.

In the background and not in the scrape: a scrape answers at once however the stores are, any number of Prometheus
servers cost them the same, and what was seen is at most some seconds old. While a store cannot be reached there is no
view of it, rather than an old one.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from services.monitor.messages import Messages
from services.monitor.reasons import in_a_line
from shared.store.backlog import Backlog, QueueBacklog
from shared.store.finished import Finished, FinishedCount
from shared.store.records import JobCount
from shared.store.workers import Census, Workers

log = structlog.get_logger()

_PAUSE_SECONDS = 2.0
# A look that takes long is taken less often: a tenth of the time at most.
_REST = 10.0
_LOOK_SECONDS = 5.0

View = TypeVar("View")


class Watch(Generic[View]):
    """Takes a look at a store again and again."""

    def __init__(self, store: str, look: Callable[[], Awaitable[View]]) -> None:
        self._store = store
        self._look = look
        self.is_up: bool | None = None
        """Whether the store answered; None before the first look has ended."""
        self.view: View | None = None
        """What was last seen; None while the store is away."""
        self.took_seconds = 0.0
        """How long the last look took."""

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.look()
            rest = _REST * self.took_seconds if self.is_up else 0.0
            await asyncio.sleep(max(_PAUSE_SECONDS, rest))

    async def look(self) -> None:
        """Take one look."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                self.view = await self._look()
        except Exception as error:
            if self.is_up is not False:
                log.warning("store cannot be watched", store=self._store, reason=in_a_line(error))
            self.is_up, self.view = False, None
        else:
            if self.is_up is False:
                log.info("store is back", store=self._store)
            self.is_up = True
        self.took_seconds = time.monotonic() - began


@dataclass(frozen=True, slots=True)
class DatabaseView:
    """The jobs and the workers, as the database has them."""

    queues: Mapping[str, QueueBacklog]
    not_waiting: Sequence[JobCount]
    finished: Sequence[FinishedCount]
    expired_leases: int
    workers: Census


@dataclass(frozen=True, slots=True)
class RedisView:
    """The messages, by queue, as Redis has them."""

    depths: Mapping[str, int]
    unacknowledged: Mapping[str, int]


class DatabaseLook:
    """Looks at the database."""

    def __init__(
        self,
        backlog: Backlog,
        finished: Finished,
        workers: Workers,
        *,
        grace_seconds: float,
        silent_after_seconds: float,
    ) -> None:
        self._backlog = backlog
        self._finished = finished
        self._workers = workers
        self._grace_seconds = grace_seconds
        self._silent_after_seconds = silent_after_seconds

    async def __call__(self) -> DatabaseView:
        """One look."""
        return DatabaseView(
            queues=await self._backlog.queues(grace_seconds=self._grace_seconds),
            not_waiting=await self._backlog.not_waiting(),
            finished=await self._finished.totals(),
            expired_leases=await self._backlog.expired_lease_count(),
            workers=await self._workers.census(silent_after_seconds=self._silent_after_seconds),
        )


class RedisLook:
    """Looks at Redis."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages

    async def __call__(self) -> RedisView:
        """One look."""
        return RedisView(depths=await self._messages.depths(), unacknowledged=await self._messages.unacknowledged())
