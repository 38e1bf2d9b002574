"""Answers as they are kept for an Idempotency-Key: a webhook's secret is kept with the webhook, and nowhere else."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from pydantic_core import from_json, to_json

from shared.store.idempotency import Answer
from shared.store.webhooks import Webhooks

_WEBHOOK, _SECRET = "webhook", "secret"


def without_secret(answer: Answer) -> Answer:
    """What of an answer is kept."""
    document = from_json(answer.body)
    webhook = _webhook_in(document)
    return answer if webhook is None else _with(answer, document, webhook, None)


async def with_secret(answer: Answer, webhooks: Webhooks) -> Answer:
    """A kept answer as it was given: with the secret that the webhook has now, or none if the webhook is gone.

    Raises:
        DATABASE_ERRORS (shared.store.errors): the database fails.
    """
    document = from_json(answer.body)
    webhook = _webhook_in(document)
    return answer if webhook is None else _with(answer, document, webhook, await webhooks.secret(UUID(webhook["id"])))


def _webhook_in(document: dict[str, Any]) -> dict[str, Any] | None:
    """The webhook of a job or a batch; or the answer itself, which has a secret only where it is a webhook."""
    webhook: dict[str, Any] | None = document if _SECRET in document else document.get(_WEBHOOK)
    return webhook


def _with(answer: Answer, document: dict[str, Any], webhook: dict[str, Any], secret: str | None) -> Answer:
    webhook[_SECRET] = secret
    # The fields stay in their order, and numbers as the model wrote them: it is the same text but for the secret.
    return replace(answer, body=to_json(document).decode())
