"""Alembic's entry: run the migrations over the store's own engine."""

import asyncio
from typing import Literal

from alembic import context
from sqlalchemy import JSON, Connection, text

from shared.settings import settings
from shared.store.database import Database
from shared.store.tables import UtcDateTime, metadata

# Two services that start together migrate one after the other.
_ADVISORY_LOCK = 0x57415645


def _render(kind: str, item: object, autogenerate: object) -> str | Literal[False]:
    """A migration must stay as it was written: it names SQLAlchemy's own types, not ours of today."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, JSON):
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        # SQLite alters a table by copying it.
        render_as_batch=connection.dialect.name == "sqlite",
        render_item=_render,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
        context.run_migrations()


async def _main() -> None:
    database = Database.from_settings(settings())
    try:
        async with database.write() as connection:
            await connection.run_sync(_run)
    finally:
        await database.close()


asyncio.run(_main())
