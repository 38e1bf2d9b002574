"""Keys of which so many jobs may run at a time, on both databases."""

import asyncio
from uuid import UUID

import pytest_asyncio

from shared.key_secrets import new_secret
from shared.schema.jobs import JobStatus
from shared.schema.keys import KeyLimits, Scope
from shared.store.api_keys import ApiKeys
from shared.store.turns import Turns
from tests.integration.store.conftest import RESULTS, USAGE, Life


@pytest_asyncio.fixture
async def key_id(life: Life) -> UUID:
    """A key of which two jobs may run at a time."""
    return await _key(life, 2)


@pytest_asyncio.fixture
async def turns(life: Life) -> Turns:
    return Turns(life.database)


async def _key(life: Life, most: int) -> UUID:
    key = await ApiKeys(life.database).create(
        new_secret(), name="k", scopes=[Scope.SUBMIT], limits=KeyLimits(max_running_jobs=most)
    )
    return key.id


async def _create(life: Life, key_id: UUID | None, count: int) -> list[UUID]:
    return [await life.create(key_id=key_id) for _ in range(count)]


async def test_so_many_jobs_of_a_key_are_under_way_and_no_more(life: Life, turns: Turns, key_id: UUID) -> None:
    job_ids = await _create(life, key_id, 5)
    # No worker may have one, whatever message it has got.
    assert await life.jobs.claim(job_ids[0], worker="w", lease_seconds=30) is None
    released = await asyncio.gather(*(turns.release(key_id, limit=100) for _ in range(8)))
    assert sorted(job.job_id for some in released for job in some) == job_ids[:2]
    claims = [await life.claim(job_id) for job_id in job_ids[:2]]
    assert await turns.release(key_id, limit=100) == []
    await life.jobs.succeed(claims[0].lease, results=RESULTS, made=[], usage=USAGE)
    assert [job.job_id for job in await turns.release(key_id, limit=100)] == [job_ids[2]]
    # One that is handed back keeps its place.
    await life.jobs.hand_back(claims[1].lease, usage=USAGE)
    assert await turns.release(key_id, limit=100) == []


async def test_a_job_that_waits_for_its_next_attempt_makes_room_and_waits_for_its_turn(
    life: Life, turns: Turns, key_id: UUID
) -> None:
    job_ids = await _create(life, key_id, 3)
    await turns.release(key_id, limit=100)
    claim = await life.claim(job_ids[0])
    await life.jobs.retry(claim.lease, code="x", message="X.", delay_seconds=-1, usage=USAGE)
    assert [job.job_id for job in await turns.release(key_id, limit=100)] == [job_ids[2]]
    # It is due, and there is no room: it is held, and no message is to be published.
    assert await life.jobs.release_due(10) == []
    assert await life.jobs.claim(job_ids[0], worker="w", lease_seconds=30) is None
    await life.jobs.cancel(job_ids[1])
    assert [job.job_id for job in await turns.release(key_id, limit=100)] == [job_ids[0]]


async def test_a_reopened_job_waits_for_its_turn(life: Life, turns: Turns, key_id: UUID) -> None:
    first, *others = await _create(life, key_id, 3)
    await life.jobs.cancel(first)
    assert {job.job_id for job in await turns.release(key_id, limit=100)} == set(others)
    assert await life.jobs.reopen(first) is not None
    assert await turns.release(key_id, limit=100) == []
    for job_id in others:
        await life.jobs.cancel(job_id)
    assert [job.job_id for job in await turns.release(key_id, limit=100)] == [first]


async def test_other_keys_and_jobs_without_a_key_do_not_wait(life: Life, turns: Turns, key_id: UUID) -> None:
    await _create(life, key_id, 4)
    unlimited, other = await _key(life, 0), await _key(life, 1)
    free = await _create(life, None, 1) + await _create(life, unlimited, 3)
    for job_id in free:
        await life.claim(job_id)
    (held,) = await _create(life, other, 1)
    assert set(await turns.waiting_keys()) == {key_id, other}
    assert [job.job_id for job in await turns.release(other, limit=100)] == [held]
    assert await turns.waiting_keys() == [key_id]


async def test_held_jobs_count_as_queued_and_not_as_waiting_for_a_worker(
    life: Life, turns: Turns, key_id: UUID
) -> None:
    await _create(life, key_id, 5)
    await turns.release(key_id, limit=100)
    assert (await life.backlog.queued(at_most=None)).jobs == 5
    queues = await life.backlog.queues(grace_seconds=5)
    assert queues["default"].waiting == 2
    held = [group for group in await life.backlog.not_waiting() if group.status is JobStatus.QUEUED]
    assert [group.jobs for group in held] == [3]
