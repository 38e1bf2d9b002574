import asyncio
import itertools
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Message

from services.api.event_source import with_heartbeats

SECONDS = 0.4
STREAMS = 30
BEATS = 3


async def beats_of_an_idle_stream() -> list[float]:
    """Seconds from its beginning to its first heartbeat, and between each two."""
    clock = asyncio.get_running_loop().time
    moments = [clock()]
    enough = asyncio.Event()

    async def nothing() -> AsyncIterator[ServerSentEvent]:
        await enough.wait()
        return
        yield

    async def receive() -> Message:
        await enough.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message.get("body") == b": heartbeat\r\n":
            moments.append(clock())
            if len(moments) > BEATS:
                enough.set()

    await with_heartbeats(EventSourceResponse(nothing()), SECONDS)({"type": "http", "method": "GET"}, receive, send)
    return [later - earlier for earlier, later in itertools.pairwise(moments)]


async def test_streams_that_begin_together_have_their_heartbeats_at_different_times() -> None:
    beats = await asyncio.gather(*(beats_of_an_idle_stream() for _ in range(STREAMS)))
    assert [len(each) for each in beats] == [BEATS] * STREAMS
    # That fewer than 5 of 30 fall into the first half by chance happens once in 30,000 times (the binomial
    # distribution); without the spreading none does.
    assert sum(first < SECONDS / 2 for first, *_ in beats) >= 5
    # A timer is never early: the others keep their distance, and with it the order of the first ones.
    assert min(later for _, *further in beats for later in further) > 0.99 * SECONDS
