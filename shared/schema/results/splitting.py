"""Results of cutting the audio into parts."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.schema.results.base import Result


class Part(BaseModel):
    """One part, or chapter."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    start_seconds: float
    end_seconds: float
    artifact: str | None = Field(description="The part's file; null where none was asked for.")


class SplitResult(Result):
    """The parts in the order of time: each begins where the one before ends. The JSON artifact has the same list."""

    op: Literal["split"] = "split"
    parts: tuple[Part, ...]
    format: str | None = Field(description="Of the files; this and the next three are null where none were asked for.")
    sample_rate: int | None = Field(description="Hz.")
    channels: int | None
    bitrate_kbps: int | None = Field(description="Asked of the encoder; null for lossless formats too.")
    artifact: str = Field(description="The list of parts as JSON.")
