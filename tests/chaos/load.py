"""The clients: they submit jobs, cancel some, follow some, and write down what they were told."""

import asyncio
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath
from typing import Any

import httpx
from httpx_sse import aconnect_sse

from shared.schema.jobs import Priority
from tests.chaos.recipes import Recipe

_SUBMITTERS = 12
_CANCELED_PART = 0.1
_TAKEN_BACK_PART = 0.5  # of the cancels, by a retry
_FOLLOWED_PART = 0.3
_BY_UPLOAD_PART = 0.25
# None of low priority: those wait for as long as there are others, which is no fault.
_PRIORITIES, _PRIORITY_WEIGHTS = (Priority.DEFAULT, Priority.HIGH), (4, 1)
_PAUSE_SECONDS = 0.3
# An API that is not back after so long is no short outage any more.
_PATIENCE_SECONDS = 60.0
# More than the longest silence of an event stream, whose heartbeat comes each 15 s.
_STREAM_SILENCE_SECONDS = 30.0


class Answer(StrEnum):
    """What became of a submission, as its client knows it."""

    ACCEPTED = "accepted"  # 202
    REFUSED = "refused"  # 503, 429: try again, says the answer
    UNKNOWN = "unknown"  # the connection broke after the request had been sent
    WRONG = "wrong"  # an answer that must not be


@dataclass(frozen=True, slots=True)
class Seen:
    """An event, as a client got it."""

    type: str
    version: int
    progress: float
    status: str
    attempt: int


@dataclass(slots=True)
class Submission:
    """One try to submit a job. No other has its file name, so that it can be found whatever was answered."""

    filename: str
    recipe: Recipe
    answer: Answer
    detail: str = ""
    job_id: str | None = None
    cancel: str | None = None  # what a cancel was answered with: the job's status, "ended" or "unknown"
    retry: str | None = None  # what a retry was answered with: the same
    followed: bool = False
    events: list[Seen] = field(default_factory=list)
    stream_error: str | None = None


class Load:
    """So many jobs in so many seconds. What was late because the API was down is made up for."""

    def __init__(
        self,
        base_url: str,
        clips: Mapping[str, bytes],
        recipes: Sequence[Recipe],
        *,
        seed: int,
        jobs: int,
        seconds: float,
    ) -> None:
        self._clips = clips
        self._recipes = recipes
        self._seed = seed
        self._jobs = jobs
        self._interval = seconds / jobs
        self._started = 0.0
        self._followers: list[asyncio.Task[None]] = []
        self.submissions: list[Submission] = []
        self.times_down = 0
        # Each request connects anew: one over a connection that died before would have an answer that nobody knows.
        self._client = httpx.AsyncClient(
            base_url=base_url,
            trust_env=False,
            timeout=httpx.Timeout(30.0, connect=5.0),
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def run(self) -> None:
        """Submit all jobs; those who follow one go on afterwards."""
        self._started = time.monotonic()
        numbers = iter(range(self._jobs))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_SUBMITTERS):
                tasks.create_task(self._submitter(numbers))

    async def close(self, *, patience_seconds: float) -> None:
        """Wait for the followers, whose jobs have ended, and go."""
        if self._followers:
            _, late = await asyncio.wait(self._followers, timeout=patience_seconds)
            for follower in late:
                follower.cancel()
            await asyncio.gather(*self._followers, return_exceptions=True)
        await self._client.aclose()

    async def _submitter(self, numbers: Any) -> None:
        for number in numbers:
            await asyncio.sleep(max(0.0, self._started + number * self._interval - time.monotonic()))
            await self._job(number)

    async def _job(self, number: int) -> None:
        draw = random.Random(f"{self._seed}/{number}")
        recipe = draw.choices(self._recipes, [recipe.weight for recipe in self._recipes])[0]
        submission = await self._submit(number, recipe, draw)
        if submission is None or submission.job_id is None:
            return
        if draw.random() < _FOLLOWED_PART:
            submission.followed = True
            self._followers.append(asyncio.create_task(self._follow(submission)))
        if draw.random() < _CANCELED_PART:
            await asyncio.sleep(draw.uniform(0.0, 1.5))
            submission.cancel = await self._ask(submission, "cancel")
            if submission.cancel == "canceled" and draw.random() < _TAKEN_BACK_PART:
                submission.retry = await self._ask(submission, "retry")

    async def _submit(self, number: int, recipe: Recipe, draw: random.Random) -> Submission | None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        attempt = 0
        while time.monotonic() < deadline:
            attempt += 1
            filename = f"{number:05d}-{attempt}{PurePath(recipe.clip).suffix}"
            submission = Submission(filename, recipe, Answer.UNKNOWN)
            try:
                answer = await self._post(filename, recipe, draw)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                # Nothing was sent: the one case in which a client may try again and know what it does.
                self.times_down += 1
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            except httpx.TransportError as error:
                submission.detail = type(error).__name__
                self.submissions.append(submission)
                return submission
            self._note(submission, answer)
            self.submissions.append(submission)
            if submission.answer is not Answer.REFUSED:
                return submission
            await asyncio.sleep(_PAUSE_SECONDS)
        return None

    async def _post(self, filename: str, recipe: Recipe, draw: random.Random) -> httpx.Response:
        """In one request, or as an upload first and then a job for it."""
        spec = {"operations": recipe.operations, "priority": draw.choices(_PRIORITIES, _PRIORITY_WEIGHTS)[0]}
        file = {"file": (filename, self._clips[recipe.clip])}
        if draw.random() >= _BY_UPLOAD_PART:
            return await self._client.post("/api/jobs", data={"spec": json.dumps(spec)}, files=file)
        upload = await self._client.post("/api/uploads", files=file)
        if upload.status_code != 201:
            return upload
        return await self._client.post(
            "/api/jobs", json={**spec, "input": {"type": "upload", "id": upload.json()["id"]}}
        )

    def _note(self, submission: Submission, answer: httpx.Response) -> None:
        match answer.status_code:
            case 202:
                submission.answer = Answer.ACCEPTED
                submission.job_id = answer.json()["id"]
            case 503 | 429:
                submission.answer = Answer.REFUSED if "Retry-After" in answer.headers else Answer.WRONG
            case _:
                submission.answer = Answer.WRONG
        if submission.answer is not Answer.ACCEPTED:
            submission.detail = f"{answer.status_code}: {answer.text[:300]}"

    async def _ask(self, submission: Submission, what: str) -> str | None:
        """Ask for a cancel or a retry. Gives the job's status by the answer; None when always refused."""
        told: str | None = None
        for _ in range(20):
            try:
                answer = await self._client.post(f"/api/jobs/{submission.job_id}/{what}")
            except httpx.TransportError:
                # Perhaps it was heard; to ask once more does no harm.
                told = "unknown"
            else:
                if answer.status_code == 202:
                    return str(answer.json()["status"])
                if answer.status_code == 409:
                    return told or "ended"
                if answer.status_code != 503:
                    submission.answer = Answer.WRONG
                    submission.detail = f"{what}: {answer.status_code}: {answer.text[:300]}"
                    return told
            await asyncio.sleep(_PAUSE_SECONDS)
        return told

    async def _follow(self, submission: Submission) -> None:
        """The events up to the last, over as many connections as it takes; each resumes where the last one broke."""
        last_id = ""
        timeout = httpx.Timeout(_STREAM_SILENCE_SECONDS, connect=5.0)
        while True:
            headers = {"Last-Event-ID": last_id} if last_id else {}
            url = f"/api/jobs/{submission.job_id}/events"
            try:
                async with aconnect_sse(self._client, "GET", url, headers=headers, timeout=timeout) as source:
                    if source.response.status_code == 204:
                        return
                    if source.response.status_code == 200:
                        async for event in source.aiter_sse():
                            last_id = event.id
                            submission.events.append(_seen(json.loads(event.data)))
                    elif source.response.status_code != 503:
                        submission.stream_error = f"answered with {source.response.status_code}"
                        return
            except httpx.TransportError:
                pass
            await asyncio.sleep(_PAUSE_SECONDS)


def _seen(data: Mapping[str, Any]) -> Seen:
    return Seen(data["type"], data["version"], data["progress"], data["status"], data["attempt"])
