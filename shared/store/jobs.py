"""The life of a job: every arrow of its diagram (docs/architecture.md) is a method here, and nothing else moves it.

A status moves by one conditional UPDATE ... RETURNING. A running job is written to by the holder of its lease only:
such an UPDATE names the job, the attempt and the lease's token, and one that changes no row raises LeaseLost.
Each arrow gives the event to publish once it is committed.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import uuid_utils.compat
from sqlalchemy import ColumnElement, Executable, Update, Uuid, bindparam, case, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.schema.events import JobEvent
from shared.schema.jobs import TERMINAL_STATUSES, AttemptOutcome, JobSpec, JobStatus, Upload
from shared.store.database import Database
from shared.store.errors import UploadMissing
from shared.store.records import Claim, Lease, LeaseLost, NewArtifact, NewJob, QueuedJob, Requeue, Usage
from shared.store.tables import artifacts, attempts, is_delayed, is_queued, is_waiting, jobs, uploads

WORKER_LOST = "worker_lost"
_POISONED = (
    "The worker died each time it worked on this file, and the attempts are spent. "
    "The file may need more memory or time than a worker has, or crash the software that reads it."
)


_EVENT = (
    jobs.c.id,
    jobs.c.version,
    jobs.c.status,
    jobs.c.progress,
    jobs.c.attempt,
    jobs.c.error_code,
    jobs.c.error_message,
)
_UNLEASED: Mapping[str, Any] = {"lease_token": None, "lease_expires_at": None, "worker": None}


def _event(row: Any) -> JobEvent:
    return JobEvent(
        type="status",
        job_id=row.id,
        version=row.version,
        status=row.status,
        progress=row.progress,
        attempt=row.attempt,
        error_code=row.error_code,
        error_message=row.error_message,
    )


_ITS_UPLOAD = bindparam("its_upload", type_=Uuid)


def _creation(clock: ColumnElement[datetime]) -> Executable:
    # The upload comes with the same statement: to accept a job costs one.
    upload = (
        select(column).where(uploads.c.id == _ITS_UPLOAD).scalar_subquery().label(f"upload_{column.name}")
        for column in (uploads.c.filename, uploads.c.size_bytes, uploads.c.sha256, uploads.c.created_at)
    )
    new = {
        "status": JobStatus.QUEUED,
        "version": 1,
        "progress": 0.0,
        "cancel_requested": False,
        "attempt": 0,
        "attempts_spent": 0,
        "poisoned": False,
        "created_at": clock,
        "dispatched_at": clock,
    }
    return insert(jobs).values(new).returning(*_EVENT, jobs.c.created_at, *upload)


class Jobs:
    """The arrows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Built once: to build it takes as long as to run it.
        self._creation = _creation(database.clock)

    async def create(
        self, spec: JobSpec, *, upload_id: UUID, queue: str, max_attempts: int, traceparent: str | None = None
    ) -> NewJob:
        """Make a queued job. It is durable when this returns; its message is the caller's to publish.

        Raises:
            UploadMissing: there is no such upload.
        """
        row = {
            "id": uuid_utils.compat.uuid7(),
            "queue": queue,
            "priority": spec.priority,
            "spec": spec.model_dump(mode="json"),
            "upload_id": upload_id,
            _ITS_UPLOAD.key: upload_id,
            "traceparent": traceparent,
            "max_attempts": max_attempts,
        }
        try:
            async with self._database.write() as connection:
                made = (await connection.execute(self._creation, row)).one()
        except IntegrityError as error:
            raise UploadMissing(upload_id) from error
        return NewJob(
            job_id=made.id,
            created_at=made.created_at,
            input=Upload(
                id=upload_id,
                filename=made.upload_filename,
                size_bytes=made.upload_size_bytes,
                sha256=made.upload_sha256,
                created_at=made.upload_created_at,
            ),
            event=_event(made),
        )

    async def claim(self, job_id: UUID, *, worker: str, lease_seconds: float) -> Claim | None:
        """Queued -> running, under a new lease and attempt; None when the job is not there to be claimed."""
        now = self._database.now()
        token = uuid4()
        claimed = (
            update(jobs)
            .where(
                jobs.c.id == job_id,
                jobs.c.status == JobStatus.QUEUED,
                or_(jobs.c.not_before.is_(None), jobs.c.not_before <= now),
            )
            .values(
                status=JobStatus.RUNNING,
                version=jobs.c.version + 1,
                progress=0.0,
                attempt=jobs.c.attempt + 1,
                attempts_spent=jobs.c.attempts_spent + 1,
                lease_token=token,
                lease_expires_at=self._database.now(lease_seconds),
                worker=worker,
                not_before=None,
                started_at=func.coalesce(jobs.c.started_at, now),
            )
            .returning(
                *_EVENT,
                jobs.c.spec,
                jobs.c.queue,
                jobs.c.traceparent,
                jobs.c.upload_id,
                jobs.c.attempts_spent,
                jobs.c.max_attempts,
            )
        )
        async with self._database.write() as connection:
            row = (await connection.execute(claimed)).one_or_none()
            if row is None:
                return None
            await connection.execute(
                insert(attempts).values(job_id=row.id, number=row.attempt, worker=worker, started_at=now)
            )
            found = await connection.execute(
                select(uploads.c.sha256, uploads.c.filename).where(uploads.c.id == row.upload_id)
            )
            upload = found.one()
        return Claim(
            lease=Lease(row.id, row.attempt, token),
            spec=JobSpec.model_validate(row.spec),
            queue=row.queue,
            traceparent=row.traceparent,
            input_sha256=upload.sha256,
            input_filename=upload.filename,
            attempts_spent=row.attempts_spent,
            max_attempts=row.max_attempts,
            event=_event(row),
        )

    async def heartbeat(self, lease: Lease, *, progress: float, lease_seconds: float) -> bool:
        """Renew the lease and record progress. True when the user wants the job canceled.

        Raises:
            LeaseLost: the lease is no longer held.
        """
        beat = self._held(lease).values(
            lease_expires_at=self._database.now(lease_seconds),
            progress=case((jobs.c.progress > progress, jobs.c.progress), else_=progress),
        )
        async with self._database.write() as connection:
            cancel_requested: bool | None = (
                await connection.execute(beat.returning(jobs.c.cancel_requested))
            ).scalar_one_or_none()
        if cancel_requested is None:
            raise LeaseLost
        return cancel_requested

    async def succeed(
        self, lease: Lease, *, results: Mapping[str, Any], made: Sequence[NewArtifact], usage: Usage
    ) -> JobEvent:
        """Running -> succeeded; the artifacts become visible by this.

        Raises:
            LeaseLost: the lease is no longer held; nothing was written.
        """
        values = self._ended(JobStatus.SUCCEEDED) | {"progress": 1.0, "results": dict(results)}
        async with self._database.write() as connection:
            event = await self._end_attempt(connection, lease, values, AttemptOutcome.SUCCEEDED, usage)
            if made:
                await connection.execute(
                    insert(artifacts),
                    [
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
                    ],
                )
        return event

    async def fail(self, lease: Lease, *, code: str, message: str, usage: Usage) -> JobEvent:
        """Running -> failed, for a reason that the user reads.

        Raises:
            LeaseLost: the lease is no longer held; nothing was written.
        """
        values = self._ended(JobStatus.FAILED) | {"error_code": code, "error_message": message}
        async with self._database.write() as connection:
            return await self._end_attempt(
                connection, lease, values, AttemptOutcome.FAILED, usage, code=code, message=message
            )

    async def finish_canceled(self, lease: Lease, *, usage: Usage) -> JobEvent:
        """Running -> canceled: the worker has stopped, as the user wanted.

        Raises:
            LeaseLost: the lease is no longer held; nothing was written.
        """
        async with self._database.write() as connection:
            return await self._end_attempt(
                connection, lease, self._ended(JobStatus.CANCELED), AttemptOutcome.CANCELED, usage
            )

    async def retry(self, lease: Lease, *, code: str, message: str, delay_seconds: float, usage: Usage) -> JobEvent:
        """Running -> queued, due again after a delay: the environment failed, not the file.

        Raises:
            LeaseLost: the lease is no longer held; nothing was written.
        """
        due = case((jobs.c.cancel_requested, None), else_=self._database.now(delay_seconds))
        values = self._requeued() | {"not_before": due}
        async with self._database.write() as connection:
            return await self._end_attempt(
                connection, lease, values, AttemptOutcome.RETRIED, usage, code=code, message=message
            )

    async def hand_back(self, lease: Lease, *, usage: Usage) -> JobEvent:
        """Running -> queued: the worker shuts down. The attempt does not tell against the job.

        Raises:
            LeaseLost: the lease is no longer held; nothing was written.
        """
        values = self._requeued() | {"attempts_spent": jobs.c.attempts_spent - 1}
        async with self._database.write() as connection:
            return await self._end_attempt(connection, lease, values, AttemptOutcome.HANDED_BACK, usage)

    async def lose(self, lease: Lease, *, only_expired: bool) -> Requeue | None:
        """Running -> queued, or failed when the attempts are spent, or canceled as was asked for: its worker died.

        None when the lease is no longer held, or when only an expired one was to be lost and this one is not.
        """
        spent = jobs.c.attempts_spent >= jobs.c.max_attempts
        given_up = ~jobs.c.cancel_requested & spent
        now = self._database.now()
        lost = self._held(lease).values(
            **_UNLEASED,
            version=jobs.c.version + 1,
            progress=0.0,
            status=case(
                (jobs.c.cancel_requested, JobStatus.CANCELED),
                (spent, JobStatus.FAILED),
                else_=JobStatus.QUEUED,
            ),
            error_code=case((given_up, WORKER_LOST), else_=None),
            error_message=case(
                (
                    given_up,
                    _POISONED,
                ),
                else_=None,
            ),
            poisoned=given_up,
            finished_at=case((jobs.c.cancel_requested | spent, now), else_=None),
            dispatched_at=now,
        )
        if only_expired:
            lost = lost.where(jobs.c.lease_expires_at < now)
        async with self._database.write() as connection:
            row = (await connection.execute(lost.returning(*_EVENT, jobs.c.queue, jobs.c.traceparent))).one_or_none()
            if row is None:
                return None
            await self._close_attempt(
                connection,
                lease,
                AttemptOutcome.LOST,
                Usage(),
                code=WORKER_LOST,
                message="The worker died, or could not be heard of any more.",
            )
        return Requeue(_event(row), row.queue, row.traceparent)

    async def cancel(self, job_id: UUID) -> JobEvent | None:
        """Queued -> canceled; a running job is marked, and its worker stops.

        None when the job had ended, or is not there.
        """
        waiting = jobs.c.status.in_([JobStatus.QUEUED, JobStatus.FETCHING])
        now = self._database.now()
        canceled = (
            update(jobs)
            .where(jobs.c.id == job_id, jobs.c.status.not_in(TERMINAL_STATUSES))
            .values(
                cancel_requested=True,
                version=case((waiting, jobs.c.version + 1), else_=jobs.c.version),
                status=case((waiting, JobStatus.CANCELED), else_=jobs.c.status),
                finished_at=case((waiting, now), else_=None),
                not_before=None,
            )
            .returning(*_EVENT)
        )
        async with self._database.write() as connection:
            row = (await connection.execute(canceled)).one_or_none()
        return None if row is None else _event(row)

    async def release_due(self, limit: int) -> Sequence[QueuedJob]:
        """The jobs whose time has come; their messages are the caller's to publish."""
        now = self._database.now()
        due = (
            select(jobs.c.id)
            .where(is_delayed, jobs.c.not_before <= now)
            .order_by(jobs.c.not_before)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        released = (
            update(jobs)
            .where(jobs.c.id.in_(due.scalar_subquery()), is_queued)
            .values(not_before=None, dispatched_at=now)
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
            changed = await connection.execute(change.returning(jobs.c.id, jobs.c.queue, jobs.c.traceparent))
            return [QueuedJob(row.id, row.queue, row.traceparent) for row in changed]

    def _held(self, lease: Lease) -> Update:
        return update(jobs).where(
            jobs.c.id == lease.job_id,
            jobs.c.status == JobStatus.RUNNING,
            jobs.c.attempt == lease.attempt,
            jobs.c.lease_token == lease.token,
        )

    def _ended(self, status: JobStatus) -> dict[str, Any]:
        return {"status": status, "finished_at": self._database.now()}

    def _requeued(self) -> dict[str, Any]:
        """Back to the queue, unless the user has asked for its end in the meantime."""
        canceled: ColumnElement[bool] = jobs.c.cancel_requested
        now: ColumnElement[datetime] = self._database.now()
        return {
            "status": case((canceled, JobStatus.CANCELED), else_=JobStatus.QUEUED),
            "finished_at": case((canceled, now), else_=None),
            "progress": 0.0,
            "dispatched_at": now,
        }

    async def _end_attempt(
        self,
        connection: AsyncConnection,
        lease: Lease,
        values: Mapping[str, Any],
        outcome: AttemptOutcome,
        usage: Usage,
        *,
        code: str | None = None,
        message: str | None = None,
    ) -> JobEvent:
        ended = self._held(lease).values(**_UNLEASED, version=jobs.c.version + 1, **values).returning(*_EVENT)
        row = (await connection.execute(ended)).one_or_none()
        if row is None:
            raise LeaseLost
        await self._close_attempt(connection, lease, outcome, usage, code=code, message=message)
        return _event(row)

    async def _close_attempt(
        self,
        connection: AsyncConnection,
        lease: Lease,
        outcome: AttemptOutcome,
        usage: Usage,
        *,
        code: str | None,
        message: str | None,
    ) -> None:
        await connection.execute(
            update(attempts)
            .where(attempts.c.job_id == lease.job_id, attempts.c.number == lease.attempt)
            .values(
                ended_at=self._database.now(),
                outcome=outcome,
                error_code=code,
                error_message=message,
                audio_seconds=usage.audio_seconds,
                cpu_seconds=usage.cpu_seconds,
            )
        )
