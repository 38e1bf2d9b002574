"""The totals of jobs that have ended."""

import asyncio
from collections import Counter
from uuid import UUID

from services.monitor.duties import Outcome
from services.monitor.duties.finished_totals import FinishedTotals
from shared.store.finished import SETTLED_SECONDS, Finished
from shared.store.records import Usage
from tests.integration.monitor.conftest import House


async def totals(finished: Finished) -> dict[tuple[str, str], int]:
    return {(count.status, count.queue): count.present for count in await finished.totals()}


async def succeed(house: House, count: int, queue: str = "default") -> list[UUID]:
    job_ids = await house.create(count, queue=queue)
    for job_id in job_ids:
        await house.jobs.succeed(await house.claim(job_id), results={}, made=(), usage=Usage())
    return job_ids


async def test_every_ended_job_counts_once_before_and_after_it_is_folded(house: House) -> None:
    finished = Finished(house.database)
    assert await totals(finished) == {}
    job_ids = [*await succeed(house, 5), *await succeed(house, 2, "high")]
    (canceled,) = await house.create()
    await house.jobs.cancel(canceled)
    await house.create(3)
    expected = {("succeeded", "default"): 5, ("succeeded", "high"): 2, ("canceled", "default"): 1}
    assert await totals(finished) == expected

    assert await finished.fold(100) == 0  # all ended just now
    for position, job_id in enumerate(job_ids):
        await house.age([job_id], finished_at=SETTLED_SECONDS + 100 - position)
    folded = []
    while added := await finished.fold(3):
        folded.append(added)
        assert await totals(finished) == expected
    assert folded == [3, 3, 1]

    await succeed(house, 1)
    assert await totals(finished) == expected | {("succeeded", "default"): 6}


async def test_jobs_that_ended_at_one_moment_are_not_torn_apart(house: House) -> None:
    finished = Finished(house.database)
    job_ids = await succeed(house, 5)
    await house.age(job_ids, finished_at=SETTLED_SECONDS + 10)
    assert await finished.fold(2) == 5
    assert await finished.fold(2) == 0
    assert await totals(finished) == {("succeeded", "default"): 5}


async def test_two_leaders_count_a_job_once(house: House) -> None:
    finished = Finished(house.database)
    job_ids = await succeed(house, 6)
    await house.age(job_ids[:1], finished_at=SETTLED_SECONDS + 100)
    assert await finished.fold(100) == 1
    await house.age(job_ids[1:], finished_at=SETTLED_SECONDS + 10)
    assert sum(await asyncio.gather(*(finished.fold(100) for _ in range(5)))) == 5
    assert await totals(finished) == {("succeeded", "default"): 6}


async def test_totals_never_fall_while_others_fold(house: House) -> None:
    finished = Finished(house.database)
    job_ids = await succeed(house, 40)
    for position, job_id in enumerate(job_ids):
        await house.age([job_id], finished_at=SETTLED_SECONDS + 100 - position)
    seen: Counter[int] = Counter()

    async def watch() -> None:
        while True:
            seen[(await totals(finished))["succeeded", "default"]] += 1

    watching = asyncio.create_task(watch())
    folded = 0
    while added := await finished.fold(1):
        folded += added
    watching.cancel()
    await asyncio.wait([watching])
    assert set(seen) == {40}
    assert seen.total() > 10
    assert folded == 40


async def test_the_duty_counts_what_it_added(house: House) -> None:
    await house.age(await succeed(house, 4), finished_at=SETTLED_SECONDS + 10)
    duty = FinishedTotals(Finished(house.database))
    assert await duty.perform() == Outcome(4)
    assert await duty.perform() == Outcome(0)
