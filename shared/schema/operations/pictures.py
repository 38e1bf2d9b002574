"""Operations that draw: waveforms and spectrograms."""

import re
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared.schema.edits import Edited
from shared.schema.operations.base import Operation

_COLOR = re.compile(r"#(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")


def _check_color(color: str) -> str:
    if not _COLOR.fullmatch(color):
        raise ValueError("a colour is #rrggbb, or #rrggbbaa with how opaque it is, in hexadecimal digits")
    return color.lower()


Color = Annotated[str, AfterValidator(_check_color)]


class WaveformFormat(StrEnum):
    """What is written: audiowaveform's binary data or its JSON, or a picture."""

    DAT = "dat"
    JSON = "json"
    PNG = "png"
    SVG = "svg"


class WaveformPicture(BaseModel):
    """How a waveform is drawn, in PNG and SVG; all of the audio is spread over the width."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(default=1200, ge=16, le=4096, description="Pixels.")
    height: int = Field(default=200, ge=16, le=1024, description="Pixels; split channels share them.")
    wave_color: Color = Field(default="#1f6feb", description="#rrggbb or #rrggbbaa.")
    background_color: Color = Field(default="#ffffff", description="#rrggbb or #rrggbbaa; #ffffff00 is transparent.")
    fit_to_peak: bool = Field(default=False, description="The largest sample reaches the edge, however quiet it is.")


class Waveform(Operation, Edited):
    """Minimum and maximum of each pixel, of the mono mix or of each channel: data for players, and pictures."""

    summary = "Waveform data for players, in audiowaveform's .dat and JSON formats, and pictures of it (PNG, SVG)"
    example: ClassVar[dict[str, Any]] = {
        "op": "waveform",
        "samples_per_pixel": 512,
        "bits": 8,
        "formats": ["dat", "json", "png"],
    }

    op: Literal["waveform"] = "waveform"
    samples_per_pixel: int | None = Field(
        default=None, ge=2, le=1_000_000, description="Input samples a pixel of the data; 256 if left out."
    )
    pixels_per_second: int | None = Field(
        default=None,
        ge=1,
        le=4000,
        description="Instead of samples_per_pixel, which becomes the sample rate divided by it, the fraction cut off, "
        "and at least 2.",
    )
    bits: Literal[8, 16] = Field(default=8, description="Resolution of each value of the data.")
    split_channels: bool = Field(default=False, description="Each channel by itself, not their mean.")
    version: Literal[1, 2] = Field(
        default=2, description="Of the data format; 1 is for old readers, and holds one channel."
    )
    formats: tuple[WaveformFormat, ...] = Field(
        default=(WaveformFormat.DAT,), min_length=1, max_length=4, description="Which files to write."
    )
    picture: WaveformPicture = Field(default=WaveformPicture(), description="How png and svg are drawn.")

    @model_validator(mode="after")
    def _is_one_scale(self) -> Self:
        if self.samples_per_pixel is not None and self.pixels_per_second is not None:
            raise ValueError("give samples_per_pixel or pixels_per_second, not both")
        if self.version == 1 and self.split_channels:
            raise ValueError("version 1 of the data format holds one channel: leave split_channels out, or version")
        return self


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
    axes: bool = Field(
        default=False,
        description="Ticks and labels of time and frequency, and a scale of the colours in dB, in margins around the "
        "picture; the picture itself keeps its width and height.",
    )

    @model_validator(mode="after")
    def _is_an_axis(self) -> Self:
        if self.frequency_scale is FrequencyScale.LOG and self.min_hz == 0:
            raise ValueError("a log frequency_scale cannot begin at a min_hz of 0")
        lowest = self.min_hz or (20.0 if self.frequency_scale is FrequencyScale.LOG else 0.0)
        if self.max_hz is not None and self.max_hz <= lowest:
            raise ValueError("max_hz must be above min_hz, which is 20 on the log scale if left out")
        return self
