"""The monitor's questions are answered from indexes: their cost does not grow with the jobs that have ended."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest_asyncio
from sqlalchemy import event, text

from shared.store.backlog import OverdueJob
from shared.store.finished import SETTLED_SECONDS, Finished
from shared.store.retention import Retention
from shared.store.tables import jobs as jobs_table
from tests.integration.monitor.conftest import SPEC, House

ENDED = 20_000


@pytest_asyncio.fixture
async def long_history(house: House) -> House:
    """Many jobs that have ended, nearly all long ago, and a few of every other kind."""
    await house.create()
    async with house.database.write() as connection:
        upload_id = (await connection.execute(text("SELECT upload_id FROM jobs"))).scalar_one()
    rows = [
        {
            "id": uuid.uuid4(),
            "status": "succeeded",
            "queue": "default",
            "priority": "default",
            "spec": SPEC.model_dump(mode="json"),
            "upload_id": uuid.UUID(str(upload_id)),
            "version": 3,
            "progress": 1.0,
            "cancel_requested": False,
            "attempt": 1,
            "attempts_spent": 1,
            "max_attempts": 4,
            "poisoned": False,
            "input_bytes": 3,
        }
        for _ in range(ENDED)
    ]
    now = house.database.now(-SETTLED_SECONDS - 60)
    async with house.database.write() as connection:
        times = {"created_at": now, "due_at": now, "dispatched_at": now, "finished_at": now}
        for start in range(0, ENDED, 1000):
            await connection.execute(jobs_table.insert().values(times), rows[start : start + 1000])
    await Finished(house.database).fold(1)
    await house.create(50)
    for job_id in await house.create(10):
        await house.claim(job_id)
    await house.age(await house.create(10), not_before=-600)
    async with house.database.write() as connection:
        await connection.execute(text("ANALYZE"))
    return house


PLACE = OverdueJob("default", datetime(2026, 1, 1, tzinfo=UTC), uuid.uuid4())
QUESTIONS: dict[str, Callable[[House], Awaitable[object]]] = {
    "queues": lambda house: house.backlog.queues(grace_seconds=5),
    "not_waiting": lambda house: house.backlog.not_waiting(),
    "overdue": lambda house: house.backlog.overdue(grace_seconds=5, after=PLACE, limit=10),
    "expired_leases": lambda house: house.backlog.expired_leases(10),
    "expired_lease_count": lambda house: house.backlog.expired_lease_count(),
    "poisoned": lambda house: house.backlog.poisoned(),
    "backlog_seconds": lambda house: Retention(house.database).backlog_seconds(
        keep_artifacts_seconds=60, keep_jobs_seconds=60
    ),
    "totals": lambda house: Finished(house.database).totals(),
    "fold": lambda house: Finished(house.database).fold(100),
    "release_due": lambda house: house.jobs.release_due(10),
    "redispatch": lambda house: house.jobs.redispatch([uuid.uuid4()], grace_seconds=5),
}


@asynccontextmanager
async def statements(house: House) -> AsyncIterator[list[tuple[str, Any]]]:
    """The statements that are executed meanwhile."""
    heard: list[tuple[str, Any]] = []

    def hear(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.split(maxsplit=1)[0] in {"SELECT", "UPDATE", "WITH"}:
            heard.append((statement, parameters))

    engine = house.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", hear)
    yield heard
    event.remove(engine, "before_cursor_execute", hear)


async def plan(house: House, statement: str, parameters: Any) -> list[str]:
    explain = "EXPLAIN" if house.database.dialect_name == "postgresql" else "EXPLAIN QUERY PLAN"
    async with house.database.read() as connection:
        rows = await connection.exec_driver_sql(f"{explain} {statement}", parameters)
        return [str(row[-1]) for row in rows]


async def test_no_question_reads_the_history(long_history: House) -> None:
    for name, ask in QUESTIONS.items():
        async with statements(long_history) as heard:
            await ask(long_history)
        assert heard, name
        for statement, parameters in heard:
            steps = await plan(long_history, statement, parameters)
            for step in steps:
                reads_all = "Seq Scan on jobs" in step or (step.startswith("SCAN jobs") and "INDEX" not in step)
                assert not reads_all, f"{name}: {statement}\n" + "\n".join(steps)


async def test_the_backlog_is_counted_in_the_index_alone(long_history: House) -> None:
    if long_history.database.dialect_name == "postgresql":
        async with long_history.database.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("VACUUM jobs"))
    async with statements(long_history) as heard:
        await long_history.backlog.queues(grace_seconds=5)
    ((statement, parameters),) = heard
    steps = "\n".join(await plan(long_history, statement, parameters))
    # SQLite reads the rows also for what the index's condition implies, but only those of the backlog.
    index = {"postgresql": "Index Only Scan using ix_jobs_waiting", "sqlite": "USING INDEX ix_jobs_waiting"}
    assert index[long_history.database.dialect_name] in steps
