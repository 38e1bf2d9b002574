"""Operations that write audio, and how audio is written."""

from enum import StrEnum
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, Field, model_validator

from shared.schema.edits import Edited
from shared.schema.names import Name
from shared.schema.operations.base import Operation
from shared.schema.operations.measurements import DualMono

MAX_ALBUM_TRACKS = 30


class AudioFormat(StrEnum):
    """An output format: codec and container together."""

    MP3 = "mp3"
    OPUS = "opus"
    AAC = "aac"
    FLAC = "flac"
    WAV = "wav"


LOSSY_FORMATS = frozenset({AudioFormat.MP3, AudioFormat.OPUS, AudioFormat.AAC})
OPUS_SAMPLE_RATES = frozenset({8000, 12000, 16000, 24000, 48000})
MP3_SAMPLE_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000})
AAC_SAMPLE_RATES = frozenset({7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000})
_SAMPLE_RATES = {
    AudioFormat.OPUS: OPUS_SAMPLE_RATES,
    AudioFormat.MP3: MP3_SAMPLE_RATES,
    AudioFormat.AAC: AAC_SAMPLE_RATES,
}


class Encoding(BaseModel):
    """How to write audio: format, bit rate, sample rate and channels."""

    format: AudioFormat = Field(description="mp3, opus (Ogg), aac (in .m4a), flac or wav (16-bit PCM).")
    bitrate_kbps: int | None = Field(
        default=None,
        ge=6,
        le=512,
        description="Kilobits a second; lossy formats only. Left out: 64 a channel.",
    )
    sample_rate: int | None = Field(
        default=None,
        ge=8000,
        le=192000,
        description="Hz; the input's, or the nearest the format takes, when left out.",
    )
    channels: int | None = Field(
        default=None,
        ge=1,
        le=8,
        description="1 mono, 2 stereo, 6 is 5.1, 8 is 7.1; the input's when left out.",
    )

    @model_validator(mode="after")
    def _fits_the_format(self) -> Self:
        if self.bitrate_kbps is not None and self.format not in LOSSY_FORMATS:
            raise ValueError(f"bitrate_kbps has no meaning for {self.format}, which is lossless")
        if self.format is AudioFormat.MP3:
            if self.channels is not None and self.channels > 2:
                raise ValueError("mp3 holds at most 2 channels")
            if self.bitrate_kbps is not None and not 8 <= self.bitrate_kbps <= 320:
                raise ValueError("mp3 takes 8 to 320 kbit/s")
        rates = _SAMPLE_RATES.get(self.format)
        if self.sample_rate is not None and rates is not None and self.sample_rate not in rates:
            raise ValueError(f"{self.format} takes a sample_rate of {', '.join(map(str, sorted(rates)))} Hz")
        return self


class Transcode(Operation, Edited, Encoding):
    """The input in another format."""

    summary = "The audio in another format, bit rate, sample rate or channel count"
    example: ClassVar[dict[str, Any]] = {"op": "transcode", "format": "opus", "bitrate_kbps": 64}

    op: Literal["transcode"] = "transcode"


class Normalize(Operation, Edited, Encoding):
    """The input at a target loudness, by one gain for all of it; peaks that it takes over the ceiling are limited."""

    summary = "A master at a target loudness: linear gain, and a true-peak limiter where that would pass the ceiling"
    example: ClassVar[dict[str, Any]] = {"op": "normalize", "target_lufs": -16, "true_peak_dbtp": -1, "format": "flac"}

    op: Literal["normalize"] = "normalize"
    target_lufs: float = Field(default=-16.0, ge=-70.0, le=-5.0, description="Integrated loudness to reach, LUFS.")
    true_peak_dbtp: float = Field(default=-1.0, ge=-20.0, le=0.0, description="Ceiling of the true peak, dBTP.")
    limiter: bool = Field(
        default=True,
        description="Limit the peaks that the gain takes over the ceiling; without it, the gain stops at the ceiling.",
    )
    format: AudioFormat = AudioFormat.FLAC
    dual_mono: DualMono = False
    album: tuple[Name, ...] = Field(
        default=(),
        max_length=MAX_ALBUM_TRACKS,
        description="Names of further inputs that are tracks of the same album: their loudness is measured together "
        "with the input's, one gain takes all of them to the target, and each gets a file of its own.",
    )
    check: Literal["acx"] | None = Field(
        default=None, description="acx: hold the finished file against the rules for audiobooks, as the operation does."
    )

    @model_validator(mode="after")
    def _has_each_track_once(self) -> Self:
        if len(set(self.album)) < len(self.album):
            raise ValueError("album names the same input twice")
        return self
