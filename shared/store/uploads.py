"""Bytes that clients sent: who called them what. The bytes are in the blob store, under their SHA-256."""

from collections.abc import Collection
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import select

from shared.schema.jobs import Upload
from shared.store.database import Database
from shared.store.dialect import lock_digest, upsert
from shared.store.ownership import owns_upload
from shared.store.tables import is_kept, uploads


class Uploads:
    """The table of uploads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        *,
        sha256: str,
        size_bytes: int,
        filename: str | None,
        key_id: UUID | None = None,
        upload_id: UUID | None = None,
    ) -> Upload:
        """Record bytes that are in the blob store, or about to be there, as this key's.

        From now on they are not deleted; until now they may have been (shared/store/retention.py). An upload of this
        id that is there already stays as it is.
        """
        row = {
            "id": upload_id or uuid_utils.compat.uuid7(),
            "sha256": sha256,
            "size_bytes": size_bytes,
            "filename": filename,
            "created_at": self._database.now(),
            "key_id": key_id,
        }
        async with self._database.write() as connection:
            await lock_digest(connection, sha256, shared=True)
            new = upsert(self._database.dialect_name, uploads).values(row).on_conflict_do_nothing()
            added = (await connection.execute(new.returning(*uploads.c))).mappings().one_or_none()
            if added is None:
                known = await connection.execute(select(*uploads.c).where(uploads.c.id == upload_id))
                added = known.mappings().one()
            return Upload.model_validate(added)

    async def get(self, upload_id: UUID, *, owner: UUID | None = None) -> Upload | None:
        """The upload of this id, if the owner has it; anybody's, where there is no owner to ask for."""
        async with self._database.read() as connection:
            found = await connection.execute(select(*uploads.c).where(uploads.c.id == upload_id, owns_upload(owner)))
            row = found.mappings().one_or_none()
        return None if row is None else Upload.model_validate(row)

    async def kept(self, upload_ids: Collection[UUID], *, owner: UUID | None = None) -> set[UUID]:
        """Those of the uploads that the owner's jobs may begin on."""
        query = select(uploads.c.id).where(uploads.c.id.in_(upload_ids), is_kept, owns_upload(owner))
        async with self._database.read() as connection:
            found = await connection.execute(query)
            return set(found.scalars())
