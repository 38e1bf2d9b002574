"""GET requests at a steady rate, in a process of its own: `python -m tests.benchmarks.api.paced PORT RATE`.

The paths, asked for in turn, come as a JSON list in the first line of standard input; it says `ready` when it begins,
and its figures as JSON when standard input ends. A request's time counts from the moment that it was due: one that a
busy server, or a busy generator, holds up holds up no other, and is not forgiven.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence

WARM_UP_REQUESTS = 50
# An answer that takes longer is an error.
PATIENCE_SECONDS = 10.0
# uvicorn closes a connection that was idle for 5 s, perhaps while a request is under way.
_KEEP_ALIVE_SECONDS = 4.0


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self.idle_since = time.perf_counter()
        self._received = bytearray()
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Give the answer to who waits for it, once it is whole."""
        self._received += data
        head, found, body = bytes(self._received).partition(b"\r\n\r\n")
        if not found or self._answer is None or self._answer.done():
            return
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        if len(body) >= int(length.split(b":")[1]):
            self._answer.set_result(bytes(self._received))

    def connection_lost(self, error: Exception | None) -> None:
        """Tell who waits."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionError("the connection was closed"))

    async def ask(self, request: bytes) -> bytes:
        """The whole answer.

        Raises:
            OSError: the connection broke.
        """
        self._received.clear()
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        answer = await self._answer
        self.idle_since = time.perf_counter()
        return answer


class Load:
    """Requests, and how long each took."""

    def __init__(self, port: int, paths: Sequence[str]) -> None:
        self.milliseconds: list[float] = []
        self.errors: list[str] = []
        self._port = port
        self._requests: Iterator[bytes] = itertools.cycle(
            [f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode() for path in paths]
        )
        self._idle: list[Connection] = []

    async def one(self, due: float) -> None:
        """One request, by the connection that was used last or a new one."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                connection = await self._connection()
                answer = await connection.ask(next(self._requests))
        except (OSError, TimeoutError) as error:
            self.errors.append(f"{type(error).__name__}: {error}")
            return
        self.milliseconds.append(1000 * (time.perf_counter() - due))
        if not answer.startswith(b"HTTP/1.1 200"):
            self.errors.append(answer[:1000].decode(errors="replace"))
        self._idle.append(connection)

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if time.perf_counter() - connection.idle_since < _KEEP_ALIVE_SECONDS:
                return connection
            connection.transport.close()
        _, opened = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", self._port)
        return opened


async def load(port: int, rate: float, paths: Sequence[str]) -> dict[str, float | str | None]:
    """Warm up, then ask at the rate until standard input ends."""
    warm_up = Load(port, paths)
    for _ in range(WARM_UP_REQUESTS):
        await warm_up.one(time.perf_counter())
    print("ready", flush=True)  # noqa: T201
    measured = Load(port, paths)
    ending = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    began, cpu = time.perf_counter(), time.process_time()
    asked: set[asyncio.Task[None]] = set()
    sent = 0
    while not ending.done():
        due = began + sent / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        request = asyncio.create_task(measured.one(due))
        asked.add(request)
        request.add_done_callback(asked.discard)
        sent += 1
    await asyncio.gather(*asked)
    # The last one's time is over when the next would be due.
    took = max(sent / rate, time.perf_counter() - began - 1 / rate)
    cores = (time.process_time() - cpu) / took
    shares = statistics.quantiles(measured.milliseconds, n=100, method="inclusive")
    return {
        "requests": sent,
        "seconds": took,
        "errors": len(measured.errors),
        "first_error": measured.errors[0] if measured.errors else None,
        "requests_per_second": (sent - len(measured.errors)) / took,
        "p50_ms": shares[49],
        "p99_ms": shares[98],
        "longest_ms": max(measured.milliseconds),
        "generator_cores": cores,
    }


def main() -> None:
    """Load one server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("rate", type=float)
    arguments = parser.parse_args()
    paths = json.loads(sys.stdin.readline())
    print(json.dumps(asyncio.run(load(arguments.port, arguments.rate, paths))))  # noqa: T201


if __name__ == "__main__":
    main()
