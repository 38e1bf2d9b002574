import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from tests.integration.api.driving import MAX_UPLOAD, Store, files_under, pointers, problem
from tests.system import System

BOUNDARY = "----boundary"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
FILE_PART = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'


async def test_an_upload_is_stored_under_its_digest(api: httpx.AsyncClient, store: Store, blobs_folder: Path) -> None:
    # What other tests have begun and not ended.
    incoming = files_under(blobs_folder / "incoming")
    data = b"RIFF" + bytes(range(256)) * 100
    answer = await api.post("/api/uploads", files={"file": ("talk.wav", data)})
    assert answer.status_code == 201
    upload = answer.json()
    digest = hashlib.sha256(data).hexdigest()
    assert (upload["sha256"], upload["size_bytes"], upload["filename"]) == (digest, len(data), "talk.wav")
    assert (blobs_folder / "inputs" / digest[:2] / digest).read_bytes() == data
    assert files_under(blobs_folder / "incoming") == incoming


async def test_equal_bytes_are_stored_once(api: httpx.AsyncClient, blobs_folder: Path) -> None:
    # What other tests have begun and not ended.
    incoming = files_under(blobs_folder / "incoming")
    data = b"the same bytes"
    first, second = [(await api.post("/api/uploads", files={"file": (name, data)})).json() for name in ("1", "2")]
    assert first["id"] != second["id"]
    assert first["sha256"] == second["sha256"]
    assert [name for name in files_under(blobs_folder) if name.endswith(first["sha256"])] == [
        f"inputs/{first['sha256'][:2]}/{first['sha256']}"
    ]
    assert files_under(blobs_folder / "incoming") == incoming


async def test_equal_bytes_at_the_same_time(api: httpx.AsyncClient, blobs_folder: Path) -> None:
    # What other tests have begun and not ended.
    incoming = files_under(blobs_folder / "incoming")
    data = b"at once" * 10_000
    answers = await asyncio.gather(*(api.post("/api/uploads", files={"file": ("a", data)}) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    digest = hashlib.sha256(data).hexdigest()
    assert (blobs_folder / "inputs" / digest[:2] / digest).read_bytes() == data
    assert files_under(blobs_folder / "incoming") == incoming


async def test_an_empty_file_is_taken(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/uploads", files={"file": ("empty.wav", b"")})
    assert answer.status_code == 201
    assert answer.json()["size_bytes"] == 0
    assert answer.json()["sha256"] == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\music\\song.mp3", "song.mp3"),
        ("Gespräch №1.wav", "Gespräch №1.wav"),
        ("x" * 500 + ".flac", "x" * 155 + ".flac"),
        ("..", None),
    ],
)
async def test_file_names_are_cleaned(api: httpx.AsyncClient, sent: str, kept: str | None) -> None:
    answer = await api.post("/api/uploads", files={"file": (sent, b"x")})
    assert answer.status_code == 201
    assert answer.json()["filename"] == kept


async def test_a_part_without_a_file_name_is_a_file_too(api: httpx.AsyncClient) -> None:
    body = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc\r\n--{BOUNDARY}--\r\n'
    answer = await api.post("/api/uploads", content=body, headers=FORM)
    assert answer.status_code == 201
    assert answer.json()["filename"] is None


async def test_an_upload_of_the_limit_is_taken_and_one_byte_more_is_not(
    api: httpx.AsyncClient, blobs_folder: Path
) -> None:
    answer = await api.post("/api/uploads", files={"file": ("a", b"l" * MAX_UPLOAD)})
    assert answer.status_code == 201
    before = files_under(blobs_folder)
    answer = await api.post("/api/uploads", files={"file": ("a", b"m" * (MAX_UPLOAD + 1))})
    assert str(MAX_UPLOAD) in problem(answer, 413, "too-large")["detail"]
    assert files_under(blobs_folder) == before


async def test_too_much_is_refused_while_it_comes(api: httpx.AsyncClient, blobs_folder: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield FILE_PART.encode()
        for _ in range(20):
            yield b"e" * (MAX_UPLOAD // 8)

    before = files_under(blobs_folder)
    # In chunks: no Content-Length tells the API beforehand.
    problem(await api.post("/api/uploads", content=endless(), headers=FORM), 413, "too-large")
    assert files_under(blobs_folder) == before


async def test_too_much_is_refused_before_it_comes(system: System) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", system.api_port)
    head = f"POST /api/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM['Content-Type']}\r\n"
    writer.write(f"{head}Content-Length: {10**12}\r\nExpect: 100-continue\r\n\r\n".encode())
    status = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    # Not 100 Continue: the client is spared a terabyte.
    assert status.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("", "ends before its closing boundary"),
        ("no boundary here", "not a valid multipart"),
        (FILE_PART + "data that stops", "ends before its closing boundary"),
        (FILE_PART + f"data\r\n--{BOUNDARY}", "ends before its closing boundary"),
        (f"--{BOUNDARY}\r\nContent-Type: audio/wav\r\n\r\nx\r\n--{BOUNDARY}--", "Content-Disposition"),
        (f"--{BOUNDARY}\r\nbad header\r\n\r\nx\r\n--{BOUNDARY}--", "not a valid multipart"),
        (f"--{BOUNDARY}\r\nX: {'x' * 100_000}\r\n\r\nx\r\n--{BOUNDARY}--", "not a valid multipart"),
    ],
)
async def test_malformed_multipart(api: httpx.AsyncClient, blobs_folder: Path, body: str, detail: str) -> None:
    before = files_under(blobs_folder)
    answer = await api.post("/api/uploads", content=body.encode(), headers=FORM)
    assert detail in problem(answer, 400, "malformed-body")["detail"]
    assert files_under(blobs_folder) == before


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=", None])
async def test_a_multipart_body_without_boundary(api: httpx.AsyncClient, content_type: str | None) -> None:
    headers = {"Content-Type": content_type or f"multipart/form-data; boundary={'b' * 300}"}
    problem(await api.post("/api/uploads", content=b"--\r\n", headers=headers), 400, "malformed-body")


@pytest.mark.parametrize(
    ("parts", "pointer"),
    [
        ([("other", ("a", b"x"))], "#/other"),
        ([("file", ("a", b"x")), ("file", ("b", b"y"))], "#/file"),
        ([("file", ("a", b"x")), ("spec", (None, b"{}"))], "#/spec"),
        ([("a/b~c", ("a", b"x"))], "#/a~1b~0c"),
    ],
)
async def test_wrong_parts(
    api: httpx.AsyncClient, blobs_folder: Path, parts: list[tuple[str, tuple[str | None, bytes]]], pointer: str
) -> None:
    before = files_under(blobs_folder)
    answer = await api.post("/api/uploads", files=parts)
    assert pointers(problem(answer, 422, "invalid-request")) == [pointer]
    assert files_under(blobs_folder) == before


async def test_a_form_without_a_file(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/uploads", content=f"--{BOUNDARY}--\r\n", headers=FORM)
    assert pointers(problem(answer, 422, "invalid-request")) == ["#/file"]


@pytest.mark.parametrize("content_type", ["application/json", "application/octet-stream", "audio/wav", ""])
async def test_a_body_of_another_type(api: httpx.AsyncClient, content_type: str) -> None:
    answer = await api.post("/api/uploads", content=b"{}", headers={"Content-Type": content_type})
    assert "multipart/form-data" in problem(answer, 415, "unsupported-media-type")["detail"]


async def test_a_client_that_leaves_leaves_nothing(system: System, blobs_folder: Path) -> None:
    before = files_under(blobs_folder)
    _, writer = await asyncio.open_connection("127.0.0.1", system.api_port)
    head = f"POST /api/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM['Content-Type']}\r\n"
    writer.write(f"{head}Content-Length: {MAX_UPLOAD}\r\n\r\n{FILE_PART}".encode() + b"g" * (MAX_UPLOAD // 2))
    await writer.drain()
    await _until(lambda: files_under(blobs_folder) != before, "the upload never began")
    writer.transport.abort()
    await _until(lambda: files_under(blobs_folder) == before, "the upload's bytes are still there")
    assert "unexpected error" not in system.log()


async def _until(condition: Callable[[], bool], otherwise: str) -> None:
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(otherwise)


async def test_without_a_bucket_a_direct_upload_is_told_where_else_to_go(api: httpx.AsyncClient) -> None:
    body = problem(await api.post("/api/uploads/presigned", json={"size_bytes": 3}), 409, "no-bucket")
    assert "/api/uploads/tus" in body["detail"]
