"""ZIP archives: all artifacts of a job, or of a batch, in one download."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response

from services.api import problems
from services.api.access import Reader
from services.api.archive import archive_response, archived
from services.api.documentation import answers
from services.api.resources import InjectedResources

router = APIRouter(prefix="/api", tags=["artifacts"])

_ZIP: dict[str, Any] = {
    "description": "A ZIP archive, made while it is sent: its length is not known before. Nothing in it is compressed.",
    "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    "headers": {"Content-Disposition": {"description": "A file name.", "schema": {"type": "string"}}},
}


@router.get("/jobs/{job_id}/artifacts.zip", response_class=Response, responses=answers(404, 422, 500, 503, s200=_ZIP))
async def get_job_archive(job_id: UUID, caller: Reader, resources: InjectedResources) -> Response:
    """Fetch all files that the job made as one archive; it is empty while there are none."""
    if await resources.views.event(job_id, owner=caller.owner) is None:
        raise problems.job_not_found(job_id)
    pieces = archived(resources.archives.of_job(job_id), resources.blobs, by_job=False)
    return archive_response(f"{job_id}.zip", pieces)


@router.get(
    "/batches/{batch_id}/artifacts.zip", response_class=Response, responses=answers(404, 422, 500, 503, s200=_ZIP)
)
async def get_batch_archive(batch_id: UUID, caller: Reader, resources: InjectedResources) -> Response:
    """Fetch the files of all jobs of a batch that have succeeded by now, each job's in a folder of its own."""
    batch = await resources.batches.get(batch_id, owner=caller.owner)
    if batch is None:
        raise problems.batch_not_found(batch_id)
    pieces = archived(resources.archives.of_batch(batch_id), resources.blobs, by_job=True)
    return archive_response(f"{batch.name or batch_id}.zip", pieces)
