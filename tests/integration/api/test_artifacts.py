import hashlib
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from shared.store.retention import Retention
from tests.integration.api.driving import Store, pointers, problem, submit

DATA = bytes(range(256)) * 8
SIZE = len(DATA)
TAG = f'"{hashlib.sha256(DATA).hexdigest()}"'
OTHER = '"' + "0" * 64 + '"'


@dataclass(frozen=True)
class Finished:
    job_id: str
    path: str
    empty: str


@pytest_asyncio.fixture
async def finished(api: httpx.AsyncClient, store: Store) -> Finished:
    job = await submit(api, filename="Größe 1.wav")
    await store.succeed(
        job["id"], {"transcode.opus": ("audio/ogg", DATA), "empty.dat": ("application/octet-stream", b"")}
    )
    base = f"/api/jobs/{job['id']}/artifacts"
    return Finished(job["id"], f"{base}/transcode.opus", f"{base}/empty.dat")


async def test_the_whole_file(api: httpx.AsyncClient, finished: Finished) -> None:
    answer = await api.get(finished.path)
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["content-length"] == str(SIZE)
    assert answer.headers["content-type"] == "audio/ogg"
    assert answer.headers["etag"] == TAG
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; sandbox;")
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"Gr__e 1-transcode.opus\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%201-transcode.opus"
    )


async def test_the_job_lists_where_its_files_are(api: httpx.AsyncClient, finished: Finished) -> None:
    listed = (await api.get(f"/api/jobs/{finished.job_id}")).json()["artifacts"]
    assert [artifact["url"] for artifact in listed] == [finished.empty, finished.path]
    assert [artifact["size_bytes"] for artifact in listed] == [0, SIZE]
    assert f'"{listed[1]["sha256"]}"' == TAG


async def test_head_says_what_get_would(api: httpx.AsyncClient, finished: Finished) -> None:
    head, get = await api.head(finished.path), await api.get(finished.path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "accept-ranges", "content-disposition"):
        assert head.headers[name] == get.headers[name]
    # A range has no meaning for HEAD.
    assert (await api.head(finished.path, headers={"Range": "bytes=0-1"})).status_code == 200
    assert (await api.head(finished.path, headers={"If-None-Match": TAG})).status_code == 304
    assert (await api.head(finished.path + "x")).status_code == 404


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, SIZE),
        ("bytes=-1", SIZE - 1, SIZE),
        ("bytes=-100", SIZE - 100, SIZE),
        (f"bytes=-{SIZE * 2}", 0, SIZE),
        (f"bytes=0-{SIZE * 9}", 0, SIZE),
        (f"bytes={SIZE - 1}-{SIZE - 1}", SIZE - 1, SIZE),
        ("BYTES=5-9", 5, 10),
    ],
)
async def test_a_range(api: httpx.AsyncClient, finished: Finished, asked: str, start: int, end: int) -> None:
    answer = await api.get(finished.path, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, DATA[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.headers["content-length"] == str(end - start)
    assert answer.headers["etag"] == TAG
    assert answer.headers["content-type"] == "audio/ogg"


@pytest.mark.parametrize(
    "asked", ["bytes=9-5", "bytes=a-b", "bytes", "seconds=0-1", "bytes=0-1,5-6", "bytes=--1", "", "bytes=-0"]
)
async def test_a_range_that_is_not_one_gets_the_whole_file(
    api: httpx.AsyncClient, finished: Finished, asked: str
) -> None:
    answer = await api.get(finished.path, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, DATA)


async def test_a_range_behind_the_end(api: httpx.AsyncClient, finished: Finished) -> None:
    answer = await api.get(finished.path, headers={"Range": f"bytes={SIZE}-"})
    problem(answer, 416, "range-not-satisfiable")
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


async def test_an_empty_file(api: httpx.AsyncClient, finished: Finished) -> None:
    answer = await api.get(finished.empty)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    for asked in ("bytes=0-", "bytes=-5"):
        answer = await api.get(finished.empty, headers={"Range": asked})
        problem(answer, 416, "range-not-satisfiable")
        assert answer.headers["content-range"] == "bytes */0"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": TAG}, 304),
        ({"If-None-Match": f"W/{TAG}"}, 304),
        ({"If-None-Match": f"{OTHER}, {TAG}"}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": OTHER}, 200),
        ({"If-Match": TAG}, 200),
        ({"If-Match": f"{OTHER}, {TAG}"}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": OTHER}, 412),
        # If-Match compares strongly, and is looked at first.
        ({"If-Match": f"W/{TAG}"}, 412),
        ({"If-Match": OTHER, "If-None-Match": TAG}, 412),
        ({"If-None-Match": TAG, "Range": "bytes=0-1"}, 304),
        ({"If-None-Match": OTHER, "Range": "bytes=0-1"}, 206),
        ({"If-Match": TAG, "Range": "bytes=0-1"}, 206),
        ({"If-Range": TAG, "Range": "bytes=0-1"}, 206),
        ({"If-Range": OTHER, "Range": "bytes=0-1"}, 200),
        ({"If-Range": f"W/{TAG}", "Range": "bytes=0-1"}, 200),
        ({"If-Range": "Wed, 21 Oct 2026 07:28:00 GMT", "Range": "bytes=0-1"}, 200),
        ({"If-Range": OTHER, "Range": f"bytes={SIZE}-"}, 200),
        ({"If-Range": TAG}, 200),
    ],
)
async def test_conditions(api: httpx.AsyncClient, finished: Finished, headers: dict[str, str], status: int) -> None:
    answer = await api.get(finished.path, headers=headers)
    if status == 412:
        problem(answer, 412, "changed")
        return
    assert answer.status_code == status
    assert answer.headers["etag"] == TAG
    assert answer.content == {200: DATA, 206: DATA[:2], 304: b""}[status]


async def test_a_file_of_several_pieces(api: httpx.AsyncClient, store: Store) -> None:
    data = bytes(range(251)) * 20_000
    job = await submit(api)
    await store.succeed(job["id"], {"a.wav": ("audio/wav", data)})
    path = f"/api/jobs/{job['id']}/artifacts/a.wav"
    assert (await api.get(path)).content == data
    answer = await api.get(path, headers={"Range": "bytes=1000000-4000000"})
    assert answer.content == data[1_000_000:4_000_001]


async def test_artifacts_that_are_not_there(api: httpx.AsyncClient, store: Store, finished: Finished) -> None:
    body = problem(await api.get(finished.path + "x"), 404, "artifact-not-found")
    assert "artifacts" in body["detail"]
    for name in ("..%2F..%2Fetc%2Fpasswd", "%2e%2e"):
        answer = await api.get(f"/api/jobs/{finished.job_id}/artifacts/{name}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
    answer = await api.get(f"/api/jobs/{finished.job_id}/artifacts/%00")
    assert pointers(problem(answer, 422, "invalid-request")) == ["#/name"]
    job = await submit(api)
    body = problem(await api.get(f"/api/jobs/{job['id']}/artifacts/a"), 404, "artifact-not-found")
    assert "queued" in body["detail"]


async def test_an_artifact_whose_file_is_gone(api: httpx.AsyncClient, store: Store, finished: Finished) -> None:
    await store.blobs.delete(await store.keys(str(finished.job_id), "transcode.opus"))
    problem(await api.get(finished.path), 410, "artifact-gone")


async def test_artifacts_that_were_kept_long_enough(api: httpx.AsyncClient, store: Store, finished: Finished) -> None:
    await Retention(store.database).expire_artifacts(keep_seconds=0, after=None, limit=10_000)
    for path in (finished.path, finished.empty):
        assert "Submit it again" in problem(await api.get(path), 410, "artifact-gone")["detail"]
    shown = (await api.get(f"/api/jobs/{finished.job_id}")).json()
    assert (shown["status"], shown["artifacts"]) == ("succeeded", [])
    assert shown["artifacts_removed_at"] is not None
