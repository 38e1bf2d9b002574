"""What is counted for good: attempts that were lost, and jobs that were poisoned."""

import asyncio

from shared.store.database import Database
from shared.store.records import Lease
from shared.store.retention import Retention
from shared.store.tables import jobs
from shared.store.tallies import ATTEMPTS_LOST, JOBS_POISONED, Tallies
from tests.integration.store.conftest import Life


async def tallies(database: Database) -> dict[tuple[str, str], int]:
    return {(tally.name, tally.label): tally.total for tally in await Tallies(database).all()}


async def test_a_lost_attempt_counts_once_and_a_poisoned_job_when_its_attempts_are_spent(life: Life) -> None:
    job_id = await life.create(max_attempts=2)
    first = (await life.claim(job_id)).lease
    assert await life.jobs.lose(first, only_expired=True) is None, "its lease has not run out"
    assert await tallies(life.database) == {}
    assert await life.jobs.lose(first, only_expired=False) is not None
    assert await tallies(life.database) == {(ATTEMPTS_LOST, "default"): 1}
    # Whoever else finds it lost changes nothing.
    assert await life.jobs.lose(first, only_expired=False) is None
    assert await life.backlog.poisoned() == {}
    await life.jobs.lose((await life.claim(job_id)).lease, only_expired=False)
    lost_twice = {(ATTEMPTS_LOST, "default"): 2, (JOBS_POISONED, "default"): 1}
    assert await tallies(life.database) == lost_twice
    assert await life.backlog.poisoned() == {"default": 1}

    # The counts stay when the job goes: reopened by its user, or forgotten.
    assert await life.jobs.reopen(job_id) is not None
    assert await life.backlog.poisoned() == {}
    await life.jobs.cancel(job_id)
    forgotten = await Retention(life.database).forget_jobs(keep_seconds=-1, limit=10)
    assert forgotten.jobs == 1
    assert await tallies(life.database) == lost_twice


async def test_many_that_are_lost_at_once_all_count(life: Life) -> None:
    leases: list[Lease] = [(await life.claim(await life.create())).lease for _ in range(12)]
    await asyncio.gather(*(life.jobs.lose(lease, only_expired=False) for lease in leases))
    assert await tallies(life.database) == {(ATTEMPTS_LOST, "default"): 12}


async def test_counts_are_added_up_by_label(database: Database) -> None:
    counts = Tallies(database)
    await counts.add("things", {"a": 0, "b": 2})
    await asyncio.gather(*(counts.add("things", {"b": 1, "a": 1}) for _ in range(8)))
    assert await tallies(database) == {("things", "a"): 8, ("things", "b"): 10}


async def test_what_is_kept_too_long_is_told_by_its_age(life: Life) -> None:
    retention = Retention(life.database)

    async def backlog() -> dict[str, float]:
        found = await retention.backlog_seconds(keep_artifacts_seconds=100, keep_jobs_seconds=1000)
        return {kind: seconds for kind, seconds in found.items() if seconds}

    assert await backlog() == {}
    job_id = await life.create()
    await life.jobs.cancel(job_id)
    assert await backlog() == {}
    async with life.database.write() as connection:
        await connection.execute(jobs.update().values(finished_at=life.database.now(-1600)))
    late = await backlog()
    # It has no artifacts.
    assert set(late) == {"forgotten_jobs"}
    assert 600 <= late["forgotten_jobs"] < 660
