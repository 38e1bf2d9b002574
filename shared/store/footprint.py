"""What the database holds and takes, at a cost that does not grow with it."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.store import dialect
from shared.store.database import Database
from shared.store.tables import metadata


@dataclass(frozen=True, slots=True)
class Connections:
    """How many connections the server has, and takes."""

    open: int
    limit: int


class Footprint:
    """The questions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def size_bytes(self) -> int:
        """Of the whole database, with its indexes."""
        async with self._database.read() as connection:
            return int((await connection.execute(dialect.database_size(self._database.dialect_name))).scalar_one())

    async def rows(self) -> Mapping[str, int]:
        """About how many rows each table has, as the planner knows; of SQLite nothing is known without counting."""
        query = dialect.row_estimates(self._database.dialect_name, list(metadata.tables))
        if query is None:
            return {}
        async with self._database.read() as connection:
            # -1: the table was never looked at.
            return {name: max(0, int(rows)) for name, rows in await connection.execute(query)}

    async def connections(self) -> Connections | None:
        """Of the whole server, whoever's they are; None of SQLite, which has no server."""
        query = dialect.connection_use(self._database.dialect_name)
        if query is None:
            return None
        async with self._database.read() as connection:
            taken, limit = (await connection.execute(query)).one()
        return Connections(int(taken), int(limit))
