"""What a worker's metrics add up to, over children that come and go."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.processes import free_port
from tests.audio_files import noise
from tests.scrape import Scrape
from tests.system import System

JOBS = 14
TASKS_PER_CHILD = 3
STEPS = ("claim", "fetch", "process", "store", "finish")


def wait_for(port: int, condition: Callable[[Scrape], bool], what: str) -> Scrape:
    """A scrape of which the condition holds."""
    deadline = time.monotonic() + 60
    while not condition(scrape := Scrape(port)):
        assert time.monotonic() < deadline, f"waited in vain for {what}:\n{scrape.text}"
        time.sleep(0.2)
    return scrape


@pytest.fixture
def short_file(tmp_path: Path) -> Path:
    return noise(tmp_path / "short.wav", seconds=1, channels=1, rate=8000)


def test_sums_are_exact_after_children_were_recycled_and_killed(system: System, short_file: Path) -> None:
    system.environment = {**system.environment, "WAVEMILL_WORKER_MAX_TASKS_PER_CHILD": str(TASKS_PER_CHILD)}
    port = free_port()
    alive = system.folder / "alive"
    worker = system.start_worker(concurrency=2, metrics_port=port, heartbeat_file=alive)
    system.start_api()
    system.wait_until_alive(worker, alive)
    wait_for(port, lambda scrape: scrape.total("worker_slot_memory_bytes") > 0, "children")
    first_children = set(system.children(worker))

    # One dies between two jobs: what it has counted stays, and another takes its slot.
    made = [system.submit(short_file, {"op": "loudness"})["id"] for _ in range(2)]
    for job_id in made:
        system.finished(job_id)
    wait_for(port, lambda scrape: scrape.total("worker_attempts_total") == 2, "the first attempts")
    os.kill(min(first_children), signal.SIGKILL)
    wait_for(port, lambda scrape: scrape.value("worker_children_lost_total") == 1, "the child that was killed")

    made += [system.submit(short_file, {"op": "loudness"}, {"op": "probe"})["id"] for _ in range(JOBS - 2)]
    assert {system.finished(job_id)["status"] for job_id in made} == {"succeeded"}
    bad = system.finished(system.submit(b"no audio at all", {"op": "probe"})["id"])
    assert bad["status"] == "failed"

    scrape = wait_for(port, lambda scrape: scrape.total("worker_attempts_total") == JOBS + 1, "all attempts")
    assert len(first_children & set(system.children(worker))) == 0, "each of the first children was replaced"
    assert scrape.value("worker_attempts_total", outcome="succeeded") == JOBS
    assert scrape.value("worker_attempts_total", outcome="failed") == 1
    assert scrape.value("worker_attempts_total", outcome="retried") == 0
    assert scrape.value("worker_failures_total", code=bad["error_code"]) == scrape.total("worker_failures_total") == 1
    assert scrape.value("worker_retries_total", code="storage_unavailable") == 0
    succeeded = {"outcome": "succeeded"}
    assert scrape.value("worker_job_duration_seconds_count", operation="loudness", **succeeded) == JOBS
    assert scrape.value("worker_job_duration_seconds_count", operation="probe", **succeeded) == JOBS - 2
    assert scrape.value("worker_job_duration_seconds_bucket", operation="loudness", le="+Inf", **succeeded) == JOBS
    assert scrape.value("worker_job_wait_seconds_count", operation="loudness", queue="default") == JOBS
    assert scrape.value("worker_realtime_factor_count", operation="loudness") == JOBS
    assert scrape.value("worker_audio_seconds_total") == JOBS
    size = short_file.stat().st_size
    assert scrape.value("worker_input_bytes_total") == JOBS * size + len(b"no audio at all")
    assert scrape.value("worker_step_duration_seconds_count", step="claim") == JOBS + 1
    assert scrape.value("worker_step_duration_seconds_count", step="finish") == JOBS
    assert scrape.value("worker_slots") == 2
    assert scrape.value("worker_slots_busy") == 0
    assert scrape.total("worker_slot_cpu_seconds_total") > 0
    # Slots, not process ids: the files do not become more with the children.
    folders = list((system.folder / "scratch").glob("wavemill-metrics-*/*/"))
    assert [folder.name for folder in folders] == ["0"]
    assert len(list(folders[0].glob("counter_*.db"))) <= 3


def test_workers_of_one_host_count_apart_and_one_that_starts_again_counts_from_nothing(
    system: System, short_file: Path
) -> None:
    system.start_api()
    ports = [free_port(), free_port()]
    alive = [system.folder / "alive-0", system.folder / "alive-1"]
    workers = [
        system.start_worker(f"worker{number}", concurrency=1, metrics_port=ports[number], heartbeat_file=alive[number])
        for number in range(2)
    ]
    for worker, file in zip(workers, alive, strict=True):
        system.wait_until_alive(worker, file)
    for job_id in [system.submit(short_file, {"op": "loudness"})["id"] for _ in range(6)]:
        system.finished(job_id)
    # A job has ended a little before its worker has counted that.
    deadline = time.monotonic() + 60
    while sum(done := [Scrape(port).total("worker_attempts_total") for port in ports]) != 6:
        assert time.monotonic() < deadline, done
        time.sleep(0.2)

    # The folder of one that is killed is there for the next, but nothing of what is in it.
    system.kill(workers[0])
    again = system.start_worker("again", concurrency=1, metrics_port=ports[0], heartbeat_file=system.folder / "alive-2")
    system.wait_until_alive(again, system.folder / "alive-2")
    wait_for(ports[0], lambda scrape: scrape.total("worker_attempts_total", outcome="succeeded") == 0, "nothing done")
    assert Scrape(ports[1]).total("worker_attempts_total") == done[1]
    assert len(list((system.folder / "scratch").glob("wavemill-metrics-*/*/"))) == 2
