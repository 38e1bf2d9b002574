"""Jobs as clients see them: read only."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.schema.events import JobEvent
from shared.schema.inputs import MAIN_INPUT
from shared.schema.jobs import (
    ArtifactView,
    AttemptView,
    FurtherInput,
    JobSpec,
    JobView,
    Upload,
    artifact_path,
)
from shared.store.database import Database
from shared.store.job_inputs import shown_inputs
from shared.store.ownership import owns_job
from shared.store.records import Holder, Lease
from shared.store.tables import artifacts, attempts, is_leased, jobs, uploads
from shared.store.webhooks import own_webhook


@dataclass(frozen=True, slots=True)
class StoredArtifact:
    """Where a visible artifact is in the blob store, and what to say of it."""

    name: str
    blob_key: str
    media_type: str
    size_bytes: int
    sha256: str
    input_filename: str | None


class JobViews:
    """Queries for one job, or for some that are known.

    `owner` is the key whose jobs alone are there for who asks; None: every job is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, job_id: UUID, *, owner: UUID | None = None) -> JobView | None:
        """The whole job, or None when there is none of this id."""
        async with self._database.read() as connection:
            found = await connection.execute(select(jobs).where(jobs.c.id == job_id, owns_job(owner)))
            row = found.one_or_none()
            if row is None:
                return None
            its_inputs = await _inputs(connection, row)
            view = _view(
                row,
                its_inputs,
                await _attempts(connection, job_id),
                await _artifacts(connection, job_id),
            )
            # Few jobs have one: the others do not look for it.
            if row.webhook_id is not None:
                view = view.model_copy(update={"webhook": await own_webhook(connection, row.webhook_id)})
            return view

    async def event(self, job_id: UUID, *, owner: UUID | None = None) -> JobEvent | None:
        """Where the job stands now, in the words of an event; None when there is none of this id."""
        return next(iter(await self.events([job_id], owner=owner)), None)

    async def events(self, job_ids: Collection[UUID], *, owner: UUID | None = None) -> Sequence[JobEvent]:
        """Where each of the jobs stands now, in the words of an event, in no order."""
        columns = (
            jobs.c.id.label("job_id"),
            jobs.c.batch_id,
            jobs.c.version,
            jobs.c.status,
            jobs.c.progress,
            jobs.c.attempt,
            jobs.c.error_code,
            jobs.c.error_message,
        )
        async with self._database.read() as connection:
            found = await connection.execute(select(*columns).where(jobs.c.id.in_(job_ids), owns_job(owner)))
            return [JobEvent(type="status", **row) for row in found.mappings()]

    async def artifact(self, job_id: UUID, name: str, *, owner: UUID | None = None) -> StoredArtifact | None:
        """A visible artifact, or None."""
        columns = (
            artifacts.c.name,
            artifacts.c.blob_key,
            artifacts.c.media_type,
            artifacts.c.size_bytes,
            artifacts.c.sha256,
            uploads.c.filename,
        )
        query = (
            select(*columns)
            .join(jobs, jobs.c.id == artifacts.c.job_id)
            .join(uploads, uploads.c.id == jobs.c.upload_id)
            .where(artifacts.c.job_id == job_id, artifacts.c.name == name, owns_job(owner))
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else StoredArtifact(*row)

    async def holder(self, job_id: UUID) -> Holder | None:
        """Who runs the job now; None when nobody does."""
        query = select(jobs.c.attempt, jobs.c.lease_token, jobs.c.worker).where(jobs.c.id == job_id, is_leased)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Holder(Lease(job_id, row.attempt, row.lease_token), row.worker)


async def _attempts(connection: AsyncConnection, job_id: UUID) -> tuple[AttemptView, ...]:
    query = select(attempts).where(attempts.c.job_id == job_id).order_by(attempts.c.number)
    return tuple(AttemptView.model_validate(row) for row in (await connection.execute(query)).mappings())


async def _artifacts(connection: AsyncConnection, job_id: UUID) -> tuple[ArtifactView, ...]:
    query = select(artifacts).where(artifacts.c.job_id == job_id).order_by(artifacts.c.name)
    return tuple(
        ArtifactView(
            name=row.name,
            media_type=row.media_type,
            size_bytes=row.size_bytes,
            sha256=row.sha256,
            url=artifact_path(job_id, row.name),
        )
        for row in await connection.execute(query)
    )


async def _inputs(connection: AsyncConnection, job: Row[Any]) -> Mapping[str, FurtherInput]:
    """Every input of a job, by name; its own one by MAIN_INPUT."""
    found: dict[str, FurtherInput] = {}
    if job.upload_id is not None:
        its_upload = (await connection.execute(select(uploads).where(uploads.c.id == job.upload_id))).mappings().one()
        found[MAIN_INPUT] = FurtherInput(upload=Upload.model_validate(its_upload), source_url=None)
    if not job.has_inputs:
        return found
    found.update(await shown_inputs(connection, job.id))
    return found


def _view(
    row: Row[Any],
    inputs: Mapping[str, FurtherInput],
    made: tuple[AttemptView, ...],
    files: tuple[ArtifactView, ...],
) -> JobView:
    spec = JobSpec.model_validate(row.spec)
    its_own = inputs.get(MAIN_INPUT)
    return JobView(
        id=row.id,
        status=row.status,
        progress=row.progress,
        error_code=row.error_code,
        error_message=row.error_message,
        poisoned=row.poisoned,
        cancel_requested=row.cancel_requested,
        priority=row.priority,
        preset=row.preset,
        metadata=row.metadata or {},
        operations=spec.operations,
        input=its_own and its_own.upload,
        source_url=its_own and its_own.source_url,
        inputs={name: found for name, found in inputs.items() if name != MAIN_INPUT},
        attempts=made,
        max_attempts=row.max_attempts,
        results=row.results or {},
        artifacts=files,
        artifacts_removed_at=row.artifacts_removed_at,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        not_before=row.not_before,
        expires_in=row.keep_seconds,
        expires_at=row.expires_at,
        batch_id=row.batch_id,
        webhook=None,
    )
