"""What operators did: who, when, what, to which, and what came of it. An entry is closed once, and never removed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import Row, insert, select, update

from shared.store.database import Database
from shared.store.tables import audit


class AuditOutcome(StrEnum):
    """What came of an action."""

    BEGUN = "begun"  # for good, where the process died over it
    DONE = "done"
    REFUSED = "refused"  # it was too late for it, or there was nothing to do
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An action of an operator."""

    entry_id: UUID
    at: datetime
    who: str
    action: str
    target: str
    outcome: AuditOutcome
    detail: str


class AuditTrail:
    """The record, which is written before anything is done, and again after it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, *, who: str, action: str, target: str) -> UUID:
        """Put on record what is about to be done."""
        entry_id = uuid_utils.compat.uuid7()
        row = {
            "id": entry_id,
            "at": self._database.now(),
            "who": who,
            "action": action,
            "target": target,
            "outcome": AuditOutcome.BEGUN,
            "detail": "",
        }
        async with self._database.write() as connection:
            await connection.execute(insert(audit).values(row))
        return entry_id

    async def end(self, entry_id: UUID, outcome: AuditOutcome, detail: str) -> None:
        """Put on record what came of it."""
        ended = update(audit).where(audit.c.id == entry_id).values(outcome=outcome, detail=detail)
        async with self._database.write() as connection:
            await connection.execute(ended)

    async def get(self, entry_id: UUID) -> AuditEntry | None:
        """One entry."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(audit).where(audit.c.id == entry_id))).one_or_none()
        return None if row is None else _entry(row)

    async def page(self, *, before: UUID | None, limit: int) -> Sequence[AuditEntry]:
        """The newest entries first; `before` is the id of the last one that was seen."""
        query = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.id < before)
        async with self._database.read() as connection:
            return [_entry(row) for row in await connection.execute(query)]


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(row.id, row.at, row.who, row.action, row.target, AuditOutcome(row.outcome), row.detail)
