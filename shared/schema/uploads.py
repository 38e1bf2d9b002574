"""Uploads that go to the bucket directly, as clients ask for them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class PresignedRequest(BaseModel):
    """The file that is to be sent."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"example": {"filename": "talk.wav", "size_bytes": 1048576}},
    )

    size_bytes: int = Field(ge=0, le=2**53, description="Its size, in bytes.")
    filename: str | None = Field(default=None, max_length=1000, description="What it is called.")
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="Hex digest of its bytes; what comes is compared with it."
    )


class PresignedUpload(BaseModel):
    """Where the file is to be sent."""

    model_config = ConfigDict(frozen=True)

    id: UUID = Field(description="Of the upload, once it is complete.")
    method: Literal["PUT"] = "PUT"
    url: str = Field(description="Send the bytes there, as they are, in one request; it needs no key.")
    expires_at: datetime = Field(description="By then the sending must have begun.")
    complete_url: str = Field(description="Path to POST to when they are there.")
