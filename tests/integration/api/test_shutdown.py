"""How the service ends."""

import asyncio
import time

import httpx
from redis import Redis

from deploy.local.servers import RedisServer
from tests.integration.api.driving import submit
from tests.integration.api.event_stream import followed
from tests.system import System


async def test_the_end_does_not_wait_for_a_silent_redis(
    own_system: System, own_api: httpx.AsyncClient, own_redis: RedisServer
) -> None:
    await submit(own_api)
    own_redis.pause()
    await submit(own_api)
    api = own_system._processes[0]
    began = time.monotonic()
    api.ask_to_stop()
    assert api.wait(10)
    own_redis.resume()
    assert time.monotonic() - began < 5
    assert api.exit_code in (0, -15)


async def test_open_streams_end_with_the_service(own_system: System, own_api: httpx.AsyncClient) -> None:
    job = await submit(own_api)
    api = own_system._processes[0]
    async with followed(own_api, job["id"]) as stream, followed(own_api, job["id"]) as other:
        await stream.next()
        await other.next()
        began = time.monotonic()
        api.ask_to_stop()
        # In order: the response is complete, not cut off.
        assert await stream.ends()
        assert await other.ends()
        assert api.wait(10)
        assert time.monotonic() - began < 4
    assert "without completing" not in own_system.log()
    assert "Traceback" not in own_system.log()


async def test_what_waits_is_published_before_the_end(
    own_system: System, own_api: httpx.AsyncClient, own_redis: RedisServer
) -> None:
    upload = (await own_api.post("/api/uploads", files={"file": ("a", b"x")})).json()
    body = {"input": {"id": upload["id"]}, "operations": [{"op": "probe"}]}
    own_redis.pause()
    await asyncio.gather(*(own_api.post("/api/jobs", json=body) for _ in range(20)))
    api = own_system._processes[0]
    api.ask_to_stop()
    await asyncio.sleep(0.2)
    own_redis.resume()
    assert api.wait(10)
    client = Redis.from_url(own_redis.url)
    assert client.llen("default") == 20
    client.close()
