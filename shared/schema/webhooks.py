"""Webhooks as clients see them. Messages are signed as Standard Webhooks 1.0 says (standardwebhooks.com)."""

import base64
import binascii
import secrets
from datetime import datetime
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

SECRET_PREFIX = "whsec_"  # noqa: S105 - what a secret begins with
# The standard wants between 192 and 512 bits.
_LEAST_SECRET_BYTES, _MOST_SECRET_BYTES = 24, 64


class WebhookEvent(StrEnum):
    """What a message is about."""

    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELED = "job.canceled"
    BATCH_ENDED = "batch.ended"
    PING = "ping"


class DeliveryStatus(StrEnum):
    """Where a message is in its life."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


def new_secret() -> str:
    """A secret that nobody knows."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def secret_bytes(secret: str) -> bytes:
    """The key that a secret holds.

    Raises:
        ValueError: it is none.
    """
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not _LEAST_SECRET_BYTES <= len(key) <= _MOST_SECRET_BYTES:
        raise ValueError(
            f"a secret is {SECRET_PREFIX!r} and {_LEAST_SECRET_BYTES} to {_MOST_SECRET_BYTES} random bytes in base64; "
            "leave it out, and one is made"
        )
    return key


def _check_secret(secret: str) -> str:
    secret_bytes(secret)
    return secret


def _check_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or any(character.isspace() or not character.isprintable() for character in url):
        raise ValueError("give a URL that begins with https:// or http:// and the name of a server")
    if parts.username is not None or parts.password is not None:
        raise ValueError("give a URL without a user name and a password; the signature says who sends")
    return url


WebhookUrl = Annotated[
    str, Field(max_length=2048, examples=["https://example.com/wavemill"]), AfterValidator(_check_url)
]
Secret = Annotated[str, Field(max_length=128), AfterValidator(_check_secret)]
Description = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
_EVENTS = "What it is told of; left out: everything."


class WebhookTarget(BaseModel):
    """Where the end of one job, or of one batch, is told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: WebhookUrl
    secret: Secret | None = Field(default=None, description="To sign with; one is made, and shown once, if left out.")


class OwnWebhook(BaseModel):
    """The webhook of one job, or of one batch."""

    model_config = ConfigDict(frozen=True)

    id: UUID = Field(description="For GET /api/webhooks/{webhook_id}/deliveries.")
    url: str
    secret: str | None = Field(
        default=None, description="To verify signatures with; shown in the answer to the submission alone."
    )


class NewWebhook(WebhookTarget):
    """The body of POST /api/webhooks."""

    events: tuple[WebhookEvent, ...] = Field(default=(), max_length=len(WebhookEvent), description=_EVENTS)
    description: Description = ""


class WebhookChanges(BaseModel):
    """The body of PATCH /api/webhooks/{webhook_id}: what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: WebhookUrl | None = None
    events: tuple[WebhookEvent, ...] | None = Field(default=None, max_length=len(WebhookEvent), description=_EVENTS)
    description: Description | None = None
    enabled: bool | None = Field(default=None, description="Nothing is sent while it is false.")


class WebhookView(BaseModel):
    """A webhook, without its secret."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    url: str
    events: tuple[WebhookEvent, ...] = Field(description="What it is told of; empty: everything.")
    description: str
    enabled: bool
    disabled_reason: str | None = Field(description="Why it was disabled, if that was not by you.")
    created_at: datetime
    previous_secret_expires_at: datetime | None = Field(
        description="Until then messages are signed with the secret before the last rotation as well."
    )


class WebhookWithSecret(WebhookView):
    """A webhook as it is shown once: after its creation, and after a rotation of its secret."""

    secret: str | None = Field(
        description="To verify signatures with; it is not shown again. null in the answer to a request that is sent "
        "again with its Idempotency-Key when the webhook is gone."
    )


class WebhookList(BaseModel):
    """All webhooks of a key."""

    model_config = ConfigDict(frozen=True)

    webhooks: tuple[WebhookView, ...]


class DeliveryView(BaseModel):
    """A message to a webhook, and what became of it."""

    model_config = ConfigDict(frozen=True)

    id: UUID = Field(description="The header `webhook-id` of each attempt.")
    event: WebhookEvent
    subject_id: UUID | None = Field(description="The job or the batch that it is about.")
    status: DeliveryStatus
    attempts: int
    attempted_at: datetime | None = Field(description="When the last attempt began.")
    took_seconds: float | None = Field(description="How long that took.")
    response_status: int | None = Field(
        description="The HTTP status that was answered to it; null: there was no answer."
    )
    error: str | None = Field(description="Why the last attempt came to nothing, in a sentence.")
    due_at: datetime | None = Field(description="When the next attempt is due; null after the end.")
    created_at: datetime
    ended_at: datetime | None


class DeliveryPage(BaseModel):
    """One page of deliveries, newest first."""

    model_config = ConfigDict(frozen=True)

    deliveries: tuple[DeliveryView, ...]
    next_cursor: Annotated[
        str | None, Field(description="Give it back as `cursor` for the next page; null at the end.")
    ]
