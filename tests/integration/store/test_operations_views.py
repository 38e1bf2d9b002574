"""What operators are shown, and the record of what they did."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import update

from shared.schema.jobs import JobStatus
from shared.store.audit import AuditOutcome, AuditTrail
from shared.store.operations_views import FailureKind, MinuteCount, OperationsViews
from shared.store.tables import jobs as jobs_table
from shared.store.workers import Census, Crew, Workers
from tests.integration.store.conftest import USAGE, Life


async def fail(life: Life, code: str) -> UUID:
    claim = await life.claim(await life.create())
    await life.jobs.fail(claim.lease, code=code, message=f"{code}.", usage=USAGE)
    return claim.lease.job_id


async def set_columns(life: Life, job_id: UUID, **values: object) -> None:
    async with life.database.write() as connection:
        await connection.execute(update(jobs_table).where(jobs_table.c.id == job_id).values(values))


async def test_what_runs_is_listed_with_its_process_the_oldest_first(life: Life) -> None:
    await life.create()
    first, second = await life.claim(await life.create()), await life.claim(await life.create())
    await life.jobs.heartbeat(second.lease, progress=0.25, lease_seconds=30)
    found = await OperationsViews(life.database).running(10)
    assert [running.job.job_id for running in found] == [first.lease.job_id, second.lease.job_id]
    assert {running.process for running in found} == {"host/1/2.00"}
    assert (found[1].job.progress, found[1].job.operations) == (0.25, ("loudness", "transcode"))
    assert found[0].since <= found[1].since
    assert len(await OperationsViews(life.database).running(1)) == 1


async def test_failures_are_listed_by_when_they_failed_and_counted_by_kind(life: Life) -> None:
    early, late, other = await fail(life, "b"), await fail(life, "b"), await fail(life, "a")
    await fail(life, "c")
    views = OperationsViews(life.database)
    await set_columns(life, early, finished_at=life.database.now(60))
    assert (await views.latest_failures(1))[0].job_id == early
    assert await views.failure_kinds(count_to=10) == [FailureKind("a", 1), FailureKind("b", 2), FailureKind("c", 1)]
    assert await views.failure_kinds(count_to=1) == [FailureKind(code, 1) for code in "abc"]
    assert await views.failed_ids("b", before=None, limit=10) == [late, early]
    assert await views.failed_ids("b", before=late, limit=10) == [early]
    assert [line.job_id for line in await views.page(status=None, error_code="a", before=None, limit=9)] == [other]


async def test_there_are_no_kinds_where_nothing_failed(life: Life) -> None:
    await life.create()
    assert await OperationsViews(life.database).failure_kinds(count_to=10) == []


async def test_a_job_is_found_by_the_beginning_of_its_id(life: Life) -> None:
    ids = [UUID(f"0190163d-8694-739b-aea5-966c26f8ad9{digit}") for digit in "1f"]
    ids.append(UUID("0190163e-0000-7000-8000-000000000000"))
    for new_id in ids:
        await set_columns(life, await life.create(), id=new_id)
    views = OperationsViews(life.database)
    for digits, expected in (
        ("0190163d", ids[1::-1]),
        ("0190163d8694739baea5966c26f8ad91", ids[:1]),
        ("0190163d8694739baea5966c26f8ad9f", ids[1:2]),
        ("0190163", [ids[2], ids[1], ids[0]]),
        ("0190163f", []),
    ):
        found = await views.beginning_with(digits, limit=10)
        assert [line.job_id for line in found] == expected, digits
    assert len(await views.beginning_with("0", limit=2)) == 2


async def test_ends_are_counted_by_the_minute(life: Life) -> None:
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
    for seconds in (0, 59.999, 60, -0.001, -7200):
        job_id = await life.create()
        await life.jobs.cancel(job_id)
        await set_columns(life, job_id, finished_at=minute + timedelta(seconds=seconds))
    found = await OperationsViews(life.database).ended_by_minute(minute - timedelta(minutes=10))
    expected = {-1: 1, 0: 2, 1: 1}
    assert sorted(found, key=lambda count: count.minute) == [
        MinuteCount(minute + timedelta(minutes=offset), JobStatus.CANCELED, jobs) for offset, jobs in expected.items()
    ]


async def test_several_failed_jobs_are_reopened_together_and_others_are_let_be(life: Life) -> None:
    failed, waiting = [await fail(life, "x"), await fail(life, "x")], await life.create()
    reopened = await life.jobs.reopen_all([*failed, waiting])
    assert {requeue.event.job_id for requeue in reopened} == set(failed)
    assert all(requeue.is_queued for requeue in reopened)
    assert (await life.view(waiting)).status == "queued"
    assert await life.jobs.reopen_all(failed) == []


async def test_a_drained_worker_stays_so_when_it_stops_and_starts_again(life: Life) -> None:
    workers = Workers(life.database)

    async def beat() -> None:
        await workers.beat(name="w", queues=["default"], concurrency=2, busy=0, processes=["host/1/2.00"])

    assert not await workers.drain("w"), "nobody knows it"
    await beat()
    assert not await workers.is_draining("w")
    assert await workers.drain("w")
    assert not await workers.drain("w")
    await workers.leave("w")
    assert [worker.name for worker in await workers.all()] == ["w"]
    # Nobody waits for it: it is not counted as silent.
    assert await workers.census(silent_after_seconds=-1) == Census(Crew(), 0, Crew(), {})
    await beat()
    assert await workers.is_draining("w")
    assert await workers.undrain("w")
    assert not await workers.is_draining("w")
    await workers.leave("w")
    assert await workers.all() == []


async def test_an_action_is_on_record_before_and_after_it_is_done(life: Life) -> None:
    audit = AuditTrail(life.database)
    first = await audit.begin(who="Ada (::1)", action="pause", target="low")
    second = await audit.begin(who="Ada (::1)", action="drain", target="w")
    begun = await audit.get(first)
    assert begun is not None
    assert (begun.who, begun.action, begun.target, begun.outcome) == ("Ada (::1)", "pause", "low", "begun")
    await audit.end(first, AuditOutcome.DONE, "No job of the queue is begun.")
    entries = await audit.page(before=None, limit=10)
    assert [(entry.entry_id, entry.outcome) for entry in entries] == [(second, "begun"), (first, "done")]
    assert [entry.detail for entry in await audit.page(before=second, limit=10)] == ["No job of the queue is begun."]
    assert await audit.get(UUID(int=0)) is None
