"""The OpenAPI document: what FastAPI does not see by itself, namely problems, and bodies that are read as they come."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from services.api import examples, glossary, problems
from services.api.bodies import FILE_PART, FORM, JSON, SPEC_PART
from services.api.problems import Problem
from shared.schema.batches import BatchEvent
from shared.schema.events import JobEvent
from shared.schema.jobs import JobSubmission

_REFERENCE = "#/components/schemas/{model}"
# Models that the document names and no route's signature does.
_referenced: set[type[BaseModel]] = {JobEvent, BatchEvent}
_FILE = {"type": "string", "format": "binary", "description": "The audio file."}

_PROBLEMS = {
    400: "The body is not what its Content-Type says.",
    401: "No valid API key was sent.",
    403: "The key lacks the scope for this; or there are no keys yet, and another machine asks.",
    404: "There is nothing of this name.",
    408: "No byte of the body has come for too long; send it again.",
    409: "The state of what is there does not allow it.",
    410: "The file is no longer stored.",
    412: "What is there is not what If-Match or If-None-Match asks for.",
    413: "The body, or a part of it, is larger than allowed.",
    415: "The body is of a type that this route does not read.",
    416: "The range begins behind the end.",
    422: "Values in the request are wrong; `errors` says which, and why.",
    429: "Too many requests of this key, or too much waits to be done; Retry-After says when to try again.",
    460: "The bytes are not those of the Upload-Checksum; nothing of them was kept.",
    500: "Something went wrong in Wavemill.",
    503: "A store cannot be reached at the moment; Retry-After says when to try again.",
    507: "The disk that files are stored on is nearly full, or the key may keep no more of them.",
}


def answers(*statuses: int, **others: Mapping[str, Any]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: problems by status; further answers as `s206={...}`."""
    content = {problems.MEDIA_TYPE: {"schema": reference(Problem)}}
    described: dict[int | str, dict[str, Any]] = {
        status: {"description": _PROBLEMS[status], "content": content} for status in statuses
    }
    return described | {int(status.removeprefix("s")): dict(answer) for status, answer in others.items()}


def reference(model: type[BaseModel]) -> dict[str, Any]:
    """A reference to a model's schema, which the document will have."""
    _referenced.add(model)
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def form_body(*, with_spec: bool) -> dict[str, Any]:
    """The content of a form body."""
    properties: dict[str, Any] = {FILE_PART: _FILE}
    encoding: dict[str, Any] = {}
    if with_spec:
        properties[SPEC_PART] = reference(JobSubmission)
        encoding = {"encoding": {SPEC_PART: {"contentType": JSON}}}
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {FORM: {"schema": schema, **encoding}}


def operation_id(route: APIRoute) -> str:
    """The function's name: `create_job`, from which a pleasant client can be generated."""
    return route.name


def install(app: FastAPI) -> None:
    """Have the app serve the whole document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's way to extend it


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
        separate_input_output_schemas=False,
    )
    named = sorted(_referenced, key=lambda model: model.__name__)
    _, definitions = models_json_schema([(model, "validation") for model in named], ref_template=_REFERENCE)
    document.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
    glossary.describe(document)
    examples.illustrate(document)
    return document
