"""The arrows of a job whose inputs are fetched, and of one with further inputs, on both databases."""

from uuid import UUID, uuid4

import pytest

from shared.schema.inputs import MAIN_INPUT
from shared.schema.jobs import AttemptOutcome, JobStatus
from shared.store.database import Database
from shared.store.errors import UploadMissing
from shared.store.fetches import Fetches
from shared.store.job_lists import JobLists, Wanted
from shared.store.records import Extra, FetchClaim, InputSource, LeaseLost, Usage
from shared.store.retention import Retention
from shared.store.uploads import Uploads
from tests.integration.store.conftest import SPEC, Life, outcomes

URL = "https://files.example/talk.wav?signature=secret"


class Fetching:
    """Short words for what the tests do."""

    def __init__(self, life: Life, database: Database) -> None:
        self.life = life
        self.fetches = Fetches(database)
        self.uploads = Uploads(database)
        self.retention = Retention(database)

    async def upload(self, sha256: str = "cd" * 32, filename: str = "talk.wav") -> UUID:
        return (await self.uploads.add(sha256=sha256, size_bytes=17, filename=filename)).id

    async def create(self, *sources: InputSource, upload_id: UUID | None = None, max_attempts: int = 4) -> UUID:
        created = await self.life.jobs.create(
            SPEC,
            upload_id=upload_id,
            queue="io",
            max_attempts=max_attempts,
            sources=sources or (InputSource(MAIN_INPUT, url=URL),),
        )
        return created.job_id

    async def claim(self, job_id: UUID, lease_seconds: float = 30.0) -> FetchClaim:
        claim = await self.fetches.claim(job_id, worker="host/1/2.00", lease_seconds=lease_seconds)
        assert claim is not None
        return claim


@pytest.fixture
def fetching(life: Life, database: Database) -> Fetching:
    return Fetching(life, database)


async def test_a_job_is_fetched_and_then_waits_with_all_its_attempts(fetching: Fetching, life: Life) -> None:
    job_id = await fetching.create()
    view = await life.view(job_id)
    assert (view.status, view.input, view.source_url) == (JobStatus.FETCHING, None, "https://files.example/talk.wav")
    # Not to be run, and in no list of uploads.
    assert await life.jobs.claim(job_id, worker="w", lease_seconds=30) is None
    assert [job.filename for job in await JobLists(life.database).page(Wanted(), before=None, limit=5)] == [None]

    claim = await fetching.claim(job_id)
    assert claim.wanted == [InputSource(MAIN_INPUT, url=URL)]
    assert await fetching.fetches.claim(job_id, worker="w", lease_seconds=30) is None
    assert not await life.jobs.heartbeat(claim.lease, progress=0.5, lease_seconds=30)
    assert (await life.view(job_id)).progress == 0.5

    upload_id = await fetching.upload()
    requeue = await fetching.fetches.finish(
        claim.lease, upload_id=upload_id, fetched={MAIN_INPUT: upload_id}, queue="high"
    )
    assert (requeue.event.status, requeue.queue, requeue.event.progress) == (JobStatus.QUEUED, "high", 0.0)
    assert requeue.is_queued
    view = await life.view(job_id)
    assert view.input is not None
    assert (view.input.id, view.input.size_bytes) == (upload_id, 17)
    assert view.source_url == "https://files.example/talk.wav"
    run = await life.claim(job_id)
    assert (run.input_sha256, run.attempts_spent, run.lease.attempt, run.extras) == ("cd" * 32, 1, 2, [])
    await life.jobs.fail(run.lease, code="x", message="X.", usage=Usage())
    assert outcomes(await life.view(job_id)) == [AttemptOutcome.FETCHED, AttemptOutcome.FAILED]


async def test_a_waiting_fetch_is_backlog_of_its_queue_and_a_held_one_is_not(fetching: Fetching, life: Life) -> None:
    job_id = await fetching.create()
    assert (await life.backlog.queues(grace_seconds=0))["io"].waiting == 1
    claim = await fetching.claim(job_id, lease_seconds=-1)
    assert "io" not in await life.backlog.queues(grace_seconds=0)
    assert [(group.status, group.queue) for group in await life.backlog.not_waiting()] == [(JobStatus.FETCHING, "io")]
    assert await life.backlog.expired_leases(5) == [claim.lease]
    assert [holder.lease for holder in await life.backlog.held_by("host/1/")] == [claim.lease]


async def test_what_is_tried_again_is_fetching_again(fetching: Fetching, life: Life) -> None:
    job_id = await fetching.create(max_attempts=3)
    first = await fetching.claim(job_id)
    event = await life.jobs.retry(first.lease, code="x", message="X.", delay_seconds=0.0, usage=Usage())
    assert event.status is JobStatus.FETCHING
    (due,) = await life.jobs.release_due(5)
    assert (due.job_id, due.queue) == (job_id, "io")

    second = await fetching.claim(job_id)
    assert (await life.jobs.hand_back(second.lease, usage=Usage())).status is JobStatus.FETCHING

    third = await fetching.claim(job_id)
    lost = await life.jobs.lose(third.lease, only_expired=False)
    assert lost is not None
    assert (lost.event.status, lost.queue, lost.is_queued) == (JobStatus.FETCHING, "io", True)
    for stale in (first, second, third):
        with pytest.raises(LeaseLost):
            await fetching.fetches.finish(stale.lease, upload_id=await fetching.upload(), fetched={}, queue="default")

    # The one that was handed back does not count: this is the third.
    last = await fetching.claim(job_id)
    assert last.attempts_spent == 3
    lost = await life.jobs.lose(last.lease, only_expired=False)
    assert lost is not None
    assert (lost.event.status, lost.event.error_code) == (JobStatus.FAILED, "worker_lost")
    view = await life.view(job_id)
    assert outcomes(view) == ["retried", "handed_back", "lost", "lost"]
    assert view.poisoned

    # The user's retry begins with the fetching.
    requeue = await life.jobs.reopen(job_id)
    assert requeue is not None
    assert (requeue.event.status, requeue.queue) == (JobStatus.FETCHING, "io")
    assert (await fetching.claim(job_id)).attempts_spent == 1


async def test_it_can_be_canceled_before_and_while_it_is_fetched(fetching: Fetching, life: Life) -> None:
    waiting = await fetching.create()
    event = await life.jobs.cancel(waiting)
    assert event is not None
    assert event.status is JobStatus.CANCELED
    assert await fetching.fetches.claim(waiting, worker="w", lease_seconds=30) is None

    job_id = await fetching.create()
    claim = await fetching.claim(job_id)
    event = await life.jobs.cancel(job_id)
    assert event is not None
    assert event.status is JobStatus.FETCHING
    assert await life.jobs.heartbeat(claim.lease, progress=0.1, lease_seconds=30)
    upload_id = await fetching.upload()
    requeue = await fetching.fetches.finish(
        claim.lease, upload_id=upload_id, fetched={MAIN_INPUT: upload_id}, queue="default"
    )
    assert (requeue.event.status, requeue.is_queued) == (JobStatus.CANCELED, False)
    assert (await life.view(job_id)).finished_at is not None


async def test_further_inputs_come_with_the_claim(fetching: Fetching, life: Life) -> None:
    own, intro = await fetching.upload(), await fetching.upload("ef" * 32, "intro.wav")
    job_id = await fetching.create(InputSource("intro", upload_id=intro), InputSource("outro", url=URL), upload_id=own)
    view = await life.view(job_id)
    assert view.input is not None
    assert view.input.id == own
    assert {name: (found.upload and found.upload.id, found.source_url) for name, found in view.inputs.items()} == {
        "intro": (intro, None),
        "outro": (None, "https://files.example/talk.wav"),
    }
    claim = await fetching.claim(job_id)
    assert (claim.wanted, claim.upload_id) == ([InputSource("outro", url=URL)], own)
    outro = await fetching.upload("ab" * 32, "outro.wav")
    await fetching.fetches.finish(claim.lease, upload_id=own, fetched={"outro": outro}, queue="default")
    assert (await life.claim(job_id)).extras == [
        Extra("intro", "ef" * 32, "intro.wav"),
        Extra("outro", "ab" * 32, "outro.wav"),
    ]


async def test_a_job_on_an_upload_that_is_not_there_is_not_made(fetching: Fetching, life: Life) -> None:
    own, missing = await fetching.upload(), uuid4()
    with pytest.raises(UploadMissing) as raised:
        await fetching.create(InputSource("intro", upload_id=missing), upload_id=own)
    assert raised.value.upload_id == missing
    with pytest.raises(UploadMissing):
        await fetching.create(InputSource("outro", url=URL), upload_id=missing)
    assert await JobLists(life.database).page(Wanted(), before=None, limit=5) == []


async def test_a_further_input_is_kept_as_long_as_its_job_needs_it(fetching: Fetching, life: Life) -> None:
    own, intro = await fetching.upload(), await fetching.upload("ef" * 32)
    job_id = await fetching.create(InputSource("intro", upload_id=intro), upload_id=own)
    expired = await fetching.retention.expire_uploads(keep_seconds=-1.0, after=None, limit=10)
    assert expired.uploads == 0
    assert [
        found.upload_id
        for found, _ in await fetching.retention.unused_uploads(older_than_seconds=-1.0, after=None, limit=10)
    ] == []
    await life.jobs.cancel(job_id)
    expired = await fetching.retention.expire_uploads(keep_seconds=-1.0, after=None, limit=10)
    assert expired.uploads == 2
    # Nothing to begin with any more.
    assert await life.jobs.reopen(job_id) is None
