"""What differs between PostgreSQL and SQLite."""

import select as readiness
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    URL,
    BigInteger,
    ColumnElement,
    Connection,
    Executable,
    Float,
    FromClause,
    Insert,
    Interval,
    Select,
    Table,
    Text,
    Update,
    UpdateBase,
    and_,
    column,
    event,
    func,
    literal,
    literal_column,
    select,
    table,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.dml import ReturningUpdate

from shared.settings import Settings
from shared.store.tables import UtcDateTime

WRITES = "wavemill_writes"


def now(dialect: str, offset_seconds: float | ColumnElement[float] = 0.0) -> ColumnElement[datetime]:
    """The store's own clock, moved by an offset. It is SQL: a statement that is built once can hold it.

    PostgreSQL's is the one that all hosts share, and stands still within a transaction; SQLite serves one machine,
    whose clock it tells to the millisecond.
    """
    stands_still = isinstance(offset_seconds, float | int) and offset_seconds == 0
    if dialect == "postgresql":
        clock = func.now(type_=UtcDateTime)
        # The arguments before the seconds are years, months, weeks, days, hours and minutes.
        return clock if stands_still else clock + func.make_interval(0, 0, 0, 0, 0, 0, offset_seconds, type_=Interval)
    moved = () if stands_still else (func.printf("%+.3f seconds", offset_seconds),)
    # The form that SQLAlchemy stores.
    return func.strftime("%Y-%m-%d %H:%M:%f000", "now", *moved, type_=UtcDateTime)


def minute_of(dialect: str, moment: ColumnElement[datetime]) -> ColumnElement[datetime]:
    """The beginning of the minute of a moment."""
    if dialect == "postgresql":
        return func.date_trunc(literal_column("'minute'"), moment, type_=UtcDateTime)
    return func.strftime(literal_column("'%Y-%m-%d %H:%M:00.000000'"), moment, type_=UtcDateTime)


def change_steps(
    dialect: str,
    change: ReturningUpdate[Any],
    *,
    which: ColumnElement[bool],
    also: Sequence[Callable[[FromClause], Insert | Update]],
    answer: Callable[[FromClause], Select[Any]],
    is_durable: bool,
) -> tuple[Select[Any] | UpdateBase, ...]:
    """What to run for a change of one row and all that goes with it; see shared.store.change.

    PostgreSQL does it in one statement, whose other parts read what the UPDATE returned. SQLite has no such thing:
    there the first statement makes the change, the others find the changed row again, and the last one answers.

    What need not be durable is not waited for: a crash of PostgreSQL may forget it, some tenths of a second later, and
    nothing that was to be durable with it.
    """
    if dialect == "postgresql":
        changed = change.cte("changed")
        together = [make(changed).cte(f"also_{number}") for number, make in enumerate(also)]
        answered = answer(changed).add_cte(*together)
        if not is_durable:
            # For this transaction, which is this statement.
            answered = answered.add_columns(func.set_config("synchronous_commit", "off", True).label("waits"))
        return (answered,)
    changed = select(change.table).where(which).cte("changed")
    return (change, *(make(changed) for make in also), answer(changed))


def upsert(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that can say what to do about a row that is there already."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def has_pairs(dialect: str, column: ColumnElement[Any], pairs: Mapping[str, str]) -> ColumnElement[bool]:
    """Whether a JSON object has these strings, by keys that need no quoting."""
    if dialect == "postgresql":
        return column.op("@>", is_comparison=True)(literal(pairs, postgresql.JSONB))
    members = (func.json_extract(column, literal(f'$."{key}"')) == value for key, value in pairs.items())
    return and_(column.is_not(None), *members)


async def lock_digest(connection: AsyncConnection, sha256: str, *, shared: bool = False) -> None:
    """Hold the lock of these bytes until the transaction ends; several may share it."""
    if connection.dialect.name != "postgresql":
        # A transaction of SQLite that writes has the database to itself.
        return
    lock = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
    key = int.from_bytes(bytes.fromhex(sha256)[:8], signed=True)
    await connection.execute(select(lock(literal(key, BigInteger))))


def database_size(dialect: str) -> Executable:
    """Bytes of the whole database."""
    if dialect == "postgresql":
        return select(func.pg_database_size(func.current_database()))
    return text("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")


def row_estimates(dialect: str, tables: Sequence[str]) -> Executable | None:
    """Name and number of rows of each table, as the planner has them; None where only counting would tell."""
    if dialect != "postgresql":
        return None
    known = table("pg_class", column("relname", Text), column("reltuples", Float), column("relnamespace"))
    here = select(literal_column("current_schema()::regnamespace")).scalar_subquery()
    return select(known.c.relname, known.c.reltuples).where(known.c.relnamespace == here, known.c.relname.in_(tables))


def connection_use(dialect: str) -> Executable | None:
    """How many connections the server has, and how many it takes; None without a server."""
    if dialect != "postgresql":
        return None
    return text(
        "SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity "
        "WHERE backend_type = 'client backend'"
    )


def create_engine(settings: Settings) -> AsyncEngine:
    """An engine with the settings' pool and time limits."""
    url = settings.sqlalchemy_url
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, settings)
    engine = create_async_engine(
        url,
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_pool_overflow,
        pool_timeout=settings.database_connect_timeout_seconds,
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
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """Have the pool make a new connection in place of one that PostgreSQL has closed.

    Raises:
        DisconnectionError: the pool understands.
    """
    if is_closed(connection.driver_connection):
        raise DisconnectionError


def is_closed(asyncpg_connection: Any) -> bool:
    """Whether PostgreSQL has closed an idle connection, as a restart does.

    Instead of pool_pre_ping, which asks the server before each use (BEGIN, a query, ROLLBACK) and costs more than
    our statement. An idle connection is sent nothing: one that can be read from has been told of its end.
    """
    if asyncpg_connection.is_closed():
        return True
    ready = readiness.poll()
    # The loop may not have turned since the connection was last used, and so not have noticed.
    socket = asyncpg_connection._transport.get_extra_info("socket")  # noqa: SLF001 - asyncpg does not show it
    ready.register(socket.fileno(), readiness.POLLIN)
    return bool(ready.poll(0))


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
