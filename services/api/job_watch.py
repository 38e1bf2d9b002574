"""Follows jobs: news from Redis as it comes, and what Redis lost from the store, a little later."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self
from uuid import UUID

import anyio
import structlog

from shared.cancellation import cancel
from shared.events import EventHub
from shared.schema.events import JobEvent
from shared.store.errors import DATABASE_ERRORS
from shared.store.job_views import JobViews

log = structlog.get_logger()

_POLL_SECONDS = 2.0
_ROWS_PER_QUERY = 500
_MILLION = 1_000_000
_PLACE = re.compile(r"(\d{1,9})\.(\d{1,7})", re.ASCII)


class Place(NamedTuple):
    """An event's place in the order of its job's events; as text it is the id of a server-sent event."""

    version: int
    progress: int
    """In millionths."""

    @classmethod
    def of(cls, event: JobEvent) -> Self:
        """The place of an event."""
        version, progress = event.position
        return cls(version, round(progress * _MILLION))

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """What a client gives back as Last-Event-ID; before all events where it is none of ours."""
        found = _PLACE.fullmatch(text or "")
        return cls(int(found[1]), int(found[2])) if found else cls(0, 0)

    def __str__(self) -> str:
        return f"{self.version}.{self.progress}"


@dataclass(eq=False, slots=True)
class _Follower:
    news: asyncio.Queue[JobEvent]
    known: Place

    def waits_for(self, event: JobEvent) -> bool:
        """Whether it has something to tell, or to end by: of a thousand that are idle none is to be woken."""
        return Place.of(event) > self.known or event.status.is_terminal


class JobWatch:
    """Any number of followers of any number of jobs; all of them cost one query each two seconds."""

    def __init__(self, hub: EventHub, views: JobViews) -> None:
        self._hub = hub
        self._views = views
        self._followers: dict[UUID, set[_Follower]] = {}
        self._poller: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._poller = asyncio.create_task(self._poll(), name="job watch")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._poller is not None:
            await cancel(self._poller)

    async def follow(self, job_id: UUID, *, after: Place, until: anyio.Event) -> AsyncIterator[JobEvent]:
        """Where the job stands now, then each change, in order and none twice, to its end or the caller's.

        Args:
            job_id: an existing job.
            after: the place of the last event that is known.
            until: set by the caller to end it.
        """
        async with self._hub.listen(job_id) as news:
            followers = self._followers.setdefault(job_id, set())
            follower = _Follower(news, after)
            followers.add(follower)
            ending = asyncio.create_task(until.wait())
            try:
                # Read after the subscription has begun: what happens from now on is heard.
                await self._read([job_id])
                while (event := await _next(news, ending)) is not None:
                    place = Place.of(event)
                    if place > follower.known:
                        kind = "progress" if place.version == follower.known.version else "status"
                        follower.known = place
                        yield event.model_copy(update={"type": kind})
                    if event.status.is_terminal:
                        return
            finally:
                ending.cancel()
                followers.discard(follower)
                if not followers:
                    self._followers.pop(job_id, None)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            followed = list(self._followers)
            for start in range(0, len(followed), _ROWS_PER_QUERY):
                await self._read(followed[start : start + _ROWS_PER_QUERY])

    async def _read(self, job_ids: Sequence[UUID]) -> None:
        try:
            events = await self._views.events(job_ids)
        except DATABASE_ERRORS as error:
            log.warning("jobs not read for their followers, will be", reason=type(error).__name__)
            return
        for event in events:
            for follower in self._followers.get(event.job_id, ()):
                # One that is full has news enough, and is read for again.
                if follower.waits_for(event) and not follower.news.full():
                    follower.news.put_nowait(event)


async def _next(news: asyncio.Queue[JobEvent], ending: asyncio.Task[bool | None]) -> JobEvent | None:
    """The next event; None when the end came first."""
    if not news.empty():
        return news.get_nowait()
    waiting = asyncio.create_task(news.get())
    try:
        await asyncio.wait((waiting, ending), return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else None
    finally:
        waiting.cancel()
