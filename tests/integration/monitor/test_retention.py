"""What is removed when, and that nothing is that a job still needs; on both databases, with a real folder of files."""

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from services.monitor.duties import Duty, Outcome, expired_inputs
from services.monitor.duties.expired_artifacts import ExpiredArtifacts
from services.monitor.duties.expired_inputs import ExpiredInputs
from services.monitor.duties.forgotten_jobs import ForgottenJobs
from services.monitor.duties.stray_blobs import StrayBlobs
from shared.blobs import Blobs, artifact_key, input_key
from shared.ingest import Ingest
from shared.schema.jobs import AttemptOutcome, JobStatus, Upload
from shared.schema.options import JobOptions
from shared.store import retention as retention_module
from shared.store.errors import UploadMissing
from shared.store.finished import SETTLED_SECONDS, Finished
from shared.store.job_views import JobViews
from shared.store.records import Lease, NewArtifact, Usage
from shared.store.retention import Retention, TakenArtifacts
from shared.store.tables import attempts as attempts_table
from shared.store.tables import uploads as uploads_table
from shared.store.uploads import Uploads
from tests.integration.monitor.conftest import SPEC, House

LOUDNESS = {
    "op": "loudness",
    "integrated_lufs": -20.0,
    "range_lu": 3.0,
    "momentary_max_lufs": -15.0,
    "short_term_max_lufs": -16.0,
    "true_peak_dbtp": -1.0,
    "sample_peak_dbfs": -1.2,
}
KEEP = 1000.0
OLD = KEEP + 60


class Warehouse:
    """A house with files in it, and short words for what the tests do there."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.folder = Path(house.settings.data_dir) / "blobs"
        self.blobs = Blobs.from_settings(house.settings)
        self.uploads = Uploads(house.database)
        self.ingest = Ingest(self.blobs, self.uploads, max_bytes=1_000_000)
        self.retention = Retention(house.database)

    async def upload(self, data: bytes) -> Upload:
        """As the API does it."""

        async def body() -> AsyncIterator[bytes]:
            yield data

        incoming = await self.ingest.receive(body())
        try:
            return await self.ingest.accept(incoming, "a.wav", key_id=None)
        finally:
            await self.ingest.discard(incoming)

    async def create(self, upload: Upload) -> UUID:
        made = await self.house.jobs.create(SPEC, upload_id=upload.id, queue="default", max_attempts=4)
        return made.job_id

    async def store(self, lease: Lease, *names: str) -> list[NewArtifact]:
        """Put artifacts where the attempt's belong."""
        made = []
        for name in names:
            key = artifact_key(lease.job_id, lease.attempt, lease.token, name)
            path = self.folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())
            made.append(NewArtifact(name, key, "audio/mpeg", len(name), hashlib.sha256(name.encode()).hexdigest()))
        return made

    async def succeed(self, job_id: UUID, *names: str, ended: float = 0.0) -> list[str]:
        """The job has succeeded, so many seconds ago; the keys of its artifacts."""
        lease = await self.house.claim(job_id)
        made = await self.store(lease, *names)
        await self.house.jobs.succeed(lease, results={}, made=made, usage=Usage())
        await self.house.age([job_id], finished_at=ended)
        return [artifact.blob_key for artifact in made]

    async def age(self, upload: Upload, **columns: float) -> None:
        """Move times of an upload into the past, by column and seconds."""
        values = {column: self.house.database.now(-seconds) for column, seconds in columns.items()}
        async with self.house.database.write() as connection:
            await connection.execute(update(uploads_table).where(uploads_table.c.id == upload.id).values(values))

    def files(self) -> set[str]:
        # A folder may go while it is looked at, which Path.rglob does not take.
        found = [Path(folder) / name for folder, _, names in os.walk(self.folder) for name in names]
        return {str(path.relative_to(self.folder)) for path in found}

    def has(self, upload: Upload) -> bool:
        return (self.folder / input_key(upload.sha256)).exists()

    def inputs(self, keep_seconds: float = KEEP, batch: int = 100) -> ExpiredInputs:
        return ExpiredInputs(self.retention, self.blobs, keep_seconds=keep_seconds, batch=batch)

    async def expire(self, upload: Upload) -> None:
        """The duty lets the upload expire, and then time passes."""
        await perform_all(self.inputs())
        assert self.has(upload)
        await self.age(upload, expired_at=SETTLED_SECONDS + 1)


async def perform_all(duty: Duty) -> int:
    """What a duty has to do now; gives how much it was."""
    outcome = await duty.perform()
    done = outcome.done
    while outcome.more:
        outcome = await duty.perform()
        done += outcome.done
    return done


@pytest.fixture
def warehouse(house: House) -> Warehouse:
    return Warehouse(house)


async def test_artifacts_go_when_they_were_kept_long_enough(warehouse: Warehouse) -> None:
    upload = await warehouse.upload(b"audio")
    old, recent, none = [await warehouse.create(upload) for _ in range(3)]
    await warehouse.succeed(old, "a.mp3", "b.dat", ended=OLD)
    kept = await warehouse.succeed(recent, "a.mp3", ended=KEEP - 60)
    await warehouse.succeed(none, ended=OLD)
    duty = ExpiredArtifacts(warehouse.retention, warehouse.blobs, keep_seconds=KEEP, batch=100)
    assert await perform_all(duty) == 2
    assert warehouse.files() == {*kept, input_key(upload.sha256)}
    shown = await warehouse.house.view(old)
    assert (shown.status, shown.artifacts) == (JobStatus.SUCCEEDED, ())
    assert shown.artifacts_removed_at is not None
    assert [attempt.outcome for attempt in shown.attempts] == [AttemptOutcome.SUCCEEDED]
    for job_id in (recent, none):
        assert (await warehouse.house.view(job_id)).artifacts_removed_at is None
    assert [artifact.name for artifact in (await warehouse.house.view(recent)).artifacts] == ["a.mp3"]
    assert await duty.perform() == Outcome(0)
    # Its time comes too.
    await warehouse.house.age([recent], finished_at=KEEP + 1)
    assert await perform_all(duty) == 1


async def test_artifacts_go_in_bounded_batches_the_oldest_first(warehouse: Warehouse) -> None:
    upload = await warehouse.upload(b"audio")
    job_ids = [await warehouse.create(upload) for _ in range(5)]
    for position, job_id in enumerate(job_ids):
        await warehouse.succeed(job_id, "a.mp3", ended=OLD + position)
    duty = ExpiredArtifacts(warehouse.retention, warehouse.blobs, keep_seconds=KEEP, batch=2)
    assert await duty.perform() == Outcome(2, more=True)
    assert {name.split("/")[1] for name in warehouse.files() if name.startswith("artifacts")} == {
        str(job_id) for job_id in job_ids[:3]
    }
    assert await perform_all(duty) == 3


async def totals(house: House) -> dict[str, tuple[int, int]]:
    """How often jobs have ended so, and how many of them there are."""
    return {count.status: (count.ended, count.present) for count in await Finished(house.database).totals()}


@pytest.mark.parametrize("folded", [False, True])
async def test_jobs_go_with_all_they_have_and_stay_counted(warehouse: Warehouse, folded: bool) -> None:
    house = warehouse.house
    upload = await warehouse.upload(b"audio")
    old, recent, waiting, canceled = [await warehouse.create(upload) for _ in range(4)]
    await warehouse.succeed(old, "a.mp3", ended=OLD)
    kept = await warehouse.succeed(recent, "a.mp3", ended=KEEP - 60)
    await house.jobs.cancel(canceled)
    await house.age([canceled], finished_at=OLD)
    if folded:
        await Finished(house.database).fold(100)
    assert await totals(house) == {"succeeded": (2, 2), "canceled": (1, 1)}
    duty = ForgottenJobs(warehouse.retention, warehouse.blobs, keep_seconds=KEEP, batch=100)
    assert await perform_all(duty) == 2
    assert warehouse.files() == {*kept, input_key(upload.sha256)}
    views = JobViews(house.database)
    assert {job_id for job_id in (old, recent, waiting, canceled) if await views.get(job_id)} == {recent, waiting}
    async with house.database.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(attempts_table))).scalar_one() == 1
    assert await totals(house) == {"succeeded": (2, 1), "canceled": (1, 0)}
    await Finished(house.database).fold(100)
    assert await totals(house) == {"succeeded": (2, 1), "canceled": (1, 0)}
    assert await duty.perform() == Outcome(0)


async def test_jobs_go_in_bounded_batches(warehouse: Warehouse) -> None:
    job_ids = await warehouse.house.create(5)
    for job_id in job_ids:
        await warehouse.house.jobs.cancel(job_id)
    await warehouse.house.age(job_ids, finished_at=OLD)
    duty = ForgottenJobs(warehouse.retention, warehouse.blobs, keep_seconds=KEEP, batch=2)
    assert await duty.perform() == Outcome(2, more=True)
    assert await perform_all(duty) == 3


async def test_a_job_is_reopened_or_forgotten(warehouse: Warehouse) -> None:
    """Both at the same time, again and again: a job that its user was told is queued again is there."""
    house = warehouse.house
    upload = await warehouse.upload(b"audio")
    job_ids = [await warehouse.create(upload) for _ in range(30)]
    for job_id in job_ids:
        await house.jobs.cancel(job_id)
    await house.age(job_ids, finished_at=OLD)
    duty = ForgottenJobs(warehouse.retention, warehouse.blobs, keep_seconds=KEEP, batch=3)
    forgetting = asyncio.create_task(perform_all(duty))
    reopened = await asyncio.gather(*(house.jobs.reopen(job_id) for job_id in job_ids[::-1]))
    await forgetting
    await perform_all(duty)
    views = JobViews(house.database)
    there = {job_id for job_id in job_ids if await views.get(job_id)}
    assert there == {requeue.event.job_id for requeue in reopened if requeue is not None}
    assert await totals(house) == {"canceled": (30, 0)}


async def test_an_input_goes_in_two_steps(warehouse: Warehouse) -> None:
    upload = await warehouse.upload(b"audio")
    job_id = await warehouse.create(upload)
    await warehouse.succeed(job_id, ended=OLD)
    await warehouse.age(upload, created_at=OLD)
    duty = warehouse.inputs()
    assert await perform_all(duty) == 0
    # Closed to new jobs, and still there: a job that began in this moment would find it.
    assert warehouse.has(upload)
    with pytest.raises(UploadMissing):
        await warehouse.create(upload)
    assert await perform_all(duty) == 0
    await warehouse.age(upload, expired_at=SETTLED_SECONDS + 1)
    assert await perform_all(duty) == 1
    assert not warehouse.has(upload)
    its_input = (await warehouse.house.view(job_id)).input
    assert its_input is not None
    assert its_input.id == upload.id
    with pytest.raises(UploadMissing):
        await warehouse.create(upload)
    assert await perform_all(duty) == 0
    # With the last job that shows it, the record goes.
    await perform_all(ForgottenJobs(warehouse.retention, warehouse.blobs, keep_seconds=KEEP, batch=9))
    assert await warehouse.uploads.get(upload.id) is None


@pytest.mark.parametrize("state", ["queued", "delayed", "running", "ended lately", "canceled lately"])
async def test_an_input_that_a_job_needs_stays(warehouse: Warehouse, state: str) -> None:
    house = warehouse.house
    upload = await warehouse.upload(b"audio")
    done, job_id = await warehouse.create(upload), await warehouse.create(upload)
    await warehouse.succeed(done, ended=OLD)
    await warehouse.age(upload, created_at=OLD)
    match state:
        case "delayed":
            await house.jobs.retry(await house.claim(job_id), code="x", message="X.", delay_seconds=60, usage=Usage())
        case "running":
            await house.claim(job_id)
        case "ended lately":
            await warehouse.succeed(job_id, ended=KEEP - 60)
        case "canceled lately":
            await house.jobs.cancel(job_id)
    assert await perform_all(warehouse.inputs()) == 0
    assert warehouse.has(upload)
    await warehouse.create(upload)


async def test_an_upload_that_no_job_was_made_on_goes_with_its_record(warehouse: Warehouse) -> None:
    old, new = await warehouse.upload(b"never used"), await warehouse.upload(b"not used yet")
    await warehouse.age(old, created_at=OLD)
    await warehouse.expire(old)
    assert await perform_all(warehouse.inputs()) == 1
    assert warehouse.files() == {input_key(new.sha256)}
    assert await warehouse.uploads.get(old.id) is None
    assert await warehouse.uploads.get(new.id) is not None


async def test_bytes_stay_while_another_upload_names_them(warehouse: Warehouse) -> None:
    first, second = await warehouse.upload(b"shared"), await warehouse.upload(b"shared")
    await warehouse.age(first, created_at=OLD)
    await warehouse.expire(first)
    assert await perform_all(warehouse.inputs()) == 1
    assert warehouse.has(second)
    await warehouse.create(second)
    third = await warehouse.upload(b"shared")
    assert warehouse.has(third)


async def test_of_two_that_expire_together_the_last_takes_the_bytes(warehouse: Warehouse) -> None:
    both = await warehouse.upload(b"shared"), await warehouse.upload(b"shared")
    for upload in both:
        await warehouse.age(upload, created_at=OLD)
    await perform_all(warehouse.inputs())
    for upload in both:
        await warehouse.age(upload, expired_at=SETTLED_SECONDS + 1)
    assert await perform_all(warehouse.inputs()) == 2
    assert warehouse.files() == set()


async def test_a_job_that_did_not_see_the_expiry_keeps_its_input(warehouse: Warehouse) -> None:
    """Its transaction began before the upload expired, and was committed after."""
    upload = await warehouse.upload(b"audio")
    await warehouse.age(upload, created_at=OLD)
    job_id = await warehouse.create(upload)
    await warehouse.age(upload, expired_at=SETTLED_SECONDS + 1)
    await perform_all(warehouse.inputs())
    assert warehouse.has(upload)
    # It is an upload like others again.
    await warehouse.create(upload)
    its_input = (await warehouse.house.view(job_id)).input
    assert its_input is not None
    assert its_input.id == upload.id


async def test_a_store_that_fails_removes_nothing(warehouse: Warehouse) -> None:
    upload = await warehouse.upload(b"audio")
    await warehouse.age(upload, created_at=OLD)
    await warehouse.expire(upload)

    class Failing(Blobs):
        async def delete(self, keys: Sequence[str]) -> None:
            raise OSError("as asked")

    duty = ExpiredInputs(warehouse.retention, Failing(warehouse.blobs._store), keep_seconds=KEEP, batch=9)
    with pytest.raises(OSError, match="as asked"):
        await duty.perform()
    assert await warehouse.uploads.get(upload.id) is not None
    assert await perform_all(warehouse.inputs()) == 1
    assert not warehouse.has(upload)


async def test_old_inputs_are_gone_through_in_pages_with_a_rest(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = [await warehouse.upload(f"needed {number}".encode()) for number in range(3)]
    for upload in needed:
        await warehouse.create(upload)
    unused = await warehouse.upload(b"unused")
    for upload in (*needed, unused):
        await warehouse.age(upload, created_at=OLD)
    duty = warehouse.inputs(batch=2)
    turns = 1
    while (await duty.perform()).more:
        turns += 1
    assert turns == 3
    with pytest.raises(UploadMissing):
        await warehouse.create(unused)
    later = await warehouse.upload(b"later")
    await warehouse.age(later, created_at=OLD)
    assert await duty.perform() == Outcome(0)
    await warehouse.create(later)
    monkeypatch.setattr(duty, "_rest_until", 0.0)
    assert expired_inputs._REST_SECONDS > 1
    await warehouse.house.jobs.cancel(await warehouse.create(later))
    assert (await duty.perform()).more


class HeldBlobs(Blobs):
    """Deletes when it is let."""

    def __init__(self, blobs: Blobs) -> None:
        super().__init__(blobs._store)
        self.begun, self.let = asyncio.Event(), asyncio.Event()

    async def delete(self, keys: Sequence[str]) -> None:
        if keys:
            self.begun.set()
            await self.let.wait()
        await super().delete(keys)


@pytest.mark.parametrize("by", ["expiry", "sweep"])
async def test_bytes_that_come_while_they_are_deleted_are_stored_again(warehouse: Warehouse, by: str) -> None:
    first = await warehouse.upload(b"come and go")
    blobs = HeldBlobs(warehouse.blobs)
    duty: Duty = ExpiredInputs(warehouse.retention, blobs, keep_seconds=KEEP, batch=9)
    if by == "sweep":
        duty = StrayBlobs(warehouse.retention, blobs, grace_seconds=0, every_seconds=60, batch=9)
        await warehouse.age(first, removed_at=60)
    else:
        await warehouse.age(first, created_at=OLD, expired_at=SETTLED_SECONDS + 1)
    deleting = asyncio.create_task(perform_all(duty))
    # It has found that nobody names them.
    async with asyncio.timeout(30):
        await blobs.begun.wait()
    coming = asyncio.create_task(warehouse.upload(b"come and go"))
    await asyncio.sleep(0.5)
    blobs.let.set()
    second = await coming
    assert await deleting == 1
    assert warehouse.has(second)


class SlowBlobs(Blobs):
    """Between the decision to delete and the deletion there is time for an upload to come."""

    async def delete(self, keys: Sequence[str]) -> None:
        await asyncio.sleep(0.03)
        await super().delete(keys)


async def test_nothing_goes_that_a_job_needs_while_the_same_bytes_come_again_and_again(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients send the same few files, jobs run on them, and inputs are kept for no time at all."""
    monkeypatch.setattr(retention_module, "SETTLED_SECONDS", 0.2)
    monkeypatch.setattr(expired_inputs, "_REST_SECONDS", 0.0)
    house, keep = warehouse.house, 0.1
    blobs = SlowBlobs(warehouse.blobs._store)
    files = [f"file {number}".encode() for number in range(3)]
    ends = time.monotonic() + 6
    done = refused = removed = 0

    async def client(number: int) -> None:
        nonlocal done, refused
        while time.monotonic() < ends:
            data = files[number % len(files)]
            upload = await warehouse.upload(data)
            # What the client was told: the upload is there. A job on it may come too late, and hears so.
            try:
                job_id = await warehouse.create(upload)
            except UploadMissing:
                refused += 1
                continue
            await asyncio.sleep(0.1 * (number % 3))
            lease = await house.claim(job_id)
            await asyncio.sleep(0.05)
            assert (warehouse.folder / input_key(upload.sha256)).read_bytes() == data
            await house.jobs.fail(lease, code="x", message="X.", usage=Usage())
            if await house.jobs.reopen(job_id) is not None:
                lease = await house.claim(job_id)
                await asyncio.sleep(0.3)
                assert (warehouse.folder / input_key(upload.sha256)).read_bytes() == data
                await house.jobs.succeed(lease, results={}, made=[], usage=Usage())
            done += 1
            await asyncio.sleep(0.4)

    async def remove() -> None:
        nonlocal removed
        duty = ExpiredInputs(warehouse.retention, blobs, keep_seconds=keep, batch=5)
        while True:
            removed += (await duty.perform()).done
            await asyncio.sleep(0.01)

    removing = asyncio.create_task(remove())
    try:
        await asyncio.gather(*(client(number) for number in range(6)))
        assert done > 20
        assert removed > 10
        # And in the end, all of it goes.
        async with asyncio.timeout(20):
            while warehouse.files():
                assert not removing.done()
                await asyncio.sleep(0.1)
    finally:
        removing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await removing


async def test_results_go_when_their_client_wanted_them_no_longer(warehouse: Warehouse) -> None:
    upload = await warehouse.upload(b"audio")
    house = warehouse.house
    short, long, usual = [
        (
            await house.jobs.create(
                SPEC,
                upload_id=upload.id,
                queue="default",
                max_attempts=4,
                options=JobOptions.model_construct(expires_in=seconds),
            )
        ).job_id
        for seconds in (60, 600, None)
    ]
    kept: list[str] = []
    for job_id in (short, long, usual):
        lease = await house.claim(job_id)
        made = await warehouse.store(lease, "a.mp3")
        if job_id != short:
            kept += [artifact.blob_key for artifact in made]
        await house.jobs.succeed(lease, results={"x": LOUDNESS}, made=made, usage=Usage())
    duty = ExpiredArtifacts(warehouse.retention, warehouse.blobs, keep_seconds=KEEP, batch=10)
    assert await perform_all(duty) == 0
    view = await house.view(short)
    assert view.expires_at is not None
    assert view.finished_at is not None
    assert abs(view.expires_at - view.finished_at - timedelta(seconds=60)) < timedelta(milliseconds=2)
    assert (await house.view(usual)).expires_at is None
    await house.age([short, long], expires_at=1)
    await house.age([long], expires_at=-540)
    assert await perform_all(duty) == 1
    view = await house.view(short)
    assert (view.artifacts, dict(view.results)) == ((), {})
    assert view.artifacts_removed_at is not None
    for job_id in (long, usual):
        assert (await house.view(job_id)).results
    assert warehouse.files() == {*kept, input_key(upload.sha256)}
    assert await perform_all(duty) == 0


@pytest.mark.parametrize("folded", [True, False])
async def test_a_job_that_a_client_removes_stays_counted(warehouse: Warehouse, folded: bool) -> None:
    house = warehouse.house
    upload = await warehouse.upload(b"audio")
    gone, stays, waiting = [await warehouse.create(upload) for _ in range(3)]
    keys = await warehouse.succeed(gone, "a.mp3", ended=OLD)
    await warehouse.succeed(stays, "a.mp3", ended=OLD)
    if folded:
        await Finished(house.database).fold(100)
    assert await warehouse.retention.forget_job(waiting) == TakenArtifacts(0, ())
    removed = await warehouse.retention.forget_job(gone)
    assert (removed.jobs, removed.blob_keys) == (1, keys)
    assert await totals(house) == {"succeeded": (2, 1)}
    assert await warehouse.retention.forget_job(gone) == TakenArtifacts(0, ())
    await Finished(house.database).fold(100)
    assert await totals(house) == {"succeeded": (2, 1)}
    views = JobViews(house.database)
    assert [await views.get(job_id) is not None for job_id in (gone, stays, waiting)] == [False, True, True]
