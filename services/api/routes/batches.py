"""Batches: many jobs by one request, counted, canceled and fetched together."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.api import problems
from services.api.access import Caller, Reader, Submitter
from services.api.access.idempotency import InjectedIdempotency, Once
from services.api.batch_bodies import NDJSON, BatchBody, BatchRequest, read_batch, read_batch_lines
from services.api.bodies import JSON, media_type
from services.api.cursors import Cursor, cursor, position
from services.api.documentation import answers, reference
from services.api.inputs import uploads_of
from services.api.problems import ProblemError
from services.api.resources import InjectedResources, Resources
from services.api.submissions import Submission, shown_once
from shared.broker import IO_QUEUE, JobMessage, queue_of
from shared.schema.batches import BatchPage, BatchProgress, BatchView
from shared.schema.jobs import JobPage, JobStatus
from shared.store.errors import UploadMissing
from shared.store.idempotency import Answer
from shared.store.records import JobOrder, NewBatch, WebhookOrder
from shared.telemetry.tracing import current_traceparent

router = APIRouter(prefix="/api/batches", tags=["batches"])

# What differs between the jobs of a batch though they are to do the same.
_OWN_TO_EACH = {"input", "metadata"}
_JOBS_A_TURN = 20
# Ids of one query.
_UPLOADS_A_QUERY = 1000
_LINES = {
    "schema": {"type": "string"},
    "example": '{"batch": {"name": "Season 3", "defaults": {"operations": [{"op": "loudness"}]}}}\n'
    '{"input": {"type": "upload", "id": "0190163d-8694-739b-aea5-966c26f8ad91"}}\n'
    '{"input": {"type": "upload", "id": "0190163d-9f2e-7a53-8d4e-2f3d9b1c7a60"}, "priority": "low"}\n',
}
_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {JSON: {"schema": reference(BatchRequest)}, NDJSON: _LINES}}
}
_LOCATION = {
    "description": "All jobs are accepted, and durable.",
    "headers": {"Location": {"description": "Path of the batch.", "schema": {"type": "string"}}},
}


@router.post(
    "",
    status_code=202,
    response_model=BatchView,
    responses=answers(400, 408, 409, 413, 415, 422, 429, 500, 503, 507, s202=_LOCATION),
    openapi_extra=_BODY,
)
async def create_batch(
    request: Request, caller: Submitter, idempotency: InjectedIdempotency, resources: InjectedResources
) -> Response:
    """Submit up to 10,000 jobs: as JSON, or one a line as NDJSON, which is read while it comes.

    All of them are accepted, or none: what is wrong is told for each job, up to 50 values. In NDJSON the first line
    may be `{"batch": {...}}`, with the name and the defaults.
    """
    if await idempotency.is_new():
        # The jobs are counted when they are known.
        await resources.admission.admit(caller, jobs=0)
    kind = media_type(request)
    if kind == JSON:
        body = await read_batch(request, resources.settings)
    elif kind == NDJSON:
        body = await read_batch_lines(request, resources.settings)
    else:
        raise problems.unsupported_media_type(JSON, NDJSON)
    async with idempotency.once("batch", body.sha256) as once:
        if once.answer is None:
            await _create(caller, once, resources, body)
    return once.response


@router.get("", responses=answers(422, 500, 503))
async def list_batches(
    caller: Reader,
    resources: InjectedResources,
    cursor_: Annotated[Cursor, Query(alias="cursor")] = None,
    limit: Annotated[int, Query(description="Batches a page.", ge=1, le=200)] = 50,
) -> BatchPage:
    """List batches, the newest first."""
    found = await resources.batches.page(before=position(cursor_), limit=limit + 1, owner=caller.owner)
    shown = found[:limit]
    return BatchPage(batches=tuple(shown), next_cursor=cursor(shown[-1].id) if len(found) > limit else None)


@router.get("/{batch_id}", responses=answers(404, 422, 500, 503))
async def get_batch(batch_id: UUID, caller: Reader, resources: InjectedResources) -> BatchView:
    """Show a batch: how many of its jobs are where, and how much of the work is done."""
    return await _found(resources, caller, batch_id)


@router.get("/{batch_id}/jobs", responses=answers(404, 422, 500, 503))
async def list_batch_jobs(
    *,
    batch_id: UUID,
    caller: Reader,
    resources: InjectedResources,
    status: Annotated[JobStatus | None, Query(description="Only jobs of this status.")] = None,
    cursor_: Annotated[Cursor, Query(alias="cursor")] = None,
    limit: Annotated[int, Query(description="Jobs a page.", ge=1, le=200)] = 50,
) -> JobPage:
    """List the jobs of a batch, in the order in which they were submitted."""
    await _found(resources, caller, batch_id)
    found = await resources.batches.jobs(batch_id, status=status, after=position(cursor_), limit=limit + 1)
    shown = found[:limit]
    return JobPage(jobs=tuple(shown), next_cursor=cursor(shown[-1].id) if len(found) > limit else None)


@router.post("/{batch_id}/cancel", status_code=202, responses=answers(404, 409, 422, 500, 503))
async def cancel_batch(batch_id: UUID, caller: Submitter, resources: InjectedResources) -> BatchView:
    """Cancel what has not ended of a batch. Jobs that wait are canceled at once; workers stop within seconds."""
    batch = await _found(resources, caller, batch_id)
    if batch.has_ended:
        raise ProblemError(
            409, "batch-ended", "The batch has ended", "All jobs of the batch have ended; there is nothing to cancel."
        )
    # Whoever follows hears of it from the store: to publish thousands of events would take longer.
    await resources.batch_changes.cancel(batch_id)
    return await _found(resources, caller, batch_id)


async def _found(resources: Resources, caller: Caller, batch_id: UUID) -> BatchView:
    batch = await resources.batches.get(batch_id, owner=caller.owner)
    if batch is None:
        raise problems.batch_not_found(batch_id)
    return batch


async def _create(caller: Caller, once: Once, resources: Resources, body: BatchBody) -> None:
    await resources.admission.admit(caller, jobs=len(body.jobs))
    orders = await _orders(caller, resources, body)
    webhook = resources.submissions.webhook(body.header.webhook, body.header_path)
    traceparent = current_traceparent()

    def answer_of(new: NewBatch) -> Answer:
        view = _first_view(new, body, orders, webhook)
        return Answer(202, view.model_dump_json(), f"{router.prefix}/{view.id}")

    try:
        new = await resources.batch_changes.create(
            orders,
            name=body.header.name,
            max_attempts=resources.settings.max_attempts,
            traceparent=traceparent,
            key_id=caller.key_id,
            owner=caller.owner,
            webhook=webhook,
            commit_with=once.recording(answer_of),
        )
    except UploadMissing:
        # One that was there a moment ago: this time it is found which.
        await _require_uploads(caller, resources, body)
        raise problems.input_gone() from None
    if once.answer is None:
        await once.record(answer_of(new))
    resources.dispatcher.dispatch_all([JobMessage(job.job_id, job.queue, job.traceparent) for job in new.messages])
    if caller.key_id is not None:
        await resources.turns.release(caller.key_id)


def _first_view(new: NewBatch, body: BatchBody, orders: Sequence[JobOrder], webhook: WebhookOrder | None) -> BatchView:
    """The batch before anything has happened to it."""
    fetching = sum(order.is_to_be_fetched for order in orders)
    counts = {JobStatus.FETCHING: fetching, JobStatus.QUEUED: len(orders) - fetching}
    return BatchView(
        id=new.batch_id,
        name=body.header.name,
        jobs=len(orders),
        cancel_requested=False,
        created_at=new.created_at,
        webhook=shown_once(new.webhook_id, webhook),
        **dict(BatchProgress.of(counts, 0.0)),
    )


async def _orders(caller: Caller, resources: Resources, body: BatchBody) -> list[JobOrder]:
    """What each job is to do, and on what. Jobs of which the same is said, but for input and labels, share it."""
    await _require_uploads(caller, resources, body)
    resolved: dict[str, Submission] = {}
    orders = []
    for number, (place, job) in enumerate(body.jobs):
        if number % _JOBS_A_TURN == 0:
            # The loop's other tasks have their turn.
            await asyncio.sleep(0)
        asked = job.model_dump_json(exclude=_OWN_TO_EACH)
        try:
            if asked not in resolved:
                resolved[asked] = await resources.submissions.resolved(job, key_id=caller.key_id)
            chosen = await resources.inputs.choose(job, caller)
        except ProblemError as error:
            if not error.problem.errors:
                raise
            body.add(place, [each.within(body.path(place)) for each in error.problem.errors])
            continue
        submission = resolved[asked]
        options = submission.options.model_copy(update={"metadata": job.metadata})
        queue = IO_QUEUE if chosen.is_to_be_fetched else queue_of(submission.spec)
        orders.append(JobOrder(submission.spec, options, queue, chosen.upload_id, chosen.sources))
    body.finish()
    return orders


async def _require_uploads(caller: Caller, resources: Resources, body: BatchBody) -> None:
    """See that every upload is there that a job names; each that is not is told of."""
    named = [(place, path, upload_id) for place, job in body.jobs for path, upload_id in uploads_of(job)]
    asked = list({upload_id for _, _, upload_id in named})
    kept: set[UUID] = set()
    for start in range(0, len(asked), _UPLOADS_A_QUERY):
        kept |= await resources.uploads.kept(asked[start : start + _UPLOADS_A_QUERY], owner=caller.owner)
    for place, path, upload_id in named:
        if upload_id not in kept:
            detail = f"There is no upload {upload_id}, or it is no longer stored; send the file to /api/uploads first."
            body.refuse(place, path, detail)
    body.finish()
