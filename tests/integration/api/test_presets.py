"""Presets: those that are built in, those that a client puts, and jobs that are made from them."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.integration.api.driving import pointers, problem

BODY = {
    "description": "Ours.",
    "operations": [
        {"op": "normalize", "target_lufs": -18, "format": "mp3", "edits": [{"edit": "high_pass"}]},
        {"op": "waveform"},
    ],
}


async def put(api: httpx.AsyncClient, name: str, body: dict[str, Any] = BODY, **headers: str) -> httpx.Response:
    return await api.put(
        f"/api/presets/{name}", json=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


async def test_the_built_in_ones_are_listed_and_stay(api: httpx.AsyncClient) -> None:
    listed = (await api.get("/api/presets")).json()["presets"]
    built_in = [preset for preset in listed if preset["built_in"]]
    assert "podcast" in [preset["name"] for preset in built_in]
    for preset in built_in:
        assert (await api.get(f"/api/presets/{preset['name']}")).json() == preset
        assert preset["description"]
        problem(await put(api, preset["name"]), 409, "preset-built-in")
        problem(await api.delete(f"/api/presets/{preset['name']}"), 409, "preset-built-in")
        # It can be used as it stands.
        assert (await api.post("/api/jobs:validate", json={"preset": preset["name"]})).status_code == 200
    assert (await api.get("/api/presets")).json()["presets"][: len(built_in)] == built_in


async def test_the_life_of_a_preset(api: httpx.AsyncClient) -> None:
    problem(await api.get("/api/presets/ours"), 404, "preset-not-found")
    answer = await put(api, "ours")
    assert answer.status_code == 201, answer.text
    preset = answer.json()
    assert (preset["name"], preset["description"], preset["built_in"], preset["version"]) == ("ours", "Ours.", False, 1)
    assert [operation["name"] for operation in preset["operations"]] == ["normalize", "waveform"]
    shown = await api.get("/api/presets/ours")
    assert (shown.json(), shown.headers["etag"]) == (preset, '"1"')
    assert preset in (await api.get("/api/presets")).json()["presets"]
    answer = await put(api, "ours", {"operations": [{"op": "probe"}]})
    assert (answer.status_code, answer.headers["etag"], answer.json()["version"]) == (200, '"2"', 2)
    assert answer.json()["created_at"] == preset["created_at"]
    assert (await api.delete("/api/presets/ours")).status_code == 204
    problem(await api.delete("/api/presets/ours"), 404, "preset-not-found")
    assert "ours" not in [preset["name"] for preset in (await api.get("/api/presets")).json()["presets"]]


async def test_only_the_version_that_was_seen_is_replaced(api: httpx.AsyncClient) -> None:
    problem(await put(api, "seen", if_match='"1"'), 412, "changed")
    problem(await put(api, "seen", if_match="*"), 412, "changed")
    assert (await put(api, "seen", if_none_match="*")).status_code == 201
    problem(await put(api, "seen", if_none_match="*"), 412, "changed")
    assert (await put(api, "seen", if_match='"1"')).status_code == 200
    assert (await put(api, "seen", if_match="*")).status_code == 200
    for tag in ('"1"', '"9"', '"x"', "garbage", '"' + "9" * 30 + '"'):
        problem(await put(api, "seen", if_match=tag), 412, "changed")
        problem(await api.delete("/api/presets/seen", headers={"If-Match": tag}), 412, "changed")
    assert (await api.get("/api/presets/seen")).headers["etag"] == '"3"'
    assert (await api.delete("/api/presets/seen", headers={"If-Match": '"3"'})).status_code == 204


async def test_of_many_who_put_at_once_one_creates(api: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(put(api, "many", if_none_match="*") for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [412] * 7
    assert (await api.delete("/api/presets/many")).status_code == 204


async def test_a_job_has_the_presets_operations_of_its_day_and_its_own_overrides(api: httpx.AsyncClient) -> None:
    assert (await put(api, "day")).status_code == 201
    upload = (await api.post("/api/uploads", files={"file": ("a.wav", b"preset")})).json()
    overrides = {"normalize": {"target_lufs": -14, "bitrate_kbps": 192}}
    body = {"input": {"id": upload["id"]}, "preset": "day", "overrides": overrides}
    job = (await api.post("/api/jobs", json=body)).json()
    normalize, waveform = job["operations"]
    assert job["preset"] == "day"
    assert (normalize["target_lufs"], normalize["bitrate_kbps"], normalize["format"]) == (-14, 192, "mp3")
    assert normalize["edits"][0]["frequency_hz"] == 80
    assert waveform["bits"] == 8
    assert (await put(api, "day", {"operations": [{"op": "probe"}]})).status_code == 200
    assert (await api.get(f"/api/jobs/{job['id']}")).json()["operations"] == job["operations"]
    plan = (await api.post("/api/jobs:validate", json={"preset": "day"})).json()
    assert [operation["op"] for operation in plan["operations"]] == ["probe"]
    assert (await api.delete("/api/presets/day")).status_code == 204


@pytest.mark.parametrize(
    ("name", "body", "pointer"),
    [
        ("Ours", BODY, "#/name"),
        ("a" * 65, BODY, "#/name"),
        ("-a", BODY, "#/name"),
        ("%00", BODY, "#/name"),
        ("bad", {"operations": []}, "#/operations"),
        ("bad", {"operations": [{"op": "fly"}]}, "#/operations/0"),
        ("bad", {"operations": [{"op": "probe"}] * 33}, "#/operations"),
        ("bad", {"operations": [{"op": "probe", "name": "a"}, {"op": "loudness", "name": "a"}]}, "#/operations"),
        ("bad", {"operations": [{"op": "probe"}], "description": "x" * 501}, "#/description"),
        ("bad", {"operations": [{"op": "probe"}], "built_in": True}, "#/built_in"),
    ],
)
async def test_presets_that_cannot_be(api: httpx.AsyncClient, name: str, body: dict[str, Any], pointer: str) -> None:
    assert pointers(problem(await put(api, name, body), 422, "invalid-request")) == [pointer]
    assert (await api.get("/api/presets")).text.find('"bad"') == -1
