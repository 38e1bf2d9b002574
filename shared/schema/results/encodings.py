"""Results of what was written."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.schema.results.base import Result
from shared.schema.results.measurements import AcxReport


class EncodedResult(Result):
    """What was written by an operation that encodes."""

    format: str
    sample_rate: int = Field(description="Hz.")
    channels: int
    bitrate_kbps: int | None = Field(description="Asked of the encoder; null for lossless formats.")
    duration_seconds: float
    artifact: str


class TranscodeResult(EncodedResult):
    """The audio in another format."""

    op: Literal["transcode"] = "transcode"


class AlbumTrack(BaseModel):
    """One file of an album."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    input: str | None = Field(description="Name of the further input; null for the job's own.")
    input_lufs: float | None = Field(description="This track's own loudness.")
    input_true_peak_dbtp: float | None
    output_lufs: float | None
    output_true_peak_dbtp: float | None
    duration_seconds: float
    artifact: str
    acx: AcxReport | None = None


class NormalizeResult(EncodedResult):
    """The gain that was applied, and where it leaves the audio."""

    op: Literal["normalize"] = "normalize"
    input_lufs: float | None
    input_true_peak_dbtp: float | None
    gain_db: float
    method: Literal["linear", "limited"] = Field(
        default="linear", description="linear: the gain and nothing else; limited: and a limiter for the peaks."
    )
    largest_reduction_db: float = Field(default=0.0, description="By how much the limiter turned down at most, dB.")
    output_lufs: float | None = Field(
        description="By linear gain the input's loudness plus the gain; limited, measured behind the limiter; "
        "of lossy formats, measured on the encoded file. LUFS."
    )
    output_true_peak_dbtp: float | None = Field(description="Of the same, dBTP.")
    target_lufs: float
    true_peak_ceiling_dbtp: float
    limited_by_peak: bool = Field(description="The target was not reached, because of the ceiling.")
    tracks: tuple[AlbumTrack, ...] = Field(
        default=(),
        description="Of an album, all its files, the input's own first; the levels above are then of all together.",
    )
    acx: AcxReport | None = Field(default=None, description="If asked for by `check`: of the finished file.")
