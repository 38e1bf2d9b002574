"""Examples of the OpenAPI document, by model: one job's life, as it would be seen."""

from collections.abc import Mapping
from typing import Any

_JOB_ID = "0190163d-8694-739b-aea5-966c26f8ad91"
_UPLOAD = {
    "id": "0190163d-7f0c-7c3a-9c7e-0d2f6a51c0be",
    "filename": "interview.wav",
    "size_bytes": 84672044,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "created_at": "2026-03-01T09:30:00.120Z",
}
_SUMMARY = {
    "id": _JOB_ID,
    "status": "succeeded",
    "progress": 1.0,
    "error_code": None,
    "error_message": None,
    "filename": "interview.wav",
    "preset": None,
    "metadata": {"customer": "42"},
    "created_at": "2026-03-01T09:30:00.180Z",
    "finished_at": "2026-03-01T09:30:09.710Z",
}
_OPERATIONS = [
    {"op": "loudness", "name": "loudness"},
    {"op": "transcode", "name": "transcode", "format": "opus", "bitrate_kbps": 64},
]
_PRESET = {
    "name": "our-show",
    "description": "For the feed and the player on the site.",
    "operations": [{"op": "normalize", "name": "normalize", "target_lufs": -16, "format": "mp3", "bitrate_kbps": 128}],
    "built_in": False,
    "version": 3,
    "created_at": "2026-02-01T12:00:00Z",
    "updated_at": "2026-02-20T15:12:08.400Z",
}

_WEBHOOK_ID = "0190163e-02d1-7b11-8f2e-6d1f0a3c9b42"
_KEY = {
    "id": "0190163d-7c55-7d10-8f0e-2a6b1c9d4e37",
    "name": "podcast site",
    "prefix": "wm_pX4w",
    "scopes": ["submit", "read"],
    "created_at": "2026-03-01T09:00:00Z",
    "expires_at": "2030-01-01T00:00:00Z",
    "revoked_at": None,
    "previous_expires_at": None,
    "limits": {
        "requests_per_second": None,
        "burst": None,
        "max_queued_jobs": None,
        "max_running_jobs": 4,
        "max_stored_bytes": None,
    },
}
_WEBHOOK = {
    "id": _WEBHOOK_ID,
    "url": "https://example.com/wavemill",
    "events": ["job.failed", "batch.ended"],
    "description": "What our editors look at.",
    "enabled": True,
    "disabled_reason": None,
    "created_at": "2026-02-01T12:00:00Z",
    "previous_secret_expires_at": None,
}
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the example of the standard
_DELIVERY = {
    "id": "0190163e-1c05-7d3a-a0d7-2f4b8c6e1d90",
    "event": "job.failed",
    "subject_id": _JOB_ID,
    "status": "pending",
    "attempts": 2,
    "attempted_at": "2026-03-01T09:30:14.300Z",
    "took_seconds": 0.21,
    "response_status": 500,
    "error": "The receiver answered 500, which is not a 2xx status.",
    "due_at": "2026-03-01T09:30:31.020Z",
    "created_at": "2026-03-01T09:30:09.900Z",
    "ended_at": None,
}
_BATCH = {
    "id": "0190163d-8b21-7f42-b6c0-5d0e7a9f3c18",
    "name": "Season 3",
    "jobs": 40,
    "cancel_requested": False,
    "created_at": "2026-03-01T09:30:00.180Z",
}
_BATCH_PROGRESS = {
    "counts": {"fetching": 0, "queued": 28, "running": 2, "succeeded": 9, "failed": 1, "canceled": 0},
    "progress": 0.275,
    "has_ended": False,
}

EXAMPLES: Mapping[str, Any] = {
    "BatchView": {**_BATCH, **_BATCH_PROGRESS, "webhook": None},
    "BatchPage": {"batches": [_BATCH], "next_cursor": None},
    "BatchEvent": {"type": "batch", "batch_id": _BATCH["id"], **_BATCH_PROGRESS},
    "WebhookView": _WEBHOOK,
    "WebhookWithSecret": {**_WEBHOOK, "secret": _SECRET},
    "WebhookList": {"webhooks": [_WEBHOOK]},
    "NewWebhook": {"url": "https://example.com/wavemill", "events": ["job.failed", "batch.ended"]},
    "WebhookChanges": {"enabled": True},
    "DeliveryView": _DELIVERY,
    "DeliveryPage": {"deliveries": [_DELIVERY], "next_cursor": None},
    "Upload": _UPLOAD,
    "PresignedRequest": {"filename": "talk.wav", "size_bytes": 1048576},
    "PresignedUpload": {
        "id": _UPLOAD["id"],
        "method": "PUT",
        "url": "https://audio.s3.example/incoming/0190163d?X-Amz-Expires=3600&X-Amz-Signature=5f2c",
        "expires_at": "2026-03-01T10:30:00Z",
        "complete_url": f"/api/uploads/presigned/{_UPLOAD['id']}/complete",
    },
    "JobView": {
        **{name: value for name, value in _SUMMARY.items() if name != "filename"},
        "poisoned": False,
        "cancel_requested": False,
        "priority": "default",
        "operations": _OPERATIONS,
        "input": _UPLOAD,
        "source_url": None,
        "inputs": {},
        "attempts": [
            {
                "number": 1,
                "worker": "worker-1/17/21",
                "started_at": "2026-03-01T09:30:00.210Z",
                "ended_at": "2026-03-01T09:30:09.710Z",
                "outcome": "succeeded",
                "error_message": None,
                "audio_seconds": 480.0,
                "cpu_seconds": 11.2,
            }
        ],
        "max_attempts": 4,
        "results": {
            "loudness": {
                "op": "loudness",
                "integrated_lufs": -19.37,
                "range_lu": 5.1,
                "momentary_max_lufs": -12.8,
                "short_term_max_lufs": -15.02,
                "true_peak_dbtp": -0.84,
                "sample_peak_dbfs": -1.02,
            },
            "transcode": {
                "op": "transcode",
                "format": "opus",
                "sample_rate": 48000,
                "channels": 2,
                "bitrate_kbps": 64,
                "duration_seconds": 480.0,
                "artifact": "transcode.opus",
            },
        },
        "artifacts": [
            {
                "name": "transcode.opus",
                "media_type": "audio/ogg",
                "size_bytes": 3874110,
                "sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
                "url": f"/api/jobs/{_JOB_ID}/artifacts/transcode.opus",
            }
        ],
        "artifacts_removed_at": None,
        "started_at": "2026-03-01T09:30:00.210Z",
        "not_before": None,
        "expires_in": None,
        "expires_at": None,
        "batch_id": None,
        "webhook": None,
    },
    "JobPage": {"jobs": [_SUMMARY], "next_cursor": "AZAWPYaUc5uupZZsJvitkQ"},
    "JobPlan": {
        "operations": _OPERATIONS,
        "artifacts": [{"operation": "transcode", "name": "transcode.opus", "media_type": "audio/ogg", "certain": True}],
        "queue": "default",
        "priority": "default",
        "preset": None,
        "metadata": {"customer": "42"},
        "not_before": None,
        "expires_in": None,
        "max_attempts": 4,
    },
    "JobEvent": {
        "type": "progress",
        "job_id": _JOB_ID,
        "version": 2,
        "status": "running",
        "progress": 0.31,
        "attempt": 1,
        "error_code": None,
        "error_message": None,
    },
    "JobRequest": {
        "input": {"type": "upload", "id": _UPLOAD["id"]},
        "preset": "podcast",
        "metadata": {"customer": "42"},
    },
    "KeyView": _KEY,
    "NewKey": {**_KEY, "secret": "wm_pX4wq0mB7cQ9yV1tE6sK3hN8rD2fJ5gLzA-uW_oTiYk"},
    "KeyList": {"keys": [_KEY]},
    "Rotation": {"overlap_seconds": 3600},
    "PresetView": _PRESET,
    "PresetList": {"presets": [_PRESET]},
    "Liveness": {"status": "alive"},
    "Readiness": {"status": "ready", "checks": {"database": "ok", "redis": "ok", "blobs": "ok"}},
}


def illustrate(document: dict[str, Any]) -> None:
    """Put the examples into an OpenAPI document, each with its model."""
    for name, schema in document["components"]["schemas"].items():
        if name in EXAMPLES and "example" not in schema and "examples" not in schema:
            schema["examples"] = [EXAMPLES[name]]
