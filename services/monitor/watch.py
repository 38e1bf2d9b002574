"""Looks at the stores in the background, so that a scrape costs nothing and cannot fail.

In the background and not in the scrape: a scrape answers at once however the stores are, any number of Prometheus
servers cost them the same, and what was seen is at most some seconds old. While a store cannot be reached there is no
view of it, rather than an old one.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog
from redis.asyncio import Redis

from services.monitor.messages import Messages
from services.monitor.reasons import in_a_line
from services.monitor.redis_health import RedisHealth, redis_health
from services.monitor.retention_times import keep_seconds
from shared.blobs import BlobMissing, Blobs, Room
from shared.settings import Settings
from shared.store.backlog import Backlog, QueueBacklog
from shared.store.database import Database
from shared.store.deliveries import Deliveries, DeliveryBacklog
from shared.store.finished import Finished, FinishedCount
from shared.store.footprint import Connections, Footprint
from shared.store.queue_pauses import QueuePauses
from shared.store.records import JobCount
from shared.store.retention import Retention
from shared.store.tallies import Tallies, Tally
from shared.store.workers import Census, Workers

log = structlog.get_logger()

_PAUSE_SECONDS = 2.0
# A look that takes long is taken less often: a tenth of the time at most.
_REST = 10.0
_LOOK_SECONDS = 5.0
_PROBE = "monitor-probe"

View = TypeVar("View")


class Watch(Generic[View]):
    """Takes a look at a store again and again."""

    def __init__(
        self, store: str, look: Callable[[], Awaitable[View]], *, pause_seconds: float = _PAUSE_SECONDS
    ) -> None:
        self._store = store
        self._look = look
        self._pause_seconds = pause_seconds
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
            await asyncio.sleep(max(self._pause_seconds, rest))

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
    """The jobs and the workers as the database has them, and the database itself."""

    queues: Mapping[str, QueueBacklog]
    paused: Collection[str]
    not_waiting: Sequence[JobCount]
    finished: Sequence[FinishedCount]
    poisoned: Mapping[str, int]
    expired_leases: int
    workers: Census
    tallies: Sequence[Tally]
    size_bytes: int
    rows: Mapping[str, int]
    connections: Connections | None
    retention_backlog: Mapping[str, float]
    deliveries: DeliveryBacklog


@dataclass(frozen=True, slots=True)
class RedisView:
    """The messages, by queue, as Redis has them, and Redis itself."""

    depths: Mapping[str, int]
    unacknowledged: Mapping[str, int]
    health: RedisHealth


@dataclass(frozen=True, slots=True)
class BlobView:
    """The blob store."""

    room: Room | None


class DatabaseLook:
    """Looks at the database."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._settings = settings
        self._backlog = Backlog(database)
        self._pauses = QueuePauses(database)
        self._finished = Finished(database)
        self._workers = Workers(database)
        self._tallies = Tallies(database)
        self._footprint = Footprint(database)
        self._retention = Retention(database)
        self._deliveries = Deliveries(database)

    async def __call__(self) -> DatabaseView:
        """One look."""
        settings = self._settings
        return DatabaseView(
            queues=await self._backlog.queues(grace_seconds=settings.undispatched_grace_seconds),
            paused=(await self._pauses.all()).keys(),
            not_waiting=await self._backlog.not_waiting(),
            finished=await self._finished.totals(),
            poisoned=await self._backlog.poisoned(),
            expired_leases=await self._backlog.expired_lease_count(),
            # As for a job's lease: so long may a worker be silent.
            workers=await self._workers.census(silent_after_seconds=settings.lease_seconds),
            tallies=await self._tallies.all(),
            size_bytes=await self._footprint.size_bytes(),
            rows=await self._footprint.rows(),
            connections=await self._footprint.connections(),
            retention_backlog=await self._retention.backlog_seconds(
                keep_artifacts_seconds=keep_seconds(settings.keep_artifacts_days),
                keep_jobs_seconds=keep_seconds(settings.keep_jobs_days),
            ),
            deliveries=await self._deliveries.backlog(),
        )


class RedisLook:
    """Looks at Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._messages = Messages(redis)

    async def __call__(self) -> RedisView:
        """One look."""
        return RedisView(
            depths=await self._messages.depths(),
            unacknowledged=await self._messages.unacknowledged(),
            health=await redis_health(self._redis),
        )


class BlobLook:
    """Looks at the blob store."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def __call__(self) -> BlobView:
        """One look: at a file that is not there, and at the disk."""
        with suppress(BlobMissing):
            await self._blobs.size(_PROBE)
        return BlobView(await self._blobs.room())
