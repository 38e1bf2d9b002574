"""Connections that break at a bad moment, as the chaos suite has found them."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import uvloop
from redis import Redis as BlockingRedis
from redis.asyncio.connection import AbstractConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.local.servers import RedisServer
from services.worker.failures import classify
from shared.events import EventHub, EventPublisher, connect
from shared.schema.events import JobEvent
from shared.schema.jobs import JobStatus
from shared.settings import Settings
from shared.store.errors import is_unavailable
from tests.conftest import make_settings


def on_uvloop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it on the API's kind of event loop, which has words of its own for a broken connection."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test())


def break_off(connection: AbstractConnection) -> None:
    """What a reset does to a connection before anybody has read of it."""
    writer = connection._writer
    assert writer is not None
    writer.transport.abort()


@pytest.fixture
def settings(redis_server: RedisServer, redis: BlockingRedis, sqlite_url: str, tmp_path: Path) -> Settings:
    return make_settings(sqlite_url, redis_server, tmp_path)


def _event(progress: float) -> JobEvent:
    return JobEvent(type="progress", job_id=uuid4(), version=2, status=JobStatus.RUNNING, progress=progress, attempt=1)


def test_news_told_as_the_connection_is_reset_are_no_error(settings: Settings) -> None:
    async def test() -> None:
        redis = connect(settings)
        publisher = EventPublisher(redis)
        await publisher.publish(_event(0.1))
        for connection in redis.connection_pool._available_connections:
            break_off(connection)
        await asyncio.sleep(0)
        await publisher.publish(_event(0.2))
        await publisher.publish(_event(0.3))
        await redis.aclose()

    on_uvloop(test)


def test_followers_hear_news_also_after_the_idle_connection_was_reset(settings: Settings) -> None:
    async def test() -> None:
        redis = connect(settings)
        publisher, first, second = EventPublisher(redis), _event(0.5), _event(0.5)
        async with EventHub(redis) as hub, asyncio.timeout(60):
            async with hub.listen(first.job_id):
                pass
            # The hub ends its subscription with the next event that finds nobody listening.
            while hub._subscribed.is_set():
                await publisher.publish(first)
                await asyncio.sleep(0.1)
            connection = hub._pubsub.connection
            assert connection is not None
            break_off(connection)
            async with hub.listen(second.job_id) as news:
                while news.empty():
                    await publisher.publish(second)
                    await asyncio.sleep(0.1)
                assert await news.get() == second
        await redis.aclose()

    on_uvloop(test)


def test_a_driver_that_is_out_of_step_with_the_server_passes() -> None:
    dialect = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1/nothing").dialect
    driver: Any = dialect.loaded_dbapi
    said = driver.InternalClientError("cannot switch to state 15; another operation (2) is in progress", None)
    error = DBAPIError.instance("UPDATE jobs", {}, said, driver.Error, dialect=dialect)
    assert isinstance(error, DBAPIError)
    assert is_unavailable(error)
    assert classify(error).is_transient
