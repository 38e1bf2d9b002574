"""Clients that follow event streams, in a process of their own: `python -m tests.benchmarks.api.followers PORT`.

The paths, a stream each, come as a JSON list in the first line of standard input. When all are open, and again after
each further line, it says as JSON how many are open and how many of those have heard something since it last said so.
The streams are closed when standard input ends.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

_OPENED_AT_A_TIME = 32


class Follower(asyncio.Protocol):
    """One stream."""

    def __init__(self, request: bytes) -> None:
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_open = False
        self.has_heard = False
        self._request = request
        self._head = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Its head, then events and heartbeats."""
        if self.is_open:
            self.has_heard = True
            return
        self._head += data
        head, found, rest = bytes(self._head).partition(b"\r\n\r\n")
        if not found or self.answered.done():
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.answered.set_exception(ConnectionError(bytes(self._head[:1000]).decode(errors="replace")))
            return
        self.is_open, self.has_heard = True, bool(rest)
        self.answered.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """The server closes the connection at the end of the stream, as it is asked to."""
        self.is_open = False
        if not self.answered.done():
            self.answered.set_exception(error or ConnectionError("the connection was closed"))


async def follow(port: int, paths: Sequence[str]) -> None:
    """Open them all, and tell of them for as long as anybody asks."""
    loop = asyncio.get_running_loop()
    turns = asyncio.Semaphore(_OPENED_AT_A_TIME)

    async def opened(path: str) -> Follower:
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
        async with turns:
            _, follower = await loop.create_connection(lambda: Follower(head), "127.0.0.1", port)
            await follower.answered
        return follower

    followers = await asyncio.gather(*(opened(path) for path in paths))
    while True:
        still_open = [follower for follower in followers if follower.is_open]
        heard = sum(follower.has_heard for follower in still_open)
        print(json.dumps({"open": len(still_open), "heard": heard}), flush=True)  # noqa: T201
        for follower in followers:
            follower.has_heard = False
        if not await asyncio.to_thread(sys.stdin.readline):
            return


def main() -> None:
    """Follow the streams of one server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    arguments = parser.parse_args()
    asyncio.run(follow(arguments.port, json.loads(sys.stdin.readline())))


if __name__ == "__main__":
    main()
