"""How many jobs have ended, and how, at a cost that does not grow with their number.

A counter that each finishing transaction raised would be one row that all workers wait for. Instead the leading
reconciler adds up what has ended since it last did, in order of `finished_at`, and moves the watermark; a reader adds
to these totals the few jobs that ended after it. Whoever takes an ended job away, or lets it begin again, has to take
it from the totals too.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.schema.jobs import JobStatus
from shared.store.database import Database
from shared.store.records import JobCount
from shared.store.tables import finished_totals, finished_watermark, jobs

# `finished_at` is when the finishing transaction began, and it is seen when that is committed: the watermark keeps
# away from the present by more than the longest transaction (statement and idle timeouts) can take.
SETTLED_SECONDS = 120.0
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Finished:
    """The totals."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def totals(self) -> Sequence[JobCount]:
        """The jobs that have ended until now."""
        # Of one moment: between two statements the watermark could pass over jobs, which would then count twice or
        # not at all, and a counter that falls reads as a restart.
        async with self._database.snapshot() as connection:
            watermark = await _watermark(connection) or _BEGINNING
            recent = (
                select(jobs.c.status, jobs.c.queue, func.count().label("jobs"))
                .where(jobs.c.finished_at > watermark)
                .group_by(jobs.c.status, jobs.c.queue)
            )
            both = select(finished_totals).union_all(recent).subquery()
            summed = select(both.c.status, both.c.queue, func.sum(both.c.jobs)).group_by(both.c.status, both.c.queue)
            return [
                JobCount(JobStatus(status), queue, int(count))
                for status, queue, count in await connection.execute(summed)
            ]

    async def fold(self, limit: int) -> int:
        """Add the next jobs to the totals, about `limit` of them; gives how many there were."""
        async with self._database.write() as connection:
            # Nobody else moves it before this transaction ends: two leaders do not count a job twice.
            watermark = await _watermark(connection, lock=True)
            if watermark is None:
                # Of two that come here at once the second breaks the primary key, and tries again later.
                watermark = _BEGINNING
                await connection.execute(insert(finished_watermark).values(id=1, counted_until=watermark))
            settled = (jobs.c.finished_at > watermark) & (jobs.c.finished_at < self._database.now(-SETTLED_SECONDS))
            page = select(jobs.c.finished_at).where(settled).order_by(jobs.c.finished_at).limit(limit).subquery()
            until = (await connection.execute(select(func.max(page.c.finished_at)))).scalar_one()
            if until is None:
                return 0
            # Up to and with `until`: jobs that ended at one moment are not torn apart.
            ended = (
                select(jobs.c.status, jobs.c.queue, func.count().label("jobs"))
                .where(jobs.c.finished_at > watermark, jobs.c.finished_at <= until)
                .group_by(jobs.c.status, jobs.c.queue)
            )
            rows = [dict(row) for row in (await connection.execute(ended)).mappings()]
            await self._add(connection, rows)
            await connection.execute(update(finished_watermark).values(counted_until=until))
        return sum(row["jobs"] for row in rows)

    async def _add(self, connection: AsyncConnection, rows: Sequence[dict[str, object]]) -> None:
        dialect_insert = postgresql.insert if self._database.dialect_name == "postgresql" else sqlite.insert
        for row in rows:
            added = dialect_insert(finished_totals).values(row)
            await connection.execute(
                added.on_conflict_do_update(
                    index_elements=["status", "queue"],
                    set_={"jobs": finished_totals.c.jobs + added.excluded.jobs},
                )
            )


async def _watermark(connection: AsyncConnection, *, lock: bool = False) -> datetime | None:
    query = select(finished_watermark.c.counted_until)
    if lock:
        query = query.with_for_update()
    watermark: datetime | None = (await connection.execute(query)).scalar_one_or_none()
    return watermark
