"""What the API refuses for the system's sake: too much queued, a full disk, bodies that do not come."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.servers import RedisServer
from shared.store.records import Usage
from tests.integration.api.driving import PROBE, Store, client_of, files_under, problem, stopping, store_of, submit
from tests.system import System

BOUNDARY = "----boundary"
PART = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'.encode()
Limited = Callable[..., System]


@pytest.fixture
def limited(tmp_path: Path, database_url: str, redis_server: RedisServer) -> Limited:
    """A system with the limits of the test, on both databases in turn."""

    def make(**limits: Any) -> System:
        return System(tmp_path, database_url=database_url, redis=redis_server, **limits)

    return make


async def refused(api: httpx.AsyncClient, status: int, name: str, upload_id: str, ended: str) -> None:
    """Work of every kind is refused, soon."""
    body = {"input": {"id": upload_id}, "operations": [{"op": "probe"}]}
    deadline = time.monotonic() + 20
    while (await api.post("/api/jobs", json=body)).status_code == 202:
        assert time.monotonic() < deadline, "jobs are still taken"
        await asyncio.sleep(0.1)
    for answer in (
        await api.post("/api/jobs", json=body),
        await api.post("/api/jobs", data={"spec": PROBE}, files={"file": ("a", b"x")}),
        await api.post("/api/uploads", files={"file": ("a", b"x")}),
        await api.post(f"/api/jobs/{ended}/retry"),
    ):
        problem(answer, status, name)
        assert int(answer.headers["retry-after"]) > 0


async def accepted(api: httpx.AsyncClient, upload_id: str) -> None:
    """Work is taken on, soon."""
    body = {"input": {"id": upload_id}, "operations": [{"op": "probe"}]}
    deadline = time.monotonic() + 20
    while (answer := await api.post("/api/jobs", json=body)).status_code != 202:
        assert time.monotonic() < deadline, answer.text
        await asyncio.sleep(0.1)


async def cancel_all(api: httpx.AsyncClient) -> None:
    for job in (await api.get("/api/jobs", params={"status": "queued", "limit": 200})).json()["jobs"]:
        assert (await api.post(f"/api/jobs/{job['id']}/cancel")).status_code == 202


async def ended_job(api: httpx.AsyncClient) -> dict[str, Any]:
    job = await submit(api)
    await cancel_all(api)
    return job


@pytest.mark.parametrize(
    "limits",
    [{"max_queued_jobs": 3, "max_queued_bytes": 0}, {"max_queued_jobs": 0, "max_queued_bytes": 3 * len(b"some audio")}],
)
async def test_while_too_much_is_queued_no_more_is_taken(limited: Limited, limits: dict[str, int]) -> None:
    with limited(**limits) as system:
        system.start_api()
        store = store_of(system)
        async with client_of(system) as api:
            ended = await ended_job(api)
            for _ in range(2):
                await submit(api)
            # Below the limit for longer than a look takes.
            await asyncio.sleep(1.5)
            job = await submit(api)
            await refused(api, 429, "too-much-queued", job["input"]["id"], ended["id"])
            assert files_under(system.folder / "data" / "blobs" / "incoming") == set()
            await cancel_all(api)
            await accepted(api, job["input"]["id"])
            await cancel_all(api)
            await asyncio.sleep(1.5)
            # Jobs that wait for their next attempt count too.
            for waiting in [await submit(api) for _ in range(3)]:
                await _delay(store, waiting["id"])
            await asyncio.sleep(1.5)
            problem(await api.post(f"/api/jobs/{ended['id']}/retry"), 429, "too-much-queued")
        await store.close()


async def _delay(store: Store, job_id: str) -> None:
    claim = await store.claim(job_id)
    await store.jobs.retry(claim.lease, code="io_error", message="Disk.", delay_seconds=600, usage=Usage())


async def test_without_limits_all_is_taken(limited: Limited) -> None:
    with limited(max_queued_jobs=0, max_queued_bytes=0, min_free_bytes=0) as system:
        system.start_api()
        async with client_of(system) as api:
            for _ in range(5):
                await submit(api)
            await asyncio.sleep(1.5)
            await submit(api)


async def test_while_the_disk_is_nearly_full_no_more_is_taken(limited: Limited) -> None:
    # No disk has so much room: the same as one that is full.
    with limited(min_free_bytes=10**18) as system:
        system.start_api()
        async with client_of(system) as api:
            deadline = time.monotonic() + 20
            while (answer := await api.post("/api/uploads", files={"file": ("a", b"x")})).status_code == 201:
                assert time.monotonic() < deadline
            assert "nearly full" in problem(answer, 507, "disk-full")["detail"]
            answer = await api.post("/api/jobs", data={"spec": PROBE}, files={"file": ("a", b"x")})
            problem(answer, 507, "disk-full")
            assert (await api.get("/api/jobs")).status_code == 200


async def test_a_body_that_stops_coming_is_ended_and_leaves_nothing(limited: Limited) -> None:
    with limited(upload_idle_seconds=1.0) as system:
        system.start_api()
        form = f"multipart/form-data; boundary={BOUNDARY}"
        before = files_under(system.folder / "data")
        for path, content_type, sent in (
            ("/api/uploads", form, PART + b"g" * 20_000_000),
            ("/api/jobs", form, PART + b"g" * 100),
            ("/api/uploads", form, b""),
            ("/api/jobs", "application/json", b'{"input": '),
        ):
            status, body = await stopping(system.api_port, path, content_type, sent)
            assert status.startswith(b"HTTP/1.1 408 "), (path, status)
            assert json.loads(body)["type"] == "urn:wavemill:problem:too-slow"
        assert {name for name in files_under(system.folder / "data") - before if "blobs" in name} == set()
        assert "unexpected error" not in system.log()


@pytest.mark.parametrize(("least", "status"), [(10, b"HTTP/1.1 201 "), (1000, b"HTTP/1.1 408 ")])
async def test_a_body_that_comes_slowly_is_taken_down_to_a_limit(limited: Limited, least: int, status: bytes) -> None:
    with limited(upload_idle_seconds=2.0, min_upload_bytes_per_second=least) as system:
        system.start_api()
        before = files_under(system.folder / "data")
        reader, writer = await asyncio.open_connection("127.0.0.1", system.api_port)
        # 50 bytes a second or so.
        body = PART + b"slow audio" + f"\r\n--{BOUNDARY}--\r\n".encode()
        form = f"multipart/form-data; boundary={BOUNDARY}"
        head = f"POST /api/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Type: {form}\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        # In all longer than may pass between two bytes.
        with suppress(ConnectionError):
            for start in range(0, len(body), len(body) // 5):
                writer.write(body[start : start + len(body) // 5])
                await writer.drain()
                await asyncio.sleep(0.6)
        answer = await asyncio.wait_for(reader.readline(), 30)
        writer.close()
        assert answer.startswith(status)
        left = {name for name in files_under(system.folder / "data") - before if "blobs" in name}
        assert len(left) == (1 if least == 10 else 0)
