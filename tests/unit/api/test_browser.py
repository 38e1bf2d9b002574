"""What browsers are told, by the settings."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from services.api.app import create_app
from shared.settings import Settings


def app_of(folder: Path, **settings: Any) -> FastAPI:
    return create_app(Settings(data_dir=folder, **settings))


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api")


async def test_without_settings_nothing_is_shared(tmp_path: Path) -> None:
    async with client_of(app_of(tmp_path)) as api:
        for path in ("/healthz", "/nope", "/openapi.json"):
            headers = (await api.get(path, headers={"Origin": "https://a.example"})).headers
            assert headers["content-security-policy"] == "default-src 'none'; sandbox; frame-ancestors 'none'"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["x-frame-options"] == "DENY"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert not any(name.startswith("access-control-") for name in headers)
            assert "strict-transport-security" not in headers
        # The page needs its script.
        page = (await api.get("/docs")).headers["content-security-policy"]
        assert page == "frame-ancestors 'none'"
        preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
        assert "access-control-allow-origin" not in (await api.options("/api/jobs", headers=preflight)).headers


async def test_scripts_of_the_origins_that_are_named_may_use_it(tmp_path: Path) -> None:
    app = app_of(
        tmp_path, cors_origins="https://a.example, https://b.example", hsts_seconds=60, frame_ancestors="'self'"
    )
    async with client_of(app) as api:
        answer = await api.get("/healthz", headers={"Origin": "https://b.example"})
        assert answer.headers["access-control-allow-origin"] == "https://b.example"
        assert "ETag" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert answer.headers["strict-transport-security"] == "max-age=60"
        assert answer.headers["content-security-policy"].endswith("frame-ancestors 'self'")
        assert "x-frame-options" not in answer.headers
        stranger = await api.get("/healthz", headers={"Origin": "https://c.example"})
        assert "access-control-allow-origin" not in stranger.headers
        wanted = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
        preflight = await api.options("/api/presets/a", headers={"Origin": "https://a.example", **wanted})
        assert preflight.status_code == 200
        assert "authorization" in preflight.headers["access-control-allow-headers"].lower()


@pytest.mark.parametrize("origins", ["a.example", "https://a.example/", "https://a.example https://b.example", "null"])
def test_an_origin_that_no_browser_sends_is_refused(origins: str) -> None:
    with pytest.raises(ValidationError, match="origins like"):
        Settings(cors_origins=origins)


@pytest.mark.parametrize("value", ["", "'self'; script-src *", "a\r\nb", "a,b"])
def test_frame_ancestors_is_one_directive(value: str) -> None:
    with pytest.raises(ValidationError, match="frame-ancestors"):
        Settings(frame_ancestors=value)
