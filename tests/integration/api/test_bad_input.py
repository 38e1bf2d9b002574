"""Bad input: each request gets the right answer, in words that say what to do, and leaves no row, blob or open file."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from deploy.local.servers import RedisServer
from tests.integration.api import bad_access, bad_http, bad_json
from tests.integration.api.bad_input import ENDED_JOB, QUEUED_JOB, UPLOAD, Bad, Place, job
from tests.integration.api.driving import store_of, submit
from tests.integration.api.keyed import Keyed
from tests.system import System

ROWS = [*bad_json.ROWS, *bad_http.ROWS, *bad_access.ROWS]
SECRETS = (b"Traceback", b"/tmp", b".py", b"sqlite", b"SELECT", b"pydantic", b"asyncpg")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, redis_server: RedisServer
) -> AsyncIterator[Place]:
    """An API for these tests alone, with an upload, a job that waits and one that has succeeded."""
    folder = tmp_path_factory.mktemp("bad")
    shutil.copyfile(sqlite_template, folder / "wavemill.db")
    url = f"sqlite:///{folder / 'wavemill.db'}"
    limits: dict[str, Any] = {"max_upload_bytes": 2_000_000, "key_requests_per_second": 0}
    with System(folder, database_url=url, redis=redis_server, **limits) as system:
        keyed = await asyncio.to_thread(Keyed.on, system)
        process = system.start_api()
        own, other, reader = await keyed.make(), await keyed.make(), await keyed.make(scopes=["read"])
        expired = await keyed.make(expires_at="2020-01-01T00:00:00Z")
        revoked = await keyed.make()
        async with keyed.client() as administrator:
            assert (await administrator.delete(f"/api/keys/{revoked.id}")).is_success
        ids = {"@key@": own.secret, bad_access.READER: reader.secret, bad_access.EXPIRED: expired.secret}
        ids |= {bad_access.REVOKED: revoked.secret, bad_access.USED: "used-before"}
        async with keyed.client(other.secret) as stranger:
            sent = await submit(stranger)
            ids |= {bad_access.FOREIGN_JOB: sent["id"], bad_access.FOREIGN_UPLOAD: sent["input"]["id"]}
        async with keyed.client(own.secret) as api:
            ids |= await _things_of(api, system)
        yield Place(system.api_port, process.pid, folder / "wavemill.db", folder / "data" / "blobs", ids)
        assert "unexpected error" not in system.log()


async def _things_of(api: httpx.AsyncClient, system: System) -> dict[str, str]:
    """An upload, one that has begun, a job that waits and one that has succeeded; by what stands for them in rows."""
    sent = await api.post("/api/uploads", files={"file": ("a.wav", b"audio")})
    body = json.loads(job()) | {"input": {"type": "upload", "id": sent.json()["id"]}}
    queued = await api.post("/api/jobs", json=body, headers={"Idempotency-Key": "used-before"})
    ended = await api.post("/api/jobs", json=body)
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "5", "Content-Type": "application/offset+octet-stream"}
    begun = await api.post("/api/uploads/tus", headers=headers, content=b"ab")
    assert begun.status_code == 201, begun.text
    store = store_of(system)
    await store.succeed(ended.json()["id"], {"a.mp3": ("audio/mpeg", b"abc")})
    await store.close()
    return {
        UPLOAD: sent.json()["id"],
        QUEUED_JOB: queued.json()["id"],
        ENDED_JOB: ended.json()["id"],
        bad_access.TUS: begun.headers["location"].rpartition("/")[2],
    }


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("bad", ROWS, ids=str)
async def test_bad_input(place: Place, bad: Bad) -> None:
    rows, blobs = place.rows(), place.blobs()
    answer = await place.send(bad)
    assert answer is not None, "no answer"
    assert answer.status == bad.status, answer.body
    if bad.problem == "http":
        assert answer.headers["content-type"].startswith("text/plain")
    else:
        body = answer.problem
        assert answer.headers["content-type"] == "application/problem+json"
        assert body["type"] == ("about:blank" if bad.problem is None else f"urn:wavemill:problem:{bad.problem}")
        assert body["status"] == bad.status
        assert body["detail"].endswith((".", "…"))
        assert len(answer.body) < 25_000, "what was sent is sent back at length"
        if bad.at is not None:
            assert [_shortened(error["pointer"]) for error in body["errors"]] == [_shortened(bad.at)]
    for secret in SECRETS:
        assert secret not in answer.body
    assert (place.rows(), place.blobs(), place.open_blobs()) == (rows, blobs, [])


@pytest.mark.asyncio(loop_scope="module")
async def test_all_of_it_at_once_leaves_nothing(place: Place) -> None:
    """Also where many come together, and the client leaves before it has sent what it promised."""
    rows, blobs, descriptors = place.rows(), place.blobs(), 0
    for _ in range(2):
        # The first time, the pool of connections fills.
        descriptors = place.descriptors()
        for start in range(0, len(ROWS), 50):
            await asyncio.gather(*(place.send(bad) for bad in ROWS[start : start + 50]))
    cut_off = next(bad for bad in bad_http.FORMS if bad.name == "form: a file that is cut off")
    promised = replace(cut_off, headers={**cut_off.headers, "Content-Length": "1000000"})
    assert [await place.send(promised) for _ in range(20)] == [None] * 20
    async with asyncio.timeout(20):
        # Connections are closed a moment later.
        while place.descriptors() > descriptors + 5 or place.blobs() != blobs:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    assert (place.rows(), place.open_blobs()) == (rows, [])


def test_there_are_enough_and_each_is_another() -> None:
    assert len({bad.name for bad in ROWS}) == len(ROWS) >= 150


def _shortened(pointer: Any) -> str:
    # Problems repeat at most 300 characters of what was sent.
    text = str(pointer)
    return text if len(text) <= 300 else text[:299] + "…"
