import httpx
import pytest
from pydantic import TypeAdapter, ValidationError

from shared.schema.operations import OPERATIONS, AnyOperation
from tests.integration.api.driving import problem


async def test_every_operation_is_in_the_catalogue(api: httpx.AsyncClient) -> None:
    answer = await api.get("/api/operations")
    assert answer.status_code == 200
    listed = answer.json()["operations"]
    assert {entry["op"] for entry in listed} == {
        "probe",
        "loudness",
        "waveform",
        "spectrogram",
        "silence",
        "acx",
        "transcode",
        "normalize",
        "split",
    }
    assert len(listed) == len(OPERATIONS)
    for entry in listed:
        assert entry["summary"]
        # The example is a valid one, and the schemas are those of this operation.
        TypeAdapter(AnyOperation).validate_python(entry["example"])
        assert entry["example"]["op"] == entry["op"]
        assert entry["parameters"]["properties"]["op"]["const"] == entry["op"]
        assert entry["result"]["properties"]["op"]["const"] == entry["op"]
        assert entry["parameters"]["additionalProperties"] is False


async def test_every_edit_is_in_the_catalogue(api: httpx.AsyncClient) -> None:
    listed = (await api.get("/api/operations")).json()["edits"]
    assert {entry["edit"] for entry in listed} == {
        "trim",
        "fade",
        "concatenate",
        "intro",
        "outro",
        "trim_silence",
        "remove_silence",
        "high_pass",
        "denoise",
    }
    for entry in listed:
        assert entry["summary"]
        edited = {"op": "transcode", "format": "flac", "edits": [entry["example"]]}
        TypeAdapter(AnyOperation).validate_python(edited)
        assert entry["example"]["edit"] == entry["edit"]
        assert entry["parameters"]["properties"]["edit"]["const"] == entry["edit"]
        assert entry["parameters"]["additionalProperties"] is False


async def test_an_example_with_an_unknown_parameter_is_not_valid() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(AnyOperation).validate_python({"op": "probe", "x": 1})


@pytest.mark.parametrize("path", ["/nope", "/api", "/api/jobs/", "/api/jobs/a/b/c/d", "/api/operations/probe"])
async def test_an_address_without_anything(api: httpx.AsyncClient, path: str) -> None:
    problem(await api.get(path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/jobs", "GET, POST"),
        ("DELETE", "/api/uploads", "POST"),
        ("PATCH", "/api/jobs/x/artifacts/y", "GET, HEAD"),
        ("GET", "/api/jobs/x/cancel", "POST"),
        ("POST", "/healthz", "GET"),
    ],
)
async def test_a_method_that_an_address_does_not_take(
    api: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await api.request(method, path)
    problem(answer, 405)
    assert answer.headers["allow"] == allowed


async def test_the_documentation_is_served(api: httpx.AsyncClient) -> None:
    answer = await api.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
    assert "swagger" in (await api.get("/docs")).text
    assert (await api.get("/openapi.json")).json()["info"]["title"] == "Wavemill"


async def test_health(api: httpx.AsyncClient) -> None:
    assert (await api.get("/healthz")).json() == {"status": "alive"}
    answer = await api.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "checks": {"database": "ok", "redis": "ok", "blobs": "ok"}}
