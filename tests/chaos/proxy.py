"""A TCP proxy in front of one server: the network between the services and the server, which can be cut."""

import asyncio
import socket
import struct
from contextlib import suppress
from types import TracebackType
from typing import Self

from deploy.local.processes import LOCALHOST, free_port

_CHUNK_BYTES = 64 * 1024


class Proxy:
    """Passes bytes on, both ways, but for the time of a cut.

    During a cut nothing arrives and nothing is refused, as on a network that drops every packet: connections stay
    open, new ones are made and get no answer, and what was sent comes after the cut, as TCP would send it again.
    """

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        self.lock = asyncio.Lock()  # held by whoever cuts it
        self._target_port = target_port
        self._passing = asyncio.Event()
        self._passing.set()
        self._forgotten: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, LOCALHOST, self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self.reset()
        self.mend()

    def cut(self) -> None:
        """Let nothing through from now on."""
        self._passing.clear()

    def mend(self) -> None:
        """Let everything through again, what was held first."""
        self._passing.set()

    def forget(self) -> None:
        """Let nothing more through on the connections there are, as a firewall does that forgot them; new ones work."""
        self._forgotten |= self._writers

    def reset(self) -> None:
        """Break off every connection, with RST."""
        for writer in self._writers:
            _reset(writer)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._passing.wait()
            try:
                server_reader, server_writer = await asyncio.open_connection(LOCALHOST, self._target_port)
            except OSError:
                return
            self._writers.add(server_writer)
            try:
                await asyncio.gather(self._pump(reader, server_writer), self._pump(server_reader, writer))
            finally:
                self._writers.discard(server_writer)
                _reset(server_writer)
        finally:
            self._writers.discard(writer)
            # Where the server is away this is the refusal: a reset, not an end in good order.
            _reset(writer)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(_CHUNK_BYTES):
                await self._passing.wait()
                if sink not in self._forgotten:
                    sink.write(data)
                    await sink.drain()
            await self._passing.wait()
        # An end of one side is the end of both: no client here half-closes.
        if not sink.transport.is_closing():
            sink.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    if not writer.transport.is_closing():
        # To linger for no time: the kernel drops what it holds and sends RST.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
