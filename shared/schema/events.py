"""What is said about a job while it lives, over Redis and to clients as server-sent events."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from shared.schema.jobs import JobStatus


class JobEvent(BaseModel):
    """A change of a job. Of two events the one with the larger (version, progress) is the later."""

    model_config = ConfigDict(frozen=True)

    type: Literal["status", "progress"]
    job_id: UUID
    batch_id: UUID | None = Field(default=None, description="The batch that the job was submitted in, if any.")
    # Whose it is: what the event is passed on by, and nothing that a client is told.
    key_id: SkipJsonSchema[UUID | None] = None
    version: int = Field(description="Counts the job's changes of status and attempt.")
    status: JobStatus
    progress: float
    attempt: int
    error_code: str | None = None
    error_message: str | None = None

    @property
    def position(self) -> tuple[int, float]:
        """Its place in the order of the job's events."""
        return self.version, self.progress
