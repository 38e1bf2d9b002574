"""Job events over a real Redis."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest_asyncio
from redis import Redis

from deploy.local.servers import RedisServer
from shared.events import EventHub, EventPublisher, connect
from shared.schema.events import JobEvent
from shared.schema.jobs import JobStatus
from shared.settings import Settings
from tests.conftest import make_settings


def event(job_id: UUID, version: int) -> JobEvent:
    return JobEvent(type="status", job_id=job_id, version=version, status=JobStatus.RUNNING, progress=0, attempt=1)


class Radio:
    def __init__(self, settings: Settings) -> None:
        self.speaker = connect(settings)
        self.ear = connect(settings)
        self.publisher = EventPublisher(self.speaker)
        self.hub = EventHub(self.ear)

    async def hear(self, queue: asyncio.Queue[JobEvent], job_id: UUID, version: int) -> JobEvent:
        """Say it until it is heard: a subscription takes effect a little after it was asked for."""
        for _ in range(100):
            await self.publisher.publish(event(job_id, version))
            try:
                return await asyncio.wait_for(queue.get(), 0.2)
            except TimeoutError:
                continue
        raise AssertionError("not heard")


@pytest_asyncio.fixture
async def radio(redis_server: RedisServer, redis: Redis, tmp_path: Path) -> AsyncIterator[Radio]:
    radio = Radio(make_settings("", redis_server, tmp_path))
    async with radio.hub:
        yield radio
    await radio.speaker.aclose()
    await radio.ear.aclose()


async def test_each_listener_hears_its_own_job_only(radio: Radio) -> None:
    first, second = uuid4(), uuid4()
    async with radio.hub.listen(first) as one, radio.hub.listen(first) as two, radio.hub.listen(second) as other:
        assert await radio.hear(other, second, 1) == event(second, 1)
        assert await radio.hear(one, first, 2) == event(first, 2)
        assert await asyncio.wait_for(two.get(), 5) == event(first, 2)
        assert other.empty()


async def test_the_hub_is_subscribed_only_while_somebody_listens(radio: Radio, redis: Redis) -> None:
    for _ in range(3):
        job_id = uuid4()
        async with radio.hub.listen(job_id) as queue:
            await radio.hear(queue, job_id, 1)
            assert redis.pubsub_numpat() == 1
    for _ in range(200):
        if redis.pubsub_numpat() == 0:
            break
        await asyncio.sleep(0.05)
    assert redis.pubsub_numpat() == 0


async def test_a_listener_that_sleeps_loses_the_oldest_events_only(radio: Radio) -> None:
    job_id = uuid4()
    async with radio.hub.listen(job_id) as queue:
        await radio.hear(queue, job_id, 1)
        for version in range(2, 1002):
            await radio.publisher.publish(event(job_id, version))
        newest = 0
        async with asyncio.timeout(10):
            while newest < 1001:
                newest = (await queue.get()).version
        assert queue.qsize() <= 256


async def test_the_hub_hears_again_after_redis_was_away(radio: Radio, redis_server: RedisServer) -> None:
    job_id = uuid4()
    async with radio.hub.listen(job_id) as queue:
        await radio.hear(queue, job_id, 1)
        redis_server.restart(keep_data=False)
        while not queue.empty():
            queue.get_nowait()
        assert (await radio.hear(queue, job_id, 2)).version == 2


async def test_publishing_into_the_void_is_no_error(radio: Radio, redis_server: RedisServer) -> None:
    redis_server.stop()
    try:
        await radio.publisher.publish(event(uuid4(), 1))
    finally:
        redis_server.start()


async def test_many_at_once_share_a_few_connections(redis_server: RedisServer, redis: Redis, tmp_path: Path) -> None:
    client = connect(make_settings("", redis_server, tmp_path, redis_pool_size=3))
    before = len(redis.client_list())
    publisher = EventPublisher(client)
    listener = redis.pubsub()  # type: ignore[no-untyped-call]  # as there
    listener.psubscribe("*")
    await asyncio.gather(*(publisher.publish(event(uuid4(), 1)) for _ in range(100)))
    assert len(redis.client_list()) - before <= 3 + 1
    # None was left out for that.
    assert listener.get_message(timeout=10) is not None
    heard = [message for _ in range(100) if (message := listener.get_message(timeout=10))]
    assert len(heard) == 100
    listener.close()
    await client.aclose()
