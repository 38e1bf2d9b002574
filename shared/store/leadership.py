"""Leadership by a leased row: of many candidates one leads, and another takes over when it falls silent."""

from sqlalchemy import delete, or_, select

from shared.store.database import Database
from shared.store.dialect import upsert
from shared.store.tables import leaderships


class Leadership:
    """The leadership of one task, such as the reconciler's."""

    def __init__(self, database: Database, *, name: str, holder: str, lease_seconds: float) -> None:
        self._database = database
        self._name = name
        self._holder = holder
        self._lease_seconds = lease_seconds

    async def acquire(self) -> bool:
        """Take or keep the leadership for the lease's length. False when another holds it."""
        row = {
            "name": self._name,
            "holder": self._holder,
            "expires_at": self._database.now(self._lease_seconds),
        }
        taken = (
            upsert(self._database.dialect_name, leaderships)
            .values(row)
            .on_conflict_do_update(
                index_elements=["name"],
                set_=row,
                where=or_(leaderships.c.holder == self._holder, leaderships.c.expires_at < self._database.now()),
            )
            .returning(leaderships.c.holder)
        )
        async with self._database.write() as connection:
            return (await connection.execute(taken)).one_or_none() is not None

    async def release(self) -> None:
        """Let another lead at once."""
        async with self._database.write() as connection:
            await connection.execute(
                delete(leaderships).where(leaderships.c.name == self._name, leaderships.c.holder == self._holder)
            )

    async def holder(self) -> str | None:
        """Who leads now."""
        query = select(leaderships.c.holder).where(
            leaderships.c.name == self._name, leaderships.c.expires_at >= self._database.now()
        )
        async with self._database.read() as connection:
            holder: str | None = (await connection.execute(query)).scalar_one_or_none()
        return holder
