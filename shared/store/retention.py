"""How long things are kept: what is no longer needed goes, and nothing that a job still needs.

Artifacts and jobs: their rows go first, their files after. What a monitor that dies in between leaves in the blob
store is found there by the sweep, since no row names it.

Inputs go in two steps, for many jobs and uploads share the bytes. First an upload expires: from then on no job begins
on it. A transaction that began before may not have seen that, but it is over when `SETTLED_SECONDS` have passed. Then,
unless a job has begun after all, the upload is removed, and its bytes with it if no other upload names them. Whoever
adds an upload, or deletes bytes, holds the lock of their digest meanwhile: bytes are deleted before an upload of the
same ones is added, which then finds them missing and stores them again, or after, and then not at all.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, delete, func, not_, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.store.database import Database
from shared.store.dialect import lock_digest
from shared.store.finished import SETTLED_SECONDS, lock_watermark, take_away
from shared.store.ownership import owns_job
from shared.store.tables import (
    artifacts,
    batches,
    has_finished,
    is_expired,
    is_kept,
    job_inputs,
    jobs,
    uploads,
    webhooks,
    will_expire,
)

_ENDED = select(
    jobs.c.id,
    jobs.c.upload_id,
    jobs.c.batch_id,
    jobs.c.webhook_id,
    jobs.c.status,
    jobs.c.queue,
    jobs.c.finished_at,
)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a walk through rows in the order of a time has come to."""

    at: datetime
    row_id: UUID


@dataclass(frozen=True, slots=True)
class ExpiredArtifacts:
    """What was taken from a page of jobs: the files are the caller's to delete."""

    blob_keys: Sequence[str]
    end: Position | None  # of the page; None when there was none


@dataclass(frozen=True, slots=True)
class TakenArtifacts:
    """Jobs that were removed, or lost their results; the files that they had are the caller's to delete."""

    jobs: int
    blob_keys: Sequence[str]


@dataclass(frozen=True, slots=True)
class ExpiredUploads:
    """How many of a page of uploads have expired."""

    uploads: int
    end: Position | None  # of the page; None when there was none


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """An upload, and which bytes are its."""

    upload_id: UUID
    sha256: str


@dataclass(frozen=True, slots=True)
class UnnamedArtifacts:
    """Files of attempts that no artifact names."""

    of_ended_jobs: Collection[str]
    of_unknown_jobs: Collection[str]


class Retention:
    """Takes away, in bounded batches, what has been kept for long enough."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expire_artifacts(self, *, keep_seconds: float, after: Position | None, limit: int) -> ExpiredArtifacts:
        """Take the artifacts from the next jobs that ended so long ago; their jobs say when that was."""
        page = (
            select(jobs.c.finished_at, jobs.c.id)
            .where(has_finished, jobs.c.finished_at <= self._database.now(-keep_seconds))
            .order_by(jobs.c.finished_at, jobs.c.id)
            .limit(limit)
        )
        if after is not None:
            page = page.where(_is_behind(jobs.c.finished_at, jobs.c.id, after))
        async with self._database.write() as connection:
            ended = (await connection.execute(page)).all()
            taken = await _take_artifacts(connection, [row.id for row in ended])
            if taken:
                await connection.execute(
                    update(jobs)
                    .where(jobs.c.id.in_(set(taken.values())))
                    .values(artifacts_removed_at=self._database.now())
                )
        end = Position(ended[-1].finished_at, ended[-1].id) if ended else None
        return ExpiredArtifacts(list(taken), end)

    async def expire_own_time(self, limit: int) -> TakenArtifacts:
        """Take results and artifacts from the next jobs whose client wanted them kept until now and no longer."""
        due = (
            select(jobs.c.id)
            .where(will_expire, jobs.c.expires_at <= self._database.now())
            .order_by(jobs.c.expires_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        async with self._database.write() as connection:
            job_ids = (await connection.execute(due)).scalars().all()
            taken = await _take_artifacts(connection, job_ids)
            gone = update(jobs).where(jobs.c.id.in_(job_ids))
            await connection.execute(gone.values(artifacts_removed_at=self._database.now(), results=None))
        return TakenArtifacts(len(job_ids), list(taken))

    async def forget_job(self, job_id: UUID, *, owner: UUID | None = None) -> TakenArtifacts:
        """Remove a job that has ended, as `forget_jobs` does.

        Of no job, where it has not ended, or is not there, or is not the owner's.
        """
        which = _ENDED.where(has_finished, jobs.c.id == job_id, owns_job(owner))
        return await self._forget(which.with_for_update())

    async def forget_jobs(self, *, keep_seconds: float, limit: int) -> TakenArtifacts:
        """Remove jobs that ended so long ago, with their attempts and artifacts; the longest ended first."""
        old = (
            _ENDED.where(has_finished, jobs.c.finished_at <= self._database.now(-keep_seconds))
            .order_by(jobs.c.finished_at, jobs.c.id)
            .limit(limit)
            # One that is reopened in this moment is let be.
            .with_for_update(skip_locked=True)
        )
        return await self._forget(old)

    async def _forget(self, which: Select[Any]) -> TakenArtifacts:
        async with self._database.write() as connection:
            watermark = await lock_watermark(connection, self._database)
            ended = (await connection.execute(which)).all()
            if not ended:
                return TakenArtifacts(0, ())
            job_ids = [row.id for row in ended]
            taken = await _take_artifacts(connection, job_ids)
            further = select(job_inputs.c.upload_id).where(job_inputs.c.job_id.in_(job_ids))
            had = {row.upload_id for row in ended}.union((await connection.execute(further)).scalars())
            await take_away(connection, self._database, watermark, ended)
            await connection.execute(delete(jobs).where(jobs.c.id.in_(job_ids)))
            await _forget_batches(connection, {row.batch_id for row in ended if row.batch_id is not None})
            await _forget_webhooks(connection, {row.webhook_id for row in ended if row.webhook_id is not None})
            # Uploads whose bytes are gone were there for these jobs alone.
            await connection.execute(
                delete(uploads).where(
                    uploads.c.id.in_(had - {None}),
                    uploads.c.removed_at.is_not(None),
                    *_has_no_jobs(),
                )
            )
        return TakenArtifacts(len(job_ids), list(taken))

    async def expire_uploads(self, *, keep_seconds: float, after: Position | None, limit: int) -> ExpiredUploads:
        """Let the next uploads expire that are so old, and that no job has needed for so long."""
        page = self._old_uploads(keep_seconds, after, limit)
        async with self._database.write() as connection:
            old = (await connection.execute(page)).all()
            expired = await connection.execute(
                update(uploads)
                .where(uploads.c.id.in_([row.id for row in old]), is_kept, *self._is_not_needed(keep_seconds))
                .values(expired_at=self._database.now())
                .returning(uploads.c.id)
            )
            count = len(expired.all())
        return ExpiredUploads(count, Position(old[-1].created_at, old[-1].id) if old else None)

    async def unused_uploads(
        self, *, older_than_seconds: float, after: Position | None, limit: int
    ) -> Sequence[tuple[StoredUpload, Position]]:
        """The next uploads that are so old, and that no job was ever made on."""
        page = self._old_uploads(older_than_seconds, after, limit).where(*_has_no_jobs())
        async with self._database.read() as connection:
            return [
                (StoredUpload(row.id, row.sha256), Position(row.created_at, row.id))
                for row in await connection.execute(page)
            ]

    async def expire(self, upload_id: UUID) -> None:
        """Let an upload expire whose bytes never came."""
        async with self._database.write() as connection:
            await connection.execute(
                update(uploads).where(uploads.c.id == upload_id, is_kept).values(expired_at=self._database.now())
            )

    async def removable_uploads(self, limit: int) -> Sequence[StoredUpload]:
        """Uploads that expired so long ago that every job that could have begun on them is seen."""
        query = (
            select(uploads.c.id, uploads.c.sha256)
            .where(is_expired, uploads.c.expired_at < self._database.now(-SETTLED_SECONDS))
            .order_by(uploads.c.expired_at)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return [StoredUpload(row.id, row.sha256) for row in await connection.execute(query)]

    @asynccontextmanager
    async def removing(self, upload: StoredUpload, *, keep_seconds: float) -> AsyncIterator[bool]:
        """Remove an expired upload. Gives whether its bytes are to be deleted, which the block does.

        Nothing is removed if the block fails. An upload that is needed after all is kept from now on.
        """
        its_row = uploads.c.id == upload.upload_id
        async with self._database.write() as connection:
            await lock_digest(connection, upload.sha256)
            is_needed = not_(and_(*self._is_not_needed(keep_seconds)))
            kept = update(uploads).where(its_row, is_needed).values(expired_at=None)
            if (await connection.execute(kept.returning(uploads.c.id))).all():
                yield False
                return
            yield not await _is_named(connection, upload.sha256, besides=upload.upload_id)
            gone = delete(uploads).where(its_row, *_has_no_jobs()).returning(uploads.c.id)
            if not (await connection.execute(gone)).all():
                # Its jobs still show what it was.
                await connection.execute(update(uploads).where(its_row).values(removed_at=self._database.now()))

    @asynccontextmanager
    async def holding_digest(self, sha256: str) -> AsyncIterator[bool]:
        """Keep uploads of these bytes from being added meanwhile. Gives whether there is one that names them."""
        async with self._database.write() as connection:
            await lock_digest(connection, sha256)
            yield await _is_named(connection, sha256)

    async def backlog_seconds(self, *, keep_artifacts_seconds: float, keep_jobs_seconds: float) -> Mapping[str, float]:
        """How much longer than meant the oldest of each kind of things has been kept; 0 where all is in time.

        By the kinds of the monitor's duties. Each is one look at the beginning of an index: of artifacts the ones of
        the job that was created first, of inputs those that have expired already.
        """
        first_artifact = select(artifacts.c.job_id).order_by(artifacts.c.job_id).limit(1).scalar_subquery()
        oldest: dict[str, tuple[ColumnElement[datetime | None], float]] = {
            "expired_artifacts": (
                select(jobs.c.finished_at).where(jobs.c.id == first_artifact).scalar_subquery(),
                keep_artifacts_seconds,
            ),
            "forgotten_jobs": (
                select(func.min(jobs.c.finished_at)).where(has_finished).scalar_subquery(),
                keep_jobs_seconds,
            ),
            "expired_inputs": (
                select(func.min(uploads.c.expired_at)).where(is_expired).scalar_subquery(),
                SETTLED_SECONDS,
            ),
        }
        query = select(self._database.now().label("now"), *(since.label(kind) for kind, (since, _) in oldest.items()))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().one()
        ages = {kind: (row["now"] - row[kind]).total_seconds() if row[kind] else 0.0 for kind in oldest}
        return {kind: max(0.0, ages[kind] - keep) for kind, (_, keep) in oldest.items()}

    async def named_inputs(self, digests: Collection[str]) -> set[str]:
        """Those of the digests that an upload names."""
        query = select(uploads.c.sha256).where(uploads.c.sha256.in_(digests), uploads.c.removed_at.is_(None))
        async with self._database.read() as connection:
            return set((await connection.execute(query.distinct())).scalars())

    async def unnamed_artifacts(self, job_of: Mapping[str, UUID]) -> UnnamedArtifacts:
        """Which of these files, each with its job, no artifact names. The files of jobs that go on are left out."""
        job_ids = set(job_of.values())
        async with self._database.snapshot() as connection:
            found = await connection.execute(select(jobs.c.id, jobs.c.finished_at).where(jobs.c.id.in_(job_ids)))
            has_ended = {row.id: row.finished_at is not None for row in found}
            listed = await connection.execute(select(artifacts.c.blob_key).where(artifacts.c.job_id.in_(job_ids)))
            unnamed = job_of.keys() - set(listed.scalars())
        return UnnamedArtifacts(
            of_ended_jobs=[key for key in unnamed if has_ended.get(job_of[key])],
            of_unknown_jobs=[key for key in unnamed if job_of[key] not in has_ended],
        )

    def _old_uploads(self, age_seconds: float, after: Position | None, limit: int) -> Select[Any]:
        query = (
            select(uploads.c.created_at, uploads.c.id, uploads.c.sha256)
            .where(is_kept, uploads.c.created_at <= self._database.now(-age_seconds))
            .order_by(uploads.c.created_at, uploads.c.id)
            .limit(limit)
        )
        return query if after is None else query.where(_is_behind(uploads.c.created_at, uploads.c.id, after))

    def _is_not_needed(self, keep_seconds: float) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        """No job on the upload goes on, or ended so lately that it may be retried.

        Two conditions that hold together: PostgreSQL answers each from an index, and one that is made of both not.
        """
        recent = or_(jobs.c.finished_at.is_(None), jobs.c.finished_at > self._database.now(-keep_seconds))
        further = select(job_inputs.c.name).join(jobs, jobs.c.id == job_inputs.c.job_id)
        return (
            ~select(jobs.c.id).where(jobs.c.upload_id == uploads.c.id, recent).exists(),
            ~further.where(job_inputs.c.upload_id == uploads.c.id, recent).exists(),
        )


async def _take_artifacts(connection: AsyncConnection, job_ids: Sequence[UUID]) -> Mapping[str, UUID]:
    """Delete the jobs' artifacts; gives where their files are, each with its job."""
    taken = delete(artifacts).where(artifacts.c.job_id.in_(job_ids)).returning(artifacts.c.blob_key, artifacts.c.job_id)
    return {row.blob_key: row.job_id for row in await connection.execute(taken)}


async def _forget_batches(connection: AsyncConnection, batch_ids: Collection[UUID]) -> None:
    """Those of the batches that have no jobs any more, with their webhooks."""
    has_jobs = select(jobs.c.id).where(jobs.c.batch_id == batches.c.id).exists()
    empty = delete(batches).where(batches.c.id.in_(batch_ids), ~has_jobs).returning(batches.c.webhook_id)
    if batch_ids:
        gone = (await connection.execute(empty)).scalars()
        await _forget_webhooks(connection, {webhook_id for webhook_id in gone if webhook_id is not None})


async def _forget_webhooks(connection: AsyncConnection, webhook_ids: Collection[UUID]) -> None:
    """Webhooks of jobs and batches that are gone, with their deliveries."""
    if webhook_ids:
        await connection.execute(delete(webhooks).where(webhooks.c.id.in_(webhook_ids)))


async def _is_named(connection: AsyncConnection, sha256: str, *, besides: UUID | None = None) -> bool:
    """Whether an upload has these bytes."""
    query = select(uploads.c.id).where(uploads.c.sha256 == sha256, uploads.c.removed_at.is_(None)).limit(1)
    if besides is not None:
        query = query.where(uploads.c.id != besides)
    return (await connection.execute(query)).one_or_none() is not None


def _has_no_jobs() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (
        ~select(jobs.c.id).where(jobs.c.upload_id == uploads.c.id).exists(),
        ~select(job_inputs.c.name).where(job_inputs.c.upload_id == uploads.c.id).exists(),
    )


def _is_behind(at: ColumnElement[datetime], row_id: ColumnElement[UUID], place: Position) -> ColumnElement[bool]:
    return tuple_(at, row_id) > tuple_(place.at, place.row_id, types=[at.type, row_id.type])
