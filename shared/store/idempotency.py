"""Idempotency keys: a request is reserved, done, and its answer kept in the transaction that does it.

So of any number of equal requests one is done, and a crash in between leaves a reservation that runs out.
"""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.store.database import Database
from shared.store.dialect import upsert
from shared.store.tables import idempotency_keys as table

KEEP_SECONDS = 86_400.0
# Longer than any request works on what has come of it; after a crash its key is free again.
RESERVED_SECONDS = 120.0
_WITHOUT_KEY = "local"
# What services call it that have no SQL of their own.
Transaction: TypeAlias = AsyncConnection


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered."""

    status: int
    body: str
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Reservation:
    """The right to do a request."""

    scope: str
    key: str
    token: UUID


class Conflict(Enum):
    """Why a request is not to be done."""

    IN_FLIGHT = "in flight"
    OTHER_REQUEST = "other request"


class ReservationLost(Exception):
    """It ran out, and another has taken over; nothing was written."""


class IdempotencyKeys:
    """The table of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, key: str, *, key_id: UUID | None, fingerprint: str) -> Reservation | Answer | Conflict:
        """Begin a request; or what it was answered, or why it is not to be begun.

        Args:
            key: as the client made it up.
            key_id: the API key of the client.
            fingerprint: of all that the client asks for.
        """
        now = self._database.now()
        wanted = Reservation(_scope_of(key_id), key, uuid4())
        fresh = {
            "fingerprint": fingerprint,
            "token": wanted.token,
            "reserved_until": self._database.now(RESERVED_SECONDS),
            "created_at": now,
            "status": None,
            "body": None,
            "location": None,
        }
        is_free = or_(
            and_(table.c.status.is_(None), table.c.reserved_until < now),
            table.c.created_at < self._database.now(-KEEP_SECONDS),
        )
        reserve = (
            upsert(self._database.dialect_name, table)
            .values(scope=wanted.scope, key=key, **fresh)
            .on_conflict_do_update(index_elements=[table.c.scope, table.c.key], set_=fresh, where=is_free)
            .returning(table.c.token)
        )
        known = select(table).where(table.c.scope == wanted.scope, table.c.key == key)
        async with self._database.write() as connection:
            if (await connection.execute(reserve)).one_or_none() is not None:
                return wanted
            row = (await connection.execute(known)).one_or_none()
        # None: it was given up in this moment.
        if row is not None and row.fingerprint != fingerprint:
            return Conflict.OTHER_REQUEST
        if row is None or row.status is None:
            return Conflict.IN_FLIGHT
        return Answer(row.status, row.body, row.location)

    async def was_answered(self, key: str, *, key_id: UUID | None) -> bool:
        """Whether a request with this key was done, and its answer is kept."""
        its_answer = select(table.c.status).where(
            table.c.scope == _scope_of(key_id),
            table.c.key == key,
            table.c.status.is_not(None),
            table.c.created_at >= self._database.now(-KEEP_SECONDS),
        )
        async with self._database.read() as connection:
            return (await connection.execute(its_answer)).one_or_none() is not None

    @staticmethod
    async def complete(connection: Transaction, reservation: Reservation, answer: Answer) -> None:
        """Keep the answer, in the transaction that does what it tells of.

        Raises:
            ReservationLost: another does the request now; the transaction must end with this.
        """
        kept = (
            update(table)
            .where(_is(reservation))
            .values(status=answer.status, body=answer.body, location=answer.location)
            .returning(table.c.token)
        )
        if (await connection.execute(kept)).one_or_none() is None:
            raise ReservationLost

    async def complete_alone(self, reservation: Reservation, answer: Answer) -> None:
        """Keep the answer of what was done before, and does no harm if it is done again.

        Raises:
            ReservationLost: another does the request now.
        """
        async with self._database.write() as connection:
            await self.complete(connection, reservation, answer)

    async def release(self, reservation: Reservation) -> None:
        """Give up: nothing was done, and the request may be sent again, corrected perhaps."""
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(_is(reservation)))

    async def forget(self, limit: int) -> int:
        """Remove keys whose day is over; gives how many."""
        old = (
            select(table.c.scope, table.c.key)
            .where(table.c.created_at < self._database.now(-KEEP_SECONDS))
            .order_by(table.c.created_at)
            .limit(limit)
            .subquery()
        )
        is_old = and_(table.c.scope == old.c.scope, table.c.key == old.c.key)
        gone = delete(table).where(select(old.c.key).where(is_old).exists()).returning(table.c.key)
        async with self._database.write() as connection:
            return len((await connection.execute(gone)).all())


def _scope_of(key_id: UUID | None) -> str:
    return _WITHOUT_KEY if key_id is None else str(key_id)


def _is(reservation: Reservation) -> ColumnElement[bool]:
    return and_(
        table.c.scope == reservation.scope,
        table.c.key == reservation.key,
        table.c.token == reservation.token,
        table.c.status.is_(None),
    )
