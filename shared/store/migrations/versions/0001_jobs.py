"""The tables that a job lives in."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("secret_sha256", sa.Text(), nullable=False),
        sa.Column("previous_sha256", sa.Text(), nullable=True),
        sa.Column("previous_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("scopes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requests_per_second", sa.Float(), nullable=True),
        sa.Column("burst", sa.Integer(), nullable=True),
        sa.Column("max_queued_jobs", sa.Integer(), nullable=True),
        sa.Column("max_running_jobs", sa.Integer(), nullable=True),
        sa.Column("max_stored_bytes", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("previous_sha256", name=op.f("uq_api_keys_previous_sha256")),
        sa.UniqueConstraint("secret_sha256", name=op.f("uq_api_keys_secret_sha256")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_table(
        "finished_totals",
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=False),
        sa.Column("gone", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("status", "queue", name=op.f("pk_finished_totals")),
    )
    op.create_table(
        "finished_watermark",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("counted_until", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_finished_watermark_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finished_watermark")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("token", sa.Uuid(), nullable=False),
        sa.Column("reserved_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("scope", "key", name=op.f("pk_idempotency_keys")),
    )
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_idempotency_keys_created_at"), ["created_at"], unique=False)

    op.create_table(
        "leaderships",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leaderships")),
    )
    op.create_table(
        "queue_pauses",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("queue", name=op.f("pk_queue_pauses")),
    )
    op.create_table(
        "tallies",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "label", name=op.f("pk_tallies")),
    )
    op.create_table(
        "workers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("queues", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("processes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("busy", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("draining_since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
    )
    with op.batch_alter_table("workers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_workers_seen_at"), ["seen_at"], unique=False)

    op.create_table(
        "presets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("operations", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_presets_key_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_presets")),
        sa.UniqueConstraint("key_id", "name", name=op.f("uq_presets_key_id_name")),
    )
    with op.batch_alter_table("presets", schema=None) as batch_op:
        batch_op.create_index(
            "ix_presets_without_key",
            ["name"],
            unique=True,
            postgresql_where=sa.text("key_id IS NULL"),
            sqlite_where=sa.text("key_id IS NULL"),
        )

    op.create_table(
        "unfinished_uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_bytes", sa.BigInteger(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("writer", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("way IN ('tus', 'presigned')", name=op.f("ck_unfinished_uploads_way")),
        sa.CheckConstraint("received_bytes BETWEEN 0 AND size_bytes", name=op.f("ck_unfinished_uploads_received")),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_unfinished_uploads_key_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unfinished_uploads")),
    )
    with op.batch_alter_table("unfinished_uploads", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_unfinished_uploads_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_unfinished_uploads_key_id"), ["key_id"], unique=False)

    op.create_table(
        "uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_uploads_key_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    with op.batch_alter_table("uploads", schema=None) as batch_op:
        batch_op.create_index(
            "ix_uploads_expired",
            ["expired_at"],
            unique=False,
            postgresql_where=sa.text("expired_at IS NOT NULL AND removed_at IS NULL"),
            sqlite_where=sa.text("expired_at IS NOT NULL AND removed_at IS NULL"),
        )
        batch_op.create_index(
            "ix_uploads_kept",
            ["created_at", "id"],
            unique=False,
            postgresql_where=sa.text("expired_at IS NULL"),
            sqlite_where=sa.text("expired_at IS NULL"),
        )
        batch_op.create_index(
            "ix_uploads_key",
            ["key_id", "size_bytes"],
            unique=False,
            postgresql_where=sa.text("key_id IS NOT NULL AND removed_at IS NULL"),
            sqlite_where=sa.text("key_id IS NOT NULL AND removed_at IS NULL"),
        )
        batch_op.create_index(batch_op.f("ix_uploads_sha256"), ["sha256"], unique=False)

    op.create_table(
        "webhooks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("previous_secret", sa.Text(), nullable=True),
        sa.Column("previous_secret_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("is_standing", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_webhooks_key_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    with op.batch_alter_table("webhooks", schema=None) as batch_op:
        batch_op.create_index(
            "ix_webhooks_standing",
            ["key_id", "id"],
            unique=False,
            postgresql_where=sa.text("is_standing"),
            sqlite_where=sa.text("is_standing"),
        )

    op.create_table(
        "batches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("jobs", sa.Integer(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column("webhook_id", sa.Uuid(), nullable=True),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_batches_key_id")),
        sa.ForeignKeyConstraint(["webhook_id"], ["webhooks.id"], name=op.f("fk_batches_webhook_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    with op.batch_alter_table("batches", schema=None) as batch_op:
        batch_op.create_index(
            "ix_batches_key",
            ["key_id", "id"],
            unique=False,
            postgresql_where=sa.text("key_id IS NOT NULL"),
            sqlite_where=sa.text("key_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_batches_open",
            ["id"],
            unique=False,
            postgresql_where=sa.text("ended_at IS NULL"),
            sqlite_where=sa.text("ended_at IS NULL"),
        )
        batch_op.create_index(batch_op.f("ix_batches_webhook_id"), ["webhook_id"], unique=False)

    op.create_table(
        "upload_pieces",
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.Column("start_byte", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("blob_key", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["unfinished_uploads.id"], name=op.f("fk_upload_pieces_upload_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("upload_id", "start_byte", name=op.f("pk_upload_pieces")),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("give_up_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("took_seconds", sa.Float(), nullable=True),
        sa.Column("response_status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status IN ('pending', 'delivered', 'failed')", name=op.f("ck_webhook_deliveries_status")),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_webhook_deliveries_webhook_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    with op.batch_alter_table("webhook_deliveries", schema=None) as batch_op:
        batch_op.create_index(
            "ix_webhook_deliveries_due",
            ["due_at", "created_at"],
            unique=False,
            postgresql_where=sa.text("status = 'pending'"),
            sqlite_where=sa.text("status = 'pending'"),
        )
        batch_op.create_index(
            "ix_webhook_deliveries_ended",
            ["ended_at"],
            unique=False,
            postgresql_where=sa.text("ended_at IS NOT NULL"),
            sqlite_where=sa.text("ended_at IS NOT NULL"),
        )
        batch_op.create_index("ix_webhook_deliveries_webhook_id", ["webhook_id", "id"], unique=False)

    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("spec", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("preset", sa.Text(), nullable=True),
        sa.Column("metadata", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("upload_id", sa.Uuid(), nullable=True),
        sa.Column("has_inputs", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("webhook_id", sa.Uuid(), nullable=True),
        sa.Column("notify", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("input_bytes", sa.BigInteger(), nullable=False),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("progress", sa.Float(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("attempts_spent", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("held", sa.Boolean(), server_default=sa.text("(FALSE)"), nullable=False),
        sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("results", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("poisoned", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("keep_seconds", sa.Integer(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("artifacts_removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(lease_token IS NOT NULL) = (status = 'running') OR (status = 'fetching' AND lease_token IS NOT NULL)",
            name=op.f("ck_jobs_lease"),
        ),
        sa.CheckConstraint("(status = 'failed') = (error_message IS NOT NULL)", name=op.f("ck_jobs_error")),
        sa.CheckConstraint("priority IN ('high', 'default', 'low')", name=op.f("ck_jobs_priority")),
        sa.CheckConstraint(
            "status IN ('fetching', 'queued', 'running', 'succeeded', 'failed', 'canceled')",
            name=op.f("ck_jobs_status"),
        ),
        sa.CheckConstraint(
            "upload_id IS NOT NULL OR status IN ('fetching', 'failed', 'canceled')", name=op.f("ck_jobs_input")
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_jobs_batch_id")),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_jobs_key_id")),
        sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"], name=op.f("fk_jobs_upload_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index(
            "ix_jobs_batch",
            ["batch_id", "status", "id"],
            unique=False,
            postgresql_where=sa.text("batch_id IS NOT NULL"),
            sqlite_where=sa.text("batch_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_jobs_due",
            ["not_before"],
            unique=False,
            postgresql_where=sa.text("lease_token IS NULL AND finished_at IS NULL AND not_before IS NOT NULL"),
            sqlite_where=sa.text("lease_token IS NULL AND finished_at IS NULL AND not_before IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_jobs_expiring",
            ["expires_at"],
            unique=False,
            postgresql_where=sa.text("expires_at IS NOT NULL AND artifacts_removed_at IS NULL"),
            sqlite_where=sa.text("expires_at IS NOT NULL AND artifacts_removed_at IS NULL"),
        )
        batch_op.create_index(
            "ix_jobs_failed",
            ["finished_at", "id"],
            unique=False,
            postgresql_where=sa.text("status = 'failed'"),
            sqlite_where=sa.text("status = 'failed'"),
        )
        batch_op.create_index(
            "ix_jobs_failed_code",
            ["error_code", "id"],
            unique=False,
            postgresql_where=sa.text("status = 'failed'"),
            sqlite_where=sa.text("status = 'failed'"),
        )
        batch_op.create_index(
            "ix_jobs_finished",
            ["finished_at", "id"],
            unique=False,
            postgresql_where=sa.text("finished_at IS NOT NULL"),
            sqlite_where=sa.text("finished_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_jobs_held",
            ["key_id", "created_at", "id"],
            unique=False,
            postgresql_where=sa.text("lease_token IS NULL AND finished_at IS NULL AND not_before IS NULL AND held"),
            sqlite_where=sa.text("lease_token IS NULL AND finished_at IS NULL AND not_before IS NULL AND held"),
        )
        batch_op.create_index(
            "ix_jobs_key",
            ["key_id", "id"],
            unique=False,
            postgresql_where=sa.text("key_id IS NOT NULL"),
            sqlite_where=sa.text("key_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_jobs_key_unfinished",
            ["key_id", "status"],
            unique=False,
            postgresql_where=sa.text("key_id IS NOT NULL AND finished_at IS NULL"),
            sqlite_where=sa.text("key_id IS NOT NULL AND finished_at IS NULL"),
        )
        batch_op.create_index(
            "ix_jobs_lease",
            ["lease_expires_at"],
            unique=False,
            postgresql_where=sa.text("lease_token IS NOT NULL"),
            sqlite_where=sa.text("lease_token IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_jobs_metadata",
            ["metadata"],
            unique=False,
            postgresql_using="gin",
            postgresql_ops={"metadata": "jsonb_path_ops"},
            postgresql_where=sa.text("metadata IS NOT NULL"),
            sqlite_where=sa.text("metadata IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_jobs_notify",
            ["finished_at", "id"],
            unique=False,
            postgresql_where=sa.text("notify AND finished_at IS NOT NULL"),
            sqlite_where=sa.text("notify AND finished_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_jobs_poisoned",
            ["queue"],
            unique=False,
            postgresql_where=sa.text("poisoned"),
            sqlite_where=sa.text("poisoned"),
        )
        batch_op.create_index(
            "ix_jobs_preset",
            ["preset", "id"],
            unique=False,
            postgresql_where=sa.text("preset IS NOT NULL"),
            sqlite_where=sa.text("preset IS NOT NULL"),
        )
        batch_op.create_index("ix_jobs_status_id", ["status", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_upload_id"), ["upload_id"], unique=False)
        batch_op.create_index(
            "ix_jobs_waiting",
            ["queue", "due_at", "id", "dispatched_at", "input_bytes"],
            unique=False,
            postgresql_where=sa.text("lease_token IS NULL AND finished_at IS NULL AND not_before IS NULL AND NOT held"),
            sqlite_where=sa.text("lease_token IS NULL AND finished_at IS NULL AND not_before IS NULL AND NOT held"),
        )

    op.create_table(
        "artifacts",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("blob_key", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_artifacts_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "name", name=op.f("pk_artifacts")),
    )
    op.create_table(
        "attempts",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("audio_seconds", sa.Float(), nullable=True),
        sa.Column("cpu_seconds", sa.Float(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('succeeded', 'failed', 'canceled', 'retried', 'lost', 'handed_back', 'fetched')",
            name=op.f("ck_attempts_outcome"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_attempts_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_attempts")),
    )
    op.create_table(
        "job_inputs",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("upload_id", sa.Uuid(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.CheckConstraint("upload_id IS NOT NULL OR url IS NOT NULL", name=op.f("ck_job_inputs_source")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_inputs_job_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"], name=op.f("fk_job_inputs_upload_id")),
        sa.PrimaryKeyConstraint("job_id", "name", name=op.f("pk_job_inputs")),
    )
    with op.batch_alter_table("job_inputs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_job_inputs_upload_id"), ["upload_id"], unique=False)


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("job_inputs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_job_inputs_upload_id"))

    op.drop_table("job_inputs")
    op.drop_table("attempts")
    op.drop_table("artifacts")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_jobs_waiting",
            postgresql_where=sa.text("lease_token IS NULL AND finished_at IS NULL AND not_before IS NULL AND NOT held"),
            sqlite_where=sa.text("lease_token IS NULL AND finished_at IS NULL AND not_before IS NULL AND NOT held"),
        )
        batch_op.drop_index(batch_op.f("ix_jobs_upload_id"))
        batch_op.drop_index("ix_jobs_status_id")
        batch_op.drop_index(
            "ix_jobs_preset", postgresql_where=sa.text("preset IS NOT NULL"), sqlite_where=sa.text("preset IS NOT NULL")
        )
        batch_op.drop_index("ix_jobs_poisoned", postgresql_where=sa.text("poisoned"), sqlite_where=sa.text("poisoned"))
        batch_op.drop_index(
            "ix_jobs_notify",
            postgresql_where=sa.text("notify AND finished_at IS NOT NULL"),
            sqlite_where=sa.text("notify AND finished_at IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_jobs_metadata",
            postgresql_using="gin",
            postgresql_ops={"metadata": "jsonb_path_ops"},
            postgresql_where=sa.text("metadata IS NOT NULL"),
            sqlite_where=sa.text("metadata IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_jobs_lease",
            postgresql_where=sa.text("lease_token IS NOT NULL"),
            sqlite_where=sa.text("lease_token IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_jobs_key_unfinished",
            postgresql_where=sa.text("key_id IS NOT NULL AND finished_at IS NULL"),
            sqlite_where=sa.text("key_id IS NOT NULL AND finished_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_jobs_key", postgresql_where=sa.text("key_id IS NOT NULL"), sqlite_where=sa.text("key_id IS NOT NULL")
        )
        batch_op.drop_index(
            "ix_jobs_held",
            postgresql_where=sa.text("lease_token IS NULL AND finished_at IS NULL AND not_before IS NULL AND held"),
            sqlite_where=sa.text("lease_token IS NULL AND finished_at IS NULL AND not_before IS NULL AND held"),
        )
        batch_op.drop_index(
            "ix_jobs_finished",
            postgresql_where=sa.text("finished_at IS NOT NULL"),
            sqlite_where=sa.text("finished_at IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_jobs_failed_code",
            postgresql_where=sa.text("status = 'failed'"),
            sqlite_where=sa.text("status = 'failed'"),
        )
        batch_op.drop_index(
            "ix_jobs_failed", postgresql_where=sa.text("status = 'failed'"), sqlite_where=sa.text("status = 'failed'")
        )
        batch_op.drop_index(
            "ix_jobs_expiring",
            postgresql_where=sa.text("expires_at IS NOT NULL AND artifacts_removed_at IS NULL"),
            sqlite_where=sa.text("expires_at IS NOT NULL AND artifacts_removed_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_jobs_due",
            postgresql_where=sa.text("lease_token IS NULL AND finished_at IS NULL AND not_before IS NOT NULL"),
            sqlite_where=sa.text("lease_token IS NULL AND finished_at IS NULL AND not_before IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_jobs_batch",
            postgresql_where=sa.text("batch_id IS NOT NULL"),
            sqlite_where=sa.text("batch_id IS NOT NULL"),
        )

    op.drop_table("jobs")
    with op.batch_alter_table("webhook_deliveries", schema=None) as batch_op:
        batch_op.drop_index("ix_webhook_deliveries_webhook_id")
        batch_op.drop_index(
            "ix_webhook_deliveries_ended",
            postgresql_where=sa.text("ended_at IS NOT NULL"),
            sqlite_where=sa.text("ended_at IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_webhook_deliveries_due",
            postgresql_where=sa.text("status = 'pending'"),
            sqlite_where=sa.text("status = 'pending'"),
        )

    op.drop_table("webhook_deliveries")
    op.drop_table("upload_pieces")
    with op.batch_alter_table("batches", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_batches_webhook_id"))
        batch_op.drop_index(
            "ix_batches_open", postgresql_where=sa.text("ended_at IS NULL"), sqlite_where=sa.text("ended_at IS NULL")
        )
        batch_op.drop_index(
            "ix_batches_key", postgresql_where=sa.text("key_id IS NOT NULL"), sqlite_where=sa.text("key_id IS NOT NULL")
        )

    op.drop_table("batches")
    with op.batch_alter_table("webhooks", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_webhooks_standing", postgresql_where=sa.text("is_standing"), sqlite_where=sa.text("is_standing")
        )

    op.drop_table("webhooks")
    with op.batch_alter_table("uploads", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_uploads_sha256"))
        batch_op.drop_index(
            "ix_uploads_key",
            postgresql_where=sa.text("key_id IS NOT NULL AND removed_at IS NULL"),
            sqlite_where=sa.text("key_id IS NOT NULL AND removed_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_uploads_kept",
            postgresql_where=sa.text("expired_at IS NULL"),
            sqlite_where=sa.text("expired_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_uploads_expired",
            postgresql_where=sa.text("expired_at IS NOT NULL AND removed_at IS NULL"),
            sqlite_where=sa.text("expired_at IS NOT NULL AND removed_at IS NULL"),
        )

    op.drop_table("uploads")
    with op.batch_alter_table("unfinished_uploads", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_unfinished_uploads_key_id"))
        batch_op.drop_index(batch_op.f("ix_unfinished_uploads_expires_at"))

    op.drop_table("unfinished_uploads")
    with op.batch_alter_table("presets", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_presets_without_key", postgresql_where=sa.text("key_id IS NULL"), sqlite_where=sa.text("key_id IS NULL")
        )

    op.drop_table("presets")
    with op.batch_alter_table("workers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_workers_seen_at"))

    op.drop_table("workers")
    op.drop_table("tallies")
    op.drop_table("queue_pauses")
    op.drop_table("leaderships")
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_idempotency_keys_created_at"))

    op.drop_table("idempotency_keys")
    op.drop_table("finished_watermark")
    op.drop_table("finished_totals")
    op.drop_table("audit")
    op.drop_table("api_keys")
