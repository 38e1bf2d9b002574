"""Signatures of webhooks: Standard Webhooks 1.0, https://github.com/standard-webhooks/standard-webhooks."""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from shared.schema.webhooks import secret_bytes


def signed_headers(message_id: str, timestamp: int, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The headers that a receiver verifies a message by.

    Args:
        message_id: the same in each attempt.
        timestamp: of the attempt, in seconds of Unix time.
        body: as it is sent.
        secrets: each signs; while one takes another's place there are two.
    """
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = (hmac.digest(secret_bytes(secret), content, hashlib.sha256) for secret in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(signature).decode()}" for signature in signatures),
    }
