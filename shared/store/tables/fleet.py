"""Workers and leaders, and what operators did."""

from sqlalchemy import (
    Column,
    Integer,
    Table,
    Text,
    Uuid,
    select,
)

from shared.store.tables.columns import Json, UtcDateTime, metadata
from shared.store.tables.jobs import jobs

leaderships = Table(
    "leaderships",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("queues", Json, nullable=False),
    Column("concurrency", Integer, nullable=False),
    # The names under which its processes hold leases.
    Column("processes", Json, nullable=False),
    # How many of its children run a job.
    Column("busy", Integer, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False, index=True),
    # From then on it is to take no new jobs.
    Column("draining_since", UtcDateTime),
)

# The queues of which no job is begun until they are resumed.
queue_pauses = Table(
    "queue_pauses",
    metadata,
    Column("queue", Text, primary_key=True),
    Column("since", UtcDateTime, nullable=False),
)
is_paused = select(queue_pauses.c.queue).where(queue_pauses.c.queue == jobs.c.queue).exists()

# What operators did, the newest last.
audit = Table(
    "audit",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", Text, nullable=False),
)
