"""Batches: jobs that were submitted together."""

from sqlalchemy import Boolean, Column, Integer, Table, Text, Uuid

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
)
has_not_ended = batches.c.ended_at.is_(None)

partial_index("ix_batches_open", batches.c.id, where=has_not_ended)
