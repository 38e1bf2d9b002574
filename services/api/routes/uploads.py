"""Uploads: bytes that later jobs name."""

from typing import Any

from fastapi import APIRouter, Request, Response

from services.api import problems
from services.api.access import Submitter
from services.api.access.idempotency import InjectedIdempotency
from services.api.bodies import FORM, media_type, received_form
from services.api.documentation import answers, form_body
from services.api.resources import InjectedResources
from shared.schema.jobs import Upload
from shared.store.idempotency import Answer

router = APIRouter(prefix="/api/uploads", tags=["uploads"])

_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": form_body(with_spec=False)}}


@router.post(
    "",
    status_code=201,
    response_model=Upload,
    responses=answers(400, 408, 409, 413, 415, 422, 429, 500, 503, 507),
    openapi_extra=_BODY,
)
async def create_upload(
    request: Request, caller: Submitter, idempotency: InjectedIdempotency, resources: InjectedResources
) -> Response:
    """Store a file for one or many jobs.

    Equal bytes are stored once. An empty file is taken; a job on it fails and says why.
    """
    if await idempotency.is_new():
        await resources.admission.admit(caller, jobs=0)
    if media_type(request) != FORM:
        raise problems.unsupported_media_type(FORM)
    async with (
        received_form(request, resources.ingest, resources.settings, with_spec=False) as form,
        idempotency.once("upload", form.file.sha256, form.filename or "") as once,
    ):
        if once.answer is None:
            await resources.admission.admit_bytes(caller, form.file.size_bytes)
            upload = await resources.ingest.accept(form.file, form.filename, key_id=caller.key_id)
            await once.record(Answer(201, upload.model_dump_json()))
    return once.response
