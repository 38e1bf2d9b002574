"""A small HTTP load generator, in a process of its own: `python -m tests.benchmarks.jobs.load PORT PATH STATUS`.

The body comes on standard input. Each client keeps one connection and sends its next request when it has the answer.
It says its figures as JSON, its own processor time among them: a generator that is near one core measures itself.
"""

import argparse
import asyncio
import json
import sys
import time

CLIENTS = 16
WARM_UP_SECONDS = 2.0
SECONDS = 8.0


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, request: bytes, status: bytes) -> None:
        self.answers = 0
        self.refused: bytes | None = None
        self._request = request
        self._expected = b"HTTP/1.1 " + status
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Ask again once the answer is there."""
        self._received += data
        head, found, body = bytes(self._received).partition(b"\r\n\r\n")
        if not found:
            return
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        if len(body) < int(length.split(b":")[1]):
            return
        if not head.startswith(self._expected):
            self.refused = bytes(self._received)
            self.transport.close()
            return
        self.answers += 1
        self._received.clear()
        self.transport.write(self._request)


async def load(port: int, path: str, status: bytes, body: bytes) -> dict[str, float]:
    """Warm up, then measure."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    clients = [Client(head.encode() + body, status) for _ in range(CLIENTS)]
    loop = asyncio.get_running_loop()
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.sleep(WARM_UP_SECONDS)
    before, began, cpu = sum(client.answers for client in clients), time.perf_counter(), time.process_time()
    await asyncio.sleep(SECONDS)
    took = time.perf_counter() - began
    answers = sum(client.answers for client in clients) - before
    for client in clients:
        client.transport.close()
        if client.refused is not None:
            raise SystemExit(client.refused[:2000].decode())
    return {"requests_per_second": answers / took, "generator_cores": (time.process_time() - cpu) / took}


def main() -> None:
    """Measure one address."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("status")
    arguments = parser.parse_args()
    body = sys.stdin.buffer.read()
    print(json.dumps(asyncio.run(load(arguments.port, arguments.path, arguments.status.encode(), body))))  # noqa: T201


if __name__ == "__main__":
    main()
