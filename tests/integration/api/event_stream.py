"""A client of the event streams."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
from httpx_sse import EventSource, ServerSentEvent, aconnect_sse


class Stream:
    """An open event stream."""

    def __init__(self, source: EventSource) -> None:
        self._events = source.aiter_sse()

    async def next(self) -> ServerSentEvent:
        """The next event."""
        return await asyncio.wait_for(anext(self._events), 10)

    async def ends(self) -> bool:
        """Whether it ends without a further event."""
        return await asyncio.wait_for(anext(self._events, None), 10) is None


def followed(api: httpx.AsyncClient, job_id: str, **headers: str) -> AbstractAsyncContextManager[Stream]:
    """The stream of a job."""
    return followed_at(api, f"/api/jobs/{job_id}/events", **headers)


@asynccontextmanager
async def followed_at(api: httpx.AsyncClient, path: str, **headers: str) -> AsyncIterator[Stream]:
    """Any stream."""
    async with aconnect_sse(api, "GET", path, headers=headers) as source:
        assert source.response.status_code == 200
        assert source.response.headers["cache-control"] == "no-store"
        yield Stream(source)


def told(event: ServerSentEvent) -> tuple[str, str, float]:
    data = json.loads(event.data)
    assert data["type"] == event.event
    return event.event, data["status"], data["progress"]
