"""Resumable uploads, by tus 1.0.0's own words and by a client of its makers."""

import asyncio
import base64
import hashlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, update
from tusclient.client import TusClient

from shared.store.tables import unfinished_uploads
from tests.integration.api.driving import MAX_UPLOAD, Store, problem
from tests.system import System

TUS = {"Tus-Resumable": "1.0.0"}
PATH = "/api/uploads/tus"
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}
# More than one request may hold otherwise.
TALK = bytes(range(256)) * 4000
assert len(TALK) > MAX_UPLOAD


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def checksum(data: bytes, algorithm: str = "sha1") -> dict[str, str]:
    digest = base64.b64encode(hashlib.new(algorithm, data).digest()).decode()
    return {"Upload-Checksum": f"{algorithm} {digest}"}


async def begin(api: httpx.AsyncClient, size: int, **headers: str) -> str:
    answer = await api.post(PATH, headers={**TUS, "Upload-Length": str(size), **headers})
    assert answer.status_code == 201, answer.text
    assert answer.headers["tus-resumable"] == "1.0.0"
    return answer.headers["location"]


async def send(api: httpx.AsyncClient, path: str, offset: int, data: bytes, **more: str) -> httpx.Response:
    return await api.patch(path, headers={**BYTES, "Upload-Offset": str(offset), **more}, content=data)


async def offset(api: httpx.AsyncClient, path: str) -> int:
    answer = await api.head(path, headers=TUS)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"])


async def job_on(api: httpx.AsyncClient, path: str) -> dict[str, Any]:
    body = {"input": {"id": path.rpartition("/")[2]}, "operations": [{"op": "probe"}]}
    answer = await api.post("/api/jobs", json=body)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


async def until(question: Callable[[], Awaitable[Any]]) -> Any:
    """The first answer that is not nothing."""
    for _ in range(600):
        if found := await question():
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("waited in vain")


async def incoming(store: Store) -> set[str]:
    return {blob.key async for blob in store.blobs.list("incoming")}


@pytest.mark.parametrize("with_checksums", [False, True])
async def test_a_client_of_the_protocols_makers(
    system: System, api: httpx.AsyncClient, store: Store, *, with_checksums: bool
) -> None:
    before = await incoming(store)

    def upload() -> str:
        uploader = TusClient(f"http://127.0.0.1:{system.api_port}{PATH}").uploader(
            file_stream=io.BytesIO(TALK),
            chunk_size=300_000,
            metadata={"filename": "Größe.wav"},
            upload_checksum=with_checksums,
        )
        uploader.upload()
        return str(uploader.url)

    job = await job_on(api, await asyncio.to_thread(upload))
    assert (job["input"]["sha256"], job["input"]["size_bytes"]) == (hashlib.sha256(TALK).hexdigest(), len(TALK))
    assert job["input"]["filename"] == "Größe.wav"
    assert await incoming(store) == before


async def test_what_the_server_can_is_told(api: httpx.AsyncClient) -> None:
    answer = await api.options(PATH)
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    extensions = set(answer.headers["tus-extension"].split(","))
    assert extensions == {"creation", "creation-with-upload", "termination", "expiration", "checksum"}
    assert int(answer.headers["tus-max-size"]) == 10 * 1024**3
    assert "sha1" in answer.headers["tus-checksum-algorithm"].split(",")


async def test_the_beginning_may_hold_the_first_bytes(api: httpx.AsyncClient) -> None:
    headers = {**BYTES, "Upload-Length": "10", "Upload-Metadata": f"filename {encoded('a.wav')},empty"}
    answer = await api.post(PATH, headers=headers, content=b"01234")
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "5")
    path = answer.headers["location"]
    state = await api.head(path, headers=TUS)
    assert (state.headers["upload-offset"], state.headers["upload-length"]) == ("5", "10")
    assert state.headers["upload-metadata"] == headers["Upload-Metadata"]
    assert state.headers["upload-expires"].endswith(" GMT")
    # It is no upload yet.
    unfinished = {"input": {"id": path.rpartition("/")[2]}, "operations": [{"op": "probe"}]}
    problem(await api.post("/api/jobs", json=unfinished), 422, "invalid-request")
    answer = await send(api, path, 5, b"56789", **checksum(b"56789", "sha256"))
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "10")
    assert (await job_on(api, path))["input"]["sha256"] == hashlib.sha256(b"0123456789").hexdigest()
    # A client that did not hear of it asks again.
    assert await offset(api, path) == 10
    assert (await send(api, path, 10, b"")).status_code == 204


async def test_a_file_of_no_bytes_is_whole_at_once(api: httpx.AsyncClient) -> None:
    path = await begin(api, 0)
    assert (await job_on(api, path))["input"]["size_bytes"] == 0


async def test_what_had_come_outlives_a_broken_connection_and_a_killed_server(
    system: System, api: httpx.AsyncClient, store: Store
) -> None:
    path = await begin(api, len(TALK))
    _, writer = await asyncio.open_connection("127.0.0.1", system.api_port)
    head = f"PATCH {path} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
    head += f"Content-Type: application/offset+octet-stream\r\nContent-Length: {len(TALK)}\r\n\r\n"
    writer.write(head.encode() + TALK[:500_000])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    received = await until(lambda: offset(api, path))
    # The kernel may have lost the end of what was sent, and no more than that.
    assert 0 < received <= 500_000
    system.kill(system.process("api"))
    await asyncio.to_thread(system.start_api)
    assert await offset(api, path) == received
    answer = await send(api, path, received, TALK[received:])
    assert answer.status_code == 204, answer.text
    assert (await job_on(api, path))["input"]["sha256"] == hashlib.sha256(TALK).hexdigest()


async def test_who_connects_again_wins_over_the_old_connection(api: httpx.AsyncClient, store: Store) -> None:
    path = await begin(api, 10)
    goes_on, sent = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"xx"
        sent.set()
        await goes_on.wait()
        yield b"xx"

    old = asyncio.create_task(api.patch(path, headers={**BYTES, "Upload-Offset": "0"}, content=slowly()))
    await sent.wait()
    # Until its first byte is there the other one would be the newer.
    await until(lambda: _writer(store, path))
    assert (await send(api, path, 0, b"0123456789")).status_code == 204
    goes_on.set()
    problem(await old, 409, "wrong-offset")
    assert (await job_on(api, path))["input"]["sha256"] == hashlib.sha256(b"0123456789").hexdigest()


async def _writer(store: Store, path: str) -> UUID | None:
    its_row = unfinished_uploads.c.id == UUID(path.rpartition("/")[2])
    async with store.database.read() as connection:
        found = await connection.execute(select(unfinished_uploads.c.writer).where(its_row))
        writer: UUID | None = found.scalar_one()
    return writer


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Length": "10"}, 412),
        ({"Upload-Length": "10", "Tus-Resumable": "0.2.2"}, 412),
        (TUS, 400),
        ({**TUS, "Upload-Length": "-1"}, 400),
        ({**TUS, "Upload-Length": "ten"}, 400),
        ({**TUS, "Upload-Length": "1e3"}, 400),
        ({**TUS, "Upload-Length": "9" * 30}, 400),
        ({**TUS, "Upload-Defer-Length": "1"}, 400),
        ({**TUS, "Upload-Length": str(10 * 1024**3 + 1)}, 413),
        ({**TUS, "Upload-Length": "10", "Upload-Metadata": "filename ???"}, 400),
        ({**TUS, "Upload-Length": "10", "Upload-Metadata": "a YQ==,a YQ=="}, 400),
        ({**TUS, "Upload-Length": "10", "Upload-Metadata": ",,"}, 400),
        ({**TUS, "Upload-Length": "10", "Upload-Metadata": f"filename {'A' * 8000}"}, 400),
        ({**TUS, "Upload-Length": "10", "Content-Type": "text/plain"}, 415),
        ({**BYTES, "Upload-Length": "2"}, 413),
        ({**BYTES, "Upload-Length": "10", "Upload-Checksum": "sha1 AAAA"}, 400),
    ],
)
async def test_a_wrong_beginning_is_told(api: httpx.AsyncClient, headers: dict[str, str], status: int) -> None:
    answer = await api.post(PATH, headers=headers, content=b"012" if "Content-Type" in headers else b"")
    assert answer.status_code == status, answer.text
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert answer.headers["content-type"] == "application/problem+json"
    if status == 412:
        assert answer.headers["tus-version"] == "1.0.0"


async def test_what_is_wrong_changes_nothing(api: httpx.AsyncClient, store: Store) -> None:
    path = await begin(api, 10)
    assert (await send(api, path, 0, b"0123")).status_code == 204
    before = await incoming(store)
    at_4 = {**BYTES, "Upload-Offset": "4"}
    wrong: list[tuple[dict[str, str], bytes, int]] = [
        ({key: value for key, value in at_4.items() if key != "Tus-Resumable"}, b"4", 412),
        ({**at_4, "Upload-Offset": "0"}, b"4", 409),
        ({**at_4, "Upload-Offset": "5"}, b"4", 409),
        ({**at_4, "Upload-Offset": "11"}, b"4", 409),
        ({**at_4, "Upload-Offset": "x"}, b"4", 400),
        (BYTES, b"4", 400),
        ({**at_4, "Content-Type": "application/octet-stream"}, b"4", 415),
        ({**at_4, **checksum(b"5")}, b"4", 460),
        ({**at_4, "Upload-Checksum": "crc32 AAAA"}, b"4", 400),
        ({**at_4, "Upload-Checksum": "sha1"}, b"4", 400),
        ({**at_4, "Upload-Checksum": "sha1 ????"}, b"4", 400),
        (at_4, b"4567890", 413),
    ]
    for headers, data, status in wrong:
        answer = await api.patch(path, headers=headers, content=data)
        assert answer.status_code == status, (headers, answer.text)
        assert answer.headers["tus-resumable"] == "1.0.0"
        assert answer.headers["content-type"] == "application/problem+json"
        assert await offset(api, path) == 4
    # Without a length at the beginning it shows when there are too many.
    answer = await api.patch(path, headers=at_4, content=_in_parts(b"4567890"))
    problem(answer, 413, "too-large")
    assert await offset(api, path) in (4, 8)
    assert len(await incoming(store) - before) <= 1


async def _in_parts(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 4):
        yield data[start : start + 4]


async def test_one_that_is_given_up_is_gone(api: httpx.AsyncClient, store: Store) -> None:
    before = await incoming(store)
    path = await begin(api, 10)
    await send(api, path, 0, b"01234")
    assert len(await incoming(store) - before) == 1
    answer = await api.delete(path, headers=TUS)
    assert (answer.status_code, answer.headers["tus-resumable"]) == (204, "1.0.0")
    assert await incoming(store) == before
    assert (await api.head(path, headers=TUS)).status_code == 404
    problem(await send(api, path, 5, b"56789"), 404, "upload-not-found")
    problem(await api.delete(path, headers=TUS), 404, "upload-not-found")


async def test_one_whose_time_is_over_is_gone(api: httpx.AsyncClient, store: Store) -> None:
    path = await begin(api, 10)
    its_row = unfinished_uploads.c.id == UUID(path.rpartition("/")[2])
    async with store.database.write() as connection:
        await connection.execute(update(unfinished_uploads).where(its_row).values(expires_at=store.database.now(-1.0)))
    assert (await api.head(path, headers=TUS)).status_code == 410
    problem(await send(api, path, 0, b"01234"), 410, "upload-expired")


async def test_unknown_ones_are_told(api: httpx.AsyncClient) -> None:
    problem(await send(api, f"{PATH}/{uuid4()}", 0, b"0"), 404, "upload-not-found")
    problem(await send(api, f"{PATH}/17", 0, b"0"), 422, "invalid-request")


async def test_clients_that_can_only_post(api: httpx.AsyncClient) -> None:
    path = await begin(api, 4)
    patch = {**BYTES, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert (await api.post(path, headers=patch, content=b"0123")).status_code == 204
    assert (await api.post(path, headers={**TUS, "X-HTTP-Method-Override": "DELETE"})).status_code == 204
    assert (await api.post(path, headers=TUS)).status_code == 405
    assert (await job_on(api, path))["input"]["size_bytes"] == 4
