"""Many jobs at once: all succeed, pages show each once, and queues are served in their order."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.audio_files import noise, recording
from tests.system import System

COUNT = 200


def every_job(system: System, **query: str | int) -> list[dict[str, Any]]:
    """All pages of the list."""
    jobs: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        answer = system.client.get("/api/jobs", params={**query, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        jobs += answer.json()["jobs"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return jobs


def test_200_jobs_at_once_with_two_children_all_succeed(running: System, tmp_path: Path) -> None:
    clip = noise(tmp_path / "clip.wav", seconds=1)
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: running.submit(clip, {"op": "loudness"})["id"], range(COUNT)))
    assert len(set(made)) == COUNT
    for job_id in made:
        job = running.finished(job_id, seconds=300)
        assert (job["status"], len(job["attempts"])) == ("succeeded", 1)
    listed = every_job(running, limit=7)
    assert [job["id"] for job in listed] == sorted(made, reverse=True)
    assert [job["id"] for job in every_job(running, limit=200, status="succeeded")] == sorted(made, reverse=True)
    assert every_job(running, status="failed") == []


def test_high_priority_goes_first_and_low_last(system: System) -> None:
    system.start_api()
    upload = system.client.post("/api/uploads", files={"file": ("a.wav", recording().read_bytes())}).json()
    made = {}
    for priority in ("low", "default", "high"):
        for _ in range(3):
            answer = system.client.post(
                "/api/jobs",
                content=json.dumps(
                    {
                        "input": {"type": "upload", "id": upload["id"]},
                        "operations": [{"op": "probe"}],
                        "priority": priority,
                    }
                ),
                headers={"Content-Type": "application/json"},
            )
            assert answer.status_code == 202, answer.text
            made[answer.json()["id"]] = priority
    system.start_worker(concurrency=1)
    finished = [system.finished(job_id) for job_id in made]
    finished.sort(key=lambda job: str(job["started_at"]))
    assert [made[job["id"]] for job in finished] == ["high"] * 3 + ["default"] * 3 + ["low"] * 3
