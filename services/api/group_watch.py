"""Follows many jobs by one stream: those of a batch, or all of a key.

All streams together cost one look at the store each two seconds, and one subscription of Redis: what comes is sorted
out here, told to each stream once, and in the order of each job's versions. A stream that falls behind, or that comes
back, reads the store from its position on.

A position is a moment before which all has been told. It lies two minutes behind the present, since a job's end may be
seen so much later than its time says (shared/store/job_changes.py): whoever comes back is told some things again.
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Self
from uuid import UUID

import anyio
import structlog

from services.api.job_watch import Place
from services.api.mailbox import Mailbox
from shared.cancellation import cancel
from shared.events import EventHub
from shared.schema.batches import BatchEvent, BatchProgress
from shared.schema.events import JobEvent
from shared.store.batch_views import BatchViews
from shared.store.errors import DATABASE_ERRORS
from shared.store.finished import SETTLED_SECONDS
from shared.store.job_changes import JobChanges

log = structlog.get_logger()

_POLL_SECONDS = 2.0
# A poll that takes long is made less often: a tenth of the time at most.
_REST = 10.0
# A poll goes back so far, which makes good what most transactions need to be seen; a sweep goes back to the position.
_OVERLAP = timedelta(seconds=5)
_SWEEP_SECONDS = 30.0
_SETTLED = timedelta(seconds=SETTLED_SECONDS)
# Of so many jobs it is known what was told; of others something may be told twice.
_REMEMBERED = 50_000
_POSITION = re.compile(r"(\d{1,14})(\.end)?", re.ASCII)
_BATCHES_PER_QUERY = 200
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Position(NamedTuple):
    """Where a stream is; as text it is the id of a server-sent event."""

    moment: datetime
    is_end: bool = False
    """The stream has ended, and all is told."""

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """What a client gives back as Last-Event-ID; None where it is none of ours."""
        found = _POSITION.fullmatch(text or "")
        return cls(_EPOCH + int(found[1]) * _MILLISECOND, found[2] is not None) if found else None

    def __str__(self) -> str:
        return f"{(self.moment - _EPOCH) // _MILLISECOND}{'.end' if self.is_end else ''}"


@dataclass(frozen=True, slots=True)
class Group:
    """Jobs that are followed together: those of a batch, those of a key, or all."""

    batch_id: UUID | None = None
    owner: UUID | None = None

    @classmethod
    def all_with(cls, event: JobEvent) -> "set[Group]":
        """Every group that a job is in, by its event."""
        return {cls(), cls(owner=event.key_id), cls(batch_id=event.batch_id)}


class News(NamedTuple):
    """What a stream sends: put into words once, for all streams."""

    kind: str
    data: str
    position: Position
    place: Place | None = None
    """Of an event of a job."""


class GroupWatch:
    """Any number of followers of any number of groups."""

    def __init__(self, hub: EventHub, changes: JobChanges, batches: BatchViews) -> None:
        self._hub = hub
        self._changes = changes
        self._batches = batches
        self._followers: dict[Group, set[Mailbox[News]]] = {}
        self._is_followed = asyncio.Event()
        # What was told of each job last; the longest untouched first.
        self._told: OrderedDict[UUID, Place] = OrderedDict()
        self._progress: dict[UUID, BatchProgress] = {}
        # All that ended before it has been told; until when, and when last, the store was looked at.
        self._settled = self._seen_until = _EPOCH
        self._swept_at = float("-inf")
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def __aenter__(self) -> Self:
        self._tasks = (
            asyncio.create_task(self._hear(), name="group news"),
            asyncio.create_task(self._poll(), name="group watch"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await cancel(*self._tasks)

    async def beginning(self, after: Position | None) -> Position:
        """Where a stream begins that is to be opened: where its client was, or now.

        Raises:
            DATABASE_ERRORS (shared.store.errors): the store cannot be read.
        """
        now = await self._changes.now()
        if not self._followers:
            # What has happened lately is nobody's news any more.
            await self._learn(now - _SETTLED)
            self._settled, self._seen_until = now - _SETTLED, now
            self._swept_at = time.monotonic()
        return after or Position(now)

    async def follow(self, group: Group, *, begin: Position, until: anyio.Event) -> AsyncIterator[News]:
        """Where the jobs stand that run, or have changed since the beginning; then each change.

        That of a batch ends when all of its jobs have.

        Args:
            group: whom to follow.
            begin: from `beginning`, a moment ago.
            until: set by the caller to end it.

        Raises:
            DATABASE_ERRORS (shared.store.errors): the store could not be read at the start.
        """
        with self._registered(group, until) as mailbox:
            async for news in self._missed(group, mailbox, begin):
                yield news
            if group.batch_id is not None:
                mailbox.put(group.batch_id, await self._state_of_batch(group.batch_id, begin))
            async for news in self._arriving(group, mailbox, begin):
                yield news

    async def _arriving(self, group: Group, mailbox: Mailbox[News], position: Position) -> AsyncIterator[News]:
        while not mailbox.is_closed:
            letter = await mailbox.next()
            if letter is not None:
                position = letter.position
                yield letter
                if position.is_end:
                    return
            elif mailbox.has_lost:
                mailbox.has_lost = False
                async for news in self._missed(group, mailbox, position):
                    yield news
                if group.batch_id is not None:
                    mailbox.put(group.batch_id, await self._state_of_batch(group.batch_id, position))

    @contextmanager
    def _registered(self, group: Group, until: anyio.Event) -> Iterator[Mailbox[News]]:
        mailbox: Mailbox[News] = Mailbox()
        followers = self._followers.setdefault(group, set())
        followers.add(mailbox)
        self._is_followed.set()
        ending = asyncio.create_task(until.wait())
        ending.add_done_callback(lambda _: mailbox.close())
        try:
            yield mailbox
        finally:
            ending.cancel()
            followers.discard(mailbox)
            if not followers and self._followers.get(group) is followers:
                del self._followers[group]
                if group.batch_id is not None:
                    self._progress.pop(group.batch_id, None)

    async def _missed(self, group: Group, mailbox: Mailbox[News], position: Position) -> AsyncIterator[News]:
        """Where the jobs stand that have changed since; what waits in the mailbox and is no later is dropped there."""
        if group.batch_id is not None:
            changed = self._changes.of_batch(group.batch_id, position.moment)
        else:
            changed = self._changes.since(position.moment, owner=group.owner)
        async for event in changed:
            place = Place.of(event)
            # Others are told as well, and nobody is told of an earlier state from now on.
            self._tell(event, besides=mailbox)
            waiting = mailbox.waiting(event.job_id)
            if waiting is not None and waiting.place is not None and waiting.place <= place:
                mailbox.drop(event.job_id)
            yield _news_of_job(event, position, place, is_progress=False)

    async def _state_of_batch(self, batch_id: UUID, position: Position) -> News:
        progress = (await self._batches.progress([batch_id]))[batch_id]
        return _news_of_batch(batch_id, progress, position.moment)

    def _tell(self, event: JobEvent, *, besides: Mailbox[News] | None = None) -> None:
        """Tell whoever follows the job, unless that or a later state was told."""
        place, known = Place.of(event), self._told.get(event.job_id)
        if known is not None and place <= known:
            return
        self._told[event.job_id] = place
        self._told.move_to_end(event.job_id)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        mailboxes = [
            mailbox
            for group in Group.all_with(event)
            for mailbox in self._followers.get(group, ())
            if mailbox is not besides
        ]
        if not mailboxes:
            return
        is_progress = known is not None and known.version == place.version
        news = _news_of_job(event, Position(self._settled), place, is_progress=is_progress)
        for mailbox in mailboxes:
            waiting = mailbox.waiting(event.job_id)
            if is_progress and waiting is not None and waiting.kind == "status":
                # Its place is taken, and with it what it had to say.
                mailbox.put(event.job_id, _news_of_job(event, news.position, place, is_progress=False))
            else:
                mailbox.put(event.job_id, news)

    async def _hear(self) -> None:
        while True:
            await self._is_followed.wait()
            async with self._hub.listen_to_all() as queue:
                while self._followers:
                    try:
                        async with asyncio.timeout(_POLL_SECONDS):
                            event = await queue.get()
                    except TimeoutError:
                        continue
                    self._tell(event)

    async def _poll(self) -> None:
        while True:
            await self._is_followed.wait()
            if not self._followers:
                self._is_followed.clear()
                continue
            began = time.monotonic()
            try:
                now = await self._changes.now()
                if began - self._swept_at >= _SWEEP_SECONDS:
                    await self._look(self._settled)
                    self._settled, self._swept_at = now - _SETTLED, began
                else:
                    await self._look(self._seen_until - _OVERLAP)
                self._seen_until = now
                await self._look_at_batches()
            except DATABASE_ERRORS as error:
                log.warning("jobs not read for their followers, will be", reason=type(error).__name__)
            await asyncio.sleep(max(_POLL_SECONDS, _REST * (time.monotonic() - began)))

    async def _learn(self, since: datetime) -> None:
        """Take what has happened since then for told."""
        async for event in self._changes.since(since):
            place = Place.of(event)
            if place > self._told.get(event.job_id, Place(0, 0)):
                self._told[event.job_id] = place

    async def _look(self, since: datetime) -> None:
        async for event in self._changes.since(since):
            self._tell(event)

    async def _look_at_batches(self) -> None:
        followed = [group.batch_id for group in self._followers if group.batch_id is not None]
        for start in range(0, len(followed), _BATCHES_PER_QUERY):
            page = await self._batches.progress(followed[start : start + _BATCHES_PER_QUERY])
            await self._tell_of_batches(page)

    async def _tell_of_batches(self, seen: Mapping[UUID, BatchProgress]) -> None:
        for batch_id, progress in seen.items():
            if progress == self._progress.get(batch_id):
                continue
            if progress.has_ended:
                # The end of the batch comes after those of its jobs.
                async for event in self._changes.of_batch(batch_id, self._settled):
                    self._tell(event)
            self._progress[batch_id] = progress
            for mailbox in self._followers.get(Group(batch_id=batch_id), ()):
                mailbox.put(batch_id, _news_of_batch(batch_id, progress, self._settled))


def _news_of_job(event: JobEvent, position: Position, place: Place, *, is_progress: bool) -> News:
    kind = "progress" if is_progress else "status"
    return News(kind, event.model_copy(update={"type": kind}).model_dump_json(exclude={"key_id"}), position, place)


def _news_of_batch(batch_id: UUID, progress: BatchProgress, moment: datetime) -> News:
    event = BatchEvent(batch_id=batch_id, **dict(progress))
    return News(event.type, event.model_dump_json(), Position(moment, is_end=progress.has_ended))
