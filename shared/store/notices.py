"""Who is to be told of what has ended: found in the rows of jobs and batches, and put on record as deliveries.

A job that somebody wants to be told of is marked when it is made (shared/store/notice_marks.py). Its end costs nothing
more than another job's; afterwards the mark, which an index finds, is exchanged for deliveries in one transaction: none
is lost and none is made twice, whoever dies in between.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json, to_jsonable_python
from sqlalchemy import Column, Row, Table, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.schema.jobs import JobStatus
from shared.schema.webhooks import WebhookEvent
from shared.store.batch_views import BatchViews
from shared.store.database import Database
from shared.store.deliveries import new_delivery
from shared.store.job_views import JobViews
from shared.store.tables import (
    batches,
    has_not_ended,
    is_standing,
    is_to_be_told,
    jobs,
    webhook_deliveries,
    webhooks,
)

_EVENTS = {
    JobStatus.SUCCEEDED: WebhookEvent.JOB_SUCCEEDED,
    JobStatus.FAILED: WebhookEvent.JOB_FAILED,
    JobStatus.CANCELED: WebhookEvent.JOB_CANCELED,
}
_GOES_ON = (JobStatus.FETCHING, JobStatus.QUEUED, JobStatus.RUNNING)


def message(event: WebhookEvent, at: datetime, data: Any) -> str:
    """The body of a message: the envelope that Standard Webhooks recommends."""
    return to_json({"type": event, "timestamp": at, "data": data}).decode()


class Notices:
    """Exchanges marks for deliveries, some at a time."""

    def __init__(self, database: Database, *, give_up_seconds: float) -> None:
        """Nothing is done yet.

        Args:
            database: the store.
            give_up_seconds: how long a delivery is tried.
        """
        self._database = database
        self._give_up_seconds = give_up_seconds
        self._jobs = JobViews(database)
        self._batches = BatchViews(database)

    async def of_jobs(self, limit: int) -> int:
        """The jobs that ended first and that somebody is to be told of; gives how many there were."""
        page = select(jobs.c.id).where(is_to_be_told).order_by(jobs.c.finished_at, jobs.c.id).limit(limit)
        async with self._database.read() as connection:
            ended = (await connection.execute(page)).scalars().all()
        if not ended:
            return 0
        seen = {job_id: await self._view(job_id) for job_id in ended}
        # One that begins again just now keeps its mark.
        marked = update(jobs).where(jobs.c.id.in_(ended), is_to_be_told).values(notify=False)
        columns = (*_subject_columns(jobs), jobs.c.status, jobs.c.finished_at)
        async with self._database.write() as connection:
            told = (await connection.execute(marked.returning(*columns))).all()
            targets = await self._targets(connection, told)
            rows = []
            for job in told:
                event = _EVENTS[JobStatus(job.status)]
                body = message(event, job.finished_at, seen[job.id] or {"id": job.id, "status": job.status})
                rows += self._deliveries(job, event, body, targets)
            await _add(connection, rows)
        return len(ended)

    async def of_batches(self, limit: int) -> int:
        """The batches of which no job goes on any more; gives how many there were."""
        goes_on = select(jobs.c.id).where(jobs.c.batch_id == batches.c.id, jobs.c.status.in_(_GOES_ON))
        page = select(batches.c.id).where(has_not_ended, ~goes_on.exists()).order_by(batches.c.id).limit(limit)
        async with self._database.read() as connection:
            ended = (await connection.execute(page)).scalars().all()
        if not ended:
            return 0
        seen = {batch_id: await self._batches.get(batch_id) for batch_id in ended}
        marked = update(batches).where(batches.c.id.in_(ended), has_not_ended).values(ended_at=self._database.now())
        columns = (*_subject_columns(batches), batches.c.ended_at)
        async with self._database.write() as connection:
            told = (await connection.execute(marked.returning(*columns))).all()
            targets = await self._targets(connection, told)
            rows = []
            for batch in told:
                body = message(WebhookEvent.BATCH_ENDED, batch.ended_at, seen[batch.id])
                rows += self._deliveries(batch, WebhookEvent.BATCH_ENDED, body, targets)
            await _add(connection, rows)
        return len(ended)

    async def _view(self, job_id: UUID) -> Any:
        try:
            view: BaseModel | None = await self._jobs.get(job_id)
        except ValidationError:
            # Of another version of Wavemill: its id says enough.
            return None
        return None if view is None else to_jsonable_python(view)

    async def _targets(self, connection: AsyncConnection, ended: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
        own = {row.webhook_id for row in ended if row.webhook_id is not None}
        keys = {row.key_id for row in ended}
        of_keys = [webhooks.c.key_id.in_(keys - {None})]
        if None in keys:
            of_keys.append(webhooks.c.key_id.is_(None))
        columns = webhooks.c.id, webhooks.c.key_id, webhooks.c.events, webhooks.c.is_standing, webhooks.c.created_at
        found = select(*columns).where(webhooks.c.enabled)
        standing = await connection.execute(found.where(is_standing, or_(*of_keys)))
        return [*standing, *await connection.execute(found.where(webhooks.c.id.in_(own)))]

    def _deliveries(
        self, subject: Row[Any], event: WebhookEvent, body: str, targets: Sequence[Row[Any]]
    ) -> list[dict[str, Any]]:
        wanted = (
            target.id
            for target in targets
            if target.id == subject.webhook_id
            or (
                target.is_standing
                and target.key_id == subject.key_id
                # It is told of what is submitted from then on.
                and target.created_at <= subject.created_at
                and (not target.events or event in target.events)
            )
        )
        return [
            new_delivery(
                self._database,
                webhook_id,
                event,
                body,
                subject_id=subject.id,
                traceparent=subject.traceparent,
                give_up_seconds=self._give_up_seconds,
            )
            for webhook_id in wanted
        ]


def _subject_columns(table: Table) -> list[Column[Any]]:
    """What deliveries are made from, of a job or of a batch."""
    return [table.c[name] for name in ("id", "key_id", "webhook_id", "traceparent", "created_at")]


async def _add(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        # One statement for all: their times are the store's, and not values that a statement is run with.
        await connection.execute(insert(webhook_deliveries).values(rows))
