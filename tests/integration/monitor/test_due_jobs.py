"""The duty: jobs whose time has come."""

from datetime import UTC, datetime, timedelta

from services.monitor.duties import Outcome
from services.monitor.duties.due_jobs import DueJobs
from shared.schema.options import JobOptions
from shared.store.records import Usage
from tests.integration.monitor.conftest import SPEC, House

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_a_retry_is_published_when_its_time_has_come_and_once(house: House) -> None:
    due, later = await house.create(2, queue="low", traceparent=TRACE)
    for job_id in (due, later):
        lease = await house.claim(job_id)
        await house.jobs.retry(lease, code="store_away", message="Away.", delay_seconds=600, usage=Usage())
    await house.age([due], not_before=1)
    duty = DueJobs(house.jobs, house.publisher, batch=10)

    assert await duty.perform() == Outcome(1)

    assert house.carried("low") == [due]
    assert house.messages("low")[0]["headers"]["traceparent"] == TRACE
    assert (await house.view(due)).not_before is None
    assert (await house.view(later)).not_before is not None
    assert await duty.perform() == Outcome(0)
    assert house.carried("low") == [due]


async def test_a_job_that_was_meant_for_later_begins_then_and_has_not_waited_before(house: House) -> None:
    later = JobOptions(not_before=datetime.now(UTC) + timedelta(hours=10))
    (view,) = [await house.view(job_id) for job_id in await house.create()]
    assert view.input is not None
    made = await house.jobs.create(SPEC, upload_id=view.input.id, queue="low", max_attempts=4, options=later)
    assert made.not_before == later.not_before
    duty = DueJobs(house.jobs, house.publisher, batch=10)
    assert await duty.perform() == Outcome(0)
    assert await house.jobs.claim(made.job_id, worker="host/1/2", lease_seconds=30) is None
    # Ten hours later.
    await house.age([made.job_id], created_at=36_000, not_before=1, due_at=1)
    assert await duty.perform() == Outcome(1)
    assert house.carried("low") == [made.job_id]
    assert (await house.backlog.queues(grace_seconds=5))["low"].oldest_seconds < 3600
    claim = await house.jobs.claim(made.job_id, worker="host/1/2", lease_seconds=30)
    assert claim is not None
    assert claim.waited_seconds is not None
    assert 1 <= claim.waited_seconds < 3600


async def test_a_turn_is_bounded_and_the_longest_due_come_first(house: House) -> None:
    job_ids = await house.create(3)
    for position, job_id in enumerate(job_ids):
        lease = await house.claim(job_id)
        await house.jobs.retry(lease, code="store_away", message="Away.", delay_seconds=600, usage=Usage())
        await house.age([job_id], not_before=1 + position)
    duty = DueJobs(house.jobs, house.publisher, batch=2)
    assert await duty.perform() == Outcome(2, more=True)
    assert set(house.carried()) == set(job_ids[1:])
    assert await duty.perform() == Outcome(1)
    assert set(house.carried()) == set(job_ids)
