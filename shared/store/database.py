"""The connection to the store: one for each process and event loop."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Self

from sqlalchemy import ColumnElement, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.settings import Settings
from shared.store import dialect
from shared.store.one_statement import Lender


class Database:
    """An engine, and the ways to use it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.lender = Lender(engine)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The database of the settings; nothing is connected yet."""
        if settings.sqlalchemy_url.get_backend_name() == "sqlite":
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        return cls(dialect.create_engine(settings))

    @property
    def dialect_name(self) -> str:
        """Either postgresql or sqlite."""
        return self.engine.dialect.name

    def now(self, offset_seconds: float | ColumnElement[float] = 0.0) -> ColumnElement[datetime]:
        """The store's clock, moved by an offset."""
        return dialect.now(self.dialect_name, offset_seconds)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read with."""
        async with self.engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end, undone by an exception."""
        async with self.engine.connect() as connection:
            await connection.execution_options(**{dialect.WRITES: True})
            async with connection.begin():
                yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read with, whose statements all see the database as it was at the first of them."""
        async with self.engine.connect() as connection:
            if self.dialect_name == "postgresql":
                # What a transaction of SQLite does by itself.
                await connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    async def ping(self) -> None:
        """Ask for nothing and wait for the answer.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, OSError: the database cannot be reached.
        """
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close every connection."""
        await self.lender.close()
        await self.engine.dispose()
