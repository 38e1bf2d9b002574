"""Processes are killed and Redis forgets everything: each accepted job still ends once."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from redis import Redis

from tests.audio_files import noise, recording
from tests.system import Job, System

# A minute or so of work for one child.
SLOW: tuple[dict[str, object], ...] = ({"op": "transcode", "format": "aac", "sample_rate": 48000},)


@pytest.fixture
def slow_file(tmp_path: Path) -> Path:
    return noise(tmp_path / "slow.wav", seconds=1800, channels=1, rate=8000)


def outcomes(job: Job) -> list[str | None]:
    return [attempt["outcome"] for attempt in job["attempts"]]


def running_child(job: Job) -> int:
    """Process id of the child that runs the job; its name is host/pid/start."""
    return int(job["attempts"][-1]["worker"].split("/")[1])


def wait_running(system: System, job_id: str, attempt: int = 1) -> Job:
    return system.wait_until(
        job_id, lambda job: job["status"] == "running" and len(job["attempts"]) == attempt and job["progress"] > 0
    )


def check_done_once(system: System, job: Job) -> None:
    assert job["status"] == "succeeded", job
    assert outcomes(job).count("succeeded") == 1
    names = {artifact["name"] for artifact in job["artifacts"]}
    assert names == {"transcode.m4a"}
    assert len(system.artifact(job, "transcode.m4a")) == job["artifacts"][0]["size_bytes"]


def test_kill_9_of_a_worker_in_the_middle_of_a_job_and_another_attempt_finishes_it_once(
    system: System, slow_file: Path
) -> None:
    doomed = system.start_worker("doomed")
    system.start_api()
    system.start_monitor()
    job_id = system.submit(slow_file, *SLOW)["id"]
    wait_running(system, job_id)
    doomed.kill()
    system.start_worker("heir")
    job = system.finished(job_id, seconds=240)
    check_done_once(system, job)
    assert outcomes(job) == ["lost", "succeeded"]


def test_kill_9_of_the_only_worker_and_the_reconciler_finds_the_job_when_its_lease_runs_out(
    system: System, slow_file: Path
) -> None:
    system.environment = {**system.environment, "WAVEMILL_LEASE_SECONDS": "4"}
    doomed = system.start_worker("doomed")
    system.start_api()
    system.start_monitor()
    job_id = system.submit(slow_file, *SLOW)["id"]
    wait_running(system, job_id)
    doomed.kill()
    job = system.wait_until(job_id, lambda job: job["status"] == "queued", seconds=30)
    assert outcomes(job) == ["lost"]
    system.start_worker("heir")
    check_done_once(system, system.finished(job_id, seconds=240))


def test_a_killed_child_is_noticed_within_5_seconds(system: System, slow_file: Path) -> None:
    system.start()
    job_id = system.submit(slow_file, *SLOW)["id"]
    child = running_child(wait_running(system, job_id))
    os.kill(child, signal.SIGKILL)
    killed = time.monotonic()
    system.wait_until(job_id, lambda job: len(job["attempts"]) == 2)
    assert time.monotonic() - killed < 5
    job = system.finished(job_id, seconds=240)
    check_done_once(system, job)
    assert outcomes(job) == ["lost", "succeeded"]
    assert system.scratch_files() == [], "what the killed child had"


def test_a_file_that_kills_every_child_ends_as_failed_and_poisoned(system: System, slow_file: Path) -> None:
    system.environment = {**system.environment, "WAVEMILL_MAX_ATTEMPTS": "3"}
    system.start()
    job_id = system.submit(slow_file, *SLOW)["id"]
    for attempt in (1, 2, 3):
        os.kill(running_child(wait_running(system, job_id, attempt)), signal.SIGSEGV)
        system.wait_until(job_id, lambda job, attempt=attempt: outcomes(job)[attempt - 1] == "lost")  # type: ignore[misc]
    job = system.finished(job_id)
    assert (job["status"], job["poisoned"], job["error_code"]) == ("failed", True, "worker_lost")
    assert "worker died" in job["error_message"]
    assert outcomes(job) == ["lost"] * 3
    # It does not come back, and others are served.
    assert system.finished(system.submit(recording(), {"op": "probe"})["id"])["status"] == "succeeded"
    assert outcomes(system.job(job_id)) == ["lost"] * 3


def test_redis_flushed_with_50_jobs_queued_and_all_50_finish(running: System, redis: Redis, tmp_path: Path) -> None:
    clip = noise(tmp_path / "clip.wav", seconds=20)
    made = [running.submit(clip, {"op": "loudness"}, {"op": "transcode", "format": "aac"})["id"] for _ in range(50)]
    queued = sum(running.job(job_id)["status"] == "queued" for job_id in made)
    redis.flushall()
    assert queued > 10, "the workers were too fast for this test to mean anything"
    for job_id in made:
        job = running.finished(job_id, seconds=240)
        assert (job["status"], outcomes(job)) == ("succeeded", ["succeeded"])


def test_a_stopped_worker_hands_its_job_back_at_once(system: System, slow_file: Path) -> None:
    system.environment = {**system.environment, "WAVEMILL_WORKER_SOFT_SHUTDOWN_SECONDS": "1"}
    leaving = system.start_worker("leaving")
    system.start_api()
    job_id = system.submit(slow_file, *SLOW)["id"]
    wait_running(system, job_id)
    children = system.children(leaving)
    os.kill(leaving.pid, signal.SIGTERM)
    asked = time.monotonic()
    job = system.wait_until(job_id, lambda job: job["status"] == "queued", seconds=30)
    assert time.monotonic() - asked < 5
    assert outcomes(job) == ["handed_back"]
    assert leaving.wait(15)
    assert leaving.exit_code == 0
    assert not any(psutil.pid_exists(child) for child in children)
    system.start_worker("next")
    job = system.finished(job_id, seconds=240)
    check_done_once(system, job)
    assert outcomes(job) == ["handed_back", "succeeded"]


def test_a_short_job_still_ends_in_the_soft_shutdown_time(system: System, tmp_path: Path) -> None:
    clip = noise(tmp_path / "x.wav", seconds=900, channels=1, rate=16000)
    leaving = system.start_worker("leaving")
    system.start_api()
    job_id = system.submit(clip, *SLOW)["id"]
    wait_running(system, job_id)
    os.kill(leaving.pid, signal.SIGTERM)
    assert leaving.wait(60)
    assert outcomes(system.job(job_id)) == ["succeeded"]


def test_a_job_that_takes_too_long_is_failed_and_not_tried_again(system: System, slow_file: Path) -> None:
    system.environment = {**system.environment, "WAVEMILL_TASK_SOFT_TIME_LIMIT_SECONDS": "2"}
    system.start()
    job = system.finished(system.submit(slow_file, *SLOW)["id"])
    assert (job["status"], job["error_code"], outcomes(job)) == ("failed", "time_limit", ["failed"])
    assert "longer than" in job["error_message"]
    assert system.finished(system.submit(recording(), {"op": "probe"})["id"])["status"] == "succeeded"


def test_a_transient_failure_is_tried_again_until_the_attempts_are_spent(system: System) -> None:
    system.environment = {**system.environment, "WAVEMILL_RETRY_BACKOFF_BASE_SECONDS": "0.5"}
    system.start()
    (system.folder / "data" / "blobs" / "artifacts").write_bytes(b"a file where the folder belongs")
    job = system.finished(system.submit(recording(), {"op": "waveform"})["id"])
    assert (job["status"], job["error_code"]) == ("failed", "storage_unavailable")
    assert job["error_message"].endswith("It was tried 4 times.")
    assert outcomes(job) == ["retried", "retried", "retried", "failed"]


def test_a_transient_failure_passes(system: System) -> None:
    system.environment = {**system.environment, "WAVEMILL_RETRY_BACKOFF_BASE_SECONDS": "2"}
    system.start()
    obstacle = system.folder / "data" / "blobs" / "artifacts"
    obstacle.write_bytes(b"a file where the folder belongs")
    job_id = system.submit(recording(), {"op": "waveform"})["id"]
    system.wait_until(job_id, lambda job: outcomes(job)[:1] == ["retried"])
    obstacle.unlink()
    job = system.finished(job_id)
    assert job["status"] == "succeeded"
    assert outcomes(job)[-1] == "succeeded"
