"""How often jobs have ended, and how, at a cost that does not grow with their number.

A counter that each finishing transaction raised would be one row that all workers wait for. Instead the leading
reconciler adds up what has ended since it last did, in order of `finished_at`, and moves the watermark; a reader adds
to these totals the few jobs that ended after it.

An ending stays counted for ever: `ended` never falls, as a counter must not. Whoever takes an ended job away, or lets
it begin again, says so by `take_away` in the same transaction; how many jobs there are of a status is `ended - gone`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.schema.jobs import JobStatus
from shared.store.database import Database
from shared.store.dialect import upsert
from shared.store.tables import finished_totals, finished_watermark, jobs

# `finished_at` is when the finishing transaction began, and it is seen when that is committed: the watermark keeps
# away from the present by more than the longest transaction (statement and idle timeouts) can take.
SETTLED_SECONDS = 120.0
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FinishedCount:
    """The jobs of one queue that ended in one way."""

    status: JobStatus
    queue: str
    ended: int  # how often that has happened; never falls
    gone: int  # of these, the ones that began again or were removed

    @property
    def present(self) -> int:
        """How many jobs there are of this status now."""
        return self.ended - self.gone


class Finished:
    """The totals."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def totals(self) -> Sequence[FinishedCount]:
        """The jobs that have ended until now."""
        # Of one moment: between two statements the watermark could pass over jobs, which would then count twice or
        # not at all, and a counter that falls reads as a restart.
        async with self._database.snapshot() as connection:
            watermark = (await connection.execute(select(finished_watermark.c.counted_until))).scalar_one_or_none()
            recent = (
                select(jobs.c.status, jobs.c.queue, func.count().label("ended"), literal(0).label("gone"))
                .where(jobs.c.finished_at > (watermark or _BEGINNING))
                .group_by(jobs.c.status, jobs.c.queue)
            )
            both = select(finished_totals).union_all(recent).subquery()
            summed = select(both.c.status, both.c.queue, func.sum(both.c.ended), func.sum(both.c.gone)).group_by(
                both.c.status, both.c.queue
            )
            return [
                FinishedCount(JobStatus(status), queue, int(ended), int(gone))
                for status, queue, ended, gone in await connection.execute(summed)
            ]

    async def fold(self, limit: int) -> int:
        """Add the next jobs to the totals, about `limit` of them; gives how many there were."""
        async with self._database.write() as connection:
            watermark = await lock_watermark(connection, self._database)
            settled = (jobs.c.finished_at > watermark) & (jobs.c.finished_at < self._database.now(-SETTLED_SECONDS))
            page = select(jobs.c.finished_at).where(settled).order_by(jobs.c.finished_at).limit(limit).subquery()
            until = (await connection.execute(select(func.max(page.c.finished_at)))).scalar_one()
            if until is None:
                return 0
            # Up to and with `until`: jobs that ended at one moment are not torn apart.
            counted = (
                select(jobs.c.status, jobs.c.queue, func.count().label("ended"))
                .where(jobs.c.finished_at > watermark, jobs.c.finished_at <= until)
                .group_by(jobs.c.status, jobs.c.queue)
            )
            folded = 0
            for row in (await connection.execute(counted)).all():
                await _add(connection, self._database, row.status, row.queue, ended=row.ended, gone=0)
                folded += row.ended
            await connection.execute(update(finished_watermark).values(counted_until=until))
        return folded


async def lock_watermark(connection: AsyncConnection, database: Database) -> datetime:
    """Until when the totals count. Nobody else moves it, or takes jobs away, before this transaction ends."""
    # Of two transactions that find no row the second waits here for the first.
    first = upsert(database.dialect_name, finished_watermark).values(id=1, counted_until=_BEGINNING)
    await connection.execute(first.on_conflict_do_nothing())
    locked = await connection.execute(select(finished_watermark.c.counted_until).with_for_update())
    watermark: datetime = locked.scalar_one()
    return watermark


async def take_away(
    connection: AsyncConnection, database: Database, watermark: datetime, ended: Iterable[Row[*tuple[Any, ...]]]
) -> None:
    """Count jobs as gone that begin again, or are removed, in this transaction.

    Args:
        connection: in a transaction, which has locked the watermark before it touched the jobs.
        database: its database.
        watermark: as it was locked.
        ended: `status`, `queue` and `finished_at` of each job, as they were before.
    """
    gone: Counter[tuple[str, str]] = Counter()
    uncounted: Counter[tuple[str, str]] = Counter()
    for job in ended:
        gone[job.status, job.queue] += 1
        # The reader counts it by its row, which it will not find: its ending is counted here then.
        uncounted[job.status, job.queue] += job.finished_at > watermark
    for key in sorted(gone):
        await _add(connection, database, *key, ended=uncounted[key], gone=gone[key])


async def _add(
    connection: AsyncConnection, database: Database, status: str, queue: str, *, ended: int, gone: int
) -> None:
    added = upsert(database.dialect_name, finished_totals).values(status=status, queue=queue, ended=ended, gone=gone)
    await connection.execute(
        added.on_conflict_do_update(
            index_elements=["status", "queue"],
            set_={
                "ended": finished_totals.c.ended + added.excluded.ended,
                "gone": finished_totals.c.gone + added.excluded.gone,
            },
        )
    )
