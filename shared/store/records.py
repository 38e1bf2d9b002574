"""What the job store takes and gives, beside the models of shared/schema."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from shared.schema.events import JobEvent
from shared.schema.jobs import FurtherInput, JobSpec, JobStatus, Upload
from shared.schema.options import JobOptions
from shared.schema.webhooks import WebhookTarget


class LeaseLost(Exception):
    """Another attempt holds the job, or it has ended; whoever gets this stops, and writes nothing more."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write to a running job."""

    job_id: UUID
    attempt: int
    token: UUID


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that was created, with all that its first view shows and the caller does not know yet."""

    job_id: UUID
    created_at: datetime
    not_before: datetime | None
    input: Upload | None  # None while it is to be fetched
    event: JobEvent
    is_held: bool  # no message is to be published: it waits for its turn (shared/store/turns.py)
    webhook_id: UUID | None  # of its own
    sources: Mapping[str, FurtherInput] = field(default_factory=dict)  # as they were given


@dataclass(frozen=True, slots=True)
class InputSource:
    """Where an input comes from: an upload, or a URL that it is to be fetched from."""

    name: str  # MAIN_INPUT, or what the operations call it by
    upload_id: UUID | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Extra:
    """A further input of a job, by the name that its operations call it by."""

    name: str
    sha256: str
    filename: str | None


@dataclass(frozen=True, slots=True)
class FetchClaim:
    """A job whose inputs are to be fetched, and that was claimed for it."""

    lease: Lease
    spec: JobSpec
    queue: str
    traceparent: str | None
    wanted: Sequence[InputSource]
    upload_id: UUID | None  # of its own input, where that is not to be fetched
    key_id: UUID | None  # whose it is
    attempts_spent: int
    max_attempts: int
    event: JobEvent


@dataclass(frozen=True, slots=True)
class WebhookOrder:
    """A webhook that is to be made with a job or a batch, for it alone."""

    target: WebhookTarget
    secret: str


@dataclass(frozen=True, slots=True)
class JobOrder:
    """A job that is to be made with others."""

    spec: JobSpec
    options: JobOptions
    queue: str  # where it waits, for its turn or for being fetched
    upload_id: UUID | None  # its own input; None where a source is that
    sources: Sequence[InputSource] = ()

    @property
    def is_to_be_fetched(self) -> bool:
        """Whether one of its inputs has to come first."""
        return any(source.url is not None for source in self.sources)


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch that was created; the messages of its jobs are the caller's to publish."""

    batch_id: UUID
    webhook_id: UUID | None
    created_at: datetime
    messages: Sequence["QueuedJob"]  # of the jobs that may begin


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that was claimed: the lease, and all that is needed to do it."""

    lease: Lease
    spec: JobSpec
    queue: str
    traceparent: str | None
    input_sha256: str
    input_filename: str | None
    attempts_spent: int
    max_attempts: int
    first_traceparent: str | None  # of the job's first attempt, if this is not the one
    waited_seconds: float | None  # since it was to begin, if this is the first claim
    event: JobEvent
    extras: Sequence[Extra] = ()


@dataclass(frozen=True, slots=True)
class Holder:
    """Who runs a job."""

    lease: Lease
    worker: str


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job that waits for a worker, and where its message belongs."""

    job_id: UUID
    queue: str
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class JobCount:
    """How many jobs of one queue have one status."""

    status: JobStatus
    queue: str
    jobs: int


@dataclass(frozen=True, slots=True)
class Requeue:
    """A job that went back to the queue, or came to its end instead: the event, and where its message belongs."""

    event: JobEvent
    queue: str
    traceparent: str | None

    @property
    def is_queued(self) -> bool:
        """Whether the job waits for another attempt, and so for a message."""
        return not self.event.status.is_terminal


@dataclass(frozen=True, slots=True)
class NewArtifact:
    """A file that an attempt has put into the blob store."""

    name: str
    blob_key: str
    media_type: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What an attempt has cost."""

    audio_seconds: float | None = None
    cpu_seconds: float | None = None
