"""The monitor as a process: outages, takeover and its end."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from deploy.local.servers import RedisServer
from tests.integration.monitor.conftest import House
from tests.integration.monitor.monitor_process import MonitorProcess

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def common(house: House, database_url: str, redis_server: RedisServer, tmp_path: Path) -> dict[str, Any]:
    return {
        "database_url": database_url,
        "redis": redis_server,
        "folder": tmp_path,
        "reconcile_interval_seconds": 0.2,
        "undispatched_grace_seconds": 1,
        "leadership_seconds": 2,
    }


async def test_fifty_queued_jobs_survive_the_loss_of_redis_memory(house: House, common: dict[str, Any]) -> None:
    job_ids = await house.create(50)
    house.publish(job_ids)
    with MonitorProcess(**common) as monitor:
        monitor.wait_for(1, "reconciler_leader")
        house.redis.flushall()
        monitor.wait_until(lambda: house.carried() == job_ids, "all messages")
        monitor.wait_for(50, "reconciler_actions_total", kind="undispatched_jobs")
        # Longer than a grace: those that have a message now do not get another.
        await asyncio.sleep(3)
        assert house.carried() == job_ids
        monitor.wait_for(0, "reconciler_failures_total", kind="undispatched_jobs")


@on_postgresql
async def test_it_recovers_by_itself_when_redis_comes_back(house: House, common: dict[str, Any]) -> None:
    with RedisServer() as redis, MonitorProcess(**common | {"redis": redis}) as monitor:
        monitor.wait_for(1, "redis_up")
        redis.kill()
        await house.create(5)
        monitor.wait_for(0, "redis_up")
        monitor.wait_until(
            lambda: (monitor.sample("reconciler_failures_total", kind="undispatched_jobs") or 0) >= 2, "failures"
        )
        # The others go on meanwhile.
        (running,) = await house.create()
        await house.claim(running)
        await house.age([running], lease_expires_at=1)
        monitor.wait_for(1, "reconciler_actions_total", kind="expired_leases")
        redis.start()
        monitor.wait_until(lambda: (monitor.sample("queue_messages", queue="default") or 0) >= 6, "messages")
        monitor.wait_for(1, "redis_up")


async def test_it_removes_what_was_kept_for_as_long_as_the_settings_say(house: House, common: dict[str, Any]) -> None:
    old, recent = await house.create(2)
    for job_id in (old, recent):
        await house.jobs.cancel(job_id)
    await house.age([old], finished_at=86_400 * 2)
    await house.age([recent], finished_at=86_400 * 0.5)
    blobs = Path(common["folder"]) / "blobs"
    stray, young = blobs / "incoming" / "stray", blobs / "incoming" / "young"
    stray.parent.mkdir(parents=True)
    for file in (stray, young):
        file.write_bytes(b"x")
    os.utime(stray, (0, 0))
    # Nothing is kept for so long but 0, which is for ever.
    with MonitorProcess(**common, keep_jobs_days=0, keep_inputs_days=0, keep_artifacts_days=0) as monitor:
        monitor.wait_for(1, "reconciler_actions_total", kind="stray_blobs")
        monitor.wait_for(1, "reconciler_leader")
        assert not stray.exists()
        assert young.exists()
        assert monitor.sample("reconciler_actions_total", kind="forgotten_jobs") == 0
        assert monitor.sample("jobs", status="canceled", queue="default") == 2
    with MonitorProcess(**common, keep_jobs_days=1) as monitor:
        monitor.wait_for(1, "reconciler_actions_total", kind="forgotten_jobs")
        monitor.wait_for(1, "jobs", status="canceled", queue="default")
        assert monitor.sample("jobs_finished_total", status="canceled", queue="default") == 2
        for kind in ("expired_artifacts", "expired_inputs", "forgotten_jobs", "stray_blobs"):
            assert monitor.sample("reconciler_failures_total", kind=kind) == 0
    its_input = (await house.view(recent)).input
    assert its_input is not None
    assert its_input.filename == "voice.wav"


@on_postgresql
async def test_another_takes_over_from_one_that_is_killed(house: House, common: dict[str, Any]) -> None:
    with MonitorProcess(**common) as first:
        first.wait_for(1, "reconciler_leader")
        with MonitorProcess(**common) as second:
            second.wait_for(1, "database_up")
            assert second.sample("reconciler_leader") == 0
            first.process.kill()
            second.wait_for(1, "reconciler_leader")
            job_ids = await house.create(3)
            second.wait_until(lambda: house.carried() == job_ids, "messages")


@on_postgresql
def test_sigterm_ends_it_in_time_and_another_leads_at_once(common: dict[str, Any]) -> None:
    common |= {"leadership_seconds": 600}
    with MonitorProcess(**common) as first, MonitorProcess(**common) as second:
        first.wait_until(
            lambda: first.sample("reconciler_leader") == 1 or second.sample("reconciler_leader") == 1, "a leader"
        )
        leader, other = (first, second) if first.sample("reconciler_leader") else (second, first)
        assert other.sample("reconciler_leader") == 0
        began = time.monotonic()
        leader.process.ask_to_stop()
        assert leader.process.wait(30)
        assert time.monotonic() - began < 2
        assert leader.process.exit_code in {0, -signal.SIGTERM}
        other.wait_for(1, "reconciler_leader")


@on_postgresql
async def test_sigterm_ends_it_in_time_while_redis_does_not_answer(house: House, common: dict[str, Any]) -> None:
    with RedisServer() as redis, MonitorProcess(**common | {"redis": redis}) as monitor:
        monitor.wait_for(1, "redis_up")
        redis.pause()
        # A retry that is due is released, and its publishing hangs.
        (job_id,) = await house.create()
        await house.age([job_id], not_before=1)
        monitor.wait_until(lambda: monitor.sample("redis_up") == 0, "Redis to be away")
        began = time.monotonic()
        monitor.process.ask_to_stop()
        ended = monitor.process.wait(30)
        took = time.monotonic() - began
        redis.resume()
        assert ended
        assert took < 2
