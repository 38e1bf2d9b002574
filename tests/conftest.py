"""Real servers for every test: PostgreSQL and Redis of their own, on free ports, ended afterwards."""

import asyncio
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from redis import Redis

from deploy.local.servers import PostgresServer, RedisServer
from shared.settings import Settings, variable_name
from shared.store.database import Database

ROOT = Path(__file__).resolve().parent.parent
_TEMPLATE = "wavemill_template"


@pytest.fixture(scope="session", autouse=True)
def _bare_environment() -> Iterator[None]:
    """No setting of the developer's shell or `.env` reaches a test."""
    names = {variable_name(field) for field in Settings.model_fields}
    with pytest.MonkeyPatch.context() as patch:
        for name in names & os.environ.keys():
            patch.delenv(name)
        patch.setitem(Settings.model_config, "env_file", None)
        yield


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One Redis for all tests; each starts with it empty, by the fixture `redis`."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for all tests; each has a database of its own in it."""
    with PostgresServer() as server:
        asyncio.run(_execute(server.url, f'CREATE DATABASE "{_TEMPLATE}"'))
        migrate(server.url_of(_TEMPLATE))
        yield server


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    """A client of the emptied Redis."""
    client = Redis.from_url(redis_server.url)
    client.flushall()
    yield client
    client.flushall()
    client.close()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """DATABASE_URL of a new, migrated PostgreSQL database."""
    with new_database(postgres_server) as url:
        yield url


@contextmanager
def new_database(server: PostgresServer) -> Iterator[str]:
    """The same for as long as the block runs."""
    name = f"test_{secrets.token_hex(6)}"
    asyncio.run(_execute(server.url, f'CREATE DATABASE "{name}" TEMPLATE "{_TEMPLATE}"'))
    yield server.url_of(name)
    asyncio.run(_execute(server.url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """DATABASE_URL of a new, migrated SQLite database."""
    path = tmp_path / "wavemill.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["postgresql", "sqlite"])
def database_url(request: pytest.FixtureRequest) -> str:
    """DATABASE_URL of a new database: the test runs on PostgreSQL and again on SQLite."""
    url: str = request.getfixturevalue("postgres_url" if request.param == "postgresql" else "sqlite_url")
    return url


@pytest.fixture
def settings(database_url: str, redis_server: RedisServer, redis: Redis, tmp_path: Path) -> Settings:
    """Settings of a system of its own, on both databases in turn."""
    return make_settings(database_url, redis_server, tmp_path)


@pytest_asyncio.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    """The store of `settings`."""
    database = Database.from_settings(settings)
    yield database
    await database.close()


def make_settings(database_url: str, redis_server: RedisServer, folder: Path, **more: object) -> Settings:
    """Settings for a database, the tests' Redis and a folder."""
    return Settings.model_validate(
        {
            "database_url": database_url,
            "redis_host": "127.0.0.1",
            "redis_port": redis_server.port,
            "data_dir": folder,
            **more,
        }
    )


def migrate(url: str) -> None:
    """Bring a database to the newest schema, as an operator does."""
    subprocess.run(
        [sys.executable, "-m", "shared.store.migrate"], cwd=ROOT, env={**os.environ, "DATABASE_URL": url}, check=True
    )


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
