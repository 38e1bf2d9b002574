"""Connections that PostgreSQL has closed while they were idle, as a restart does: nobody meets one."""

import time
from pathlib import Path

import asyncpg
import pytest
from redis import Redis

from deploy.local.servers import RedisServer
from shared.store.database import Database
from tests.conftest import make_settings


@pytest.mark.parametrize("loop_turns", [True, False], ids=["noticed", "not noticed yet"])
async def test_a_connection_that_the_server_has_closed_is_replaced(
    postgres_url: str, redis_server: RedisServer, redis: Redis, tmp_path: Path, loop_turns: bool
) -> None:
    database = Database.from_settings(make_settings(postgres_url, redis_server, tmp_path))
    other = await asyncpg.connect(postgres_url)
    try:
        await database.ping()
        ended = await other.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert len(ended) == 1
        if loop_turns:
            await other.fetch("SELECT pg_sleep(0.5)")
        else:
            # A worker's loop stands still between two jobs.
            time.sleep(0.5)  # noqa: ASYNC251 - the point of it
        await database.ping()
    finally:
        await other.close()
        await database.close()
