"""Webhooks: whom to tell of the ends of jobs and batches, and what became of each message."""

from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.api import problems
from services.api.access import Caller, Reader, Submitter
from services.api.access.idempotency import InjectedIdempotency
from services.api.bodies import JSON, media_type, read_json
from services.api.cursors import Cursor, cursor, position
from services.api.documentation import answers, reference
from services.api.problems import ProblemError
from services.api.resources import InjectedResources, Resources
from shared.schema.webhooks import (
    DeliveryPage,
    DeliveryView,
    NewWebhook,
    WebhookChanges,
    WebhookEvent,
    WebhookList,
    WebhookView,
    WebhookWithSecret,
    new_secret,
)
from shared.store.idempotency import Answer
from shared.store.notices import message
from shared.store.webhooks import MOST_WEBHOOKS, TooManyWebhooks

Model = TypeVar("Model", NewWebhook, WebhookChanges)

router = APIRouter(prefix="/api/webhooks", tags=["webhooks"])

_DAY_SECONDS = 86_400.0


def _body_of(model: type[NewWebhook | WebhookChanges]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {JSON: {"schema": reference(model)}}}}


_CREATED = {
    "description": "The webhook, with its secret, which is shown this once.",
    "headers": {"Location": {"description": "Path of the webhook.", "schema": {"type": "string"}}},
}


@router.post(
    "",
    status_code=201,
    response_model=WebhookWithSecret,
    responses=answers(400, 408, 409, 413, 415, 422, 500, 503, s201=_CREATED),
    openapi_extra=_body_of(NewWebhook),
)
async def create_webhook(
    request: Request, caller: Submitter, idempotency: InjectedIdempotency, resources: InjectedResources
) -> Response:
    """Register a URL that is told of the end of every job and batch that this key submits from now on."""
    asked = await _read(request, resources, NewWebhook)
    secret = asked.secret or new_secret()

    def answer_of(webhook: WebhookView) -> Answer:
        body = WebhookWithSecret(**dict(webhook), secret=secret).model_dump_json()
        return Answer(201, body, f"{router.prefix}/{webhook.id}")

    async with idempotency.once("webhook", asked.model_dump_json()) as once:
        if once.answer is None:
            try:
                webhook = await resources.webhooks.add(
                    asked, secret=secret, key_id=caller.key_id, commit_with=once.recording(answer_of)
                )
            except TooManyWebhooks:
                detail = f"A key has {MOST_WEBHOOKS} webhooks at most; delete one that is not needed."
                raise ProblemError(409, "too-many-webhooks", "Too many webhooks", detail) from None
            if once.answer is None:
                await once.record(answer_of(webhook))
    return once.response


@router.get("", responses=answers(500, 503))
async def list_webhooks(caller: Reader, resources: InjectedResources) -> WebhookList:
    """List the webhooks of this key. Those of a single job or batch stand in the job or the batch."""
    return WebhookList(webhooks=tuple(await resources.webhooks.all(owner=caller.owner)))


@router.get("/{webhook_id}", responses=answers(404, 422, 500, 503))
async def get_webhook(webhook_id: UUID, caller: Reader, resources: InjectedResources) -> WebhookView:
    """Show a webhook, without its secret."""
    return await _found(resources, caller, webhook_id)


@router.patch(
    "/{webhook_id}",
    responses=answers(404, 408, 413, 415, 422, 500, 503),
    openapi_extra=_body_of(WebhookChanges),
)
async def change_webhook(
    webhook_id: UUID, request: Request, caller: Submitter, resources: InjectedResources
) -> WebhookView:
    """Change a webhook: what is left out stays as it is. One that was disabled is enabled again by this alone."""
    asked = await _read(request, resources, WebhookChanges)
    webhook = await resources.webhooks.change(webhook_id, asked, owner=caller.owner)
    if webhook is None:
        raise _not_found(webhook_id)
    return webhook


@router.delete("/{webhook_id}", status_code=204, responses=answers(404, 422, 500, 503))
async def delete_webhook(webhook_id: UUID, caller: Submitter, resources: InjectedResources) -> None:
    """Remove a webhook. Messages to it that are not delivered yet will not be."""
    if not await resources.webhooks.remove(webhook_id, owner=caller.owner):
        raise _not_found(webhook_id)


@router.post("/{webhook_id}/rotate", responses=answers(404, 422, 500, 503))
async def rotate_webhook_secret(webhook_id: UUID, caller: Submitter, resources: InjectedResources) -> WebhookWithSecret:
    """Make a new secret, shown this once. For a day messages carry the signatures of both."""
    secret = new_secret()
    webhook = await resources.webhooks.rotate(webhook_id, secret, owner=caller.owner)
    if webhook is None:
        raise _not_found(webhook_id)
    return WebhookWithSecret(**dict(webhook), secret=secret)


@router.post("/{webhook_id}/ping", status_code=202, responses=answers(404, 422, 500, 503))
async def ping_webhook(webhook_id: UUID, caller: Submitter, resources: InjectedResources) -> DeliveryView:
    """Send a message of the type `ping`, to see whether it arrives."""
    await _found(resources, caller, webhook_id)
    now = await resources.changes.now()
    body = message(WebhookEvent.PING, now, {"webhook_id": webhook_id})
    return await resources.deliveries.add(
        webhook_id, WebhookEvent.PING, body, give_up_seconds=_give_up_seconds(resources)
    )


@router.get("/{webhook_id}/deliveries", responses=answers(404, 422, 500, 503))
async def list_deliveries(
    *,
    webhook_id: UUID,
    caller: Reader,
    resources: InjectedResources,
    cursor_: Annotated[Cursor, Query(alias="cursor")] = None,
    limit: Annotated[int, Query(description="Deliveries a page.", ge=1, le=200)] = 50,
) -> DeliveryPage:
    """List the messages to a webhook, the newest first, with what was answered to the last attempt at each."""
    await _found(resources, caller, webhook_id)
    found = await resources.deliveries.page(webhook_id, before=position(cursor_), limit=limit + 1)
    shown = found[:limit]
    return DeliveryPage(deliveries=tuple(shown), next_cursor=cursor(shown[-1].id) if len(found) > limit else None)


@router.post("/{webhook_id}/deliveries/{delivery_id}/replay", status_code=202, responses=answers(404, 422, 500, 503))
async def replay_delivery(
    webhook_id: UUID, delivery_id: UUID, caller: Submitter, resources: InjectedResources
) -> DeliveryView:
    """Send a message again, whatever became of it: the same body under the same `webhook-id`."""
    await _found(resources, caller, webhook_id)
    again = await resources.deliveries.replay(webhook_id, delivery_id, give_up_seconds=_give_up_seconds(resources))
    if again is None:
        detail = f"The webhook has no delivery {delivery_id}; GET .../deliveries lists those that are kept."
        raise ProblemError(404, "delivery-not-found", "No such delivery", detail)
    return again


def _give_up_seconds(resources: Resources) -> float:
    return resources.settings.webhook_retry_days * _DAY_SECONDS


async def _read(request: Request, resources: Resources, model: type[Model]) -> Model:
    if media_type(request) != JSON:
        raise problems.unsupported_media_type(JSON)
    asked = await read_json(request, model, resources.settings)
    if asked.url is not None and (errors := resources.destinations.errors(asked.url, ["url"])):
        raise problems.invalid(errors)
    return asked


async def _found(resources: Resources, caller: Caller, webhook_id: UUID) -> WebhookView:
    webhook = await resources.webhooks.get(webhook_id, owner=caller.owner)
    if webhook is None:
        raise _not_found(webhook_id)
    return webhook


def _not_found(webhook_id: UUID) -> ProblemError:
    return ProblemError(404, "webhook-not-found", "No such webhook", f"There is no webhook {webhook_id}.")
