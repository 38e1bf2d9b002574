"""API keys as clients see them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.schema.options import Moment

MAX_NAME = 100


class Scope(StrEnum):
    """What a key is good for."""

    SUBMIT = "submit"
    """Upload files; make, cancel, retry and delete jobs."""
    READ = "read"
    """See jobs and uploads, follow them, fetch results."""
    ADMIN = "admin"
    """All of this with everybody's jobs, and the keys themselves."""


class KeyLimits(BaseModel):
    """How much of the API a key may use. null: as the settings have it for every key, if they do; 0: no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_second: float | None = Field(
        default=None, ge=0, le=100_000, description="Requests a second, on average."
    )
    burst: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Requests at once, after a time without any."
    )
    max_queued_jobs: int | None = Field(
        default=None, ge=0, le=1_000_000_000, description="While so many of its jobs wait, new ones are refused."
    )
    max_running_jobs: int | None = Field(
        default=None, ge=0, le=1_000_000, description="So many of its jobs run at a time; the others wait."
    )
    max_stored_bytes: int | None = Field(
        default=None,
        ge=0,
        le=2**60,
        description="While its inputs and results take so many bytes, new work is refused.",
    )


Name = Annotated[
    str,
    # Printable: it is shown in lists and in terminals.
    StringConstraints(min_length=1, max_length=MAX_NAME, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$", strip_whitespace=True),
]


class KeyRequest(BaseModel):
    """The key to make."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "example": {
                "name": "podcast site",
                "scopes": ["submit", "read"],
                "expires_at": "2030-01-01T00:00:00Z",
                "limits": {"max_running_jobs": 4},
            }
        },
    )

    name: Name = Field(description="What it is for; people read it.")
    scopes: tuple[Scope, ...] = Field(
        default=(Scope.SUBMIT, Scope.READ), min_length=1, max_length=len(Scope), description="What it is good for."
    )
    expires_at: Moment | None = Field(default=None, description="From then on it is refused; null: never.")
    limits: KeyLimits = Field(default=KeyLimits(), description="How much of the API it may use.")

    @model_validator(mode="after")
    def _has_each_scope_once(self) -> Self:
        if len(set(self.scopes)) < len(self.scopes):
            raise ValueError("name each scope once")
        return self


class Rotation(BaseModel):
    """How a key gets a new secret."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    overlap_seconds: int = Field(
        default=0, ge=0, le=30 * 86_400, description="The old secret still serves for so long."
    )


class KeyView(BaseModel):
    """A key, without its secret."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    name: str
    prefix: str = Field(description="The beginning of its secret.")
    scopes: tuple[Scope, ...] = Field(description="What it is good for.")
    created_at: datetime
    expires_at: datetime | None = Field(description="From then on it is refused; null: never.")
    revoked_at: datetime | None = Field(description="Since when it is refused for good; null: it is not.")
    previous_expires_at: datetime | None = Field(
        description="Until when the secret before the last rotation still serves."
    )
    limits: KeyLimits = Field(description="How much of the API it may use.")


class NewKey(KeyView):
    """A key with its secret, which is shown this once."""

    secret: str = Field(description="Send it as `Authorization: Bearer ...`. It is kept nowhere, and not shown again.")


class KeyList(BaseModel):
    """All keys, the oldest first."""

    model_config = ConfigDict(frozen=True)

    keys: tuple[KeyView, ...] = Field(description="The keys, also those that are revoked.")
