"""The network of the chaos suite, before a real server."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.local.processes import LOCALHOST, free_port
from tests.chaos.proxy import Proxy

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest_asyncio.fixture
async def echo() -> AsyncIterator[asyncio.Server]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    async with await asyncio.start_server(answer, LOCALHOST, free_port()) as server:
        yield server


@pytest_asyncio.fixture
async def proxy(echo: asyncio.Server) -> AsyncIterator[Proxy]:
    async with Proxy(echo.sockets[0].getsockname()[1]) as proxy:
        yield proxy


async def say(streams: Streams, line: bytes, *, seconds: float = 5.0) -> bytes:
    reader, writer = streams
    writer.write(line)
    return await asyncio.wait_for(reader.readline(), seconds)


async def test_bytes_pass_both_ways(proxy: Proxy) -> None:
    streams = await asyncio.open_connection(LOCALHOST, proxy.port)
    assert await say(streams, b"hello\n") == b"hello\n"
    streams[1].close()


async def test_a_cut_holds_everything_and_afterwards_it_comes(proxy: Proxy) -> None:
    before = await asyncio.open_connection(LOCALHOST, proxy.port)
    assert await say(before, b"1\n") == b"1\n"
    proxy.cut()
    during = await asyncio.open_connection(LOCALHOST, proxy.port)
    for streams in (before, during):
        with pytest.raises(TimeoutError):
            await say(streams, b"2\n", seconds=0.3)
    proxy.mend()
    for streams in (before, during):
        assert await asyncio.wait_for(streams[0].readline(), 5) == b"2\n"
        streams[1].close()


async def test_a_reset_breaks_connections_and_new_ones_work(proxy: Proxy) -> None:
    streams = await asyncio.open_connection(LOCALHOST, proxy.port)
    assert await say(streams, b"1\n") == b"1\n"
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(streams[0].readline(), 5)
    again = await asyncio.open_connection(LOCALHOST, proxy.port)
    assert await say(again, b"2\n") == b"2\n"
    again[1].close()


async def test_a_server_that_is_away_refuses_through_the_proxy(echo: asyncio.Server, proxy: Proxy) -> None:
    echo.close()
    reader, _ = await asyncio.open_connection(LOCALHOST, proxy.port)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 5)
