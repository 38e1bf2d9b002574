"""The duty: jobs of silent workers."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest_asyncio

from services.monitor.duties import Outcome
from services.monitor.duties.expired_leases import ExpiredLeases
from shared.events import EventPublisher
from shared.schema.jobs import AttemptOutcome, JobStatus
from shared.store.backlog import Backlog
from shared.store.records import Lease
from tests.integration.monitor.conftest import House


@pytest_asyncio.fixture
async def duty(house: House) -> AsyncIterator[ExpiredLeases]:
    redis = house.async_redis()
    yield ExpiredLeases(house.backlog, house.jobs, house.publisher, EventPublisher(redis), batch=3)
    await redis.aclose()


async def test_a_job_whose_lease_ran_out_is_queued_and_published_again(house: House, duty: ExpiredLeases) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    (job_id,) = await house.create(queue="high", traceparent=trace)
    await house.claim(job_id)
    await house.age([job_id], lease_expires_at=1)

    assert await duty.perform() == Outcome(1)

    view = await house.view(job_id)
    assert view.status is JobStatus.QUEUED
    assert [attempt.outcome for attempt in view.attempts] == [AttemptOutcome.LOST]
    assert house.carried("high") == [job_id]
    assert house.messages("high")[0]["headers"]["traceparent"] == trace
    assert await duty.perform() == Outcome(0)
    assert house.carried("high") == [job_id]


async def test_a_lease_that_is_held_is_let_be(house: House, duty: ExpiredLeases) -> None:
    (job_id,) = await house.create()
    await house.claim(job_id, lease_seconds=30)
    assert await duty.perform() == Outcome(0)
    assert (await house.view(job_id)).status is JobStatus.RUNNING
    assert house.all_carried() == []


async def test_a_worker_that_is_heard_of_again_at_the_last_moment_keeps_its_job(house: House) -> None:
    (job_id,) = await house.create()
    lease = await house.claim(job_id)

    class EarlierBacklog(Backlog):
        async def expired_leases(self, limit: int) -> Sequence[Lease]:
            return [lease]

    redis = house.async_redis()
    backlog = EarlierBacklog(house.database)
    duty = ExpiredLeases(backlog, house.jobs, house.publisher, EventPublisher(redis), batch=3)
    assert await duty.perform() == Outcome(0)
    await redis.aclose()
    assert (await house.view(job_id)).status is JobStatus.RUNNING


async def test_a_job_whose_attempts_are_spent_fails_and_is_not_published(house: House, duty: ExpiredLeases) -> None:
    (job_id,) = await house.create(max_attempts=1)
    await house.claim(job_id)
    await house.age([job_id], lease_expires_at=1)
    assert await duty.perform() == Outcome(1)
    view = await house.view(job_id)
    assert view.status is JobStatus.FAILED
    assert view.poisoned
    assert house.all_carried() == []


async def test_a_job_that_was_to_be_canceled_ends_so(house: House, duty: ExpiredLeases) -> None:
    (job_id,) = await house.create()
    await house.claim(job_id)
    await house.jobs.cancel(job_id)
    await house.age([job_id], lease_expires_at=1)
    assert await duty.perform() == Outcome(1)
    assert (await house.view(job_id)).status is JobStatus.CANCELED
    assert house.all_carried() == []


async def test_the_change_is_news(house: House, duty: ExpiredLeases) -> None:
    (job_id,) = await house.create()
    await house.claim(job_id)
    await house.age([job_id], lease_expires_at=1)
    listener: Any = house.redis.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call] # as in redis
    listener.psubscribe("wavemill:*")
    listener.get_message(timeout=5)
    await duty.perform()
    heard = listener.get_message(timeout=5)
    listener.close()
    assert heard is not None
    event = json.loads(heard["data"])
    assert (event["job_id"], event["status"], event["version"]) == (str(job_id), "queued", 3)


async def test_a_turn_is_bounded_and_says_that_there_is_more(house: House, duty: ExpiredLeases) -> None:
    job_ids = await house.create(4)
    for position, job_id in enumerate(job_ids):
        await house.claim(job_id)
        await house.age([job_id], lease_expires_at=10 - position)
    assert await duty.perform() == Outcome(3, more=True)
    assert house.carried() == job_ids[:3]
    assert await duty.perform() == Outcome(1)
    assert house.carried() == job_ids
