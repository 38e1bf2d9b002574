"""Which jobs a list has, on both databases."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from shared.schema.jobs import JobStatus
from shared.schema.options import JobOptions
from shared.store.job_lists import JobLists, Wanted
from shared.store.tables import jobs
from tests.integration.store.conftest import USAGE, Life


async def made(life: Life, *, preset: str | None = None, metadata: Mapping[str, str] | None = None) -> UUID:
    options = JobOptions(preset=preset, metadata=dict(metadata or {}))
    return await life.create(options=options)


async def listed(life: Life, wanted: Wanted) -> list[UUID]:
    return [job.id for job in await JobLists(life.database).page(wanted, before=None, limit=100)]


async def test_pages_have_every_job_once_also_while_jobs_are_added(life: Life) -> None:
    lists = JobLists(life.database)
    jobs = [await life.create() for _ in range(25)]
    seen: list[UUID] = []
    before = None
    queued = Wanted(statuses=[JobStatus.QUEUED])
    while page := await lists.page(queued, before=before, limit=4):
        seen += [job.id for job in page]
        before = seen[-1]
        await life.create()
    assert seen == sorted(jobs, reverse=True)
    assert await lists.page(Wanted(statuses=[JobStatus.FAILED]), before=None, limit=4) == []


async def test_by_one_status_and_by_several(life: Life) -> None:
    waiting, running, failed = [await life.create() for _ in range(3)]
    await life.claim(running)
    await life.jobs.fail((await life.claim(failed)).lease, code="x", message="X.", usage=USAGE)
    assert await listed(life, Wanted(statuses=[JobStatus.RUNNING])) == [running]
    assert await listed(life, Wanted(statuses={JobStatus.QUEUED, JobStatus.FAILED})) == [failed, waiting]
    assert await listed(life, Wanted()) == [failed, running, waiting]


async def test_by_metadata_and_preset(life: Life) -> None:
    both = await made(life, metadata={"customer": "42", "show": "news"}, preset="podcast")
    one = await made(life, metadata={"customer": "42"})
    other = await made(life, metadata={"customer": "4"}, preset="podcast")
    bare = await made(life)
    assert await listed(life, Wanted(metadata={"customer": "42"})) == [one, both]
    assert await listed(life, Wanted(metadata={"customer": "42", "show": "news"})) == [both]
    assert await listed(life, Wanted(metadata={"show": "42"})) == []
    assert await listed(life, Wanted(preset="podcast")) == [other, both]
    assert await listed(life, Wanted(preset="podcast", metadata={"customer": "42"})) == [both]
    (summary,) = await JobLists(life.database).page(Wanted(metadata={"show": "news"}), before=None, limit=9)
    assert (summary.metadata, summary.preset) == ({"customer": "42", "show": "news"}, "podcast")
    assert (await life.view(both)).metadata == {"customer": "42", "show": "news"}
    assert (await life.view(bare)).metadata == {}


@pytest.mark.parametrize("value", ['"', "'", "%", "\\", "a=b", "ü 🎵", "$.x", "null", "", " "])
async def test_a_value_of_metadata_is_a_string_whatever_is_in_it(life: Life, value: str) -> None:
    job = await made(life, metadata={"a.b-c_d": value})
    await made(life, metadata={"a.b-c_d": value + "x"})
    assert await listed(life, Wanted(metadata={"a.b-c_d": value})) == [job]


async def test_by_the_time_at_which_they_were_made(life: Life) -> None:
    early, middle, late = [await life.create() for _ in range(3)]
    now = datetime.now(UTC)
    async with life.database.write() as connection:
        for job_id, minutes in ((early, 4), (middle, 2), (late, 0)):
            moment = now - timedelta(minutes=minutes)
            await connection.execute(update(jobs).where(jobs.c.id == job_id).values(created_at=moment))
    at = now - timedelta(minutes=2)
    assert await listed(life, Wanted(created_after=at)) == [late, middle]
    assert await listed(life, Wanted(created_before=at)) == [early]
    assert await listed(life, Wanted(created_after=at, created_before=now)) == [middle]
    # So far from their ids' time that the ids alone leave them out.
    assert await listed(life, Wanted(created_after=now + timedelta(hours=1))) == []
    assert await listed(life, Wanted(created_before=now - timedelta(hours=1))) == []
    assert await listed(life, Wanted(created_after=datetime(1970, 1, 1, tzinfo=UTC))) == [late, middle, early]
