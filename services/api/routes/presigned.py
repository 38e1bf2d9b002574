"""Uploads to the bucket directly, where files are kept in one."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from fastapi import APIRouter, Request

from services.api import problems
from services.api.access import Submitter
from services.api.bodies import JSON, media_type, read_json
from services.api.documentation import answers, reference
from services.api.problems import ProblemError
from services.api.resources import InjectedResources
from shared.filenames import cleaned
from shared.schema.jobs import Upload
from shared.schema.uploads import PresignedRequest, PresignedUpload
from shared.store.unfinished import Way

router = APIRouter(prefix="/api/uploads/presigned", tags=["uploads"])

_BODY = {"requestBody": {"required": True, "content": {JSON: {"schema": reference(PresignedRequest)}}}}


@router.post("", status_code=201, responses=answers(408, 409, 413, 415, 422, 429, 500, 503, 507), openapi_extra=_BODY)
async def begin_presigned_upload(request: Request, caller: Submitter, resources: InjectedResources) -> PresignedUpload:
    """Ask for a URL to send a file to, past the API. Where files are on a disk, it says what to use instead (409)."""
    await resources.admission.admit(caller)
    if media_type(request) != JSON:
        raise problems.unsupported_media_type(JSON)
    asked = await read_json(request, PresignedRequest, resources.settings)
    asked = asked.model_copy(update={"filename": cleaned(asked.filename)})
    began = datetime.now(UTC)
    upload, url = await resources.presigned.begin(asked, key_id=caller.key_id)
    return PresignedUpload(
        id=upload.id,
        url=url,
        expires_at=began + timedelta(seconds=resources.settings.presigned_seconds),
        complete_url=f"{router.prefix}/{upload.id}/complete",
    )


@router.post("/{upload_id}/complete", responses=answers(404, 409, 410, 422, 429, 500, 503, 507))
async def complete_presigned_upload(upload_id: UUID, caller: Submitter, resources: InjectedResources) -> Upload:
    """Say that the file is there. It is read once and compared with what was announced; then jobs can name it.

    To say it again gives the same answer.
    """
    await resources.admission.admit(caller)
    upload = await resources.unfinished.get(Way.PRESIGNED, upload_id, owner=caller.owner)
    if upload is None:
        raise ProblemError(404, "upload-not-found", "No such upload", "There is no such upload; begin one by POST.")
    if upload.is_expired and upload.completed_at is None:
        raise ProblemError(410, "upload-expired", "Expired", "The upload was not complete in time; begin it again.")
    return await resources.presigned.complete(upload)
