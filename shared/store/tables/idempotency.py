"""Requests that are to be done once, however often they are sent."""

from sqlalchemy import Column, Integer, Table, Text, Uuid

from shared.store.tables.columns import UtcDateTime, metadata

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    # Whose key it is: what one client makes up is no concern of another.
    Column("scope", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    # SHA-256 of what was asked for.
    Column("fingerprint", Text, nullable=False),
    # Who is at it, and until when nobody else may be.
    Column("token", Uuid, nullable=False),
    Column("reserved_until", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    # The answer, written with what it tells of; NULL while the request is in flight.
    Column("status", Integer),
    Column("body", Text),
    Column("location", Text),
)
