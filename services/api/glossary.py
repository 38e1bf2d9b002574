"""Words of the OpenAPI document that mean the same wherever they stand: the fields whose models say nothing of them."""

from collections.abc import Mapping
from typing import Any

FIELDS: Mapping[str, str] = {
    "acx": "The finished file held against the rules of ACX, where that was asked for; else null.",
    "album": "Tag: the album's title.",
    "album_artist": "Tag: whose album it is.",
    "artifact": "Name of the file that was made, among the job's artifacts.",
    "artifacts": "The files that were made.",
    "artist": "Tag: who is heard.",
    "attempt": "Number of the latest attempt, counted from 1; 0 before the first.",
    "attempts": "What was tried, in order.",
    "batch_id": "The batch's `id`.",
    "batches": "The batches of this page, the newest first.",
    "bitrate_kbps": "Kilobits a second; null where there is no such figure.",
    "bits": "Resolution of each value.",
    "blobs": "Whether the store of the files answers.",
    "cancel_requested": "Somebody wants it canceled; a worker that is at it stops within seconds.",
    "canceled": "How many were canceled.",
    "channels": "How many there are: 1 is mono, 2 stereo.",
    "checks": "Each store's state.",
    "codec": "FFmpeg's name of it.",
    "colors": "Which colours levels have.",
    "comment": "Tag: a comment.",
    "composer": "Tag: who wrote it.",
    "copyright": "Tag: whose it is.",
    "counts": "How many jobs have each status.",
    "cover_art": "The cover picture; null where there is none.",
    "created_at": "When it was made (RFC 3339, UTC).",
    "database": "Whether the database answers.",
    "deliveries": "The messages of this page, the newest first.",
    "delivery_id": "The delivery's `id`.",
    "description": "For people.",
    "duration_seconds": "Length, in seconds.",
    "edits": "The edits that operations take.",
    "enabled": "Nothing is sent while it is false.",
    "end_seconds": "Where it ends, in seconds from the start of the audio.",
    "ended_at": "When it ended (RFC 3339, UTC); null while it runs.",
    "error_code": "Stable name of the error; null where there is none.",
    "error_message": "What went wrong, in a sentence; null where nothing did.",
    "event": "What it is about.",
    "expires_in": "Seconds that results and artifacts are kept after the end; null: as long as the server keeps any.",
    "failed": "How many have failed.",
    "fetching": "How many have an input that is to be fetched.",
    "filename": "As the client named the input; null where it has no name.",
    "finished_at": "When it ended (RFC 3339, UTC); null before.",
    "format": "Codec and container.",
    "frequency_scale": "How frequencies are spread over the height.",
    "gain_db": "By how much the audio was turned up, dB.",
    "genre": "Tag: the genre.",
    "id": "Its id.",
    "input_lufs": "Integrated loudness of the input, LUFS; null for silence.",
    "input_true_peak_dbtp": "True peak of the input, dBTP; null for silence.",
    "job_id": "The job's `id`.",
    "jobs": "The jobs of this page, the newest first.",
    "key_id": "The key's `id`.",
    "language": "Code of the language, as the file says; null where it says none.",
    "max_attempts": "How often it is tried at most, where the environment fails.",
    "maximum": "The most that the rule allows; null where it sets no such limit.",
    "media_type": "Its Content-Type.",
    "metadata": "The client's own labels.",
    "min_seconds": "The shortest silence that is listed, in seconds.",
    "minimum": "The least that the rule allows; null where it sets no such limit.",
    "name": "Its name.",
    "operations": "What is done, each with its name.",
    "other_streams": "Streams of the file that are no audio.",
    "output_lufs": "Integrated loudness of what was written, LUFS; null for silence.",
    "output_true_peak_dbtp": "True peak of what was written, dBTP; null for silence.",
    "parts": "The parts, in order.",
    "passed": "Whether the rule is met.",
    "picture_height": "Height of the picture with its axes, in pixels.",
    "preset": "The preset that the operations were made from; else null.",
    "priority": "Which of the queues it waits in.",
    "progress": "Part of the work that is done, 0 to 1.",
    "queued": "How many wait.",
    "redis": "Whether Redis answers.",
    "rule": "Name of the rule.",
    "rules": "The rules, one by one.",
    "running": "How many run.",
    "sample_rate": "Hz.",
    "samples_per_pixel": "Input samples a pixel.",
    "seconds_per_pixel": "How much of the audio one pixel of the width shows, in seconds.",
    "sha256": "Hex digest of the bytes.",
    "size_bytes": "Size, in bytes.",
    "start_seconds": "Where it begins, in seconds from the start of the audio.",
    "started_at": "When it began (RFC 3339, UTC).",
    "status": "Where it is in its life.",
    "streams": "The streams of the file.",
    "succeeded": "How many have succeeded.",
    "summary": "What it does, in a line.",
    "tags": "Tags, by name.",
    "target_lufs": "Integrated loudness to reach, LUFS.",
    "threshold_dbfs": "A sample of this magnitude or more is heard, dBFS.",
    "title": "Tag: the title.",
    "top": "Where the spectrum begins in the picture, in pixels from its top.",
    "true_peak_ceiling_dbtp": "Ceiling of the true peak, dBTP.",
    "type": "Which kind it is of.",
    "unit": "Unit of the figures.",
    "url": "Where it is.",
    "webhook_id": "The webhook's `id`.",
    "webhooks": "The webhooks, the oldest first.",
}
SCHEMAS: Mapping[str, str] = {"JsonValue": "Any JSON value."}
ANSWERS: Mapping[str, str] = {
    "200": "What was asked for.",
    "201": "It was made.",
    "202": "It was accepted, and is durable.",
    "204": "It was done; there is no body.",
}
# What FastAPI says of an answer that its route does not describe.
_UNDESCRIBED = "Successful Response"


def describe(document: dict[str, Any]) -> None:
    """Give a description to all of an OpenAPI document that has none and whose name is known here."""
    for name, schema in document["components"]["schemas"].items():
        _describe(schema, SCHEMAS.get(name))
        for field, of_field in schema.get("properties", {}).items():
            _describe(of_field, FIELDS.get(field))
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                _describe(parameter, FIELDS.get(parameter["name"]))
            for status, answer in operation["responses"].items():
                if answer["description"] == _UNDESCRIBED:
                    answer["description"] = ANSWERS.get(status, _UNDESCRIBED)


def _describe(thing: dict[str, Any], description: str | None) -> None:
    if description is not None:
        thing.setdefault("description", description)
