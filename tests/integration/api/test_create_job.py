import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from redis import Redis

from tests.integration.api.driving import MAX_SPEC, PROBE, Store, files_under, pointers, problem, submit


async def test_a_form_makes_a_job(api: httpx.AsyncClient, store: Store) -> None:
    spec = {"operations": [{"op": "loudness"}, {"op": "loudness"}, {"op": "waveform"}], "priority": "high"}
    answer = await api.post(
        "/api/jobs", data={"spec": json.dumps(spec)}, files={"file": ("talk.wav", b"some bytes", "audio/wav")}
    )
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/api/jobs/{job['id']}"
    assert job["status"] == "queued"
    assert job["priority"] == "high"
    assert [operation["name"] for operation in job["operations"]] == ["loudness", "loudness-2", "waveform"]
    assert (job["input"]["filename"], job["input"]["size_bytes"]) == ("talk.wav", 10)
    # What is said at once is what is read later.
    assert (await api.get(answer.headers["location"])).json() == job
    claim = await store.claim(job["id"])
    assert claim.input_sha256 == job["input"]["sha256"]
    assert claim.max_attempts == 4


@pytest.mark.parametrize("order", [("spec", "file"), ("file", "spec")])
async def test_the_parts_come_in_any_order(api: httpx.AsyncClient, order: tuple[str, str]) -> None:
    parts: dict[str, tuple[str, Any]] = {"spec": ("spec", (None, PROBE)), "file": ("file", ("a.wav", b"audio"))}
    answer = await api.post("/api/jobs", files=[parts[name] for name in order])
    assert answer.status_code == 202
    assert answer.json()["input"]["size_bytes"] == 5


async def test_json_names_an_earlier_upload(api: httpx.AsyncClient) -> None:
    upload = (await api.post("/api/uploads", files={"file": ("talk.wav", b"earlier")})).json()
    body = {"input": {"type": "upload", "id": upload["id"]}, "operations": [{"op": "probe"}], "priority": "low"}
    answer = await api.post("/api/jobs", json=body)
    assert answer.status_code == 202
    job = answer.json()
    assert job["input"] == upload
    assert job["priority"] == "low"
    assert (await api.get(answer.headers["location"])).json() == job


async def test_a_job_is_on_its_queue_at_once(api: httpx.AsyncClient, redis: Redis) -> None:
    spec = json.dumps({"operations": [{"op": "probe"}], "priority": "high"})
    answer = await api.post("/api/jobs", data={"spec": spec}, files={"file": ("a", b"x")})
    popped = redis.blpop(["high"], timeout=10)
    assert popped is not None
    message = json.loads(popped[1])
    assert message["headers"]["task"] == "wavemill.run_job"
    assert message["headers"]["job_id"] == answer.json()["id"]


async def test_an_upload_that_does_not_exist(api: httpx.AsyncClient) -> None:
    unknown = str(uuid4())
    answer = await api.post("/api/jobs", json={"input": {"id": unknown}, "operations": [{"op": "probe"}]})
    body = problem(answer, 422, "invalid-request")
    assert pointers(body) == ["#/input/id"]
    assert unknown in body["detail"]


DEEP = '{"operations": ' + "[" * 1000 + "]" * 1000 + "}"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("", ["#/spec"]),
        ("{", ["#/spec"]),
        ("null", ["#/spec"]),
        ("[]", ["#/spec"]),
        ("{}", ["#/spec/operations"]),
        (DEEP, ["#/spec"]),
        ('{"operations": []}', ["#/spec/operations"]),
        ('{"operations": [{"op": "fly"}]}', ["#/spec/operations/0"]),
        ('{"operations": [{}]}', ["#/spec/operations/0"]),
        ('{"operations": [{"op": "probe", "speed": 1}]}', ["#/spec/operations/0/speed"]),
        ('{"operations": [{"op": "probe"}, {"op": "transcode"}]}', ["#/spec/operations/1/format"]),
        ('{"operations": [{"op": "transcode", "format": "flac", "bitrate_kbps": 64}]}', ["#/spec/operations/0"]),
        (
            '{"operations": [{"op": "transcode", "format": "mp3", "bitrate_kbps": "loud", "channels": 0}]}',
            ["#/spec/operations/0/bitrate_kbps", "#/spec/operations/0/channels"],
        ),
        ('{"operations": [{"op": "normalize", "target_lufs": NaN}]}', ["#/spec/operations/0/target_lufs"]),
        ('{"operations": [{"op": "normalize", "target_lufs": 1e999}]}', ["#/spec/operations/0/target_lufs"]),
        ('{"operations": [{"op": "waveform", "formats": ["dat", "gif"]}]}', ["#/spec/operations/0/formats/1"]),
        ('{"operations": [{"op": "probe", "name": "../x"}]}', ["#/spec/operations/0/name"]),
        ('{"operations": [{"op": "probe", "name": "a"}, {"op": "loudness", "name": "a"}]}', ["#/spec/operations"]),
        ('{"operations": [{"op": "probe"}], "priority": "urgent"}', ["#/spec/priority"]),
        ('{"operations": [{"op": "probe"}], "input": {"id": "x"}}', ["#/spec/input"]),
        ('{"operations": [' + ",".join(['{"op": "probe"}'] * 33) + "]}", ["#/spec/operations"]),
        ('{"operations": [{"op": "probe"}], "a/b~c": 1}', ["#/spec/a~1b~0c"]),
        ('{"operations": [{"op": "\\ud800"}]}', ["#/spec"]),
        ("\x00", ["#/spec"]),
    ],
)
async def test_a_spec_that_is_wrong_leaves_nothing(
    api: httpx.AsyncClient, blobs_folder: Path, spec: str, expected: list[str]
) -> None:
    before = files_under(blobs_folder)
    jobs = (await api.get("/api/jobs")).json()
    answer = await api.post("/api/jobs", files=[("file", ("a.wav", b"never stored")), ("spec", (None, spec))])
    assert pointers(problem(answer, 422, "invalid-request")) == expected
    assert files_under(blobs_folder) == before
    assert (await api.get("/api/jobs")).json() == jobs
    # The same as JSON, where `input` is missing too.
    answer = await api.post("/api/jobs", content=spec.encode(), headers={"Content-Type": "application/json"})
    found = pointers(problem(answer, 422, "invalid-request"))
    if expected != ["#/spec"]:
        assert {pointer.replace("#/spec", "#") for pointer in expected} - {"#/input"} <= set(found)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"operations": [{"op": "probe"}]}, "#/input"),
        ({"operations": [{"op": "probe"}], "input": {"id": "17"}}, "#/input/id"),
        ({"operations": [{"op": "probe"}], "input": {"id": None}}, "#/input/id"),
        ({"operations": [{"op": "probe"}], "input": {"type": "ftp", "url": "http://x"}}, "#/input"),
    ],
)
async def test_json_with_a_wrong_input(api: httpx.AsyncClient, body: dict[str, Any], pointer: str) -> None:
    assert pointer in pointers(problem(await api.post("/api/jobs", json=body), 422, "invalid-request"))


async def test_not_utf8(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/jobs", content=b'{"a": "\xff"}', headers={"Content-Type": "application/json"})
    assert pointers(problem(answer, 422, "invalid-request")) == ["#"]


async def test_what_was_sent_is_not_sent_back_at_length(api: httpx.AsyncClient) -> None:
    spec = json.dumps({"operations": [{"op": "x" * 3000}], "y" * 900: 1})
    answer = await api.post("/api/jobs", files=[("file", ("a", b"x")), ("spec", (None, spec))])
    problem(answer, 422, "invalid-request")
    assert len(answer.content) < 1500


async def test_a_spec_that_is_too_large(api: httpx.AsyncClient, blobs_folder: Path) -> None:
    spec = PROBE + " " * (MAX_SPEC - len(PROBE))
    assert (await api.post("/api/jobs", data={"spec": spec}, files={"file": ("a", b"fits")})).status_code == 202
    before = files_under(blobs_folder)
    orders: list[list[tuple[str, Any]]] = [
        [("spec", (None, spec + " ")), ("file", ("a", b"1"))],
        [("file", ("a", b"2")), ("spec", (None, spec + " "))],
    ]
    for parts in orders:
        problem(await api.post("/api/jobs", files=parts), 413, "too-large")
    assert files_under(blobs_folder) == before


async def test_json_that_is_too_large(api: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    problem(await api.post("/api/jobs", content=b" " * (MAX_SPEC + 1), headers=headers), 413, "too-large")

    async def chunked() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * (MAX_SPEC // 2)

    problem(await api.post("/api/jobs", content=chunked(), headers=headers), 413, "too-large")


@pytest.mark.parametrize(
    ("parts", "pointer"),
    [
        ([("spec", (None, PROBE))], "#/file"),
        ([("file", ("a", b"x"))], "#/spec"),
        ([("spec", (None, PROBE)), ("spec", (None, PROBE)), ("file", ("a", b"x"))], "#/spec"),
        ([("file", ("a", b"x")), ("spec", (None, PROBE)), ("file", ("a", b"x"))], "#/file"),
        ([("file", ("a", b"x")), ("spec", (None, PROBE)), ("extra", (None, b"x"))], "#/extra"),
    ],
)
async def test_wrong_parts_leave_nothing(
    api: httpx.AsyncClient, blobs_folder: Path, parts: list[tuple[str, Any]], pointer: str
) -> None:
    before = files_under(blobs_folder)
    answer = await api.post("/api/jobs", files=parts)
    assert pointers(problem(answer, 422, "invalid-request")) == [pointer]
    assert files_under(blobs_folder) == before


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", ""])
async def test_a_body_of_another_type(api: httpx.AsyncClient, content_type: str) -> None:
    answer = await api.post("/api/jobs", content=b"{}", headers={"Content-Type": content_type})
    problem(answer, 415, "unsupported-media-type")


async def test_jobs_on_the_same_bytes_share_them(api: httpx.AsyncClient, blobs_folder: Path) -> None:
    first, second = await submit(api, b"shared bytes"), await submit(api, b"shared bytes")
    assert first["id"] != second["id"]
    digest = first["input"]["sha256"]
    assert second["input"]["sha256"] == digest
    assert len([name for name in files_under(blobs_folder) if name.endswith(digest)]) == 1
