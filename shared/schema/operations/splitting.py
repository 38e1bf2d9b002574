"""Cutting the audio into parts."""

from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.schema.edits import LONGEST_SECONDS, Edited
from shared.schema.operations.base import Operation
from shared.schema.operations.encodings import AudioFormat, Encoding

MAX_PARTS = 500
_SHORTEST_PART = 0.01


class SplitAtSilence(BaseModel):
    """Cuts where nothing is heard for some time."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    threshold_dbfs: float = Field(
        default=-50.0, ge=-120.0, le=0.0, description="A sample of this magnitude or more is heard, dBFS."
    )
    min_seconds: float = Field(
        default=1.5,
        ge=0.1,
        le=60.0,
        description="Silences of this length are cut. The next part begins half of it, at most 1 s, before its sound.",
    )
    min_part_seconds: float = Field(default=0.0, ge=0, le=86_400, description="No part but the last is shorter.")


class Split(Operation, Edited, Encoding):
    """The audio in parts: at silences, at given times, or every so many seconds."""

    summary = "The audio in parts, at silences, at given times or every so many seconds: files and a list of chapters"
    example: ClassVar[dict[str, Any]] = {
        "op": "split",
        "at_silence": {"threshold_dbfs": -45, "min_seconds": 2},
        "format": "mp3",
    }

    op: Literal["split"] = "split"
    at_silence: SplitAtSilence | None = Field(default=None, description="Cut at silences.")
    at_seconds: tuple[Annotated[float, Field(gt=0, le=LONGEST_SECONDS)], ...] = Field(
        default=(), max_length=MAX_PARTS - 1, description="Cut at these times, in rising order, 0.01 s apart or more."
    )
    every_seconds: float | None = Field(
        default=None, ge=0.1, le=LONGEST_SECONDS, description="Cut into parts of this length."
    )
    files: bool = Field(default=True, description="Write a file for each part; false: the list of chapters alone.")
    max_parts: int = Field(
        default=100, ge=1, le=MAX_PARTS, description="More parts than that are an error, not a pile of files."
    )
    format: AudioFormat = AudioFormat.MP3

    @model_validator(mode="after")
    def _cuts_in_one_way(self) -> Self:
        if sum(way not in (None, ()) for way in (self.at_silence, self.at_seconds, self.every_seconds)) != 1:
            raise ValueError("split takes one of at_silence, at_seconds and every_seconds")
        if any(later - earlier < _SHORTEST_PART for earlier, later in pairwise((0.0, *self.at_seconds))):
            raise ValueError(f"at_seconds must rise by {_SHORTEST_PART} or more")
        return self
