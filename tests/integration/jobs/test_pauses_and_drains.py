"""An operator pauses a queue or drains a worker: workers heed it, also after Redis or they themselves began anew."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from deploy.local.processes import ChildProcess
from deploy.local.servers import RedisServer
from tests.audio_files import noise, recording
from tests.operator import KEY, Operator
from tests.system import Job, System

PROBE: dict[str, object] = {"op": "probe"}
# A minute or so of work for one child.
SLOW: tuple[dict[str, object], ...] = ({"op": "transcode", "format": "aac", "sample_rate": 48000},)
# Longer than a grace and some rounds of the reconciler: what it would do it has done by then.
SOME_ROUNDS_SECONDS = 4.0


@pytest.fixture
def system(postgres_url: str, redis_server: RedisServer, redis: Redis, tmp_path: Path) -> Iterator[System]:
    settings: dict[str, Any] = {"admin_key": KEY, "reconcile_interval_seconds": 0.3, "undispatched_grace_seconds": 1}
    with System(tmp_path, database_url=postgres_url, redis=redis_server, **settings) as system:
        system.start_api()
        system.start_monitor()
        yield system


@pytest.fixture
def operator(system: System) -> Iterator[Operator]:
    with Operator(system.monitor_port) as operator:
        assert operator.log_in().status_code == 200
        yield operator


_numbers = itertools.count()


def start_worker(system: System, name: str) -> ChildProcess:
    """A worker that is ready."""
    heartbeat_file = system.folder / f"alive-{next(_numbers)}"
    worker = system.start_worker(name, concurrency=1, heartbeat_file=heartbeat_file)
    system.wait_until_alive(worker, heartbeat_file)
    return worker


def wait_for(condition: Callable[[], bool], what: str, *, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def takes(system: System, *queues: str) -> int:
    """How often a worker has said that it takes jobs from these queues now."""
    said = (line for line in system.log_lines() if line.get("event") == "takes jobs from")
    return sum(tuple(line["queues"]) == queues for line in said)


def submit(system: System, count: int) -> list[str]:
    return [system.submit(recording(), PROBE)["id"] for _ in range(count)]


def begun(system: System, job_ids: Sequence[str]) -> list[Job]:
    return [job for job in map(system.job, job_ids) if job["attempts"]]


def test_jobs_of_a_paused_queue_wait_through_everything_and_are_done_after_it(
    system: System, operator: Operator, redis: Redis
) -> None:
    worker = start_worker(system, "worker1")
    assert system.finished(system.submit(recording(), PROBE)["id"])["status"] == "succeeded"
    operator.act("pause", "default")
    wait_for(lambda: takes(system, "high", "low", "io") == 1, "the worker heeds it")
    job_ids = submit(system, 5)
    time.sleep(SOME_ROUNDS_SECONDS)
    assert begun(system, job_ids) == []
    assert redis.llen("default") == 5, "the messages stay where they are, once each"

    redis.flushall()
    time.sleep(SOME_ROUNDS_SECONDS)
    assert redis.llen("default") == 0, "nobody publishes what nobody may take"
    system.kill(worker)
    worker = start_worker(system, "worker1")
    job_ids += submit(system, 2)
    wait_for(lambda: takes(system, "high", "low", "io") == 2, "the new worker heeds it too")
    time.sleep(SOME_ROUNDS_SECONDS)
    assert begun(system, job_ids) == []
    # The other queues are served meanwhile.
    urgent = system.client.post(
        "/api/jobs",
        data={"spec": '{"operations": [{"op": "probe"}], "priority": "high"}'},
        files={"file": ("x.wav", recording().read_bytes())},
    ).json()
    assert system.finished(urgent["id"])["status"] == "succeeded"

    operator.act("resume", "default")
    for job_id in job_ids:
        job = system.finished(job_id)
        assert [attempt["outcome"] for attempt in job["attempts"]] == ["succeeded"]
    # In the order of priority again.
    assert takes(system, "high", "default", "low", "io") == 1


def test_a_drained_worker_finishes_what_it_has_and_takes_nothing_new(
    system: System, operator: Operator, redis: Redis, tmp_path: Path
) -> None:
    slow = noise(tmp_path / "slow.wav", seconds=900, channels=1, rate=8000)
    first = start_worker(system, "first")
    running = system.submit(slow, *SLOW)["id"]
    system.wait_until(running, lambda job: job["progress"] > 0)
    name = next(line for line in operator.page("/").splitlines() if "<h3>first@" in line).split("<h3>")[1].strip()
    operator.act("drain", name)
    wait_for(lambda: takes(system) == 1, "the worker heeds it")
    waiting = submit(system, 3)
    assert [attempt["outcome"] for attempt in system.finished(running)["attempts"]] == ["succeeded"]
    time.sleep(SOME_ROUNDS_SECONDS)
    assert begun(system, waiting) == [], "though it is idle now"

    redis.flushall()
    first.stop()
    first = start_worker(system, "first")
    wait_for(lambda: takes(system) == 2, "it drains also after it was started again")
    waiting += submit(system, 1)
    time.sleep(SOME_ROUNDS_SECONDS)
    assert "drained" in operator.page("/")
    # Another takes its place.
    second = start_worker(system, "second")
    for job_id in waiting:
        assert system.finished(job_id)["status"] == "succeeded"
    system.kill(second)
    operator.act("undrain", name)
    for job_id in submit(system, 2):
        assert system.finished(job_id)["status"] == "succeeded"
    assert first.running


def test_a_job_is_shown_under_the_worker_that_runs_it(system: System, operator: Operator, tmp_path: Path) -> None:
    slow = noise(tmp_path / "slow.wav", seconds=900, channels=1, rate=8000)
    workers = {name: start_worker(system, name) for name in ("one", "two")}
    job_ids = [system.submit(slow, *SLOW)["id"] for _ in workers]
    for job_id in job_ids:
        system.wait_until(job_id, lambda job: job["progress"] > 0)
    wait_for(lambda: operator.page("/").count("1 of 1 busy") == 2, "each has one")
    page = operator.page("/")
    assert "Not known whose" not in page
    for job_id in job_ids:
        assert f'href="/jobs/{job_id}"' in page
        system.client.post(f"/api/jobs/{job_id}/cancel")
