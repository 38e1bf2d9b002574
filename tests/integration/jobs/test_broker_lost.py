"""Redis goes away in the middle of a job: the worker goes on with it, and takes others when Redis is back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.servers import RedisServer
from tests.audio_files import noise, recording
from tests.system import System

# Half a minute or so of work for one child.
SLOW: tuple[dict[str, object], ...] = ({"op": "transcode", "format": "aac", "sample_rate": 48000},)


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    with RedisServer(append_only=True) as server:
        yield server


@pytest.mark.parametrize("keep_data", [True, False])
def test_a_worker_outlives_a_restart_of_redis_in_the_middle_of_its_jobs(
    own_redis: RedisServer, postgres_url: str, tmp_path: Path, keep_data: bool
) -> None:
    slow = noise(tmp_path / "slow.wav", seconds=900, channels=1, rate=8000)
    with System(tmp_path, database_url=postgres_url, redis=own_redis) as system:
        worker = system.start_worker()
        system.start_api()
        system.start_monitor()
        job_id = system.submit(slow, *SLOW)["id"]
        system.wait_until(job_id, lambda job: job["status"] == "running" and job["progress"] > 0)
        own_redis.restart(keep_data=keep_data)
        job = system.finished(job_id, seconds=240)
        assert [attempt["outcome"] for attempt in job["attempts"]] == ["succeeded"]
        assert system.finished(system.submit(recording(), {"op": "probe"})["id"])["status"] == "succeeded"
        assert worker.running, worker.last_lines()
