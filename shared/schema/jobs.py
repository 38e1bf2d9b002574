"""A job as clients send it and as they see it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from urllib.parse import quote
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationInfo, field_validator, model_validator

from shared.schema.inputs import MAX_FURTHER_INPUTS, AnyInput, InputName
from shared.schema.names import Name
from shared.schema.operations import AnyOperation, with_names
from shared.schema.options import JobOptions
from shared.schema.results import AnyResult
from shared.schema.webhooks import OwnWebhook, WebhookTarget

MAX_OPERATIONS = 32


class JobStatus(StrEnum):
    """Where a job is in its life; it moves only along the arrows of docs/architecture.md."""

    FETCHING = "fetching"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self in TERMINAL_STATUSES


TERMINAL_STATUSES = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED})


class Priority(StrEnum):
    """Which queue of its kind a job waits in."""

    HIGH = "high"
    DEFAULT = "default"
    LOW = "low"


class AttemptOutcome(StrEnum):
    """How one attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    RETRIED = "retried"
    LOST = "lost"
    HANDED_BACK = "handed_back"
    FETCHED = "fetched"


class JobSpec(BaseModel):
    """What to do. Each operation has a name of its own after validation."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "example": {"operations": [{"op": "loudness"}, {"op": "transcode", "format": "opus", "bitrate_kbps": 64}]}
        },
    )

    operations: tuple[AnyOperation, ...] = Field(min_length=1, max_length=MAX_OPERATIONS)
    priority: Priority = Priority.DEFAULT

    @model_validator(mode="after")
    def _name_the_operations(self) -> Self:
        object.__setattr__(self, "operations", with_names(self.operations))
        return self


class JobSubmission(JobOptions):
    """What a client asks for: operations, or a preset that has them, and how to treat the job."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "operations": [{"op": "loudness"}, {"op": "transcode", "format": "opus", "bitrate_kbps": 64}],
                "priority": "high",
                "metadata": {"customer": "42"},
            }
        }
    )

    overrides: dict[str, dict[str, JsonValue]] | None = Field(
        default=None,
        max_length=MAX_OPERATIONS,
        description="Parameters that the preset's operations are to have instead, by the operation's name.",
        examples=[{"normalize": {"target_lufs": -18}}],
    )
    operations: tuple[AnyOperation, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_OPERATIONS,
        validate_default=True,
        description="What to do, in one pass over the audio. Left out where a preset has it.",
    )
    priority: Priority = Field(
        default=Priority.DEFAULT, description="Which of the queues the job waits in; each has workers of its own."
    )

    inputs: dict[InputName, AnyInput] = Field(
        default_factory=dict,
        max_length=MAX_FURTHER_INPUTS,
        description="Further files, by the names that operations call them by.",
    )
    webhook: WebhookTarget | None = Field(default=None, description="Whom to tell when this job has ended.")

    @field_validator("overrides")
    @classmethod
    def _override_a_preset(
        cls, value: dict[str, dict[str, JsonValue]] | None, info: ValidationInfo
    ) -> dict[str, dict[str, JsonValue]] | None:
        if value and info.data.get("preset", "") is None:
            raise ValueError("overrides change the operations of a preset; name it as `preset`")
        return value

    @field_validator("operations")
    @classmethod
    def _come_from_one_place(
        cls, value: tuple[AnyOperation, ...] | None, info: ValidationInfo
    ) -> tuple[AnyOperation, ...] | None:
        # A preset that is there and wrong has its own error.
        preset = info.data.get("preset", "")
        if value is None and preset is None:
            raise ValueError("say what to do: `operations`, or a `preset` that has them")
        if value is not None and preset:
            raise ValueError("give `operations` or a `preset`, not both; `overrides` change a preset's operations")
        return None if value is None else with_names(value)


class JobRequest(JobSubmission):
    """The JSON body of POST /api/jobs: what to do, and the input to do it to."""

    input: AnyInput = Field(description="What the operations work on.")


class Upload(BaseModel):
    """Bytes that a client sent. Equal bytes are stored once."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    filename: str | None = Field(description="As the client named it.")
    size_bytes: int
    sha256: str = Field(description="Hex digest of the bytes.")
    created_at: datetime


class FurtherInput(BaseModel):
    """A file that operations call by a name."""

    model_config = ConfigDict(frozen=True)

    upload: Upload | None = Field(description="null until it has been fetched from its URL.")
    source_url: str | None = Field(description="Where it is fetched from, without the query; null for an upload.")


def artifact_path(job_id: UUID, name: str) -> str:
    """Path of an artifact on the API."""
    return f"/api/jobs/{job_id}/artifacts/{quote(name)}"


class AttemptView(BaseModel):
    """One attempt at a job."""

    model_config = ConfigDict(frozen=True)

    number: int = Field(description="Counted from 1.")
    worker: str = Field(description="Node name and process id of the worker's child.")
    started_at: datetime
    ended_at: datetime | None
    outcome: AttemptOutcome | None = Field(description="null while it runs.")
    error_message: str | None
    audio_seconds: float | None = Field(description="Length of the audio that was decoded.")
    cpu_seconds: float | None = Field(description="Processor time, user and system.")


class ArtifactView(BaseModel):
    """A file that the job made."""

    model_config = ConfigDict(frozen=True)

    name: str
    media_type: str
    size_bytes: int
    sha256: str
    url: str = Field(description="Path to fetch it from, relative to the server.")


class JobView(BaseModel):
    """A job, as GET /api/jobs/{job_id} shows it."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    status: JobStatus
    progress: float = Field(ge=0, le=1, description="Part of the work that is done, 0 to 1.")
    error_code: str | None = Field(description="Stable name of the error; null unless the job failed.")
    error_message: str | None = Field(description="Why the job failed, in a sentence; null unless it failed.")
    poisoned: bool = Field(description="Failed because its workers died on it.")
    cancel_requested: bool
    priority: Priority
    preset: Name | None = Field(description="The preset that the operations were made from; else null.")
    metadata: dict[str, str] = Field(description="The client's own labels.")
    operations: tuple[AnyOperation, ...]
    input: Upload | None = Field(description="null until it has been fetched from its URL.")
    source_url: str | None = Field(
        description="Where the input is fetched from, without the query, which may hold secrets; null for an upload."
    )
    inputs: dict[str, FurtherInput] = Field(description="Further files, by name.")
    attempts: tuple[AttemptView, ...]
    max_attempts: int
    results: dict[str, AnyResult] = Field(
        description="By the operation's name; empty until the job succeeded, and once `expires_in` has passed."
    )
    artifacts: tuple[ArtifactView, ...]
    artifacts_removed_at: datetime | None = Field(
        description="When the artifacts were deleted, as they are some time after the job's end; else null."
    )
    created_at: datetime
    started_at: datetime | None = Field(description="Start of the first attempt.")
    finished_at: datetime | None
    not_before: datetime | None = Field(
        description="When the job is to begin, or its next attempt, while it waits for that; else null."
    )
    expires_in: int | None = Field(
        description="Seconds that the client wants results and artifacts kept after the end; null: as the server does."
    )
    expires_at: datetime | None = Field(description="When that time ends, once the job has succeeded.")
    batch_id: UUID | None = Field(description="The batch that it was submitted in; else null.")
    webhook: OwnWebhook | None = Field(description="Its own webhook, if it was submitted with one; else null.")


class JobSummary(BaseModel):
    """A job in a list."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    status: JobStatus
    progress: float
    error_code: str | None
    error_message: str | None
    filename: str | None
    preset: Name | None
    metadata: dict[str, str]
    created_at: datetime
    finished_at: datetime | None


class JobPage(BaseModel):
    """One page of jobs."""

    model_config = ConfigDict(frozen=True)

    jobs: tuple[JobSummary, ...]
    next_cursor: Annotated[
        str | None, Field(description="Give it back as `cursor` for the next page; null at the end.")
    ]
