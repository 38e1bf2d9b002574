"""API keys: who may use the API, for what, and how much of it."""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Integer,
    Table,
    Text,
    Uuid,
)

from shared.store.tables.columns import Json, UtcDateTime, metadata

# A row is never deleted: what a key has made names it, and the first key closes the API to whoever has none for good.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    # The beginning of the secret, by which its holder tells it from others.
    Column("prefix", Text, nullable=False),
    # SHA-256 of the secret, which is kept nowhere: 256 random bits need no slow hash.
    Column("secret_sha256", Text, nullable=False, unique=True),
    # The secret before the last rotation, which still serves for a while.
    Column("previous_sha256", Text, unique=True),
    Column("previous_expires_at", UtcDateTime),
    Column("scopes", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    # Limits of this key; NULL: as the settings have it for every key; 0: none.
    Column("requests_per_second", Float),
    Column("burst", Integer),
    Column("max_queued_jobs", Integer),
    Column("max_running_jobs", Integer),
    Column("max_stored_bytes", BigInteger),
)
