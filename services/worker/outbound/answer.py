"""What another's server answers, within limits."""

from collections.abc import AsyncIterator

import httpx

from services.worker.outbound.errors import AnswerTooLarge, in_our_words


class Answer:
    """An answer whose headers have come, and whose body is read at most once."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers = response.headers
        self.url = response.url
        """Where it came from in the end."""

    @property
    def length(self) -> int | None:
        """Bytes of the body, as the server says; None where it does not."""
        announced = self.headers.get("content-length", "")
        return int(announced) if announced.isascii() and announced.isdecimal() else None

    async def body(self, *, max_bytes: int) -> AsyncIterator[bytes]:
        """The bytes as they come, in whatever Content-Encoding: unpacking is nobody's right but the asker's.

        Raises:
            AnswerTooLarge: there are more; by what the server announces this is said before any is read.
            BrokenOff, TooSlow: the rest does not come.
        """
        if (self.length or 0) > max_bytes:
            raise _too_large(max_bytes)
        left = max_bytes
        with in_our_words(self.url.host):
            async for piece in self._response.aiter_raw():
                left -= len(piece)
                if left < 0:
                    raise _too_large(max_bytes)
                yield piece

    async def beginning(self, max_bytes: int) -> bytes:
        """The first bytes of the body; the others are not waited for.

        Raises:
            BrokenOff, TooSlow: they do not come.
        """
        read = bytearray()
        with in_our_words(self.url.host):
            async for piece in self._response.aiter_raw():
                read += piece
                if len(read) >= max_bytes:
                    break
        return bytes(read[:max_bytes])


def _too_large(max_bytes: int) -> AnswerTooLarge:
    return AnswerTooLarge(f"The file is larger than the {max_bytes} bytes allowed here.")
