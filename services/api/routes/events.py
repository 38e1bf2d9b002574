"""Live events: of a job, of a batch, of all jobs."""

from collections.abc import AsyncIterator
from uuid import UUID

import anyio
from fastapi import APIRouter, Response
from sse_starlette import ServerSentEvent

from services.api import problems
from services.api.access import Caller, Reader
from services.api.documentation import answers
from services.api.event_source import LastEventId, event_source, stream_of
from services.api.group_watch import Group, Position
from services.api.job_watch import Place
from services.api.resources import InjectedResources, Resources

router = APIRouter(prefix="/api", tags=["events"])

_EVENT = (
    'data: {"type":"progress","job_id":"0190163d-8694-739b-aea5-966c26f8ad91","batch_id":null,"version":2,'
    '"status":"running","progress":0.31,"attempt":1,"error_code":null,"error_message":null}\r\n\r\n'
)
_OF_JOB = stream_of(
    "Events named `status` and `progress`, the data of each a JobEvent as JSON; the first is the "
    "present state, and the stream ends after the job has. `id` orders them, and resumes as Last-Event-ID.",
    f"id: 2.310000\r\nevent: progress\r\n{_EVENT}",
)
_OF_BATCH = stream_of(
    "Events named `status` and `progress`, the data of each a JobEvent as JSON, and `batch`, a BatchEvent: at the "
    "start, whenever its numbers have changed, and at the end, after which the stream ends. With the `id` of an event "
    "as Last-Event-ID it goes on with where all jobs stand that have changed since; some events may come again, and a "
    "job's `version` and `progress` say whether one is news.",
    f"id: 1764041234567\r\nevent: progress\r\n{_EVENT}",
)
_OF_ALL = stream_of(
    "Events named `status` and `progress`, the data of each a JobEvent as JSON: first of the jobs that run, then "
    "whatever changes; with the `id` of an event as Last-Event-ID, first where all jobs stand that have changed since. "
    "Some events may come again then, and a job's `version` and `progress` say whether one is news.",
    f"id: 1764041234567\r\nevent: progress\r\n{_EVENT}",
)
_NOTHING_MORE = {"description": "It has ended, and Last-Event-ID is its last event: do not connect again."}


@router.get(
    "/jobs/{job_id}/events",
    response_class=Response,
    responses=answers(404, 422, 500, 503, s200=_OF_JOB, s204=_NOTHING_MORE),
)
async def follow_job(
    job_id: UUID, caller: Reader, resources: InjectedResources, last_event_id: LastEventId = None
) -> Response:
    """Follow a job by server-sent events, until it has ended."""
    present = await resources.views.event(job_id, owner=caller.owner)
    if present is None:
        raise problems.job_not_found(job_id)
    after = Place.parse(last_event_id)
    if present.status.is_terminal and Place.of(present) <= after:
        # A browser's EventSource connects again whenever a stream ends, unless it is told this.
        return Response(status_code=204)

    async def events(until: anyio.Event) -> AsyncIterator[ServerSentEvent]:
        async for event in resources.watch.follow(job_id, after=after, until=until):
            yield ServerSentEvent(event.model_dump_json(exclude={"key_id"}), event=event.type, id=str(Place.of(event)))

    return event_source(resources, caller, events)


@router.get(
    "/batches/{batch_id}/events",
    response_class=Response,
    responses=answers(404, 422, 500, 503, s200=_OF_BATCH, s204=_NOTHING_MORE),
)
async def follow_batch(
    batch_id: UUID, caller: Reader, resources: InjectedResources, last_event_id: LastEventId = None
) -> Response:
    """Follow the jobs of a batch by one stream of server-sent events, until all of them have ended."""
    batch = await resources.batches.get(batch_id, owner=caller.owner)
    if batch is None:
        raise problems.batch_not_found(batch_id)
    after = Position.parse(last_event_id)
    if batch.has_ended and after is not None and after.is_end:
        return Response(status_code=204)
    return await _group(resources, caller, Group(batch_id=batch_id), after)


@router.get("/events", response_class=Response, responses=answers(422, 500, 503, s200=_OF_ALL))
async def follow_all(caller: Reader, resources: InjectedResources, last_event_id: LastEventId = None) -> Response:
    """Follow all jobs of this key by one stream of server-sent events, without an end."""
    return await _group(resources, caller, Group(owner=caller.owner), Position.parse(last_event_id))


async def _group(resources: Resources, caller: Caller, group: Group, after: Position | None) -> Response:
    begin = await resources.group_watch.beginning(after)

    async def events(until: anyio.Event) -> AsyncIterator[ServerSentEvent]:
        async for news in resources.group_watch.follow(group, begin=begin, until=until):
            yield ServerSentEvent(news.data, event=news.kind, id=str(news.position))

    return event_source(resources, caller, events)
