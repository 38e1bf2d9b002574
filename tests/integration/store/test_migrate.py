"""`python -m shared.store.migrate --wait`: what pods do until the schema is there."""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator

import asyncpg
import pytest

from deploy.local.servers import PostgresServer
from tests.conftest import migrate
from tests.system import ROOT


def start_waiting(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "shared.store.migrate", "--wait"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url},
        stderr=subprocess.PIPE,
        text=True,
    )


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
def empty_url(postgres_server: PostgresServer) -> Iterator[str]:
    name = f"empty_{secrets.token_hex(6)}"
    asyncio.run(execute(postgres_server.url, f'CREATE DATABASE "{name}"'))
    yield postgres_server.url_of(name)
    asyncio.run(execute(postgres_server.url, f'DROP DATABASE "{name}" WITH (FORCE)'))


def test_it_waits_until_another_has_migrated(empty_url: str) -> None:
    waiting = start_waiting(empty_url)
    try:
        assert waiting.stderr is not None
        assert "not migrated to this version yet" in waiting.stderr.readline()
        assert waiting.poll() is None
        migrate(empty_url)
        assert waiting.wait(60) == 0
    finally:
        waiting.kill()
        waiting.wait()


def test_a_database_that_is_newer_is_not_waited_for(postgres_url: str) -> None:
    asyncio.run(execute(postgres_url, "UPDATE alembic_version SET version_num = '9999'"))
    assert start_waiting(postgres_url).wait(60) == 0
