"""The live events of a job."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

import anyio
from fastapi import APIRouter, Header, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from services.api import problems
from services.api.access import Caller, Reader
from services.api.documentation import answers
from services.api.job_watch import Place
from services.api.resources import InjectedResources, Resources

router = APIRouter(prefix="/api/jobs", tags=["jobs"])

# Followers end by themselves at a shutdown; uvicorn waits for them.
_SHUTDOWN_GRACE_SECONDS = 1.0
_STREAM = {
    "description": "Events named `status` and `progress`, the data of each a JobEvent as JSON; the first is the "
    "present state, and the stream ends after the job has. `id` orders them, and resumes as Last-Event-ID.",
    "content": {
        "text/event-stream": {
            "schema": {"type": "string"},
            "example": "id: 2.310000\r\nevent: progress\r\n"
            'data: {"type":"progress","job_id":"0190163d-8694-739b-aea5-966c26f8ad91","version":2,'
            '"status":"running","progress":0.31,"attempt":1,"error_code":null,"error_message":null}\r\n\r\n',
        }
    },
}
_NOTHING_MORE = {"description": "The job has ended, and Last-Event-ID is its last event: do not connect again."}


class _Heartbeat(ServerSentEvent):
    """A comment that no blank line follows: there are clients (httpx-sse) that take each blank line for an event."""

    def encode(self) -> bytes:
        return b": heartbeat\r\n"


@router.get(
    "/{job_id}/events",
    response_class=Response,
    responses=answers(404, 422, 500, 503, s200=_STREAM, s204=_NOTHING_MORE),
)
async def follow_job(
    job_id: UUID,
    caller: Reader,
    resources: InjectedResources,
    last_event_id: Annotated[str | None, Header(description="`id` of the last event that was received.")] = None,
) -> Response:
    """Follow a job by server-sent events, until it has ended."""
    present = await resources.views.event(job_id, owner=caller.owner)
    if present is None:
        raise problems.job_not_found(job_id)
    after = Place.parse(last_event_id)
    if present.status.is_terminal and Place.of(present) <= after:
        # A browser's EventSource connects again whenever a stream ends, unless it is told this.
        return Response(status_code=204)
    shutdown = anyio.Event()
    return EventSourceResponse(
        _stream(resources, caller, job_id, after, shutdown),
        ping=resources.settings.events_heartbeat_seconds,
        ping_message_factory=_Heartbeat,
        shutdown_event=shutdown,
        shutdown_grace_period=_SHUTDOWN_GRACE_SECONDS,
    )


async def _stream(
    resources: Resources, caller: Caller, job_id: UUID, after: Place, shutdown: anyio.Event
) -> AsyncIterator[ServerSentEvent]:
    with (
        resources.metrics.event_streams.track_inprogress(),
        resources.revocations.ending(caller.key_id, shutdown),
    ):
        async for event in resources.watch.follow(job_id, after=after, until=shutdown):
            yield ServerSentEvent(event.model_dump_json(), event=event.type, id=str(Place.of(event)))
