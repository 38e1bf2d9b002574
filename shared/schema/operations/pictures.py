"""Operations that draw: waveforms and spectrograms."""

from enum import StrEnum
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from shared.schema.edits import Edited
from shared.schema.operations.base import Operation


class WaveformFormat(StrEnum):
    """How waveform data is written: audiowaveform's binary format version 2, or its JSON."""

    DAT = "dat"
    JSON = "json"


class Waveform(Operation, Edited):
    """Minimum and maximum of the mono mix for each pixel, in audiowaveform's formats."""

    summary = "Waveform data for players, in audiowaveform's .dat (v2) and JSON formats"
    example: ClassVar[dict[str, Any]] = {
        "op": "waveform",
        "samples_per_pixel": 512,
        "bits": 8,
        "formats": ["dat", "json"],
    }

    op: Literal["waveform"] = "waveform"
    samples_per_pixel: int = Field(default=256, ge=2, le=1_000_000, description="Input samples a pixel.")
    bits: Literal[8, 16] = Field(default=8, description="Resolution of each value.")
    formats: tuple[WaveformFormat, ...] = Field(
        default=(WaveformFormat.DAT,), min_length=1, max_length=2, description="Which files to write."
    )


class FrequencyScale(StrEnum):
    """How frequencies are spread over the height of a picture."""

    LINEAR = "linear"
    MEL = "mel"
    LOG = "log"


class ColorMap(StrEnum):
    """Which colours levels have."""

    VIRIDIS = "viridis"
    MAGMA = "magma"
    INFERNO = "inferno"
    GRAY = "gray"


class Spectrogram(Operation, Edited):
    """The spectrum of the mean of the channels over time, as a PNG picture; low frequencies are at the bottom."""

    summary = "A picture of the spectrum over time (PNG), on a linear, mel or logarithmic frequency axis"
    example: ClassVar[dict[str, Any]] = {
        "op": "spectrogram",
        "width": 1200,
        "height": 400,
        "frequency_scale": "mel",
        "colors": "magma",
    }

    op: Literal["spectrogram"] = "spectrogram"
    width: int = Field(default=1024, ge=16, le=4096, description="Pixels; all of the audio is spread over them.")
    height: int = Field(default=512, ge=16, le=1024, description="Pixels.")
    frequency_scale: FrequencyScale = FrequencyScale.LINEAR
    min_hz: float | None = Field(
        default=None, ge=0, le=192_000, description="Bottom of the picture, Hz; 0, or 20 on the log scale, if left out."
    )
    max_hz: float | None = Field(
        default=None, gt=0, le=192_000, description="Top of the picture, Hz; half of the sample rate if left out."
    )
    range_db: float = Field(
        default=100.0, ge=20.0, le=120.0, description="Levels that the colours are spread over, down from 0 dBFS; dB."
    )
    colors: ColorMap = ColorMap.VIRIDIS

    @model_validator(mode="after")
    def _is_an_axis(self) -> Self:
        if self.frequency_scale is FrequencyScale.LOG and self.min_hz == 0:
            raise ValueError("a log frequency_scale cannot begin at a min_hz of 0")
        lowest = self.min_hz or (20.0 if self.frequency_scale is FrequencyScale.LOG else 0.0)
        if self.max_hz is not None and self.max_hz <= lowest:
            raise ValueError("max_hz must be above min_hz, which is 20 on the log scale if left out")
        return self
