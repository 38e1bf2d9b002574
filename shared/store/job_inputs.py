"""What jobs work on beside one upload: inputs that are to be fetched, and further ones with names of their own."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.schema.inputs import MAIN_INPUT
from shared.schema.jobs import FurtherInput, Upload
from shared.store.database import Database
from shared.store.errors import UploadMissing
from shared.store.ownership import owns_upload
from shared.store.records import Extra, InputSource
from shared.store.tables import is_kept, is_to_be_fetched, job_inputs, jobs, uploads

_OF_THE_JOB = job_inputs.c.job_id == jobs.c.id
# An input of the job was not fetched yet.
is_incomplete = select(job_inputs.c.name).where(_OF_THE_JOB, is_to_be_fetched).exists()
# The job's own input can be worked on, or fetched.
has_its_input = (
    jobs.c.upload_id.is_(None) | select(uploads.c.id).where(uploads.c.id == jobs.c.upload_id, is_kept).exists()
)
# A further input is no longer kept.
lacks_an_input = (
    select(job_inputs.c.name)
    .join(uploads, uploads.c.id == job_inputs.c.upload_id)
    .where(_OF_THE_JOB, uploads.c.expired_at.is_not(None))
    .exists()
)


class JobInputs:
    """The table of inputs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def extras(self, job_id: UUID) -> Sequence[Extra]:
        """The further inputs of a job that has them all."""
        query = (
            select(job_inputs.c.name, uploads.c.sha256, uploads.c.filename)
            .join(uploads, uploads.c.id == job_inputs.c.upload_id)
            .where(job_inputs.c.job_id == job_id, job_inputs.c.name != MAIN_INPUT)
            .order_by(job_inputs.c.name)
        )
        async with self._database.read() as connection:
            return [Extra(row.name, row.sha256, row.filename) for row in await connection.execute(query)]

    async def to_be_fetched(self, job_id: UUID) -> Sequence[InputSource]:
        """The inputs of a job that are not there yet."""
        query = (
            select(job_inputs.c.name, job_inputs.c.url)
            .where(job_inputs.c.job_id == job_id, is_to_be_fetched)
            .order_by(job_inputs.c.name)
        )
        async with self._database.read() as connection:
            return [InputSource(row.name, url=row.url) for row in await connection.execute(query)]


async def add_sources(
    connection: AsyncConnection, job_id: UUID, sources: Sequence[InputSource], owner: UUID | None
) -> Mapping[str, FurtherInput]:
    """Give a job its inputs, in the transaction that makes it, and say how they are shown.

    Raises:
        UploadMissing: there is no such upload that the owner has, or its bytes are no longer kept.
    """
    named = {source.upload_id for source in sources if source.upload_id is not None}
    kept = await connection.execute(select(uploads.c.id).where(uploads.c.id.in_(named), is_kept, owns_upload(owner)))
    for missing in named - set(kept.scalars()):
        raise UploadMissing(missing)
    rows = [
        {"job_id": job_id, "name": source.name, "upload_id": source.upload_id, "url": source.url} for source in sources
    ]
    await connection.execute(insert(job_inputs), rows)
    return await shown_inputs(connection, job_id)


async def shown_inputs(connection: AsyncConnection, job_id: UUID) -> Mapping[str, FurtherInput]:
    """The inputs of a job that stand in this table, by name."""
    query = (
        select(job_inputs.c.name, job_inputs.c.url, *uploads.c)
        .outerjoin(uploads, uploads.c.id == job_inputs.c.upload_id)
        .where(job_inputs.c.job_id == job_id)
        .order_by(job_inputs.c.name)
    )
    return {row["name"]: _shown(row) for row in (await connection.execute(query)).mappings()}


def _shown(row: RowMapping) -> FurtherInput:
    upload = None if row["id"] is None else Upload.model_validate(row)
    return FurtherInput(upload=upload, source_url=row["url"] and row["url"].partition("?")[0])


async def set_fetched(connection: AsyncConnection, job_id: UUID, fetched: Mapping[str, UUID]) -> None:
    """Say which uploads a job's inputs have become."""
    for name, upload_id in fetched.items():
        its_row = job_inputs.c.job_id == job_id, job_inputs.c.name == name
        await connection.execute(update(job_inputs).where(*its_row).values(upload_id=upload_id))
