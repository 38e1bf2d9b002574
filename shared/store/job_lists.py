"""Lists of jobs, the newest first: which jobs a client wants to see, and a page of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, select

from shared.schema.jobs import JobStatus, JobSummary
from shared.store.database import Database
from shared.store.dialect import has_pairs
from shared.store.ownership import owns_job
from shared.store.tables import jobs, uploads

_SUMMARY = (
    jobs.c.id,
    jobs.c.status,
    jobs.c.progress,
    jobs.c.error_code,
    jobs.c.error_message,
    jobs.c.preset,
    jobs.c.metadata,
    uploads.c.filename,
    jobs.c.created_at,
    jobs.c.finished_at,
)
# An id has the time of the API's host in it, and `created_at` is the database's.
_CLOCKS_APART = timedelta(minutes=10)
_LAST_BITS = (1 << 80) - 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs: those for which all that is given holds."""

    owner: UUID | None = None  # the key whose jobs they are; None: every job
    statuses: Collection[JobStatus] = ()
    preset: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    created_after: datetime | None = None
    created_before: datetime | None = None


class JobLists:
    """Pages of jobs. A page begins behind the id of the last job that was seen: jobs that are made meanwhile have
    larger ids, and move nothing.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, wanted: Wanted, *, before: UUID | None, limit: int) -> Sequence[JobSummary]:
        """The newest jobs first; `before` is the id of the last one that was seen."""
        query = select(*_SUMMARY).outerjoin(uploads, uploads.c.id == jobs.c.upload_id).where(*self._conditions(wanted))
        if before is not None:
            query = query.where(jobs.c.id < before)
        async with self._database.read() as connection:
            found = await connection.execute(query.order_by(jobs.c.id.desc()).limit(limit))
            return [JobSummary.model_validate({**row, "metadata": row["metadata"] or {}}) for row in found.mappings()]

    def _conditions(self, wanted: Wanted) -> Sequence[ColumnElement[bool]]:
        conditions = [owns_job(wanted.owner)]
        if len(wanted.statuses) == 1:
            conditions.append(jobs.c.status == next(iter(wanted.statuses)))
        elif wanted.statuses:
            conditions.append(jobs.c.status.in_(sorted(wanted.statuses)))
        if wanted.preset is not None:
            conditions.append(jobs.c.preset == wanted.preset)
        if wanted.metadata:
            conditions.append(has_pairs(self._database.dialect_name, jobs.c.metadata, wanted.metadata))
        # By ids, in whose order the jobs are read anyhow, and then to the moment.
        if wanted.created_after is not None:
            earliest = _first_id(wanted.created_after - _CLOCKS_APART)
            conditions += jobs.c.id >= earliest, jobs.c.created_at >= wanted.created_after
        if wanted.created_before is not None:
            latest = _last_id(wanted.created_before + _CLOCKS_APART)
            conditions += jobs.c.id <= latest, jobs.c.created_at < wanted.created_before
        return conditions


def _first_id(moment: datetime) -> UUID:
    """The least UUIDv7 of a millisecond (RFC 9562, section 5.7)."""
    return UUID(int=max(0, round(moment.timestamp() * 1000)) << 80)


def _last_id(moment: datetime) -> UUID:
    return UUID(int=_first_id(moment).int | _LAST_BITS)
