"""The arrow from failed and canceled back to queued, and what it does to the totals; on both databases."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from shared.schema.jobs import AttemptOutcome, JobStatus
from shared.store.finished import SETTLED_SECONDS, Finished
from shared.store.tables import jobs as jobs_table
from shared.store.tables import uploads as uploads_table
from tests.integration.store.conftest import ARTIFACT, RESULTS, USAGE, Life, outcomes

End = Callable[[Life, UUID], Awaitable[object]]


async def _fail(life: Life, job_id: UUID) -> None:
    await life.jobs.fail((await life.claim(job_id)).lease, code="not_audio", message="No audio.", usage=USAGE)


async def _poison(life: Life, job_id: UUID) -> None:
    await life.jobs.lose((await life.claim(job_id)).lease, only_expired=False)


async def _cancel(life: Life, job_id: UUID) -> None:
    await life.jobs.cancel(job_id)


async def _cancel_while_it_runs(life: Life, job_id: UUID) -> None:
    claim = await life.claim(job_id)
    await life.jobs.cancel(job_id)
    await life.jobs.finish_canceled(claim.lease, usage=USAGE)


ENDS: dict[str, tuple[End, list[AttemptOutcome]]] = {
    "failed": (_fail, [AttemptOutcome.FAILED]),
    "poisoned": (_poison, [AttemptOutcome.LOST]),
    "canceled": (_cancel, []),
    "canceled while it ran": (_cancel_while_it_runs, [AttemptOutcome.CANCELED]),
}


@pytest.mark.parametrize(("end", "earlier"), ENDS.values(), ids=ENDS.keys())
async def test_it_begins_anew_and_keeps_its_record(life: Life, end: End, earlier: list[AttemptOutcome]) -> None:
    job_id = await life.create(max_attempts=1)
    await end(life, job_id)
    ended = await life.views.event(job_id)
    assert ended is not None
    requeue = await life.jobs.reopen(job_id)
    assert requeue is not None
    assert requeue.is_queued
    assert (requeue.queue, requeue.event.version) == ("default", ended.version + 1)
    assert await life.views.event(job_id) == requeue.event
    view = await life.view(job_id)
    assert (view.status, view.progress, view.finished_at, view.not_before) == (JobStatus.QUEUED, 0, None, None)
    assert (view.error_code, view.error_message, view.poisoned, view.cancel_requested) == (None, None, False, False)
    assert outcomes(view) == earlier
    # With all its attempts: the one that it has is not spent yet.
    claim = await life.claim(job_id)
    assert (claim.lease.attempt, claim.attempts_spent) == (len(earlier) + 1, 1)
    assert not await life.jobs.heartbeat(claim.lease, progress=0.1, lease_seconds=30)
    await life.jobs.succeed(claim.lease, results=RESULTS, made=[ARTIFACT], usage=USAGE)
    assert outcomes(await life.view(job_id)) == [*earlier, AttemptOutcome.SUCCEEDED]


async def test_the_reconciler_may_publish_it_after_a_grace_only(life: Life) -> None:
    job_id = await life.create()
    async with life.database.write() as connection:
        await connection.execute(update(jobs_table).values(dispatched_at=life.database.now(-600)))
    await _cancel(life, job_id)
    await life.jobs.reopen(job_id)
    assert await life.jobs.redispatch([job_id], grace_seconds=60) == []


async def test_a_job_that_has_not_failed_is_not_reopened(life: Life) -> None:
    queued, running, done = [await life.create() for _ in range(3)]
    await life.claim(running)
    await life.jobs.succeed((await life.claim(done)).lease, results=RESULTS, made=[ARTIFACT], usage=USAGE)
    before = [await life.view(job_id) for job_id in (queued, running, done)]
    for job_id in (queued, running, done, uuid4()):
        assert await life.jobs.reopen(job_id) is None
    assert [await life.view(job_id) for job_id in (queued, running, done)] == before


async def test_of_many_at_once_one_reopens_it(life: Life) -> None:
    job_id = await life.create()
    await _cancel(life, job_id)
    reopened = await asyncio.gather(*(life.jobs.reopen(job_id) for _ in range(6)))
    assert sum(requeue is not None for requeue in reopened) == 1
    assert await totals(life) == {"canceled": (1, 0)}


async def test_a_job_whose_input_has_expired_is_not_reopened(life: Life) -> None:
    job_id = await life.create()
    await _cancel(life, job_id)
    async with life.database.write() as connection:
        await connection.execute(update(uploads_table).values(expired_at=datetime.now(UTC)))
    assert await life.jobs.reopen(job_id) is None
    assert (await life.view(job_id)).status is JobStatus.CANCELED
    assert await totals(life) == {"canceled": (1, 1)}


async def totals(life: Life) -> dict[str, tuple[int, int]]:
    """How often jobs have ended so, and how many are so now."""
    return {count.status: (count.ended, count.present) for count in await Finished(life.database).totals()}


async def settle(life: Life) -> None:
    """What has ended, ended long ago."""
    async with life.database.write() as connection:
        await connection.execute(
            update(jobs_table)
            .where(jobs_table.c.finished_at.is_not(None))
            .values(finished_at=life.database.now(-SETTLED_SECONDS - 60))
        )


@pytest.mark.parametrize("folded", [False, True])
async def test_each_end_counts_and_each_job_is_there_once(life: Life, folded: bool) -> None:
    finished = Finished(life.database)
    job_id, other = await life.create(), await life.create()
    for ended in (job_id, other):
        await _fail(life, ended)
    if folded:
        await settle(life)
        assert await finished.fold(100) == 2
    assert await totals(life) == {"failed": (2, 2)}
    await life.jobs.reopen(job_id)
    assert await totals(life) == {"failed": (2, 1)}
    await _cancel(life, job_id)
    assert await totals(life) == {"failed": (2, 1), "canceled": (1, 1)}
    await life.jobs.reopen(job_id)
    await life.jobs.succeed((await life.claim(job_id)).lease, results=RESULTS, made=[], usage=USAGE)
    expected = {"failed": (2, 1), "canceled": (1, 0), "succeeded": (1, 1)}
    assert await totals(life) == expected
    if not folded:
        await settle(life)
        # The ends that were counted when their jobs began again are not counted a second time.
        assert await finished.fold(100) == 2
        assert await totals(life) == expected


async def test_a_fold_that_comes_in_between_does_not_count_an_end_twice(life: Life) -> None:
    job_id = await life.create()
    # There is a watermark.
    await Finished(life.database).fold(100)
    await _fail(life, job_id)
    await settle(life)
    async with life.database.write() as other:
        # The reopening has begun, and waits for the job; the fold must wait for the reopening.
        await other.execute(select(jobs_table.c.id).where(jobs_table.c.id == job_id).with_for_update())
        reopening = asyncio.create_task(life.jobs.reopen(job_id))
        await asyncio.sleep(0.3)
        folding = asyncio.create_task(Finished(life.database).fold(100))
        await asyncio.sleep(0.3)
    await asyncio.gather(reopening, folding)
    assert await totals(life) == {"failed": (1, 0)}


async def test_counts_stay_exact_while_jobs_are_reopened_and_folded(life: Life) -> None:
    """Each job fails twice, is reopened once, and folding goes on all the time."""
    finished = Finished(life.database)
    job_ids = [await life.create() for _ in range(20)]
    for job_id in job_ids:
        await _fail(life, job_id)
    await settle(life)
    seen: list[int] = []

    async def fold_and_look() -> None:
        while True:
            await finished.fold(1)
            seen.append((await totals(life))["failed"][0])

    async def again(job_id: UUID) -> None:
        assert await life.jobs.reopen(job_id) is not None
        await _fail(life, job_id)

    folding = asyncio.create_task(fold_and_look())
    for start in range(0, 20, 4):
        await asyncio.gather(*(again(job_id) for job_id in job_ids[start : start + 4]))
    folding.cancel()
    await asyncio.wait([folding])
    assert seen == sorted(seen)
    assert await totals(life) == {"failed": (40, 20)}
    await settle(life)
    while await finished.fold(7):
        pass
    assert await totals(life) == {"failed": (40, 20)}
