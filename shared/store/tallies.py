"""Counts of what happens seldom, kept for as long as the database is: they outlive every process and every job.

Each is a row that whoever counts has to wait for: what happens with every job is counted in shared/store/finished.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, FromClause, Insert, literal, select, true

from shared.store.database import Database
from shared.store.dialect import upsert
from shared.store.tables import tallies

ATTEMPTS_LOST = "attempts_lost"
JOBS_POISONED = "jobs_poisoned"
RECONCILER_ACTIONS = "reconciler_actions"
WEBHOOK_OUTCOMES = "webhook_outcomes"


@dataclass(frozen=True, slots=True)
class Tally:
    """How often a thing has happened."""

    name: str
    label: str
    total: int


class Tallies:
    """All of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, name: str, counts: Mapping[str, int]) -> None:
        """Count things of one name, by label; one that never happened begins at 0."""
        async with self._database.write() as connection:
            # In one order, so that two who count do not wait for each other.
            for label, count in sorted(counts.items()):
                row = {"name": name, "label": label, "total": count}
                added = upsert(self._database.dialect_name, tallies).values(row)
                await connection.execute(
                    added.on_conflict_do_update(
                        index_elements=["name", "label"], set_={"total": tallies.c.total + added.excluded.total}
                    )
                )

    async def all(self) -> list[Tally]:
        """Every one."""
        async with self._database.read() as connection:
            return [Tally(row.name, row.label, row.total) for row in await connection.execute(select(tallies))]


def count_of(
    dialect: str, name: str, label: ColumnElement[str], changed: FromClause, *, when: ColumnElement[bool] | None = None
) -> Insert:
    """A statement that counts 1 for a row that was changed, as a part of that change."""
    # SQLite takes the ON of ON CONFLICT for one of a join, where there is no WHERE.
    one = select(literal(name), label, literal(1)).select_from(changed).where(true() if when is None else when)
    added = upsert(dialect, tallies).from_select(["name", "label", "total"], one)
    return added.on_conflict_do_update(
        index_elements=["name", "label"], set_={"total": tallies.c.total + added.excluded.total}
    )
