"""All results, as a discriminated union on `op`."""

from typing import Annotated

from pydantic import Field

from shared.schema.results.encodings import NormalizeResult, TranscodeResult
from shared.schema.results.measurements import LoudnessResult, ProbeResult, SilenceResult
from shared.schema.results.pictures import SpectrogramResult, WaveformResult

AnyResult = Annotated[
    ProbeResult
    | LoudnessResult
    | WaveformResult
    | SpectrogramResult
    | SilenceResult
    | TranscodeResult
    | NormalizeResult,
    Field(discriminator="op"),
]
