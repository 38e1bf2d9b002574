"""A paused queue: jobs wait, none is begun, and nobody publishes them again meanwhile."""

from sqlalchemy import update

from shared.store.queue_pauses import QueuePauses
from shared.store.tables import jobs as jobs_table
from tests.integration.store.conftest import Life


async def test_no_job_of_a_paused_queue_is_claimed_and_it_is_after_the_resume(life: Life) -> None:
    job_id, pauses = await life.create(), QueuePauses(life.database)
    assert await pauses.pause("default")
    assert not await pauses.pause("default"), "it is already"
    assert list(await pauses.all()) == ["default"]
    assert await life.jobs.claim(job_id, worker="host/1/2.00", lease_seconds=30) is None
    waiting = await life.view(job_id)
    assert (waiting.status, waiting.attempts) == ("queued", ())
    assert await pauses.resume("default")
    assert not await pauses.resume("default"), "it is no longer"
    assert await pauses.all() == {}
    assert (await life.claim(job_id)).lease.attempt == 1


async def test_the_pause_of_another_queue_does_not_matter(life: Life) -> None:
    await QueuePauses(life.database).pause("low")
    await life.claim(await life.create())


async def test_what_runs_goes_on_and_what_is_handed_back_waits(life: Life) -> None:
    claim = await life.claim(await life.create())
    await QueuePauses(life.database).pause("default")
    assert not await life.jobs.heartbeat(claim.lease, progress=0.5, lease_seconds=30)
    lost = await life.jobs.lose(claim.lease, only_expired=False)
    assert lost is not None
    assert lost.is_queued
    assert await life.jobs.claim(claim.lease.job_id, worker="host/1/2.00", lease_seconds=30) is None


async def test_waiting_jobs_of_a_paused_queue_are_counted_but_not_overdue(life: Life) -> None:
    """Published again, their messages would only be dropped: the reconciler would do so for ever."""
    job_id, pauses = await life.create(), QueuePauses(life.database)
    async with life.database.write() as connection:
        await connection.execute(update(jobs_table).values(dispatched_at=life.database.now(-60)))
    for paused, overdue in ((False, [job_id]), (True, []), (False, [job_id])):
        await (pauses.pause("default") if paused else pauses.resume("default"))
        backlog = (await life.backlog.queues(grace_seconds=5))["default"]
        assert (backlog.waiting, backlog.overdue) == (1, len(overdue))
        found = await life.backlog.overdue(grace_seconds=5, after=None, limit=10)
        assert [job.job_id for job in found] == overdue
