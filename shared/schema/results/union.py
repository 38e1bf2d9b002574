"""All results, as a discriminated union on `op`."""

from typing import Annotated

from pydantic import Field

from shared.schema.results.encodings import NormalizeResult, TranscodeResult
from shared.schema.results.measurements import AcxResult, LoudnessResult, ProbeResult, SilenceResult
from shared.schema.results.pictures import SpectrogramResult, WaveformResult
from shared.schema.results.splitting import SplitResult

AnyResult = Annotated[
    ProbeResult
    | LoudnessResult
    | WaveformResult
    | SpectrogramResult
    | SilenceResult
    | AcxResult
    | TranscodeResult
    | NormalizeResult
    | SplitResult,
    Field(discriminator="op"),
]
