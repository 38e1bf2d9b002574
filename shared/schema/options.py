"""What a client says of a job beside what is to be done: labels, when it may begin, how long its results are kept."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from shared.schema.names import Name

MOST_METADATA = 50
# What a key of metadata may be: it stands in query parameters, and in the paths of SQLite's JSON functions.
METADATA_KEY = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$"
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DATE_AND_TIME: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


def _in_the_epoch(moment: datetime) -> datetime:
    """Databases and time zones do not agree on what is long ago, and there is nothing to find there."""
    if not 1970 <= moment.year <= 9998:
        raise ValueError("give a time between the years 1970 and 9998")
    return moment


def _read(given: Any) -> Any:
    """A date and a time; a text that is a number would be taken for seconds, or for milliseconds, since 1970."""
    if not isinstance(given, str):
        return given
    if _DATE.match(given) is None:
        raise ValueError("give a date and a time, as 2030-01-31T12:00:00Z")
    try:
        return _DATE_AND_TIME.validate_python(given)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"]) from None


Moment = Annotated[AwareDatetime, BeforeValidator(_read), AfterValidator(_in_the_epoch)]
MetadataKey = Annotated[str, StringConstraints(pattern=METADATA_KEY)]
# PostgreSQL takes no NUL in a text.
MetadataValue = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")]


class JobOptions(BaseModel):
    """How to treat a job; nothing of it changes what is done to the audio."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Name | None = Field(
        default=None,
        description="Name of a preset, one of your own or a built-in one, whose operations the job has.",
        examples=["podcast"],
    )
    metadata: dict[MetadataKey, MetadataValue] = Field(
        default={},
        max_length=MOST_METADATA,
        description="Labels of your own: strings of up to 500 characters, by keys of up to 40 letters, digits, '_', "
        "'.' and '-'. GET /api/jobs finds jobs by them.",
        examples=[{"customer": "42", "show": "morning-news"}],
    )
    not_before: Moment | None = Field(
        default=None,
        description="The job begins at this time at the earliest (RFC 3339, with an offset); at once when left out or "
        "past.",
        examples=["2030-01-01T04:00:00Z"],
    )
    expires_in: int | None = Field(
        default=None,
        ge=60,
        description="Seconds that results and artifacts are kept after the job has succeeded; as long as the server "
        "keeps any, when left out.",
        examples=[86_400],
    )


NO_OPTIONS = JobOptions()
