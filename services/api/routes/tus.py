"""Resumable uploads by tus 1.0.0 (https://tus.io/protocols/resumable-upload): a file of any number of requests.

Extensions: creation, creation-with-upload, termination, expiration, checksum. The last part of an upload's address is
the `id` that a job names, once all of it has come.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Coroutine, Mapping
from email.utils import format_datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.routing import APIRoute

from services.api import problems
from services.api.access import Caller, Reader, Submitter
from services.api.bodies import arriving, media_type
from services.api.documentation import answers
from services.api.problems import ProblemError
from services.api.resources import InjectedResources, Resources
from services.api.resumable import Checksum, wrong_offset
from shared.filenames import cleaned
from shared.store.unfinished import Unfinished, Way

VERSION = "1.0.0"
OFFSET_STREAM = "application/offset+octet-stream"
_EXTENSIONS = "creation,creation-with-upload,termination,expiration,checksum"
# The protocol's names, which are those of hashlib too.
_ALGORITHMS = ("sha1", "sha256", "md5")
_MAX_METADATA = 4096
_OVERRIDE = "x-http-method-override"
_OVERRIDING = ("PATCH", "DELETE", "HEAD")


class TusRoute(APIRoute):
    """Names the version of the protocol in each answer."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's own, within the protocol's rules."""
        handle = super().get_route_handler()

        async def speak(request: Request) -> Response:
            try:
                response = await handle(request)
            except ProblemError as error:
                error.headers = {**(error.headers or {}), "Tus-Resumable": VERSION}
                raise
            response.headers["Tus-Resumable"] = VERSION
            return response

        return speak


async def _check_version(request: Request) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        raise ProblemError(
            412,
            "tus-version",
            "Another version of tus",
            f"Speak tus {VERSION}, and say so in the header Tus-Resumable.",
            headers={"Tus-Version": VERSION},
        )


router = APIRouter(prefix="/api/uploads/tus", tags=["resumable uploads"], route_class=TusRoute)
# Behind what finds out who calls: nobody else is told more than that a key is needed.
_SPOKEN = (Depends(_check_version),)

_UploadId = Annotated[UUID, Path(description="The last part of the address that the beginning gave.")]

_HEADERS: dict[str, Any] = {
    "Tus-Resumable": {"description": f"`{VERSION}`.", "schema": {"type": "string"}},
    "Upload-Offset": {"description": "Bytes that have come.", "schema": {"type": "integer"}},
    "Upload-Expires": {"description": "By then all of it must have come.", "schema": {"type": "string"}},
}
_BYTES: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "content": {OFFSET_STREAM: {"schema": {"type": "string", "format": "binary"}}},
    }
}


def _parameter(name: str, description: str, *, required: bool = False, **schema: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": {"type": "string", **schema},
    }


# No longer ones than a database's number: those are files that nobody has.
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_VERSION = _parameter("Tus-Resumable", f"`{VERSION}`.", required=True, const=VERSION)
_COUNT: dict[str, Any] = {"required": True, "pattern": f"^{_NUMBER.pattern}$"}
_CHECKSUM = _parameter("Upload-Checksum", f"{', '.join(_ALGORITHMS)}; then a space, and the digest in base64.")
_OFFSET = _parameter("Upload-Offset", "Where the bytes belong: how many have come before.", **_COUNT)
_LENGTH = _parameter("Upload-Length", "Bytes of the whole file.", **_COUNT)
_METADATA = _parameter("Upload-Metadata", "Keys with values in base64, parted by commas; `filename` is heeded.")


@router.options("", status_code=204, response_class=Response, responses=answers(500))
@router.options("/{upload_id}", status_code=204, response_class=Response, include_in_schema=False)
async def describe_tus(_: Reader, resources: InjectedResources) -> Response:
    """Say which version of tus is spoken here, with which extensions and limits."""
    return Response(
        status_code=204,
        headers={
            "Tus-Version": VERSION,
            "Tus-Extension": _EXTENSIONS,
            "Tus-Max-Size": str(resources.settings.max_input_bytes),
            "Tus-Checksum-Algorithm": ",".join(_ALGORITHMS),
        },
    )


@router.post(
    "",
    status_code=201,
    response_class=Response,
    dependencies=_SPOKEN,
    responses=answers(
        *(400, 408, 409, 412, 413, 415, 429, 460, 500, 503, 507),
        s201={
            "description": "The upload is there to be filled.",
            "headers": {**_HEADERS, "Location": {"description": "Its path.", "schema": {"type": "string"}}},
        },
    ),
    openapi_extra={**_BYTES, "parameters": [_VERSION, _LENGTH, _METADATA, _CHECKSUM]},
)
async def begin_tus_upload(request: Request, caller: Submitter, resources: InjectedResources) -> Response:
    """Begin a resumable upload. Its first bytes may come with it."""
    await resources.admission.admit(caller, jobs=0)
    if "upload-defer-length" in request.headers:
        raise _bad("Upload-Defer-Length", "The length must be known from the start; say it in Upload-Length.")
    size, limit = _number(request, "Upload-Length"), resources.settings.max_input_bytes
    if size > limit:
        raise problems.too_large("file", limit)
    metadata = request.headers.get("upload-metadata")
    kind = media_type(request)
    if kind not in ("", OFFSET_STREAM):
        raise problems.unsupported_media_type(OFFSET_STREAM)
    checksum = _checksum(request)
    await resources.admission.admit_bytes(caller, size)
    upload = await resources.unfinished.begin(
        Way.TUS,
        size_bytes=size,
        keep_seconds=resources.settings.stray_grace_seconds,
        filename=_filename(metadata),
        metadata=metadata,
        key_id=caller.key_id,
    )
    received = 0
    if kind == OFFSET_STREAM:
        received = await _append(request, resources, upload, 0, checksum)
    elif size == 0:
        await resources.resumable.finish(upload)
    return Response(status_code=201, headers={"Location": f"{router.prefix}/{upload.id}", **_state(upload, received)})


@router.head(
    "/{upload_id}",
    response_class=Response,
    dependencies=_SPOKEN,
    responses=answers(404, 410, 412, 422, 500, 503, s200={"description": "How far it is.", "headers": _HEADERS}),
    openapi_extra={"parameters": [_VERSION]},
)
async def get_tus_offset(upload_id: _UploadId, caller: Submitter, resources: InjectedResources) -> Response:
    """Say how many bytes have come. Where all have, jobs can name the upload from now on."""
    upload = await _find(resources, upload_id, caller)
    await _finish_if_whole(resources, upload, upload.received_bytes)
    headers = {**_state(upload, upload.received_bytes), "Upload-Length": str(upload.size_bytes)}
    if upload.metadata is not None:
        headers["Upload-Metadata"] = upload.metadata
    return Response(status_code=200, headers={**headers, "Cache-Control": "no-store"})


@router.patch(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    dependencies=_SPOKEN,
    responses=answers(
        *(400, 404, 408, 409, 410, 412, 413, 415, 422, 429, 460, 500, 503, 507),
        s204={"description": "The bytes have come.", "headers": _HEADERS},
    ),
    openapi_extra={**_BYTES, "parameters": [_VERSION, _OFFSET, _CHECKSUM]},
)
async def continue_tus_upload(
    upload_id: _UploadId, request: Request, caller: Submitter, resources: InjectedResources
) -> Response:
    """Send bytes of a resumable upload, from where the last ones ended.

    The answer to the last ones comes when the upload is put together, and jobs can name it by its id.
    """
    await resources.admission.admit(caller, jobs=0)
    if media_type(request) != OFFSET_STREAM:
        raise problems.unsupported_media_type(OFFSET_STREAM)
    offset, checksum = _number(request, "Upload-Offset"), _checksum(request)
    upload = await _find(resources, upload_id, caller)
    if offset != upload.received_bytes:
        raise wrong_offset(upload.received_bytes)
    received = await _append(request, resources, upload, offset, checksum) if offset < upload.size_bytes else offset
    await _finish_if_whole(resources, upload, received)
    return Response(status_code=204, headers=_state(upload, received))


@router.delete(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    dependencies=_SPOKEN,
    responses=answers(404, 410, 412, 422, 500, 503),
    openapi_extra={"parameters": [_VERSION]},
)
async def end_tus_upload(upload_id: _UploadId, caller: Submitter, resources: InjectedResources) -> Response:
    """Give a resumable upload up, with what has come of it. What is whole already stays, for the jobs on it."""
    await resources.resumable.remove(await _find(resources, upload_id, caller))
    return Response(status_code=204)


@router.post("/{upload_id}", include_in_schema=False)
async def override_method(
    upload_id: _UploadId, request: Request, caller: Submitter, resources: InjectedResources
) -> Response:
    """For clients that can send GET and POST alone, as the protocol has it."""
    method = request.headers.get(_OVERRIDE, "").upper()
    if method in _OVERRIDING:
        await _check_version(request)
    match method:
        case "PATCH":
            return await continue_tus_upload(upload_id, request, caller, resources)
        case "DELETE":
            return await end_tus_upload(upload_id, caller, resources)
        case "HEAD":
            return await get_tus_offset(upload_id, caller, resources)
    raise ProblemError(
        405,
        "method-not-allowed",
        "Method not allowed",
        "Send bytes by PATCH; X-HTTP-Method-Override may name the method where only POST can be sent.",
        headers={"Allow": "DELETE, HEAD, OPTIONS, PATCH"},
    )


async def _find(resources: Resources, upload_id: UUID, caller: Caller) -> Unfinished:
    upload = await resources.unfinished.get(Way.TUS, upload_id, owner=caller.owner)
    if upload is None:
        raise ProblemError(
            404, "upload-not-found", "No such upload", "There is no such resumable upload; begin one by POST."
        )
    if upload.is_expired and upload.completed_at is None:
        raise ProblemError(410, "upload-expired", "Expired", "The upload was not whole in time; begin it again.")
    return upload


async def _append(
    request: Request, resources: Resources, upload: Unfinished, offset: int, checksum: Checksum | None
) -> int:
    announced = request.headers.get("content-length", "")
    left = upload.size_bytes - offset
    if announced.isdecimal() and int(announced) > left:
        raise problems.too_large("rest of the file", left)
    body = arriving(request, resources.settings)
    received = await resources.resumable.append(upload, offset, body, checksum=checksum)
    await _finish_if_whole(resources, upload, received)
    return received


async def _finish_if_whole(resources: Resources, upload: Unfinished, received: int) -> None:
    if received == upload.size_bytes and upload.completed_at is None:
        await resources.resumable.finish(upload)


def _state(upload: Unfinished, received: int) -> dict[str, str]:
    return {
        "Upload-Offset": str(received),
        "Upload-Expires": format_datetime(upload.expires_at, usegmt=True),
    }


def _number(request: Request, header: str) -> int:
    given = request.headers.get(header, "")
    if _NUMBER.fullmatch(given) is None:
        raise _bad(header, "It is a number of bytes.")
    return int(given)


def _checksum(request: Request) -> Checksum | None:
    given = request.headers.get("upload-checksum")
    if given is None:
        return None
    algorithm, _, encoded = given.strip().partition(" ")
    if algorithm not in _ALGORITHMS:
        raise _bad("Upload-Checksum", f"It begins with one of {', '.join(_ALGORITHMS)}.")
    digest = _decoded(encoded.strip())
    if digest is None or len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise _bad("Upload-Checksum", f"After {algorithm} and a space comes its digest in base64.")
    return Checksum(algorithm, digest)


def _filename(metadata: str | None) -> str | None:
    if metadata is None or not metadata.strip():
        return None
    if len(metadata) > _MAX_METADATA:
        raise _bad("Upload-Metadata", f"It has {_MAX_METADATA} characters at most.")
    values: dict[str, bytes] = {}
    for pair in metadata.split(","):
        key, _, encoded = pair.strip().partition(" ")
        value = _decoded(encoded)
        if not key or key in values or value is None:
            raise _bad("Upload-Metadata", "It has keys, each once, each followed by a space and a value in base64.")
        values[key] = value
    # Clients name it either way.
    return cleaned(_text(values, "filename") or _text(values, "name"))


def _text(values: Mapping[str, bytes], key: str) -> str | None:
    return values[key].decode(errors="replace") if key in values else None


def _decoded(encoded: str) -> bytes | None:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None


def _bad(header: str, detail: str) -> ProblemError:
    return ProblemError(
        HTTPStatus.BAD_REQUEST, "bad-header", "Bad header", f"The header {header} is missing or wrong. {detail}"
    )
