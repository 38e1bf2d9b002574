"""Batches: jobs that were submitted together."""

from sqlalchemy import Boolean, Column, ForeignKey, Integer, Table, Text, Uuid

from shared.store.tables.columns import UtcDateTime, metadata, partial_index

batches = Table(
    "batches",
    metadata,
    # UUIDv7, as a job's: the order of ids is the order of creation.
    Column("id", Uuid, primary_key=True),
    Column("name", Text),
    # How many jobs it was made with.
    Column("jobs", Integer, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # When the reconciler first saw that none of its jobs goes on: what its webhook is told by.
    Column("ended_at", UtcDateTime),
    # Of the request that made it.
    Column("traceparent", Text),
    # A webhook of this batch's own, which goes with it.
    Column("webhook_id", ForeignKey("webhooks.id"), index=True),
    # Whose it is; NULL: it was made without a key.
    Column("key_id", ForeignKey("api_keys.id")),
)
has_not_ended = batches.c.ended_at.is_(None)

# Those of a key, the newest last.
partial_index("ix_batches_key", batches.c.key_id, batches.c.id, where=batches.c.key_id.is_not(None))
partial_index("ix_batches_open", batches.c.id, where=has_not_ended)
