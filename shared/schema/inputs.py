"""What a job works on, as clients name it."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    HttpUrl,
    StringConstraints,
    Tag,
    ValidationError,
)

MAX_FURTHER_INPUTS = 16
DEFAULT_TYPE = "upload"
MAIN_INPUT = ""
"""The name of a job's own input; further ones have names of their own."""

InputName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


def _mended(given: Any) -> Any:
    """An address as people copy it: a space or a backslash in it is put right, as browsers do."""
    try:
        return HttpUrl(given) if isinstance(given, str) else given
    except ValidationError:
        # What is wrong with it is told by what comes next.
        return given


def _without_credentials(url: HttpUrl) -> HttpUrl:
    if url.username is not None or url.password is not None:
        raise ValueError("The URL holds a user name or a password; give one without")
    return url


class UploadInput(BaseModel):
    """An earlier upload, by its id."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["upload"] = "upload"
    id: UUID = Field(description="The `id` that POST /api/uploads, or a job's `input`, gave.")


class UrlInput(BaseModel):
    """A file that Wavemill fetches: the job is `fetching` until it is there."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"example": {"type": "url", "url": "https://files.example/talk.wav"}},
    )

    type: Literal["url"]
    url: Annotated[HttpUrl, BeforeValidator(_mended), AfterValidator(_without_credentials)] = Field(
        description="http or https, on the internet, without user name and password."
    )


class ArtifactInput(BaseModel):
    """A file that an earlier job made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["artifact"]
    job_id: UUID = Field(description="The job that made it.")
    name: str = Field(
        min_length=1, max_length=255, pattern=r"^[^\x00-\x1f]+$", description="As the job's `artifacts` lists it."
    )


def _type_of(given: Any) -> str:
    found = given.get("type", DEFAULT_TYPE) if isinstance(given, dict) else getattr(given, "type", None)
    return found if isinstance(found, str) else ""


AnyInput = Annotated[
    Annotated[UploadInput, Tag("upload")] | Annotated[UrlInput, Tag("url")] | Annotated[ArtifactInput, Tag("artifact")],
    Discriminator(
        _type_of,
        custom_error_type="unknown_input",
        custom_error_message="An input is of the type 'upload', 'url' or 'artifact'",
    ),
]
