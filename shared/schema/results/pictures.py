"""Results of what was drawn."""

from typing import Literal

from pydantic import Field

from shared.schema.results.base import Result


class WaveformResult(Result):
    """The size of the waveform's data; the data and the pictures are in the artifacts."""

    op: Literal["waveform"] = "waveform"
    sample_rate: int = Field(description="Hz of the audio that was drawn.")
    samples_per_pixel: int
    bits: Literal[8, 16]
    channels: int = Field(default=1, description="1, or with split_channels as many as the input has.")
    length: int = Field(description="Pixels (pairs of minimum and maximum, for each channel).")
    artifacts: tuple[str, ...]


class SpectrogramResult(Result):
    """What the picture's axes and colours stand for; the picture is the artifact."""

    op: Literal["spectrogram"] = "spectrogram"
    width: int = Field(description="Pixels, without margins.")
    height: int = Field(description="Pixels, without margins.")
    picture_width: int = Field(description="Pixels of the whole picture, margins with axes included.")
    picture_height: int
    left: int = Field(description="Pixels of margin on the left, where the axis of frequency stands.")
    top: int
    frequency_scale: Literal["linear", "mel", "log"]
    min_hz: float = Field(description="Lower edge of the lowest row, Hz.")
    max_hz: float = Field(description="Upper edge of the highest row, Hz.")
    seconds_per_pixel: float
    range_db: float = Field(description="The map's last colour is 0 dBFS or more, its first this much less or below.")
    colors: str = Field(description="Name of the colour map.")
    artifact: str
