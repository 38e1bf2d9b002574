"""The tables. Their history is in shared/store/migrations."""

from shared.store.tables.batches import batches, has_not_ended
from shared.store.tables.columns import Json, UtcDateTime, metadata
from shared.store.tables.fleet import audit, is_paused, leaderships, queue_pauses, workers
from shared.store.tables.idempotency import idempotency_keys
from shared.store.tables.inputs import is_to_be_fetched, job_inputs
from shared.store.tables.jobs import (
    artifacts,
    attempts,
    has_finished,
    is_delayed,
    is_expired,
    is_failed,
    is_held,
    is_kept,
    is_leased,
    is_of_a_batch,
    is_poisoned,
    is_to_be_told,
    is_waiting,
    jobs,
    uploads,
    will_expire,
)
from shared.store.tables.keys import api_keys
from shared.store.tables.presets import presets
from shared.store.tables.totals import finished_totals, finished_watermark, tallies
from shared.store.tables.unfinished import unfinished_uploads, upload_pieces
from shared.store.tables.webhooks import has_ended, is_pending, is_standing, webhook_deliveries, webhooks

__all__ = [
    "Json",
    "UtcDateTime",
    "api_keys",
    "artifacts",
    "attempts",
    "audit",
    "batches",
    "finished_totals",
    "finished_watermark",
    "has_ended",
    "has_finished",
    "has_not_ended",
    "idempotency_keys",
    "is_delayed",
    "is_expired",
    "is_failed",
    "is_held",
    "is_kept",
    "is_leased",
    "is_of_a_batch",
    "is_paused",
    "is_pending",
    "is_poisoned",
    "is_standing",
    "is_to_be_fetched",
    "is_to_be_told",
    "is_waiting",
    "job_inputs",
    "jobs",
    "leaderships",
    "metadata",
    "presets",
    "queue_pauses",
    "tallies",
    "unfinished_uploads",
    "upload_pieces",
    "uploads",
    "webhook_deliveries",
    "webhooks",
    "will_expire",
    "workers",
]
