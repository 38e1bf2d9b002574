"""Inputs as a request names them: each that is wrong is told in words, and leaves nothing."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.integration.api.driving import Store, files_under, pointers, problem, submit
from tests.system import System

OPERATIONS = [{"op": "probe"}]
WITH_INTRO = [{"op": "transcode", "format": "flac", "edits": [{"edit": "intro", "input": "jingle"}]}]
URL = {"type": "url", "url": "https://files.example/talk.wav?signature=secret"}


async def post(api: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await api.post("/api/jobs", json={"operations": OPERATIONS} | body)


async def test_a_job_on_a_url_is_fetching_until_somebody_fetches_it(api: httpx.AsyncClient) -> None:
    job = (await post(api, input=URL)).json()
    assert (job["status"], job["input"], job["source_url"]) == ("fetching", None, "https://files.example/talk.wav")
    assert (await api.get(f"/api/jobs/{job['id']}")).json() == job
    listed = (await api.get("/api/jobs", params={"status": "fetching"})).json()["jobs"]
    assert [(found["id"], found["filename"]) for found in listed][:1] == [(job["id"], None)]
    canceled = (await api.post(f"/api/jobs/{job['id']}/cancel")).json()
    assert canceled["status"] == "canceled"


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/"),
        *("http://0/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[fe80::1]/"),
        *("http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.0.1/", "http://100.64.0.1/", "http://[fd00::1]/"),
        *("http://169.254.169.254/latest/meta-data/", "http://0xa9fea9fe/", "http://[fd00:ec2::254]/"),
        *("http://100.100.100.200/", "http://168.63.129.16/", "http://192.0.0.192/", "http://[64:ff9b::a00:1]/"),
        *("http://[2002:a00:1::]/", "http://[::]/", "http://224.0.0.1/", "http://255.255.255.255/"),
        *("http://\u2460\u2461\u2466.0.0.1/", "http://127\u30020\u30020\u30021/", "http:\\\\127.0.0.1\\"),
        *("http://198.18.0.1/", "http://203.0.113.1/", "http://[2001:db8::1]/", "http://[2001::1]/"),
    ],
)
async def test_an_address_within_a_network_is_refused_at_once(api: httpx.AsyncClient, url: str) -> None:
    body = problem(await post(api, input={"type": "url", "url": url}), 422, "invalid-request")
    assert pointers(body) == ["#/input/url"]
    assert "not on the internet" in body["detail"]


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"type": "url", "url": "ftp://files.example/a"}, "#/input/url"),
        ({"type": "url", "url": "file:///etc/passwd"}, "#/input/url"),
        ({"type": "url", "url": "//files.example/a"}, "#/input/url"),
        ({"type": "url", "url": "files.example"}, "#/input/url"),
        ({"type": "url", "url": ""}, "#/input/url"),
        ({"type": "url", "url": "http://"}, "#/input/url"),
        ({"type": "url", "url": "http://[::1"}, "#/input/url"),
        ({"type": "url", "url": "http://a b/"}, "#/input/url"),
        ({"type": "url", "url": "http://files.example:99999/"}, "#/input/url"),
        ({"type": "url", "url": "https://user@files.example/a"}, "#/input/url"),
        ({"type": "url", "url": "https://user:password@files.example/a"}, "#/input/url"),
        ({"type": "url", "url": "https://files.example/" + "a" * 3000}, "#/input/url"),
        ({"type": "url", "url": 17}, "#/input/url"),
        ({"type": "url", "url": None}, "#/input/url"),
        ({"type": "url"}, "#/input/url"),
        ({"type": "url", "url": URL["url"], "headers": {"Cookie": "a"}}, "#/input/headers"),
        ({"type": "ftp", "url": URL["url"]}, "#/input"),
        ({"type": None}, "#/input"),
        ({"type": ["url"]}, "#/input"),
        (["url"], "#/input"),
        ("https://files.example/a", "#/input"),
        ({"type": "artifact", "job_id": "17", "name": "a"}, "#/input/job_id"),
        ({"type": "artifact", "job_id": str(uuid4()), "name": ""}, "#/input/name"),
        ({"type": "artifact", "job_id": str(uuid4()), "name": "a\x00b"}, "#/input/name"),
        ({"type": "artifact", "job_id": str(uuid4()), "name": "../../etc/passwd"}, "#/input/name"),
        ({"type": "artifact", "job_id": str(uuid4())}, "#/input/name"),
        ({"type": "upload", "id": str(uuid4())}, "#/input/id"),
    ],
)
async def test_a_wrong_input_is_told(system: System, api: httpx.AsyncClient, given: Any, pointer: str) -> None:
    before = files_under(system.folder / "data" / "blobs")
    body = problem(await post(api, input=given), 422, "invalid-request")
    assert pointer in pointers(body)
    assert files_under(system.folder / "data" / "blobs") == before


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"operations": WITH_INTRO}, "#"),
        ({"operations": WITH_INTRO, "inputs": {"other": URL}}, "#"),
        ({"inputs": {"jingle": {"id": str(uuid4())}}}, "#/inputs/jingle/id"),
        ({"inputs": {"jingle": {"type": "url", "url": "http://10.0.0.1/"}}}, "#/inputs/jingle/url"),
        ({"inputs": {"jingle": {"type": "artifact", "job_id": str(uuid4()), "name": "a"}}}, "#/inputs/jingle/name"),
        ({"inputs": {"": URL}}, "#/inputs"),
        ({"inputs": {"../x": URL}}, "#/inputs"),
        ({"inputs": {"A": URL}}, "#/inputs"),
        ({"inputs": {"a" * 65: URL}}, "#/inputs"),
        ({"inputs": {f"n{number}": URL for number in range(17)}}, "#/inputs"),
        ({"inputs": [URL]}, "#/inputs"),
    ],
)
async def test_wrong_further_inputs_are_told(api: httpx.AsyncClient, more: dict[str, Any], pointer: str) -> None:
    body = problem(await post(api, input=URL, **more), 422, "invalid-request")
    assert any(found.startswith(pointer) for found in pointers(body)), body


async def test_further_inputs_are_shown_and_claimed(api: httpx.AsyncClient, store: Store) -> None:
    first = await submit(api, b"the talk")
    jingle = (await api.post("/api/uploads", files={"file": ("jingle.wav", b"the jingle")})).json()
    body = {"operations": WITH_INTRO, "input": {"id": first["input"]["id"]}, "inputs": {"jingle": {"id": jingle["id"]}}}
    job = (await post(api, **body)).json()
    assert (job["status"], job["inputs"]) == ("queued", {"jingle": {"upload": jingle, "source_url": None}})
    claim = await store.claim(job["id"])
    assert [(extra.name, extra.sha256, extra.filename) for extra in claim.extras] == [
        ("jingle", jingle["sha256"], "jingle.wav")
    ]


async def test_a_form_takes_further_inputs_too(api: httpx.AsyncClient, store: Store) -> None:
    jingle = (await api.post("/api/uploads", files={"file": ("jingle.wav", b"the jingle")})).json()
    spec = {"operations": WITH_INTRO, "inputs": {"jingle": {"id": jingle["id"]}}}
    answer = await api.post("/api/jobs", data={"spec": json.dumps(spec)}, files={"file": ("a.wav", b"the talk")})
    assert answer.status_code == 202, answer.text
    assert (await store.claim(answer.json()["id"])).extras[0].sha256 == jingle["sha256"]
    spec["inputs"] = {"jingle": {"id": str(uuid4())}}
    answer = await api.post("/api/jobs", data={"spec": json.dumps(spec)}, files={"file": ("a.wav", b"the talk")})
    assert pointers(problem(answer, 422, "invalid-request")) == ["#/spec/inputs/jingle/id"]


async def test_an_artifact_that_is_there_is_an_input(api: httpx.AsyncClient, store: Store) -> None:
    first = await submit(api, filename="talk.wav")
    await store.succeed(first["id"], {"transcode.mp3": ("audio/mpeg", b"some mp3")})
    given = {"type": "artifact", "job_id": first["id"], "name": "transcode.mp3"}
    second = (await post(api, input=given)).json()
    assert (second["status"], second["input"]["filename"]) == ("queued", "talk-transcode.mp3")
    digest = second["input"]["sha256"]
    assert (await store.blobs.size(f"inputs/{digest[:2]}/{digest}")) == len(b"some mp3")
    # Of a job that is not done there is none.
    given = {"type": "artifact", "job_id": second["id"], "name": "transcode.mp3"}
    assert pointers(problem(await post(api, input=given), 422, "invalid-request")) == ["#/input/name"]
