"""Bytes that clients sent: who called them what. The bytes are in the blob store, under their SHA-256."""

from collections.abc import Collection
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import insert, select

from shared.schema.jobs import Upload
from shared.store.database import Database
from shared.store.dialect import lock_digest
from shared.store.tables import is_kept, uploads


class Uploads:
    """The table of uploads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, *, sha256: str, size_bytes: int, filename: str | None) -> Upload:
        """Record bytes that are in the blob store, or about to be there.

        From now on they are not deleted; until now they may have been (shared/store/retention.py).
        """
        row = {
            "id": uuid_utils.compat.uuid7(),
            "sha256": sha256,
            "size_bytes": size_bytes,
            "filename": filename,
            "created_at": self._database.now(),
        }
        async with self._database.write() as connection:
            await lock_digest(connection, sha256, shared=True)
            added = await connection.execute(insert(uploads).values(row).returning(*uploads.c))
            return Upload.model_validate(added.mappings().one())

    async def get(self, upload_id: UUID) -> Upload | None:
        """The upload of this id."""
        async with self._database.read() as connection:
            found = await connection.execute(select(*uploads.c).where(uploads.c.id == upload_id))
            row = found.mappings().one_or_none()
        return None if row is None else Upload.model_validate(row)

    async def kept(self, upload_ids: Collection[UUID]) -> set[UUID]:
        """Those of the uploads that jobs may begin on."""
        async with self._database.read() as connection:
            found = await connection.execute(select(uploads.c.id).where(uploads.c.id.in_(upload_ids), is_kept))
            return set(found.scalars())
