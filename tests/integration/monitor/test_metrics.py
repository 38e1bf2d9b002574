"""What a scrape says, and that it says something whatever the stores do."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from deploy.local.servers import PostgresServer, RedisServer
from services.monitor.reconciler import LEADERSHIP
from shared.store.leadership import Leadership
from shared.store.queue_pauses import QueuePauses
from shared.store.records import Usage
from shared.store.workers import Workers
from tests.conftest import migrate
from tests.integration.monitor.conftest import House
from tests.integration.monitor.monitor_process import MonitorProcess, labelled


@pytest_asyncio.fixture
async def quiet_monitor(
    house: House, database_url: str, redis_server: RedisServer, tmp_path: Path
) -> AsyncIterator[MonitorProcess]:
    """One that stands by, so that nothing is put right."""
    leadership = Leadership(house.database, name=LEADERSHIP, holder="the test", lease_seconds=3600)
    assert await leadership.acquire()
    with MonitorProcess(database_url=database_url, redis=redis_server, folder=tmp_path) as monitor:
        yield monitor


async def test_a_scrape_tells_jobs_queues_and_workers(house: House, quiet_monitor: MonitorProcess) -> None:
    high = await house.create(3, queue="high")
    await house.age(high[:1], due_at=100)
    house.publish(high, "high")
    await house.create(2, queue="low")
    running, retried, canceled, succeeded, failed = await house.create(5)
    house.publish([running, retried])
    worker = house.deliver(1, seconds_ago=1)
    await house.claim(running)
    lease = await house.claim(retried)
    await house.jobs.retry(lease, code="store_away", message="Away.", delay_seconds=600, usage=Usage())
    await house.jobs.cancel(canceled)
    await house.jobs.succeed(await house.claim(succeeded), results={}, made=(), usage=Usage())
    await house.jobs.fail(await house.claim(failed), code="bad", message="Bad.", usage=Usage())
    await Workers(house.database).beat(name="worker", queues=["default"], concurrency=2, busy=1, processes=[])
    await Workers(house.database).beat(name="idle", queues=["default", "low"], concurrency=3, busy=0, processes=[])
    await QueuePauses(house.database).pause("speech")

    quiet_monitor.wait_for(1, "jobs_finished_total", status="failed", queue="default")
    quiet_monitor.wait_for(2, "workers", state="alive")
    quiet_monitor.wait_for(1, "queue_paused", queue="speech")
    quiet_monitor.wait_for(3, "queue_messages", queue="high")
    samples = quiet_monitor.samples()

    jobs = {
        (dict(labels)["status"], dict(labels)["queue"]): value
        for (name, labels), value in samples.items()
        if name == "wavemill_jobs"
    }
    assert {key: value for key, value in jobs.items() if value} == {
        ("queued", "high"): 3,
        ("queued", "low"): 2,
        ("queued", "default"): 1,
        ("running", "default"): 1,
        ("succeeded", "default"): 1,
        ("failed", "default"): 1,
        ("canceled", "default"): 1,
    }
    nothing = {"high": 0, "default": 0, "low": 0, "io": 0, "speech": 0}
    assert labelled(samples, "queue_waiting_jobs", "queue") == nothing | {"high": 3, "low": 2}
    assert labelled(samples, "queue_messages", "queue") == nothing | {"high": 3, "default": 1}
    assert labelled(samples, "queue_unacknowledged_messages", "queue") == nothing | {"default": 1}
    assert labelled(samples, "workers", "state") == {"alive": 2, "silent": 0}
    assert [quiet_monitor.sample(f"workers{what}") for what in ("_busy", "_slots", "_slots_busy")] == [1, 5, 1]
    assert labelled(samples, "queue_workers", "queue") == nothing | {"default": 2, "low": 1}
    assert labelled(samples, "queue_slots", "queue") == nothing | {"default": 5, "low": 3}
    assert labelled(samples, "queue_paused", "queue") == nothing | {"speech": 1}
    ages = labelled(samples, "queue_oldest_job_age_seconds", "queue")
    assert 100 <= ages["high"] < 160
    assert 0 < ages["low"] < 60
    assert ages["default"] == ages["io"] == 0
    assert quiet_monitor.sample("leases_expired") == 0
    assert quiet_monitor.sample("database_up") == quiet_monitor.sample("redis_up") == 1
    worker.release()


async def test_overdue_jobs_that_outnumber_the_messages_are_undispatched(
    house: House, quiet_monitor: MonitorProcess
) -> None:
    job_ids = await house.create(4)
    house.publish(job_ids[:1])
    await house.age(job_ids[:3], dispatched_at=house.settings.undispatched_grace_seconds + 1)
    await house.age(job_ids[3:], dispatched_at=-600)
    quiet_monitor.wait_until(
        lambda: labelled(quiet_monitor.samples(), "queue_undispatched_jobs", "queue").get("default") == 2,
        "two undispatched jobs",
    )
    assert quiet_monitor.sample("reconciler_leader") == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_it_speaks_open_metrics_to_those_who_ask(quiet_monitor: MonitorProcess) -> None:
    quiet_monitor.wait_for(1, "database_up")
    answer = quiet_monitor.get("/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    names = {family.name for family in text_string_to_metric_families(answer.text)}  # type: ignore[no-untyped-call] # as there
    assert {"wavemill_reconciler_actions", "wavemill_reconciler_leader"} <= names


def test_a_scrape_while_the_stores_are_away_says_so(tmp_path: Path) -> None:
    with PostgresServer() as postgres, RedisServer() as redis:
        migrate(postgres.url)
        with MonitorProcess(
            database_url=postgres.url, redis=redis, folder=tmp_path, redis_timeout_seconds=1
        ) as monitor:
            monitor.wait_for(1, "database_up")
            monitor.wait_for(1, "redis_up")
            assert monitor.get("/readyz").status_code == 200

            postgres.stop()
            monitor.wait_for(0, "database_up")
            assert monitor.sample("jobs", status="queued", queue="default") is None
            assert monitor.sample("queue_messages", queue="default") == 0
            answer = monitor.get("/readyz")
            assert (answer.status_code, answer.json()["away"]) == (503, ["database"])
            assert monitor.get("/healthz").status_code == 200

            redis.pause()
            monitor.wait_for(0, "redis_up")
            began = time.monotonic()
            assert monitor.sample("queue_messages", queue="default") is None
            assert time.monotonic() - began < 1
            redis.resume()
            postgres.start()
            monitor.wait_for(1, "database_up")
            monitor.wait_for(1, "redis_up")
            monitor.wait_for(0, "jobs", status="queued", queue="default")
            monitor.wait_for(1, "reconciler_leader")


def test_it_starts_while_the_stores_are_away(tmp_path: Path) -> None:
    with RedisServer() as redis:
        redis.stop()
        with MonitorProcess(
            database_url="postgresql://wavemill:none@127.0.0.1:1/none", redis=redis, folder=tmp_path
        ) as monitor:
            monitor.wait_for(0, "database_up")
            monitor.wait_for(0, "redis_up")
            assert monitor.sample("reconciler_leader") == 0
            redis.start()
            monitor.wait_for(1, "redis_up")
