"""A whole system for each test of jobs: over HTTP in, through Redis and Celery, over HTTP out."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from deploy.local.servers import RedisServer
from tests.system import System


@pytest.fixture
def system(postgres_url: str, redis_server: RedisServer, redis: Redis, tmp_path: Path) -> Iterator[System]:
    """The services over PostgreSQL; nothing is started yet."""
    with System(tmp_path, database_url=postgres_url, redis=redis_server) as system:
        yield system


@pytest.fixture(params=["postgresql", "sqlite"])
def running(
    request: pytest.FixtureRequest, redis_server: RedisServer, redis: Redis, tmp_path: Path
) -> Iterator[System]:
    """A started system, on both databases in turn."""
    url = request.getfixturevalue("postgres_url" if request.param == "postgresql" else "sqlite_url")
    with System(tmp_path, database_url=url, redis=redis_server) as system:
        system.start()
        yield system
