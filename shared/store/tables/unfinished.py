"""Uploads that take more than one request."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Table, Text, Uuid

from shared.store.tables.columns import UtcDateTime, metadata

unfinished_uploads = Table(
    "unfinished_uploads",
    metadata,
    # The upload that it becomes has the same.
    Column("id", Uuid, primary_key=True),
    Column("way", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("received_bytes", BigInteger, nullable=False),
    Column("filename", Text),
    # As the client has sent it, to be told again.
    Column("metadata", Text),
    # What the client says they are.
    Column("sha256", Text),
    # Whoever began to write last: of several one alone goes on.
    Column("writer", Uuid),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("completed_at", UtcDateTime),
    # Who sends it; NULL: somebody on this machine, without a key.
    Column("key_id", ForeignKey("api_keys.id"), index=True),
    CheckConstraint("way IN ('tus', 'presigned')", name="way"),
    CheckConstraint("received_bytes BETWEEN 0 AND size_bytes", name="received"),
)

# What has come of a resumable one, without gaps.
upload_pieces = Table(
    "upload_pieces",
    metadata,
    Column("upload_id", ForeignKey("unfinished_uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("start_byte", BigInteger, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("blob_key", Text, nullable=False),
)
