"""Jobs as operators see them: what runs where, what came last, what failed and why, how much was done. Read only.

Each question is answered from an index and for a bounded number of rows, however many jobs there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, literal, select

from shared.schema.jobs import JobStatus
from shared.store.database import Database
from shared.store.dialect import minute_of
from shared.store.tables import attempts, has_finished, is_failed, is_leased, jobs, uploads

_DIGITS = 32


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job in a list."""

    job_id: UUID
    status: JobStatus
    queue: str
    operations: tuple[str, ...]
    filename: str | None
    progress: float
    attempt: int
    attempts_spent: int
    max_attempts: int
    cancel_requested: bool
    worker: str | None
    error_code: str | None
    error_message: str | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that a process works on."""

    job: JobLine
    process: str
    since: datetime  # start of the attempt


@dataclass(frozen=True, slots=True)
class FailureKind:
    """The failed jobs of an error code."""

    code: str
    jobs: int  # counted up to a limit


@dataclass(frozen=True, slots=True)
class MinuteCount:
    """How many jobs ended in one way in the minute that began then."""

    minute: datetime
    status: JobStatus
    jobs: int


class OperationsViews:
    """Queries for the operations page."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def running(self, limit: int) -> Sequence[RunningJob]:
        """What runs now, the oldest job first."""
        its_attempt = attempts.c.job_id == jobs.c.id, attempts.c.number == jobs.c.attempt
        since = select(attempts.c.started_at).where(*its_attempt).scalar_subquery().label("since")
        query = _lines(since).where(is_leased).order_by(jobs.c.id).limit(limit)
        async with self._database.read() as connection:
            return [RunningJob(_line(row), row.worker, row.since) for row in await connection.execute(query)]

    async def latest_failures(self, limit: int) -> Sequence[JobLine]:
        """The jobs that failed last."""
        return await self._answer(_lines().where(is_failed).order_by(jobs.c.finished_at.desc()).limit(limit))

    async def page(
        self, *, status: JobStatus | None, error_code: str | None, before: UUID | None, limit: int
    ) -> Sequence[JobLine]:
        """The newest jobs first; `before` is the id of the last one that was seen. An error code is of failed jobs."""
        query = _lines().order_by(jobs.c.id.desc()).limit(limit)
        if error_code is not None:
            query = query.where(is_failed, jobs.c.error_code == error_code)
        elif status is not None:
            query = query.where(jobs.c.status == status)
        if before is not None:
            query = query.where(jobs.c.id < before)
        return await self._answer(query)

    async def job(self, job_id: UUID) -> JobLine | None:
        """One job."""
        return next(iter(await self._answer(_lines().where(jobs.c.id == job_id))), None)

    async def beginning_with(self, digits: str, *, limit: int) -> Sequence[JobLine]:
        """The jobs whose id begins so, the newest first.

        Args:
            digits: 1 to 32 hexadecimal digits.
            limit: how many jobs at most.
        """
        first, last = UUID(digits.ljust(_DIGITS, "0")), UUID(digits.ljust(_DIGITS, "f"))
        query = _lines().where(jobs.c.id >= first, jobs.c.id <= last).order_by(jobs.c.id.desc()).limit(limit)
        return await self._answer(query)

    async def failed_ids(self, error_code: str, *, before: UUID | None, limit: int) -> Sequence[UUID]:
        """The failed jobs of an error code, the newest first."""
        query = (
            select(jobs.c.id).where(is_failed, jobs.c.error_code == error_code).order_by(jobs.c.id.desc()).limit(limit)
        )
        if before is not None:
            query = query.where(jobs.c.id < before)
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalars().all()

    async def failure_kinds(self, *, count_to: int) -> Sequence[FailureKind]:
        """The error codes of failed jobs, each with how many jobs have it, counted up to so many."""
        # From one code to the next in the index, instead of through all the failed jobs.
        codes = select(func.min(jobs.c.error_code).label("code")).where(is_failed).cte("codes", recursive=True)
        following = select(func.min(jobs.c.error_code)).where(is_failed, jobs.c.error_code > codes.c.code)
        codes = codes.union_all(select(following.scalar_subquery()).where(codes.c.code.is_not(None)))
        found = select(codes.c.code).where(codes.c.code.is_not(None))
        async with self._database.read() as connection:
            kinds = []
            for code in (await connection.execute(found)).scalars().all():
                counted = select(literal(1)).where(is_failed, jobs.c.error_code == code).limit(count_to).subquery()
                number = (await connection.execute(select(func.count()).select_from(counted))).scalar_one()
                kinds.append(FailureKind(code, number))
        return kinds

    async def ended_by_minute(self, since: datetime) -> Sequence[MinuteCount]:
        """How many jobs ended in each minute, and how, from then on."""
        minute = minute_of(self._database.dialect_name, jobs.c.finished_at).label("minute")
        query = (
            select(minute, jobs.c.status, func.count().label("jobs"))
            .where(has_finished, jobs.c.finished_at >= since)
            .group_by(minute, jobs.c.status)
        )
        async with self._database.read() as connection:
            return [MinuteCount(row.minute, JobStatus(row.status), row.jobs) for row in await connection.execute(query)]

    async def _answer(self, query: Select[Any]) -> Sequence[JobLine]:
        async with self._database.read() as connection:
            return [_line(row) for row in await connection.execute(query)]


def _lines(*more: Any) -> Select[Any]:
    """Jobs, with what other tables have on each: looked up one by one, since a join may read all of such a table."""
    filename = select(uploads.c.filename).where(uploads.c.id == jobs.c.upload_id).scalar_subquery()
    columns = (
        jobs.c.id,
        jobs.c.status,
        jobs.c.queue,
        jobs.c.spec,
        filename.label("filename"),
        jobs.c.progress,
        jobs.c.attempt,
        jobs.c.attempts_spent,
        jobs.c.max_attempts,
        jobs.c.cancel_requested,
        jobs.c.worker,
        jobs.c.error_code,
        jobs.c.error_message,
        jobs.c.created_at,
        jobs.c.finished_at,
    )
    return select(*columns, *more)


def _line(row: Row[Any]) -> JobLine:
    return JobLine(
        job_id=row.id,
        status=JobStatus(row.status),
        queue=row.queue,
        # Not validated: a job of another version is shown as well.
        operations=tuple(str(operation.get("op")) for operation in row.spec.get("operations", ())),
        filename=row.filename,
        progress=row.progress,
        attempt=row.attempt,
        attempts_spent=row.attempts_spent,
        max_attempts=row.max_attempts,
        cancel_requested=row.cancel_requested,
        worker=row.worker,
        error_code=row.error_code,
        error_message=row.error_message,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )
