"""Presets that clients have put: each key has names of its own, and so have those who come without a key."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import ColumnElement, Row, delete, func, select, update

from shared.schema.presets import Preset
from shared.store.database import Database
from shared.store.dialect import upsert
from shared.store.tables import presets


@dataclass(frozen=True, slots=True)
class StoredPreset:
    """A preset, and when it was put."""

    preset: Preset
    version: int
    created_at: datetime
    updated_at: datetime


class TooManyPresets(Exception):
    """The key has as many as it may have."""


class Presets:
    """The table of presets. `key_id` is whose they are; None: of those who come without a key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, key_id: UUID | None) -> Sequence[StoredPreset]:
        """Every one, by name."""
        query = select(presets).where(_is_of(key_id)).order_by(presets.c.name)
        async with self._database.read() as connection:
            return [_stored(row) for row in await connection.execute(query)]

    async def get(self, key_id: UUID | None, name: str) -> StoredPreset | None:
        """The one of this name."""
        query = select(presets).where(_is_of(key_id), presets.c.name == name)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _stored(row)

    async def create(self, key_id: UUID | None, preset: Preset, *, at_most: int) -> StoredPreset | None:
        """Put a preset under a name that is free; None when it is not.

        Raises:
            TooManyPresets: the key has `at_most` presets already.
        """
        now = self._database.now()
        new = {
            "id": uuid_utils.compat.uuid7(),
            "key_id": key_id,
            "name": preset.name,
            **_content(preset),
            "version": 1,
            "created_at": now,
            "updated_at": now,
        }
        created = upsert(self._database.dialect_name, presets).values(new).on_conflict_do_nothing().returning(presets)
        async with self._database.write() as connection:
            row = (await connection.execute(created)).one_or_none()
            there = select(func.count()).select_from(presets).where(_is_of(key_id))
            if row is not None and (await connection.execute(there)).scalar_one() > at_most:
                # Undoes it.
                raise TooManyPresets
        return None if row is None else _stored(row)

    async def replace(self, key_id: UUID | None, preset: Preset, *, version: int | None) -> StoredPreset | None:
        """Put a preset in place of the one that has its name; None when there is none, or not of that version."""
        replaced = (
            update(presets)
            .where(_is_of(key_id), presets.c.name == preset.name, *_is_at(version))
            .values(**_content(preset), version=presets.c.version + 1, updated_at=self._database.now())
            .returning(presets)
        )
        async with self._database.write() as connection:
            row = (await connection.execute(replaced)).one_or_none()
        return None if row is None else _stored(row)

    async def remove(self, key_id: UUID | None, name: str, *, version: int | None) -> bool:
        """Remove a preset. Its jobs keep the operations that they got from it. False when there is none, or not of
        that version.
        """
        gone = delete(presets).where(_is_of(key_id), presets.c.name == name, *_is_at(version)).returning(presets.c.id)
        async with self._database.write() as connection:
            return (await connection.execute(gone)).one_or_none() is not None


def _is_of(key_id: UUID | None) -> ColumnElement[bool]:
    return presets.c.key_id.is_(None) if key_id is None else presets.c.key_id == key_id


def _is_at(version: int | None) -> Sequence[ColumnElement[bool]]:
    return () if version is None else (presets.c.version == version,)


def _content(preset: Preset) -> dict[str, Any]:
    return {"description": preset.description, "operations": [operation.stated() for operation in preset.operations]}


def _stored(row: Row[Any]) -> StoredPreset:
    preset = Preset.model_validate({"name": row.name, "description": row.description, "operations": row.operations})
    return StoredPreset(preset, row.version, row.created_at, row.updated_at)
