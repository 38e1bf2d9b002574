"""A statement of PostgreSQL that is a transaction by itself: compiled once, and run by asyncpg.

SQLAlchemy builds it, and lends a connection of its pool. Run by SQLAlchemy it costs several times what asyncpg takes
for it (`make bench-jobs`), and a job's life is little more than three of these.
"""

from collections import namedtuple
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
from sqlalchemy import Select, UpdateBase
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InternalError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from shared.store.dialect import is_closed

# What the server calls a double precision (pg_type): SQLAlchemy asks it of the columns that hold numbers.
_DOUBLE = 701


class OneStatement:
    """The statement, and how values come into it and out of it."""

    def __init__(self, lender: "Lender", statement: Select[Any] | UpdateBase) -> None:
        """Nothing is run yet; the statement must not depend on the values in other ways than by bindparams."""
        self._lender = lender
        dialect = lender.dialect
        compiled = dialect.statement_compiler(dialect, statement)
        fixed = compiled.construct_params(_check=False)
        self._sql = compiled.string
        self._parameters = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect), fixed[name])
            for name in compiled.positiontup or ()
        ]
        columns = statement.exported_columns
        self._row: Any = namedtuple("Row", [str(column.key) for column in columns])  # type: ignore[misc]  # noqa: PYI024
        self._processors = [column.type.dialect_impl(dialect).result_processor(dialect, _DOUBLE) for column in columns]

    async def row(self, given: Mapping[str, Any]) -> Any:
        """Its one row, by the names of its columns, or None.

        Args:
            given: a value for each bindparam.

        Raises:
            sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError, OSError: as if SQLAlchemy had run it.
        """
        values = [
            process(value) if process is not None and value is not None else value
            for name, process, otherwise in self._parameters
            for value in (given.get(name, otherwise),)
        ]
        found = await self._fetch(values)
        if found is None:
            return None
        return self._row._make(
            value if process is None else process(value) for value, process in zip(found, self._processors, strict=True)
        )

    async def _fetch(self, values: Sequence[Any]) -> Any:
        lent = await self._lender.borrow(self._sql)
        connection: Any = lent.driver_connection
        try:
            return await connection.fetchrow(self._sql, *values)
        except asyncpg.IntegrityConstraintViolationError as error:
            raise IntegrityError(self._sql, None, error) from error
        except asyncpg.PostgresError as error:
            raise DBAPIError(self._sql, None, error) from error
        except asyncpg.DataError as error:
            raise DataError(self._sql, None, error) from error
        except BaseException as error:
            # It is not known what the server is doing with it: the pool makes another one.
            connection.terminate()
            if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
                raise InternalError(self._sql, None, error) from error
            raise
        finally:
            await self._lender.give_back(lent)


class Lender:
    """Connections of an engine's pool, for one statement each.

    The last one is kept at hand: a worker's child, which uses one at a time, seldom has to ask the pool.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.dialect = engine.dialect
        self._pool = engine.sync_engine.pool
        self._drivers_error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self._at_hand: PoolProxiedConnection | None = None

    async def borrow(self, sql: str) -> PoolProxiedConnection:
        """A connection that works, as far as can be seen.

        Raises:
            sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError, OSError: there is none.
        """
        lent, self._at_hand = self._at_hand, None
        if lent is not None:
            if not is_closed(lent.driver_connection):
                return lent
            await self.give_back(lent)
        try:
            # The pool connects and disconnects by greenlets.
            return await greenlet_spawn(self._pool.connect)
        except self._drivers_error as error:
            raise DBAPIError(sql, None, error) from error

    async def give_back(self, lent: PoolProxiedConnection) -> None:
        """It is free again."""
        if self._at_hand is None and not is_closed(lent.driver_connection):
            self._at_hand = lent
        else:
            await greenlet_spawn(lent.close)

    async def close(self) -> None:
        """Give back what is at hand."""
        lent, self._at_hand = self._at_hand, None
        if lent is not None:
            await greenlet_spawn(lent.close)
