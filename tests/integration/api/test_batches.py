import asyncio
import io
import json
import time
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psutil
import pytest
import pytest_asyncio
from sqlalchemy import delete, func, select

from deploy.local.servers import RedisServer
from shared.store.records import Usage
from shared.store.tables import batches, jobs
from tests.integration.api.driving import MAX_SPEC, Store, client_of, pointers, problem, store_of, submit
from tests.system import System

NDJSON = {"Content-Type": "application/x-ndjson"}
PROBE = [{"op": "probe"}]


@pytest_asyncio.fixture
async def upload(api: httpx.AsyncClient) -> dict[str, str]:
    """An input of jobs."""
    answer = await api.post("/api/uploads", files={"file": ("talk.wav", b"some audio")})
    return {"id": answer.json()["id"]}


async def made(api: httpx.AsyncClient, upload: dict[str, str], count: int, **more: Any) -> dict[str, Any]:
    body = {"defaults": {"operations": PROBE}, "jobs": [{"input": upload}] * count, **more}
    answer = await api.post("/api/batches", json=body)
    assert answer.status_code == 202, answer.text
    batch: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/api/batches/{batch['id']}"
    return batch


async def jobs_of(api: httpx.AsyncClient, batch: dict[str, Any], **query: str) -> list[dict[str, Any]]:
    answer = await api.get(f"/api/batches/{batch['id']}/jobs", params={"limit": 200, **query})
    found: list[dict[str, Any]] = answer.json()["jobs"]
    return found


def lines(*documents: Any) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


async def number_of_jobs(store: Store) -> int:
    async with store.database.read() as connection:
        count: int = (await connection.execute(select(func.count()).select_from(jobs))).scalar_one()
    return count


async def test_a_batch_is_made_counted_and_listed(api: httpx.AsyncClient, store: Store, upload: dict[str, str]) -> None:
    older = await made(api, upload, 1)
    batch = await made(api, upload, 4, name="Season 3")
    assert (batch["name"], batch["jobs"], batch["counts"]["queued"], batch["progress"]) == ("Season 3", 4, 4, 0.0)
    assert not batch["has_ended"]
    path = f"/api/batches/{batch['id']}"
    assert (await api.get(path)).json() == batch
    first, second, third, _ = (job["id"] for job in await jobs_of(api, batch))
    await store.succeed(first, {})
    claim = await store.claim(second)
    await store.jobs.heartbeat(claim.lease, progress=0.5, lease_seconds=60)
    claim = await store.claim(third)
    await store.jobs.fail(claim.lease, code="x", message="It did not work.", usage=Usage())
    shown = (await api.get(path)).json()
    assert shown["counts"] == {"fetching": 0, "queued": 1, "running": 1, "succeeded": 1, "failed": 1, "canceled": 0}
    # Two have ended, and one is half done: 2.5 of 4.
    assert shown["progress"] == pytest.approx(0.625)
    assert [job["id"] for job in await jobs_of(api, batch, status="failed")] == [third]
    listed = (await api.get("/api/batches", params={"limit": 1})).json()
    assert [(each["id"], each["jobs"]) for each in listed["batches"]] == [(batch["id"], 4)]
    listed = (await api.get("/api/batches", params={"limit": 1, "cursor": listed["next_cursor"]})).json()
    assert [each["id"] for each in listed["batches"]] == [older["id"]]


async def test_jobs_are_listed_in_their_order_page_by_page(api: httpx.AsyncClient, upload: dict[str, str]) -> None:
    body = {"jobs": [{"input": upload, "operations": PROBE, "priority": "low" if n % 2 else "high"} for n in range(7)]}
    batch = (await api.post("/api/batches", json=body)).json()
    seen: list[dict[str, Any]] = []
    cursor = None
    while True:
        query = {"limit": "3"} if cursor is None else {"limit": "3", "cursor": cursor}
        page = (await api.get(f"/api/batches/{batch['id']}/jobs", params=query)).json()
        seen += page["jobs"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    priorities = [(await api.get(f"/api/jobs/{job['id']}")).json()["priority"] for job in seen]
    assert priorities == ["high", "low", "high", "low", "high", "low", "high"]


async def test_lines_are_read_as_they_come(api: httpx.AsyncClient, upload: dict[str, str]) -> None:
    async def sent() -> AsyncIterator[bytes]:
        yield b'{"batch": {"name": "By lines", "defaults": {"operations": [{"op": "loudn'
        await asyncio.sleep(0.05)
        yield b'ess"}]}}}\r\n\n'
        yield lines({"input": upload}, {"input": upload, "operations": PROBE})
        # The last line may have no end.
        yield json.dumps({"input": upload}).encode()

    answer = await api.post("/api/batches", content=sent(), headers=NDJSON)
    assert answer.status_code == 202, answer.text
    assert (answer.json()["name"], answer.json()["jobs"]) == ("By lines", 3)
    shown = [(await api.get(f"/api/jobs/{job['id']}")).json() for job in await jobs_of(api, answer.json())]
    assert [job["operations"][0]["op"] for job in shown] == ["loudness", "probe", "loudness"]


async def test_messages_are_published(api: httpx.AsyncClient, store: Store, upload: dict[str, str]) -> None:
    await store.redis.delete("low")
    await made(api, upload, 450, defaults={"operations": PROBE, "priority": "low"})
    for _ in range(200):
        if await store.redis.llen("low") == 450:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not published")


async def test_what_is_wrong_is_named_and_nothing_is_made(
    api: httpx.AsyncClient, store: Store, upload: dict[str, str]
) -> None:
    before = await number_of_jobs(store)
    stranger = {"id": str(uuid4())}
    given = [
        {"input": upload},
        {"input": upload, "operations": [{"op": "transcode", "format": "mp3", "bitrate_kbps": -1}]},
        {"input": upload, "colour": "red"},
        7,
    ]
    answer = await api.post("/api/batches", json={"defaults": {"operations": PROBE}, "jobs": given})
    assert pointers(problem(answer, 422, "invalid-request")) == [
        "#/jobs/1/operations/0/bitrate_kbps",
        "#/jobs/2/colour",
        "#/jobs/3",
    ]
    answer = await api.post(
        "/api/batches", json={"jobs": [{"input": each, "operations": PROBE} for each in (upload, stranger)]}
    )
    assert pointers(problem(answer, 422, "invalid-request")) == ["#/jobs/1/input/id"]
    sent = lines({"batch": {"defaults": {"operations": PROBE}}}, {"input": upload}, {"input": upload, "a/b": 1})
    body = problem(await api.post("/api/batches", content=sent + b"{oops\n", headers=NDJSON), 422, "invalid-request")
    assert [(error["pointer"], error["detail"][:8]) for error in body["errors"]] == [
        ("#/2/a~1b", "Line 3: "),
        ("#/3", "Line 4: "),
    ]
    assert await number_of_jobs(store) == before


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"{}", "#/jobs"),
        (b'{"jobs": []}', "#/jobs"),
        (b'{"jobs": [{}], "name": ""}', "#/name"),
        (b'{"jobs": [{}], "defaults": 1}', "#/defaults"),
        (b'{"jobs": [{}], "job": []}', "#/job"),
        (b"[", "#"),
    ],
)
async def test_a_batch_that_is_none(api: httpx.AsyncClient, body: bytes, pointer: str) -> None:
    answer = await api.post("/api/batches", content=body, headers={"Content-Type": "application/json"})
    assert pointers(problem(answer, 422, "invalid-request")) == [pointer]


async def test_no_more_errors_are_told_than_somebody_reads(api: httpx.AsyncClient, upload: dict[str, str]) -> None:
    answer = await api.post("/api/batches", json={"jobs": [{"input": upload}] * 500})
    assert len(problem(answer, 422, "invalid-request")["errors"]) == 50


async def test_limits(api: httpx.AsyncClient, upload: dict[str, str]) -> None:
    problem(
        await api.post("/api/batches", content=b"x", headers={"Content-Type": "text/csv"}),
        415,
        "unsupported-media-type",
    )
    problem(await api.post("/api/batches", content=b" " * (MAX_SPEC + 1), headers=NDJSON), 413, "too-large")
    assert pointers(
        problem(await api.post("/api/batches", content=b"\n\n", headers=NDJSON), 422, "invalid-request")
    ) == ["#"]
    one = {"input": upload, "operations": PROBE}
    answer = await api.post("/api/batches", json={"jobs": [one] * 10_001})
    assert pointers(problem(answer, 422, "invalid-request")) == ["#/jobs"]

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(101):
            yield lines(*[one] * 100)

    answer = await api.post("/api/batches", content=endless(), headers=NDJSON)
    assert "10000 jobs at most" in problem(answer, 422, "invalid-request")["detail"]


@pytest.mark.parametrize("path", ["", "/jobs", "/events", "/artifacts.zip"])
async def test_an_id_that_is_none_and_one_that_is_unknown(api: httpx.AsyncClient, path: str) -> None:
    assert pointers(problem(await api.get(f"/api/batches/17{path}"), 422, "invalid-request")) == ["#/batch_id"]
    problem(await api.get(f"/api/batches/{uuid4()}{path}"), 404, "batch-not-found")


async def test_cancel(api: httpx.AsyncClient, store: Store, upload: dict[str, str]) -> None:
    batch = await made(api, upload, 5)
    other = await submit(api)
    ended, running, *_ = (job["id"] for job in await jobs_of(api, batch))
    await store.succeed(ended, {})
    claim = await store.claim(running)
    answer = await api.post(f"/api/batches/{batch['id']}/cancel")
    assert answer.status_code == 202
    assert answer.json()["cancel_requested"]
    assert answer.json()["counts"] | {"succeeded": 1, "running": 1, "canceled": 3} == answer.json()["counts"]
    # The worker hears of it.
    assert await store.jobs.heartbeat(claim.lease, progress=0.1, lease_seconds=60)
    await store.jobs.finish_canceled(claim.lease, usage=Usage())
    assert (await api.get(f"/api/batches/{batch['id']}")).json()["has_ended"]
    problem(await api.post(f"/api/batches/{batch['id']}/cancel"), 409, "batch-ended")
    assert (await api.get(f"/api/jobs/{other['id']}")).json()["status"] == "queued"


def archive_of(answer: httpx.Response) -> zipfile.ZipFile:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["x-content-type-options"] == "nosniff"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    return archive


async def test_the_archive_of_a_job(api: httpx.AsyncClient, store: Store) -> None:
    job = await submit(api, filename="../../talk.wav")
    path = f"/api/jobs/{job['id']}/artifacts.zip"
    assert archive_of(await api.get(path)).namelist() == []
    large = bytes(range(256)) * 12_000
    await store.succeed(job["id"], {"a.mp3": ("audio/mpeg", b"mp3"), "b.flac": ("audio/flac", large)})
    archive = archive_of(await api.get(path))
    assert {name: archive.read(name) for name in archive.namelist()} == {"a.mp3": b"mp3", "b.flac": large}
    assert {each.compress_type for each in archive.infolist()} == {zipfile.ZIP_STORED}
    problem(await api.get(f"/api/jobs/{uuid4()}/artifacts.zip"), 404, "job-not-found")


async def test_the_archive_of_a_batch(api: httpx.AsyncClient, store: Store, upload: dict[str, str]) -> None:
    batch = await made(api, upload, 3, name='Series "Ä"/1')
    first, second, _ = (job["id"] for job in await jobs_of(api, batch))
    await store.succeed(first, {"a.mp3": ("audio/mpeg", b"one"), "empty.json": ("application/json", b"")})
    await store.succeed(second, {"a.mp3": ("audio/mpeg", b"two")})
    answer = await api.get(f"/api/batches/{batch['id']}/artifacts.zip")
    archive = archive_of(answer)
    folders = [f"talk-{UUID(job_id).hex[-12:]}" for job_id in (first, second)]
    assert {name: archive.read(name) for name in archive.namelist()} == {
        f"{folders[0]}/a.mp3": b"one",
        f"{folders[0]}/empty.json": b"",
        f"{folders[1]}/a.mp3": b"two",
    }
    assert answer.headers["content-disposition"] == "attachment; filename=1.zip"
    # A file that was lost is named; the others come all the same.
    artifact = (await api.get(f"/api/jobs/{first}")).json()["artifacts"][0]
    assert artifact["name"] == "a.mp3"
    await store.blobs.delete(await store.keys(first, "a.mp3"))
    archive = archive_of(await api.get(f"/api/batches/{batch['id']}/artifacts.zip"))
    assert archive.namelist() == [f"{folders[0]}/empty.json", f"{folders[1]}/a.mp3", "_gone.txt"]
    assert f"{folders[0]}/a.mp3" in archive.read("_gone.txt").decode()


async def test_ten_thousand_jobs_on_postgresql(tmp_path: Path, postgres_url: str, redis_server: RedisServer) -> None:
    with System(tmp_path, database_url=postgres_url, redis=redis_server) as system:
        process = psutil.Process(system.start_api().pid)
        store = store_of(system)
        async with client_of(system) as api:
            answer = await api.post("/api/uploads", files={"file": ("talk.wav", b"some audio")})
            one = {"input": {"id": answer.json()["id"]}, "operations": PROBE}
            await made(api, {"id": answer.json()["id"]}, 100)
            before = process.memory_info().rss

            async def sent() -> AsyncIterator[bytes]:
                for _ in range(100):
                    yield lines(*[one] * 100)

            began = time.monotonic()
            accepting = asyncio.create_task(api.post("/api/batches", content=sent(), headers=NDJSON, timeout=60))
            waits = await _answers_meanwhile(api, accepting)
            answer = await accepting
            took = time.monotonic() - began
            assert answer.status_code == 202, answer.text
            assert answer.json()["counts"]["queued"] == 10_000
            # Bounds that a slow machine keeps: nothing grows with the square of the number, or holds up the others.
            assert took < 40
            assert max(waits) < 2
            assert process.memory_info().rss - before < 80_000_000
            batch_id = answer.json()["id"]
            answer = await api.post(f"/api/batches/{batch_id}/cancel")
            assert (answer.json()["counts"]["canceled"], answer.json()["has_ended"]) == (10_000, True)
        async with store.database.write() as connection:
            await connection.execute(delete(jobs))
            await connection.execute(delete(batches))
        await store.close()


async def _answers_meanwhile(api: httpx.AsyncClient, until: "asyncio.Task[httpx.Response]") -> list[float]:
    waits = [0.0]
    while not until.done():
        began = time.monotonic()
        assert (await api.get("/healthz")).is_success
        waits.append(time.monotonic() - began)
        await asyncio.sleep(0.02)
    return waits
