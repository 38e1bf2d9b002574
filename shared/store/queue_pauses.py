"""Queues of which no job is begun.

Jobs are accepted meanwhile, and wait. That no job of such a queue is begun is a condition of the claim
(shared/store/job_statements.py): it holds whatever becomes of Redis and of the workers. The workers also stop asking
for the queue's messages, so that these stay where they are; a message that was underway is dropped by the claim, and
its job published again by the reconciler once the queue is resumed.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import delete, select

from shared.store.database import Database
from shared.store.dialect import upsert
from shared.store.tables import queue_pauses


class QueuePauses:
    """The table of paused queues."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pause(self, queue: str) -> bool:
        """Let no job of a queue begin. False where that is so already."""
        row = {"queue": queue, "since": self._database.now()}
        paused = upsert(self._database.dialect_name, queue_pauses).values(row).on_conflict_do_nothing()
        async with self._database.write() as connection:
            return (await connection.execute(paused.returning(queue_pauses.c.queue))).one_or_none() is not None

    async def resume(self, queue: str) -> bool:
        """Let the jobs of a queue begin again. False where it is not paused."""
        resumed = delete(queue_pauses).where(queue_pauses.c.queue == queue).returning(queue_pauses.c.queue)
        async with self._database.write() as connection:
            return (await connection.execute(resumed)).one_or_none() is not None

    async def all(self) -> Mapping[str, datetime]:
        """Every paused queue, and since when."""
        async with self._database.read() as connection:
            return {row.queue: row.since for row in await connection.execute(select(queue_pauses))}
