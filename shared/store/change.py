"""A change of one job with all that goes with it in other tables, built once and run often."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, UpdateBase

from shared.store.database import Database
from shared.store.one_statement import OneStatement


class Change:
    """All of it is done, or nothing."""

    def __init__(self, database: Database, steps: Sequence[Select[Any] | UpdateBase]) -> None:
        """Nothing is run yet.

        Args:
            database: what it is for.
            steps: what to run in one transaction. The steps that answer give the same row; the one without a row is
                the last that is run. On PostgreSQL one step does it all (shared.store.dialect.change_steps).
        """
        self._database = database
        self._steps = steps
        self._alone = OneStatement(database.lender, steps[0]) if database.dialect_name == "postgresql" else None

    async def apply(self, given: Mapping[str, Any]) -> Any:
        """Make the change, and answer with a row; None when a condition did not hold, and nothing was changed.

        Args:
            given: a value for each bindparam; none has the name of a column, which SQLAlchemy would set.

        Raises:
            sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError, OSError: it could not be made.
        """
        if self._alone is not None:
            return await self._alone.row(given)
        async with self._database.write() as connection:
            return await connection.run_sync(self.within, given)

    def within(self, connection: Connection, given: Mapping[str, Any]) -> Any:
        """The same in a transaction that does more."""
        found = None
        for step in self._steps:
            result = connection.execute(step, given)
            if result.returns_rows:
                found = result.one_or_none()
                if found is None:
                    break
        return found
