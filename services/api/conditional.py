"""Conditional and range requests (RFC 9110, sections 13 and 14) on bytes that have a strong entity tag."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from werkzeug.http import parse_etags, parse_range_header, quote_etag

from services.api.problems import ProblemError


@dataclass(frozen=True, slots=True)
class ByteRange:
    """From start to before end."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Bytes."""
        return self.end - self.start


def failed_precondition(headers: Mapping[str, str], tag: str) -> HTTPStatus | None:
    """What If-Match and If-None-Match demand instead of an answer with a body; None when they are content."""
    if "if-match" in headers and not parse_etags(headers["if-match"]).contains(tag):
        return HTTPStatus.PRECONDITION_FAILED
    if "if-none-match" in headers and parse_etags(headers["if-none-match"]).contains_weak(tag):
        return HTTPStatus.NOT_MODIFIED
    return None


def requested_range(headers: Mapping[str, str], tag: str, size: int) -> ByteRange | None:
    """The one range that is asked for; None where all of it is to be sent.

    All of it is sent where the header is malformed or asks for several ranges, as the RFC allows, and where If-Range
    does not name these very bytes. No date can name them: no Last-Modified is sent.

    Raises:
        ProblemError: 416, the range begins behind the end.
    """
    if headers.get("if-range", quote_etag(tag)) != quote_etag(tag):
        return None
    asked = parse_range_header(headers.get("range"))
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    start, end = asked.ranges[0]
    if start < 0:
        # The last so many bytes; all of them, where there are fewer.
        start = max(0, size + start)
    if start >= size:
        raise ProblemError(
            416,
            "range-not-satisfiable",
            "Range not satisfiable",
            f"The range begins behind the end; there are {size} bytes.",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return ByteRange(start, size if end is None else min(end, size))
