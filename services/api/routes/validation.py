"""What a job would do, without doing it."""

from typing import Any

from fastapi import APIRouter, Request

from services.api import problems
from services.api.access import Reader
from services.api.bodies import JSON, media_type, read_json
from services.api.documentation import answers, reference
from services.api.resources import InjectedResources
from shared.broker import queue_of
from shared.schema.jobs import JobSubmission
from shared.schema.plans import JobPlan, planned_artifacts

router = APIRouter(tags=["jobs"])

_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {JSON: {"schema": reference(JobSubmission)}}}}


@router.post("/api/jobs:validate", responses=answers(408, 413, 415, 422, 500, 503), openapi_extra=_BODY)
async def validate_job(request: Request, caller: Reader, resources: InjectedResources) -> JobPlan:
    """Say what a job would do, without doing it: its operations with every default, its files, its queue.

    The body is the spec of a job, as a form has it. What is wrong with it is told as for a job.
    """
    if media_type(request) != JSON:
        raise problems.unsupported_media_type(JSON)
    asked = await read_json(request, JobSubmission, resources.settings)
    submission = await resources.submissions.resolved(asked, key_id=caller.key_id)
    spec, options = submission.spec, submission.options
    return JobPlan(
        operations=spec.operations,
        artifacts=planned_artifacts(spec),
        queue=queue_of(spec),
        priority=spec.priority,
        preset=options.preset,
        metadata=options.metadata,
        not_before=options.not_before,
        expires_in=options.expires_in,
        max_attempts=resources.settings.max_attempts,
    )
