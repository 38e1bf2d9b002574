"""Uploads, jobs, their attempts and their artifacts."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
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
    text,
)

from shared.schema.jobs import AttemptOutcome, JobStatus, Priority
from shared.store.tables.columns import Json, UtcDateTime, metadata, one_of, partial_index

uploads = Table(
    "uploads",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("sha256", Text, nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("filename", Text),
    Column("created_at", UtcDateTime, nullable=False),
    # From then on no job may begin on it; some time later its bytes are removed (shared/store/retention.py).
    Column("expired_at", UtcDateTime),
    Column("removed_at", UtcDateTime),
    # Who sent it; NULL: somebody on this machine, without a key.
    Column("key_id", ForeignKey("api_keys.id")),
)

jobs = Table(
    "jobs",
    metadata,
    # UUIDv7: the order of ids is the order of creation, which is what pages of jobs go by.
    Column("id", Uuid, primary_key=True),
    Column("status", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("spec", Json, nullable=False),
    # The preset that the spec was made from, and what the client says of the job: strings by name.
    Column("preset", Text),
    Column("metadata", Json),
    # NULL until it has been fetched.
    Column("upload_id", ForeignKey("uploads.id"), index=True),
    # There is more of it in `job_inputs`, which nobody needs to look for otherwise.
    Column("has_inputs", Boolean, nullable=False, server_default=text("false")),
    # The batch that it was submitted in, if any.
    Column("batch_id", ForeignKey("batches.id")),
    # A webhook of this job's own. It goes with the job, and nothing else takes it away: to check that costs an index.
    Column("webhook_id", Uuid),
    # Somebody is to be told of its end, and that has not been put on record yet (shared/store/notices.py).
    Column("notify", Boolean, nullable=False, server_default=text("false")),
    # As the upload has it: the bytes that wait are summed up without reading the uploads.
    Column("input_bytes", BigInteger, nullable=False),
    Column("traceparent", Text),
    # Counts changes of status and attempt: the order of the job's events.
    Column("version", Integer, nullable=False),
    Column("progress", Float, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    # `attempt` numbers the attempts; `attempts_spent` counts those that tell against the job.
    Column("attempt", Integer, nullable=False),
    Column("attempts_spent", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("lease_token", Uuid),
    Column("lease_expires_at", UtcDateTime),
    Column("worker", Text),
    Column("not_before", UtcDateTime),
    # It waits for others of its key to end (shared/store/turns.py).
    Column("held", Boolean, nullable=False, server_default=text("FALSE")),
    # When its message was last published, or was meant to be: one that no message carries is seen by this.
    Column("dispatched_at", UtcDateTime, nullable=False),
    Column("results", Json),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("poisoned", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # From when on it waits for a worker: its creation, or the time that the client asked for.
    Column("due_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    # How long the client wants its results kept, and until when that is, once it has succeeded.
    Column("keep_seconds", Integer),
    Column("expires_at", UtcDateTime),
    # The files that it made have been kept long enough, and are gone.
    Column("artifacts_removed_at", UtcDateTime),
    # Whose it is; NULL: it was made without a key.
    Column("key_id", ForeignKey("api_keys.id")),
    one_of("status", JobStatus),
    one_of("priority", Priority),
    # Who runs a job holds a lease of it; while it is fetched somebody may.
    CheckConstraint(
        "(lease_token IS NOT NULL) = (status = 'running') OR (status = 'fetching' AND lease_token IS NOT NULL)",
        name="lease",
    ),
    CheckConstraint("upload_id IS NOT NULL OR status IN ('fetching', 'failed', 'canceled')", name="input"),
    CheckConstraint("(status = 'failed') = (error_message IS NOT NULL)", name="error"),
)
# Written into the statement, not bound to it: neither database uses a partial index for a status that it learns later.
is_failed = jobs.c.status == literal("failed", literal_execute=True)
has_finished = jobs.c.finished_at.is_not(None)
is_to_be_told: ColumnElement[Any] = literal_column("notify") & has_finished
is_of_a_batch = jobs.c.batch_id.is_not(None)
has_key = jobs.c.key_id.is_not(None)
# A worker has it: it runs, or its inputs are being fetched.
is_leased = jobs.c.lease_token.is_not(None)
_is_free = jobs.c.lease_token.is_(None) & jobs.c.finished_at.is_(None)
# Its message should be with a worker or on its way; the other jobs that nobody has wait for their time or their turn.
# As text: SQLAlchemy says `held = 1` to SQLite, which would not find the index by that.
is_waiting = _is_free & jobs.c.not_before.is_(None) & literal_column("NOT held")
is_held: ColumnElement[Any] = _is_free & jobs.c.not_before.is_(None) & literal_column("held")
is_delayed = _is_free & jobs.c.not_before.is_not(None)
is_poisoned: ColumnElement[Any] = literal_column("poisoned")
# Its results are to go at a time of its own.
will_expire = jobs.c.expires_at.is_not(None) & jobs.c.artifacts_removed_at.is_(None)
# Jobs may begin on it.
is_kept = uploads.c.expired_at.is_(None)
is_expired = uploads.c.expired_at.is_not(None) & uploads.c.removed_at.is_(None)


Index("ix_jobs_status_id", jobs.c.status, jobs.c.id)
# Holds all that is asked of the waiting jobs together, so that the rows themselves need not be read.
partial_index(
    "ix_jobs_waiting",
    jobs.c.queue,
    jobs.c.due_at,
    jobs.c.id,
    jobs.c.dispatched_at,
    jobs.c.input_bytes,
    where=is_waiting,
)
partial_index("ix_jobs_held", jobs.c.key_id, jobs.c.created_at, jobs.c.id, where=is_held)
partial_index("ix_jobs_due", jobs.c.not_before, where=is_delayed)
partial_index("ix_jobs_lease", jobs.c.lease_expires_at, where=is_leased)
partial_index("ix_jobs_poisoned", jobs.c.queue, where=is_poisoned)
# A batch is counted, and its jobs are listed, from this alone; other jobs are not in it.
partial_index("ix_jobs_batch", jobs.c.batch_id, jobs.c.status, jobs.c.id, where=is_of_a_batch)
partial_index("ix_jobs_notify", jobs.c.finished_at, jobs.c.id, where=is_to_be_told)
partial_index("ix_jobs_finished", jobs.c.finished_at, jobs.c.id, where=has_finished)
partial_index("ix_jobs_expiring", jobs.c.expires_at, where=will_expire)
partial_index("ix_jobs_preset", jobs.c.preset, jobs.c.id, where=jobs.c.preset.is_not(None))
# PostgreSQL finds the rows that contain a pair; SQLite goes through the rows that have any.
Index(
    "ix_jobs_metadata",
    jobs.c.metadata,
    postgresql_using="gin",
    postgresql_ops={"metadata": "jsonb_path_ops"},
    postgresql_where=jobs.c.metadata.is_not(None),
    sqlite_where=jobs.c.metadata.is_not(None),
)
# For the operator: the latest failures, and those of a kind.
partial_index("ix_jobs_failed", jobs.c.finished_at, jobs.c.id, where=is_failed)
partial_index("ix_jobs_failed_code", jobs.c.error_code, jobs.c.id, where=is_failed)
# What one key has; nothing is written for jobs and uploads without one.
partial_index("ix_jobs_key", jobs.c.key_id, jobs.c.id, where=has_key)
partial_index("ix_jobs_key_unfinished", jobs.c.key_id, jobs.c.status, where=has_key & jobs.c.finished_at.is_(None))
partial_index(
    "ix_uploads_key",
    uploads.c.key_id,
    uploads.c.size_bytes,
    where=uploads.c.key_id.is_not(None) & uploads.c.removed_at.is_(None),
)
partial_index("ix_uploads_kept", uploads.c.created_at, uploads.c.id, where=is_kept)
partial_index("ix_uploads_expired", uploads.c.expired_at, where=is_expired)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("worker", Text, nullable=False),
    # Its span, which those of later attempts link to the first one's.
    Column("traceparent", Text),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("outcome", Text),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("audio_seconds", Float),
    Column("cpu_seconds", Float),
    one_of("outcome", AttemptOutcome),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("blob_key", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
)
