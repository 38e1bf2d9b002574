"""The arrows of a job's life, on both databases."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError

from shared.schema.jobs import AttemptOutcome, JobStatus
from shared.store.errors import UploadMissing
from shared.store.jobs import Jobs
from shared.store.records import Lease, LeaseLost
from shared.store.tables import jobs as jobs_table
from tests.integration.store.conftest import ARTIFACT, RESULTS, SPEC, USAGE, Life, outcomes


async def test_a_new_job_is_queued_and_shows_what_was_asked(life: Life) -> None:
    view = await life.view(await life.create())
    assert view.status is JobStatus.QUEUED
    assert [operation.name for operation in view.operations] == ["loudness", "transcode"]
    assert view.input is not None
    assert (view.input.filename, view.input.size_bytes) == ("voice.wav", 3)
    assert (view.progress, view.attempts, view.artifacts, view.results) == (0, (), (), {})
    assert view.created_at.tzinfo is not None


async def test_a_job_needs_an_upload(life: Life) -> None:
    with pytest.raises(UploadMissing):
        await life.jobs.create(SPEC, upload_id=uuid4(), queue="default", max_attempts=1)


async def test_success_shows_results_artifacts_and_the_attempt(life: Life) -> None:
    job_id = await life.create()
    claim = await life.claim(job_id)
    running = await life.view(job_id)
    assert (running.status, running.artifacts) == (JobStatus.RUNNING, ())
    event = await life.jobs.succeed(claim.lease, results=RESULTS, made=[ARTIFACT], usage=USAGE)
    view = await life.view(job_id)
    assert event.status is view.status is JobStatus.SUCCEEDED
    assert view.progress == 1
    assert view.results["transcode"].model_dump()["duration_seconds"] == 44.0
    assert [artifact.url for artifact in view.artifacts] == [f"/api/jobs/{job_id}/artifacts/transcode.mp3"]
    assert outcomes(view) == [AttemptOutcome.SUCCEEDED]
    assert (view.attempts[0].audio_seconds, view.attempts[0].cpu_seconds) == (44.0, 1.5)
    assert view.finished_at is not None


async def test_only_one_of_many_claims_wins(life: Life) -> None:
    job_id = await life.create()
    claims = await asyncio.gather(
        *(life.jobs.claim(job_id, worker=f"host/{n}/2.00", lease_seconds=30) for n in range(8))
    )
    assert sum(claim is not None for claim in claims) == 1
    assert len((await life.view(job_id)).attempts) == 1


Arrow = Callable[[Jobs, Lease], Coroutine[Any, Any, Any]]
HOLDERS_ARROWS: dict[str, Arrow] = {
    "heartbeat": lambda jobs, lease: jobs.heartbeat(lease, progress=0.9, lease_seconds=30),
    "succeed": lambda jobs, lease: jobs.succeed(lease, results=RESULTS, made=[ARTIFACT], usage=USAGE),
    "fail": lambda jobs, lease: jobs.fail(lease, code="x", message="X.", usage=USAGE),
    "finish_canceled": lambda jobs, lease: jobs.finish_canceled(lease, usage=USAGE),
    "retry": lambda jobs, lease: jobs.retry(lease, code="x", message="X.", delay_seconds=1, usage=USAGE),
    "hand_back": lambda jobs, lease: jobs.hand_back(lease, usage=USAGE),
}


@pytest.mark.parametrize("arrow", HOLDERS_ARROWS.values(), ids=HOLDERS_ARROWS.keys())
@pytest.mark.parametrize("stale", ["job", "attempt", "token"])
async def test_who_does_not_hold_the_lease_changes_nothing(life: Life, arrow: Arrow, stale: str) -> None:
    job_id = await life.create()
    lease = (await life.claim(job_id)).lease
    before = await life.view(job_id)
    wrong = {
        "job": Lease(uuid4(), lease.attempt, lease.token),
        "attempt": Lease(lease.job_id, lease.attempt + 1, lease.token),
        "token": Lease(lease.job_id, lease.attempt, uuid4()),
    }[stale]
    with pytest.raises(LeaseLost):
        await arrow(life.jobs, wrong)
    assert await life.view(job_id) == before


@pytest.mark.parametrize("arrow", HOLDERS_ARROWS.values(), ids=HOLDERS_ARROWS.keys())
async def test_a_terminal_job_never_changes(life: Life, arrow: Arrow) -> None:
    job_id = await life.create()
    lease = (await life.claim(job_id)).lease
    await life.jobs.fail(lease, code="not_audio", message="Not an audio file.", usage=USAGE)
    before = await life.view(job_id)
    with pytest.raises(LeaseLost):
        await arrow(life.jobs, lease)
    assert await life.jobs.claim(job_id, worker="w", lease_seconds=30) is None
    assert await life.jobs.cancel(job_id) is None
    assert await life.jobs.lose(lease, only_expired=False) is None
    assert await life.view(job_id) == before


async def test_the_holder_of_a_lost_lease_writes_nothing_over_the_next_attempt(life: Life) -> None:
    job_id = await life.create()
    first = await life.claim(job_id, lease_seconds=2)
    lost = await life.jobs.lose(first.lease, only_expired=False)
    assert lost is not None
    assert lost.is_queued
    second = await life.claim(job_id)
    with pytest.raises(LeaseLost):
        await life.jobs.succeed(first.lease, results=RESULTS, made=[ARTIFACT], usage=USAGE)
    await life.jobs.succeed(second.lease, results=RESULTS, made=[ARTIFACT], usage=USAGE)
    assert outcomes(await life.view(job_id)) == [AttemptOutcome.LOST, AttemptOutcome.SUCCEEDED]


async def test_a_lease_that_is_renewed_is_not_lost(life: Life) -> None:
    job_id = await life.create()
    claim = await life.claim(job_id, lease_seconds=-1)
    assert [lease.job_id for lease in await life.backlog.expired_leases(10)] == [job_id]
    assert not await life.jobs.heartbeat(claim.lease, progress=0.5, lease_seconds=30)
    assert await life.backlog.expired_leases(10) == []
    assert await life.jobs.lose(claim.lease, only_expired=True) is None
    assert (await life.view(job_id)).progress == 0.5


async def test_progress_never_goes_back(life: Life) -> None:
    claim = await life.claim(await life.create())
    await life.jobs.heartbeat(claim.lease, progress=0.7, lease_seconds=30)
    await life.jobs.heartbeat(claim.lease, progress=0.2, lease_seconds=30)
    assert (await life.view(claim.lease.job_id)).progress == 0.7


async def test_a_job_whose_workers_keep_dying_ends_as_failed_and_poisoned(life: Life) -> None:
    job_id = await life.create(max_attempts=3)
    for _ in range(3):
        lost = await life.jobs.lose((await life.claim(job_id)).lease, only_expired=False)
        assert lost is not None
    view = await life.view(job_id)
    assert (view.status, view.poisoned, view.error_code) == (JobStatus.FAILED, True, "worker_lost")
    assert view.error_message is not None
    assert "worker died" in view.error_message
    assert outcomes(view) == [AttemptOutcome.LOST] * 3


async def test_a_handed_back_attempt_does_not_tell_against_the_job(life: Life) -> None:
    job_id = await life.create(max_attempts=1)
    event = await life.jobs.hand_back((await life.claim(job_id)).lease, usage=USAGE)
    assert event.status is JobStatus.QUEUED
    claim = await life.claim(job_id)
    assert (claim.lease.attempt, claim.attempts_spent) == (2, 1)


async def test_a_retry_waits_until_it_is_due(life: Life) -> None:
    job_id = await life.create()
    claim = await life.claim(job_id)
    event = await life.jobs.retry(claim.lease, code="io_error", message="Disk.", delay_seconds=60, usage=USAGE)
    view = await life.view(job_id)
    assert event.status is view.status is JobStatus.QUEUED
    assert view.error_message is None
    assert view.not_before is not None
    assert await life.jobs.claim(job_id, worker="w", lease_seconds=30) is None
    assert await life.jobs.release_due(10) == []
    async with life.database.write() as connection:
        await connection.execute(update(jobs_table).values(not_before=life.database.now(-1)))
    assert [(job.job_id, job.queue) for job in await life.jobs.release_due(10)] == [(job_id, "default")]
    assert await life.jobs.release_due(10) == []
    await life.claim(job_id)
    assert outcomes(await life.view(job_id)) == [AttemptOutcome.RETRIED, None]


async def test_cancel_ends_a_queued_job_at_once_and_asks_a_running_one(life: Life) -> None:
    queued, running = await life.create(), await life.create()
    claim = await life.claim(running)
    ended = await life.jobs.cancel(queued)
    asked = await life.jobs.cancel(running)
    assert ended is not None
    assert asked is not None
    assert (ended.status, asked.status) == (JobStatus.CANCELED, JobStatus.RUNNING)
    assert await life.jobs.heartbeat(claim.lease, progress=0.1, lease_seconds=30)
    event = await life.jobs.finish_canceled(claim.lease, usage=USAGE)
    assert event.status is JobStatus.CANCELED
    assert await life.jobs.claim(queued, worker="w", lease_seconds=30) is None
    assert await life.jobs.cancel(uuid4()) is None


@pytest.mark.parametrize("arrow", ["retry", "hand_back", "lose"])
async def test_a_job_to_be_canceled_is_not_tried_again(life: Life, arrow: str) -> None:
    job_id = await life.create()
    lease = (await life.claim(job_id)).lease
    await life.jobs.cancel(job_id)
    if arrow == "lose":
        await life.jobs.lose(lease, only_expired=False)
    else:
        await HOLDERS_ARROWS[arrow](life.jobs, lease)
    view = await life.view(job_id)
    assert (view.status, view.not_before, view.poisoned) == (JobStatus.CANCELED, None, False)
    assert view.finished_at is not None


async def test_events_are_in_the_order_of_their_versions(life: Life) -> None:
    job_id = await life.create()
    first = await life.claim(job_id)
    lost = await life.jobs.lose(first.lease, only_expired=False)
    assert lost is not None
    second = await life.claim(job_id)
    end = await life.jobs.succeed(second.lease, results=RESULTS, made=[], usage=USAGE)
    events = [first.event, lost.event, second.event, end]
    assert [event.version for event in events] == [2, 3, 4, 5]
    assert await life.views.event(job_id) == end


async def test_the_store_refuses_a_running_job_without_a_lease(life: Life) -> None:
    await life.create()
    with pytest.raises(IntegrityError):
        async with life.database.write() as connection:
            await connection.execute(text("UPDATE jobs SET status = 'running'"))
