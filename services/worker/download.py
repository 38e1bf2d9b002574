"""One file from a URL. Where the connection drops, it goes on from there, if it is surely the same file."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from email.message import Message
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

import structlog

from services.worker.outbound import (
    Answer,
    AnswerTooLarge,
    BrokenOff,
    Encoded,
    Outbound,
    OutboundError,
    StatusFailed,
    StatusRefused,
    Times,
    TooSlow,
)
from shared.filenames import cleaned

log = structlog.get_logger()

# How often one download may go on after a break, and how long it waits before.
_BREAKS = 10
_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 10.0
# Refusals by their class that are none: too early, too much, or too slow a request.
_PASSING = frozenset({408, 425, 429})
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
# RFC 9110, section 8.8.2.2: a date names one version only where that was some time old when it was sent.
_SETTLED = timedelta(minutes=1)


class Download:
    """Of one URL, once."""

    def __init__(
        self,
        outbound: Outbound,
        url: str,
        *,
        times: Times,
        max_bytes: int,
        on_progress: Callable[[float], None],
    ) -> None:
        """Nothing is requested yet.

        Args:
            outbound: the guarded client.
            url: of the file.
            times: how long it may take; the total is that of the whole download.
            max_bytes: how large it may be.
            on_progress: hears which part of it has come, 0 to 1, where the server says how much there is.
        """
        self._outbound = outbound
        self._url = url
        self._times = times
        self._max_bytes = max_bytes
        self._on_progress = on_progress
        self._received = 0
        self._size: int | None = None
        self._validator: str | None = None
        self.filename: str | None = None
        """What the server calls it, or the URL; None before its headers have come, and where neither does."""

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The bytes, each once.

        Raises:
            OutboundError: they cannot be had.
        """
        deadline = time.monotonic() + self._times.total
        breaks = 0
        while True:
            try:
                async with aclosing(self._attempt(deadline)) as pieces:
                    async for piece in pieces:
                        yield piece
            except OutboundError as error:
                breaks += 1
                may_go_on = error.is_transient and self._received and self._validator is not None
                if not may_go_on or breaks > _BREAKS:
                    raise
                wait = min(_WAIT_SECONDS * 2.0 ** (breaks - 1), _LONGEST_WAIT_SECONDS)
                if time.monotonic() + wait >= deadline:
                    raise
                log.info("download goes on", received=self._received, reason=error.code)
                await asyncio.sleep(wait)
            else:
                return

    async def _attempt(self, deadline: float) -> AsyncGenerator[bytes, None]:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TooSlow(f"The file did not come within {self._times.total:g} seconds.")
        times = Times(self._times.connect, self._times.idle, remaining)
        headers = {}
        if self._received and self._validator is not None:
            headers = {"Range": f"bytes={self._received}-", "If-Range": self._validator}
        async with self._outbound.request("GET", self._url, times=times, headers=headers) as answer:
            if self._received:
                self._check_goes_on(answer)
            else:
                self._begin(answer)
            async for piece in answer.body(max_bytes=self._max_bytes - self._received):
                self._received += len(piece)
                if self._size:
                    self._on_progress(self._received / self._size)
                yield piece
            if self._size is not None and self._received != self._size:
                raise BrokenOff(f"The server {answer.url.host} sent another part of the file than it was asked for.")

    def _begin(self, answer: Answer) -> None:
        host, status = answer.url.host, answer.status
        if status != HTTPStatus.OK:
            said = f"The server {host} answered {status} ({_phrase(status)})"
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING:
                raise StatusFailed(f"{said}.")
            raise StatusRefused(f"{said} instead of sending the file.")
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise Encoded(f"The server {host} sends the file packed, and not as it is.")
        self._size = answer.length
        if self._size is not None and self._size > self._max_bytes:
            raise AnswerTooLarge(f"The file is larger than the {self._max_bytes} bytes allowed here.")
        self._validator = _validator(answer)
        self.filename = _named_by(answer) or _last_part(self._url) or _last_part(str(answer.url))

    def _check_goes_on(self, answer: Answer) -> None:
        found = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
        fits = (
            answer.status == HTTPStatus.PARTIAL_CONTENT
            and found is not None
            and int(found[1]) == self._received
            and (found[2] == "*" or self._size is None or int(found[2]) == self._size)
            and answer.headers.get("content-encoding", "identity").lower() == "identity"
        )
        if not fits:
            # From the beginning then, by another attempt at the job: these bytes are under way already.
            self._validator = None
            raise BrokenOff(
                f"The connection to the server {answer.url.host} broke off, and the server did not send the rest."
            )


def _validator(answer: Answer) -> str | None:
    """What names this version of the file, byte by byte (RFC 9110, section 8.8.1); None where nothing does."""
    if answer.headers.get("accept-ranges", "").lower() == "none":
        return None
    tag: str = answer.headers.get("etag", "")
    if tag:
        return tag if tag.startswith('"') else None
    modified: str | None = answer.headers.get("last-modified")
    try:
        sent = parsedate_to_datetime(answer.headers["date"])
        return modified if modified and sent - parsedate_to_datetime(modified) >= _SETTLED else None
    except (KeyError, TypeError, ValueError):
        return None


def _named_by(answer: Answer) -> str | None:
    # The library's parser for mail reads RFC 2231 and 5987, and what servers make of them.
    header = Message()
    header["Content-Disposition"] = answer.headers.get("content-disposition", "").replace("\r", "").replace("\n", "")
    try:
        return cleaned(header.get_filename())
    except (LookupError, UnicodeError, ValueError):
        return None


def _last_part(url: str) -> str | None:
    return cleaned(unquote(urlsplit(url).path.rpartition("/")[2]))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "which is no status that HTTP knows"
