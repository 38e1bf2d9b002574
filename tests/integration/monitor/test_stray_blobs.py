"""The duty: files that no record names."""

import hashlib
import os
import time
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from services.monitor.duties import Outcome
from services.monitor.duties.stray_blobs import StrayBlobs
from shared.blobs import Blobs, BlobStoreUnavailable, artifact_key, input_key
from shared.store.finished import SETTLED_SECONDS
from shared.store.records import Usage
from shared.store.retention import Retention
from tests.integration.monitor.conftest import House
from tests.integration.monitor.test_retention import Warehouse, perform_all

GRACE = 1000.0


@pytest.fixture
def warehouse(house: House) -> Warehouse:
    return Warehouse(house)


def sweep(warehouse: Warehouse, *, batch: int = 100, blobs: Blobs | None = None) -> StrayBlobs:
    return StrayBlobs(
        warehouse.retention, blobs or warehouse.blobs, grace_seconds=GRACE, every_seconds=3600, batch=batch
    )


def put(warehouse: Warehouse, key: str, *, age: float = 0.0) -> str:
    """A file that was written so many seconds ago."""
    path = warehouse.folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    written = time.time() - age
    os.utime(path, (written, written))
    return key


async def test_leftovers_of_uploads_go_when_they_are_old(warehouse: Warehouse) -> None:
    put(warehouse, f"incoming/{uuid4()}", age=GRACE + 60)
    kept = put(warehouse, f"incoming/{uuid4()}", age=GRACE - 60)
    # What a killed API or worker leaves of a file that it was writing.
    put(warehouse, f"incoming/{uuid4()}#1", age=GRACE + 60)
    put(warehouse, f"artifacts/{uuid4()}/1/a.mp3#12", age=GRACE + 60)
    underway = put(warehouse, f"incoming/{uuid4()}#1", age=GRACE - 60)
    assert await perform_all(sweep(warehouse)) == 3
    assert warehouse.files() == {kept, underway}


async def test_a_write_that_is_underway_has_such_a_name(warehouse: Warehouse) -> None:
    """The name is obstore's own: if it changes, leftovers are not found any more."""

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 9_000_000
        assert [name for name in warehouse.files() if name.startswith("incoming/one#")]
        yield b"y"

    await warehouse.blobs.put_stream("incoming/one", body())


async def test_inputs_without_an_upload_go_when_they_are_old(warehouse: Warehouse) -> None:
    upload = await warehouse.upload(b"named")
    os.utime(warehouse.folder / input_key(upload.sha256), (0, 0))
    put(warehouse, input_key("ab" * 32), age=GRACE + 60)
    kept = {
        put(warehouse, input_key("cd" * 32), age=GRACE - 60),
        put(warehouse, "inputs/README", age=GRACE + 60),
        input_key(upload.sha256),
    }
    assert await perform_all(sweep(warehouse)) == 1
    assert warehouse.files() == kept


async def test_an_input_that_is_named_in_this_moment_stays(warehouse: Warehouse) -> None:
    put(warehouse, input_key(hashlib.sha256(b"x").hexdigest()), age=GRACE + 60)

    class LateUpload(Retention):
        async def named_inputs(self, digests: Collection[str]) -> set[str]:
            named = await super().named_inputs(digests)
            await warehouse.upload(b"x")
            return named

    warehouse.retention = LateUpload(warehouse.house.database)
    assert await perform_all(sweep(warehouse)) == 0
    assert warehouse.files() == {input_key(hashlib.sha256(b"x").hexdigest())}


async def test_files_of_attempts_that_did_not_win_go_after_the_end(warehouse: Warehouse) -> None:
    house = warehouse.house
    upload = await warehouse.upload(b"audio")
    won, canceled, running = [await warehouse.create(upload) for _ in range(3)]
    lost = await house.claim(won)
    await warehouse.store(lost, "a.mp3")
    await house.jobs.lose(lost, only_expired=False)
    kept = await warehouse.succeed(won, "a.mp3", "b.mp3")
    # A worker that was out for long may write below its prefix also now.
    await warehouse.store(lost, "late.mp3")
    lease = await house.claim(canceled)
    await warehouse.store(lease, "a.mp3")
    await house.jobs.finish_canceled(lease, usage=Usage())
    lease = await house.claim(running)
    made = await warehouse.store(lease, "a.mp3")
    await house.jobs.lose(lease, only_expired=False)
    made += await warehouse.store(await house.claim(running), "a.mp3")
    assert await perform_all(sweep(warehouse)) == 3
    assert warehouse.files() == {*kept, *(artifact.blob_key for artifact in made), input_key(upload.sha256)}


async def test_files_of_jobs_that_are_not_there_go_when_they_are_old(warehouse: Warehouse) -> None:
    put(warehouse, artifact_key(uuid4(), 1, uuid4(), "a.mp3"), age=GRACE + 60)
    # As keys were before they named the lease.
    put(warehouse, f"artifacts/{uuid4()}/1/a.mp3", age=GRACE + 60)
    kept = {
        put(warehouse, artifact_key(uuid4(), 1, uuid4(), "a.mp3"), age=GRACE - 60),
        put(warehouse, "artifacts/of-somebody-else/1/a.mp3", age=GRACE + 60),
        put(warehouse, "backup/1", age=GRACE + 60),
    }
    assert await perform_all(sweep(warehouse)) == 2
    assert warehouse.files() == kept


async def test_what_a_monitor_left_between_rows_and_files_is_found(warehouse: Warehouse) -> None:
    upload = await warehouse.upload(b"audio")
    job_id = await warehouse.create(upload)
    (key,) = await warehouse.succeed(job_id, "a.mp3", ended=60)
    await warehouse.retention.expire_artifacts(keep_seconds=30, after=None, limit=9)
    assert key in warehouse.files()
    assert await perform_all(sweep(warehouse)) == 1
    assert warehouse.files() == {input_key(upload.sha256)}


async def test_an_upload_whose_bytes_never_came_goes(warehouse: Warehouse) -> None:
    never = await warehouse.uploads.add(sha256="ef" * 32, size_bytes=3, filename=None)
    stored = await warehouse.upload(b"stored")
    young = await warehouse.uploads.add(sha256="01" * 32, size_bytes=3, filename=None)
    used = await warehouse.uploads.add(sha256="23" * 32, size_bytes=3, filename=None)
    await warehouse.create(used)
    for upload in (never, stored, used):
        await warehouse.age(upload, created_at=GRACE + 60)
    await perform_all(sweep(warehouse, batch=1))
    await warehouse.age(never, expired_at=SETTLED_SECONDS + 1)
    assert await perform_all(warehouse.inputs(keep_seconds=1e9)) == 1
    assert await warehouse.uploads.get(never.id) is None
    for upload in (stored, young, used):
        assert await warehouse.uploads.get(upload.id) is not None
        await warehouse.create(upload)


async def test_a_turn_is_bounded_and_the_next_sweep_comes_later(warehouse: Warehouse) -> None:
    for _ in range(5):
        put(warehouse, f"incoming/{uuid4()}", age=GRACE + 60)
    duty = sweep(warehouse, batch=2)
    assert await duty.perform() == Outcome(2, more=True)
    assert len(warehouse.files()) == 3
    assert await perform_all(duty) == 3
    put(warehouse, f"incoming/{uuid4()}", age=GRACE + 60)
    assert await duty.perform() == Outcome(0)


async def test_a_sweep_that_fails_begins_anew(warehouse: Warehouse, tmp_path: Path) -> None:
    class Failing(Blobs):
        fails = True

        async def delete(self, keys: Sequence[str]) -> None:
            if self.fails:
                raise BlobStoreUnavailable("as asked")
            await super().delete(keys)

    blobs = Failing(warehouse.blobs._store)
    for _ in range(3):
        put(warehouse, f"incoming/{uuid4()}", age=GRACE + 60)
    duty = sweep(warehouse, batch=2, blobs=blobs)
    for _ in range(2):
        with pytest.raises(BlobStoreUnavailable):
            await duty.perform()
    blobs.fails = False
    assert await perform_all(duty) == 3
