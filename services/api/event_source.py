"""Streams of server-sent events, as all routes answer with them."""

import random
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import anyio
from fastapi import Header
from sse_starlette import EventSourceResponse, ServerSentEvent

from services.api.access import Caller
from services.api.resources import Resources

# Followers end by themselves at a shutdown; uvicorn waits for them.
_SHUTDOWN_GRACE_SECONDS = 1.0
# A client that takes nothing for so long is gone, or as good as that; it can come back to where it was.
_SEND_SECONDS = 60.0

LastEventId = Annotated[str | None, Header(description="`id` of the last event that was received.")]


class _Heartbeat(ServerSentEvent):
    """A comment that no blank line follows: there are clients (httpx-sse) that take each blank line for an event."""

    def encode(self) -> bytes:
        return b": heartbeat\r\n"


def event_source(
    resources: Resources, caller: Caller, follow: Callable[[anyio.Event], AsyncIterator[ServerSentEvent]]
) -> EventSourceResponse:
    """An open stream of what is followed until the event is set: at the service's end, or when the key ends."""
    shutdown = anyio.Event()

    async def counted() -> AsyncIterator[ServerSentEvent]:
        with (
            resources.metrics.event_streams.track_inprogress(),
            resources.revocations.ending(caller.key_id, shutdown),
        ):
            async for event in follow(shutdown):
                yield event

    return with_heartbeats(
        EventSourceResponse(
            counted(),
            send_timeout=_SEND_SECONDS,
            shutdown_event=shutdown,
            shutdown_grace_period=_SHUTDOWN_GRACE_SECONDS,
        ),
        resources.settings.events_heartbeat_seconds,
    )


def with_heartbeats(response: EventSourceResponse, seconds: float) -> EventSourceResponse:
    """The stream with a heartbeat each so many seconds, the first of them at a random moment before.

    Clients that come together, as after a restart, would else get theirs together from then on, and all other
    requests would wait for a thousand of them.
    """

    def heartbeat() -> _Heartbeat:
        response.ping_interval = seconds
        return _Heartbeat()

    # Never 0, which is none at all.
    response.ping_interval = seconds * (1 - random.random())
    response.ping_message_factory = heartbeat
    return response


def stream_of(description: str, example: str) -> dict[str, Any]:
    """What a route's documentation says of its stream."""
    content = {"text/event-stream": {"schema": {"type": "string"}, "example": example}}
    return {"description": description, "content": content}
