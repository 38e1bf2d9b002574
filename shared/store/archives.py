"""Which files go into the archive of a job or of a batch."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, tuple_

from shared.store.database import Database
from shared.store.tables import artifacts, jobs, uploads

_PAGE = 500


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """An artifact, and whose it is."""

    job_id: UUID
    input_filename: str | None
    name: str
    blob_key: str
    size_bytes: int
    made_at: datetime | None


class Archives:
    """Questions for visible artifacts; they come in pages, in the order of the jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_job(self, job_id: UUID) -> AsyncIterator[ArchivedFile]:
        """The artifacts of a job."""
        async for file in self._in_pages(_files().where(artifacts.c.job_id == job_id)):
            yield file

    async def of_batch(self, batch_id: UUID) -> AsyncIterator[ArchivedFile]:
        """The artifacts of all jobs of a batch that there are now."""
        async for file in self._in_pages(_files().where(jobs.c.batch_id == batch_id)):
            yield file

    async def _in_pages(self, query: Select[Any]) -> AsyncIterator[ArchivedFile]:
        order = artifacts.c.job_id, artifacts.c.name
        page_of = query.order_by(*order).limit(_PAGE)
        while True:
            async with self._database.read() as connection:
                page = [ArchivedFile(*row) for row in await connection.execute(page_of)]
            for file in page:
                yield file
            if len(page) < _PAGE:
                return
            last = tuple_(page[-1].job_id, page[-1].name, types=[column.type for column in order])
            page_of = query.where(tuple_(*order) > last).order_by(*order).limit(_PAGE)


def _files() -> Select[Any]:
    columns = (
        artifacts.c.job_id,
        uploads.c.filename,
        artifacts.c.name,
        artifacts.c.blob_key,
        artifacts.c.size_bytes,
        jobs.c.finished_at,
    )
    joined = artifacts.join(jobs, jobs.c.id == artifacts.c.job_id).join(uploads, uploads.c.id == jobs.c.upload_id)
    return select(*columns).select_from(joined)
