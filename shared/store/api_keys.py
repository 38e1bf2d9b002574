"""API keys: made, found by their secret's digest, given another secret, revoked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import ColumnElement, RowMapping, case, insert, or_, select, update

from shared.key_secrets import digest_of, shown_part
from shared.schema.keys import KeyLimits, KeyView, Scope
from shared.store.database import Database
from shared.store.dialect import upsert
from shared.store.tables import api_keys

FIRST_NAME = "first"


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A valid key, and the digest by which it was found."""

    key: KeyView
    digest: str


class ApiKeys:
    """The table of keys. Secrets come in, and only their digests are written."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        secret: str,
        *,
        name: str,
        scopes: Sequence[Scope],
        expires_at: datetime | None = None,
        limits: KeyLimits | None = None,
    ) -> KeyView:
        """Make a key of this secret."""
        row = {
            "id": uuid_utils.compat.uuid7(),
            "name": name,
            "scopes": [str(scope) for scope in scopes],
            "created_at": self._database.now(),
            "expires_at": expires_at,
            **(limits or KeyLimits()).model_dump(),
            **_secret(secret),
        }
        async with self._database.write() as connection:
            return _view(
                (await connection.execute(insert(api_keys).values(row).returning(*api_keys.c))).mappings().one()
            )

    async def make_first(self, secret: str) -> bool:
        """Make a key of this secret that may do everything, where there is none and never was. True when it did."""
        if await self.any():
            return False
        row = {
            "id": uuid_utils.compat.uuid7(),
            "name": FIRST_NAME,
            "scopes": [str(scope) for scope in Scope],
            "created_at": self._database.now(),
            # It is the operator's own, and makes the others.
            "requests_per_second": 0,
            "max_queued_jobs": 0,
            "max_stored_bytes": 0,
            **_secret(secret),
        }
        first = upsert(self._database.dialect_name, api_keys).values(row).on_conflict_do_nothing()
        async with self._database.write() as connection:
            return (await connection.execute(first.returning(api_keys.c.id))).one_or_none() is not None

    async def find(self, digest: str) -> FoundKey | None:
        """The key of a secret that has this digest; None when there is no valid one."""
        now = self._database.now()
        is_its = or_(
            api_keys.c.secret_sha256 == digest,
            (api_keys.c.previous_sha256 == digest) & (api_keys.c.previous_expires_at > now),
        )
        query = select(*api_keys.c).where(is_its, self._is_valid())
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            return None
        is_latest = row["secret_sha256"] == digest
        return FoundKey(_view(row), row["secret_sha256"] if is_latest else row["previous_sha256"])

    async def get(self, key_id: UUID) -> KeyView | None:
        """One key, also a revoked one."""
        async with self._database.read() as connection:
            row = (
                (await connection.execute(select(*api_keys.c).where(api_keys.c.id == key_id))).mappings().one_or_none()
            )
        return None if row is None else _view(row)

    async def valid_among(self, key_ids: Sequence[UUID]) -> set[UUID]:
        """Those of the keys that are neither revoked nor expired."""
        query = select(api_keys.c.id).where(api_keys.c.id.in_(key_ids), self._is_valid())
        async with self._database.read() as connection:
            return set((await connection.execute(query)).scalars())

    async def any(self) -> bool:
        """Whether there is a key, or ever was."""
        async with self._database.read() as connection:
            return (await connection.execute(select(api_keys.c.id).limit(1))).one_or_none() is not None

    async def all(self) -> Sequence[KeyView]:
        """Every key, the oldest first; they are made by hand, and few."""
        async with self._database.read() as connection:
            return [
                _view(row) for row in (await connection.execute(select(*api_keys.c).order_by(api_keys.c.id))).mappings()
            ]

    async def rotate(self, key_id: UUID, secret: str, *, overlap_seconds: float) -> KeyView | None:
        """Give a key another secret; the one before serves for a while. None when no valid key has this id."""
        is_replaced_at_once = overlap_seconds <= 0
        rotated = (
            update(api_keys)
            .where(api_keys.c.id == key_id, self._is_valid())
            .values(
                previous_sha256=None if is_replaced_at_once else api_keys.c.secret_sha256,
                previous_expires_at=None if is_replaced_at_once else self._database.now(overlap_seconds),
                **_secret(secret),
            )
            .returning(*api_keys.c)
        )
        async with self._database.write() as connection:
            row = (await connection.execute(rotated)).mappings().one_or_none()
        return None if row is None else _view(row)

    async def revoke(self, key_id: UUID) -> KeyView | None:
        """End a key, for good. None when there is no key of this id; one that is revoked stays as it is."""
        revoked = (
            update(api_keys)
            .where(api_keys.c.id == key_id)
            .values(
                revoked_at=case((api_keys.c.revoked_at.is_(None), self._database.now()), else_=api_keys.c.revoked_at)
            )
            .returning(*api_keys.c)
        )
        async with self._database.write() as connection:
            row = (await connection.execute(revoked)).mappings().one_or_none()
        return None if row is None else _view(row)

    def _is_valid(self) -> ColumnElement[bool]:
        now = self._database.now()
        return api_keys.c.revoked_at.is_(None) & or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now)


def _secret(secret: str) -> dict[str, Any]:
    return {"secret_sha256": digest_of(secret), "prefix": shown_part(secret)}


def _view(row: RowMapping) -> KeyView:
    limits = KeyLimits.model_validate({name: row[name] for name in KeyLimits.model_fields})
    return KeyView.model_validate({**row, "limits": limits})
