"""A change of one row with all that goes with it in other tables, built once and run often."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Insert, Row, Select, Update
from sqlalchemy.sql.dml import ReturningUpdate

from shared.store.database import Database
from shared.store.dialect import change_steps


class Change:
    """A conditional UPDATE of one row, and what goes with it: all of it is done, or nothing."""

    def __init__(
        self,
        database: Database,
        change: ReturningUpdate[Any],
        *,
        which: ColumnElement[bool],
        answer: Callable[[FromClause], Select[Any]],
        also: Sequence[Callable[[FromClause], Insert | Update]] = (),
    ) -> None:
        """Nothing is run yet.

        Args:
            database: what it is for.
            change: the UPDATE, which returns all columns that `also` and `answer` read.
            which: finds the row, also after the change.
            answer: a SELECT from the changed row.
            also: each makes a statement that writes to another table, from the changed row.
        """
        self._database = database
        self._steps = change_steps(database.dialect_name, change, which=which, also=also, answer=answer)

    async def apply(self, given: Mapping[str, Any]) -> Row[Any] | None:
        """Make the change, and answer; None when the condition did not hold, and nothing was changed.

        Args:
            given: a value for each bindparam; none has the name of a column, which SQLAlchemy would set.
        """
        return await self._database.write_at_once(lambda connection: self.within(connection, given))

    def within(self, connection: Connection, given: Mapping[str, Any]) -> Row[Any] | None:
        """The same in a transaction that does more."""
        found: Row[Any] | None = None
        for step in self._steps:
            result = connection.execute(step, given)
            if result.returns_rows:
                found = result.one_or_none()
                if found is None:
                    break
        return found
