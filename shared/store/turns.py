"""Jobs of keys that may only have so many run at a time: the others are held, and no message carries them.

A held job is queued, but no worker may claim it. It becomes a waiting one when its key has room, the first come first.
Only what is here lets it, and one at a time for each key: so a key never has more jobs under way than it may. One that
waits for the time of its next attempt is not under way, and is held again when that has come.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, or_, select, update

from shared.schema.jobs import JobStatus
from shared.store.database import Database
from shared.store.records import QueuedJob
from shared.store.tables import api_keys, is_held, is_leased, is_waiting, jobs


class Turns:
    """Whose turn it is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def release(self, key_id: UUID, *, limit: int) -> Sequence[QueuedJob]:
        """Let as many held jobs of a key go as it has room for; their messages are the caller's to publish.

        Args:
            key_id: whose jobs.
            limit: how many at most, also where the key is no longer limited.
        """
        most = select(api_keys.c.max_running_jobs).where(api_keys.c.id == key_id).with_for_update()
        its_own = jobs.c.key_id == key_id
        # What is being fetched is not under way yet: its work is.
        is_under_way = or_(is_leased, is_waiting) & (jobs.c.status != JobStatus.FETCHING)
        under_way = select(func.count()).where(its_own, jobs.c.finished_at.is_(None), is_under_way)
        async with self._database.write() as connection:
            # The lock of the key's row: two that look at the same time would both find the same room.
            its_most = (await connection.execute(most)).scalar_one()
            room = limit
            if its_most:
                room = min(limit, its_most - (await connection.execute(under_way)).scalar_one())
            if room <= 0:
                return []
            in_order = jobs.c.key_id, jobs.c.created_at, jobs.c.id
            next_ones = select(jobs.c.id).where(its_own, is_held).order_by(*in_order).limit(room)
            released = (
                update(jobs)
                .where(jobs.c.id.in_(next_ones.scalar_subquery()), is_held)
                .values(held=False, dispatched_at=self._database.now())
                .returning(jobs.c.id, jobs.c.queue, jobs.c.traceparent)
            )
            return [QueuedJob(row.id, row.queue, row.traceparent) for row in await connection.execute(released)]

    async def waiting_keys(self) -> Sequence[UUID]:
        """The keys that have held jobs."""
        its_held = select(jobs.c.id).where(jobs.c.key_id == api_keys.c.id, is_held).exists()
        async with self._database.read() as connection:
            return (await connection.execute(select(api_keys.c.id).where(its_held))).scalars().all()
