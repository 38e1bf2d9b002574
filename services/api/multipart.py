"""multipart/form-data (RFC 7578), read part by part as it arrives: no part is ever held in memory."""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header


class MalformedMultipart(ValueError):
    """The body is no multipart/form-data; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class _Head:
    name: str
    filename: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """A part whose data is read, at most once, before the next part is asked for."""

    name: str
    filename: str | None
    data: AsyncIterator[bytes]


async def parts(content_type: str, body: AsyncIterator[bytes]) -> AsyncIterator[Part]:
    """The parts of a body, in its order. What the reader leaves of a part's data is passed over.

    Raises:
        MalformedMultipart: the body breaks the rules, or ends before its closing boundary.
    """
    reader = _Reader(content_type, body)
    while not isinstance(event := await reader.next_event(), _End):
        if isinstance(event, _Head):
            yield Part(event.name, event.filename, reader.data())


class _PartEnd:
    """The part is over."""


class _End:
    """The closing boundary was read."""


class _Reader:
    """Turns the parser's callbacks into events that are waited for. It holds those of one piece of the body at most."""

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise MalformedMultipart("The Content-Type header of a multipart body must name its boundary.")
        self._body = body
        self._events: deque[_Head | bytes | _PartEnd | _End] = deque()
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": lambda: self._events.append(_PartEnd()),
                    "on_end": lambda: self._events.append(_End()),
                },
            )
        except FormParserError:
            raise MalformedMultipart("The boundary in the Content-Type header is too long.") from None

    async def next_event(self) -> _Head | bytes | _PartEnd | _End:
        while not self._events:
            piece = await anext(self._body, b"")
            if not piece:
                raise MalformedMultipart("The multipart body ends before its closing boundary.")
            try:
                self._parser.write(piece)
            except FormParserError:
                raise MalformedMultipart("The body is not a valid multipart/form-data body.") from None
        return self._events.popleft()

    async def data(self) -> AsyncIterator[bytes]:
        while isinstance(event := await self.next_event(), bytes):
            yield event

    def _on_part_begin(self) -> None:
        self._disposition = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._disposition)
        name = options.get(b"name")
        if kind != b"form-data" or name is None:
            raise MalformedMultipart(
                'Each part of the body needs a header like: Content-Disposition: form-data; name="file".'
            )
        filename = options.get(b"filename")
        self._events.append(_Head(_decoded(name), None if filename is None else _decoded(filename)))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])


def _decoded(value: bytes) -> str:
    # UTF-8 by RFC 7578, section 5.1.1; what is not comes from old clients.
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
