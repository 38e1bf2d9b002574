"""Operations under a name, to be used by many jobs."""

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, Uuid

from shared.store.tables.columns import Json, UtcDateTime, metadata

presets = Table(
    "presets",
    metadata,
    Column("id", Uuid, primary_key=True),
    # Whose it is; NULL: it was put there without a key.
    Column("key_id", ForeignKey("api_keys.id")),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("operations", Json, nullable=False),
    # Counts what was put under the name: its entity tag.
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("key_id", "name"),
)
# To the constraint each NULL is another key.
Index(
    "ix_presets_without_key",
    presets.c.name,
    unique=True,
    postgresql_where=presets.c.key_id.is_(None),
    sqlite_where=presets.c.key_id.is_(None),
)
