"""Requests that are wrong, and the sending of them as they stand: no client library tidies them up."""

import asyncio
import json
import select
import socket
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

BOUNDARY = "frontier"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
JSON = "application/json"
PROBE = '{"operations": [{"op": "probe"}]}'
# In rows these stand for ids that the place of the test has.
KEY, UPLOAD, QUEUED_JOB, ENDED_JOB, UNKNOWN = (
    "Bearer @key@",
    "@upload@",
    "@queued@",
    "@ended@",
    "01890000-0000-7000-8000-000000000000",
)


@dataclass(frozen=True)
class Bad:
    """A request, and what it is answered with."""

    name: str
    request: str
    """Method and path."""
    status: int
    problem: str | None
    """Its name; None: one of HTTP itself, about:blank; "http": what is no HTTP, which the server answers by itself."""
    body: bytes | str = b""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    """None takes a header away."""
    at: str | None = None
    """Pointer to the value that is wrong."""
    raw: bytes | None = None
    """All of the request, instead."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        """The body."""
        found: dict[str, Any] = json.loads(self.body)
        return found


def job(*operations: Mapping[str, Any], **more: Any) -> str:
    """A JSON body of POST /api/jobs that is right but for what is given."""
    body: dict[str, Any] = {"input": {"type": "upload", "id": UPLOAD}}
    if "preset" not in more:
        body["operations"] = operations or [{"op": "probe"}]
    return json.dumps(body | more)


def part(name: str | None, data: str | bytes, *, filename: str | None = None, head: str | None = None) -> bytes:
    """A part of a form."""
    if head is None:
        head = "Content-Disposition: form-data" + (f'; name="{name}"' if name is not None else "")
        head += f'; filename="{filename}"' if filename is not None else ""
    content = data.encode() if isinstance(data, str) else data
    return f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + b"\r\n"


def form(*parts: bytes, end: str = f"--{BOUNDARY}--\r\n") -> bytes:
    """A form."""
    return b"".join(parts) + end.encode()


class Place:
    """An API with something in it, and what it has: rows, blobs and open files."""

    def __init__(self, port: int, pid: int, database: Path, blobs: Path, ids: Mapping[str, str]) -> None:
        self._port = port
        self._process = psutil.Process(pid)
        self._database = database
        self._blobs = blobs
        self._ids = ids

    async def send(self, bad: Bad) -> Answer | None:
        """Send a request; the answer, or None where the connection is closed without one."""
        # Of what was said to come, less does, and nothing will follow.
        is_cut_off = "Content-Length" in bad.headers
        return await asyncio.to_thread(self._exchange, self._bytes_of(bad), is_cut_off=is_cut_off)

    def _exchange(self, request: bytes, *, is_cut_off: bool) -> Answer | None:
        answer = bytearray()
        with socket.create_connection(("127.0.0.1", self._port), timeout=30) as connection:
            # A refusal may come, and end the connection, while there is still something to send.
            with suppress(ConnectionError):
                connection.sendall(request)
                if is_cut_off:
                    # What is refused by its head alone is answered first: an answer is not owed to one who left.
                    select.select([connection], [], [], 0.5)
                    connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionError):
                while piece := connection.recv(65536):
                    answer += piece
        return _answer(bytes(answer)) if answer else None

    def rows(self) -> Mapping[str, int]:
        """How many rows each table has."""
        with sqlite3.connect(self._database) as connection:
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}

    def blobs(self) -> set[str]:
        """Every file of the blob store."""
        return {str(path) for path in self._blobs.rglob("*") if path.is_file()}

    def open_blobs(self) -> list[str]:
        """The files of the blob store that the API has open."""
        return [file.path for file in self._process.open_files() if file.path.startswith(str(self._blobs))]

    def descriptors(self) -> int:
        """How many files and connections the API has open."""
        return self._process.num_fds()

    def _bytes_of(self, bad: Bad) -> bytes:
        if bad.raw is not None:
            return self._filled(bad.raw)
        body = self._filled(bad.body.encode() if isinstance(bad.body, str) else bad.body)
        headers: dict[str, str | None] = {
            "Host": "api",
            "Connection": "close",
            "Content-Type": JSON,
            "Authorization": KEY,
        }
        headers.update({"Content-Length": str(len(body)), **bad.headers})
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None)
        head = self._filled(f"{bad.request} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))
        return head + body

    def _filled(self, text: bytes) -> bytes:
        for token, value in self._ids.items():
            text = text.replace(token.encode(), value.encode())
        return text


def _answer(whole: bytes) -> Answer:
    head, _, body = whole.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(first.split()[1]), headers, body)
