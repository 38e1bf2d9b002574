"""The connection to the store: one for each process and event loop."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Self, TypeVar

from sqlalchemy import ColumnElement, Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.util import greenlet_spawn

from shared.settings import Settings
from shared.store import dialect

Answer = TypeVar("Answer")


class Database:
    """An engine, and the ways to use it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        # The same pool.
        self._autocommit = engine.sync_engine.execution_options(isolation_level="AUTOCOMMIT")

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

    async def write_at_once(self, work: Callable[[Connection], Answer]) -> Answer:
        """A transaction around work that is a single statement on PostgreSQL, as shared.store.change makes it.

        Without BEGIN and COMMIT it costs one journey to the server instead of three.
        """
        if self.dialect_name != "postgresql":
            async with self.write() as connection:
                return await connection.run_sync(work)

        def run() -> Answer:
            with self._autocommit.connect() as connection:
                return work(connection)

        # As AsyncConnection does for each of connect, execute and close: here once for all three.
        return await greenlet_spawn(run)

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
        await self.engine.dispose()
