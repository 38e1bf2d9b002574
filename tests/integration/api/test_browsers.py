"""What browsers are told by a server whose settings name an origin, also where a request is refused."""

import httpx
import pytest

from tests.integration.api.keyed import TRUSTED_ORIGIN, Keyed

ELSEWHERE = {"Origin": "https://elsewhere.example"}
HERE = {"Origin": TRUSTED_ORIGIN}


def allowed(answer: httpx.Response) -> str | None:
    """Whose scripts may read an answer."""
    origin: str | None = answer.headers.get("access-control-allow-origin")
    return origin


@pytest.mark.parametrize("path", ["/api/jobs", "/api/uploads/tus", "/api/presets/a"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_browser_that_asks_before_needs_no_key(keyed: Keyed, path: str, method: str) -> None:
    wanted = "authorization,content-type,idempotency-key,if-match,last-event-id,tus-resumable,upload-offset"
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": wanted}
    async with httpx.AsyncClient(base_url=keyed.system.client.base_url, trust_env=False) as client:
        answer = await client.options(path, headers=HERE | asked)
        assert (answer.status_code, allowed(answer)) == (200, TRUSTED_ORIGIN)
        assert method in answer.headers["access-control-allow-methods"]
        assert set(wanted.split(",")) <= {
            name.strip() for name in answer.headers["access-control-allow-headers"].split(",")
        }
        assert "Origin" in answer.headers["vary"].split(", ")
        answer = await client.options(path, headers=ELSEWHERE | asked)
        assert (answer.status_code, allowed(answer)) == (400, None)


async def test_its_scripts_read_answers_and_refusals(keyed: Keyed) -> None:
    key = await keyed.make()
    async with keyed.client(key.secret) as client:
        answers = {
            200: await client.get("/api/jobs", headers=HERE),
            201: await client.post("/api/uploads", files={"file": ("a.wav", b"audio")}, headers=HERE),
            401: await client.get("/api/jobs", headers=HERE | {"Authorization": "Bearer x"}),
            404: await client.get("/nope", headers=HERE),
            422: await client.post("/api/jobs", json={}, headers=HERE),
        }
        for status, answer in answers.items():
            assert (answer.status_code, allowed(answer)) == (status, TRUSTED_ORIGIN)
            assert "access-control-allow-credentials" not in answer.headers
            assert {"RateLimit", "Retry-After", "Location"} <= set(
                answer.headers["access-control-expose-headers"].split(", ")
            )
            assert answer.headers["strict-transport-security"] == "max-age=60"
            assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox; frame-ancestors 'self'"
            assert answer.headers["x-content-type-options"] == "nosniff"
        stranger = await client.get("/api/jobs", headers=ELSEWHERE)
        assert (stranger.status_code, allowed(stranger)) == (200, None)
