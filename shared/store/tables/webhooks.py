"""Webhooks, and the messages to them."""

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    literal,
    literal_column,
)

from shared.schema.webhooks import DeliveryStatus
from shared.store.tables.columns import Json, UtcDateTime, metadata, one_of, partial_index

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("url", Text, nullable=False),
    # What it is told of; empty: everything.
    Column("events", Json, nullable=False),
    Column("description", Text, nullable=False),
    # To sign with. The previous one signs as well until its time ends.
    Column("secret", Text, nullable=False),
    Column("previous_secret", Text),
    Column("previous_secret_expires_at", UtcDateTime),
    Column("enabled", Boolean, nullable=False),
    Column("disabled_reason", Text),
    # A key's own, for all of its jobs; the others are each of one job, or of one batch, and go with it.
    Column("is_standing", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # Whose it is; NULL: it was made without a key.
    Column("key_id", ForeignKey("api_keys.id")),
)
# As text: SQLAlchemy says `is_standing = 1` to SQLite, which would not find the index by that.
is_standing: ColumnElement[Any] = literal_column("is_standing")

partial_index("ix_webhooks_standing", webhooks.c.key_id, webhooks.c.id, where=is_standing)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    # UUIDv7. The header `webhook-id`: the receiver knows by it a message that comes twice.
    Column("id", Uuid, primary_key=True),
    Column("webhook_id", ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("event", Text, nullable=False),
    Column("subject_id", Uuid),
    # The text that is signed and sent, the same in each attempt.
    Column("body", Text, nullable=False),
    Column("traceparent", Text),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    # When it is tried next, and from when on it is not tried any more.
    Column("due_at", UtcDateTime, nullable=False),
    Column("give_up_at", UtcDateTime, nullable=False),
    # When its message for a worker was last published; NULL: not since it is due.
    Column("dispatched_at", UtcDateTime),
    # Who tries it now.
    Column("lease_token", Uuid),
    Column("lease_expires_at", UtcDateTime),
    # Of the last attempt.
    Column("attempted_at", UtcDateTime),
    Column("took_seconds", Float),
    Column("response_status", Integer),
    Column("error", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    one_of("status", DeliveryStatus),
)
is_pending = webhook_deliveries.c.status == literal("pending", literal_execute=True)
has_ended = webhook_deliveries.c.ended_at.is_not(None)

Index("ix_webhook_deliveries_webhook_id", webhook_deliveries.c.webhook_id, webhook_deliveries.c.id)
partial_index(
    "ix_webhook_deliveries_due", webhook_deliveries.c.due_at, webhook_deliveries.c.created_at, where=is_pending
)
partial_index("ix_webhook_deliveries_ended", webhook_deliveries.c.ended_at, where=has_ended)
