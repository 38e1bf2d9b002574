"""What the front page shows. It is looked up at most once a second, however many browsers watch."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.monitor.page.throughput import Chart, Throughput, chart
from services.monitor.watch import DatabaseView, RedisView, Watch
from shared.broker import QUEUES
from shared.schema.jobs import JobStatus
from shared.store.database import Database
from shared.store.operations_views import FailureKind, JobLine, OperationsViews, RunningJob
from shared.store.queue_pauses import QueuePauses
from shared.store.workers import WorkerRow, Workers

_FRESH_SECONDS = 1.0
_RECENT = 15
_FAILED = 10
# More than that nobody reads.
_RUNNING = 200
COUNT_TO = 1000


@dataclass(frozen=True, slots=True)
class QueueLine:
    """A queue; None where nobody could be asked."""

    name: str
    paused_since: datetime | None
    waiting: int | None
    oldest_seconds: float | None
    delayed: int | None
    running: int | None
    messages: int | None
    unacknowledged: int | None
    is_served: bool  # some worker takes jobs from it


@dataclass(frozen=True, slots=True)
class WorkerLine:
    """A worker, and what it runs."""

    worker: WorkerRow
    is_silent: bool
    running: Sequence[RunningJob]


@dataclass(frozen=True, slots=True)
class Board:
    """All of it, at one moment."""

    at: datetime
    queues: Sequence[QueueLine]
    workers: Sequence[WorkerLine]
    of_unknown_workers: Sequence[RunningJob]
    is_running_cut: bool  # more runs than is listed
    recent: Sequence[JobLine]
    failed: Sequence[JobLine]
    failure_kinds: Sequence[FailureKind]
    chart: Chart
    redis_is_up: bool


class Boards:
    """Makes them. What the watches have seen anyway is not asked again."""

    def __init__(
        self,
        database: Database,
        seen_in_database: Watch[DatabaseView],
        seen_in_redis: Watch[RedisView],
        *,
        silent_after_seconds: float,
    ) -> None:
        self._views = OperationsViews(database)
        self._workers = Workers(database)
        self._pauses = QueuePauses(database)
        self._throughput = Throughput(self._views)
        self._database, self._redis = seen_in_database, seen_in_redis
        self._silent_after = timedelta(seconds=silent_after_seconds)
        self._looking = asyncio.Lock()
        self._board: Board | None = None
        self._fresh_until = float("-inf")

    async def now(self) -> Board:
        """The board as it is, or was within the last second.

        Raises:
            shared.store.errors.DATABASE_ERRORS: the database cannot be reached.
        """
        async with self._looking:
            if self._board is None or time.monotonic() >= self._fresh_until:
                self._board = await self._look()
                self._fresh_until = time.monotonic() + _FRESH_SECONDS
            return self._board

    def forget(self) -> None:
        """Something was changed: the next one who looks wants to see it."""
        self._fresh_until = float("-inf")

    async def _look(self) -> Board:
        at = datetime.now(UTC)
        known = await self._workers.all()
        running = await self._views.running(_RUNNING)
        by_process: dict[str, list[RunningJob]] = defaultdict(list)
        for found in running:
            by_process[found.process].append(found)
        workers = [
            WorkerLine(
                worker,
                is_silent=at - worker.seen_at > self._silent_after,
                running=[found for process in worker.processes for found in by_process.pop(process, ())],
            )
            for worker in known
        ]
        return Board(
            at=at,
            queues=self._queues(await self._pauses.all(), workers),
            workers=workers,
            of_unknown_workers=[found for several in by_process.values() for found in several],
            is_running_cut=len(running) == _RUNNING,
            recent=await self._views.page(status=None, error_code=None, before=None, limit=_RECENT),
            failed=await self._views.latest_failures(_FAILED),
            failure_kinds=await self._views.failure_kinds(count_to=COUNT_TO),
            chart=chart(await self._throughput.last_hour()),
            redis_is_up=self._redis.is_up is not False,
        )

    def _queues(self, paused: Mapping[str, datetime], workers: Sequence[WorkerLine]) -> Sequence[QueueLine]:
        database, redis = self._database.view, self._redis.view
        served = {
            queue
            for line in workers
            if not line.is_silent and line.worker.draining_since is None
            for queue in line.worker.queues
        }
        others: Counter[tuple[JobStatus, str]] = Counter()
        for group in database.not_waiting if database else ():
            others[group.status, group.queue] += group.jobs
        lines = []
        for queue in QUEUES:
            backlog = database.queues.get(queue) if database else None
            lines.append(
                QueueLine(
                    name=queue,
                    paused_since=paused.get(queue),
                    waiting=(backlog.waiting if backlog else 0) if database else None,
                    oldest_seconds=backlog.oldest_seconds if backlog else None,
                    delayed=others[JobStatus.QUEUED, queue] if database else None,
                    running=others[JobStatus.RUNNING, queue] + others[JobStatus.FETCHING, queue] if database else None,
                    messages=redis.depths[queue] if redis else None,
                    unacknowledged=redis.unacknowledged[queue] if redis else None,
                    is_served=queue in served,
                )
            )
        return lines
