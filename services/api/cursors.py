"""Places in lists, as clients give them back."""

import base64
import binascii
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from services.api import problems
from services.api.problems import FieldError

# 16 bytes in base64url. Only documented: what breaks it is told in a sentence.
_SCHEMA: dict[str, Any] = {"minLength": 22, "maxLength": 22, "pattern": "^[A-Za-z0-9_-]{21}[AQgw]$"}
Cursor = Annotated[
    str | None, Field(description="`next_cursor` of the page before.", max_length=64, json_schema_extra=_SCHEMA)
]


def cursor(last: UUID) -> str:
    """The place behind this row."""
    return base64.urlsafe_b64encode(last.bytes).rstrip(b"=").decode()


def position(given: str | None) -> UUID | None:
    """The row that a place is behind.

    Raises:
        ProblemError: 422, it is none.
    """
    if given is None:
        return None
    try:
        place = UUID(bytes=base64.b64decode(given + "==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        place = None
    # The last character has bits to spare: none but the text that was given is taken.
    if place is None or cursor(place) != given:
        detail = "This is no cursor; give back the `next_cursor` of the page before as it is."
        raise problems.invalid([FieldError.at("query", ["cursor"], detail)])
    return place
