"""The API as a process of its own: one that the tests share, and one whose stores a test may take away."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from deploy.local.servers import RedisServer
from tests.integration.api.driving import MAX_SPEC, MAX_UPLOAD, Store, client_of, store_of
from tests.integration.api.keyed import TRUSTED_ORIGIN, Keyed
from tests.system import System


@pytest.fixture(scope="session")
def system(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, redis_server: RedisServer
) -> Iterator[System]:
    """An API over SQLite, shared by the tests, with small limits."""
    folder = tmp_path_factory.mktemp("api")
    shutil.copyfile(sqlite_template, folder / "wavemill.db")
    limits: dict[str, Any] = {"max_upload_bytes": MAX_UPLOAD, "max_spec_bytes": MAX_SPEC}
    limits["events_heartbeat_seconds"] = 0.3
    with System(folder, database_url=f"sqlite:///{folder / 'wavemill.db'}", redis=redis_server, **limits) as system:
        system.start_api()
        yield system


@pytest.fixture
def blobs_folder(system: System) -> Path:
    """Where the shared API keeps its blobs."""
    return system.folder / "data" / "blobs"


@pytest_asyncio.fixture
async def api(system: System) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the shared API."""
    async with client_of(system) as client:
        yield client


@pytest_asyncio.fixture
async def store(system: System) -> AsyncIterator[Store]:
    """The store of the shared API."""
    store = store_of(system)
    yield store
    await store.close()


@pytest.fixture(scope="session")
def keyed(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, redis_server: RedisServer
) -> Iterator[Keyed]:
    """An API that has keys, and an origin whose scripts may use it; shared by the tests."""
    folder = tmp_path_factory.mktemp("keyed")
    shutil.copyfile(sqlite_template, folder / "wavemill.db")
    settings: dict[str, Any] = {"cors_origins": TRUSTED_ORIGIN, "hsts_seconds": 60, "frame_ancestors": "'self'"}
    url = f"sqlite:///{folder / 'wavemill.db'}"
    with System(folder, database_url=url, redis=redis_server, **settings) as system:
        keyed = Keyed.on(system)
        system.start_api()
        yield keyed


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis that the test may stop."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def own_system(tmp_path: Path, sqlite_url: str, own_redis: RedisServer) -> Iterator[System]:
    """An API whose Redis the test may stop."""
    with System(tmp_path, database_url=sqlite_url, redis=own_redis) as system:
        system.start_api()
        yield system


@pytest_asyncio.fixture
async def own_api(own_system: System) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(own_system) as client:
        yield client


@pytest_asyncio.fixture
async def own_store(own_system: System) -> AsyncIterator[Store]:
    store = store_of(own_system)
    yield store
    await store.close()
