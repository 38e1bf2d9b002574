"""The tables. Their history is in shared/store/migrations."""

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
    is_poisoned,
    is_waiting,
    jobs,
    uploads,
)
from shared.store.tables.keys import api_keys
from shared.store.tables.totals import finished_totals, finished_watermark, tallies
from shared.store.tables.unfinished import unfinished_uploads, upload_pieces

__all__ = [
    "Json",
    "UtcDateTime",
    "api_keys",
    "artifacts",
    "attempts",
    "audit",
    "finished_totals",
    "finished_watermark",
    "has_finished",
    "idempotency_keys",
    "is_delayed",
    "is_expired",
    "is_failed",
    "is_held",
    "is_kept",
    "is_leased",
    "is_paused",
    "is_poisoned",
    "is_to_be_fetched",
    "is_waiting",
    "job_inputs",
    "jobs",
    "leaderships",
    "metadata",
    "queue_pauses",
    "tallies",
    "unfinished_uploads",
    "upload_pieces",
    "uploads",
    "workers",
]
