"""Request bodies, within their limits: JSON that is validated, and forms whose file goes to the blob store."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from python_multipart.multipart import parse_options_header

from services.api import problems
from services.api.multipart import MalformedMultipart, Part, parts
from services.api.problems import FieldError
from shared.filenames import cleaned
from shared.ingest import Incoming, Ingest, TooManyBytes
from shared.schema.inputs import DEFAULT_TYPE
from shared.settings import Settings

JSON = "application/json"
FORM = "multipart/form-data"
FILE_PART = "file"
SPEC_PART = "spec"
# Boundaries and headers of a form's parts.
_FORM_OVERHEAD_BYTES = 64 * 1024

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was read to its end."""

    file: Incoming
    filename: str | None
    spec: bytes | None


def media_type(request: Request) -> str:
    """The body's type, without parameters; empty when the request does not say."""
    return parse_options_header(request.headers.get("content-type"))[0].decode("latin-1")


async def read_json(request: Request, model: type[Model], settings: Settings) -> Model:
    """A JSON body.

    Raises:
        ProblemError: 408, 413 or 422.
    """
    limit = settings.max_spec_bytes
    check_length(request, "request body", limit)
    body = arriving(request, settings)
    return validated(model, await read_whole(body, "request body", limit))


def validated(model: type[Model], text: bytes, *, within: Sequence[str] = ()) -> Model:
    """A model from JSON text; `within` is the path to the text in the body.

    Raises:
        ProblemError: 422, with an error for each value that is wrong.
    """
    try:
        # JSON has numbers, texts and truth values: none of them is taken for another, as the schema has it.
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        is_json = all(each["type"] != "json_invalid" for each in error.errors(include_input=False))
        raise problems.invalid(field_errors(error, json.loads(text) if is_json else None, within)) from None


def field_errors(error: ValidationError, document: Any, within: Sequence[str | int]) -> list[FieldError]:
    """What is wrong with a document; `within` is the path to it in the body."""
    found = error.errors(include_url=False, include_input=False)
    return [
        FieldError.at("body", [*within, *_path(each["loc"], document)], problems.sentence(each))
        for each in found
        # Pydantic counts the items of a tuple that are right, and says that there are too few.
        if each["type"] != "too_short" or not _has_errors_within(each["loc"], found)
    ]


@asynccontextmanager
async def received_form(
    request: Request, ingest: Ingest, settings: Settings, *, with_spec: bool
) -> AsyncIterator[Form]:
    """A form with exactly one file, and a spec where there is to be one, in any order.

    The file is in the blob store; it is removed at the end, unless it was accepted.

    Raises:
        ProblemError: 400, 408, 413 or 422.
    """
    check_length(
        request,
        "request body",
        settings.max_upload_bytes + _FORM_OVERHEAD_BYTES + (settings.max_spec_bytes if with_spec else 0),
    )
    file: Incoming | None = None
    filename: str | None = None
    spec: bytes | None = None
    try:
        try:
            async for part in _known_parts(request, settings, with_spec=with_spec):
                if part.name == SPEC_PART:
                    spec = await read_whole(part.data, "spec", settings.max_spec_bytes)
                else:
                    file = await ingest.receive(part.data)
                    filename = cleaned(part.filename)
        except TooManyBytes as error:
            raise problems.too_large("file", error.limit) from None
        except MalformedMultipart as error:
            raise problems.malformed_body(str(error)) from None
        if file is None:
            raise _wrong_part(FILE_PART, f"The form needs a part named {FILE_PART!r}, which holds the audio file.")
        if with_spec and spec is None:
            raise _wrong_part(
                SPEC_PART, f"The form needs a part named {SPEC_PART!r}, which holds the job spec as JSON."
            )
        yield Form(file, filename, spec)
    finally:
        if file is not None:
            await ingest.discard(file)


async def _known_parts(request: Request, settings: Settings, *, with_spec: bool) -> AsyncIterator[Part]:
    known = (FILE_PART, SPEC_PART) if with_spec else (FILE_PART,)
    seen: set[str] = set()
    body = arriving(request, settings)
    async for part in parts(request.headers["content-type"], body):
        if part.name not in known:
            listed = " and ".join(repr(name) for name in known)
            raise _wrong_part(part.name, f"The form takes no part of this name; it takes {listed}.")
        if part.name in seen:
            raise _wrong_part(part.name, "The form takes one part of this name only.")
        seen.add(part.name)
        yield part


def _wrong_part(name: str, detail: str) -> problems.ProblemError:
    return problems.invalid([FieldError.at("body", [name], detail)])


def check_length(request: Request, what: str, limit: int) -> None:
    """Refuse what is announced to be too long before it is sent.

    Raises:
        ProblemError: 413.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise problems.too_large(what, limit)


async def arriving(request: Request, settings: Settings) -> AsyncIterator[bytes]:
    """The body as it comes. A client that sends nothing more, or a byte now and then, would hold its place.

    Raises:
        ProblemError: 408, it is too slow.
        ClientDisconnect: it is gone.
    """
    body = request.stream()
    idle_seconds, slowest = settings.upload_idle_seconds, settings.min_upload_bytes_per_second
    received, waited = 0, 0.0
    while True:
        began = time.monotonic()
        try:
            async with asyncio.timeout(idle_seconds):
                chunk = await anext(body, None)
        except TimeoutError:
            raise problems.too_slow(f"No byte of the request body has come for {idle_seconds:g} seconds") from None
        if chunk is None:
            return
        received += len(chunk)
        # The client's time alone: what is done with the bytes in between is not its fault.
        waited += time.monotonic() - began
        if received < slowest * (waited - idle_seconds):
            raise problems.too_slow(f"The request body comes with less than {slowest} bytes a second")
        yield chunk


async def read_whole(data: AsyncIterator[bytes], what: str, limit: int) -> bytes:
    """All of it.

    Raises:
        ProblemError: 413, it is more than the limit.
    """
    whole = bytearray()
    async for piece in data:
        whole += piece
        if len(whole) > limit:
            raise problems.too_large(what, limit)
    return bytes(whole)


def _has_errors_within(location: tuple[int | str, ...], errors: Sequence[ErrorDetails]) -> bool:
    depth = len(location)
    return any(len(each["loc"]) > depth and each["loc"][:depth] == location for each in errors)


def _path(location: Sequence[str | int], document: Any) -> list[str | int]:
    """Pydantic's location in the document: without the tags of unions, each of which it names after the way to the
    object that has it, and without the mark behind a key that is wrong itself.
    """
    path: list[str | int] = []
    entered = False
    for step in location:
        if isinstance(document, dict):
            kinds = document.get("op"), document.get("edit"), document.get("type", DEFAULT_TYPE)
            if entered and step in kinds:
                entered = False
                continue
            document = document.get(step)
        elif isinstance(document, list) and isinstance(step, int) and step < len(document):
            document = document[step]
        elif not isinstance(document, list):
            # Nothing is in it: a tag, or pydantic's mark of a key that is wrong itself.
            continue
        entered = True
        path.append(step)
    return path
