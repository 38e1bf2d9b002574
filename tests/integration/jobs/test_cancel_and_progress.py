"""What a client sees of a running job, and how it stops one."""

import itertools
import json
import time
from pathlib import Path

import pytest
from httpx_sse import connect_sse

from tests.audio_files import noise, recording
from tests.system import System

# Minutes of work: two AAC encodes of an hour.
SLOW: tuple[dict[str, object], ...] = (
    {"op": "transcode", "format": "aac", "sample_rate": 48000},
    {"op": "transcode", "format": "aac", "sample_rate": 44100},
)


@pytest.fixture
def hour(tmp_path: Path) -> Path:
    return noise(tmp_path / "hour.wav", seconds=3600, channels=1, rate=8000)


def test_a_running_job_is_canceled_within_2_seconds(running: System, hour: Path) -> None:
    job_id = running.submit(hour, *SLOW)["id"]
    running.wait_until(job_id, lambda job: job["progress"] > 0.01)
    answer = running.client.post(f"/api/jobs/{job_id}/cancel")
    asked = time.monotonic()
    assert answer.status_code == 202
    job = running.finished(job_id)
    assert time.monotonic() - asked < 2
    assert (job["status"], job["error_message"], job["artifacts"]) == ("canceled", None, [])
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["canceled"]
    assert running.client.post(f"/api/jobs/{job_id}/cancel").status_code == 409
    # The child is free for the next one, and nothing is left of this one.
    assert running.finished(running.submit(recording(), {"op": "probe"})["id"])["status"] == "succeeded"
    assert running.scratch_files() == []


def test_a_queued_job_is_canceled_at_once(system: System) -> None:
    system.start_api()
    job_id = system.submit(recording(), {"op": "probe"})["id"]
    assert system.client.post(f"/api/jobs/{job_id}/cancel").json()["status"] == "canceled"
    system.start_worker()
    done = system.finished(system.submit(recording(), {"op": "probe"})["id"])
    assert done["status"] == "succeeded"
    assert system.job(job_id)["attempts"] == []


def test_events_tell_progress_at_least_every_second_in_order_and_end_with_the_job(
    running: System, tmp_path: Path
) -> None:
    file = noise(tmp_path / "x.wav", seconds=600, channels=1, rate=16000)
    job_id = running.submit(file, {"op": "transcode", "format": "aac", "sample_rate": 48000})["id"]
    seen: list[tuple[float, str, int, float]] = []
    with connect_sse(running.client, "GET", f"/api/jobs/{job_id}/events") as stream:
        for event in stream.iter_sse():
            data = json.loads(event.data)
            seen.append((time.monotonic(), data["status"], data["version"], data["progress"]))
    assert seen[-1][1] == "succeeded"
    assert {status for _, status, _, _ in seen} >= {"running", "succeeded"}
    positions = [(version, progress) for _, _, version, progress in seen]
    assert positions == sorted(set(positions)), "in order, none twice"
    running_at = [moment for moment, status, _, _ in seen if status == "running"]
    assert len(running_at) >= 3
    # Every 0.5 s by design; the machine that runs the tests may be busy with something else.
    gaps = [later - earlier for earlier, later in itertools.pairwise(running_at)]
    assert sorted(gaps)[len(gaps) // 2] <= 1.0
