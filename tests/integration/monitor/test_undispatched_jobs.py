"""The duty: queued jobs that no message carries."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import pytest
import pytest_asyncio
from redis.asyncio import Redis as AsyncRedis

from services.monitor import messages
from services.monitor.duties import Outcome, undispatched_jobs
from services.monitor.duties.undispatched_jobs import UndispatchedJobs
from services.monitor.messages import DELIVERY_SECONDS, CarriedJobs, Messages
from tests.integration.monitor.conftest import House

MakeDuty = Callable[..., UndispatchedJobs]


@pytest.fixture(autouse=True)
def _restless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each turn compares if it has reason to, however long the one before took."""
    monkeypatch.setattr(undispatched_jobs, "_REST", 0.0)


@pytest_asyncio.fixture
async def async_redis(house: House) -> AsyncIterator[AsyncRedis]:
    redis = house.async_redis()
    yield redis
    await redis.aclose()


@pytest.fixture
def make_duty(house: House, async_redis: AsyncRedis) -> MakeDuty:
    def make(grace_seconds: float = 5.0, batch: int = 100, seen: Messages | None = None) -> UndispatchedJobs:
        return UndispatchedJobs(
            house.backlog,
            house.jobs,
            seen or Messages(async_redis),
            house.publisher,
            grace_seconds=grace_seconds,
            batch=batch,
        )

    return make


async def perform_all(duty: UndispatchedJobs) -> int:
    """Turns until there is no more to do."""
    done = 0
    while True:
        outcome = await duty.perform()
        done += outcome.done
        if not outcome.more:
            return done


async def test_all_of_a_flushed_redis_is_published_again_in_order(house: House, make_duty: MakeDuty) -> None:
    jobs = {queue: await house.create(count, queue=queue) for queue, count in (("default", 30), ("high", 20))}
    for queue, job_ids in jobs.items():
        house.publish(job_ids, queue)
        await house.age(job_ids, dispatched_at=6)
    duty = make_duty(batch=7)
    assert await perform_all(duty) == 0
    house.redis.flushall()

    assert await perform_all(duty) == 50

    assert {queue: house.carried(queue) for queue in jobs} == jobs


async def test_a_message_may_take_a_grace_to_arrive(house: House, make_duty: MakeDuty) -> None:
    young, old = await house.create(2)
    await house.age([young], dispatched_at=3)
    await house.age([old], dispatched_at=7)
    assert await perform_all(make_duty(grace_seconds=5)) == 1
    assert house.carried() == [old]


async def test_every_page_of_messages_is_read(
    house: House, make_duty: MakeDuty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "_PAGE", 4)
    waiting, delivered, missing = await house.create(10), await house.create(10), await house.create(1)
    house.publish(delivered + waiting)
    worker = house.deliver(10, seconds_ago=1)
    await house.age(waiting + delivered + missing, dispatched_at=6)
    assert await perform_all(make_duty()) == 1
    assert house.carried() == waiting + missing
    worker.release()


async def test_only_the_missing_ones_are_published(house: House, make_duty: MakeDuty) -> None:
    job_ids = await house.create(9)
    house.publish(job_ids[:4] + job_ids[5:])
    await house.age(job_ids, dispatched_at=6)
    assert await perform_all(make_duty(batch=2)) == 1
    assert Counter(house.carried()) == Counter(job_ids)


async def test_jobs_that_run_or_wait_for_their_time_need_no_message(house: House, make_duty: MakeDuty) -> None:
    running, delayed = await house.create(2)
    await house.claim(running)
    await house.age([running, delayed], dispatched_at=60)
    await house.age([delayed], not_before=-60)
    assert await perform_all(make_duty()) == 0
    assert house.all_carried() == []


async def test_a_dead_workers_message_carries_nothing_and_a_fresh_one_does(house: House, make_duty: MakeDuty) -> None:
    (job_id,) = await house.create()
    house.publish([job_id])
    await house.age([job_id], dispatched_at=60)
    worker = house.deliver(1, seconds_ago=DELIVERY_SECONDS / 3)
    duty = make_duty()
    assert house.carried() == []
    assert await perform_all(duty) == 0

    house.date_deliveries(seconds_ago=DELIVERY_SECONDS + 1)
    assert await perform_all(make_duty()) == 1
    assert house.carried() == [job_id]
    worker.release()


async def test_a_delivery_of_the_future_is_not_believed_for_ever(house: House, make_duty: MakeDuty) -> None:
    (job_id,) = await house.create()
    house.publish([job_id])
    await house.age([job_id], dispatched_at=60)
    worker = house.deliver(1, seconds_ago=-3600)
    assert await perform_all(make_duty()) == 1
    worker.release()


async def test_a_job_is_published_at_most_once_in_a_grace(house: House, make_duty: MakeDuty) -> None:
    """Whatever eats the messages, and however often and by however many monitors it is asked."""
    job_ids = await house.create(5)
    await house.age(job_ids, dispatched_at=60)
    first, second = make_duty(grace_seconds=1.5), make_duty(grace_seconds=1.5)
    published: Counter[UUID] = Counter()
    began = time.monotonic()
    while time.monotonic() - began < 4:
        await asyncio.gather(perform_all(first), perform_all(second))
        published.update(house.carried())
        house.redis.delete("default")
    took = time.monotonic() - began
    assert set(published) == set(job_ids)
    assert max(published.values()) <= 1 + took / 1.5
    assert min(published.values()) >= 2


async def test_needless_messages_hide_a_missing_one_for_a_minute_at_most(
    house: House, make_duty: MakeDuty, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, gone, canceled = await house.create(3)
    house.publish([there, canceled])
    await house.jobs.cancel(canceled)
    await house.age([there], dispatched_at=6)
    duty = make_duty()
    assert await perform_all(duty) == 0
    await house.age([gone], dispatched_at=6)
    # Two messages, two jobs: the counts agree.
    assert await perform_all(duty) == 0
    monkeypatch.setattr(undispatched_jobs, "_COMPARE_EVERY_SECONDS", 0.0)
    assert await perform_all(duty) == 1
    assert house.carried() == [there, canceled, gone]


async def test_a_job_that_is_published_during_the_comparison_is_let_be(
    house: House, async_redis: AsyncRedis, make_duty: MakeDuty
) -> None:
    """Its message was not there when the messages were read, and it is past its grace when the jobs are."""
    old, new = await house.create(2)
    await house.age([old, new], dispatched_at=60)

    class SlowMessages(Messages):
        async def carried(self) -> CarriedJobs:
            carried = await super().carried()
            await house.age([new], dispatched_at=0)
            house.publish([new])
            await asyncio.sleep(1.0)
            return carried

    assert await perform_all(make_duty(grace_seconds=0.5, seen=SlowMessages(async_redis))) == 1
    assert Counter(house.carried()) == Counter([old, new])


async def test_a_long_comparison_is_followed_by_a_longer_rest(
    house: House, async_redis: AsyncRedis, make_duty: MakeDuty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undispatched_jobs, "_REST", 5.0)
    reads: list[float] = []

    class SlowMessages(Messages):
        async def carried(self) -> CarriedJobs:
            reads.append(time.monotonic())
            await asyncio.sleep(0.3)
            return await super().carried()

    job_ids = await house.create(3)
    await house.age(job_ids, dispatched_at=60)
    worker_takes_all = house.redis.delete
    duty = make_duty(grace_seconds=0.01, seen=SlowMessages(async_redis))
    while len(reads) < 2:
        worker_takes_all("default")
        await duty.perform()
        await asyncio.sleep(0.02)
    assert reads[1] - reads[0] > 0.3 * 5.0


async def test_others_tasks_in_the_queue_do_no_harm(house: House, make_duty: MakeDuty) -> None:
    (job_id,) = await house.create()
    await house.age([job_id], dispatched_at=6)
    house.publisher._app.send_task("somebody.elses", queue="default")
    assert await make_duty().perform() == Outcome(1)
