"""Somebody else's HTTP server, which does what a test says, down to the bytes: it may lie, stop, or hang up."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from ssl import SSLContext
from types import TracebackType
from typing import Self

LOCALHOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Handler = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


def answer(status: int, body: bytes = b"", **headers: str) -> Handler:
    """An answer that is what it says; an underscore in a header's name is a hyphen, and an empty one is left out."""

    async def write(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(status, **({"content_length": str(len(body))} | headers)) + body)

    return write


def head(status: int, **headers: str) -> bytes:
    """The beginning of an answer."""
    given = {name.replace("_", "-"): value for name, value in headers.items() if value}
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


class RemoteServer(AbstractContextManager["RemoteServer"]):
    """Listens, in a thread, while its context lasts; each connection is for one request."""

    def __init__(self, host: str = LOCALHOST, *, tls: SSLContext | None = None) -> None:
        self.host = host
        self.port = 0
        self.asked: list[Asked] = []
        """What was requested, in order."""
        self.handlers: dict[str, Handler] = {}
        """What to do, by the path with its query; 404 where there is nothing."""
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def url(self, path: str = "/") -> str:
        """Where it is."""
        return f"http{'s' if self._tls else ''}://{self.host}:{self.port}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, self.host, 0, ssl=self._tls))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = lines[0].split(" ")
            pairs = (line.partition(":") for line in lines[1:] if line)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            asked = Asked(method, path, headers, body)
            self.asked.append(asked)
            await self.handlers.get(path, answer(404))(asked, writer)
            await writer.drain()
        writer.close()
