"""RFC 9457 problem details: the one shape of every error answer.

A problem says in a sentence what is wrong and what to do. It never holds a traceback, a path or a secret.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal, Self
from uuid import UUID, uuid4

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from services.api.metrics import ApiMetrics
from shared.blobs import BlobStoreUnavailable
from shared.store.errors import DATABASE_ERRORS, is_unavailable

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
_TYPE_PREFIX = "urn:wavemill:problem:"
_RETRY_AFTER_SECONDS = 5
# What a client sent is not sent back to it at any length.
_MAX_ERRORS = 50
_MAX_TEXT = 300
# In the words of whoever sends requests, not of whoever writes validators.
_SAID = {
    "extra_forbidden": "This is not known here; leave it out.",
    "missing": "This is missing.",
    "union_tag_not_found": "The field that says which kind it is of is missing.",
}


class FieldError(BaseModel):
    """What is wrong with one part of the request."""

    model_config = ConfigDict(frozen=True)

    source: Literal["body", "query", "path", "header"] = Field(description="Which part of the request.")
    pointer: str = Field(description="JSON pointer, as a URI fragment, to the value that is wrong.")
    detail: str = Field(description="What is wrong with it.")

    @classmethod
    def at(cls, source: str, path: Sequence[str | int], detail: str) -> Self:
        """The error of the value that this path of keys and indices leads to."""
        # RFC 6901: in a pointer "~" and "/" are written "~0" and "~1".
        steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
        pointer = "#" + "".join(f"/{step}" for step in steps)
        return cls.model_validate({"source": source, "pointer": _short(pointer), "detail": _short(detail)})

    def within(self, path: Sequence[str | int]) -> Self:
        """The same error of a document that is a part of another; the path leads to it."""
        return self.model_copy(
            update={"pointer": self.at(self.source, path, "").pointer + self.pointer.removeprefix("#")}
        )


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        json_schema_extra={
            "example": {
                "type": f"{_TYPE_PREFIX}job-not-found",
                "title": "No such job",
                "status": 404,
                "detail": "There is no job 0190163d-8694-739b-aea5-966c26f8ad91.",
            }
        },
    )

    type: str = Field(description="Stable name of the kind of problem; about:blank where the status says it all.")
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong with this request and what to do about it.")
    instance: str | None = Field(
        default=None, description="Names this one occurrence; give it to the operator, who finds it in the log."
    )
    errors: tuple[FieldError, ...] | None = Field(default=None, description="Each value that is wrong.")


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(
        self,
        status: int,
        name: str,
        title: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(detail)
        self.name = name
        self.headers = headers
        self.problem = Problem(
            type=_TYPE_PREFIX + name,
            title=title,
            status=status,
            detail=detail,
            errors=tuple(errors[:_MAX_ERRORS]) or None,
            **extensions,
        )


def job_not_found(job_id: UUID) -> ProblemError:
    """404: there is no job of this id."""
    return ProblemError(404, "job-not-found", "No such job", f"There is no job {job_id}.")


def batch_not_found(batch_id: UUID) -> ProblemError:
    """404: there is no batch of this id."""
    return ProblemError(404, "batch-not-found", "No such batch", f"There is no batch {batch_id}.")


def too_large(what: str, limit: int) -> ProblemError:
    """413: more bytes than the settings allow."""
    return ProblemError(413, "too-large", "Too large", f"The {what} is larger than the {limit} bytes allowed here.")


def too_slow(what: str) -> ProblemError:
    """408: the body does not come."""
    return ProblemError(
        408,
        "too-slow",
        "Too slow",
        f"{what}; send it again.",
        # What else comes on this connection would belong to the body.
        headers={"Connection": "close"},
    )


def unsupported_media_type(*supported: str) -> ProblemError:
    """415: the body is of no kind that this route reads."""
    return ProblemError(
        415,
        "unsupported-media-type",
        "Unsupported media type",
        f"Send the body as {' or as '.join(supported)}, and say so in the Content-Type header.",
    )


def malformed_body(detail: str) -> ProblemError:
    """400: the body is not what its content type says."""
    return ProblemError(400, "malformed-body", "Malformed body", detail)


def invalid(errors: Sequence[FieldError]) -> ProblemError:
    """422: the request can be read, but values in it are wrong."""
    first = errors[0]
    detail = (
        f"{first.pointer} ({first.source}): {first.detail}"
        if len(errors) == 1
        else f"{len(errors)} values are wrong; `errors` says which, and why."
    )
    return ProblemError(422, "invalid-request", "Invalid request", detail, errors=errors)


def unavailable(what: str) -> ProblemError:
    """503: a store does not answer."""
    return ProblemError(
        503,
        "unavailable",
        "Temporarily unavailable",
        f"The {what} cannot be reached at the moment; try again in {_RETRY_AFTER_SECONDS} seconds.",
        headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
    )


def input_gone() -> ProblemError:
    """409: the job's input was removed, and there is nothing to begin with."""
    return ProblemError(
        409, "input-gone", "Input gone", "The input of this job is no longer stored; submit a new job with the file."
    )


def sentence(error: ErrorDetails) -> str:
    """What pydantic, or one of our validators, says of a value, as a sentence."""
    if error["type"] in _SAID:
        return _SAID[error["type"]]
    message = error["msg"].removeprefix("Value error, ")
    return message if message.endswith(".") else f"{message}."


def install(app: FastAPI, metrics: ApiMetrics) -> None:
    """Make every error of the app a problem, and count those that have a name."""
    app.state.metrics = metrics
    app.exception_handler(ProblemError)(_on_problem)
    app.exception_handler(HTTPException)(_on_http_exception)
    app.exception_handler(RequestValidationError)(_on_invalid_parameters)
    app.exception_handler(BlobStoreUnavailable)(_on_blob_store_error)
    for kind in DATABASE_ERRORS:
        app.exception_handler(kind)(_on_database_error)
    app.exception_handler(ClientDisconnect)(_on_disconnect)
    app.exception_handler(Exception)(_on_unexpected)


def _answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        problem.model_dump_json(exclude_none=True),
        status_code=problem.status,
        headers=dict(headers or {}),
        media_type=MEDIA_TYPE,
    )


async def _on_problem(request: Request, error: ProblemError) -> Response:
    metrics: ApiMetrics = request.app.state.metrics
    metrics.rejected(error.name)
    return _answer(error.problem, error.headers)


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    status = HTTPStatus(error.status_code)
    headers = error.headers
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": ", ".join(sorted(_methods_of(request)))}
    detail = {
        404: "There is nothing at this address; /docs lists what there is.",
        405: "This address does not take this method; the Allow header lists those that it takes.",
    }.get(status, status.description or status.phrase)
    return _answer(Problem(type="about:blank", title=status.phrase, status=status, detail=detail), headers)


async def _on_invalid_parameters(request: Request, error: RequestValidationError) -> Response:
    errors = [FieldError.at(str(found["loc"][0]), found["loc"][1:], sentence(found)) for found in error.errors()]
    return await _on_problem(request, invalid(errors))


async def _on_blob_store_error(request: Request, error: BlobStoreUnavailable) -> Response:
    log.warning("blob store unavailable", reason=str(error))
    return await _on_problem(request, unavailable("blob store"))


async def _on_database_error(request: Request, error: Exception) -> Response:
    if not is_unavailable(error):
        return await _on_unexpected(request, error)
    log.warning("database unavailable", reason=_short(str(error)))
    return await _on_problem(request, unavailable("database"))


async def _on_disconnect(_request: Request, _error: ClientDisconnect) -> Response:
    # Nobody reads this.
    return Response(status_code=400)


async def _on_unexpected(_request: Request, error: Exception) -> Response:
    occurrence = uuid4().urn
    log.error("unexpected error", instance=occurrence, exc_info=error)
    return _answer(
        Problem(
            type="about:blank",
            title=HTTPStatus.INTERNAL_SERVER_ERROR.phrase,
            status=500,
            detail="Something went wrong here; it is not your fault. Try again, or give `instance` to the operator.",
            instance=occurrence,
        )
    )


def _methods_of(request: Request) -> set[str]:
    """All methods of the request's path; the framework names those of the first route that matches."""
    return {
        method
        for route in iter_route_contexts(request.app.routes)
        if route.path_regex.match(request.scope["path"])
        for method in route.methods or ()
    }


def _short(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
