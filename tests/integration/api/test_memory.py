import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import psutil

from deploy.local.servers import RedisServer
from tests.integration.api.driving import client_of
from tests.system import System


async def test_memory_stays_flat_while_a_large_file_comes(
    tmp_path: Path, sqlite_url: str, redis_server: RedisServer
) -> None:
    size = 200 * 1024 * 1024
    block = os.urandom(1024 * 1024)

    async def form() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="big.wav"\r\n\r\n'
        for _ in range(size // len(block)):
            yield block
        yield b"\r\n--b--\r\n"

    with System(tmp_path, database_url=sqlite_url, redis=redis_server) as system:
        process = psutil.Process(system.start_api().pid)
        async with client_of(system) as api:
            await api.post("/api/uploads", files={"file": ("warm.wav", block * 4)})
            before = process.memory_info().rss
            peak = before
            headers = {"Content-Type": "multipart/form-data; boundary=b"}
            upload = asyncio.create_task(api.post("/api/uploads", content=form(), headers=headers))
            while not upload.done():
                peak = max(peak, process.memory_info().rss)
                await asyncio.sleep(0.02)
            answer = await upload
        assert answer.status_code == 201
        assert answer.json()["size_bytes"] == size
        assert peak - before < 40 * 1024 * 1024
