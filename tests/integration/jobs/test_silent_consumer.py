"""A worker that gets no messages, and is not told why, takes jobs again by itself."""

import asyncio
import os
import signal
from pathlib import Path

from deploy.local.servers import RedisServer
from tests.audio_files import recording
from tests.chaos.proxy import Proxy
from tests.system import System


def submit_and_finish(system: System) -> None:
    job_id = system.submit(recording(), {"op": "probe"})["id"]
    assert system.finished(job_id)["status"] == "succeeded"


def test_a_consumer_that_has_fallen_silent_is_started_again(
    redis_server: RedisServer, postgres_url: str, tmp_path: Path
) -> None:
    with System(tmp_path, database_url=postgres_url, redis=redis_server, undispatched_grace_seconds=2.0) as system:
        worker = system.start_worker(app="tests.integration.jobs.silent_worker")
        system.start_api()
        # The first message is taken out of Redis and not read; the reconciler says it again.
        system.start_monitor()
        submit_and_finish(system)
        os.kill(worker.pid, signal.SIGUSR2)
        submit_and_finish(system)
        assert worker.running
        assert "jobs wait and none comes" in system.log()


async def test_a_connection_that_was_forgotten_on_the_way_is_replaced(
    redis_server: RedisServer, postgres_url: str, tmp_path: Path
) -> None:
    async with Proxy(redis_server.port) as proxy:
        with System(tmp_path, database_url=postgres_url, redis=redis_server, undispatched_grace_seconds=5.0) as system:
            worker = system.start_worker(redis_port=proxy.port)
            await asyncio.to_thread(system.start_api)
            # What Redis gives to the forgotten connection is lost; the reconciler says it again.
            await asyncio.to_thread(system.start_monitor)
            await asyncio.to_thread(submit_and_finish, system)
            proxy.forget()
            await asyncio.to_thread(submit_and_finish, system)
            assert worker.running
