"""Jobs: accepted, shown, canceled, retried, removed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Request, Response

from services.api import problems
from services.api.access import Caller, Reader, Submitter
from services.api.access.idempotency import Idempotency, InjectedIdempotency, Once
from services.api.bodies import FORM, JSON, SPEC_PART, media_type, read_json, received_form, validated
from services.api.documentation import answers, form_body, reference
from services.api.inputs import Chosen, upload_missing
from services.api.problems import ProblemError
from services.api.resources import InjectedResources, Resources
from services.api.submissions import Submission, shown_once
from shared.broker import IO_QUEUE, JobMessage, queue_of
from shared.ingest import discard
from shared.schema.inputs import MAIN_INPUT
from shared.schema.jobs import JobRequest, JobStatus, JobSubmission, JobView
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
    if await idempotency.is_new():
        await resources.admission.admit(caller)
    kind = media_type(request)
    if kind == FORM:
        return await _create_from_form(request, caller, idempotency, resources)
    if kind == JSON:
        return await _create_from_json(request, caller, idempotency, resources)
    raise problems.unsupported_media_type(FORM, JSON)


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


@router.delete("/{job_id}", status_code=204, responses=answers(404, 409, 422, 500, 503))
async def delete_job(job_id: UUID, caller: Submitter, resources: InjectedResources) -> None:
    """Remove a job that has ended, with its results, attempts and artifacts.

    Its input is kept for other jobs, and goes when no job has needed it for some time.
    """
    present = await resources.views.event(job_id, owner=caller.owner)
    if present is None:
        raise problems.job_not_found(job_id)
    removed = await resources.retention.forget_job(job_id, owner=caller.owner) if present.status.is_terminal else None
    if removed is None or not removed.jobs:
        # It has not ended, or began again just now.
        detail = f"The job is {present.status}; cancel it first, and delete it when it has ended."
        raise ProblemError(409, "job-not-ended", "The job has not ended", detail)
    await discard(resources.blobs, removed.blob_keys)


def _not_retryable(view: JobView) -> ProblemError:
    detail = f"The job is {view.status}; only one that has failed or was canceled can be retried."
    return ProblemError(409, "not-retryable", "Not to be retried", detail)


async def _create_from_form(
    request: Request, caller: Caller, idempotency: Idempotency, resources: Resources
) -> Response:
    async with received_form(request, resources.ingest, resources.settings, with_spec=True) as form:
        asked = validated(JobSubmission, form.spec or b"", within=[SPEC_PART])
        sent = asked.model_dump_json(), form.file.sha256, form.filename or ""
        async with idempotency.once("job with file", *sent) as once:
            if once.answer is None:
                submission = await resources.submissions.resolved(asked, key_id=caller.key_id, within=[SPEC_PART])
                await resources.admission.admit_bytes(caller, form.file.size_bytes)
                further = await resources.inputs.further(asked, caller, within=[SPEC_PART])
                upload = await resources.ingest.accept(form.file, form.filename, key_id=caller.key_id)
                with _missing_told(asked, within=[SPEC_PART]):
                    await _create(caller, once, resources, submission, Chosen(upload.id, further))
    return once.response


async def _create_from_json(
    request: Request, caller: Caller, idempotency: Idempotency, resources: Resources
) -> Response:
    job = await read_json(request, JobRequest, resources.settings)
    async with idempotency.once("job", job.model_dump_json()) as once:
        if once.answer is None:
            submission = await resources.submissions.resolved(job, key_id=caller.key_id)
            chosen = await resources.inputs.choose(job, caller)
            with _missing_told(job):
                await _create(caller, once, resources, submission, chosen)
    return once.response


@contextmanager
def _missing_told(job: JobSubmission, *, within: Sequence[str] = ()) -> Iterator[None]:
    try:
        yield
    except UploadMissing as missing:
        raise upload_missing(job, missing.upload_id, within=within) from None


async def _create(caller: Caller, once: Once, resources: Resources, submission: Submission, chosen: Chosen) -> None:
    spec, max_attempts = submission.spec, resources.settings.max_attempts
    queue = IO_QUEUE if chosen.is_to_be_fetched else queue_of(spec)
    # The trace of this request, where there is one, goes on in the worker.
    traceparent = current_traceparent()

    def answer_of(new: NewJob) -> Answer:
        view = _first_view(new, submission, max_attempts)
        return Answer(202, view.model_dump_json(), f"{router.prefix}/{view.id}")

    new = await resources.jobs.create(
        spec,
        upload_id=chosen.upload_id,
        queue=queue,
        max_attempts=max_attempts,
        traceparent=traceparent,
        sources=chosen.sources,
        options=submission.options,
        key_id=caller.key_id,
        owner=caller.owner,
        webhook=submission.webhook,
        commit_with=once.recording(answer_of),
    )
    if once.answer is None:
        await once.record(answer_of(new))
    if new.not_before is None:
        await resources.turns.begin(new, queue=queue, key_id=caller.key_id, traceparent=traceparent)


def _first_view(new: NewJob, submission: Submission, max_attempts: int) -> JobView:
    """The job before anything has happened to it."""
    its_own = new.sources.get(MAIN_INPUT)
    spec, options = submission.spec, submission.options
    return JobView(
        id=new.job_id,
        status=new.event.status,
        progress=new.event.progress,
        error_code=None,
        error_message=None,
        poisoned=False,
        cancel_requested=False,
        priority=spec.priority,
        preset=options.preset,
        metadata=options.metadata,
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
        not_before=new.not_before,
        expires_in=options.expires_in,
        expires_at=None,
        batch_id=None,
        webhook=shown_once(new.webhook_id, submission.webhook),
    )
