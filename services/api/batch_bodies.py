"""Batches as they arrive: JSON, or one job a line (NDJSON), which is read and judged as it comes.

A batch is taken whole or not at all: what is wrong is gathered, job by job, and told together.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json, to_json

from services.api import problems
from services.api.bodies import arriving, check_length, field_errors, read_whole, validated
from services.api.problems import FieldError
from shared.schema.batches import MAX_BATCH_JOBS, BatchName
from shared.schema.jobs import JobRequest
from shared.schema.webhooks import WebhookTarget
from shared.settings import Settings

NDJSON = "application/x-ndjson"
_WHAT = "request body"
# Between so many jobs the loop's other tasks have their turn.
_JOBS_A_TURN = 20
# More are not told, so they are not looked for.
_ENOUGH_ERRORS = 50
_HEADER = "batch"
# Where a job says what to do, what the defaults say of that does not count.
_WHAT_TO_DO = frozenset({"operations", "preset", "overrides"})


class BatchHeader(BaseModel):
    """What is said once for all jobs of a batch."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: BatchName | None = Field(default=None, description="For people.")
    webhook: WebhookTarget | None = Field(default=None, description="Whom to tell when all jobs have ended.")
    defaults: dict[str, Any] = Field(
        default={},
        description="Fields that each job has where it does not give them itself; `operations` and `preset` replace "
        "each other.",
    )


class BatchRequest(BatchHeader):
    """The JSON body of POST /api/batches."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "Season 3",
                "defaults": {"operations": [{"op": "loudness"}]},
                "jobs": [
                    {"input": {"type": "upload", "id": "0190163d-8694-739b-aea5-966c26f8ad91"}},
                    {"input": {"type": "upload", "id": "0190163d-9f2e-7a53-8d4e-2f3d9b1c7a60"}, "priority": "low"},
                ],
            }
        },
    )

    jobs: tuple[Any, ...] = Field(
        min_length=1,
        max_length=MAX_BATCH_JOBS,
        description="Each as the body of POST /api/jobs.",
        json_schema_extra={"items": {"type": "object"}},
    )


class PlacedJob(NamedTuple):
    """A job of a batch, and where it stands: its index in `jobs`, or its line, counted from 0."""

    place: int
    job: JobRequest


class BatchBody:
    """A batch as far as it has been read: its jobs, and what is wrong with them."""

    def __init__(self, *, by_lines: bool) -> None:
        self._by_lines = by_lines
        self._errors: list[FieldError] = []
        self.header = BatchHeader()
        self.jobs: list[PlacedJob] = []
        self.sha256 = ""
        """Of the body, by which equal ones are known."""

    def take(self, place: int, document: Any) -> None:
        """Judge the next job.

        Raises:
            ProblemError: 422, there are too many jobs, or so many errors that no more would be told.
        """
        if len(self.jobs) == MAX_BATCH_JOBS:
            self.refuse(
                place, [], f"A batch has {MAX_BATCH_JOBS} jobs at most; send the others as a batch of their own."
            )
            self.finish()
        if not isinstance(document, dict):
            self.refuse(place, [], "Each job is a JSON object, as the body of POST /api/jobs.")
            return
        merged = _with_defaults(document, self.header.defaults)
        if "webhook" in merged:
            self.refuse(place, ["webhook"], "A batch is told of as a whole: give `webhook` beside `jobs`, not in them.")
            return
        try:
            # As JSON again: as Python's, a list would be no tuple, and a text no UUID.
            text = to_json(merged, inf_nan_mode="constants")
            self.jobs.append(PlacedJob(place, JobRequest.model_validate_json(text, strict=True)))
        except ValidationError as error:
            self.add(place, field_errors(error, merged, self.path(place)))

    @property
    def header_path(self) -> list[str]:
        """The way to what is said once."""
        return ["0", _HEADER] if self._by_lines else []

    def path(self, place: int) -> list[str | int]:
        """The way to a job in the body."""
        return [place] if self._by_lines else ["jobs", place]

    def add(self, place: int, errors: Sequence[FieldError]) -> None:
        """Values of a job are wrong; their pointers lead there from the body.

        Raises:
            ProblemError: 422, there are so many errors that no more would be told.
        """
        if self._by_lines:
            errors = [each.model_copy(update={"detail": f"Line {place + 1}: {each.detail}"}) for each in errors]
        self._errors += errors
        if len(self._errors) >= _ENOUGH_ERRORS:
            self.finish()

    def refuse(self, place: int, path: Sequence[str | int], detail: str) -> None:
        """A value of a job is wrong."""
        self.add(place, [FieldError.at("body", [*self.path(place), *path], detail)])

    def finish(self) -> None:
        """Let it pass if nothing is wrong with it.

        Raises:
            ProblemError: 422, something is; each value up to a number is named.
        """
        if self._errors:
            raise problems.invalid(self._errors)


async def read_batch(request: Request, settings: Settings) -> BatchBody:
    """A JSON body, `{"jobs": [...]}`.

    Raises:
        ProblemError: 408, 413 or 422.
    """
    check_length(request, _WHAT, settings.max_batch_bytes)
    text = await read_whole(arriving(request, settings), _WHAT, settings.max_batch_bytes)
    asked = validated(BatchRequest, text)
    body = BatchBody(by_lines=False)
    body.sha256 = hashlib.sha256(text).hexdigest()
    body.header = BatchHeader.model_construct(name=asked.name, webhook=asked.webhook, defaults=asked.defaults)
    for place, document in enumerate(asked.jobs):
        body.take(place, document)
        if place % _JOBS_A_TURN == 0:
            await asyncio.sleep(0)
    body.finish()
    return body


async def read_batch_lines(request: Request, settings: Settings) -> BatchBody:
    """A body of one job a line. The first line may be `{"batch": {...}}`: what is said once for all.

    Raises:
        ProblemError: 408, 413 or 422.
    """
    check_length(request, _WHAT, settings.max_batch_bytes)
    body = BatchBody(by_lines=True)
    is_first = True
    digest = hashlib.sha256()
    async for place, line in _lines(arriving(request, settings), settings):
        digest.update(line + b"\n")
        try:
            document = from_json(line)
        except ValueError:
            body.refuse(place, [], "This is no JSON; write each job on one line.")
            continue
        if is_first and isinstance(document, dict) and document.keys() == {_HEADER}:
            body.header = validated(BatchHeader, to_json(document[_HEADER]), within=body.header_path)
        else:
            body.take(place, document)
        is_first = False
        if place % _JOBS_A_TURN == 0:
            await asyncio.sleep(0)
    body.finish()
    body.sha256 = digest.hexdigest()
    if not body.jobs:
        raise problems.invalid([FieldError.at("body", [], "The batch has no jobs; write one on each line.")])
    return body


async def _lines(data: AsyncIterator[bytes], settings: Settings) -> AsyncIterator[tuple[int, bytes]]:
    """The lines with something on them, each with its number, counted from 0."""
    received, number, rest = 0, 0, b""
    async for chunk in data:
        received += len(chunk)
        if received > settings.max_batch_bytes:
            raise problems.too_large(_WHAT, settings.max_batch_bytes)
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > settings.max_spec_bytes:
            raise problems.too_large(f"line {number + len(whole) + 1}", settings.max_spec_bytes)
        for line in whole:
            if line.strip():
                yield number, line
            number += 1
    if rest.strip():
        yield number, rest


def _with_defaults(document: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    if _WHAT_TO_DO & document.keys():
        defaults = {name: value for name, value in defaults.items() if name not in _WHAT_TO_DO}
    return {**defaults, **document}
