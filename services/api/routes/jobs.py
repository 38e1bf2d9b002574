"""Jobs: accepted, shown, listed, canceled, retried."""

import base64
import binascii
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response

from services.api import problems
from services.api.access import Caller, Reader, Submitter
from services.api.access.idempotency import Idempotency, InjectedIdempotency, Once
from services.api.bodies import FORM, JSON, SPEC_PART, media_type, read_json, received_form, validated
from services.api.documentation import answers, form_body, reference
from services.api.inputs import Chosen, upload_missing
from services.api.problems import FieldError, ProblemError
from services.api.resources import InjectedResources, Resources
from shared.broker import IO_QUEUE, JobMessage, queue_of
from shared.schema.inputs import MAIN_INPUT
from shared.schema.jobs import FormSpec, JobPage, JobRequest, JobSpec, JobStatus, JobView
from shared.store.errors import UploadMissing
from shared.store.idempotency import Answer
from shared.store.records import NewJob
from shared.telemetry.tracing import current_traceparent

router = APIRouter(prefix="/api/jobs", tags=["jobs"])

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {**form_body(with_spec=True), JSON: {"schema": reference(JobRequest)}},
    }
}
_RETRYABLE = (JobStatus.FAILED, JobStatus.CANCELED)
# 16 bytes in base64url. Only documented: what breaks it is told in a sentence.
_CURSOR: dict[str, Any] = {"minLength": 22, "maxLength": 22, "pattern": "^[A-Za-z0-9_-]{21}[AQgw]$"}
_LOCATION = {
    "description": "The job is accepted, and durable.",
    "headers": {"Location": {"description": "Path of the job.", "schema": {"type": "string"}}},
}


@router.post(
    "",
    status_code=202,
    response_model=JobView,
    responses=answers(400, 408, 409, 413, 415, 422, 429, 500, 503, 507, s202=_LOCATION),
    openapi_extra=_BODY,
)
async def create_job(
    request: Request, caller: Submitter, idempotency: InjectedIdempotency, resources: InjectedResources
) -> Response:
    """Submit a job: a form with the file and the spec, or JSON that names an earlier upload.

    The answer comes when the job is durable, and does not wait for a worker. An upload that does not exist is a wrong
    value of the request (422, pointer `#/input/id`), not a wrong address.
    """
    await resources.admission.admit(caller)
    kind = media_type(request)
    if kind == FORM:
        return await _create_from_form(request, caller, idempotency, resources)
    if kind == JSON:
        return await _create_from_json(request, caller, idempotency, resources)
    raise problems.unsupported_media_type(FORM, JSON)


@router.get("", responses=answers(422, 500, 503))
async def list_jobs(
    caller: Reader,
    resources: InjectedResources,
    status: Annotated[JobStatus | None, Query(description="Only jobs of this status.")] = None,
    cursor: Annotated[
        str | None, Query(description="`next_cursor` of the page before.", max_length=64, json_schema_extra=_CURSOR)
    ] = None,
    limit: Annotated[int, Query(description="Jobs a page.", ge=1, le=200)] = 50,
) -> JobPage:
    """List jobs, the newest first. Jobs that are made meanwhile do not move the pages."""
    # One more than is shown says whether there is a next page.
    found = await resources.views.page(status=status, before=_position(cursor), limit=limit + 1, owner=caller.owner)
    shown = found[:limit]
    return JobPage(jobs=tuple(shown), next_cursor=_cursor(shown[-1].id) if len(found) > limit else None)


@router.get("/{job_id}", responses=answers(404, 422, 500, 503))
async def get_job(job_id: UUID, caller: Reader, resources: InjectedResources) -> JobView:
    """Show a job: its status, progress and attempts; once it has ended, its results and artifacts."""
    view = await resources.views.get(job_id, owner=caller.owner)
    if view is None:
        raise problems.job_not_found(job_id)
    return view


@router.post("/{job_id}/cancel", status_code=202, responses=answers(404, 409, 422, 500, 503))
async def cancel_job(
    job_id: UUID, caller: Submitter, resources: InjectedResources, afterwards: BackgroundTasks
) -> JobView:
    """Cancel a job. One that waits is canceled at once; a worker stops within seconds, watch `status` for it."""
    event = await resources.jobs.cancel(job_id, owner=caller.owner)
    view = await resources.views.get(job_id, owner=caller.owner)
    if view is None:
        raise problems.job_not_found(job_id)
    if event is None:
        raise ProblemError(
            409,
            "job-ended",
            "The job has ended",
            f"The job has {view.status}; only a job that has not ended can be canceled.",
        )
    # Followers hear of it after the answer is sent, which does not wait for Redis.
    afterwards.add_task(resources.events.publish, event)
    return view


@router.post("/{job_id}/retry", status_code=202, responses=answers(404, 409, 422, 429, 500, 503, 507))
async def retry_job(
    job_id: UUID, caller: Submitter, resources: InjectedResources, afterwards: BackgroundTasks
) -> JobView:
    """Have a job that failed or was canceled done again, with all its attempts. The earlier ones stay on the record."""
    await resources.admission.admit(caller)
    view = await resources.views.get(job_id, owner=caller.owner)
    if view is None:
        raise problems.job_not_found(job_id)
    if view.status not in _RETRYABLE:
        raise _not_retryable(view)
    await resources.inputs.require(view)
    requeue = await resources.jobs.reopen(job_id, owner=caller.owner)
    view = await resources.views.get(job_id, owner=caller.owner)
    if view is None:
        raise problems.job_not_found(job_id)
    if requeue is None:
        # Another was faster, or the input expired just now.
        raise problems.input_gone() if view.status in _RETRYABLE else _not_retryable(view)
    resources.dispatcher.dispatch(JobMessage(job_id, requeue.queue, requeue.traceparent))
    afterwards.add_task(resources.events.publish, requeue.event)
    return view


def _not_retryable(view: JobView) -> ProblemError:
    detail = f"The job is {view.status}; only one that has failed or was canceled can be retried."
    return ProblemError(409, "not-retryable", "Not to be retried", detail)


async def _create_from_form(
    request: Request, caller: Caller, idempotency: Idempotency, resources: Resources
) -> Response:
    async with received_form(request, resources.ingest, resources.settings, with_spec=True) as form:
        asked = validated(FormSpec, form.spec or b"", within=[SPEC_PART])
        sent = asked.model_dump_json(), form.file.sha256, form.filename or ""
        async with idempotency.once("job with file", *sent) as once:
            if once.answer is None:
                await resources.admission.admit_bytes(caller, form.file.size_bytes)
                further = await resources.inputs.further(asked, caller, within=[SPEC_PART])
                upload = await resources.ingest.accept(form.file, form.filename, key_id=caller.key_id)
                with _missing_told(asked, within=[SPEC_PART]):
                    await _create(caller, once, resources, _spec_of(asked), Chosen(upload.id, further))
    return once.response


async def _create_from_json(
    request: Request, caller: Caller, idempotency: Idempotency, resources: Resources
) -> Response:
    job = await read_json(request, JobRequest, resources.settings)
    async with idempotency.once("job", job.model_dump_json()) as once:
        if once.answer is None:
            chosen = await resources.inputs.choose(job, caller)
            with _missing_told(job):
                await _create(caller, once, resources, _spec_of(job), chosen)
    return once.response


def _spec_of(job: FormSpec) -> JobSpec:
    return JobSpec.model_construct(operations=job.operations, priority=job.priority)


@contextmanager
def _missing_told(job: FormSpec, *, within: Sequence[str] = ()) -> Iterator[None]:
    try:
        yield
    except UploadMissing as missing:
        raise upload_missing(job, missing.upload_id, within=within) from None


async def _create(caller: Caller, once: Once, resources: Resources, spec: JobSpec, chosen: Chosen) -> None:
    queue = IO_QUEUE if chosen.is_to_be_fetched else queue_of(spec)
    max_attempts = resources.settings.max_attempts
    # The trace of this request, where there is one, goes on in the worker.
    traceparent = current_traceparent()

    def answer_of(new: NewJob) -> Answer:
        view = _first_view(new, spec, max_attempts)
        return Answer(202, view.model_dump_json(), f"{router.prefix}/{view.id}")

    new = await resources.jobs.create(
        spec,
        upload_id=chosen.upload_id,
        queue=queue,
        max_attempts=max_attempts,
        traceparent=traceparent,
        sources=chosen.sources,
        key_id=caller.key_id,
        owner=caller.owner,
        commit_with=once.recording(answer_of),
    )
    if once.answer is None:
        await once.record(answer_of(new))
    await resources.turns.begin(new, queue=queue, key_id=caller.key_id, traceparent=traceparent)


def _first_view(new: NewJob, spec: JobSpec, max_attempts: int) -> JobView:
    """The job before anything has happened to it."""
    its_own = new.sources.get(MAIN_INPUT)
    return JobView(
        id=new.job_id,
        status=new.event.status,
        progress=new.event.progress,
        error_code=None,
        error_message=None,
        poisoned=False,
        cancel_requested=False,
        priority=spec.priority,
        operations=spec.operations,
        input=new.input,
        source_url=its_own and its_own.source_url,
        inputs={name: source for name, source in new.sources.items() if name != MAIN_INPUT},
        attempts=(),
        max_attempts=max_attempts,
        results={},
        artifacts=(),
        artifacts_removed_at=None,
        created_at=new.created_at,
        started_at=None,
        finished_at=None,
        not_before=None,
    )


def _cursor(last: UUID) -> str:
    return base64.urlsafe_b64encode(last.bytes).rstrip(b"=").decode()


def _position(cursor: str | None) -> UUID | None:
    if cursor is None:
        return None
    try:
        return UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        detail = "This is no cursor; give back the `next_cursor` of the page before as it is."
        raise problems.invalid([FieldError.at("query", ["cursor"], detail)]) from None
