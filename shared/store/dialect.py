"""What differs between PostgreSQL and SQLite."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import URL, ColumnElement, Connection, DateTime, Interval, event, func, literal
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.settings import Settings
from shared.store.tables import UtcDateTime

WRITES = "wavemill_writes"


def now(dialect: str, offset_seconds: float = 0.0) -> ColumnElement[datetime]:
    """The store's own clock, which all hosts share, moved by an offset.

    SQLite serves one machine, whose clock is its own.
    """
    if dialect == "postgresql":
        return func.now(type_=DateTime(timezone=True)) + literal(timedelta(seconds=offset_seconds), Interval)
    return literal(datetime.now(UTC) + timedelta(seconds=offset_seconds), UtcDateTime)


def clock(dialect: str) -> ColumnElement[datetime]:
    """The store's own clock as plain SQL, for a statement that is built once and run often."""
    if dialect == "postgresql":
        return func.now(type_=UtcDateTime)
    # The form that SQLAlchemy stores; SQLite's clock has milliseconds.
    return func.strftime("%Y-%m-%d %H:%M:%f000", "now", type_=UtcDateTime)


def create_engine(settings: Settings) -> AsyncEngine:
    """An engine with the settings' pool and time limits."""
    url = settings.sqlalchemy_url
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, settings)
    return create_async_engine(
        url,
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_pool_overflow,
        pool_timeout=settings.database_connect_timeout_seconds,
        # A restart of PostgreSQL leaves dead connections in the pool; nobody should meet one.
        pool_pre_ping=True,
        connect_args={
            "timeout": settings.database_connect_timeout_seconds,
            # A little more than the server's own limit, whose error says more.
            "command_timeout": settings.database_statement_timeout_seconds + 2,
            "server_settings": {
                "statement_timeout": str(round(settings.database_statement_timeout_seconds * 1000)),
                "idle_in_transaction_session_timeout": "60000",
                "application_name": "wavemill",
            },
        },
    )


def _sqlite_engine(url: URL, settings: Settings) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_pool_overflow,
        pool_timeout=settings.database_statement_timeout_seconds,
        connect_args={"timeout": settings.database_statement_timeout_seconds},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        # Transactions begin where we say, by the listener below, not where the driver guesses.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that reads first and writes later fails at once when another wrote in between;
        # one that takes the write lock at its start waits for its turn.
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
