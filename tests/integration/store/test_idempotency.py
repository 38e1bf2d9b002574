"""Requests that are done once, on both databases."""

import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.store.idempotency import Answer, Conflict, IdempotencyKeys, Reservation, ReservationLost
from shared.store.records import NewJob
from shared.store.tables import idempotency_keys, jobs
from shared.store.uploads import Uploads
from tests.integration.store.conftest import SPEC, Life

FINGERPRINT = "ab" * 32
ANSWER = Answer(202, '{"a":1}', "/api/jobs/1")


async def _reserve(life: Life, fingerprint: str = FINGERPRINT, key_id: UUID | None = None) -> object:
    return await IdempotencyKeys(life.database).reserve("k", key_id=key_id, fingerprint=fingerprint)


async def _reserved(life: Life) -> Reservation:
    reserved = await _reserve(life)
    assert isinstance(reserved, Reservation)
    return reserved


async def _age(life: Life, **columns: float) -> None:
    """Move times back by so many seconds."""
    values = {name: life.database.now(-seconds) for name, seconds in columns.items()}
    async with life.database.write() as connection:
        await connection.execute(update(idempotency_keys).values(values))


async def test_of_many_at_a_time_one_is_done(life: Life) -> None:
    found = await asyncio.gather(*(_reserve(life) for _ in range(12)))
    assert sum(isinstance(one, Reservation) for one in found) == 1
    assert found.count(Conflict.IN_FLIGHT) == 11


async def test_the_answer_is_given_again_to_the_same_request_of_the_same_key(life: Life) -> None:
    keys = IdempotencyKeys(life.database)
    await keys.complete_alone(await _reserved(life), ANSWER)
    assert await _reserve(life) == ANSWER
    assert await _reserve(life, "cd" * 32) is Conflict.OTHER_REQUEST
    assert isinstance(await _reserve(life, key_id=uuid4()), Reservation)


async def test_a_request_that_is_given_up_can_be_sent_again_corrected(life: Life) -> None:
    await IdempotencyKeys(life.database).release(await _reserved(life))
    assert isinstance(await _reserve(life, "cd" * 32), Reservation)


async def test_a_crash_does_not_keep_the_key_and_who_comes_back_from_it_does_nothing(life: Life) -> None:
    keys = IdempotencyKeys(life.database)
    crashed = await _reserved(life)
    await _age(life, reserved_until=1)
    second = await _reserved(life)
    with pytest.raises(ReservationLost):
        await _job(life, crashed)
    assert await _job_count(life) == 0
    new = await _job(life, second)
    assert await _job_count(life) == 1
    assert await _reserve(life) == Answer(202, str(new.job_id))
    # Nor can it take away what another has done.
    await keys.release(crashed)
    await keys.release(second)
    assert await _reserve(life) == Answer(202, str(new.job_id))


async def test_after_a_day_a_key_is_new_and_its_row_is_removed(life: Life) -> None:
    keys = IdempotencyKeys(life.database)
    await keys.complete_alone(await _reserved(life), ANSWER)
    await _age(life, created_at=86_390)
    assert await keys.forget(10) == 0
    assert await _reserve(life) == ANSWER
    await _age(life, created_at=86_410)
    second = await _reserved(life)
    await keys.complete_alone(second, ANSWER)
    await _age(life, created_at=86_410)
    assert await keys.forget(10) == 1
    assert await keys.forget(10) == 0


async def _job(life: Life, reservation: Reservation) -> NewJob:
    """A job, and the answer that tells of it, in one transaction."""
    upload = await Uploads(life.database).add(sha256="cd" * 32, size_bytes=3, filename=None)

    async def commit_with(connection: AsyncConnection, new: NewJob) -> None:
        await IdempotencyKeys.complete(connection, reservation, Answer(202, str(new.job_id)))

    return await life.jobs.create(SPEC, upload_id=upload.id, queue="default", max_attempts=1, commit_with=commit_with)


async def _job_count(life: Life) -> int:
    async with life.database.read() as connection:
        return (await connection.execute(select(func.count()).select_from(jobs))).scalar_one()
