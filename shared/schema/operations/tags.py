"""The tags of an output: what a client may set, whatever the format calls them."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_LONGEST = 1000


def _check_text(text: str) -> str:
    if any(unicodedata.category(character) == "Cc" and character != "\n" for character in text):
        raise ValueError("a tag has no control characters but line breaks")
    return text


TagText = Annotated[str, AfterValidator(_check_text), Field(max_length=_LONGEST)]


class Tags(BaseModel):
    """Tags to write in place of the input's; an empty text leaves the tag out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: TagText | None = None
    artist: TagText | None = None
    album: TagText | None = None
    album_artist: TagText | None = None
    composer: TagText | None = None
    genre: TagText | None = None
    date: TagText | None = Field(default=None, description="A year, or year-month-day.")
    track: TagText | None = Field(default=None, description="A number, or number/total.")
    disc: TagText | None = Field(default=None, description="A number, or number/total.")
    comment: TagText | None = None
    copyright: TagText | None = None
