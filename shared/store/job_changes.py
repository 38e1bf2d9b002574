"""Which jobs have changed since a moment: what a reader of events has missed, without a record of the events.

A job's row says where it stands now, and that is what a reader is told: each job that began, runs or ended since then,
in its present state. Nothing is written for it, and each part is read from an index that is there for other reasons.

`finished_at` is when the finishing transaction began, and is seen when that is committed. A reader that is to miss
nothing asks for what is as old as the longest transaction (shared.store.finished.SETTLED_SECONDS), and may be told of a
job twice; an event's (version, progress) says whether it is news.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, or_, select, true, tuple_

from shared.schema.events import JobEvent
from shared.store.database import Database
from shared.store.ownership import owns_job
from shared.store.tables import has_finished, is_leased, jobs

_PAGE = 500
_ORDERED_BY = {"job_id": jobs.c.id, "finished_at": jobs.c.finished_at, "status": jobs.c.status}
_EVENT = (
    jobs.c.id.label("job_id"),
    jobs.c.batch_id,
    jobs.c.key_id,
    jobs.c.version,
    jobs.c.status,
    jobs.c.progress,
    jobs.c.attempt,
    jobs.c.error_code,
    jobs.c.error_message,
    jobs.c.finished_at,
)


class JobChanges:
    """The questions. Answers come in pages, so that memory is bounded however much has changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def now(self) -> datetime:
        """The store's time."""
        async with self._database.read() as connection:
            moment: datetime = (await connection.execute(select(self._database.now()))).scalar_one()
        return moment

    async def since(self, moment: datetime, *, owner: UUID | None = None) -> AsyncIterator[JobEvent]:
        """The jobs of an owner that were created, run, or ended since a moment; of the first those that still wait."""
        first = _first_id_of(moment)
        waiting = select(*_EVENT).where(jobs.c.id >= first, jobs.c.finished_at.is_(None), jobs.c.attempt == 0)
        running = select(*_EVENT).where(is_leased)
        ended = select(*_EVENT).where(has_finished, jobs.c.finished_at >= moment)
        for query, order in ((waiting, ("job_id",)), (running, ("job_id",)), (ended, ("finished_at", "job_id"))):
            async for event in self._in_pages(query.where(owns_job(owner)), order):
                yield event

    async def of_batch(self, batch_id: UUID, moment: datetime) -> AsyncIterator[JobEvent]:
        """The jobs of a batch that were created, run, or ended since a moment."""
        changed = or_(
            jobs.c.finished_at >= moment,
            jobs.c.finished_at.is_(None) & or_(jobs.c.attempt > 0, jobs.c.created_at >= moment),
        )
        query = select(*_EVENT).where(jobs.c.batch_id == batch_id, changed)
        # The order of the index. A job whose status changes meanwhile may be passed over: that is news of now.
        async for event in self._in_pages(query, ("status", "job_id")):
            yield event

    async def _in_pages(self, query: Select[Any], order: Sequence[str]) -> AsyncIterator[JobEvent]:
        columns = [_ORDERED_BY[name] for name in order]
        query = query.order_by(*columns).limit(_PAGE)
        behind: ColumnElement[bool] = true()
        while True:
            async with self._database.read() as connection:
                page = (await connection.execute(query.where(behind))).mappings().all()
            for row in page:
                yield JobEvent(type="status", **{key: value for key, value in row.items() if key != "finished_at"})
            if len(page) < _PAGE:
                return
            last = tuple_(*(page[-1][name] for name in order), types=[column.type for column in columns])
            behind = tuple_(*columns) > last


def _first_id_of(moment: datetime) -> UUID:
    """No id of a job that was made later is smaller: a UUIDv7 begins with 48 bits of Unix time in ms (RFC 9562)."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
