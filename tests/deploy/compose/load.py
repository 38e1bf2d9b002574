"""Jobs through the published port, for as long as a scenario wants."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from tests.deploy.compose.project import Failed

TERMINAL = frozenset({"succeeded", "failed", "canceled"})
# Loudness and an encode of 44 s of speech: some tenths of a second of a core.
OPERATIONS = [{"op": "loudness"}, {"op": "transcode", "name": "opus", "format": "opus", "bitrate_kbps": 64}]
_BETWEEN_JOBS_SECONDS = 0.4
_MOST_JOBS = 400
Job = dict[str, Any]


class Load:
    """Submits jobs on bytes that the API has; remembers those that it accepted."""

    def __init__(self, api_url: str, headers: Mapping[str, str], upload_id: str) -> None:
        """Nothing is submitted yet."""
        self._client = httpx.Client(base_url=api_url, headers=headers, timeout=10, trust_env=False)
        self._body = {"input": {"type": "upload", "id": upload_id}, "operations": OPERATIONS}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._submit, name="load", daemon=True)
        self.accepted: list[str] = []
        self.refused: Counter[str] = Counter()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Jobs are submitted meanwhile."""
        self._thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._thread.join()

    def _submit(self) -> None:
        while len(self.accepted) < _MOST_JOBS and not self._ended.wait(_BETWEEN_JOBS_SECONDS):
            try:
                answer = self._client.post("/api/jobs", json=self._body)
            except httpx.TransportError as error:
                self.refused[type(error).__name__] += 1
                continue
            if answer.status_code == 202:
                self.accepted.append(answer.json()["id"])
            else:
                self.refused[str(answer.status_code)] += 1

    def job(self, job_id: str) -> Job:
        """A job as it is now."""
        job: Job = self._client.get(f"/api/jobs/{job_id}").raise_for_status().json()
        return job

    def hosts(self) -> set[str]:
        """Of the workers that have tried one of the newest jobs: the short ids of their containers."""
        return {
            attempt["worker"].split("/")[0]
            for job_id in self.accepted[-40:]
            for attempt in self.job(job_id)["attempts"]
        }

    def finished(self, seconds: float) -> list[Job]:
        """Every accepted job, once all of them have ended.

        Raises:
            Failed: one has not in time.
        """
        deadline = time.monotonic() + seconds
        jobs = []
        for job_id in self.accepted:
            while (job := self.job(job_id))["status"] not in TERMINAL:
                if time.monotonic() > deadline:
                    raise Failed(f"The load ended {seconds:.0f} s ago, and a job is still {job}.")
                time.sleep(0.2)
            jobs.append(job)
        return jobs
