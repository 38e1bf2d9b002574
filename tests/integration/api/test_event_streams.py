import asyncio
import json
from uuid import UUID

import httpx
import pytest

from shared.schema.events import JobEvent
from shared.schema.jobs import JobStatus
from shared.store.records import Usage
from tests.integration.api.driving import Store, submit
from tests.integration.api.event_stream import followed, told


async def test_a_job_is_followed_to_its_end(api: httpx.AsyncClient, store: Store) -> None:
    job_id = (await submit(api))["id"]
    async with followed(api, job_id) as stream:
        first = await stream.next()
        assert told(first) == ("status", "queued", 0.0)
        assert json.loads(first.data)["job_id"] == job_id
        claim = await store.claim(job_id)
        await store.events.publish(claim.event)
        assert told(await stream.next()) == ("status", "running", 0.0)
        for progress in (0.25, 0.5):
            await store.jobs.heartbeat(claim.lease, progress=progress, lease_seconds=60)
            await store.events.publish(claim.event.model_copy(update={"type": "progress", "progress": progress}))
            assert told(await stream.next()) == ("progress", "running", progress)
        done = await store.jobs.succeed(claim.lease, results={}, made=[], usage=Usage())
        await store.events.publish(done)
        assert told(await stream.next()) == ("status", "succeeded", 1.0)
        assert await stream.ends()


async def test_news_come_faster_than_the_store_is_asked(api: httpx.AsyncClient, store: Store) -> None:
    job_id = (await submit(api))["id"]
    async with followed(api, job_id) as stream:
        await stream.next()
        event = await store.jobs.cancel(UUID(job_id))
        assert event is not None
        # An event that the store does not know of can only have come by Redis.
        await store.events.publish(event.model_copy(update={"error_message": "by redis"}))
        assert json.loads((await stream.next()).data)["error_message"] == "by redis"


async def test_what_redis_lost_comes_from_the_store(api: httpx.AsyncClient, store: Store) -> None:
    job_id = (await submit(api))["id"]
    async with followed(api, job_id) as stream:
        await stream.next()
        claim = await store.claim(job_id)
        assert told(await stream.next()) == ("status", "running", 0.0)
        await store.jobs.heartbeat(claim.lease, progress=0.5, lease_seconds=60)
        assert told(await stream.next()) == ("progress", "running", 0.5)
        await store.jobs.fail(claim.lease, code="x", message="It did not work.", usage=Usage())
        last = await stream.next()
        assert told(last)[1] == "failed"
        assert json.loads(last.data)["error_message"] == "It did not work."
        assert await stream.ends()


async def test_each_event_comes_once_and_in_order(api: httpx.AsyncClient, store: Store) -> None:
    job_id = (await submit(api))["id"]

    def event(version: int, progress: float, status: JobStatus = JobStatus.RUNNING) -> JobEvent:
        return JobEvent(
            type="progress", job_id=UUID(job_id), version=version, status=status, progress=progress, attempt=1
        )

    async with followed(api, job_id) as stream:
        first = await stream.next()
        for version, progress in ((2, 0.5), (2, 0.5), (2, 0.2), (1, 0.9), (2, 0.6), (3, 0.0), (2, 0.9), (3, 0.1)):
            await store.events.publish(event(version, progress))
        await store.events.publish(event(4, 1.0, JobStatus.SUCCEEDED))
        seen = [await stream.next() for _ in range(5)]
        assert await stream.ends()
    assert [told(event) for event in seen] == [
        # The first of a version is a change of status, though its own event was lost.
        ("status", "running", 0.5),
        ("progress", "running", 0.6),
        ("status", "running", 0.0),
        ("progress", "running", 0.1),
        ("status", "succeeded", 1.0),
    ]
    ids = [tuple(map(int, event.id.split("."))) for event in (first, *seen)]
    assert ids == sorted(set(ids))


async def test_a_job_that_has_ended(api: httpx.AsyncClient, store: Store) -> None:
    job_id = (await submit(api))["id"]
    await store.succeed(job_id, {})
    async with followed(api, job_id) as stream:
        last = await stream.next()
        assert told(last) == ("status", "succeeded", 1.0)
        assert await stream.ends()
    # A browser connects again and again, until it is told not to.
    answer = await api.get(f"/api/jobs/{job_id}/events", headers={"Last-Event-ID": last.id})
    assert (answer.status_code, answer.content) == (204, b"")


async def test_a_stream_is_resumed(api: httpx.AsyncClient, store: Store) -> None:
    job_id = (await submit(api))["id"]
    async with followed(api, job_id) as stream:
        first = await stream.next()
    async with followed(api, job_id, **{"Last-Event-ID": first.id}) as stream:
        claim = await store.claim(job_id)
        await store.events.publish(claim.event)
        # The present state was known: only what is new is told.
        assert told(await stream.next()) == ("status", "running", 0.0)


@pytest.mark.parametrize("last", ["", "x", "1", "1.5.2", "-1.0", "9" * 50 + ".0", "nan.nan"])
async def test_an_event_id_that_is_none_of_ours(api: httpx.AsyncClient, last: str) -> None:
    job_id = (await submit(api))["id"]
    async with followed(api, job_id, **{"Last-Event-ID": last}) as stream:
        assert told(await stream.next()) == ("status", "queued", 0.0)


async def test_an_idle_stream_has_a_heartbeat(api: httpx.AsyncClient) -> None:
    job_id = (await submit(api))["id"]
    async with api.stream("GET", f"/api/jobs/{job_id}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = ""
        async with asyncio.timeout(10):
            async for piece in answer.aiter_text():
                text += piece
                if text.count(": heartbeat\r\n") >= 2:
                    break
    assert text.count("event: status") == 1


async def test_a_stream_to_which_nothing_is_news_ends_with_its_job(api: httpx.AsyncClient, store: Store) -> None:
    job_id = (await submit(api))["id"]
    # All that comes is known to it: only the end of the job is left to hear of, from the store alone.
    async with followed(api, job_id, **{"Last-Event-ID": "1000.0"}) as stream:
        claim = await store.claim(job_id)
        await store.jobs.succeed(claim.lease, results={}, made=[], usage=Usage())
        assert await stream.ends()


async def test_cancel_is_told(api: httpx.AsyncClient, store: Store) -> None:
    job_id = (await submit(api))["id"]
    async with store.redis.pubsub(ignore_subscribe_messages=True) as news, followed(api, job_id) as stream:
        await news.subscribe(f"wavemill:job:{job_id}")
        await stream.next()
        await api.post(f"/api/jobs/{job_id}/cancel")
        assert told(await stream.next()) == ("status", "canceled", 0.0)
        assert await stream.ends()
        # Not only the store knows: other processes' followers hear of it too.
        async with asyncio.timeout(10):
            while (message := await news.get_message(timeout=1)) is None:
                pass
        assert json.loads(message["data"])["status"] == "canceled"


async def test_many_followers_of_many_jobs(api: httpx.AsyncClient, store: Store) -> None:
    jobs = [(await submit(api))["id"] for _ in range(5)]
    begun = asyncio.Barrier(len(jobs) * 4 + 1)

    async def follow(job_id: str) -> list[str]:
        async with followed(api, job_id) as stream:
            statuses = [told(await stream.next())[1]]
            await begun.wait()
            while statuses[-1] != "succeeded":
                statuses.append(told(await stream.next())[1])
            return statuses

    following = [asyncio.create_task(follow(job_id)) for job_id in jobs * 4]
    await begun.wait()
    for job_id in jobs:
        await store.succeed(job_id, {})
    assert await asyncio.gather(*following) == [["queued", "running", "succeeded"]] * 20


async def test_what_nobody_understands_harms_nobody(api: httpx.AsyncClient, store: Store) -> None:
    job_id = (await submit(api))["id"]
    async with followed(api, job_id) as stream:
        await stream.next()
        await store.redis.publish(f"wavemill:job:{job_id}", b"\xff no event")
        claim = await store.claim(job_id)
        await store.events.publish(claim.event.model_copy(update={"error_message": "by redis"}))
        assert json.loads((await stream.next()).data)["error_message"] == "by redis"
