"""The life of a job: every arrow of its diagram (docs/architecture.md) is a method here, and nothing else moves it.

But for those of fetching, which are in shared/store/fetches.py.

A status moves by one conditional UPDATE ... RETURNING. A running job is written to by the holder of its lease only:
such an UPDATE names the job, the attempt and the lease's token, and one that changes no row raises LeaseLost.
Each arrow gives the event to publish once it is committed.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import uuid_utils.compat
from sqlalchemy import Update, case, false, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.schema.events import JobEvent
from shared.schema.jobs import TERMINAL_STATUSES, JobSpec, JobStatus, Upload
from shared.schema.options import NO_OPTIONS, JobOptions
from shared.store.change import Change
from shared.store.database import Database
from shared.store.errors import UploadMissing
from shared.store.finished import lock_watermark, take_away
from shared.store.job_inputs import JobInputs, add_sources, has_its_input, is_incomplete, lacks_an_input
from shared.store.job_statements import EVENT, REQUEUE, JobStatements
from shared.store.notice_marks import wants_notice
from shared.store.ownership import may_be_held, owns_job
from shared.store.records import (
    Claim,
    InputSource,
    Lease,
    LeaseLost,
    NewArtifact,
    NewJob,
    QueuedJob,
    Requeue,
    Usage,
    WebhookOrder,
)
from shared.store.tables import artifacts, is_delayed, is_waiting, jobs
from shared.store.webhooks import add_own


def event_of(row: Any) -> JobEvent:
    """Where a job stands after a change, by the columns EVENT."""
    return JobEvent(
        type="status",
        job_id=row.id,
        batch_id=row.batch_id,
        key_id=row.key_id,
        version=row.version,
        status=row.status,
        progress=row.progress,
        attempt=row.attempt,
        error_code=row.error_code,
        error_message=row.error_message,
    )


class Jobs:
    """The arrows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = JobStatements(database)
        self._inputs = JobInputs(database)

    async def create(
        self,
        spec: JobSpec,
        *,
        upload_id: UUID | None,
        queue: str,
        max_attempts: int,
        traceparent: str | None = None,
        sources: Sequence[InputSource] = (),
        options: JobOptions = NO_OPTIONS,
        key_id: UUID | None = None,
        owner: UUID | None = None,
        webhook: WebhookOrder | None = None,
        commit_with: Callable[[AsyncConnection, NewJob], Awaitable[None]] | None = None,
    ) -> NewJob:
        """Make a job: a queued one, or one that is to be fetched where a source is a URL.

        It is durable when this returns; its message is the caller's to publish.

        One that is to begin later has no message: it is released when its time has come.

        Args:
            spec: what to do.
            upload_id: its own input; None where a source is that.
            queue: where it waits, for its turn or for being fetched.
            max_attempts: how often it is tried.
            traceparent: of the request that makes it.
            sources: further inputs, and its own one if that is to be fetched.
            options: when it may begin, what it is labelled with, how long its results are kept.
            key_id: whose it will be; None: made without a key.
            webhook: one of the job's own, to be told of its end.
            owner: whose the uploads must be; None: anybody's.
            commit_with: what is to be written in the same transaction; whatever it raises, there is no job.

        Raises:
            UploadMissing: there is no such upload that the owner has, or its bytes are no longer kept.
        """
        given = {
            "given_id": uuid_utils.compat.uuid7(),
            "given_queue": queue,
            "given_priority": spec.priority,
            "given_spec": spec.model_dump(mode="json"),
            "given_upload": upload_id,
            "given_batch": None,
            "given_webhook": None,
            "given_status": JobStatus.FETCHING if any(source.url for source in sources) else JobStatus.QUEUED,
            "given_has_inputs": bool(sources),
            "given_traceparent": traceparent,
            "given_max_attempts": max_attempts,
            "given_preset": options.preset,
            "given_metadata": options.metadata or None,
            "given_not_before": options.not_before,
            "given_keep": options.expires_in,
            "given_key": key_id,
            "given_owner": owner,
        }
        if commit_with is None and not sources and webhook is None:
            return await self._created(self._statements.creation.apply(given), upload_id)
        async with self._database.write() as connection:
            if webhook is not None:
                given["given_webhook"] = await add_own(connection, self._database, webhook, key_id)
            new = await self._created(connection.run_sync(self._statements.creation.within, given), upload_id)
            if sources:
                new = replace(new, sources=await add_sources(connection, new.job_id, sources, owner))
            if commit_with is not None:
                await commit_with(connection, new)
        return new

    @staticmethod
    async def _created(creation: Awaitable[Any], upload_id: UUID | None) -> NewJob:
        try:
            made = await creation
        except IntegrityError as error:
            raise UploadMissing(upload_id) from error
        upload = None
        if upload_id is not None:
            upload = Upload(
                id=upload_id,
                filename=made.upload_filename,
                size_bytes=made.upload_size_bytes,
                sha256=made.upload_sha256,
                created_at=made.upload_created_at,
            )
        return NewJob(
            job_id=made.id,
            created_at=made.created_at,
            not_before=made.not_before,
            input=upload,
            event=event_of(made),
            is_held=made.held,
            webhook_id=made.webhook_id,
        )

    async def claim(
        self, job_id: UUID, *, worker: str, lease_seconds: float, traceparent: str | None = None
    ) -> Claim | None:
        """Queued -> running, under a new lease and attempt; None when the job is not there to be claimed.

        A job of a paused queue is not: it stays queued, and is published again when the queue is resumed.
        """
        token = uuid4()
        given = {
            "given_job": job_id,
            "given_token": token,
            "given_worker": worker,
            "given_lease": lease_seconds,
            "given_traceparent": traceparent,
        }
        row = await self._statements.claim.apply(given)
        if row is None:
            return None
        return Claim(
            lease=Lease(row.id, row.attempt, token),
            spec=JobSpec.model_validate(row.spec),
            queue=row.queue,
            traceparent=row.traceparent,
            input_sha256=row.sha256,
            input_filename=row.filename,
            attempts_spent=row.attempts_spent,
            max_attempts=row.max_attempts,
            first_traceparent=row.first_traceparent,
            waited_seconds=(row.started_at - row.due_at).total_seconds() if row.attempt == 1 else None,
            event=event_of(row),
            extras=await self._inputs.extras(row.id) if row.has_inputs else (),
        )

    async def heartbeat(self, lease: Lease, *, progress: float, lease_seconds: float) -> bool:
        """Renew the lease and record progress. True when the user wants the job canceled.

        Raises:
            LeaseLost: the lease is no longer held.
        """
        given = _given(lease) | {"given_progress": progress, "given_lease": lease_seconds}
        row = await self._statements.heartbeat.apply(given)
        if row is None:
            raise LeaseLost
        cancel_requested: bool = row.cancel_requested
        return cancel_requested

    async def succeed(
        self, lease: Lease, *, results: Mapping[str, Any], made: Sequence[NewArtifact], usage: Usage
    ) -> JobEvent:
        """Running -> succeeded; the artifacts become visible by this.

        Raises:
            LeaseLost: the lease is no longer held; nothing was written.
        """
        given = ending_of(lease, usage) | {"given_results": dict(results)}
        if not made:
            return await self._end(self._statements.success, given)
        rows = [
            {
                "job_id": lease.job_id,
                "name": artifact.name,
                "attempt": lease.attempt,
                "blob_key": artifact.blob_key,
                "media_type": artifact.media_type,
                "size_bytes": artifact.size_bytes,
                "sha256": artifact.sha256,
            }
            for artifact in made
        ]
        async with self._database.write() as connection:
            row = await connection.run_sync(self._statements.success.within, given)
            if row is None:
                raise LeaseLost
            await connection.execute(insert(artifacts), rows)
        return event_of(row)

    async def fail(self, lease: Lease, *, code: str, message: str, usage: Usage) -> JobEvent:
        """Running -> failed, for a reason that the user reads.

        Raises:
            LeaseLost: the lease is no longer held; nothing was written.
        """
        return await self._end(self._statements.failure, ending_of(lease, usage, code, message))

    async def finish_canceled(self, lease: Lease, *, usage: Usage) -> JobEvent:
        """Running -> canceled: the worker has stopped, as the user wanted.

        Raises:
            LeaseLost: the lease is no longer held; nothing was written.
        """
        return await self._end(self._statements.cancellation, ending_of(lease, usage))

    async def retry(self, lease: Lease, *, code: str, message: str, delay_seconds: float, usage: Usage) -> JobEvent:
        """Running -> queued, due again after a delay: the environment failed, not the file.

        Raises:
            LeaseLost: the lease is no longer held; nothing was written.
        """
        given = ending_of(lease, usage, code, message) | {"given_delay": delay_seconds}
        return await self._end(self._statements.retry, given)

    async def hand_back(self, lease: Lease, *, usage: Usage) -> JobEvent:
        """Running -> queued: the worker shuts down. The attempt does not tell against the job.

        Raises:
            LeaseLost: the lease is no longer held; nothing was written.
        """
        return await self._end(self._statements.return_to_queue, ending_of(lease, usage))

    async def lose(self, lease: Lease, *, only_expired: bool) -> Requeue | None:
        """Running -> queued, or failed when the attempts are spent, or canceled as was asked for: its worker died.

        None when the lease is no longer held, or when only an expired one was to be lost and this one is not.
        """
        given = ending_of(lease, Usage()) | {"given_also_unexpired": not only_expired}
        row = await self._statements.loss.apply(given)
        return None if row is None else Requeue(event_of(row), row.queue, row.traceparent)

    async def cancel(self, job_id: UUID, *, owner: UUID | None = None) -> JobEvent | None:
        """Queued -> canceled; a running job is marked, and its worker stops.

        None when the job had ended, or is not there, or is not the owner's.
        """
        waiting = jobs.c.lease_token.is_(None)
        now = self._database.now()
        canceled = (
            update(jobs)
            .where(jobs.c.id == job_id, owns_job(owner), jobs.c.status.not_in(TERMINAL_STATUSES))
            .values(
                cancel_requested=True,
                version=case((waiting, jobs.c.version + 1), else_=jobs.c.version),
                status=case((waiting, JobStatus.CANCELED), else_=jobs.c.status),
                finished_at=case((waiting, now), else_=None),
                not_before=None,
            )
            .returning(*EVENT)
        )
        async with self._database.write() as connection:
            row = (await connection.execute(canceled)).one_or_none()
        return None if row is None else event_of(row)

    async def reopen(self, job_id: UUID, *, owner: UUID | None = None) -> Requeue | None:
        """Failed or canceled -> queued, or fetching where an input is not there yet, as the user wants.

        With all its attempts again, the earlier ones on record.

        None when the job is neither, or is not there, or is not the owner's, or its input is no longer kept.
        """
        return next(iter(await self.reopen_all([job_id], owner=owner)), None)

    async def reopen_all(self, job_ids: Sequence[UUID], *, owner: UUID | None = None) -> Sequence[Requeue]:
        """The same for each of the jobs that can be reopened."""
        may_reopen = (
            jobs.c.id.in_(job_ids)
            & owns_job(owner)
            & jobs.c.status.in_([JobStatus.FAILED, JobStatus.CANCELED])
            & has_its_input
            & ~lacks_an_input
        )
        ended = select(jobs.c.status, jobs.c.queue, jobs.c.finished_at).where(may_reopen).with_for_update()
        reopened = (
            update(jobs)
            .where(may_reopen)
            .values(
                status=case((is_incomplete, JobStatus.FETCHING), else_=JobStatus.QUEUED),
                version=jobs.c.version + 1,
                progress=0.0,
                cancel_requested=False,
                attempts_spent=0,
                error_code=None,
                error_message=None,
                poisoned=False,
                dispatched_at=self._database.now(),
                due_at=self._database.now(),
                finished_at=None,
                notify=wants_notice(jobs.c.key_id, jobs.c.webhook_id),
                held=case((is_incomplete, false()), else_=may_be_held()),
            )
            .returning(*REQUEUE)
        )
        async with self._database.write() as connection:
            watermark = await lock_watermark(connection, self._database)
            before = (await connection.execute(ended)).all()
            rows = (await connection.execute(reopened)).all()
            if rows:
                await take_away(connection, self._database, watermark, before)
        return [Requeue(event_of(row), row.queue, row.traceparent) for row in rows]

    async def release_due(self, limit: int) -> Sequence[QueuedJob]:
        """The jobs whose time has come; their messages are the caller's to publish.

        Those whose key lets so many run at a time are held, and not among them.
        """
        now = self._database.now()
        due = (
            select(jobs.c.id)
            .where(is_delayed, jobs.c.not_before <= now)
            .order_by(jobs.c.not_before)
            .limit(limit)
            .with_for_update(skip_locked=True)
            # Not a subquery: PostgreSQL may run that once for each job, and so come to more of them than the limit.
            .cte("due")
        )
        released = (
            update(jobs)
            .where(jobs.c.id.in_(select(due.c.id)), is_delayed)
            .values(not_before=None, dispatched_at=now, held=may_be_held())
        )
        return await self._dispatched(released)

    async def redispatch(self, job_ids: Sequence[UUID], *, grace_seconds: float) -> Sequence[QueuedJob]:
        """Those of the jobs that still wait, and were last published more than a grace ago.

        Their messages are the caller's to publish. That is on record before it happens, and so happens
        at most once in a grace, whoever asks.
        """
        overdue = (
            update(jobs)
            .where(
                jobs.c.id.in_(job_ids),
                is_waiting,
                jobs.c.dispatched_at < self._database.now(-grace_seconds),
            )
            .values(dispatched_at=self._database.now())
        )
        return await self._dispatched(overdue)

    async def _dispatched(self, change: Update) -> Sequence[QueuedJob]:
        async with self._database.write() as connection:
            columns = jobs.c.id, jobs.c.queue, jobs.c.traceparent, jobs.c.held
            changed = await connection.execute(change.returning(*columns))
            return [QueuedJob(row.id, row.queue, row.traceparent) for row in changed if not row.held]

    async def _end(self, ending: Change, given: Mapping[str, Any]) -> JobEvent:
        row = await ending.apply(given)
        if row is None:
            raise LeaseLost
        return event_of(row)


def _given(lease: Lease) -> dict[str, Any]:
    return {"given_job": lease.job_id, "given_attempt": lease.attempt, "given_token": lease.token}


def ending_of(lease: Lease, usage: Usage, code: str | None = None, message: str | None = None) -> dict[str, Any]:
    """What the end of every attempt is given."""
    return {
        **_given(lease),
        "given_code": code,
        "given_message": message,
        "given_audio_seconds": usage.audio_seconds,
        "given_cpu_seconds": usage.cpu_seconds,
    }
