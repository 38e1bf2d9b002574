"""What is counted for good, also after the rows are gone."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Integer,
    Table,
    Text,
)

from shared.store.tables.columns import UtcDateTime, metadata

# How many jobs ended how, of those that ended until the watermark, and how many of these are no longer there
# (shared/store/finished.py).
finished_totals = Table(
    "finished_totals",
    metadata,
    Column("status", Text, primary_key=True),
    Column("queue", Text, primary_key=True),
    Column("ended", BigInteger, nullable=False),
    Column("gone", BigInteger, nullable=False),
)

# One row: the latest `finished_at` that the totals hold.
finished_watermark = Table(
    "finished_watermark",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("counted_until", UtcDateTime, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

# How often a thing has happened that happens seldom, by a label of its own (shared/store/tallies.py).
tallies = Table(
    "tallies",
    metadata,
    Column("name", Text, primary_key=True),
    Column("label", Text, primary_key=True),
    Column("total", BigInteger, nullable=False),
)
