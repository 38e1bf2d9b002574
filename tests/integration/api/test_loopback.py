"""Without keys the API serves this machine alone, and a program or a person on it."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from deploy.local.servers import RedisServer
from services.api.access.gate import _is_from_here
from tests.integration.api.driving import client_of, problem
from tests.integration.api.keyed import Keyed
from tests.system import System


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        # A proxy that passes on what a stranger made up.
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "203.0.113.9"},
        {"Host": "wavemill.example"},
        {"Host": "127.0.0.1.example:8000"},
        {"Host": "localhost.example"},
        {"Host": "["},
        {"Origin": "https://example.com"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_what_comes_from_elsewhere_is_refused(api: httpx.AsyncClient, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/api/jobs"), ("POST", "/api/uploads"), ("POST", "/api/keys")):
        body = problem(await api.request(method, path, headers=headers), 403, "only-local")
        assert "make key" in body["detail"]
    # Whoever looks whether the service is well gets no further.
    assert (await api.get("/healthz", headers=headers)).status_code == 200


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "127.1.2.3:80", "[::1]:8000"])
async def test_what_comes_from_here_is_served(api: httpx.AsyncClient, host: str) -> None:
    own_page = {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    for headers in ({"Host": host}, {"Host": host, **own_page}):
        assert (await api.get("/api/jobs", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("peer", "is_here"),
    [
        (("127.0.0.1", 1), True),
        (("127.8.9.10", 1), True),
        (("::1", 1), True),
        (("192.0.2.1", 1), False),
        (("10.0.0.1", 1), False),
        (("172.17.0.1", 1), False),
        (("2001:db8::1", 1), False),
        (("::ffff:192.0.2.1", 1), False),
        (("0.0.0.0", 1), False),
        (("localhost", 1), False),
        (None, False),
    ],
)
def test_a_machine_is_told_by_its_address(peer: tuple[str, int] | None, is_here: bool) -> None:
    scope = {"type": "http", "client": peer, "headers": [(b"host", b"localhost")]}
    assert _is_from_here(Request(scope), ()) is is_here


def test_a_page_that_the_settings_trust_may_ask() -> None:
    origin = b"https://studio.example"
    headers = [(b"host", b"localhost"), (b"origin", origin), (b"sec-fetch-site", b"cross-site")]
    request = Request({"type": "http", "client": ("127.0.0.1", 1), "headers": headers})
    assert _is_from_here(request, [origin.decode()])
    assert not _is_from_here(request, ["*", "https://other.example"])


async def test_the_first_key_closes_the_api_also_for_this_machine_for_good(
    own_system: System, own_api: httpx.AsyncClient
) -> None:
    assert (await own_api.get("/api/jobs")).status_code == 200
    await _say_in_log(own_system, lambda said: "only this machine is served" in said)
    made = (await own_api.post("/api/keys", json={"name": "first", "scopes": ["admin"]})).json()
    deadline = time.monotonic() + 1.0
    while (await own_api.get("/api/jobs")).status_code != 401:
        assert time.monotonic() < deadline, "the API is open a second after the first key was made"
    async with Keyed(own_system, made["secret"]).client() as administrator:
        assert (await administrator.delete(f"/api/keys/{made['id']}")).status_code == 200
    await asyncio.sleep(1)
    assert (await own_api.get("/api/jobs")).status_code == 401


async def test_keys_may_be_required_of_everybody(tmp_path: Path, sqlite_url: str, redis_server: RedisServer) -> None:
    with System(tmp_path, database_url=sqlite_url, redis=redis_server, require_keys=True) as system:
        system.start_api()
        async with client_of(system) as api:
            problem(await api.get("/api/jobs"), 401, "unauthorized")
        await _say_in_log(system, lambda said: "requests need an API key, and there is none" in said)


async def _say_in_log(system: System, is_said: Callable[[str], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_said(system.log()):
        assert time.monotonic() < deadline, system.log()
        await asyncio.sleep(0.05)
