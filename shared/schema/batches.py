"""Batches as clients send them and as they see them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.schema.jobs import TERMINAL_STATUSES, JobStatus
from shared.schema.webhooks import OwnWebhook

MAX_BATCH_JOBS = 10_000
BatchName = Annotated[str, Field(min_length=1, max_length=200)]


class BatchCounts(BaseModel):
    """How many jobs of a batch have each status."""

    model_config = ConfigDict(frozen=True)

    fetching: int = 0
    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    canceled: int = 0


class BatchProgress(BaseModel):
    """How far a batch is."""

    model_config = ConfigDict(frozen=True)

    counts: BatchCounts
    progress: float = Field(ge=0, le=1, description="Part of the work that is done, 0 to 1; an ended job is done.")
    has_ended: bool = Field(description="Every job has ended.")

    @classmethod
    def of(cls, counts: Mapping[JobStatus, int], running_progress: float) -> Self:
        """From the numbers of jobs, and the sum of the progress of those that run."""
        present = sum(counts.values())
        ended = sum(count for status, count in counts.items() if status in TERMINAL_STATUSES)
        return cls(
            counts=BatchCounts.model_validate(counts),
            # Of a batch whose jobs are forgotten all is done.
            progress=min(1.0, (ended + running_progress) / present) if present else 1.0,
            has_ended=ended == present,
        )


class BatchView(BatchProgress):
    """A batch, as GET /api/batches/{batch_id} shows it."""

    webhook: OwnWebhook | None = Field(description="Its own webhook, if it was submitted with one; else null.")

    id: UUID
    name: str | None
    jobs: int = Field(description="How many jobs it was submitted with.")
    cancel_requested: bool
    created_at: datetime


class BatchSummary(BaseModel):
    """A batch in a list."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    name: str | None
    jobs: int = Field(description="How many jobs it was submitted with.")
    cancel_requested: bool
    created_at: datetime


class BatchPage(BaseModel):
    """One page of batches, newest first."""

    model_config = ConfigDict(frozen=True)

    batches: tuple[BatchSummary, ...]
    next_cursor: Annotated[
        str | None, Field(description="Give it back as `cursor` for the next page; null at the end.")
    ]


class BatchEvent(BatchProgress):
    """How far a batch is, in its stream of events."""

    type: Literal["batch"] = "batch"
    batch_id: UUID
