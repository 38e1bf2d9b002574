"""Workers that are heard of, and workers that are not."""

from sqlalchemy import update

from services.monitor.duties import Outcome
from services.monitor.duties.silent_workers import SilentWorkers
from shared.store.tables import workers as workers_table
from shared.store.workers import Census, Crew, Workers
from tests.integration.monitor.conftest import House


async def test_the_silent_are_counted_and_after_an_hour_struck_off(house: House) -> None:
    workers = Workers(house.database)
    assert await workers.census(silent_after_seconds=30) == Census(Crew(), 0, Crew(), {})
    for name, silent_seconds in (("alive", 5), ("silent", 600), ("gone", 3700), ("long-gone", 9000)):
        await workers.beat(name=name, queues=["default"], concurrency=2, busy=1, processes=[])
        async with house.database.write() as connection:
            await connection.execute(
                update(workers_table)
                .where(workers_table.c.name == name)
                .values(seen_at=house.database.now(-silent_seconds))
            )
    assert await workers.census(silent_after_seconds=30) == Census(Crew(1, 2), 3, Crew(1, 1), {"default": Crew(1, 2)})

    duty = SilentWorkers(workers, batch=1)
    assert await duty.perform() == Outcome(1, more=True)
    assert await duty.perform() == Outcome(1, more=True)
    assert await duty.perform() == Outcome(0)
    assert [worker.name for worker in await workers.all()] == ["alive", "silent"]
