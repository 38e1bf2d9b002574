"""Uploads that take more than one request: resumable ones, by tus, and those that go to the blob store directly.

Their bytes lie under `incoming/` until they are whole; then they become an upload of the same id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

import uuid_utils.compat
from sqlalchemy import delete, insert, select, update

from shared.store.database import Database
from shared.store.ownership import owns_unfinished
from shared.store.tables import unfinished_uploads, upload_pieces


class Way(StrEnum):
    """How the bytes come."""

    TUS = "tus"
    PRESIGNED = "presigned"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An upload that is underway, or that is whole since not long ago."""

    id: UUID
    size_bytes: int
    received_bytes: int
    filename: str | None
    metadata: str | None
    sha256: str | None
    expires_at: datetime
    completed_at: datetime | None
    key_id: UUID | None
    is_expired: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of the bytes, as they lie in the blob store."""

    start_byte: int
    size_bytes: int
    blob_key: str


class UnfinishedUploads:
    """The table of them, and of their pieces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(
        self,
        way: Way,
        *,
        size_bytes: int,
        keep_seconds: float,
        filename: str | None = None,
        metadata: str | None = None,
        sha256: str | None = None,
        key_id: UUID | None = None,
    ) -> Unfinished:
        """Make one of a key, of which nothing has come yet."""
        row = {
            "id": uuid_utils.compat.uuid7(),
            "way": way,
            "size_bytes": size_bytes,
            "received_bytes": 0,
            "filename": filename,
            "metadata": metadata,
            "sha256": sha256,
            "key_id": key_id,
            "created_at": self._database.now(),
            "expires_at": self._database.now(keep_seconds),
        }
        async with self._database.write() as connection:
            made = await connection.execute(insert(unfinished_uploads).values(row).returning(unfinished_uploads.c.id))
            upload_id: UUID = made.scalar_one()
        found = await self.get(way, upload_id)
        if found is None:
            raise AssertionError("it was committed just now")
        return found

    async def get(self, way: Way, upload_id: UUID, *, owner: UUID | None = None) -> Unfinished | None:
        """The one of this id, if the owner has it; anybody's, where there is no owner to ask for."""
        table = unfinished_uploads.c
        query = select(
            table.id,
            table.size_bytes,
            table.received_bytes,
            table.filename,
            table.metadata,
            table.sha256,
            table.expires_at,
            table.completed_at,
            table.key_id,
            (table.expires_at <= self._database.now()).label("is_expired"),
        ).where(table.id == upload_id, table.way == way, owns_unfinished(owner))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Unfinished(*row)

    async def take(self, upload_id: UUID, *, at_byte: int) -> UUID | None:
        """Be the one who writes on from there; None where so many bytes are not what has come.

        Whoever wrote before may not go on: a client that connects again wins over what is left of its old connection.
        """
        table = unfinished_uploads.c
        writer = uuid4()
        taken = (
            update(unfinished_uploads)
            .where(table.id == upload_id, table.received_bytes == at_byte, table.completed_at.is_(None))
            .values(writer=writer)
        )
        async with self._database.write() as connection:
            changed = await connection.execute(taken.returning(table.id))
            return None if changed.one_or_none() is None else writer

    async def advance(self, upload_id: UUID, *, writer: UUID, pieces: Sequence[Piece]) -> bool:
        """More has come. False where another writes now: the pieces belong to nothing then."""
        table = unfinished_uploads.c
        more = sum(piece.size_bytes for piece in pieces)
        advanced = (
            update(unfinished_uploads)
            .where(table.id == upload_id, table.writer == writer)
            .values(received_bytes=table.received_bytes + more)
        )
        rows = [
            {
                "upload_id": upload_id,
                "start_byte": piece.start_byte,
                "size_bytes": piece.size_bytes,
                "blob_key": piece.blob_key,
            }
            for piece in pieces
        ]
        async with self._database.write() as connection:
            if (await connection.execute(advanced.returning(table.id))).one_or_none() is None:
                return False
            await connection.execute(insert(upload_pieces), rows)
        return True

    async def pieces(self, upload_id: UUID) -> Sequence[Piece]:
        """What has come, in order."""
        columns = upload_pieces.c.start_byte, upload_pieces.c.size_bytes, upload_pieces.c.blob_key
        query = select(*columns).where(upload_pieces.c.upload_id == upload_id).order_by(upload_pieces.c.start_byte)
        async with self._database.read() as connection:
            return [Piece(*row) for row in await connection.execute(query)]

    async def complete(self, upload_id: UUID) -> Sequence[str]:
        """It is an upload now. The files of its pieces are the caller's to delete."""
        done = (
            update(unfinished_uploads)
            .where(unfinished_uploads.c.id == upload_id)
            .values(completed_at=self._database.now(), writer=None)
        )
        gone = delete(upload_pieces).where(upload_pieces.c.upload_id == upload_id).returning(upload_pieces.c.blob_key)
        async with self._database.write() as connection:
            await connection.execute(done)
            return (await connection.execute(gone)).scalars().all()

    async def remove(self, upload_ids: Sequence[UUID]) -> Sequence[str]:
        """Forget them. The files of their pieces are the caller's to delete."""
        gone = delete(upload_pieces).where(upload_pieces.c.upload_id.in_(upload_ids))
        async with self._database.write() as connection:
            keys = (await connection.execute(gone.returning(upload_pieces.c.blob_key))).scalars().all()
            await connection.execute(delete(unfinished_uploads).where(unfinished_uploads.c.id.in_(upload_ids)))
        return keys

    async def expired(self, limit: int) -> Sequence[UUID]:
        """Those whose time is over, the longest ago first."""
        query = (
            select(unfinished_uploads.c.id)
            .where(unfinished_uploads.c.expires_at <= self._database.now())
            .order_by(unfinished_uploads.c.expires_at)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalars().all()
