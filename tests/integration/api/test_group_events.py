"""One stream for the jobs of a batch, and one for all."""

import asyncio
import json
import time
from typing import Any

import httpx
import psutil
from httpx_sse import ServerSentEvent

from deploy.local.servers import RedisServer
from shared.store.records import Usage
from tests.integration.api.driving import Store, client_of, store_of, submit
from tests.integration.api.event_stream import Stream, followed_at
from tests.system import System


async def batch_of(api: httpx.AsyncClient, count: int) -> tuple[str, list[str]]:
    """A new batch, and its jobs."""
    upload = (await api.post("/api/uploads", files={"file": ("talk.wav", b"some audio")})).json()["id"]
    body = {"defaults": {"operations": [{"op": "probe"}]}, "jobs": [{"input": {"id": upload}}] * count}
    batch: dict[str, Any] = (await api.post("/api/batches", json=body)).json()
    listed = (await api.get(f"/api/batches/{batch['id']}/jobs", params={"limit": 200})).json()["jobs"]
    return f"/api/batches/{batch['id']}/events", [job["id"] for job in listed]


def told(event: ServerSentEvent) -> tuple[str, str, int]:
    """Whose event it is, what it says, and the job's version."""
    data = json.loads(event.data)
    assert "key_id" not in data
    return data["job_id"], data["status"], data["version"]


async def until(stream: Stream, job_id: str, status: str) -> list[ServerSentEvent]:
    """The events up to the one that says this of a job."""
    seen = []
    while True:
        seen.append(await stream.next())
        if seen[-1].event != "batch" and told(seen[-1])[:2] == (job_id, status):
            return seen


async def test_a_batch_is_followed_to_its_end(api: httpx.AsyncClient, store: Store) -> None:
    path, (first, second) = await batch_of(api, 2)
    other = await submit(api)
    async with followed_at(api, path) as stream:
        begin = await stream.next()
        assert (begin.event, json.loads(begin.data)["counts"]["queued"]) == ("batch", 2)
        await store.succeed(first, {})
        await store.succeed(other["id"], {})
        claim = await store.claim(second)
        await store.events.publish(claim.event)
        event = await store.jobs.fail(claim.lease, code="x", message="It did not work.", usage=Usage())
        seen = [await stream.next()]
        while not (seen[-1].event == "batch" and json.loads(seen[-1].data)["has_ended"]):
            seen.append(await stream.next())
        assert await stream.ends()
    of_jobs = [told(each) for each in seen if each.event != "batch"]
    assert {job_id for job_id, _, _ in of_jobs} == {first, second}
    # Of each job every version once, and in order; the last one, whose news was not published, from the store.
    for job_id, end in ((first, "succeeded"), (second, "failed")):
        assert [(status, version) for each, status, version in of_jobs if each == job_id] == [("running", 2), (end, 3)]
    assert event.version == 3
    assert json.loads(seen[-1].data)["progress"] == 1.0
    answer = await api.get(path, headers={"Last-Event-ID": seen[-1].id})
    assert (answer.status_code, answer.content) == (204, b"")
    # Without an id it tells how it ended, and ends.
    async with followed_at(api, path) as stream:
        assert json.loads((await stream.next()).data)["has_ended"]
        assert await stream.ends()


async def test_all_jobs_are_followed_from_now_on(api: httpx.AsyncClient, store: Store) -> None:
    before = await submit(api)
    await store.succeed(before["id"], {})
    async with followed_at(api, "/api/events") as stream:
        # A new job is heard of from the store, before or after what happens to it.
        job = await submit(api)
        seen = await until(stream, job["id"], "queued")
        claim = await store.claim(job["id"])
        await store.events.publish(claim.event)
        seen += await until(stream, job["id"], "running")
        progress = claim.event.model_copy(update={"type": "progress", "progress": 0.5})
        for _ in range(3):
            await store.events.publish(progress)
        seen += await until(stream, job["id"], "running")
        # Its news is lost.
        await store.jobs.succeed(claim.lease, results={}, made=[], usage=Usage())
        seen += await until(stream, job["id"], "succeeded")
    assert [(each.event, *told(each)[1:]) for each in seen if told(each)[0] == job["id"]] == [
        ("status", "queued", 1),
        ("status", "running", 2),
        ("progress", "running", 2),
        ("status", "succeeded", 3),
    ]
    assert before["id"] not in {told(each)[0] for each in seen}


async def test_a_stream_is_resumed_without_a_gap(api: httpx.AsyncClient, store: Store) -> None:
    path, (first, second, third) = await batch_of(api, 3)
    async with followed_at(api, path) as of_batch, followed_at(api, "/api/events") as of_all:
        ids = [(await of_batch.next()).id]
        await store.succeed(first, {})
        await until(of_batch, first, "succeeded")
        ids.append((await until(of_all, first, "succeeded"))[-1].id)
    # While nobody listens one job ends, and one begins.
    await store.succeed(second, {})
    await store.claim(third)
    for address, last in zip((path, "/api/events"), ids, strict=True):
        async with followed_at(api, address, **{"Last-Event-ID": last}) as stream:
            missing = {(second, "succeeded"), (third, "running")}
            while missing:
                event = await stream.next()
                if event.event != "batch":
                    missing -= {told(event)[:2]}


async def test_what_ended_before_the_position_is_not_told_again(api: httpx.AsyncClient, store: Store) -> None:
    path, (first, second) = await batch_of(api, 2)
    await store.succeed(first, {})
    await asyncio.sleep(0.05)
    position = time.time_ns() // 1_000_000
    await asyncio.sleep(0.05)
    await store.succeed(second, {})
    async with followed_at(api, path, **{"Last-Event-ID": str(position)}) as stream:
        seen = [await stream.next(), await stream.next()]
        assert await stream.ends()
    assert [told(event)[:2] for event in seen if event.event != "batch"] == [(second, "succeeded")]
    assert json.loads(seen[-1].data)["has_ended"]
    async with followed_at(api, "/api/events", **{"Last-Event-ID": str(position)}) as of_all:
        seen = await until(of_all, second, "succeeded")
    assert first not in {told(event)[0] for event in seen}


async def test_an_id_that_is_none_of_ours_is_none(api: httpx.AsyncClient) -> None:
    path, _ = await batch_of(api, 1)
    for last in ("x", "1.5", "-1", "9" * 30, ".end"):
        async with followed_at(api, path, **{"Last-Event-ID": last}) as stream:
            assert (await stream.next()).event == "batch"


async def test_while_redis_is_away_the_store_tells(
    own_api: httpx.AsyncClient, own_store: Store, own_redis: RedisServer
) -> None:
    own_redis.stop()
    path, (job_id,) = await batch_of(own_api, 1)
    async with followed_at(own_api, path) as stream, followed_at(own_api, "/api/events") as of_all:
        assert (await stream.next()).event == "batch"
        claim = await own_store.claim(job_id)
        await until(stream, job_id, "running")
        await own_store.jobs.succeed(claim.lease, results={}, made=[], usage=Usage())
        await until(stream, job_id, "succeeded")
        await until(of_all, job_id, "succeeded")


async def test_many_streams_and_slow_readers_cost_little(own_system: System) -> None:
    """Some hundreds here; thousands are a matter of `make bench-api`."""
    store = store_of(own_system)
    process = _api_of(own_system)
    async with client_of(own_system) as api:
        job = await submit(api)
        claim = await store.claim(job["id"])
        readers = [await _sleepy("/api/events", own_system.api_port) for _ in range(200)]
        await asyncio.sleep(1)
        before = process.memory_info().rss
        for n in range(3000):
            event = claim.event.model_copy(update={"version": 2 + n, "error_message": "x" * 500})
            await store.events.publish(event)
        # Whoever reads hears of the latest state; who does not read costs no more than what waits in a mailbox.
        assert (await api.get("/healthz")).is_success
        assert process.memory_info().rss - before < 100_000_000
        for _, writer in readers:
            writer.close()
    await store.close()


def _api_of(system: System) -> psutil.Process:
    port = system.api_port
    found = [each for each in psutil.Process().children(recursive=True) if str(port) in each.cmdline()]
    return found[0]


async def _sleepy(path: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that asks, and never reads."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return reader, writer
