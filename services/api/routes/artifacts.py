"""Artifacts: the files that a job made."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse
from werkzeug.http import quote_etag

from services.api.access import Reader
from services.api.conditional import ByteRange, failed_precondition, requested_range
from services.api.documentation import answers
from services.api.problems import ProblemError, job_not_found
from services.api.resources import InjectedResources, Resources
from shared.blobs import BlobMissing, Blobs
from shared.filenames import content_disposition
from shared.store.job_views import StoredArtifact

router = APIRouter(prefix="/api/jobs", tags=["artifacts"])

# PostgreSQL takes no NUL in a text.
_Name = Annotated[
    str, Path(description="As the job's `artifacts` lists it.", max_length=255, pattern=r"^[^\x00-\x1f]+$")
]
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_FILE = {
    "description": "The file.",
    "content": {"*/*": _BYTES},
    "headers": {
        "ETag": {"description": "SHA-256 of the file.", "schema": {"type": "string"}},
        "Accept-Ranges": {"description": "Always `bytes`.", "schema": {"type": "string"}},
        "Content-Disposition": {"description": "A file name, from the input's.", "schema": {"type": "string"}},
    },
}
_ANSWERS = answers(
    404,
    410,
    412,
    416,
    422,
    500,
    503,
    s200=_FILE,
    s206={"description": "The range that was asked for.", "content": {"*/*": _BYTES}},
    s307={
        "description": "The file is in a bucket; Location is good for a while.",
        "headers": {"Location": {"description": "Where it is.", "schema": {"type": "string"}}},
    },
    s304={"description": "The file is the one that If-None-Match names."},
)


@router.get("/{job_id}/artifacts/{name}", response_class=Response, responses=_ANSWERS)
async def get_artifact(
    job_id: UUID, name: _Name, request: Request, caller: Reader, resources: InjectedResources
) -> Response:
    """Fetch a file that the job made. One range can be asked for, and If-Match, If-None-Match and If-Range hold."""
    artifact = await _find(resources, job_id, name, owner=caller.owner)
    tag = artifact.sha256
    headers = {
        "ETag": quote_etag(tag),
        "Accept-Ranges": "bytes",
        # The bytes of a name change when the user has a job run again.
        "Cache-Control": "private, no-cache",
    }
    match failed_precondition(request.headers, tag):
        case HTTPStatus.NOT_MODIFIED:
            return Response(status_code=304, headers=headers)
        case HTTPStatus.PRECONDITION_FAILED:
            raise ProblemError(412, "changed", "Changed", "The artifact is not the one that If-Match names.")
    headers |= {
        "Content-Type": artifact.media_type,
        "Content-Disposition": content_disposition(artifact.input_filename, artifact.name),
    }
    # RFC 9110 defines ranges for GET alone.
    if request.method == "HEAD":
        return Response(headers=headers | {"Content-Length": str(artifact.size_bytes)})
    if resources.settings.presigned_downloads and resources.blobs.can_sign:
        url = await resources.blobs.signed_url("GET", artifact.blob_key, seconds=resources.settings.presigned_seconds)
        # The range is asked for again there. The URL is as good as the file: no cache may keep it.
        return RedirectResponse(url, headers={"Cache-Control": "no-store"})
    asked = requested_range(request.headers, tag, artifact.size_bytes)
    sent = asked or ByteRange(0, artifact.size_bytes)
    headers["Content-Length"] = str(sent.length)
    if asked is not None:
        headers["Content-Range"] = f"bytes {asked.start}-{asked.end - 1}/{artifact.size_bytes}"
    body = await _opened(resources.blobs, artifact, sent)
    return StreamingResponse(body, status_code=200 if asked is None else 206, headers=headers)


router.add_api_route(
    "/{job_id}/artifacts/{name}",
    get_artifact,
    methods=["HEAD"],
    name="head_artifact",
    response_class=Response,
    responses=_ANSWERS,
    description="What a GET would say of the file, without the file.",
)


async def _find(resources: Resources, job_id: UUID, name: str, *, owner: UUID | None) -> StoredArtifact:
    artifact = await resources.views.artifact(job_id, name, owner=owner)
    if artifact is not None:
        return artifact
    job = await resources.views.get(job_id, owner=owner)
    if job is None:
        raise job_not_found(job_id)
    if job.artifacts_removed_at is not None:
        raise _gone("The files of this job were kept for a while after its end, and are deleted now. Submit it again.")
    detail = (
        "The job has no artifact of this name; its `artifacts` lists those that it has."
        if job.status.is_terminal
        else f"The job is {job.status}; its artifacts are there when it has succeeded."
    )
    raise ProblemError(404, "artifact-not-found", "No such artifact", detail)


def _gone(detail: str) -> ProblemError:
    return ProblemError(410, "artifact-gone", "Gone", detail)


async def _opened(blobs: Blobs, artifact: StoredArtifact, sent: ByteRange) -> AsyncIterator[bytes]:
    """The bytes, the first piece of which is read: an error comes while there is still an answer to give it in."""
    if sent.length == 0:
        return _rest(b"", None)
    pieces = blobs.stream(artifact.blob_key, start=sent.start, end=sent.end)
    try:
        first = await anext(pieces)
    except BlobMissing:
        raise _gone("The file of this artifact is no longer stored.") from None
    return _rest(first, pieces)


async def _rest(first: bytes, pieces: AsyncIterator[bytes] | None) -> AsyncIterator[bytes]:
    yield first
    if pieces is not None:
        async for piece in pieces:
            yield piece
